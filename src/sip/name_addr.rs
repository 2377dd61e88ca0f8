//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route, Diversion and their like
//! (RFC 3261 §20.10, §25.1).

use super::params::{BLANK, Params, unescaped};
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
        let text = text.trim_matches(BLANK);
        let (display, rest) = match text.strip_prefix('"') {
            Some(inner) => {
                let end = closing_quote(inner)?;
                (inner.get(..end)?, inner.get(end + 1..)?.trim_start_matches(BLANK))
            }
            None => match text.find('<') {
                Some(at) => (text.get(..at)?.trim_end_matches(BLANK), text.get(at..)?),
                None => return addr_spec(text),
            },
        };
        if !text.starts_with('"') && display.contains('"') {
            return None;
        }
        let (uri, params) = rest.strip_prefix('<')?.split_once('>')?;
        let uri = Uri::parse(uri.trim_matches(BLANK))?;
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
    let (uri, params) = text.find(';').map_or((text, ""), |end| text.split_at(end));
    let uri = Uri::parse(uri.trim_end_matches(BLANK)).filter(|uri| uri.headers.is_empty())?;
    Some(NameAddr { display: "", uri, params: header_params(params)? })
}

fn header_params(text: &str) -> Option<&str> {
    let text = text.trim_matches(BLANK);
    (text.is_empty() || text.starts_with(';')).then_some(text)
}

/// Where the quoted string ends whose opening quote has been taken.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let closes = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    })
}
