//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    Urn,
    Other,
}

/// A URI borrowed from the text that it stands in. Escapes are kept; `user_unescaped` resolves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    pub text: &'a str,
    pub scheme: Scheme,
    /// Before the `@`, without the password; for `tel:` the number; for other schemes what follows the colon.
    pub user: &'a str,
    /// Host without brackets; empty for `tel:` and others.
    pub host: &'a str,
    pub port: Option<u16>,
    /// With the leading `;`, or empty.
    pub params: &'a str,
    /// With the leading `?`, or empty.
    pub headers: &'a str,
}

impl<'a> Uri<'a> {
    /// # Errors
    /// `None` where the text is no URI.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Uri<'a>> {
        let _ = text;
        todo!()
    }

    /// The value of a parameter (`Some("")` for a flag), names compared without case.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let _ = name;
        todo!()
    }

    /// The user part with `%XX` resolved (RFC 3261 §19.1.2); borrows where there is none.
    #[must_use]
    pub fn user_unescaped(&self) -> std::borrow::Cow<'a, str> {
        todo!()
    }
}
