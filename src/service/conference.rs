//! What is said around a conference: the question for its PIN, and who comes and goes.

use super::say::{self, Language};
use crate::rules::ConferenceRoom;
use crate::rules::model::Pin;
use crate::voice::Sound;
use crate::voice::collect::Collect;
use crate::voice::digit::Digit;
use std::sync::Arc;
use std::time::Duration;

/// Media takes a moment to get through.
const LEAD: Duration = Duration::from_millis(400);
/// Wrong PINs, or none, before the caller is hung up on.
pub const TRIES_MAX: u8 = 3;
/// The longest PIN that the rules take.
const PIN_DIGITS_MAX: u8 = 15;
/// People who are told of others: in a larger conference everybody would talk of coming and going alone.
pub const TOLD_MAX: usize = 32;

/// How a PIN is entered: with the pound key at its end, or a pause.
#[must_use]
pub fn pin_rules() -> Collect {
    Collect {
        most: PIN_DIGITS_MAX,
        first: Duration::from_secs(10),
        between: Duration::from_secs(4),
        end: Digit::of_char('#'),
    }
}

/// A prompt after another, in the words of a domain.
#[must_use]
pub fn prompts(domain: &Arc<str>, names: &[&'static str]) -> Arc<[Sound]> {
    let prompt = |name: &&'static str| Sound::Prompt { domain: domain.clone(), name };
    [Sound::Pause(LEAD)].into_iter().chain(names.iter().map(prompt)).collect()
}

/// The PINs that let somebody in, the moderators' last.
#[must_use]
pub fn pins(room: &ConferenceRoom) -> Arc<[Pin]> {
    room.pin.iter().chain(&room.moderator_pin).cloned().collect()
}

/// Whoever has given the PIN of that index of [`pins`] moderates. Where no PIN is the moderators', everybody begins a conference.
#[must_use]
pub fn moderates(room: &ConferenceRoom, pin: Option<usize>) -> bool {
    match &room.moderator_pin {
        Some(_) => pin.is_some_and(|pin| pin == usize::from(room.pin.is_some())),
        None => true,
    }
}

/// What whoever comes in hears of those who are there.
#[must_use]
pub fn greeting(language: &Language, others: usize) -> Vec<&'static str> {
    match others {
        0 => vec!["conference-alone"],
        1 => vec!["conference-one"],
        _ => {
            let number = language.number(u64::try_from(others).unwrap_or(u64::MAX));
            ["conference-there-are"].into_iter().chain(number).chain(["conference-others"]).collect()
        }
    }
}

/// What the others hear: who (an extension, or a number), and that they come or go.
#[must_use]
pub fn news(who: &Who, came: bool) -> Vec<&'static str> {
    let mut words = match who {
        Who::Extension(extension) => [vec!["conference-extension"], say::digits(extension)].concat(),
        Who::Number(number) => say::digits(number),
        Who::Nobody => Vec::new(),
    };
    if words.len() < 2 {
        words = vec!["conference-caller"];
    }
    words.push(if came { "conference-came" } else { "conference-left" });
    words
}

/// Who somebody is, as far as others may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Extension(String),
    Number(String),
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(pin: Option<&str>, moderator_pin: Option<&str>) -> ConferenceRoom {
        let pin_of = |pin: &str| Pin::Plain(pin.into());
        ConferenceRoom {
            pin: pin.map(pin_of),
            moderator_pin: moderator_pin.map(pin_of),
            max: None,
            record: false,
            announce: false,
        }
    }

    #[test]
    fn moderators_are_those_with_their_pin_and_everybody_where_there_is_none() {
        for (room, pin, wanted) in [
            (room(None, None), None, true),
            (room(Some("1234"), None), Some(0), true),
            (room(Some("1234"), Some("9876")), Some(0), false),
            (room(Some("1234"), Some("9876")), Some(1), true),
            (room(None, Some("9876")), Some(0), true),
            (room(None, Some("9876")), None, false),
        ] {
            assert_eq!(moderates(&room, pin), wanted, "{room:?} {pin:?}");
        }
    }

    #[test]
    fn who_comes_is_said_by_number_and_how_many_are_there_in_words() {
        let news = |who: Who, came| news(&who, came).join(" ");
        assert_eq!(news(Who::Extension("101".into()), true), "conference-extension 1 0 1 conference-came");
        assert_eq!(news(Who::Number("+1202".into()), false), "1 2 0 2 conference-left");
        for nobody in [Who::Nobody, Who::Number("anonymous".into()), Who::Extension("lobby".into())] {
            assert_eq!(news(nobody, true), "conference-caller conference-came");
        }
        let greeting = |others| greeting(Language::named("en"), others).join(" ");
        assert_eq!(greeting(0), "conference-alone");
        assert_eq!(greeting(1), "conference-one");
        assert_eq!(greeting(22), "conference-there-are 20 2 conference-others");
    }
}
