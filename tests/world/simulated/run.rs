//! One run: an office, its agents, a network and an operator, all drawn from one seed, until everybody has gone home.

use super::agent::{Agent, Desk, Timer};
use super::core::{Core, Fault};
use super::coverage::{Coverage, kind};
use super::dice::Dice;
use super::judge::{Invariant, Judge, Verdict, Violation, violated};
use super::ladder::Ladder;
use super::offices::{self, Office, TRUNKS};
use super::wire::Heard;
use crate::net::{configured, switch_address};
use bytes::Bytes;
use ringtree::call::lines::Server;
use ringtree::call::record::CallRecord;
use ringtree::clock::Now;
use ringtree::registrar::binding::BindingKey;
use ringtree::registrar::{Binding, Change};
use ringtree::rules::{Status, StatusObject};
use ringtree::sip::{Flow, Message, Transport};
use ringtree::switch::config::Config;
use ringtree::switch::{Action, Event, Input, StatusKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What happens in a run, in the order of its moments.
pub enum Happens {
    ToSwitch {
        from: SocketAddr,
        text: String,
    },
    ToAgent {
        to: SocketAddr,
        bytes: Bytes,
    },
    Wakes {
        agent: usize,
        timer: Timer,
    },
    /// A report of the media plane or of ears and voice.
    Reports(Box<Input>, u32),
    Operator(Operates),
}

/// What is done to the switch from outside.
#[derive(Clone, Copy, Debug)]
pub enum Operates {
    Edit,
    SetStatus,
    Restart,
    HangUp,
    FlowFailed,
    Partition,
    Drain,
    /// Everybody goes home.
    Close,
    HangUpAll,
}

/// What the network does.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss: u64,
    duplication: u64,
    delay_ms: u64,
}

/// Steps after which a run goes round: far more than any needs.
const STEPS_MAX: u64 = 400_000;
/// Calls that a run sets out to make.
pub const CALLS: u64 = 30;

pub struct Run<'a> {
    pub now: u64,
    pub dice: Dice,
    began: Instant,
    pub core: Core,
    pub judge: Judge,
    pub coverage: Coverage,
    pub ladder: Option<&'a mut Ladder>,
    pub office: &'static Office,
    pub agents: Vec<Agent>,
    pub by_address: HashMap<SocketAddr, usize>,
    queue: BTreeMap<(u64, u64), Happens>,
    count: u64,
    weather: Weather,
    pub cut_off: BTreeMap<SocketAddr, u64>,
    pub bindings: BTreeMap<BindingKey, Binding>,
    pub statuses: BTreeMap<StatusKey, Status>,
    pub generation: usize,
    pub life: u32,
    pub closing: bool,
    pub ports_left: usize,
    next_port: u16,
    /// How late reports come.
    late_ms: &'static [u64],
    pub config: Config,
    seed: u64,
    fault: Fault,
    pub last_record: Option<String>,
    records: Vec<Arc<CallRecord>>,
    /// At which relay sides ears and a voice are.
    voices: BTreeSet<(u64, bool)>,
    steps: u64,
    /// When all is over at the latest.
    pub end: Option<u64>,
    pub drained: bool,
    pub dialled: u64,
    /// Timeouts in a row at one moment.
    spins: u32,
}

/// What came of a run.
pub struct Outcome {
    pub coverage: Coverage,
    pub calls: u64,
    pub steps: u64,
}

pub fn run(seed: u64, fault: Fault, ladder: Option<&mut Ladder>) -> Result<Outcome, Violation> {
    let mut run = Run::new(seed, fault, ladder);
    run.go()?;
    Ok(Outcome { coverage: run.coverage, calls: run.dialled, steps: run.steps })
}

