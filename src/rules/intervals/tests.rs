use super::*;
use crate::rules::calendar::{DayRange, Days, Excepted, Part, Yearly, Zone, parse_weekly, parse_yearly};
use jiff::civil::{Date, date};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn weekly(texts: &[&str]) -> Frame {
    let parts = texts.iter().map(|text| Part::Weekly(parse_weekly(text).unwrap())).collect();
    Frame { parts, ..Frame::default() }
}

fn shown(intervals: &Intervals, zone: &TimeZone) -> Vec<String> {
    let show = |at: Timestamp| zone.to_datetime(at).strftime("%a %d %H:%M").to_string();
    intervals.iter().map(|i| format!("{} - {}", show(i.start), show(i.end))).collect()
}

#[test]
fn a_week_of_office_hours_has_five_intervals() {
    let new_york = zone("America/New_York");
    let week = Interval::days(at("2026-11-09T05:00:00Z"), 7);
    let open = Intervals::of_frame(&weekly(&["mon-thu 08:00-17:30", "fri 08:00-14:00"]), &new_york, week);
    let expected = [
        "Mon 09 08:00 - Mon 09 17:30",
        "Tue 10 08:00 - Tue 10 17:30",
        "Wed 11 08:00 - Wed 11 17:30",
        "Thu 12 08:00 - Thu 12 17:30",
        "Fri 13 08:00 - Fri 13 14:00",
    ];
    assert_eq!(shown(&open, &new_york), expected);
}

#[test]
fn a_night_that_crosses_midnight_is_one_interval_and_is_cut_at_the_horizon() {
    let utc = TimeZone::UTC;
    let night = weekly(&["daily 22:00-06:00"]);
    let two_days = Interval::days(at("2026-11-09T00:00:00Z"), 2);
    let expected =
        ["Mon 09 00:00 - Mon 09 06:00", "Mon 09 22:00 - Tue 10 06:00", "Tue 10 22:00 - Wed 11 00:00"];
    assert_eq!(shown(&Intervals::of_frame(&night, &utc, two_days), &utc), expected);
}

#[test]
fn a_skipped_hour_is_not_there_and_a_repeated_one_is_there_twice() {
    let new_york = zone("America/New_York");
    let hour = weekly(&["daily 02:00-03:00"]);
    // 8 March 2026: 02:00 to 03:00 does not exist.
    let spring = Interval::new(at("2026-03-08T05:00:00Z"), at("2026-03-09T04:00:00Z"));
    assert!(Intervals::of_frame(&hour, &new_york, spring).is_empty());
    // 1 November 2026: 01:00 to 02:00 comes twice.
    let hour = weekly(&["daily 01:00-02:00"]);
    let autumn = Interval::new(at("2026-11-01T04:00:00Z"), at("2026-11-02T05:00:00Z"));
    let twice = Intervals::of_frame(&hour, &new_york, autumn);
    assert_eq!(twice.total(), SignedDuration::from_hours(2));
    let half = weekly(&["daily 01:00-01:30"]);
    assert_eq!(Intervals::of_frame(&half, &new_york, autumn).as_slice().len(), 2);
}

#[test]
fn an_excepted_day_ends_the_night_at_its_midnight() {
    let mut night = weekly(&["daily 22:00-06:00"]);
    let christmas = Days {
        ranges: vec![DayRange { first: date(2026, 12, 25), last: date(2026, 12, 25), name: None }],
        ..Days::default()
    };
    let frame = Frame { parts: vec![Part::Days(christmas)], ..Frame::default() };
    night.except.push(Excepted { name: "holidays".into(), negated: false, frame });
    let utc = TimeZone::UTC;
    let three = Interval::days(at("2026-12-24T12:00:00Z"), 2);
    let expected = ["Thu 24 22:00 - Fri 25 00:00", "Sat 26 00:00 - Sat 26 06:00"];
    assert_eq!(shown(&Intervals::of_frame(&night, &utc, three), &utc), expected);
}

