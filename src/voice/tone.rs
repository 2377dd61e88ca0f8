//! Tones of the network: what a caller hears while it rings, where it is busy, and where the call can't be set up; by country.
//!
//! From ITU-T E.180 with its supplement 2 (which lists what each administration uses), and TIA-464 for North America. A country without a row
//! gets what E.180 recommends: 425 Hz. To add one, add its row.

use super::codec::RATE;
use serde::{Deserialize, Serialize};
use std::f32::consts::TAU;

/// Which tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Ringback,
    Busy,
    /// All paths are busy, or the call is refused (congestion, "fast busy").
    Reorder,
    /// Special information tone: what follows is an announcement (E.180 §7).
    Sit,
    /// A short tone: speak after it.
    Beep,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Ringback, Kind::Busy, Kind::Reorder, Kind::Sit, Kind::Beep];

    /// As rules write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Ringback => "ringback",
            Kind::Busy => "busy",
            Kind::Reorder => "reorder",
            Kind::Sit => "sit",
            Kind::Beep => "beep",
        }
    }

    #[must_use]
    pub fn named(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// One stretch of a cadence: one or two frequencies together (0: none), for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    hz: [u16; 2],
    ms: u16,
}

const fn on(hz: u16, ms: u16) -> Part {
    Part { hz: [hz, 0], ms }
}

const fn two(low: u16, high: u16, ms: u16) -> Part {
    Part { hz: [low, high], ms }
}

const fn off(ms: u16) -> Part {
    Part { hz: [0, 0], ms }
}

/// The three tones in which countries differ.
struct Row {
    country: &'static str,
    ringback: &'static [Part],
    busy: &'static [Part],
    reorder: &'static [Part],
}