impl<'a> Run<'a> {
    fn new(seed: u64, fault: Fault, ladder: Option<&'a mut Ladder>) -> Run<'a> {
        let mut dice = Dice::new(seed ^ 0x5eed_0000);
        let office = offices::office(dice.word());
        let calls_max = dice.weighed(&[(4, 1_000), (1, 6)]);
        let brief = dice.chance(12);
        let config = configured(|config| {
            config.calls_max = calls_max;
            config.strangers.messages_s = 0;
            config.drain_after = Duration::from_secs(20);
            if brief {
                config.session.expires_s = 120;
            }
        });
        let weather = Weather {
            loss: dice.weighed(&[(4, 0), (3, 2), (2, 8)]),
            duplication: dice.weighed(&[(3, 0), (2, 2), (1, 6)]),
            delay_ms: dice.weighed(&[(2, 0), (4, 30), (2, 300), (1, 1_500)]),
        };
        let ports_left = dice.weighed(&[(5, usize::MAX), (1, 6), (1, 11)]);
        let late_ms = dice.weighed(&[(2, &[0_u64][..]), (2, &[0, 20, 700]), (1, &[0, 3_000])]);
        let mut run = Run {
            now: 0,
            dice,
            began: ringtree::net::clock::now().mono, // only differences count
            core: Core::new(config.clone(), switch_seed(seed, 0), fault),
            judge: Judge::new(calls_max),
            coverage: Coverage::default(),
            ladder,
            office,
            agents: Vec::new(),
            by_address: HashMap::new(),
            queue: BTreeMap::new(),
            count: 0,
            weather,
            cut_off: BTreeMap::new(),
            bindings: BTreeMap::new(),
            statuses: BTreeMap::new(),
            generation: 0,
            life: 0,
            closing: false,
            ports_left,
            next_port: 20_000,
            late_ms,
            config,
            seed,
            fault,
            last_record: None,
            records: Vec::new(),
            voices: BTreeSet::new(),
            steps: 0,
            end: None,
            drained: false,
            dialled: 0,
            spins: 0,
        };
        run.people(calls_max);
        run
    }

    pub fn queue(&mut self, at: u64, what: Happens) {
        self.count += 1;
        self.queue.insert((at.max(self.now), self.count), what);
    }

    pub fn at(&self) -> Now {
        let wall = "2026-11-24T15:00:00Z".parse::<jiff::Timestamp>().expect("a moment");
        let passed = jiff::SignedDuration::from_millis(self.now as i64);
        Now { mono: self.began + Duration::from_millis(self.now), wall: wall + passed }
    }

    fn go(&mut self) -> Verdict {
        self.start()?;
        loop {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return violated(Invariant::Sound, "it goes round and round");
            }
            let now = self.at().mono;
            let deadline = self.core.deadline(now);
            let due = deadline
                .map(|at| (at.saturating_duration_since(self.began).as_micros() as u64).div_ceil(1_000));
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let soonest = due.into_iter().chain(next).min();
            if self.rests(soonest) {
                break;
            }
            match (due, next) {
                (Some(due), _) if next.is_none_or(|next| due <= next) => {
                    self.spins = if due <= self.now { self.spins + 1 } else { 0 };
                    if self.spins > 1_000 {
                        return violated(
                            Invariant::NoPastDeadline,
                            format!("it is called again and again at {}", self.now),
                        );
                    }
                    self.now = self.now.max(due);
                    self.input(Input::Timeout)?;
                }
                (_, Some(at)) => {
                    self.now = self.now.max(at);
                    let Some((_, what)) = self.queue.pop_first() else { continue };
                    self.happens(what)?;
                }
                (_, None) => break,
            }
        }
        self.finish()
    }

    /// Whether all have gone, long ago, and nothing is to be seen of them before that moment: what stands between calls goes on for ever.
    fn rests(&self, soonest: Option<u64>) -> bool {
        let Some(end) = self.end.filter(|end| soonest.is_none_or(|soonest| soonest > *end)) else {
            return false;
        };
        self.core.census().left().next().is_none() || self.now > end + 60_000 || soonest.is_none()
    }

    /// What the daemon tells a switch at its start.
    pub fn start(&mut self) -> Verdict {
        if let Some(id) = self.last_record.clone() {
            self.input(Input::LastRecord(id))?;
        }
        for binding in self.bindings.values().cloned().collect::<Vec<_>>() {
            self.input(Input::Restore(binding))?;
        }
        self.publish()?;
        for (key, status) in self.statuses.clone() {
            self.input(Input::Status { key, status: Some(status) })?;
        }
        for (trunk, addresses) in TRUNKS {
            let server = |(rank, address): (u32, &&str)| Server {
                rank,
                transport: Transport::Udp,
                weight: 0,
                addresses: vec![address.parse().expect("an address")],
                name: None,
            };
            let servers = (0..).zip(addresses).map(server).collect();
            self.input(Input::TrunkResolved { domain: crate::DOMAIN.into(), trunk: trunk.into(), servers })?;
        }
        Ok(())
    }

    pub fn publish(&mut self) -> Verdict {
        let rules = self.office.generations[self.generation].clone();
        self.judge.generation = self.generation as u64 + 1;
        self.input(Input::Rules(rules))
    }

