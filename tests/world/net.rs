//! A virtual clock and a virtual network around the real switch. Time jumps to whatever comes next: a parcel, a phone's timer, the
//! switch's deadline. Everything random comes from one seed, so a run repeats to the byte.

use crate::phone::Phone;
use bytes::Bytes;
use ringtree::call::budgets::Usage;
use ringtree::call::lines::Server;
use ringtree::call::record::CallRecord;
use ringtree::clock::Now;
use ringtree::relay::{Command, Media, PortPair, RelayId, Report, Side, Source};
use ringtree::rules::Ruleset;
use ringtree::sip::{Flow, Message, Transport};
use ringtree::subscription::notice::Finished;
use ringtree::switch::config::{Config, Listener};
use ringtree::switch::{Action, Event, Input, Switch};
use ringtree::voice;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the network does to a parcel, in percent, and how long it takes at the most.
#[derive(Clone, Copy)]
pub struct Weather {
    pub loss: u64,
    pub duplication: u64,
    pub delay_ms_max: u64,
}

pub const CLEAR: Weather = Weather { loss: 0, duplication: 0, delay_ms_max: 0 };

/// The first port of the relay.
const FIRST_PORT: u16 = 20_000;

enum Parcel {
    ToSwitch { from: SocketAddr, bytes: Bytes },
    ToPhone { to: SocketAddr, bytes: Bytes },
    Wake { phone: SocketAddr },
}

/// What is not as usual of the switch.
pub fn configured(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config {
        listeners: vec![Listener {
            transport: Transport::Udp,
            bound: switch_address(),
            advertise: switch_address().to_string(),
        }],
        default_domain: None,
        digest: vec![ringtree::sip::auth::Algorithm::Md5],
        expiry: ringtree::registrar::location::Expiry {
            min_s: 60,
            max_s: 7200,
            default_s: 3600,
            spread_percent: 0,
        },
        calls_max: 10_000,
        node: 0,
        ports_low: 16,
        media_advertise: None,
        media_advertise_ipv6: None,
        fingerprint: None,
        srtp: ringtree::sdp::keying::Srtp::Optional,
        unsolicited_mwi: false,
        strangers: ringtree::switch::strangers::Limits::default(),
        session: ringtree::call::session_timer::Limits::default(),
        drain_after: Duration::from_secs(60),
    };
    change(&mut config);
    config
}

pub struct World {
    pub switch: Switch,
    pub phones: BTreeMap<SocketAddr, Phone>,
    /// Records of the calls that have ended, in order.
    pub records: Vec<CallRecord>,
    /// What the event stream would show of trunks and emergencies, in order.
    pub events: Vec<Event>,
    /// What is to be stored of budgets, in order.
    pub spent: Vec<Usage>,
    /// The notices that are over, in order.
    pub noticed: Vec<Finished>,
    /// Relays that are open.
    pub relays: BTreeSet<RelayId>,
    /// Where each relay sends to: on its side A, and on its side B.
    pub points: BTreeMap<RelayId, [Option<SocketAddr>; 2]>,
    /// What each relay sends to its side A, and to its side B, where that is not what the other party says.
    pub feeds: BTreeMap<RelayId, [Option<Source>; 2]>,
    /// Where each is expected that is behind a NAT.
    pub expected: BTreeMap<RelayId, [Option<IpAddr>; 2]>,
    /// What ears and voice were asked for, in order.
    pub voiced: Vec<voice::Command>,
    /// How sides of relays were secured, and who went on at another one.
    pub secured: Vec<Command>,
    began: Instant,
    civil: jiff::Timestamp,
    elapsed: Duration,
    parcels: BTreeMap<(Duration, u64), Parcel>,
    count: u64,
    weather: Weather,
    dice: u64,
    next_port: u16,
    /// Port pairs that can be opened yet.
    pub ports_max: usize,
}

/// Where the switch listens.
pub fn switch_address() -> SocketAddr {
    "127.0.0.1:5060".parse().unwrap()
}

impl World {
    pub fn new(rules: Ruleset, weather: Weather, seed: u64) -> World {
        World::with(rules, configured(|_| ()), weather, seed)
    }

    /// One whose switch is configured so.
    pub fn with(rules: Ruleset, config: Config, weather: Weather, seed: u64) -> World {
        World::with_ports(rules, config, weather, seed, usize::MAX)
    }

