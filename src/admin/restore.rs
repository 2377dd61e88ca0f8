//! A start: the generations of the store as they were acknowledged.

use super::edit::{Pipeline, broken, compile, parse};
use super::generation::Live;
use super::refused::Refused;
use crate::rules::Domain;
use crate::rules::source::Loaded;
use crate::store::{GenerationInfo, StoreError};
use std::sync::Arc;

impl Pipeline {
    /// A generation of the store as it was acknowledged, from what was compiled then; where that is missing, or another version made
    /// it, its text is compiled again. For the start, before there is anybody to publish to.
    ///
    /// # Errors
    /// This version can't read it any more.
    pub fn restore(&self, info: GenerationInfo) -> Result<(Live, Vec<String>), Refused> {
        let GenerationInfo { domain: name, generation, .. } = &info;
        let compiled = self.store.compiled(name, *generation).map_err(Refused::Store)?;
        let mut domain = match compiled.and_then(|bytes| Domain::decode(bytes, *generation).ok()) {
            Some(domain) => domain,
            None => self.compile_again(name, *generation)?,
        };
        let warnings = self.unlock(&mut domain);
        Ok((Live { stored: info, domain: Arc::new(domain), store: self.store.clone() }, warnings))
    }

    fn compile_again(&self, name: &str, generation: u64) -> Result<Domain, Refused> {
        let stored = self.store.rules_at(name, generation).map_err(Refused::Store)?;
        let missing = || StoreError::Read(format!("generation {generation} of {name} is not in the store"));
        let files = stored.ok_or_else(|| Refused::Store(missing()))?.files;
        let materials = parse(&files, None)?;
        let Loaded { model: Some(model), diagnostics } = &materials.loaded else {
            return Err(broken(&files, &materials.loaded.diagnostics));
        };
        let domain = compile(&files, model, generation, diagnostics)?;
        // Without it the next start takes as long as this one.
        if let Err(error) = self.store.put_compiled(name, generation, domain.encoded()) {
            tracing::warn!(%error, domain = name, "what the rules compile to can't be stored");
        }
        Ok(domain)
    }
}
