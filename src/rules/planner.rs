//! Makes ring plans: which legs, when, and what each shows of the caller.
//!
//! It decides nothing about where a call goes next. What can't ring (offline, busy, refused) gets no leg and is handed back
//! with its reason, since it counts in the outcome of the stage.

use super::caller::Party;
use super::domain::{Domain, UserEntry};
use super::facts::{CallFacts, Live};
use super::model::{CallerIdChoice, Confirm, Destination, MissedCalls, Name, Strategy};
use super::outgoing::{Sender, Way};
use super::plan::{LegOutcome, LegTarget, PlannedLeg, RingPlan};
use super::tree::{RingTemplate, TargetPlace, TemplateTarget};
use super::user_facts::UserFacts;
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) struct Planner<'a> {
    pub domain: &'a Domain,
    pub live: &'a dyn Live,
    pub call: &'a CallFacts,
    pub party: &'a Party,
    /// Caller ID prefixes met so far, the first first.
    pub prefix: &'a str,
    /// Alert-Info of the number that was called.
    pub alert: Option<&'a Name>,
    /// `random` in the order of the file, for `route` and golden tests.
    pub in_file_order: bool,
}

/// A plan, and what stays out of it.
#[derive(Debug)]
pub(super) struct Draft {
    pub plan: RingPlan,
    pub skipped: Vec<Skipped>,
}

/// What doesn't ring, and why.
#[derive(Clone, Debug)]
pub(super) struct Skipped {
    pub what: String,
    /// What it counts as; `None`: nothing, it was only left out.
    pub outcome: Option<LegOutcome>,
    pub why: String,
    /// A tag of its own: `denied:...`.
    pub tag: Option<String>,
}

/// A place that can ring.
struct Ready {
    to: LegTarget,
    /// The way out of an outside leg.
    way: Option<Way>,
}

/// How a leg outside of the ring keys is rung: by a forward.
#[derive(Clone, Copy)]
pub(super) struct ForwardKeys<'a> {
    pub confirm: Option<Confirm>,
    pub caller_id: Option<&'a CallerIdChoice>,
    /// RFC 5806.
    pub reason: &'static str,
}

impl Skipped {
    fn new(what: impl ToString, outcome: LegOutcome, why: impl Into<String>) -> Skipped {
        Skipped { what: what.to_string(), outcome: Some(outcome), why: why.into(), tag: None }
    }
}

impl<'a> Planner<'a> {
    /// The plan of a rule.
    pub fn of_rule(&self, owner: &UserEntry, template: &RingTemplate) -> Draft {
        let mut skipped = Vec::new();
        let mut legs = Legs { planner: self, owner, legs: Vec::new(), ringing: BTreeSet::new() };
        let alone = template.initial.unwrap_or_default();
        let total = match template.strategy {
            Strategy::Own => {
                let own = self.ready(owner, &TargetPlace::Own, &mut skipped);
                let total = template.timeout.unwrap_or(template.ring_for);
                legs.add(own, None, 0, Duration::ZERO, total);
                total
            }
            Strategy::Simultaneous => {
                let total = template.timeout.unwrap_or(template.ring_for);
                self.initial(template, total, &mut legs, &mut skipped);
                for target in &template.targets {
                    let ready = self.target(owner, target, &mut skipped);
                    let start = alone + target.delay;
                    let Some(rest) = total.checked_sub(start).filter(|rest| !rest.is_zero()) else {
                        skipped.extend(ready.iter().map(|r| late(&r.to, start, total)));
                        continue;
                    };
                    let ring_for = target.ring_for.map_or(rest, |own| own.min(rest));
                    legs.add(ready, Some(target), 0, start, ring_for);
                }
                total
            }
            Strategy::Sequential | Strategy::SequentialMemory | Strategy::Random => {
                self.sequence(template, &mut legs, &mut skipped)
            }
        };
        let mut legs = legs.legs;
        legs.sort_by_key(|leg| leg.start);
        let plan = RingPlan {
            legs,
            total,
            sequence: !matches!(template.strategy, Strategy::Own | Strategy::Simultaneous),
            decline: self.domain.policy.device_decline,
            missed_calls: template.missed_calls,
        };
        Draft { plan, skipped }
    }

