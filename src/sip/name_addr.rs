//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route, Diversion and their like
//! (RFC 3261 §20.10, §25.1).

use super::params::{
    Params, after_blanks, before_blanks, closing_quote, cut, split_once, trimmed, unescaped,
};
use super::uri::Uri;

/// One element of a From, To, Contact, Route... header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes removed, escapes kept. Empty when there is none.
    pub display: &'a str,
    pub uri: Uri<'a>,
    /// Header parameters with the leading `;`, or empty.
    pub params: &'a str,
}

impl<'a> NameAddr<'a> {
    /// `None` where the text is neither form: no URI, a quote or bracket that isn't closed, or a URI without angle
    /// brackets that has headers (RFC 3261 §20: it must have them). A display name without quotes may hold any text.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<NameAddr<'a>> {
        let text = trimmed(text);
        let (display, rest) = match text.strip_prefix('"') {
            Some(inner) => {
                let end = closing_quote(inner)?;
                (inner.get(..end)?, after_blanks(inner.get(end + 1..)?))
            }
            None => match cut(text, b'<') {
                (_, "") => return addr_spec(text),
                (display, rest) => (before_blanks(display), rest),
            },
        };
        if !text.starts_with('"') && display.contains('"') {
            return None;
        }
        let (uri, params) = split_once(rest.strip_prefix('<')?, b'>')?;
        let uri = Uri::parse(trimmed(uri))?;
        Some(NameAddr { display, uri, params: header_params(params)? })
    }

    /// The value of a header parameter (`Some("")` for a flag), quotes removed; names compared without case.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        Params::find(self.params, name)
    }

    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag")
    }

    /// The display name with backslash escapes resolved.
    #[must_use]
    pub fn display_unescaped(&self) -> std::borrow::Cow<'a, str> {
        unescaped(self.display)
    }
}

/// Without angle brackets every parameter is the header's (RFC 3261 §20.10).
fn addr_spec(text: &str) -> Option<NameAddr<'_>> {
    let (uri, params) = cut(text, b';');
    let uri = Uri::parse(before_blanks(uri)).filter(|uri| uri.headers.is_empty())?;
    Some(NameAddr { display: "", uri, params: header_params(params)? })
}

fn header_params(text: &str) -> Option<&str> {
    let text = trimmed(text);
    (text.is_empty() || text.starts_with(';')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read() {
        let full = NameAddr::parse(" \"A \\\"B\\\" <x>\" <sip:a@b;lr> ; tag = 1 ;q=0.5 ").unwrap();
        assert_eq!((full.display_unescaped().as_ref(), full.uri.text), ("A \"B\" <x>", "sip:a@b;lr"));
        assert_eq!((full.tag(), full.param("q"), full.param("lr")), (Some("1"), Some("0.5"), None));
        let bare = NameAddr::parse("sip:a@b;tag=1").unwrap();
        assert_eq!((bare.display, bare.uri.params, bare.tag()), ("", "", Some("1")));
        let tokens = NameAddr::parse("Dr. Osei<tel:+1>").unwrap();
        assert_eq!((tokens.display, tokens.uri.user), ("Dr. Osei", "+1"));
    }

    #[test]
    fn quoted_parameters_come_without_quotes_and_protect_semicolons() {
        let contact = NameAddr::parse("<sip:a@b>;+sip.instance=\"<urn:uuid:1;2>\";reg-id=1").unwrap();
        assert_eq!(contact.param("+sip.instance"), Some("<urn:uuid:1;2>"));
        assert_eq!(contact.param("reg-id"), Some("1"));
    }

    #[test]
    fn what_is_neither_form_is_refused() {
        for text in [
            "",
            "*",
            "a b",
            "\"a <sip:a@b>",
            "<sip:a@b",
            "\"a\" sip:a@b",
            "<sip:a@b> x",
            "sip:a@b?x=y",
            "a\" <sip:a@b>",
        ] {
            assert_eq!(NameAddr::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_address_reads_back(display in "\\PC{0,12}", user in "[a-z0-9]{1,8}", tag in "[a-z0-9]{1,8}") {
            let escaped = display.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("\"{escaped}\" <sip:{user}@example.com>;tag={tag}");
            let address = NameAddr::parse(&text).unwrap();
            prop_assert_eq!(address.display_unescaped(), display);
            prop_assert_eq!((address.uri.user, address.tag()), (user.as_str(), Some(tag.as_str())));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Some(address) = NameAddr::parse(&text) {
                let _ = (address.tag(), address.display_unescaped());
            }
        }
    }
}
