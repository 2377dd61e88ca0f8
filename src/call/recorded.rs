//! Which answered calls are recorded: those of users and phones whose rules say so. The file is named in the call's record.
//!
//! Invariant: a call is recorded from the answer on or not at all; it is one file, however it is transferred.

use super::Call;
use super::media::Anchor;
use super::office::Office;
use super::voiced::all_spoken;
use crate::clock::Now;
use crate::relay::Side;
use crate::rules::model::{DeviceRecord, Record};
use crate::sdp::spoken::{EVENTS, formats};
use crate::voice::packet::Format;
use std::sync::Arc;

/// The longest name of a codec that a record repeats.
const NAME_CHARS_MAX: usize = 32;
/// How what is said of a recording without any sound begins.
const UNHEARD: &str = "nothing is heard in it";

impl Call {
    /// The call has been answered: whether it is recorded is decided.
    pub(super) fn record_from_now(&mut self, office: &mut Office, now: Now) {
        let caller = self.log.from.origin.strip_prefix("device:").map(Arc::<str>::from);
        let callee = self.log.answered_by.as_ref().and_then(|by| by.device.as_deref()).map(Arc::<str>::from);
        let wanted = [(Side::A, caller), (Side::B, callee)]
            .into_iter()
            .any(|(side, device)| self.wants_recording(side, device.as_deref()));
        let formats = self.formats();
        let Some(anchor) = self.anchor.as_mut().filter(|_| wanted) else { return };
        let file = format!("{}/{}/{}.wav", self.domain.name(), now.wall.strftime("%Y-%m-%d"), self.log.id);
        let unknown = formats.iter().all(Vec::is_empty);
        anchor.record(office, Arc::from(file.as_str()), formats);
        self.log.recording = Some(file);
        self.log.recording_failed = unknown.then(|| self.unheard());
    }

    /// Why nothing is heard in a recording: the parties speak by codecs that pass through us, and that we don't know.
    fn unheard(&mut self) -> String {
        let others = self.codec_names(Side::A);
        let agreed = |name: &String| others.iter().any(|other| other.eq_ignore_ascii_case(name));
        let codec = self.codec_names(Side::B).into_iter().find(agreed).unwrap_or_default();
        let codec: String = codec.chars().take(NAME_CHARS_MAX).collect();
        let codec = if codec.is_empty() { "in a way that has no name" } else { &codec };
        format!("{UNHEARD}: the parties speak {codec}, and PCMU, PCMA, G722 and opus can be recorded")
    }

    fn codec_names(&mut self, side: Side) -> Vec<String> {
        let heard = self.peer(side).heard.as_ref();
        let all = heard.and_then(|heard| formats(heard).ok()).unwrap_or_default();
        all.into_iter().map(|format| format.name).filter(|name| !name.eq_ignore_ascii_case(EVENTS)).collect()
    }

    /// A session has changed, or whose it is: what is recorded goes on in what is spoken now.
    pub(super) fn record_on(&mut self, office: &mut Office) {
        if self.anchor.as_ref().is_some_and(Anchor::is_recorded) {
            let formats = self.formats();
            if formats.iter().any(|formats| !formats.is_empty()) {
                self.log.recording_failed.take_if(|why| why.starts_with(UNHEARD));
            }
            if let Some(anchor) = &mut self.anchor {
                anchor.record_on(office, formats);
            }
        }
    }

    /// How the parties speak: by the payload types that each was told of (RFC 3264 §6.1).
    fn formats(&mut self) -> [Vec<Format>; 2] {
        [Side::A, Side::B].map(|side| {
            let peer = self.peer(side);
            let told = peer.origin.standing().or(peer.heard.as_ref());
            let spoken = told.map(|told| all_spoken(told, peer.heard.as_deref())).unwrap_or_default();
            spoken.into_iter().map(|spoken| spoken.format).collect()
        })
    }

    /// The word of the phone goes before that of its user.
    fn wants_recording(&self, side: Side, device: Option<&str>) -> bool {
        let user = self.user_on(side).and_then(|(_, user)| self.domain.user(user));
        match device.and_then(|device| self.domain.device(device)).map(|device| device.record) {
            Some(DeviceRecord::Always) => true,
            Some(DeviceRecord::Never) => false,
            Some(DeviceRecord::Inherit) | None => match user.map(|user| user.record) {
                Some(Record::Always) => true,
                Some(Record::Inbound) => side == Side::B,
                Some(Record::Outbound) => side == Side::A,
                Some(Record::Never) | None => false,
            },
        }
    }
}
