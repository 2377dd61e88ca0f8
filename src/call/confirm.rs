//! Legs that are asked before they get the call: whoever answers hears a question on a relay of their own, and takes the call with a key. The
//! caller hears ringback meanwhile, and the other legs ring on.
//!
//! Invariants: such a leg is not answered before the key; it ends with its ring time, and then as one that nobody answered.

use super::aside::Aside;
use super::attended::Asking;
use super::branch::{Asked, Branch, State as BranchState};
use super::caller::plain_response;
use super::headers;
use super::media::Anchor;
use super::office::{Effect, Office};
use super::seats::is_of;
use super::transfer::Stage;
use super::{COMPLETED_ELSEWHERE, Call, State};
use crate::clock::Now;
use crate::relay::{RelayId, Side};
use crate::rules::LegOutcome;
use crate::rules::model::Confirm;
use crate::sdp;
use crate::service::confirm;
use crate::sip::{Message, Method, Name};
use crate::transaction::ServerId;
use crate::voice::digit::Digit;

impl Call {
    /// What the leg of that branch is to be asked.
    fn question_of(&self, index: usize) -> Option<Confirm> {
        let branch = self.branches.get(index).filter(|branch| branch.stage == self.stage)?;
        self.state.ring()?.plan().legs.get(branch.leg)?.confirm
    }

    /// A relay for a leg that is to be asked. `None`: the ports are used up.
    pub(super) fn apart(&mut self, office: &mut Office) -> Option<Aside> {
        self.relays += 1;
        Aside::reserve(office, self.key, self.relays)
    }

    /// A 2xx of a leg that is to be asked: acknowledged, and asked. `false`: it is none.
    pub(super) fn asks_first(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        message: &Message,
    ) -> bool {
        let Some(question) = self.question_of(index).filter(|_| self.branches[index].aside.is_some()) else {
            return false;
        };
        let sounds = confirm::question(self.domain.name(), question);
        let bye = self.next_client();
        let branch = &mut self.branches[index];
        let early = branch.early_of(message).and_then(|early| early.description.clone());
        let description = headers::description(message).or(early); // RFC 3262 §5
        let description =
            description.filter(|said| sdp::audio(said).is_ok()).filter(|said| branch.peer.hear(said).is_ok());
        let (Some(mut dialog), Some(description)) = (branch.dialog_of(message), description) else {
            self.dismiss(office, now, index, message);
            self.leg_lost(office, now, index, "failed", LegOutcome::Failed);
            return true;
        };
        let (flow, ack) = branch.ack(office, &mut dialog, None);
        office.effect(Effect::Send { flow, bytes: ack.clone() });
        branch.peer.answered(now, message);
        if let Some(aside) = &mut branch.aside {
            let (protection, expected) = (branch.peer.origin.keying.protection(), branch.peer.expected);
            aside.ask(office, (&description, expected), protection, sounds);
        }
        branch.state =
            BranchState::Asked(Box::new(Asked { dialog: Box::new(dialog), ack, description, bye }));
        self.byes += 1; // see `Asked::bye`
        if self.transfer().is_none() {
            self.tell_of_ringing(office, now);
        }
        true
    }

    /// A key was pressed at one of the relays of this call.
    pub(super) fn pressed(&mut self, office: &mut Office, now: Now, relay: RelayId, digit: Digit) {
        let asked = |branch: &Branch| {
            matches!(branch.state, BranchState::Asked(_))
                && branch.aside.as_ref().is_some_and(|aside| aside.id == relay)
        };
        let Some(index) = self.branches.iter().position(asked) else { return };
        if self.question_of(index).is_some_and(|question| confirm::accepts(question, digit)) {
            self.confirmed(office, now, index);
        }
    }

    /// The leg takes the call.
    fn confirmed(&mut self, office: &mut Office, now: Now, index: usize) {
        match self.state {
            State::Ringing(_) => self.let_in(office, now, index),
            State::Answered(_) => self.let_in_transferred(office, now, index),
            State::Served(_) | State::Over(_) => {}
        }
    }

    /// Whoever was to be transferred to takes the call: it is spoken with no more, and asked for its session as any other newcomer is.
    fn let_in_transferred(&mut self, office: &mut Office, now: Now, index: usize) {
        if self.anchor.is_none() {
            self.anchor = Anchor::reserve(office, self.key); // the call was without media until now
        }
        let place = self.vacated();
        let Some(branch) = self.branches.get_mut(index) else { return };
        let Some(Asked { dialog, ack, .. }) = branch.take_asked() else { return };
        self.byes = self.byes.saturating_sub(1);
        branch.state = BranchState::Answered { dialog, ack: Some(ack) };
        if let Some(aside) = &mut branch.aside {
            if let Some(place) = place {
                aside.hand_over(office, place);
            }
            aside.close(office, false);
        }
        let (leg, entry) = (branch.leg, branch.entry);
        self.log.leg_answered(entry);
        self.talks(office, now, index);
        self.leave_all(office, now, &COMPLETED_ELSEWHERE, "answered_elsewhere");
        self.walk.answered(leg);
        let asking = Asking::new(self.key.client(0), index, None); // until it is asked
        if let Some(transfer) = self.transfer_mut() {
            transfer.stage = Stage::Asking(asking);
        }
        self.ask_for_session(office, now);
    }

