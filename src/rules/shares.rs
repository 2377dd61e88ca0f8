//! Work on many things that know nothing of one another, by all processors.
//!
//! Invariant: what comes back is in the order of the things, so nobody can tell how many took part. Not for what is shared and changed
//! while it goes on: each share has its own, and whoever asked puts them together.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Several a thread, so that one that is held up keeps nobody waiting long.
const SHARES_A_THREAD: usize = 4;

/// Does the work on shares of the items, each of at least `least` items (but for the last one), and gives what came of each, in order.
/// One share, in this thread, where there are no more items than that.
pub(super) fn in_shares<'i, I: Sync, O: Send>(
    items: &'i [I],
    least: usize,
    work: impl Fn(&'i [I]) -> O + Sync,
) -> Vec<O> {
    let threads = threads();
    let share = items.len().div_ceil(threads * SHARES_A_THREAD).max(least).max(1);
    if threads == 1 || items.len() <= share {
        return vec![work(items)];
    }
    let shares: Vec<&'i [I]> = items.chunks(share).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(share) = shares.get(at) else { return done };
            done.push((at, work(share)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        // A thread that the system refuses is one fewer: the others do its share.
        let others: Vec<_> = (1..threads.min(shares.len()))
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, take).ok())
            .collect();
        let mut done = take();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, came)| came).collect()
}

/// How many can work at once. Asked once: the answer is read from files.
fn threads() -> usize {
    #[cfg(test)]
    if let Some(threads) = GIVEN.get() {
        return threads;
    }
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
thread_local! {
    static GIVEN: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

/// Whatever is done by so many threads, however many the machine has.
#[cfg(test)]
pub(super) fn by_threads<T>(threads: usize, work: impl FnOnce() -> T) -> T {
    let before = GIVEN.replace(Some(threads));
    let came = work();
    GIVEN.set(before);
    came
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_comes_of_the_shares_stands_in_the_order_of_the_items(
            items: Vec<u32>,
            least in 0_usize..9,
            threads in 1_usize..5,
        ) {
            let shares = by_threads(threads, || in_shares(&items, least, <[u32]>::to_vec));
            prop_assert!(shares.iter().rev().skip(1).all(|share| share.len() >= least));
            prop_assert_eq!(shares.concat(), items);
        }
    }

    #[test]
    #[should_panic(expected = "a fault of one share")]
    fn a_panic_of_one_share_is_a_panic_of_the_whole() {
        let items: Vec<usize> = (0..100).collect();
        by_threads(3, || in_shares(&items, 1, |share| assert!(!share.contains(&77), "a fault of one share")));
    }
}
