//! Budgets (toll fraud): what callers, whoever they speak with and whoever watches notice when there is nothing left.

use super::net::World;
use super::phone::{Phone, Script};
use super::{ANN, BOB, DOMAIN, assert_at_rest, finals, hang_up, office, ruleset, s};
use ringtree::rules::model::{Limit, Spent};
use ringtree::switch::{Event, Input};
use std::sync::Arc;
use std::time::Duration;

const ONE: &str = "127.0.1.8:5060";
const TWO: &str = "127.0.1.9:5060";
const ABROAD: &str = "+442079460123";

fn rules(ann: &str, bob: &str) -> ringtree::rules::Ruleset {
    let text = format!(
        "[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n{ann}\n\
         [user.bob]\next = \"200\"\nvoicemail = {{ enabled = false }}\n{bob}\n\
         [trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n[trunk.two]\nproxy = \"127.0.1.9\"\n\
         [class.world]\nmatch = [\"+.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"world\", \"emergency\"]\nvia = [\"one\", \"two\"]\n\
         [number.\"+12025550100\"]\nto = \"user:bob\"\n"
    );
    ruleset(&text, &[("ann1", "ann"), ("bob1", "bob")])
}

/// Ann and Bob, who answers after a second, and two trunks that do so too.
fn world(ann: &str, bob: &str) -> World {
    let answers = Script::Answer { after: s(1) };
    let phones = [(ANN, "ann1"), (BOB, "bob1"), (ONE, "one"), (TWO, "two")];
    office(
        rules(ann, bob),
        &phones.map(|(address, user)| (address, user, answers)),
        &[("one", ONE), ("two", TWO)],
    )
}

pub(super) fn dial(world: &mut World, from: &str, to: &str, talk: u64) -> String {
    let mut call = String::new();
    world.act(from, |phone, now| call = phone.call(now, to, s(talk)));
    world.run(s(3));
    call
}

pub(super) fn spent(world: &World, user: &str) -> Spent {
    world.switch.office().budgets.spent(world.now(), &DOMAIN.into(), user, "world")
}

/// The stops that were told: whose, by which limit, and whether somebody talked.
pub(super) fn stops(world: &World) -> Vec<(String, Limit, bool)> {
    let stop = |event: &Event| match event {
        Event::BudgetStopped(stop) => Some((stop.user.clone(), stop.limit, stop.ended)),
        _ => None,
    };
    world.events.iter().filter_map(stop).collect()
}

#[test]
fn a_call_beyond_those_at_once_is_refused_until_one_has_ended() {
    let mut world = world("budget = { world = { calls_at_once = 1 } }", "");
    let first = dial(&mut world, ANN, ABROAD, 600);
    let second = dial(&mut world, ANN, ABROAD, 600);
    assert_eq!(world.phone(ANN).finals[&second], [403]);
    assert_eq!(stops(&world), [("ann".to_owned(), Limit::CallsAtOnce, false)]);
    assert_eq!(world.switch.counters().budget_refusals_total, 1);
    let record = world.records.pop().unwrap();
    assert_eq!((record.outcome.as_str(), record.status), ("rejected", 403));
    assert!(record.tags.contains(&"denied:budget:world".to_owned()), "{:?}", record.tags);
    hang_up(&mut world, ANN, &first);
    let third = dial(&mut world, ANN, ABROAD, 1);
    assert_eq!(world.phone(ANN).finals[&third], [200]);
    assert_at_rest(&mut world);
}

