//! The queue of deadlines: a binary heap with lazy deletion.
//!
//! Each transaction has at most one entry that counts, for its earliest deadline; a machine whose deadline moves later keeps
//! the entry and sets itself again when it comes up. Entries whose transaction ended early are skipped, and swept once
//! they are the greater part, so the heap stays within twice the live transactions (and a floor).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Below this many entries sweeping isn't worth it.
const SWEEP_FLOOR: usize = 1024;

/// When a machine's entry comes up; `None` where it has none.
pub(super) type Armed = Option<Instant>;

#[derive(Debug)]
pub(super) struct Queue<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Ord + Copy> Queue<K> {
    pub(super) fn new() -> Queue<K> {
        Queue { heap: BinaryHeap::new() }
    }

    /// Sees to it that `key` comes up no later than at its `deadline`.
    pub(super) fn arm(&mut self, key: K, armed: &mut Armed, deadline: Option<Instant>) {
        if let Some(at) = deadline
            && armed.is_none_or(|armed| at < armed)
        {
            *armed = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// The next entry that is due, outdated ones too.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Never later than the earliest deadline; earlier where an outdated entry stands in front.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Throws outdated entries away if they are the greater part.
    pub(super) fn sweep(&mut self, live: usize, counts: impl Fn(Instant, K) -> bool) {
        if self.heap.len() > SWEEP_FLOOR + 2 * live {
            self.heap.retain(|Reverse((at, key))| counts(*at, *key));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
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
        let mut queue = Queue::new();
        for n in 0..100_000u32 {
            // Each ends long before its deadline: nothing is live but the newest.
            queue.arm(n, &mut None, Some(start + Duration::from_secs(32)));
            queue.sweep(1, |_, key| key == n);
        }
        assert!(queue.len() <= SWEEP_FLOOR + 2, "{}", queue.len());
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // an origin for virtual time
    fn a_deadline_that_moves_later_costs_no_entry_and_one_that_moves_earlier_does() {
        let start = Instant::now();
        let (mut queue, mut armed) = (Queue::new(), None);
        for after in [5, 9, 2] {
            queue.arm((), &mut armed, Some(start + Duration::from_secs(after)));
        }
        assert_eq!((queue.len(), queue.next()), (2, Some(start + Duration::from_secs(2))));
        assert_eq!(queue.pop(start + Duration::from_secs(1)), None);
    }
}
