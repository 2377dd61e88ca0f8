//! What a decision costs: one question to a compiled tree, a whole walk from the call to its ring plan, and loading many users.
//!
//! `cargo bench --bench decide` is short. `RINGTREE_BENCH_USERS=1000000` loads a million users, in domains of
//! `RINGTREE_BENCH_DOMAIN` (1000) each, and says how long it took and what an extension costs in memory.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // a bench that can't be set up has nothing to say
#![allow(unsafe_code)] // an allocator that counts can't be written without

use criterion::{Criterion, criterion_group};
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::facts::{CallFacts, Caller, Dialled, Origin, Verified};
use ringtree::rules::route::Idle;
use ringtree::rules::tree::{Facts, Path, Tree, WhiteList};
use ringtree::rules::{Domain, Next, Walk, source};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Counts allocations and the bytes that are live.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations one run makes.
fn allocations(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

fn example() -> Arc<Domain> {
    let mut files = Files::default();
    let top = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("routing-rules/harbour-dental");
    read(&top, &top, &mut files);
    let model = source::load(&files).model.expect("the example has no errors");
    Arc::new(Domain::compile(&model, Secrets::default(), 1).expect("the example compiles"))
}

fn read(top: &FilePath, at: &FilePath, files: &mut Files) {
    for entry in std::fs::read_dir(at).expect("the example is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(top, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.strip_prefix(top).expect("below the top").to_string_lossy().into();
            files.0.insert(name, std::fs::read_to_string(&path).expect("it can be read").into());
        }
    }
}

/// Dr Osei's direct number on a Tuesday morning: block and allow lists with patterns, anonymous, unknown, two time frames (one
/// with holidays taken out), DND, offline, busy, screening.
struct Morning<'a> {
    domain: &'a Domain,
    at: jiff::Timestamp,
    zone: jiff::tz::TimeZone,
    keys: Vec<Arc<str>>,
    /// Answers of the frames, where they are known already.
    frames: Option<Vec<bool>>,
}

impl Morning<'_> {
    fn reads_clock(&self, timed: u32) -> bool {
        let trees = self.domain.trees();
        let frame = trees.timed[timed as usize].frame;
        trees.frames[frame as usize].frame.contains(self.at, &self.zone)
    }
}

impl Facts for Morning<'_> {
    fn psap_callback(&self) -> bool {
        false
    }
    fn keys(&self) -> &[Arc<str>] {
        &self.keys
    }
    fn anonymous(&self) -> bool {
        false
    }
    fn unknown(&self) -> bool {
        false
    }
    fn unverified(&self) -> bool {
        false
    }
    fn passes(&self, _: &WhiteList) -> bool {
        true
    }
    fn frame(&self, timed: u32) -> bool {
        match &self.frames {
            Some(known) => known[timed as usize],
            None => self.reads_clock(timed),
        }
    }
    fn picked(&self) -> Option<u32> {
        None
    }
    fn status_forward(&self) -> bool {
        false
    }
    fn status_dnd(&self) -> Option<bool> {
        None
    }
    fn own_offline(&self) -> bool {
        false
    }
    fn active_calls(&self) -> u32 {
        0
    }
    fn direct(&self) -> bool {
        true
    }
    fn by_trunk(&self) -> bool {
        true
    }
}

fn morning(domain: &Domain) -> Morning<'_> {
    Morning {
        domain,
        at: "2026-11-24T15:00:00Z".parse().expect("a time"),
        zone: jiff::tz::TimeZone::get("America/New_York").expect("a zone"),
        keys: vec!["+12025550150".into()],
        frames: None,
    }
}

fn decide(c: &mut Criterion) {
    let domain = example();
    let tree: &Tree = domain.tree("101").expect("osei");
    let lists = &domain.trees().lists;
    let clock = morning(&domain);
    let known = (0..domain.trees().timed.len()).map(|timed| clock.reads_clock(timed as u32)).collect();
    let known = Morning { frames: Some(known), ..morning(&domain) };
    let mut path = Path::new();
    for (name, facts) in [("decide", &known), ("decide, reading the clock", &clock)] {
        path.clear();
        let count = allocations(|| {
            black_box(tree.decide_call(lists, facts, &mut path));
        });
        println!("{name}: {} nodes visited, {count} allocations", path.len());
        assert_eq!(count, 0, "a decision allocates nothing");
        let mut run = || {
            path.clear();
            black_box(tree.decide_call(lists, black_box(facts), &mut path))
        };
        println!("{name}: {:.0} ns where nothing disturbs it", least(&mut run));
        c.bench_function(name, |b| b.iter(&mut run));
    }
}

