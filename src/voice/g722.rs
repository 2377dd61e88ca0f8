//! G.722 at 64 kbit/s (ITU-T G.722): sound at 16 kHz as two bands of 8 kHz each, the lower one in six bits a sample, the upper one in two, both
//! by ADPCM. One octet is two samples.
//!
//! What it is not: the modes of 56 and 48 kbit/s, which leave the lowest bits to data; RTP knows none of them (RFC 3551 §4.5.2).
//!
//! Names of steps in capitals are the blocks of the recommendation. Its arithmetic is that of 16-bit words which saturate, held in `i32`.

/// Coefficients of one half of the filters that part and join the bands (table 11).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
/// Decision levels of the lower band (table 12).
const LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
    1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// The code of a difference that is beyond so many levels, above zero: 61 and down. Below zero see [`low_code`].
const FIRST_ABOVE: i32 = 61;
/// What the six bits of the lower band stand for (table 15).
const LOW_OF_64: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];
/// And their upper four bits, by which both ends adapt (table 13).
const LOW_OF_16: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// How the scale moves by those four bits: RL42 and WL in one (table 14).
const LOW_SCALE: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// What the two bits of the upper band stand for, and how the scale moves by them: RH2 and WH in one (tables 16 and 17).
const HIGH_OF_4: [i32; 4] = [-7408, -1616, 7408, 1616];
const HIGH_SCALE: [i32; 4] = [798, -214, 798, -214];
/// The decision level of the upper band.
const HIGH_LEVEL: i32 = 564;
/// Powers of two in steps of a 32nd, times 2048 (table 18, ILB).
const POWERS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// The entry of a table for a code of so many bits, which is never beyond it.
fn entry<const N: usize>(table: &[i32; N], code: u8) -> i32 {
    table.get(usize::from(code)).copied().unwrap_or_default()
}

/// The predictor and the scale of one band, the same at both ends.
#[derive(Clone, Debug)]
struct Band {
    /// What is expected, and the part of it that comes from the zeros.
    expected: i32,
    by_zeros: i32,
    /// Reconstructed samples, and those without the part of the poles, the newest first.
    rebuilt: [i32; 2],
    partly: [i32; 2],
    poles: [i32; 2],
    /// Differences, the newest first, and a coefficient for each.
    differences: [i32; 6],
    zeros: [i32; 6],
    /// Logarithmic and linear.
    scale: i32,
    step: i32,
}

impl Band {
    fn new(step: i32) -> Band {
        Band {
            expected: 0,
            by_zeros: 0,
            rebuilt: [0; 2],
            partly: [0; 2],
            poles: [0; 2],
            differences: [0; 6],
            zeros: [0; 6],
            scale: 0,
            step,
        }
    }

    /// INVQAL, INVQBL, INVQAH: a quantised difference at the scale that counts now.
    fn scaled(&self, value: i32) -> i32 {
        (self.step * value) >> 15
    }

    /// LOGSCL and SCALEL, or LOGSCH and SCALEH.
    fn rescale(&mut self, by: i32, most: i32, shift: i32) {
        self.scale = (((self.scale * 127) >> 7) + by).clamp(0, most);
        let power = POWERS.get(((self.scale >> 6) & 31) as usize).copied().unwrap_or_default();
        let right = shift - (self.scale >> 11);
        self.step = if right < 0 { power << -right } else { power >> right } << 2;
    }

