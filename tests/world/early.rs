//! Reliable provisional responses (RFC 3262) in a network that is not.

use super::net::{CLEAR, Weather, World};
use super::phone::{Phone, Script};
use super::{ANN, BOB, ann_and_bob, assert_at_rest, finals, ruleset, s};

const ABLE: &str = "Supported: 100rel\r\n";
const REQUIRED: &str = "Require: 100rel\r\n";

#[test]
fn both_sides_acknowledge_once_whatever_the_network_loses_and_repeats() {
    let weather = Weather { loss: 25, duplication: 20, delay_ms_max: 400 };
    for seed in 1..=30 {
        let mut world = ann_and_bob(Script::Answer { after: s(8) }, weather, seed * 31);
        world.phone(BOB).reliable = true;
        world.phone(ANN).extra = REQUIRED.to_owned();
        world.act(ANN, |ann, now| drop(ann.call(now, "200", s(3))));
        world.run(s(8));
        world.weather(CLEAR, seed); // what is lost by now was sent again
        world.run(s(60));
        assert_eq!(finals(&mut world, ANN), [200], "seed {seed}");
        assert_eq!(world.phone(BOB).pracks, ["700 1 INVITE"], "seed {seed}");
        let pracked = &world.phone(ANN).pracked;
        assert!(
            !pracked.is_empty() && pracked.iter().all(|status| *status == 200),
            "seed {seed}: {pracked:?}"
        );
        assert_at_rest(&mut world);
    }
}

const TRUNK: &str = "127.0.1.8:5060";

/// Ann calls out by a trunk that does this.
pub fn out(script: Script, reliable: bool, says: &str) -> World {
    let rules = "[user.ann]\next = \"100\"\nvoicemail = { enabled = false }\n[trunk.one]\nproxy = \"127.0.1.8\"\n\
        [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
        [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\"]\n";
    let mut world = World::new(ruleset(rules, &[("ann1", "ann")]), CLEAR, 1);
    world.leads("one", &[TRUNK]);
    world.add(Phone::new(TRUNK, "trunk", script));
    world.phone(TRUNK).reliable = reliable;
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.act(ANN, Phone::register);
    world.run(s(1));
    world.phone(ANN).extra = says.to_owned();
    world
}

fn call(world: &mut World) {
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550150", s(5))));
    world.run(s(30));
}

/// RFC 3262 §5, RFC 6337 §3.1: the answer stands in the 183, and not again in the 200; without 100rel it stands in both.
#[test]
fn early_media_is_told_reliably_to_whoever_takes_it_so_and_once() {
    for (reliable, says, pracked, described) in
        [(true, ABLE, 1, (0, 1)), (false, ABLE, 1, (0, 1)), (true, "", 0, (1, 0)), (false, "", 0, (1, 0))]
    {
        let mut world = out(Script::EarlyAnswer { after: s(3) }, reliable, says);
        call(&mut world);
        assert_eq!(finals(&mut world, ANN), [200]);
        let ann = world.phone(ANN);
        assert_eq!((ann.provisionals.as_slice(), ann.pracked.len()), (&[183_u16][..], pracked));
        assert_eq!(ann.described, described, "{reliable} {says}");
        assert_eq!(world.phone(TRUNK).pracks.len(), usize::from(reliable));
        assert_at_rest(&mut world);
    }
}

#[test]
fn who_gives_up_after_reliable_early_media_leaves_nothing_behind() {
    let mut world = out(Script::EarlyMedia, true, REQUIRED);
    call(&mut world);
    let call = world.phone(ANN).finals.keys().next().cloned().unwrap();
    world.act(ANN, |ann, now| ann.cancel(now, &call, "+12025550150"));
    world.run(s(10));
    assert_eq!(finals(&mut world, ANN), [487]);
    assert_eq!(world.phone(TRUNK).cancels.len(), 1);
    assert_at_rest(&mut world);
}

/// RFC 3261 §13.2.1: the 200 repeats what the 183 said; what whoever answered has said otherwise, the caller is asked for.
#[test]
fn an_answer_that_differs_from_early_media_is_told_after_the_ack() {
    for says in ["", ABLE] {
        let mut world = out(Script::EarlyAnswer { after: s(3) }, false, says);
        world.phone(TRUNK).changes_its_mind = true;
        call(&mut world);
        assert_eq!(finals(&mut world, ANN), [200]);
        let told = world.phone(ANN).reinvites.clone();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("RTP/AVP 8"), "{}", told[0]);
        assert_at_rest(&mut world);
    }
}

/// RFC 4028 §10: a phone that is gone without a word.
#[test]
fn a_phone_that_vanishes_ends_the_call_and_the_record_says_why() {
    let mut world = ann_and_bob(Script::Answer { after: s(1) }, CLEAR, 1);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(100_000))));
    world.run(s(3_000));
    assert_eq!(world.switch.counters().calls_active, 1, "refreshed thrice");
    assert_eq!((world.phone(ANN).reinvites.len(), world.phone(BOB).reinvites.len()), (3, 3));
    let gone = world.phones.remove(&BOB.parse().unwrap());
    assert!(gone.is_some());
    world.run(s(1_000));
    assert_eq!(world.switch.counters().calls_active, 0);
    assert_eq!(world.phone(ANN).byes, 1);
    let record = &world.records[0];
    assert_eq!(record.ended_because.as_deref(), Some("device:bob1 has not answered a refresh"));
    assert!(record.explanation.steps.iter().any(|step| step.tag == "session_expired"));
    assert_at_rest(&mut world);
}
