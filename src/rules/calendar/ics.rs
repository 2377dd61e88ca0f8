//! Days of an iCalendar file (RFC 5545): its all-day events, with RRULE, RDATE, EXDATE and the occurrences that were moved or
//! cancelled (RECURRENCE-ID). Each event becomes a set of days, and all of them one, so a reading is asked of one set.
//!
//! Not here: events with hours, to-dos, alarms; they are named as warnings. Invariant: whatever the file holds, reading ends
//! within the bounds below, and every day that it looks at is paid for out of a [`LookBudget`].

use super::budget::{LookBudget, Spent};
use super::day_set::{self, DaySet, LAST};
use super::recurrence::{RruleError, compile_rrule, parse_day};
use icalendar::parser::{Component, read_components, unfold};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

/// Public holidays of a century are far below these.
const FILE_BYTES_MAX: usize = 1 << 20;
const EVENTS_MAX: usize = 5_000;
/// VCALENDAR, VEVENT, VALARM; the parser goes into each by a call.
const NESTING_MAX: usize = 8;
const EVENT_DAYS_MAX: i32 = 366;
const SUMMARY_CHARS_MAX: usize = 128;
const WARNINGS_MAX: usize = 5;

/// The days of one file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ics {
    /// The calendar whose file it is.
    pub calendar: Arc<str>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: Arc<str>,
    /// Every day of every event.
    days: Arc<DaySet>,
    /// In the order of the file.
    events: Arc<[Event]>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Event {
    summary: Option<Arc<str>>,
    days: DaySet,
}

/// Why a file gives no days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IcsError {
    /// It is no iCalendar file, or larger than the bounds allow: in words.
    Wrong(String),
    /// The budget ended at this event, counted from 0.
    Spent { event: usize },
}

impl From<String> for IcsError {
    fn from(what: String) -> IcsError {
        IcsError::Wrong(what)
    }
}

impl Ics {
    /// Reads the text of a file; beside the days, what of it is left out, in words.
    ///
    /// # Errors
    /// See [`IcsError`].
    pub fn read(calendar: &str, text: &str, budget: &mut LookBudget) -> Result<(Ics, Vec<String>), IcsError> {
        let unfolded = whole(text)?;
        budget.spend(text.len()).map_err(|_| IcsError::Spent { event: 0 })?;
        let components = events_of(&unfolded)?;
        let mut warnings = Warnings::default();
        let moved = moved(&components);
        let mut events = Vec::new();
        for (index, component) in components.iter().enumerate() {
            let event = read(component, &moved, &mut warnings, budget);
            events.extend(event.map_err(|_| IcsError::Spent { event: index })?);
        }
        let all: BTreeSet<u32> =
            events.iter().flat_map(|event| event.days.days().filter_map(day_set::number)).collect();
        let all: Vec<u32> = all.into_iter().collect();
        let ics = Ics {
            calendar: calendar.into(),
            sha256: hex(&Sha256::digest(text.as_bytes())).into(),
            days: Arc::new(DaySet::of(&all)),
            events: events.into(),
        };
        Ok((ics, warnings.said()))
    }

    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        self.days.contains(date)
    }

    /// How many days there are in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.days.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Its last day.
    #[must_use]
    pub fn last(&self) -> Option<Date> {
        self.days.days().last()
    }

    /// What the first event of this day is called: `Family Day (ontario)`.
    #[must_use]
    pub fn name_of(&self, date: Date) -> Option<String> {
        let event = self.events.iter().find(|event| event.days.contains(date))?;
        Some(match &event.summary {
            Some(summary) => format!("{summary} ({})", self.calendar),
            None => format!("in {}", self.calendar),
        })
    }

    /// `calendar ontario (file 1f2e3d4c5b6a)`: the beginning of the hash tells which copy of the file spoke.
    pub(super) fn words(&self) -> String {
        format!("calendar {} (file {})", self.calendar, self.sha256.get(..12).unwrap_or_default())
    }
}

