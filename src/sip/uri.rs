//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).
//!
//! Lenient where phones are: characters that should have been escaped (`#` of a feature code) are taken in the user part.
//! Strict where it would be ambiguous: white space, quotes, angle brackets, control characters, a second `@`, an IPv6
//! host without brackets.

use super::params::{Params, after_blanks, cut, split_once, trimmed};
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
        let bare =
            |scheme, rest| Uri { text, scheme, user: rest, host: "", port: None, params: "", headers: "" };
        if let Some(rest) = text.strip_prefix("sip:") {
            return sip(bare(Scheme::Sip, rest), rest);
        }
        let (word, rest) = split_once(text, b':')?;
        let alpha = word.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !alpha || !word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            return None;
        }
        let scheme = match word.len() {
            3 if word.eq_ignore_ascii_case("sip") => Scheme::Sip,
            4 if word.eq_ignore_ascii_case("sips") => Scheme::Sips,
            3 if word.eq_ignore_ascii_case("tel") => Scheme::Tel,
            3 if word.eq_ignore_ascii_case("urn") => Scheme::Urn,
            _ => Scheme::Other,
        };
        let bare = bare(scheme, rest);
        match scheme {
            Scheme::Sip | Scheme::Sips => sip(bare, rest),
            _ if rest.is_empty() || rest.bytes().any(|b| MARKS[usize::from(b)] == Mark::End) => None,
            Scheme::Tel => {
                let (user, params) = cut(rest, b';');
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

    /// The text as a Request-URI may have it: without headers (RFC 3261 §19.1.1).
    #[must_use]
    pub fn without_headers(&self) -> &'a str {
        self.text.strip_suffix(self.headers).unwrap_or(self.text)
    }

    /// The user part with `%XX` resolved (RFC 3261 §19.1.2); borrows where there is none. Escapes that aren't any stay,
    /// and so does a user part whose bytes are no UTF-8.
    #[must_use]
    pub fn user_unescaped(&self) -> Cow<'a, str> {
        unescaped(self.user)
    }

    /// The value of the first header of that name that the URI carries (RFC 3261 §19.1.1), its escapes resolved.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut fields = self.headers.trim_start_matches('?').split('&').map(|field| cut(field, b'='));
        let (_, value) = fields.find(|(found, _)| unescaped(found).eq_ignore_ascii_case(name))?;
        Some(unescaped(value.strip_prefix('=').unwrap_or(value)))
    }
}

/// `%XX` resolved. Escapes that aren't any stay, and so does a text whose bytes are no UTF-8.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = tail.get(..2).filter(|_| first == b'%').and_then(hex_pair);
        out.push(escape.unwrap_or(first));
        rest = if escape.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8(out).map_or(text.into(), Cow::Owned)
}

/// What follows `sip:` or `sips:`, in one pass: every message has a handful of them.
fn sip<'a>(bare: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    // Before the `@` only the first colon separates; after it, or where there is none, all three do.
    let (mut at, mut colon, mut semicolon, mut question) = (None, None, None, None);
    for (n, byte) in rest.bytes().enumerate() {
        match MARKS[usize::from(byte)] {
            Mark::None => {}
            Mark::End => return None,
            Mark::At if at.is_some() => return None,
            Mark::At => {
                at = Some((n, colon.unwrap_or(n)));
                (semicolon, question) = (None, None);
            }
            Mark::Colon => colon = colon.or(Some(n)),
            Mark::Semicolon if question.is_none() => semicolon = semicolon.or(Some(n)),
            Mark::Semicolon => {}
            Mark::Question => question = question.or(Some(n)),
        }
    }
    let (user, host_at) = match at {
        Some((at, colon)) => (rest.get(..colon)?, at + 1),
        None => ("", 0),
    };
    let params_end = question.unwrap_or(rest.len());
    let host_end = semicolon.unwrap_or(params_end);
    let (host, port) = host_port(rest.get(host_at..host_end)?)?;
    let (params, headers) = (rest.get(host_end..params_end)?, rest.get(params_end..)?);
    Some(Uri { user, host, port, params, headers, ..bare })
}

/// What a byte does in a URI.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    At,
    Colon,
    Semicolon,
    Question,
    /// It can't stand in one: white space, control characters, quotes, angle brackets.
    End,
}

