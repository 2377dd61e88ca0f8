//! What the layer does around the machines: matching, CANCEL, limits.

use super::bench::{Bench, parse, request};
use crate::sip::{Message, Name, Writer};
use crate::transaction::{ClientId, Event, RETRY_AFTER_S};
use bytes::Bytes;

const B: &str = "z9hG4bKone";

#[test]
fn a_cancel_is_answered_and_handed_up_once() {
    let mut bench = Bench::udp();
    let (id, _) = bench.receive_new("INVITE", B);
    bench.receive("CANCEL", B);
    assert_eq!(bench.seen(), ["send 200 CANCEL", "cancel"]);
    bench.receive("CANCEL", B);
    assert_eq!(bench.seen(), ["send 200 CANCEL"]);
    bench.respond(id, 487, "INVITE", B);
    bench.receive("ACK", B);
    assert_eq!(bench.seen(), ["send 487 INVITE"]);
    bench.until(60_000);
    assert!(bench.layer.is_empty());
}

#[test]
fn the_200_to_a_cancel_has_the_to_tag_of_the_180() {
    let mut bench = Bench::udp();
    let (id, _) = bench.receive_new("INVITE", B);
    bench.respond(id, 180, "INVITE", B);
    bench.seen();
    bench.receive("CANCEL", B);
    assert_eq!(bench.sent()[0].to().unwrap().tag(), Some("ours"));
}

#[test]
fn a_cancel_after_the_final_response_is_answered_and_does_nothing() {
    let mut bench = Bench::udp();
    let (id, _) = bench.receive_new("INVITE", B);
    bench.respond(id, 200, "INVITE", B);
    bench.seen();
    bench.receive("CANCEL", B);
    assert_eq!(bench.seen(), ["send 200 CANCEL"]);
}

#[test]
fn a_cancel_of_nothing_gets_481() {
    let mut bench = Bench::udp();
    bench.receive_new("REGISTER", B);
    bench.receive("CANCEL", "z9hG4bKother");
    bench.receive("CANCEL", B);
    assert_eq!(bench.seen(), ["send 481 CANCEL", "send 481 CANCEL"]);
}

#[test]
fn a_stray_response_is_dropped_and_counted() {
    let mut bench = Bench::udp();
    bench.send("OPTIONS", B);
    bench.seen();
    bench.answered(200, "OPTIONS", "z9hG4bKother");
    // The branch is known, but not with this method (RFC 3261 §17.1.3).
    bench.answered(200, "INVITE", B);
    assert_eq!(bench.seen(), [""; 0]);
    assert_eq!(bench.layer.tally().stray_responses, 2);
}

fn with_via(method: &str, via: &str) -> Message {
    let text = String::from_utf8(request(method, B).to_vec()).unwrap();
    let old = format!("SIP/2.0/UDP 198.51.100.9;rport;branch={B}");
    assert!(text.contains(&old));
    parse(Bytes::from(text.replace(&old, via)))
}

fn receive_all(bench: &mut Bench, messages: impl IntoIterator<Item = Message>) -> Vec<String> {
    let mut events = Vec::new();
    for message in messages {
        bench.layer.receive(bench.now, bench.flow, message, &mut events);
    }
    let words = events.iter().filter_map(|event| match event {
        Event::Request { message, .. } => Some(format!("request {}", message.method_text())),
        Event::Cancel { .. } => Some("cancel".to_owned()),
        Event::Ack { .. } => Some("ack".to_owned()),
        Event::Send { .. } | Event::Response { .. } | Event::Failed { .. } | Event::Unacknowledged { .. } => {
            None
        }
    });
    words.collect()
}

#[test]
fn the_same_branch_from_another_sent_by_is_another_transaction() {
    let vias = [
        "SIP/2.0/UDP a;branch=z9hG4bK1",
        "SIP/2.0/UDP a:5061;branch=z9hG4bK1",
        "SIP/2.0/UDP A;branch=z9hG4bK1",
    ];
    let mut bench = Bench::udp();
    let seen = receive_all(&mut bench, vias.map(|via| with_via("OPTIONS", via)));
    assert_eq!(seen, ["request OPTIONS", "request OPTIONS"], "hosts are compared without case");
}

#[test]
fn without_the_magic_cookie_requests_are_matched_as_rfc_2543_did() {
    for via in [
        "SIP/2.0/UDP old.example;branch=1",
        "SIP/2.0/UDP old.example",
        "SIP/2.0/UDP old.example;branch=z9hG4bK",
    ] {
        let mut bench = Bench::udp();
        let messages = ["INVITE", "INVITE", "CANCEL", "OPTIONS"].map(|method| with_via(method, via));
        assert_eq!(
            receive_all(&mut bench, messages),
            ["request INVITE", "cancel", "request OPTIONS"],
            "{via}"
        );
        let invite = with_via("INVITE", via);
        let bytes = Writer::reply(&invite, 487, "", Some("ours")).finish();
        let id = crate::transaction::ServerId(1);
        let mut events = Vec::new();
        bench.layer.respond(bench.now, id, 487, bytes, &mut events);
        assert_eq!(receive_all(&mut bench, [with_via("ACK", via)]), [""; 0], "{via}");
        let other = with_via("INVITE", "SIP/2.0/UDP old.example;branch=2");
        assert_eq!(receive_all(&mut bench, [other]), ["request INVITE"]);
    }
}

