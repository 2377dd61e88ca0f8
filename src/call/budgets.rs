//! What users have used of their budgets: which of their legs to the outside are up, which were begun in the last hour, how long they
//! have talked since midnight, and when that is all that they may (toll fraud).
//!
//! What it is not: it refuses nobody and ends nothing; the rules, the leg that is to begin and the switch ask it.
//!
//! Invariants: a leg counts from when it is begun until its [`Ticket`] is dropped, wherever it has gone meanwhile, so that no way out
//! of a call is forgotten, and not a moment longer. Time runs while it is answered, and is counted up to each change. Everything that
//! changes an account with a limit is noted for the store, and while somebody talks once in [`NOTED_EVERY`]: a crash forgives no more
//! than that. Legs without a limit count, too: rules that are applied may give them one. Limits are those of the rules now in force.
//! Nothing lies ahead of the wall clock, also where that has been set back: nobody is shut out for as long as it was ahead.

mod account;

use crate::clock::Now;
use crate::rules::model::{Budget, Limit, Spent};
use crate::rules::{Charge, Ruleset};
use account::{Account, Leg};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Accounts that are kept. Whoever has used nothing today and has nothing up is forgotten; beyond it the call of one more is stopped: a
/// limit that can't be counted is no limit.
pub const ACCOUNTS_MAX: usize = 1 << 20;
/// How often talking that goes on is noted for the store.
pub const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Accounts from which on those that have used nothing are looked for.
const SWEEP_FLOOR: usize = 1024;
/// Accounts stand in so many rows: whose ticket has come back is looked for in one of them.
const ROWS: u64 = 64;
/// Whoever is not gone when their time is used up is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A user's budget of a class.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountKey {
    pub domain: Arc<str>,
    pub user: Arc<str>,
    pub class: Arc<str>,
}

/// What is stored of an account: all but what is up, which no restart leaves so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub key: AccountKey,
    /// The midnight at which `talked_ms` is forgotten.
    pub until: Timestamp,
    pub talked_ms: u64,
    /// When the legs of the last hour were begun; as many as a limit can count.
    pub begun: Vec<Timestamp>,
    /// When this was so.
    pub noted: Timestamp,
}

/// A leg that counts; held by it, and by each branch that it goes by. When the last of them lets go, it counts no more.
#[derive(Debug)]
pub struct Ticket {
    account: u64,
    /// When it was begun: what it has added to the calls of the hour.
    begun: Timestamp,
    /// A bit a row: somebody's has come back there.
    returned: Arc<AtomicU64>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.returned.fetch_or(1 << row(self.account), Ordering::Relaxed);
    }
}

impl Ticket {
    /// The account that it counts against.
    #[must_use]
    pub fn account(&self) -> u64 {
        self.account
    }
}

fn row(account: u64) -> u64 {
    account % ROWS
}

/// Every account that has been used.
#[derive(Debug, Default)]
pub struct Budgets {
    by_key: FxHashMap<AccountKey, u64>,
    accounts: FxHashMap<u64, Account>,
    /// Accounts so far: names them.
    named: u64,
    dues: BTreeSet<(Instant, u64)>,
    /// Accounts with legs up, by row.
    up: BTreeSet<(u64, u64)>,
    /// See [`Ticket`].
    returned: Arc<AtomicU64>,
    /// The wall clock, as last seen.
    wall: Option<Timestamp>,
    /// Those in force.
    rules: Arc<Ruleset>,
    notes: Vec<Usage>,
    sweep_at: usize,
}

