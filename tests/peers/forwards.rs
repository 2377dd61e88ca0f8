//! Every forward, to an outside number by a trunk that wants to hear of it both ways: the record names the forward, the trunk hears
//! the reason (RFC 5806) and the cause (RFC 4458, RFC 7544).

use crate::assert_tags;
use crate::office::{Office, Rules};
use crate::support::sipp::Sipp;
use serde_json::Value;

/// Key, what it stands behind, and what the trunk hears.
const FORWARDS: [(&str, &str, u16); 8] = [
    ("always", "unconditional", 302),
    ("dnd", "do-not-disturb", 404),
    ("on_active", "user-busy", 486),
    ("busy", "user-busy", 486),
    ("no_answer", "no-answer", 408),
    ("declined", "deflection", 480),
    ("offline", "unavailable", 503),
    ("otherwise", "user-busy", 486),
];

fn rules() -> Rules {
    let mut rules = Rules::default().carrier("diversion = \"both\"").user("ann", "100", &["ann"], "").user(
        "bob",
        "101",
        &["bob"],
        "",
    );
    for (index, (key, ..)) in FORWARDS.iter().enumerate() {
        let dnd = if *key == "dnd" { "dnd = true\n" } else { "" };
        let keys = format!("{dnd}ring_for = \"1s\"\nforward.{key} = \"tel:+1202555018{index}\"");
        rules = rules.rule(&format!("u{index}"), &format!("20{index}"), &[&format!("d{index}")], &keys);
    }
    rules
}

/// The phones of those who have to be there for their forward to be taken.
fn phones(office: &Office) -> Vec<Sipp> {
    let phones =
        [("d3", "callee_busy"), ("d4", "callee_missed"), ("d5", "callee_declines"), ("d7", "callee_busy")];
    for unheard in ["d0", "d1", "d2"] {
        office.register(unheard, "127.0.0.1:9".parse().unwrap());
    }
    phones.map(|(device, scenario)| office.phone(device, office.scenario(scenario))).into()
}

#[test]
fn each_forward_is_taken_for_its_reason_and_the_trunk_hears_it() {
    let office = rules().open();
    let trunk = office.trunk(0, "callee").calls(8).start().listening();
    let mut all = phones(&office);
    // User 2 is on a call already.
    all.push(office.phone("bob", office.scenario("callee")));
    let talk = office.dial("d2", "101").pause_ms(6000).start();
    office.talking(1);
    all.extend((0..8).map(|index| {
        let callee: &'static str = ["200", "201", "202", "203", "204", "205", "206", "207"][index];
        office.dial("ann", callee).start()
    }));
    all.push(talk);
    all.into_iter().for_each(Sipp::succeeds);
    let invites = trunk.invited();
    for (index, (key, reason, cause)) in FORWARDS.iter().enumerate() {
        let record = office.record_to(&format!("20{index}"));
        let number = format!("+1202555018{index}");
        assert_eq!(record["forwards"][0]["reason"], *key, "{record:#}");
        assert_eq!(record["forwards"][0]["to"], format!("tel:{number}"));
        assert_eq!(record["answered_by"]["device"], format!("tel:{number}"));
        assert_tags(&record, &[&format!("forward:{key}"), &format!("diversion:{reason}")]);
        let invite = invites.iter().find(|invite| invite.starts_with(&format!("INVITE sip:{number}@")));
        let invite = invite.unwrap_or_else(|| panic!("{key}: no INVITE for {number}: {invites:#?}"));
        let diversion =
            format!("Diversion: <sip:+12025550100@peers.example>;reason={reason};counter=1;privacy=off");
        assert!(invite.contains(&diversion), "{key}: {invite}");
        assert!(invite.contains("History-Info: <sip:+12025550100@peers.example>;index=1"), "{key}: {invite}");
        assert!(invite.contains(&format!(";cause={cause}>;index=1.1;mp=1")), "{key}: {invite}");
    }
}

#[test]
fn a_past_that_came_with_the_call_goes_on_with_it() {
    let office = Rules::default()
        .carrier("diversion = \"history-info\"")
        .rule("kim", "200", &["kim"], "forward.always = \"tel:+12025550180\"")
        .more("[number.\"+12025550120\"]\nto = \"user:kim\"\n")
        .open();
    let trunk = office.trunk(0, "callee").start().listening();
    office
        .outside("dial", "<sip:+12025550150@carrier.example>", "+12025550120")
        .with("History-Info: <sip:+442079460188@c.example>;index=1")
        .with("History-Info: <sip:+12025550120@p.example;cause=302>;index=1.1;mp=1")
        .run();
    let invite = trunk.invited().remove(0);
    let entries: Vec<&str> = invite.lines().filter(|line| line.starts_with("History-Info:")).collect();
    assert_eq!(entries.len(), 4, "two that came, the forwarder, the target: {entries:#?}");
    assert!(
        entries[0].contains("+442079460188") && entries[3].contains("cause=302>;index=1.1.1.1"),
        "{entries:#?}"
    );
    assert!(!invite.contains("Diversion:"), "{invite}");
    let record = office.record_to("+12025550120");
    assert_eq!(record["forwards"].as_array().map(Vec::len), Some(1), "{record:#}");
}

#[test]
fn a_call_that_comes_back_to_who_diverted_it_is_a_loop() {
    let office = Rules::default()
        .user("kim", "200", &["kim"], "")
        .more("[number.\"+12025550120\"]\nto = \"user:kim\"\n")
        .open();
    let from = "<sip:+12025550150@carrier.example>";
    office
        .outside("dial_refused", from, "+12025550120")
        .status(482)
        .with("Diversion: <sip:+12025550120@peers.example>;reason=no-answer")
        .run();
    office.outside("dial_refused", from, "+12025550120").status(483).max_forwards(0).run();
    assert_eq!(office.daemon.list("/v1/records"), [Value::Null; 0], "neither was let in");
}

#[test]
fn a_call_that_was_diverted_too_often_goes_no_further() {
    let office = Rules::default()
        .rule("kim", "200", &["kim"], "forward.always = \"user:bob\"")
        .user("bob", "201", &["bob"], "")
        .more("[number.\"+12025550120\"]\nto = \"user:kim\"\n")
        .open();
    office
        .outside("dial_refused", "<sip:+12025550150@carrier.example>", "+12025550120")
        .status(480)
        .with("Diversion: <sip:+12025550107@c.example>;reason=no-answer;counter=7")
        .run();
    assert_tags(&office.record_to("+12025550120"), &["user:kim", "hops", "reject:480"]);
}
