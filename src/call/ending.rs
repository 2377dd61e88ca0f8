//! How a call ends, wherever it is in its life: refused, given up, hung up on. What an answered one says to its parties is in
//! [`super::parting`].
//!
//! Invariants: the caller's INVITE gets exactly one final response; the relay is closed once, and the record goes out once, complete.

use super::branch::Branch;
use super::log::Ending;
use super::office::{Effect, Office};
use super::{COMPLETED_ELSEWHERE, Call, State};
use crate::clock::Now;
use crate::relay::{Media, Side};
use crate::sip::{Message, Name};
use crate::transaction::ServerId;
use std::sync::Arc;

impl Call {
    /// Ends an unanswered call with a final response to the caller, or a transfer that nobody answers.
    pub(super) fn refuse(
        &mut self,
        office: &mut Office,
        now: Now,
        status: u16,
        outcome: &'static str,
        mut fields: Vec<(Name, String)>,
    ) {
        if let State::Answered(_) = self.state {
            return self.transfer_failed(office, now, status);
        }
        let status = self.refusal(status, &mut fields);
        self.caller.reject(office, now, status, &fields);
        self.leave_all(office, now, &[], "cancelled");
        self.over(office, now, Ending { outcome, status });
    }

    /// CANCEL to every branch that still rings.
    pub(super) fn leave_all(&mut self, office: &mut Office, now: Now, reasons: &[&str], why: &str) {
        self.sleepers.clear();
        for branch in &mut self.branches {
            if branch.is_calling() {
                self.log.leg_ended(now, branch.entry, None, why);
                branch.leave(office, now, reasons);
            }
        }
    }

    /// The call is over for its caller: media stops, the users are free, the record is on its way.
    pub(super) fn over(&mut self, office: &mut Office, now: Now, ending: Ending) {
        self.leave_conference(office);
        self.hand_over_lent(office);
        let unsaid = matches!(&self.state, State::Answered(bridge) if bridge.unsaid.is_some());
        // Its 200 has waited for a PRACK and is never sent: to the caller nobody has answered.
        let ending = match ending.status {
            200 if unsaid => Ending { outcome: "failed", status: 487 },
            _ => ending,
        };
        self.state = match std::mem::replace(&mut self.state, State::Over(None)) {
            State::Answered(_) if unsaid => {
                self.caller.reject(office, now, ending.status, &[]);
                State::Over(None)
            }
            State::Answered(bridge) => State::Over(bridge.farewell()),
            State::Served(served) => State::Over(served.farewell()),
            State::Ringing(_) | State::Over(_) => State::Over(None),
        };
        self.log.ended(now, ending);
        for user in [self.maker.take(), self.taker.take()].into_iter().flatten() {
            office.release(&user);
        }
        self.channel = None;
        self.branches.iter_mut().for_each(|branch| branch.channel = None);
        self.close_asides(office);
        let relaying = self.anchor.as_mut().is_some_and(|anchor| anchor.close(office));
        if !relaying {
            self.closed(office, None);
        } // else the record waits for what the relay counted
    }

    pub(super) fn closed(&mut self, office: &mut Office, media: Option<Media>) {
        if let Some(anchor) = self.anchor.take() {
            anchor.free(office);
        }
        // What a relay carried that another one has taken the place of comes first.
        self.log.media = match (self.log.media, media) {
            (Some(before), Some(media)) => Some(before.and(media)),
            (before, media) => media.or(before),
        };
        office.effect(Effect::Ended(Arc::new(self.record())));
    }

    /// CANCEL of the caller (RFC 3261 §9.2): already answered with 200; its Reasons go to every leg.
    pub fn cancelled(&mut self, office: &mut Office, now: Now, invite: ServerId, cancel: &Message) {
        if self.cancel_unsaid(office, now, invite, cancel) {
            return;
        }
        if let State::Answered(_) = self.state {
            return self.cancel_passed(office, now, invite, cancel);
        }
        if !self.is_unanswered() {
            return;
        }
        let reasons: Vec<&str> = cancel.values(Name::Reason).collect();
        let hides = self.hides_missed_calls() && reasons.is_empty();
        let reasons: &[&str] = if hides { &COMPLETED_ELSEWHERE } else { &reasons };
        self.walk.leave();
        self.caller.reject(office, now, 487, &[]);
        self.leave_all(office, now, reasons, "caller_gone");
        self.over(office, now, Ending { outcome: "caller_gone", status: 487 });
    }

    /// The admin ends the call, or the daemon does at the end of a drain.
    pub fn hang_up(&mut self, office: &mut Office, now: Now) {
        self.hang_up_for(office, now, &[]);
    }

    /// Ends the call on both sides, for these Reasons (RFC 3326).
    pub(super) fn hang_up_for(&mut self, office: &mut Office, now: Now, reasons: &[&str]) {
        self.hang_up_telling(office, now, [reasons, reasons]);
    }

    /// The same with one word for those inside, and another one for those outside.
    pub(super) fn hang_up_telling(&mut self, office: &mut Office, now: Now, [inside, outside]: [&[&str]; 2]) {
        match self.state {
            State::Ringing(_) => {
                self.leave_all(office, now, outside, "cancelled");
                let reasons = if self.by_trunk { outside } else { inside };
                let fields = reasons.iter().map(|reason| (Name::Reason, (*reason).to_owned())).collect();
                self.refuse(office, now, 480, "failed", fields);
            }
            State::Answered(_) => {
                self.drop_transfer(office, now);
                self.answer_passes(office, now, 487);
                for side in [Side::A, Side::B] {
                    let reasons = if self.is_outside(side) { outside } else { inside };
                    self.part(office, now, side, reasons);
                }
                self.over(office, now, Ending { outcome: "answered", status: 200 });
            }
            State::Served(ref served) if served.is_refusing() => {
                self.refuse(office, now, 480, "failed", Vec::new());
            }
            State::Served(_) => self.end_served(office, now, inside),
            State::Over(_) => {}
        }
    }

    /// Nothing is awaited any more: no branch, no BYE, no relay.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Over(None))
            && self.log.end.is_some()
            && !self.awaits_relays()
            && self.byes == 0
            && self.leaver.is_none()
            && self.branches.iter().all(Branch::is_settled)
    }
}
