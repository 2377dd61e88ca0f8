//! Where a call is in its life, and the ring stage that is on.

use super::bridge::Bridge;
use super::ring::Ring;
use super::served::Served;
use super::unacked::Unacked;

#[derive(Debug)]
pub(super) enum State {
    /// Nobody has answered yet.
    Ringing(Box<Ring>),
    Answered(Box<Bridge>),
    /// We speak with the caller ourselves.
    Served(Box<Served>),
    /// The call is over; stragglers are awaited. A caller who has not acknowledged its 200 yet is still to be told, and gets its BYE
    /// only then (RFC 3261 §15).
    Over(Option<Unacked>),
}

impl State {
    /// The ring stage that is on: the call's, or that of a transfer.
    pub(super) fn ring(&self) -> Option<&Ring> {
        match self {
            State::Ringing(ring) => Some(ring),
            State::Answered(bridge) => bridge.transfer.as_ref()?.ring(),
            State::Served(_) | State::Over(_) => None,
        }
    }

    pub(super) fn ring_mut(&mut self) -> Option<&mut Ring> {
        match self {
            State::Ringing(ring) => Some(ring),
            State::Answered(bridge) => bridge.transfer.as_mut()?.ring_mut(),
            State::Served(_) | State::Over(_) => None,
        }
    }

    /// A ring stage begins.
    pub(super) fn begin(&mut self, ring: Box<Ring>) {
        match self {
            State::Answered(bridge) => {
                if let Some(transfer) = &mut bridge.transfer {
                    transfer.begin(ring);
                }
            }
            State::Ringing(_) | State::Served(_) | State::Over(_) => *self = State::Ringing(ring),
        }
    }
}
