//! Verbs that need no daemon, and what verbs that do say without one.

use super::running::{DOMAIN, Place};

#[test]
fn check_ends_with_0_on_warnings_1_on_a_golden_failure_and_2_on_an_error() {
    let place = Place::new();
    let fine = place.run(&["check", "rules"]).ended(0);
    assert!(fine.out.trim_end().ends_with("1 golden test passed, 0 failed"), "{}", fine.out);
    assert!(fine.out.contains("full mailboxes: \"rotate\""), "{}", fine.out);

    place.write(
        "rules/expect.toml",
        "[[expect]]\nname = \"Ada is away\"\ncall = { from = \"102\", to = \"101\" }\nthen = [\"reject:404\"]\n",
    );
    let failed = place.run(&["check", "rules"]).ended(1);
    assert!(failed.out.contains("expect.toml:1:1: golden test `Ada is away` failed"), "{}", failed.out);

    place.write("rules/domain.toml", &DOMAIN.replace("timezone", "time_zone"));
    let broken = place.run(&["check", "rules"]).ended(2);
    assert!(broken.out.contains("domain.toml:4:1"), "{}", broken.out);
    assert!(broken.out.contains("timezone"), "the key that was meant: {}", broken.out);
}

#[test]
fn check_json_has_the_promised_shape() {
    let place = Place::new();
    place.write("rules/more.toml", "[user.eve]\nex = \"103\"\n");
    let found = place.run(&["check", "rules", "--json"]).ended(2).json();
    let diagnostic =
        found["diagnostics"].as_array().unwrap().iter().find(|d| d["severity"] == "error").unwrap();
    assert_eq!(diagnostic["file"], "more.toml");
    assert!(diagnostic["line"].is_u64() && diagnostic["column"].is_u64());
    for text in ["code", "message", "help"] {
        assert!(diagnostic[text].is_string(), "{text} in {diagnostic}");
    }
    assert_eq!(found["expectations"]["failures"], serde_json::json!([]));
}

#[test]
fn check_without_a_directory_takes_what_the_configuration_loads() {
    let place = Place::new();
    place.run(&["check"]).ended(0);
    place.write("ringtree.toml", "[rules]\nload = [\"nowhere\"]\n");
    assert!(place.run(&["check"]).ended(2).last_line().contains("nowhere does not exist"));
}

#[test]
fn route_by_files_explains_itself_and_a_rejection_is_an_answer() {
    let place = Place::new();
    let rings =
        place.run(&["route", "--to", "101", "--from", "102", "--rules", "rules", "--json"]).ended(0).json();
    assert_eq!(rings["outcome"]["kind"], "ring");
    assert_eq!(rings["legs"][0]["to"], "device:101a");
    assert!(rings["steps"].as_array().unwrap().iter().any(|s| s["at"] == "users.toml:4:1"), "{rings}");

    let busy = [
        "route",
        "--to",
        "101",
        "--from",
        "102",
        "--rules",
        "rules",
        "--json",
        "--given",
        "active_calls = { ada = 2 }",
    ];
    let busy = place.run(&busy).ended(0).json();
    assert_eq!(busy["outcome"], serde_json::json!({ "kind": "reject", "status": 486 }));

    let text = place.run(&["route", "--to", "101", "--from", "102", "--rules", "rules"]).ended(0).out;
    assert!(text.contains("rule:ada/Always  (users.toml:4:1)"), "{text}");
}

#[test]
fn a_question_that_makes_no_sense_is_exit_2() {
    let place = Place::new();
    for more in
        [&["--at", "noon"][..], &["--given", "offlin=[]"], &["--from-device", "999z"], &["--domain", "other"]]
    {
        let arguments = [&["route", "--to", "101", "--rules", "rules"], more].concat();
        place.run(&arguments).ended(2).last_line();
    }
    place.run(&["route"]).ended(2);
    place.run(&["frobnicate"]).ended(2);
}

#[test]
fn tree_is_text_dot_or_json_and_no_tree_is_exit_1() {
    let place = Place::new();
    let tree = |more: &[&str]| place.run(&[&["tree", "101", "--rules", "rules"], more].concat()).ended(0);
    assert!(tree(&[]).out.contains("ring by rule `Always`  (users.toml:4:1)"));
    assert!(tree(&["--format", "dot"]).out.starts_with("digraph \"101\""));
    assert_eq!(tree(&["--json"]).json()["of"], "101");
    place.run(&["tree", "999", "--rules", "rules"]).ended(1).last_line();
}

#[test]
fn without_a_daemon_every_verb_that_needs_one_is_exit_3() {
    let place = Place::new();
    for verb in [
        &["calls"][..],
        &["registrations"],
        &["user", "list"],
        &["apply", "rules"],
        &["export", "out"],
        &["hangup", "1"],
        &["explain", "1"],
        &["events"],
        &["route", "--to", "101"],
        &["tree", "101"],
    ] {
        let line = place.run(verb).ended(3);
        assert!(line.last_line().contains("ringtree-data/admin.sock"), "{}", line.err);
    }
}

#[test]
fn every_verb_says_what_it_does() {
    let place = Place::new();
    for verb in [
        "run",
        "check",
        "route",
        "tree",
        "apply",
        "export",
        "user",
        "calls",
        "hangup",
        "registrations",
        "explain",
        "events",
    ] {
        let help = place.run(&[verb, "--help"]).ended(0).out;
        assert!(help.lines().count() > 5, "{help}");
    }
    let config = place.run(&["run", "--print-config"]).ended(0).out;
    assert!(config.contains("[sip]\n") && config.contains("listen = [\"udp://127.0.0.1:5060\""), "{config}");
}
