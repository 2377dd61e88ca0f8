//! A relay with a side that is secured: what comes is opened before [`Relay::packet`] judges it, what goes is sealed after it, and
//! connectivity checks and handshakes, which come on the same port (RFC 7983), are told apart.
//!
//! Invariant: a packet that isn't authentic neither locks nor moves a latch; it is counted, and that is all.

use super::Side;
use super::forward::{Channel, Relay, Reports};
use super::guard::Guard;
use super::latch::{Admitted, Latch};
use crate::ice::ANSWER_BYTES_MAX;
use crate::rtp::Protocol;
use crate::sdp::keying::Association;
use crate::sdp::{Protection, Role};
use crate::srtp::Keys;
use std::net::SocketAddr;
use std::time::Instant;

/// What has come to a secured relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// So many octets for [`Relay::packet`], in the clear by now unless that is to refuse them.
    Packet(usize),
    /// A connectivity check: so many octets of its answer go back to its source.
    Checked(usize),
    /// Part of a DTLS handshake.
    Handshake,
    /// It was counted.
    Nothing,
}

impl Relay {
    /// See `Command::Secure`.
    pub fn secure(&mut self, side: Side, by: Protection) {
        self.secured |= by != Protection::Plain;
        let party = self.party(side);
        if party.guard.secure(by) {
            (party.rtp, party.rtcp) = (Latch::default(), Latch::default()); // ICE finds it anew
        }
    }

    /// See `Command::HandOver`. `None`: that side is in the clear, and has nothing to hand over.
    pub fn hand_over(&mut self, side: Side) -> Option<Box<Guard>> {
        let guard = &mut self.party(side).guard;
        (!guard.is_plain()).then(|| Box::new(guard.hand_over()))
    }

    /// See [`Guard::inherit`].
    ///
    /// # Errors
    /// It is of another party.
    pub fn inherit(
        &mut self,
        now: Instant,
        side: Side,
        before: Box<Guard>,
        stays: bool,
    ) -> Result<(), Box<Guard>> {
        let party = self.party(side);
        party.guard.inherit(before, stays)?;
        if let Some(source) = party.guard.found() {
            self.find(now, side, source);
        }
        Ok(())
    }

    /// A connectivity check has found the party of that side.
    fn find(&mut self, now: Instant, side: Side, source: SocketAddr) {
        let party = self.party(side);
        party.rtp.find(now, source);
        party.reports = Reports::Muxed;
        self.note_pointed(now);
    }

    /// See `Command::Handshaken`.
    pub fn handshaken(&mut self, side: Side, channel: Channel, of: &Association, keys: &Keys) {
        self.party(side).guard.handshaken(channel, of, keys);
    }

    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// The association of that side, and where its party is, if it is we who begin the handshake of that port, and it can begin.
    #[must_use]
    pub fn begins(&mut self, side: Side, channel: Channel) -> Option<(Association, SocketAddr)> {
        let party = self.party(side);
        let association = party.guard.association().filter(|it| it.role == Role::Client)?;
        let to = match channel {
            Channel::Rtp => party.rtp.destination(),
            Channel::Rtcp => party.rtcp.destination().filter(|_| party.reports == Reports::Apart),
        };
        to.filter(|_| !party.guard.is_ready(channel)).map(|to| (association.clone(), to))
    }

    /// The association of that side.
    #[must_use]
    pub fn association(&mut self, side: Side) -> Option<&Association> {
        self.party(side).guard.association()
    }

    /// A datagram has come to that socket. The answer to a connectivity check is written where its room is.
    pub fn arrive(
        &mut self,
        now: Instant,
        (side, channel): (Side, Channel),
        from: SocketAddr,
        datagram: &mut [u8],
        answer: &mut [u8; ANSWER_BYTES_MAX],
    ) -> Arrival {
        let party = self.party(side);
        let arrival = match Protocol::of(datagram) {
            Some(Protocol::Stun) => match party.guard.check(now, channel, from, datagram, answer) {
                Some(checked) => {
                    if checked.found {
                        self.find(now, side, from);
                    }
                    Arrival::Checked(checked.answer)
                }
                None => Arrival::Nothing,
            },
            Some(Protocol::Dtls) => {
                let agreed = party.guard.association().is_some();
                let mut latch = if channel == Channel::Rtp { party.rtp } else { party.rtcp }; // it is only looked at
                if agreed && latch.admit(now, from) != Admitted::No {
                    Arrival::Handshake
                } else {
                    Arrival::Nothing
                }
            }
            Some(Protocol::Rtp) | None => {
                let mut latch = party.rtp;
                if party.guard.is_plain() || channel == Channel::Rtp && latch.admit(now, from) == Admitted::No
                {
                    return Arrival::Packet(datagram.len()); // or a stranger, of whom nothing is opened
                }
                party.guard.open(channel, datagram).map_or(Arrival::Nothing, Arrival::Packet)
            }
        };
        if arrival == Arrival::Nothing {
            self.party(side).reception.dropped(false);
        }
        arrival
    }

    /// The first `octets` of the buffer are about to be sent to the party on that side: octets of what goes out instead. `None`: nothing
    /// may.
    pub fn leave(
        &mut self,
        (side, channel): (Side, Channel),
        buffer: &mut [u8],
        octets: usize,
    ) -> Option<usize> {
        self.party(side).guard.seal(channel, buffer, octets).ok()
    }
}

#[cfg(test)]
mod tests;
