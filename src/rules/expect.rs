//! Golden tests (`[[expect]]`): run by `check`, and before every `apply`.

use super::diagnostic::Span;
use super::domain::Domain;
use super::model::{Expect, Name};
use super::route::{Query, route};
use std::sync::Arc;

/// What came of one golden test.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    pub name: Name,
    pub span: Span,
    /// What happened instead; `None`: it passed.
    pub failure: Option<String>,
}

/// Runs them all; one without `at` is judged at `now`.
#[must_use]
pub fn run_expectations(domain: &Arc<Domain>, expects: &[Expect], now: jiff::Timestamp) -> Vec<Expectation> {
    let run = |expect: &Expect| Expectation {
        name: expect.name.clone(),
        span: expect.span,
        failure: failure(domain, expect, now),
    };
    expects.iter().map(run).collect()
}

fn failure(domain: &Arc<Domain>, expect: &Expect, now: jiff::Timestamp) -> Option<String> {
    let text = |name: &Option<Name>| name.as_deref().map(str::to_owned);
    let query = Query {
        to: expect.to.to_string(),
        from: text(&expect.from),
        from_name: text(&expect.from_name),
        from_device: text(&expect.from_device),
        via: text(&expect.via),
        at: expect.at.as_ref().map(|at| at.value.clone()),
    };
    let tags = match route(domain, &query, &expect.given, None, now) {
        Ok(explanation) => explanation.tags,
        Err(error) => return Some(error.to_string()),
    };
    let then: Vec<&str> = expect.then.iter().map(|tag| &*tag.value).collect();
    if let Some(missing) = first_missing(&then, &tags) {
        return Some(format!("`{missing}` does not come in its place; the call goes: {}", tags.join(", ")));
    }
    let then_not = expect.then_not.iter().map(|tag| &*tag.value);
    let occurs = then_not.filter_map(|not| tags.iter().find(|tag| matches(not, tag))).next()?;
    Some(format!("`{occurs}` must not occur; the call goes: {}", tags.join(", ")))
}

/// The first of `then` that does not follow those before it; others may stand between.
pub(super) fn first_missing<'t>(then: &[&'t str], tags: &[String]) -> Option<&'t str> {
    let mut rest = tags.iter();
    then.iter().find(|wanted| !rest.any(|tag| matches(wanted, tag))).copied()
}

/// A tag without its `@` or `/` part, or with `@START` alone, matches any such; one that ends in `*` matches by prefix.
pub(super) fn matches(wanted: &str, tag: &str) -> bool {
    if let Some(prefix) = wanted.strip_suffix('*') {
        return tag.starts_with(prefix);
    }
    let Some(rest) = tag.strip_prefix(wanted) else { return false };
    let timed = wanted.rsplit_once('@').is_some_and(|(_, start)| start.bytes().all(|b| b.is_ascii_digit()));
    rest.is_empty() || rest.starts_with(['@', '/']) || (timed && rest.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_tag_may_be_left_out() {
        assert!(matches("ring:101a", "ring:101a@0+60"));
        assert!(matches("ring:101a@0", "ring:101a@0+60"));
        assert!(matches("ring:101a@0+60", "ring:101a@0+60"));
        assert!(!matches("ring:101a@0+6", "ring:101a@0+60"));
        assert!(!matches("ring:101a@5", "ring:101a@50+60"));
        assert!(!matches("ring:101", "ring:101a@0+60"));
        assert!(matches("voicemail:osei", "voicemail:osei/busy"));
        assert!(!matches("voicemail:osei/busy", "voicemail:osei/unavailable"));
        assert!(matches("rule:osei", "rule:osei/Clinic hours"));
        assert!(matches("ring:tel:*", "ring:tel:+12025550181@20+40"));
        assert!(!matches("tel:+12025550181", "ring:tel:+12025550181@20+40"));
        assert!(!matches("tel:+1202555018", "tel:+12025550181"));
    }

    #[test]
    fn tags_must_come_in_order_with_others_between() {
        let tags = ["number:+1", "user:osei", "rule:osei/Night", "dnd"].map(str::to_owned);
        assert_eq!(first_missing(&["user:osei", "dnd"], &tags), None);
        assert_eq!(first_missing(&["dnd", "user:osei"], &tags), Some("user:osei"));
        assert_eq!(first_missing(&["dnd", "dnd"], &tags), Some("dnd"));
    }
}
