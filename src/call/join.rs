//! The second half of a transfer: the new leg has answered, the other party is asked to talk by what it offers, and it takes the place of
//! whoever transfers (RFC 3725 §4.4 turned round: the re-INVITE carries the offer of the new leg, the ACK to the new leg the answer).
//!
//! Invariant: a new leg that has answered is either put in that place, or acknowledged and ended.

use super::branch::{Callee, State as BranchState};
use super::guest::Home;
use super::headers::{self, AGENT};
use super::leaver::Leaver;
use super::media::Anchor;
use super::office::{Effect, Office};
use super::transfer::{Stage, Transfer};
use super::{COMPLETED_ELSEWHERE, Call, State};
use crate::clock::Now;
use crate::relay::Side;
use crate::rules::LegOutcome;
use crate::sdp;
use crate::sip::{Message, Method, Name, SessionId};
use crate::transaction::ClientId;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// Re-INVITEs that met one of the other party's own (RFC 3261 §14.1) before the transfer is given up.
pub(super) const GLARES_MAX: u32 = 3;
/// How long a re-INVITE may go without a final response, and the transfer with it: as long as a transaction that hears nothing at all.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(32);

/// Somebody has answered a transfer, and the other party is asked.
#[derive(Debug)]
pub struct Joining {
    /// The branch that answered, and what it offers.
    pub branch: usize,
    pub offer: Bytes,
    /// Our re-INVITE of the other party.
    pub client: ClientId,
    pub cseq: u32,
    /// The CSeq number of the INVITE that whoever answered waits to have acknowledged.
    pub ack_cseq: u32,
    /// They were offered the other party's session: what they offer was their answer, and is acknowledged already.
    pub acked: bool,
    /// Where they have come from, by an attended transfer.
    pub home: Option<Home>,
    pub glares: u32,
    /// When it is asked again.
    pub again: Option<Instant>,
    /// When our re-INVITE is cancelled.
    pub until: Option<Instant>,
    /// Whoever answered has hung up meanwhile.
    pub lost: bool,
}

impl Joining {
    /// Whoever is in that branch offers this.
    pub(super) fn of(branch: usize, offer: Bytes, ack_cseq: u32) -> Joining {
        Joining {
            branch,
            offer,
            client: ClientId(0),
            cseq: 0,
            ack_cseq,
            acked: false,
            home: None,
            glares: 0,
            again: None,
            until: None,
            lost: false,
        }
    }
}

impl Call {
    /// The new leg has answered, with its offer: the other party is asked to talk by it.
    pub(super) fn transfer_answered(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        message: &Message,
    ) {
        if self.transfer().is_none() {
            return;
        }
        let offer = headers::description(message);
        if self.anchor.is_none() && offer.is_some() {
            self.anchor = Anchor::reserve(office, self.key); // the call was without media until now
        }
        let sound = offer.as_deref().is_some_and(|offer| sdp::audio(offer).is_ok()) && self.anchor.is_some();
        let branch = &mut self.branches[index];
        let sound = sound && offer.as_ref().is_some_and(|offer| branch.peer.hear(offer).is_ok());
        let dialog = branch.dialog_of(message);
        let (Some(mut dialog), Some(offer), true) = (dialog, offer, sound) else {
            self.dismiss(office, now, index, message); // no Contact, or no offer that can be relayed
            let branch = &mut self.branches[index];
            self.log.leg_ended(now, branch.entry, Some(message.status()), "failed");
            branch.state = BranchState::Ended(LegOutcome::Failed);
            return self.branch_ended(office, now, index);
        };
        let branch = &mut self.branches[index];
        let leg = branch.leg;
        let mut joining = Joining::of(index, offer, branch.cseq());
        joining.acked = !branch.request.body().is_empty();
        let ack = joining.acked.then(|| {
            let (flow, ack) = branch.ack(office, &mut dialog, None);
            office.effect(Effect::Send { flow, bytes: ack.clone() });
            ack
        });
        self.log.leg_answered(branch.entry);
        branch.peer.answered(now, message);
        branch.state = BranchState::Answered { dialog: Box::new(dialog), ack };
        self.talks(office, now, index);
        self.leave_all(office, now, &COMPLETED_ELSEWHERE, "answered_elsewhere");
        self.walk.answered(leg);
        self.join(office, now, joining);
    }

