//! Differences put together and told: equal ones of several callers, states and places called become one sentence.

use super::course::sentence;
use super::probe::{Caller, State};
use super::{Changed, Difference, Found, Side};
use crate::rules::intervals::{Interval, Intervals};
use crate::rules::model::Model;
use crate::rules::reach::{Kind, Object, resolve};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Places called that a sentence names; further ones are counted.
const NAMED_MAX: usize = 5;

/// Objects that calls can come to or leave by, new or gone; and extensions that lead to somebody else.
pub(super) fn objects(before: &Side<'_>, after: &Side<'_>, differ: &Changed, into: &mut Vec<Difference>) {
    let mut say = |text: String| {
        into.push(Difference { text, kind: "object".to_owned(), ..Difference::default() });
    };
    for object in differ.added.iter().filter(|object| tells(object.kind)) {
        say(format!("new {}", named(after.model, object)));
    }
    for object in differ.removed.iter().filter(|object| tells(object.kind)) {
        say(format!("{} is gone", named(before.model, object)));
    }
    for object in differ.altered.iter().filter(|object| object.kind == Kind::User) {
        let extensions = |model: &Model| -> BTreeSet<String> {
            let user = model.users.get(&object.name);
            user.iter().flat_map(|user| user.extensions.iter().map(ToString::to_string)).collect()
        };
        let (was, is) = (extensions(before.model), extensions(after.model));
        for extension in is.difference(&was) {
            match resolve(before.model, extension) {
                Some(other) => say(format!("{extension} is now {object}, no longer {other}")),
                None => say(format!("{object} now has the extension {extension}")),
            }
        }
        for extension in was.difference(&is).filter(|e| resolve(after.model, e).is_none()) {
            say(format!("{object} no longer has the extension {extension}"));
        }
    }
}

fn tells(kind: Kind) -> bool {
    match kind {
        Kind::User
        | Kind::Device
        | Kind::Number
        | Kind::Hunt
        | Kind::Queue
        | Kind::Attendant
        | Kind::Conference
        | Kind::Directory
        | Kind::Mailbox
        | Kind::Trunk
        | Kind::Class => true,
        // Nobody calls these; what they change shows in what does.
        Kind::Announce
        | Kind::Music
        | Kind::TimeFrame
        | Kind::Calendar
        | Kind::List
        | Kind::Route
        | Kind::Dial
        | Kind::Codes
        | Kind::Site
        | Kind::Role
        | Kind::Callback
        | Kind::Location
        | Kind::Tel
        | Kind::Domain
        | Kind::Policy
        | Kind::Expect => false,
    }
}

/// `user kim (107)`, `device 107a (of kim)`, `number +12025550107 (Kim direct)`.
fn named(model: &Model, object: &Object) -> String {
    let beside = match object.kind {
        Kind::User => model.users.get(&object.name).map(|user| user.extensions.join(", ")),
        Kind::Device => {
            model.devices.get(&object.name).and_then(|d| Some(format!("of {}", d.user.as_ref()?)))
        }
        Kind::Number => model.numbers.get(&object.name).and_then(|n| n.label.as_deref().map(str::to_owned)),
        _ => model
            .system_extensions
            .iter()
            .find(|(_, to)| Object::of_destination(&to.value).as_ref() == Some(object))
            .map(|(extension, _)| extension.to_string()),
    };
    match beside {
        Some(beside) => format!("{} {} ({beside})", object.kind.name(), object.name),
        None => format!("{} {}", object.kind.name(), object.name),
    }
}

/// A group of equal differences while it is gathered.
struct Group {
    to: Vec<String>,
    callers: BTreeSet<Caller>,
    states: Vec<State>,
    sentence: String,
    when: String,
    intervals: Intervals,
}

/// Tells decisions that differ, in the order of what is called.
pub(super) fn decisions(
    before: &Side<'_>,
    after: &Side<'_>,
    found: Vec<Found>,
    zone: &TimeZone,
    horizon: Interval,
    into: &mut Vec<Difference>,
) {
    let groups = found.into_iter().map(|found| Group {
        sentence: sentence((before.model, after.model), &found.before, &found.after),
        when: when(after.model, &found.to, &found.when, zone, horizon),
        to: vec![found.to],
        callers: BTreeSet::from([found.caller]),
        states: vec![found.state],
        intervals: found.when,
    });
    let groups = merge(
        groups.collect(),
        |a, b| a.to == b.to && a.states == b.states,
        |into, from| into.callers.extend(from.callers),
    );
    let groups = merge(
        groups,
        |a, b| a.states == b.states && calls(&a.callers) == calls(&b.callers),
        |into, from| into.to.extend(from.to),
    );
    let groups = merge(
        groups,
        |a, b| a.to == b.to && calls(&a.callers) == calls(&b.callers),
        |into, from| into.states.extend(from.states),
    );
    into.extend(groups.into_iter().map(tell));
}

