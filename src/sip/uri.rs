//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).
//!
//! Lenient where phones are: characters that should have been escaped (`#` of a feature code) are taken in the user part.
//! Strict where it would be ambiguous: white space, quotes, angle brackets, control characters, a second `@`, an IPv6
//! host without brackets.

use super::params::Params;
use std::borrow::Cow;
use std::net::Ipv6Addr;

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
    /// `None` where the text is no URI, or a SIP URI that can't be read in one way only.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Uri<'a>> {
        let (word, rest) = text.split_once(':')?;
        let alpha = word.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !alpha || !word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            return None;
        }
        if rest.is_empty() || rest.bytes().any(|b| b <= b' ' || matches!(b, 0x7f | b'<' | b'>' | b'"')) {
            return None;
        }
        let scheme = match word.len() {
            3 if word.eq_ignore_ascii_case("sip") => Scheme::Sip,
            4 if word.eq_ignore_ascii_case("sips") => Scheme::Sips,
            3 if word.eq_ignore_ascii_case("tel") => Scheme::Tel,
            3 if word.eq_ignore_ascii_case("urn") => Scheme::Urn,
            _ => Scheme::Other,
        };
        let bare = Uri { text, scheme, user: rest, host: "", port: None, params: "", headers: "" };
        match scheme {
            Scheme::Sip | Scheme::Sips => sip(bare, rest),
            Scheme::Tel => {
                let (user, params) = cut(rest, ';');
                (!user.is_empty()).then_some(Uri { user, params, ..bare })
            }
            Scheme::Urn | Scheme::Other => Some(bare),
        }
    }

    /// The value of a parameter (`Some("")` for a flag), names compared without case.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        Params::find(self.params, name)
    }

    /// The user part with `%XX` resolved (RFC 3261 §19.1.2); borrows where there is none. Escapes that aren't any stay,
    /// and so does a user part whose bytes are no UTF-8.
    #[must_use]
    pub fn user_unescaped(&self) -> Cow<'a, str> {
        if !self.user.contains('%') {
            return self.user.into();
        }
        let mut out = Vec::with_capacity(self.user.len());
        let mut rest = self.user.as_bytes();
        while let Some((&first, tail)) = rest.split_first() {
            let escape = tail.get(..2).filter(|_| first == b'%').and_then(hex_pair);
            out.push(escape.unwrap_or(first));
            rest = if escape.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
        }
        String::from_utf8(out).map_or(self.user.into(), Cow::Owned)
    }
}

/// What follows `sip:` or `sips:`.
fn sip<'a>(bare: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    let (userinfo, hostport) = match rest.split_once('@') {
        Some((userinfo, hostport)) => (userinfo, hostport),
        None => ("", rest),
    };
    let (user, _password) = cut(userinfo, ':');
    let (hostport, headers) = cut(hostport, '?');
    let (hostport, params) = cut(hostport, ';');
    if params.contains('@') || headers.contains('@') {
        return None;
    }
    let (host, port) = host_port(hostport)?;
    Some(Uri { user, host, port, params, headers, ..bare })
}

/// Cuts before the first `at`, which stays with the second part.
fn cut(text: &str, at: char) -> (&str, &str) {
    text.find(at).map_or((text, ""), |end| text.split_at(end))
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |at: usize| pair.get(at).and_then(|b| char::from(*b).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// `host [":" port]` (RFC 3261 §25.1), white space around the colon as Via allows it. The host comes without brackets.
pub(super) fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let blank = super::params::BLANK;
    let (host, rest) = if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, rest.trim_start_matches(blank))
    } else {
        let (host, rest) = cut(text, ':');
        let host = host.trim_end_matches(blank);
        // `_` is in no host name by RFC, and in many by use.
        let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(sound) {
            return None;
        }
        (host, rest)
    };
    if rest.is_empty() {
        return Some((host, None));
    }
    let port = super::parse::decimal(rest.strip_prefix(':')?.trim_matches(blank).as_bytes())?;
    Some((host, Some(u16::try_from(port).ok()?)))
}
