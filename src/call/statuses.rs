//! Live status as running calls see it: what users have set, time frames taken out of the clock's hands, who sits at which hot-desk
//! phone. Not here: who may set what, and keeping it (`admin::status`, the store).
//!
//! Invariant: each status that has an end stands once in the queue of ends, and is gone after the [`Statuses::timeout`] of its end. In
//! between a reader asks with the clock in hand, so nothing counts for longer than it should even when the wall clock jumps.

use crate::clock::Now;
use crate::rules::{FrameStatus, SeatStatus, Status, StatusKey, StatusObject, UserStatus};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that is set, over all domains. As many as there are objects in the rules that set them: the admin refuses others.
#[derive(Debug, Default)]
pub struct Statuses {
    domains: FxHashMap<Arc<str>, DomainStatuses>,
    /// When each ends by itself, soonest first.
    ends: BTreeSet<(Instant, StatusKey)>,
}

/// What is set in one domain.
#[derive(Debug, Default)]
pub struct DomainStatuses {
    users: FxHashMap<Arc<str>, Entry<UserStatus>>,
    frames: FxHashMap<Arc<str>, Entry<FrameStatus>>,
    seats: FxHashMap<Arc<str>, Entry<SeatStatus>>,
}

#[derive(Debug)]
struct Entry<T> {
    status: T,
    ends: Option<Instant>,
}

impl Statuses {
    /// Sets or takes away.
    pub fn set(&mut self, now: Now, key: StatusKey, status: Option<Status>) {
        let before = self.domains.get_mut(&key.domain).and_then(|domain| domain.take(&key.object));
        if let Some(ends) = before {
            self.ends.remove(&(ends, key.clone()));
        }
        if let Some(status) = status {
            let ends = status.until().map(|until| instant(now, until));
            if let Some(ends) = ends {
                self.ends.insert((ends, key.clone()));
            }
            self.domains.entry(key.domain).or_default().put(key.object, status, ends);
        } else if self.domains.get(&key.domain).is_some_and(DomainStatuses::is_empty) {
            self.domains.remove(&key.domain);
        }
    }

    /// Takes away what has ended, and names it.
    pub fn timeout(&mut self, now: Now, ended: &mut Vec<StatusKey>) {
        while let Some((at, key)) = self.ends.first().filter(|(at, _)| *at <= now.mono).cloned() {
            let status = self.of(&key);
            match status.as_ref().and_then(Status::until) {
                // The wall clock was set back meanwhile: it ends later than it looked. At least a little
                // later, so that a fraction that the two clocks disagree on can't make this turn round and round.
                Some(until) if until > now.wall => {
                    self.ends.remove(&(at, key.clone()));
                    let later = instant(now, until).max(now.mono + Duration::from_millis(1));
                    self.ends.insert((later, key.clone()));
                    if let Some(domain) = self.domains.get_mut(&key.domain) {
                        domain.end_at(&key.object, later);
                    }
                }
                _ => {
                    self.set(now, key.clone(), None);
                    ended.push(key);
                }
            }
        }
    }

    /// The wall clock was set: each ends when it shows the end.
    pub fn clock_was_set(&mut self, now: Now) {
        let keys: Vec<StatusKey> = self.ends.iter().map(|(_, key)| key.clone()).collect();
        for key in keys {
            let status = self.of(&key);
            self.set(now, key, status);
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// What is set in this domain, if anything is.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&DomainStatuses> {
        if self.domains.is_empty() { None } else { self.domains.get(name) }
    }

    /// One status, as it was set.
    #[must_use]
    pub fn of(&self, key: &StatusKey) -> Option<Status> {
        let domain = self.domains.get(&key.domain)?;
        Some(match &key.object {
            StatusObject::User(name) => Status::User(domain.users.get(name)?.status.clone()),
            StatusObject::TimeFrame(name) => Status::TimeFrame(domain.frames.get(name)?.status.clone()),
            StatusObject::Device(name) => Status::Device(domain.seats.get(name)?.status.clone()),
        })
    }
}

impl DomainStatuses {
    #[must_use]
    pub fn user(&self, name: &str, now: Now) -> Option<&UserStatus> {
        self.users.get(name).map(|entry| &entry.status).filter(|status| lasts(status.until, now))
    }

