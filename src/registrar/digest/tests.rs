//! Digest, as a phone and as an attacker meet it.

use super::*;
use crate::registrar::nonce::{COUNTS_MAX, NONCE_LIFETIME_S};
use crate::sip::Writer;
use std::collections::HashSet;
use std::time::{Duration, Instant};

const REALM: &str = "harbour.example";
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 10));

struct Guard {
    digest: Digest,
    now: Now,
}

/// What a phone puts into its credentials, each to be bent by a test.
#[derive(Clone)]
struct Answer<'a> {
    user: &'a str,
    password: &'a str,
    nonce: String,
    algorithm: Algorithm,
    nc: Option<&'a str>,
    uri: &'a str,
}

impl Guard {
    #[allow(clippy::disallowed_methods)] // an origin for virtual time
    fn new() -> Guard {
        let digest = Digest::new([7; 32], vec![Algorithm::Md5, Algorithm::Sha256]);
        let wall = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        Guard { digest, now: Now { mono: Instant::now(), wall } }
    }

    fn pass_s(&mut self, seconds: i64) {
        self.now.mono += Duration::from_secs(seconds.unsigned_abs());
        self.now.wall += jiff::SignedDuration::from_secs(seconds);
    }

    fn nonce(&mut self, realm: &str) -> String {
        let challenge = self.digest.challenge(self.now, realm, HERE, false).remove(0);
        Credentials::parse(&format!("{challenge}, username=u, uri=u, response=r, nc=1, cnonce=c"))
            .unwrap()
            .nonce
            .to_owned()
    }

    fn answer(&mut self) -> Answer<'static> {
        let nonce = self.nonce(REALM);
        let (user, password, uri) = ("101a", "secret", "sip:harbour.example");
        Answer { user, password, nonce, algorithm: Algorithm::Md5, nc: Some("00000001"), uri }
    }

    fn verify(&mut self, answer: &Answer<'_>) -> Verdict {
        self.judge(&register(&[answer.field()]))
    }

    fn judge(&mut self, request: &Message) -> Verdict {
        self.digest.verify(self.now, REALM, HERE, request, &secret)
    }
}

impl Answer<'_> {
    fn field(&self) -> String {
        let Answer { user, nonce, uri, algorithm, .. } = self;
        let word = algorithm.word();
        let ha1 = auth::ha1(*algorithm, user, REALM, self.password);
        let mut field = format!(
            "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={word}"
        );
        if let Some(nc) = self.nc {
            field += &format!(", qop=auth, nc={nc}, cnonce=\"c\"");
        }
        let unsigned = format!("{field}, response=\"\"");
        let response = auth::response(*algorithm, &ha1, "REGISTER", &Credentials::parse(&unsigned).unwrap());
        format!("{field}, response=\"{response}\"")
    }
}

fn register(fields: &[String]) -> Message {
    let mut writer = Writer::request("REGISTER", "sip:harbour.example");
    for field in fields {
        writer.header(Name::Authorization, field);
    }
    Message::parse(writer.finish()).unwrap()
}

fn device() -> Account {
    Account::Device(DeviceKey { domain: REALM.into(), device: "101a".into() })
}

fn secret(user: &str) -> Option<(Account, Ha1)> {
    let ha1 = |algorithm| Some(auth::ha1(algorithm, "101a", REALM, "secret"));
    (user == "101a").then(|| (device(), Ha1 { md5: ha1(Algorithm::Md5), sha256: ha1(Algorithm::Sha256) }))
}

#[test]
fn no_secret_is_shown() {
    let known = secret("101a");
    let shown = format!("{known:?}");
    let (_, ha1) = known.unwrap();
    for ha1 in [ha1.md5.unwrap(), ha1.sha256.unwrap()] {
        assert!(!shown.contains(&**ha1), "{shown}");
    }
}

#[test]
fn challenges_stand_in_the_configured_order_and_offer_auth() {
    let mut guard = Guard::new();
    let fields = guard.digest.challenge(guard.now, REALM, HERE, false);
    assert!(fields[0].contains("algorithm=MD5") && fields[1].contains("algorithm=SHA-256"));
    assert!(fields.iter().all(|field| field.contains("qop=\"auth\"") && !field.contains("stale")));
    let stale = guard.digest.challenge(guard.now, REALM, HERE, true);
    assert!(stale.iter().all(|field| field.ends_with("stale=true")));
}

#[test]
fn no_two_challenges_share_a_nonce() {
    let mut guard = Guard::new();
    let nonces: HashSet<String> = (0..1_000).map(|_| guard.nonce(REALM)).collect();
    assert_eq!(nonces.len(), 1_000);
}

