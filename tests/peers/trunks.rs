//! Trunks that fail before they ring, that are full, and what they are told of the caller.

use crate::office::{Office, Rules};
use std::net::UdpSocket;

fn office(carrier: &str) -> Office {
    Rules::default().carrier(carrier).user("ann", "100", &["ann"], "").user("bob", "101", &["bob"], "").open()
}

#[test]
fn a_trunk_that_says_nothing_gives_way_long_before_timer_b() {
    let office = office("");
    let silent = UdpSocket::bind(office.trunks[0]).expect("bound");
    let spare = office.trunk(1, "callee").start().listening();
    office.dial("ann", "+12025550150").run();
    spare.succeeds();
    let record = office.record_to("+12025550150");
    assert_eq!(record["outcome"], "answered");
    let legs = record["legs"].as_array().expect("legs");
    assert_eq!(
        (legs.len(), &legs[0]["reason"], &legs[1]["reason"]),
        (2, &"no response".into(), &"answered".into())
    );
    let starts = crate::office::starts(&record);
    assert!(starts[1].1 >= 3.9 && starts[1].1 < 10.0, "{starts:?}");
    drop(silent);
}

#[test]
fn a_trunk_that_is_full_is_passed_over_and_free_again_after_the_call() {
    let office = office("channels = 1");
    let carrier = office.trunk(0, "callee").calls(2).start().listening();
    let spare = office.trunk(1, "callee").start().listening();
    let up = office.dial("ann", "+12025550150").pause_ms(1500).start();
    office.talking(1);
    office.dial("bob", "+12025550151").run();
    up.succeeds();
    office.record_to("+12025550150");
    office.dial("bob", "+12025550152").run();
    assert_eq!(spare.invited().len(), 1);
    let calls = carrier.invited();
    assert!(calls.iter().any(|invite| invite.contains("+12025550152")), "{calls:#?}");
}

#[test]
fn a_trunk_that_is_trusted_hears_the_identity_and_the_signature_of_a_forwarded_caller() {
    let office = Rules::default()
        .carrier("trust = true")
        .rule("kim", "200", &["kim"], "forward.always = \"tel:+12025550180\"")
        .more("[number.\"+12025550120\"]\nto = \"user:kim\"\n")
        .open();
    let trunk = office.trunk(0, "callee").start().listening();
    office
        .outside("dial", "\"Rita\" <sip:+12025550150@carrier.example>", "+12025550120")
        .with("Identity: eyJhbGciOiJFUzI1NiJ9..sig;info=<https://c.example/cert>;alg=ES256;ppt=shaken")
        .run();
    let invite = trunk.invited().remove(0);
    assert!(invite.contains("P-Asserted-Identity: \"Rita\" <sip:+12025550150@peers.example>"), "{invite}");
    assert!(invite.contains("Identity: eyJhbGciOiJFUzI1NiJ9..sig;info="), "{invite}");
}

#[test]
fn a_stranger_hears_nothing_where_the_policy_is_silence() {
    let office = Rules::default().more("[policy]\nunknown_source = \"silent\"\n").open();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("bound");
    stranger.set_read_timeout(Some(std::time::Duration::from_millis(700))).expect("set");
    let me = stranger.local_addr().expect("bound");
    let invite = format!(
        "INVITE sip:100@peers.example SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKstranger\r\nMax-Forwards: 70\r\n\
         From: <sip:x@y.example>;tag=1\r\nTo: <sip:100@peers.example>\r\nCall-ID: stranger\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:x@{me}>\r\nContent-Length: 0\r\n\r\n"
    );
    stranger.send_to(invite.as_bytes(), office.daemon.udp).expect("sent");
    let mut answer = [0; 2048];
    let heard =
        stranger.recv(&mut answer).map(|length| String::from_utf8_lossy(&answer[..length]).into_owned());
    assert!(heard.is_err(), "{heard:?}");
    let status = office.daemon.read("/v1/status");
    assert_eq!(status["counters"]["requests_total"], 1, "it did come: {status}");
}
