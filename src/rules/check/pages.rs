//! Every code has its page in `docs/diagnostics`, every page a code that the program can say, and every page shows what is
//! true: rules that are found under that code alone, and rules of which nothing is said.

use super::super::diagnostic::{Files, Severity, render};
use super::trial::{beside, loaded};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Codes whose example would be a file of 33 MiB, a second domain or none, a list of 21 phones, a file of sound and the like: other tests show them fire.
const WITHOUT_EXAMPLE: [&str; 9] = [
    "accept-from-overlap",
    "broken-audio",
    "fan-out",
    "file-too-large",
    "missing-audio",
    "missing-table",
    "not-carried-out",
    "not-held",
    "too-many-days",
];
/// What ends with the work that it announces.
const PASSING: &str = "not-carried-out";
/// A fault of ours: there is nothing else to write.
const FAULT: &str = "not-held";

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages by their code.
fn pages() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(project().join("docs/diagnostics")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let pages = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let code = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    pages
        .filter(|path| code(path) != "README")
        .map(|path| (code(&path), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The blocks of one section: the name of the file that each is, and its text.
fn blocks(page: &str, section: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = page.split_once(&format!("\n## {section}\n")) else { return Vec::new() };
    let section = rest.split("\n## ").next().unwrap();
    let mut fences = section.split("```");
    let mut blocks = Vec::new();
    while let (Some(_), Some(block)) = (fences.next(), fences.next()) {
        let (info, text) = block.split_once('\n').unwrap();
        let file = info.split_once(' ').map_or("x.toml", |(_, file)| file);
        blocks.push((file.to_owned(), text.to_owned()));
    }
    blocks
}

fn files(blocks: &[(String, String)]) -> Files {
    beside(&blocks.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect::<Vec<_>>())
}

/// Every text that follows `error(`, `warning(` or `code:` in the source of the rules.
fn codes_of(directory: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_of(&path, codes);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // What tests make up is no code of the program.
        let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        for before in ["error(", "warning(", "code: "] {
            for rest in text.split(before).skip(1) {
                let Some(literal) = rest.trim_start().strip_prefix('"') else { continue };
                let code = literal.split('"').next().unwrap();
                if code.contains(|c: char| c != '-' && !c.is_ascii_lowercase() && !c.is_ascii_digit()) {
                    continue;
                }
                codes.insert(code.to_owned());
            }
        }
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut said = BTreeSet::new();
    codes_of(&project().join("src/rules"), &mut said);
    // These reach their finding through a parameter.
    said.extend(["bad-date", "bad-hours", "bad-rrule", "too-many-days"].map(String::from));
    let pages: BTreeSet<String> = pages().into_keys().collect();
    let without: Vec<&String> = said.difference(&pages).collect();
    let unsaid: Vec<&String> = pages.difference(&said).collect();
    assert!(
        without.is_empty() && unsaid.is_empty(),
        "codes without a page: {without:?}; pages without a code: {unsaid:?}"
    );
}

#[test]
fn the_index_lists_every_page_once() {
    let index = std::fs::read_to_string(project().join("docs/diagnostics/README.md")).unwrap();
    for code in pages().keys() {
        assert_eq!(index.matches(&format!("[{code}]({code}.md)")).count(), 1, "{code}");
    }
}

#[test]
fn what_a_page_shows_as_found_is_found_and_nothing_else() {
    let mut wrong = String::new();
    for (code, page) in pages() {
        let found = blocks(&page, "Found");
        if found.is_empty() {
            assert!(WITHOUT_EXAMPLE.contains(&code.as_str()), "{code} shows nothing that is found");
            continue;
        }
        let files = files(&found);
        let diagnostics = loaded(&files).diagnostics;
        let codes: BTreeSet<&str> =
            diagnostics.iter().map(|one| one.code).filter(|code| *code != PASSING).collect();
        let severities: BTreeSet<Severity> =
            diagnostics.iter().filter(|one| one.code == code).map(|one| one.severity).collect();
        let says = match page.lines().nth(2).unwrap().split("**").nth(1).unwrap() {
            "Error." => &[Severity::Error][..],
            "Warning." => &[Severity::Warning],
            _ => &[Severity::Error, Severity::Warning],
        };
        if codes != BTreeSet::from([code.as_str()])
            || severities.iter().any(|severity| !says.contains(severity))
        {
            wrong.push_str(&format!("{code}: {codes:?}\n{}\n", render(&files, &diagnostics, false)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn nothing_is_said_of_what_a_page_shows_instead() {
    let mut wrong = String::new();
    for (code, page) in pages() {
        let instead = blocks(&page, "Instead");
        if code == FAULT {
            continue;
        }
        assert!(!instead.is_empty(), "{code} does not show what to write instead");
        let files = files(&instead);
        let diagnostics = loaded(&files).diagnostics;
        if diagnostics.iter().any(|one| one.code != PASSING) {
            wrong.push_str(&format!("{code}:\n{}\n", render(&files, &diagnostics, false)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
