//! Where spans begin, without the text: where each line of a file ends, and which of its characters are longer than a byte.
//!
//! Kept with a compiled domain, whose source stays in the store.

use super::{Files, Place, Span};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// The lines of one file. Stored as differences, which are short; read into sums, which are searched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// Where each line ends, with its line end; the last may have none.
    #[serde(serialize_with = "lengths", deserialize_with = "ends")]
    ends: Vec<u32>,
    /// Characters of several bytes: where each begins, and how many bytes it has beyond the first.
    #[serde(serialize_with = "distances", deserialize_with = "begins")]
    wide: Vec<(u32, u8)>,
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn lengths<S: Serializer>(ends: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    let mut last = 0;
    serializer.collect_seq(ends.iter().map(|end| end - std::mem::replace(&mut last, *end)))
}

fn ends<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let mut ends = Vec::<u32>::deserialize(deserializer)?;
    let mut sum = 0_u32;
    for end in &mut ends {
        sum = sum.saturating_add(*end);
        *end = sum;
    }
    Ok(ends)
}

fn distances<S: Serializer>(wide: &[(u32, u8)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut last = 0;
    let distance = |(begins, more): &(u32, u8)| (begins - std::mem::replace(&mut last, *begins), *more);
    serializer.collect_seq(wide.iter().map(distance))
}

fn begins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u32, u8)>, D::Error> {
    let mut wide = Vec::<(u32, u8)>::deserialize(deserializer)?;
    let mut sum = 0_u32;
    for (begins, _) in &mut wide {
        sum = sum.saturating_add(*begins);
        *begins = sum;
    }
    Ok(wide)
}

impl Lines {
    #[must_use]
    pub fn of(text: &str) -> Lines {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| narrow(end + 1));
        let ends = ends.chain([narrow(text.len())]).collect();
        let mut wide = Vec::new();
        if !text.is_ascii() {
            let characters = text.char_indices().filter(|(_, character)| !character.is_ascii());
            let more = |character: char| u8::try_from(character.len_utf8() - 1).unwrap_or(0);
            wide.extend(characters.map(|(at, character)| (narrow(at), more(character))));
        }
        Lines { ends, wide }
    }

    /// Where a span of this file begins: the same as [`Files::place`] says.
    #[must_use]
    pub fn place(&self, file: &str, span: Span) -> Place {
        let mut at = span.start.min(self.ends.last().copied().unwrap_or(0));
        let mut before =
            self.wide.get(..self.wide.partition_point(|(begins, _)| *begins < at)).unwrap_or_default();
        // A span that begins inside of a character begins with it.
        if let Some(((begins, more), others)) = before.split_last()
            && at <= begins.saturating_add(u32::from(*more))
        {
            (at, before) = (*begins, others);
        }
        let above = self.ends.partition_point(|end| *end <= at).min(self.ends.len().saturating_sub(1));
        let start = above.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        let in_line = before.iter().rev().take_while(|(begins, _)| *begins >= start);
        let wide: u32 = in_line.map(|(_, more)| u32::from(*more)).sum();
        let column = at.saturating_sub(start).saturating_sub(wide) as usize + 1;
        Place { file: file.into(), line: above + 1, column }
    }
}

/// The lines of several files, each counted when it is first asked about: for many findings in few files.
#[derive(Debug)]
pub struct Places<'a> {
    files: Vec<(&'a Arc<str>, &'a Arc<str>)>,
    lines: std::collections::HashMap<u32, Lines>,
}

impl<'a> Places<'a> {
    #[must_use]
    pub fn of(files: &'a Files) -> Places<'a> {
        Places { files: files.0.iter().collect(), lines: std::collections::HashMap::new() }
    }

    /// Where a span begins: the same as [`Files::place`], without looking for the file and through it every time.
    pub fn place(&mut self, span: Span) -> Place {
        let Some((name, text)) = self.files.get(span.file as usize) else {
            return Place { file: "".into(), line: 1, column: 1 };
        };
        self.lines.entry(span.file).or_insert_with(|| Lines::of(text)).place(name, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_counted_place_is_the_place_that_a_look_through_the_file_finds(
            first in "[a-zé€\n]{0,40}",
            second in "[a-zé😀\n]{0,40}",
            file in 0_u32..3,
            start in 0_u32..90,
        ) {
            let files = Files([("a.toml".into(), first.into()), ("b.toml".into(), second.into())].into());
            let span = Span { file, start, end: start };
            prop_assert_eq!(Places::of(&files).place(span), files.place(span));
            let lines = files.file(file).map(|(_, text)| Lines::of(text));
            let bytes = postcard::to_stdvec(&lines).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Option<Lines>>(&bytes).unwrap(), lines);
        }
    }
}
