//! The one place that reads the clocks.

use crate::clock::Now;
use std::time::Instant;

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
