//! `calendar`: which rule of an extension or number is active when, by the clock.
//!
//! Live state is not asked: what is switched by hand stands in [`Agenda::notes`], where the daemon adds it. Invariant: segments are
//! in order, touch, and cover the whole time that was asked for; where none of the rules holds, a segment has no rule.

use super::calendar::{Frame, Part, Zone};
use super::domain::Domain;
use super::facts::Live;
use super::intervals::{Interval, Intervals, Schedule, day_words};
use super::tree::{TreeCondition, TreeRule};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// How much of time is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Seven days from the Monday of this day's week.
    Week(Date),
    /// 371 days, 53 whole weeks, from the Monday of this day's week.
    Year(Date),
}

/// Which rule is active when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agenda {
    pub extension: String,
    /// `Ama Osei`; of a number, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// IANA name.
    pub zone: String,
    pub from: Date,
    /// Not inside any more.
    pub to: Date,
    pub rules: Vec<AgendaRule>,
    pub segments: Vec<Segment>,
    /// Holidays and days on which clocks change, in order.
    pub days: Vec<DayNote>,
    /// What is switched by hand now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A rule, in the order in which they are asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgendaRule {
    pub name: String,
    /// Its letter in the picture.
    pub letter: char,
    /// `users/101-osei.toml:14:1`
    pub at: String,
    pub enabled: bool,
    /// As written: `open or not lunch`, `always`.
    pub when: String,
    /// When it is the one that answers: `Mon-Fri 08:00-17:30, not on 25 Dec 2026`.
    pub active: String,
    pub minutes: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub start: Timestamp,
    pub end: Timestamp,
    /// An index into the rules; `null`: no rule holds.
    pub rule: Option<usize>,
}

/// What is special about a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayNote {
    pub date: Date,
    /// `Christmas (us-holidays)`
    pub holidays: Vec<String>,
    /// `clocks go forward, 02:00 to 03:00`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<String>,
}

impl Domain {
    /// The date on the wall of the domain's zone.
    #[must_use]
    pub fn today(&self, now: Timestamp) -> Date {
        self.zone.to_datetime(now).date()
    }
}

/// `None` where the domain has no rules for this extension or number.
#[must_use]
pub fn agenda(domain: &Domain, ext: &str, period: Period, live: Option<&dyn Live>) -> Option<Agenda> {
    let tree = domain.tree(ext)?;
    let user = domain.user_of_extension(ext);
    let zone_name = user.map(|user| user.zone.to_string());
    let zone =
        zone_name.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(|| domain.zone.clone());
    let zone_name = zone.iana_name().map(str::to_owned).or(zone_name).unwrap_or_default();
    let (from, to) = days(period);
    let midnight = |date: Date| Some(date.to_zoned(zone.clone()).ok()?.timestamp());
    let horizon = Interval::new(midnight(from)?, midnight(to)?);
    let mut schedule = Schedule::new(horizon);
    let mut agenda = Agenda {
        extension: ext.to_owned(),
        user: user.map(|user| user.display.to_string()),
        zone: zone_name,
        from,
        to,
        ..Agenda::default()
    };
    let mut rest = Intervals::all(horizon);
    for rule in &tree.rules {
        let holds = if rule.enabled { when(domain, &mut schedule, rule) } else { Intervals::none() };
        let active = rest.intersection(&holds);
        rest = rest.difference(&active);
        agenda.add(rule_of(domain, rule, &active, &zone, horizon), &active);
    }
    agenda.segments.extend(rest.iter().map(|i| Segment { start: i.start, end: i.end, rule: None }));
    agenda.segments.sort_by_key(|segment| segment.start);
    agenda.letters();
    let frames: Vec<(&str, &Frame)> = frames(domain, &tree.rules);
    agenda.days = notes(&frames, &zone, from, to);
    if let Some(live) = live {
        agenda.notes = by_hand(&frames, user.map(|user| &*user.name), live);
    }
    Some(agenda)
}

fn days(period: Period) -> (Date, Date) {
    let (day, length) = match period {
        Period::Week(day) => (day, 7),
        Period::Year(day) => (day, 371),
    };
    let monday = i64::from(day.weekday().to_monday_zero_offset());
    let first = day.checked_sub(monday.days()).unwrap_or(day);
    (first, first.checked_add(length.days()).unwrap_or(Date::MAX))
}

