//! The ways to ring: each strategy, with its times, and what the phones that lose are told.

use crate::office::{Rules, assert_starts};
use crate::support::sipp::Sipp;
use crate::{assert_tags, tags};
use std::collections::BTreeSet;

/// Kim has two phones, `kim1` first.
fn kim(keys: &str) -> Rules {
    Rules::default().user("ann", "100", &["ann"], "").rule("kim", "200", &["kim1", "kim2"], keys)
}

#[test]
fn own_rings_the_users_first_phone_alone() {
    let office = kim("ring.strategy = \"own\"\nring.targets = [\"self\"]").open();
    let first = office.phone("kim1", office.scenario("callee"));
    office.register("kim2", "127.0.0.1:9".parse().unwrap());
    office.dial("ann", "200").run();
    first.succeeds();
    let record = office.record_to("200");
    assert_starts(&record, &[("kim1", 0.0)]);
    assert_eq!(record["answered_by"]["device"], "kim1");
}

#[test]
fn a_delayed_target_starts_later_and_the_first_learns_that_it_was_answered_elsewhere() {
    let office =
        kim("ring.targets = [\"device:kim1\", { to = \"device:kim2\", delay = \"1s\" }]\nring_for = \"10s\"")
            .open();
    let first = office.phone("kim1", office.scenario("callee_elsewhere"));
    let second = office.phone("kim2", office.scenario("callee"));
    office.dial("ann", "200").run();
    [first, second].into_iter().for_each(Sipp::succeeds);
    let record = office.record_to("200");
    assert_starts(&record, &[("kim1", 0.0), ("kim2", 1.0)]);
    assert_tags(&record, &["ring:kim1@0+10", "ring:kim2@1+9", "answered:kim2"]);
}

#[test]
fn the_own_phone_rings_alone_at_first_and_keeps_ringing() {
    let office = kim("ring.initial = \"1s\"\nring.targets = [\"device:kim2\"]\nring_for = \"10s\"").open();
    let own = office.phone("kim1", office.scenario("callee_elsewhere"));
    let other = office.phone("kim2", office.scenario("callee"));
    office.dial("ann", "200").run();
    [own, other].into_iter().for_each(Sipp::succeeds);
    assert_starts(&office.record_to("200"), &[("kim1", 0.0), ("kim2", 1.0)]);
}

#[test]
fn a_sequence_rings_one_after_the_other_and_a_step_that_is_over_is_a_missed_call() {
    let office = kim("ring.strategy = \"sequential\"\nring.each = \"1s\"\n\
         ring.targets = [\"device:kim1\", { to = \"device:kim2\", for = \"8s\" }]")
    .open();
    let first = office.phone("kim1", office.scenario("callee_missed"));
    let second = office.phone("kim2", office.scenario("callee"));
    office.dial("ann", "200").run();
    [first, second].into_iter().for_each(Sipp::succeeds);
    let record = office.record_to("200");
    assert_starts(&record, &[("kim1", 0.0), ("kim2", 1.0)]);
    assert_tags(&record, &["ring:kim1@0+1", "ring:kim2@1+8", "answered:kim2"]);
}

#[test]
fn a_step_that_is_busy_gives_way_at_once() {
    let office = kim(
        "ring.strategy = \"sequential\"\nring.each = \"9s\"\nring.targets = [\"device:kim1\", \"device:kim2\"]",
    )
    .open();
    let first = office.phone("kim1", office.scenario("callee_busy"));
    let second = office.phone("kim2", office.scenario("callee"));
    office.dial("ann", "200").run();
    [first, second].into_iter().for_each(Sipp::succeeds);
    assert_starts(&office.record_to("200"), &[("kim1", 0.0), ("kim2", 0.0)]);
}

