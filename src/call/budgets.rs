//! What users have used of their budgets: which of their legs to the outside are up, which were begun in the last hour, how long they
//! have talked since midnight, and when that is all that they may (toll fraud).
//!
//! What it is not: it refuses nobody and ends nothing; the rules, the leg that is to begin and the switch ask it.
//!
//! Invariants: a leg counts from when it is begun until its [`Ticket`] is dropped, wherever it has gone meanwhile, so that no way out
//! of a call is forgotten. Time runs while it is answered, and is counted up to each change. Everything that changes an account is
//! noted for the store, and while somebody talks once in [`NOTED_EVERY`]: a crash forgives no more than that.

use crate::clock::Now;
use crate::rules::model::{Budget, Limit, Spent};
use crate::rules::{Charge, Ruleset};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Accounts that are kept. Whoever has used nothing today and has nothing up is forgotten; beyond it the call of one more is stopped: a
/// limit that can't be counted is no limit.
pub const ACCOUNTS_MAX: usize = 1 << 20;
/// How often talking that goes on is noted for the store.
pub const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Accounts from which on those that have used nothing are looked for.
const SWEEP_FLOOR: usize = 1024;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Rounding must not make a deadline of now.
const DUE_AFTER_MIN: Duration = Duration::from_millis(1);
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

/// A leg that counts; held by it. Dropped, it counts no more.
#[derive(Debug)]
pub struct Ticket {
    account: u64,
    number: u64,
    returned: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Never contended: calls and accounts are one thread's.
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.push((self.account, self.number));
    }
}

impl Ticket {
    /// The account that it counts against.
    #[must_use]
    pub fn account(&self) -> u64 {
        self.account
    }
}

#[derive(Debug)]
struct Leg {
    ticket: u64,
    /// Counted up to then; `None`: it rings.
    talks: Option<Instant>,
}

#[derive(Debug)]
struct Account {
    key: AccountKey,
    /// What is left when the day is over is asked by this.
    zone: TimeZone,
    until: Timestamp,
    talked: Duration,
    begun: VecDeque<Timestamp>,
    legs: Vec<Leg>,
    time_per_day: Option<Duration>,
    due: Option<Instant>,
}

/// Every account that has been used.
#[derive(Debug, Default)]
pub struct Budgets {
    by_key: FxHashMap<AccountKey, u64>,
    accounts: FxHashMap<u64, Account>,
    /// Accounts and tickets so far: they name both.
    named: u64,
    dues: BTreeSet<(Instant, u64)>,
    /// Tickets that are out, and those that have come back.
    out: usize,
    returned: Arc<Mutex<Vec<(u64, u64)>>>,
    notes: Vec<Usage>,
    sweep_at: usize,
}

impl Account {
    /// Counts up to now what is talked, from midnight on where one has passed.
    fn count(&mut self, now: Now) {
        let mut today = None;
        if now.wall >= self.until {
            let since = now.wall.duration_since(self.until).unsigned_abs();
            let midnight = before(&self.zone, now.wall).map(|at| now.wall.duration_since(at).unsigned_abs());
            today = Some(midnight.unwrap_or(since).min(since));
            self.talked = Duration::ZERO;
            self.until = midnight_after(&self.zone, now.wall);
        }
        for since in self.legs.iter_mut().filter_map(|leg| leg.talks.as_mut()) {
            let talked = now.mono.saturating_duration_since(*since);
            self.talked = self.talked.saturating_add(today.map_or(talked, |today| talked.min(today)));
            *since = now.mono;
        }
        while self.begun.front().is_some_and(|at| now.wall.duration_since(*at) >= HOUR) {
            self.begun.pop_front();
        }
    }

    /// The same without counting: as it stands now.
    fn spent(&self, now: Now) -> Spent {
        let is_today = now.wall < self.until;
        let talks = self.legs.iter().filter_map(|leg| leg.talks);
        let running: Duration = talks.map(|since| now.mono.saturating_duration_since(since)).sum();
        let recent = self.begun.iter().filter(|at| now.wall.duration_since(**at) < HOUR);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Spent {
            calls_at_once: number(self.legs.len()),
            calls_per_hour: number(recent.count()),
            time_per_day: if is_today { self.talked.saturating_add(running) } else { Duration::ZERO },
        }
    }

    /// When it has to be looked at again: its time is used up, the day is over, or it is to be noted.
    fn wants(&self, now: Now) -> Option<Instant> {
        let talking = u32::try_from(self.legs.iter().filter(|leg| leg.talks.is_some()).count()).ok()?;
        if talking == 0 {
            return None;
        }
        let left = self.time_per_day.map(|limit| limit.saturating_sub(self.talked) / talking);
        let midnight = self.until.duration_since(now.wall).unsigned_abs();
        let next = left.into_iter().fold(midnight.min(NOTED_EVERY), Duration::min);
        Some(now.mono + next.max(DUE_AFTER_MIN))
    }

    fn is_idle(&self, now: Now) -> bool {
        let spent = self.spent(now);
        self.legs.is_empty() && spent.calls_per_hour == 0 && spent.time_per_day.is_zero()
    }

    fn usage(&self, now: Now) -> Usage {
        Usage {
            key: self.key.clone(),
            until: self.until,
            talked_ms: u64::try_from(self.talked.as_millis()).unwrap_or(u64::MAX),
            begun: self.begun.iter().copied().collect(),
            noted: now.wall,
        }
    }
}

