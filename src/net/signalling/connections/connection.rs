//! One connection: its socket, what stands on it, and where it is in its life.

use super::Way;
use super::limits::Limits;
use super::stack::{Broken, Stack};
use super::unsent::Unsent;
use crate::net::poll::{Interest, Poll};
use crate::sip::stream::Frame;
use crate::sip::{Flow, ServerName};
use bytes::Bytes;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Closed or broken by the peer, or left by us.
    Gone,
    /// A handshake went wrong, or took too long.
    Handshake,
    SlowReader,
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Opened by us, and not there yet.
    Connecting {
        since: Instant,
    },
    /// TLS or WebSocket are agreed on.
    Handshaking {
        since: Instant,
    },
    /// Accepted, and nothing was said yet.
    Silent {
        since: Instant,
    },
    Up,
    /// It went wrong: what was said last is sent, what still comes is thrown away.
    Leaving {
        since: Instant,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenedBy {
    Peer,
    Us {
        /// Who has to be there, where it was opened to a server by its name.
        server: Option<ServerName>,
    },
}

pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) flow: Flow,
    pub(super) opened_by: OpenedBy,
    pub(super) phase: Phase,
    pub(super) stack: Stack,
    pub(super) unsent: Unsent,
    /// Since when a message is incomplete.
    partial: Option<Instant>,
    heard: Instant,
    /// What the socket is watched for.
    watched: Interest,
}

impl Connection {
    pub(super) fn new(
        now: Instant,
        socket: TcpStream,
        flow: Flow,
        opened_by: OpenedBy,
        phase: Phase,
        stack: Stack,
    ) -> Connection {
        let unsent = Unsent::default();
        let watched = Interest::empty();
        let mut connection =
            Connection { socket, flow, opened_by, phase, stack, unsent, partial: None, heard: now, watched };
        connection.stack.begin(&mut connection.unsent);
        connection.watched = connection.interest();
        connection
    }

    /// What flows that may reuse it name.
    pub(super) fn way(&self) -> Way {
        let server = match self.opened_by {
            OpenedBy::Us { server } => server,
            OpenedBy::Peer => None,
        };
        (self.flow.local, self.flow.remote, server)
    }

    /// What is to be waited for.
    pub(super) fn interest(&self) -> Interest {
        match self.phase {
            Phase::Connecting { .. } => Interest::OUT,
            _ if self.unsent.is_empty() => Interest::IN,
            _ => Interest::IN | Interest::OUT,
        }
    }

    /// Watches the socket for what is to be waited for.
    fn watch(&mut self, poll: &Poll, token: u64) -> Result<(), End> {
        let interest = self.interest();
        if interest != self.watched {
            poll.modify(&self.socket, token, interest).map_err(|_| End::Gone)?;
            self.watched = interest;
        }
        Ok(())
    }

