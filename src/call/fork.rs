//! The callee's side until somebody answers: legs started as branches, their responses, the winner.

use super::aside::Aside;
use super::branch::{Branch, Callee, Progress, State as BranchState};
use super::device::Reach;
use super::dialogs::Direction;
use super::headers::{self, Onward, Outgoing};
use super::lines::Channel;
use super::office::{Effect, Office};
use super::peer::Peer;
use super::transfer::Transfer;
use super::{Call, DECLINED_ELSEWHERE, caller::Heard, terms, verdict};
use crate::clock::Now;
use crate::relay::Side;
use crate::rules::model::Decline;
use crate::rules::{LegOutcome, LegTarget, PlannedLeg};
use crate::sdp::spoken;
use crate::sip::challenge::Answered;
use crate::sip::{Flow, Message, Method, Name};
use crate::transaction::Failure;
use std::time::Instant;

/// Phones behind one contact (a forking proxy) whose late answers are ACKed and BYEd; more are left to their own timers.
const DISMISSED_MAX: usize = 8;

/// One branch to be invited.
pub(super) struct Invitation<'a> {
    pub leg: usize,
    pub planned: &'a PlannedLeg,
    pub callee: Callee,
    pub target: &'a str,
    pub flow: Flow,
    /// Towards a trunk.
    pub onward: Option<Onward<'a>>,
    pub channel: Option<Channel>,
    /// When it is given up for another if it has said nothing.
    pub patience: Option<Instant>,
    pub reach: Reach,
}

impl Call {
    /// Invites everything that the leg leads to.
    pub(super) fn start_leg(&mut self, office: &mut Office, now: Now, leg: usize) -> Result<(), LegOutcome> {
        let Some(ring) = self.state.ring() else { return Err(LegOutcome::Failed) };
        let planned = ring.plan().legs[leg].clone();
        match &planned.to {
            LegTarget::Device(device) => self.invite_device(office, now, leg, &planned, device),
            LegTarget::Outside { number, trunks } => {
                self.invite_outside(office, now, leg, &planned, number, trunks)
            }
        }
    }

    /// Whether a leg that gets no offer may make its own in a provisional response: the caller can answer it, and nobody else is asked.
    fn passes_early_offers(&self, planned: &PlannedLeg) -> bool {
        let alone = self.state.ring().is_some_and(|ring| ring.plan().legs.len() == 1);
        let one = match &planned.to {
            LegTarget::Device(_) => self.branches.last().is_none_or(|branch| branch.stage != self.stage),
            LegTarget::Outside { .. } => true,
        };
        alone
            && one
            && self.transfer().is_none()
            && self.caller.takes_reliable()
            && self.caller.given().is_none()
    }

    pub(super) fn ring_at(
        &mut self,
        office: &mut Office,
        now: Now,
        invitation: &Invitation<'_>,
    ) -> Result<(), LegOutcome> {
        let mut aside = match invitation.planned.confirm {
            Some(_) => Some(self.apart(office).ok_or(LegOutcome::Failed)?),
            None => None,
        };
        let rung = self.invite_by(office, now, invitation, &mut aside);
        if let Some(mut left) = aside {
            left.close(office, false);
        }
        rung
    }

