//! The media of a call as signalling sees it: ports that run out, and silence that the relay notices.

use super::early;
use super::net::{CLEAR, World, configured};
use super::phone::{Phone, Script};
use super::{ANN, BOB, TWO_DEVICES, TWO_USERS, ann_and_bob, assert_at_rest, finals, ruleset, s};
use ringtree::relay::{Audio, Report};
use ringtree::switch::{Event, Input};

/// The one relay that is open has noticed this.
fn notice(world: &mut World, audio: Audio) {
    let id = *world.relays.first().unwrap();
    world.input(Input::Media(Report::Audio { id, audio }));
}

fn told(world: &World) -> Vec<Audio> {
    let audio = |event: &Event| match event {
        Event::CallAudio { audio, .. } => Some(*audio),
        _ => None,
    };
    world.events.iter().filter_map(audio).collect()
}

#[test]
fn silence_in_a_call_is_told_when_it_begins_and_when_it_ends() {
    let mut world = ann_and_bob(Script::Answer { after: s(3) }, CLEAR, 1);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(30))));
    world.run(s(10));
    for audio in
        [Audio::CalleeSilent, Audio::CalleeSilent, Audio::Silent, Audio::BothWays, Audio::CallerSilent]
    {
        notice(&mut world, audio);
    }
    assert_eq!(told(&world), [Audio::CalleeSilent, Audio::Silent, Audio::BothWays, Audio::CallerSilent]);
    let counters = world.switch.counters();
    assert_eq!((counters.one_way_total, counters.silent_total), (2, 1));
    world.run(s(30));
    assert_at_rest(&mut world);
}

#[test]
fn a_caller_who_says_nothing_before_the_answer_is_not_missed() {
    let mut world = early::out(Script::EarlyMedia, false, "");
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550150", s(5))));
    world.run(s(3));
    notice(&mut world, Audio::CallerSilent);
    assert_eq!(told(&world), []);
    assert_eq!(world.switch.counters().one_way_total, 0);
}

#[test]
fn a_call_that_finds_no_media_port_is_answered_with_503_and_the_next_one_is_not() {
    let rules = ruleset(TWO_USERS, TWO_DEVICES);
    let mut world = World::with_ports(rules, configured(|_| ()), CLEAR, 1, 2);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.add(Phone::new(BOB, "bob1", Script::Answer { after: s(1) }));
    for address in [ANN, BOB] {
        world.act(address, Phone::register);
    }
    world.run(s(1));
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(20))));
    world.run(s(5));
    assert_eq!((finals(&mut world, ANN), world.switch.counters().ports_free), (vec![200], 0));
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(20))));
    world.run(s(5));
    assert_eq!(finals(&mut world, ANN).iter().filter(|status| **status == 503).count(), 1);
    world.run(s(60));
    assert_eq!(world.switch.counters().ports_free, 2, "both pairs are back");
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(20))));
    world.run(s(60));
    let finals = finals(&mut world, ANN);
    assert_eq!(finals.iter().filter(|status| **status == 200).count(), 2, "{finals:?}");
    assert_at_rest(&mut world);
}

#[test]
fn ports_that_were_not_to_be_had_are_asked_for_again_after_a_minute() {
    let rules = ruleset(TWO_USERS, TWO_DEVICES);
    let mut world = World::with_ports(rules, configured(|_| ()), CLEAR, 1, 2);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.act(ANN, Phone::register);
    world.run(s(30));
    assert_eq!(world.switch.counters().ports_free, 2);
    world.ports_max = 4; // whoever had them has given them back
    world.act(ANN, Phone::register);
    assert_eq!(world.switch.counters().ports_free, 2, "not at each message");
    world.run(s(31));
    world.act(ANN, Phone::register);
    world.run(s(1));
    assert_eq!(world.switch.counters().ports_free, 6);
}

#[test]
fn phones_behind_a_nat_are_expected_where_their_sip_comes_from() {
    let mut world = ann_and_bob(Script::Answer { after: s(1) }, CLEAR, 1);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(30))));
    world.run(s(5));
    let ip = |address: &str| address.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    assert_eq!(world.expected[world.relays.first().unwrap()], [ip(ANN), ip(BOB)]);
    world.run(s(60));
    assert_at_rest(&mut world);
}
