//! What crosses the back-to-back user agent, and what we say of ourselves: the header fields of requests that we make.

use super::capabilities::{ALLOW, OF_DIALOGS};
use super::geolocation::Carried;
use super::history::History;
use super::office::{Listener, Office};
use super::reliable;
use super::session_timer::{self, SessionTimer};
use super::sips::is_sips;
use crate::dialog::{Dialog, Hop};
use crate::rules::PlannedLeg;
use crate::rules::model::Diversion;
use crate::sip::multipart::{self, Part, is_media_type};
use crate::sip::{Flow, Half, Message, Name, NameAddr, Scheme, SessionId, Transport, Uri, Writer};
use bytes::Bytes;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// RFC 3261 §8.1.1.6.
pub const MAX_FORWARDS: u8 = 70;
/// User-Agent and Server.
pub const AGENT: &str = concat!("ringtree/", env!("CARGO_PKG_VERSION"));

/// RFC 3261 §8.1.1.7.
const MAGIC_COOKIE: &str = "z9hG4bK";

/// What an INVITE to a leg is made of.
pub struct Outgoing<'a> {
    pub leg: &'a PlannedLeg,
    /// Request-URI, and the To without a tag.
    pub target: &'a str,
    /// The proxies on the way (RFC 3327), in order.
    pub route: &'a [Arc<str>],
    pub flow: Flow,
    /// Of our From: the domain that the call is in.
    pub domain: &'a str,
    pub tag: &'a str,
    /// The INVITE of the caller.
    pub invite: &'a Message,
    /// Who has transferred the call here (RFC 3892): a URI.
    pub referred_by: Option<&'a str>,
    pub offer: Option<&'a [u8]>,
    /// Its provisional responses may come reliably (RFC 3262).
    pub reliable: bool,
    pub session: &'a SessionTimer,
    /// Whoever calls (RFC 7989).
    pub half: Half,
    /// The leg leads to a trunk.
    pub onward: Option<&'a Onward<'a>>,
    /// The number of ours that was called first: phones show it (RFC 7315 §4.2).
    pub called: Option<&'a str>,
    /// Where an emergency call comes from.
    pub location: Option<&'a Carried>,
    /// Of the caller's INVITE, see [`loop_token`].
    pub loop_token: u32,
}

/// What a trunk is told beside the call itself.
pub struct Onward<'a> {
    /// In which fields it wants to hear of diversions.
    pub wants: Diversion,
    /// It is in our trust domain (RFC 3325 §2.3).
    pub trusted: bool,
    /// It reads Remote-Party-ID, as none of the RFCs says.
    pub remote_party: bool,
    /// The signature that came with the call goes on.
    pub signed: bool,
    pub history: &'a History,
}

/// An INVITE that starts a new dialog (RFC 3261 §13.2.1). Max-Forwards goes down by one across us (RFC 7332).
#[must_use]
pub fn invite(office: &mut Office, outgoing: &Outgoing<'_>) -> Bytes {
    let Outgoing {
        leg,
        target,
        route,
        flow,
        domain,
        tag,
        invite,
        referred_by,
        offer,
        onward,
        called,
        location,
        ..
    } = outgoing;
    let loop_token = outgoing.loop_token;
    let branch = first_branch(office, loop_token);
    let call_id = office.ids.call_id();
    let mut w = Writer::request("INVITE", target);
    let sent_by = office.sent_by(flow);
    w.header(
        Name::Via,
        format_args!("SIP/2.0/{} {sent_by};rport;branch={branch}", flow.transport.via_word()),
    );
    w.header(Name::MaxForwards, invite.max_forwards().unwrap_or(MAX_FORWARDS).saturating_sub(1));
    visit(&mut w, route);
    w.header(Name::From, format_args!("{};tag={tag}", from(leg, domain)));
    w.header(Name::To, format_args!("<{target}>"));
    w.header(Name::CallId, call_id);
    w.header(Name::CSeq, "1 INVITE");
    w.header(Name::Contact, office.contact(flow, asks_for_sips(target, route)));
    w.header(Name::Allow, ALLOW);
    let (reliable, timer) = (reliable::TAG, session_timer::TAG);
    match outgoing.reliable {
        true => w.header(Name::Supported, format_args!("{reliable}, {OF_DIALOGS}, {timer}")),
        false => w.header(Name::Supported, format_args!("{OF_DIALOGS}, {timer}")),
    };
    outgoing.session.write_request(&mut w);
    w.header(Name::SessionId, SessionId { local: outgoing.half, remote: Half::NIL });
    w.header(Name::UserAgent, AGENT);
    if let Some(onward) = onward {
        tell_trunk(&mut w, leg, domain, invite, onward);
    } else {
        if leg.anonymous {
            w.header(Name::Privacy, "id"); // RFC 3323, RFC 3325 §9.3
        }
        if let Some(called) = called {
            w.field("P-Called-Party-ID", format_args!("<sip:{}@{domain}>", escape_user(called)));
        }
    }
    let told = !leg.anonymous && onward.is_none_or(|onward| onward.trusted);
    if let Some(by) = referred_by.filter(|_| told) {
        w.field("Referred-By", format_args!("<{by}>"));
    }
    match (&leg.alert, onward) {
        (Some(alert), _) => drop(w.header(Name::AlertInfo, format_args!("<{alert}>"))),
        (None, None) => drop(w.header(Name::AlertInfo, leg.tone.alert_info(leg.inside))),
        (None, Some(_)) => {}
    }
    for name in [Name::Priority, Name::Subject] {
        w.copy(invite, name);
    }
    match (location, offer) {
        (Some(location), offer) => location.finish(w, *offer),
        (None, Some(offer)) => w.body("application/sdp", offer),
        (None, None) => w.finish(),
    }
}

