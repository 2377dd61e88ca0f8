//! `[voice]`: where prompts and recordings lie.

use super::text::Source;
use super::{Config, ConfigError};
use crate::admin::edit::Bases;
use crate::net::voice::{Files, LANGUAGE};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use toml::Spanned;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceConfig {
    pub prompts: PathBuf,
    pub language: String,
    pub recordings: PathBuf,
}

impl Default for VoiceConfig {
    fn default() -> VoiceConfig {
        VoiceConfig {
            prompts: "prompts".into(),
            language: LANGUAGE.into(),
            recordings: "ringtree-data/recordings".into(),
        }
    }
}

impl VoiceConfig {
    pub(super) fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.prompts, &mut self.recordings]
    }

    /// What the voice plane reads and writes; audio of rules lies where their secrets do.
    #[must_use]
    pub fn files(&self, bases: Bases) -> Files {
        Files {
            prompts: self.prompts.clone(),
            language: self.language.clone(),
            recordings: self.recordings.clone(),
            base: Arc::new(move |domain| bases.of(domain).cloned()),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RawVoice {
    prompts: Option<String>,
    language: Option<Spanned<String>>,
    recordings: Option<String>,
}

impl RawVoice {
    pub(super) fn into_config(self, at: Source<'_>, config: &mut Config) -> Result<(), ConfigError> {
        if let Some(prompts) = self.prompts {
            config.voice.prompts = prompts.into();
        }
        if let Some(recordings) = self.recordings {
            config.voice.recordings = recordings.into();
        }
        if let Some(language) = self.language {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if language.get_ref().is_empty() || !language.get_ref().chars().all(fits) {
                let message = "write a language tag such as `en` or `de-CH`: a directory of `prompts`".into();
                return Err(at.fault(language.span(), message));
            }
            config.voice.language = language.into_inner();
        }
        Ok(())
    }
}
