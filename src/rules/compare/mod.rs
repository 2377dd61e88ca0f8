//! `plan`: what two rule sets decide differently, in the words of an operator.
//!
//! Not a comparison of texts, nor of trees: calls are tried on both sides. Which calls, follows from what differs: everything whose
//! decision a changed object may take part in is called, at one moment of each combination of time frames that it depends on,
//! by somebody from outside, from inside, and by those whom a changed list names, with phones that answer, that don't, that
//! are busy, and so on. Equal differences are put together, and their time is told in words.
//!
//! Live state takes no part: nobody has switched anything by hand. Invariant: the work is bounded by [`DECISIONS_MAX`];
//! [`Comparison::not_compared`] says what was left out.

mod budgets;
mod changed;
mod course;
mod moments;
mod outgoing;
mod probe;
mod sentences;
#[cfg(test)]
mod tests;

pub use changed::{Changed, changed};
pub use course::{Course, sentence};
pub use probe::{Caller, State};

use super::domain::Domain;
use super::intervals::{Interval, Intervals};
use super::model::{Given, Model};
use super::reach::{Graph, Kind, Object, resolve};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use moments::Moments;
use probe::{callers, given, stranger, try_call};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Decisions of one comparison, both sides together: at the limit it stops and says what it left out.
pub const DECISIONS_MAX: usize = 200_000;

/// 53 weeks from the midnight before now: every holiday comes once at least.
const HORIZON_DAYS: i64 = 371;

/// One of the two rule sets.
pub struct Side<'a> {
    pub model: &'a Model,
    pub domain: &'a Arc<Domain>,
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Objects whose tables differ: `+user:kim`, `-trunk:x`, `~user:osei`.
    pub changed: Vec<String>,
    pub differences: Vec<Difference>,
    /// Calls that were tried, on both sides together.
    pub decisions: usize,
    /// Extensions and numbers that were not compared, because the limit was reached.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_compared: usize,
    /// Entries of changed lists that were not tried as callers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub entries_not_tried: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// One difference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The whole of it as a sentence.
    pub text: String,
    /// `object` (a user is new) or `decision`.
    pub kind: String,
    /// `Mon-Fri 12:00-13:00`; `always`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub when: String,
    /// The first moment of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// What is called: extensions and numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
}

/// A difference as it was found: one caller, one state.
#[derive(Clone, Debug)]
struct Found {
    to: String,
    caller: Caller,
    state: State,
    before: Course,
    after: Course,
    when: Intervals,
}

/// Compares two rule sets of one domain, as from `now`.
#[must_use]
pub fn compare(before: &Side<'_>, after: &Side<'_>, now: Timestamp) -> Comparison {
    let differ = changed(&before.model.files, &after.model.files);
    compare_changed(before, after, &differ, now)
}

/// The same where it is known already which objects differ.
#[must_use]
pub fn compare_changed(before: &Side<'_>, after: &Side<'_>, differ: &Changed, now: Timestamp) -> Comparison {
    let mut comparison = Comparison { changed: marks(differ), ..Comparison::default() };
    if differ.is_empty() {
        return comparison;
    }
    sentences::objects(before, after, differ, &mut comparison.differences);
    budgets::compare(before, after, &mut comparison.differences);
    let zone = TimeZone::get(&after.model.domain.zone).unwrap_or(TimeZone::UTC);
    let horizon = horizon(&zone, now);
    let mut work = Work {
        before,
        after,
        graphs: [Graph::of(before.model), Graph::of(after.model)],
        moments: Moments::new(horizon),
        comparison: &mut comparison,
        found: Vec::new(),
    };
    for ((_, text), object) in called(before, after, &work.graphs, differ) {
        work.call(&text, &object);
    }
    let found = std::mem::take(&mut work.found);
    outgoing::compare(before, after, differ, now, &mut comparison);
    sentences::decisions(before, after, found, &zone, horizon, &mut comparison.differences);
    comparison
}

fn marks(differ: &Changed) -> Vec<String> {
    let of = |mark: char, set: &BTreeSet<Object>| -> Vec<String> {
        set.iter().map(|object| format!("{mark}{object}")).collect()
    };
    [of('+', &differ.added), of('-', &differ.removed), of('~', &differ.altered)].concat()
}

fn horizon(zone: &TimeZone, now: Timestamp) -> Interval {
    let today = zone.to_datetime(now).date();
    let midnight =
        |date: jiff::civil::Date| date.to_zoned(zone.clone()).map_or(now, |zoned| zoned.timestamp());
    let last = today.checked_add(HORIZON_DAYS.days()).unwrap_or(today);
    Interval::new(midnight(today), midnight(last))
}

