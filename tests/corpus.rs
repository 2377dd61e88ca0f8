//! What the fuzz targets have been given so far (`fuzz/corpus`), once more: the very functions that libFuzzer calls, on the stable compiler.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says by panicking that it failed"
)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::TARGETS;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one corpus may hold, so that it can be kept and replayed: more is to be minimised (`fuzz/run`).
const FILES_MAX: usize = 600;
const BYTES_MAX: u64 = 2 << 20;
const THREADS: usize = 2;

/// An input and what it is given to.
type Input = (fn(&[u8]), PathBuf);

fn files(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = listed.map(|file| file.unwrap().path()).collect();
    paths.sort_unstable();
    paths
}

/// Every file by one of the threads; who panics says which file it was.
fn replay(all: &[Input]) -> Vec<&Path> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some((target, path)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let bytes = std::fs::read(path).unwrap();
            if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                failed.push(path.as_path());
            }
        }
        failed
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn every_target_bears_what_it_was_given_before() {
    let mut all: Vec<Input> = Vec::new();
    for (name, target) in TARGETS {
        all.extend(files(name).into_iter().map(|path| (*target, path)));
    }
    let failed = replay(&all);
    assert!(failed.is_empty(), "of {} inputs {failed:?} fail", all.len());
}

#[test]
fn every_corpus_is_there_and_small_enough_to_be_kept() {
    for (target, _) in TARGETS {
        let files = files(target);
        let bytes: u64 = files.iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!((1..=FILES_MAX).contains(&files.len()), "{target}: {} files", files.len());
        assert!(bytes <= BYTES_MAX, "{target}: {bytes} bytes");
    }
}

/// A target that is built for libFuzzer is replayed here, too.
#[test]
fn every_target_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut built: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut replayed: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    built.sort_unstable();
    replayed.sort_unstable();
    assert_eq!(built, replayed);
}
