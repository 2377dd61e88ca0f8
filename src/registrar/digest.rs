//! Guarding with digest (RFC 7616, RFC 8760): nonces without state until a credential verifies, then a bounded table of
//! the highest `nc` of each (device, nonce).

use super::binding::DeviceKey;
use crate::clock::Now;
use crate::sip::Message;
use crate::sip::auth::Algorithm;

/// What the rules keep of a secret: HA1 by algorithm, for the realm of its domain (either may be absent).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ha1 {
    pub md5: Option<String>,
    pub sha256: Option<String>,
}

/// What came of looking at a request's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The secret is known and the nonce count is new.
    Verified(DeviceKey),
    /// None for this realm: challenge.
    Missing,
    /// Right secret, nonce too old or its count used: challenge with `stale=true`.
    Stale,
    /// Wrong user or wrong secret (never said which): challenge again, and count it.
    Wrong,
    /// Malformed: 400.
    Malformed,
}

/// Makes and judges challenges. The key signs nonces: random at start (the caller passes it).
pub struct Digest {}

impl Digest {
    #[must_use]
    pub fn new(key: [u8; 32], algorithms: Vec<Algorithm>) -> Digest {
        let _ = (key, algorithms);
        todo!()
    }

    /// The values of the WWW-Authenticate (or Proxy-Authenticate) fields, one an algorithm in the configured order, each with
    /// a nonce that no other challenge has.
    #[must_use]
    pub fn challenge(&mut self, now: Now, realm: &str, stale: bool) -> Vec<String> {
        let _ = (now, realm, stale);
        todo!()
    }

    /// Judges the credentials of a request for `realm`. `secret` looks a user name up: the device and its HA1.
    /// Digest-uri is held against the Request-URI loosely (the same user and host), as phones and proxies differ.
    pub fn verify(
        &mut self,
        now: Now,
        realm: &str,
        request: &Message,
        secret: &dyn Fn(&str) -> Option<(DeviceKey, Ha1)>,
    ) -> Verdict {
        let _ = (now, realm, request, secret);
        todo!()
    }
}
