//! Budgets of one call at once: a leg that was given up counts no more, and an emergency call is never cut off or given away.

use super::budgets::{dial, spent, stops};
use super::net::World;
use super::phone::Script;
use super::{ANN, BOB, assert_at_rest, finals, hang_up, office, ruleset, s};
use ringtree::rules::model::Limit;
use ringtree::switch::Input;
use std::sync::Arc;

const ONE: &str = "127.0.1.8:5060";
const ABROAD: &str = "+442079460123";
const AT_ONCE: &str = "budget = { world = { calls_at_once = 1 } }";

fn rules(ann: &str, bob: &str, trunk: &str) -> ringtree::rules::Ruleset {
    let text = format!(
        "[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n{ann}\n\
         [user.bob]\next = \"200\"\nvoicemail = {{ enabled = false }}\n{bob}\n\
         [trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n{trunk}\n\
         [class.world]\nmatch = [\"+.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"world\", \"emergency\"]\nvia = [\"one\"]\n\
         [number.\"+12025550100\"]\nto = \"user:bob\"\n"
    );
    ruleset(&text, &[("ann1", "ann"), ("bob1", "bob")])
}

/// Ann and Bob, and a trunk; everybody answers after a second.
fn world(ann: &str, bob: &str, trunk: &str) -> World {
    let answers = Script::Answer { after: s(1) };
    let phones = [(ANN, "ann1"), (BOB, "bob1"), (ONE, "one")];
    office(rules(ann, bob, trunk), &phones.map(|(address, user)| (address, user, answers)), &[("one", ONE)])
}

/// A REFER of whoever is at `by` in that call.
fn transfer(world: &mut World, by: &str, call: &str, to: &str) {
    let fields = format!("Refer-To: <sip:{to}>\r\n");
    world.act(by, |phone, now| phone.within(now, call, "REFER", &fields));
}

