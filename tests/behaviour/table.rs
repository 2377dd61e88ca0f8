//! `docs/behaviour.md` and `docs/complaints.md`: every row is there, and every test that they name exists.

use super::golden::{domains, row};
use super::project;
use std::collections::{BTreeMap, BTreeSet};

/// The sections and how many rows each has.
const SECTIONS: [(char, u8); 8] =
    [('U', 17), ('N', 12), ('A', 11), ('T', 8), ('F', 13), ('R', 14), ('O', 6), ('H', 5)];
/// Complaints A to G.
const COMPLAINTS: u8 = 40;

/// The rows of the first column's shape in a page: the cells of each.
fn rows(page: &str, is_row: impl Fn(&str) -> bool) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(project(page)).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<String> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().into()).collect();
        if is_row(&cells[0]) {
            assert!(rows.insert(cells[0].clone(), cells).is_none(), "{page}: a row twice: {line}");
        }
    }
    rows
}

/// `tests/world/main.rs: a_phone_rings, another` and the like, in the code spans of a cell: each has its file and its test.
fn named_tests_exist(page: &str, cell: &str) -> usize {
    let mut count = 0;
    for span in cell.split('`').skip(1).step_by(2) {
        let Some((file, names)) = span.split_once(": ") else { continue };
        let text =
            std::fs::read_to_string(project(file)).unwrap_or_else(|_| panic!("{page}: no file {file}"));
        for name in names.split(", ") {
            let function = format!("fn {name}(");
            let golden = format!("name = \"{name}");
            assert!(text.contains(&function) || text.contains(&golden), "{page}: no test {name} in {file}");
            count += 1;
        }
    }
    count
}

#[test]
fn every_row_of_the_behaviours_is_in_the_table_with_its_tests() {
    const PAGE: &str = "docs/behaviour.md";
    let wanted: BTreeSet<String> =
        SECTIONS.iter().flat_map(|(letter, last)| (1..=*last).map(move |n| format!("{letter}{n}"))).collect();
    let rows = rows(PAGE, |cell| wanted.contains(cell));
    let missing: Vec<_> = wanted.iter().filter(|id| !rows.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let mut golden: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rules in domains() {
        for expect in &rules.expects {
            let row = row(&expect.name).unwrap().to_owned();
            golden.entry(row).or_default().insert(rules.name.clone());
        }
    }
    for (id, cells) in &rows {
        let [_, says, tests, state] = cells.as_slice() else {
            panic!("{PAGE}: {id} has {} cells", cells.len())
        };
        assert!(!says.is_empty(), "{id}");
        let domains = golden.remove(id).unwrap_or_default();
        for domain in &domains {
            let link = format!("[{domain}](../routing-rules/behaviour/{domain})");
            assert!(tests.contains(&link), "{PAGE}: {id} has golden tests in {domain} and does not say so");
        }
        let linked = tests.matches("](../routing-rules/behaviour/").count();
        assert_eq!(linked, domains.len(), "{PAGE}: {id} names a domain that has no golden test of it");
        let tested = domains.len() + named_tests_exist(PAGE, tests);
        match state.as_str() {
            "done" | "decided" => assert!(tested > 0, "{PAGE}: {id} is {state} without a test"),
            "open" | "console" => {}
            other => panic!("{PAGE}: {id} is `{other}`"),
        }
    }
    assert!(golden.is_empty(), "golden tests of rows that don't exist: {golden:?}");
}

#[test]
fn every_complaint_is_in_the_table_with_its_test_or_its_reason() {
    const PAGE: &str = "docs/complaints.md";
    let wanted: BTreeSet<String> = (1..=COMPLAINTS).map(|n| n.to_string()).collect();
    let rows = rows(PAGE, |cell| wanted.contains(cell));
    assert_eq!(rows.len(), usize::from(COMPLAINTS));
    for (id, cells) in &rows {
        let [_, happened, prevented, tests] = cells.as_slice() else {
            panic!("{PAGE}: {id} has {} cells", cells.len())
        };
        assert!(!happened.is_empty() && !prevented.is_empty(), "{id}");
        let tested = named_tests_exist(PAGE, tests);
        assert!(tested > 0 || tests.len() > 20, "{PAGE}: {id} has neither a test nor a reason");
    }
}
