//! One object of the rules at a time: `/v1/domains/{domain}/{collection}` and `.../{name}`, for every kind of [`KINDS`]. An edit changes
//! the stored text in place and goes the way of every edit.

use super::domains;
use super::generation::Live;
use super::peer::Peer;
use super::problem::Problem;
use super::rules::{author, if_match, said, shown, with_generation};
use super::{Admin, blocking, mask};
use crate::rules::diagnostic::Files;
use crate::rules::edit::kind::KINDS;
use crate::rules::edit::{self, Change, EditError, Found, Kind, Referrer};
use crate::rules::reach::{self, Graph, Object};
use crate::rules::source;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::response::Response;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use std::sync::Arc;

type At = State<Arc<Admin>>;

/// Lists and single objects.
pub(super) fn readable() -> Router<Arc<Admin>> {
    KINDS.iter().fold(Router::new(), |router, kind| {
        let (all, one) = paths(kind);
        let list = move |admin: At, path: Path<String>| list(kind, admin, path);
        let show = move |admin: At, path: Path<(String, String)>| show(kind, admin, path);
        router.route(&all, get(list)).route(&one, get(show))
    })
}

/// Edits.
pub(super) fn writable() -> Router<Arc<Admin>> {
    KINDS.iter().fold(Router::new(), |router, kind| {
        let (_, one) = paths(kind);
        let replace = move |request: Writing, body: Bytes| replace(kind, request, body);
        let change = move |request: Writing, body: Bytes| change(kind, request, body);
        let remove = move |request: Writing| remove(kind, request);
        router.route(&one, put(replace).patch(change).delete(remove))
    })
}

fn paths(kind: &Kind) -> (String, String) {
    let all = format!("/v1/domains/{{domain}}/{}", kind.collection);
    let one = format!("{all}/{{name}}");
    (all, one)
}

/// `GET .../{collection}`
async fn list(kind: &'static Kind, admin: At, path: Path<String>) -> Result<Response, Problem> {
    let State(admin) = admin;
    let live = admin.domain(&path.0)?;
    if kind.table == "user" {
        return Ok(with_generation(live.stored.generation, Json(domains::users_shown(&admin, &live))));
    }
    let of = |found: Found| json!({ "name": found.name, "at": found.at, "value": found.value });
    let listing = live.clone();
    let all = blocking(move || listing.files().map(|files| edit::list(&mask::mask(&files), kind))).await??;
    Ok(with_generation(live.stored.generation, Json(all.into_iter().map(of).collect::<Vec<_>>())))
}

/// `GET .../{collection}/{name}`: a user also with what is live, and by an extension too.
async fn show(kind: &'static Kind, admin: At, path: Path<(String, String)>) -> Result<Response, Problem> {
    let State(admin) = admin;
    let Path((domain, name)) = path;
    let live = admin.domain(&domain)?;
    let name = named(&live, kind, name);
    let (reading, wanted) = (live.clone(), name.clone());
    let found = blocking(move || {
        reading.files().map(|files| edit::find(&masked_home(&files, &wanted), kind, &wanted))
    });
    let found = found.await??;
    let found =
        found.ok_or_else(|| Problem::not_found(format!("{domain} has no {} `{name}`", kind.spoken())))?;
    let mut shown = json!(found);
    if let (Value::Object(shown), "user") = (&mut shown, kind.table)
        && let Ok(Value::Object(user)) = domains::user_shown(&admin, &live, &name)
    {
        shown.extend(user);
    }
    if let (Value::Object(shown), Some(status)) = (&mut shown, domains::status_of(&admin, &live, kind, &name))
    {
        shown.insert("status".into(), json!(status));
    }
    Ok(with_generation(live.stored.generation, Json(shown)))
}

/// Only the files in which the name occurs need be masked.
fn masked_home(files: &Files, name: &str) -> Files {
    let holding = files.0.iter().filter(|(_, text)| text.contains(name));
    mask::mask(&Files(holding.map(|(file, text)| (file.clone(), text.clone())).collect()))
}

/// Users go by their extensions, too.
fn named(live: &Live, kind: &Kind, name: String) -> String {
    match kind.table {
        "user" => domains::user_of(&live.domain, &name).map(|view| view.name.to_string()).unwrap_or(name),
        _ => name,
    }
}

/// What every write is made of.
struct Writing {
    admin: Arc<Admin>,
    domain: String,
    name: String,
    peer: Peer,
    expected: Option<u64>,
}