#[test]
fn unknown_methods_are_told_apart_by_their_word() {
    let mut bench = Bench::udp();
    let methods = ["FOO", "BAR", "FOO"].map(|method| with_via(method, "SIP/2.0/UDP a;branch=z9hG4bK1"));
    assert_eq!(receive_all(&mut bench, methods), ["request FOO", "request BAR"]);
}

#[test]
fn a_full_table_sheds_registrations_first_and_calls_last() {
    let mut bench = Bench::udp();
    (bench.layer.servers_shed, bench.layer.servers_max) = (2, 3);
    bench.receive("REGISTER", "z9hG4bK1");
    bench.receive("REGISTER", "z9hG4bK2");
    bench.seen();
    bench.receive("REGISTER", "z9hG4bK3");
    let refusal = bench.sent().remove(0);
    assert_eq!(refusal.status(), 503);
    assert_eq!(refusal.number(Name::RetryAfter), Some(RETRY_AFTER_S));
    bench.receive("INVITE", "z9hG4bK4");
    assert_eq!(bench.seen(), ["request INVITE"]);
    bench.receive("INVITE", "z9hG4bK5");
    bench.receive("CANCEL", "z9hG4bK5");
    assert_eq!(bench.seen(), ["send 503 INVITE", "send 481 CANCEL"]);
    bench.receive("CANCEL", "z9hG4bK4");
    assert_eq!(bench.seen(), ["send 200 CANCEL", "cancel"], "what is up can be cancelled");
    assert_eq!((bench.layer.len(), bench.layer.tally().refused), ((0, 3), 2));
}

#[test]
fn a_full_table_has_room_for_what_is_urgent() {
    let mut bench = Bench::udp();
    (bench.layer.servers_shed, bench.layer.servers_max) = (1, 1);
    bench.receive("INVITE", "z9hG4bK1");
    assert!(bench.layer.is_full());
    bench.seen();
    let call = with_via("INVITE", "SIP/2.0/UDP a;branch=z9hG4bK2");
    let (now, flow, mut events) = (bench.now, bench.flow, Vec::new());
    bench.layer.receive_urgent(now, flow, call.clone(), &mut events);
    assert!(matches!(events[..], [crate::transaction::Event::Request { .. }]), "{events:?}");
    events.clear();
    bench.layer.receive_urgent(now, flow, call, &mut events);
    assert!(events.is_empty(), "a retransmission is one as ever: {events:?}");
}

#[test]
fn a_dead_flow_fails_its_own_transactions_alone() {
    let mut bench = Bench::udp();
    bench.send("OPTIONS", "z9hG4bK1");
    bench.send("OPTIONS", "z9hG4bK2");
    let here = bench.flow;
    bench.flow.remote.set_port(5070);
    bench.send("OPTIONS", "z9hG4bK3");
    bench.seen();
    bench.transport_failed();
    assert_eq!(bench.seen(), ["failed 3: Transport"]);
    bench.flow = here;
    bench.transport_failed();
    assert_eq!(bench.seen(), ["failed 1: Transport", "failed 2: Transport"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn cancelling_what_is_over_or_no_invite_does_nothing() {
    let mut bench = Bench::udp();
    let id = bench.send("OPTIONS", B);
    bench.seen();
    bench.cancel(id, &[]);
    bench.cancel(ClientId(99), &[]);
    assert_eq!(bench.seen(), [""; 0]);
}

/// RFC 3261 §8.2.6.1.
#[test]
fn a_100_repeats_the_timestamp_and_has_no_tag() {
    let text = String::from_utf8(request("INVITE", B).to_vec()).unwrap();
    let invite = parse(Bytes::from(text.replace("Call-ID:", "Timestamp: 54.25\r\nCall-ID:")));
    let mut bench = Bench::udp();
    let (id, _) = bench.receive_new("INVITE", B);
    let mut events = Vec::new();
    bench.layer.trying(bench.now, id, &invite, &mut events);
    let [Event::Send { bytes, .. }] = events.as_slice() else { panic!("{events:?}") };
    let trying = parse(bytes.clone());
    assert_eq!((trying.status(), trying.other("Timestamp")), (100, Some("54.25")));
    assert_eq!(trying.to().unwrap().tag(), None);
}

/// RFC 3261 §8.1.3.3.
#[test]
fn a_response_with_more_than_our_via_is_not_ours() {
    let mut bench = Bench::udp();
    bench.send("OPTIONS", B);
    bench.seen();
    let own = format!("SIP/2.0/UDP 198.51.100.9;rport;branch={B}");
    for vias in [format!("{own}, SIP/2.0/UDP other.example;branch=z9hG4bK2"), format!("{own}\r\nVia: {own}")]
    {
        let text = String::from_utf8(request("OPTIONS", B).to_vec()).unwrap().replace(&own, &vias);
        let response = Writer::reply(&parse(Bytes::from(text)), 200, "", Some("b")).finish();
        let mut events = Vec::new();
        bench.layer.receive(bench.now, bench.flow, parse(response), &mut events);
        assert!(events.is_empty(), "{vias}");
    }
    assert_eq!(bench.layer.tally().stray_responses, 2);
    bench.answered(200, "OPTIONS", B);
    assert_eq!(bench.seen(), ["response 200 OPTIONS to 1"]);
}
