//! The one place that reads the clocks.

use crate::clock::Now;

/// This moment.
#[must_use]
#[allow(clippy::disallowed_methods)] // this is the edge that the ban points to
pub fn now() -> Now {
    Now { mono: std::time::Instant::now(), wall: jiff::Timestamp::now() }
}
