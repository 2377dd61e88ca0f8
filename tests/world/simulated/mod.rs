//! The whole core, simulated: drawn offices with drawn people behind a drawn network, and an operator who edits and restarts while they
//! call. Each run comes from one seed and repeats to the byte; what has to hold is looked at after each step, and when all have gone home.
//!
//! `RINGTREE_WORLD_SEED=N cargo test --test world simulated::calls` is one run, told as a ladder when it fails;
//! `RINGTREE_WORLD_CALLS=1000000` wants so many calls.

mod agent;
mod called;
mod calling;
mod core;
mod coverage;
mod dice;
mod doubles;
mod drawn;
mod found;
mod judge;
mod ladder;
mod offices;
mod planes;
mod run;
mod talking;
mod wire;

use self::core::Fault;
use coverage::Coverage;
use judge::{Invariant, Violation};
use ladder::Ladder;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls that the test command makes.
const CALLS: u64 = 100_000;
/// As many runs go on at once.
const THREADS: usize = 2;

/// One run; a panic of the core is a violation like any other.
fn outcome(seed: u64, fault: Fault, ladder: Option<&mut Ladder>) -> Result<run::Outcome, Violation> {
    let run = std::panic::catch_unwind(AssertUnwindSafe(|| run::run(seed, fault, ladder)));
    run.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation { invariant: Invariant::Sound, what: text.unwrap_or_default() })
    })
}

/// Tells a failed run: its ladder, its seed, and how it is run again.
fn told(seed: u64, violation: &Violation) -> String {
    let mut ladder = Ladder::default();
    let _ = outcome(seed, Fault::None, Some(&mut ladder));
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("world-{seed}.txt"));
    let kept = std::fs::write(&file, ladder.lines.join("\n")).is_ok();
    format!(
        "{}\n\n{:?}: {}\nseed {seed}; again: RINGTREE_WORLD_SEED={seed} cargo test --test world simulated::calls\n{}",
        ladder.end(),
        violation.invariant,
        violation.what,
        if kept { format!("the whole ladder: {}", file.display()) } else { String::new() }
    )
}

fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What came of many runs.
struct Total {
    covered: Coverage,
    calls: u64,
    steps: u64,
    /// The seeds that failed, and how.
    failed: Vec<(u64, Violation)>,
}

/// Runs seeds until so many calls were made.
fn simulate(first: u64, calls: u64) -> Total {
    let _ = offices::office(0); // all of them, before any run
    let next = AtomicU64::new(first);
    let (made, steps) = (AtomicU64::new(0), AtomicU64::new(0));
    let all = Mutex::new((Coverage::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut covered = Coverage::default();
                let mut failed = Vec::new();
                while made.load(Ordering::Relaxed) < calls && failed.len() < 20 {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    match outcome(seed, Fault::None, None) {
                        Ok(run) => {
                            made.fetch_add(run.calls, Ordering::Relaxed);
                            steps.fetch_add(run.steps, Ordering::Relaxed);
                            covered.add(&run.coverage);
                        }
                        Err(violation) => failed.push((seed, violation)),
                    }
                }
                let mut all = all.lock().expect("nobody panics with it");
                all.0.add(&covered);
                all.1.extend(failed);
            });
        }
    });
    let (covered, mut failed) = all.into_inner().expect("nobody panics with it");
    failed.sort_by_key(|(seed, _)| *seed);
    Total { covered, calls: made.into_inner(), steps: steps.into_inner(), failed }
}

#[test]
fn a_run_repeats_to_the_byte() {
    let _ = offices::office(0);
    for seed in 1..=5 {
        let [one, other] = [(); 2].map(|()| {
            let mut ladder = Ladder::default();
            let _ = outcome(seed, Fault::None, Some(&mut ladder));
            ladder.lines
        });
        assert!(one.len() > 100 && one == other, "seed {seed}");
    }
}

#[test]
fn calls_of_all_kinds_keep_to_the_invariants() {
    if let Some(seed) = wanted("RINGTREE_WORLD_SEED") {
        if let Err(violation) = outcome(seed, Fault::None, None) {
            panic!("{}", told(seed, &violation));
        }
        return;
    }
    let Total { covered, calls, steps, failed } = simulate(
        wanted("RINGTREE_WORLD_FIRST").unwrap_or(1),
        wanted("RINGTREE_WORLD_CALLS").unwrap_or(CALLS),
    );
    println!("{calls} calls in {steps} steps\n{}", covered.report());
    for (seed, violation) in &failed {
        println!("seed {seed}: {:?}: {}", violation.invariant, violation.what);
    }
    if let Some((seed, violation)) = failed.first() {
        panic!("{} runs failed; the first:\n{}", failed.len(), told(*seed, violation));
    }
    assert_eq!(covered.missing(), Vec::<String>::new(), "never seen");
}
