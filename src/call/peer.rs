//! What we keep of a party in one dialog beside the dialog itself: the caller, or whoever a branch leads to.

use super::office::Office;
use super::{Call, State};
use crate::ids::Ids;
use crate::relay::Side;
use crate::sdp::{Origin, SdpError};
use bytes::Bytes;

#[derive(Debug)]
pub struct Peer {
    /// The session of ours that it is told of.
    pub origin: Origin,
}

impl Peer {
    #[must_use]
    pub fn new(ids: &mut Ids) -> Peer {
        Peer { origin: Origin::new(ids.word()) }
    }
}

impl Call {
    /// Who is on that side.
    pub(super) fn peer(&mut self, side: Side) -> &mut Peer {
        let index = match (&self.state, side) {
            (State::Answered(bridge), Side::A) => bridge.near,
            (State::Answered(bridge), Side::B) => Some(bridge.winner),
            (State::Ringing(_) | State::Over(_), _) => None,
        };
        match index.and_then(|index| self.branches.get_mut(index)) {
            Some(branch) => &mut branch.peer,
            None => &mut self.caller.peer,
        }
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
}
