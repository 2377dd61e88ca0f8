//! How fast things are at scale: start from the store, apply, check, and one edit, on generated domains as real as the examples.
//!
//! `cargo bench --bench scale` runs small sizes. `cargo bench --bench scale -- check 10000`, `apply 100000`, `edit 100000`,
//! `start 1000 1000` (domains, users in each) run one of them; a line of figures each. Durations are of this process, on a store in
//! `RINGTREE_BENCH_DIR` (else a temporary directory).

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a bench that can't be set up has nothing to say

mod generate;

use ringtree::admin::edit::{Bases, Edit, Pipeline};
use ringtree::admin::generation::Generations;
use ringtree::net::clock;
use ringtree::rules::diagnostic::Files;
use ringtree::store::SledStore;
use ringtree::store::trial::Trials;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EDITS: usize = 20;

#[allow(clippy::disallowed_methods)] // a bench is an edge: it measures
fn now() -> Instant {
    Instant::now()
}

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = now();
    let value = run();
    (start.elapsed(), value)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line for it");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("kB") * 1024
}

struct World {
    store: Arc<SledStore>,
    generations: Arc<Generations>,
    pipeline: Pipeline,
}

fn open(path: &std::path::Path) -> World {
    let (store, report) = SledStore::open(path).expect("the store opens");
    assert!(report.events.is_empty(), "{report:?}");
    let store = Arc::new(store);
    let generations = Arc::new(Generations::default());
    let (trials, _) = Trials::open(path);
    let pipeline =
        Pipeline::new(store.clone(), generations.clone(), Bases::default(), Arc::new(|_| ()), trials);
    World { store, generations, pipeline }
}

fn edit(domain: usize, files: Files) -> Edit {
    Edit {
        domain: Some(generate::name(domain)),
        files,
        expected: None,
        origin: "1000".to_owned(),
        what: "apply".to_owned(),
        at: clock::now().wall,
        trial: None,
    }
}

fn check(users: usize) {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    let files = generate::files(0, users);
    let bytes: usize = files.0.values().map(|text| text.len()).sum();
    let (took, prepared) = timed(|| world.pipeline.prepare(&edit(0, files), 1));
    let warnings = prepared.map_err(|e| e.to_string()).expect("no errors").findings.diagnostics.len();
    println!(
        "check  {users:>7} users ({} bytes of text each, {warnings} warnings): {:.0} ms",
        bytes / users,
        ms(took)
    );
}

fn apply(users: usize) {
    let dir = directory("apply");
    let world = open(&dir);
    let (took, applied) = timed(|| world.pipeline.apply(&edit(0, generate::files(0, users))));
    applied.map_err(|e| e.to_string()).expect("applied");
    println!(
        "apply  {users:>7} users (with {:.0} ms to make the text): {:.0} ms",
        ms(timed(|| generate::files(0, users)).0),
        ms(took)
    );
    drop(world);
    clean(&dir);
}

fn edits(users: usize) {
    let dir = directory("edit");
    let world = open(&dir);
    let mut files = generate::files(0, users);
    world.pipeline.apply(&edit(0, files.clone())).map_err(|e| e.to_string()).expect("applied");
    let mut took = Vec::new();
    for n in 0..EDITS {
        let user = (n * 7919) % users;
        let ring_for = 30 + u32::try_from(n).unwrap();
        files.0.insert(generate::path(user).into(), generate::text(user, users, ring_for).into());
        let edit = edit(0, files.clone());
        let (duration, applied) = timed(|| world.pipeline.apply(&edit));
        assert!(applied.map_err(|e| e.to_string()).expect("applied").changed);
        took.push(duration);
    }
    took.sort();
    println!(
        "edit   one user of {users:>7}: median {:.1} ms, worst {:.1} ms",
        ms(took[EDITS / 2]),
        ms(took[EDITS - 1])
    );
    drop(world);
    clean(&dir);
}

/// Makes the store in this process and starts in another: what a start costs in memory is not seen otherwise.
fn start(domains: usize, users: usize) {
    let dir = directory("start");
    let (took, ()) = timed(|| {
        let world = open(&dir);
        for domain in 0..domains {
            let applied = world.pipeline.apply(&edit(domain, generate::files(domain, users)));
            applied.map_err(|e| e.to_string()).expect("applied");
        }
    });
    println!("start  made a store of {domains} domains of {users} users in {:.1} s", took.as_secs_f64());
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["started", &dir.display().to_string()])
        .status()
        .expect("it starts");
    assert!(child.success());
    clean(&dir);
}

fn started(dir: &str) {
    let before = resident();
    let (opened, world) = timed(|| open(std::path::Path::new(dir)));
    let (restored, result) = timed(|| {
        ringtree::daemon::rulesets::start(&*world.store, &world.pipeline, &world.generations, Ok(Vec::new()))
    });
    result.map_err(|e| e.to_string()).expect("it starts");
    let after = resident();
    let extensions: usize = world.generations.all().iter().map(|live| live.domain.user_count()).sum();
    println!(
        "start  {extensions} users in {} domains: {:.2} s (store open {:.2} s), {} bytes of memory a user",
        world.generations.all().len(),
        (opened + restored).as_secs_f64(),
        opened.as_secs_f64(),
        after.saturating_sub(before) / extensions
    );
}

fn directory(what: &str) -> PathBuf {
    let top = std::env::var_os("RINGTREE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    top.join(format!("ringtree-scale-{what}-{}", std::process::id()))
}

fn clean(dir: &std::path::Path) {
    std::fs::remove_dir_all(dir).expect("it can be removed");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |n: usize, default: usize| arguments.get(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    match arguments.first().map(String::as_str) {
        Some("check") => check(number(1, 10_000)),
        Some("apply") => apply(number(1, 100_000)),
        Some("edit") => edits(number(1, 1000)),
        Some("start") => start(number(1, 1000), number(2, 1000)),
        Some("started") => started(&arguments[1]),
        _ => {
            check(1000);
            apply(1000);
            edits(1000);
            start(10, 100);
        }
    }
}
