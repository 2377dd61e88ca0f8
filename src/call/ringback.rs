//! What a caller hears of us while it rings: the music that the rules want, as early media (RFC 3960 §3.2); and ringback of ours once an
//! earlier ring stage has begun with music, since a caller that hears early media makes no ringback of its own.
//!
//! What it is not: a caller who made no offer, or one that we share no codec with, makes its own ringback after a 180.

use super::Call;
use super::office::{Effect, Office};
use super::state::State;
use crate::clock::Now;
use crate::relay::Side;
use crate::voice::tone::Kind;
use crate::voice::{Command, Repeat, Sound, Spot};
use std::sync::Arc;

impl Call {
    /// Somebody rings, and the caller is told.
    pub(super) fn tell_of_ringing(&mut self, office: &mut Office, now: Now) {
        if !self.hears_us(office, now) {
            self.caller.ringing(office, now);
        }
    }

    /// The caller hears us while this stage rings. `false`: it is to be told by 180.
    fn hears_us(&mut self, office: &mut Office, now: Now) -> bool {
        let State::Ringing(ring) = &mut self.state else { return false };
        let (wanted, first) = (ring.plan().hear.clone(), ring.begins_to_sound());
        let voiced = self.anchor.as_ref().is_some_and(|anchor| anchor.is_voiced(Side::A));
        let name = wanted.as_deref().and_then(|wanted| wanted.strip_prefix("moh:"));
        let music = name.and_then(|name| self.music(office, name));
        if !first || (music.is_none() && !voiced) {
            return voiced;
        }
        let Some((spoken, description)) = self.early_session(office) else { return false };
        if let Some(description) = description {
            self.caller.early_media(office, now, description);
        }
        self.speak(office, &spoken);
        self.play_to_caller(office, music.unwrap_or_else(|| self.ringback()));
        true
    }

    /// What was to be played for ever has ended: there was no sound in it. The caller hears that it rings all the same.
    pub(super) fn sound_again(&mut self, office: &mut Office) {
        if let State::Ringing(_) = self.state {
            self.play_to_caller(office, self.ringback());
        }
    }

    fn ringback(&self) -> Arc<[Sound]> {
        Arc::from([Sound::Tone { kind: Kind::Ringback, country: self.domain.country().clone() }])
    }

    fn play_to_caller(&self, office: &mut Office, sounds: Arc<[Sound]>) {
        if let Some(anchor) = &self.anchor {
            let at = Spot { relay: anchor.id(), side: Side::A };
            let repeat = Repeat::UntilStopped;
            office.effect(Effect::Voice(Command::Play { at, number: 0, sounds, repeat }));
        }
    }
}
