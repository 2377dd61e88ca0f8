//! Mistakes of the operator: where, what, and what to write instead.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The files of one domain by relative path: `domain.toml`, `users/101-osei.toml`, `lists/nuisance.txt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files(pub BTreeMap<Arc<str>, Arc<str>>);

/// A place in the source: the file (by its index in the order of [`Files`]) and a byte range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

/// A place for people: line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Files {
    /// Where a span begins.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let _ = span;
        todo!()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One finding of `check`. Codes are stable names; each has a page in the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
    /// Another place that has to do with it: the first definition of what is defined twice.
    pub related: Option<(Span, String)>,
}

/// All of them for the terminal: each with its line shown and marked (secrets masked), in order of place.
#[must_use]
pub fn render(files: &Files, diagnostics: &[Diagnostic], colour: bool) -> String {
    let _ = (files, diagnostics, colour);
    todo!()
}
