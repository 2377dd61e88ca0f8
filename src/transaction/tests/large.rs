//! Requests that are too large for a datagram (RFC 3261 §18.1.1).

use super::bench::Bench;
use crate::sip::Transport;
use crate::transaction::large::{Beside, REFUSED_FOR};

const B: &str = "z9hG4bK1";

fn bench() -> Bench {
    let mut bench = Bench::udp();
    let beside = Beside { udp: bench.flow.local, tcp: bench.flow.local, sent_by: "pbx.example:5060".into() };
    bench.layer.take_large(vec![beside]);
    bench
}

/// Nobody takes the connection.
fn refuse(bench: &mut Bench) {
    bench.flow.transport = Transport::Tcp;
    bench.transport_failed();
    bench.flow.transport = Transport::Udp;
}

#[test]
fn a_large_request_goes_over_tcp_with_its_ack_and_its_cancel() {
    let mut bench = bench();
    let id = bench.send_large("INVITE", B);
    assert_eq!(bench.ways(), ["INVITE by TCP, TCP pbx.example"]);
    bench.answered(180, "INVITE", B);
    bench.cancel(id, &[]);
    assert_eq!(bench.ways(), ["CANCEL by TCP, TCP pbx.example"]);
    bench.answered(487, "INVITE", B);
    assert_eq!(bench.ways(), ["ACK by TCP, TCP pbx.example"]);
}

#[test]
fn where_nobody_takes_it_it_goes_on_as_a_datagram_and_that_is_remembered() {
    for method in ["INVITE", "REFER"] {
        let mut bench = bench();
        bench.send_large(method, B);
        assert_eq!(bench.ways(), [format!("{method} by TCP, TCP pbx.example")]);
        refuse(&mut bench);
        assert_eq!(bench.ways(), [format!("{method} by UDP, UDP 198.51.100.9")], "nobody heard of a failure");
        bench.answered(200, method, B);
        assert_eq!(bench.seen(), [format!("response 200 {method} to 1")]);
        bench.until(100_000);
        bench.send_large(method, "z9hG4bK2");
        assert_eq!(bench.ways(), [format!("{method} by UDP, UDP 198.51.100.9")]);
        bench.answered(200, method, "z9hG4bK2");
        bench.now += REFUSED_FOR;
        bench.send_large(method, "z9hG4bK3");
        assert_eq!(bench.ways().last(), Some(&format!("{method} by TCP, TCP pbx.example")));
    }
}

#[test]
fn a_request_that_was_given_up_meanwhile_does_not_begin_again() {
    let mut bench = bench();
    let id = bench.send_large("INVITE", B);
    bench.cancel(id, &[]);
    bench.seen();
    refuse(&mut bench);
    assert_eq!(bench.seen(), ["failed 1: Transport"]);
    assert!(bench.layer.is_empty());
    bench.send_large("INVITE", "z9hG4bK2");
    assert_eq!(bench.ways(), ["INVITE by UDP, UDP 198.51.100.9"], "the refusal is remembered all the same");
}

#[test]
fn what_has_been_answered_is_not_sent_again() {
    let mut bench = bench();
    bench.send_large("INVITE", B);
    bench.answered(180, "INVITE", B);
    bench.seen();
    refuse(&mut bench);
    assert_eq!(bench.seen(), [""; 0]);
}