/// When the conditions of the rule hold, whatever stands before it.
pub(super) fn when(domain: &Domain, schedule: &mut Schedule, rule: &TreeRule) -> Intervals {
    if rule.when.is_empty() {
        return Intervals::all(schedule.horizon());
    }
    rule.when
        .iter()
        .fold(Intervals::none(), |sum, condition| sum.union(&condition_holds(domain, schedule, condition)))
}

fn condition_holds(domain: &Domain, schedule: &mut Schedule, condition: &TreeCondition) -> Intervals {
    let Some((named, (_, zone))) = domain.timed(condition.timed) else { return Intervals::none() };
    let zone_name = zone.iana_name().unwrap_or_default().into();
    let holds = schedule.of(&named.name, &named.frame, &zone_name, zone);
    if condition.negated { holds.complement(schedule.horizon()) } else { holds.as_ref().clone() }
}

fn rule_of(
    domain: &Domain,
    rule: &TreeRule,
    active: &Intervals,
    zone: &TimeZone,
    horizon: Interval,
) -> AgendaRule {
    let condition = |condition: &TreeCondition| {
        let (named, _) = domain.timed(condition.timed)?;
        Some(format!("{}{}", if condition.negated { "not " } else { "" }, named.name))
    };
    let when: Vec<String> = rule.when.iter().filter_map(condition).collect();
    let name = match (&rule.name, &rule.to) {
        (Some(name), _) => name.to_string(),
        (None, Some((to, _))) => to.to_string(),
        (None, None) => String::new(),
    };
    AgendaRule {
        name,
        letter: ' ',
        at: rule.span.map(|span| domain.place(span).to_string()).unwrap_or_default(),
        enabled: rule.enabled,
        when: if when.is_empty() { "always".to_owned() } else { when.join(" or ") },
        active: if rule.enabled { active.words(zone, horizon) } else { "never (disabled)".to_owned() },
        minutes: active.total().as_mins(),
    }
}

/// The frames that the rules name, and those that these except.
fn frames<'d>(domain: &'d Domain, rules: &[TreeRule]) -> Vec<(&'d str, &'d Frame)> {
    let named = rules.iter().flat_map(|rule| &rule.when).filter_map(|c| Some(domain.timed(c.timed)?.0));
    let mut todo: Vec<(&str, &Frame)> = named.map(|named| (&*named.name, &named.frame)).collect();
    let mut found: Vec<(&str, &Frame)> = Vec::new();
    while let Some((name, frame)) = todo.pop() {
        if !found.iter().any(|(known, _)| *known == name) {
            found.push((name, frame));
            todo.extend(frame.except.iter().map(|excepted| (&*excepted.name, &excepted.frame)));
        }
    }
    found.sort_by_key(|(name, _)| *name);
    found
}

/// Holidays by the name of their entry, and changes of the clock.
fn notes(frames: &[(&str, &Frame)], zone: &TimeZone, from: Date, to: Date) -> Vec<DayNote> {
    let mut notes = Vec::new();
    for date in from.series(1.day()).take_while(|date| *date < to) {
        let mut holidays: Vec<String> = Vec::new();
        for part in frames.iter().flat_map(|(_, frame)| &frame.parts) {
            let name = match part {
                Part::Days(days) => days.name_of(date),
                Part::Ics(ics) => ics.name_of(date),
                Part::Weekly(_) | Part::Recurring(_) => None,
            };
            holidays.extend(name.filter(|name| !holidays.contains(name)));
        }
        let clocks = clocks(zone, date);
        if !holidays.is_empty() || clocks.is_some() {
            notes.push(DayNote { date, holidays, clocks });
        }
    }
    notes
}

/// How the clock changes on this day.
fn clocks(zone: &TimeZone, date: Date) -> Option<String> {
    let midnight = date.to_zoned(zone.clone()).ok()?.timestamp();
    let before = midnight.checked_sub(1.second()).ok()?;
    let offset = zone.to_offset(before);
    let change = zone.following(before).next()?;
    let (old, new): (DateTime, DateTime) =
        (offset.to_datetime(change.timestamp()), change.offset().to_datetime(change.timestamp()));
    if old.date() != date && new.date() != date || old == new {
        return None;
    }
    let way = if new > old { "forward" } else { "back" };
    Some(format!("clocks go {way}, {} to {}", old.strftime("%H:%M"), new.strftime("%H:%M")))
}

