//! The connections of reliable transports: accepted ones and those that we open, with bounds on their number, on what waits to be sent, on
//! handshakes and on silence.
//!
//! ```text
//! socket <-> unsent <-> stack: TLS or not, then a stream or a WebSocket <-> whole messages
//! ```
//!
//! What it is not: it parses no SIP. It gives whole messages out and takes whole messages in.
//!
//! Invariants: a [`ConnectionId`] is never used twice; a connection that ends is reported once, in [`Connections::ended`], and before
//! that once, in [`Connections::known`], if its peer has shown who it is.

mod connection;
mod handshakes;
mod limits;
mod sources;
mod stack;
mod unsent;
mod websocket;

#[cfg(test)]
mod tests;

use crate::clock::Now;
use crate::net::poll::{Interest, Poll};
use crate::net::tls::Tls;
use crate::net::traffic::Traffic;
use crate::sip::stream::Frame;
use crate::sip::{ConnectionId, Flow, ServerName, Transport};
use bytes::Bytes;
use connection::{Connection, End, OpenedBy, Phase};
use handshakes::Handshakes;
pub use limits::Limits;
use rustc_hash::FxHashMap;
use rustls::pki_types::UnixTime;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use sources::Sources;
use stack::{Broken, Stack};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections accepted from one listener between two looks at the others.
const ACCEPTS_A_ROUND: usize = 64;
/// A peer that vanished without a word is found out by the system: probes after this silence.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// Who is expected where we connect to by TLS (RFC 5922 §4).
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Where a server is meant by its name: which that is.
    pub by_name: FxHashMap<ServerName, Arc<str>>,
    /// Where an address is meant: every name that leads there.
    pub by_address: FxHashMap<SocketAddr, Vec<Arc<str>>>,
}

/// By listener, peer, and who has to be there: what a flow without a connection of its own reuses.
type Way = (SocketAddr, SocketAddr, Option<ServerName>);

/// Why a connection is closed at once.
enum Refused {
    /// There are too many, or handshakes under way; or we have no certificate to show.
    NoRoom,
    /// Its source begins handshakes too often.
    TooOften,
}

/// All connections. `tag` in a token tells them from other sockets; the id is the rest.
pub(super) struct Connections {
    limits: Limits,
    tag: u64,
    tls: Arc<Tls>,
    expected: Expected,
    live: FxHashMap<ConnectionId, Connection>,
    /// The newest connection each way. Of secure ones only those that we opened: of others nobody knows whose they are.
    by_peer: FxHashMap<Way, ConnectionId>,
    sources: Sources,
    handshakes: Handshakes,
    next: u64,
    ended: VecDeque<Flow>,
    known: VecDeque<(Flow, Vec<Arc<str>>)>,
}

impl Connections {
    pub(super) fn new(limits: Limits, tag: u64, tls: Arc<Tls>) -> Connections {
        Connections {
            limits,
            tag,
            tls,
            expected: Expected::default(),
            live: FxHashMap::default(),
            by_peer: FxHashMap::default(),
            sources: Sources::default(),
            handshakes: Handshakes::default(),
            next: 1,
            ended: VecDeque::new(),
            known: VecDeque::new(),
        }
    }

    /// Connections from now on show these certificates; those that stand keep theirs.
    pub(super) fn certify(&mut self, tls: Arc<Tls>) {
        self.tls = tls;
    }

    /// Who is expected where, from now on.
    pub(super) fn expect(&mut self, expected: Expected) {
        self.expected = expected;
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

    /// The next peer that has shown by a certificate who it is. Ask before its first message.
    pub(super) fn known(&mut self) -> Option<(Flow, Vec<Arc<str>>)> {
        self.known.pop_front()
    }

    /// Accepts what waits at a listener.
    ///
    /// # Errors
    /// The system has no file descriptor left: the caller has to stop listening for a while.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        poll: &Poll,
        (transport, listener): (Transport, &TcpListener),
        local: SocketAddr,
        traffic: &Traffic,
    ) -> io::Result<()> {
        for _ in 0..ACCEPTS_A_ROUND {
            let (socket, remote) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer went away while it waited.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let stack = match self.admit(now, transport, remote) {
                Ok(stack) => stack,
                Err(refused) => {
                    match refused {
                        Refused::NoRoom => traffic.connections_refused.add(),
                        Refused::TooOften => traffic.handshakes_limited.add(),
                    }
                    continue;
                }
            };
            socket.set_nonblocking(true)?;
            let phase = match stack.is_ready() {
                true => Phase::Silent { since: now },
                false => Phase::Handshaking { since: now },
            };
            let flow = Flow { transport, local, remote, connection: None };
            self.insert(poll, |flow| Connection::new(now, socket, flow, OpenedBy::Peer, phase, stack), flow)?;
            self.sources.add(remote.ip(), matches!(phase, Phase::Handshaking { .. }));
            traffic.connections_accepted.add();
            traffic.connections.set(self.live.len());
        }
        Ok(())
    }

