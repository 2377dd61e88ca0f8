//! sipp as a phone. A scenario of `tests/peers/` runs once against the daemon, and its exit code says whether every message
//! came as the scenario wants it.

use super::{PATIENCE, address, port, ports, until, until_within};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What a scenario speaks over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Udp,
    Tcp,
    /// Not sipp: Debian's is built without it.
    Tls,
}

impl Over {
    /// As sipp calls it.
    pub fn mode(self) -> &'static str {
        match self {
            Over::Udp => "u1",
            Over::Tcp => "t1",
            Over::Tls => "l1",
        }
    }
}

/// A running sipp. Ended when dropped.
pub struct Sipp {
    child: Child,
    scenario: &'static str,
    /// Its error and message files.
    dir: TempDir,
    pub local: SocketAddr,
    patience: Duration,
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
    /// The Event of a `notified`.
    event: &'a str,
    /// What ends a `watcher`.
    until: &'a str,
    /// What a `dial` shows as its From, and what more its INVITE says.
    from: String,
    headers: String,
    max_forwards: u8,
    /// Where it is bound; without, a port of [`address`].
    local: Option<SocketAddr>,
    calls: u32,
    /// Calls a second.
    rate: u32,
    patience: Duration,
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
            event: "",
            until: "",
            from: String::new(),
            headers: String::new(),
            max_forwards: 70,
            local: None,
            calls: 1,
            rate: 10,
            patience: PATIENCE,
        }
    }

    /// The From of a `dial`, without its tag.
    pub fn from(mut self, from: impl ToString) -> Self {
        self.from = from.to_string();
        self
    }

    /// A field more in the INVITE of a `dial`.
    pub fn with(mut self, field: &str) -> Self {
        self.headers += &format!("\n{field}");
        self
    }

    pub fn max_forwards(mut self, hops: u8) -> Self {
        self.max_forwards = hops;
        self
    }

    /// Bound there: a trunk is known by its address.
    pub fn at(mut self, local: SocketAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// So many calls instead of one.
    pub fn calls(mut self, calls: u32) -> Self {
        self.calls = calls;
        self
    }

    pub fn rate(mut self, rate: u32) -> Self {
        self.rate = rate;
        self
    }

    /// It may take so long instead of [`PATIENCE`].
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
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

    /// The Event that a `notified` has to have, as a regular expression.
    pub fn event(mut self, event: &'a str) -> Self {
        self.event = event;
        self
    }

    /// The body, as a regular expression, that ends a `watcher`.
    pub fn until(mut self, until: &'a str) -> Self {
        self.until = until;
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
        let text = text
            .replace("{status}", &self.status.to_string())
            .replace("{event}", self.event)
            .replace("{until}", self.until)
            .replace("{from}", &self.from)
            .replace("{headers}", &self.headers)
            .replace("{max_forwards}", &self.max_forwards.to_string());
        fs::write(&scenario, text).expect("written");
        let local = self.local.unwrap_or_else(|| SocketAddr::new(address().into(), port()));
        let mut command = Command::new("sipp");
        command
            .arg(self.daemon.to_string())
            .args(["-sf", "scenario.xml", "-nostdin", "-bind_local", "-trace_err", "-trace_msg"])
            .args(["-error_file", "errors", "-message_file", "messages"])
            .args(["-m", &self.calls.to_string(), "-r", &self.rate.to_string()])
            .args(["-i", &local.ip().to_string(), "-p", &local.port().to_string()])
            .args(["-mp", &ports(8).to_string(), "-d", &self.pause_ms.to_string()])
            .args(["-t", self.over.mode()])
            .args(["-timeout", &format!("{}s", self.patience.as_secs()), "-timeout_error"]);
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
        Sipp { child, scenario: self.name, dir, local, patience: self.patience }
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
        self.ends_well();
    }

    /// Waits for its end likewise, and gives the INVITEs that it got.
    pub fn invited(mut self) -> Vec<String> {
        self.ends_well();
        self.invites()
    }

    /// The INVITEs that it has got so far.
    pub fn invites(&self) -> Vec<String> {
        let messages = fs::read_to_string(self.dir.path().join("messages")).unwrap_or_default();
        let received = messages.split("message received").skip(1);
        received
            .filter_map(|text| Some(text.split_once("\n\n")?.1))
            .filter(|text| text.starts_with("INVITE "))
            .map(|text| text.split("\r\n\r\n").next().unwrap_or_default().to_owned())
            .collect()
    }

    /// The bodies of the requests of this method that it has got so far.
    pub fn bodies(&self, method: &str) -> Vec<String> {
        let messages = fs::read_to_string(self.dir.path().join("messages")).unwrap_or_default();
        let received = messages.split("message received").skip(1);
        let requests = received.filter_map(|text| Some(text.split_once("\n\n")?.1));
        let of_method = requests.filter(|text| text.strip_prefix(method).is_some_and(|t| t.starts_with(' ')));
        let body = |text: &str| {
            let body = text.split_once("\r\n\r\n").map_or("", |(_, rest)| rest);
            body.split("-----").next().unwrap_or_default().trim().to_owned()
        };
        of_method.map(body).collect()
    }

    /// Waits for its end, which has to be the one that the scenario wants, and gives the bodies of these requests.
    pub fn got(mut self, method: &str) -> Vec<String> {
        self.ends_well();
        self.bodies(method)
    }

    fn ends_well(&mut self) {
        let what = format!("{} to end", self.scenario);
        let status = until_within(self.patience, &what, || self.child.try_wait().expect("a child of ours"));
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
