//! UPDATE before the answer (RFC 3311 §5): an early session changed or held, by the caller or by a leg, and passed to the other where both
//! have agreed on a session by reliable responses. So is an offer in a PRACK of the caller's (RFC 3262 §5), which the leg gets as an UPDATE.
//!
//! Invariants: at most one such change at a time; whoever meets it is told when to try again. A PRACK is answered with 200 whatever the leg
//! says to its offer: with the leg's answer, else with the session that was given before.

use super::challenged::Within;
use super::headers::{self, AGENT};
use super::office::Office;
use super::seats::is_of;
use super::sips;
use super::{Call, State};
use crate::clock::Now;
use crate::relay::Side;
use crate::sip::{Flow, Message, Method, Name, Writer, status};
use crate::transaction::{ClientId, ServerId};
use bytes::Bytes;

/// RFC 3311 §5.2: Retry-After is drawn from 0 to 10 seconds.
const RETRY_AFTER_S_MAX: u64 = 10;

/// One that is on its way.
#[derive(Debug)]
pub struct EarlyUpdate {
    from: Side,
    /// The branch, and its early dialog.
    leg: (usize, usize),
    server: ServerId,
    client: ClientId,
    request: Message,
    /// What the other side is offered.
    described: Bytes,
}

impl EarlyUpdate {
    /// What it offers, where that came in a PRACK.
    fn offer_in_prack(&self) -> Option<Bytes> {
        headers::description(&self.request).filter(|_| self.request.method() == Method::Prack)
    }
}

impl Call {
    /// An UPDATE of the caller.
    pub(super) fn update_of_caller(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        message: &Message,
    ) {
        let flow = self.caller.flow;
        self.caller.peer.learn(message);
        let Some(offer) = headers::description(message) else {
            return updated(office, now, server, message, Some(&flow), None); // its target is noted
        };
        match (self.meets_update(Side::A), self.early_leg()) {
            (Some(code), _) => not_now(office, now, server, message, code),
            // An offer of ours has no answer yet, or an offer of theirs.
            (None, _) if self.caller.owes_answer() => not_now(office, now, server, message, 491),
            (None, _) if !self.caller.has_agreed() => not_now(office, now, server, message, 500),
            (None, None) => not_now(office, now, server, message, 500),
            (None, Some(leg)) => self.pass_early(office, now, Side::A, leg, server, message, &offer),
        }
    }

    /// The leg that an early session of the caller's is with, where it takes another offer.
    fn early_leg(&self) -> Option<(usize, usize)> {
        self.branches.iter().enumerate().find_map(|(index, branch)| {
            let at = branch.early.iter().position(|early| early.agreed)?;
            (branch.is_calling() && branch.peer.updates).then_some((index, at))
        })
    }

    /// A PRACK of the caller's that makes an offer once more: the one before is answered.
    pub(super) fn prack_offers(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        message: &Message,
        offer: &Bytes,
    ) {
        match self.early_leg() {
            Some(leg) if self.early_update.is_none() && self.caller.has_agreed() => {
                self.pass_early(office, now, Side::A, leg, server, message, offer);
            }
            _ => self.answer_prack(office, now, server, message, offer),
        }
    }

    /// 200 to such a PRACK with the session that was given before, which goes on.
    fn answer_prack(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        message: &Message,
        offer: &Bytes,
    ) {
        let given = self.caller.given().cloned();
        updated(office, now, server, message, None, given.as_deref());
        self.point(office, Side::A, offer);
    }

