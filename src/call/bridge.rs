//! Two dialogs joined: in-dialog requests of one side passed to the other, hold and resume with them, and the end (RFC 3261 §12.2,
//! §14, §15).

use super::branch::State as BranchState;
use super::caller::{Answer, plain_response};
use super::capabilities::{self, ALLOW};
use super::guest::Lent;
use super::headers;
use super::log::Ending;
use super::office::{Effect, Office};
use super::pass::Pass;
use super::refresh::{Amendment, Own};
use super::transfer::Transfer;
use super::unacked::Unacked;
use super::{Call, State};
use crate::clock::Now;
use crate::relay::Side;
use crate::sip::{Flow, Message, Method, Name, Writer, status};
use crate::transaction::{ClientId, ServerId};
use bytes::Bytes;
use std::time::Instant;

/// RFC 3326, in the BYEs of a call whose media nobody can agree on.
const NOT_ACCEPTABLE: &str = "SIP;cause=488;text=\"Not Acceptable Here\"";

#[derive(Debug)]
pub struct Bridge {
    /// Index of the branch that is on side B: the one that won, until a transfer.
    pub winner: usize,
    /// Index of the branch that has taken the caller's place, by a transfer.
    pub near: Option<usize>,
    /// This side has hung up while its transfer of the other goes on.
    pub absent: Option<Side>,
    /// See [`super::guest`].
    pub lent: Option<Lent>,
    pub transfer: Option<Box<Transfer>>,
    /// REFERs that were taken so far.
    pub refers: u32,
    /// The caller's 200, while it waits for a PRACK.
    pub unsaid: Option<Unsaid>,
    pub(super) unacked: Vec<(Side, Unacked)>,
    /// Our ACK to this side waits for the answer in the ACK of the other (late offer), for the INVITE of this CSeq.
    pub(super) held: Option<Held>,
    /// Our own change or refresh of a session.
    pub own: Option<Own>,
    pub amendment: Option<Amendment>,
    pub(super) passes: Vec<Pass>,
    /// The ACK of the last re-INVITE that we passed, for its repeated 2xx.
    pub(super) reinvite_ack: Option<(ClientId, Flow, Bytes)>,
}

/// A 200 that is not sent yet.
#[derive(Debug)]
pub struct Unsaid {
    pub description: Option<Bytes>,
}

/// See [`Bridge::held`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub to: Side,
    pub cseq: u32,
    /// Of the re-INVITE that was passed on; `None`: the call's first INVITE.
    pub client: Option<ClientId>,
}

impl Bridge {
    /// `held`: the CSeq number of a leg whose ACK waits for the caller's.
    #[must_use]
    pub fn new(winner: usize, answer: Answer, held: Option<u32>) -> Bridge {
        let held = held.map(|cseq| Held { to: Side::B, cseq, client: None });
        let (unsaid, unacked) = match answer {
            Answer::Sent(unacked) => (None, vec![(Side::A, unacked)]),
            Answer::Held(description) => (Some(Unsaid { description }), Vec::new()),
        };
        Bridge {
            winner,
            near: None,
            absent: None,
            lent: None,
            transfer: None,
            refers: 0,
            unsaid,
            unacked,
            held,
            own: None,
            amendment: None,
            passes: Vec::new(),
            reinvite_ack: None,
        }
    }

    /// The caller's 200 that is still to be acknowledged when the call ends.
    #[must_use]
    pub fn farewell(self) -> Option<Unacked> {
        self.unacked.into_iter().find(|(side, _)| *side == Side::A).map(|(_, unacked)| unacked)
    }

