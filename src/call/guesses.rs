//! Wrong PINs, counted over all calls: a PIN is not found out by calling again and again.
//!
//! They are counted by conference and by where the call comes from, a device or a trunk: what number a trunk says is its caller's to choose. Who
//! guesses from outside shuts the outside out, and nobody else.
//!
//! Bound: [`SOURCES_MAX`] of them; at the limit the one whose wrong PINs have been forgiven for longest is forgotten.

use super::office::Named;
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// Wrong PINs from one source before it may not try any more: four calls of three.
pub const WRONG_MAX: u32 = 12;
/// One wrong PIN is forgiven each: four digits take a month.
pub const FORGIVEN_EVERY: Duration = Duration::from_secs(300);
pub const SOURCES_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub struct Guesses {
    wrong: FxHashMap<(Named, Box<str>), Wrong>,
}

/// Not forgiven yet, as of then.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    as_of: Instant,
}

impl Wrong {
    fn at(self, now: Instant) -> Wrong {
        let passed = now.saturating_duration_since(self.as_of).as_secs() / FORGIVEN_EVERY.as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        Wrong {
            count: self.count.saturating_sub(passed),
            as_of: self.as_of + FORGIVEN_EVERY.saturating_mul(passed),
        }
    }
}

impl Guesses {
    /// Sources that have given wrong PINs.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.wrong.len()
    }

    /// Whether whoever calls from there may not try any more, and for how long.
    #[must_use]
    pub fn shut_out(&self, now: Instant, conference: &Named, source: &str) -> Option<Duration> {
        let wrong = self.wrong.get(&(conference.clone(), source.into()))?.at(now);
        let ends = wrong.as_of + FORGIVEN_EVERY;
        (wrong.count >= WRONG_MAX).then(|| ends.saturating_duration_since(now))
    }

    /// A PIN is looked at. It counts as wrong until it has turned out to be right: many calls at once have no more tries than one.
    pub fn tried(&mut self, now: Instant, conference: &Named, source: &str) {
        let key = (conference.clone(), source.into());
        if self.wrong.len() >= SOURCES_MAX && !self.wrong.contains_key(&key) {
            let oldest = self.wrong.iter().min_by_key(|(_, wrong)| wrong.as_of).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.wrong.remove(&key));
        }
        let before = self.wrong.get(&key).map(|wrong| wrong.at(now)).filter(|wrong| wrong.count > 0);
        let wrong = before.unwrap_or(Wrong { count: 0, as_of: now });
        self.wrong.insert(key, Wrong { count: wrong.count.saturating_add(1), ..wrong });
    }

    /// It was right. That forgives no other one: who knows the one PIN of a conference may be after the other.
    pub fn right(&mut self, now: Instant, conference: &Named, source: &str) {
        let key = (conference.clone(), source.into());
        let Some(wrong) = self.wrong.get_mut(&key) else { return };
        *wrong = wrong.at(now);
        wrong.count = wrong.count.saturating_sub(1);
        if wrong.count == 0 {
            self.wrong.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms() -> (Guesses, Instant, Named, Named) {
        let named = |name: &str| ("pbx.example".into(), name.into());
        (Guesses::default(), crate::net::clock::mono(), named("board"), named("sales"))
    }

    #[test]
    fn one_who_guesses_may_not_go_on_there_and_time_forgives() {
        let (mut guesses, now, board, sales) = rooms();
        for _ in 0..WRONG_MAX {
            assert_eq!(guesses.shut_out(now, &board, "trunk:line"), None);
            guesses.tried(now, &board, "trunk:line");
        }
        assert_eq!(guesses.shut_out(now, &board, "trunk:line"), Some(FORGIVEN_EVERY));
        assert_eq!(guesses.shut_out(now, &board, "device:ann1"), None);
        assert_eq!(guesses.shut_out(now, &sales, "trunk:line"), None);
        let later = now + FORGIVEN_EVERY;
        assert_eq!(
            guesses.shut_out(later - Duration::from_secs(1), &board, "trunk:line"),
            Some(Duration::from_secs(1))
        );
        assert_eq!(guesses.shut_out(later, &board, "trunk:line"), None);
        guesses.tried(later, &board, "trunk:line");
        assert_eq!(guesses.shut_out(later, &board, "trunk:line"), Some(FORGIVEN_EVERY), "one more each");
    }

    #[test]
    fn right_ones_count_for_nothing_and_forgive_nothing() {
        let (mut guesses, now, board, _) = rooms();
        for _ in 0..100 {
            guesses.tried(now, &board, "trunk:line");
            guesses.right(now, &board, "trunk:line");
        }
        assert_eq!(guesses.sources(), 0);
        for _ in 0..WRONG_MAX {
            assert_eq!(guesses.shut_out(now, &board, "trunk:line"), None);
            guesses.tried(now, &board, "trunk:line"); // for the moderator's
            guesses.tried(now, &board, "trunk:line"); // the participants', which is known
            guesses.right(now, &board, "trunk:line");
        }
        assert_eq!(guesses.shut_out(now, &board, "trunk:line"), Some(FORGIVEN_EVERY));
    }

    #[test]
    fn the_table_has_an_end() {
        let (mut guesses, now, board, _) = rooms();
        for n in 0..2 * SOURCES_MAX {
            guesses.tried(now + Duration::from_millis(n as u64), &board, &format!("device:{n}"));
        }
        assert_eq!(guesses.wrong.len(), SOURCES_MAX);
        assert!(guesses.wrong.contains_key(&(board, format!("device:{}", 2 * SOURCES_MAX - 1).into())));
    }
}