/// The scenario of the first phone takes one INVITE and one CANCEL: a second INVITE would fail it.
#[test]
fn with_memory_the_first_phone_rings_on_and_is_never_invited_again() {
    let office = kim("ring.strategy = \"sequential-memory\"\nring.each = \"1s\"\nring.timeout = \"12s\"\n\
         ring.targets = [\"device:kim1\", \"device:kim2\"]")
    .open();
    let first = office.phone("kim1", office.scenario("callee_elsewhere"));
    let second = office.phone("kim2", office.scenario("callee").pause_ms(1500));
    office.dial("ann", "200").run();
    [first, second].into_iter().for_each(Sipp::succeeds);
    let record = office.record_to("200");
    assert_starts(&record, &[("kim1", 0.0), ("kim2", 1.0)]);
    assert_eq!(record["answered_by"]["device"], "kim2");
}

/// One order of two by chance twenty times over is one in half a million.
#[test]
fn random_draws_an_order_for_each_call() {
    const CALLS: u32 = 20;
    let office = kim(
        "ring.strategy = \"random\"\nring.each = \"9s\"\nring.targets = [\"device:kim1\", \"device:kim2\"]",
    )
    .open();
    let phones =
        ["kim1", "kim2"].map(|device| office.phone(device, office.scenario("callee_busy").calls(CALLS)));
    office.refused("ann", "200", 486).calls(CALLS).rate(20).run();
    phones.into_iter().for_each(Sipp::succeeds);
    let orders: BTreeSet<String> = office
        .records("200", CALLS as usize)
        .iter()
        .map(|record| record["legs"].as_array().unwrap().iter().map(|leg| leg["to"].to_string()).collect())
        .collect();
    assert_eq!(orders.len(), 2, "both orders came up: {orders:?}");
}

#[test]
fn a_decline_on_one_phone_stops_the_others_by_policy_stop() {
    let office = kim("ring.targets = [\"self:all\"]").open();
    let declines = office.phone("kim1", office.scenario("callee_declines").pause_ms(300));
    let other = office.phone("kim2", office.scenario("callee_declined_elsewhere"));
    office.refused("ann", "200", 603).run();
    [declines, other].into_iter().for_each(Sipp::succeeds);
    assert_tags(&office.record_to("200"), &["declined", "reject:603"]);
}

#[test]
fn a_decline_on_one_phone_is_that_phones_alone_by_policy_continue() {
    let office =
        kim("ring.targets = [\"self:all\"]").more("[policy]\ndevice_decline = \"continue\"\n").open();
    let declines = office.phone("kim1", office.scenario("callee_declines").pause_ms(300));
    let other = office.phone("kim2", office.scenario("callee").pause_ms(1500));
    office.dial("ann", "200").run();
    [declines, other].into_iter().for_each(Sipp::succeeds);
    let record = office.record_to("200");
    assert_eq!(record["answered_by"]["device"], "kim2");
    assert_eq!(record["legs"][0]["reason"], "declined");
}

#[test]
fn a_phone_shows_no_missed_call_where_the_rule_says_never() {
    let office =
        kim("ring.targets = [\"device:kim1\"]\nring_for = \"1s\"\nring.missed_calls = \"never\"").open();
    let phone = office.phone("kim1", office.scenario("callee_elsewhere"));
    office.refused("ann", "200", 480).run();
    phone.succeeds();
    assert_tags(&office.record_to("200"), &["no_answer", "reject:480"]);
}

#[test]
fn prefixes_stand_before_the_name_that_the_phone_shows() {
    let office = kim("ring.targets = [{ to = \"device:kim1\", caller_id_prefix = \"HOME \" }]")
        .more("[number.\"+12025550120\"]\nto = \"user:kim\"\ncaller_id_prefix = \"SALES \"\n")
        .open();
    let phone = office.phone("kim1", office.scenario("callee"));
    office.outside("dial", "\"Rita\" <sip:+12025550150@carrier.example>", "+12025550120").run();
    let invited = phone.invited().remove(0);
    assert!(invited.contains("From: \"SALES HOME Rita\" <sip:+12025550150@"), "{invited}");
    assert!(invited.contains("P-Called-Party-ID: <sip:+12025550120@"), "{invited}");
    let record = office.record_to("+12025550120");
    assert!(tags(&record).contains(&"caller_id_name:SALES HOME Rita"), "{record:#}");
}