    /// The session is being changed, or not agreed yet.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.is_changing() || !self.unacked.is_empty()
    }

    /// The session is being changed.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.transfer.is_some()
            || self.lent.is_some()
            || self.held.is_some()
            || self.unsaid.is_some()
            || self.own.is_some()
            || self.passes.iter().any(Pass::renegotiates)
    }

    /// That side changes it, and has no final response yet.
    #[must_use]
    pub fn is_changed_by(&self, side: Side) -> bool {
        self.passes.iter().any(|pass| pass.from == side && pass.renegotiates())
    }

    /// Nobody is on that side for now.
    #[must_use]
    pub fn has_left(&self, side: Side) -> bool {
        self.absent == Some(side) || self.lends(side)
    }

    /// The dialog of that side is in another call.
    #[must_use]
    pub fn lends(&self, side: Side) -> bool {
        self.lent.is_some_and(|lent| lent.side == side)
    }

    /// A request of ours was sent once more under another number.
    pub fn renumber(&mut self, client: ClientId, cseq: u32) {
        if let Some(own) = self.own.as_mut().filter(|own| own.client == client) {
            own.cseq = cseq;
        }
        if let Some(pass) = self.passes.iter_mut().find(|pass| pass.client == client) {
            pass.cseq = cseq;
        }
    }

    /// A 2xx was sent to that side.
    pub fn await_ack(&mut self, side: Side, unacked: Unacked) {
        self.unacked.push((side, unacked));
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.unacked.iter().map(|(_, unacked)| unacked.deadline()).min()
    }
}

impl Call {
    /// An in-dialog request. `side` is where it came from, found by our tag; whether the whole dialog id fits is judged here.
    pub fn request(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        flow: Flow,
        (side, branch): (Side, usize),
        message: &Message,
    ) {
        let method = message.method();
        let refuse = |office: &mut Office, code| {
            office.respond(now, server, code, plain_response(message, code, None))
        };
        if side == Side::A && method == Method::Prack && self.is_early(message) {
            return self.prack(office, now, server, message);
        }
        if self.is_unanswered() && side == Side::A && method == Method::Bye && self.is_early(message) {
            // RFC 3261 §15: a caller may end an early dialog with BYE.
            refuse(office, 200);
            let invite = self.caller.server;
            return self.cancelled(office, now, invite, message);
        }
        if self.is_unanswered() && side == Side::A && self.is_early(message) {
            return self.early_request(office, now, server, message);
        }
        if side == Side::B && self.request_of_asked(office, now, server, branch, message) {
            return;
        }
        if side == Side::B && self.update_of_leg(office, now, server, branch, message) {
            return;
        }
        if self.request_of_leaver(office, now, server, branch, message)
            || self.request_of_newcomer(office, now, server, (side, branch), message)
        {
            return;
        }
        let Some(side) = self.seat(side, branch, message) else { return refuse(office, 481) };
        if let State::Over(farewell) = &mut self.state {
            // The caller hangs up where it was about to be hung up on.
            let bye = method == Method::Bye && farewell.take().is_some();
            return refuse(office, if bye { 200 } else { 481 });
        }
        let Some((dialog, _)) = self.dialog(side) else { return refuse(office, 481) };
        if dialog.receive(message).is_err() {
            return refuse(office, 500); // RFC 3261 §12.2.2
        }
        self.seen_on(side, flow);
        self.moved_on(office, side, &flow, message);
        if let State::Served(_) = self.state {
            return self.request_of_served(office, now, server, &flow, message);
        }
        match method {
            Method::Bye => {
                refuse(office, 200);
                if self.transferor_leaves(side) {
                    return;
                }
                self.drop_transfer(office, now);
                let reasons: Vec<&str> = message.values(Name::Reason).collect();
                self.answer_passes(office, now, 487);
                self.release_held(office, side); // RFC 3261 §13.2.2.4: each 2xx is acknowledged, whoever goes meanwhile
                self.part(office, now, side.other(), &reasons);
                self.over(office, now, Ending { outcome: "answered", status: 200 });
            }
            Method::Options => office.respond(now, server, 200, capabilities::answer(message, None)),
            Method::Invite | Method::Update | Method::Info | Method::Message => {
                self.pass(office, now, side, server, message)
            }
            _ => {
                let mut w = Writer::reply(message, 405, status::reason_phrase(405), None);
                w.header(Name::Allow, ALLOW);
                office.respond(now, server, 405, w.finish());
            }
        }
    }

