//! Mistakes of the operator: where, what, and what to write instead.
//!
//! Nothing here decides what is a mistake; `source` and `check` do. Invariant: a secret or PIN of the source never appears
//! in what [`render`] returns.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

mod mask;
mod places;
pub use mask::{SECRET_KEYS, SECRET_PREFIXES, mask_secrets};
pub use places::{Lines, Places};

/// A mark that spans more lines than this is shown up to here.
const SHOWN_LINES_MAX: usize = 3;

/// The files of one domain by relative path: `domain.toml`, `users/101-osei.toml`, `lists/nuisance.txt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files(pub BTreeMap<Arc<str>, Arc<str>>);

/// A place in the source: the file (by its index in the order of [`Files`]) and a byte range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

/// A place for people: line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Files {
    /// Where a span begins. A span of other files than these gives the nearest place that exists.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let Some((file, text)) = self.file(span.file) else {
            return Place { file: "".into(), line: 1, column: 1 };
        };
        let before = text.get(..boundary(text, span.start as usize)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            file: Arc::clone(file),
            line: memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// The file of this index and its text.
    #[must_use]
    pub fn file(&self, index: u32) -> Option<(&Arc<str>, &Arc<str>)> {
        self.0.iter().nth(index as usize)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One finding of `check`. Codes are stable names; each has a page in the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
    /// Another place that has to do with it: the first definition of what is defined twice.
    pub related: Option<(Span, String)>,
}

impl Diagnostic {
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic { severity: Severity::Error, code, span, message, help: None, related: None }
    }

    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// The order in which they are told: that of their places, all of them after one another.
    #[must_use]
    pub fn in_order(&self, other: &Diagnostic) -> std::cmp::Ordering {
        let key = |d: &Diagnostic| (d.span, d.severity, d.code);
        let related = |d: &Diagnostic| d.related.as_ref().map(|(span, _)| *span);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.message.cmp(&other.message))
            .then_with(|| related(self).cmp(&related(other)))
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.related = Some((span, label.into()));
        self
    }
}

/// What stops rules: their errors, and how many warnings there are beside them, which `check` shows.
#[must_use]
pub fn render_errors(files: &Files, diagnostics: &[Diagnostic], colour: bool) -> String {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        diagnostics.iter().cloned().partition(|one| one.severity == Severity::Error);
    let mut out = render(files, &errors, colour);
    match warnings.len() {
        0 => {}
        1 => out.push_str("and 1 warning, which `ringtree check` shows\n"),
        many => out.push_str(&format!("and {many} warnings, which `ringtree check` shows\n")),
    }
    out
}

/// All of them for the terminal: each with its line shown and marked (secrets masked), in order of place; the warnings first, so that
/// what has to be mended stands where the terminal stops.
#[must_use]
pub fn render(files: &Files, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut masked: HashMap<u32, String> = HashMap::new();
    for span in
        diagnostics.iter().flat_map(|one| [Some(one.span), one.related.as_ref().map(|r| r.0)]).flatten()
    {
        if let Some((_, text)) = files.file(span.file) {
            masked.entry(span.file).or_insert_with(|| mask_secrets(text));
        }
    }
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|one| (Reverse(one.severity), one.span));
    let mut out = String::new();
    for one in sorted {
        let level = match one.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group: Group<'_> = Group::with_title(level.primary_title(one.message.as_str()).id(one.code));
        if let Some(snippet) = snippet(files, &masked, one.span, AnnotationKind::Primary, "") {
            group = group.element(snippet);
        }
        if let Some((span, label)) = &one.related
            && let Some(snippet) = snippet(files, &masked, *span, AnnotationKind::Context, label)
        {
            group = group.element(snippet);
        }
        if let Some(help) = &one.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    out
}

