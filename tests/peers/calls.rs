//! Registration, calls between phones, and what phones are told: with digest, as most phones do.

use crate::support::baresip::Baresip;
use crate::support::daemon::{Daemon, Home};
use crate::support::sipp::{Over, Scenario, Sipp};
use crate::support::until;
use crate::{assert_tags, tags};
use serde_json::Value;

const RULES: &[(&str, &str)] = &[("domain.toml", include_str!("rules/domain.toml"))];

pub fn home() -> Home {
    Home::new("peers.example", RULES)
}

/// Starts `scenario` as the phone of `user`, and registers it with digest.
fn phone(daemon: &Daemon, user: &str, scenario: Scenario<'_>) -> Sipp {
    let phone = scenario.start().listening();
    register(daemon, user, &phone.local.to_string());
    phone
}

fn register(daemon: &Daemon, user: &str, contact: &str) {
    Scenario::new("register", daemon.udp).user(user).key("contact", contact).run();
}

fn call<'a>(daemon: &Daemon, scenario: &'static str, callee: &'a str) -> Scenario<'a> {
    Scenario::new(scenario, daemon.udp).user("alice").key("callee", callee)
}

#[test]
fn a_phone_registers_with_digest_and_is_listed() {
    let home = home();
    let daemon = home.start();
    register(&daemon, "bob", "127.0.0.1:5999");
    let listed = daemon.list("/v1/registrations");
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert_eq!(listed[0]["device"], "bob");
    assert!(listed[0].to_string().contains("sip:bob@127.0.0.1:5999"), "{listed:#?}");
}

#[test]
fn a_phone_with_a_wrong_password_is_not_registered() {
    let home = home();
    let daemon = home.start();
    let wrong = Scenario::new("register_refused", daemon.udp).user("bob").password("guess");
    wrong.key("contact", "127.0.0.1:5999").run();
    assert!(daemon.list("/v1/registrations").is_empty());
}

#[test]
fn a_call_rings_is_answered_and_ended() {
    let home = home();
    let daemon = home.start();
    let bob = phone(&daemon, "bob", Scenario::new("callee", daemon.udp).pause_ms(200));
    call(&daemon, "caller", "102").pause_ms(300).run();
    bob.succeeds();
    let record = daemon.only_record();
    assert_eq!(record["outcome"], "answered", "{record:#}");
    assert_eq!(record["status"], 200);
    assert_eq!(record["answered_by"]["device"], "bob");
    assert_tags(&record, &["ext:102", "rule:bob", "ring:bob", "answered:bob"]);
    let explained = daemon.verb(&["explain", record["call_id"].as_str().expect("a Call-ID")]);
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.status.success() && text.contains("domain.toml:"), "{text}{explained:?}");

    // What is explained afterwards is what would have been said before, and who answered.
    let start = record["start"].as_str().expect("a time");
    let said = daemon.verb(&["route", "--to", "102", "--from-device", "alice", "--at", start, "--json"]);
    let said: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let steps = |explanation: &Value| -> Vec<Value> {
        let steps = explanation["steps"].as_array().expect("steps").iter();
        steps.filter(|step| step["tag"] != "answered:bob").cloned().collect()
    };
    assert_eq!(steps(&record["explanation"]), steps(&said));
    assert_eq!(record["explanation"]["legs"], said["legs"]);
}

#[test]
fn a_call_over_tcp_comes_in_by_the_connection_that_registered() {
    let home = home();
    let daemon = home.start();
    let mut bob = Baresip::register("bob", daemon.tcp, Over::Tcp, 1000);
    let caller = Scenario::new("caller", daemon.tcp).over(Over::Tcp).user("alice").key("callee", "102");
    caller.pause_ms(300).run();
    bob.says("session closed");
    assert_eq!(daemon.list("/v1/registrations")[0]["transport"], "TCP");
    assert_eq!(daemon.only_record()["outcome"], "answered");
}

