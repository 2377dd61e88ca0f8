//! Time frames: membership of a moment by the reading of the wall clock in the frame's zone.
//!
//! A [`Frame`] is compiled and self-contained: the frames and calendars that it names stand inside it. Reading alone decides:
//! times inside a skipped DST hour never match on that day, repeated ones match twice. Subtraction is by instant. Not here:
//! live overrides (a caller passes them).
//!
//! Weekly hours, dates and yearly days hold for ever. Recurrence rules and iCalendar files are compiled into sets of days that
//! reach from 1970 to 2100 ([`HORIZON_FIRST`], [`HORIZON_LAST`]): outside it they never match. A set takes 6 KB at most, and
//! compiling one a few milliseconds at most; all of a domain together pay out of one [`LookBudget`].
//!
//! Invariant: `contains` does not allocate and never looks a zone up by name.

mod budget;
mod day_set;
mod days;
mod ics;
mod parse;
mod recurrence;
mod weekly;
mod zone;

pub use budget::{LookBudget, Spent};
pub use day_set::{DaySet, FIRST as HORIZON_FIRST, LAST as HORIZON_LAST};
pub use days::{DayRange, Days, Yearly, YearlyOn};
pub use ics::{Ics, IcsError};
pub use parse::{parse_clock, parse_hours, parse_weekly, parse_yearly};
pub use recurrence::{Recurring, RruleError, compile_rrule};
pub use weekly::{Hours, Weekly};
pub use zone::Zone;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A compiled time frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The frame's own zone; without it, that of whoever asks.
    pub zone: Option<Zone>,
    /// `override` of the file: on or off, whatever the clock says.
    pub forced: Option<bool>,
    /// Any of them.
    pub parts: Vec<Part>,
    /// None of them.
    pub except: Vec<Excepted>,
}

/// One way to be inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    Weekly(Weekly),
    Days(Days),
    Recurring(Recurring),
    Ics(Ics),
}

/// A frame that is subtracted: `holidays`, `calendar:us-holidays`, `not X`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excepted {
    pub name: Arc<str>,
    pub negated: bool,
    pub frame: Frame,
}

/// A moment and how the clock on the wall reads in a zone.
#[derive(Clone, Copy)]
pub struct Reading<'z> {
    pub at: Timestamp,
    pub zone: &'z TimeZone,
    /// `at` in `zone`.
    pub civil: DateTime,
}

impl<'z> Reading<'z> {
    #[must_use]
    pub fn new(at: Timestamp, zone: &'z TimeZone) -> Self {
        Reading { at, zone, civil: zone.to_datetime(at) }
    }

    fn clock(&self) -> String {
        self.civil.time().strftime("%H:%M").to_string()
    }

    fn weekday_clock(&self) -> String {
        self.civil.strftime("%a %H:%M").to_string()
    }

    fn date_clock(&self) -> String {
        self.civil.strftime("%a %Y-%m-%d %H:%M").to_string()
    }
}

impl Frame {
    /// Whether the moment is inside, in `zone` unless the frame has its own. No allocation.
    #[must_use]
    pub fn contains(&self, at: Timestamp, zone: &TimeZone) -> bool {
        self.contains_with(at, zone, &|_| None)
    }

    /// The same with live overrides of the frames that this one excepts, by name. An override of this frame itself is the
    /// caller's to look at first.
    #[must_use]
    pub fn contains_with(
        &self,
        at: Timestamp,
        zone: &TimeZone,
        overrides: &dyn Fn(&str) -> Option<bool>,
    ) -> bool {
        self.contains_read(at, || Reading::new(at, zone), overrides)
    }

