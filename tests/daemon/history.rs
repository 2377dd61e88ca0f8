//! What was before: history, rollback, trials that are confirmed, taken back and survive a restart, diff and blame.

use super::running::{Place, Running, USERS};
use serde_json::Value;
use std::ops::ControlFlow;
use std::time::Duration;

fn generation(running: &Running<'_>) -> u64 {
    running.run(&["history", "--json"]).ended(0).json()["generations"][0]["generation"].as_u64().unwrap()
}

fn display(running: &Running<'_>) -> String {
    running.run(&["user", "show", "ada", "--json"]).ended(0).json()["display"].as_str().unwrap().to_owned()
}

fn rename(place: &Place, name: &str) {
    place.write("rules/users.toml", &USERS.replace("Ada Lovelace", name));
}

#[test]
fn history_says_who_did_what_and_rollback_makes_a_new_generation() {
    let place = Place::new();
    let running = place.start();
    running.run(&["user", "set", "ada", "name=Ada King"]).ended(0);
    rename(&place, "Ada Byron");
    running.run(&["apply", "rules"]).ended(0);
    let listed = running.run(&["history"]).ended(0).out;
    let what: Vec<_> = listed.lines().skip(1).map(|l| l.split_whitespace().next().unwrap()).collect();
    assert_eq!(what, ["3", "2", "1"], "{listed}");
    assert!(
        listed.contains("edit user.ada") && listed.contains("apply") && listed.contains("load"),
        "{listed}"
    );
    let uid = rustix::process::geteuid().as_raw().to_string();
    assert!(listed.contains(&format!("({uid})")) || listed.contains(&format!("  {uid}  ")), "{listed}");
    let history = running.run(&["history", "--json"]).ended(0).json();
    for generation in history["generations"].as_array().unwrap() {
        let applied = generation["applied"].as_str().unwrap();
        assert_eq!(applied.len(), "2026-11-22T04:08:02.847Z".len(), "milliseconds: {applied}");
    }
    running.run(&["rollback", "2"]).ended(0);
    assert_eq!((generation(&running), display(&running).as_str()), (4, "Ada King"));
    assert!(running.run(&["rollback", "99"]).ended(1).last_line().contains("no generation 99"));
    running.run(&["rollback", "1", "--if-generation", "3"]).ended(2);
    assert_eq!(running.stop(), 0);
    let again = place.start();
    assert_eq!((generation(&again), display(&again).as_str()), (4, "Ada King"));
    assert!(again.run(&["history"]).ended(0).out.contains("rollback to 2"));
}

#[test]
fn diff_shows_lines_masks_secrets_and_exits_1_where_something_differs() {
    let place = Place::new();
    let running = place.start();
    assert_eq!(running.run(&["diff", "rules"]).ended(0).out, "");
    rename(&place, "Ada King");
    place.write("rules/new.toml", "[list.x]\nnumbers = [\"+1900.\"]\n");
    let shown = running.run(&["diff", "rules"]).ended(1).out;
    assert!(shown.contains("-name = \"Ada Lovelace\"\n+name = \"Ada King\"\n"), "{shown}");
    assert!(shown.contains("--- /dev/null\n+++ new.toml\n"), "{shown}");
    let found = running.run(&["diff", "rules", "--json"]).ended(1).json();
    assert_eq!(found[0]["files"][0]["change"], "added");
    place.write("rules/users.toml", &USERS.replace("plain:first", "plain:other"));
    let secret = running.run(&["diff", "rules"]).ended(1).out;
    assert!(
        secret.contains("a secret") && !secret.contains("other") && !secret.contains("first"),
        "{secret}"
    );
}

#[test]
fn blame_names_the_generation_of_each_line() {
    let place = Place::new();
    let running = place.start();
    running.run(&["user", "set", "ada", "ring_for=30s"]).ended(0);
    running.run(&["user", "set", "ada", "rule.Always.forward.busy=reject:600"]).ended(0);
    let lines =
        running.run(&["blame", "user:ada", "--json"]).ended(0).json()["lines"].as_array().unwrap().clone();
    let of = |line: &str| {
        lines.iter().find(|l| l["line"] == line).unwrap_or_else(|| panic!("{lines:?}"))["generation"].clone()
    };
    assert_eq!(of("ext = \"101\""), 1);
    assert_eq!(of("ring_for = \"30s\""), 2);
    assert_eq!(of("forward.busy = \"reject:600\""), 3);
    let rule = running.run(&["blame", "rule:ada/Always"]).ended(0).out;
    assert!(rule.contains("forward.busy") && !rule.contains("ring_for"), "{rule}");
    running.run(&["blame", "user:eve"]).ended(1);
    running.run(&["blame", "eve"]).ended(2);
}

