//! The structures of relay.bpf.c as octets: `struct key`, `struct stream` and `struct counts`, in the machine's own order but for
//! addresses and ports.

use super::routes::Route;
use std::net::{IpAddr, SocketAddr};

pub(super) const KEY_BYTES: usize = 36;
pub(super) const STREAM_BYTES: usize = 76;
pub(super) const COUNTS_BYTES: usize = 56;

/// AF_INET and AF_INET6, of the next hop.
const FAMILIES: (u32, u32) = (2, 10);

/// `struct key`: where packets come to, and from where.
pub(super) fn key(local: SocketAddr, remote: SocketAddr) -> [u8; KEY_BYTES] {
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let mut octets = [0; KEY_BYTES];
    let mut room = Room(&mut octets);
    room.put(&mapped(local.ip()));
    room.put(&mapped(remote.ip()));
    room.put(&local.port().to_be_bytes());
    room.put(&remote.port().to_be_bytes());
    octets
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewrite {
    /// Where it came from and to.
    pub(super) before: (SocketAddr, SocketAddr),
    /// Where it goes from and to.
    pub(super) after: (SocketAddr, SocketAddr),
    pub(super) route: Route,
    /// The octet that holds the code point.
    pub(super) traffic_class: u8,
}

impl Rewrite {
    /// `struct stream`.
    pub(super) fn stream(&self, slot: u32) -> [u8; STREAM_BYTES] {
        let Rewrite { before, after, route, traffic_class } = self;
        let family = if route.hop.is_ipv4() { FAMILIES.0 } else { FAMILIES.1 };
        let addresses = [before.0.ip(), before.1.ip(), after.0.ip(), after.1.ip()].map(words);
        let ports = [before.0, before.1, after.0, after.1].map(|at| at.port().to_be_bytes());
        let mut octets = [0; STREAM_BYTES];
        let mut room = Room(&mut octets);
        room.put(&slot.to_ne_bytes());
        room.put(&route.interface.unwrap_or(0).to_ne_bytes());
        room.put(&family.to_ne_bytes());
        room.put(&words(route.hop));
        room.put(&addresses[2]);
        room.put(&addresses[3]);
        room.put(&ports[2]);
        room.put(&ports[3]);
        room.put(&change(&addresses[..2], &addresses[2..]).to_ne_bytes());
        room.put(&change(&ports[..2], &ports[2..]).to_ne_bytes());
        room.put(&[*traffic_class]);
        octets
    }
}

/// Four words; IPv4 has the first.
fn words(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut words = [0; 16];
            words[..4].copy_from_slice(&ip.octets());
            words
        }
    }
}

/// What a checksum over these gains when those stand in their place (RFC 1624 §3): the sum of what came and of the complements of what
/// went, each word as it lies in memory.
fn change<const N: usize>(before: &[[u8; N]], after: &[[u8; N]]) -> u32 {
    let sum = |octets: &[[u8; N]], complement: u16| -> u32 {
        let pairs = octets.iter().flat_map(|octets| octets.chunks_exact(2));
        pairs.map(|pair| u32::from(u16::from_ne_bytes([pair[0], pair[1]]) ^ complement)).sum()
    };
    let mut change = sum(before, u16::MAX) + sum(after, 0);
    while change > u32::from(u16::MAX) {
        change = (change & 0xffff) + (change >> 16);
    }
    change
}

/// `struct counts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) packets: u64,
    pub(super) octets: u64,
    pub(super) arrived_ns: u64,
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    /// Sixteen times the jitter.
    pub(super) jitter: u32,
    pub(super) rate_hz: u32,
    pub(super) sequence: u16,
    pub(super) payload_type: u8,
    /// 0: jitter was not measured yet.
    pub(super) measured_ns: u64,
}

impl Counts {
    pub(super) fn write(&self) -> [u8; COUNTS_BYTES] {
        let mut octets = [0; COUNTS_BYTES];
        let mut room = Room(&mut octets);
        for word in [self.packets, self.octets, self.arrived_ns] {
            room.put(&word.to_ne_bytes());
        }
        let (sequence, payload_type) = (u32::from(self.sequence), u32::from(self.payload_type));
        for word in [self.ssrc, self.timestamp, self.jitter, self.rate_hz, sequence, payload_type] {
            room.put(&word.to_ne_bytes());
        }
        room.put(&self.measured_ns.to_ne_bytes());
        octets
    }

    pub(super) fn read(octets: &[u8; COUNTS_BYTES]) -> Counts {
        let long = |at: usize| u64::from_ne_bytes(std::array::from_fn(|n| octets[at + n]));
        let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|n| octets[at + n]));
        Counts {
            packets: long(0),
            octets: long(8),
            arrived_ns: long(16),
            ssrc: word(24),
            timestamp: word(28),
            jitter: word(32),
            rate_hz: word(36),
            sequence: word(40) as u16,    // the program writes no more
            payload_type: word(44) as u8, // it is ours
            measured_ns: long(48),
        }
    }
}

