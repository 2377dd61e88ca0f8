//! One change carried out in a parsed file: the way down to the key, and what is done there. New keys stand where `fmt` would put
//! them; what is not touched keeps its text, comments and place.

use super::EditError;
use super::change::{Change, DEPTH_MAX};
use super::entries::{push, take};
use super::shape::{Shape, Style};
use super::written::{dotted, item_of, relayout, same, value_of};
use serde_json::Value as Json;
use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Key, Table, Value};

/// A table that can be changed, whichever way it is written.
pub(super) enum Place<'a> {
    Table(&'a mut Table),
    Inline(&'a mut InlineTable),
}

impl Place<'_> {
    fn contains(&self, key: &str) -> bool {
        match self {
            Place::Table(table) => table.contains_key(key),
            Place::Inline(table) => table.contains_key(key),
        }
    }

    fn keys(&self) -> Vec<String> {
        match self {
            Place::Table(table) => table.iter().map(|(key, _)| key.to_owned()).collect(),
            Place::Inline(table) => table.iter().map(|(key, _)| key.to_owned()).collect(),
        }
    }

    fn remove(&mut self, key: &str) {
        match self {
            Place::Table(table) => drop(table.remove(key)),
            Place::Inline(table) => drop(table.remove(key)),
        }
    }

    /// Puts a new key behind the last one that stands before it in canonical order.
    pub(super) fn insert(&mut self, shape: &Shape, key: &str, item: Item) {
        let rank = shape.rank(key);
        let keys = self.keys();
        let at = keys.iter().rposition(|k| shape.rank(k) <= rank).map_or(0, |at| at + 1);
        let behind = keys.get(at..).unwrap_or_default();
        match self {
            Place::Table(table) => {
                let behind: Vec<(Key, Item)> = behind.iter().filter_map(|k| table.remove_entry(k)).collect();
                table.insert(key, item);
                for (key, item) in behind {
                    table.insert_formatted(&key, item);
                }
            }
            Place::Inline(table) => {
                let behind: Vec<(Key, Value)> = behind.iter().filter_map(|k| table.remove_entry(k)).collect();
                if let Ok(value) = item.into_value() {
                    table.insert(key, value);
                }
                for (key, value) in behind {
                    table.insert_formatted(&key, value);
                }
            }
        }
    }
}

/// Carries a change out, from the table that `way` starts in.
pub(super) fn carry_out(
    place: Place<'_>,
    way: &[String],
    shape: &'static Shape,
    change: &Change,
) -> Result<(), EditError> {
    let creates = matches!(change, Change::Set { .. } | Change::Add { .. });
    if way.len() > DEPTH_MAX + 2 {
        return Err(EditError::new(format!("`{}` is deeper than anything in the rules", way.join("."))));
    }
    descend(place, way, shape, creates, &mut |place, key, shape| act(place, key, shape, change))
}

type Act<'a> = dyn FnMut(&mut Place<'_>, &str, &'static Shape) -> Result<(), EditError> + 'a;

fn descend(
    mut place: Place<'_>,
    way: &[String],
    shape: &'static Shape,
    creates: bool,
    act: &mut Act<'_>,
) -> Result<(), EditError> {
    let (key, rest) = match way {
        [] => return Err(EditError::new("a change needs a key")),
        [key] => return act(&mut place, key, shape),
        [key, rest @ ..] => (key, rest),
    };
    if !place.contains(key) {
        if !creates {
            return Err(nothing(key, &place.keys()));
        }
        let empty = match shape.style(key) {
            Style::Elements => Item::ArrayOfTables(ArrayOfTables::new()),
            Style::Header => Item::Table(Table::new()),
            Style::Dotted => Item::Table(dotted(Table::new())),
            Style::Inline => Item::Value(InlineTable::new().into()),
        };
        place.insert(shape, key, empty);
    }
    let under = shape.under(key);
    match place {
        Place::Table(table) => match table.get_mut(key) {
            Some(Item::Table(inner)) => descend(Place::Table(inner), rest, under, creates, act),
            Some(Item::ArrayOfTables(elements)) => into_element(elements, key, rest, under, creates, act),
            Some(Item::Value(value)) => {
                into_value(value, key, rest, under, creates, act)?;
                relayout(value, under);
                Ok(())
            }
            Some(Item::None) | None => Err(nothing(key, &[])),
        },
        Place::Inline(table) => match table.get_mut(key) {
            Some(value) => into_value(value, key, rest, under, creates, act),
            None => Err(nothing(key, &[])),
        },
    }
}