/// The lines of a file that is not too large, each whole.
fn whole(text: &str) -> Result<String, String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("this file has more than {} KiB: take old years out", FILE_BYTES_MAX >> 10));
    }
    let unfolded = unfold(text.trim_start_matches('\u{feff}'));
    if nesting(&unfolded) > NESTING_MAX {
        return Err(format!("components nest more than {NESTING_MAX} deep: export the calendar anew"));
    }
    Ok(unfolded)
}

/// The events of its calendars, in order.
fn events_of(unfolded: &str) -> Result<Vec<Component<'_>>, String> {
    let roots = read_components(unfolded).map_err(|_| {
        "this is no iCalendar file: it begins with `BEGIN:VCALENDAR` and each component ends".to_owned()
    })?;
    if roots.iter().all(|root| root.name != "VCALENDAR") {
        return Err("this is no iCalendar file: it begins with `BEGIN:VCALENDAR`".into());
    }
    let calendars = roots.into_iter().filter(|root| root.name == "VCALENDAR");
    let events: Vec<Component<'_>> =
        calendars.flat_map(|root| root.components).filter(|component| component.name == "VEVENT").collect();
    if events.len() > EVENTS_MAX {
        return Err(format!("this file has more than {EVENTS_MAX} events: take old years out"));
    }
    Ok(events)
}

/// What is left out, said a few times and then counted.
#[derive(Default)]
struct Warnings {
    said: Vec<String>,
    more: usize,
}

impl Warnings {
    fn add(&mut self, what: String) {
        if self.said.len() < WARNINGS_MAX {
            self.said.push(what);
        } else {
            self.more += 1;
        }
    }

    fn said(mut self) -> Vec<String> {
        if self.more > 0 {
            self.said.push(format!("{} more events of this file are left out or shortened", self.more));
        }
        self.said
    }
}

/// How deep components stand in each other: the parser is recursive.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for line in text.lines() {
        if line.starts_with("BEGIN:") {
            depth += 1;
            deepest = deepest.max(depth);
        } else if line.starts_with("END:") {
            depth = depth.saturating_sub(1);
        }
    }
    deepest
}

