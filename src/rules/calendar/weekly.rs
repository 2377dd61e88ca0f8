//! `mon-thu 08:00-17:30`: days of the week and hours, half-open.

use jiff::civil::{DateTime, Weekday};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const MINUTES_PER_DAY: u16 = 24 * 60;
const ALL_DAYS: u8 = 0b111_1111;

/// Hours of a day, half-open. What crosses midnight belongs to the day that it starts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// Minutes from midnight.
    pub start: u16,
    /// Not inside any more; at or before `start` it is on the next day.
    pub end: u16,
}

impl Hours {
    pub(super) const ALL_DAY: Hours = Hours { start: 0, end: MINUTES_PER_DAY };

    #[must_use]
    pub fn crosses_midnight(self) -> bool {
        self.end <= self.start
    }

    /// Whether this minute of a day is inside, where the day is one that they start on.
    pub(super) fn today(self, minute: u16) -> bool {
        minute >= self.start && (self.crosses_midnight() || minute < self.end)
    }

    /// Whether it is, where the day before is one that they start on.
    pub(super) fn since_yesterday(self, minute: u16) -> bool {
        self.crosses_midnight() && minute < self.end
    }
}

pub(super) fn minute_of(civil: &DateTime) -> u16 {
    u16::from(civil.hour().unsigned_abs()) * 60 + u16::from(civil.minute().unsigned_abs())
}

/// Hours on some days of the week.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weekly {
    /// Bit 0 is Monday.
    days: u8,
    hours: Hours,
    /// As written.
    text: Arc<str>,
}

impl Weekly {
    pub(super) fn new(days: u8, hours: Hours, text: &str) -> Weekly {
        Weekly { days, hours, text: text.into() }
    }

    #[must_use]
    pub fn contains(&self, civil: &DateTime) -> bool {
        let minute = minute_of(civil);
        let today = bit(civil.date().weekday());
        // Monday's bit moves to Tuesday: what began yesterday.
        let yesterday = if today == 1 { 1 << 6 } else { today >> 1 };
        (self.days & today != 0 && self.hours.today(minute))
            || (self.days & yesterday != 0 && self.hours.since_yesterday(minute))
    }

    #[must_use]
    pub fn is_daily(&self) -> bool {
        self.days == ALL_DAYS
    }

    /// Whether they start on this day of the week.
    #[must_use]
    pub fn starts_on(&self, day: Weekday) -> bool {
        self.days & bit(day) != 0
    }

    #[must_use]
    pub fn hours(&self) -> Hours {
        self.hours
    }
}

impl std::fmt::Display for Weekly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The bit of one day of the week.
pub(super) fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset().unsigned_abs()
}