    /// An UPDATE of a leg. `false`: it belongs to no early dialog, or is none.
    pub(super) fn update_of_leg(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        index: usize,
        message: &Message,
    ) -> bool {
        let (State::Ringing(_), Method::Update) = (&self.state, message.method()) else { return false };
        let Some(branch) = self.branches.get_mut(index) else { return false };
        let Some(at) = branch.early.iter().position(|early| is_of(&early.dialog, message)) else {
            return false;
        };
        let Some(early) = branch.early.get_mut(at) else { return false };
        if early.dialog.receive(message).is_err() {
            not_now(office, now, server, message, 500); // RFC 3261 §12.2.2
            return true;
        }
        let (agreed, theirs, flow) = (early.agreed, early.owes_answer, branch.flow);
        branch.peer.learn(message);
        let Some(offer) = headers::description(message) else {
            updated(office, now, server, message, Some(&flow), None);
            return true;
        };
        let passes = self.caller.has_agreed() && self.caller.peer.updates;
        match self.meets_update(Side::B) {
            Some(code) => not_now(office, now, server, message, code),
            None if !agreed => not_now(office, now, server, message, if theirs { 500 } else { 491 }),
            None if !passes => not_now(office, now, server, message, 500),
            None => self.pass_early(office, now, Side::B, (index, at), server, message, &offer),
        }
        true
    }

    /// The status for an offer that meets another one.
    fn meets_update(&self, from: Side) -> Option<u16> {
        self.early_update.as_ref().map(|update| if update.from == from { 500 } else { 491 })
    }

    #[allow(clippy::too_many_arguments)] // a request, as every other comes in, and where it goes
    fn pass_early(
        &mut self,
        office: &mut Office,
        now: Now,
        from: Side,
        leg: (usize, usize),
        server: ServerId,
        message: &Message,
        offer: &Bytes,
    ) {
        let checked = match (from, self.branches.get(leg.0)) {
            (Side::A, _) => self.caller.peer.origin.keying.check(offer),
            (Side::B, branch) => branch.map_or(Ok(()), |branch| branch.peer.origin.keying.check(offer)),
        };
        let described = checked.and_then(|()| match from {
            Side::A => self.describe_offer_to(office, leg.0, Side::B, offer),
            Side::B => self.describe_offer(office, Side::A, offer),
        });
        let described = match (described, message.method()) {
            (Ok(described), _) => described,
            (Err(_), Method::Prack) => return self.answer_prack(office, now, server, message, offer),
            (Err(_), _) => return not_now(office, now, server, message, 488),
        };
        let client = self.next_client();
        let name = headers::branch(office);
        let (dialog, observed, behind_nat, within) = match from {
            Side::A => {
                let Some(branch) = self.branches.get_mut(leg.0) else { return };
                let Some(early) = branch.early.get_mut(leg.1) else { return };
                (&mut early.dialog, branch.flow, branch.behind_nat, Within::Early(leg.0, leg.1))
            }
            Side::B => {
                let Some(dialog) = self.caller.dialog.as_mut() else { return };
                (dialog, self.caller.flow, self.caller.behind_nat, Within::Caller)
            }
        };
        let flow = headers::flow_towards(dialog, observed, behind_nat);
        let sips = sips::is_sips(dialog.next_hop());
        let mut w = dialog.request(Method::Update, None, headers::hop(office, &flow, &name));
        headers::session(&mut w, office, &flow, sips);
        w.header(Name::UserAgent, AGENT);
        let bytes = w.body("application/sdp", &described);
        let request = message.clone();
        self.early_update = Some(Box::new(EarlyUpdate { from, leg, server, client, request, described }));
        self.send_within(office, now, within, client, flow, bytes);
    }

