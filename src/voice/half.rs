//! From 8 to 16 kHz and back, as sound goes by: what the lower rate can't carry is filtered out.
//!
//! One filter serves both ways: a half-band filter, of whose coefficients every second one is zero but for the one in the middle. It passes up
//! to 3.4 kHz evenly and holds 60 dB back from 4.6 kHz on; between them is what telephony leaves empty. Each way delays by 1.5 ms.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Coefficients on one side of the middle that are not zero.
const SIDE: usize = 12;
/// Samples at the lower rate that a filter looks back on.
const PAST: usize = 2 * SIDE;
/// Shape of the window (Kaiser): 60 dB.
const BETA: f64 = 5.65;

/// Those of the odd places, from the first to the last; the one in the middle is a half.
static ODD: LazyLock<[f32; PAST]> = LazyLock::new(|| {
    let length = (2 * PAST) as f64;
    std::array::from_fn(|n| {
        let from_middle = 2.0 * n as f64 - (PAST as f64 - 1.0);
        let sinc = (PI * from_middle / 2.0).sin() / (PI * from_middle);
        let at = 2.0 * from_middle / length;
        (sinc * bessel(BETA * (1.0 - at * at).sqrt()) / bessel(BETA)) as f32
    })
});

/// The modified Bessel function of order zero.
fn bessel(x: f64) -> f64 {
    let term = |(term, sum): (f64, f64), k: i32| {
        let next = term * (x / (2.0 * f64::from(k))).powi(2);
        (next, sum + next)
    };
    (1..32).fold((1.0, 1.0), term).1
}

/// Rounded, half away from zero.
fn cut(value: f32) -> i16 {
    let value = value.clamp(-32_768.0, 32_767.0);
    (value + 0.5_f32.copysign(value)) as i16
}

fn is_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| *sample == 0)
}

/// Samples at the lower rate that are filtered at a time: those of a packet.
const BLOCK: usize = 160;

/// The last samples of one rate, before those that come next.
#[derive(Clone, Debug)]
struct Line<const PAST: usize>([f32; PAST]);

impl<const PAST: usize> Default for Line<PAST> {
    fn default() -> Self {
        Line([0.0; PAST])
    }
}

impl<const PAST: usize> Line<PAST> {
    fn is_silent(&self) -> bool {
        self.0.iter().all(|sample| *sample == 0.0)
    }

    /// What was before, and behind it a block, of at most [`BLOCK`] samples. From the next on, its end is what was before.
    fn with(&mut self, block: impl ExactSizeIterator<Item = f32>) -> [[f32; BLOCK]; 2] {
        let mut line = [[0.0; BLOCK]; 2];
        let flat = line.as_flattened_mut();
        let count = block.len();
        flat[..PAST].copy_from_slice(&self.0);
        flat[PAST..].iter_mut().zip(block).for_each(|(place, sample)| *place = sample);
        self.0.copy_from_slice(&flat[count..count + PAST]);
        line
    }
}

/// One sample of the filter. In eight sums, which are one step of the processor each.
fn filtered(samples: &[f32], odd: &[f32; PAST]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (samples, odd) in samples.as_chunks::<8>().0.iter().zip(odd.as_chunks::<8>().0) {
        for ((sum, sample), c) in sums.iter_mut().zip(samples).zip(odd) {
            *sum += sample * c;
        }
    }
    sums.iter().sum()
}

/// From 8 to 16 kHz.
#[derive(Clone, Debug, Default)]
pub struct Doubler(Line<PAST>);

impl Doubler {
    /// Two samples for each.
    pub fn double(&mut self, samples: &[i16], out: &mut [i16]) {
        if is_silent(samples) && self.0.is_silent() {
            return out.fill(0); // most of what anybody says
        }
        let (odd, (pairs, _)) = (&*ODD, out.as_chunks_mut::<2>());
        for (samples, pairs) in samples.chunks(BLOCK).zip(pairs.chunks_mut(BLOCK)) {
            let line = self.0.with(samples.iter().map(|sample| f32::from(*sample)));
            // Each sample is the last of its window.
            for (window, [one, two]) in line.as_flattened()[1..].windows(PAST).zip(pairs) {
                *one = cut(2.0 * filtered(window, odd));
                *two = cut(window[SIDE]);
            }
        }
    }
}

/// From 16 to 8 kHz.
#[derive(Clone, Debug, Default)]
pub struct Halver {
    odd: Line<PAST>,
    /// Samples of the places between.
    between: Line<SIDE>,
}

impl Halver {
    /// Appends one sample for each two.
    pub fn halve(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        if is_silent(samples) && self.odd.is_silent() && self.between.is_silent() {
            return out.resize(out.len() + samples.len() / 2, 0);
        }
        let (odd, (pairs, _)) = (&*ODD, samples.as_chunks::<2>());
        for pairs in pairs.chunks(BLOCK) {
            let line = self.odd.with(pairs.iter().map(|[one, _]| f32::from(*one)));
            let between = self.between.with(pairs.iter().map(|[_, two]| f32::from(*two)));
            let windows = line.as_flattened()[1..].windows(PAST).take(pairs.len());
            let halved = windows.zip(between.as_flattened());
            out.extend(halved.map(|(window, middle)| cut(filtered(window, odd) + middle / 2.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{level_dbm0, share_at, sine_at};

    fn doubled(samples: &[i16]) -> Vec<i16> {
        let mut doubler = Doubler::default();
        let mut all = Vec::new();
        for samples in samples.chunks(160) {
            let mut out = vec![0; 2 * samples.len()];
            doubler.double(samples, &mut out);
            all.extend(out);
        }
        all
    }

    fn halved(samples: &[i16]) -> Vec<i16> {
        let (mut halver, mut all) = (Halver::default(), Vec::new());
        samples.chunks(320).for_each(|samples| halver.halve(samples, &mut all));
        all
    }

    #[test]
    fn what_telephony_carries_passes_both_ways_as_it_is() {
        for hz in [100.0, 300.0, 1000.0, 2000.0, 3000.0, 3400.0] {
            let up = doubled(&sine_at(hz, -10.0, 8000, 8000));
            let down = halved(&sine_at(hz, -10.0, 16_000, 16_000));
            for (sound, rate) in [(&up[1600..], 16_000.0), (&down[800..], 8000.0)] {
                let level = level_dbm0(sound);
                assert!((level + 10.0).abs() < 0.1, "{hz} Hz at {rate}: {level} dBm0");
                assert!(share_at(sound, hz, rate) > 0.9999, "{hz} Hz at {rate}");
            }
        }
    }

    #[test]
    fn what_it_does_not_carry_is_no_other_tone() {
        for hz in [4600.0, 5000.0, 6000.0, 7500.0] {
            let down = halved(&sine_at(hz, -10.0, 16_000, 16_000));
            let level = level_dbm0(&down[800..]);
            assert!(level < -68.0, "{hz} Hz comes back at {level} dBm0");
        }
        let image = share_at(&doubled(&sine_at(1000.0, -10.0, 8000, 8000))[1600..], 7000.0, 16_000.0);
        assert!(image < 1e-6, "{image}");
    }

    #[test]
    fn full_scale_is_cut_and_does_not_turn_over() {
        let loud: Vec<i16> = (0..1600).map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        for sound in [doubled(&loud), halved(&loud)] {
            let steps = sound.windows(2).map(|two| (i32::from(two[1]) - i32::from(two[0])).abs());
            assert!(steps.max() < Some(65_535 - 2000));
        }
    }
}
