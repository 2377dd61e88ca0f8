//! The connections of reliable transports: accepted ones and those that we open, framed, with bounds on what waits to be
//! sent, on silence, and on their number.
//!
//! What it is not: it parses no SIP. It gives whole messages out and takes whole messages in.
//!
//! Invariants: a [`ConnectionId`] is never used twice; a connection that ends is reported once, in [`Connections::ended`].

use crate::net::poll::{Interest, Poll};
use crate::net::traffic::Traffic;
use crate::sip::stream::{Frame, Framer};
use crate::sip::{ConnectionId, Flow, Transport};
use bytes::{Buf, Bytes};
use rustc_hash::FxHashMap;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// What connections are held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// One more is closed at once.
    pub(super) connections_max: usize,
    /// A peer that lets more than this wait is closed: it doesn't read.
    pub(super) unsent_bytes_max: usize,
    /// A connection that we open has to stand by then.
    pub(super) connect_within: Duration,
    /// A message that began has to end by then, and the first one has to come by then.
    pub(super) message_within: Duration,
    /// A connection that says nothing for so long is closed. Longer than a registration that is refreshed in time.
    pub(super) silence_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 20_000,
            unsent_bytes_max: 256 * 1024,
            connect_within: Duration::from_secs(10),
            message_within: Duration::from_secs(30),
            silence_max: Duration::from_secs(2 * 3600),
        }
    }
}

/// Connections accepted from one listener between two looks at the others.
const ACCEPTS_A_ROUND: usize = 64;
/// A peer that vanished without a word is found out by the system: probes after this silence.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// All connections. `tag` in a token tells them from other sockets; the id is the rest.
pub(super) struct Connections {
    limits: Limits,
    tag: u64,
    live: FxHashMap<ConnectionId, Connection>,
    /// The newest connection by listener and peer: what a flow without a connection reuses.
    by_peer: FxHashMap<(SocketAddr, SocketAddr), ConnectionId>,
    next: u64,
    ended: VecDeque<Flow>,
}

