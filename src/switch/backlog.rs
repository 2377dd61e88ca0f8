//! What waits for its turn where more comes than can be done (RFC 6357 §4: overload is kept local, and the work that was begun goes first).
//!
//! Whoever drives the switch takes everything that has come, hands on at once what belongs to what we do already ([`Class::Begun`]), and puts what
//! would begin something new here. It is done in the order in which it came, calls before everything else, for as long as there is time; what has
//! waited too long is refused, which costs a small part of doing it. So the time that is left over after what was begun is filled with new
//! calls, however many are asked for, and whoever is refused hears it long before they would ask again (RFC 3261 §17.1.1.1: 500 ms).
//!
//! What it is not: it reads no message, no clock and no socket, and has nothing to do while there is time for everything.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A call that has waited for longer is refused.
pub const CALL_WAITS: Duration = Duration::from_millis(100);
/// Everything else: refused first.
pub const OTHER_WAITS: Duration = Duration::from_millis(50);
/// Where the oldest of its kind has waited for this part of its time, one more is refused at once: it would wait as long, and a refusal costs least while
/// its request is at hand.
const FULL_AT: u32 = 2;
/// Messages that wait; one more is refused at once.
pub const WAITING_MAX: usize = 16_384;
/// One of so many goes to what is no call: however many calls are asked for, registrations are refreshed.
const CALLS_BEFORE_OTHER: u32 = 7;

/// What a message is to us, from a look at its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Part of what we do already, or a call for help: never refused, and never waits for what is new.
    Begun,
    /// A new call of somebody whom we know.
    Call,
    Registration,
    /// Everything else that is new: OPTIONS, SUBSCRIBE, MESSAGE, and calls of those whom nobody vouches for.
    Other,
    /// An ACK to what has been refused here: nothing is left to be done.
    Spent,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    Do(Class, T),
    Refuse(Class, T),
}

#[derive(Debug)]
pub struct Backlog<T> {
    calls: VecDeque<Waiting<T>>,
    others: VecDeque<Waiting<T>>,
    /// Calls done since something else was.
    calls_done: u32,
}

#[derive(Debug)]
struct Waiting<T> {
    since: Instant,
    class: Class,
    item: T,
}

impl<T> Default for Backlog<T> {
    fn default() -> Backlog<T> {
        Backlog { calls: VecDeque::new(), others: VecDeque::new(), calls_done: 0 }
    }
}

