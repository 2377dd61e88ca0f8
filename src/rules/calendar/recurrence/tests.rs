//! Held against an oracle that goes through the days one by one and asks each what RFC 5545 §3.3.10 says of it, without a
//! library.

use super::*;
use jiff::civil::date;
use proptest::prelude::*;

fn compiled(text: &str, from: Option<Date>) -> Result<DaySet, String> {
    compile_rrule(text, from, &mut LookBudget::default()).map_err(|error| match error {
        RruleError::Wrong(what) => what,
        RruleError::Spent => Spent.says(),
    })
}

fn days(text: &str, from: Option<Date>) -> Vec<String> {
    compiled(text, from)
        .unwrap_or_else(|what| panic!("{text}: {what}"))
        .days()
        .map(|day| day.to_string())
        .collect()
}

fn first(text: &str, from: Date, count: usize) -> Vec<String> {
    days(text, Some(from)).into_iter().take(count).collect()
}

#[test]
fn the_last_friday_of_each_month() {
    let all = compiled("FREQ=MONTHLY;BYDAY=-1FR", None).unwrap();
    assert!(all.contains(date(2026, 11, 27)) && !all.contains(date(2026, 11, 20)));
    assert_eq!(all.len(), 131 * 12);
}

#[test]
fn count_interval_and_until_count_from_the_beginning() {
    let from = date(2026, 1, 7);
    assert_eq!(
        first("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;COUNT=3", from, 9),
        ["2026-01-07", "2026-01-19", "2026-01-21"]
    );
    assert_eq!(
        first("FREQ=DAILY;INTERVAL=10;UNTIL=20260127", from, 9),
        ["2026-01-07", "2026-01-17", "2026-01-27"]
    );
    assert_eq!(first("FREQ=DAILY;UNTIL=20260108T120000Z", from, 9), ["2026-01-07", "2026-01-08"]);
    assert_eq!(first("FREQ=MONTHLY", date(2026, 1, 31), 3), ["2026-01-31", "2026-03-31", "2026-05-31"]);
}

#[test]
fn a_beginning_is_no_occurrence_by_itself() {
    assert_eq!(first("FREQ=WEEKLY;BYDAY=MO;COUNT=1", date(2026, 1, 7), 9), ["2026-01-12"]);
}

/// The examples of RFC 5545 §3.8.5.3 that are about days.
#[test]
fn the_examples_of_the_standard() {
    let from = date(1997, 9, 2);
    for (rule, from, expected) in [
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", date(1997, 8, 5), "08-05 08-10 08-19 08-24"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", date(1997, 8, 5), "08-05 08-17 08-19 08-31"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=1FR", date(1997, 9, 5), "09-05 10-03 11-07"),
        ("FREQ=MONTHLY;INTERVAL=2;COUNT=4;BYDAY=1SU,-1SU", date(1997, 9, 7), "09-07 09-28 11-02 11-30"),
        ("FREQ=MONTHLY;COUNT=3;BYMONTHDAY=-3", date(1997, 9, 28), "09-28 10-29 11-28"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", date(1997, 9, 4), "09-04 10-07 11-06"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", date(1997, 9, 29), "09-29 10-30 11-27"),
        ("FREQ=YEARLY;COUNT=3;BYDAY=20MO", date(1997, 5, 19), "05-19 05-18 05-17"),
        ("FREQ=YEARLY;COUNT=3;BYWEEKNO=20;BYDAY=MO", date(1997, 5, 12), "05-12 05-11 05-17"),
        ("FREQ=YEARLY;INTERVAL=3;COUNT=4;BYYEARDAY=1,100,200", date(1997, 1, 1), "01-01 04-10 07-19 01-01"),
        (
            "FREQ=YEARLY;INTERVAL=4;COUNT=2;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            date(1996, 11, 5),
            "11-05 11-07",
        ),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=FR;BYMONTHDAY=13", from, "02-13 03-13"),
    ] {
        let found: Vec<String> = days(rule, Some(from)).iter().map(|day| day[5..].to_owned()).collect();
        assert_eq!(found.join(" "), expected, "{rule}");
    }
}

/// A plain weekday beside a counted one adds days, it doesn't take any away.
#[test]
fn a_weekday_beside_an_ordinal_of_it_is_every_such_day() {
    assert_eq!(
        first("FREQ=MONTHLY;BYDAY=MO,-1MO", date(2026, 1, 1), 3),
        ["2026-01-05", "2026-01-12", "2026-01-19"]
    );
}

