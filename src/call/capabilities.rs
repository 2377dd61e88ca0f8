//! What we say that we can do: one list of the methods that we take, one of the option tags that we understand.

use super::headers::AGENT;
use crate::sip::{Message, Name, Writer, status};
use crate::subscription::package::ALLOW_EVENTS;
use bytes::Bytes;
use std::sync::LazyLock;

/// Methods that we take (RFC 3261 §20.5).
pub const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, SUBSCRIBE, REFER, MESSAGE";

/// Option tags that we understand (RFC 3261 §20.32): reliable provisional responses (RFC 3262), a REFER without a subscription (RFC
/// 4488), a call that takes a place (RFC 3891), a REFER that names its call (RFC 4538), session timers (RFC 4028), and what a registration may ask for (RFC 3327, RFC 5626, RFC
/// 5627).
pub const SUPPORTED: &[&str] =
    &["100rel", "gruu", "norefersub", "outbound", "path", "replaces", "tdialog", "timer"];

/// They stand in the answer to each REGISTER.
static SUPPORTED_LINE: LazyLock<String> = LazyLock::new(|| SUPPORTED.join(", "));

/// Supported, with all of them.
pub fn write_supported(w: &mut Writer) {
    w.header(Name::Supported, &*SUPPORTED_LINE);
}

/// In what makes dialogs: their place may be taken (RFC 3891 §6.2), so they may be transferred to (RFC 5589 §7.2), also by a request that
/// names them from outside (RFC 4538 §3).
pub const OF_DIALOGS: &str = "replaces, tdialog";

/// 200 to an OPTIONS (RFC 3261 §11.2), the same in a dialog and outside: none of it depends on who asks. `tag`: of our To, where the request
/// has none.
#[must_use]
pub fn answer(request: &Message, tag: Option<&str>) -> Bytes {
    let mut w = Writer::reply(request, 200, status::reason_phrase(200), tag);
    super::headers::turn_session_id(&mut w, request);
    w.header(Name::Allow, ALLOW);
    w.header(Name::Accept, "application/sdp");
    write_supported(&mut w);
    w.field("Allow-Events", ALLOW_EVENTS); // RFC 6665 §4.4.4
    w.header(Name::Server, AGENT);
    w.finish()
}
