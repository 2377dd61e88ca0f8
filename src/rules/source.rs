//! The TOML files of one domain -> [`Model`], with every diagnostic at once.

use super::diagnostic::{Diagnostic, Files};
use super::model::Model;

/// What came of loading: the model when there is no error; the diagnostics in order of place in any case.
#[derive(Debug)]
pub struct Loaded {
    pub model: Option<Model>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads, merges and checks the files of one domain.
#[must_use]
pub fn load(files: &Files) -> Loaded {
    let _ = files;
    todo!()
}
