use super::*;
use proptest::prelude::*;
use std::os::unix::fs::FileExt;

fn info(generation: u64) -> GenerationInfo {
    GenerationInfo {
        generation,
        domain: "harbour.test".into(),
        origin: "1000".to_owned(),
        applied: "2026-11-24T10:00:00Z".to_owned(),
        what: format!("change {generation}"),
    }
}

fn files(texts: &[(u8, String)]) -> Files {
    Files(texts.iter().map(|(n, text)| (format!("users/{n}.toml").into(), text.as_str().into())).collect())
}

fn changes(before: &Files, after: &Files) -> FileChanges {
    let new = after.0.iter().filter(|(path, text)| before.0.get(*path) != Some(text));
    let gone = before.0.keys().filter(|path| !after.0.contains_key(*path));
    new.map(|(p, t)| (p.clone(), Some(t.clone()))).chain(gone.map(|p| (p.clone(), None))).collect()
}

/// Writes them as generations 1, 2, ... as the store's writer does.
fn write(archive: &Archive, generations: &[Files]) {
    let mut writer = ArchiveWriter::new(archive.clone());
    let mut before: Option<&Files> = None;
    for (files, generation) in generations.iter().zip(1..) {
        let info = info(generation);
        match before {
            Some(before) if !writer.wants_whole(&info.domain).unwrap() => {
                writer.append(&info, &changes(before, files)).unwrap();
            }
            _ => drop(writer.begin(&info, files).unwrap()),
        }
        writer.prune(&info.domain).unwrap();
        before = Some(files);
    }
}

fn archive() -> (tempfile::TempDir, Archive) {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::of(dir.path());
    (dir, archive)
}

fn some_generations(count: u8) -> Vec<Files> {
    (0..count)
        .map(|n| files(&[(0, "[domain]".to_owned()), (1, format!("# {n}")), (n, "# new".to_owned())]))
        .collect()
}

