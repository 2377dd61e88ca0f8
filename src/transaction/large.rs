//! Requests that are too large for a datagram go over TCP (RFC 3261 §18.1.1), and come back to UDP where nobody takes them there.
//!
//! Who may be spoken to by TCP: whoever is at the address that it gives, and a name (a trunk's proxy). A phone behind NAT gives another address
//! than it is reached by; a connection to it would end at its NAT, so it is sent a datagram, large as it is. So is who asks for
//! `transport=udp`. Who has refused a connection is not asked again for a while.

use super::next_hop::next_hop;
use crate::sip::{Flow, Message, Scheme, Transport};
use bytes::Bytes;
use memchr::memchr;
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// RFC 3261 §18.1.1, where the MTU of the path is not known: and nobody knows it.
pub const DATAGRAM_BYTES_MAX: usize = 1_300;
/// How long who refuses connections gets datagrams.
pub const REFUSED_FOR: Duration = Duration::from_secs(3600);
/// Peers that are remembered so; one more, and all are asked again.
pub const REFUSALS_MAX: usize = 10_000;

/// A way by TCP beside one of our UDP listeners.
#[derive(Clone, Debug)]
pub struct Beside {
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    /// What our Via says by TCP.
    pub sent_by: String,
}

/// The ways that there are, and who has refused them.
#[derive(Debug, Default)]
pub(super) struct Large {
    ways: Vec<Beside>,
    refused: FxHashMap<SocketAddr, Instant>,
}

impl Large {
    pub(super) fn set(&mut self, ways: Vec<Beside>) {
        self.ways = ways;
    }

    /// The flow and the text by TCP of a request that is too large for its datagram.
    pub(super) fn by_stream(&mut self, now: Instant, flow: Flow, bytes: &Bytes) -> Option<(Flow, Bytes)> {
        if bytes.len() <= DATAGRAM_BYTES_MAX || flow.transport != Transport::Udp {
            return None;
        }
        let way = self.ways.iter().find(|way| way.udp == flow.local)?;
        if self.refused.get(&flow.remote).is_some_and(|since| now < *since + REFUSED_FOR) {
            return None;
        }
        if !takes_streams(bytes, flow.remote) {
            return None;
        }
        let text = with_via(bytes, &way.sent_by)?;
        Some((Flow { transport: Transport::Tcp, local: way.tcp, ..flow }, text))
    }

    /// No connection could be had to there.
    pub(super) fn refused(&mut self, now: Instant, remote: SocketAddr) {
        if self.refused.len() >= REFUSALS_MAX {
            self.refused.clear();
        }
        self.refused.insert(remote, now);
    }
}

/// Whether the next hop of a request is at the address that it gives, and leaves the transport to us.
fn takes_streams(bytes: &Bytes, remote: SocketAddr) -> bool {
    let Ok(request) = Message::parse(bytes.clone()) else { return false };
    let Some(hop) = next_hop(&request) else { return false };
    if hop.scheme != Scheme::Sip || hop.param("transport").is_some() {
        return false;
    }
    match hop.host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, hop.port.unwrap_or(Transport::Tcp.default_port())) == remote,
        Err(_) => !hop.host.to_ascii_lowercase().ends_with(".invalid"),
    }
}

/// The same request with our Via by TCP (RFC 3261 §18.1.1: it MUST say so). `None` where it isn't the first field.
fn with_via(bytes: &[u8], sent_by: &str) -> Option<Bytes> {
    const BY_UDP: &[u8] = b"Via: SIP/2.0/UDP ";
    const BY_TCP: &[u8] = b"Via: SIP/2.0/TCP ";
    let (start, fields) = bytes.split_at_checked(memchr(b'\n', bytes)? + 1)?;
    let via = fields.strip_prefix(BY_UDP)?;
    let rest = via.get(memchr(b';', via)?..)?;
    Some([start, BY_TCP, sent_by.as_bytes(), rest].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)] // some instant to count from
    fn by_tcp(uri: &str, more: &str, padding: usize) -> Option<(Flow, String)> {
        let local = "192.0.2.1:5060".parse().unwrap();
        let mut large = Large::default();
        large.set(vec![Beside { udp: local, tcp: local, sent_by: "pbx.example:5070".into() }]);
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1\r\n{more}X: {}\r\n\r\n",
            "x".repeat(padding)
        );
        let remote = "198.51.100.9:5060".parse().unwrap();
        let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
        let (flow, bytes) = large.by_stream(Instant::now(), flow, &text.into())?;
        Some((flow, String::from_utf8(bytes.to_vec()).unwrap()))
    }

    #[test]
    fn a_large_request_to_who_is_where_they_say_goes_over_tcp_and_says_so() {
        for uri in ["sip:101@198.51.100.9", "sip:101@198.51.100.9:5060", "sip:+12025550100@carrier.example"] {
            let (flow, text) = by_tcp(uri, "", 1_300).unwrap();
            assert_eq!(
                (flow.transport, flow.remote.to_string()),
                (Transport::Tcp, "198.51.100.9:5060".into())
            );
            let via = "SIP/2.0\r\nVia: SIP/2.0/TCP pbx.example:5070;rport;branch=z9hG4bK1\r\nX: xxx";
            assert!(text.contains(via), "{text}");
        }
        let route = "Route: <sip:198.51.100.9;lr>\r\n";
        assert!(by_tcp("sip:101@10.0.0.9", route, 1_300).is_some());
    }

    #[test]
    fn a_small_one_a_phone_behind_nat_and_who_wants_datagrams_get_datagrams() {
        assert!(by_tcp("sip:101@198.51.100.9", "", 1_000).is_none());
        for uri in [
            "sip:101@10.0.0.9:5060",
            "sip:101@198.51.100.9:5062",
            "sip:101@198.51.100.9;transport=udp",
            "sip:101@df7jal23ls0d.invalid",
            "tel:+12025550100",
        ] {
            assert!(by_tcp(uri, "", 1_300).is_none(), "{uri}");
        }
        assert!(by_tcp("sip:101@198.51.100.9", "Route: <sip:10.0.0.1;lr>\r\n", 1_300).is_none());
    }
}