const NORTH_AMERICA: Row = Row {
    country: "US",
    ringback: &[two(440, 480, 2000), off(4000)],
    busy: &[two(480, 620, 500), off(500)],
    reorder: &[two(480, 620, 250), off(250)],
};
/// E.180 §4 to §6: within the recommended limits.
const RECOMMENDED: Row = Row {
    country: "",
    ringback: &[on(425, 1000), off(4000)],
    busy: &[on(425, 500), off(500)],
    reorder: &[on(425, 250), off(250)],
};
const ROWS: &[Row] = &[
    Row {
        country: "AT",
        ringback: &[on(420, 1000), off(5000)],
        busy: &[on(420, 400), off(400)],
        reorder: &[on(420, 200), off(200)],
    },
    Row {
        country: "AU",
        ringback: &[two(400, 450, 400), off(200), two(400, 450, 400), off(2000)],
        busy: &[on(425, 375), off(375)],
        reorder: &[on(425, 375), off(375)],
    },
    Row {
        country: "BE",
        ringback: &[on(425, 1000), off(3000)],
        busy: &[on(425, 500), off(500)],
        reorder: &[on(425, 167), off(167)],
    },
    Row {
        country: "CH",
        ringback: &[on(425, 1000), off(4000)],
        busy: &[on(425, 500), off(500)],
        reorder: &[on(425, 200), off(200)],
    },
    Row {
        country: "CN",
        ringback: &[on(450, 1000), off(4000)],
        busy: &[on(450, 350), off(350)],
        reorder: &[on(450, 700), off(700)],
    },
    Row {
        country: "DE",
        ringback: &[on(425, 1000), off(4000)],
        busy: &[on(425, 480), off(480)],
        reorder: &[on(425, 240), off(240)],
    },
    Row {
        country: "ES",
        ringback: &[on(425, 1500), off(3000)],
        busy: &[on(425, 200), off(200)],
        reorder: &[on(425, 200), off(200), on(425, 200), off(200), on(425, 200), off(600)],
    },
    Row {
        country: "FR",
        ringback: &[on(440, 1500), off(3500)],
        busy: &[on(440, 500), off(500)],
        reorder: &[on(440, 250), off(250)],
    },
    Row {
        country: "GB",
        ringback: &[two(400, 450, 400), off(200), two(400, 450, 400), off(2000)],
        busy: &[on(400, 375), off(375)],
        reorder: &[on(400, 400), off(350), on(400, 225), off(525)],
    },
    Row {
        country: "IE",
        ringback: &[two(400, 450, 400), off(200), two(400, 450, 400), off(2000)],
        busy: &[on(425, 500), off(500)],
        reorder: &[on(425, 250), off(250)],
    },
    Row {
        country: "IN",
        ringback: &[two(400, 425, 400), off(200), two(400, 425, 400), off(2000)],
        busy: &[on(400, 750), off(750)],
        reorder: &[on(400, 250), off(250)],
    },
    Row {
        country: "IT",
        ringback: &[on(425, 1000), off(4000)],
        busy: &[on(425, 500), off(500)],
        reorder: &[on(425, 200), off(200)],
    },
    Row {
        country: "JP",
        ringback: &[two(384, 416, 1000), off(2000)],
        busy: &[on(400, 500), off(500)],
        reorder: &[on(400, 500), off(500)],
    },
    Row {
        country: "NL",
        ringback: &[on(425, 1000), off(4000)],
        busy: &[on(425, 500), off(500)],
        reorder: &[on(425, 250), off(250)],
    },
    Row {
        country: "NZ",
        ringback: &[two(400, 450, 400), off(200), two(400, 450, 400), off(2000)],
        busy: &[on(400, 500), off(500)],
        reorder: &[on(400, 250), off(250)],
    },
    Row {
        country: "SE",
        ringback: &[on(425, 1000), off(5000)],
        busy: &[on(425, 250), off(250)],
        reorder: &[on(425, 250), off(750)],
    },
];
/// E.180 §7: three tones that rise, 330 ms each, then a second of silence.
const SIT: &[Part] = &[on(950, 330), on(1400, 330), on(1800, 330), off(1000)];
const BEEP: &[Part] = &[on(1000, 250)];
/// Of each frequency, below 0 dBm0: 0.36 of full scale for one, so that two of them stay far from its end. E.180 wants -10 ± 5 dBm0 in all.
const PEAK: f32 = 32_767.0 * 0.16;
/// How long a tone takes to come up and to go: shorter than anybody hears, long enough to be no click.
const RAMP: usize = (RATE / 1000 * 5) as usize;

fn row(country: &str) -> &'static Row {
    const NANP: [&str; 7] = ["US", "CA", "BB", "BM", "BS", "JM", "PR"];
    if NANP.contains(&country) {
        return &NORTH_AMERICA;
    }
    ROWS.iter().find(|row| row.country == country).unwrap_or(&RECOMMENDED)
}

/// A tone that is being made.
#[derive(Clone, Debug)]
pub struct Tone {
    parts: &'static [Part],
    /// Which part, and how many samples of it are made.
    part: usize,
    made: usize,
    /// Begins again after its last part.
    endless: bool,
}

impl Tone {
    /// `country` by its code of ISO 3166. A beep ends; the others go on until they are stopped.
    #[must_use]
    pub fn new(kind: Kind, country: &str) -> Tone {
        let row = row(country);
        let parts = match kind {
            Kind::Ringback => row.ringback,
            Kind::Busy => row.busy,
            Kind::Reorder => row.reorder,
            Kind::Sit => SIT,
            Kind::Beep => BEEP,
        };
        Tone { parts, part: 0, made: 0, endless: kind != Kind::Beep }
    }

    /// From its beginning.
    pub fn rewind(&mut self) {
        (self.part, self.made) = (0, 0);
    }

