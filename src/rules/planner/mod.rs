//! Makes ring plans: which legs, when, and what each shows of the caller.
//!
//! It decides nothing about where a call goes next. What can't ring (offline, busy, refused) gets no leg and is handed back
//! with its reason, since it counts in the outcome of the stage.
//!
//! Invariants: a target that rings already is not rung a second time; a plan of a user's own phones allocates nothing.

mod leg;
mod ready;

use super::caller::Party;
use super::domain::{Domain, UserEntry};
use super::facts::{CallFacts, Live};
use super::model::{CallerId, CallerIdChoice, Confirm, Destination, MissedCalls, Name, RingTone, Strategy};
use super::outgoing::{Sender, Way};
use super::plan::{Charge, Diverter, LegOutcome, LegTarget, Legs, PlannedLeg, RingPlan};
use super::trail::{Follow, Ringing, SkipWhy, Skipped};
use super::tree::{RingTemplate, TargetPlace, TemplateTarget};
use super::user_facts::{Clock, UserFacts};
use smallvec::SmallVec;
use std::cell::OnceCell;
use std::time::Duration;

pub(super) struct Planner<'a> {
    pub domain: &'a Domain,
    pub live: &'a dyn Live,
    pub clock: &'a Clock,
    pub call: &'a CallFacts,
    pub party: &'a Party,
    /// The queue or hunt that the call came through.
    pub through: Option<&'a Destination>,
    /// Caller ID prefixes met so far, the first first.
    pub prefixes: &'a [Name],
    /// Whoever diverted the call so far.
    pub diverters: &'a [Diverter],
    /// Alert-Info of the number that was called.
    pub alert: Option<&'a Name>,
    /// `random` in the order of the file, for `route` and golden tests.
    pub in_file_order: bool,
    /// The caller under those prefixes, as legs inside show them: written once for all legs.
    pub prefixed: OnceCell<(CallerId, bool)>,
}

/// A place that can ring.
struct Ready {
    to: LegTarget,
    /// The route of an outside leg, and whose budget it counts against.
    route: Option<u32>,
    charge: Option<Box<Charge>>,
}

type ReadyList = SmallVec<[Ready; 4]>;

/// How a leg outside of the ring keys is rung: by a forward.
#[derive(Clone, Copy)]
pub(super) struct ForwardKeys<'a> {
    pub confirm: Option<Confirm>,
    pub caller_id: Option<&'a CallerIdChoice>,
    /// The class of an outside number, whatever the number says.
    pub class: Option<&'a Name>,
}

/// A ring stage in the making.
struct Draft<'r> {
    ringing: &'r mut Ringing,
    /// The target of the list that is looked at.
    target: Option<u16>,
}

impl Draft<'_> {
    fn skip(&mut self, what: Destination, outcome: LegOutcome, why: SkipWhy) {
        self.ringing.skipped.push(Skipped { what, target: self.target, outcome: Some(outcome), why });
    }

    /// What would start only when ringing is over.
    fn late(&mut self, ready: ReadyList, start: Duration, total: Duration) {
        for ready in ready {
            let why = SkipWhy::Late { start_s: start.as_secs(), total_s: total.as_secs() };
            let what = place_of(&ready.to);
            self.ringing.skipped.push(Skipped { what, target: self.target, outcome: None, why });
        }
    }
}

/// When, and by which target of the list, a place rings.
struct Slot<'t> {
    target: Option<&'t TemplateTarget>,
    index: u16,
    step: u16,
    start: Duration,
    ring_for: Duration,
}

impl<'a> Planner<'a> {
    /// The plan of a rule, or of a hunt, whose list has no owner.
    pub fn of_rule(&self, owner: Option<&UserEntry>, template: &RingTemplate) -> Ringing {
        let mut ringing = self.stage(template.missed_calls);
        ringing.plan.hear.clone_from(&template.hear);
        let mut draft = Draft { ringing: &mut ringing, target: None };
        ringing.plan.total = match template.strategy {
            Strategy::Own | Strategy::Simultaneous => self.together(owner, template, &mut draft),
            Strategy::Sequential | Strategy::SequentialMemory | Strategy::Random => {
                self.sequence(owner, template, &mut draft)
            }
        };
        ringing.plan.sequence = !matches!(template.strategy, Strategy::Own | Strategy::Simultaneous);
        self.leave_followed(&mut ringing);
        let (legs, targets) = (&mut ringing.plan.legs, &mut ringing.targets);
        if !legs.is_sorted_by_key(|leg| leg.start) {
            let mut order: Vec<_> = legs.drain(..).zip(targets.drain(..)).collect();
            order.sort_by_key(|(leg, _)| leg.start);
            (*legs, *targets) = order.into_iter().unzip();
        }
        ringing
    }