    /// Whoever is in that branch offers this session: the other party is asked.
    pub(super) fn join(&mut self, office: &mut Office, now: Now, joining: Joining) {
        let client = self.next_client();
        if let Some(transfer) = self.transfer_mut() {
            transfer.stage = Stage::Joining(joining);
        }
        self.ask_to_join(office, now, client);
    }

    /// Re-INVITE of the other party with what the new leg offers.
    pub(super) fn ask_to_join(&mut self, office: &mut Office, now: Now, client: ClientId) {
        let Some(from) = self.transfer().map(|transfer| transfer.from) else { return };
        let Some(offer) =
            self.transfer_mut().and_then(Transfer::joining).map(|joining| joining.offer.clone())
        else {
            return;
        };
        let Ok(rewritten) = self.describe_offer(office, from.other(), &offer) else {
            self.abandon(office, now);
            return self.transfer_failed(office, now, 488);
        };
        let newcomer = self.transfer_mut().and_then(Transfer::joining).map(|joining| joining.branch);
        let local = newcomer.and_then(|index| self.branches.get(index)).map(|branch| branch.peer.half);
        let remote = self.peer(from.other()).half;
        let branch = headers::branch(office);
        let Some((dialog, flow)) = self.dialog(from.other()) else { return };
        if let Some(local) = local {
            dialog.name_session(SessionId { local, remote }); // RFC 7989 §8: whom it is to speak with
        }
        let mut w = dialog.request(Method::Invite, None, headers::hop(office, &flow, &branch));
        let cseq = dialog.local_cseq();
        self.peer(from.other()).write_session(office, &flow, &mut w);
        w.header(Name::UserAgent, AGENT);
        self.tell_referrer(&mut w, from.other());
        if let Some(joining) = self.transfer_mut().and_then(Transfer::joining) {
            (joining.client, joining.cseq, joining.again) = (client, cseq, None);
            joining.until = Some(now.mono + ANSWER_WITHIN);
        }
        let bytes = w.body("application/sdp", &rewritten);
        self.send(office, now, from.other(), client, flow, bytes);
    }

    /// What the other party says to it. `false`: this is no response to our re-INVITE.
    pub(super) fn join_response(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        message: &Message,
    ) -> bool {
        let Some(transfer) = self.transfer_mut() else { return false };
        let other = transfer.from.other();
        let Some(joining) = transfer.joining().filter(|joining| joining.client == client) else {
            return false;
        };
        let cseq = joining.cseq;
        match message.status() {
            ..200 => {}
            200..=299 => {
                if let Some((dialog, _)) = self.dialog(other) {
                    dialog.refresh(message);
                }
                self.peer(other).answered(now, message);
                self.peer(other).origin.accepted();
                self.acknowledge_passed(office, other, cseq, None, Some(client));
                self.agreed(office, now, headers::description(message));
            }
            491 if joining.glares < GLARES_MAX && !joining.lost => {
                joining.glares += 1;
                let ours = !self.caller_sits(other) && self.branch_at(other).is_some_and(|b| b.is_ours());
                let again = now.mono + after_glare(office, ours);
                if let Some(joining) = self.transfer_mut().and_then(Transfer::joining) {
                    (joining.again, joining.until) = (Some(again), None);
                }
            }
            408 | 481 => {
                joining.again = Some(now.mono); // nothing is on its way any more
                self.hang_up(office, now); // RFC 3261 §12.2.1.2
            }
            code => {
                self.abandon(office, now);
                self.transfer_failed(office, now, code);
            }
        }
        true
    }

    /// The re-INVITE got no final response: the other party is gone.
    pub(super) fn join_failed(&mut self, office: &mut Office, now: Now, client: ClientId) -> bool {
        let ours = |joining: &&mut Joining| joining.client == client;
        let Some(joining) = self.transfer_mut().and_then(Transfer::joining).filter(ours) else {
            return false;
        };
        joining.again = Some(now.mono); // nothing is on its way any more
        self.hang_up(office, now); // RFC 3261 §12.2.1.2
        true
    }

    /// Cancels a re-INVITE that has waited for long enough: its final response, 487 or another, says what becomes of the transfer.
    pub(super) fn give_up_asking(&mut self, office: &mut Office, now: Now) {
        let (client, until) = match self.transfer_mut().map(|transfer| &mut transfer.stage) {
            Some(Stage::Joining(joining)) => (joining.client, &mut joining.until),
            Some(Stage::Asking(asking)) => (asking.client, &mut asking.until),
            _ => return,
        };
        if until.take_if(|at| *at <= now.mono).is_none() {
            return;
        }
        office.cancel(now, self.last_name(client), &[]);
    }