const MARKS: [Mark; 256] = {
    let mut table = [Mark::None; 256];
    let mut byte = 0usize;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'@' => Mark::At,
            b':' => Mark::Colon,
            b';' => Mark::Semicolon,
            b'?' => Mark::Question,
            0..=b' ' | 0x7f | b'<' | b'>' | b'"' => Mark::End,
            _ => Mark::None,
        };
        byte += 1;
    }
    table
};

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |at: usize| pair.get(at).and_then(|b| char::from(*b).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// RFC 5118 §4.10: RFC 3261's grammar let a third colon stand before an IPv4 tail (RFC 5954 took it back). It is read as two.
fn ipv6(host: &str) -> Option<Ipv6Addr> {
    let tail = || host.split_once(":::").filter(|(_, tail)| tail.contains('.'));
    host.parse().ok().or_else(|| tail().and_then(|(head, tail)| format!("{head}::{tail}").parse().ok()))
}

/// `host [":" port]` (RFC 3261 §25.1), white space around the colon as Via allows it. The host comes without brackets.
pub(super) fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = split_once(inner, b']')?;
            ipv6(host)?;
            (host, rest)
        }
        None => {
            // `_` is in no host name by RFC, and in many by use.
            let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            text.split_at_checked(text.bytes().take_while(|b| sound(*b)).count())?
        }
    };
    let rest = after_blanks(rest);
    if host.is_empty() {
        return None;
    }
    if rest.is_empty() {
        return Some((host, None));
    }
    let port = super::parse::decimal(trimmed(rest.strip_prefix(':')?).as_bytes())?;
    Some((host, Some(u16::try_from(port).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn every_part_is_found() {
        let uri = uri("SIPS:alice:secret@[2001:db8::1]:5061;transport=TCP;LR?Subject=x&Priority=urgent");
        assert_eq!((uri.scheme, uri.user, uri.host), (Scheme::Sips, "alice", "2001:db8::1"));
        assert_eq!((uri.port, uri.headers), (Some(5061), "?Subject=x&Priority=urgent"));
        assert_eq!(
            (uri.param("Transport"), uri.param("lr"), uri.param("ttl")),
            (Some("TCP"), Some(""), None)
        );
    }

    #[test]
    fn other_schemes_keep_what_follows_the_colon() {
        let tel = uri("tel:+1-202-555-0101;phone-context=example.com");
        assert_eq!((tel.scheme, tel.user, tel.host), (Scheme::Tel, "+1-202-555-0101", ""));
        assert_eq!(tel.param("phone-context"), Some("example.com"));
        assert_eq!(
            (uri("urn:service:sos").scheme, uri("urn:service:sos").user),
            (Scheme::Urn, "service:sos")
        );
        assert_eq!(uri("https://example.com/a;b?c").user, "//example.com/a;b?c");
    }

    #[test]
    fn phones_may_leave_a_hash_unescaped_and_the_user_out() {
        assert_eq!(uri("sip:*72#@example.com").user, "*72#");
        assert_eq!(uri("sip:example.com:5070").user, "");
        assert_eq!(uri("sip:x%2@y").user_unescaped(), "x%2");
        assert_eq!(uri("sip:%ff@y").user_unescaped(), "%ff");
    }

    /// RFC 5118 §4.1 to §4.5: an IPv6 host stands in brackets.
    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            ":a@b",
            "1sip:a@b",
            "sip:a@",
            "sip:a@b:",
            "sip:a@b:65536",
            "sip:a@b:+5",
            "sip:a@b c",
            "sip:a@b@c",
            "sip:a@b;x=@c",
            "sip:a@<b>",
            "sip:a\"@b",
            "sip:a@2001:db8::9",
            "sip:a@[2001:db8::9",
            "sip:a@[b]",
            "sip:a@[::1]x",
            "sip:a@[2001:db8:::1]",
            "sip:a@[2001:::db8:::192.0.2.1]",
            "sip:a@b/c",
            "tel:",
            "tel:;a",
            "sip:a\n@b",
        ] {
            assert_eq!(Uri::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_uri_reads_back(
            user in "[a-zA-Z0-9._!~*'()+%;/?&=$,-]{0,12}",
            host in prop_oneof!["[a-z][a-z0-9.-]{0,10}", any::<Ipv6Addr>().prop_map(|ip| format!("[{ip}]"))],
            port in proptest::option::of(any::<u16>()),
            params in "(;[a-z]{1,5}(=[a-z0-9]{1,5})?){0,3}",
            headers in "([?][a-z]{1,5}=[a-z%0-9]{0,5})?",
        ) {
            let at = if user.is_empty() { "" } else { "@" };
            let colon = port.map(|port| format!(":{port}")).unwrap_or_default();
            let text = format!("sip:{user}{at}{host}{colon}{params}{headers}");
            let uri = Uri::parse(&text).unwrap();
            prop_assert_eq!((uri.user, uri.port), (user.as_str(), port));
            prop_assert_eq!(uri.host, host.trim_matches(['[', ']']));
            prop_assert_eq!((uri.params, uri.headers), (params.as_str(), headers.as_str()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(sips?|tel|urn):\\PC{0,40}") {
            if let Some(uri) = Uri::parse(&text) {
                let _ = (uri.param("x"), uri.user_unescaped());
            }
        }
    }
}
