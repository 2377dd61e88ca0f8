//! `plan` and `replay` over the socket: what other rules would decide, of calls that could come and of calls that came.

use super::peer::Peer;
use super::problem::Problem;
use super::{Admin, blocking, calls, rules};
use crate::call::record::CallRecord;
use crate::net::clock;
use crate::rules::compare::{Comparison, Side, compare};
use crate::rules::diagnostic::Files;
use crate::rules::model::Model;
use crate::rules::replay::{Elsewhere, Past, replay as decide_again};
use crate::rules::route::Query as Call;
use crate::rules::{Domain, source};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Calls that `replay` lists; further ones are counted.
const LISTED_MAX: usize = 500;

/// What `plan` answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    pub domain: String,
    /// The generation that it was compared with; 0: the domain is new.
    pub generation: u64,
    #[serde(flatten)]
    pub comparison: Comparison,
    pub recorded: Recorded,
    /// What would not work of it, a line each: those that `apply` gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What became of the recorded calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// Calls that were decided again.
    pub calls: usize,
    /// Of these, those that would go elsewhere.
    pub elsewhere: usize,
    /// The start of the oldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What `replay` answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Replay {
    pub domain: String,
    pub generation: u64,
    pub recorded: Recorded,
    /// The newest first.
    pub calls: Vec<Elsewhere>,
}

/// `POST /v1/domains/{domain}/rules/plan`: what `apply` would change, in words. The body is that of `apply`.
pub(super) async fn plan(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Json<Plan>, Problem> {
    let edit = rules::edit(domain, &body, None, peer)?;
    let planned = blocking(move || -> Result<Plan, Problem> {
        let prepared = admin.pipeline.prepare(&edit, admin.generations.newest() + 1)?;
        let name = prepared.domain.name().to_string();
        let Some(live) = admin.generations.domain(&name) else {
            return Err(Problem::not_found(format!("there is no domain `{name}` yet: all of it is new")));
        };
        let (old, new) = (live.model()?, model(&prepared.files)?);
        let before = Side { model: &old, domain: &live.domain };
        let after = Side { model: &new, domain: &prepared.domain };
        let comparison = compare(&before, &after, clock::now().wall);
        let (recorded, _) = match comparison.changed.is_empty() {
            true => (Recorded::default(), Vec::new()),
            false => again(&admin, &live.domain, &prepared.domain, None)?,
        };
        let (generation, warnings) = (live.stored.generation, prepared.lines());
        Ok(Plan { domain: name, generation, comparison, recorded, warnings })
    });
    planned.await?.map(Json)
}

#[derive(Deserialize)]
pub(super) struct Asked {
    since: Option<Timestamp>,
}

/// `POST /v1/domains/{domain}/rules/replay?since=T`: recorded calls that would go elsewhere.
pub(super) async fn replay(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
    Query(asked): Query<Asked>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Json<Replay>, Problem> {
    let edit = rules::edit(domain, &body, None, peer)?;
    let replayed = blocking(move || -> Result<Replay, Problem> {
        let prepared = admin.pipeline.prepare(&edit, admin.generations.newest() + 1)?;
        let live = admin.domain(prepared.domain.name())?;
        let (recorded, calls) = again(&admin, &live.domain, &prepared.domain, asked.since)?;
        let domain = live.stored.domain.to_string();
        Ok(Replay { domain, generation: live.stored.generation, recorded, calls })
    });
    replayed.await?.map(Json)
}

/// Files that were prepared have been read without an error.
fn model(files: &Files) -> Result<Model, Problem> {
    source::load(files)
        .model
        .ok_or_else(|| Problem::fault("the rules were read once, and can't be read again"))
}

/// The newest records, decided by both.
fn again(
    admin: &Admin,
    before: &Arc<Domain>,
    after: &Arc<Domain>,
    since: Option<Timestamp>,
) -> Result<(Recorded, Vec<Elsewhere>), Problem> {
    let records = admin.store.records(calls::RECORDS_MAX)?;
    let ours = records.iter().filter(|record| record.domain.eq_ignore_ascii_case(before.name()));
    let mut recorded = Recorded::default();
    let mut elsewhere = Vec::new();
    for past in ours.filter_map(past) {
        if since.is_some_and(|since| past.at < since) {
            break;
        }
        recorded.calls += 1;
        recorded.since = Some(past.at.to_string());
        if let Some(call) = decide_again(before, after, &past) {
            recorded.elsewhere += 1;
            if elsewhere.len() < LISTED_MAX {
                elsewhere.push(call);
            }
        }
    }
    Ok((recorded, elsewhere))
}

/// A record as a question; `None` for one without a time.
fn past(record: &CallRecord) -> Option<Past<'_>> {
    let at = record.start.parse().ok()?;
    let device = record.from.origin.strip_prefix("device:").map(str::to_owned);
    let number = record.from.e164.clone().unwrap_or_else(|| record.from.raw.clone());
    let from = if record.from.privacy { "anonymous".to_owned() } else { number };
    // From outside a number was called in the trunk's own way of writing; it is known which of ours it was.
    let to = match (&device, &record.did) {
        (None, Some(did)) => did.clone(),
        _ => record.to.clone(),
    };
    let query = Call {
        to,
        from: (!from.is_empty()).then_some(from),
        from_name: record.from.name.clone(),
        from_device: device,
        via: None,
        at: Some(record.start.clone()),
    };
    let legs = record.legs.iter().map(|leg| (leg.to.as_str(), leg.reason.as_deref().unwrap_or_default()));
    Some(Past { id: &record.id, at, query, explanation: &record.explanation, legs: legs.collect() })
}
