use super::*;
use crate::net::clock;
use crate::sip::auth::Credentials;
use crate::sip::challenge::Secret;
use proptest::prelude::*;

const CONTACT: &str = "sip:office@192.0.2.1:5060";
const MEANS: Means<'_> = Means { uri: "sip:carrier.example", contact: CONTACT, word: 0 };

fn account() -> Account {
    let login = Login { user: "office".into(), secret: Secret::Password("secret".to_owned().into()) };
    Account { user: "office".into(), login: Some(login), expires: Duration::from_secs(600), bulk: false }
}

/// One registration, its virtual clock, and what it last sent.
struct Bench {
    registration: Registration,
    now: Now,
    sent: Vec<Next>,
}

impl Bench {
    fn begun() -> Bench {
        let mut bench =
            Bench { registration: Registration::new(account()), now: clock::now(), sent: Vec::new() };
        let next = bench.registration.begin(MEANS);
        bench.sent.extend(next);
        bench
    }

    fn registered() -> Bench {
        let mut bench = Bench::begun();
        bench.hears(200, &format!("Contact: <{CONTACT}>;expires=600\r\n"));
        bench
    }

    /// A response; whether another REGISTER follows at once.
    fn hears(&mut self, status: u16, fields: &str) -> bool {
        let text = format!("SIP/2.0 {status} Word\r\n{fields}Content-Length: 0\r\n\r\n");
        let response = Message::parse(text.into()).unwrap();
        let next = self.registration.response(self.now, &response, MEANS);
        self.sent.extend(next.clone());
        next.is_some()
    }

    /// Goes to the next deadline; how long that took, and whether a REGISTER follows.
    fn waits(&mut self) -> (Duration, bool) {
        let at = self.registration.deadline().expect("a deadline");
        let waited = at.saturating_duration_since(self.now.mono);
        self.now.mono = at;
        let next = self.registration.timeout(self.now, MEANS);
        self.sent.extend(next.clone());
        (waited, next.is_some())
    }

    fn last(&self) -> &Next {
        self.sent.last().expect("a REGISTER")
    }
}