    /// One whose media plane has no more port pairs than that.
    pub fn with_ports(
        rules: Ruleset,
        config: Config,
        weather: Weather,
        seed: u64,
        ports_max: usize,
    ) -> World {
        let mut world = World {
            switch: Switch::new(config, [7; 32]),
            phones: BTreeMap::new(),
            records: Vec::new(),
            events: Vec::new(),
            spent: Vec::new(),
            noticed: Vec::new(),
            relays: BTreeSet::new(),
            points: BTreeMap::new(),
            feeds: BTreeMap::new(),
            expected: BTreeMap::new(),
            voiced: Vec::new(),
            secured: Vec::new(),
            began: ringtree::net::clock::now().mono, // only differences count
            civil: "2026-11-24T15:00:00Z".parse().unwrap(),
            elapsed: Duration::ZERO,
            parcels: BTreeMap::new(),
            count: 0,
            weather,
            dice: seed | 1,
            next_port: FIRST_PORT,
            ports_max,
        };
        world.input(Input::Rules(Arc::new(rules)));
        world
    }

    /// A trunk leads there: each address is a server of its own, the first one the best.
    pub fn leads(&mut self, trunk: &str, addresses: &[&str]) {
        let server = |(rank, address): (u32, &&str)| Server {
            rank,
            transport: Transport::Udp,
            weight: 0,
            addresses: vec![address.parse().unwrap()],
            name: None,
        };
        let servers = (0..).zip(addresses).map(server).collect();
        self.input(Input::TrunkResolved { domain: crate::DOMAIN.into(), trunk: trunk.into(), servers });
    }

    pub fn now(&self) -> Now {
        let elapsed = i64::try_from(self.elapsed.as_millis()).unwrap();
        Now { mono: self.began + self.elapsed, wall: self.civil + jiff::SignedDuration::from_millis(elapsed) }
    }

    /// Somebody sets the wall clock, ahead or back; the one that timers go by runs on.
    pub fn set_clock(&mut self, by: jiff::SignedDuration) {
        self.civil += by;
    }

    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The weather changes, and what it does is drawn anew.
    pub fn weather(&mut self, weather: Weather, seed: u64) {
        self.weather = weather;
        self.dice = seed | 1;
    }

    /// An xorshift die: 0 to `sides - 1`.
    pub fn die(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides.max(1)
    }

    pub fn add(&mut self, phone: Phone) {
        self.phones.insert(phone.address, phone);
    }

    pub fn phone(&mut self, address: &str) -> &mut Phone {
        self.phones.get_mut(&address.parse().unwrap()).unwrap()
    }

    /// Lets a phone act, and carries what it sends.
    pub fn act(&mut self, address: &str, act: impl FnOnce(&mut Phone, Duration)) {
        let elapsed = self.elapsed;
        act(self.phone(address), elapsed);
        self.collect(address.parse().unwrap());
    }

