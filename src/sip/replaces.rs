//! The Replaces header field (RFC 3891 §6.1): which dialog a new one is to take the place of.

use super::params::{Params, cut};

/// Read from the side of whoever gets it: `to_tag` is their own tag in that dialog, `from_tag` the other party's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    pub call_id: &'a str,
    pub to_tag: &'a str,
    pub from_tag: &'a str,
    /// Only a dialog that nobody has answered yet.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// `None` where there is no Call-ID, or not exactly one of each tag (RFC 3891 §6.1).
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Replaces<'a>> {
        let (call_id, params) = cut(value.trim(), b';');
        let call_id = call_id.trim();
        let one = |name: &str| {
            let mut found = Params::new(params).filter(|param| param.name.eq_ignore_ascii_case(name));
            let first = found.next()?.value.filter(|value| !value.is_empty())?;
            found.next().is_none().then_some(first)
        };
        if call_id.is_empty() || call_id.contains([',', ' ', '\t']) {
            return None;
        }
        Some(Replaces {
            call_id,
            to_tag: one("to-tag")?,
            from_tag: one("from-tag")?,
            early_only: Params::find(params, "early-only").is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_and_both_tags_are_read_in_any_order() {
        let read =
            Replaces::parse("98732@sip.example.com ;from-tag=r33th4x0r;to-tag=ff87ff;early-only").unwrap();
        assert_eq!(
            (read.call_id, read.to_tag, read.from_tag),
            ("98732@sip.example.com", "ff87ff", "r33th4x0r")
        );
        assert!(read.early_only);
        assert!(!Replaces::parse("a;to-tag=1;from-tag=2;x=y").unwrap().early_only);
    }

    #[test]
    fn a_dialog_is_named_whole_and_once() {
        for value in [
            "",
            "a",
            ";to-tag=1;from-tag=2",
            "a;to-tag=1",
            "a;from-tag=2",
            "a;to-tag=1;to-tag=3;from-tag=2",
            "a;to-tag;from-tag=2",
            "a;to-tag=1;from-tag=2, b;to-tag=3;from-tag=4",
            "a, b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(value), None, "{value}");
        }
    }
}
