//! `ringtree import`: users from a CSV file, as a preview first.

use super::rules_dir::{self, Source};
use super::{Exit, Failure, out};
use crate::daemon::directory;
use crate::rules::diagnostic::{Diagnostic, Files, Severity, render};
use crate::rules::edit::difference::unified;
use crate::rules::edit::import::{self, Imported, table};
use crate::rules::source;
use clap::Args;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Make users of the rows of a CSV file
///
/// Shows what would be written, line by line, and every cell that could not be taken, by row and column; --write then writes it. A
/// new user gets a file `users/EXT-NAME.toml` with its phones; numbers go where the other numbers are. Nothing that is there is
/// overwritten: a user whose extension is taken already gets what it lacks, and its emergency call-back and location (which is how
/// those are assigned in bulk: a file of ext, emergency_callback and emergency_location). Passwords are never read: each phone refers to
/// a file, and the report lists those to be made. Needs no daemon: check, plan and apply the directory afterwards.
///
/// Columns may stand in any order, separated by commas, semicolons or tabs; several values of a cell by `;` or `|`. Exit 0 done, 1 where
/// there is nothing to import, 2 where the file can't be read or the rules would be wrong.
///
/// Example: ringtree import --template > people.csv; ringtree import people.csv --into routing-rules/harbour-dental
#[derive(Args)]
pub struct Import {
    /// The CSV file
    #[arg(required_unless_present = "template")]
    file: Option<PathBuf>,
    /// The directory of the domain's rules
    #[arg(long, value_name = "DIR", required_unless_present = "template")]
    into: Option<PathBuf>,
    /// Print a file to begin with, and stop
    #[arg(long)]
    template: bool,
    /// Write the files
    #[arg(long)]
    write: bool,
    /// The file is in Latin-1 (ISO 8859-1), not UTF-8
    #[arg(long)]
    latin1: bool,
    /// Print JSON: files with their differences, losses, secrets to be made
    #[arg(long)]
    json: bool,
}

impl Import {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let (false, Some(file), Some(into)) = (self.template, &self.file, &self.into) else {
            out::text(&table::template());
            return Ok(Exit::Done);
        };
        let Source { dir: into, model } = rules_dir::source(into, None)?;
        let before = &*model.files;
        let table = table::read(&bytes(file)?, self.latin1)
            .map_err(|why| Failure::input(format!("{}: {why}", file.display())))?;
        let mut imported = import::import(&model, table).map_err(Failure::input)?;
        imported.files = import::laid_out(before, &imported.files);
        let wrong = errors(&imported.files);
        if self.write && wrong.is_empty() {
            for (name, text) in changed(before, &imported.files) {
                directory::write(&into, name, text).map_err(Failure::input)?;
            }
        }
        self.report(before, &imported, &into);
        if !wrong.is_empty() {
            eprint!("{}", render(&imported.files, &wrong, std::io::stderr().is_terminal()));
            return Err(Failure::input("the rules would be wrong; nothing was written"));
        }
        Ok(if imported.made.is_empty() && imported.changed.is_empty() { Exit::No } else { Exit::Done })
    }

    fn report(&self, before: &Files, imported: &Imported, into: &Path) {
        let Imported { files, made, changed: users, secrets, losses } = imported;
        let missing: Vec<&String> = secrets.iter().filter(|secret| !into.join(secret).exists()).collect();
        let diffs = changed(before, files).map(|(name, text)| {
            let old = before.0.get(name).map(|t| t.to_string());
            let from = if old.is_some() { name } else { "/dev/null" };
            (name, unified(from, &old.unwrap_or_default(), name, text))
        });
        if self.json {
            let diffs: Vec<Value> = diffs.map(|(file, diff)| json!({ "file": file, "diff": diff })).collect();
            out::json(
                &json!({ "written": self.write, "files": diffs, "made": made, "changed": users, "secrets": missing,
                "losses": losses }),
            );
            return;
        }
        if !self.write {
            diffs.for_each(|(_, diff)| out::text(&diff));
        }
        for loss in losses {
            let value = if loss.value.is_empty() { String::new() } else { format!(" `{}`", loss.value) };
            out::line(&format!("row {}, {}{value}: {}", loss.row, loss.column, loss.why));
        }
        for secret in &missing {
            out::line(&format!(
                "to be made: {} with the phone's password on its first line",
                into.join(secret).display()
            ));
        }
        let done = if self.write { "written" } else { "nothing is written yet: --write does it" };
        let (new, more, lost) = (made.len(), users.len(), losses.len());
        let some = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        out::line(&format!(
            "{}, {more} with something added, {} not taken; {done}",
            some(new, "new user", "new users"),
            some(lost, "cell or column", "cells or columns"),
        ));
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |e: std::io::Error| Failure::input(format!("{}: {e}", file.display()));
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > table::BYTES_MAX as u64 {
        return Err(Failure::input(format!(
            "{} has {size} bytes, more than {}",
            file.display(),
            table::BYTES_MAX
        )));
    }
    std::fs::read(file).map_err(unreadable)
}

fn changed<'f>(before: &'f Files, after: &'f Files) -> impl Iterator<Item = (&'f str, &'f str)> {
    after
        .0
        .iter()
        .filter(|(name, text)| before.0.get(*name) != Some(*text))
        .map(|(name, text)| (&**name, &**text))
}

fn errors(files: &Files) -> Vec<Diagnostic> {
    source::load(files).diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect()
}