    /// A stage without legs yet.
    fn stage(&self, missed_calls: MissedCalls) -> Ringing {
        let plan = RingPlan {
            legs: Legs::new(),
            total: Duration::ZERO,
            sequence: false,
            decline: self.domain.policy.device_decline,
            missed_calls,
            hear: None,
        };
        Ringing { plan, targets: SmallVec::new(), skipped: Vec::new(), follows: Vec::new() }
    }

    fn together(
        &self,
        owner: Option<&UserEntry>,
        template: &RingTemplate,
        draft: &mut Draft<'_>,
    ) -> Duration {
        let total = template.timeout.unwrap_or(template.ring_for);
        if template.strategy == Strategy::Own {
            let own = self.ready(owner, &TargetPlace::Own, draft);
            let slot = Slot { target: None, index: 0, step: 0, start: Duration::ZERO, ring_for: total };
            self.add(owner, own, &slot, draft);
            return total;
        }
        self.initial(owner, template, total, draft);
        let alone = template.initial.unwrap_or_default();
        for (index, target) in (0..).zip(&template.targets) {
            let ready = self.target(owner, target, index, false, draft);
            let start = alone + target.delay;
            let Some(rest) = total.checked_sub(start).filter(|rest| !rest.is_zero()) else {
                draft.late(ready, start, total);
                continue;
            };
            let ring_for = target.ring_for.map_or(rest, |own| own.min(rest));
            self.add(owner, ready, &Slot { target: Some(target), index, step: 0, start, ring_for }, draft);
        }
        total
    }

    /// `initial`: the own phone rings from the start to the end, listed or not.
    fn initial(
        &self,
        owner: Option<&UserEntry>,
        template: &RingTemplate,
        total: Duration,
        draft: &mut Draft<'_>,
    ) {
        if template.initial.is_some() {
            let own = self.ready(owner, &TargetPlace::Own, draft);
            let slot =
                Slot { target: None, index: u16::MAX, step: 0, start: Duration::ZERO, ring_for: total };
            self.add(owner, own, &slot, draft);
        }
    }

    /// One step after the other; what can't ring takes no time. With memory, what rings keeps ringing.
    fn sequence(
        &self,
        owner: Option<&UserEntry>,
        template: &RingTemplate,
        draft: &mut Draft<'_>,
    ) -> Duration {
        let order = self.order(template);
        let mut steps: Vec<(u16, &TemplateTarget, ReadyList)> = Vec::with_capacity(order.len());
        for (place, (index, target)) in order.iter().enumerate() {
            let at_end = place + 1 == order.len() && template.strategy != Strategy::SequentialMemory;
            let ready = self.target(owner, target, *index, at_end, draft);
            if !ready.is_empty() {
                steps.push((*index, target, ready));
            }
        }
        let lasts = |target: &TemplateTarget| target.ring_for.or(template.each).unwrap_or(template.ring_for);
        let alone = template.initial.unwrap_or_default();
        let sum = steps.iter().fold(alone, |sum, (_, target, _)| sum + lasts(target));
        let total = template.timeout.unwrap_or(sum);
        self.initial(owner, template, total, draft);
        let mut start = alone;
        for (step, (index, target, ready)) in (0..).zip(steps) {
            let rest = total.saturating_sub(start);
            if rest.is_zero() {
                draft.late(ready, start, total);
                continue;
            }
            let ring_for = match template.strategy {
                Strategy::SequentialMemory => rest,
                _ => lasts(target).min(rest),
            };
            self.add(owner, ready, &Slot { target: Some(target), index, step, start, ring_for }, draft);
            start += lasts(target);
        }
        let last = draft.ringing.plan.legs.iter().map(|leg| leg.start + leg.ring_for).max();
        last.unwrap_or(total).min(total)
    }

