//! What has to hold, whatever happens: what agents are sent, what the core says that it holds, and what its records say, held against each
//! other. The judge sees messages as the switch sends and gets them, before the network loses any of the former and after it has lost
//! some of the latter.

mod look;
mod records;
mod rest;

use super::wire::Heard;
use ringtree::call::office::CallKey;
use ringtree::relay::{Command, PortPair, RelayId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// What the switch writes can be read.
    WellFormed,
    /// Each INVITE gets exactly one final response, and nothing after it but the same; other requests no more than one.
    OneFinalResponse,
    /// At most one leg of a call is held with its caller.
    OneWinner,
    /// Every 2xx is acknowledged, and its dialog ended with BYE no later than its call.
    EverySuccessAcknowledged,
    /// No INVITE that waits for its final response, and no phone that rings, belongs to no call.
    NoLegWithoutCall,
    /// The relays that are open are those that calls hold, and every port is free or held, by one.
    RelaysAreThoseOfCalls,
    /// A call keeps the rules that it began with.
    OneGeneration,
    /// The record says what happened, and the last step of its explanation does.
    RecordIsTrue,
    /// When all have hung up every table is empty.
    NothingLeft,
    /// No deadline lies in the past.
    NoPastDeadline,
    /// Nothing grows beyond its limit.
    Bounded,
    /// The core neither panics nor goes round.
    Sound,
}

#[derive(Clone, Debug)]
pub struct Violation {
    pub invariant: Invariant,
    pub what: String,
}

pub type Verdict = Result<(), Violation>;

pub fn violated(invariant: Invariant, what: impl Into<String>) -> Verdict {
    Err(Violation { invariant, what: what.into() })
}

/// A request that came to the switch.
struct Asked {
    life: u32,
    fresh_invite: bool,
    invite: bool,
    status: u16,
    /// When it got its first final response.
    answered_at: u64,
    tag: String,
    call_id: String,
    /// Its 2xx was acknowledged, or the dialog ended.
    acknowledged: bool,
    ended: bool,
}

/// An INVITE of the switch to an agent.
struct Leg {
    life: u32,
    call: CallKey,
    to: SocketAddr,
    call_id: String,
    cseq: u32,
    /// When no more answer can be expected to be taken.
    dead_at: u64,
    rang: bool,
    finished: bool,
    cancelled: bool,
    /// The switch may have given it up without saying so.
    unsure: bool,
    /// Somebody else's session is changed by it.
    within: bool,
    answers: Vec<Answered>,
}

struct Answered {
    tag: String,
    at: u64,
    acknowledged: bool,
    byed: bool,
    /// It had to be taken: it came in time, and names a Contact.
    sure: bool,
}

impl Leg {
    fn held(&self) -> usize {
        self.answers.iter().filter(|answer| answer.acknowledged && !answer.byed).count()
    }
}

pub struct Judge {
    /// How many switches there were before this one.
    life: u32,
    asked: HashMap<(SocketAddr, String, String), Asked>,
    legs: HashMap<(SocketAddr, String), Leg>,
    /// Legs by their Call-ID.
    by_call_id: HashMap<String, Vec<(SocketAddr, String)>>,
    /// Legs that are held, by call.
    held: BTreeMap<CallKey, i64>,
    /// Final responses to the INVITEs of callers, by Call-ID.
    finals: HashMap<String, u16>,
    generations: HashMap<CallKey, (u64, String)>,
    started: BTreeSet<String>,
    ended: BTreeSet<String>,
    answered: HashMap<String, u32>,
    /// Calls that were not over when it was last looked, and who rang for one that was.
    live: BTreeSet<CallKey>,
    rang_on: Option<String>,
    /// Calls whose caller was not to be told of the answer yet.
    unsaid: BTreeSet<String>,
    /// Calls in which somebody was transferred or has taken somebody's place.
    moved: bool,
    relays: BTreeMap<RelayId, (PortPair, Option<PortPair>)>,
    pub ports_opened: usize,
    /// What is in force.
    pub generation: u64,
    pub calls_max: usize,
    pub records: u64,
}

impl Judge {
    pub fn new(calls_max: usize) -> Judge {
        Judge {
            life: 0,
            asked: HashMap::new(),
            legs: HashMap::new(),
            by_call_id: HashMap::new(),
            held: BTreeMap::new(),
            finals: HashMap::new(),
            generations: HashMap::new(),
            started: BTreeSet::new(),
            ended: BTreeSet::new(),
            answered: HashMap::new(),
            live: BTreeSet::new(),
            rang_on: None,
            unsaid: BTreeSet::new(),
            moved: false,
            relays: BTreeMap::new(),
            ports_opened: 0,
            generation: 0,
            calls_max,
            records: 0,
        }
    }

    /// Another switch takes the place of this one: what was in progress is lost.
    pub fn restarted(&mut self) {
        self.life += 1;
        self.held.clear();
        self.generations.clear();
        self.started.clear();
        self.ended.clear();
        self.answered.clear();
        self.relays.clear();
        self.finals.clear();
        self.ports_opened = 0;
    }

