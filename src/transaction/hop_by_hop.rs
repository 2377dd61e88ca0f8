//! The requests that this layer writes itself, because they go from hop to hop and not from end to end: ACK to a non-2xx
//! final response, and CANCEL.

use crate::sip::{Message, Name, Writer};
use bytes::Bytes;

/// The ACK to a non-2xx final response (RFC 3261 §17.1.1.3). `None` only where `invite` doesn't parse.
pub(super) fn ack(invite: Bytes, response: &Message) -> Option<Bytes> {
    let invite = Message::parse(invite).ok()?;
    let mut ack = begin(&invite, "ACK")?;
    ack.copy(response, Name::To);
    Some(ack.finish())
}

/// The CANCEL of an INVITE (RFC 3261 §9.1), with Reason fields (RFC 3326). `None` only where `invite` doesn't parse.
pub(super) fn cancel(invite: Bytes, reasons: &[&str]) -> Option<Bytes> {
    let invite = Message::parse(invite).ok()?;
    let mut cancel = begin(&invite, "CANCEL")?;
    cancel.copy(&invite, Name::To);
    for reason in reasons {
        cancel.header(Name::Reason, reason);
    }
    Some(cancel.finish())
}

/// What both take from the INVITE: Request-URI, the topmost Via alone, Route, From, Call-ID, Session-ID and the CSeq number.
fn begin(invite: &Message, method: &str) -> Option<Writer> {
    let via = invite.elements(Name::Via).next()?;
    let cseq = invite.cseq()?;
    let mut request = Writer::request(method, invite.request_uri());
    request
        .header(Name::Via, via)
        .header(Name::MaxForwards, 70)
        .copy(invite, Name::Route)
        .copy(invite, Name::From)
        .copy(invite, Name::CallId)
        .copy(invite, Name::SessionId)
        .header(Name::CSeq, format_args!("{} {method}", cseq.number));
    Some(request)
}
