//! Chromium without a window, showing one page: a server of the test's own gives it the page, takes what the page says and hands it commands.

use super::daemon::lines_of;
use super::{PATIENCE, clock};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// A browser takes its time to come up, and so does its first page.
const START: Duration = Duration::from_secs(60);

/// Lines of the page that wait for the test; past it the page waits.
const SAID_MAX: usize = 1024;

/// A running Chromium. Ended when dropped.
pub struct Browser {
    child: Child,
    /// Its profile.
    _dir: TempDir,
    said: Receiver<String>,
    heard: Vec<String>,
    commands: SyncSender<String>,
    output: Receiver<String>,
}

/// Where the page and its parts lie.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/browser")
}

impl Browser {
    /// Opens the page with `query`, and waits until it says that it is connected.
    pub fn open(query: &str) -> Browser {
        assert!(folder().join("node_modules/sip.js").is_dir(), "SIP.js is installed (.ci/packages test)");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let page = format!("http://{}/?{query}", listener.local_addr().expect("bound"));
        let (sender, said) = sync_channel(SAID_MAX);
        let (commands, next) = sync_channel(16);
        let next = Arc::new(Mutex::new(next));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, next) = (sender.clone(), next.clone());
                std::thread::spawn(move || serve(&stream, &sender, &next));
            }
        });
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // It is alone on its machine, whose only address is the loopback one, and has no ears and no finger to click with.
            .args(["--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required"])
            // The authority of the tests is in no store of a system.
            .arg("--ignore-certificate-errors")
            .arg(format!("--user-data-dir={}", dir.path().display()))
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed (.ci/packages test)");
        let output = lines_of(&mut child);
        let mut browser = Browser { child, _dir: dir, said, heard: Vec::new(), commands, output };
        browser.says_within(START, "connected");
        browser
    }

    pub fn does(&self, command: &str) {
        self.commands.send(command.to_owned()).expect("the page is served");
    }

    /// Waits until the page says this.
    pub fn says(&mut self, line: &str) {
        self.says_within(PATIENCE, line);
    }

    fn says_within(&mut self, patience: Duration, line: &str) {
        let deadline = clock() + patience;
        loop {
            let Ok(said) = self.said.recv_timeout(deadline.saturating_duration_since(clock())) else {
                panic!("the page never said {line:?}, but {:#?}", self.heard);
            };
            let found = said == line;
            self.heard.push(said);
            if found {
                return;
            }
        }
    }

    /// Waits until the page says something that begins with this, and gives the rest.
    pub fn tells(&mut self, beginning: &str) -> String {
        let deadline = clock() + START;
        loop {
            let Ok(said) = self.said.recv_timeout(deadline.saturating_duration_since(clock())) else {
                panic!("the page never told {beginning:?}, but {:#?}", self.heard);
            };
            let rest = said.strip_prefix(beginning).map(str::to_owned);
            self.heard.push(said);
            if let Some(rest) = rest {
                return rest;
            }
        }
    }

    /// All that the page has said so far.
    pub fn heard(&self) -> &[String] {
        &self.heard
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only where it has ended already. Its children end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output: Vec<String> = self.output.try_iter().collect();
            eprintln!("the page said {:#?}, chromium said:\n{}", self.heard, output.join("\n"));
        }
    }
}

/// One request a connection.
fn serve(stream: &TcpStream, said: &SyncSender<String>, next: &Mutex<Receiver<String>>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let _ = reader.read_line(&mut line);
    let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let answer = match path.as_str() {
        "/said" => {
            // Nobody listens any longer once the test is over.
            let _ = said.send(String::from_utf8_lossy(&body).into_owned());
            Some(("text/plain", Vec::new()))
        }
        "/next" => {
            let next = next.lock().unwrap_or_else(PoisonError::into_inner);
            next.recv().ok().map(|command| ("text/plain", command.into_bytes()))
        }
        "/" => std::fs::read(folder().join("index.html")).ok().map(|page| ("text/html", page)),
        path if !path.contains("..") => {
            let script = std::fs::read(folder().join(path.trim_start_matches('/'))).ok();
            script.map(|script| ("text/javascript", script))
        }
        _ => None,
    };
    let (status, (kind, body)) = match answer {
        Some(answer) => ("200 OK", answer),
        None => ("404 Not Found", ("text/plain", Vec::new())),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut writer = stream;
    let _ = writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body));
}
