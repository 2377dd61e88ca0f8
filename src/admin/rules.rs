//! Rules over the socket: check, apply, export, and the trees.

use super::edit::{Applied, Edit, Refused};
use super::findings::Findings;
use super::mask;
use super::peer::Peer;
use super::problem::Problem;
use super::{Admin, blocking};
use crate::daemon::directory;
use crate::net::clock;
use crate::rules::diagnostic::Files;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `POST /v1/domains/{domain}/rules/check`: what `apply` would say, without doing it.
pub(super) async fn check(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Json<Findings>, Problem> {
    let edit = edit(domain, &body, None, peer)?;
    let prepared = blocking(move || {
        let next = admin.generations.newest() + 1;
        admin.pipeline.prepare(&edit, next).map(|p| p.findings)
    });
    match prepared.await? {
        Ok(findings) => Ok(Json(findings)),
        // The question was answered: that the rules are wrong is the answer.
        Err(Refused::Broken { findings, .. } | Refused::Golden(findings)) => Ok(Json(findings)),
        Err(refused) => Err(refused.into()),
    }
}

/// `POST /v1/domains/{domain}/rules/apply`: one generation, durable before it is answered.
pub(super) async fn apply(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let edit = edit(domain, &body, if_match(&headers)?, peer)?;
    let taken = blocking(move || admin.pipeline.apply(&edit)).await??;
    let Applied { domain, generation, changed, findings, warnings } = taken;
    for warning in &warnings {
        tracing::warn!(%domain, "{warning}");
    }
    if changed {
        tracing::info!(%domain, generation, uid = peer.uid, "new rules are live");
    }
    let body = json!({
        "domain": domain, "generation": generation, "changed": changed, "diagnostics": findings.diagnostics,
        "expectations": findings.expectations, "warnings": warnings,
    });
    Ok(with_generation(generation, Json(body)))
}

/// `GET /v1/domains/{domain}/rules/export`: the source as it was applied, secrets masked.
pub(super) async fn export(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
) -> Result<Response, Problem> {
    let live = admin.domain(&domain)?;
    let generation = live.stored.generation;
    let files = blocking(move || live.files()).await??;
    Ok(with_generation(generation, Json(mask::mask(&files).0)))
}

/// The ETag that `If-Match` of a later write repeats.
fn with_generation(generation: u64, body: impl IntoResponse) -> Response {
    ([(header::ETAG, format!("\"{generation}\""))], body).into_response()
}

/// A generation, with or without quotes; `*` matches any.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_matches('"')
        .parse()
        .map(Some)
        .map_err(|_| Problem::malformed(format!("If-Match carries a generation such as \"12\", not {text}")))
}

/// The body is a JSON map of file name to text.
pub(super) fn edit(domain: String, body: &[u8], expected: Option<u64>, peer: Peer) -> Result<Edit, Problem> {
    let map: BTreeMap<Arc<str>, Arc<str>> = serde_json::from_slice(body)
        .map_err(|e| Problem::malformed(format!("the body is a JSON map of file name to text: {e}")))?;
    if map.len() > directory::FILES_MAX {
        return Err(Problem::malformed(format!("more than {} files", directory::FILES_MAX)));
    }
    for name in map.keys() {
        let path = std::path::Path::new(&**name);
        let plain = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !plain || !directory::is_rules_text(path) {
            return Err(Problem::malformed(format!(
                "`{name}` is no file of rules: there are *.toml, *.ics and lists/*.txt, by relative path"
            )));
        }
    }
    Ok(Edit {
        domain: Some(domain),
        files: Files(map),
        expected,
        origin: peer.uid.to_string(),
        at: clock::now().wall,
    })
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let said = refused.to_string();
        let not_applied = format!("the rules are not applied: {said}");
        let invalid = |name, detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, detail);
        match refused {
            Refused::Broken { findings, rendered } => invalid("rules-broken", not_applied)
                .with("diagnostics", json!(findings.diagnostics))
                .with("rendered", json!(rendered)),
            Refused::Golden(findings) => invalid("golden-test-failed", not_applied)
                .with("diagnostics", json!(findings.diagnostics))
                .with("expectations", json!(findings.expectations)),
            Refused::NothingToKeep(_) => invalid("nothing-to-keep", said),
            Refused::OtherDomain { .. } => invalid("other-domain", said),
            Refused::Overlap(_) => invalid("address-overlap", said),
            Refused::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_rules_are_taken() {
        let peer = Peer { uid: 0, gid: 0 };
        let take = |body: &str| edit("d".into(), body.as_bytes(), None, peer).map(|e| e.files.0.len());
        assert_eq!(take(r#"{"domain.toml": "", "lists/a.txt": "", "x.ics": ""}"#).ok(), Some(3));
        for body in [
            "[]",
            "{",
            r#"{"../domain.toml": ""}"#,
            r#"{"/etc/x.toml": ""}"#,
            r#"{"run.sh": ""}"#,
            r#"{"a.toml": 1}"#,
        ] {
            assert!(take(body).is_err(), "{body}");
        }
    }

    #[test]
    fn if_match_is_a_generation() {
        let headers = |v: &str| HeaderMap::from_iter([(header::IF_MATCH, v.parse().unwrap())]);
        assert_eq!(if_match(&headers("\"12\"")).ok().flatten(), Some(12));
        assert_eq!(if_match(&headers("*")).ok(), Some(None));
        assert_eq!(if_match(&HeaderMap::new()).ok(), Some(None));
        assert!(if_match(&headers("\"newest\"")).is_err());
    }
}
