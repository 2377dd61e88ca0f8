//! What the kernel keeps from us while far more comes than can even be refused: reading and refusing each would take the time of those that get
//! through. A part of what is new, drawn by lot, is dropped where it arrives ([`filter`]); whoever sent it sends it again (RFC 3261
//! §17.1.1.2), and the lot is drawn anew.
//!
//! How much passes is settled each [`TURN`], for calls and for registrations apart: so much that some are refused still, which shows that there is
//! more than can be done. They hear a 503 with Retry-After as ever.
//!
//! It is for datagrams that the filter can drop ([`filter::drops`]): what else comes is not thinned out by it, and counts for nothing here.
//!
//! What it is not: the judge of what is new (`switch::overload`), nor of whose turn it is (`switch::backlog`).

pub(super) mod filter;

use crate::sip::Transport;
use crate::switch::backlog::Class;
use filter::Shares;
use std::time::{Duration, Instant};

/// How often it is settled how much passes.
const TURN: Duration = Duration::from_millis(50);
/// Refusals a second, of either kind, at which it begins; fewer cost little.
const BEGINS_AT_S: u32 = 8_000;
/// So many are refused a second, of either kind, while it is on.
const REFUSED_S: u32 = 3_000;
/// What the newest turn counts for in the mean: a turn alone says little, as what was begun goes first.
const NEWEST: f64 = 0.2;
/// How long it is not tried again, where the kernel takes no filter.
const RESTS: Duration = Duration::from_secs(60);
/// The least part that passes, so that the end of a crowd is noticed.
const LEAST: f64 = 1.0 / 256.0;

#[derive(Debug, Default)]
pub(super) struct Sieve {
    calls: Kind,
    registrations: Kind,
    /// When the turn began.
    since: Option<Instant>,
    rests_until: Option<Instant>,
}

/// What passes of one kind.
#[derive(Debug)]
struct Kind {
    passes: f64,
    /// In this turn.
    came: u32,
    done: u32,
    refused: u32,
    /// A second, in the mean of the turns since it began: sent to us as far as can be told, and done.
    sent_s: f64,
    done_s: f64,
    /// It has just begun: what comes in this turn has waited in the sockets from before.
    is_new: bool,
}

impl Default for Kind {
    fn default() -> Kind {
        Kind { passes: 1.0, came: 0, done: 0, refused: 0, sent_s: 0.0, done_s: 0.0, is_new: false }
    }
}

impl Kind {
    /// A turn of so many seconds is over.
    fn turn(&mut self, seconds: f64) {
        let [came_s, done_s, refused_s] =
            [self.came, self.done, self.refused].map(|count| f64::from(count) / seconds);
        (self.came, self.done, self.refused) = (0, 0, 0);
        let newest = match self.passes < 1.0 {
            true if std::mem::take(&mut self.is_new) => return,
            true => NEWEST,
            false if refused_s < f64::from(BEGINS_AT_S) => return,
            false => 1.0,
        };
        self.is_new = newest == 1.0;
        self.sent_s += newest * (came_s / self.passes - self.sent_s);
        self.done_s += newest * (done_s - self.done_s);
        let wanted_s = self.done_s + f64::from(REFUSED_S);
        self.passes = (wanted_s / self.sent_s.max(1.0)).clamp(LEAST, 1.0);
    }
}

impl Sieve {
    fn kind(&mut self, by: Transport, class: Class, message: &[u8]) -> Option<&mut Kind> {
        match class {
            _ if by != Transport::Udp || !filter::drops(message) => None,
            Class::Call => Some(&mut self.calls),
            Class::Registration => Some(&mut self.registrations),
            Class::Begun | Class::Other | Class::Spent => None,
        }
    }

    /// Something has come through.
    pub(super) fn came(&mut self, by: Transport, class: Class, message: &[u8]) {
        if let Some(kind) = self.kind(by, class, message) {
            kind.came = kind.came.saturating_add(1);
        }
    }

    /// There was time for it.
    pub(super) fn done(&mut self, by: Transport, class: Class, message: &[u8]) {
        if let Some(kind) = self.kind(by, class, message) {
            kind.done = kind.done.saturating_add(1);
        }
    }

    /// It is refused for lack of time.
    pub(super) fn refused(&mut self, by: Transport, class: Class, message: &[u8]) {
        if let Some(kind) = self.kind(by, class, message) {
            kind.refused = kind.refused.saturating_add(1);
        }
    }

    /// What passes from now on, where that is to be settled anew. `tells`: whether the filter can tell calls for help, else it drops no call.
    pub(super) fn turn(&mut self, now: Instant, tells: impl FnOnce() -> bool) -> Option<Shares> {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed < TURN {
            return None;
        }
        self.since = Some(now);
        if self.rests_until.is_some_and(|until| now < until) {
            (self.calls, self.registrations) = (Kind::default(), Kind::default());
            return None;
        }
        let before = self.shares();
        self.calls.turn(passed.as_secs_f64());
        self.registrations.turn(passed.as_secs_f64());
        if self.calls.passes < 1.0 && !tells() {
            self.calls = Kind::default();
        }
        Some(self.shares()).filter(|shares| *shares != before)
    }

    fn shares(&self) -> Shares {
        Shares { calls: self.calls.passes, registrations: self.registrations.passes }
    }

    /// Something is kept from us.
    pub(super) fn is_on(&self) -> bool {
        !self.shares().is_all()
    }

