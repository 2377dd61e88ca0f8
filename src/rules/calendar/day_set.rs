//! A set of days between two years, one bit a day: what recurrences come down to, so that asking is one look at memory.
//!
//! The horizon is 1970-01-01 to 2100-12-31 (47,847 days). A set holds the words between its first day and its last, so it
//! takes 6 KB at most. Days outside the horizon are in no set.

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

/// The first and the last day that a set can hold.
pub const FIRST: Date = date(1970, 1, 1);
pub const LAST: Date = date(2100, 12, 31);

const WORD_BITS: u32 = u64::BITS;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySet {
    /// Words of the horizon before the first one here.
    skipped: u32,
    words: Box<[u64]>,
}

/// The number of a day in the horizon.
pub(super) fn number(date: Date) -> Option<u32> {
    if !(FIRST..=LAST).contains(&date) {
        return None;
    }
    u32::try_from(FIRST.until(date).ok()?.get_days()).ok()
}

/// The day of a number in the horizon.
pub(super) fn day(number: u32) -> Option<Date> {
    let days = jiff::Span::new().try_days(number).ok()?;
    FIRST.checked_add(days).ok().filter(|date| *date <= LAST)
}

impl DaySet {
    /// Of numbers of days, in any order.
    pub(super) fn of(days: &[u32]) -> DaySet {
        let (Some(least), Some(most)) = (days.iter().min(), days.iter().max()) else {
            return DaySet::default();
        };
        let skipped = least / WORD_BITS;
        let mut words = vec![0_u64; (most / WORD_BITS - skipped + 1) as usize];
        for day in days {
            if let Some(word) = words.get_mut((day / WORD_BITS - skipped) as usize) {
                *word |= 1 << (day % WORD_BITS);
            }
        }
        DaySet { skipped, words: words.into() }
    }

    /// No allocation, no loop.
    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        number(date).is_some_and(|number| self.has(number))
    }

    fn has(&self, number: u32) -> bool {
        let word = (number / WORD_BITS).checked_sub(self.skipped).and_then(|at| self.words.get(at as usize));
        word.is_some_and(|word| word >> (number % WORD_BITS) & 1 == 1)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many days.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The days in order.
    pub fn days(&self) -> impl Iterator<Item = Date> + '_ {
        let from = self.skipped * WORD_BITS;
        let to = from + u32::try_from(self.words.len()).unwrap_or(0) * WORD_BITS;
        (from..to).filter(|number| self.has(*number)).filter_map(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_horizon_has_both_its_ends() {
        assert_eq!(number(FIRST), Some(0));
        assert_eq!(number(LAST), Some(47_846));
        assert_eq!(day(47_846), Some(LAST));
        assert_eq!((number(date(1969, 12, 31)), number(date(2101, 1, 1)), day(47_847)), (None, None, None));
        let ends = DaySet::of(&[0, 47_846]);
        assert!(ends.contains(FIRST) && ends.contains(LAST) && !ends.contains(date(2026, 1, 1)));
        assert!(ends.words.len() * 8 < 6_000);
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in_and_nothing_else(days in proptest::collection::btree_set(0..47_847_u32, 0..40), other in 0..47_847_u32) {
            let list: Vec<u32> = days.iter().copied().collect();
            let set = DaySet::of(&list);
            prop_assert_eq!(set.days().filter_map(number).collect::<Vec<_>>(), list);
            prop_assert_eq!(set.len(), days.len());
            prop_assert_eq!(set.contains(day(other).unwrap()), days.contains(&other));
        }
    }
}
