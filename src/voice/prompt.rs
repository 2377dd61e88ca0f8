//! The prompts that the daemon is built with, in English: what is said where no set of recordings has a better one. `prompts/` beside this
//! file has them, the words, and how they are made.

/// Whether there is one of that name, and its file.
macro_rules! recordings {
    ($name:expr, [$($known:literal,)*]) => {
        match $name {
            $($known => Some(include_bytes!(concat!("prompts/en/", $known, ".wav"))),)*
            _ => None,
        }
    };
}

/// The WAV file of that name: a sentence, or a word of a number, a time or a date.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static [u8]> {
    recordings!(
        name,
        [
            "confirm",
            "confirm-any",
            "conference-full",
            "conference-pin",
            "conference-wrong",
            "conference-goodbye",
            "conference-wait",
            "conference-alone",
            "conference-one",
            "conference-there-are",
            "conference-others",
            "conference-extension",
            "conference-caller",
            "conference-came",
            "conference-left",
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "8",
            "9",
            "10",
            "11",
            "12",
            "13",
            "14",
            "15",
            "16",
            "17",
            "18",
            "19",
            "20",
            "30",
            "40",
            "50",
            "60",
            "70",
            "80",
            "90",
            "hundred",
            "thousand",
            "million",
            "1st",
            "2nd",
            "3rd",
            "4th",
            "5th",
            "6th",
            "7th",
            "8th",
            "9th",
            "10th",
            "11th",
            "12th",
            "13th",
            "14th",
            "15th",
            "16th",
            "17th",
            "18th",
            "19th",
            "20th",
            "30th",
            "star",
            "pound",
            "oh",
            "oclock",
            "am",
            "pm",
            "hour",
            "hours",
            "minute",
            "minutes",
            "second",
            "seconds",
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::clip::Clip;
    use crate::voice::codec::RATE;
    use crate::voice::in_band::InBand;
    use crate::voice::measure::level_dbm0;
    use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

    #[test]
    fn each_line_of_the_words_is_said_aloud() {
        let sentences = (include_str!("prompts/en.txt"), RATE as usize * 3 / 10);
        let words = (include_str!("prompts/en.words.txt"), RATE as usize * 3 / 20);
        for (text, samples_min) in [sentences, words] {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let names: Vec<&str> =
                lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
            assert!(!names.is_empty());
            for name in names {
                let clip = Clip::read(built_in(name).expect(name)).expect(name);
                let samples = clip.samples();
                assert!(
                    samples.len() > samples_min && level_dbm0(samples) > -30.0,
                    "{name}: {}",
                    samples.len()
                );
            }
        }
        assert_eq!(built_in("no such prompt"), None);
    }

    #[test]
    fn words_follow_each_other_without_long_silence() {
        let words = include_str!("prompts/en.words.txt").lines().filter_map(|line| line.split_once(": "));
        for (name, _) in words {
            let clip = Clip::read(built_in(name).expect(name)).expect(name);
            let sounding = |sample: &i16| sample.unsigned_abs() > 300;
            let (first, last) =
                (clip.samples().iter().position(sounding), clip.samples().iter().rev().position(sounding));
            assert!(
                first.is_some_and(|at| at < RATE as usize / 10)
                    && last.is_some_and(|at| at < RATE as usize / 5),
                "{name}: {first:?} {last:?}"
            );
        }
    }

    /// This voice at another speed and pitch: its samples so much farther apart.
    fn spoken(samples: &[i16], pitch: f64) -> Vec<i16> {
        let count = (samples.len() as f64 / pitch) as usize;
        let at = |n: usize| {
            let place = n as f64 * pitch;
            let of = |at: usize| f64::from(samples.get(at).copied().unwrap_or_default());
            let (low, part) = (of(place as usize), place.fract());
            (low + (of(place as usize + 1) - low) * part) as i16
        };
        (0..count).map(at).collect()
    }

    /// Talk-off (ITU-T Q.24): a quarter of an hour of voices from deep to high, through G.711 of either law.
    #[test]
    fn no_speech_is_taken_for_keys() {
        let texts = [include_str!("prompts/en.txt"), include_str!("prompts/en.words.txt")];
        let names = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once(": "));
        let speech: Vec<i16> = names
            .filter_map(|(name, _)| built_in(name))
            .flat_map(|wav| Clip::read(wav).expect("each can be read").samples().to_vec())
            .collect();
        let mut seconds = 0;
        for step in 0..10 {
            let pitch = 0.7 + 0.08 * f64::from(step);
            let samples = spoken(&speech, pitch * f64::from(RATE) / 8000.0);
            seconds += samples.len() / 8000;
            let (mut keys, mut listener) = (Vec::new(), InBand::default());
            let by_mu_law = step % 2 == 0;
            for sample in samples {
                let heard = if by_mu_law {
                    decode_ulaw(encode_ulaw(sample))
                } else {
                    decode_alaw(encode_alaw(sample))
                };
                listener.take(&[heard], |digit| keys.push(digit.char()));
            }
            assert!(keys.is_empty(), "step {step}: {keys:?}");
        }
        assert!(seconds > 12 * 60, "{seconds} s of speech");
    }
}
