//! What is asked of one object: single changes, as the command line writes them (`rule.Lunch.enabled=false`, `numbers+=+1900.`) and as
//! the admin socket carries them; or a merge patch (RFC 7396), which becomes such changes.

use super::shape::holds_whole_number;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Steps into an object: `rule.Lunch.ring.each` has four.
pub const DEPTH_MAX: usize = 12;
/// Changes in one request.
pub const CHANGES_MAX: usize = 10_000;

/// One change. `at` is the way to a key; an element of a list of tables is named by its `name` or `to`, or counted from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Change {
    /// Gives a key a value; what it had is gone.
    Set { at: Vec<String>, value: Value },
    /// Takes a key or an element away.
    Unset { at: Vec<String> },
    /// Puts an entry at the end of a list, unless it is there.
    Add { at: Vec<String>, value: Value },
    /// Takes an entry out of a list.
    Take { at: Vec<String>, value: Value },
}

impl Change {
    #[must_use]
    pub fn at(&self) -> &[String] {
        match self {
            Change::Set { at, .. }
            | Change::Unset { at }
            | Change::Add { at, .. }
            | Change::Take { at, .. } => at,
        }
    }
}

/// `key=value`, `key+=entry` or `key-=entry`. Dots go into tables and lists of tables; a part with a dot or `=` in it stands in quotes. The
/// value is TOML where it begins with a quotation mark, a bracket or a brace, or is `true` or `false`; digits are a number for keys that
/// hold one; everything else is text as it stands.
///
/// # Errors
/// What to write instead.
pub fn parse_setting(text: &str) -> Result<Change, String> {
    let wrong = || format!("`{text}`: write KEY=VALUE, such as ring_for=30s or 'rule.Lunch.enabled=false'");
    let (at, rest) = parse_path(text).ok_or_else(wrong)?;
    let key = at.last().cloned().unwrap_or_default();
    let value = |text: &str| parse_value(&key, text);
    if let Some(entry) = rest.strip_prefix("+=") {
        Ok(Change::Add { value: value(entry)?, at })
    } else if let Some(entry) = rest.strip_prefix("-=") {
        Ok(Change::Take { value: value(entry)?, at })
    } else if let Some(text) = rest.strip_prefix('=') {
        Ok(Change::Set { value: value(text)?, at })
    } else {
        Err(wrong())
    }
}

/// The way to a key alone: `voicemail.pin`.
///
/// # Errors
/// What to write instead.
pub fn parse_key(text: &str) -> Result<Vec<String>, String> {
    match parse_path(text) {
        Some((at, "")) => Ok(at),
        _ => Err(format!("`{text}`: write the key alone, such as voicemail.pin")),
    }
}

fn parse_path(text: &str) -> Option<(Vec<String>, &str)> {
    let mut at = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = match rest.chars().next()? {
            quote @ ('"' | '\'') => {
                let inside = rest.get(1..)?;
                let end = inside.find(quote)?;
                (inside.get(..end)?, inside.get(end + 1..)?)
            }
            _ => {
                // A sign belongs to the operator only where `=` follows: numbers and names may hold both.
                let end = rest
                    .char_indices()
                    .find(|(at, c)| match c {
                        '.' | '=' => true,
                        '+' | '-' => rest.get(at + 1..).is_some_and(|r| r.starts_with('=')),
                        _ => false,
                    })
                    .map_or(rest.len(), |(at, _)| at);
                rest.split_at(end)
            }
        };
        if part.is_empty() || at.len() == DEPTH_MAX {
            return None;
        }
        at.push(part.to_owned());
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => return Some((at, after)),
        }
    }
}

fn parse_value(key: &str, text: &str) -> Result<Value, String> {
    match text {
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if holds_whole_number(key)
        && let Ok(number) = text.parse::<i64>()
    {
        return Ok(number.into());
    }
    if text.starts_with(['"', '\'', '[', '{']) {
        let table: toml::Table = toml::from_str(&format!("value = {text}"))
            .map_err(|e| format!("`{text}` is no value: {}", e.message()))?;
        return table.get("value").map(from_toml).ok_or_else(|| format!("`{text}` is no value"));
    }
    Ok(Value::String(text.to_owned()))
}

/// Dates become text; where a key holds dates they are dates again when they are written.
fn from_toml(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(when) => when.to_string().into(),
        toml::Value::Array(items) => items.iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), from_toml(value))).collect())
        }
    }
}

/// A merge patch as changes of the object that it is for: null takes a key away, an object goes into a table, all else is set. In a
/// list of tables an object names the elements: `{"rule": {"Lunch": {"enabled": false}}}`.
#[must_use]
pub fn of_patch(current: &Value, patch: &Map<String, Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    patch_into(current, patch, &mut Vec::new(), &mut changes);
    changes
}

