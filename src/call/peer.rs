//! What we keep of a party in one dialog beside the dialog itself: the caller, or whoever a branch leads to.

use super::Call;
use super::headers;
use super::office::Office;
use super::session_timer::SessionTimer;
use crate::clock::Now;
use crate::relay::Side;
use crate::sdp::{Origin, SdpError};
use crate::sip::{Flow, Half, Message, Method, Name, SessionId, Writer};
use bytes::Bytes;
use std::net::IpAddr;

#[derive(Debug)]
pub struct Peer {
    /// The session of ours that it is told of.
    pub origin: Origin,
    /// The session that it has described last, as it wrote it.
    pub heard: Option<Bytes>,
    /// The session of ours that is agreed on with it: it sends by the numbers of that.
    pub given: Option<Bytes>,
    /// It takes UPDATE: its Allow says so (RFC 3311 §4).
    pub updates: bool,
    pub session: SessionTimer,
    /// Its half of the Session-ID (RFC 7989): one that we stand in with, until it has said its own.
    pub half: Half,
    /// Our Contact in its dialog is a `sips` URI.
    pub sips: bool,
    /// Where its media is expected from, if it is behind a NAT: from where its SIP comes. That of a proxy between says nothing.
    pub expected: Option<IpAddr>,
}

impl Peer {
    #[must_use]
    pub fn new(office: &mut Office) -> Peer {
        Peer {
            origin: Origin::new(office.ids.word(), office.keying()),
            heard: None,
            given: None,
            updates: false,
            session: SessionTimer::new(office.session),
            half: Half::new(office.ids.word(), office.ids.word()),
            sips: false,
            expected: None,
        }
    }

    /// By which flow it is reached, and whether by a proxy.
    pub fn reached(&mut self, flow: &Flow, by_proxy: bool) {
        self.expected = (!by_proxy).then(|| flow.remote.ip().to_canonical());
    }

    /// Reads what a message of theirs says of themselves.
    pub fn learn(&mut self, message: &Message) {
        if let Some(half) = message.value(Name::SessionId).and_then(Half::of_sender) {
            self.half = half;
        }
        if message.value(Name::RecordRoute).is_some() {
            self.expected = None;
        }
        if message.value(Name::Allow).is_some() {
            self.updates = message.elements(Name::Allow).any(|method| method == Method::Update.word());
        }
    }

    /// It has described its session.
    ///
    /// # Errors
    /// Its media can't be secured as it has to be; things are as they were.
    pub fn hear(&mut self, description: &Bytes) -> Result<(), SdpError> {
        self.origin.hear(description)?;
        self.heard = Some(description.clone());
        Ok(())
    }

    /// It has described its session anew, in an offer: our answer is still to be given.
    ///
    /// # Errors
    /// As [`Peer::hear`].
    pub fn hear_offer(&mut self, offer: &Bytes) -> Result<(), SdpError> {
        self.origin.keying.renew(offer);
        self.hear(offer)
    }

    /// It has taken an INVITE of ours.
    pub fn answered(&mut self, now: Now, response: &Message) {
        self.learn(response);
        self.session.accepted(now, response);
    }

    /// What a request of ours that changes or refreshes its session says beside the description.
    pub fn write_session(&self, office: &Office, flow: &Flow, w: &mut Writer) {
        headers::session(w, office, flow, self.sips);
        self.session.write_request(w);
    }
}

impl Call {
    /// Who is on that side.
    pub(super) fn peer(&mut self, side: Side) -> &mut Peer {
        match self.index_at(side).and_then(|index| self.branches.get_mut(index)) {
            Some(branch) => &mut branch.peer,
            None => &mut self.caller.peer,
        }
    }

    /// Each side is told by its dialog who is on the other one (RFC 7989 §7).
    pub(super) fn introduce(&mut self) {
        let (near, far) = (self.peer(Side::A).half, self.peer(Side::B).half);
        for (side, local, remote) in [(Side::A, far, near), (Side::B, near, far)] {
            if let Some((dialog, _)) = self.dialog(side) {
                dialog.name_session(SessionId { local, remote });
            }
        }
        self.log.session_id = Some(SessionId { local: near, remote: far });
    }

