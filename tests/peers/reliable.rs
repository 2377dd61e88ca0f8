//! Reliable provisional responses (RFC 3262) and session timers (RFC 4028) with phones of other people's making.

use crate::office::{DOMAIN, Office, Rules};

fn office(sip: &str) -> Office {
    let rules = Rules::default().user("ann", "100", &["ann"], "").user("dave", "104", &["dave"], "");
    rules.open_with_sip(sip)
}

#[test]
fn a_phone_that_answers_reliably_is_acknowledged_and_its_answer_reaches_the_caller() {
    let office = office("");
    let dave = office.phone("dave", office.scenario("callee_reliable").pause_ms(200));
    office.dial("ann", "104").pause_ms(200).run();
    dave.succeeds();
    assert_eq!(office.daemon.only_record()["outcome"], "answered");
}

#[test]
fn a_caller_who_requires_it_hears_ringing_reliably() {
    let office = office("");
    let dave = office.phone("dave", office.scenario("callee").pause_ms(1_000));
    let ann = office.scenario("dial_reliable").from(format!("<sip:ann@{DOMAIN}>")).key("callee", "104");
    ann.pause_ms(200).run();
    dave.succeeds();
    assert_eq!(office.daemon.only_record()["outcome"], "answered");
}

#[test]
fn a_phone_that_wants_a_brief_session_is_refreshed_in_time() {
    let office = office("min_se = \"2s\"");
    let dave = office.phone("dave", office.scenario("callee_refreshed").pause_ms(100));
    office.dial("ann", "104").pause_ms(5_000).run();
    dave.succeeds();
    assert_eq!(office.daemon.only_record()["outcome"], "answered");
}
