//! `a=crypto` (RFC 4568): a key that one side protects its packets with, told to the other.

use super::base64;
use crate::srtp::{Master, Suite};
use zeroize::Zeroizing;

/// Lines of one description that are looked at; more are passed over.
pub(super) const CRYPTO_LINES_MAX: usize = 16;

/// A line that can be agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crypto {
    pub(super) tag: u32,
    pub(super) master: Master,
}

impl Crypto {
    /// What follows `a=crypto:`. `None`: a suite or a parameter that we don't take, and by RFC 4568 §6.3 such a line is none that can be
    /// chosen.
    pub(super) fn parse(value: &[u8]) -> Option<Crypto> {
        let text = std::str::from_utf8(value).ok()?;
        let mut words = text.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9 && tag.bytes().all(|b| b.is_ascii_digit()))?;
        let suite = Suite::of_name(words.next()?)?;
        let key = words.next()?;
        if !words.all(is_harmless) {
            return None;
        }
        // RFC 4568 §6.1: several keys are told apart by their MKI, and no MKI is taken.
        let (method, info) = key.split_once(':').filter(|_| !key.contains(';'))?;
        let (key, lifetime) = info.split_once('|').unwrap_or((info, "1"));
        if !method.eq_ignore_ascii_case("inline") || !is_lifetime(lifetime) {
            return None;
        }
        Some(Crypto { tag: tag.parse().ok()?, master: Master::new(suite, &base64::read(key)?)? })
    }

    /// The value of an `a=crypto` line.
    pub(super) fn write(&self) -> Zeroizing<String> {
        let key = base64::write(self.master.key_and_salt());
        Zeroizing::new(format!("{} {} inline:{}", self.tag, self.master.suite().name(), *key))
    }
}

/// Session parameters (RFC 4568 §6.3) that change nothing for us: the size of a window that only we look through, and what may be passed
/// over (§6.3.7).
fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with('-')
        || parameter.strip_prefix("WSH=").is_some_and(|size| size.bytes().all(|b| b.is_ascii_digit()))
        || parameter == "KDR=0"
}

/// How many packets the key is for (RFC 4568 §6.1): a call ends before any of them. What has a colon is an MKI.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4568 §4.1 and §6.2.
    #[test]
    fn the_lines_of_the_rfc_are_read() {
        let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
        let line = format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20");
        let crypto = Crypto::parse(line.as_bytes()).unwrap();
        assert_eq!((crypto.tag, crypto.master.suite()), (1, Suite::AesCm128HmacSha1_80));
        assert_eq!(*crypto.write(), format!("1 AES_CM_128_HMAC_SHA1_80 {key}"));
        for taken in ["|1048576", " WSH=128", " -odd=1", " KDR=0"] {
            let line = format!("2 AES_CM_128_HMAC_SHA1_32 {key}{taken}");
            assert!(Crypto::parse(line.as_bytes()).is_some(), "{line}");
        }
    }

    #[test]
    fn what_we_do_not_take_refuses_its_line() {
        let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
        for line in [
            format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:32"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key}|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20;{key}|2^20"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} UNENCRYPTED_SRTCP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} UNAUTHENTICATED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} FEC_ORDER=SRTP_FEC"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} KDR=4"),
            format!("1 F8_128_HMAC_SHA1_80 {key}"),
            format!("1 AEAD_AES_256_GCM {key}"),
            format!("1234567890 AES_CM_128_HMAC_SHA1_80 {key}"),
            format!("+1 AES_CM_128_HMAC_SHA1_80 {key}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 uri:https://keys.example.com".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert!(Crypto::parse(line.as_bytes()).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in 0_u32..1_000_000_000, suite in 0_usize..4, secret in any::<[u8; 32]>()) {
            let crypto = Crypto { tag, master: Master::derive(Suite::ALL[suite], &secret, 0) };
            prop_assert_eq!(Crypto::parse(crypto.write().as_bytes()), Some(crypto));
        }

        #[test]
        fn any_line_is_read_or_refused(line in "[ -~]{0,80}") {
            let _ = Crypto::parse(line.as_bytes());
        }
    }
}