#[test]
fn the_right_secret_is_verified_with_either_algorithm() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut guard = Guard::new();
        let answer = Answer { algorithm, ..guard.answer() };
        assert_eq!(guard.verify(&answer), Verdict::Verified(device()));
    }
}

#[test]
fn a_wrong_secret_and_a_missing_user_get_the_same_verdict() {
    let mut guard = Guard::new();
    let answer = guard.answer();
    assert_eq!(guard.verify(&Answer { password: "guess", ..answer.clone() }), Verdict::Wrong);
    assert_eq!(guard.verify(&Answer { user: "nobody", ..answer.clone() }), Verdict::Wrong);
}

#[test]
fn a_secret_is_judged_by_an_answer_to_our_challenge_alone() {
    let mut guard = Guard::new();
    let answer = guard.answer();
    let right = register(&[answer.field()]);
    let wrong = register(&[Answer { password: "guess", ..answer.clone() }.field()]);
    // A nonce that was sent to another address, whose answer shows nothing about the sender: right and wrong look the same.
    for request in [&right, &wrong] {
        assert_eq!(guard.digest.verify(guard.now, REALM, ELSEWHERE, request, &secret), Verdict::Stale);
    }
    let mapped = "::ffff:198.51.100.9".parse().unwrap();
    assert_eq!(
        guard.digest.verify(guard.now, REALM, mapped, &wrong, &secret),
        Verdict::Wrong,
        "the same host"
    );
    for nonce in ["x".to_owned(), "0".repeat(64)] {
        for password in ["guess", "secret"] {
            let answer = Answer { nonce: nonce.clone(), password, ..answer.clone() };
            assert_eq!(guard.verify(&answer), Verdict::Stale, "not ours");
        }
    }
    guard.pass_s(NONCE_LIFETIME_S + 1);
    for request in [&right, &wrong] {
        assert_eq!(guard.judge(request), Verdict::Stale, "too old");
    }
}

#[test]
fn what_stands_in_for_a_missing_ha1_opens_nothing() {
    let mut guard = Guard::new();
    let nonce = guard.nonce(REALM);
    let fields = "realm=\"harbour.example\", uri=\"sip:harbour.example\", algorithm=MD5";
    let unsigned = format!("Digest username=\"nobody\", {fields}, nonce=\"{nonce}\", response=\"\"");
    let credentials = Credentials::parse(&unsigned).unwrap();
    let response = auth::response(Algorithm::Md5, no_ha1(Algorithm::Md5), "REGISTER", &credentials);
    let signed = unsigned.replace("response=\"\"", &format!("response=\"{response}\""));
    assert_eq!(guard.judge(&register(&[signed])), Verdict::Wrong);
}

#[test]
fn a_nonce_serves_while_its_count_rises() {
    let mut guard = Guard::new();
    let answer = guard.answer();
    let mut with = |nc| guard.verify(&Answer { nc: Some(nc), ..answer.clone() });
    assert_eq!(with("00000001"), Verdict::Verified(device()));
    assert_eq!(with("00000001"), Verdict::Stale, "a replay");
    assert_eq!(with("0000000a"), Verdict::Verified(device()));
    assert_eq!(with("00000002"), Verdict::Stale, "lower than one seen");
    assert_eq!(with("0000000b"), Verdict::Verified(device()));
}

#[test]
fn a_client_without_qop_uses_a_nonce_once() {
    let mut guard = Guard::new();
    let answer = Answer { nc: None, ..guard.answer() };
    assert_eq!(guard.verify(&answer), Verdict::Verified(device()));
    assert_eq!(guard.verify(&answer), Verdict::Stale);
}

#[test]
fn a_nonce_is_stale_after_its_lifetime_and_when_it_is_not_ours() {
    let mut guard = Guard::new();
    let (early, late) = (guard.answer(), guard.answer());
    guard.pass_s(NONCE_LIFETIME_S);
    assert_eq!(guard.verify(&early), Verdict::Verified(device()));
    guard.pass_s(1);
    assert_eq!(guard.verify(&late), Verdict::Stale);
    guard.pass_s(-2 * NONCE_LIFETIME_S);
    assert_eq!(guard.verify(&late), Verdict::Stale, "made in the future: the clock was set back");
    let other_realm = guard.nonce("other.example");
    for nonce in ["".to_owned(), "0".repeat(64), "x".repeat(64), "+".repeat(64), other_realm] {
        let answer = Answer { nonce, ..guard.answer() };
        assert_eq!(guard.verify(&answer), Verdict::Stale);
    }
}

