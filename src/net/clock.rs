//! The one place that reads the clocks and lets time pass.

use crate::clock::Now;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::{Duration, Instant};

/// This moment.
#[must_use]
#[allow(clippy::disallowed_methods)] // this is the edge that the ban points to
pub fn now() -> Now {
    Now { mono: Instant::now(), wall: jiff::Timestamp::now() }
}

/// This moment, for timers only: half the price, for what is asked once a packet.
#[must_use]
#[allow(clippy::disallowed_methods)] // this is the edge that the ban points to
pub fn mono() -> Instant {
    Instant::now()
}

/// This moment as the kernel counts it (CLOCK_MONOTONIC), in nanoseconds: to be held against moments that it tells.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    u64::try_from(tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(tv_nsec).unwrap_or(0))
}

/// Lets that long pass, or less where a signal comes. For the pace of a thread that has nothing to do but to look again; whoever
/// waits for something waits for that.
pub fn rest(duration: Duration) {
    if let Ok(duration) = Timespec::try_from(duration) {
        let _ = rustix::thread::nanosleep(&duration);
    }
}
