//! The way back: `received` and `rport` in a request's topmost Via, and the flow of its responses (RFC 3261 §18.2.1, §18.2.2,
//! RFC 3581 §4).
//!
//! The Via is completed once, when the request arrives, so that every response gets it by copying the Via fields.
//! Deviation: `maddr` of a Via isn't honoured. A response goes to nobody but the one who asked.

use crate::sip::{Flow, Message, Name, Via};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Where a Via gives no port (RFC 3261 §18.2.2).
const DEFAULT_PORT: u16 = 5060;

/// The request with its topmost Via completed, and the flow that its responses go by.
#[must_use]
pub fn complete(flow: Flow, request: Message) -> (Message, Flow) {
    let Some(via) = request.top_via() else { return (request, flow) };
    let rport = via.param("rport").is_some();
    let back = if rport || flow.transport.is_reliable() {
        flow
    } else {
        // RFC 3261 §18.2.2: the source address, the port of sent-by.
        let port = via.port.unwrap_or(DEFAULT_PORT);
        Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
    };
    if !rport && host_is(&via, flow.remote.ip()) {
        return (request, back);
    }
    match rewrite(&request, flow.remote, rport) {
        Some(request) => (request, back),
        None => (request, back),
    }
}

/// Whether sent-by names the source itself, so that `received` may be left out (RFC 3261 §18.2.1).
fn host_is(via: &Via<'_>, source: IpAddr) -> bool {
    via.host.parse::<IpAddr>().is_ok_and(|host| host == source)
}

/// `None` where the Via isn't where the message says: then it stays as it came.
fn rewrite(request: &Message, source: SocketAddr, rport: bool) -> Option<Message> {
    let bytes = request.bytes();
    let element = request.elements(Name::Via).next()?;
    let start = (element.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let before = bytes.get(..start)?;
    let after = bytes.get(start + element.len()..)?;

    let mut text = String::with_capacity(element.len() + 64);
    let mut params = split_params(element);
    text.push_str(params.next()?.trim_end());
    for param in params {
        let name = param.split('=').next().unwrap_or_default().trim();
        // What the sender claims about its source is not believed.
        if !name.eq_ignore_ascii_case("received") && !name.eq_ignore_ascii_case("rport") {
            text.push(';');
            text.push_str(param.trim());
        }
    }
    // RFC 3581 §4: `received` goes with `rport`, even where it says nothing new. Writing to a String doesn't fail.
    let _ = write!(text, ";received={}", source.ip());
    if rport {
        let _ = write!(text, ";rport={}", source.port());
    }
    let mut whole = Vec::with_capacity(before.len() + text.len() + after.len());
    whole.extend_from_slice(before);
    whole.extend_from_slice(text.as_bytes());
    whole.extend_from_slice(after);
    Message::parse(whole.into()).ok()
}

/// The sent-protocol and sent-by, then each parameter; a semicolon inside quotes doesn't separate.
fn split_params(via: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    via.split(move |c: char| {
        let separates = c == ';' && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
}
