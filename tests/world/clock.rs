//! Somebody sets the wall clock while calls are up and phones are registered: by an hour, by a day, back or ahead, as a time server does that
//! is reached at last.

use crate::net::{CLEAR, World, configured};
use crate::phone::{Phone, Script};
use crate::{ANN, BOB, TWO_DEVICES, TWO_USERS, ann_and_bob, assert_at_rest, hang_up, ruleset, s};
use jiff::{SignedDuration, Timestamp};
use ringtree::registrar::binding::DeviceKey;
use ringtree::registrar::{Binding, BindingKey};
use ringtree::rules::{FrameStatus, Status, StatusKey, StatusObject};
use ringtree::sip::{Flow, Transport};
use ringtree::switch::Input;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Ahead and back, by more than any registration lasts and by less.
fn steps() -> [SignedDuration; 6] {
    [DAY, -DAY, HOUR, -HOUR, SignedDuration::from_mins(10), -SignedDuration::from_mins(10)]
}

/// Ann calls Bob, and hangs up after so many seconds of talk.
fn dial(world: &mut World, talk: u64) -> String {
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(talk)));
    call
}

fn registrations(world: &World) -> u64 {
    world.switch.counters().registrations
}

#[test]
fn a_phone_that_refreshes_is_never_lost_and_one_that_is_gone_is_forgotten_in_its_time() {
    for step in steps() {
        let mut world = ann_and_bob(Script::Answer { after: s(1) }, CLEAR, 1);
        world.run(s(1800));
        world.set_clock(step);
        world.act(ANN, Phone::register);
        world.run(s(1799));
        assert_eq!(registrations(&world), 2, "{step}: nobody's hour is over");
        dial(&mut world, 5);
        world.run(s(60));
        assert_eq!(registrations(&world), 1, "{step}: Bob's is, by the clock that never jumps");
        let record = world.records.last().unwrap();
        assert_eq!(record.outcome, "answered", "{step}: he was rung until then");
        assert_at_rest(&mut world);
    }
}

/// The moments of a record, as they are written.
fn moments(record: &ringtree::call::record::CallRecord) -> [Timestamp; 3] {
    let answer = record.answer.clone().unwrap();
    let end = record.end.clone().unwrap();
    [&record.start, &answer, &end].map(|text| text.parse().unwrap())
}

#[test]
fn a_record_says_how_long_a_call_was_whatever_the_wall_clock_said_meanwhile() {
    for step in steps() {
        let mut world = ann_and_bob(Script::Answer { after: s(3) }, CLEAR, 1);
        let long = dial(&mut world, 3600);
        world.run(s(63));
        world.set_clock(step);
        world.run(s(60));
        hang_up(&mut world, ANN, &long);
        dial(&mut world, 5);
        world.run(s(30));
        let [long, next] = &world.records[..] else { panic!("{step}: {:#?}", world.records) };
        let [start, answer, end] = moments(long);
        assert_eq!(answer.duration_since(start), SignedDuration::from_secs(3), "{step}");
        assert_eq!(end.duration_since(answer), SignedDuration::from_secs(120), "{step}");
        assert_eq!(long.legs[0].end.as_ref(), long.end.as_ref(), "{step}");
        // The next one begins by the clock as it stands now, and sorts after the one before all the same.
        let [start, ..] = moments(next);
        assert_eq!(start.duration_since(end), SignedDuration::from_secs(2) + step, "{step}");
        assert!(long.id < next.id, "{step}: {} {}", long.id, next.id);
        assert_at_rest(&mut world);
    }
}

const NIGHT: &str = "
[time_frame.night]
weekly = [\"daily 22:00-06:00\"]
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
[[user.bob.rule]]
name = \"Night\"
when = \"night\"
dnd = true
[[user.bob.rule]]
name = \"Day\"
when = \"always\"
";

/// At ten in the morning in New York, unless the clock is set.
fn by_night() -> World {
    let mut world = World::new(ruleset(NIGHT, TWO_DEVICES), CLEAR, 1);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.add(Phone::new(BOB, "bob1", Script::Answer { after: s(1) }));
    for address in [ANN, BOB] {
        world.act(address, Phone::register);
    }
    world.run(s(1));
    world
}

/// Both are registered, so that it is not for that.
fn outcome_of_a_call(world: &mut World) -> u16 {
    for address in [ANN, BOB] {
        world.act(address, Phone::register);
    }
    world.run(s(1));
    let call = dial(world, 2);
    world.run(s(10));
    world.phone(ANN).finals[&call][0]
}

#[test]
fn the_next_call_is_decided_by_the_clock_as_it_was_set_and_one_that_is_up_goes_on() {
    let mut world = by_night();
    let up = dial(&mut world, 3600);
    world.run(s(10));
    world.set_clock(HOUR * 13);
    assert_eq!(outcome_of_a_call(&mut world), 480);
    world.set_clock(-HOUR * 13);
    assert_eq!(outcome_of_a_call(&mut world), 200);
    assert_eq!(world.switch.counters().calls_active, 1, "it is up");
    hang_up(&mut world, ANN, &up);
    assert_at_rest(&mut world);
}

#[test]
fn what_is_set_until_a_moment_ends_when_the_clock_shows_it() {
    let key = || StatusKey { domain: crate::DOMAIN.into(), object: StatusObject::TimeFrame("night".into()) };
    let flip = |world: &mut World| {
        let until = Some(world.now().wall + HOUR);
        world.input(Input::Status {
            key: key(),
            status: Some(Status::TimeFrame(FrameStatus { on: true, until })),
        });
    };
    let mut world = by_night();
    flip(&mut world);
    assert_eq!(outcome_of_a_call(&mut world), 480);
    world.set_clock(HOUR * 2);
    assert_eq!(outcome_of_a_call(&mut world), 200);
    flip(&mut world);
    world.run(s(1800));
    world.set_clock(-HOUR);
    world.run(s(3600));
    assert_eq!(outcome_of_a_call(&mut world), 480, "half an hour of it is left");
    world.run(s(1800));
    assert_eq!(outcome_of_a_call(&mut world), 200);
    assert_at_rest(&mut world);
}

/// A registration as the store gives it back.
fn stored(expires: Timestamp) -> Binding {
    let device = DeviceKey { domain: crate::DOMAIN.into(), device: "bob1".into() };
    Binding {
        key: BindingKey { device, contact: format!("sip:bob1@{BOB}").as_str().into() },
        uri: format!("sip:bob1@{BOB}").as_str().into(),
        flow: Flow {
            transport: Transport::Udp,
            local: crate::net::switch_address(),
            remote: BOB.parse().unwrap(),
            connection: None,
        },
        call_id: "before".into(),
        cseq: 1,
        q: 1000,
        expires,
        registered: expires - HOUR,
        user_agent: None,
        extensions: None,
    }
}

#[test]
fn a_start_before_the_clock_was_set_keeps_no_registration_for_longer_than_any_is_granted() {
    let config = configured(|config| config.expiry.max_s = 3600);
    let mut world = World::with(ruleset(TWO_USERS, TWO_DEVICES), config, CLEAR, 1);
    let in_a_year = world.now().wall + DAY * 365;
    world.input(Input::Restore(stored(in_a_year)));
    world.set_clock(DAY * 365);
    world.run(s(3599));
    assert_eq!(registrations(&world), 1);
    world.run(s(2));
    assert_eq!(registrations(&world), 0, "an hour is the longest");
}
