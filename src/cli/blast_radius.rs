//! `ringtree blast-radius`.

use super::daemon::Daemon;
use super::{Exit, Failure, out, rules_dir};
use crate::admin::client::segment;
use crate::net::clock;
use crate::rules::reach::Object;
use crate::rules::reach::blast::{Blast, blast_radius};
use clap::Args;
use std::path::PathBuf;

/// Say what breaks or changes without an object
///
/// Who refers to it, which calls would go otherwise (the rules are compiled without it, and both are tried), and which golden tests
/// would fail. Exit 1 when the domain has no such object.
///
/// Example: ringtree blast-radius trunk:carrier --rules routing-rules/harbour-dental
#[derive(Args)]
pub struct BlastRadius {
    /// The object: trunk:x, user:x, list:x, time_frame:x, device:x, number:+1..., hunt:x, route:1 ...
    object: String,
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

impl BlastRadius {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let wrong = || {
            Failure::input(format!(
                "`{}` is no object: write `kind:name`, as in `trunk:carrier`",
                self.object
            ))
        };
        let object = Object::parse(&self.object).ok_or_else(wrong)?;
        let blast: Blast = match &self.rules {
            Some(dir) => {
                let (model, domain) = rules_dir::read(dir, self.domain.as_deref())?;
                let missing = || Failure::no(format!("{} has no `{object}`", domain.name()));
                blast_radius(&model, &domain, &object, clock::now().wall).ok_or_else(missing)?
            }
            None => {
                let domain = self.daemon.domain(self.domain.as_deref())?;
                let path =
                    format!("/v1/domains/{}/blast-radius/{}", segment(&domain), segment(&object.to_string()));
                serde_json::from_value(self.daemon.get(&path)?)
                    .map_err(|e| Failure::fault(format!("the answer can't be read: {e}")))?
            }
        };
        if self.json {
            out::json(&blast);
        } else {
            out::text(&blast.text());
        }
        Ok(Exit::Done)
    }
}
