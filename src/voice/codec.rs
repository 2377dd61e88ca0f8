//! The codecs that ears and voice speak: G.711, both laws (ITU-T G.711, RFC 3551 §4.5.14). The relay passes every other one untouched.
//!
//! Samples are linear, 16 bits with a sign, one channel; full scale is the top of an `i16`.

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

/// Samples a second of every codec here.
pub const RATE: u32 = 8_000;
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
}

impl Codec {
    /// The codec of a payload type that means the same in every session (RFC 3551 §6).
    #[must_use]
    pub fn of_payload_type(payload_type: u8) -> Option<Codec> {
        match payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            _ => None,
        }
    }

    /// The codec of an `a=rtpmap` encoding name (RFC 3551 §4.5.14), whatever its case.
    #[must_use]
    pub fn named(name: &str) -> Option<Codec> {
        [Codec::Pcmu, Codec::Pcma].into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// Its payload type where a session has named no other.
    #[must_use]
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// Appends the encoded samples.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Codec::Pcmu => out.extend(samples.iter().map(|sample| encode_ulaw(*sample))),
            Codec::Pcma => out.extend(samples.iter().map(|sample| encode_alaw(*sample))),
        }
    }

    /// Appends the samples of a payload. Any octets are some sound.
    pub fn decode(self, payload: &[u8], out: &mut Vec<i16>) {
        match self {
            Codec::Pcmu => out.extend(payload.iter().map(|octet| decode_ulaw(*octet))),
            Codec::Pcma => out.extend(payload.iter().map(|octet| decode_alaw(*octet))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{level_dbm0, sine};

    #[test]
    fn a_tone_keeps_its_level_and_its_shape_through_both_laws() {
        let tone = sine(1000.0, -10.0, 8000);
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let (mut wire, mut heard) = (Vec::new(), Vec::new());
            codec.encode(&tone, &mut wire);
            codec.decode(&wire, &mut heard);
            assert_eq!(wire.len(), tone.len());
            let level = level_dbm0(&heard);
            assert!((level + 10.0).abs() < 0.1, "{codec:?}: {level} dBm0");
            let noise: Vec<i16> = tone.iter().zip(&heard).map(|(was, is)| was.wrapping_sub(*is)).collect();
            // ITU-T G.712 asks for 33 dB of signal over total distortion from 0 to -30 dBm0.
            assert!(level - level_dbm0(&noise) > 33.0, "{codec:?}: {} dBm0 of noise", level_dbm0(&noise));
        }
    }

    #[test]
    fn every_octet_is_the_sound_that_it_stands_for() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let wire: Vec<u8> = (0..=255).collect();
            let (mut samples, mut again) = (Vec::new(), Vec::new());
            codec.decode(&wire, &mut samples);
            codec.encode(&samples, &mut again);
            let mut sound = Vec::new();
            codec.decode(&again, &mut sound);
            assert_eq!(sound, samples, "{codec:?}"); // mu-law has two zeros
        }
        let mut silence = Vec::new();
        Codec::Pcmu.encode(&[0], &mut silence);
        Codec::Pcma.encode(&[0], &mut silence);
        assert_eq!(silence, [0xff, 0xd5], "the octets of silence of G.711");
    }

    #[test]
    fn names_and_numbers_lead_to_the_codec() {
        assert_eq!(Codec::named("pcma"), Some(Codec::Pcma));
        assert_eq!(Codec::named("G729"), None);
        for codec in [Codec::Pcmu, Codec::Pcma] {
            assert_eq!(Codec::of_payload_type(codec.payload_type()), Some(codec));
        }
    }
}
