//! Carries a [`RingPlan`] out: which leg starts when, which stops, and when the stage is over. It knows no SIP: legs are indexes
//! into the plan, their ends come in as outcomes, orders go out as values.
//!
//! Invariants: a leg starts at most once and ends exactly once if it started; after `Order::Over` nothing is ordered any more.

use crate::rules::model::Decline;
use crate::rules::{LegEnd, LegOutcome, RingPlan};
use std::time::{Duration, Instant};

/// What the ring stage wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Invite the leg at this index of the plan.
    Start(usize),
    /// Cancel it; its end is accounted for already.
    Stop(usize, Stop),
    /// Nothing rings and nothing is left to ring.
    Over,
}

/// Why a leg is stopped: it decides the Reason of the CANCEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its time is up: a real missed call.
    TimeUp,
    /// Another device declined for all (policy `stop`).
    DeclinedElsewhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leg {
    Planned,
    /// `rang`: a provisional response came.
    Ringing {
        until: Instant,
        rang: bool,
    },
    Ended(LegOutcome),
    /// Never started: the stage was over before.
    Dropped,
}

#[derive(Debug)]
pub struct Ring {
    plan: RingPlan,
    started: Instant,
    /// By how much a sequence runs ahead of its plan, because steps ended early.
    ahead: Duration,
    legs: Vec<Leg>,
    over: bool,
    /// See [`Ring::begins_to_sound`].
    sounds: bool,
}

impl Ring {
    #[must_use]
    pub fn new(plan: RingPlan, now: Instant) -> Ring {
        let legs = vec![Leg::Planned; plan.legs.len()];
        Ring { plan, started: now, ahead: Duration::ZERO, legs, over: false, sounds: false }
    }

    #[must_use]
    pub fn plan(&self) -> &RingPlan {
        &self.plan
    }

    /// Whether this is the first that the caller is to hear of this stage.
    pub fn begins_to_sound(&mut self) -> bool {
        !std::mem::replace(&mut self.sounds, true)
    }

    /// Starts and stops what is due.
    pub fn poll(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if self.over {
            return;
        }
        for index in 0..self.legs.len() {
            if let Leg::Ringing { until, rang } = self.legs[index]
                && until <= now
            {
                let outcome = if rang { LegOutcome::NoAnswer } else { LegOutcome::Offline };
                self.legs[index] = Leg::Ended(outcome);
                orders.push(Order::Stop(index, Stop::TimeUp));
            }
        }
        self.move_up(now);
        for index in 0..self.legs.len() {
            if self.legs[index] == Leg::Planned && self.start_of(index) <= now {
                self.start(index, now, orders);
            }
        }
        self.finish(orders);
    }

    /// A provisional response of the leg came.
    pub fn rang(&mut self, index: usize) {
        if let Some(Leg::Ringing { rang, .. }) = self.legs.get_mut(index) {
            *rang = true;
        }
    }

    /// The leg ended by itself, unanswered.
    pub fn ended(&mut self, now: Instant, index: usize, outcome: LegOutcome, orders: &mut Vec<Order>) {
        let Some(leg @ Leg::Ringing { .. }) = self.legs.get_mut(index) else { return };
        *leg = Leg::Ended(outcome);
        if outcome == LegOutcome::Declined && self.plan.decline == Decline::Stop {
            self.stop_all(orders);
        }
        self.poll(now, orders);
    }

    /// Its time is up, and its branches know better what that means than whether it rang.
    pub fn amend(&mut self, index: usize, outcome: LegOutcome) {
        if let Some(leg @ Leg::Ended(_)) = self.legs.get_mut(index) {
            *leg = Leg::Ended(outcome);
        }
    }

    /// Whether this leg rings now: only such a leg may win.
    #[must_use]
    pub fn is_ringing(&self, index: usize) -> bool {
        matches!(self.legs.get(index), Some(Leg::Ringing { .. }))
    }

