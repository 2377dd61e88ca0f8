//! `decide(compile(rules), facts) == naive(rules, facts)`, over whole calls: generated text through the loader, the compiler and the
//! walk on one side, the page on the other.

use super::generate::{Draw, given, query, rules};
use super::page;
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::Files;
use crate::rules::model::Model;
use crate::rules::route::{parse_time, route};
use crate::rules::{Diagnostic, Domain, Severity, source};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What generated calls must come by, by how their tags begin: a generator that no longer leads there would prove nothing.
const MET: [&str; 42] = [
    "allow:",
    "announce:",
    "anonymous",
    "attendant:",
    "block:",
    "budget:",
    "busy",
    "callback:",
    "caller_id:",
    "caller_id_name:",
    "class:",
    "code:",
    "confirm:",
    "declined",
    "denied:budget:",
    "denied:class:",
    "denied:spare",
    "device:",
    "dial:",
    "diversion:",
    "dnd",
    "emergency",
    "ext:",
    "failed",
    "forward:",
    "handset:",
    "hunt:",
    "location:",
    "loop",
    "no_answer",
    "number:",
    "offline",
    "on_active",
    "queue:",
    "ring:",
    "route:",
    "rule:",
    "screen",
    "tel:",
    "tone:",
    "unverified",
    "voicemail:",
];

const RULES_BYTES: usize = 440;
const CALL_BYTES: usize = 80;
const CALLS: usize = 12;

/// # Errors
/// By its code, what the loader or the compiler refuses: forwards that go round for ever.
fn compiled(text: &str) -> Result<(Model, Arc<Domain>), &'static str> {
    let code = |found: &[Diagnostic]| {
        found.iter().find(|d| d.severity == Severity::Error).map_or("none", |error| error.code)
    };
    let loaded = source::load(&Files([("domain.toml".into(), text.into())].into()));
    let model = loaded.model.ok_or_else(|| code(&loaded.diagnostics))?;
    let domain = Domain::compile(&model, Secrets::default(), 1).map_err(|found| code(&found))?;
    Ok((model, Arc::new(domain)))
}

#[test]
fn every_call_goes_as_the_page_says() {
    // Its failures tell everything needed to make a test of them; bytes alone would say nothing once the generator changes.
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    let held = Cell::new(0_usize);
    let missing = RefCell::new(MET.to_vec());
    let refused: RefCell<BTreeMap<&str, usize>> = RefCell::default();
    let bytes = (
        proptest::collection::vec(any::<u8>(), RULES_BYTES),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), CALL_BYTES), CALLS),
    );
    let outcome = runner.run(&bytes, |(of_rules, of_calls)| {
        let text = rules(&mut Draw::new(&of_rules));
        let (model, domain) = match compiled(&text) {
            Ok(compiled) => compiled,
            Err(code) => {
                *refused.borrow_mut().entry(code).or_default() += 1;
                return Ok(());
            }
        };
        held.set(held.get() + 1);
        for bytes in &of_calls {
            let mut draw = Draw::new(bytes);
            let (query, given) = (query(&mut draw), given(&mut draw));
            let at = query.at.as_deref().unwrap_or_default();
            let zone = jiff::tz::TimeZone::get(&model.domain.zone).unwrap();
            let at = parse_time(at, &zone).unwrap();
            let walked = route(&domain, &query, &given, None, at).unwrap().tags;
            let mut missing = missing.borrow_mut();
            missing.retain(|begin| !walked.iter().any(|tag| tag.starts_with(begin)));
            let read = page::tags(&model, &query, &given, at);
            if walked != read {
                let why = format!("{query:?}\n{given:?}\nwalk: {walked:#?}\npage: {read:#?}\n{text}");
                return Err(TestCaseError::fail(why));
            }
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let refused = refused.into_inner();
    let most = held.get() > refused.values().sum();
    assert!(most, "most generated rules load: {} did, {refused:?} did not", held.get());
    let missing = missing.into_inner();
    assert!(missing.is_empty(), "no generated call came by {missing:?}");
}

#[test]
fn the_plainest_rules_load() {
    let text = rules(&mut Draw::new(&[]));
    let loaded = source::load(&Files([("domain.toml".into(), text.into())].into()));
    assert!(loaded.model.is_some(), "{:?}", loaded.diagnostics);
}
