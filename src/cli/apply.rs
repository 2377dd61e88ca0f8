//! `ringtree apply`: rules from files to the daemon, as one generation.

use super::change;
use super::daemon::Daemon;
use super::{Exit, Failure};
use crate::admin::client::{Ask, segment};
use crate::daemon::directory;
use crate::rules::diagnostic::Files;
use clap::Args;
use hyper::Method;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Replace a domain's rules by those of a directory, as one generation
///
/// Everything is checked first, golden tests included; a mistake leaves the running rules as they are and is shown with its line.
/// The answer comes when the rules are on the disk and live. `plain:***` keeps the secret that the daemon has at that key. A
/// directory with one domain a child applies each; a domain that the daemon does not know yet is added.
///
/// With --confirm-within or --until the generation is on trial: the daemon takes it back by itself, over a restart too, by giving the
/// files that it changed their earlier text. Until then other files can be edited; the same files can't, and there is one trial a
/// domain at a time. `ringtree confirm` keeps what is on trial, `ringtree rollback GEN` ends it at once.
#[derive(Args)]
pub struct Apply {
    /// The directory with the rules
    dir: PathBuf,
    /// Take it back after this long (10m, 90s, 1h30m) unless `ringtree confirm` comes before
    #[arg(long, value_name = "TIME", conflicts_with = "until")]
    confirm_within: Option<String>,
    /// Take it back then: `18:00` is its next occurrence in the domain's zone; or RFC 3339
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
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
        let (domain, files) = rules_of(dir)?;
        let query = match (&self.confirm_within, &self.until) {
            (Some(within), _) => format!("?confirm-within={}", segment(within)),
            (None, Some(until)) => format!("?until={}", segment(until)),
            (None, None) => String::new(),
        };
        let path = format!("/v1/domains/{}/rules/apply{query}", segment(&domain));
        let mut ask = Ask::new(Method::POST, &path).json(&files.0);
        ask.if_generation = self.if_generation;
        change::done(&self.daemon.answer(ask)?, self.json)
    }
}

/// The files of a directory, and the domain that they say they are.
pub fn rules_of(dir: &Path) -> Result<(Arc<str>, Files), Failure> {
    let files = directory::read(dir).map_err(Failure::input)?;
    let domain = directory::domain_name(&files).ok_or_else(|| {
        Failure::input(format!("{} names no domain; `ringtree check {0}` says what is wrong", dir.display()))
    })?;
    Ok((domain, files))
}