#[test]
fn whoever_talks_when_the_time_is_used_up_is_cut_off_and_the_record_says_why() {
    let mut world = world("budget = { world = { time_per_day = \"2m\" } }", "");
    dial(&mut world, ANN, ABROAD, 600);
    world.run(s(116));
    assert_eq!((world.phone(ANN).byes, world.phone(ONE).byes), (0, 0), "two minutes from the answer on");
    world.run(s(4));
    assert_eq!((world.phone(ANN).byes, world.phone(ONE).byes), (1, 1));
    let reason = "Reason: Q.850;cause=31;text=\"ann's time_per_day of world is used up: 2m of 2m today\"\r\n";
    assert!(world.phone(ANN).ends[0].contains(reason), "{}", world.phone(ANN).ends[0]);
    let outside = "Reason: Q.850;cause=31\r\n";
    assert!(
        world.phone(ONE).ends[0].contains(outside),
        "no carrier learns whose: {}",
        world.phone(ONE).ends[0]
    );
    assert_eq!(stops(&world), [("ann".to_owned(), Limit::TimePerDay, true)]);
    assert_eq!(world.switch.counters().budget_ends_total, 1);
    let record = world.records.pop().unwrap();
    assert_eq!(record.outcome, "answered");
    assert_eq!(record.ended_because.unwrap(), "ann's time_per_day of world is used up: 2m of 2m today");
    assert_eq!(record.explanation.steps.last().unwrap().tag, "budget_used_up");
    let next = dial(&mut world, ANN, ABROAD, 600);
    assert_eq!(world.phone(ANN).finals[&next], [403]);
    let inside = dial(&mut world, ANN, "200", 1);
    assert_eq!(world.phone(ANN).finals[&inside], [200], "a call inside costs nothing");
    world.run(s(15 * 3600)); // the world begins at ten in the morning
    world.act(ANN, Phone::register);
    let next_day = dial(&mut world, ANN, ABROAD, 1);
    assert_eq!(world.phone(ANN).finals[&next_day], [200]);
    assert_at_rest(&mut world);
}

#[test]
fn two_calls_use_the_time_up_together_and_both_end() {
    let mut world = world("budget = { world = { time_per_day = \"2m\" } }", "");
    dial(&mut world, ANN, ABROAD, 600);
    dial(&mut world, ANN, "+442079460124", 600);
    world.run(s(53));
    assert_eq!(world.phone(ONE).byes, 0);
    world.run(s(8));
    assert_eq!((world.phone(ONE).byes, world.phone(ANN).byes), (2, 2));
    assert!(spent(&world, "ann").time_per_day < s(122));
    assert_at_rest(&mut world);
}

#[test]
fn ringing_takes_no_time_and_an_unanswered_call_counts_for_the_hour() {
    let mut world = world("budget = { world = { time_per_day = \"2m\", calls_per_hour = 2 } }", "");
    world.phone(ONE).script = Script::Refuse { status: 486, after: s(30) };
    for expected in [486, 486, 403] {
        let call = dial(&mut world, ANN, ABROAD, 600);
        world.run(s(40));
        assert_eq!(world.phone(ANN).finals[&call], [expected]);
    }
    assert_eq!(spent(&world, "ann").time_per_day, Duration::ZERO);
    world.run(s(3600));
    let call = dial(&mut world, ANN, ABROAD, 600);
    world.run(s(40));
    assert_eq!(world.phone(ANN).finals[&call], [486]);
    assert_at_rest(&mut world);
}

