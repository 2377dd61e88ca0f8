//! Which objects of two sources differ: by what their tables hold, not by how or where they are written.

use crate::rules::diagnostic::Files;
use crate::rules::reach::{Kind, Object};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// Objects that are on one side alone, or hold something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub added: BTreeSet<Object>,
    pub removed: BTreeSet<Object>,
    pub altered: BTreeSet<Object>,
}

impl Changed {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Object> {
        self.altered.iter().chain(&self.added).chain(&self.removed)
    }

    /// Whether one of these kinds is among them.
    #[must_use]
    pub fn any(&self, kinds: &[Kind]) -> bool {
        self.all().any(|object| kinds.contains(&object.kind))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }
}

/// Compares two sources that were both read without an error. Golden tests are no part of what is decided.
#[must_use]
pub fn changed(before: &Files, after: &Files) -> Changed {
    let same = |name: &std::sync::Arc<str>| before.0.get(name) == after.0.get(name);
    // What stands in a file that is the same on both sides is the same: objects are whole.
    let (old, new) = (objects(before, same), objects(after, same));
    let mut changed = Changed::default();
    for (object, value) in &new {
        match old.get(object) {
            None => changed.added.insert(object.clone()),
            Some(earlier) if earlier != value => changed.altered.insert(object.clone()),
            Some(_) => continue,
        };
    }
    changed.removed = old.keys().filter(|object| !new.contains_key(*object)).cloned().collect();
    changed
}

fn objects(files: &Files, skip: impl Fn(&std::sync::Arc<str>) -> bool) -> BTreeMap<Object, Value> {
    // A list or calendar that is kept in a file changes with it, wherever its table stands.
    let beside = files.0.keys().any(|name| !name.ends_with(".toml") && !skip(name));
    let mut objects = BTreeMap::new();
    for (name, text) in &files.0 {
        if !name.ends_with(".toml") || (skip(name) && !beside) {
            continue;
        }
        let Ok(table) = text.parse::<Table>() else { continue };
        for (key, value) in table {
            add(&mut objects, files, &key, value);
        }
    }
    objects
}

fn add(objects: &mut BTreeMap<Object, Value>, files: &Files, key: &str, value: Value) {
    let one = |kind: Kind| Object { kind, name: "".into() };
    match (key, value) {
        ("schema" | "expect", _) => {}
        // These are everybody's.
        ("domain" | "defaults" | "emergency", value) => {
            let object = one(Kind::Domain);
            let entry = objects.entry(object).or_insert_with(|| Value::Table(Table::new()));
            if let Some(table) = entry.as_table_mut() {
                table.insert(key.to_owned(), value);
            }
        }
        ("policy", value) => {
            objects.insert(one(Kind::Policy), value);
        }
        ("codes", value) => {
            objects.insert(one(Kind::Codes), value);
        }
        (kind, Value::Array(tables)) => {
            let Some(kind) = Kind::named(kind) else { return };
            for (index, table) in tables.into_iter().enumerate() {
                objects.insert(Object { kind, name: (index + 1).to_string().into() }, table);
            }
        }
        (kind, Value::Table(tables)) => {
            let Some(kind) = Kind::named(kind) else { return };
            for (name, mut table) in tables {
                beside(files, &mut table);
                objects.insert(Object { kind, name: name.into() }, table);
            }
        }
        _ => {}
    }
}

/// What the table has in a file of its own (`file = "lists/spam.txt"`, `ics`) is part of it.
fn beside(files: &Files, table: &mut Value) {
    let Some(table) = table.as_table_mut() else { return };
    for key in ["file", "ics"] {
        let text = table.get(key).and_then(Value::as_str).and_then(|path| files.0.get(path));
        if let Some(text) = text.map(ToString::to_string) {
            table.insert(format!("{key} holds"), Value::String(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        Files(list.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect())
    }

    fn words(changed: &Changed) -> Vec<String> {
        let of =
            |mark: &str, set: &BTreeSet<Object>| set.iter().map(|o| format!("{mark}{o}")).collect::<Vec<_>>();
        [of("+", &changed.added), of("-", &changed.removed), of("~", &changed.altered)].concat()
    }

    #[test]
    fn comments_order_and_files_don_t_matter() {
        let before = files(&[("a.toml", "[user.x]\next = \"1\"\nname = \"X\"\n[list.l]\nnumbers = []\n")]);
        let after = files(&[
            ("b.toml", "# moved\n[user.x]\nname = \"X\"\next = \"1\" # first\n"),
            ("c.toml", "list.l = { numbers = [] }"),
        ]);
        assert!(changed(&before, &after).is_empty());
    }

    #[test]
    fn what_differs_is_named() {
        let before =
            files(&[("a.toml", "user.x.ext = \"1\"\nuser.y.ext = \"2\"\n[[route]]\nvia = [\"a\"]\n")]);
        let after = files(&[(
            "a.toml",
            "user.x.ext = \"3\"\nuser.z.ext = \"2\"\ndomain.ring_for = \"9s\"\n[[route]]\nvia = [\"b\"]\n",
        )]);
        assert_eq!(
            words(&changed(&before, &after)),
            ["+user:z", "+domain", "-user:y", "~user:x", "~route:1"]
        );
    }

    #[test]
    fn a_list_changes_with_its_file() {
        let table = ("a.toml", "[list.spam]\nfile = \"lists/spam.txt\"\n");
        let before = files(&[table, ("lists/spam.txt", "+1900.\n")]);
        let after = files(&[table, ("lists/spam.txt", "+1900.\n+1809.\n")]);
        assert_eq!(words(&changed(&before, &after)), ["~list:spam"]);
    }
}
