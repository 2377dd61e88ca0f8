//! The digest scheme (RFC 7616) against Python's library: it answers our challenges, and we answer as it does.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use ringtree::net::clock;
use ringtree::registrar::binding::DeviceKey;
use ringtree::registrar::digest::{Account, Digest, Ha1, Verdict};
use ringtree::sip::auth::{self, Algorithm};
use ringtree::sip::challenge::{Login, Secret, Session};
use ringtree::sip::{Message, Name, Writer};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9));
const ROUNDS: usize = 400;

#[derive(Clone, Debug)]
struct Asked {
    user: String,
    password: String,
    realm: String,
    method: &'static str,
    uri: String,
    algorithm: Algorithm,
    cnonce: String,
}

prop_compose! {
    fn asked()(
        user in "[a-zA-Z0-9@._é-]{1,16}",
        password in "[ -~éß漢]{0,24}",
        realm in "[a-z0-9.é-]{1,12}( [a-z]{1,6})?",
        method in prop_oneof![Just("REGISTER"), Just("INVITE"), Just("SUBSCRIBE"), Just("BYE")],
        uri in "sip:([a-z0-9+]{1,8}@)?[a-z]{1,8}\\.example(:[1-9][0-9]{3})?(;transport=tcp)?",
        sha in any::<bool>(),
        cnonce in "[a-f0-9]{8,32}",
    ) -> Asked {
        let algorithm = if sha { Algorithm::Sha256 } else { Algorithm::Md5 };
        Asked { user, password, realm, method, uri, algorithm, cnonce }
    }
}

/// The library, in a process of its own.
struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Python {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/digest.py");
        let mut child = Command::new("python3")
            .arg(script)
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed (.ci/packages test)");
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Python { child, to, from }
    }

    /// Its credentials for a challenge.
    fn answer(&mut self, asked: &Asked, password: &str, challenge: &str) -> String {
        let Asked { user, method, uri, cnonce, .. } = asked;
        let line = serde_json::json!({
            "user": user, "password": password, "method": method, "uri": uri, "challenge": challenge, "cnonce": cnonce,
        });
        writeln!(self.to, "{line}").unwrap();
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("Digest "), "no answer to {challenge}");
        answer.trim_end().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drawn(runner: &mut TestRunner) -> Asked {
    asked().new_tree(runner).unwrap().current()
}

fn verdict(digest: &mut Digest, asked: &Asked, credentials: &str) -> Verdict {
    let mut request = Writer::request(asked.method, &asked.uri);
    request.header(Name::Authorization, credentials);
    let request = Message::parse(request.finish()).unwrap();
    let secret = |user: &str| {
        let ha1 = |algorithm| Some(auth::ha1(algorithm, user, &asked.realm, &asked.password));
        let known = Ha1 { md5: ha1(Algorithm::Md5), sha256: ha1(Algorithm::Sha256) };
        (user == asked.user).then(|| (account(), known))
    };
    digest.verify(clock::now(), &asked.realm, HERE, &request, &secret)
}

fn account() -> Account {
    Account::Device(DeviceKey { domain: "pbx.example".into(), device: "101a".into() })
}

#[test]
fn python_answers_our_challenges_and_is_let_in_with_the_right_secret_alone() {
    let mut python = Python::start();
    let mut runner = TestRunner::deterministic();
    for _ in 0..ROUNDS {
        let asked = drawn(&mut runner);
        let mut digest = Digest::new([7; 32], vec![asked.algorithm]);
        let mut challenge = || digest.challenge(clock::now(), &asked.realm, HERE, false).remove(0);
        let (one, other) = (challenge(), challenge());
        let right = python.answer(&asked, &asked.password, &one);
        assert_eq!(verdict(&mut digest, &asked, &right), Verdict::Verified(account()), "{asked:?}: {right}");
        let wrong = python.answer(&asked, &format!("{}x", asked.password), &other);
        assert_eq!(verdict(&mut digest, &asked, &wrong), Verdict::Wrong, "{asked:?}: {wrong}");
    }
}

#[test]
fn we_answer_a_challenge_as_python_does() {
    let mut python = Python::start();
    let mut runner = TestRunner::deterministic();
    let part = |credentials: &str, name: &str| {
        let at = credentials.find(&format!("{name}=\"")).expect("it is there") + name.len() + 2;
        credentials[at..].split('"').next().unwrap().to_owned()
    };
    for round in 0..ROUNDS {
        let asked = drawn(&mut runner);
        // Servers that ask without qop are answered as RFC 2069 had it (RFC 7616 §3.4.1 leaves it to old ones).
        let qop = if round % 4 == 0 { "" } else { ", qop=\"auth\"" };
        let challenge = format!(
            "Digest realm=\"{}\", nonce=\"n{round}\", algorithm={}{qop}, opaque=\"o\"",
            asked.realm,
            asked.algorithm.word()
        );
        let mut response = Writer::response(401, "Unauthorized");
        response.header(Name::WwwAuthenticate, &challenge);
        let response = Message::parse(response.finish()).unwrap();
        let login = Login {
            user: Arc::from(asked.user.as_str()),
            secret: Secret::Password(asked.password.clone().into()),
        };
        let (mut session, _) = Session::of(&login, &response).expect("it can be answered");
        let (_, ours) = session.credentials(asked.method, &asked.uri, &asked.cnonce);
        let theirs = python.answer(&asked, &asked.password, &challenge);
        for name in ["response", "username", "realm", "nonce", "uri", "opaque"] {
            assert_eq!(part(&ours, name), part(&theirs, name), "{name} of {asked:?}");
        }
    }
}
