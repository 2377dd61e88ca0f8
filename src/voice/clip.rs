//! Recorded sound, ready to be played: decoded, one channel, at the rate of the codecs.

use super::codec::RATE;
use nanomp3::SliceReader;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The longest sound of one file; what is beyond is an error.
pub const SECONDS_MAX: usize = 3600;
/// The largest file.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The rates a file may have.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Samples at [`RATE`].
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    samples: Arc<Vec<i16>>,
}

/// A clip for as long as anybody else has it.
#[derive(Clone, Debug)]
pub struct Lent(Weak<Vec<i16>>);

impl Lent {
    #[must_use]
    pub fn clip(&self) -> Option<Clip> {
        self.0.upgrade().map(|samples| Clip { samples })
    }
}

/// Why a file can't be played.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClipError {
    #[error("it is neither WAV nor MP3")]
    Unknown,
    #[error("its WAV holds {}; PCM and floats can be played", encoding_name(*.0))]
    Encoding(u16),
    #[error("it is cut short: its WAV ends before it says so")]
    CutShort,
    #[error("its WAV can't be read: {0}")]
    Wav(String),
    #[error("its MP3 can't be read: {0}")]
    Mp3(String),
    #[error("its rate is {0} Hz; 8000 to 48000 can be played")]
    Rate(u32),
    #[error("it has {0} channels; one or two can be played")]
    Channels(u16),
    #[error("it has no sound in it")]
    Empty,
    #[error("it is longer than {} minutes", SECONDS_MAX / 60)]
    TooLong,
}

impl Clip {
    #[must_use]
    pub fn new(samples: Vec<i16>) -> Clip {
        Clip { samples: Arc::new(samples) }
    }

    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    #[must_use]
    pub fn lend(&self) -> Lent {
        Lent(Arc::downgrade(&self.samples))
    }

    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(RATE))
    }

    /// Reads a whole file: WAV of 8 to 32 bits or floats, or MP3; one or two channels, 8 to 48 kHz.
    ///
    /// # Errors
    /// See [`ClipError`].
    pub fn read(file: &[u8]) -> Result<Clip, ClipError> {
        let mut values = Vec::new();
        let rate = decode(file, |value| values.push(value))?;
        let sound = if rate == RATE { values } else { super::resample::resample(&values, rate, RATE) };
        let sample = |value: &f32| (value.clamp(-1.0, 1.0) * 32_767.0).round() as i16; // NaN becomes 0
        Ok(Clip::new(sound.iter().map(sample).collect()))
    }

    /// Whether [`Clip::read`] would read this file. It is decoded to its end, and nothing of it kept.
    ///
    /// # Errors
    /// Those of [`Clip::read`].
    pub fn try_out(file: &[u8]) -> Result<(), ClipError> {
        decode(file, |_| ()).map(|_| ())
    }
}

