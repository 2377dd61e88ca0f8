//! The first answer wins: the leg's 2xx is acknowledged, the others are told, the caller gets its 200.

use super::branch::{Callee, State as BranchState};
use super::bridge::Bridge;
use super::headers;
use super::office::{Effect, Office};
use super::record::AnsweredBy;
use super::refresh::Amendment;
use super::{COMPLETED_ELSEWHERE, Call, State};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::rules::LegOutcome;
use crate::rules::model::MissedCalls;
use crate::sip::Message;
use bytes::Bytes;

impl Call {
    pub(super) fn win(&mut self, office: &mut Office, now: Now, index: usize, message: &Message) {
        if let State::Answered(_) = self.state {
            return self.transfer_answered(office, now, index, message);
        }
        let branch = &self.branches[index];
        let early = branch.early_of(message);
        let agreed = early.is_some_and(|early| early.agreed);
        // RFC 3262 §5: where it came reliably before, the 2xx has none.
        let described = headers::description(message);
        let description = described.or_else(|| early.and_then(|early| early.description.clone()));
        let without = match branch.arrived {
            Some(_) => self.offer.is_none(),
            None => branch.request.body().is_empty(),
        };
        let late_offer = without && description.is_some() && !agreed;
        let dialog = branch.dialog_of(message);
        if self.offer.is_none() && description.is_some() && self.anchor.is_none() {
            self.anchor = super::media::Anchor::reserve(office, self.key); // a late offer: the first SDP of the call
        }
        // What the leg is to be heard by stands before the caller is told.
        let heard = match &description {
            Some(description) => self.branches[index].peer.hear(description),
            None => Ok(()),
        };
        let answer = heard.and_then(|()| self.answer_for_caller(office, description.as_ref()));
        let (Some(mut dialog), Ok((answer, amendment))) = (dialog, answer) else {
            // No Contact, or an answer that can't be relayed: nobody can talk here.
            self.dismiss(office, now, index, message);
            let branch = &mut self.branches[index];
            self.log.leg_ended(now, branch.entry, Some(message.status()), "failed");
            branch.end(office, LegOutcome::Failed);
            return self.branch_ended(office, now, index);
        };
        let peer = &mut self.branches[index].peer;
        peer.answered(now, message);
        let (protection, expected) = (peer.origin.keying.protection(), peer.expected);
        if let (Some(description), Some(anchor)) = (&description, &mut self.anchor) {
            anchor.point(office, Side::B, description, protection, expected);
        }
        let ack = if late_offer { None } else { Some(self.acknowledge(office, index, &mut dialog)) };
        let held = ack.is_none().then(|| self.branches[index].cseq());
        self.bridge(office, now, index, (dialog, ack, held), (answer, amendment));
    }

    fn acknowledge(&self, office: &mut Office, index: usize, dialog: &mut Dialog) -> Bytes {
        let (flow, bytes) = self.branches[index].ack(office, dialog, None);
        office.effect(Effect::Send { flow, bytes: bytes.clone() });
        bytes
    }

    /// The branch has won: the losers are told, the caller gets its 200. `held`: the CSeq number of its INVITE, where the ACK waits for the
    /// caller's.
    pub(super) fn bridge(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        (dialog, ack, held): (Dialog, Option<Bytes>, Option<u32>),
        (description, amendment): (Option<Bytes>, Option<Amendment>),
    ) {
        let State::Ringing(ring) = &self.state else { return };
        let always_missed = ring.plan().missed_calls == MissedCalls::Always;
        if let Some(anchor) = &mut self.anchor {
            anchor.hush(office, Side::A); // music while it rang
        }
        let branch = &mut self.branches[index];
        let leg = branch.leg;
        self.log.leg_answered(branch.entry);
        branch.state = BranchState::Answered { dialog: Box::new(dialog), ack };
        let callee = branch.callee.clone();
        let reasons: &[&str] = if always_missed { &[] } else { &COMPLETED_ELSEWHERE };
        self.leave_all(office, now, reasons, "answered_elsewhere");
        self.talks(office, now, index);
        self.caller.far = self.branches[index].peer.half;
        let answer = self.caller.answer(office, now, description);
        match self.branches[index].arrived {
            Some(_) => self.walk.leave(),
            None => self.walk.answered(leg),
        }
        self.log.answer = Some(self.log.moment(now));
        let answered_by = match callee {
            Callee::Device { device, user } => {
                if let Some(user) = &user {
                    let taker = (self.domain.name().clone(), user.clone());
                    office.seize(&taker);
                    self.taker = Some(taker);
                }
                AnsweredBy { user: user.map(|user| user.to_string()), device: Some(device.to_string()) }
            }
            Callee::Trunk { number, .. } => AnsweredBy { user: None, device: Some(format!("tel:{number}")) },
        };
        office.effect(Effect::Answered { id: self.log.id.clone(), answered_by: answered_by.device.clone() });
        self.log.answered_by = Some(answered_by);
        self.record_from_now(office, now);
        let mut bridge = Box::new(Bridge::new(index, answer, held));
        bridge.amendment = amendment;
        self.state = State::Answered(bridge);
        self.introduce();
        self.settle_numbers(office, &[Side::A, Side::B]);
    }
}
