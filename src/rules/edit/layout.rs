//! `fmt`: the canonical layout of a rule file. Keys in the order of [`Shape`], the parts of one object together, one space around
//! `=`, two before a comment at the end of a line, one blank line between tables; comments, the order of objects, of arrays and of
//! `[[...]]`, and how a string is quoted stay as they are.
//!
//! Invariants: the meaning stays (proved before anything is returned), and a second time changes nothing.

use super::shape::{FILE, Shape};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Key, RawString, Table, Value};

/// Two spaces a level, inside arrays and tables of several lines.
const INDENT: &str = "  ";

/// Why a file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It is no TOML.
    #[error("{0}")]
    Syntax(#[from] toml_edit::TomlError),
    /// A fault of ours, found before it did harm.
    #[error("it would mean something else")]
    Meaning,
}

/// The file in its canonical layout.
///
/// # Errors
/// It is no TOML, or would not mean the same.
pub fn format(text: &str) -> Result<String, LayoutError> {
    // A comment at the top that a blank line sets apart belongs to the file, whatever comes first in it.
    let (top, rest) = text.split_at(top(text));
    // Where it is no TOML, the whole text gives the right place.
    let document: DocumentMut = rest.parse().or_else(|_| text.parse())?;
    let mut out = String::new();
    let top = lines(top);
    write_lines(&mut out, trimmed(&top), "");
    let rest = write(&document);
    if !out.is_empty() && !rest.is_empty() {
        out.push('\n');
    }
    out.push_str(&rest);
    let meaning = |text: &str| toml::from_str::<toml::Table>(text).ok();
    match (meaning(text), meaning(&out)) {
        (Some(before), Some(after)) if before == after => Ok(out),
        _ => Err(LayoutError::Meaning),
    }
}

/// A line between two things.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Blank,
    Comment(String),
}

/// A key with its value, or an element of an array, and the comments that belong to it.
struct Cell<'d> {
    before: Vec<Line>,
    /// Empty for elements.
    keys: Vec<&'d Key>,
    value: &'d Value,
    /// At the end of its line.
    after: Option<String>,
}

/// A table with its header, and the tables below it.
struct Section<'d> {
    path: Vec<&'d Key>,
    /// `None`: there is no such header, only tables below it.
    table: Option<&'d Table>,
    is_element: bool,
    shape: &'static Shape,
    /// The least position of it and all below it.
    position: isize,
    below: Vec<Section<'d>>,
}

fn write(document: &DocumentMut) -> String {
    let root = document.as_table();
    let mut sections = Vec::new();
    below(root, &[], &FILE, &mut sections);
    let mut sections: Vec<Section<'_>> = sections.into_iter().flat_map(objects).collect();
    sections.sort_by_key(|s| s.position);
    let mut out = String::new();
    write_lines(&mut out, trimmed(&lines(raw(document.decor().prefix()))), "");
    write_body(&mut out, root, &FILE);
    for section in &sections {
        write_section(&mut out, section);
    }
    let tail = lines(raw(Some(document.trailing())));
    if !out.is_empty() && tail.first() == Some(&Line::Blank) && !trimmed(&tail).is_empty() {
        out.push('\n');
    }
    write_lines(&mut out, trimmed(&tail), "");
    out
}

/// The words with named tables below them are no objects themselves.
fn objects(section: Section<'_>) -> Vec<Section<'_>> {
    if section.table.is_none() && section.path.len() == 1 { section.below } else { vec![section] }
}

/// The tables with headers below a table, in the order of the document's tree.
fn below<'d>(table: &'d Table, path: &[&'d Key], shape: &'static Shape, found: &mut Vec<Section<'d>>) {
    for (name, item) in table.iter() {
        let Some(key) = table.key(name) else { continue };
        let path: Vec<&Key> = path.iter().copied().chain([key]).collect();
        let shape = shape.under(name);
        match item {
            Item::Table(inner) => {
                let section = section(inner, path, false, shape);
                if section.table.is_some() || !section.below.is_empty() {
                    found.push(section);
                }
            }
            Item::ArrayOfTables(elements) => {
                found.extend(elements.iter().map(|element| section(element, path.clone(), true, shape)));
            }
            Item::Value(_) | Item::None => {}
        }
    }
}

fn section<'d>(table: &'d Table, path: Vec<&'d Key>, is_element: bool, shape: &'static Shape) -> Section<'d> {
    let mut inside = Vec::new();
    below(table, &path, shape, &mut inside);
    let hidden = table.is_dotted() || (table.is_implicit() && table.get_values().is_empty());
    let own = (!hidden).then(|| table.position()).flatten();
    let position = inside.iter().map(|s| s.position).chain(own).min().unwrap_or(isize::MAX);
    let depth = path.len();
    // By rank; elements of one array keep their order, since the sort is stable.
    inside.sort_by_key(|s: &Section<'_>| s.path.get(depth).map_or(0, |key| shape.rank(key.get())));
    Section { path, table: (!hidden).then_some(table), is_element, shape, position, below: inside }
}

