//! What the daemon says of itself: status, metrics, and the description of this interface.

use super::Admin;
use super::domains::DomainSummary;
use super::openapi;
use super::problem::Problem;
use crate::daemon::metrics;
use crate::net::clock;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is known at start and stays.
#[derive(Clone, Debug)]
pub struct About {
    pub started: jiff::Timestamp,
    /// `udp://127.0.0.1:5060`.
    pub listening: Vec<String>,
    pub media: String,
    pub store: String,
}

/// `GET /v1/status`
pub(super) async fn status(State(admin): State<Arc<Admin>>) -> Result<Json<serde_json::Value>, Problem> {
    let counters = admin.plane.query(|switch, _| switch.counters()).await.ok_or_else(Problem::no_answer)?;
    let domains: Vec<_> = admin.generations.all().iter().map(|l| DomainSummary::new(l)).collect();
    let About { started, listening, media, store } = &admin.about;
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started": started.to_string(),
        "uptime_s": clock::now().wall.duration_since(*started).as_secs(),
        "draining": admin.draining.load(Ordering::Relaxed),
        "listening": listening,
        "media": media,
        "store": store,
        "domains": domains,
        "counters": counters,
        "traffic": admin.plane.traffic(),
    })))
}

/// `GET /metrics`
pub(super) async fn metrics(State(admin): State<Arc<Admin>>) -> Result<Response, Problem> {
    let counters = admin.plane.query(|switch, _| switch.counters()).await.ok_or_else(Problem::no_answer)?;
    let generations = admin.generations.all();
    let generations = generations.iter().map(|l| (&*l.stored.domain, l.stored.generation));
    let (traffic, tally, store) = (admin.plane.traffic(), admin.plane.tally(), admin.store.standing());
    let text = metrics::render(&counters, traffic, tally, store, admin.about.started, generations);
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// `GET /v1/openapi.json`
pub(super) async fn openapi() -> Json<serde_json::Value> {
    Json(openapi::document())
}
