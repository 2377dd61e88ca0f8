//! Which domains claim an address, over all domains: what `accept_from` says, found by prefix.
//!
//! A look-up costs one step for each length of prefix in use, however many domains there are. It says who may be meant; ports and From
//! users are the domain's to judge.

use super::domain::Domain;
use super::model::AcceptFrom;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A range of addresses: its length, and its bits with those of the host gone. IPv4 stands where IPv6 maps it.
type Range = (u8, u128);

#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Lengths in use.
    lengths: BTreeSet<u8>,
    /// Names of the domains, in order, as the ruleset knows them. The keys come from the rules, not from the wire.
    domains: FxHashMap<Range, Vec<Arc<str>>>,
}

impl Sources {
    pub(super) fn of<'a>(domains: impl Iterator<Item = (&'a Arc<str>, &'a Arc<Domain>)>) -> Sources {
        let mut sources = Sources::default();
        for (name, domain) in domains {
            for (length, bits) in ranges(domain) {
                sources.lengths.insert(length);
                sources.domains.entry((length, bits)).or_default().push(name.clone());
            }
        }
        sources
    }

    /// The domains with a range that holds this address, the narrowest first. One with several such ranges comes several times.
    pub(super) fn claiming(&self, source: SocketAddr) -> impl Iterator<Item = &Arc<str>> {
        let bits = mapped(source.ip());
        let ranges =
            self.lengths.iter().rev().filter_map(move |length| self.domains.get(&cut(bits, *length)));
        ranges.flatten()
    }
}

/// Whether both claim the same, ports aside: then the domain that takes the place of the other changes no look-up.
pub(super) fn same(a: &Domain, b: &Domain) -> bool {
    ranges(a) == ranges(b)
}

fn ranges(domain: &Domain) -> FxHashSet<Range> {
    let range = |claimed: &AcceptFrom| {
        let host_bits = if claimed.address.to_canonical().is_ipv4() { 32 } else { 128_u8 };
        cut(mapped(claimed.address), 128 - host_bits + claimed.prefix.min(host_bits))
    };
    domain.claims.iter().map(|(_, claimed)| range(claimed)).collect()
}

fn mapped(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn cut(bits: u128, length: u8) -> Range {
    let host = u32::from(128 - length.min(128));
    (length, bits.checked_shr(host).unwrap_or(0))
}