/// The lines of a span, marked.
fn snippet<'a>(
    files: &'a Files,
    masked: &'a HashMap<u32, String>,
    span: Span,
    kind: AnnotationKind,
    label: &'a str,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let (path, _) = files.file(span.file)?;
    let text = masked.get(&span.file)?;
    let start = boundary(text, span.start as usize);
    let end = boundary(text, span.end as usize).max(start);
    let first = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let mut last = first;
    for line in text.get(first..)?.split_inclusive('\n').take(SHOWN_LINES_MAX) {
        last += line.len();
        if last >= end {
            break;
        }
    }
    let shown = text.get(first..last)?;
    let shown = shown.strip_suffix('\n').unwrap_or(shown);
    let mark = start - first..(end.min(last) - first).min(shown.len()).max(start - first);
    let line = memchr::memchr_iter(b'\n', text.get(..first)?.as_bytes()).count() + 1;
    let annotation = kind.span(mark);
    let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
    Some(Snippet::source(shown).line_start(line).path(path.as_ref()).annotation(annotation))
}

/// The nearest character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Files {
        Files([("a.toml".into(), "x = 1\n".into()), ("users/b.toml".into(), text.into())].into())
    }

    fn at(text: &str, word: &str) -> Span {
        let start = text.find(word).unwrap() as u32;
        Span { file: 1, start, end: start + word.len() as u32 }
    }

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "a = 1\nbé = \"ü\" # here\n";
        let place = files(text).place(at(text, "here"));
        assert_eq!(place.to_string(), "users/b.toml:2:12");
    }

    #[test]
    fn a_span_outside_its_file_has_a_place_all_the_same() {
        let files = files("é");
        assert_eq!(files.place(Span { file: 1, start: 1, end: 99 }).to_string(), "users/b.toml:1:1");
        assert_eq!(files.place(Span { file: 9, start: 1, end: 2 }).to_string(), ":1:1");
        let far = Diagnostic::error("x", Span { file: 9, start: 5, end: 2 }, "far");
        assert!(render(&files, &[far], false).contains("error[x]: far"));
    }

    #[test]
    fn a_rendered_finding_shows_place_line_mark_and_help() {
        let text = "[user.osei]\nexst = \"101\"\n";
        let finding = Diagnostic::error("unknown-key", at(text, "exst"), "unknown key `exst`")
            .help("did you mean `exts`?");
        let shown = render(&files(text), &[finding], false);
        for part in [
            "error[unknown-key]: unknown key `exst`",
            "users/b.toml:2:1",
            "exst = \"101\"",
            "^^^^",
            "did you mean",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
    }

    #[test]
    fn errors_stand_last_and_a_refusal_shows_them_alone() {
        let text = "a = 1\nb = 2\nc = 3\n";
        let found = [
            Diagnostic::error("wrong", at(text, "a ="), "an error"),
            Diagnostic::warning("odd", at(text, "b ="), "first warning"),
            Diagnostic::warning("odd", at(text, "c ="), "second warning"),
        ];
        let shown = render(&files(text), &found, false);
        let order = ["first warning", "second warning", "an error"].map(|part| shown.find(part).unwrap());
        assert!(order.is_sorted(), "{shown}");
        let refusal = render_errors(&files(text), &found, false);
        assert!(refusal.contains("an error") && !refusal.contains("first warning"), "{refusal}");
        assert!(refusal.ends_with("and 2 warnings, which `ringtree check` shows\n"), "{refusal}");
        assert!(!render_errors(&files(text), &found[..1], false).contains("warning"));
    }

    #[test]
    fn a_rendered_line_hides_its_secret() {
        let text = "auth = { user = \"100a\", secret = \"plain:hunter2\" }\n";
        let finding = Diagnostic::warning("plain-secret", at(text, "secret"), "a literal secret");
        let shown = render(&files(text), &[finding], false);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("plain:"), "{shown}");
    }

    #[test]
    fn related_places_are_shown_too() {
        let text = "[user.a]\n\n[user.a]\n";
        let again = Span { file: 1, start: 10, end: 18 };
        let twice = Diagnostic::error("twice", again, "defined twice")
            .related(Span { end: 8, ..at(text, "[") }, "first here");
        let shown = render(&files(text), &[twice], false);
        assert!(shown.contains("b.toml:3:1") && shown.contains("first here"), "{shown}");
    }
}
