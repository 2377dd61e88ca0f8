//! Secrets in rule files: masked on the way out, put back on the way in. `plain:***` in a file that is applied means "keep the one
//! you have" at that key; the text around it, comments and all, stays as it is.

use crate::rules::diagnostic::{Files, SECRET_KEYS, SECRET_PREFIXES};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// What stands in place of a secret.
pub const MASK: &str = "plain:***";

/// A literal secret: the key that it stands at, and where in its file (with its quotes).
struct Secret {
    key: String,
    value: String,
    span: Range<usize>,
}

/// `plain:***` where there is nothing to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NothingToKeep {
    pub file: Arc<str>,
    pub key: String,
    pub line: usize,
    pub column: usize,
}

/// The files with every literal secret masked.
#[must_use]
pub fn mask(files: &Files) -> Files {
    Files(
        files
            .0
            .iter()
            .map(|(name, text)| (name.clone(), replace(name, text, |_| Some(format!("\"{MASK}\"")))))
            .collect(),
    )
}

/// Whether any of the files may hold a `plain:***`.
#[must_use]
pub fn is_masked(files: &Files) -> bool {
    files.0.values().any(|text| text.contains(MASK))
}

/// The files with each `plain:***` replaced by what stood at the same key before, in whichever file.
///
/// # Errors
/// All the places where there is nothing to keep.
pub fn unmask(files: &Files, before: &Files) -> Result<Files, Vec<NothingToKeep>> {
    let masked = |s: &Secret| s.value == MASK;
    if !files.0.iter().any(|(name, text)| text.contains(MASK) && secrets(name, text).iter().any(masked)) {
        return Ok(files.clone());
    }
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for (name, text) in &before.0 {
        for secret in secrets(name, text) {
            if let Some(literal) = text.get(secret.span) {
                known.insert(secret.key, literal);
            }
        }
    }
    let mut missing = Vec::new();
    let unmasked = files
        .0
        .iter()
        .map(|(name, text)| {
            let text = replace(name, text, |secret| {
                if !masked(secret) {
                    return None;
                }
                let found = known.get(&secret.key).map(|literal| (*literal).to_owned());
                if found.is_none() {
                    let upto = text.get(..secret.span.start).unwrap_or_default();
                    missing.push(NothingToKeep {
                        file: name.clone(),
                        key: secret.key.clone(),
                        line: upto.matches('\n').count() + 1,
                        column: upto.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
                    });
                }
                found
            });
            (name.clone(), text)
        })
        .collect();
    if missing.is_empty() { Ok(Files(unmasked)) } else { Err(missing) }
}

fn replace(name: &str, text: &Arc<str>, mut with: impl FnMut(&Secret) -> Option<String>) -> Arc<str> {
    let mut out = String::new();
    let mut copied = 0;
    for secret in secrets(name, text) {
        let Some(instead) = with(&secret) else { continue };
        out.push_str(text.get(copied..secret.span.start).unwrap_or_default());
        out.push_str(&instead);
        copied = secret.span.end;
    }
    if copied == 0 {
        return text.clone();
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out.into()
}

/// Every literal secret of a file, in order of place. What is not TOML has none; the loader says what is wrong with it.
fn secrets(name: &str, text: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    if name.ends_with(".toml")
        && let Ok(table) = DeTable::parse(text)
    {
        in_table(table.get_ref(), "", &mut found);
    }
    found.sort_by_key(|s| s.span.start);
    found
}

fn in_table(table: &DeTable<'_>, path: &str, found: &mut Vec<Secret>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        in_value(value, &path, SECRET_KEYS.contains(&name), found);
    }
}

fn in_value(value: &toml::Spanned<DeValue<'_>>, path: &str, at_secret_key: bool, found: &mut Vec<Secret>) {
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, path, found),
        DeValue::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                in_value(value, &format!("{path}[{index}]"), at_secret_key, found);
            }
        }
        DeValue::String(text) if at_secret_key && SECRET_PREFIXES.iter().any(|l| text.starts_with(l)) => {
            found.push(Secret { key: path.to_owned(), value: text.to_string(), span: value.span() });
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        Files(pairs.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect())
    }

    const DEVICES: &str = r#"# phones
[device.101a]
auth = { user = "101a", secret = "plain:s3cret" } # on the desk
[device.102a.auth]
user   = "102a"
secret = 'ha1:md5:0123'
[device.103a]
auth = { user = "103a", secret = "file:secrets/103a" }
[user.osei.voicemail]
pin = "hash:$argon2id$v=19$x"
[user.osei]
name = "plain: Jane"
"#;

    #[test]
    fn literal_secrets_are_masked_and_everything_else_stays() {
        let masked = mask(&files(&[("devices.toml", DEVICES)]));
        let text = masked.0.get("devices.toml").unwrap();
        assert_eq!(text.matches(MASK).count(), 3);
        for gone in ["s3cret", "0123", "argon2id"] {
            assert!(!text.contains(gone), "{text}");
        }
        for stays in ["# on the desk", "file:secrets/103a", "name = \"plain: Jane\"", "user   = \"102a\""] {
            assert!(text.contains(stays), "{text}");
        }
    }

    #[test]
    fn what_was_masked_comes_back_even_in_another_file() {
        let before = files(&[("devices.toml", DEVICES)]);
        let masked = mask(&before);
        assert_eq!(unmask(&masked, &before).unwrap(), before);
        let moved = files(&[("phones.toml", masked.0.get("devices.toml").unwrap())]);
        assert_eq!(unmask(&moved, &before).unwrap(), files(&[("phones.toml", DEVICES)]));
    }

    #[test]
    fn a_mask_over_nothing_names_its_place() {
        let missing =
            unmask(&files(&[("x.toml", "[device.9]\nauth = { secret = \"plain:***\" }")]), &Files::default())
                .unwrap_err();
        let [one] = missing.as_slice() else { panic!("{missing:?}") };
        assert_eq!((one.key.as_str(), one.line, one.column), ("device.9.auth.secret", 2, 19));
    }

    #[test]
    fn files_that_are_no_toml_pass_untouched() {
        let odd = files(&[("x.toml", "secret = \"plain:x"), ("lists/x.txt", "secret = \"plain:x\"")]);
        assert_eq!(mask(&odd), odd);
    }
}
