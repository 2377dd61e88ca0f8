//! Those whom nobody vouches for: what they get, and what they cost everybody else (RFC 3261 §26).

use crate::net::configured;
use crate::registrar::{Field, Sent, tcp, udp};
use crate::{DOMAIN, s};
use ringtree::sip::auth::{self, Algorithm, Credentials};
use ringtree::sip::{Flow, Message, Name, Transport};
use ringtree::switch::Input;

const SCANNER: &str = "198.51.100.9:5060";
const OTHER: &str = "198.51.100.10:5060";
const PHONE: &str = "127.0.1.2:5060";

/// As short as a request can be.
fn request(method: &str, user: &str, n: u32, fields: &str) -> String {
    format!(
        "{method} sip:{user}@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {SCANNER};branch=z9hG4bK{n}\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:{user}@{DOMAIN}>\r\nCall-ID: {n}\r\nCSeq: 1 {method}\r\nMax-Forwards: 9\r\nContact: <sip:a@b>\r\n{fields}Content-Length: 0\r\n\r\n"
    )
}

/// Credentials for any method's request, with this nonce.
pub fn credentials(method: &str, user: &str, password: &str, nonce: &str) -> String {
    let field = |response: &str| {
        format!(
            "Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", uri=\"sip:{DOMAIN}\", response=\"{response}\", algorithm=MD5"
        )
    };
    let ha1 = auth::ha1(Algorithm::Md5, user, DOMAIN, password);
    let unsigned = field("");
    let response =
        auth::response(Algorithm::Md5, &ha1, method, &Credentials::parse(&unsigned).expect("credentials"));
    format!("Authorization: {}\r\n", field(&response))
}

/// The nonce that whoever is there is challenged with.
fn nonce(field: &mut Field, flow: Flow, n: u32) -> String {
    let sent = field.give(flow, &request("REGISTER", "200", n, ""));
    assert_eq!(statuses(&sent), [401]);
    let challenge = sent[0].message.value(Name::WwwAuthenticate).expect("a challenge");
    let (_, nonce) = challenge.split_once("nonce=\"").expect("a nonce");
    nonce.split('"').next().expect("its end").to_owned()
}

/// A REGISTER with a password that is nobody's, and another each time.
fn guess(field: &mut Field, flow: Flow, n: u32, nonce: &str) -> Vec<u16> {
    let credentials = credentials("REGISTER", "away", &format!("guess {n}"), nonce);
    statuses(&field.give(flow, &request("REGISTER", "200", n, &credentials)))
}

/// The scanner's address by another way.
fn stream(transport: Transport, connection: u64) -> Flow {
    Flow { transport, remote: "198.51.100.9:40000".parse().unwrap(), ..tcp(connection) }
}

/// A phone that is known by its password.
const AWAY: &str = "[device.away]\nuser = \"ann\"\nauth = { user = \"away\", secret = \"plain:tea\" }\n";

fn statuses(sent: &[Sent]) -> Vec<u16> {
    sent.iter().map(|sent| sent.message.status()).collect()
}

#[test]
fn a_stranger_gets_one_challenge_and_nothing_after_it() {
    let mut field = Field::new();
    for method in ["INVITE", "REGISTER", "SUBSCRIBE"] {
        let text = request(method, "200", 1, "Event: dialog\r\n");
        let first = field.give(udp(SCANNER), &text);
        assert_eq!(statuses(&first), [401], "{method}");
        assert_eq!(field.switch.counters().transactions, 0, "{method}: nothing is kept of it");
        let again = field.give(udp(SCANNER), &text);
        let tag = |sent: &[Sent]| sent[0].message.to().unwrap().tag().unwrap().to_owned();
        assert_eq!(tag(&again), tag(&first), "RFC 3261 §8.2.7");
        assert_eq!(field.pass(s(120)).len(), 0, "{method}: it is never sent again");
    }
}

