//! Kills and full disks. The store runs in a child process: this test binary again, told by its environment what to do.
//!
//! The child does edits one by one and says each that was acknowledged. Edit `n` is known from its number alone, so that after a
//! kill the store must be exactly as after the last edit that was acknowledged, or as after the one that was under way.

use super::world::{Dice, binding, moved_aside, open, record, rules, status, user};
use ringtree::net::clock;
use ringtree::rules::Status;
use ringtree::store::{OpenEvent, OpenReport, SledStore, Store, StoreError};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

const USERS: u64 = 20;
const KEYS: u64 = 50;
/// Every so many edits one is of the rules.
const RULES_EVERY: u64 = 25;
/// The stated loss bound.
const BOUND_MS: u64 = 250;

fn edit(store: &SledStore, number: u64) -> Result<(), StoreError> {
    match number.is_multiple_of(RULES_EVERY) {
        true => store.put_rules(rules("harbour", number), None).map(|_| ()),
        false => store.put_status(&user(number % USERS), Some(&status(number))),
    }
}

/// The statuses after the first `edits` edits, and how many of those were of the rules.
fn after(edits: u64) -> (BTreeMap<String, Status>, u64) {
    let statuses = (1..=edits).filter(|n| !n.is_multiple_of(RULES_EVERY));
    (statuses.map(|n| (user(n % USERS).object.name().to_string(), status(n))).collect(), edits / RULES_EVERY)
}

/// How many edits the store holds: exactly as many as were acknowledged, or the one more that was under way.
fn assert_holds(store: &SledStore, acknowledged: u64, what: &str) -> u64 {
    let statuses: BTreeMap<String, Status> = store
        .statuses()
        .unwrap()
        .into_iter()
        .map(|(key, status)| (key.object.name().to_string(), status))
        .collect();
    let stored = store.rules().unwrap();
    let generation = stored.first().map_or(0, |rules| rules.generation);
    let found = (statuses, generation);
    let Some(edits) = [acknowledged, acknowledged + 1].into_iter().find(|edits| after(*edits) == found)
    else {
        panic!("{what}: {acknowledged} edits were acknowledged; the store holds {found:?}");
    };
    if let Some(rules_stored) = stored.first() {
        assert_eq!(rules_stored.files, rules("harbour", edits / RULES_EVERY * RULES_EVERY).files, "{what}");
    }
    edits
}

/// After a kill nothing needs a person.
fn assert_calm(report: &OpenReport, what: &str) {
    assert!(report.events.iter().all(|event| !event.is_alarming()), "{what}: {report:?}");
}

/// It was killed after edit 55, so some of it is in its journal alone.
#[test]
fn a_store_of_the_version_before_the_archive_opens_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/before-the-archive.tgz");
    let unpacked = Command::new("tar").arg("xzf").arg(packed).arg("-C").arg(dir.path()).status();
    assert!(unpacked.unwrap().success());
    let mut edits = 55;
    for again in [false, true] {
        let (store, report) = open(&dir.path().join("store"));
        assert_calm(&report, "moved");
        let moved = report.events.contains(&OpenEvent::RulesMoved { domains: 1 });
        assert_eq!(moved, !again, "{report:?}");
        edits = assert_holds(&store, edits, "moved");
        let history = store.history("harbour", 9).unwrap();
        assert_eq!(history.iter().map(|info| info.generation).collect::<Vec<_>>(), [2]);
        assert_eq!(store.rules_at("harbour", 1).unwrap(), None);
    }
}

struct Writer {
    child: Child,
    lines: Receiver<String>,
}

