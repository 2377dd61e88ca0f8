//! `docs/conformance.md`: every row says whether it is built, and every test that it names exists.

use std::collections::BTreeSet;

const PAGE: &str = "docs/conformance.md";

pub(crate) fn project(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The tables of a page: their rows, the headings first, as cells.
pub(crate) fn tables(page: &str) -> Vec<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(project(page)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let tables = lines.split(|line| !line.starts_with("| ")).filter(|table| !table.is_empty());
    let cells = |line: &&str| {
        let inside = line.trim_start_matches('|');
        inside.strip_suffix('|').unwrap_or(inside).split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    tables.map(|rows| rows.iter().filter(|row| !row.starts_with("| ---")).map(cells).collect()).collect()
}

/// The cells of every row of the page's tables, headings left out.
fn rows() -> Vec<Vec<String>> {
    tables(PAGE).into_iter().flat_map(|table| table.into_iter().skip(1)).collect()
}

/// Every `file: test, test` of a cell has its file and its tests. How many there are.
pub(crate) fn named_tests_exist(row: &str, cell: &str) -> usize {
    let mut count = 0;
    for span in cell.split('`').skip(1).step_by(2) {
        let Some((file, names)) = span.split_once(": ") else { continue };
        let text = std::fs::read_to_string(project(file)).unwrap_or_else(|_| panic!("{row}: no file {file}"));
        for name in names.split(", ") {
            let at =
                text.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{row}: no {name} in {file}"));
            assert!(is_test(&text[..at]), "{row}: {name} in {file} is no test");
            count += 1;
        }
    }
    count
}

/// Whether `#[test]` stands among the attributes and comments right above.
fn is_test(above: &str) -> bool {
    let lines = above.trim_end().lines().rev();
    let mut attributes = lines.take_while(|line| line.trim_start().starts_with(['#', '/']));
    attributes.any(|line| line.trim() == "#[test]")
}

#[test]
fn every_row_has_its_tests_or_says_that_it_is_not_built() {
    let mut sections = BTreeSet::new();
    for cells in rows().iter().filter(|cells| !cells[0].starts_with("Figure")) {
        let [rfc, section, what, tests, reason] = cells.as_slice() else { panic!("{PAGE}: {cells:?}") };
        let row = format!("RFC {rfc} {section}");
        assert!(sections.insert(row.clone()), "{row}: twice");
        let tested = named_tests_exist(&row, tests);
        match tests.as_str() {
            "not built" | "not ours" => assert!(!reason.is_empty(), "{row}: why?"),
            _ => assert!(tested > 0 && !what.is_empty(), "{row}: claimed without a test"),
        }
    }
    assert!(sections.len() > 60, "the table is there");
}

/// RFC 3261 §17 and RFC 6026: the figures, arrow by arrow.
#[test]
fn every_arrow_of_the_figures_has_its_test() {
    let rows = rows();
    let arrows: Vec<_> = rows.iter().filter(|cells| cells[0].starts_with("Figure")).collect();
    for cells in &arrows {
        let [figure, arrow, tests] = cells.as_slice() else { panic!("{PAGE}: {cells:?}") };
        assert!(named_tests_exist(&format!("{figure}, {arrow}"), tests) > 0, "{figure}, {arrow}");
    }
    let of = |figure: &str| arrows.iter().filter(|cells| cells[0].starts_with(figure)).count();
    assert_eq!(["Figure 5", "Figure 6", "Figure 7", "Figure 8"].map(of), [14, 10, 16, 9]);
}