    /// `initial`: the own phone rings from the start to the end, listed or not.
    fn initial(
        &self,
        template: &RingTemplate,
        total: Duration,
        legs: &mut Legs<'_, '_>,
        skipped: &mut Vec<Skipped>,
    ) {
        if template.initial.is_some() {
            let own = self.ready(legs.owner, &TargetPlace::Own, skipped);
            legs.add(own, None, 0, Duration::ZERO, total);
        }
    }

    /// One step after the other; what can't ring takes no time. With memory, what rings keeps ringing.
    fn sequence(
        &self,
        template: &RingTemplate,
        legs: &mut Legs<'_, '_>,
        skipped: &mut Vec<Skipped>,
    ) -> Duration {
        let owner = legs.owner;
        let mut steps: Vec<(&TemplateTarget, Vec<Ready>)> = Vec::new();
        for target in self.order(template) {
            let ready = self.target(owner, target, skipped);
            if !ready.is_empty() {
                steps.push((target, ready));
            }
        }
        let lasts = |target: &TemplateTarget| target.ring_for.or(template.each).unwrap_or(template.ring_for);
        let alone = template.initial.unwrap_or_default();
        let sum = steps.iter().fold(alone, |sum, (target, _)| sum + lasts(target));
        let total = template.timeout.unwrap_or(sum);
        self.initial(template, total, legs, skipped);
        let mut start = alone;
        for (index, (target, ready)) in steps.into_iter().enumerate() {
            let rest = total.saturating_sub(start);
            if rest.is_zero() {
                skipped.extend(ready.iter().map(|r| late(&r.to, start, total)));
                continue;
            }
            let ring_for = match template.strategy {
                Strategy::SequentialMemory => rest,
                _ => lasts(target).min(rest),
            };
            legs.add(ready, Some(target), u16::try_from(index).unwrap_or(u16::MAX), start, ring_for);
            start += lasts(target);
        }
        let last = legs.legs.iter().map(|leg| leg.start + leg.ring_for).max();
        last.unwrap_or(total).min(total)
    }