    /// The INVITE, which takes the relay of a leg that is to be asked with it.
    fn invite_by(
        &mut self,
        office: &mut Office,
        now: Now,
        invitation: &Invitation<'_>,
        aside: &mut Option<Aside>,
    ) -> Result<(), LegOutcome> {
        let Invitation { leg, planned, callee, target, flow, onward, channel, patience, reach } = invitation;
        let mut peer = Peer::new(office);
        peer.reached(flow, !reach.path.is_empty());
        peer.origin.keying.terms = terms::of(office, &self.domain, callee, flow);
        peer.sips = headers::asks_for_sips(target, &reach.path);
        // Who is told to the leg: the caller, or whoever is transferred.
        let half = match self.transfer().map(|transfer| transfer.from.other()) {
            Some(side) => self.peer(side).half,
            None => self.caller.peer.half,
        };
        let by_ipv6 = flow.remote.is_ipv6();
        let offer = match (self.offers(callee), &*aside, &self.anchor) {
            (offer, Some(aside), _) => {
                // Of a transfer it is not known yet what it will speak with, nor where the caller has made no offer: but with us, first.
                let offer = offer.filter(|_| self.transfer().is_none()).map(|(_, offer)| offer);
                let offer = offer.unwrap_or_else(spoken::offer);
                let described = aside.rewrite(office, by_ipv6, &mut peer.origin, &offer);
                Some(described.map_err(|_| LegOutcome::Failed)?)
            }
            (Some((side, offer)), None, Some(anchor)) => {
                let described = anchor.rewrite_by(office, side, by_ipv6, &mut peer.origin, &offer);
                Some(described.map_err(|_| LegOutcome::Failed)?)
            }
            _ => None,
        };
        let index = self.branches.len();
        let tag = super::tag(office, Side::B, self.key, index);
        let location = self.location_onward(office, now, invitation);
        let outgoing = Outgoing {
            leg: planned,
            target,
            route: &reach.path,
            flow: *flow,
            domain: self.domain.name(),
            tag: &tag,
            invite: self.transfer().and_then(Transfer::invite).unwrap_or(&self.caller.invite),
            referred_by: self.transfer().map(Transfer::referred_by),
            offer: offer.as_deref(),
            session: &peer.session,
            half,
            reliable: self.transfer().is_none() && (offer.is_some() || self.passes_early_offers(planned)),
            onward: onward.as_ref(),
            called: self.walk.did(),
            location: location.as_ref(),
            loop_token: self.loop_token,
        };
        let bytes = headers::invite(office, &outgoing);
        let request = Message::parse(bytes.clone()).map_err(|_| LegOutcome::Failed)?;
        let client = self.next_client();
        let entry = self.log.leg(now, callee.label());
        // A trunk is reached by what its Contact and Record-Route say; of who registers here it may have been replaced by the flow.
        let registers = matches!(callee, Callee::Device { .. }) || reach.contact.is_some();
        let behind_nat = registers && headers::address_of(target) != Some(flow.remote);
        self.branches.push(Branch {
            client,
            stage: self.stage,
            leg: *leg,
            callee: callee.clone(),
            withheld: false,
            direction: Direction::Recipient,
            flow: *flow,
            behind_nat,
            request,
            sent: now.mono,
            patience: *patience,
            answered: Answered::default(),
            channel: channel.clone(),
            emergency: self.walk.is_emergency() || self.walk.is_psap_callback(),
            reach: reach.clone(),
            aside: aside.take(),
            early_tag: None,
            early: Vec::new(),
            arrived: None,
            state: BranchState::Calling(Progress::Nothing),
            peer,
            entry,
            dismissed: Vec::new(),
        });
        office.request(now, client, *flow, bytes);
        Ok(())
    }

    pub(super) fn branch_response(&mut self, office: &mut Office, now: Now, index: usize, message: &Message) {
        match message.status() {
            100 => self.progressed(index, Progress::Trying),
            101..=199 => self.provisional(office, now, index, message),
            200..=299 => self.success(office, now, index, message),
            401 | 407 if self.answers_challenge(office, now, index, message) => {}
            422 if self.lengthens(office, now, index, message) => {}
            _ => self.rejected(office, now, index, message),
        }
    }

    /// 422 (RFC 4028 §7.3): once more, and only once, with the interval that the leg puts up with.
    fn lengthens(&mut self, office: &mut Office, now: Now, index: usize, message: &Message) -> bool {
        let Some(branch) = self.branches.get_mut(index).filter(|branch| branch.is_calling()) else {
            return false;
        };
        let lengthened =
            branch.request.number(Name::MinSe).is_some_and(|min_s| min_s != office.session.min_s);
        if lengthened || !branch.peer.session.lengthen(message) {
            return false;
        }
        let (expires, min_s) = branch.peer.session.asked();
        let min_s = min_s.to_string();
        self.invite_again(office, now, index, &[(Name::SessionExpires, &expires), (Name::MinSe, &min_s)])
    }

    fn progressed(&mut self, index: usize, heard: Progress) {
        let branch = &mut self.branches[index];
        if let BranchState::Calling(progress) = &mut branch.state {
            *progress = heard.max(*progress);
            if let Some(ring) = self.state.ring_mut()
                && branch.stage == self.stage
            {
                ring.rang(branch.leg);
            }
        }
    }

