//! Source latching: which address a party's packets are taken from, and where packets for it go (symmetric RTP, RFC 4961).
//!
//! A party's SDP names an address (`Command::Point`). The first valid packet whose source *fits* that address locks the
//! latch; from then on only that source is heard, and it is what we send to.
//!
//! | source | fits |
//! |---|---|
//! | exactly the address of the SDP | always |
//! | its IP address, another port | until the latch is locked: a port that a NAT rewrote |
//! | another IP address, the SDP's being private | until the latch is locked: a phone behind a NAT |
//! | another IP address, the SDP's being public | never |
//! | the source that was heard before, once another party is pointed at | not among the first [`LINGERING`] packets |
//!
//! After a transfer the one who has left still sends for a moment, to the port that is the newcomer's now. Where the newcomer stands
//! behind a NAT, that would be the first packet that fits, and the newcomer would never be heard.
//!
//! What somebody off the path gains: nothing once the party itself has been heard, because no other source unlocks the
//! latch, however many packets it sends; only a `Point` with another address does, and that needs the signalling. Before
//! that, a stranger can be first only where the SDP names a private address, and even then a phone that is really there
//! (exact source) takes the latch back. Forging the exact address as a source turns the media to where the SDP sends it
//! anyway.

use crate::sip::flow::is_private;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// So many packets of a source that another party has taken the place of are dropped: two seconds of audio, far more than come until its
/// BYE has arrived. After them it counts like any other, for it may be the same phone that names another address of its own.
const LINGERING: u8 = 100;

/// One party's RTP, or its RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latch {
    /// No address yet: nobody is heard, nothing is sent.
    #[default]
    Unpointed,
    /// Pointed, not heard yet: packets go where the SDP says.
    Open { pointed: SocketAddr, former: Option<Former> },
    /// Heard: packets go where they come from.
    Locked { pointed: SocketAddr, source: SocketAddr },
    /// Pointed away (hold) after it had been locked: the source is still heard (its music on hold), nothing is sent.
    Held { pointed: SocketAddr, source: SocketAddr },
}

/// Who was heard before another address was named, and how many of their packets are still dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    source: SocketAddr,
    left: u8,
}

impl Latch {
    /// Takes the address of an SDP. The same address again (a refresh, the end of a hold) keeps the lock. An address
    /// that can't be a party's (port 0, unspecified, multicast, broadcast) is as good as none.
    pub fn point(&mut self, to: Option<SocketAddr>) {
        *self = match (*self, to.filter(is_unicast)) {
            (Latch::Unpointed | Latch::Open { .. }, None) => Latch::Unpointed,
            (Latch::Locked { pointed, source } | Latch::Held { pointed, source }, None) => {
                Latch::Held { pointed, source }
            }
            (Latch::Locked { pointed, source } | Latch::Held { pointed, source }, Some(to))
                if to == pointed =>
            {
                Latch::Locked { pointed, source }
            }
            (Latch::Locked { source, .. } | Latch::Held { source, .. }, Some(to)) => {
                Latch::Open { pointed: to, former: Some(Former { source, left: LINGERING }) }
            }
            (Latch::Open { former, .. }, Some(to)) => Latch::Open { pointed: to, former },
            (Latch::Unpointed, Some(to)) => Latch::Open { pointed: to, former: None },
        }
    }

    /// Whether a valid packet from there is taken; locks the latch if it is the first that fits.
    pub fn admit(&mut self, from: SocketAddr) -> bool {
        match *self {
            Latch::Unpointed => false,
            Latch::Open { pointed, former: Some(Former { source, left }) }
                if from == source && from != pointed && left > 0 =>
            {
                *self = Latch::Open { pointed, former: Some(Former { source, left: left - 1 }) };
                false
            }
            Latch::Open { pointed, .. } => {
                let fits = from.ip() == pointed.ip() || is_private(pointed.ip());
                if fits {
                    *self = Latch::Locked { pointed, source: from };
                }
                fits
            }
            Latch::Locked { source, .. } | Latch::Held { source, .. } if source == from => true,
            Latch::Locked { pointed, .. } if pointed == from => {
                *self = Latch::Locked { pointed, source: from };
                true
            }
            Latch::Locked { .. } | Latch::Held { .. } => false,
        }
    }

    /// The party is where a connectivity check says (RFC 8445): whatever was named before is nothing beside that.
    pub fn find(&mut self, source: SocketAddr) {
        *self = Latch::Locked { pointed: source, source };
    }

    /// Whether the party that was heard before from that IP address has given way to another, which is still to be heard.
    #[must_use]
    pub fn has_left(&self, ip: IpAddr) -> bool {
        matches!(*self, Latch::Open { former: Some(Former { source, .. }), .. } if source.ip() == ip)
    }

