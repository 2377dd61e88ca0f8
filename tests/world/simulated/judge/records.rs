//! What the record of a call says, held against what was seen.

use super::{Invariant, Judge, Leg, Verdict, violated};
use ringtree::call::record::CallRecord;
use std::net::SocketAddr;

impl Judge {
    /// A call's record has come.
    pub fn record(&mut self, record: &CallRecord) -> Verdict {
        let id = &record.id;
        self.records += 1;
        let lies = |what: String| violated(Invariant::RecordIsTrue, format!("the record of {id}: {what}"));
        if !self.started.contains(id) || !self.ended.insert(id.clone()) {
            return lies("it never began, or has ended before".to_owned());
        }
        let began_with =
            self.generations.values().find(|(_, of)| of == id).map(|(generation, _)| *generation);
        if began_with.is_some_and(|generation| generation != record.generation) {
            return violated(
                Invariant::OneGeneration,
                format!(
                    "the record of {id} says generation {}, it began with {began_with:?}",
                    record.generation
                ),
            );
        }
        let status = self.finals.get(&record.call_id).copied();
        if status != Some(record.status) {
            return lies(format!("status {}, and the caller got {status:?}", record.status));
        }
        let answered = matches!(record.outcome.as_str(), "answered" | "system");
        if answered != (200..300).contains(&record.status) {
            return lies(format!("{} with {}", record.outcome, record.status));
        }
        self.answered_by(record)?;
        let won = record.legs.iter().filter(|leg| leg.reason.as_deref() == Some("answered")).count();
        if won > 1 && record.transfers.is_empty() && !self.moved {
            return violated(Invariant::OneWinner, format!("{won} legs of {id} have won: {:?}", record.legs));
        }
        Ok(())
    }

    fn answered_by(&self, record: &CallRecord) -> Verdict {
        let lies =
            |what: String| violated(Invariant::RecordIsTrue, format!("the record of {}: {what}", record.id));
        let steps = &record.explanation.steps;
        let says = steps.iter().rev().find_map(|step| step.tag.strip_prefix("answered:"));
        match (record.outcome.as_str(), &record.answered_by) {
            ("answered", Some(by)) => {
                let who = by.device.clone().unwrap_or_default();
                let last = steps.last().map(|step| step.tag.as_str()).unwrap_or_default();
                let plain = record.transfers.is_empty() && record.ended_because.is_none() && !self.moved;
                if plain && last != format!("answered:{who}") {
                    return lies(format!("answered by {who}, and its last step is {last}"));
                }
                let key = self.generations.iter().find(|(_, (_, id))| *id == record.id).map(|(key, _)| *key);
                let has =
                    |leg: &&Leg| Some(leg.call) == key && leg.life == self.life && !leg.answers.is_empty();
                if !self.moved
                    && key.is_some()
                    && !self.legs.values().any(|leg| has(&leg) && is_of(leg.to, &who))
                {
                    return lies(format!("answered by {who}, who never answered"));
                }
                Ok(())
            }
            ("answered", None) if record.tags.iter().any(|tag| tag == "pickup") => Ok(()),
            ("answered", None) => lies("answered by nobody".to_owned()),
            // Somebody has answered, and the caller could not be told: its 200 waited for a PRACK.
            (_, Some(_)) if record.status >= 300 && self.unsaid.contains(&record.id) => Ok(()),
            (_, Some(by)) => lies(format!("{} by {by:?}", record.outcome)),
            (outcome, None) if says.is_some() => lies(format!("{outcome}, and {says:?} answered")),
            (_, None) => Ok(()),
        }
    }
}

/// Whether that address is the device's, or a trunk's where a number has answered.
fn is_of(at: SocketAddr, who: &str) -> bool {
    let ip = at.ip().to_string();
    if who.starts_with("tel:") {
        return ip.starts_with("10.2.");
    }
    let Some((user, device)) = who.strip_prefix('u').and_then(|rest| rest.split_once('d')) else {
        return false;
    };
    let from = ip.strip_prefix("10.1.").and_then(|rest| rest.split_once('.'));
    let Some((of, host)) = from else { return false };
    let host: u32 = host.parse().unwrap_or(0);
    of == user && device.parse::<u32>().is_ok_and(|device| (host.saturating_sub(1)) / 8 == device)
}
