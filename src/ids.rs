//! Everything unpredictable that the core needs: tags, branches, Call-IDs, call ids. Made from a seed that the caller passes, so
//! that a simulated run repeats to the byte, and a real one can't be guessed (RFC 3261 §19.3 asks for 32 random bits in a tag).

use crate::clock::Now;
use sha2::{Digest as _, Sha256};

/// A counter under SHA-256: each block gives four words.
#[derive(Debug)]
pub struct Ids {
    seed: [u8; 32],
    block: u64,
    words: [u64; 4],
    left: usize,
    node: u16,
    last_call: u64,
}

impl Ids {
    #[must_use]
    pub fn new(seed: [u8; 32], node: u16) -> Ids {
        Ids { seed, block: 0, words: [0; 4], left: 0, node, last_call: 0 }
    }

    /// Sixty-four unpredictable bits.
    pub fn word(&mut self) -> u64 {
        if self.left == 0 {
            self.refill();
        }
        self.left -= 1;
        self.words[self.left]
    }

    /// Key material for others (nonces), independent of the words given out.
    #[must_use]
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.seed).chain_update(purpose).finalize().into()
    }

    /// A Call-ID of ours (RFC 3261 §8.1.1.4).
    pub fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.word(), self.word())
    }

    /// The id of a call: sorts by time, carries the node. Milliseconds (12 hex digits) and a counter (4), then the node.
    pub fn call_record_id(&mut self, now: Now) -> String {
        let milliseconds = u64::try_from(now.wall.as_millisecond()).unwrap_or(0);
        // The store would take the smallest for the oldest. None of ours is so large that it could not be counted up.
        self.last_call = self.last_call.saturating_add(1).max(milliseconds << 16);
        format!("{:016x}-{:x}", self.last_call, self.node)
    }

    /// Ids of calls sort after this one from now on: it was given out before a restart, and the wall clock may have been set back since.
    pub fn go_on_after(&mut self, id: &str) {
        let number = id.split('-').next().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        self.last_call = self.last_call.max(number.unwrap_or(0));
    }

    fn refill(&mut self) {
        let block = Sha256::new().chain_update(self.seed).chain_update(self.block.to_le_bytes()).finalize();
        self.block += 1;
        for (word, bytes) in self.words.iter_mut().zip(block.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        self.left = self.words.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_words_and_another_does_not() {
        let words = |seed| {
            let mut ids = Ids::new([seed; 32], 0);
            (0..9).map(|_| ids.word()).collect::<Vec<_>>()
        };
        assert_eq!(words(1), words(1));
        assert_ne!(words(1), words(2));
        let mut unique = words(1);
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), 9);
    }

    #[test]
    fn call_ids_sort_by_time_even_within_one_millisecond() {
        let mut ids = Ids::new([0; 32], 7);
        let now = crate::net::clock::now();
        let (first, second) = (ids.call_record_id(now), ids.call_record_id(now));
        assert!(first < second, "{first} {second}");
        assert!(first.ends_with("-7"));
    }

    #[test]
    fn call_ids_sort_by_time_even_where_the_clock_is_set_back_and_after_a_restart() {
        let mut ids = Ids::new([0; 32], 0);
        let now = crate::net::clock::now();
        let yesterday = Now { wall: now.wall - jiff::SignedDuration::from_hours(24), ..now };
        let (first, second) = (ids.call_record_id(now), ids.call_record_id(yesterday));
        assert!(first < second, "{first} {second}");
        let mut again = Ids::new([1; 32], 0);
        again.go_on_after(&second);
        let third = again.call_record_id(yesterday);
        assert!(second < third, "{second} {third}");
        for odd in ["", "-", "ffffffffffffffffff-0", "none"] {
            again.go_on_after(odd);
        }
        assert!(third < again.call_record_id(yesterday));
        again.go_on_after("ffffffffffffffff-0");
        assert_eq!(again.call_record_id(now), "ffffffffffffffff-0", "no overflow");
    }
}
