//! Guarding with digest (RFC 7616, RFC 8760): nonces without state until a credential verifies, then a bounded table of
//! the highest `nc` of each (account, nonce).
//!
//! Whether a user exists can't be told from the verdict, nor from the work: a missing user's credentials are computed
//! against an HA1 that nobody has.
//!
//! Whether a secret is right can be told by nobody who has not answered a challenge that was sent to the address that they send from: other
//! nonces are stale, whatever comes with them. So each guess is one that can be counted, and against whoever made it.

use super::binding::DeviceKey;
use super::nonce::{Counts, Nonces};
use crate::clock::Now;
use crate::sip::auth::{self, Algorithm, Credentials};
use crate::sip::{Message, Name, Uri};
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What the rules keep of a secret: HA1 by algorithm, for the realm of its domain (either may be absent). As good as the password, so
/// it is never shown, and overwritten when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ha1 {
    pub md5: Option<Zeroizing<String>>,
    pub sha256: Option<Zeroizing<String>>,
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(***)")
    }
}

impl Ha1 {
    fn of(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Md5 => self.md5.as_ref().map(|ha1| ha1.as_str()),
            Algorithm::Sha256 => self.sha256.as_ref().map(|ha1| ha1.as_str()),
        }
    }
}

/// In the place of an HA1 that there is none of: as long as one.
fn no_ha1(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "00000000000000000000000000000000",
        Algorithm::Sha256 => "0000000000000000000000000000000000000000000000000000000000000000",
    }
}

/// Whose credentials they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    Device(DeviceKey),
    /// `trunk.auth`: of calls that come in by it.
    Trunk {
        domain: Arc<str>,
        trunk: Arc<str>,
    },
}

/// What came of looking at a request's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The secret is known and the nonce count is new.
    Verified(Account),
    /// None for this realm, or none with an algorithm that we offer: challenge.
    Missing,
    /// A nonce that is too old, or not ours for that address (as after a restart), whatever the secret; or the right one, and its count is used:
    /// challenge with `stale=true` (RFC 7616 §3.3).
    Stale,
    /// Wrong user or wrong secret (never said which), in answer to a challenge of ours to that address: challenge again, and count it.
    Wrong,
    /// Malformed, or for another URI: 400.
    Malformed,
}

/// Makes and judges challenges. The key signs nonces: random at start (the caller passes it).
pub struct Digest {
    algorithms: Vec<Algorithm>,
    nonces: Nonces,
    counts: Counts,
}

impl Digest {
    #[must_use]
    pub fn new(key: [u8; 32], algorithms: Vec<Algorithm>) -> Digest {
        Digest { algorithms, nonces: Nonces::new(&key), counts: Counts::default() }
    }

    /// The values of the WWW-Authenticate (or Proxy-Authenticate) fields, one an algorithm in the configured order, each with
    /// a nonce that no other challenge has and that is good for this source alone.
    #[must_use]
    pub fn challenge(&mut self, now: Now, realm: &str, source: IpAddr, stale: bool) -> Vec<String> {
        let now_s = now.wall.as_second();
        let nonces = &mut self.nonces;
        let fields = self.algorithms.iter().map(|algorithm| {
            let nonce = nonces.make(now_s, realm, source);
            let mut value = String::with_capacity(160);
            value.push_str("Digest realm=\"");
            for c in realm.chars() {
                // RFC 3261 §25.1: a quoted string.
                if matches!(c, '"' | '\\') {
                    value.push('\\');
                }
                value.push(c);
            }
            // Writing to a String doesn't fail.
            let _ = write!(value, "\", nonce=\"{nonce}\", algorithm={}, qop=\"auth\"", algorithm.word());
            if stale {
                value.push_str(", stale=true");
            }
            value
        });
        fields.collect()
    }

    /// Judges the credentials of a request for `realm` that came from this source. `secret` looks a user name up: whose it is, and their HA1.
    /// Digest-uri is held against the Request-URI loosely (the same user and host), as phones and proxies differ.
    pub fn verify(
        &mut self,
        now: Now,
        realm: &str,
        source: IpAddr,
        request: &Message,
        secret: &dyn Fn(&str) -> Option<(Account, Ha1)>,
    ) -> Verdict {
        let (algorithm, credentials) = match self.find(realm, request) {
            Ok(found) => found,
            Err(verdict) => return verdict,
        };
        // RFC 7616 §3.4: auth-int isn't offered. Without qop the client is one of RFC 2069.
        if credentials.qop.is_some_and(|qop| !qop.eq_ignore_ascii_case("auth")) {
            return Verdict::Malformed;
        }
        if !same_resource(credentials.uri, request.request_uri()) {
            return Verdict::Malformed;
        }
        let now_s = now.wall.as_second();
        let nonce = self.nonces.read(credentials.nonce, realm, source);
        let Some(nonce) = nonce.filter(|nonce| nonce.is_fresh(now_s)) else { return Verdict::Stale };
        let known = secret(&credentials.username);
        let ha1 = known.as_ref().and_then(|(_, ha1)| ha1.of(algorithm));
        let expected =
            auth::response(algorithm, ha1.unwrap_or(no_ha1(algorithm)), request.method_text(), &credentials);
        let equal = bool::from(expected.as_bytes().ct_eq(credentials.response.as_bytes()));
        let (Some((account, _)), Some(_), true) = (&known, ha1, equal) else { return Verdict::Wrong };
        let nc = credentials.qop.and(credentials.nc);
        if self.counts.take(now_s, account, nonce, nc) {
            Verdict::Verified(account.clone())
        } else {
            Verdict::Stale
        }
    }

    /// The first credentials for the realm with an algorithm that we offer.
    fn find<'a>(&self, realm: &str, request: &'a Message) -> Result<(Algorithm, Credentials<'a>), Verdict> {
        let fields = request.values(Name::Authorization).chain(request.values(Name::ProxyAuthorization));
        let mut verdict = Verdict::Missing;
        for value in fields {
            let Some(credentials) = Credentials::parse(value) else {
                if value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest")) {
                    verdict = Verdict::Malformed;
                }
                continue;
            };
            // RFC 7616 §3.4: MD5 where none is named.
            let algorithm = credentials.algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse);
            if let Some(algorithm) = algorithm.filter(|algorithm| self.algorithms.contains(algorithm))
                && unescaped_is(credentials.realm, realm)
            {
                return Ok((algorithm, credentials));
            }
        }
        Err(verdict)
    }
}

/// Whether a quoted text, its escapes still in it, says `text`.
fn unescaped_is(quoted: &str, text: &str) -> bool {
    let mut escaped = false;
    let said = quoted.chars().filter(|c| {
        escaped = *c == '\\' && !escaped;
        !escaped
    });
    said.eq(text.chars())
}

/// The same host, and the same user where both name one: phones and proxies differ in ports, parameters and the user of
/// a REGISTER.
fn same_resource(digest_uri: &str, request_uri: &str) -> bool {
    let (Some(digest), Some(request)) = (Uri::parse(digest_uri), Uri::parse(request_uri)) else {
        return false;
    };
    digest.host.eq_ignore_ascii_case(request.host)
        && (digest.user.is_empty()
            || request.user.is_empty()
            || digest.user_unescaped() == request.user_unescaped())
}

#[cfg(test)]
mod tests;
