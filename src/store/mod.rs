//! What outlives the daemon: rules, status, registrations, call records. One small trait, [`Store`]; the only folder that names sled.
//!
//! # What is durable when
//!
//! Rules and status: when the call returns. Registrations and call records: within 250 ms (gathered for 100 ms, then written and synced), as long
//! as the disk lets us: they wait for the write that is under way, and then for their own, and no program can make a disk sync. When it takes
//! longer that is counted and logged ([`Standing::late`]). Whatever was acknowledged before an edit is durable with that edit.
//! Nothing is published here: whoever edits swaps the live value after the call has returned.
//!
//! # What lies in the directory (mode 0700)
//!
//! | name | what | written |
//! |---|---|---|
//! | `rules/` | the archive: the text of each domain's newest 64 generations, twice, unmasked | before a generation is acknowledged |
//! | `compiled/` | what the newest generation compiles to; made again from the text where it is missing | after a generation |
//! | `sled.N/` | the database, sled 0.34.7; the highest N counts | by every commit |
//! | `snapshots/` | heads (who put which generation in force), status and registrations, newest 16 | after a generation |
//! | `edits.journal` | every edit of head or status since the newest snapshot | before an edit is acknowledged |
//! | `manifest` | count and checksum of all keys, by kind | after each commit, so at most one commit behind |
//! | `damaged-TIME/` | a database that was damaged, whole | never again; delete it by hand |
//! | `spending` | what users have spent of their budgets | within 250 ms |
//! | `trials` | generations that are taken back by themselves (`trial`) | before such a generation, and when it is settled |
//! | `lock` | held by the process that has the store open | never |
//!
//! # Why so
//!
//! sled 0.34.7 may panic on a flipped bit, and opens a truncated file as if nothing were missing. So it is never asked whether it is whole:
//!
//! - The text of rules never goes into it: the archive has two copies of it, and an edit writes only what it changed.
//! - Snapshot and journal, ours and synced first, say **exactly** which generations and statuses were acknowledged. At open the database is
//!   held against them: what a crash left undone is carried over, any other difference is damage.
//! - For registrations and records, which are too many to be written twice, a commit is bracketed by a begin and a done mark with
//!   counts and checksums (`ledger`), and the manifest repeats the last one outside of the database. A torn commit is told from a
//!   damaged database, and a missing tail from a whole log.
//! - Every value carries a checksum and a format. Every call into sled is run where a panic is caught.
//!
//! A damaged database is moved aside, and a new one made: rules and statuses exactly as acknowledged; registrations from the newest
//! snapshot and from what can still be read; records from what can still be read. [`report::OpenReport`] says what was done and lost.
//!
//! # What to expect after a kill -9
//!
//! `open` succeeds, every acknowledged edit is there, and so is every registration and record that is older than 250 ms, or than a slow write
//! that was under way. An edit that was under way is there whole or not at all. The report may say that something was carried over, torn or removed; none of that is alarming.
//! It never says that a database was moved aside. (A large generation is written in one go and may keep registrations waiting
//! for as long as that takes.)
//!
//! # When the disk is full
//!
//! The first write that fails ends all writing until a restart: edits get [`StoreError::Write`], registrations and records are counted
//! as not stored, reads and calls go on: sled can't read what it failed to write, so heads and statuses are then read from snapshot
//! and journal, and records up to the failed ones. A refused edit is taken out of journal and archive; if the disk refuses even that, it may
//! stand after the restart, whole.

pub mod archive;
pub mod compiled;
pub mod engine;
pub mod frame;
pub mod journal;
pub mod ledger;
pub mod manifest;
pub mod open;
pub mod queue;
mod recover;
pub mod reference;
pub mod report;
mod settle;
pub mod sled_store;
pub mod snapshot;
pub mod spending;
pub mod trial;
pub mod value;
mod writer;

pub use report::{OpenEvent, OpenReport};
pub use sled_store::SledStore;

use crate::call::budgets::Usage;
use crate::call::record::CallRecord;
use crate::registrar::{Binding, BindingKey};
use crate::rules::Status;
use crate::rules::diagnostic::Files;
use crate::switch::StatusKey;
use std::sync::Arc;

/// One generation of one domain's rules: the truth is the text; the trees can always be compiled again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRules {
    pub domain: Arc<str>,
    /// Rises by one with every change of any domain's rules; ordered over the whole store.
    pub generation: u64,
    pub files: Arc<Files>,
    /// What differs from an earlier generation, where whoever puts it knows: the writer need not read that one back. Not stored.
    pub changed: Option<Changed>,
    /// What it compiles to, encoded, with its own version and checksum. Kept for the newest generation alone; empty for the others, and
    /// where it is put later ([`Store::put_compiled`]).
    pub tree: Arc<Vec<u8>>,
    /// Where it came from: `file:DIR` for the daemon's own load, else the uid of who applied it.
    pub origin: String,
    /// RFC 3339.
    pub applied: String,
    /// A word of what the change was: `apply`, `rollback to 12`, `edit user.osei`. For people.
    pub what: String,
}

