//! Calls that are tried: who calls, and how those who are called are placed.

use super::Side;
use super::course::Course;
use crate::number::Pattern;
use crate::rules::explain::Explanation;
use crate::rules::model::{At, Given, ListEntry, Name, User, WhiteListed};
use crate::rules::reach::{Kind, Object};
use crate::rules::route::{Query, route};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Entries of changed lists that are tried as callers, for each that is called.
pub(super) const ENTRIES_MAX: usize = 16;

/// Who calls. The general ones stand first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    Outside,
    Anonymous,
    Unknown,
    Inside,
    /// Somebody whom a list names: the entry as written, and a number that it matches.
    Entry {
        written: String,
        number: String,
    },
    /// A user by one of their extensions.
    User {
        name: String,
        extension: String,
    },
}

/// How those who are called are placed when the call comes, or what becomes of the ringing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Registered, idle, and answering.
    Idle,
    NoAnswer,
    Busy,
    OnACall,
    Declined,
    Offline,
    Dnd,
}

impl State {
    /// All that come after the first ringing, or instead of it.
    pub const UNANSWERED: [State; 6] =
        [State::NoAnswer, State::Busy, State::OnACall, State::Declined, State::Offline, State::Dnd];

    /// `when nobody answers`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            State::Idle => "",
            State::NoAnswer => "nobody answers",
            State::Busy => "the line is busy",
            State::OnACall => "the user is in a call",
            State::Declined => "the call is declined",
            State::Offline => "the phones are offline",
            State::Dnd => "do not disturb is on",
        }
    }
}

/// What one call came to, and what was rung on the way: what other states are about.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub course: Course,
    devices: Vec<Name>,
    places: Vec<Name>,
    subject: Option<Name>,
}

impl Caller {
    pub(super) fn number<'c>(&'c self, outside: &'c str, inside: Option<&'c str>) -> Option<&'c str> {
        match self {
            Caller::Outside => Some(outside),
            Caller::Anonymous => Some("anonymous"),
            Caller::Unknown => Some("unknown"),
            Caller::Inside => inside,
            Caller::Entry { number, .. } => Some(number),
            Caller::User { extension, .. } => Some(extension),
        }
    }
}

/// Tries one call; `None` where the side has no such thing to call.
pub(super) fn try_call(side: &Side<'_>, to: &str, from: &str, at: Timestamp, given: &Given) -> Option<Tried> {
    let query = Query {
        to: to.to_owned(),
        from: Some(from.to_owned()),
        at: Some(at.to_string()),
        ..Query::default()
    };
    let explanation = route(side.domain, &query, given, None, at).ok()?;
    let mut tried = tried(&explanation);
    tried.course.generalise(from);
    Some(tried)
}

fn tried(explanation: &Explanation) -> Tried {
    let to = explanation.legs.iter().map(|leg| leg.to.as_str());
    let devices = to.clone().filter_map(|to| to.strip_prefix("device:")).map(Name::from).collect();
    let places = to.map(|to| Name::from(to.strip_prefix("device:").unwrap_or(to))).collect();
    let rung =
        explanation.tags.iter().position(|tag| tag.starts_with("ring:")).unwrap_or(explanation.tags.len());
    let before = explanation.tags.get(..rung).unwrap_or_default();
    let subject = before.iter().rev().find_map(|tag| tag.strip_prefix("user:")).map(Name::from);
    Tried { course: Course::of(explanation), devices, places, subject }
}

/// What is given for a state, after the call was tried with everybody idle. `None`: it makes no difference there.
pub(super) fn given(state: State, idle: &Tried) -> Option<Given> {
    if !idle.course.rings() {
        return None;
    }
    let mut given = Given::default();
    match state {
        State::Idle => {}
        State::NoAnswer => given.no_answer = idle.places.clone(),
        State::Declined => given.declined = idle.places.clone(),
        State::Offline => given.offline = idle.devices.clone(),
        State::Dnd => given.dnd = vec![idle.subject.clone()?],
        State::Busy => given.active_calls = BTreeMap::from([(idle.subject.clone()?, u32::MAX)]),
        State::OnACall => given.active_calls = BTreeMap::from([(idle.subject.clone()?, 1)]),
    }
    Some(given)
}

