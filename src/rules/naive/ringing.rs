//! The page on ringing: who of a list rings when, what each phone shows, how it ends together.

use super::page::{Entry, Next, Page, Rung, shown_inside};
use crate::rules::model::{
    CallerId, CallerIdChoice, Confirm, Decline, Destination, Diversion, Forward, Name, Ring, Strategy,
    Target, TargetTo,
};
use crate::rules::tree::RingOutcome;

#[derive(Clone, Debug)]
struct Leg {
    /// `a1`, `tel:+12125550000`.
    name: String,
    target: usize,
    start: u64,
    ring_for: u64,
    /// The class that it counts against its owner's budget of.
    class: Option<Name>,
    /// What follows its own tag.
    shows: Vec<String>,
}

/// What of a target can ring: a phone, or an outside number by these trunks.
#[derive(Clone, Debug)]
enum Ready {
    Phone(Name),
    Outside { number: Name, class: Option<Name>, trunks: Vec<Name>, route: CallerId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Answered,
    NoAnswer,
    Busy,
    Declined,
    Offline,
    Failed,
}

/// What came of looking at a list.
#[derive(Default)]
struct Looked {
    skipped: Vec<End>,
    denied: Vec<String>,
    /// Targets that a white list does not let the call through to.
    shut_out: Vec<usize>,
}

impl Ready {
    fn name(&self) -> String {
        match self {
            Ready::Phone(device) => device.to_string(),
            Ready::Outside { number, .. } => format!("tel:{number}"),
        }
    }

    fn class(&self) -> Option<Name> {
        match self {
            Ready::Phone(_) => None,
            Ready::Outside { class, .. } => class.clone(),
        }
    }
}

impl Page<'_> {
    pub(super) fn ring(&mut self, owner: Option<&Name>, ring: &Ring) -> Rung {
        let mut looked = Looked::default();
        let alone = ring.initial.map_or(0, |initial| initial.as_secs());
        let own = [TargetTo::SelfPrimary];
        let mut legs: Vec<Leg> = Vec::new();
        let sequence =
            matches!(ring.strategy, Strategy::Sequential | Strategy::SequentialMemory | Strategy::Random);
        let timeout = ring.timeout.map(|timeout| timeout.as_secs());
        let default = ring.ring_for.as_secs();
        if ring.strategy == Strategy::Own {
            let ready = self.ready(owner, own.iter(), usize::MAX, &mut looked);
            self.start(owner, &mut legs, ready, None, usize::MAX, 0, timeout.unwrap_or(default), &mut looked);
        } else if sequence {
            let lasts = |target: &Target| target.for_.or(ring.each).map_or(default, |time| time.as_secs());
            let mut steps = Vec::new();
            for (index, target) in ring.targets.iter().enumerate() {
                let ready = self.ready(owner, target.to.iter().map(|to| &to.value), index, &mut looked);
                if !ready.is_empty() {
                    steps.push((index, target, ready));
                }
            }
            let sum: u64 = steps.iter().map(|(_, target, _)| lasts(target)).sum();
            let total = timeout.unwrap_or(alone + sum);
            if ring.initial.is_some() {
                let ready = self.ready(owner, own.iter(), usize::MAX, &mut looked);
                self.start(owner, &mut legs, ready, None, usize::MAX, 0, total, &mut looked);
            }
            let mut at = alone;
            for (index, target, ready) in steps {
                if at < total {
                    let memory = ring.strategy == Strategy::SequentialMemory;
                    let ring_for = if memory { total - at } else { lasts(target).min(total - at) };
                    self.start(owner, &mut legs, ready, Some(target), index, at, ring_for, &mut looked);
                }
                at += lasts(target);
            }
        } else {
            let total = timeout.unwrap_or(default);
            if ring.initial.is_some() {
                let ready = self.ready(owner, own.iter(), usize::MAX, &mut looked);
                self.start(owner, &mut legs, ready, None, usize::MAX, 0, total, &mut looked);
            }
            for (index, target) in ring.targets.iter().enumerate() {
                let ready = self.ready(owner, target.to.iter().map(|to| &to.value), index, &mut looked);
                let at = alone + target.delay.as_secs();
                if at < total {
                    let ring_for = target.for_.map_or(total - at, |time| time.as_secs().min(total - at));
                    self.start(owner, &mut legs, ready, Some(target), index, at, ring_for, &mut looked);
                }
            }
        }
        let in_steps = sequence && ring.strategy != Strategy::SequentialMemory;
        let follows = self.follows(ring, in_steps);
        self.leave_followed(&mut legs, &follows);
        legs.sort_by_key(|leg| leg.start);
        self.rang(legs, looked, &follows)
    }

