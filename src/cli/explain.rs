//! `ringtree explain`.

use super::daemon::Daemon;
use super::{Exit, Failure, explanation, out};
use crate::admin::client::segment;
use clap::Args;

/// Say why a call went as it did
///
/// For a call that is up or over: every step with the rule's file and line, why it applied, and why each alternative was passed
/// over. `ringtree route` says the same of a call that never was.
#[derive(Args)]
pub struct Explain {
    /// The call's id, as `ringtree calls --records` shows it, or its Call-ID
    call: String,
    /// Print JSON, in the shape of `route --json`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Explain {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let found = self.daemon.get(&format!("/v1/calls/{}/explanation", segment(&self.call)))?;
        if self.json {
            out::json(&found);
        } else {
            let found = serde_json::from_value(found)
                .map_err(|e| Failure::fault(format!("the explanation can't be read: {e}")))?;
            out::text(&explanation::render(&found));
        }
        Ok(Exit::Done)
    }
}
