//! Where spans begin, for a domain that is in force: its files never change, so their lines are counted once.

use super::{Files, Place, Span};
use std::sync::Arc;

/// The files of one domain with the byte at which each line starts.
#[derive(Debug, Default)]
pub struct Places(Vec<Lines>);

#[derive(Debug)]
struct Lines {
    name: Arc<str>,
    text: Arc<str>,
    starts: Vec<u32>,
}

impl Places {
    #[must_use]
    pub fn of(files: &Files) -> Places {
        let lines = |(name, text): (&Arc<str>, &Arc<str>)| {
            let ends = memchr::memchr_iter(b'\n', text.as_bytes())
                .map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX));
            let starts = std::iter::once(0).chain(ends).collect();
            Lines { name: name.clone(), text: text.clone(), starts }
        };
        Places(files.0.iter().map(lines).collect())
    }

    /// Where a span begins: the same as [`Files::place`], without looking through the file.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let Some(file) = self.0.get(span.file as usize) else {
            return Place { file: "".into(), line: 1, column: 1 };
        };
        let line = file.starts.partition_point(|start| *start <= span.start).max(1);
        let start = file.starts.get(line - 1).copied().unwrap_or(0) as usize;
        let before =
            file.text.get(start..super::boundary(&file.text, span.start as usize)).unwrap_or_default();
        Place { file: file.name.clone(), line, column: before.chars().count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_indexed_place_is_the_place_that_a_look_through_the_file_finds(
            first in "[a-zé\n]{0,40}",
            second in "[a-zé\n]{0,40}",
            file in 0_u32..3,
            start in 0_u32..60,
        ) {
            let files = Files([("a.toml".into(), first.into()), ("b.toml".into(), second.into())].into());
            let span = Span { file, start, end: start };
            prop_assert_eq!(Places::of(&files).place(span), files.place(span));
        }
    }
}
