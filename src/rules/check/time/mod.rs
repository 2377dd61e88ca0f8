//! What time frames do over the years ahead: rules that earlier ones always come before, frames that never hold, calendars that
//! run out, minutes that fall between two frames, edges that the change of the clock moves.
//!
//! Proven on intervals, by instant, with exceptions, holidays and changes of the clock. Looking far is dear, so a question is
//! put to the next weeks first, which answer nearly all of them; frames are worked out once a zone, lists of rules once
//! however many users have the same. Overrides are live and not looked at: what they alone can change is a warning.

use crate::rules::calendar::{Days, Frame, Part, Zone};
use crate::rules::diagnostic::{Diagnostic, Span};
use crate::rules::intervals::{Interval, Intervals, Schedule};
use crate::rules::model::{Condition, Model, Name, When};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What nearly every question is answered by.
const NEAR_DAYS: u32 = 5 * 7;
/// Two leap years, and the 4th of July on every day of the week.
const FAR_DAYS: u32 = 3653;
/// Changes of the clock are known for so long, as far as parliaments leave them alone.
const CLOCK_DAYS: u32 = 2 * 366;
/// A calendar that ends within this is told of.
const CALENDAR_DAYS: i64 = 60;
/// A shorter hole between two times of a schedule is hardly meant.
const GAP_MAX: SignedDuration = SignedDuration::from_mins(5);

/// One rule of a list, as far as time goes.
pub(super) struct Line<'m> {
    pub(super) name: Cow<'m, str>,
    pub(super) when: &'m When,
    pub(super) span: Span,
}

/// Rules that others always come before, by their places in a list: each with the one that does so alone, if one does.
type Covered = Vec<(usize, Option<usize>)>;

/// The years ahead of one domain.
pub(super) struct Ahead<'m> {
    model: &'m Model,
    now: Timestamp,
    near: Schedule,
    far: Schedule,
    zones: FxHashMap<Name, TimeZone>,
    /// What was found of a list of rules with these conditions in this zone.
    known: FxHashMap<String, Arc<Covered>>,
    /// Where the name of such a list is made.
    key: String,
    /// Frames after which a gap was told of.
    gaps: FxHashSet<Name>,
    /// Each frame that rules go by, with each zone in which they read it.
    read: BTreeSet<(Name, Name)>,
}