    /// A new switch, in the place of the one that is gone with all that it knew.
    pub fn restart(&mut self) -> Verdict {
        self.life += 1;
        self.core = Core::new(self.config.clone(), switch_seed(self.seed, self.life), self.fault);
        self.judge.restarted();
        self.voices.clear();
        self.next_port = 20_000;
        self.start()
    }

    fn happens(&mut self, what: Happens) -> Verdict {
        match what {
            Happens::ToSwitch { from, text } => self.arrives(from, text),
            Happens::ToAgent { to, bytes } => {
                let Some(at) = self.by_address.get(&to).copied() else { return Ok(()) };
                let text = std::str::from_utf8(&bytes).unwrap_or_default();
                if let Some(heard) = Heard::read(text) {
                    self.agent(at, |agent, desk| agent.receive(desk, &heard));
                }
                Ok(())
            }
            Happens::Wakes { agent, timer } => {
                self.dialled += u64::from(matches!(timer, Timer::Dial(_)) && !self.closing);
                self.agent(agent, |agent, desk| agent.wake(desk, timer));
                Ok(())
            }
            Happens::Reports(input, life) if life == self.life => self.input(*input),
            Happens::Reports(..) => Ok(()), // of a media plane that is gone
            Happens::Operator(what) => self.operate(what),
        }
    }

    fn arrives(&mut self, from: SocketAddr, text: String) -> Verdict {
        let Ok(message) = Message::parse(Bytes::from(text.clone())) else { return Ok(()) };
        let heard = Heard::read(&text);
        if let Some(heard) = &heard
            && (message.is_request() || message.check().is_ok())
        {
            self.judge.came(self.now, from, heard);
            match heard.status {
                0 => Coverage::count(&mut self.coverage.heard, heard.method),
                status => Coverage::count(&mut self.coverage.heard, status.to_string().as_str()),
            }
        }
        let flow =
            Flow { transport: Transport::Udp, local: switch_address(), remote: from, connection: None };
        self.input(Input::Packet { flow, message })
    }

