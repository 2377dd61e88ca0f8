//! Where an emergency call comes from, on the wire (RFC 6442): a PIDF-LO (RFC 4119, RFC 5491) with a civic address (RFC 5139) in the
//! body, which Geolocation points at; and what came in Geolocation with a call.
//!
//! What it is not: which location counts is decided by the rules.

use super::headers::escape_user;
use super::office::Office;
use crate::clock::Now;
use crate::rules::Domain;
use crate::sip::multipart::{self, Draft};
use crate::sip::{Message, Uri, Writer};
use bytes::Bytes;
use jiff::SignedDuration;
use std::fmt::Write as _;

pub const PIDF: &str = "application/pidf+xml";
/// Values of Geolocation that are looked at (RFC 6442 §4.1 wants one; a proxy on the way may add its own).
const VALUES_MAX: usize = 4;
/// How long whoever gets the location may keep it: what RFC 4119 §2.2.2 says where nobody says anything.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A location that goes out with an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Values of Geolocation.
    values: Vec<String>,
    /// What they point at in the body: Content-ID, Content-Type and the part.
    parts: Vec<(String, String, Bytes)>,
    boundary: String,
}

/// What Geolocation of a call that came in says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Nothing,
    /// It can be passed on: by reference, or with its parts.
    Sound(Carried),
    /// RFC 6442 §4.3: it is no list of URIs, or points at a part that isn't there.
    Malformed,
}

/// The civic address of the rules, for a call of `from` (a user part).
#[must_use]
pub fn of_rules(
    office: &mut Office,
    now: Now,
    domain: &Domain,
    location: &str,
    from: &str,
) -> Option<Carried> {
    let address = domain.civic_address(location)?;
    let id = format!("{:016x}@{}", office.ids.word(), domain.name());
    let pidf = pidf(now, &format!("{}@{}", escape_user(from), domain.name()), address);
    Some(Carried {
        values: vec![format!("<cid:{id}>")],
        parts: vec![(id, PIDF.to_owned(), pidf.into())],
        boundary: boundary(office),
    })
}

/// What a caller says themselves.
#[must_use]
pub fn given(office: &mut Office, invite: &Message) -> Given {
    let values: Vec<&str> = invite.fields("Geolocation").flat_map(crate::sip::Elements::new).collect();
    if values.is_empty() {
        return Given::Nothing;
    }
    let body = invite.body();
    let found = multipart::parts(invite.content_type().unwrap_or_default(), &body);
    let mut carried = Carried { values: Vec::new(), parts: Vec::new(), boundary: boundary(office) };
    for value in values.into_iter().take(VALUES_MAX) {
        let inside = value.trim().strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((uri, _)) = inside.filter(|(uri, _)| is_absolute(uri)) else { return Given::Malformed };
        if let Some(id) = uri.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).and(uri.get(4..))
        {
            let part = found.iter().find(|part| part.content_id() == Some(id));
            let Some(part) = part else { return Given::Malformed };
            let content_type = part.content_type().unwrap_or(PIDF).to_owned();
            carried.parts.push((id.to_owned(), content_type, Bytes::copy_from_slice(part.body)));
        }
        carried.values.push(value.trim().to_owned());
    }
    Given::Sound(carried)
}

/// RFC 3986 §4.3, as far as a location may be named: a scheme and something behind it.
fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let is_sip = matches!(scheme.to_ascii_lowercase().as_str(), "sip" | "sips");
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(sound)
        && !rest.is_empty()
        && !rest.contains(|c: char| c.is_whitespace() || c == '<')
        && (!is_sip || Uri::parse(uri).is_some())
}

impl Carried {
    /// The end of an INVITE that carries it: Geolocation, and the description with the parts.
    #[must_use]
    pub fn finish(&self, mut w: Writer, description: Option<&[u8]>) -> Bytes {
        for value in &self.values {
            w.field("Geolocation", value);
        }
        w.field("Geolocation-Routing", "yes"); // RFC 6442 §4.2: whoever routes it may look
        let sdp = description.map(|body| Draft { content_type: "application/sdp", content_id: None, body });
        let parts = self.parts.iter().map(|(id, content_type, body)| Draft {
            content_type,
            content_id: Some(id),
            body,
        });
        match (sdp, self.parts.is_empty()) {
            (Some(sdp), true) => w.body(sdp.content_type, sdp.body),
            (None, true) => w.finish(),
            (sdp, false) => {
                let drafts: Vec<Draft<'_>> = sdp.into_iter().chain(parts).collect();
                let content_type = format!("multipart/mixed;boundary={}", self.boundary);
                w.body(&content_type, &multipart::write(&self.boundary, &drafts))
            }
        }
    }
}