fn write_section(out: &mut String, section: &Section<'_>) {
    if let Some(table) = section.table {
        if !out.is_empty() {
            out.push('\n');
        }
        write_lines(out, trimmed_start(&lines(raw(table.decor().prefix()))), "");
        let (open, close) = if section.is_element { ("[[", "]]") } else { ("[", "]") };
        out.push_str(open);
        write_key(out, &section.path);
        out.push_str(close);
        write_end(out, comment(raw(table.decor().suffix())).as_deref());
        write_body(out, table, section.shape);
    }
    for inner in &section.below {
        write_section(out, inner);
    }
}

/// The keys of a table with their values.
fn write_body(out: &mut String, table: &Table, shape: &'static Shape) {
    let mut cells = Vec::new();
    for (nth, (keys, value)) in table.get_values().into_iter().enumerate() {
        let before = lines(raw(keys.last().and_then(|key| key.leaf_decor().prefix())));
        let before = if nth == 0 { trimmed_start(&before).to_vec() } else { before };
        cells.push(Cell { before, after: comment(raw(value.decor().suffix())), keys, value });
    }
    for (nth, cell) in arranged(cells, shape).iter().enumerate() {
        let before = if nth == 0 { trimmed_start(&cell.before) } else { &cell.before };
        write_lines(out, before, "");
        write_cell(out, cell, shape, 0);
        write_end(out, cell.after.as_deref());
    }
}

fn write_cell(out: &mut String, cell: &Cell<'_>, shape: &'static Shape, depth: usize) {
    let mut shape = shape;
    if !cell.keys.is_empty() {
        write_key(out, &cell.keys);
        out.push_str(" = ");
    }
    for key in &cell.keys {
        shape = shape.under(key.get());
    }
    write_value(out, cell.value, shape, depth);
}

fn write_key(out: &mut String, keys: &[&Key]) {
    for (nth, key) in keys.iter().enumerate() {
        if nth > 0 {
            out.push('.');
        }
        out.push_str(&key.display_repr());
    }
}

/// The value alone, as `fmt` writes it at this depth of indentation.
pub(super) fn write_value(out: &mut String, value: &Value, shape: &'static Shape, depth: usize) {
    match value {
        Value::String(text) => out.push_str(&text.display_repr()),
        Value::Integer(number) => out.push_str(&number.display_repr()),
        Value::Float(number) => out.push_str(&number.display_repr()),
        Value::Boolean(flag) => out.push_str(&flag.display_repr()),
        Value::Datetime(when) => out.push_str(&when.display_repr()),
        Value::Array(array) => {
            let (cells, tail, several) = elements(array);
            write_cells(out, ('[', ']'), "", &cells, &tail, several, shape, depth);
        }
        Value::InlineTable(table) => {
            let (cells, tail, several) = entries(table);
            let cells = arranged(cells, shape);
            write_cells(out, ('{', '}'), " ", &cells, &tail, several, shape, depth);
        }
    }
}

#[allow(clippy::too_many_arguments)] // two brackets of one kind each; a struct would be made here and taken apart there
fn write_cells(
    out: &mut String,
    (open, close): (char, char),
    pad: &str,
    cells: &[Cell<'_>],
    tail: &[Line],
    several: bool,
    shape: &'static Shape,
    depth: usize,
) {
    out.push(open);
    if !several {
        for (nth, cell) in cells.iter().enumerate() {
            out.push_str(if nth == 0 { pad } else { ", " });
            write_cell(out, cell, shape, depth);
        }
        if !cells.is_empty() {
            out.push_str(pad);
        }
        out.push(close);
        return;
    }
    let indent = INDENT.repeat(depth + 1);
    out.push('\n');
    for (nth, cell) in cells.iter().enumerate() {
        let before = if nth == 0 { trimmed_start(&cell.before) } else { &cell.before };
        write_lines(out, before, &indent);
        out.push_str(&indent);
        write_cell(out, cell, shape, depth + 1);
        out.push(',');
        write_end(out, cell.after.as_deref());
    }
    write_lines(out, if cells.is_empty() { trimmed(tail) } else { trimmed_end(tail) }, &indent);
    out.push_str(&INDENT.repeat(depth));
    out.push(close);
}

/// The elements of an array, what stands behind the last one, and whether it takes several lines.
fn elements(array: &Array) -> (Vec<Cell<'_>>, Vec<Line>, bool) {
    let parts = array.iter().map(|value| (Vec::new(), raw(value.decor().prefix()), value));
    cells(parts, raw(Some(array.trailing())))
}

/// The same of an inline table.
fn entries(table: &InlineTable) -> (Vec<Cell<'_>>, Vec<Line>, bool) {
    let parts = table.get_values().into_iter().map(|(keys, value)| {
        let prefix = raw(keys.last().and_then(|key| key.leaf_decor().prefix()));
        (keys, prefix, value)
    });
    cells(parts, raw(Some(table.trailing())))
}

/// Comments between elements: what stands on the line of an element belongs to it, what stands above one to that.
fn cells<'d>(
    parts: impl Iterator<Item = (Vec<&'d Key>, &'d str, &'d Value)>,
    trailing: &str,
) -> (Vec<Cell<'d>>, Vec<Line>, bool) {
    let mut cells: Vec<Cell<'d>> = Vec::new();
    let mut several = trailing.contains(['\n', '#']);
    let mut held = Vec::new();
    for (keys, prefix, value) in parts {
        let suffix = raw(value.decor().suffix());
        several |= prefix.contains(['\n', '#']) || suffix.contains(['\n', '#']);
        let mut before = std::mem::take(&mut held);
        gap(prefix, cells.last_mut(), &mut before);
        let mut cell = Cell { before, keys, value, after: None };
        gap(suffix, Some(&mut cell), &mut held);
        cells.push(cell);
    }
    gap(trailing, cells.last_mut(), &mut held);
    (cells, held, several)
}

/// What stands between two elements: its first line may end that of the one before.
fn gap(text: &str, previous: Option<&mut Cell<'_>>, held: &mut Vec<Line>) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match (comment(first), previous) {
        (Some(words), Some(cell)) if cell.after.is_none() && held.is_empty() => cell.after = Some(words),
        (Some(words), _) => held.push(Line::Comment(words)),
        (None, _) => {}
    }
    for line in lines(rest) {
        if line != Line::Blank || held.last() != Some(&Line::Blank) {
            held.push(line);
        }
    }
}

