//! One relay of one call: what to do with a packet that came in on one of its four sockets, or from the voice plane. Nothing is
//! allocated, nothing is copied; the header is read in place and the bytes go out as they came.
//!
//! Invariants: a party's packet is only ever sent to the other party, from the socket of that party's own side, and only while
//! that is what it is to hear; a packet from a source that the latch doesn't take changes nothing but a counter.
//!
//! RTCP may come on the RTP port (RFC 5761), whether that was negotiated or not: it leaves towards each party the way that
//! party itself sends it.

use super::guard::Guard;
use super::latch::Latch;
use super::stats::Reception;
use super::watch::Watch;
use super::{Audio, Media, ONE_WAY_AFTER, Side, Source};
use crate::rtp::{self, Header, Protocol};
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
    /// The other party has no address yet, is on hold, or is to hear something else. Not counted as dropped: nobody was to have it.
    NoDestination,
}

/// What comes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub forward: Forward,
    /// The voice plane gets a copy.
    pub tapped: bool,
}

impl From<Forward> for Outcome {
    fn from(forward: Forward) -> Outcome {
        Outcome { forward, tapped: false }
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

#[derive(Debug, Default)]
pub(super) struct Party {
    pub(super) rtp: Latch,
    pub(super) rtcp: Latch,
    pub(super) reports: Reports,
    pub(super) guard: Guard,
    /// What came from this party.
    pub(super) reception: Reception,
    /// What this party hears.
    feed: Source,
    /// The voice plane hears this party.
    tapped: bool,
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
    pub fn point(&mut self, now: Instant, side: Side, rtp: Option<SocketAddr>, rtcp: Option<SocketAddr>) {
        let party = self.party(side);
        let rtcp =
            rtcp.or_else(|| rtp.and_then(|rtp| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?))));
        party.rtp.point(rtp);
        party.rtcp.point(rtcp);
        party.reports = if rtp.is_some() && rtp == rtcp { Reports::Muxed } else { Reports::Apart };
        self.note_pointed(now);
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

    /// See `Command::Feed`.
    pub fn feed(&mut self, side: Side, from: Source) {
        self.party(side).feed = from;
    }

    /// See `Command::Tap`.
    pub fn tap(&mut self, side: Side, on: bool) {
        self.party(side).tapped = on;
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
        if let Forward::Drop(why @ (Why::NotRtp | Why::Stranger)) = outcome.forward {
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
            (None, Some(ssrc)) => self.rtcp(side, channel, from, ssrc).into(),
            (None, None) => Forward::Drop(Why::NotRtp).into(),
        }
    }

    fn rtp(&mut self, now: Instant, side: Side, from: SocketAddr, header: Header, octets: usize) -> Outcome {
        let other = side.other();
        let to = self.party(other).destination(Source::Party);
        let party = self.party(side);
        if !party.rtp.admit(from) {
            return Forward::Drop(Why::Stranger).into();
        }
        party.reception.heard(now, header);
        let tapped = party.tapped;
        if to.is_some() || tapped {
            party.reception.relayed(now, octets);
        }
        let forward = to.map_or(Forward::Drop(Why::NoDestination), |to| Forward::SendTo {
            side: other,
            channel: Channel::Rtp,
            to,
        });
        Outcome { forward, tapped }
    }

    /// The voice plane says this to the party on that side: sent if that is what this party hears, and if it is RTP.
    #[must_use]
    pub fn said(&mut self, side: Side, packet: &[u8]) -> Forward {
        if Header::parse(packet).is_none() {
            return Forward::Drop(Why::NotRtp);
        }
        let to = self.party(side).destination(Source::Voice);
        to.map_or(Forward::Drop(Why::NoDestination), |to| Forward::SendTo { side, channel: Channel::Rtp, to })
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
        if other.feed != Source::Party {
            return Forward::Drop(Why::NoDestination);
        }
        let (channel, to) = match other.reports {
            Reports::Muxed => (Channel::Rtp, other.rtp.destination()),
            Reports::Apart => (Channel::Rtcp, other.rtcp.destination()),
        };
        to.map_or(Forward::Drop(Why::NoDestination), |to| Forward::SendTo { side, channel, to })
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

    /// Where a packet goes; nobody has tapped the relay.
    fn packet(
        relay: &mut Relay,
        now: Instant,
        side: Side,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
    ) -> Forward {
        let Outcome { forward, tapped } = relay.packet(now, side, channel, from, packet);
        assert!(!tapped);
        forward
    }

    fn send_to(side: Side, channel: Channel, to: &str) -> Forward {
        Forward::SendTo { side, channel, to: at(to) }
    }

    #[test]
    fn packets_cross_both_ways() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"));
        let forward = packet(&mut relay, now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"));
        let media = relay.media(now);
        assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (1, 1));
    }

    #[test]
    fn rtcp_crosses_on_the_next_port() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
    }

