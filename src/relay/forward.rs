//! One relay of one call: what to do with a packet that came in on one of its four sockets, or from the voice plane. Nothing is
//! allocated, nothing is copied; the header is read in place and the bytes go out as they came.
//!
//! Invariants: a party's packet is only ever sent to the other party, from the socket of that party's own side, and only while
//! that is what it is to hear; a packet from a source that the latch doesn't take changes nothing but a counter.
//!
//! RTCP may come on the RTP port (RFC 5761), whether that was negotiated or not: it leaves towards each party the way that
//! party itself sends it.

use super::guard::Guard;
use super::latch::{Admitted, Latch};
use super::rewriting::{Key, Rewriting, Rewritten};
use super::stats::Reception;
use super::watch::Watch;
use super::{Audio, Media, ONE_WAY_AFTER, Side, Source};
use crate::rtp::{self, Header, Protocol};
use crate::sdp::payload::Renumbering;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Packets of one party that are passed on between two looks, a second apart: forty times what speech needs. More are dropped. Where descriptions
/// send media round in a ring, over one call or several, the ring ends there.
pub const PACKETS_A_LOOK: u32 = 2000;
/// Packets of one party that the voice plane gets of each [`TAP_EVERY`]: one that floods takes no room from the others.
const TAPPED_MAX: u8 = 16;
const TAP_EVERY: Duration = Duration::from_millis(20);

/// Which socket of a port pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    Rtp,
    Rtcp,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// Send it from that side's socket of that channel to this address.
    SendTo {
        side: Side,
        channel: Channel,
        to: SocketAddr,
    },
    Drop(Why),
}

impl Forward {
    /// To that address, if there is one.
    fn over(side: Side, channel: Channel, to: Option<SocketAddr>) -> Forward {
        to.map_or(Forward::Drop(Why::NoDestination), |to| Forward::SendTo { side, channel, to })
    }
}

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Neither valid RTP nor RTCP, or RTP on the RTCP port.
    NotRtp,
    /// From a source that doesn't fit the party of this side.
    Stranger,
    /// More than [`PACKETS_A_LOOK`].
    Flood,
    /// The other party has no address yet, is on hold, or is to hear something else. Not counted as dropped: nobody was to have it.
    NoDestination,
}

/// What comes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub forward: Forward,
    /// The voice plane gets a copy, as it came.
    pub tapped: bool,
    /// What it is to be made before it is sent; `None`: nothing.
    pub rewritten: Option<Rewritten>,
}

impl From<Forward> for Outcome {
    fn from(forward: Forward) -> Outcome {
        Outcome { forward, tapped: false, rewritten: None }
    }
}

/// One relay of one call.
#[derive(Debug)]
pub struct Relay {
    opened: Instant,
    both_pointed: Option<Instant>,
    /// From when both were pointed on.
    watch: Watch,
    /// A side is secured, or was: packets take the way of [`super::secured`].
    pub(super) secured: bool,
    a: Party,
    b: Party,
}

/// What each packet looks at lies together, and what few look at lies behind it: a thousand calls are more than a cache holds.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Party {
    pub(super) rtp: Latch,
    /// What the other party sends is not sent to this one as it came.
    rewriting: Option<Box<Rewriting>>,
    /// Packets of it that may be passed on until the next look.
    allowance: u32,
    /// What this party hears.
    pub(super) feed: Source,
    pub(super) reports: Reports,
    /// What came from this party.
    pub(super) reception: Reception,
    /// The voice plane hears this party.
    pub(super) tap: Tap,
    pub(super) rtcp: Latch,
    pub(super) guard: Box<Guard>,
}

impl Default for Party {
    fn default() -> Party {
        Party {
            rtp: Latch::default(),
            rtcp: Latch::default(),
            reports: Reports::default(),
            guard: Box::default(),
            reception: Reception::default(),
            feed: Source::default(),
            tap: Tap::Off,
            rewriting: None,
            allowance: PACKETS_A_LOOK,
        }
    }
}

/// Whether the voice plane hears a party.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tap {
    Off,
    /// So many packets of it, since then.
    On {
        since: Instant,
        heard: u8,
    },
}

impl Tap {
    pub(super) fn is_on(self) -> bool {
        matches!(self, Tap::On { .. })
    }

    /// Whether a packet goes to the voice plane.
    fn takes(&mut self, now: Instant) -> bool {
        let Tap::On { since, heard } = self else { return false };
        if now.saturating_duration_since(*since) >= TAP_EVERY {
            (*since, *heard) = (now, 0);
        }
        *heard = heard.saturating_add(1);
        *heard <= TAPPED_MAX
    }
}

impl Party {
    /// Where what comes from the other party goes; the voice plane's when that is what this party hears.
    fn destination(&self, fed_by: Source) -> Option<SocketAddr> {
        if self.feed == fed_by { self.rtp.destination() } else { None }
    }
}

/// Which of its ports a party takes RTCP on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reports {
    #[default]
    Apart,
    /// On the RTP port (RFC 5761).
    Muxed,
}

