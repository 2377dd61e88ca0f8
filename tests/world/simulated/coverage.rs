//! Which states the machines were in, and what drove them, how often: a simulator that never came somewhere has shown nothing about it.

use ringtree::call::census::Phase;
use ringtree::switch::{Census, Input};
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Clone, Debug, Default)]
pub struct Coverage {
    transactions: [u64; 14],
    phases: [u64; Phase::ALL.len()],
    branches: [u64; 7],
    /// Kinds of inputs, actions and events.
    pub kinds: BTreeMap<&'static str, u64>,
    /// What was sent to the switch, and what it sent: methods and statuses.
    pub heard: BTreeMap<String, u64>,
    pub sent: BTreeMap<String, u64>,
    pub outcomes: BTreeMap<String, u64>,
}

/// Not to be missed by a whole run: kinds of inputs, events and incidents.
const KINDS: &[&str] = &[
    "input packet",
    "input flow failed",
    "input rules",
    "input status",
    "input restore",
    "input trunk resolved",
    "input ports opened",
    "input relay closed",
    "input audio",
    "input key pressed",
    "input played",
    "input hangup",
    "input drain",
    "input timeout",
    "restart",
    "ports exhausted",
    "relay succeeded",
    "recording",
    "conference joined",
    "emergency",
    "partition",
    "lost",
    "repeated",
    "silence",
    "drained",
];
/// States that nobody is in after a step: nothing is answered provisionally but an INVITE, and decisions take no time.
const PASSING: &[&str] = &["server proceeding", "call TransferDeciding"];
const HEARD: &[&str] = &[
    "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "PRACK", "UPDATE", "INFO", "REFER", "OPTIONS", "100",
    "180", "183", "200", "302", "404", "408", "480", "481", "486", "487", "488", "491", "500", "503", "603",
];
const SENT: &[&str] = &[
    "INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "NOTIFY", "OPTIONS", "100", "180", "181", "183",
    "200", "202", "400", "404", "480", "481", "482", "486", "487", "488", "491", "500", "503", "603",
];
const OUTCOMES: &[&str] =
    &["answered", "busy", "no_answer", "declined", "offline", "caller_gone", "failed", "rejected", "system"];

impl Coverage {
    pub fn kind(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    pub fn count(of: &mut BTreeMap<String, u64>, what: &str) {
        match of.get_mut(what) {
            Some(count) => *count += 1,
            None => _ = of.insert(what.to_owned(), 1),
        }
    }

    /// A look at what the core holds after a step.
    pub fn look(&mut self, census: &Census<'_>) {
        for (seen, (_, count)) in self.transactions.iter_mut().zip(census.transactions.named()) {
            *seen += u64::from(count > 0);
        }
        for call in &census.calls {
            let at = Phase::ALL.iter().position(|phase| *phase == call.phase).unwrap_or(0);
            self.phases[at] += 1;
            for (seen, (_, count)) in self.branches.iter_mut().zip(call.branches.named()) {
                *seen += u64::from(count > 0);
            }
        }
    }

    pub fn add(&mut self, other: &Coverage) {
        let sum = |mine: &mut [u64], theirs: &[u64]| mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        sum(&mut self.transactions, &other.transactions);
        sum(&mut self.phases, &other.phases);
        sum(&mut self.branches, &other.branches);
        other.kinds.iter().for_each(|(kind, count)| *self.kinds.entry(kind).or_default() += count);
        for (mine, theirs) in [
            (&mut self.heard, &other.heard),
            (&mut self.sent, &other.sent),
            (&mut self.outcomes, &other.outcomes),
        ] {
            theirs.iter().for_each(|(what, count)| *mine.entry(what.clone()).or_default() += count);
        }
    }

    fn machines(&self) -> Vec<(String, u64)> {
        let transactions = ringtree::transaction::census::States::default().named();
        let branches = ringtree::call::census::Branches::default().named();
        let named = |names: Vec<&'static str>, counts: &[u64]| {
            names.into_iter().map(str::to_owned).zip(counts.iter().copied()).collect::<Vec<_>>()
        };
        let mut all = named(transactions.iter().map(|(name, _)| *name).collect(), &self.transactions);
        all.extend(named(branches.iter().map(|(name, _)| *name).collect(), &self.branches));
        let phases = Phase::ALL.iter().map(|phase| format!("call {phase:?}")).zip(self.phases);
        all.extend(phases);
        all
    }

    /// What ought to have been seen, and wasn't.
    pub fn missing(&self) -> Vec<String> {
        let unseen = |(name, count): &(String, u64)| *count == 0 && !PASSING.contains(&name.as_str());
        let mut missing: Vec<String> =
            self.machines().into_iter().filter(unseen).map(|(name, _)| name).collect();
        missing.extend(
            KINDS.iter().filter(|kind| !self.kinds.contains_key(*kind)).map(|kind| (*kind).to_owned()),
        );
        for (what, list, seen) in
            [("heard", HEARD, &self.heard), ("sent", SENT, &self.sent), ("outcome", OUTCOMES, &self.outcomes)]
        {
            missing.extend(
                list.iter().filter(|name| !seen.contains_key(**name)).map(|name| format!("{what} {name}")),
            );
        }
        missing
    }

    pub fn report(&self) -> String {
        let mut text = String::new();
        let mut line = |title: &str, of: Vec<(String, u64)>| {
            let _ = write!(text, "{title}:");
            for (name, count) in of {
                let _ = write!(text, "  {name} {count}");
            }
            text += "\n";
        };
        line("states, by steps in which somebody was in them", self.machines());
        line(
            "inputs and incidents",
            self.kinds.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        );
        let all =
            |of: &BTreeMap<String, u64>| of.iter().map(|(name, count)| (name.clone(), *count)).collect();
        line("heard", all(&self.heard));
        line("sent", all(&self.sent));
        line("outcomes", all(&self.outcomes));
        text
    }
}

/// What kind of input it is.
pub fn kind(input: &Input) -> &'static str {
    use ringtree::relay::Report as Media;
    use ringtree::voice::Report as Voice;
    match input {
        Input::Packet { .. } => "input packet",
        Input::FlowFailed { .. } => "input flow failed",
        Input::Rules(_) => "input rules",
        Input::Status { .. } => "input status",
        Input::Restore(_) => "input restore",
        Input::TrunkResolved { .. } => "input trunk resolved",
        Input::Media(Media::Opened { .. }) => "input ports opened",
        Input::Media(Media::Closed { .. }) => "input relay closed",
        Input::Media(Media::Audio { .. }) => "input audio",
        Input::Voice(Voice::Digit { .. }) => "input key pressed",
        Input::Voice(Voice::Played { .. }) => "input played",
        Input::Voice(_) => "input voice",
        Input::Hangup { .. } => "input hangup",
        Input::Drain => "input drain",
        Input::Timeout => "input timeout",
        _ => "input other",
    }
}
