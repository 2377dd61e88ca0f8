//! Where a request goes, and where it goes on when the connection that was to carry it has ended: by a new one to its next hop.
//!
//! What came by a connection is answered and spoken to by it (RFC 5626 §3), for as long as it stands; a peer that closes one that idles
//! (RFC 3261 §18 leaves it to either side) is still in its calls. It is looked for as RFC 3261 §18.2.2 has responses look for it: at the address
//! that it came from, by the port that it gives.
//!
//! Invariants: no request goes on more than once, and none leaves its transport: what went by TLS finds who has a certificate, or nobody.
//! A phone behind NAT and a browser (RFC 7118) can't be connected to; a request to either ends with its connection.

use crate::sip::flow::is_private;
use crate::sip::{Flow, Message, Name, NameAddr, Scheme, Uri};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// The URI of the topmost Route, else the Request-URI (RFC 3261 §8.1.2).
pub(super) fn next_hop(request: &Message) -> Option<Uri<'_>> {
    let route = request.elements(Name::Route).next().and_then(NameAddr::parse).map(|route| route.uri);
    route.or_else(|| Uri::parse(request.request_uri()))
}

/// The flow by which a request that `flow` can't carry goes on. `None`: there is no other.
pub(super) fn anew(flow: &Flow, request: &Bytes) -> Option<Flow> {
    if !flow.transport.is_reliable() || flow.transport.is_web() {
        return None;
    }
    let request = Message::parse(request.clone()).ok()?;
    let hop = next_hop(&request)?;
    if !matches!(hop.scheme, Scheme::Sip | Scheme::Sips) {
        return None;
    }
    let came_from = flow.remote.ip();
    let ip = match hop.host.parse::<IpAddr>() {
        Ok(ip) if ip == came_from => ip,
        // In a dialog the Contact or Route is to be followed wherever it leads (RFC 3261 §12.2.1.1), but not into the network behind a NAT.
        Ok(ip) if is_in_dialog(&request) && (!is_private(ip) || is_private(came_from)) => ip,
        Ok(_) => return None,
        Err(_) if flow.is_bound() && !hop.host.to_ascii_lowercase().ends_with(".invalid") => came_from,
        Err(_) => return None,
    };
    let port = hop.port.unwrap_or(flow.transport.default_port());
    let server = flow.connection.filter(|_| !flow.is_bound()); // it has to be who it was
    let anew = Flow { remote: SocketAddr::new(ip, port), connection: server, ..*flow };
    (anew != *flow).then_some(anew)
}

fn is_in_dialog(request: &Message) -> bool {
    request.to().is_some_and(|to| to.tag().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{ConnectionId, ServerName, Transport};

    /// Where a request on a connection from 198.51.100.9:40000 goes on.
    fn goes_on(transport: Transport, uri: &str, route: &str, to_tag: &str) -> Option<String> {
        let local = "192.0.2.1:5061".parse().unwrap();
        let remote = "198.51.100.9:40000".parse().unwrap();
        let flow = Flow { transport, local, remote, connection: Some(ConnectionId(7)) };
        let text = format!(
            "BYE {uri} SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1:5061;rport;branch=z9hG4bK1\r\n{route}\
             From: <sip:a@b>;tag=a\r\nTo: <sip:c@d>{to_tag}\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n"
        );
        let anew = anew(&flow, &text.into())?;
        assert_eq!((anew.transport, anew.local, anew.connection), (transport, local, None));
        Some(anew.remote.to_string())
    }

    #[test]
    fn a_peer_is_looked_for_where_it_came_from_by_the_port_that_it_gives() {
        for (transport, uri, found) in [
            (Transport::Tls, "sip:carrier@198.51.100.9:5071;transport=tls", "198.51.100.9:5071"),
            (Transport::Tls, "sip:carrier@sbc.carrier.example", "198.51.100.9:5061"),
            (Transport::Tcp, "sip:carrier@sbc.carrier.example;transport=tcp", "198.51.100.9:5060"),
            (Transport::Tcp, "sip:carrier@198.51.100.20", "198.51.100.20:5060"),
        ] {
            assert_eq!(goes_on(transport, uri, "", ";tag=b").as_deref(), Some(found), "{uri}");
        }
        let route = "Route: <sip:198.51.100.9:5080;transport=tls;lr>\r\n";
        let by_route = goes_on(Transport::Tls, "sip:far@10.0.0.7", route, ";tag=b");
        assert_eq!(by_route.as_deref(), Some("198.51.100.9:5080"));
    }

    #[test]
    fn nobody_looks_behind_a_nat_for_a_browser_or_outside_a_dialog_anywhere_else() {
        for (transport, uri, to_tag) in [
            (Transport::Tcp, "sip:bob@10.0.0.7:5060;transport=tcp", ";tag=b"),
            (Transport::Ws, "sip:bob@198.51.100.9;transport=ws", ";tag=b"),
            (Transport::Tls, "sip:bob@df7jal23ls0d.INVALID", ";tag=b"),
            (Transport::Udp, "sip:bob@198.51.100.9", ";tag=b"),
            (Transport::Tcp, "sip:bob@198.51.100.20", ""),
            (Transport::Tcp, "tel:+12025550100", ";tag=b"),
        ] {
            assert_eq!(goes_on(transport, uri, "", to_tag), None, "{uri}");
        }
    }

    #[test]
    fn a_server_that_is_meant_by_its_name_is_no_other_wherever_it_is_looked_for() {
        let local = "192.0.2.1:5061".parse().unwrap();
        let remote = "198.51.100.9:5061".parse().unwrap();
        let connection = Some(ConnectionId::to_server(ServerName(3)));
        let flow = Flow { transport: Transport::Tls, local, remote, connection };
        let bye =
            |uri| format!("BYE {uri} SIP/2.0\r\nTo: <sip:c@d>;tag=b\r\nContent-Length: 0\r\n\r\n").into();
        let found = anew(&flow, &bye("sip:198.51.100.20:5071;transport=tls")).unwrap();
        assert_eq!((found.remote.to_string().as_str(), found.connection), ("198.51.100.20:5071", connection));
        assert_eq!(
            anew(&flow, &bye("sip:sbc.carrier.example")),
            None,
            "its name is known, and where it leads"
        );
    }

    #[test]
    fn who_was_looked_for_there_already_is_not_looked_for_again() {
        let local = "192.0.2.1:5060".parse().unwrap();
        let remote = "198.51.100.9:5060".parse().unwrap();
        let flow = Flow { transport: Transport::Tcp, local, remote, connection: None };
        for uri in ["sip:bob@198.51.100.9", "sip:bob@carrier.example", "sip:bob@carrier.example:5080"] {
            assert_eq!(
                anew(&flow, &format!("OPTIONS {uri} SIP/2.0\r\nContent-Length: 0\r\n\r\n").into()),
                None,
                "{uri}"
            );
        }
    }
}
