//! The signalling thread: waits for sockets, the queue and the switch's deadline; gives the switch one input at a time and
//! carries out its actions before the next.

use super::Sinks;
use super::connections::{Connections, Expected};
use super::machine::Machine;
use super::pace::Pace;
use super::sieve::{Sieve, filter};
use crate::clock::Now;
use crate::net::clock;
use crate::net::listen::{Bound, Listener};
use crate::net::media;
use crate::net::poll::{Events, Interest, Poll, Waker};
use crate::net::tls::Tls;
use crate::net::traffic::Traffic;
use crate::net::voice;
use crate::relay::Report;
use crate::sip::parse::MESSAGE_BYTES_MAX;
use crate::sip::{ConnectionId, Flow, Message, Transport, stun};
use crate::switch::backlog::{Backlog, Class, Next};
use crate::switch::{Action, Input};
use crate::voice::Report as VoiceReport;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Datagrams taken from one socket between two looks at the others: what comes while a crowd is worked on for [`WORK_FOR`] is far less.
const DATAGRAMS_A_ROUND: usize = 1_024;
/// So many datagrams of one socket, or sockets that are ready, are a crowd: what is new waits until everything has been looked at.
const CROWD: usize = 64;
/// How long what waits is worked on between two looks at the sockets, so that the kernel has room for what comes.
const WORK_FOR: Duration = Duration::from_millis(1);
/// Inputs and queries taken from the queue between two looks at the sockets.
const WORK_A_ROUND: usize = 256;
/// Received datagrams share blocks of this size, so that few of them cost an allocation. A message that is kept keeps its
/// block: larger blocks would let one long call hold many strangers' bytes.
const BLOCK_BYTES: usize = 16 * 1024;
/// Timers are looked at no more often than this: each transaction leaves several behind, and a wake for each would cost more than the
/// message did. RFC 3261's shortest is 500 ms.
const TIMER_SLACK: Duration = Duration::from_millis(10);
/// How often connections are looked at for silence, and a listener that had no file descriptor left is tried again.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How soon a voice thread that is behind is given again what waits for it.
const VOICE_AGAIN: Duration = Duration::from_millis(5);

/// Tokens: what kind of socket in the upper byte, which one below.
const UDP: u64 = 1 << 56;
const STREAM_LISTENER: u64 = 2 << 56;
const CONNECTION: u64 = 3 << 56;
const KIND: u64 = 0xff << 56;
pub(super) const WAKER: u64 = 4 << 56;

type Question<M> = Box<dyn FnOnce(&mut M, Now) + Send>;

/// What other threads put into the queue.
pub(super) enum Work<M> {
    Input(Box<Input>),
    Media(Report),
    Voice(VoiceReport),
    Query(Question<M>),
    /// What new connections show, and whom they believe.
    Certificates(Arc<Tls>),
    /// Who is at the addresses that we connect to by TLS.
    Expected(Expected),
    Stop,
}

/// What a look into the queue found out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    Empty,
    MoreToCome,
    Ended,
}

/// The thread's whole state.
pub(super) struct Edge<M, S> {
    machine: M,
    sinks: S,
    /// Ends before the relay threads that it speaks through.
    voice: voice::Plane,
    media: media::Plane,
    media_broken: bool,
    poll: Poll,
    waker: Waker,
    work: Receiver<Work<M>>,
    listeners: Vec<(SocketAddr, Listener)>,
    /// Listeners for streams that had no file descriptor left, by index; tried again at the next sweep.
    paused: Vec<usize>,
    connections: Connections,
    swept: Option<Instant>,
    pace: Pace,
    /// Datagrams of one socket, on their way to be read.
    taken: Vec<(Flow, Bytes)>,
    /// More has come than is done at once: what is new waits here.
    backlog: Backlog<(Flow, Bytes)>,
    crowded: bool,
    sieve: Sieve,
    /// Inputs of this round.
    inputs: u32,
    /// When the machine's timers were last looked at.
    timed: Option<Instant>,
    /// UDP flows that failed, to be told to the machine.
    failed: VecDeque<Flow>,
    actions: Vec<Action>,
    buffer: Box<[u8]>,
    block: BytesMut,
    traffic: Arc<Traffic>,
}

