//! Golden texts: `before.toml` and `after.toml` of each folder, and the sentences that tell them apart.

use super::*;
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::Files;
use std::path::Path;

/// Monday, 10:00 in New York.
const NOW: &str = "2026-11-23T15:00:00Z";

fn side(text: &str) -> (Model, Arc<Domain>) {
    let loaded = crate::rules::source::load(&Files([("rules.toml".into(), text.into())].into()));
    let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let domain = Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap());
    (model, domain)
}

fn told(before: &str, after: &str) -> Comparison {
    let ((old, old_domain), (new, new_domain)) = (side(before), side(after));
    let (before, after) =
        (Side { model: &old, domain: &old_domain }, Side { model: &new, domain: &new_domain });
    compare(&before, &after, NOW.parse().unwrap())
}

fn text(comparison: &Comparison) -> String {
    let lines = comparison.differences.iter().map(|difference| format!("{}\n", difference.text));
    format!("{}\n{}", comparison.changed.join(" "), lines.collect::<String>())
}

#[test]
fn the_sentences_are_those_of_the_fixtures() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules/compare/tests");
    let mut cases = 0;
    let mut wrong = String::new();
    for folder in std::fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().path()) {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let base = std::fs::read_to_string(top.join("base.toml")).unwrap();
        if !folder.is_dir() {
            continue;
        }
        let with = |name: &str| format!("{base}\n{}", read(name));
        let found = text(&told(&with("before.toml"), &with("after.toml")));
        if found != read("expected.txt") {
            wrong.push_str(&format!("--- {}\n{found}", folder.display()));
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases >= 8);
}

#[test]
fn the_same_rules_written_otherwise_differ_in_nothing() {
    let base = concat!(include_str!("tests/base.toml"), include_str!("tests/lunch/before.toml"));
    let comparison = told(base, &format!("# a remark\n{base}"));
    assert_eq!(comparison, Comparison::default());
}
