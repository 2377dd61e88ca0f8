//! The switch in a simulated world: scripted phones, a virtual clock, a network that may lose, repeat and delay. Each claim is what
//! a user would notice; the invariants at rest hold for every one of them.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // in a test, to stop is to fail

mod attended;
mod behaviour;
mod budget_legs;
mod budgets;
mod carrier;
mod certified;
mod clock;
mod conference;
mod deflection;
mod early;
mod encrypted;
mod events;
mod guard;
mod held;
mod live;
mod media;
mod message;
mod net;
mod numbering;
mod overload;
mod phone;
mod pickup;
mod registering;
mod registrar;
mod reoffers;
mod simulated;
mod sips;
mod strangers;
mod transfer;
mod trunks;
mod vacancy;
mod voiced;

use net::{CLEAR, Weather, World};
use phone::{Phone, Script};
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::{Domain, Ruleset};
use std::sync::Arc;
use std::time::Duration;

pub const DOMAIN: &str = "pbx.example";

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The rules of a domain where phones need no password: each device is known by its address.
fn ruleset(users: &str, devices: &[(&str, &str)]) -> Ruleset {
    let mut text = format!(
        "schema = 1\n[domain]\nname = \"{DOMAIN}\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\nring_for = \"20s\"\n{users}\n"
    );
    for (device, user) in devices {
        text += &format!("[device.{device}]\nuser = \"{user}\"\naccept_from = [\"127.0.1.0/24\"]\n");
    }
    let files = Files([(Arc::from("domain.toml"), Arc::from(text.as_str()))].into());
    let loaded = ringtree::rules::source::load(&files);
    let Some(model) = loaded.model else {
        panic!("{}", ringtree::rules::diagnostic::render(&files, &loaded.diagnostics, false))
    };
    let domain = Domain::compile(&model, Secrets::default(), 1).unwrap();
    Ruleset::new([Arc::new(domain)])
}

const TWO_USERS: &str = "
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
";
const TWO_DEVICES: &[(&str, &str)] = &[("ann1", "ann"), ("bob1", "bob")];

const ANN: &str = "127.0.1.1:5060";
const BOB: &str = "127.0.1.2:5060";
const BOB_TOO: &str = "127.0.1.3:5060";
const CID: &str = "127.0.1.4:5060";

