//! Recurrence rules (RFC 5545 §3.3.10) on whole days.
//!
//! A rule is compiled once into a [`DaySet`], year by year, month by month, week by week or day by day, on civil days: no
//! clock and no zone takes part, so no change of the clocks can. A frame's zone enters only when a reading of its clock is
//! asked about. What a rule needs of its beginning (`from`) is demanded, not guessed: with COUNT, with INTERVAL, and where
//! the rule doesn't say which days by itself. `from` is a lower bound and no occurrence unless the rule makes it one.
//!
//! Not the `rrule` crate: it takes `BYDAY=MO,-1MO` for the last Monday alone, where the standard means every Monday, and it
//! picks by BYSETPOS from a first week that begins where the rule does.
//!
//! Bounds: at most [`PART_VALUES_MAX`] values a part; days up to the end of the horizon, from [`FROM_MIN`] at the earliest,
//! each looked at once, unless its month is not meant: some milliseconds, and paid for out of a [`LookBudget`].

use super::budget::{LookBudget, Spent};
use super::day_set::{DaySet, FIRST, LAST, number};
use super::weekly::Hours;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// BYYEARDAY could name 366 days; nobody writes more than a few.
const PART_VALUES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 512;
/// Some calendars let their holidays begin long ago; what lies before the horizon is counted, and in no set.
const FROM_MIN: Date = jiff::civil::date(1800, 1, 1);

/// Days that a rule brings back, and the hours of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurring {
    pub days: Arc<DaySet>,
    /// Empty: all day.
    pub hours: Vec<Hours>,
    /// As written: `FREQ=MONTHLY;BYDAY=-1FR 14:00-18:00`.
    pub text: Arc<str>,
}

impl Recurring {
    pub(super) fn contains(&self, civil: &jiff::civil::DateTime) -> bool {
        let date = civil.date();
        if self.hours.is_empty() {
            return self.days.contains(date);
        }
        let minute = super::weekly::minute_of(civil);
        self.hours.iter().any(|hours| {
            (hours.today(minute) && self.days.contains(date))
                || (hours.since_yesterday(minute)
                    && date.yesterday().is_ok_and(|day| self.days.contains(day)))
        })
    }
}

/// The parts of a rule that speak of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freq {
    Yearly,
    Monthly,
    Weekly,
    Daily,
}

/// A rule, read.
#[derive(Debug)]
struct Rule {
    freq: Freq,
    interval: u32,
    count: Option<u32>,
    until: Option<Date>,
    week_start: Weekday,
    by_month: Vec<i16>,
    by_month_day: Vec<i16>,
    by_year_day: Vec<i16>,
    by_week: Vec<i16>,
    by_day: Vec<ByDay>,
    by_position: Vec<i16>,
}

/// `FR`, `-1FR`.
#[derive(Clone, Copy, Debug)]
struct ByDay {
    /// From the end where it is below zero.
    nth: Option<i16>,
    day: Weekday,
}

impl Rule {
    /// Whether it says which days of its periods it means.
    fn says_days(&self) -> bool {
        let named = !self.by_day.is_empty() || !self.by_month_day.is_empty() || !self.by_year_day.is_empty();
        named || self.freq == Freq::Daily
    }