#[test]
fn what_a_stranger_gets_is_never_much_more_than_what_they_sent() {
    let mut field = Field::new();
    let methods =
        ["INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS", "BYE", "NOTIFY", "MESSAGE", "PUBLISH", "FOO"];
    for (n, method) in (0..).zip(methods) {
        let text = request(method, "200", n, "Event: dialog\r\n");
        let mut sent = field.give(udp(SCANNER), &text);
        sent.extend(field.pass(s(64)));
        let bytes: usize = sent.iter().map(|sent| sent.message.bytes().len()).sum();
        assert!(bytes <= 3 * text.len(), "{method}: {bytes} bytes for {}", text.len());
    }
}

/// All that is said but for what is drawn anew each time.
fn said(message: &Message) -> Vec<String> {
    let drawn = |text: &str| text.split("nonce=\"").next().unwrap_or_default().to_owned();
    let own = [Name::Via, Name::To, Name::From, Name::CallId, Name::CSeq];
    let told = message.headers().filter(|(name, ..)| !own.contains(name));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut said: Vec<String> =
        told.map(|(_, name, value)| format!("{}: {}", text(name), drawn(&text(value)))).collect();
    said.push(format!("{} {}", message.status(), message.reason_phrase()));
    said
}

#[test]
fn users_that_exist_and_users_that_do_not_get_the_same_answer() {
    let mut field = Field::with(AWAY, configured(|_| ()));
    let nonce = nonce(&mut field, udp(SCANNER), 9);
    for (method, fields) in
        [("INVITE", ""), ("REGISTER", ""), ("SUBSCRIBE", "Event: dialog\r\n"), ("OPTIONS", "")]
    {
        let mut ask = |n: u32, user: &str, credentials: &str| {
            let text = request(method, user, n, &format!("{fields}{credentials}"));
            field.give(udp(SCANNER), &text).remove(0).message
        };
        assert_eq!(said(&ask(1, "200", "")), said(&ask(2, "nobody", "")), "{method}");
        for (n, nonce) in [(3, "x"), (5, &*nonce)] {
            let wrong = |user| credentials(method, user, "guess", nonce);
            let (known, unknown) = (ask(n, "200", &wrong("away")), ask(n + 1, "nobody", &wrong("nobody")));
            assert_eq!(said(&known), said(&unknown), "{method}, with credentials by the nonce {nonce}");
        }
    }
}

#[test]
fn a_flood_from_one_source_is_not_read_and_everybody_else_is_served() {
    let mut field = Field::new();
    field.register(udp(PHONE), "bob1", "<sip:bob1@127.0.1.2>", "");
    let flood = |field: &mut Field, from: &str| {
        (0..5_000).filter(|n| !field.give(udp(from), &request("OPTIONS", "200", *n, "")).is_empty()).count()
    };
    assert_eq!(flood(&mut field, SCANNER), 400, "four seconds' worth");
    assert_eq!(field.switch.counters().stranger_drops_total, 4_600);
    assert_eq!(statuses(&field.give(udp(OTHER), &request("OPTIONS", "200", 9_000, ""))), [200]);
    field.pass(s(40));
    assert_eq!(flood(&mut field, PHONE), 5_000, "a registered phone has no limit");
    field.pass(s(40));
    assert_eq!(flood(&mut field, "127.0.1.77:9"), 5_000, "nor has an address of the rules");
}

#[test]
fn a_flood_of_forged_datagrams_leaves_connections_from_there_alone() {
    let mut field = Field::new();
    for n in 0..5_000 {
        field.give(udp(SCANNER), &request("OPTIONS", "200", n, ""));
    }
    assert!(field.give(udp(SCANNER), &request("OPTIONS", "200", 6_000, "")).is_empty());
    for transport in [Transport::Tcp, Transport::Tls, Transport::Wss] {
        let sent = field.give(stream(transport, 1), &request("OPTIONS", "200", 7_000, ""));
        assert_eq!(statuses(&sent), [200], "{transport:?}");
    }
}

