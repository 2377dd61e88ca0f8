//! Keys heard in the sound itself (ITU-T Q.23, Q.24): for phones that send neither events nor INFO, and with G.711 alone, since other codecs
//! bend the tones. Goertzel's filter over blocks of 12.75 ms.
//!
//! Speech must not be taken for keys (talk-off): the two tones have to hold nearly all the power, neither may be far stronger than the other,
//! each has to stand well above its neighbours, and two blocks in a row have to agree.

use super::digit::Digit;
use std::f32::consts::TAU;

/// Samples a second: that of G.711.
const RATE: u32 = 8_000;
/// Samples of one block: so many that each filter covers its tone and not the next one.
const BLOCK: usize = 102;
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Of full scale, mean square: some -36 dBm0 for each tone.
const POWER_MIN: f32 = 6.0e-5;
/// How far the high tone may be above the low one, and the low one above the high one: 8 and 4 dB (Q.24 annex A).
const TWIST: f32 = 6.31;
const REVERSE_TWIST: f32 = 2.51;
/// How far a tone stands above every other one of its group: 8 dB.
const PEAK: f32 = 6.31;
/// The part of the power that is the two tones': a key that is off by 1.5 % (Q.24 §2) shows less than all of it.
const SHARE_MIN: f32 = 0.7;
/// Blocks in a row that have to agree, and blocks without the key that end it.
const AGREE: u8 = 2;

/// Listens for keys in samples at 8 kHz.
#[derive(Debug)]
pub struct InBand {
    rows: [Filter; 4],
    columns: [Filter; 4],
    energy: f32,
    taken: usize,
    /// What the last block had, and in how many blocks in a row.
    seen: Option<Digit>,
    blocks: u8,
    /// The key that is down.
    down: Option<Digit>,
}

#[derive(Clone, Copy, Debug)]
struct Filter {
    coefficient: f32,
    one: f32,
    two: f32,
}

impl Filter {
    fn new(hz: f32) -> Filter {
        Filter { coefficient: 2.0 * (TAU * hz / RATE as f32).cos(), one: 0.0, two: 0.0 }
    }

    fn take(&mut self, value: f32) {
        (self.one, self.two) = (value + self.coefficient * self.one - self.two, self.one);
    }

    /// The mean square of its tone over the block, and a new beginning.
    fn power(&mut self) -> f32 {
        let Filter { coefficient, one, two } = *self;
        (self.one, self.two) = (0.0, 0.0);
        (one * one + two * two - coefficient * one * two) * 2.0 / (BLOCK * BLOCK) as f32
    }
}

impl Default for InBand {
    fn default() -> InBand {
        InBand {
            rows: ROWS.map(Filter::new),
            columns: COLUMNS.map(Filter::new),
            energy: 0.0,
            taken: 0,
            seen: None,
            blocks: 0,
            down: None,
        }
    }
}

impl InBand {
    /// Takes samples; each key is told once, when it has been down for two blocks.
    pub fn take(&mut self, samples: &[i16], mut told: impl FnMut(Digit)) {
        for sample in samples {
            let value = f32::from(*sample) / 32_768.0;
            self.energy += value * value;
            self.rows.iter_mut().chain(&mut self.columns).for_each(|filter| filter.take(value));
            self.taken += 1;
            if self.taken == BLOCK
                && let Some(digit) = self.block()
            {
                told(digit);
            }
        }
    }

    fn block(&mut self) -> Option<Digit> {
        let rows = self.rows.each_mut().map(Filter::power);
        let columns = self.columns.each_mut().map(Filter::power);
        let power = std::mem::take(&mut self.energy) / BLOCK as f32;
        self.taken = 0;
        let seen = key(&rows, &columns, power);
        self.blocks = if seen == self.seen { self.blocks.saturating_add(1) } else { 1 };
        self.seen = seen;
        if self.blocks < AGREE || seen == self.down {
            return None;
        }
        self.down = seen;
        seen
    }
}