impl Relay {
    #[must_use]
    pub fn new(now: Instant) -> Relay {
        Relay {
            opened: now,
            both_pointed: None,
            watch: Watch::new(now),
            secured: false,
            a: Party::default(),
            b: Party::default(),
        }
    }

    /// Takes the address of a party's SDP; see `Command::Point`. Without an RTCP address it is the port after the RTP
    /// port (RFC 3550 §11, RFC 3605).
    pub fn point(
        &mut self,
        now: Instant,
        side: Side,
        (rtp, rtcp): (Option<SocketAddr>, Option<SocketAddr>),
        expected: Option<IpAddr>,
    ) {
        let party = self.party(side);
        // Whoever has the keys is the party, wherever they are.
        let expected = expected.filter(|_| party.guard.is_plain());
        let rtcp =
            rtcp.or_else(|| rtp.and_then(|rtp| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?))));
        let elsewhere = party.rtp.point(now, rtp, expected);
        party.rtcp.point(now, rtcp, expected);
        party.reports = if rtp.is_some() && rtp == rtcp { Reports::Muxed } else { Reports::Apart };
        if elsewhere {
            self.forget_keys();
            self.note_pointed(now);
        } else {
            self.watch.remind(now);
        }
    }

    /// Somebody else is there, or nobody for now: what was pressed before is told to nobody any more.
    fn forget_keys(&mut self) {
        for party in [&mut self.a, &mut self.b] {
            if let Some(rewriting) = &mut party.rewriting {
                rewriting.forget();
            }
            party.rewriting.take_if(|rewriting| rewriting.is_idle());
        }
    }

    /// Notes since when both parties can be sent to.
    pub(super) fn note_pointed(&mut self, now: Instant) {
        if self.both_pointed.is_none()
            && self.a.rtp.destination().is_some()
            && self.b.rtp.destination().is_some()
        {
            self.both_pointed = Some(now);
        }
        self.watch.restart(now);
    }

    /// See `Command::Succeed`.
    pub fn succeed(&mut self, now: Instant) {
        self.b = Party::default();
        (self.a.feed, self.a.tap, self.a.rewriting) = (Source::Party, Tap::Off, None);
        self.both_pointed = None;
        self.watch.restart(now);
    }

    /// See `Command::Feed`.
    pub fn feed(&mut self, side: Side, from: Source) {
        self.party(side).feed = from;
    }

    /// See `Command::Tap`.
    pub fn tap(&mut self, now: Instant, side: Side, on: bool) {
        self.party(side).tap = if on { Tap::On { since: now, heard: 0 } } else { Tap::Off };
    }

    /// Whether that party has sent all that it may until the next second.
    #[must_use]
    pub fn floods(&self, side: Side) -> bool {
        let party = if side == Side::A { &self.a } else { &self.b };
        party.allowance == 0
    }

    /// A second has passed: each party may send on.
    pub fn replenish(&mut self) {
        (self.a.allowance, self.b.allowance) = (PACKETS_A_LOOK, PACKETS_A_LOOK);
    }

    /// See `Command::Renumber`.
    pub fn renumber(&mut self, side: Side, by: Option<Renumbering>) {
        let party = self.party(side);
        if by.is_some() || party.rewriting.is_some() {
            party.rewriting.get_or_insert_default().renumber(by);
        }
        party.rewriting.take_if(|rewriting| rewriting.is_idle());
    }

    /// See `Command::Press`. One that nobody is sent packets for is passed over, as its sound would be.
    pub fn press(&mut self, side: Side, key: Key) {
        let party = self.party(side);
        if party.feed == Source::Party {
            party.rewriting.get_or_insert_default().press(key);
        }
    }

    /// Whether packets to that side are sent as they came, but for keys.
    #[must_use]
    pub fn sends_as_it_came(&self, side: Side) -> bool {
        let party = if side == Side::A { &self.a } else { &self.b };
        party.rewriting.is_none()
    }

    /// A packet that was to go out to the party on that side could not be sealed; see [`Relay::leave`].
    pub fn unsent(&mut self, side: Side, channel: Channel, packet: &[u8]) {
        if channel == Channel::Rtp && !rtp::is_rtcp(packet) {
            self.party(side.other()).reception.unsent(packet.len());
        }
    }

    /// A packet came in on that socket. What shares the socket with RTP is told apart by its first octet (RFC 7983 §7).
    pub fn packet(
        &mut self,
        now: Instant,
        side: Side,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
    ) -> Outcome {
        let outcome = match Protocol::of(packet) {
            Some(Protocol::Rtp) => self.rtp_or_rtcp(now, side, channel, from, packet),
            // Where ICE or DTLS was agreed on it has gone another way: see `secured`.
            Some(Protocol::Stun | Protocol::Dtls) | None => Forward::Drop(Why::NotRtp).into(),
        };
        if let Forward::Drop(why @ (Why::NotRtp | Why::Stranger | Why::Flood)) = outcome.forward {
            self.party(side).reception.dropped(why == Why::NotRtp);
        }
        outcome
    }

    fn rtp_or_rtcp(
        &mut self,
        now: Instant,
        side: Side,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
    ) -> Outcome {
        let header = if channel == Channel::Rtp { Header::parse(packet) } else { None };
        match (header, rtp::reporter(packet)) {
            (Some(header), _) => self.rtp(now, side, from, header, packet.len()),
            (None, Some(ssrc)) => self.rtcp(now, (side, channel), from, ssrc).into(),
            (None, None) => Forward::Drop(Why::NotRtp).into(),
        }
    }

    fn rtp(&mut self, now: Instant, side: Side, from: SocketAddr, header: Header, octets: usize) -> Outcome {
        let other = side.other();
        let to = self.party(other).destination(Source::Party);
        let party = self.party(side);
        match party.rtp.admit(now, from) {
            Admitted::Yes => {}
            Admitted::No => return Forward::Drop(Why::Stranger).into(),
            Admitted::Anew => party.rtcp.follow(from.ip()),
        }
        let Some(allowance) = party.allowance.checked_sub(1) else { return Forward::Drop(Why::Flood).into() };
        party.allowance = allowance;
        party.reception.heard(now, header);
        let tapped = party.tap.takes(now);
        if to.is_some() || tapped {
            party.reception.relayed(now, octets);
        }
        let mut forward = Forward::over(other, Channel::Rtp, to);
        let rewritten = self.rewrite(other, header, &mut forward);
        Outcome { forward, tapped, rewritten }
    }

    /// What a packet to that side becomes. Where everything is sent as it came this is one look.
    fn rewrite(&mut self, side: Side, header: Header, forward: &mut Forward) -> Option<Rewritten> {
        let rewriting = self.party(side).rewriting.as_mut()?;
        if let Forward::Drop(_) = forward {
            return None;
        }
        let rewritten = rewriting.packet(header);
        if rewritten == Some(Rewritten::Unheard) {
            *forward = Forward::Drop(Why::NoDestination);
        }
        if rewriting.is_idle() {
            self.party(side).rewriting = None;
        }
        rewritten
    }

    /// The voice plane says this to the party on that side: sent if that is what this party hears, and if it is RTP.
    #[must_use]
    pub fn said(&mut self, side: Side, packet: &[u8]) -> Forward {
        if Header::parse(packet).is_none() {
            return Forward::Drop(Why::NotRtp);
        }
        let to = self.party(side).destination(Source::Voice);
        Forward::over(side, Channel::Rtp, to)
    }

    /// RTCP has no latch of its own against the RTP's: it is taken from the IP address that RTP comes from (before there is any, as RTP would
    /// be), and on the RTP
    /// port only from the very source of the RTP, so that it can't lock what RTP has to lock. Where another party's RTP is awaited, after a
    /// transfer, the one who has left says their RTCP goodbye (RFC 3550 §6.6) to nobody: it would draw the newcomer's reports to them. Their SSRC
    /// tells them from a newcomer behind the same NAT.
    fn rtcp(
        &mut self,
        now: Instant,
        (side, channel): (Side, Channel),
        from: SocketAddr,
        ssrc: u32,
    ) -> Forward {
        let party = self.party(side);
        let source = party.rtp.source();
        let has_left = party.rtp.has_left(from.ip()) && party.reception.ssrc() == Some(ssrc);
        let taken = match channel {
            Channel::Rtp => source == Some(from),
            Channel::Rtcp if has_left && party.rtcp.destination() != Some(from) => false,
            Channel::Rtcp => {
                source.is_none_or(|source| source.ip() == from.ip())
                    && party.rtcp.admit(now, from) != Admitted::No
            }
        };
        if !taken {
            return Forward::Drop(Why::Stranger);
        }
        let Some(allowance) = party.allowance.checked_sub(1) else { return Forward::Drop(Why::Flood) };
        party.allowance = allowance;
        party.reports = match channel {
            Channel::Rtp => Reports::Muxed,
            Channel::Rtcp => Reports::Apart,
        };
        let side = side.other();
        let other = self.party(side);
        if other.feed != Source::Party {
            return Forward::Drop(Why::NoDestination);
        }
        let (channel, to) = match other.reports {
            Reports::Muxed => (Channel::Rtp, other.rtp.destination()),
            Reports::Apart => (Channel::Rtcp, other.rtcp.destination()),
        };
        Forward::over(side, channel, to)
    }

    /// Who is heard, where that has changed since it was looked at last: see [`Watch`]. Where there is one party nobody is missed.
    pub fn look(&mut self, now: Instant) -> Option<Audio> {
        self.both_pointed?;
        self.watch.look(now, self.a.reception.came(), self.b.reception.came())
    }

    /// What it carried, as the call record shows it.
    #[must_use]
    pub fn media(&self, now: Instant) -> Media {
        let one_side_silent = (self.a.reception.packets() == 0) != (self.b.reception.packets() == 0);
        let long_enough =
            self.both_pointed.is_some_and(|since| now.saturating_duration_since(since) >= ONE_WAY_AFTER);
        Media {
            a_to_b: self.a.reception.stream(self.opened),
            b_to_a: self.b.reception.stream(self.opened),
            one_way: one_side_silent && long_enough,
        }
    }

    pub(super) fn party(&mut self, side: Side) -> &mut Party {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to count from
mod tests;
