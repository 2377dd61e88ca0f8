//! The messages of RFC 4475 and RFC 5118 in one table: what the RFC says of each, what we do over UDP and over TCP, and where that
//! is not what the RFC would rather have, the reason.

use bytes::Bytes;
use ringtree::sip::stream::{Frame, Framer};
use ringtree::sip::{Message, ParseError};

/// What the RFC says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is well formed: what is answered depends on what the element is, never on the form.
    WellFormed,
    /// To be answered with one of these.
    Refuse(&'static [u16]),
    /// May be refused with this status, or taken liberally.
    Either(u16),
    /// A response that is of no use: to be dropped.
    Drop,
}

/// Who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// An address that devices and a trunk of the rules accept: who it is, the From (of a REGISTER, the To) says.
    Friend,
    /// An address that nobody knows.
    Stranger,
}

/// What becomes of a connection that the message came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The next message is answered.
    GoesOn,
    /// We close it: nobody knows where the next message begins.
    Closes,
    /// The rest of the message is awaited.
    Waits,
}

pub struct Case {
    pub name: &'static str,
    /// RFC and section.
    pub section: &'static str,
    pub says: Says,
    pub sender: Sender,
    /// The final responses, in order.
    pub udp: &'static [u16],
    pub tcp: &'static [u16],
    pub stream: Stream,
    /// A field that the last response has, and what its value contains.
    pub field: Option<(&'static str, &'static str)>,
    /// Why we do otherwise than the RFC says or would rather have; empty where we don't.
    pub reason: &'static str,
}

const fn case(name: &'static str, section: &'static str, says: Says, answer: &'static [u16]) -> Case {
    Case {
        name,
        section,
        says,
        sender: Sender::Friend,
        udp: answer,
        tcp: answer,
        stream: Stream::GoesOn,
        field: None,
        reason: "",
    }
}

impl Case {
    const fn by_stranger(self) -> Case {
        Case { sender: Sender::Stranger, ..self }
    }

    const fn over_tcp(self, tcp: &'static [u16], stream: Stream) -> Case {
        Case { tcp, stream, ..self }
    }

    const fn with(self, field: &'static str, value: &'static str) -> Case {
        Case { field: Some((field, value)), ..self }
    }

    const fn because(self, reason: &'static str) -> Case {
        Case { reason, ..self }
    }

    pub fn path(&self) -> String {
        let rfc = if self.section.starts_with("4475") { "rfc4475" } else { "rfc5118" };
        format!("{}/tests/torture/{rfc}/{}.dat", env!("CARGO_MANIFEST_DIR"), self.name)
    }

    /// The file: byte for byte what the RFC's archive has.
    pub fn archived(&self) -> Bytes {
        std::fs::read(self.path()).unwrap_or_else(|error| panic!("{}: {error}", self.path())).into()
    }

    /// What goes on the wire. RFC 4475: the file. RFC 5118, whose archive has bare LF, header sections that don't end and lengths
    /// that don't fit: with CRLF, an empty line, and the body's length.
    pub fn wire(&self) -> Bytes {
        if self.section.starts_with("4475") {
            return self.archived();
        }
        let text = String::from_utf8(self.archived().to_vec()).expect("RFC 5118 has nothing but ASCII");
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let body = body.replace('\n', "\r\n");
        let fields = head.lines().map(|line| match line.strip_prefix("Content-Length:") {
            Some(_) => format!("Content-Length: {}\r\n", body.len()),
            None => format!("{line}\r\n"),
        });
        format!("{}\r\n{body}", fields.collect::<String>()).into()
    }

    pub fn message(&self) -> Message {
        Message::parse(self.wire()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The messages that a stream of these bytes is cut into, and the error that ends it, if any.
    pub fn framed(&self) -> (Vec<Message>, Option<ParseError>) {
        let mut framer = Framer::default();
        framer.push(&self.wire());
        let mut messages = Vec::new();
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => messages.push(Message::parse(bytes).expect("framed")),
                Ok(Some(Frame::Ping)) => {}
                Ok(None) => return (messages, None),
                Err(error) => return (messages, Some(error)),
            }
        }
    }
}