/// The same request once more (RFC 3261 §22.2, RFC 4028 §7.4): by this branch, with this CSeq number, these fields in the place of those
/// of their name, and all else as it was, the credentials for another server on the way among it.
#[must_use]
pub fn again(
    office: &Office,
    branch: &str,
    flow: &Flow,
    sent: &Message,
    number: u32,
    fields: &[(Name, &str)],
) -> Bytes {
    let method = sent.method_text();
    let mut w = Writer::request(method, sent.request_uri());
    let (via, sent_by) = (flow.transport.via_word(), office.sent_by(flow));
    w.header(Name::Via, format_args!("SIP/2.0/{via} {sent_by};rport;branch={branch}"));
    for (name, word, value) in sent.headers() {
        let (Ok(word), Ok(value)) = (std::str::from_utf8(word), std::str::from_utf8(value)) else { continue };
        match name {
            Name::Via | Name::ContentLength | Name::ContentType => {}
            Name::CSeq => drop(w.header(Name::CSeq, format_args!("{number} {method}"))),
            name if fields.iter().any(|(field, _)| *field == name) => {}
            _ => drop(w.field(word, value.trim())),
        }
    }
    for (name, value) in fields {
        w.header(*name, value);
    }
    match sent.content_type() {
        Some(content_type) if !sent.body().is_empty() => w.body(content_type, &sent.body()),
        _ => w.finish(),
    }
}

/// The branch of a request outside any dialog, see [`loop_token`].
#[must_use]
pub fn first_branch(office: &mut Office, loop_token: u32) -> String {
    format!("{MAGIC_COOKIE}{loop_token:08x}{:016x}", office.ids.word())
}

/// The Session-ID of a response that knows no more of it than its request does (RFC 7989 §6): the halves turned round.
pub fn turn_session_id(w: &mut Writer, request: &Message) {
    let Some(value) = request.value(Name::SessionId) else { return };
    if let (Some(local), Some(remote)) = (Half::of_receiver(value), Half::of_sender(value)) {
        w.header(Name::SessionId, SessionId { local, remote });
    }
}

/// What every request and 2xx that changes or refreshes a session says of ourselves.
pub fn session(w: &mut Writer, office: &Office, flow: &Flow, sips: bool) {
    w.header(Name::Contact, office.contact(flow, sips));
    abilities(w);
}

/// The same but for our Contact.
pub fn abilities(w: &mut Writer) {
    w.header(Name::Allow, ALLOW);
    w.header(Name::Supported, session_timer::TAG);
}

/// Whether what goes there, by these proxies, is to have a `sips` Contact (RFC 3261 §8.1.1.8).
#[must_use]
pub fn asks_for_sips(target: &str, route: &[Arc<str>]) -> bool {
    let first = route.first().and_then(|proxy| NameAddr::parse(proxy));
    is_sips(target) || first.is_some_and(|proxy| proxy.uri.scheme == Scheme::Sips)
}

