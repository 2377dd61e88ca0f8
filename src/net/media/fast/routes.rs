//! Where the kernel would send a packet of ours: by which interface, to which neighbour. Asked of it for each stream (rtnetlink(7)), so
//! that rules, tables and source addresses count as they do for a socket; and asked again when it says that something has changed.
//!
//! What it is not: no cache, and no opinion about routes.

use rustix::fd::OwnedFd;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of an answer: one route with its attributes is a fraction of that.
const ANSWER_BYTES: usize = 8192;
/// Notices thrown away at once; what is left says the same the next time.
const NOTICES_MAX: usize = 1024;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLM_F_REQUEST: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_VIA: u16 = 18;
const RTA_IP_PROTO: u16 = 27;
const RTA_SPORT: u16 = 28;
const RTA_DPORT: u16 = 29;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_UDP: u8 = 17;
/// Links, addresses, routes and rules, of both families (RTMGRP_*).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18;

const HEADER_BYTES: usize = 16;
const ROUTE_BYTES: usize = 12;
const LINK_BYTES: usize = 16;

/// The kinds of interfaces (ARPHRD_*).
pub(super) const ETHERNET: u16 = 1;
pub(super) const LOOPBACK: u16 = 772;

/// The next step of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The number of the interface. `None`: it stays on this machine.
    pub(super) interface: Option<u32>,
    /// Whom it is handed to there.
    pub(super) hop: IpAddr,
}

pub(super) struct Routes {
    questions: OwnedFd,
    notices: OwnedFd,
}

impl Routes {
    /// # Errors
    /// No file descriptors left, or the process may not speak rtnetlink.
    pub(super) fn open() -> io::Result<Routes> {
        let socket = |groups| -> io::Result<OwnedFd> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
            Ok(socket)
        };
        Ok(Routes { questions: socket(0)?, notices: socket(GROUPS)? })
    }

    /// The way of packets from there to there. `None`: there is none, or not to one party alone.
    ///
    /// # Errors
    /// Whatever the socket says; none is expected.
    pub(super) fn way(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        traffic_class: u8,
    ) -> io::Result<Option<Route>> {
        self.ask(&question(from, to, traffic_class), |answer| route(answer, to.ip()))
    }

    /// What kind of interface has that name. `None`: none has.
    ///
    /// # Errors
    /// As of [`Routes::way`].
    pub(super) fn kind(&self, interface: &str) -> io::Result<Option<u16>> {
        let body = attribute(vec![0; LINK_BYTES], IFLA_IFNAME, &[interface.as_bytes(), &[0]].concat());
        self.ask(&message(RTM_GETLINK, &body), link_kind)
    }

    fn ask<T>(&self, question: &[u8], read: impl FnOnce(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
        let mut answer = [0; ANSWER_BYTES];
        // What is left of a question before.
        while rustix::net::recv(&self.questions, &mut answer[..], RecvFlags::DONTWAIT).is_ok() {}
        rustix::net::send(&self.questions, question, SendFlags::empty())?;
        // The kernel has answered when the question is sent.
        let (octets, _) = rustix::net::recv(&self.questions, &mut answer[..], RecvFlags::DONTWAIT)?;
        Ok(answer.get(..octets).and_then(read))
    }

    /// Whether anything has changed since this was asked last.
    pub(super) fn have_changed(&self) -> bool {
        let mut room = [0; ANSWER_BYTES];
        let mut changed = false;
        for _ in 0..NOTICES_MAX {
            match rustix::net::recv(&self.notices, &mut room[..], RecvFlags::DONTWAIT) {
                Ok(_) => changed = true,
                // Some were lost.
                Err(rustix::io::Errno::NOBUFS) => changed = true,
                Err(_) => break,
            }
        }
        changed
    }
}

/// RTM_GETROUTE for a datagram.
fn question(from: SocketAddr, to: SocketAddr, traffic_class: u8) -> Vec<u8> {
    let octets_of = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (source, destination) = (octets_of(from.ip()), octets_of(to.ip()));
    let bits = (destination.len() * 8) as u8; // 32 or 128
    let family = if to.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut body = vec![family, bits, bits, traffic_class];
    body.resize(ROUTE_BYTES, 0);
    let ports = (from.port().to_be_bytes(), to.port().to_be_bytes());
    for (kind, octets) in [
        (RTA_DST, &destination[..]),
        (RTA_SRC, &source),
        (RTA_IP_PROTO, &[IPPROTO_UDP]),
        (RTA_SPORT, &ports.0),
        (RTA_DPORT, &ports.1),
    ] {
        body = attribute(body, kind, octets);
    }
    message(RTM_GETROUTE, &body)
}

