//! How a language puts numbers, times and dates together: tables, and no code. The rules of numbers are in the manner of Unicode's
//! rule-based number formats (UTS 35, part 3): the last rule that begins at a number or below it says it, by what its divisor makes of it.
//!
//! To add a language, add its table to [`ALL`], and recordings of the words that it names.

/// One language.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// Its primary subtag (RFC 5646).
    pub tag: &'static str,
    /// In the order of `from`.
    pub cardinals: &'static [Rule],
    pub ordinals: &'static [Rule],
    pub clock: &'static [ClockPart],
    pub date: &'static [DatePart],
    /// Whether so many of something are said in the singular.
    pub is_one: fn(u64) -> bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numeral {
    Cardinal,
    Ordinal,
}

/// Numbers from this one to that one.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub from: u64,
    pub to: u64,
    /// At least 1.
    pub divisor: u64,
    pub parts: &'static [Part],
}

#[derive(Clone, Copy, Debug)]
pub enum Part {
    Word(&'static str),
    /// By how much the number is above the rule's first.
    Own(&'static [&'static str]),
    /// By how often the divisor goes in.
    Tens(&'static [&'static str]),
    /// How often the divisor goes in, said as a number.
    Times,
    /// What is left, said as a number of the same kind; nothing where nothing is.
    Rest,
    IfRest(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub enum ClockPart {
    /// 0 to 23.
    Hour,
    /// 1 to 12.
    HourOfTwelve,
    /// Nothing on the hour; with this word before those below ten.
    Minute(Option<&'static str>),
    OnTheHour(&'static str),
    HalfOfDay(&'static str, &'static str),
    Word(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub enum DatePart {
    Weekday,
    Month,
    /// The first, the second.
    DayInOrder,
    Day,
    Word(&'static str),
}

/// Every language that has a table.
pub const ALL: &[&Language] = &[&ENGLISH];

pub const SMALL: &[&str] = &[
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19",
];
/// By how many tens.
pub const TENS: &[&str] = &["", "", "20", "30", "40", "50", "60", "70", "80", "90"];
const FIRST_ONES: &[&str] = &[
    "0", "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th", "13th",
    "14th", "15th", "16th", "17th", "18th", "19th",
];
pub const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// One of them, and more of them.
pub const UNITS: [(&str, &str); 3] = [("hour", "hours"), ("minute", "minutes"), ("second", "seconds")];

/// As said in the United States: no "and" after the hundreds, noon and midnight on a clock of twelve hours.
pub const ENGLISH: Language = Language {
    tag: "en",
    cardinals: &[
        Rule { from: 0, to: 19, divisor: 1, parts: &[Part::Own(SMALL)] },
        Rule { from: 20, to: 99, divisor: 10, parts: &[Part::Tens(TENS), Part::Rest] },
        Rule { from: 100, to: 999, divisor: 100, parts: &[Part::Times, Part::Word("hundred"), Part::Rest] },
        Rule {
            from: 1000,
            to: 999_999,
            divisor: 1000,
            parts: &[Part::Times, Part::Word("thousand"), Part::Rest],
        },
        Rule {
            from: 1_000_000,
            to: 999_999_999,
            divisor: 1_000_000,
            parts: &[Part::Times, Part::Word("million"), Part::Rest],
        },
    ],
    // Of days: no more is asked for.
    ordinals: &[
        Rule { from: 0, to: 19, divisor: 1, parts: &[Part::Own(FIRST_ONES)] },
        Rule { from: 20, to: 20, divisor: 10, parts: &[Part::Word("20th")] },
        Rule { from: 21, to: 29, divisor: 10, parts: &[Part::Word("20"), Part::Rest] },
        Rule { from: 30, to: 30, divisor: 10, parts: &[Part::Word("30th")] },
        Rule { from: 31, to: 39, divisor: 10, parts: &[Part::Word("30"), Part::Rest] },
    ],
    clock: &[
        ClockPart::HourOfTwelve,
        ClockPart::OnTheHour("oclock"),
        ClockPart::Minute(Some("oh")),
        ClockPart::HalfOfDay("am", "pm"),
    ],
    date: &[DatePart::Weekday, DatePart::Month, DatePart::DayInOrder],
    is_one: |count| count == 1,
};
