//! Streams that need no judgement any more: both latches are locked, and each packet is sent on as it came. Whoever can do that beside
//! the relay (`net::media::fast`) is told here what to pass on, and tells what it has passed on.
//!
//! What it is not: it passes nothing on, and a stream that is established is no promise: after each command, and after each packet that
//! the relay itself gets, it has to be asked for again.
//!
//! Invariant: as established counts only what [`Relay::packet`] would do with every such packet: send it to the other party, unchanged,
//! and nothing else, of a party that doesn't flood. Whatever is ever done with a packet beside that (a tap, keys, other payload types) has to stand in
//! [`Relay::established`].

use super::forward::Relay;
use super::{Side, Source};
use std::net::SocketAddr;
use std::time::Instant;

/// A stream that is only sent on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Established {
    pub flow: Flow,
    pub progress: Progress,
}

/// What tells its packets, and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The locked source.
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub ssrc: u32,
}

/// How far a stream has come, and what is measured of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The highest so far.
    pub sequence: u16,
    /// Of whose packets jitter is measured.
    pub payload_type: u8,
    pub rate_hz: u32,
    /// Of the packet that jitter was measured at last.
    pub timestamp: u32,
    /// In units of the timestamp.
    pub jitter: f64,
}

/// What was passed on beside the relay, since the last time that was said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carried {
    pub packets: u64,
    /// Of UDP payload.
    pub octets: u64,
    /// The highest.
    pub sequence: u16,
    pub timestamp: u32,
    /// When the packet of that timestamp came. `None`: jitter was not measured.
    pub measured: Option<Instant>,
    pub jitter: f64,
}

impl Relay {
    /// What the party on this side sends, if it is only sent on. Its clock rate has to be known: a second of a stream whose payload type
    /// doesn't say.
    #[must_use]
    pub fn established(&mut self, side: Side) -> Option<Established> {
        if self.secured || self.floods(side) || !self.sends_as_it_came(side.other()) {
            return None;
        }
        let other = self.party(side.other());
        if other.feed != Source::Party {
            return None;
        }
        // Locked as well: where it is sent to is where that party really is.
        let to = other.rtp.source().filter(|source| other.rtp.destination() == Some(*source))?;
        let party = self.party(side);
        let from = party.rtp.source().filter(|source| party.rtp.destination() == Some(*source))?;
        if party.tap.is_on() {
            return None;
        }
        let (ssrc, progress) = party.reception.progress()?;
        Some(Established { flow: Flow { from, to, ssrc }, progress })
    }

    /// Packets of this side's stream were passed on.
    pub fn carried(&mut self, now: Instant, side: Side, carried: &Carried) {
        let party = self.party(side);
        party.rtp.carried(now);
        party.reception.carried(carried);
    }

    /// Whether a packet from there takes the place of what this side sends, if nothing was passed on of that for a while.
    #[must_use]
    pub fn may_move(&mut self, side: Side, from: SocketAddr) -> bool {
        self.party(side).rtp.gives_way_to(from)
    }

