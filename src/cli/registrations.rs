//! `ringtree registrations`.

use super::daemon::{Daemon, text};
use super::{Exit, Failure, out};
use clap::Args;
use serde_json::Value;

/// List the phones that are registered, contact by contact
#[derive(Args)]
pub struct Registrations {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Registrations {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let registrations = self.daemon.get("/v1/registrations")?;
        if self.json {
            out::json(&registrations);
            return Ok(Exit::Done);
        }
        let row = |r: &Value| {
            ["domain", "device", "contact", "transport", "remote", "expires", "user_agent"]
                .map(|m| text(r, m).to_owned())
                .to_vec()
        };
        let rows: Vec<_> = registrations.as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            out::line("no phone is registered");
        } else {
            let head = ["DOMAIN", "DEVICE", "CONTACT", "BY", "FROM", "EXPIRES", "USER AGENT"];
            out::text(&out::table(&head, &rows));
        }
        Ok(Exit::Done)
    }
}