fn attribute(mut body: Vec<u8>, kind: u16, octets: &[u8]) -> Vec<u8> {
    body.extend(((octets.len() + 4) as u16).to_ne_bytes()); // an address, or the name of an interface
    body.extend(kind.to_ne_bytes());
    body.extend(octets);
    body.resize(body.len().next_multiple_of(4), 0);
    body
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut message = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec(); // some hundred
    message.extend(kind.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.resize(HEADER_BYTES, 0);
    message.extend(body);
    message
}

fn link_kind(answer: &[u8]) -> Option<u16> {
    let (&[_, _, _, _, t0, t1, ..], body) = answer.split_first_chunk::<HEADER_BYTES>()?;
    let &[_, _, k0, k1] = body.first_chunk::<4>()?;
    (u16::from_ne_bytes([t0, t1]) == RTM_NEWLINK).then(|| u16::from_ne_bytes([k0, k1]))
}

/// What the answer says of packets to `to`.
fn route(answer: &[u8], to: IpAddr) -> Option<Route> {
    let (&[l0, l1, l2, l3, t0, t1, ..], _) = answer.split_first_chunk::<HEADER_BYTES>()?;
    if u16::from_ne_bytes([t0, t1]) != RTM_NEWROUTE {
        return None;
    }
    let octets = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
    let body = answer.get(HEADER_BYTES..octets)?;
    let (&[_, _, _, _, _, _, _, kind, ..], mut attributes) = body.split_first_chunk::<ROUTE_BYTES>()?;
    let (mut interface, mut hop) = (None, to);
    while let Some((&[l0, l1, k0, k1], _)) = attributes.split_first_chunk::<4>() {
        let octets = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = attributes.get(4..octets)?;
        match u16::from_ne_bytes([k0, k1]) {
            RTA_OIF => interface = Some(u32::from_ne_bytes(value.try_into().ok()?)),
            RTA_GATEWAY => hop = address(value)?,
            // RFC 5549: a neighbour of the other family, after the number of its family.
            RTA_VIA => hop = address(value.get(2..)?)?,
            _ => {}
        }
        attributes = attributes.get(octets.next_multiple_of(4)..).unwrap_or_default();
    }
    match kind {
        RTN_UNICAST => interface.map(|interface| Route { interface: Some(interface), hop }),
        RTN_LOCAL => Some(Route { interface: None, hop }),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    let six = || <[u8; 16]>::try_from(octets).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
    four.or_else(|_| six()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_goes_to_this_machine_stays_on_it() {
        let routes = Routes::open().unwrap();
        let to = at("127.0.0.9:5000");
        let way = routes.way(at("127.0.0.1:4000"), to, 0xb8).unwrap();
        assert_eq!(way, Some(Route { interface: None, hop: to.ip() }));
    }

    #[test]
    fn an_address_that_is_not_ours_has_no_way() {
        let routes = Routes::open().unwrap();
        assert_eq!(routes.way(at("192.0.2.77:4000"), at("127.0.0.9:5000"), 0).unwrap(), None);
        // And the next answer is that of the next question.
        assert!(routes.way(at("127.0.0.1:4000"), at("127.0.0.9:5000"), 0).unwrap().is_some());
    }

    #[test]
    fn an_interface_is_known_by_its_name() {
        let routes = Routes::open().unwrap();
        assert_eq!(routes.kind("lo").unwrap(), Some(LOOPBACK));
        assert_eq!(routes.kind("nowhere7").unwrap(), None);
        assert_eq!(routes.kind("a name far too long for one").unwrap(), None);
    }

    /// An answer with these attributes.
    fn answer(kind: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let head = vec![AF_INET, 32, 0, 0, 254, 0, 0, kind, 0, 0, 0, 0];
        let body = attributes.iter().fold(head, |body, (kind, value)| attribute(body, *kind, value));
        message(RTM_NEWROUTE, &body)
    }

    #[test]
    fn a_gateway_is_the_next_hop_of_whichever_family() {
        let (to, interface) = (at("203.0.113.9:1").ip(), 3u32.to_ne_bytes());
        let plain = answer(RTN_UNICAST, &[(RTA_OIF, &interface), (RTA_DST, &[203, 0, 113, 9])]);
        assert_eq!(route(&plain, to), Some(Route { interface: Some(3), hop: to }));
        let by_gateway = answer(RTN_UNICAST, &[(RTA_GATEWAY, &[192, 0, 2, 1]), (RTA_OIF, &interface)]);
        assert_eq!(route(&by_gateway, to).unwrap().hop, at("192.0.2.1:1").ip());
        let six: Ipv6Addr = "fe80::1".parse().unwrap();
        let via = [&u16::from(AF_INET6).to_ne_bytes()[..], &six.octets()].concat();
        let by_six = answer(RTN_UNICAST, &[(RTA_VIA, &via), (RTA_OIF, &interface)]);
        assert_eq!(route(&by_six, to), Some(Route { interface: Some(3), hop: six.into() }));
        let blackhole = answer(6, &[(RTA_OIF, &interface)]);
        assert_eq!(route(&blackhole, to), None);
    }

    proptest! {
        #[test]
        fn no_answer_whatever_breaks_us(answer: Vec<u8>, kind: u8, value: Vec<u8>, attribute: u16) {
            let to = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let _ = (route(&answer, to), link_kind(&answer));
            let value = &value[..value.len().min(200)];
            let _ = route(&self::answer(kind, &[(attribute, value)]), to);
            let mut cut = self::answer(RTN_UNICAST, &[(attribute, value), (RTA_OIF, &[1, 0, 0, 0])]);
            cut.truncate(answer.len());
            let _ = route(&cut, to);
        }
    }
}