impl Case {
    /// What is wrong with the responses that came, where these final ones are wanted.
    pub fn differs(&self, came: &[Message], wanted: &[u16]) -> Option<String> {
        let finals: Vec<u16> = came.iter().map(Message::status).filter(|status| *status >= 200).collect();
        if finals != wanted {
            return Some(format!("{}: {finals:?} instead of {wanted:?}", self.name));
        }
        let (field, value) = self.field.filter(|_| !wanted.is_empty())?;
        let has = came.iter().flat_map(Message::headers).any(|(_, name, found)| {
            name.eq_ignore_ascii_case(field.as_bytes())
                && memchr::memmem::find(found, value.as_bytes()).is_some()
        });
        (!has).then(|| format!("{}: no {field} with {value} in {came:?}", self.name))
    }
}

/// The message of that name.
pub fn named(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no message {name}"))
}

/// The rules that friends are friends by: each user has a phone that needs no password from there, and any other caller is a trunk's.
pub fn rules(friend: &str) -> String {
    let mut text =
        "schema = 1\n[domain]\nname = \"example.com\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n\
         area_code = \"202\"\nring_for = \"4m\"\n"
            .to_owned();
    for (n, user) in ["user", "j.user", "watson", "caller"].into_iter().enumerate() {
        text += &format!(
            "[user.u{n}]\next = \"{user}\"\nvoicemail = {{ enabled = false }}\n\
             [device.d{n}]\nuser = \"u{n}\"\nprimary = true\naccept_from = [\"{friend}\"]\n"
        );
    }
    text + &format!("[trunk.other]\naccept_from = [\"{friend}\"]\n")
}

use Says::{Drop, Either, Refuse, WellFormed};
use Stream::{Closes, Waits};

const BAD: Says = Refuse(&[400]);

