//! Real phones call through the real daemon: sipp says what crosses the wire, baresip what is heard.
//!
//! Each test starts a daemon of its own. What a phone must see stands in its scenario beside this file; what the operator must see
//! afterwards is asserted in the test, on the call record.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that can't go on has failed

mod browser;
mod budgets;
mod callers;
mod calls;
mod encrypted;
mod events;
mod forwards;
mod hotdesk;
mod hunts;
mod kamailio;
mod load;
mod matrix;
mod office;
mod outbound;
mod reliable;
mod ringing;
mod secure;
mod sound;
#[path = "../support/mod.rs"]
mod support;
mod time;
mod transfers;
mod trunks;
mod voiced;

use serde_json::Value;

fn tags(record: &Value) -> Vec<&str> {
    record["tags"].as_array().expect("tags").iter().map(|tag| tag.as_str().expect("a string")).collect()
}

/// The tags stand in the record, in this order; others may stand between (`ring:bob` is any leg to that device).
fn assert_tags(record: &Value, wanted: &[&str]) {
    let found = tags(record);
    let mut rest = found.iter();
    for tag in wanted {
        let is_it = |found: &&&str| {
            found.strip_prefix(tag).is_some_and(|more| more.is_empty() || more.starts_with(['@', '/']))
        };
        assert!(rest.find(is_it).is_some(), "{tag} is missing, or not in this place: {found:?}");
    }
}
