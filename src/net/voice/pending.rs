//! A list of sounds whose files are being read: when it may begin, and what comes to it later.
//!
//! Speech begins when all of it is there, so that nobody hears half a sentence and waits; music as soon as its first file is.

use super::loader::Loaded;
use crate::voice::mouth::Piece;
use crate::voice::tone::Tone;
use crate::voice::{Repeat, SOUNDS_MAX, Sound};
use std::sync::Arc;
use std::time::Duration;

/// What can't be played takes no time.
const NOTHING: Piece = Piece::Pause(Duration::ZERO);

pub(super) struct Pending {
    /// What its files are asked for by.
    pub play: u64,
    pub number: u32,
    pub repeat: Repeat,
    sounds: Arc<[Sound]>,
    pieces: Vec<Piece>,
    /// It is being played already.
    begun: bool,
}

/// What is to be done at the party's mouth.
#[derive(Debug)]
pub(super) enum Step {
    Begin(Vec<Piece>),
    Supply(usize, Piece),
}

impl Pending {
    pub(super) fn new(play: u64, number: u32, sounds: &Arc<[Sound]>, repeat: Repeat) -> Pending {
        let piece = |sound: &Sound| match sound {
            Sound::Tone { kind, country } => Piece::Tone(Tone::new(*kind, country)),
            Sound::Pause(length) => Piece::Pause(*length),
            Sound::File { .. } | Sound::Prompt { .. } => Piece::Awaited,
        };
        let pieces = sounds.iter().take(SOUNDS_MAX).map(piece).collect();
        Pending { play, number, repeat, sounds: sounds.clone(), pieces, begun: false }
    }

    /// Files of the rules, again and again until something else happens.
    pub(super) fn is_music(&self) -> bool {
        self.repeat == Repeat::UntilStopped
            && self.sounds.iter().all(|sound| matches!(sound, Sound::File { .. }))
    }

    /// What has to be read, and its place.
    pub(super) fn wanted(&self) -> Vec<(usize, Sound)> {
        let all = self.pieces.iter().zip(&*self.sounds).enumerate();
        all.filter(|(_, (piece, _))| is_awaited(piece))
            .map(|(index, (_, sound))| (index, sound.clone()))
            .collect()
    }

    pub(super) fn sound(&self, index: usize) -> Option<&Sound> {
        self.sounds.get(index)
    }

    /// A file has been read, or can't be: then it is passed over.
    pub(super) fn arrived(&mut self, loaded: &Loaded) -> Option<Step> {
        let index = loaded.ticket.index;
        let piece = loaded.clip.as_ref().map_or(NOTHING, |clip| Piece::Clip(clip.clone()));
        if self.begun {
            // Not kept here: the mouth has it.
            *self.pieces.get_mut(index)? = NOTHING;
            return Some(Step::Supply(index, piece));
        }
        *self.pieces.get_mut(index)? = piece;
        self.begin()
    }

    /// It begins, where it may.
    pub(super) fn begin(&mut self) -> Option<Step> {
        let may = match self.is_music() {
            true => !self.pieces.iter().find(|piece| !is_nothing(piece)).is_some_and(is_awaited),
            false => !self.is_awaiting(),
        };
        if self.begun || !may {
            return None;
        }
        self.begun = true;
        let left = self.pieces.iter().map(|piece| if is_awaited(piece) { Piece::Awaited } else { NOTHING });
        let left = left.collect();
        Some(Step::Begin(std::mem::replace(&mut self.pieces, left)))
    }

    /// Files of it are still to come.
    pub(super) fn is_awaiting(&self) -> bool {
        self.pieces.iter().any(is_awaited)
    }
}

fn is_awaited(piece: &Piece) -> bool {
    matches!(piece, Piece::Awaited)
}

fn is_nothing(piece: &Piece) -> bool {
    matches!(piece, Piece::Pause(length) if length.is_zero())
}

#[cfg(test)]
mod tests {
    use super::super::loader::Ticket;
    use super::*;
    use crate::voice::clip::Clip;

    fn list(repeat: Repeat) -> Pending {
        let file = |n: usize| Sound::File { domain: "a.example".into(), file: format!("{n}.wav").into() };
        Pending::new(1, 7, &(0..3).map(file).collect(), repeat)
    }

    fn arrives(pending: &mut Pending, index: usize, is_there: bool) -> String {
        let clip = if is_there { Ok(Clip::new(vec![1; 320])) } else { Err("it is broken".to_owned()) };
        let loaded = Loaded { ticket: Ticket { play: 1, index }, clip };
        let letter = |piece: &Piece| match piece {
            Piece::Clip(_) => 'c',
            Piece::Awaited => '.',
            _ => '-',
        };
        match pending.arrived(&loaded) {
            None => String::new(),
            Some(Step::Begin(pieces)) => pieces.iter().map(letter).collect(),
            Some(Step::Supply(at, piece)) => format!("{at}{}", letter(&piece)),
        }
    }

    #[test]
    fn music_begins_with_its_first_file_and_goes_on_with_what_comes() {
        let mut pending = list(Repeat::UntilStopped);
        assert_eq!(pending.wanted().len(), 3);
        assert_eq!(arrives(&mut pending, 1, true), "", "the first one is still to come");
        assert_eq!(arrives(&mut pending, 0, true), "cc.");
        assert!(pending.is_awaiting());
        assert_eq!(arrives(&mut pending, 2, false), "2-");
        assert!(!pending.is_awaiting());
    }

    #[test]
    fn music_whose_first_file_is_missing_begins_with_the_next() {
        let mut pending = list(Repeat::UntilStopped);
        assert_eq!(arrives(&mut pending, 0, false), "");
        assert_eq!(arrives(&mut pending, 1, true), "-c.");
        let mut pending = list(Repeat::UntilStopped);
        assert_eq!(arrives(&mut pending, 0, false), "");
        assert_eq!(arrives(&mut pending, 1, false), "");
        assert_eq!(arrives(&mut pending, 2, false), "---", "and its end is told");
    }

    #[test]
    fn speech_begins_when_all_of_it_is_there() {
        let mut pending = list(Repeat::Times(1));
        assert_eq!(arrives(&mut pending, 0, true), "");
        assert_eq!(arrives(&mut pending, 2, true), "");
        assert_eq!(arrives(&mut pending, 1, false), "c-c");
        let sounds = Arc::from([Sound::Pause(Duration::from_secs(1))]);
        assert!(matches!(Pending::new(1, 7, &sounds, Repeat::Times(1)).begin(), Some(Step::Begin(_))));
    }
}
