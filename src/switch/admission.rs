//! Who is let in at the door: before anything of a message is read, and after its credentials were looked at (RFC 3261 §26.1.5, §26.3.2.4).

use super::strangers::ShutOut;
use super::urgent;
use super::{Event, Switch};
use crate::call::office::Office;
use crate::clock::Now;
use crate::registrar::digest::Verdict;
use crate::rules::Ruleset;
use crate::sip::{Flow, Message, Name};
use std::net::SocketAddr;

impl Switch {
    /// Whether a message that came by this flow is to be looked at. The edge asks before it reads one, so that what is refused costs
    /// a look-up. Responses are messages too: whom we call is registered, or a trunk. A few calls for help are let in from anywhere.
    pub fn admits(&mut self, now: Now, flow: &Flow, bytes: &[u8]) -> bool {
        if self.is_known(flow) || self.proven.is_used(now.mono, flow) {
            return true;
        }
        let vouched = || is_vouched_for(&self.rules, &self.office, flow.remote);
        let ip = flow.remote.ip();
        if self.strangers.admits(now.mono, ip, flow.transport, vouched) {
            return true;
        }
        let is_one = || urgent::is_call_for_help(bytes, &self.rules);
        let admitted = self.strangers.admits_call_for_help(now.mono, ip, is_one);
        self.counters.urgent_admitted_total += u64::from(admitted);
        self.counters.stranger_drops_total += u64::from(!admitted);
        admitted
    }

    /// Hands a message that was read to the transaction layer; an emergency call has room there where nothing else has any more.
    pub(super) fn take_in(&mut self, now: Now, flow: Flow, message: Message) {
        let urgent = self.office.transactions.is_full() && urgent::is_emergency_invite(&message, &self.rules);
        let Office { transactions, events, .. } = &mut self.office;
        match urgent {
            true => transactions.receive_urgent(now.mono, flow, message, events),
            false => transactions.receive(now.mono, flow, message, events),
        }
    }

    /// A flow that has registered, or whose certificate is a trunk's.
    fn is_known(&self, flow: &Flow) -> bool {
        self.office.location.knows(flow) || self.certified.is_trunk(flow)
    }

    /// What a stranger's credentials were counts for or against where they came from. What shows nothing about where that is counts for
    /// nothing: no credentials, broken ones, and those that answer no challenge of ours that was sent there.
    pub(super) fn judged(&mut self, now: Now, flow: &Flow, request: &Message, verdict: &Verdict) {
        if self.is_known(flow) {
            return;
        }
        match verdict {
            Verdict::Missing | Verdict::Malformed | Verdict::Stale => return,
            Verdict::Verified(_) => {
                self.strangers.verified(now.mono, flow.remote.ip());
                return self.proven.learn(now.mono, flow);
            }
            Verdict::Wrong => self.proven.forget(flow),
        }
        if is_vouched_for(&self.rules, &self.office, flow.remote) {
            return;
        }
        let said = request.values(Name::Authorization).chain(request.values(Name::ProxyAuthorization));
        let out = self.strangers.failed(now.mono, flow.remote.ip(), said.collect::<Vec<_>>());
        let Some(ShutOut { source, lasts }) = out else { return };
        self.counters.shut_outs_total += 1;
        self.told.push(Event::StrangerShutOut { source: source.to_string(), for_s: lasts.as_secs() });
    }
}

/// Whether this is an address of the rules, or one that a trunk's name leads to.
fn is_vouched_for(rules: &Ruleset, office: &Office, remote: SocketAddr) -> bool {
    rules.is_known_source(remote) || office.lines.leads_to(remote.ip())
}
