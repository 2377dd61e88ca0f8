//! What one direction carried: packets, bytes, loss by extended sequence numbers (RFC 3550 §A.1, §A.3), interarrival
//! jitter (§A.8), and when its first packet came.
//!
//! A stream that starts anew (another SSRC, or a jump that two packets in a row confirm) is counted from its new start; what the
//! old one lost is kept. The probation of §A.1 is left out: only packets of the latched source come here.

use super::Stream;
use super::established::{Carried, Progress};
use crate::rtp::Header;
use std::time::Instant;

/// A step forward of this many sequence numbers or more is a restart, not loss (RFC 3550 §A.1).
pub const DROPOUT_MAX: u16 = 3000;
/// A step back of fewer is a late packet (RFC 3550 §A.1).
const MISORDER_MAX: u16 = 100;
/// How long a dynamic payload type is watched before its clock rate is inferred.
const RATE_AFTER_SECONDS: f64 = 1.0;
/// The clock rates that an inferred one is rounded to, in Hz.
const RATES: [f64; 7] = [8_000.0, 16_000.0, 24_000.0, 32_000.0, 44_100.0, 48_000.0, 90_000.0];

/// One direction of a relay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reception {
    packets: u64,
    bytes: u64,
    dropped: u64,
    malformed: u64,
    /// Valid ones, passed on or not.
    heard: u64,
    /// Lost by the sources before the present one.
    lost_before: u64,
    first_packet: Option<Instant>,
    source: Option<Source>,
}

impl Reception {
    /// A valid packet came from the latched source.
    pub fn heard(&mut self, now: Instant, header: Header) {
        self.heard += 1;
        match &mut self.source {
            Some(source) if source.ssrc == header.ssrc => {
                if source.sequence.update(header.sequence) == Step::Restart {
                    self.lost_before += source.sequence.lost();
                    source.sequence = Sequence::new(header.sequence);
                    source.jitter.restart(now, header);
                }
                source.jitter.update(now, header);
            }
            before => {
                self.lost_before += before.map_or(0, |source| source.sequence.lost());
                *before = Some(Source::new(now, header));
            }
        }
    }

    /// A packet of this many octets (UDP payload) was passed on.
    pub fn relayed(&mut self, now: Instant, octets: usize) {
        self.packets += 1;
        self.bytes += octets as u64;
        self.first_packet.get_or_insert(now);
    }

    /// The packet that was passed on last could not go out.
    pub fn unsent(&mut self, octets: usize) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(octets as u64);
        self.dropped += 1;
        if self.packets == 0 {
            self.first_packet = None;
        }
    }

    /// A packet was dropped, maybe for being none.
    pub fn dropped(&mut self, malformed: bool) {
        self.dropped += 1;
        self.malformed += u64::from(malformed);
    }

    /// Valid packets that came so far, passed on or not.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.heard
    }

    /// Packets passed on so far.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The SSRC that was heard last.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.source.map(|source| source.ssrc)
    }

    /// How far the stream has come, and its SSRC. `None` as long as its clock rate isn't known.
    #[must_use]
    pub fn progress(&self) -> Option<(u32, Progress)> {
        let Source { ssrc, sequence, jitter } = self.source?;
        let Clock::Known(rate) = jitter.clock else { return None };
        let progress = Progress {
            sequence: sequence.highest,
            payload_type: jitter.payload_type,
            rate_hz: rate as u32,
            timestamp: jitter.timestamp,
            jitter: jitter.value,
        };
        Some((ssrc, progress))
    }

    /// Packets of the present source were passed on beside the relay.
    pub fn carried(&mut self, carried: &Carried) {
        let Some(source) = &mut self.source else { return };
        self.heard += carried.packets;
        self.packets += carried.packets;
        self.bytes += carried.octets;
        source.sequence.carried(carried.sequence, carried.packets);
        if let Some(measured) = carried.measured {
            source.jitter = Jitter {
                timestamp: carried.timestamp,
                arrived: measured,
                value: carried.jitter,
                ..source.jitter
            };
        }
    }

    /// The figures so far, of a relay that was opened then.
    #[must_use]
    pub fn stream(&self, opened: Instant) -> Stream {
        Stream {
            packets: self.packets,
            bytes: self.bytes,
            lost: self.lost_before + self.source.map_or(0, |source| source.sequence.lost()),
            jitter_ms: self.source.map_or(0.0, |source| source.jitter.milliseconds()),
            first_packet_ms: self.first_packet.map(|first| {
                u64::try_from(first.saturating_duration_since(opened).as_millis()).unwrap_or(u64::MAX)
            }),
            dropped: self.dropped,
            malformed: self.malformed,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    sequence: Sequence,
    jitter: Jitter,
}

impl Source {
    fn new(now: Instant, header: Header) -> Source {
        Source {
            ssrc: header.ssrc,
            sequence: Sequence::new(header.sequence),
            jitter: Jitter::new(now, header),
        }
    }
}

/// The extended sequence of RFC 3550 §A.1.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    base: u16,
    highest: u16,
    /// How often the 16 bits wrapped.
    cycles: u32,
    received: u64,
    /// What the packet after a large jump carries if the source started anew.
    restart_at: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Counted,
    /// A large jump, once: maybe a stray.
    Suspect,
    /// A second packet confirmed the jump.
    Restart,
}

