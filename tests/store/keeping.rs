//! What is put is there, in this process and in the next.

use super::world::{binding, moved_aside, numbers, open, record, rules, status, user};
use ringtree::store::{Changed, SledStore, Store, StoreError, StoredRules};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

#[test]
fn everything_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    let (store, report) = open(&path);
    assert!(report.created && report.events.is_empty(), "{report:?}");
    assert_eq!(store.put_rules(rules("harbour", 1), None).unwrap(), 1);
    store.put_status(&user(1), Some(&status(1))).unwrap();
    store.put_status(&user(2), Some(&status(2))).unwrap();
    store.put_status(&user(2), None).unwrap();
    for number in 1..=3 {
        store.put_binding(binding(number));
        store.put_record(record(number).into());
    }
    store.remove_binding(binding(2).key);
    drop(store);

    let (store, report) = open(&path);
    assert_eq!((report.created, &report.events[..]), (false, &[][..]));
    assert_eq!(
        (report.generation, report.rules, report.statuses, report.bindings, report.records),
        (1, 1, 1, 2, 3)
    );
    let stored = store.rules().unwrap();
    assert_eq!(stored[0].files, rules("harbour", 1).files);
    assert_eq!((stored[0].generation, &stored[0].tree[..]), (1, &b"tree of 1"[..]));
    assert_eq!(store.statuses().unwrap(), [(user(1), status(1))]);
    let bindings = store.bindings().unwrap();
    assert_eq!(numbers(&bindings), [1, 3]);
    assert!(bindings.contains(&binding(1)));
    assert_eq!(store.records(10).unwrap(), [record(3), record(2), record(1)]);
}

#[test]
fn generations_rise_over_all_domains_and_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    assert_eq!(store.put_rules(rules("a", 1), None).unwrap(), 1);
    assert_eq!(store.put_rules(rules("b", 1), None).unwrap(), 2);
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(store.put_rules(rules("a", 2), Some(1)).unwrap(), 3);
    let generations: Vec<u64> = store.rules().unwrap().iter().map(|rules| rules.generation).collect();
    assert_eq!(generations, [3, 2]);
}

#[test]
fn an_unchanged_source_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put_rules(rules("harbour", 1), None).unwrap();
    let manifest = std::fs::read(dir.path().join("manifest")).unwrap();
    let mut same = rules("harbour", 1);
    same.origin = "file:elsewhere".to_owned();
    assert_eq!(store.put_rules(same, Some(1)).unwrap(), 1);
    assert_eq!(std::fs::read(dir.path().join("manifest")).unwrap(), manifest);
    assert_eq!(store.rules().unwrap()[0].origin, "uid:1000");
    assert_eq!(std::fs::read_dir(dir.path().join("snapshots")).unwrap().count(), 1);
}

#[test]
fn earlier_generations_are_kept_with_who_and_when_and_what() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for number in 1..=70 {
        let domain = if number == 2 { "other" } else { "harbour" };
        store.put_rules(rules(domain, number), None).unwrap();
    }
    let told = |store: &SledStore| -> Vec<(u64, String)> {
        let history = store.history("harbour", 1000).unwrap();
        history.into_iter().map(|info| (info.generation, info.what)).collect()
    };
    let kept: Vec<(u64, String)> = (7..=70).rev().map(|n| (n, format!("version {n}"))).collect();
    assert_eq!(told(&store), kept);
    let (all, two) = (store.history("harbour", 1000).unwrap(), store.history("harbour", 2).unwrap());
    assert_eq!(two, all[..2]);
    assert_eq!(
        (&*all[0].domain, &*all[0].origin, &*all[0].applied),
        ("harbour", "uid:1000", "2026-11-24T10:00:00.000Z")
    );
    drop(store);

    let (store, report) = open(dir.path());
    assert_eq!(report.events, []);
    assert_eq!(told(&store), kept);
    let old = store.rules_at("harbour", 42).unwrap().unwrap();
    assert_eq!((old.generation, &old.files), (42, &rules("harbour", 42).files));
    let newest = store.rules_at("harbour", 70).unwrap().unwrap();
    assert_eq!(newest.tree[..], b"tree of 70"[..]);
    for (domain, generation) in [("harbour", 2), ("harbour", 71), ("harbour", 0), ("nobody", 1)] {
        assert_eq!(store.rules_at(domain, generation).unwrap(), None, "{domain} {generation}");
    }
    assert_eq!(store.history("nobody", 9).unwrap(), []);
}

#[test]
fn what_differs_is_taken_at_its_word_only_of_the_generation_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put_rules(rules("harbour", 1), None).unwrap();
    let told = |number: u64, since: u64| {
        let next = rules("harbour", number);
        let files = next.files.0.iter().map(|(name, text)| (name.clone(), Some(text.clone()))).collect();
        StoredRules { changed: Some(Changed { since, files }), ..next }
    };
    assert_eq!(store.put_rules(told(2, 1), Some(1)).unwrap(), 2);
    let nothing =
        StoredRules { changed: Some(Changed { since: 2, files: Vec::new() }), ..rules("harbour", 2) };
    assert_eq!(store.put_rules(nothing.clone(), None).unwrap(), 2, "an unchanged source writes nothing");
    // Of an older generation: then it is read back.
    let late = StoredRules { changed: Some(Changed { since: 1, files: Vec::new() }), ..rules("harbour", 3) };
    assert_eq!(store.put_rules(late, None).unwrap(), 3);
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!(report.events, []);
    for generation in 1..=3 {
        let stored = store.rules_at("harbour", generation).unwrap().unwrap();
        assert_eq!(stored.files, rules("harbour", generation).files);
    }
}

