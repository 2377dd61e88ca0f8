use super::*;
use jiff::civil::date;
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn weekly(entries: &[&str]) -> Frame {
    Frame {
        parts: entries.iter().map(|text| Part::Weekly(parse_weekly(text).unwrap())).collect(),
        ..Frame::default()
    }
}

fn days(yearly: &[&str]) -> Frame {
    let yearly =
        yearly.iter().map(|on| Yearly { on: parse_yearly(on).unwrap(), name: Some((*on).into()) }).collect();
    Frame { parts: vec![Part::Days(Days { calendar: None, ranges: vec![], yearly })], ..Frame::default() }
}

/// Civil time in the zone, an instant.
fn at(civil: &str, zone: &TimeZone) -> Timestamp {
    civil.parse::<DateTime>().unwrap().to_zoned(zone.clone()).unwrap().timestamp()
}

fn new_york() -> TimeZone {
    zone("America/New_York")
}

fn inside(frame: &Frame, civil: &str) -> bool {
    frame.contains(at(civil, &new_york()), &new_york())
}

#[test]
fn hours_are_half_open() {
    let open = weekly(&["mon-thu 08:00-17:30"]);
    assert!(!inside(&open, "2026-11-24T07:59:59"));
    assert!(inside(&open, "2026-11-24T08:00"));
    assert!(inside(&open, "2026-11-24T17:29:59"));
    assert!(!inside(&open, "2026-11-24T17:30"));
    assert!(!inside(&open, "2026-11-27T10:00"), "a Friday");
}

#[test]
fn day_ranges_wrap_and_commas_join() {
    let wrapped = weekly(&["fri-mon"]);
    for (civil, expected) in [
        ("2026-11-26T12:00", false),
        ("2026-11-27T00:00", true),
        ("2026-11-30T23:59", true),
        ("2026-12-01T00:00", false),
    ] {
        assert_eq!(inside(&wrapped, civil), expected, "{civil}");
    }
    let weekend = weekly(&["sat,sun 10:00-24:00"]);
    assert!(inside(&weekend, "2026-11-28T23:59:59"));
    assert!(!inside(&weekend, "2026-11-29T00:00"));
    assert!(inside(&weekend, "2026-11-29T10:00"));
}

#[test]
fn what_crosses_midnight_belongs_to_the_day_that_it_starts_on() {
    let night = weekly(&["fri 22:00-06:00"]);
    assert!(inside(&night, "2026-11-27T22:00"));
    assert!(inside(&night, "2026-11-28T05:59:59"));
    assert!(!inside(&night, "2026-11-28T06:00"));
    assert!(!inside(&night, "2026-11-27T05:00"), "that is Thursday's night");
    assert!(inside(&weekly(&["sun 22:00-06:00"]), "2026-11-30T01:00"), "Sunday's night reaches into Monday");
}

#[test]
fn an_exception_is_subtracted_by_instant() {
    let mut night = weekly(&["daily 22:00-06:00"]);
    night.except.push(Excepted { name: "holidays".into(), negated: false, frame: days(&["12-25"]) });
    assert!(inside(&night, "2026-12-24T23:59:59"));
    assert!(!inside(&night, "2026-12-25T00:00"), "the night of the 24th ends at midnight");
    assert!(!inside(&night, "2026-12-25T23:00"));
    assert!(inside(&night, "2026-12-26T00:00"));
}

#[test]
fn an_excepted_frame_without_a_zone_takes_that_of_the_frame_that_names_it() {
    let mut frame = weekly(&["daily"]);
    frame.zone = Zone::named("Europe/London");
    frame.except.push(Excepted { name: "x".into(), negated: false, frame: days(&["12-25"]) });
    // 19:30 on the 24th in New York is 00:30 on the 25th in London.
    assert!(!inside(&frame, "2026-12-24T19:30"));
    frame.except[0].frame.zone = Zone::named("America/New_York");
    assert!(inside(&frame, "2026-12-24T19:30"));
}

#[test]
fn a_negated_exception_leaves_only_what_is_inside_it() {
    let mut frame = weekly(&["daily"]);
    frame.except.push(Excepted {
        name: "open".into(),
        negated: true,
        frame: weekly(&["mon-fri 08:00-17:00"]),
    });
    assert!(inside(&frame, "2026-11-24T10:00"));
    assert!(!inside(&frame, "2026-11-24T20:00"));
}

#[test]
fn a_live_override_reaches_into_exceptions() {
    let mut open = weekly(&["daily"]);
    open.except.push(Excepted { name: "storm".into(), negated: false, frame: Frame::default() });
    let (moment, here) = (at("2026-11-24T10:00", &new_york()), new_york());
    assert!(open.contains(moment, &here));
    assert!(!open.contains_with(moment, &here, &|name| (name == "storm").then_some(true)));
}

#[test]
fn the_skipped_hour_never_matches_and_the_repeated_one_matches_twice() {
    let early = weekly(&["sun 02:00-03:00"]);
    let ny = new_york();
    let hits = |day: jiff::civil::Date, zone: &TimeZone, frame: &Frame| {
        let midnight = day.to_zoned(zone.clone()).unwrap().timestamp();
        (0..25 * 60)
            .filter(|minute| frame.contains(midnight + jiff::SignedDuration::from_mins(*minute), zone))
            .count()
    };
    assert_eq!(hits(date(2026, 3, 8), &ny, &early), 0, "02:00 to 03:00 is skipped in New York");
    assert_eq!(hits(date(2026, 3, 15), &ny, &early), 60);
    let repeated = weekly(&["sun 01:00-02:00"]);
    assert_eq!(hits(date(2026, 11, 1), &ny, &repeated), 120, "01:00 to 02:00 comes twice");
    let london = zone("Europe/London");
    assert_eq!(hits(date(2026, 3, 29), &london, &repeated), 0, "01:00 to 02:00 is skipped in London");
    assert_eq!(hits(date(2026, 10, 25), &london, &repeated), 120);
}

