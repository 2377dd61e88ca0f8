//! Calls to a `sips` URI (RFC 3261 §26.2.2, RFC 5630): they go by TLS or not at all.

use crate::net::configured;
use crate::registrar::{Field, Sent, tcp, udp};
use crate::{DOMAIN, s};
use ringtree::call::lines::Server;
use ringtree::sip::{ConnectionId, Flow, Message, Method, Name, ServerName, Transport};
use ringtree::switch::Input;
use ringtree::switch::config::Listener;
use std::net::SocketAddr;

const ANN: &str = "127.0.1.1:5060";
const BOB: &str = "127.0.1.2:5060";
const CARRIER: &str = "
[trunk.line]
proxy = \"carrier.example\"
[class.national]
match = [\"+1.\"]
[class.emergency]
match = [\"911\"]
[[route]]
classes = [\"national\", \"emergency\"]
via = [\"line\"]
";

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5061))
}

fn tls(connection: u64) -> Flow {
    Flow { transport: Transport::Tls, local: local(), ..tcp(connection) }
}

fn office(rules: &str) -> Field {
    let config = configured(|config| {
        let advertise = local().to_string();
        config.listeners.push(Listener { transport: Transport::Tls, bound: local(), advertise });
    });
    Field::with(rules, config)
}

fn message(flow: Flow, method: &str, from: &str, uri: &str, n: u32, fields: &str) -> String {
    let (via, remote) = (flow.transport.via_word(), flow.remote);
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via} {remote};branch=z9hG4bKs{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:{from}@{DOMAIN}>;tag=f{n}\r\nTo: <{uri}>\r\nCall-ID: sips-{n}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:{from}@{remote}>\r\n{fields}Content-Length: 0\r\n\r\n"
    )
}

/// Ann calls; what is sent then but for the 100.
fn call(field: &mut Field, flow: Flow, uri: &str, n: u32) -> Vec<Sent> {
    let mut sent = field.give(flow, &message(flow, "INVITE", "ann1", uri, n, ""));
    sent.retain(|sent| sent.message.is_request() || sent.message.status() != 100);
    sent
}

fn invites(sent: &[Sent]) -> Vec<&Sent> {
    sent.iter().filter(|sent| sent.message.is_request() && sent.message.method() == Method::Invite).collect()
}

fn refusal(sent: &[Sent]) -> Option<(u16, Option<&str>)> {
    let last = sent.iter().rfind(|sent| !sent.message.is_request())?;
    Some((last.message.status(), last.message.value(Name::Warning)))
}

fn contact(message: &Message) -> &str {
    message.value(Name::Contact).unwrap_or_default()
}

#[test]
fn it_rings_what_is_reached_by_tls_and_nothing_else() {
    let mut field = office("");
    assert_eq!(field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "").status(), 200);
    let secured = field.register(tls(1), "app", "<sip:app@10.0.0.7;transport=tls>", "");
    assert_eq!(secured.status(), 200);
    let sent = call(&mut field, tls(2), "sips:200@pbx.example", 1);
    let rung = invites(&sent);
    assert_eq!(rung.iter().map(|sent| sent.to).collect::<Vec<_>>(), [tls(1)]);
    assert_eq!(contact(&rung[0].message), "<sip:127.0.0.1:5061;transport=tls>", "as its own Contact is");
    let told = field.reply(rung[0], 180);
    assert_eq!(told[0].message.status(), 180);
    assert_eq!(contact(&told[0].message), "<sips:127.0.0.1:5061>", "RFC 3261 §12.1.1");
    let plain = call(&mut field, tls(2), "sip:200@pbx.example", 2);
    assert_eq!(invites(&plain).len(), 2, "a call to a sip URI goes by whatever there is");
}

#[test]
fn a_contact_that_is_a_sips_uri_is_called_by_one_and_told_one() {
    let mut field = office("");
    assert_eq!(field.register(tls(1), "bob1", "<sips:bob1@10.0.0.7>", "").status(), 200);
    let sent = call(&mut field, udp(ANN), "sip:200@pbx.example", 1);
    let rung = invites(&sent)[0];
    assert_eq!((rung.message.request_uri(), rung.to), ("sips:bob1@10.0.0.7", tls(1)));
    assert_eq!(contact(&rung.message), "<sips:127.0.0.1:5061>", "RFC 3261 §8.1.1.8");
    let answer = field.register(udp(BOB), "bob1", "<sips:bob1@127.0.1.2>", "");
    assert_eq!((answer.status(), answer.reason_phrase()), (400, "SIPS Contact Needs TLS"));
}

