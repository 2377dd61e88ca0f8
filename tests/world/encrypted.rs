//! Media that is secured, as the signalling agrees on it: `device.srtp` and `trunk.srtp`, keys in descriptions, and what relays are told.

use crate::DOMAIN;
use crate::net::configured;
use crate::registrar::{Field, Sent, tcp, udp};
use ringtree::call::lines::Server;
use ringtree::relay::{Command, Side};
use ringtree::sdp::{Fingerprint, Protection};
use ringtree::sip::{Flow, Message, Method, Name, Transport};
use ringtree::switch::Input;
use ringtree::switch::config::Listener;
use std::net::SocketAddr;
use std::sync::Arc;

const ANN: &str = "127.0.1.1:5060";
const BOB: &str = "127.0.1.2:5060";
const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
const OTHER_KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const RULES: &str = "
[device.safe]
user = \"ann\"
accept_from = [\"127.0.1.0/24\"]
srtp = \"required\"
[device.bare]
user = \"ann\"
accept_from = [\"127.0.1.0/24\"]
srtp = \"off\"
[user.cleo]
ext = \"300\"
voicemail = { enabled = false }
[device.vault]
user = \"cleo\"
accept_from = [\"127.0.1.0/24\"]
srtp = \"required\"
[trunk.line]
proxy = \"carrier.example\"
[class.emergency]
match = [\"911\"]
[[route]]
classes = [\"emergency\"]
via = [\"line\"]
";

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5061))
}

fn flow(transport: Transport, connection: u64) -> Flow {
    Flow { transport, local: local(), ..tcp(connection) }
}

fn office() -> Field {
    let config = configured(|config| {
        config.fingerprint = Some(Arc::new(Fingerprint::of(b"of ours")));
        for transport in [Transport::Tls, Transport::Ws] {
            let advertise = local().to_string();
            config.listeners.push(Listener { transport, bound: local(), advertise });
        }
    });
    Field::with(RULES, config)
}

fn described(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 {lines}")
}

fn keyed(key: &str) -> String {
    described(&format!("RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"))
}

fn plain() -> String {
    described("RTP/AVP 0\r\n")
}

/// A call of that device; what is sent then but for the 100.
fn call(field: &mut Field, flow: Flow, device: &str, uri: &str, description: &str) -> Vec<Sent> {
    let (via, remote) = (flow.transport.via_word(), flow.remote);
    let text = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/{via} {remote};branch=z9hG4bK{device}\r\nMax-Forwards: 70\r\n\
         From: <sip:{device}@{DOMAIN}>;tag=f\r\nTo: <{uri}>\r\nCall-ID: {device}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{device}@{remote}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{description}",
        description.len()
    );
    let mut sent = field.give(flow, &text);
    sent.retain(|sent| sent.message.is_request() || sent.message.status() != 100);
    sent
}

/// The phone answers with that description.
fn answer(field: &mut Field, request: &Sent, description: &str) -> Vec<Sent> {
    let mut w = ringtree::sip::Writer::reply(&request.message, 200, "", Some("phone"));
    w.header(Name::Contact, "<sip:there@127.0.1.77>");
    let bytes = w.body("application/sdp", description.as_bytes());
    field.give(request.to, std::str::from_utf8(&bytes).unwrap())
}

fn invite(sent: &[Sent]) -> &Sent {
    let is_new = |sent: &&Sent| sent.message.is_request() && sent.message.method() == Method::Invite;
    sent.iter().find(is_new).expect("an INVITE")
}

fn final_response(sent: &[Sent]) -> &Message {
    let last = sent.iter().rfind(|sent| !sent.message.is_request() && sent.message.status() >= 200);
    &last.expect("a final response").message
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

fn rung(field: &mut Field, device: &str, flow: Flow) {
    let answer = field.register(flow, device, &format!("<sip:{device}@10.0.0.7>"), "");
    assert_eq!(answer.status(), 200);
}

fn secured(field: &Field, of: Side) -> Option<&Protection> {
    field.media.iter().rev().find_map(|command| match command {
        Command::Secure { side, by, .. } if *side == of => Some(by),
        _ => None,
    })
}

#[test]
fn a_phone_that_has_to_be_secured_and_is_not_hears_why() {
    let mut field = office();
    rung(&mut field, "bob1", udp(BOB));
    let sent = call(&mut field, udp(ANN), "safe", "sip:200@pbx.example", &plain());
    let refusal = final_response(&sent);
    assert_eq!(
        (refusal.status(), refusal.value(Name::Warning)),
        (488, Some("399 ringtree \"SRTP is required\""))
    );
    let sent = call(&mut field, udp(BOB), "safe", "sip:200@pbx.example", &keyed(KEY));
    let warning = final_response(&sent).value(Name::Warning).unwrap_or_default().to_owned();
    assert!(warning.contains("by TLS alone"), "whoever reads along would read the key: {warning}");
    let sent = call(&mut field, udp(ANN), "bare", "sip:200@pbx.example", &keyed(KEY));
    assert_eq!(final_response(&sent).value(Name::Warning), Some("399 ringtree \"SRTP is off\""));
}

#[test]
fn keys_end_at_the_relay_which_knows_them_before_it_sends() {
    let mut field = office();
    rung(&mut field, "bob1", udp(BOB));
    let sent = call(&mut field, flow(Transport::Tls, 1), "safe", "sip:200@pbx.example", &keyed(KEY));
    let offer = body(&invite(&sent).message);
    assert!(offer.contains(" RTP/AVP 0\r\n") && !offer.contains("crypto"), "{offer}");
    let sent = answer(&mut field, invite(&sent), &plain());
    let answer = body(final_response(&sent));
    assert!(
        answer.contains(" RTP/SAVP 0\r\n") && answer.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:")
    );
    assert!(!answer.contains(KEY), "ours, not its own");
    let at = |wanted: fn(&Command) -> bool| field.media.iter().position(wanted);
    let secured =
        at(|command| matches!(command, Command::Secure { side: Side::A, by: Protection::Sdes(..), .. }));
    let pointed = at(|command| matches!(command, Command::Point { side: Side::A, .. }));
    assert!(secured.is_some() && secured < pointed, "{:?}", field.media);
    let shown = format!("{:?}", field.media);
    assert!(!shown.contains("[") || !shown.contains("octets"), "{shown}");
}

#[test]
fn a_re_offer_with_another_key_is_told_to_the_relay_and_a_record_has_none() {
    let mut field = office();
    rung(&mut field, "bob1", udp(BOB));
    let tls = flow(Transport::Tls, 1);
    let sent = call(&mut field, tls, "safe", "sip:200@pbx.example", &keyed(KEY));
    let sent = answer(&mut field, invite(&sent), &plain());
    let accepted = final_response(&sent);
    let (tag, contact) =
        (accepted.to().unwrap().tag().unwrap().to_owned(), accepted.value(Name::Contact).unwrap());
    let target = contact.trim_matches(['<', '>']).to_owned();
    let within = |method: &str, n: u32, description: &str| {
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/TLS {};branch=z9hG4bKw{n}{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:safe@{DOMAIN}>;tag=f\r\nTo: <sip:200@pbx.example>;tag={tag}\r\nCall-ID: safe\r\nCSeq: {n} {method}\r\n\
             Contact: <sip:safe@{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{description}",
            tls.remote,
            tls.remote,
            description.len()
        )
    };
    let first_key = body(accepted).split("inline:").nth(1).unwrap().trim().to_owned();
    field.give(tls, &within("ACK", 1, ""));
    let before = secured(&field, Side::A).cloned();
    let refused = field.give(tls, &within("INVITE", 2, &plain()));
    assert_eq!(final_response(&refused).status(), 488, "it has to stay secured");
    field.give(tls, &within("ACK", 2, ""));
    assert_eq!(secured(&field, Side::A).cloned(), before);
    let sent = field.give(tls, &within("INVITE", 3, &keyed(OTHER_KEY)));
    assert_eq!(secured(&field, Side::A).cloned(), before, "nothing holds before it is agreed on");
    let sent = answer(&mut field, invite(&sent), &plain());
    let new_key = body(final_response(&sent));
    assert!(new_key.contains("inline:") && !new_key.contains(first_key.as_str()), "{new_key}");
    let after = secured(&field, Side::A).cloned();
    let (Some(Protection::Sdes(before, context)), Some(Protection::Sdes(after, goes_on))) = (before, after)
    else {
        panic!()
    };
    assert_ne!(before.theirs, after.theirs);
    assert_ne!(before.ours, after.ours, "ours changes with theirs");
    assert_eq!(context, goes_on, "and their packets are counted on");
    field.give(tls, &within("ACK", 3, ""));
    field.give(tls, &within("BYE", 4, ""));
    let told = format!("{:?}", field.events);
    assert!(!told.contains("inline") && !told.contains(KEY) && !told.contains("crypto"), "{told}");
}

#[test]
fn what_is_offered_goes_by_the_way_of_the_phone() {
    for (transport, profile, keys) in [
        (Transport::Tls, " RTP/SAVP 0\r\n", "a=crypto:1 "),
        (Transport::Ws, " UDP/TLS/RTP/SAVPF 0\r\n", "a=fingerprint:sha-256 "),
        (Transport::Tcp, " UDP/TLS/RTP/SAVP 0\r\n", "a=fingerprint:sha-256 "),
    ] {
        let mut field = office();
        rung(&mut field, "vault", Flow { transport, ..flow(transport, 7) });
        let sent = call(&mut field, udp(ANN), "ann1", "sip:300@pbx.example", &plain());
        let offer = body(&invite(&sent).message);
        assert!(offer.contains(profile) && offer.contains(keys), "{transport:?}: {offer}");
        assert_eq!(offer.contains("a=ice-lite"), transport == Transport::Ws, "{offer}");
    }
    let mut field = office();
    rung(&mut field, "bob1", flow(Transport::Tls, 7));
    let sent = call(&mut field, udp(ANN), "ann1", "sip:200@pbx.example", &plain());
    let offer = body(&invite(&sent).message);
    assert!(offer.contains(" RTP/AVP 0\r\n") && offer.contains("a=crypto:1 "), "RFC 8643: {offer}");
}

#[test]
fn a_phone_that_answers_in_the_clear_where_it_may_not_is_not_spoken_with() {
    let mut field = office();
    rung(&mut field, "vault", flow(Transport::Tls, 7));
    let sent = call(&mut field, udp(ANN), "ann1", "sip:300@pbx.example", &plain());
    let sent = answer(&mut field, invite(&sent), &plain());
    assert!(sent.iter().any(|sent| sent.message.is_request() && sent.message.method() == Method::Bye));
    assert!(final_response(&sent).status() >= 400);
    assert!(!field.media.iter().any(|command| matches!(command, Command::Open { .. })));
}

#[test]
fn a_call_for_help_in_the_clear_is_better_than_none() {
    let mut field = office();
    let addresses = vec!["203.0.113.5:5060".parse().unwrap()];
    let server = Server { rank: 0, transport: Transport::Udp, weight: 0, addresses, name: None };
    field.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: "line".into(), servers: vec![server] });
    let sent = call(&mut field, udp(ANN), "safe", "sip:911@pbx.example", &plain());
    assert!(body(&invite(&sent).message).contains(" RTP/AVP 0\r\n"));
}

#[test]
fn a_caller_whose_late_answer_can_not_be_taken_is_hung_up_on_and_so_is_the_callee() {
    let mut field = office();
    rung(&mut field, "bob1", udp(BOB));
    let tls = flow(Transport::Tls, 1);
    let sent = call(&mut field, tls, "safe", "sip:200@pbx.example", "");
    let sent = answer(&mut field, invite(&sent), &plain());
    let accepted = final_response(&sent);
    assert!(body(accepted).contains(" RTP/SAVP 0\r\n"), "our offer: {}", body(accepted));
    let tag = accepted.to().unwrap().tag().unwrap();
    let target = accepted.value(Name::Contact).unwrap().trim_matches(['<', '>']);
    let (remote, plain) = (tls.remote, plain());
    let ack = format!(
        "ACK {target} SIP/2.0\r\nVia: SIP/2.0/TLS {remote};branch=z9hG4bKack\r\nMax-Forwards: 70\r\n\
         From: <sip:safe@{DOMAIN}>;tag=f\r\nTo: <sip:200@pbx.example>;tag={tag}\r\nCall-ID: safe\r\nCSeq: 1 ACK\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{plain}",
        plain.len()
    );
    let sent = field.give(tls, &ack);
    let to_caller = |sent: &&Sent| sent.to.remote == tls.remote;
    let methods: Vec<Method> =
        sent.iter().filter(|sent| !to_caller(sent)).map(|sent| sent.message.method()).collect();
    assert_eq!(methods, [Method::Ack, Method::Bye], "the callee");
    assert_eq!(sent.iter().find(to_caller).map(|sent| sent.message.method()), Some(Method::Bye));
    let reasons: Vec<_> = sent.iter().filter_map(|sent| sent.message.value(Name::Reason)).collect();
    assert!(reasons.len() == 2 && reasons.iter().all(|reason| reason.contains("cause=488")), "{reasons:?}");
    let ended = field.events_named("call.ended");
    assert_eq!(ended.len(), 1, "{:?}", field.events);
}

#[test]
fn a_caller_with_keys_is_spoken_to_under_ours() {
    let announced = "[announce.closed]\nfile = \"closed.wav\"\n\
        [[user.cleo.rule]]\nname = \"all\"\nwhen = \"always\"\nforward.always = \"announce:closed\"\n";
    let mut field = Field::with(&format!("{RULES}{announced}"), configured(|_| ()));
    let tls = flow(Transport::Tls, 1);
    let sent = call(&mut field, tls, "safe", "sip:300@pbx.example", &keyed(KEY));
    let accepted = final_response(&sent);
    let answer = body(accepted);
    assert_eq!(accepted.status(), 200);
    assert!(answer.contains(" RTP/SAVP 0\r\n") && answer.contains("a=crypto:1 "), "{answer}");
    assert!(!answer.contains(KEY));
    let Some(Protection::Sdes(keys, _)) = secured(&field, Side::A) else { panic!("{:?}", field.media) };
    assert_eq!(keys.theirs.suite(), keys.ours.suite());
    let fed = |command: &Command| matches!(command, Command::Feed { side: Side::A, .. });
    assert!(field.media.iter().any(fed), "{:?}", field.media);
}

#[test]
fn whom_the_rules_say_nothing_of_is_secured_as_the_daemon_has_it() {
    let config = configured(|config| config.srtp = ringtree::sdp::keying::Srtp::Required);
    let mut field = Field::with(RULES, config);
    rung(&mut field, "bob1", flow(Transport::Tls, 7));
    let sent = call(&mut field, udp(ANN), "bare", "sip:200@pbx.example", &plain());
    assert!(
        body(&invite(&sent).message).contains(" RTP/SAVP 0\r\n"),
        "a phone that the rules say nothing of"
    );
    let sent = call(&mut field, udp(BOB), "ann1", "sip:200@pbx.example", &plain());
    assert_eq!(final_response(&sent).value(Name::Warning), Some("399 ringtree \"SRTP is required\""));
}
