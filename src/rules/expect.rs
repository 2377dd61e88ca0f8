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
    use crate::rules::compile::Secrets;
    use crate::rules::diagnostic::Files;
    use crate::rules::model::{Given, Model};
    use std::path::Path;

    /// The texts of a directory that are rules, by relative path.
    fn files(top: &Path, at: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                self::files(top, &path, files);
            } else if path
                .extension()
                .is_some_and(|end| ["toml", "txt", "ics"].iter().any(|known| end == *known))
            {
                let name = path.strip_prefix(top).unwrap().to_string_lossy().into();
                files.0.insert(name, std::fs::read_to_string(&path).unwrap().into());
            }
        }
    }

    fn example(name: &str) -> (Model, Arc<Domain>) {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("routing-rules").join(name);
        let mut all = Files::default();
        files(&top, &top, &mut all);
        let loaded = crate::rules::source::load(&all);
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let domain = Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap());
        (model, domain)
    }

    #[test]
    fn the_examples_pass_their_golden_tests() {
        for (name, least) in [("harbour-dental", 4), ("northgate-freight", 11)] {
            let (model, domain) = example(name);
            let results = run_expectations(&domain, &model.expects, jiff::Timestamp::UNIX_EPOCH);
            assert!(results.len() >= least, "{name}");
            let failed: Vec<_> =
                results.iter().filter_map(|r| Some((&r.name, r.failure.as_ref()?))).collect();
            assert!(failed.is_empty(), "{name}: {failed:?}");
        }
    }

    #[test]
    fn the_example_of_the_rulings_rings_to_the_second() {
        let (_, domain) = example("harbour-dental");
        let query = Query {
            to: "+12025550101".to_owned(),
            from: Some("+12025550150".to_owned()),
            at: Some("2026-11-24T10:00".to_owned()),
            ..Query::default()
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let explanation = route(&domain, &query, &Given::default(), None, now).unwrap();
        let then = [
            "number:+12025550101",
            "user:osei",
            "rule:osei/Clinic hours",
            "screen",
            "ring:101a@0+60",
            "ring:tel:+12025550181@20+40",
            "confirm:1",
            "caller_id:+12025550150",
            "caller_id_name:OFFICE +12025550150",
            "ring:102a@35+25",
        ];
        assert_eq!(first_missing(&then, &explanation.tags), None, "{:?}", explanation.tags);
        assert_eq!(explanation.outcome.kind, "ring");
        let legs: Vec<_> =
            explanation.legs.iter().map(|leg| (leg.to.as_str(), leg.start_s, leg.for_s)).collect();
        assert_eq!(legs, [("device:101a", 0, 60), ("tel:+12025550181", 20, 40), ("device:102a", 35, 25)]);
        let text = explanation.text();
        assert!(text.contains("rule:osei/Clinic hours"), "{text}");
        assert!(text.contains("not rule:osei/Night: 10:00 is outside daily 22:00-06:00"), "{text}");
    }

    #[test]
    fn a_failing_golden_test_says_how_the_call_went() {
        let (mut model, domain) = example("harbour-dental");
        let expect = model.expects.iter_mut().find(|e| !e.then.is_empty()).unwrap();
        expect.then[0].value = "ring:nobody".into();
        let failures = run_expectations(&domain, &model.expects, jiff::Timestamp::UNIX_EPOCH);
        let failed: Vec<_> = failures.iter().filter_map(|f| f.failure.as_deref()).collect();
        assert_eq!(failed.len(), 1);
        assert!(
            failed[0].starts_with("`ring:nobody` does not come in its place; the call goes: number:"),
            "{failed:?}"
        );
    }

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
