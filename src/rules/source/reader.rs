//! A TOML document walked by hand: each value keeps its place, each mistake becomes a diagnostic and reading goes on.
//!
//! A [`Table`] remembers which keys were asked for; [`Table::finish`] reports the others. So the code that reads a table is
//! the one list of its keys.

use super::super::calendar::LookBudget;
use super::super::diagnostic::{Diagnostic, Files, Span};
use super::super::shares::in_shares;
use super::names::{Names, Referred};
use super::pending;
use super::suggest::nearest;
use crate::number::Locale;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// What reading needs everywhere: where diagnostics go, and what there is to refer to.
pub(super) struct Reader<'t> {
    pub(super) files: &'t Files,
    pub(super) texts: Arc<[&'t str]>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Learnt before any table is read; from then on the same for all readers of a domain.
    pub(super) names: Arc<Names>,
    /// What something names.
    pub(super) referred: Referred,
    /// The domain's, once `[domain]` is read.
    pub(super) locale: Locale,
    /// Days that recurrences may still look at.
    pub(super) looks: LookBudget,
    /// Nothing is said of what is not carried out.
    pub(super) quiet: bool,
    /// Names are not looked up.
    pub(super) any_name: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(files: &'t Files, texts: Vec<&'t str>) -> Reader<'t> {
        Reader {
            files,
            texts: texts.into(),
            diagnostics: Vec::new(),
            names: Arc::default(),
            referred: Referred::default(),
            locale: Locale { country: "".into(), area_code: None },
            looks: LookBudget::default(),
            quiet: false,
            any_name: false,
        }
    }

    /// Reads each of these by itself, by several readers where there are many. What they find stands in the order of the items, as if one
    /// had read them all.
    pub(super) fn each<I: Sync, O: Send>(
        &mut self,
        items: &[I],
        least: usize,
        read: impl Fn(&mut Reader<'t>, &I) -> O + Sync,
    ) -> Vec<O> {
        let alone = &*self;
        let shares = in_shares(items, least, |share| {
            let mut r = alone.another();
            let read: Vec<O> = share.iter().map(|item| read(&mut r, item)).collect();
            (read, r.diagnostics, r.referred)
        });
        let mut all = Vec::with_capacity(items.len());
        for (read, diagnostics, referred) in shares {
            all.extend(read);
            self.diagnostics.extend(diagnostics);
            self.referred.join(referred);
        }
        all
    }

    /// A reader of the same domain that has found nothing yet.
    fn another(&self) -> Reader<'t> {
        Reader {
            files: self.files,
            texts: self.texts.clone(),
            diagnostics: Vec::new(),
            names: self.names.clone(),
            referred: Referred::default(),
            locale: self.locale.clone(),
            // Recurrences stand in time frames, which one reader reads.
            looks: LookBudget::default(),
            quiet: self.quiet,
            any_name: self.any_name,
        }
    }

    /// To learn names: before anything is read by several readers.
    pub(super) fn learn(&mut self) -> &mut Names {
        Arc::make_mut(&mut self.names)
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(Diagnostic::error(code, span, message).help(help));
    }

    /// Warns if this entry of the list of what is not carried out is still there.
    pub(super) fn pending(&mut self, entry: &[&str], what: &str, span: Span) {
        let Some((entry, words)) = pending::entry(entry).filter(|_| !self.quiet) else { return };
        let message = format!("`{what}` is not carried out yet: {words}");
        let help = match pending::ends_the_call(entry) {
            true => "it is read and kept; a call that needs it ends with 480, and its explanation says so",
            false => "it is read and kept; calls go on without it",
        };
        self.report(Diagnostic::warning("not-carried-out", span, message).help(help));
    }

    pub(super) fn source(&self, span: Span) -> &'t str {
        let text = self.texts.get(span.file as usize).copied().unwrap_or_default();
        text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// A value with its place and the key that it stands under.
#[derive(Clone, Copy)]
pub(super) struct Item<'t> {
    pub(super) value: &'t DeValue<'t>,
    pub(super) span: Span,
    pub(super) key: &'static str,
}

/// The place of a range of this file.
pub(super) fn span(file: u32, range: std::ops::Range<usize>) -> Span {
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { file, start: narrow(range.start), end: narrow(range.end) }
}