fn into_value(
    value: &mut Value,
    key: &str,
    rest: &[String],
    shape: &'static Shape,
    creates: bool,
    act: &mut Act<'_>,
) -> Result<(), EditError> {
    match value {
        Value::InlineTable(inner) => descend(Place::Inline(inner), rest, shape, creates, act),
        Value::Array(array) => {
            let Some((name, further)) = rest.split_first() else { return Err(nothing(key, &[])) };
            let named = array.iter().map(|e| e.as_inline_table().map(name_of_inline)).collect::<Vec<_>>();
            let at = position(&named, name).ok_or_else(|| nothing(name, &names(&named)))?;
            match (array.get_mut(at), further) {
                (Some(_), []) => {
                    // The element itself: handled where elements of a list are.
                    array_element(array, at, act, shape)
                }
                (Some(Value::InlineTable(inner)), further) => {
                    descend(Place::Inline(inner), further, shape, creates, act)
                }
                _ => Err(EditError::new(format!("`{key}.{name}` holds no keys"))),
            }
        }
        _ => Err(EditError::new(format!("`{key}` holds a value and no keys"))),
    }
}

/// A whole element of an array of inline tables: only to be taken away. To set one, its keys are set.
fn array_element(
    array: &mut Array,
    at: usize,
    act: &mut Act<'_>,
    shape: &'static Shape,
) -> Result<(), EditError> {
    let mut holder = InlineTable::new();
    if let Some(value) = array.get(at) {
        holder.insert("element", value.clone());
    }
    act(&mut Place::Inline(&mut holder), "element", shape)?;
    match holder.remove("element") {
        Some(value) => drop(array.replace(at, value)),
        None => drop(array.remove(at)),
    }
    Ok(())
}

fn into_element(
    elements: &mut ArrayOfTables,
    key: &str,
    rest: &[String],
    shape: &'static Shape,
    creates: bool,
    act: &mut Act<'_>,
) -> Result<(), EditError> {
    let Some((name, further)) = rest.split_first() else { return Err(nothing(key, &[])) };
    let named: Vec<_> = elements.iter().map(|table| Some(name_of(table))).collect();
    let at = match position(&named, name) {
        Some(at) => at,
        None if creates => {
            let at = place_of_new(elements);
            let mut table = Table::new();
            table.insert("name", toml_edit::value(name.as_str()));
            elements.insert(at, table);
            at
        }
        None => return Err(nothing(name, &names(&named))),
    };
    if !further.is_empty() {
        let Some(table) = elements.get_mut(at) else { return Err(nothing(name, &[])) };
        return descend(Place::Table(table), further, shape, creates, act);
    }
    let mut holder = Table::new();
    if let Some(table) = elements.get(at) {
        holder.insert("element", Item::Table(table.clone()));
    }
    act(&mut Place::Table(&mut holder), "element", shape)?;
    match holder.remove("element").map(Item::into_table) {
        Some(Ok(table)) => drop(elements.replace(at, table)),
        Some(Err(_)) => return Err(EditError::new(format!("`{key}.{name}` is a table"))),
        None => drop(elements.remove(at)),
    }
    Ok(())
}

/// A new rule stands before the one that always matches: behind it, it would never be looked at.
fn place_of_new(elements: &ArrayOfTables) -> usize {
    let always = |t: &Table| {
        t.get("when").and_then(Item::as_str) == Some("always")
            && t.get("enabled").and_then(Item::as_bool) != Some(false)
    };
    elements.iter().position(always).unwrap_or(elements.len())
}

/// What an element is called.
fn name_of(table: &Table) -> Vec<String> {
    ["name", "to"].iter().filter_map(|key| table.get(key)?.as_str().map(str::to_owned)).collect()
}

fn name_of_inline(table: &InlineTable) -> Vec<String> {
    ["name", "to"].iter().filter_map(|key| table.get(key)?.as_str().map(str::to_owned)).collect()
}

/// By its name, or counted from 1.
fn position(named: &[Option<Vec<String>>], name: &str) -> Option<usize> {
    let by_name = named.iter().position(|of| of.as_ref().is_some_and(|of| of.iter().any(|n| n == name)));
    by_name.or_else(|| name.parse::<usize>().ok()?.checked_sub(1).filter(|at| *at < named.len()))
}

fn names(named: &[Option<Vec<String>>]) -> Vec<String> {
    named.iter().flatten().filter_map(|of| of.first().cloned()).collect()
}

fn nothing(key: &str, there: &[String]) -> EditError {
    let help = match crate::rules::source::suggest::nearest(key, there.iter().map(String::as_str)) {
        Some(meant) => format!("; did you mean `{meant}`?"),
        None if there.is_empty() => String::new(),
        None => format!("; there are {}", there.join(", ")),
    };
    EditError::new(format!("there is no `{key}`{help}"))
}