fn boundary(office: &mut Office) -> String {
    format!("ringtree-{:016x}", office.ids.word())
}

/// RFC 5491 §3: the location of a device, manually kept, with a civic address.
fn pidf(now: Now, entity: &str, address: &[(std::sync::Arc<str>, std::sync::Arc<str>)]) -> String {
    let second = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let expiry = now.wall.checked_add(KEPT_FOR).unwrap_or(now.wall);
    let mut civic = String::new();
    for (element, text) in address {
        let _ = write!(civic, "<ca:{element}>{}</ca:{element}>", escaped(text)); // writing to a String can't fail
    }
    let entity = escaped(entity);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
         xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\" xmlns:ca=\"urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr\" \
         entity=\"pres:{entity}\">\r\n\
         <dm:device id=\"caller\"><gp:geopriv><gp:location-info><ca:civicAddress>{civic}</ca:civicAddress></gp:location-info>\
         <gp:usage-rules><gp:retransmission-allowed>true</gp:retransmission-allowed>\
         <gp:retention-expiry>{}</gp:retention-expiry></gp:usage-rules><gp:method>Manual</gp:method></gp:geopriv>\
         <dm:deviceID>sip:{entity}</dm:deviceID><dm:timestamp>{}</dm:timestamp></dm:device>\r\n</presence>\r\n",
        second(expiry),
        second(now.wall),
    )
}

/// Text of XML 1.0: what would be markup is escaped, and what it can't hold is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;
    use crate::transaction::Transactions;

    fn office() -> Office {
        Office::new(Ids::new([1; 32], 0), Vec::new(), Transactions::default())
    }

    fn invite(fields: &str, body: &str) -> Message {
        let text = format!(
            "INVITE urn:service:sos SIP/2.0\r\n{fields}Content-Type: multipart/mixed;boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Message::parse(text.into()).unwrap()
    }

    const BODY: &str = "--b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <here@phone>\r\n\r\n<presence/>\r\n--b--\r\n";

    #[test]
    fn what_a_phone_says_is_passed_on_with_what_it_points_at() {
        let message = invite("Geolocation: <cid:here@phone>, <https://lis.example/7>;x=y\r\n", BODY);
        let Given::Sound(carried) = given(&mut office(), &message) else { panic!("it is sound") };
        let text = carried.finish(Writer::request("INVITE", "sip:911@c.example"), Some(b"v=0\r\n"));
        let out = Message::parse(text).unwrap();
        let values: Vec<&str> = out.fields("Geolocation").collect();
        assert_eq!(values, ["<cid:here@phone>", "<https://lis.example/7>;x=y"]);
        let body = out.body();
        let parts = multipart::parts(out.content_type().unwrap(), &body);
        assert_eq!(parts[0].body, b"v=0\r\n");
        assert_eq!((parts[1].content_id(), parts[1].body), (Some("here@phone"), &b"<presence/>"[..]));
    }

    #[test]
    fn a_location_by_reference_leaves_the_body_alone() {
        let message = invite("Geolocation: <sips:target@lis.example>\r\n", "");
        let Given::Sound(carried) = given(&mut office(), &message) else { panic!("it is sound") };
        let text = carried.finish(Writer::request("INVITE", "sip:911@c.example"), Some(b"v=0\r\n"));
        assert_eq!(Message::parse(text).unwrap().content_type(), Some("application/sdp"));
    }

    #[test]
    fn what_points_nowhere_is_malformed() {
        assert_eq!(given(&mut office(), &invite("", BODY)), Given::Nothing);
        for value in ["<cid:there@phone>", "cid:here@phone", "<here>", "<>", "<sip:>", "<1x:y>", "<http:a b>"]
        {
            let message = invite(&format!("Geolocation: {value}\r\n"), BODY);
            assert_eq!(given(&mut office(), &message), Given::Malformed, "{value}");
        }
    }

    #[test]
    fn an_address_can_not_leave_its_element() {
        let address = [("country".into(), "US".into()), ("NAM".into(), "Smith & <Sons>\r\n\u{0}".into())];
        let now = Now { mono: crate::net::clock::mono(), wall: "2026-11-24T15:00:00.5Z".parse().unwrap() };
        let text = pidf(now, "+12025550100@pbx.example", &address);
        assert!(text.contains(
            "<ca:civicAddress><ca:country>US</ca:country><ca:NAM>Smith &amp; &lt;Sons&gt;</ca:NAM></ca:civicAddress>"
        ), "{text}");
        assert!(text.contains("<gp:retention-expiry>2026-11-25T15:00:00Z</gp:retention-expiry>"), "{text}");
        assert!(text.contains("<dm:timestamp>2026-11-24T15:00:00Z</dm:timestamp>"), "{text}");
    }
}