#[test]
fn two_numbers_in_turn_are_one_call_at_a_time() {
    for silent in [Script::Ring, Script::Dead] {
        let list = format!(
            "{AT_ONCE}\n[[user.bob.rule]]\nname = \"List\"\nwhen = \"always\"\nring.strategy = \"sequential\"\nring.each = \"10s\"\n\
             ring.targets = [\"tel:+442079460123\", \"tel:+442079460124\"]\n"
        );
        let mut world = world("", &list, "");
        world.phone(ONE).script = silent;
        let call = dial(&mut world, ANN, "200", 600);
        world.run(s(6));
        assert_eq!(spent(&world, "bob").calls_at_once, 1);
        world.phone(ONE).script = Script::Answer { after: s(1) };
        world.run(s(6));
        assert_eq!(world.phone(ANN).finals[&call], [200], "the second number rings: {silent:?}");
        assert_eq!((stops(&world), spent(&world, "bob").calls_at_once), (Vec::new(), 1));
        hang_up(&mut world, ANN, &call);
        world.run(s(60));
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_forward_of_whoever_is_busy_outside_comes_after_that_call() {
    let forward = format!(
        "{AT_ONCE}\n[[user.bob.rule]]\nname = \"Mobile\"\nwhen = \"always\"\nring.targets = [\"tel:+442079460123\"]\n\
         forward.busy = \"tel:+442079460124\"\n"
    );
    let mut world = world("", &forward, "");
    world.phone(ONE).script = Script::Refuse { status: 486, after: s(1) };
    dial(&mut world, ANN, "200", 5);
    world.run(s(20));
    assert_eq!((stops(&world), world.phone(ONE).invites.len()), (Vec::new(), 2), "both are called");
    assert_at_rest(&mut world);
}

#[test]
fn a_transfer_to_a_number_that_rings_takes_the_place_of_that_call() {
    let mut world = world("", "budget = { world = { calls_at_once = 1, calls_per_hour = 1 } }", "");
    dial(&mut world, ANN, "200", 600);
    let anns = world.phone(BOB).newest_call();
    world.phone(ONE).script = Script::Ring;
    let consultation = dial(&mut world, BOB, ABROAD, 600);
    assert_eq!(spent(&world, "bob").calls_at_once, 1, "it rings");
    world.phone(ONE).script = Script::Answer { after: s(1) };
    let replaces = world.phone(BOB).replaces(&consultation).replace(';', "%3B").replace('=', "%3D");
    transfer(&mut world, BOB, &anns, &format!("{ABROAD}@pbx.example?Replaces={replaces}"));
    world.run(s(10));
    assert_eq!(world.phone(BOB).finals[&consultation], [487]);
    let told = world.phone(BOB).notifies.last().cloned().unwrap_or_default();
    assert!(told.contains("SIP/2.0 200"), "{told}");
    assert_eq!(stops(&world), Vec::new());
    let now = spent(&world, "bob");
    assert_eq!((now.calls_at_once, now.calls_per_hour), (1, 1), "one call to Bob");
    world.run(s(700));
    assert_at_rest(&mut world);
}

#[test]
fn a_silent_carrier_keeps_nothing_of_a_call_that_was_answered_elsewhere() {
    let list = format!(
        "{AT_ONCE}\n[[user.bob.rule]]\nname = \"Both\"\nwhen = \"always\"\nring.targets = [\"self:all\", \"tel:+442079460123\"]\n"
    );
    let mut world = world("", &list, "");
    world.phone(ONE).script = Script::Dead;
    dial(&mut world, ANN, "200", 600);
    assert_eq!(finals(&mut world, ANN), [200], "Bob's phone");
    assert_eq!(spent(&world, "bob").calls_at_once, 0);
    world.phone(ONE).script = Script::Answer { after: s(1) };
    let own = dial(&mut world, BOB, ABROAD, 5);
    assert_eq!(world.phone(BOB).finals[&own], [200]);
    world.run(s(700));
    assert_at_rest(&mut world);
}

#[test]
fn calls_that_no_trunk_takes_do_not_use_up_the_hour() {
    let mut world = world("budget = { world = { calls_per_hour = 2 } }", "", "");
    for script in [Script::Fails(503), Script::Fails(500), Script::Fails(503)] {
        world.phone(ONE).script = script;
        let call = dial(&mut world, ANN, ABROAD, 5);
        world.run(s(60));
        assert!(world.phone(ANN).finals[&call][0] >= 480 && world.phone(ANN).finals[&call] != [403]);
    }
    assert_eq!(spent(&world, "ann").calls_per_hour, 0);
    world.phone(ONE).script = Script::Answer { after: s(1) };
    let call = dial(&mut world, ANN, ABROAD, 5);
    assert_eq!(world.phone(ANN).finals[&call], [200]);
    world.run(s(60));
    assert_at_rest(&mut world);
}

#[test]
fn nobody_who_was_transferred_to_an_emergency_call_is_cut_off_by_a_budget() {
    let mut world = world("budget = { world = { time_per_day = \"1m\" } }", "", "");
    let outside = dial(&mut world, ANN, ABROAD, 600);
    transfer(&mut world, ANN, &outside, "911@pbx.example");
    world.run(s(10));
    assert_eq!(world.phone(ANN).byes, 1, "Ann is out of it");
    world.run(s(100));
    assert_eq!(world.phone(ONE).byes, 0, "the time is used up, and nobody is hung up on");
    assert!(spent(&world, "ann").time_per_day >= s(100));
    assert_eq!(stops(&world), Vec::new());
    let next = dial(&mut world, ANN, ABROAD, 5);
    assert_eq!(world.phone(ANN).finals[&next], [403]);
    world.run(s(700));
    let one = world.phone(ONE).newest_call();
    world.act(ONE, |phone, now| phone.within(now, &one, "BYE", ""));
    world.run(s(60));
    assert_at_rest(&mut world);
}

#[test]
fn nobody_who_was_joined_with_an_emergency_call_is_cut_off_by_a_budget() {
    for help_comes in [true, false] {
        let mut world = world("budget = { world = { time_per_day = \"1m\" } }", "", "");
        let outside = dial(&mut world, ANN, ABROAD, 600);
        let help = dial(&mut world, ANN, "911", 600);
        let (stays, comes) = if help_comes { (outside, help) } else { (help, outside) };
        let replaces = world.phone(ANN).replaces(&comes).replace(';', "%3B").replace('=', "%3D");
        transfer(&mut world, ANN, &stays, &format!("911@pbx.example?Replaces={replaces}"));
        world.run(s(10));
        assert_eq!(world.phone(ANN).byes, 2, "Ann is out of both");
        world.run(s(100));
        assert_eq!((world.phone(ONE).byes, stops(&world)), (0, Vec::new()), "help comes: {help_comes}");
        let one = world.phone(ONE).newest_call();
        world.act(ONE, |phone, now| phone.within(now, &one, "BYE", ""));
        world.run(s(60));
        assert_at_rest(&mut world);
    }
}

#[test]
fn whoever_was_transferred_to_an_emergency_call_is_not_ended_for_another_one() {
    let mut world = world("", "", "channels = 1");
    dial(&mut world, BOB, "100", 600);
    let anns = world.phone(ANN).newest_call();
    transfer(&mut world, ANN, &anns, "911@pbx.example");
    world.run(s(10));
    assert_eq!(world.phone(ANN).byes, 1, "Ann is out of it");
    let second = dial(&mut world, ANN, "911", 20);
    assert_eq!(world.phone(ANN).finals[&second], [200]);
    assert_eq!((world.phone(BOB).byes, world.phone(ONE).byes), (0, 0));
    world.run(s(700));
    assert_at_rest(&mut world);
}

#[test]
fn a_call_that_has_left_the_trunk_already_is_not_ended_for_an_emergency_call() {
    let list = "[[user.bob.rule]]\nname = \"Both\"\nwhen = \"always\"\nring.targets = [\"self:all\", \"tel:+442079460123\"]\n";
    let mut world = world("", list, "channels = 1");
    world.phone(ONE).script = Script::Dead;
    dial(&mut world, ANN, "200", 600);
    assert_eq!(finals(&mut world, ANN), [200], "Bob's phone; the trunk has not said a word");
    world.phone(ONE).script = Script::Answer { after: s(1) };
    let help = dial(&mut world, BOB, "911", 5);
    assert_eq!(world.phone(BOB).finals[&help], [200]);
    assert_eq!(world.phone(ANN).byes, 0, "Ann and Bob's phone talk on");
    world.run(s(700));
    assert_at_rest(&mut world);
}

#[test]
fn of_a_call_that_rings_inside_too_an_emergency_call_ends_the_leg_outside_alone() {
    let list = "[[user.bob.rule]]\nname = \"Both\"\nwhen = \"always\"\nring.targets = [\"self:all\", \"tel:+442079460123\"]\n";
    let mut world = world("", list, "channels = 1");
    world.phone(ONE).script = Script::Ring;
    world.phone(BOB).script = Script::Answer { after: s(20) };
    let call = dial(&mut world, ANN, "200", 60);
    world.phone(ONE).script = Script::Answer { after: s(1) };
    let help = dial(&mut world, BOB, "911", 5);
    assert_eq!(world.phone(BOB).finals[&help], [200]);
    let left = world.phone(ONE).cancels.concat();
    assert_eq!(left, ["preemption;cause=1;text=\"UA Preemption\""]);
    world.run(s(20));
    assert_eq!(world.phone(ANN).finals[&call], [200], "Bob's phone has rung on");
    world.run(s(700));
    assert_at_rest(&mut world);
}

#[test]
fn a_budget_that_is_set_while_calls_are_up_counts_them() {
    let mut world = world("", "", "");
    for number in [ABROAD, "+442079460124"] {
        dial(&mut world, ANN, number, 6000);
    }
    world.run(s(300));
    let new = "budget = { world = { calls_at_once = 2, time_per_day = \"15m\" } }";
    world.input(Input::Rules(Arc::new(rules(new, "", ""))));
    let third = dial(&mut world, ANN, ABROAD, 600);
    assert_eq!(world.phone(ANN).finals[&third], [403]);
    world.run(s(60));
    assert_eq!(world.phone(ONE).byes, 0);
    world.run(s(120));
    assert_eq!(
        (world.phone(ONE).byes, world.phone(ANN).byes),
        (2, 2),
        "both have talked for fifteen minutes together"
    );
    assert_at_rest(&mut world);
}

#[test]
fn a_call_of_earlier_rules_brings_back_none_of_their_limits() {
    let mut world = world("", "budget = { world = { time_per_day = \"10h\" } }", "");
    dial(&mut world, ANN, "200", 6000);
    let anns = world.phone(BOB).newest_call();
    world.input(Input::Rules(Arc::new(rules("", "budget = { world = { time_per_day = \"1m\" } }", ""))));
    transfer(&mut world, BOB, &anns, "+442079460123@pbx.example");
    world.run(s(30));
    assert_eq!(world.phone(BOB).byes, 1, "transferred");
    world.run(s(45));
    assert_eq!((world.phone(ANN).byes, world.phone(ONE).byes), (1, 1), "a minute, as the rules say now");
    assert_eq!(stops(&world), [("bob".to_owned(), Limit::TimePerDay, true)]);
    assert_at_rest(&mut world);
}
