//! `ringtree who-reaches`.

use super::daemon::Daemon;
use super::{Exit, Failure, out, rules_dir};
use crate::admin::client::segment;
use crate::rules::reach::Graph;
use crate::rules::reach::who::{Reach, who_reaches};
use clap::Args;
use std::path::PathBuf;

/// Say what rings an extension, and by which path
///
/// Backwards from an extension, a number or an object such as queue:support: numbers, forwards and ring lists of users, hunts, queues,
/// attendants, dial rules; each with its file and line and the condition under which it counts. A user in a ring list is only rung:
/// behind that the path ends. Exit 1 when the domain has no such thing.
#[derive(Args)]
pub struct WhoReaches {
    /// The extension, number or object
    ext: String,
    /// The rules of this directory instead of the daemon's
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// The domain, if there are several
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl WhoReaches {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let reach: Reach = match &self.rules {
            Some(dir) => {
                let (model, domain) = rules_dir::read(dir, self.domain.as_deref())?;
                let missing = || Failure::no(format!("{} has no `{}`", domain.name(), self.ext));
                who_reaches(&model, &Graph::of(&model), &self.ext).ok_or_else(missing)?
            }
            None => {
                let domain = self.daemon.domain(self.domain.as_deref())?;
                let path = format!("/v1/domains/{}/who-reaches/{}", segment(&domain), segment(&self.ext));
                serde_json::from_value(self.daemon.get(&path)?)
                    .map_err(|e| Failure::fault(format!("the answer can't be read: {e}")))?
            }
        };
        if self.json {
            out::json(&reach);
        } else {
            out::text(&reach.text());
        }
        Ok(Exit::Done)
    }
}