    /// Members with `follow`: index, user, and whether nobody is left when their turn comes.
    fn follows(&self, ring: &Ring, in_steps: bool) -> Vec<(usize, Name, bool)> {
        let last = ring.targets.len().wrapping_sub(1);
        let of = |(index, target): (usize, &Target)| match target.to.as_slice() {
            [one] if target.follow.is_some() => match &one.value {
                TargetTo::Destination(Destination::User(name)) => {
                    Some((index, name.clone(), in_steps && index == last))
                }
                _ => None,
            },
            _ => None,
        };
        ring.targets.iter().enumerate().filter_map(of).collect()
    }

    fn leave_followed(&self, legs: &mut Vec<Leg>, follows: &[(usize, Name, bool)]) {
        for (index, user, at_end) in follows {
            let alone = *at_end || legs.iter().all(|leg| leg.target == *index);
            if alone && !self.given.psap_callback && self.goes_elsewhere(user) {
                legs.retain(|leg| leg.target != *index);
            }
        }
    }

    fn goes_elsewhere(&self, user: &Name) -> bool {
        let answers = self.answers(user, None);
        let user = &self.model.users[user];
        let rule = &user.rules[super::answers::active(user, &answers) as usize];
        let always = rule.forward.always.as_ref();
        answers.status_forward || always.is_some_and(|forward| !forward.direct_only || answers.direct)
    }

    /// Says the legs, and how it ended.
    fn rang(&mut self, legs: Vec<Leg>, looked: Looked, follows: &[(usize, Name, bool)]) -> Rung {
        self.tags.extend(looked.denied);
        let follow = |user: &Name, outcome: Option<RingOutcome>| {
            Rung::Follow(Next::User { name: user.clone(), by: None, from: Entry::Followed(outcome) })
        };
        let shut = |index: &usize| looked.shut_out.contains(index);
        if legs.is_empty() {
            let outcome = nothing(&looked.skipped);
            self.say(outcome.tag());
            return match follows.iter().rev().find(|(index, ..)| !shut(index)) {
                Some((_, user, _)) => follow(user, None),
                None => Rung::Ended(outcome),
            };
        }
        for leg in &legs {
            self.tags.push(format!("ring:{}@{}+{}", leg.name, leg.start, leg.ring_for));
            self.tags.extend(leg.shows.iter().cloned());
        }
        let Some(ends) = self.ends(&legs) else { return Rung::Answered };
        let all: Vec<End> = ends.iter().map(|(_, end)| *end).chain(looked.skipped.iter().copied()).collect();
        let outcome = self.together(&all).unwrap_or(RingOutcome::Failed);
        self.say(outcome.tag());
        for (index, user, at_end) in follows {
            let own: Vec<&Leg> = legs.iter().filter(|leg| leg.target == *index).collect();
            let Some(until) = own.iter().map(|leg| leg.start + leg.ring_for).max() else {
                if *at_end && !shut(index) {
                    return follow(user, None);
                }
                continue;
            };
            let others_gone = ends.iter().filter(|(leg, _)| legs[*leg].target != *index).all(|(leg, end)| {
                let over = legs[*leg].start + legs[*leg].ring_for;
                matches!(end, End::Busy | End::Declined | End::Offline | End::Failed) || over < until
            });
            let mine = ends.iter().filter(|(leg, _)| legs[*leg].target == *index);
            let mine: Vec<End> = mine.map(|(_, end)| *end).collect();
            if let (true, Some(outcome)) = (others_gone, self.together(&mine)) {
                return follow(user, Some(outcome));
            }
        }
        Rung::Ended(outcome)
    }

