//! Intervals in the words of an operator: `Mon-Fri 12:00-13:00`, `daily 22:00-06:00`, `on 25 Dec 2026`.
//!
//! What comes back each week is folded into one, by the clock of a zone; days that are unlike their weekday are named by date.

use super::{Interval, Intervals};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const DAY: u16 = 24 * 60;
const WEEK: u16 = 7 * DAY;
/// Dates that are named one by one; further ones are counted.
const DATES_MAX: usize = 6;
/// The longest horizon that is folded: what comes later is not looked at.
const DAYS_MAX: usize = 3 * 366;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// From a minute of the day to another.
type Minutes = Vec<(u16, u16)>;

impl Intervals {
    /// When this is, by the clock of the zone, over a horizon that should begin and end at midnight.
    #[must_use]
    pub fn words(&self, zone: &TimeZone, horizon: Interval) -> String {
        let days = by_day(self, zone, horizon);
        let usual = usual(&days);
        let week = week_words(&usual);
        let unlike = |date: &Date, minutes: &Minutes| *minutes != usual[weekday(*date)];
        let odd: Vec<(Date, &Minutes)> =
            days.iter().filter(|(date, minutes)| unlike(date, minutes)).map(|(d, m)| (*d, m)).collect();
        let plain = usual.iter().all(Vec::is_empty);
        let kept = |wanted: &dyn Fn(&Minutes, &Minutes) -> bool| {
            let kept = odd.iter().filter(|(date, minutes)| wanted(minutes, &usual[weekday(*date)]));
            kept.map(|(date, minutes)| (*date, *minutes)).collect::<Vec<_>>()
        };
        let whole = |minutes: &Minutes| minutes.as_slice() == [(0, DAY)];
        let never = kept(&|minutes, _| minutes.is_empty());
        let all_day = kept(&|minutes, _| whole(minutes));
        let also = kept(&|minutes, usual| usual.is_empty() && !minutes.is_empty() && !whole(minutes));
        let other = kept(&|minutes, usual| !usual.is_empty() && !minutes.is_empty() && !whole(minutes));
        let mut parts = Vec::new();
        if plain && also.is_empty() != all_day.is_empty() {
            let days = if also.is_empty() { &all_day } else { &also };
            return format!("on {}", dates(days, true));
        }
        if !plain {
            parts.push(week);
        }
        if !never.is_empty() {
            parts.push(format!("not on {}", dates(&never, false)));
        }
        if !all_day.is_empty() {
            parts.push(format!("all day on {}", dates(&all_day, true)));
        }
        if !also.is_empty() {
            parts.push(format!("also on {}", dates(&also, true)));
        }
        if !other.is_empty() {
            parts.push(format!("on {} instead", dates(&other, true)));
        }
        if parts.is_empty() { "never".to_owned() } else { parts.join(", ") }
    }
}

fn weekday(date: Date) -> usize {
    usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())
}

/// The minutes of each whole day of the horizon.
fn by_day(intervals: &Intervals, zone: &TimeZone, horizon: Interval) -> BTreeMap<Date, Minutes> {
    let (first, last) = whole_days(zone, horizon);
    let mut days: BTreeMap<Date, Minutes> = first
        .series(1.day())
        .take_while(|date| *date <= last)
        .take(DAYS_MAX)
        .map(|d| (d, Vec::new()))
        .collect();
    for interval in intervals.iter() {
        let (start, end) = (zone.to_datetime(interval.start), zone.to_datetime(interval.end));
        for date in start.date().series(1.day()).take_while(|date| *date <= end.date()) {
            let from = if date == start.date() { minute(start.time()) } else { 0 };
            let to = if date == end.date() { minute(end.time()) } else { DAY };
            // On the day of a repeated hour the clock may read less at the end.
            let (from, to) = (from.min(to), from.max(to));
            if let Some(minutes) = days.get_mut(&date).filter(|_| from < to) {
                minutes.push((from, to));
            }
        }
    }
    days.values_mut().for_each(join);
    days
}