#[test]
fn what_is_confirmed_stays_and_what_is_on_trial_is_not_overwritten() {
    let place = Place::new();
    place.write("rules/list.toml", "[list.x]\nnumbers = [\"+1900.\"]\n");
    let running = place.start();
    rename(&place, "Ada King");
    let said = running.run(&["apply", "rules", "--confirm-within", "1h"]).ended(0).out;
    assert!(said.contains("unless `ringtree confirm`"), "{said}");
    assert!(
        running.run(&["user", "set", "ada", "ring_for=9s"]).ended(2).last_line().contains("on trial until")
    );
    running.run(&["list", "set", "x", "numbers+=+1901."]).ended(0);
    assert!(running.run(&["history"]).ended(0).out.contains("generation 2 is on trial until"));
    running.run(&["apply", "rules", "--until", "6pm"]).ended(2);
    running.run(&["confirm"]).ended(0);
    running.run(&["confirm"]).ended(1);
    running.run(&["user", "set", "ada", "ring_for=9s"]).ended(0);
    assert_eq!(display(&running), "Ada King");
}

/// Waits for the event that a trial has been taken back, which `cause` begins.
fn taken_back(running: &Running<'_>, cause: impl FnOnce()) {
    let client = running.client();
    let follow = client.follow("/v1/events", cause, |event, data| {
        let over = event == "alarm" && data.contains("taken back");
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    super::running::block_on(async { tokio::time::timeout(Duration::from_secs(30), follow).await })
        .unwrap()
        .unwrap();
}

#[test]
fn what_nobody_confirms_is_taken_back_and_edits_of_other_files_stay() {
    let place = Place::new();
    place.write("rules/list.toml", "[list.x]\nnumbers = [\"+1900.\"]\n");
    let running = place.start();
    rename(&place, "Ada King");
    taken_back(&running, || {
        running.run(&["apply", "rules", "--confirm-within", "3s"]).ended(0);
        assert_eq!(display(&running), "Ada King");
        running.run(&["list", "set", "x", "numbers+=+1901."]).ended(0);
    });
    assert_eq!((generation(&running), display(&running).as_str()), (4, "Ada Lovelace"));
    let list: Value = running.run(&["list", "show", "x", "--json"]).ended(0).json();
    assert_eq!(list["value"]["numbers"].as_array().unwrap().len(), 2, "{list}");
    assert!(running.run(&["history"]).ended(0).out.contains("undo of 2, which was not confirmed"));
}

#[test]
fn a_trial_survives_a_restart_and_is_taken_back_after_it() {
    let place = Place::new();
    let running = place.start();
    rename(&place, "Ada King");
    running.run(&["apply", "rules", "--confirm-within", "4s"]).ended(0);
    assert_eq!(running.stop(), 0);
    let again = place.start();
    // Whether it came while the daemon was down or comes now: the first look after the start takes it back.
    let mut looks = 3_000;
    while display(&again) == "Ada King" && looks > 0 {
        std::thread::park_timeout(Duration::from_millis(10));
        looks -= 1;
    }
    assert_eq!(display(&again), "Ada Lovelace");
    again.run(&["confirm"]).ended(1);
}

#[test]
fn rollback_ends_a_trial_and_until_is_told_apart() {
    let place = Place::new();
    let running = place.start();
    rename(&place, "Ada King");
    let said = running.run(&["apply", "rules", "--until", "23:59"]).ended(0).out;
    assert!(said.contains("it is taken back at") && !said.contains("unless"), "{said}");
    running.run(&["rollback", "1"]).ended(0);
    running.run(&["confirm"]).ended(1);
    assert_eq!(display(&running), "Ada Lovelace");
    let both = running.run(&["apply", "rules", "--until", "23:59", "--confirm-within", "1h"]);
    both.ended(2);
}
