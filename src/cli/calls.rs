//! `ringtree calls`: the calls that are up, or the records of those that were.

use super::daemon::{Daemon, text};
use super::{Exit, Failure, out};
use clap::Args;
use serde_json::Value;

/// List the calls that are up
///
/// With --records, the newest calls that are over. `ringtree explain ID` says why a call went as it did.
#[derive(Args)]
pub struct Calls {
    /// List this many of the newest calls that are over instead
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20")]
    records: Option<u32>,
    /// Print JSON: the call records
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Calls {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let path = self.records.map_or_else(|| "/v1/calls".to_owned(), |n| format!("/v1/records?limit={n}"));
        let calls = self.daemon.get(&path)?;
        if self.json {
            out::json(&calls);
            return Ok(Exit::Done);
        }
        let rows: Vec<_> = calls.as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            out::line(if self.records.is_some() { "no call has been yet" } else { "no call is up" });
        } else {
            out::text(&out::table(&["ID", "START", "FROM", "TO", "OUTCOME", "ANSWERED BY"], &rows));
        }
        Ok(Exit::Done)
    }
}

fn row(call: &Value) -> Vec<String> {
    let from = call.get("from").map_or("", |f| text(f, "raw"));
    let by = call.get("answered_by").map_or("", |a| text(a, "device"));
    let outcome = match text(call, "outcome") {
        "" => "up",
        outcome => outcome,
    };
    [text(call, "id"), text(call, "start"), from, text(call, "to"), outcome, by].map(str::to_owned).to_vec()
}
