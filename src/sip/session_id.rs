//! Session-ID (RFC 7989): the name of a session that all of its dialogs share, half of it from each end. A half is a UUID of 32 hex digits.

use super::params::Params;
use std::fmt;

/// One half: who one end is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Half([u8; 16]);

impl Half {
    /// An end that is not known yet (RFC 7989 §5).
    pub const NIL: Half = Half([0; 16]);

    /// A new one, of unpredictable bits: a UUID of version 4 (RFC 9562 §5.4).
    #[must_use]
    pub fn new(high: u64, low: u64) -> Half {
        let mut bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Half(bytes)
    }

    /// The half of whoever has written this value of Session-ID; what older phones write (RFC 7329) is the same. `None`: it can't be read, or
    /// is nil.
    #[must_use]
    pub fn of_sender(value: &str) -> Option<Half> {
        let end = value.find(';').unwrap_or(value.len());
        Half::parse(value.get(..end)?.trim()).filter(|half| *half != Half::NIL)
    }

    /// The half that its writer takes us for. `None`: it says nothing, or nil.
    #[must_use]
    pub fn of_receiver(value: &str) -> Option<Half> {
        let at = value.find(';')?;
        Half::parse(Params::find(value.get(at..)?, "remote")?).filter(|half| *half != Half::NIL)
    }

    fn parse(text: &str) -> Option<Half> {
        // RFC 7989 §5: 32 digits; `from_str_radix` alone would take a sign.
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits)?;
        Some(Half(number.to_be_bytes()))
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both halves, as whoever stands for `local` writes them to `remote`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId {
    pub local: Half,
    pub remote: Half,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};remote={}", self.local, self.remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "ab30317f1a784dc48ff824d0d3715d86";

    #[test]
    fn halves_are_read_as_both_rfcs_write_them() {
        let value = format!("{ONE};remote=47755a9de7794ba387653f2099600ef2");
        assert_eq!(Half::of_sender(&value).unwrap().to_string(), ONE);
        assert_eq!(Half::of_receiver(&value).unwrap().to_string(), "47755a9de7794ba387653f2099600ef2");
        assert_eq!(Half::of_sender(ONE).unwrap().to_string(), ONE, "RFC 7329");
        assert_eq!(Half::of_receiver(ONE), None);
        assert_eq!(Half::of_receiver(&format!("{ONE};remote={}", Half::NIL)), None);
        for wrong in
            ["", "x", "+b30317f1a784dc48ff824d0d3715d86", "00000000000000000000000000000000", ";remote=1"]
        {
            assert_eq!(Half::of_sender(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a in any::<(u64, u64)>(), b in any::<(u64, u64)>()) {
            let id = SessionId { local: Half::new(a.0, a.1), remote: Half::new(b.0, b.1) };
            let text = id.to_string();
            prop_assert_eq!(Half::of_sender(&text), Some(id.local));
            prop_assert_eq!(Half::of_receiver(&text), Some(id.remote));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = (Half::of_sender(&text), Half::of_receiver(&text));
        }
    }
}