fn challenge(nonce: &str, more: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"c\", nonce=\"{nonce}\", qop=\"auth\"{more}\r\n")
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_challenge_is_answered_and_the_next_refresh_answers_it_unasked() {
    let mut bench = Bench::begun();
    assert_eq!((bench.last().cseq, &bench.last().credentials), (1, &None));
    assert!(bench.hears(401, &challenge("1", "")));
    assert!(!bench.hears(200, ""));
    assert!(bench.registration.is_registered(bench.now.mono));
    assert!(bench.waits().1, "the refresh");
    let (field, value) = bench.last().credentials.clone().unwrap();
    let read = Credentials::parse(&value).unwrap();
    assert_eq!((field, read.nonce, read.nc), (Name::Authorization, "1", Some(2)));
    let numbers: Vec<u32> = bench.sent.iter().map(|next| next.cseq).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_nonce_that_has_grown_stale_is_replaced_without_losing_the_registration() {
    let mut bench = Bench::begun();
    bench.hears(401, &challenge("1", ""));
    bench.hears(200, "");
    bench.waits();
    assert!(bench.hears(401, &challenge("2", "")), "a new nonce is answered, whether or not it says stale");
    assert!(bench.hears(401, &challenge("3", ", stale=true")), "and again where that alone was at fault");
    assert!(bench.registration.is_registered(bench.now.mono));
    bench.hears(200, "");
    assert!(matches!(bench.registration.standing(), Standing::Registered { .. }));
}

#[test]
fn a_refusal_and_wrong_credentials_stop_it() {
    let mut bench = Bench::begun();
    assert!(!bench.hears(403, ""));
    assert_eq!(bench.registration.standing(), Standing::Refused { why: "403 Word".to_owned() });
    assert_eq!(bench.registration.deadline(), None);

    let mut bench = Bench::begun();
    bench.hears(401, &challenge("1", ""));
    assert!(!bench.hears(401, &challenge("2", "")));
    let why = "401 Word: the credentials are wrong".to_owned();
    assert_eq!(bench.registration.standing(), Standing::Refused { why });
    assert!(bench.registration.begin(MEANS).is_some(), "the rules are applied anew");
}

#[test]
fn a_refresh_comes_before_the_end_with_room_for_a_try_more() {
    for (granted, from, to) in [(600, 450, 540), (120, 66, 80), (60, 25, 30), (1, 0, 1)] {
        for word in [0, 7, u64::MAX / 3, u64::MAX] {
            let after = refresh_after(s(granted), word);
            assert!(s(from) <= after && after <= s(to) && after < s(granted), "{granted} s: {after:?}");
        }
    }
}

#[test]
fn what_the_trunk_grants_counts_and_not_what_was_asked_for() {
    let mut bench = Bench::begun();
    bench.hears(
        200,
        &format!("Contact: <sip:x@192.0.2.9>;expires=7, <{CONTACT}>;expires=120\r\nExpires: 9\r\n"),
    );
    assert_eq!(bench.registration.standing(), Standing::Registered { until: bench.now.mono + s(120) });
    let mut bench = Bench::begun();
    bench.hears(200, "Contact: <sip:office@198.51.100.7:6666>;expires=90\r\n");
    let until = bench.now.mono + s(90);
    assert_eq!(bench.registration.standing(), Standing::Registered { until }, "rewritten for NAT");
    let mut bench = Bench::begun();
    bench.hears(200, "Expires: 70\r\n");
    assert_eq!(bench.registration.standing(), Standing::Registered { until: bench.now.mono + s(70) });
}

#[test]
fn an_interval_too_brief_is_raised_once() {
    let mut bench = Bench::begun();
    assert_eq!(bench.last().expires_s, 600);
    assert!(bench.hears(423, "Min-Expires: 1800\r\n"));
    assert_eq!(bench.last().expires_s, 1800);
    assert!(!bench.hears(423, "Min-Expires: 3600\r\n"), "a trunk that goes on raising is waited for");
    let mut bench = Bench::begun();
    assert!(!bench.hears(423, "Min-Expires: 4000000\r\n"), "nobody binds us for weeks");
}

#[test]
fn a_retry_after_is_obeyed_and_a_longest_one_holds() {
    for (field, expected) in [("120 (maintenance);duration=60", 120), ("4000000000", 3600)] {
        let mut bench = Bench::begun();
        assert!(!bench.hears(503, &format!("Retry-After: {field}\r\n")));
        assert_eq!(bench.waits(), (s(expected), true));
    }
}

#[test]
fn failures_wait_longer_and_longer_and_a_success_forgets_them() {
    let mut bench = Bench::begun();
    let mut longest = Duration::ZERO;
    for _ in 0..12 {
        assert!(bench.registration.failed(bench.now, "no response", MEANS).is_none());
        let (waited, sends) = bench.waits();
        assert!(sends && waited >= longest && waited <= BACKOFF_MAX, "{waited:?}");
        longest = waited;
    }
    assert_eq!(longest, BACKOFF_MAX / 2, "the word is 0: the least of what chance gives");
    bench.hears(200, "");
    assert_eq!(bench.registration.failures(), 0);
}

#[test]
fn a_refresh_that_fails_is_tried_again_while_the_registration_holds_and_then_it_lapses() {
    let mut bench = Bench::registered();
    let end = bench.now.mono + s(600);
    bench.waits();
    bench.registration.failed(bench.now, "no response", MEANS);
    assert!(bench.registration.is_registered(bench.now.mono));
    let (waited, sends) = bench.waits();
    assert!(sends && waited <= s(30), "{waited:?}");
    bench.now.mono = end;
    assert!(bench.registration.timeout(bench.now, MEANS).is_none(), "one REGISTER at a time");
    assert!(!bench.registration.is_registered(bench.now.mono));
    assert_eq!(bench.registration.standing(), Standing::Registering);
}

#[test]
fn it_is_taken_back_after_the_one_under_way_and_answers_a_challenge_for_it() {
    let mut bench = Bench::registered();
    bench.waits(); // the refresh is under way
    assert!(bench.registration.leave(bench.now, MEANS).is_none(), "never two at a time");
    assert!(bench.hears(200, ""));
    assert_eq!(bench.last().expires_s, 0);
    assert!(bench.hears(401, &challenge("9", "")));
    assert_eq!(bench.last().expires_s, 0);
    assert!(!bench.hears(200, ""));
    assert!(bench.registration.has_left());
}

#[test]
fn a_trunk_that_is_gone_holds_nobody_up() {
    let mut bench = Bench::registered();
    assert!(bench.registration.leave(bench.now, MEANS).is_some());
    assert_eq!(bench.waits(), (LEAVE_WITHIN, false));
    assert!(bench.registration.has_left());
    let mut bench = Bench::begun();
    bench.hears(403, "");
    assert!(bench.registration.leave(bench.now, MEANS).is_none());
    assert!(bench.registration.has_left(), "nothing to take back");
}

#[test]
fn without_a_secret_nothing_is_sent() {
    let mut registration = Registration::new(Account { login: None, ..account() });
    assert!(registration.begin(MEANS).is_none());
    assert_eq!(registration.standing(), Standing::Waiting);
}

proptest! {
    /// Whatever a trunk says and in what order: CSeq only rises, there is always something to wait for unless it was refused, and time
    /// never stands still.
    #[test]
    fn it_never_gets_stuck(steps in prop::collection::vec((0..9_u8, any::<u64>()), 1..60)) {
        let mut bench = Bench::begun();
        for (what, word) in steps {
            let means = Means { word, ..MEANS };
            match what {
                0 => drop(bench.hears(200, "")),
                1 => drop(bench.hears(401, &challenge(&word.to_string(), ""))),
                2 => drop(bench.hears(407, &format!("Proxy-Authenticate: Digest realm=\"p\", nonce=\"{word}\", stale=true\r\n"))),
                3 => drop(bench.hears(503, &format!("Retry-After: {word}\r\n"))),
                4 => drop(bench.hears(423, &format!("Min-Expires: {}\r\n", word % 100_000))),
                5 => drop(bench.registration.failed(bench.now, "no response", means)),
                6 => drop(bench.hears(200, "Expires: 0\r\n")),
                7 => drop(bench.hears(403, "")),
                _ => {
                    let next = bench.registration.begin(means);
                    bench.sent.extend(next);
                }
            }
            let waits = bench.registration.deadline();
            let under_way = matches!(bench.registration.state, State::Trying { .. });
            prop_assert!(waits.is_some() || under_way || bench.registration.is_refused());
            if !under_way && waits.is_some() {
                prop_assert!(waits > Some(bench.now.mono));
                bench.waits();
                prop_assert!(bench.registration.deadline().is_none_or(|at| at > bench.now.mono));
            }
        }
        prop_assert!(bench.sent.windows(2).all(|pair| pair[0].cseq < pair[1].cseq));
    }
}
