//! The generation of rules that is live, domain by domain: who put it in force, and what the signalling plane decides by. Its text stays
//! in the store and is read when somebody asks. Readers take an `Arc` and keep it; the one writer is [`super::edit`].

use crate::rules::diagnostic::Files;
use crate::rules::model::Model;
use crate::rules::{Domain, Ruleset, source};
use crate::store::{GenerationInfo, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// One domain as it runs.
pub struct Live {
    pub stored: GenerationInfo,
    pub domain: Arc<Domain>,
    pub(super) store: Arc<dyn Store>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.stored)
    }
}

impl Live {
    /// The source that this was compiled from, out of the store: for those who show or edit it, not for calls. Blocks on the disk.
    ///
    /// # Errors
    /// It can't be read, or another generation has taken its place so often that it is no longer kept.
    pub fn files(&self) -> Result<Files, StoreError> {
        let GenerationInfo { domain, generation, .. } = &self.stored;
        match self.store.rules_at(domain, *generation)? {
            Some(stored) => Ok(Arc::unwrap_or_clone(stored.files)),
            None => Err(StoreError::Read(format!("generation {generation} of {domain} is no longer kept"))),
        }
    }

    /// The source, read again: takes as long as reading all of the domain's files. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Live::files`]; or this version can't read the text any more.
    pub fn model(&self) -> Result<Model, StoreError> {
        let loaded = source::load(&self.files()?);
        loaded.model.ok_or_else(|| {
            StoreError::Read(format!("the rules of {} can't be read by this version", self.stored.domain))
        })
    }
}

/// All domains as they run.
#[derive(Debug, Default)]
pub struct Generations {
    // A panic can't leave the map half changed, so a poisoned lock is used on.
    live: RwLock<BTreeMap<Arc<str>, Arc<Live>>>,
}

impl Generations {
    /// The domain of this name, compared without case.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<Arc<Live>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(name).or_else(|| live.values().find(|l| l.stored.domain.eq_ignore_ascii_case(name))).cloned()
    }

    /// Every domain, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Live>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The newest generation of any domain; 0 before the first.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.all().iter().map(|l| l.stored.generation).max().unwrap_or(0)
    }

    /// Puts domains in place of their earlier generations, and returns all of them together for the signalling plane.
    pub fn put(&self, next: impl IntoIterator<Item = Live>) -> Arc<Ruleset> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.extend(next.into_iter().map(|next| (next.stored.domain.clone(), Arc::new(next))));
        Arc::new(Ruleset::new(live.values().map(|l| l.domain.clone())))
    }
}
