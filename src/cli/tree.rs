//! `ringtree tree`.

use super::daemon::Daemon;
use super::offline::Offline;
use super::{Exit, Failure, out};
use crate::admin::client::segment;
use crate::admin::figure::Figure;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Show the compiled decision tree of an extension or number
///
/// Every question in the order in which it is asked, every leaf, and where each comes from. `--format svg` draws it, `--format
/// dot` is for Graphviz.
#[derive(Args)]
pub struct Tree {
    /// The extension or number
    ext: String,
    /// How to show it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The rules of this directory instead of the daemon's
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// The domain, if there are several
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Dot,
    Json,
    Svg,
}

impl Tree {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let figure = match &self.rules {
            Some(dir) => {
                let domain = Offline::one(dir, self.domain.as_deref())?;
                let missing = || Failure::no(format!("{} has no tree for `{}`", domain.name(), self.ext));
                Figure::of(&domain, &self.ext).ok_or_else(missing)?
            }
            None => {
                let domain = self.daemon.domain(self.domain.as_deref())?;
                let found = self.daemon.get(&format!(
                    "/v1/domains/{}/trees/{}",
                    segment(&domain),
                    segment(&self.ext)
                ))?;
                serde_json::from_value(found)
                    .map_err(|e| Failure::fault(format!("the tree can't be read: {e}")))?
            }
        };
        match if self.json { Format::Json } else { self.format } {
            Format::Text => out::text(&figure.text()),
            Format::Dot => out::text(&figure.dot()),
            Format::Svg => out::text(&figure.svg()),
            Format::Json => out::json(&figure),
        }
        Ok(Exit::Done)
    }
}
