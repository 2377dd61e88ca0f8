//! Known secrets go through the real daemon, in registrations and calls that go well and that don't; then everything that it has said is
//! looked through for each of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that can't go on has failed

mod office;
mod sip;
#[path = "../support/mod.rs"]
mod support;

use office::Office;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use support::daemon::{Home, binary, certificate};
use support::until;

/// What is never to be seen, by what it is.
#[derive(Default)]
pub struct Secrets(Vec<(String, String)>);

impl Secrets {
    pub fn add(&mut self, what: &str, text: impl Into<String>) {
        let text = text.into();
        assert!(text.len() >= 8, "{what} would be found by chance");
        self.0.push((what.to_owned(), text));
    }

    fn assert_not_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            let Some(at) = text.find(secret.as_str()) else { continue };
            let (start, end) = (
                text[..at].rfind('\n').unwrap_or(0),
                text[at..].find('\n').map_or(text.len(), |end| at + end),
            );
            panic!("{what} stands in {place}: {}", &text[start..end]);
        }
    }
}

#[test]
fn no_secret_is_in_anything_that_the_daemon_says() {
    let office = Office::open();
    let mut secrets = office.secrets();
    let events = office.follow();

    office.phones_register_right_and_wrong();
    office.trunks_register_right_and_wrong();
    office.a_call_with_keys(&mut secrets);
    office.calls_that_fail();
    office.calls_by_the_gateway_right_and_wrong();
    office.a_conference_with_its_pin(&events);
    office.a_call_for_help(&mut secrets);
    office.edits_right_and_wrong(&mut secrets);
    office.daemon.hang_up(); // SIGHUP
    office.daemon.logged("SIGHUP");

    let said = office.everything_that_is_told();
    assert!(said.len() > 40, "only {} places were looked at", said.len());
    for (place, text) in &said {
        secrets.assert_not_in(place, text);
    }
    let places = |text: &str| said.iter().filter(|(_, said)| said.contains(text)).count();
    assert!(places("plain:***") >= 3, "secrets are masked where rules are shown");
    assert!(places("alice") >= 10, "it is about them");
    secrets.assert_not_in("the events", &events.text());
    for told in
        ["registration.added", "call.ended", "conference.joined", "emergency", "alarm", "stranger.shut_out"]
    {
        assert!(events.text().contains(told), "{told} is among the events: {}", events.text());
    }
    // SIGTERM: what is said at the end is said, too.
    office.stop();
    let log = std::fs::read_to_string(office.home.path().join("daemon.log")).unwrap();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "everything is logged: {log}");
    assert!(log.contains("stopped"), "to the end: {log}");
    secrets.assert_not_in("the log", &log);
}

#[test]
fn a_mistake_beside_a_secret_shows_the_line_without_it() {
    let mut secrets = Secrets::default();
    for secret in ["tulip-Anvil-3391", "8041725369", "0123456789abcdef0123456789abcdef", "granite-Mail-7720"]
    {
        secrets.add("a secret in the wrong place", secret);
    }
    let domain = format!(
        "schema = 1\n[domain]\nname = \"{}\"\ntimezone = \"Etc/UTC\"\ncountry = \"US\"\n",
        sip::DOMAIN
    );
    let rules = [
        "[device.x]\nauth = { usr = \"x\", secret = \"plain:tulip-Anvil-3391\" }\n",
        "[device.x]\nauth = { user = \"x\", secret = \"tulip-Anvil-3391\" }\n",
        "[device.x]\nauth = { user = \"x\", secret = \"ha1:0123456789abcdef0123456789abcdef0\" }\n",
        "[device.x]\nauth = { user = \"x\", secret = [\"plain:tulip-Anvil-3391\"] }\n",
        "[device.x]\nuser = \"nobody\"\nauth = { user = \"x\", secret = \"plain:tulip-Anvil-3391\" }\n",
        "[conference.c]\next = \"820\"\npin = \"8041725369\"\n",
        "[conference.c]\next = \"820\"\npin = 8041725369\n",
        "[conference.c]\next = \"820\"\nmoderator_pin = \"plain:8041725369\" colour = 1\n",
        "[trunk.t]\nregister = { user = \"u\", secret = \"plain:tulip-Anvil-3391\", expire = \"1m\" }\n",
        "[device.x]\nauth = { user = \"x\", secret = \"plain:tulip-Anvil-3391\n",
    ];
    for rule in rules {
        let home = Home::new(sip::DOMAIN, &[("domain.toml", &format!("{domain}{rule}"))]);
        for arguments in [&["check", "rules"][..], &["check", "rules", "--json"], &["run"], &["fmt", "rules"]]
        {
            let ran = Command::new(binary()).args(arguments).current_dir(home.path()).output().unwrap();
            let said =
                String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
            assert!(arguments[0] == "fmt" || said.contains("domain.toml"), "{rule}: {said}");
            secrets.assert_not_in(&format!("what {arguments:?} says of {rule}"), &said);
        }
    }
    let home = Home::new(sip::DOMAIN, &[("domain.toml", &domain)]);
    let before = std::fs::read_to_string(home.path().join("ringtree.toml")).unwrap();
    for mail in [
        "smtp = \"smpt://me:granite-Mail-7720@mail.example\"",
        "smtp = \"smtps://me:granite-Mail-7720@\"",
        "smtp = \"smtps://me:granite-Mail-7720@mail.example:99999\"",
        "smpt = \"smtps://me:granite-Mail-7720@mail.example\"",
        "smtp = [\"smtps://me:granite-Mail-7720@mail.example\"]",
        "smtp = \"smtps://me:granite-Mail-7720@mail.example",
    ] {
        std::fs::write(home.path().join("ringtree.toml"), format!("{before}[mail]\n{mail}\n")).unwrap();
        let ran = Command::new(binary()).arg("run").current_dir(home.path()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(2), "{mail}: {said}");
        secrets.assert_not_in(&format!("what `run` says of {mail}"), &said);
    }
}

