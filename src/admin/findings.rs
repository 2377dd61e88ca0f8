//! What `check --json` prints and the rules routes answer: diagnostics with places in words, and what came of the golden tests.

use crate::rules::diagnostic::{Diagnostic, Files, Place, Places, Severity};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `{"diagnostics": [...], "expectations": {...}}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Shared: of a large domain there are many, and an edit changes few of them.
    pub diagnostics: Arc<Vec<Arc<Finding>>>,
    pub expectations: Expectations,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `error`, `warning`.
    pub severity: String,
    pub code: String,
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
}

/// How the golden tests went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expectations {
    pub passed: usize,
    pub failed: usize,
    pub failures: Vec<Failure>,
}

/// A golden test that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub name: String,
    /// `expect.toml:12:1`.
    pub at: String,
    /// What was expected and did not come, or came and was not wanted.
    pub message: String,
}

impl Finding {
    fn place(&self) -> (&str, usize, usize) {
        (&self.file, self.line, self.column)
    }

    #[must_use]
    pub fn new(place: Place, diagnostic: Diagnostic) -> Finding {
        Finding {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            }
            .to_owned(),
            code: diagnostic.code.to_owned(),
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
            message: diagnostic.message,
            help: diagnostic.help,
        }
    }

    /// On one line: `services.toml:3:8: there is no ... [missing-audio]; put it at ...`.
    #[must_use]
    pub fn line(&self) -> String {
        let Finding { file, line, column, message, code, help, .. } = self;
        let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{file}:{line}:{column}: {message} [{code}]{help}")
    }

    #[must_use]
    pub fn all(files: &Files, diagnostics: impl IntoIterator<Item = Diagnostic>) -> Vec<Arc<Finding>> {
        let mut places = Places::of(files);
        diagnostics.into_iter().map(|d| Arc::new(Finding::new(places.place(d.span), d))).collect()
    }
}

impl Findings {
    /// With more of them, each in its place.
    #[must_use]
    pub fn with(mut self, more: &[Arc<Finding>]) -> Findings {
        if !more.is_empty() {
            let diagnostics = Arc::make_mut(&mut self.diagnostics);
            diagnostics.extend_from_slice(more);
            diagnostics.sort_by(|one, other| one.place().cmp(&other.place()));
        }
        self
    }

    #[must_use]
    pub fn count(&self, severity: &str) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }

    /// `2 errors, 1 warning; 4 golden tests passed, 0 failed`.
    #[must_use]
    pub fn summary(&self) -> String {
        let some = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let Expectations { passed, failed, .. } = self.expectations;
        format!(
            "{}, {}; {} passed, {failed} failed",
            some(self.count("error"), "error"),
            some(self.count("warning"), "warning"),
            some(passed, "golden test"),
        )
    }
}
