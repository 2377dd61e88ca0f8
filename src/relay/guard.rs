//! How the packets of one side of a relay are secured: opened when they come, protected when they go, and who may be answered on the
//! way to that (ICE-lite, DTLS).
//!
//! Invariants: what isn't authentic changes nothing but a counter, and never the latch; nothing goes out in the clear to a party that
//! has agreed to keys. A re-offer, with the same keys or others, doesn't begin the packets' numbers anew (RFC 3711 §3.3.1), unless it is of
//! another crypto context.

use super::forward::Channel;
use crate::ice::{self, ANSWER_BYTES_MAX};
use crate::rtp;
use crate::sdp::Protection;
use crate::sdp::keying::Association;
use crate::srtp::{Inbound, Keys, Outbound, Refused};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A pair of addresses that was checked so lately gives way only to one that its party prefers (RFC 8445 §8.1.1); checks come each
/// 2.5 s or sooner, and consent ends after 30 s (RFC 7675 §5.1).
const FRESH_FOR: Duration = Duration::from_secs(6);

/// One side's security.
#[derive(Default)]
pub struct Guard {
    by: Protection,
    /// `None`: in the clear, or the handshake is still to come.
    keyed: Option<Keyed>,
    /// Of RTCP on its own port, which has a handshake of its own (RFC 5764 §4).
    keyed_rtcp: Option<Keyed>,
    nominated: Option<Nominated>,
}

struct Keyed {
    keys: Keys,
    inbound: Inbound,
    /// Of the key before, until a packet comes under the new one: the peer changes it only once it has our answer (RFC 4568 §7.1.3).
    before: Option<Inbound>,
    outbound: Outbound,
}

impl Keyed {
    fn new(keys: &Keys) -> Keyed {
        let (inbound, outbound) = (Inbound::new(&keys.theirs), Outbound::new(&keys.ours));
        Keyed { keys: keys.clone(), inbound, before: None, outbound }
    }

    /// The same streams under these keys.
    fn rekeyed(mut self, keys: &Keys) -> Keyed {
        if self.keys.theirs != keys.theirs {
            let next = self.inbound.rekeyed(&keys.theirs);
            self.before = Some(std::mem::replace(&mut self.inbound, next));
        }
        if self.keys.ours != keys.ours {
            self.outbound.rekey(&keys.ours);
        }
        Keyed { keys: keys.clone(), ..self }
    }

    /// Opens a packet under the key that it was protected with.
    fn open(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let by = |inbound: &mut Inbound, packet: &mut [u8]| match rtp::is_rtcp(packet) {
            true => inbound.rtcp(packet),
            false => inbound.rtp(packet),
        };
        match (by(&mut self.inbound, packet), &mut self.before) {
            (Ok(octets), before) => {
                *before = None;
                Ok(octets)
            }
            (Err(Refused::Forged), Some(before)) => by(before, packet), // it is as it was
            (Err(refused), _) => Err(refused),
        }
    }
}

/// The pair in use.
struct Nominated {
    source: SocketAddr,
    priority: u32,
    checked: Instant,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("by", &self.by)
            .field("keyed", &self.keyed.is_some())
            .finish_non_exhaustive()
    }
}

/// What a connectivity check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Octets of the answer.
    pub answer: usize,
    /// Its source is where the party is from now on.
    pub found: bool,
}

impl Guard {
    /// See `Command::Secure`. Whether the party is to be found anew by ICE.
    pub fn secure(&mut self, by: Protection) -> bool {
        let ice = |by: &Protection| match by {
            Protection::Dtls(association) => association.ice.clone(),
            Protection::Plain | Protection::Sdes(..) => None,
        };
        let anew = ice(&by).is_some() && ice(&by) != ice(&self.by);
        let goes_on = self.goes_on_as(&by);
        if anew {
            self.nominated = None;
        }
        match &by {
            Protection::Plain => (self.keyed, self.keyed_rtcp) = (None, None),
            Protection::Sdes(keys, _) => {
                let before = self.keyed.take().filter(|_| goes_on);
                self.keyed = Some(before.map_or_else(|| Keyed::new(keys), |before| before.rekeyed(keys)));
                self.keyed_rtcp = None;
            }
            Protection::Dtls(_) if goes_on => {}
            Protection::Dtls(_) => (self.keyed, self.keyed_rtcp) = (None, None),
        }
        self.by = by;
        anew
    }

    /// Whether its streams go on under this protection: by other keys of the same crypto context, or by the same association, which goes on
    /// where nothing of it has changed (RFC 8842 §5).
    fn goes_on_as(&self, by: &Protection) -> bool {
        match (&self.by, by) {
            (Protection::Sdes(_, before), Protection::Sdes(_, context)) => before == context,
            (Protection::Dtls(before), Protection::Dtls(association)) => before.is_same(association),
            (Protection::Plain | Protection::Sdes(..) | Protection::Dtls(_), _) => false,
        }
    }