    /// What a new connection begins with, if there is room for it.
    fn admit(&mut self, now: Instant, transport: Transport, remote: SocketAddr) -> Result<Stack, Refused> {
        let (limits, share) = (&self.limits, self.sources.of(remote.ip()));
        if self.live.len() >= limits.connections_max || share.connections >= limits.of_source_max {
            return Err(Refused::NoRoom);
        }
        if transport.is_secure() || transport.is_web() {
            let has_room = self.sources.handshakes() < limits.handshakes_max
                && share.handshakes < limits.handshakes_of_source_max;
            if !has_room {
                return Err(Refused::NoRoom);
            }
            if !self.handshakes.admits(now, remote.ip(), limits) {
                return Err(Refused::TooOften);
            }
        }
        Stack::accepted(transport, &self.tls, limits.unsent_bytes_max).ok_or(Refused::NoRoom)
    }

    /// Sends on the flow's connection; without one, on the newest that stands to that peer, else on one that is opened. A
    /// failure, now or later, comes by [`Connections::ended`].
    pub(super) fn send(&mut self, now: Instant, poll: &Poll, flow: Flow, bytes: Bytes, traffic: &Traffic) {
        let server = flow.connection.and_then(ConnectionId::server);
        let id = match flow.connection.filter(|_| server.is_none()) {
            Some(id) => Some(id),
            None => match self.by_peer.get(&(flow.local, flow.remote, server)) {
                Some(id) => Some(*id),
                None => self.open(now, poll, flow, traffic).ok(),
            },
        };
        let found = id.and_then(|id| Some((id, self.live.get_mut(&id)?)));
        let up = found.filter(|(_, connection)| !matches!(connection.phase, Phase::Leaving { .. }));
        let Some((id, connection)) = up else {
            traffic.wire(flow.transport).send_errors.add();
            self.ended.push_back(flow);
            return;
        };
        match connection.send(poll, self.tag | id.0, bytes, &self.limits) {
            Ok(()) => traffic.wire(flow.transport).sent.add(),
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
        match connection.ready(now, poll, token, interest, buffer, &self.limits) {
            Ok(read) => read,
            Err(end) => {
                self.end(id, end, traffic);
                false
            }
        }
    }

    /// The next whole message of a connection. Pings on the way to it are answered, all of them by one pong, or a stream of
    /// nothing else would cost a system call each (RFC 5626 §3.5.1).
    pub(super) fn message(
        &mut self,
        now: Now,
        poll: &Poll,
        id: ConnectionId,
        traffic: &Traffic,
    ) -> Option<(Flow, Bytes)> {
        let connection = self.live.get_mut(&id)?;
        let mut pinged = false;
        let frame = loop {
            match connection.next(now.mono) {
                Ok(Some(Frame::Ping)) => {
                    traffic.wire(connection.flow.transport).keep_alives.add();
                    pinged = true;
                }
                Ok(Some(Frame::Message(bytes))) => break Ok(Some(bytes)),
                Ok(None) => break Ok(None),
                Err(broken) => break Err(broken),
            }
        };
        let flow = connection.flow;
        if connection.is_just_ready(now.mono, matches!(frame, Ok(Some(_)))) {
            if connection.opened_by == OpenedBy::Peer {
                self.sources.handshake_over(flow.remote.ip());
            }
            let time = Duration::try_from(now.wall.duration_since(jiff::Timestamp::UNIX_EPOCH));
            let time = UnixTime::since_unix_epoch(time.unwrap_or_default());
            let names = self.tls.names_of(connection.stack.certificates(), time);
            if connection.opened_by == OpenedBy::Peer && !names.is_empty() {
                self.known.push_back((flow, names));
            }
        }
        match frame {
            Ok(message) => {
                if pinged {
                    self.send(now.mono, poll, flow, Bytes::from_static(b"\r\n"), traffic);
                } else {
                    self.flush(poll, id, traffic);
                }
                let bytes = message?;
                traffic.wire(flow.transport).received.add();
                Some((flow, bytes))
            }
            Err(broken) => {
                self.leave(now.mono, poll, id, broken, traffic);
                None
            }
        }
    }

    /// What the layers had to say while a message was read.
    fn flush(&mut self, poll: &Poll, id: ConnectionId, traffic: &Traffic) {
        let Some(connection) = self.live.get_mut(&id).filter(|c| !c.unsent.is_empty()) else { return };
        if let Err(end) = connection.flush(poll, self.tag | id.0, &self.limits) {
            self.end(id, end, traffic);
        }
    }

    /// Nothing more comes of it: the flow has failed, and the peer may still hear why.
    fn leave(&mut self, now: Instant, poll: &Poll, id: ConnectionId, broken: Broken, traffic: &Traffic) {
        let Some(connection) = self.live.get_mut(&id) else { return };
        let flow = connection.flow;
        match broken {
            Broken::Unframed(error) => traffic.wire(flow.transport).refused(error),
            Broken::Handshake => traffic.handshakes_failed.add(),
            Broken::Over => {}
        }
        let was = connection.phase;
        match connection.leave(now, poll, self.tag | id.0) {
            Ok(()) => self.report(id, was),
            Err(end) => {
                connection.phase = was;
                self.end(id, end, traffic);
            }
        }
    }

    /// Closes what took too long. To be called every few seconds.
    pub(super) fn sweep(&mut self, now: Instant, traffic: &Traffic) {
        let limits = self.limits;
        let is_late = |(id, c): (&ConnectionId, &Connection)| Some((*id, c.is_late(now, &limits)?));
        let late: Vec<(ConnectionId, End)> = self.live.iter().filter_map(is_late).collect();
        for (id, end) in late {
            self.end(id, end, traffic);
        }
    }

    fn open(&mut self, now: Instant, poll: &Poll, flow: Flow, traffic: &Traffic) -> io::Result<ConnectionId> {
        if self.live.len() >= self.limits.connections_max {
            traffic.connections_refused.add();
            return Err(ErrorKind::QuotaExceeded.into());
        }
        let server = flow.connection.and_then(ConnectionId::server);
        let names = match server {
            // A name that has gone from the rules is nobody's.
            Some(server) => vec![self.expected.by_name.get(&server).ok_or(ErrorKind::NotFound)?.clone()],
            None => {
                // A certificate may be for an address as well; a name that led there goes before it.
                let address = || vec![Arc::from(flow.remote.ip().to_string())];
                self.expected.by_address.get(&flow.remote).cloned().unwrap_or_else(address)
            }
        };
        let stack = Stack::opening(flow.transport, &self.tls, &names, self.limits.unsent_bytes_max)
            .ok_or(ErrorKind::Unsupported)?;
        let socket = Socket::new(Domain::for_address(flow.remote), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        if !flow.local.ip().is_unspecified() {
            // From the listener's address, on any port: firewalls and trunks know us by it.
            socket.bind(&SockAddr::from(SocketAddr::new(flow.local.ip(), 0)))?;
        }
        match socket.connect(&SockAddr::from(flow.remote)) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        // One that stands at once says so by being ready.
        let phase = Phase::Connecting { since: now };
        let socket: TcpStream = socket.into();
        let id = self.insert(
            poll,
            |flow| Connection::new(now, socket, flow, OpenedBy::Us { server }, phase, stack),
            flow,
        )?;
        traffic.connections_opened.add();
        traffic.connections.set(self.live.len());
        Ok(id)
    }

    fn insert(
        &mut self,
        poll: &Poll,
        make: impl FnOnce(Flow) -> Connection,
        flow: Flow,
    ) -> io::Result<ConnectionId> {
        let id = ConnectionId(self.next);
        self.next += 1;
        let connection = make(Flow { connection: Some(id), ..flow });
        // Wishes both: a message waits for no other, and a peer that vanished is noticed.
        let _ = connection.socket.set_nodelay(true);
        let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER / 4);
        let _ = SockRef::from(&connection.socket).set_tcp_keepalive(&keepalive);
        poll.add(&connection.socket, self.tag | id.0, connection.interest())?;
        if !flow.transport.is_secure() || connection.opened_by != OpenedBy::Peer {
            self.by_peer.insert(connection.way(), id);
        }
        self.live.insert(id, connection);
        Ok(id)
    }

    fn end(&mut self, id: ConnectionId, end: End, traffic: &Traffic) {
        let Some(connection) = self.live.get(&id) else { return };
        match end {
            End::Gone => {}
            End::Handshake => traffic.handshakes_failed.add(),
            End::SlowReader => traffic.slow_readers.add(),
            End::Idle => traffic.idle_closed.add(),
        }
        if connection.opened_by != OpenedBy::Peer && !connection.unsent.is_empty() {
            traffic.wire(connection.flow.transport).send_errors.add();
        }
        self.report(id, connection.phase);
        if let Some(connection) = self.live.remove(&id)
            && connection.opened_by == OpenedBy::Peer
        {
            self.sources.remove(connection.flow.remote.ip());
        }
        traffic.connections.set(self.live.len());
    }

    /// The flow has failed. `was`: where the connection stood; one that was left already has been reported.
    fn report(&mut self, id: ConnectionId, was: Phase) {
        let Some(connection) = self.live.get(&id).filter(|_| !matches!(was, Phase::Leaving { .. })) else {
            return;
        };
        let (flow, opened_by) = (connection.flow, connection.opened_by);
        let way = connection.way();
        if self.by_peer.get(&way) == Some(&id) {
            self.by_peer.remove(&way);
        }
        match opened_by {
            OpenedBy::Peer if matches!(was, Phase::Handshaking { .. }) => {
                self.sources.handshake_over(flow.remote.ip());
            }
            OpenedBy::Peer => {}
            // What was sent to a server by name waits for it alone.
            OpenedBy::Us { server: Some(server) } => {
                self.ended.push_back(Flow { connection: Some(ConnectionId::to_server(server)), ..flow });
            }
            // Nothing has arrived of what was sent before the handshake ended.
            OpenedBy::Us { server: None } => {
                if !connection.unsent.is_empty() || !matches!(was, Phase::Up) {
                    self.ended.push_back(Flow { connection: None, ..flow });
                }
            }
        }
        self.ended.push_back(flow);
    }
}