impl StoredRules {
    /// A generation out of its parts.
    #[must_use]
    pub fn new(info: GenerationInfo, files: impl Into<Arc<Files>>, tree: Arc<Vec<u8>>) -> StoredRules {
        let GenerationInfo { generation, domain, origin, applied, what } = info;
        StoredRules { domain, generation, files: files.into(), changed: None, tree, origin, applied, what }
    }

    /// All but the text.
    #[must_use]
    pub fn info(&self) -> GenerationInfo {
        GenerationInfo {
            generation: self.generation,
            domain: self.domain.clone(),
            origin: self.origin.clone(),
            applied: self.applied.clone(),
            what: self.what.clone(),
        }
    }
}

/// The files that differ from those of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub since: u64,
    pub files: archive::FileChanges,
}

/// One generation of one domain, without its text: who put it in force, and when.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GenerationInfo {
    pub generation: u64,
    pub domain: Arc<str>,
    /// As of [`StoredRules`].
    pub origin: String,
    /// RFC 3339.
    pub applied: String,
    /// As of [`StoredRules`].
    pub what: String,
}

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store can't be written any more: {0}")]
    Write(String),
    #[error("the store can't be read: {0}")]
    Read(String),
    #[error("another process holds the store at {0}")]
    Locked(String),
    #[error("the store at {path} can't be opened: {why}")]
    Open { path: String, why: String },
    #[error("the rules of {domain} are at generation {current}, not {expected}")]
    Conflict { domain: String, expected: u64, current: u64 },
}

/// How writing goes, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// False once a write has failed: nothing is stored until a restart.
    pub is_written: bool,
    /// Registrations and records that were not stored.
    pub dropped: u64,
    /// Times that they were stored later than [`queue::STORED_WITHIN`].
    pub late: u64,
}

/// The store as the rest of the daemon sees it. Calls block; the edges call it from threads that may.
pub trait Store: Send + Sync + 'static {
    fn standing(&self) -> Standing;
    /// Every domain's newest generation, without its text.
    fn heads(&self) -> Result<Vec<GenerationInfo>, StoreError>;
    /// Every domain's newest generation, whole.
    fn rules(&self) -> Result<Vec<StoredRules>, StoreError> {
        let whole = |head: GenerationInfo| {
            let found = self.rules_at(&head.domain, head.generation)?;
            found.ok_or_else(|| {
                let GenerationInfo { domain, generation, .. } = head;
                StoreError::Read(format!("generation {generation} of {domain} is not in the archive"))
            })
        };
        self.heads()?.into_iter().map(whole).collect()
    }
    /// What the newest generation of a domain compiles to, as it was put; `None` where it is missing or damaged, or another
    /// generation's. It proves itself by its own checksum.
    fn compiled(&self, domain: &str, generation: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// Puts what a domain's newest generation compiles to, where it was missing or is put after it. Of another generation than the
    /// newest nothing is written.
    fn put_compiled(&self, domain: &str, generation: u64, bytes: Arc<Vec<u8>>) -> Result<(), StoreError>;
    /// Writes one generation and returns when it is durable. `expected`: the generation that the writer saw (`If-Match`).
    /// `generation` of `rules` is overwritten with the next one, which is returned. An unchanged source writes nothing and returns
    /// the present generation.
    fn put_rules(&self, rules: StoredRules, expected: Option<u64>) -> Result<u64, StoreError>;
    /// The generations of a domain, newest first: the newest [`archive::GENERATIONS_KEPT`] are kept, older ones are dropped.
    fn history(&self, domain: &str, limit: usize) -> Result<Vec<GenerationInfo>, StoreError>;
    /// One generation with its text; `None` where it is no longer kept, or never was.
    fn rules_at(&self, domain: &str, generation: u64) -> Result<Option<StoredRules>, StoreError>;
    fn statuses(&self) -> Result<Vec<(StatusKey, Status)>, StoreError>;
    /// Durable on return. `None` removes.
    fn put_status(&self, key: &StatusKey, status: Option<&Status>) -> Result<(), StoreError>;
    fn bindings(&self) -> Result<Vec<Binding>, StoreError>;
    /// Queued; durable within 250 ms, or after a slow write that is under way. Never blocks for long; what can't be queued is counted and logged.
    fn put_binding(&self, binding: Binding);
    fn remove_binding(&self, key: BindingKey);
    /// What users had spent of their budgets when it was last noted.
    fn usages(&self) -> Result<Vec<Usage>, StoreError>;
    /// Queued; durable within 250 ms. What can't be queued is counted and logged, and noted again with the next call.
    fn put_usage(&self, usage: Usage);
    /// Queued; durable within 250 ms.
    fn put_record(&self, record: Arc<CallRecord>);
    /// By its id or its Call-ID.
    fn record(&self, id: &str) -> Result<Option<CallRecord>, StoreError>;
    /// Newest first.
    fn records(&self, limit: usize) -> Result<Vec<CallRecord>, StoreError>;
    /// Everything queued is durable on return.
    fn flush(&self) -> Result<(), StoreError>;
}