    /// The targets in the order in which they ring. `random` is drawn from the call itself, so that the same call replayed draws
    /// the same.
    fn order<'t>(&self, template: &'t RingTemplate) -> Vec<&'t TemplateTarget> {
        let mut targets: Vec<&TemplateTarget> = template.targets.iter().collect();
        if template.strategy == Strategy::Random && !self.in_file_order {
            // The call clock in nanoseconds, folded: no two calls share it.
            let seed = self.call.at.as_nanosecond() as u64;
            let drawn = |index: usize| mix(seed.wrapping_add((index as u64 + 1).wrapping_mul(GOLDEN_GAMMA)));
            let mut keyed: Vec<_> = targets.into_iter().enumerate().map(|(i, t)| (drawn(i), t)).collect();
            keyed.sort_by_key(|(key, _)| *key);
            targets = keyed.into_iter().map(|(_, target)| target).collect();
        }
        targets
    }

    fn target(&self, owner: &UserEntry, target: &TemplateTarget, skipped: &mut Vec<Skipped>) -> Vec<Ready> {
        target.to.iter().flat_map(|place| self.ready(owner, place, skipped)).collect()
    }

    /// What of this place can ring now.
    fn ready(&self, owner: &UserEntry, place: &TargetPlace, skipped: &mut Vec<Skipped>) -> Vec<Ready> {
        match place {
            TargetPlace::Own => match &owner.primary {
                Some(primary) if self.domain.phones(owner, self.live).any(|d| d == primary) => {
                    self.devices([primary], skipped)
                }
                _ => self.devices(self.domain.phones(owner, self.live), skipped),
            },
            TargetPlace::OwnAll => self.devices(self.domain.phones(owner, self.live), skipped),
            TargetPlace::Place(destination) => self.place(Some(owner), destination, skipped),
        }
    }

    fn place(
        &self,
        owner: Option<&UserEntry>,
        place: &Destination,
        skipped: &mut Vec<Skipped>,
    ) -> Vec<Ready> {
        match place {
            Destination::User(name) => match self.domain.user_entry(name) {
                Some(user) => self.colleague(owner, user, skipped),
                None => Vec::new(),
            },
            Destination::Handset(name) => match self.domain.user_entry(name) {
                Some(user) => self.devices(self.domain.phones(user, self.live), skipped),
                None => Vec::new(),
            },
            Destination::Device(name) => self.devices([name], skipped),
            Destination::Tel(number) => {
                let sender = Sender { user: owner, device: None };
                self.outside(sender, number, skipped).into_iter().collect()
            }
            other => {
                skipped.push(Skipped::new(
                    other,
                    LegOutcome::Failed,
                    "only phones and outside numbers can ring",
                ));
                Vec::new()
            }
        }
    }

    fn devices<'d>(
        &self,
        devices: impl IntoIterator<Item = &'d Name>,
        skipped: &mut Vec<Skipped>,
    ) -> Vec<Ready> {
        let mut ready = Vec::new();
        for device in devices {
            if self.live.offline(device) {
                skipped.push(Skipped::new(
                    format_args!("device:{device}"),
                    LegOutcome::Offline,
                    "not registered",
                ));
            } else {
                ready.push(Ready { to: LegTarget::Device(device.clone()), way: None });
            }
        }
        ready
    }

    /// `user:X` in somebody's list: X's phones, subject to X's DND, white list, call paths and call waiting; never X's forwards.
    fn colleague(
        &self,
        owner: Option<&UserEntry>,
        user: &UserEntry,
        skipped: &mut Vec<Skipped>,
    ) -> Vec<Ready> {
        let Some(tree) = self.domain.user_tree(&user.view.name) else { return Vec::new() };
        let facts = UserFacts {
            domain: self.domain,
            live: self.live,
            call: self.call,
            party: self.party,
            user,
            tree,
            by: owner,
        };
        use super::tree::Facts as _;
        let what = format!("user:{}", user.view.name);
        let listed = !tree.white_list.is_empty();
        if listed && !self.call.psap_callback && !facts.passes(&tree.white_list) {
            skipped.push(Skipped::new(
                what,
                LegOutcome::Offline,
                "the white list does not let this call through",
            ));
        } else if !self.call.psap_callback && facts.dnd() {
            skipped.push(Skipped::new(what, LegOutcome::Busy, "does not want to be disturbed"));
        } else if !self.call.psap_callback && facts.busy() {
            let why = format!("busy: {} calls are up", facts.active_calls());
            skipped.push(Skipped::new(what, LegOutcome::Busy, why));
        } else {
            return self.devices(self.domain.phones(user, self.live), skipped);
        }
        Vec::new()
    }

    /// An outside number by the rights and routes of the sender.
    fn outside(&self, sender: Sender<'_>, number: &Name, skipped: &mut Vec<Skipped>) -> Option<Ready> {
        let what = format!("tel:{number}");
        let Some(class) = self.domain.class_of(number) else {
            skipped.push(Skipped::new(what, LegOutcome::Failed, "the number is of no class"));
            return None;
        };
        if let Some(denied) = self.domain.denied(sender, &class.name, true) {
            let tag = Some(denied.tag);
            skipped.push(Skipped { what, outcome: Some(LegOutcome::Failed), why: denied.why, tag });
            return None;
        }
        match self.domain.way(&class.name, sender.site(), self.live) {
            Some(way) if !way.trunks.is_empty() => {
                let to = LegTarget::Outside { number: number.clone(), trunks: way.trunks.clone() };
                Some(Ready { to, way: Some(way) })
            }
            Some(_) => {
                skipped.push(Skipped::new(what, LegOutcome::Failed, "every trunk of its route is down"));
                None
            }
            None => {
                let why = format!("class {} has no route", class.name);
                skipped.push(Skipped::new(what, LegOutcome::Failed, why));
                None
            }
        }
    }

    /// The plan of a forward to a phone or an outside number, or of a number that leads to one (then nobody forwards).
    pub fn of_place(
        &self,
        owner: Option<&UserEntry>,
        place: &Destination,
        ring_for: Duration,
        keys: ForwardKeys<'_>,
    ) -> Draft {
        let mut skipped = Vec::new();
        let ready = self.place(owner, place, &mut skipped);
        let sender = Sender { user: owner, device: None };
        let leg = |ready: Ready| {
            let mut leg = self.leg(sender, ready, keys.caller_id, "", keys.reason);
            leg.ring_for = ring_for;
            leg.confirm = keys.confirm.filter(|_| matches!(leg.to, LegTarget::Outside { .. }));
            leg
        };
        Draft { plan: self.plan(ready.into_iter().map(leg).collect(), ring_for), skipped }
    }

    /// The plan of a call that a phone of ours makes to the outside.
    pub fn of_outgoing(&self, sender: Sender<'_>, number: &Name, way: Way, ring_for: Duration) -> RingPlan {
        let to = LegTarget::Outside { number: number.clone(), trunks: way.trunks.clone() };
        let leg = PlannedLeg {
            to,
            step: 0,
            start: Duration::ZERO,
            ring_for,
            confirm: None,
            caller_id: self.domain.external_id(sender, &way.caller_id),
            anonymous: self.party.anonymous,
            alert: None,
            diversion: None,
        };
        self.plan(vec![leg], ring_for)
    }

    fn plan(&self, legs: Vec<PlannedLeg>, total: Duration) -> RingPlan {
        RingPlan {
            legs,
            total,
            sequence: false,
            decline: self.domain.policy.device_decline,
            missed_calls: MissedCalls::IfUnanswered,
        }
    }

    /// A leg with what it shows; times are the caller's to set.
    fn leg(
        &self,
        sender: Sender<'_>,
        ready: Ready,
        choice: Option<&CallerIdChoice>,
        prefix: &str,
        reason: &'static str,
    ) -> PlannedLeg {
        let prefix = format!("{}{prefix}", self.prefix);
        let (shown, alert, diversion) = match (&ready.to, &ready.way) {
            (LegTarget::Device(device), _) => {
                (self.shown_inside(sender, choice), self.alert_of(device), None)
            }
            (LegTarget::Outside { trunks, .. }, way) => {
                let route = way.as_ref().map(|way| way.caller_id.clone()).unwrap_or_default();
                let first = trunks.first().and_then(|trunk| self.domain.trunk(trunk));
                let screens = first.is_some_and(|trunk| trunk.screens_caller_id);
                let fallback = if screens { CallerIdChoice::Forwarder } else { CallerIdChoice::Original };
                let shown = self.shown_outside(sender, choice.unwrap_or(&fallback), &route);
                (shown, None, self.diverter(sender).map(|who| (who, reason)))
            }
        };
        let (caller_id, anonymous) = shown.prefixed(&prefix);
        PlannedLeg {
            to: ready.to,
            step: 0,
            start: Duration::ZERO,
            ring_for: Duration::ZERO,
            confirm: None,
            caller_id,
            anonymous,
            alert,
            diversion,
        }
    }

    /// Who forwards, as Diversion names them: a number that can be called back, else the extension.
    fn diverter(&self, sender: Sender<'_>) -> Option<Name> {
        let user = sender.user?;
        let outside = self.domain.external_id(sender, &super::model::CallerId::default()).number;
        outside.or_else(|| user.view.extensions.first().cloned())
    }

    fn alert_of(&self, device: &Name) -> Option<Name> {
        let device = self.domain.devices.get(device);
        let own = device
            .and_then(|d| if self.party.inside { &d.alert_internal } else { &d.alert_external }.as_ref());
        self.alert.or(own).cloned()
    }
}

