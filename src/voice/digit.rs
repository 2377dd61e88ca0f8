//! The sixteen keys of a telephone (ITU-T Q.23), as events (RFC 4733 §3.2, table 3) and in bodies of INFO.

use std::fmt;

/// Keys in the order of their event codes.
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// One key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(u8);

impl Digit {
    /// The key of an event code of RFC 4733; the others are no keys.
    #[must_use]
    pub const fn of_event(event: u8) -> Option<Digit> {
        if event < 16 { Some(Digit(event)) } else { None }
    }

    /// `0` to `9`, `*`, `#`, `A` to `D`, small letters too.
    #[must_use]
    pub fn of_char(key: char) -> Option<Digit> {
        let key = key.to_ascii_uppercase();
        KEYS.iter().position(|known| *known == key).and_then(|at| u8::try_from(at).ok()).map(Digit)
    }

    #[must_use]
    pub fn event(self) -> u8 {
        self.0
    }

    #[must_use]
    pub fn char(self) -> char {
        KEYS.get(usize::from(self.0)).copied().unwrap_or('D')
    }

    /// The key that an INFO tells of: `application/dtmf-relay` (`Signal=5`, with a duration that says nothing to us) or
    /// `application/dtmf`, whose body is the key or its event code of two digits. De facto both (RFC 6086 names no package for them).
    #[must_use]
    pub fn of_info(content_type: &str, body: &[u8]) -> Option<Digit> {
        let body = std::str::from_utf8(body).ok()?;
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if essence.eq_ignore_ascii_case("application/dtmf-relay") {
            let signal = body.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                name.trim().eq_ignore_ascii_case("signal").then_some(value.trim())
            })?;
            return Digit::written(signal);
        }
        if essence.eq_ignore_ascii_case("application/dtmf") { Digit::written(body.trim()) } else { None }
    }

    fn written(text: &str) -> Option<Digit> {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(key), None) => Digit::of_char(key),
            // 10 and 11 are star and pound with phones that write event codes.
            _ => text.parse().ok().and_then(Digit::of_event),
        }
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digit({})", self.char())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_its_event() {
        for event in 0..16 {
            let digit = Digit::of_event(event).unwrap();
            assert_eq!((digit.event(), Digit::of_char(digit.char())), (event, Some(digit)));
        }
        assert_eq!(Digit::of_event(16), None); // hook flash
        assert_eq!(Digit::of_char('E'), None);
    }

    #[test]
    fn an_info_tells_its_key_in_every_way_that_phones_write_it() {
        for (content_type, body, key) in [
            ("application/dtmf-relay", "Signal=1\r\nDuration=160\r\n", Some('1')),
            ("Application/DTMF-Relay;charset=utf-8", "signal = * \nduration=100", Some('*')),
            ("application/dtmf-relay", "Signal=11\r\nDuration=160\r\n", Some('#')),
            ("application/dtmf", "5", Some('5')),
            ("application/dtmf", "10\r\n", Some('*')),
            ("application/dtmf", "d", Some('D')),
            ("application/dtmf", "77", None),
            ("application/dtmf", "", None),
            ("application/dtmf-relay", "Duration=160\r\n", None),
            ("text/plain", "5", None),
        ] {
            let heard = Digit::of_info(content_type, body.as_bytes()).map(Digit::char);
            assert_eq!(heard, key, "{content_type}: {body:?}");
        }
        assert_eq!(Digit::of_info("application/dtmf", b"\xff"), None);
    }
}
