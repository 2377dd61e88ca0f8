//! What each of three readers takes a message for, in words that can be compared.

use bytes::Bytes;
use ezk_sip_types::header::typed;
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::uri::{NameAddr as EzkNameAddr, SipUri, SipUriUserPart};
use ezk_sip_types::{Headers, Name as EzkName};
use ringtree::sip::{Message, Method, Name, NameAddr, Uri};
use rsip::prelude::*;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is read of a message, by what it is. What a reader can't read is not in it.
pub type Reading = BTreeMap<&'static str, String>;

/// `None`: refused as a whole, or a panic.
pub struct Reader {
    pub name: &'static str,
    pub read: fn(&[u8]) -> Option<Reading>,
}

pub const OURS: Reader = Reader { name: "ringtree", read: ours };
pub const RSIP: Reader = Reader { name: "rsip", read: guarded_rsip };
pub const EZK: Reader = Reader { name: "ezk", read: guarded_ezk };

fn address(user: &str, host: &str, port: Option<u16>) -> String {
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    format!("{}@{host}{port}", unescaped(user))
}

/// RFC 3261 §19.1.4: an escaped character is the character.
fn unescaped(user: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = user.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ours(bytes: &[u8]) -> Option<Reading> {
    let message = Message::parse(Bytes::copy_from_slice(bytes)).ok()?;
    let mut read = Reading::new();
    let uri = |uri: &Uri<'_>| address(uri.user, uri.host, uri.port);
    if message.is_request() {
        read.insert("method", message.method_text().to_owned());
        read.extend(Uri::parse(message.request_uri()).map(|target| ("request-uri", uri(&target))));
    } else {
        read.insert("status", message.status().to_string());
    }
    if !message.call_id().is_empty() {
        read.insert("call-id", message.call_id().to_owned());
    }
    let named = |method: Method| match method {
        // Which one, nobody but whoever refuses it has to know.
        Method::Other => message
            .value(Name::CSeq)
            .and_then(|value| value.split_ascii_whitespace().last())
            .unwrap_or_default(),
        known => known.word(),
    };
    read.extend(message.cseq().map(|cseq| ("cseq", format!("{} {}", cseq.number, named(cseq.method)))));
    for (party, keys) in [
        (message.from(), ["from", "from-tag", "from-display"]),
        (message.to(), ["to", "to-tag", "to-display"]),
    ] {
        let Some(party) = party else { continue };
        read.insert(keys[0], uri(&party.uri));
        read.extend(party.tag().map(|tag| (keys[1], tag.to_owned())));
        if !party.display.is_empty() {
            read.insert(keys[2], party.display.to_owned());
        }
    }
    if let Some(via) = message.top_via() {
        read.insert(
            "via",
            format!("{} {}", via.transport.to_ascii_uppercase(), address("", via.host, via.port)),
        );
        read.extend(via.branch().map(|branch| ("branch", branch.to_owned())));
    }
    read.insert("vias", message.elements(Name::Via).count().to_string());
    let contacts: Vec<String> = message.addresses(Name::Contact).map(|c: NameAddr<'_>| uri(&c.uri)).collect();
    if !contacts.is_empty() {
        read.insert("contacts", contacts.join(" "));
    }
    read.extend(message.max_forwards().map(|hops| ("max-forwards", hops.to_string())));
    read.insert("body", String::from_utf8_lossy(&message.body()).into_owned());
    Some(read)
}

fn guarded_rsip(bytes: &[u8]) -> Option<Reading> {
    catch_unwind(AssertUnwindSafe(|| rsip(bytes))).ok().flatten()
}

fn rsip(bytes: &[u8]) -> Option<Reading> {
    let message = rsip::SipMessage::try_from(bytes).ok()?;
    let mut read = Reading::new();
    // It leaves the quotes to whoever asks.
    let bare = |name: String| match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => inner.to_owned(),
        None => name,
    };
    let uri = |uri: &rsip::Uri| {
        address(uri.user().unwrap_or(""), &uri.host().to_string(), uri.port().map(|port| *port.value()))
    };
    match &message {
        rsip::SipMessage::Request(request) => {
            read.insert("method", request.method.to_string());
            read.insert("request-uri", uri(&request.uri));
        }
        rsip::SipMessage::Response(response) => {
            read.insert("status", response.status_code.code().to_string());
        }
    }
    read.extend(message.call_id_header().ok().map(|id| ("call-id", id.value().to_owned())));
    let cseq = message.cseq_header().ok().and_then(|cseq| cseq.typed().ok());
    read.extend(cseq.map(|cseq| ("cseq", format!("{} {}", cseq.seq, cseq.method))));
    if let Some(from) = message.from_header().ok().and_then(|from| from.typed().ok()) {
        read.insert("from", uri(&from.uri));
        read.extend(from.tag().map(|tag| ("from-tag", tag.value().to_owned())));
        read.extend(from.display_name.clone().map(|name| ("from-display", bare(name))));
    }
    if let Some(to) = message.to_header().ok().and_then(|to| to.typed().ok()) {
        read.insert("to", uri(&to.uri));
        read.extend(to.tag().map(|tag| ("to-tag", tag.value().to_owned())));
        read.extend(to.display_name.clone().map(|name| ("to-display", bare(name))));
    }
    if let Some(via) = message.via_header().ok().and_then(|via| via.typed().ok()) {
        let port = via.uri.port().map(|port| *port.value());
        read.insert("via", format!("{} {}", via.transport, address("", &via.uri.host().to_string(), port)));
        read.extend(via.branch().map(|branch| ("branch", branch.value().to_owned())));
    }
    let vias = message.headers().iter().filter(|header| matches!(header, rsip::Header::Via(_))).count();
    read.insert("vias", vias.to_string());
    let contacts: Option<Vec<String>> =
        message.contact_headers().iter().map(|contact| Some(uri(&contact.typed().ok()?.uri))).collect();
    if let Some(contacts) = contacts.filter(|contacts| !contacts.is_empty()) {
        read.insert("contacts", contacts.join(" "));
    }
    let hops = message.max_forwards_header().ok().and_then(|hops| hops.num().ok());
    read.extend(hops.map(|hops| ("max-forwards", hops.to_string())));
    read.insert("body", String::from_utf8_lossy(message.body()).into_owned());
    Some(read)
}

fn guarded_ezk(bytes: &[u8]) -> Option<Reading> {
    catch_unwind(AssertUnwindSafe(|| ezk(bytes))).ok().flatten()
}

fn ezk_uri(uri: &SipUri) -> String {
    let user = match &uri.user_part {
        SipUriUserPart::Empty => "",
        SipUriUserPart::User(user) => user.as_str(),
        SipUriUserPart::UserPw(both) => both.user.as_str(),
    };
    address(user, &uri.host_port.host.to_string(), uri.host_port.port)
}

fn ezk(bytes: &[u8]) -> Option<Reading> {
    let source = Bytes::copy_from_slice(bytes);
    let mut lines = PullParser::new(&source, 0);
    let first: MessageLine = std::str::from_utf8(lines.next()?.ok()?).ok()?.parse().ok()?;
    let mut headers = Headers::new();
    for line in lines.by_ref() {
        let (_, line) = Line::parse(&source, std::str::from_utf8(line.ok()?).ok()?).ok()?;
        headers.insert(line.name, line.value);
    }
    let mut read = Reading::new();
    match first {
        MessageLine::Request(line) => {
            read.insert("method", line.method.to_string());
            read.insert("request-uri", ezk_uri(&line.uri));
        }
        MessageLine::Response(line) => {
            read.insert("status", line.code.into_u16().to_string());
        }
    }
    read.extend(headers.get_named::<typed::CallID>().ok().map(|id| ("call-id", id.0.to_string())));
    let cseq = headers.get_named::<typed::CSeq>().ok();
    read.extend(cseq.map(|cseq| ("cseq", format!("{} {}", cseq.cseq, cseq.method))));
    for (name, keys) in
        [(EzkName::FROM, ["from", "from-tag", "from-display"]), (EzkName::TO, ["to", "to-tag", "to-display"])]
    {
        let Ok(party) = headers.get::<typed::FromTo>(name) else { continue };
        let EzkNameAddr { name, uri } = party.uri;
        read.insert(keys[0], ezk_uri(&uri));
        read.extend(party.tag.map(|tag| (keys[1], tag.to_string())));
        read.extend(name.filter(|name| !name.is_empty()).map(|name| (keys[2], name.to_string())));
    }
    if let Ok(vias) = headers.get_named::<Vec<typed::Via>>()
        && let Some(via) = vias.first()
    {
        let sent_by = address("", &via.sent_by.host.to_string(), via.sent_by.port);
        read.insert("via", format!("{} {sent_by}", via.transport.to_ascii_uppercase()));
        read.extend(via.params.get_val("branch").map(|branch| ("branch", branch.to_string())));
        read.insert("vias", vias.len().to_string());
    }
    if let Ok(contacts) = headers.get_named::<Vec<typed::Contact>>() {
        let contacts: Vec<String> = contacts.iter().map(|contact| ezk_uri(&contact.uri.uri)).collect();
        read.insert("contacts", contacts.join(" "));
    }
    let hops = headers.get_named::<typed::MaxForwards>().ok();
    read.extend(hops.map(|hops| ("max-forwards", hops.0.to_string())));
    // Its parser of heads leaves the body to whoever reads the stream.
    let head = lines.head_end();
    let after = source.get(head..).unwrap_or_default();
    let length = headers.get_named::<typed::ContentLength>().map_or(after.len(), |length| length.0);
    read.insert("body", String::from_utf8_lossy(after.get(..length).unwrap_or(after)).into_owned());
    Some(read)
}

/// Where the two differ: what, and what each says. A whole refusal is a difference in `message`.
pub fn differences(one: Option<&Reading>, other: Option<&Reading>) -> Vec<&'static str> {
    match (one, other) {
        (None, None) => Vec::new(),
        (Some(one), Some(other)) => {
            let mut keys: Vec<_> = one.keys().chain(other.keys()).copied().collect();
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|key| one.get(key) != other.get(key));
            keys
        }
        _ => vec!["message"],
    }
}
