//! What a packet becomes before the party of a side is sent it, where it isn't sent as it came: other payload types, and keys that the
//! speaker has pressed in signalling (INFO) told as events (RFC 4733) in the place of its sound.
//!
//! Invariant: sequence numbers and SSRC stay the speaker's, so that the hearer has one stream: an event takes the place of a packet of sound, as
//! it does with a phone that sends events itself. While the speaker sends nothing, its keys wait.

use crate::rtp::{HEADER_BYTES, Header};
use crate::sdp::payload::Renumbering;
use smallvec::SmallVec;

/// Keys that wait for packets to take the place of; one more is passed over.
pub const KEYS_MAX: usize = 16;
/// RFC 4733 §2.5.1.4: the end is said three times, for packets get lost.
const ENDS: u8 = 3;
/// Packets of sound between two keys, which tell them apart for whoever looks at their times alone.
const BETWEEN: u8 = 2;
/// The end bit, and a power level of -10 dBm0 (RFC 4733 §2.3).
const END: u8 = 0x80;
const VOLUME: u8 = 10;
/// Octets of an event (RFC 4733 §2.3).
const EVENT_BYTES: usize = 4;

/// A key to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// RFC 4733 §3.2.
    pub event: u8,
    /// Of events, as the hearer has it.
    pub payload_type: u8,
    /// How long it is held, in timestamp units.
    pub lasts: u16,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// It has this payload type.
    PayloadType(u8),
    Event(Event),
    /// The hearer would take it for something else.
    Unheard,
}

/// A packet of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// RFC 4733 §2.5.1.1: on the first packet of an event.
    marker: bool,
    payload_type: u8,
    /// The event's, not the packet's.
    timestamp: u32,
    payload: [u8; EVENT_BYTES],
}

impl Rewritten {
    /// Writes that over the packet, which is the first `octets` of the buffer: octets of what is there now.
    #[must_use]
    pub fn write(self, buffer: &mut [u8], octets: usize) -> usize {
        match self {
            Rewritten::PayloadType(payload_type) => {
                if let Some(second) = buffer.get_mut(1) {
                    *second = *second & 0x80 | payload_type;
                }
                octets
            }
            Rewritten::Event(event) => event.write(buffer).unwrap_or(octets),
            Rewritten::Unheard => octets,
        }
    }
}

