//! The one table of the transaction timers: RFC 3261 §17 and its Table 4, with the corrections of RFC 6026.
//!
//! | timer | machine and state            | unreliable            | reliable | where                          |
//! |-------|------------------------------|-----------------------|----------|--------------------------------|
//! | A     | client INVITE, Calling       | T1, doubling          | off      | RFC 3261 §17.1.1.2             |
//! | B     | client INVITE, Calling       | 64*T1                 | 64*T1    | RFC 3261 §17.1.1.2             |
//! | C     | a proxy's; the ring time of the rules stands in its place | - | - | RFC 3261 §16.6 step 11 |
//! | D     | client INVITE, Completed     | 32 s                  | 0        | RFC 3261 §17.1.1.2             |
//! | E     | client, Trying               | T1, doubling up to T2 | off      | RFC 3261 §17.1.2.2             |
//! |       | client, Proceeding           | T2                    | off      | RFC 3261 §17.1.2.2             |
//! | F     | client, Trying, Proceeding   | 64*T1                 | 64*T1    | RFC 3261 §17.1.2.2             |
//! | G     | server INVITE, Completed     | T1, doubling up to T2 | off      | RFC 3261 §17.2.1               |
//! | H     | server INVITE, Completed     | 64*T1                 | 64*T1    | RFC 3261 §17.2.1               |
//! | I     | server INVITE, Confirmed     | T4                    | 0        | RFC 3261 §17.2.1               |
//! | J     | server, Completed            | 64*T1                 | 0        | RFC 3261 §17.2.2               |
//! | K     | client, Completed            | T4                    | 0        | RFC 3261 §17.1.2.2             |
//! | L     | server INVITE, Accepted      | 64*T1                 | 64*T1    | RFC 6026 §7.1, §8.7            |
//! | M     | client INVITE, Accepted      | 64*T1                 | 64*T1    | RFC 6026 §7.2, §8.4            |
//!
//! A timer of length zero is never set: the machine goes straight to the state that it leads to.

use std::time::{Duration, Instant};

/// The estimate of a round trip.
pub const T1: Duration = Duration::from_millis(500);
/// The longest wait between two retransmissions of a non-INVITE request or of a response to an INVITE.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message may stay in the network.
pub(super) const T4: Duration = Duration::from_secs(5);

const T1_64: Duration = T1.saturating_mul(64);

pub(super) const TIMER_B: Duration = T1_64;
const TIMER_D: Duration = Duration::from_secs(32);
pub(super) const TIMER_F: Duration = T1_64;
pub(super) const TIMER_H: Duration = T1_64;
const TIMER_I: Duration = T4;
const TIMER_J: Duration = T1_64;
const TIMER_K: Duration = T4;
pub(super) const TIMER_L: Duration = T1_64;
pub(super) const TIMER_M: Duration = T1_64;
/// How long a cancelled INVITE waits for its final response (RFC 3261 §9.1); it has no letter.
pub(super) const CANCELLED: Duration = T1_64;

/// `None` where the wait is zero.
pub(super) fn timer_d(reliable: bool) -> Option<Duration> {
    (!reliable).then_some(TIMER_D)
}

/// `None` where the wait is zero.
pub(super) fn timer_i(reliable: bool) -> Option<Duration> {
    (!reliable).then_some(TIMER_I)
}

/// `None` where the wait is zero.
pub(super) fn timer_j(reliable: bool) -> Option<Duration> {
    (!reliable).then_some(TIMER_J)
}

/// `None` where the wait is zero.
pub(super) fn timer_k(reliable: bool) -> Option<Duration> {
    (!reliable).then_some(TIMER_K)
}

/// A timer that retransmits and sets itself again: A, E or G.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub at: Instant,
    wait: Duration,
}

impl Repeat {
    /// The first wait, T1; `None` (off) on a reliable transport.
    pub(super) fn first(now: Instant, reliable: bool) -> Option<Repeat> {
        (!reliable).then_some(Repeat { at: now + T1, wait: T1 })
    }

    /// Timer E in Proceeding: the steady wait of T2.
    pub(super) fn steady(now: Instant) -> Repeat {
        Repeat { at: now + T2, wait: T2 }
    }

    /// Timer A after it fired: twice the wait, without a bound (timer B ends it).
    pub(super) fn doubled(self, now: Instant) -> Repeat {
        let wait = self.wait.saturating_mul(2);
        Repeat { at: now + wait, wait }
    }

    /// Timers E and G after they fired: twice the wait, at most T2.
    pub(super) fn doubled_to_t2(self, now: Instant) -> Repeat {
        let wait = self.wait.saturating_mul(2).min(T2);
        Repeat { at: now + wait, wait }
    }
}

/// The earlier of a retransmission and an end.
pub(super) fn earlier(repeat: Option<Repeat>, end: Instant) -> Instant {
    repeat.map_or(end, |repeat| repeat.at.min(end))
}
