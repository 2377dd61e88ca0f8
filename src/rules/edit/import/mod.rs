//! Users from a table (U15): new ones as files of their own, numbers with the other numbers; of users that are there already only what
//! they lack, and their emergency keys. Nothing is overwritten silently: what is not taken is in the report, by row and column.

pub mod table;

use super::change::Change;
use super::layout;
use super::object::{self, new_file};
use super::{EditError, Kind};
use crate::number::{Locale, is_e164, normalise};
use crate::rules::diagnostic::Files;
use crate::rules::model::{Model, NumberTo};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use table::{Row, Table};

/// What could not be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Line in the file, the head being the first.
    pub row: u64,
    pub column: String,
    pub value: String,
    pub why: String,
}

/// What an import would make of the rules.
#[derive(Debug)]
pub struct Imported {
    pub files: Files,
    /// Users that are new, and those that get something.
    pub made: Vec<String>,
    pub changed: Vec<String>,
    /// Files with a secret that somebody has to write.
    pub secrets: Vec<String>,
    pub losses: Vec<Loss>,
}

/// Makes users of the rows.
///
/// # Errors
/// A file of the rules can't be edited.
pub fn import(model: &Model, table: Table) -> Result<Imported, EditError> {
    let mut import = Import {
        model,
        files: (*model.files).clone(),
        by_ext: model
            .users
            .iter()
            .flat_map(|(name, u)| u.extensions.iter().map(move |e| (e.to_string(), name.to_string())))
            .collect(),
        names: model.users.keys().map(ToString::to_string).collect(),
        devices: model.devices.keys().map(ToString::to_string).collect(),
        numbers: Vec::new(),
        given: BTreeSet::new(),
        imported: Imported {
            files: Files::default(),
            made: Vec::new(),
            changed: Vec::new(),
            secrets: Vec::new(),
            losses: table.losses,
        },
    };
    for row in &table.rows {
        import.row(row)?;
    }
    import.write_numbers()?;
    Ok(Imported { files: import.files, ..import.imported })
}

struct Import<'m> {
    model: &'m Model,
    files: Files,
    by_ext: BTreeMap<String, String>,
    names: BTreeSet<String>,
    devices: BTreeSet<String>,
    /// Number and user.
    numbers: Vec<(String, String)>,
    given: BTreeSet<String>,
    imported: Imported,
}

