//! Nonces that need no memory until a credential verifies, and then the counts of those in use.
//!
//! A nonce is `time counter mac` in hexadecimal: seconds of the wall clock, a counter that no two challenges share, and
//! a keyed hash of both, the realm and the address that was challenged, so that nobody else can make one, none is good for another
//! realm, and who uses one receives what is sent to that address. The port is not in it: a NAT may give another.

use crate::registrar::digest::Account;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// How long after its challenge a nonce may be used.
pub const NONCE_LIFETIME_S: i64 = 300;
/// Pairs of device and nonce whose counts are kept. At the limit the oldest nonce goes, and with it every nonce that is
/// older: they count as stale from then on, so forgetting a count never lets a request be replayed.
pub const COUNTS_MAX: usize = 131_072;

/// The hash is cut to this many bytes.
const MAC_BYTES: usize = 16;
/// Two numbers of 8 bytes and the hash, in hexadecimal.
const NONCE_CHARS: usize = 2 * (8 + 8 + MAC_BYTES);

/// A nonce that we made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce {
    /// Seconds since 1970.
    made_s: i64,
    counter: u64,
}

impl Nonce {
    pub(super) fn is_fresh(self, now_s: i64) -> bool {
        // One from the future was made before the wall clock was set back.
        (0..=NONCE_LIFETIME_S).contains(&now_s.saturating_sub(self.made_s))
    }
}

/// Makes nonces and knows them again.
pub(super) struct Nonces {
    mac: Hmac<Sha256>,
    last_counter: u64,
}

impl Nonces {
    pub(super) fn new(key: &[u8; 32]) -> Nonces {
        // HMAC takes a key of any length (RFC 2104 §2), so the fallback is never used.
        let mac = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Nonces { mac, last_counter: 0 }
    }

    pub(super) fn make(&mut self, now_s: i64, realm: &str, source: IpAddr) -> String {
        self.last_counter += 1;
        let nonce = Nonce { made_s: now_s, counter: self.last_counter };
        let mut text = String::with_capacity(NONCE_CHARS);
        let mac = u128::from_be_bytes(self.sign(nonce, realm, source));
        // Writing to a String doesn't fail.
        let _ = write!(text, "{:016x}{:016x}{mac:032x}", nonce.made_s, nonce.counter);
        text
    }

    /// `None` where we didn't make it, or for another realm or address.
    pub(super) fn read(&self, text: &str, realm: &str, source: IpAddr) -> Option<Nonce> {
        if text.len() != NONCE_CHARS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let made_s = u64::from_str_radix(text.get(..16)?, 16).ok()?.cast_signed();
        let counter = u64::from_str_radix(text.get(16..32)?, 16).ok()?;
        let given = u128::from_str_radix(text.get(32..)?, 16).ok()?.to_be_bytes();
        let nonce = Nonce { made_s, counter };
        bool::from(given.ct_eq(&self.sign(nonce, realm, source))).then_some(nonce)
    }

    fn sign(&self, nonce: Nonce, realm: &str, source: IpAddr) -> [u8; MAC_BYTES] {
        let mut mac = self.mac.clone();
        mac.update(&nonce.made_s.to_be_bytes());
        mac.update(&nonce.counter.to_be_bytes());
        let source = match source.to_canonical() {
            IpAddr::V4(source) => source.to_ipv6_mapped(),
            IpAddr::V6(source) => source,
        };
        mac.update(&source.octets());
        mac.update(realm.as_bytes());
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut cut = [0; MAC_BYTES];
        cut.iter_mut().zip(whole).for_each(|(cut, byte)| *cut = byte);
        cut
    }
}

/// The highest `nc` of each nonce in use by each account.
#[derive(Default)]
pub(super) struct Counts {
    /// In the order in which the nonces were made.
    highest: BTreeMap<(u64, Account), Count>,
    /// Nonces up to this counter were forgotten.
    forgotten: u64,
}

#[derive(Clone, Copy)]
struct Count {
    highest: u32,
    made_s: i64,
}

impl Counts {
    /// Whether `nc` is new for this account and nonce; then it is used up. A request without a count uses the nonce up.
    pub(super) fn take(&mut self, now_s: i64, account: &Account, nonce: Nonce, nc: Option<u32>) -> bool {
        self.forget_expired(now_s);
        if nonce.counter <= self.forgotten {
            return false;
        }
        let nc = nc.unwrap_or(u32::MAX);
        let key = (nonce.counter, account.clone());
        let count = self.highest.entry(key).or_insert(Count { highest: 0, made_s: nonce.made_s });
        let new = nc > count.highest;
        if new {
            count.highest = nc;
        }
        while self.highest.len() > COUNTS_MAX {
            self.forget_first();
        }
        new
    }

    fn forget_expired(&mut self, now_s: i64) {
        // Two at a time: more than the one that each call adds, and a burst doesn't stall a call.
        for _ in 0..2 {
            match self.highest.first_key_value() {
                Some((_, count)) if now_s.saturating_sub(count.made_s) > NONCE_LIFETIME_S => {
                    self.forget_first()
                }
                Some(_) | None => return,
            }
        }
    }

    fn forget_first(&mut self) {
        if let Some(((counter, _), _)) = self.highest.pop_first() {
            self.forgotten = self.forgotten.max(counter);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.highest.len()
    }
}
