//! The writer: the one thread that writes. Takes what is queued, makes it durable, answers.
//!
//! The order of an edit: for rules their text in the archive, synced; journal synced, database synced, manifest, answer. The first error of any of them ends
//! all writing until the daemon is started again: after a failed flush nobody can say what is on the disk. What users have spent is apart: its file is written anew then.

use super::archive::{Appended, ArchiveWriter, FileChanges};
use super::engine::EngineError;
use super::journal::{Journal, JournalEntry};
use super::ledger::{COMMIT_KEYS_MAX, Change, Ledger};
use super::open::snapshot_of;
use super::queue::{Edit, Queue, Work};
use super::spending::Spending;
use super::value::{self, Kind, ValueError};
use super::{GenerationInfo, StoreError, StoredRules, compiled, snapshot};
use crate::call::budgets::Usage;
use crate::rules::Status;
use crate::rules::diagnostic::Files;
use crate::switch::StatusKey;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// The journal is emptied into a snapshot when it holds this many edits.
pub const JOURNAL_EDITS_MAX: u64 = 4096;
/// A snapshot costs what it holds: after a generation one is taken once there is an edit for every so many keys.
const SNAPSHOT_KEYS_PER_EDIT: u64 = 64;

pub struct Writer {
    pub directory: PathBuf,
    pub ledger: Ledger,
    pub archive: ArchiveWriter,
    pub journal: Journal,
    pub spending: Spending,
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
            let Work { edits, bindings, usages, records, since } = work;
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
            self.spent(usages.into_values());
            let state = self.state(changes);
            if let (Ok(()), Some(since)) = (&state, since) {
                self.queue.stored(since);
            }
            self.edits(edits, state);
        }
    }

    /// What users have spent. A note that is lost is written with the next, so nothing else waits for it; the trouble is said once.
    fn spent(&mut self, usages: impl IntoIterator<Item = Usage>) {
        let was_stale = self.spending.is_stale();
        if let Err(error) = self.spending.append(usages)
            && !was_stale
        {
            tracing::error!(
                "what users have spent of their budgets can't be written: {error}. It is tried again with the next note; a \
                 restart meanwhile forgets it"
            );
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
                    let mut rules = *rules;
                    let before = self.ledger.marks().generation;
                    let written = match &outcome {
                        Ok(()) => self.rules(&mut rules, expected),
                        Err(error) => Err(error.clone()),
                    };
                    if let Err(error @ StoreError::Write(_)) = &written {
                        outcome = Err(error.clone());
                    }
                    // Who asked may have gone.
                    let _ = answer.send(written);
                    if self.ledger.marks().generation > before {
                        self.after_rules(&rules);
                    }
                }
                Edit::Compiled { domain, generation, bytes, answer } => {
                    // Who asked may have gone.
                    let _ = answer.send(self.compiled(&domain, generation, &bytes));
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
            self.snapshot();
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

    /// The domain's head, if it has rules.
    fn head(&self, domain: &str) -> Result<Option<GenerationInfo>, StoreError> {
        let key = value::head_key(domain);
        let sealed = self.ledger.engine().get(&key).map_err(|e| StoreError::Read(e.to_string()))?;
        sealed
            .map(|sealed| value::decode_head(&key, &sealed))
            .transpose()
            .map_err(|e| StoreError::Read(format!("the rules of {domain}: {e}")))
    }

    /// `rules` gets its generation.
    fn rules(&mut self, rules: &mut StoredRules, expected: Option<u64>) -> Result<u64, StoreError> {
        let domain = rules.domain.clone();
        let head = self.head(&domain)?;
        let current = head.as_ref().map_or(0, |head| head.generation);
        if let Some(expected) = expected.filter(|expected| *expected != current) {
            return Err(StoreError::Conflict { domain: domain.to_string(), expected, current });
        }
        let changes = match &head {
            Some(_) => self.changes(rules, current),
            None => None,
        };
        if changes.as_ref().is_some_and(Vec::is_empty) {
            return Ok(current);
        }
        rules.generation = self.ledger.marks().generation + 1;
        let info = rules.info();
        let appended = match (changes, head) {
            (Some(changes), _) if !self.archive.wants_whole(&domain).unwrap_or(true) => {
                self.archive.append(&info, &changes)
            }
            (_, None) => self.archive.clear(&domain).and_then(|()| self.archive.begin(&info, &rules.files)),
            _ => self.archive.begin(&info, &rules.files),
        };
        let appended = appended.map_err(|e| self.fail("the text of rules", e))?;
        self.put_head(&info, &appended)?;
        Ok(info.generation)
    }

    /// What differs from the rules in force; `None` where those can't be read: damaged in both copies they are written whole again, and
    /// mended so.
    fn changes(&self, rules: &mut StoredRules, current: u64) -> Option<FileChanges> {
        if let Some(changed) = rules.changed.take_if(|changed| changed.since == current) {
            return Some(changed.files);
        }
        match self.archive.archive().read(&rules.domain, current) {
            Ok(before) => before.map(|(_, before)| differences(&before, &rules.files)),
            Err(error) => {
                tracing::error!(%error, domain = %rules.domain, "the rules in force can't be read");
                None
            }
        }
    }

    /// Journal, database, manifest: with this the generation counts.
    fn put_head(&mut self, info: &GenerationInfo, appended: &Appended) -> Result<(), StoreError> {
        let (edit, generation) = (self.ledger.marks().edit + 1, info.generation);
        let (key, sealed) = value::encode_head(info)
            .map_err(|e| StoreError::Read(format!("the rules of {}: {e}", info.domain)))?;
        let entry = JournalEntry { edit, key: key.clone(), value: Some(sealed.clone()) };
        let before = self.journal.end();
        if let Err(error) = self.journal.append(&[entry]) {
            self.archive.take_back(appended);
            return Err(self.fail("the journal", error));
        }
        if let Err(error) = self.ledger.commit(&[Change { key, value: Some(sealed) }], edit, generation) {
            self.journal.take_back(before);
            self.archive.take_back(appended);
            return Err(self.fail("rules", error));
        }
        self.journalled += 1;
        Ok(())
    }

    /// What the newest generation of a domain compiles to.
    fn compiled(&self, domain: &str, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if self.head(domain)?.is_none_or(|head| head.generation != generation) {
            return Ok(());
        }
        compiled::write(&self.directory, domain, generation, bytes)
            .map_err(|e| StoreError::Write(e.to_string()))
    }

    /// What need not be there for the generation to count, so nobody waits for it.
    fn after_rules(&mut self, rules: &StoredRules) {
        let StoredRules { domain, generation, tree, .. } = rules;
        let compiled = match tree.is_empty() {
            true => Ok(()),
            false => compiled::write(&self.directory, domain, *generation, tree),
        };
        let kept = compiled.and_then(|()| self.archive.prune(domain));
        if let Err(error) = kept {
            tracing::warn!(%error, %domain, "what follows from new rules could not be written");
        }
        let sets = self.ledger.marks().sets;
        let keys = sets.rules.count + sets.statuses.count + sets.bindings.count;
        if self.journalled.saturating_mul(SNAPSHOT_KEYS_PER_EDIT) >= keys
            || self.journalled >= JOURNAL_EDITS_MAX
        {
            self.snapshot();
        }
    }

    /// The edits in the journal are durable whatever becomes of the snapshot, but a disk that refuses it refuses the next edit too.
    fn snapshot(&mut self) {
        match snapshot_of(&self.ledger, &self.directory) {
            Ok(()) => self.snapshot_taken(),
            Err(error) => drop(self.fail("a snapshot", error)),
        }
    }
}

/// What has to be written to get from one set of files to another.
fn differences(before: &Files, after: &Files) -> FileChanges {
    let changed = after.0.iter().filter(|(path, text)| before.0.get(*path) != Some(text));
    let gone = before.0.keys().filter(|path| !after.0.contains_key(*path));
    changed
        .map(|(path, text)| (path.clone(), Some(text.clone())))
        .chain(gone.map(|path| (path.clone(), None)))
        .collect()
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
            Edit::Status { answer, .. } | Edit::Compiled { answer, .. } | Edit::Flush { answer } => {
                drop(answer.send(Err(error)))
            }
        }
    }
}
