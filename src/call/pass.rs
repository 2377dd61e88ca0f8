//! In-dialog requests of one side passed to the other, and what comes back (RFC 3261 §12.2, §14): hold and resume among them.
//!
//! Invariant: a request that was passed on gets one final response, that of the other side or one of ours when the call ends.

use super::bridge::Held;
use super::caller::plain_response;
use super::headers::{self, AGENT};
use super::office::{Effect, Office};
use super::session_timer;
use super::unacked::Unacked;
use super::{Call, State, terms};
use crate::clock::Now;
use crate::relay::Side;
use crate::sdp::{self, SdpError};
use crate::sip::{Flow, Message, Method, Name, Writer, status};
use crate::transaction::{ClientId, ServerId};
use bytes::Bytes;

/// In-dialog requests of one call that may be on their way at once; one more is answered with 500.
const PASSES_MAX: usize = 8;

/// An in-dialog request on its way from one side to the other.
#[derive(Debug)]
pub(super) struct Pass {
    pub from: Side,
    pub server: ServerId,
    pub client: ClientId,
    pub request: Message,
    pub method: Method,
    /// Of our request on the other side.
    pub cseq: u32,
}

impl Pass {
    /// INVITE and UPDATE change the session: only one may at a time (RFC 3261 §14.1, RFC 3311 §5.2).
    pub fn renegotiates(&self) -> bool {
        renegotiates(self.method)
    }
}

/// Which half of an exchange a description is (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Offer,
    Answer,
}

pub(super) fn renegotiates(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Update)
}

impl Call {
    /// Sends an in-dialog request on to the other side, its SDP pointed at our relay.
    pub(super) fn pass(
        &mut self,
        office: &mut Office,
        now: Now,
        from: Side,
        server: ServerId,
        message: &Message,
    ) {
        let method = message.method();
        let refuse = |office: &mut Office, code| {
            office.respond(now, server, code, plain_response(message, code, None))
        };
        let brief = session_timer::too_brief(office.session, message).filter(|_| renegotiates(method));
        if let Some(min_s) = brief {
            let mut w = Writer::reply(message, 422, status::reason_phrase(422), None);
            w.header(Name::MinSe, min_s);
            return office.respond(now, server, 422, w.finish());
        }
        // A refresh that describes nothing meets no change.
        let refresh = method == Method::Update && self.answers_refresh(office, now, from, server, message);
        if refresh
            || self.meets_change(office, now, from, server, message)
            || method == Method::Invite && self.answers_refresh(office, now, from, server, message)
        {
            return;
        }
        if self.tells_key(office, now, from, server, message) {
            return;
        }
        let State::Answered(bridge) = &self.state else { return refuse(office, 481) };
        if bridge.absent == Some(from.other()) || bridge.lent.is_some() {
            return refuse(office, 480);
        }
        if bridge.passes.len() >= PASSES_MAX {
            return refuse(office, 500);
        }
        let offer = headers::description(message).filter(|_| renegotiates(method));
        if let Some(Err(broken)) = offer.map(|offer| self.peer(from).origin.keying.check(&offer)) {
            return office.respond(now, server, 488, terms::refusal(message, broken));
        }
        let Ok(body) = self.body_for(office, from.other(), message, Turn::Offer) else {
            return refuse(office, 488);
        };
        let client = self.next_client();
        let Some((dialog, flow)) = self.dialog(from.other()) else { return refuse(office, 481) };
        let branch = headers::branch(office);
        let mut w = dialog.request(method, None, headers::hop(office, &flow, &branch));
        let cseq = dialog.local_cseq();
        if renegotiates(method) {
            self.peer(from).learn(message);
            self.peer(from.other()).write_session(office, &flow, &mut w);
        }
        w.header(Name::UserAgent, AGENT);
        let bytes = finish(w, message, body.as_deref());
        if method == Method::Invite {
            office.pending.insert(server, self.key);
            office.trying(now, server, message);
        }
        if let State::Answered(bridge) = &mut self.state {
            bridge.passes.push(Pass { from, server, client, request: message.clone(), method, cseq });
        }
        self.send(office, now, from.other(), client, flow, bytes);
    }

