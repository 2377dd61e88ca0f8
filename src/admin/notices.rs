//! What phones are told at an operator's word: check-sync. The answer waits for what each phone says to it.

use super::Admin;
use super::domains::user_of;
use super::problem::Problem;
use crate::subscription::notice::{Finished, Notice, NoticeId, Told, What, Whom};
use crate::switch::Input;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Notices that are awaited at once; one more is answered with 503. Each ends after 32 s at the latest.
pub const NOTICES_MAX: usize = 64;

/// Who waits for which notice.
#[derive(Default)]
pub struct Notices {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    by_id: BTreeMap<u64, Sender<Vec<Told>>>,
}

impl Notices {
    fn begin(&self) -> Option<(NoticeId, Receiver<Vec<Told>>)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.by_id.len() >= NOTICES_MAX {
            return None;
        }
        waiting.last += 1;
        let id = waiting.last;
        let (sender, told) = channel();
        waiting.by_id.insert(id, sender);
        Some((NoticeId(id), told))
    }

    /// What came of a notice. Called on the signalling thread; nothing waits here but for another look at the table.
    pub fn finished(&self, finished: Finished) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waiting.by_id.remove(&finished.id.0) {
            // Whoever asked has gone: nothing to do.
            let _ = sender.send(finished.told);
        }
    }
}

#[derive(Serialize)]
pub(super) struct Answer {
    /// One entry a contact; none where no phone is registered.
    contacts: Vec<Told>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckSync {
    #[serde(default)]
    reboot: bool,
}

/// `POST /v1/domains/{domain}/devices/{name}/check-sync`: `{"reboot": true}`, or nothing.
pub(super) async fn check_sync(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Answer>, Problem> {
    let live = admin.domain(&domain)?;
    let Some(device) = live.domain.device(&name) else {
        return Err(Problem::not_found(format!("{} has no device `{name}`", live.stored.domain)));
    };
    let to = Whom::Device(device.key.device.clone());
    tell(&admin, live.stored.domain.clone(), to, what(&body)?).await
}

/// `POST /v1/domains/{domain}/users/{name}/check-sync`: all phones of a user, those that they sit at among them.
pub(super) async fn check_sync_of_user(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Answer>, Problem> {
    let live = admin.domain(&domain)?;
    let to = Whom::User(user_of(&live.domain, &name)?.name.clone());
    tell(&admin, live.stored.domain.clone(), to, what(&body)?).await
}

fn what(body: &[u8]) -> Result<What, Problem> {
    let wrong =
        |e| Problem::malformed(format!(r#"the body is {{"reboot": true}} or {{"reboot": false}}: {e}"#));
    let CheckSync { reboot } = match body {
        [] => CheckSync::default(),
        body => serde_json::from_slice(body).map_err(wrong)?,
    };
    Ok(What::CheckSync { reboot })
}

async fn tell(admin: &Admin, domain: Arc<str>, to: Whom, what: What) -> Result<Json<Answer>, Problem> {
    let Some((id, told)) = admin.notices.begin() else {
        let detail = format!("{NOTICES_MAX} notices are under way; try again when they have been answered");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-notices", detail));
    };
    admin.plane.input(Input::Notice(Notice { id, domain, to, what }));
    Ok(Json(Answer { contacts: told.await.map_err(|_| Problem::no_answer())? }))
}