fn generations() -> impl Strategy<Value = Vec<Files>> {
    let texts = prop::collection::vec((0u8..6, "[a-zé\n]{0,20}"), 0..6);
    prop::collection::vec(texts.prop_map(|texts| files(&texts)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_generation_is_read_back_as_it_was_written(all in generations()) {
        let (_dir, archive) = archive();
        write(&archive, &all);
        for (files, generation) in all.iter().zip(1..) {
            prop_assert_eq!(archive.read("harbour.test", generation).unwrap(), Some((info(generation), files.clone())));
        }
        let history: Vec<u64> = archive.history("harbour.test", 99, 99).unwrap().iter().map(|i| i.generation).collect();
        prop_assert_eq!(history, (1..=all.len() as u64).rev().collect::<Vec<_>>());
        prop_assert_eq!(archive.read("harbour.test", all.len() as u64 + 1).unwrap(), None);
    }

    #[test]
    fn no_damage_to_one_copy_loses_a_generation(all in generations(), copy in 0usize..2, at: prop::sample::Index, bit in 0u8..8, cut: bool) {
        let (_dir, archive) = archive();
        write(&archive, &all);
        let newest = all.len() as u64;
        let folder = archive.folder("harbour.test");
        for base in segments(&folder).unwrap() {
            let path = &segment::paths(&folder, base)[copy];
            let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
            let len = file.metadata().unwrap().len();
            let at = at.index(len as usize) as u64;
            if cut {
                file.set_len(at).unwrap();
            } else {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
            }
        }
        for _ in 0..2 {
            for (files, generation) in all.iter().zip(1..) {
                prop_assert_eq!(archive.read("harbour.test", generation).unwrap(), Some((info(generation), files.clone())));
            }
            prop_assert!(!matches!(archive.settle("harbour.test", newest).unwrap(), Settled::Behind(_)));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let (_dir, archive) = archive();
        let folder = archive.folder("d");
        std::fs::create_dir_all(&folder).unwrap();
        let [a, b] = segment::paths(&folder, 1);
        std::fs::write(a, [&segment::MAGIC[..], &bytes].concat()).unwrap();
        std::fs::write(b, &bytes).unwrap();
        let _ = archive.read("d", 1);
        prop_assert!(archive.history("d", 9, 9).unwrap().len() <= bytes.len());
        prop_assert!(archive.settle("d", 1).is_ok());
    }
}

#[test]
fn what_was_never_acknowledged_is_cut_off_at_open() {
    let (_dir, archive) = archive();
    let all = some_generations(5);
    write(&archive, &all);
    assert_eq!(archive.settle("harbour.test", 3).unwrap(), Settled::Whole);
    assert_eq!(archive.read("harbour.test", 4).unwrap(), None);
    let mut writer = ArchiveWriter::new(archive.clone());
    writer.append(&info(6), &changes(&all[2], &all[4])).unwrap();
    assert_eq!(archive.read("harbour.test", 6).unwrap(), Some((info(6), all[4].clone())));
}

#[test]
fn an_edit_taken_back_is_gone() {
    let (_dir, archive) = archive();
    let all = some_generations(3);
    write(&archive, &all[..1]);
    let mut writer = ArchiveWriter::new(archive.clone());
    let appended = writer.append(&info(2), &changes(&all[0], &all[1])).unwrap();
    writer.take_back(&appended);
    assert_eq!(archive.read("harbour.test", 2).unwrap(), None);
    writer.append(&info(3), &changes(&all[0], &all[2])).unwrap();
    assert_eq!(archive.read("harbour.test", 3).unwrap(), Some((info(3), all[2].clone())));
}

#[test]
fn the_newest_generations_are_kept_and_the_oldest_dropped() {
    let (_dir, archive) = archive();
    let all = some_generations(250);
    write(&archive, &all);
    let history = archive.history("harbour.test", 250, 1000).unwrap();
    assert_eq!(history.len(), GENERATIONS_KEPT);
    assert_eq!((history[0].generation, history[63].generation), (250, 187));
    for (files, generation) in all.iter().zip(1..).skip(186) {
        assert_eq!(archive.read("harbour.test", generation).unwrap().unwrap().1, *files);
    }
    assert_eq!(archive.read("harbour.test", 1).unwrap(), None);
    assert!(segments(&archive.folder("harbour.test")).unwrap().len() <= 3);
}

#[test]
fn a_text_that_is_damaged_in_both_copies_is_said_and_the_one_before_stands() {
    let (_dir, archive) = archive();
    let all = some_generations(3);
    write(&archive, &all);
    let folder = archive.folder("harbour.test");
    let end = Segment::open(&folder, 1).unwrap().entries()[1].end;
    for path in segment::paths(&folder, 1) {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(end + 3).unwrap();
    }
    assert_eq!(archive.settle("harbour.test", 3).unwrap(), Settled::Behind(Some(info(2))));
}

#[test]
fn names_of_domains_make_folders_that_differ_and_stay_inside() {
    let long = "x".repeat(300);
    let names = ["a.test", "A.test", "../a.test", "..", ".", "", "a/b", "a%2Fb", "é", &long];
    let mut folders: Vec<String> = names.iter().map(|name| folder_name(name)).collect();
    assert!(folders.iter().all(|f| !f.contains('/') && !f.starts_with('.') && f.len() <= FOLDER_NAME_MAX));
    folders.sort();
    folders.dedup();
    assert_eq!(folders.len(), names.len());
}

#[test]
fn each_bit_of_one_copy_may_flip() {
    let (_dir, archive) = archive();
    let all = some_generations(4);
    write(&archive, &all);
    let folder = archive.folder("harbour.test");
    let [path, _] = segment::paths(&folder, segments(&folder).unwrap()[0]);
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        for (files, generation) in all.iter().zip(1..) {
            let read = archive.read("harbour.test", generation).unwrap();
            assert_eq!(
                read.map(|(_, files)| files).as_ref(),
                Some(files),
                "generation {generation}, bit {bit}"
            );
        }
        assert_eq!(archive.history("harbour.test", 99, 99).unwrap().len(), all.len(), "bit {bit}");
    }
}