impl<'t> Item<'t> {
    pub(super) fn new(file: u32, key: &'static str, value: &'t toml::Spanned<DeValue<'t>>) -> Item<'t> {
        Item { value: value.get_ref(), span: span(file, value.span()), key }
    }

    fn wrong(&self, r: &mut Reader<'t>, wanted: &str) {
        let (key, found) = (self.key, kind_of(self.value));
        let help = format!("write `{key} = {}`", example_of(wanted));
        r.error("wrong-type", self.span, format!("`{key}` must be {wanted}; this is {found}"), help);
    }

    pub(super) fn text(&self, r: &mut Reader<'t>) -> Option<&'t str> {
        match self.value {
            DeValue::String(text) => return Some(text.as_ref()),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Boolean(_) => {
                let (key, found) = (self.key, kind_of(self.value));
                // The value of a key that holds a secret must not be repeated.
                let shown = if super::secret::holds_secret(key) { "..." } else { r.source(self.span) };
                let help = format!("put it in quotes: `{key} = \"{shown}\"`");
                r.error("unquoted", self.span, format!("`{key}` must be text; this is {found}"), help);
            }
            DeValue::Array(_) | DeValue::Table(_) => self.wrong(r, "text"),
        }
        None
    }

    pub(super) fn boolean(&self, r: &mut Reader<'t>) -> Option<bool> {
        if let DeValue::Boolean(value) = self.value {
            return Some(*value);
        }
        self.wrong(r, "true or false");
        None
    }

    pub(super) fn count(&self, r: &mut Reader<'t>, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(integer) = self.value else {
            self.wrong(r, "a whole number");
            return None;
        };
        let digits = integer.as_str().replace('_', "");
        match u32::from_str_radix(&digits, integer.radix()) {
            Ok(value) if range.contains(&value) => Some(value),
            _ => {
                let message = format!("`{}` must be from {} to {}", self.key, range.start(), range.end());
                r.report(Diagnostic::error("out-of-range", self.span, message));
                None
            }
        }
    }

    /// A table inside this value; `what` names it in messages and in the list of what is not carried out.
    pub(super) fn table(&self, r: &mut Reader<'t>, what: &'static str) -> Option<Table<'t>> {
        if let DeValue::Table(entries) = self.value {
            return Some(Table::new(self.span, what, entries));
        }
        self.wrong(r, "a table");
        None
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// The elements of an array.
    pub(super) fn list(&self, r: &mut Reader<'t>) -> Vec<Item<'t>> {
        if let DeValue::Array(array) = self.value {
            return array.iter().map(|element| Item::new(self.span.file, self.key, element)).collect();
        }
        self.wrong(r, "a list");
        Vec::new()
    }

    /// The elements of an array, or the one value that stands in its place.
    pub(super) fn one_or_several(&self) -> Vec<Item<'t>> {
        match self.value {
            DeValue::Array(array) => array.iter().map(|e| Item::new(self.span.file, self.key, e)).collect(),
            _ => vec![*self],
        }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&self, r: &mut Reader<'t>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(r)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
        let help = match nearest(text, choices.iter().map(|(word, _)| *word)) {
            Some(meant) => format!("did you mean `\"{meant}\"`? It can be {}", words.join(", ")),
            None => format!("it can be {}", words.join(", ")),
        };
        r.error("unknown-value", self.span, format!("`{}` can't be `{text}`", self.key), help);
        None
    }
}

/// Values that switch a thing off: nothing is missing when they are not carried out.
fn asks_for_nothing(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Boolean(on) => !on,
        DeValue::String(word) => {
            matches!(word.as_ref(), "never" | "inherit" | "off" | "none" | "pass" | "optional")
        }
        _ => false,
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn example_of(wanted: &str) -> &'static str {
    match wanted {
        "true or false" => "true",
        "a whole number" => "2",
        "a table" => "{ ... }",
        "a list" => "[...]",
        _ => "\"...\"",
    }
}

/// Up to here looking through the keys of a table is quicker than hashing one.
const KEYS_LOOKED_THROUGH_MAX: usize = 16;
/// Most tables have no more keys.
const KEYS_MOSTLY: usize = 16;

fn get<'t>(table: &'t DeTable<'t>, key: &str) -> Option<&'t toml::Spanned<DeValue<'t>>> {
    if table.len() > KEYS_LOOKED_THROUGH_MAX {
        return table.get(key);
    }
    table.iter().find(|(word, _)| word.get_ref().as_ref() == key).map(|(_, value)| value)
}

