//! Transfers: what the one who transfers, the one who is transferred and the one who is called notice.

use super::net::{CLEAR, Weather, World};
use super::phone::{Describes, Phone, Script};
use super::{ANN, BOB, CID, assert_at_rest, finals, ruleset, s};
use std::time::Duration;

const CARRIER: &str = "127.0.1.8:5060";

const RULES: &str = "
[trunk.line]
proxy = \"127.0.1.8\"
accept_from = [\"127.0.1.8\"]
[class.national]
match = [\"+1.\"]
[class.premium]
match = [\"+1900.\"]
[[route]]
classes = [\"national\", \"premium\"]
via = [\"line\"]
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
restrict = { premium = \"deny\" }
[user.cid]
ext = \"300\"
voicemail = { enabled = false }
";

/// Ann talks with Bob, whom she has called; Cid has this script.
fn talking(cid: Script) -> (World, String) {
    let (mut world, call) = talking_in(CLEAR, 1, cid);
    assert_eq!(finals(&mut world, ANN), [200]);
    (world, call)
}

/// The same in this weather, where the call may not come about.
fn talking_in(weather: Weather, seed: u64, cid: Script) -> (World, String) {
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid")];
    let mut world = World::new(ruleset(RULES, &devices), weather, seed);
    let answers = Script::Answer { after: s(1) };
    for (address, user, script) in [(ANN, "ann1", answers), (BOB, "bob1", answers), (CID, "cid1", cid)] {
        world.add(Phone::new(address, user, script));
        world.act(address, Phone::register);
    }
    world.run_until("all register", s(60), |world| world.switch.counters().registrations == 3);
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(600)));
    world.run(s(8));
    (world, call)
}

/// REFER by that phone in this call of its own.
fn refer(world: &mut World, by: &str, call: &str, to: &str, more: &str) {
    let fields = format!("Refer-To: <sip:{to}@pbx.example>\r\n{more}");
    world.act(by, |phone, now| phone.within(now, call, "REFER", &fields));
}

fn hang_up(world: &mut World, by: &str, call: &str) {
    world.act(by, |phone, now| phone.within(now, call, "BYE", ""));
}

/// What the phone was told of its transfer: sipfrag and Subscription-State.
fn told(world: &mut World, address: &str) -> Vec<(String, String)> {
    let of = |notify: &String| {
        let line = |start: &str| {
            let found = notify.lines().find(|line| line.starts_with(start)).unwrap_or_default();
            found.split_once(": ").map_or(found, |(_, value)| value).trim().to_owned()
        };
        assert_eq!(line("Event:"), "refer");
        assert_eq!(line("Content-Type:"), "message/sipfrag;version=2.0");
        (notify.lines().last().unwrap_or_default().to_owned(), line("Subscription-State:"))
    };
    world.phone(address).notifies.iter().map(of).collect()
}

const TRYING: (&str, &str) = ("SIP/2.0 100 Trying", "active;expires=3600");
const ENDED: &str = "terminated;reason=noresource";

fn assert_told(world: &mut World, address: &str, last: &str) {
    let told = told(world, address);
    let told: Vec<_> = told.iter().map(|(line, state)| (line.as_str(), state.as_str())).collect();
    assert_eq!(told, [TRYING, (last, ENDED)]);
}

fn requests_told(world: &mut World, address: &str) -> Vec<(String, u16)> {
    world.phone(address).told.clone()
}

#[test]
fn whoever_is_called_transfers_the_caller_and_leaves() {
    let (mut world, call) = talking(Script::Answer { after: s(3) });
    let bobs = world.phone(BOB).newest_call();
    refer(&mut world, BOB, &bobs, "300", "");
    world.run(s(2));
    assert_eq!(requests_told(&mut world, BOB), [("REFER".to_owned(), 202)]);
    assert_eq!(told(&mut world, BOB), [(TRYING.0.to_owned(), TRYING.1.to_owned())]);
    assert_eq!(world.phone(BOB).byes, 0, "until somebody answers, the call is as it was");
    world.run(s(5));
    assert_told(&mut world, BOB, "SIP/2.0 200 OK");
    assert_eq!((world.phone(BOB).byes, world.phone(ANN).byes), (1, 0), "Bob is hung up on, once");
    let invite = world.phone(CID).invites[0].clone();
    assert!(invite.contains("Referred-By: <sip:bob@pbx.example>"), "{invite}");
    assert!(invite.contains("From: \"bob\" <sip:200@pbx.example>"), "a call of Bob's: {invite}");
    assert_eq!(world.phone(ANN).reinvites.len(), 1);
    assert!(world.phone(ANN).reinvites[0].contains("m=audio"), "Ann is offered Cid's session");
    assert_eq!(world.phone(CID).answered_offers, 1, "and Cid gets Ann's answer");
    assert_eq!((world.relays.len(), world.switch.counters().calls_active), (1, 1));
    // Ann and Cid are in one call now: what one sends comes to the other.
    let cids = world.phone(CID).newest_call();
    hang_up(&mut world, CID, &cids);
    world.run(s(2));
    assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes), (1, 1));
    let record = world.records.pop().unwrap();
    assert_eq!((record.call_id, record.outcome.as_str()), (call, "answered"));
    let transfer = &record.transfers[0];
    assert_eq!((transfer.by.as_str(), transfer.to.as_str(), transfer.status), ("device:bob1", "300", 200));
    assert_eq!(transfer.answered_by.as_deref(), Some("device:cid1"));
    let why: Vec<&str> = record.explanation.steps.iter().map(|step| step.why.as_str()).collect();
    assert!(why.contains(&"device:bob1 transfers the other party to 300"), "{why:?}");
    assert!(why.contains(&"the transfer is answered by device:cid1"), "{why:?}");
    assert!(record.explanation.tags.contains(&"transfer:300".to_owned()));
    assert_at_rest(&mut world);
}

#[test]
fn a_caller_transfers_whom_they_have_called_and_either_may_then_transfer_again() {
    let (mut world, call) = talking(Script::Answer { after: s(1) });
    refer(&mut world, ANN, &call, "300", "");
    world.run(s(5));
    assert_told(&mut world, ANN, "SIP/2.0 200 OK");
    assert_eq!((world.phone(ANN).byes, world.phone(BOB).reinvites.len()), (1, 1));
    // Bob, who was called, transfers Cid, who has taken the caller's place, back to Ann.
    let bobs = world.phone(BOB).newest_call();
    refer(&mut world, BOB, &bobs, "100", "");
    world.run(s(5));
    let told = world.phone(BOB).notifies.last().cloned().unwrap();
    assert!(told.contains("SIP/2.0 200 OK") && told.contains("Event: refer;id="), "{told}");
    assert_eq!((world.phone(BOB).byes, world.phone(CID).reinvites.len()), (1, 1));
    let anns = world.phone(ANN).newest_call();
    hang_up(&mut world, ANN, &anns);
    world.run(s(2));
    assert_eq!(world.phone(CID).byes, 1);
    let by: Vec<String> = world.records[0].transfers.iter().map(|transfer| transfer.by.clone()).collect();
    assert_eq!(by, ["device:ann1", "device:bob1"]);
    assert_at_rest(&mut world);
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_was() {
    for (script, to, last) in [
        (Script::Refuse { status: 486, after: s(1) }, "300", "SIP/2.0 486 Busy Here"),
        (Script::Ring, "300", "SIP/2.0 480 Temporarily Unavailable"),
        (Script::Ring, "999", "SIP/2.0 404 Not Found"),
        (Script::Ring, "+19005550100", "SIP/2.0 403 Forbidden"),
    ] {
        let (mut world, _) = talking(script);
        let bobs = world.phone(BOB).newest_call();
        refer(&mut world, BOB, &bobs, to, "");
        world.run(s(40));
        assert_told(&mut world, BOB, last);
        assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes), (0, 0), "{to}");
        assert_eq!(world.phone(ANN).reinvites.len(), 0, "Ann has noticed nothing");
        world.act(BOB, |bob, now| bob.within(now, &bobs, "INFO", ""));
        world.run(s(2));
        assert_eq!(requests_told(&mut world, BOB).last().unwrap(), &("INFO".to_owned(), 200));
        hang_up(&mut world, BOB, &bobs);
        world.run(s(2));
        assert_eq!(world.phone(ANN).byes, 1);
        let status = world.records[0].transfers[0].status;
        assert!(last.contains(&status.to_string()), "{status}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn whoever_hangs_up_at_once_has_transferred_all_the_same() {
    for (script, talk) in
        [(Script::Answer { after: s(3) }, true), (Script::Refuse { status: 486, after: s(3) }, false)]
    {
        let (mut world, _) = talking(script);
        let bobs = world.phone(BOB).newest_call();
        refer(&mut world, BOB, &bobs, "300", "");
        world.run(s(1));
        hang_up(&mut world, BOB, &bobs);
        world.run(s(1));
        assert_eq!(world.phone(ANN).byes, 0, "Ann waits for Cid");
        world.run(s(5));
        assert_eq!(world.phone(BOB).byes, 0, "nobody hangs up twice");
        assert_eq!(world.phone(ANN).byes, u32::from(!talk), "with nobody left, Ann is hung up on");
        if talk {
            let cids = world.phone(CID).newest_call();
            hang_up(&mut world, CID, &cids);
            world.run(s(2));
            assert_eq!(world.phone(ANN).byes, 1);
        }
        assert_at_rest(&mut world);
    }
}

#[test]
fn whoever_wants_no_notice_gets_none_and_is_hung_up_on() {
    let (mut world, call) = talking(Script::Answer { after: s(1) });
    refer(&mut world, ANN, &call, "300", "Refer-Sub: false\r\nRequire: norefersub\r\n");
    world.run(s(5));
    assert_eq!((world.phone(ANN).notifies.len(), world.phone(ANN).byes), (0, 1));
    let cids = world.phone(CID).newest_call();
    hang_up(&mut world, CID, &cids);
    assert_at_rest(&mut world);
}

#[test]
fn a_refer_beside_the_call_that_names_it_transfers_and_is_told_there() {
    // RFC 4538 has the tags as we see them; some write them as they do themselves.
    for (ours, theirs) in [("local-tag", "remote-tag"), ("remote-tag", "local-tag")] {
        let (mut world, call) = talking(Script::Answer { after: s(1) });
        let bobs = world.phone(BOB).newest_call();
        let named = world.phone(BOB).replaces(&bobs).replace("to-tag", ours).replace("from-tag", theirs);
        let fields = |dialog: &str| {
            format!("Refer-To: <sip:300@pbx.example>\r\nRequire: tdialog\r\nTarget-Dialog: {dialog}\r\n")
        };
        // Not one that it is not in, and not what is no dialog.
        for (by, dialog) in
            [(CID, named.clone()), (BOB, named.replace("tag=", "tag=x")), (BOB, "x".to_owned())]
        {
            world.act(by, |phone, now| phone.refer_apart(now, "200", &fields(&dialog)));
            world.run(s(1));
            assert_eq!(requests_told(&mut world, by).pop(), Some(("REFER".to_owned(), 403)), "{dialog}");
        }
        world.act(BOB, |bob, now| bob.refer_apart(now, "200", &fields(&named)));
        world.run(s(5));
        assert_eq!(requests_told(&mut world, BOB).pop(), Some(("REFER".to_owned(), 202)));
        assert_told(&mut world, BOB, "SIP/2.0 200 OK");
        let notify = world.phone(BOB).notifies[0].clone();
        assert!(
            notify.contains("Call-ID: refer") && !notify.contains(&bobs),
            "a dialog of its own: {notify}"
        );
        assert_eq!((world.phone(BOB).byes, world.phone(ANN).byes), (1, 0));
        hang_up(&mut world, ANN, &call);
        world.run(s(1));
        assert_eq!(world.phone(CID).byes, 1);
        assert_at_rest(&mut world);
    }
}

#[test]
fn who_asks_for_a_transfer_beside_the_call_is_not_taken_for_the_phone_in_it() {
    /// On Ann's desk, with the credentials of her phone.
    const PROGRAM: &str = "127.0.1.9:5060";
    for (script, last) in [
        (Script::Answer { after: s(1) }, "SIP/2.0 200 OK"),
        (Script::Refuse { status: 486, after: s(1) }, "SIP/2.0 486 Busy Here"),
    ] {
        let (mut world, before) = talking(script);
        hang_up(&mut world, ANN, &before);
        world.run(s(1));
        // What her phone writes of itself leads nowhere: it is reached where it was heard.
        world.phone(ANN).named = "192.168.1.5:5060".parse().unwrap();
        let mut call = String::new();
        world.act(ANN, |ann, now| call = ann.call(now, "200", s(600)));
        world.run(s(8));
        let named = world.phone(ANN).replaces(&call);
        let named = named.replace("to-tag", "local-tag").replace("from-tag", "remote-tag");
        let fields = format!("Refer-To: <sip:300@pbx.example>\r\nTarget-Dialog: {named}\r\n");
        world.add(Phone::new(PROGRAM, "ann1", Script::Ring));
        world.act(PROGRAM, |program, now| program.refer_apart(now, "200", &fields));
        world.run(s(5));
        assert_told(&mut world, PROGRAM, last);
        if last.contains("200") {
            let cids = world.phone(CID).newest_call();
            hang_up(&mut world, CID, &cids);
        } else {
            let bobs = world.phone(BOB).newest_call();
            hang_up(&mut world, BOB, &bobs);
        }
        world.run(s(2));
        assert_eq!((world.phone(ANN).byes, world.phone(PROGRAM).byes), (1, 0), "{last}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn when_the_other_party_gives_up_or_declines_the_new_one_is_not_left_ringing() {
    let (mut world, call) = talking(Script::Ring);
    let bobs = world.phone(BOB).newest_call();
    refer(&mut world, BOB, &bobs, "300", "");
    world.run(s(2));
    hang_up(&mut world, ANN, &call);
    world.run(s(2));
    assert_told(&mut world, BOB, "SIP/2.0 487 Request Terminated");
    assert_eq!((world.phone(CID).cancels.len(), world.phone(BOB).byes), (1, 1));
    assert_at_rest(&mut world);

    let (mut world, call) = talking(Script::Answer { after: s(1) });
    world.phone(BOB).reinvite_status = 488;
    refer(&mut world, ANN, &call, "300", "");
    world.run(s(5));
    assert_told(&mut world, ANN, "SIP/2.0 488 Not Acceptable Here");
    assert_eq!((world.phone(CID).byes, world.phone(ANN).byes, world.phone(BOB).byes), (1, 0, 0));
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

#[test]
fn one_who_changes_the_session_at_the_same_moment_is_asked_again() {
    let (mut world, call) = talking(Script::Answer { after: s(1) });
    world.phone(BOB).reinvite_status = 491;
    refer(&mut world, ANN, &call, "300", "");
    world.run(Duration::from_millis(2500));
    world.phone(BOB).reinvite_status = 200;
    world.run(s(6));
    assert_told(&mut world, ANN, "SIP/2.0 200 OK");
    assert_eq!(world.phone(BOB).reinvites.len(), 2);
    let bobs = world.phone(BOB).newest_call();
    hang_up(&mut world, BOB, &bobs);
    assert_at_rest(&mut world);
}

#[test]
fn a_refer_by_nobody_who_may_is_refused() {
    let (mut world, call) = talking(Script::Ring);
    let bobs = world.phone(BOB).newest_call();
    for (fields, status) in [
        ("", 400),
        ("Refer-To: <http://pbx.example/>\r\n", 416),
        ("Refer-To: <sip:300@pbx.example;method=BYE>\r\n", 501),
        ("Require: x-nothing\r\nRefer-To: <sip:300@pbx.example>\r\n", 420),
    ] {
        world.act(BOB, |phone, now| phone.within(now, &bobs, "REFER", fields));
        world.run(s(1));
        assert_eq!(requests_told(&mut world, BOB).last().unwrap().1, status, "{fields}");
    }
    refer(&mut world, BOB, &bobs, "300", "");
    world.run(s(1));
    refer(&mut world, ANN, &call, "300", "");
    world.run(s(1));
    assert_eq!(requests_told(&mut world, ANN), [("REFER".to_owned(), 491)], "one at a time");
    assert_eq!(world.phone(CID).invites.len(), 1);
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

/// Ann talks with Bob, who has called her; the carrier has this script.
fn talking_beside_a_carrier(carrier: Script) -> (World, String) {
    let mut world = World::new(ruleset(RULES, &[("ann1", "ann"), ("bob1", "bob")]), CLEAR, 1);
    for (address, user) in [(ANN, "ann1"), (BOB, "bob1")] {
        world.add(Phone::new(address, user, Script::Answer { after: s(1) }));
        world.act(address, Phone::register);
    }
    world.add(Phone::new(CARRIER, "carrier", carrier));
    world.leads("line", &[CARRIER]);
    world.run(s(1));
    let mut call = String::new();
    world.act(BOB, |bob, now| call = bob.call(now, "100", s(600)));
    world.run(s(3));
    (world, call)
}

#[test]
fn a_leg_to_the_outside_is_offered_what_the_other_party_has_said() {
    let (mut world, call) = talking_beside_a_carrier(Script::Answer { after: s(1) });
    refer(&mut world, BOB, &call, "+12025550150", "");
    world.run(s(4));
    assert_told(&mut world, BOB, "SIP/2.0 200 OK");
    let invite = world.phone(CARRIER).invites[0].clone();
    assert!(invite.contains("m=audio") && invite.contains("a=sendrecv"), "{invite}");
    assert_eq!(world.phone(ANN).reinvites.len(), 1, "with what the carrier has answered");
    assert_eq!((world.phone(CARRIER).acks, world.phone(CARRIER).answered_offers), (1, 0));
    assert_eq!((world.phone(BOB).byes, world.phone(ANN).byes), (1, 0));
    let theirs = world.phone(CARRIER).newest_call();
    hang_up(&mut world, CARRIER, &theirs);
    world.run(s(1));
    assert_eq!(world.phone(ANN).byes, 1);
    assert_at_rest(&mut world);
}

#[test]
fn a_leg_to_the_outside_is_offered_what_a_caller_has_answered_in_a_prack() {
    let (mut world, before) = talking_beside_a_carrier(Script::Answer { after: s(1) });
    hang_up(&mut world, BOB, &before);
    world.run(s(1));
    world.phone(BOB).script = Script::EarlyAnswer { after: s(2) };
    world.phone(BOB).reliable = true;
    world.phone(ANN).describes = Describes::Ack;
    world.phone(ANN).extra = "Supported: 100rel\r\n".to_owned();
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(600)));
    world.run(s(5));
    let ann = world.phone(ANN);
    assert_eq!((ann.pracked.as_slice(), ann.described), (&[200][..], (0, 1)));
    let bobs = world.phone(BOB).newest_call();
    refer(&mut world, BOB, &bobs, "+12025550150", "");
    world.run(s(4));
    assert_told(&mut world, BOB, "SIP/2.0 200 OK");
    let invite = world.phone(CARRIER).invites[0].clone();
    assert!(invite.contains("m=audio"), "{invite}");
    hang_up(&mut world, ANN, &call);
    world.run(s(1));
    assert_eq!(world.phone(CARRIER).byes, 1);
    assert_at_rest(&mut world);
}

#[test]
fn one_outside_who_has_answered_in_vain_is_hung_up_on() {
    let (mut world, call) = talking_beside_a_carrier(Script::Answer { after: s(1) });
    world.phone(ANN).reinvite_status = 488;
    refer(&mut world, BOB, &call, "+12025550150", "");
    world.run(s(4));
    assert_told(&mut world, BOB, "SIP/2.0 488 Not Acceptable Here");
    assert_eq!((world.phone(CARRIER).acks, world.phone(CARRIER).byes), (1, 1));
    hang_up(&mut world, BOB, &call);
    assert_at_rest(&mut world);
}

#[test]
fn a_carrier_does_not_transfer_our_people() {
    let devices = [("ann1", "ann")];
    let mut world = World::new(ruleset(RULES, &devices), CLEAR, 1);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    world.add(Phone::new(CARRIER, "carrier", Script::Answer { after: s(1) }));
    world.act(ANN, Phone::register);
    world.leads("line", &[CARRIER]);
    world.run(s(1));
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "+12025550150", s(600)));
    world.run(s(5));
    let theirs = world.phone(CARRIER).newest_call();
    refer(&mut world, CARRIER, &theirs, "+12025550199", "");
    world.run(s(2));
    assert_eq!(requests_told(&mut world, CARRIER), [("REFER".to_owned(), 403)]);
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

#[test]
fn transfers_survive_a_network_that_loses_and_repeats() {
    let weather = Weather { loss: 15, duplication: 10, ..CLEAR };
    let mut done = 0;
    for seed in 0..40 {
        let (mut world, call) = talking_in(weather, seed, Script::Answer { after: s(1) });
        if finals(&mut world, ANN) != [200] {
            continue; // the call itself did not come about
        }
        refer(&mut world, ANN, &call, "300", "");
        world.run(s(100));
        let told = told(&mut world, ANN);
        let last = told.iter().filter(|(_, state)| state == ENDED).count();
        assert!(last <= 1, "{seed}: {told:?}");
        done += u32::from(told.iter().any(|(line, _)| line == "SIP/2.0 200 OK"));
        for address in [BOB, CID] {
            if !world.phone(address).invites.is_empty() {
                let theirs = world.phone(address).newest_call();
                hang_up(&mut world, address, &theirs);
            }
        }
        hang_up(&mut world, ANN, &call);
        world.run(s(100));
        assert_at_rest(&mut world);
    }
    assert!(done >= 20, "{done} of 40 came about");
}

/// RFC 7989 §8: the same half of Ann's in every dialog, and Cid's in hers from the re-INVITE on.
#[test]
fn whoever_is_transferred_is_told_the_half_of_the_new_party() {
    let (mut world, call) = talking(Script::Answer { after: s(3) });
    let bobs = world.phone(BOB).newest_call();
    refer(&mut world, BOB, &bobs, "300", "");
    world.run(s(10));
    let says = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("Session-ID: ")).unwrap().trim().to_owned()
    };
    let to_bob = says(&world.phone(BOB).invites[0].clone());
    let to_cid = says(&world.phone(CID).invites[0].clone());
    assert_eq!(to_bob, to_cid);
    let (anns, nil) = to_cid.split_once(";remote=").unwrap();
    assert!(nil.bytes().all(|digit| digit == b'0'));
    let to_ann = says(&world.phone(ANN).reinvites[0].clone());
    let (cids, remote) = to_ann.split_once(";remote=").unwrap();
    assert!(remote == anns && cids != anns && cids != nil, "{to_ann}");
    hang_up(&mut world, ANN, &call);
    world.run(s(10));
    assert_eq!(world.records[0].session_id.as_deref(), Some(format!("{anns};remote={cids}").as_str()));
    assert_at_rest(&mut world);
}
