//! How the lints are tried: rules beside a small domain that nothing can be said of, `docs/diagnostics/example`, at a fixed
//! moment.

use super::super::diagnostic::{Diagnostic, Files, render};
use super::super::source::{Loaded, load_at};
use jiff::Timestamp;

const EXAMPLE: [(&str, &str); 3] = [
    ("domain.toml", include_str!("../../../docs/diagnostics/example/domain.toml")),
    ("outbound.toml", include_str!("../../../docs/diagnostics/example/outbound.toml")),
    ("people.toml", include_str!("../../../docs/diagnostics/example/people.toml")),
];

/// A Sunday noon in New York.
pub(in crate::rules) fn now() -> Timestamp {
    "2026-11-22T17:00:00Z".parse().unwrap()
}

/// The example domain with these files in place of its own of the same name, or beside them.
pub(in crate::rules) fn beside(others: &[(&str, &str)]) -> Files {
    let all = EXAMPLE.iter().chain(others);
    Files(all.map(|(name, text)| ((*name).into(), (*text).into())).collect())
}

/// These rules beside the example; a text that has routes of its own takes the place of its way out, and so does one that has
/// a `[domain]` of the domain's.
pub(super) fn files(text: &str) -> Files {
    let mut files = beside(&[("x.toml", text)]);
    if text.contains("[[route]]") {
        files.0.remove("outbound.toml");
    }
    if text.contains("[domain]") {
        files.0.remove("domain.toml");
    }
    files
}

/// The example with keys added to its `[domain]`, and these rules.
pub(super) fn with_domain(keys: &str, text: &str) -> Files {
    let mut files = files(text);
    let (_, domain) = EXAMPLE[0];
    files.0.insert("domain.toml".into(), domain.replace("[domain]\n", &format!("[domain]\n{keys}")).into());
    files
}

pub(super) fn loaded(files: &Files) -> Loaded {
    load_at(files, Some(now()))
}

/// The codes of everything that is found.
pub(super) fn codes(files: &Files) -> Vec<&'static str> {
    loaded(files).diagnostics.iter().map(|finding| finding.code).collect()
}

/// Loads rules in which `«` marks the place, and finds exactly one finding of the code, there, with these words.
#[track_caller]
pub(in crate::rules) fn fires(code: &str, marked: &str, words: &str) {
    let at = marked.find('«').expect("the place is marked");
    let text = marked.replace('«', "");
    let before = &marked[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    let files = files(&text);
    fires_in(code, &files, &format!("x.toml:{line}:{column}"), words);
}

/// The same over files and a place.
#[track_caller]
pub(super) fn fires_in(code: &str, files: &Files, place: &str, words: &str) {
    let all = loaded(files).diagnostics;
    let found: Vec<&Diagnostic> = all.iter().filter(|finding| finding.code == code).collect();
    let shown = render(files, &all, false);
    assert_eq!(found.len(), 1, "one `{code}` in\n{shown}");
    assert_eq!(files.place(found[0].span).to_string(), place, "in\n{shown}");
    let said = format!("{} {}", found[0].message, found[0].help.as_deref().unwrap_or_default());
    assert!(said.contains(words), "`{words}` in\n{shown}");
    assert!(found[0].help.is_some(), "what to write instead, in\n{shown}");
}

/// Loads rules that are right, and finds nothing of this code; nor an error, which would keep the lint from looking.
#[track_caller]
pub(in crate::rules) fn silent(code: &str, text: &str) {
    silent_in(code, &files(text));
}

/// The same over files.
#[track_caller]
pub(super) fn silent_in(code: &str, files: &Files) {
    let loaded = loaded(files);
    let shown = render(files, &loaded.diagnostics, false);
    assert!(loaded.model.is_some(), "these rules hold in\n{shown}");
    assert!(loaded.diagnostics.iter().all(|finding| finding.code != code), "no `{code}` in\n{shown}");
}

#[test]
fn nothing_is_said_of_the_example() {
    let files = beside(&[]);
    let mut found = loaded(&files).diagnostics;
    found.retain(|finding| finding.code != "not-carried-out");
    assert!(found.is_empty(), "{}", render(&files, &found, false));
}
