//! Requests of our own that change or refresh the session of one party of an answered call: refreshes (RFC 4028 §10), and the caller told of
//! another session than the one that early media began. And how refreshes of theirs are answered, which are nobody else's business.
//!
//! Invariants: at most one such request at a time, and none while anything else changes the session; a party that is not heard of in time
//! ends the call for both.

use super::early_update::not_now;
use super::headers::{self, AGENT};
use super::join::after_glare;
use super::log::Ending;
use super::office::Office;
use super::pass::renegotiates;
use super::session_timer::Due;
use super::unacked::Unacked;
use super::{Call, State};
use crate::clock::Now;
use crate::relay::Side;
use crate::sdp::{self, SdpError};
use crate::sip::{Message, Method, Name, Writer, status};
use crate::transaction::{ClientId, ServerId};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// RFC 3326, in the BYEs of a session that nobody refreshes.
const EXPIRED: &str = "SIP;cause=408;text=\"Session timer expired\"";
/// Between two tries to tell the caller of its session while something is in the way.
const PAUSE: Duration = Duration::from_secs(2);

/// A request of ours that is on its way.
#[derive(Debug)]
pub struct Own {
    pub side: Side,
    pub client: ClientId,
    pub method: Method,
    pub cseq: u32,
    amends: Option<Amendment>,
    /// It was refused once for too brief an interval.
    lengthened: bool,
}

/// What a party is to be told. The caller: its 200 had to repeat the description of early media (RFC 3261 §13.2.1), and whoever answered has
/// another. Whoever is back from another call (see [`super::guest`]): the session that it had here.
#[derive(Debug)]
pub struct Amendment {
    side: Side,
    /// Who was on that side: the branch, or the caller.
    who: Option<usize>,
    /// As the party on the other side wrote it.
    description: Bytes,
    /// `None`: once the caller's ACK is here.
    at: Option<Instant>,
}

impl Call {
    /// Looks after the session timers of both sides.
    pub(super) fn refresh_timeout(&mut self, office: &mut Office, now: Now) {
        for side in [Side::A, Side::B] {
            let State::Answered(bridge) = &self.state else { return };
            if bridge.has_left(side) {
                continue;
            }
            match self.peer(side).session.timeout(now) {
                Due::Nothing => {}
                Due::Refresh => self.refresh(office, now, side, false),
                Due::End => return self.lost(office, now, side, "has not refreshed the session"),
            }
        }
        let State::Answered(bridge) = &self.state else { return };
        if bridge.amendment.as_ref().is_some_and(|amendment| amendment.at.is_some_and(|at| at <= now.mono)) {
            self.amend(office, now);
        }
    }

    pub(super) fn refresh_deadline(&self) -> Option<Instant> {
        let State::Answered(bridge) = &self.state else { return None };
        let near = match bridge.near {
            Some(near) => &self.branches.get(near)?.peer,
            None => &self.caller.peer,
        };
        let far = &self.branches.get(bridge.winner)?.peer;
        let near = near.session.deadline().filter(|_| !bridge.has_left(Side::A));
        let far = far.session.deadline().filter(|_| !bridge.has_left(Side::B));
        let amendment = bridge.amendment.as_ref().and_then(|amendment| amendment.at);
        near.into_iter().chain(far).chain(amendment).min()
    }

    /// UPDATE where the party takes it, else a re-INVITE with the description that it has (RFC 4028 §7.4).
    fn refresh(&mut self, office: &mut Office, now: Now, side: Side, lengthened: bool) {
        let State::Answered(bridge) = &self.state else { return };
        if bridge.is_unsettled() {
            return self.peer(side).session.put_off(now, None);
        }
        let peer = self.peer(side);
        let (method, description) = match peer.updates {
            true => (Method::Update, None),
            false => match peer.origin.agreed() {
                Some(description) => (Method::Invite, Some(description)),
                None => return peer.session.stop(), // without media there is nothing that could be repeated
            },
        };
        self.send_own(office, now, side, method, description.as_deref(), None);
        if let State::Answered(bridge) = &mut self.state
            && let Some(own) = &mut bridge.own
        {
            own.lengthened = lengthened;
        }
    }