#[test]
fn what_the_rules_force_holds_all_the_time_or_never() {
    let week = Interval::days(at("2026-11-09T00:00:00Z"), 7);
    let forced = |on| Frame { forced: Some(on), ..weekly(&["mon 08:00-09:00"]) };
    assert_eq!(Intervals::of_frame(&forced(true), &TimeZone::UTC, week), Intervals::all(week));
    assert!(Intervals::of_frame(&forced(false), &TimeZone::UTC, week).is_empty());
}

#[test]
fn a_live_override_of_an_excepted_frame_counts() {
    let week = Interval::days(at("2026-11-09T00:00:00Z"), 7);
    let mut open = weekly(&["daily"]);
    open.except.push(Excepted { name: "storm".into(), negated: false, frame: Frame::default() });
    let storm = |name: &str| (name == "storm").then_some(true);
    assert!(Intervals::of_frame_with(&open, &TimeZone::UTC, week, &storm).is_empty());
    assert_eq!(Intervals::of_frame(&open, &TimeZone::UTC, week), Intervals::all(week));
}

#[test]
fn a_schedule_works_each_frame_out_once_and_knows_overrides() {
    let mut schedule = Schedule::new(Interval::days(at("2026-11-09T00:00:00Z"), 7));
    let (name, utc) = ("open".into(), "UTC".into());
    let open = weekly(&["mon 08:00-09:00"]);
    let first = schedule.of(&name, &open, &utc, &TimeZone::UTC);
    assert!(std::sync::Arc::ptr_eq(&first, &schedule.of(&name, &open, &utc, &TimeZone::UTC)));
    let closed = schedule.of_with(&"shut".into(), &open, &utc, &TimeZone::UTC, &|name| Some(name != "shut"));
    assert!(closed.is_empty());
}

/// Zones whose clocks do odd things: half-hour changes, changes at midnight, a day that was left out, odd offsets.
const ZONES: [&str; 8] = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "UTC",
];

fn any_part() -> impl Strategy<Value = Part> {
    const DAYS: [&str; 6] = ["daily", "mon-fri", "sat,sun", "fri-mon", "wed", "tue,thu-sat"];
    let clock = (0..24_u16, prop_oneof![Just(0_u16), Just(30), 0..60_u16]);
    let hours = (0..DAYS.len(), clock.clone(), clock).prop_map(|(days, (h, m), (h2, m2))| {
        let text = format!("{} {h:02}:{m:02}-{h2:02}:{m2:02}", DAYS[days]);
        Part::Weekly(parse_weekly(&text).or_else(|_| parse_weekly(DAYS[days])).unwrap())
    });
    let days = (0..700_i64, 0..4_i64, 0..4_usize).prop_map(|(first, length, yearly)| {
        let first = date(2011, 1, 1).checked_add(jiff::Span::new().days(first * 8)).unwrap();
        let last = first.checked_add(jiff::Span::new().days(length)).unwrap();
        let on = ["12-30", "mar 2nd sun", "oct last sun", "02-29"][yearly];
        Part::Days(Days {
            calendar: None,
            ranges: vec![DayRange { first, last, name: None }],
            yearly: vec![Yearly { on: parse_yearly(on).unwrap(), name: None }],
        })
    });
    prop_oneof![3 => hours, 1 => days]
}

