//! `ringtree hangup`.

use super::daemon::{Daemon, parse, text};
use super::{Exit, Failure, out};
use crate::admin::client::{Ask, segment};
use clap::Args;
use hyper::Method;

/// End a call that is up
#[derive(Args)]
pub struct Hangup {
    /// The call's id, as `ringtree calls` shows it, or its Call-ID
    id: String,
    /// Print the call's record as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Hangup {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let path = format!("/v1/calls/{}", segment(&self.id));
        let record = parse(&self.daemon.ask(Ask::new(Method::DELETE, &path))?)?;
        if self.json {
            out::json(&record);
        } else {
            out::line(&format!("{} to {} is hung up", text(&record, "id"), text(&record, "to")));
        }
        Ok(Exit::Done)
    }
}
