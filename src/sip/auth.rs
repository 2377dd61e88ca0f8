//! Challenges and credentials of the digest scheme (RFC 7616, RFC 8760): the header fields and the computation.

/// The digest algorithms offered and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    Md5,
    Sha256,
}

/// The credentials of an Authorization or Proxy-Authorization field, borrowed from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    pub username: std::borrow::Cow<'a, str>,
    pub realm: &'a str,
    pub nonce: &'a str,
    pub uri: &'a str,
    pub response: &'a str,
    pub algorithm: Option<&'a str>,
    pub cnonce: Option<&'a str>,
    pub qop: Option<&'a str>,
    pub nc: Option<u32>,
    pub opaque: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    /// `None` where the scheme is not Digest or a required field is missing.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Credentials<'a>> {
        let _ = value;
        todo!()
    }
}

/// `H(user ":" realm ":" password)` as lower-case hex (RFC 7616 §3.4.2).
#[must_use]
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> String {
    let _ = (algorithm, user, realm, password);
    todo!()
}

/// The response that the credentials must carry for this method and HA1 (RFC 7616 §3.4.1), as lower-case hex.
#[must_use]
pub fn response(algorithm: Algorithm, ha1: &str, method: &str, credentials: &Credentials<'_>) -> String {
    let _ = (algorithm, ha1, method, credentials);
    todo!()
}
