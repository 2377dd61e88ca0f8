//! Keys gathered to a number: how many, how long to wait, and which key ends it.

use super::digit::Digit;
use std::time::{Duration, Instant};

/// Keys that are gathered at most, whatever is asked for.
pub const DIGITS_MAX: usize = 64;

/// What is gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collect {
    /// It is over with so many.
    pub most: u8,
    /// How long the first key may take, from the end of what is played.
    pub first: Duration,
    /// And each one after it.
    pub between: Duration,
    /// The key that ends it, and is not part of the number.
    pub end: Option<Digit>,
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Enough,
    EndKey,
    TimeUp,
}

/// A number that is being gathered.
#[derive(Clone, Debug)]
pub struct Collecting {
    rules: Collect,
    digits: String,
    /// `None`: the prompt still plays.
    until: Option<Instant>,
}

impl Collecting {
    #[must_use]
    pub fn new(rules: Collect) -> Collecting {
        Collecting { rules, digits: String::new(), until: None }
    }

    /// What was played is over.
    pub fn prompted(&mut self, now: Instant) {
        if self.until.is_none() {
            self.until = Some(now + self.rules.first);
        }
    }

    /// A key. `Some`: the number is complete.
    pub fn digit(&mut self, now: Instant, digit: Digit) -> Option<Why> {
        if self.rules.end == Some(digit) {
            return Some(Why::EndKey);
        }
        self.digits.push(digit.char());
        self.until = Some(now + self.rules.between);
        let most = usize::from(self.rules.most).min(DIGITS_MAX);
        (self.digits.len() >= most).then_some(Why::Enough)
    }

    /// Whether the time is up.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Why> {
        self.until.is_some_and(|until| until <= now).then_some(Why::TimeUp)
    }

    /// What was gathered.
    #[must_use]
    pub fn digits(self) -> String {
        self.digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Collect = Collect {
        most: 4,
        first: Duration::from_secs(5),
        between: Duration::from_secs(2),
        end: Digit::of_event(11),
    };

    fn key(digit: char) -> Digit {
        Digit::of_char(digit).unwrap()
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn enough_keys_or_the_end_key_or_time_end_it() {
        let start = crate::net::clock::now().mono;
        let mut full = Collecting::new(RULES);
        assert_eq!("123".chars().find_map(|k| full.digit(start, key(k))), None);
        assert_eq!(full.digit(start, key('4')), Some(Why::Enough));
        assert_eq!(full.digits(), "1234");

        let mut ended = Collecting::new(RULES);
        assert_eq!(ended.digit(start, key('7')), None);
        assert_eq!(ended.digit(start, key('#')), Some(Why::EndKey));
        assert_eq!(ended.digits(), "7");

        let mut slow = Collecting::new(RULES);
        assert_eq!(slow.due(after(start, 60_000)), None, "while the prompt plays nobody has to press");
        slow.prompted(start);
        assert_eq!(slow.due(after(start, 4_999)), None);
        assert_eq!(slow.due(after(start, 5_000)), Some(Why::TimeUp));
        slow.digit(after(start, 4_000), key('1'));
        assert_eq!(slow.due(after(start, 5_999)), None);
        assert_eq!(slow.due(after(start, 6_000)), Some(Why::TimeUp));
    }
}
