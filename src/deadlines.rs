//! A queue of deadlines: a binary heap with lazy deletion.
//!
//! Each owner (a transaction, a registered device) has at most one entry that counts, for its earliest deadline; an owner whose
//! deadline moves later keeps the entry and sets itself again when it comes up, so that moving it costs nothing. Entries
//! whose owner ended early are skipped, and swept once they are the greater part: the heap stays within twice the live
//! owners (and a floor).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Below this many entries sweeping isn't worth it.
const SWEEP_FLOOR: usize = 1024;

/// When the entry of an owner comes up; `None` where it has none.
pub type Armed = Option<Instant>;

#[derive(Debug)]
pub struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Ord> Default for Deadlines<K> {
    fn default() -> Deadlines<K> {
        Deadlines { heap: BinaryHeap::new() }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    #[must_use]
    pub fn new() -> Deadlines<K> {
        Deadlines::default()
    }

    /// Sees to it that `key` comes up no later than at its `deadline`.
    pub fn arm(&mut self, key: K, armed: &mut Armed, deadline: Option<Instant>) {
        if let Some(at) = deadline
            && armed.is_none_or(|armed| at < armed)
        {
            *armed = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// The next entry that is due, outdated ones too.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Never later than the earliest deadline; earlier where an outdated entry stands in front.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Throws outdated entries away if they are the greater part.
    pub fn sweep(&mut self, live: usize, counts: impl Fn(Instant, K) -> bool) {
        if self.heap.len() > SWEEP_FLOOR + 2 * live {
            self.heap.retain(|Reverse((at, key))| counts(*at, *key));
        }
    }

    /// Entries, outdated ones too.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods)] // an origin for virtual time
    fn outdated_entries_do_not_pile_up() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new();
        for n in 0..100_000u32 {
            // Each ends long before its deadline: nothing is live but the newest.
            deadlines.arm(n, &mut None, Some(start + Duration::from_secs(32)));
            deadlines.sweep(1, |_, key| key == n);
        }
        assert!(deadlines.len() <= SWEEP_FLOOR + 2, "{}", deadlines.len());
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // an origin for virtual time
    fn a_deadline_that_moves_later_costs_no_entry_and_one_that_moves_earlier_does() {
        let start = Instant::now();
        let (mut deadlines, mut armed) = (Deadlines::new(), None);
        for after in [5, 9, 2] {
            deadlines.arm((), &mut armed, Some(start + Duration::from_secs(after)));
        }
        assert_eq!((deadlines.len(), deadlines.next()), (2, Some(start + Duration::from_secs(2))));
        assert_eq!(deadlines.pop(start + Duration::from_secs(1)), None);
    }
}
