//! Live state around calls: who sits where, frames that are flipped, trunks that are silent or full, callers that a network vouches for
//! or not, and the emergency centre that calls back.

use super::net::World;
use super::phone::{Phone, Script};
use super::{ANN, BOB, CID, DOMAIN, assert_at_rest, finals, office, ruleset, s};
use ringtree::rules::{FrameStatus, SeatStatus, Status, StatusKey, StatusObject};
use ringtree::switch::Input;

const ONE: &str = "127.0.1.8:5060";
const TWO: &str = "127.0.1.9:5060";

/// Two trunks, tried in this order; keys of the first.
fn trunks(keys: &str) -> String {
    format!(
        "[trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n{keys}\n\
         [trunk.two]\nproxy = \"127.0.1.9\"\naccept_from = [\"127.0.1.9\"]\n\
         [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\", \"two\"]\n"
    )
}

/// Ann and Bob, these rules, and phones and trunks that do this.
fn world(rules: &str, bob: Script, one: Script, two: Script) -> World {
    let users = format!("[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n{rules}");
    let devices = [("ann1", "ann"), ("bob1", "bob")];
    let phones = [(ANN, "ann1", Script::Ring), (BOB, "bob1", bob), (ONE, "one", one), (TWO, "two", two)];
    office(ruleset(&users, &devices), &phones, &[("one", ONE), ("two", TWO)])
}

const BOB_RULES: &str = "[user.bob]\next = \"200\"\nvoicemail = { enabled = false }\n";

fn call(world: &mut World, from: &str, to: &str, talk: u64) {
    world.act(from, |phone, now| drop(phone.call(now, to, s(talk))));
}

fn set(world: &mut World, object: StatusObject, status: Option<Status>) {
    world.input(Input::Status { key: StatusKey { domain: DOMAIN.into(), object }, status });
}

fn tags(world: &World, record: usize) -> String {
    world.records[record].tags.join(" ")
}

#[test]
fn a_trunk_that_says_nothing_gives_way_after_four_seconds_and_hears_the_cancel_if_it_wakes() {
    let rules = BOB_RULES.to_owned() + &trunks("");
    let mut world = world(&rules, Script::Ring, Script::Dead, Script::Answer { after: s(1) });
    call(&mut world, ANN, "+12025550150", 2);
    world.run(std::time::Duration::from_millis(3900));
    assert_eq!(world.phone(TWO).invites.len(), 0);
    world.run(s(1));
    assert_eq!(world.phone(TWO).invites.len(), 1);
    world.run(s(10));
    assert_eq!(finals(&mut world, ANN), [200]);
    let reasons: Vec<_> = world.records[0].legs.iter().map(|leg| leg.reason.clone().unwrap()).collect();
    assert_eq!(reasons, ["no response", "answered"]);
    let lines = &world.switch.office().lines;
    let tally = |trunk: &str| lines.tally_of(&(DOMAIN.into(), trunk.into()));
    assert_eq!((tally("one").calls, tally("one").failures), (1, 1));
    assert_eq!((tally("two").calls, tally("two").failures), (1, 0));
    assert_at_rest(&mut world);
}

#[test]
fn the_last_trunk_of_a_route_is_given_all_the_time_there_is() {
    let rules = BOB_RULES.to_owned() + &trunks("");
    let mut world = world(&rules, Script::Ring, Script::Dead, Script::Dead);
    call(&mut world, ANN, "+12025550150", 2);
    world.run(s(30));
    assert_eq!(finals(&mut world, ANN), [0_u16; 0], "timer B is 32 s");
    world.run(s(10));
    assert_eq!(finals(&mut world, ANN), [500]);
    assert_at_rest(&mut world);
}

/// A busy answer of the second trunk is the word on the leg, though the first one is still awaited.
#[test]
fn what_the_second_trunk_says_counts_at_once() {
    let rules = BOB_RULES.to_owned() + &trunks("");
    let busy = Script::Refuse { status: 486, after: s(1) };
    let mut world = world(&rules, Script::Ring, Script::Dead, busy);
    call(&mut world, ANN, "+12025550150", 2);
    world.run(s(7));
    assert_eq!(finals(&mut world, ANN), [486]);
    assert_at_rest(&mut world);
}

