//! The ring stage: a plan goes out, the ends of its legs come back as one outcome.

use super::{Next, Purpose, Stage, Walk};
use crate::rules::model::Confirm;
use crate::rules::plan::{LegEnd, LegOutcome, LegTarget, PlannedLeg, RingPlan, verdict};
use crate::rules::planner::{Draft, Skipped, name_of};
use crate::rules::trail::{LegSeen, Standing, Why};
use crate::rules::tree::RingOutcome;
use std::collections::BTreeMap;

/// What the ends mean together with what could not ring at all.
pub(super) fn outcome(plan: &RingPlan, skipped: &[LegOutcome], ends: &[LegEnd]) -> RingOutcome {
    let all: Vec<LegOutcome> = ends.iter().map(|end| end.outcome).chain(skipped.iter().copied()).collect();
    ring_outcome(verdict(&all, plan.decline))
}

/// Nobody left to ring: busy if any was, else offline; failed where nothing but failure was met.
pub(super) fn outcome_of_nothing(skipped: &[LegOutcome]) -> RingOutcome {
    let any = |outcome: LegOutcome| skipped.contains(&outcome);
    match (any(LegOutcome::Busy), any(LegOutcome::Offline), any(LegOutcome::Failed)) {
        (true, _, _) => RingOutcome::Busy,
        (false, false, true) => RingOutcome::Failed,
        (false, _, _) => RingOutcome::Offline,
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

/// `101a did not answer, 102a was busy`.
pub(super) fn why(plan: &RingPlan, ends: &[LegEnd]) -> Why {
    let say = |end: &LegEnd| {
        let leg = plan.legs.get(end.leg)?;
        let what = match end.outcome {
            LegOutcome::Answered => "answered",
            LegOutcome::Busy => "was busy",
            LegOutcome::NoAnswer => "did not answer",
            LegOutcome::Declined => "declined",
            LegOutcome::Offline => "could not be reached",
            LegOutcome::Failed => "failed",
            LegOutcome::Cancelled => return None,
        };
        Some(format!("{} {what}", tag_name(&leg.to)))
    };
    ends.iter().filter_map(say).collect::<Vec<_>>().join(", ").into()
}

/// `101a`, `tel:+12025550181`.
pub(super) fn tag_name(to: &LegTarget) -> String {
    match to {
        LegTarget::Device(device) => device.to_string(),
        LegTarget::Outside { .. } => name_of(to),
    }
}

impl Walk {
    /// Rings, or tells at once how it ended where nothing can ring.
    pub(super) fn ring(
        &mut self,
        draft: Draft,
        purpose: Purpose,
        standing: Standing,
    ) -> Result<Next, RingOutcome> {
        let Draft { plan, skipped } = draft;
        for (tag, why) in skipped.iter().filter_map(|s| Some((s.tag.clone()?, s.why.clone()))) {
            self.trail.push(tag, None, why);
        }
        let counted: Vec<LegOutcome> = skipped.iter().filter_map(|s| s.outcome).collect();
        if plan.legs.is_empty() {
            let outcome = outcome_of_nothing(&counted);
            self.trail.push_over(outcome.tag(), None, "nothing can ring", passed_over(&skipped));
            return Err(outcome);
        }
        let mut over = passed_over(&skipped);
        for leg in &plan.legs {
            let when = match leg.start.as_secs() {
                0 => "at once".to_owned(),
                seconds => format!("after {seconds} s"),
            };
            let rings = format!("rings {when}, for {} s", leg.ring_for.as_secs());
            let tag =
                format!("ring:{}@{}+{}", tag_name(&leg.to), leg.start.as_secs(), leg.ring_for.as_secs());
            self.trail.push_over(tag, self.span_of(&leg.to), rings, std::mem::take(&mut over));
            self.leg_tags(leg);
        }
        self.trail.standing = standing;
        self.stage = Stage::Ringing { plan: plan.clone(), skipped: counted, purpose };
        Ok(Next::Ring(plan))
    }

    /// What belongs to the leg named just before.
    pub(super) fn leg_tags(&mut self, leg: &PlannedLeg) {
        let confirm = leg.confirm.map(|confirm| match confirm {
            Confirm::One => "1",
            Confirm::Any => "any",
        });
        if let Some(key) = confirm {
            let why = "who answers presses a key before the call is theirs";
            self.trail.push(format!("confirm:{key}"), None, why);
        }
        if let Some(number) = &leg.caller_id.number {
            self.trail.push(format!("caller_id:{number}"), None, "the number that it shows");
        }
        if let Some(name) = &leg.caller_id.name {
            self.trail.push(format!("caller_id_name:{name}"), None, "the name that it shows");
        }
        if let LegTarget::Outside { trunks, .. } = &leg.to {
            let first = trunks.first().and_then(|trunk| self.domain.trunk(trunk));
            let told = first.is_some_and(|trunk| trunk.diversion != crate::rules::model::Diversion::None);
            if let (true, Some((who, reason))) = (told, &leg.diversion) {
                self.trail.push(
                    format!("diversion:{reason}"),
                    None,
                    format!("the trunk is told that {who} forwards"),
                );
            }
            for (index, trunk) in trunks.iter().enumerate() {
                let span = self.domain.trunks.get(trunk).map(|trunk| trunk.span);
                let why = if index == 0 {
                    "the trunk that is tried first"
                } else {
                    "if those before fail before ringing"
                };
                self.trail.push(format!("route:{trunk}"), span, why);
            }
        }
        self.trail.legs.push(LegSeen {
            to: name_of(&leg.to),
            start_s: leg.start.as_secs(),
            for_s: leg.ring_for.as_secs(),
            confirm,
            name: leg.caller_id.name.clone(),
            number: leg.caller_id.number.clone(),
        });
    }

    fn span_of(&self, to: &LegTarget) -> Option<crate::rules::Span> {
        match to {
            LegTarget::Device(device) => self.domain.devices.get(device).map(|device| device.span),
            LegTarget::Outside { .. } => None,
        }
    }
}

/// Each thing once, with its first reason.
fn passed_over(skipped: &[Skipped]) -> Vec<(String, Why)> {
    let mut seen = BTreeMap::new();
    for skip in skipped {
        seen.entry(skip.what.clone()).or_insert_with(|| Why::from(skip.why.clone()));
    }
    seen.into_iter().collect()
}