impl Writer {
    fn start(mut command: Command, path: &Path, task: &str, from: u64) -> Writer {
        let mut child = command
            .args(["--ignored", "--exact", "crash::child", "--nocapture", "--test-threads=1"])
            .env("RINGTREE_STORE", path)
            .env("RINGTREE_TASK", task)
            .env("RINGTREE_FROM", from.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = sync_channel(1 << 16);
        std::thread::spawn(move || {
            for text in out.lines().map_while(Result::ok) {
                // The test harness writes on the same stream; ours are marked.
                if let Some((_, text)) = text.split_once("> ")
                    && line.send(text.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Writer { child, lines }
    }

    fn here(path: &Path, task: &str, from: u64) -> Writer {
        Writer::start(Command::new(std::env::current_exe().unwrap()), path, task, from)
    }

    /// Everything that it still says, until it ends.
    fn rest(&mut self) -> Vec<String> {
        let said = self.lines.iter().collect();
        self.child.wait().unwrap();
        said
    }

    fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.rest()
    }
}

/// The numbers behind `word`.
fn numbers<'a>(lines: &'a [String], word: &'a str) -> impl DoubleEndedIterator<Item = Vec<u64>> + 'a {
    lines.iter().filter_map(move |line| {
        let rest = line.strip_prefix(word)?.strip_prefix(' ')?;
        rest.split(' ').map(|n| n.parse().ok()).collect()
    })
}

fn last(lines: &[String], word: &str) -> Option<u64> {
    numbers(lines, word).next_back().map(|numbers| numbers[0])
}

#[test]
fn forty_kills_during_writes_lose_no_acknowledged_edit() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x9e37_79b9);
    let mut edits = 0;
    for kill in 0..40 {
        let mut writer = Writer::here(dir.path(), "edits", edits + 1);
        // A kill by what it has said, not by the clock: it has long gone on when the signal comes.
        let mut lines: Vec<String> =
            writer.lines.iter().take(2 + usize::try_from(dice.below(60)).unwrap()).collect();
        lines.extend(writer.kill());
        let acknowledged = last(&lines, "ack").unwrap_or(edits);
        let (store, report) = open(dir.path());
        assert_calm(&report, &format!("kill {kill}"));
        edits = assert_holds(&store, acknowledged, &format!("kill {kill}"));
    }
    assert!(edits > 200, "only {edits} edits were done");
}

#[test]
fn thirty_kills_during_open_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut edits = 60;
    let (store, _) = open(dir.path());
    for number in 1..=edits {
        edit(&store, number).unwrap();
        store.put_binding(binding(number % KEYS));
        store.put_record(record(number).into());
    }
    drop(store);
    let mut dice = Dice(0x51ed);
    let mut in_open = 0;
    for kill in 0..30 {
        let what = format!("kill {kill}");
        // A store that was killed in the midst of writing takes the longest to open.
        let mut writer = Writer::here(dir.path(), "edits", edits + 1);
        let mut lines: Vec<String> = writer.lines.iter().take(4).collect();
        lines.extend(writer.kill());
        let acknowledged = last(&lines, "ack").unwrap_or(edits);

        let mut opener = Writer::here(dir.path(), "open", 0);
        assert_eq!(opener.lines.recv().as_deref(), Ok("opening"));
        let within = Duration::from_micros(dice.below(10_000));
        in_open += u32::from(opener.lines.recv_timeout(within) == Err(RecvTimeoutError::Timeout));
        opener.kill();

        let (store, report) = open(dir.path());
        assert_calm(&report, &what);
        assert_eq!((report.bindings, report.records), (KEYS, 60), "{what}: {report:?}");
        edits = assert_holds(&store, acknowledged, &what);
    }
    assert!(in_open >= 10, "only {in_open} kills hit the opening");
}

#[test]
fn no_registration_older_than_the_bound_is_lost_by_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0xb1d);
    let mut from = 1;
    let mut proved = 0;
    for kill in 0..12 {
        let mut writer = Writer::here(dir.path(), "registrations", from);
        let mut lines: Vec<String> =
            writer.lines.iter().take(100 + usize::try_from(dice.below(150)).unwrap()).collect();
        lines.extend(writer.kill());
        // How long this machine takes to sync, at worst, is not ours to bound.
        let sync_ms = numbers(&lines, "sync").map(|n| n[0]).max().unwrap();
        let put: Vec<Vec<u64>> = numbers(&lines, "put").collect();
        let alive_ms = put.last().unwrap()[1];
        let durable =
            put.iter().rfind(|put| put[1] + BOUND_MS + sync_ms < alive_ms).map_or(from - 1, |put| put[0]);
        proved += u64::from(durable >= from);

        let (store, report) = open(dir.path());
        assert_calm(&report, &format!("kill {kill}"));
        let stored: BTreeMap<_, u64> =
            store.bindings().unwrap().into_iter().map(|b| (b.key, u64::from(b.cseq))).collect();
        for number in durable.saturating_sub(KEYS - 1).max(1)..=durable {
            let found = stored.get(&binding(number % KEYS).key);
            assert!(found >= Some(&number), "kill {kill}: registration {number} of {durable} is {found:?}");
        }
        let newest =
            store.records(1).unwrap().first().map_or(0, |r| u64::from_str_radix(&r.id[..16], 16).unwrap());
        assert!(newest >= durable, "kill {kill}: record {durable} is lost, the newest is {newest}");
        from = put.last().unwrap()[0] + 1;
    }
    assert!(proved >= 6, "only {proved} kills came late enough to prove anything");
}

