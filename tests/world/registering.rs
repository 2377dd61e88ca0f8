//! Trunks that register at us: a PBX or a gateway behind a NAT is called where it has registered from, and is down without that.

use crate::net::configured;
use crate::registrar::{Field, Sent, tcp, udp};
use crate::strangers::credentials;
use crate::{DOMAIN, s};
use ringtree::call::lines::Server;
use ringtree::sip::{Flow, Message, Name, Transport};
use ringtree::switch::{Event, Input};

const RULES: &str = "
[trunk.pbx]
register = \"in\"
auth = { user = \"branch\", secret = \"plain:tea\" }
[trunk.line]
proxy = \"127.0.1.8\"
auth = { user = \"line\", secret = \"plain:tea\" }
[class.national]
match = [\"+1.\"]
[[route]]
classes = [\"national\"]
via = [\"pbx\", \"line\"]
[number.\"+12025550100\"]
to = \"user:bob\"
";
const LINE: &str = "127.0.1.8:5060";
const BOB: &str = "127.0.1.2:5060";
/// What it believes to be its address.
const CONTACT: &str = "<sip:192.168.1.5:5060;transport=tcp;bnc>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";

fn field() -> Field {
    let mut field = Field::with(RULES, configured(|_| ()));
    let addresses = vec![LINE.parse().unwrap()];
    let server = Server { rank: 0, transport: Transport::Udp, weight: 0, addresses, name: None };
    field.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: "line".into(), servers: vec![server] });
    field
}

/// The connection that the PBX has opened, through its NAT.
fn nat() -> Flow {
    Flow { remote: "198.51.100.7:61000".parse().unwrap(), ..tcp(9) }
}

/// A REGISTER with credentials, for that address of record; its answer.
fn log_in(field: &mut Field, (user, to): (&str, &str), fields: &str) -> Message {
    let challenge = field.register(nat(), to, CONTACT, fields);
    assert_eq!(challenge.status(), 401);
    let (_, nonce) = challenge.value(Name::WwwAuthenticate).unwrap().split_once("nonce=\"").unwrap();
    let nonce = nonce.split('"').next().unwrap();
    let fields = format!("{}{fields}", credentials("REGISTER", user, "tea", nonce));
    field.register(nat(), to, CONTACT, &fields)
}

fn registered() -> Field {
    let mut field = field();
    assert_eq!(log_in(&mut field, ("branch", "branch"), "").status(), 200);
    field
}

/// Ann dials a number outside: the INVITE that goes out for it.
fn dial(field: &mut Field) -> Sent {
    let sent = field.invite(&format!("sip:+12025550199@{DOMAIN}"));
    let invite = sent.into_iter().find(|sent| sent.message.is_request());
    invite.expect("it goes out")
}

fn told(field: &Field) -> Vec<String> {
    let word = |event: &Event| match event {
        Event::TrunkUp { trunk, .. } => Some(format!("up {trunk}")),
        Event::TrunkDown { trunk, why, .. } => Some(format!("down {trunk}: {why}")),
        Event::RegistrationAdded { device, .. } => Some(format!("added {device}")),
        _ => None,
    };
    field.events.iter().filter_map(word).collect()
}

#[test]
fn a_call_goes_to_the_flow_that_the_trunk_has_registered_by_with_the_number_in_its_contact() {
    let mut field = registered();
    assert_eq!(told(&field), ["up pbx"]);
    let invite = dial(&mut field);
    assert_eq!(invite.to, nat());
    assert_eq!(invite.message.request_uri(), "sip:+12025550199@192.168.1.5:5060;transport=tcp");
    let sent = field.reply(&invite, 200);
    let ack = sent.iter().find(|sent| sent.message.is_request()).expect("an ACK");
    assert_eq!(ack.to, nat(), "what its Contact says is behind its NAT");
}

#[test]
fn a_trunk_that_is_not_registered_is_down_and_the_next_one_takes_its_calls() {
    let mut field = field();
    assert_eq!(dial(&mut field).to.remote, LINE.parse().unwrap());
    // By outbound (RFC 5626): what was registered by a connection ends with it.
    assert_eq!(log_in(&mut field, ("branch", "branch"), "Supported: outbound\r\n").status(), 200);
    assert_eq!(dial(&mut field).to, nat());
    field.input(Input::FlowFailed { flow: nat() });
    let word = "down pbx: it is no longer registered here";
    assert!(told(&field).last().unwrap().starts_with(word), "{:?}", told(&field));
    assert_eq!(dial(&mut field).to.remote, LINE.parse().unwrap());
    assert_eq!(log_in(&mut field, ("branch", "branch"), "Expires: 600\r\n").status(), 200);
    field.pass(s(700));
    assert_eq!(told(&field).len(), 4, "it has run out: {:?}", told(&field));
    assert_eq!(dial(&mut field).to.remote, LINE.parse().unwrap());
}

#[test]
fn a_trunk_that_is_to_register_by_tls_does_so_and_is_called_by_it_alone() {
    let mut field = registered();
    assert_eq!(dial(&mut field).to, nat());
    // What is registered already is by TCP: it is called no more.
    field.publish(&RULES.replace("register = \"in\"", "register = \"in\"\ntransport = \"tls\""));
    assert_eq!(dial(&mut field).to.remote, LINE.parse().unwrap());
    let refused = log_in(&mut field, ("branch", "branch"), "");
    assert_eq!((refused.status(), refused.reason_phrase()), (403, "This Trunk Registers by TLS"));
    field.publish(&RULES.replace("register = \"in\"", "register = \"in\"\ntransport = \"tcp\""));
    assert_eq!(log_in(&mut field, ("branch", "branch"), "").status(), 200);
    assert_eq!(dial(&mut field).to, nat());
}

#[test]
fn what_comes_by_that_flow_is_the_trunks_whoever_calls() {
    let mut field = registered();
    field.register(udp(BOB), "bob1", &format!("<sip:bob1@{BOB}>"), "");
    let invite = |uri: &str, n: u32| {
        format!(
            "INVITE sip:{uri}@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TCP 192.168.1.5;branch=z9hG4bKp{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:+12025550177@192.168.1.5>;tag=p\r\nTo: <sip:{uri}@{DOMAIN}>\r\nCall-ID: pbx-{n}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:192.168.1.5;transport=tcp>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let sent = field.give(nat(), &invite("+12025550100", 1));
    let rung = sent.iter().find(|sent| sent.message.is_request()).expect("Bob rings");
    assert_eq!(rung.to.remote, BOB.parse().unwrap());
    assert!(rung.message.value(Name::From).unwrap().contains("+12025550177"), "{:?}", rung.message);
    let sent = field.give(nat(), &invite("200", 2));
    assert_eq!(sent.last().unwrap().message.status(), 404, "a trunk dials numbers, no extensions");
    field.input(Input::FlowFailed { flow: nat() });
    let sent = field
        .give(Flow { remote: "198.51.100.8:61000".parse().unwrap(), ..tcp(10) }, &invite("+12025550100", 3));
    assert_eq!(
        sent.last().unwrap().message.status(),
        401,
        "a flow that nobody has registered by is a stranger's"
    );
}

#[test]
fn by_a_proxy_that_a_trunk_has_registered_through_come_others_too() {
    let mut field = field();
    let path = "Path: <sip:192.0.2.9;lr>\r\nSupported: path\r\n";
    assert_eq!(log_in(&mut field, ("branch", "branch"), path).status(), 200);
    let invite = format!(
        "INVITE sip:+12025550100@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bKq\r\nMax-Forwards: 70\r\n\
         From: <sip:somebody@example.net>;tag=q\r\nTo: <sip:+12025550100@{DOMAIN}>\r\nCall-ID: proxied\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:203.0.113.9>\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(field.give(nat(), &invite).last().unwrap().message.status(), 401);
}

#[test]
fn a_trunk_registers_as_itself_and_only_where_its_rules_say_so() {
    let mut field = field();
    assert_eq!(log_in(&mut field, ("branch", "pbx"), "").status(), 200, "by its name");
    assert_eq!(log_in(&mut field, ("branch", "200"), "").status(), 403, "as somebody else");
    assert_eq!(
        log_in(&mut field, ("line", "line"), "").status(),
        403,
        "it has a proxy, and registers nowhere"
    );
}
