//! Budgets that are used up: the calls that still talk are ended, and it is counted.

use super::{Counters, Switch};
use crate::call::charged::BudgetStop;
use crate::call::office::CallKey;
use crate::clock::Now;

impl Switch {
    /// Ends the calls of every account whose time is used up. Looks through all calls, which happens once a budget
    /// and day, and once a second while somebody who has used theirs up is in an emergency call.
    pub(super) fn end_overspent(&mut self, now: Now) {
        for account in self.office.budgets.timeout(now) {
            let spends = self.calls.iter().filter(|(_, call)| call.spends(account));
            let keys: Vec<CallKey> = spends.map(|(key, _)| key).collect();
            for key in keys {
                self.with_call(key, |call, office| call.overspent(office, now, account));
            }
        }
    }
}

impl Counters {
    pub(super) fn count_stop(&mut self, stop: &BudgetStop) {
        let counter = if stop.ended { &mut self.budget_ends_total } else { &mut self.budget_refusals_total };
        *counter += 1;
    }
}