#[test]
fn who_is_not_reached_by_tls_is_not_rung_and_the_caller_is_told_why() {
    let mut field = office("");
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    let sent = call(&mut field, tls(2), "sips:200@pbx.example", 1);
    assert!(invites(&sent).is_empty());
    assert_eq!(refusal(&sent), Some((480, Some("380 ringtree \"SIPS Not Allowed\""))));
    let ended = field.events_named("call.ended");
    assert_eq!(ended[0]["legs"][0]["reason"], "not reached by TLS", "{ended:?}");
}

#[test]
fn what_has_come_without_tls_is_refused_but_a_call_for_help_is_not() {
    let mut field = office(CARRIER);
    leads(&mut field, &[(Transport::Udp, "203.0.113.5:5060")]);
    field.register(tls(1), "bob1", "<sip:bob1@10.0.0.7;transport=tls>", "");
    let sent = call(&mut field, udp(ANN), "sips:200@pbx.example", 1);
    assert!(invites(&sent).is_empty());
    assert_eq!(refusal(&sent), Some((480, Some("381 ringtree \"SIPS Required\""))));
    let help = call(&mut field, udp(ANN), "sips:911@pbx.example", 2);
    assert_eq!(invites(&help)[0].to.transport, Transport::Udp, "by what there is");
}

fn leads(field: &mut Field, servers: &[(Transport, &str)]) {
    let server = |(rank, (transport, address)): (u32, &(Transport, &str))| Server {
        rank,
        transport: *transport,
        weight: 0,
        addresses: vec![address.parse().unwrap()],
        name: transport.is_secure().then_some(ServerName(7)),
    };
    let servers = (0..).zip(servers).map(server).collect();
    field.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: "line".into(), servers });
}

#[test]
fn a_trunk_takes_it_by_tls_or_not_at_all() {
    let mut field = office(CARRIER);
    leads(&mut field, &[(Transport::Udp, "203.0.113.5:5060"), (Transport::Tls, "203.0.113.6:5061")]);
    let sent = call(&mut field, tls(2), "sips:+12025550199@pbx.example", 1);
    let out = invites(&sent)[0];
    assert_eq!(
        (out.to.transport, out.to.remote.to_string()),
        (Transport::Tls, "203.0.113.6:5061".to_owned())
    );
    assert_eq!(out.message.request_uri(), "sips:+12025550199@carrier.example");
    assert_eq!(
        out.to.connection,
        Some(ConnectionId::to_server(ServerName(7))),
        "whoever is there has to be who it is"
    );
    assert_eq!(contact(&out.message), "<sips:127.0.0.1:5061>");
    leads(&mut field, &[(Transport::Udp, "203.0.113.5:5060")]);
    let sent = call(&mut field, tls(2), "sips:+12025550198@pbx.example", 2);
    assert!(invites(&sent).is_empty());
    assert_eq!(refusal(&sent), Some((480, Some("380 ringtree \"SIPS Not Allowed\""))));
}

#[test]
fn nobody_without_tls_takes_a_place_in_it() {
    let mut field = office("");
    field.register(tls(1), "bob1", "<sip:bob1@10.0.0.7;transport=tls>", "");
    let sent = call(&mut field, tls(2), "sips:200@pbx.example", 1);
    let rung = invites(&sent)[0];
    field.reply(rung, 180);
    let ours = rung.message.from().unwrap().tag().unwrap().to_owned();
    let replaces =
        format!("Replaces: {};from-tag={ours};to-tag=phone;early-only\r\n", rung.message.call_id());
    let takes = |field: &mut Field, flow: Flow, n: u32| {
        let sent = field.give(flow, &message(flow, "INVITE", "app", "sip:200@pbx.example", n, &replaces));
        sent.iter().map(|sent| sent.message.status()).find(|status| *status >= 200)
    };
    assert_eq!(takes(&mut field, udp(BOB), 2), Some(480));
    let secured = takes(&mut field, tls(3), 3);
    assert!(secured.is_none_or(|status| status != 480), "with TLS they may: {secured:?}");
}

#[test]
fn a_message_to_a_sips_uri_is_likewise() {
    let mut field = office("");
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    let text = |field: &mut Field, flow: Flow, n: u32| {
        let sent = field.give(flow, &message(flow, "MESSAGE", "ann1", "sips:200@pbx.example", n, ""));
        sent.iter().map(|sent| (sent.to, sent.message.is_request())).collect::<Vec<_>>()
    };
    assert_eq!(text(&mut field, tls(2), 1), [(tls(2), false)], "nobody is reached by TLS");
    field.register(tls(1), "app", "<sip:app@10.0.0.7;transport=tls>", "");
    assert_eq!(text(&mut field, tls(2), 2), [(tls(1), true)]);
    assert_eq!(text(&mut field, udp(ANN), 3), [(udp(ANN), false)], "it has not come by TLS itself");
    field.pass(s(40));
}
