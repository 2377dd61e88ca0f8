//! What waits for the writer: edits in order, registrations and records gathered until their batch is due.
//!
//! At the limits: an edit waits for room, since whoever made it waits for its answer anyway. Registrations are gathered by key, so a
//! phone that registers again takes no more room; beyond [`BINDINGS_MAX`] keys the newcomer is not written, which is counted and
//! logged: the phone stays registered as long as the daemon runs, and its next refresh tries again. Beyond [`RECORDS_MAX`] a record
//! is not written, which is counted and logged too.

use super::{Standing, StoreError, StoredRules};
use crate::call::budgets::{AccountKey, Usage};
use crate::call::record::CallRecord;
use crate::net::clock;
use crate::registrar::{Binding, BindingKey};
use crate::rules::Status;
use crate::switch::StatusKey;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Edits that wait. The next one blocks its thread.
pub const EDITS_MAX: usize = 256;
/// Registrations that wait, by key.
pub const BINDINGS_MAX: usize = 1 << 16;
/// Accounts of budgets that wait, by key.
pub const USAGES_MAX: usize = 1 << 16;
/// Call records that wait.
pub const RECORDS_MAX: usize = 1 << 13;
/// How long registrations and records are gathered before they are written: the rest of [`STORED_WITHIN`] is for the writing.
pub const GATHER: Duration = Duration::from_millis(100);
/// When they are durable at the latest, on a disk that lets us; where it doesn't, it is counted and logged.
pub const STORED_WITHIN: Duration = Duration::from_millis(250);

/// An edit and where its answer goes.
pub enum Edit {
    Rules {
        rules: Box<StoredRules>,
        expected: Option<u64>,
        answer: SyncSender<Result<u64, StoreError>>,
    },
    Status {
        key: StatusKey,
        status: Option<Status>,
        answer: SyncSender<Result<(), StoreError>>,
    },
    /// What the newest generation of a domain compiles to.
    Compiled {
        domain: Arc<str>,
        generation: u64,
        bytes: Arc<Vec<u8>>,
        answer: SyncSender<Result<(), StoreError>>,
    },
    /// Answered when everything queued before it is durable.
    Flush {
        answer: SyncSender<Result<(), StoreError>>,
    },
}

/// What the writer takes at once.
#[derive(Default)]
pub struct Work {
    pub edits: VecDeque<Edit>,
    /// `None`: removed.
    pub bindings: HashMap<BindingKey, Option<Binding>>,
    /// The last note of each.
    pub usages: HashMap<AccountKey, Usage>,
    /// By id.
    pub records: BTreeMap<String, Arc<CallRecord>>,
    /// When the first of the registrations and records came.
    pub since: Option<Instant>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.bindings.is_empty() && self.usages.is_empty() && self.records.is_empty()
    }
}

#[derive(Default)]
struct State {
    work: Work,
    /// No more is taken in; what is there is still written.
    closing: bool,
    /// Writing has failed for good.
    refused: Option<String>,
    dropped: u64,
    late: u64,
}

