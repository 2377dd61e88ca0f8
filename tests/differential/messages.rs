//! Drawn messages, read by all three. Ours has to read every one as it was meant; each of the others has to where it is right, and where it
//! is not, this file says so, and a test holds it to that.

use crate::drawn::{Draw, Drawn, TRAITS, Trait, draw};
use crate::readers::{EZK, OURS, RSIP, Reader, Reading, differences};
use proptest::prelude::*;

/// What a reader gets wrong of a message that has a trait: the traits, and what of it.
type Wrong = (Trait, &'static [&'static str]);

const PARTIES: &[&str] = &["from", "from-tag", "from-display", "to", "to-tag", "to-display"];

const RSIP_WRONG: &[Wrong] = &[
    // Fields by their short names are fields of no meaning to it.
    (Trait::Compact, PARTIES),
    (Trait::Compact, &["branch", "call-id", "contacts", "via", "vias"]),
    (Trait::Blanks, &["message"]),
    (Trait::Fold, &["message"]),
    // It cuts at a `<` or `;` in quotes.
    (Trait::Quoted, PARTIES),
    (Trait::Value, PARTIES),
    (Trait::Ipv6, &["message", "branch", "contacts", "via"]),
    (Trait::Ipv6, PARTIES),
    (Trait::Marks, &["message", "contacts", "from", "to"]),
    // It takes a field for one value.
    (Trait::List, &["contacts", "vias"]),
    (Trait::Extension, &["message", "cseq"]),
];

/// A `\\"` ends a display name for it.
const EZK_WRONG: &[Wrong] = &[(Trait::Pair, PARTIES)];

/// As the reader sees it: what it has no word for is left out.
fn seen(reader: &Reader, text: &str) -> Option<Reading> {
    (reader.read)(text.as_bytes())
}

fn wrong_of<'a>(wrong: &'a [Wrong], traits: &[Trait]) -> Vec<&'a str> {
    wrong.iter().filter(|(of, _)| traits.contains(of)).flat_map(|(_, keys)| keys.iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn we_read_every_message_as_it_is_meant(draw in draw(), traits in proptest::sample::subsequence(&TRAITS[..], 0..=TRAITS.len())) {
        let Drawn { text, meaning } = draw.write(&traits);
        let read = seen(&OURS, &text);
        prop_assert_eq!(differences(Some(&meaning), read.as_ref()), Vec::<&str>::new(), "{} is read as {:?}", text, read);
    }

    #[test]
    fn both_others_read_it_so_too_where_they_are_right(draw in draw(), traits in proptest::sample::subsequence(&TRAITS[..], 0..=TRAITS.len())) {
        let Drawn { text, meaning } = draw.write(&traits);
        for (reader, wrong) in [(RSIP, RSIP_WRONG), (EZK, EZK_WRONG)] {
            let wrong = wrong_of(wrong, &traits);
            if wrong.contains(&"message") {
                continue;
            }
            let read = seen(&reader, &text);
            let mut differ = differences(Some(&meaning), read.as_ref());
            differ.retain(|key| !wrong.contains(key));
            prop_assert_eq!(differ, Vec::<&str>::new(), "{} reads {} as {:?}", reader.name, text, read);
        }
    }
}

/// A list of mistakes that nobody makes any more would hide ours.
#[test]
fn what_is_said_of_the_others_is_so() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    for (reader, wrong) in [(RSIP, RSIP_WRONG), (EZK, EZK_WRONG)] {
        for (of, keys) in wrong {
            for key in *keys {
                let fails = (0..64).any(|_| {
                    let draw: Draw = draw().new_tree(&mut runner).unwrap().current();
                    let Drawn { text, meaning } = draw.write(&[*of]);
                    differences(Some(&meaning), seen(&reader, &text).as_ref()).contains(key)
                });
                assert!(fails, "{} reads {key} right where there is {of:?}", reader.name);
            }
        }
    }
}