#[test]
fn compiled_bytes_that_come_later_are_kept_of_the_newest_generation_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put_rules(rules("harbour", 1), None).unwrap();
    store.put_rules(StoredRules { tree: Arc::default(), ..rules("harbour", 2) }, None).unwrap();
    assert_eq!(store.compiled("harbour", 2).unwrap(), None);
    store.put_compiled("harbour", 2, Arc::new(b"late".to_vec())).unwrap();
    store.put_compiled("harbour", 1, Arc::new(b"too late".to_vec())).unwrap();
    assert_eq!(store.compiled("harbour", 2).unwrap(), Some(b"late".to_vec()));
}

#[test]
fn an_edit_of_what_has_changed_meanwhile_is_refused_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put_rules(rules("harbour", 1), Some(0)).unwrap();
    store.put_rules(rules("harbour", 2), Some(1)).unwrap();
    let conflict = store.put_rules(rules("harbour", 3), Some(1)).unwrap_err();
    assert_eq!(conflict, StoreError::Conflict { domain: "harbour".to_owned(), expected: 1, current: 2 });
    assert_eq!(store.rules().unwrap()[0].files, rules("harbour", 2).files);
    assert_eq!(store.put_rules(rules("harbour", 3), Some(2)).unwrap(), 3);
}

#[test]
fn of_two_that_edit_the_same_generation_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put_rules(rules("harbour", 0), None).unwrap();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let edits: Vec<_> = (1..=8)
            .map(|n| {
                scope.spawn({
                    let store = &store;
                    move || store.put_rules(rules("harbour", n), Some(1))
                })
            })
            .collect();
        edits.into_iter().map(|edit| edit.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(2)).count(), 1, "{outcomes:?}");
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(StoreError::Conflict { current: 2, .. })))
            .count(),
        7
    );
}

#[test]
fn large_rules_survive_a_restart() {
    // Beyond an eighth of a megabyte sled writes a file of its own, which it does not sync.
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut large = rules("harbour", 1);
    let noise = |n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()[3];
    large.tree = (0..3_000_000).map(noise).collect::<Vec<u8>>().into();
    store.put_rules(large.clone(), None).unwrap();
    for number in 0..100 {
        store.put_status(&user(number), Some(&status(number))).unwrap();
    }
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!(report.events, []);
    assert_eq!(store.rules().unwrap()[0].tree, large.tree);
}

#[test]
fn a_record_is_found_by_its_id_and_by_its_call_id() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut later = record(2);
    later.call_id = record(1).call_id;
    // Same first bytes: only the record itself tells them apart.
    let mut long = record(3);
    long.call_id = format!("{}-one", "x".repeat(300));
    let mut longer = record(4);
    longer.call_id = format!("{}-two", "x".repeat(300));
    for record in [record(1), later.clone(), long.clone(), longer] {
        store.put_record(record.into());
    }
    // Just queued, and found all the same.
    assert_eq!(store.record(&record(1).id).unwrap(), Some(record(1)));
    assert_eq!(store.record(&record(1).call_id).unwrap(), Some(later));
    assert_eq!(store.record(&long.call_id).unwrap(), Some(long));
    assert_eq!(store.record("call-9@phone").unwrap(), None);
    assert_eq!(store.record("").unwrap(), None);
}

#[test]
fn only_the_newest_records_are_kept_and_the_index_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = SledStore::open_keeping(dir.path(), 10).unwrap();
    for number in 1..=25 {
        store.put_record(record(number).into());
        if number % 5 == 0 {
            store.flush().unwrap();
        }
    }
    let kept: Vec<String> = store.records(100).unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(kept, (16..=25).rev().map(|number| record(number).id).collect::<Vec<_>>());
    assert_eq!(store.record(&record(15).call_id).unwrap(), None);
    assert_eq!(store.record(&record(16).call_id).unwrap(), Some(record(16)));
    drop(store);
    let (store, report) = SledStore::open_keeping(dir.path(), 10).unwrap();
    assert_eq!((report.records, &report.events[..]), (10, &[][..]));
    assert_eq!(store.records(3).unwrap().len(), 3);
    assert_eq!(store.records(0).unwrap(), []);
}

#[test]
fn a_store_that_is_open_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let second = SledStore::open(dir.path()).map(|_| ()).unwrap_err();
    assert_eq!(second, StoreError::Locked(dir.path().display().to_string()));
    store.put_status(&user(1), Some(&status(1))).unwrap();
    drop(store);
    let (_, report) = open(dir.path());
    assert_eq!((report.statuses, moved_aside(&report)), (1, false));
}

#[test]
fn nobody_else_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (store, _) = open(&path);
    store.put_rules(rules("harbour", 1), None).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in std::fs::read_dir(&path).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    assert_eq!(mode(&super::world::database(&path).join("db")), 0o600);
}

#[test]
fn a_place_that_cannot_hold_a_store_is_named_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    // Nobody may make a directory in /proc, not even root.
    for path in [file.clone(), file.join("below"), "/proc/ringtree".into()] {
        let error = SledStore::open(&path).map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a directory");
}