    /// Lets an agent act, and posts what it sends.
    pub fn agent(&mut self, at: usize, act: impl FnOnce(&mut Agent, &mut Desk<'_>)) {
        let mut desk = Desk {
            now: self.now,
            dice: &mut self.dice,
            sends: Vec::new(),
            timers: Vec::new(),
            extensions: &self.office.extensions,
            closing: self.closing,
        };
        let agent = &mut self.agents[at];
        act(agent, &mut desk);
        let from = agent.address;
        let Desk { sends, timers, .. } = desk;
        for (at_ms, timer) in timers {
            self.queue(at_ms, Happens::Wakes { agent: at, timer });
        }
        for text in sends {
            let delays = self.post(from);
            if let Some(ladder) = self.ladder.as_deref_mut() {
                ladder.message(self.now, &self.agents[at], &text, true, &delays);
            }
            for delay in delays {
                self.queue(self.now + delay, Happens::ToSwitch { from, text: text.clone() });
            }
        }
    }

    /// When copies of a message to or from there arrive.
    fn post(&mut self, there: SocketAddr) -> Vec<u64> {
        if self.cut_off.get(&there).is_some_and(|until| self.now < *until)
            || self.dice.chance(self.weather.loss)
        {
            self.coverage.kind("lost");
            return Vec::new();
        }
        let copies = if self.dice.chance(self.weather.duplication) { 2 } else { 1 };
        if copies == 2 {
            self.coverage.kind("repeated");
        }
        (0..copies).map(|_| self.dice.below(self.weather.delay_ms + 1)).collect()
    }

    pub fn input(&mut self, input: Input) -> Verdict {
        self.coverage.kind(kind(&input));
        if let Some(ladder) = self.ladder.as_deref_mut() {
            ladder.input(self.now, &input);
        }
        if let Input::Media(ringtree::relay::Report::Opened { pairs, exhausted }) = &input {
            self.judge.ports_opened += pairs.len();
            if *exhausted {
                self.coverage.kind("ports exhausted");
            }
        }
        let now = self.at();
        let mut actions = Vec::new();
        self.core.handle(now, input, &mut actions);
        for action in actions {
            self.carry_out(action)?;
        }
        for record in std::mem::take(&mut self.records) {
            self.judge.record(&record)?;
        }
        let census = self.core.census();
        self.coverage.look(&census);
        self.judge.look(self.now, &census)?;
        drop(census);
        let late = self.core.deadline(now.mono).filter(|at| *at + Duration::from_millis(1) < now.mono);
        match late {
            Some(at) => violated(Invariant::NoPastDeadline, format!("{:?} ago", now.mono - at)),
            None => Ok(()),
        }
    }

    fn carry_out(&mut self, action: Action) -> Verdict {
        match action {
            Action::Send { flow, bytes } => return self.send(flow.remote, bytes),
            Action::Media(command) => {
                if let Some(ladder) = self.ladder.as_deref_mut() {
                    ladder.note(self.now, format!("relay: {command:?}"));
                }
                self.judge.media(&command)?;
                self.media_plane(&command);
            }
            Action::Voice(command) => return self.voice_plane(&command),
            Action::Binding(Change::Added(binding) | Change::Refreshed(binding)) => {
                self.bindings.insert(binding.key.clone(), binding);
            }
            Action::Binding(Change::Removed { key, .. }) => _ = self.bindings.remove(&key),
            Action::Event(event) => return self.event(&event),
            Action::Drained => {
                self.drained = true;
                self.coverage.kind("drained");
            }
            Action::Spent(_) | Action::Noticed(_) => {}
        }
        Ok(())
    }

    fn send(&mut self, to: SocketAddr, bytes: Bytes) -> Verdict {
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let Some(heard) = Heard::read(text) else {
            return violated(Invariant::WellFormed, format!("to {to}: {text}"));
        };
        match heard.status {
            0 => Coverage::count(&mut self.coverage.sent, heard.method),
            status => Coverage::count(&mut self.coverage.sent, status.to_string().as_str()),
        }
        let delays = self.post(to);
        if let Some(ladder) = self.ladder.as_deref_mut()
            && let Some(at) = self.by_address.get(&to)
        {
            ladder.message(self.now, &self.agents[*at], text, false, &delays);
        }
        let verdict = self.judge.sent(self.now, to, &heard);
        for delay in delays {
            self.queue(self.now + delay, Happens::ToAgent { to, bytes: bytes.clone() });
        }
        verdict
    }

    fn event(&mut self, event: &Event) -> Verdict {
        match event {
            Event::CallStarted { id, .. } => return self.judge.began(id),
            Event::CallAnswered { id, .. } => return self.judge.was_answered(id),
            Event::CallEnded(record) => {
                if let Some(ladder) = self.ladder.as_deref_mut() {
                    ladder.note(self.now, format!("record: {record:?}"));
                }
                Coverage::count(&mut self.coverage.outcomes, &record.outcome);
                self.last_record = Some(record.id.clone());
                self.records.push(record.clone()); // judged once all that goes out with it is known
            }
            Event::ConferenceJoined { .. } => self.coverage.kind("conference joined"),
            Event::Emergency(_) => self.coverage.kind("emergency"),
            Event::CallAudio { .. } => self.coverage.kind("silence"),
            Event::StatusChanged { key, status: None } => _ = self.statuses.remove(key),
            _ => {}
        }
        Ok(())
    }

    /// Some time from now, as late as reports come in this run.
    pub fn report(&mut self, input: Input) {
        let wait = self.dice.pick(self.late_ms);
        self.report_in(wait, input);
    }

    pub fn report_in(&mut self, wait: u64, input: Input) {
        self.queue(self.now + wait, Happens::Reports(Box::new(input), self.life));
    }

    pub fn port(&mut self) -> u16 {
        self.next_port += 2;
        self.next_port - 2
    }

    pub fn hears(&mut self, at: ringtree::voice::Spot, on: bool) {
        let spot = (at.relay.0, at.side == ringtree::relay::Side::B);
        _ = if on { self.voices.insert(spot) } else { self.voices.remove(&spot) };
    }

    fn finish(&mut self) -> Verdict {
        let census = self.core.census();
        self.judge.at_rest(&census)?;
        if let Some(voice) = self.voices.first() {
            return violated(Invariant::NothingLeft, format!("an ear is left at {voice:?}"));
        }
        Ok(())
    }

    pub fn status_key(&mut self) -> StatusKey {
        let user = self.office.users[self.dice.index(self.office.users.len())].as_str();
        StatusKey { domain: crate::DOMAIN.into(), object: StatusObject::User(Arc::from(user)) }
    }
}

fn switch_seed(seed: u64, life: u32) -> [u8; 32] {
    let mut dice = Dice::new(seed ^ u64::from(life) << 56);
    std::array::from_fn(|_| dice.below(256) as u8)
}
