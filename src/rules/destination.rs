//! `kind:name` as text: what `--to`, a user's forward and tags say.

use super::model::{Destination, Name};
use std::fmt;

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Destination::User(name) => ("user", name),
            Destination::Handset(name) => ("handset", name),
            Destination::Device(name) => ("device", name),
            Destination::Voicemail(name) => ("voicemail", name),
            Destination::Queue(name) => ("queue", name),
            Destination::Attendant(name) => ("attendant", name),
            Destination::Conference(name) => ("conference", name),
            Destination::Hunt(name) => ("hunt", name),
            Destination::Directory(name) => ("directory", name),
            Destination::Announce(name) => ("announce", name),
            Destination::Tel(number) => ("tel", number),
            Destination::Reject(code) => return write!(f, "reject:{code}"),
        };
        write!(f, "{kind}:{name}")
    }
}

/// Reads `kind:name`; whether the name exists is the reader's to ask. `None` for anything else.
#[must_use]
pub fn parse_destination(text: &str) -> Option<Destination> {
    let (kind, rest) = text.split_once(':')?;
    if rest.is_empty() {
        return None;
    }
    let name = Name::from(rest);
    Some(match kind {
        "user" => Destination::User(name),
        "handset" => Destination::Handset(name),
        "device" => Destination::Device(name),
        "voicemail" => Destination::Voicemail(name),
        "queue" => Destination::Queue(name),
        "attendant" => Destination::Attendant(name),
        "conference" => Destination::Conference(name),
        "hunt" => Destination::Hunt(name),
        "directory" => Destination::Directory(name),
        "announce" => Destination::Announce(name),
        "tel" => Destination::Tel(name),
        "reject" => Destination::Reject(rest.parse().ok().filter(|code| (400..700).contains(code))?),
        _ => return None,
    })
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
