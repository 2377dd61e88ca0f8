//! Messages that RFC 3261 §25 allows, drawn with whatever makes them hard to read. What a message means is known from how it was drawn,
//! so that a reader is held against the meaning and not only against another reader.

use crate::readers::Reading;
use proptest::prelude::*;

/// What makes a message hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trait {
    /// `f`, `t`, `v`, `i`, `m`, `l` for their fields (§7.3.3).
    Compact,
    /// Field names in other cases (§7.3.1).
    Case,
    /// Blanks before and after the colon (§7.3.1).
    Blanks,
    /// A field that goes on in the next line (§7.3.1).
    Fold,
    /// A display name in quotes, with `<`, `;`, `,` and `@` in it (§20.10).
    Quoted,
    /// A quoted pair, `\"`, in a display name (§25.1).
    Pair,
    /// Hosts that are IPv6 references (§25.1).
    Ipv6,
    /// Parameters and headers in URIs, a password, escapes (§19.1).
    Uri,
    /// Characters in the user that need no escape and are rare (§25.1: mark, user-unreserved).
    Marks,
    /// A quoted string for the value of a field's parameter, with a `;` in it (§25.1).
    Value,
    /// A URI without angle brackets, whose parameters are the field's (§20).
    Bare,
    /// Several values in one field (§7.3.1).
    List,
    /// A method that no RFC names (§7.1).
    Extension,
}

pub const TRAITS: [Trait; 13] = [
    Trait::Compact,
    Trait::Case,
    Trait::Blanks,
    Trait::Fold,
    Trait::Quoted,
    Trait::Pair,
    Trait::Ipv6,
    Trait::Uri,
    Trait::Marks,
    Trait::Value,
    Trait::Bare,
    Trait::List,
    Trait::Extension,
];

#[derive(Clone, Debug)]
pub struct Draw {
    status: Option<u16>,
    method: &'static str,
    users: Vec<String>,
    hosts: Vec<String>,
    ports: Vec<Option<u16>>,
    word: String,
    tags: Vec<String>,
    branches: Vec<String>,
    call_id: String,
    cseq: u32,
    hops: u8,
    body: String,
    contacts: usize,
}

prop_compose! {
    pub fn draw()(
        status in proptest::option::of(100u16..700),
        method in prop_oneof![Just("INVITE"), Just("BYE"), Just("REGISTER"), Just("OPTIONS"), Just("CANCEL"), Just("ACK"),
            Just("SUBSCRIBE"), Just("NOTIFY"), Just("PRACK"), Just("UPDATE"), Just("REFER"), Just("INFO"), Just("MESSAGE")],
        users in proptest::collection::vec("[a-z][a-z0-9]{0,10}", 6),
        hosts in proptest::collection::vec("[a-z]{1,8}(\\.[a-z]{2,5}){1,2}", 6),
        ports in proptest::collection::vec(proptest::option::of(1u16..), 6),
        word in "[A-Za-z0-9]{1,8}( [A-Za-z0-9]{1,6})?",
        tags in proptest::collection::vec("[a-z0-9.!~+-]{1,16}", 2),
        branches in proptest::collection::vec("z9hG4bK[a-zA-Z0-9.-]{1,20}", 3),
        call_id in "[a-zA-Z0-9.*_+-]{1,16}@[a-z]{1,8}",
        cseq in 0u32..1 << 31,
        hops in any::<u8>(),
        body in "[a-zA-Z0-9=\r\n ]{0,64}",
        contacts in 1usize..4,
    ) -> Draw {
        Draw { status, method, users, hosts, ports, word, tags, branches, call_id, cseq, hops, body, contacts }
    }
}

/// A message, and what it means.
pub struct Drawn {
    pub text: String,
    pub meaning: Reading,
}

/// Every other letter a capital.
fn mixed(name: &str) -> String {
    let letter = |(at, c): (usize, char)| match at % 2 {
        0 => c.to_ascii_lowercase(),
        _ => c.to_ascii_uppercase(),
    };
    name.chars().enumerate().map(letter).collect()
}

