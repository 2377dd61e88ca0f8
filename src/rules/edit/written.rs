//! JSON as TOML is written: in the style and order that `fmt` gives it.

use super::place::Place;
use super::shape::{Shape, Style, holds_date};
use super::{EditError, layout};
use serde_json::Value as Json;
use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, Value};

/// A new key's item in the style that its shape says.
pub(super) fn item_of(key: &str, value: &Json, shape: &'static Shape) -> Result<Item, EditError> {
    let under = shape.under(key);
    Ok(match (shape.style(key), value) {
        (Style::Header, Json::Object(keys)) => Item::Table(table_of(keys, under)?),
        (Style::Dotted, Json::Object(keys)) => Item::Table(dotted(table_of(keys, under)?)),
        (Style::Elements, Json::Array(items)) if items.iter().all(Json::is_object) && !items.is_empty() => {
            let mut elements = ArrayOfTables::new();
            for keys in items.iter().filter_map(Json::as_object) {
                elements.push(table_of(keys, under)?);
            }
            Item::ArrayOfTables(elements)
        }
        _ => {
            let mut value = value_of(key, value)?;
            relayout(&mut value, under);
            Item::Value(value)
        }
    })
}

/// A table of its own, keys in canonical order.
pub(super) fn table_of(
    keys: &serde_json::Map<String, Json>,
    shape: &'static Shape,
) -> Result<Table, EditError> {
    let mut table = Table::new();
    let mut place = Place::Table(&mut table);
    for (key, value) in keys {
        let item = item_of(key, value, shape)?;
        place.insert(shape, key, item);
    }
    Ok(table)
}

pub(super) fn dotted(mut table: Table) -> Table {
    table.set_dotted(true);
    table
}

/// JSON as TOML. Text that is a date is one where the key holds dates.
pub(super) fn value_of(key: &str, value: &Json) -> Result<Value, EditError> {
    Ok(match value {
        Json::Null => return Err(EditError::new(format!("`{key}` can't be null: leave it out"))),
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(float)) => float.into(),
            (None, None) => return Err(EditError::new(format!("`{key}` can't be {number}"))),
        },
        Json::String(text) => match text.parse::<toml_edit::Datetime>() {
            Ok(when) if holds_date(key) && when.date.is_some() && when.time.is_none() => when.into(),
            _ => text.as_str().into(),
        },
        Json::Array(items) => {
            let items: Vec<Value> = items.iter().map(|item| value_of(key, item)).collect::<Result<_, _>>()?;
            Array::from_iter(items).into()
        }
        Json::Object(keys) => {
            let mut table = InlineTable::new();
            for (key, value) in keys {
                table.insert(key, value_of(key, value)?);
            }
            table.into()
        }
    })
}

/// Whether two values mean the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    let meaning = |v: &Value| {
        let mut text = String::from("v = ");
        layout::write_value(&mut text, v, &super::shape::FREE, 0);
        toml::from_str::<toml::Table>(&text).ok()
    };
    meaning(a).is_some_and(|meant| Some(meant) == meaning(b))
}

/// A value that was changed is written as `fmt` would; the comment behind it stays.
pub(super) fn relayout(value: &mut Value, shape: &'static Shape) {
    let mut text = String::new();
    layout::write_value(&mut text, value, shape, 0);
    if let Ok(mut new) = text.parse::<Value>() {
        *new.decor_mut() = value.decor().clone();
        *value = new;
    }
}