    /// Sends what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self, poll: &Poll, token: u64, limits: &Limits) -> Result<(), End> {
        if matches!(self.phase, Phase::Connecting { .. }) {
            return self.is_read(limits);
        }
        if !self.unsent.is_empty() {
            self.unsent.flush_to(&mut self.socket).map_err(|_| End::Gone)?;
            if self.unsent.is_empty() && matches!(self.phase, Phase::Leaving { .. }) {
                let _ = self.socket.shutdown(Shutdown::Write);
            }
        }
        self.watch(poll, token)?;
        self.is_read(limits)
    }

    fn is_read(&self, limits: &Limits) -> Result<(), End> {
        if self.unsent.bytes() > limits.unsent_bytes_max { Err(End::SlowReader) } else { Ok(()) }
    }

    /// Puts a message on its way.
    pub(super) fn send(&mut self, poll: &Poll, token: u64, bytes: Bytes, limits: &Limits) -> Result<(), End> {
        let waited = !self.unsent.is_empty();
        self.stack.send(bytes, &mut self.unsent).map_err(|_| End::SlowReader)?;
        // The socket is full: it says when it isn't.
        if waited { self.is_read(limits) } else { self.flush(poll, token, limits) }
    }

    /// The socket is ready. True where something was read. One read: if there is more, the next wait says so.
    pub(super) fn ready(
        &mut self,
        now: Instant,
        poll: &Poll,
        token: u64,
        interest: Interest,
        buffer: &mut [u8],
        limits: &Limits,
    ) -> Result<bool, End> {
        if let Phase::Connecting { .. } = self.phase {
            if !matches!(self.socket.take_error(), Ok(None)) {
                return Err(End::Gone);
            }
            self.phase = if self.stack.is_ready() { Phase::Up } else { Phase::Handshaking { since: now } };
            self.heard = now;
        }
        if interest.contains(Interest::OUT) {
            self.flush(poll, token, limits)?;
        }
        if !interest.intersects(Interest::IN | Interest::HUP | Interest::ERR) {
            return Ok(false);
        }
        let octets = match self.socket.read(buffer) {
            Ok(0) => return Err(End::Gone),
            Ok(octets) => octets,
            Err(error) if is_passing(&error) => return Ok(false),
            Err(_) => return Err(End::Gone),
        };
        if matches!(self.phase, Phase::Leaving { .. }) {
            return Ok(false);
        }
        self.heard = now;
        self.stack.receive(buffer.get(..octets).unwrap_or_default(), &mut self.unsent);
        self.flush(poll, token, limits)?;
        Ok(true)
    }

    /// The next whole message or ping.
    pub(super) fn next(&mut self, now: Instant) -> Result<Option<Frame>, Broken> {
        if matches!(self.phase, Phase::Leaving { .. }) {
            return Ok(None);
        }
        let frame = self.stack.next(&mut self.unsent)?;
        match &frame {
            Some(Frame::Message(_)) => {
                self.partial = None;
                self.has_spoken();
            }
            Some(Frame::Ping) => {}
            None if self.stack.is_amid_message() => {
                self.partial.get_or_insert(now);
            }
            None => self.partial = None,
        }
        Ok(frame)
    }

    fn has_spoken(&mut self) {
        if matches!(self.phase, Phase::Silent { .. }) {
            self.phase = Phase::Up;
        }
    }

    /// The handshakes are over, for the first time. `spoken`: a message came with their end.
    pub(super) fn is_just_ready(&mut self, now: Instant, spoken: bool) -> bool {
        if !matches!(self.phase, Phase::Handshaking { .. }) || !self.stack.is_ready() {
            return false;
        }
        self.phase = match self.opened_by {
            OpenedBy::Peer if !spoken => Phase::Silent { since: now },
            OpenedBy::Peer | OpenedBy::Us { .. } => Phase::Up,
        };
        true
    }

    /// Says goodbye; the socket is closed when that is sent, or soon after.
    pub(super) fn leave(&mut self, now: Instant, poll: &Poll, token: u64) -> Result<(), End> {
        self.phase = Phase::Leaving { since: now };
        self.partial = None;
        self.stack.leave(&mut self.unsent);
        self.unsent.flush_to(&mut self.socket).map_err(|_| End::Gone)?;
        if self.unsent.is_empty() {
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        self.watch(poll, token)
    }

    /// What took too long, if anything did.
    pub(super) fn is_late(&self, now: Instant, limits: &Limits) -> Option<End> {
        let over = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        match self.phase {
            Phase::Connecting { since } => over(since, limits.connect_within).then_some(End::Idle),
            Phase::Handshaking { since } => over(since, limits.handshake_within).then_some(End::Handshake),
            Phase::Leaving { since } => over(since, limits.leave_within).then_some(End::Gone),
            Phase::Silent { since } => over(since, limits.message_within).then_some(End::Idle),
            Phase::Up => {
                let late = over(self.heard, limits.silence_max)
                    || self.partial.is_some_and(|since| over(since, limits.message_within));
                late.then_some(End::Idle)
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