/// A trunk named `line`, and calls that go out by it.
const A_LINE: &str = "
[trunk.line]
proxy = \"carrier.example\"
[class.national]
match = [\"+1.\"]
[class.emergency]
match = [\"911\"]
[[route]]
classes = [\"national\", \"emergency\"]
via = [\"line\"]
";

/// Ann and Bob, registered.
fn ann_and_bob(bob: Script, weather: Weather, seed: u64) -> World {
    let mut world = World::new(ruleset(TWO_USERS, TWO_DEVICES), weather, seed);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.add(Phone::new(BOB, "bob1", bob));
    for address in [ANN, BOB] {
        world.act(address, Phone::register);
    }
    world.run_until("both register", s(60), |world| world.switch.counters().registrations == 2);
    world
}

/// Ann, Bob and Cid, with one phone each that answers after a second.
fn three(users: &str) -> World {
    let rules = ruleset(users, &[("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid")]);
    let mut world = World::new(rules, CLEAR, 1);
    for (address, device) in [(ANN, "ann1"), (BOB, "bob1"), (CID, "cid1")] {
        world.add(Phone::new(address, device, Script::Answer { after: s(1) }));
        world.act(address, Phone::register);
    }
    world.run(s(1));
    world
}

/// These phones, Ann's and Bob's among them registered, and trunks that lead to the addresses beside them.
fn office(rules: Ruleset, phones: &[(&str, &str, Script)], trunks: &[(&str, &str)]) -> World {
    let mut world = World::new(rules, CLEAR, 1);
    for (address, user, script) in phones {
        world.add(Phone::new(address, user, *script));
    }
    for (trunk, address) in trunks {
        world.leads(trunk, &[address]);
    }
    for (address, ..) in phones.iter().filter(|(address, ..)| [ANN, BOB].contains(address)) {
        world.act(address, Phone::register);
    }
    world.run(s(1));
    world
}

/// What holds whenever everybody has hung up.
fn assert_at_rest(world: &mut World) {
    world.run(s(120)); // the transactions' own timers
    let counters = world.switch.counters();
    assert_eq!(counters.calls_active, 0);
    assert_eq!(counters.transactions, 0, "no transaction outlives its timers");
    assert!(world.switch.calls().is_empty());
    assert!(world.relays.is_empty(), "every relay was closed");
    assert_eq!(counters.ports_free, world.ports_opened(), "every port is free again");
    for phone in world.phones.values() {
        for (call, finals) in &phone.finals {
            assert_eq!(finals.len(), 1, "{call}: exactly one final response, not {finals:?}");
        }
        for (call, acked) in &phone.open_answers {
            assert!(acked, "{call}: every 2xx is ACKed or BYEd");
        }
    }
}

fn finals(world: &mut World, address: &str) -> Vec<u16> {
    world.phone(address).finals.values().flatten().copied().collect()
}

fn hang_up(world: &mut World, by: &str, call: &str) {
    world.act(by, |phone, now| phone.within(now, call, "BYE", ""));
    world.run(s(2));
}

/// A request of each crosses to the other: they are in one call.
fn assert_joined(world: &mut World, one: (&str, &str), other: (&str, &str)) {
    for (by, call) in [one, other] {
        world.act(by, |phone, now| phone.within(now, call, "INFO", ""));
        world.run(s(1));
        let told = world.phone(by).told.last().cloned().unwrap();
        assert_eq!(told, ("INFO".to_owned(), 200), "{by}");
    }
}

/// The one relay that is open sends to these two, and to nobody else.
fn assert_points(world: &World, one: &str, other: &str) {
    let open: Vec<_> = world.relays.iter().filter_map(|relay| world.points.get(relay)).collect();
    let [points] = open[..] else { panic!("one relay is open, not {}", open.len()) };
    let ip = |address: &str| address.parse::<std::net::SocketAddr>().unwrap().ip();
    let mut heard: Vec<_> = points.iter().flatten().map(std::net::SocketAddr::ip).collect();
    let mut meant = vec![ip(one), ip(other)];
    heard.sort();
    meant.sort();
    assert_eq!(heard, meant);
}

#[test]
fn a_call_is_answered_talked_through_and_hung_up() {
    let mut world = ann_and_bob(Script::Answer { after: s(3) }, CLEAR, 1);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(30))));
    world.run(s(10));
    assert_eq!(world.switch.counters().calls_active, 1);
    assert_eq!(world.relays.len(), 1, "media is anchored");
    world.run(s(30));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.phone(ANN).provisionals, [180]);
    assert_eq!((world.phone(BOB).acks, world.phone(BOB).byes), (1, 1));
    let record = world.records.pop().unwrap();
    assert_eq!(record.outcome, "answered");
    assert_eq!(record.answered_by.unwrap().device.as_deref(), Some("bob1"));
    assert!(record.tags.iter().any(|tag| tag == "answered:bob1"), "{:?}", record.tags);
    assert_at_rest(&mut world);
}

#[test]
fn a_busy_phone_gives_busy_and_a_declining_one_decline() {
    for (status, expected, outcome) in [(486, 486, "busy"), (603, 603, "declined"), (480, 486, "busy")] {
        let mut world = ann_and_bob(Script::Refuse { status, after: s(1) }, CLEAR, 1);
        world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
        world.run(s(10));
        assert_eq!(finals(&mut world, ANN), [expected]);
        assert_eq!(world.records[0].outcome, outcome);
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_caller_who_gives_up_ends_the_ringing() {
    let mut world = ann_and_bob(Script::Ring, CLEAR, 1);
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(1)));
    world.run(s(5));
    world.act(ANN, |ann, now| ann.cancel(now, &call, "200"));
    world.run(s(5));
    assert_eq!(finals(&mut world, ANN), [487]);
    assert_eq!(world.phone(BOB).cancels.len(), 1);
    assert_eq!(world.records[0].outcome, "caller_gone");
    assert_at_rest(&mut world);
}

