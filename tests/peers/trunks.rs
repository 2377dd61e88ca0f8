//! Trunks that fail before they ring, that are full, and what they are told of the caller.

use crate::office::{Office, Rules};
use crate::support::dns::NameServer;
use crate::support::sipp::Scenario;
use crate::support::{address, port, until};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

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

/// Where the trunk `located` leads to, once it leads somewhere.
fn places(office: &Office) -> Vec<serde_json::Value> {
    until("the trunk to be located", || {
        let trunks = office.daemon.list("/v1/trunks");
        let places =
            trunks.into_iter().find(|trunk| trunk["name"] == "located")?["targets"].as_array()?.clone();
        (!places.is_empty()).then_some(places)
    })
}

#[test]
fn a_trunk_is_found_by_naptr_and_srv_and_its_spare_server_answers_for_a_dead_one() {
    let (dead, alive) =
        (SocketAddr::new(address().into(), port()), SocketAddr::new(address().into(), port()));
    let servers = NameServer::new()
        .naptr("carrier.example", 10, "SIP+D2U", "_sip._udp.carrier.example")
        .srv("_sip._udp.carrier.example", 20, 0, alive.port(), "two.carrier.example")
        .srv("_sip._udp.carrier.example", 10, 0, dead.port(), "one.carrier.example")
        .a("one.carrier.example", address())
        .a("two.carrier.example", address())
        .a("carrier.example", Ipv4Addr::new(192, 0, 2, 1))
        .start();
    let office = Rules::default()
        .nameserver(servers.address)
        .user("ann", "100", &["ann"], "")
        .located("proxy = \"carrier.example\"\ntransport = \"any\"")
        .open();
    let shown: Vec<String> =
        places(&office).iter().map(|place| place["address"].as_str().expect("a text").to_owned()).collect();
    assert_eq!(shown, [dead.to_string(), alive.to_string()], "asked: {:?}", servers.asked());
    let silent = UdpSocket::bind(dead).expect("bound");
    let spare = office.scenario("callee").at(alive).start().listening();
    office.dial("ann", "+442079460101").run();
    spare.succeeds();
    let record = office.record_to("+442079460101");
    assert_eq!(record["outcome"], "answered", "{record:#}");
    assert_eq!(places(&office)[0]["state"], "quarantined");

    // The next call doesn't wait for the dead one.
    let spare = office.scenario("callee").at(alive).start().listening();
    office.dial("ann", "+442079460102").run();
    spare.succeeds();
    assert_eq!(office.record_to("+442079460102")["legs"].as_array().map(Vec::len), Some(1));
    drop(silent);
}

#[test]
fn a_trunk_with_a_port_is_looked_up_by_its_address_alone() {
    let servers = NameServer::new().a("carrier.example", Ipv4Addr::new(192, 0, 2, 7)).start();
    let proxy = "proxy = \"carrier.example:5090\"";
    let office = Rules::default().nameserver(servers.address).located(proxy).open();
    assert_eq!(places(&office)[0]["address"], "192.0.2.7:5090");
    let asked = servers.asked();
    assert!(
        asked.iter().all(|asked| asked == "1 carrier.example" || asked == "28 carrier.example"),
        "{asked:?}"
    );
}

#[test]
fn a_trunk_that_calls_in_with_credentials_is_let_in_from_anywhere_and_nobody_with_wrong_ones() {
    let office = Rules::default()
        .user("ann", "100", &["ann"], "")
        .more("[trunk.roaming]\nauth = { user = \"roaming\", secret = \"plain:pw-roaming\" }\n[number.\"+12025550120\"]\nto = \"user:ann\"\n")
        .open();
    let ann = office.phone("ann", office.scenario("callee"));
    let outside =
        |scenario| Scenario::new(scenario, office.daemon.udp).user("roaming").key("callee", "+12025550120");
    outside("caller").run();
    ann.succeeds();
    let record = office.record_to("+12025550120");
    assert_eq!(record["from"]["origin"], "trunk:roaming", "{record:#}");
    assert_eq!(record["outcome"], "answered", "{record:#}");
    outside("caller_refused").password("guess").status(401).run();
    assert_eq!(office.records("+12025550120", 1).len(), 1, "no other call came in");
}
