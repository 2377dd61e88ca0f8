//! The media ports: opens pairs of sockets out of the configured range and keeps them open for good, so that a call is set
//! up without a system call that can fail, and so that nobody else gets a port between two calls.

use crate::relay::PortPair;
use rustc_hash::FxHashMap;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// The most pairs that are open at once: every even port there is.
pub const PAIRS_MAX: usize = 32_000;
/// Octets the kernel keeps for a socket that isn't read at once: more than a second of voice, a burst of video.
const RECEIVE_BUFFER_BYTES: usize = 128 * 1024;
/// Expedited forwarding (RFC 3246): the class for voice (RFC 4594 §4.1).
pub const DSCP_EF: u8 = 46;
/// The most that a code point can be (RFC 2474 §3): six bits.
pub const DSCP_MAX: u8 = 63;
/// How many odd ends are drawn before "any free port" is taken for "none is free".
const DRAWS_MAX: usize = 256;

/// An open RTP socket and its RTCP socket.
#[derive(Debug)]
pub struct Pair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

/// Where media ports come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// These ports, both ends inside.
    Within(RangeInclusive<u16>),
    /// Any that the system has free.
    Any,
}

/// Why there are no media ports at all.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    #[error("media: no even port with the next odd one in {}-{}", .0.start(), .0.end())]
    NoPairInRange(RangeInclusive<u16>),
    #[error("media: can't open a port pair on {ip}: {source}")]
    Open { ip: IpAddr, source: io::Error },
}

/// The pairs that are open, by RTP port. Locked when a call is set up, never for a packet.
#[derive(Clone, Default)]
pub(super) struct Open(Arc<Mutex<FxHashMap<SocketAddr, Arc<Pair>>>>);

impl Open {
    pub(super) fn pair(&self, addresses: &PortPair) -> Option<Arc<Pair>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&addresses.rtp).cloned()
    }

    fn insert(&self, addresses: &PortPair, pair: Pair) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(addresses.rtp, Arc::new(pair));
    }

    fn contains(&self, rtp: &SocketAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(rtp)
    }
}

/// Opens port pairs. One owner: the first relay thread.
pub struct Ports {
    ip: IpAddr,
    range: Range,
    /// What every packet is marked with.
    dscp: u8,
    /// The even port that is tried next, within a range.
    next: u16,
    /// Pairs of the range not tried since the last round.
    untried: usize,
    count: usize,
    pub(super) open: Open,
    /// Opened before anybody could be told.
    pub(super) at_first: Vec<PortPair>,
}

impl Ports {
    /// Checks the range and opens the first `pairs` of it, so that a wrong address is an error at start. `::` takes IPv4 as well as IPv6.
    /// What is sent carries the code point `dscp` (RFC 2474), up to [`DSCP_MAX`].
    ///
    /// # Errors
    /// The range has no pair, or not one pair of it could be opened.
    pub fn open(ip: IpAddr, range: Range, dscp: u8, pairs: usize) -> Result<Ports, PortsError> {
        let mut ports = Ports {
            ip,
            range,
            dscp,
            next: 0,
            untried: 0,
            count: 0,
            open: Open::default(),
            at_first: Vec::new(),
        };
        if let Range::Within(range) = &ports.range
            && pairs_in(range) == 0
        {
            return Err(PortsError::NoPairInRange(range.clone()));
        }
        ports.restart();
        for _ in 0..pairs.max(1) {
            match ports.open_next() {
                Ok(pair) => ports.at_first.push(pair),
                Err(source) if ports.at_first.is_empty() => return Err(PortsError::Open { ip, source }),
                Err(_) => break,
            }
        }
        Ok(ports)
    }

    /// Pairs that are open.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Begins another round: ports that were busy are tried again.
    pub(super) fn restart(&mut self) {
        if let Range::Within(range) = &self.range {
            self.untried = pairs_in(range);
        }
    }

