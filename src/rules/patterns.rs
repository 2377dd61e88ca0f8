//! Number patterns by what they match: the entry whose literal part is longest is found first, whatever the size of the list.
//!
//! Not a regular-expression engine: whole numbers are found by one hash look-up, wildcards by one look-up for each length of
//! literal prefix that occurs. A look-up allocates nothing.

use crate::number::Pattern;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// Patterns, each with a value. Of two equal patterns the first stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PatternMap {
    #[serde(serialize_with = "in_order")]
    whole: FxHashMap<Box<str>, u32>,
    #[serde(serialize_with = "in_order")]
    by_prefix: FxHashMap<Box<str>, Vec<(Pattern, u32)>>,
    /// The lengths of prefix that occur, longest first.
    lengths: Vec<u16>,
}

/// The same set gives the same bytes: a hash map's own order would not.
fn in_order<V: Serialize, S: Serializer>(
    map: &FxHashMap<Box<str>, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    map.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
}

/// What was found, and how much of it was literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    pub value: u32,
    pub literal: usize,
}

impl PatternMap {
    pub fn insert(&mut self, pattern: &Pattern, value: u32) {
        let prefix = pattern.literal_prefix();
        if pattern.is_literal() {
            self.whole.entry(prefix.into()).or_insert(value);
            return;
        }
        let Ok(length) = u16::try_from(prefix.len()) else { return };
        if let Err(place) = self.lengths.binary_search_by(|l| length.cmp(l)) {
            self.lengths.insert(place, length);
        }
        self.by_prefix.entry(prefix.into()).or_default().push((pattern.clone(), value));
    }

    /// The longest match.
    #[must_use]
    #[inline]
    pub fn find(&self, number: &str) -> Option<Match> {
        if let Some(value) = self.whole.get(number) {
            return Some(Match { value: *value, literal: number.len() });
        }
        self.lengths.iter().find_map(|length| {
            let prefix = number.get(..usize::from(*length))?;
            let candidates = self.by_prefix.get(prefix)?;
            let (_, value) = candidates.iter().find(|(pattern, _)| pattern.matches(number))?;
            Some(Match { value: *value, literal: prefix.len() })
        })
    }

    /// Every value whose pattern matches, longest literal part first.
    pub fn all<'a>(&'a self, number: &'a str) -> impl Iterator<Item = Match> + 'a {
        let whole = self.whole.get(number).map(|value| Match { value: *value, literal: number.len() });
        let wild = self.lengths.iter().filter_map(move |length| {
            let prefix = number.get(..usize::from(*length))?;
            Some(
                self.by_prefix
                    .get(prefix)?
                    .iter()
                    .filter(|(p, _)| p.matches(number))
                    .map(move |(_, value)| Match { value: *value, literal: prefix.len() }),
            )
        });
        whole.into_iter().chain(wild.flatten())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.by_prefix.is_empty()
    }

    /// The greatest value that stands in it: what holds values as indexes checks them by it after decoding.
    #[must_use]
    pub fn value_max(&self) -> Option<u32> {
        let wild = self.by_prefix.values().flatten().map(|(_, value)| *value);
        self.whole.values().copied().chain(wild).max()
    }
}
