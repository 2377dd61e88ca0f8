//! `ringtree history`, `rollback`, `confirm`, `diff` and `blame`: what was, and going back to it.

use super::apply::rules_of;
use super::change;
use super::daemon::{Daemon, parse, text};
use super::{Exit, Failure, out};
use crate::admin::client::{Ask, segment};
use crate::daemon::directory;
use clap::Args;
use hyper::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

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
        Ok(format!("/v1/domains/{}/rules/{rest}", segment(&domain)))
    }
}

/// List the generations of a domain's rules: when, by whom, and what was done; newest first
///
/// Says also which generation is on trial, and until when. The daemon keeps the newest 64 of each domain with their text.
#[derive(Args)]
pub struct History {
    /// How many
    #[arg(long, value_name = "N", default_value = "20")]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

impl History {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let path = self.common.path(&format!("history?limit={}", self.limit))?;
        let history = self.common.daemon.get(&path)?;
        if self.common.json {
            out::json(&history);
            return Ok(Exit::Done);
        }
        let row = |g: &Value| {
            vec![
                number(g, "generation"),
                text(g, "applied").into(),
                text(g, "by").into(),
                text(g, "what").into(),
            ]
        };
        let rows: Vec<_> =
            history.get("generations").and_then(Value::as_array).into_iter().flatten().map(row).collect();
        out::text(&out::table(&["GENERATION", "APPLIED", "BY", "WHAT"], &rows));
        if let Some(trial) = history.get("trial").filter(|t| !t.is_null()) {
            out::line(&format!(
                "generation {} is on trial until {}",
                number(trial, "generation"),
                text(trial, "ends")
            ));
        }
        Ok(Exit::Done)
    }
}

/// Go back to the text of an earlier generation, as a new one
///
/// The text is checked anew, and blocked by golden tests that fail, like any other. It ends what is on trial.
#[derive(Args)]
pub struct Rollback {
    /// The generation to go back to, as `ringtree history` lists it
    generation: u64,
    /// Only if this is the domain's present generation, so that nobody else's change is lost
    #[arg(long, value_name = "GEN")]
    if_generation: Option<u64>,
    #[command(flatten)]
    common: Common,
}

impl Rollback {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let path = self.common.path("rollback")?;
        let mut ask = Ask::new(Method::POST, &path).json(&json!({ "generation": self.generation }));
        ask.if_generation = self.if_generation;
        change::done(&self.common.daemon.answer(ask)?, self.common.json)?;
        Ok(Exit::Done)
    }
}

/// Keep the generation that is on trial
///
/// After `apply --confirm-within` or `apply --until`: it is not taken back any more. Exit 1 where nothing is on trial.
#[derive(Args)]
pub struct Confirm {
    #[command(flatten)]
    common: Common,
}

impl Confirm {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let path = self.common.path("confirm")?;
        let answer = parse(&self.common.daemon.ask(Ask::new(Method::POST, &path))?)?;
        if self.common.json {
            out::json(&answer);
        } else {
            let trial = answer.get("confirmed").cloned().unwrap_or_default();
            out::line(&format!("generation {} stays", number(&trial, "generation")));
        }
        Ok(Exit::Done)
    }
}

/// Show how files differ from the rules that run, line by line
///
/// Lines with `-` are in the daemon, those with `+` in the files. Secrets are masked. Exit 0 where nothing differs, 1 where something
/// does. What a difference would mean for calls, `ringtree plan` says.
#[derive(Args)]
pub struct Diff {
    /// The directory with the rules
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Diff {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let mut all = Vec::new();
        for dir in directory::domains(&self.dir).map_err(Failure::input)? {
            let (domain, files) = rules_of(&dir)?;
            let path = format!("/v1/domains/{}/rules/diff", segment(&domain));
            let mut answer = parse(&self.daemon.ask(Ask::new(Method::POST, &path).json(&files.0))?)?;
            if let Value::Object(answer) = &mut answer {
                answer.insert("domain".into(), json!(domain));
            }
            all.push(answer);
        }
        let files =
            || all.iter().flat_map(|d| d.get("files").and_then(Value::as_array).into_iter().flatten());
        if self.json {
            out::json(&all);
        } else {
            files().for_each(|file| out::text(text(file, "diff")));
        }
        Ok(if files().next().is_some() { Exit::No } else { Exit::Done })
    }
}

/// Say who wrote each line of an object, and when
///
/// OBJECT is user:NAME, device:NAME, number:+E164, list:NAME, time_frame:NAME and so on, or rule:USER/NAME for one rule. Lines older
/// than the generations that are kept have no generation.
#[derive(Args)]
pub struct Blame {
    /// The object, such as user:osei or 'rule:osei/Clinic hours'
    object: String,
    #[command(flatten)]
    common: Common,
}

impl Blame {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let blamed =
            self.common.daemon.get(&self.common.path(&format!("blame/{}", segment(&self.object)))?)?;
        if self.common.json {
            out::json(&blamed);
            return Ok(Exit::Done);
        }
        let row = |l: &Value| {
            let generation = number(l, "generation");
            vec![generation, text(l, "applied").into(), text(l, "by").into(), text(l, "line").into()]
        };
        let lines = blamed.get("lines").and_then(Value::as_array);
        let rows: Vec<_> = lines.into_iter().flatten().map(row).collect();
        out::text(&out::table(&["GENERATION", "APPLIED", "BY", "LINE"], &rows));
        Ok(Exit::Done)
    }
}

fn number(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_u64).map_or_else(|| "older".to_owned(), |n| n.to_string())
}
