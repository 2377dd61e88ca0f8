//! The TOML files of one domain -> [`Model`], with every diagnostic at once.
//!
//! Parse each file; merge their objects; learn all names; read each table in their light; check the whole. One file here a
//! group of tables. Nothing stops at a mistake: reading goes on without the value, and no model comes of it. Invariant:
//! whatever the files hold, `load` returns.

mod again;
mod answering;
mod budgets;
mod codes;
mod devices;
mod domain;
mod emergency;
mod expect;
mod given;
mod lists;
mod mailbox;
mod names;
mod numbers;
mod outbound;
mod pending;
mod people;
mod reader;
mod roles;
mod secret;
mod services;
pub(in crate::rules) mod suggest;
mod time;
mod unused;
mod value;

use super::check;
use super::diagnostic::{Diagnostic, Files, Severity, Span};
use super::model::Model;
use super::shares::in_shares;
use jiff::Timestamp;
use names::{Kind, Objects};
use people::Surroundings;
use reader::{Reader, span};

pub(super) use again::{Again, Kept, Part};
pub(super) use given::given;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;

/// Spans are 32 bits, and a rule file of this size is a mistake.
const FILE_BYTES_MAX: usize = 32 << 20;
/// Fewer files than this are not worth a thread.
const FILES_A_SHARE_MIN: usize = 64;
/// Of each file: one slip makes the parser stumble over what follows.
const SYNTAX_ERRORS_SHOWN: usize = 5;

/// What came of loading: the model when there is no error; the diagnostics in order of place in any case.
#[derive(Debug)]
pub struct Loaded {
    pub model: Option<Model>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads, merges and checks the files of one domain. Files that don't end in `.toml` are what the others refer to. Nothing is
/// said of the years ahead: [`load_at`] knows from when to look.
#[must_use]
pub fn load(files: &Files) -> Loaded {
    load_at(files, None)
}

/// The same at a moment: time frames are looked at over the years that follow it.
#[must_use]
pub fn load_at(files: &Files, now: Option<Timestamp>) -> Loaded {
    load_keeping(files, now).0
}

/// The same, with what is needed to read some of the files again.
pub(super) fn load_keeping(files: &Files, now: Option<Timestamp>) -> (Loaded, Kept) {
    let mut diagnostics = Vec::new();
    let mut broken: BTreeSet<u32> = BTreeSet::new();
    let documents = parse(files, &mut diagnostics, &mut broken);
    let mut r = Reader::new(files, files.0.values().map(AsRef::as_ref).collect());
    let mut objects = Objects::default();
    for (file, document) in &documents {
        objects.merge(&mut r, *file, document.get_ref());
    }
    let model = read(&mut r, &objects, files);
    unused::unused(&mut r, &objects);
    let kept = Kept::of(&r, &objects);
    let mut found = r.diagnostics;
    if let Some(model) = model.as_ref().filter(|_| !has_errors(&found) && broken.is_empty()) {
        check::check(model, now, &mut found);
    }
    // What a broken file should have defined is missing everywhere: only what is certain is said.
    found.retain(|finding| {
        broken.is_empty() || (!broken.contains(&finding.span.file) && !is_about_others(finding.code))
    });
    let wrong: Vec<Span> = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.span)
        .collect();
    found.retain(|finding| !is_echo(files, finding, &wrong));
    diagnostics.extend(found);
    diagnostics.sort_by(Diagnostic::in_order);
    diagnostics.dedup();
    let model = model.filter(|_| !has_errors(&diagnostics));
    (Loaded { model, diagnostics }, kept)
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|finding| finding.severity == Severity::Error)
}

/// Findings that may only be there because another file could not be read.
fn is_about_others(code: &str) -> bool {
    matches!(code, "dangling" | "missing-table" | "bad-entry" | "no-device" | "no-primary" | "unused")
}

/// Whether a table is only said to lack something because what it has of it is wrong, which is said too.
fn is_echo(files: &Files, finding: &Diagnostic, wrong: &[Span]) -> bool {
    if wrong.is_empty() || !matches!(finding.code, "empty" | "no-auth" | "useless-trunk" | "unused") {
        return false;
    }
    let unused = finding.code == "unused";
    let Some((_, text)) = files.file(finding.span.file) else { return false };
    let after = text.get(finding.span.end as usize..).unwrap_or_default();
    let end = finding.span.end as usize + after.find("\n[").unwrap_or(after.len());
    wrong.iter().any(|span| {
        let inside = finding.span.start < span.start || (unused && finding.span == *span);
        span.file == finding.span.file && inside && (span.start as usize) < end
    })
}

