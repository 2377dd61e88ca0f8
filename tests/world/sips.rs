//! Calls to a `sips` URI (RFC 3261 §26.2.2, RFC 5630): they go by TLS or not at all.

use crate::net::configured;
use crate::registrar::{Field, Sent, tcp, udp};
use crate::{A_LINE, DOMAIN, s};
use ringtree::call::lines::Server;
use ringtree::sip::{ConnectionId, Flow, Message, Method, Name, ServerName, Transport};
use ringtree::switch::Input;
use ringtree::switch::config::Listener;
use std::net::SocketAddr;

const ANN: &str = "127.0.1.1:5060";
const BOB: &str = "127.0.1.2:5060";

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
    let mut field = office(A_LINE);
    leads(&mut field, &[(Transport::Udp, "203.0.113.5:5060")]);
    field.register(tls(1), "bob1", "<sip:bob1@10.0.0.7;transport=tls>", "");
    let sent = call(&mut field, udp(ANN), "sips:200@pbx.example", 1);
    assert!(invites(&sent).is_empty());
    assert_eq!(refusal(&sent), Some((480, Some("381 ringtree \"SIPS Required\""))));
    let help = call(&mut field, udp(ANN), "sips:911@pbx.example", 2);
    assert_eq!(invites(&help)[0].to.transport, Transport::Udp, "by what there is");
}

/// The proxy of the trunk leads there now; what is sent then.
fn leads(field: &mut Field, servers: &[(Transport, &str)]) -> Vec<Sent> {
    let server = |(rank, (transport, address)): (u32, &(Transport, &str))| Server {
        rank,
        transport: *transport,
        weight: 0,
        addresses: vec![address.parse().unwrap()],
        name: transport.is_secure().then_some(ServerName(7)),
    };
    let servers = (0..).zip(servers).map(server).collect();
    field.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: "line".into(), servers })
}

