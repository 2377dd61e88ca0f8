//! Responses that the switch gives by itself, outside any call.

use crate::call::capabilities::{self, ALLOW, SUPPORTED};
use crate::call::headers::AGENT;
use crate::call::office::Office;
use crate::sip::{Message, Name, Writer, status};
use bytes::Bytes;

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
    capabilities::answer(request, Some("ringtree"))
}

/// 420 where the request requires an extension that we don't have (RFC 3261 §8.2.2.3); what we don't take at all is refused by its
/// method first (§8.2.1). Proxy-Require is for those who forward (§20.29).
#[must_use]
pub fn unsupported(request: &Message) -> Option<Bytes> {
    let judged = |method: &str| !matches!(method, "ACK" | "CANCEL") && method == request.method_text();
    if request.value(Name::Require).is_none() || !ALLOW.split(", ").any(judged) {
        return None;
    }
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

/// 480 to what was to go by TLS and can't (RFC 5630 §6.1), with the Warning that says why.
#[must_use]
pub fn sips(request: &Message, warning: &str) -> Bytes {
    let mut w = Writer::reply(request, 480, status::reason_phrase(480), Some("ringtree"));
    w.header(Name::Warning, warning);
    w.header(Name::Server, AGENT);
    w.finish()
}

/// 424 (RFC 6442 §4.3, §4.4): what Geolocation says can't be read.
#[must_use]
pub fn bad_location(request: &Message) -> Bytes {
    let mut w = Writer::reply(request, 424, status::reason_phrase(424), Some("ringtree"));
    w.field("Geolocation-Error", "100 ;code=\"Cannot Process Location\"");
    w.header(Name::Server, AGENT);
    w.finish()
}

/// Whether the answer may be SDP (RFC 3261 §20.1): always where no Accept says otherwise.
#[must_use]
pub fn takes_sdp(request: &Message) -> bool {
    let range = |element: &str| element.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let covers = |element| matches!(&*range(element), "application/sdp" | "application/*" | "*/*");
    request.value(Name::Accept).is_none() || request.elements(Name::Accept).any(covers)
}

/// 406: no answer can be written in what is accepted (RFC 3261 §21.4.7; RFC 4475 §3.3.15).
#[must_use]
pub fn not_acceptable(request: &Message) -> Bytes {
    let mut w = Writer::reply(request, 406, status::reason_phrase(406), Some("ringtree"));
    w.header(Name::Warning, "399 ringtree \"Calls are described in application/sdp\"");
    w.finish()
}

/// A To tag for a response that leaves nothing behind: the same each time the request comes (RFC 3261 §8.2.7).
#[must_use]
pub fn stateless_tag(request: &Message) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(request.call_id().as_bytes());
    hasher.update(request.top_via().and_then(|via| via.branch()).unwrap_or_default().as_bytes());
    format!("{:08x}", hasher.finalize())
}

/// 422 (RFC 4028 §6): the session is to last this long at the least, in seconds.
#[must_use]
pub fn interval_too_small(request: &Message, min_s: u32) -> Bytes {
    let mut w = Writer::reply(request, 422, status::reason_phrase(422), Some("ringtree"));
    w.header(Name::MinSe, min_s);
    w.finish()
}

/// A To tag for a response outside any call.
pub fn tag(office: &mut Office) -> String {
    format!("{:016x}", office.ids.word())
}
