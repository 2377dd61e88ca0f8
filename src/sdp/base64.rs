//! Base64 as SDP has it for keys (RFC 4568 §9.2, RFC 4648 §4), the padding with it.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn write(octets: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(octets.len().div_ceil(3) * 4));
    for three in octets.chunks(3) {
        let word = (0..3).fold(0_usize, |word, at| word << 8 | three.get(at).map_or(0, |o| usize::from(*o)));
        for digit in 0..4 {
            let of_octets = digit <= three.len();
            let sextet = ALPHABET.get(word >> (18 - 6 * digit) & 63).copied().unwrap_or_default();
            text.push(if of_octets { char::from(sextet) } else { '=' });
        }
    }
    text
}

/// `None`: it isn't Base64. Padding may be missing, as some phones leave it out.
pub(super) fn read(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(digits.len()));
    for four in digits.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for at in 0..4 {
            let sextet = match four.get(at) {
                Some(digit) => ALPHABET.iter().position(|one| one == digit)?,
                None => 0,
            };
            word = word << 6 | u32::try_from(sextet).ok()?;
        }
        let [_, word @ ..] = word.to_be_bytes();
        octets.extend_from_slice(word.get(..four.len() - 1)?);
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4648 §10.
    #[test]
    fn the_vectors_of_the_rfc_are_written_and_read() {
        for (octets, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(*write(octets.as_bytes()), text);
            assert_eq!(read(text).unwrap()[..], *octets.as_bytes());
        }
        for text in ["Z", "Zg===", "Z!==", "Zg =", "Zm9vY"] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(octets in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(&*read(&write(&octets)).unwrap(), &octets);
        }
    }
}