#[test]
fn calls_of_both_ways_fill_a_trunk_and_an_emergency_call_goes_out_all_the_same() {
    let rules =
        BOB_RULES.to_owned() + &trunks("channels = 1") + "[number.\"+12025550101\"]\nto = \"user:bob\"\n";
    let answer = Script::Answer { after: s(1) };
    let mut world = world(&rules, answer, answer, answer);
    call(&mut world, ONE, "+12025550101", 20);
    world.run(s(5));
    assert_eq!(world.switch.counters().calls_active, 1);
    call(&mut world, ANN, "+12025550150", 2);
    world.run(s(2));
    assert_eq!((world.phone(ONE).invites.len(), world.phone(TWO).invites.len()), (0, 1), "full: passed over");
    call(&mut world, ANN, "911", 2);
    world.run(s(2));
    assert_eq!(world.phone(ONE).invites.len(), 1, "never counted");
    world.run(s(30));
    call(&mut world, ANN, "+12025550150", 2);
    world.run(s(10));
    assert_eq!(world.phone(ONE).invites.len(), 2, "free again");
    let full = world.records.iter().flat_map(|record| &record.explanation.steps).flat_map(|s| &s.passed_over);
    assert!(full.into_iter().any(|over| over.why == "all of the trunk's channels are in use"));
    assert_at_rest(&mut world);
}

