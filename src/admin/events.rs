//! The event stream as server-sent events. A reader that can't keep up is told so and dropped: its events are not kept, and nobody
//! else waits for it.

use super::Admin;
use super::problem::Problem;
use crate::switch::Event;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event as Sent, KeepAlive};
use futures_util::Stream;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Events that a reader may lag behind; one more drops it.
pub const BACKLOG_MAX: usize = 1024;
/// Readers at once: fewer than connections, so that they can't lock everybody else out.
pub const READERS_MAX: usize = 32;

/// Where events go, and who may read them.
pub struct Announcer {
    sender: broadcast::Sender<Arc<Event>>,
    /// Counts generations: for parts of the daemon that need no other event, and should not be woken by each.
    applied: watch::Sender<u64>,
    readers: Arc<Semaphore>,
}

impl Default for Announcer {
    fn default() -> Announcer {
        Announcer {
            sender: broadcast::Sender::new(BACKLOG_MAX),
            applied: watch::Sender::default(),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }
}

impl Announcer {
    /// Changes with every generation of the rules that goes live.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Every event from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }

    /// Never waits; without readers the event is gone.
    pub fn announce(&self, event: Event) {
        if matches!(event, Event::RulesApplied { .. }) {
            self.applied.send_modify(|count| *count += 1);
        }
        if self.sender.receiver_count() > 0 {
            // An error only says that nobody reads any more.
            let _ = self.sender.send(Arc::new(event));
        }
    }
}

/// One reader.
struct Reader {
    receiver: broadcast::Receiver<Arc<Event>>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// `GET /v1/events`
pub(super) async fn stream(
    State(admin): State<Arc<Admin>>,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Problem> {
    let permit = admin.events.readers.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{READERS_MAX} readers of the event stream are connected already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-readers", detail)
    })?;
    let events = follow(Reader { receiver: admin.events.subscribe(), _permit: Some(permit) });
    // A first comment, so that a reader knows that it will miss nothing from here on.
    let hello = futures_util::stream::once(async { Ok(Sent::default().comment("listening")) });
    Ok(Sse::new(futures_util::StreamExt::chain(hello, events)).keep_alive(KeepAlive::default()))
}

/// Every event until the daemon ends, or until the reader has fallen too far behind: then a notice, and nothing more.
fn follow(reader: Reader) -> impl Stream<Item = Result<Sent, Infallible>> {
    futures_util::stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.receiver.recv().await {
            Ok(event) => Some((Ok(sent(&event)), Some(reader))),
            Err(RecvError::Lagged(missed)) => {
                let notice = serde_json::json!({ "missed": missed, "backlog_max": BACKLOG_MAX });
                Some((Ok(Sent::default().event("dropped").data(notice.to_string())), None))
            }
            Err(RecvError::Closed) => None,
        }
    })
}

/// `event: call.started`, `data: {...}`.
fn sent(event: &Event) -> Sent {
    let mut whole = serde_json::to_value(event).unwrap_or_default();
    let name = whole.get("event").and_then(|e| e.as_str()).unwrap_or("fault").to_owned();
    let data = whole.get_mut("data").map(serde_json::Value::take).unwrap_or_default();
    Sent::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    #[tokio::test]
    async fn a_reader_that_falls_too_far_behind_is_told_so_and_dropped() {
        let announcer = Announcer::default();
        let mut slow = Box::pin(follow(Reader { receiver: announcer.subscribe(), _permit: None }));
        let mut quick = announcer.subscribe();
        for n in 0..=BACKLOG_MAX {
            announcer.announce(Event::Alarm { what: n.to_string() });
            assert!(quick.try_recv().is_ok(), "nobody else waits for it, or loses anything");
        }
        let notice = format!("{:?}", slow.next().await.unwrap());
        assert!(notice.contains("dropped") && notice.contains("missed"), "{notice}");
        assert!(slow.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_at_the_limit_gets_every_event() {
        let announcer = Announcer::default();
        let slow = follow(Reader { receiver: announcer.subscribe(), _permit: None });
        for n in 0..BACKLOG_MAX {
            announcer.announce(Event::Alarm { what: n.to_string() });
        }
        drop(announcer);
        assert_eq!(slow.count().await, BACKLOG_MAX);
    }
}