#[test]
fn a_nonce_of_another_key_is_stale_as_after_a_restart() {
    let mut guard = Guard::new();
    let answer = guard.answer();
    guard.digest = Digest::new([8; 32], vec![Algorithm::Md5]);
    assert_eq!(guard.verify(&answer), Verdict::Stale);
}

#[test]
fn credentials_for_another_realm_or_algorithm_count_as_none() {
    let mut guard = Guard::new();
    let field = guard.answer().field();
    assert_eq!(guard.judge(&register(&[])), Verdict::Missing);
    assert_eq!(guard.judge(&register(&[field.replace("realm=\"harbour", "realm=\"x")])), Verdict::Missing);
    assert_eq!(
        guard.judge(&register(&[field.replace("algorithm=MD5", "algorithm=MD5-sess")])),
        Verdict::Missing
    );
    assert_eq!(guard.judge(&register(&["Basic dTpw".to_owned()])), Verdict::Missing);
    guard.digest = Digest::new([7; 32], vec![Algorithm::Sha256]);
    assert_eq!(guard.judge(&register(&[field])), Verdict::Missing, "MD5 isn't offered");
}

#[test]
fn the_credentials_of_our_realm_are_found_among_others() {
    let mut guard = Guard::new();
    let ours = guard.answer().field();
    let other = ours.replace("realm=\"harbour", "realm=\"x");
    assert_eq!(guard.judge(&register(&[other, ours])), Verdict::Verified(device()));
}

#[test]
fn broken_credentials_are_malformed() {
    let mut guard = Guard::new();
    let field = guard.answer().field();
    for broken in [
        "Digest".to_owned() + " username=\"101a\"",
        field.replace(", nc=00000001", ""),
        field.replace("nc=00000001", "nc=zz"),
        field.replace("qop=auth", "qop=auth-int"),
    ] {
        assert_eq!(guard.judge(&register(std::slice::from_ref(&broken))), Verdict::Malformed, "{broken}");
    }
}

#[test]
fn the_digest_uri_may_differ_in_port_and_user_but_not_in_host() {
    let mut guard = Guard::new();
    for uri in ["sip:Harbour.example:5060", "sip:101@harbour.example;transport=udp"] {
        let answer = Answer { uri, ..guard.answer() };
        assert_eq!(guard.verify(&answer), Verdict::Verified(device()), "{uri}");
    }
    for uri in ["sip:elsewhere.example", "/", ""] {
        let answer = Answer { uri, ..guard.answer() };
        assert_eq!(guard.verify(&answer), Verdict::Malformed, "{uri}");
    }
}

#[test]
fn a_forgotten_count_makes_its_nonce_stale_and_never_good_again() {
    let mut guard = Guard::new();
    let first = guard.answer();
    assert_eq!(guard.verify(&first), Verdict::Verified(device()));
    let nonces = &mut guard.digest.nonces;
    let now_s = guard.now.wall.as_second();
    for _ in 0..COUNTS_MAX {
        let nonce = nonces.make(now_s, REALM, HERE);
        let nonce = nonces.read(&nonce, REALM, HERE).unwrap();
        assert!(guard.digest.counts.take(now_s, &device(), nonce, Some(1)));
    }
    assert_eq!(guard.digest.counts.len(), COUNTS_MAX);
    for nc in ["00000001", "00000002"] {
        assert_eq!(guard.verify(&Answer { nc: Some(nc), ..first.clone() }), Verdict::Stale);
    }
}

#[test]
fn counts_of_expired_nonces_are_forgotten() {
    let mut guard = Guard::new();
    for _ in 0..3 {
        let answer = guard.answer();
        guard.verify(&answer);
    }
    assert_eq!(guard.digest.counts.len(), 3);
    guard.pass_s(NONCE_LIFETIME_S + 1);
    for _ in 0..2 {
        let answer = guard.answer();
        guard.verify(&answer);
    }
    assert_eq!(guard.digest.counts.len(), 2);
}

proptest::proptest! {
    #[test]
    fn no_text_is_a_nonce_but_ours(text in ".{0,80}") {
        let nonces = crate::registrar::nonce::Nonces::new(&[1; 32]);
        proptest::prop_assert_eq!(nonces.read(&text, REALM, HERE), None);
    }

    #[test]
    fn any_change_of_a_nonce_breaks_it(at in 0..64usize, digit in "[0-9a-f]") {
        let mut nonces = crate::registrar::nonce::Nonces::new(&[1; 32]);
        let mut text = nonces.make(1_800_000_000, REALM, HERE);
        let same = text[at..=at] == digit;
        text.replace_range(at..=at, &digit);
        proptest::prop_assert_eq!(nonces.read(&text, REALM, HERE).is_some(), same);
    }
}
