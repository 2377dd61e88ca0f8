//! What phones are told without a call.

use super::net::{CLEAR, World};
use super::phone::{Phone, Script};
use super::{ANN, BOB, BOB_TOO, DOMAIN, TWO_DEVICES, TWO_USERS, assert_at_rest, ruleset, s};
use ringtree::subscription::notice::{Finished, Notice, NoticeId, Outcome, What, Whom};
use ringtree::switch::Input;

/// Ann with one phone, Bob with two contacts of one, all registered.
fn world() -> World {
    let mut world = World::new(ruleset(TWO_USERS, TWO_DEVICES), CLEAR, 1);
    for (address, user) in [(ANN, "ann1"), (BOB, "bob1"), (BOB_TOO, "bob1")] {
        world.add(Phone::new(address, user, Script::Ring));
        world.act(address, Phone::register);
    }
    world.run(s(1));
    world
}

fn check_sync(world: &mut World, id: u64, to: Whom) {
    let what = What::CheckSync { reboot: false };
    world.input(Input::Notice(Notice { id: NoticeId(id), domain: DOMAIN.into(), to, what }));
}

/// What came of the contacts of a notice, by their results and statuses.
fn results(finished: &Finished) -> Vec<(Outcome, Option<u16>)> {
    finished.told.iter().map(|told| (told.result, told.status)).collect()
}

#[test]
fn u6_a_notice_is_over_when_the_last_contact_has_answered_or_never_will() {
    let mut world = world();
    world.phone(BOB).notify_status = 489;
    world.phone(BOB_TOO).notify_status = 0;
    check_sync(&mut world, 7, Whom::User("bob".into()));
    world.run(s(31));
    assert_eq!(world.noticed.len(), 0, "one contact may still answer");
    world.run(s(2));
    assert_eq!(world.noticed[0].id, NoticeId(7));
    let mut found = results(&world.noticed[0]);
    found.sort_by_key(|(_, status)| *status);
    assert_eq!(found, [(Outcome::NoAnswer, Some(408)), (Outcome::Refused, Some(489))]);
    assert_eq!(world.phone(ANN).notifies.len(), 0, "nobody else is told");
    let notify = &world.phone(BOB).notifies[0];
    assert!(notify.contains("Event: check-sync;reboot=false"), "{notify}");
    assert!(notify.contains("To: <sip:200@pbx.example>"), "the account that it registered: {notify}");
    assert_at_rest(&mut world);
}

#[test]
fn u6_whoever_nobody_is_registered_for_is_known_at_once() {
    let mut world = world();
    for (id, to) in [(1, Whom::Device("none".into())), (2, Whom::User("none".into()))] {
        check_sync(&mut world, id, to);
    }
    let over: Vec<_> = world.noticed.iter().map(|finished| (finished.id.0, finished.told.len())).collect();
    assert_eq!(over, [(1, 0), (2, 0)]);
    assert_at_rest(&mut world);
}

#[test]
fn u6_a_contact_whose_flow_has_failed_is_unreachable() {
    let mut world = world();
    world.phone(ANN).notify_status = 0;
    check_sync(&mut world, 1, Whom::Device("ann1".into()));
    let flow = world.switch.registrations().find(|b| &*b.key.device.device == "ann1").unwrap().flow;
    world.input(Input::FlowFailed { flow });
    assert_eq!(results(&world.noticed[0]), [(Outcome::Unreachable, None)]);
    assert_at_rest(&mut world);
}
