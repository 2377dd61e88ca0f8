//! The media relay as values: what the signalling plane asks of it, what it reports, and the packets that the voice plane hears and says. The per-packet work is in
//! `forward`, `latch` and `stats`; sockets and threads are in `net::media`.

use crate::sdp::Protection;
use crate::sdp::keying::Association;
use crate::sdp::payload::Renumbering;
use crate::srtp::Keys;
use forward::Channel;
use rewriting::Key;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

pub mod established;
pub mod forward;
pub mod guard;
pub mod latch;
pub mod pool;
pub mod rewriting;
pub mod secured;
pub mod stats;
pub mod watch;

/// One relay of one call. Never reused while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(pub u64);

/// Relays of one call are told apart by the bits above its number.
const CALL_BITS: u32 = 44;

impl RelayId {
    /// That of the number `n` of a call: 0 is its own, the others stand beside it or have taken its place.
    #[must_use]
    pub fn of_call(call: u64, n: u32) -> RelayId {
        RelayId(call & ((1 << CALL_BITS) - 1) | u64::from(n) << CALL_BITS)
    }

    /// The number of its call.
    #[must_use]
    pub fn call(self) -> u64 {
        self.0 & ((1 << CALL_BITS) - 1)
    }

    /// Which of so many threads it belongs to: all relays of a call belong to the same, so that one can take the place of another.
    #[must_use]
    pub fn thread(self, threads: usize) -> usize {
        usize::try_from(self.call() % (threads.max(1) as u64)).unwrap_or(0)
    }
}

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

/// What the party of a side is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// What the other party sends.
    #[default]
    Party,
    /// What the voice plane says ([`Said`]).
    Voice,
    Nobody,
}

/// What the signalling plane tells the media plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Relay between these two open pairs; what waits in their sockets from before is thrown away. Without `b` there is one
    /// party, on side A, with whom only the voice plane speaks.
    Open { id: RelayId, a: PortPair, b: Option<PortPair> },
    /// The party on this side is to be sent to here (from its SDP). Its first valid packet from a source that fits locks
    /// the source; a new `Point` (a re-offer) unlocks it. `None`: on hold, or not known yet. Where that address is private it is `expected` where its
    /// SIP comes from, if that is known.
    Point {
        id: RelayId,
        side: Side,
        rtp: Option<SocketAddr>,
        rtcp: Option<SocketAddr>,
        expected: Option<IpAddr>,
    },
    /// What the party on this side is sent from now on; at first it is the other party.
    Feed { id: RelayId, side: Side, from: Source },
    /// Whether the voice plane gets a copy of each RTP packet that the party on this side sends ([`Heard`]), also of those that nobody else gets.
    Tap { id: RelayId, side: Side, on: bool },
    /// How the packets of the party on this side are secured from now on. As long as its keys are the same, its streams go on.
    Secure { id: RelayId, side: Side, by: Protection },
    /// What the other party sends has these payload types for the party on this side; `None`: those that it has.
    Renumber { id: RelayId, side: Side, by: Option<Renumbering> },
    /// The party on this side is told of a key that the other one has pressed in signalling.
    Press { id: RelayId, side: Side, key: Key },
    /// A DTLS handshake has given the keys of that port. They count only while that association is the one agreed on.
    Handshaken { id: RelayId, side: Side, channel: Channel, of: Box<Association>, keys: Keys },
    /// This relay goes on under another name, with another open pair on side B, where somebody else is: not pointed, in the clear, fed by side A. All
    /// that is known of side A stays, its keys and where it is; it hears the party of side B. Answered with a [`Report::Closed`] of the old
    /// name, after which the pair that was on side B may be used again.
    Succeed { id: RelayId, by: RelayId, b: PortPair },
    /// The party on this side goes on at that side of another relay, perhaps of another thread, with its keys and all that its streams have come
    /// to. There it counts from when that side is secured in the same way (`Secure`): the same association, or the same crypto context. Here nothing
    /// is opened and nothing sealed for it any more.
    HandOver { id: RelayId, side: Side, to: (RelayId, Side) },
    /// Stop; answered with [`Report::Closed`], after which the pairs may be used again.
    Close { id: RelayId },
    /// Open this many more pairs; answered with [`Report::Opened`].
    Grow { pairs: usize },
}

impl Command {
    /// The relay that this is for. `None`: the media plane as a whole.
    #[must_use]
    pub fn relay(&self) -> Option<RelayId> {
        match self {
            Command::Open { id, .. }
            | Command::Point { id, .. }
            | Command::Feed { id, .. }
            | Command::Tap { id, .. }
            | Command::Secure { id, .. }
            | Command::Renumber { id, .. }
            | Command::Press { id, .. }
            | Command::Handshaken { id, .. }
            | Command::Succeed { id, .. }
            | Command::HandOver { id, .. }
            | Command::Close { id } => Some(*id),
            Command::Grow { .. } => None,
        }
    }
}