impl<'m> Ahead<'m> {
    pub(super) fn of(model: &'m Model, now: Timestamp) -> Ahead<'m> {
        Ahead {
            model,
            now,
            near: Schedule::new(Interval::days(now, NEAR_DAYS)),
            far: Schedule::new(Interval::days(now, FAR_DAYS)),
            zones: FxHashMap::default(),
            known: FxHashMap::default(),
            key: String::new(),
            gaps: FxHashSet::default(),
            read: BTreeSet::new(),
        }
    }

    fn zone(&mut self, name: &Name) -> TimeZone {
        let zone = || TimeZone::get(name).unwrap_or(TimeZone::UTC);
        self.zones.entry(name.clone()).or_insert_with(zone).clone()
    }

    /// When this holds, in the weeks or years ahead.
    fn when(&mut self, when: &When, zone: &Name, far: bool) -> Intervals {
        let horizon = if far { self.far.horizon() } else { self.near.horizon() };
        let When::AnyOf(conditions) = when else { return Intervals::all(horizon) };
        let mut holds = Intervals::none();
        for condition in conditions {
            let one = self.condition(condition, zone, far);
            let one = if condition.negated { one.complement(horizon) } else { one.as_ref().clone() };
            holds = holds.union(&one);
        }
        holds
    }

    fn condition(&mut self, condition: &Condition, zone_name: &Name, far: bool) -> Arc<Intervals> {
        let zone = self.zone(zone_name);
        let Some(frame) = self.model.time_frames.get(&condition.frame) else { return Arc::default() };
        let schedule = if far { &mut self.far } else { &mut self.near };
        schedule.of(&condition.frame, &frame.value, zone_name, &zone)
    }

    /// `covered-rule` and `schedule-gap` of the enabled rules of one user or number, in order. `known` are those that another
    /// finding calls unreachable.
    pub(super) fn rules(
        &mut self,
        zone: &Name,
        lines: &[Line<'_>],
        unreachable: &[usize],
        found: &mut Vec<Diagnostic>,
    ) {
        // Asked of every user, and hardly ever new: the text is made in a place that stays.
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.push_str(zone);
        for line in lines {
            key.push(';');
            if let When::AnyOf(conditions) = line.when {
                for condition in conditions {
                    key.push_str(if condition.negated { "!" } else { "," });
                    key.push_str(&condition.frame);
                }
            }
        }
        let covered = match self.known.get(&key) {
            Some(known) => known.clone(),
            None => {
                let conditions = lines.iter().filter_map(|line| match line.when {
                    When::AnyOf(conditions) => Some(conditions),
                    When::Always => None,
                });
                for condition in conditions.flatten() {
                    self.read.insert((condition.frame.clone(), zone.clone()));
                }
                self.gaps(zone, lines, found);
                let covered = Arc::new(self.covered(zone, lines));
                self.known.insert(key.clone(), covered.clone());
                covered
            }
        };
        self.key = key;
        for (at, by) in covered.iter().filter(|(at, _)| !unreachable.contains(at)) {
            let Some(line) = lines.get(*at) else { continue };
            let covering = by.and_then(|by| lines.get(by));
            let finding = match covering {
                Some(by) => {
                    let message = format!(
                        "whenever `{}` could be active, `{}` is, which comes first: only an override can free it",
                        line.name, by.name
                    );
                    Diagnostic::warning("covered-rule", line.span, message).related(by.span, "comes first")
                }
                None => {
                    let message = format!(
                        "whenever `{}` could be active, one of the rules before it is: only an override can free it",
                        line.name
                    );
                    Diagnostic::warning("covered-rule", line.span, message)
                }
            };
            found.push(finding.help("put the narrower rule first"));
        }
    }

    /// The rules that others come before at every moment, with the one that does so alone, if one does.
    fn covered(&mut self, zone: &Name, lines: &[Line<'_>]) -> Covered {
        let mut covered = Vec::new();
        let mut before = Intervals::none();
        for (at, line) in lines.iter().enumerate() {
            if *line.when == When::Always {
                break;
            }
            let soon = self.when(line.when, zone, false);
            if at > 0 && (soon.is_empty() || before.covers(&soon)) {
                let later = self.when(line.when, zone, true);
                let mut all = Intervals::none();
                let mut alone = None;
                for (index, earlier) in lines.iter().enumerate().take(at) {
                    let earlier = self.when(earlier.when, zone, true);
                    alone = alone.or_else(|| earlier.covers(&later).then_some(index));
                    all = all.union(&earlier);
                }
                // What never holds is told of where its frame stands.
                if !later.is_empty() && all.covers(&later) {
                    covered.push((at, alone));
                }
            }
            before = before.union(&soon);
        }
        covered
    }

    /// `schedule-gap`: a few minutes between two times of a list that are in neither. Told of where the earlier one ends.
    fn gaps(&mut self, zone: &Name, lines: &[Line<'_>], found: &mut Vec<Diagnostic>) {
        let mut any = Intervals::none();
        for line in lines.iter().filter(|line| *line.when != When::Always) {
            any = any.union(&self.when(line.when, zone, false));
        }
        for (ended, begins) in any.as_slice().iter().zip(any.as_slice().iter().skip(1)) {
            if begins.start.duration_since(ended.end) > GAP_MAX {
                continue;
            }
            let conditions = lines.iter().filter_map(|line| match line.when {
                When::AnyOf(conditions) => Some(conditions),
                When::Always => None,
            });
            let owner = conditions.flatten().filter(|condition| !condition.negated).find(|condition| {
                let holds = self.condition(condition, zone, false);
                holds.iter().any(|interval| interval.end == ended.end)
            });
            let Some((name, frame)) =
                owner.and_then(|owner| self.model.time_frames.get_key_value(&owner.frame))
            else {
                continue;
            };
            if !self.gaps.insert(name.clone()) {
                continue;
            }
            let clock =
                frame.value.zone.as_ref().map_or_else(|| self.zone(zone), |zone| zone.time_zone().clone());
            let (from, to) = (clock.to_datetime(ended.end), clock.to_datetime(begins.start));
            let message = format!(
                "`{name}` ends {}, and the next time begins {}: the minutes between belong to neither",
                from.strftime("%a %H:%M"),
                to.strftime("%H:%M")
            );
            let help = format!("ends are not inside: write {} as the end to meet it", to.strftime("%H:%M"));
            found.push(Diagnostic::warning("schedule-gap", frame.span, message).help(help));
        }
    }

    /// `never-matches`, `calendar-ends`, `dst-edge`: after all rules have been looked at.
    pub(super) fn frames(mut self, found: &mut Vec<Diagnostic>) {
        let domain = self.model.domain.zone.clone();
        for (name, frame) in &self.model.time_frames {
            if name.starts_with("calendar:") {
                found.extend(self.calendar_ends(name, &frame.value, frame.span));
            } else if self.never_matches(name, &frame.value, &domain) {
                let message = format!("`{name}` never holds: not once in the ten years to come");
                found.push(Diagnostic::warning("never-matches", frame.span, message).help(
                    "its dates are over, or its exceptions leave nothing: correct them, or take it out",
                ));
            }
        }
        let read = std::mem::take(&mut self.read);
        let mut told = FxHashSet::default();
        for (name, zone_name) in &read {
            let Some(frame) = self.model.time_frames.get(name) else { continue };
            let own = frame.value.zone.as_ref();
            let zone = own.map_or_else(|| self.zone(zone_name), |zone| zone.time_zone().clone());
            let shown = own.map_or(zone_name, Zone::name);
            // One a frame, however many zones read it.
            if !told.contains(name)
                && let Some(finding) = dst_edge(name, &frame.value, &zone, shown, self.now)
            {
                told.insert(name);
                found.push(Diagnostic { span: frame.span, ..finding });
            }
        }
    }

    fn never_matches(&mut self, name: &Name, frame: &Frame, domain: &Name) -> bool {
        // A switch has no times; of a calendar's days the calendar tells.
        let by_calendar =
            |part: &Part| matches!(part, Part::Days(Days { calendar: Some(_), .. }) | Part::Ics(_));
        if frame.forced.is_some() || frame.parts.iter().any(by_calendar) {
            return false;
        }
        let zone = self.zone(domain);
        self.near.of(name, frame, domain, &zone).is_empty()
            && self.far.of(name, frame, domain, &zone).is_empty()
    }

    /// A calendar of dates alone, whose last one is near or over.
    fn calendar_ends(&mut self, name: &str, frame: &Frame, span: Span) -> Option<Diagnostic> {
        let domain = self.model.domain.zone.clone();
        let today = self.zone(&domain).to_datetime(self.now).date();
        let mut last = None;
        for part in &frame.parts {
            match part {
                Part::Days(days) if days.yearly.is_empty() => {
                    last = last.max(days.ranges.iter().map(|range| range.last).max());
                }
                Part::Ics(ics) => last = last.max(ics.last()),
                _ => return None,
            }
        }
        let last = last?;
        if last > today.checked_add(CALENDAR_DAYS.days()).ok()? {
            return None;
        }
        let name = name.strip_prefix("calendar:").unwrap_or(name);
        let verb = if last < today { "was" } else { "is" };
        let message =
            format!("the last day of the calendar `{name}` {verb} {last}: after it, no day is a holiday");
        Some(
            Diagnostic::warning("calendar-ends", span, message)
                .help("add the days of next year, or write those that return as `yearly`"),
        )
    }
}

/// The first time within the years ahead that the frame begins or ends at a time of day which the clock skips or repeats. The
/// place is the caller's to fill in.
fn dst_edge(
    name: &str,
    frame: &Frame,
    zone: &TimeZone,
    zone_name: &str,
    now: Timestamp,
) -> Option<Diagnostic> {
    if frame.forced.is_some() {
        return None;
    }
    let end = Interval::days(now, CLOCK_DAYS).end;
    let edges: BTreeSet<i64> =
        frame.parts.iter().flat_map(Part::clock_edges).map(|minute| i64::from(minute) * 60).collect();
    let holds = |second: i64| Timestamp::from_second(second).is_ok_and(|at| frame.contains(at, zone));
    let mut before = i64::from(zone.to_offset(now).seconds());
    for change in zone.following(now).take_while(|change| change.timestamp() < end) {
        let at = change.timestamp().as_second();
        let after = i64::from(change.offset().seconds());
        let (shift, old) = (after - before, before);
        before = after;
        // The wall clock reads from `first` on what it skips, or what it reads twice.
        let first = at + old.min(after);
        let second_of_day = first.rem_euclid(24 * 60 * 60);
        for edge in &edges {
            let within = edge - second_of_day;
            if within <= 0 || within >= shift.abs() {
                continue;
            }
            // Skipped: it happens when the clock goes on. Repeated: at the first of the two readings.
            let happens = if shift > 0 { at } else { first + within - old };
            if holds(happens - 1) == holds(happens) {
                continue;
            }
            let clock = |second: i64| format!("{:02}:{:02}", second / 3600 % 24, second / 60 % 60);
            let date = zone.to_datetime(change.timestamp()).date();
            let edge = clock(*edge);
            let message = match shift > 0 {
                true => format!(
                    "on {date} the clock of {zone_name} skips {edge}: `{name}` begins or ends at {} instead",
                    clock(second_of_day + shift)
                ),
                false => format!(
                    "on {date} the clock of {zone_name} reads {edge} twice: `{name}` begins or ends twice"
                ),
            };
            let (from, to) = (clock(second_of_day), clock(second_of_day + shift.abs()));
            let help = format!("let it begin and end at {from} or {to}, or outside of the time between");
            return Some(Diagnostic::warning("dst-edge", Span::default(), message).help(help));
        }
    }
    None
}

#[cfg(test)]
mod tests;
