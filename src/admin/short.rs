//! The short way of an edit ([`crate::rules::workshop`]) in the pipeline: who goes it, what comes after it, and what it puts off.

use super::edit::{Edit, Pipeline, Prepared};
use super::findings::{Finding, Findings};
use super::generation::Live;
use super::mask;
use super::proof;
use super::refused::Refused;
use super::shelf::{Kept, Shelf};
use crate::rules::diagnostic::{Diagnostic, Files};
use crate::rules::workshop::{Edited, Undo};
use crate::store::{Changed, GenerationInfo};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

/// An edit that went the short way, until it is taken or not.
pub(super) struct Short {
    pub(super) kept: Kept,
    path: Arc<str>,
    undo: Undo<Arc<Finding>>,
}

impl Short {
    /// What it changes of the generation that the workshop is of.
    pub(super) fn changed(&self, edit: &Edit) -> Option<Changed> {
        let text = edit.files.0.get(&self.path)?.clone();
        Some(Changed { since: self.kept.generation, files: vec![(self.path.clone(), Some(text))] })
    }
}

impl Pipeline {
    /// The short way, where the edit may go it: `None` says that nothing has happened.
    ///
    /// # Errors
    /// A golden test fails.
    pub(super) fn short(&self, edit: &Edit, generation: u64) -> Result<Option<(Prepared, Short)>, Refused> {
        let live = edit.domain.as_deref().and_then(|domain| self.generations.domain(domain));
        let kept =
            live.and_then(|live| self.shelf().take(&live.stored.domain, live.stored.generation, edit.at));
        let Some(mut kept) = kept else { return Ok(None) };
        let show = |diagnostic: &Diagnostic, place| Arc::new(Finding::new(place, diagnostic.clone()));
        let Some(Edited { mut domain, findings, path, undo }) =
            kept.workshop.edit(&edit.files, generation, show)
        else {
            self.shelf().put(kept, edit.at);
            return Ok(None);
        };
        let short = Short { kept, path, undo };
        if edit.files.0.get(&short.path).is_none_or(|text| text.contains(mask::MASK)) {
            self.put_back(short, edit.at);
            return Ok(None);
        }
        let warnings = self.unlock(&mut domain);
        let domain = Arc::new(domain);
        let expectations = proof::golden(&domain, short.kept.workshop.expects(), edit.at);
        let findings = Findings { diagnostics: findings, expectations };
        let audio = self.audition(&domain);
        if findings.expectations.failed > 0 {
            self.put_back(short, edit.at);
            return Err(Refused::Golden(findings.with(&audio)));
        }
        Ok(Some((Prepared { files: edit.files.clone(), domain, findings, warnings, audio }, short)))
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The edit is not taken.
    pub(super) fn put_back(&self, short: Short, at: Timestamp) {
        let Short { mut kept, undo, .. } = short;
        kept.workshop.take_back(undo);
        self.shelf().put(kept, at);
    }

    /// The text of a domain that runs.
    pub(super) fn files(&self, live: &Live) -> Result<Arc<Files>, Refused> {
        let GenerationInfo { domain, generation, .. } = &live.stored;
        match self.shelf().files(domain, *generation) {
            Some(files) => Ok(files),
            None => live.files().map(Arc::new).map_err(Refused::Store),
        }
    }

    /// Stores what edits of late compile to, which they did not wait for, and lets go of what nobody edits any more. Now and then, and
    /// at the end. Blocks on the disk.
    pub fn tidy(&self, now: Timestamp) {
        self.shelf().tidy(now);
        let unsaved = std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
        for live in unsaved.iter().filter_map(|domain| self.generations.domain(domain)) {
            let GenerationInfo { domain, generation, .. } = &live.stored;
            // The next start compiles it again.
            if let Err(error) = self.store.put_compiled(domain, *generation, live.domain.encoded()) {
                tracing::warn!(%error, %domain, "what the rules compile to can't be stored");
            }
        }
    }

    pub(super) fn unsaved(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.tidy(Timestamp::MAX);
    }
}
