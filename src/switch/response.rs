//! Responses that the switch gives by itself, outside any call.

use crate::call::headers::{AGENT, ALLOW};
use crate::call::office::Office;
use crate::sip::{Message, Name, Writer, status};
use bytes::Bytes;

/// Option tags that we understand (RFC 3261 §20.32): none yet.
const SUPPORTED: &[&str] = &[];

/// With the default reason phrase.
#[must_use]
pub fn plain(request: &Message, code: u16) -> Bytes {
    with_reason(request, code, status::reason_phrase(code))
}

#[must_use]
pub fn with_reason(request: &Message, code: u16, reason: &str) -> Bytes {
    let mut w = Writer::reply(request, code, reason, Some("ringtree"));
    w.header(Name::Server, AGENT);
    w.finish()
}

/// 503 with Retry-After in seconds (RFC 3261 §21.5.4).
#[must_use]
pub fn unavailable(request: &Message, retry_after_s: u32) -> Bytes {
    let mut w = Writer::reply(request, 503, status::reason_phrase(503), Some("ringtree"));
    w.header(Name::RetryAfter, retry_after_s);
    w.header(Name::Server, AGENT);
    w.finish()
}

/// 405 or 501 with what we take (RFC 3261 §8.2.1).
#[must_use]
pub fn not_allowed(request: &Message, code: u16) -> Bytes {
    let mut w = Writer::reply(request, code, status::reason_phrase(code), Some("ringtree"));
    w.header(Name::Allow, ALLOW);
    w.finish()
}

/// 200 to an OPTIONS (RFC 3261 §11.2).
#[must_use]
pub fn options(request: &Message) -> Bytes {
    let mut w = Writer::reply(request, 200, "OK", Some("ringtree"));
    w.header(Name::Allow, ALLOW);
    w.header(Name::Accept, "application/sdp");
    w.header(Name::Server, AGENT);
    w.finish()
}

/// 420 where the request requires an extension that we don't have (RFC 3261 §8.2.2.3).
#[must_use]
pub fn unsupported(request: &Message) -> Option<Bytes> {
    let missing: Vec<&str> = request
        .elements(Name::Require)
        .filter(|tag| !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(tag)))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let mut w = Writer::reply(request, 420, status::reason_phrase(420), Some("ringtree"));
    w.header(Name::Unsupported, missing.join(", "));
    Some(w.finish())
}

/// 415 with what we take (RFC 3261 §8.2.3).
#[must_use]
pub fn unsupported_media(request: &Message) -> Bytes {
    let mut w = Writer::reply(request, 415, status::reason_phrase(415), Some("ringtree"));
    w.header(Name::Accept, "application/sdp, multipart/mixed");
    w.finish()
}

/// A To tag for a response outside any call.
pub fn tag(office: &mut Office) -> String {
    format!("{:016x}", office.ids.word())
}
