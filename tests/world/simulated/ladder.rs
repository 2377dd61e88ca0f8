//! What happened in a run, as a ladder: a line a message, with when it arrived, if it did.

use super::agent::Agent;
use super::wire::Heard;
use ringtree::switch::Input;
use std::fmt::Write as _;

/// Lines that are printed of a failure; the whole goes into a file.
const SHOWN: usize = 120;

#[derive(Default)]
pub struct Ladder {
    pub lines: Vec<String>,
}

impl Ladder {
    fn line(&mut self, now: u64, text: &str) {
        self.lines.push(format!("{:>9.3}  {text}", now as f64 / 1_000.0));
    }

    pub fn note(&mut self, now: u64, what: String) {
        self.line(now, &what);
    }

    pub fn input(&mut self, now: u64, input: &Input) {
        match input {
            Input::Packet { .. } | Input::Timeout => {}
            Input::Rules(_) => self.line(now, "input: Rules"),
            other => self.line(now, &format!("input: {other:?}")),
        }
    }

    pub fn message(&mut self, now: u64, agent: &Agent, text: &str, to_switch: bool, delays: &[u64]) {
        let what = match Heard::read(text) {
            Some(heard) if heard.status > 0 => format!("{} {} ({})", heard.status, heard.about, heard.cseq),
            Some(heard) => format!("{} {} ({})", heard.method, heard.uri, heard.cseq),
            None => "what can't be read".to_owned(),
        };
        let named = Heard::read(text).map(|heard| {
            let session = if heard.body.is_empty() { "" } else { " +sdp" };
            format!(
                "{session}  {} {} from {} to {}",
                heard.call_id,
                heard.branch(),
                heard.senders_tag(),
                heard.to_tag()
            )
        });
        let who = format!("{} {}", agent.name, agent.host);
        let arrow = if to_switch {
            format!("{who:<22} ── {what} ──▶")
        } else {
            format!("{who:<22} ◀── {what} ──")
        };
        let mut fate = String::new();
        match delays {
            [] => fate += "  LOST",
            [0] => {}
            some => _ = write!(fate, "  arrives after {some:?} ms"),
        }
        self.line(now, &format!("{arrow}{fate}{}", named.unwrap_or_default()));
    }

    /// The end of it, as it is printed.
    pub fn end(&self) -> String {
        let from = self.lines.len().saturating_sub(SHOWN);
        self.lines[from..].join("\n")
    }
}
