//! The one place that reads the clocks and lets time pass.

use crate::clock::Now;
use rustix::time::Timespec;
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

/// Lets that long pass, or less where a signal comes. For the pace of a thread that has nothing to do but to look again; whoever
/// waits for something waits for that.
pub fn rest(duration: Duration) {
    if let Ok(duration) = Timespec::try_from(duration) {
        let _ = rustix::thread::nanosleep(&duration);
    }
}