impl<M: Machine, S: Sinks> Edge<M, S> {
    #[allow(clippy::too_many_arguments)] // all that one thread owns, once
    pub(super) fn new(
        machine: M,
        sinks: S,
        media: media::Plane,
        voice: voice::Plane,
        poll: Poll,
        waker: Waker,
        work: Receiver<Work<M>>,
        bound: Bound,
        traffic: Arc<Traffic>,
    ) -> io::Result<Edge<M, S>> {
        for (n, (_, listener)) in (0..).zip(&bound.listeners) {
            match listener {
                Listener::Udp(socket) => poll.add(socket, UDP | n, Interest::IN)?,
                Listener::Stream(_, listener) => poll.add(listener, STREAM_LISTENER | n, Interest::IN)?,
            }
        }
        let connections = Connections::new(bound.limits, CONNECTION, bound.tls);
        Ok(Edge {
            machine,
            sinks,
            voice,
            media,
            media_broken: false,
            poll,
            waker,
            work,
            listeners: bound.listeners,
            paused: Vec::new(),
            connections,
            swept: None,
            pace: Pace::default(),
            taken: Vec::new(),
            backlog: Backlog::default(),
            crowded: false,
            sieve: Sieve::default(),
            inputs: 0,
            timed: None,
            failed: VecDeque::new(),
            actions: Vec::new(),
            buffer: vec![0; MESSAGE_BYTES_MAX + 1].into_boxed_slice(),
            block: BytesMut::new(),
            traffic,
        })
    }

    /// Gives the machine what it has to know `first`, then runs until it is told to stop.
    pub(super) fn run(mut self, first: Vec<Input>) {
        let mut events = Events::default();
        let mut queue = Queue::Empty;
        let mut now = clock::now();
        for input in first {
            self.input(now, input);
        }
        self.media.wake();
        loop {
            if self.backlog.is_empty()
                && let Some(rest) = self.pace.rest(clock::mono)
            {
                clock::rest(rest);
            }
            if let Err(error) = self.poll.wait(&mut events, self.timeout(now, queue)) {
                tracing::error!(%error, "the signalling thread can't wait for its sockets, it stops");
                return;
            }
            now = clock::now();
            self.inputs = 0;
            self.crowded = !self.backlog.is_empty() || self.sieve.is_on() || events.iter().count() >= CROWD;
            let mut woken = queue == Queue::MoreToCome;
            for (token, interest) in events.iter() {
                match token & KIND {
                    UDP => self.datagrams(now, (token & !KIND) as usize),
                    STREAM_LISTENER => self.accept(now, (token & !KIND) as usize),
                    CONNECTION => self.stream(now, ConnectionId(token & !KIND), interest),
                    _ => woken = true,
                }
            }
            if woken {
                queue = self.queued(now);
            }
            self.timers(now);
            self.tell_failures(now);
            self.catch_up(now);
            self.sift(now);
            self.media.wake();
            self.media_broken |= self.voice.pass_on().is_err();
            self.pace.round(now.mono, self.inputs);
            if queue == Queue::Ended {
                return;
            }
            if self.media_broken {
                // Calls without media are worse than a restart: with this thread ended, the watchdog sees to that.
                tracing::error!("a relay thread has ended, so the signalling thread stops");
                return;
            }
        }
    }

    /// How long nothing has to be done.
    fn timeout(&self, now: Now, queue: Queue) -> Option<Duration> {
        if queue == Queue::MoreToCome
            || !self.backlog.is_empty()
            || !self.failed.is_empty()
            || self.connections.has_ended()
        {
            return Some(Duration::ZERO);
        }
        let deadline =
            self.machine.deadline().map(|at| self.timed.map_or(at, |timed| at.max(timed + TIMER_SLACK)));
        let sweep = self.swept.map(|swept| swept + SWEEP_EVERY);
        let again = self.voice.is_behind().then(|| now.mono + VOICE_AGAIN);
        let next = deadline.into_iter().chain(sweep).chain(again).chain(self.sieve.deadline()).min();
        next.map(|next| next.saturating_duration_since(now.mono))
    }

