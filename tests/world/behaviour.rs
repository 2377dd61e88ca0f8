//! Rows of `docs/behaviour.md` and complaints of `docs/complaints.md` that are about what goes over the wire. A row's id begins the
//! name of its test.

use super::net::{CLEAR, World};
use super::phone::{Phone, Script};
use super::{ANN, BOB, BOB_TOO, CID, assert_at_rest, finals, ruleset, s};
use ringtree::switch::Input;
use std::sync::Arc;

const TRUNK: &str = "127.0.1.8:5060";

/// A trunk that takes and makes calls, and the routes to it.
const WAY_OUT: &str = "
[trunk.line]
proxy = \"127.0.1.8\"
accept_from = [\"127.0.1.8\"]
diversion = \"diversion\"
[class.national]
match = [\"+1.\"]
[class.emergency]
match = [\"911\"]
[[route]]
classes = [\"national\", \"emergency\"]
via = [\"line\"]
";

/// Ann, Bob and Cid with one phone each, Ann's and Bob's rules as given, and the trunk.
fn world(rules: &str, bob: Script, cid: Script, trunk: Script) -> World {
    let users = format!(
        "{WAY_OUT}[user.ann]\next = \"100\"\n[user.cid]\next = \"300\"\nvoicemail = {{ enabled = false }}\n{rules}"
    );
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid")];
    let mut world = World::new(ruleset(&users, &devices), CLEAR, 1);
    for (address, user, script) in
        [(ANN, "ann1", Script::Ring), (BOB, "bob1", bob), (CID, "cid1", cid), (TRUNK, "trunk", trunk)]
    {
        world.add(Phone::new(address, user, script));
    }
    for address in [ANN, BOB, CID] {
        world.act(address, Phone::register);
    }
    world.leads("line", &[TRUNK]);
    world.run(s(1));
    world
}

/// Bob, whose rule has these keys.
fn bob(keys: &str) -> String {
    format!(
        "[user.bob]\next = \"200\"\nvoicemail = {{ enabled = false }}\n[[user.bob.rule]]\nname = \"Default\"\nwhen = \"always\"\n{keys}\n"
    )
}

/// The values of a header field in the n-th INVITE that a phone got.
fn field(world: &mut World, address: &str, n: usize, name: &str) -> Vec<String> {
    let invite = world.phone(address).invites[n].clone();
    let of_name = |line: &str| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    invite.lines().take_while(|line| !line.is_empty()).filter_map(of_name).collect()
}

#[test]
fn u3_a_new_secret_for_one_phone_leaves_the_others_registered_and_ringing() {
    let rules = |secret: &str| {
        ruleset(
            &format!(
                "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n[device.bob2]\nuser = \"bob\"\nauth = {{ user = \"bob2\", secret = \"plain:{secret}\" }}\naccept_from = [\"127.0.1.3\"]\n"
            ),
            &[("ann1", "ann"), ("bob1", "bob")],
        )
    };
    let mut world = World::new(rules("old"), CLEAR, 1);
    for (address, user) in [(ANN, "ann1"), (BOB, "bob1"), (BOB_TOO, "bob2")] {
        world.add(Phone::new(address, user, Script::Ring));
        world.act(address, Phone::register);
    }
    world.run(s(1));
    assert_eq!(world.switch.counters().registrations, 3);
    world.input(Input::Rules(Arc::new(rules("new"))));
    world.run(s(1));
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world.run(s(1));
    assert_eq!(world.phone(BOB).invites.len(), 1, "the phone whose secret is the same rings");
    assert!(world.switch.counters().registrations >= 2);
    world.run(s(30));
    assert_at_rest(&mut world);
}

#[test]
fn n3_the_number_that_was_dialled_is_in_the_record_of_a_call_that_was_forwarded_twice() {
    let rules = format!(
        "{}[[user.dan.rule]]\nname = \"Default\"\nwhen = \"always\"\nforward.always = \"user:cid\"\n[number.\"+12025550101\"]\nto = \"user:bob\"\n",
        bob("forward.always = \"user:dan\"") + "[user.dan]\next = \"400\"\n"
    );
    let mut world = world(&rules, Script::Ring, Script::Answer { after: s(1) }, Script::Ring);
    world.act(TRUNK, |trunk, now| drop(trunk.call(now, "+12025550101", s(2))));
    world.run(s(20));
    assert_eq!(finals(&mut world, TRUNK), [200]);
    let record = &world.records[0];
    assert_eq!(record.did.as_deref(), Some("+12025550101"));
    assert_eq!(record.answered_by.as_ref().unwrap().user.as_deref(), Some("cid"));
    assert_eq!(record.forwards.len(), 2);
    assert_at_rest(&mut world);
}

#[test]
fn f12_early_media_of_the_outside_is_not_passed_on_while_a_phone_of_ours_rings() {
    let rules = bob("ring_for = \"10s\"\nring.targets = [\"self:all\", \"tel:+12025550150\"]");
    let mut world = world(&rules, Script::Ring, Script::Ring, Script::EarlyMedia);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world.run(s(5));
    assert_eq!(world.phone(ANN).provisionals, [180], "ringback, not the announcement of a mobile's network");
    world.run(s(30));
    assert_eq!(finals(&mut world, ANN), [480]);
    assert_at_rest(&mut world);
}

#[test]
fn f12_early_media_is_passed_on_where_nothing_else_rings() {
    let mut world = world(&bob(""), Script::Ring, Script::Ring, Script::EarlyMedia);
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550150", s(1))));
    world.run(s(5));
    assert_eq!(world.phone(ANN).provisionals, [183]);
    world.run(s(300));
    assert_at_rest(&mut world);
}

#[test]
fn r8_missed_calls_are_shown_as_the_list_says() {
    let completed = "SIP;cause=200;text=\"Call completed elsewhere\"";
    for (policy, answered, unanswered) in
        [("never", true, true), ("if-unanswered", true, false), ("always", false, false)]
    {
        for (cid, told) in [(Script::Answer { after: s(3) }, answered), (Script::Ring, unanswered)] {
            let rules = bob(&format!(
                "ring_for = \"10s\"\nring.missed_calls = \"{policy}\"\nring.targets = [\"self:all\", \"user:cid\"]"
            ));
            let mut world = world(&rules, Script::Ring, cid, Script::Ring);
            world.act(ANN, |ann, now| drop(ann.call(now, "200", s(2))));
            world.run(s(30));
            let cancels = &world.phone(BOB).cancels;
            assert_eq!(cancels.len(), 1, "{policy}, {cid:?}");
            assert_eq!(
                cancels[0].iter().any(|reason| reason == completed),
                told,
                "{policy}, {cid:?}: {cancels:?}"
            );
            assert_at_rest(&mut world);
        }
    }
}

#[test]
fn max_forwards_goes_down_by_one_and_is_never_set_anew() {
    let mut world = world(&bob(""), Script::Ring, Script::Ring, Script::Ring);
    world.phone(ANN).max_forwards = 12;
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world.run(s(2));
    assert_eq!(field(&mut world, BOB, 0, "Max-Forwards"), ["11"]);
    world.phone(ANN).max_forwards = 0;
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world.run(s(30));
    assert!(finals(&mut world, ANN).contains(&483));
    assert_at_rest(&mut world);
}

#[test]
fn why_a_caller_gave_up_is_told_to_the_phone_that_rang() {
    // A second switch before us: it was answered elsewhere, there.
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\"";
    let mut world = world(&bob(""), Script::Ring, Script::Ring, Script::Ring);
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(1)));
    world.run(s(3));
    world.phone(ANN).extra = format!("Reason: {elsewhere}\r\n");
    world.act(ANN, |ann, now| ann.cancel(now, &call, "200"));
    world.run(s(5));
    assert_eq!(world.phone(BOB).cancels, [[elsewhere]]);
    assert_at_rest(&mut world);
}

#[test]
fn a_diversion_that_a_phone_invents_is_not_passed_on() {
    let mut world = world(&bob(""), Script::Ring, Script::Ring, Script::Ring);
    world.phone(ANN).extra = "Diversion: <sip:+12025550199@pbx.example>;reason=unconditional\r\n".into();
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550150", s(1))));
    world.run(s(2));
    assert_eq!(field(&mut world, TRUNK, 0, "Diversion"), [""; 0]);
    world.run(s(300));
    assert_at_rest(&mut world);
}

#[test]
fn a_forward_of_ours_names_itself_in_diversion() {
    let rules =
        bob("forward.always = \"tel:+12025550150\"") + "[number.\"+12025550101\"]\nto = \"user:bob\"\n";
    let rules = rules
        .replace("ext = \"200\"", "ext = \"200\"\ncaller_id = { external = { number = \"+12025550101\" } }");
    let mut world = world(&rules, Script::Ring, Script::Ring, Script::Ring);
    world.act(ANN, |ann, now| drop(ann.call(now, "200", s(1))));
    world.run(s(2));
    let diversion = field(&mut world, TRUNK, 0, "Diversion");
    assert!(
        diversion.len() == 1
            && diversion[0].contains("+12025550101")
            && diversion[0].contains("reason=unconditional"),
        "{diversion:?}"
    );
    world.run(s(300));
    assert_at_rest(&mut world);
}

#[test]
fn everybody_who_forwarded_stands_in_diversion_the_newest_first() {
    let dora = "[user.dora]\next = \"400\"\n[[user.dora.rule]]\nname = \"Default\"\nwhen = \"always\"\n\
                forward.always = \"user:bob\"\n";
    let rules = bob("dnd = true\nforward.dnd = \"tel:+12025550150\"") + dora;
    let mut world = world(&rules, Script::Ring, Script::Ring, Script::Ring);
    world.act(ANN, |ann, now| drop(ann.call(now, "400", s(1))));
    world.run(s(2));
    let diversion = field(&mut world, TRUNK, 0, "Diversion");
    let newest = |n: usize, of: &str| diversion.get(n).is_some_and(|told| told.starts_with(of));
    assert!(
        diversion.len() == 2
            && newest(0, &format!("<sip:200@{}>;reason=do-not-disturb;counter=1", super::DOMAIN))
            && newest(1, &format!("<sip:400@{}>;reason=unconditional;counter=1", super::DOMAIN)),
        "{diversion:?}"
    );
    world.run(s(300));
    assert_at_rest(&mut world);
}

#[test]
fn a_caller_who_asks_for_privacy_is_anonymous_to_who_refuses_such_callers() {
    let rules = bob("") + "[number.\"+12025550101\"]\nto = \"user:bob\"\n";
    let rules = rules.replace("ext = \"200\"", "ext = \"200\"\nblock_anonymous = true");
    let mut world = world(&rules, Script::Ring, Script::Ring, Script::Ring);
    world.phone(TRUNK).extra = "Privacy: id\r\n".into();
    world.act(TRUNK, |trunk, now| drop(trunk.call(now, "+12025550101", s(1))));
    world.run(s(2));
    assert_eq!(finals(&mut world, TRUNK), [433]);
    assert_eq!(world.phone(BOB).invites.len(), 0);
    assert_at_rest(&mut world);
}
