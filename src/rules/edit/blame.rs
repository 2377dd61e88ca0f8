//! Who wrote each line: an object's lines held against those of every generation before.

use super::difference::{Step, steps};
use serde::Serialize;

/// A line and the generation that brought it; `None`: older than what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blamed {
    pub generation: Option<u64>,
    pub line: String,
}

/// The lines of the newest of these versions, newest first; each with its generation.
///
/// `complete`: the oldest version given is the first there ever was, so its lines are its own.
#[must_use]
pub fn blame(versions: &[(u64, Vec<String>)], complete: bool) -> Vec<Blamed> {
    let Some((newest, lines)) = versions.first() else { return Vec::new() };
    let mut blamed: Vec<Blamed> =
        lines.iter().map(|line| Blamed { generation: Some(*newest), line: line.clone() }).collect();
    // Lines not yet accounted for: where each stands in the version looked at, and in the newest.
    let mut open: Vec<(usize, usize)> = (0..lines.len()).map(|n| (n, n)).collect();
    let mut here = lines;
    for (generation, older) in versions.iter().skip(1) {
        let mut still = Vec::new();
        for step in steps(older, here) {
            if let Step::Same { old, new } = step
                && let Some((_, in_newest)) = open.iter().find(|(at, _)| *at == new)
            {
                still.push((old, *in_newest));
                if let Some(line) = blamed.get_mut(*in_newest) {
                    line.generation = Some(*generation);
                }
            }
        }
        open = still;
        here = older;
    }
    if !complete {
        for (_, in_newest) in open {
            if let Some(line) = blamed.get_mut(in_newest) {
                line.generation = None;
            }
        }
    }
    blamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_line_belongs_to_the_generation_that_brought_it() {
        let versions = [(7, lines("a x c d")), (5, lines("a b c d")), (2, lines("a b d"))];
        let of = |complete| blame(&versions, complete).into_iter().map(|b| b.generation).collect::<Vec<_>>();
        assert_eq!(of(true), [Some(2), Some(7), Some(5), Some(2)]);
        assert_eq!(of(false), [None, Some(7), Some(5), None]);
        assert!(blame(&[], true).is_empty());
    }

    #[test]
    fn a_line_that_went_and_came_back_is_of_its_return() {
        let versions = [(3, lines("a b")), (2, lines("a")), (1, lines("a b"))];
        let of: Vec<_> = blame(&versions, true).into_iter().map(|b| b.generation).collect();
        assert_eq!(of, [Some(1), Some(3)]);
    }
}
