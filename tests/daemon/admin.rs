//! The admin socket of a daemon that runs: edits, status, events, roles of routes, and the description of itself.

use super::running::{Place, Running, USERS, block_on};
use hyper::{Method, StatusCode};
use ringtree::admin::client::{Answer, Ask};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const RULES: &str = "/v1/domains/pbx.test.example/rules";

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// A problem document with this status and type.
#[track_caller]
fn problem(answer: &Answer, status: u16, name: &str) -> Value {
    let body = body(answer);
    assert_eq!(
        (answer.status.as_u16(), &body["type"]),
        (status, &json!(format!("urn:ringtree:problem:{name}"))),
        "{body}"
    );
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].is_string());
    body
}

fn get(running: &Running<'_>, path: &str) -> Value {
    let answer = running.ask(Ask::new(Method::GET, path));
    assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
    body(&answer)
}

fn files(place: &Place) -> BTreeMap<String, String> {
    let read =
        |name: &str| (name.to_owned(), std::fs::read_to_string(place.path("rules").join(name)).unwrap());
    ["domain.toml", "users.toml", "expect.toml"].map(read).into()
}

fn apply(running: &Running<'_>, files: &BTreeMap<String, String>, if_generation: Option<u64>) -> Answer {
    let path = format!("{RULES}/apply");
    let mut ask = Ask::new(Method::POST, &path).json(files);
    ask.if_generation = if_generation;
    running.ask(ask)
}

#[test]
fn broken_rules_leave_the_running_ones_untouched_and_show_every_diagnostic() {
    let place = Place::new();
    let running = place.start();
    let mut edit = files(&place);
    edit.insert(
        "users.toml".into(),
        USERS.replace("name = \"Ada", "nam = \"Ada").replace("ext = \"102\"", "ext = 102"),
    );
    let refused = problem(&apply(&running, &edit, None), 422, "rules-broken");
    let errors: Vec<_> =
        refused["diagnostics"].as_array().unwrap().iter().filter(|d| d["severity"] == "error").collect();
    assert!(errors.iter().any(|d| d["line"] == 3) && errors.iter().any(|d| d["line"] == 13), "{errors:?}");
    assert!(refused["rendered"].as_str().unwrap().contains("users.toml:3:1"));
    assert_eq!(get(&running, "/v1/domains")[0]["generation"], 1);
    assert_eq!(get(&running, "/v1/domains/pbx.test.example/users/ada")["display"], "Ada Lovelace");

    place.write("rules/users.toml", edit.get("users.toml").unwrap());
    let ran = running.run(&["apply", "rules"]).ended(2);
    assert!(ran.err.contains("users.toml:3:1"), "{}", ran.err);
    assert!(ran.last_line().contains("not applied"));
}

#[test]
fn a_failing_golden_test_blocks_an_edit() {
    let place = Place::new();
    let running = place.start();
    let mut edit = files(&place);
    edit.insert(
        "users.toml".into(),
        USERS.replace("when = \"always\"", "when = \"always\"\nforward.always = \"reject:404\""),
    );
    let refused = problem(&apply(&running, &edit, None), 422, "golden-test-failed");
    assert_eq!(refused["expectations"]["failures"][0]["name"], "Ada rings");
    assert_eq!(get(&running, "/v1/domains")[0]["generation"], 1);
}

#[test]
fn an_edit_is_a_generation_an_unchanged_one_is_none_and_a_stale_one_is_412() {
    let place = Place::new();
    let running = place.start();
    let mut edit = files(&place);
    let same = apply(&running, &edit, None);
    assert_eq!(
        (same.status, same.generation, &body(&same)["changed"]),
        (StatusCode::OK, Some(1), &json!(false))
    );

    edit.insert("users.toml".into(), USERS.replace("Ada Lovelace", "Ada King"));
    let changed = apply(&running, &edit, Some(1));
    assert_eq!((changed.status, changed.generation), (StatusCode::OK, Some(2)));
    assert_eq!(
        get(&running, "/v1/domains/pbx.test.example/users/101")["display"],
        "Ada King",
        "by extension, too"
    );

    edit.insert("users.toml".into(), USERS.replace("Ada Lovelace", "Ada Byron"));
    let stale = problem(&apply(&running, &edit, Some(1)), 412, "generation-conflict");
    assert_eq!(stale["current"], 2);
    assert_eq!(get(&running, "/v1/domains/pbx.test.example/users/ada")["display"], "Ada King");

    // Acknowledged is durable.
    assert_eq!(running.stop(), 0);
    let again = place.start();
    assert_eq!(get(&again, "/v1/domains")[0]["generation"], 2);
    assert_eq!(get(&again, "/v1/domains/pbx.test.example/users/ada")["display"], "Ada King");
}