    /// What has come to the switch.
    pub fn came(&mut self, now: u64, from: SocketAddr, heard: &Heard<'_>) {
        if heard.status > 0 {
            return self.response_came(now, from, heard);
        }
        match heard.method {
            "ACK" => return self.success_ended(from, heard, false),
            "BYE" => {
                self.success_ended(from, heard, true);
                self.dialog_gone(heard.call_id, heard.senders_tag());
            }
            "REFER" => self.moved = true,
            _ => {}
        }
        if heard.text.contains("Replaces") || heard.uri.contains("*8") {
            self.moved = true;
        }
        let key = (from, heard.branch().to_owned(), heard.method.to_owned());
        let life = self.life;
        let invite = heard.method == "INVITE";
        let asked = self.asked.entry(key).or_insert_with(|| Asked {
            life,
            fresh_invite: invite && heard.to_tag().is_empty(),
            invite,
            status: 0,
            answered_at: 0,
            tag: String::new(),
            call_id: heard.call_id.to_owned(),
            acknowledged: false,
            ended: false,
        });
        if asked.life != life {
            (asked.life, asked.status) = (life, 0); // it comes again, to another switch
        }
    }

    /// A caller's ACK or BYE.
    fn success_ended(&mut self, from: SocketAddr, heard: &Heard<'_>, bye: bool) {
        for ((of, ..), asked) in &mut self.asked {
            if *of == from && asked.invite && asked.call_id == heard.call_id {
                asked.acknowledged = true;
                asked.ended |= bye;
            }
        }
    }

    /// Whoever answered with that tag has left the dialog.
    fn dialog_gone(&mut self, call_id: &str, tag: &str) {
        for leg in self.by_call_id.get(call_id).into_iter().flatten() {
            let Some(leg) = self.legs.get_mut(leg) else { continue };
            let before = leg.held();
            for answer in leg.answers.iter_mut().filter(|answer| answer.tag == tag) {
                answer.byed = true;
            }
            *self.held.entry(leg.call).or_default() -= (before - leg.held()) as i64;
        }
    }

    fn response_came(&mut self, now: u64, from: SocketAddr, heard: &Heard<'_>) {
        if matches!(heard.status, 408 | 481) && heard.about != "BYE" {
            self.dialog_gone(heard.call_id, heard.to_tag()); // RFC 3261 §12.2.1.2
        }
        if heard.about != "INVITE" {
            return;
        }
        let Some(leg) = self.legs.get_mut(&(from, heard.branch().to_owned())) else { return };
        if leg.life != self.life || leg.within {
            return;
        }
        match heard.status {
            ..200 => {
                leg.rang |= heard.status > 100 && now < leg.dead_at;
                if !leg.cancelled && !leg.finished && now < leg.dead_at {
                    leg.dead_at = u64::MAX;
                }
            }
            200..300 if !leg.answers.iter().any(|answer| answer.tag == heard.to_tag()) => {
                let (first, in_time) = (leg.answers.is_empty(), now + 100 < leg.dead_at);
                leg.answers.push(Answered {
                    tag: heard.to_tag().to_owned(),
                    at: now,
                    acknowledged: false,
                    byed: false,
                    sure: !heard.contact.is_empty() && !leg.unsure && in_time,
                });
                if first && in_time {
                    leg.dead_at = now + 32_000; // RFC 6026: timer M
                }
                leg.finished = true;
            }
            200..300 => leg.finished = true,
            _ => {
                if leg.answers.is_empty() {
                    leg.dead_at = leg.dead_at.min(now);
                }
                if leg.rang
                    && !leg.finished
                    && !leg.cancelled
                    && !leg.unsure
                    && !self.live.contains(&leg.call)
                {
                    self.rang_on = Some(format!("{from} rang on, and its call was over"));
                }
                leg.finished = true;
            }
        }
    }

    /// The switch is told that nothing can be sent there: what it asked there may be over.
    pub fn flow_failed(&mut self, there: SocketAddr) {
        self.legs
            .values_mut()
            .filter(|leg| leg.to == there && !leg.finished)
            .for_each(|leg| leg.unsure = true);
    }

    /// What the switch sends.
    pub fn sent(&mut self, now: u64, to: SocketAddr, heard: &Heard<'_>) -> Verdict {
        match heard.status {
            0 => self.request_sent(now, to, heard),
            _ => self.response_sent(now, to, heard),
        }
    }

