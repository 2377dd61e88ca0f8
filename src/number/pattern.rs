//! Number patterns: `X` 0-9, `Z` 1-9, `N` 2-9, `[1-5]` or `[135]`, a trailing `.` for one or more of anything. Digits, `*`,
//! `#` and a leading `+` stand for themselves.
//!
//! A pattern is kept as it was written and read byte by byte at each match: no compiled form that could disagree with the
//! text, no allocation. Invariant: matching is total, also over a text that was never validated (a damaged store).

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longer patterns are refused: E.164 has 15 digits, and nothing that people dial comes near this.
const PATTERN_BYTES_MAX: usize = 64;

/// A number pattern, or an extension taken literally.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pattern {
    text: Arc<str>,
    /// An extension: letters in it are letters.
    exact: bool,
}

/// One step of a pattern: which bytes it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element<'p> {
    Byte(u8),
    Range(u8, u8),
    /// The inside of `[...]`.
    Set(&'p [u8]),
    /// One or more of anything, to the end.
    Rest,
}

impl Element<'_> {
    fn takes(self, byte: u8) -> bool {
        match self {
            Element::Byte(own) => own == byte,
            Element::Range(low, high) => (low..=high).contains(&byte),
            Element::Set(inside) => set_ranges(inside).any(|(low, high)| (low..=high).contains(&byte)),
            Element::Rest => true,
        }
    }
}

/// `1-35` as the ranges 1-3 and 5-5.
fn set_ranges(inside: &[u8]) -> impl Iterator<Item = (u8, u8)> + '_ {
    let mut rest = inside;
    std::iter::from_fn(move || match rest {
        [low, b'-', high, tail @ ..] => {
            rest = tail;
            Some((*low, *high))
        }
        [one, tail @ ..] => {
            rest = tail;
            Some((*one, *one))
        }
        [] => None,
    })
}

/// The elements of a pattern, in order.
struct Elements<'p> {
    rest: &'p [u8],
    exact: bool,
}

impl<'p> Iterator for Elements<'p> {
    type Item = Element<'p>;

    fn next(&mut self) -> Option<Element<'p>> {
        let (&first, tail) = self.rest.split_first()?;
        self.rest = tail;
        if self.exact {
            return Some(Element::Byte(first));
        }
        Some(match first {
            b'X' => Element::Range(b'0', b'9'),
            b'Z' => Element::Range(b'1', b'9'),
            b'N' => Element::Range(b'2', b'9'),
            b'.' if tail.is_empty() => Element::Rest,
            b'[' => match memchr::memchr(b']', tail) {
                Some(end) => {
                    let (inside, after) = tail.split_at(end);
                    self.rest = after.get(1..).unwrap_or_default();
                    Element::Set(inside)
                }
                None => Element::Byte(first),
            },
            byte => Element::Byte(byte),
        })
    }
}

impl Pattern {
    /// # Errors
    /// What is wrong with it and how to write it, for the operator.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        validate(text)?;
        Ok(Pattern { text: text.into(), exact: false })
    }

    /// The text itself and nothing else: an extension, whose letters are no wildcards.
    #[must_use]
    pub fn exact(text: &str) -> Pattern {
        Pattern { text: text.into(), exact: true }
    }

    /// Whether the whole of `number` fits. No allocation.
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        let mut bytes = number.as_bytes();
        for element in self.elements() {
            let Some((&byte, tail)) = bytes.split_first() else { return false };
            if element == Element::Rest {
                return true;
            }
            if !element.takes(byte) {
                return false;
            }
            bytes = tail;
        }
        bytes.is_empty()
    }

    /// The literal characters before the first wildcard: the longest wins among classes.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        if self.exact {
            return &self.text;
        }
        let mut taken = 0;
        for element in self.elements() {
            match element {
                Element::Byte(_) => taken += 1,
                Element::Range(..) | Element::Set(_) | Element::Rest => break,
            }
        }
        self.text.get(..taken).unwrap_or_default()
    }

    /// The one number that fits, where there is but one.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        let prefix = self.literal_prefix();
        (prefix.len() == self.text.len()).then_some(prefix)
    }

    /// A text that fits: the least of each step. What follows a trailing `.` is one digit.
    #[must_use]
    pub fn sample(&self) -> String {
        let least = |element: Element<'_>| match element {
            Element::Byte(byte) | Element::Range(byte, _) => char::from(byte),
            Element::Set(inside) => set_ranges(inside).next().map_or('0', |(low, _)| char::from(low)),
            Element::Rest => '0',
        };
        self.elements().map(least).collect()
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has no wildcard: it matches one number alone.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.literal_prefix().len() == self.text.len()
    }

    /// Whether some number fits both.
    #[must_use]
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let (mut ours, mut theirs) = (self.elements(), other.elements());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(Element::Rest), Some(_)) | (Some(_), Some(Element::Rest)) => {
                    return true;
                }
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(a), Some(b)) => {
                    if !(0..=u8::MAX).any(|byte| a.takes(byte) && b.takes(byte)) {
                        return false;
                    }
                }
            }
        }
    }

    fn elements(&self) -> Elements<'_> {
        Elements { rest: self.text.as_bytes(), exact: self.exact }
    }
}

