//! The way back of a response (RFC 3261 §18.2.2, RFC 3581 §4).
//!
//! `received` and `rport` are written by [`Writer::reply`](crate::sip::Writer::reply), from the source that is noted on the
//! request here. Deviation: `maddr` of a Via isn't honoured. A response goes to nobody but the one who asked.

use crate::sip::{Flow, Message, Via};
use std::net::SocketAddr;

/// Where sent-by gives no port (RFC 3261 §18.2.2).
const DEFAULT_PORT: u16 = 5060;

/// Notes on a request where it came from, and tells the flow that its responses go by.
#[must_use]
pub fn open(flow: Flow, request: &mut Message) -> Flow {
    request.set_source(flow.remote);
    back(flow, request.top_via().as_ref())
}

/// The flow that responses go by: that of the request on a reliable transport or with `rport`, else the source address and the
/// port of sent-by.
#[must_use]
pub(super) fn back(flow: Flow, via: Option<&Via<'_>>) -> Flow {
    match via {
        Some(via) if !flow.transport.is_reliable() && via.param("rport").is_none() => {
            let port = via.port.unwrap_or(DEFAULT_PORT);
            Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
        }
        Some(_) | None => flow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Transport, Writer};

    fn back(transport: Transport, via: &str) -> (String, String) {
        let flow = Flow {
            transport,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "198.51.100.9:40000".parse().unwrap(),
            connection: None,
        };
        let text = format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n\
             Call-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        let mut request = Message::parse(text.into()).unwrap();
        let back = open(flow, &mut request);
        let reply = Message::parse(Writer::reply(&request, 200, "OK", Some("t")).finish()).unwrap();
        (back.remote.to_string(), reply.value(crate::sip::Name::Via).unwrap().to_owned())
    }

    #[test]
    fn with_rport_the_response_goes_to_the_source_port() {
        let (to, via) = back(Transport::Udp, "SIP/2.0/UDP 10.0.0.7:5062;rport;branch=z9hG4bKa");
        assert_eq!(to, "198.51.100.9:40000");
        assert_eq!(via, "SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bKa;received=198.51.100.9;rport=40000");
    }

    #[test]
    fn without_rport_it_goes_to_the_source_address_and_the_port_of_sent_by() {
        let (to, via) = back(Transport::Udp, "SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bKa");
        assert_eq!(to, "198.51.100.9:5062");
        assert_eq!(via, "SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bKa;received=198.51.100.9");
        assert_eq!(back(Transport::Udp, "SIP/2.0/UDP host.example;branch=z9hG4bKa").0, "198.51.100.9:5060");
    }

    #[test]
    fn on_a_reliable_transport_it_goes_by_the_connection() {
        let (to, _) = back(Transport::Tcp, "SIP/2.0/TCP 10.0.0.7:5062;branch=z9hG4bKa");
        assert_eq!(to, "198.51.100.9:40000");
    }

    #[test]
    fn maddr_does_not_lead_a_response_elsewhere() {
        let (to, _) = back(Transport::Udp, "SIP/2.0/UDP 198.51.100.9;maddr=203.0.113.1;branch=z9hG4bKa");
        assert_eq!(to, "198.51.100.9:5060");
    }
}