    /// Fills as much of `out` as there is of it, and says how much: less than all of it at its end.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        for (done, sample) in out.iter_mut().enumerate() {
            let Some(value) = self.sample() else { return done };
            *sample = value;
        }
        out.len()
    }

    fn sample(&mut self) -> Option<i16> {
        let mut part = *self.parts.get(self.part)?;
        let mut length = samples(part);
        if self.made == length {
            self.made = 0;
            self.part += 1;
            if self.endless {
                self.part %= self.parts.len();
            }
            part = *self.parts.get(self.part)?;
            length = samples(part);
        }
        let at = self.made;
        self.made += 1;
        let edge = at.min(length - 1 - at).min(RAMP) as f32 / RAMP as f32;
        let wave: f32 = part.hz.iter().filter(|hz| **hz != 0).map(|hz| wave(*hz, at)).sum();
        Some((PEAK * edge * wave) as i16)
    }
}

fn samples(part: Part) -> usize {
    usize::from(part.ms) * (RATE / 1000) as usize
}

/// Whole cycles are taken off first, so that the phase stays exact however long a tone lasts.
fn wave(hz: u16, at: usize) -> f32 {
    let cycles = (usize::from(hz) * at % RATE as usize) as f32 / RATE as f32;
    (TAU * cycles).sin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{largest_step, level_dbm0, share};

    const MS: usize = (RATE / 1000) as usize;

    fn made(kind: Kind, country: &str, ms: usize) -> Vec<i16> {
        let mut samples = vec![0; ms * MS];
        let filled = Tone::new(kind, country).fill(&mut samples);
        samples.truncate(filled);
        samples
    }

    #[test]
    fn tones_of_countries_have_their_frequencies_cadence_and_level() {
        for (kind, country, hz, on_ms, off_ms) in [
            (Kind::Ringback, "US", &[440.0, 480.0][..], 2000, 4000),
            (Kind::Busy, "CA", &[480.0, 620.0], 500, 500),
            (Kind::Reorder, "US", &[480.0, 620.0], 250, 250),
            (Kind::Busy, "DE", &[425.0], 480, 480),
            (Kind::Ringback, "FR", &[440.0], 1500, 3500),
            (Kind::Busy, "GB", &[400.0], 375, 375),
            (Kind::Ringback, "SE", &[425.0], 1000, 5000),
            (Kind::Reorder, "XX", &[425.0], 250, 250),
        ] {
            let sound = made(kind, country, 2 * (on_ms + off_ms));
            for round in 0..2 {
                let start = round * (on_ms + off_ms) * MS;
                let (tone, pause) = sound[start..].split_at(on_ms * MS);
                let held: f64 = hz.iter().map(|hz| share(tone, *hz)).sum();
                assert!(held > 0.97, "{kind:?} {country}: {held} of the power");
                let level = level_dbm0(tone);
                assert!((-15.0..=-5.0).contains(&level), "{kind:?} {country}: {level} dBm0");
                assert!(pause[..off_ms * MS].iter().all(|sample| *sample == 0), "{kind:?} {country}");
            }
        }
    }

    #[test]
    fn the_special_information_tone_rises_in_three_steps() {
        let sound = made(Kind::Sit, "GB", 1990);
        for (step, hz) in [950.0, 1400.0, 1800.0].into_iter().enumerate() {
            let tone = &sound[step * 330 * MS..(step + 1) * 330 * MS];
            assert!(share(tone, hz) > 0.97, "{hz}");
        }
        assert!(sound[990 * MS..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_beep_ends_and_nothing_clicks() {
        assert_eq!(made(Kind::Beep, "US", 1000).len(), 250 * MS);
        // The steepest step of a sine of that height, with two of them together.
        let steepest = (f64::from(PEAK) * std::f64::consts::TAU * (480.0 + 620.0) / f64::from(RATE)) as i32;
        assert!(largest_step(&made(Kind::Reorder, "US", 3000)) <= steepest + 1);
    }

    #[test]
    fn words_name_the_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.word()), Some(kind));
        }
        assert_eq!(Kind::named("disconnected"), None);
        assert!(ROWS.is_sorted_by(|a, b| a.country < b.country));
    }
}