    /// The same for whoever may have read the clock of that zone already: `read` is asked for only where it counts.
    #[must_use]
    pub fn contains_read<'z>(
        &self,
        at: Timestamp,
        read: impl FnOnce() -> Reading<'z>,
        overrides: &dyn Fn(&str) -> Option<bool>,
    ) -> bool {
        match (self.forced, &self.zone) {
            (Some(forced), _) => forced,
            (None, Some(own)) => self.holds(Reading::new(at, own.time_zone()), overrides),
            (None, None) => self.holds(read(), overrides),
        }
    }

    fn holds(&self, reading: Reading<'_>, overrides: &dyn Fn(&str) -> Option<bool>) -> bool {
        self.parts.iter().any(|part| part.contains(&reading.civil))
            && !self.except.iter().any(|excepted| excepted.holds(reading, overrides))
    }

    /// The same in words: `Tue 10:00 is inside mon-thu 08:00-17:30`, `10:00 is outside daily 22:00-06:00`.
    #[must_use]
    pub fn why(&self, at: Timestamp, zone: &TimeZone) -> String {
        self.why_with(at, zone, &|_| None)
    }

    /// [`Frame::why`] with live overrides of the excepted frames.
    #[must_use]
    pub fn why_with(
        &self,
        at: Timestamp,
        zone: &TimeZone,
        overrides: &dyn Fn(&str) -> Option<bool>,
    ) -> String {
        match self.forced {
            Some(true) => return "the rules say override = on".into(),
            Some(false) => return "the rules say override = off".into(),
            None => {}
        }
        let reading = Reading::new(at, self.zone.as_ref().map_or(zone, Zone::time_zone));
        let Some(part) = self.parts.iter().find(|part| part.contains(&reading.civil)) else {
            return self.why_outside(&reading);
        };
        let inside = part.why_inside(&reading);
        match self.except.iter().find(|excepted| excepted.holds(reading, overrides)) {
            Some(excepted) => format!("{inside}, but {}", excepted.why(reading, overrides)),
            None => inside,
        }
    }

    fn why_outside(&self, reading: &Reading<'_>) -> String {
        if self.parts.is_empty() {
            return "it has no times of its own".into();
        }
        let days_count =
            self.parts.iter().any(|part| matches!(part, Part::Weekly(weekly) if !weekly.is_daily()));
        let hours_count = self.parts.iter().any(Part::has_hours);
        let dates_count = self.parts.iter().any(|part| !matches!(part, Part::Weekly(_)));
        let clock = match (hours_count, dates_count, days_count) {
            (false, true, false) => reading.civil.date().to_string(),
            (_, true, _) => reading.date_clock(),
            (_, false, true) => reading.weekday_clock(),
            (_, false, false) => reading.clock(),
        };
        let parts: Vec<String> = self.parts.iter().map(Part::words).collect();
        format!("{clock} is outside {}", parts.join(", "))
    }
}

impl Part {
    /// The minutes of a day, besides midnight, at which the clock can carry a moment in or out.
    pub(super) fn clock_edges(&self) -> impl Iterator<Item = u16> + use<> {
        let hours: Vec<Hours> = match self {
            Part::Weekly(weekly) => vec![weekly.hours()],
            Part::Recurring(recurring) => recurring.hours.clone(),
            Part::Days(_) | Part::Ics(_) => Vec::new(),
        };
        hours.into_iter().flat_map(|hours| [hours.start, hours.end])
    }

    /// Whether the time of day matters to it.
    fn has_hours(&self) -> bool {
        match self {
            Part::Weekly(_) => true,
            Part::Recurring(recurring) => !recurring.hours.is_empty(),
            Part::Days(_) | Part::Ics(_) => false,
        }
    }

    fn contains(&self, civil: &DateTime) -> bool {
        match self {
            Part::Weekly(weekly) => weekly.contains(civil),
            Part::Days(days) => days.contains(civil.date()),
            Part::Recurring(recurring) => recurring.contains(civil),
            Part::Ics(ics) => ics.contains(civil.date()),
        }
    }

    fn why_inside(&self, reading: &Reading<'_>) -> String {
        match self {
            Part::Weekly(weekly) if weekly.is_daily() => format!("{} is inside {weekly}", reading.clock()),
            Part::Weekly(weekly) => format!("{} is inside {weekly}", reading.weekday_clock()),
            Part::Days(days) => {
                let date = reading.civil.date();
                match days.name_of(date) {
                    Some(name) => format!("{date} is {name}"),
                    None => format!("{date} is inside {}", days.words()),
                }
            }
            Part::Recurring(recurring) if recurring.hours.is_empty() => {
                format!("{} is a day of {}", reading.civil.date(), recurring.text)
            }
            Part::Recurring(recurring) => format!("{} is inside {}", reading.date_clock(), recurring.text),
            Part::Ics(ics) => {
                let date = reading.civil.date();
                match ics.name_of(date) {
                    Some(name) => format!("{date} is {name}"),
                    None => format!("{date} is inside {}", ics.words()),
                }
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Part::Weekly(weekly) => weekly.to_string(),
            Part::Days(days) => days.words(),
            Part::Recurring(recurring) => recurring.text.as_ref().into(),
            Part::Ics(ics) => ics.words(),
        }
    }
}

impl Excepted {
    /// Whether this exception applies: by instant, in the excepted frame's zone, else in that of the frame that names it.
    fn holds(&self, reading: Reading<'_>, overrides: &dyn Fn(&str) -> Option<bool>) -> bool {
        let inside = match (overrides(&self.name).or(self.frame.forced), &self.frame.zone) {
            (Some(forced), _) => forced,
            (None, Some(zone)) => self.frame.holds(Reading::new(reading.at, zone.time_zone()), overrides),
            (None, None) => self.frame.holds(reading, overrides),
        };
        inside != self.negated
    }

    fn why(&self, reading: Reading<'_>, overrides: &dyn Fn(&str) -> Option<bool>) -> String {
        let name = &self.name;
        let reason = match overrides(name) {
            Some(true) => "its override is on".into(),
            Some(false) => "its override is off".into(),
            None => self.frame.why_with(reading.at, reading.zone, overrides),
        };
        if self.negated {
            format!("not within {name}: {reason}")
        } else {
            format!("excepted by {name}: {reason}")
        }
    }
}

#[cfg(test)]
mod tests;
