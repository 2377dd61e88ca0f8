//! Rows of `docs/behaviour.md` that are about data and its administration, through a daemon that runs. Each test is named after its
//! row.

use super::running::{Place, Running};
use hyper::{Method, StatusCode};
use ringtree::admin::client::Ask;
use serde_json::{Value, json};

const DOMAIN: &str = "/v1/domains/pbx.test.example";

fn ask(running: &Running<'_>, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let path = format!("{DOMAIN}/{path}");
    let mut ask = Ask::new(method, &path);
    if let Some(body) = &body {
        ask = ask.json(body);
    }
    let answer = running.ask(ask);
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

/// Tags of a call between extensions.
fn tags(running: &Running<'_>, from: &str, to: &str) -> Vec<String> {
    // A Wednesday.
    let moment = ["--at", "2026-11-25T10:00", "--given", "offline=[]"];
    let routed =
        running.run(&[&["route", "--to", to, "--from", from, "--json"], &moment[..]].concat()).ended(0);
    let tags = routed.json()["tags"].clone();
    tags.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

#[test]
fn u1_further_extensions_come_and_go_and_the_first_stays() {
    let place = Place::new();
    let running = place.start();
    let exts = |exts: &[&str]| ask(&running, Method::PATCH, "users/ada", Some(json!({ "exts": exts })));
    assert_eq!(exts(&["1011", "1012"]).0, StatusCode::OK);
    assert!(tags(&running, "102", "1012").contains(&"user:ada".into()));
    assert_eq!(exts(&["1011"]).0, StatusCode::OK);
    assert!(!tags(&running, "102", "1012").contains(&"user:ada".into()));
    for reached in ["101", "1011"] {
        assert!(tags(&running, "102", reached).contains(&"user:ada".into()));
    }
    let (status, problem) = exts(&["102"]);
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "another's extension: {problem}");
}

#[test]
fn u15_users_come_from_a_table_after_a_preview_that_can_be_edited() {
    let place = Place::new();
    place.run(&["import", "--template"]).ended(0);
    place.write("people.csv", "ext,first_name,last_name\n103,Zoe,Hall\n");
    let preview = place.run(&["import", "people.csv", "--into", "rules"]).ended(0).out;
    assert!(preview.contains("+[user.hall]"), "{preview}");
    place.write("people.csv", "ext,first_name,last_name\n104,Zoe,Hall\n");
    place.run(&["import", "people.csv", "--into", "rules", "--write"]).ended(0);
    let running = place.start();
    assert!(tags(&running, "101", "104").contains(&"user:hall".into()));
}

#[test]
fn t2_rules_change_places_and_the_first_that_holds_is_the_active_one() {
    let place = Place::new();
    let running = place.start();
    for (name, days) in [("one", "mon-wed"), ("two", "wed-fri")] {
        let frame = json!({ "weekly": [days] });
        assert_eq!(ask(&running, Method::PUT, &format!("time-frames/{name}"), Some(frame)).0, StatusCode::OK);
    }
    let chosen = |first: &str, second: &str| {
        let rule = |name: &str| json!({ "name": name, "when": name });
        let rules = json!({ "rule": [rule(first), rule(second), { "name": "Default", "when": "always" }] });
        let (status, problem) = ask(&running, Method::PATCH, "users/ada", Some(rules));
        assert_eq!(status, StatusCode::OK, "{problem}");
        tags(&running, "102", "101").into_iter().find(|tag| tag.starts_with("rule:"))
    };
    assert_eq!(chosen("one", "two").as_deref(), Some("rule:ada/one"));
    assert_eq!(chosen("two", "one").as_deref(), Some("rule:ada/two"));
}