#[test]
fn a_crash_leaves_no_core_and_nobody_else_reads_the_memory() {
    // Somebody who is not root, where we are.
    const SOMEBODY: u32 = 54_325;
    let root = rustix::process::geteuid().is_root();
    let home = Home::new(sip::DOMAIN, &[("domain.toml", office::RULES_OF_NOBODY)]);
    if root {
        let all =
            std::process::Command::new("chown").arg("-R").arg(SOMEBODY.to_string()).arg(home.path()).status();
        assert!(all.unwrap().success());
    }
    let as_somebody = |command: &mut Command| {
        if root {
            command.uid(SOMEBODY).gid(SOMEBODY);
        }
    };
    // Cores are allowed: what is not written is not written by the daemon's own will.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$0\" run"]).arg(binary()).current_dir(home.path());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    as_somebody(&mut command);
    let mut daemon = command.spawn().unwrap();
    until("the admin socket", || {
        std::os::unix::net::UnixStream::connect(home.path().join("admin.sock")).ok()
    });
    for file in ["environ", "mem", "maps"] {
        let mut reads = Command::new("head");
        reads
            .args(["-c", "1", &format!("/proc/{}/{file}", daemon.id())])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        as_somebody(&mut reads);
        let ran = reads.output().unwrap();
        let why = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(
            why.contains("denied") || why.contains("permitted"),
            "{file} of a process of the same user is read: {why:?}"
        );
    }
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    let ended = daemon.wait().unwrap();
    assert_eq!(ended.signal(), Some(6), "{ended:?}");
    assert!(!ended.core_dumped(), "it has left a core");
    let left = std::fs::read_dir(home.path()).unwrap().map(|file| file.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("core")), "it has left a core");
}

/// Read where the daemon's certificates are read: the key of the test's own certificate is a secret like others.
#[test]
fn the_private_key_of_tls_is_not_said() {
    let key = std::fs::read_to_string(certificate("office.key")).unwrap();
    let mut secrets = Secrets::default();
    for line in key.lines().filter(|line| !line.starts_with('-') && line.len() >= 32) {
        secrets.add("a line of the private key", line);
    }
    let home = Home::new(sip::DOMAIN, &[("domain.toml", office::RULES_OF_NOBODY)]).secure();
    home.configure("[store]", "[log]\nlevel = \"trace\"\n\n[store]");
    let daemon = home.start();
    // Somebody who speaks no TLS, and a key that is no longer one.
    let mut stream = std::net::TcpStream::connect(daemon.tls.unwrap()).unwrap();
    std::io::Write::write_all(&mut stream, b"INVITE sip:x@y SIP/2.0\r\n\r\n").unwrap();
    let wrong = home.path().join("wrong.key");
    std::fs::write(&wrong, key.replace("PRIVATE KEY", "PRIVATE THING")).unwrap();
    home.configure(&certificate("office.key"), &wrong.display().to_string());
    daemon.hang_up();
    daemon.logged("stays as it is");
    drop(daemon);
    secrets.assert_not_in("the log", &std::fs::read_to_string(home.path().join("daemon.log")).unwrap());
}