    /// What of its beginning the rule can't do without.
    fn wants_from(&self) -> Option<&'static str> {
        match (self.count, self.interval) {
            (Some(_), _) => Some("COUNT counts from a first day"),
            (_, 2..) => Some("INTERVAL counts from a first day"),
            _ => (!self.says_days()).then_some("the rule doesn't say which days by itself"),
        }
    }

    /// What the rule leaves out of its days is its beginning's.
    fn begin(&mut self, from: Date) {
        if self.says_days() {
            return;
        }
        match self.freq {
            Freq::Daily => {}
            Freq::Weekly => self.by_day.push(ByDay { nth: None, day: from.weekday() }),
            Freq::Yearly if !self.by_week.is_empty() => {
                self.by_day.push(ByDay { nth: None, day: from.weekday() })
            }
            Freq::Monthly => self.by_month_day.push(from.day().into()),
            Freq::Yearly => {
                if self.by_month.is_empty() {
                    self.by_month.push(from.month().into());
                }
                self.by_month_day.push(from.day().into());
            }
        }
    }

    /// Whether a day of one of its periods is meant, BYSETPOS apart.
    fn names(&self, day: Date) -> bool {
        let within = |list: &[i16], at: i16, length: i16| {
            list.is_empty()
                || list.iter().any(|n| *n == at || i32::from(*n) == i32::from(at) - i32::from(length) - 1)
        };
        within(&self.by_month, day.month().into(), i16::MAX)
            && within(&self.by_month_day, day.day().into(), day.days_in_month().into())
            && within(&self.by_year_day, day.day_of_year(), day.days_in_year())
            && self.names_weekday(day)
            && (self.by_week.is_empty() || self.names_week(day))
    }

    fn names_weekday(&self, day: Date) -> bool {
        // RFC 5545, BYDAY: within the month for MONTHLY, and for YEARLY where BYMONTH names months; else within the year.
        let (at, length) = match self.freq == Freq::Monthly || !self.by_month.is_empty() {
            true => (i16::from(day.day()), i16::from(day.days_in_month())),
            false => (day.day_of_year(), day.days_in_year()),
        };
        self.by_day.is_empty()
            || self.by_day.iter().any(|by| {
                by.day == day.weekday()
                    && match by.nth {
                        None => true,
                        Some(nth) if nth > 0 => (at - 1) / 7 + 1 == nth,
                        Some(nth) => (length - at) / 7 + 1 == -nth,
                    }
            })
    }

    /// RFC 5545, BYWEEKNO: week 1 is the first with four days in its year, so its fourth day tells which year a week is of,
    /// and the 28th of December lies in a year's last.
    fn names_week(&self, day: Date) -> bool {
        let Some(middle) = plus(self.week_of(day), 3) else { return false };
        let week = (middle.day_of_year() - 1) / 7 + 1;
        let last = Date::new(middle.year(), 12, 28).ok().and_then(|day| plus(self.week_of(day), 3));
        let weeks = last.map_or(53, |middle| (middle.day_of_year() - 1) / 7 + 1);
        self.by_week.iter().any(|n| *n == week || *n == week - weeks - 1)
    }

    /// The first day of the week that this one lies in.
    fn week_of(&self, day: Date) -> Date {
        plus(day, -i64::from(day.weekday().since(self.week_start))).unwrap_or(day)
    }

    /// The first day of the period that this one lies in.
    fn period_of(&self, day: Date) -> Date {
        match self.freq {
            Freq::Yearly => day.first_of_year(),
            Freq::Monthly => day.first_of_month(),
            Freq::Weekly => self.week_of(day),
            Freq::Daily => day,
        }
    }

    /// The first day of the period so many periods later.
    fn period_after(&self, start: Date, periods: u32) -> Option<Date> {
        let span = jiff::Span::new();
        let span = match self.freq {
            Freq::Yearly => span.try_years(periods),
            Freq::Monthly => span.try_months(periods),
            Freq::Weekly => span.try_weeks(periods),
            Freq::Daily => span.try_days(periods),
        };
        start.checked_add(span.ok()?).ok()
    }

    /// The days that it names of the period that begins here, picked by BYSETPOS. Gives how many it looked at.
    fn period(&self, start: Date, days: &mut Vec<Date>) -> usize {
        days.clear();
        let end = self.period_after(start, 1).unwrap_or(LAST);
        let mut looked = 0;
        let mut next = Some(start);
        while let Some(day) = next.filter(|day| *day < end) {
            looked += 1;
            let meant = self.by_month.is_empty() || self.by_month.contains(&day.month().into());
            if meant && self.names(day) {
                days.push(day);
            }
            next = if meant { day.tomorrow().ok() } else { day.last_of_month().tomorrow().ok() };
        }
        if self.by_position.is_empty() {
            return looked;
        }
        let length = i16::try_from(days.len()).unwrap_or(i16::MAX);
        let mut at = 0;
        days.retain(|_| {
            at += 1;
            self.by_position.iter().any(|position| *position == at || *position == at - length - 1)
        });
        looked
    }

    /// How many values each day is compared with.
    fn values(&self) -> usize {
        let lists = [&self.by_month, &self.by_month_day, &self.by_year_day, &self.by_week, &self.by_position];
        lists.iter().map(|list| list.len()).sum::<usize>() + self.by_day.len()
    }

    /// The numbers of the days that it means from `from` on. What comes before the horizon is counted all the same.
    fn days(&self, from: Date, budget: &mut LookBudget) -> Result<Vec<u32>, Spent> {
        let last = self.until.unwrap_or(LAST).min(LAST);
        let mut left = self.count.unwrap_or(u32::MAX);
        let (mut numbers, mut period) = (Vec::new(), Vec::new());
        let mut start = Some(self.period_of(from));
        let values = self.values();
        while let Some(first) = start.filter(|first| *first <= last) {
            budget.compare(self.period(first, &mut period), values)?;
            for day in period.iter().filter(|day| **day >= from) {
                if left == 0 || *day > last {
                    return Ok(numbers);
                }
                left -= 1;
                numbers.extend(number(*day));
            }
            start = self.period_after(first, self.interval);
        }
        Ok(numbers)
    }
}

