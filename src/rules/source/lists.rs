//! Lists of numbers, and the entries of `allow`, `block` and `white_list`.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{At, ListEntry, Name, WhiteListed};
use super::domain::required;
use super::names::{Kind, Object, Objects};
use super::reader::{Item, Reader, Table};
use crate::number::{Pattern, country, is_e164, normalise};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Every list with those that it names inside it.
pub(super) fn lists<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, At<Vec<At<Pattern>>>> {
    let mut raw: BTreeMap<Name, (Span, Vec<At<ListEntry>>)> = BTreeMap::new();
    for (name, object) in objects.of(Kind::List) {
        raw.insert(name.into(), (object.span, list(r, object)));
    }
    let mut lists = BTreeMap::new();
    for (name, (span, _)) in &raw {
        let mut value = Vec::new();
        let mut seen = vec![name.clone()];
        let mut at = 0;
        // Each list once, however often it is named: what a loop would add is already there.
        while let Some((_, entries)) = seen.get(at).and_then(|name| raw.get(name)) {
            at += 1;
            for entry in entries {
                match &entry.value {
                    ListEntry::Pattern(pattern, _) => {
                        value.push(At { value: pattern.clone(), span: entry.span })
                    }
                    ListEntry::List(other) if seen.contains(other) => {}
                    ListEntry::List(other) => seen.push(other.clone()),
                }
            }
        }
        lists.insert(name.clone(), At { value, span: *span });
    }
    lists
}

fn list<'t>(r: &mut Reader<'t>, object: Object<'t>) -> Vec<At<ListEntry>> {
    let mut t = Table::new(object.span, "list", object.table);
    let mut entries: Vec<At<ListEntry>> = Vec::new();
    for (text, span) in t.texts(r, "numbers") {
        entries.extend(entry(r, text, span).map(|value| At { value, span }));
    }
    if let Some(item) = t.item(r, "file") {
        entries.extend(file(r, item));
    }
    t.finish(r);
    if entries.is_empty() && !object.table.contains_key("file") {
        r.report(
            Diagnostic::warning("empty", object.span, "this list has no entry")
                .help("give it `numbers` or a `file`"),
        );
    }
    entries
}

/// One entry a line; `#` at the beginning of a line or after a space begins a comment.
fn file<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Vec<At<ListEntry>> {
    let Some(path) = item.text(r) else { return Vec::new() };
    let found = r.files.0.iter().enumerate().find(|(_, (name, _))| name.as_ref() == path);
    let Some((index, (_, text))) = found else {
        let message = format!("there is no file `{path}` beside the rules");
        r.error(
            "missing-file",
            item.span,
            message,
            "paths are relative to the rules' directory, and end in `.txt`",
        );
        return Vec::new();
    };
    let mut entries = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let comment =
            if line.starts_with('#') { Some(0) } else { line.find(" #").or_else(|| line.find("\t#")) };
        let content = line.get(..comment.unwrap_or(line.len())).unwrap_or_default();
        let number = content.trim();
        if !number.is_empty() {
            let begin = start + content.len() - content.trim_start().len();
            let place =
                super::reader::span(u32::try_from(index).unwrap_or(u32::MAX), begin..begin + number.len());
            entries.extend(entry(r, number, place).map(|value| At { value, span: place }));
        }
        start += line.len();
    }
    entries
}

/// `allow` and `block`.
pub(super) fn entries<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str) -> Vec<At<ListEntry>> {
    let texts = t.texts(r, key);
    texts.into_iter().filter_map(|(text, span)| Some(At { value: entry(r, text, span)?, span })).collect()
}

fn entry(r: &mut Reader<'_>, text: &str, span: Span) -> Option<ListEntry> {
    if let Some(list) = text.strip_prefix("list:") {
        return r.reference(Kind::List, list, span).map(ListEntry::List);
    }
    pattern(r, text, span).map(|pattern| ListEntry::Pattern(pattern, text.into()))
}

/// An extension of this domain, a number in E.164, or a pattern.
fn pattern(r: &mut Reader<'_>, text: &str, span: Span) -> Option<Pattern> {
    if r.names.extensions.contains_key(text) {
        return Some(Pattern::exact(text));
    }
    let parsed = Pattern::parse(text);
    let meant = normalise(text, &r.locale);
    let help = match (&parsed, &meant) {
        (Ok(pattern), _) if is_e164(text) || !pattern.is_literal() => {
            sees_somebody(r, pattern, span);
            return parsed.ok();
        }
        (_, Some(meant)) => format!("write it in E.164: `{meant}`"),
        (Err(what), None) => what.clone(),
        (Ok(_), None) => {
            "write an extension of this domain, a number in E.164 (`+12025550100`), a pattern (`+1900.`) or \
                          `list:NAME`"
                .into()
        }
    };
    r.error(
        "bad-entry",
        span,
        format!("`{text}` is neither an extension nor a number in E.164 nor a pattern"),
        help,
    );
    None
}