    /// How a stage ends that nobody answers; `None` where somebody does.
    fn ends(&self, legs: &[Leg]) -> Option<Vec<(usize, End)>> {
        let mut ends: Vec<(usize, End)> =
            legs.iter().enumerate().map(|(at, leg)| (at, self.end(&leg.name))).collect();
        let first = |wanted: End| {
            ends.iter().filter(|(_, end)| *end == wanted).map(|(leg, _)| legs[*leg].start).min()
        };
        if let Some(answered) = first(End::Answered) {
            let stops = self.model.policy.device_decline == Decline::Stop;
            let declined = first(End::Declined).filter(|declined| stops && *declined <= answered);
            declined?;
            ends.retain(|(_, end)| *end != End::Answered);
        }
        Some(ends)
    }

    fn end(&self, name: &str) -> End {
        let has = |list: &[Name]| list.iter().any(|one| &**one == name);
        let given = self.given;
        match () {
            () if has(&given.declined) => End::Declined,
            () if has(&given.busy) => End::Busy,
            () if has(&given.no_answer) || has(&given.unconfirmed) => End::NoAnswer,
            () if has(&given.offline) => End::Offline,
            () => End::Answered,
        }
    }

    /// Mixed outcomes: the first that applies.
    fn together(&self, ends: &[End]) -> Option<RingOutcome> {
        let any = |end: End| ends.contains(&end);
        let outcomes = [
            (self.model.policy.device_decline == Decline::Stop && any(End::Declined), RingOutcome::Declined),
            (any(End::NoAnswer), RingOutcome::NoAnswer),
            (any(End::Busy), RingOutcome::Busy),
            (any(End::Declined), RingOutcome::Declined),
            (any(End::Offline), RingOutcome::Offline),
            (any(End::Failed), RingOutcome::Failed),
        ];
        outcomes.into_iter().find(|(applies, _)| *applies).map(|(_, outcome)| outcome)
    }