impl Event {
    /// Sequence number and SSRC are those of the packet; of contributing sources, extensions and padding there are none.
    fn write(self, buffer: &mut [u8]) -> Option<usize> {
        let octets = HEADER_BYTES + EVENT_BYTES;
        let packet = buffer.get_mut(..octets)?;
        let (header, payload) = packet.split_at_mut_checked(HEADER_BYTES)?;
        let [first, second, _, _, t0, t1, t2, t3, ..] = header else { return None };
        *first = 0x80;
        *second = u8::from(self.marker) << 7 | self.payload_type;
        [*t0, *t1, *t2, *t3] = self.timestamp.to_be_bytes();
        payload.copy_from_slice(&self.payload);
        Some(octets)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Rewriting {
    renumbering: Option<Renumbering>,
    waiting: SmallVec<[Key; 4]>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Sound,
    Pressed {
        key: Key,
        ssrc: u32,
        began: u32,
        lasted: u16,
        ends: u8,
    },
    /// So many packets of sound before the next key.
    Between(u8),
}

impl Rewriting {
    pub fn renumber(&mut self, by: Option<Renumbering>) {
        self.renumbering = by;
    }

    /// The speaker has pressed a key. `false`: too many wait.
    pub fn press(&mut self, key: Key) -> bool {
        let room = self.waiting.len() < KEYS_MAX;
        if room {
            self.waiting.push(key);
        }
        room
    }

    /// Keys that wait are told no more.
    pub fn forget(&mut self) {
        self.waiting.clear();
        if let Stage::Pressed { .. } = self.stage {
            self.stage = Stage::Sound;
        }
    }

    /// Nothing is to be rewritten.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.renumbering.is_none() && self.waiting.is_empty() && self.stage == Stage::Sound
    }

    /// A packet of the speaker's is about to be sent. `None`: as it came.
    pub fn packet(&mut self, header: Header) -> Option<Rewritten> {
        if let Some(event) = self.event(header) {
            return Some(Rewritten::Event(event));
        }
        match self.renumbering.as_ref()?.of(header.payload_type) {
            Some(same) if same == header.payload_type => None,
            Some(other) => Some(Rewritten::PayloadType(other)),
            None => Some(Rewritten::Unheard),
        }
    }

    fn event(&mut self, header: Header) -> Option<Event> {
        match &mut self.stage {
            Stage::Pressed { key, ssrc, began, lasted, ends } => {
                if *ssrc != header.ssrc {
                    // Another stream of the speaker's: the key begins anew in it.
                    (*ssrc, *began, *lasted, *ends) = (header.ssrc, header.timestamp, 0, 0);
                }
                let since = header.timestamp.wrapping_sub(*began).cast_signed();
                let now = u16::try_from(since.max(0)).unwrap_or(u16::MAX).min(key.lasts);
                let marker = *lasted == 0 && *ends == 0;
                *lasted = now.max(*lasted).max(1); // a packet that came late takes nothing back
                let over = *lasted == key.lasts;
                *ends += u8::from(over);
                let event = packet(*key, *began, *lasted, over, marker);
                if *ends == ENDS {
                    self.stage = Stage::Between(BETWEEN);
                }
                return Some(event);
            }
            Stage::Between(left @ 1..) => {
                *left -= 1;
                return None;
            }
            Stage::Between(0) | Stage::Sound => {}
        }
        if self.waiting.is_empty() {
            self.stage = Stage::Sound;
            return None;
        }
        let key = self.waiting.remove(0);
        let (ssrc, began) = (header.ssrc, header.timestamp);
        // What has lasted is not known before the next packet, and nothing is no duration.
        self.stage = Stage::Pressed { key, ssrc, began, lasted: 1, ends: 0 };
        Some(packet(key, began, 1, false, true))
    }
}

fn packet(key: Key, timestamp: u32, lasted: u16, over: bool, marker: bool) -> Event {
    let [high, low] = lasted.to_be_bytes();
    let flags = if over { END | VOLUME } else { VOLUME };
    let payload = [key.event, flags, high, low];
    Event { marker, payload_type: key.payload_type, timestamp, payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Key = Key { event: 5, payload_type: 101, lasts: 800 };

    fn sound(n: u16) -> Header {
        let timestamp = (u32::MAX - 300).wrapping_add(u32::from(n) * 160);
        Header { marker: false, payload_type: 0, sequence: n, timestamp, ssrc: 7 }
    }

    /// What goes out in the place of so many packets of sound: duration, end bit and marker of events, nothing for sound.
    fn told(rewriting: &mut Rewriting, packets: std::ops::Range<u16>) -> Vec<Option<(u16, bool, bool)>> {
        let shown = |rewritten: Rewritten| match rewritten {
            Rewritten::Event(Event { payload: [5, flags, high, low], marker, payload_type: 101, .. }) => {
                (u16::from_be_bytes([high, low]), flags & END != 0, marker)
            }
            other => panic!("{other:?}"),
        };
        packets.map(|n| rewriting.packet(sound(n)).map(shown)).collect()
    }

    #[test]
    fn a_key_takes_the_place_of_sound_grows_and_ends_three_times() {
        let mut rewriting = Rewriting::default();
        assert!(rewriting.press(FIVE));
        assert_eq!(
            told(&mut rewriting, 0..10),
            [
                Some((1, false, true)),
                Some((160, false, false)),
                Some((320, false, false)),
                Some((480, false, false)),
                Some((640, false, false)),
                Some((800, true, false)),
                Some((800, true, false)),
                Some((800, true, false)),
                None,
                None,
            ]
        );
        assert_eq!(rewriting.packet(sound(10)), None);
        assert!(rewriting.is_idle());
    }

    #[test]
    fn keys_come_one_after_the_other_with_sound_between_them() {
        let mut rewriting = Rewriting::default();
        assert!(rewriting.press(FIVE) && rewriting.press(FIVE));
        let told = told(&mut rewriting, 0..20);
        let markers: Vec<usize> =
            (0..told.len()).filter(|n| told[*n].is_some_and(|(_, _, marker)| marker)).collect();
        assert_eq!(markers, [0, 10]);
        assert_eq!(told[8..10], [None, None]);
    }

    #[test]
    fn keys_wait_while_nothing_is_sent_and_not_too_many_do() {
        let mut rewriting = Rewriting::default();
        assert!((0..KEYS_MAX).all(|_| rewriting.press(FIVE)));
        assert!(!rewriting.press(FIVE));
        assert!(matches!(rewriting.packet(sound(9)), Some(Rewritten::Event(_))));
    }

    #[test]
    fn a_late_packet_and_another_stream_do_not_confuse_a_key() {
        let mut rewriting = Rewriting::default();
        rewriting.press(FIVE);
        assert_eq!(told(&mut rewriting, 2..4), [Some((1, false, true)), Some((160, false, false))]);
        assert_eq!(told(&mut rewriting, 1..2), [Some((160, false, false))], "it was sent before");
        let other = Header { ssrc: 8, timestamp: 5, ..sound(4) };
        let Some(Rewritten::Event(event)) = rewriting.packet(other) else { panic!() };
        assert_eq!((event.timestamp, event.marker), (5, true));
    }

    #[test]
    fn an_event_keeps_number_and_source_of_the_packet_it_replaces() {
        let mut buffer = [0_u8; 64];
        buffer[..16].copy_from_slice(&[0x91, 0, 0x12, 0x34, 0, 0, 0, 160, 1, 2, 3, 4, 0xbe, 0xde, 0, 0]);
        let event = packet(FIVE, 0xa0b0_c0d0, 1, false, true);
        let octets = Rewritten::Event(event).write(&mut buffer, 40);
        assert_eq!(
            buffer[..octets],
            [0x80, 0x80 | 101, 0x12, 0x34, 0xa0, 0xb0, 0xc0, 0xd0, 1, 2, 3, 4, 5, 10, 0, 1]
        );
        assert_eq!(Rewritten::PayloadType(96).write(&mut buffer, 16), 16);
        assert_eq!(buffer[1], 0x80 | 96, "the marker stays");
    }
}
