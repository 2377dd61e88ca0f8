//! Who of a call's relay hears us, and what is recorded of it.

use super::Anchor;
use crate::call::office::{Effect, Office};
use crate::relay::{Command, Side, Source};
use crate::voice::packet::Format;
use crate::voice::{self, Spot, Subject};
use std::sync::Arc;

/// How each side is spoken to.
#[derive(Debug, Default)]
pub(super) struct Voiced {
    a: Option<Format>,
    b: Option<Format>,
}

impl Voiced {
    /// What it was.
    fn replace(&mut self, side: Side, voiced: Option<Format>) -> Option<Format> {
        let of = match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        };
        std::mem::replace(of, voiced)
    }
}

impl Anchor {
    /// Whether the party of that side hears us.
    #[must_use]
    pub fn is_voiced(&self, side: Side) -> bool {
        self.voiced_in(side).is_some()
    }

    /// In which format the party of that side hears us.
    #[must_use]
    pub fn voiced_in(&self, side: Side) -> Option<Format> {
        match side {
            Side::A => self.voiced.a,
            Side::B => self.voiced.b,
        }
    }

    /// The party of that side hears us from now on, in this format, and not the other party. In another format than before it hears
    /// nothing until something is played again.
    pub fn speak(&mut self, office: &mut Office, side: Side, format: Format) -> Spot {
        self.open(office);
        let at = Spot { relay: self.id, side };
        let before = self.voiced.replace(side, Some(format));
        if before.is_none() {
            let id = self.id;
            office.effect(Effect::Media(Command::Feed { id, side, from: Source::Voice }));
            office.effect(Effect::Media(Command::Tap { id, side, on: true }));
        }
        if before != Some(format) {
            office.open_voice(at, format);
        }
        at
    }

    /// The party of that side hears the other party again.
    pub fn hush(&mut self, office: &mut Office, side: Side) {
        if self.voiced.replace(side, None).is_some() {
            let id = self.id;
            office.effect(Effect::Voice(voice::Command::Close { at: Spot { relay: id, side } }));
            self.feed_by_party(office, side);
            if self.records.is_none() {
                office.effect(Effect::Media(Command::Tap { id, side, on: false }));
            }
        }
    }

    /// What both say is written to a file of this name; `formats`: see [`voice::Command::Record`].
    pub fn record(&mut self, office: &mut Office, file: Arc<str>, formats: [Vec<Format>; 2]) {
        if self.records.is_some() {
            return;
        }
        self.records = Some(formats.clone());
        self.open(office);
        for side in [Side::A, Side::B] {
            office.effect(Effect::Media(Command::Tap { id: self.id, side, on: true }));
        }
        office.effect(Effect::Voice(voice::Command::Record { relay: self.id, file, formats }));
    }

    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.records.is_some()
    }

    /// What is recorded is spoken in these formats from now on.
    pub fn record_on(&mut self, office: &mut Office, formats: [Vec<Format>; 2]) {
        let relay = self.id;
        if let Some(before) = self.records.as_mut().filter(|before| **before != formats) {
            before.clone_from(&formats);
            office.effect(Effect::Voice(voice::Command::Speaks { relay, formats }));
        }
    }

    /// Nobody hears us any more, and nothing is recorded.
    pub(super) fn end_voice(&mut self, office: &mut Office) {
        for side in [Side::A, Side::B] {
            if self.voiced.replace(side, None).is_some() {
                let at = Spot { relay: self.id, side };
                office.effect(Effect::Voice(voice::Command::Close { at }));
            }
        }
        if self.records.take().is_some() {
            office.effect(Effect::Voice(voice::Command::EndRecording { of: Subject::Relay(self.id) }));
        }
    }
}