#[test]
fn who_guesses_passwords_is_shut_out_and_let_in_again() {
    for flow in [udp(SCANNER), stream(Transport::Tls, 1)] {
        let mut field = Field::with(AWAY, configured(|_| ()));
        let nonce = nonce(&mut field, flow, 100);
        for n in 0..10 {
            assert_eq!(guess(&mut field, flow, n, &nonce), [401], "the tenth is answered still");
        }
        let events = field.events_named("stranger.shut_out");
        assert_eq!((&events[0]["source"], &events[0]["for_s"]), (&"198.51.100.9".into(), &600.into()));
        assert_eq!(field.switch.counters().strangers_shut_out, 1);
        assert!(guess(&mut field, flow, 11, &nonce).is_empty());
        for flow in [udp("198.51.100.9:7"), stream(Transport::Tcp, 2)] {
            let sent = field.give(flow, &request("OPTIONS", "200", 12, ""));
            assert!(sent.is_empty(), "from any port, by whatever way");
        }
        assert_eq!(statuses(&field.give(udp(OTHER), &request("OPTIONS", "200", 13, ""))), [200]);
        field.pass(s(601));
        assert_eq!(field.switch.counters().strangers_shut_out, 0);
        assert_eq!(guess(&mut field, flow, 14, &nonce), [401]);
    }
}

#[test]
fn credentials_that_answer_no_challenge_sent_there_shut_nobody_out() {
    let mut field = Field::with(AWAY, configured(|_| ()));
    // What somebody can write who receives nothing of what is sent to the scanner's address.
    let others = nonce(&mut field, udp(OTHER), 1_000);
    for n in 0..100 {
        assert_eq!(guess(&mut field, udp(SCANNER), 3 * n, "x"), [401]);
        assert_eq!(guess(&mut field, udp(SCANNER), 3 * n + 1, &others), [401]);
        let broken = "Authorization: Digest username=\"away\"\r\n";
        let sent = field.give(udp(SCANNER), &request("REGISTER", "200", 3 * n + 2, broken));
        assert_eq!(statuses(&sent), [400]);
    }
    assert_eq!(field.events_named("stranger.shut_out").len(), 0);
    let sent = field.give(udp("198.51.100.9:7"), &request("OPTIONS", "200", 1_001, ""));
    assert_eq!(statuses(&sent), [200], "whoever is there is served");
}

#[test]
fn nobody_learns_whether_a_password_is_right_by_a_nonce_that_was_not_sent_to_them() {
    let mut field = Field::with(AWAY, configured(|_| ()));
    let others = nonce(&mut field, udp(OTHER), 1);
    for (n, nonce) in [(2, "x"), (4, &*others)] {
        let mut ask = |n, password| {
            let credentials = credentials("REGISTER", "away", password, nonce);
            field.give(udp(SCANNER), &request("REGISTER", "200", n, &credentials)).remove(0).message
        };
        assert_eq!(said(&ask(n, "tea")), said(&ask(n + 1, "coffee")));
    }
}

#[test]
fn an_office_whose_phones_all_come_back_at_once_is_not_shut_out() {
    let mut field = Field::with(AWAY, configured(|_| ()));
    for n in 0..200u16 {
        let phone = udp(&format!("198.51.100.9:{}", 10_000 + n));
        nonce(&mut field, phone, n.into());
        nonce(&mut field, stream(Transport::Tls, n.into()), u32::from(n) + 1_000);
    }
    assert_eq!(field.events_named("stranger.shut_out").len(), 0);
    let phone = stream(Transport::Tls, 500);
    field.pass(s(1));
    let nonce = nonce(&mut field, phone, 2_000);
    let right = credentials("REGISTER", "away", "tea", &nonce);
    assert_ne!(statuses(&field.give(phone, &request("REGISTER", "away", 2_001, &right))), [401]);
}

#[test]
fn the_same_wrong_credentials_sent_again_are_one_try() {
    let mut field = Field::with(AWAY, configured(|_| ()));
    let nonce = nonce(&mut field, udp(SCANNER), 1);
    for _ in 0..50 {
        assert_eq!(guess(&mut field, udp(SCANNER), 2, &nonce), [401], "its answers are lost");
    }
    assert_eq!(field.events_named("stranger.shut_out").len(), 0);
}