    /// A response to a request that we passed on. `false`: it is none.
    pub(super) fn pass_response(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        _flow: Flow,
        message: &Message,
    ) -> bool {
        let State::Answered(bridge) = &mut self.state else { return false };
        if let Some((of, flow, ack)) = &bridge.reinvite_ack
            && *of == client
        {
            if (200..300).contains(&message.status()) {
                office.effect(Effect::Send { flow: *flow, bytes: ack.clone() });
            }
            return true;
        }
        let Some(index) = bridge.passes.iter().position(|pass| pass.client == client) else { return false };
        if message.status() < 200 {
            return true; // the sender has had its 100
        }
        let pass = bridge.passes.swap_remove(index);
        office.pending.remove(&pass.server);
        match message.status() {
            200..=299 => self.passed(office, now, &pass, message),
            code => {
                // 401, 407 and 422 are between us and the other side; a dialog that is gone there is gone here (RFC 3261 §12.2.1.2).
                let shown = if matches!(code, 401 | 407 | 422) { 500 } else { code };
                office.respond(now, pass.server, shown, plain_response(&pass.request, shown, None));
                if matches!(code, 408 | 481) {
                    self.hang_up(office, now);
                }
            }
        }
        true
    }

    pub(super) fn passed(&mut self, office: &mut Office, now: Now, pass: &Pass, message: &Message) {
        let (from, to) = (pass.from, pass.from.other());
        let offered = headers::description(&pass.request);
        let answered = headers::description(message);
        if let Some((dialog, _)) = self.dialog(to) {
            dialog.refresh(message);
        }
        if renegotiates(pass.method) {
            if let Some(broken) = answered.as_ref().and_then(|said| self.misfit(to, said)) {
                return self.take_back_change(office, now, pass, message, broken);
            }
            self.peer(to).answered(now, message);
            if offered.is_some() {
                self.peer(to).origin.accepted();
            }
            let offer = offered.as_ref().map(|offer| (from, offer)).or(answered.as_ref().map(|it| (to, it)));
            if let Some((side, offer)) = offer {
                self.peer(side).origin.keying.renew(offer);
            }
            for (side, description) in [(from, &offered), (to, &answered)] {
                if let Some(description) = description {
                    self.point(office, side, description);
                }
            }
        }
        let turn = if offered.is_some() { Turn::Answer } else { Turn::Offer };
        let body = self.body_for(office, from, message, turn).ok().flatten();
        if offered.is_some() && renegotiates(pass.method) {
            self.settle_numbers(office, &[from, to]);
        }
        if pass.method == Method::Invite {
            if offered.is_some() {
                self.acknowledge_passed(office, to, pass.cseq, None, Some(pass.client));
            } else if let State::Answered(bridge) = &mut self.state {
                bridge.held = Some(Held { to, cseq: pass.cseq, client: Some(pass.client) });
            }
        }
        let Some((_, flow)) = self.dialog(from) else { return };
        let code = message.status();
        let mut w = Writer::reply(&pass.request, code, message.reason_phrase(), None);
        self.write_session_id(from, &mut w);
        if renegotiates(pass.method) {
            self.peer(from).session.accept(now, &pass.request, &mut w);
            self.introduce();
            headers::session(&mut w, office, &flow, self.peer(from).sips);
        }
        w.header(Name::Server, AGENT);
        let bytes = finish(w, message, body.as_deref());
        office.respond(now, pass.server, code, bytes.clone());
        if let (Method::Invite, State::Answered(bridge)) = (pass.method, &mut self.state) {
            bridge.unacked.push((from, Unacked::new(now, pass.server, bytes)));
        }
    }

    /// Why what the party on that side says of its session can't be relayed; nothing where it can.
    pub(super) fn misfit(&mut self, side: Side, description: &[u8]) -> Option<SdpError> {
        let read = sdp::audio(description).map(drop);
        read.and_then(|()| self.peer(side).origin.keying.check(description)).err()
    }

