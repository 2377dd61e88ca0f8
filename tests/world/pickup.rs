//! A colleague picks up what rings, a phone takes over what its user has on another one: what each of them notices.

use super::net::{CLEAR, Weather, World};
use super::phone::{Describes, Phone, Script};
use super::{ANN, BOB, CID, assert_at_rest, assert_joined, assert_points, finals, hang_up, ruleset, s};
use std::time::Duration;

/// Bob's other phone.
const BOB_2: &str = "127.0.1.3:5060";
const DOT: &str = "127.0.1.5:5060";
/// In no group with anybody.
const EVE: &str = "127.0.1.6:5060";
/// Nobody's.
const SPARE: &str = "127.0.1.7:5060";

const RULES: &str = "
[codes]
pickup = \"*8\"
[site.shop]
[hunt.desk]
ext = \"500\"
targets = [\"user:bob\", \"user:cid\"]
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[user.bob]
ext = \"200\"
site = \"shop\"
voicemail = { enabled = false }
[user.cid]
ext = \"300\"
voicemail = { enabled = false }
[user.dot]
ext = \"400\"
site = \"shop\"
voicemail = { enabled = false }
[user.eve]
ext = \"600\"
voicemail = { enabled = false }
[device.spare]
accept_from = [\"127.0.1.7\"]
";

/// Everybody has registered; Bob's phones have this script.
fn office(weather: Weather, seed: u64, bob: Script) -> World {
    let devices = [
        ("ann1", "ann"),
        ("bob1", "bob"),
        ("bob2", "bob"),
        ("cid1", "cid"),
        ("dot1", "dot"),
        ("eve1", "eve"),
    ];
    let mut world = World::new(ruleset(RULES, &devices), weather, seed);
    let answers = Script::Answer { after: s(1) };
    for (address, device, script) in [
        (ANN, "ann1", answers),
        (BOB, "bob1", bob),
        (CID, "cid1", answers),
        (DOT, "dot1", answers),
        (EVE, "eve1", answers),
    ] {
        world.add(Phone::new(address, device, script));
        world.act(address, Phone::register);
    }
    world.add(Phone::new(BOB_2, "bob2", Script::Ring));
    world.add(Phone::new(SPARE, "spare", Script::Ring));
    world.run_until("all register", s(60), |world| world.switch.counters().registrations == 5);
    world
}

fn call(world: &mut World, from: &str, to: &str) -> String {
    let mut call = String::new();
    world.act(from, |phone, now| call = phone.call(now, to, s(600)));
    world.run(s(3));
    call
}

/// An INVITE with a Replaces of that dialog of that phone.
fn take(world: &mut World, by: &str, of: &str, call_id: &str, more: &str) -> String {
    let replaces = format!("{}{more}", world.phone(of).replaces(call_id));
    take_named(world, by, &replaces)
}

fn take_named(world: &mut World, by: &str, replaces: &str) -> String {
    world.phone(by).extra = format!("Require: replaces\r\nReplaces: {replaces}\r\n");
    let call = call(world, by, "200");
    world.phone(by).extra.clear();
    call
}

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

#[test]
fn a_colleague_picks_up_what_rings() {
    let mut world = office(CLEAR, 1, Script::Ring);
    let anns = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    let cids = take(&mut world, CID, BOB, &ringing, ";early-only");
    assert_eq!((finals(&mut world, ANN), finals(&mut world, CID)), (vec![200], vec![200]));
    assert_eq!(world.phone(BOB).cancels[0][0], ELSEWHERE);
    assert_eq!(world.phone(CID).reinvites.len(), 1);
    assert!(world.phone(CID).reinvites[0].contains("m=audio"), "what Ann offers");
    assert_joined(&mut world, (ANN, &anns), (CID, &cids));
    assert_eq!((world.relays.len(), world.switch.counters().calls_active), (1, 1));
    hang_up(&mut world, CID, &cids);
    assert_eq!(world.phone(ANN).byes, 1);
    let record = world.records.pop().unwrap();
    assert_eq!(record.outcome, "answered");
    assert_eq!(record.answered_by.unwrap().device.as_deref(), Some("cid1"));
    let why: Vec<&str> = record.explanation.steps.iter().map(|step| step.why.as_str()).collect();
    assert!(why.contains(&"device:cid1 picks up what rings at device:bob1"), "{why:?}");
    assert!(record.tags.contains(&"pickup:cid1".to_owned()), "{:?}", record.tags);
    assert!(!record.tags.contains(&"answered:bob1".to_owned()), "{:?}", record.tags);
    assert_at_rest(&mut world);
}

#[test]
fn a_lamp_names_what_can_be_picked_up() {
    let mut world = office(CLEAR, 1, Script::Ring);
    world.act(CID, |cid, now| drop(cid.subscribe(now, "dialog", "200", 3600, "")));
    world.run(s(1));
    let anns = call(&mut world, ANN, "200");
    let notice = world.phone(CID).notifies.last().cloned().unwrap();
    let value = |name: &str| {
        let from = notice.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
        notice[from..].split('"').next().unwrap().to_owned()
    };
    assert!(notice.contains("<state>early</state>"), "{notice}");
    let (call_id, ours, theirs) = (value("call-id"), value("remote-tag"), value("local-tag"));
    let cids = take_named(&mut world, CID, &format!("{call_id};to-tag={ours};from-tag={theirs};early-only"));
    assert_joined(&mut world, (ANN, &anns), (CID, &cids));
    hang_up(&mut world, ANN, &anns);
    assert_eq!(world.phone(CID).byes, 1);
    // Some write the tags as the watched phone has them.
    let anns = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    let named = world.phone(BOB).replaces(&ringing).replace("to-tag", "x").replace("from-tag", "to-tag");
    let cids = take_named(&mut world, CID, &named.replace("x=", "from-tag="));
    assert_joined(&mut world, (ANN, &anns), (CID, &cids));
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn whoever_watches_a_lamp_can_not_speak_for_who_is_in_the_call() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(1) });
    for of in ["200", "100"] {
        world.act(CID, |cid, now| drop(cid.subscribe(now, "dialog", of, 3600, "")));
    }
    world.run(s(1));
    let anns = call(&mut world, ANN, "200");
    let notices = world.phone(CID).notifies.clone();
    let talking: Vec<_> =
        notices.iter().filter(|notice| notice.contains("<state>confirmed</state>")).collect();
    assert!(talking.len() >= 2, "{notices:?}");
    for notice in talking {
        let value = |name: &str| {
            let from = notice.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
            notice[from..].split('"').next().unwrap().to_owned()
        };
        let (call_id, ours, theirs) = (value("call-id"), value("remote-tag"), value("local-tag"));
        for method in ["OPTIONS", "UPDATE", "BYE"] {
            world.act(CID, |cid, now| cid.pretend(now, method, &call_id, &theirs, &ours));
            world.run(s(2));
        }
    }
    assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes), (0, 0));
    let bobs = world.phone(BOB).newest_call();
    assert_joined(&mut world, (ANN, &anns), (BOB, &bobs));
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn tags_that_are_turned_are_understood_where_the_phones_looks_like_one_of_ours() {
    for tag in ["a3f09", "a1", "b1.0.1"] {
        let mut world = office(CLEAR, 1, Script::Ring);
        world.phone(BOB).own_tag = Some(tag.to_owned());
        let anns = call(&mut world, ANN, "200");
        let ringing = world.phone(BOB).newest_call();
        let named = world.phone(BOB).replaces(&ringing).replace("to-tag", "x").replace("from-tag", "to-tag");
        let cids = take_named(&mut world, CID, &named.replace("x=", "from-tag="));
        assert_eq!(finals(&mut world, CID), [200], "{tag}");
        assert_joined(&mut world, (ANN, &anns), (CID, &cids));
        hang_up(&mut world, ANN, &anns);
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_phone_takes_over_what_its_user_has_on_another_one() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(1) });
    let anns = call(&mut world, ANN, "200");
    let bobs = world.phone(BOB).newest_call();
    let over = take(&mut world, BOB_2, BOB, &bobs, "");
    assert_eq!((world.phone(BOB).byes, world.phone(ANN).byes), (1, 0));
    assert!(world.phone(ANN).reinvites[0].contains("m=audio"), "Ann gets the other phone's session");
    assert_joined(&mut world, (ANN, &anns), (BOB_2, &over));
    // And back, from the caller's side as well.
    let back = take(&mut world, BOB, BOB_2, &over, "");
    assert_eq!((world.phone(BOB_2).byes, world.phone(ANN).byes), (1, 0));
    assert_joined(&mut world, (ANN, &anns), (BOB, &back));
    hang_up(&mut world, ANN, &anns);
    assert_eq!(world.phone(BOB).byes, 2);
    let why: Vec<String> = world.records[0].explanation.steps.iter().map(|step| step.why.clone()).collect();
    assert!(why.contains(&"device:bob2 takes the place of device:bob1".to_owned()), "{why:?}");
    let bobs = call(&mut world, BOB, "100");
    let over = take(&mut world, BOB_2, BOB, &bobs, "");
    let anns = world.phone(ANN).newest_call();
    assert_joined(&mut world, (ANN, &anns), (BOB_2, &over));
    hang_up(&mut world, BOB_2, &over);
    assert_at_rest(&mut world);
}

