//! Which rule answers (T1 to T6), and how a user's own status changes it.

use super::{ANN, OUTSIDE, domain, explained, goes, never, tags};

const THREE: &str = r#"
[[user.ann.rule]]
name = "Lunch"
when = "lunch"
forward.always = "user:bob"
[[user.ann.rule]]
name = "Open"
when = "open"
[[user.ann.rule]]
name = "Default"
when = "always"
dnd = true
"#;

#[test]
fn t1_the_first_rule_whose_frame_matches_is_the_one() {
    let d = domain(THREE, "", "");
    let at = |at: &str| explained(&d, OUTSIDE, ANN, at, &[]).tags;
    goes(&at("2026-11-24T10:00"), &["rule:ann/Open", "ring:a1"]);
    goes(&at("2026-11-24T12:30"), &["rule:ann/Lunch", "forward:always"]);
    goes(&at("2026-11-28T10:00"), &["rule:ann/Default", "dnd"]);
    never(&at("2026-11-24T12:30"), &["rule:ann/Open", "rule:ann/Default"]);
}

#[test]
fn t1_what_was_passed_over_is_told_with_the_reading_of_the_clock() {
    let explanation = explained(&domain(THREE, "", ""), OUTSIDE, ANN, "2026-11-24T10:00", &[]);
    let step = explanation.steps.iter().find(|step| step.tag == "rule:ann/Open").unwrap();
    assert_eq!(step.why, "open: Tue 10:00 is inside mon-fri 09:00-17:00");
    assert_eq!(step.passed_over.len(), 1);
    assert_eq!(step.passed_over[0].what, "rule:ann/Lunch");
    assert_eq!(step.passed_over[0].why, "10:00 is outside daily 12:00-13:00");
    assert!(step.at.starts_with("domain.toml:"), "{}", step.at);
}

#[test]
fn t3_a_disabled_rule_is_skipped_and_kept() {
    let d = domain(&THREE.replace("when = \"lunch\"", "when = \"lunch\"\nenabled = false"), "", "");
    let explanation = explained(&d, OUTSIDE, ANN, "2026-11-24T12:30", &[]);
    goes(&explanation.tags, &["rule:ann/Open"]);
    let step = explanation.steps.iter().find(|step| step.tag == "rule:ann/Open").unwrap();
    assert_eq!(step.passed_over[0].why, "disabled");
    goes(&tags(&d, OUTSIDE, ANN, &["rule={ann=\"Lunch\"}"]), &["rule:ann/Lunch", "forward:always"]);
}

#[test]
fn t4_a_user_without_rules_has_one_that_always_rings() {
    let explanation = explained(&domain("", "", ""), OUTSIDE, ANN, "2026-11-24T03:00", &[]);
    goes(&explanation.tags, &["user:ann", "rule:ann/Default", "ring:a1@0+25"]);
    let step = explanation.steps.iter().find(|step| step.tag.starts_with("rule:")).unwrap();
    assert_eq!(step.at, "", "no file says so");
}

#[test]
fn t6_every_hop_is_judged_by_the_same_clock() {
    let bob = "[[user.bob.rule]]\nname = \"Lunch\"\nwhen = \"lunch\"\nforward.always = \"user:cat\"\n\
               [[user.bob.rule]]\nname = \"Default\"\nwhen = \"always\"";
    let t = explained(&domain(THREE, bob, ""), OUTSIDE, ANN, "2026-11-24T12:59:59", &[]).tags;
    goes(&t, &["rule:ann/Lunch", "user:bob", "rule:bob/Lunch", "user:cat"]);
}

#[test]
fn a_rule_picked_by_hand_beats_the_clock() {
    let d = domain(THREE, "", "");
    goes(&tags(&d, OUTSIDE, ANN, &["rule={ann=\"Default\"}"]), &["rule:ann/Default", "dnd"]);
}

#[test]
fn a_forward_set_by_the_user_acts_as_forward_always_over_the_chosen_rule() {
    let t = tags(&domain(THREE, "", ""), OUTSIDE, ANN, &["forward={ann=\"user:bob\"}"]);
    goes(&t, &["rule:ann/Open", "forward:always", "user:bob", "ring:b1"]);
}

