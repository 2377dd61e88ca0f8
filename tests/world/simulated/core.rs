//! The core as a run drives it: the switch itself, or a faulty double of it, which does one thing wrong.

use super::wire::Heard;
use ringtree::call::office::CallKey;
use ringtree::clock::Now;
use ringtree::relay::{Command, Side};
use ringtree::sip::{Message, Method};
use ringtree::switch::{Action, Census, Config, Event, Input, Switch};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What a double does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is the switch itself.
    None,
    /// Its messages say that they are longer than they are.
    WritesWrongLength,
    /// A caller who is refused before there is a call is told nothing.
    SwallowsRefusals,
    /// A caller gets another final response after its first one.
    AnswersTwice,
    /// An answer that comes too late is acknowledged, and not hung up on.
    KeepsLosers,
    /// Calls hold two winners.
    CountsTwoWinners,
    /// The first answer is not acknowledged.
    SwallowsAcks,
    /// When a call is over, whoever was called is not hung up on.
    SwallowsByes,
    /// Phones that have lost, or whose caller is gone, ring on.
    SwallowsCancels,
    /// A call is forgotten while its phones ring.
    ForgetsCalls,
    /// A relay is not closed.
    KeepsRelays,
    /// A relay is closed, and told something more.
    TellsClosedRelays,
    /// A port is neither free nor held.
    LosesPorts,
    /// Calls go over to rules that are applied while they are up.
    MovesToNewRules,
    LiesInOutcome,
    LiesInStatus,
    LiesInAnsweredBy,
    LiesInExplanation,
    LosesRecords,
    /// A transaction is never forgotten.
    KeepsTransactions,
    /// Its deadline is that of before.
    KeepsDeadline,
    /// It takes more calls than it may.
    TakesTooMany,
    /// Its queue of deadlines is never swept.
    KeepsEntries,
    Panics,
}

pub struct Core {
    pub switch: Switch,
    fault: Fault,
    /// Steps so far, and what the double has set its mind on.
    steps: u64,
    winners: HashMap<CallKey, String>,
    stale: Option<Instant>,
    generation: u64,
    done: bool,
}