#[test]
fn a_call_back_passes_do_not_disturb_where_the_trunk_is_trusted_or_an_emergency_call_was_just_made() {
    let number = "[number.\"+12025550101\"]\nto = \"user:bob\"\n";
    let bob = "[user.bob]\next = \"200\"\nvoicemail = { enabled = false }\ncaller_id = { external = { number = \"+12025550101\" } }\n\
               [[user.bob.rule]]\nname = \"Default\"\nwhen = \"always\"\ndnd = true\n";
    for (trust, marked, emergency, reached) in [
        (true, true, false, true),
        (false, true, false, false),
        (true, false, false, false),
        (false, false, true, true),
    ] {
        let rules = format!("{bob}{number}{}", trunks(&format!("trust = {trust}")));
        let answer = Script::Answer { after: s(1) };
        let mut world = world(&rules, answer, answer, answer);
        if emergency {
            call(&mut world, BOB, "911", 1);
            world.run(s(60));
        }
        if marked {
            world.phone(ONE).extra = "Priority: psap-callback\r\n".into();
        }
        call(&mut world, ONE, "+12025550101", 1);
        world.run(s(20));
        let expected: &[u16] = if reached { &[200] } else { &[480] };
        assert_eq!(
            finals(&mut world, ONE),
            expected,
            "trust {trust}, marked {marked}, emergency {emergency}"
        );
        if emergency {
            world.run(s(30 * 60));
            call(&mut world, ONE, "+12025550101", 1);
            world.run(s(20));
            assert!(finals(&mut world, ONE).contains(&480), "half an hour later it is a call like any other");
        }
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_caller_whose_verification_failed_is_refused_by_who_wants_that_on_the_word_of_a_trusted_trunk() {
    let number = "[number.\"+12025550101\"]\nto = \"user:bob\"\n";
    let bob = "[user.bob]\next = \"200\"\nblock_unverified = true\nvoicemail = { enabled = false }\n";
    for (trust, word, reached) in [
        (true, "TN-Validation-Failed", false),
        (true, "TN-Validation-Passed", true),
        (true, "No-TN-Validation", true),
        (false, "TN-Validation-Failed", true),
    ] {
        let rules = format!("{bob}{number}{}", trunks(&format!("trust = {trust}")));
        let mut world = world(&rules, Script::Answer { after: s(1) }, Script::Ring, Script::Ring);
        world.phone(ONE).extra =
            format!("P-Asserted-Identity: <sip:+12025550150;verstat={word}@c.example>\r\n");
        call(&mut world, ONE, "+12025550101", 1);
        world.run(s(10));
        assert_eq!(finals(&mut world, ONE) == [200], reached, "trust {trust}, {word}: {}", tags(&world, 0));
        assert_at_rest(&mut world);
    }
}

#[test]
fn whoever_sits_at_a_phone_is_called_there_and_is_busy_by_calls_made_there() {
    let rules = "[user.bob]\next = \"200\"\ncall_paths = 1\nvoicemail = { enabled = false }\n\
                 [device.desk]\nhotdesk = true\naccept_from = [\"127.0.1.0/24\"]\n";
    let mut world = world(rules, Script::Ring, Script::Ring, Script::Ring);
    world.add(Phone::new(CID, "desk", Script::Answer { after: s(1) }));
    world.act(CID, Phone::register);
    world.run(s(1));
    let desk = || StatusObject::Device("desk".into());
    let until = world.now().wall + jiff::SignedDuration::from_secs(100);
    let seat = SeatStatus { user: "bob".into(), since: world.now().wall, until: Some(until) };
    set(&mut world, desk(), Some(Status::Device(seat)));
    call(&mut world, ANN, "200", 2);
    world.run(s(10));
    let answered = world.records[0].answered_by.clone().unwrap();
    assert_eq!((answered.user.as_deref(), answered.device.as_deref()), (Some("bob"), Some("desk")));
    assert_eq!(world.phone(BOB).invites.len(), 1, "and at the phone of their own");

    // Bob calls out from the desk: the only call that Bob may have.
    world.phone(ANN).script = Script::Answer { after: s(1) };
    call(&mut world, CID, "100", 30);
    world.run(s(5));
    assert!(world.phone(ANN).invites.last().unwrap().contains("<sip:200@"), "as Bob");
    call(&mut world, ANN, "200", 2);
    world.run(s(5));
    assert!(finals(&mut world, ANN).contains(&486));

    // The day at the desk is over by itself.
    world.run(s(120));
    assert_eq!(world.switch.status(&StatusKey { domain: DOMAIN.into(), object: desk() }), None);
    call(&mut world, CID, "100", 1);
    world.run(s(10));
    assert!(finals(&mut world, CID).contains(&403), "nobody's phone again");
    assert_at_rest(&mut world);
}

#[test]
fn a_flipped_frame_ends_by_itself_and_a_call_keeps_the_rule_that_it_began_with() {
    let rules = "[time_frame.storm]\noverride = \"off\"\n\
                 [user.bob]\next = \"200\"\nvoicemail = { enabled = false }\n\
                 [[user.bob.rule]]\nname = \"Storm\"\nwhen = \"storm\"\nforward.always = \"reject:404\"\n\
                 [[user.bob.rule]]\nname = \"Default\"\nwhen = \"always\"\nring_for = \"20s\"\n";
    let mut world = world(rules, Script::Ring, Script::Ring, Script::Ring);
    call(&mut world, ANN, "200", 1);
    world.run(s(5));
    let until = world.now().wall + jiff::SignedDuration::from_secs(60);
    let on = FrameStatus { on: true, until: Some(until) };
    set(&mut world, StatusObject::TimeFrame("storm".into()), Some(Status::TimeFrame(on)));
    call(&mut world, ANN, "200", 1);
    world.run(s(5));
    assert_eq!(finals(&mut world, ANN), [404], "the next call; the first one rings on");
    world.run(s(20));
    world.run(s(60));
    call(&mut world, ANN, "200", 1);
    world.run(s(60));
    let rule = |n: usize| tags(&world, n).split(' ').find(|tag| tag.starts_with("rule:")).unwrap().to_owned();
    assert_eq!([rule(0), rule(1), rule(2)], ["rule:bob/Storm", "rule:bob/Default", "rule:bob/Default"]);
    assert_at_rest(&mut world);
}
