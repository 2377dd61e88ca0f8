//! Ring plans as values: which legs ring when, and what their ends mean together.

use super::model::{Budget, CallerId, Confirm, Decline, Limit, MissedCalls, RingTone, Spent};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// The legs of a plan. A user's phones fit without an allocation.
pub type Legs = SmallVec<[PlannedLeg; 4]>;

/// Everything that the call needs to ring: carried out by `call::ring`, listed by `route`.
#[derive(Clone, Debug, PartialEq)]
pub struct RingPlan {
    /// In the order of their tags: by start, then target order.
    pub legs: Legs,
    /// Ringing ends then, whatever still rings.
    pub total: Duration,
    /// A sequence: when all legs of a step have ended early, the next step starts at once and everything after it moves up.
    pub sequence: bool,
    pub decline: Decline,
    pub missed_calls: MissedCalls,
    /// What the caller hears meanwhile (`moh:NAME`); `None`: ringback.
    pub hear: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlannedLeg {
    pub to: LegTarget,
    /// The step of a sequence that it belongs to, from 0; always 0 without one.
    pub step: u16,
    /// From the start of the plan.
    pub start: Duration,
    pub ring_for: Duration,
    /// Asked before the leg may win.
    pub confirm: Option<Confirm>,
    /// What the leg's From shows: prefixes applied.
    pub caller_id: CallerId,
    /// The identity is withheld towards this leg (RFC 3323).
    pub anonymous: bool,
    /// Alert-Info of the leg (RFC 7462), as a URI, where the rules name one.
    pub alert: Option<Arc<str>>,
    /// How the phone is told where the call comes from, where they don't.
    pub tone: RingTone,
    /// The call comes from one of us.
    pub inside: bool,
    /// Of a leg to the outside: whoever diverted the call on its way here, the first one first. For trunks that want to hear of it.
    pub diversions: Vec<Diverter>,
    /// Of a leg to the outside: whom it counts against, where it is somebody's.
    pub charge: Option<Box<Charge>>,
}

/// Whom a leg counts against, by which budget, and what was used of it when that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub user: Arc<str>,
    pub class: Arc<str>,
    /// `None`: it has no limit, and is counted all the same; rules that are applied may give it one.
    pub budget: Option<Budget>,
    /// Where there is a limit.
    pub spent: Spent,
}

impl Charge {
    /// What does not let it begin, if anything does not.
    #[must_use]
    pub fn stopped_by(&self) -> Option<Limit> {
        self.budget.as_ref()?.stops(&self.spent)
    }

    /// `1 of 2 calls at once, 42m of 2h today`.
    #[must_use]
    pub fn used(&self) -> String {
        self.budget.as_ref().map_or_else(String::new, |budget| budget.used(&self.spent))
    }

    /// As it will stand at that time of a plan, when these legs of it will have begun.
    #[must_use]
    pub fn beside(
        mut self: Box<Self>,
        legs: &[PlannedLeg],
        start: Duration,
        ring_for: Duration,
    ) -> Box<Self> {
        let counts = |leg: &&PlannedLeg| {
            leg.charge.as_ref().is_some_and(|other| other.user == self.user && other.class == self.class)
        };
        let overlaps = |leg: &&PlannedLeg| leg.start < start + ring_for && start < leg.start + leg.ring_for;
        let count = |legs: usize| u32::try_from(legs).unwrap_or(u32::MAX);
        let (all, beside) = (
            count(legs.iter().filter(counts).count()),
            count(legs.iter().filter(counts).filter(overlaps).count()),
        );
        self.spent.calls_per_hour = self.spent.calls_per_hour.saturating_add(all);
        self.spent.calls_at_once = self.spent.calls_at_once.saturating_add(beside);
        self
    }
}

/// Who sent a call on to somebody else, and why (RFC 5806).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverter {
    /// A number that can be called back, else an extension.
    pub who: Arc<str>,
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LegTarget {
    /// Every contact of this device, as one leg.
    Device(Arc<str>),
    /// An outside number by these trunks in order; the next only if the one before fails before ringing.
    Outside { number: Arc<str>, trunks: Vec<Arc<str>> },
}

/// How one leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegOutcome {
    Answered,
    /// 486 or 600; 480 within two seconds of its INVITE (device DND).
    Busy,
    /// Rang to the end of its time; 480 later than two seconds.
    NoAnswer,
    /// 603 and the like.
    Declined,
    /// No provisional response by the end of its time, a time-out, nothing registered.
    Offline,
    /// Anything else: 4xx, 5xx, no trunk.
    Failed,
    /// Cancelled by us: somebody else answered, or the caller has gone.
    Cancelled,
}

/// The end of the leg at this index of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegEnd {
    pub leg: usize,
    pub outcome: LegOutcome,
}

/// What the ends of all legs mean together: first that applies of declined (policy `stop`), no answer, busy, declined,
/// offline, failed. `None` when a leg was answered, or there are none.
#[must_use]
pub fn verdict(ends: &[LegOutcome], decline: Decline) -> Option<LegOutcome> {
    let any = |outcome: LegOutcome| ends.contains(&outcome);
    if any(LegOutcome::Answered) {
        return None;
    }
    if decline == Decline::Stop && any(LegOutcome::Declined) {
        return Some(LegOutcome::Declined);
    }
    [LegOutcome::NoAnswer, LegOutcome::Busy, LegOutcome::Declined, LegOutcome::Offline, LegOutcome::Failed]
        .into_iter()
        .find(|outcome| any(*outcome))
}

#[cfg(test)]
mod tests {
    use super::LegOutcome::{Answered, Busy, Cancelled, Declined, Failed, NoAnswer, Offline};
    use super::*;

    #[test]
    fn a_busy_member_counts_only_when_nobody_else_rang() {
        assert_eq!(verdict(&[Busy, NoAnswer], Decline::Continue), Some(NoAnswer));
        assert_eq!(verdict(&[Busy, Offline], Decline::Continue), Some(Busy));
        assert_eq!(verdict(&[Busy, Busy], Decline::Stop), Some(Busy));
    }

    #[test]
    fn a_decline_ends_it_by_policy_alone() {
        assert_eq!(verdict(&[NoAnswer, Declined, Cancelled], Decline::Stop), Some(Declined));
        assert_eq!(verdict(&[NoAnswer, Declined], Decline::Continue), Some(NoAnswer));
        assert_eq!(verdict(&[Declined, Offline], Decline::Continue), Some(Declined));
    }

    #[test]
    fn failure_is_the_last_word_and_an_answer_the_first() {
        assert_eq!(verdict(&[Offline, Failed], Decline::Stop), Some(Offline));
        assert_eq!(verdict(&[Failed], Decline::Stop), Some(Failed));
        assert_eq!(verdict(&[Answered, Cancelled], Decline::Stop), None);
        assert_eq!(verdict(&[], Decline::Stop), None);
    }
}
