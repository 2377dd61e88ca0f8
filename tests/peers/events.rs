//! What phones are told without a call.

use crate::office::{DOMAIN, Office, Rules};
use crate::support::baresip::Baresip;
use crate::support::daemon::{Daemon, Home};
use crate::support::sipp::{Over, Sipp};
use serde_json::{Value, json};

/// A phone that answers a check-sync with this.
fn phone(office: &Office, device: &str, event: &str, status: u16) -> Sipp {
    office.phone(device, office.scenario("notified").event(event).status(status))
}

/// The JSON that the verb prints, and its exit code.
fn told(daemon: &Daemon, verb: &[&str]) -> (Value, Option<i32>) {
    let said = daemon.verb(&[verb, &["--json"]].concat());
    let value = serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    (value, said.status.code())
}

#[test]
fn u6_a_phone_is_told_to_load_its_configuration_again_and_the_operator_hears_what_it_said() {
    let office = Rules::default().user("ann", "100", &["desk", "lamp"], "").open();
    let (none, code) = told(&office.daemon, &["device", "check-sync", "desk"]);
    assert_eq!((none, code), (json!({ "contacts": [] }), Some(1)));

    let desk = phone(&office, "desk", "check-sync;reboot=true", 200);
    let contact = format!("sip:desk@{}", desk.local);
    let (answer, code) = told(&office.daemon, &["device", "check-sync", "desk", "--reboot"]);
    let accepted = json!({ "device": "desk", "contact": contact, "result": "accepted", "status": 200 });
    assert_eq!((answer, code), (json!({ "contacts": [accepted] }), Some(0)));
    desk.succeeds();
}

#[test]
fn u6_every_contact_of_a_user_says_its_own_word() {
    let office = Rules::default().user("ann", "100", &["desk", "lamp"], "").open();
    let desk = phone(&office, "desk", "check-sync;reboot=false", 200);
    let lamp = phone(&office, "lamp", "check-sync;reboot=false", 481);
    let said = office.daemon.verb(&["user", "check-sync", "100"]);
    let text = String::from_utf8_lossy(&said.stdout);
    let line = |device: &str| text.lines().find(|line| line.starts_with(device)).unwrap_or_default();
    assert!(line("desk").contains("accepted") && line("desk").contains("200"), "{text}");
    assert!(line("lamp").contains("refused") && line("lamp").contains("481"), "{text}");
    assert_eq!(said.status.code(), Some(1), "one has not");
    for phone in [desk, lamp] {
        phone.succeeds();
    }

    let path = |kind: &str| format!("/v1/domains/{DOMAIN}/{kind}/check-sync");
    for (kind, body, status) in [
        ("devices/none", Value::Null, 404),
        ("users/none", Value::Null, 404),
        ("devices/desk", json!({ "restart": true }), 400),
    ] {
        let (code, problem) = office.daemon.request("POST", &path(kind), Some(&body)).expect("an answer");
        assert_eq!(code, status, "{kind}: {problem}");
    }
}

/// baresip wants to have subscribed to what it is told: it says so, and that is what the operator reads.
#[test]
fn u6_a_phone_that_does_not_know_check_sync_is_shown_as_one_that_refused() {
    let home = Home::new("peers.example", &[("domain.toml", include_str!("rules/domain.toml"))]);
    let daemon = home.start();
    let bob = Baresip::register("bob", daemon.tcp, Over::Tcp, 1000);
    let (answer, code) = told(&daemon, &["device", "check-sync", "bob"]);
    assert_eq!(answer["contacts"][0]["result"], "refused", "{answer}");
    assert_eq!(code, Some(1));
    drop(bob);
}

/// A phone that watches until it is told this, and has heard the first word.
fn watcher(office: &Office, device: &str, package: &str, watched: &str, until: &str) -> Sipp {
    let scenario = office.scenario("watcher").from(format!("<sip:{device}@{DOMAIN}>")).until(until);
    let watcher = scenario.key("package", package).key("watched", watched).start();
    crate::support::until("the first NOTIFY", || (!watcher.bodies("NOTIFY").is_empty()).then_some(()));
    watcher
}

#[test]
fn u7_a_phone_that_has_subscribed_shows_what_waits_and_is_told_again_on_demand() {
    let office = Rules::default().user("bob", "102", &["bob"], "").open();
    let bob = watcher(&office, "bob", "message-summary", "102", "2/1 .1/0.");
    let (answer, code) = told(&office.daemon, &["mailbox", "resync", "bob"]);
    assert_eq!((&answer["contacts"][0]["result"], code), (&json!("accepted"), Some(0)), "{answer}");
    assert_eq!(answer["contacts"].as_array().map(Vec::len), Some(1), "{answer}");

    let path = format!("/v1/domains/{DOMAIN}/mailboxes/102/messages");
    let counts = json!({ "new": 2, "old": 1, "new_urgent": 1, "old_urgent": 0 });
    let (status, set) = office.daemon.request("PUT", &path, Some(&counts)).expect("an answer");
    assert_eq!((status, &set), (200, &counts));
    let said = bob.got("NOTIFY");
    let account = format!("Message-Account: sip:102@{DOMAIN}\r\n");
    let none = format!("Messages-Waiting: no\r\n{account}Voice-Message: 0/0 (0/0)");
    let some = format!("Messages-Waiting: yes\r\n{account}Voice-Message: 2/1 (1/0)");
    assert_eq!(said, [none.clone(), none, some]);
    assert_eq!(office.daemon.read(&path), counts);
}

#[test]
fn u7_a_phone_that_has_not_subscribed_is_told_all_the_same() {
    let office = Rules::default().user("ann", "100", &["desk"], "").open();
    let desk = phone(&office, "desk", "message-summary", 200);
    let (answer, code) = told(&office.daemon, &["mailbox", "resync", "100"]);
    assert_eq!((&answer["contacts"][0]["result"], code), (&json!("accepted"), Some(0)), "{answer}");
    desk.succeeds();
    let (status, problem) = office
        .daemon
        .request("POST", &format!("/v1/domains/{DOMAIN}/mailboxes/nobody/resync"), None)
        .expect("an answer");
    assert_eq!(status, 404, "{problem}");
}

#[test]
fn a_lamp_shows_ringing_talking_and_the_end_of_a_call() {
    let rules = Rules::default().user("ann", "100", &["ann"], "").user("bob", "200", &["bob"], "");
    let office = rules.user("kim", "300", &["kim"], "").open();
    let bob = office.phone("bob", office.scenario("callee").pause_ms(3000));
    let lamp = watcher(&office, "kim", "dialog", "200", "terminated");
    office.dial("ann", "200").pause_ms(2000).run();
    bob.succeeds();
    let told = lamp.got("NOTIFY");
    for (version, document) in told.iter().enumerate() {
        assert!(document.contains(&format!("version=\"{version}\" state=\"full\"")), "{told:#?}");
        assert!(document.contains(&format!("entity=\"sip:200@{DOMAIN}\"")), "{told:#?}");
    }
    assert!(!told[0].contains("<dialog "), "nothing yet: {}", told[0]);
    let with = |state: &str| told.iter().position(|document| document.contains(state));
    let states = ["early", "confirmed", "terminated"].map(|s| with(&format!("<state>{s}</state>")));
    assert!(states.is_sorted() && states.iter().all(Option::is_some), "{told:#?}");
    let talking = &told[states[1].unwrap_or_default()];
    assert!(talking.contains("direction=\"recipient\"") && talking.contains("sip:100@"), "{talking}");
}