    /// Valid packets that came from this side so far.
    #[must_use]
    pub fn came(&mut self, side: Side) -> u64 {
        self.party(side).reception.came()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to count from
mod tests {
    use super::*;
    use crate::relay::ONE_WAY_AFTER;
    use crate::relay::forward::Channel;
    use crate::relay::rewriting::Key;
    use crate::sdp::Protection;
    use crate::sdp::keying::Context;
    use crate::srtp::{Keys, Master, Suite};
    use std::time::Duration;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn rtp(sequence: u16) -> [u8; 172] {
        let mut packet = [0; 172];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
        packet
    }

    const KEY: Key = Key { event: 1, payload_type: 101, lasts: 1600 };

    /// Both parties have been heard: a from another port than it was said to be.
    fn talking(now: Instant) -> Relay {
        let mut relay = Relay::new(now);
        relay.point(now, Side::A, (Some(at("10.0.0.1:4000")), None), None);
        relay.point(now, Side::B, (Some(at("10.0.0.2:5000")), None), None);
        assert_eq!(relay.established(Side::A), None, "nobody was heard");
        relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4100"), &rtp(1));
        assert_eq!(relay.established(Side::A), None, "b was not");
        relay.packet(now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &rtp(1));
        relay
    }

    #[test]
    fn a_stream_between_two_parties_that_were_heard_is_established() {
        let now = Instant::now();
        let mut relay = talking(now);
        let established = relay.established(Side::A).unwrap();
        let flow = Flow { from: at("10.0.0.1:4100"), to: at("10.0.0.2:5000"), ssrc: 0x0102_0304 };
        assert_eq!(established.flow, flow);
        assert_eq!((established.progress.sequence, established.progress.rate_hz), (1, 8000));
        assert_eq!(relay.established(Side::B).unwrap().flow.to, flow.from);
    }

    #[test]
    fn whatever_else_is_done_with_packets_keeps_a_stream_with_the_relay() {
        let now = Instant::now();
        let keys = || {
            let key = || Master::derive(Suite::AesCm128HmacSha1_80, &[7; 32], 0);
            Keys { theirs: key(), ours: key() }
        };
        type Change = (&'static str, fn(&mut Relay, Instant), [bool; 2]);
        let changes: [Change; 7] = [
            ("a tap of a", |relay, now| relay.tap(now, Side::A, true), [false, true]),
            ("b hears the voice", |relay, _| relay.feed(Side::B, Source::Voice), [false, true]),
            ("b hears nobody", |relay, _| relay.feed(Side::B, Source::Nobody), [false, true]),
            ("b is told of a key", |relay, _| relay.press(Side::B, KEY), [false, true]),
            ("b holds", |relay, now| relay.point(now, Side::B, (None, None), None), [false, false]),
            (
                "b moves",
                |relay, now| relay.point(now, Side::B, (Some(at("10.0.0.3:5000")), None), None),
                [false, false],
            ),
            (
                "b asks for the same",
                |relay, now| relay.point(now, Side::B, (Some(at("10.0.0.2:5000")), None), None),
                [true, true],
            ),
        ];
        for (what, change, stands) in changes {
            let mut relay = talking(now);
            change(&mut relay, now);
            let found = [Side::A, Side::B].map(|side| relay.established(side).is_some());
            assert_eq!(found, stands, "{what}");
        }
        let mut relay = talking(now);
        relay.secure(Side::B, Protection::Sdes(keys(), Context(1)));
        assert_eq!((relay.established(Side::A), relay.established(Side::B)), (None, None));
    }

    #[test]
    fn what_was_carried_counts_as_if_it_had_been_relayed() {
        let now = Instant::now();
        let (mut beside, mut through) = (talking(now), talking(now));
        let tick = |n: u16| now + Duration::from_millis(u64::from(n) * 20);
        let lost = |n: &u16| !n.is_multiple_of(10);
        for n in (2..=500).filter(lost) {
            through.packet(tick(n), Side::A, Channel::Rtp, at("10.0.0.1:4100"), &rtp(n));
        }
        let carried = Carried {
            packets: (2..=500).filter(lost).count() as u64,
            octets: (2..=500).filter(lost).count() as u64 * 172,
            sequence: 499,
            timestamp: 499 * 160,
            measured: Some(tick(499)),
            jitter: through.established(Side::A).unwrap().progress.jitter,
        };
        beside.carried(now, Side::A, &carried);
        for n in 501..=600 {
            for relay in [&mut beside, &mut through] {
                relay.packet(tick(n), Side::A, Channel::Rtp, at("10.0.0.1:4100"), &rtp(n));
            }
        }
        let (beside, through) = (beside.media(tick(600)), through.media(tick(600)));
        assert_eq!(beside, through);
        assert_eq!((beside.a_to_b.packets, beside.a_to_b.lost), (550, 50));
    }

    #[test]
    fn a_wrap_while_it_was_carried_is_no_loss_and_a_late_word_of_it_takes_nothing_back() {
        let now = Instant::now();
        let mut relay = talking(now);
        let from = at("10.0.0.1:4100");
        for sequence in [65_000, 65_001, 65_002] {
            relay.packet(now, Side::A, Channel::Rtp, from, &rtp(sequence));
        }
        let before = relay.media(now).a_to_b.lost;
        let carried =
            Carried { packets: 633, octets: 0, sequence: 99, timestamp: 0, measured: None, jitter: 0.0 };
        relay.carried(now, Side::A, &carried);
        assert_eq!(relay.media(now).a_to_b.lost, before);
        relay.packet(now, Side::A, Channel::Rtp, from, &rtp(101));
        relay.carried(now, Side::A, &Carried { packets: 1, sequence: 100, ..carried });
        assert_eq!(relay.media(now).a_to_b.lost, before);
        relay.packet(now, Side::A, Channel::Rtp, from, &rtp(102));
        assert_eq!(relay.media(now).a_to_b.lost, before);
    }

    #[test]
    fn a_party_whose_packets_are_carried_is_heard() {
        let now = Instant::now();
        let mut relay = talking(now);
        let later = now + ONE_WAY_AFTER;
        relay.look(now + Duration::from_secs(1));
        for side in [Side::A, Side::B] {
            let carried = Carried {
                packets: 50,
                octets: 8600,
                sequence: 51,
                timestamp: 0,
                measured: None,
                jitter: 0.0,
            };
            relay.carried(now, side, &carried);
        }
        assert_eq!(relay.look(later + Duration::from_secs(9)), None);
        assert_eq!(relay.came(Side::A), 51);
    }

    #[test]
    fn who_is_carried_is_not_quiet() {
        let now = Instant::now();
        let mut relay = talking(now);
        let (of_sdp, heard) = (at("10.0.0.1:4000"), at("10.0.0.1:4100"));
        let carried =
            Carried { packets: 50, octets: 8600, sequence: 51, timestamp: 0, measured: None, jitter: 0.0 };
        let later = now + Duration::from_secs(5);
        relay.carried(later, Side::A, &carried);
        assert!(relay.may_move(Side::A, of_sdp) && !relay.may_move(Side::A, at("10.0.0.9:1")));
        relay.packet(later, Side::A, Channel::Rtp, of_sdp, &rtp(9));
        assert_eq!(relay.established(Side::A).unwrap().flow.from, heard, "nobody takes its place");
    }
}