impl Draw {
    /// Written with these traits.
    pub fn write(&self, traits: &[Trait]) -> Drawn {
        let has = |wanted| traits.contains(&wanted);
        let mut meaning = Reading::new();
        let host = |n: usize| match has(Trait::Ipv6) {
            true => format!("[2001:db8::{:x}]", n + 1),
            false => self.hosts[n].clone(),
        };
        let port = |n: usize| self.ports[n].map(|port| format!(":{port}")).unwrap_or_default();
        let user = |n: usize| match has(Trait::Marks) {
            true => format!("{}_.-!~*'()&=+$,;?/", self.users[n]),
            false => self.users[n].clone(),
        };
        let address = |n: usize| format!("{}@{}{}", user(n), host(n).trim_matches(['[', ']']), port(n));
        let target = format!("sip:{}@{}{}", user(0), host(0), port(0));
        let uri = |n: usize| match has(Trait::Uri) {
            // `%41` is an A, `%20` a blank; headers in a URI of From, To or Contact in brackets (§19.1.1, §19.1.4).
            true => format!(
                "sip:{}%41%20:pass@{}{};transport=tcp;x-y=%3b?Subject=a%20b&X=",
                user(n),
                host(n),
                port(n)
            ),
            false => format!("sip:{}@{}{}", user(n), host(n), port(n)),
        };
        let meant = |n: usize| match has(Trait::Uri) {
            true => address(n).replacen('@', "A @", 1),
            false => address(n),
        };
        let method = if has(Trait::Extension) { "Wake-Up!" } else { self.method };
        let start = match self.status {
            Some(status) => {
                meaning.insert("status", status.to_string());
                format!("SIP/2.0 {status} So it is\r\n")
            }
            None => {
                meaning.insert("method", method.to_owned());
                meaning.insert("request-uri", address(0));
                format!("{method} {target} SIP/2.0\r\n")
            }
        };
        let name = |long: &str, short: &str| {
            let name = if has(Trait::Compact) { short.to_owned() } else { long.to_owned() };
            let name = if has(Trait::Case) { mixed(&name) } else { name };
            if has(Trait::Blanks) { format!("{name} \t: \t") } else { format!("{name}: ") }
        };
        // RFC 3261 §7.3.1: a fold is one blank, wherever a blank may stand.
        let gap = if has(Trait::Fold) { "\r\n \t" } else { " " };
        let mut fields = Vec::new();
        let via =
            |n: usize| format!("SIP/2.0/UDP{gap}{}{};branch={};rport", host(n), port(n), self.branches[n]);
        match has(Trait::List) {
            true => fields.push(format!("{}{},{gap}{}", name("Via", "v"), via(1), via(2))),
            false => fields.extend([1, 2].map(|n| format!("{}{}", name("Via", "v"), via(n)))),
        }
        meaning.insert("via", format!("UDP @{}{}", host(1).trim_matches(['[', ']']), port(1)));
        meaning.insert("branch", self.branches[1].clone());
        meaning.insert("vias", "2".to_owned());
        let display = match (has(Trait::Quoted), has(Trait::Pair)) {
            (true, true) => format!("{} <a;b,c@d> \\\"x\\\\", self.word),
            (true, false) => format!("{} <a;b,c@d>", self.word),
            (false, true) => format!("{} \\\"x\\\\", self.word),
            (false, false) => self.word.clone(),
        };
        let value = if has(Trait::Value) { ";x=\"a;b\"" } else { "" };
        let party = |n: usize, tag: &str| match has(Trait::Bare) {
            true => format!("sip:{}@{}{};tag={tag}", self.users[n], host(n), port(n)),
            false => format!("\"{display}\"{gap}<{}>;tag={tag}{value}", uri(n)),
        };
        let parties = [
            ("From", "f", "from", "from-tag", "from-display", 3),
            ("To", "t", "to", "to-tag", "to-display", 4),
        ];
        for (at, (long, short, key, tag_key, display_key, n)) in parties.into_iter().enumerate() {
            fields.push(format!("{}{}", name(long, short), party(n, &self.tags[at])));
            // Without brackets a URI may have no `,`, `;` or `?` (§20).
            let bare = format!("{}@{}{}", self.users[n], host(n).trim_matches(['[', ']']), port(n));
            meaning.insert(key, if has(Trait::Bare) { bare } else { meant(n) });
            meaning.insert(tag_key, self.tags[at].clone());
            if !has(Trait::Bare) {
                meaning.insert(display_key, display.clone());
            }
        }
        fields.push(format!("{}{}", name("Call-ID", "i"), self.call_id));
        meaning.insert("call-id", self.call_id.clone());
        fields.push(format!("{}{}{gap}{method}", name("CSeq", "CSeq"), self.cseq));
        meaning.insert("cseq", format!("{} {method}", self.cseq));
        fields.push(format!("{}{}", name("Max-Forwards", "Max-Forwards"), self.hops));
        meaning.insert("max-forwards", self.hops.to_string());
        let contacts: Vec<String> = (0..self.contacts).map(|_| format!("<{}>;q=0.5", uri(5))).collect();
        match has(Trait::List) {
            true => fields.push(format!("{}{}", name("Contact", "m"), contacts.join(&format!(",{gap}")))),
            false => {
                fields.extend(contacts.iter().map(|contact| format!("{}{contact}", name("Contact", "m"))))
            }
        }
        meaning.insert("contacts", vec![meant(5); self.contacts].join(" "));
        fields.push(format!("{}{}", name("Content-Length", "l"), self.body.len()));
        meaning.insert("body", self.body.clone());
        Drawn { text: format!("{start}{}\r\n\r\n{}", fields.join("\r\n"), self.body), meaning }
    }
}
