//! Music for whoever is held: what the holder's user has chosen, from us, as long as the phone says that it only sends (RFC 3264 §8.4).
//!
//! A phone that holds by `inactive`, or by an address of none as RFC 2543 has it, is sent nothing. Whoever is held is told all the same that they
//! are sent something, where there is music: by us.

use super::office::{Effect, Office};
use super::pass::Turn;
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
            let music = music.and_then(|sounds| Some((sounds, spoken(&held, Some(&holder))?.format)));
            let Some(anchor) = &mut self.anchor else { return };
            match (music, anchor.voiced_in(side)) {
                (Some((_, format)), plays) if plays == Some(format) => {}
                (Some((sounds, format)), _) => {
                    let at = anchor.speak(office, side, format);
                    let repeat = Repeat::UntilStopped;
                    office.effect(Effect::Voice(Command::Play { at, number: 0, sounds, repeat }));
                }
                (None, Some(_)) => anchor.hush(office, side),
                (None, None) => {}
            }
        }
    }

    /// What the party on side `to` is told instead of this description of the other one's, where we play music; or the answer to a party that
    /// is to be sent nothing, which those who hear music have not heard of. `None`: what the description says.
    pub(super) fn with_music(&self, to: Side, description: &Bytes, turn: Turn) -> Option<Bytes> {
        let offered = self.heard_from(to);
        let said = sdp::audio(description).ok()?;
        if turn == Turn::Answer
            && offered
                .is_some_and(|offer| sdp::audio(offer).is_ok_and(|it| it.direction == Direction::Inactive))
        {
            // RFC 3264 §6.1: no other answer to it is valid.
            return (said.direction != Direction::Inactive).then(|| sdp::inactive(description));
        }
        let sends_nothing = said.on_hold || said.direction == Direction::Inactive;
        let listens = turn == Turn::Offer || offered.is_some_and(|offer| listens(offer));
        (sends_nothing && listens && self.has_music(to.other())).then(|| sdp::sending(description))
    }

    fn heard_from(&self, side: Side) -> Option<&Bytes> {
        let peer = match self.branch_of(side) {
            Some(branch) => &self.branches.get(branch)?.peer,
            None => &self.caller.peer,
        };
        peer.heard.as_ref()
    }

    /// Whether those whom the party on that side holds hear music.
    fn has_music(&self, side: Side) -> bool {
        let user = self.user_on(side).and_then(|(_, user)| self.domain.user(user));
        let name = user.and_then(|user| user.moh.as_ref());
        name.is_some_and(|name| self.domain.music(name).is_some_and(|music| !music.files.is_empty()))
    }

    /// What those hear whom the party on that side holds.
    fn music_of(&self, office: &mut Office, side: Side) -> Option<Arc<[Sound]>> {
        let (_, user) = self.user_on(side)?;
        let name = self.domain.user(user)?.moh.as_ref()?;
        self.music(office, name)
    }

    /// The sounds of `[moh.NAME]`: from the first on, or from any. `None`: there are none.
    pub(super) fn music(&self, office: &mut Office, name: &str) -> Option<Arc<[Sound]>> {
        let MusicFiles { files, shuffled } =
            self.domain.music(name).filter(|music| !music.files.is_empty())?;
        let first = if *shuffled { office.ids.word() as usize % files.len() } else { 0 };
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
