//! Messages between phones: who gets them, and what the sender hears.

use super::net::{CLEAR, Weather, World};
use super::phone::{Phone, Script};
use super::{ANN, BOB, CID, assert_at_rest, ruleset, s};

const BOB_2: &str = "127.0.1.3:5060";
const SPARE: &str = "127.0.1.7:5060";

const RULES: &str = "
[user.ann]
ext = \"100\"
name = { first = \"Ann\" }
[user.bob]
ext = \"200\"
block = [\"300\"]
[[user.bob.rule]]
name = \"Default\"
when = \"always\"
dnd = true
[user.cid]
ext = \"300\"
[user.dot]
ext = \"400\"
[device.spare]
accept_from = [\"127.0.1.7\"]
";

fn office(weather: Weather, seed: u64) -> World {
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("bob2", "bob"), ("cid1", "cid"), ("dot1", "dot")];
    let mut world = World::new(ruleset(RULES, &devices), weather, seed);
    for (address, device) in [(ANN, "ann1"), (BOB, "bob1"), (BOB_2, "bob2"), (CID, "cid1")] {
        world.add(Phone::new(address, device, Script::Ring));
        world.act(address, Phone::register);
    }
    world.add(Phone::new(SPARE, "spare", Script::Ring));
    world.run_until("all register", s(60), |world| world.switch.counters().registrations == 4);
    world
}

/// What the sender hears at last.
fn send(world: &mut World, by: &str, to: &str, text: &str) -> Option<u16> {
    let before = world.phone(by).told.len();
    world.act(by, |phone, now| phone.text(now, to, text));
    world.run(s(1));
    world.phone(by).told.get(before).map(|(method, status)| {
        assert_eq!(method, "MESSAGE");
        *status
    })
}

fn got(world: &mut World, address: &str) -> Vec<String> {
    world.phone(address).texts.clone()
}

#[test]
fn a_message_comes_to_every_phone_of_whom_it_is_for() {
    let mut world = office(CLEAR, 1);
    assert_eq!(send(&mut world, ANN, "200", "Lunch?"), Some(200), "do-not-disturb is about ringing");
    for address in [BOB, BOB_2] {
        let got = got(&mut world, address);
        assert_eq!(got.len(), 1, "{address}");
        assert!(got[0].contains("From: \"Ann\" <sip:100@pbx.example>;tag="), "{}", got[0]);
        assert!(
            got[0].contains("Content-Type: text/plain") && got[0].ends_with("\r\n\r\nLunch?"),
            "{}",
            got[0]
        );
        assert!(got[0].contains("Max-Forwards: 69") && !got[0].contains("Contact:"), "{}", got[0]);
    }
    assert!(got(&mut world, CID).is_empty());
    assert_at_rest(&mut world);
}

#[test]
fn one_phone_that_takes_it_is_enough_and_what_all_say_is_passed_back() {
    let mut world = office(CLEAR, 1);
    world.phone(BOB).message_status = 488;
    assert_eq!(send(&mut world, ANN, "200", "one"), Some(200));
    world.phone(BOB_2).message_status = 415;
    assert_eq!(send(&mut world, ANN, "200", "two"), Some(488), "the first that has spoken");
    world.phone(BOB_2).message_status = 202;
    assert_eq!(send(&mut world, ANN, "200", "three"), Some(202));
    world.phone(BOB).message_status = 401;
    world.phone(BOB_2).message_status = 407;
    assert_eq!(
        send(&mut world, ANN, "200", "four"),
        Some(480),
        "what a phone asks of us is not asked of Ann"
    );
    assert_at_rest(&mut world);
}

#[test]
fn who_is_blocked_unknown_or_nobody_hears_so() {
    let mut world = office(CLEAR, 1);
    assert_eq!(send(&mut world, CID, "200", "Hello"), Some(607), "Bob has blocked Cid");
    assert_eq!(send(&mut world, ANN, "400", "Hello"), Some(480), "Dot has no phone that is there");
    assert_eq!(send(&mut world, ANN, "999", "Hello"), Some(404));
    assert_eq!(send(&mut world, SPARE, "100", "Hello"), Some(403), "a phone of nobody's");
    let long = "x".repeat(1301);
    assert_eq!(send(&mut world, ANN, "300", &long), Some(413));
    assert_eq!(send(&mut world, ANN, "300", &long[1..]), Some(200));
    world.phone(ANN).max_forwards = 0;
    assert_eq!(send(&mut world, ANN, "300", "Hello"), Some(483));
    assert!(got(&mut world, BOB).is_empty());
    assert_eq!(got(&mut world, CID).len(), 1);
    assert_at_rest(&mut world);
}

#[test]
fn a_phone_that_says_nothing_is_waited_for_and_then_not_there() {
    let mut world = office(CLEAR, 1);
    world.phone(CID).message_status = 0;
    assert_eq!(send(&mut world, ANN, "300", "Hello"), None);
    world.run(s(40));
    assert_eq!(world.phone(ANN).told, [("MESSAGE".to_owned(), 480)]);
    assert_at_rest(&mut world);
}

#[test]
fn a_message_in_a_call_crosses_to_the_other_side() {
    let mut world = office(CLEAR, 1);
    world.phone(CID).script = Script::Answer { after: s(1) };
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "300", s(600)));
    world.run(s(3));
    world.act(ANN, |ann, now| ann.within(now, &call, "MESSAGE", "Content-Type: text/plain\r\n"));
    world.run(s(1));
    assert_eq!(world.phone(ANN).told, [("MESSAGE".to_owned(), 200)]);
    assert_eq!(got(&mut world, CID).len(), 1);
    world.act(ANN, |ann, now| ann.within(now, &call, "BYE", ""));
    assert_at_rest(&mut world);
}

#[test]
fn a_message_comes_once_through_a_network_that_loses_and_repeats() {
    let weather = Weather { loss: 20, duplication: 20, delay_ms_max: 100 };
    for seed in 0..20 {
        let mut world = office(weather, seed);
        world.act(ANN, |ann, now| ann.text(now, "300", "Hello"));
        world.run(s(40));
        assert_eq!(got(&mut world, CID).len(), 1, "{seed}");
        let told = &world.phone(ANN).told;
        assert!(!told.is_empty() && told.iter().all(|(_, status)| *status == 200), "{seed}: {told:?}");
        assert_at_rest(&mut world);
    }
}