impl Budgets {
    /// A leg is to begin; `Ok(None)`: it has no limit, and there is no room to count it.
    ///
    /// # Errors
    /// What does not let it.
    pub fn begin(
        &mut self,
        now: Now,
        (domain, charge): (&Arc<str>, &Charge),
        zone: &str,
    ) -> Result<Option<Arc<Ticket>>, (Limit, Box<Charge>)> {
        self.settle(now);
        let key =
            AccountKey { domain: domain.clone(), user: charge.user.clone(), class: charge.class.clone() };
        // Who is gone from the rules goes by those that the call began with.
        let budget = limits(&self.rules, &key).unwrap_or_else(|| charge.budget.clone());
        let Some((number, account)) = self.account(now, key, zone) else {
            // A limit that can't be counted is no limit.
            return budget.map_or(Ok(None), |_| Err((Limit::CallsAtOnce, Box::new(charge.clone()))));
        };
        account.count(now);
        account.limit(budget.as_ref());
        let spent = account.spent(now);
        if let Some(limit) = budget.as_ref().and_then(|budget| budget.stops(&spent)) {
            return Err((limit, Box::new(Charge { budget, spent, ..charge.clone() })));
        }
        account.begin(now.wall, budget.and_then(|budget| budget.calls_per_hour));
        let ticket = Ticket { account: number, begun: now.wall, returned: self.returned.clone() };
        let ticket = Arc::new(ticket);
        if let Some(account) = self.accounts.get_mut(&number) {
            account.legs.push(Leg { held: Arc::downgrade(&ticket), talks: None });
        }
        self.up.insert((row(number), number));
        self.changed(now, number);
        Ok(Some(ticket))
    }

    /// The budget by the rules now in force; `None`: they know no such user.
    #[must_use]
    pub fn in_force(&self, domain: &Arc<str>, user: &str, class: &str) -> Option<Option<Budget>> {
        let domain = self.rules.domain(domain)?;
        domain.user(user)?;
        Some(domain.budget(user, class).cloned())
    }

    /// A leg that no place has taken, or that is made anew at once in another call, is none of the hour's calls.
    pub fn forgive(&mut self, now: Now, ticket: &Ticket) {
        let Some(account) = self.accounts.get_mut(&ticket.account) else { return };
        account.forgive(ticket.begun);
        self.changed(now, ticket.account);
    }

    /// Its account, made where there is none; `None`: there are too many.
    fn account(&mut self, now: Now, key: AccountKey, zone: &str) -> Option<(u64, &mut Account)> {
        let known = self.by_key.get(&key).copied();
        if known.is_none() && self.accounts.len() >= self.sweep_at.max(SWEEP_FLOOR) {
            self.sweep(now);
        }
        if known.is_none() && self.accounts.len() >= ACCOUNTS_MAX {
            return None;
        }
        let number = known.unwrap_or_else(|| self.open(Account::new(key, now, zone)));
        let account = self.accounts.get_mut(&number)?;
        account.lives_by(zone);
        Some((number, account))
    }

    fn open(&mut self, account: Account) -> u64 {
        self.named += 1;
        self.by_key.insert(account.key.clone(), self.named);
        self.accounts.insert(self.named, account);
        self.named
    }

    /// Forgets the accounts that have used nothing.
    fn sweep(&mut self, now: Now) {
        let by_key = &mut self.by_key;
        self.accounts.retain(|_, account| {
            let stays = !account.is_idle(now);
            if !stays {
                by_key.remove(&account.key);
            }
            stays
        });
        self.sweep_at = self.accounts.len().saturating_mul(2);
    }

    /// From before the restart.
    pub fn restore(&mut self, now: Now, usage: Usage) {
        if self.accounts.len() < ACCOUNTS_MAX && !self.by_key.contains_key(&usage.key) {
            let budget = limits(&self.rules, &usage.key).flatten();
            let mut account = Account::restored(now, usage);
            account.limit(budget.as_ref());
            self.open(account);
        }
    }

    /// Somebody has answered: from now on it talks.
    pub fn answered(&mut self, now: Now, ticket: &Ticket) {
        let Some(account) = self.accounts.get_mut(&ticket.account) else { return };
        account.count(now);
        let is_it = |leg: &&mut Leg| std::ptr::eq(leg.held.as_ptr(), ticket);
        if let Some(leg) = account.legs.iter_mut().find(is_it).filter(|leg| leg.talks.is_none()) {
            leg.talks = Some(now.mono);
        }
        self.changed(now, ticket.account);
    }

    /// Counts no more what has ended, and nothing ahead of a wall clock that was set back. To be called after anything that may have
    /// ended a leg, with the same `now`.
    pub fn settle(&mut self, now: Now) {
        let before = self.wall.replace(now.wall);
        if before.is_some_and(|before| now.wall < before) {
            self.set_back(now);
        }
        if self.returned.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut rows = self.returned.swap(0, Ordering::Relaxed);
        while rows != 0 {
            let row = u64::from(rows.trailing_zeros());
            rows &= rows - 1;
            let row: Vec<u64> =
                self.up.range((row, 0)..=(row, u64::MAX)).map(|(_, number)| *number).collect();
            row.into_iter().for_each(|number| self.end(now, number));
        }
    }

