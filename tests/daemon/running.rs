//! A daemon of one's own in a temporary directory.

use ringtree::admin::client::{Answer, Ask, Client};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

pub const DOMAIN: &str = r#"schema = 1
[domain]
name = "pbx.test.example"
timezone = "Europe/London"
country = "GB"
"#;

pub const USERS: &str = r#"[user.ada]
ext = "101"
name = "Ada Lovelace"
[[user.ada.rule]]
name = "Always"
when = "always"
forward.busy = "reject:486"
[device.101a]
user = "ada"
primary = true
auth = { user = "101a", secret = "plain:first" }  # on the desk
[user.ben]
ext = "102"
name = "Ben Nevis"
[device.102a]
user = "ben"
primary = true
auth = { user = "102a", secret = "plain:second" }
"#;

pub const EXPECT: &str = r#"[[expect]]
name = "Ada rings"
call = { from = "102", to = "101" }
then = ["user:ada", "ring:101a"]
"#;

/// A directory with a configuration whose ports the system picks, and rules in `rules/`.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        place.write(
            "ringtree.toml",
            "[sip]\nlisten = [\"udp://127.0.0.1:0\", \"tcp://127.0.0.1:0\"]\n[media]\nports = \"0\"\n[rules]\nload = [\"rules\"]\n",
        );
        place.write("rules/domain.toml", DOMAIN);
        place.write("rules/users.toml", USERS);
        place.write("rules/expect.toml", EXPECT);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// In the directory, and with nothing in the environment that would send it elsewhere.
    fn in_place(&self, mut command: Command) -> Command {
        command.current_dir(self.dir.path());
        for variable in ["RINGTREE_SOCKET", "RINGTREE_LOG", "NOTIFY_SOCKET", "LISTEN_FDS"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a verb to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let command = Command::new(env!("CARGO_BIN_EXE_ringtree"));
        Ran::of(self.in_place(command).args(arguments).output().unwrap())
    }

    /// Starts the daemon; returns once it says what it bound.
    pub fn start(&self) -> Running<'_> {
        self.start_with(&[])
    }

    /// The same with more in its environment.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Running<'_> {
        let errors = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        // Through a shell, because only the process itself can know its id; `exec` keeps it.
        let mut command = self.in_place(Command::new("sh"));
        command.args(["-c", "WATCHDOG_PID=$$ exec \"$0\" run", env!("CARGO_BIN_EXE_ringtree")]);
        command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            lines.push(line.unwrap());
            if lines.last().unwrap().starts_with("try ") {
                return Running { place: self, child, lines };
            }
        }
        panic!("the daemon did not start: {:?}\n{}", child.wait(), self.log());
    }

    /// Until the log says so: for what nobody is told of otherwise.
    #[track_caller]
    pub fn wait_for_log(&self, says: &str) {
        for _ in 0..2000 {
            if self.log().contains(says) {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        panic!("the log never says {says}:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// How a verb ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended so, or the test says everything it printed.
    #[track_caller]
    pub fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// What a refusal says last: one line, by the program's name.
    #[track_caller]
    pub fn last_line(&self) -> &str {
        let line = self.err.trim_end().lines().last().unwrap_or_default();
        assert!(line.starts_with("ringtree: "), "{}", self.err);
        line
    }
}

/// A daemon that runs; killed when it is dropped.
pub struct Running<'a> {
    place: &'a Place,
    child: Child,
    pub lines: Vec<String>,
}

impl Running<'_> {
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.place.run(arguments)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.place.path("ringtree-data/admin.sock"))
    }

    pub fn ask(&self, ask: Ask<'_>) -> Answer {
        block_on(self.client().ask(ask)).unwrap()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGTERM; returns the exit code.
    pub fn stop(mut self) -> i32 {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