#[test]
fn export_masks_secrets_and_applying_it_again_changes_nothing() {
    let place = Place::new();
    let running = place.start();
    running.run(&["export", "out"]).ended(0);
    let exported = std::fs::read_to_string(place.path("out/users.toml")).unwrap();
    assert_eq!(exported, USERS.replace("plain:first", "plain:***").replace("plain:second", "plain:***"));
    let same = running.run(&["apply", "out"]).ended(0);
    assert!(same.out.contains("nothing was written"), "{}", same.out);
    running.run(&["export", "out"]).ended(2);
    running.run(&["export", "out", "--force"]).ended(0);

    // A mask where there never was a secret keeps nothing.
    place.write("out/users.toml", &exported.replace("101a", "101b"));
    let ran = running.run(&["apply", "out"]).ended(2);
    assert!(ran.last_line().contains("users.toml:11:"), "{}", ran.err);
}

#[test]
fn status_acts_on_the_next_decision_and_survives_a_restart() {
    let place = Place::new();
    let outcome = |running: &Running<'_>| {
        running
            .run(&["route", "--to", "101", "--from", "102", "--json", "--given", "offline=[]"])
            .ended(0)
            .json()["outcome"]
            .clone()
    };
    let running = place.start();
    // Nobody is registered: the mailbox.
    assert_eq!(outcome(&running)["kind"], "answered_by_system");
    running.run(&["user", "set", "ada", "forward=reject:404", "--until", "2099-01-01T00:00:00Z"]).ended(0);
    assert_eq!(outcome(&running)["status"], 404);
    assert_eq!(running.stop(), 0);

    let again = place.start();
    assert_eq!(outcome(&again)["status"], 404);
    let shown = again.run(&["user", "show", "ada"]).ended(0).out;
    assert!(shown.contains("forward to reject:404, until 2099-01-01T00:00:00+00:00"), "{shown}");
    again.run(&["user", "set", "101", "forward=rules"]).ended(0);
    assert_eq!(outcome(&again)["kind"], "answered_by_system");
}

#[test]
fn a_status_that_makes_no_sense_says_what_to_write() {
    let place = Place::new();
    let running = place.start();
    for (arguments, says) in [
        (&["ada", "dnd=maybe"][..], "dnd=on"),
        (&["ada", "rule=Nights"], "there are `Always`"),
        (&["ada", "forward=nowhere"], "no destination"),
        (&["ada", "forward=user:bne"], "did you mean `user:ben`"),
        (&["ada", "forward=tel:12"], "`12` is no number"),
        (&["ada", "dnd=on", "--until", "6pm"], "write `18:00`"),
        (&["ada", "queues.support=maybe"], "queues.support=on"),
    ] {
        let ran = running.run(&[&["user", "set"], arguments].concat()).ended(2);
        assert!(ran.last_line().contains(says), "{}", ran.err);
    }
    running.run(&["user", "set", "eve", "dnd=on"]).ended(1);
    let set = running.run(&["user", "set", "ada", "forward=tel:07700 900123"]).ended(0).out;
    assert!(set.contains("forward to tel:+447700900123"), "{set}");
}

#[test]
fn events_reach_who_listens() {
    let place = Place::new();
    let running = place.start();
    let mut seen = Vec::new();
    let cause = || {
        running.run(&["user", "set", "ada", "dnd=on"]).ended(0);
        running.run(&["user", "set", "ben", "dnd=on"]).ended(0);
    };
    let client = running.client();
    let follow = client.follow("/v1/events", cause, |event, data| {
        // The rules of the start may still be news.
        if event != "rules.applied" {
            seen.push((event.to_owned(), serde_json::from_str::<Value>(data).unwrap()));
        }
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), follow).await })
        .unwrap()
        .unwrap();
    let event = |user: &str| {
        let data = json!({ "domain": "pbx.test.example", "user": user, "status": { "dnd": true } });
        ("status.changed".to_owned(), data)
    };
    assert_eq!(seen, [event("ada"), event("ben")]);
}

