//! Moments as they are shown: RFC 3339 in UTC with milliseconds, whatever they were stored with.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What is no moment is shown as it is.
#[must_use]
pub fn millis(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => format!("{at:.3}"),
        Err(_) => text.to_owned(),
    }
}

/// The same moment by the clock of a zone, with its offset: `2026-11-24T18:00:00-05:00`.
#[must_use]
pub fn civil(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_three_digits_of_a_second_and_anything_else_stays() {
        assert_eq!(millis("2026-11-22T04:08:02.847802123Z"), "2026-11-22T04:08:02.847Z");
        assert_eq!(millis("2026-11-22T04:08:02Z"), "2026-11-22T04:08:02.000Z");
        assert_eq!(millis("yesterday"), "yesterday");
    }

    #[test]
    fn a_moment_by_the_clock_of_a_zone_has_its_offset() {
        let zone = TimeZone::get("America/New_York").unwrap();
        assert_eq!(civil("2026-11-24T23:00:00Z", &zone), "2026-11-24T18:00:00-05:00");
        assert_eq!(civil("2026-07-24T22:00:00Z", &zone), "2026-07-24T18:00:00-04:00");
        assert_eq!(civil("18:00", &zone), "18:00");
    }
}
