//! Sounds that can't be played, told of beside what is said of the rules: a file may come to be there, or go, without an edit. So nothing
//! of this is kept with the findings.

use super::edit::{Applied, Pipeline, Prepared};
use super::findings::Finding;
use crate::net::voice;
use crate::rules::Domain;
use std::path::PathBuf;
use std::sync::Arc;

impl Pipeline {
    /// What is to be said of the sounds that the rules of a domain name. Blocks on the disk.
    pub fn audition(&self, domain: &Domain) -> Vec<Arc<Finding>> {
        let found = self.auditions.of(domain, self.bases.of(domain.name()).map(PathBuf::as_path));
        found.into_iter().map(|one| Arc::new(Finding::new(domain.place(one.span), one))).collect()
    }

    /// The same of the prompts of these domains, a line each.
    pub fn prompts<'d>(
        &self,
        files: &voice::Files,
        domains: impl IntoIterator<Item = &'d str>,
    ) -> Vec<String> {
        self.auditions.prompts(files, domains)
    }
}

impl Prepared {
    /// What would not work, a line each: secrets that can't be resolved, sounds that can't be played, and what the configuration lacks.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lines(&self.warnings, &self.audio)
    }
}

impl Applied {
    /// As [`Prepared::lines`], of what was applied.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lines(&self.warnings, &self.audio)
    }
}

fn lines(warnings: &[String], audio: &[Arc<Finding>]) -> Vec<String> {
    warnings.iter().cloned().chain(audio.iter().map(|finding| finding.line())).collect()
}