#[test]
fn a_trunk_takes_it_by_tls_or_not_at_all() {
    let mut field = office(&A_LINE.replace("proxy", "transport = \"any\"\nproxy"));
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

/// A request in the dialog that this answer has begun, as the caller sends it.
fn within(
    field: &mut Field,
    flow: Flow,
    answer: &Message,
    method: &str,
    cseq: u32,
    fields: &str,
) -> Vec<Sent> {
    let [from, to, call_id] =
        [Name::From, Name::To, Name::CallId].map(|name| answer.value(name).unwrap().to_owned());
    let (via, remote) = (flow.transport.via_word(), flow.remote);
    let text = format!(
        "{method} sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{via} {remote};branch=z9hG4bKw{cseq}{method}\r\n\
         Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:ann1@{remote}>\r\n{fields}Content-Length: 0\r\n\r\n"
    );
    field.give(flow, &text)
}

/// Ann calls the app by this flow of hers, and it answers; the answer that she got.
fn talking(field: &mut Field, flow: Flow, uri: &str, n: u32) -> Message {
    let sent = call(field, flow, uri, n);
    let rung = invites(&sent);
    let rung = rung.iter().find(|sent| sent.to == tls(1)).expect("the app rings");
    let sent = field.reply(rung, 200);
    let is_answer = |sent: &Sent| !sent.message.is_request() && sent.message.status() == 200;
    let answer = sent.into_iter().find(is_answer).expect("Ann hears of it").message;
    within(field, flow, &answer, "ACK", 1, "");
    answer
}

/// What a REFER to there rings, and how it is answered.
fn refer(field: &mut Field, answer: &Message, flow: Flow, to: &str, cseq: u32) -> (u16, Vec<Flow>) {
    let sent = within(field, flow, answer, "REFER", cseq, &format!("Refer-To: <{to}>\r\n"));
    let status = sent.iter().find(|sent| !sent.message.is_request()).map_or(0, |sent| sent.message.status());
    (status, invites(&sent).iter().map(|sent| sent.to).collect())
}

#[test]
fn a_transfer_to_a_sips_uri_rings_what_is_reached_by_tls_and_nothing_else() {
    let mut field = office(A_LINE);
    leads(&mut field, &[(Transport::Udp, "203.0.113.5:5060")]);
    field.register(tls(1), "app", "<sip:app@10.0.0.7;transport=tls>", "");
    let answer = talking(&mut field, tls(2), "sip:200@pbx.example", 1);
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    assert_eq!(refer(&mut field, &answer, tls(2), "sips:+12025550199@pbx.example", 2), (202, vec![]));
    assert_eq!(refer(&mut field, &answer, tls(2), "sips:200@pbx.example", 3), (202, vec![tls(1)]));
    // Another phone that comes while it rings changes nothing: it is that transfer that wants TLS.
    let sent = field.pass(s(5));
    assert!(invites(&sent).iter().all(|sent| sent.to.transport.is_secure()));
}

#[test]
fn a_transfer_to_a_sip_uri_goes_by_what_there_is() {
    let mut field = office("");
    field.register(tls(1), "app", "<sip:app@10.0.0.7;transport=tls>", "");
    let answer = talking(&mut field, tls(2), "sip:200@pbx.example", 1);
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    let (status, rung) = refer(&mut field, &answer, tls(2), "sip:200@pbx.example", 2);
    assert_eq!((status, rung.len()), (202, 2));
}

#[test]
fn who_has_no_tls_is_not_transferred_to_a_sips_uri_but_to_help_they_are() {
    let mut field = office(A_LINE);
    leads(&mut field, &[(Transport::Udp, "203.0.113.5:5060")]);
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    let sent = call(&mut field, tls(2), "sip:200@pbx.example", 1);
    let sent = field.reply(invites(&sent)[0], 200);
    let is_answer = |sent: &&Sent| !sent.message.is_request() && sent.message.status() == 200;
    let answer = &sent.iter().find(is_answer).unwrap().message;
    within(&mut field, tls(2), answer, "ACK", 1, "");
    field.register(tls(1), "app", "<sip:app@10.0.0.7;transport=tls>", "");
    let refused = within(&mut field, tls(2), answer, "REFER", 2, "Refer-To: <sips:200@pbx.example>\r\n");
    assert_eq!(refusal(&refused), Some((480, Some("380 ringtree \"SIPS Not Allowed\""))));
    assert!(invites(&refused).is_empty());
    let (status, rung) = refer(&mut field, answer, tls(2), "sips:911@pbx.example", 3);
    assert_eq!((status, rung.len()), (202, 1));
}

#[test]
fn who_was_put_through_by_tls_is_so_at_the_next_transfer() {
    let mut field = office("");
    field.register(tls(1), "app", "<sip:app@10.0.0.7;transport=tls>", "");
    let answer = talking(&mut field, tls(2), "sip:200@pbx.example", 1);
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    let refer_to = "Refer-To: <sips:200@pbx.example>\r\n";
    let sent = within(&mut field, tls(2), &answer, "REFER", 2, refer_to);
    let rung = invites(&sent)[0];
    assert_eq!(rung.to, tls(1));
    let put_through = put_through(&mut field, rung);
    // Whoever has come in by TLS hands the one who was transferred on.
    let tag = put_through.message.from().unwrap();
    let text = format!(
        "REFER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 10.0.0.7;branch=z9hG4bKnext\r\nMax-Forwards: 70\r\n\
         From: <sip:200@{DOMAIN}>;tag=phone\r\nTo: <sip:100@{DOMAIN}>;tag={}\r\nCall-ID: {}\r\nCSeq: 9 REFER\r\n\
         Contact: <sip:app@10.0.0.7;transport=tls>\r\nRefer-To: <sip:200@pbx.example>\r\nContent-Length: 0\r\n\r\n",
        tag.tag().unwrap(),
        put_through.message.call_id(),
    );
    let sent = field.give(tls(1), &text);
    let statuses = sent.iter().filter(|sent| !sent.message.is_request()).map(|sent| sent.message.status());
    assert_eq!(statuses.collect::<Vec<_>>(), [202]);
    assert_eq!(invites(&sent).iter().map(|sent| sent.to).collect::<Vec<_>>(), [tls(1)]);
}

/// Answers an INVITE with a description; everything that it leads to is answered too, until all is quiet. The INVITE.
fn put_through(field: &mut Field, rung: &Sent) -> Sent {
    const SDP: &str =
        "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let reply = |field: &mut Field, request: &Sent| {
        let mut w = ringtree::sip::Writer::reply(&request.message, 200, "OK", Some("phone"));
        w.header(Name::Contact, "<sip:there@10.0.0.7;transport=tls>");
        let bytes = match request.message.method() {
            Method::Invite => w.body("application/sdp", SDP.as_bytes()),
            _ => w.finish(),
        };
        field.give(request.to, std::str::from_utf8(&bytes).unwrap())
    };
    let mut waiting = reply(field, rung);
    for _ in 0..20 {
        let requests: Vec<Sent> = std::mem::take(&mut waiting)
            .into_iter()
            .filter(|sent| sent.message.is_request() && sent.message.method() != Method::Ack)
            .collect();
        for request in &requests {
            waiting.extend(reply(field, request));
        }
    }
    Sent { to: rung.to, message: rung.message.clone() }
}

#[test]
fn a_phone_that_was_rung_speaks_for_itself() {
    let mut field = office("");
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    field.register(tls(1), "app", "<sip:app@10.0.0.7;transport=tls>", "");
    let sent = call(&mut field, tls(2), "sips:200@pbx.example", 1);
    let busy = field.reply(invites(&sent)[0], 486);
    assert_eq!(refusal(&busy), Some((486, None)), "nothing of it is TLS's doing");
}

