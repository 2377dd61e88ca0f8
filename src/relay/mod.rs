//! The media relay as values: what the signalling plane asks of it and what it reports. The per-packet work is in
//! `forward`, `latch` and `stats`; sockets and threads are in `net::media`.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

pub mod forward;
pub mod latch;
pub mod pool;
pub mod stats;

/// One relay of one call. Never reused while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(pub u64);

/// An RTP port with its RTCP port (RFC 3550 §11: even, and the next odd one), open on our media address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortPair {
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
}

/// The two sides of a call: A is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    A,
    B,
}

impl Side {
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// What the signalling plane tells the media plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Relay between these two open pairs; what waits in their sockets from before is thrown away.
    Open { id: RelayId, a: PortPair, b: PortPair },
    /// The party on this side is to be sent to here (from its SDP). Its first valid packet from a source that fits locks
    /// the source; a new `Point` (a re-offer) unlocks it. `None`: on hold, or not known yet.
    Point { id: RelayId, side: Side, rtp: Option<SocketAddr>, rtcp: Option<SocketAddr> },
    /// Stop; answered with [`Report::Closed`], after which the pairs may be used again.
    Close { id: RelayId },
    /// Open this many more pairs; answered with [`Report::Opened`].
    Grow { pairs: usize },
}

/// What the media plane tells the signalling plane.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Pairs that were opened: fewer than asked for when the range or the machine has no more.
    Opened {
        pairs: Vec<PortPair>,
        exhausted: bool,
    },
    Closed {
        id: RelayId,
        media: Media,
    },
}

/// What one relay carried: part of the call record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// From the caller's side to the callee's.
    pub a_to_b: Stream,
    pub b_to_a: Stream,
    /// Packets flowed one way only, although both sides were pointed and at least [`ONE_WAY_AFTER`] passed.
    pub one_way: bool,
}

/// See [`Media::one_way`].
pub const ONE_WAY_AFTER: Duration = Duration::from_secs(3);

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    pub packets: u64,
    pub bytes: u64,
    /// Packets that the sequence numbers say were sent but never came (RFC 3550 §A.3).
    pub lost: u64,
    /// Interarrival jitter in milliseconds at the end (RFC 3550 §6.4.1).
    pub jitter_ms: f64,
    /// From `Open` to the first packet relayed, in milliseconds.
    pub first_packet_ms: Option<u64>,
    /// Packets dropped: not RTP, or from a source that doesn't fit.
    pub dropped: u64,
}
