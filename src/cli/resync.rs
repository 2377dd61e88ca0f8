//! `ringtree mailbox resync`: phones are told again what waits.

use super::check_sync::show;
use super::daemon::{Daemon, parse};
use super::object::Object;
use super::{Exit, Failure};
use crate::admin::client::{Ask, segment};
use clap::{Args, Subcommand};
use hyper::Method;

/// What can be done with mailboxes.
#[derive(Subcommand)]
pub enum WithMessages {
    #[command(flatten)]
    Object(Object),
    Resync(Resync),
}

impl WithMessages {
    /// `table`: the word of the kind's tables.
    pub fn carry_out(self, table: &str) -> Result<Exit, Failure> {
        match self {
            WithMessages::Object(verb) => verb.carry_out(table),
            WithMessages::Resync(verb) => verb.carry_out(),
        }
    }
}

/// Tell phones again how many messages wait in a mailbox (NOTIFY `message-summary`), and show what each contact answered
///
/// Told are whoever has subscribed to the mailbox, and every other registered phone of the user whose it is. Exit 0: every contact has
/// accepted; 1: one has not, or there is none.
#[derive(Args)]
pub struct Resync {
    /// The user whose mailbox it is, or an extension that leads to it
    name: String,
    /// The domain, if there are several
    #[arg(long)]
    domain: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Resync {
    fn carry_out(self) -> Result<Exit, Failure> {
        let domain = segment(&self.daemon.domain(self.domain.as_deref())?);
        let path = format!("/v1/domains/{domain}/mailboxes/{}/resync", segment(&self.name));
        let answer = parse(&self.daemon.ask(Ask::new(Method::POST, &path))?)?;
        show(&answer, &self.name, self.json)
    }
}
