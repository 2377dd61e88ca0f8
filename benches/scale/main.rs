//! How fast things are at scale: start from the store, apply, check, and one edit, on generated domains as real as the examples.
//!
//! `cargo bench --bench scale` runs small sizes. `cargo bench --bench scale -- check 10000`, `apply 100000`, `edit 100000`,
//! `start 1000 1000` (domains, users in each) run one of them
//! (`RINGTREE_BENCH_SHORT=1`: only the first domain is compiled, the others hold its bytes); a line of figures each. Durations are of this process, on a store in
//! `RINGTREE_BENCH_DIR` (else a temporary directory).

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a bench that can't be set up has nothing to say

mod generate;

use ringtree::admin::edit::{Bases, Edit, Pipeline, Refused};
use ringtree::admin::generation::Generations;
use ringtree::net::clock;
use ringtree::rules::diagnostic::Files;
use ringtree::store::trial::Trials;
use ringtree::store::{SledStore, Store, StoredRules};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EDITS: usize = 200;

#[allow(clippy::disallowed_methods)] // a bench is an edge: it measures
fn now() -> Instant {
    Instant::now()
}

/// What this process has used of its processors: on a machine that is shared, the figure that stands still.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks = |n: usize| fields[n].parse::<u64>().expect("ticks");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
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
        files: files.into(),
        expected: None,
        origin: "1000".to_owned(),
        what: "apply".to_owned(),
        at: clock::now().wall,
        trial: None,
    }
}

/// The errors alone: of many users there are many warnings.
fn shown(refused: Refused) -> String {
    let (Refused::Broken { findings, .. } | Refused::Golden(findings)) = &refused else {
        return refused.to_string();
    };
    let errors = findings.diagnostics.iter().filter(|finding| finding.severity == "error");
    errors.fold(refused.to_string(), |all, e| {
        format!("{all}\n{}:{}: {} [{}]", e.file, e.line, e.message, e.code)
    })
}

fn check(users: usize) {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    let files = generate::files(0, users);
    let bytes: usize = files.0.values().map(|text| text.len()).sum();
    let before = processor();
    let (took, prepared) = timed(|| world.pipeline.prepare(&edit(0, files), 1));
    let used = processor() - before;
    let warnings = prepared.map_err(shown).expect("no errors").findings.diagnostics.len();
    println!(
        "check  {users:>7} users ({} bytes of text each, {warnings} warnings): {:.0} ms, {:.0} ms of processor",
        bytes / users,
        ms(took),
        ms(used)
    );
}

fn apply(users: usize) {
    let dir = directory("apply");
    let world = open(&dir);
    let edit = edit(0, generate::files(0, users));
    let before = processor();
    let (took, applied) = timed(|| world.pipeline.apply(&edit));
    let used = processor() - before;
    applied.map_err(shown).expect("applied");
    println!("apply  {users:>7} users: {:.0} ms, {:.0} ms of processor", ms(took), ms(used));
    drop(world);
    clean(&dir);
}

fn edits(users: usize) {
    let dir = directory("edit");
    let world = open(&dir);
    let mut files = generate::files(0, users);
    world.pipeline.apply(&edit(0, files.clone())).map_err(shown).expect("applied");
    let mut change = |n: usize| {
        let user = (n * 7919) % users;
        let ring_for = 30 + u32::try_from(n).unwrap();
        files.0.insert(generate::path(user).into(), generate::text(user, users, ring_for).into());
        let edit = edit(0, files.clone());
        let (duration, applied) = timed(|| world.pipeline.apply(&edit));
        assert!(applied.map_err(shown).expect("applied").changed);
        duration
    };
    // The first one of a domain goes the whole way, and sets up what the next ones need.
    let first = change(0);
    let memory = resident();
    let before = processor();
    let mut took: Vec<Duration> = (1..=EDITS).map(change).collect();
    let used = (processor() - before) / u32::try_from(EDITS).unwrap();
    took.sort();
    println!(
        "edit   one user of {users:>7}: median {:.2} ms, worst {:.1} ms; {:.2} ms of processor (the first one {:.0} ms; {} MiB resident after it)",
        ms(took[EDITS / 2]),
        ms(took[EDITS - 1]),
        used.as_secs_f64() * 1000.0,
        ms(first),
        memory >> 20
    );
    drop(world);
    clean(&dir);
}

/// Makes the store in this process and starts in another: what a start costs in memory is not seen otherwise.
fn start(domains: usize, users: usize) {
    let dir = directory("start");
    let short = std::env::var_os("RINGTREE_BENCH_SHORT").is_some();
    let (took, ()) = timed(|| {
        let world = open(&dir);
        for domain in 0..domains {
            if short && domain > 0 {
                copy_of_first(&world, domain);
                continue;
            }
            let applied = world.pipeline.apply(&edit(domain, generate::files(domain, users)));
            applied.map_err(shown).expect("applied");
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

/// A start reads who put which generation in force and what it compiles to, not the text: with the first domain's compiled bytes under
/// another name a store of a million is made in a minute.
fn copy_of_first(world: &World, domain: usize) {
    let first = world.generations.domain(&generate::name(0)).expect("applied");
    let mut info = first.stored.clone();
    info.domain = generate::name(domain).into();
    let files = Files([("domain.toml".into(), generate::name(domain).into())].into());
    let stored = StoredRules::new(info, files, first.domain.encoded().clone());
    world.store.put_rules(stored, None).expect("stored");
}

fn started(dir: &str) {
    let (before, used) = (resident(), processor());
    let (opened, world) = timed(|| open(std::path::Path::new(dir)));
    let (restored, result) = timed(|| {
        ringtree::daemon::rulesets::start(&*world.store, &world.pipeline, &world.generations, Ok(Vec::new()))
    });
    result.map_err(|e| e.to_string()).expect("it starts");
    let (after, used) = (resident(), processor() - used);
    let extensions: usize = world.generations.all().iter().map(|live| live.domain.user_count()).sum();
    println!(
        "start  {extensions} users in {} domains: {:.2} s (store open {:.2} s), {:.2} s of processor; {} bytes of memory a user",
        world.generations.all().len(),
        (opened + restored).as_secs_f64(),
        opened.as_secs_f64(),
        used.as_secs_f64(),
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