impl Sequence {
    fn new(base: u16) -> Sequence {
        Sequence { base, highest: base, cycles: 0, received: 1, restart_at: None }
    }

    fn update(&mut self, sequence: u16) -> Step {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < DROPOUT_MAX {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1);
            }
            self.highest = sequence;
        } else if ahead <= MISORDER_MAX.wrapping_neg() {
            if self.restart_at == Some(sequence) {
                return Step::Restart;
            }
            self.restart_at = Some(sequence.wrapping_add(1));
            return Step::Suspect;
        }
        self.received += 1;
        Step::Counted
    }

    /// So many came beside, none of them a large step from the one before; this was the highest.
    fn carried(&mut self, highest: u16, packets: u64) {
        if highest.wrapping_sub(self.highest) <= u16::MAX / 2 {
            if highest < self.highest {
                self.cycles = self.cycles.wrapping_add(1);
            }
            self.highest = highest;
        }
        self.received += packets;
    }

    /// Expected less received (RFC 3550 §A.3); duplicates can't make it negative here.
    fn lost(&self) -> u64 {
        let extended = u64::from(self.cycles) << 16 | u64::from(self.highest);
        (extended + 1).saturating_sub(u64::from(self.base)).saturating_sub(self.received)
    }
}

/// The interarrival jitter of RFC 3550 §A.8, over packets of one payload type whose timestamps advance: telephone events and
/// the fragments of a video frame repeat a timestamp, which would count as jitter.
#[derive(Clone, Copy, Debug)]
struct Jitter {
    clock: Clock,
    payload_type: u8,
    timestamp: u32,
    arrived: Instant,
    /// In timestamp units.
    value: f64,
}

/// The clock rate of the payload type, in Hz.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Known(f64),
    /// A dynamic payload type: the relay sees no SDP, so the rate is inferred from the first second.
    Inferring {
        since: Instant,
        timestamp: u32,
    },
}

impl Clock {
    /// RFC 3551 §6, tables 4 and 5.
    fn of(now: Instant, header: Header) -> Clock {
        match header.payload_type {
            0 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 13 | 15 | 18 => Clock::Known(8_000.0),
            6 => Clock::Known(16_000.0),
            10 | 11 => Clock::Known(44_100.0),
            16 => Clock::Known(11_025.0),
            17 => Clock::Known(22_050.0),
            14 | 25..=34 => Clock::Known(90_000.0),
            _ => Clock::Inferring { since: now, timestamp: header.timestamp },
        }
    }
}

impl Jitter {
    fn new(now: Instant, header: Header) -> Jitter {
        Jitter {
            clock: Clock::of(now, header),
            payload_type: header.payload_type,
            timestamp: header.timestamp,
            arrived: now,
            value: 0.0,
        }
    }

    /// Keeps the value, measures from here on.
    fn restart(&mut self, now: Instant, header: Header) {
        *self = Jitter { value: self.value, ..Jitter::new(now, header) };
    }

    fn update(&mut self, now: Instant, header: Header) {
        if header.payload_type != self.payload_type || header.timestamp == self.timestamp {
            return;
        }
        match self.clock {
            Clock::Known(rate) => {
                let arrival = now.saturating_duration_since(self.arrived).as_secs_f64() * rate;
                let sent = f64::from(header.timestamp.wrapping_sub(self.timestamp).cast_signed());
                self.value += ((arrival - sent).abs() - self.value) / 16.0;
            }
            Clock::Inferring { since, timestamp } => {
                let seconds = now.saturating_duration_since(since).as_secs_f64();
                if seconds >= RATE_AFTER_SECONDS {
                    self.clock = Clock::Known(nearest_rate(
                        f64::from(header.timestamp.wrapping_sub(timestamp)) / seconds,
                    ));
                }
            }
        }
        self.timestamp = header.timestamp;
        self.arrived = now;
    }

    fn milliseconds(&self) -> f64 {
        match self.clock {
            Clock::Known(rate) => self.value / rate * 1000.0,
            Clock::Inferring { .. } => 0.0,
        }
    }
}

