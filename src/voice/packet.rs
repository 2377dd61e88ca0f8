//! The RTP packets that we make (RFC 3550 §5.1): one source of its own for each party that is spoken to.

use super::codec::{Codec, Encoder, FRAME, PACKET_MS};
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
    /// Timestamp units of a tick.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.codec.clock() / 1000 * PACKET_MS
    }

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
    encoder: Encoder,
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
        let (encoder, encoded) = (Encoder::new(format.codec), Vec::with_capacity(FRAME));
        Stream { format, encoder, ssrc, sequence, timestamp, silent: true, encoded }
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
        self.encoder.encode(samples, &mut self.encoded);
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
        self.timestamp = self.timestamp.wrapping_add(self.format.units());
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
        // RFC 3551 §4.5.2: the clock of G.722 is that of G.711; RFC 7587 §4.1: that of Opus is 48 kHz.
        for (codec, units) in [(Codec::Pcma, 160), (Codec::G722, 160), (Codec::Opus, 960)] {
            let format = Format { codec, payload_type: 98, event: Some(101) };
            let seed = Seed { ssrc: 7, sequence: u16::MAX, timestamp: u32::MAX - 100 };
            let mut stream = Stream::new(format, seed);
            let mut seen = Vec::new();
            for speaks in [true, true, false, true] {
                if speaks {
                    let packet = stream.sound(&[0; FRAME]);
                    assert!(codec == Codec::Opus || packet.len() == 12 + 160);
                    let Header { marker, payload_type, sequence, timestamp, ssrc } =
                        Header::parse(&packet).unwrap();
                    assert_eq!((payload_type, ssrc), (98, 7));
                    seen.push((marker, sequence, timestamp));
                } else {
                    stream.silence();
                }
                stream.advance();
            }
            let at = |tick: u32| (u32::MAX - 100).wrapping_add(tick * units);
            assert_eq!(seen, [(true, 65_535, at(0)), (false, 0, at(1)), (true, 1, at(3))]);
        }
    }
}