impl Import<'_> {
    fn lost(&mut self, row: &Row, column: &str, why: impl Into<String>) {
        let value = row.cells.get(column).cloned().unwrap_or_default();
        self.imported.losses.push(Loss {
            row: row.number,
            column: column.to_owned(),
            value,
            why: why.into(),
        });
    }

    fn row(&mut self, row: &Row) -> Result<(), EditError> {
        let Some(ext) = row.cells.get("ext") else {
            self.lost(row, "ext", "a row without an extension is nobody");
            return Ok(());
        };
        if ext.contains(['+', 'E', 'e']) && ext.parse::<f64>().is_ok_and(|_| ext.contains('.')) {
            self.lost(row, "ext", "the spreadsheet has rounded this number: format the column as text");
            return Ok(());
        }
        if !self.by_ext.contains_key(ext)
            && let Some(why) = no_extension(ext)
        {
            self.lost(row, "ext", why);
            return Ok(());
        }
        let keys = self.keys(row);
        if let Some(name) = self.by_ext.get(ext).cloned() {
            return self.there(row, &name, keys);
        }
        if self.model.system_extensions.contains_key(ext.as_str()) {
            self.lost(row, "ext", "this extension is a service's");
            return Ok(());
        }
        let name = self.name_for(row, ext);
        self.new_user(row, ext, &name, keys);
        Ok(())
    }

    /// What the row says of a user, but for extension, devices and numbers.
    fn keys(&mut self, row: &Row) -> Map<String, Value> {
        let mut keys = Map::new();
        let cell = |column: &str| row.cells.get(column).map(String::as_str);
        match (cell("first_name"), cell("last_name"), cell("name")) {
            (None, None, None) => {}
            (None, None, Some(name)) => drop(keys.insert("name".into(), json!(name))),
            (first, last, _) => {
                let parts = [("first", first), ("last", last)];
                let parts: Map<_, _> =
                    parts.iter().filter_map(|(k, v)| Some(((*k).to_owned(), json!((*v)?)))).collect();
                keys.insert("name".into(), parts.into());
            }
        }
        for column in ["department", "role", "timezone", "area_code", "ring_for"] {
            if let Some(text) = cell(column) {
                keys.insert(column.into(), json!(text));
            }
        }
        for column in ["exts", "email", "tags"] {
            if let Some(text) = cell(column) {
                keys.insert(column.into(), parts(text).collect());
            }
        }
        if let Some(site) = cell("site") {
            match self.model.sites.contains_key(site) {
                true => drop(keys.insert("site".into(), json!(site))),
                false => {
                    self.lost(row, "site", format!("there is no site `{site}`: add `[site.{site}]` first"))
                }
            }
        }
        match cell("mailbox").map(str::to_lowercase).as_deref() {
            None => {}
            Some("yes" | "y" | "true" | "1" | "on" | "x") => {
                keys.insert("voicemail".into(), json!({ "enabled": true }));
            }
            Some("no" | "n" | "false" | "0" | "off") => {
                keys.insert("voicemail".into(), json!({ "enabled": false }));
            }
            Some(_) => self.lost(row, "mailbox", "write yes or no"),
        }
        let mut emergency = Map::new();
        for (column, key) in [("emergency_callback", "callback"), ("emergency_location", "location")] {
            let Some(name) = cell(column) else { continue };
            let known = match key {
                "callback" => self.model.callbacks.contains_key(name),
                _ => self.model.locations.contains_key(name),
            };
            match known {
                true => drop(emergency.insert(key.into(), json!(name))),
                false => {
                    self.lost(row, column, format!("there is no {key} `{name}`: add `[{key}.{name}]` first"))
                }
            }
        }
        if !emergency.is_empty() {
            keys.insert("emergency".into(), emergency.into());
        }
        keys
    }

    /// A user that is there: what it lacks is added, its emergency keys are set (that is what such a table is for), all else is told.
    fn there(&mut self, row: &Row, name: &str, keys: Map<String, Value>) -> Result<(), EditError> {
        let kind = user_kind()?;
        let Some(found) = object::find(&self.files, kind, name) else { return Ok(()) };
        let mut changes = Vec::new();
        for (key, value) in keys {
            let present = found.value.get(&key);
            if key == "emergency" {
                for (inner, value) in value.as_object().into_iter().flatten() {
                    if present.and_then(|p| p.get(inner)) != Some(value) {
                        changes
                            .push(Change::Set { at: vec![key.clone(), inner.clone()], value: value.clone() });
                    }
                }
            } else if present.is_none() {
                changes.push(Change::Set { at: vec![key], value });
            } else if present != Some(&value) {
                let column =
                    if key == "name" && row.cells.contains_key("last_name") { "last_name" } else { &key };
                self.lost(
                    row,
                    column,
                    format!("user `{name}` says otherwise, at {}; it is left so", found.at),
                );
            }
        }
        for column in ["device", "mac", "model"] {
            if row.cells.contains_key(column) {
                self.lost(row, column, format!("user `{name}` is there already: set its devices one by one"));
            }
        }
        self.numbers_of(row, name);
        if !changes.is_empty() {
            self.files = object::change(&self.files, kind, name, &changes)?;
            self.imported.changed.push(name.to_owned());
        }
        Ok(())
    }

    fn new_user(&mut self, row: &Row, ext: &str, name: &str, mut keys: Map<String, Value>) {
        keys.insert("ext".into(), json!(ext));
        let mut objects = vec![("user", name.to_owned(), keys)];
        for (device, keys) in self.devices_of(row, ext, name) {
            objects.push(("device", device, keys));
        }
        let file = format!("users/{ext}-{name}.toml");
        match new_file(&objects) {
            Ok(_) if self.files.0.contains_key(file.as_str()) => {
                self.lost(row, "ext", format!("there is a file {file} already"));
            }
            Ok(text) => {
                self.files.0.insert(file.into(), text.into());
                self.by_ext.insert(ext.to_owned(), name.to_owned());
                self.names.insert(name.to_owned());
                self.imported.made.push(name.to_owned());
                self.numbers_of(row, name);
            }
            Err(error) => self.lost(row, "ext", error.to_string()),
        }
    }

    fn devices_of(&mut self, row: &Row, ext: &str, user: &str) -> Vec<(String, Map<String, Value>)> {
        let list = |column: &str| {
            row.cells.get(column).map(|text| parts(text).collect::<Vec<String>>()).unwrap_or_default()
        };
        let (names, macs, models) = (list("device"), list("mac"), list("model"));
        let count = names.len().max(macs.len()).max(usize::from(!models.is_empty()));
        let mut devices = Vec::new();
        for (nth, letter) in ('a'..='z').take(count).enumerate() {
            let name = names.get(nth).cloned().unwrap_or_else(|| format!("{ext}{letter}"));
            if !self.devices.insert(name.clone()) {
                self.lost(row, "device", format!("there is a device `{name}` already"));
                continue;
            }
            let secret = format!("secrets/{name}");
            let mut keys = Map::new();
            keys.insert("user".into(), json!(user));
            if nth == 0 && count > 1 {
                keys.insert("primary".into(), json!(true));
            }
            keys.insert("auth".into(), json!({ "user": name, "secret": format!("file:{secret}") }));
            if let Some(model) = models.get(nth).or_else(|| models.first()) {
                keys.insert("model".into(), json!(model.to_lowercase()));
            }
            if let Some(mac) = macs.get(nth) {
                match mac_of(mac) {
                    Some(mac) => drop(keys.insert("mac".into(), json!(mac))),
                    None => {
                        self.lost(row, "mac", format!("`{mac}` is no MAC address: write 00:15:65:00:01:00"))
                    }
                }
            }
            self.imported.secrets.push(secret);
            devices.push((name, keys));
        }
        devices
    }

    fn numbers_of(&mut self, row: &Row, user: &str) {
        let Some(text) = row.cells.get("number") else { return };
        let site = row.cells.get("site").and_then(|site| self.model.sites.get(site.as_str()));
        let domain = &self.model.domain;
        let locale = Locale {
            country: site.and_then(|s| s.country.clone()).unwrap_or_else(|| domain.country.clone()),
            area_code: site.and_then(|s| s.area_code.clone()).or_else(|| domain.area_code.clone()),
        };
        for raw in parts(text) {
            let rounded = raw.contains(['E', 'e']);
            let number = if is_e164(&raw) { Some(raw.clone()) } else { normalise(&raw, &locale) };
            let Some(number) = number.filter(|_| !rounded) else {
                let why = if rounded {
                    "the spreadsheet has rounded this number: format the column as text"
                } else {
                    "this is no number that can be made E.164 of"
                };
                self.lost(row, "number", why);
                continue;
            };
            let taken = match self.model.numbers.get(number.as_str()).map(|n| &n.to) {
                None | Some(NumberTo::Spare) => false,
                Some(NumberTo::To(to)) if to.value.to_string() == format!("user:{user}") => continue,
                Some(_) => true,
            };
            if taken || !self.given.insert(number.clone()) {
                self.lost(row, "number", format!("{number} leads elsewhere already; it is left so"));
                continue;
            }
            self.numbers.push((number, user.to_owned()));
        }
    }

    fn write_numbers(&mut self) -> Result<(), EditError> {
        let kind = Kind::of_table("number").ok_or_else(|| EditError::new("no numbers"))?;
        for (number, user) in std::mem::take(&mut self.numbers) {
            let to = json!(format!("user:{user}"));
            self.files = match self.model.numbers.contains_key(number.as_str()) {
                true => object::change(
                    &self.files,
                    kind,
                    &number,
                    &[Change::Set { at: vec!["to".into()], value: to }],
                )?,
                false => {
                    let keys = Map::from_iter([("to".to_owned(), to)]);
                    object::put(&self.files, kind, &number, &keys)?
                }
            };
        }
        Ok(())
    }

    /// A name that nobody has: the one given, else made of the person's, else of the extension.
    fn name_for(&self, row: &Row, ext: &str) -> String {
        let cell = |column: &str| row.cells.get(column).map(|text| slug(text)).unwrap_or_default();
        let whole = [cell("first_name"), cell("last_name")].join("-");
        let candidates = [cell("user"), cell("last_name"), whole, cell("name"), slug(&format!("u{ext}"))];
        let free = |name: &String| !name.is_empty() && !self.names.contains(name);
        let fallback = format!("u-{ext}");
        candidates.into_iter().map(|c| c.trim_matches('-').to_owned()).find(free).unwrap_or(fallback)
    }
}