    /// Where packets for this party go.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        match *self {
            Latch::Unpointed | Latch::Held { .. } => None,
            Latch::Open { pointed, .. } => Some(pointed),
            Latch::Locked { source, .. } => Some(source),
        }
    }

    /// The source that is locked.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        match *self {
            Latch::Unpointed | Latch::Open { .. } => None,
            Latch::Locked { source, .. } | Latch::Held { source, .. } => Some(source),
        }
    }
}

/// Whether media may be sent there at all: never to a group, or one call would be an amplifier.
fn is_unicast(address: &SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn pointed(text: &str) -> Latch {
        let mut latch = Latch::default();
        latch.point(Some(at(text)));
        latch
    }

    #[test]
    fn nobody_is_heard_before_an_sdp_came() {
        let mut latch = Latch::default();
        assert!(!latch.admit(at("198.51.100.7:4000")));
        assert_eq!(latch.destination(), None);
    }

    #[test]
    fn packets_go_where_the_sdp_says_until_the_party_is_heard_elsewhere() {
        let mut latch = pointed("192.168.1.5:4000");
        assert_eq!(latch.destination(), Some(at("192.168.1.5:4000")));
        assert!(latch.admit(at("198.51.100.7:61000")));
        assert_eq!(latch.destination(), Some(at("198.51.100.7:61000")));
    }

    #[test]
    fn a_locked_source_is_not_taken_over() {
        let mut latch = pointed("192.168.1.5:4000");
        assert!(latch.admit(at("198.51.100.7:61000")));
        for stranger in ["203.0.113.9:4000", "198.51.100.7:61001", "192.168.1.5:4001"] {
            assert!(!latch.admit(at(stranger)), "{stranger}");
        }
        assert_eq!(latch.source(), Some(at("198.51.100.7:61000")));
    }

    #[test]
    fn who_has_left_does_not_take_the_place_of_a_newcomer_behind_a_nat() {
        let (bob, cleo) = (at("10.0.0.50:4000"), at("198.51.100.7:61000"));
        let mut latch = pointed("10.0.0.50:4000");
        assert!(latch.admit(bob));
        latch.point(Some(at("192.168.1.5:4000")));
        assert!(!latch.admit(bob), "bob has been transferred away, and has not heard of it yet");
        assert!(latch.admit(cleo));
        assert_eq!(latch.destination(), Some(cleo));
    }

    #[test]
    fn a_phone_that_names_another_address_of_its_own_is_heard_again_after_a_while() {
        let phone = at("198.51.100.7:61000");
        let mut latch = pointed("192.168.1.5:4000");
        assert!(latch.admit(phone));
        latch.point(Some(at("192.168.1.5:4002")));
        assert!((0..LINGERING).all(|_| !latch.admit(phone)));
        assert!(latch.admit(phone));
    }

    #[test]
    fn a_public_address_is_held_to_its_ip() {
        let mut latch = pointed("203.0.113.9:4000");
        assert!(!latch.admit(at("198.51.100.7:4000")));
        assert_eq!(latch.source(), None);
        assert!(latch.admit(at("203.0.113.9:4010")), "its NAT rewrote the port");
    }

    #[test]
    fn the_phone_itself_takes_the_latch_back_from_a_stranger_who_was_first() {
        let mut latch = pointed("10.0.0.50:4000");
        assert!(latch.admit(at("10.0.0.66:9999")));
        assert!(latch.admit(at("10.0.0.50:4000")));
        assert!(!latch.admit(at("10.0.0.66:9999")));
    }

    #[test]
    fn only_another_address_unlocks() {
        let mut latch = pointed("192.168.1.5:4000");
        assert!(latch.admit(at("198.51.100.7:61000")));
        latch.point(Some(at("192.168.1.5:4000")));
        assert!(!latch.admit(at("198.51.100.8:5000")), "a refresh keeps the lock");
        latch.point(Some(at("192.168.1.5:4002")));
        assert!(latch.admit(at("198.51.100.8:5000")));
    }

    #[test]
    fn a_held_party_is_heard_but_not_sent_to() {
        let mut latch = pointed("192.168.1.5:4000");
        assert!(latch.admit(at("198.51.100.7:61000")));
        latch.point(None);
        assert_eq!(latch.destination(), None);
        assert!(latch.admit(at("198.51.100.7:61000")));
        assert!(!latch.admit(at("192.168.1.5:4000")));
        latch.point(Some(at("192.168.1.5:4000")));
        assert_eq!(latch.destination(), Some(at("198.51.100.7:61000")));
    }

    #[test]
    fn media_never_goes_to_a_group() {
        for group in
            ["224.0.0.1:4000", "255.255.255.255:4000", "0.0.0.0:4000", "198.51.100.7:0", "[ff02::1]:4000"]
        {
            assert_eq!(pointed(group).destination(), None, "{group}");
        }
    }
}
