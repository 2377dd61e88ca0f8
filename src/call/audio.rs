//! What the relay hears while the parties talk: silence and one-way audio are told when they begin and when they end, where a party is
//! meant to speak.

use super::Call;
use super::office::{Effect, Office};
use super::state::State;
use crate::relay::Audio;

impl Call {
    /// The media plane has noticed who is heard. Before the answer a caller may well say nothing; and on hold nobody is missed.
    pub fn heard(&mut self, office: &mut Office, audio: Audio) {
        let State::Answered(_) = self.state else { return };
        let Some(audio) = self.anchor.as_mut().and_then(|anchor| anchor.judge(audio)) else { return };
        office.effect(Effect::Audio { id: self.log.id.clone(), audio });
    }
}