    /// Block 4: both ends learn from the difference that both know.
    fn adapt(&mut self, difference: i32) {
        let rebuilt = saturate(self.expected + difference); // RECONS
        let partly = saturate(self.by_zeros + difference); // PARREC
        let agrees = |other: i32| (partly < 0) == (other < 0);
        let [newest, older] = self.partly;
        let [first, second] = self.poles;
        // UPPOL2
        let wide = saturate(first << 2);
        let turned = (if agrees(newest) { -wide } else { wide }).min(32_767);
        let pull = (turned >> 7) + if agrees(older) { 128 } else { -128 };
        let second = (pull + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1
        let pull = if agrees(newest) { 192 } else { -192 };
        let most = saturate(15_360 - second);
        let first = saturate(pull + ((first * 32_640) >> 15)).clamp(-most, most);
        self.poles = [first, second];
        // UPZERO
        let pull = if difference == 0 { 0 } else { 128 };
        for (zero, old) in self.zeros.iter_mut().zip(self.differences) {
            let pull = if (old < 0) == (difference < 0) { pull } else { -pull };
            *zero = saturate(pull + ((*zero * 32_640) >> 15));
        }
        // DELAYA
        self.differences.rotate_right(1);
        self.differences[0] = difference;
        self.rebuilt = [rebuilt, self.rebuilt[0]];
        self.partly = [partly, newest];
        // FILTEP, FILTEZ, PREDIC
        let tap = |coefficient: i32, value: i32| (coefficient * saturate(value + value)) >> 15;
        let by_poles = saturate(self.poles.iter().zip(self.rebuilt).map(|(pole, r)| tap(*pole, r)).sum());
        let zeros = self.zeros.iter().zip(self.differences);
        self.by_zeros = saturate(zeros.map(|(zero, d)| tap(*zero, d)).sum());
        self.expected = saturate(by_poles + self.by_zeros);
    }
}

/// Both bands of one direction.
#[derive(Clone, Debug)]
struct Bands {
    low: Band,
    high: Band,
    /// What the filter has in it, the oldest first.
    history: [i32; 24],
}

impl Default for Bands {
    fn default() -> Bands {
        Bands { low: Band::new(32), high: Band::new(8), history: [0; 24] }
    }
}

impl Bands {
    /// The two sums of the filter after two more samples: of the even and of the odd places.
    fn filter(&mut self, one: i32, two: i32) -> (i32, i32) {
        self.history.rotate_left(2);
        self.history[22] = one;
        self.history[23] = two;
        let (pairs, _) = self.history.as_chunks::<2>();
        let even = pairs.iter().zip(QMF).map(|([even, _], c)| even * c).sum();
        let odd = pairs.iter().zip(QMF.iter().rev()).map(|([_, odd], c)| odd * c).sum();
        (even, odd)
    }

