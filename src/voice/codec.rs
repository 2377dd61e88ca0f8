//! The codecs that ears and voice speak: G.711, both laws (ITU-T G.711, RFC 3551 §4.5.14), G.722 and Opus. The relay passes every other one
//! untouched.
//!
//! All that is said, heard, mixed and recorded is linear, 16 bits with a sign, one channel at [`RATE`]; full scale is the top of an `i16`. So a
//! party of any codec can be mixed with one of any other. G.711 has half that rate, and its sound is halved and doubled on the way.

use super::half::Halver;
use super::{g722, opus};
use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

/// Samples a second of all sound here: wideband.
pub const RATE: u32 = 16_000;
/// What one packet of ours carries.
pub const PACKET_MS: u32 = 20;
/// Samples in a packet of ours.
pub const FRAME: usize = (RATE / 1000 * PACKET_MS) as usize;

/// A codec we can speak and hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Mu-law.
    Pcmu,
    /// A-law.
    Pcma,
    G722,
    Opus,
}

impl Codec {
    pub const ALL: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

    /// The codec of a payload type that means the same in every session (RFC 3551 §6).
    #[must_use]
    pub fn of_payload_type(payload_type: u8) -> Option<Codec> {
        match payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            9 => Some(Codec::G722),
            _ => None,
        }
    }

    /// The codec of an `a=rtpmap` encoding name, whatever its case, with its clock rate.
    #[must_use]
    pub fn named(name: &str, clock: u32) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name) && codec.clock() == clock)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
        }
    }

    /// Timestamp units a second.
    #[must_use]
    pub fn clock(self) -> u32 {
        match self {
            // RFC 3551 §4.5.2: that of G.722 is 8000 by an old mistake, though it has twice as many samples.
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
            Codec::Opus => 48_000, // RFC 7587 §4.1: whatever it carries
        }
    }

    /// Samples a second that a [`Decoder`] makes.
    #[must_use]
    pub fn rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => RATE / 2,
            Codec::G722 | Codec::Opus => RATE,
        }
    }

    /// Its payload type where a session has named no other.
    #[must_use]
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Opus => 96,
        }
    }
}

/// Makes payloads of what one party hears.
#[derive(Debug)]
pub enum Encoder {
    G711 { encode: fn(i16) -> u8, halver: Box<Halver>, half: Vec<i16> },
    G722(Box<g722::Encoder>),
    Opus(Box<opus::Encoder>),
}

impl Encoder {
    #[must_use]
    pub fn new(codec: Codec) -> Encoder {
        let g711 = |encode| Encoder::G711 { encode, halver: Box::default(), half: Vec::new() };
        match codec {
            Codec::Pcmu => g711(encode_ulaw),
            Codec::Pcma => g711(encode_alaw),
            Codec::G722 => Encoder::G722(Box::default()),
            Codec::Opus => Encoder::Opus(Box::default()),
        }
    }

    /// Appends the payload of a frame at [`RATE`].
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Encoder::G711 { encode, halver, half } => {
                half.clear();
                halver.halve(samples, half);
                out.extend(half.iter().map(|sample| encode(*sample)));
            }
            Encoder::G722(encoder) => encoder.encode(samples, out),
            Encoder::Opus(encoder) => encoder.encode(samples, out),
        }
    }
}

/// Makes sound of what one party says, at the rate of its codec ([`Codec::rate`]).
#[derive(Debug)]
pub enum Decoder {
    G711(fn(u8) -> i16),
    G722(Box<g722::Decoder>),
    Opus(Box<opus::Decoder>),
}

impl Decoder {
    #[must_use]
    pub fn new(codec: Codec) -> Decoder {
        match codec {
            Codec::Pcmu => Decoder::G711(decode_ulaw),
            Codec::Pcma => Decoder::G711(decode_alaw),
            Codec::G722 => Decoder::G722(Box::default()),
            Codec::Opus => Decoder::Opus(Box::default()),
        }
    }

    /// Appends the samples of a payload.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        match self {
            Decoder::G711(decode) => out.extend(payload.iter().map(|octet| decode(*octet))),
            Decoder::G722(decoder) => decoder.decode(payload, out),
            Decoder::Opus(decoder) => decoder.decode(payload, out),
        }
    }

    /// Appends so many samples for what was lost, where the codec knows better than silence.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        match self {
            Decoder::Opus(decoder) => decoder.conceal(samples, out),
            Decoder::G711(_) | Decoder::G722(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{level_dbm0, share_at, sine, sine_at};

    #[test]
    fn a_tone_keeps_its_level_and_its_shape_through_every_codec() {
        let tone = sine(1000.0, -10.0, RATE as usize);
        for codec in Codec::ALL {
            let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
            let mut heard = Vec::new();
            for samples in tone.chunks(FRAME) {
                let mut payload = Vec::new();
                encoder.encode(samples, &mut payload);
                decoder.decode(&payload, &mut heard);
            }
            assert_eq!(heard.len(), codec.rate() as usize, "{codec:?}");
            let later = &heard[heard.len() / 5..];
            let (level, part) = (level_dbm0(later), share_at(later, 1000.0, f64::from(codec.rate())));
            assert!((level + 10.0).abs() < 0.5, "{codec:?}: {level} dBm0");
            assert!(part > 0.99, "{codec:?}: {part}");
        }
    }

    #[test]
    fn g_711_distorts_no_more_than_g_712_allows() {
        let tone = sine_at(1000.0, -10.0, 8000, 8000);
        for (encode, decode) in
            [(encode_ulaw as fn(i16) -> u8, decode_ulaw as fn(u8) -> i16), (encode_alaw, decode_alaw)]
        {
            let heard: Vec<i16> = tone.iter().map(|sample| decode(encode(*sample))).collect();
            let level = level_dbm0(&heard);
            assert!((level + 10.0).abs() < 0.1, "{level} dBm0");
            let noise: Vec<i16> = tone.iter().zip(&heard).map(|(was, is)| was.wrapping_sub(*is)).collect();
            // ITU-T G.712 asks for 33 dB of signal over total distortion from 0 to -30 dBm0.
            assert!(level - level_dbm0(&noise) > 33.0, "{} dBm0 of noise", level_dbm0(&noise));
        }
    }

    #[test]
    fn every_octet_of_g_711_is_the_sound_that_it_stands_for() {
        for (codec, encode, silence) in
            [(Codec::Pcmu, encode_ulaw as fn(i16) -> u8, 0xff), (Codec::Pcma, encode_alaw, 0xd5)]
        {
            let wire: Vec<u8> = (0..=255).collect();
            let (mut samples, mut sound) = (Vec::new(), Vec::new());
            Decoder::new(codec).decode(&wire, &mut samples);
            let again: Vec<u8> = samples.iter().map(|sample| encode(*sample)).collect();
            Decoder::new(codec).decode(&again, &mut sound);
            assert_eq!(sound, samples, "{codec:?}"); // mu-law has two zeros
            let mut payload = Vec::new();
            Encoder::new(codec).encode(&[0; FRAME], &mut payload);
            assert_eq!(payload, [silence; FRAME / 2], "the octets of silence of G.711");
        }
    }

    #[test]
    fn names_and_numbers_lead_to_the_codec() {
        assert_eq!(Codec::named("pcma", 8000), Some(Codec::Pcma));
        assert_eq!(Codec::named("OPUS", 48_000), Some(Codec::Opus));
        assert_eq!(Codec::named("PCMU", 16_000), None);
        assert_eq!(Codec::named("G729", 8000), None);
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
            assert_eq!(Codec::of_payload_type(codec.payload_type()), Some(codec));
        }
    }
}