    /// Offers the party on that side, which is back from another call, the session that it had here.
    pub(super) fn settle(&mut self, office: &mut Office, now: Now, side: Side) {
        let who = self.index_at(side);
        let Some(description) = self.peer(side.other()).heard.clone() else { return };
        if let State::Answered(bridge) = &mut self.state {
            bridge.amendment = Some(Amendment { side, who, description, at: None });
        }
        self.amend(office, now);
    }

    /// Tells a party of the session that whoever is on the other side has, once nothing is in the way.
    pub(super) fn amend(&mut self, office: &mut Office, now: Now) {
        let sits = [Side::A, Side::B].map(|side| self.index_at(side));
        let State::Answered(bridge) = &mut self.state else { return };
        let unsettled = bridge.is_unsettled();
        let Some(mut amendment) = bridge.amendment.take() else { return };
        let side = amendment.side;
        if sits[usize::from(side == Side::B)] != amendment.who {
            return; // they have left
        }
        if unsettled {
            amendment.at = Some(now.mono + PAUSE);
            return bridge.amendment = Some(amendment);
        }
        let Ok(described) = self.describe_offer(office, side, &amendment.description) else { return };
        let method = if self.peer(side).updates { Method::Update } else { Method::Invite };
        self.send_own(office, now, side, method, Some(&described), Some(amendment));
    }

    fn send_own(
        &mut self,
        office: &mut Office,
        now: Now,
        side: Side,
        method: Method,
        description: Option<&[u8]>,
        amends: Option<Amendment>,
    ) {
        let client = self.next_client();
        let name = headers::branch(office);
        let Some((dialog, flow)) = self.dialog(side) else { return };
        let mut w = dialog.request(method, None, headers::hop(office, &flow, &name));
        let cseq = dialog.local_cseq();
        self.peer(side).write_session(office, &flow, &mut w);
        w.header(Name::UserAgent, AGENT);
        let bytes = w.described(description);
        if let State::Answered(bridge) = &mut self.state {
            bridge.own = Some(Own { side, client, method, cseq, amends, lengthened: false });
        }
        self.send(office, now, side, client, flow, bytes);
    }

    /// A response to such a request. `false`: it is to another one.
    pub(super) fn own_response(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        message: &Message,
    ) -> bool {
        let State::Answered(bridge) = &mut self.state else { return false };
        if bridge.own.as_ref().is_none_or(|own| own.client != client) {
            return false;
        }
        if message.status() < 200 {
            return true;
        }
        let Some(own) = bridge.own.take() else { return true };
        let side = own.side;
        match message.status() {
            200..=299 => self.own_accepted(office, now, &own, message),
            422 if !own.lengthened && own.amends.is_none() && self.peer(side).session.lengthen(message) => {
                self.refresh(office, now, side, true);
            }
            code @ (408 | 481) => {
                self.lost(office, now, side, &format!("has answered a refresh with {code}"))
            }
            code => {
                let ours = self.branch_at(side).is_some_and(|branch| branch.is_ours());
                let wait = (code == 491).then(|| after_glare(office, ours)); // RFC 3261 §14.1
                match (own.amends, &mut self.state) {
                    (Some(amendment), State::Answered(bridge)) if wait.is_some() => {
                        let at = wait.map(|wait| now.mono + wait);
                        bridge.amendment = Some(Amendment { at, ..amendment });
                    }
                    (Some(_), _) => {} // the party doesn't want it: things stay as they are
                    (None, _) => self.peer(side).session.put_off(now, wait),
                }
            }
        }
        true
    }

    fn own_accepted(&mut self, office: &mut Office, now: Now, own: &Own, message: &Message) {
        if let Some((dialog, _)) = self.dialog(own.side) {
            dialog.refresh(message);
        }
        self.peer(own.side).learn(message);
        self.peer(own.side).session.accepted(now, message);
        if own.method == Method::Invite || own.amends.is_some() {
            self.peer(own.side).origin.accepted();
        }
        if own.method == Method::Invite {
            self.acknowledge_passed(office, own.side, own.cseq, None, Some(own.client));
        }
        if let Some(description) = headers::description(message) {
            self.point(office, own.side, &description);
            self.settle_numbers(office, &[own.side]);
        }
    }

