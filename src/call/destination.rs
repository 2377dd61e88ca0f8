//! Where media is never sent, whatever a description says: back into the relay of its own call, where it would go round for ever, and to
//! this very machine.
//!
//! What it is not: other ports of ours are no harm in themselves, for a call that has gone out and come back by a proxy rightly names them.
//! What goes round over several calls ends at `relay::forward::PACKETS_A_LOOK`.

use super::office::Office;
use crate::relay::PortPair;
use std::net::{IpAddr, SocketAddr};

/// The address, if the relay between those ports may send there.
#[must_use]
pub(super) fn allowed(office: &Office, own: &[PortPair], to: SocketAddr) -> Option<SocketAddr> {
    let ip = to.ip().to_canonical();
    let advertised = [office.media_advertise, office.media_advertise_ipv6.map(IpAddr::from)];
    let ours = || advertised.into_iter().flatten().chain(own.iter().map(|pair| pair.rtp.ip()));
    let into_itself = ours().any(|own| own == ip)
        && own.iter().any(|pair| [pair.rtp.port(), pair.rtcp.port()].contains(&to.port()));
    // Where we are at such an address ourselves, so are phones.
    let into_this_machine = ip.is_loopback() && !ours().any(|own| own.is_loopback());
    (!into_itself && !into_this_machine).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;
    use crate::transaction::Transactions;

    #[test]
    fn a_call_is_not_sent_into_itself_nor_into_this_machine() {
        let mut office = Office::new(Ids::new([1; 32], 0), Vec::new(), Transactions::default());
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let pair = |ip: &str, port: u16| PortPair {
            rtp: at(&format!("{ip}:{port}")),
            rtcp: at(&format!("{ip}:{}", port + 1)),
        };
        let own = |ip| [pair(ip, 4000), pair(ip, 4002)];
        office.media_advertise = Some("203.0.113.1".parse().unwrap());
        for (bound, to, sent) in [
            ("10.0.0.1", "203.0.113.1:4002", false),
            ("10.0.0.1", "10.0.0.1:4001", false),
            ("10.0.0.1", "203.0.113.1:4004", true),
            ("10.0.0.1", "198.51.100.7:4002", true),
            ("10.0.0.1", "127.0.0.1:9000", false),
            ("127.0.0.1", "127.0.0.9:9000", true),
            ("127.0.0.1", "127.0.0.1:4003", false),
        ] {
            assert_eq!(allowed(&office, &own(bound), at(to)).is_some(), sent, "{bound} {to}");
        }
        assert_eq!(allowed(&office, &[], "[::ffff:127.0.0.1]:9000".parse().unwrap()), None);
    }
}
