//! Time frames change while calls are up: a call keeps the rule that it began with, the next one gets the other.

use crate::assert_tags;
use crate::office::{A_MINUTE_MORE, DOMAIN, Office, Rules};
use crate::support::sipp::Sipp;
use crate::support::{until_within, wall};
use jiff::{Timestamp, ToSpan, Unit};
use serde_json::json;

/// Kim's calls ring her by `Open`, and Bob while `frame` holds.
fn office(frame: &str) -> Office {
    Rules::default()
        .user("ann", "100", &["ann"], "")
        .user("bob", "101", &["bob"], "")
        .user(
            "kim",
            "200",
            &["kim"],
            "[[user.kim.rule]]\nname = \"Closed\"\nwhen = \"closed\"\nforward.always = \"user:bob\"\n\
             [[user.kim.rule]]\nname = \"Open\"\nwhen = \"always\"",
        )
        .more(&format!("[time_frame.closed]\n{frame}\n"))
        .open()
}

#[test]
fn a_frame_flipped_while_a_call_is_up_is_for_the_next_call() {
    let office = office("override = \"off\"");
    let kim = office.phone("kim", office.scenario("callee").calls(2));
    let bob = office.phone("bob", office.scenario("callee"));
    let up = office.dial("ann", "200").pause_ms(2500).start();
    office.talking(1);
    assert_eq!(office.set("time-frames/closed", json!({ "override": "on" })), json!({ "on": true }));
    office.dial("ann", "200").run();
    office.set("time-frames/closed", json!({ "override": null }));
    office.dial("ann", "200").run();
    [up, kim, bob].into_iter().for_each(Sipp::succeeds);
    let mut records = office.records("200", 3);
    records.sort_by_key(|record| record["start"].to_string());
    for (record, (rule, by)) in records.iter().zip([("Open", "kim"), ("Closed", "bob"), ("Open", "kim")]) {
        assert_tags(record, &[&format!("rule:kim/{rule}"), &format!("answered:{by}")]);
        assert_eq!(record["outcome"], "answered");
    }
}

#[test]
fn a_flip_ends_by_itself_and_says_so() {
    let office = office("override = \"off\"");
    let soon = wall() + 2.seconds();
    office.set("time-frames/closed", json!({ "override": "on", "until": soon.to_string() }));
    let rule = || rule_now(&office);
    assert_eq!(rule(), "rule:kim/Closed");
    until_within(A_MINUTE_MORE, "the flip to end", || (rule() == "rule:kim/Open").then_some(()));
    assert!(wall() >= soon, "it ended before its time");
}

/// The frame begins with the next full minute, half a minute ahead at the least: the call has to be up by then.
#[test]
fn a_frame_that_begins_while_a_call_is_up_is_for_the_next_call() {
    let now = wall();
    let minute = (now + 20.seconds())
        .round(jiff::TimestampRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Ceil));
    let edge = minute.expect("a minute");
    let from = edge.strftime("%H:%M");
    let to = (edge + 2.hours()).strftime("%H:%M");
    let office = office(&format!("weekly = [\"daily {from}-{to}\"]"));
    let kim = office.phone("kim", office.scenario("callee").patience(A_MINUTE_MORE * 2));
    let bob = office.phone("bob", office.scenario("callee").patience(A_MINUTE_MORE * 2));
    let ahead = edge.duration_since(wall()).as_millis().max(0);
    let talk_ms = u32::try_from(ahead).expect("a minute or so") + 3000;
    let up = office.dial("ann", "200").pause_ms(talk_ms).patience(A_MINUTE_MORE * 2).start();
    office.talking(1);
    assert!(wall() < edge, "the call is up before the frame begins");
    until_within(A_MINUTE_MORE, "the frame to begin", || {
        (rule_now(&office) == "rule:kim/Closed").then_some(())
    });
    assert!(wall() >= edge, "not a moment before its minute");
    office.dial("ann", "200").run();
    [up, kim, bob].into_iter().for_each(Sipp::succeeds);
    let mut records = office.records("200", 2);
    records.sort_by_key(|record| record["start"].to_string());
    assert_tags(&records[0], &["rule:kim/Open", "answered:kim"]);
    assert_tags(&records[1], &["rule:kim/Closed", "answered:bob"]);
    let end: Timestamp = records[0]["end"].as_str().unwrap().parse().unwrap();
    assert!(end > edge, "the call outlived the edge, by the rule that it began with");
}

/// The rule that a call to Kim would get now.
fn rule_now(office: &Office) -> String {
    let body = json!({ "domain": DOMAIN, "to": "200", "from": "100" });
    let (status, said) = office.daemon.request("POST", "/v1/route", Some(&body)).expect("an answer");
    assert_eq!(status, 200, "{said}");
    let tags = said["tags"].as_array().expect("tags");
    tags.iter()
        .filter_map(|tag| tag.as_str())
        .find(|tag| tag.starts_with("rule:"))
        .expect("a rule")
        .to_owned()
}