    /// The leg's ports become the call's. A caller who made no offer gets the leg's session as ours.
    fn let_in(&mut self, office: &mut Office, now: Now, index: usize) {
        if self.anchor.is_none() {
            self.anchor = Anchor::reserve(office, self.key);
        }
        let description = match self.branches.get(index).map(|branch| &branch.state) {
            Some(BranchState::Asked(asked)) => asked.description.clone(),
            _ => return,
        };
        let Ok(answer) = self.answer_for_caller(office, Some(&description)) else {
            return self.unconfirmable(office, now, index);
        };
        let (key, n) = (self.key, self.relays + 1);
        let branch = &mut self.branches[index];
        let (Some(mut aside), Some(anchor)) = (branch.aside.take(), &mut self.anchor) else { return };
        let Some(Asked { dialog, ack, .. }) = branch.take_asked() else { return };
        self.byes = self.byes.saturating_sub(1);
        self.superseded.extend(anchor.adopt(office, &mut aside, super::media::relay_of(key, n)));
        self.relays = n;
        let (protection, expected) = (branch.peer.origin.keying.protection(), branch.peer.expected);
        anchor.point(office, Side::B, &description, protection, expected);
        branch.aside = Some(aside);
        self.bridge(office, now, index, (*dialog, Some(ack), None), answer);
    }

    /// The caller can't be told of that leg's session: it is hung up on.
    fn unconfirmable(&mut self, office: &mut Office, now: Now, index: usize) {
        let branch = &mut self.branches[index];
        self.log.leg_ended(now, branch.entry, None, "failed");
        branch.leave_asked(office, now, &[]);
        branch.end(office, LegOutcome::Failed);
        self.branch_ended(office, now, index);
    }

    /// A request in the dialog of a leg that is being asked. `false`: it is none.
    pub(super) fn request_of_asked(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        index: usize,
        message: &Message,
    ) -> bool {
        let Some(branch) = self.branches.get_mut(index) else { return false };
        let BranchState::Asked(asked) = &mut branch.state else { return false };
        if !is_of(&asked.dialog, message) {
            return false;
        }
        let status = match (asked.dialog.receive(message), message.method()) {
            (Err(_), _) => 500, // RFC 3261 §12.2.2
            (Ok(()), Method::Bye | Method::Info | Method::Options) => 200,
            (Ok(()), Method::Update) if headers::description(message).is_none() => 200, // RFC 4028 §7.4
            (Ok(()), Method::Invite | Method::Update) => 491,
            (Ok(()), _) => 405,
        };
        office.respond(now, server, status, plain_response(message, status, None));
        match (status, message.method()) {
            (200, Method::Bye) => {
                self.byes = self.byes.saturating_sub(1);
                self.leg_lost(office, now, index, "not confirmed", LegOutcome::NoAnswer);
            }
            (200, Method::Info) => {
                let relay = branch.aside.as_ref().map(|aside| aside.id);
                let digit = Digit::of_info(message.content_type().unwrap_or_default(), &message.body());
                if let (Some(relay), Some(digit)) = (relay, digit) {
                    self.pressed(office, now, relay, digit);
                }
            }
            _ => {}
        }
        true
    }

    /// An ACK to the 2xx of a leg that is being asked is repeated with it. `true`: it was.
    pub(super) fn acknowledges_again(&self, office: &mut Office, index: usize, message: &Message) -> bool {
        let branch = &self.branches[index];
        let BranchState::Asked(asked) = &branch.state else { return false };
        let same = message.to().and_then(|to| to.tag()) == Some(asked.dialog.id.remote_tag.as_str());
        if same {
            let flow = headers::flow_towards(&asked.dialog, branch.flow, branch.behind_nat);
            office.effect(Effect::Send { flow, bytes: asked.ack.clone() });
        }
        same
    }

    fn leg_lost(&mut self, office: &mut Office, now: Now, index: usize, why: &str, outcome: LegOutcome) {
        let branch = &mut self.branches[index];
        self.log.leg_ended(now, branch.entry, None, why);
        branch.end(office, outcome);
        self.branch_ended(office, now, index);
    }

    /// The call is over: relays of legs that were asked, or were to be, are given back.
    pub(super) fn close_asides(&mut self, office: &mut Office) {
        for aside in self.branches.iter_mut().filter_map(|branch| branch.aside.as_mut()) {
            aside.close(office, false);
        }
    }
}

impl Branch {
    /// The dialog of a leg that is asked, out of it: what it becomes is for the caller of this to say. `None`: it is not asked.
    fn take_asked(&mut self) -> Option<Asked> {
        match std::mem::replace(&mut self.state, BranchState::Ended(LegOutcome::Failed)) {
            BranchState::Asked(asked) => Some(*asked),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Hangs up on a leg that was asked, for these Reasons (RFC 3326). `false`: it was not.
    pub(super) fn leave_asked(&mut self, office: &mut Office, now: Now, reasons: &[&str]) -> bool {
        let BranchState::Asked(asked) = &mut self.state else { return false };
        let flow = headers::flow_towards(&asked.dialog, self.flow, self.behind_nat);
        let name = headers::branch(office);
        let mut w = asked.dialog.request(Method::Bye, None, headers::hop(office, &flow, &name));
        for reason in reasons {
            w.header(Name::Reason, reason);
        }
        let (bye, bytes) = (asked.bye, w.finish());
        office.request(now, bye, flow, bytes);
        self.end(office, LegOutcome::Cancelled);
        true
    }

    /// Whether a report on the relay of its own is awaited.
    #[must_use]
    pub(super) fn awaits_relay(&self) -> bool {
        self.aside.as_ref().is_some_and(super::aside::Aside::is_awaited)
    }
}
