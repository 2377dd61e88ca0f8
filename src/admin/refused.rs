//! Why an edit is refused, as the routes say it.

use super::findings::Findings;
use super::mask::{self, NothingToKeep};
use crate::rules::edit::EditError;
use crate::store::StoreError;
use crate::store::trial::Trial;
use std::sync::Arc;

/// Why an edit was not taken. The running rules are untouched.
#[derive(Debug)]
pub enum Refused {
    /// The rules are wrong; with all findings, and the errors as text with their lines shown.
    Broken {
        findings: Findings,
        rendered: String,
    },
    /// The rules are consistent, but a golden test fails.
    Golden(Findings),
    /// `plain:***` where there is nothing to keep.
    NothingToKeep(Vec<NothingToKeep>),
    /// The files are those of another domain.
    OtherDomain {
        expected: String,
        found: Arc<str>,
    },
    /// A range of addresses is claimed by two domains.
    Overlap(String),
    /// The object can't be edited so.
    Edit(EditError),
    /// There is no such domain, or no such generation any more.
    Missing(String),
    /// A generation on trial is in the way.
    OnTrial {
        why: String,
        trial: Box<Trial>,
    },
    Store(StoreError),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Broken { findings, .. } | Refused::Golden(findings) => f.write_str(&findings.summary()),
            Refused::NothingToKeep(places) => {
                write!(f, "`{}` keeps the secret that is there, and there is none", mask::MASK)?;
                for (n, place) in places.iter().enumerate() {
                    let NothingToKeep { file, key, line, column } = place;
                    write!(f, "{} {file}:{line}:{column} ({key})", if n == 0 { " at" } else { "," })?;
                }
                Ok(())
            }
            Refused::OtherDomain { expected, found } => {
                write!(f, "these are the rules of {found}, not of {expected}")
            }
            Refused::Overlap(what) | Refused::Missing(what) => f.write_str(what),
            Refused::Edit(error) => error.fmt(f),
            Refused::OnTrial { why, .. } => f.write_str(why),
            Refused::Store(error) => error.fmt(f),
        }
    }
}