#[test]
fn a_phone_that_has_not_offered_gets_an_offer_and_answers_it_with_its_ack() {
    let mut world = office(CLEAR, 1, Script::Ring);
    // What rings.
    let anns = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    world.phone(CID).describes = Describes::Ack;
    let cids = take(&mut world, CID, BOB, &ringing, "");
    assert_eq!((finals(&mut world, ANN), finals(&mut world, CID)), (vec![200], vec![200]));
    assert_eq!((world.phone(ANN).described, world.phone(CID).described), ((1, 0), (1, 0)));
    assert_eq!(world.phone(BOB).cancels[0][0], ELSEWHERE);
    assert!(world.phone(CID).reinvites.is_empty() && world.phone(ANN).reinvites.is_empty());
    assert_joined(&mut world, (ANN, &anns), (CID, &cids));
    assert_points(&world, ANN, CID);
    hang_up(&mut world, ANN, &anns);
    assert_eq!(world.phone(CID).byes, 1);
    // What is answered.
    world.phone(BOB).script = Script::Answer { after: s(1) };
    let anns = call(&mut world, ANN, "200");
    let bobs = world.phone(BOB).newest_call();
    world.phone(BOB_2).describes = Describes::Ack;
    let over = take(&mut world, BOB_2, BOB, &bobs, "");
    assert_eq!((world.phone(BOB).byes, world.phone(BOB_2).described), (1, (1, 0)));
    assert!(world.phone(BOB_2).reinvites.is_empty(), "it has its session");
    assert!(world.phone(ANN).reinvites[0].contains("m=audio"), "which Ann gets");
    assert_joined(&mut world, (ANN, &anns), (BOB_2, &over));
    assert_points(&world, ANN, BOB_2);
    hang_up(&mut world, ANN, &anns);
    assert_eq!(world.phone(BOB_2).byes, 1);
    assert_at_rest(&mut world);
}

