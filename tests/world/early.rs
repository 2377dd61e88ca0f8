//! Reliable provisional responses (RFC 3262) in a network that is not.

use super::net::{CLEAR, Weather, World};
use super::phone::{Phone, Script};
use super::{ANN, BOB, DOMAIN, ann_and_bob, assert_at_rest, finals, ruleset, s};
use ringtree::switch::Input;

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
fn out(script: Script, reliable: bool, says: &str) -> World {
    let rules = "[user.ann]\next = \"100\"\nvoicemail = { enabled = false }\n[trunk.one]\nproxy = \"127.0.1.8\"\n\
        [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
        [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\"]\n";
    let mut world = World::new(ruleset(rules, &[("ann1", "ann")]), CLEAR, 1);
    let addresses = vec![TRUNK.parse().unwrap()];
    world.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: "one".into(), addresses });
    world.add(Phone::new(TRUNK, "trunk", script));
    world.phone(TRUNK).reliable = reliable;
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.act(ANN, Phone::register);
    world.run(s(1));
    world.phone(ANN).extra = says.to_owned();
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550150", s(5))));
    world.run(s(30));
    world
}

/// RFC 3262 §5, RFC 6337 §3.1: the answer stands in the 183, and not again in the 200; without 100rel it stands in both.
#[test]
fn early_media_is_told_reliably_to_whoever_takes_it_so_and_once() {
    for (reliable, says, pracked, described) in
        [(true, ABLE, 1, (0, 1)), (false, ABLE, 1, (0, 1)), (true, "", 0, (1, 0)), (false, "", 0, (1, 0))]
    {
        let mut world = out(Script::EarlyAnswer { after: s(3) }, reliable, says);
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
    let call = world.phone(ANN).finals.keys().next().cloned().unwrap();
    world.act(ANN, |ann, now| ann.cancel(now, &call, "+12025550150"));
    world.run(s(10));
    assert_eq!(finals(&mut world, ANN), [487]);
    assert_eq!(world.phone(TRUNK).cancels.len(), 1);
    assert_at_rest(&mut world);
}