fn plus(day: Date, days: i64) -> Option<Date> {
    day.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

/// Why a rule gives no days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RruleError {
    /// What is wrong and how to write it.
    Wrong(String),
    Spent,
}

impl From<String> for RruleError {
    fn from(what: String) -> RruleError {
        RruleError::Wrong(what)
    }
}

impl From<Spent> for RruleError {
    fn from(_: Spent) -> RruleError {
        RruleError::Spent
    }
}

/// Compiles a rule as `rrule` and `from` say it.
///
/// # Errors
/// See [`RruleError`].
pub fn compile_rrule(text: &str, from: Option<Date>, budget: &mut LookBudget) -> Result<DaySet, RruleError> {
    let (rule, from) = begun(text, from)?;
    let set = DaySet::of(&rule.days(from, budget)?);
    if set.is_empty() {
        return Err("no day ever matches this rule: look for days that its months don't have"
            .to_owned()
            .into());
    }
    Ok(set)
}

/// A rule, and from when on it counts.
fn begun(text: &str, from: Option<Date>) -> Result<(Rule, Date), String> {
    let mut rule = parse(text)?;
    if let (None, Some(why)) = (from, rule.wants_from()) {
        return Err(format!("this rule needs a beginning, as {why}: add `from = 2026-01-01`"));
    }
    let from = from.unwrap_or(FIRST);
    if !(FROM_MIN..=LAST).contains(&from) {
        return Err(format!("`{from}` is too far away: a rule begins between {FROM_MIN} and {LAST}"));
    }
    if rule.until.is_some_and(|until| until < from) {
        return Err(format!("this rule ends before it begins: UNTIL lies before {from}"));
    }
    rule.begin(from);
    Ok((rule, from))
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];

fn parse(text: &str) -> Result<Rule, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!(
            "a recurrence rule of more than {TEXT_BYTES_MAX} characters: write several time frames"
        ));
    }
    let body = text.strip_prefix("RRULE:").unwrap_or(text).trim_end_matches(';');
    let mut parts: Vec<(&str, &str)> = Vec::new();
    for part in body.split(';') {
        let (name, value) = part.split_once('=').ok_or_else(|| {
            format!("`{part}` is no part of a recurrence rule: write `NAME=VALUE;NAME=VALUE`")
        })?;
        if value.is_empty() || parts.iter().any(|(known, _)| *known == name) {
            return Err(format!("`{name}` needs one value: write it once"));
        }
        parts.push((name, value));
    }
    let value = |name: &str| parts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let freq = freq(value("FREQ"))?;
    let mut rule = Rule {
        freq,
        interval: 1,
        count: None,
        until: None,
        week_start: Weekday::Monday,
        by_month: Vec::new(),
        by_month_day: Vec::new(),
        by_year_day: Vec::new(),
        by_week: Vec::new(),
        by_day: Vec::new(),
        by_position: Vec::new(),
    };
    for (name, value) in &parts {
        part(&mut rule, name, value)?;
    }
    if rule.count.is_some() && rule.until.is_some() {
        return Err("COUNT and UNTIL exclude each other: keep one".into());
    }
    if value("BYSETPOS").is_some()
        && !parts.iter().any(|(name, _)| name.starts_with("BY") && *name != "BYSETPOS")
    {
        return Err("BYSETPOS picks among days: name them, as in `BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1`".into());
    }
    if let Some(ordinal) = rule.by_day.iter().find(|by| by.nth.is_some()).filter(|_| !rule.by_week.is_empty())
    {
        return Err(format!(
            "an ordinal of {:?} can't stand beside BYWEEKNO: leave the number out",
            ordinal.day
        ));
    }
    Ok(rule)
}

/// One `NAME=VALUE` of a rule.
fn part(rule: &mut Rule, name: &str, value: &str) -> Result<(), String> {
    match name {
        "FREQ" => {}
        "UNTIL" => rule.until = Some(parse_until(value)?),
        "COUNT" => rule.count = Some(whole(name, value, 1..=100_000)?),
        "INTERVAL" => rule.interval = whole(name, value, 1..=1_000)?,
        "WKST" => rule.week_start = weekday(value)?,
        "BYDAY" => rule.by_day = by_day(rule.freq, value)?,
        "BYMONTH" => rule.by_month = numbers(name, value, 1..=12, false)?,
        "BYMONTHDAY" if rule.freq == Freq::Weekly => return Err(misplaced(name, "WEEKLY")),
        "BYMONTHDAY" => rule.by_month_day = numbers(name, value, 1..=31, true)?,
        "BYYEARDAY" if rule.freq != Freq::Yearly => return Err(misplaced(name, "a rule that is not YEARLY")),
        "BYYEARDAY" => rule.by_year_day = numbers(name, value, 1..=366, true)?,
        "BYWEEKNO" if rule.freq != Freq::Yearly => return Err(misplaced(name, "a rule that is not YEARLY")),
        "BYWEEKNO" => rule.by_week = numbers(name, value, 1..=53, true)?,
        "BYSETPOS" => rule.by_position = numbers(name, value, 1..=366, true)?,
        "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
            return Err(format!(
                "`{name}` is no part of a rule about days: write `hours = [\"14:00-18:00\"]`"
            ));
        }
        _ => {
            return Err(format!(
                "`{name}` is no part of a recurrence rule: there are FREQ, UNTIL, COUNT, INTERVAL, BYDAY, BYMONTH, BYMONTHDAY, \
                 BYYEARDAY, BYWEEKNO, BYSETPOS, WKST"
            ));
        }
    }
    Ok(())
}