    /// When it is to be asked again, though nothing should come.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.filter(|_| self.is_on()).map(|since| since + TURN)
    }

    /// The kernel does not do it: everything passes for [`RESTS`].
    pub(super) fn give_up(&mut self, now: Instant) {
        *self = Sieve { rests_until: Some(now + RESTS), ..Sieve::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:u17@pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@pbx.example>;tag=1\r\n\r\n";

    /// Turn by turn: so many come a second, of which so many can be done; what waits for 50 ms is refused after 50 ms more. What passes,
    /// and how many are done and refused a second, in the last of these turns.
    fn run(sieve: &mut Sieve, turns: u32, came_s: u32, done_s: u32) -> (f64, u32, u32) {
        let began = *sieve.since.get_or_insert(crate::net::clock::mono());
        let (mut waits, mut late, mut last) = (0, 0, (0, 0));
        for n in 0..turns {
            let through = (f64::from(came_s) * sieve.calls.passes / 20.0).round() as u32;
            let done = (waits + through).min(done_s / 20);
            let refused = std::mem::replace(&mut late, (waits + through - done).saturating_sub(done_s / 20));
            waits = (waits + through - done).min(done_s / 20);
            (0..through).for_each(|_| sieve.came(Transport::Udp, Class::Call, INVITE));
            (0..done).for_each(|_| sieve.done(Transport::Udp, Class::Call, INVITE));
            (0..refused).for_each(|_| sieve.refused(Transport::Udp, Class::Call, INVITE));
            sieve.turn(began + TURN * (n + 1), || true);
            last = (done * 20, refused * 20);
        }
        (sieve.calls.passes, last.0, last.1)
    }

    #[test]
    fn a_crowd_that_can_be_refused_is_refused() {
        let mut sieve = Sieve::default();
        assert_eq!(run(&mut sieve, 20, 10_000, 3_000), (1.0, 3_000, 7_000));
        assert_eq!(sieve.deadline(), None);
    }

    #[test]
    fn of_a_larger_one_as_many_pass_as_can_be_done_and_some_more_until_it_is_over() {
        let mut sieve = Sieve::default();
        for (came_s, done_s) in [(40_000, 4_000), (100_000, 4_000), (40_000, 1_000)] {
            for turns in [20, 1, 1, 1, 1, 1] {
                let (passes, done, refused) = run(&mut sieve, turns, came_s, done_s);
                assert_eq!(done, done_s, "of {came_s}: no time is lost");
                assert!(refused < 2 * REFUSED_S, "{refused} of {came_s} refused");
                assert!(passes < 0.2 && sieve.deadline().is_some());
            }
        }
        assert_eq!(sieve.registrations.passes, 1.0, "of which none came");
        // Less than what can be done: within some turns everything passes.
        let (passes, ..) = run(&mut sieve, 30, 500, 4_000);
        assert_eq!((passes, sieve.deadline()), (1.0, None));
    }

    #[test]
    fn where_the_kernel_takes_no_filter_it_is_not_tried_again_for_a_minute() {
        let mut sieve = Sieve::default();
        let began = crate::net::clock::mono();
        sieve.turn(began, || true);
        let mut crowd = |at: Duration| {
            (0..100_000).for_each(|_| sieve.refused(Transport::Udp, Class::Call, INVITE));
            (0..100_000).for_each(|_| sieve.came(Transport::Udp, Class::Call, INVITE));
            let shares = sieve.turn(began + at, || true);
            if at == TURN {
                sieve.give_up(began + at);
            }
            shares.is_some()
        };
        assert!(crowd(TURN));
        assert!(!crowd(2 * TURN) && !crowd(RESTS));
        assert!(crowd(RESTS + TURN) && sieve.is_on());
    }

    #[test]
    fn where_calls_for_help_can_not_be_told_no_call_is_dropped() {
        let mut sieve = Sieve::default();
        let began = crate::net::clock::mono();
        sieve.turn(began, || false);
        (0..100_000).for_each(|_| sieve.refused(Transport::Udp, Class::Call, INVITE));
        assert_eq!((sieve.turn(began + TURN, || false), sieve.is_on()), (None, false));
    }

    #[test]
    fn what_comes_by_connections_or_is_not_new_or_not_dropped_counts_for_nothing() {
        let mut sieve = Sieve::default();
        let began = crate::net::clock::mono();
        sieve.turn(began, || true);
        for n in 0..100_000 {
            let (by, class, message) = match n % 4 {
                0 => (Transport::Tcp, Class::Call, INVITE),
                1 => (Transport::Udp, Class::Begun, INVITE),
                2 => (Transport::Udp, Class::Other, INVITE),
                _ => (Transport::Udp, Class::Call, &b"INVITE tel:+12025550150 SIP/2.0\r\n\r\n"[..]),
            };
            sieve.came(by, class, message);
            sieve.refused(by, class, message);
        }
        assert_eq!((sieve.turn(began + TURN, || true), sieve.is_on()), (None, false));
    }

    #[test]
    fn where_nothing_comes_any_more_it_opens_by_itself() {
        let mut sieve = Sieve::default();
        run(&mut sieve, 20, 1_000_000, 0);
        let mut turns = 0;
        while let Some(at) = sieve.deadline() {
            sieve.turn(at, || true);
            turns += 1;
        }
        assert!((5..40).contains(&turns), "{turns} turns of {TURN:?}");
    }
}
