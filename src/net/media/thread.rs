//! One relay thread: waits for packets, passes each on by `relay::forward`, and between two waits carries out commands.
//!
//! The sockets of a pair are waited for only while a relay has them: what comes to a free port wakes nobody.
//!
//! Rejected: to connect a socket to its locked source. It makes a send some 15 % cheaper (0.96 against 1.15 µs on loopback), but
//! then the kernel, not the latch, decides who is heard: the phone couldn't take its latch back, and strangers went
//! uncounted.

mod beside;
mod handed;
mod live;
mod secured;

pub(super) use handed::Handed;

use self::live::{Live, drain, live, receive, unmapped};
use super::fast::FastPath;
use super::handshake::{Given, Handshakes, Way};
use super::ports::{Open, Ports};
use super::voice::Voice;
use super::{Ends, Reporter};
use crate::ice::ANSWER_BYTES_MAX;
use crate::net::clock;
use crate::net::poll::{Events, Interest, Poll, Waker};
use crate::relay::forward::{Channel, Relay};
use crate::relay::{Command, Media, PortPair, RelayId, Report, Said, Side};
use crate::srtp::TRAILER_BYTES_MAX;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// The largest datagram there is: none is cut.
const PACKET_BYTES_MAX: usize = 65_536;
/// Commands carried out between two looks at the packets.
const COMMANDS_A_ROUND: usize = 64;
/// Packets of the voice plane sent between two looks at the packets.
const SAID_A_ROUND: usize = 64;
/// Pairs opened between two looks at the packets: some 10 µs each.
const PAIRS_A_ROUND: usize = 16;
/// How often it is looked who is heard, while there are relays.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How soon a report that found no room is offered again.
const REPORT_AGAIN: Duration = Duration::from_millis(5);

/// The token of the waker: no relay has it.
pub(super) const WAKER: u64 = u64::MAX;

/// All relays of one thread.
pub(super) struct Relays {
    poll: Poll,
    waker: Waker,
    commands: Receiver<Command>,
    /// What handshakes and other threads give.
    given: Receiver<Given>,
    /// To all threads.
    ways: Arc<[Way]>,
    /// Parties that have come before what is said of them, the first first.
    waiting: VecDeque<Handed>,
    voice: Voice,
    open: Open,
    /// Of the first thread only.
    ports: Option<Ports>,
    growth: Option<Growth>,
    report: Reporter,
    /// `None`: no stream is passed on in the kernel.
    fast: Option<Arc<FastPath>>,
    /// Reports that found no room: at most two a relay that was open (none of who is heard is made while any waits), and one growth.
    unreported: VecDeque<Report>,
    /// Where each relay is. Looked into by commands; packets bring their index.
    index: FxHashMap<RelayId, usize>,
    relays: Vec<Option<Live>>,
    vacant: Vec<usize>,
    handshakes: Handshakes,
    buffer: Box<[u8]>,
    /// Of a connectivity check.
    answer: [u8; ANSWER_BYTES_MAX],
}

/// A `Command::Grow` under way.
struct Growth {
    wanted: usize,
    pairs: Vec<PortPair>,
}

/// The four sockets of a relay, as the two low bits of a token.
const SOCKETS: [(Side, Channel); 4] =
    [(Side::A, Channel::Rtp), (Side::A, Channel::Rtcp), (Side::B, Channel::Rtp), (Side::B, Channel::Rtcp)];

/// What the round after a wait found out about the queue of commands.
#[derive(PartialEq, Eq)]
enum Queue {
    Empty,
    MoreToCome,
    Ended,
}

