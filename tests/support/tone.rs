//! A pure tone as a WAV file, and what is left of it at the other end.

use std::f64::consts::TAU;

/// Samples a second: what G.711 carries.
pub const RATE: u32 = 8000;
/// Samples a second and channels of a file for a phone that speaks G.711.
pub const G711: (u32, u16) = (RATE, 1);
/// Half of full scale leaves room for what the codec adds.
const LEVEL: f64 = 16_384.0;
const HEADER_BYTES: usize = 44;

/// How much of a signal is one tone.
#[derive(Debug)]
pub struct Measured {
    /// Root mean square, 1.0 at full scale. A tone of ours has 0.35.
    pub level: f64,
    /// The part of the power that the tone has, 0 to 1.
    pub share: f64,
}

/// `seconds` of `hz`: RIFF, PCM, one channel, 16 bits.
pub fn wav(hz: u32, seconds: u32) -> Vec<u8> {
    wav_of(G711, hz, seconds)
}

/// The same, of so many samples a second and channels that are alike.
pub fn wav_of((rate, channels): (u32, u16), hz: u32, seconds: u32) -> Vec<u8> {
    let frame = 2 * channels;
    let bytes = u32::from(frame) * rate * seconds;
    let mut file = Vec::with_capacity(HEADER_BYTES + bytes as usize);
    file.extend(b"RIFF");
    file.extend((bytes + 36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1, channels].map(u16::to_le_bytes).concat());
    file.extend([rate, u32::from(frame) * rate].map(u32::to_le_bytes).concat());
    file.extend([frame, 16].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    for n in 0..rate * seconds {
        for _ in 0..channels {
            file.extend(sample_of(rate, hz, n).to_le_bytes());
        }
    }
    file
}

/// The `n`th sample of a tone.
pub fn sample(hz: u32, n: u32) -> i16 {
    sample_of(RATE, hz, n)
}

fn sample_of(rate: u32, hz: u32, n: u32) -> i16 {
    let phase = TAU * f64::from(hz) * f64::from(n) / f64::from(rate);
    (LEVEL * phase.sin()) as i16
}

/// A sample in G.711's mu-law: sign, the segment that doubles, and four bits within it.
pub fn mu_law(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs() + BIAS).min(0x7fff);
    let segment = (magnitude >> 7).ilog2() as i32;
    !(sign | (segment << 4) as u8 | ((magnitude >> (segment + 3)) & 0x0f) as u8)
}

/// The sample of such a byte.
pub fn linear(byte: u8) -> i16 {
    let bits = i32::from(!byte);
    let magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
    (if bits & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

/// The samples of such a file, one that is still being written too.
pub fn samples(wav: &[u8]) -> Vec<i16> {
    let data = wav.get(HEADER_BYTES..).unwrap_or_default();
    data.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()
}

/// The first channel of such a file, every so manieth sample of it: [`RATE`] a second. What it is meant for has no tone that would fold.
pub fn thinned(wav: &[u8]) -> Vec<i16> {
    let channels = wav.get(22..24).map_or(1, |two| usize::from(u16::from_le_bytes([two[0], two[1]])));
    let rate = wav.get(24..28).map_or(RATE, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    let step = channels * (rate / RATE) as usize;
    samples(wav).into_iter().step_by(step.max(1)).collect()
}

/// Goertzel's filter at `hz` over the last second, where both ends have settled.
pub fn measure(samples: &[i16], hz: u32) -> Measured {
    let last = &samples[samples.len().saturating_sub(RATE as usize)..];
    let coefficient = 2.0 * (TAU * f64::from(hz) / f64::from(RATE)).cos();
    let (mut one, mut two, mut energy) = (0.0, 0.0, 0.0);
    for &sample in last {
        let value = f64::from(sample) / 32_768.0;
        energy += value * value;
        (one, two) = (value + coefficient * one - two, one);
    }
    let count = last.len().max(1) as f64;
    let tone = (one * one + two * two - coefficient * one * two) * 2.0 / count;
    Measured { level: (energy / count).sqrt(), share: if energy > 0.0 { tone / energy } else { 0.0 } }
}
