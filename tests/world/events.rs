//! What phones are told without a call.

use super::net::{CLEAR, Weather, World, configured};
use super::phone::{Phone, Script};
use super::{ANN, BOB, BOB_TOO, CID, DOMAIN, TWO_DEVICES, TWO_USERS, assert_at_rest, ruleset, s};
use ringtree::rules::{SeatStatus, Status, StatusKey, StatusObject};
use ringtree::subscription::notice::{Finished, Notice, NoticeId, Outcome, What, Whom};
use ringtree::subscription::summary::Counts;
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
    let what = What::CheckSync { to, reboot: false };
    world.input(Input::Notice(Notice { id: NoticeId(id), domain: DOMAIN.into(), what }));
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

/// The lines of a NOTIFY that begin with this.
fn line(notify: &str, start: &str) -> String {
    let found = notify.lines().find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("no {start} in {notify}")).trim().to_owned()
}

fn subscribe(world: &mut World, address: &str, to: &str, expires: u32) -> String {
    let mut call_id = String::new();
    world.act(address, |phone, now| call_id = phone.subscribe(now, "message-summary", to, expires, ""));
    world.run(s(1));
    call_id
}

fn resubscribe(world: &mut World, address: &str, call_id: &str, expires: u32) {
    world.act(address, |phone, now| phone.resubscribe(now, call_id, "message-summary", "100", expires));
    world.run(s(1));
}

/// The status of the newest answer to a SUBSCRIBE.
fn answer(world: &mut World, address: &str) -> String {
    let newest = world.phone(address).subscribed.last().cloned();
    newest.unwrap_or_default().lines().next().unwrap_or_default().replace("SIP/2.0 ", "")
}

fn newest(world: &mut World, address: &str) -> String {
    world.phone(address).notifies.last().cloned().unwrap_or_default()
}

fn messages(world: &mut World, new: u32) {
    let counts = Counts { new, ..Counts::default() };
    world.input(Input::Messages { domain: DOMAIN.into(), mailbox: "ann".into(), counts });
}

fn subscriptions(world: &World) -> u64 {
    world.switch.counters().subscriptions
}

#[test]
fn a_subscriber_is_told_at_once_and_then_whenever_something_changes() {
    let mut world = world();
    messages(&mut world, 2);
    subscribe(&mut world, ANN, "100", 3600);
    assert_eq!(answer(&mut world, ANN), "200 OK");
    assert_eq!(line(&world.phone(ANN).subscribed[0].clone(), "Expires:"), "Expires: 3600");
    let first = newest(&mut world, ANN);
    assert_eq!(line(&first, "Subscription-State:"), "Subscription-State: active;expires=3600");
    assert_eq!(line(&first, "Event:"), "Event: message-summary");
    assert_eq!(line(&first, "Voice-Message:"), "Voice-Message: 2/0 (0/0)");
    assert_eq!(line(&first, "Message-Account:"), "Message-Account: sip:100@pbx.example");
    messages(&mut world, 0);
    world.run(s(1));
    assert_eq!(line(&newest(&mut world, ANN), "Messages-Waiting:"), "Messages-Waiting: no");
    assert_eq!(line(&newest(&mut world, ANN), "CSeq:"), "CSeq: 2 NOTIFY", "in the same dialog");
    assert_at_rest(&mut world);
}

#[test]
fn what_changes_within_a_second_is_told_together() {
    let mut world = world();
    subscribe(&mut world, ANN, "100", 3600);
    for new in 1..=5 {
        messages(&mut world, new);
        world.run(std::time::Duration::from_millis(10));
    }
    world.run(s(3));
    let told: Vec<_> = world.phone(ANN).notifies.iter().map(|n| line(n, "Voice-Message:")).collect();
    assert_eq!(told, ["Voice-Message: 0/0 (0/0)", "Voice-Message: 1/0 (0/0)", "Voice-Message: 5/0 (0/0)"]);
    assert_at_rest(&mut world);
}

#[test]
fn a_subscription_lasts_as_long_as_it_is_refreshed_and_is_told_when_it_runs_out() {
    let mut world = world();
    let call_id = subscribe(&mut world, ANN, "100", 60);
    world.run(s(50));
    resubscribe(&mut world, ANN, &call_id, 100);
    assert_eq!(answer(&mut world, ANN), "200 OK");
    assert_eq!(world.phone(ANN).notifies.len(), 2, "each SUBSCRIBE is answered by a NOTIFY, too");
    world.run(s(90));
    assert_eq!(subscriptions(&world), 1);
    world.run(s(20));
    assert_eq!(
        line(&newest(&mut world, ANN), "Subscription-State:"),
        "Subscription-State: terminated;reason=timeout"
    );
    assert_eq!(subscriptions(&world), 0);
    resubscribe(&mut world, ANN, &call_id, 100);
    assert!(answer(&mut world, ANN).starts_with("481"), "it is to subscribe anew");
    assert_at_rest(&mut world);
}

