//! Where the signalling thread puts what is not for the wire: registrations and call records to the store, events to their
//! readers, what phones answered to whoever asked, the end of the drain to the daemon. Nothing here waits.

use super::mail::{self, Mailer};
use super::refreshes::Refreshes;
use crate::admin::events::Announcer;
use crate::admin::notices::Notices;
use crate::call::budgets::Usage;
use crate::net::signalling::Sinks;
use crate::registrar::Change;
use crate::store::Store;
use crate::subscription::notice::Finished;
use crate::switch::Event;
use std::sync::Arc;
use tokio::sync::Notify;

pub struct Outlet {
    store: Arc<dyn Store>,
    refreshes: Refreshes,
    events: Arc<Announcer>,
    notices: Arc<Notices>,
    drained: Arc<Notify>,
    /// Where `[mail]` names a server.
    mailer: Option<Mailer>,
}

impl Outlet {
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        events: Arc<Announcer>,
        notices: Arc<Notices>,
        drained: Arc<Notify>,
        mailer: Option<Mailer>,
    ) -> Outlet {
        Outlet { store, refreshes: Refreshes::default(), events, notices, drained, mailer }
    }
}

impl Sinks for Outlet {
    fn binding(&mut self, change: Change) {
        match change {
            Change::Added(binding) | Change::Refreshed(binding) => {
                if self.refreshes.must_be_written(&binding) {
                    self.store.put_binding(binding);
                }
            }
            Change::Removed { key, .. } => {
                self.refreshes.forget(&key);
                self.store.remove_binding(key);
            }
        }
    }

    fn spent(&mut self, usage: Usage) {
        self.store.put_usage(usage);
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::CallEnded(record) => self.store.put_record(record.clone()),
            Event::Emergency(alert) => {
                tracing::warn!(call = alert.id, from = alert.from, dialled = alert.dialled, "emergency call");
                let untold = self.mailer.as_ref().map(|mailer| mailer.tell(alert)).unwrap_or_default();
                for to in untold {
                    self.events.announce(mail::lost(&to, "too many letters wait"));
                }
            }
            Event::Alarm { what } => tracing::warn!("{what}"),
            Event::BudgetStopped(stop) => tracing::warn!(
                call = stop.call,
                user = stop.user,
                class = stop.class,
                used = stop.used,
                ended = stop.ended,
                "a budget is used up"
            ),
            Event::StrangerShutOut { source, for_s } => {
                tracing::info!(%source, for_s, "shut out: too many tries");
            }
            Event::OverloadBegan {} => {
                tracing::warn!("more comes than can be done: what is new is refused");
            }
            Event::OverloadEnded { for_ms, calls, registrations, others } => {
                tracing::warn!(
                    for_ms,
                    calls,
                    registrations,
                    others,
                    "everything is done again; so many were refused"
                );
            }
            Event::TrunkUp { domain, trunk } => tracing::info!(%domain, %trunk, "up"),
            Event::TrunkDown { domain, trunk, why } => {
                tracing::warn!(%domain, %trunk, "down: {why}")
            }
            Event::CallAudio { id, audio } => tracing::info!(call = id, ?audio, "who is heard has changed"),
            Event::ConferenceJoined { .. }
            | Event::ConferenceLeft { .. }
            | Event::CallStarted { .. }
            | Event::CallRinging { .. }
            | Event::CallAnswered { .. }
            | Event::PushWanted { .. }
            | Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::RulesApplied { .. }
            | Event::StatusChanged { .. } => {}
        }
        self.events.announce(event);
    }

    fn noticed(&mut self, finished: Finished) {
        self.notices.finished(finished);
    }

    fn drained(&mut self) {
        self.drained.notify_one();
    }
}
