//! The admin socket: HTTP/1.1 with JSON over a Unix socket. Who may do what is in [`peer`], how an edit becomes a generation in
//! [`edit`]; errors are problem documents ([`problem`]). It is not on the path of any call: it asks the signalling plane questions
//! and hands it inputs, and never holds anything that a call waits for.

pub mod about;
mod audio;
pub mod calls;
pub mod client;
pub mod domains;
pub mod edit;
pub mod events;
pub mod figure;
pub mod findings;
pub mod generation;
pub mod history;
pub mod insight;
pub mod mask;
pub mod moment;
pub mod notices;
pub mod objects;
pub mod openapi;
pub mod peer;
pub mod plan;
pub mod problem;
pub mod proof;
pub mod refused;
mod restore;
pub mod route;
pub mod rules;
mod sendable;
mod shelf;
mod short;
pub mod status;
pub mod trials;
pub mod trunks;
pub mod until;

use crate::daemon::config::Role;
use crate::daemon::directory::DOMAIN_BYTES_MAX;
use crate::net::signalling::Handle;
use crate::store::Store;
use about::About;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use edit::Pipeline;
use events::Announcer;
use generation::{Generations, Live};
use notices::Notices;
use peer::{Gate, Peer, Roles, require};
use problem::Problem;
use status::Statuses;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

/// An answer that takes longer is given up. (The event stream begins at once, and then lasts.)
pub const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The largest body but that of the rules.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// The largest body of check and apply: a domain's files, escaped as JSON.
pub const RULES_BODY_BYTES_MAX: usize = 2 * DOMAIN_BYTES_MAX as usize;

/// What the routes work on.
pub struct Admin {
    pub store: Arc<dyn Store>,
    pub generations: Arc<Generations>,
    pub pipeline: Pipeline,
    pub statuses: Statuses,
    pub plane: Handle,
    pub events: Arc<Announcer>,
    pub notices: Arc<Notices>,
    pub about: About,
    pub draining: AtomicBool,
    /// Who wrote each line is worked out for one reader at a time: it reads every generation that is kept.
    pub blaming: Arc<Semaphore>,
}

impl Admin {
    fn domain(&self, name: &str) -> Result<Arc<Live>, Problem> {
        self.generations
            .domain(name)
            .ok_or_else(|| Problem::not_found(format!("there is no domain `{name}`")))
    }
}

/// Serves until the task is dropped.
///
/// # Errors
/// The listener breaks.
pub async fn serve(listener: UnixListener, admin: Arc<Admin>, roles: Arc<Roles>) -> std::io::Result<()> {
    let service = router(admin, &roles).into_make_service_with_connect_info::<Peer>();
    axum::serve(Gate::new(listener), service).await
}

/// Every route, by the least role that may use it.
pub fn router(admin: Arc<Admin>, roles: &Arc<Roles>) -> Router {
    let viewer = Router::new()
        .route("/v1/status", get(about::status))
        .route("/v1/domains", get(domains::list))
        .merge(objects::readable())
        .route("/v1/domains/{domain}/rules/history", get(history::list))
        .route("/v1/domains/{domain}/rules/blame/{object}", get(history::blame))
        .route("/v1/domains/{domain}/rules/export", get(rules::export))
        .route("/v1/domains/{domain}/trees/{ext}", get(route::tree))
        .route("/v1/domains/{domain}/calendar/{ext}", get(insight::calendar))
        .route("/v1/domains/{domain}/who-reaches/{ext}", get(insight::reaches))
        .route("/v1/domains/{domain}/blast-radius/{object}", get(insight::blast))
        .route("/v1/domains/{domain}/mailboxes/{name}/messages", get(notices::messages))
        .route("/v1/route", post(route::route))
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/{id}", get(calls::one))
        .route("/v1/calls/{id}/explanation", get(calls::explanation))
        .route("/v1/registrations", get(calls::registrations))
        .route("/v1/records", get(calls::records))
        .route("/v1/trunks", get(trunks::list))
        .route("/v1/events", get(events::stream))
        .route("/v1/openapi.json", get(about::openapi))
        .route("/metrics", get(about::metrics));
    let operator = Router::new()
        .route("/v1/domains/{domain}/users/{name}/status", patch(domains::patch_status))
        .route("/v1/domains/{domain}/time-frames/{name}/status", patch(domains::patch_frame_status))
        .route("/v1/domains/{domain}/devices/{name}/status", patch(domains::patch_device_status))
        .route("/v1/domains/{domain}/users/{name}/check-sync", post(notices::check_sync_of_user))
        .route("/v1/domains/{domain}/devices/{name}/check-sync", post(notices::check_sync))
        .route("/v1/domains/{domain}/mailboxes/{name}/resync", post(notices::resync))
        .route("/v1/domains/{domain}/mailboxes/{name}/messages", put(notices::set_messages))
        .route("/v1/calls/{id}", delete(calls::hang_up));
    let operator = guarded(operator, roles, Role::Operator).merge(guarded(viewer, roles, Role::Viewer));
    let rules = Router::new()
        .route("/v1/domains/{domain}/rules/check", post(rules::check))
        .route("/v1/domains/{domain}/rules/plan", post(plan::plan))
        .route("/v1/domains/{domain}/rules/replay", post(plan::replay))
        .route("/v1/domains/{domain}/rules/diff", post(history::diff))
        .route("/v1/domains/{domain}/rules/apply", post(rules::apply))
        .route("/v1/domains/{domain}/rules/confirm", post(history::confirm))
        .route("/v1/domains/{domain}/rules/rollback", post(history::roll_back))
        .merge(objects::writable());
    let rules = guarded(rules, roles, Role::Admin).layer(DefaultBodyLimit::max(RULES_BODY_BYTES_MAX));
    operator
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(rules)
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn(in_time))
        .with_state(admin)
}

fn guarded(routes: Router<Arc<Admin>>, roles: &Arc<Roles>, least: Role) -> Router<Arc<Admin>> {
    let roles = roles.clone();
    routes.route_layer(from_fn(move |request, next| require(roles.clone(), least, request, next)))
}

async fn nothing_here(request: Request) -> Problem {
    Problem::not_found(format!("there is no {}; /v1/openapi.json lists what there is", request.uri().path()))
}

async fn other_method(request: Request) -> Problem {
    let detail = format!("{} is not for {}", request.method(), request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => as_problem(response).await,
        Err(_) => {
            let detail = format!("no answer within {} s; what was begun goes on", ANSWER_WITHIN.as_secs());
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).into_response()
        }
    }
}

/// What the framework refuses by itself (a body that is too large, a query that is none) is a problem document, too.
async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map(|t| t.as_bytes());
    if !status.is_client_error() || kind == Some(problem::CONTENT_TYPE.as_bytes()) {
        return response;
    }
    let body = axum::body::to_bytes(response.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
    Problem::new(status, "malformed", String::from_utf8_lossy(&body)).into_response()
}

/// Runs what blocks (the store, a compilation) where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Problem::fault(format!("a fault of ours: {e}")))
}
