//! What the signalling edge counts. Written by its thread, read by anybody; a figure is right by itself, two of them may be
//! an instant apart.

use crate::sip::{ParseError, Transport};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// One counter, or a gauge.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_all(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Serialize for Count {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.value())
    }
}

/// What came and went by one transport.
#[derive(Debug, Default, Serialize)]
pub struct Wire {
    /// Datagrams, or messages framed on a stream; whatever they were.
    pub received: Count,
    pub sent: Count,
    pub send_errors: Count,
    pub not_sip: Count,
    pub keep_alives: Count,
    /// Larger than a message may be.
    pub oversize: Count,
}

impl Wire {
    pub(super) fn refused(&self, error: ParseError) {
        match error {
            ParseError::NotSip | ParseError::Unframed => self.not_sip.add(),
            ParseError::KeepAlive => self.keep_alives.add(),
            ParseError::TooLarge => self.oversize.add(),
        }
    }
}

/// Everything that the signalling edge counts.
#[derive(Debug, Default, Serialize)]
pub struct Traffic {
    pub udp: Wire,
    pub tcp: Wire,
    pub tls: Wire,
    pub ws: Wire,
    pub wss: Wire,
    /// Connections that stand now.
    pub connections: Count,
    pub connections_accepted: Count,
    pub connections_opened: Count,
    /// Closed at once: there were too many already.
    pub connections_refused: Count,
    /// TLS or WebSocket handshakes that went wrong or took too long.
    pub handshakes_failed: Count,
    /// Closed at once: their source began more handshakes than it may.
    pub handshakes_limited: Count,
    /// Closed because the peer didn't read what we sent.
    pub slow_readers: Count,
    /// Closed because nothing, or no whole message, came for too long.
    pub idle_closed: Count,
    /// 1 while the kernel drops a part of what is new.
    pub sieve: Count,
}

impl Traffic {
    pub(super) fn wire(&self, transport: Transport) -> &Wire {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
            Transport::Tls => &self.tls,
            Transport::Ws => &self.ws,
            Transport::Wss => &self.wss,
        }
    }
}
