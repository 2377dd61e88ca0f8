//! Which answered calls are recorded: those of users and phones whose rules say so. The file is named in the call's record.
//!
//! Invariant: a call is recorded from the answer on or not at all; it is one file, however it is transferred.

use super::Call;
use super::office::Office;
use super::voiced::spoken;
use crate::clock::Now;
use crate::relay::Side;
use crate::rules::model::{DeviceRecord, Record};
use crate::voice::packet::Format;
use std::sync::Arc;

impl Call {
    /// The call has been answered: whether it is recorded is decided.
    pub(super) fn record_from_now(&mut self, office: &mut Office, now: Now) {
        let caller = self.log.from.origin.strip_prefix("device:").map(Arc::<str>::from);
        let callee = self.log.answered_by.as_ref().and_then(|by| by.device.as_deref()).map(Arc::<str>::from);
        let wanted = [(Side::A, caller), (Side::B, callee)]
            .into_iter()
            .any(|(side, device)| self.wants_recording(side, device.as_deref()));
        let formats = [Side::A, Side::B].map(|side| self.format_of(side));
        let Some(anchor) = self.anchor.as_mut().filter(|_| wanted) else { return };
        let file = format!("{}/{}/{}.wav", self.domain.name(), now.wall.strftime("%Y-%m-%d"), self.log.id);
        anchor.record(office, Arc::from(file.as_str()), formats);
        self.log.recording = Some(file);
    }

    /// How the party on that side speaks: by the payload types that it was told of (RFC 3264 §6.1).
    fn format_of(&mut self, side: Side) -> Option<Format> {
        let peer = self.peer(side);
        let told = peer.origin.standing().or(peer.heard.as_ref())?;
        Some(spoken(told, peer.heard.as_deref())?.format)
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