#[test]
fn a_flow_that_has_proved_itself_goes_on_where_its_address_is_shut_out() {
    let mut field = Field::with(AWAY, configured(|_| ()));
    let mut n = 100;
    let own = [stream(Transport::Tls, 1), udp("198.51.100.9:7")];
    for flow in own {
        n += 2;
        let nonce = nonce(&mut field, flow, n);
        let right = credentials("INVITE", "away", "tea", &nonce);
        let sent = field.give(flow, &request("INVITE", "999", n + 1, &right));
        assert!(!statuses(&sent).contains(&401), "it calls and doesn't register");
    }
    let guesser = nonce(&mut field, udp(SCANNER), 200);
    for n in 0..10 {
        guess(&mut field, udp(SCANNER), n, &guesser);
    }
    assert_eq!(field.events_named("stranger.shut_out").len(), 1);
    for flow in own {
        n += 1;
        assert_eq!(statuses(&field.give(flow, &request("OPTIONS", "200", n, ""))), [200], "{flow:?}");
    }
    let new = stream(Transport::Tls, 2);
    assert!(field.give(new, &request("OPTIONS", "200", 300, "")).is_empty(), "who is new waits");
    let first_guess = guess(&mut field, own[0], 301, &guesser);
    assert_eq!(first_guess, [401]);
    assert!(guess(&mut field, own[0], 302, &guesser).is_empty(), "who guesses is a stranger again");
    field.input(Input::FlowFailed { flow: own[1] });
}

/// A phone registers from one port and is called at another, as its Contact says.
#[test]
fn whoever_we_call_is_heard_where_their_address_is_shut_out() {
    let den = "[device.den]\nuser = \"bob\"\nauth = { user = \"den\", secret = \"plain:tea\" }\n";
    let mut field = Field::with(&format!("{AWAY}{den}"), configured(|_| ()));
    let nonce = nonce(&mut field, udp(SCANNER), 100);
    let right = credentials("REGISTER", "den", "tea", &nonce);
    let register =
        request("REGISTER", "200", 101, &right).replace("<sip:a@b>\r\n", "<sip:den@198.51.100.9:5070>\r\n");
    assert_eq!(statuses(&field.give(udp(SCANNER), &register)), [200]);
    let guesser = udp("198.51.100.9:6666");
    for n in 0..11 {
        guess(&mut field, guesser, n, &nonce);
    }
    assert_eq!(field.events_named("stranger.shut_out").len(), 1);
    let sent = field.invite(&format!("sip:200@{DOMAIN}"));
    let invite = sent.into_iter().find(|sent| sent.message.is_request()).expect("the phone rings");
    assert_eq!(invite.to.remote.port(), 5070);
    assert_eq!(statuses(&field.reply(&invite, 180)), [180]);
    assert!(statuses(&field.reply(&invite, 200)).contains(&200), "Ann is connected");
    let from = invite.message.value(Name::From).unwrap().to_owned();
    let bye = |to: &str| {
        let call_id = invite.message.call_id();
        let to = format!("To: {to}\r\nCall-ID: {call_id}");
        request("BYE", "100", 200, "")
            .replace(&format!("To: <sip:100@{DOMAIN}>\r\nCall-ID: 200"), &to)
            .replace(";tag=1", ";tag=phone")
    };
    let forged = from.replace(".", ".0");
    assert!(field.give(invite.to, &bye(&forged)).is_empty(), "another tag is a stranger's");
    assert!(statuses(&field.give(invite.to, &bye(&from))).contains(&200), "and hangs up");
}