/// The key of one block.
fn key(rows: &[f32; 4], columns: &[f32; 4], power: f32) -> Option<Digit> {
    let (row, low) = strongest(rows)?;
    let (column, high) = strongest(columns)?;
    let fits = low > POWER_MIN
        && high > POWER_MIN
        && high < low * TWIST
        && low < high * REVERSE_TWIST
        && low + high > power * SHARE_MIN;
    let key = KEYS.get(row)?.get(column)?;
    if fits { Digit::of_char(*key) } else { None }
}

/// The tone that stands above the others of its group.
fn strongest(powers: &[f32; 4]) -> Option<(usize, f32)> {
    let (at, most) = powers.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let alone = powers.iter().enumerate().all(|(n, power)| n == at || power * PEAK < most);
    alone.then_some((at, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::codec::{Codec, Decoder, Encoder};
    use crate::voice::half::Halver;
    use crate::voice::measure::sine;

    /// What is heard in sound at our rate.
    fn heard(samples: &[i16]) -> String {
        let mut half = Vec::new();
        Halver::default().halve(samples, &mut half);
        heard_at_8_khz(&half)
    }

    fn heard_at_8_khz(samples: &[i16]) -> String {
        let (mut in_band, mut keys) = (InBand::default(), String::new());
        // As packets bring them.
        samples.chunks(160).for_each(|chunk| in_band.take(chunk, |digit| keys.push(digit.char())));
        keys
    }

    fn pressed(low: f64, high: f64, (low_dbm0, high_dbm0): (f64, f64), ms: usize) -> Vec<i16> {
        let mut samples = sine(low, low_dbm0, ms * 16);
        samples.iter_mut().zip(sine(high, high_dbm0, ms * 16)).for_each(|(a, b)| *a = a.saturating_add(b));
        samples.extend([0; 50 * 16]);
        samples
    }

    #[test]
    fn every_key_is_heard_once_through_either_law_and_off_by_as_much_as_q_24_allows() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for off in [0.985, 1.0, 1.015] {
                let mut samples = Vec::new();
                for key in "1234567890*#ABCD".chars() {
                    let row = KEYS.iter().position(|row| row.contains(&key)).unwrap();
                    let column = KEYS[row].iter().position(|other| *other == key).unwrap();
                    let (low, high) = (f64::from(ROWS[row]) * off, f64::from(COLUMNS[column]) * off);
                    samples.extend(pressed(low, high, (-10.0, -8.0), 60));
                }
                let (mut wire, mut linear) = (Vec::new(), Vec::new());
                Encoder::new(codec).encode(&samples, &mut wire);
                Decoder::new(codec).decode(&wire, &mut linear);
                assert_eq!(heard_at_8_khz(&linear), "1234567890*#ABCD", "{codec:?}, off by {off}");
            }
        }
    }

    #[test]
    fn loud_and_quiet_keys_are_heard_and_what_is_too_short_is_not() {
        assert_eq!(heard(&pressed(770.0, 1336.0, (-3.0, -3.0), 80)), "5");
        assert_eq!(heard(&pressed(770.0, 1336.0, (-27.0, -25.0), 80)), "5");
        assert_eq!(heard(&pressed(770.0, 1336.0, (-10.0, -10.0), 20)), "");
        assert_eq!(heard(&pressed(770.0, 1336.0, (-10.0, -10.0), 2000)), "5", "held down");
    }

    #[test]
    fn single_tones_other_pairs_music_and_noise_are_no_keys() {
        let tone = |hz: f64| sine(hz, -6.0, 8000);
        for hz in ROWS.into_iter().chain(COLUMNS) {
            assert_eq!(heard(&tone(f64::from(hz))), "", "{hz} alone");
        }
        assert_eq!(heard(&pressed(440.0, 480.0, (-10.0, -10.0), 2000)), "", "ringback");
        assert_eq!(heard(&pressed(770.0, 1336.0, (-20.0, -6.0), 400)), "", "twisted");
        let mut chord = pressed(770.0, 1336.0, (-10.0, -10.0), 400);
        chord.iter_mut().zip(sine(1000.0, -8.0, 6400)).for_each(|(a, b)| *a = a.saturating_add(b));
        assert_eq!(heard(&chord), "", "with a third tone");
        let mut state = 1_u32;
        let noise: Vec<i16> = (0..80_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16
            })
            .collect();
        assert_eq!(heard_at_8_khz(&noise), "", "noise");
    }
}