#[test]
fn a_phone_that_does_not_answer_the_offer_does_not_get_in() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(8) });
    let anns = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    for by in [CID, BOB_2] {
        world.phone(by).describes = Describes::Nothing;
    }
    take(&mut world, CID, BOB, &ringing, "");
    assert_eq!((world.phone(CID).byes, world.phone(BOB).cancels.len()), (1, 0));
    world.run(s(8));
    assert_eq!(finals(&mut world, ANN), [200], "Bob answers");
    let bobs = world.phone(BOB).newest_call();
    take(&mut world, BOB_2, BOB, &bobs, "");
    assert_eq!((world.phone(BOB_2).byes, world.phone(BOB).byes, world.phone(ANN).byes), (1, 0, 0));
    assert_joined(&mut world, (ANN, &anns), (BOB, &bobs));
    hang_up(&mut world, ANN, &anns);
    // Nor one that can't be made an offer, since nobody has described anything.
    world.phone(BOB).script = Script::Ring;
    world.phone(ANN).describes = Describes::Ack;
    let anns = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    let cids = take(&mut world, CID, BOB, &ringing, "");
    assert_eq!(world.phone(CID).finals[&cids], [488]);
    world.act(ANN, |ann, now| ann.cancel(now, &anns, "200"));
    assert_at_rest(&mut world);
}