    /// An ACK to a 2xx of ours.
    pub fn acked(&mut self, office: &mut Office, now: Now, (side, branch): (Side, usize), message: &Message) {
        if self.newcomer_acked(office, now, (side, branch), message) {
            return;
        }
        let Some(side) = self.seat(side, branch, message) else { return };
        if let State::Over(farewell) = &mut self.state {
            if farewell.take().is_some() {
                self.bye(office, now, Side::A, &[]);
            }
            return;
        }
        if let State::Served(_) = self.state {
            return self.served_acked(office, now, message);
        }
        let State::Answered(bridge) = &mut self.state else { return };
        bridge.unacked.retain(|(of, _)| *of != side);
        if let Some(Held { to, cseq, client }) = bridge.held.take_if(|held| held.to == side.other()) {
            let description = headers::description(message);
            if let Some(why) = description.as_ref().and_then(|answer| self.unfit(side, answer)) {
                self.acknowledge_passed(office, to, cseq, None, client);
                return self.part_for(office, now, why);
            }
            if let Some(description) = &description {
                self.point(office, side, description);
            }
            // RFC 3262 §5: a caller that was made another leg's offer has answered in a PRACK, and its ACK is empty.
            let early = || self.offer.clone().filter(|_| client.is_none() && to == Side::B);
            let answer = description.or_else(early);
            let rewritten = answer.and_then(|answer| self.describe(office, to, &answer).ok());
            self.acknowledge_passed(office, to, cseq, rewritten.as_deref(), client);
            self.settle_numbers(office, &[side, to]);
        } else if let (Side::A, None, Some(answer)) = (side, &self.offer, headers::description(message)) {
            // To the session of a leg that was asked first.
            if let Some(why) = self.unfit(side, &answer) {
                return self.part_for(office, now, why);
            }
            self.point(office, side, &answer);
            self.settle_numbers(office, &[Side::A, Side::B]);
        }
        if side == Side::A {
            self.amend(office, now);
        }
    }

    /// Why the answer in an ACK of that side can't be agreed to, if it can't.
    fn unfit(&mut self, side: Side, answer: &Bytes) -> Option<String> {
        let broken = self.misfit(side, answer)?;
        Some(format!("{} has answered in its ACK what can't be agreed to: {broken}", self.label_at(side)))
    }

    /// RFC 3261 §13.2.2.4: there is no other way to refuse an answer in an ACK, and nobody could hear anybody.
    fn part_for(&mut self, office: &mut Office, now: Now, why: String) {
        self.log.why = Some(("not_acceptable", why));
        self.hang_up_for(office, now, &[NOT_ACCEPTABLE]);
    }

    /// ACK on that side, kept to be repeated.
    pub(super) fn acknowledge_passed(
        &mut self,
        office: &mut Office,
        side: Side,
        cseq: u32,
        description: Option<&[u8]>,
        client: Option<ClientId>,
    ) {
        let Some((dialog, flow)) = self.dialog(side) else { return };
        let branch = headers::branch(office);
        let mut ack = dialog.request(Method::Ack, Some(cseq), headers::hop(office, &flow, &branch));
        self.write_credentials(side, client, &mut ack);
        let bytes = ack.described(description);
        office.effect(Effect::Send { flow, bytes: bytes.clone() });
        match (client, &mut self.state) {
            (Some(client), State::Answered(bridge)) => bridge.reinvite_ack = Some((client, flow, bytes)),
            _ => {
                if let Some(branch) = self.branch_at(side)
                    && let BranchState::Answered { ack, .. } = &mut branch.state
                {
                    *ack = Some(bytes);
                }
            }
        }
    }
}
