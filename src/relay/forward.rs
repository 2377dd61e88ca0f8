//! One relay of one call: what to do with a packet that came in on one of its four sockets. Nothing is allocated, nothing
//! is copied; the header is read in place and the bytes go out as they came.
//!
//! Invariants: a packet is only ever sent to the other party, from the socket of that party's own side; a packet from a source
//! that the latch doesn't take changes nothing but a counter.
//!
//! RTCP may come on the RTP port (RFC 5761), whether that was negotiated or not: it leaves towards each party the way that
//! party itself sends it.

use super::latch::Latch;
use super::stats::Reception;
use super::{Media, ONE_WAY_AFTER, Side};
use crate::rtp::{self, Header};
use std::net::SocketAddr;
use std::time::Instant;

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

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Neither valid RTP nor RTCP, or RTP on the RTCP port.
    NotRtp,
    /// From a source that doesn't fit the party of this side.
    Stranger,
    /// The other party has no address yet, or is on hold. Not counted as dropped: nobody was to have it.
    NoDestination,
}

/// One relay of one call.
#[derive(Debug)]
pub struct Relay {
    opened: Instant,
    both_pointed: Option<Instant>,
    a: Party,
    b: Party,
}

#[derive(Debug, Default)]
struct Party {
    rtp: Latch,
    rtcp: Latch,
    reports: Reports,
    /// What came from this party.
    reception: Reception,
}

/// Which of its ports a party takes RTCP on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reports {
    #[default]
    Apart,
    /// On the RTP port (RFC 5761).
    Muxed,
}

impl Relay {
    #[must_use]
    pub fn new(now: Instant) -> Relay {
        Relay { opened: now, both_pointed: None, a: Party::default(), b: Party::default() }
    }