    #[test]
    fn rtcp_leaves_towards_each_party_as_that_party_sends_it() {
        let now = Instant::now();
        let mut relay = pointed(now);
        packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"), "muxed in, apart out");
        let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"), "apart in, muxed out");
    }

    #[test]
    fn rtcp_alone_does_not_lock_the_source_of_rtp() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("203.0.113.9:1"), &RTCP);
        assert_eq!(forward, Forward::Drop(Why::Stranger));
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"));
    }

    #[test]
    fn rtcp_of_a_stranger_is_dropped_once_rtp_is_heard() {
        let now = Instant::now();
        let mut relay = pointed(now);
        packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("203.0.113.9:4001"), &RTCP);
        assert_eq!(forward, Forward::Drop(Why::Stranger));
        let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("198.51.100.7:61007"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
    }

    #[test]
    fn the_goodbye_of_who_has_left_draws_no_reports_to_them() {
        let now = Instant::now();
        let mut relay = pointed(now);
        packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        // Transferred: somebody else is on side A, and the one before has sent no RTCP so far.
        relay.point(now, Side::A, Some(at("10.0.0.3:6000")), None);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
        assert_eq!(forward, Forward::Drop(Why::Stranger));
        let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "10.0.0.3:6001"));
        // The newcomer's are taken, before its RTP as well.
        let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.3:6001"), &RTCP);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
    }

    #[test]
    fn a_newcomer_behind_the_nat_of_who_has_left_reports_before_it_speaks() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.point(now, Side::A, Some(at("192.168.1.4:4000")), None);
        packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
        relay.point(now, Side::A, Some(at("192.168.1.5:4000")), None);
        let goodbye = packet(&mut relay, now, Side::A, Channel::Rtcp, at("198.51.100.7:61001"), &RTCP);
        assert_eq!(goodbye, Forward::Drop(Why::Stranger));
        let report = [0x80, 201, 0, 1, 9, 9, 9, 9];
        let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("198.51.100.7:62001"), &report);
        assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
        let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
        assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "198.51.100.7:62001"));
    }

    #[test]
    fn garbage_and_strangers_are_dropped_and_counted() {
        let now = Instant::now();
        let mut relay = pointed(now);
        packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        let from = at("10.0.0.1:4000");
        assert_eq!(
            packet(&mut relay, now, Side::A, Channel::Rtp, from, b"GET / HTTP/1.1\r\n"),
            Forward::Drop(Why::NotRtp)
        );
        assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtcp, from, &RTP), Forward::Drop(Why::NotRtp));
        let stranger = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.9:4000"), &RTP);
        assert_eq!(stranger, Forward::Drop(Why::Stranger));
        assert_eq!((relay.media(now).a_to_b.dropped, relay.media(now).a_to_b.malformed), (3, 2));
        assert_eq!(relay.media(now).a_to_b.packets, 1);
    }

    #[test]
    fn nothing_is_sent_to_a_party_that_is_not_pointed() {
        let now = Instant::now();
        let mut relay = Relay::new(now);
        relay.point(now, Side::A, Some(at("10.0.0.1:4000")), None);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert_eq!(forward, Forward::Drop(Why::NoDestination));
        assert_eq!(relay.media(now).a_to_b.packets, 0);
        assert_eq!(relay.media(now).a_to_b.dropped, 0);
    }

    #[test]
    fn one_way_audio_is_told_after_a_while_only() {
        let now = Instant::now();
        let mut relay = pointed(now);
        packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert!(!relay.media(now + Duration::from_secs(1)).one_way);
        assert!(relay.media(now + ONE_WAY_AFTER).one_way);
        packet(&mut relay, now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
        assert!(!relay.media(now + ONE_WAY_AFTER).one_way);
    }

    #[test]
    fn one_way_audio_is_noticed_while_it_lasts_once_both_are_pointed() {
        let now = Instant::now();
        let mut relay = Relay::new(now);
        relay.point(now, Side::A, Some(at("10.0.0.1:4000")), None);
        let answered = now + Duration::from_secs(60);
        assert_eq!(relay.look(answered), None, "it rings: nobody is to speak");
        relay.point(answered, Side::B, Some(at("10.0.0.2:5000")), None);
        packet(&mut relay, answered, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
        assert_eq!(relay.look(answered + ONE_WAY_AFTER), Some(Audio::CalleeSilent));
        packet(&mut relay, answered, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
        assert_eq!(relay.look(answered + ONE_WAY_AFTER), Some(Audio::BothWays));
    }

    #[test]
    fn a_party_hears_the_other_one_the_voice_or_nobody_as_it_is_fed() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let (a, b) = (at("10.0.0.1:4000"), at("10.0.0.2:5000"));
        let to_b = send_to(Side::B, Channel::Rtp, "10.0.0.2:5000");
        let nothing = Forward::Drop(Why::NoDestination);
        for (feed, of_a, of_voice) in [
            (Source::Party, to_b, nothing),
            (Source::Voice, nothing, to_b),
            (Source::Nobody, nothing, nothing),
        ] {
            relay.feed(Side::B, feed);
            assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtp, a, &RTP), of_a, "{feed:?}");
            assert_eq!(relay.said(Side::B, &RTP), of_voice, "{feed:?}");
            let back = packet(&mut relay, now, Side::B, Channel::Rtp, b, &RTP);
            assert_eq!(back, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"), "{feed:?}");
        }
        let report = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
        assert_eq!(report, nothing, "reports of a stream that b doesn't get");
        assert_eq!(relay.media(now).a_to_b.dropped, 0);
    }

    #[test]
    fn a_tap_copies_what_its_side_sends_and_no_strangers_packet() {
        let now = Instant::now();
        let mut relay = pointed(now);
        relay.tap(Side::A, true);
        relay.feed(Side::B, Source::Nobody);
        let from = at("10.0.0.1:4000");
        assert!(
            relay.packet(now, Side::A, Channel::Rtp, from, &RTP).tapped,
            "also while nobody else hears it"
        );
        assert!(!relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.9:4000"), &RTP).tapped);
        assert!(!relay.packet(now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP).tapped);
        assert!(!relay.packet(now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP).tapped);
        relay.tap(Side::A, false);
        assert!(!relay.packet(now, Side::A, Channel::Rtp, from, &RTP).tapped);
        assert_eq!(relay.media(now).a_to_b.packets, 1, "what the voice plane got was passed on");
    }

    #[test]
    fn what_the_voice_says_goes_where_the_party_is_heard_and_is_rtp() {
        let now = Instant::now();
        let mut relay = Relay::new(now);
        relay.feed(Side::A, Source::Voice);
        assert_eq!(relay.said(Side::A, &RTP), Forward::Drop(Why::NoDestination));
        relay.point(now, Side::A, Some(at("192.168.1.5:4000")), None);
        assert_eq!(relay.said(Side::A, &RTP), send_to(Side::A, Channel::Rtp, "192.168.1.5:4000"));
        packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
        assert_eq!(relay.said(Side::A, &RTP), send_to(Side::A, Channel::Rtp, "198.51.100.7:61000"));
        assert_eq!(relay.said(Side::A, &RTCP), Forward::Drop(Why::NotRtp));
    }

    #[test]
    fn what_shares_the_port_with_rtp_is_told_by_its_first_octet() {
        let now = Instant::now();
        let mut relay = pointed(now);
        let from = at("10.0.0.1:4000");
        let stun_binding = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let dtls_hello = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for datagram in [&stun_binding[..], &dtls_hello, &[64, 0], &[]] {
            let forward = packet(&mut relay, now, Side::A, Channel::Rtp, from, datagram);
            assert_eq!(forward, Forward::Drop(Why::NotRtp), "{datagram:?}");
        }
        assert_eq!(relay.media(now).a_to_b.dropped, 4);
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:1"), &stun_binding);
        assert_eq!(forward, Forward::Drop(Why::NotRtp));
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, from, &RTP);
        assert_eq!(
            forward,
            send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"),
            "none of that locked the source"
        );
    }
}
