//! The writer: the one thread that writes. Takes what is queued, makes it durable, answers.
//!
//! The order of an edit: journal (or, for rules, snapshot) synced, database synced, manifest, answer. The first error of any of them ends
//! all writing until the daemon is started again: after a failed flush nobody can say what is on the disk.

use super::engine::EngineError;
use super::journal::{Journal, JournalEntry};
use super::ledger::{COMMIT_KEYS_MAX, Change, Ledger};
use super::open::snapshot_of;
use super::queue::{Edit, Queue, Work};
use super::value::{self, Kind, ValueError};
use super::{StoreError, StoredRules, snapshot};
use crate::rules::Status;
use crate::switch::StatusKey;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// The journal is emptied into a snapshot when it holds this many edits.
pub const JOURNAL_EDITS_MAX: u64 = 4096;

pub struct Writer {
    pub directory: PathBuf,
    pub ledger: Ledger,
    pub journal: Journal,
    /// Edits in the journal.
    pub journalled: u64,
    /// The newest so many call records are kept.
    pub records_kept: u64,
    pub queue: Arc<Queue>,
}

struct StatusEdit {
    key: StatusKey,
    status: Option<Status>,
    answer: SyncSender<Result<(), StoreError>>,
}

impl Drop for Writer {
    /// However the thread ends, nobody is left waiting for it.
    fn drop(&mut self) {
        self.queue.refuse("the writer has stopped".to_owned());
    }
}

impl Writer {
    /// Until the queue is closed and empty.
    pub fn run(mut self) {
        while let Some(work) = self.queue.take() {
            if let Some(why) = self.queue.refused() {
                refuse(work, &why);
                continue;
            }
            let Work { edits, bindings, records } = work;
            let mut changes = Vec::new();
            for (key, binding) in bindings {
                let sealed = binding.map(|binding| value::encode_binding(&binding)).transpose();
                if let Some(sealed) = encoded(sealed, "a registration") {
                    let key = value::binding_key(&key);
                    changes.push(Change { key, value: sealed.map(|(_, value)| value) });
                }
            }
            for record in records.into_values() {
                if let Some((key, sealed)) = encoded(value::encode_record(&record), "a call record") {
                    let index = value::call_id_key(&record.call_id, &key);
                    changes.push(Change { value: Some(value::seal(&index, &[])), key: index });
                    changes.push(Change { key, value: Some(sealed) });
                }
            }
            let state = self.state(changes);
            self.edits(edits, state);
        }
    }

    /// Writing has failed: says so once, and refuses from now on.
    fn fail(&self, what: &str, error: impl std::fmt::Display) -> StoreError {
        let why = format!("{what}: {error}");
        tracing::error!(
            "THE STORE CAN'T BE WRITTEN ANY MORE: {why}. Calls and reads go on; nothing is stored until a restart"
        );
        self.queue.refuse(why.clone());
        StoreError::Write(why)
    }

    /// Registrations and records.
    fn state(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let records = self.ledger.marks().sets.records.count;
        let marks = self.ledger.marks();
        self.ledger
            .commit(&changes, marks.edit, marks.generation)
            .map_err(|e| self.fail("registrations and call records", e))?;
        if self.ledger.marks().sets.records.count == records {
            return Ok(());
        }
        self.retain_records().map_err(|e| self.fail("old call records", e))
    }

