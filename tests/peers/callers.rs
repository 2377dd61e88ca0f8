//! Who gets through: allow and block lists, withheld and unknown callers, white lists, as callers by a trunk hear it.

use crate::assert_tags;
use crate::office::{Office, Rules};
use serde_json::json;

const KIM: &str = "+12025550120";

fn office() -> Office {
    Rules::default()
        .user("ann", "100", &["ann"], "")
        .user("bob", "101", &["bob"], "")
        .user(
            "kim",
            "200",
            &["kim"],
            "allow = [\"+12025550170\"]\nblock = [\"+1202555017X\", \"+12025550166\"]\nblock_anonymous = true\nblock_unknown = true",
        )
        .user("lee", "201", &["lee"], "white_list = [\"user:ann\"]")
        .more("[number.\"+12025550120\"]\nto = \"user:kim\"\n[number.\"+12025550121\"]\nto = \"user:lee\"\n")
        .open()
}

#[test]
fn a_caller_who_is_not_wanted_hears_why() {
    let office = office();
    office.register("kim", "127.0.0.1:9".parse().unwrap());
    let cases = [
        ("\"Pest\" <sip:+12025550166@c.example>", 607, "block:+12025550166"),
        ("<sip:+12025550171@c.example>", 607, "block:+1202555017X"),
        ("\"Anonymous\" <sip:anonymous@anonymous.invalid>", 433, "anonymous"),
        ("<sip:unavailable@c.example>", 403, "unknown"),
    ];
    for (from, status, _) in cases {
        office.outside("dial_refused", from, KIM).status(status).run();
    }
    for (record, (from, status, tag)) in office.records(KIM, cases.len()).iter().zip(cases) {
        assert_eq!((&record["status"], &record["outcome"]), (&json!(status), &json!("rejected")), "{from}");
        assert_tags(record, &[tag, &format!("reject:{status}")]);
    }
}

#[test]
fn the_allow_list_passes_the_block_list_and_do_not_disturb() {
    let office = office();
    let kim = office.phone("kim", office.scenario("callee"));
    office.set("users/kim", json!({ "dnd": true }));
    office.outside("dial_refused", "<sip:+12025550150@c.example>", KIM).status(480).run();
    office.outside("dial", "<sip:+12025550170@c.example>", KIM).run();
    kim.succeeds();
    let records = office.records(KIM, 2);
    assert_tags(&records[0], &["dnd", "reject:480"]);
    assert_tags(&records[1], &["allow:+12025550170", "answered:kim"]);
}

#[test]
fn a_white_list_lets_in_whom_it_names_and_nobody_else() {
    let office = office();
    let lee = office.phone("lee", office.scenario("callee"));
    office.refused("bob", "201", 403).run();
    office.outside("dial_refused", "<sip:+12025550150@c.example>", "+12025550121").status(403).run();
    office.dial("ann", "201").run();
    lee.succeeds();
    assert_tags(&office.record_to("+12025550121"), &["white_list:refused", "reject:403"]);
    let records = office.records("201", 2);
    assert_tags(&records[0], &["white_list:refused", "reject:403"]);
    assert_tags(&records[1], &["answered:lee"]);
}