/// The way to a phone that stands behind proxies (RFC 3327 §5.4): a Route each.
pub fn visit(w: &mut Writer, path: &[Arc<str>]) {
    for proxy in path {
        w.header(Name::Route, proxy);
    }
}

/// Identity and past of a call that leaves by a trunk.
fn tell_trunk(w: &mut Writer, leg: &PlannedLeg, domain: &str, invite: &Message, onward: &Onward<'_>) {
    let Onward { wants, trusted, remote_party, signed, history } = onward;
    let privacy = match (leg.anonymous, history.is_private() && *trusted) {
        (true, true) => "id;history", // RFC 7044 §10.1.2: whom we trust keeps it to themselves in turn
        (true, false) => "id",        // RFC 3323, RFC 3325 §9.3
        (false, true) => "history",
        (false, false) => "",
    };
    if !privacy.is_empty() {
        w.header(Name::Privacy, privacy);
    }
    // RFC 3325 §9.1: even where the From withholds it, those in the trust domain are told.
    if let (true, Some(number)) = (*trusted, leg.caller_id.number.as_deref()) {
        let address = address(leg.caller_id.name.as_deref(), number, domain);
        w.header(Name::PAssertedIdentity, address);
    }
    // draft-ietf-sip-privacy-04 §5: whom we don't trust is not told whom the From withholds.
    if let (true, Some(number)) =
        (*remote_party && (*trusted || !leg.anonymous), leg.caller_id.number.as_deref())
    {
        let address = address(leg.caller_id.name.as_deref(), number, domain);
        let privacy = if leg.anonymous { "full" } else { "off" };
        w.header(Name::RemotePartyId, format_args!("{address};party=calling;screen=yes;privacy={privacy}"));
    }
    history.write(w, *wants, *trusted);
    if *signed {
        // RFC 8224: signed over the Date as it was. The number called has changed: `div` (RFC 8946) is not carried out yet.
        let values = invite.headers().filter(|(_, name, _)| name.eq_ignore_ascii_case(b"Identity"));
        let mut any = false;
        for value in values.filter_map(|(_, _, value)| std::str::from_utf8(value).ok()) {
            w.field("Identity", value.trim());
            any = true;
        }
        if any {
            w.copy(invite, Name::Date);
        }
    }
}

/// A branch of an in-dialog request of ours.
#[must_use]
pub fn branch(office: &mut Office) -> String {
    format!("{MAGIC_COOKIE}{:016x}", office.ids.word())
}

/// What an INVITE that comes in is for, and where it came from: part of the branch of every INVITE that goes out for it. A request
/// that comes back to where it was before, for the same, is a loop (RFC 3261 §16.6 step 8); one that comes back another way (an
/// outgoing call to a number of ours) is a spiral, and welcome.
#[must_use]
pub fn loop_token(invite: &Message, origin: &str) -> u32 {
    let uri = invite.request_uri();
    let user = Uri::parse(uri).map_or(uri, |uri| uri.user);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(user.as_bytes());
    hasher.update(b" ");
    hasher.update(origin.as_bytes());
    hasher.finalize()
}

/// Whether the INVITE has been here for the same (RFC 3261 §16.3 step 4): one of its Vias is ours and carries its token.
#[must_use]
pub fn is_loop(listeners: &[Listener], request: &Message, token: u32) -> bool {
    let start = format!("{MAGIC_COOKIE}{token:08x}");
    request.elements(Name::Via).filter_map(crate::sip::Via::parse).any(|via| {
        let ours = |l: &Listener| {
            l.advertise.rsplit_once(':').is_some_and(|(host, port)| {
                host.trim_matches(['[', ']']) == via.host && port.parse() == Ok(via.port.unwrap_or(5060))
            })
        };
        via.branch().is_some_and(|branch| branch.starts_with(&start)) && listeners.iter().any(ours)
    })
}

/// The From of a leg, without its tag: the caller as the plan shows it.
fn from(leg: &PlannedLeg, domain: &str) -> String {
    if leg.anonymous {
        return "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned();
    }
    address(leg.caller_id.name.as_deref(), leg.caller_id.number.as_deref().unwrap_or("unknown"), domain)
}

fn address(name: Option<&str>, user: &str, domain: &str) -> String {
    let address = format!("<sip:{}@{domain}>", escape_user(user));
    match name {
        Some(name) if !name.is_empty() => format!("{} {address}", quote(name)),
        _ => address,
    }
}

