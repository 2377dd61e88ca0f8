//! Findings that need the whole domain: dangling references, loops, unreachable rules, and what is not carried out yet.

use super::diagnostic::Diagnostic;
use super::model::Model;

/// Adds what is wrong with a model that was read without an error.
pub(super) fn check(model: &Model, diagnostics: &mut Vec<Diagnostic>) {
    let _ = (model, diagnostics);
}