pub const CASES: &[Case] = &[
    // Its To has a tag that isn't ours.
    case("wsinv", "4475 3.1.1.1", WellFormed, &[481]),
    case("intmeth", "4475 3.1.1.2", WellFormed, &[501]).with("Allow", "INVITE"),
    // From a trunk, for a number that isn't ours.
    case("esc01", "4475 3.1.1.3", WellFormed, &[404]),
    // No phone of ours has that name.
    case("escnull", "4475 3.1.1.4", WellFormed, &[401]).with("WWW-Authenticate", "realm=\"example.com\""),
    case("esc02", "4475 3.1.1.5", WellFormed, &[501]),
    case("lwsdisp", "4475 3.1.1.6", WellFormed, &[200]),
    case("longreq", "4475 3.1.1.7", WellFormed, &[404]),
    // What follows the REGISTER is nothing in a datagram, and in a stream an INVITE without Contact, whose body is longer than it says.
    case("dblreq", "4475 3.1.1.8", WellFormed, &[200]).over_tcp(&[200, 400], Closes),
    case("semiuri", "4475 3.1.1.9", WellFormed, &[200]),
    case("transports", "4475 3.1.1.10", WellFormed, &[200]),
    // From a trunk: messages go between phones.
    case("mpart01", "4475 3.1.1.11", WellFormed, &[403]),
    // Responses to nothing of ours.
    case("unreason", "4475 3.1.1.12", WellFormed, &[]),
    case("noreason", "4475 3.1.1.13", WellFormed, &[]),
    case("badinv01", "4475 3.1.2.1", BAD, &[400]),
    case("clerr", "4475 3.1.2.2", BAD, &[400])
        .over_tcp(&[], Waits)
        .because("§3.1.2.2 itself: on a stream there is nothing to do but to wait for the rest"),
    case("ncl", "4475 3.1.2.3", BAD, &[400]).over_tcp(&[400], Closes),
    case("scalar02", "4475 3.1.2.4", BAD, &[400]),
    case("scalarlg", "4475 3.1.2.5", Drop, &[]),
    case("quotbal", "4475 3.1.2.6", BAD, &[400]),
    case("ltgtruri", "4475 3.1.2.7", BAD, &[400]),
    case("lwsruri", "4475 3.1.2.8", BAD, &[400]),
    case("lwsstart", "4475 3.1.2.9", BAD, &[400]),
    case("trws", "4475 3.1.2.10", BAD, &[400]),
    case("escruri", "4475 3.1.2.11", BAD, &[400]),
    // Nothing is done with a Date. Nobody has registered: 480.
    case("baddate", "4475 3.1.2.12", Either(400), &[480]),
    case("regbadct", "4475 3.1.2.13", BAD, &[400]),
    case("badaspec", "4475 3.1.2.14", Either(400), &[200]),
    // As archived, its header section does not end.
    case("baddn", "4475 3.1.2.15", Either(400), &[400]).over_tcp(&[], Waits),
    case("badvers", "4475 3.1.2.16", Refuse(&[505]), &[505]),
    case("mismatch01", "4475 3.1.2.17", BAD, &[400]),
    case("mismatch02", "4475 3.1.2.18", Refuse(&[501, 400]), &[501]),
    case("bigcode", "4475 3.1.2.19", Drop, &[]),
    case("badbranch", "4475 3.2.1", WellFormed, &[200]),
    case("insuf", "4475 3.3.1", BAD, &[400]),
    case("unkscm", "4475 3.3.2", Refuse(&[416]), &[416]),
    case("novelsc", "4475 3.3.3", Refuse(&[416, 404]), &[416]),
    // Its To is no address of record here (§10.3 step 5), and nobody learns that without credentials (step 3).
    case("unksm2", "4475 3.3.4", WellFormed, &[401]),
    case("bext01", "4475 3.3.5", Refuse(&[420]), &[420])
        .with("Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),
    case("invut", "4475 3.3.6", Refuse(&[415]), &[415]).with("Accept", "application/sdp"),
    case("regaut01", "4475 3.3.7", Refuse(&[401]), &[401]).by_stranger().with("WWW-Authenticate", "Digest"),
    case("multi01", "4475 3.3.8", BAD, &[400]),
    case("mcl01", "4475 3.3.9", BAD, &[400]).over_tcp(&[400], Closes),
    case("bcast", "4475 3.3.10", Drop, &[]),
    // RFC 3261 §16.3 step 3: an OPTIONS may be answered by the element where it ends; there it isn't forwarded.
    case("zeromf", "4475 3.3.11", WellFormed, &[200]),
    case("cparam01", "4475 3.3.12", WellFormed, &[200])
        .with("Contact", "<sip:+19725552222@gw1.example.net>;expires="),
    case("cparam02", "4475 3.3.13", WellFormed, &[200])
        .with("Contact", "<sip:+19725552222@gw1.example.net;unknownparam>;expires="),
    case("regescrt", "4475 3.3.14", WellFormed, &[200])
        .with("Contact", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires="),
    case("sdp01", "4475 3.3.15", Refuse(&[406, 400]), &[406]).with("Warning", "399"),
    // Without a Content-Length its body is what follows in a datagram, and rubbish in a stream.
    case("inv2543", "4475 3.4.1", WellFormed, &[400]).over_tcp(&[400], Closes).because(
        "RFC 3261 §8.1.1.8 wants a Contact: without it and without tags no request could be sent in the dialog, and \
         RFC 2543 has been out of use for two decades",
    ),
    case("ipv6-good", "5118 4.1", WellFormed, &[200]).with("Contact", "<sip:caller@[2001:db8::1]>;expires="),
    case("ipv6-bad", "5118 4.2", BAD, &[400]),
    case("port-ambiguous", "5118 4.3", WellFormed, &[200]),
    case("port-unambiguous", "5118 4.4", WellFormed, &[200]),
    case("via-received-param-with-delim", "5118 4.5", WellFormed, &[481]),
    case("via-received-param-no-delim", "5118 4.5", WellFormed, &[200]),
    case("ipv6-in-sdp", "5118 4.6", WellFormed, &[480]),
    case("mult-ip-in-header", "5118 4.7", WellFormed, &[481]),
    case("mult-ip-in-sdp", "5118 4.8", WellFormed, &[480]),
    case("ipv4-mapped-ipv6", "5118 4.9", WellFormed, &[480]),
    case("ipv6-bug-abnf-3-colons", "5118 4.10", WellFormed, &[200]),
    case("ipv6-correct-abnf-2-colons", "5118 4.10", WellFormed, &[200]),
];