    /// Such a request got no response. `false`: it was another one.
    pub(super) fn own_failed(&mut self, office: &mut Office, now: Now, client: ClientId) -> bool {
        let State::Answered(bridge) = &mut self.state else { return false };
        let Some(own) = bridge.own.take_if(|own| own.client == client) else { return false };
        self.lost(office, now, own.side, "has not answered a refresh");
        true
    }

    /// The party on that side is gone: the call ends for both, and its record says why.
    fn lost(&mut self, office: &mut Office, now: Now, side: Side, why: &str) {
        let who = self.label_at(side);
        self.log.why = Some(("session_expired", format!("{who} {why}")));
        self.drop_transfer(office, now);
        self.answer_passes(office, now, 487);
        self.part(office, now, Side::A, &[EXPIRED]);
        self.part(office, now, Side::B, &[EXPIRED]);
        self.over(office, now, Ending { outcome: "answered", status: 200 });
    }

    /// Answers a refresh of theirs: an UPDATE that describes nothing, a re-INVITE that says what they said last. Each side has a session
    /// timer of its own, so it goes no further. `false`: it is more than that.
    pub(super) fn answers_refresh(
        &mut self,
        office: &mut Office,
        now: Now,
        side: Side,
        server: ServerId,
        message: &Message,
    ) -> bool {
        let description = headers::description(message);
        let peer = self.peer(side);
        let body = match (message.method(), description) {
            (Method::Update, None) => None,
            (Method::Invite, Some(said)) if message.value(Name::SessionExpires).is_some() => {
                if peer.heard.as_ref() != Some(&said) {
                    return false;
                }
                match peer.origin.agreed() {
                    Some(told) => Some(told),
                    None => return false,
                }
            }
            _ => return false,
        };
        let Some((_, flow)) = self.dialog(side) else { return false };
        let mut w = Writer::reply(message, 200, status::reason_phrase(200), None);
        let peer = self.peer(side);
        peer.learn(message);
        peer.session.accept(now, message, &mut w);
        let sips = peer.sips;
        self.write_session_id(side, &mut w);
        headers::session(&mut w, office, &flow, sips);
        w.header(Name::Server, AGENT);
        let bytes = w.described(body.as_deref());
        office.respond(now, server, 200, bytes.clone());
        if let (Method::Invite, State::Answered(bridge)) = (message.method(), &mut self.state) {
            bridge.await_ack(side, Unacked::new(now, server, bytes));
        }
        true
    }

    /// Refuses a request that may not change the session now: 500 to whoever changes it already (RFC 3261 §14.2, RFC 3311 §5.2), 491 to one
    /// who meets a change of the other side, or of ours. `false`: it may.
    pub(super) fn meets_change(
        &self,
        office: &mut Office,
        now: Now,
        side: Side,
        server: ServerId,
        message: &Message,
    ) -> bool {
        let State::Answered(bridge) = &self.state else { return false };
        let code = match (bridge.is_changed_by(side), bridge.is_changing()) {
            _ if !renegotiates(message.method()) => return false,
            (true, _) => 500,
            (false, true) => 491,
            (false, false) => return false,
        };
        not_now(office, now, server, message, code);
        true
    }

    /// What the 200 to the caller says of a session, and what is left to be told after it.
    ///
    /// # Errors
    /// The description can't be relayed.
    pub(super) fn answer_for_caller(
        &mut self,
        office: &Office,
        description: Option<&Bytes>,
    ) -> Result<(Option<Bytes>, Option<Amendment>), SdpError> {
        let Some(description) = description else { return Ok((None, None)) };
        let Some(given) = self.caller.given().cloned() else {
            return Ok((Some(self.describe(office, Side::A, description)?), None));
        };
        let anchor = self.anchor.as_ref().ok_or(SdpError::NoAudio)?;
        let mut origin = self.caller.peer.origin.clone(); // it isn't told yet
        let other = anchor.rewrite(office, Side::A, &mut origin, description)?;
        let differs = !sdp::origin::is_same_session(&given, &other);
        let description = description.clone();
        let amendment = differs.then(|| Amendment { side: Side::A, who: None, description, at: None });
        Ok((Some(given), amendment))
    }
}