/// In canonical order. Dotted keys of one table stand together.
fn arranged<'d>(cells: Vec<Cell<'d>>, shape: &'static Shape) -> Vec<Cell<'d>> {
    let paths: Vec<Vec<&str>> = cells.iter().map(|c| c.keys.iter().map(|k| k.get()).collect()).collect();
    let order = order((0..cells.len()).collect(), 0, &paths, shape);
    let mut cells: Vec<Option<Cell<'d>>> = cells.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| cells.get_mut(at)?.take()).collect()
}

fn order(which: Vec<usize>, depth: usize, paths: &[Vec<&str>], shape: &'static Shape) -> Vec<usize> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for at in which {
        let key = paths.get(at).and_then(|p| p.get(depth)).copied().unwrap_or_default();
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, group)) => group.push(at),
            None => groups.push((key, vec![at])),
        }
    }
    groups.sort_by_key(|(key, _)| shape.rank(key));
    let inner = |(key, group): (&str, Vec<usize>)| {
        if group.len() > 1 { order(group, depth + 1, paths, shape.under(key)) } else { group }
    };
    groups.into_iter().flat_map(inner).collect()
}

fn raw(text: Option<&RawString>) -> &str {
    text.and_then(RawString::as_str).unwrap_or_default()
}

/// The byte at which the comment at the top ends: past the last blank line before anything that is not a comment.
fn top(text: &str) -> usize {
    let (mut at, mut end) = (0, 0);
    let mut seen_comment = false;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        at += line.len();
        if words.starts_with('#') {
            seen_comment = true;
        } else if words.is_empty() {
            if seen_comment {
                end = at;
            }
        } else {
            return end;
        }
    }
    0
}

/// The comment that ends a line.
fn comment(text: &str) -> Option<String> {
    let text = text.trim();
    text.starts_with('#').then(|| text.to_owned())
}

/// Whole lines. What is neither comment nor blank can't be here.
fn lines(text: &str) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    // Behind the last newline stands only the indentation of what follows.
    let (whole, last) = text.rsplit_once('\n').map_or(("", text), |(whole, last)| (whole, last));
    let whole = if text.contains('\n') { Some(whole) } else { None };
    for line in whole.into_iter().flat_map(|w| w.split('\n')) {
        match comment(line) {
            Some(words) => found.push(Line::Comment(words)),
            None if found.last() == Some(&Line::Blank) => {}
            None => found.push(Line::Blank),
        }
    }
    found.extend(comment(last).map(Line::Comment));
    found
}

fn trimmed_start(lines: &[Line]) -> &[Line] {
    let blank = lines.iter().take_while(|l| **l == Line::Blank).count();
    lines.get(blank..).unwrap_or_default()
}

fn trimmed_end(lines: &[Line]) -> &[Line] {
    let blank = lines.iter().rev().take_while(|l| **l == Line::Blank).count();
    lines.get(..lines.len() - blank).unwrap_or_default()
}

fn trimmed(lines: &[Line]) -> &[Line] {
    trimmed_end(trimmed_start(lines))
}

fn write_lines(out: &mut String, lines: &[Line], indent: &str) {
    for line in lines {
        if let Line::Comment(words) = line {
            out.push_str(indent);
            out.push_str(words);
        }
        out.push('\n');
    }
}

/// The end of a line, with its comment.
fn write_end(out: &mut String, after: Option<&str>) {
    if let Some(words) = after {
        out.push_str("  ");
        out.push_str(words);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests;
