//! The ring stage: a plan goes out, the ends of its legs come back as one outcome.

use super::{Next, Purpose, State, Turn};
use crate::rules::plan::{LegEnd, LegOutcome, PlannedLeg, verdict};
use crate::rules::trail::{Follow, Object, Ringing, SkipWhy, Standing, Step};
use crate::rules::tree::RingOutcome;
use smallvec::SmallVec;
use std::time::Duration;

impl Ringing {
    /// What the ends mean together with what could not ring at all.
    pub(super) fn outcome(&self, ends: &[LegEnd]) -> RingOutcome {
        let skipped = self.skipped.iter().filter_map(|skip| skip.outcome);
        let all: SmallVec<[LegOutcome; 8]> = ends.iter().map(|end| end.outcome).chain(skipped).collect();
        ring_outcome(verdict(&all, self.plan.decline))
    }

    /// Nobody left to ring: busy if any was, else offline; failed where nothing but failure was met.
    pub(super) fn outcome_of_nothing(&self) -> RingOutcome {
        let any = |outcome: LegOutcome| self.skipped.iter().any(|skip| skip.outcome == Some(outcome));
        match (any(LegOutcome::Busy), any(LegOutcome::Offline), any(LegOutcome::Failed)) {
            (true, _, _) => RingOutcome::Busy,
            (false, false, true) => RingOutcome::Failed,
            (false, _, _) => RingOutcome::Offline,
        }
    }

    /// Whom `follow` leads on to, and how their own phones ended, if they rang: the member that was the last one left. Everybody
    /// else had ended by themselves (busy, declined, offline, failed), or had been given less time.
    pub(super) fn last_left(&self, ends: &[LegEnd]) -> Option<(Follow, Option<RingOutcome>)> {
        if self.plan.legs.is_empty() {
            let followed = |follow: &&Follow| !self.is_shut_out(follow);
            return self.follows.iter().rev().find(followed).map(|follow| (*follow, None));
        }
        self.follows.iter().find_map(|follow| match self.time_of(follow) {
            Some(until) => {
                let own: SmallVec<[LegOutcome; 4]> =
                    ends.iter().filter(|e| self.is_of(e.leg, follow)).map(|e| e.outcome).collect();
                let others = || ends.iter().filter(|end| !self.is_of(end.leg, follow));
                let alone = others().all(|end| {
                    ended_early(end.outcome)
                        || self.plan.legs.get(end.leg).is_none_or(|leg| over(leg) < until)
                });
                let outcome = verdict(&own, self.plan.decline)?;
                alone.then_some((*follow, Some(ring_outcome(Some(outcome)))))
            }
            None if follow.at_end && !self.is_shut_out(follow) => Some((*follow, None)),
            None => None,
        })
    }

    /// The end of the planned time of a follower's phones; `None`: none rang.
    fn time_of(&self, follow: &Follow) -> Option<Duration> {
        let own = self.plan.legs.iter().enumerate().filter(|(leg, _)| self.is_of(*leg, follow));
        own.map(|(_, leg)| over(leg)).max()
    }

    fn is_of(&self, leg: usize, follow: &Follow) -> bool {
        self.targets.get(leg) == Some(&follow.target)
    }

    /// A white list that does not let the call through to their phones does not let it into their rules either.
    fn is_shut_out(&self, follow: &Follow) -> bool {
        self.skipped.iter().any(|skip| {
            skip.why == SkipWhy::WhiteList
                && matches!(&skip.what, crate::rules::model::Destination::User(_))
                && skip.target == Some(follow.target)
        })
    }
}

fn over(leg: &PlannedLeg) -> Duration {
    leg.start + leg.ring_for
}

fn ended_early(outcome: LegOutcome) -> bool {
    match outcome {
        LegOutcome::Busy | LegOutcome::Declined | LegOutcome::Offline | LegOutcome::Failed => true,
        LegOutcome::NoAnswer | LegOutcome::Answered | LegOutcome::Cancelled => false,
    }
}

fn ring_outcome(verdict: Option<LegOutcome>) -> RingOutcome {
    match verdict {
        Some(LegOutcome::NoAnswer) => RingOutcome::NoAnswer,
        Some(LegOutcome::Busy) => RingOutcome::Busy,
        Some(LegOutcome::Declined) => RingOutcome::Declined,
        Some(LegOutcome::Offline) => RingOutcome::Offline,
        Some(LegOutcome::Failed | LegOutcome::Answered | LegOutcome::Cancelled) | None => RingOutcome::Failed,
    }
}

impl Turn<'_> {
    /// Rings, or tells at once how it ended where nothing can ring.
    pub(super) fn ring(
        &mut self,
        ringing: Ringing,
        purpose: Purpose,
        standing: Standing,
    ) -> Result<Next, RingOutcome> {
        for skip in &ringing.skipped {
            if let SkipWhy::Denied(denied) = &skip.why {
                self.tell(Step::Denied(denied.clone()));
            }
        }
        let nothing = ringing.plan.legs.is_empty().then(|| ringing.outcome_of_nothing());
        let stage = self.journey.trail.stage(ringing);
        if let Some(outcome) = nothing {
            self.tell(Step::NothingRings { stage, outcome });
            return Err(outcome);
        }
        self.tell(Step::Ring(stage));
        self.journey.trail.standing = standing;
        self.journey.state = State::Ringing { stage, purpose };
        Ok(Next::Ring)
    }

    /// Where `follow` leads, once the ringing of this list ended so.
    pub(super) fn last_left(
        &self,
        list: Object,
        ends: &[LegEnd],
    ) -> Option<(u32, Object, Option<RingOutcome>)> {
        let ringing = self.journey.trail.stages.last()?;
        let (follow, outcome) = ringing.last_left(ends)?;
        Some((follow.user, list, outcome))
    }
}
