//! Source latching: which address a party's packets are taken from, and where packets for it go (symmetric RTP, RFC 4961).
//!
//! A party's SDP names an address (`Command::Point`). The first valid packet whose source *fits* that address locks the
//! latch; from then on only that source is heard, and it is what we send to.
//!
//! | source | fits |
//! |---|---|
//! | exactly the address of the SDP | always |
//! | its IP address, another port | until the latch is locked: a port that a NAT rewrote |
//! | the IP address that the party's SIP comes from, the SDP's being private | until the latch is locked: a phone behind a NAT |
//! | any other IP address, the SDP's being private | after [`GRACE`], while nobody has locked it; at once where it isn't known where the SIP comes from |
//! | any other IP address, the SDP's being public | never |
//! | the source that was heard before, once another party is pointed at | not among the first [`LINGERING`] packets |
//!
//! After a transfer the one who has left still sends for a moment, to the port that is the newcomer's now. Where the newcomer stands
//! behind a NAT, that would be the first packet that fits, and the newcomer would never be heard. On one machine, where SIP comes from
//! doesn't tell them apart, and counts for nothing: a newcomer's media may have another loopback address.
//!
//! A locked source gives way, to the address of the SDP or (that being private) to where the SIP comes from: at once where it is itself
//! neither, else once it has been [`QUIET`]. One forged packet takes the voice from nobody who speaks.
//!
//! What somebody off the path gains: nothing once the party itself has been heard, as long as it speaks, however many packets they send;
//! a `Point` with another address needs the signalling. Before that, a stranger can be first only where the SDP names a private address and
//! nothing has come of the party for three seconds, and a phone that is really there takes the latch back with its first packet.

use crate::sip::flow::is_private;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How long after the SDP only those fit whom we know something of: a phone speaks sooner.
pub const GRACE: Duration = Duration::from_secs(3);
/// How long a source that is the party's, as far as we can know, has to be silent before it gives way: longer than what is lost at a time.
pub const QUIET: Duration = Duration::from_secs(1);
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
    Open { pointed: Pointed, former: Option<Former> },
    /// Heard, lately then: packets go where they come from.
    Locked { pointed: Pointed, source: SocketAddr, heard: Instant },
    /// Pointed away (hold) after it had been locked: the source is still heard (its music on hold), nothing is sent.
    Held { pointed: Pointed, source: SocketAddr, heard: Instant },
}

/// Where a party is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointed {
    /// The address of its SDP.
    to: SocketAddr,
    /// Where its SIP comes from, if that comes straight from it.
    expected: Option<IpAddr>,
    since: Instant,
}

/// Whether a packet is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    No,
    /// From the source that is heard.
    Yes,
    /// From there for the first time: the latch has been locked, or moved.
    Anew,
}

/// Who was heard before another address was named, and how many of their packets are still dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    source: SocketAddr,
    left: u8,
}

impl Latch {
    /// Takes the address of an SDP, and where the party's SIP comes from. The same address again (a refresh, the end of a hold) keeps the
    /// lock. An address that can't be a party's (port 0, unspecified, multicast, broadcast) is as good as none. Whether it is another one.
    pub fn point(&mut self, now: Instant, to: Option<SocketAddr>, expected: Option<IpAddr>) -> bool {
        let before = self.pointed();
        let to = to.filter(is_unicast).map(|to| Pointed { to, expected, since: now });
        *self = match (*self, to) {
            (Latch::Unpointed | Latch::Open { .. }, None) => Latch::Unpointed,
            (Latch::Locked { pointed, source, heard } | Latch::Held { pointed, source, heard }, None) => {
                Latch::Held { pointed, source, heard }
            }
            (Latch::Locked { pointed, source, .. } | Latch::Held { pointed, source, .. }, Some(to))
                if to.to == pointed.to =>
            {
                Latch::Locked { pointed: Pointed { expected, ..pointed }, source, heard: now }
            }
            (Latch::Locked { source, .. } | Latch::Held { source, .. }, Some(to)) => {
                Latch::Open { pointed: to.beside(source), former: Some(Former { source, left: LINGERING }) }
            }
            (Latch::Open { pointed, former }, Some(to)) => {
                let since = if to.to == pointed.to { pointed.since } else { now };
                let to = Pointed { since, ..to };
                Latch::Open { pointed: former.map_or(to, |former| to.beside(former.source)), former }
            }
            (Latch::Unpointed, Some(to)) => Latch::Open { pointed: to, former: None },
        };
        self.pointed() != before
    }