    /// The targets in the order in which they ring, each with its index. `random` is drawn from the call itself, so that the same
    /// call replayed draws the same.
    fn order<'t>(&self, template: &'t RingTemplate) -> Vec<(u16, &'t TemplateTarget)> {
        let mut targets: Vec<(u16, &TemplateTarget)> = (0..).zip(&template.targets).collect();
        if template.strategy == Strategy::Random && !self.in_file_order {
            // The call clock in nanoseconds, folded: no two calls share it.
            let seed = self.call.at.as_nanosecond() as u64;
            let drawn = |index: u16| mix(seed.wrapping_add(GOLDEN_GAMMA.wrapping_mul(u64::from(index) + 1)));
            targets.sort_by_key(|(index, _)| drawn(*index));
        }
        targets
    }

    /// What of a target can ring now, and whether its user is to be followed.
    fn target(
        &self,
        owner: Option<&UserEntry>,
        target: &TemplateTarget,
        index: u16,
        at_end: bool,
        draft: &mut Draft<'_>,
    ) -> ReadyList {
        let mut ready = ReadyList::new();
        draft.target = Some(index);
        for place in &target.to {
            if let (true, TargetPlace::Place(Destination::User(name))) =
                (target.follow && target.to.len() == 1, place)
                && let Some(user) = self.domain.users.index(name)
            {
                draft.ringing.follows.push(Follow { user, target: index, at_end });
            }
            self.ready_into(owner, place, draft, &mut ready);
        }
        ready
    }

    /// A follower whose calls all go elsewhere, and who would be the last one left from the start, does not ring first.
    fn leave_followed(&self, ringing: &mut Ringing) {
        for follow in ringing.follows.clone() {
            let mine = |target: &u16| *target == follow.target;
            let alone = follow.at_end || ringing.targets.iter().all(mine);
            if !alone || !ringing.targets.iter().any(mine) || !self.goes_elsewhere(follow.user) {
                continue;
            }
            let targets = std::mem::take(&mut ringing.targets);
            let legs = std::mem::take(&mut ringing.plan.legs);
            (ringing.plan.legs, ringing.targets) =
                legs.into_iter().zip(targets).filter(|(_, t)| !mine(t)).unzip();
            let name = self.domain.entry_at(follow.user).map(|user| user.view.name.clone());
            ringing.skipped.push(Skipped {
                what: Destination::User(name.unwrap_or_else(|| "".into())),
                target: Some(follow.target),
                outcome: None,
                why: SkipWhy::GoesElsewhere,
            });
        }
    }

    fn goes_elsewhere(&self, user: u32) -> bool {
        !self.call.psap_callback && self.facts(None, user).is_some_and(|facts| facts.goes_elsewhere())
    }

    fn facts<'s>(&'s self, by: Option<&'s UserEntry>, user: u32) -> Option<UserFacts<'s>> {
        let entry = self.domain.entry_at(user)?;
        let tree = self.domain.tree_of(user)?;
        Some(UserFacts {
            domain: self.domain,
            live: self.live,
            clock: self.clock,
            call: self.call,
            party: self.party,
            user: entry,
            tree,
            by,
            through: self.through,
            status: OnceCell::new(),
            forced: Default::default(),
        })
    }

    /// The plan of a forward to a phone or an outside number, or of a number that leads to one (then nobody forwards).
    pub fn of_place(
        &self,
        sender: Sender<'_>,
        place: &Destination,
        ring_for: Duration,
        keys: ForwardKeys<'_>,
    ) -> Ringing {
        let mut ringing = self.stage(MissedCalls::IfUnanswered);
        let mut ready = ReadyList::new();
        let mut draft = Draft { ringing: &mut ringing, target: None };
        match place {
            Destination::Tel(number) => {
                self.outside_into(sender, number, keys.class, &mut draft, &mut ready);
            }
            inside => self.place(sender.user, inside, &mut draft, &mut ready),
        }
        for ready in ready {
            let mut leg = self.leg(sender, ready, keys.caller_id, None);
            leg.ring_for = ring_for;
            if let LegTarget::Outside { .. } = leg.to {
                leg.confirm = keys.confirm;
            }
            ringing.plan.legs.push(leg);
            ringing.targets.push(0);
        }
        ringing.plan.total = ring_for;
        ringing
    }

    /// The plan of a call that a phone of ours makes to the outside. `identity`: what it shows, whatever else is set; without a
    /// number to call back an emergency centre is not left, so such a leg withholds nothing (RFC 6443 §9.1).
    pub fn of_outgoing(
        &self,
        number: &Name,
        way: &Way,
        ring_for: Duration,
        identity: Option<CallerId>,
    ) -> Ringing {
        let anonymous = self.party.anonymous && identity.is_none();
        let leg = PlannedLeg {
            to: LegTarget::Outside { number: number.clone(), trunks: way.trunks.clone() },
            step: 0,
            start: Duration::ZERO,
            ring_for,
            confirm: None,
            caller_id: identity.unwrap_or_else(|| self.original(self.domain.route_id(way.route))),
            anonymous,
            alert: None,
            tone: RingTone::default(),
            inside: self.party.inside,
            diversions: Vec::new(),
            charge: way.charge.clone(),
        };
        let mut ringing = self.stage(MissedCalls::IfUnanswered);
        ringing.plan.legs.push(leg);
        ringing.plan.total = ring_for;
        ringing.targets.push(0);
        ringing
    }
}

/// The odd number next to 2^64 over the golden ratio: the step of SplitMix64 (Steele, Lea, Flood 2014).
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64: every bit of the input moves every bit of the output. A checksum would not do, its bits are
/// linear, and some orders would never come up.
fn mix(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The place that a leg rings.
pub(super) fn place_of(to: &LegTarget) -> Destination {
    match to {
        LegTarget::Device(device) => Destination::Device(device.clone()),
        LegTarget::Outside { number, .. } => Destination::Tel(number.clone()),
    }
}