    /// Removes the oldest records beyond those that are kept.
    fn retain_records(&mut self) -> Result<(), EngineError> {
        loop {
            let surplus = self.ledger.marks().sets.records.count.saturating_sub(self.records_kept);
            // A record takes two keys: its own and that of the index.
            let at_once = usize::try_from(surplus).unwrap_or(usize::MAX).min(COMMIT_KEYS_MAX / 2);
            if at_once == 0 {
                return Ok(());
            }
            let mut changes = Vec::new();
            self.ledger.engine().scan(&Kind::Record.prefix(), false, |key, sealed| {
                if let Ok(call_id) = value::record_call_id(key, sealed) {
                    changes.push(Change { key: value::call_id_key(call_id, key), value: None });
                }
                changes.push(Change { key: key.to_vec(), value: None });
                if changes.len() >= at_once * 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            let marks = self.ledger.marks();
            self.ledger.commit(&changes, marks.edit, marks.generation)?;
        }
    }

    /// Edits in order; statuses that follow on one another share a sync. `state`: how the registrations and records queued before went.
    fn edits(&mut self, edits: impl IntoIterator<Item = Edit>, state: Result<(), StoreError>) {
        let mut outcome = state;
        let mut statuses = Vec::new();
        for edit in edits {
            match edit {
                Edit::Status { key, status, answer } => statuses.push(StatusEdit { key, status, answer }),
                Edit::Rules { rules, expected, answer } => {
                    self.statuses(std::mem::take(&mut statuses), &mut outcome);
                    let written = match &outcome {
                        Ok(()) => self.rules(*rules, expected),
                        Err(error) => Err(error.clone()),
                    };
                    if let Err(error @ StoreError::Write(_)) = &written {
                        outcome = Err(error.clone());
                    }
                    // Who asked may have gone.
                    let _ = answer.send(written);
                }
                Edit::Flush { answer } => {
                    self.statuses(std::mem::take(&mut statuses), &mut outcome);
                    let _ = answer.send(outcome.clone());
                }
            }
        }
        self.statuses(statuses, &mut outcome);
    }

    fn statuses(&mut self, edits: Vec<StatusEdit>, outcome: &mut Result<(), StoreError>) {
        if edits.is_empty() {
            return;
        }
        if outcome.is_ok() {
            *outcome = self.write_statuses(&edits);
        }
        for StatusEdit { answer, .. } in edits {
            let _ = answer.send(outcome.clone());
        }
    }

    fn write_statuses(&mut self, edits: &[StatusEdit]) -> Result<(), StoreError> {
        let marks = self.ledger.marks();
        let mut entries = Vec::new();
        let mut changes = BTreeMap::new();
        for (edit, StatusEdit { key, status, .. }) in (marks.edit + 1..).zip(edits) {
            let sealed = match status {
                Some(status) => value::encode_status(key, status).map(|(_, value)| Some(value)),
                None => Ok(None),
            }
            .map_err(|e| self.fail("a status", e))?;
            let key = value::status_key(key);
            changes.insert(key.clone(), sealed.clone());
            entries.push(JournalEntry { edit, key, value: sealed });
        }
        let edit = marks.edit + entries.len() as u64;
        let before = self.journal.end();
        self.journal.append(&entries).map_err(|e| self.fail("the journal", e))?;
        let changes: Vec<Change> = changes.into_iter().map(|(key, value)| Change { key, value }).collect();
        if let Err(error) = self.ledger.commit(&changes, edit, marks.generation) {
            self.journal.take_back(before);
            return Err(self.fail("a status", error));
        }
        self.journalled += entries.len() as u64;
        if self.journalled >= JOURNAL_EDITS_MAX {
            // These edits are durable whatever becomes of the snapshot, but a disk that refuses it refuses the next edit too.
            match snapshot_of(&self.ledger, &self.directory, None) {
                Ok(_) => self.snapshot_taken(),
                Err(error) => drop(self.fail("a snapshot", error)),
            }
        }
        Ok(())
    }

    /// The snapshot holds what the journal holds.
    fn snapshot_taken(&mut self) {
        let kept = self.journal.reset().and_then(|()| snapshot::prune(&self.directory));
        if let Err(error) = kept {
            tracing::warn!(%error, "old edits or snapshots could not be removed");
        }
        self.journalled = 0;
    }

    fn rules(&mut self, mut rules: StoredRules, expected: Option<u64>) -> Result<u64, StoreError> {
        let domain = rules.domain.to_string();
        let key = value::rules_key(&domain);
        let stored = self.ledger.engine().get(&key).map_err(|e| StoreError::Read(e.to_string()))?;
        let stored = stored
            .map(|sealed| value::decode_rules(&key, &sealed))
            .transpose()
            .map_err(|e| StoreError::Read(format!("the rules of {domain}: {e}")))?;
        let current = stored.as_ref().map_or(0, |stored| stored.generation);
        if let Some(expected) = expected.filter(|expected| *expected != current) {
            return Err(StoreError::Conflict { domain, expected, current });
        }
        if stored.is_some_and(|stored| stored.files == rules.files) {
            return Ok(current);
        }
        let marks = self.ledger.marks();
        let (edit, generation) = (marks.edit + 1, marks.generation + 1);
        rules.generation = generation;
        let entry = value::encode_rules(&rules)
            .map_err(|e| StoreError::Read(format!("the rules of {domain}: {e}")))?;
        let snapshot = snapshot_of(&self.ledger, &self.directory, Some((&entry, edit, generation)))
            .map_err(|e| self.fail("a snapshot", e))?;
        let (key, sealed) = entry;
        if let Err(error) = self.ledger.commit(&[Change { key, value: Some(sealed) }], edit, generation) {
            // The edit is refused, so nothing may carry it over at the next start. Best effort.
            if let Err(error) = std::fs::remove_file(&snapshot) {
                tracing::error!(%error, "the snapshot of a refused edit can't be removed");
            }
            return Err(self.fail("rules", error));
        }
        self.snapshot_taken();
        Ok(generation)
    }
}

/// What can't be encoded is not written, and said: it is a fault of ours.
fn encoded<T>(sealed: Result<T, ValueError>, what: &str) -> Option<T> {
    sealed.inspect_err(|error| tracing::error!(%error, "{what} can't be encoded")).ok()
}

fn refuse(work: Work, why: &str) {
    for edit in work.edits {
        let error = StoreError::Write(why.to_owned());
        // Who asked may have gone.
        match edit {
            Edit::Rules { answer, .. } => drop(answer.send(Err(error))),
            Edit::Status { answer, .. } | Edit::Flush { answer } => drop(answer.send(Err(error))),
        }
    }
}
