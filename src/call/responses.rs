//! What a call waits for: responses to its requests, and the clock. Each goes to the part of the call that it is for.

use super::branch::Branch;
use super::office::Office;
use super::unacked::Unacked;
use super::{Call, State};
use crate::clock::Now;
use crate::sip::{Flow, Message};
use crate::transaction::{ClientId, Failure};
use std::time::Instant;

impl Call {
    /// A response to a request of ours.
    pub fn response(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        flow: Flow,
        message: &Message,
    ) {
        self.answered_on(client, flow, message);
        if matches!(message.status(), 401 | 407) && self.answers_in_dialog(office, now, client, message) {
            return;
        }
        let first = self.first_name(client);
        if self.asking_response(office, now, first, message) {
            return;
        }
        if let Some(index) = self.branches.iter().position(|branch| branch.client == client) {
            return self.branch_response(office, now, index, message);
        }
        let client = first;
        if message.status() >= 200 {
            self.answered_finally(client);
        }
        if self.early_updated(office, now, client, message)
            || self.join_response(office, now, client, message)
            || self.own_response(office, now, client, message)
            || self.lasting_response(office, now, client, message)
            || self.pass_response(office, now, client, flow, message)
        {
            return;
        }
        if message.status() >= 200 {
            self.told(office, now, client);
            self.byes = self.byes.saturating_sub(1);
        }
    }

    /// A request of ours got no final response.
    pub fn failed(&mut self, office: &mut Office, now: Now, client: ClientId, why: Failure) {
        let first = self.first_name(client);
        if self.asking_failed(office, now, first) {
            return;
        }
        if let Some(index) = self.branches.iter().position(|branch| branch.client == client) {
            return self.branch_failed(office, now, index, why);
        }
        let client = first;
        self.answered_finally(client);
        if !self.early_update_failed(office, now, client)
            && !self.join_failed(office, now, client)
            && !self.own_failed(office, now, client)
            && !self.lasting_failed(office, now, client)
            && !self.pass_failed(office, now, client)
        {
            self.told(office, now, client);
            self.byes = self.byes.saturating_sub(1);
        }
    }

    pub fn timeout(&mut self, office: &mut Office, now: Now) {
        if self.prack_timeout(office, now) {
            return;
        }
        self.newcomers_timeout(office, now);
        match &self.state {
            State::Ringing(_) => {
                self.caller.remind(office, now);
                self.lose_patience(office, now);
                self.give_up_sleepers(office, now);
                let State::Ringing(ring) = &mut self.state else { return };
                let mut orders = Vec::new();
                ring.poll(now.mono, &mut orders);
                self.ring_on(office, now, orders);
            }
            State::Answered(_) => {
                self.transfer_timeout(office, now);
                self.bridge_timeout(office, now);
                self.refresh_timeout(office, now);
            }
            State::Served(_) => self.served_timeout(office, now),
            State::Over(_) => self.farewell_timeout(office, now),
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let of_state = match &self.state {
            State::Ringing(ring) => {
                let patience = self.branches.iter().filter_map(Branch::patience);
                let waking = self.sleepers_deadline();
                ring.deadline().into_iter().chain(patience).chain(self.caller.deadline()).chain(waking).min()
            }
            State::Answered(bridge) => {
                let own = bridge.deadline().into_iter().chain(self.caller.prack_deadline());
                own.chain(self.transfer_deadline()).chain(self.refresh_deadline()).min()
            }
            State::Served(served) => {
                let early = self.caller.deadline().filter(|_| served.is_refusing());
                let lasting = self.caller.peer.session.deadline();
                served.deadline().into_iter().chain(early).chain(lasting).min()
            }
            State::Over(farewell) => farewell.as_ref().map(Unacked::deadline),
        };
        of_state.into_iter().chain(self.newcomers_deadline()).min()
    }
}