/// A quoted string (RFC 3261 §25.1); control characters are left out.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// The user part of a SIP URI: what may not stand there is escaped (RFC 3261 §25.1, `user`).
#[must_use]
pub fn escape_user(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            escaped.push(byte as char);
        } else {
            let _ = write!(escaped, "%{byte:02X}"); // writing to a String can't fail
        }
    }
    escaped
}

/// What our Via says of an in-dialog request.
#[must_use]
pub fn hop<'a>(office: &'a Office, flow: &Flow, branch: &'a str) -> Hop<'a> {
    Hop { transport: flow.transport.via_word(), sent_by: office.sent_by(flow), branch }
}

/// Where an in-dialog request goes. A phone behind NAT or on a connection is reached by the flow that it came by (and where its connection has
/// ended, the transaction layer looks for another); any other by its
/// route set or Contact (RFC 3261 §12.2.1.1), where that is an address.
#[must_use]
pub fn flow_towards(dialog: &Dialog, observed: Flow, behind_nat: bool) -> Flow {
    if behind_nat || observed.transport.is_reliable() {
        return observed;
    }
    address_of(dialog.next_hop()).map_or(observed, |remote| Flow { remote, ..observed })
}

/// Whether a URI is to be reached by a connection (RFC 3263 §4.1: where it says nothing, by datagrams).
#[must_use]
pub fn asks_for_a_stream(uri: &str) -> bool {
    let transport = |uri: Uri<'_>| Transport::of_uri(uri.param("transport"), uri.scheme == Scheme::Sips);
    Uri::parse(uri).and_then(transport).is_some_and(Transport::is_reliable)
}

/// The address that a URI names, where it names one rather than a name.
#[must_use]
pub fn address_of(uri: &str) -> Option<SocketAddr> {
    let uri = Uri::parse(uri)?;
    let host: IpAddr = uri.host.parse().ok()?;
    Some(SocketAddr::new(host, uri.port.unwrap_or(5060)))
}

/// Whether the sender is behind NAT: the address that it gives in its Via is not the one that it sends from (RFC 3581 §4).
#[must_use]
pub fn is_behind_nat(request: &Message, flow: &Flow) -> bool {
    request.top_via().is_none_or(|via| {
        let host: Option<IpAddr> = via.host.parse().ok();
        let port = via.port.unwrap_or(flow.transport.default_port());
        host != Some(flow.remote.ip()) || port != flow.remote.port()
    })
}

/// The SDP that a message carries: its body, or the first such part of a multipart body (RFC 5621 §3).
#[must_use]
pub fn description(message: &Message) -> Option<Bytes> {
    let body = message.body();
    let content_type = message.content_type()?;
    if body.is_empty() {
        return None;
    }
    if is_media_type(content_type, "application/sdp") {
        return Some(body);
    }
    let parts = multipart::parts(content_type, &body);
    let is_sdp =
        |part: &&Part<'_>| part.content_type().is_some_and(|of| is_media_type(of, "application/sdp"));
    let mut sdp = parts.iter().find(is_sdp)?.body.to_vec();
    if !sdp.ends_with(b"\n") {
        sdp.extend_from_slice(b"\r\n"); // its last line end, which some writers leave to the delimiter
    }
    Some(sdp.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_name_cannot_leave_its_quotes() {
        assert_eq!(quote("Rita \"R\" \\ Front\r\nEvil: yes"), "\"Rita \\\"R\\\" \\\\ FrontEvil: yes\"");
    }

    #[test]
    fn the_description_of_a_multipart_body_is_found() {
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n";
        let body = format!(
            "--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--b1\r\nContent-Type: application/SDP;x=y\r\n\r\n{sdp}--b1--\r\n"
        );
        let text = format!(
            "INVITE sip:911@pbx.example SIP/2.0\r\nContent-Type: multipart/mixed; boundary=\"b1\"\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let message = Message::parse(text.into()).unwrap();
        assert_eq!(description(&message).as_deref(), Some(sdp.as_bytes()));
    }

    #[test]
    fn a_user_part_cannot_leave_its_place() {
        assert_eq!(escape_user("a@b:c>#é"), "a%40b%3Ac%3E%23%C3%A9");
        assert_eq!(escape_user("+12025550100"), "+12025550100");
    }
}
