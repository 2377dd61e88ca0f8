//! One object at a time, through the socket and the command line: edits in place, status beside them, refusals.

use super::running::{Place, Running, USERS};
use hyper::{Method, StatusCode};
use ringtree::admin::client::{Answer, Ask};
use serde_json::{Value, json};

const DOMAIN: &str = "/v1/domains/pbx.test.example";

fn more(place: &Place) {
    place.write(
        "rules/rest.toml",
        "[list.spam]  # who rings too often\nnumbers = [\n  \"+1900.\",  # premium\n]\n\n[time_frame.storm]\noverride = \"off\"\n",
    );
    place.write(
        "rules/desk.toml",
        "[device.desk-7]\nauth = { user = \"desk7\", secret = \"plain:third\" }\nhotdesk = true\n",
    );
}

fn ask(
    running: &Running<'_>,
    method: Method,
    path: &str,
    body: Option<&Value>,
    generation: Option<u64>,
) -> Answer {
    let path = format!("{DOMAIN}/{path}");
    let mut ask = Ask::new(method, &path);
    if let Some(body) = body {
        ask = ask.json(body);
    }
    ask.if_generation = generation;
    running.ask(ask)
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn exported(running: &Running<'_>, file: &str) -> String {
    body(&ask(running, Method::GET, "rules/export", None, None))[file].as_str().unwrap().to_owned()
}

#[test]
fn an_edit_is_one_generation_and_keeps_comments_and_order() {
    let place = Place::new();
    more(&place);
    let running = place.start();
    let said =
        running.run(&["user", "set", "ada", "ring_for=30s", "rule.Always.forward.busy=reject:600"]).ended(0);
    assert!(said.out.contains("generation 2 is live"), "{}", said.out);
    let wanted = USERS
        .replace("name = \"Ada Lovelace\"\n", "name = \"Ada Lovelace\"\nring_for = \"30s\"\n")
        .replace("reject:486", "reject:600")
        .replace("plain:first", "plain:***")
        .replace("plain:second", "plain:***");
    assert_eq!(exported(&running, "users.toml"), wanted);
    // Nobody is registered.
    running.run(&["user", "set", "ada", "rule.Always.forward.offline=reject:404"]).ended(0);
    let outcome = running.run(&["route", "--to", "101", "--from", "102", "--json"]).ended(0).json();
    assert_eq!(
        (&outcome["outcome"]["status"], &outcome["generation"]),
        (&json!(404), &json!(3)),
        "{outcome}"
    );
    running.run(&["user", "set", "101", "--unset", "ring_for"]).ended(0);
    assert!(!exported(&running, "users.toml").contains("ring_for"), "by extension, too");
    let same = running.run(&["user", "set", "ada", "ext=101"]).ended(0);
    assert!(same.out.contains("nothing was written"), "{}", same.out);
}

#[test]
fn lists_grow_and_shrink_entry_by_entry() {
    let place = Place::new();
    more(&place);
    let running = place.start();
    running.run(&["list", "set", "spam", "numbers+=+442079460000"]).ended(0);
    assert!(exported(&running, "rest.toml").contains("  \"+1900.\",  # premium\n  \"+442079460000\",\n]"));
    running.run(&["list", "set", "spam", "numbers-=+1900."]).ended(0);
    let shown = running.run(&["list", "show", "spam", "--json"]).ended(0).json();
    assert_eq!(shown["value"], json!({ "numbers": ["+442079460000"] }));
    assert_eq!(shown["at"], "rest.toml:1:1");
    running.run(&["list", "set", "vip", "numbers=[\"+442079460001\"]"]).ended(0);
    let listed = running.run(&["list", "list"]).ended(0).out;
    assert!(listed.contains("spam") && listed.contains("vip"), "{listed}");
    running.run(&["list", "remove", "vip"]).ended(0);
    running.run(&["list", "show", "vip"]).ended(1);
    assert!(
        running
            .run(&["list", "set", "spma", "--unset", "file"])
            .ended(1)
            .last_line()
            .contains("did you mean `spam`")
    );
}

#[test]
fn a_wrong_edit_shows_the_diagnostic_and_changes_nothing() {
    let place = Place::new();
    let running = place.start();
    let ran = running.run(&["user", "set", "ada", "call_watiing=false"]).ended(2);
    assert!(ran.err.contains("did you mean `call_waiting`"), "{}", ran.err);
    assert!(ran.last_line().contains("not applied"));
    let golden = running.run(&["user", "set", "ada", "rule.Always.forward.always=reject:404"]).ended(2);
    assert!(golden.err.contains("golden test `Ada rings`"), "{}", golden.err);
    assert!(
        running
            .run(&["user", "set", "ada", "--until", "18:00", "ext=1"])
            .ended(2)
            .last_line()
            .contains("--until")
    );
    assert_eq!(
        body(&ask(&running, Method::GET, "rules/history", None, None))["generations"][0]["generation"],
        1
    );
}

#[test]
fn objects_are_read_put_patched_and_removed_over_the_socket() {
    let place = Place::new();
    more(&place);
    let running = place.start();
    let new = json!({ "ext": "103", "name": "Cy Hall" });
    let made = ask(&running, Method::PUT, "users/cy", Some(&new), Some(1));
    assert_eq!((made.status, made.generation), (StatusCode::OK, Some(2)), "{:?}", body(&made));
    assert_eq!(body(&made)["object"]["toml"], "[user.cy]\next = \"103\"\nname = \"Cy Hall\"\n");
    let stale = ask(&running, Method::PATCH, "users/cy", Some(&json!({ "name": "Cy" })), Some(1));
    assert_eq!((stale.status, &body(&stale)["current"]), (StatusCode::PRECONDITION_FAILED, &json!(2)));
    let patched =
        ask(&running, Method::PATCH, "users/cy", Some(&json!({ "name": "Cy", "ring_for": "20s" })), Some(2));
    assert_eq!(body(&patched)["object"]["value"], json!({ "ext": "103", "name": "Cy", "ring_for": "20s" }));
    let shown = ask(&running, Method::GET, "users/103", None, None);
    assert_eq!((shown.generation, &body(&shown)["display"]), (Some(3), &json!("Cy")));
    let gone = ask(&running, Method::DELETE, "users/cy", None, Some(3));
    assert_eq!(gone.status, StatusCode::OK, "{:?}", body(&gone));
    assert_eq!(ask(&running, Method::GET, "users/cy", None, None).status, StatusCode::NOT_FOUND);
    let device = body(&ask(&running, Method::GET, "devices/101a", None, None));
    assert_eq!(device["value"]["auth"]["secret"], "plain:***", "no secret leaves");
    for (method, path, wrong) in [
        (Method::PATCH, "users/ada", json!("x")),
        (Method::PATCH, "users/ada", json!([{ "op": "sett", "at": ["ext"], "value": 1 }])),
        (Method::PUT, "users/ada", json!([])),
    ] {
        assert_eq!(
            ask(&running, method, path, Some(&wrong), None).status,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    assert_eq!(ask(&running, Method::GET, "widgets", None, None).status, StatusCode::NOT_FOUND);
}

#[test]
fn what_others_refer_to_is_not_removed_and_they_are_named() {
    let place = Place::new();
    let running = place.start();
    let refused = ask(&running, Method::DELETE, "users/ben", None, None);
    let refused = (refused.status, body(&refused));
    assert_eq!(
        (refused.0, &refused.1["type"]),
        (StatusCode::CONFLICT, &json!("urn:ringtree:problem:still-referred-to"))
    );
    let places: Vec<_> =
        refused.1["referrers"].as_array().unwrap().iter().map(|r| r["at"].as_str().unwrap()).collect();
    assert!(places.iter().any(|at| at.starts_with("users.toml:15:")), "device.102a: {places:?}");
    assert!(running.run(&["user", "remove", "ben"]).ended(2).last_line().contains("device:102a"));
}

#[test]
fn status_is_set_beside_the_rules_by_the_same_verb() {
    let place = Place::new();
    more(&place);
    let running = place.start();
    let forced = running
        .run(&["time-frame", "set", "storm", "override=on", "--until", "2099-01-01T00:00:00Z"])
        .ended(0)
        .out;
    assert!(forced.contains("override on, until 2099-01-01T00:00:00+00:00"), "{forced}");
    assert!(running.run(&["time-frame", "show", "storm"]).ended(0).out.contains("# now override on"));
    let seated = running.run(&["device", "set", "desk-7", "hotdesk=ada"]).ended(0).out;
    assert!(seated.contains("logged in ada"), "{seated}");
    running.run(&["device", "set", "desk-7", "hotdesk=rules"]).ended(0);
    running.run(&["time-frame", "set", "storm", "override=rules"]).ended(0);
    let history = running.run(&["history", "--json"]).ended(0).json();
    assert_eq!(history["generations"].as_array().unwrap().len(), 1, "no edit of the rules: {history}");
}

#[test]
fn a_trunk_of_a_transport_that_we_do_not_listen_by_is_told_of_with_its_line() {
    let place = Place::new();
    let secure = |n: u8| format!("[trunk.secure{n}]\nproxy = \"127.0.0.{n}\"\ntransport = \"tls\"\n");
    place.write("rules/trunks.toml", &format!("# carriers\n{}", secure(2)));
    let running = place.start();
    let says = "trunks.toml:2:1: trunk secure2 has transport = \"tls\", and `[sip] listen` has no `tls://`";
    assert!(place.log().contains(says), "{}", place.log());
    let shown = running.run(&["trunks", "--json"]).ended(0).json();
    assert_eq!((&shown[0]["state"], &shown[0]["addresses"]), (&"no_listener".into(), &serde_json::json!([])));
    place.write("rules/trunks.toml", &format!("# carriers\n{}{}", secure(2), secure(3)));
    let applied = running.run(&["apply", "rules"]).ended(0);
    assert!((applied.out + &applied.err).contains("trunks.toml:5:1: trunk secure3 has transport"));
}

#[test]
fn trunks_are_shown_as_they_are_now() {
    let place = Place::new();
    place.write(
        "rules/trunks.toml",
        "[trunk.carrier]\nproxy = \"127.0.0.2:5070\"\nchannels = 4\n[trunk.inward]\naccept_from = [\"127.0.0.9\"]\n",
    );
    let running = place.start();
    let trunks = || running.run(&["trunks", "--json"]).ended(0).json();
    // Addresses are looked up beside the start: each question takes a while, and a few of them as long as that.
    let found = (0..500).map(|_| trunks()).find(|trunks| trunks[0]["state"] == "up").unwrap();
    let carrier = json!({ "domain": "pbx.test.example", "name": "carrier", "proxy": "127.0.0.2:5070", "transport": "udp",
        "addresses": ["127.0.0.2:5070"],
        "targets": [{ "address": "127.0.0.2:5070", "transport": "udp", "state": "up", "until": null }], "channels_in_use": 0, "channels": 4, "calls": 0, "failures": 0, "state": "up",
        "registration": null });
    assert_eq!(found[0], carrier);
    assert_eq!((&found[1]["name"], &found[1]["state"]), (&json!("inward"), &json!("inbound")));
    let shown = running.run(&["trunks"]).ended(0).out;
    assert!(shown.contains("0 of 4") && shown.contains("127.0.0.2:5070 (udp)"), "{shown}");
    running.run(&["trunks", "--domain", "other.example"]).ended(1);
}
