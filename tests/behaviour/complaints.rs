//! Claims of `docs/complaints.md` that no golden test shows.

use super::{Rules, project};

#[test]
fn every_golden_test_of_the_complaints_passes_and_has_a_number() {
    let rules = Rules::read(&project("routing-rules/complaints"));
    let failed: Vec<_> = rules.failures();
    assert!(failed.is_empty(), "{failed:#?}");
    for expect in &rules.expects {
        let number = expect.name.split_once(": ").and_then(|(number, _)| number.parse::<u8>().ok());
        assert!(number.is_some_and(|n| (1..=40).contains(&n)), "{}", expect.name);
    }
}

#[test]
fn a_number_that_leads_to_itself_is_refused() {
    let number = |to: &str| {
        Rules::of(&format!(
            "[number.\"+12025550101\"]\nto = \"tel:{to}\"\n[number.\"+12025550102\"]\nto = \"tel:+12025550101\"\n"
        ))
    };
    number("+12025550101").refused("forwarding-loop", "+12025550101");
    number("+12025550102").refused("forwarding-loop", "+12025550102");
}

#[test]
fn a_strategy_that_does_not_exist_is_refused_with_those_that_do() {
    let hunt = "[user.ann]\next = \"101\"\n[hunt.h]\next = \"200\"\nstrategy = \"ringallv2-prim\"\ntargets = [\"user:ann\"]\n";
    let rules = Rules::of(hunt);
    for strategy in ["own", "simultaneous", "sequential", "sequential-memory", "random"] {
        rules.refused("unknown-value", strategy);
    }
}

#[test]
fn an_override_is_auto_on_or_off() {
    let frame =
        |word: &str| Rules::of(&format!("[time_frame.storm]\nweekly = [\"sun\"]\noverride = \"{word}\"\n"));
    for word in ["auto", "on", "off"] {
        frame(word).domain();
    }
    frame("true").refused("unknown-value", "auto");
}
