//! What is played to a party: clips, tones and pauses one after the other, once or again and again.
//!
//! Invariants: what was begun is told to have ended exactly once, unless it was stopped; a sound that is stopped fades, so that nothing clicks.

use super::clip::Clip;
use super::codec::{FRAME, RATE};
use super::mix;
use super::tone::Tone;
use std::time::Duration;

/// How long a sound that is stopped takes to fade: 10 ms.
const FADE: usize = (RATE / 100) as usize;

/// One piece of what is played.
#[derive(Clone, Debug)]
pub enum Piece {
    Clip(Clip),
    Tone(Tone),
    Pause(Duration),
    /// It is still to come ([`Mouth::supply`]): there is silence until then.
    Awaited,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Times(u32),
    UntilStopped,
}

/// What is being played.
#[derive(Debug)]
struct Playing {
    number: u32,
    pieces: Vec<Piece>,
    repeat: Repeat,
    /// Rounds that are done, which piece, and how many samples of it.
    round: u32,
    piece: usize,
    made: usize,
    /// A round that made nothing is not gone again: a list without sound would never end.
    sounded: bool,
}

#[derive(Debug, Default)]
pub struct Mouth {
    playing: Option<Playing>,
    fading: Option<Playing>,
}

impl Mouth {
    /// Plays these pieces, in the place of what is played. `number` is what its end is told by.
    pub fn play(&mut self, number: u32, pieces: Vec<Piece>, repeat: Repeat) {
        self.stop();
        self.playing = Some(Playing { number, pieces, repeat, round: 0, piece: 0, made: 0, sounded: false });
    }

    /// A piece of what is played that was awaited.
    pub fn supply(&mut self, index: usize, piece: Piece) {
        let awaited = self.playing.as_mut().and_then(|playing| playing.pieces.get_mut(index));
        if let Some(awaited) = awaited.filter(|awaited| matches!(awaited, Piece::Awaited)) {
            *awaited = piece;
        }
    }

    pub fn stop(&mut self) {
        if let Some(playing) = self.playing.take() {
            self.fading = Some(playing);
        }
    }

    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// Fills the next frame, with silence where there is nothing. `Some`: the number of what has ended with it.
    pub fn fill(&mut self, frame: &mut [i16; FRAME]) -> Option<u32> {
        frame.fill(0);
        let mut ended = None;
        if let Some(playing) = &mut self.playing
            && playing.fill(frame) < FRAME
        {
            ended = Some(playing.number);
            self.playing = None;
        }
        if let Some(mut fading) = self.fading.take() {
            let mut tail = [0; FADE];
            fading.fill(&mut tail);
            for (at, sample) in tail.iter_mut().enumerate() {
                *sample = (i32::from(*sample) * (FADE - at) as i32 / FADE as i32) as i16;
            }
            mix::add(frame, &tail);
        }
        ended
    }
}

impl Playing {
    /// How much of `out` was filled: less than all of it at the end.
    fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(piece) = self.pieces.get_mut(self.piece) else {
                if !self.again() {
                    return done;
                }
                continue;
            };
            if matches!(piece, Piece::Awaited) {
                rest.fill(0);
                return out.len();
            }
            let made = piece.fill(self.made, rest);
            if made == 0 {
                (self.piece, self.made) = (self.piece + 1, 0);
                continue;
            }
            self.sounded = true;
            self.made += made;
            done += made;
        }
        done
    }

    fn again(&mut self) -> bool {
        self.round = self.round.saturating_add(1);
        let goes_on = match self.repeat {
            Repeat::Times(times) => self.round < times,
            Repeat::UntilStopped => true,
        };
        if !goes_on || !self.sounded {
            return false;
        }
        (self.piece, self.made, self.sounded) = (0, 0, false);
        true
    }
}