fn by_hand(frames: &[(&str, &Frame)], user: Option<&str>, live: &dyn Live) -> Vec<String> {
    let switched = |(name, _): &(&str, &Frame)| {
        let on = live.frame_override(name)?;
        Some(format!("{name} is switched {} by hand now", if on { "on" } else { "off" }))
    };
    let mut notes: Vec<String> = frames.iter().filter_map(switched).collect();
    let Some(status) = user.and_then(|user| live.status(user)) else { return notes };
    if let Some(rule) = &status.rule {
        notes.push(format!("rule `{rule}` is picked by hand now"));
    }
    if let Some(forward) = &status.forward {
        notes.push(format!("forwarded to {forward} by hand now"));
    }
    if let Some(dnd) = status.dnd {
        notes.push(format!("do not disturb is switched {} by hand now", if dnd { "on" } else { "off" }));
    }
    notes
}

impl Agenda {
    fn add(&mut self, rule: AgendaRule, active: &Intervals) {
        let index = Some(self.rules.len());
        self.segments.extend(active.iter().map(|i| Segment { start: i.start, end: i.end, rule: index }));
        self.rules.push(rule);
    }

    /// A letter each: of its name if one is free, in upper case before lower.
    fn letters(&mut self) {
        let mut taken: Vec<char> = Vec::new();
        for rule in &mut self.rules {
            let own = rule.name.chars().filter(char::is_ascii_alphabetic);
            let own: Vec<char> = own.flat_map(|c| [c.to_ascii_uppercase(), c.to_ascii_lowercase()]).collect();
            let wanted = own.into_iter().chain('A'..='Z').chain('a'..='z').chain('0'..='9');
            rule.letter = wanted.into_iter().find(|c| !taken.contains(c)).unwrap_or('*');
            taken.push(rule.letter);
        }
    }

    /// For the terminal, 80 columns wide: a line a day, half an hour a letter; of a year the special days alone.
    #[must_use]
    pub fn text(&self) -> String {
        let zone = Zone::named(&self.zone).map_or(TimeZone::UTC, |zone| zone.time_zone().clone());
        let last = self.to.yesterday().unwrap_or(self.to);
        let of = self.user.as_deref().map(|user| format!(", {user}")).unwrap_or_default();
        let mut text = format!(
            "{}{of}: {} to {} ({})\n\n",
            self.extension,
            day_words(self.from),
            day_words(last),
            self.zone
        );
        let year = self.to.since(self.from).is_ok_and(|span| span.get_days() > 7);
        let shown: Vec<Date> = match year {
            true => self.days.iter().map(|note| note.date).collect(),
            false => self.from.series(1.day()).take_while(|date| *date < self.to).collect(),
        };
        if !shown.is_empty() {
            let hours: String = (0..24).step_by(3).map(|hour| format!("{hour:<6}")).collect();
            let _ = writeln!(text, "{:17}{}24", "", hours);
        }
        for date in shown {
            let _ = writeln!(text, "{:<17}{}", day_words(date), self.strip(&zone, date));
            if let Some(note) = self.days.iter().find(|note| note.date == date) {
                for words in note.holidays.iter().chain(&note.clocks) {
                    let _ = writeln!(text, "{:17}{words}", "");
                }
            }
        }
        text.push('\n');
        for rule in &self.rules {
            let _ = writeln!(text, "{} {} ({}): {}", rule.letter, rule.name, rule.when, rule.active);
        }
        if self.segments.iter().any(|segment| segment.rule.is_none()) {
            text.push_str(". no rule holds\n");
        }
        for note in &self.notes {
            let _ = writeln!(text, "! {note}");
        }
        text
    }

