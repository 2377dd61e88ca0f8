//! `ringtree apply`: rules from files to the daemon, as one generation.

use super::daemon::{self, Daemon, text};
use super::{Exit, Failure, out};
use crate::admin::client::{Ask, segment};
use crate::daemon::directory;
use clap::Args;
use hyper::{Method, StatusCode};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Replace a domain's rules by those of a directory, as one generation
///
/// Everything is checked first, golden tests included; a mistake leaves the running rules as they are and prints every diagnostic.
/// The answer comes when the rules are on the disk and live. `plain:***` keeps the secret that the daemon has at that key. A
/// directory with one domain a child applies each; a domain that the daemon does not know yet is added.
#[derive(Args)]
pub struct Apply {
    /// The directory with the rules
    dir: PathBuf,
    /// Only if this is the domain's present generation (`export` shows it), so that nobody else's change is lost
    #[arg(long, value_name = "GEN")]
    if_generation: Option<u64>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Apply {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        for dir in directory::domains(&self.dir).map_err(Failure::input)? {
            self.one(&dir)?;
        }
        Ok(Exit::Done)
    }

    fn one(&self, dir: &Path) -> Result<(), Failure> {
        let files = directory::read(dir).map_err(Failure::input)?;
        let domain = directory::domain_name(&files).ok_or_else(|| {
            Failure::input(format!(
                "{} names no domain; `ringtree check {0}` says what is wrong",
                dir.display()
            ))
        })?;
        let path = format!("/v1/domains/{}/rules/apply", segment(&domain));
        let mut ask = Ask::new(Method::POST, &path).json(&files.0);
        ask.if_generation = self.if_generation;
        let answer = self.daemon.answer(ask)?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if !answer.status.is_success() {
            if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
                explain_refusal(&body);
            }
            return Err(daemon::failure(&answer));
        }
        if self.json {
            out::json(&body);
            return Ok(());
        }
        for warning in body.get("warnings").and_then(Value::as_array).into_iter().flatten() {
            eprintln!("warning: {}", warning.as_str().unwrap_or_default());
        }
        let generation = body.get("generation").and_then(Value::as_u64).unwrap_or_default();
        if body.get("changed").and_then(Value::as_bool) == Some(false) {
            out::line(&format!(
                "{domain}: generation {generation} is these rules already; nothing was written"
            ));
        } else {
            out::line(&format!("{domain}: generation {generation} is live"));
        }
        Ok(())
    }
}

/// Diagnostics as the daemon rendered them, and golden tests that failed.
pub(super) fn explain_refusal(body: &Value) {
    eprint!("{}", text(body, "rendered"));
    let failures = body.get("expectations").and_then(|e| e.get("failures")).and_then(Value::as_array);
    for failure in failures.into_iter().flatten() {
        eprintln!(
            "{}: golden test `{}`: {}",
            text(failure, "at"),
            text(failure, "name"),
            text(failure, "message")
        );
    }
}
