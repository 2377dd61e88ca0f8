//! What outlives the daemon: rules, status, registrations, call records. One small trait; the only folder that names sled.

use crate::call::record::CallRecord;
use crate::registrar::{Binding, BindingKey};
use crate::rules::UserStatus;
use crate::rules::diagnostic::Files;
use crate::switch::StatusKey;
use std::sync::Arc;

/// One generation of one domain's rules: the truth is the text; the trees can always be compiled again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoredRules {
    pub domain: Arc<str>,
    /// Rises by one with every change of any domain's rules; ordered over the whole store.
    pub generation: u64,
    pub files: Files,
    /// The compiled tree, encoded (`rules::tree`), with its own version and checksum.
    pub tree: Vec<u8>,
    /// Where it came from: `file:DIR` for the daemon's own load, else the uid of who applied it.
    pub origin: String,
    /// RFC 3339.
    pub applied: String,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store can't be written any more: {0}")]
    Write(String),
    #[error("the store can't be read: {0}")]
    Read(String),
    #[error("another process holds the store at {0}")]
    Locked(String),
    #[error("the rules of {domain} are at generation {current}, not {expected}")]
    Conflict { domain: String, expected: u64, current: u64 },
}

/// The store as the rest of the daemon sees it. Calls block; the edges call it from threads that may.
pub trait Store: Send + Sync + 'static {
    /// Every domain's newest generation.
    fn rules(&self) -> Result<Vec<StoredRules>, StoreError>;
    /// Writes one generation and returns when it is durable. `expected`: the generation that the writer saw (`If-Match`).
    /// `generation` of `rules` is overwritten with the next one, which is returned. An unchanged source writes nothing and returns
    /// the present generation.
    fn put_rules(&self, rules: StoredRules, expected: Option<u64>) -> Result<u64, StoreError>;
    fn statuses(&self) -> Result<Vec<(StatusKey, UserStatus)>, StoreError>;
    /// Durable on return. `None` removes.
    fn put_status(&self, key: &StatusKey, status: Option<&UserStatus>) -> Result<(), StoreError>;
    fn bindings(&self) -> Result<Vec<Binding>, StoreError>;
    /// Queued; durable within 250 ms. Never blocks for long; what can't be queued is counted and logged.
    fn put_binding(&self, binding: Binding);
    fn remove_binding(&self, key: BindingKey);
    /// Queued; durable within 250 ms.
    fn put_record(&self, record: CallRecord);
    /// By its id or its Call-ID.
    fn record(&self, id: &str) -> Result<Option<CallRecord>, StoreError>;
    /// Newest first.
    fn records(&self, limit: usize) -> Result<Vec<CallRecord>, StoreError>;
    /// Everything queued is durable on return.
    fn flush(&self) -> Result<(), StoreError>;
}
