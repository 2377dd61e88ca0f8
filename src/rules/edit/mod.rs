//! Changing rule files as an operator would: in their text, with toml_edit, so that comments and order stay. Pure: files in, files out;
//! whether the result is right is judged by `source` and `check`, as of any other files.
//!
//! A file that toml_edit would not write back as it was (dotted keys of several tables mixed) is brought into the layout of `fmt` first.

mod blame;
pub mod change;
pub mod difference;
mod entries;
pub mod import;
pub mod kind;
pub mod layout;
mod object;
mod place;
pub mod shape;
#[cfg(test)]
mod tests;
mod written;

pub use blame::{Blamed, blame};
pub use change::Change;
pub use kind::Kind;
pub use object::{Found, Referrer, change, find, home_of, lines_of, list, put, remove};

/// Why an edit can't be made: one line for the operator. No file is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no object of this name.
    #[error("{0}")]
    Missing(String),
    /// What is asked for makes no sense there.
    #[error("{0}")]
    Wrong(String),
    /// Others refer to it (U16).
    #[error("{what} is still referred to: {}", shown(.referrers))]
    Referred { what: String, referrers: Vec<Referrer> },
}

impl EditError {
    fn new(why: impl Into<String>) -> EditError {
        EditError::Wrong(why.into())
    }
}

fn shown(referrers: &[Referrer]) -> String {
    let places: Vec<String> = referrers.iter().map(|r| format!("{} ({})", r.at, r.why)).collect();
    places.join("; ")
}
