//! Challenges and credentials of the digest scheme (RFC 7616, RFC 8760): the header fields and the computation.
//! Nonces, their age and their counts are the registrar's.

use super::params::{BLANK, Elements, after_blanks, before_blanks, unescaped};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// The digest algorithms offered and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// By its word, without case; `None` for `-sess` variants and others, which we don't offer.
    #[must_use]
    pub fn parse(word: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Sha256].into_iter().find(|a| a.word().eq_ignore_ascii_case(word))
    }

    /// The word of the `algorithm` parameter (RFC 8760 §2.1).
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// Of the parts with colons between them, as lower-case hex. They are never put together: one may be a password.
    fn hex(self, parts: &[&str]) -> String {
        match self {
            Algorithm::Md5 => hex(&digest_of::<Md5>(parts)),
            Algorithm::Sha256 => hex(&digest_of::<Sha256>(parts)),
        }
    }
}

fn digest_of<D: Digest>(parts: &[&str]) -> sha2::digest::Output<D> {
    let mut hasher = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(b":");
        }
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

/// The credentials of an Authorization or Proxy-Authorization field, borrowed from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    pub username: Cow<'a, str>,
    /// As written between its quotes; so are the others.
    pub realm: &'a str,
    pub nonce: &'a str,
    pub uri: &'a str,
    pub response: &'a str,
    pub algorithm: Option<&'a str>,
    pub cnonce: Option<&'a str>,
    pub qop: Option<&'a str>,
    pub nc: Option<u32>,
    /// The nonce count as written: what the response was computed over.
    pub nc_text: &'a str,
    pub opaque: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    /// `None` where the scheme is not Digest, a required field is missing, one is given twice, `nc` is no hexadecimal
    /// number, or `qop` comes without `nc` and `cnonce` (RFC 7616 §3.4). Unknown parameters are passed over.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Credentials<'a>> {
        let (scheme, rest) = after_blanks(value).split_once(BLANK)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let (mut username, mut realm, mut nonce, mut uri, mut response) = (None, None, None, None, None);
        let (mut algorithm, mut cnonce, mut qop, mut nc, mut opaque) = (None, None, None, None, None);
        for element in Elements::new(rest) {
            let (name, value) = element.split_once('=')?;
            let value = unquoted(after_blanks(value))?;
            let slot = match before_blanks(name).to_ascii_lowercase().as_str() {
                "username" => &mut username,
                "realm" => &mut realm,
                "nonce" => &mut nonce,
                "uri" => &mut uri,
                "response" => &mut response,
                "algorithm" => &mut algorithm,
                "cnonce" => &mut cnonce,
                "qop" => &mut qop,
                "nc" => &mut nc,
                "opaque" => &mut opaque,
                _ => continue,
            };
            // Two readers that take different ones could be played against each other.
            if slot.replace(value).is_some() {
                return None;
            }
        }
        if qop.is_some() && (nc.is_none() || cnonce.is_none()) {
            return None;
        }
        let nc_text = nc.unwrap_or("");
        Some(Credentials {
            username: unescaped(username?),
            realm: realm?,
            nonce: nonce?,
            uri: uri?,
            response: response?,
            algorithm,
            cnonce,
            qop,
            nc: nc.map(nonce_count).transpose().ok()?,
            nc_text,
            opaque,
        })
    }
}

/// RFC 7616 §3.4: eight hexadecimal digits; fewer are taken.
fn nonce_count(text: &str) -> Result<u32, ()> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if digits { u32::from_str_radix(text, 16).map_err(|_| ()) } else { Err(()) }
}

/// The inside of a quoted string, or a token. `None` where the quotes aren't closed.
fn unquoted(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"'),
        None => Some(text),
    }
}

/// `H(user ":" realm ":" password)` as lower-case hex (RFC 7616 §3.4.2).
#[must_use]
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Zeroizing<String> {
    algorithm.hex(&[user, realm, password]).into()
}

/// The response that the credentials must carry for this method and HA1 (RFC 7616 §3.4.1), as lower-case hex. Without
/// `qop` as RFC 2069 had it (RFC 2617 §3.2.2.1). `auth-int` is not offered: its responses don't come out equal.
#[must_use]
pub fn response(algorithm: Algorithm, ha1: &str, method: &str, credentials: &Credentials<'_>) -> String {
    let ha2 = algorithm.hex(&[method, credentials.uri]);
    match (credentials.qop, credentials.cnonce) {
        (Some(qop), Some(cnonce)) => {
            algorithm.hex(&[ha1, credentials.nonce, credentials.nc_text, cnonce, qop, &ha2])
        }
        _ => algorithm.hex(&[ha1, credentials.nonce, &ha2]),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_2617: &str = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\",\
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001,\
        cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\",\
        opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";

    #[test]
    fn the_example_of_rfc_2617_section_3_5_comes_out() {
        let credentials = Credentials::parse(RFC_2617).unwrap();
        let ha1 = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(*ha1, "939e7578ed9e3c518a452acee763bce9");
        assert_eq!(response(Algorithm::Md5, &ha1, "GET", &credentials), credentials.response);
        assert_eq!(credentials.nc, Some(1));
    }

    #[test]
    fn the_examples_of_rfc_7616_section_3_9_1_come_out() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let value = format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
                 algorithm={}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{expected}\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                algorithm.word()
            );
            let credentials = Credentials::parse(&value).unwrap();
            assert_eq!(credentials.algorithm.and_then(Algorithm::parse), Some(algorithm));
            let ha1 = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            assert_eq!(response(algorithm, &ha1, "GET", &credentials), expected);
        }
    }

    #[test]
    fn without_qop_the_response_is_that_of_rfc_2069() {
        let value = "Digest username=\"Mufasa\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"x\"";
        let credentials = Credentials::parse(value).unwrap();
        let ha2 = Algorithm::Md5.hex(&["REGISTER", "sip:r"]);
        let expected = Algorithm::Md5.hex(&["abc", "n", &ha2]);
        assert_eq!(response(Algorithm::Md5, "abc", "REGISTER", &credentials), expected);
    }

    #[test]
    fn quoted_strings_hold_escapes_and_commas_and_unknown_parameters_are_passed_over() {
        let value = "dIgEsT realm = \"a, b\" ,nonce=\"n\",uri=\"sip:x;y=z,w\",response=\"r\",\
                     username=\"q\\\"u\",x-new=\"a=b, c\", nc=0000FfFf, qop=auth, cnonce=\"\"";
        let credentials = Credentials::parse(value).unwrap();
        assert_eq!((credentials.username.as_ref(), credentials.realm), ("q\"u", "a, b"));
        assert_eq!((credentials.uri, credentials.nc), ("sip:x;y=z,w", Some(0xffff)));
    }

    #[test]
    fn broken_credentials_are_refused() {
        for broken in [
            "Basic QWxhZGRpbg==".to_owned(),
            "Digest".to_owned(),
            RFC_2617.replace("nc=00000001", "nc=100000000"),
            RFC_2617.replace("nc=00000001", "nc=+1"),
            RFC_2617.replace("nc=00000001,", ""),
            RFC_2617.replace("opaque", "realm"),
            RFC_2617.replace("response=", "respond="),
            RFC_2617.replace("f40e41\"", "f40e41"),
        ] {
            assert_eq!(Credentials::parse(&broken), None, "{broken}");
        }
    }
}
