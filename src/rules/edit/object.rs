//! Objects in the files of a domain: where each stands, its text and its value; changed, put, removed.

use super::change::{CHANGES_MAX, Change};
use super::kind::Kind;
use super::place::{Place, carry_out};
use super::shape::FILE;
use super::written::table_of;
use super::{EditError, layout};
use crate::rules::diagnostic::Files;
use crate::rules::source::suggest;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use toml_edit::{DocumentMut, Item, Table, Value};

/// An object as it stands in its file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    pub kind: &'static str,
    pub name: String,
    /// `users/101-osei.toml:2:1`
    pub at: String,
    /// Its keys. Dates are text.
    pub value: Json,
    /// Its tables as they are written, with their comments.
    pub toml: String,
}

/// What would have nothing to refer to any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Referrer {
    pub at: String,
    pub why: String,
}

/// The files in which the object's name occurs at all, so that the others need not be parsed.
fn candidates<'f>(files: &'f Files, name: &str) -> impl Iterator<Item = (&'f Arc<str>, &'f Arc<str>)> {
    let finder = memchr::memmem::Finder::new(name.as_bytes()).into_owned();
    files
        .0
        .iter()
        .filter(move |(file, text)| file.ends_with(".toml") && finder.find(text.as_bytes()).is_some())
}

fn named<'d>(document: &'d DocumentMut, kind: &Kind, name: &str) -> Option<&'d Item> {
    document.get(kind.table)?.as_table_like()?.get(name)
}

/// The file that holds an object, and its text.
#[must_use]
pub fn home_of<'f>(files: &'f Files, kind: &Kind, name: &str) -> Option<(&'f Arc<str>, &'f Arc<str>)> {
    candidates(files, name).find(|(_, text)| {
        text.parse::<DocumentMut>().is_ok_and(|document| named(&document, kind, name).is_some())
    })
}

/// One object. Literal secrets are as the files have them: mask the files first where it is shown.
#[must_use]
pub fn find(files: &Files, kind: &Kind, name: &str) -> Option<Found> {
    let (file, text) = home_of(files, kind, name)?;
    let document: DocumentMut = text.parse().ok()?;
    found(file, text, &document, kind, name)
}