/// A table being read. Keys that it lacks are looked for in its defaults, where it has some.
pub(super) struct Table<'t> {
    pub(super) span: Span,
    pub(super) what: &'static str,
    entries: &'t DeTable<'t>,
    defaults: Vec<(u32, &'t DeTable<'t>)>,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn new(span: Span, what: &'static str, entries: &'t DeTable<'t>) -> Table<'t> {
        Table { span, what, entries, defaults: Vec::new(), asked: Vec::with_capacity(KEYS_MOSTLY) }
    }

    /// With a table that answers for keys that this one lacks; the first one given goes first.
    pub(super) fn or_else(mut self, defaults: Option<(u32, &'t DeTable<'t>)>) -> Table<'t> {
        self.defaults.extend(defaults);
        self
    }

    /// The value of a key: the table's own, else that of its defaults.
    pub(super) fn item(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<Item<'t>> {
        self.own(r, key).or_else(|| self.inherited(key).next())
    }

    /// The table's own value of a key.
    pub(super) fn own(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<Item<'t>> {
        self.asked.push(key);
        let item = Item::new(self.span.file, key, get(self.entries, key)?);
        if !asks_for_nothing(item.value) {
            r.pending(&[self.what, ".", key], key, item.span);
        }
        Some(item)
    }

    /// What the defaults say of a key, nearest first.
    pub(super) fn inherited(&self, key: &'static str) -> impl DoubleEndedIterator<Item = Item<'t>> + '_ {
        self.defaults.iter().filter_map(move |(file, table)| Some(Item::new(*file, key, get(table, key)?)))
    }

    /// Every layer's value of a key, the table's own first.
    pub(super) fn layers(&mut self, r: &mut Reader<'t>, key: &'static str) -> Vec<Item<'t>> {
        let own = self.own(r, key);
        own.into_iter().chain(self.inherited(key)).collect()
    }

    /// All keys, for tables whose keys are names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, Span, Item<'t>)> + use<'t> {
        let (file, what) = (self.span.file, self.what);
        self.entries.iter().map(move |(key, value)| {
            (key.get_ref().as_ref(), span(file, key.span()), Item::new(file, what, value))
        })
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, r: &mut Reader<'t>) {
        for (key, _) in self.entries {
            let word: &str = key.get_ref();
            if self.asked.contains(&word) {
                continue;
            }
            let mut finding = Diagnostic::error(
                "unknown-key",
                span(self.span.file, key.span()),
                format!("unknown key `{word}`"),
            );
            finding.help = Some(match nearest(word, self.asked.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("`{}` has {}", self.what, listed(&self.asked)),
            });
            r.report(finding);
        }
    }
}

fn listed(keys: &[&str]) -> String {
    let mut keys: Vec<&str> = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() { "no keys".into() } else { keys.join(", ") }
}

/// Short forms for the commonest kinds of key.
impl<'t> Table<'t> {
    pub(super) fn text(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<&'t str> {
        self.item(r, key)?.text(r)
    }

    pub(super) fn name(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<Arc<str>> {
        self.text(r, key).map(Arc::from)
    }

    pub(super) fn boolean(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<bool> {
        self.item(r, key)?.boolean(r)
    }

    /// The place of a key that is true.
    pub(super) fn flag(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<Span> {
        let item = self.item(r, key)?;
        item.boolean(r)?.then_some(item.span)
    }

    pub(super) fn count(
        &mut self,
        r: &mut Reader<'t>,
        key: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        self.item(r, key)?.count(r, range)
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        r: &mut Reader<'t>,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let item = self.item(r, key)?;
        let chosen = item.choice(r, choices)?;
        if let DeValue::String(word) = item.value {
            r.pending(&[self.what, ".", key, "=", word], word, item.span);
        }
        Some(chosen)
    }

    pub(super) fn table(
        &mut self,
        r: &mut Reader<'t>,
        key: &'static str,
        what: &'static str,
    ) -> Option<Table<'t>> {
        self.item(r, key)?.table(r, what)
    }

    /// The tables of `[[...]]` or of a list of inline tables.
    pub(super) fn tables(
        &mut self,
        r: &mut Reader<'t>,
        key: &'static str,
        what: &'static str,
    ) -> Vec<Table<'t>> {
        let Some(item) = self.item(r, key) else { return Vec::new() };
        item.list(r).into_iter().filter_map(|element| element.table(r, what)).collect()
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, r: &mut Reader<'t>, key: &'static str) -> Vec<(&'t str, Span)> {
        let Some(item) = self.item(r, key) else { return Vec::new() };
        item.list(r).into_iter().filter_map(|element| Some((element.text(r)?, element.span))).collect()
    }
}
