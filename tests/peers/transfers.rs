//! Transfers between phones of other people's making.

use crate::calls::home;
use crate::office::{DOMAIN, Rules};
use crate::support::baresip::Baresip;
use crate::support::phone::Phone;
use crate::support::sipp::Over;
use crate::support::tone;

#[test]
fn baresip_transfers_baresip_to_baresip_and_those_two_hear_each_other() {
    const LOW: u32 = 600;
    const MIDDLE: u32 = 1000;
    const HIGH: u32 = 1700;
    let home = home();
    let daemon = home.start();
    let mut bob = Baresip::register("bob", daemon.udp, Over::Udp, MIDDLE);
    let mut dave = Baresip::register("dave1", daemon.tcp, Over::Tcp, HIGH);
    let mut alice = Baresip::register("alice", daemon.udp, Over::Udp, LOW);
    alice.dial("102");
    alice.says("Call established");
    bob.says("Call established");
    alice.listens();
    bob.transfer("104");
    dave.says("Call established");
    bob.says("terminated");
    dave.listens();
    dave.hang_up();
    alice.says("session closed");

    let heard = dave.samples();
    let wanted = tone::measure(&heard, LOW);
    assert!(wanted.level > 0.25 && wanted.share > 0.95, "dave should hear alice: {wanted:?}");
    assert!(tone::measure(&heard, MIDDLE).share < 0.01, "dave hears bob, who has left");
    let record = daemon.only_record();
    let transfer = &record["transfers"][0];
    assert_eq!((&transfer["by"], &transfer["to"]), (&"device:bob".into(), &"104".into()), "{record:#}");
    assert_eq!((&transfer["status"], &transfer["answered_by"]), (&200.into(), &"device:dave1".into()));
}

#[test]
fn a_caller_hears_each_step_of_their_transfer_and_is_hung_up_on() {
    let rules = Rules::default().user("ann", "100", &["ann"], "").user("dave", "104", &["dave"], "");
    let office = rules.user("kim", "300", &["kim"], "").open();
    let dave = office.phone("dave", office.scenario("transferred"));
    let kim = office.phone("kim", office.scenario("callee").pause_ms(500));
    let ann = office.scenario("transfers").from(format!("<sip:ann@{DOMAIN}>"));
    let ann = ann.key("callee", "104").key("target", "300").pause_ms(500).start();
    let told = ann.got("NOTIFY");
    assert_eq!(told, ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    let call = office.daemon.list("/v1/calls").remove(0);
    let ended = office.daemon.verb(&["hangup", call["id"].as_str().expect("an id")]);
    assert!(ended.status.success(), "{ended:?}");
    kim.succeeds();
    dave.succeeds();
}
