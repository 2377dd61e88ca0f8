//! Where spans begin, without the text: how long each line of a file is, and which of its characters are longer than a byte.
//!
//! Kept with a compiled domain, whose source stays in the store.

use super::{Files, Place, Span};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The lines of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// The length of each line with its end, in bytes; the last may have none.
    lengths: Vec<u32>,
    /// Characters of several bytes: how far behind the one before each begins, and how many bytes it has beyond the first.
    wide: Vec<(u32, u8)>,
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Lines {
    #[must_use]
    pub fn of(text: &str) -> Lines {
        let mut lines = Lines::default();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text.as_bytes()) {
            lines.lengths.push(narrow(end + 1 - start));
            start = end + 1;
        }
        lines.lengths.push(narrow(text.len() - start));
        if !text.is_ascii() {
            let mut last = 0;
            for (at, character) in text.char_indices().filter(|(_, c)| !c.is_ascii()) {
                lines.wide.push((narrow(at - last), u8::try_from(character.len_utf8() - 1).unwrap_or(0)));
                last = at;
            }
        }
        lines
    }

    /// Where a span of this file begins: the same as [`Files::place`] says.
    #[must_use]
    pub fn place(&self, file: &str, span: Span) -> Place {
        let text: u32 = self.lengths.iter().fold(0, |sum, length| sum.saturating_add(*length));
        let mut at = span.start.min(text);
        // A span that begins inside of a character begins with it.
        let mut extra = Vec::new();
        let mut begins = 0_u32;
        for (behind, more) in &self.wide {
            begins = begins.saturating_add(*behind);
            if begins >= at {
                break;
            }
            if at <= begins.saturating_add(u32::from(*more)) {
                at = begins;
                break;
            }
            extra.push((begins, u32::from(*more)));
        }
        let (mut line, mut start) = (1, 0_u32);
        for length in &self.lengths {
            let next = start.saturating_add(*length);
            if next > at || line == self.lengths.len() {
                break;
            }
            (line, start) = (line + 1, next);
        }
        let wide: u32 = extra.iter().filter(|(begins, _)| *begins >= start).map(|(_, more)| *more).sum();
        let column = at.saturating_sub(start).saturating_sub(wide) as usize + 1;
        Place { file: file.into(), line, column }
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
