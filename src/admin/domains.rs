//! Domains, their users and the users' live status.

use super::problem::Problem;
use super::status::Change;
use super::{Admin, blocking};
use crate::admin::generation::Live;
use crate::net::clock;
use crate::rules::compile::UserView;
use crate::rules::destination::parse_destination;
use crate::rules::model::User;
use crate::rules::{Domain, UserStatus};
use crate::switch::{Input, StatusKey};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
pub(super) struct DomainSummary {
    name: Arc<str>,
    generation: u64,
    /// RFC 3339: when this generation was applied.
    applied: String,
    origin: String,
    users: usize,
}

impl DomainSummary {
    pub(super) fn new(live: &Live) -> DomainSummary {
        DomainSummary {
            name: live.stored.domain.clone(),
            generation: live.stored.generation,
            applied: live.stored.applied.clone(),
            origin: live.stored.origin.clone(),
            users: live.model.users.len(),
        }
    }
}

/// A user as the socket shows it.
#[derive(Serialize)]
struct UserShown {
    name: Arc<str>,
    display: Arc<str>,
    extensions: Vec<Arc<str>>,
    devices: Vec<Arc<str>>,
    zone: Arc<str>,
    /// Its rules by name, in order.
    rules: Vec<Arc<str>>,
    status: Option<UserStatus>,
}

impl UserShown {
    fn new(admin: &Admin, live: &Live, view: &UserView) -> UserShown {
        let rules =
            live.model.users.get(&view.name).map(|u| u.rules.iter().map(|r| r.name.clone()).collect());
        let key = StatusKey { domain: live.stored.domain.clone(), user: view.name.clone() };
        UserShown {
            name: view.name.clone(),
            display: view.display.clone(),
            extensions: view.extensions.clone(),
            devices: view.devices.clone(),
            zone: view.zone.clone(),
            rules: rules.unwrap_or_default(),
            status: admin.statuses.of(&key, clock::now().wall),
        }
    }
}

/// `GET /v1/domains`
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<Vec<DomainSummary>> {
    Json(admin.generations.all().iter().map(|l| DomainSummary::new(l)).collect())
}

/// `GET /v1/domains/{domain}/users`
pub(super) async fn users(
    State(admin): State<Arc<Admin>>,
    Path(domain): Path<String>,
) -> Result<Json<serde_json::Value>, Problem> {
    let live = admin.domain(&domain)?;
    let users: Vec<_> = live.domain.users().map(|u| UserShown::new(&admin, &live, u)).collect();
    Ok(Json(serde_json::json!(users)))
}

/// `GET /v1/domains/{domain}/users/{name}`
pub(super) async fn user(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, Problem> {
    let live = admin.domain(&domain)?;
    let view = user_of(&live.domain, &name)?;
    Ok(Json(serde_json::json!(UserShown::new(&admin, &live, view))))
}

/// `PATCH /v1/domains/{domain}/users/{name}/status`: durable before it is answered.
pub(super) async fn patch_status(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Option<UserStatus>>, Problem> {
    let live = admin.domain(&domain)?;
    let view = user_of(&live.domain, &name)?;
    let zone = TimeZone::get(&view.zone).map_err(|e| Problem::fault(format!("the zone of {name}: {e}")))?;
    let now = clock::now().wall;
    let change = Change::parse(&body, &zone, now).map_err(Problem::invalid)?;
    if let Some(user) = live.model.users.get(&view.name) {
        means_something(&change, user)?;
    }
    let key = StatusKey { domain: live.stored.domain.clone(), user: view.name.clone() };
    let status = blocking(move || {
        admin.statuses.change(&*admin.store, &key, &change, now, |status| {
            admin.plane.input(Input::Status { key: key.clone(), status });
        })
    });
    Ok(Json(status.await??))
}

/// A rule that is picked exists, and a forward leads somewhere.
fn means_something(change: &Change, user: &User) -> Result<(), Problem> {
    if let Some(Some(rule)) = &change.rule
        && !user.rules.iter().any(|r| &*r.name == rule.as_str())
    {
        let names: Vec<_> = user.rules.iter().map(|r| format!("`{}`", r.name)).collect();
        return Err(Problem::invalid(format!("there is no rule `{rule}`; there are {}", names.join(", "))));
    }
    if let Some(Some(forward)) = &change.forward
        && parse_destination(forward).is_none()
    {
        let detail = format!(
            "`{forward}` is no destination: write `tel:+12025550100`, `user:NAME`, `voicemail:NAME` ..."
        );
        return Err(Problem::invalid(detail));
    }
    Ok(())
}

/// By name, or by an extension of the user.
fn user_of<'a>(domain: &'a Domain, name: &str) -> Result<&'a UserView, Problem> {
    let by_extension = || domain.users().find(|u| u.extensions.iter().any(|e| &**e == name));
    domain
        .user(name)
        .or_else(by_extension)
        .ok_or_else(|| Problem::not_found(format!("{} has no user `{name}`", domain.name())))
}