#[test]
fn what_is_not_there_or_not_meant_so_is_a_problem_document() {
    let place = Place::new();
    let running = place.start();
    let ask = |method: Method, path: &str, body: Option<&str>| {
        let mut ask = Ask::new(method, path);
        ask.body = body.map(|b| b.as_bytes().to_vec());
        running.ask(ask)
    };
    problem(&ask(Method::GET, "/v1/nothing", None), 404, "not-found");
    problem(&ask(Method::GET, "/v1/calls/0", None), 404, "not-found");
    problem(&ask(Method::DELETE, "/v1/calls/0", None), 404, "not-found");
    problem(&ask(Method::GET, "/v1/domains/other/users", None), 404, "not-found");
    problem(&ask(Method::PUT, "/v1/calls", None), 405, "method-not-allowed");
    problem(&ask(Method::POST, "/v1/route", Some("{")), 400, "malformed");
    problem(&ask(Method::POST, "/v1/route", Some(r#"{"to":"101","form":"102"}"#)), 400, "malformed");
    problem(&ask(Method::POST, &format!("{RULES}/apply"), Some(r#"{"../x.toml":""}"#)), 400, "malformed");
    problem(&ask(Method::GET, "/v1/records?limit=many", None), 400, "malformed");
    let long = format!(r#"{{"forward":"{}"}}"#, "x".repeat(70_000));
    problem(
        &ask(Method::PATCH, "/v1/domains/pbx.test.example/users/ada/status", Some(&long)),
        413,
        "malformed",
    );
}

#[test]
fn check_over_the_socket_answers_with_findings_and_changes_nothing() {
    let place = Place::new();
    let running = place.start();
    let mut edit = files(&place);
    edit.insert("users.toml".into(), USERS.replace("ext = \"102\"", "ext = \"101\""));
    let answer = running.ask(Ask::new(Method::POST, &format!("{RULES}/check")).json(&edit));
    assert_eq!(answer.status, StatusCode::OK);
    assert!(body(&answer)["diagnostics"].as_array().unwrap().iter().any(|d| d["severity"] == "error"));
    assert_eq!(get(&running, "/v1/domains")[0]["generation"], 1);
}

#[test]
fn every_route_of_the_description_is_there() {
    let place = Place::new();
    let running = place.start();
    let description = get(&running, "/v1/openapi.json");
    for (path, methods) in description["paths"].as_object().unwrap() {
        // The stream does not end, and is tested by itself.
        for method in
            methods.as_object().unwrap().keys().filter(|m| *m != "parameters" && path != "/v1/events")
        {
            let path = path
                .replace("{domain}", "pbx.test.example")
                .replace("{name}", "ada")
                .replace("{ext}", "101")
                .replace("{object}", "user:ada")
                .replace("{id}", "0");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = running.ask(Ask::new(method.clone(), &path));
            let text = String::from_utf8_lossy(&answer.body);
            assert!(
                !text.contains("/v1/openapi.json lists") && answer.status != StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}: {text}"
            );
        }
    }
}

#[test]
fn status_and_metrics_count_what_came() {
    let place = Place::new();
    let running = place.start();
    let status = get(&running, "/v1/status");
    assert_eq!(status["domains"][0]["name"], "pbx.test.example");
    let udp = status["listening"][0].as_str().unwrap().strip_prefix("udp://").unwrap().to_owned();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = socket.local_addr().unwrap();
    let options = format!(
        "OPTIONS sip:{udp} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:{udp}>\r\n\
         Call-ID: a\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(options.as_bytes(), &udp).unwrap();
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 200 "));
    let metrics = running.ask(Ask::new(Method::GET, "/metrics"));
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("\nringtree_requests_total 1\n") && metrics.ends_with("# EOF\n"), "{metrics}");
}
