//! What is said of the two example domains: nothing that an operator would not want to hear.

use super::super::diagnostic::{Files, Severity, render};
use super::trial::loaded;
use std::path::Path;

/// The files of a directory below the project, as the daemon reads them.
fn directory(path: &str) -> Files {
    fn walk(base: &Path, at: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(base, &path, files);
            } else if path
                .extension()
                .is_some_and(|end| ["toml", "txt", "ics"].iter().any(|known| end == *known))
            {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap().into();
                files.0.insert(name, std::fs::read_to_string(&path).unwrap().into());
            }
        }
    }
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut files = Files::default();
    walk(&base, &base, &mut files);
    files
}

/// Each finding as its code and the first words of its message, in order; what is not carried out yet is left out.
#[track_caller]
fn says(path: &str, expected: &[(&str, &str)]) {
    let files = directory(path);
    let found = loaded(&files).diagnostics;
    let shown = render(&files, &found, false);
    let warnings: Vec<_> = found.iter().filter(|finding| finding.code != "not-carried-out").collect();
    assert!(warnings.iter().all(|finding| finding.severity == Severity::Warning), "{shown}");
    let mut said: Vec<(&str, &str)> =
        warnings.iter().map(|finding| (finding.code, finding.message.as_str())).collect();
    said.sort_unstable();
    let same = said.len() == expected.len()
        && said.iter().zip(expected).all(|(said, wanted)| said.0 == wanted.0 && said.1.contains(wanted.1));
    assert!(same, "{said:#?}\n{shown}");
}

#[test]
fn of_harbour_dental_an_operator_hears_what_they_would_change() {
    says(
        "routing-rules/harbour-dental",
        &[
            ("class-without-route", "the class `premium`"),
            ("class-without-route", "the class `unknown`"),
            ("dead-end", "`lobby` has no mailbox"),
            ("original-caller-id", "the trunk `carrier` screens caller IDs"),
            ("outside-too-short", "+12025550182 rings for 25s"),
        ],
    );
}

#[test]
fn of_northgate_freight_an_operator_hears_what_they_would_change() {
    says(
        "routing-rules/northgate-freight",
        &[
            ("calendar-ends", "`england` is 2026-12-28"),
            ("class-without-route", "the class `unknown`"),
            ("original-caller-id", "the trunk `maple` screens caller IDs"),
            ("outside-too-short", "+14165550177 rings for 12s"),
            ("outside-too-short", "+14165550178 rings for 20s"),
            ("outside-too-short", "+447700900123 rings for 15s"),
        ],
    );
}

#[test]
fn no_lint_refuses_a_rule_set_of_the_project() {
    let mut wrong = String::new();
    for set in ["routing-rules", "routing-rules/behaviour"] {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(set);
        for entry in std::fs::read_dir(&base).unwrap() {
            let path = entry.unwrap().path();
            if !path.join("domain.toml").is_file() {
                continue;
            }
            let files = directory(path.to_str().unwrap());
            let found = loaded(&files).diagnostics;
            let errors: Vec<_> = found.into_iter().filter(|one| one.severity == Severity::Error).collect();
            if !errors.is_empty() {
                wrong.push_str(&format!("{}:\n{}\n", path.display(), render(&files, &errors, false)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