impl Relays {
    pub(super) fn new(
        Ends { queue: commands, poll, waker, given }: Ends,
        ways: Arc<[Way]>,
        voice: Voice,
        handshakes: Handshakes,
        open: Open,
        ports: Option<Ports>,
        report: Reporter,
        fast: Option<Arc<FastPath>>,
    ) -> Relays {
        Relays {
            poll,
            waker,
            commands,
            given,
            ways,
            waiting: VecDeque::new(),
            voice,
            open,
            ports,
            growth: None,
            report,
            fast,
            unreported: VecDeque::new(),
            index: FxHashMap::default(),
            relays: Vec::new(),
            vacant: Vec::new(),
            handshakes,
            buffer: vec![0; PACKET_BYTES_MAX + TRAILER_BYTES_MAX].into_boxed_slice(),
            answer: [0; ANSWER_BYTES_MAX],
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::default();
        let mut queue = Queue::Empty;
        let mut looked = clock::mono();
        loop {
            let timeout = if queue == Queue::MoreToCome || self.growth.is_some() {
                Some(Duration::ZERO)
            } else if !self.unreported.is_empty() {
                Some(REPORT_AGAIN)
            } else if self.index.is_empty() {
                None
            } else {
                Some(LOOK_EVERY)
            };
            if let Err(error) = self.poll.wait(&mut events, timeout) {
                tracing::error!(%error, "a relay thread can't wait for packets, it stops");
                return;
            }
            // One reading of the clock a wait: packets that were ready together came together.
            let now = clock::mono();
            let mut woken = queue == Queue::MoreToCome;
            for (token, _) in events.iter() {
                if token == WAKER {
                    woken = true;
                } else {
                    self.packet(now, token);
                }
            }
            // Commands last: within one wait a token means one relay.
            if woken {
                queue = self.carry_out(now);
            }
            if now.saturating_duration_since(looked) >= LOOK_EVERY {
                looked = now;
                self.look_beside(now);
                self.look(now);
            }
            self.grow();
            self.offer_reports();
            if queue == Queue::Ended {
                return;
            }
        }
    }

    /// Receives one packet and passes it on. If there are more, the next wait says so.
    fn packet(&mut self, now: Instant, token: u64) {
        let Some(Some(live)) = self.relays.get_mut((token >> 2) as usize) else { return };
        let (side, channel) = SOCKETS[(token & 3) as usize];
        let Some(socket) = live.socket(side, channel) else { return };
        // Errors are those of packets sent before (an ICMP answer), or the packet was dropped for its checksum.
        let Some((octets, from)) = receive(socket, &mut self.buffer[..PACKET_BYTES_MAX]) else { return };
        let from = if live.both_families { unmapped(from) } else { from };
        if live.relay.is_secured() {
            return self.secured(now, (token >> 2) as usize, (side, channel), octets, from);
        }
        if self.fast.is_some() && live.carriage.carries() {
            return self.beside(now, (token >> 2) as usize, (side, channel), octets, from);
        }
        let (forward, octets) = live.judge(now, (side, channel), from, &mut self.buffer, octets, &self.voice);
        live.send(forward, &self.buffer[..octets]);
    }

    fn carry_out(&mut self, now: Instant) -> Queue {
        self.waker.clear();
        while let Ok(given) = self.given.try_recv() {
            match given {
                Given::Handshaken(command) => self.command(now, command),
                Given::Handed(handed) => self.handed(now, handed),
            }
        }
        let mut queue = Queue::MoreToCome;
        for _ in 0..COMMANDS_A_ROUND {
            match self.commands.try_recv() {
                Ok(command) => self.command(now, command),
                Err(TryRecvError::Empty) => {
                    queue = Queue::Empty;
                    break;
                }
                Err(TryRecvError::Disconnected) => return Queue::Ended,
            }
        }
        // After the commands: a side is fed by the voice before that speaks.
        if self.speak() == Queue::MoreToCome { Queue::MoreToCome } else { queue }
    }

    /// Sends what the voice plane says. To a relay that is closed already it is said in vain.
    fn speak(&mut self) -> Queue {
        for _ in 0..SAID_A_ROUND {
            let Some(Said { id, side, packet }) = self.voice.said() else { return Queue::Empty };
            if let Some(live) = live(&self.index, &mut self.relays, id) {
                let forward = live.relay.said(side, &packet);
                match self.buffer.get_mut(..packet.len()) {
                    Some(room) if live.relay.is_secured() => {
                        room.copy_from_slice(&packet);
                        live.send_sealed(forward, &mut self.buffer, packet.len());
                    }
                    _ => live.send(forward, &packet),
                }
            }
        }
        Queue::MoreToCome
    }

    fn command(&mut self, now: Instant, command: Command) {
        self.take_back(now, &command);
        match command {
            Command::Open { id, a, b } => self.open(now, id, &a, b.as_ref()),
            Command::Point { id, side, rtp, rtcp, expected } => {
                if let Some(live) = live(&self.index, &mut self.relays, id) {
                    live.point(now, side, (rtp, rtcp), expected);
                    if live.relay.is_secured() {
                        self.begin_handshakes(id, side);
                    }
                }
            }
            Command::Feed { id, side, from } => {
                if let Some(live) = live(&self.index, &mut self.relays, id) {
                    live.relay.feed(side, from);
                }
            }
            Command::Tap { id, side, on } => {
                if let Some(live) = live(&self.index, &mut self.relays, id) {
                    live.relay.tap(now, side, on);
                }
            }
            Command::Secure { id, side, by } => {
                if let Some(live) = live(&self.index, &mut self.relays, id) {
                    live.relay.secure(side, by);
                    self.take_handed(now, id, side);
                    self.begin_handshakes(id, side);
                }
            }
            Command::Renumber { id, side, by } => {
                if let Some(live) = live(&self.index, &mut self.relays, id) {
                    live.relay.renumber(side, by);
                }
            }
            Command::Press { id, side, key } => {
                if let Some(live) = live(&self.index, &mut self.relays, id) {
                    live.relay.press(side, key);
                }
            }
            Command::Handshaken { id, side, channel, of, keys } => {
                if let Some(live) = live(&self.index, &mut self.relays, id) {
                    live.relay.handshaken(side, channel, &of, &keys);
                }
            }
            Command::Succeed { id, by, b } => {
                self.succeed(now, id, by, &b);
                self.unreported.push_back(Report::Closed { id, media: Media::default() });
            }
            Command::HandOver { id, side, to } => self.hand_over(now, (id, side), to),
            Command::Close { id } => {
                let media = self.close(now, id);
                self.unreported.push_back(Report::Closed { id, media });
            }
            Command::Grow { pairs } => {
                if let Some(ports) = &mut self.ports {
                    ports.restart();
                    let growth = self.growth.get_or_insert(Growth { wanted: 0, pairs: Vec::new() });
                    growth.wanted = growth.wanted.saturating_add(pairs);
                }
            }
        }
    }

    fn open(&mut self, now: Instant, id: RelayId, a: &PortPair, b: Option<&PortPair>) {
        let both_families = a.rtp.is_ipv6();
        let pairs = (self.open.pair(a), b.map(|b| self.open.pair(b)));
        let (Some(a), None | Some(Some(_))) = &pairs else {
            tracing::error!(relay = id.0, "a relay between ports that were never opened");
            return;
        };
        let (a, b) = (a.clone(), pairs.1.flatten());
        if self.index.contains_key(&id) {
            tracing::error!(relay = id.0, "a relay was opened twice");
            return;
        }
        let live = Live { id, relay: Relay::new(now), carriage: Box::default(), both_families, a, b };
        let at = self.vacant.pop().unwrap_or_else(|| {
            self.relays.push(None);
            self.relays.len() - 1
        });
        for (bits, (side, channel)) in (0..).zip(SOCKETS) {
            let Some(socket) = live.socket(side, channel) else { continue };
            drain(socket, &mut self.buffer);
            if let Err(error) = self.poll.add(socket, (at as u64) << 2 | bits, Interest::IN) {
                tracing::error!(relay = id.0, %error, "no media: the system refuses to wait for a socket");
            }
        }
        self.index.insert(id, at);
        self.relays[at] = Some(live);
    }

    /// Another name and another pair on side B for a relay.
    fn succeed(&mut self, now: Instant, id: RelayId, by: RelayId, b: &PortPair) {
        let (at, pair) = (self.index.remove(&id), self.open.pair(b));
        let (Some(at), Some(pair)) = (at, pair) else {
            tracing::error!(relay = id.0, "a relay that is not open, or its new ports are not, can't go on");
            return;
        };
        let Some(Some(live)) = self.relays.get_mut(at) else { return };
        for channel in [Channel::Rtp, Channel::Rtcp] {
            if let Some(socket) = live.socket(Side::B, channel) {
                let _ = self.poll.delete(socket); // it fails only where adding had failed
            }
        }
        (live.id, live.b) = (by, Some(pair));
        live.relay.succeed(now);
        for (bits, channel) in [(2, Channel::Rtp), (3, Channel::Rtcp)] {
            let Some(socket) = live.socket(Side::B, channel) else { continue };
            drain(socket, &mut self.buffer);
            if let Err(error) = self.poll.add(socket, (at as u64) << 2 | bits, Interest::IN) {
                tracing::error!(relay = by.0, %error, "no media: the system refuses to wait for a socket");
            }
        }
        self.index.insert(by, at);
        self.handshakes.succeeded(id, by);
    }

    /// A relay that isn't there carried nothing; the switch still waits for the report.
    fn close(&mut self, now: Instant, id: RelayId) -> Media {
        self.waiting.retain(|handed| handed.to.0 != id);
        let Some(at) = self.index.remove(&id) else { return Media::default() };
        let Some(live) = self.relays.get_mut(at).and_then(Option::take) else { return Media::default() };
        for (side, channel) in SOCKETS {
            if let Some(socket) = live.socket(side, channel) {
                // It fails only where adding had failed.
                let _ = self.poll.delete(socket);
            }
        }
        self.vacant.push(at);
        if live.relay.is_secured() {
            self.handshakes.closed(id);
        }
        live.relay.media(now)
    }

    fn grow(&mut self) {
        let (Some(ports), Some(growth)) = (&mut self.ports, &mut self.growth) else { return };
        let mut exhausted = false;
        for _ in 0..PAIRS_A_ROUND.min(growth.wanted - growth.pairs.len()) {
            match ports.open_next() {
                Ok(pair) => growth.pairs.push(pair),
                Err(error) => {
                    // All of a range being open is what a range is for: a call that finds no pair is refused, and that is said.
                    if error.kind() == std::io::ErrorKind::AddrInUse {
                        tracing::info!(
                            open = ports.count(),
                            "all media ports of the range are open; calls share them"
                        );
                    } else {
                        tracing::warn!(%error, open = ports.count(), "the system gives no more media ports");
                    }
                    exhausted = true;
                    break;
                }
            }
        }
        if exhausted || growth.pairs.len() >= growth.wanted {
            let pairs = std::mem::take(&mut growth.pairs);
            self.growth = None;
            self.unreported.push_back(Report::Opened { pairs, exhausted });
        }
    }

    /// Each party may send on; and who is heard in each relay. While signalling is behind, the latter can wait for the next time.
    fn look(&mut self, now: Instant) {
        self.relays.iter_mut().flatten().for_each(|live| live.relay.replenish());
        if !self.unreported.is_empty() {
            return;
        }
        for live in self.relays.iter_mut().flatten() {
            if let Some(audio) = live.relay.look(now) {
                self.unreported.push_back(Report::Audio { id: live.id, audio });
            }
        }
    }

    fn offer_reports(&mut self) {
        while let Some(report) = self.unreported.pop_front() {
            if let Some(report) = (self.report)(report) {
                self.unreported.push_front(report);
                return;
            }
        }
    }
}
