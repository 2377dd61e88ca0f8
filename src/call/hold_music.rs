//! Music for whoever is held: what the holder's user has chosen, from us, as long as the phone says that it only sends (RFC 3264 §8.4).
//!
//! What it is not: a party whose session is inactive both ways hears nothing, since it may be sent nothing.

use super::office::{Effect, Office};
use super::voiced::spoken;
use super::{Call, State};
use crate::relay::Side;
use crate::rules::MusicFiles;
use crate::sdp::{self, Direction};
use crate::voice::{Command, Repeat, SOUNDS_MAX, Sound};
use bytes::Bytes;
use std::sync::Arc;

impl Call {
    /// A session has changed: music begins, or ends.
    pub(super) fn hold_music(&mut self, office: &mut Office) {
        if !matches!(self.state, State::Answered(_)) {
            return;
        }
        for side in [Side::A, Side::B] {
            let (holder, held) = (self.peer(side.other()).heard.clone(), self.peer(side).heard.clone());
            let (Some(holder), Some(held)) = (holder, held) else { return };
            let music =
                if holds(&holder) && listens(&held) { self.music_of(office, side.other()) } else { None };
            let plays = self.anchor.as_ref().is_some_and(|anchor| anchor.is_voiced(side));
            match (music, plays) {
                (Some(music), false) => self.begin_music(office, side, (&held, &holder), music),
                (None, true) => {
                    if let Some(anchor) = &mut self.anchor {
                        anchor.hush(office, side);
                    }
                }
                (Some(_), true) | (None, false) => {}
            }
        }
    }

    fn begin_music(
        &mut self,
        office: &mut Office,
        side: Side,
        (held, holder): (&Bytes, &Bytes),
        sounds: Arc<[Sound]>,
    ) {
        let Some(spoken) = spoken(held, Some(holder)) else { return };
        let Some(anchor) = &mut self.anchor else { return };
        let at = anchor.speak(office, side, spoken.format);
        let repeat = Repeat::UntilStopped;
        office.effect(Effect::Voice(Command::Play { at, number: 0, sounds, repeat }));
    }

    /// What those hear whom the party on that side holds.
    fn music_of(&self, office: &mut Office, side: Side) -> Option<Arc<[Sound]>> {
        let (_, user) = self.user_on(side)?;
        let name = self.domain.user(user)?.moh.as_ref()?;
        let MusicFiles { files, shuffled } = self.domain.music(name)?;
        let first = if *shuffled { office.ids.word() as usize % files.len().max(1) } else { 0 };
        let domain = self.domain.name();
        let from_first = files.iter().cycle().skip(first).take(files.len().min(SOUNDS_MAX));
        let sounds = from_first.map(|file| Sound::File { domain: domain.clone(), file: file.clone() });
        Some(sounds.collect())
    }
}

/// Whoever describes their session so holds the other party.
pub(super) fn holds(description: &[u8]) -> bool {
    sdp::audio(description).is_ok_and(|audio| {
        audio.on_hold || matches!(audio.direction, Direction::SendOnly | Direction::Inactive)
    })
}

/// Whoever describes their session so may be sent sound.
fn listens(description: &[u8]) -> bool {
    sdp::audio(description).is_ok_and(|audio| {
        !audio.on_hold && matches!(audio.direction, Direction::SendRecv | Direction::RecvOnly)
    })
}
