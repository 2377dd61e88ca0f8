//! Which address the rest of the world reaches us by, where we listen on all of them: Via, Contact and SDP have to say one.

use crate::sip::Transport;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Documentation addresses (RFC 5737, RFC 3849): nothing is ever sent there, they only make the system choose a route.
const OUTWARD_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const OUTWARD_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9);

/// The address itself, unless it means all of them: then the one that packets to the outside leave by.
#[must_use]
pub fn reachable(listen: IpAddr) -> Option<IpAddr> {
    if !listen.is_unspecified() {
        return Some(listen);
    }
    let outward = if listen.is_ipv4() { OUTWARD_V4 } else { OUTWARD_V6 };
    let socket = UdpSocket::bind((listen, 0)).ok()?;
    // Connecting a datagram socket sends nothing.
    socket.connect(outward).ok()?;
    socket.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_unspecified())
}

/// What Via and Contact say of a listener where `[sip] advertise` is `host`, or `host:port`: a port is that of UDP and TCP, which have one
/// for both; the others have the one that they listen on.
#[must_use]
pub fn advertised(host: &str, transport: Transport, bound: u16) -> String {
    // An IPv6 address needs its brackets to have a port.
    let named = host
        .rsplit_once(':')
        .filter(|(name, port)| port.parse::<u16>().is_ok() && (!name.contains(':') || name.ends_with(']')));
    match (named, transport) {
        (Some(_), Transport::Udp | Transport::Tcp) => host.to_owned(),
        (Some((name, _)), Transport::Tls | Transport::Ws | Transport::Wss) => format!("{name}:{bound}"),
        (None, _) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{bound}"),
        (None, _) => format!("{host}:{bound}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_reachable_by_itself_and_all_of_them_by_one() {
        let one: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(reachable(one), Some(one));
        // A machine without any route has none; with one it is never the wildcard.
        assert!(reachable(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_none_or(|ip| !ip.is_unspecified()));
    }

    #[test]
    fn a_port_that_is_advertised_is_that_of_udp_and_tcp() {
        for (host, transport, says) in [
            ("pbx.example", Transport::Udp, "pbx.example:5070"),
            ("pbx.example:6060", Transport::Udp, "pbx.example:6060"),
            ("pbx.example:6060", Transport::Tcp, "pbx.example:6060"),
            ("pbx.example:6060", Transport::Tls, "pbx.example:5070"),
            ("2001:db8::1", Transport::Wss, "[2001:db8::1]:5070"),
            ("[2001:db8::1]", Transport::Udp, "[2001:db8::1]:5070"),
            ("[2001:db8::1]:6060", Transport::Ws, "[2001:db8::1]:5070"),
        ] {
            assert_eq!(advertised(host, transport, 5070), says);
        }
    }
}