/// Gathers legs; a device rings once, however often it is listed.
struct Legs<'p, 'a> {
    planner: &'p Planner<'a>,
    owner: &'p UserEntry,
    legs: Vec<PlannedLeg>,
    ringing: BTreeSet<String>,
}

impl Legs<'_, '_> {
    fn add(
        &mut self,
        ready: Vec<Ready>,
        target: Option<&TemplateTarget>,
        step: u16,
        start: Duration,
        ring_for: Duration,
    ) {
        for ready in ready {
            let outside = matches!(ready.to, LegTarget::Outside { .. });
            if !self.ringing.insert(name_of(&ready.to)) {
                continue;
            }
            let sender = Sender { user: Some(self.owner), device: None };
            let choice = target.and_then(|t| t.caller_id.as_ref());
            let prefix = target.and_then(|t| t.caller_id_prefix.as_deref()).unwrap_or_default();
            let leg = self.planner.leg(sender, ready, choice, prefix, "follow-me");
            let confirm = target.and_then(|t| t.confirm.filter(|_| outside || t.confirm_on_net));
            self.legs.push(PlannedLeg { step, start, ring_for, confirm, ..leg });
        }
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

fn late(to: &LegTarget, start: Duration, total: Duration) -> Skipped {
    let why = format!(
        "never rings: it would start at {} s, and ringing ends at {} s",
        start.as_secs(),
        total.as_secs()
    );
    Skipped { what: name_of(to), outcome: None, why, tag: None }
}

/// `device:101a`, `tel:+12025550181`.
pub(super) fn name_of(to: &LegTarget) -> String {
    match to {
        LegTarget::Device(device) => format!("device:{device}"),
        LegTarget::Outside { number, .. } => format!("tel:{number}"),
    }
}
