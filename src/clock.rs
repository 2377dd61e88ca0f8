//! Time as a parameter: both clocks, read once at the edge and passed down.

use jiff::SignedDuration;
use std::time::Instant;

/// This moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers: never jumps.
    pub mono: Instant,
    /// For civil time, expiry that outlives a restart, and records.
    pub wall: jiff::Timestamp,
}

/// Tells when somebody has set the wall clock: then it has moved otherwise than the one that never jumps.
#[derive(Debug, Default)]
pub struct Steps {
    last: Option<Now>,
}

/// What differs by less is a clock that is slewed (adjtime(3)), or one that was looked at between two instructions.
pub const STEP_MIN: SignedDuration = SignedDuration::from_secs(1);

impl Steps {
    /// By how much it was set since the last call, ahead or back.
    pub fn since_last(&mut self, now: Now) -> Option<SignedDuration> {
        let last = self.last.replace(now)?;
        let passed = SignedDuration::try_from(now.mono.saturating_duration_since(last.mono)).ok()?;
        let step = now.wall.duration_since(last.wall).checked_sub(passed)?;
        (step.abs() >= STEP_MIN).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_is_set_is_told_once_and_one_that_runs_is_not() {
        let mut now = crate::net::clock::now();
        let mut steps = Steps::default();
        let mut after = |ms: i64, mono_ms: u64| {
            now.wall += SignedDuration::from_millis(ms);
            now.mono += Duration::from_millis(mono_ms);
            steps.since_last(now)
        };
        assert_eq!(after(0, 0), None, "nothing to compare with");
        assert_eq!(after(3_600_000, 3_600_000), None);
        assert_eq!(after(10_999, 10_000), None, "slewed");
        assert_eq!(after(3_600_010, 10), Some(SignedDuration::from_secs(3600)));
        assert_eq!(after(10, 10), None);
        assert_eq!(after(-86_399_990, 10), Some(SignedDuration::from_secs(-86_400)));
        assert_eq!(after(10, 10), None);
    }
}
