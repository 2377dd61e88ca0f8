//! The words of an explanation: why something happened, and why something else was passed over.

use super::PassedOver;
use super::render::tag_name;
use crate::rules::diagnostic::Span;
use crate::rules::domain::{Domain, UserEntry};
use crate::rules::model::{Budget, Name, in_words};
use crate::rules::outgoing::{Denied, Way};
use crate::rules::plan::{Charge, LegEnd, LegOutcome};
use crate::rules::trail::{Because, Branch, Ringing, Service, SkipWhy, Takes};
use crate::rules::tree::{TreeCondition, TreeRule};
use std::borrow::Cow;

type Words = Cow<'static, str>;

/// `open: Tue 10:00 is inside mon-thu 08:00-17:30`; of what was passed over, the reading alone.
pub(super) fn frames(
    domain: &Domain,
    at: jiff::Timestamp,
    rule: &TreeRule,
    forced: &[(Name, bool)],
    named: bool,
) -> String {
    if rule.when.is_empty() {
        return "always".to_owned();
    }
    let say = |condition: &TreeCondition| frame(domain, at, *condition, forced, named);
    rule.when.iter().filter_map(say).collect::<Vec<_>>().join("; ")
}

fn frame(
    domain: &Domain,
    at: jiff::Timestamp,
    condition: TreeCondition,
    forced: &[(Name, bool)],
    named: bool,
) -> Option<String> {
    let (compiled, (_, zone)) = domain.timed(condition.timed)?;
    let forced = |name: &str| forced.iter().find(|(known, _)| &**known == name).map(|(_, on)| *on);
    let by_hand = forced(&compiled.name);
    let why = match by_hand {
        Some(true) => "switched on by hand".to_owned(),
        Some(false) => "switched off by hand".to_owned(),
        None => compiled.frame.why_with(at, zone, &forced),
    };
    Some(match (condition.negated, named || by_hand.is_some()) {
        (true, _) => format!("not {}: {why}", compiled.name),
        (false, true) => format!("{}: {why}", compiled.name),
        (false, false) => why,
    })
}

