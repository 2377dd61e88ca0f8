//! When a live status ends: `18:00` is its next occurrence in the user's zone; anything else is RFC 3339.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// # Errors
/// What to write instead, for the operator.
pub fn parse(text: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, String> {
    let moment = match civil(text) {
        Some(time) => next(time, zone, now).ok_or_else(|| format!("`{text}` is beyond the calendar"))?,
        None => text.parse::<Timestamp>().map_err(|_| {
            format!("`{text}` is no time: write `18:00`, or RFC 3339 such as `2026-11-24T18:00:00Z`")
        })?,
    };
    if moment <= now {
        return Err(format!("`{text}` has passed already"));
    }
    Ok(moment)
}

/// `HH:MM`, and nothing longer.
fn civil(text: &str) -> Option<jiff::civil::Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<i8>().ok()).flatten();
    jiff::civil::Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

/// The next time that the clock of that zone reads so.
///
/// A time that a change to summer time skips is read as the one an hour later (RFC 5545 §3.3.5); a repeated one as the first.
pub fn next(time: jiff::civil::Time, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    let on =
        |date: jiff::civil::Date| date.to_datetime(time).to_zoned(zone.clone()).ok().map(|z| z.timestamp());
    let first = on(today)?;
    if first > now { Some(first) } else { on(today.tomorrow().ok()?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, now: &str) -> Result<String, String> {
        let zone = TimeZone::get("America/New_York").unwrap();
        parse(text, &zone, now.parse().unwrap()).map(|t| t.to_string())
    }

    #[test]
    fn a_wall_clock_time_is_its_next_occurrence_in_the_users_zone() {
        assert_eq!(at("18:00", "2026-11-24T15:00:00Z").unwrap(), "2026-11-24T23:00:00Z");
        assert_eq!(
            at("18:00", "2026-11-24T23:00:00Z").unwrap(),
            "2026-11-25T23:00:00Z",
            "now itself has passed"
        );
        assert_eq!(
            at("02:30", "2026-03-08T05:00:00Z").unwrap(),
            "2026-03-08T07:30:00Z",
            "skipped that night: 03:30 EDT"
        );
    }

    #[test]
    fn an_instant_is_taken_as_it_is_and_the_past_is_refused() {
        assert_eq!(at("2026-12-01T09:00:00+01:00", "2026-11-24T15:00:00Z").unwrap(), "2026-12-01T08:00:00Z");
        assert!(at("2026-11-01T09:00:00Z", "2026-11-24T15:00:00Z").unwrap_err().contains("has passed"));
    }

    #[test]
    fn anything_else_says_what_to_write() {
        for text in ["6pm", "25:00", "18:0", "", "1:2:3", "18:60"] {
            assert!(at(text, "2026-11-24T15:00:00Z").unwrap_err().contains("write `18:00`"), "{text}");
        }
    }
}
