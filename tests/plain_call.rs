//! A plain call is decided without an allocation: an extension or a number, lists that don't name the caller, rules by time frame,
//! a user's own phones. What it costs in time, `benches/decide.rs` measures.

#![allow(unsafe_code)] // an allocator that counts can't be written without
#![allow(clippy::unwrap_used, clippy::panic)]

use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::facts::{CallFacts, Caller, Dialled, Origin, Verified};
use ringtree::rules::route::Idle;
use ringtree::rules::{Domain, Next, Walk, source};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

struct Counting;

thread_local! {
    /// Of this thread alone: the harness allocates on others.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const RULES: &str = r#"
schema = 1
[domain]
name = "pbx.test"
timezone = "America/New_York"
country = "US"
[trunk.t]
proxy = "192.0.2.1"
[time_frame.holidays]
dates = [2026-12-25]
[time_frame.open]
weekly = ["mon-fri 09:00-17:00"]
except = ["holidays"]
[time_frame.night]
weekly = ["daily 22:00-06:00"]
[list.spam]
numbers = ["+1900.", "+12025550199"]
[number."+12025550101"]
to = "user:ann"
[user.ann]
ext = "101"
name = { first = "Ann", last = "X" }
allow = ["+12025550171", "102X"]
block = ["list:spam", "+44."]
block_anonymous = true
block_unknown = true
[[user.ann.rule]]
name = "Night"
when = "night"
dnd = true
[[user.ann.rule]]
name = "Open"
when = "open"
ring.targets = ["self:all"]
forward.busy = "user:bob"
forward.no_answer = "user:bob"
[[user.ann.rule]]
name = "Default"
when = "always"
forward.always = "user:bob"
[user.bob]
ext = "102"
name = { first = "Bob", last = "X" }
[device.a1]
user = "ann"
primary = true
auth = { user = "a1", secret = "plain:x" }
[device.a2]
user = "ann"
auth = { user = "a2", secret = "plain:x" }
[device.b1]
user = "bob"
auth = { user = "b1", secret = "plain:x" }
"#;

fn domain() -> Arc<Domain> {
    let loaded = source::load(&Files([("domain.toml".into(), RULES.into())].into()));
    let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap())
}

/// Decides from the facts to the plan, and counts.
fn allocations(domain: &Arc<Domain>, origin: Origin, raw: &str, to: &str) -> usize {
    let facts = CallFacts {
        at: "2026-11-24T15:00:00Z".parse().unwrap(),
        caller: Caller { origin, raw: raw.into(), name: Some("Rita".into()), anonymous: false },
        dialled: Dialled::Text(to.into()),
        psap_callback: false,
        verified: Verified::NotChecked,
        earlier_hops: 0,
    };
    let before = ALLOCATIONS.get();
    let mut walk = Walk::new(domain.clone(), facts);
    let next = walk.start(&Idle);
    let count = ALLOCATIONS.get() - before;
    assert_eq!(next, Next::Ring);
    let plan = walk.plan().unwrap();
    assert_eq!(plan.legs.len(), 2);
    assert!(walk.explanation().tags.contains(&"rule:ann/Open".to_owned()));
    count
}

#[test]
fn a_plain_call_is_decided_without_an_allocation() {
    let domain = domain();
    // What is decoded when it is first asked for is there from then on.
    allocations(&domain, Origin::Device("b1".into()), "102", "101");
    allocations(&domain, Origin::Trunk("t".into()), "+12025550150", "+12025550101");
    assert_eq!(
        allocations(&domain, Origin::Device("b1".into()), "102", "101"),
        0,
        "from a phone to an extension"
    );
    let from_trunk = allocations(&domain, Origin::Trunk("t".into()), "+12025550150", "+12025550101");
    assert_eq!(from_trunk, 0, "from a trunk to a number");
}
