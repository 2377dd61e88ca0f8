//! A look at bytes that would not be read: whether they call for help. It costs a comparison of a few bytes, and the message is parsed only if
//! it is let in by that.
//!
//! What it is not: the rules' own judgement (`rules::Walk` decides what is an emergency call), nor a way in for anybody: what is let in is asked
//! for credentials as ever.

use crate::rules::Ruleset;
use crate::sip::{Message, Method};

/// A Request-URI that is longer is no number for help.
const URI_BYTES_MAX: usize = 256;
/// Likewise what stands before its `@`.
const NUMBER_BYTES_MAX: usize = 16;

/// What an INVITE is for, as far as it can be a call for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Called<'a> {
    /// RFC 5031.
    Sos,
    Number(&'a str),
}

/// Whether this is an INVITE for an emergency number of anybody's rules.
pub(super) fn is_call_for_help(bytes: &[u8], rules: &Ruleset) -> bool {
    let Some(rest) = bytes.strip_prefix(b"INVITE ") else { return false };
    let uri = rest.get(..rest.len().min(URI_BYTES_MAX)).unwrap_or_default();
    let uri = uri.iter().position(|byte| *byte == b' ').and_then(|end| uri.get(..end));
    uri.and_then(|uri| std::str::from_utf8(uri).ok()).is_some_and(|uri| is_for_help(uri, rules))
}

/// The same of what has been parsed.
pub(super) fn is_emergency_invite(message: &Message, rules: &Ruleset) -> bool {
    message.is_request() && message.method() == Method::Invite && is_for_help(message.request_uri(), rules)
}

fn is_for_help(uri: &str, rules: &Ruleset) -> bool {
    match called(uri) {
        Some(Called::Sos) => true,
        Some(Called::Number(number)) => rules.is_emergency_number(number),
        None => false,
    }
}

fn called(uri: &str) -> Option<Called<'_>> {
    let (scheme, rest) = uri.split_once(':')?;
    let is = |word: &str| scheme.eq_ignore_ascii_case(word);
    if is("urn") {
        let service = rest.get(.."service:sos".len())?;
        let next = rest.as_bytes().get(service.len());
        let whole = matches!(next, None | Some(b'.' | b';' | b'?'));
        return (service.eq_ignore_ascii_case("service:sos") && whole).then_some(Called::Sos);
    }
    let user = match (is("sip") || is("sips"), is("tel")) {
        (true, _) => rest.split_once('@')?.0,
        (_, true) => rest,
        _ => return None,
    };
    let number = user.split([';', ':']).next().unwrap_or_default();
    (!number.is_empty() && number.len() <= NUMBER_BYTES_MAX).then_some(Called::Number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_uri_is_what_is_called() {
        for (uri, wanted) in [
            ("sip:911@pbx.example", Some(Called::Number("911"))),
            ("SIPS:9911;phone-context=x@pbx.example;user=phone", Some(Called::Number("9911"))),
            ("sip:112:secret@pbx.example", Some(Called::Number("112"))),
            ("tel:112;phone-context=+49", Some(Called::Number("112"))),
            ("urn:service:sos", Some(Called::Sos)),
            ("URN:Service:SOS.fire", Some(Called::Sos)),
            ("urn:service:sosnowiec", None),
            ("urn:service:so", None),
            ("urn:servicé:sos", None),
            ("sip:911", None),
            ("sip:@pbx.example", None),
            ("sip:91111111111111111@pbx.example", None),
            ("mailto:911@pbx.example", None),
            ("911", None),
        ] {
            assert_eq!(called(uri), wanted, "{uri}");
        }
    }

    #[test]
    fn only_an_invite_that_ends_its_uri_in_time_is_looked_at() {
        let rules = Ruleset::default();
        assert!(is_call_for_help(b"INVITE urn:service:sos SIP/2.0\r\n", &rules));
        for bytes in [
            &b"OPTIONS urn:service:sos SIP/2.0\r\n"[..],
            b"INVITE urn:service:sos",
            b"INVITE ",
            b"",
            b"INVITE \xff ",
        ] {
            assert!(!is_call_for_help(bytes, &rules), "{bytes:?}");
        }
        let long = format!("INVITE urn:service:sos;{} SIP/2.0\r\n", "x".repeat(URI_BYTES_MAX));
        assert!(!is_call_for_help(long.as_bytes(), &rules));
    }
}