    fn ready<'t>(
        &self,
        owner: Option<&Name>,
        places: impl Iterator<Item = &'t TargetTo>,
        index: usize,
        looked: &mut Looked,
    ) -> Vec<Ready> {
        let mut ready = Vec::new();
        for place in places {
            match (place, owner) {
                (TargetTo::Destination(to), _) => ready.extend(self.place(owner, to, index, looked)),
                (TargetTo::SelfAll, Some(owner)) => ready.extend(self.up(self.phones(owner), looked)),
                (TargetTo::SelfPrimary, Some(owner)) => {
                    let phones = self.phones(owner);
                    let own: Vec<_> =
                        self.model.devices.iter().filter(|(_, d)| d.user.as_ref() == Some(owner)).collect();
                    let primary = own.iter().find(|(_, d)| d.primary).map(|(name, _)| (*name).clone());
                    let primary = primary.or_else(|| (own.len() == 1).then(|| own[0].0.clone()));
                    let primary = primary.filter(|primary| phones.contains(primary));
                    ready.extend(self.up(primary.map_or(phones, |primary| vec![primary]), looked));
                }
                (TargetTo::SelfAll | TargetTo::SelfPrimary, None) => {}
            }
        }
        ready
    }

    fn up(&self, phones: Vec<Name>, looked: &mut Looked) -> Vec<Ready> {
        let (offline, up): (Vec<Name>, Vec<Name>) =
            phones.into_iter().partition(|phone| self.given.offline.contains(phone));
        looked.skipped.extend(offline.iter().map(|_| End::Offline));
        up.into_iter().map(Ready::Phone).collect()
    }

    fn place(&self, owner: Option<&Name>, to: &Destination, index: usize, looked: &mut Looked) -> Vec<Ready> {
        match to {
            Destination::Device(device) => self.up(vec![device.clone()], looked),
            Destination::Handset(user) => self.up(self.phones(user), looked),
            Destination::User(user) => {
                let answers = self.answers(user, owner);
                let whose = &self.model.users[user];
                let rule = &whose.rules[super::answers::active(whose, &answers) as usize];
                if !self.given.psap_callback {
                    if !whose.white_list.is_empty() && !answers.passes {
                        looked.skipped.push(End::Offline);
                        looked.shut_out.push(index);
                        return Vec::new();
                    }
                    let dnd = answers.status_dnd.unwrap_or(rule.dnd.is_some());
                    if dnd || super::answers::busy(whose, &answers) {
                        looked.skipped.push(End::Busy);
                        return Vec::new();
                    }
                }
                self.up(self.phones(user), looked)
            }
            Destination::Tel(number) => match self.outside_leg(owner, number) {
                Ok(ready) => vec![ready],
                Err(denied) => {
                    looked.skipped.push(End::Failed);
                    looked.denied.extend(denied);
                    Vec::new()
                }
            },
            other => unreachable!("{other} rings nothing"),
        }
    }

    fn outside_leg(&self, owner: Option<&Name>, number: &Name) -> Result<Ready, Option<String>> {
        let class = self.class(number).ok_or(None)?;
        if let Some(denied) = self.denied(owner, None, &class, true) {
            return Err(Some(denied));
        }
        let beyond = self.beyond(owner, &class, (0, 0));
        if beyond == Some(true) {
            return Err(Some(format!("denied:budget:{class}")));
        }
        let site = owner.and_then(|owner| self.model.users[owner].site.as_ref());
        let (trunks, route) = self.trunks(&class, site).ok_or(None)?;
        if trunks.is_empty() {
            return Err(None);
        }
        let route = route.cloned().unwrap_or_default();
        Ok(Ready::Outside { number: number.clone(), class: beyond.map(|_| class), trunks, route })
    }

    #[allow(clippy::too_many_arguments)] // a test's own
    fn start(
        &self,
        owner: Option<&Name>,
        legs: &mut Vec<Leg>,
        ready: Vec<Ready>,
        target: Option<&Target>,
        index: usize,
        start: u64,
        ring_for: u64,
        looked: &mut Looked,
    ) {
        for ready in ready {
            let name = ready.name();
            if legs.iter().any(|leg| leg.name == name && leg.start + leg.ring_for > start) {
                continue;
            }
            if let Some(class) = ready.class() {
                let counts = || legs.iter().filter(|leg| leg.class.as_ref() == Some(&class));
                let at_once = counts()
                    .filter(|leg| leg.start < start + ring_for && start < leg.start + leg.ring_for)
                    .count();
                if self.beyond(owner, &class, (at_once as u32, counts().count() as u32)) == Some(true) {
                    looked.skipped.push(End::Failed);
                    looked.denied.push(format!("denied:budget:{class}"));
                    continue;
                }
            }
            let outside = matches!(ready, Ready::Outside { .. });
            let confirm = target.filter(|target| outside || target.confirm_on_net);
            let confirm = confirm.and_then(|target| target.confirm.as_ref()).map(|confirm| confirm.value);
            let choice = target.and_then(|target| target.caller_id.as_ref());
            let prefix = target.and_then(|target| target.caller_id_prefix.as_deref()).unwrap_or_default();
            let shows = self.shows(owner, &ready, confirm, choice, prefix, true);
            legs.push(Leg { name, target: index, start, ring_for, class: ready.class(), shows });
        }
    }

    /// The tags behind a leg's own.
    pub(super) fn shows_outgoing(
        &self,
        id: &CallerId,
        withheld: bool,
        counts: Option<String>,
        trunks: &[Name],
    ) -> Vec<String> {
        let mut shows = Vec::new();
        if !withheld {
            shows.extend(id.number.iter().map(|number| format!("caller_id:{number}")));
            shows.extend(id.name.iter().map(|name| format!("caller_id_name:{name}")));
        }
        shows.extend(counts);
        shows.extend(trunks.iter().map(|trunk| format!("route:{trunk}")));
        shows
    }

    fn shows(
        &self,
        owner: Option<&Name>,
        ready: &Ready,
        confirm: Option<Confirm>,
        choice: Option<&CallerIdChoice>,
        prefix: &str,
        listed: bool,
    ) -> Vec<String> {
        let screens = |trunk: &Name| self.model.trunks[trunk].screens_caller_id;
        let (id, original) = match (ready, choice) {
            (_, Some(CallerIdChoice::Fixed(id))) => (id.clone(), false),
            (Ready::Phone(_), Some(CallerIdChoice::Forwarder)) => match owner {
                Some(owner) => (shown_inside(&self.model.users[owner]), false),
                None => (self.external(None, None, None), false),
            },
            (Ready::Phone(_), _) => (self.caller.shown.clone(), true),
            (Ready::Outside { trunks, route, .. }, choice) => {
                let forwarder = match choice {
                    Some(choice) => *choice == CallerIdChoice::Forwarder,
                    None => screens(&trunks[0]),
                };
                let caller = &self.caller;
                match (forwarder, caller.inside) {
                    (true, _) => (self.external(owner, None, Some(route)), false),
                    (false, true) => {
                        (self.external(caller.user.as_ref(), caller.device.as_ref(), None), true)
                    }
                    (false, false) => (caller.shown.clone(), true),
                }
            }
        };
        let withheld = original && self.caller.anonymous;
        let prefix = format!("{}{prefix}", self.prefixes);
        let (name, number) = match (withheld, prefix.is_empty()) {
            (true, true) => (None, None),
            (true, false) => (Some(format!("{prefix}Anonymous")), None),
            (false, true) => (id.name.map(|name| name.to_string()), id.number),
            (false, false) => {
                let shown = id.name.as_deref().or(id.number.as_deref()).unwrap_or_default();
                (Some(format!("{prefix}{shown}").trim_end().to_owned()), id.number)
            }
        };
        let mut shows = Vec::new();
        shows.extend(confirm.map(|confirm| match confirm {
            Confirm::One => "confirm:1".to_owned(),
            Confirm::Any => "confirm:any".to_owned(),
        }));
        shows.extend(number.map(|number| format!("caller_id:{number}")));
        shows.extend(name.map(|name| format!("caller_id_name:{name}")));
        if let Ready::Outside { trunks, .. } = ready {
            let told = self.model.trunks[&trunks[0]].diversion != Diversion::None;
            // The last who sent it on: whoever has it in their list, else by a forward or as a number that leads straight there.
            let follows = listed && owner.is_some_and(|owner| self.can_be_named(owner));
            let reason = if follows { Some("follow-me") } else { self.diverted };
            shows.extend(reason.filter(|_| told).map(|reason| format!("diversion:{reason}")));
            shows.extend(ready.class().map(|class| format!("budget:{class}")));
            shows.extend(trunks.iter().map(|trunk| format!("route:{trunk}")));
        }
        shows
    }

    /// Whether somebody who diverts has an address to tell of.
    pub(super) fn can_be_named(&self, user: &Name) -> bool {
        let extensions = &self.model.users[user].extensions;
        self.external(Some(user), None, None).number.is_some() || !extensions.is_empty()
    }

    /// A forward to, or a number's or hunt's, phone or outside number. `None`: answered; else how it ended, and whether its owner
    /// may not dial it.
    pub(super) fn rings_place(
        &mut self,
        owner: Option<&Name>,
        to: &Destination,
        forward: Option<&Forward>,
        ring_for: u64,
    ) -> Option<(RingOutcome, bool)> {
        let mut looked = Looked::default();
        let ready = self.place(owner, to, 0, &mut looked);
        let denied = !looked.denied.is_empty();
        let choice = forward.and_then(|forward| forward.caller_id.as_ref());
        let confirm = forward.and_then(|forward| forward.confirm.as_ref()).map(|confirm| confirm.value);
        let leg = |ready: Ready| {
            let confirm = confirm.filter(|_| matches!(ready, Ready::Outside { .. }));
            let shows = self.shows(owner, &ready, confirm, choice, "", false);
            Leg { name: ready.name(), target: 0, start: 0, ring_for, class: ready.class(), shows }
        };
        let legs = ready.into_iter().map(leg).collect();
        match self.rang(legs, looked, &[]) {
            Rung::Ended(outcome) => Some((outcome, denied)),
            Rung::Answered | Rung::Follow(_) => None,
        }
    }
}

/// Nobody left to ring.
fn nothing(skipped: &[End]) -> RingOutcome {
    let any = |end: End| skipped.contains(&end);
    match () {
        () if any(End::Busy) => RingOutcome::Busy,
        () if any(End::Offline) || !any(End::Failed) => RingOutcome::Offline,
        () => RingOutcome::Failed,
    }
}