#[test]
fn giving_up_a_subscription_and_asking_once_end_with_the_state_as_it_is() {
    let mut world = world();
    messages(&mut world, 3);
    let call_id = subscribe(&mut world, ANN, "100", 3600);
    resubscribe(&mut world, ANN, &call_id, 0);
    subscribe(&mut world, ANN, "100", 0);
    assert_eq!(world.phone(ANN).notifies.len(), 3);
    for notify in world.phone(ANN).notifies.clone().iter().skip(1) {
        assert_eq!(line(notify, "Subscription-State:"), "Subscription-State: terminated;reason=timeout");
        assert_eq!(line(notify, "Voice-Message:"), "Voice-Message: 3/0 (0/0)");
    }
    assert_eq!(subscriptions(&world), 0);
    assert_at_rest(&mut world);
}

#[test]
fn whoever_may_not_watch_or_asks_for_what_there_is_not_hears_why() {
    let mut world = world();
    for (from, event, to, expires, more, status) in [
        (BOB, "message-summary", "100", 3600, "", "403"),
        (ANN, "message-summary", "999", 3600, "", "404"),
        (ANN, "message-summary", "100", 59, "", "423"),
        (ANN, "weather", "100", 3600, "", "489"),
        (ANN, "message-summary", "100", 3600, "Accept: text/plain\r\n", "406"),
        (ANN, "message-summary", "100", 3600, "Require: eventlist\r\n", "420"),
    ] {
        world.act(from, |phone, now| drop(phone.subscribe(now, event, to, expires, more)));
        world.run(s(1));
        let said = answer(&mut world, from);
        assert!(said.starts_with(status), "{from} {event} {to} {expires} {more}: {said}");
    }
    let stranger = "127.0.9.9:5060";
    world.add(Phone::new(stranger, "ann1", Script::Ring));
    world.act(stranger, |phone, now| drop(phone.subscribe(now, "message-summary", "100", 3600, "")));
    world.run(s(1));
    assert!(answer(&mut world, stranger).starts_with("401"), "who it says it is counts for nothing");
    let refused = world.phone(ANN).subscribed.clone();
    assert_eq!(line(&refused[1], "Min-Expires:"), "Min-Expires: 60");
    assert_eq!(line(&refused[2], "Allow-Events:"), "Allow-Events: dialog, message-summary, reg");
    assert_eq!((world.phone(ANN).notifies.len(), subscriptions(&world)), (0, 0));
    assert_at_rest(&mut world);
}