/// Octets of an RTP packet of the voice plane that need no allocation: 30 ms of G.711. A longer one takes one.
pub const SPOKEN_BYTES: usize = 256;

/// A whole RTP packet, in the clear, between a relay and the voice plane.
pub type Spoken = SmallVec<[u8; SPOKEN_BYTES]>;

/// What a party has said: a copy for the voice plane. It is valid RTP from the source that the latch holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub id: RelayId,
    /// Whose packet it is.
    pub side: Side,
    /// When the relay thread took it from its socket.
    pub at: Instant,
    pub packet: Spoken,
}

/// What the voice plane says to the party on this side, with a header of that party's session. It is sent only while that side's
/// feed is [`Source::Voice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub id: RelayId,
    pub side: Side,
    pub packet: Spoken,
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
    /// Who is heard has changed.
    Audio {
        id: RelayId,
        audio: Audio,
    },
}

/// Who is heard, of the two parties of a relay: the caller is on side A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audio {
    BothWays,
    CallerSilent,
    CalleeSilent,
    /// Neither is.
    Silent,
}

impl Audio {
    /// Whether that side is not heard.
    #[must_use]
    pub fn misses(self, side: Side) -> bool {
        match self {
            Audio::BothWays => false,
            Audio::CallerSilent => side == Side::A,
            Audio::CalleeSilent => side == Side::B,
            Audio::Silent => true,
        }
    }

    /// Those two sides are not heard.
    #[must_use]
    pub fn missing(a: bool, b: bool) -> Audio {
        match (a, b) {
            (false, false) => Audio::BothWays,
            (true, false) => Audio::CallerSilent,
            (false, true) => Audio::CalleeSilent,
            (true, true) => Audio::Silent,
        }
    }
}

/// What one relay carried: part of the call record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// From the caller's side: what went to the callee's, or to the voice plane.
    pub a_to_b: Stream,
    pub b_to_a: Stream,
    /// Packets flowed one way only, although both sides were pointed and at least [`ONE_WAY_AFTER`] passed.
    pub one_way: bool,
}

impl Media {
    /// With what another relay of the same call carried after this one.
    #[must_use]
    pub fn and(self, later: Media) -> Media {
        Media {
            a_to_b: self.a_to_b.and(later.a_to_b),
            b_to_a: self.b_to_a.and(later.b_to_a),
            one_way: later.one_way,
        }
    }
}

/// See [`Media::one_way`]. A party that isn't heard so long after it was pointed is silent.
pub const ONE_WAY_AFTER: Duration = Duration::from_secs(3);
/// A party that was heard is silent when nothing has come for so long: longer than the pauses of a phone that sends no silence.
pub const SILENT_AFTER: Duration = Duration::from_secs(10);

/// One direction: what was taken from a party and passed on, to the other one or the voice plane.
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
    /// Packets dropped: not RTP, from a source that doesn't fit, not authentic, or there before.
    pub dropped: u64,
    /// Those of the dropped that were neither RTP nor RTCP, or broken.
    #[serde(default)]
    pub malformed: u64,
}

impl Stream {
    fn and(self, later: Stream) -> Stream {
        Stream {
            packets: self.packets + later.packets,
            bytes: self.bytes + later.bytes,
            lost: self.lost + later.lost,
            jitter_ms: if later.packets > 0 { later.jitter_ms } else { self.jitter_ms },
            first_packet_ms: self.first_packet_ms.or(later.first_packet_ms),
            dropped: self.dropped + later.dropped,
            malformed: self.malformed + later.malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_of_one_call_add_up() {
        let stream = |packets, jitter_ms, first_packet_ms| Stream {
            packets,
            bytes: packets * 172,
            lost: 1,
            jitter_ms,
            first_packet_ms,
            ..Stream::default()
        };
        let before = Media { a_to_b: stream(10, 2.0, Some(20)), ..Media::default() };
        let after =
            Media { a_to_b: stream(90, 1.0, Some(40)), b_to_a: stream(80, 3.0, Some(60)), one_way: false };
        let both = before.and(after);
        assert_eq!((both.a_to_b.packets, both.a_to_b.bytes, both.a_to_b.lost), (100, 100 * 172, 2));
        assert_eq!((both.a_to_b.jitter_ms, both.a_to_b.first_packet_ms), (1.0, Some(20)));
        assert_eq!((both.b_to_a.packets, both.b_to_a.first_packet_ms), (80, Some(60)));
        assert_eq!(before.and(Media::default()).a_to_b.jitter_ms, 2.0);
    }
}