#[test]
fn the_next_trunk_of_a_call_makes_it_no_second_one() {
    for script in [Script::Fails(503), Script::Dead] {
        let mut world = world("budget = { world = { calls_at_once = 1, calls_per_hour = 1 } }", "");
        world.phone(ONE).script = script;
        let call = dial(&mut world, ANN, ABROAD, 20);
        world.run(s(10));
        assert_eq!(world.phone(ANN).finals[&call], [200]);
        let now = spent(&world, "ann");
        assert_eq!((now.calls_at_once, now.calls_per_hour), (1, 1), "{script:?}");
        world.run(s(60));
        assert_eq!(spent(&world, "ann").calls_at_once, 0);
        assert!(
            (18..=22).contains(&spent(&world, "ann").time_per_day.as_secs()),
            "{:?}",
            spent(&world, "ann")
        );
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_forward_counts_against_whoever_forwards() {
    let forward = "budget = { world = { calls_at_once = 1 } }\n\
                   [[user.bob.rule]]\nname = \"Away\"\nwhen = \"always\"\nforward.always = \"tel:+442079460123\"\n";
    let mut world = world("", forward);
    let first = dial(&mut world, ANN, "200", 600);
    assert_eq!((spent(&world, "ann").calls_at_once, spent(&world, "bob").calls_at_once), (0, 1));
    let second = dial(&mut world, ANN, "200", 600);
    assert_eq!(world.phone(ANN).finals[&second], [480], "as a forward that is denied: there is no mailbox");
    assert_eq!(stops(&world), [("bob".to_owned(), Limit::CallsAtOnce, false)]);
    hang_up(&mut world, ANN, &first);
    assert_eq!(spent(&world, "bob").calls_at_once, 0);
    assert_at_rest(&mut world);
}

#[test]
fn a_transfer_counts_against_whoever_transfers_for_as_long_as_it_lasts() {
    let mut world = world("", "budget = { world = { time_per_day = \"1m\" } }");
    dial(&mut world, ANN, "200", 600);
    let bobs = world.phone(BOB).newest_call();
    let fields = "Refer-To: <sip:+442079460123@pbx.example>\r\n";
    world.act(BOB, |bob, now| bob.within(now, &bobs, "REFER", fields));
    world.run(s(50));
    assert_eq!(world.phone(BOB).byes, 1, "Bob has left");
    assert!((40..=50).contains(&spent(&world, "bob").time_per_day.as_secs()), "{:?}", spent(&world, "bob"));
    assert_eq!(spent(&world, "ann"), Spent::default());
    world.run(s(20));
    assert_eq!((world.phone(ANN).byes, world.phone(ONE).byes), (1, 1));
    assert_eq!(stops(&world), [("bob".to_owned(), Limit::TimePerDay, true)]);
    assert_at_rest(&mut world);
}

#[test]
fn a_transfer_beyond_the_budget_fails_and_the_call_stays() {
    let mut world = world("", "budget = { world = { calls_per_hour = 1 } }");
    let spends = dial(&mut world, BOB, ABROAD, 600);
    hang_up(&mut world, BOB, &spends);
    dial(&mut world, ANN, "200", 600);
    let bobs = world.phone(BOB).newest_call();
    let fields = "Refer-To: <sip:+442079460123@pbx.example>\r\n";
    world.act(BOB, |bob, now| bob.within(now, &bobs, "REFER", fields));
    world.run(s(5));
    let told = world.phone(BOB).notifies.last().cloned().unwrap_or_default();
    assert!(told.contains("SIP/2.0 403"), "{told}");
    assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes), (0, 0));
    assert_eq!(stops(&world), [("bob".to_owned(), Limit::CallsPerHour, false)]);
    hang_up(&mut world, BOB, &bobs);
    assert_at_rest(&mut world);
}

