//! A disk without room, and one that can't be written: what was acknowledged stays, what can't be stored is refused, phones and calls go on.

use crate::office::{DOMAIN, after, ask_to_edit, bound, edit, phones, register, rules, stored};
use crate::support::daemon::{Daemon, Home, binary};
use crate::support::until;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// By how much each edit is longer than the one before: what fills a disk up.
const PADDING: usize = 256 << 10;
/// Somebody who is not root, where we are.
const SOMEBODY: u32 = 54_326;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The rules of edit `number`, with so much noise that no two of them have a line in common.
fn padded(number: u64) -> String {
    let mut text = rules(number);
    let mut noise = number | 1 << 40;
    while text.len() < PADDING * usize::try_from(number).unwrap() {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text += &format!("# {noise:016x}\n");
    }
    text
}

/// `/metrics`, whole.
fn metrics(daemon: &Daemon) -> String {
    let mut stream = std::os::unix::net::UnixStream::connect(daemon.socket()).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: ringtree\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Edits until there is no room; then phones go on; then there is room again, and a start.
fn assert_no_room_loses_nothing(home: &Home, begin: &dyn Fn() -> Daemon, relieve: &dyn Fn()) {
    let phones = phones();
    let daemon = begin();
    assert!(register(&daemon, &phones, 0, 1, None), "it is answered");
    let path = format!("/v1/domains/{DOMAIN}/rules/apply");
    let mut acknowledged = 0;
    let refused = loop {
        let number = acknowledged + 1;
        let (status, answer) =
            daemon.request("POST", &path, Some(&json!({ "domain.toml": padded(number) }))).unwrap();
        if status != 200 {
            break (status, answer);
        }
        acknowledged = number;
        assert!(acknowledged < 40, "it has filled nothing up");
    };
    assert!(acknowledged > 0, "nothing was stored at all: {refused:?}");
    assert_eq!((refused.0, &refused.1["type"]), (500, &"urn:ringtree:problem:store".into()), "{refused:?}");
    daemon.logged("THE STORE CAN'T BE WRITTEN ANY MORE");
    assert!(metrics(&daemon).contains("\nringtree_store_writable 0\n"));
    // From now on every edit is refused, and nothing that was refused counts.
    assert_eq!(ask_to_edit(&daemon, 1).unwrap().0, 500);
    assert_eq!(stored(&daemon), (acknowledged, after(0).1));
    // Phones register, and are found.
    assert!(register(&daemon, &phones, 1, 2, None), "it is answered");
    assert_eq!(bound(&daemon).get(&1), Some(&2));
    daemon.kill();

    relieve();
    let again = begin();
    let (found, statuses) = stored(&again);
    assert!(
        [acknowledged, acknowledged + 1].contains(&found),
        "{acknowledged} were acknowledged, {found} is there"
    );
    assert_eq!(statuses, after(0).1, "an edit that was refused is not there");
    assert_eq!(bound(&again).get(&0), Some(&1), "what was stored before an edit is there");
    assert!(edit(&again, 1), "there is room again");
    again.kill();
    let log = std::fs::read_to_string(home.path().join("daemon.log")).unwrap();
    assert!(!log.contains("DAMAGED") && !log.contains("LOST"), "nothing needs a person: {log}");
}

#[test]
fn when_files_can_grow_no_more_edits_are_refused_and_phones_go_on() {
    let home = Home::new(DOMAIN, &[("domain.toml", &rules(0))]);
    let limited = || {
        // The signal has to be ignored for the error to be seen.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 6000; exec \"$0\" \"$@\""]).arg(binary());
        home.begin(&mut command).unwrap()
    };
    let first = std::cell::Cell::new(true);
    let begin = || if first.replace(false) { limited() } else { home.start() };
    assert_no_room_loses_nothing(&home, &begin, &|| {});
}

/// A file system in memory that only those see who are let into this process's namespace. It is gone with it, whatever becomes of the test.
struct Disk {
    holder: Child,
    at: String,
}

impl Disk {
    fn of(at: &Path, options: &str) -> Disk {
        let at = at.display().to_string();
        let mut holder = Command::new("unshare")
            .args([
                "-m",
                "sh",
                "-c",
                "mount -t tmpfs -o \"$1\" ringtree-test \"$2\" && echo ready && exec cat",
                "sh",
                options,
                &at,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "root may mount");
        Disk { holder, at }
    }

    /// A command where it is seen.
    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let here = Path::new(&self.at).parent().unwrap();
        let pid = self.holder.id().to_string();
        command.args(["-m", "-t", &pid, "sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(here).arg(program);
        command
    }

    fn remount(&self, options: &str) {
        let mut command = self.inside(Path::new("mount"));
        assert!(command.args(["-o", &format!("remount,{options}"), &self.at]).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn when_the_disk_is_full_edits_are_refused_and_phones_go_on() {
    if !is_root() {
        // Only root may mount. In a container, where tests mostly run, one is root; the test above is for everybody.
        return;
    }
    let home = Home::new(DOMAIN, &[("domain.toml", &rules(0))]);
    std::fs::create_dir(home.path().join("disk")).unwrap();
    home.configure("path = \"store\"", "path = \"disk/store\"");
    let disk = Disk::of(&home.path().join("disk"), "size=16m");
    let begin = || home.begin(&mut disk.inside(&binary())).unwrap();
    assert_no_room_loses_nothing(&home, &begin, &|| disk.remount("size=128m"));
}

#[test]
fn a_store_that_can_not_be_written_is_one_line_with_its_place_and_loses_nothing() {
    let home = Home::new(DOMAIN, &[("domain.toml", &rules(0))]);
    let own = |recursive: &str| {
        let owner = format!("{SOMEBODY}:{SOMEBODY}");
        assert!(
            !is_root()
                || Command::new("chown")
                    .args([recursive, &owner])
                    .arg(home.path())
                    .status()
                    .unwrap()
                    .success()
        );
    };
    own("-R");
    let begin = || {
        let mut command = Command::new(binary());
        if is_root() {
            command.uid(SOMEBODY).gid(SOMEBODY);
        }
        home.begin(&mut command)
    };
    let mode = |path: &str, mode| {
        std::fs::set_permissions(home.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let refuses = |what: &str| {
        let said = begin().err().unwrap_or_else(|| panic!("{what}: it has started"));
        assert!(said.starts_with("exit status: 2"), "{what}: {said}");
        let last = said.lines().rfind(|line| line.starts_with("ringtree: ")).unwrap_or_default();
        assert!(last.contains("store") && last.contains("denied"), "{what}: {said}");
    };
    mode("", 0o555);
    refuses("nowhere to make a store");
    mode("", 0o755);
    let daemon = begin().unwrap();
    for number in 1..=20 {
        assert!(edit(&daemon, number));
    }
    daemon.kill();
    until("its end", || (!daemon.is_running()).then_some(()));
    for (path, closed, open) in [("store/lock", 0o400, 0o600), ("store/edits.journal", 0o400, 0o600)] {
        mode(path, closed);
        refuses(path);
        mode(path, open);
    }
    let again = begin().unwrap();
    assert_eq!(stored(&again), after(20));
}
