//! `ringtree user|device|number|list|time-frame|trunk ... list|show|set|remove`: one object at a time. What is live of a user, a time frame
//! or a hot-desk phone is set by the same `set`, and told apart by its key.

use super::change;
use super::daemon::{Daemon, parse, text};
use super::{Exit, Failure, out};
use crate::admin::client::{Ask, segment};
use crate::admin::moment;
use crate::rules::edit::Kind;
use crate::rules::edit::change::{Change, parse_key, parse_setting};
use clap::{Args, Subcommand};
use hyper::{Method, StatusCode};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

/// List, show, change and remove objects of the rules
#[derive(Subcommand)]
pub enum Object {
    List(List),
    Show(Show),
    Set(Set),
    Remove(Remove),
}

/// List the objects of this kind: name, place and what they hold
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    common: Common,
}

/// Show one object as it is written, with its place, and what is live of it
#[derive(Args)]
pub struct Show {
    /// Its name; a user's extension will do
    name: String,
    #[command(flatten)]
    common: Common,
}

/// Change an object, or make it where there is none: one generation, comments and order kept
///
/// `key=value` sets a key, `key+=entry` and `key-=entry` change a list, --unset takes a key away. Dots go into tables and lists of
/// tables by name: 'rule.Clinic hours.enabled=false'; a name with a dot in it stands in quotes. A value is text as it stands, or TOML
/// where it begins with a quotation mark, a bracket or a brace; true, false, and digits where a key holds a number.
///
/// Live status is not an edit of the rules: it acts at once, beside them, and goes with --until or with `=rules`. Of users: dnd=on|off|rules,
/// forward=DESTINATION|rules, rule=NAME|rules, queues.QUEUE=on|off|rules. Of time frames: override=on|off|rules. Of hot-desk phones:
/// hotdesk=USER|rules (hotdesk=true and false are the rules' own key).
///
/// Examples: ringtree user set osei ring_for=30s 'rule.Night.dnd=false'; ringtree list set spam numbers+=+1900.; ringtree user set osei
/// dnd=on --until 18:00; ringtree time-frame set storm override=on --until 18:00; ringtree device set desk-7 hotdesk=priya
#[derive(Args)]
pub struct Set {
    /// Its name; a user's extension will do
    name: String,
    /// What to set, as KEY=VALUE
    #[arg(value_name = "KEY=VALUE", required_unless_present = "unset")]
    settings: Vec<String>,
    /// A key to take away; may be repeated
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// When live status ends by itself: `18:00` is its next occurrence in the zone of the user or frame; or RFC 3339
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only if this is the domain's present generation, so that nobody else's change is lost
    #[arg(long, value_name = "GEN")]
    if_generation: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// Remove an object; refused while others refer to it, with the list of those
#[derive(Args)]
pub struct Remove {
    /// Its name; a user's extension will do
    name: String,
    /// Only if this is the domain's present generation, so that nobody else's change is lost
    #[arg(long, value_name = "GEN")]
    if_generation: Option<u64>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// The domain, if there are several
    #[arg(long)]
    domain: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Common {
    fn path(&self, kind: &Kind, rest: &str) -> Result<String, Failure> {
        let domain = self.daemon.domain(self.domain.as_deref())?;
        Ok(format!("/v1/domains/{}/{}{rest}", segment(&domain), kind.collection))
    }

    /// By whose clock times are shown.
    fn zone(&self) -> Result<TimeZone, Failure> {
        self.daemon.zone(&self.daemon.domain(self.domain.as_deref())?)
    }

    fn one(&self, kind: &Kind, name: &str) -> Result<String, Failure> {
        self.path(kind, &format!("/{}", segment(name)))
    }
}

impl Object {
    /// `table`: the word of the kind's tables.
    pub fn carry_out(self, table: &str) -> Result<Exit, Failure> {
        let kind = Kind::of_table(table).ok_or_else(|| Failure::fault(format!("no kind `{table}`")))?;
        match self {
            Object::List(verb) => verb.carry_out(kind),
            Object::Show(verb) => verb.carry_out(kind),
            Object::Set(verb) => verb.carry_out(kind),
            Object::Remove(verb) => verb.carry_out(kind),
        }
    }
}

impl List {
    fn carry_out(self, kind: &Kind) -> Result<Exit, Failure> {
        let found = self.common.daemon.get(&self.common.path(kind, "")?)?;
        if self.common.json {
            out::json(&found);
            return Ok(Exit::Done);
        }
        let objects = found.as_array().into_iter().flatten();
        let zone = self.common.zone()?;
        let (head, rows): (&[&str], Vec<Vec<String>>) = if kind.table == "user" {
            let row = |u: &Value| {
                let name = text(u, "name").to_owned();
                vec![
                    name,
                    list(u, "extensions"),
                    text(u, "display").to_owned(),
                    status(u.get("status"), &zone),
                ]
            };
            (&["USER", "EXTENSIONS", "NAME", "STATUS"], objects.map(row).collect())
        } else {
            let row = |o: &Value| {
                vec![text(o, "name").to_owned(), text(o, "at").to_owned(), in_short(o.get("value"))]
            };
            (&["NAME", "AT", "HOLDS"], objects.map(row).collect())
        };
        if rows.is_empty() {
            out::line(&format!("there is no {}", kind.spoken()));
        } else {
            out::text(&out::table(head, &rows));
        }
        Ok(Exit::Done)
    }
}

impl Show {
    fn carry_out(self, kind: &Kind) -> Result<Exit, Failure> {
        let found = self.common.daemon.get(&self.common.one(kind, &self.name)?)?;
        if self.common.json {
            out::json(&found);
            return Ok(Exit::Done);
        }
        out::line(&format!("# {}", text(&found, "at")));
        if kind.table == "user" {
            out::line(&format!("# devices {}; zone {}", list(&found, "devices"), text(&found, "zone")));
        }
        if let Some(live) = found.get("status") {
            out::line(&format!("# now {}", status(Some(live), &self.common.zone()?)));
        }
        out::text(text(&found, "toml"));
        Ok(Exit::Done)
    }
}

impl Set {
    fn carry_out(self, kind: &Kind) -> Result<Exit, Failure> {
        let (mut changes, mut live) = (Vec::new(), Map::new());
        for setting in &self.settings {
            match live_setting(kind, setting)? {
                Some((key, value)) => {
                    merge(&mut live, &key, value);
                }
                None => changes.push(parse_setting(setting).map_err(Failure::input)?),
            }
        }
        for key in &self.unset {
            changes.push(Change::Unset { at: parse_key(key).map_err(Failure::input)? });
        }
        match (&self.until, live.is_empty()) {
            (Some(until), false) => drop(live.insert("until".into(), json!(until))),
            (Some(_), true) => {
                let line = "--until ends live status (dnd, forward, rule, queues, override, hotdesk); `apply --until` undoes rules";
                return Err(Failure::input(line));
            }
            (None, _) => {}
        }
        if !changes.is_empty() {
            self.edit(kind, &changes)?;
        }
        if !live.is_empty() {
            self.live(kind, live)?;
        }
        Ok(Exit::Done)
    }

