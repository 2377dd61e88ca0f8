//! Figures 7 and 8 of RFC 3261, with Accepted of RFC 6026.

use super::bench::Bench;
use crate::transaction::ServerId;

const B: &str = "z9hG4bKone";

fn invited(mut bench: Bench) -> (Bench, ServerId) {
    let (id, seen) = bench.receive_new("INVITE", B);
    assert_eq!(seen, ["request INVITE"]);
    bench.respond(id, 100, "INVITE", B);
    assert_eq!(bench.seen(), ["send 100 INVITE"]);
    (bench, id)
}

fn refused(bench: Bench) -> (Bench, ServerId) {
    let (mut bench, id) = invited(bench);
    bench.respond(id, 486, "INVITE", B);
    assert_eq!(bench.seen(), ["send 486 INVITE"]);
    (bench, id)
}

#[test]
fn an_invite_that_nobody_answers_yet_gets_nothing_however_often_it_comes() {
    let mut bench = Bench::udp();
    let (id, seen) = bench.receive_new("INVITE", B);
    bench.receive("INVITE", B);
    assert_eq!((seen, bench.seen()), (vec!["request INVITE".to_owned()], vec![]));
    bench.layer.forget(id);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_retransmitted_invite_gets_the_newest_provisional_response() {
    let (mut bench, id) = invited(Bench::udp());
    bench.receive("INVITE", B);
    assert_eq!(bench.seen(), ["send 100 INVITE"]);
    bench.respond(id, 180, "INVITE", B);
    bench.receive("INVITE", B);
    assert_eq!(bench.seen(), ["send 180 INVITE", "send 180 INVITE"]);
    assert_eq!(bench.until(600_000), [""; 0]);
    assert_eq!(bench.layer.len(), (0, 1));
}

#[test]
fn a_failure_is_retransmitted_up_to_t2_until_timer_h() {
    let (mut bench, _) = refused(Bench::udp());
    let seen = bench.until(60_000);
    let at = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(seen[..10], at.map(|at| format!("{at} send 486 INVITE")));
    assert_eq!(seen[10..], ["32000 unacknowledged"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn on_a_reliable_transport_a_failure_is_sent_once_and_timer_h_still_runs() {
    let (mut bench, _) = refused(Bench::tcp());
    assert_eq!(bench.until(60_000), ["32000 unacknowledged"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_retransmitted_invite_gets_the_failure_again() {
    let (mut bench, id) = refused(Bench::udp());
    bench.receive("INVITE", B);
    assert_eq!(bench.seen(), ["send 486 INVITE"]);
    // There is one final response, and it has been sent.
    bench.respond(id, 200, "INVITE", B);
    bench.respond(id, 180, "INVITE", B);
    assert_eq!(bench.seen(), [""; 0]);
}

#[test]
fn an_ack_ends_retransmission_and_more_of_them_are_absorbed_until_timer_i() {
    let (mut bench, _) = refused(Bench::udp());
    bench.receive("ACK", B);
    bench.receive("ACK", B);
    bench.receive("INVITE", B);
    assert_eq!(bench.seen(), [""; 0]);
    assert_eq!(bench.until(4_999), [""; 0]);
    assert_eq!(bench.layer.len(), (0, 1));
    assert_eq!(bench.until(5_000), [""; 0]);
    assert!(bench.layer.is_empty());
}

#[test]
fn on_a_reliable_transport_an_ack_ends_the_transaction() {
    let (mut bench, _) = refused(Bench::tcp());
    bench.receive("ACK", B);
    assert_eq!(bench.seen(), [""; 0]);
    assert!(bench.layer.is_empty());
}

#[test]
fn an_ack_before_the_final_response_is_ignored() {
    let (mut bench, _) = invited(Bench::udp());
    bench.receive("ACK", B);
    assert_eq!(bench.seen(), [""; 0]);
    assert_eq!(bench.layer.len(), (0, 1));
}

#[test]
fn after_a_2xx_invites_are_absorbed_and_acks_passed_up_until_timer_l() {
    for bench in [Bench::udp(), Bench::tcp()] {
        let (mut bench, id) = invited(bench);
        bench.respond(id, 200, "INVITE", B);
        assert_eq!(bench.seen(), ["send 200 INVITE"]);
        bench.receive("INVITE", B);
        assert_eq!(bench.seen(), [""; 0]);
        // RFC 6026: retransmitting the 2xx is the transaction user's; this layer only sends it.
        bench.respond(id, 200, "INVITE", B);
        assert_eq!(bench.seen(), ["send 200 INVITE"]);
        bench.respond(id, 486, "INVITE", B);
        bench.respond(id, 180, "INVITE", B);
        assert_eq!(bench.seen(), [""; 0]);
        bench.receive("ACK", B);
        bench.receive("ACK", "z9hG4bKofitsown");
        assert_eq!(bench.seen(), ["ack", "ack"]);
        assert_eq!(bench.until(31_999), [""; 0]);
        assert_eq!(bench.layer.len(), (0, 1));
        bench.until(32_000);
        assert!(bench.layer.is_empty());
    }
}

#[test]
fn a_request_is_handed_up_once_and_absorbed_until_it_is_answered() {
    let mut bench = Bench::udp();
    let (id, seen) = bench.receive_new("REGISTER", B);
    assert_eq!(seen, ["request REGISTER"]);
    bench.receive("REGISTER", B);
    assert_eq!(bench.seen(), [""; 0]);
    bench.respond(id, 100, "REGISTER", B);
    bench.receive("REGISTER", B);
    bench.respond(id, 182, "REGISTER", B);
    assert_eq!(bench.seen(), ["send 100 REGISTER", "send 100 REGISTER", "send 182 REGISTER"]);
    assert_eq!(bench.layer.tally().retransmissions, 2);
}

#[test]
fn a_retransmitted_request_gets_the_stored_final_response_until_timer_j() {
    for provisional in [false, true] {
        let mut bench = Bench::udp();
        let (id, _) = bench.receive_new("REGISTER", B);
        if provisional {
            bench.respond(id, 100, "REGISTER", B);
        }
        bench.seen();
        bench.respond(id, 200, "REGISTER", B);
        bench.respond(id, 500, "REGISTER", B);
        bench.receive("REGISTER", B);
        assert_eq!(bench.seen(), ["send 200 REGISTER", "send 200 REGISTER"]);
        assert_eq!(bench.until(31_999), [""; 0]);
        assert_eq!(bench.layer.len(), (0, 1));
        bench.until(32_000);
        assert!(bench.layer.is_empty());
    }
}

#[test]
fn on_a_reliable_transport_a_final_response_ends_the_transaction() {
    let mut bench = Bench::tcp();
    let (id, _) = bench.receive_new("REGISTER", B);
    bench.respond(id, 401, "REGISTER", B);
    assert_eq!(bench.seen(), ["send 401 REGISTER"]);
    assert!(bench.layer.is_empty());
    bench.respond(id, 401, "REGISTER", B);
    assert_eq!(bench.seen(), [""; 0], "the transaction is gone");
}

/// RFC 6026 §8.8: a server transaction whose transport fails stays where it is; the transaction user gives up what it wants to.
#[test]
fn a_dead_transport_leaves_every_server_transaction_where_it_is() {
    for (method, status, again) in [
        ("INVITE", 180, "send 180 INVITE"),
        ("INVITE", 486, "send 486 INVITE"),
        ("REGISTER", 100, "send 100 REGISTER"),
        ("REGISTER", 200, "send 200 REGISTER"),
    ] {
        let mut bench = Bench::udp();
        let (id, _) = bench.receive_new(method, B);
        bench.respond(id, status, method, B);
        bench.seen();
        bench.transport_failed();
        assert_eq!(bench.seen(), [""; 0], "{method} {status}");
        bench.receive(method, B);
        assert_eq!(bench.seen(), [again]);
    }
    let (mut bench, id) = invited(Bench::tcp());
    bench.respond(id, 200, "INVITE", B);
    bench.seen();
    bench.transport_failed();
    bench.receive("ACK", B);
    assert_eq!(bench.seen(), ["ack"], "Accepted");
}

#[test]
fn an_invite_may_get_its_final_response_before_any_other() {
    for (status, left) in [(200, "send 200 INVITE"), (603, "send 603 INVITE")] {
        let mut bench = Bench::udp();
        let (id, _) = bench.receive_new("INVITE", B);
        bench.respond(id, status, "INVITE", B);
        assert_eq!(bench.seen(), [left]);
        assert_eq!(bench.layer.len(), (0, 1));
    }
}

#[test]
fn nothing_of_a_request_is_sent_after_its_final_response() {
    let mut bench = Bench::udp();
    let (id, _) = bench.receive_new("REGISTER", B);
    bench.respond(id, 200, "REGISTER", B);
    bench.seen();
    bench.respond(id, 100, "REGISTER", B);
    bench.respond(id, 401, "REGISTER", B);
    assert_eq!(bench.seen(), [""; 0]);
    bench.receive("REGISTER", B);
    assert_eq!(bench.seen(), ["send 200 REGISTER"]);
}
