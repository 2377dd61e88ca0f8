//! `ringtree events`.

use super::daemon::Daemon;
use super::{Exit, Failure, out};
use clap::Args;
use std::ops::ControlFlow;

/// Follow what happens: calls, registrations, rules, status
///
/// A line an event: its name and its JSON. It runs until it is interrupted, or until the daemon stops. A reader that is too slow is
/// told what it missed, and let go.
#[derive(Args)]
pub struct Events {
    /// Print one JSON object a line: {"event": ..., "data": ...}
    #[arg(long)]
    json: bool,
    /// Stop after this many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    daemon: Daemon,
}

impl Events {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let mut left = self.count;
        let mut dropped = None;
        self.daemon.follow(|event, data| {
            if event == "dropped" {
                dropped = Some(data.to_owned());
                return ControlFlow::Break(());
            }
            if self.json {
                out::line(&format!("{{\"event\":\"{event}\",\"data\":{data}}}"));
            } else {
                out::line(&format!("{event} {data}"));
            }
            left = left.map(|n| n.saturating_sub(1));
            if left == Some(0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match dropped {
            Some(notice) => Err(Failure::no(format!("too slow for the event stream: {notice}"))),
            None => Ok(Exit::Done),
        }
    }
}