#[test]
fn an_override_of_a_frame_beats_the_clock_and_is_told() {
    let explanation =
        explained(&domain(THREE, "", ""), OUTSIDE, ANN, "2026-11-24T10:00", &["time_frame={lunch=\"on\"}"]);
    goes(&explanation.tags, &["rule:ann/Lunch"]);
    let step = explanation.steps.iter().find(|step| step.tag == "rule:ann/Lunch").unwrap();
    assert_eq!(step.why, "lunch: switched on by hand");
}

#[test]
fn a_frame_can_be_negated_and_listed() {
    let ann = "[[user.ann.rule]]\nname = \"Shut\"\nwhen = [\"lunch\", \"not open\"]\ndnd = true\n\
               [[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"";
    let d = domain(ann, "", "");
    goes(&explained(&d, OUTSIDE, ANN, "2026-11-24T12:30", &[]).tags, &["rule:ann/Shut"]);
    goes(&explained(&d, OUTSIDE, ANN, "2026-11-24T18:00", &[]).tags, &["rule:ann/Shut"]);
    goes(&explained(&d, OUTSIDE, ANN, "2026-11-24T10:00", &[]).tags, &["rule:ann/Default"]);
}

/// The questions of ann's tree that ask the clock.
fn frames_asked(domain: &std::sync::Arc<crate::rules::Domain>) -> usize {
    use crate::rules::tree::{Node, Test};
    let asks = |node: &&Node| matches!(node, Node::Ask { test: Test::Frame { .. }, .. });
    domain.tree("101").unwrap().nodes.iter().filter(asks).count()
}

#[test]
fn a_frame_is_asked_once_and_a_rule_that_can_not_match_is_left_out_of_the_tree() {
    let rules = |last: &str| {
        let rule = |name: &str, when: &str| {
            format!("[[user.ann.rule]]\nname = \"{name}\"\nwhen = {when}\nring_for = \"9s\"\n")
        };
        [rule("Day", "[\"open\", \"lunch\"]"), rule("Night", last), rule("Else", "\"always\"")].concat()
    };
    let d = domain(&rules("\"not open\""), "", "");
    assert_eq!(frames_asked(&d), 2, "once neither holds, it is not open");
    assert_eq!(d.tree("101").unwrap().never_by_clock(), [2]);
    goes(&explained(&d, OUTSIDE, ANN, "2026-11-24T20:00", &[]).tags, &["rule:ann/Night", "ring:a1@0+9"]);
    goes(&explained(&d, OUTSIDE, ANN, "2026-11-24T20:00", &["rule={ann=\"Else\"}"]).tags, &["rule:ann/Else"]);
}

#[test]
fn a_tree_knows_the_most_questions_that_a_call_is_asked() {
    let plain = domain("", "", "");
    let listed = domain("allow = [\"+1202.\"]\nblock = [\"+1900.\"]\nblock_anonymous = true", "", "");
    let depth = |domain: &std::sync::Arc<crate::rules::Domain>| domain.tree("101").unwrap().depth();
    assert_eq!(depth(&listed), depth(&plain) + 4, "the call back, both lists, and the identity");
}

#[test]
fn a_status_folds_into_a_smaller_tree_that_no_longer_asks_for_it() {
    use crate::rules::fold::Fold;
    let d = domain(THREE, "", "");
    let tree = d.tree("101").unwrap();
    let status = crate::rules::UserStatus { rule: Some("Lunch".to_owned()), ..Default::default() };
    let fold = Fold::of(&d, tree, &status);
    assert_eq!(fold.picked, Some(0));
    let folded = tree.folded(fold);
    assert!(folded.nodes.len() < tree.nodes.len() && folded.depth() < tree.depth());
    assert_eq!(frames_asked(&d), 2);
    use crate::rules::tree::{Node, Test};
    assert!(!folded.nodes.iter().any(|node| matches!(node, Node::Ask { test: Test::Frame { .. }, .. })));
}