    /// The address of the SDP, if it is one to send to.
    fn pointed(&self) -> Option<SocketAddr> {
        match self {
            Latch::Unpointed | Latch::Held { .. } => None,
            Latch::Open { pointed, .. } | Latch::Locked { pointed, .. } => Some(pointed.to),
        }
    }

    /// Whether a valid packet from there is taken; locks the latch if it is the first that fits.
    pub fn admit(&mut self, now: Instant, from: SocketAddr) -> Admitted {
        match self {
            Latch::Locked { source, heard, .. } | Latch::Held { source, heard, .. } if *source == from => {
                *heard = now;
                Admitted::Yes
            }
            Latch::Open { pointed, former: Some(Former { source, left }) }
                if from == *source && from != pointed.to && *left > 0 =>
            {
                *left -= 1;
                Admitted::No
            }
            Latch::Open { pointed, .. } if pointed.fits(now, from) => {
                *self = Latch::Locked { pointed: *pointed, source: from, heard: now };
                Admitted::Anew
            }
            Latch::Locked { pointed, source, heard }
                if pointed.prefers(from, *source)
                    && (pointed.is_stranger(*source) || now.saturating_duration_since(*heard) >= QUIET) =>
            {
                (*source, *heard) = (from, now);
                Admitted::Anew
            }
            Latch::Unpointed | Latch::Open { .. } | Latch::Locked { .. } | Latch::Held { .. } => Admitted::No,
        }
    }

    /// The party is where a connectivity check says (RFC 8445): whatever was named before is nothing beside that.
    pub fn find(&mut self, now: Instant, source: SocketAddr) {
        let pointed = Pointed { to: source, expected: None, since: now };
        *self = Latch::Locked { pointed, source, heard: now };
    }

    /// Packets of the source were passed on beside the relay.
    pub fn carried(&mut self, now: Instant) {
        if let Latch::Locked { heard, .. } | Latch::Held { heard, .. } = self {
            *heard = now;
        }
    }

    /// Whether the locked source gives way to that one, now or once it is quiet.
    #[must_use]
    pub fn gives_way_to(&self, from: SocketAddr) -> bool {
        matches!(self, Latch::Locked { pointed, source, .. } if pointed.prefers(from, *source))
    }