#[test]
fn nobody_answers_within_ring_for_and_the_phone_shows_a_missed_call() {
    let mut world = ann_and_bob(Script::Ring, CLEAR, 1);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world.run(s(19));
    assert_eq!(finals(&mut world, ANN), [0_u16; 0]);
    world.run(s(2));
    assert_eq!(finals(&mut world, ANN), [480]);
    assert_eq!(world.phone(BOB).cancels, [Vec::<String>::new()], "no Reason: a real missed call");
    assert_eq!(world.records[0].outcome, "no_answer");
    assert_at_rest(&mut world);
}

#[test]
fn the_first_of_four_phones_wins_and_three_learn_that_it_was_answered_elsewhere() {
    let users = "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n";
    let devices: Vec<(String, &str)> = (1..=4).map(|n| (format!("bob{n}"), "bob")).collect();
    let mut all: Vec<(&str, &str)> = vec![("ann1", "ann")];
    all.extend(devices.iter().map(|(device, user)| (device.as_str(), *user)));
    let mut world = World::new(ruleset(users, &all), CLEAR, 1);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.act(ANN, Phone::register);
    for n in 1..=4 {
        let script = if n == 3 { Script::Answer { after: s(2) } } else { Script::Ring };
        let address = format!("127.0.1.2:506{n}");
        world.add(Phone::new(&address, &format!("bob{n}"), script));
        world.act(&address, Phone::register);
    }
    world.run(s(1));
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(5))));
    world.run(s(20));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.phone(ANN).provisionals, [180], "one early dialog, one 180");
    for n in [1, 2, 4] {
        let cancels = &world.phone(&format!("127.0.1.2:506{n}")).cancels;
        assert_eq!(cancels.len(), 1);
        assert_eq!(cancels[0][0], "SIP;cause=200;text=\"Call completed elsewhere\"");
    }
    assert_eq!(world.records[0].legs.len(), 4);
    assert_at_rest(&mut world);
}

/// Ann, and Bob with one device that has two contacts, which do this.
fn two_contacts(first: Script, second: Script) -> World {
    let mut world = World::new(ruleset(TWO_USERS, TWO_DEVICES), CLEAR, 1);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.add(Phone::new(BOB, "bob1", first));
    world.add(Phone::new(BOB_TOO, "bob1", second));
    for address in [ANN, BOB, BOB_TOO] {
        world.act(address, Phone::register);
    }
    world.run(s(1));
    assert_eq!(world.switch.counters().registrations, 3);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world
}

#[test]
fn a_contact_that_is_dead_does_not_hide_that_the_device_is_busy() {
    let mut world = two_contacts(Script::Dead, Script::Refuse { status: 486, after: s(1) });
    world.run(s(30));
    assert_eq!(finals(&mut world, ANN), [486]);
    assert_at_rest(&mut world);
}

#[test]
fn a_decline_on_one_contact_stops_the_other_at_once() {
    let mut world = two_contacts(Script::Ring, Script::Refuse { status: 603, after: s(3) });
    world.run(s(5));
    assert_eq!(finals(&mut world, ANN), [603]);
    assert_eq!(world.phone(BOB).cancels, [["SIP;cause=603;text=\"Declined\""]]);
    assert_at_rest(&mut world);
}

#[test]
fn late_200_from_a_loser_is_acked_and_byed() {
    let users = "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n";
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("bob2", "bob")];
    // Both answer within the network's delay: the second 200 crosses our CANCEL.
    let weather = Weather { loss: 0, duplication: 0, delay_ms_max: 40 };
    for seed in 1..=20 {
        let mut world = World::new(ruleset(users, &devices), weather, seed);
        for (address, user, script) in [
            (ANN, "ann1", Script::Ring),
            (BOB, "bob1", Script::Answer { after: s(2) }),
            ("127.0.1.3:5060", "bob2", Script::Answer { after: s(2) }),
        ] {
            world.add(Phone::new(address, user, script));
            world.act(address, Phone::register);
        }
        world.run(s(1));
        world.act(ANN, |ann, now| drop(ann.call(now, "200", s(5))));
        world.run(s(60));
        assert_eq!(finals(&mut world, ANN), [200], "seed {seed}");
        let byes = world.phone(BOB).byes + world.phone("127.0.1.3:5060").byes;
        let answered = world.phones.values().filter(|phone| phone.acks > 0).count();
        assert!(byes >= 1 && answered >= 1, "seed {seed}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn an_unanswered_call_is_forwarded_to_the_next_user() {
    let users = "
[user.ann]
ext = \"100\"
[user.bob]
ext = \"200\"
[[user.bob.rule]]
name = \"Default\"
when = \"always\"
ring_for = \"5s\"
forward.no_answer = \"user:cid\"
[user.cid]
ext = \"300\"
";
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid")];
    let mut world = World::new(ruleset(users, &devices), CLEAR, 1);
    let cid = "127.0.1.3:5060";
    for (address, user, script) in [
        (ANN, "ann1", Script::Ring),
        (BOB, "bob1", Script::Ring),
        (cid, "cid1", Script::Answer { after: s(1) }),
    ] {
        world.add(Phone::new(address, user, script));
        world.act(address, Phone::register);
    }
    world.run(s(1));
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(5))));
    world.run(s(30));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.phone(BOB).cancels.len(), 1);
    let tags = world.records[0].tags.join(" ");
    for tag in
        ["rule:bob/Default", "ring:bob1@0+5", "no_answer", "forward:no_answer", "user:cid", "answered:cid1"]
    {
        assert!(tags.contains(tag), "{tag} is missing in {tags}");
    }
    assert_at_rest(&mut world);
}

