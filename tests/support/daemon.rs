//! `ringtree run` as a child process: started on free ports with its own rules and store, ended when dropped.

use super::{PATIENCE, address, clock, ports, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// Lines of output held for a test that does not read them; past it the daemon's pipe fills, and that would show.
pub const LINES_MAX: usize = 65_536;
/// Port pairs of media for one daemon: far more than any of these tests has calls.
const MEDIA_PORTS: u16 = 160;

/// A home for daemons: configuration, rules and store, which outlive each process that runs on them.
pub struct Home {
    dir: TempDir,
}

/// A running daemon.
pub struct Daemon {
    child: Mutex<Child>,
    home: PathBuf,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    /// Where it was told to listen so: [`Home::secure`].
    pub tls: Option<SocketAddr>,
    pub ws: Option<SocketAddr>,
    pub wss: Option<SocketAddr>,
}

/// The certificates of the tests.
pub fn certificate(name: &str) -> String {
    format!("{}/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test: the one cargo built, or the one that `RINGTREE` names (the release build, in `.ci/test`).
pub fn binary() -> PathBuf {
    std::env::var_os("RINGTREE").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ringtree")), PathBuf::from)
}

impl Home {
    /// A domain of these files (name and text), loaded at the first start.
    pub fn new(domain: &str, rules: &[(&str, &str)]) -> Home {
        Home::with_media(domain, rules, MEDIA_PORTS)
    }

    /// The same, with so many port pairs for media.
    pub fn with_media(domain: &str, rules: &[(&str, &str)], pairs: u16) -> Home {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let media = ports(2 * pairs);
        let config = format!(
            "[sip]\ndefault_domain = \"{domain}\"\nlisten = [\"udp://{ip}:0\", \"tcp://{ip}:0\"]\n\n\
             [media]\nlisten = \"{ip}\"\nports = \"{media}-{last}\"\n\n\
             [store]\npath = \"store\"\n\n[admin]\nsocket = \"admin.sock\"\n\n[rules]\nload = [\"rules\"]\n\n[voice]\nrecordings = \"recordings\"\n",
            ip = address(),
            last = media + 2 * pairs - 1,
        );
        std::fs::write(dir.path().join("ringtree.toml"), config).expect("written");
        std::fs::create_dir(dir.path().join("rules")).expect("created");
        for (name, text) in rules {
            std::fs::write(dir.path().join("rules").join(name), text).expect("written");
        }
        Home { dir }
    }

    /// More keys of `[sip]`, for daemons that start from now on.
    pub fn sip(self, keys: &str) -> Home {
        let file = self.path().join("ringtree.toml");
        let text = std::fs::read_to_string(&file).expect("it can be read");
        std::fs::write(file, text.replacen("[sip]\n", &format!("[sip]\n{keys}\n"), 1)).expect("written");
        self
    }

    /// Changes a piece of the configuration, before a start.
    pub fn configure(&self, piece: &str, becomes: &str) {
        let path = self.path().join("ringtree.toml");
        let text = std::fs::read_to_string(&path).expect("written");
        assert!(text.contains(piece), "{text}");
        std::fs::write(&path, text.replacen(piece, becomes, 1)).expect("written");
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon listens for TLS and WebSockets as well, on the address that its certificate names.
    #[must_use]
    pub fn secure(self) -> Home {
        let file = self.path().join("ringtree.toml");
        let text = std::fs::read_to_string(&file).expect("just written");
        let tls = format!(
            ":0\", \"tls://127.0.0.1:0\", \"ws://127.0.0.1:0\", \"wss://127.0.0.1:0\"]\n\
             tls = {{ certificate = \"{}\", key = \"{}\", client_ca = \"{ca}\", ca = \"{ca}\" }}\n",
            certificate("office.pem"),
            certificate("office.key"),
            ca = certificate("authority.pem"),
        );
        std::fs::write(&file, text.replacen(":0\"]\n", &tls, 1)).expect("written");
        self
    }

    /// Starts the daemon and waits until it says where it listens.
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// The same with more in its environment.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Daemon {
        let mut command = Command::new(binary());
        self.begin(command.envs(environment.iter().copied()))
            .unwrap_or_else(|said| panic!("the daemon ended: {said}"))
    }

    /// The same by this command, to which the arguments of a start are added.
    ///
    /// # Errors
    /// It has ended: how, and all that it said.
    pub fn begin(&self, command: &mut Command) -> Result<Daemon, String> {
        let mut child = command
            .args(["run", "--config", "ringtree.toml"])
            .current_dir(self.path())
            .env_remove("RINGTREE_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon can be started");
        let lines = lines_of(&mut child);
        let mut said = String::new();
        let mut found = [None; 5];
        let deadline = clock() + PATIENCE;
        // The line after the listeners.
        while !said.contains("\nmedia  ") {
            match lines.recv_timeout(deadline.saturating_duration_since(clock())) {
                Ok(line) => {
                    for (found, scheme) in found.iter_mut().zip(["udp", "tcp", "tls", "ws", "wss"]) {
                        *found = found.or_else(|| bound(&line, &format!("{scheme}://")));
                    }
                    said.push_str(&line);
                    said.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => panic!("the daemon does not say where it listens:\n{said}"),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("{}\n{said}", child.wait().expect("it was started")));
                }
            }
        }
        let [udp, tcp, tls, ws, wss] = found;
        keep(said, lines, &self.path().join("daemon.log"));
        let daemon = Daemon {
            child: Mutex::new(child),
            home: self.path().to_owned(),
            udp: udp.expect("it listens by UDP"),
            tcp: tcp.expect("it listens by TCP"),
            tls,
            ws,
            wss,
        };
        until("the admin socket", || UnixStream::connect(daemon.socket()).ok());
        Ok(daemon)
    }
}

impl Daemon {
    pub fn socket(&self) -> PathBuf {
        self.home.join("admin.sock")
    }

    /// A request on the admin socket: status and body (null where there is none).
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<(u16, Value)> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: ringtree\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let broken = || {
            std::io::Error::new(std::io::ErrorKind::UnexpectedEof, format!("an answer cut short: {answer:?}"))
        };
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        let value =
            if body.is_empty() { Value::Null } else { serde_json::from_str(body).map_err(|_| broken())? };
        Ok((status, value))
    }

    pub fn read(&self, path: &str) -> Value {
        let (status, value) = self.request("GET", path, None).expect("the admin socket answers");
        assert_eq!(status, 200, "GET {path}: {value}");
        value
    }

    /// The list that `path` answers with.
    pub fn list(&self, path: &str) -> Vec<Value> {
        match self.read(path) {
            Value::Array(items) => items,
            other => panic!("GET {path} is no list: {other}"),
        }
    }

    /// A verb of the command line, spoken to this daemon.
    pub fn verb(&self, args: &[&str]) -> Output {
        Command::new(binary())
            .args(args)
            .current_dir(&self.home)
            .env("RINGTREE_SOCKET", self.socket())
            .stdin(Stdio::null())
            .output()
            .expect("the verb can be started")
    }

    /// The record of the only call so far, once it is written.
    pub fn only_record(&self) -> Value {
        let mut records =
            until("a call record", || Some(self.list("/v1/records")).filter(|found| !found.is_empty()));
        assert_eq!(records.len(), 1, "one call, one record: {records:#?}");
        records.remove(0)
    }

    /// SIGHUP: the daemon reads its files again.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// SIGTERM: the daemon ends, once its calls have.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "it runs");
    }

    /// Waits until its log has a line with `text`.
    pub fn logged(&self, text: &str) {
        let log = self.home.join("daemon.log");
        until(text, || std::fs::read_to_string(&log).ok()?.contains(text).then_some(()));
    }

    pub fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// SIGKILL: what the machine does to a process that gets no chance. Returns once it is gone.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Both fail only where it has ended already, which is what is wanted.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.home.join("daemon.log")).unwrap_or_default();
            eprintln!("the daemon's log:\n{log}");
        }
    }
}

/// The address behind `scheme` in a line of the daemon's output.
fn bound(line: &str, scheme: &str) -> Option<SocketAddr> {
    let rest = &line[line.find(scheme)? + scheme.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || "[].:".contains(c))).unwrap_or(rest.len());
    rest[..end].parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}

/// Both outputs of a child, line by line as they come.
pub fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = sync_channel(LINES_MAX);
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|out| Box::new(out) as _),
        child.stderr.take().map(|out| Box::new(out) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

/// Writes what was said, and the rest of the output as it comes, to a file, so that the pipe never fills.
fn keep(said: String, lines: Receiver<String>, path: &Path) {
    let mut file = std::fs::File::create(path).expect("a log can be written");
    file.write_all(said.as_bytes()).expect("a log can be written");
    std::thread::spawn(move || {
        for line in lines {
            // The directory is gone once the test is over.
            let _ = writeln!(file, "{line}");
        }
    });
}
