//! New rules under load: two hundred calls a second while generation follows on generation.

use crate::office::{A_MINUTE_MORE, DOMAIN, Office, Rules};
use crate::support::until_within;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const RATE: u32 = 200;
const CALLS: u32 = 800;

/// Kim's only rule is named after the edit that wrote it.
fn rules(edit: u32) -> Rules {
    let rule = format!("[[user.kim.rule]]\nname = \"edit {edit}\"\nwhen = \"always\"");
    Rules::default().user("ann", "100", &["ann"], "").user("kim", "200", &["kim"], &rule)
}

fn apply(office: &Office, edit: u32) -> u64 {
    let body = json!({ "domain.toml": rules(edit).text(office.trunks) });
    let path = format!("/v1/domains/{DOMAIN}/rules/apply");
    let (status, applied) = office.daemon.request("POST", &path, Some(&body)).expect("an answer");
    assert_eq!(status, 200, "{applied}");
    applied["generation"].as_u64().expect("a generation")
}

#[test]
fn rules_applied_under_two_hundred_calls_a_second_cost_none_and_each_call_has_one_generation() {
    let office = rules(0).open_with_media(2 * CALLS as u16);
    let kim = office.phone("kim", office.scenario("callee").calls(CALLS).patience(A_MINUTE_MORE));
    let callers = office.dial("ann", "200").calls(CALLS).rate(RATE).patience(A_MINUTE_MORE).start();
    let ended = || office.daemon.read("/v1/status")["counters"]["calls_total"].as_u64().unwrap_or(0);
    // The edit that wrote each generation.
    let mut edits = BTreeMap::from([(1, 0)]);
    let mut edit = 0;
    until_within(A_MINUTE_MORE, "every call to begin", || {
        let begun = ended();
        if begun > 0 && begun < u64::from(CALLS) {
            edit += 1;
            edits.insert(apply(&office, edit), edit);
        }
        (begun >= u64::from(CALLS)).then_some(())
    });
    callers.succeeds();
    kim.succeeds();
    assert!(edits.len() > 5, "several generations came while calls did: {edits:?}");

    let records = until_within(A_MINUTE_MORE, "every record", || {
        let records = office.daemon.list("/v1/records?limit=1000");
        (records.len() == CALLS as usize).then_some(records)
    });
    let mut seen = BTreeMap::new();
    for record in &records {
        assert_eq!((&record["outcome"], &record["status"]), (&json!("answered"), &json!(200)), "{record:#}");
        let generation = record["generation"].as_u64().expect("a generation");
        let rules: Vec<&Value> =
            tags_of(record).filter(|tag| tag.as_str().unwrap().starts_with("rule:")).collect();
        assert_eq!(rules, [&json!(format!("rule:kim/edit {}", edits[&generation]))], "{record:#}");
        *seen.entry(generation).or_insert(0) += 1;
    }
    assert!(seen.len() > 3, "calls began under several generations: {seen:?}");
}

fn tags_of(record: &Value) -> impl Iterator<Item = &Value> {
    record["tags"].as_array().expect("tags").iter()
}