    fn datagrams(&mut self, now: Now, n: usize) {
        for _ in 0..DATAGRAMS_A_ROUND {
            let Some((local, Listener::Udp(socket))) = self.listeners.get(n) else { break };
            let (octets, remote) = match socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An ICMP answer to something that was sent before, or a bad checksum: the next one may be sound.
                Err(_) => continue,
            };
            let flow = Flow { transport: Transport::Udp, local: *local, remote, connection: None };
            self.traffic.udp.received.add();
            if stun::is_request(&self.buffer) {
                self.seen(flow, octets);
                continue;
            }
            if self.block.capacity() < octets {
                self.block = BytesMut::with_capacity(BLOCK_BYTES.max(octets));
            }
            self.block.extend_from_slice(self.buffer.get(..octets).unwrap_or_default());
            let bytes = self.block.split().freeze();
            self.taken.push((flow, bytes));
        }
        self.crowded |= self.taken.len() >= CROWD;
        let mut taken = std::mem::take(&mut self.taken);
        for (flow, bytes) in taken.drain(..) {
            self.message(now, flow, bytes);
        }
        self.taken = taken;
    }

    /// RFC 5626 §3.5.2: a phone asks by which address it is seen, and keeps its way through NAT open by asking.
    fn seen(&mut self, flow: Flow, octets: usize) {
        self.traffic.udp.keep_alives.add();
        if let Some(answer) = stun::answer(self.buffer.get(..octets).unwrap_or_default(), flow.remote) {
            self.send_datagram(flow, &answer);
        }
    }

    fn accept(&mut self, now: Now, n: usize) {
        let Some((local, Listener::Stream(transport, listener))) = self.listeners.get(n) else { return };
        let from = (*transport, listener);
        if let Err(error) = self.connections.accept(now.mono, &self.poll, from, *local, &self.traffic) {
            // It would be reported as ready again and again.
            tracing::warn!(%error, listener = %local, "connections can't be accepted for a while");
            let _ = self.poll.modify(listener, STREAM_LISTENER | n as u64, Interest::empty());
            self.paused.push(n);
        }
        self.swept.get_or_insert(now.mono);
    }

    fn stream(&mut self, now: Now, id: ConnectionId, interest: Interest) {
        let read =
            self.connections.ready(now.mono, &self.poll, id, interest, &mut self.buffer, &self.traffic);
        if !read {
            return;
        }
        while let Some((flow, bytes)) = self.connections.message(now, &self.poll, id, &self.traffic) {
            self.tell_known(now);
            self.message(now, flow, bytes);
        }
        // Of one that says nothing more as well: its end is told next.
        self.tell_known(now);
    }

    fn tell_known(&mut self, now: Now) {
        while let Some((flow, names)) = self.connections.known() {
            self.input(now, Input::PeerKnown { flow, names });
        }
    }

    fn message(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        if !self.machine.admits(now, &flow, &bytes) {
            return; // counted by the machine
        }
        if !self.crowded {
            return self.read(now, flow, bytes);
        }
        match self.machine.class(now, &flow, &bytes) {
            Class::Begun => self.read(now, flow, bytes),
            Class::Spent => {}
            class => {
                self.sieve.came(flow.transport, class, &bytes);
                if let Err((flow, bytes)) = self.backlog.put(now.mono, class, (flow, bytes)) {
                    self.refuse(now, class, flow, bytes);
                }
            }
        }
    }

    /// Works on what waits, for a while.
    fn catch_up(&mut self, now: Now) {
        let mut began = None;
        while !self.backlog.is_empty() {
            let at = clock::mono();
            if at.saturating_duration_since(*began.get_or_insert(at)) >= WORK_FOR {
                return;
            }
            match self.backlog.next(at) {
                Some(Next::Do(class, (flow, bytes))) => {
                    self.sieve.done(flow.transport, class, &bytes);
                    self.read(now, flow, bytes);
                }
                Some(Next::Refuse(class, (flow, bytes))) => self.refuse(now, class, flow, bytes),
                None => return,
            }
        }
    }

    /// Settles what the kernel lets through of what is new.
    fn sift(&mut self, now: Now) {
        let mut numbers = None;
        let tells = || {
            numbers = self.machine.emergency_numbers().filter(|numbers| filter::can_tell(numbers));
            numbers.is_some()
        };
        let Some(shares) = self.sieve.turn(now.mono, tells) else { return };
        if let Err((local, error)) = filter::apply(udp_sockets(&self.listeners), shares, numbers.as_deref()) {
            tracing::warn!(%error, listener = %local, "the kernel takes no socket filter, so all that is too much is read");
            self.sieve.give_up(now.mono);
        }
        self.traffic.sieve.set(usize::from(self.sieve.is_on()));
    }

    fn refuse(&mut self, now: Now, class: Class, flow: Flow, bytes: Bytes) {
        self.sieve.refused(flow.transport, class, &bytes);
        let mut actions = std::mem::take(&mut self.actions);
        self.machine.refuse(now, class, flow, bytes, &mut actions);
        self.carry_out(now, actions);
    }

    fn read(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        match Message::parse(bytes) {
            Ok(message) => {
                self.tell_failures(now);
                self.input(now, Input::Packet { flow, message });
            }
            // RFC 3261 §18.3: what can't be answered is dropped. It is counted, and that is all it costs.
            Err(error) => self.traffic.wire(flow.transport).refused(error),
        }
    }

    fn queued(&mut self, now: Now) -> Queue {
        self.waker.clear();
        for _ in 0..WORK_A_ROUND {
            match self.work.try_recv() {
                Ok(Work::Input(input)) => {
                    self.tell_failures(now);
                    self.input(now, *input);
                }
                Ok(Work::Media(report)) => self.input(now, Input::Media(report)),
                Ok(Work::Voice(report)) => self.input(now, Input::Voice(report)),
                Ok(Work::Query(question)) => question(&mut self.machine, now),
                Ok(Work::Certificates(tls)) => self.connections.certify(tls),
                Ok(Work::Expected(expected)) => self.connections.expect(expected),
                Ok(Work::Stop) | Err(TryRecvError::Disconnected) => return Queue::Ended,
                Err(TryRecvError::Empty) => return Queue::Empty,
            }
        }
        Queue::MoreToCome
    }

    fn timers(&mut self, now: Now) {
        let rested = self.timed.is_none_or(|timed| now.mono >= timed + TIMER_SLACK);
        if rested && self.machine.deadline().is_some_and(|deadline| deadline <= now.mono) {
            self.timed = Some(now.mono);
            self.tell_failures(now);
            self.input(now, Input::Timeout);
        }
        if self.swept.is_some_and(|swept| now.mono.saturating_duration_since(swept) >= SWEEP_EVERY) {
            self.connections.sweep(now.mono, &self.traffic);
            for n in std::mem::take(&mut self.paused) {
                if let Some((_, Listener::Stream(_, listener))) = self.listeners.get(n) {
                    let _ = self.poll.modify(listener, STREAM_LISTENER | n as u64, Interest::IN);
                }
            }
            self.swept = (!self.connections.is_empty()).then_some(now.mono);
        }
    }

    /// Tells the machine which flows failed: those known by now, before it does anything else. A connection to a server is known by that server's
    /// name: what opens the next one must not hear of the end of the last. What fails by being told is told the next time, so that a machine
    /// that answers each failure by another send still leaves time for everything else.
    fn tell_failures(&mut self, now: Now) {
        while let Some(flow) = self.connections.ended() {
            self.failed.push_back(flow);
        }
        for _ in 0..self.failed.len() {
            if let Some(flow) = self.failed.pop_front() {
                self.input(now, Input::FlowFailed { flow });
            }
        }
    }

    fn input(&mut self, now: Now, input: Input) {
        self.inputs += 1;
        let mut actions = std::mem::take(&mut self.actions);
        self.machine.handle(now, input, &mut actions);
        self.carry_out(now, actions);
    }

    fn carry_out(&mut self, now: Now, mut actions: Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Send { flow, bytes } => self.send(now, flow, bytes),
                Action::Media(command) => self.media_broken |= self.media.queue(command).is_err(),
                Action::Voice(command) => self.media_broken |= self.voice.command(command).is_err(),
                Action::Binding(change) => self.sinks.binding(change),
                Action::Spent(usage) => self.sinks.spent(usage),
                Action::Event(event) => self.sinks.event(event),
                Action::Noticed(finished) => self.sinks.noticed(finished),
                Action::Drained => self.sinks.drained(),
            }
        }
        self.actions = actions;
    }

    fn send(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        match flow.transport {
            Transport::Udp => self.send_datagram(flow, &bytes),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                self.connections.send(now.mono, &self.poll, flow, bytes, &self.traffic);
                self.swept.get_or_insert(now.mono);
            }
        }
    }

    fn send_datagram(&mut self, flow: Flow, bytes: &[u8]) {
        let sent = match udp(&self.listeners, flow.local) {
            Some(socket) => socket.send_to(bytes, flow.remote),
            None => Err(ErrorKind::AddrNotAvailable.into()),
        };
        let Err(error) = sent else { return self.traffic.udp.sent.add() };
        self.traffic.udp.send_errors.add();
        match error.kind() {
            // No room, or the answer to an earlier datagram: lost as datagrams are; the transaction sends it again.
            ErrorKind::WouldBlock | ErrorKind::OutOfMemory | ErrorKind::ConnectionRefused => {}
            // RFC 3261 §18.4: the transaction layer is told.
            _ => self.failed.push_back(flow),
        }
    }
}

fn udp(listeners: &[(SocketAddr, Listener)], local: SocketAddr) -> Option<&UdpSocket> {
    udp_sockets(listeners).find_map(|(address, socket)| (address == local).then_some(socket))
}

fn udp_sockets(
    listeners: &[(SocketAddr, Listener)],
) -> impl Iterator<Item = (SocketAddr, &UdpSocket)> + Clone {
    listeners.iter().filter_map(|(address, listener)| match listener {
        Listener::Udp(socket) => Some((*address, socket)),
        Listener::Stream(..) => None,
    })
}
