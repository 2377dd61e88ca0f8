//! Where a message came from, and where one goes: the flow of RFC 5626 §3.

use std::net::{IpAddr, SocketAddr};

/// The transport protocols of RFC 3261 §18 that the daemon speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Whether the transport delivers by itself, so that timers A, E, G stay off (RFC 3261 §17).
    #[must_use]
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// Whether nobody on the way can read along.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// Whether it is a WebSocket: only the peer can open one, so it is reached by the connection that stands or not at all.
    #[must_use]
    pub fn is_web(self) -> bool {
        matches!(self, Transport::Ws | Transport::Wss)
    }

    /// The word of a Via header (RFC 3261 §18.1.1, RFC 7118 §5.2.1).
    #[must_use]
    pub fn via_word(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The scheme of a listener as it is configured and shown: `udp` in `udp://192.0.2.1:5060`.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// What a URI says to be reached by it, with its semicolon (RFC 3261 §19.1.1; `tls` is deprecated there and what everybody reads).
    /// RFC 7118 §5.2.2 has `ws` for both kinds of WebSocket.
    #[must_use]
    pub fn uri_parameter(self) -> &'static str {
        match self {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            Transport::Ws | Transport::Wss => ";transport=ws",
        }
    }

    /// The transport that a URI names by its `transport` parameter and scheme; `None` for one that we don't speak. A sips URI is reached by
    /// TLS, whatever is below (RFC 3261 §26.2.2).
    #[must_use]
    pub fn of_uri(parameter: Option<&str>, sips: bool) -> Option<Transport> {
        let is = |word: &str| parameter.is_some_and(|parameter| parameter.eq_ignore_ascii_case(word));
        match (parameter, sips) {
            (None, false) => Some(Transport::Udp),
            (None, true) => Some(Transport::Tls),
            (Some(_), _) if is("tls") => Some(Transport::Tls),
            (Some(_), true) if is("tcp") => Some(Transport::Tls),
            (Some(_), true) if is("ws") || is("wss") => Some(Transport::Wss),
            (Some(_), false) if is("udp") => Some(Transport::Udp),
            (Some(_), false) if is("tcp") => Some(Transport::Tcp),
            (Some(_), false) if is("ws") => Some(Transport::Ws),
            (Some(_), false) if is("wss") => Some(Transport::Wss),
            (Some(_), _) => None,
        }
    }

    /// Where neither a URI nor a Via gives a port (RFC 3261 §19.1.2, §18.2.2; RFC 7118 §5.2.1: those of HTTP).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

/// One accepted or opened connection of a reliable transport. Never reused while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ConnectionId(pub u64);

/// Who has to be at the other end of a connection that we open: a name in a trunk's `proxy`, by a number that the edge has given it. Never used for
/// another name while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(pub u32);

impl ConnectionId {
    /// From here on it is no connection, but whichever stands to that server, or is opened to it. Connections are counted from 1 and never
    /// come so far.
    const SERVERS_FROM: u64 = 1 << 63;

    #[must_use]
    pub fn to_server(name: ServerName) -> ConnectionId {
        ConnectionId(Self::SERVERS_FROM | u64::from(name.0))
    }

    /// Of one that stands for a server: which.
    #[must_use]
    pub fn server(self) -> Option<ServerName> {
        let number = self.0.checked_sub(Self::SERVERS_FROM)?;
        u32::try_from(number).ok().map(ServerName)
    }
}

impl Flow {
    /// Whether it is one connection and no other.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.connection.is_some_and(|connection| connection.server().is_none())
    }
}

/// Where a message came from, and where one goes.
///
/// `local` is the address of our listener (also for a connection that we opened: then it is the listener whose
/// address we give in Via and Contact). A flow with `connection: None` on a reliable transport asks the network
/// edge to open a connection to `remote`, or to reuse one that stands; one that names a server
/// ([`ConnectionId::to_server`]) asks for one at the other end of which that server has shown who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Flow {
    pub transport: Transport,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub connection: Option<ConnectionId>,
}

/// Whether an address means nothing outside of its own network, so that whoever names it may well be behind a NAT:
/// RFC 1918, RFC 6598 (carriers' NAT), loopback, link-local, RFC 4193.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_by_what_it_is_reached() {
        for (parameter, sips, transport) in [
            (None, false, Some(Transport::Udp)),
            (Some("UDP"), false, Some(Transport::Udp)),
            (Some("tcp"), false, Some(Transport::Tcp)),
            (Some("tls"), false, Some(Transport::Tls)),
            (Some("ws"), false, Some(Transport::Ws)),
            (None, true, Some(Transport::Tls)),
            (Some("tcp"), true, Some(Transport::Tls)),
            (Some("ws"), true, Some(Transport::Wss)),
            (Some("udp"), true, None),
            (Some("sctp"), false, None),
            (Some(""), false, None),
        ] {
            assert_eq!(Transport::of_uri(parameter, sips), transport, "{parameter:?} {sips}");
        }
    }
}