    /// Legs of this account may have ended.
    fn end(&mut self, now: Now, number: u64) {
        let Some(account) = self.accounts.get_mut(&number).filter(|it| !it.legs.iter().all(Leg::is_up))
        else {
            return;
        };
        account.count(now);
        account.legs.retain(Leg::is_up);
        if account.legs.is_empty() {
            self.up.remove(&(row(number), number));
        }
        self.changed(now, number);
    }

    fn set_back(&mut self, now: Now) {
        let ahead =
            self.accounts.iter_mut().filter_map(|(number, it)| it.set_back(now.wall).then_some(*number));
        let ahead: Vec<u64> = ahead.collect();
        ahead.into_iter().for_each(|number| self.changed(now, number));
    }

    fn changed(&mut self, now: Now, number: u64) {
        let Some(account) = self.accounts.get(&number) else { return };
        if account.is_limited {
            self.notes.push(account.usage(now));
        }
        let due = account.wants(now);
        self.arm(number, due);
    }

    fn arm(&mut self, number: u64, due: Option<Instant>) {
        let Some(account) = self.accounts.get_mut(&number) else { return };
        if let Some(earlier) = std::mem::replace(&mut account.due, due) {
            self.dues.remove(&(earlier, number));
        }
        self.dues.extend(due.map(|due| (due, number)));
    }

    /// The accounts whose time is used up while somebody talks on it: their calls are to be ended.
    pub fn timeout(&mut self, now: Now) -> Vec<u64> {
        let mut used_up = Vec::new();
        while let Some((_, number)) = self.dues.first().copied().filter(|(due, _)| *due <= now.mono) {
            let Some(account) = self.accounts.get_mut(&number) else {
                self.dues.pop_first();
                continue;
            };
            account.count(now);
            let is_over = account.time_per_day.is_some_and(|limit| account.talked >= limit);
            self.changed(now, number);
            if is_over {
                used_up.push(number);
                self.arm(number, Some(now.mono + AGAIN_AFTER));
            }
        }
        used_up
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// Whose an account is.
    #[must_use]
    pub fn key(&self, account: u64) -> Option<&AccountKey> {
        self.accounts.get(&account).map(|account| &account.key)
    }

    /// What has been used of a budget.
    #[must_use]
    pub fn spent(&self, now: Now, domain: &Arc<str>, user: &str, class: &str) -> Spent {
        if self.accounts.is_empty() {
            return Spent::default();
        }
        let key = AccountKey { domain: domain.clone(), user: user.into(), class: class.into() };
        let account = self.by_key.get(&key).and_then(|number| self.accounts.get(number));
        account.map(|account| account.spent(now)).unwrap_or_default()
    }

    /// Other rules: what has been used counts by their limits, and what is talked on goes on by them.
    pub fn rules_changed(&mut self, now: Now, rules: &Arc<Ruleset>) {
        self.settle(now);
        self.rules = rules.clone();
        let mut changed = Vec::new();
        for (number, account) in &mut self.accounts {
            let Some(budget) = limits(rules, &account.key) else { continue };
            account.count(now);
            let begins = budget.is_some() && !account.is_limited;
            account.limit(budget.as_ref());
            if begins || !account.legs.is_empty() {
                changed.push(*number);
            }
        }
        changed.into_iter().for_each(|number| self.changed(now, number));
    }

    /// What is to be stored.
    pub fn take_notes(&mut self) -> Vec<Usage> {
        std::mem::take(&mut self.notes)
    }
}

/// The limits of an account by these rules; `None`: they know no such user.
fn limits(rules: &Ruleset, key: &AccountKey) -> Option<Option<Budget>> {
    let domain = rules.domain(&key.domain)?;
    domain.user(&key.user)?;
    Some(domain.budget(&key.user, &key.class).cloned())
}

#[cfg(test)]
mod tests;
