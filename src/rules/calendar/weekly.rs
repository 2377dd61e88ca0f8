//! `mon-thu 08:00-17:30`: days of the week and hours, half-open.

use jiff::civil::{DateTime, Weekday};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const MINUTES_PER_DAY: u16 = 24 * 60;
const ALL_DAYS: u8 = 0b111_1111;

/// Hours on some days of the week. What crosses midnight belongs to the day that it starts on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weekly {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes from midnight.
    start: u16,
    /// Not inside any more; at or before `start` it is on the next day.
    end: u16,
    /// As written.
    text: Arc<str>,
}

impl Weekly {
    /// `start` and `end` in minutes from midnight, `end` up to 1440.
    pub(super) fn new(days: u8, start: u16, end: u16, text: &str) -> Weekly {
        Weekly { days, start, end, text: text.into() }
    }

    pub(super) fn all_day(days: u8, text: &str) -> Weekly {
        Weekly::new(days, 0, MINUTES_PER_DAY, text)
    }

    #[must_use]
    pub fn contains(&self, civil: &DateTime) -> bool {
        let minute = u16::from(civil.hour().unsigned_abs()) * 60 + u16::from(civil.minute().unsigned_abs());
        let today = bit(civil.date().weekday());
        if self.start < self.end {
            return self.days & today != 0 && (self.start..self.end).contains(&minute);
        }
        // Monday's bit moves to Tuesday: what began yesterday.
        let yesterday = if today == 1 { 1 << 6 } else { today >> 1 };
        (self.days & today != 0 && minute >= self.start) || (self.days & yesterday != 0 && minute < self.end)
    }

    /// Start and end in minutes from midnight, the end up to 1440; at or before the start it is on the next day.
    pub(super) fn hours(&self) -> (u16, u16) {
        (self.start, self.end)
    }

    #[must_use]
    pub fn is_daily(&self) -> bool {
        self.days == ALL_DAYS
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