/// What is left of a structure to be written.
struct Room<'a>(&'a mut [u8]);

impl Room<'_> {
    fn put(&mut self, octets: &[u8]) {
        if let Some((room, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(octets.len()) {
            room.copy_from_slice(octets);
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// RFC 1071 over words as they lie in memory.
    fn checksum(octets: &[u8]) -> u16 {
        let pairs = octets.chunks_exact(2).map(|pair| u32::from(u16::from_ne_bytes([pair[0], pair[1]])));
        let mut sum: u32 = pairs.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn changed(checksum: u16, change: u32) -> u16 {
        let mut sum = u32::from(!checksum) + change;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn is_same(a: u16, b: u16) -> bool {
        // The two zeros of one's complement.
        a == b || [a, b].iter().all(|sum| *sum == 0 || *sum == 0xffff)
    }

    #[test]
    fn structures_are_as_long_as_those_of_the_program() {
        let source = include_str!("relay.bpf.c");
        let bytes_of = |name: &str| -> usize {
            let body = source.split_once(&format!("struct {name} {{")).unwrap().1.split_once("};").unwrap().0;
            let fields = body.lines().filter_map(|line| line.trim().split_once(';')).map(|(field, _)| field);
            let bytes = fields.map(|field| {
                let (kind, name) = field.rsplit_once(' ').unwrap();
                let count = name.split_once('[').map_or(1, |(_, n)| n.trim_end_matches(']').parse().unwrap());
                count
                    * match kind {
                        "__u64" => 8,
                        "__u32" => 4,
                        "__be16" => 2,
                        "__u8" => 1,
                        other => panic!("{other}"),
                    }
            });
            bytes.sum()
        };
        assert_eq!(
            (bytes_of("key"), bytes_of("stream"), bytes_of("counts")),
            (KEY_BYTES, STREAM_BYTES, COUNTS_BYTES)
        );
    }

    #[test]
    fn the_object_is_made_of_the_source_beside_it() {
        use sha2::Digest;
        let sums = [&include_bytes!("relay.bpf.c")[..], &include_bytes!("relay.bpf.o")[..]].map(|octets| {
            sha2::Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect::<String>()
        });
        let noted: Vec<&str> =
            include_str!("relay.bpf.sum").lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(sums.to_vec(), noted, "run src/net/media/fast/build and commit what it makes");
    }

    #[test]
    fn the_program_holds_as_many_streams_as_we_hand_out() {
        let wanted = format!("#define STREAMS_MAX {}\n", super::super::STREAMS_MAX);
        assert!(include_str!("relay.bpf.c").contains(&wanted));
    }

    #[test]
    fn addresses_of_ipv4_are_looked_for_as_mapped_ones() {
        let key = key("192.0.2.1:4000".parse().unwrap(), "198.51.100.7:5002".parse().unwrap());
        assert_eq!(key[..16], Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets());
        assert_eq!(key[16..32], Ipv4Addr::new(198, 51, 100, 7).to_ipv6_mapped().octets());
        assert_eq!(key[32..], [0x0f, 0xa0, 0x13, 0x8a]);
    }

    prop_compose! {
        fn socket(six: bool)(ip: u128, port: u16) -> SocketAddr {
            let ip = if six { IpAddr::V6(Ipv6Addr::from(ip)) } else { IpAddr::V4(Ipv4Addr::from(ip as u32)) };
            SocketAddr::new(ip, port)
        }
    }

    proptest! {
        #[test]
        fn counts_come_back_as_they_were_written(
            longs: [u64; 4], words: [u32; 4], sequence: u16, payload_type: u8,
        ) {
            let [packets, octets, arrived_ns, measured_ns] = longs;
            let [ssrc, timestamp, jitter, rate_hz] = words;
            let counts =
                Counts { packets, octets, arrived_ns, ssrc, timestamp, jitter, rate_hz, sequence, payload_type, measured_ns };
            prop_assert_eq!(Counts::read(&counts.write()), counts);
        }

        #[test]
        fn a_checksum_that_is_changed_is_that_of_the_new_packet(
            sockets in any::<bool>().prop_flat_map(|six| proptest::array::uniform4(socket(six))),
            rest: [u8; 20],
        ) {
            let [from, to, new_from, new_to] = sockets;
            let covered = |from: SocketAddr, to: SocketAddr| {
                let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
                [&words(from.ip())[..], &words(to.ip()), &ports, &rest].concat()
            };
            let route = Route { interface: Some(7), hop: new_to.ip() };
            let rewrite = Rewrite { before: (from, to), after: (new_from, new_to), route, traffic_class: 184 };
            let stream = rewrite.stream(3);
            let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|n| stream[at + n]));
            let before = checksum(&covered(from, to));
            let after = changed(changed(before, word(64)), word(68));
            prop_assert!(is_same(after, checksum(&covered(new_from, new_to))));
            prop_assert_eq!((word(0), word(4), stream[72]), (3, 7, 184));
        }
    }
}