/// What a change does at its key.
fn act(place: &mut Place<'_>, key: &str, shape: &'static Shape, change: &Change) -> Result<(), EditError> {
    match change {
        Change::Set { value, .. } => set(place, key, shape, value),
        Change::Unset { .. } => {
            if !place.contains(key) {
                return Err(nothing(key, &place.keys()));
            }
            place.remove(key);
            Ok(())
        }
        Change::Add { value, .. } => {
            if !place.contains(key) {
                return set(place, key, shape, &Json::Array(vec![value.clone()]));
            }
            let entry = value_of(key, value)?;
            with_array(place, key, shape, |array| {
                if !array.iter().any(|there| same(there, &entry)) {
                    push(array, entry);
                }
                Ok(())
            })
        }
        Change::Take { value, .. } => {
            if !place.contains(key) {
                return Err(nothing(key, &place.keys()));
            }
            let entry = value_of(key, value)?;
            with_array(place, key, shape, |array| {
                let at = array.iter().position(|there| same(there, &entry));
                let at = at.ok_or_else(|| EditError::new(format!("`{key}` has no entry {value}")))?;
                take(array, at);
                Ok(())
            })
        }
    }
}

fn with_array(
    place: &mut Place<'_>,
    key: &str,
    shape: &'static Shape,
    change: impl FnOnce(&mut Array) -> Result<(), EditError>,
) -> Result<(), EditError> {
    let value = match place {
        Place::Table(table) => table.get_mut(key).and_then(Item::as_value_mut),
        Place::Inline(table) => table.get_mut(key),
    };
    let array = value.and_then(Value::as_array_mut);
    let Some(array) = array else { return Err(EditError::new(format!("`{key}` is no list"))) };
    change(array)?;
    if let Place::Table(table) = place
        && let Some(Item::Value(value)) = table.get_mut(key)
    {
        relayout(value, shape.under(key));
    }
    Ok(())
}

fn set(place: &mut Place<'_>, key: &str, shape: &'static Shape, value: &Json) -> Result<(), EditError> {
    let under = shape.under(key);
    match place {
        Place::Table(table) => match (table.get_mut(key), value) {
            // A table that has lines of its own keeps those that stay.
            (Some(Item::Table(there)), Json::Object(wanted)) => {
                let gone: Vec<String> =
                    there.iter().map(|(k, _)| k.to_owned()).filter(|k| !wanted.contains_key(k)).collect();
                let mut there = Place::Table(there);
                gone.iter().for_each(|k| there.remove(k));
                wanted.iter().try_for_each(|(k, v)| set(&mut there, k, under, v))
            }
            (Some(Item::ArrayOfTables(there)), Json::Array(wanted))
                if wanted.iter().all(Json::is_object) && !wanted.is_empty() =>
            {
                set_elements(there, under, wanted)
            }
            (Some(Item::Value(there)), _) => {
                let mut new = value_of(key, value)?;
                if !same(there, &new) {
                    *new.decor_mut() = there.decor().clone();
                    *there = new;
                    relayout(there, under);
                }
                Ok(())
            }
            (Some(_), _) => {
                table.remove(key);
                let item = item_of(key, value, shape)?;
                place.insert(shape, key, item);
                Ok(())
            }
            (None, _) => {
                let item = item_of(key, value, shape)?;
                place.insert(shape, key, item);
                Ok(())
            }
        },
        Place::Inline(table) => {
            let new = value_of(key, value)?;
            match table.get_mut(key) {
                Some(there) if same(there, &new) => {}
                Some(there) => *there = new,
                None => place.insert(shape, key, Item::Value(new)),
            }
            Ok(())
        }
    }
}

/// Elements that are there by name keep their lines.
fn set_elements(there: &mut ArrayOfTables, shape: &'static Shape, wanted: &[Json]) -> Result<(), EditError> {
    let old: Vec<Table> = there.iter().cloned().collect();
    let mut new = Vec::new();
    for value in wanted {
        let name = value.get("name").and_then(Json::as_str);
        let known = old.iter().find(|t| name.is_some() && t.get("name").and_then(Item::as_str) == name);
        let mut holder = Table::new();
        holder.insert("element", Item::Table(known.cloned().unwrap_or_default()));
        let Json::Object(keys) = value else { continue };
        let Some(Item::Table(table)) = holder.get_mut("element") else { continue };
        let gone: Vec<String> =
            table.iter().map(|(k, _)| k.to_owned()).filter(|k| !keys.contains_key(k)).collect();
        let mut place = Place::Table(table);
        gone.iter().for_each(|k| place.remove(k));
        keys.iter().try_for_each(|(k, v)| set(&mut place, k, shape, v))?;
        if let Some(Item::Table(table)) = holder.remove("element") {
            new.push(table);
        }
    }
    // In the order that is wanted, at the places in the file that there are.
    let first = old.first().and_then(Table::position);
    there.clear();
    for mut table in new {
        place_all(&mut table, first);
        there.push(table);
    }
    Ok(())
}

/// Puts a table and what is below it at one place in the file; among themselves they keep the order of the tree.
fn place_all(table: &mut Table, position: Option<isize>) {
    if !table.is_dotted() {
        table.set_position(position);
    }
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => place_all(inner, position),
            Item::ArrayOfTables(elements) => elements.iter_mut().for_each(|t| place_all(t, position)),
            Item::Value(_) | Item::None => {}
        }
    }
}
