//! Numbers that people dial: extensions, E.164 numbers, the patterns of the rule language, and the one normaliser.

use serde::{Deserialize, Serialize};

/// A number pattern: `X` 0-9, `Z` 1-9, `N` 2-9, `[1-5]`, a trailing `.` for one or more of anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pattern {}

impl Pattern {
    /// # Errors
    /// What is wrong with it, for the operator.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let _ = text;
        todo!()
    }
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        let _ = number;
        todo!()
    }
    /// The literal characters before the first wildcard: the longest wins among classes.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        todo!()
    }
}

/// By what a number is normalised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    /// ISO 3166-1 alpha-2: `US`.
    pub country: std::sync::Arc<str>,
    /// For dialling within the area: `202`.
    pub area_code: Option<std::sync::Arc<str>>,
}

/// To E.164 with `+`, or `None` where it can't be. RFC 3966 separators are accepted; an E.164 number stays.
#[must_use]
pub fn normalise(raw: &str, locale: &Locale) -> Option<String> {
    let _ = (raw, locale);
    todo!()
}
