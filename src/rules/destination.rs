//! `kind:name` as text: what rules, `--to`, a user's forward and tags say. The one reader of it, and the one writer.

use super::model::{Destination, Name};
use super::source::suggest::nearest;
use crate::number::is_e164;
use std::fmt;

/// What makes a destination of a name.
pub(super) type OfName = fn(Name) -> Destination;

/// The words of destinations that have a name. A status, `reject:486`, has none.
const NAMED: [(&str, OfName); 11] = [
    ("user", Destination::User),
    ("handset", Destination::Handset),
    ("device", Destination::Device),
    ("voicemail", Destination::Voicemail),
    ("queue", Destination::Queue),
    ("attendant", Destination::Attendant),
    ("conference", Destination::Conference),
    ("hunt", Destination::Hunt),
    ("directory", Destination::Directory),
    ("announce", Destination::Announce),
    ("tel", Destination::Tel),
];

const REJECT: &str = "reject";

/// Every word that can stand before the `:`.
fn words() -> impl Iterator<Item = &'static str> {
    NAMED.iter().map(|(word, _)| *word).chain([REJECT])
}

/// Why a text is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotADestination<'t> {
    /// There is no `kind:`, or no name behind it.
    Shape,
    UnknownKind(&'t str),
    /// `reject:` and something that refuses no call.
    Status(&'t str),
}

impl NotADestination<'_> {
    /// What is wrong with the text, and what to write instead.
    pub(super) fn says(self, text: &str) -> (String, String) {
        match self {
            NotADestination::Shape => {
                let help = match (is_e164(text), text.strip_suffix(':')) {
                    (true, _) => format!("write `tel:{text}`"),
                    (_, Some(kind)) => format!("write a name behind it: `{kind}:NAME`"),
                    _ => format!("write `kind:name`, as in `user:{text}`"),
                };
                (format!("`{text}` is no destination"), help)
            }
            NotADestination::UnknownKind(word) => {
                let words: Vec<&str> = words().collect();
                let name = text.get(word.len() + 1..).unwrap_or_default();
                let help = match nearest(word, words.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}:{name}`?"),
                    None => format!("it can be {}", words.join(", ")),
                };
                (format!("`{word}` is no kind of destination"), help)
            }
            NotADestination::Status(status) => {
                let message = format!("`{status}` is no status that refuses a call");
                (message, "write one from 400 to 699: `reject:486`".into())
            }
        }
    }
}

impl Destination {
    /// Its kind, as it is written before the `:`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Destination::User(_) => "user",
            Destination::Handset(_) => "handset",
            Destination::Device(_) => "device",
            Destination::Voicemail(_) => "voicemail",
            Destination::Queue(_) => "queue",
            Destination::Attendant(_) => "attendant",
            Destination::Conference(_) => "conference",
            Destination::Hunt(_) => "hunt",
            Destination::Directory(_) => "directory",
            Destination::Announce(_) => "announce",
            Destination::Tel(_) => "tel",
            Destination::Reject(_) => REJECT,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        match self {
            Destination::User(name)
            | Destination::Handset(name)
            | Destination::Device(name)
            | Destination::Voicemail(name)
            | Destination::Queue(name)
            | Destination::Attendant(name)
            | Destination::Conference(name)
            | Destination::Hunt(name)
            | Destination::Directory(name)
            | Destination::Announce(name)
            | Destination::Tel(name) => write!(f, "{word}:{name}"),
            Destination::Reject(code) => write!(f, "{word}:{code}"),
        }
    }
}

/// Reads `kind:name`; whether the name exists is the reader's to ask. `None` for anything else.
#[must_use]
pub fn parse_destination(text: &str) -> Option<Destination> {
    read_destination(text).ok()
}

/// The same, and why not.
pub(super) fn read_destination(text: &str) -> Result<Destination, NotADestination<'_>> {
    Ok(match parts(text)? {
        Parts::Named { of, name, .. } => of(name.into()),
        Parts::Reject(status) => Destination::Reject(status),
    })
}

/// What a destination is written of: whoever knows its name already makes no other of it.
#[derive(Clone, Copy)]
pub(super) enum Parts<'t> {
    Named { word: &'static str, of: OfName, name: &'t str },
    Reject(u16),
}

/// The parts of a text, and why it has none.
pub(super) fn parts(text: &str) -> Result<Parts<'_>, NotADestination<'_>> {
    let (word, rest) = text.split_once(':').ok_or(NotADestination::Shape)?;
    if word == REJECT {
        let status = rest.parse::<u16>().ok().filter(|status| rest.len() == 3 && (400..700).contains(status));
        return status.map(Parts::Reject).ok_or(NotADestination::Status(rest));
    }
    let (word, of) =
        NAMED.iter().find(|(known, _)| *known == word).ok_or(NotADestination::UnknownKind(word))?;
    match rest {
        "" => Err(NotADestination::Shape),
        name => Ok(Parts::Named { word, of: *of, name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_written_destination_reads_as_itself(kind in 0..11_usize, name in "[a-z0-9+*#._-]{1,12}", code in 400..700_u16) {
            let name = Name::from(name);
            let all: [fn(Name) -> Destination; 11] = [
                Destination::User, Destination::Handset, Destination::Device, Destination::Voicemail, Destination::Queue,
                Destination::Attendant, Destination::Conference, Destination::Hunt, Destination::Directory,
                Destination::Announce, Destination::Tel,
            ];
            let destination = all[kind](name);
            prop_assert_eq!(parse_destination(&destination.to_string()), Some(destination));
            let reject = Destination::Reject(code);
            prop_assert_eq!(parse_destination(&reject.to_string()), Some(reject));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = parse_destination(&text);
        }
    }

    #[test]
    fn what_is_no_destination_is_none() {
        for text in ["", "user", "user:", "phone:a1", "reject:200", "reject:x", ":a"] {
            assert_eq!(parse_destination(text), None, "{text}");
        }
    }
}