impl<T> Backlog<T> {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.others.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len() + self.others.len()
    }

    /// It waits from now on.
    ///
    /// # Errors
    /// There is no room, or no time: it is to be refused.
    pub fn put(&mut self, now: Instant, class: Class, item: T) -> Result<(), T> {
        let is_full = self.len() >= WAITING_MAX;
        let (queue, waits) = match class {
            Class::Call => (&mut self.calls, CALL_WAITS),
            _ => (&mut self.others, OTHER_WAITS),
        };
        let waited = queue.front().map(|front| now.saturating_duration_since(front.since));
        if is_full || waited.is_some_and(|waited| waited > waits / FULL_AT) {
            return Err(item);
        }
        queue.push_back(Waiting { since: now, class, item });
        Ok(())
    }

    /// What has waited too long, else whose turn it is.
    pub fn next(&mut self, now: Instant) -> Option<Next<T>> {
        for (queue, waits) in [(&mut self.others, OTHER_WAITS), (&mut self.calls, CALL_WAITS)] {
            let late = |front: &Waiting<T>| now.saturating_duration_since(front.since) > waits;
            if queue.front().is_some_and(late) {
                return queue.pop_front().map(|late| Next::Refuse(late.class, late.item));
            }
        }
        let is_others_turn = self.calls_done >= CALLS_BEFORE_OTHER || self.calls.is_empty();
        if is_others_turn && let Some(other) = self.others.pop_front() {
            self.calls_done = 0;
            self.rest();
            return Some(Next::Do(other.class, other.item));
        }
        self.calls_done = self.calls_done.saturating_add(1);
        let call = self.calls.pop_front().map(|call| Next::Do(call.class, call.item));
        self.rest();
        call
    }

    /// What was needed for a crowd is not kept for ever.
    fn rest(&mut self) {
        if self.is_empty() && self.calls.capacity() + self.others.capacity() > WAITING_MAX / 8 {
            *self = Backlog::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Call, Other, Registration};

    const MS: Duration = Duration::from_millis(1);

    /// All that is next at that moment.
    fn all(backlog: &mut Backlog<u32>, at: Instant) -> Vec<Next<u32>> {
        std::iter::from_fn(|| backlog.next(at)).collect()
    }

    fn backlog() -> (Backlog<u32>, Instant) {
        (Backlog::default(), crate::net::clock::mono())
    }

    #[test]
    fn what_is_done_in_time_is_done_in_its_order_calls_first() {
        let (mut backlog, now) = backlog();
        for (n, class) in (0..).zip([Registration, Call, Other, Call]) {
            backlog.put(now, class, n).unwrap();
        }
        let done = all(&mut backlog, now + 50 * MS);
        assert_eq!(
            done,
            [Next::Do(Call, 1), Next::Do(Call, 3), Next::Do(Registration, 0), Next::Do(Other, 2)]
        );
        assert!(backlog.is_empty());
    }

    #[test]
    fn registrations_are_refused_before_calls() {
        let (mut backlog, now) = backlog();
        for (n, class) in (0..).zip([Call, Registration, Other, Call]) {
            backlog.put(now, class, n).unwrap();
        }
        let refused =
            [Next::Refuse(Registration, 1), Next::Refuse(Other, 2), Next::Do(Call, 0), Next::Do(Call, 3)];
        assert_eq!(all(&mut backlog, now + 51 * MS), refused);
        backlog.put(now, Call, 4).unwrap();
        assert_eq!(all(&mut backlog, now + 101 * MS), [Next::Refuse(Call, 4)]);
    }

    #[test]
    fn registrations_have_a_share_however_many_calls_there_are() {
        let (mut backlog, now) = backlog();
        (0..100).for_each(|n| backlog.put(now, Call, n).unwrap());
        (1_000..1_010).for_each(|n| backlog.put(now, Registration, n).unwrap());
        let done: Vec<_> = (0..80).filter_map(|_| backlog.next(now)).collect();
        let others = done.iter().filter(|next| matches!(next, Next::Do(Registration, _))).count();
        assert_eq!(others, 10, "one of eight");
    }

    #[test]
    fn the_queue_has_an_end_and_gives_its_room_back() {
        let (mut backlog, now) = backlog();
        let refused = (0..20_000).filter(|n| backlog.put(now, Call, *n).is_err()).count();
        assert_eq!((backlog.len(), refused), (WAITING_MAX, 20_000 - WAITING_MAX));
        assert_eq!(all(&mut backlog, now).len(), WAITING_MAX);
        assert!(backlog.calls.capacity() < WAITING_MAX);
    }

    #[test]
    fn who_would_wait_too_long_is_refused_at_once() {
        let (mut backlog, now) = backlog();
        backlog.put(now, Call, 1).unwrap();
        backlog.put(now, Registration, 2).unwrap();
        let at = now + 26 * MS;
        assert_eq!((backlog.put(at, Registration, 3), backlog.put(at, Other, 4)), (Err(3), Err(4)));
        assert_eq!(backlog.put(at, Call, 5), Ok(()), "calls have longer");
        assert_eq!(backlog.put(now + 51 * MS, Call, 6), Err(6));
        assert_eq!(backlog.len(), 3);
    }

    /// Time passes by what is done alone: 1 ms for a call, 0.05 for refusing one. `offered` calls come each millisecond, for a second.
    fn goodput(offered: u32) -> (u32, Duration) {
        let (mut backlog, origin) = backlog();
        let (mut now, mut came, mut done, mut latest) = (origin, 0, 0, Duration::ZERO);
        while now < origin + 1_000 * MS {
            let due = offered * u32::try_from((now - origin).as_millis()).unwrap();
            while came < due {
                came += 1;
                if backlog.put(origin + MS * (came / offered), Call, came).is_err() {
                    now += MS / 20;
                }
            }
            match backlog.next(now) {
                Some(Next::Do(_, n)) => {
                    done += 1;
                    now += MS;
                    latest = latest.max(now - (origin + MS * (n / offered)));
                }
                Some(Next::Refuse(..)) => now += MS / 20,
                None => now += MS / 10,
            }
        }
        (done, latest)
    }

    #[test]
    fn goodput_stays_and_nobody_waits_long_at_any_load() {
        let (peak, _) = goodput(1);
        for offered in [2, 5] {
            let (done, latest) = goodput(offered);
            let lost = 1.0 - f64::from(done) / f64::from(peak);
            // What refusing costs, and no more.
            assert!(lost < 0.05 * f64::from(offered) + 0.01, "{offered} times: {done} of {peak}");
            assert!(latest <= CALL_WAITS + 2 * MS, "{offered} times: {latest:?}");
        }
    }
}