fn any_zone() -> impl Strategy<Value = Option<Zone>> {
    prop_oneof![Just(None), (0..ZONES.len()).prop_map(|zone| Zone::named(ZONES[zone]))]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let forced = prop_oneof![8 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let leaf = (any_zone(), forced, prop::collection::vec(any_part(), 0..3))
        .prop_map(|(zone, forced, parts)| Frame { zone, forced, parts, except: Vec::new() });
    leaf.prop_recursive(2, 6, 2, |inner| {
        let excepted = (inner.clone(), any::<bool>()).prop_map(|(frame, negated)| Excepted {
            name: "x".into(),
            negated,
            frame,
        });
        (inner, prop::collection::vec(excepted, 0..3)).prop_map(|(frame, except)| Frame { except, ..frame })
    })
}

/// Around days on which clocks change, in one of the zones or another.
fn any_start() -> impl Strategy<Value = Timestamp> {
    let days: [Date; 10] = [
        date(2011, 12, 28),
        date(2026, 3, 6),
        date(2026, 3, 27),
        date(2026, 10, 23),
        date(2026, 10, 30),
        date(2026, 4, 2),
        date(2026, 9, 4),
        date(2026, 4, 22),
        date(2026, 12, 29),
        date(2024, 2, 27),
    ];
    (0..days.len(), 0..172_800_i64).prop_map(move |(day, second)| {
        let midnight = days[day].to_zoned(TimeZone::UTC).unwrap().timestamp();
        midnight.checked_add(SignedDuration::from_secs(second)).unwrap()
    })
}

fn any_intervals() -> impl Strategy<Value = Intervals> {
    prop::collection::vec((0..60_i64, 0..12_i64), 0..6).prop_map(|list| {
        let at = |second| Timestamp::from_second(second).unwrap();
        Intervals::any_of(list.into_iter().map(|(s, l)| Interval::new(at(s), at(s + l))).collect())
    })
}

fn well_formed(intervals: &Intervals) -> bool {
    intervals.iter().all(|i| i.start < i.end)
        && intervals.as_slice().windows(2).all(|w| w[0].end < w[1].start)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_moment_is_inside_exactly_where_the_frame_contains_it(
        frame in any_frame(), asker in 0..ZONES.len(), start in any_start(), samples in prop::collection::vec(0..518_400_i64, 40),
    ) {
        let asker = zone(ZONES[asker]);
        let horizon = Interval::days(start, 6);
        let intervals = Intervals::of_frame(&frame, &asker, horizon);
        prop_assert!(well_formed(&intervals));
        let quarters = (0..6 * 96).map(|quarter| quarter * 900);
        for second in samples.into_iter().chain(quarters) {
            let moment = horizon.start.checked_add(SignedDuration::from_secs(second)).unwrap();
            prop_assert_eq!(intervals.contains(moment), frame.contains(moment, &asker), "{}", moment);
        }
        for edge in intervals.iter().flat_map(|i| [i.start, i.end]).filter(|edge| horizon.contains(*edge)) {
            let before = edge.checked_sub(SignedDuration::from_secs(1)).unwrap();
            let changes = frame.contains(before, &asker) != frame.contains(edge, &asker);
            prop_assert!(changes || edge == horizon.start, "{} is no edge", edge);
        }
    }

    #[test]
    fn the_algebra_is_that_of_moments(a in any_intervals(), b in any_intervals()) {
        let horizon = Interval::new(Timestamp::UNIX_EPOCH, Timestamp::from_second(80).unwrap());
        let (union, both, less) = (a.union(&b), a.intersection(&b), a.difference(&b));
        let rest = a.complement(horizon);
        prop_assert!([&union, &both, &less, &rest].into_iter().all(well_formed));
        for second in 0..80 {
            let at = Timestamp::from_second(second).unwrap();
            let (in_a, in_b) = (a.contains(at), b.contains(at));
            prop_assert_eq!(union.contains(at), in_a || in_b);
            prop_assert_eq!(both.contains(at), in_a && in_b);
            prop_assert_eq!(less.contains(at), in_a && !in_b);
            prop_assert_eq!(rest.contains(at), !in_a);
        }
        prop_assert_eq!(union.covers(&a), true);
        prop_assert_eq!(a.covers(&b), less_is_all(&a, &b));
        prop_assert_eq!(union.total() + both.total(), a.total() + b.total());
    }
}

fn less_is_all(a: &Intervals, b: &Intervals) -> bool {
    (0..80).map(|second| Timestamp::from_second(second).unwrap()).all(|at| !b.contains(at) || a.contains(at))
}