#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks while [`EDITS_MAX`] wait.
    ///
    /// # Errors
    /// [`StoreError::Write`] once writing has failed or the store is closing.
    pub fn push_edit(&self, edit: Edit) -> Result<(), StoreError> {
        let mut state = self
            .room
            .wait_while(self.state(), |s| {
                s.work.edits.len() >= EDITS_MAX && s.refused.is_none() && !s.closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &state.refused {
            return Err(StoreError::Write(why.clone()));
        }
        if state.closing {
            return Err(StoreError::Write("it is closing".to_owned()));
        }
        state.work.edits.push_back(edit);
        self.work.notify_one();
        Ok(())
    }

    /// `None` removes.
    pub fn push_binding(&self, key: BindingKey, binding: Option<Binding>) {
        let mut state = self.state();
        let full = state.work.bindings.len() >= BINDINGS_MAX && !state.work.bindings.contains_key(&key);
        if self.drops(&mut state, full, "a registration") {
            return;
        }
        let first = state.work.is_empty();
        state.work.since.get_or_insert_with(clock::mono);
        state.work.bindings.insert(key, binding);
        self.gather(first);
    }

    pub fn push_usage(&self, usage: Usage) {
        let mut state = self.state();
        let full = state.work.usages.len() >= USAGES_MAX && !state.work.usages.contains_key(&usage.key);
        if self.drops(&mut state, full, "what a user has spent") {
            return;
        }
        let first = state.work.is_empty();
        state.work.usages.insert(usage.key.clone(), usage);
        self.gather(first);
    }

    pub fn push_record(&self, record: Arc<CallRecord>) {
        let mut state = self.state();
        let full = state.work.records.len() >= RECORDS_MAX && !state.work.records.contains_key(&record.id);
        if self.drops(&mut state, full, "a call record") {
            return;
        }
        let first = state.work.is_empty();
        state.work.since.get_or_insert_with(clock::mono);
        state.work.records.insert(record.id.clone(), record);
        self.gather(first);
    }

    /// The first thing that waits begins the gathering. What comes after it wakes nobody: the writer looks again when that is over.
    fn gather(&self, first: bool) {
        if first {
            self.work.notify_one();
        }
    }

    fn drops(&self, state: &mut State, full: bool, what: &str) -> bool {
        let drops = full || state.refused.is_some() || state.closing;
        if drops {
            state.dropped += 1;
            // The 1st, 2nd, 4th, 8th: loud at first, and never a flood.
            if state.dropped.is_power_of_two() {
                tracing::error!(
                    total = state.dropped,
                    "{what} is not stored: the writer does not keep up, or has stopped"
                );
            }
        }
        drops
    }

    /// How many registrations and records were not written, since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// What had waited since then is durable now.
    pub fn stored(&self, since: Instant) {
        let took = clock::mono().saturating_duration_since(since);
        if took <= STORED_WITHIN {
            return;
        }
        let mut state = self.state();
        state.late += 1;
        if state.late.is_power_of_two() {
            tracing::warn!(
                total = state.late,
                "registrations and call records were stored {} ms after they came: the disk is slow, and a crash would have lost them",
                took.as_millis()
            );
        }
    }

    /// How writing goes.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let State { refused, dropped, late, .. } = &*self.state();
        Standing { is_written: refused.is_none(), dropped: *dropped, late: *late }
    }

    /// Waits for work: an edit at once with all that is there, the rest when it has been gathered for [`GATHER`]. `None` when the
    /// queue is closing and empty.
    pub fn take(&self) -> Option<Work> {
        let mut state = self
            .work
            .wait_while(self.state(), |s| s.work.is_empty() && !s.closing)
            .unwrap_or_else(PoisonError::into_inner);
        if state.work.edits.is_empty() && !state.closing {
            let gathered =
                self.work.wait_timeout_while(state, GATHER, |s| s.work.edits.is_empty() && !s.closing);
            state = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
        let work = std::mem::take(&mut state.work);
        self.room.notify_all();
        (!work.is_empty()).then_some(work)
    }

    /// Takes no more; the writer ends once it has written what is there.
    pub fn close(&self) {
        self.state().closing = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Refuses everything from now on; what waits is dropped, and who waits for an answer learns by its channel.
    pub fn refuse(&self, why: String) {
        let mut state = self.state();
        state.refused.get_or_insert(why);
        let dropped = std::mem::take(&mut state.work);
        state.dropped += (dropped.bindings.len() + dropped.usages.len() + dropped.records.len()) as u64;
        self.room.notify_all();
    }

    /// Why writing is refused, if it is.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.state().refused.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_later_than_promised_is_counted() {
        let queue = Queue::default();
        let now = clock::mono();
        queue.stored(now);
        assert_eq!(queue.standing(), Standing { is_written: true, dropped: 0, late: 0 });
        queue.stored(now - STORED_WITHIN - Duration::from_millis(1));
        queue.refuse("the disk is full".to_owned());
        assert_eq!(queue.standing(), Standing { is_written: false, dropped: 0, late: 1 });
    }
}
