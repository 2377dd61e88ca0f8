//! The Date of an answer (RFC 3261 §20.17), written once a second: a storm of registrations asks for the same one.

use crate::clock::Now;
use jiff::tz::Offset;

#[derive(Debug, Default)]
pub(super) struct Date {
    second: i64,
    text: String,
}

impl Date {
    /// Always GMT.
    pub(super) fn text(&mut self, now: Now) -> &str {
        let second = now.wall.as_second();
        if self.text.is_empty() || self.second != second {
            let civil = Offset::UTC.to_datetime(now.wall);
            self.text = civil.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            self.second = second;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_date() {
        let mut date = Date::default();
        let mut at = |wall: &str| {
            let now = Now { wall: wall.parse().unwrap(), ..crate::net::clock::now() };
            date.text(now).to_owned()
        };
        assert_eq!(at("1970-01-01T00:00:00Z"), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at("2026-11-22T08:09:10.9Z"), "Sun, 22 Nov 2026 08:09:10 GMT");
        assert_eq!(at("2026-11-22T08:09:11Z"), "Sun, 22 Nov 2026 08:09:11 GMT");
    }
}
