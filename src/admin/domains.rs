//! Domains, their users, and live status: of users, time frames and hot-desk phones.

use super::problem::Problem;
use super::status::{Change, FrameChange, SeatChange, UserChange};
use super::until;
use super::{Admin, blocking, moment};
use crate::admin::generation::Live;
use crate::net::clock;
use crate::rules::compile::UserView;
use crate::rules::edit::Kind;
use crate::rules::set_forward::{NotSet, in_source};
use crate::rules::{Domain, Status, StatusKey, StatusObject};
use crate::switch::Input;
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
    /// The name of its time zone.
    zone: String,
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
            zone: live.domain.zone_name().to_owned(),
            applied: moment::millis(&live.stored.applied),
            origin: live.stored.origin.clone(),
            users: live.domain.user_count(),
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
    status: Option<Status>,
}

impl UserShown {
    fn new(admin: &Admin, live: &Live, view: &UserView) -> UserShown {
        let rules = live.domain.user_rules(&view.name).map(|rules| rules.cloned().collect());
        let key =
            StatusKey { domain: live.stored.domain.clone(), object: StatusObject::User(view.name.clone()) };
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

/// Every user with what is live of it.
pub(super) fn users_shown(admin: &Admin, live: &Live) -> serde_json::Value {
    let users: Vec<_> = live.domain.users().map(|u| UserShown::new(admin, live, u)).collect();
    serde_json::json!(users)
}

/// One user with what is live of it.
pub(super) fn user_shown(admin: &Admin, live: &Live, name: &str) -> Result<serde_json::Value, Problem> {
    Ok(serde_json::json!(UserShown::new(admin, live, user_of(&live.domain, name)?)))
}

/// The live status of an object that may have one.
pub(super) fn status_of(admin: &Admin, live: &Live, kind: &Kind, name: &str) -> Option<Status> {
    let object = match kind.table {
        "user" => StatusObject::User(name.into()),
        "time_frame" => StatusObject::TimeFrame(name.into()),
        "device" => StatusObject::Device(name.into()),
        _ => return None,
    };
    let key = StatusKey { domain: live.stored.domain.clone(), object };
    admin.statuses.of(&key, clock::now().wall)
}

/// `PATCH /v1/domains/{domain}/users/{name}/status`: durable before it is answered.
pub(super) async fn patch_status(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Option<Status>>, Problem> {
    let live = admin.domain(&domain)?;
    let view = user_of(&live.domain, &name)?;
    let now = clock::now().wall;
    let mut change = UserChange::parse(&body, &zone(&view.zone)?, now).map_err(Problem::invalid)?;
    make_sense(&mut change, &live, view).await?;
    set(admin, &live, StatusObject::User(view.name.clone()), Change::User(change), now).await
}

/// `PATCH /v1/domains/{domain}/time-frames/{name}/status`: `{"override": "on" | "off" | null, "until": ...}`, durable before it is
/// answered. `until` as `HH:MM` is by the clock of the frame's zone.
pub(super) async fn patch_frame_status(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Option<Status>>, Problem> {
    let live = admin.domain(&domain)?;
    let Some(frame) = live.domain.trees().frames.iter().find(|frame| *frame.name == *name) else {
        return Err(Problem::not_found(format!("{} has no time frame `{name}`", live.stored.domain)));
    };
    let name = &frame.name;
    let zone = match &frame.frame.zone {
        Some(own) => own.time_zone().clone(),
        None => zone(live.domain.zone_name())?,
    };
    let now = clock::now().wall;
    let change = FrameChange::parse(&body, &zone, now).map_err(Problem::invalid)?;
    set(admin, &live, StatusObject::TimeFrame(name.clone()), Change::Frame(change), now).await
}

/// `PATCH /v1/domains/{domain}/devices/{name}/status`: `{"hotdesk": "priya" | null, "until": ...}`, who sits at a hot-desk phone;
/// durable before it is answered. `until` as `HH:MM` is by the clock of that user's zone. Whoever sat there is logged out, and unless
/// `keep_elsewhere` says otherwise the user is logged out everywhere else.
pub(super) async fn patch_device_status(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Option<Status>>, Problem> {
    let live = admin.domain(&domain)?;
    let Some(device) = live.domain.device(&name) else {
        return Err(Problem::not_found(format!("{} has no device `{name}`", live.stored.domain)));
    };
    let name = &device.key.device;
    if !live.domain.is_hotdesk(name) {
        let detail = format!("nobody can log in to {name}: its `hotdesk` is not true");
        return Err(Problem::invalid(detail));
    }
    let object = StatusObject::Device(name.clone());
    let now = clock::now().wall;
    let asked = SeatChange::parse(&body, &TimeZone::UTC, now).map_err(Problem::invalid)?;
    let key = StatusKey { domain: live.stored.domain.clone(), object: object.clone() };
    let seated = || match admin.statuses.of(&key, now) {
        Some(Status::Device(seat)) => Some(seat.user),
        _ => None,
    };
    let Some(user) = asked.user.clone().unwrap_or_else(seated) else {
        return set(admin, &live, object, Change::Seat(asked), now).await;
    };
    let view = user_of(&live.domain, &user)?;
    let zone = zone(&view.zone)?;
    // Read again by the right clock.
    let mut change = SeatChange::parse(&body, &zone, now).map_err(Problem::invalid)?;
    change.user = change.user.map(|_| Some(view.name.clone()));
    let (reread, name) = (live.clone(), view.name.clone());
    let hotdesk = blocking(move || reread.model().map(|model| model.users.get(&name)?.hotdesk.clone()));
    let hotdesk = hotdesk.await??;
    change.keep_elsewhere = hotdesk.as_ref().is_some_and(|hotdesk| hotdesk.keep_elsewhere);
    change.log_out = hotdesk.and_then(|hotdesk| until::next(hotdesk.log_out_at?, &zone, now));
    set(admin, &live, object, Change::Seat(change), now).await
}

fn zone(name: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(name).map_err(|e| Problem::fault(format!("the zone {name}: {e}")))
}

async fn set(
    admin: Arc<Admin>,
    live: &Live,
    object: StatusObject,
    change: Change,
    now: jiff::Timestamp,
) -> Result<Json<Option<Status>>, Problem> {
    let key = StatusKey { domain: live.stored.domain.clone(), object };
    let status = blocking(move || {
        admin.statuses.change(&*admin.store, &key, &change, now, |key, status| {
            admin.plane.input(Input::Status { key, status });
        })
    });
    Ok(Json(status.await??))
}

/// A rule that is picked exists, queues that are named do, and a forward leads somewhere: it is written out as a rule would have it.
async fn make_sense(change: &mut UserChange, live: &Arc<Live>, user: &UserView) -> Result<(), Problem> {
    let domain = &live.domain;
    let rules = || domain.user_rules(&user.name).into_iter().flatten();
    if let Some(Some(rule)) = &change.rule
        && !rules().any(|name| **name == **rule)
    {
        let names: Vec<_> = rules().map(|name| format!("`{name}`")).collect();
        return Err(Problem::invalid(format!("there is no rule `{rule}`; there are {}", names.join(", "))));
    }
    // What has no extension stands in the source alone.
    let mut to_look_up = None;
    if let Some(Some(forward)) = &mut change.forward {
        match domain.set_forward(&user.name, forward) {
            Ok(to) => *forward = to.to_string(),
            Err(NotSet::Wrong(what)) => return Err(Problem::invalid(what)),
            Err(NotSet::Unknown(to)) => to_look_up = Some(to),
        }
    }
    if to_look_up.is_none() && change.queues.is_empty() {
        return Ok(());
    }
    let (reread, queues) = (live.clone(), change.queues.clone());
    let looked_up = blocking(move || -> Result<(), Problem> {
        let model = reread.model()?;
        if let Some(queue) = queues.into_keys().find(|queue| !model.services.queues.contains_key(queue)) {
            return Err(Problem::invalid(format!("there is no queue `{queue}`")));
        }
        to_look_up.map_or(Ok(()), |to| in_source(&model, &to)).map_err(Problem::invalid)
    });
    looked_up.await?
}

/// By name, or by an extension of the user.
pub(super) fn user_of<'a>(domain: &'a Domain, name: &str) -> Result<&'a UserView, Problem> {
    domain
        .user(name)
        .or_else(|| domain.user_of_extension(name))
        .ok_or_else(|| Problem::not_found(format!("{} has no user `{name}`", domain.name())))
}