/// What a child does on a disk that fills up, and what is there when there is room again.
fn assert_full_disk(command: Command, path: &Path, relieve: impl FnOnce()) {
    let mut writer = Writer::start(command, path, "fill", 1);
    let said = writer.rest();
    let acknowledged = last(&said, "ack").unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(said.last().map(String::as_str), Some("reads go on"), "{said:?}");
    relieve();
    let (store, report) = open(path);
    assert!(!moved_aside(&report), "{report:?}");
    assert!(!report.events.iter().any(|event| matches!(event, OpenEvent::Lost { .. })), "{report:?}");
    let edits = assert_holds(&store, acknowledged, "full disk");
    edit(&store, edits + 1).unwrap();
}

#[test]
fn when_a_file_can_grow_no_more_edits_are_refused_and_reads_go_on() {
    // A limit on the size of files works for everybody; the signal has to be ignored for the error to be seen.
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 6000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    assert_full_disk(command, dir.path(), || {});
}

/// Unmounted whatever becomes of the test.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(self.0).status().unwrap().success());
    }
}

#[test]
#[ignore = "mounts a tmpfs, which takes root"]
fn when_the_disk_is_full_edits_are_refused_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mount =
        |args: &[&str]| assert!(Command::new("mount").args(args).arg(dir.path()).status().unwrap().success());
    mount(&["-t", "tmpfs", "-o", "size=8m", "ringtree-test"]);
    let _mounted = Mounted(dir.path());
    let path = dir.path().join("store");
    let current_exe = std::env::current_exe().unwrap();
    assert_full_disk(Command::new(current_exe), &path, || mount(&["-o", "remount,size=64m"]));
}

/// Not a test: what a child process of the tests above does.
#[test]
#[ignore = "started by the tests above, with its task in the environment"]
fn child() {
    let path = std::path::PathBuf::from(std::env::var_os("RINGTREE_STORE").expect("a child of these tests"));
    let from: u64 = std::env::var("RINGTREE_FROM").unwrap().parse().unwrap();
    println!("\n> opening");
    let (store, _) = SledStore::open(&path).unwrap();
    println!("\n> opened");
    match std::env::var("RINGTREE_TASK").unwrap().as_str() {
        "open" => loop {
            std::thread::park();
        },
        "edits" => {
            for number in from.. {
                edit(&store, number).unwrap();
                println!("> ack {number}");
            }
        }
        "registrations" => register(&store, from),
        _ => fill(&store),
    }
}

fn register(store: &SledStore, from: u64) {
    let began = clock::now().mono;
    let since = || clock::now().mono.duration_since(began).as_millis();
    for _ in 0..5 {
        let before = since();
        store.put_status(&user(0), Some(&status(0))).unwrap();
        println!("> sync {}", since() - before);
    }
    for number in from.. {
        let mut binding = binding(number % KEYS);
        binding.cseq = u32::try_from(number).unwrap();
        store.put_binding(binding);
        store.put_record(record(number).into());
        println!("> put {number} {}", since());
        // The pace of phones, not of a loop.
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

/// Records fill the disk; now and then an edit is tried.
fn fill(store: &SledStore) {
    let mut refused = None;
    let mut edits = 0;
    for number in 1..200_000 {
        let mut record = record(number);
        let noise = (0..3000).map(|n: u64| char::from(b'a' + (n.wrapping_mul(number * 7919) % 26) as u8));
        record.tags.push(noise.collect());
        store.put_record(record.into());
        if number % 20 == 0 {
            match edit(store, edits + 1) {
                Ok(()) => edits += 1,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
            println!("> ack {edits}");
        }
    }
    assert!(matches!(refused, Some(StoreError::Write(_))), "{refused:?}");
    println!("> refused {refused:?}");
    for number in edits + 1..edits + 50 {
        assert!(matches!(edit(store, number), Err(StoreError::Write(_))));
        store.put_binding(binding(number));
    }
    assert!(store.dropped() >= 49);
    assert!(matches!(store.flush(), Err(StoreError::Write(_))));
    assert_eq!(assert_holds(store, edits, "the child"), edits, "a refused edit is shown");
    assert!(!store.records(10).unwrap().is_empty());
    println!("> reads go on");
}