fn minute(time: jiff::civil::Time) -> u16 {
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

fn join(minutes: &mut Minutes) {
    minutes.sort_unstable();
    let mut joined: Minutes = Vec::with_capacity(minutes.len());
    for (from, to) in minutes.drain(..) {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    *minutes = joined;
}

/// The first and last day that lie inside wholly; of a horizon without any, those that it touches.
fn whole_days(zone: &TimeZone, horizon: Interval) -> (Date, Date) {
    let start = zone.to_datetime(horizon.start);
    let before_end = horizon.end.checked_sub(1.second()).unwrap_or(Timestamp::MIN).max(horizon.start);
    let end = zone.to_datetime(before_end);
    let midnight = |at: Timestamp| zone.to_datetime(at).time() == jiff::civil::Time::midnight();
    let tomorrow = start.date().tomorrow().unwrap_or(Date::MAX);
    let first = if midnight(horizon.start) { start.date() } else { tomorrow };
    let last = if midnight(horizon.end) { end.date() } else { end.date().yesterday().unwrap_or(Date::MIN) };
    if first <= last { (first, last) } else { (start.date(), end.date()) }
}

/// The most frequent minutes of each weekday.
fn usual(days: &BTreeMap<Date, Minutes>) -> [Minutes; 7] {
    std::array::from_fn(|day| {
        let mut counts: BTreeMap<&Minutes, usize> = BTreeMap::new();
        for (_, minutes) in days.iter().filter(|(date, _)| weekday(**date) == day) {
            *counts.entry(minutes).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(minutes, _)| minutes.clone())
            .unwrap_or_default()
    })
}

/// `Mon-Thu 08:00-17:30, Fri 08:00-13:00`; `always`.
fn week_words(usual: &[Minutes; 7]) -> String {
    let mut week: Minutes = Vec::new();
    for (day, minutes) in (0_u16..).zip(usual) {
        week.extend(minutes.iter().map(|(from, to)| (day * DAY + from, day * DAY + to)));
    }
    join(&mut week);
    if week.as_slice() == [(0, WEEK)] {
        return "always".to_owned();
    }
    // Sunday's end is Monday's beginning.
    if let (Some((0, to)), Some((from, WEEK))) = (week.first().copied(), week.last().copied())
        && week.len() > 1
    {
        week.pop();
        week.remove(0);
        week.push((from, WEEK + to));
    }
    let mut groups: Vec<(String, u8)> = Vec::new();
    let mut add = |hours: String, days: u8| match groups.iter_mut().find(|(known, _)| *known == hours) {
        Some((_, known)) => *known |= days,
        None => groups.push((hours, days)),
    };
    let mut long = Vec::new();
    for (from, to) in week {
        let day = from / DAY % 7;
        let (start, length) = (from % DAY, to - from);
        if start == 0 && length.is_multiple_of(DAY) {
            (0..length / DAY).for_each(|n| add(String::new(), 1 << ((day + n) % 7)));
        } else if length < DAY {
            let end = if (from + length).is_multiple_of(DAY) { DAY } else { to % DAY };
            add(format!(" {}-{}", clock(start), clock(end)), 1 << day);
        } else {
            long.push(format!("{} {} - {} {}", name(day), clock(start), name(to / DAY % 7), clock(to % DAY)));
        }
    }
    let mut words: Vec<String> =
        groups.into_iter().map(|(hours, days)| format!("{}{hours}", weekdays(days))).collect();
    words.extend(long);
    words.join(", ")
}

fn name(day: u16) -> &'static str {
    WEEKDAYS.get(usize::from(day)).copied().unwrap_or_default()
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `Mon-Fri`, `Sat-Sun`, `Mon,Wed`, `daily`; runs wrap.
fn weekdays(days: u8) -> String {
    if days == 0b111_1111 {
        return "daily".to_owned();
    }
    let has = |day: usize| days & (1 << (day % 7)) != 0;
    let mut words = Vec::new();
    for first in (0..7).filter(|day| has(*day) && !has(*day + 6)) {
        let length = (1..7).take_while(|n| has(first + n)).count();
        let last = WEEKDAYS.get((first + length) % 7).copied().unwrap_or_default();
        let first = WEEKDAYS.get(first).copied().unwrap_or_default();
        words.push(if length == 0 { first.to_owned() } else { format!("{first}-{last}") });
    }
    words.join(",")
}

/// `25 Dec 2026, 1-3 Jan 2027`, with the hours of each where they matter and are not the whole day.
fn dates(days: &[(Date, &Minutes)], hours: bool) -> String {
    let mut runs: Vec<(Date, Date, &Minutes)> = Vec::new();
    for (date, minutes) in days {
        match runs.last_mut() {
            Some((_, last, same))
                if last.tomorrow().is_ok_and(|next| next == *date) && (!hours || *same == *minutes) =>
            {
                *last = *date;
            }
            _ => runs.push((*date, *date, minutes)),
        }
    }
    let mut words = Vec::new();
    for (first, last, minutes) in runs.iter().take(DATES_MAX) {
        let mut text = match first == last {
            true => date_words(*first),
            false => format!("{} to {}", date_words(*first), date_words(*last)),
        };
        if hours && minutes.as_slice() != [(0, DAY)] {
            let hours: Vec<String> =
                minutes.iter().map(|(from, to)| format!("{}-{}", clock(*from), clock(*to))).collect();
            let _ = write!(text, " {}", hours.join(" and "));
        }
        words.push(text);
    }
    let rest = runs.len().saturating_sub(DATES_MAX);
    if rest > 0 {
        words.push(format!("and {rest} more"));
    }
    words.join(", ")
}

/// `25 Dec 2026`.
#[must_use]
pub fn date_words(date: Date) -> String {
    date.strftime("%-d %b %Y").to_string()
}

/// `Thu 25 Dec 2026`.
#[must_use]
pub fn day_words(date: Date) -> String {
    format!("{} {}", weekday_words(date.weekday()), date_words(date))
}

fn weekday_words(day: Weekday) -> &'static str {
    WEEKDAYS.get(usize::from(day.to_monday_zero_offset().unsigned_abs())).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::calendar::{DayRange, Days, Excepted, Frame, Part, parse_weekly};
    use jiff::civil::date;

    fn year() -> (TimeZone, Interval) {
        let zone = TimeZone::get("America/New_York").unwrap();
        let midnight = |date: Date| date.to_zoned(zone.clone()).unwrap().timestamp();
        let horizon = Interval::new(midnight(date(2026, 11, 23)), midnight(date(2027, 11, 29)));
        (zone, horizon)
    }

    fn days(list: &[Date]) -> Frame {
        let ranges = list.iter().map(|day| DayRange { first: *day, last: *day, name: None }).collect();
        Frame { parts: vec![Part::Days(Days { ranges, ..Days::default() })], ..Frame::default() }
    }

    fn weekly(texts: &[&str]) -> Frame {
        let parts = texts.iter().map(|text| Part::Weekly(parse_weekly(text).unwrap())).collect();
        Frame { parts, ..Frame::default() }
    }

    fn words(frame: &Frame) -> String {
        let (zone, horizon) = year();
        Intervals::of_frame(frame, &zone, horizon).words(&zone, horizon)
    }

    #[test]
    fn what_comes_back_each_week_is_folded() {
        for (texts, expected) in [
            (&["mon-fri 12:00-13:00"][..], "Mon-Fri 12:00-13:00"),
            (&["mon-thu 08:00-17:30", "fri 08:00-13:00"], "Mon-Thu 08:00-17:30, Fri 08:00-13:00"),
            (&["daily 22:00-06:00"], "daily 22:00-06:00"),
            (&["sat,sun"], "Sat-Sun"),
            (&["fri-mon"], "Fri-Mon"),
            (&["mon,wed 10:00-24:00"], "Mon,Wed 10:00-24:00"),
            (&["daily"], "always"),
            (&["fri 17:00-24:00", "sat,sun", "mon 00:00-08:00"], "Fri 17:00 - Mon 08:00"),
        ] {
            assert_eq!(words(&weekly(texts)), expected, "{texts:?}");
        }
    }

    #[test]
    fn single_days_are_named() {
        assert_eq!(words(&days(&[date(2026, 12, 25), date(2027, 1, 1)])), "on 25 Dec 2026, 1 Jan 2027");
        let run = [date(2027, 8, 1), date(2027, 8, 2), date(2027, 8, 3)];
        assert_eq!(words(&days(&run)), "on 1 Aug 2027 to 3 Aug 2027");
        assert_eq!(words(&Frame::default()), "never");
    }

    #[test]
    fn days_unlike_their_weekday_are_told_beside_the_week() {
        let mut open = weekly(&["mon-fri 08:00-17:00"]);
        let frame = days(&[date(2026, 12, 25)]);
        open.except.push(Excepted { name: "holidays".into(), negated: false, frame });
        assert_eq!(words(&open), "Mon-Fri 08:00-17:00, not on 25 Dec 2026");
    }

    #[test]
    fn many_days_are_counted() {
        let list: Vec<Date> = (1..10).map(|month| date(2027, month, 10)).collect();
        assert!(words(&days(&list)).ends_with("10 Jun 2027, and 3 more"), "{}", words(&days(&list)));
    }
}
