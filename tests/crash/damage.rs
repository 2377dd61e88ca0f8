//! Every file of the store in turn is emptied, cut, flipped and taken away, and the real daemon is started on what is left: it starts by
//! itself with every acknowledged edit, and says what it found.

use crate::office::{DOMAIN, after, edit, phones, register, rules, stored};
use crate::support::daemon::Home;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Two changes of the rules and some statuses.
const EDITS: u64 = 25;

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

fn files(below: &Path, top: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, top, found)
        } else {
            found.push(path.strip_prefix(top).unwrap().to_owned())
        }
    }
}

/// A daemon's home after [`EDITS`] and a kill, and a copy of its store.
fn filled() -> (Home, tempfile::TempDir) {
    let home = Home::new(DOMAIN, &[("domain.toml", &rules(0))]);
    let daemon = home.start();
    assert!(register(&daemon, &phones(), 0, 1, None), "it is answered");
    for number in 1..=EDITS {
        assert!(edit(&daemon, number));
    }
    daemon.kill();
    let pristine = tempfile::tempdir().unwrap();
    copy(&home.path().join("store"), &pristine.path().join("store"));
    (home, pristine)
}

/// Does harm to a file; false where it has nothing that could be harmed so.
fn harm(path: &Path, how: &str) -> bool {
    let mut bytes = std::fs::read(path).unwrap();
    // Behind the log of the database there is a sea of zeroes; harm to that proves nothing.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match how {
        "gone" => {
            std::fs::remove_file(path).unwrap();
            return true;
        }
        _ if used == 0 => return false,
        "emptied" => bytes.clear(),
        "halved" => bytes.truncate(used / 2),
        "flipped at the start" => bytes[used / 9] ^= 0x10,
        _ => bytes[used - 1 - used / 9] ^= 0x04,
    }
    std::fs::write(path, bytes).unwrap();
    true
}

#[test]
fn whichever_file_of_the_store_is_damaged_the_daemon_starts_with_every_acknowledged_edit() {
    let (home, pristine) = filled();
    let store = home.path().join("store");
    let mut names = Vec::new();
    files(&pristine.path().join("store"), &pristine.path().join("store"), &mut names);
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    let mut noticed = 0;
    for name in &names {
        for how in ["emptied", "halved", "flipped at the start", "flipped at the end", "gone"] {
            copy(&pristine.path().join("store"), &store);
            if !harm(&store.join(name), how) {
                continue;
            }
            let what = format!("{} {how}", name.display());
            let daemon = home
                .begin(&mut Command::new(crate::support::daemon::binary()))
                .unwrap_or_else(|said| panic!("{what}: {said}"));
            assert_eq!(stored(&daemon), after(EDITS), "{what}");
            assert!(edit(&daemon, EDITS + 1), "{what}: edits go on");
            daemon.kill();
            let log = std::fs::read_to_string(home.path().join("daemon.log")).unwrap();
            assert!(!log.contains("ACKNOWLEDGED") && !log.contains("panicked"), "{what}: {log}");
            noticed += u64::from(log.contains("store: "));
        }
    }
    assert!(noticed > 10, "only {noticed} damages were noticed at all");
}

#[test]
fn what_is_lost_for_good_is_said_with_what_to_do() {
    let (home, pristine) = filled();
    let store = home.path().join("store");
    let begin = || home.begin(&mut Command::new(crate::support::daemon::binary()));
    let log = || std::fs::read_to_string(home.path().join("daemon.log")).unwrap();
    let damage = |ends: &[&str]| {
        copy(&pristine.path().join("store"), &store);
        let mut names = Vec::new();
        files(&store, &store, &mut names);
        let hit: Vec<_> = names
            .into_iter()
            .filter(|name| ends.iter().any(|end| name.to_str().unwrap().contains(end)))
            .collect();
        assert!(!hit.is_empty());
        hit.iter().for_each(|name| assert!(harm(&store.join(name), "halved")));
    };

    // Both copies of the texts: the rules of the files are taken, as at a first start.
    damage(&["rules/"]);
    let daemon = begin().unwrap_or_else(|said| panic!("{said}"));
    daemon.logged("LOST");
    assert!(log().contains("apply"), "what to do: {}", log());
    drop(daemon);

    // Everything that knows which edits there were.
    damage(&["sled.", "snapshots/", "edits.journal"]);
    let daemon = begin().unwrap_or_else(|said| panic!("{said}"));
    daemon.logged("LOST");
    assert!(log().contains("ringtree diff DIR"), "what to do: {}", log());
    drop(daemon);

    // No store at all, but something else in its place.
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::write(&store, "somebody's notes").unwrap();
    let said = begin().err().expect("that is no store");
    assert!(said.starts_with("exit status: 2") && said.contains("store"), "{said}");
    assert_eq!(std::fs::read_to_string(&store).unwrap(), "somebody's notes");
}