    /// What the other side says to it. `false`: this is no response to such a request.
    pub(super) fn early_updated(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        message: &Message,
    ) -> bool {
        if self.early_update.as_ref().is_none_or(|update| update.client != client) {
            return false;
        }
        if message.status() < 200 {
            return true;
        }
        let Some(update) = self.early_update.take() else { return true };
        let answer = headers::description(message).filter(|_| message.status() < 300);
        let code = match message.status() {
            200..=299 => 500,             // without an answer
            401 | 407 | 408 | 481 => 500, // between us and the other side
            code => code,
        };
        let Some(answer) = answer else { return self.early_update_refused(office, now, &update, code) };
        let Some(offer) = headers::description(&update.request) else { return true };
        match (update.from, self.branches.get_mut(update.leg.0)) {
            (Side::A, Some(leg)) => leg.peer.origin.accepted(),
            (Side::A, None) => {}
            (Side::B, _) => self.caller.peer.origin.accepted(),
        }
        // What was offered stands before it is answered.
        let heard = match (update.from, self.branches.get_mut(update.leg.0)) {
            (Side::A, _) => self.caller.peer.hear_offer(&offer),
            (Side::B, branch) => branch.map_or(Ok(()), |branch| branch.peer.hear_offer(&offer)),
        };
        let described = heard.and_then(|()| match update.from {
            Side::A => self.describe(office, Side::A, &answer),
            Side::B => self.describe_to(office, update.leg.0, Side::B, &answer),
        });
        let Ok(described) = described else { return self.early_update_refused(office, now, &update, 488) };
        // What the caller has been told last, and what it has said.
        let (told, said, heard) = match update.from {
            Side::A => (described.clone(), offer, answer),
            Side::B => (update.described.clone(), answer, offer),
        };
        self.caller.agree(told);
        self.point(office, Side::A, &said);
        let _ = self.point_branch(office, update.leg.0, Side::B, &heard); // else it stays as it was
        self.offer = Some(said); // of the legs that are called from now on
        let flow = match update.from {
            Side::A => self.caller.flow,
            Side::B => self.branches.get(update.leg.0).map_or(self.caller.flow, |branch| branch.flow),
        };
        let early = self.branches.get_mut(update.leg.0).and_then(|branch| branch.early.get_mut(update.leg.1));
        if let Some(early) = early {
            early.description = Some(heard);
        }
        let flow = Some(&flow).filter(|_| update.request.method() != Method::Prack);
        updated(office, now, update.server, &update.request, flow, Some(&described));
        true
    }

    fn early_update_refused(
        &mut self,
        office: &mut Office,
        now: Now,
        update: &EarlyUpdate,
        code: u16,
    ) -> bool {
        match update.offer_in_prack() {
            Some(offer) => self.answer_prack(office, now, update.server, &update.request, &offer),
            None => not_now(office, now, update.server, &update.request, code),
        }
        true
    }

    /// It got no final response. `false`: it was another request.
    pub(super) fn early_update_failed(&mut self, office: &mut Office, now: Now, client: ClientId) -> bool {
        let Some(update) = self.early_update.take_if(|update| update.client == client) else { return false };
        match update.offer_in_prack() {
            Some(offer) => self.answer_prack(office, now, update.server, &update.request, &offer),
            None => office.transactions.forget(update.server), // RFC 4320 §4.2: by now nobody waits for a 408
        }
        true
    }
}

/// 200 to an UPDATE, or to a PRACK that offers (RFC 3262 §5), which makes no target anew: that has no `flow` to name us on.
fn updated(
    office: &mut Office,
    now: Now,
    server: ServerId,
    message: &Message,
    flow: Option<&Flow>,
    description: Option<&[u8]>,
) {
    let mut w = Writer::reply(message, 200, status::reason_phrase(200), None);
    headers::turn_session_id(&mut w, message);
    if let Some(flow) = flow {
        headers::session(&mut w, office, flow, sips::is_to_answer(message));
    }
    w.header(Name::Server, AGENT);
    office.respond(now, server, 200, w.described(description));
}

/// A refusal; 500 says when to try again (RFC 3311 §5.2, RFC 3261 §14.2).
pub(super) fn not_now(office: &mut Office, now: Now, server: ServerId, message: &Message, code: u16) {
    let mut w = Writer::reply(message, code, status::reason_phrase(code), None);
    headers::turn_session_id(&mut w, message);
    if code == 500 {
        w.header(Name::RetryAfter, office.ids.word() % (RETRY_AFTER_S_MAX + 1));
    }
    w.header(Name::Server, AGENT);
    office.respond(now, server, code, w.finish());
}
