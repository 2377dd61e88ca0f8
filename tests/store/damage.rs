//! Damage: flipped bits, cut and emptied files, files left behind. Open never panics, and every acknowledged edit is there.

use super::world::{Dice, binding, database, moved_aside, numbers, open, record, rules, status, user};
use ringtree::store::{OpenEvent, SledStore, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STATUSES: u64 = 40;

/// A store with two generations, statuses before and after the newest, registrations and records; closed.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put_rules(rules("a", 1), None).unwrap();
    for number in 0..STATUSES / 2 {
        store.put_status(&user(number), Some(&status(number + 1))).unwrap();
    }
    for number in 0..50 {
        store.put_binding(binding(number));
        store.put_record(record(number).into());
    }
    store.put_rules(rules("b", 2), None).unwrap();
    for number in 0..STATUSES {
        store.put_status(&user(number), Some(&status(number))).unwrap();
    }
    store.put_status(&user(0), None).unwrap();
    dir
}

fn assert_edits_are_there(store: &SledStore, what: &str) {
    let stored = store.rules().unwrap();
    let files: Vec<_> = stored.iter().map(|rules| (rules.generation, rules.files.clone())).collect();
    assert_eq!(files, [(1, rules("a", 1).files), (2, rules("b", 2).files)], "{what}");
    let mut statuses = store.statuses().unwrap();
    statuses.sort_by_key(|(key, _)| key.object.name()[1..].parse::<u64>().unwrap());
    assert_eq!(statuses, (1..STATUSES).map(|n| (user(n), status(n))).collect::<Vec<_>>(), "{what}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { std::fs::copy(&path, &to).map(|_| ()).unwrap() }
    }
}

/// Files of the database that hold something.
fn database_files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(database(path))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file() && std::fs::metadata(path).unwrap().len() > 0)
        .collect();
    files.sort();
    files
}

/// Opens a damaged copy, checks the edits, writes on, and opens again.
fn assert_recovers(path: &Path, what: &str) -> bool {
    let (store, report) = SledStore::open(path).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_edits_are_there(&store, what);
    let aside = moved_aside(&report);
    if aside {
        let to = report.events.iter().find_map(|event| match event {
            OpenEvent::MovedAside { to, .. } => Some(to.clone()),
            _ => None,
        });
        assert!(to.unwrap().is_dir(), "{what}: {report:?}");
    } else {
        assert_eq!((report.bindings, report.records), (50, 50), "{what}: {report:?}");
    }
    assert_eq!(store.put_rules(rules("c", 3), None).unwrap(), 3, "{what}");
    drop(store);
    let (store, report) = SledStore::open(path).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert_eq!(report.events, [], "{what}, again");
    assert_eq!(store.rules().unwrap().len(), 3, "{what}, again");
    aside
}

#[test]
fn a_leftover_generating_snapshot_is_removed_and_everything_is_there() {
    let dir = filled();
    let left = database(dir.path()).join("snap.0000000000000C00.generating");
    std::fs::write(&left, b"half a snapshot").unwrap();
    let (store, report) = open(dir.path());
    let event = OpenEvent::RemovedGenerating("snap.0000000000000C00.generating".to_owned());
    assert_eq!(report.events, [event]);
    assert!(!left.exists());
    assert_edits_are_there(&store, "generating");
    assert_eq!(numbers(&store.bindings().unwrap()).len(), 50);
    assert_eq!(store.records(100).unwrap().len(), 50);
}

#[test]
fn no_flipped_bit_of_the_database_loses_an_acknowledged_edit() {
    let dir = filled();
    let files: Vec<(PathBuf, Vec<usize>)> = database_files(dir.path())
        .into_iter()
        .map(|path| {
            // A flip in the sea of zeroes behind the log proves nothing.
            let used = std::fs::read(&path)
                .unwrap()
                .iter()
                .enumerate()
                .filter(|(_, b)| **b != 0)
                .map(|(at, _)| at)
                .collect();
            (path.strip_prefix(dir.path()).unwrap().to_owned(), used)
        })
        .collect();
    let flips: u64 = std::env::var("RINGTREE_FLIPS").map_or(60, |flips| flips.parse().unwrap());
    let seed = std::env::var("RINGTREE_SEED").map_or(0x5eed, |seed| seed.parse().unwrap());
    let mut dice = Dice(seed);
    let mut damaged = 0;
    for flip in 0..flips {
        // Every file in turn: the small ones matter as much as the large one.
        let (file, used) = &files[usize::try_from(flip).unwrap() % files.len()];
        let at = used[usize::try_from(dice.below(used.len() as u64)).unwrap()];
        let bit = dice.below(8);
        let work = tempfile::tempdir().unwrap();
        copy(dir.path(), work.path());
        let path = work.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, bytes).unwrap();
        damaged +=
            u64::from(assert_recovers(work.path(), &format!("bit {bit} of byte {at} of {}", file.display())));
    }
    assert!(damaged > 0, "none of {flips} flips was noticed");
}

