//! When things hold: sorted half-open intervals of moments over a bounded horizon, and their algebra.
//!
//! The intervals of a time frame are found by asking [`Frame::contains`] between every two neighbouring moments at which its answer
//! could change, so that they can't disagree with it: the clock's edges of each day, in each zone that takes part, once for each
//! stretch of constant offset (which gives both readings of a repeated hour, and none of a skipped one), and the changes of offset
//! themselves. Not here: what a frame means, which is `calendar`'s to say.
//!
//! Invariants: intervals are not empty, in order, inside the horizon, and never touch; their ends lie on whole seconds.

mod edges;
mod schedule;
#[cfg(test)]
mod tests;
mod words;

pub use schedule::Schedule;
pub use words::{date_words, day_words};

use super::calendar::Frame;
use edges::Edges;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// From a moment to another, which is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// When something holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Intervals(Vec<Interval>);

impl Interval {
    /// Whole seconds, rounded down. An end before the start gives an empty interval.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Interval {
        let whole = |at: Timestamp| Timestamp::from_second(floor(at)).unwrap_or(at);
        let start = whole(start);
        Interval { start, end: whole(end).max(start) }
    }

    /// From `start`, for so many days of 24 hours.
    #[must_use]
    pub fn days(start: Timestamp, days: u32) -> Interval {
        let length = SignedDuration::from_hours(24 * i64::from(days));
        Interval::new(start, start.checked_add(length).unwrap_or(Timestamp::MAX))
    }

    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    #[must_use]
    pub fn length(&self) -> SignedDuration {
        self.end.duration_since(self.start)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// The whole second that the moment lies in.
fn floor(at: Timestamp) -> i64 {
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}

impl Intervals {
    /// At no time.
    #[must_use]
    pub fn none() -> Intervals {
        Intervals::default()
    }

    /// All the time.
    #[must_use]
    pub fn all(horizon: Interval) -> Intervals {
        Intervals(if horizon.is_empty() { Vec::new() } else { vec![horizon] })
    }

    /// Any intervals, in any order, made into what holds in at least one of them.
    #[must_use]
    pub fn any_of(mut intervals: Vec<Interval>) -> Intervals {
        intervals.retain(|interval| !interval.is_empty());
        intervals.sort_unstable();
        let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            match joined.last_mut() {
                Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
                _ => joined.push(interval),
            }
        }
        Intervals(joined)
    }

    /// When the frame holds within the horizon, read in `zone` unless it has its own.
    #[must_use]
    pub fn of_frame(frame: &Frame, zone: &TimeZone, horizon: Interval) -> Intervals {
        Intervals::of_frame_with(frame, zone, horizon, &|_| None)
    }

    /// The same with live overrides of the frames that it excepts, by name, as in [`Frame::contains_with`].
    #[must_use]
    pub fn of_frame_with(
        frame: &Frame,
        zone: &TimeZone,
        horizon: Interval,
        overrides: &dyn Fn(&str) -> Option<bool>,
    ) -> Intervals {
        if horizon.is_empty() {
            return Intervals::none();
        }
        if let Some(forced) = frame.forced {
            return if forced { Intervals::all(horizon) } else { Intervals::none() };
        }
        let moments = Edges::of(frame, zone).moments(horizon);
        Intervals::between(&moments, horizon, |at| frame.contains_with(at, zone, overrides))
    }

    /// When `holds`, which changes at no other moments than these, in order.
    fn between(moments: &[i64], horizon: Interval, holds: impl Fn(Timestamp) -> bool) -> Intervals {
        let mut found = Vec::new();
        let mut since = None;
        for at in moments.iter().filter_map(|second| Timestamp::from_second(*second).ok()) {
            match (since, holds(at)) {
                (None, true) => since = Some(at),
                (Some(start), false) => {
                    found.push(Interval { start, end: at });
                    since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        found.extend(since.map(|start| Interval { start, end: horizon.end }));
        Intervals(found)
    }

    #[must_use]
    pub fn as_slice(&self) -> &[Interval] {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = Interval> + '_ {
        self.0.iter().copied()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        let after = self.0.partition_point(|interval| interval.start <= at);
        after.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|interval| at < interval.end)
    }

    /// How long altogether.
    #[must_use]
    pub fn total(&self) -> SignedDuration {
        self.0.iter().fold(SignedDuration::ZERO, |sum, interval| sum.saturating_add(interval.length()))
    }

    #[must_use]
    pub fn union(&self, other: &Intervals) -> Intervals {
        self.combine(other, |here, there| here || there)
    }

    #[must_use]
    pub fn intersection(&self, other: &Intervals) -> Intervals {
        self.combine(other, |here, there| here && there)
    }

    #[must_use]
    pub fn difference(&self, other: &Intervals) -> Intervals {
        self.combine(other, |here, there| here && !there)
    }

    /// The rest of the horizon.
    #[must_use]
    pub fn complement(&self, horizon: Interval) -> Intervals {
        Intervals::all(horizon).difference(self)
    }

    /// Whether every moment of `other` is one of these.
    #[must_use]
    pub fn covers(&self, other: &Intervals) -> bool {
        other.difference(self).is_empty()
    }

    /// Both lists run through side by side; `keep` must not hold where neither does.
    fn combine(&self, other: &Intervals, keep: impl Fn(bool, bool) -> bool) -> Intervals {
        let (mut here, mut there) = (Walker::new(&self.0), Walker::new(&other.0));
        let mut found = Vec::new();
        let mut since = None;
        while let Some(at) = [here.next_edge(), there.next_edge()].into_iter().flatten().min() {
            match (since, keep(here.pass(at), there.pass(at))) {
                (None, true) => since = Some(at),
                (Some(start), false) => {
                    found.push(Interval { start, end: at });
                    since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        Intervals(found)
    }
}

/// Runs through intervals edge by edge.
struct Walker<'a> {
    rest: &'a [Interval],
    inside: bool,
}

impl<'a> Walker<'a> {
    fn new(rest: &'a [Interval]) -> Walker<'a> {
        Walker { rest, inside: false }
    }

    fn next_edge(&self) -> Option<Timestamp> {
        self.rest.first().map(|interval| if self.inside { interval.end } else { interval.start })
    }

    /// Goes past this edge, if it is one, and says whether it is inside then.
    fn pass(&mut self, at: Timestamp) -> bool {
        if self.next_edge() == Some(at) {
            if self.inside {
                self.rest = self.rest.get(1..).unwrap_or_default();
            }
            self.inside = !self.inside;
        }
        self.inside
    }
}