    fn edit(&self, kind: &Kind, changes: &[Change]) -> Result<(), Failure> {
        let path = self.common.one(kind, &self.name)?;
        let mut ask = Ask::new(Method::PATCH, &path).json(&changes);
        ask.if_generation = self.if_generation;
        let mut answer = self.common.daemon.answer(ask)?;
        // There is no such object: it is made, where only keys are set.
        if answer.status == StatusCode::NOT_FOUND
            && let Some(keys) = of_nothing(changes)
        {
            let there = self.common.daemon.answer(Ask::new(Method::GET, &path))?;
            if there.status == StatusCode::NOT_FOUND && makes_sense(kind, &keys) {
                let mut ask = Ask::new(Method::PUT, &path).json(&keys);
                ask.if_generation = self.if_generation;
                answer = self.common.daemon.answer(ask)?;
            }
        }
        change::done(&answer, self.common.json)
    }

    fn live(&self, kind: &Kind, body: Map<String, Value>) -> Result<(), Failure> {
        let path = format!("{}/status", self.common.one(kind, &self.name)?);
        let after = parse(&self.common.daemon.ask(Ask::new(Method::PATCH, &path).json(&body))?)?;
        if self.common.json {
            out::json(&after);
        } else {
            out::line(&format!("{}: {}", self.name, status(Some(&after), &self.common.zone()?)));
        }
        Ok(())
    }
}

impl Remove {
    fn carry_out(self, kind: &Kind) -> Result<Exit, Failure> {
        let path = self.common.one(kind, &self.name)?;
        let mut ask = Ask::new(Method::DELETE, &path);
        ask.if_generation = self.if_generation;
        change::done(&self.common.daemon.answer(ask)?, self.common.json)?;
        Ok(Exit::Done)
    }
}

/// A setting of live status, as the body of `PATCH .../status` has it. `rules` goes back to what the rules say.
fn live_setting(kind: &Kind, setting: &str) -> Result<Option<(String, Value)>, Failure> {
    let Some((key, value)) = setting.split_once('=') else { return Ok(None) };
    let switch = |value: &str| match value {
        "on" => Ok(json!(true)),
        "off" => Ok(json!(false)),
        "rules" => Ok(Value::Null),
        _ => Err(Failure::input(format!("`{setting}`: write {key}=on, {key}=off or {key}=rules"))),
    };
    let value = match (kind.table, key, value) {
        ("user", "dnd", value) => switch(value)?,
        ("user", queue, value) if queue.starts_with("queues.") => switch(value)?,
        ("user", "forward" | "rule", "rules") | ("device", "hotdesk", "rules") => Value::Null,
        ("user", "forward" | "rule", value) => json!(value),
        ("time_frame", "override", "rules" | "auto") => Value::Null,
        ("time_frame", "override", value @ ("on" | "off")) => json!(value),
        ("time_frame", "override", _) => {
            return Err(Failure::input(format!(
                "`{setting}`: write override=on, override=off or override=rules"
            )));
        }
        ("device", "hotdesk", value) if !matches!(value, "true" | "false") => json!(value),
        _ => return Ok(None),
    };
    Ok(Some((key.to_owned(), value)))
}

/// `queues.support` goes into the table of queues.
fn merge(body: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        Some((table, inner)) => {
            let table = body.entry(table).or_insert_with(|| json!({}));
            if let Value::Object(table) = table {
                table.insert(inner.to_owned(), value);
            }
        }
        None => drop(body.insert(key.to_owned(), value)),
    }
}

/// The keys of a new object, where all changes set keys; `None` where something is to be there already.
fn of_nothing(changes: &[Change]) -> Option<Map<String, Value>> {
    let mut keys = Map::new();
    for change in changes {
        let (at, value) = match change {
            Change::Set { at, value } => (at, value.clone()),
            Change::Add { at, value } => (at, json!([value])),
            Change::Unset { .. } | Change::Take { .. } => return None,
        };
        let (last, way) = at.split_last()?;
        let mut table = &mut keys;
        for key in way {
            table = table.entry(key.as_str()).or_insert_with(|| json!({})).as_object_mut()?;
        }
        table.insert(last.clone(), value);
    }
    Some(keys)
}

/// A name that is mistyped must not become a new user: what can't do without a key has it.
fn makes_sense(kind: &Kind, keys: &Map<String, Value>) -> bool {
    match kind.table {
        "user" => keys.contains_key("ext"),
        "device" => ["auth", "accept_from", "hotdesk"].iter().any(|key| keys.contains_key(*key)),
        "list" => ["numbers", "file"].iter().any(|key| keys.contains_key(*key)),
        _ => true,
    }
}

fn list(value: &Value, member: &str) -> String {
    let items = value.get(member).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// The keys of an object on one line, as long as a screen is wide.
fn in_short(value: Option<&Value>) -> String {
    const CHARS_MAX: usize = 72;
    let keys = value.and_then(Value::as_object).into_iter().flatten();
    let line = keys.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    if line.chars().count() > CHARS_MAX {
        line.chars().take(CHARS_MAX).chain("...".chars()).collect()
    } else {
        line
    }
}

/// `dnd on, until 2026-11-24T18:00:00-05:00`, by the clock of this zone; or `by the rules`.
fn status(status: Option<&Value>, zone: &TimeZone) -> String {
    let Some(Value::Object(set)) = status else { return "by the rules".into() };
    let word = |on: bool| if on { "on" } else { "off" };
    let mut parts = Vec::new();
    for (member, shown) in [("dnd", "dnd"), ("on", "override")] {
        if let Some(on) = set.get(member).and_then(Value::as_bool) {
            parts.push(format!("{shown} {}", word(on)));
        }
    }
    for (queue, on) in set.get("queues").and_then(Value::as_object).into_iter().flatten() {
        parts.push(format!("queue {queue} {}", word(on.as_bool() == Some(true))));
    }
    for (member, shown) in [("forward", "forward to"), ("rule", "rule"), ("user", "logged in")] {
        if let Some(value) = set.get(member).and_then(Value::as_str) {
            parts.push(format!("{shown} {value}"));
        }
    }
    if let Some(until) = set.get("until").and_then(Value::as_str) {
        parts.push(format!("until {}", moment::civil(until, zone)));
    }
    parts.join(", ")
}
