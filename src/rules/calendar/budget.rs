//! How much reading the recurrences of one domain may cost. A rule of two lines can name any day between 1800 and 2100, and a file can hold
//! thousands of such rules: each is cheap, and all of them together are not. So every day that is looked at is paid for.

/// Days that the recurrence rules and iCalendar files of one domain may look at together: a thousand rules without `from`, which look at
/// each day of the horizon. Some seconds; a domain that wants more is refused (`too-many-days`).
const LOOKS_MAX: u64 = 50_000_000;
/// So many values of a rule are compared with a day for one look.
const VALUES_A_LOOK: u64 = 16;

/// What is left.
#[derive(Debug)]
pub struct LookBudget {
    left: u64,
}

/// Nothing is left: whatever was being read is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

impl Default for LookBudget {
    fn default() -> LookBudget {
        LookBudget { left: LOOKS_MAX }
    }
}

impl LookBudget {
    #[cfg(test)]
    pub(super) fn of(left: u64) -> LookBudget {
        LookBudget { left }
    }

    /// Pays for looking at so many days. What can't be paid takes the rest: nothing that follows is read, either.
    pub(super) fn spend(&mut self, days: usize) -> Result<(), Spent> {
        match self.left.checked_sub(days as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Spent)
            }
        }
    }

    /// The same, each day compared with so many values.
    pub(super) fn compare(&mut self, days: usize, values: usize) -> Result<(), Spent> {
        let looks = (days as u64).saturating_mul(1 + values as u64 / VALUES_A_LOOK);
        self.spend(usize::try_from(looks).unwrap_or(usize::MAX))
    }
}

impl Spent {
    /// What is wrong, and what to do instead.
    #[must_use]
    pub fn says(self) -> String {
        format!(
            "reading the recurrences of this domain would look at more than {LOOKS_MAX} days: give them a later beginning, or write fewer"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_stays_spent_and_many_values_cost_more() {
        let mut budget = LookBudget::of(100);
        assert_eq!(budget.spend(40), Ok(()));
        assert_eq!(budget.compare(10, 4), Ok(()));
        assert_eq!(budget.compare(10, 64), Ok(()));
        assert_eq!(budget.spend(1), Err(Spent), "40, 10, and 10 five times over");
        assert_eq!(LookBudget::of(10).spend(11), Err(Spent));
        let mut empty = LookBudget::of(10);
        assert_eq!((empty.spend(11), empty.spend(1)), (Err(Spent), Err(Spent)));
    }
}