impl axum::extract::FromRequestParts<Arc<Admin>> for Writing {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        admin: &Arc<Admin>,
    ) -> Result<Writing, Problem> {
        let malformed = |e: &dyn std::fmt::Display| Problem::malformed(e.to_string());
        let Path((domain, name)) =
            Path::<(String, String)>::from_request_parts(parts, admin).await.map_err(|e| malformed(&e))?;
        let ConnectInfo(peer) =
            ConnectInfo::<Peer>::from_request_parts(parts, admin).await.map_err(|e| malformed(&e))?;
        let expected = if_match(&parts.headers)?;
        Ok(Writing { admin: admin.clone(), domain, name, peer, expected })
    }
}

impl Writing {
    /// Carries an edit out, and answers with what came of it and the object as it is now.
    async fn carry_out(
        self,
        kind: &'static Kind,
        verb: &str,
        edit: impl FnOnce(&Files, &str) -> Result<Files, EditError> + Send + 'static,
    ) -> Result<Response, Problem> {
        let Writing { admin, domain, name, peer, expected } = self;
        let author = author(peer, format!("{verb} {}.{name}", kind.table));
        let (applied, found) = blocking(move || {
            let applied = admin.pipeline.change(&domain, expected, author, |live, files| {
                edit(files, &named(live, kind, name.clone()))
            })?;
            let live = admin.generations.domain(&domain);
            let found = live.and_then(|live| {
                let name = named(&live, kind, name);
                edit::find(&masked_home(&live.files().ok()?, &name), kind, &name)
            });
            Ok::<_, super::edit::Refused>((applied, found))
        })
        .await??;
        said(&applied, peer);
        let mut body = shown(&applied);
        if let Value::Object(body) = &mut body {
            body.insert("object".into(), json!(found));
        }
        Ok(with_generation(applied.generation, Json(body)))
    }
}

/// `PUT .../{name}`: the object as the body says, made where there is none.
async fn replace(kind: &'static Kind, writing: Writing, body: Bytes) -> Result<Response, Problem> {
    let keys: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|e| Problem::malformed(format!("the body is the object's keys as a JSON object: {e}")))?;
    let edit = move |files: &Files, name: &str| edit::put(files, kind, name, &keys);
    writing.carry_out(kind, "put", edit).await
}

/// `PATCH .../{name}`: a merge patch (RFC 7396), or a list of changes.
async fn change(kind: &'static Kind, writing: Writing, body: Bytes) -> Result<Response, Problem> {
    enum Asked {
        Patch(Map<String, Value>),
        Changes(Vec<Change>),
    }
    let wrong = |e: serde_json::Error| {
        let shape =
            r#"{"ring_for": "30s", "email": null}, or [{"op": "add", "at": ["numbers"], "value": "+1900."}]"#;
        Problem::malformed(format!("the body is a merge patch or a list of changes, such as {shape}: {e}"))
    };
    let asked = match serde_json::from_slice(&body).map_err(wrong)? {
        Value::Object(patch) => Asked::Patch(patch),
        other => Asked::Changes(serde_json::from_value(other).map_err(wrong)?),
    };
    let edit = move |files: &Files, name: &str| {
        let changes = match asked {
            Asked::Changes(changes) => changes,
            Asked::Patch(patch) => {
                let found = edit::find(files, kind, name);
                edit::change::of_patch(&found.map(|f| f.value).unwrap_or_default(), &patch)
            }
        };
        edit::change(files, kind, name, &changes)
    };
    writing.carry_out(kind, "edit", edit).await
}

/// `DELETE .../{name}`: refused while others refer to it (U16).
async fn remove(kind: &'static Kind, writing: Writing) -> Result<Response, Problem> {
    let edit = move |files: &Files, name: &str| {
        let after = edit::remove(files, kind, name)?;
        let referrers = referrers(files, kind, name);
        if referrers.is_empty() {
            return Ok(after);
        }
        Err(EditError::Referred { what: format!("{} `{name}`", kind.spoken()), referrers })
    };
    writing.carry_out(kind, "remove", edit).await
}

fn referrers(files: &Files, kind: &Kind, name: &str) -> Vec<Referrer> {
    let object = reach::Kind::named(kind.table).map(|kind| Object { kind, name: name.into() });
    let (Some(object), Some(model)) = (object, source::load(files).model) else { return Vec::new() };
    let of = |r: &reach::Reference| Referrer {
        at: files.place(r.span).to_string(),
        why: format!("{}, {}", r.from, r.by),
    };
    Graph::of(&model).referrers(&object).into_iter().map(of).collect()
}
