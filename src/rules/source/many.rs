//! Domains of so many users that several threads read, check and compile them: nobody must be able to tell.

use super::super::compile::{Domain, Secrets};
use super::super::diagnostic::Files;
use super::super::shares::by_threads;
use super::load_at;
use crate::rules::check::trial::now;
use proptest::prelude::*;
use std::fmt::Write as _;

/// Enough for several shares of each kind of work.
const USERS: usize = 300;

const TOP: &str = r#"schema = 1
[domain]
name = "many.test"
timezone = "America/New_York"
country = "US"
[list.spam]
numbers = ["+1900.", "+12125550199"]
[list.good]
numbers = ["+12125550199"]
[list.unused]
numbers = ["+1901."]
[time_frame.morning]
weekly = ["mon-fri 08:00-11:59"]
[time_frame.afternoon]
weekly = ["mon-fri 12:00-17:00"]
[time_frame.narrow]
weekly = ["mon 09:00-10:00"]
[trunk.t]
proxy = "t.example"
screens_caller_id = true
[class.national]
match = ["+1."]
[[route]]
classes = ["emergency", "national"]
via = ["t"]
"#;

/// Keys of a user of which nothing, a warning or an error is said; `N` is another user.
const KEYS: [&str; 9] = [
    "",
    "allow = [\"list:good\"]\nblock = [\"list:spam\"]\n",
    "white_list = [\"user:uN\"]\n",
    "timezone = \"Europe/Paris\"\n",
    "caller_id = { external = { number = \"+12125550173\" } }\n",
    "moh = \"nowhere\"\n",
    "exst = \"7\"\n",
    "call_waiting = false\ncall_paths = 7\n",
    "voicemail.enabled = false\n",
];

/// The same of the rules.
const RULES: [&str; 7] = [
    "",
    "when = \"morning\"\nforward.always = \"user:uN\"\n",
    "when = \"afternoon\"\nring.targets = [\"self\", \"user:uN\", \"tel:+12125550173\"]\n",
    "when = [\"morning\", \"narrow\"]\nforward.no_answer = \"user:uN\"\n",
    "when = \"narrow\"\nring.strategy = \"sequential\"\nring.each = \"200s\"\n",
    "when = \"narrow\"\nforward.busy = { to = \"tel:+12125550174\", caller_id = \"original\" }\n",
    "when = \"never\"\n",
];

/// A file a user: their keys, their rules, and whom they name.
fn files(users: &[(usize, [usize; 3], usize)]) -> Files {
    let mut files = Files([("domain.toml".into(), TOP.into())].into());
    for (user, (keys, rules, other)) in users.iter().enumerate() {
        let keys = KEYS[*keys];
        let other = if *other == user { (user + 1) % USERS } else { *other };
        let mut text = format!("[user.u{user}]\next = \"{}\"\n{keys}", 1000 + user);
        let _ = write!(
            text,
            "[device.p{user}]\nuser = \"u{user}\"\nauth = {{ user = \"p{user}\", secret = \"env:P\" }}\n"
        );
        for (at, rule) in rules.iter().filter(|rule| **rule > 0).enumerate() {
            let _ = write!(text, "[[user.u{user}.rule]]\nname = \"Rule {at}\"\n{}", RULES[*rule]);
        }
        let _ = write!(text, "[[user.u{user}.rule]]\nname = \"Default\"\nwhen = \"always\"\n");
        files
            .0
            .insert(format!("users/{user:04}.toml").into(), text.replace("uN", &format!("u{other}")).into());
    }
    files
}

/// What is said of the files, and what they compile to.
fn outcome(files: &Files) -> (Vec<crate::rules::Diagnostic>, Option<Vec<u8>>) {
    let loaded = load_at(files, Some(now()));
    let domain = loaded.model.map(|model| Domain::compile(&model, Secrets::default(), 1));
    (loaded.diagnostics, domain.and_then(Result::ok).map(|domain| domain.encoded().to_vec()))
}

fn users(keys: usize, rules: usize) -> impl Strategy<Value = Vec<(usize, [usize; 3], usize)>> {
    let user = (0..keys, [0..rules, 0..rules, 0..rules], 0..USERS + 1);
    prop::collection::vec(user, USERS..USERS + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn several_threads_find_and_compile_what_one_does(users in users(KEYS.len(), RULES.len()), threads in 2_usize..5) {
        let files = files(&users);
        let (alone, together) = (by_threads(1, || outcome(&files)), by_threads(threads, || outcome(&files)));
        prop_assert!(alone.0.iter().any(|finding| finding.code == "conditional-loop" || finding.code == "dangling"));
        prop_assert_eq!(alone, together);
    }

    #[test]
    fn several_threads_compile_what_one_does(users in users(4, 6), threads in 2_usize..5) {
        // Rules that hide none, and nobody who sends every call on: a domain of an error compiles to nothing.
        let right = |(keys, [a, b, c], other): &(usize, [usize; 3], usize)| {
            (*keys, [[0, 2][a % 2], [0, 4, 5][b % 3], [0, 3][c % 2]], other % USERS)
        };
        let files = files(&users.iter().map(right).collect::<Vec<_>>());
        let (alone, together) = (by_threads(1, || outcome(&files)), by_threads(threads, || outcome(&files)));
        prop_assert!(alone.1.is_some(), "{:?}", alone.0.first());
        prop_assert_eq!(alone, together);
    }
}
