//! `ringtree user`: users and their live status.

use super::daemon::{Daemon, parse, text};
use super::{Exit, Failure, out};
use crate::admin::client::{Ask, segment};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value, json};

/// List users, show one, or set its live status
#[derive(Subcommand)]
pub enum User {
    List(List),
    Show(Show),
    Set(Set),
}

/// List the users of a domain with their extensions and live status
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    common: Common,
}

/// Show one user: extensions, devices, rules, live status
#[derive(Args)]
pub struct Show {
    /// The user's name or an extension of it
    name: String,
    #[command(flatten)]
    common: Common,
}

/// Set a user's live status: beside the rules, at once, and over a restart
///
/// `dnd=on|off|rules`, `forward=DESTINATION|rules`, `rule=NAME|rules`: `rules` goes back to what the rules say. `forward` acts as
/// forward.always over the chosen rule; `rule` picks any rule of the user by name, a disabled one too. For example:
/// `ringtree user set osei dnd=on --until 18:00`
#[derive(Args)]
pub struct Set {
    /// The user's name or an extension of it
    name: String,
    /// What to set, as KEY=VALUE
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// When the status ends by itself: `18:00` is its next occurrence in the user's zone; or RFC 3339
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
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
    fn path(&self, rest: &str) -> Result<String, Failure> {
        let domain = self.daemon.domain(self.domain.as_deref())?;
        Ok(format!("/v1/domains/{}/users{rest}", segment(&domain)))
    }
}

impl User {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        match self {
            User::List(verb) => verb.carry_out(),
            User::Show(verb) => verb.carry_out(),
            User::Set(verb) => verb.carry_out(),
        }
    }
}

impl List {
    fn carry_out(self) -> Result<Exit, Failure> {
        let users = self.common.daemon.get(&self.common.path("")?)?;
        if self.common.json {
            out::json(&users);
            return Ok(Exit::Done);
        }
        let row = |u: &Value| {
            vec![
                text(u, "name").to_owned(),
                list(u, "extensions"),
                text(u, "display").to_owned(),
                status(u.get("status")),
            ]
        };
        let rows: Vec<_> = users.as_array().into_iter().flatten().map(row).collect();
        out::text(&out::table(&["USER", "EXTENSIONS", "NAME", "STATUS"], &rows));
        Ok(Exit::Done)
    }
}

impl Show {
    fn carry_out(self) -> Result<Exit, Failure> {
        let user = self.common.daemon.get(&self.common.path(&format!("/{}", segment(&self.name)))?)?;
        if self.common.json {
            out::json(&user);
            return Ok(Exit::Done);
        }
        for (what, value) in [
            ("user", text(&user, "name").to_owned()),
            ("name", text(&user, "display").to_owned()),
            ("extensions", list(&user, "extensions")),
            ("devices", list(&user, "devices")),
            ("zone", text(&user, "zone").to_owned()),
            ("rules", list(&user, "rules")),
            ("status", status(user.get("status"))),
        ] {
            out::line(&format!("{what:<12}{value}"));
        }
        Ok(Exit::Done)
    }
}

impl Set {
    fn carry_out(self) -> Result<Exit, Failure> {
        let body = self.body()?;
        let path = self.common.path(&format!("/{}/status", segment(&self.name)))?;
        let answer = self.common.daemon.ask(Ask::new(Method::PATCH, &path).json(&body))?;
        let after = parse(&answer)?;
        if self.common.json {
            out::json(&after);
        } else {
            out::line(&format!("{}: {}", self.name, status(Some(&after))));
        }
        Ok(Exit::Done)
    }

    fn body(&self) -> Result<Value, Failure> {
        let mut body = Map::new();
        for setting in &self.settings {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| Failure::input(format!("`{setting}`: write KEY=VALUE, such as dnd=on")))?;
            let value = match (key, value) {
                ("dnd" | "forward" | "rule", "rules") => Value::Null,
                ("dnd", "on") => json!(true),
                ("dnd", "off") => json!(false),
                ("dnd", _) => {
                    return Err(Failure::input(format!("`{setting}`: write dnd=on, dnd=off or dnd=rules")));
                }
                ("forward" | "rule", value) => json!(value),
                _ => {
                    return Err(Failure::input(format!(
                        "unknown key `{key}`; there are dnd, forward and rule"
                    )));
                }
            };
            body.insert(key.to_owned(), value);
        }
        if let Some(until) = &self.until {
            body.insert("until".into(), json!(until));
        }
        Ok(Value::Object(body))
    }
}

fn list(value: &Value, member: &str) -> String {
    let items = value.get(member).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// `dnd on, until 2026-11-24T23:00:00Z`, or `by the rules`.
fn status(status: Option<&Value>) -> String {
    let Some(Value::Object(set)) = status else { return "by the rules".into() };
    let mut parts = Vec::new();
    match set.get("dnd").and_then(Value::as_bool) {
        Some(true) => parts.push("dnd on".to_owned()),
        Some(false) => parts.push("dnd off".to_owned()),
        None => {}
    }
    for (member, shown) in [("forward", "forward to"), ("rule", "rule"), ("until", "until")] {
        if let Some(value) = set.get(member).and_then(Value::as_str) {
            parts.push(format!("{shown} {value}"));
        }
    }
    parts.join(", ")
}
