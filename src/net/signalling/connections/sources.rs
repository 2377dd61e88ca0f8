//! How many connections each source has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// By address; of IPv6 by the /64, which is what one customer has. Chosen by strangers, so hashed with a key.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<IpAddr, usize>);

impl Sources {
    pub(super) fn of(&self, address: IpAddr) -> usize {
        self.0.get(&source(address)).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, address: IpAddr) {
        *self.0.entry(source(address)).or_default() += 1;
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        let source = source(address);
        if let Some(count) = self.0.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&source);
            }
        }
    }
}

fn source(address: IpAddr) -> IpAddr {
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
        sources.add(one);
        assert_eq!((sources.of(other), sources.of(stranger)), (1, 0));
        sources.remove(other);
        assert!(sources.0.is_empty());
    }
}
