//! Master keys, and the suites that they are for (RFC 4568 §6.2, RFC 7714 §14.2).
//!
//! Invariant: a key is never shown, and is overwritten when it is dropped.

use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// How packets are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    AeadAes256Gcm,
    AeadAes128Gcm,
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
}

/// Octets of the longest master key with its salt: AES-256-GCM.
const MASTER_BYTES_MAX: usize = 32 + 12;

impl Suite {
    /// What we take, in the order in which we offer it: what every phone has stands first, since some look at the first alone.
    pub const ALL: [Suite; 4] =
        [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32, Suite::AeadAes256Gcm, Suite::AeadAes128Gcm];

    /// As SDP names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    #[must_use]
    pub fn of_name(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Octets of the master key.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            Suite::AeadAes256Gcm => 32,
            Suite::AeadAes128Gcm | Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Octets of the master salt.
    #[must_use]
    pub fn salt_bytes(self) -> usize {
        match self {
            Suite::AeadAes256Gcm | Suite::AeadAes128Gcm => 12,
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 14,
        }
    }
}

/// A master key and its salt, for one suite and one direction.
#[derive(Clone)]
pub struct Master {
    suite: Suite,
    /// The key, and after it the salt.
    octets: [u8; MASTER_BYTES_MAX],
}

impl Master {
    /// From a key with its salt after it; `None` where they are not as long as the suite has them.
    #[must_use]
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Master> {
        let length = suite.key_bytes() + suite.salt_bytes();
        let mut octets = [0; MASTER_BYTES_MAX];
        octets.get_mut(..length).filter(|_| key_and_salt.len() == length)?.copy_from_slice(key_and_salt);
        Some(Master { suite, octets })
    }

    /// The key of that suite and number which follows from a secret of ours, whoever knows neither it nor the secret.
    #[must_use]
    pub fn derive(suite: Suite, secret: &[u8; 32], number: u32) -> Master {
        use sha2::{Digest as _, Sha256};
        let mut octets = [0; MASTER_BYTES_MAX];
        for (block, part) in (0_u8..).zip(octets.chunks_mut(32)) {
            let hash = Sha256::new()
                .chain_update(secret)
                .chain_update(suite.name())
                .chain_update([block])
                .chain_update(number.to_be_bytes())
                .finalize();
            let hash: Zeroizing<[u8; 32]> = Zeroizing::new(hash.into());
            part.copy_from_slice(hash.get(..part.len()).unwrap_or_default());
        }
        if let Some(rest) = octets.get_mut(suite.key_bytes() + suite.salt_bytes()..) {
            rest.fill(0);
        }
        Master { suite, octets }
    }

    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key with its salt after it, as SDP has them.
    #[must_use]
    pub fn key_and_salt(&self) -> &[u8] {
        self.octets.get(..self.suite.key_bytes() + self.suite.salt_bytes()).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &[u8] {
        self.octets.get(..self.suite.key_bytes()).unwrap_or_default()
    }

    pub(super) fn salt(&self) -> &[u8] {
        self.key_and_salt().get(self.suite.key_bytes()..).unwrap_or_default()
    }
}

impl PartialEq for Master {
    fn eq(&self, other: &Master) -> bool {
        self.suite == other.suite && bool::from(self.octets.ct_eq(&other.octets))
    }
}

impl Eq for Master {}

impl Drop for Master {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Master({})", self.suite.name())
    }
}

/// The keys of one party's stream: what it protects with, and what we protect with towards it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub theirs: Master,
    pub ours: Master,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let master = Master::new(Suite::AesCm128HmacSha1_80, &[0xab; 30]).unwrap();
        let keys = Keys { ours: master.clone(), theirs: master };
        let shown = format!("{keys:?} {keys:#?}").to_lowercase();
        assert!(!shown.contains("ab, ") && !shown.contains("171") && !shown.contains("abab"), "{shown}");
    }

    #[test]
    fn a_key_is_as_long_as_its_suite_says() {
        for suite in Suite::ALL {
            let length = suite.key_bytes() + suite.salt_bytes();
            assert!(Master::new(suite, &vec![1; length]).is_some());
            assert!(Master::new(suite, &vec![1; length - 1]).is_none());
            assert!(Master::new(suite, &vec![1; length + 1]).is_none());
            assert_eq!(Suite::of_name(suite.name()), Some(suite));
            assert_eq!(Master::derive(suite, &[7; 32], 0).key_and_salt().len(), length);
        }
    }

    #[test]
    fn keys_that_are_derived_differ_by_secret_and_by_suite() {
        let key = |suite, secret| Master::derive(suite, &[secret; 32], 0);
        assert_eq!(key(Suite::AeadAes128Gcm, 1), key(Suite::AeadAes128Gcm, 1));
        assert_ne!(key(Suite::AeadAes128Gcm, 1), key(Suite::AeadAes128Gcm, 2));
        assert_ne!(key(Suite::AeadAes128Gcm, 1), Master::derive(Suite::AeadAes128Gcm, &[1; 32], 1));
        let (long, short) = (key(Suite::AesCm128HmacSha1_80, 1), key(Suite::AesCm128HmacSha1_32, 1));
        assert_ne!(long.key_and_salt(), short.key_and_salt());
    }
}
