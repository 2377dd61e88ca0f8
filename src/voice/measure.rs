//! What the tests of this room measure sound by: level and share of a frequency. Compiled for tests alone.

use super::codec::RATE;
use std::f64::consts::TAU;

/// Decibels from 0 dBm0 to a sine at full scale in A-law (ITU-T G.711; 3.17 in mu-law).
const FULL_SCALE_DBM0: f64 = 314.0 / 100.0;

/// A sine at our rate.
pub(crate) fn sine(hz: f64, dbm0: f64, samples: usize) -> Vec<i16> {
    sine_at(hz, dbm0, samples, RATE)
}

/// The same at another rate.
pub(crate) fn sine_at(hz: f64, dbm0: f64, samples: usize, rate: u32) -> Vec<i16> {
    let peak = peak(dbm0);
    (0..samples).map(|n| (peak * (TAU * hz * n as f64 / f64::from(rate)).sin()).round() as i16).collect()
}

/// The peak of a sine of that level.
pub(crate) fn peak(dbm0: f64) -> f64 {
    32_767.0 * 10_f64.powf((dbm0 - FULL_SCALE_DBM0) / 20.0)
}

/// The level of a signal; silence is far below anything.
pub(crate) fn level_dbm0(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let mean = energy / samples.len().max(1) as f64;
    10.0 * (mean.max(1e-9) / (32_767.0_f64.powi(2) / 2.0)).log10() + FULL_SCALE_DBM0
}

/// The part of the power that a frequency has, 0 to 1 (Goertzel).
pub(crate) fn share(samples: &[i16], hz: f64) -> f64 {
    share_at(samples, hz, f64::from(RATE))
}

/// The same at another rate.
pub(crate) fn share_at(samples: &[i16], hz: f64, rate: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hz / rate).cos();
    let (mut one, mut two, mut energy) = (0.0, 0.0, 0.0);
    for sample in samples {
        let value = f64::from(*sample);
        energy += value * value;
        (one, two) = (value + coefficient * one - two, one);
    }
    if energy == 0.0 {
        return 0.0;
    }
    (one * one + two * two - coefficient * one * two) * 2.0 / samples.len() as f64 / energy
}

/// The largest step between two samples: a click is a step that the signal has nowhere else.
pub(crate) fn largest_step(samples: &[i16]) -> i32 {
    let step = |pair: &[i16]| (i32::from(pair[1]) - i32::from(pair[0])).abs();
    samples.windows(2).map(step).max().unwrap_or(0)
}