/// A first week that is not whole is picked from as if it were.
#[test]
fn positions_count_within_whole_weeks() {
    // 2026-01-07 is a Wednesday: the first of MO,WE,FR of that week was the Monday before.
    assert_eq!(first("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", date(2026, 1, 7), 1), ["2026-01-12"]);
    assert_eq!(first("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2", date(2026, 1, 7), 1), ["2026-01-07"]);
}

#[test]
fn a_rule_that_needs_a_beginning_says_so() {
    for rule in [
        "FREQ=DAILY;COUNT=3",
        "FREQ=DAILY;INTERVAL=2",
        "FREQ=WEEKLY",
        "FREQ=MONTHLY;BYMONTH=3",
        "FREQ=YEARLY;BYWEEKNO=7",
    ] {
        let what = compiled(rule, None).unwrap_err();
        assert!(what.contains("add `from"), "{rule}: {what}");
        assert!(compiled(rule, Some(date(2026, 1, 1))).is_ok(), "{rule}");
    }
    assert!(compiled("FREQ=DAILY", None).is_ok());
}

#[test]
fn wrong_rules_say_what_to_write() {
    let from = Some(date(2026, 1, 1));
    for (rule, says) in [
        ("", "NAME=VALUE"),
        ("BYDAY=MO", "has a FREQ"),
        ("FREQ=HOURLY", "hours ="),
        ("FREQ=FORTNIGHTLY", "write YEARLY"),
        ("FREQ=DAILY;BYHOUR=9", "hours ="),
        ("FREQ=DAILY;FREQ=DAILY", "write it once"),
        ("FREQ=DAILY;BYEASTER=1", "no part of a recurrence rule"),
        ("FREQ=WEEKLY;BYDAY=1MO", "write `MO`"),
        ("FREQ=MONTHLY;BYDAY=6MO", "write 1 to 5"),
        ("FREQ=MONTHLY;BYDAY=0MO", "write 1 to 5"),
        ("FREQ=WEEKLY;BYDAY=MON", "is no day"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "leave the number out"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "can't stand in WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "not YEARLY"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "not YEARLY"),
        ("FREQ=YEARLY;BYMONTH=13", "1 to 12"),
        ("FREQ=YEARLY;BYMONTH=-1", "1 to 12"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "1 to 31"),
        ("FREQ=DAILY;INTERVAL=0", "1 to 1000"),
        ("FREQ=DAILY;COUNT=99999999999", "1 to 100000"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20270101", "keep one"),
        ("FREQ=DAILY;UNTIL=tomorrow", "write a day"),
        ("FREQ=DAILY;UNTIL=20250101", "before it begins"),
        ("FREQ=MONTHLY;BYSETPOS=1", "name them"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "no day ever"),
    ] {
        let what = compiled(rule, from).unwrap_err();
        assert!(what.contains(says), "{rule}: {what}");
    }
    assert!(compiled("FREQ=DAILY", Some(date(1700, 1, 1))).is_err());
    assert!(compiled(&"FREQ=DAILY;".repeat(100), from).is_err());
}

/// One day of the week that a week begins on, as the number of days after Monday.
fn offset(text: &str) -> i8 {
    i8::try_from(WEEKDAYS.iter().position(|(word, _)| *word == text).unwrap()).unwrap()
}

fn shift(day: Date, days: i32) -> Date {
    day.checked_add(jiff::Span::new().days(days)).unwrap()
}

/// The first day of the week that this day lies in.
fn week_start(day: Date, wkst: i8) -> Date {
    shift(day, -i32::from((day.weekday().to_monday_zero_offset() - wkst).rem_euclid(7)))
}

/// The number of the week and how many weeks its year has: week 1 is the first with four days in its year.
fn week_number(day: Date, wkst: i8) -> (i32, i32) {
    let of_year = |year: i16| week_start(date(year, 1, 4), wkst);
    let start = week_start(day, wkst);
    let year = if start < of_year(day.year()) {
        day.year() - 1
    } else if start >= of_year(day.year() + 1) {
        day.year() + 1
    } else {
        day.year()
    };
    let weeks = |from: Date, to: Date| from.until(to).unwrap().get_days() / 7;
    (weeks(of_year(year), start) + 1, weeks(of_year(year), of_year(year + 1)))
}

struct Oracle<'a> {
    parts: Vec<(&'a str, &'a str)>,
    from: Date,
}

impl Oracle<'_> {
    fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.split(',').collect())
    }

    fn numbers(&self, name: &str) -> Option<Vec<i32>> {
        Some(self.list(name)?.iter().map(|number| number.parse().unwrap()).collect())
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.list(name).map(|list| list[0])
    }

    fn wkst(&self) -> i8 {
        self.one("WKST").map_or(0, offset)
    }

    /// Which year, month, week or day this is, counted from the one that the rule begins in.
    fn period(&self, day: Date) -> i32 {
        let months = |day: Date| i32::from(day.year()) * 12 + i32::from(day.month());
        match self.one("FREQ").unwrap() {
            "YEARLY" => i32::from(day.year() - self.from.year()),
            "MONTHLY" => months(day) - months(self.from),
            "WEEKLY" => {
                week_start(self.from, self.wkst()).until(week_start(day, self.wkst())).unwrap().get_days() / 7
            }
            _ => self.from.until(day).unwrap().get_days(),
        }
    }

    fn by_day(&self, day: Date) -> bool {
        let Some(entries) = self.list("BYDAY") else { return true };
        let in_month = self.one("FREQ") == Some("MONTHLY") || self.list("BYMONTH").is_some();
        let (at, length) = match in_month {
            true => (i32::from(day.day()), i32::from(day.days_in_month())),
            false => (i32::from(day.day_of_year()), i32::from(day.days_in_year())),
        };
        entries.iter().any(|entry| {
            let (ordinal, word) = entry.split_at(entry.len() - 2);
            offset(word) == day.weekday().to_monday_zero_offset()
                && match ordinal.parse::<i32>() {
                    Ok(nth) if nth > 0 => (at + 6) / 7 == nth,
                    Ok(nth) => -((length - at) / 7 + 1) == nth,
                    Err(_) => true,
                }
        })
    }

    fn matches(&self, day: Date) -> bool {
        let within = |name: &str, at: i32, length: i32| {
            self.numbers(name).is_none_or(|numbers| numbers.iter().any(|n| *n == at || *n == at - length - 1))
        };
        let (week, weeks) = week_number(day, self.wkst());
        let named = within("BYMONTH", day.month().into(), 1000)
            && within("BYMONTHDAY", day.day().into(), day.days_in_month().into())
            && within("BYYEARDAY", day.day_of_year().into(), day.days_in_year().into())
            && within("BYWEEKNO", week, weeks)
            && self.by_day(day);
        let says_days = ["BYDAY", "BYMONTHDAY", "BYYEARDAY"].iter().any(|name| self.list(name).is_some());
        let of_from = says_days
            || match self.one("FREQ").unwrap() {
                "DAILY" => true,
                "WEEKLY" => day.weekday() == self.from.weekday(),
                "MONTHLY" => day.day() == self.from.day(),
                _ if self.list("BYWEEKNO").is_some() => day.weekday() == self.from.weekday(),
                _ => {
                    day.day() == self.from.day()
                        && (self.list("BYMONTH").is_some() || day.month() == self.from.month())
                }
            };
        named && of_from
    }

    /// Day by day until `end`, from the beginning of the first period.
    fn days(&self, end: Date) -> Vec<Date> {
        let interval: i32 = self.one("INTERVAL").map_or(1, |interval| interval.parse().unwrap());
        let mut periods: std::collections::BTreeMap<i32, Vec<Date>> = std::collections::BTreeMap::new();
        // A period more at the end: its set must be whole where BYSETPOS picks from it.
        let (mut day, last) = (shift(self.from, -366), shift(end, 367));
        while day <= last {
            let period = self.period(day);
            if period >= 0 && period % interval == 0 && self.matches(day) {
                periods.entry(period).or_default().push(day);
            }
            day = shift(day, 1);
        }
        let positions = self.numbers("BYSETPOS");
        let picked = periods.values().flat_map(|set| {
            let length = i32::try_from(set.len()).unwrap();
            let picks = |at: usize| {
                let at = i32::try_from(at).unwrap() + 1;
                positions.as_ref().is_none_or(|picks| picks.iter().any(|p| *p == at || *p == at - length - 1))
            };
            set.iter().enumerate().filter(move |(at, _)| picks(*at)).map(|(_, day)| *day).collect::<Vec<_>>()
        });
        let until = self.one("UNTIL").and_then(parse_day).unwrap_or(end);
        let count = self.one("COUNT").map_or(usize::MAX, |count| count.parse().unwrap());
        picked
            .filter(|day| *day >= self.from && *day <= until)
            .take(count)
            .filter(|day| *day <= end)
            .collect()
    }
}