fn parse<'t>(
    files: &'t Files,
    diagnostics: &mut Vec<Diagnostic>,
    broken: &mut BTreeSet<u32>,
) -> Vec<(u32, Spanned<DeTable<'t>>)> {
    let mut documents = Vec::new();
    let texts: Vec<(u32, &str)> = (0_u32..)
        .zip(&files.0)
        .filter(|(_, (name, _))| name.ends_with(".toml"))
        .map(|(index, (_, text))| (index, text.as_ref()))
        .collect();
    for ((index, text), parsed) in texts.iter().copied().zip(parse_texts(&texts)) {
        let Some((document, errors)) = parsed else {
            broken.insert(index);
            let message = format!("this file has more than {} MiB", FILE_BYTES_MAX >> 20);
            let finding = Diagnostic::error("file-too-large", span(index, 0..0), message);
            diagnostics
                .push(finding.help("put long lists into a `.txt` and name it: `file = \"lists/x.txt\"`"));
            continue;
        };
        if !errors.is_empty() {
            broken.insert(index);
        }
        let mut lines_seen = BTreeSet::new();
        for error in errors {
            let place = span(index, error.span().unwrap_or(0..0));
            // The first on each line; the rest are its echoes.
            if lines_seen.len() < SYNTAX_ERRORS_SHOWN && lines_seen.insert(files.place(place).line) {
                diagnostics.push(syntax_error(text, place, error.message()));
            }
        }
        documents.push((index, document));
    }
    documents
}

type Parsed<'t> = Option<(Spanned<DeTable<'t>>, Vec<toml::de::Error>)>;

/// Each text by itself, in order; by several threads where there are many. `None`: too large.
fn parse_texts<'t>(texts: &[(u32, &'t str)]) -> Vec<Parsed<'t>> {
    let parse = |texts: &[(u32, &'t str)]| -> Vec<Parsed<'t>> {
        let parsed = |(_, text): &(u32, &'t str)| {
            (text.len() <= FILE_BYTES_MAX).then(|| DeTable::parse_recoverable(text))
        };
        texts.iter().map(parsed).collect()
    };
    in_shares(texts, FILES_A_SHARE_MIN, parse).into_iter().flatten().collect()
}

/// The parser's words, and for what people dial the one thing to do.
fn syntax_error(text: &str, place: Span, message: &str) -> Diagnostic {
    let finding = Diagnostic::error("syntax", place, message);
    let before = text.get(..place.start as usize).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) if message.contains("leading zero") || message.contains("must be quoted") => {
            let key = key.trim();
            let word = text.get(place.start as usize..).unwrap_or_default();
            let end = word.find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}' | '#'));
            let word = word.get(..end.unwrap_or(word.len())).unwrap_or_default();
            let shown = if secret::holds_secret(key) { "..." } else { word };
            finding.help(format!("put it in quotes: `{key} = \"{shown}\"`"))
        }
        _ => finding,
    }
}

/// Everything in the order in which one needs the other.
fn read<'t>(r: &mut Reader<'t>, objects: &Objects<'t>, files: &Files) -> Option<Model> {
    r.learn().add_all(objects);
    r.learn().mailboxes_off = mailboxes_off(objects);
    people::extensions(r, objects);
    devices::owners(r, objects);
    let domain = domain::domain(r, objects)?;
    let policy = domain::policy(r, objects);
    let sites = domain::sites(r, objects);
    let roles = roles::roles(r, objects);
    let (calendars, time_frames) = time::time_frames(r, objects);
    let lists = lists::lists(r, objects);
    let around = Surroundings {
        objects,
        domain: &domain,
        sites: &sites,
        roles: &roles,
        lists: &lists,
        mailboxes: mailbox::Inherited::read(r, objects, policy.voicemail_full),
        forward_excludes_follow: policy.forward_excludes_follow,
    };
    people::defaults(r, &around);
    let users = people::users(r, &around);
    let (services, system_extensions) = services::services(r, objects, &domain, &around.mailboxes);
    let (emergency, notify) = emergency::emergency(r, objects);
    Some(Model {
        files: Arc::new(files.clone()),
        policy,
        calendars,
        time_frames,
        trunks: outbound::trunks(r, objects),
        classes: lists::classes(r, objects),
        dial: outbound::dial(r, objects),
        routes: outbound::routes(r, objects),
        emergency,
        notify,
        callbacks: emergency::callbacks(r, objects),
        locations: emergency::locations(r, objects),
        numbers: numbers::numbers(r, objects),
        devices: devices::devices(r, objects),
        expects: expect::expects(r, objects),
        services,
        system_extensions,
        users,
        roles,
        lists,
        sites,
        domain,
    })
}

/// Users whose mailbox is off, by their own word or the defaults'.
fn mailboxes_off<'t>(objects: &Objects<'t>) -> FxHashMap<Arc<str>, Span> {
    let enabled = |file: u32, table: &'t DeTable<'t>, within: Option<&str>| {
        let table = match within {
            Some(key) => table.get(key)?.get_ref().as_table()?,
            None => table,
        };
        let value = table.get("enabled")?;
        Some((value.get_ref().as_bool()?, span(file, value.span())))
    };
    let of = |object: names::Object<'t>, within| enabled(object.span.file, object.table, within);
    let default = objects
        .default_user
        .and_then(|object| of(object, Some("voicemail")))
        .or_else(|| objects.default_voicemail.and_then(|object| of(object, None)));
    let mut off = FxHashMap::default();
    for (name, object) in objects.of(Kind::User) {
        if let Some((false, place)) = of(object, Some("voicemail")).or(default) {
            off.insert(name.into(), place);
        }
    }
    off
}

#[cfg(test)]
mod many;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod tests;