fn freq(value: Option<&str>) -> Result<Freq, String> {
    match value {
        Some("YEARLY") => Ok(Freq::Yearly),
        Some("MONTHLY") => Ok(Freq::Monthly),
        Some("WEEKLY") => Ok(Freq::Weekly),
        Some("DAILY") => Ok(Freq::Daily),
        Some("HOURLY" | "MINUTELY" | "SECONDLY") => {
            Err("FREQ is one of YEARLY, MONTHLY, WEEKLY, DAILY: write `FREQ=DAILY` and `hours = [\"14:00-18:00\"]`".into())
        }
        Some(other) => Err(format!("FREQ can't be `{other}`: write YEARLY, MONTHLY, WEEKLY or DAILY")),
        None => Err("a recurrence rule has a FREQ: write `FREQ=MONTHLY;BYDAY=-1FR`".into()),
    }
}

fn misplaced(name: &str, freq: &str) -> String {
    format!("`{name}` can't stand in {freq}: RFC 5545 gives it no meaning there")
}

fn whole(name: &str, value: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    let number = value.parse::<u32>().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        format!("`{name}={value}` is out of range: write {} to {}", range.start(), range.end())
    })
}

/// Numbers of this range, with a sign where counting from the end makes sense.
fn numbers(
    name: &str,
    value: &str,
    range: std::ops::RangeInclusive<u32>,
    signed: bool,
) -> Result<Vec<i16>, String> {
    let mut numbers = Vec::new();
    for one in value.split(',') {
        let digits = one.strip_prefix(['-', '+']).filter(|_| signed).unwrap_or(one);
        let number = i16::try_from(whole(name, digits, range.clone())?).unwrap_or(i16::MAX);
        numbers.push(if one.starts_with('-') { -number } else { number });
    }
    if numbers.len() > PART_VALUES_MAX {
        return Err(format!("`{name}` has more than {PART_VALUES_MAX} values: write several time frames"));
    }
    Ok(numbers)
}

fn by_day(freq: Freq, value: &str) -> Result<Vec<ByDay>, String> {
    let mut days = Vec::new();
    for one in value.split(',') {
        let at = one.len().checked_sub(2).filter(|at| one.is_char_boundary(*at)).unwrap_or(0);
        let (ordinal, word) = one.split_at(at);
        let day = weekday(word)?;
        let most = match freq {
            Freq::Yearly => 53,
            Freq::Monthly => 5,
            Freq::Weekly | Freq::Daily if !ordinal.is_empty() => {
                return Err(format!(
                    "`{one}` counts within a month or year: write `{word}`, or FREQ=MONTHLY"
                ));
            }
            Freq::Weekly | Freq::Daily => 0,
        };
        let nth = match ordinal {
            "" => None,
            _ => numbers("BYDAY", ordinal, 1..=most, true)?.first().copied(),
        };
        days.push(ByDay { nth, day });
    }
    if days.len() > PART_VALUES_MAX {
        return Err(format!("`BYDAY` has more than {PART_VALUES_MAX} values: write several time frames"));
    }
    Ok(days)
}

fn weekday(text: &str) -> Result<Weekday, String> {
    let known = WEEKDAYS.iter().find(|(word, _)| *word == text).map(|(_, day)| *day);
    known.ok_or_else(|| format!("`{text}` is no day: write MO, TU, WE, TH, FR, SA or SU"))
}

/// `20261231`, or a moment whose day counts.
fn parse_until(value: &str) -> Result<Date, String> {
    let day = value.split('T').next().unwrap_or_default();
    parse_day(day).ok_or_else(|| format!("UNTIL can't be `{value}`: write a day, as in `UNTIL=20261231`"))
}

/// `20261231`.
pub(super) fn parse_day(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Date::new(text.get(..4)?.parse().ok()?, text.get(4..6)?.parse().ok()?, text.get(6..)?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests;