/// Callers are compared in E.164, or by their extension: a pattern that fits neither lets everybody through.
fn sees_somebody(r: &mut Reader<'_>, pattern: &Pattern, span: Span) {
    let text = pattern.as_str();
    if text.starts_with(['+', '.']) {
        return;
    }
    let prefix = pattern.literal_prefix();
    let mut extensions = r.names.extensions.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
    let fits = |extension: &str| extension.starts_with(prefix) && pattern.matches(extension);
    if prefix.is_empty() {
        if extensions.any(|(extension, _)| fits(extension)) {
            return;
        }
    } else if extensions.take_while(|(extension, _)| extension.starts_with(prefix)).any(|(e, _)| fits(e)) {
        return;
    }
    let calling_code = country(&r.locale.country).map_or("1", |country| country.calling_code);
    let message = format!("`{text}` fits no number: callers are compared in E.164");
    let help = format!("write it with `+` and the calling code, as in `+{calling_code}{text}`");
    r.report(Diagnostic::warning("fits-no-number", span, message).help(help));
}

/// `white_list`: users, roles, groups, extensions and numbers.
pub(super) fn white_list<'t>(
    r: &mut Reader<'t>,
    t: &mut Table<'t>,
    lists: &BTreeMap<Name, At<Vec<At<Pattern>>>>,
) -> Vec<At<WhiteListed>> {
    let mut listed = Vec::new();
    for (text, span) in t.texts(r, "white_list") {
        let value = match text.split_once(':') {
            Some(("user", name)) => r.reference(Kind::User, name, span).map(WhiteListed::User),
            Some(("hunt", name)) => r.reference(Kind::Hunt, name, span).map(WhiteListed::Hunt),
            Some(("queue", name)) => r.reference(Kind::Queue, name, span).map(WhiteListed::Queue),
            Some(("role", name)) => r.reference(Kind::Role, name, span).map(WhiteListed::Role),
            Some(("list", name)) => {
                let list = r.reference(Kind::List, name, span).and_then(|name| lists.get(&name));
                listed.extend(
                    list.into_iter()
                        .flat_map(|list| &list.value)
                        .map(|entry| At { value: WhiteListed::Pattern(entry.value.clone()), span }),
                );
                None
            }
            Some((word, _)) => {
                let help = "it can be `user:`, `role:`, `hunt:`, `queue:`, `list:`, an extension or a number";
                r.error("bad-entry", span, format!("`{word}:` can't stand in a white list"), help);
                None
            }
            None => pattern(r, text, span).map(WhiteListed::Pattern),
        };
        listed.extend(value.map(|value| At { value, span }));
    }
    listed
}

/// The patterns of a class.
pub(super) fn classes<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, At<Vec<At<Pattern>>>> {
    let mut classes = BTreeMap::new();
    for (name, object) in objects.of(Kind::Class) {
        let mut t = Table::new(object.span, "class", object.table);
        if name == "internal" {
            let help = "extensions are in this class already; choose another name";
            r.error("bad-name", object.span, "`internal` is built in", help);
        }
        let mut value = Vec::new();
        for item in required(r, &mut t, "match").iter().flat_map(Item::one_or_several) {
            let pattern = class_pattern(r, item);
            if let Some(pattern) = &pattern {
                sees_what_is_dialled(r, pattern, item.span);
            }
            value.extend(pattern.map(|pattern| At { value: pattern, span: item.span }));
        }
        t.finish(r);
        classes.insert(name.into(), At { value, span: object.span });
    }
    classes
}

/// What is dialled is normalised before its class is looked up: a pattern of the digits as dialled would never fit.
fn sees_what_is_dialled(r: &mut Reader<'_>, pattern: &Pattern, span: Span) {
    let Some(meant) = normalise(&pattern.sample(), &r.locale).filter(|number| !pattern.matches(number))
    else {
        return;
    };
    let text = pattern.as_str();
    let message = format!("`{text}` fits nothing that is dialled: numbers are brought to E.164 first");
    let help = format!("write it as the numbers look then: one that it means is {meant}");
    r.report(Diagnostic::warning("fits-no-number", span, message).help(help));
}

/// A pattern where any text of digits may stand.
pub(super) fn class_pattern<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Pattern> {
    let text = item.text(r)?;
    match Pattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(what) => {
            r.error("bad-pattern", item.span, format!("`{text}` is no number pattern"), what);
            None
        }
    }
}
