//! What was before: the generations of a domain, going back to one, keeping what is on trial; how files differ from what runs; and who
//! wrote each line.

use super::peer::Peer;
use super::problem::Problem;
use super::rules::{author, edit, if_match, said, shown, trial_shown, with_generation};
use super::{Admin, blocking, mask, moment, peer};
use crate::rules::diagnostic::Files;
use crate::rules::edit::difference::unified;
use crate::rules::edit::{self, Kind};
use crate::store::{GenerationInfo, StoreError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Generations listed unless `limit` says otherwise.
const LISTED: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    limit: Option<usize>,
}

/// `GET /v1/domains/{domain}/rules/history`: newest first.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Json<Value>, Problem> {
    let live = admin.domain(&domain)?;
    let name = live.stored.domain.clone();
    let trial = admin.pipeline.trials().of(&name);
    let limit = limit.limit.unwrap_or(LISTED);
    let found = blocking(move || admin.store.history(&name, limit)).await??;
    let passwd = passwd();
    let found: Vec<Value> = found.iter().map(|info| info_shown(info, &passwd)).collect();
    Ok(Json(json!({ "generations": found, "trial": trial.as_ref().map(trial_shown) })))
}

/// A directory server that hangs must not keep the history: the file alone is asked.
fn passwd() -> String {
    std::fs::read_to_string("/etc/passwd").unwrap_or_default()
}

/// A generation as the socket shows it; `by` is `origin` for people.
fn info_shown(info: &GenerationInfo, passwd: &str) -> Value {
    let mut shown = json!(info);
    shown["applied"] = json!(moment::millis(&info.applied));
    shown["by"] = json!(peer::author_shown(&info.origin, passwd));
    shown
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    generation: u64,
}