#[test]
fn a_busy_phone_ends_the_call_with_486() {
    let home = home();
    let daemon = home.start();
    let bob = phone(&daemon, "bob", Scenario::new("callee_busy", daemon.udp));
    call(&daemon, "caller_refused", "102").status(486).run();
    bob.succeeds();
    let record = daemon.only_record();
    assert_eq!(record["outcome"], "busy", "{record:#}");
    assert_tags(&record, &["ring:bob", "busy", "reject:486"]);
}

#[test]
fn nobody_registered_ends_the_call_with_480() {
    let home = home();
    let daemon = home.start();
    call(&daemon, "caller_refused", "102").status(480).run();
    let record = daemon.only_record();
    assert_eq!(record["outcome"], "offline", "{record:#}");
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing_and_gets_487() {
    let home = home();
    let daemon = home.start();
    let bob = phone(&daemon, "bob", Scenario::new("callee_missed", daemon.udp));
    call(&daemon, "caller_cancels", "102").run();
    bob.succeeds();
    let record = daemon.only_record();
    assert_eq!(record["outcome"], "caller_gone", "{record:#}");
    assert_eq!(record["status"], 487);
}

#[test]
fn no_answer_within_two_seconds_moves_the_call_to_the_next_user() {
    let home = home();
    let daemon = home.start();
    let carol = phone(&daemon, "carol", Scenario::new("callee_missed", daemon.udp));
    let bob = phone(&daemon, "bob", Scenario::new("callee", daemon.udp));
    call(&daemon, "caller", "103").run();
    carol.succeeds();
    bob.succeeds();
    let record = daemon.only_record();
    assert_eq!(record["outcome"], "answered", "{record:#}");
    assert_eq!(record["answered_by"]["user"], "bob");
    assert_tags(
        &record,
        &["ring:carol@0+2", "no_answer", "forward:no_answer", "user:bob", "ring:bob", "answered:bob"],
    );
}

#[test]
fn one_of_four_phones_answers_and_three_hear_that_it_was_answered_elsewhere() {
    let home = home();
    let daemon = home.start();
    let answers = phone(&daemon, "dave1", Scenario::new("callee", daemon.udp).pause_ms(500));
    let losers = ["dave2", "dave3", "dave4"]
        .map(|user| phone(&daemon, user, Scenario::new("callee_elsewhere", daemon.udp)));
    call(&daemon, "caller", "104").pause_ms(200).run();
    answers.succeeds();
    losers.into_iter().for_each(Sipp::succeeds);
    let record = daemon.only_record();
    assert_eq!(record["answered_by"]["device"], "dave1", "{record:#}");
    assert_eq!(record["legs"].as_array().map(Vec::len), Some(4));
}

#[test]
fn four_contacts_of_one_phone_ring_together_and_three_are_cancelled() {
    let home = home();
    let daemon = home.start();
    let answers = phone(&daemon, "bob", Scenario::new("callee", daemon.udp).pause_ms(500));
    let losers = [(); 3].map(|()| phone(&daemon, "bob", Scenario::new("callee_elsewhere", daemon.udp)));
    call(&daemon, "caller", "102").pause_ms(200).run();
    answers.succeeds();
    losers.into_iter().for_each(Sipp::succeeds);
    let record = daemon.only_record();
    assert_eq!(record["outcome"], "answered", "{record:#}");
    assert_eq!(tags(&record).iter().filter(|tag| tag.starts_with("ring:bob")).count(), 1, "one tag a device");
}

#[test]
fn do_not_disturb_acts_on_the_next_call_and_survives_a_restart() {
    let home = home();
    let daemon = home.start();
    register(&daemon, "bob", "127.0.0.1:5999");
    let set = daemon.verb(&["user", "set", "bob", "dnd=on"]);
    assert!(set.status.success(), "{set:?}");
    call(&daemon, "caller_refused", "102").status(480).run();
    assert_tags(&daemon.only_record(), &["dnd", "reject:480"]);
    daemon.kill();

    let again = home.start();
    call(&again, "caller_refused", "102").status(480).run();
    let records =
        until("the second record", || Some(again.list("/v1/records")).filter(|list| list.len() == 2));
    assert!(records.iter().all(|record| tags(record).contains(&"dnd")), "{records:#?}");
}
