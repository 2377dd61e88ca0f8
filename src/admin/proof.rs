//! The proof that an edit needs before it is written: the golden tests pass, and no other domain claims the same addresses. That
//! what is decided by is what is stored, compiling proves itself.

use super::findings::{Expectations, Failure};
use super::generation::Generations;
use crate::rules::expect::run_expectations;
use crate::rules::model::Expect;
use crate::rules::{Domain, Ruleset};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs the golden tests of the domain; one without `at` is judged at `now`.
#[must_use]
pub fn golden(domain: &Arc<Domain>, expects: &[Expect], now: Timestamp) -> Expectations {
    let mut outcome = Expectations::default();
    for expectation in run_expectations(domain, expects, now) {
        match expectation.failure {
            None => outcome.passed += 1,
            Some(message) => {
                outcome.failed += 1;
                let at = domain.place(expectation.span).to_string();
                outcome.failures.push(Failure { name: expectation.name.to_string(), at, message });
            }
        }
    }
    outcome
}

/// No range of addresses is claimed by this domain and another: a request from there would have no one domain.
///
/// # Errors
/// The first such range, with its place.
pub fn unclaimed(generations: &Generations, domain: &Arc<Domain>) -> Result<(), String> {
    // One that shares no range can't matter: of many domains hardly any is left.
    let others = generations
        .all()
        .into_iter()
        .map(|l| l.domain.clone())
        .filter(|d| d.name() != domain.name() && d.may_overlap(domain));
    let all: BTreeMap<_, _> = others.chain([domain.clone()]).map(|d| (d.name().clone(), d)).collect();
    match Ruleset::new(all.values().cloned()).check_overlaps().first() {
        None => Ok(()),
        Some(overlap) => {
            let place = all.get(&overlap.second).map(|d| d.place(overlap.diagnostic.span).to_string());
            Err(format!("{} ({}): {}", overlap.second, place.unwrap_or_default(), overlap.diagnostic.message))
        }
    }
}
