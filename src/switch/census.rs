//! How much stands in each table of the core: for whoever wants to know what it holds, and for the simulator, which holds it to what it
//! should. Nothing here changes anything; it costs what the tables hold.

use super::Switch;
use crate::call::census::CallCensus;
use crate::transaction::ClientId;
use crate::transaction::census::States;
use std::time::Instant;

/// What the core holds at one moment.
#[derive(Clone, Debug)]
pub struct Census<'a> {
    /// In the order of their keys.
    pub calls: Vec<CallCensus<'a>>,
    pub transactions: States,
    /// INVITEs of ours that begin a dialog and wait for their final response.
    pub awaiting: Vec<ClientId>,
    /// What belongs to calls, requests and their transactions: nothing, once all have hung up and the transactions' timers are over.
    pub of_calls: Vec<(&'static str, usize)>,
    /// What stands between calls: registrations, subscriptions, what is set live, who was heard of.
    pub standing: Vec<(&'static str, usize)>,
    /// Queues of deadlines: entries, and owners that may have one that counts.
    pub deadlines: Vec<(&'static str, usize, usize)>,
    /// Port pairs that are open and free.
    pub ports_free: usize,
    /// When it wants to see the clock again.
    pub deadline: Option<Instant>,
}

impl Census<'_> {
    /// What of calls is left, by name.
    pub fn left(&self) -> impl Iterator<Item = &(&'static str, usize)> {
        self.of_calls.iter().filter(|(_, count)| *count > 0)
    }
}

impl Switch {
    /// Counts everything.
    #[must_use]
    pub fn census(&self) -> Census<'_> {
        let mut calls: Vec<CallCensus<'_>> = self.calls.iter().map(|(_, call)| call.census()).collect();
        calls.sort_by_key(|call| call.key);
        let mut awaiting = Vec::new();
        let office = &self.office;
        let transactions = office.transactions.census(&mut awaiting);
        awaiting.sort();
        let kept = office.transactions.kept();
        let [(_, clients), _, _, (_, servers), _, (_, client_deadlines), (_, server_deadlines)] = kept;
        let (call_ids, moved, call_deadlines) = self.calls.kept();
        let (pages, copies) = self.pager.kept();
        let (notices, notified) = self.notices.kept();
        let (awaiting_devices, callbacks) = office.kept();
        let mut of_calls = vec![
            ("calls", self.calls.len()),
            ("Call-IDs", call_ids),
            ("moved dialogs", moved),
            ("INVITEs that wait for their final response", office.pending.len()),
            ("users in calls", office.active.len()),
            ("dialogs that are shown", office.dialogs.all().count()),
            ("conference rooms", office.rooms.len()),
            ("channels of trunks", office.lines.held()),
            ("messages on their way", pages),
            ("copies of messages", copies),
            ("notices", notices),
            ("NOTIFYs of notices", notified),
            ("errands", office.errands.len()),
            ("events", office.events.len()),
            ("effects", office.effects.len()),
            ("changes to be told", self.moved.len()),
            ("events to be told", self.told.len()),
            ("notices that are over", self.finished.len()),
        ];
        of_calls.extend(kept.into_iter().filter(|(name, _)| !name.ends_with("deadlines")));
        Census {
            calls,
            transactions,
            awaiting,
            of_calls,
            standing: vec![
                ("registrations", office.location.len()),
                ("subscriptions", self.notifier.len()),
                ("devices that are waited for", awaiting_devices),
                ("call-back numbers", callbacks),
                ("sources of strangers", self.strangers.sources()),
                ("flows that have proved themselves", self.proven.len()),
                ("sources of wrong PINs", office.guesses.sources()),
            ],
            deadlines: vec![
                ("client transactions", client_deadlines, clients),
                ("server transactions", server_deadlines, servers),
                ("calls", call_deadlines, self.calls.len()),
            ],
            ports_free: office.ports.len(),
            deadline: self.deadline(),
        }
    }
}
