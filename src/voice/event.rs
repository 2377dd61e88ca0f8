//! Telephone events (RFC 4733): keys heard in packets, and keys said in them.
//!
//! Invariant: a key press is told once, at its first packet that arrives, however many of its packets are lost, repeated or late.

use super::digit::Digit;

/// Octets of the payload (RFC 4733 §2.3).
const PAYLOAD_BYTES: usize = 4;
/// RFC 4733 §2.5.1.4: the end is said three times, for packets get lost.
const ENDS: u8 = 3;
/// The power level that is said, in -dBm0 (RFC 4733 §2.3.4).
const VOLUME: u8 = 10;
/// RFC 4733 §2.3: the end bit, which shares its octet with the volume.
const END: u8 = 0x80;

/// Hears keys in a stream of event packets.
#[derive(Debug, Default)]
pub struct Hearing {
    /// The timestamp that all packets of the newest event bear (RFC 4733 §2.5.1.2).
    newest: Option<u32>,
}

impl Hearing {
    /// A packet of the event payload type. `Some`: a key that was not told of before.
    pub fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Option<Digit> {
        let [event, _, _, _] = *payload.first_chunk::<PAYLOAD_BYTES>()?;
        let digit = Digit::of_event(event)?;
        // Of an event before the newest one: it came late (timestamps are compared around their wrap).
        let known = self.newest.is_some_and(|newest| timestamp.wrapping_sub(newest).cast_signed() <= 0);
        if known {
            return None;
        }
        self.newest = Some(timestamp);
        Some(digit)
    }

    /// A stream of another source begins: its timestamps tell nothing about those before.
    pub fn restart(&mut self) {
        self.newest = None;
    }
}

/// Says one key, a packet a tick.
#[derive(Clone, Copy, Debug)]
pub struct Saying {
    digit: Digit,
    /// Of every packet of this key.
    pub timestamp: u32,
    /// Timestamp units so far.
    lasted: u16,
    /// And in all.
    lasts: u16,
    ends: u8,
    begun: bool,
}

/// A packet of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub payload: [u8; PAYLOAD_BYTES],
    pub timestamp: u32,
    /// RFC 4733 §2.5.1.1: on the first packet of an event.
    pub marker: bool,
}

impl Saying {
    /// A key that is held for `lasts` timestamp units, from `timestamp` on.
    #[must_use]
    pub fn new(digit: Digit, timestamp: u32, lasts: u16) -> Saying {
        Saying { digit, timestamp, lasted: 0, lasts, ends: 0, begun: false }
    }

    /// The packet of this tick, which covers `units` more. `None`: the key has been said.
    pub fn tick(&mut self, units: u16) -> Option<Said> {
        if self.ends == ENDS {
            return None;
        }
        self.lasted = self.lasted.saturating_add(units).min(self.lasts);
        let over = self.lasted == self.lasts;
        self.ends += u8::from(over);
        let [high, low] = self.lasted.to_be_bytes();
        let flags = if over { END | VOLUME } else { VOLUME };
        let marker = !std::mem::replace(&mut self.begun, true);
        let payload = [self.digit.event(), flags, high, low];
        Some(Said { payload, timestamp: self.timestamp, marker })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(key: char) -> Digit {
        Digit::of_char(key).unwrap()
    }

    fn said(key: char, timestamp: u32) -> Vec<Said> {
        let mut saying = Saying::new(digit(key), timestamp, 800);
        std::iter::from_fn(|| saying.tick(160)).collect()
    }

    #[test]
    fn a_key_grows_under_one_timestamp_and_ends_three_times() {
        let packets = said('5', 4000);
        let shown: Vec<_> = packets.iter().map(|said| (said.payload, said.timestamp, said.marker)).collect();
        assert_eq!(
            shown,
            [
                ([5, 10, 0, 160], 4000, true),
                ([5, 10, 1, 64], 4000, false),
                ([5, 10, 1, 224], 4000, false),
                ([5, 10, 2, 128], 4000, false),
                ([5, 0x8a, 3, 32], 4000, false),
                ([5, 0x8a, 3, 32], 4000, false),
                ([5, 0x8a, 3, 32], 4000, false),
            ]
        );
    }

    #[test]
    fn a_key_is_told_once_whichever_of_its_packets_come() {
        let packets = said('#', u32::MAX - 10);
        for first in 0..packets.len() {
            let mut hearing = Hearing::default();
            let told: Vec<_> = packets[first..]
                .iter()
                .filter_map(|said| hearing.packet(said.timestamp, &said.payload))
                .collect();
            assert_eq!(told, [digit('#')], "from packet {first} on");
        }
    }

    #[test]
    fn the_same_key_again_is_another_press_and_a_late_packet_is_none() {
        let mut hearing = Hearing::default();
        let (one, two) = (said('1', u32::MAX - 100), said('1', 2000));
        assert_eq!(hearing.packet(one[0].timestamp, &one[0].payload), Some(digit('1')));
        assert_eq!(hearing.packet(two[0].timestamp, &two[0].payload), Some(digit('1')));
        assert_eq!(hearing.packet(one[6].timestamp, &one[6].payload), None);
        hearing.restart();
        assert_eq!(hearing.packet(one[6].timestamp, &one[6].payload), Some(digit('1')));
    }

    #[test]
    fn what_is_no_key_is_passed_over() {
        let mut hearing = Hearing::default();
        for payload in [&[][..], &[1], &[1, 2, 3], &[16, 0x8a, 0, 1], &[255; 9]] {
            assert_eq!(hearing.packet(1, payload), None);
        }
    }
}
