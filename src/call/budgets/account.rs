//! What one user has used of one class: the legs that are up, when those of the last hour were begun, the time talked today.

use super::{AccountKey, NOTED_EVERY, Ticket, Usage};
use crate::clock::Now;
use crate::rules::model::{Budget, Spent};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::collections::VecDeque;
use std::sync::Weak;
use std::time::{Duration, Instant};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Rounding must not make a deadline of now.
const DUE_AFTER_MIN: Duration = Duration::from_millis(1);
/// No two midnights are nearer to each other, whatever summer time does.
const DAY_MIN: SignedDuration = SignedDuration::from_hours(22);
/// Calls of the last hour that are remembered where no limit counts more: there may be one tomorrow.
const BEGUN_KEPT: usize = 256;

#[derive(Debug)]
pub(super) struct Leg {
    pub held: Weak<Ticket>,
    /// Counted up to then; `None`: it rings.
    pub talks: Option<Instant>,
}

impl Leg {
    pub fn is_up(&self) -> bool {
        self.held.strong_count() > 0
    }
}

#[derive(Debug)]
pub(super) struct Account {
    pub key: AccountKey,
    /// What is left when the day is over is asked by this.
    zone: TimeZone,
    until: Timestamp,
    pub talked: Duration,
    begun: VecDeque<Timestamp>,
    pub legs: Vec<Leg>,
    pub is_limited: bool,
    pub time_per_day: Option<Duration>,
    pub due: Option<Instant>,
}

impl Account {
    pub fn new(key: AccountKey, now: Now, zone: &str) -> Account {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        Account {
            key,
            until: midnight_after(&zone, now.wall),
            zone,
            talked: Duration::ZERO,
            begun: VecDeque::new(),
            legs: Vec::new(),
            is_limited: false,
            time_per_day: None,
            due: None,
        }
    }

    pub fn restored(now: Now, usage: Usage) -> Account {
        let Usage { key, until, talked_ms, begun, noted: _ } = usage;
        let mut account = Account {
            until,
            talked: Duration::from_millis(talked_ms),
            begun: begun.into(),
            ..Account::new(key, now, "UTC")
        };
        // Its zone is not known yet: no midnight lies further ahead than one of it may.
        let tomorrow = now.wall.saturating_add(26.hours()).unwrap_or(now.wall);
        if account.until > tomorrow {
            account.set_back(now.wall);
        }
        account.begun.iter_mut().for_each(|at| *at = (*at).min(now.wall));
        account
    }

    pub fn lives_by(&mut self, zone: &str) {
        if self.zone.iana_name() != Some(zone) {
            self.zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        }
    }

    /// By these limits from now on.
    pub fn limit(&mut self, budget: Option<&Budget>) {
        self.is_limited = budget.is_some();
        self.time_per_day = budget.and_then(|budget| budget.time_per_day);
    }

    /// One more call of this hour. No more are remembered than a limit counts.
    pub fn begin(&mut self, at: Timestamp, limit: Option<u32>) {
        let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or_default().max(BEGUN_KEPT);
        while self.begun.len() >= most {
            self.begun.pop_front();
        }
        self.begun.push_back(at);
    }

    /// The one that was begun then is none.
    pub fn forgive(&mut self, begun: Timestamp) {
        if let Some(at) = self.begun.iter().rposition(|at| *at == begun) {
            self.begun.remove(at);
        }
    }

    /// The wall clock was ahead: nothing ends later than it would have, had it not been. Whether anything has changed.
    pub fn set_back(&mut self, wall: Timestamp) -> bool {
        let mut changed = false;
        if self.until.duration_since(wall) > DAY_MIN {
            let midnight = midnight_after(&self.zone, wall);
            changed = self.until > midnight;
            self.until = self.until.min(midnight);
        }
        for at in self.begun.iter_mut().filter(|at| **at > wall) {
            *at = wall;
            changed = true;
        }
        changed
    }

    /// Counts up to now what is talked, from midnight on where one has passed.
    pub fn count(&mut self, now: Now) {
        let mut today = None;
        if now.wall >= self.until {
            let since = now.wall.duration_since(self.until).unsigned_abs();
            let midnight = before(&self.zone, now.wall).map(|at| now.wall.duration_since(at).unsigned_abs());
            today = Some(midnight.unwrap_or(since).min(since));
            self.talked = Duration::ZERO;
            self.until = midnight_after(&self.zone, now.wall);
        }
        for since in self.legs.iter_mut().filter_map(|leg| leg.talks.as_mut()) {
            let talked = now.mono.saturating_duration_since(*since);
            self.talked = self.talked.saturating_add(today.map_or(talked, |today| talked.min(today)));
            *since = now.mono;
        }
        while self.begun.front().is_some_and(|at| now.wall.duration_since(*at) >= HOUR) {
            self.begun.pop_front();
        }
    }

    /// The same without counting: as it stands now. What has just ended counts no more, also before it is taken away.
    pub fn spent(&self, now: Now) -> Spent {
        let is_today = now.wall < self.until;
        let talks = self.legs.iter().filter_map(|leg| leg.talks);
        let running: Duration = talks.map(|since| now.mono.saturating_duration_since(since)).sum();
        let recent = self.begun.iter().filter(|at| now.wall.duration_since(**at) < HOUR);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Spent {
            calls_at_once: number(self.legs.iter().filter(|leg| leg.is_up()).count()),
            calls_per_hour: number(recent.count()),
            time_per_day: if is_today { self.talked.saturating_add(running) } else { Duration::ZERO },
        }
    }

    /// When it has to be looked at again: its time is used up, the day is over, or it is to be noted.
    pub fn wants(&self, now: Now) -> Option<Instant> {
        let talking = u32::try_from(self.legs.iter().filter(|leg| leg.talks.is_some()).count()).ok()?;
        if talking == 0 || !self.is_limited {
            return None;
        }
        let left = self.time_per_day.map(|limit| limit.saturating_sub(self.talked) / talking);
        let midnight = self.until.duration_since(now.wall).unsigned_abs();
        let next = left.into_iter().fold(midnight.min(NOTED_EVERY), Duration::min);
        Some(now.mono + next.max(DUE_AFTER_MIN))
    }

    pub fn is_idle(&self, now: Now) -> bool {
        let spent = self.spent(now);
        self.legs.is_empty() && spent.calls_per_hour == 0 && spent.time_per_day.is_zero()
    }

    pub fn usage(&self, now: Now) -> Usage {
        Usage {
            key: self.key.clone(),
            until: self.until,
            talked_ms: u64::try_from(self.talked.as_millis()).unwrap_or(u64::MAX),
            begun: self.begun.iter().copied().collect(),
            noted: now.wall,
        }
    }
}

/// The first moment of that day.
fn before(zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    zone.to_datetime(at).date().to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}

/// The first moment of the next day; a day from now where the calendar ends.
fn midnight_after(zone: &TimeZone, at: Timestamp) -> Timestamp {
    let next = zone.to_datetime(at).date().tomorrow().and_then(|date| date.to_zoned(zone.clone()));
    next.map(|zoned| zoned.timestamp()).unwrap_or_else(|_| at.saturating_add(24.hours()).unwrap_or(at))
}