    /// Legs that ring or are still to start.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.legs.iter().filter(|leg| matches!(leg, Leg::Planned | Leg::Ringing { .. })).count()
    }

    /// The ends of the legs that started.
    #[must_use]
    pub fn ends(&self) -> Vec<LegEnd> {
        let ended = |(leg, state): (usize, &Leg)| match state {
            Leg::Ended(outcome) => Some(LegEnd { leg, outcome: *outcome }),
            Leg::Planned | Leg::Ringing { .. } | Leg::Dropped => None,
        };
        self.legs.iter().enumerate().filter_map(ended).collect()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let due = |(index, leg): (usize, &Leg)| match leg {
            Leg::Planned => Some(self.start_of(index)),
            Leg::Ringing { until, .. } => Some(*until),
            Leg::Ended(_) | Leg::Dropped => None,
        };
        if self.over { None } else { self.legs.iter().enumerate().filter_map(due).min() }
    }

    fn start_of(&self, index: usize) -> Instant {
        self.started + self.plan.legs[index].start.saturating_sub(self.ahead)
    }

    fn start(&mut self, index: usize, now: Instant, orders: &mut Vec<Order>) {
        let end_of_all = self.started + self.plan.total;
        let until = (now + self.plan.legs[index].ring_for).min(end_of_all.max(now));
        self.legs[index] = Leg::Ringing { until, rang: false };
        orders.push(Order::Start(index));
    }

    /// In a sequence whose step has ended early, what follows moves up to now.
    fn move_up(&mut self, now: Instant) {
        if !self.plan.sequence || self.legs.iter().any(|leg| matches!(leg, Leg::Ringing { .. })) {
            return;
        }
        let next = (0..self.legs.len())
            .filter(|index| self.legs[*index] == Leg::Planned)
            .map(|index| self.start_of(index))
            .min();
        if let Some(next) = next {
            self.ahead += next.saturating_duration_since(now);
        }
    }

    fn stop_all(&mut self, orders: &mut Vec<Order>) {
        for (index, leg) in self.legs.iter_mut().enumerate() {
            match leg {
                Leg::Ringing { .. } => {
                    *leg = Leg::Ended(LegOutcome::Cancelled);
                    orders.push(Order::Stop(index, Stop::DeclinedElsewhere));
                }
                Leg::Planned => *leg = Leg::Dropped,
                Leg::Ended(_) | Leg::Dropped => {}
            }
        }
    }

    fn finish(&mut self, orders: &mut Vec<Order>) {
        if self.alive() == 0 && !self.over {
            self.over = true;
            orders.push(Order::Over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::model::{CallerId, MissedCalls};
    use crate::rules::{LegTarget, PlannedLeg};
    use Order::{Over, Start};

    fn leg(step: u16, start_s: u64, for_s: u64) -> PlannedLeg {
        PlannedLeg {
            to: LegTarget::Device("101a".into()),
            step,
            start: Duration::from_secs(start_s),
            ring_for: Duration::from_secs(for_s),
            confirm: None,
            caller_id: CallerId::default(),
            anonymous: false,
            alert: None,
            tone: crate::rules::model::RingTone::Urn,
            inside: true,
            diversions: Vec::new(),
            charge: None,
        }
    }

    fn plan(sequence: bool, decline: Decline, total_s: u64, legs: Vec<PlannedLeg>) -> RingPlan {
        RingPlan {
            legs: legs.into(),
            total: Duration::from_secs(total_s),
            sequence,
            decline,
            missed_calls: MissedCalls::IfUnanswered,
            hear: None,
        }
    }

    /// Polls at that second and returns the orders.
    fn at(ring: &mut Ring, second: u64) -> Vec<Order> {
        let mut orders = Vec::new();
        let now = ring.started + Duration::from_secs(second);
        ring.poll(now, &mut orders);
        orders
    }

    fn ends(ring: &mut Ring, second: u64, leg: usize, outcome: LegOutcome) -> Vec<Order> {
        let mut orders = Vec::new();
        let now = ring.started + Duration::from_secs(second);
        ring.ended(now, leg, outcome, &mut orders);
        orders
    }

    fn epoch() -> Instant {
        crate::net::clock::now().mono
    }

    #[test]
    fn a_delayed_leg_starts_at_its_time_and_the_stage_ends_with_the_last() {
        let mut ring =
            Ring::new(plan(false, Decline::Stop, 30, vec![leg(0, 0, 30), leg(0, 10, 20)]), epoch());
        assert_eq!(at(&mut ring, 0), [Start(0)]);
        assert_eq!(at(&mut ring, 9), []);
        assert_eq!(at(&mut ring, 10), [Start(1)]);
        ring.rang(0);
        assert_eq!(at(&mut ring, 30), [Order::Stop(0, Stop::TimeUp), Order::Stop(1, Stop::TimeUp), Over]);
        let outcomes: Vec<_> = ring.ends().iter().map(|end| end.outcome).collect();
        assert_eq!(
            outcomes,
            [LegOutcome::NoAnswer, LegOutcome::Offline],
            "a leg that never rang was offline"
        );
    }

    #[test]
    fn a_sequence_goes_on_at_once_when_a_step_ends_early() {
        let legs = vec![leg(0, 0, 15), leg(1, 15, 15), leg(2, 30, 15)];
        let mut ring = Ring::new(plan(true, Decline::Continue, 45, legs), epoch());
        assert_eq!(at(&mut ring, 0), [Start(0)]);
        assert_eq!(ends(&mut ring, 4, 0, LegOutcome::Busy), [Start(1)]);
        assert_eq!(at(&mut ring, 18), []);
        assert_eq!(at(&mut ring, 19), [Order::Stop(1, Stop::TimeUp), Start(2)]);
        assert_eq!(ring.deadline(), Some(ring.started + Duration::from_secs(34)));
    }

    #[test]
    fn a_busy_leg_leaves_the_others_ringing() {
        let mut ring = Ring::new(plan(false, Decline::Stop, 20, vec![leg(0, 0, 20), leg(0, 0, 20)]), epoch());
        assert_eq!(at(&mut ring, 0), [Start(0), Start(1)]);
        assert_eq!(ends(&mut ring, 1, 0, LegOutcome::Busy), []);
        assert!(ring.is_ringing(1));
        assert_eq!(ends(&mut ring, 2, 1, LegOutcome::Busy), [Over]);
    }

    #[test]
    fn a_decline_ends_all_by_policy_stop_and_one_by_policy_continue() {
        let legs = || vec![leg(0, 0, 20), leg(0, 0, 20), leg(0, 5, 15)];
        let mut stop = Ring::new(plan(false, Decline::Stop, 20, legs()), epoch());
        at(&mut stop, 0);
        assert_eq!(
            ends(&mut stop, 1, 0, LegOutcome::Declined),
            [Order::Stop(1, Stop::DeclinedElsewhere), Over]
        );
        let mut carry_on = Ring::new(plan(false, Decline::Continue, 20, legs()), epoch());
        at(&mut carry_on, 0);
        assert_eq!(ends(&mut carry_on, 1, 0, LegOutcome::Declined), []);
        assert_eq!(carry_on.alive(), 2);
    }

    #[test]
    fn an_end_is_counted_once() {
        let mut ring = Ring::new(plan(false, Decline::Stop, 20, vec![leg(0, 0, 20)]), epoch());
        at(&mut ring, 0);
        assert_eq!(ends(&mut ring, 1, 0, LegOutcome::Busy), [Over]);
        assert_eq!(ends(&mut ring, 2, 0, LegOutcome::Failed), []);
        assert_eq!(at(&mut ring, 30), []);
        assert_eq!(ring.ends(), [LegEnd { leg: 0, outcome: LegOutcome::Busy }]);
    }
}