#[test]
fn a_trunk_that_is_known_by_its_certificate_has_no_limit() {
    let carrier = "[trunk.carrier]\nproxy = \"carrier.example\"\ntransport = \"tls\"\n";
    let mut field = Field::with(carrier, configured(|_| ()));
    for (n, name, answered) in [(1, "carrier.example", 5_000), (2, "other.example", 400)] {
        let flow = stream(Transport::Tls, n);
        field.input(Input::PeerKnown { flow, names: vec![name.into()] });
        let sent = |n: &u32| !field.give(flow, &request("OPTIONS", "200", *n, "")).is_empty();
        assert_eq!((0..5_000).filter(sent).count(), answered, "{name}");
    }
    // A trunk that is in the rules no longer is a stranger.
    let flow = stream(Transport::Tls, 1);
    field.publish("");
    assert!(field.give(flow, &request("OPTIONS", "200", 9_000, "")).is_empty());
}

#[test]
fn an_address_of_the_rules_is_never_shut_out() {
    let rules = format!("{AWAY}[trunk.line]\nproxy = \"203.0.113.5\"\naccept_from = [\"203.0.113.5\"]\n");
    let mut field = Field::with(&rules, configured(|_| ()));
    let known = udp("203.0.113.5:5060");
    let nonce = nonce(&mut field, known, 1_000);
    for n in 0..200 {
        assert_eq!(guess(&mut field, known, n, &nonce), [401]);
    }
    assert_eq!(field.events_named("stranger.shut_out").len(), 0);
}

/// An INVITE to a URI, as whoever sends it.
fn dials(uri: &str, n: u32, fields: &str) -> String {
    request("INVITE", "x", n, fields).replace(&format!("sip:x@{DOMAIN} SIP"), &format!("{uri} SIP"))
}

#[test]
fn a_call_for_help_is_read_from_an_address_that_is_shut_out() {
    let mut field = Field::with(AWAY, configured(|_| ()));
    let guesser = nonce(&mut field, udp(SCANNER), 100);
    for n in 0..10 {
        guess(&mut field, udp(SCANNER), n, &guesser);
    }
    let call = |field: &mut Field, uri: &str, n: u32| statuses(&field.give(udp(SCANNER), &dials(uri, n, "")));
    assert!(call(&mut field, "sip:200@pbx.example", 200).is_empty());
    for (n, uri) in
        (300..).zip(["sip:911@pbx.example", "sip:9911@198.51.100.1", "urn:service:sos", "tel:933"])
    {
        assert_eq!(call(&mut field, uri, n), [401], "{uri}: whoever calls is asked who they are, as ever");
    }
    assert_eq!(field.switch.counters().urgent_admitted_total, 4);
    // The phone that has no other way: it answers, and is heard from then on.
    let phone = udp("198.51.100.9:7");
    let challenge = field.give(phone, &dials("sip:911@pbx.example", 400, "")).remove(0).message;
    let told = challenge.value(Name::WwwAuthenticate).unwrap();
    let nonce = told.split_once("nonce=\"").unwrap().1.split('"').next().unwrap();
    let right = credentials("INVITE", "away", "tea", nonce);
    let sent = field.give(phone, &dials("sip:911@pbx.example", 401, &right));
    assert!(!sent.is_empty() && !statuses(&sent).contains(&401));
    assert_eq!(statuses(&field.give(phone, &request("OPTIONS", "200", 402, ""))), [200]);
}

#[test]
fn a_flood_of_calls_for_help_is_a_trickle() {
    let mut field = Field::new();
    for n in 0..500 {
        field.give(udp(SCANNER), &request("OPTIONS", "200", n, ""));
    }
    let heard = |field: &mut Field, from: u32| {
        let call =
            |n: &u32| !field.give(udp(SCANNER), &dials("sip:911@pbx.example", from + n, "")).is_empty();
        (0..2_000).filter(call).count()
    };
    assert_eq!(heard(&mut field, 10_000), 10, "beyond what a stranger may send, and no more");
    let drops = field.switch.counters().stranger_drops_total;
    assert!(drops >= 1_990, "the rest is not read: {drops}");
    let other = field.give(udp(OTHER), &dials("sip:911@pbx.example", 20_000, ""));
    assert_eq!(statuses(&other), [401], "each source has its own");
}
