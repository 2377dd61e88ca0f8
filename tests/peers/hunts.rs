//! Hunts: a list of nobody's rings, its members by their own state and not by their forwards, and what follows is the hunt's.

use crate::assert_tags;
use crate::office::{Office, Rules, assert_starts};
use crate::support::sipp::Sipp;
use serde_json::json;

/// The hunt `desk`, extension 300, of Kim and Lee, with these keys.
fn office(keys: &str) -> Office {
    Rules::default()
        .user("ann", "100", &["ann"], "")
        .user("bob", "101", &["bob"], "")
        .user("kim", "200", &["kim"], "")
        .user("lee", "201", &["lee"], "")
        .more(&format!("[hunt.desk]\next = \"300\"\ntargets = [\"user:kim\", \"user:lee\"]\n{keys}\n"))
        .open()
}

#[test]
fn a_hunt_rings_one_after_the_other_and_shows_its_name() {
    let office = office("strategy = \"sequential\"\neach = \"1s\"\ncaller_id_prefix = \"DESK \"");
    let kim = office.phone("kim", office.scenario("callee_missed"));
    let lee = office.phone("lee", office.scenario("callee"));
    office.dial("ann", "300").run();
    kim.succeeds();
    let invited = lee.invited().remove(0);
    assert!(invited.contains("From: \"DESK ann\" <sip:100@"), "{invited}");
    let record = office.record_to("300");
    assert_starts(&record, &[("kim", 0.0), ("lee", 1.0)]);
    assert_tags(&record, &["hunt:desk", "ring:kim@0+1", "ring:lee@1+1", "answered:lee"]);
}

#[test]
fn a_member_who_wants_no_calls_is_passed_over_and_their_forward_is_not_taken() {
    let office = office("strategy = \"simultaneous\"\ntimeout = \"9s\"");
    let lee = office.phone("lee", office.scenario("callee"));
    office.register("kim", "127.0.0.1:9".parse().unwrap());
    office.set("users/kim", json!({ "dnd": true, "forward": "user:ann" }));
    office.dial("ann", "300").run();
    lee.succeeds();
    assert_starts(&office.record_to("300"), &[("lee", 0.0)]);
}

#[test]
fn a_hunt_that_nobody_answers_goes_where_it_says() {
    let office = office("strategy = \"simultaneous\"\ntimeout = \"1s\"\non_failure = \"user:bob\"");
    let missed = ["kim", "lee"].map(|device| office.phone(device, office.scenario("callee_missed")));
    let bob = office.phone("bob", office.scenario("callee"));
    office.dial("ann", "300").run();
    missed.into_iter().for_each(Sipp::succeeds);
    bob.succeeds();
    assert_tags(
        &office.record_to("300"),
        &["hunt:desk", "no_answer", "forward:no_answer", "user:bob", "answered:bob"],
    );
}
