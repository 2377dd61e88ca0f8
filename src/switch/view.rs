//! The switch as its admin and its metrics see it. Nothing here changes anything.

use super::{StatusKey, Switch};
use crate::call::office::{Named, Office};
use crate::call::record::CallRecord;
use crate::registrar::Binding;
use crate::registrar::binding::DeviceKey;
use crate::rules::{Ruleset, Status};
use crate::subscription::summary::Counts;
use crate::trunk::Standing;
use std::sync::Arc;

impl Switch {
    /// How our registration at a trunk stands; `None` where the rules want none.
    #[must_use]
    pub fn trunk_registration(&self, trunk: &Named) -> Option<Standing> {
        self.registrations.standing(trunk)
    }

    /// The calls that are up, oldest first, as the admin shows them (`GET /v1/calls`).
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        let mut calls: Vec<CallRecord> =
            self.calls.iter().filter(|(_, call)| !call.is_over()).map(|(_, call)| call.record()).collect();
        calls.sort_by(|a, b| a.id.cmp(&b.id));
        calls
    }

    /// Every registration in force (`GET /v1/registrations`).
    pub fn registrations(&self) -> impl Iterator<Item = &Binding> {
        self.office.location.iter()
    }

    /// What waits in a mailbox.
    #[must_use]
    pub fn messages(&self, mailbox: &Named) -> Counts {
        self.notifier.messages(mailbox)
    }

    /// The bindings of one device.
    #[must_use]
    pub fn bindings(&self, device: &DeviceKey) -> &[Binding] {
        self.office.location.of(device)
    }

    /// Gauges and counters for `GET /v1/status` and `/metrics`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let (clients, servers) = self.office.transactions.len();
        let tally = self.office.transactions.tally();
        Counters {
            calls_active: self.calls.iter().filter(|(_, call)| !call.is_over()).count() as u64,
            registrations: self.office.location.len() as u64,
            subscriptions: self.notifier.len() as u64,
            strangers_shut_out: self.strangers.shut_out() as u64,
            overload: u64::from(self.overload.is_on()),
            transactions: (clients + servers) as u64,
            ports_free: self.office.ports.len() as u64,
            retransmissions_total: tally.retransmissions,
            stray_responses_total: tally.stray_responses,
            shed_total: tally.refused,
            ..self.counters
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn ruleset(&self) -> &Arc<Ruleset> {
        &self.rules
    }

    /// A live status, as it was set.
    #[must_use]
    pub fn status(&self, key: &StatusKey) -> Option<Status> {
        self.office.statuses.of(key)
    }

    /// What all calls share: for a decision about a call that never was, with live state as it is (`POST /v1/route`).
    #[must_use]
    pub fn office(&self) -> &Office {
        &self.office
    }
}

/// What the switch counts. Names are those of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    pub calls_active: u64,
    pub calls_total: u64,
    pub registrations: u64,
    pub subscriptions: u64,
    pub requests_total: u64,
    pub responses_total: u64,
    /// Messages refused by their form: requests answered with 400 and the like, responses dropped.
    pub bad_requests_total: u64,
    pub challenges_total: u64,
    /// Sources that are shut out now, and how often any was.
    pub strangers_shut_out: u64,
    pub shut_outs_total: u64,
    /// Messages of strangers that were not looked at: shut out, or more than they may send.
    pub stranger_drops_total: u64,
    /// Calls for help that were let in all the same.
    pub urgent_admitted_total: u64,
    pub auth_failures_total: u64,
    /// Live transactions, client and server.
    pub transactions: u64,
    /// Port pairs that are open and unused.
    pub ports_free: u64,
    /// Messages sent again, and retransmissions absorbed.
    pub retransmissions_total: u64,
    /// Responses that match no transaction.
    pub stray_responses_total: u64,
    /// Requests refused or not sent because a table of transactions was full.
    pub shed_total: u64,
    /// Whether what is new is refused now for lack of time, how often that began, and what was refused, by what it was; of that, what was
    /// dropped without a word.
    pub overload: u64,
    pub overloads_total: u64,
    pub overload_calls_total: u64,
    pub overload_registrations_total: u64,
    pub overload_others_total: u64,
    pub overload_dropped_total: u64,
    /// Legs that did not begin because a budget was used up, and calls that were ended for it.
    pub budget_refusals_total: u64,
    pub budget_ends_total: u64,
    /// Times that one party of a call, or both, fell silent while it went on.
    pub one_way_total: u64,
    pub silent_total: u64,
    /// Recordings that were not made, or broke off.
    pub recordings_failed_total: u64,
    /// What the relays of calls that are over passed on, what was lost before it came, and what they dropped; of that, what was no RTP.
    pub media_packets_total: u64,
    pub media_lost_total: u64,
    pub media_dropped_total: u64,
    pub media_malformed_total: u64,
}