    fn response_sent(&mut self, now: u64, to: SocketAddr, heard: &Heard<'_>) -> Verdict {
        let key = (to, heard.branch().to_owned(), heard.about.to_owned());
        let Some(asked) = self.asked.get_mut(&key) else {
            return violated(
                Invariant::OneFinalResponse,
                format!("{to} is answered {} to a {} that it never sent", heard.status, heard.about),
            );
        };
        let status = heard.status;
        if asked.status >= 200 && asked.life == self.life {
            let again = asked.status == status && (status >= 300 || asked.tag == heard.to_tag());
            // What is refused without state (RFC 3261 §8.2.7) is judged anew when it comes again: of a call that is over meanwhile.
            let stateless = asked.status >= 300 && status == 481 && !asked.invite;
            // By then nobody remembers it (RFC 6026 §7.1: timer L).
            let forgotten = status == 481 && now > asked.answered_at + 32_000;
            if !again && !stateless && !forgotten {
                return violated(
                    Invariant::OneFinalResponse,
                    format!(
                        "the {} {} of {to} got {}, and now {status}",
                        heard.about, heard.call_id, asked.status
                    ),
                );
            }
        }
        if status >= 200 {
            if asked.status < 200 {
                asked.answered_at = now;
            }
            (asked.status, asked.life) = (status, self.life);
            heard.to_tag().clone_into(&mut asked.tag);
            // Who is refused before there is a call gets this tag; one that comes twice (§8.2.2.2) is one call all the same.
            if asked.fresh_invite && heard.to_tag() != "ringtree" {
                self.finals.insert(heard.call_id.to_owned(), status);
            }
        }
        Ok(())
    }

    fn request_sent(&mut self, now: u64, to: SocketAddr, heard: &Heard<'_>) -> Verdict {
        match heard.method {
            "INVITE" => self.invite_sent(now, to, heard),
            "CANCEL" => {
                if let Some(leg) = self.legs.get_mut(&(to, heard.branch().to_owned())) {
                    leg.cancelled = true;
                    leg.dead_at = leg.dead_at.min(now + 32_000);
                }
            }
            "ACK" | "BYE" => {
                let bye = heard.method == "BYE";
                for leg in self.by_call_id.get(heard.call_id).into_iter().flatten() {
                    let Some(leg) = self.legs.get_mut(leg) else { continue };
                    let before = leg.held() as i64;
                    for answer in leg.answers.iter_mut().filter(|answer| answer.tag == heard.to_tag()) {
                        answer.acknowledged |= bye || leg.cseq == heard.cseq;
                        answer.byed |= bye;
                    }
                    *self.held.entry(leg.call).or_default() += leg.held() as i64 - before;
                }
                if bye {
                    for ((of, ..), asked) in &mut self.asked {
                        if *of == to && asked.invite && asked.call_id == heard.call_id {
                            (asked.acknowledged, asked.ended) = (true, true);
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn invite_sent(&mut self, now: u64, to: SocketAddr, heard: &Heard<'_>) {
        let key = (to, heard.branch().to_owned());
        if self.legs.contains_key(&key) {
            return; // sent again
        }
        let named = ringtree::call::of_tag(heard.senders_tag());
        let call = named.map_or(CallKey(0), |(key, ..)| key);
        self.by_call_id.entry(heard.call_id.to_owned()).or_default().push(key.clone());
        self.legs.insert(
            key,
            Leg {
                life: self.life,
                call,
                to,
                call_id: heard.call_id.to_owned(),
                cseq: heard.cseq,
                dead_at: now + 32_000,
                rang: false,
                finished: false,
                cancelled: false,
                unsure: false,
                within: !heard.to_tag().is_empty(),
                answers: Vec::new(),
            },
        );
    }

    pub fn media(&mut self, command: &Command) -> Verdict {
        let told = |what: &str| violated(Invariant::RelaysAreThoseOfCalls, format!("{what}: {command:?}"));
        match command {
            Command::Open { id, a, b } => {
                if self.relays.insert(*id, (*a, *b)).is_some() {
                    return told("a relay is opened twice");
                }
                self.no_port_twice()
            }
            Command::Close { id } => match self.relays.remove(id) {
                Some(_) => Ok(()),
                None => told("a relay is closed that is not open"),
            },
            Command::Succeed { id, by, b } => {
                let Some((a, _)) = self.relays.remove(id) else { return told("a relay succeeds none") };
                if self.relays.insert(*by, (a, Some(*b))).is_some() {
                    return told("a relay succeeds into one that is open");
                }
                self.no_port_twice()
            }
            Command::Grow { .. } => Ok(()),
            _ => match command.relay().is_none_or(|id| self.relays.contains_key(&id)) {
                true => Ok(()),
                false => told("a relay that is not open is told something"),
            },
        }
    }

    fn no_port_twice(&self) -> Verdict {
        let mut seen = BTreeSet::new();
        for (a, b) in self.relays.values() {
            for pair in [Some(a), b.as_ref()].into_iter().flatten() {
                if !seen.insert(pair.rtp.port()) {
                    return violated(
                        Invariant::RelaysAreThoseOfCalls,
                        format!("port {} is in two relays", pair.rtp),
                    );
                }
            }
        }
        Ok(())
    }

    pub fn is_open(&self, relay: RelayId) -> bool {
        self.relays.contains_key(&relay)
    }

    pub fn began(&mut self, id: &str) -> Verdict {
        match self.started.insert(id.to_owned()) {
            true => Ok(()),
            false => violated(Invariant::RecordIsTrue, format!("call {id} began twice")),
        }
    }

    pub fn was_answered(&mut self, id: &str) -> Verdict {
        let count = self.answered.entry(id.to_owned()).or_default();
        *count += 1;
        match *count {
            1 => Ok(()),
            _ => violated(Invariant::OneWinner, format!("call {id} was answered {count} times")),
        }
    }
}