/// By UID, the days on which one occurrence of a recurring event has an event of its own instead.
fn moved(events: &[Component<'_>]) -> HashMap<String, Vec<Date>> {
    let mut moved: HashMap<String, Vec<Date>> = HashMap::new();
    for event in events {
        if let (Some(uid), Some(instead_of)) = (value(event, "UID"), value(event, "RECURRENCE-ID")) {
            moved.entry(uid.to_owned()).or_default().extend(instead_of.get(..8).and_then(parse_day));
        }
    }
    moved
}

/// The days of one event, unless it has none that count.
fn read(
    event: &Component<'_>,
    moved: &HashMap<String, Vec<Date>>,
    warnings: &mut Warnings,
    budget: &mut LookBudget,
) -> Result<Option<Event>, Spent> {
    let summary = summary(event);
    let named = summary.as_deref().unwrap_or("without a name");
    if value(event, "STATUS").is_some_and(|status| status.eq_ignore_ascii_case("CANCELLED")) {
        return Ok(None);
    }
    let Some(start_text) = value(event, "DTSTART") else { return Ok(None) };
    let Some(start) = parse_day(start_text) else {
        warnings
            .add(format!("the event `{named}` has hours (`{start_text}`): only events of whole days count"));
        return Ok(None);
    };
    let mut first_days: BTreeSet<Date> = [start].into();
    if let Some(rule) = value(event, "RRULE") {
        match compile_rrule(rule, Some(start), budget) {
            Ok(days) => first_days.extend(days.days()),
            Err(RruleError::Spent) => return Err(Spent),
            Err(RruleError::Wrong(what)) => {
                warnings.add(format!("of the event `{named}` only the first day counts: {what}"))
            }
        }
    }
    first_days.extend(dates(event, "RDATE"));
    let replaced = value(event, "UID")
        .filter(|_| value(event, "RECURRENCE-ID").is_none())
        .and_then(|uid| moved.get(uid));
    budget.spend(replaced.map_or(0, Vec::len))?;
    for gone in dates(event, "EXDATE").into_iter().chain(replaced.into_iter().flatten().copied()) {
        first_days.remove(&gone);
    }
    let length = length(event, start).unwrap_or_else(|| {
        warnings.add(format!("the event `{named}` is taken for one day: its end can't be read"));
        1
    });
    let mut days = Vec::new();
    for first in first_days {
        budget.spend(length.unsigned_abs() as usize)?;
        let number = |after: i32| {
            let day = first.checked_add(jiff::Span::new().try_days(after).ok()?).ok()?;
            day_set::number(day)
        };
        days.extend((0..length).filter_map(number));
    }
    if days.is_empty() {
        if start > LAST {
            warnings.add(format!("the event `{named}` lies after {LAST}"));
        }
        return Ok(None);
    }
    Ok(Some(Event { summary, days: DaySet::of(&days) }))
}

/// How many days an event lasts (RFC 5545 §3.6.1: DTEND is not inside; without an end, one day).
fn length(event: &Component<'_>, start: Date) -> Option<i32> {
    let days = if let Some(end) = value(event, "DTEND") {
        start.until(parse_day(end)?).ok()?.get_days()
    } else if let Some(duration) = value(event, "DURATION") {
        let (count, factor) = match duration.strip_prefix('P')? {
            weeks if weeks.ends_with('W') => (weeks.trim_end_matches('W'), 7),
            days => (days.strip_suffix('D')?, 1),
        };
        count.parse::<i32>().ok()?.checked_mul(factor)?
    } else {
        1
    };
    // An end on the day of the start is written by some, and means that day.
    Some(days.clamp(1, EVENT_DAYS_MAX))
}

fn value<'c>(event: &'c Component<'_>, name: &str) -> Option<&'c str> {
    event.find_prop(name).map(|property| property.val.as_str().trim())
}

/// The days of every line of this name; of moments, their days.
fn dates(event: &Component<'_>, name: &str) -> Vec<Date> {
    let lines = event.properties.iter().filter(|property| property.name == name);
    lines
        .flat_map(|line| line.val.as_str().split(','))
        .filter_map(|day| parse_day(day.trim().get(..8)?))
        .collect()
}

/// One line of a bounded length, without what iCalendar escapes.
fn summary(event: &Component<'_>) -> Option<Arc<str>> {
    let text = event.find_prop("SUMMARY")?.val.clone().unescape_text();
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.as_str().chars().map(clean).take(SUMMARY_CHARS_MAX).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn file(events: &str) -> String {
        let body = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\n{events}END:VCALENDAR\n");
        body.replace('\n', "\r\n")
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\nUID:u@x\nDTSTAMP:20260101T000000Z\n{lines}\nEND:VEVENT\n")
    }

    fn read(text: &str) -> Result<(Ics, Vec<String>), IcsError> {
        Ics::read("ontario", text, &mut LookBudget::default())
    }

    fn ics(events: &str) -> Ics {
        let (ics, warnings) = read(&file(events)).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        ics
    }

    fn days(ics: &Ics) -> Vec<String> {
        ics.days.days().map(|day| day.to_string()).collect()
    }

    #[test]
    fn a_whole_day_event_is_its_day_with_its_name() {
        let ics = ics(&event("DTSTART;VALUE=DATE:20261225\nSUMMARY:Christmas\\, and\n  more"));
        assert_eq!(days(&ics), ["2026-12-25"]);
        assert_eq!(ics.name_of(date(2026, 12, 25)).as_deref(), Some("Christmas, and more (ontario)"));
        assert!(!ics.contains(date(2026, 12, 26)));
        assert_eq!(ics.sha256.len(), 64);
        assert!(ics.words().starts_with("calendar ontario (file "));
    }

    #[test]
    fn an_end_is_not_inside_and_a_duration_counts_days() {
        let both = event("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227")
            + &event("DTSTART;VALUE=DATE:20270101\nDURATION:P1W");
        let ics = ics(&both);
        assert_eq!(days(&ics)[..4], ["2026-12-24", "2026-12-25", "2026-12-26", "2027-01-01"]);
        assert_eq!(ics.len(), 3 + 7);
    }

    #[test]
    fn rules_bring_days_back_and_exceptions_take_them_out() {
        let ics = ics(&event(
            "DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=YEARLY;COUNT=4\nEXDATE;VALUE=DATE:20270701\nRDATE;VALUE=DATE:20260702,20260703",
        ));
        assert_eq!(days(&ics), ["2026-07-01", "2026-07-02", "2026-07-03", "2028-07-01", "2029-07-01"]);
    }

    #[test]
    fn a_holiday_that_began_long_ago_still_comes() {
        let ics = ics(&event("DTSTART;VALUE=DATE:19000101\nRRULE:FREQ=YEARLY\nSUMMARY:New Year"));
        assert!(ics.contains(date(2027, 1, 1)) && !ics.contains(date(2027, 1, 2)));
        assert_eq!(ics.len(), 131);
    }

    #[test]
    fn an_occurrence_that_was_moved_or_cancelled_is_not_there() {
        let master = event("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;COUNT=3");
        let moved = event("RECURRENCE-ID;VALUE=DATE:20260112\nDTSTART;VALUE=DATE:20260113");
        let cancelled =
            event("RECURRENCE-ID;VALUE=DATE:20260119\nDTSTART;VALUE=DATE:20260119\nSTATUS:CANCELLED");
        assert_eq!(days(&ics(&(master + &moved + &cancelled))), ["2026-01-05", "2026-01-13"]);
    }

    #[test]
    fn what_has_hours_is_left_out_with_a_word() {
        let text = file(&event("DTSTART:20261225T100000Z\nSUMMARY:Party").repeat(9));
        let (ics, warnings) = read(&text).unwrap();
        assert!(ics.is_empty());
        assert!(warnings[0].contains("`Party` has hours"), "{warnings:?}");
        assert_eq!(warnings.len(), WARNINGS_MAX + 1);
        assert!(warnings[WARNINGS_MAX].starts_with("4 more"));
    }

    #[test]
    fn a_rule_that_cannot_be_read_leaves_the_first_day() {
        let text = file(&event("DTSTART;VALUE=DATE:20261225\nRRULE:FREQ=HOURLY"));
        let (ics, warnings) = read(&text).unwrap();
        assert_eq!(days(&ics), ["2026-12-25"]);
        assert!(warnings[0].contains("only the first day"), "{warnings:?}");
    }

    #[test]
    fn a_file_that_would_look_at_too_many_days_is_refused_at_the_event_that_does() {
        let yearly = event("DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=YEARLY");
        let daily = event("DTSTART;VALUE=DATE:18000101\nRRULE:FREQ=DAILY");
        let text = file(&(yearly.repeat(5) + &daily));
        // A day a year costs a month of looks, and each month that is not meant one.
        assert!(read(&text).is_ok());
        let spent = Ics::read("x", &text, &mut LookBudget::of(50_000));
        assert_eq!(spent, Err(IcsError::Spent { event: 5 }));
        let long = event("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY\nDURATION:P366D");
        let spent = Ics::read("x", &file(&long), &mut LookBudget::of(1_000_000));
        assert_eq!(spent, Err(IcsError::Spent { event: 0 }), "days that an event lasts count, too");
    }

    #[test]
    fn what_is_no_calendar_is_refused() {
        let wrong = |text: &str| match read(text) {
            Err(IcsError::Wrong(what)) => what,
            other => panic!("{other:?}"),
        };
        for text in ["", "hello", "BEGIN:VCALENDAR\r\n", "BEGIN:VEVENT\r\nEND:VEVENT\r\n"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        let deep = format!("BEGIN:VCALENDAR\r\n{}", "BEGIN:A\r\n".repeat(100_000));
        assert!(wrong(&deep).contains("deep"));
        assert!(wrong(&" ".repeat(FILE_BYTES_MAX + 1)).contains("KiB"));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(lines in proptest::collection::vec(
            "(BEGIN:VEVENT|END:VEVENT|BEGIN:V|DTSTART;VALUE=DATE:20[0-9]{6}|DTEND:[0-9]{8}|DURATION:P[0-9]{1,12}[DW]|RRULE:FREQ=(DAILY|YEARLY);COUNT=[0-9]{1,3}|SUMMARY:.{0,9}|EXDATE:[0-9,]{0,20}| .{0,9})", 0..12,
        )) {
            let _ = read(&file(&format!("{}\n", lines.join("\n"))));
        }
    }
}
