//! The media of one call, as signalling sees it: two port pairs of the relay, the SDP that points parties at them, and where each
//! party wants to receive.

use super::office::{CallKey, Effect, Office};
use crate::relay::{Command, PortPair, RelayId, Side};
use crate::sdp::{self, Origin, Ports, SdpError};
use bytes::Bytes;

/// The relay of one call; its id is the call's.
#[derive(Debug)]
pub struct Anchor {
    id: RelayId,
    a: PortPair,
    b: PortPair,
    state: State,
}

/// Until the callee's side has said where it receives there is nothing to relay: a call that nobody answers costs the media plane
/// nothing.
#[derive(Debug)]
enum State {
    /// The ports are ours. What is to be told when the relay opens.
    Reserved(Vec<Command>),
    Open,
}

impl Anchor {
    /// Takes two port pairs. `None` when the ports are used up.
    pub fn reserve(office: &mut Office, call: CallKey) -> Option<Anchor> {
        let a = office.ports.take()?;
        let Some(b) = office.ports.take() else {
            office.ports.give(a);
            return None;
        };
        let state = State::Reserved(Vec::new());
        Some(Anchor { id: RelayId(call.0), a, b, state })
    }

    /// The description as a party on side `to` gets it, in the dialog of that origin: audio at our port that faces it.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn rewrite(
        &self,
        office: &Office,
        to: Side,
        origin: &mut Origin,
        description: &[u8],
    ) -> Result<Bytes, SdpError> {
        let pair = match to {
            Side::A => self.a,
            Side::B => self.b,
        };
        let address = office.media_advertise.unwrap_or_else(|| pair.rtp.ip());
        origin.describe(description, Ports { address, rtp: pair.rtp.port(), rtcp: pair.rtcp.port() })
    }

    /// The party on that side has said where it receives. The callee's word opens the relay.
    pub fn point(&mut self, office: &mut Office, side: Side, description: &[u8]) {
        let Ok(audio) = sdp::audio(description) else { return };
        let (rtp, rtcp) = if audio.on_hold { (None, None) } else { (Some(audio.rtp), Some(audio.rtcp)) };
        let command = Command::Point { id: self.id, side, rtp, rtcp };
        match (&mut self.state, side) {
            (State::Open, _) => office.effect(Effect::Media(command)),
            (State::Reserved(held), Side::A) => held.push(command),
            (State::Reserved(held), Side::B) => {
                let held = std::mem::take(held);
                self.state = State::Open;
                office.effect(Effect::Media(Command::Open { id: self.id, a: self.a, b: Some(self.b) }));
                for command in held.into_iter().chain([command]) {
                    office.effect(Effect::Media(command));
                }
            }
        }
    }

    /// Stops relaying. `true`: the media plane will report, and the pairs are free only then (see [`Anchor::free`]).
    pub fn close(&self, office: &mut Office) -> bool {
        let open = matches!(self.state, State::Open);
        if open {
            office.effect(Effect::Media(Command::Close { id: self.id }));
        }
        open
    }

    /// Gives the pairs back: to the end of the queue.
    pub fn free(self, office: &mut Office) {
        office.ports.give(self.a);
        office.ports.give(self.b);
    }
}
