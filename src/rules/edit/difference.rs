//! How two texts differ, line by line (Myers, "An O(ND) Difference Algorithm", 1986), and how that is written down.

/// Edits up to which the shortest way is looked for; texts that differ more are shown as replaced whole.
const EDITS_MAX: usize = 2_000;
/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;

/// One line of a comparison, with its index in the texts that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Same { old: usize, new: usize },
    Gone { old: usize },
    Came { new: usize },
}

/// From the one to the other, in order.
#[must_use]
pub fn steps<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Step> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let mut steps: Vec<Step> = (0..head).map(|n| Step::Same { old: n, new: n }).collect();
    let a = old.get(head..old_end).unwrap_or_default();
    let b = new.get(head..new_end).unwrap_or_default();
    match shortest(a, b) {
        Some(middle) => steps.extend(middle.into_iter().map(|step| match step {
            Step::Same { old, new } => Step::Same { old: old + head, new: new + head },
            Step::Gone { old } => Step::Gone { old: old + head },
            Step::Came { new } => Step::Came { new: new + head },
        })),
        None => {
            steps.extend((head..old_end).map(|old| Step::Gone { old }));
            steps.extend((head..new_end).map(|new| Step::Came { new }));
        }
    }
    steps.extend((0..tail).map(|n| Step::Same { old: old_end + n, new: new_end + n }));
    steps
}

/// How far along the old text one gets on each diagonal (old less new index) with so many edits.
#[derive(Clone)]
struct Furthest {
    reach: isize,
    by_diagonal: Vec<isize>,
}

impl Furthest {
    fn get(&self, diagonal: isize) -> isize {
        let at = usize::try_from(diagonal + self.reach).ok();
        at.and_then(|at| self.by_diagonal.get(at)).copied().unwrap_or(0)
    }

    fn set(&mut self, diagonal: isize, x: isize) {
        let at = usize::try_from(diagonal + self.reach).ok();
        if let Some(slot) = at.and_then(|at| self.by_diagonal.get_mut(at)) {
            *slot = x;
        }
    }

    /// Whether the last of `edits` that led to this diagonal was a line that came.
    fn by_coming(&self, diagonal: isize, edits: isize) -> bool {
        diagonal == -edits || (diagonal != edits && self.get(diagonal - 1) < self.get(diagonal + 1))
    }
}

/// `None` beyond [`EDITS_MAX`].
fn shortest<T: PartialEq>(a: &[T], b: &[T]) -> Option<Vec<Step>> {
    let line = |of: &[T], at: isize| usize::try_from(at).ok().filter(|at| *at < of.len());
    let reach = isize::try_from((a.len() + b.len()).min(EDITS_MAX)).ok()?;
    let (old_len, new_len) = (isize::try_from(a.len()).ok()?, isize::try_from(b.len()).ok()?);
    let size = usize::try_from(2 * reach + 3).ok()?;
    let mut furthest = Furthest { reach: reach + 1, by_diagonal: vec![0; size] };
    let mut trace: Vec<Furthest> = Vec::new();
    for edits in 0..=reach {
        trace.push(furthest.clone());
        for diagonal in (-edits..=edits).step_by(2) {
            let mut x = if furthest.by_coming(diagonal, edits) {
                furthest.get(diagonal + 1)
            } else {
                furthest.get(diagonal - 1) + 1
            };
            while let (Some(old), Some(new)) = (line(a, x), line(b, x - diagonal))
                && a.get(old) == b.get(new)
            {
                x += 1;
            }
            furthest.set(diagonal, x);
            if x >= old_len && x - diagonal >= new_len {
                return Some(back(&trace, old_len, new_len));
            }
        }
    }
    None
}

/// The way that led to the end, from the end.
fn back(trace: &[Furthest], old_len: isize, new_len: isize) -> Vec<Step> {
    let (mut x, mut y) = (old_len, new_len);
    let mut steps = Vec::new();
    let index = |at: isize| usize::try_from(at).unwrap_or(0);
    let numbered: Vec<(isize, &Furthest)> = (0..).zip(trace).collect();
    for (edits, furthest) in numbered.into_iter().rev() {
        let came = furthest.by_coming(x - y, edits);
        let before = if came { x - y + 1 } else { x - y - 1 };
        let before_x = if edits == 0 { 0 } else { furthest.get(before) };
        let before_y = if edits == 0 { 0 } else { before_x - before };
        while x > before_x && y > before_y {
            (x, y) = (x - 1, y - 1);
            steps.push(Step::Same { old: index(x), new: index(y) });
        }
        if edits > 0 {
            steps.push(if came {
                Step::Came { new: index(before_y) }
            } else {
                Step::Gone { old: index(before_x) }
            });
            (x, y) = (before_x, before_y);
        }
    }
    steps.reverse();
    steps
}