/// The first moment of that day.
fn before(zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    zone.to_datetime(at).date().to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}

/// The first moment of the next day; a day from now where the calendar ends.
fn midnight_after(zone: &TimeZone, at: Timestamp) -> Timestamp {
    let next = zone.to_datetime(at).date().tomorrow().and_then(|date| date.to_zoned(zone.clone()));
    next.map(|zoned| zoned.timestamp()).unwrap_or_else(|_| at.saturating_add(24.hours()).unwrap_or(at))
}

impl Budgets {
    /// A leg is to begin. `goes_on`: it has begun already, by another way, and goes on by this one.
    ///
    /// # Errors
    /// What does not let it.
    pub fn begin(
        &mut self,
        now: Now,
        (domain, charge): (&Arc<str>, &Charge),
        zone: &str,
        goes_on: bool,
    ) -> Result<Ticket, (Limit, Spent)> {
        self.settle(now);
        let Charge { user, class, budget, .. } = charge;
        let key = AccountKey { domain: domain.clone(), user: user.clone(), class: class.clone() };
        let Some(number) = self.account(now, key, zone) else {
            return Err((Limit::CallsAtOnce, charge.spent));
        };
        self.named += 1;
        let ticket = self.named;
        let Some(account) = self.accounts.get_mut(&number) else {
            return Err((Limit::CallsAtOnce, charge.spent));
        };
        account.count(now);
        account.time_per_day = budget.time_per_day;
        let spent = account.spent(now);
        if !goes_on {
            if let Some(limit) = budget.stops(&spent) {
                return Err((limit, spent));
            }
            // No more are remembered than the limit counts.
            if let Some(limit) = budget.calls_per_hour {
                let most = usize::try_from(limit).unwrap_or(usize::MAX);
                while account.begun.len() >= most {
                    account.begun.pop_front();
                }
                account.begun.push_back(now.wall);
            }
        }
        account.legs.push(Leg { ticket, talks: None });
        self.out += 1;
        self.changed(now, number);
        Ok(Ticket { account: number, number: ticket, returned: self.returned.clone() })
    }

    /// Its account, made where there is none; `None`: there are too many.
    fn account(&mut self, now: Now, key: AccountKey, zone: &str) -> Option<u64> {
        let known = self.by_key.get(&key).copied();
        if known.is_none() && self.accounts.len() >= self.sweep_at.max(SWEEP_FLOOR) {
            self.sweep(now);
        }
        if known.is_none() && self.accounts.len() >= ACCOUNTS_MAX {
            return None;
        }
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let number = known.unwrap_or_else(|| {
            let until = midnight_after(&zone, now.wall);
            self.open(Usage { key, until, talked_ms: 0, begun: Vec::new(), noted: now.wall })
        });
        if let Some(account) = self.accounts.get_mut(&number) {
            account.zone = zone;
        }
        Some(number)
    }

    fn open(&mut self, usage: Usage) -> u64 {
        let Usage { key, until, talked_ms, begun, noted: _ } = usage;
        self.named += 1;
        self.by_key.insert(key.clone(), self.named);
        let account = Account {
            key,
            zone: TimeZone::UTC,
            until,
            talked: Duration::from_millis(talked_ms),
            begun: begun.into(),
            legs: Vec::new(),
            time_per_day: None,
            due: None,
        };
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
    pub fn restore(&mut self, usage: Usage) {
        if self.accounts.len() < ACCOUNTS_MAX && !self.by_key.contains_key(&usage.key) {
            self.open(usage);
        }
    }

    /// Somebody has answered: from now on it talks.
    pub fn answered(&mut self, now: Now, ticket: &Ticket) {
        let Some(account) = self.accounts.get_mut(&ticket.account) else { return };
        account.count(now);
        let leg = account.legs.iter_mut().find(|leg| leg.ticket == ticket.number);
        if let Some(leg) = leg.filter(|leg| leg.talks.is_none()) {
            leg.talks = Some(now.mono);
        }
        self.changed(now, ticket.account);
    }

    /// Takes back the tickets of legs that are over. To be called after anything that may have ended one, with the same `now`.
    pub fn settle(&mut self, now: Now) {
        if self.out == 0 {
            return;
        }
        let returned = std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, ticket) in returned {
            self.out -= 1;
            if let Some(account) = self.accounts.get_mut(&number) {
                account.count(now);
                account.legs.retain(|leg| leg.ticket != ticket);
                self.changed(now, number);
            }
        }
    }

    fn changed(&mut self, now: Now, number: u64) {
        let Some(account) = self.accounts.get(&number) else { return };
        self.notes.push(account.usage(now));
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

    /// Other rules: what is talked on goes on by their limits.
    pub fn rules_changed(&mut self, now: Now, rules: &Ruleset) {
        let up = self.accounts.iter().filter(|(_, account)| !account.legs.is_empty());
        let up: Vec<u64> = up.map(|(number, _)| *number).collect();
        for number in up {
            let Some(account) = self.accounts.get_mut(&number) else { continue };
            let AccountKey { domain, user, class } = &account.key;
            let budget = rules.domain(domain).and_then(|domain| domain.budget(user, class));
            account.count(now);
            account.time_per_day = budget.and_then(|budget: &Budget| budget.time_per_day);
            self.changed(now, number);
        }
    }

    /// What is to be stored.
    pub fn take_notes(&mut self) -> Vec<Usage> {
        std::mem::take(&mut self.notes)
    }
}

#[cfg(test)]
mod tests;