#[test]
fn what_is_not_to_be_had_is_refused_and_goes_on() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(2) });
    let anns = call(&mut world, ANN, "200");
    let bobs = world.phone(BOB).newest_call();
    let named = world.phone(BOB).replaces(&bobs);
    for (by, replaces, status) in [
        (BOB_2, format!("{named};early-only"), 486),
        (CID, named.clone(), 403),
        (SPARE, named.clone(), 403),
        (BOB_2, named.replace("from-tag=", "from-tag=x"), 481),
        (BOB_2, "nobody;to-tag=b1.0.1;from-tag=2".to_owned(), 481),
        (BOB_2, "nobody;to-tag=1;from-tag=2".to_owned(), 481),
        (BOB_2, "nobody;to-tag=1".to_owned(), 400),
        (BOB_2, format!("{named}\r\nReplaces: {named}"), 400),
    ] {
        let call = take_named(&mut world, by, &replaces);
        assert_eq!(world.phone(by).finals[&call], [status], "{replaces}");
    }
    assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes, world.phone(ANN).reinvites.len()), (0, 0, 0));
    hang_up(&mut world, ANN, &anns);
    // What rings for the one who called is theirs.
    world.phone(BOB).script = Script::Ring;
    let anns = call(&mut world, ANN, "200");
    let call = take(&mut world, CID, ANN, &anns, "");
    assert_eq!(world.phone(CID).finals[&call], [481]);
    world.act(ANN, |ann, now| ann.cancel(now, &anns, "200"));
    world.run(Duration::from_millis(1));
    assert_at_rest(&mut world);
}

#[test]
fn what_has_just_ended_is_declined() {
    let mut world = office(CLEAR, 1, Script::Ring);
    let ends = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    let anns = take(&mut world, CID, BOB, &ringing, "");
    let call = take(&mut world, DOT, BOB, &ringing, "");
    assert_eq!(world.phone(DOT).finals[&call], [603], "Cid was faster");
    assert_joined(&mut world, (ANN, &ends), (CID, &anns));
    hang_up(&mut world, CID, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn a_newcomer_that_does_not_get_in_is_hung_up_on_and_the_phones_ring_on() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(8) });
    let anns = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    world.phone(CID).reinvite_status = 488;
    let cids = take(&mut world, CID, BOB, &ringing, "");
    assert_eq!((world.phone(CID).finals[&cids].clone(), world.phone(CID).byes), (vec![200], 1));
    world.run(s(8));
    assert_eq!((finals(&mut world, ANN), world.phone(BOB).cancels.len()), (vec![200], 0), "Bob answers");
    // The same of what is answered: the party at the other end declines.
    let bobs = world.phone(BOB).newest_call();
    world.phone(ANN).reinvite_status = 488;
    take(&mut world, BOB_2, BOB, &bobs, "");
    assert_eq!((world.phone(BOB_2).byes, world.phone(BOB).byes, world.phone(ANN).byes), (1, 0, 0));
    assert_joined(&mut world, (ANN, &anns), (BOB, &bobs));
    hang_up(&mut world, ANN, &anns);
    let why: Vec<String> = world.records[0].explanation.steps.iter().map(|step| step.why.clone()).collect();
    assert!(why.contains(&"device:bob2 does not get in: 488 Not Acceptable Here".to_owned()), "{why:?}");
    assert_at_rest(&mut world);
}

