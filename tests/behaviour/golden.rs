//! The golden tests of `routing-rules`, each named after the row that it shows.

use super::{Rules, project};
use ringtree::daemon::directory;

/// Whole systems to start from.
const EXAMPLES: &[&str] = &["harbour-dental", "northgate-freight"];

/// Every domain of `routing-rules/behaviour`.
pub fn domains() -> Vec<Rules> {
    let dirs = directory::domains(&project("routing-rules/behaviour")).unwrap();
    dirs.iter().map(|dir| Rules::read(dir)).collect()
}

/// The row that a golden test shows: `U2` of `U2: all phones ring`.
pub fn row(name: &str) -> Option<&str> {
    let (row, claim) = name.split_once(": ")?;
    let letter = row.starts_with(|c: char| c.is_ascii_uppercase());
    let number = row.get(1..)?.parse::<u8>().is_ok();
    (letter && number && !claim.is_empty()).then_some(row)
}

#[test]
fn every_golden_test_of_the_behaviours_passes() {
    let mut failed = Vec::new();
    let complaints = Rules::read(&project("routing-rules/complaints"));
    for rules in domains().into_iter().chain([complaints]) {
        assert!(!rules.expects.is_empty(), "{} shows nothing", rules.name);
        failed.extend(rules.failures());
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_golden_test_of_the_behaviours_names_its_row() {
    for rules in domains() {
        for expect in &rules.expects {
            assert!(row(&expect.name).is_some(), "{}: `{}`", rules.name, expect.name);
        }
    }
}

#[test]
fn golden_tests_have_names_of_their_own() {
    let mut names: Vec<_> =
        domains().iter().flat_map(|rules| rules.expects.iter().map(|e| e.name.clone())).collect();
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn the_examples_pass_their_golden_tests() {
    for name in EXAMPLES {
        let rules = Rules::read(&project("routing-rules").join(name));
        assert!(rules.expects.len() >= 4, "{name}");
        assert_eq!(rules.failures(), [], "{name}");
    }
}