/// `POST /v1/domains/{domain}/rules/rollback`: an earlier text as a new generation, checked anew.
pub(super) async fn roll_back(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let Back { generation } = serde_json::from_slice(&body)
        .map_err(|e| Problem::malformed(format!(r#"the body is {{"generation": 12}}: {e}"#)))?;
    let expected = if_match(&headers)?;
    let author = author(peer, format!("rollback to {generation}"));
    let applied = blocking(move || admin.pipeline.roll_back(&domain, generation, expected, author)).await??;
    said(&applied, peer);
    Ok(with_generation(applied.generation, Json(shown(&applied))))
}

/// `POST /v1/domains/{domain}/rules/confirm`: what is on trial stays.
pub(super) async fn confirm(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
) -> Result<Json<Value>, Problem> {
    let nothing = format!("no generation of {domain} is on trial");
    let trial = blocking(move || admin.pipeline.confirm(&domain)).await??;
    let trial = trial.ok_or_else(|| Problem::not_found(nothing))?;
    Ok(Json(json!({ "confirmed": trial_shown(&trial) })))
}

/// `POST /v1/domains/{domain}/rules/diff`: how files differ from what runs, as `diff -u` would say it. Secrets are masked.
pub(super) async fn diff(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let live = admin.domain(&domain)?;
    let files = edit(domain, &body, None, peer)?.files;
    let differences = blocking(move || {
        let stored = live.files()?;
        // A mask over nothing is a difference like any other.
        let files = mask::unmask(&files, &stored).unwrap_or_else(|_| Arc::unwrap_or_clone(files));
        Ok::<_, StoreError>(
            json!({ "generation": live.stored.generation, "files": differences(&stored, &files) }),
        )
    });
    Ok(Json(differences.await??))
}

fn differences(stored: &Files, files: &Files) -> Vec<Value> {
    let (old_shown, new_shown) = (mask::mask(stored), mask::mask(files));
    let names: BTreeMap<&Arc<str>, ()> =
        stored.0.keys().chain(files.0.keys()).map(|name| (name, ())).collect();
    let changed = names.into_keys().filter(|name| stored.0.get(*name) != files.0.get(*name));
    let of = |name: &Arc<str>| {
        let (old, new) = (old_shown.0.get(name), new_shown.0.get(name));
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let text = |text: Option<&Arc<str>>| text.map(|t| t.to_string()).unwrap_or_default();
        let from = if old.is_some() { &**name } else { "/dev/null" };
        let to = if new.is_some() { &**name } else { "/dev/null" };
        let diff = unified(from, &text(old), to, &text(new));
        let diff = if diff.is_empty() {
            format!("--- {name}\n+++ {name}\na secret or a line's end differs\n")
        } else {
            diff
        };
        json!({ "file": name, "change": change, "diff": diff })
    };
    changed.map(of).collect()
}

/// `GET /v1/domains/{domain}/rules/blame/{object}`: the generation that brought each line of `user:osei`, or of `rule:osei/Night`.
pub(super) async fn blame(
    State(admin): State<Arc<Admin>>,
    Path((domain, object)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let live = admin.domain(&domain)?;
    let (kind, name, rule) = parse_object(&object).ok_or_else(|| {
        Problem::invalid(format!(
            "`{object}`: write user:NAME, number:+E164, time_frame:NAME, rule:USER/NAME ..."
        ))
    })?;
    let missing = Problem::not_found(format!("{domain} has no `{object}`"));
    let one_at_a_time = admin.blaming.clone().acquire_owned().await.map_err(|_| Problem::no_answer())?;
    let blamed = blocking(move || -> Result<Option<Value>, StoreError> {
        // Held to the end of the work, even where nobody waits for the answer any more.
        let _one_at_a_time = one_at_a_time;
        let (generation, domain) = (live.stored.generation, live.stored.domain.clone());
        let mut reader = Lines { kind, name, rule, last: None };
        let Some(lines) = reader.of(&live.files()?) else { return Ok(None) };
        let history = admin.store.history(&domain, usize::MAX)?;
        let mut versions = vec![(generation, lines)];
        for info in history.iter().filter(|info| info.generation < generation) {
            let Some(stored) = admin.store.rules_at(&domain, info.generation)? else { break };
            versions.push((info.generation, reader.of(&stored.files).unwrap_or_default()));
        }
        let passwd = passwd();
        let known: BTreeMap<u64, &GenerationInfo> = history.iter().map(|i| (i.generation, i)).collect();
        // The archive forgets: the oldest generation that is kept may have its lines from one before it.
        let complete = history.len() < crate::store::archive::GENERATIONS_KEPT;
        let of = |line: edit::Blamed| {
            let info = line.generation.and_then(|g| known.get(&g));
            json!({ "line": line.line, "generation": line.generation, "origin": info.map(|i| &i.origin),
                "by": info.map(|i| peer::author_shown(&i.origin, &passwd)),
                "applied": info.map(|i| moment::millis(&i.applied)), "what": info.map(|i| &i.what) })
        };
        Ok(Some(json!(edit::blame(&versions, complete).into_iter().map(of).collect::<Vec<_>>())))
    });
    Ok(Json(json!({ "object": object, "lines": blamed.await??.ok_or(missing)? })))
}

/// The lines of one object in generation after generation. Only the file that holds it is masked and parsed, and that only where it differs
/// from the one looked at before.
struct Lines {
    kind: &'static Kind,
    name: String,
    rule: Option<String>,
    last: Option<Seen>,
}

/// The file that held an object, its text, and the object's lines there.
type Seen = (Arc<str>, Arc<str>, Option<Vec<String>>);

impl Lines {
    fn of(&mut self, files: &Files) -> Option<Vec<String>> {
        if let Some((file, text, lines)) = &self.last
            && files.0.get(file) == Some(text)
        {
            return lines.clone();
        }
        let (file, text) = edit::home_of(files, self.kind, &self.name)?;
        let alone = mask::mask(&Files([(file.clone(), text.clone())].into()));
        let lines = edit::lines_of(&alone, self.kind, &self.name, self.rule.as_deref());
        self.last = Some((file.clone(), text.clone(), lines.clone()));
        lines
    }
}

/// `user:osei`, or `rule:osei/Clinic hours` and `rule:+12025550100/2`.
fn parse_object(text: &str) -> Option<(&'static Kind, String, Option<String>)> {
    let (word, name) = text.split_once(':')?;
    if word == "rule" {
        let (of, rule) = name.split_once('/')?;
        let kind = Kind::of_table(if of.starts_with('+') { "number" } else { "user" })?;
        return Some((kind, of.to_owned(), Some(rule.to_owned())));
    }
    Some((Kind::of_table(word)?, name.to_owned(), None))
}
