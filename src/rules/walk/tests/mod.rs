//! The routing rows of the documentation, one named test each, on small domains through the real loader.

mod forwards;
mod hunts;
mod identity;
mod live;
mod outgoing;
mod reach;
mod ringing;
mod rules;
mod services;

use crate::rules::compile::Secrets;
use crate::rules::diagnostic::{Files, Severity};
use crate::rules::expect::{first_missing, matches};
use crate::rules::given::parse_given;
use crate::rules::route::{Query, route};
use crate::rules::{Domain, Explanation, source};
use std::sync::Arc;

/// Two users with a phone each, a third with two, a trunk, and a number for the first.
const BASE: &str = r#"
schema = 1
[domain]
name = "pbx.test"
timezone = "America/New_York"
country = "US"
area_code = "202"
caller_id = { name = "Test", number = "+12025550100" }
[trunk.t]
proxy = "192.0.2.1"
accept_from = ["192.0.2.1"]
[class.national]
match = ["+1."]
[class.international]
match = ["+."]
[[route]]
classes = ["national", "international"]
via = ["t"]
[number."+12025550101"]
to = "user:ann"
[time_frame.open]
weekly = ["mon-fri 09:00-17:00"]
[time_frame.lunch]
weekly = ["daily 12:00-13:00"]
[device.a1]
user = "ann"
auth = { user = "a1", secret = "plain:x" }
[device.b1]
user = "bob"
auth = { user = "b1", secret = "plain:x" }
[device.c1]
user = "cat"
primary = true
auth = { user = "c1", secret = "plain:x" }
[device.c2]
user = "cat"
auth = { user = "c2", secret = "plain:x" }
"#;

const OFF: &str = "voicemail = { enabled = false }\n";

/// The base, with these keys in the tables of ann, bob and cat (whose mailboxes are off unless a test says otherwise).
pub(super) fn domain(ann: &str, bob: &str, cat: &str) -> Arc<Domain> {
    with("", ann, bob, cat)
}

/// The same with more tables.
pub(super) fn with(more: &str, ann: &str, bob: &str, cat: &str) -> Arc<Domain> {
    let user = |name: &str, ext: &str, keys: &str| {
        let off = if keys.contains("voicemail") && !keys.contains("\"voicemail:") { "" } else { OFF };
        format!(
            "[user.{name}]\next = \"{ext}\"\nname = {{ first = \"{name}\", last = \"X\" }}\n{off}{keys}\n"
        )
    };
    let users = [user("ann", "101", ann), user("bob", "102", bob), user("cat", "103", cat)].concat();
    compile(&format!("{BASE}\n{more}\n{users}"))
}

pub(super) fn compile(text: &str) -> Arc<Domain> {
    let files = Files([("domain.toml".into(), text.into())].into());
    let loaded = source::load(&files);
    let errors: Vec<_> = loaded.diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect();
    let shown = crate::rules::diagnostic::render(&files, &errors, false);
    let model = loaded.model.unwrap_or_else(|| panic!("{shown}"));
    Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap())
}

/// Tuesday at ten in the zone of the domain.
pub(super) const TUESDAY: &str = "2026-11-24T10:00";

/// A caller outside, ann's number.
pub(super) const OUTSIDE: &str = "+12025550150";
pub(super) const ANN: &str = "+12025550101";

pub(super) fn explained(domain: &Arc<Domain>, from: &str, to: &str, at: &str, given: &[&str]) -> Explanation {
    let query = match from.strip_prefix("device:") {
        Some(device) => Query { from_device: Some(device.to_owned()), ..Query::default() },
        None => Query { from: Some(from.to_owned()), ..Query::default() },
    };
    let query = Query { to: to.to_owned(), at: Some(at.to_owned()), ..query };
    route(domain, &query, &parse_given(given).unwrap(), None, jiff::Timestamp::UNIX_EPOCH).unwrap()
}

/// The tags of a call on Tuesday.
pub(super) fn tags(domain: &Arc<Domain>, from: &str, to: &str, given: &[&str]) -> Vec<String> {
    explained(domain, from, to, TUESDAY, given).tags
}

/// They come in this order, others may stand between.
#[track_caller]
pub(super) fn goes(tags: &[String], then: &[&str]) {
    assert_eq!(first_missing(then, tags), None, "the call goes {tags:?}");
}

#[track_caller]
pub(super) fn never(tags: &[String], not: &[&str]) {
    for wanted in not {
        assert!(!tags.iter().any(|tag| matches(wanted, tag)), "{wanted} in {tags:?}");
    }
}