/// Every object of a kind, by name.
#[must_use]
pub fn list(files: &Files, kind: &Kind) -> Vec<Found> {
    let mut all = Vec::new();
    for (file, text) in candidates(files, kind.table) {
        let Ok(document) = text.parse::<DocumentMut>() else { continue };
        let names = document.get(kind.table).and_then(Item::as_table_like);
        for (name, _) in names.into_iter().flat_map(|t| t.iter()) {
            all.extend(found(file, text, &document, kind, name));
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn found(file: &str, text: &str, document: &DocumentMut, kind: &Kind, name: &str) -> Option<Found> {
    let item = named(document, kind, name)?;
    let (line, column) = place(text, kind, name);
    Some(Found {
        kind: kind.table,
        name: name.to_owned(),
        at: format!("{file}:{line}:{column}"),
        value: json_of(item),
        toml: text_of(document, kind, name),
    })
}

/// Where the object begins, as a diagnostic would say it.
fn place(text: &str, kind: &Kind, name: &str) -> (usize, usize) {
    let start = || {
        let document = toml::de::DeTable::parse(text).ok()?;
        let object = document.get_ref().get(kind.table)?.get_ref().as_table()?.get(name)?.span().start;
        text.get(..object)
    };
    let before = start().unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

/// The tables of one object alone.
fn text_of(document: &DocumentMut, kind: &Kind, name: &str) -> String {
    let mut alone = document.clone();
    alone.retain(|word, _| word == kind.table);
    if let Some(table) = alone.get_mut(kind.table).and_then(Item::as_table_like_mut) {
        let others: Vec<String> = table.iter().map(|(k, _)| k.to_owned()).filter(|k| k != name).collect();
        for other in others {
            table.remove(&other);
        }
    }
    alone.set_trailing("");
    alone.to_string().trim_matches('\n').to_owned() + "\n"
}

/// The lines of an object, or of one of its rules, for [`super::blame`].
#[must_use]
pub fn lines_of(files: &Files, kind: &Kind, name: &str, rule: Option<&str>) -> Option<Vec<String>> {
    let (_, text) = home_of(files, kind, name)?;
    let mut document: DocumentMut = text.parse().ok()?;
    let mut text = text_of(&document, kind, name);
    if let Some(rule) = rule {
        document = text.parse().ok()?;
        let object = document.get_mut(kind.table)?.as_table_like_mut()?.get_mut(name)?.as_table_like_mut()?;
        let others: Vec<String> = object.iter().map(|(k, _)| k.to_owned()).filter(|k| k != "rule").collect();
        for other in others {
            object.remove(&other);
        }
        let rules = object.get_mut("rule")?.as_array_of_tables_mut()?;
        let at = rules.iter().position(|t| t.get("name").and_then(Item::as_str) == Some(rule));
        let at = at.or_else(|| rule.parse::<usize>().ok()?.checked_sub(1)).filter(|at| *at < rules.len())?;
        let mut nth = 0;
        rules.retain(|_| {
            nth += 1;
            nth == at + 1
        });
        if let Some(object) = document.get_mut(kind.table)?.as_table_like_mut()?.get_mut(name)?.as_table_mut()
        {
            object.set_implicit(true);
        }
        text = document.to_string().trim_matches('\n').to_owned();
    }
    Some(text.lines().map(str::to_owned).collect())
}

fn json_of(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => json_of_value(value),
        Item::Table(table) => Json::Object(table.iter().map(|(k, v)| (k.to_owned(), json_of(v))).collect()),
        Item::ArrayOfTables(elements) => {
            let of = |t: &Table| Json::Object(t.iter().map(|(k, v)| (k.to_owned(), json_of(v))).collect());
            elements.iter().map(of).collect()
        }
    }
}

fn json_of_value(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().clone().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(flag) => (*flag.value()).into(),
        Value::Datetime(when) => when.value().to_string().into(),
        Value::Array(items) => items.iter().map(json_of_value).collect(),
        Value::InlineTable(table) => {
            Json::Object(table.iter().map(|(k, v)| (k.to_owned(), json_of_value(v))).collect())
        }
    }
}

/// The file's document, which is written back as it was but for what is changed.
fn document(text: &str) -> Result<DocumentMut, EditError> {
    let parse = |text: &str| {
        text.parse::<DocumentMut>()
            .map_err(|e| EditError::new(format!("the file can't be read: {}", e.message())))
    };
    let document = parse(text)?;
    if document.to_string() == text {
        return Ok(document);
    }
    parse(&layout::format(text).map_err(|e| EditError::new(format!("the file can't be edited: {e}")))?)
}

fn with_file(files: &Files, file: &str, text: Option<String>) -> Files {
    let mut files = files.clone();
    match text {
        Some(text) => drop(files.0.insert(file.into(), text.into())),
        None => drop(files.0.remove(file)),
    }
    files
}

fn missing(files: &Files, kind: &Kind, name: &str) -> EditError {
    let all = list(files, kind);
    let meant = suggest::nearest(name, all.iter().map(|f| f.name.as_str()));
    let help = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    EditError::Missing(format!("there is no {} `{name}`{help}", kind.spoken()))
}

/// The files with an object changed.
///
/// # Errors
/// There is no such object, or a change makes no sense; nothing is changed then.
pub fn change(
    files: &Files,
    kind: &'static Kind,
    name: &str,
    changes: &[Change],
) -> Result<Files, EditError> {
    if changes.len() > CHANGES_MAX {
        return Err(EditError::new(format!(
            "more than {CHANGES_MAX} changes at once: `apply` the whole file"
        )));
    }
    let (file, text) = home_of(files, kind, name).ok_or_else(|| missing(files, kind, name))?;
    let mut document = document(text)?;
    for change in changes {
        let way: Vec<String> =
            [kind.table, name].into_iter().map(str::to_owned).chain(change.at().iter().cloned()).collect();
        if change.at().is_empty() {
            return Err(EditError::new("a change needs a key"));
        }
        carry_out(Place::Table(document.as_table_mut()), &way, &FILE, change)?;
    }
    Ok(with_file(files, file, Some(document.to_string())))
}

/// The files with an object as `keys` say: changed where it is there, else written where it belongs.
///
/// # Errors
/// What is asked for can't be written as rules.
pub fn put(
    files: &Files,
    kind: &'static Kind,
    name: &str,
    keys: &Map<String, Json>,
) -> Result<Files, EditError> {
    if let Some((file, text)) = home_of(files, kind, name) {
        let mut document = document(text)?;
        let way = [kind.table.to_owned(), name.to_owned()];
        let set = Change::Set { at: Vec::new(), value: Json::Object(keys.clone()) };
        carry_out(Place::Table(document.as_table_mut()), &way, &FILE, &set)?;
        return Ok(with_file(files, file, Some(document.to_string())));
    }
    let file = home_for(files, kind, name, keys);
    let text = files.0.get(file.as_str()).map(AsRef::as_ref).unwrap_or_default();
    let mut document = document(text)?;
    let mut object = table_of(keys, FILE.under(kind.table).under(name))?;
    let last = last_position(document.as_table());
    let group = document.as_table_mut().entry(kind.table).or_insert_with(|| {
        // At the end of the file; where there are others of its kind, it stands behind the last of them.
        object.set_position(Some(last.saturating_add(1)));
        let mut group = Table::new();
        group.set_implicit(true);
        Item::Table(group)
    });
    let Some(group) = group.as_table_mut() else {
        return Err(EditError::new(format!(
            "{file} holds `{}` as a value: write it as tables first",
            kind.table
        )));
    };
    if text.is_empty() {
        object.decor_mut().set_prefix("");
    }
    group.insert(name, Item::Table(object));
    Ok(with_file(files, &file, Some(document.to_string())))
}

fn last_position(table: &Table) -> isize {
    let below = table.iter().map(|(_, item)| match item {
        Item::Table(inner) => last_position(inner),
        Item::ArrayOfTables(elements) => elements.iter().map(last_position).max().unwrap_or(0),
        Item::Value(_) | Item::None => 0,
    });
    below.chain(table.position()).max().unwrap_or(0)
}

/// Where a new object is written: a device beside its user, anything else beside the last of its kind; where each user has a
/// file, a new one gets one, too.
fn home_for(files: &Files, kind: &Kind, name: &str, keys: &Map<String, Json>) -> String {
    if kind.table == "device"
        && let Some(user) = keys.get("user").and_then(Json::as_str)
        && let Some(users) = Kind::of_table("user")
        && let Some((file, _)) = home_of(files, users, user)
    {
        return file.to_string();
    }
    let homes = list(files, kind);
    let file_of = |found: &Found| found.at.split(':').next().unwrap_or_default().to_owned();
    if kind.table == "user" && homes.iter().all(|f| file_of(f).starts_with("users/")) && !homes.is_empty() {
        return format!("users/{name}.toml");
    }
    homes
        .iter()
        .map(file_of)
        .max_by_key(|file| (homes.iter().filter(|f| file_of(f) == *file).count(), file.clone()))
        .unwrap_or_else(|| kind.home.to_owned())
}

/// The files without an object. A file with nothing else in it goes, too.
///
/// Whether others refer to it is for whoever has the model to judge, before this is taken.
///
/// # Errors
/// There is no such object.
pub fn remove(files: &Files, kind: &'static Kind, name: &str) -> Result<Files, EditError> {
    let (file, text) = home_of(files, kind, name).ok_or_else(|| missing(files, kind, name))?;
    let mut document = document(text)?;
    if let Some(group) = document.get_mut(kind.table).and_then(Item::as_table_like_mut) {
        group.remove(name);
        if group.is_empty() {
            document.remove(kind.table);
        }
    }
    let left = (!document.as_table().is_empty()).then(|| document.to_string());
    Ok(with_file(files, file, left.map(|text| text.trim_start_matches('\n').to_owned())))
}

/// A file of new objects: kind, name and keys of each.
///
/// # Errors
/// They can't be written as rules.
pub(super) fn new_file(objects: &[(&str, String, Map<String, Json>)]) -> Result<String, EditError> {
    let mut document = DocumentMut::new();
    for (at, (word, name, keys)) in (1_isize..).zip(objects) {
        let mut object = table_of(keys, FILE.under(word).under(name))?;
        object.set_position(Some(at));
        let group = document.as_table_mut().entry(word).or_insert_with(|| {
            let mut group = Table::new();
            group.set_implicit(true);
            Item::Table(group)
        });
        if let Some(group) = group.as_table_mut() {
            group.insert(name, Item::Table(object));
        }
    }
    layout::format(&document.to_string()).map_err(|e| EditError::new(e.to_string()))
}