struct Connection {
    stream: TcpStream,
    flow: Flow,
    phase: Phase,
    opened_by: OpenedBy,
    framer: Framer,
    /// Since when a message is incomplete, or the first one awaited.
    awaiting: Option<Instant>,
    heard: Instant,
    unsent: VecDeque<Bytes>,
    unsent_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting { since: Instant },
    Up,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenedBy {
    Peer,
    Us,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Closed or broken by the peer, or not framed any longer.
    Gone,
    SlowReader,
    Idle,
}

impl Connections {
    pub(super) fn new(limits: Limits, tag: u64) -> Connections {
        Connections {
            limits,
            tag,
            live: FxHashMap::default(),
            by_peer: FxHashMap::default(),
            next: 1,
            ended: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// The next flow that failed since the last call. A connection of ours that had something unsent fails by both its
    /// names: with its id, and without, as the sender named it.
    pub(super) fn ended(&mut self) -> Option<Flow> {
        self.ended.pop_front()
    }

    pub(super) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Accepts what waits at a listener.
    ///
    /// # Errors
    /// The system has no file descriptor left: the caller has to stop listening for a while.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        poll: &Poll,
        listener: &TcpListener,
        local: SocketAddr,
        traffic: &Traffic,
    ) -> io::Result<()> {
        for _ in 0..ACCEPTS_A_ROUND {
            let (stream, remote) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer went away while it waited.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            if self.live.len() >= self.limits.connections_max {
                traffic.connections_refused.add();
                continue;
            }
            stream.set_nonblocking(true)?;
            self.insert(now, poll, stream, local, remote, Phase::Up, OpenedBy::Peer)?;
            traffic.connections_accepted.add();
            traffic.connections.set(self.live.len());
        }
        Ok(())
    }

    /// Sends on the flow's connection; without one, on the newest that stands to that peer, else on one that is opened. A
    /// failure, now or later, comes by [`Connections::ended`].
    pub(super) fn send(&mut self, now: Instant, poll: &Poll, flow: Flow, bytes: Bytes, traffic: &Traffic) {
        let id = match flow.connection {
            Some(id) => Some(id),
            None => match self.by_peer.get(&(flow.local, flow.remote)) {
                Some(id) => Some(*id),
                None => self.open(now, poll, flow, traffic).ok(),
            },
        };
        let Some((id, connection)) = id.and_then(|id| Some((id, self.live.get_mut(&id)?))) else {
            traffic.tcp.send_errors.add();
            self.ended.push_back(flow);
            return;
        };
        let token = self.tag | id.0;
        match connection.send(poll, token, bytes, self.limits.unsent_bytes_max) {
            Ok(()) => traffic.tcp.sent.add(),
            Err(end) => self.end(id, end, traffic),
        }
    }

    /// The socket of a connection is ready. True where something was read.
    pub(super) fn ready(
        &mut self,
        now: Instant,
        poll: &Poll,
        id: ConnectionId,
        interest: Interest,
        buffer: &mut [u8],
        traffic: &Traffic,
    ) -> bool {
        let token = self.tag | id.0;
        let Some(connection) = self.live.get_mut(&id) else { return false };
        connection.ready(now, poll, token, interest, buffer).unwrap_or_else(|end| {
            self.end(id, end, traffic);
            false
        })
    }

    /// The next whole message of a connection. Pings on the way to it are answered, all of them by one pong, or a stream of
    /// nothing else would cost a system call each (RFC 5626 §3.5.1).
    pub(super) fn message(
        &mut self,
        now: Instant,
        poll: &Poll,
        id: ConnectionId,
        traffic: &Traffic,
    ) -> Option<(Flow, Bytes)> {
        let connection = self.live.get_mut(&id)?;
        let mut pinged = false;
        let frame = loop {
            match connection.framer.next() {
                Ok(Some(Frame::Ping)) => {
                    traffic.tcp.keep_alives.add();
                    pinged = true;
                }
                Ok(Some(Frame::Message(bytes))) => break Ok(Some(bytes)),
                Ok(None) => break Ok(None),
                Err(error) => break Err(error),
            }
        };
        let flow = connection.flow;
        match &frame {
            Ok(Some(_)) => {
                traffic.tcp.received.add();
                connection.awaiting = None;
            }
            Ok(None) if connection.framer.is_amid_message() => {
                connection.awaiting.get_or_insert(now);
            }
            Ok(None) => {}
            Err(error) => {
                traffic.tcp.refused(*error);
                self.end(id, End::Gone, traffic);
            }
        }
        if pinged && frame.is_ok() {
            self.send(now, poll, flow, Bytes::from_static(b"\r\n"), traffic);
        }
        frame.ok().flatten().map(|bytes| (flow, bytes))
    }

    /// Closes what took too long. To be called every few seconds.
    pub(super) fn sweep(&mut self, now: Instant, traffic: &Traffic) {
        let limits = self.limits;
        let over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let late: Vec<ConnectionId> = self
            .live
            .iter()
            .filter(|(_, connection)| match connection.phase {
                Phase::Connecting { since } => over(since, limits.connect_within),
                Phase::Up => {
                    over(connection.heard, limits.silence_max)
                        || connection.awaiting.is_some_and(|since| over(since, limits.message_within))
                }
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.end(id, End::Idle, traffic);
        }
    }

    fn open(&mut self, now: Instant, poll: &Poll, flow: Flow, traffic: &Traffic) -> io::Result<ConnectionId> {
        if self.live.len() >= self.limits.connections_max {
            traffic.connections_refused.add();
            return Err(ErrorKind::QuotaExceeded.into());
        }
        let socket = Socket::new(Domain::for_address(flow.remote), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        if !flow.local.ip().is_unspecified() {
            // From the listener's address, on any port: firewalls and trunks know us by it.
            socket.bind(&SockAddr::from(SocketAddr::new(flow.local.ip(), 0)))?;
        }
        let phase = match socket.connect(&SockAddr::from(flow.remote)) {
            Ok(()) => Phase::Up,
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                Phase::Connecting { since: now }
            }
            Err(error) => return Err(error),
        };
        let id = self.insert(now, poll, socket.into(), flow.local, flow.remote, phase, OpenedBy::Us)?;
        traffic.connections_opened.add();
        traffic.connections.set(self.live.len());
        Ok(id)
    }

    #[allow(clippy::too_many_arguments)] // the two callers differ in all of them
    fn insert(
        &mut self,
        now: Instant,
        poll: &Poll,
        stream: TcpStream,
        local: SocketAddr,
        remote: SocketAddr,
        phase: Phase,
        opened_by: OpenedBy,
    ) -> io::Result<ConnectionId> {
        // Wishes both: a message waits for no other, and a peer that vanished is noticed.
        let _ = stream.set_nodelay(true);
        let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER / 4);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        let id = ConnectionId(self.next);
        self.next += 1;
        let connection = Connection {
            stream,
            flow: Flow { transport: Transport::Tcp, local, remote, connection: Some(id) },
            phase,
            opened_by,
            framer: Framer::default(),
            awaiting: (opened_by == OpenedBy::Peer).then_some(now),
            heard: now,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
        };
        poll.add(&connection.stream, self.tag | id.0, connection.interest())?;
        self.by_peer.insert((local, remote), id);
        self.live.insert(id, connection);
        Ok(id)
    }

    fn end(&mut self, id: ConnectionId, end: End, traffic: &Traffic) {
        let Some(connection) = self.live.remove(&id) else { return };
        let flow = connection.flow;
        if self.by_peer.get(&(flow.local, flow.remote)) == Some(&id) {
            self.by_peer.remove(&(flow.local, flow.remote));
        }
        match end {
            End::Gone => {}
            End::SlowReader => traffic.slow_readers.add(),
            End::Idle => traffic.idle_closed.add(),
        }
        traffic.connections.set(self.live.len());
        if connection.opened_by == OpenedBy::Us && connection.unsent_bytes > 0 {
            traffic.tcp.send_errors.add();
            self.ended.push_back(Flow { connection: None, ..flow });
        }
        self.ended.push_back(flow);
    }
}

impl Connection {
    /// What is waited for, as the phase and the unsent bytes have it.
    fn interest(&self) -> Interest {
        match self.phase {
            Phase::Connecting { .. } => Interest::OUT,
            Phase::Up if self.unsent.is_empty() => Interest::IN,
            Phase::Up => Interest::IN | Interest::OUT,
        }
    }

