//! What phones are told at an operator's word: check-sync, and what waits in a mailbox. The answer waits for what each phone says to it.

use super::Admin;
use super::domains::user_of;
use super::problem::Problem;
use crate::rules::Domain;
use crate::subscription::notice::{Finished, Notice, NoticeId, Told, What, Whom};
use crate::subscription::summary::Counts;
use crate::switch::Input;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Notices that are awaited at once; one more is answered with 503. Each ends after 64 s at the latest.
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
    let what = What::CheckSync { to, reboot: reboot(&body)? };
    tell(&admin, live.stored.domain.clone(), what).await
}

/// `POST /v1/domains/{domain}/users/{name}/check-sync`: all phones of a user, those that they sit at among them.
pub(super) async fn check_sync_of_user(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Answer>, Problem> {
    let live = admin.domain(&domain)?;
    let to = Whom::User(user_of(&live.domain, &name)?.name.clone());
    let what = What::CheckSync { to, reboot: reboot(&body)? };
    tell(&admin, live.stored.domain.clone(), what).await
}

fn reboot(body: &[u8]) -> Result<bool, Problem> {
    let wrong =
        |e| Problem::malformed(format!(r#"the body is {{"reboot": true}} or {{"reboot": false}}: {e}"#));
    let CheckSync { reboot } = match body {
        [] => CheckSync::default(),
        body => serde_json::from_slice(body).map_err(wrong)?,
    };
    Ok(reboot)
}

/// `POST /v1/domains/{domain}/mailboxes/{name}/resync`: the phones of its user, and whoever has subscribed, are told again what waits.
pub(super) async fn resync(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
) -> Result<Json<Answer>, Problem> {
    let live = admin.domain(&domain)?;
    let mailbox = mailbox_of(&live.domain, &name)?;
    tell(&admin, live.stored.domain.clone(), What::Messages { mailbox }).await
}

/// `GET /v1/domains/{domain}/mailboxes/{name}/messages`: how many wait.
pub(super) async fn messages(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
) -> Result<Json<Counts>, Problem> {
    let live = admin.domain(&domain)?;
    let of = (live.stored.domain.clone(), mailbox_of(&live.domain, &name)?);
    let counts = admin.plane.query(move |switch, _| switch.messages(&of)).await;
    counts.map(Json).ok_or_else(Problem::no_answer)
}

/// `PUT /v1/domains/{domain}/mailboxes/{name}/messages`: how many wait, said by whoever keeps them; subscribed phones are told. It is held
/// in memory alone: a daemon that starts knows of none until it is told again.
pub(super) async fn set_messages(
    State(admin): State<Arc<Admin>>,
    Path((domain, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Counts>, Problem> {
    let live = admin.domain(&domain)?;
    let mailbox = mailbox_of(&live.domain, &name)?;
    let wrong = |e| {
        let shape = r#"{"new": 2, "old": 8, "new_urgent": 0, "old_urgent": 2}"#;
        Problem::malformed(format!("the body is how many messages wait, such as {shape}: {e}"))
    };
    let counts: Counts = serde_json::from_slice(&body).map_err(wrong)?;
    if counts.new_urgent > counts.new || counts.old_urgent > counts.old {
        return Err(Problem::invalid(
            "the urgent messages are among the others: there can't be more of them",
        ));
    }
    admin.plane.input(Input::Messages { domain: live.stored.domain.clone(), mailbox, counts });
    Ok(Json(counts))
}

/// A user's mailbox by the name or an extension of theirs, one of no user by its extension.
fn mailbox_of(domain: &Domain, name: &str) -> Result<Arc<str>, Problem> {
    let unknown = || {
        format!(
            "{} has no mailbox `{name}`: name a user, or an extension that leads to a mailbox",
            domain.name()
        )
    };
    domain.mailbox(name).cloned().ok_or_else(|| Problem::not_found(unknown()))
}

async fn tell(admin: &Admin, domain: Arc<str>, what: What) -> Result<Json<Answer>, Problem> {
    let Some((id, told)) = admin.notices.begin() else {
        let detail = format!("{NOTICES_MAX} notices are under way; try again when they have been answered");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-notices", detail));
    };
    admin.plane.input(Input::Notice(Notice { id, domain, what }));
    Ok(Json(Answer { contacts: told.await.map_err(|_| Problem::no_answer())? }))
}
