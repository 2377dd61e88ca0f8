//! Opus (RFC 6716, RFC 7587) at our rate: one channel, wideband. The library does the work; it is asked for nothing that a call has no use for.

use super::codec::{FRAME, RATE};
use opus_pure::{Application, OpusDecoder, OpusEncoder, packet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// RFC 7587 §3.1.1 has 16 to 20 kbit/s for wideband speech; music on hold is to be bearable too.
const BITS_PER_SECOND: i32 = 28_000;
/// How hard the encoder tries, of 10.
const COMPLEXITY: i32 = 4;
/// The largest packet: RFC 6716 §3.2.1 has 1275 octets in a frame.
const PACKET_BYTES_MAX: usize = 1275;
/// Samples of the longest packet, 120 ms (RFC 6716 §2.1.4).
const PACKET_MAX: usize = 6 * FRAME;
const CHANNELS: usize = 1;

pub struct Encoder {
    /// `None`: the library would not make one; then silence is said by saying nothing.
    opus: Option<Box<OpusEncoder>>,
    packet: [u8; PACKET_BYTES_MAX],
}

impl Default for Encoder {
    fn default() -> Encoder {
        let opus = OpusEncoder::new(RATE.cast_signed(), CHANNELS, Application::Voip).map(|mut opus| {
            opus.bitrate_bps = BITS_PER_SECOND;
            opus.complexity = COMPLEXITY;
            Box::new(opus)
        });
        Encoder { opus: opus.ok(), packet: [0; PACKET_BYTES_MAX] }
    }
}

impl Encoder {
    /// Appends the packet of a frame.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let Some(opus) = &mut self.opus else { return };
        let length = opus.encode_s16(samples, samples.len(), &mut self.packet).unwrap_or(0);
        out.extend_from_slice(self.packet.get(..length).unwrap_or_default());
    }
}

pub struct Decoder {
    opus: Option<Box<OpusDecoder>>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { opus: OpusDecoder::new(RATE.cast_signed(), CHANNELS).ok().map(Box::new) }
    }
}

impl Decoder {
    /// Appends the samples of a packet; none of one that is broken.
    pub fn decode(&mut self, octets: &[u8], out: &mut Vec<i16>) {
        // An empty one would be concealed, and is nothing that a party says.
        if !octets.is_empty() && packet::samples(octets, RATE.cast_signed()).is_ok_and(|n| n <= PACKET_MAX) {
            self.run(octets, PACKET_MAX, out);
        }
    }

    /// Appends what lost packets may have had, in whole frames: of so many samples at the most.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        (0..samples.min(PACKET_MAX) / FRAME).for_each(|_| self.run(&[], FRAME, out));
    }

    /// No packet may end a voice thread: should the library break its word that none makes it panic, this decoder is silent from then on.
    fn run(&mut self, octets: &[u8], samples: usize, out: &mut Vec<i16>) {
        let Some(mut opus) = self.opus.take() else { return };
        let mut sound = [0; PACKET_MAX];
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let made = opus.decode_s16(octets, samples, &mut sound).unwrap_or(0);
            (opus, made)
        }));
        if let Ok((opus, made)) = decoded {
            self.opus = Some(opus);
            out.extend_from_slice(sound.get(..made).unwrap_or_default());
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("opus::Encoder")
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("opus::Decoder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{level_dbm0, share, sine};
    use proptest::prelude::*;

    #[test]
    fn a_tone_keeps_its_level_and_its_shape_and_a_lost_packet_is_hardly_heard() {
        for hz in [400.0, 1000.0, 3000.0, 6000.0] {
            let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
            let mut heard = Vec::new();
            for (n, samples) in sine(hz, -12.0, 100 * FRAME).chunks(FRAME).enumerate() {
                let mut packet = Vec::new();
                encoder.encode(samples, &mut packet);
                assert!((1..=160).contains(&packet.len()), "{} octets", packet.len());
                match n {
                    50 => decoder.conceal(FRAME, &mut heard),
                    _ => decoder.decode(&packet, &mut heard),
                }
            }
            assert_eq!(heard.len(), 100 * FRAME);
            let (level, part) = (level_dbm0(&heard[20 * FRAME..]), share(&heard[20 * FRAME..], hz));
            assert!((level + 12.0).abs() < 1.0, "{hz} Hz comes back at {level} dBm0");
            assert!(part > 0.9, "{hz} Hz: {part} of what comes back");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_decoded_or_passed_over(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
        ) {
            let mut decoder = Decoder::default();
            for packet in packets {
                let mut sound = Vec::new();
                decoder.decode(&packet, &mut sound);
                prop_assert!(sound.len() <= PACKET_MAX);
                decoder.conceal(3 * FRAME, &mut sound);
            }
            prop_assert!(decoder.opus.is_some(), "the library has panicked");
        }
    }
}