fn walk(c: &mut Criterion) {
    let domain = example();
    let facts = CallFacts {
        at: "2026-11-24T15:00:00Z".parse().expect("a time"),
        caller: Caller {
            origin: Origin::Trunk("carrier".into()),
            raw: "+12025550150".into(),
            name: None,
            anonymous: false,
        },
        dialled: Dialled::Text("+12025550100".into()),
        psap_callback: false,
        verified: Verified::NotChecked,
        earlier_hops: 0,
    };
    let inside = CallFacts {
        caller: Caller {
            origin: Origin::Device("103a".into()),
            raw: "103".into(),
            name: None,
            anonymous: false,
        },
        dialled: Dialled::Text("104".into()),
        ..facts.clone()
    };
    let osei = CallFacts { dialled: Dialled::Text("+12025550105".into()), ..facts.clone() };
    let calls =
        [("walk, an extension", inside), ("walk, a number", osei), ("walk, a number with a prefix", facts)];
    for (index, (name, facts)) in calls.into_iter().enumerate() {
        let run = || {
            let mut walk = Walk::new(domain.clone(), facts.clone());
            let next = walk.start(&Idle);
            assert_eq!(next, Next::Ring);
            black_box(&walk);
        };
        // Users are decoded when the first call asks for them: that one pays for those that follow.
        let first = allocations(run);
        let count = allocations(run);
        println!("{name}: {count} allocations, {first} where nobody has asked for these users before");
        assert!(index == 2 || count == 0, "a plain call is decided without an allocation");
        println!("{name}: {:.0} ns where nothing disturbs it", least(run));
        c.bench_function(name, |b| b.iter(run));
    }
}

/// What one run takes, in nanoseconds: the least of many rounds, each shorter than a turn on the processor. What shares the machine
/// only ever adds to it; what criterion shows holds all of that.
fn least<T>(mut run: impl FnMut() -> T) -> f64 {
    const ROUNDS: usize = 10_000;
    const RUNS: u32 = 200;
    let round = |_| {
        let start = now();
        for _ in 0..RUNS {
            black_box(run());
        }
        start.elapsed() / RUNS
    };
    (0..ROUNDS).map(round).min().unwrap_or_default().as_secs_f64() * 1e9
}

/// One domain of so many users: a phone, a number pattern to block, a white list now and then, two rules each.
fn generated(domain: usize, users: usize) -> Files {
    let mut text = format!(
        "schema = 1\n[domain]\nname = \"d{domain}.example\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n\
         [time_frame.open]\nweekly = [\"mon-fri 08:00-17:30\"]\n[list.spam]\nnumbers = [\"+1900.\"]\n"
    );
    for user in 0..users {
        let _ = write!(
            text,
            "[user.u{user}]\next = \"{ext}\"\nname = {{ first = \"User\", last = \"{user}\" }}\nblock = [\"list:spam\"]\n\
             [[user.u{user}.rule]]\nname = \"Open\"\nwhen = \"open\"\nring_for = \"20s\"\nforward.busy = \"user:u{next}\"\n\
             [[user.u{user}.rule]]\nname = \"Default\"\nwhen = \"always\"\ndnd = true\n\
             [device.p{user}]\nuser = \"u{user}\"\nauth = {{ user = \"p{user}\", secret = \"env:SECRET\" }}\n",
            ext = 1000 + user,
            next = (user + 1) % users,
        );
    }
    Files([("domain.toml".into(), text.into())].into())
}

/// Not a criterion bench: one run is what a start costs.
fn load() {
    let wish =
        |name: &str, default: usize| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let users = wish("RINGTREE_BENCH_USERS", 2000);
    let each = wish("RINGTREE_BENCH_DOMAIN", 1000).clamp(2, users.max(2));
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    let (mut read, mut compiled) = (Duration::ZERO, Duration::ZERO);
    let mut domains = Vec::new();
    let (mut source_bytes, mut tree_bytes) = (0, 0);
    for index in 0..users / each {
        let files = generated(index, each);
        source_bytes += files.0.values().map(|text| text.len()).sum::<usize>();
        let start = now();
        let model = source::load(&files).model.expect("generated rules have no errors");
        read += start.elapsed();
        drop(files);
        let start = now();
        domains.push(Domain::compile(&model, Secrets::default(), 1).expect("they compile"));
        compiled += start.elapsed();
        drop(model);
        tree_bytes += domains.last().map_or(0, |domain| domain.encoded().len());
    }
    let extensions = domains.len() * each;
    let held = LIVE_BYTES.load(Ordering::Relaxed) - before;
    println!(
        "load: {extensions} users in {} domains: read {:.2} s, compiled {:.2} s; an extension holds {} bytes in memory ({} of \
         them its source), {} encoded",
        domains.len(),
        read.as_secs_f64(),
        compiled.as_secs_f64(),
        held / extensions,
        source_bytes / extensions,
        tree_bytes / extensions,
    );
}

#[allow(clippy::disallowed_methods)] // a bench is an edge: it measures
fn now() -> Instant {
    Instant::now()
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(3));
    targets = decide, walk
}

fn main() {
    benches();
    load();
    Criterion::default().configure_from_args().final_summary();
}
