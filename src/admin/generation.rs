//! The generation of rules that is live, domain by domain: its source, its model and what the signalling plane decides by. Readers
//! take an `Arc` and keep it; the one writer is [`super::edit`].

use crate::rules::model::Model;
use crate::rules::{Domain, Ruleset};
use crate::store::StoredRules;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// One domain as it runs.
#[derive(Debug)]
pub struct Live {
    pub stored: StoredRules,
    pub model: Model,
    pub domain: Arc<Domain>,
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

    /// Puts a domain in place of its earlier generation, and returns all of them together for the signalling plane.
    pub fn put(&self, next: Live) -> Arc<Ruleset> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.insert(next.stored.domain.clone(), Arc::new(next));
        Arc::new(Ruleset::new(live.values().map(|l| l.domain.clone())))
    }
}