    /// Forced on, or forced off.
    #[must_use]
    pub fn frame(&self, name: &str, now: Now) -> Option<bool> {
        let status = self.frames.get(name).map(|entry| &entry.status)?;
        lasts(status.until, now).then_some(status.on)
    }

    /// Who sits at this phone.
    #[must_use]
    pub fn seat(&self, device: &str, now: Now) -> Option<&Arc<str>> {
        let status = self.seats.get(device).map(|entry| &entry.status)?;
        lasts(status.until, now).then_some(&status.user)
    }

    /// Users who have set something.
    pub fn users(&self) -> impl Iterator<Item = (&Arc<str>, &UserStatus)> {
        self.users.iter().map(|(name, entry)| (name, &entry.status))
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.frames.is_empty() && self.seats.is_empty()
    }

    fn put(&mut self, object: StatusObject, status: Status, ends: Option<Instant>) {
        match (object, status) {
            (StatusObject::User(name), Status::User(status)) => {
                self.users.insert(name, Entry { status, ends });
            }
            (StatusObject::TimeFrame(name), Status::TimeFrame(status)) => {
                self.frames.insert(name, Entry { status, ends });
            }
            (StatusObject::Device(name), Status::Device(status)) => {
                self.seats.insert(name, Entry { status, ends });
            }
            (object, status) => debug_assert!(false, "{status:?} is no status of {object:?}"),
        }
    }

    /// Takes one away; gives the place in the queue that it had.
    fn take(&mut self, object: &StatusObject) -> Option<Instant> {
        match object {
            StatusObject::User(name) => self.users.remove(name)?.ends,
            StatusObject::TimeFrame(name) => self.frames.remove(name)?.ends,
            StatusObject::Device(name) => self.seats.remove(name)?.ends,
        }
    }