    /// What it is a companion of is heard from that IP address now: a lock on another one is undone.
    pub fn follow(&mut self, ip: IpAddr) {
        if let Latch::Locked { pointed, source, .. } = *self
            && source.ip() != ip
        {
            *self = Latch::Open { pointed, former: None };
        }
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
            Latch::Open { pointed, .. } => Some(pointed.to),
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

impl Pointed {
    /// Who spoke before did so from where the newcomer's SIP comes from, on this machine: that address doesn't tell the two apart. (Nobody
    /// else is on that path; behind one NAT the port tells them apart.)
    fn beside(self, former: SocketAddr) -> Pointed {
        Pointed { expected: self.expected.filter(|ip| *ip != former.ip() || !ip.is_loopback()), ..self }
    }

    /// Whether it may be the party, before that is heard.
    fn fits(&self, now: Instant, from: SocketAddr) -> bool {
        let waited = || now.saturating_duration_since(self.since) >= GRACE;
        from.ip() == self.to.ip()
            || is_private(self.to.ip()) && (self.expected.is_none_or(|ip| ip == from.ip()) || waited())
    }

    /// Whether it is more likely the party than that source, or as likely.
    fn prefers(&self, from: SocketAddr, to: SocketAddr) -> bool {
        from == self.to
            || is_private(self.to.ip()) && self.expected == Some(from.ip()) && from.ip() != to.ip()
    }

    /// Whether it was let in for want of anybody better.
    fn is_stranger(&self, source: SocketAddr) -> bool {
        source.ip() != self.to.ip() && self.expected.is_some_and(|ip| ip != source.ip())
    }
}

/// Whether media may be sent there at all: never to a group, or one call would be an amplifier.
fn is_unicast(address: &SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to count from
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// A latch, and a clock for it.
    struct Tried {
        latch: Latch,
        now: Instant,
    }

    impl Tried {
        fn point(&mut self, to: Option<&str>, expected: Option<&str>) {
            self.latch.point(self.now, to.map(at), expected.map(|ip| ip.parse().unwrap()));
        }

        fn admit(&mut self, from: &str) -> bool {
            self.latch.admit(self.now, at(from)) != Admitted::No
        }
    }

    fn pointed(to: &str) -> Tried {
        expected(to, None)
    }

    fn expected(to: &str, from: Option<&str>) -> Tried {
        let mut tried = Tried { latch: Latch::default(), now: Instant::now() };
        tried.point(Some(to), from);
        tried
    }

    const PRIVATE: &str = "192.168.1.5:4000";
    /// The NAT that its SIP comes through.
    const NAT: &str = "198.51.100.7";
    const BY_NAT: &str = "198.51.100.7:61000";
    const STRANGER: &str = "203.0.113.9:4000";

    #[test]
    fn nobody_is_heard_before_an_sdp_came() {
        let mut tried = Tried { latch: Latch::default(), now: Instant::now() };
        assert!(!tried.admit("198.51.100.7:4000"));
        assert_eq!(tried.latch.destination(), None);
    }

    #[test]
    fn packets_go_where_the_sdp_says_until_the_party_is_heard_elsewhere() {
        let mut tried = pointed(PRIVATE);
        assert_eq!(tried.latch.destination(), Some(at(PRIVATE)));
        assert!(tried.admit(BY_NAT));
        assert_eq!(tried.latch.destination(), Some(at(BY_NAT)));
    }

    #[test]
    fn a_locked_source_is_not_taken_over() {
        let mut tried = pointed(PRIVATE);
        assert!(tried.admit(BY_NAT));
        tried.now += GRACE;
        for stranger in [STRANGER, "198.51.100.7:61001", "192.168.1.5:4001"] {
            assert!(!tried.admit(stranger), "{stranger}");
        }
        assert_eq!(tried.latch.source(), Some(at(BY_NAT)));
    }

    #[test]
    fn a_stranger_is_not_heard_before_the_phone_whose_sip_comes_from_elsewhere_has_had_its_time() {
        let mut tried = expected(PRIVATE, Some(NAT));
        assert!(!tried.admit(STRANGER));
        tried.now += GRACE - Duration::from_millis(1);
        assert!(!tried.admit(STRANGER));
        assert!(tried.admit(BY_NAT));
        tried.now += GRACE;
        assert!(!tried.admit(STRANGER));
    }

    #[test]
    fn after_a_transfer_behind_one_nat_a_stranger_is_not_heard_before_who_has_come() {
        let mut tried = expected("192.168.1.5:4000", Some(NAT));
        assert!(tried.admit(BY_NAT));
        tried.point(Some("192.168.1.6:4000"), Some(NAT));
        assert!(!tried.admit(BY_NAT), "who has left");
        assert!(!tried.admit(STRANGER));
        assert!(tried.admit("198.51.100.7:61002"), "who has come");
        tried.now += GRACE;
        assert!(!tried.admit(STRANGER) && !tried.admit(BY_NAT));
    }

    #[test]
    fn after_a_transfer_on_one_machine_who_has_come_may_speak_from_another_address_than_its_sip() {
        let mut tried = expected("127.64.3.128:4000", Some("127.64.3.128"));
        assert!(tried.admit("127.64.3.128:59334"));
        tried.point(Some("127.64.3.129:4000"), Some("127.64.3.128"));
        assert!(!tried.admit("127.64.3.128:59334"), "who has left");
        assert!(tried.admit("127.0.0.1:4000"), "who has come");
    }

    #[test]
    fn media_that_takes_another_way_than_sip_is_heard_after_a_while_and_the_phone_takes_its_place() {
        let mut tried = expected(PRIVATE, Some(NAT));
        tried.now += GRACE;
        assert!(tried.admit(STRANGER), "a second uplink, or an intruder");
        assert!(tried.admit(BY_NAT), "with its first packet");
        assert!(!tried.admit(STRANGER));
        assert_eq!(tried.latch.destination(), Some(at(BY_NAT)));
    }

    #[test]
    fn a_forged_packet_from_the_address_of_the_sdp_takes_no_voice_from_a_phone_that_speaks() {
        let mut tried = expected(PRIVATE, Some(NAT));
        assert!(tried.admit(BY_NAT));
        for _ in 0..200 {
            tried.now += Duration::from_millis(20);
            assert!(!tried.admit(PRIVATE), "forged");
            assert!(tried.admit(BY_NAT));
        }
        tried.now += QUIET;
        assert!(tried.admit(PRIVATE), "it has moved into our network");
        tried.now += QUIET;
        assert!(tried.admit(BY_NAT), "and out again");
    }

    #[test]
    fn who_has_left_does_not_take_the_place_of_a_newcomer_behind_a_nat() {
        let bob = "10.0.0.50:4000";
        let mut tried = pointed(bob);
        assert!(tried.admit(bob));
        tried.point(Some(PRIVATE), None);
        assert!(!tried.admit(bob), "bob has been transferred away, and has not heard of it yet");
        assert!(tried.admit(BY_NAT));
        assert_eq!(tried.latch.destination(), Some(at(BY_NAT)));
    }

    #[test]
    fn a_phone_that_names_another_address_of_its_own_is_heard_again_after_a_while() {
        let mut tried = pointed(PRIVATE);
        assert!(tried.admit(BY_NAT));
        tried.point(Some("192.168.1.5:4002"), None);
        assert!((0..LINGERING).all(|_| !tried.admit(BY_NAT)));
        assert!(tried.admit(BY_NAT));
    }

    #[test]
    fn a_public_address_is_held_to_its_ip() {
        let mut tried = expected(STRANGER, Some(NAT));
        tried.now += GRACE;
        assert!(!tried.admit(BY_NAT), "whoever sends the SIP");
        assert_eq!(tried.latch.source(), None);
        assert!(tried.admit("203.0.113.9:4010"), "its NAT rewrote the port");
    }

    #[test]
    fn the_phone_itself_takes_the_latch_back_from_a_stranger_who_was_first_and_is_quiet() {
        let mut tried = pointed("10.0.0.50:4000");
        assert!(tried.admit("10.0.0.66:9999"));
        assert!(!tried.admit("10.0.0.50:4000"));
        tried.now += QUIET;
        assert!(tried.admit("10.0.0.50:4000"));
        assert!(!tried.admit("10.0.0.66:9999"));
    }

    #[test]
    fn only_another_address_unlocks() {
        let mut tried = pointed(PRIVATE);
        assert!(tried.admit(BY_NAT));
        tried.point(Some(PRIVATE), None);
        assert!(!tried.admit("198.51.100.8:5000"), "a refresh keeps the lock");
        tried.point(Some("192.168.1.5:4002"), None);
        assert!(tried.admit("198.51.100.8:5000"));
    }

    #[test]
    fn a_held_party_is_heard_but_not_sent_to() {
        let mut tried = pointed(PRIVATE);
        assert!(tried.admit(BY_NAT));
        tried.point(None, None);
        assert_eq!(tried.latch.destination(), None);
        assert!(tried.admit(BY_NAT));
        tried.now += QUIET;
        assert!(!tried.admit(PRIVATE));
        tried.point(Some(PRIVATE), None);
        assert_eq!(tried.latch.destination(), Some(at(BY_NAT)));
    }

    #[test]
    fn media_never_goes_to_a_group() {
        for group in
            ["224.0.0.1:4000", "255.255.255.255:4000", "0.0.0.0:4000", "198.51.100.7:0", "[ff02::1]:4000"]
        {
            assert_eq!(pointed(group).latch.destination(), None, "{group}");
        }
    }
}
