//! Those whom nobody vouches for: what they get, and what they cost everybody else (RFC 3261 §26).

use crate::registrar::{Field, Sent, udp};
use crate::{DOMAIN, s};
use ringtree::sip::{Message, Name};

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

fn wrong(user: &str) -> String {
    let response = "0123456789abcdef0123456789abcdef";
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"x\", uri=\"sip:{DOMAIN}\", response=\"{response}\", algorithm=MD5\r\n"
    )
}

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
    let mut field = Field::new();
    for (method, fields) in
        [("INVITE", ""), ("REGISTER", ""), ("SUBSCRIBE", "Event: dialog\r\n"), ("OPTIONS", "")]
    {
        let mut ask = |n: u32, user: &str, credentials: &str| {
            let text = request(method, user, n, &format!("{fields}{credentials}"));
            field.give(udp(SCANNER), &text).remove(0).message
        };
        assert_eq!(said(&ask(1, "200", "")), said(&ask(2, "nobody", "")), "{method}");
        let (known, unknown) = (ask(3, "200", &wrong("bob1")), ask(4, "nobody", &wrong("nobody")));
        assert_eq!(said(&known), said(&unknown), "{method}, with credentials");
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
fn who_guesses_passwords_is_shut_out_and_let_in_again() {
    let mut field = Field::new();
    let guess =
        |field: &mut Field, n: u32| field.give(udp(SCANNER), &request("REGISTER", "200", n, &wrong("bob1")));
    for n in 0..10 {
        assert_eq!(statuses(&guess(&mut field, n)), [401], "the tenth is answered still");
    }
    let events = field.events_named("stranger.shut_out");
    assert_eq!((&events[0]["source"], &events[0]["for_s"]), (&"198.51.100.9".into(), &600.into()));
    assert_eq!(field.switch.counters().strangers_shut_out, 1);
    assert!(guess(&mut field, 11).is_empty());
    assert!(
        field.give(udp("198.51.100.9:7"), &request("OPTIONS", "200", 12, "")).is_empty(),
        "from any port"
    );
    assert_eq!(statuses(&field.give(udp(OTHER), &request("OPTIONS", "200", 13, ""))), [200]);
    field.pass(s(601));
    assert_eq!(field.switch.counters().strangers_shut_out, 0);
    assert_eq!(statuses(&guess(&mut field, 14)), [401]);
}

#[test]
fn who_never_answers_a_challenge_is_shut_out() {
    let mut field = Field::new();
    let asked =
        (0..300).filter(|n| !field.give(udp(SCANNER), &request("INVITE", &n.to_string(), *n, "")).is_empty());
    assert_eq!(asked.count(), 100);
    assert_eq!(field.events_named("stranger.shut_out").len(), 1);
}

#[test]
fn an_address_of_the_rules_is_never_shut_out() {
    let mut field = Field::new();
    for n in 0..200 {
        let text = request("REGISTER", "nobody", n, &wrong("nobody"));
        assert_eq!(statuses(&field.give(udp("127.0.1.77:5060"), &text)), [401]);
    }
    assert_eq!(field.events_named("stranger.shut_out").len(), 0);
}
