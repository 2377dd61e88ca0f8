//! Another rate, by windowed sinc interpolation: what the new rate can't carry is filtered out before it could fold back.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

/// Samples that the filter works on at once.
const CHUNK: usize = 1024;

/// The same sound at `to` samples a second, both between 8,000 and 48,000; nothing where the library can't.
#[must_use]
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let parameters = SincInterpolationParameters {
        sinc_len: 256,
        f_cutoff: None,
        oversampling_factor: 128,
        interpolation: SincInterpolationType::Cubic,
        window: WindowFunction::BlackmanHarris2,
    };
    let ratio = f64::from(to) / f64::from(from);
    let length = (samples.len() as f64 * ratio).round() as usize;
    let resampled = Async::<f32>::new_sinc(ratio, 1.0, &parameters, CHUNK, 1, FixedAsync::Input)
        .ok()
        .zip(InterleavedSlice::new(samples, 1, samples.len()).ok())
        .and_then(|(mut resampler, input)| resampler.process_all(&input, samples.len(), None).ok());
    let mut resampled = resampled.map(|owned| owned.take_data()).unwrap_or_default();
    resampled.truncate(length);
    resampled
}
