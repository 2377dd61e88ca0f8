//! When the signalling thread looks at its sockets again.
//!
//! A message that comes alone is read at once. While they come thick, rounds begin [`ROUND`] apart: one round then takes what several
//! wakes would have brought one by one, each with its system calls, and with caches that have gone cold between them. A message
//! waits for [`ROUND`] at the most, and at a load that keeps the thread busy for so long not at all.

use std::time::{Duration, Instant};

/// From the beginning of one round to that of the next, while messages come thick. Answers take phones some ten times as long.
const ROUND: Duration = Duration::from_millis(2);
/// A round that follows so soon on the one before makes the next one wait.
const CLOSE: Duration = Duration::from_millis(1);
/// A round that was waited for and brought fewer inputs than this was not worth it.
const WORTH_IT: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Option<Instant>,
    thick: bool,
}

impl Pace {
    /// A round has brought so many inputs.
    pub(super) fn round(&mut self, began: Instant, inputs: u32) {
        let close = self.began.is_some_and(|last| began.saturating_duration_since(last) < CLOSE);
        self.thick = if self.thick { inputs >= WORTH_IT } else { close && inputs > 0 };
        self.began = Some(began);
    }

    /// How long messages are left to gather before the next round; `now` is read only where that matters.
    pub(super) fn rest(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let next = self.began.filter(|_| self.thick)? + ROUND;
        Some(next.saturating_duration_since(now())).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // an origin for virtual time
mod tests {
    use super::*;

    /// The rounds that messages at these times (µs) come in, where a round itself takes no time.
    fn rounds(mut messages: Vec<u64>) -> Vec<(u64, u32)> {
        let (origin, mut at) = (Instant::now(), 0);
        let (mut pace, mut rounds) = (Pace::default(), Vec::new());
        while let Some(next) = messages.first() {
            let rest = pace.rest(|| origin + Duration::from_micros(at));
            at = (*next).max(at + rest.map_or(0, |rest| rest.as_micros() as u64));
            let waiting = messages.iter().filter(|message| **message <= at).count();
            messages.drain(..waiting);
            pace.round(origin + Duration::from_micros(at), waiting as u32);
            rounds.push((at, waiting as u32));
        }
        rounds
    }

    #[test]
    fn a_message_that_comes_alone_waits_for_nothing() {
        assert_eq!(rounds(vec![0, 1_000, 2_500, 40_000]), [(0, 1), (1_000, 1), (2_500, 1), (40_000, 1)]);
    }

    #[test]
    fn messages_that_come_thick_share_rounds() {
        let thick: Vec<u64> = (0..13).map(|n| n * 500).collect();
        assert_eq!(rounds(thick), [(0, 1), (500, 1), (2_500, 4), (4_500, 4), (6_500, 3)]);
    }

    #[test]
    fn a_wait_that_brought_one_message_is_the_last() {
        assert_eq!(rounds(vec![0, 900, 2_901, 3_800]), [(0, 1), (900, 1), (2_901, 1), (3_800, 1)]);
    }
}