    fn adapt(&mut self, low: u8, high: u8) {
        let four = low >> 2;
        let difference = self.low.scaled(entry(&LOW_OF_16, four));
        self.low.rescale(entry(&LOW_SCALE, four), 18_432, 8);
        self.low.adapt(difference);
        let difference = self.high.scaled(entry(&HIGH_OF_4, high));
        self.high.rescale(entry(&HIGH_SCALE, high), 22_528, 10);
        self.high.adapt(difference);
    }
}

/// QUANTL: six bits for a difference of the lower band.
fn low_code(band: &Band, sample: i32) -> u8 {
    let difference = saturate(sample - band.expected);
    let size = if difference < 0 { -(difference + 1) } else { difference };
    let beyond = LEVELS.iter().take_while(|level| size >= (**level * band.step) >> 12).count() as i32;
    let code = match (difference < 0, beyond) {
        (false, _) => FIRST_ABOVE - beyond,
        (true, 0 | 1) => 63 - beyond,
        (true, _) => 33 - beyond,
    };
    code as u8
}

/// QUANTH: two bits for one of the upper band.
fn high_code(band: &Band, sample: i32) -> u8 {
    let difference = saturate(sample - band.expected);
    let (size, sign) = if difference < 0 { (-(difference + 1), 0) } else { (difference, 2) };
    sign + u8::from(size < (HIGH_LEVEL * band.step) >> 12)
}

#[derive(Clone, Debug, Default)]
pub struct Encoder {
    bands: Bands,
}

impl Encoder {
    /// Appends an octet for each two samples at 16 kHz; one that is left over is dropped.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let (pairs, _) = samples.as_chunks::<2>();
        for [one, two] in pairs {
            let (even, odd) = self.bands.filter(i32::from(*one), i32::from(*two));
            let low = low_code(&self.bands.low, (odd + even) >> 14);
            let high = high_code(&self.bands.high, (odd - even) >> 14);
            self.bands.adapt(low, high);
            out.push(high << 6 | low);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Decoder {
    bands: Bands,
}

impl Decoder {
    /// Appends two samples at 16 kHz for each octet. Any octets are some sound.
    pub fn decode(&mut self, octets: &[u8], out: &mut Vec<i16>) {
        for octet in octets {
            let (low, high) = (octet & 0x3f, octet >> 6);
            let limit = |value: i32| value.clamp(-16_384, 16_383); // LIMIT
            let Bands { low: lower, high: upper, .. } = &self.bands;
            let lower = limit(lower.expected + lower.scaled(entry(&LOW_OF_64, low)));
            let upper = limit(upper.expected + upper.scaled(entry(&HIGH_OF_4, high)));
            self.bands.adapt(low, high);
            let (even, odd) = self.bands.filter(lower + upper, lower - upper);
            out.extend([odd, even].map(|sum| saturate(sum >> 11) as i16));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{level_dbm0, share_at, sine_at};
    use proptest::prelude::*;

    fn through(samples: &[i16]) -> Vec<i16> {
        let (mut wire, mut heard) = (Vec::new(), Vec::new());
        Encoder::default().encode(samples, &mut wire);
        assert_eq!(wire.len() * 2, samples.len());
        Decoder::default().decode(&wire, &mut heard);
        heard
    }

    /// `testdata/README.md` says how the files were made, by an implementation that is not ours.
    #[test]
    fn it_is_to_the_bit_what_another_implementation_makes() {
        let words = |bytes: &[u8]| -> Vec<i16> {
            bytes.as_chunks::<2>().0.iter().map(|word| i16::from_le_bytes(*word)).collect()
        };
        let (sound, theirs) =
            (words(include_bytes!("testdata/sound.raw")), include_bytes!("testdata/sound.g722"));
        let mut wire = Vec::new();
        Encoder::default().encode(&sound, &mut wire);
        assert!(
            wire == theirs,
            "the octets differ at {:?}",
            wire.iter().zip(theirs).position(|(a, b)| a != b)
        );
        let mut heard = Vec::new();
        Decoder::default().decode(theirs, &mut heard);
        let theirs = words(include_bytes!("testdata/sound.heard"));
        assert!(
            heard == theirs,
            "the sound differs at {:?}",
            heard.iter().zip(theirs).position(|(a, b)| *a != b)
        );
    }

    #[test]
    fn tones_of_either_band_keep_their_level_and_their_shape() {
        for (hz, least) in [(300.0, 0.999), (1000.0, 0.999), (3000.0, 0.99), (6000.0, 0.9)] {
            let heard = through(&sine_at(hz, -10.0, 16_000, 16_000));
            let (level, part) = (level_dbm0(&heard[1600..]), share_at(&heard[1600..], hz, 16_000.0));
            assert!((level + 10.0).abs() < 0.6, "{hz} Hz comes back at {level} dBm0");
            assert!(part > least, "{hz} Hz: {part} of what comes back");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_sound_and_any_sound_is_octets(
            octets in proptest::collection::vec(any::<u8>(), 0..600),
            samples in proptest::collection::vec(any::<i16>(), 0..600),
        ) {
            let mut sound = Vec::new();
            Decoder::default().decode(&octets, &mut sound);
            prop_assert_eq!(sound.len(), octets.len() * 2);
            let mut wire = Vec::new();
            Encoder::default().encode(&samples, &mut wire);
            prop_assert_eq!(wire.len(), samples.len() / 2);
        }
    }
}
