//! TLS with programs of other people's making: baresip as the phone (Debian's sipp has no TLS), openssl as a carrier with a certificate.

use crate::calls::home;
use crate::office::DOMAIN;
use crate::support::baresip::Baresip;
use crate::support::daemon::{Daemon, Home, certificate, lines_of};
use crate::support::sipp::Over;
use crate::support::{PATIENCE, tone, until};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn baresip_registers_by_tls_and_calls_and_is_called() {
    let home = home().secure();
    let daemon = home.start();
    let tls = daemon.tls.expect("it listens by TLS");
    let mut bob = Baresip::register("bob", tls, Over::Tls, 1000);
    let mut alice = Baresip::register("alice", tls, Over::Tls, 600);
    for registration in daemon.list("/v1/registrations") {
        assert_eq!(registration["transport"], "TLS", "{registration:#}");
    }
    alice.dial("102");
    alice.says("Call established");
    bob.says("Call established");
    bob.listens();
    alice.hang_up();
    bob.says("session closed");
    let heard = tone::measure(&bob.samples(), 600);
    assert!(heard.level > 0.25 && heard.share > 0.95, "bob should hear alice: {heard:?}");
    bob.dial("101");
    bob.says("Call established");
    alice.says("Call established");
    alice.hang_up();
    bob.says("session closed");
    until("both to be recorded", || {
        let records = daemon.list("/v1/records");
        let answered = records.iter().filter(|record| record["outcome"] == "answered").count();
        (answered == 2).then_some(())
    });
}

#[test]
fn one_phone_by_tls_and_one_by_udp_speak_with_each_other() {
    let home = home().secure();
    let daemon = home.start();
    let mut bob = Baresip::register("bob", daemon.udp, Over::Udp, 1000);
    let mut alice = Baresip::register("alice", daemon.tls.expect("it listens by TLS"), Over::Tls, 600);
    bob.dial("101");
    alice.says("Call established");
    bob.says("Call established");
    alice.hang_up();
    bob.says("session closed");
    assert_eq!(daemon.only_record()["outcome"], "answered");
}

const TRUNK: &str = "\n[trunk.carrier]\nproxy = \"carrier.example\"\ntransport = \"tls\"\n";

fn with_trunk() -> Home {
    let domain = format!("{}{TRUNK}", include_str!("rules/domain.toml"));
    Home::new(DOMAIN, &[("domain.toml", &domain)]).secure()
}

/// What a call to nobody's number is answered with, after what TLS has to say: openssl speaks as who its certificate says.
fn answer(daemon: &Daemon, shows: Option<&str>) -> String {
    answer_to(daemon, shows.unwrap_or("nobody"), shows)
}

/// The same, for a call of that name: a branch that was there before would be answered where it came from.
fn answer_to(daemon: &Daemon, call: &str, shows: Option<&str>) -> String {
    let tls = daemon.tls.expect("it listens by TLS").to_string();
    let mut openssl = Command::new("openssl");
    let authority = certificate("authority.pem");
    openssl.args(["s_client", "-quiet", "-verify_return_error", "-CAfile", &authority, "-connect", &tls]);
    openssl.args(["-servername", "sip.harbour.example", "-verify_hostname", "sip.harbour.example"]);
    if let Some(name) = shows {
        openssl.args(["-cert", &certificate(&format!("{name}.pem"))]);
        openssl.args(["-key", &certificate(&format!("{name}.key"))]);
    }
    let mut openssl = openssl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed (.ci/packages test)");
    let invite = format!(
        "INVITE sip:+12025559999@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TLS gateway.carrier.example;branch=z9hG4bK{call}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:+12025550150@carrier.example>;tag=1\r\nTo: <sip:+12025559999@{DOMAIN}>\r\n\
         Call-ID: {call}@carrier.example\r\nCSeq: 1 INVITE\r\nContact: <sip:gateway.carrier.example;transport=tls>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let lines = lines_of(&mut openssl);
    let mut stdin = openssl.stdin.take().expect("a pipe");
    stdin.write_all(invite.as_bytes()).expect("sent");
    let last = loop {
        let line = lines.recv_timeout(PATIENCE).expect("an answer");
        if line.starts_with("SIP/2.0 ") && !line.contains(" 100 ") {
            break line.trim_end().to_owned();
        }
    };
    let _ = openssl.kill();
    let _ = openssl.wait();
    last
}

#[test]
fn a_carrier_is_known_by_its_certificate_and_everybody_else_is_asked_who_they_are() {
    let home = with_trunk();
    let daemon = home.start();
    // A trunk hears that there is no such number; strangers hear the same of every number.
    assert_eq!(answer(&daemon, Some("carrier")), "SIP/2.0 404 Not Found");
    for stranger in [None, Some("stranger"), Some("branch")] {
        assert_eq!(answer(&daemon, stranger), "SIP/2.0 401 Unauthorized", "{stranger:?}");
    }
}

#[test]
fn certificates_are_read_again_by_sighup_and_a_wrong_file_changes_nothing() {
    let home = with_trunk();
    let at = |name: &str| home.path().join(name);
    for (from, to) in [("office.pem", "own.pem"), ("office.key", "own.key")] {
        std::fs::copy(certificate(from), at(to)).expect("copied");
    }
    let file = at("ringtree.toml");
    let text = std::fs::read_to_string(&file).expect("written before");
    let text =
        text.replace(&certificate("office.pem"), "own.pem").replace(&certificate("office.key"), "own.key");
    std::fs::write(&file, text).expect("written");
    let daemon = home.start();
    assert_eq!(answer(&daemon, Some("carrier")), "SIP/2.0 404 Not Found");
    std::fs::copy(certificate("branch.pem"), at("own.pem")).expect("copied");
    daemon.hang_up();
    daemon.logged("own.key is not the key of");
    let second = answer_to(&daemon, "second", Some("carrier"));
    assert_eq!(second, "SIP/2.0 404 Not Found", "by the certificate that it has");
    std::fs::copy(certificate("branch.key"), at("own.key")).expect("copied");
    daemon.hang_up();
    daemon.logged("the certificates are those of the files now");
    let tls = daemon.tls.expect("it listens by TLS").to_string();
    let shown = Command::new("openssl").args(["s_client", "-connect", &tls]).stdin(Stdio::null()).output();
    let shown = String::from_utf8(shown.expect("openssl").stdout).expect("text");
    assert!(shown.contains("subject=CN = branch"), "{shown}");
}
