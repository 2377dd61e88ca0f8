//! URIs that reach one phone of a person from anywhere (RFC 5627). A public one is the address of record with the instance
//! in it; a temporary one tells nobody whose it is.
//!
//! A temporary GRUU needs no table: its user part holds, encrypted and signed, where the contact stands and what it is bound to
//! (RFC 5627 Appendix A.2, with HMAC-SHA-256 for both the stream that encrypts and the signature, under keys of their own). No
//! two are alike, and none tells that it belongs with another. It ends with the registration, when the phone registers by another
//! Call-ID, and when the daemon is started anew: its key is made then.

use crate::ids::Ids;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use std::fmt::Write as _;
use subtle::ConstantTimeEq;

/// What the user part of a temporary GRUU begins with.
pub const PREFIX: &str = "tgruu-";
/// Bytes of the number that makes each one another: 2^96 of them never meet by chance.
const NONCE_BYTES: usize = 12;
/// A slot and an epoch.
const HELD_BYTES: usize = 4 + 8;
/// The signature is cut to this many bytes.
const MAC_BYTES: usize = 12;
const TOKEN_BYTES: usize = NONCE_BYTES + HELD_BYTES + MAC_BYTES;

/// What a temporary GRUU holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// See [`super::Location::slot`].
    pub slot: u32,
    /// See [`super::extensions::Extensions::epoch`].
    pub epoch: u64,
}

pub struct Gruus {
    hide: Hmac<Sha256>,
    sign: Hmac<Sha256>,
}

impl Gruus {
    #[must_use]
    pub fn new(ids: &Ids) -> Gruus {
        // HMAC takes a key of any length (RFC 2104 §2), so the fallback is never used.
        let keyed = |purpose| {
            Hmac::new_from_slice(&ids.key(purpose)).unwrap_or_else(|_| Hmac::new(&Default::default()))
        };
        Gruus { hide: keyed("gruu hide"), sign: keyed("gruu sign") }
    }

    /// The user part of a new temporary GRUU.
    #[must_use]
    pub fn temporary(&self, ids: &mut Ids, held: Held) -> String {
        let mut token = [0; TOKEN_BYTES];
        let (nonce, rest) = token.split_at_mut(NONCE_BYTES);
        let random = ids.word().to_be_bytes().into_iter().chain(ids.word().to_be_bytes());
        nonce.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
        let plain = held.slot.to_be_bytes().into_iter().chain(held.epoch.to_be_bytes());
        let stream = mac(&self.hide, nonce);
        let (cipher, mac_place) = rest.split_at_mut(HELD_BYTES);
        for ((byte, plain), stream) in cipher.iter_mut().zip(plain).zip(stream) {
            *byte = plain ^ stream;
        }
        let mut signed = [0; NONCE_BYTES + HELD_BYTES];
        signed.iter_mut().zip(nonce.iter().chain(cipher.iter())).for_each(|(to, byte)| *to = *byte);
        mac_place.iter_mut().zip(mac(&self.sign, &signed)).for_each(|(byte, mac)| *byte = mac);
        let mut user = String::with_capacity(PREFIX.len() + 2 * TOKEN_BYTES);
        user.push_str(PREFIX);
        for byte in token {
            let _ = write!(user, "{byte:02x}"); // writing to a String can't fail
        }
        user
    }

    /// What it holds; `None` where it is none of ours.
    #[must_use]
    pub fn open(&self, user: &str) -> Option<Held> {
        let hex = user.strip_prefix(PREFIX)?.as_bytes();
        if hex.len() != 2 * TOKEN_BYTES {
            return None;
        }
        let mut token = [0; TOKEN_BYTES];
        for (byte, pair) in token.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        let (signed, given) = token.split_at(NONCE_BYTES + HELD_BYTES);
        let expected = mac(&self.sign, signed);
        if !bool::from(expected.get(..MAC_BYTES)?.ct_eq(given)) {
            return None;
        }
        let (nonce, cipher) = signed.split_at(NONCE_BYTES);
        let mut plain = [0; HELD_BYTES];
        for ((plain, byte), stream) in plain.iter_mut().zip(cipher).zip(mac(&self.hide, nonce)) {
            *plain = byte ^ stream;
        }
        let (slot, epoch) = plain.split_first_chunk::<4>()?;
        Some(Held { slot: u32::from_be_bytes(*slot), epoch: u64::from_be_bytes(epoch.try_into().ok()?) })
    }
}

fn mac(key: &Hmac<Sha256>, bytes: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// The value of `gr` in a public GRUU (RFC 5627 §3.1): the instance without its brackets, where that can stand in a URI.
#[must_use]
pub fn public(instance: &str) -> Option<&str> {
    let urn = instance.strip_prefix('<')?.strip_suffix('>')?;
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'():/+$".contains(&byte);
    (!urn.is_empty() && urn.bytes().all(may_stand)).then_some(urn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_two_temporary_gruus_are_alike_and_each_opens_to_what_it_holds() {
        let mut ids = Ids::new([1; 32], 0);
        let gruus = Gruus::new(&ids);
        let held = Held { slot: 7, epoch: 0x0123_4567_89ab_cdef };
        let (one, two) = (gruus.temporary(&mut ids, held), gruus.temporary(&mut ids, held));
        assert_ne!(one, two);
        assert_eq!((gruus.open(&one), gruus.open(&two)), (Some(held), Some(held)));
        let same = one.bytes().zip(two.bytes()).skip(PREFIX.len()).filter(|(a, b)| a == b).count();
        assert!(same < 20, "{same} of {} characters are the same", 2 * TOKEN_BYTES);
    }

    #[test]
    fn nobody_else_makes_one() {
        let mut ids = Ids::new([1; 32], 0);
        let (ours, theirs) = (Gruus::new(&ids), Gruus::new(&Ids::new([2; 32], 0)));
        let made = theirs.temporary(&mut ids, Held { slot: 7, epoch: 1 });
        assert_eq!(ours.open(&made), None);
        let mut changed = ours.temporary(&mut ids, Held { slot: 7, epoch: 1 }).into_bytes();
        changed[PREFIX.len() + 30] ^= 1;
        assert_eq!(ours.open(std::str::from_utf8(&changed).unwrap()), None);
    }

    #[test]
    fn an_instance_that_can_not_stand_in_a_uri_has_no_public_gruu() {
        assert_eq!(public("<urn:uuid:f81d4fae>"), Some("urn:uuid:f81d4fae"));
        for instance in ["urn:uuid:1", "<>", "<a;b>", "<a b>", "<a>b>"] {
            assert_eq!(public(instance), None, "{instance}");
        }
    }

    proptest! {
        #[test]
        fn what_is_held_is_read_back(slot: u32, epoch: u64, seed: [u8; 32]) {
            let mut ids = Ids::new(seed, 0);
            let gruus = Gruus::new(&ids);
            let user = gruus.temporary(&mut ids, Held { slot, epoch });
            prop_assert_eq!(gruus.open(&user), Some(Held { slot, epoch }));
        }

        #[test]
        fn any_user_part_is_judged_without_a_panic(user in ".*", hex in "tgruu-[0-9a-f]{72}") {
            let gruus = Gruus::new(&Ids::new([1; 32], 0));
            prop_assert_eq!(gruus.open(&user), None);
            prop_assert_eq!(gruus.open(&hex), None);
        }
    }
}
