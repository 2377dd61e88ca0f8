//! The messages of RFC 4475 and RFC 5118, read by all three: where one of the others reads otherwise than we do is in a list, with who is
//! right.

use crate::readers::{EZK, OURS, RSIP, differences};
use std::collections::BTreeMap;
use std::path::Path;

/// A message, and what of it is read otherwise.
type Read = (&'static str, &'static str);

/// Who reads otherwise than we do, why ours stands, and what.
const DIFFER: &[(&str, &str, &[Read])] = &[
    (
        "ezk",
        "a quote that is not closed: no To to us (400, RFC 4475 §3.1.2.6)",
        &[("quotbal", "to to-display")],
    ),
    (
        "ezk",
        "a quoted pair, and other turns of the grammar (RFC 3261 §25.1)",
        &[("wsinv", "contacts from from-display from-tag")],
    ),
    (
        "ezk",
        "an empty element of a list: we read none of that Via and answer 400, it reads what is before",
        &[("badinv01", "via vias")],
    ),
    ("ezk", "blanks in the Request-URI: none to us (400, RFC 4475 §3.1.2.8)", &[("lwsruri", "request-uri")]),
    (
        "ezk",
        "blanks inside the brackets: we take them, as RFC 4475 §3.1.2.14 allows",
        &[("badaspec", "to to-display")],
    ),
    (
        "ezk",
        "headers of a URI without brackets: no Contact to us (400, RFC 4475 §3.1.2.13)",
        &[("regbadct", "contacts")],
    ),
    (
        "ezk",
        "it refuses the whole message, of which we read what is sound and answer the rest (RFC 4475 §3.1.2, RFC 5118 §4)",
        &[
            ("baddn", "message"),
            ("badvers", "message"),
            ("bigcode", "message"),
            ("ipv6-bad", "message"),
            ("ipv6-bug-abnf-3-colons", "message"),
            ("ipv6-correct-abnf-2-colons", "message"),
            ("ltgtruri", "message"),
            ("novelsc", "message"),
            ("trws", "message"),
            ("unkscm", "message"),
        ],
    ),
    (
        "ezk",
        "it unescapes a branch, which is compared as written (RFC 3261 §17.1.3)",
        &[("intmeth", "branch")],
    ),
    (
        "ezk",
        "schemes other than sip: a URI to us, an error to it",
        &[("unksm2", "contacts from from-tag to")],
    ),
    ("ezk", "two lengths: we say 400 (RFC 4475 §3.3.9), it takes the first", &[("mcl01", "body")]),
    (
        "rsip",
        "a Request-URI in brackets, or of another scheme",
        &[("ltgtruri", "request-uri"), ("novelsc", "request-uri")],
    ),
    (
        "rsip",
        "a dot in the user is part of the host to it",
        &[
            ("badaspec", "from to to-display"),
            ("badinv01", "to via vias"),
            ("clerr", "to"),
            ("invut", "to"),
            ("mismatch01", "to"),
            ("ncl", "to"),
            ("regaut01", "from to"),
        ],
    ),
    (
        "rsip",
        "a quote that is not closed: no To to us (400, RFC 4475 §3.1.2.6)",
        &[("quotbal", "to to-display")],
    ),
    (
        "rsip",
        "it does not read folds, short names, blanks before a colon, escapes, IPv6 references, other schemes, or methods that it does not know",
        &[
            ("baddn", "body call-id cseq from from-display from-tag max-forwards request-uri to to-display"),
            ("badvers", "message"),
            ("bigcode", "message"),
            ("esc01", "message"),
            ("esc02", "message"),
            ("escruri", "message"),
            ("intmeth", "message"),
            ("ipv4-mapped-ipv6", "message"),
            ("ipv6-bad", "message"),
            ("ipv6-bug-abnf-3-colons", "message"),
            ("ipv6-correct-abnf-2-colons", "message"),
            ("ipv6-good", "message"),
            ("ipv6-in-sdp", "message"),
            ("longreq", "message"),
            ("lwsruri", "message"),
            ("lwsstart", "message"),
            ("mismatch02", "message"),
            ("mult-ip-in-header", "message"),
            ("mult-ip-in-sdp", "message"),
            ("port-ambiguous", "message"),
            ("port-unambiguous", "message"),
            ("regescrt", "contacts"),
            ("scalar02", "message"),
            ("semiuri", "message"),
            ("trws", "message"),
            ("unkscm", "message"),
            ("unksm2", "contacts from to"),
            ("via-received-param-no-delim", "message"),
            ("via-received-param-with-delim", "message"),
            ("wsinv", "message"),
        ],
    ),
    (
        "rsip",
        "what follows a length is not the body (RFC 3261 §18.3)",
        &[("dblreq", "body call-id contacts from to")],
    ),
];

#[test]
fn where_others_read_the_torture_messages_otherwise_is_known() {
    let mut found = BTreeMap::new();
    for directory in ["tests/torture/rfc4475", "tests/torture/rfc5118"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::read(&path).unwrap();
            let ours = (OURS.read)(&bytes);
            for reader in [RSIP, EZK] {
                let differ = differences(ours.as_ref(), (reader.read)(&bytes).as_ref());
                if !differ.is_empty() {
                    found.insert((name.clone(), reader.name), differ.join(" "));
                }
            }
        }
    }
    let known: BTreeMap<_, _> = DIFFER
        .iter()
        .flat_map(|(reader, _, messages)| messages.iter().map(move |(message, what)| (reader, message, what)))
        .map(|(reader, message, what)| (((*message).to_owned(), *reader), (*what).to_owned()))
        .collect();
    let new: Vec<_> = found.iter().filter(|(key, what)| known.get(*key) != Some(what)).collect();
    let gone: Vec<_> = known.iter().filter(|(key, what)| found.get(*key) != Some(what)).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\ngone: {gone:#?}");
}