fn patch_into(current: &Value, patch: &Map<String, Value>, at: &mut Vec<String>, changes: &mut Vec<Change>) {
    for (key, value) in patch {
        at.push(key.clone());
        let here = element(current, key);
        match value {
            Value::Null if here.is_some() => changes.push(Change::Unset { at: at.clone() }),
            Value::Null => {}
            // Deeper than anything that can be there: it is set, and judged where it is written.
            Value::Object(inner) if at.len() < DEPTH_MAX && goes_into(here) => {
                patch_into(here.unwrap_or(&Value::Null), inner, at, changes);
            }
            value => changes.push(Change::Set { at: at.clone(), value: without_null(value) }),
        }
        at.pop();
    }
}

/// Whether an object is merged into what is there.
fn goes_into(here: Option<&Value>) -> bool {
    match here {
        Some(Value::Object(_)) => true,
        Some(Value::Array(items)) => items.iter().any(Value::is_object),
        _ => false,
    }
}

/// What stands under a key, or in a list of tables under a name.
pub(super) fn element<'v>(within: &'v Value, key: &str) -> Option<&'v Value> {
    match within {
        Value::Object(table) => table.get(key),
        Value::Array(items) => items.iter().find(|item| {
            ["name", "to"].iter().any(|name| item.get(name).and_then(Value::as_str) == Some(key))
        }),
        _ => None,
    }
}

/// RFC 7396 §2: what is set from a patch holds no null.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(table) => Value::Object(
            table.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_null(v))).collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(at: &[&str], value: Value) -> Change {
        Change::Set { at: at.iter().map(|s| (*s).to_owned()).collect(), value }
    }

    #[test]
    fn a_setting_is_a_way_and_a_value() {
        for (text, change) in [
            ("ring_for=30s", set(&["ring_for"], json!("30s"))),
            ("call_waiting=false", set(&["call_waiting"], json!(false))),
            ("ext=0101", set(&["ext"], json!("0101"))),
            ("call_paths=3", set(&["call_paths"], json!(3))),
            ("rule.Clinic hours.enabled=false", set(&["rule", "Clinic hours", "enabled"], json!(false))),
            ("rule.\"9.5 = half\".when=open", set(&["rule", "9.5 = half", "when"], json!("open"))),
            ("sms_number=+12025550100", set(&["sms_number"], json!("+12025550100"))),
            ("allow=[\"list:a\", \"101\"]", set(&["allow"], json!(["list:a", "101"]))),
            ("restrict={ premium = \"deny\" }", set(&["restrict"], json!({ "premium": "deny" }))),
            ("dates=[2026-12-25]", set(&["dates"], json!(["2026-12-25"]))),
            ("label=", set(&["label"], json!(""))),
            ("gb-mobile=a=b", set(&["gb-mobile"], json!("a=b"))),
        ] {
            assert_eq!(parse_setting(text).unwrap(), change, "{text}");
        }
        let numbers = || vec!["numbers".to_owned()];
        assert_eq!(
            parse_setting("numbers+=+1900.").unwrap(),
            Change::Add { at: numbers(), value: json!("+1900.") }
        );
        assert_eq!(
            parse_setting("numbers-=101").unwrap(),
            Change::Take { at: numbers(), value: json!("101") }
        );
    }

    #[test]
    fn what_is_no_setting_says_what_to_write() {
        for text in ["", "ext", "=1", "a..b=1", ".a=1", "\"a=1", &format!("{}=1", ["a"; 20].join("."))] {
            assert!(parse_setting(text).unwrap_err().contains("write KEY=VALUE"), "{text}");
        }
        assert!(parse_setting("allow=[\"a\"").unwrap_err().contains("is no value"));
        assert_eq!(parse_key("voicemail.pin").unwrap(), ["voicemail", "pin"]);
        assert!(parse_key("pin=1").is_err());
    }

    #[test]
    fn a_merge_patch_becomes_changes() {
        let current = json!({ "ext": "101", "email": ["a@b"], "name": { "first": "A" },
            "rule": [{ "name": "Lunch", "when": "lunch" }] });
        let patch = json!({ "ext": "102", "email": null, "site": null, "name": { "last": "B" },
            "rule": { "Lunch": { "enabled": false, "dnd": null } }, "restrict": { "premium": "deny", "x": null } });
        let patch = patch.as_object().unwrap();
        let mut changes = of_patch(&current, patch);
        changes.sort_by_key(|c| c.at().join("."));
        assert_eq!(
            changes,
            [
                Change::Unset { at: vec!["email".into()] },
                set(&["ext"], json!("102")),
                set(&["name", "last"], json!("B")),
                set(&["restrict"], json!({ "premium": "deny" })),
                set(&["rule", "Lunch", "enabled"], json!(false)),
            ]
        );
    }
}
