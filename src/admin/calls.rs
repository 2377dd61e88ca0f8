//! Calls and registrations: what runs, what ran, and why.

use super::problem::Problem;
use super::{Admin, blocking};
use crate::call::record::CallRecord;
use crate::registrar::Binding;
use crate::rules::Explanation;
use crate::switch::Input;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Records of one answer; `limit` is cut to it.
pub const RECORDS_MAX: usize = 10_000;
/// Where no `limit` is given.
const RECORDS_DEFAULT: usize = 100;

/// `GET /v1/calls`: those that are up.
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Result<Json<Vec<CallRecord>>, Problem> {
    Ok(Json(up(&admin).await?))
}

/// `GET /v1/calls/{id}`: by its id or Call-ID, up or over.
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<Json<CallRecord>, Problem> {
    find(&admin, &id).await.map(Json)
}

/// `GET /v1/calls/{id}/explanation`
pub(super) async fn explanation(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<Json<Explanation>, Problem> {
    find(&admin, &id).await.map(|record| Json(record.explanation))
}

/// `DELETE /v1/calls/{id}`: hangs up. 202: the BYE is on its way, and `call.ended` tells the rest.
pub(super) async fn hang_up(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<CallRecord>), Problem> {
    let record = up(&admin).await?.into_iter().find(|c| c.id == id || c.call_id == id);
    let record = record.ok_or_else(|| Problem::not_found(format!("no call `{id}` is up")))?;
    admin.plane.input(Input::Hangup { call: record.id.clone() });
    Ok((StatusCode::ACCEPTED, Json(record)))
}

/// A binding as the socket shows it.
#[derive(Serialize)]
pub(super) struct Registration {
    domain: Arc<str>,
    device: Arc<str>,
    contact: Arc<str>,
    /// Where an INVITE goes.
    remote: String,
    transport: &'static str,
    registered: String,
    expires: String,
    user_agent: Option<Arc<str>>,
    /// The proxies on the way (RFC 3327).
    path: Vec<Arc<str>>,
    /// The phone (RFC 5626), and which of its flows this is.
    instance: Option<String>,
    reg_id: Option<u32>,
    /// It has to be woken before it can be called (RFC 8599).
    asleep: bool,
}

impl From<&Binding> for Registration {
    fn from(b: &Binding) -> Registration {
        Registration {
            domain: b.key.device.domain.clone(),
            device: b.key.device.device.clone(),
            contact: b.uri.clone(),
            remote: b.flow.remote.to_string(),
            transport: b.flow.transport.via_word(),
            registered: b.registered.to_string(),
            expires: b.expires.to_string(),
            user_agent: b.user_agent.clone(),
            path: b.path().to_vec(),
            instance: b.instance().map(str::to_owned),
            reg_id: b.reg_id(),
            asleep: b.is_asleep(),
        }
    }
}

/// `GET /v1/registrations`
pub(super) async fn registrations(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<Registration>>, Problem> {
    let bindings = admin
        .plane
        .query(|switch, _| switch.registrations().map(Registration::from).collect::<Vec<_>>())
        .await;
    let mut bindings = bindings.ok_or_else(Problem::no_answer)?;
    bindings.sort_by(|a, b| (&a.domain, &a.device, &a.contact).cmp(&(&b.domain, &b.device, &b.contact)));
    Ok(Json(bindings))
}

#[derive(Deserialize)]
pub(super) struct RecordsAsked {
    limit: Option<usize>,
}

/// `GET /v1/records?limit=N`: newest first.
pub(super) async fn records(
    State(admin): State<Arc<Admin>>,
    Query(asked): Query<RecordsAsked>,
) -> Result<Json<Vec<CallRecord>>, Problem> {
    let limit = asked.limit.unwrap_or(RECORDS_DEFAULT).min(RECORDS_MAX);
    Ok(Json(blocking(move || admin.store.records(limit)).await??))
}

async fn up(admin: &Admin) -> Result<Vec<CallRecord>, Problem> {
    admin.plane.query(|switch, _| switch.calls()).await.ok_or_else(Problem::no_answer)
}

/// A call that is up, else one of the store.
async fn find(admin: &Arc<Admin>, id: &str) -> Result<CallRecord, Problem> {
    if let Some(record) = up(admin).await?.into_iter().find(|c| c.id == id || c.call_id == id) {
        return Ok(record);
    }
    let (asked, id) = (admin.clone(), id.to_owned());
    let record = blocking({
        let id = id.clone();
        move || asked.store.record(&id)
    });
    record
        .await??
        .ok_or_else(|| Problem::not_found(format!("there is no call `{id}`, neither up nor in the records")))
}
