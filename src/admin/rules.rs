//! Rules over the socket: check, apply and export; and what every edit answers.

use super::edit::{Applied, Author, Edit, Refused};
use super::findings::Findings;
use super::mask;
use super::peer::Peer;
use super::problem::Problem;
use super::{Admin, blocking, until};
use crate::daemon::directory;
use crate::net::clock;
use crate::rules::diagnostic::Files;
use crate::rules::edit::EditError;
use crate::store::trial::{Trial, TrialKind};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
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
        admin.pipeline.prepare(&edit, next).map(|p| p.findings.with(&p.audio))
    });
    match prepared.await? {
        Ok(findings) => Ok(Json(findings)),
        // The question was answered: that the rules are wrong is the answer.
        Err(Refused::Broken { findings, .. } | Refused::Golden(findings)) => Ok(Json(findings)),
        Err(refused) => Err(refused.into()),
    }
}

/// How long a trial may last: one that is forgotten should not fall on somebody's head in spring.
const TRIAL_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

/// The query of `apply`: at most one of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OnTrial {
    /// `10m`
    confirm_within: Option<String>,
    /// `18:00`, or RFC 3339
    until: Option<String>,
}

impl OnTrial {
    fn parse(&self, zone: &TimeZone, now: Timestamp) -> Result<Option<(TrialKind, Timestamp)>, String> {
        let ends = match (&self.confirm_within, &self.until) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err("`confirm-within` and `until` exclude each other".into()),
            (Some(within), None) => {
                let within: SignedDuration = within
                    .parse()
                    .ok()
                    .filter(|d: &SignedDuration| d.is_positive())
                    .ok_or_else(|| format!("`{within}` is no duration: write `10m`, `90s` or `1h30m`"))?;
                let ends = now.checked_add(within).map_err(|_| "that is beyond the calendar".to_owned())?;
                (TrialKind::Confirm, ends)
            }
            (None, Some(text)) => (TrialKind::Until, until::parse(text, zone, now)?),
        };
        if ends.1.duration_since(now) > TRIAL_MAX {
            return Err(format!("a trial lasts at most {} days", TRIAL_MAX.as_hours() / 24));
        }
        Ok(Some(ends))
    }
}

/// `POST /v1/domains/{domain}/rules/apply`: one generation, durable before it is answered.
pub(super) async fn apply(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(on_trial): Query<OnTrial>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    // A domain that is new has no zone yet, and can't be on trial.
    let zone = admin.generations.domain(&domain).and_then(|l| TimeZone::get(l.domain.zone_name()).ok());
    let mut edit = edit(domain, &body, if_match(&headers)?, peer)?;
    edit.trial = on_trial.parse(&zone.unwrap_or(TimeZone::UTC), edit.at).map_err(Problem::invalid)?;
    let applied = blocking(move || admin.pipeline.apply(&edit)).await??;
    said(&applied, peer);
    Ok(with_generation(applied.generation, Json(shown(&applied))))
}

/// A line in the log for what was changed.
pub(super) fn said(applied: &Applied, peer: Peer) {
    let Applied { domain, generation, changed, .. } = applied;
    for warning in applied.lines() {
        tracing::warn!(%domain, "{warning}");
    }
    if *changed {
        tracing::info!(%domain, generation, uid = peer.uid, "new rules are live");
    }
}

/// What every edit answers.
pub(super) fn shown(applied: &Applied) -> Value {
    let Applied { domain, generation, changed, findings, audio, trial, .. } = applied;
    let diagnostics: Vec<_> = findings.diagnostics.iter().chain(audio).collect();
    json!({
        "domain": domain, "generation": generation, "changed": changed, "diagnostics": diagnostics,
        "expectations": findings.expectations, "warnings": applied.lines(), "trial": trial.as_ref().map(trial_shown),
    })
}

/// A trial without the texts that it keeps.
pub(super) fn trial_shown(trial: &Trial) -> Value {
    let Trial { kind, generation, before, ends, origin, undo, .. } = trial;
    json!({
        "kind": kind, "generation": generation, "before": before, "ends": format!("{ends:.3}"), "origin": origin,
        "files": undo.keys().collect::<Vec<_>>(),
    })
}

/// Who speaks, and what they do.
pub(super) fn author(peer: Peer, what: impl Into<String>) -> Author {
    Author { origin: peer.uid.to_string(), what: what.into(), at: clock::now().wall }
}

/// Which generation is exported; the present one without.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    generation: Option<u64>,
}

/// `GET /v1/domains/{domain}/rules/export`: the source as it was applied, secrets masked.
pub(super) async fn export(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let live = admin.domain(&domain)?;
    let generation = which.generation.unwrap_or(live.stored.generation);
    let found = blocking(move || match generation == live.stored.generation {
        true => live.files().map(Some),
        false => Ok(admin
            .store
            .rules_at(&live.stored.domain, generation)?
            .map(|stored| Arc::unwrap_or_clone(stored.files))),
    });
    let missing = || Problem::not_found(format!("{domain} has no generation {generation}, or no longer"));
    Ok(with_generation(generation, Json(mask::mask(&found.await??.ok_or_else(missing)?).0)))
}

/// The ETag that `If-Match` of a later write repeats.
pub(super) fn with_generation(generation: u64, body: impl IntoResponse) -> Response {
    ([(header::ETAG, format!("\"{generation}\""))], body).into_response()
}

/// A generation, with or without quotes; `*` matches any.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
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
        files: Files(map).into(),
        expected,
        origin: peer.uid.to_string(),
        what: "apply".to_owned(),
        at: clock::now().wall,
        trial: None,
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
            Refused::Missing(_) => Problem::not_found(said),
            Refused::OnTrial { trial, .. } => {
                Problem::new(StatusCode::CONFLICT, "on-trial", said).with("trial", trial_shown(&trial))
            }
            Refused::Edit(EditError::Missing(_)) => Problem::not_found(said),
            Refused::Edit(EditError::Wrong(_)) => Problem::invalid(said),
            Refused::Edit(EditError::Referred { referrers, .. }) => {
                Problem::new(StatusCode::CONFLICT, "still-referred-to", said)
                    .with("referrers", json!(referrers))
            }
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