/// Gives every sample of a file, two channels as one, and says how many there are a second.
fn decode(file: &[u8], mut take: impl FnMut(f32)) -> Result<u32, ClipError> {
    let mut empty = true;
    let mut take = |value| {
        empty = false;
        take(value);
    };
    let rate = match file {
        [] => return Err(ClipError::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => wav(file, &mut take),
        _ if nanomp3::detect(file) => mp3(file, &mut take),
        _ => Err(ClipError::Unknown),
    }?;
    if empty { Err(ClipError::Empty) } else { Ok(rate) }
}

/// What is broken of an MP3 is passed over, as every player does; one without a frame has no sound. Some damage makes the library panic
/// (it looks one band too far): that is a file that can't be read, and no end of the thread that reads it. What it gave till then is let go of.
fn mp3(file: &[u8], take: &mut impl FnMut(f32)) -> Result<u32, ClipError> {
    catch_unwind(AssertUnwindSafe(|| decode_mp3(file, take)))
        .unwrap_or_else(|_| Err(ClipError::Mp3("it is damaged where its decoder can't pass over it".into())))
}

fn decode_mp3(file: &[u8], take: &mut impl FnMut(f32)) -> Result<u32, ClipError> {
    let mut reader = SliceReader::<f32>::new(file);
    let (Some(channels), rate) = (reader.channels(), reader.sample_rate()) else {
        return Err(ClipError::Empty);
    };
    if !RATES.contains(&rate) {
        return Err(ClipError::Rate(rate));
    }
    let channels = usize::from(channels.num());
    let mut left = SECONDS_MAX * rate as usize;
    while let Some(frame) = reader.read_frame().map_err(|error| ClipError::Mp3(error.to_string()))? {
        left = left.checked_sub(frame.len() / channels).ok_or(ClipError::TooLong)?;
        match channels {
            2 => frame.chunks_exact(2).for_each(|pair| take(pair.iter().sum::<f32>() / 2.0)),
            _ => frame.iter().for_each(|value| take(*value)),
        }
    }
    Ok(rate)
}

fn wav(file: &[u8], take: &mut impl FnMut(f32)) -> Result<u32, ClipError> {
    let broken = |error: hound::Error| match error {
        // It is read out of memory: there is no other way for that to fail.
        hound::Error::IoError(_) => ClipError::CutShort,
        // What it does not know, it may call inconsistent as well.
        _ => match encoding(file) {
            Some(tag) if !matches!(tag, PCM | FLOATS) => ClipError::Encoding(tag),
            _ => ClipError::Wav(error.to_string()),
        },
    };
    let mut reader = hound::WavReader::new(Cursor::new(file)).map_err(broken)?;
    let hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if !(1..=2).contains(&channels) {
        return Err(ClipError::Channels(channels));
    }
    if !RATES.contains(&sample_rate) {
        return Err(ClipError::Rate(sample_rate));
    }
    if reader.duration() as usize > SECONDS_MAX * sample_rate as usize {
        return Err(ClipError::TooLong);
    }
    let full_scale = 2_f32.powi(i32::from(bits_per_sample) - 1);
    let mut first = None;
    let mut value = |value: f32| match (channels, first.take()) {
        (2, None) => first = Some(value),
        (_, Some(left)) => take((left + value) / 2.0),
        (_, None) => take(value),
    };
    match sample_format {
        hound::SampleFormat::Float => {
            reader.samples::<f32>().try_for_each(|sample| sample.map(&mut value)).map_err(broken)?;
        }
        hound::SampleFormat::Int => {
            let mut value = |sample: i32| value(sample as f32 / full_scale);
            reader.samples::<i32>().try_for_each(|sample| sample.map(&mut value)).map_err(broken)?;
        }
    }
    Ok(sample_rate)
}

/// Formats of a WAV: those that can be read, and the one that says which behind it.
const PCM: u16 = 1;
const FLOATS: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

/// What its `fmt` chunk says that a WAV holds; `None`: it has none.
fn encoding(file: &[u8]) -> Option<u16> {
    let two = |at: usize| Some(u16::from_le_bytes(file.get(at..)?.first_chunk().copied()?));
    let mut at: usize = 12;
    loop {
        let length = u32::from_le_bytes(file.get(at.checked_add(4)?..)?.first_chunk().copied()?) as usize;
        if file.get(at..)?.starts_with(b"fmt ") {
            return match two(at + 8)? {
                EXTENSIBLE => two(at + 8 + 24),
                tag => Some(tag),
            };
        }
        // Chunks begin at even places.
        at = at.checked_add(8)?.checked_add(length)?.checked_add(length % 2)?;
    }
}

fn encoding_name(tag: u16) -> String {
    match tag {
        0x02 => "ADPCM of Microsoft".into(),
        0x06 => "G.711 A-law".into(),
        0x07 => "G.711 µ-law".into(),
        0x11 => "ADPCM of IMA".into(),
        0x31 => "GSM 6.10".into(),
        0x55 => "MP3".into(),
        _ => format!("format {tag:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{level_dbm0, peak, share};
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    const STEREO: &[u8] = include_bytes!("testdata/stereo.mp3");
    const NARROW: &[u8] = include_bytes!("testdata/narrow.mp3");

    fn file(rate: u32, channels: u16, bits_per_sample: u16, hz: f64, seconds: f64) -> Vec<u8> {
        let sample_format = hound::SampleFormat::Int;
        let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample, sample_format };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for n in 0..(f64::from(rate) * seconds) as u32 {
            let value = peak(-12.0) * (TAU * hz * f64::from(n) / f64::from(rate)).sin();
            let scaled = (value * 2_f64.powi(i32::from(bits_per_sample) - 16)).round();
            (0..channels).for_each(|_| writer.write_sample(scaled as i32).unwrap());
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn files_of_every_rate_and_shape_sound_the_same() {
        for (rate, channels, bits) in [
            (8_000, 1, 16),
            (8_000, 2, 16),
            (16_000, 1, 16),
            (44_100, 2, 24),
            (48_000, 1, 32),
            (11_025, 1, 8),
        ] {
            let clip = Clip::read(&file(rate, channels, bits, 1000.0, 1.0)).unwrap();
            let length = clip.length().as_secs_f64();
            assert!((length - 1.0).abs() < 0.001, "{rate}: {length} s");
            // The first and the last milliseconds are those of the resampler's filter.
            let middle = &clip.samples()[800..15_200];
            let (level, part) = (level_dbm0(middle), share(middle, 1000.0));
            assert!((level + 12.0).abs() < 0.2, "{rate}/{channels}/{bits}: {level} dBm0");
            assert!(part > 0.995, "{rate}/{channels}/{bits}: {part}");
        }
    }

    #[test]
    fn what_our_rate_can_not_carry_is_not_heard() {
        let clip = Clip::read(&file(48_000, 1, 16, 10_000.0, 1.0)).unwrap();
        let level = level_dbm0(&clip.samples()[800..15_200]);
        assert!(level < -60.0, "10 kHz comes back as 6 kHz at {level} dBm0");
    }

    #[test]
    fn what_can_not_be_played_says_why() {
        assert_eq!(Clip::read(b""), Err(ClipError::Empty));
        assert_eq!(Clip::read(b"hello there, this is text"), Err(ClipError::Unknown));
        assert_eq!(Clip::read(&file(96_000, 1, 16, 100.0, 0.1)), Err(ClipError::Rate(96_000)));
        assert_eq!(Clip::read(&file(8_000, 3, 16, 100.0, 0.1)), Err(ClipError::Channels(3)));
        assert_eq!(Clip::read(&file(8_000, 1, 16, 100.0, 0.0)), Err(ClipError::Empty));
        let whole = file(8_000, 1, 16, 100.0, 0.1);
        for cut in [30, 100, whole.len() - 1] {
            assert_eq!(Clip::read(&whole[..cut]), Err(ClipError::CutShort), "{cut}");
        }
        for (tag, says) in [(7_u16, "G.711 µ-law"), (0x31, "GSM 6.10"), (0x0161, "format 0x0161")] {
            let mut other = whole.clone();
            other[20..22].copy_from_slice(&tag.to_le_bytes());
            let error = Clip::read(&other).unwrap_err();
            assert_eq!(error, ClipError::Encoding(tag));
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_tried_out_is_what_is_read() {
        let whole = file(8_000, 2, 16, 100.0, 0.1);
        for file in [STEREO, NARROW, &whole, &whole[..200], b"no sound", b""] {
            assert_eq!(Clip::try_out(file).err(), Clip::read(file).err());
        }
    }

    #[test]
    fn an_mp3_sounds_like_what_it_was_made_of() {
        for file in [STEREO, NARROW] {
            let clip = Clip::read(file).unwrap();
            let length = clip.length().as_secs_f64();
            assert!((length - 0.6).abs() < 0.1, "{length} s");
            let middle = &clip.samples()[1600..8000];
            assert!(share(middle, 1000.0) > 0.99 && level_dbm0(middle) > -20.0, "{}", level_dbm0(middle));
        }
        assert_eq!(
            Clip::read(b"ID3\x04\x00\x00\x00\x00\x00\x00 a tag and nothing behind it"),
            Err(ClipError::Empty)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_file_that_is_cut_or_damaged_is_read_or_refused(
            narrow in any::<bool>(),
            cut in any::<proptest::sample::Index>(),
            flips in proptest::collection::vec((any::<proptest::sample::Index>(), 0_u8..8), 0..40),
        ) {
            let whole = if narrow { NARROW } else { STEREO };
            let mut bytes = whole[..=cut.index(whole.len())].to_vec();
            for (at, bit) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let _ = Clip::read(&bytes);
        }
    }
}
