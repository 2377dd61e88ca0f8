//! Whole days: dates, ranges of dates, and days that come back each year.

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Days of a calendar, or of a frame's `dates`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Days {
    /// The calendar that they stand in.
    pub calendar: Option<Arc<str>>,
    pub ranges: Vec<DayRange>,
    pub yearly: Vec<Yearly>,
}

/// From one day to another, both inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayRange {
    pub first: Date,
    pub last: Date,
    pub name: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Yearly {
    pub on: YearlyOn,
    pub name: Option<Arc<str>>,
}

/// A day of each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum YearlyOn {
    /// `07-04`. The 29th of February comes in leap years alone.
    MonthDay { month: i8, day: i8 },
    /// `nov 4th thu`; the last is -1. A year without a fifth has none. `weekday` counts from Monday as 0.
    Ordinal { month: i8, nth: i8, weekday: i8 },
}

impl YearlyOn {
    fn is(self, date: Date) -> bool {
        match self {
            YearlyOn::MonthDay { month, day } => date.month() == month && date.day() == day,
            YearlyOn::Ordinal { month, nth, weekday } => {
                date.month() == month
                    && Weekday::to_monday_zero_offset(date.weekday()) == weekday
                    && match nth {
                        -1 => date.day() + 7 > date.days_in_month(),
                        nth => (date.day() + 6) / 7 == nth,
                    }
            }
        }
    }
}

impl Days {
    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        self.ranges.iter().any(|range| (range.first..=range.last).contains(&date))
            || self.yearly.iter().any(|yearly| yearly.on.is(date))
    }

    /// What the day is called, and in which calendar: `Christmas (us-holidays)`.
    #[must_use]
    pub fn name_of(&self, date: Date) -> Option<String> {
        let ranged = self.ranges.iter().find(|range| (range.first..=range.last).contains(&date));
        let name = match ranged {
            Some(range) => range.name.as_ref(),
            None => {
                self.yearly.iter().find(|yearly| yearly.on.is(date)).and_then(|yearly| yearly.name.as_ref())
            }
        }?;
        Some(match &self.calendar {
            Some(calendar) => format!("{name} ({calendar})"),
            None => name.as_ref().into(),
        })
    }

    pub(super) fn words(&self) -> String {
        if let Some(calendar) = &self.calendar {
            return format!("calendar {calendar}");
        }
        let ranges: Vec<String> = self
            .ranges
            .iter()
            .map(|range| match range.first == range.last {
                true => range.first.to_string(),
                false => format!("{}..{}", range.first, range.last),
            })
            .collect();
        ranges.join(", ")
    }
}