#[test]
fn a_trunk_that_is_full_gives_way_to_the_next_before_it_rings() {
    let rules = "
[user.ann]
ext = \"100\"
[trunk.one]
proxy = \"127.0.1.8\"
[trunk.two]
proxy = \"127.0.1.9\"
[class.national]
match = [\"+1.\"]
[[route]]
classes = [\"national\", \"emergency\"]
via = [\"one\", \"two\"]
[class.emergency]
match = [\"911\"]
";
    let mut world = World::new(ruleset(rules, &[("ann1", "ann")]), CLEAR, 1);
    for (trunk, address, script) in [
        ("one", "127.0.1.8:5060", Script::Fails(503)),
        ("two", "127.0.1.9:5060", Script::Answer { after: s(1) }),
    ] {
        world.leads(trunk, &[address]);
        world.add(Phone::new(address, "trunk", script));
    }
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.act(ANN, Phone::register);
    world.run(s(1));
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550150", s(5))));
    world.run(s(20));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.phone("127.0.1.9:5060").byes, 1);
    let statuses: Vec<_> = world.records[0].legs.iter().map(|leg| leg.status).collect();
    assert_eq!(statuses, [Some(503), Some(200)]);
    assert_at_rest(&mut world);
}

#[test]
fn a_phone_that_says_nothing_is_offline() {
    let mut world = ann_and_bob(Script::Dead, CLEAR, 1);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world.run(s(40));
    assert_eq!(finals(&mut world, ANN), [480]);
    assert_eq!(world.records[0].outcome, "offline");
    assert_at_rest(&mut world);
}

#[test]
fn calls_survive_a_network_that_loses_repeats_and_reorders() {
    let weather = Weather { loss: 10, duplication: 10, delay_ms_max: 300 };
    let scripts = [
        Script::Answer { after: s(2) },
        Script::Refuse { status: 486, after: s(1) },
        Script::Refuse { status: 603, after: s(4) },
        Script::Ring,
    ];
    for seed in 1..=40 {
        let script = scripts[seed as usize % scripts.len()];
        let mut world = ann_and_bob(script, weather, seed * 7919);
        for n in 0..10 {
            let mut call = String::new();
            world.act(ANN, |ann, now| call = ann.call(now, "200", s(3)));
            let pause = world.die(9);
            world.run(s(pause));
            if n % 3 == 0 && world.phone(ANN).finals[&call].is_empty() {
                world.act(ANN, |ann, now| ann.cancel(now, &call, "200"));
            }
        }
        world.run(s(200));
        assert_at_rest(&mut world);
        assert_eq!(world.records.len(), 10, "seed {seed}: one record a call");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let weather = Weather { loss: 20, duplication: 20, delay_ms_max: 500 };
        let mut world = ann_and_bob(Script::Answer { after: s(1) }, weather, 99);
        world.act(ANN, |ann, now| drop(ann.call(now, "200", s(3))));
        world.run(s(100));
        (world.elapsed(), serde_json::to_string(&world.records).unwrap())
    };
    assert_eq!(run(), run());
}
