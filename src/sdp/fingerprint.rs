//! `a=fingerprint` and `a=setup` (RFC 8122, RFC 4145, RFC 8842): which certificate a DTLS handshake is to show, and who begins it.

use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// The hash of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    hash: Hash,
    octets: Vec<u8>,
}

/// RFC 8122 §5 has older ones, which prove nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const ALL: [(&'static str, Hash, usize); 3] =
        [("sha-256", Hash::Sha256, 32), ("sha-384", Hash::Sha384, 48), ("sha-512", Hash::Sha512, 64)];

    fn of(self, certificate: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(certificate).to_vec(),
            Hash::Sha384 => Sha384::digest(certificate).to_vec(),
            Hash::Sha512 => Sha512::digest(certificate).to_vec(),
        }
    }
}

impl Fingerprint {
    /// Of a certificate of ours, in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Fingerprint {
        Fingerprint { hash: Hash::Sha256, octets: Hash::Sha256.of(certificate) }
    }

    /// What follows `a=fingerprint:`. `None`: it can't be read, or is of a hash that we don't take.
    pub(super) fn parse(value: &[u8]) -> Option<Fingerprint> {
        let (name, octets) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let (_, hash, length) = Hash::ALL.into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        let octet = |text: &str| {
            let sound = text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
            u8::from_str_radix(text, 16).ok().filter(|_| sound)
        };
        let octets: Vec<u8> = octets.trim().split(':').map(octet).collect::<Option<_>>()?;
        (octets.len() == length).then_some(Fingerprint { hash, octets })
    }

    /// Whether this is the certificate, in DER, that it is of.
    #[must_use]
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        bool::from(self.hash.of(certificate).ct_eq(&self.octets))
    }

    /// How much it proves: of several, the longest is looked at (RFC 8122 §5).
    pub(super) fn strength(&self) -> usize {
        self.octets.len()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Hash::ALL.iter().find(|(_, hash, _)| *hash == self.hash).map_or("", |(name, ..)| name);
        f.write_str(name)?;
        for (octet, between) in self.octets.iter().zip([" "].into_iter().chain(std::iter::repeat(":"))) {
            write!(f, "{between}{octet:02X}")?;
        }
        Ok(())
    }
}

/// Who begins the handshake (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Active,
    Passive,
    /// Whoever answers chooses.
    ActPass,
}

impl Setup {
    /// `None` for `holdconn`, too: nothing could be agreed with it.
    pub(super) fn parse(value: &[u8]) -> Option<Setup> {
        match value {
            b"active" => Some(Setup::Active),
            b"passive" => Some(Setup::Passive),
            b"actpass" => Some(Setup::ActPass),
            _ => None,
        }
    }
}

/// Who we are in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We begin it.
    Client,
    Server,
}

impl Role {
    /// As `a=setup` says it.
    pub(super) fn setup(self) -> &'static str {
        match self {
            Role::Client => "active",
            Role::Server => "passive",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fingerprint_is_of_one_certificate() {
        let fingerprint = Fingerprint::of(b"a certificate");
        assert!(fingerprint.is_of(b"a certificate") && !fingerprint.is_of(b"another"));
        assert!(fingerprint.to_string().starts_with("sha-256 "));
        let longer = Fingerprint { hash: Hash::Sha512, octets: Hash::Sha512.of(b"a certificate") };
        assert!(longer.is_of(b"a certificate") && longer.strength() > fingerprint.strength());
    }

    #[test]
    fn what_proves_nothing_or_can_not_be_read_is_refused() {
        let sound = Fingerprint::of(b"x").to_string();
        let octets = sound.strip_prefix("sha-256 ").unwrap();
        for value in [
            format!("sha-1 {}", &octets[..59]),
            format!("md5 {}", &octets[..47]),
            format!("sha-512 {octets}"),
            format!("sha-256 {}", &octets[3..]),
            octets.to_owned(),
            sound.replace(':', ""),
            "sha-256 ".to_owned(),
            "sha-256".to_owned(),
        ] {
            assert!(Fingerprint::parse(value.as_bytes()).is_none(), "{value}");
        }
        assert!(Fingerprint::parse(sound.to_uppercase().as_bytes()).is_some());
        assert!(Fingerprint::parse(sound.to_lowercase().as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(certificate in proptest::collection::vec(any::<u8>(), 0..40)) {
            let fingerprint = Fingerprint::of(&certificate);
            prop_assert_eq!(Fingerprint::parse(fingerprint.to_string().as_bytes()), Some(fingerprint));
        }
    }
}
