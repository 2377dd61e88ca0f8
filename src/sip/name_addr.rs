//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route, Diversion and their like
//! (RFC 3261 §20.10, §25.1).

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
    #[must_use]
    pub fn parse(text: &'a str) -> Option<NameAddr<'a>> {
        let _ = text;
        todo!()
    }

    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let _ = name;
        todo!()
    }

    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag")
    }

    /// The display name with backslash escapes resolved.
    #[must_use]
    pub fn display_unescaped(&self) -> std::borrow::Cow<'a, str> {
        todo!()
    }
}