impl Core {
    pub fn new(mut config: Config, seed: [u8; 32], fault: Fault) -> Core {
        if fault == Fault::TakesTooMany {
            config.calls_max *= 2;
        }
        Core {
            switch: Switch::new(config, seed),
            fault,
            steps: 0,
            winners: HashMap::new(),
            stale: None,
            generation: 0,
            done: false,
        }
    }

    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Action>) {
        self.steps += 1;
        if let (Fault::MovesToNewRules, Input::Rules(rules)) = (self.fault, &input) {
            self.generation = rules.domains().next().map_or(0, |domain| domain.generation());
        }
        // Dialogs that go from call to call are counted at rest alone: that is another invariant's.
        let moves =
            |message: &Message| message.method() == Method::Refer || message.request_uri().contains("*8");
        if let (Fault::KeepsLosers, Input::Packet { message, .. }) = (self.fault, &input)
            && message.is_request()
            && moves(message)
        {
            self.fault = Fault::None;
        }
        assert!(self.fault != Fault::Panics || self.steps < 500, "as asked");
        let from = out.len();
        self.switch.handle(now, input, out);
        if self.fault != Fault::None {
            let actions: Vec<Action> = out.drain(from..).collect();
            for action in actions {
                self.pass(action, out);
            }
        }
    }

    /// When it wants to see the clock again.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let deadline = self.switch.deadline();
        if self.fault != Fault::KeepsDeadline || self.steps < 300 {
            return deadline;
        }
        let stale = self.stale.get_or_insert(now);
        Some(*stale - Duration::from_secs(1))
    }

    pub fn census(&self) -> Census<'_> {
        let mut census = self.switch.census();
        match self.fault {
            Fault::CountsTwoWinners => {
                census
                    .calls
                    .iter_mut()
                    .filter(|call| call.branches.answered == 1)
                    .for_each(|call| call.branches.answered = 2);
            }
            Fault::ForgetsCalls => census.calls.retain(|call| call.branches.ringing < 2),
            Fault::LosesPorts if self.steps > 300 => census.ports_free -= 1,
            Fault::MovesToNewRules => {
                census.calls.iter_mut().for_each(|call| call.generation = self.generation)
            }
            Fault::KeepsTransactions => {
                census
                    .of_calls
                    .iter_mut()
                    .filter(|(name, _)| *name == "server keys")
                    .for_each(|(_, count)| *count += 1);
            }
            Fault::KeepsEntries => {
                let kept = self.steps as usize * 4;
                census.deadlines.iter_mut().for_each(|(_, entries, _)| *entries += kept);
            }
            _ => {}
        }
        census
    }

    /// One of its effects: as it is, or not.
    fn pass(&mut self, action: Action, out: &mut Vec<Action>) {
        match action {
            Action::Send { flow, bytes } => {
                let text = std::str::from_utf8(&bytes).unwrap_or_default().to_owned();
                let Some(heard) = Heard::read(&text) else { return out.push(Action::Send { flow, bytes }) };
                if self.swallows(&heard) {
                    return;
                }
                let wrong = self.fault == Fault::WritesWrongLength && heard.status == 180;
                let bytes = match wrong {
                    true => text.replacen("Content-Length: ", "Content-Length: 1", 1).into(),
                    false => bytes,
                };
                out.push(Action::Send { flow, bytes });
                if self.fault == Fault::AnswersTwice && heard.about == "INVITE" && heard.status >= 400 {
                    let other = text.replacen(&format!("SIP/2.0 {}", heard.status), "SIP/2.0 699", 1);
                    out.push(Action::Send { flow, bytes: other.into() });
                }
            }
            Action::Media(Command::Close { .. }) if self.fault == Fault::KeepsRelays => {}
            Action::Media(Command::Close { id }) if self.fault == Fault::TellsClosedRelays => {
                out.push(Action::Media(Command::Close { id }));
                out.push(Action::Media(Command::Tap { id, side: Side::A, on: false }));
            }
            Action::Event(Event::CallEnded(record)) => {
                let mut record = (*record).clone();
                match self.fault {
                    Fault::LosesRecords if !self.done => {
                        self.done = true;
                        return;
                    }
                    Fault::LiesInOutcome if record.outcome == "caller_gone" => {
                        "answered".clone_into(&mut record.outcome)
                    }
                    Fault::LiesInStatus if record.status == 480 => record.status = 486,
                    Fault::LiesInAnsweredBy => {
                        if let Some(by) = &mut record.answered_by {
                            by.device = Some("u7d7".to_owned());
                            let step = record
                                .explanation
                                .steps
                                .iter_mut()
                                .find(|step| step.tag.starts_with("answered:"));
                            step.into_iter().for_each(|step| "answered:u7d7".clone_into(&mut step.tag));
                        }
                    }
                    Fault::LiesInExplanation => {
                        record.explanation.steps.retain(|step| !step.tag.starts_with("answered:"));
                    }
                    _ => {}
                }
                out.push(Action::Event(Event::CallEnded(record.into())));
            }
            other => out.push(other),
        }
    }

    /// Of a BYE to somebody who was called: whether it is to the one who has won.
    fn hangs_up_on_winner(&mut self, heard: &Heard<'_>) -> Option<bool> {
        let (key, side, _) = ringtree::call::of_tag(heard.senders_tag())?;
        match heard.method {
            "ACK" if side == Side::B => {
                self.winners.entry(key).or_insert_with(|| heard.call_id.to_owned());
                None
            }
            "BYE" if side == Side::B && self.winners.get(&key)? == heard.call_id => {
                self.winners.remove(&key);
                Some(true)
            }
            "BYE" if side == Side::B => Some(false),
            _ => None,
        }
    }

    /// Whether that is to somebody who was called, in a call that is over.
    fn is_over(&self, heard: &Heard<'_>) -> bool {
        let Some((key, Side::B, _)) = ringtree::call::of_tag(heard.senders_tag()) else { return false };
        self.switch.census().calls.iter().all(|call| call.key != key || call.phase.is_over())
    }

    fn swallows(&mut self, heard: &Heard<'_>) -> bool {
        match self.fault {
            Fault::SwallowsRefusals => {
                heard.about == "INVITE" && heard.status >= 400 && heard.to_tag() == "ringtree"
            }
            Fault::KeepsLosers => self.hangs_up_on_winner(heard) == Some(false) && !self.is_over(heard),
            Fault::SwallowsAcks => heard.method == "ACK" && heard.senders_tag().starts_with('b'),
            Fault::SwallowsByes => heard.method == "BYE" && self.is_over(heard),
            Fault::SwallowsCancels => heard.method == "CANCEL",
            _ => false,
        }
    }
}
