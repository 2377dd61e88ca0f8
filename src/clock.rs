//! Time as a parameter: both clocks, read once at the edge and passed down.

use std::time::Instant;

/// This moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers: never jumps.
    pub mono: Instant,
    /// For civil time, expiry that outlives a restart, and records.
    pub wall: jiff::Timestamp,
}
