//! The objects of a domain, merged from all its files, and references to them.
//!
//! All names are known before any table is read, so a reference can be resolved, or a better one suggested, where it stands.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::Role;
use super::reader::{Item, Reader, span};
use super::suggest::nearest;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// Longer names are refused: they stand in tags, logs and file names.
const NAME_BYTES_MAX: usize = 64;

/// What can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    User,
    Device,
    Site,
    Role,
    Calendar,
    TimeFrame,
    List,
    Trunk,
    Class,
    Callback,
    Location,
    Number,
    Hunt,
    Queue,
    Attendant,
    Conference,
    Directory,
    Mailbox,
    Announce,
    Moh,
}

impl Kind {
    /// With the word of their tables: `[user.X]`.
    pub(super) const ALL: [(&'static str, Kind); 20] = [
        ("user", Kind::User),
        ("device", Kind::Device),
        ("site", Kind::Site),
        ("role", Kind::Role),
        ("calendar", Kind::Calendar),
        ("time_frame", Kind::TimeFrame),
        ("list", Kind::List),
        ("trunk", Kind::Trunk),
        ("class", Kind::Class),
        ("callback", Kind::Callback),
        ("location", Kind::Location),
        ("number", Kind::Number),
        ("hunt", Kind::Hunt),
        ("queue", Kind::Queue),
        ("attendant", Kind::Attendant),
        ("conference", Kind::Conference),
        ("directory", Kind::Directory),
        ("mailbox", Kind::Mailbox),
        ("announce", Kind::Announce),
        ("moh", Kind::Moh),
    ];

    pub(super) fn word(self) -> &'static str {
        Kind::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// Tables that there is one of.
const SINGLE: [&str; 4] = ["domain", "policy", "emergency", "codes"];
/// Lists whose order counts, so that they stand in one file.
const ORDERED: [&str; 2] = ["dial", "route"];

/// One table of the source.
#[derive(Clone, Copy)]
pub(super) struct Object<'t> {
    pub(super) span: Span,
    pub(super) table: &'t DeTable<'t>,
}

/// Everything of all files, by kind and name.
#[derive(Default)]
pub(super) struct Objects<'t> {
    pub(super) single: BTreeMap<&'static str, Object<'t>>,
    pub(super) named: BTreeMap<Kind, BTreeMap<&'t str, Object<'t>>>,
    pub(super) ordered: BTreeMap<&'static str, Vec<Item<'t>>>,
    pub(super) default_user: Option<Object<'t>>,
    pub(super) default_voicemail: Option<Object<'t>>,
    pub(super) expects: Vec<Item<'t>>,
}

impl<'t> Objects<'t> {
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = (&'t str, Object<'t>)> + use<'_, 't> {
        self.named.get(&kind).into_iter().flatten().map(|(name, object)| (*name, *object))
    }

    pub(super) fn get(&self, kind: Kind, name: &str) -> Option<Object<'t>> {
        self.named.get(&kind)?.get(name).copied()
    }

    /// Adds one file.
    pub(super) fn merge(&mut self, r: &mut Reader<'t>, file: u32, document: &'t DeTable<'t>) {
        for (key, value) in document {
            let word: &str = key.get_ref();
            let place = span(file, key.span());
            if let Some((_, kind)) = Kind::ALL.iter().find(|(table, _)| *table == word) {
                self.merge_named(r, *kind, Item::new(file, kind.word(), value));
            } else if let Some(single) = SINGLE.into_iter().find(|single| *single == word) {
                let Some(object) = object(r, Item::new(file, single, value)) else { continue };
                if let Some(first) = self.single.insert(single, object) {
                    twice(r, &format!("[{single}]"), object.span, first.span);
                }
            } else if let Some(ordered) = ORDERED.into_iter().find(|ordered| *ordered == word) {
                let items = Item::new(file, ordered, value).list(r);
                if let Some(first) = self.ordered.get(ordered).and_then(|items| items.first()) {
                    let here = items.first().map_or(place, |item| item.span);
                    twice(r, &format!("[[{ordered}]], whose order counts,"), here, first.span);
                } else {
                    self.ordered.insert(ordered, items);
                }
            } else {
                self.merge_other(r, word, place, Item::new(file, "schema", value));
            }
        }
    }

    fn merge_named(&mut self, r: &mut Reader<'t>, kind: Kind, item: Item<'t>) {
        let Some(group) = item.table(r, kind.word()) else { return };
        for (name, place, item) in group.entries() {
            if !item.is_table() {
                let word = kind.word();
                let message = format!("`{word}` holds tables by name; `{name}` is none");
                r.error("wrong-type", place, message, format!("give it a name: `[{word}.NAME]`"));
                continue;
            }
            valid_name(r, kind, name, place);
            let Some(object) = object(r, item) else { continue };
            if let Some(first) = self.named.entry(kind).or_default().insert(name, object) {
                twice(r, &format!("[{}.{name}]", kind.word()), object.span, first.span);
            }
        }
    }

    fn merge_other(&mut self, r: &mut Reader<'t>, word: &str, place: Span, item: Item<'t>) {
        match word {
            "schema" => {
                item.count(r, 1..=1);
            }
            "expect" => self.expects.extend(Item { key: "expect", ..item }.list(r)),
            "defaults" => self.merge_defaults(r, item),
            _ => {
                let known = Kind::ALL.iter().map(|(word, _)| *word).chain(SINGLE).chain(ORDERED);
                let known: Vec<&str> = known.chain(["schema", "expect", "defaults"]).collect();
                let help = match nearest(word, known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", known.join(", ")),
                };
                r.error("unknown-table", place, format!("unknown table `{word}`"), help);
            }
        }
    }

    fn merge_defaults(&mut self, r: &mut Reader<'t>, item: Item<'t>) {
        let Some(mut table) = item.table(r, "defaults") else { return };
        for (key, slot) in [("user", &mut self.default_user), ("voicemail", &mut self.default_voicemail)] {
            let Some(object) = table.item(r, key).and_then(|item| object(r, item)) else { continue };
            if let Some(first) = slot.replace(object) {
                twice(r, &format!("[defaults.{key}]"), object.span, first.span);
            }
        }
        table.finish(r);
    }
}

