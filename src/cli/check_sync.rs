//! `ringtree device check-sync`, `ringtree user check-sync`: phones load their configuration again.

use super::daemon::{Daemon, parse, text};
use super::object::Object;
use super::{Exit, Failure, out};
use crate::admin::client::{Ask, segment};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

/// What can be done with phones, and with people who have some.
#[derive(Subcommand)]
pub enum WithPhones {
    #[command(flatten)]
    Object(Object),
    CheckSync(CheckSync),
}

impl WithPhones {
    /// `table`: the word of the kind's tables.
    pub fn carry_out(self, table: &str) -> Result<Exit, Failure> {
        match self {
            WithPhones::Object(verb) => verb.carry_out(table),
            WithPhones::CheckSync(verb) => verb.carry_out(table),
        }
    }
}

/// Have registered phones load their configuration again (NOTIFY `check-sync`), and show what each contact answered
///
/// A phone without an answer is waited for half a minute. Exit 0: every contact has accepted; 1: one has not, or none is registered.
/// Accepted means that the phone has understood; what it does then is for its own settings.
#[derive(Args)]
pub struct CheckSync {
    /// The name; a user's extension will do, and means every phone of theirs
    name: String,
    /// Ask for a restart too; without, most phones only fetch what has changed
    #[arg(long)]
    reboot: bool,
    /// The domain, if there are several
    #[arg(long)]
    domain: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl CheckSync {
    fn carry_out(self, table: &str) -> Result<Exit, Failure> {
        let domain = segment(&self.daemon.domain(self.domain.as_deref())?);
        let path = format!("/v1/domains/{domain}/{table}s/{}/check-sync", segment(&self.name));
        let body = json!({ "reboot": self.reboot });
        let answer = parse(&self.daemon.ask(Ask::new(Method::POST, &path).json(&body))?)?;
        show(&answer, &self.name, self.json)
    }
}

/// What each contact answered.
pub fn show(answer: &Value, name: &str, as_json: bool) -> Result<Exit, Failure> {
    let none = Vec::new();
    let contacts = answer.get("contacts").and_then(Value::as_array).unwrap_or(&none);
    let accepted = |contact: &Value| text(contact, "result") == "accepted";
    let exit = if !contacts.is_empty() && contacts.iter().all(accepted) { Exit::Done } else { Exit::No };
    if as_json {
        out::json(answer);
    } else if contacts.is_empty() {
        out::line(&format!("no phone of {name} is registered"));
    } else {
        let row = |contact: &Value| {
            let status = contact.get("status").and_then(Value::as_u64).map(|status| status.to_string());
            vec![
                text(contact, "device").to_owned(),
                text(contact, "contact").to_owned(),
                text(contact, "result").replace('_', " "),
                status.unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = contacts.iter().map(row).collect();
        out::text(&out::table(&["DEVICE", "CONTACT", "RESULT", "STATUS"], &rows));
    }
    Ok(exit)
}