/// `101a did not answer, 102a was busy`.
pub(super) fn ends(ringing: &Ringing, ends: &[LegEnd]) -> String {
    let say = |end: &LegEnd| {
        let leg = ringing.plan.legs.get(end.leg)?;
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
    ends.iter().filter_map(say).collect::<Vec<_>>().join(", ")
}

/// Each thing that does not ring once, with its first reason, in the order of names.
pub(super) fn skipped(ringing: &Ringing) -> Vec<PassedOver> {
    let mut over: Vec<PassedOver> = Vec::new();
    for skip in &ringing.skipped {
        let what = skip.what.to_string();
        if !over.iter().any(|known| known.what == what) {
            over.push(PassedOver { what, why: skip_why(&skip.why).into_owned() });
        }
    }
    over.sort_by(|a, b| a.what.cmp(&b.what));
    over
}

fn skip_why(why: &SkipWhy) -> Words {
    match why {
        SkipWhy::NotRegistered => "not registered".into(),
        SkipWhy::NoPlace => "only phones and outside numbers can ring".into(),
        SkipWhy::WhiteList => "the white list does not let this call through".into(),
        SkipWhy::Dnd => "does not want to be disturbed".into(),
        SkipWhy::Busy { calls } => format!("busy: {calls} calls are up").into(),
        SkipWhy::NoClass => "the number is of no class".into(),
        SkipWhy::Denied(denied) => denied_why(denied),
        SkipWhy::TrunksDown => "every trunk of its route is down or full".into(),
        SkipWhy::NoRoute(class) => format!("class {class} has no route").into(),
        SkipWhy::Late { start_s, total_s } => {
            format!("never rings: it would start at {start_s} s, and ringing ends at {total_s} s").into()
        }
        SkipWhy::GoesElsewhere => {
            "every call is forwarded: where to is asked when nobody else is left".into()
        }
    }
}

/// Tag, place and words of what may not be dialled.
pub(super) fn denied(domain: &Domain, denied: &Denied) -> (String, Option<Span>, Words) {
    let (tag, span) = match denied {
        Denied::Spare => ("denied:spare".to_owned(), None),
        Denied::Vanity { user } => {
            ("denied:vanity".to_owned(), domain.user_entry(user).and_then(|user| user.vanity))
        }
        Denied::User { user, class } => {
            (format!("denied:class:{class}"), domain.user_entry(user).map(|user| user.span))
        }
        Denied::Device { device, class } => {
            (format!("denied:class:{class}"), domain.device_entry(device).map(|device| device.span))
        }
        Denied::Budget { charge, .. } => {
            (format!("denied:budget:{}", charge.class), charge.budget.as_ref().map(|budget| budget.span))
        }
    };
    (tag, span, denied_why(denied))
}

fn denied_why(denied: &Denied) -> Words {
    match denied {
        Denied::Spare => "a phone of nobody may dial emergency numbers and feature codes only".into(),
        Denied::Vanity { user } => format!("{user} only receives calls (vanity)").into(),
        Denied::User { user, class } => format!("{user} may not dial {class}").into(),
        Denied::Device { device, class } => format!("phone {device} may not dial {class}").into(),
        Denied::Budget { charge, limit } => {
            format!("{}'s {} of {} is used up: {}", charge.user, limit.key(), charge.class, charge.used())
                .into()
        }
    }
}

/// How a budget stands that lets a leg begin.
pub(super) fn within(charge: &Charge, budget: &Budget) -> Words {
    let used = budget.used(&charge.spent);
    let before = format!("{} has used {used}", charge.user);
    match budget.time_left(&charge.spent) {
        Some(left) => {
            format!("{before}; calls are ended when the time is used up, in {} of talking", in_words(left))
        }
        None => before,
    }
    .into()
}

/// Tag and words of a branch.
pub(super) fn branch(user: Option<&UserEntry>, branch: Branch) -> (&'static str, Words) {
    let paths = user.and_then(|user| user.busy_from);
    let up = |calls: u32| {
        let paths = paths.map(|paths| format!(", busy from {paths}")).unwrap_or_default();
        format!("{calls} calls are up{paths}").into()
    };
    match branch {
        Branch::DndSet => ("dnd", "set by the user".into()),
        Branch::DndOfRule => ("dnd", "the rule says so".into()),
        Branch::Offline => ("offline", "all of the user's phones are offline".into()),
        Branch::OnActive { calls } => ("on_active", up(calls)),
        Branch::Busy { calls } => ("busy", up(calls)),
    }
}

/// The other classes of the number.
pub(super) fn classes(domain: &Domain, class: u32, number: &str) -> Vec<PassedOver> {
    let others = domain.classes_of(number).filter(|(other, _)| *other != class);
    let over = |(_, other): (u32, &crate::rules::domain::ClassEntry)| PassedOver {
        what: format!("class:{}", other.name),
        why: "its pattern is less exact".to_owned(),
    };
    others.map(over).collect()
}

/// Routes of the class that came before and did not fit, and trunks of the chosen one that are down or full.
pub(super) fn routes(domain: &Domain, way: &Way) -> Vec<PassedOver> {
    let before = (1..).zip(&domain.routes).take(way.route.unwrap_or(0) as usize);
    let of_class = before.filter(|(_, route)| route.classes.contains(&way.class));
    let route = |(number, route): (usize, &crate::rules::model::Route)| PassedOver {
        what: route.name.as_deref().map_or_else(|| format!("the route number {number}"), str::to_owned),
        why: format!("for calls of site {} alone", route.site.as_deref().unwrap_or_default()),
    };
    let trunk = |trunk: &Name, why: &str| PassedOver { what: format!("route:{trunk}"), why: why.to_owned() };
    let down = way.down.iter().map(|name| trunk(name, "the trunk is down"));
    let full = way.full.iter().map(|name| trunk(name, "all of the trunk's channels are in use"));
    of_class.map(route).chain(down).chain(full).collect()
}

pub(super) fn takes(what: &Service, because: Takes) -> &'static str {
    match (because, what) {
        (Takes::OwnMailbox, _) => "nothing else is set, and the mailbox is on",
        (Takes::FirstCalled, _) => "the mailbox of the first user called",
        (Takes::Rules, Service::Mailbox { .. }) => "a mailbox takes the call",
        (Takes::Rules, Service::Other(_)) => "takes the call",
    }
}

pub(super) fn reject(because: &Because) -> Words {
    match because {
        Because::Refused => "refused".into(),
        Because::AfterAnnouncement => "after the announcement".into(),
        Because::AfterTone => "after the tone".into(),
        Because::NotOurs => "not a number of ours".into(),
        Because::NoNumber(dialled) => {
            format!("{dialled} is no number; extensions can't be dialled from outside").into()
        }
        Because::Spare => "held in the spare pool".into(),
        Because::RulesSay => "the rules say so".into(),
        Because::NoMailbox => "there is no mailbox to end in".into(),
        Because::NoClass => "the number is of no class".into(),
        Because::NoRoute(class) => format!("class {class} has no route").into(),
        Because::NoTrunk => "no trunk can take the call".into(),
        Because::TrunksFailed => "no trunk took the call".into(),
        Because::NothingLeft => "nothing is left to try".into(),
        Because::NothingRang => "nothing was ringing".into(),
        Because::NotBuilt(what) => format!("{} is not carried out yet", what.words()).into(),
        Because::Broken => "the compiled rules are inconsistent".into(),
    }
}
