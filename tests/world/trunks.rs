//! Trunks that we register at, and that ask who calls.

use super::guard::Guard;
use super::net::{CLEAR, Weather, World};
use super::phone::{Phone, Script};
use super::{ANN, DOMAIN, assert_at_rest, finals, ruleset, s};
use ringtree::switch::Input;
use ringtree::trunk::Standing;
use std::sync::Arc;

const ONE: &str = "127.0.1.8:5060";
const TWO: &str = "127.0.1.9:5060";

fn rules(register: &str) -> ringtree::rules::Ruleset {
    let users = format!(
        "[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n\
         [trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n{register}\n\
         [trunk.two]\nproxy = \"127.0.1.9\"\naccept_from = [\"127.0.1.9\"]\n\
         [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\", \"two\"]\n"
    );
    ruleset(&users, &[("ann1", "ann")])
}

const REGISTER: &str = "register = { user = \"office\", secret = \"plain:secret\" }";

/// Ann's phone, and two trunks that answer; the first wants to know who we are.
fn world(register: &str, weather: Weather, seed: u64) -> World {
    let mut world = World::new(rules(register), weather, seed);
    let answer = Script::Answer { after: s(1) };
    for (address, user, script) in [(ANN, "ann1", Script::Ring), (ONE, "one", answer), (TWO, "two", answer)] {
        world.add(Phone::new(address, user, script));
    }
    world.phone(ONE).guard = Some(Guard::new("secret"));
    for (trunk, address) in [("one", ONE), ("two", TWO)] {
        let addresses = vec![address.parse().unwrap()];
        world.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: trunk.into(), addresses });
    }
    world.act(ANN, Phone::register);
    world
}

fn standing(world: &World) -> Option<Standing> {
    world.switch.trunk_registration(&(DOMAIN.into(), "one".into()))
}

fn is_registered(world: &World) -> bool {
    matches!(standing(world), Some(Standing::Registered { .. }))
}

fn guard(world: &mut World) -> &mut Guard {
    world.phone(ONE).guard.as_mut().unwrap()
}

fn dial_out(world: &mut World) {
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550199", s(2))));
    world.run(s(60));
}

#[test]
fn we_stay_registered_for_as_long_as_we_run_and_take_it_back_when_we_stop() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(3600));
    assert!(is_registered(&world));
    let before = guard(&mut world).registered.clone();
    assert!((6..=9).contains(&before.len()), "each ten minutes are refreshed before their end: {before:?}");
    assert!(before.iter().all(|(call_id, _, expires)| (call_id, *expires) == (&before[0].0, 600)));
    assert!(before.windows(2).all(|pair| pair[0].1 < pair[1].1), "{before:?}");
    assert_eq!(
        guard(&mut world).asked as usize,
        before.len() + 1,
        "after the first challenge none was needed"
    );
    world.input(Input::Drain);
    world.run(s(5));
    let last = guard(&mut world).registered.pop().unwrap();
    assert_eq!((last.0, last.2), (before[0].0.clone(), 0));
}

#[test]
fn a_trunk_that_goes_from_the_rules_is_told_so() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(10));
    world.input(Input::Rules(Arc::new(rules(""))));
    world.run(s(10));
    assert_eq!(guard(&mut world).registered.pop().unwrap().2, 0);
    assert_eq!(standing(&world), None);
}

#[test]
fn bad_weather_delays_a_registration_and_never_doubles_it() {
    for seed in 1..20 {
        let weather = Weather { loss: 40, duplication: 20, delay_ms_max: 300 };
        let mut world = world(REGISTER, weather, seed);
        world.run_until("registered", s(3600), is_registered);
        world.run(s(3600));
        let registered = guard(&mut world).registered.clone();
        assert!(
            registered.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].1 < pair[1].1),
            "{registered:?}"
        );
        world.weather(CLEAR, seed);
        world.run(s(1800));
        assert!(is_registered(&world), "seed {seed}: {:?}", standing(&world));
    }
}

#[test]
fn a_call_out_answers_the_challenge_of_its_trunk() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(5));
    dial_out(&mut world);
    assert_eq!(finals(&mut world, ANN), [200]);
    let invites = world.phone(ONE).invites.clone();
    assert_eq!(invites.len(), 1, "the one that was let in");
    assert!(invites[0].contains("CSeq: 2 INVITE"), "{}", invites[0]);
    assert!(world.phone(TWO).invites.is_empty());
    assert_eq!(world.records[0].legs.len(), 1, "to the caller and in the record it is one leg");
    world.input(Input::Drain);
    assert_at_rest(&mut world);
}

/// RFC 3261 §22.2, §13.2.2.4.
#[test]
fn a_trunk_that_asks_within_a_call_too_is_answered_there() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(5));
    guard(&mut world).strict = true;
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "+12025550199", s(1000)));
    world.run(s(10));
    world.act(ANN, |ann, now| ann.within(now, &call, "INFO", ""));
    world.run(s(10));
    assert_eq!(world.phone(ANN).told, [("INFO".to_owned(), 200)]);
    world.run(s(920)); // our refresh is let in too
    assert_eq!(world.phone(ONE).reinvites.len(), 1);
    assert_eq!(world.switch.counters().calls_active, 1);
    world.run(s(120));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.phone(ONE).byes, 1, "the one that was let in");
    world.input(Input::Drain);
    assert_at_rest(&mut world);
}

#[test]
fn while_we_are_not_registered_calls_take_another_trunk() {
    let mut world = world(REGISTER, CLEAR, 1);
    guard(&mut world).locked = true;
    world.run(s(5));
    assert!(matches!(standing(&world), Some(Standing::Refused { .. })), "{:?}", standing(&world));
    world.run(s(3600));
    assert_eq!(guard(&mut world).asked, 1, "who was refused doesn't ask again");
    dial_out(&mut world);
    assert_eq!((world.phone(ONE).invites.len(), world.phone(TWO).invites.len()), (0, 1));
    assert_eq!(guard(&mut world).asked, 1);
}

#[test]
fn a_trunk_that_does_not_know_our_password_gives_way_to_the_next() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(5));
    guard(&mut world).password = "another";
    guard(&mut world).restart();
    dial_out(&mut world);
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!((world.phone(ONE).invites.len(), world.phone(TWO).invites.len()), (0, 1));
    let reasons: Vec<u16> = world.records[0].legs.iter().filter_map(|leg| leg.status).collect();
    assert_eq!(reasons[0], 407, "{reasons:?}");
    world.run(s(1000));
    assert!(matches!(standing(&world), Some(Standing::Refused { .. })), "so does the next refresh");
}