    fn provisional(&mut self, office: &mut Office, now: Now, index: usize, message: &Message) {
        if !self.take_provisional(office, now, index, message) {
            return;
        }
        self.branches[index].peer.learn(message);
        self.branches[index].early_tag = message.to().and_then(|to| to.tag()).map(Box::from);
        self.progressed(index, Progress::Ringing);
        let branch = &self.branches[index];
        let Some(ring) = self.state.ring() else { return };
        if !branch.is_calling() || branch.stage != self.stage {
            return;
        }
        self.caller.far = branch.peer.half;
        // Early media while more than one leg is alive would mix; from an inside phone nobody expects it (RFC 3960).
        let transferred = self.transfer().is_some(); // the other party hears the one who transfers, or hold
        let alone =
            ring.alive() == 1 && matches!(branch.callee, Callee::Trunk { .. }) && branch.aside.is_none();
        let music = ring.plan().hear.is_some();
        if let (true, Some(description), Some(anchor)) =
            (alone && !transferred && !music, headers::description(message), &mut self.anchor)
            && self.caller.heard < Heard::EarlyMedia
            && let Ok(rewritten) = anchor.rewrite(office, Side::A, &mut self.caller.peer.origin, &description)
            && self.point_branch(office, index, Side::B, &description).is_ok()
        {
            self.caller.early_media(office, now, rewritten);
        } else if !transferred {
            self.tell_of_ringing(office, now);
        }
        let (id, leg) = (self.log.id.clone(), self.branches[index].callee.label());
        office.effect(Effect::Ringing { id, leg });
    }

    /// A final response of 300 and above.
    fn rejected(&mut self, office: &mut Office, now: Now, index: usize, message: &Message) {
        let status = message.status();
        let moved = (300..400).contains(&status);
        if moved && self.deflects(office, now, index, message) {
            return;
        }
        let branch = &mut self.branches[index];
        let outcome = match branch.state {
            BranchState::Calling(_) => branch.outcome_of(now, status),
            BranchState::Leaving => LegOutcome::Cancelled,
            BranchState::Answered { .. } | BranchState::Asked(_) | BranchState::Ended(_) => return,
        };
        self.log.leg_ended(now, branch.entry, Some(status), verdict::word(outcome));
        let rang = branch.progress() == Progress::Ringing;
        let awaited = branch.is_calling();
        branch.end(office, outcome);
        self.turn_away(office, now, index);
        let onward = match moved && !rang {
            true => self.redirected(index, message),
            false => verdict::onward(status, rang),
        };
        if awaited && onward == verdict::Onward::Place {
            self.passes_over(office, now, index, Some(message));
        }
        if status == 430 {
            self.flow_failed(office, now, index);
        }
        let untaken = awaited && onward != verdict::Onward::Nothing;
        self.release_channel(office, index, untaken);
        let lost = matches!(status, 408 | 430) && !rang;
        let goes_on = awaited && self.tries_next(office, now, index, (onward, lost));
        self.lets_go(office, now, index, untaken && !goes_on);
        if awaited && !goes_on {
            self.branch_ended(office, now, index);
        }
    }

    /// Whether another trunk, or another flow of the phone, takes the leg over.
    pub(super) fn tries_next(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        (onward, lost): (verdict::Onward, bool),
    ) -> bool {
        self.tries_next_way(office, now, index, onward) || self.tries_next_flow(office, now, index, lost)
    }

    pub(super) fn branch_failed(&mut self, office: &mut Office, now: Now, index: usize, why: Failure) {
        let branch = &mut self.branches[index];
        let awaited = branch.is_calling();
        if branch.is_settled() {
            return;
        }
        let outcome = branch.outcome_so_far();
        let status = matches!(why, Failure::Timeout).then_some(408);
        self.log.leg_ended(now, branch.entry, status, verdict::word(outcome));
        branch.end(office, outcome);
        self.turn_away(office, now, index);
        let failed = outcome == LegOutcome::Offline;
        let onward = if failed { verdict::Onward::Place } else { verdict::Onward::Nothing };
        if awaited && failed {
            self.passes_over(office, now, index, None);
        }
        self.release_channel(office, index, awaited && failed);
        let goes_on = awaited && self.tries_next(office, now, index, (onward, failed));
        self.lets_go(office, now, index, awaited && failed && !goes_on);
        if awaited && !goes_on {
            self.branch_ended(office, now, index);
        }
    }

