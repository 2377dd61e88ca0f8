//! Lists inside a value: `;name=value` parameters, and elements that commas separate. Quoted strings and angle brackets
//! protect what is inside them (RFC 3261 §7.3.1, §25.1).

use super::parse::is_token;
use memchr::{memchr, memchr2, memchr3};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    pub name: &'a str,
    /// Quotes removed, escapes kept; `None` for a flag.
    pub value: Option<&'a str>,
    /// As written, without the `;` before it.
    pub text: &'a str,
}

/// The parameters of `;a=1;b;c="x;y"`, in order. Empty ones (`;;`) are passed over.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: &'a str,
}

impl<'a> Params<'a> {
    /// `text` with its leading `;`, or empty.
    #[must_use]
    pub fn new(text: &'a str) -> Params<'a> {
        Params { rest: text }
    }

    /// The value of the first parameter of that name, compared without case; `Some("")` for a flag.
    #[must_use]
    pub fn find(text: &'a str, name: &str) -> Option<&'a str> {
        Params::new(text).find(|param| param.name.eq_ignore_ascii_case(name)).map(|p| p.value.unwrap_or(""))
    }

    /// Whether every parameter has a token for a name and none is empty.
    pub(super) fn are_sound(text: &'a str) -> bool {
        let text = trimmed(text);
        text.is_empty()
            || text.strip_prefix(';').is_some_and(|inner| {
                split(inner, b';').all(|param| {
                    let name = trimmed(cut(param, b'=').0);
                    !name.is_empty() && name.bytes().all(is_token)
                })
            })
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        loop {
            let rest = after_blanks(self.rest);
            if rest.is_empty() {
                return None;
            }
            let rest = rest.strip_prefix(';').unwrap_or(rest);
            let end = separator(rest, b';').unwrap_or(rest.len());
            let text = trimmed(rest.get(..end)?);
            self.rest = rest.get(end..)?;
            if text.is_empty() {
                continue;
            }
            let (name, value) = match split_once(text, b'=') {
                Some((name, value)) => (trimmed(name), Some(unquoted(trimmed(value)))),
                None => (text, None),
            };
            return Some(Param { name, value, text });
        }
    }
}

/// The elements of a comma-separated list, trimmed; empty ones are passed over.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Elements<'a> {
    #[must_use]
    pub fn new(text: &'a str) -> Elements<'a> {
        Elements { rest: text }
    }

    /// What follows the elements taken so far, without the comma.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.rest.is_empty() {
            let end = separator(self.rest, b',').unwrap_or(self.rest.len());
            let element = trimmed(self.rest.get(..end)?);
            self.rest = self.rest.get(end + 1..).unwrap_or("");
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// LWS; folds are spaces by the time that text is read.
pub(super) const BLANK: [char; 2] = [' ', '\t'];

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the blanks at both ends. By bytes: most values have none there, and a search by characters costs more than reading
/// the value does.
pub(super) fn trimmed(text: &str) -> &str {
    before_blanks(after_blanks(text))
}

/// Without the blanks in front.
pub(super) fn after_blanks(text: &str) -> &str {
    let blanks = text.bytes().take_while(is_blank).count();
    text.get(blanks..).unwrap_or("")
}

/// Without the blanks at the end.
pub(super) fn before_blanks(text: &str) -> &str {
    let blanks = text.bytes().rev().take_while(is_blank).count();
    text.get(..text.len() - blanks).unwrap_or("")
}

/// `str::split_once` at an ASCII byte: these texts are short and many, and the search of the standard library is slow to start.
pub(super) fn split_once(text: &str, at: u8) -> Option<(&str, &str)> {
    let at = memchr(at, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Cuts before the first such ASCII byte, which stays with the second part.
pub(super) fn cut(text: &str, at: u8) -> (&str, &str) {
    memchr(at, text.as_bytes()).and_then(|end| text.split_at_checked(end)).unwrap_or((text, ""))
}

/// Every piece between separators, empty ones too.
fn split(text: &str, by: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = separator(text, by);
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// Where the next separator stands that neither quotes nor angle brackets protect. A quote or bracket that isn't closed
/// protects all that follows: its reader refuses it.
fn separator(text: &str, by: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        let hit = at + memchr3(by, b'"', b'<', text.as_bytes().get(at..)?)?;
        at = match text.as_bytes().get(hit)? {
            b'"' => hit + 2 + closing_quote(text.get(hit + 1..)?)?,
            b'<' => hit + 1 + memchr(b'>', text.as_bytes().get(hit..)?)?,
            _ => return Some(hit),
        };
    }
}

/// Where the quoted string ends whose opening quote has been taken.
pub(super) fn closing_quote(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let hit = at + memchr2(b'"', b'\\', text.as_bytes().get(at..)?)?;
        if text.as_bytes().get(hit) == Some(&b'"') {
            return Some(hit);
        }
        at = hit + 2;
    }
}

/// The text without the quotes around it; escapes are kept.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// The text of a quoted string with its backslash escapes resolved.
pub(super) fn unescaped(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commas_and_semicolons_that_are_protected_do_not_separate() {
        let elements: Vec<_> = Elements::new("\"a,\\\",b\" <sip:x,y@z> ;q=1,, <sip:\"@z>,c ,").collect();
        assert_eq!(elements, ["\"a,\\\",b\" <sip:x,y@z> ;q=1", "<sip:\"@z>", "c"]);
        let params: Vec<_> =
            Params::new(" ; a ; b=\"x;\\\";y\" ;; c = 1").map(|p| (p.name, p.value)).collect();
        assert_eq!(params, [("a", None), ("b", Some("x;\\\";y")), ("c", Some("1"))]);
    }

    proptest! {
        #[test]
        fn nothing_but_separators_is_lost(text in "[a;,\"<>\\\\= ü]{0,40}") {
            let kept = |text: &str, without: &[char]| text.chars().filter(|c| !without.contains(c)).count();
            let elements: usize = Elements::new(&text).map(|e| kept(e, &[' ', ','])).sum();
            prop_assert_eq!(elements, kept(&text, &[' ', ',']));
            let params: usize = Params::new(&text).map(|p| kept(p.text, &[' ', ';'])).sum();
            prop_assert_eq!(params, kept(&text, &[' ', ';']));
        }
    }
}