    fn end_at(&mut self, object: &StatusObject, at: Instant) {
        let ends = match object {
            StatusObject::User(name) => self.users.get_mut(name).map(|entry| &mut entry.ends),
            StatusObject::TimeFrame(name) => self.frames.get_mut(name).map(|entry| &mut entry.ends),
            StatusObject::Device(name) => self.seats.get_mut(name).map(|entry| &mut entry.ends),
        };
        if let Some(ends) = ends {
            *ends = Some(at);
        }
    }
}

fn lasts(until: Option<jiff::Timestamp>, now: Now) -> bool {
    until.is_none_or(|until| now.wall < until)
}

/// What has passed is due now. An end beyond what the monotonic clock can count (it can't be waited for) is looked at again in a year.
fn instant(now: Now, until: jiff::Timestamp) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let left = Duration::try_from(until.duration_since(now.wall)).unwrap_or_default();
    now.mono + left.min(YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn key(object: StatusObject) -> StatusKey {
        StatusKey { domain: "harbour".into(), object }
    }

    fn storm() -> StatusKey {
        key(StatusObject::TimeFrame("storm".into()))
    }

    fn later(now: Now, seconds: i64) -> Now {
        let wall = now.wall + SignedDuration::from_secs(seconds);
        Now { mono: now.mono + Duration::from_secs(seconds.unsigned_abs()), wall }
    }

    fn on(until: jiff::Timestamp) -> Option<Status> {
        Some(Status::TimeFrame(FrameStatus { on: true, until: Some(until) }))
    }

    fn ended(statuses: &mut Statuses, now: Now) -> Vec<StatusKey> {
        let mut ended = Vec::new();
        statuses.timeout(now, &mut ended);
        ended
    }

    #[test]
    fn a_status_ends_at_its_time_and_not_before() {
        let (now, mut statuses) = (crate::net::clock::now(), Statuses::default());
        statuses.set(now, storm(), on(later(now, 60).wall));
        assert_eq!(ended(&mut statuses, later(now, 59)), []);
        assert_eq!(statuses.domain("harbour").unwrap().frame("storm", later(now, 59)), Some(true));
        assert_eq!(ended(&mut statuses, later(now, 60)), [storm()]);
        assert!(statuses.domain("harbour").is_none() && statuses.deadline().is_none());
    }

    #[test]
    fn what_has_ended_counts_for_nothing_even_before_the_clock_was_looked_at() {
        let (now, mut statuses) = (crate::net::clock::now(), Statuses::default());
        statuses.set(now, storm(), on(later(now, 60).wall));
        let domain = statuses.domain("harbour").unwrap();
        assert_eq!(domain.frame("storm", later(now, 60)), None);
    }

    #[test]
    fn an_end_that_is_moved_counts_once() {
        let (now, mut statuses) = (crate::net::clock::now(), Statuses::default());
        statuses.set(now, storm(), on(later(now, 60).wall));
        statuses.set(now, storm(), on(later(now, 600).wall));
        assert_eq!(ended(&mut statuses, later(now, 60)), []);
        assert_eq!(ended(&mut statuses, later(now, 600)), [storm()]);
        assert_eq!(ended(&mut statuses, later(now, 6000)), []);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_makes_it_last_longer() {
        let (now, mut statuses) = (crate::net::clock::now(), Statuses::default());
        statuses.set(now, storm(), on(later(now, 60).wall));
        let back = Now { mono: later(now, 60).mono, wall: later(now, 20).wall };
        assert_eq!(ended(&mut statuses, back), []);
        assert_eq!(statuses.deadline(), Some(later(now, 100).mono));
        assert_eq!(ended(&mut statuses, later(back, 40)), [storm()]);
    }

    #[test]
    fn a_wall_clock_that_is_set_ahead_ends_it_at_once() {
        let (now, mut statuses) = (crate::net::clock::now(), Statuses::default());
        statuses.set(now, storm(), on(later(now, 3600).wall));
        let ahead = Now { mono: later(now, 10).mono, wall: later(now, 3700).wall };
        statuses.clock_was_set(ahead);
        assert_eq!(statuses.deadline(), Some(ahead.mono));
        assert_eq!(ended(&mut statuses, ahead), [storm()]);
    }

    #[test]
    fn an_end_that_no_clock_reaches_is_no_panic() {
        let (now, mut statuses) = (crate::net::clock::now(), Statuses::default());
        statuses.set(now, storm(), on(jiff::Timestamp::MAX));
        assert_eq!(ended(&mut statuses, later(now, 366 * 86_400)), []);
    }

    #[test]
    fn kinds_of_one_name_are_kept_apart() {
        let (now, mut statuses) = (crate::net::clock::now(), Statuses::default());
        let (user, seat) = (StatusObject::User("storm".into()), StatusObject::Device("storm".into()));
        statuses.set(now, storm(), on(later(now, 60).wall));
        let dnd = UserStatus { dnd: Some(true), ..UserStatus::default() };
        statuses.set(now, key(user), Some(Status::User(dnd)));
        let sits = SeatStatus { user: "priya".into(), since: now.wall, until: None };
        statuses.set(now, key(seat.clone()), Some(Status::Device(sits)));
        statuses.set(now, storm(), None);
        let domain = statuses.domain("harbour").unwrap();
        assert_eq!(domain.frame("storm", now), None);
        assert_eq!(domain.user("storm", now).unwrap().dnd, Some(true));
        assert_eq!(domain.seat("storm", now).map(|user| &**user), Some("priya"));
        assert!(statuses.of(&key(seat)).is_some());
    }
}