/// Who is tried as a caller of something that these objects take part in, and how many entries of lists are not.
pub(super) fn callers(
    before: &Side<'_>,
    after: &Side<'_>,
    parts: [&BTreeSet<Object>; 2],
) -> (Vec<Caller>, usize) {
    let [old, new] = [users(before, parts[0]), users(after, parts[1])];
    let flagged = |flag: fn(&User) -> bool| old.iter().chain(&new).any(|user| flag(user));
    let mut callers = vec![Caller::Outside];
    if flagged(|user| user.block_anonymous.is_some()) {
        callers.push(Caller::Anonymous);
    }
    if flagged(|user| user.block_unknown.is_some()) {
        callers.push(Caller::Unknown);
    }
    callers.push(Caller::Inside);
    let (was, is) = (entries(before, &old), entries(after, &new));
    let differ: Vec<(&String, &Pattern)> = was
        .iter()
        .filter(|(written, _)| !is.contains_key(*written))
        .chain(is.iter().filter(|(written, _)| !was.contains_key(*written)))
        .collect();
    let left_out = differ.len().saturating_sub(ENTRIES_MAX);
    callers.extend(differ.into_iter().take(ENTRIES_MAX).filter_map(|(written, pattern)| {
        Some(Caller::Entry { written: shown(written), number: sample(pattern)? })
    }));
    let (was, is) = (listed(&old), listed(&new));
    let users = was.symmetric_difference(&is).take(ENTRIES_MAX);
    callers.extend(users.filter_map(|name| {
        let user = before.model.users.get(name).filter(|_| after.model.users.contains_key(name))?;
        Some(Caller::User { name: name.to_string(), extension: user.extensions.first()?.to_string() })
    }));
    (callers, left_out)
}

fn users<'m>(side: &Side<'m>, parts: &BTreeSet<Object>) -> Vec<&'m User> {
    let users = parts.iter().filter(|part| part.kind == Kind::User);
    users.filter_map(|user| side.model.users.get(&user.name)).collect()
}

/// Which list it stands in belongs to the entry: `block +1900. list:spam`.
fn entries(side: &Side<'_>, users: &[&User]) -> BTreeMap<String, Pattern> {
    let mut found = BTreeMap::new();
    for user in users {
        for (kind, list) in [("allow", &user.allow), ("block", &user.block)] {
            for At { value, .. } in list {
                match value {
                    ListEntry::Pattern(pattern, written) => {
                        found.insert(format!("{kind} {written}"), pattern.clone());
                    }
                    ListEntry::List(name) => {
                        let patterns = side.model.lists.get(name).map(|list| list.value.as_slice());
                        for pattern in patterns.unwrap_or_default() {
                            let pattern = &pattern.value;
                            found.insert(format!("{kind} {} list:{name}", pattern.as_str()), pattern.clone());
                        }
                    }
                }
            }
        }
    }
    found
}

/// `+1900. (list:spam)`.
fn shown(entry: &str) -> String {
    let mut words = entry.split(' ').skip(1);
    let pattern = words.next().unwrap_or_default();
    match words.next() {
        Some(list) => format!("{pattern} ({list})"),
        None => pattern.to_owned(),
    }
}

fn listed(users: &[&User]) -> BTreeSet<Name> {
    let named = users.iter().flat_map(|user| &user.white_list).filter_map(|entry| match &entry.value {
        WhiteListed::User(name) => Some(name.clone()),
        _ => None,
    });
    named.collect()
}

/// A number that the pattern matches.
#[must_use]
pub(super) fn sample(pattern: &Pattern) -> Option<String> {
    let text = pattern.as_str();
    if pattern.is_literal() {
        return Some(text.to_owned());
    }
    let mut number = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            'X' | 'Z' | 'N' => number.push('5'),
            '[' => {
                number.extend(rest.next());
                rest.by_ref().find(|c| *c == ']');
            }
            '.' => {
                // As long as numbers of the world are.
                let missing = 12_usize.saturating_sub(number.len()).max(1);
                number.extend(std::iter::repeat_n('5', missing));
            }
            other => number.push(other),
        }
    }
    pattern.matches(&number).then_some(number)
}

/// A number from outside that no list of these users names, and that is none of ours.
pub(super) fn stranger(before: &Side<'_>, after: &Side<'_>, parts: [&BTreeSet<Object>; 2]) -> String {
    const CANDIDATES: [&str; 4] = ["+19135550100", "+442079460999", "+61255501234", "+4930901820"];
    let sides = [(before, parts[0]), (after, parts[1])];
    let free = |number: &&&str| {
        sides.iter().all(|(side, parts)| {
            let named = entries(side, &users(side, parts)).values().any(|pattern| pattern.matches(number));
            !named && !side.model.numbers.contains_key(**number)
        })
    };
    CANDIDATES.iter().find(free).unwrap_or(&CANDIDATES[0]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_matched_by_its_pattern() {
        for text in ["+1900.", "+12025550199", "NXXNXXXXXX", "9[1-5]Z.", "*7X", "."] {
            let pattern = Pattern::parse(text).unwrap();
            let sample = sample(&pattern).unwrap();
            assert!(pattern.matches(&sample), "{text}: {sample}");
        }
    }
}