    /// The other side has taken a change of the session with a description that can't be relayed, the refusal of its audio before all:
    /// whoever wanted the change hears that it is refused, and the other side is offered the session that it had.
    fn take_back_change(
        &mut self,
        office: &mut Office,
        now: Now,
        pass: &Pass,
        message: &Message,
        broken: SdpError,
    ) {
        let to = pass.from.other();
        self.peer(to).answered(now, message);
        if pass.method == Method::Invite {
            // What was an offer of theirs is answered with what holds (RFC 3261 §14.1).
            let offers = headers::description(&pass.request).is_none();
            let holds = if offers { self.peer(to).origin.agreed() } else { None };
            self.acknowledge_passed(office, to, pass.cseq, holds.as_deref(), Some(pass.client));
        }
        office.respond(now, pass.server, 488, terms::refusal(&pass.request, broken));
        self.settle(office, now, to);
    }

    /// A request that we passed on got no final response. `false`: it is none.
    pub(super) fn pass_failed(&mut self, office: &mut Office, now: Now, client: ClientId) -> bool {
        let State::Answered(bridge) = &mut self.state else { return false };
        let Some(index) = bridge.passes.iter().position(|pass| pass.client == client) else { return false };
        let pass = bridge.passes.swap_remove(index);
        office.pending.remove(&pass.server);
        if pass.method == Method::Invite {
            office.respond(now, pass.server, 408, plain_response(&pass.request, 408, None));
        } else {
            office.transactions.forget(pass.server); // RFC 4320 §4.2: by now nobody waits for a 408
        }
        self.hang_up(office, now); // RFC 3261 §12.2.1.2
        true
    }

    /// CANCEL of a re-INVITE.
    pub(super) fn cancel_passed(
        &mut self,
        office: &mut Office,
        now: Now,
        invite: ServerId,
        cancel: &Message,
    ) {
        let State::Answered(bridge) = &self.state else { return };
        if let Some(pass) = bridge.passes.iter().find(|pass| pass.server == invite) {
            let reasons: Vec<&str> = cancel.values(Name::Reason).collect();
            office.cancel(now, self.last_name(pass.client), &reasons);
        }
    }

    /// Requests that are on their way when the call ends get a final response all the same.
    pub(super) fn answer_passes(&mut self, office: &mut Office, now: Now, code: u16) {
        let State::Answered(bridge) = &mut self.state else { return };
        let own = bridge.own.take_if(|own| own.method == Method::Invite).map(|own| own.client);
        let passes = std::mem::take(&mut bridge.passes);
        for pass in &passes {
            office.pending.remove(&pass.server);
            office.respond(now, pass.server, code, plain_response(&pass.request, code, None));
        }
        let passed = passes.iter().filter(|pass| pass.method == Method::Invite).map(|pass| pass.client);
        for invite in passed.chain(own) {
            self.forgo(office, now, invite); // whoever has said 100 may say nothing more
        }
    }

    /// The body of `message` as the party on side `to` gets it.
    pub(super) fn body_for(
        &mut self,
        office: &Office,
        to: Side,
        message: &Message,
        turn: Turn,
    ) -> Result<Option<Bytes>, SdpError> {
        match headers::description(message) {
            // Media in a call that was set up without is not carried out.
            Some(description) => {
                let described = self.with_music(to, &description, turn).unwrap_or(description);
                match message.is_request() {
                    true => self.describe_offer(office, to, &described).map(Some),
                    false => self.describe(office, to, &described).map(Some),
                }
            }
            None => Ok(Some(message.body()).filter(|body| !body.is_empty())),
        }
    }
}

/// The end of a message that passes: with the body it is to carry.
fn finish(mut w: Writer, message: &Message, body: Option<&[u8]>) -> Bytes {
    match body {
        Some(body) => w.body(message.content_type().unwrap_or("application/octet-stream"), body),
        None => {
            w.copy(message, Name::ContentType);
            w.finish()
        }
    }
}
