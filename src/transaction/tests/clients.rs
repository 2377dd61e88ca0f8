//! Figures 5 and 6 of RFC 3261, with Accepted of RFC 6026.

use super::bench::Bench;
use crate::sip::{ConnectionId, Name, ServerName};

const B: &str = "z9hG4bKone";

fn calling(mut bench: Bench) -> Bench {
    bench.send("INVITE", B);
    assert_eq!(bench.seen(), ["send INVITE"]);
    bench
}

fn ringing(bench: Bench) -> Bench {
    let mut bench = calling(bench);
    bench.answered(180, "INVITE", B);
    assert_eq!(bench.seen(), ["response 180 INVITE to 1"]);
    bench
}

#[test]
fn an_invite_is_retransmitted_with_doubling_waits_until_timer_b() {
    let mut bench = calling(Bench::udp());
    let seen = bench.until(60_000);
    let sent = [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(|at| format!("{at} send INVITE"));
    assert_eq!(seen[..6], sent);
    assert_eq!(seen[6..], ["32000 failed 1: Timeout"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn on_a_reliable_transport_an_invite_is_sent_once_and_still_times_out() {
    let mut bench = calling(Bench::tcp());
    assert_eq!(bench.until(60_000), ["32000 failed 1: Timeout"]);
}

#[test]
fn a_provisional_response_ends_retransmission_and_timer_b() {
    let mut bench = ringing(Bench::udp());
    bench.answered(183, "INVITE", B);
    assert_eq!(bench.seen(), ["response 183 INVITE to 1"]);
    assert_eq!(bench.until(600_000), [""; 0]);
    assert_eq!(bench.layer.len(), (1, 0));
}

#[test]
fn every_2xx_is_passed_up_until_timer_m() {
    for mut bench in [calling(Bench::udp()), ringing(Bench::tcp())] {
        bench.answered(200, "INVITE", B);
        bench.answered(200, "INVITE", B);
        // RFC 6026: nothing else is let through in Accepted.
        bench.answered(180, "INVITE", B);
        bench.answered(486, "INVITE", B);
        assert_eq!(bench.seen(), ["response 200 INVITE to 1", "response 200 INVITE to 1"]);
        assert_eq!(bench.until(31_999), [""; 0]);
        assert_eq!(bench.layer.len(), (1, 0));
        bench.until(32_000);
        assert!(bench.layer.is_empty());
        bench.answered(200, "INVITE", B);
        assert_eq!(bench.seen(), [""; 0]);
        assert_eq!(bench.layer.tally().stray_responses, 1);
    }
}

#[test]
fn a_failure_is_acked_and_its_retransmissions_acked_again_until_timer_d() {
    for mut bench in [calling(Bench::udp()), ringing(Bench::udp())] {
        bench.answered(486, "INVITE", B);
        assert_eq!(bench.seen(), ["send ACK", "response 486 INVITE to 1"]);
        bench.answered(486, "INVITE", B);
        assert_eq!(bench.seen(), ["send ACK"]);
        bench.answered(180, "INVITE", B);
        bench.answered(200, "INVITE", B);
        assert_eq!(bench.seen(), [""; 0]);
        bench.until(31_999);
        assert_eq!(bench.layer.len(), (1, 0));
        bench.until(32_000);
        assert!(bench.layer.is_empty());
    }
}

#[test]
fn on_a_reliable_transport_a_failure_ends_the_transaction_at_once() {
    let mut bench = ringing(Bench::tcp());
    bench.answered(603, "INVITE", B);
    assert_eq!(bench.seen(), ["send ACK", "response 603 INVITE to 1"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn the_ack_to_a_failure_follows_its_invite_and_the_to_of_the_response() {
    let mut bench = calling(Bench::udp());
    bench.answered(404, "INVITE", B);
    let ack = bench.sent().remove(0);
    assert_eq!((ack.method_text(), ack.request_uri()), ("ACK", "sip:bob@example.com"));
    assert_eq!(
        ack.elements(Name::Via).collect::<Vec<_>>(),
        [format!("SIP/2.0/UDP 198.51.100.9;rport;branch={B}")]
    );
    assert_eq!(ack.value(Name::Route), Some("<sip:proxy.example.com;lr>"));
    assert_eq!(ack.value(Name::To), Some("<sip:bob@example.com>;tag=b"));
    assert_eq!(ack.value(Name::From), Some("<sip:alice@example.com>;tag=a"));
    assert_eq!(ack.value(Name::CSeq), Some("7 ACK"));
    assert_eq!(ack.call_id(), "call@example.com");
}

#[test]
fn a_dead_transport_fails_an_invite_that_nobody_answered() {
    let mut bench = calling(Bench::udp());
    bench.transport_failed();
    assert_eq!(bench.seen(), ["failed 1: Transport"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_dead_transport_leaves_a_ringing_and_an_answered_invite() {
    let mut bench = ringing(Bench::tcp());
    bench.transport_failed();
    assert_eq!(bench.seen(), [""; 0]);
    bench.answered(200, "INVITE", B);
    bench.seen();
    bench.transport_failed();
    assert_eq!(bench.seen(), [""; 0]);
    assert_eq!(bench.layer.len(), (1, 0));
}

#[test]
fn a_dead_transport_ends_a_completed_invite_without_a_word() {
    let mut bench = calling(Bench::udp());
    bench.answered(486, "INVITE", B);
    bench.seen();
    bench.transport_failed();
    assert_eq!(bench.seen(), [""; 0]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_ringing_invite_is_cancelled_at_once_with_its_reasons() {
    let mut bench = calling(Bench::udp());
    bench.answered(180, "INVITE", B);
    bench.seen();
    bench.cancel(
        crate::transaction::ClientId(1),
        &["SIP;cause=200;text=\"Call completed elsewhere\"", "Q.850;cause=26"],
    );
    bench.cancel(crate::transaction::ClientId(1), &[]);
    let sent = bench.sent();
    assert_eq!(sent.len(), 1, "one CANCEL, however often it is asked for");
    let cancel = &sent[0];
    assert_eq!((cancel.method_text(), cancel.value(Name::CSeq)), ("CANCEL", Some("7 CANCEL")));
    assert_eq!(cancel.top_via().unwrap().branch(), Some(B));
    assert_eq!(cancel.value(Name::To), Some("<sip:bob@example.com>"));
    assert_eq!(cancel.value(Name::Route), Some("<sip:proxy.example.com;lr>"));
    assert_eq!(cancel.values(Name::Reason).nth(1), Some("Q.850;cause=26"));
    // The answer to the CANCEL stays here; that to the INVITE goes up.
    bench.answered(200, "CANCEL", B);
    assert_eq!(bench.seen(), [""; 0]);
    bench.answered(487, "INVITE", B);
    assert_eq!(bench.seen(), ["send ACK", "response 487 INVITE to 1"]);
    bench.until(60_000);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut bench = calling(Bench::udp());
    bench.cancel(crate::transaction::ClientId(1), &[]);
    assert_eq!(bench.seen(), [""; 0]);
    assert_eq!(bench.until(500), ["500 send INVITE"]);
    bench.answered(100, "INVITE", B);
    assert_eq!(bench.seen(), ["response 100 INVITE to 1", "send CANCEL"]);
}

#[test]
fn a_cancel_that_waits_is_dropped_when_the_final_response_comes_first() {
    let mut bench = calling(Bench::udp());
    bench.cancel(crate::transaction::ClientId(1), &[]);
    bench.answered(200, "INVITE", B);
    assert_eq!(bench.seen(), ["response 200 INVITE to 1"]);
}

#[test]
fn a_cancelled_invite_without_a_final_response_is_given_up() {
    let mut bench = ringing(Bench::udp());
    bench.cancel(crate::transaction::ClientId(1), &[]);
    bench.answered(200, "CANCEL", B);
    assert_eq!(bench.seen(), ["send CANCEL"]);
    assert_eq!(bench.until(60_000), ["32000 failed 1: Timeout"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn an_unanswered_cancel_is_retransmitted_and_its_end_not_handed_up() {
    let mut bench = ringing(Bench::udp());
    bench.cancel(crate::transaction::ClientId(1), &[]);
    bench.seen();
    let seen = bench.until(60_000);
    let cancels = seen.iter().filter(|what| what.ends_with("send CANCEL")).count();
    assert_eq!(cancels, 10);
    assert_eq!(seen.len(), cancels + 1, "besides it only: {}", "32000 failed 1: Timeout");
}

#[test]
fn a_request_is_retransmitted_up_to_t2_until_timer_f() {
    let mut bench = Bench::udp();
    bench.send("OPTIONS", B);
    assert_eq!(bench.seen(), ["send OPTIONS"]);
    let seen = bench.until(60_000);
    let at = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(seen[..10], at.map(|at| format!("{at} send OPTIONS")));
    assert_eq!(seen[10..], ["32000 failed 1: Timeout"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn after_a_provisional_response_a_request_is_retransmitted_every_t2() {
    let mut bench = Bench::udp();
    bench.send("OPTIONS", B);
    bench.answered(100, "OPTIONS", B);
    bench.answered(182, "OPTIONS", B);
    assert_eq!(bench.seen(), ["send OPTIONS", "response 100 OPTIONS to 1", "response 182 OPTIONS to 1"]);
    let seen = bench.until(60_000);
    let at = [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500];
    assert_eq!(seen[..8], at.map(|at| format!("{at} send OPTIONS")));
    assert_eq!(seen[8..], ["32000 failed 1: Timeout"]);
}

#[test]
fn a_final_response_is_passed_up_once_until_timer_k() {
    for provisional in [false, true] {
        let mut bench = Bench::udp();
        bench.send("BYE", B);
        if provisional {
            bench.answered(100, "BYE", B);
        }
        bench.seen();
        bench.answered(200, "BYE", B);
        bench.answered(200, "BYE", B);
        assert_eq!(bench.seen(), ["response 200 BYE to 1"]);
        bench.until(4_999);
        assert_eq!(bench.layer.len(), (1, 0));
        assert_eq!(bench.until(5_000), [""; 0]);
        assert!(bench.layer.is_empty());
    }
}

#[test]
fn on_a_reliable_transport_a_request_is_sent_once_and_ends_with_its_response() {
    let mut bench = Bench::tcp();
    bench.send("BYE", B);
    assert_eq!(bench.until(31_999), [""; 0]);
    bench.answered(481, "BYE", B);
    assert_eq!(bench.seen(), ["send BYE", "response 481 BYE to 1"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_dead_transport_fails_a_request_before_its_final_response() {
    for provisional in [false, true] {
        let mut bench = Bench::udp();
        bench.send("BYE", B);
        if provisional {
            bench.answered(100, "BYE", B);
        }
        bench.seen();
        bench.transport_failed();
        assert_eq!(bench.seen(), ["failed 1: Transport"]);
        assert!(bench.layer.is_empty());
    }
    let mut bench = Bench::udp();
    bench.send("BYE", B);
    bench.answered(200, "BYE", B);
    bench.seen();
    bench.transport_failed();
    assert_eq!(bench.seen(), [""; 0]);
}

#[test]
fn a_provisional_response_after_the_final_one_is_dropped() {
    let mut bench = Bench::udp();
    bench.send("BYE", B);
    bench.answered(200, "BYE", B);
    bench.seen();
    bench.answered(100, "BYE", B);
    assert_eq!(bench.seen(), [""; 0]);
}

#[test]
fn a_request_whose_connection_has_ended_goes_on_by_another_and_once() {
    for method in ["INVITE", "BYE"] {
        let mut bench = Bench::tcp();
        let ended = Some(ConnectionId(9));
        bench.flow.connection = ended;
        bench.send(method, B);
        assert_eq!(bench.flows(), [ended]);
        bench.transport_failed();
        assert_eq!(bench.flows(), [None], "nobody heard of a failure");
        bench.transport_failed();
        assert_eq!(bench.seen(), [""; 0], "another request found the same connection ended");
        bench.flow.connection = None;
        bench.answered(200, method, B);
        assert_eq!(bench.seen(), [format!("response 200 {method} to 1")]);
    }
}

#[test]
fn a_request_that_no_connection_can_be_had_for_fails() {
    let mut bench = Bench::tcp();
    bench.flow.connection = Some(ConnectionId(9));
    bench.send("BYE", B);
    bench.transport_failed();
    bench.seen();
    bench.flow.connection = None;
    bench.transport_failed();
    assert_eq!(bench.seen(), ["failed 1: Transport"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_request_that_goes_on_to_another_address_of_a_server_hears_that_nobody_is_there_either() {
    let mut bench = Bench::tcp();
    let named = Some(ConnectionId::to_server(ServerName(3)));
    bench.flow.connection = named;
    bench.send_within("BYE", B, "sip:carrier@198.51.100.20:5071");
    assert_eq!(bench.flows(), [named]);
    bench.transport_failed();
    assert_eq!(bench.flows(), [named], "it goes on, to the same server by its name");
    bench.transport_failed();
    assert_eq!(bench.seen(), [""; 0], "what else is told of the place that it has left is no news");
    bench.flow.remote = "198.51.100.20:5071".parse().unwrap();
    bench.transport_failed();
    assert_eq!(bench.seen(), ["failed 1: Transport"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn what_was_given_up_or_heard_of_ends_with_its_connection() {
    for heard in [false, true] {
        let mut bench = Bench::tcp();
        bench.flow.connection = Some(ConnectionId(9));
        let id = bench.send("INVITE", B);
        if heard {
            bench.answered(180, "INVITE", B);
        }
        bench.cancel(id, &[]);
        bench.seen();
        bench.transport_failed();
        let seen = bench.seen();
        assert!(seen.contains(&"failed 1: Transport".to_owned()), "{seen:?}");
        assert!(!seen.contains(&"send INVITE".to_owned()), "{seen:?}");
    }
}