#[test]
fn a_newcomer_that_sends_the_call_elsewhere_does_not_get_in_and_is_hung_up_on() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(8) });
    let anns = call(&mut world, ANN, "200");
    let ringing = world.phone(BOB).newest_call();
    world.phone(BOB_2).reinvite_status = 302;
    world.phone(BOB_2).moved_to = Some("<sip:300@pbx.example>".to_owned());
    let over = take(&mut world, BOB_2, BOB, &ringing, "");
    assert_eq!((world.phone(BOB_2).finals[&over].clone(), world.phone(BOB_2).byes), (vec![200], 1));
    world.run(s(8));
    assert_eq!((finals(&mut world, ANN), world.phone(BOB).cancels.len()), (vec![200], 0), "Bob answers");
    assert!(world.phone(CID).invites.is_empty());
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn the_code_picks_up_at_an_extension_or_in_the_group() {
    for (by, dialled, gets_it) in [
        (CID, "*8200", true),
        (EVE, "*8200", true), // whoever names it need not be of a group
        (CID, "*8", true),    // in a hunt with Bob
        (DOT, "*8", true),    // at one site with Bob
        (EVE, "*8", false),
    ] {
        let mut world = office(CLEAR, 1, Script::Ring);
        let anns = call(&mut world, ANN, "200");
        let theirs = call(&mut world, by, dialled);
        assert_eq!(world.phone(by).finals[&theirs], [if gets_it { 200 } else { 480 }], "{by} {dialled}");
        if gets_it {
            assert_eq!(finals(&mut world, ANN), [200]);
            assert_joined(&mut world, (ANN, &anns), (by, &theirs));
            let record = &world.records[0];
            assert_eq!(
                (record.to.as_str(), record.outcome.as_str(), record.status),
                (dialled, "answered", 200)
            );
            assert!(record.tags.starts_with(&["code:pickup".to_owned()]), "{:?}", record.tags);
            hang_up(&mut world, ANN, &anns);
        } else {
            world.act(ANN, |ann, now| ann.cancel(now, &anns, "200"));
        }
        assert_at_rest(&mut world);
    }
}

#[test]
fn the_code_finds_nothing_where_nothing_rings() {
    let mut world = office(CLEAR, 1, Script::Ring);
    for (dialled, status) in [("*8", 480), ("*8200", 480), ("*8999", 404)] {
        let call = call(&mut world, CID, dialled);
        assert_eq!(world.phone(CID).finals[&call], [status], "{dialled}");
    }
    assert_eq!(world.records.len(), 3);
    assert_at_rest(&mut world);
}

#[test]
fn a_caller_who_gives_up_while_it_is_picked_up_leaves_nobody_behind() {
    // The network is slow enough for one to overtake the other.
    let weather = Weather { loss: 0, duplication: 0, delay_ms_max: 80 };
    for seed in 0..40 {
        let mut world = office(weather, seed, Script::Ring);
        let anns = call(&mut world, ANN, "200");
        let ringing = world.phone(BOB).newest_call();
        let replaces = world.phone(BOB).replaces(&ringing);
        world.phone(CID).extra = format!("Replaces: {replaces}\r\n");
        let mut cids = String::new();
        world.act(CID, |cid, now| cids = cid.call(now, "200", s(600)));
        let pause = world.die(300);
        world.run(Duration::from_millis(pause));
        world.phone(CID).extra.clear();
        if world.phone(ANN).finals[&anns].is_empty() {
            world.act(ANN, |ann, now| ann.cancel(now, &anns, "200"));
        }
        world.run(s(5));
        let (ann, cid) = (finals(&mut world, ANN), finals(&mut world, CID));
        if ann == [200] {
            hang_up(&mut world, ANN, &anns);
        }
        assert!(cid != [200] || world.phone(CID).byes == 1, "{seed}: {ann:?} {cid:?}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn pickups_survive_a_network_that_loses_and_repeats() {
    let weather = Weather { loss: 12, duplication: 10, ..CLEAR };
    let mut done = 0;
    for seed in 0..40 {
        let mut world = office(weather, seed, Script::Ring);
        let anns = call(&mut world, ANN, "200");
        if world.phone(BOB).invites.is_empty() {
            continue;
        }
        let ringing = world.phone(BOB).newest_call();
        let cids = take(&mut world, CID, BOB, &ringing, "");
        world.run(s(60));
        done += u32::from(finals(&mut world, ANN) == [200]);
        hang_up(&mut world, ANN, &anns);
        hang_up(&mut world, CID, &cids);
        world.run(s(60));
        assert_at_rest(&mut world);
    }
    assert!(done >= 20, "{done} of 40 came about");
}