    /// The same in a response to that side.
    pub(super) fn write_session_id(&mut self, side: Side, w: &mut Writer) {
        let (local, remote) = (self.peer(side.other()).half, self.peer(side).half);
        w.header(Name::SessionId, SessionId { local, remote });
    }

    /// Whoever is on that side has described its session. What can't be agreed to is passed over.
    pub(super) fn point(&mut self, office: &mut Office, side: Side, description: &Bytes) {
        let peer = self.peer(side);
        if peer.hear(description).is_err() {
            return;
        }
        let (protection, expected) = (peer.origin.keying.protection(), peer.expected);
        if let Some(anchor) = &mut self.anchor {
            anchor.point(office, side, description, protection, expected);
        }
        self.hold_music(office);
    }

    /// The party of that branch, which is on that side of the relay or is to be, has described its session.
    ///
    /// # Errors
    /// It can't be agreed to.
    pub(super) fn point_branch(
        &mut self,
        office: &mut Office,
        index: usize,
        side: Side,
        description: &Bytes,
    ) -> Result<(), SdpError> {
        let branch = self.branches.get_mut(index).ok_or(SdpError::NoAudio)?;
        branch.peer.hear(description)?;
        if let Some(anchor) = &mut self.anchor {
            let (protection, expected) = (branch.peer.origin.keying.protection(), branch.peer.expected);
            anchor.point(office, side, description, protection, expected);
            if side == Side::B {
                anchor.lead_to(index);
            }
        }
        Ok(())
    }

    /// The description as whoever is on that side gets it, pointed at our relay.
    ///
    /// # Errors
    /// It can't be relayed, or there is no relay.
    pub(super) fn describe(
        &mut self,
        office: &Office,
        side: Side,
        description: &[u8],
    ) -> Result<Bytes, SdpError> {
        let anchor = self.anchor.take().ok_or(SdpError::NoAudio)?;
        let described = anchor.rewrite(office, side, &mut self.peer(side).origin, description);
        self.anchor = Some(anchor);
        described
    }

    /// The same of an offer in an answered call, see [`Origin::offer`].
    ///
    /// # Errors
    /// As [`Call::describe`].
    pub(super) fn describe_offer(
        &mut self,
        office: &Office,
        side: Side,
        offer: &[u8],
    ) -> Result<Bytes, SdpError> {
        let anchor = self.anchor.take().ok_or(SdpError::NoAudio)?;
        let origin = &mut self.peer(side).origin;
        let described = origin.offer(|origin| anchor.rewrite(office, side, origin, offer));
        self.anchor = Some(anchor);
        described
    }

    /// The description as the party of that branch gets it, facing that side of the relay.
    ///
    /// # Errors
    /// As [`Call::describe`].
    pub(super) fn describe_to(
        &mut self,
        office: &Office,
        branch: usize,
        side: Side,
        description: &[u8],
    ) -> Result<Bytes, SdpError> {
        let anchor = self.anchor.as_ref().ok_or(SdpError::NoAudio)?;
        let branch = self.branches.get_mut(branch).ok_or(SdpError::NoAudio)?;
        anchor.rewrite(office, side, &mut branch.peer.origin, description)
    }

    /// The same of an offer, see [`Origin::offer`].
    ///
    /// # Errors
    /// As [`Call::describe`].
    pub(super) fn describe_offer_to(
        &mut self,
        office: &Office,
        branch: usize,
        side: Side,
        offer: &[u8],
    ) -> Result<Bytes, SdpError> {
        let anchor = self.anchor.as_ref().ok_or(SdpError::NoAudio)?;
        let branch = self.branches.get_mut(branch).ok_or(SdpError::NoAudio)?;
        branch.peer.origin.offer(|origin| anchor.rewrite(office, side, origin, offer))
    }
}
