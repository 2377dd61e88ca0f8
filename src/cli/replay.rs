//! `ringtree replay`: recorded calls against other rules.

use super::daemon::Daemon;
use super::{Exit, Failure, out, plan};
use crate::admin::client::segment;
use crate::admin::plan::Replay as Replayed;
use crate::daemon::directory;
use crate::rules::replay::text;
use clap::Args;
use jiff::Timestamp;
use std::path::PathBuf;

/// List the recorded calls that would go elsewhere by the rules of a directory
///
/// Each recorded call is decided again by the rules that are live and by those of the directory, at its own time, its legs ending as
/// they ended. Those that come to something else are listed, with the tags of both from the first difference on. What the record
/// doesn't tell (a phone that nobody rang then) is taken to be registered and to answer. Exit 1 when there are any.
#[derive(Args)]
pub struct Replay {
    /// The directory with the new rules
    dir: PathBuf,
    /// Only calls that began at or after this moment, as RFC 3339; default: the newest 10,000
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Replay {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let mut exit = Exit::Done;
        let since = self.since.map(|since| format!("?since={since}")).unwrap_or_default();
        for dir in directory::domains(&self.dir).map_err(Failure::input)? {
            let replayed: Replayed = plan::ask(&self.daemon, &dir, |domain| {
                format!("/v1/domains/{}/rules/replay{since}", segment(domain))
            })?;
            if self.json {
                out::json(&replayed);
            } else {
                out::text(&text(&replayed.calls));
                let recorded = &replayed.recorded;
                out::line(&format!(
                    "{}: {} of {} recorded calls would go elsewhere",
                    replayed.domain, recorded.elsewhere, recorded.calls
                ));
            }
            if replayed.recorded.elsewhere > 0 {
                exit = Exit::No;
            }
        }
        Ok(exit)
    }
}