    fn send(&mut self, poll: &Poll, token: u64, bytes: Bytes, unsent_bytes_max: usize) -> Result<(), End> {
        let nothing_waits = self.unsent.is_empty();
        self.unsent_bytes += bytes.len();
        self.unsent.push_back(bytes);
        if nothing_waits && self.phase == Phase::Up {
            self.flush()?;
            if !self.unsent.is_empty() {
                poll.modify(&self.stream, token, self.interest()).map_err(|_| End::Gone)?;
            }
        }
        if self.unsent_bytes > unsent_bytes_max { Err(End::SlowReader) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), End> {
        while let Some(front) = self.unsent.front_mut() {
            match self.stream.write(front) {
                Ok(written) => {
                    self.unsent_bytes -= written;
                    front.advance(written);
                    if front.is_empty() {
                        self.unsent.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Gone),
            }
        }
        Ok(())
    }

    /// True where something was read. One read: if there is more, the next wait says so.
    fn ready(
        &mut self,
        now: Instant,
        poll: &Poll,
        token: u64,
        interest: Interest,
        buffer: &mut [u8],
    ) -> Result<bool, End> {
        if let Phase::Connecting { .. } = self.phase {
            if !matches!(self.stream.take_error(), Ok(None)) {
                return Err(End::Gone);
            }
            self.phase = Phase::Up;
            self.heard = now;
        }
        if interest.contains(Interest::OUT) {
            self.flush()?;
            poll.modify(&self.stream, token, self.interest()).map_err(|_| End::Gone)?;
        }
        if !interest.intersects(Interest::IN | Interest::HUP | Interest::ERR) {
            return Ok(false);
        }
        match self.stream.read(buffer) {
            Ok(0) => Err(End::Gone),
            Ok(octets) => {
                self.heard = now;
                self.framer.push(buffer.get(..octets).unwrap_or_default());
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(_) => Err(End::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::poll::Events;

    const TIGHT: Limits = Limits {
        connections_max: 2,
        unsent_bytes_max: 1024,
        connect_within: Duration::from_secs(10),
        message_within: Duration::from_secs(30),
        silence_max: Duration::from_secs(3600),
    };

    struct World {
        poll: Poll,
        listener: TcpListener,
        local: SocketAddr,
        connections: Connections,
        traffic: Traffic,
        now: Instant,
    }

    #[allow(clippy::disallowed_methods)] // some instant to count from
    fn world() -> World {
        let poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        poll.add(&listener, 0, Interest::IN).unwrap();
        let local = listener.local_addr().unwrap();
        let connections = Connections::new(TIGHT, 1 << 56);
        World { poll, listener, local, connections, traffic: Traffic::default(), now: Instant::now() }
    }

    impl World {
        fn connect(&mut self) -> TcpStream {
            let stream = TcpStream::connect(self.local).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            self.turn();
            stream
        }

        /// One wait, and what follows from it.
        fn turn(&mut self) {
            let mut events = Events::default();
            let mut buffer = vec![0; 65_536];
            self.poll.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
            for (token, interest) in events.iter() {
                if token == 0 {
                    let (listener, traffic) = (&self.listener, &self.traffic);
                    self.connections.accept(self.now, &self.poll, listener, self.local, traffic).unwrap();
                    continue;
                }
                let id = ConnectionId(token & 0xffff);
                let (poll, traffic) = (&self.poll, &self.traffic);
                if self.connections.ready(self.now, poll, id, interest, &mut buffer, traffic) {
                    while self.connections.message(self.now, poll, id, traffic).is_some() {}
                }
            }
        }

        fn after(&mut self, seconds: u64) -> usize {
            self.connections.sweep(self.now + Duration::from_secs(seconds), &self.traffic);
            self.connections.live.len()
        }
    }

    #[test]
    fn a_connection_too_many_is_closed_at_once() {
        let mut world = world();
        let _kept = [world.connect(), world.connect()];
        let mut third = world.connect();
        assert_eq!(third.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(world.traffic.connections_refused.value(), 1);
        assert_eq!(world.connections.live.len(), 2);
    }

    #[test]
    fn who_connects_and_says_nothing_is_closed() {
        let mut world = world();
        let _silent = world.connect();
        assert_eq!(world.after(29), 1);
        assert_eq!(world.after(30), 0);
        assert!(world.connections.ended().is_some());
    }

    #[test]
    fn a_message_that_does_not_end_is_not_awaited_for_ever() {
        let mut world = world();
        let mut stream = world.connect();
        stream.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\nOPTIONS").unwrap();
        world.turn();
        assert_eq!(world.after(29), 1);
        assert_eq!(world.after(30), 0);
    }

    #[test]
    fn a_phone_that_has_spoken_may_be_silent_for_long() {
        let mut world = world();
        let mut stream = world.connect();
        stream.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n").unwrap();
        world.turn();
        assert_eq!(world.after(3599), 1);
        assert_eq!(world.after(3600), 0);
        assert_eq!(world.traffic.idle_closed.value(), 1);
    }

    #[test]
    fn what_we_opened_and_could_not_send_fails_by_both_names() {
        let mut world = world();
        let flow =
            Flow { transport: Transport::Tcp, local: world.local, remote: world.local, connection: None };
        let bytes = Bytes::from_static(b"x");
        world.connections.send(world.now, &world.poll, flow, bytes, &world.traffic);
        // It stands in the queue of a listener that hasn't accepted; nobody waited for the socket yet.
        assert_eq!(world.after(10), 0);
        let failed: Vec<_> = std::iter::from_fn(|| world.connections.ended()).collect();
        assert_eq!(failed.first(), Some(&flow));
        assert_eq!(failed.get(1).map(|flow| flow.connection), Some(Some(ConnectionId(1))));
    }
}
