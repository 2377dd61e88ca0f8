//! What a user may spend on calls of a class: a limit that holds whoever dials, so that a stolen password or a phone gone wild costs
//! no more than somebody has said it may (toll fraud).

use crate::rules::diagnostic::Span;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// `budget = { CLASS = { calls_at_once, calls_per_hour, time_per_day } }`: at least one of the three is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub span: Span,
    /// Legs to the outside that ring or talk at one time.
    pub calls_at_once: Option<u32>,
    /// Legs begun within any sixty minutes, answered or not.
    pub calls_per_hour: Option<u32>,
    /// Time talked from midnight to midnight, by the clock of the user's zone; of all their calls of the class together.
    pub time_per_day: Option<Duration>,
}

/// What the rules say of a class where they speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allotted {
    /// Whatever a wider layer says.
    Unlimited,
    Budget(Budget),
}

impl Allotted {
    /// The limit, where there is one.
    #[must_use]
    pub fn budget(self) -> Option<Budget> {
        match self {
            Allotted::Unlimited => None,
            Allotted::Budget(budget) => Some(budget),
        }
    }
}

/// What has been used of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Now.
    pub calls_at_once: u32,
    /// In the last sixty minutes.
    pub calls_per_hour: u32,
    /// Since midnight.
    pub time_per_day: Duration,
}

/// Which part of a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    CallsAtOnce,
    CallsPerHour,
    TimePerDay,
}

impl Limit {
    /// The key that sets it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Limit::CallsAtOnce => "calls_at_once",
            Limit::CallsPerHour => "calls_per_hour",
            Limit::TimePerDay => "time_per_day",
        }
    }
}

impl Budget {
    /// What does not let one more call begin, if anything does not.
    #[must_use]
    pub fn stops(&self, spent: &Spent) -> Option<Limit> {
        let full = |limit: Option<u32>, spent: u32| limit.is_some_and(|limit| spent >= limit);
        match () {
            () if full(self.calls_at_once, spent.calls_at_once) => Some(Limit::CallsAtOnce),
            () if full(self.calls_per_hour, spent.calls_per_hour) => Some(Limit::CallsPerHour),
            () if self.time_per_day.is_some_and(|limit| spent.time_per_day >= limit) => {
                Some(Limit::TimePerDay)
            }
            () => None,
        }
    }

    /// The time that is left today; `None`: it has no end.
    #[must_use]
    pub fn time_left(&self, spent: &Spent) -> Option<Duration> {
        Some(self.time_per_day?.saturating_sub(spent.time_per_day))
    }

    /// `1 of 2 calls at once, 42m of 2h today`.
    #[must_use]
    pub fn used(&self, spent: &Spent) -> String {
        let mut words = String::new();
        let mut part = |part: String| {
            let comma = if words.is_empty() { "" } else { ", " };
            let _ = write!(words, "{comma}{part}"); // writing to a String can't fail
        };
        if let Some(limit) = self.calls_at_once {
            part(format!("{} of {limit} calls at once", spent.calls_at_once));
        }
        if let Some(limit) = self.calls_per_hour {
            part(format!("{} of {limit} calls in the last hour", spent.calls_per_hour));
        }
        if let Some(limit) = self.time_per_day {
            part(format!("{} of {} today", in_words(spent.time_per_day), in_words(limit)));
        }
        words
    }
}

/// As the rules write it, without its last 0s parts: `1h30m`, `45s`, `0s`.
#[must_use]
pub fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let mut words = String::new();
    for (count, unit) in [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')] {
        if count > 0 {
            let _ = write!(words, "{count}{unit}"); // writing to a String can't fail
        }
    }
    if words.is_empty() { "0s".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        Budget {
            span: Span::default(),
            calls_at_once: Some(2),
            calls_per_hour: Some(10),
            time_per_day: Some(Duration::from_secs(5400)),
        }
    }

    #[test]
    fn the_first_limit_that_is_reached_stops_a_call() {
        let spent = |at_once, per_hour, seconds| Spent {
            calls_at_once: at_once,
            calls_per_hour: per_hour,
            time_per_day: Duration::from_secs(seconds),
        };
        assert_eq!(budget().stops(&spent(1, 9, 5399)), None);
        assert_eq!(budget().stops(&spent(2, 10, 5400)), Some(Limit::CallsAtOnce));
        assert_eq!(budget().stops(&spent(0, 10, 0)), Some(Limit::CallsPerHour));
        assert_eq!(budget().stops(&spent(0, 0, 5400)), Some(Limit::TimePerDay));
        let open = Budget { calls_at_once: None, calls_per_hour: None, time_per_day: None, ..budget() };
        assert_eq!(open.stops(&spent(99, 99, 99_999)), None);
    }

    #[test]
    fn what_is_used_is_told_in_the_words_of_the_rules() {
        let spent = Spent { calls_at_once: 1, calls_per_hour: 3, time_per_day: Duration::from_secs(2545) };
        let words = "1 of 2 calls at once, 3 of 10 calls in the last hour, 42m25s of 1h30m today";
        assert_eq!(budget().used(&spent), words);
        assert_eq!(budget().time_left(&spent), Some(Duration::from_secs(2855)));
        assert_eq!(in_words(Duration::ZERO), "0s");
    }
}