/// Puts together what says the same at the same time, and is `alike`.
fn merge(
    groups: Vec<Group>,
    alike: impl Fn(&Group, &Group) -> bool,
    join: impl Fn(&mut Group, Group),
) -> Vec<Group> {
    let mut merged: Vec<Group> = Vec::new();
    for group in groups {
        let same = |known: &&mut Group| {
            known.sentence == group.sentence && known.when == group.when && alike(known, &group)
        };
        match merged.iter_mut().find(same) {
            Some(known) => join(known, group),
            None => merged.push(group),
        }
    }
    merged
}

/// In the zone of the user called, named where it is not the domain's.
fn when(model: &Model, to: &str, when: &Intervals, zone: &TimeZone, horizon: Interval) -> String {
    let object = resolve(model, to).filter(|object| object.kind == Kind::User);
    let user =
        object.and_then(|user| model.users.get(&user.name)).filter(|user| user.zone != model.domain.zone);
    let Some((user, own)) = user.and_then(|user| Some((user, TimeZone::get(&user.zone).ok()?))) else {
        return when.words(zone, horizon);
    };
    match when.words(&own, horizon) {
        always if always == "always" => always,
        words => format!("{words} ({})", user.zone),
    }
}

/// `calls`, `calls from outside`, `calls from +1900. (list:spam)`.
fn calls(callers: &BTreeSet<Caller>) -> String {
    let has = |caller: &Caller| callers.contains(caller);
    if has(&Caller::Outside) && has(&Caller::Inside) {
        return "calls".to_owned();
    }
    let mut from: Vec<String> = Vec::new();
    if has(&Caller::Outside) {
        from.push("from outside".to_owned());
    }
    if has(&Caller::Inside) {
        from.push("from inside".to_owned());
    }
    if !has(&Caller::Outside) {
        if has(&Caller::Anonymous) {
            from.push("without caller ID".to_owned());
        }
        if has(&Caller::Unknown) {
            from.push("from unknown numbers".to_owned());
        }
        let entries = callers.iter().filter_map(|caller| match caller {
            Caller::Entry { written, .. } => Some(written.clone()),
            Caller::User { name, .. } if !has(&Caller::Inside) => Some(format!("user:{name}")),
            _ => None,
        });
        let entries: Vec<String> = entries.collect();
        if !entries.is_empty() {
            from.push(format!("from {}", list(&entries)));
        }
    }
    format!("calls {}", from.join(" or "))
}

/// `nobody answers or the phones are offline`; `nobody takes the call`.
fn states(states: &[State]) -> Option<String> {
    let all = [State::NoAnswer, State::Busy, State::Declined, State::Offline, State::Dnd];
    if all.iter().all(|state| states.contains(state)) {
        return Some("nobody takes the call".to_owned());
    }
    let words: Vec<&str> =
        states.iter().map(|state| state.words()).filter(|words| !words.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" or "))
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first, second] => format!("{first} and {second}"),
        names if names.len() <= NAMED_MAX => {
            let (last, first) = names.split_last().map_or(("", names), |(last, first)| (last, first));
            format!("{} and {last}", first.join(", "))
        }
        names => {
            let first = names.get(..NAMED_MAX).unwrap_or_default();
            format!("{} and {} more", first.join(", "), names.len() - NAMED_MAX)
        }
    }
}

fn tell(group: Group) -> Difference {
    let mut text = String::new();
    if group.when != "always" {
        let _ = write!(text, "{}, ", group.when);
    }
    if let Some(state) = states(&group.states) {
        let _ = write!(text, "when {state}, ");
    }
    let _ = write!(text, "{} to {} {}", calls(&group.callers), list(&group.to), group.sentence);
    Difference {
        text,
        kind: "decision".to_owned(),
        first: group.intervals.iter().next().map(|interval| interval.start),
        when: group.when,
        to: group.to,
    }
}
