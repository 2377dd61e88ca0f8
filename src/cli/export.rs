//! `ringtree export`: what runs, as files.

use super::daemon::{Daemon, parse};
use super::{Exit, Failure, out};
use crate::admin::client::{Ask, segment};
use crate::daemon::directory::{self, DirectoryError};
use clap::Args;
use hyper::Method;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Write the rules that are live into a directory
///
/// The text is the one that was applied, comments and all. Literal secrets are written as `plain:***`, which `apply` reads as "keep
/// the one you have". A directory that has rules in it already is left alone, unless --force says that its files may be replaced.
#[derive(Args)]
pub struct Export {
    /// The directory to write into; it is made if need be
    dir: PathBuf,
    /// The domain, if there are several
    #[arg(long)]
    domain: Option<String>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Print the files as a JSON map instead of writing them
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Export {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let domain = self.daemon.domain(self.domain.as_deref())?;
        let path = format!("/v1/domains/{}/rules/export", segment(&domain));
        let answer = self.daemon.ask(Ask::new(Method::GET, &path))?;
        if self.json {
            out::json(&parse(&answer)?);
            return Ok(Exit::Done);
        }
        let files: BTreeMap<String, String> = serde_json::from_slice(&answer.body)
            .map_err(|e| Failure::fault(format!("the export can't be read: {e}")))?;
        self.is_free(&files)?;
        for (name, text) in &files {
            directory::write(&self.dir, name, text).map_err(Failure::input)?;
        }
        let generation = answer.generation.unwrap_or_default();
        let (count, dir) = (files.len(), self.dir.display());
        out::line(&format!("{domain}: generation {generation}, {count} files in {dir}"));
        Ok(Exit::Done)
    }

    /// Nothing is there that would be lost, or that would be applied along with the export.
    fn is_free(&self, files: &BTreeMap<String, String>) -> Result<(), Failure> {
        let there = match directory::read(&self.dir) {
            Ok(there) => there,
            Err(DirectoryError::Read { .. }) if !self.dir.exists() => return Ok(()),
            Err(error) => return Err(Failure::input(error)),
        };
        if let Some(other) = there.0.keys().find(|name| !files.contains_key(&***name)) {
            let dir = self.dir.display();
            return Err(Failure::input(format!(
                "{dir} holds {other}, which is not part of the rules; export into another directory"
            )));
        }
        match there.0.keys().next() {
            Some(name) if !self.force => {
                let dir = self.dir.display();
                Err(Failure::input(format!("{dir} holds {name} already; --force replaces what is there")))
            }
            _ => Ok(()),
        }
    }
}