    /// Opens one more pair.
    ///
    /// # Errors
    /// The range is exhausted ([`io::ErrorKind::AddrInUse`]), or what the system said: no file descriptors left.
    pub(super) fn open_next(&mut self) -> io::Result<PortPair> {
        if self.count >= PAIRS_MAX {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (addresses, pair) = match self.range.clone() {
            Range::Within(range) => self.within(&range)?,
            Range::Any => self.anywhere()?,
        };
        self.open.insert(&addresses, pair);
        self.count += 1;
        Ok(addresses)
    }

    fn within(&mut self, range: &RangeInclusive<u16>) -> io::Result<(PortPair, Pair)> {
        let first = first_even(range);
        while self.untried > 0 {
            self.untried -= 1;
            if self.next < first || !self.next.checked_add(1).is_some_and(|rtcp| range.contains(&rtcp)) {
                self.next = first;
            }
            let rtp = SocketAddr::new(self.ip, self.next);
            self.next = self.next.saturating_add(2);
            if self.open.contains(&rtp) {
                continue;
            }
            match pair_at(rtp, self.dscp) {
                // Somebody else has one of the two: not our pair, not our trouble.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn anywhere(&mut self) -> io::Result<(PortPair, Pair)> {
        for _ in 0..DRAWS_MAX {
            let drawn = udp(SocketAddr::new(self.ip, 0), self.dscp)?;
            let port = drawn.local_addr()?.port();
            let (drawn_is_rtp, beside) = (port % 2 == 0, port ^ 1);
            match udp(SocketAddr::new(self.ip, beside), self.dscp) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
                Ok(other) => {
                    let (rtp, rtcp) = if drawn_is_rtp { (drawn, other) } else { (other, drawn) };
                    let addresses = PortPair { rtp: rtp.local_addr()?, rtcp: rtcp.local_addr()? };
                    return Ok((addresses, Pair { rtp, rtcp }));
                }
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

fn first_even(range: &RangeInclusive<u16>) -> u16 {
    (*range.start()).max(2).next_multiple_of(2)
}

fn pairs_in(range: &RangeInclusive<u16>) -> usize {
    let first = range.start().max(&2).checked_next_multiple_of(2);
    first.map_or(0, |first| (usize::from(*range.end()) + 1).saturating_sub(usize::from(first)) / 2)
}

fn pair_at(rtp: SocketAddr, dscp: u8) -> io::Result<(PortPair, Pair)> {
    let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
    Ok((PortPair { rtp, rtcp }, Pair { rtp: udp(rtp, dscp)?, rtcp: udp(rtcp, dscp)? }))
}

fn udp(address: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    // Marks and sizes are wishes: media flows without them.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    // The code point is the upper six bits of the octet (RFC 2474 §3).
    let octet = u32::from(dscp.min(DSCP_MAX)) << 2;
    if address.is_ipv6() {
        let _ = socket.set_tclass_v6(octet);
    }
    if address.is_ipv4() || address.ip().is_unspecified() {
        let _ = socket.set_tos_v4(octet);
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Ports that were free a moment ago, on an address that no other test uses.
    fn free_range(ip: IpAddr, pairs: u16) -> RangeInclusive<u16> {
        loop {
            let first = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port() & !1;
            if let Some(last) = first.checked_add(pairs * 2 - 1) {
                return first..=last;
            }
        }
    }

    #[test]
    fn pairs_are_even_and_the_next_odd_port_and_the_range_ends() {
        let ip = IpAddr::from([127, 0, 71, 1]);
        let range = free_range(ip, 3);
        let mut ports = Ports::open(ip, Range::Within(range.clone()), DSCP_EF, 1).unwrap();
        let mut pairs = std::mem::take(&mut ports.at_first);
        pairs.extend(std::iter::from_fn(|| ports.open_next().ok()));
        assert_eq!(pairs.len(), 3);
        for (n, pair) in (0u16..).zip(&pairs) {
            assert_eq!(pair.rtp.port(), range.start() + 2 * n);
            assert_eq!(pair.rtcp.port(), pair.rtp.port() + 1);
            assert!(ports.open.pair(pair).is_some());
        }
    }

    #[test]
    fn a_port_of_somebody_else_is_passed_over_and_tried_again_later() {
        let ip = IpAddr::from([127, 0, 71, 2]);
        let range = free_range(ip, 2);
        let other = UdpSocket::bind((ip, range.start() + 1)).unwrap();
        let mut ports = Ports::open(ip, Range::Within(range.clone()), DSCP_EF, 1).unwrap();
        assert_eq!(ports.at_first[0].rtp.port(), range.start() + 2);
        assert!(ports.open_next().is_err());
        drop(other);
        ports.restart();
        assert_eq!(ports.open_next().unwrap().rtp.port(), *range.start());
    }

    #[test]
    fn any_free_port_still_makes_pairs() {
        let mut ports = Ports::open(LOOPBACK, Range::Any, DSCP_EF, 4).unwrap();
        let pairs = std::mem::take(&mut ports.at_first);
        assert_eq!(pairs.len(), 4);
        assert!(pairs.iter().all(|p| p.rtp.port() % 2 == 0 && p.rtcp.port() == p.rtp.port() + 1));
    }

    #[test]
    fn packets_are_marked_with_the_code_point_of_both_families() {
        let opened = |ip| {
            let mut ports = Ports::open(ip, Range::Any, 34, 1).unwrap();
            let pair = ports.at_first.pop().unwrap();
            ports.open.pair(&pair).unwrap()
        };
        let pair = opened(LOOPBACK);
        for socket in [&pair.rtp, &pair.rtcp] {
            assert_eq!(socket2::SockRef::from(socket).tos_v4().unwrap(), 34 << 2);
        }
        let both = opened(IpAddr::from([0_u16; 8]));
        let both = socket2::SockRef::from(&both.rtp);
        assert_eq!((both.tos_v4().unwrap(), both.tclass_v6().unwrap()), (34 << 2, 34 << 2));
    }

    #[test]
    fn a_range_without_a_pair_and_a_foreign_address_are_errors() {
        for range in [4001..=4002, 4000..=4000, 65_535..=65_535, 0..=2] {
            let opened = Ports::open(LOOPBACK, Range::Within(range.clone()), DSCP_EF, 1);
            assert!(matches!(opened, Err(PortsError::NoPairInRange(_))), "{range:?}");
        }
        let foreign: IpAddr = "192.0.2.1".parse().unwrap();
        let error = Ports::open(foreign, Range::Any, DSCP_EF, 1).err().unwrap();
        assert!(error.to_string().starts_with("media: can't open a port pair on 192.0.2.1: "), "{error}");
    }
}