#[test]
fn yearly_days_come_back() {
    let holidays = days(&["07-04", "nov 4th thu", "may last mon", "02-29", "mar 5th sun"]);
    for (civil, expected) in [
        ("2026-07-04T00:00", true),
        ("2030-07-04T23:59:59", true),
        ("2026-11-26T12:00", true),
        ("2026-11-19T12:00", false),
        ("2027-11-25T12:00", true),
        ("2026-05-25T12:00", true),
        ("2026-05-18T12:00", false),
        ("2028-02-29T12:00", true),
        ("2027-02-28T12:00", false),
        ("2026-03-29T12:00", true),
        ("2027-03-28T12:00", false),
    ] {
        assert_eq!(inside(&holidays, civil), expected, "{civil}");
    }
}

#[test]
fn ranges_of_dates_have_both_days_inside() {
    let range = DayRange { first: date(2026, 8, 1), last: date(2026, 8, 15), name: None };
    let days = Days { calendar: None, ranges: vec![range], yearly: vec![] };
    let frame = Frame { parts: vec![Part::Days(days)], ..Frame::default() };
    assert!(inside(&frame, "2026-08-01T00:00") && inside(&frame, "2026-08-15T23:59"));
    assert!(!inside(&frame, "2026-08-16T00:00"));
    assert_eq!(
        frame.why(at("2026-08-16T00:00", &new_york()), &new_york()),
        "2026-08-16 is outside 2026-08-01..2026-08-15"
    );
}

#[test]
fn reasons_read_as_a_person_would_say_them() {
    let ny = new_york();
    let why = |frame: &Frame, civil| frame.why(at(civil, &ny), &ny);
    let mut open = weekly(&["mon-thu 08:00-17:30", "fri 08:00-13:00"]);
    assert_eq!(why(&open, "2026-11-24T10:00"), "Tue 10:00 is inside mon-thu 08:00-17:30");
    assert_eq!(why(&open, "2026-11-28T10:00"), "Sat 10:00 is outside mon-thu 08:00-17:30, fri 08:00-13:00");
    assert_eq!(
        why(&weekly(&["daily 22:00-06:00"]), "2026-11-24T10:00"),
        "10:00 is outside daily 22:00-06:00"
    );
    let mut holidays = days(&[]);
    if let Part::Days(days) = &mut holidays.parts[0] {
        days.calendar = Some("us-holidays".into());
        days.yearly
            .push(Yearly { on: parse_yearly("nov 4th thu").unwrap(), name: Some("Thanksgiving".into()) });
    }
    assert_eq!(why(&holidays, "2026-11-26T10:00"), "2026-11-26 is Thanksgiving (us-holidays)");
    assert_eq!(why(&holidays, "2026-11-27T10:00"), "2026-11-27 is outside calendar us-holidays");
    open.except.push(Excepted { name: "holidays".into(), negated: false, frame: holidays });
    assert_eq!(
        why(&open, "2026-11-26T10:00"),
        "Thu 10:00 is inside mon-thu 08:00-17:30, but excepted by holidays: 2026-11-26 is Thanksgiving (us-holidays)"
    );
}

#[test]
fn wrong_texts_say_how_to_write_them() {
    for (text, says) in [
        ("08:00-17:00", "write `daily 08:00-17:00`"),
        ("Monday", "written `mon`"),
        ("mon-fry", "is no day"),
        ("mon 8:00-9:00", "write `08:30`"),
        ("mon 24:00-06:00", "an end only"),
        ("mon 08:00-08:00", "all day"),
        ("mon 08:00 - 09:00", "without spaces"),
        ("mon 0800", "are a range"),
        ("mon 08:60-09:00", "no time of day"),
        ("", "write days and hours"),
    ] {
        let error = parse_weekly(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
    for text in ["7-4", "13-01", "02-30", "nov 4 thu", "november 4th thu", "nov 6th thu", "nov 4th", "00-10"]
    {
        assert!(parse_yearly(text).is_err(), "{text}");
    }
}

#[test]
fn an_encoded_frame_decodes_to_itself_with_its_zone() {
    let mut frame = weekly(&["mon-thu 08:00-17:30"]);
    frame.zone = Zone::named("Europe/London");
    frame.except.push(Excepted { name: "h".into(), negated: false, frame: days(&["nov 4th thu"]) });
    let bytes = postcard::to_stdvec(&frame).unwrap();
    let decoded: Frame = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(decoded, frame);
    let moment = at("2026-11-24T10:00", &new_york());
    assert_eq!(decoded.contains(moment, &new_york()), frame.contains(moment, &new_york()));
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "([a-z]{3}|[0-9:,-]|é| ){0,10}") {
        let _ = parse_weekly(&text);
        let _ = parse_yearly(&text);
    }

    #[test]
    fn a_wrapped_range_is_the_complement_of_the_rest(start in 0..1440u16, end in 0..1440u16, minute in 0..10080i64) {
        prop_assume!(start != end);
        let clock = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        let one = weekly(&[&format!("daily {}-{}", clock(start), clock(end))]);
        let other = weekly(&[&format!("daily {}-{}", clock(end), clock(start))]);
        let utc = TimeZone::UTC;
        let moment = Timestamp::from_second(1_764_000_000 + minute * 60).unwrap();
        prop_assert_ne!(one.contains(moment, &utc), other.contains(moment, &utc));
    }
}