fn list(range: std::ops::RangeInclusive<i32>, signed: bool) -> impl Strategy<Value = String> {
    let one = (range, any::<bool>())
        .prop_map(move |(number, minus)| if signed && minus { -number } else { number });
    proptest::collection::vec(one, 1..4)
        .prop_map(|list| list.iter().map(i32::to_string).collect::<Vec<_>>().join(","))
}

fn weekdays(ordinals: i32) -> impl Strategy<Value = String> {
    let one = (0..7_usize, -ordinals..=ordinals).prop_map(|(day, nth)| match nth {
        0 => WEEKDAYS[day].0.to_owned(),
        nth => format!("{nth}{}", WEEKDAYS[day].0),
    });
    proptest::collection::vec(one, 1..4).prop_map(|list| list.join(","))
}

fn maybe(
    name: &'static str,
    value: impl Strategy<Value = String> + 'static,
) -> impl Strategy<Value = String> {
    proptest::option::of(value)
        .prop_map(move |value| value.map_or(String::new(), |value| format!(";{name}={value}")))
}

fn rules() -> impl Strategy<Value = String> {
    let ends = prop_oneof![
        Just(String::new()),
        (1..40_u32).prop_map(|count| format!(";COUNT={count}")),
        (2026..2031_u32, 1..13_u32).prop_map(|(year, month)| format!(";UNTIL={year}{month:02}15")),
    ];
    let days = prop_oneof![
        (
            maybe("BYMONTH", list(1..=12, false)),
            maybe("BYMONTHDAY", list(1..=31, true)),
            maybe("BYDAY", weekdays(4))
        )
            .prop_map(|(a, b, c)| format!("YEARLY{a}{b}{c}")),
        (maybe("BYYEARDAY", list(1..=366, true)), maybe("BYDAY", weekdays(0)))
            .prop_map(|(a, b)| format!("YEARLY{a}{b}")),
        weekdays(53).prop_map(|days| format!("YEARLY;BYDAY={days}")),
        (list(1..=53, true), maybe("BYDAY", weekdays(0)))
            .prop_map(|(a, b)| format!("YEARLY;BYWEEKNO={a}{b}")),
        (
            maybe("BYMONTH", list(1..=12, false)),
            maybe("BYMONTHDAY", list(1..=31, true)),
            maybe("BYDAY", weekdays(5))
        )
            .prop_map(|(a, b, c)| format!("MONTHLY{a}{b}{c}")),
        (maybe("BYMONTH", list(1..=12, false)), maybe("BYDAY", weekdays(0)))
            .prop_map(|(a, b)| format!("WEEKLY{a}{b}")),
        (
            maybe("BYMONTH", list(1..=12, false)),
            maybe("BYMONTHDAY", list(1..=31, true)),
            maybe("BYDAY", weekdays(0))
        )
            .prop_map(|(a, b, c)| format!("DAILY{a}{b}{c}")),
    ];
    let wkst = (0..7_usize).prop_map(|day| WEEKDAYS[day].0.to_owned());
    let interval = (1..5_u32).prop_map(|interval| interval.to_string());
    (days, ends, maybe("WKST", wkst), maybe("INTERVAL", interval), maybe("BYSETPOS", list(1..=3, true)))
        .prop_map(|(days, ends, wkst, interval, positions)| {
            // RFC 5545 §3.3.10: BYSETPOS only beside another BY part.
            let positions = if days.contains(";BY") { positions } else { String::new() };
            // Which years a week of two years counts to is not said; without INTERVAL nor BYSETPOS it does not matter.
            match days.contains("BYWEEKNO") {
                true => format!("FREQ={days}{ends}{wkst}"),
                false => format!("FREQ={days}{ends}{wkst}{interval}{positions}"),
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_compiled_rule_is_what_going_through_the_days_finds(rule in rules(), year in 2024..2028_i16, at in 0..365_i32) {
        let from = shift(date(year, 1, 1), at);
        let end = date(2033, 6, 30);
        let oracle = Oracle { parts: rule.split(';').filter_map(|part| part.split_once('=')).collect(), from };
        let expected = oracle.days(end);
        match compiled(&rule, Some(from)) {
            Ok(set) => {
                let found: Vec<Date> = set.days().take_while(|day| *day <= end).collect();
                prop_assert_eq!(found, expected, "{} from {}", rule, from);
            }
            Err(what) => prop_assert!(expected.is_empty(), "{rule} from {from}: {what}"),
        }
    }

    #[test]
    fn no_text_makes_it_panic(rule in "(FREQ=(YEARLY|MONTHLY|WEEKLY|DAILY|X);?)?((BYDAY|BYMONTH|COUNT|INTERVAL|UNTIL|BYWEEKNO|BYSETPOS|WKST|é)=[-+0-9A-Zé,]{0,12};?){0,4}") {
        let _ = compiled(&rule, None);
        let _ = compiled(&rule, Some(date(2026, 2, 28)));
    }
}
