//! Hot desks: a phone is of whoever sits at it.

use crate::assert_tags;
use crate::office::{Office, Rules};
use crate::support::sipp::Sipp;
use serde_json::{Value, json};

fn office() -> Office {
    Rules::default()
        .user("ann", "100", &["ann"], "")
        .user("kim", "200", &["kim"], "hotdesk = { id = \"200\", pin = \"plain:1234\" }")
        .more(&format!(
            "[device.desk]\nhotdesk = true\naccept_from = [\"{0}\"]\n[device.window]\nhotdesk = true\naccept_from = [\"{0}\"]\n",
            crate::support::address()
        ))
        .open()
}

#[test]
fn a_phone_somebody_sits_at_rings_for_them_and_calls_as_them() {
    let office = office();
    let desk = office.phone("desk", office.scenario("callee"));
    let ann = office.phone("ann", office.scenario("callee"));
    // Nobody's phone: emergency calls and feature codes alone.
    office.refused("desk", "100", 403).run();
    let seat = office.set("devices/desk", json!({ "hotdesk": "kim" }));
    assert_eq!(seat["user"], "kim");

    office.dial("ann", "200").run();
    office.dial("desk", "100").run();
    let invited = ann.invited().remove(0);
    assert!(invited.contains("From: \"kim\" <sip:200@"), "{invited}");
    desk.succeeds();
    let record = office.record_to("200");
    assert_eq!(record["answered_by"], json!({ "user": "kim", "device": "desk" }));
    let records = office.records("100", 2);
    assert_tags(&records[0], &["denied:spare", "reject:403"]);
    assert_eq!(records[1]["from"]["origin"], "device:desk");
}

#[test]
fn a_status_that_can_not_be_says_why() {
    let office = office();
    for (object, body, status, says) in [
        ("devices/ann", json!({ "hotdesk": "kim" }), 422, "its `hotdesk` is not true"),
        ("devices/none", json!({ "hotdesk": "kim" }), 404, "no device `none`"),
        ("devices/desk", json!({ "hotdesk": "nobody" }), 404, "no user `nobody`"),
        ("devices/desk", json!({ "hotdesk": 7 }), 422, "a text or null"),
        ("time-frames/none", json!({ "override": "on" }), 404, "no time frame `none`"),
        ("users/kim", json!({ "queues": { "none": true } }), 422, "no queue `none`"),
    ] {
        let path = format!("/v1/domains/{}/{object}/status", crate::office::DOMAIN);
        let (code, problem) = office.daemon.request("PATCH", &path, Some(&body)).expect("an answer");
        assert_eq!(code, status, "{object} {body}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{problem}");
    }
}

#[test]
fn sitting_down_elsewhere_ends_the_first_log_in() {
    let office = office();
    let [desk, window] = ["desk", "window"].map(|device| office.phone(device, office.scenario("callee")));
    office.set("devices/desk", json!({ "hotdesk": "kim" }));
    office.set("devices/window", json!({ "hotdesk": "kim" }));
    office.dial("ann", "200").run();
    window.succeeds();
    assert_eq!(office.record_to("200")["answered_by"]["device"], "window");
    assert_eq!(office.set("devices/window", json!({ "hotdesk": null })), Value::Null);
    office.refused("window", "100", 403).run();
    office.refused("desk", "100", 403).run();
    drop::<Sipp>(desk);
}