    /// What goes on at another relay; what stays opens nothing and seals nothing.
    pub fn hand_over(&mut self) -> Guard {
        let stays = Guard { by: self.by.clone(), ..Guard::default() };
        std::mem::replace(self, stays)
    }

    /// The party of this side was secured by `before` at another relay: at the same ports, if it `stays` where it is found. It is given back where
    /// nothing of it goes on here.
    ///
    /// # Errors
    /// See above.
    pub fn inherit(&mut self, before: Box<Guard>, stays: bool) -> Result<(), Box<Guard>> {
        if !before.goes_on_as(&self.by) {
            return Err(before);
        }
        if self.association().is_some() && self.keyed.is_some() {
            return Ok(()); // it has shaken hands here
        }
        let Guard { by, nominated, .. } = std::mem::replace(self, *before);
        self.nominated.take_if(|_| !stays);
        self.secure(by);
        self.nominated = nominated.or(self.nominated.take());
        Ok(())
    }

    /// Where connectivity checks have found its party.
    #[must_use]
    pub fn found(&self) -> Option<SocketAddr> {
        self.nominated.as_ref().map(|pair| pair.source)
    }

    /// The handshake of this association has given these keys. Late ones of another association are passed over.
    pub fn handshaken(&mut self, channel: Channel, of: &Association, keys: &Keys) {
        if self.association().is_some_and(|association| association.is_same(of)) {
            let keyed = match channel {
                Channel::Rtp => &mut self.keyed,
                Channel::Rtcp => &mut self.keyed_rtcp,
            };
            *keyed = Some(Keyed::new(keys));
        }
    }

    /// The handshake that gives the keys, where there is one.
    #[must_use]
    pub fn association(&self) -> Option<&Association> {
        match &self.by {
            Protection::Dtls(association) => Some(association),
            Protection::Plain | Protection::Sdes(..) => None,
        }
    }

    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.by == Protection::Plain
    }

    /// The keys of that port are agreed on, or none are to be.
    #[must_use]
    pub fn is_ready(&self, channel: Channel) -> bool {
        match (&self.by, channel) {
            (Protection::Plain, _) => true,
            (Protection::Dtls(_), Channel::Rtcp) => self.keyed_rtcp.is_some(),
            (Protection::Sdes(..), _) | (Protection::Dtls(_), Channel::Rtp) => self.keyed.is_some(),
        }
    }

    /// The keys of that port; keys of a description are for both.
    fn keyed(&mut self, channel: Channel) -> Option<&mut Keyed> {
        match (&self.by, channel) {
            (Protection::Dtls(_), Channel::Rtcp) => self.keyed_rtcp.as_mut(),
            (Protection::Plain | Protection::Sdes(..), _) | (_, Channel::Rtp) => self.keyed.as_mut(),
        }
    }

    /// Opens what its party has sent, in its place: octets of what it holds.
    ///
    /// # Errors
    /// It isn't authentic, was there before, or there are no keys yet.
    pub fn open(&mut self, channel: Channel, packet: &mut [u8]) -> Result<usize, Refused> {
        if self.is_plain() {
            return Ok(packet.len());
        }
        match self.keyed(channel) {
            Some(keyed) => keyed.open(packet),
            None => Err(Refused::Forged),
        }
    }

    /// Protects the first `octets` of the buffer for its party: octets of the result.
    ///
    /// # Errors
    /// There are no keys yet, or they may protect no more.
    pub fn seal(&mut self, channel: Channel, buffer: &mut [u8], octets: usize) -> Result<usize, Refused> {
        if self.is_plain() {
            return Ok(octets);
        }
        match self.keyed(channel) {
            Some(keyed) if buffer.get(..octets).is_some_and(rtp::is_rtcp) => {
                keyed.outbound.rtcp(buffer, octets)
            }
            Some(keyed) => keyed.outbound.rtp(buffer, octets),
            None => Err(Refused::Forged),
        }
    }

    /// A STUN request has come: where it proves who sent it, its answer is written. `None`: it is passed over.
    pub fn check(
        &mut self,
        now: Instant,
        channel: Channel,
        from: SocketAddr,
        datagram: &[u8],
        answer: &mut [u8; ANSWER_BYTES_MAX],
    ) -> Option<Checked> {
        let ice = self.association()?.ice.as_ref().filter(|_| channel == Channel::Rtp)?;
        let check = ice::check(datagram, from, ice, answer)?;
        let found = match (&mut self.nominated, check.nominates) {
            (Some(pair), _) if pair.source == from => {
                pair.checked = now;
                false
            }
            (Some(pair), Some(priority))
                if priority <= pair.priority && now.saturating_duration_since(pair.checked) < FRESH_FOR =>
            {
                false
            }
            (_, Some(priority)) => {
                self.nominated = Some(Nominated { source: from, priority, checked: now });
                true
            }
            (_, None) => false,
        };
        Some(Checked { answer: check.answer, found })
    }
}
