//! sipp as a phone. A scenario of `tests/peers/` runs once against the daemon, and its exit code says whether every message
//! came as the scenario wants it.

use super::{PATIENCE, address, port, ports, until};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What a scenario speaks over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Udp,
    Tcp,
}

/// A running sipp. Ended when dropped.
pub struct Sipp {
    child: Child,
    scenario: &'static str,
    /// Its error and message files.
    dir: TempDir,
    pub local: SocketAddr,
}

/// How to run a scenario.
pub struct Scenario<'a> {
    name: &'static str,
    daemon: SocketAddr,
    over: Over,
    keys: Vec<(&'a str, String)>,
    /// User and password of its digests.
    credentials: Option<(&'a str, String)>,
    /// Length of its pause: ringing before the answer, or talk before the BYE.
    pause_ms: u32,
    status: u16,
}

impl<'a> Scenario<'a> {
    /// `name` is a file of `tests/peers/`.
    pub fn new(name: &'static str, daemon: SocketAddr) -> Scenario<'a> {
        Scenario {
            name,
            daemon,
            over: Over::Udp,
            keys: Vec::new(),
            credentials: None,
            pause_ms: 0,
            status: 0,
        }
    }

    pub fn over(mut self, over: Over) -> Self {
        self.over = over;
        self
    }

    /// The user that it is; the password of user `x` is `pw-x` in all of these tests' rules.
    pub fn user(mut self, user: &'a str) -> Self {
        self.keys.push(("user", user.to_owned()));
        self.credentials = Some((user, format!("pw-{user}")));
        self
    }

    /// Another password than the right one.
    pub fn password(mut self, password: &str) -> Self {
        if let Some((_, right)) = &mut self.credentials {
            *right = password.to_owned();
        }
        self
    }

    pub fn key(mut self, name: &'a str, value: impl ToString) -> Self {
        self.keys.push((name, value.to_string()));
        self
    }

    pub fn pause_ms(mut self, pause_ms: u32) -> Self {
        self.pause_ms = pause_ms;
        self
    }

    /// The final status of a `caller_refused`.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Starts it and waits until its socket is bound.
    pub fn start(self) -> Sipp {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/peers")
            .join(self.name)
            .with_extension("xml");
        let text = fs::read_to_string(&source).unwrap_or_else(|why| panic!("{}: {why}", source.display()));
        let scenario = dir.path().join("scenario.xml");
        fs::write(&scenario, text.replace("{status}", &self.status.to_string())).expect("written");
        let local = SocketAddr::new(address().into(), port());
        let mut command = Command::new("sipp");
        command
            .arg(self.daemon.to_string())
            .args(["-sf", "scenario.xml", "-m", "1", "-nostdin", "-bind_local", "-trace_err", "-trace_msg"])
            .args(["-error_file", "errors", "-message_file", "messages"])
            .args(["-i", &local.ip().to_string(), "-p", &local.port().to_string()])
            .args(["-mp", &ports(8).to_string(), "-d", &self.pause_ms.to_string()])
            .args(["-t", if self.over == Over::Tcp { "t1" } else { "u1" }])
            .args(["-timeout", &format!("{}s", PATIENCE.as_secs()), "-timeout_error"]);
        if let Some((user, password)) = &self.credentials {
            command.args(["-au", user, "-ap", password]);
        }
        for (key, value) in &self.keys {
            command.args(["-key", key, value]);
        }
        let child = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("stderr")).expect("created"))
            .spawn()
            .expect("sipp is installed (.ci/packages test)");
        Sipp { child, scenario: self.name, dir, local }
    }

    /// Runs it to its end, which has to be the one that the scenario wants.
    pub fn run(self) {
        self.start().succeeds();
    }
}

impl Sipp {
    /// Waits until it listens, so that a call finds it.
    pub fn listening(self) -> Sipp {
        until(&format!("{} to listen", self.scenario), || is_bound(self.local).then_some(()));
        self
    }

    /// Waits for its end, which has to be the one that the scenario wants.
    pub fn succeeds(mut self) {
        let status =
            until(&format!("{} to end", self.scenario), || self.child.try_wait().expect("a child of ours"));
        assert!(status.success(), "{} failed ({status}):\n{}", self.scenario, self.traces());
    }

    fn traces(&self) -> String {
        let read = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        format!("{}{}\n{}", read("stderr"), read("errors"), read("messages"))
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.scenario, self.traces());
        }
    }
}

/// Whether a socket of this machine is bound to `address`, by the kernel's own table.
fn is_bound(address: SocketAddr) -> bool {
    let std::net::IpAddr::V4(ip) = address.ip() else { return false };
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port());
    ["/proc/net/udp", "/proc/net/tcp"].iter().any(|table| {
        fs::read_to_string(table).is_ok_and(|text| {
            text.lines().any(|line| line.split_whitespace().nth(1) == Some(wanted.as_str()))
        })
    })
}
