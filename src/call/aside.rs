//! A leg that is spoken with apart from its call, before it is let in: its own port pair and relay, with one party and our voice.

use super::destination;
use super::media::relay_of;
use super::office::{CallKey, Effect, Office};
use super::voiced;
use crate::relay::{Command, PortPair, RelayId, Side, Source};
use crate::sdp::{self, Origin, Ports, Protection, SdpError};
use crate::voice::{self, Repeat, Sound, Spot};
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Aside {
    pub id: RelayId,
    pub pair: PortPair,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reserved,
    /// Whether its party has keys.
    Open {
        secured: bool,
    },
    /// Its report is awaited. `adopted`: its ports are the call's now.
    Closing {
        adopted: bool,
    },
}

impl Aside {
    /// Takes a port pair; `n` tells it from all others of the call. `None` when the ports are used up.
    pub fn reserve(office: &mut Office, call: CallKey, n: u32) -> Option<Aside> {
        let pair = office.ports.take()?;
        Some(Aside { id: relay_of(call, n), pair, state: State::Reserved })
    }

    fn at(&self) -> Spot {
        Spot { relay: self.id, side: Side::A }
    }

    /// The description as the party gets it.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn rewrite(
        &self,
        office: &Office,
        by_ipv6: bool,
        origin: &mut Origin,
        description: &[u8],
    ) -> Result<Bytes, SdpError> {
        let address = match office.media_advertise_ipv6 {
            Some(address) if by_ipv6 => address.into(),
            _ => office.media_advertise.unwrap_or_else(|| self.pair.rtp.ip()),
        };
        let ports = Ports { address, rtp: self.pair.rtp.port(), rtcp: self.pair.rtcp.port() };
        origin.describe(description, ports)
    }

    /// The party has said where it receives: from now on it hears these sounds, again and again, and is listened to.
    pub fn ask(
        &mut self,
        office: &mut Office,
        (description, expected): (&[u8], Option<IpAddr>),
        protection: Protection,
        sounds: Arc<[Sound]>,
    ) {
        let Ok(audio) = sdp::audio(description) else { return };
        if self.state != State::Reserved {
            return;
        }
        self.state = State::Open { secured: protection != Protection::Plain };
        let (id, side) = (self.id, Side::A);
        office.effect(Effect::Media(Command::Open { id, a: self.pair, b: None }));
        let allowed = |to| destination::allowed(office, &[self.pair], to).filter(|_| !audio.on_hold);
        let rtp = allowed(audio.rtp);
        let rtcp = rtp.and_then(|_| allowed(audio.rtcp));
        if protection != Protection::Plain {
            office.effect(Effect::Media(Command::Secure { id, side, by: protection }));
        }
        office.effect(Effect::Media(Command::Point { id, side, rtp, rtcp, expected }));
        office.effect(Effect::Media(Command::Feed { id, side, from: Source::Voice }));
        office.effect(Effect::Media(Command::Tap { id, side, on: true }));
        // Whoever has no codec of ours hears nothing, and may press a key all the same, if it comes as an INFO.
        if let Some(spoken) = voiced::spoken(description, None) {
            let at = self.at();
            office.open_voice(at, spoken.format);
            let repeat = Repeat::UntilStopped;
            office.effect(Effect::Voice(voice::Command::Play { at, number: 0, sounds, repeat }));
        }
    }

    /// Its party goes on there with the keys that it has here. To be said before it is closed, and before that place is secured.
    pub fn hand_over(&self, office: &mut Office, to: (RelayId, Side)) {
        if let State::Open { secured: true } = self.state {
            office.effect(Effect::Media(Command::HandOver { id: self.id, side: Side::A, to }));
        }
    }

    /// It is over with it. `true`: its ports are free now, or will be by [`Aside::closed`].
    pub fn close(&mut self, office: &mut Office, adopted: bool) {
        match self.state {
            State::Reserved => {
                if !adopted {
                    office.ports.give(self.pair);
                }
                self.state = State::Closing { adopted: true };
            }
            State::Open { .. } => {
                office.effect(Effect::Voice(voice::Command::Close { at: self.at() }));
                office.effect(Effect::Media(Command::Close { id: self.id }));
                self.state = State::Closing { adopted };
            }
            State::Closing { .. } => {}
        }
    }

    /// Whether a report of the media plane is still to come.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Closing { adopted: false })
    }

    /// Its relay where that is open, whether its last report is awaited, and whether it holds its ports.
    pub fn census(&self) -> (Option<RelayId>, bool, bool) {
        match self.state {
            State::Reserved => (None, false, true),
            State::Open { .. } => (Some(self.id), false, true),
            State::Closing { adopted } => (None, !adopted, !adopted),
        }
    }

    /// The media plane has closed it.
    pub fn closed(&mut self, office: &mut Office) {
        if self.state == (State::Closing { adopted: false }) {
            office.ports.give(self.pair);
        }
        self.state = State::Closing { adopted: true };
    }
}
