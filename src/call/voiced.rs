//! What ears and voice tell a call, and in which format a party can be spoken to.

use super::Call;
use super::office::{Effect, Office};
use crate::clock::Now;
use crate::relay::{Media, RelayId};
use crate::sdp::spoken::{self, EVENTS, Mapped};
use crate::voice::codec::Codec;
use crate::voice::packet::{Format, Seed};
use crate::voice::{Command, Report, Spot};

/// How a party can be spoken to.
#[derive(Clone, Debug)]
pub(super) struct Spoken {
    pub format: Format,
    /// The same as its description has it.
    pub mapped: Mapped,
    /// Its telephone events.
    pub events: Option<Mapped>,
}

/// The first format of a description that we speak and, where it has agreed on its session with another party, that one too.
pub(super) fn spoken(description: &[u8], with: Option<&[u8]>) -> Option<Spoken> {
    all_spoken(description, with).into_iter().next()
}

/// All of them, in the order of the description: whoever has agreed to them may speak any.
pub(super) fn all_spoken(description: &[u8], with: Option<&[u8]>) -> Vec<Spoken> {
    let Ok(formats) = spoken::formats(description) else { return Vec::new() };
    let others = with.and_then(|with| spoken::formats(with).ok());
    let agreed = |name: &str| {
        others.as_ref().is_none_or(|others| others.iter().any(|other| other.name.eq_ignore_ascii_case(name)))
    };
    let of = |mapped: &Mapped| {
        let codec = Codec::named(&mapped.name, mapped.clock).filter(|_| agreed(&mapped.name))?;
        Some((codec, mapped.clone()))
    };
    let beside = |(codec, mapped): (Codec, Mapped)| {
        // RFC 4733 §2.1: with the clock of the sound beside it; many write 8000 beside Opus all the same.
        let mut events = formats.iter().filter(|format| format.name.eq_ignore_ascii_case(EVENTS));
        let fits = events.clone().find(|events| events.clock == codec.clock());
        let events = fits.or_else(|| events.next()).cloned();
        let event = events.as_ref().map(|events| events.payload_type);
        Spoken { format: Format { codec, payload_type: mapped.payload_type, event }, mapped, events }
    };
    formats.iter().filter_map(of).map(beside).collect()
}

impl Office {
    /// An ear and a mouth at that party.
    pub(super) fn open_voice(&mut self, at: Spot, format: Format) {
        let [word, more] = [self.ids.word(), self.ids.word()];
        let seed = Seed { ssrc: word as u32, sequence: (word >> 32) as u16, timestamp: more as u32 };
        self.effect(Effect::Voice(Command::Open { at, format, seed }));
    }
}

impl Call {
    /// Ears and voice tell something of one of its relays.
    pub fn heard_by_voice(&mut self, office: &mut Office, now: Now, report: Report) {
        match report {
            Report::Digit { at, digit } => self.pressed(office, now, at.relay, digit),
            Report::Played { at, number } => self.played(office, now, at, number),
            Report::Collected { at, digits, .. } => self.entered(office, now, at, &digits),
            Report::Checked { pin, .. } => self.looked_at(office, now, pin),
            Report::Recorded { result: Err(why), .. } => self.not_recorded(&why),
            // A sound that is missing is said by the voice plane; a recording lies where it was told to.
            Report::Missing { .. } | Report::Recorded { .. } => {}
        }
    }

    /// Its recording, or that of the conference that it is in, was not made or breaks off.
    pub fn not_recorded(&mut self, why: &str) {
        self.log.recording_failed = Some(why.to_owned());
    }

    /// Whether that relay is the call's own.
    #[must_use]
    pub fn relays_by(&self, id: RelayId) -> bool {
        self.anchor.as_ref().is_some_and(|anchor| anchor.id() == id)
    }

    /// The media plane has closed a relay of this call: its own, and the record is complete; or one beside it, and its ports are free.
    pub fn relay_closed(&mut self, office: &mut Office, id: RelayId, media: Media) {
        if self.relays_by(id) {
            return self.closed(office, Some(media));
        }
        if let Some(at) = self.superseded.iter().position(|superseded| superseded.id == id) {
            let superseded = self.superseded.swap_remove(at);
            self.log.media = Some(self.log.media.unwrap_or_default().and(media));
            return office.ports.give(superseded.b);
        }
        let asides = self.branches.iter_mut().filter_map(|branch| branch.aside.as_mut());
        if let Some(aside) = asides.into_iter().find(|aside| aside.id == id) {
            aside.closed(office);
        }
    }
}
