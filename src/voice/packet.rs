//! The RTP packets that we make (RFC 3550 §5.1): one source of its own for each party that is spoken to.

use super::codec::{Codec, FRAME};
use super::event::Said;
use rtp_rs::{RtpPacketBuilder, Seq};

/// How a party is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub codec: Codec,
    /// That of the codec in the party's session.
    pub payload_type: u8,
    /// That of telephone-event in it; `None`: the party has none, and its keys are listened for in its sound.
    pub event: Option<u8>,
}

impl Format {
    /// The codec under its own payload type, without events.
    #[must_use]
    pub fn plain(codec: Codec) -> Format {
        Format { codec, payload_type: codec.payload_type(), event: None }
    }
}

/// What a stream begins with: to be unpredictable (RFC 3550 §5.1, §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

/// A stream of packets.
#[derive(Debug)]
pub struct Stream {
    format: Format,
    ssrc: u32,
    sequence: u16,
    /// Of the packet of this tick.
    timestamp: u32,
    /// The last tick was silent: the next sound begins a talkspurt (RFC 3551 §4.1).
    silent: bool,
    encoded: Vec<u8>,
}

impl Stream {
    #[must_use]
    pub fn new(format: Format, seed: Seed) -> Stream {
        let Seed { ssrc, sequence, timestamp } = seed;
        Stream { format, ssrc, sequence, timestamp, silent: true, encoded: Vec::with_capacity(FRAME) }
    }

    #[must_use]
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// A packet of sound: twenty milliseconds.
    pub fn sound(&mut self, samples: &[i16]) -> Vec<u8> {
        self.encoded.clear();
        self.format.codec.encode(samples, &mut self.encoded);
        let marker = std::mem::replace(&mut self.silent, false);
        let payload = std::mem::take(&mut self.encoded);
        let packet = self.write(self.format.payload_type, self.timestamp, marker, &payload);
        self.encoded = payload;
        packet
    }

    /// A packet of a key (RFC 4733). `None`: the party has no telephone events.
    pub fn event(&mut self, said: &Said) -> Option<Vec<u8>> {
        let payload_type = self.format.event?;
        self.silent = true;
        Some(self.write(payload_type, said.timestamp, said.marker, &said.payload))
    }

    /// Nothing is said in this tick.
    pub fn silence(&mut self) {
        self.silent = true;
    }

    /// The tick is over.
    pub fn advance(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
    }

    fn write(&mut self, payload_type: u8, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        // It refuses payload types above 127 alone, which no session description has.
        RtpPacketBuilder::new()
            .payload_type(payload_type & 0x7f)
            .ssrc(self.ssrc)
            .sequence(Seq::from(sequence))
            .timestamp(timestamp)
            .marked(marker)
            .payload(payload)
            .build()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Header;

    #[test]
    fn packets_follow_each_other_and_mark_where_talk_begins() {
        let format = Format { codec: Codec::Pcma, payload_type: 8, event: Some(101) };
        let seed = Seed { ssrc: 7, sequence: u16::MAX, timestamp: u32::MAX - 100 };
        let mut stream = Stream::new(format, seed);
        let mut seen = Vec::new();
        for speaks in [true, true, false, true] {
            if speaks {
                let packet = stream.sound(&[0; FRAME]);
                assert_eq!(packet.len(), 12 + FRAME);
                let Header { marker, payload_type, sequence, timestamp, ssrc } =
                    Header::parse(&packet).unwrap();
                assert_eq!((payload_type, ssrc), (8, 7));
                seen.push((marker, sequence, timestamp));
            } else {
                stream.silence();
            }
            stream.advance();
        }
        assert_eq!(seen, [(true, 65_535, u32::MAX - 100), (false, 0, 59), (true, 1, 379)]);
    }
}
