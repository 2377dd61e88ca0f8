//! `ringtree fmt`: rule files in their canonical layout.

use super::{Exit, Failure, out};
use crate::daemon::config::Config;
use crate::daemon::directory;
use crate::rules::diagnostic::{Diagnostic, Severity, render};
use crate::rules::edit::difference::unified;
use crate::rules::edit::layout::{self, LayoutError};
use crate::rules::source;
use clap::Args;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Bring rule files into their canonical layout
///
/// Keys in the order of the language page, the parts of one object together, one space around `=`, two before a comment at the end of
/// a line, one blank line between tables. Comments, the order of objects, rules and list entries, and everything that the rules mean
/// stay as they are; a second run changes nothing. Needs no daemon. Files that are no TOML are refused with the place, and then nothing
/// is written at all. Exit 0 done, 1 with --check where a file would change, 2 where one is broken.
///
/// Example: ringtree fmt --check routing-rules/harbour-dental
#[derive(Args)]
pub struct Fmt {
    /// A directory with a domain.toml, or one whose children have one; default: what `[rules] load` names
    dir: Option<PathBuf>,
    /// Write nothing; show what would change, and exit 1 if anything would
    #[arg(long)]
    check: bool,
    /// Print JSON: {"changed": ["users/101-osei.toml", ...]}
    #[arg(long)]
    json: bool,
}

/// A file that is not as it should be.
struct Changed {
    dir: PathBuf,
    name: String,
    before: String,
    after: String,
}

impl Fmt {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let load = match &self.dir {
            Some(dir) => vec![dir.clone()],
            None => Config::find(None).map_err(Failure::input)?.load,
        };
        let mut changed = Vec::new();
        for dir in load {
            for dir in directory::domains(&dir).map_err(Failure::input)? {
                changed.extend(of_directory(&dir)?);
            }
        }
        if !self.check {
            for Changed { dir, name, after, .. } in &changed {
                directory::write(dir, name, after).map_err(Failure::input)?;
            }
        }
        if self.json {
            let names: Vec<_> = changed.iter().map(Changed::shown).collect();
            out::json(&json!({ "changed": names }));
        } else {
            for file in &changed {
                let name = file.shown();
                match self.check {
                    true => out::text(&unified(&name, &file.before, &name, &file.after)),
                    false => out::line(&name),
                }
            }
        }
        Ok(if self.check && !changed.is_empty() { Exit::No } else { Exit::Done })
    }
}

impl Changed {
    fn shown(&self) -> String {
        self.dir.join(&self.name).display().to_string()
    }
}

fn of_directory(dir: &Path) -> Result<Vec<Changed>, Failure> {
    let files = directory::read(dir).map_err(Failure::input)?;
    let mut changed = Vec::new();
    let mut broken = Vec::new();
    for (name, text) in files.0.iter().filter(|(name, _)| name.ends_with(".toml")) {
        match layout::format(text) {
            Ok(after) if after == **text => {}
            Ok(after) => changed.push(Changed {
                dir: dir.to_owned(),
                name: name.to_string(),
                before: text.to_string(),
                after,
            }),
            Err(LayoutError::Syntax(_)) => broken.push(name.clone()),
            Err(error @ LayoutError::Meaning) => {
                return Err(Failure::fault(format!(
                    "{} is left as it is: {error}",
                    dir.join(&**name).display()
                )));
            }
        }
    }
    if broken.is_empty() {
        return Ok(changed);
    }
    let is_in_broken = |d: &Diagnostic| {
        d.severity == Severity::Error
            && files.file(d.span.file).is_some_and(|(name, _)| broken.contains(name))
    };
    let found: Vec<_> = source::load(&files).diagnostics.into_iter().filter(is_in_broken).collect();
    eprint!("{}", render(&files, &found, std::io::stderr().is_terminal()));
    let names: Vec<&str> = broken.iter().map(|name| &**name).collect();
    Err(Failure::input(format!("{}: {} can't be read; nothing was written", dir.display(), names.join(", "))))
}