fn nearest_rate(measured: f64) -> f64 {
    RATES.into_iter().min_by(|a, b| (a - measured).abs().total_cmp(&(b - measured).abs())).unwrap_or(8_000.0)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to count from
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn header(sequence: u16, payload_type: u8) -> Header {
        Header { marker: false, payload_type, sequence, timestamp: u32::from(sequence) * 160, ssrc: 7 }
    }

    /// The figures after these sequence numbers, one packet each 20 ms.
    fn after(sequences: impl IntoIterator<Item = u16>) -> Stream {
        let opened = Instant::now();
        let mut reception = Reception::default();
        for (tick, sequence) in (1..).zip(sequences) {
            let now = opened + Duration::from_millis(20 * tick);
            reception.heard(now, header(sequence, 0));
            reception.relayed(now, 172);
        }
        reception.stream(opened)
    }

    #[test]
    fn every_packet_and_octet_is_counted() {
        let stream = after(1..=50);
        assert_eq!((stream.packets, stream.bytes, stream.lost), (50, 50 * 172, 0));
        assert_eq!(stream.first_packet_ms, Some(20));
    }

    #[test]
    fn loss_is_counted_across_the_wrap() {
        assert_eq!(after([65_530, 65_531, 65_534, 2, 3]).lost, 5);
        assert_eq!(after((65_000..=65_535).chain(0..1000)).lost, 0);
    }

    #[test]
    fn reordered_and_repeated_packets_are_not_lost() {
        assert_eq!(after([10, 12, 11, 13, 15, 14]).lost, 0);
        assert_eq!(after([10, 11, 11, 11, 12]).lost, 0);
    }

    #[test]
    fn a_restart_of_the_source_is_not_loss() {
        assert_eq!(after([10, 11, 13, 40_000, 40_001, 40_002]).lost, 1);
        assert_eq!(after([10, 11, 40_000, 12, 13]).lost, 0, "one stray");
    }

    #[test]
    fn another_ssrc_keeps_what_was_lost_before() {
        let now = Instant::now();
        let mut reception = Reception::default();
        for sequence in [1, 2, 5] {
            reception.heard(now, header(sequence, 0));
        }
        for sequence in [900, 902] {
            reception.heard(now, Header { ssrc: 8, ..header(sequence, 0) });
        }
        assert_eq!(reception.stream(now).lost, 3);
    }

    #[test]
    fn steady_packets_have_no_jitter_and_late_ones_have() {
        assert!(after(1..=100).jitter_ms < 0.001);
        let opened = Instant::now();
        let mut reception = Reception::default();
        for sequence in 1..=1000 {
            let late = if sequence % 2 == 0 { 4 } else { 0 };
            reception
                .heard(opened + Duration::from_millis(20 * u64::from(sequence) + late), header(sequence, 0));
        }
        let jitter_ms = reception.stream(opened).jitter_ms;
        assert!((3.9..4.1).contains(&jitter_ms), "{jitter_ms}");
    }

    #[test]
    fn the_clock_of_a_dynamic_payload_type_is_inferred() {
        let opened = Instant::now();
        let mut reception = Reception::default();
        for sequence in 1..=1000 {
            let late = if sequence % 2 == 0 { 4 } else { 0 };
            let timestamp = u32::from(sequence) * 960; // Opus: 48 kHz, 20 ms
            let now = opened + Duration::from_millis(20 * u64::from(sequence) + late);
            reception.heard(now, Header { timestamp, ..header(sequence, 111) });
        }
        let jitter_ms = reception.stream(opened).jitter_ms;
        assert!((3.9..4.1).contains(&jitter_ms), "{jitter_ms}");
    }

    #[test]
    fn a_telephone_event_is_not_jitter() {
        let opened = Instant::now();
        let mut reception = Reception::default();
        for sequence in 1..=100 {
            let now = opened + Duration::from_millis(20 * u64::from(sequence));
            let in_event = (40..60).contains(&sequence);
            let event = Header { timestamp: 40 * 160, ..header(sequence, 101) };
            reception.heard(now, if in_event { event } else { header(sequence, 0) });
        }
        assert!(reception.stream(opened).jitter_ms < 0.001);
    }

    proptest! {
        #[test]
        fn what_is_dropped_on_the_way_is_what_is_lost(start: u16, kept in proptest::collection::vec(any::<bool>(), 1..4000)) {
            // The ends can't be known to be lost; between them every gap is.
            let first = kept.iter().position(|&kept| kept);
            let last = kept.iter().rposition(|&kept| kept);
            let lost = first.zip(last).map_or(0, |(first, last)| {
                kept[first..=last].iter().filter(|&&kept| !kept).count() as u64
            });
            let sent = (0u16..).zip(&kept).filter(|(_, kept)| **kept).map(|(n, _)| start.wrapping_add(n));
            prop_assert_eq!(after(sent).lost, lost);
        }
    }
}