fn validate(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a pattern can't be empty: write `.` for any number".into());
    }
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern has at most {PATTERN_BYTES_MAX} characters"));
    }
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '0'..='9' | '*' | '#' | 'X' | 'Z' | 'N' => {}
            '+' if at == 0 => {}
            '+' => return Err("`+` stands at the beginning only".into()),
            '.' if at + 1 == text.len() => {}
            '.' => return Err("`.` (one or more of anything) stands at the end only".into()),
            '[' => {
                let inside =
                    text.get(at + 1..).and_then(|tail| tail.split_once(']')).map(|(inside, _)| inside);
                validate_set(inside.ok_or("`[` without its `]`: write a set as `[1-5]` or `[135]`")?)?;
                characters.find(|(_, character)| *character == ']');
            }
            'x' | 'z' | 'n' => {
                return Err(format!(
                    "wildcards are capital letters: write `{}`",
                    character.to_ascii_uppercase()
                ));
            }
            ' ' | '-' | '(' | ')' | '/' => {
                return Err(format!("`{character}` only makes a number readable: leave it out"));
            }
            other => {
                return Err(format!(
                    "`{other}` means nothing in a pattern: write digits, `*`, `#`, a leading `+`, `X` (0-9), `Z` (1-9), \
                     `N` (2-9), `[1-5]` and a `.` at the end"
                ));
            }
        }
    }
    Ok(())
}

fn validate_set(inside: &str) -> Result<(), String> {
    let wrong = || Err(format!("`[{inside}]` is no set of digits: write `[1-5]` or `[135]`"));
    if inside.is_empty() || inside.starts_with('-') || inside.ends_with('-') {
        return wrong();
    }
    for (low, high) in set_ranges(inside.as_bytes()) {
        if !low.is_ascii_digit() || !high.is_ascii_digit() {
            return wrong();
        }
        if low > high {
            return Err(format!(
                "`[{inside}]` runs backwards: write `[{}-{}]`",
                char::from(high),
                char::from(low)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, number: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(number)
    }

    #[test]
    fn each_wildcard_takes_its_own_digits() {
        assert!(fits("9NXXNXXXXXX", "92025550150"));
        assert!(!fits("9NXXNXXXXXX", "91025550150"));
        assert!(fits("Z", "1") && !fits("Z", "0"));
        assert!(fits("[1-5]0", "30") && !fits("[1-5]0", "60"));
        assert!(fits("[135-7]", "6") && !fits("[135-7]", "2"));
        assert!(fits("*8", "*8") && fits("#.", "#1"));
    }

    #[test]
    fn a_trailing_dot_is_one_or_more_of_anything() {
        assert!(fits("+1900.", "+19005550100"));
        assert!(!fits("+1900.", "+1900"));
        assert!(fits(".", "anything at all"));
        assert!(!fits(".", ""));
    }

    #[test]
    fn an_exact_pattern_takes_letters_as_letters() {
        let pattern = Pattern::exact("DESK.X");
        assert!(pattern.matches("DESK.X"));
        assert!(!pattern.matches("DESK.1"));
        assert_eq!(pattern.literal_prefix(), "DESK.X");
    }

    #[test]
    fn the_literal_prefix_ends_at_the_first_wildcard() {
        for (pattern, prefix) in
            [("+1202.", "+1202"), (".", ""), ("911", "911"), ("9[1-2]1", "9"), ("*8X", "*8")]
        {
            assert_eq!(Pattern::parse(pattern).unwrap().literal_prefix(), prefix);
        }
    }

    #[test]
    fn overlap_is_found_through_wildcards() {
        let overlaps = |a: &str, b: &str| Pattern::parse(a).unwrap().overlaps(&Pattern::parse(b).unwrap());
        assert!(overlaps("+1X.", "+12."));
        assert!(overlaps("1XX", "10[5-9]"));
        assert!(!overlaps("1XX", "1X"));
        assert!(!overlaps("+1[2-4].", "+1[5-9]."));
        assert!(!overlaps("91", "91."));
    }

    #[test]
    fn a_wrong_pattern_says_how_to_write_it() {
        for (wrong, says) in [
            ("", "can't be empty"),
            ("+1 202", "leave it out"),
            ("1xx", "write `X`"),
            ("1.2", "at the end only"),
            ("[5-1]", "write `[1-5]`"),
            ("[1-5", "without its `]`"),
            ("[]", "no set of digits"),
            ("12+", "beginning only"),
            ("Q", "means nothing"),
        ] {
            let error = Pattern::parse(wrong).unwrap_err();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_never_panics(pattern in ".{0,20}", number in ".{0,20}") {
            if let Ok(parsed) = Pattern::parse(&pattern) {
                let _ = parsed.matches(&number);
                prop_assert!(pattern.starts_with(parsed.literal_prefix()));
                prop_assert!(parsed.overlaps(&parsed));
            }
            let _ = Pattern { text: pattern.as_str().into(), exact: false }.matches(&number);
        }

        #[test]
        fn a_number_fits_the_pattern_that_it_is(number in "\\+?[0-9*#]{1,15}") {
            prop_assert!(fits(&number, &number));
        }

        #[test]
        fn two_patterns_that_take_one_number_overlap(
            a in "[0-2XN]{1,4}\\.?", b in "[0-2XN]{1,4}\\.?", number in "[0-3]{1,5}",
        ) {
            let (a, b) = (Pattern::parse(&a).unwrap(), Pattern::parse(&b).unwrap());
            if a.matches(&number) && b.matches(&number) {
                prop_assert!(a.overlaps(&b));
            }
        }
    }
}