/// Why a cell is no extension. Rules may have one without a digit (`ext = "lobby"`); in a table it is a name in the wrong column.
fn no_extension(ext: &str) -> Option<&'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '*' | '#' | '-');
    if !ext.bytes().any(|byte| byte.is_ascii_digit()) {
        return Some("nobody can dial this: an extension has digits; is it in the right column?");
    }
    if ext.len() > 32 || !ext.chars().all(good) {
        return Some("an extension is 1 to 32 of digits, letters, `.`, `_`, `*`, `#` and `-`");
    }
    is_e164(ext).then_some("this is a number, not an extension: it belongs into the column `number`")
}

fn user_kind() -> Result<&'static Kind, EditError> {
    Kind::of_table("user").ok_or_else(|| EditError::new("no users"))
}

/// A cell of several: separated by semicolons, bars or commas.
fn parts(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split([';', '|', ',']).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned)
}

/// Twelve digits of sixteen, in pairs.
fn mac_of(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.' | ' ')).collect();
    if digits.len() != 12 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let pairs: Vec<String> =
        digits.to_lowercase().as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).into_owned()).collect();
    Some(pairs.join(":"))
}

/// Letters and digits of a name, as names of objects are written. Others (and letters with marks) fall away.
fn slug(text: &str) -> String {
    let plain = |c: char| match c {
        'à'..='å' | 'À'..='Å' => 'a',
        'è'..='ë' | 'È'..='Ë' => 'e',
        'ì'..='ï' | 'Ì'..='Ï' => 'i',
        'ò'..='ö' | 'ø' | 'Ò'..='Ö' | 'Ø' => 'o',
        'ù'..='ü' | 'Ù'..='Ü' => 'u',
        'ç' | 'Ç' => 'c',
        'ñ' | 'Ñ' => 'n',
        'ß' => 's',
        c if c.is_ascii_alphanumeric() || c == '.' || c == '_' => c.to_ascii_lowercase(),
        _ => '-',
    };
    let text: String = text.chars().take(48).map(plain).collect();
    text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// The files in canonical layout, where an import has touched them and they were so before.
#[must_use]
pub fn laid_out(before: &Files, after: &Files) -> Files {
    let mut files = after.clone();
    for (name, text) in &after.0 {
        let was = before.0.get(name);
        if was == Some(text) || was.is_some_and(|was| layout::format(was).is_ok_and(|f| f != **was)) {
            continue;
        }
        if let Ok(text) = layout::format(text) {
            files.0.insert(name.clone(), text.into());
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::source;

    const DOMAIN: &str = "schema = 1\n[domain]\nname = \"pbx.test.example\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\narea_code = \"202\"\n";
    const ADA: &str = "[user.ada]\next = \"101\"  # on her card\nname = { first = \"Ada\", last = \"King\" }\n[device.101a]\nuser = \"ada\"\naccept_from = [\"192.0.2.1\"]\n";
    const REST: &str = "[callback.desk]\nnumber = \"+12025550100\"\n[location.hall]\ncountry = \"US\"\n[number.\"+12025550100\"]\nto = \"user:ada\"\n[number.\"+12025550109\"]\nlabel = \"spare\"\n";

    fn model() -> Model {
        let files = [("domain.toml", DOMAIN), ("users/ada.toml", ADA), ("rest.toml", REST)];
        let loaded = source::load(&Files(files.map(|(n, t)| (n.into(), t.into())).into()));
        loaded.model.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
    }

    fn imported(text: &str) -> Imported {
        import(&model(), table::read(text.as_bytes(), false).unwrap()).unwrap()
    }

    fn whys(imported: &Imported) -> Vec<(u64, &str, &str)> {
        imported.losses.iter().map(|l| (l.row, l.column.as_str(), l.why.as_str())).collect()
    }

    #[test]
    fn a_row_becomes_a_user_with_its_phones_and_numbers() {
        let found = imported(
            "ext,first_name,last_name,email,number,mac,model,mailbox\n102,Zoë,Núñez,z@x.example,(202) 555-0109;555-0102,0015.6500.0102|001565000103,Yealink-T54W,no\n",
        );
        assert_eq!(whys(&found), []);
        assert_eq!(
            (found.made.as_slice(), found.secrets.as_slice()),
            (&["nunez".to_owned()][..], &["secrets/102a".to_owned(), "secrets/102b".to_owned()][..])
        );
        let text = found.files.0.get("users/102-nunez.toml").unwrap();
        assert!(text.starts_with("[user.nunez]\next = \"102\"\nname = { first = \"Zoë\", last = \"Núñez\" }\nemail = [\"z@x.example\"]\n"), "{text}");
        assert!(text.contains("[device.102a]\nuser = \"nunez\"\nprimary = true\nauth = { user = \"102a\", secret = \"file:secrets/102a\" }\nmodel = \"yealink-t54w\"\nmac = \"00:15:65:00:01:02\"\n"), "{text}");
        let rest = found.files.0.get("rest.toml").unwrap();
        assert!(
            rest.contains("label = \"spare\"\nto = \"user:nunez\"\n")
                && rest.contains("[number.\"+12025550102\"]\nto = \"user:nunez\"\n"),
            "{rest}"
        );
        assert!(source::load(&found.files).model.is_some(), "{:#?}", source::load(&found.files).diagnostics);
    }

    #[test]
    fn a_user_that_is_there_gets_what_it_lacks_and_its_emergency_keys_and_keeps_the_rest() {
        let found = imported(
            "ext,last_name,department,number,emergency_callback,emergency_location\n101,Byron,Front,+12025550100,desk,hall\n",
        );
        assert_eq!(found.changed, ["ada"]);
        let text = found.files.0.get("users/ada.toml").unwrap();
        assert!(
            text.contains("ext = \"101\"  # on her card\n") && text.contains("last = \"King\""),
            "{text}"
        );
        assert!(text.contains("department = \"Front\"\n"), "{text}");
        assert!(text.contains("emergency = { callback = \"desk\", location = \"hall\" }\n"), "{text}");
        assert_eq!(found.losses.len(), 1, "{:?}", found.losses);
        assert_eq!((found.losses[0].column.as_str(), found.losses[0].value.as_str()), ("last_name", "Byron"));
    }

    #[test]
    fn what_can_not_be_taken_is_told_and_the_rest_is_taken() {
        let found = imported(
            "ext,name,site,number,mac,emergency_location,mailbox\n102,B,paris,2.03E+11,xyz,attic,maybe\n,C,,,,,\n103,D,,+12025550100,,,\n102,E,,,,,\n",
        );
        let columns: Vec<_> = found.losses.iter().map(|l| (l.row, l.column.as_str())).collect();
        assert_eq!(
            columns,
            [
                (2, "site"),
                (2, "mailbox"),
                (2, "emergency_location"),
                (2, "mac"),
                (2, "number"),
                (3, "ext"),
                (4, "number"),
                (5, "name")
            ]
        );
        assert_eq!(found.made, ["b", "d"]);
    }

    #[test]
    fn what_is_no_extension_is_refused_by_row_and_column() {
        let found = imported("ext,last_name\nabc,Byron\n1 02,King\n+12025550123,Hall\n102,Ross\n");
        let cells: Vec<_> =
            found.losses.iter().map(|l| (l.row, l.column.as_str(), l.value.as_str())).collect();
        assert_eq!(cells, [(2, "ext", "abc"), (3, "ext", "1 02"), (4, "ext", "+12025550123")]);
        assert_eq!(found.made, ["ross"]);
    }

    #[test]
    fn names_are_made_of_what_there_is_and_never_taken_twice() {
        let found = imported("ext,first_name,last_name\n102,Ann,Ada\n103,Bob,Ada\n104,李,\n105,,\n");
        assert_eq!(found.made, ["ann-ada", "bob-ada", "u104", "u105"]);
    }
}
