//! How often each source may begin a handshake: one of TLS costs us a signature, and whoever asks next to nothing.
//!
//! Invariant: the table has an end, however many sources come: at the limit the half that was heard of least recently is forgotten.

use super::limits::Limits;
use super::sources::source;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// Sources whose rate is known.
const SOURCES_MAX: usize = 65_536;

/// By source; chosen by strangers, so hashed with a key. Heard of lately, and before.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    young: HashMap<IpAddr, Left>,
    old: HashMap<IpAddr, Left>,
}

#[derive(Clone, Copy, Debug)]
struct Left {
    /// Handshakes that may begin, in thousandths, as of `seen`.
    thousandths: u64,
    seen: Instant,
}

impl Handshakes {
    /// Whether one more from there is within its rate.
    pub(super) fn admits(&mut self, now: Instant, address: IpAddr, limits: &Limits) -> bool {
        let source = source(address);
        if self.young.len() >= SOURCES_MAX / 2 && !self.young.contains_key(&source) {
            self.old = std::mem::take(&mut self.young);
        }
        let full = u64::from(limits.handshakes_at_once_of_source) * 1_000;
        let old = &mut self.old;
        let new = Left { thousandths: full, seen: now };
        let left = self.young.entry(source).or_insert_with(|| old.remove(&source).unwrap_or(new));
        let passed_ms = now.saturating_duration_since(left.seen).as_millis();
        let passed_ms = u64::try_from(passed_ms).unwrap_or(u64::MAX);
        if passed_ms > 0 {
            let gained = passed_ms.saturating_mul(u64::from(limits.handshakes_s_of_source));
            left.thousandths = left.thousandths.saturating_add(gained).min(full);
            left.seen = now;
        }
        let after = left.thousandths.checked_sub(1_000);
        left.thousandths = after.unwrap_or(left.thousandths);
        after.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    #[test]
    fn a_source_has_what_it_may_at_once_and_then_its_rate() {
        let (mut handshakes, now) = (Handshakes::default(), crate::net::clock::mono());
        let limits =
            Limits { handshakes_at_once_of_source: 30, handshakes_s_of_source: 5, ..Limits::default() };
        let mut admitted = |after_s, from: &str| {
            let at = now + Duration::from_secs(after_s);
            (0..100).filter(|_| handshakes.admits(at, from.parse().unwrap(), &limits)).count()
        };
        assert_eq!((admitted(0, "192.0.2.1"), admitted(0, "192.0.2.2")), (30, 30), "each has its own");
        assert_eq!(admitted(1, "192.0.2.1"), 5);
        assert_eq!(admitted(3_600, "192.0.2.1"), 30);
        assert_eq!((admitted(0, "2001:db8::1"), admitted(0, "2001:db8::2")), (30, 0), "a /64 is one source");
    }

    #[test]
    fn the_table_has_an_end() {
        let (mut handshakes, now) = (Handshakes::default(), crate::net::clock::mono());
        for n in 0..200_000_u32 {
            handshakes.admits(now, IpAddr::V4(Ipv4Addr::from_bits(n)), &Limits::default());
        }
        assert!(handshakes.young.len() + handshakes.old.len() <= SOURCES_MAX);
    }
}