#[test]
fn a_trunk_that_is_changed_to_tls_never_goes_on_in_clear() {
    let register = |transport: &str| {
        let line =
            format!("[trunk.line]\n{transport}register = {{ user = \"office\", secret = \"plain:tea\" }}");
        A_LINE.replace("[trunk.line]", &line)
    };
    let mut field = office(&register(""));
    let udp_place = [(Transport::Udp, "203.0.113.5:5060")];
    let sent = leads(&mut field, &udp_place);
    assert_eq!(sent[0].message.method(), Method::Register);
    field.reply(&sent[0], 200);
    let dial = |field: &mut Field, n| {
        let sent = call(field, tls(2), "sip:+12025550199@pbx.example", n);
        invites(&sent).iter().map(|sent| sent.to.transport).collect::<Vec<_>>()
    };
    assert_eq!(dial(&mut field, 1), [Transport::Udp]);
    field.publish(&register("transport = \"tls\"\n"));
    assert_eq!(dial(&mut field, 2), [], "nobody knows yet where it leads by TLS");
    // What answers the question of before comes late.
    leads(&mut field, &udp_place);
    assert_eq!(dial(&mut field, 3), []);
    let later = field.pass(s(7200));
    let is_made = |sent: &&Sent| {
        let registers = sent.message.is_request() && sent.message.method() == Method::Register;
        registers && sent.message.elements(Name::Contact).any(|contact| !contact.contains("expires=0"))
    };
    assert_eq!(later.iter().filter(is_made).count(), 0, "it is not refreshed, nor made anew");
    let sent = leads(&mut field, &[(Transport::Tls, "203.0.113.6:5061")]);
    assert!(sent.iter().any(|sent| sent.to.transport == Transport::Tls && is_made(&sent)), "there it is");
    assert_eq!(dial(&mut field, 4), [Transport::Tls]);
}

#[test]
fn a_trunk_whose_proxy_changes_leaves_the_old_one_at_once() {
    let mut field = office(A_LINE);
    leads(&mut field, &[(Transport::Udp, "203.0.113.5:5060")]);
    let dial = |field: &mut Field, n| {
        let sent = call(field, tls(2), "sip:+12025550199@pbx.example", n);
        invites(&sent).iter().map(|sent| sent.to.remote.to_string()).collect::<Vec<_>>()
    };
    field.publish(A_LINE);
    assert_eq!(dial(&mut field, 1), ["203.0.113.5:5060"], "nothing has changed");
    field.publish(&A_LINE.replace("carrier.example", "other.example"));
    assert_eq!(dial(&mut field, 2), [""; 0]);
    leads(&mut field, &[(Transport::Udp, "203.0.113.7:5060")]);
    assert_eq!(dial(&mut field, 3), ["203.0.113.7:5060"]);
}

#[test]
fn a_message_to_a_sips_uri_goes_by_the_flow_of_a_phone_that_has_tls_and_its_refusal_says_why() {
    let mut field = office("");
    let contact = |at: &str, reg: u32| format!("<sip:app@{at}>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg}");
    let outbound = "Supported: outbound, path\r\n";
    field.register(udp(BOB), "app", &contact("127.0.1.2", 1), outbound);
    let text = |field: &mut Field, flow: Flow, n: u32| {
        field.give(flow, &message(flow, "MESSAGE", "ann1", "sips:200@pbx.example", n, ""))
    };
    let sent = text(&mut field, tls(2), 1);
    assert_eq!(refusal(&sent), Some((480, Some("380 ringtree \"SIPS Not Allowed\""))));
    let sent = text(&mut field, udp(ANN), 2);
    assert_eq!(refusal(&sent), Some((480, Some("381 ringtree \"SIPS Required\""))));
    field.register(tls(1), "app", &contact("10.0.0.7;transport=tls", 2), outbound);
    let sent = text(&mut field, tls(2), 3);
    assert_eq!(sent.iter().map(|sent| sent.to).collect::<Vec<_>>(), [tls(1)]);
}

#[test]
fn who_has_not_come_by_tls_watches_nothing_by_a_sips_uri() {
    let mut field = office("");
    let mut watch = |flow: Flow, n: u32| {
        let asks = "Event: message-summary\r\nExpires: 600\r\n";
        let sent = field.give(flow, &message(flow, "SUBSCRIBE", "ann1", "sips:100@pbx.example", n, asks));
        let answer = &sent.iter().find(|sent| !sent.message.is_request()).unwrap().message;
        (answer.status(), answer.value(Name::Warning).map(str::to_owned))
    };
    assert_eq!(watch(udp(ANN), 1), (480, Some("381 ringtree \"SIPS Required\"".to_owned())));
    assert_eq!(watch(tls(2), 2), (200, None));
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