fn object<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Object<'t>> {
    match item.value {
        DeValue::Table(table) => Some(Object { span: item.span, table }),
        _ => {
            item.table(r, "");
            None
        }
    }
}

fn twice(r: &mut Reader<'_>, what: &str, again: Span, first: Span) {
    let places = r.files.place(first);
    r.report(
        Diagnostic::error("defined-twice", again, format!("{what} is defined twice; first at {places}"))
            .related(first, "first defined here")
            .help("keep each object whole, in one file"),
    );
}

fn valid_name(r: &mut Reader<'_>, kind: Kind, name: &str, place: Span) {
    if kind == Kind::Number {
        // Judged where the tables are read: what to write depends on the domain's country.
        return;
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(good) {
        let message = format!("`{}` can't be a name", name.chars().take(NAME_BYTES_MAX).collect::<String>());
        let help = format!("names are 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9, `.`, `_` and `-`");
        r.error("bad-name", place, message, help);
    }
}

/// What can be referred to.
#[derive(Clone, Default)]
pub(super) struct Names {
    named: FxHashMap<Kind, FxHashSet<Arc<str>>>,
    /// Who has an extension, and where it says so.
    pub(super) extensions: BTreeMap<Arc<str>, (String, Span)>,
    /// Users whose mailbox is off, and where it says so.
    pub(super) mailboxes_off: FxHashMap<Arc<str>, Span>,
    /// The devices of each user in the order of their names, and whether they are primary.
    pub(super) devices: FxHashMap<Arc<str>, Vec<(Arc<str>, bool)>>,
}

/// What something names, of the kinds that have to be named to count.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Referred {
    by_kind: FxHashMap<Kind, FxHashSet<Arc<str>>>,
}

impl Referred {
    pub(super) fn refer(&mut self, kind: Kind, name: &Arc<str>) {
        // Everybody names these, and nobody asks whether they are named.
        if matches!(kind, Kind::User | Kind::Device | Kind::Number | Kind::Class) {
            return;
        }
        let names = self.by_kind.entry(kind).or_default();
        if !names.contains(name) {
            names.insert(Arc::clone(name));
        }
    }

    pub(super) fn holds(&self, kind: Kind, name: &str) -> bool {
        self.by_kind.get(&kind).is_some_and(|names| names.contains(name))
    }

    /// What is here and not there.
    pub(super) fn without<'a>(&'a self, other: &'a Referred) -> impl Iterator<Item = (Kind, &'a Arc<str>)> {
        let all = self.by_kind.iter().flat_map(|(kind, names)| names.iter().map(|name| (*kind, name)));
        all.filter(|(kind, name)| !other.holds(*kind, name))
    }

    /// Adds what another reader of the same domain came across.
    pub(super) fn join(&mut self, other: Referred) {
        for (kind, names) in other.by_kind {
            self.by_kind.entry(kind).or_default().extend(names);
        }
    }
}

impl Names {
    pub(super) fn add_all(&mut self, objects: &Objects<'_>) {
        for (kind, by_name) in &objects.named {
            self.named.insert(*kind, by_name.keys().map(|name| Arc::from(*name)).collect());
        }
    }

    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<&Arc<str>> {
        self.named.get(&kind)?.get(name)
    }

    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.named.get(&kind).into_iter().flatten().map(AsRef::as_ref)
    }
}

impl<'t> Reader<'t> {
    /// The name, if there is such an object; else an error that suggests one.
    pub(super) fn reference(&mut self, kind: Kind, name: &str, place: Span) -> Option<Arc<str>> {
        if let Some(name) = self.names.find(kind, name).cloned() {
            self.referred.refer(kind, &name);
            return Some(name);
        }
        if self.any_name {
            return Some(name.into());
        }
        let built_in = match kind {
            Kind::Role => Role::built_in(name).is_some(),
            // Emergency numbers are built in, and need no table for a route to carry them.
            Kind::Class => name == "emergency",
            _ => false,
        };
        if built_in {
            return Some(name.into());
        }
        let word = kind.word();
        let built_in = Role::built_in_names().filter(|_| kind == Kind::Role).map(|name| -> &str { name });
        let names = self.names.clone();
        let mut candidates: Vec<&str> = names.of(kind).chain(built_in).collect();
        candidates.sort_unstable();
        let help = match nearest(name, candidates.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if candidates.is_empty() => format!("there is none at all: add `[{word}.{name}]`"),
            None => format!("there are {}", some_of(&candidates)),
        };
        self.error("dangling", place, format!("there is no {} `{name}`", word.replace('_', " ")), help);
        None
    }
}

/// The first few of many names.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, ...") } else { shown }
}