impl Piece {
    /// Fills from sample `at` of the piece on; 0 at its end.
    fn fill(&mut self, at: usize, out: &mut [i16]) -> usize {
        match self {
            Piece::Clip(clip) => {
                let rest = clip.samples().get(at..).unwrap_or_default();
                out.iter_mut().zip(rest).map(|(to, from)| *to = *from).count()
            }
            Piece::Tone(tone) => {
                if at == 0 {
                    tone.rewind();
                }
                tone.fill(out)
            }
            Piece::Pause(length) => {
                let samples = (length.as_millis() as usize).saturating_mul(RATE as usize / 1000);
                let rest = samples.saturating_sub(at).min(out.len());
                out.iter_mut().take(rest).for_each(|sample| *sample = 0);
                rest
            }
            Piece::Awaited => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{largest_step, share, sine};
    use crate::voice::tone::Kind;

    fn clip(hz: f64, samples: usize) -> Piece {
        Piece::Clip(Clip::new(sine(hz, -10.0, samples)))
    }

    fn pause(ms: u64) -> Piece {
        Piece::Pause(Duration::from_millis(ms))
    }

    /// Plays to the end, or for so many frames.
    fn sound(mouth: &mut Mouth, frames: usize) -> (Vec<i16>, Option<u32>) {
        let mut out = Vec::new();
        for _ in 0..frames {
            let mut frame = [0; FRAME];
            let ended = mouth.fill(&mut frame);
            out.extend(frame);
            if ended.is_some() {
                return (out, ended);
            }
        }
        (out, None)
    }

    #[test]
    fn pieces_follow_each_other_without_a_gap_and_the_end_is_told_once() {
        let mut mouth = Mouth::default();
        mouth.play(7, vec![clip(600.0, 2000), pause(50), clip(1000.0, 2000)], Repeat::Times(2));
        let (out, ended) = sound(&mut mouth, 1000);
        assert_eq!(ended, Some(7));
        assert!((2 * 4800..=2 * 4800 + FRAME).contains(&out.len()), "{}", out.len());
        for round in [0, 4800] {
            assert!(share(&out[round..round + 2000], 600.0) > 0.99);
            assert!(out[round + 2000..round + 2800].iter().all(|sample| *sample == 0));
            assert!(share(&out[round + 2800..round + 4800], 1000.0) > 0.99);
        }
        assert!(!mouth.is_playing());
        assert_eq!(sound(&mut mouth, 3), (vec![0; 3 * FRAME], None));
    }

    #[test]
    fn a_list_that_is_not_all_there_begins_and_waits_where_it_has_to() {
        let mut mouth = Mouth::default();
        let pieces = vec![clip(600.0, 2 * FRAME), Piece::Awaited, Piece::Awaited];
        mouth.play(7, pieces, Repeat::UntilStopped);
        let (out, ended) = sound(&mut mouth, 4);
        assert_eq!(ended, None);
        assert!(share(&out[..2 * FRAME], 600.0) > 0.99);
        assert!(out[2 * FRAME..].iter().all(|sample| *sample == 0));
        mouth.supply(2, clip(1000.0, 2 * FRAME));
        assert!(sound(&mut mouth, 1).0.iter().all(|sample| *sample == 0), "in its order");
        mouth.supply(1, pause(0)); // it could not be read
        mouth.supply(1, clip(300.0, FRAME)); // and that is that
        let (out, ended) = sound(&mut mouth, 4);
        assert_eq!(ended, None);
        assert!(share(&out[..2 * FRAME], 1000.0) > 0.99, "from its first sample on");
        assert!(share(&out[2 * FRAME..], 600.0) > 0.99, "and from the beginning again");
    }

    #[test]
    fn what_has_no_sound_ends_at_once_even_if_it_is_to_go_on_for_ever() {
        for pieces in [vec![], vec![pause(0)], vec![Piece::Clip(Clip::new(Vec::new()))]] {
            let mut mouth = Mouth::default();
            mouth.play(1, pieces, Repeat::UntilStopped);
            assert_eq!(sound(&mut mouth, 2).1, Some(1));
        }
        let mut mouth = Mouth::default();
        mouth.play(1, vec![clip(500.0, 10)], Repeat::UntilStopped);
        let (out, ended) = sound(&mut mouth, 100);
        assert!(ended.is_none() && out.len() == 100 * FRAME);
    }

    #[test]
    fn a_sound_that_is_stopped_or_replaced_fades_and_does_not_click() {
        let mut mouth = Mouth::default();
        mouth.play(1, vec![clip(1000.0, 16_000)], Repeat::UntilStopped);
        // Cut where the sine is at its peak.
        let (mut out, _) = sound(&mut mouth, 3);
        let steepest = largest_step(&out);
        mouth.stop();
        let (after, ended) = sound(&mut mouth, 2);
        assert_eq!(ended, None, "what was stopped has not ended");
        assert!(after[..FADE / 2].iter().any(|sample| *sample != 0));
        assert!(after[FADE..].iter().all(|sample| *sample == 0));
        out.extend(after);
        assert!(largest_step(&out) <= steepest + 1);
        mouth.play(2, vec![Piece::Tone(Tone::new(Kind::Beep, "US"))], Repeat::Times(1));
        assert_eq!(sound(&mut mouth, 100).1, Some(2));
    }
}