    /// A branch of the present stage ended by itself: when it was the last of its leg, the leg has ended.
    pub(super) fn branch_ended(&mut self, office: &mut Office, now: Now, index: usize) {
        let (stage, leg) = (self.branches[index].stage, self.branches[index].leg);
        let waits = self.waits_for_sleeper(stage, leg);
        let Some(ring) = self.state.ring_mut() else { return };
        if stage != self.stage {
            return;
        }
        let declined = matches!(self.branches[index].state, BranchState::Ended(LegOutcome::Declined));
        let of_leg = |branch: &&mut Branch| branch.stage == stage && branch.leg == leg;
        let outcome = if declined && ring.plan().decline == Decline::Stop {
            // Somebody pressed the button: the device's other contacts need not ring on.
            for branch in self.branches.iter_mut().filter(of_leg).filter(|branch| branch.is_calling()) {
                self.log.leg_ended(now, branch.entry, None, verdict::word(LegOutcome::Cancelled));
                branch.leave(office, now, &DECLINED_ELSEWHERE);
            }
            LegOutcome::Declined
        } else if waits || self.branches.iter_mut().filter(of_leg).any(|branch| branch.is_calling()) {
            return;
        } else {
            let outcomes: Vec<_> =
                self.branches.iter_mut().filter(of_leg).map(|b| b.outcome_so_far()).collect();
            verdict::together(&outcomes)
        };
        let mut orders = Vec::new();
        ring.ended(now.mono, leg, outcome, &mut orders);
        self.ring_on(office, now, orders);
    }

    /// A 2xx: the first one wins; a later one is ACKed and BYEd (RFC 3261 §13.2.2.4); a repeated one gets its ACK again.
    fn success(&mut self, office: &mut Office, now: Now, index: usize, message: &Message) {
        if self.acknowledges_again(office, index, message) {
            return;
        }
        let branch = &self.branches[index];
        if matches!(branch.state, BranchState::Asked(_)) {
            return self.dismiss(office, now, index, message); // another phone behind a forking proxy
        }
        if let BranchState::Answered { dialog, ack } = &branch.state {
            let same = message.to().and_then(|to| to.tag()) == Some(dialog.id.remote_tag.as_str());
            match ack {
                Some(ack) if same => {
                    let flow = headers::flow_towards(dialog, branch.flow, branch.behind_nat);
                    let bytes = ack.clone();
                    return office.effect(Effect::Send { flow, bytes });
                }
                None if same => return, // a late offer: the ACK waits for the caller's
                _ => return self.dismiss(office, now, index, message), // another phone behind a forking proxy
            }
        }
        let wins = branch.is_calling()
            && branch.stage == self.stage
            && self.state.ring().is_some_and(|ring| ring.is_ringing(branch.leg));
        let settled = branch.is_settled();
        if wins && self.asks_first(office, now, index, message) {
            return;
        }
        if wins {
            self.win(office, now, index, message);
        } else {
            let outcome = if settled { None } else { Some(LegOutcome::Cancelled) };
            self.dismiss(office, now, index, message);
            if let Some(outcome) = outcome {
                let branch = &mut self.branches[index];
                self.log.leg_ended(now, branch.entry, Some(message.status()), "answered_too_late");
                branch.end(office, outcome);
            }
        }
    }

    /// ACK and BYE for an answer that comes too late; when it is repeated, the ACK alone.
    pub(super) fn dismiss(&mut self, office: &mut Office, now: Now, index: usize, message: &Message) {
        let branch = &self.branches[index];
        let tag = message.to().and_then(|to| to.tag()).unwrap_or_default();
        if let Some((_, flow, ack)) = branch.dismissed.iter().find(|(of, ..)| of == tag) {
            return office.effect(Effect::Send { flow: *flow, bytes: ack.clone() });
        }
        if branch.dismissed.len() >= DISMISSED_MAX {
            return;
        }
        let Some(mut dialog) = branch.dialog_of(message) else { return };
        let (flow, bytes) = branch.ack(office, &mut dialog, None);
        office.effect(Effect::Send { flow, bytes: bytes.clone() });
        self.branches[index].dismissed.push((tag.to_owned(), flow, bytes));
        let name = headers::branch(office);
        let bytes = dialog.request(Method::Bye, None, headers::hop(office, &flow, &name)).finish();
        let client = self.next_client();
        self.byes += 1;
        office.request(now, client, flow, bytes);
    }
}