#[test]
fn a_cut_or_emptied_file_of_the_database_is_noticed_and_loses_no_edit() {
    let dir = filled();
    for path in database_files(dir.path()) {
        let file = path.strip_prefix(dir.path()).unwrap();
        let written = std::fs::read(&path).unwrap().iter().rposition(|b| *b != 0).unwrap() as u64 + 1;
        for len in [0, 1, written / 3, written * 9 / 10, written - 1] {
            let work = tempfile::tempdir().unwrap();
            copy(dir.path(), work.path());
            std::fs::OpenOptions::new()
                .write(true)
                .open(work.path().join(file))
                .unwrap()
                .set_len(len)
                .unwrap();
            let noticed = assert_recovers(work.path(), &format!("{} cut to {len} bytes", file.display()));
            assert!(noticed || !path.ends_with("db"), "{} cut to {len} bytes went unnoticed", file.display());
        }
    }
}

#[test]
fn a_database_that_is_gone_is_made_anew_with_the_registrations_of_the_snapshot() {
    let dir = filled();
    std::fs::remove_dir_all(database(dir.path())).unwrap();
    let (store, report) = open(dir.path());
    assert!(moved_aside(&report));
    assert_edits_are_there(&store, "gone");
    assert_eq!(numbers(&store.bindings().unwrap()).len(), 50);
    let lost = OpenEvent::Lost { edits: 0, bindings: 0, records: 50 };
    assert!(report.events.contains(&lost), "{report:?}");
    assert!(lost.is_alarming() && lost.to_string().contains("50 call records"));
}

#[test]
fn a_stale_database_is_noticed() {
    // A whole database of yesterday, as a careless restore leaves it.
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put_status(&user(1), Some(&status(1))).unwrap();
    drop(store);
    let yesterday = tempfile::tempdir().unwrap();
    copy(&database(dir.path()), yesterday.path());
    let (store, _) = open(dir.path());
    store.put_status(&user(1), Some(&status(2))).unwrap();
    drop(store);
    let today = database(dir.path());
    std::fs::remove_dir_all(&today).unwrap();
    copy(yesterday.path(), &today);
    let (store, report) = open(dir.path());
    assert!(moved_aside(&report));
    assert_eq!(store.statuses().unwrap(), [(user(1), status(2))]);
}

#[test]
fn damage_to_our_own_files_loses_nothing_while_the_database_is_sound() {
    let dir = filled();
    for what in ["manifest", "edits.journal", "snapshots"] {
        for damage in ["emptied", "halved", "flipped", "gone"] {
            let work = tempfile::tempdir().unwrap();
            copy(dir.path(), work.path());
            let ours = work.path().join(what);
            let files = match ours.is_dir() {
                true => std::fs::read_dir(ours).unwrap().map(|file| file.unwrap().path()).collect(),
                false => vec![ours],
            };
            for file in files {
                let mut bytes = std::fs::read(&file).unwrap();
                let half = bytes.len() / 2;
                match damage {
                    "emptied" => bytes.clear(),
                    "halved" => bytes.truncate(half),
                    "flipped" => bytes[half] ^= 4,
                    _ => {}
                }
                std::fs::write(&file, bytes).unwrap();
                if damage == "gone" {
                    std::fs::remove_file(&file).unwrap();
                }
            }
            let (store, report) = open(work.path());
            assert!(!moved_aside(&report), "{what} {damage}: {report:?}");
            assert_edits_are_there(&store, what);
            assert_eq!((report.bindings, report.records), (50, 50), "{what} {damage}");
            drop(store);
            let (_, report) = open(work.path());
            assert!(
                report.events.iter().all(|event| matches!(event, OpenEvent::SnapshotUnreadable { .. })),
                "{report:?}"
            );
        }
    }
}

#[test]
fn when_even_the_snapshots_are_gone_what_can_be_read_is_kept_and_the_loss_is_said() {
    let dir = filled();
    std::fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    std::fs::remove_dir_all(database(dir.path())).unwrap();
    let (store, report) = open(dir.path());
    let lost = report.events.iter().find(|event| matches!(event, OpenEvent::Lost { edits: 1.., .. }));
    assert!(lost.unwrap().to_string().contains("ACKNOWLEDGED"), "{report:?}");
    // Generations go on from where they were: nobody is to take an old one for a new one.
    assert_eq!(store.put_rules(rules("c", 1), None).unwrap(), 3);
    // The texts lie elsewhere, and say themselves which generation they are.
    assert_eq!(store.rules_at("a", 1).unwrap().unwrap().files, rules("a", 1).files);
    assert_eq!(store.rules_at("b", 2).unwrap().unwrap().files, rules("b", 2).files);
}

