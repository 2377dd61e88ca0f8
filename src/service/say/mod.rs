//! Numbers, digits, times of day, dates and durations as lists of prompts, in the order of a language.
//!
//! The names of prompts are the same in every language, and what is said under them is in the recordings; how a language puts them together
//! is a table ([`Language`]). A number that no rule of the table reaches is said digit by digit, so that nothing is left unsaid.

pub mod language;

use jiff::civil::{Date, Time};
pub use language::Language;
use language::{ClockPart, DatePart, Numeral, Part, Rule};
use std::time::Duration;

/// Names of prompts, in order. Bounded by what is said: no number has more than [`WORDS_MAX`], and of digits no more are said.
pub type Words = Vec<&'static str>;

/// Prompts of one thing that is said.
pub const WORDS_MAX: usize = 32;

/// `4` `2` `star`: keys and digits one by one; what is neither is passed over.
#[must_use]
pub fn digits(text: &str) -> Words {
    text.chars().filter_map(key).take(WORDS_MAX).collect()
}

fn key(key: char) -> Option<&'static str> {
    match key {
        '*' => Some("star"),
        '#' => Some("pound"),
        _ => language::SMALL.get(usize::try_from(key.to_digit(10)?).ok()?).copied(),
    }
}

impl Language {
    /// The language of this tag (RFC 5646), or the nearest that there is a table of: what has none is put together as English is.
    #[must_use]
    pub fn named(tag: &str) -> &'static Language {
        let primary = tag.split('-').next().unwrap_or_default();
        let found = language::ALL.iter().find(|language| language.tag.eq_ignore_ascii_case(primary));
        found.copied().unwrap_or(&language::ENGLISH)
    }

    /// A whole number: `twenty` `two`.
    #[must_use]
    pub fn number(&self, number: u64) -> Words {
        self.numeral(Numeral::Cardinal, number)
    }

    /// A place in an order: `twenty` `second`.
    #[must_use]
    pub fn ordinal(&self, number: u64) -> Words {
        self.numeral(Numeral::Ordinal, number)
    }

    fn numeral(&self, numeral: Numeral, number: u64) -> Words {
        let mut words = Words::new();
        match self.put(numeral, number, &mut words) {
            Some(()) if words.len() <= WORDS_MAX => words,
            _ => digits(&number.to_string()),
        }
    }

    /// Each step divides the number, so there are fewer than it has digits.
    fn put(&self, numeral: Numeral, number: u64, words: &mut Words) -> Option<()> {
        let rules = match numeral {
            Numeral::Cardinal => self.cardinals,
            Numeral::Ordinal => self.ordinals,
        };
        let rule = rules.iter().rev().find(|rule| rule.from <= number)?;
        if number > rule.to {
            return None;
        }
        for part in rule.parts {
            self.part(rule, numeral, number, part, words)?;
        }
        Some(())
    }

    fn part(&self, rule: &Rule, numeral: Numeral, number: u64, part: &Part, words: &mut Words) -> Option<()> {
        // A rule without a divisor has words alone.
        let (times, rest) = (number.checked_div(rule.divisor)?, number.checked_rem(rule.divisor)?);
        match part {
            Part::Word(word) => words.push(word),
            Part::Own(list) => {
                words.push(list.get(usize::try_from(number.checked_sub(rule.from)?).ok()?)?);
            }
            Part::Tens(list) => words.push(list.get(usize::try_from(times).ok()?)?),
            Part::Times => self.put(Numeral::Cardinal, times, words)?,
            Part::Rest if rest > 0 => self.put(numeral, rest, words)?,
            Part::IfRest(word) if rest > 0 => words.push(word),
            Part::Rest | Part::IfRest(_) => {}
        }
        Some(())
    }

    /// A time of day, to the minute.
    #[must_use]
    pub fn time(&self, time: Time) -> Words {
        let (hour, minute) = (time.hour().unsigned_abs(), time.minute().unsigned_abs());
        let mut words = Words::new();
        for part in self.clock {
            match part {
                ClockPart::Hour => words.extend(self.number(hour.into())),
                ClockPart::HourOfTwelve => words.extend(self.number(u64::from((hour + 11) % 12 + 1))),
                ClockPart::Minute(below_ten) => match minute {
                    0 => {}
                    1..10 => {
                        words.extend(below_ten.iter());
                        words.extend(self.number(minute.into()));
                    }
                    _ => words.extend(self.number(minute.into())),
                },
                ClockPart::OnTheHour(word) if minute == 0 => words.push(word),
                ClockPart::OnTheHour(_) => {}
                ClockPart::HalfOfDay(before_noon, after_noon) => {
                    words.push(if hour < 12 { before_noon } else { after_noon });
                }
                ClockPart::Word(word) => words.push(word),
            }
        }
        words
    }

    /// A day, with its weekday and without its year.
    #[must_use]
    pub fn date(&self, date: Date) -> Words {
        let mut words = Words::new();
        for part in self.date {
            match part {
                DatePart::Weekday => {
                    let day = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
                    words.extend(language::WEEKDAYS.get(day));
                }
                DatePart::Month => {
                    let month = usize::from(date.month().unsigned_abs());
                    words.extend(month.checked_sub(1).and_then(|month| language::MONTHS.get(month)));
                }
                DatePart::DayInOrder => words.extend(self.ordinal(date.day().unsigned_abs().into())),
                DatePart::Day => words.extend(self.number(date.day().unsigned_abs().into())),
                DatePart::Word(word) => words.push(word),
            }
        }
        words
    }

    /// How long something takes, to the second: `one` `hour` `five` `minutes`. Nothing at all is `zero` `seconds`.
    #[must_use]
    pub fn duration(&self, duration: Duration) -> Words {
        let seconds = duration.as_secs();
        let parts = [seconds / 3600, seconds / 60 % 60, seconds % 60];
        let mut words = Words::new();
        for (count, (one, more)) in parts.into_iter().zip(language::UNITS) {
            if count > 0 {
                words.extend(self.number(count));
                words.push(if (self.is_one)(count) { one } else { more });
            }
        }
        if words.is_empty() {
            words.extend(self.number(0));
            words.push("seconds");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::prompt;
    use jiff::civil;
    use language::ENGLISH;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_said_as_english_says_them() {
        for (number, said) in [
            (0, "0"),
            (13, "13"),
            (20, "20"),
            (42, "40 2"),
            (100, "1 hundred"),
            (312, "3 hundred 12"),
            (1001, "1 thousand 1"),
            (86_400, "80 6 thousand 4 hundred"),
            (7_000_020, "7 million 20"),
            (999_999_999, "9 hundred 90 9 million 9 hundred 90 9 thousand 9 hundred 90 9"),
            (1_000_000_000, "1 0 0 0 0 0 0 0 0 0"),
        ] {
            assert_eq!(ENGLISH.number(number).join(" "), said);
        }
        for (number, said) in [(1, "1st"), (12, "12th"), (20, "20th"), (22, "20 2nd"), (31, "30 1st")] {
            assert_eq!(ENGLISH.ordinal(number).join(" "), said);
        }
    }

    #[test]
    fn keys_are_said_one_by_one() {
        assert_eq!(
            digits("+1 (202) 555-01*#"),
            ["1", "2", "0", "2", "5", "5", "5", "0", "1", "star", "pound"]
        );
        assert_eq!(digits(&"7".repeat(1000)).len(), WORDS_MAX);
        assert!(digits("anonymous").is_empty());
    }

    #[test]
    fn times_dates_and_durations_are_said_as_english_says_them() {
        for ((hour, minute), said) in [
            ((0, 0), "12 oclock am"),
            ((7, 5), "7 oh 5 am"),
            ((12, 30), "12 30 pm"),
            ((23, 59), "11 50 9 pm"),
            ((13, 0), "1 oclock pm"),
        ] {
            assert_eq!(ENGLISH.time(civil::time(hour, minute, 40, 0)).join(" "), said);
        }
        let said = |year, month, day| ENGLISH.date(civil::date(year, month, day)).join(" ");
        assert_eq!(said(2026, 11, 22), "sunday november 20 2nd");
        assert_eq!(said(2028, 2, 29), "tuesday february 20 9th");
        let said = |seconds| ENGLISH.duration(Duration::from_secs(seconds)).join(" ");
        assert_eq!(said(0), "0 seconds");
        assert_eq!(said(1), "1 second");
        assert_eq!(said(3 * 3600 + 60), "3 hours 1 minute");
        assert_eq!(said(3600 + 125), "1 hour 2 minutes 5 seconds");
    }

    #[test]
    fn a_language_without_a_table_is_put_together_as_english_is() {
        for tag in ["en", "EN-gb", "tlh", ""] {
            assert_eq!(Language::named(tag).tag, "en", "{tag}");
        }
    }

    /// German puts the ones before the tens, and the day before the month: a table can say so.
    #[test]
    fn another_order_is_another_table() {
        const RULES: &[Rule] = &[
            Rule { from: 0, to: 19, divisor: 1, parts: &[Part::Own(language::SMALL)] },
            Rule {
                from: 20,
                to: 99,
                divisor: 10,
                parts: &[Part::Rest, Part::IfRest("and"), Part::Tens(language::TENS)],
            },
        ];
        let german = Language {
            cardinals: RULES,
            clock: &[ClockPart::Hour, ClockPart::Word("uhr"), ClockPart::Minute(None)],
            date: &[DatePart::Weekday, DatePart::Word("der"), DatePart::Day, DatePart::Month],
            ..ENGLISH
        };
        assert_eq!(german.number(42).join(" "), "2 and 40");
        assert_eq!(german.time(civil::time(19, 5, 0, 0)).join(" "), "19 uhr 5");
        assert_eq!(german.time(civil::time(0, 0, 0, 0)).join(" "), "0 uhr");
        assert_eq!(german.date(civil::date(2026, 11, 22)).join(" "), "sunday der 2 and 20 november");
        assert_eq!(german.number(20).join(" "), "20");
        assert_eq!(german.number(100).join(" "), "1 0 0", "no rule reaches it");
    }

    fn has_recordings(words: &Words) -> bool {
        !words.is_empty()
            && words.len() <= WORDS_MAX
            && words.iter().all(|word| prompt::built_in(word).is_some())
    }

    proptest! {
        #[test]
        fn whatever_is_said_has_its_recordings(number: u64, seconds: u64, day in 0..200_000_i64, minute in 0..1440_i64) {
            prop_assert!(has_recordings(&ENGLISH.number(number)));
            prop_assert!(has_recordings(&ENGLISH.ordinal(number)));
            prop_assert!(has_recordings(&ENGLISH.duration(Duration::from_secs(seconds % 1_000_000_000))));
            let date = civil::date(1900, 1, 1).saturating_add(jiff::Span::new().days(day));
            prop_assert!(has_recordings(&ENGLISH.date(date)));
            let time = civil::time(0, 0, 0, 0).wrapping_add(jiff::Span::new().minutes(minute));
            prop_assert!(has_recordings(&ENGLISH.time(time)));
        }
    }
}