    /// Takes the address of a party's SDP; see `Command::Point`. Without an RTCP address it is the port after the RTP
    /// port (RFC 3550 §11, RFC 3605).
    pub fn point(&mut self, now: Instant, side: Side, rtp: Option<SocketAddr>, rtcp: Option<SocketAddr>) {
        let party = self.party(side);
        let rtcp =
            rtcp.or_else(|| rtp.and_then(|rtp| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?))));
        party.rtp.point(rtp);
        party.rtcp.point(rtcp);
        party.reports = if rtp.is_some() && rtp == rtcp { Reports::Muxed } else { Reports::Apart };
        if self.both_pointed.is_none()
            && self.a.rtp.destination().is_some()
            && self.b.rtp.destination().is_some()
        {
            self.both_pointed = Some(now);
        }
    }

    /// A packet came in on that socket.
    pub fn packet(
        &mut self,
        now: Instant,
        side: Side,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
    ) -> Forward {
        let header = if channel == Channel::Rtp { Header::parse(packet) } else { None };
        let forward = match (header, rtp::reporter(packet)) {
            (Some(header), _) => self.rtp(now, side, from, header, packet.len()),
            (None, Some(ssrc)) => self.rtcp(side, channel, from, ssrc),
            (None, None) => Forward::Drop(Why::NotRtp),
        };
        if let Forward::Drop(Why::NotRtp | Why::Stranger) = forward {
            self.party(side).reception.dropped();
        }
        forward
    }

    fn rtp(&mut self, now: Instant, side: Side, from: SocketAddr, header: Header, octets: usize) -> Forward {
        let other = side.other();
        let to = self.party(other).rtp.destination();
        let party = self.party(side);
        if !party.rtp.admit(from) {
            return Forward::Drop(Why::Stranger);
        }
        party.reception.heard(now, header);
        let Some(to) = to else { return Forward::Drop(Why::NoDestination) };
        party.reception.relayed(now, octets);
        Forward::SendTo { side: other, channel: Channel::Rtp, to }
    }

    /// RTCP has no latch of its own against the RTP's: it is taken from the IP address that RTP comes from, and on the RTP
    /// port only from the very source of the RTP, so that it can't lock what RTP has to lock. Where another party's RTP is awaited, after a
    /// transfer, the one who has left says their RTCP goodbye (RFC 3550 §6.6) to nobody: it would draw the newcomer's reports to them. Their SSRC
    /// tells them from a newcomer behind the same NAT.
    fn rtcp(&mut self, side: Side, channel: Channel, from: SocketAddr, ssrc: u32) -> Forward {
        let party = self.party(side);
        let source = party.rtp.source();
        let has_left = party.rtp.has_left(from.ip()) && party.reception.ssrc() == Some(ssrc);
        let taken = match channel {
            Channel::Rtp => source == Some(from),
            Channel::Rtcp if has_left && party.rtcp.destination() != Some(from) => false,
            Channel::Rtcp => source.is_none_or(|source| source.ip() == from.ip()) && party.rtcp.admit(from),
        };
        if !taken {
            return Forward::Drop(Why::Stranger);
        }
        party.reports = match channel {
            Channel::Rtp => Reports::Muxed,
            Channel::Rtcp => Reports::Apart,
        };
        let side = side.other();
        let other = self.party(side);
        let (channel, to) = match other.reports {
            Reports::Muxed => (Channel::Rtp, other.rtp.destination()),
            Reports::Apart => (Channel::Rtcp, other.rtcp.destination()),
        };
        to.map_or(Forward::Drop(Why::NoDestination), |to| Forward::SendTo { side, channel, to })
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

    fn party(&mut self, side: Side) -> &mut Party {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to count from
mod tests {
    use super::*;
    use std::time::Duration;

    const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
    const RTCP: [u8; 8] = [0x80, 201, 0, 1, 1, 2, 3, 4];

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// A relay between a caller at 10.0.0.1:4000 and a callee at 10.0.0.2:5000.
    fn pointed(now: Instant) -> Relay {
        let mut relay = Relay::new(now);
        relay.point(now, Side::A, Some(at("10.0.0.1:4000")), None);
        relay.point(now, Side::B, Some(at("10.0.0.2:5000")), None);
        relay
    }

    fn send_to(side: Side, channel: Channel, to: &str) -> Forward {
        Forward::SendTo { side, channel, to: at(to) }
    }

    #[test]
    fn packets_cross_both_ways() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let forward = relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"));
        let forward = relay.packet(now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"));
        let media = relay.media(now);
        assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (1, 1));
    }

    #[test]
    fn rtcp_crosses_on_the_next_port() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let forward = relay.packet(now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
    }

    #[test]
    fn rtcp_leaves_towards_each_party_as_that_party_sends_it() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        let forward = relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"), "muxed in, apart out");
        let forward = relay.packet(now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"), "apart in, muxed out");
    }

    #[test]
    fn rtcp_alone_does_not_lock_the_source_of_rtp() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let forward = relay.packet(now, Side::A, Channel::Rtp, at("203.0.113.9:1"), &RTCP);
        assert_eq!(forward, Forward::Drop(Why::Stranger));
        let forward = relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"));
    }

    #[test]
    fn rtcp_of_a_stranger_is_dropped_once_rtp_is_heard() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.packet(now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
        let forward = relay.packet(now, Side::A, Channel::Rtcp, at("203.0.113.9:4001"), &RTCP);
        assert_eq!(forward, Forward::Drop(Why::Stranger));
        let forward = relay.packet(now, Side::A, Channel::Rtcp, at("198.51.100.7:61007"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
    }

    #[test]
    fn the_goodbye_of_who_has_left_draws_no_reports_to_them() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        // Transferred: somebody else is on side A, and the one before has sent no RTCP so far.
        relay.point(now, Side::A, Some(at("10.0.0.3:6000")), None);
        let forward = relay.packet(now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
        assert_eq!(forward, Forward::Drop(Why::Stranger));
        let forward = relay.packet(now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "10.0.0.3:6001"));
        // The newcomer's are taken, before its RTP as well.
        let forward = relay.packet(now, Side::A, Channel::Rtcp, at("10.0.0.3:6001"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
    }

    #[test]
    fn a_newcomer_behind_the_nat_of_who_has_left_reports_before_it_speaks() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.point(now, Side::A, Some(at("192.168.1.4:4000")), None);
        relay.packet(now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
        relay.point(now, Side::A, Some(at("192.168.1.5:4000")), None);
        let goodbye = relay.packet(now, Side::A, Channel::Rtcp, at("198.51.100.7:61001"), &RTCP);
        assert_eq!(goodbye, Forward::Drop(Why::Stranger));
        let report = [0x80, 201, 0, 1, 9, 9, 9, 9];
        let forward = relay.packet(now, Side::A, Channel::Rtcp, at("198.51.100.7:62001"), &report);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
        let forward = relay.packet(now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "198.51.100.7:62001"));
    }

    #[test]
    fn garbage_and_strangers_are_dropped_and_counted() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        let from = at("10.0.0.1:4000");
        assert_eq!(
            relay.packet(now, Side::A, Channel::Rtp, from, b"GET / HTTP/1.1\r\n"),
            Forward::Drop(Why::NotRtp)
        );
        assert_eq!(relay.packet(now, Side::A, Channel::Rtcp, from, &RTP), Forward::Drop(Why::NotRtp));
        let stranger = relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.9:4000"), &RTP);
        assert_eq!(stranger, Forward::Drop(Why::Stranger));
        assert_eq!(relay.media(now).a_to_b.dropped, 3);
        assert_eq!(relay.media(now).a_to_b.packets, 1);
    }

    #[test]
    fn nothing_is_sent_to_a_party_that_is_not_pointed() {
        let now = Instant::now();
        let mut relay = Relay::new(now);
        relay.point(now, Side::A, Some(at("10.0.0.1:4000")), None);
        let forward = relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert_eq!(forward, Forward::Drop(Why::NoDestination));
        assert_eq!(relay.media(now).a_to_b.packets, 0);
        assert_eq!(relay.media(now).a_to_b.dropped, 0);
    }

    #[test]
    fn one_way_audio_is_told_after_a_while_only() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert!(!relay.media(now + Duration::from_secs(1)).one_way);
        assert!(relay.media(now + ONE_WAY_AFTER).one_way);
        relay.packet(now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
        assert!(!relay.media(now + ONE_WAY_AFTER).one_way);
    }
}
