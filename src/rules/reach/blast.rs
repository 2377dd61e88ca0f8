//! `blast-radius`: what an object holds up. Who refers to it, what would be decided otherwise without it, and which golden tests
//! would fail: the domain is compiled without it, and both are held against each other.

use super::without::without;
use super::{Graph, Kind, Object, object, who};
use crate::rules::compare::{Changed, Difference, Side, compare_changed};
use crate::rules::compile::Secrets;
use crate::rules::domain::Domain;
use crate::rules::expect::run_expectations;
use crate::rules::model::Model;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// Referrers that are listed; further ones are counted.
const REFERRERS_MAX: usize = 1_000;

/// What hangs on an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blast {
    pub object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub referrers: Vec<Referrer>,
    /// Referrers beyond those that are listed.
    pub more: usize,
    /// What calls would do otherwise without it.
    pub differences: Vec<Difference>,
    /// Golden tests that pass, and would fail.
    pub golden_tests: Vec<String>,
    /// Calls that were tried.
    pub decisions: usize,
    /// Extensions and numbers that were not compared.
    pub not_compared: usize,
    /// Why nothing was tried without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<String>,
}

/// What refers to the object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Referrer {
    pub from: String,
    /// ``rule `Lunch`, ring.targets``
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    pub at: String,
}

/// `None` where the domain has no such object. A golden test without a time is judged at `now`.
#[must_use]
pub fn blast_radius(model: &Model, domain: &Arc<Domain>, of: &Object, now: Timestamp) -> Option<Blast> {
    let graph = Graph::of(model);
    let known = object::exists(model, of) && (of.kind != Kind::Tel || graph.incoming(of).next().is_some());
    if !known {
        return None;
    }
    let referrers = graph.referrers(of);
    let mut blast = Blast {
        object: of.to_string(),
        label: who::label(model, of),
        more: referrers.len().saturating_sub(REFERRERS_MAX),
        referrers: referrers
            .iter()
            .take(REFERRERS_MAX)
            .map(|reference| Referrer {
                from: reference.from.to_string(),
                by: reference.by.clone(),
                when: reference.when.clone(),
                at: model.files.place(reference.span).to_string(),
            })
            .collect(),
        ..Blast::default()
    };
    match without(model, of) {
        Some(rest) => try_without(&mut blast, (model, domain), &rest, of, now),
        None => blast.not_tried = Some("no call is decided otherwise by its being there or not".to_owned()),
    }
    Some(blast)
}

fn try_without(
    blast: &mut Blast,
    (model, domain): (&Model, &Arc<Domain>),
    rest: &Model,
    of: &Object,
    now: Timestamp,
) {
    let compiled = match Domain::compile(rest, Secrets::default(), domain.generation()) {
        Ok(compiled) => Arc::new(compiled),
        Err(errors) => {
            let why = errors.first().map(|error| error.message.clone()).unwrap_or_default();
            blast.not_tried = Some(format!("without it the rules can't be compiled: {why}"));
            return;
        }
    };
    let differ = Changed { removed: BTreeSet::from([of.clone()]), ..Changed::default() };
    let (before, after) = (Side { model, domain }, Side { model: rest, domain: &compiled });
    let comparison = compare_changed(&before, &after, &differ, now);
    blast.decisions = comparison.decisions;
    blast.not_compared = comparison.not_compared;
    // That it is gone itself is no news.
    blast.differences = comparison.differences.into_iter().filter(|d| d.kind != "object").collect();
    let was = run_expectations(domain, &model.expects, now);
    let is = run_expectations(&compiled, &model.expects, now);
    let failing = was.iter().zip(&is).filter(|(was, is)| was.failure.is_none() && is.failure.is_some());
    blast.golden_tests = failing.map(|(was, _)| was.name.to_string()).collect();
}

impl Blast {
    /// Whether anything hangs on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.referrers.is_empty() && self.differences.is_empty() && self.golden_tests.is_empty()
    }

    /// For the terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = match &self.label {
            Some(label) => format!("{} ({label})\n", self.object),
            None => format!("{}\n", self.object),
        };
        if self.is_empty() {
            text.push_str("nothing refers to it, and no call that was tried would go otherwise\n");
            return text;
        }
        if !self.referrers.is_empty() {
            text.push_str("\nreferred to by\n");
        }
        for referrer in &self.referrers {
            let when = referrer.when.as_deref().map(|when| format!(", when {when}")).unwrap_or_default();
            let _ = writeln!(text, "    {}: {}{when}  [{}]", referrer.from, referrer.by, referrer.at);
        }
        if self.more > 0 {
            let _ = writeln!(text, "    and {} more", self.more);
        }
        let _ = match &self.not_tried {
            Some(why) => writeln!(text, "\n{why}"),
            None if self.differences.is_empty() => {
                writeln!(text, "\nwithout it, no call that was tried goes otherwise")
            }
            None => writeln!(text, "\nwithout it"),
        };
        for difference in &self.differences {
            let _ = writeln!(text, "    {}", difference.text);
        }
        if self.not_compared > 0 {
            let _ = writeln!(text, "    {} extensions and numbers were not compared", self.not_compared);
        }
        if !self.golden_tests.is_empty() {
            text.push_str("\ngolden tests that would fail\n");
        }
        for name in &self.golden_tests {
            let _ = writeln!(text, "    {name}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::reach::tests::model;

    fn blast(of: &str) -> Option<Blast> {
        let model = model();
        let domain = Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap());
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        blast_radius(&model, &domain, &Object::parse(of).unwrap(), now)
    }

    fn differences(of: &str) -> Vec<String> {
        blast(of).unwrap().differences.into_iter().map(|difference| difference.text).collect()
    }

    #[test]
    fn without_its_only_trunk_a_class_has_no_way_out() {
        let found = differences("trunk:carrier");
        assert!(
            found.iter().any(|text| text.starts_with("outside calls of class national are now refused")),
            "{found:?}"
        );
    }

    #[test]
    fn without_a_time_frame_its_rules_never_hold() {
        let blast = blast("time_frame:lunch").unwrap();
        assert_eq!(blast.referrers.len(), 2);
        assert_eq!(blast.golden_tests, ["Bea at lunch"]);
        let text = blast.text();
        assert!(text.contains("    Mon-Fri 12:00-13:00, calls to 101"), "{text}");
    }

    #[test]
    fn without_a_user_their_number_is_spare_and_who_forwards_to_them_has_a_mailbox() {
        let found = differences("user:ann");
        let number = found.iter().find(|text| text.contains("+12025550101"));
        assert!(number.is_some_and(|text| text.contains("are now refused with 404")), "{found:?}");
    }

    #[test]
    fn without_a_list_its_entries_are_let_through() {
        let found = differences("list:spam");
        assert!(found.iter().any(|text| text.contains("calls from +1900. (list:spam) to 101")), "{found:?}");
    }

    #[test]
    fn what_the_domain_does_not_have_has_no_radius() {
        assert!(blast("trunk:nothing").is_none() && blast("tel:+12025550199").is_none());
    }
}
