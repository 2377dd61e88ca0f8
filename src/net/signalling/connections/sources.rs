//! How many connections each source has, and how many of its accepted ones are amid a handshake.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// By address; of IPv6 by the /64, which is what one customer has. Chosen by strangers, so hashed with a key.
#[derive(Debug, Default)]
pub(super) struct Sources {
    shares: HashMap<IpAddr, Share>,
    /// Of all of them.
    handshakes: usize,
}

/// What one source has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) connections: usize,
    /// Of these.
    pub(super) handshakes: usize,
}

impl Sources {
    pub(super) fn of(&self, address: IpAddr) -> Share {
        self.shares.get(&source(address)).copied().unwrap_or_default()
    }

    /// All handshakes under way.
    pub(super) fn handshakes(&self) -> usize {
        self.handshakes
    }

    /// One more connection. `handshaking`: it begins with a handshake, the end of which is to be told.
    pub(super) fn add(&mut self, address: IpAddr, handshaking: bool) {
        let share = self.shares.entry(source(address)).or_default();
        share.connections += 1;
        share.handshakes += usize::from(handshaking);
        self.handshakes += usize::from(handshaking);
    }

    /// A handshake is over, one way or the other.
    pub(super) fn handshake_over(&mut self, address: IpAddr) {
        if let Some(share) = self.shares.get_mut(&source(address)) {
            share.handshakes -= 1;
            self.handshakes -= 1;
        }
    }

    /// A connection is gone, its handshake over before.
    pub(super) fn remove(&mut self, address: IpAddr) {
        let source = source(address);
        if let Some(share) = self.shares.get_mut(&source) {
            share.connections -= 1;
            if share.connections == 0 {
                self.shares.remove(&source);
            }
        }
    }
}

pub(super) fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_of_ipv6_is_one_source() {
        let mut sources = Sources::default();
        let [one, other, stranger] =
            ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"].map(|a| a.parse().unwrap());
        sources.add(one, true);
        assert_eq!(sources.of(other), Share { connections: 1, handshakes: 1 });
        assert_eq!(sources.of(stranger), Share::default());
        sources.handshake_over(one);
        assert_eq!((sources.of(other).handshakes, sources.handshakes()), (0, 0));
        sources.remove(one);
        assert!(sources.shares.is_empty());
    }
}