#[test]
fn a_budget_that_was_raised_counts_for_transfers_of_older_calls_too() {
    let mut world = world("", "budget = { world = { calls_per_hour = 1 } }");
    let spends = dial(&mut world, BOB, ABROAD, 600);
    hang_up(&mut world, BOB, &spends);
    let anns = dial(&mut world, ANN, "200", 600);
    let bobs = world.phone(BOB).newest_call();
    world.input(Input::Rules(Arc::new(rules("", "budget = { world = { calls_per_hour = 2 } }"))));
    let fields = "Refer-To: <sip:+442079460123@pbx.example>\r\n";
    world.act(BOB, |bob, now| bob.within(now, &bobs, "REFER", fields));
    world.run(s(5));
    let told = world.phone(BOB).notifies.last().cloned().unwrap_or_default();
    assert!(told.contains("SIP/2.0 200"), "{told}");
    assert_eq!((world.phone(BOB).byes, stops(&world)), (1, vec![]), "Bob has left");
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn a_party_outside_that_is_handed_on_still_costs_whoever_called_them() {
    let mut world = world("budget = { world = { time_per_day = \"1m\" } }", "");
    let outside = dial(&mut world, ANN, ABROAD, 600);
    let inside = dial(&mut world, ANN, "200", 600);
    let replaces = world.phone(ANN).replaces(&inside).replace(';', "%3B").replace('=', "%3D");
    let fields = format!("Refer-To: <sip:200@pbx.example?Replaces={replaces}>\r\n");
    world.act(ANN, |ann, now| ann.within(now, &outside, "REFER", &fields));
    world.run(s(20));
    assert_eq!(world.phone(ANN).byes, 2, "Ann is out of both");
    let before = spent(&world, "ann").time_per_day;
    world.run(s(10));
    assert_eq!(spent(&world, "ann").time_per_day - before, s(10), "it goes on");
    world.run(s(40));
    assert_eq!((world.phone(BOB).byes, world.phone(ONE).byes), (1, 1), "and ends with the time");
    assert_eq!(spent(&world, "ann").calls_at_once, 0);
    assert_at_rest(&mut world);
}

#[test]
fn a_leg_of_a_list_that_finds_nothing_left_when_its_turn_comes_does_not_ring() {
    let list = "budget = { world = { calls_at_once = 1 } }\n\
                [[user.bob.rule]]\nname = \"List\"\nwhen = \"always\"\nring.strategy = \"sequential\"\nring.each = \"10s\"\n\
                ring.targets = [\"self:all\", \"tel:+442079460123\"]\n";
    let mut world = world("", list);
    world.phone(BOB).script = Script::Ring;
    let call = dial(&mut world, ANN, "200", 600);
    dial(&mut world, BOB, "+442079460124", 600);
    world.run(s(20));
    assert_eq!(world.phone(ONE).invites.len(), 1, "Bob's own call");
    assert_eq!(world.phone(ANN).finals[&call], [480]);
    assert_eq!(stops(&world), [("bob".to_owned(), Limit::CallsAtOnce, false)]);
    let reason = world.records[0].legs.iter().find(|leg| leg.to.starts_with("tel:")).unwrap().reason.clone();
    assert_eq!(reason.unwrap(), "bob's calls_at_once of world is used up: 1 of 1 calls at once");
    world.run(s(600));
    assert_at_rest(&mut world);
}

#[test]
fn an_emergency_call_goes_out_whatever_is_left() {
    let mut world = world("budget = { world = { calls_at_once = 1, calls_per_hour = 1 } }", "");
    dial(&mut world, ANN, ABROAD, 600);
    let emergency = dial(&mut world, ANN, "911", 5);
    assert_eq!(world.phone(ANN).finals[&emergency], [200]);
    assert_eq!(spent(&world, "ann").calls_per_hour, 1);
    world.run(s(700));
    assert_at_rest(&mut world);
}

#[test]
fn what_was_spent_before_a_restart_is_spent() {
    let budget = "budget = { world = { time_per_day = \"2m\" } }";
    let mut before = world(budget, "");
    dial(&mut before, ANN, ABROAD, 600);
    before.run(s(90));
    let notes = std::mem::take(&mut before.spent);
    assert!(notes.len() < 8, "as it changes, and once a minute: {}", notes.len());
    let last = notes.last().unwrap().clone();
    assert!((55..=60).contains(&(last.talked_ms / 1000)), "{last:?}");
    let mut after = world(budget, "");
    after.input(Input::Spent(last));
    assert_eq!(finals(&mut after, ANN), [0_u16; 0]);
    dial(&mut after, ANN, ABROAD, 600);
    after.run(s(65));
    assert_eq!(after.phone(ANN).byes, 1, "the rest of the day's time");
    assert_at_rest(&mut after);
}

#[test]
fn a_budget_that_is_lowered_ends_what_goes_beyond_it() {
    let mut world = world("budget = { world = { time_per_day = \"1h\" } }", "");
    dial(&mut world, ANN, ABROAD, 6000);
    world.run(s(300));
    world.input(Input::Rules(Arc::new(rules("budget = { world = { time_per_day = \"5m\" } }", ""))));
    assert_eq!(world.phone(ANN).byes, 0);
    world.run(s(2));
    assert_eq!((world.phone(ANN).byes, world.phone(ONE).byes), (1, 1));
    assert_at_rest(&mut world);
}