/// Both copies of every text, or only those of one.
fn texts(path: &Path, copies: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(path.join("rules")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if copies.contains(&path.extension().unwrap().to_str().unwrap()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn damage_to_one_copy_of_the_texts_loses_nothing() {
    let dir = filled();
    for copy_damaged in ["a", "b"] {
        for damage in ["emptied", "halved", "flipped", "gone"] {
            let work = tempfile::tempdir().unwrap();
            copy(dir.path(), work.path());
            for file in texts(work.path(), &[copy_damaged]) {
                let mut bytes = std::fs::read(&file).unwrap();
                let half = bytes.len() / 2;
                match damage {
                    "emptied" => bytes.clear(),
                    "halved" => bytes.truncate(half),
                    "flipped" => bytes[half] ^= 4,
                    _ => {}
                }
                std::fs::write(&file, bytes).unwrap();
                if damage == "gone" {
                    std::fs::remove_file(&file).unwrap();
                }
            }
            let (store, report) = open(work.path());
            assert_edits_are_there(&store, damage);
            let repaired = |event: &OpenEvent| matches!(event, OpenEvent::TextRepaired { .. });
            assert!(report.events.iter().all(repaired), "{damage}: {report:?}");
            assert!(damage == "flipped" || report.events.len() == 2, "{damage}: {report:?}");
            assert_eq!(store.put_rules(rules("a", 3), Some(1)).unwrap(), 3, "{damage}");
            drop(store);
            let (store, report) = open(work.path());
            assert_eq!(report.events, [], "{damage}, again");
            assert_eq!(store.rules_at("a", 3).unwrap().unwrap().files, rules("a", 3).files);
        }
    }
}

#[test]
fn texts_damaged_in_both_copies_are_said_and_do_not_keep_the_store_from_opening() {
    let dir = filled();
    let (store, _) = open(dir.path());
    store.put_rules(rules("a", 3), None).unwrap();
    drop(store);
    for file in texts(dir.path(), &["a", "b"]) {
        let len = std::fs::metadata(&file).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(len - 1).unwrap();
    }
    let (store, report) = open(dir.path());
    let lost =
        |domain: &str, generation, kept| OpenEvent::TextLost { domain: domain.to_owned(), generation, kept };
    assert_eq!(report.events, [lost("a", 3, Some(1)), lost("b", 2, None)]);
    assert!(report.events.iter().all(OpenEvent::is_alarming));
    let stored = store.rules().unwrap();
    assert_eq!((stored.len(), &stored[0].files), (1, &rules("a", 1).files));
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!(report.events, []);
    assert_eq!(store.put_rules(rules("b", 2), None).unwrap(), 4);
}

#[test]
fn a_domain_whose_newest_text_is_damaged_in_both_copies_runs_on_the_newest_that_can_be_read() {
    let dir = filled();
    let (store, _) = open(dir.path());
    // The first as a change behind a whole one, the second as a whole one of its own.
    for (generation, text) in [(3, "three".to_owned()), (4, "four".to_owned()), (5, "x".repeat(1 << 20))] {
        let mut edit = rules("a", generation);
        Arc::make_mut(&mut edit.files).0.insert("long.toml".into(), format!("# {text}\n").into());
        store.put_rules(edit, None).unwrap();
    }
    let newest = store.rules_at("a", 4).unwrap().unwrap().files;
    drop(store);
    // Within the text of the newest: its head is whole, and who only looks at heads sees nothing.
    for file in texts(dir.path(), &["a", "b"]) {
        let mut bytes = std::fs::read(&file).unwrap();
        if bytes.len() > 1 << 20 {
            let at = bytes.len() - 1000;
            bytes[at] ^= 4;
            std::fs::write(&file, bytes).unwrap();
        }
    }
    let (store, report) = open(dir.path());
    assert_eq!(report.events, [OpenEvent::TextLost { domain: "a".to_owned(), generation: 5, kept: Some(4) }]);
    assert_eq!(store.rules_at("a", 4).unwrap().unwrap().files, newest);
    assert_eq!(store.heads().unwrap().iter().find(|head| &*head.domain == "a").unwrap().generation, 4);
    // What comes after does not stand on what can't be read, and numbers go on rising.
    assert_eq!(store.put_rules(rules("a", 6), None).unwrap(), 6);
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!(report.events, []);
    assert_eq!(store.rules_at("a", 6).unwrap().unwrap().files, rules("a", 6).files);
    assert_eq!(store.rules_at("a", 4).unwrap().unwrap().files, newest);
    let aside = |path: &std::path::PathBuf| path.to_str().unwrap().ends_with(".damaged");
    assert_eq!(texts(dir.path(), &["damaged"]).iter().filter(|path| aside(path)).count(), 2);
}