    /// The other party has agreed: the new leg gets its answer and takes its place; whoever transferred hears so and leaves.
    fn agreed(&mut self, office: &mut Office, now: Now, answer: Option<Bytes>) {
        let Some(transfer) = self.transfer_mut() else { return };
        let from = transfer.from;
        let Some(joining) = transfer.joining() else { return };
        let (index, offer, lost) = (joining.branch, joining.offer.clone(), joining.lost);
        let (ack_cseq, acked) = (joining.ack_cseq, joining.acked);
        let answer = answer.filter(|answer| self.misfit(from.other(), answer).is_none());
        if let Some(answer) = &answer {
            self.point(office, from.other(), answer);
        }
        let rewritten = match (answer, acked) {
            (Some(_), true) => Some(None),
            (Some(answer), false) => self.describe_to(office, index, from, &answer).ok().map(Some),
            (None, _) => None,
        };
        let Some(rewritten) = rewritten.filter(|_| !lost) else {
            self.abandon(office, now);
            self.transfer_failed(office, now, if lost { 487 } else { 488 });
            return self.settle(office, now, from.other()); // it had agreed to talk by what the new leg has
        };
        let _ = self.point_branch(office, index, from, &offer); // it was heard before
        let told = self.notify(office, now, 200);
        self.step_down(office, now, from, told);
        if let State::Answered(bridge) = &mut self.state {
            match from {
                Side::A => bridge.near = Some(index),
                Side::B => bridge.winner = index,
            }
            bridge.absent = None;
        }
        self.introduce();
        self.settle_numbers(office, &[Side::A, Side::B]);
        if let Some(rewritten) = rewritten {
            self.acknowledge_passed(office, from, ack_cseq, Some(&rewritten), None);
        }
        let callee = self.branches[index].callee.clone();
        self.take_over(office, from, &callee);
        self.keep_guest(office, from);
        self.hold_music(office); // whoever held the other party has left
        self.transfer_over(200, Some(callee.label()));
    }

    /// Whoever transfers is in the call no more: BYE, once they have heard.
    fn step_down(&mut self, office: &mut Office, now: Now, side: Side, told: Option<ClientId>) {
        let absent = matches!(&self.state, State::Answered(bridge) if bridge.absent == Some(side));
        if !absent && told.is_none() {
            self.bye(office, now, side, &[]);
        }
        let Some((_, flow)) = self.dialog(side) else { return };
        let dialog = if self.caller_sits(side) {
            self.caller.dialog.take()
        } else if let Some(branch) = self.branch_at(side) {
            branch.channel = None;
            match std::mem::replace(&mut branch.state, BranchState::Ended(LegOutcome::Answered)) {
                BranchState::Answered { dialog, .. } => Some(dialog),
                _ => None,
            }
        } else {
            None
        };
        if let (Some(dialog), Some(notify), false) = (dialog, told, absent) {
            self.leaver = Some(Leaver { dialog, flow, notify });
        }
    }

    /// The new leg's user is in the call instead of the one who transferred.
    fn take_over(&mut self, office: &mut Office, side: Side, callee: &Callee) {
        let user = match callee {
            Callee::Device { user: Some(user), .. } => Some((self.domain.name().clone(), user.clone())),
            Callee::Device { user: None, .. } | Callee::Trunk { .. } => None,
        };
        if let Some(user) = &user {
            office.seize(user);
        }
        let place = match side {
            Side::A => &mut self.maker,
            Side::B => &mut self.taker,
        };
        if let Some(before) = std::mem::replace(place, user) {
            office.release(&before);
        }
    }
}

impl Joining {
    /// Our re-INVITE, where that is on its way.
    pub(super) fn pending(&self) -> Option<ClientId> {
        Some(self.client).filter(|_| self.cseq != 0 && self.again.is_none())
    }
}

/// RFC 3261 §14.1: whoever chose the Call-ID waits for 2.1 to 4 s before another re-INVITE, the other one for less.
pub(super) fn after_glare(office: &mut Office, ours: bool) -> Duration {
    let from_ms = if ours { 2100 } else { 0 };
    Duration::from_millis(from_ms + office.ids.word() % 190 * 10)
}
