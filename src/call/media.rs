//! The media of one call, as signalling sees it: two port pairs of the relay, the SDP that points parties at them, and where each
//! party wants to receive.

use super::office::{CallKey, Effect, Office};
use crate::relay::{Command, PortPair, RelayId, Side};
use crate::sdp::{self, SdpError};
use bytes::Bytes;

/// The relay of one call; its id is the call's.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    id: RelayId,
    a: PortPair,
    b: PortPair,
}

impl Anchor {
    /// Takes two port pairs and opens the relay. `None` when the ports are used up.
    pub fn open(office: &mut Office, call: CallKey) -> Option<Anchor> {
        let a = office.ports.take()?;
        let Some(b) = office.ports.take() else {
            office.ports.give(a);
            return None;
        };
        let id = RelayId(call.0);
        office.effect(Effect::Media(Command::Open { id, a, b }));
        Some(Anchor { id, a, b })
    }

    /// The description as the party on side `to` gets it: audio at our port that faces it.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn rewrite(&self, office: &Office, to: Side, description: &[u8]) -> Result<Bytes, SdpError> {
        let pair = match to {
            Side::A => self.a,
            Side::B => self.b,
        };
        let address = office.media_advertise.unwrap_or_else(|| pair.rtp.ip());
        sdp::anchor(description, address, pair.rtp.port(), pair.rtcp.port())
    }

    /// The party on that side has said where it receives.
    pub fn point(&self, office: &mut Office, side: Side, description: &[u8]) {
        let Ok(audio) = sdp::audio(description) else { return };
        let (rtp, rtcp) = if audio.on_hold { (None, None) } else { (Some(audio.rtp), Some(audio.rtcp)) };
        office.effect(Effect::Media(Command::Point { id: self.id, side, rtp, rtcp }));
    }

    /// Stops relaying. The pairs are free again when the media plane has reported (see [`Anchor::free`]).
    pub fn close(&self, office: &mut Office) {
        office.effect(Effect::Media(Command::Close { id: self.id }));
    }

    /// Gives the pairs back: to the end of the queue.
    pub fn free(self, office: &mut Office) {
        office.ports.give(self.a);
        office.ports.give(self.b);
    }
}