    /// Runs until nothing is on its way and nobody waits for anything but an expiry far ahead, or `limit` has passed.
    pub fn run(&mut self, limit: Duration) {
        let end = self.elapsed + limit;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.elapsed = self.elapsed.max(at);
            match self.parcels.first_entry().filter(|first| first.key().0 <= self.elapsed) {
                Some(first) => {
                    let parcel = first.remove();
                    self.deliver(parcel);
                }
                None => self.input(Input::Timeout),
            }
        }
        self.elapsed = self.elapsed.max(end);
    }

    /// Runs until the condition holds; panics when it doesn't within `limit`.
    pub fn run_until(&mut self, what: &str, limit: Duration, condition: impl Fn(&World) -> bool) {
        let end = self.elapsed + limit;
        while !condition(self) {
            let Some(at) = self.next().filter(|at| *at <= end) else {
                panic!("{what}: not within {limit:?}")
            };
            self.run(at.saturating_sub(self.elapsed));
        }
    }

    fn next(&self) -> Option<Duration> {
        let parcel = self.parcels.keys().next().map(|(at, _)| *at);
        let deadline = self.switch.deadline().map(|at| at.saturating_duration_since(self.began));
        [parcel, deadline].into_iter().flatten().min()
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToSwitch { from, bytes } => {
                let message = Message::parse(bytes).expect("phones write what the switch can parse");
                let flow = Flow {
                    transport: Transport::Udp,
                    local: switch_address(),
                    remote: from,
                    connection: None,
                };
                self.input(Input::Packet { flow, message });
            }
            Parcel::ToPhone { to, bytes } => {
                let elapsed = self.elapsed;
                if let Some(phone) = self.phones.get_mut(&to) {
                    phone.receive(elapsed, &bytes);
                    self.collect(to);
                }
            }
            Parcel::Wake { phone } => {
                let elapsed = self.elapsed;
                if let Some(phone) = self.phones.get_mut(&phone) {
                    phone.wake(elapsed);
                }
                self.collect(phone);
            }
        }
    }

    /// Posts what a phone has sent, and notes when it wants to wake.
    fn collect(&mut self, address: SocketAddr) {
        let Some(phone) = self.phones.get_mut(&address) else { return };
        let sent = std::mem::take(&mut phone.outbox);
        let wake = phone.deadline();
        for bytes in sent {
            self.post(|| Parcel::ToSwitch { from: address, bytes: bytes.clone() });
        }
        if let Some(at) = wake {
            self.queue(at.max(self.elapsed), Parcel::Wake { phone: address });
        }
    }

    fn post(&mut self, parcel: impl Fn() -> Parcel) {
        if self.die(100) < self.weather.loss {
            return;
        }
        let copies = if self.die(100) < self.weather.duplication { 2 } else { 1 };
        for _ in 0..copies {
            let delay = Duration::from_millis(self.die(self.weather.delay_ms_max + 1));
            self.queue(self.elapsed + delay, parcel());
        }
    }

    fn queue(&mut self, at: Duration, parcel: Parcel) {
        self.count += 1;
        self.parcels.insert((at, self.count), parcel);
    }

    pub fn input(&mut self, input: Input) {
        let mut actions = Vec::new();
        let now = self.now();
        self.switch.handle(now, input, &mut actions);
        for action in actions {
            self.carry_out(action);
        }
        let late = self.switch.deadline().is_some_and(|at| at + Duration::from_millis(1) < now.mono);
        assert!(!late, "a deadline lies in the past");
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Send { flow, bytes } => {
                self.post(|| Parcel::ToPhone { to: flow.remote, bytes: bytes.clone() });
            }
            Action::Media(Command::Grow { pairs }) => {
                let exhausted = pairs >= self.ports_max;
                let pairs = pairs.min(self.ports_max);
                self.ports_max -= pairs;
                let pairs = (0..pairs).map(|_| self.port_pair()).collect();
                self.input(Input::Media(Report::Opened { pairs, exhausted }));
            }
            Action::Media(Command::Open { id, .. }) => {
                assert!(self.relays.insert(id), "a relay is opened once")
            }
            Action::Media(Command::Close { id }) => {
                assert!(self.relays.remove(&id), "a relay is closed once");
                self.input(Input::Media(Report::Closed { id, media: Media::default() }));
            }
            Action::Media(Command::Succeed { id, by, .. }) => {
                assert!(self.relays.remove(&id) && self.relays.insert(by), "a relay has one successor");
                let [caller, _] = self.points.get(&id).copied().unwrap_or_default();
                self.points.insert(by, [caller, None]);
                self.input(Input::Media(Report::Closed { id, media: Media::default() }));
            }
            Action::Media(Command::Point { id, side, rtp, expected, .. }) => {
                self.expected.entry(id).or_default()[usize::from(side == Side::B)] = expected;
                assert!(self.relays.contains(&id));
                self.points.entry(id).or_default()[usize::from(side == Side::B)] = rtp;
            }
            Action::Media(Command::Feed { id, side, from }) => {
                assert!(self.relays.contains(&id));
                let feed = Some(from).filter(|from| *from != Source::Party);
                self.feeds.entry(id).or_default()[usize::from(side == Side::B)] = feed;
            }
            Action::Media(command @ (Command::Secure { id, .. } | Command::HandOver { id, .. })) => {
                assert!(self.relays.contains(&id));
                self.secured.push(command);
            }
            Action::Media(
                Command::Tap { id, .. }
                | Command::Renumber { id, .. }
                | Command::Press { id, .. }
                | Command::Handshaken { id, .. },
            ) => {
                assert!(self.relays.contains(&id));
            }
            Action::Voice(command) => {
                let is_open = match command.subject() {
                    voice::Subject::Relay(relay) => self.relays.contains(&relay),
                    voice::Subject::Room(_) => true,
                };
                assert!(is_open, "a voice speaks where a relay is open: {command:?}");
                self.voiced.push(command);
            }
            Action::Event(Event::CallEnded(record)) => self.records.push((*record).clone()),
            Action::Noticed(finished) => self.noticed.push(finished),
            Action::Event(
                event @ (Event::TrunkUp { .. }
                | Event::TrunkDown { .. }
                | Event::Emergency(_)
                | Event::BudgetStopped(_)
                | Event::ConferenceJoined { .. }
                | Event::ConferenceLeft { .. }
                | Event::CallAudio { .. }),
            ) => self.events.push(event),
            Action::Spent(usage) => self.spent.push(usage),
            Action::Event(_) | Action::Binding(_) | Action::Drained => {}
        }
    }

    /// Port pairs that were opened so far.
    pub fn ports_opened(&self) -> u64 {
        u64::from(self.next_port - FIRST_PORT) / 2
    }

    fn port_pair(&mut self) -> PortPair {
        let port = self.next_port;
        self.next_port += 2;
        PortPair {
            rtp: SocketAddr::from(([127, 0, 0, 1], port)),
            rtcp: SocketAddr::from(([127, 0, 0, 1], port + 1)),
        }
    }
}
