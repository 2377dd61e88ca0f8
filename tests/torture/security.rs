//! `docs/security.md`: every code and test that it names exists, its list of `unsafe` is whole, and the sandbox is no more open than it says.

use super::conformance::{named_tests_exist, project, tables};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const PAGE: &str = "docs/security.md";
/// What `systemd-analyze security` may say of the unit, in tenths.
const EXPOSURE_MAX: &str = "13";

/// The rows of all tables with this heading over their last column, each with the name of its first cell.
fn rows_with(last: &str) -> Vec<Vec<String>> {
    let of =
        |table: &Vec<Vec<String>>| table.first().and_then(|head| head.last()).is_some_and(|it| it == last);
    tables(PAGE).into_iter().filter(of).flat_map(|table| table.into_iter().skip(1)).collect()
}

#[test]
fn every_claim_has_its_test_and_what_is_refused_its_code() {
    let rows = rows_with("tests");
    for cells in &rows {
        let (row, tests) = (&cells[0], &cells[cells.len() - 1]);
        assert!(named_tests_exist(row, tests) > 0, "{PAGE}: {row}: claimed without a test");
        // Of a way in, and of who may do what, the code stands before the tests.
        if cells.len() >= 4 {
            let code: Vec<&str> = cells[cells.len() - 2].split('`').skip(1).step_by(2).collect();
            assert!(!code.is_empty(), "{PAGE}: {row}: by which code?");
            for file in code {
                assert!(Path::new(&project(file)).is_file(), "{PAGE}: {row}: no file {file}");
            }
        }
    }
    assert!(rows.len() > 50, "the tables are there");
}

/// Every file of ours in Rust below `folder`.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("node_modules") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.strip_prefix(project("")).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Whether it has code of that kind: the keyword before a block, a function, an implementation or a trait.
fn is_unsafe(text: &str) -> bool {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let follows = |rest: &str| {
        ["{", "fn ", "impl", "trait ", "extern "].iter().any(|it| rest.trim_start().starts_with(it))
    };
    code.flat_map(|line| line.match_indices("unsafe ").map(move |(at, word)| &line[at + word.len()..]))
        .any(follows)
}

#[test]
fn the_list_of_what_the_compiler_can_not_vouch_for_is_whole() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz", "examples"] {
        sources(Path::new(&project(folder)), &mut files);
    }
    assert!(files.len() > 400, "they are found: {}", files.len());
    let text = |file: &String| std::fs::read_to_string(project(file)).unwrap();
    let mut found: Vec<String> = files.into_iter().filter(|file| is_unsafe(&text(file))).collect();
    found.sort();
    let mut listed: Vec<String> = rows_with("why")
        .into_iter()
        .map(|cells| cells[0].trim_matches('`').to_owned())
        .filter(|it| it.ends_with(".rs"))
        .collect();
    listed.sort();
    assert_eq!(found, listed, "{PAGE} lists where code is that the compiler can't vouch for");
    for file in ["src/lib.rs", "src/main.rs"] {
        assert!(text(&file.to_owned()).contains("#![forbid(unsafe_code)]"), "{file}");
    }
    assert!(text(&"Cargo.toml".to_owned()).contains("unsafe_code = \"deny\""));
}

#[test]
fn the_sandbox_leaves_open_what_the_page_says_and_no_more() {
    let unit = project("systemd/ringtree.service");
    assert!(std::fs::read_to_string(&unit).unwrap().lines().any(|line| line == "LimitCORE=0"));
    let arguments = ["security", "--offline=true", "--no-pager", "--json=short", "--threshold", EXPOSURE_MAX];
    let ran = Command::new("systemd-analyze")
        .args(arguments)
        .arg(&unit)
        .output()
        .expect("`.ci/packages test` installs it");
    let said: Vec<serde_json::Value> = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ran.stderr)));
    assert!(ran.status.success(), "more open than {EXPOSURE_MAX} tenths");
    let open: BTreeMap<String, String> = said
        .iter()
        .filter_map(|it| Some((it["name"].as_str()?.replace('|', "/"), it["exposure"].as_str()?.to_owned())))
        .collect();
    let exposures =
        tables(PAGE).into_iter().find(|table| table[0][0] == "exposure").expect("the table is there");
    let listed: BTreeMap<String, String> = exposures
        .into_iter()
        .skip(1)
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    assert_eq!(open, listed, "{PAGE} says what is left open, and why");
}