/// What is worth calling: one extension of each user and service, and each number, that a changed object may take part in, and
/// that both sides have.
fn called(
    before: &Side<'_>,
    after: &Side<'_>,
    graphs: &[Graph; 2],
    differ: &Changed,
) -> BTreeMap<(bool, String), Object> {
    let everybody = differ.any(&[Kind::Domain, Kind::Policy]);
    let outside = differ.any(&[Kind::Trunk, Kind::Class, Kind::Route, Kind::Dial, Kind::Site]);
    let mut suspects: BTreeSet<Object> = BTreeSet::new();
    for graph in graphs {
        suspects.extend(graph.backward(differ.all().cloned()));
        if outside {
            // What rings an outside number leaves by classes, routes and trunks.
            suspects.extend(graph.backward(graph.of_kind(Kind::Tel)));
        }
    }
    let mut called = BTreeMap::new();
    let mut offer = |text: &str, object: Object| {
        let both = resolve(before.model, text).is_some() && resolve(after.model, text).is_some();
        if both && (everybody || suspects.contains(&object)) {
            // Extensions before numbers.
            called.insert((text.starts_with('+'), text.to_owned()), object);
        }
    };
    for (name, user) in &after.model.users {
        let known = user.extensions.iter().find(|e| resolve(before.model, e).is_some());
        if let Some(extension) = known {
            offer(extension, Object::new(Kind::User, name));
        }
    }
    for (extension, to) in &after.model.system_extensions {
        if let Some(object) = Object::of_destination(&to.value) {
            offer(extension, object);
        }
    }
    for number in after.model.numbers.keys() {
        offer(number, Object::new(Kind::Number, number));
    }
    called
}

struct Work<'a> {
    before: &'a Side<'a>,
    after: &'a Side<'a>,
    graphs: [Graph; 2],
    moments: Moments,
    comparison: &'a mut Comparison,
    found: Vec<Found>,
}

impl Work<'_> {
    /// Compares what becomes of calls to this.
    fn call(&mut self, text: &str, object: &Object) {
        if self.comparison.decisions >= DECISIONS_MAX {
            self.comparison.not_compared += 1;
            return;
        }
        let was = resolve(self.before.model, text).unwrap_or_else(|| object.clone());
        let parts = [self.graphs[0].forward(&was), self.graphs[1].forward(object)];
        let parts = [&parts[0], &parts[1]];
        let moments = self.moments.of(self.before, self.after, parts);
        let (callers, left_out) = callers(self.before, self.after, parts);
        self.comparison.entries_not_tried += left_out;
        let outside = stranger(self.before, self.after, parts);
        let inside = self.insider(object);
        for moment in moments.iter() {
            for caller in &callers {
                // Extensions can't be dialled from outside: a number that leads there is tried as itself.
                let Some(from) = caller.number(&outside, inside.as_deref()) else { continue };
                self.cell(text, caller, from, moment);
            }
        }
    }

    /// Somebody inside who is not the one called.
    fn insider(&self, called: &Object) -> Option<String> {
        let both = |name: &Arc<str>| self.before.model.users.contains_key(name);
        let mut users = self.after.model.users.iter().filter(|(name, _)| both(name) && **name != called.name);
        users.find_map(|(_, user)| Some(user.extensions.first()?.to_string()))
    }

    /// One caller at one moment, in every state.
    fn cell(&mut self, text: &str, caller: &Caller, from: &str, moment: &moments::Moment) {
        let to = destination(self.before.model, text);
        let to_after = destination(self.after.model, text);
        let idle = Given::default();
        self.comparison.decisions += 2;
        let tried = (
            try_call(self.before, &to, from, moment.at, &idle),
            try_call(self.after, &to_after, from, moment.at, &idle),
        );
        let (Some(old), Some(new)) = tried else { return };
        self.differ(text, caller, State::Idle, &old.course, &new.course, moment);
        if !(old.course.rings() && new.course.rings()) {
            return;
        }
        for state in State::UNANSWERED {
            let (Some(given_old), Some(given_new)) = (given(state, &old), given(state, &new)) else {
                continue;
            };
            self.comparison.decisions += 2;
            let then = (
                try_call(self.before, &to, from, moment.at, &given_old),
                try_call(self.after, &to_after, from, moment.at, &given_new),
            );
            if let (Some(then_old), Some(then_new)) = then {
                // What rings all the same has been compared.
                let same = then_old.course == old.course && then_new.course == new.course;
                if !same {
                    self.differ(text, caller, state, &then_old.course, &then_new.course, moment);
                }
            }
        }
    }

    fn differ(
        &mut self,
        to: &str,
        caller: &Caller,
        state: State,
        old: &Course,
        new: &Course,
        moment: &moments::Moment,
    ) {
        if old == new {
            return;
        }
        let same = |found: &&mut Found| {
            found.to == to
                && found.caller == *caller
                && found.state == state
                && found.before == *old
                && found.after == *new
        };
        // Those of one call stand together at the end.
        if let Some(found) = self.found.iter_mut().rev().take_while(|found| found.to == to).find(same) {
            found.when = found.when.union(&moment.when);
            return;
        }
        self.found.push(Found {
            to: to.to_owned(),
            caller: caller.clone(),
            state,
            before: old.clone(),
            after: new.clone(),
            when: moment.when.clone(),
        });
    }
}

/// A user is called as such, so that callers from outside come there, too.
fn destination(model: &Model, text: &str) -> String {
    match resolve(model, text) {
        Some(object) if object.kind == Kind::Number => text.to_owned(),
        Some(object) if object.kind == Kind::User => object.to_string(),
        _ => text.to_owned(),
    }
}