#[test]
fn a_subscriber_that_knows_nothing_of_it_or_is_gone_is_not_told_again() {
    for status in [481, 0] {
        let mut world = world();
        subscribe(&mut world, ANN, "100", 3600);
        world.phone(ANN).notify_status = status;
        messages(&mut world, 1);
        world.run(s(40));
        assert_eq!(subscriptions(&world), 0, "{status}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_phone_that_was_switched_off_takes_the_place_of_its_own_old_subscription() {
    let mut world = world();
    for _ in 0..3 {
        subscribe(&mut world, ANN, "100", 3600);
        world.phone(ANN).take_dialogs();
    }
    assert_eq!(subscriptions(&world), 1);
    assert_at_rest(&mut world);
}

#[test]
fn asking_once_leaves_a_subscription_beside_it_alone() {
    let mut world = world();
    subscribe(&mut world, ANN, "100", 3600);
    subscribe(&mut world, ANN, "100", 0);
    assert_eq!(subscriptions(&world), 1);
    messages(&mut world, 2);
    world.run(s(2));
    assert!(newest(&mut world, ANN).contains("Voice-Message: 2/0"), "{}", newest(&mut world, ANN));
    assert_at_rest(&mut world);
}

#[test]
fn a_phone_that_somebody_leaves_hears_no_more_of_their_mailbox() {
    let desk = "[device.desk]\nhotdesk = true\naccept_from = [\"127.0.0.0/8\"]\n";
    let rules = ruleset(&format!("{TWO_USERS}{desk}"), &[("ann1", "ann")]);
    let mut world = World::new(rules, CLEAR, 1);
    world.add(Phone::new(BOB, "desk", Script::Ring));
    world.act(BOB, Phone::register);
    world.run(s(1));
    let sit = |world: &mut World, user: Option<&str>| {
        let since = world.now().wall;
        let status = user.map(|user| Status::Device(SeatStatus { user: user.into(), since, until: None }));
        let key = StatusKey { domain: DOMAIN.into(), object: StatusObject::Device("desk".into()) };
        world.input(Input::Status { key, status });
        world.run(s(1));
    };
    sit(&mut world, Some("ann"));
    subscribe(&mut world, BOB, "100", 3600);
    assert!(answer(&mut world, BOB).starts_with("200"), "{}", answer(&mut world, BOB));
    assert_eq!(subscriptions(&world), 1);
    sit(&mut world, Some("bob"));
    let state = line(&newest(&mut world, BOB), "Subscription-State:");
    assert_eq!(state, "Subscription-State: terminated;reason=rejected");
    assert_eq!(subscriptions(&world), 0);
    assert_at_rest(&mut world);
}

#[test]
fn a_mailbox_that_is_no_longer_theirs_is_not_theirs_to_watch() {
    let mut world = world();
    subscribe(&mut world, ANN, "100", 3600);
    let devices = [("ann1", "bob"), ("bob1", "bob")];
    let rules = ruleset(TWO_USERS, &devices);
    world.input(Input::Rules(std::sync::Arc::new(rules)));
    world.run(s(1));
    assert_eq!(
        line(&newest(&mut world, ANN), "Subscription-State:"),
        "Subscription-State: terminated;reason=rejected"
    );
    assert!(!newest(&mut world, ANN).contains("Voice-Message"), "nor is what waits there");
    assert_eq!(subscriptions(&world), 0);
    assert_at_rest(&mut world);
}

#[test]
fn u7_the_phones_of_a_user_are_told_again_subscribed_or_not() {
    let users = "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n";
    let rules = ruleset(users, &[("ann1", "ann"), ("bob1", "bob")]);
    let mut world = World::new(rules, CLEAR, 1);
    for (address, user) in [(ANN, "ann1"), (BOB, "ann1"), (BOB_TOO, "bob1")] {
        world.add(Phone::new(address, user, Script::Ring));
        world.act(address, Phone::register);
    }
    messages(&mut world, 4);
    subscribe(&mut world, ANN, "100", 3600);
    let what = What::Messages { mailbox: "ann".into() };
    world.input(Input::Notice(Notice { id: NoticeId(9), domain: DOMAIN.into(), what }));
    world.run(s(1));
    assert_eq!(results(&world.noticed[0]), [(Outcome::Accepted, Some(200)); 2]);
    for (address, cseq, state) in [(ANN, "CSeq: 2 NOTIFY", "active"), (BOB, "CSeq: 1 NOTIFY", "terminated")] {
        let notify = newest(&mut world, address);
        assert_eq!(line(&notify, "CSeq:"), cseq, "in its subscription, where it has one");
        assert!(line(&notify, "Subscription-State:").contains(state), "{notify}");
        assert_eq!(line(&notify, "Voice-Message:"), "Voice-Message: 4/0 (0/0)");
    }
    assert_eq!(world.phone(BOB_TOO).notifies.len(), 0);
    assert_at_rest(&mut world);
}

#[test]
fn v16_a_phone_that_registers_is_told_unasked_where_that_is_configured() {
    let rules = ruleset("[user.ann]\next = \"100\"\n", &[("ann1", "ann")]);
    let config = configured(|config| config.unsolicited_mwi = true);
    let mut world = World::with(rules, config, CLEAR, 1);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    messages(&mut world, 1);
    world.act(ANN, Phone::register);
    world.run(s(1));
    assert_eq!(line(&newest(&mut world, ANN), "Messages-Waiting:"), "Messages-Waiting: yes");
    world.act(ANN, Phone::register);
    world.run(s(1));
    assert_eq!(world.phone(ANN).notifies.len(), 1, "a refresh is no news");
    assert_at_rest(&mut world);
}

/// Ann, Bob and Cid with a phone each; Bob's does this. Ann watches Bob and Cid.
fn watched(bob: Script) -> World {
    let users = format!("{TWO_USERS}[user.cid]\next = \"300\"\nvoicemail = {{ enabled = false }}\n");
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid")];
    let mut world = World::new(ruleset(&users, &devices), CLEAR, 1);
    for (address, user, script) in
        [(ANN, "ann1", Script::Ring), (BOB, "bob1", bob), (CID, "cid1", Script::Ring)]
    {
        world.add(Phone::new(address, user, script));
        world.act(address, Phone::register);
    }
    world.run(s(1));
    for of in ["200", "300"] {
        world.act(ANN, |phone, now| drop(phone.subscribe(now, "dialog", of, 3600, "")));
    }
    world.run(s(2));
    world
}

/// The documents that Ann got about a user, in order.
fn documents(world: &mut World, of: &str) -> Vec<String> {
    let about = format!("entity=\"sip:{of}@{DOMAIN}\"");
    world.phone(ANN).notifies.iter().filter(|notify| notify.contains(&about)).cloned().collect()
}

/// The states of each document, in order.
fn states(documents: &[String]) -> Vec<Vec<String>> {
    let of = |document: &String| {
        let parts = document.split("<state>").skip(1);
        parts.filter_map(|part| Some(part.split_once('<')?.0.to_owned())).collect()
    };
    documents.iter().map(of).collect()
}

#[test]
fn a_lamp_follows_a_call_of_both_its_sides_from_the_first_to_the_last() {
    let mut world = watched(Script::Answer { after: s(3) });
    world.act(CID, |phone, now| drop(phone.call(now, "200", s(5))));
    world.run(s(20));
    for (of, direction, other) in [("200", "recipient", "sip:300@"), ("300", "initiator", "sip:200@")] {
        let told = documents(&mut world, of);
        let states = states(&told);
        let expected: [&[&str]; 5] = [&[], &["trying"], &["early"], &["confirmed"], &["terminated"]];
        assert_eq!(states, expected, "{of}");
        for (version, document) in told.iter().enumerate() {
            assert!(document.contains(&format!("version=\"{version}\" state=\"full\"")), "{document}");
        }
        let talking = &told[3];
        assert!(talking.contains(&format!("direction=\"{direction}\"")), "{talking}");
        let remote = talking.split("<remote>").nth(1).unwrap_or_default();
        assert!(remote.contains(other), "{talking}");
    }
    // Whoever wants to pick up finds the dialog as the ringing phone knows it, but for our tag, which would let them speak in it.
    let invite = world.phone(BOB).invites[0].clone();
    let ringing = documents(&mut world, "200")[2].clone();
    let call_id = line(&invite, "Call-ID:").replace("Call-ID: ", "");
    let tag = invite.split("tag=").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    assert!(ringing.contains(&format!("call-id=\"{call_id}\"")), "{ringing}");
    assert!(ringing.contains("remote-tag=\"") && !ringing.contains(&tag), "{ringing}");
    assert!(ringing.contains("local-tag=\"tag5060n"), "the tag that the phone rang with: {ringing}");
    assert_at_rest(&mut world);
}

#[test]
fn a_lamp_does_not_tell_who_a_caller_is_that_withholds_it() {
    let mut world = watched(Script::Ring);
    world.phone(CID).extra = "Privacy: id\r\n".to_owned();
    world.act(CID, |phone, now| drop(phone.call(now, "200", s(5))));
    world.run(s(5));
    let told = documents(&mut world, "200");
    let ringing = told.last().unwrap();
    assert!(ringing.contains("<state>early</state>") && !ringing.contains("<remote>"), "{ringing}");
    world.run(s(60));
    assert_at_rest(&mut world);
}

#[test]
fn a_call_that_comes_and_goes_within_a_second_is_told_as_it_ended() {
    let mut world = watched(Script::Refuse { status: 486, after: s(0) });
    world.act(CID, |phone, now| drop(phone.call(now, "200", s(5))));
    world.run(s(5));
    assert_eq!(states(&documents(&mut world, "200")), [vec![], vec!["trying"], vec!["terminated"]]);
    world.act(CID, |phone, now| drop(phone.subscribe(now, "dialog", "999", 3600, "")));
    world.run(s(1));
    assert!(answer(&mut world, CID).starts_with("404"));
    assert_at_rest(&mut world);
}

#[test]
fn a_phone_has_room_for_so_many_subscriptions_and_no_more() {
    use ringtree::subscription::notifier::OF_DEVICE_MAX;
    let mut world = world();
    for line in 0..=OF_DEVICE_MAX {
        // Each from another contact: one that subscribes again from the same takes the place of its own.
        let contact = format!("Contact: <sip:ann1@127.0.1.1:5060;line={line}>\r\n");
        world.act(ANN, |phone, now| drop(phone.subscribe_as(now, "dialog", "200", 3600, &contact)));
        world.run(std::time::Duration::from_millis(50));
    }
    assert!(answer(&mut world, ANN).starts_with("503"));
    assert_eq!(subscriptions(&world), OF_DEVICE_MAX as u64);
    world.act(BOB, |phone, now| drop(phone.subscribe(now, "dialog", "100", 3600, "")));
    world.run(s(1));
    assert_eq!(answer(&mut world, BOB), "200 OK", "others have theirs");
    assert_at_rest(&mut world);
}

#[test]
fn a_subscription_is_its_phones_alone_and_its_event_is_its_own() {
    let mut world = world();
    let call_id = subscribe(&mut world, ANN, "100", 3600);
    world.act(ANN, |phone, now| phone.resubscribe(now, &call_id, "dialog", "100", 3600));
    world.run(s(1));
    assert!(answer(&mut world, ANN).starts_with("481"), "no such subscription in this dialog");
    // Bob, who has read Ann's dialog off the wire, writes her request from his own phone.
    let dialogs = world.phone(ANN).take_dialogs();
    world.phone(BOB).adopt(&dialogs);
    world.act(BOB, |phone, now| phone.resubscribe(now, &call_id, "message-summary", "100", 0));
    world.run(s(1));
    let said = answer(&mut world, BOB);
    assert!(said.starts_with("403") || said.starts_with("481"), "{said}");
    assert_eq!(subscriptions(&world), 1);
    assert_at_rest(&mut world);
}

#[test]
fn a_lamp_is_out_in_the_end_whatever_the_network_loses_repeats_and_reorders() {
    for seed in 1..=10 {
        let mut world = watched(Script::Answer { after: s(2) });
        world.weather(Weather { loss: 20, duplication: 10, delay_ms_max: 400 }, seed);
        for _ in 0..4 {
            world.act(CID, |phone, now| drop(phone.call(now, "200", s(3))));
            world.run(s(9));
        }
        world.run(s(200));
        assert_eq!(subscriptions(&world), 2, "seed {seed}: a phone that answers keeps what it has");
        for of in ["200", "300"] {
            let told = documents(&mut world, of);
            let number = |notify: &String| -> u32 {
                line(notify, "CSeq:").split(' ').nth(1).unwrap().parse().unwrap()
            };
            assert!(told.is_sorted_by_key(number), "seed {seed}: one at a time, so none overtakes another");
            let last = states(&told).pop().unwrap();
            assert!(last.iter().all(|state| state == "terminated"), "seed {seed}: {last:?}");
        }
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_subscription_given_up_while_a_notify_is_on_its_way_ends_with_the_answer_to_it() {
    let mut world = world();
    let call_id = subscribe(&mut world, ANN, "100", 3600);
    world.phone(ANN).notify_status = 0;
    messages(&mut world, 1);
    world.run(s(1));
    world.act(ANN, |phone, now| phone.resubscribe(now, &call_id, "message-summary", "100", 0));
    world.run(std::time::Duration::from_millis(100));
    assert_eq!(answer(&mut world, ANN), "200 OK");
    assert!(line(&newest(&mut world, ANN), "Subscription-State:").contains("active"), "not a second one yet");
    world.phone(ANN).notify_status = 200;
    world.run(s(10));
    let last = newest(&mut world, ANN);
    assert_eq!(line(&last, "Subscription-State:"), "Subscription-State: terminated;reason=timeout");
    assert_eq!(line(&last, "Voice-Message:"), "Voice-Message: 1/0 (0/0)");
    assert_eq!(subscriptions(&world), 0);
    assert_at_rest(&mut world);
}

#[test]
fn a_restart_knows_no_subscription_and_the_phone_subscribes_anew() {
    let mut before = world();
    let call_id = subscribe(&mut before, ANN, "100", 3600);
    let dialogs = before.phone(ANN).take_dialogs();
    let mut after = world();
    after.phone(ANN).adopt(&dialogs);
    resubscribe(&mut after, ANN, &call_id, 3600);
    assert!(answer(&mut after, ANN).starts_with("481"));
    assert_eq!(after.phone(ANN).notifies.len(), 0);
    subscribe(&mut after, ANN, "100", 3600);
    assert_eq!((answer(&mut after, ANN).as_str(), after.phone(ANN).notifies.len()), ("200 OK", 1));
    assert_at_rest(&mut after);
}