    /// Half an hour a letter; `.` where no rule holds, `-` where the clock skips.
    fn strip(&self, zone: &TimeZone, date: Date) -> String {
        let slot = |slot: i8| {
            let civil = date.at(slot / 2, slot % 2 * 30, 0, 0);
            let Ok(at) = civil.to_zoned(zone.clone()) else { return '-' };
            if at.datetime() != civil {
                return '-';
            }
            let at = at.timestamp();
            let after = self.segments.partition_point(|segment| segment.start <= at);
            let segment = after.checked_sub(1).and_then(|index| self.segments.get(index));
            let rule = segment.and_then(|segment| self.rules.get(segment.rule?));
            rule.map_or('.', |rule| rule.letter)
        };
        (0..48).map(slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile::Secrets;
    use crate::rules::diagnostic::Files;
    use jiff::civil::date;

    fn domain() -> Domain {
        let text = r#"schema = 1
            domain = { name = "agenda.test", timezone = "America/New_York", country = "US" }
            calendar.us = { dates = [{ on = 2026-12-25, name = "Christmas" }] }
            time_frame.holidays = { calendar = "us" }
            time_frame.open = { weekly = ["mon-fri 08:00-17:00"], except = ["holidays"] }
            time_frame.night = { weekly = ["daily 22:00-06:00"] }
            [user.ann]
            ext = "101"
            name = { first = "A", last = "One" }
            [[user.ann.rule]]
            name = "Night"
            when = "night"
            dnd = true
            [[user.ann.rule]]
            name = "Off"
            when = "always"
            enabled = false
            [[user.ann.rule]]
            name = "Open"
            when = "open"
            [[user.ann.rule]]
            name = "Default"
            when = "always"
            [number."+12025550101"]
            to = "user:ann"
        "#;
        let loaded = crate::rules::source::load(&Files([("a.toml".into(), text.into())].into()));
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        Domain::compile(&model, Secrets::default(), 1).unwrap()
    }

    #[test]
    fn a_week_shows_each_day_with_its_rules_and_holidays() {
        let agenda = agenda(&domain(), "101", Period::Week(date(2026, 12, 23)), None).unwrap();
        let text = agenda.text();
        let expected = "\
101, A One: Mon 21 Dec 2026 to Sun 27 Dec 2026 (America/New_York)

                 0     3     6     9     12    15    18    21    24
Mon 21 Dec 2026  NNNNNNNNNNNNDDDDooooooooooooooooooDDDDDDDDDDNNNN
Tue 22 Dec 2026  NNNNNNNNNNNNDDDDooooooooooooooooooDDDDDDDDDDNNNN
Wed 23 Dec 2026  NNNNNNNNNNNNDDDDooooooooooooooooooDDDDDDDDDDNNNN
Thu 24 Dec 2026  NNNNNNNNNNNNDDDDooooooooooooooooooDDDDDDDDDDNNNN
Fri 25 Dec 2026  NNNNNNNNNNNNDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDNNNN
                 Christmas (us)
";
        let (week, rules) = text.split_once("Sat 26").unwrap();
        assert_eq!(week, expected, "{text}{rules}");
    }

    #[test]
    fn a_holiday_of_an_icalendar_file_stands_below_its_day() {
        let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20261225\r\n\
            SUMMARY:Noel\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let (ics, _) = crate::rules::calendar::Ics::read("ontario", ics, &mut Default::default()).unwrap();
        let frame = Frame { parts: vec![Part::Ics(ics)], ..Frame::default() };
        let (from, to) = (date(2026, 12, 21), date(2026, 12, 28));
        let notes = notes(&[("holidays", &frame)], &TimeZone::UTC, from, to);
        let said: Vec<_> = notes.iter().map(|note| (note.date, note.holidays.join(", "))).collect();
        assert_eq!(said, [(date(2026, 12, 25), "Noel (ontario)".to_owned())]);
    }

    #[test]
    fn segments_cover_the_time_and_touch() {
        let agenda = agenda(&domain(), "101", Period::Year(date(2026, 12, 23)), None).unwrap();
        assert!(agenda.segments.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(agenda.segments.iter().all(|segment| segment.rule.is_some()));
        let minutes: i64 = agenda.rules.iter().map(|rule| rule.minutes).sum();
        assert_eq!(minutes, 371 * 24 * 60);
        let night = &agenda.rules[0];
        assert_eq!((night.name.as_str(), night.active.as_str()), ("Night", "daily 22:00-06:00"));
        assert_eq!(agenda.rules[1].active, "never (disabled)");
        assert_eq!(agenda.rules[2].active, "Mon-Fri 08:00-17:00, not on 25 Dec 2026");
    }

    #[test]
    fn days_on_which_clocks_change_are_marked() {
        let week = |day| agenda(&domain(), "101", Period::Week(day), None).unwrap();
        let spring = week(date(2027, 3, 14));
        assert_eq!(spring.days[0].clocks.as_deref(), Some("clocks go forward, 02:00 to 03:00"));
        assert!(spring.text().contains("Sun 14 Mar 2027  NNNN--NNNNNN"), "{}", spring.text());
        let autumn = week(date(2026, 11, 1));
        assert_eq!(autumn.days[0].clocks.as_deref(), Some("clocks go back, 02:00 to 01:00"));
    }

    #[test]
    fn a_number_has_its_own_agenda_and_a_stranger_none() {
        let of = |ext| agenda(&domain(), ext, Period::Week(date(2026, 12, 23)), None);
        assert_eq!(of("+12025550101").unwrap().rules[0].name, "user:ann");
        assert!(of("999").is_none());
    }
}