/// As `diff -u` writes it, under the names given; empty where nothing differs.
#[must_use]
pub fn unified(old_name: &str, old: &str, new_name: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let steps = steps(&a, &b);
    let changed: Vec<usize> =
        steps.iter().enumerate().filter(|(_, s)| !matches!(s, Step::Same { .. })).map(|(n, _)| n).collect();
    let mut out = String::new();
    let mut rest = changed.as_slice();
    while let Some(first) = rest.first() {
        let run = rest.windows(2).take_while(|w| w[1] - w[0] <= 2 * CONTEXT + 1).count() + 1;
        let last = rest.get(run - 1).unwrap_or(first);
        let hunk = steps.get(first.saturating_sub(CONTEXT)..(last + 1 + CONTEXT).min(steps.len()));
        if out.is_empty() {
            out.push_str(&format!("--- {old_name}\n+++ {new_name}\n"));
        }
        write_hunk(&mut out, hunk.unwrap_or_default(), &a, &b);
        rest = rest.get(run..).unwrap_or_default();
    }
    out
}

fn write_hunk(out: &mut String, hunk: &[Step], a: &[&str], b: &[&str]) {
    let (mut olds, mut news) = (Vec::new(), Vec::new());
    let mut body = String::new();
    for step in hunk {
        let (mark, line) = match *step {
            Step::Same { old, new } => {
                olds.push(old);
                news.push(new);
                (' ', a.get(old))
            }
            Step::Gone { old } => {
                olds.push(old);
                ('-', a.get(old))
            }
            Step::Came { new } => {
                news.push(new);
                ('+', b.get(new))
            }
        };
        body.push(mark);
        body.push_str(line.copied().unwrap_or_default());
        body.push('\n');
    }
    let range = |lines: &[usize]| format!("{},{}", lines.first().map_or(0, |n| n + 1), lines.len());
    out.push_str(&format!("@@ -{} +{} @@\n{body}", range(&olds), range(&news)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_steps_lead_from_the_one_to_the_other(old in "[abc]{0,20}", new in "[abc]{0,20}") {
            let (a, b): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
            let steps = steps(&a, &b);
            let left: String = steps.iter().filter_map(|s| match s {
                Step::Same { old, .. } | Step::Gone { old } => Some(a[*old]),
                Step::Came { .. } => None,
            }).collect();
            let right: String = steps.iter().filter_map(|s| match s {
                Step::Same { new, .. } | Step::Came { new } => Some(b[*new]),
                Step::Gone { .. } => None,
            }).collect();
            prop_assert_eq!(left, old);
            prop_assert_eq!(right, new);
            for step in &steps {
                if let Step::Same { old, new } = step { prop_assert_eq!(a[*old], b[*new]); }
            }
            let same = steps.iter().filter(|s| matches!(s, Step::Same { .. })).count();
            prop_assert_eq!(same, common(&a, &b), "the shortest way keeps the most");
        }
    }

    /// Length of the longest common subsequence, by the book.
    fn common(a: &[char], b: &[char]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut before = 0;
            for (n, y) in b.iter().enumerate() {
                let here = row[n + 1];
                row[n + 1] = if x == y { before + 1 } else { here.max(row[n]) };
                before = here;
            }
        }
        row[b.len()]
    }

    #[test]
    fn a_difference_is_shown_with_what_stands_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n";
        assert_eq!(
            unified("a", old, "b", new),
            "--- a\n+++ b\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+10\n"
        );
        assert_eq!(unified("a", old, "b", old), "");
        assert_eq!(unified("a", "", "b", "x\n"), "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+x\n");
    }

    #[test]
    fn texts_that_have_nothing_in_common_are_replaced_whole() {
        let old: Vec<usize> = (0..3000).collect();
        let new: Vec<usize> = (5000..8000).collect();
        assert_eq!(steps(&old, &new).len(), 6000);
    }
}
