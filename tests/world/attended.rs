//! Attended transfer: what the two who are left with each other, and the one who has brought them together, notice.

use super::net::{CLEAR, Weather, World};
use super::phone::{Phone, Script};
use super::{ANN, BOB, CID, assert_at_rest, assert_joined, assert_points, finals, hang_up, ruleset, s};
use ringtree::relay::{Command, RelayId, Side};
use ringtree::sdp::Protection;

const DOT: &str = "127.0.1.5:5060";
const CARRIER: &str = "127.0.1.8:5060";

const RULES: &str = "
[trunk.line]
proxy = \"127.0.1.8\"
accept_from = [\"127.0.1.8\"]
[class.national]
match = [\"+1.\"]
[[route]]
classes = [\"national\"]
via = [\"line\"]
[number.\"+12025550101\"]
to = \"user:bob\"
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
[user.cid]
ext = \"300\"
voicemail = { enabled = false }
[user.dot]
ext = \"400\"
voicemail = { enabled = false }
";

/// Everybody has registered; Cid has this script, all others answer after a second.
fn office(weather: Weather, seed: u64, cid: Script) -> World {
    office_of(RULES, weather, seed, cid)
}

fn office_of(rules: &str, weather: Weather, seed: u64, cid: Script) -> World {
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid"), ("dot1", "dot")];
    let mut world = World::new(ruleset(rules, &devices), weather, seed);
    let answers = Script::Answer { after: s(1) };
    for (address, device, script) in
        [(ANN, "ann1", answers), (BOB, "bob1", answers), (CID, "cid1", cid), (DOT, "dot1", answers)]
    {
        world.add(Phone::new(address, device, script));
        world.act(address, Phone::register);
    }
    world.add(Phone::new(CARRIER, "+12025550150", answers));
    world.leads("line", &[CARRIER]);
    world.run_until("all register", s(60), |world| world.switch.counters().registrations == 4);
    world
}

fn call(world: &mut World, from: &str, to: &str) -> String {
    let mut call = String::new();
    world.act(from, |phone, now| call = phone.call(now, to, s(600)));
    world.run(s(5));
    call
}

/// Bob speaks with Ann, who has called him, and with Cid, whom he has called: his two calls.
fn two_calls(weather: Weather, seed: u64) -> (World, String, String) {
    let mut world = office(weather, seed, Script::Answer { after: s(1) });
    call(&mut world, ANN, "200");
    let first =
        if world.phone(BOB).invites.is_empty() { String::new() } else { world.phone(BOB).newest_call() };
    let second = call(&mut world, BOB, "300");
    (world, first, second)
}

/// REFER in that call, to the party of the other one.
fn refer(world: &mut World, by: &str, call: &str, other: &str) {
    let replaces = world.phone(by).replaces(other).replace(';', "%3B").replace('=', "%3D");
    refer_to(world, by, call, &replaces);
}

fn refer_to(world: &mut World, by: &str, call: &str, replaces: &str) {
    let fields = format!("Refer-To: <sip:300@pbx.example?Replaces={replaces}>\r\n");
    world.act(by, |phone, now| phone.within(now, call, "REFER", &fields));
    world.run(s(5));
}

/// The last line of each NOTIFY that the phone got.
fn told(world: &mut World, address: &str) -> Vec<String> {
    let last = |notify: &String| notify.lines().last().unwrap_or_default().to_owned();
    world.phone(address).notifies.iter().map(last).collect()
}

#[test]
fn the_two_whom_one_speaks_with_are_brought_together() {
    let (mut world, first, second) = two_calls(CLEAR, 1);
    assert_eq!(world.switch.counters().calls_active, 2);
    refer(&mut world, BOB, &first, &second);
    assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes, world.phone(CID).byes), (0, 2, 0));
    assert_eq!((world.phone(ANN).reinvites.len(), world.phone(CID).reinvites.len()), (1, 1));
    assert!(!world.phone(CID).reinvites[0].contains("m=audio"), "Cid is asked for an offer");
    assert!(world.phone(ANN).reinvites[0].contains("m=audio"), "which Ann gets");
    assert_eq!(world.phone(CID).answered_offers, 1, "and Cid her answer");
    for address in [ANN, CID] {
        let asked = &world.phone(address).reinvites[0];
        assert!(asked.contains("Referred-By: <sip:bob@pbx.example>"), "{asked}");
    }
    assert_eq!((world.relays.len(), world.switch.counters().calls_active), (1, 1));
    let (anns, cids) =
        (world.phone(ANN).finals.keys().next().unwrap().clone(), world.phone(CID).newest_call());
    assert_joined(&mut world, (ANN, &anns), (CID, &cids));
    // What there is to tell of it stands in both records.
    assert_eq!(world.records.len(), 1, "the call between Bob and Cid has ended");
    hang_up(&mut world, CID, &cids);
    assert_eq!(world.phone(ANN).byes, 1);
    let (ended, lives) = (world.records[0].clone(), world.records[1].clone());
    assert_eq!((ended.call_id.as_str(), ended.outcome.as_str()), (second.as_str(), "answered"));
    let (there, here) = (&ended.transfers[0], &lives.transfers[0]);
    assert_eq!((there.by.as_str(), there.to.as_str(), there.status), ("device:bob1", "device:ann1", 200));
    assert_eq!((here.by.as_str(), here.to.as_str(), here.status), ("device:bob1", "300", 200));
    assert_eq!(here.answered_by.as_deref(), Some("device:cid1"));
    assert_eq!((there.call.as_ref(), here.call.as_ref()), (Some(&lives.id), Some(&ended.id)));
    let why: Vec<&str> = lives.explanation.steps.iter().map(|step| step.why.as_str()).collect();
    let asked =
        format!("device:bob1 transfers the other party to 300, whom they speak with in call {}", ended.id);
    assert!(why.contains(&asked.as_str()), "{why:?}");
    assert_at_rest(&mut world);
}

type Place = (RelayId, Side);

/// Who was secured by keys, or went on elsewhere with them: the place, and where to.
fn places(world: &World) -> Vec<(Place, Option<Place>)> {
    let of = |command: &Command| match command {
        Command::Secure { id, side, by: Protection::Sdes(..) } => Some(((*id, *side), None)),
        Command::HandOver { id, side, to } => Some(((*id, *side), Some(*to))),
        _ => None,
    };
    world.secured.iter().filter_map(of).collect()
}

#[test]
fn who_comes_over_with_keys_goes_on_with_them_also_where_their_call_ends_before() {
    for hangs_up in [false, true] {
        let mut world = office(CLEAR, 1, Script::Ring);
        let keyed = world.phone(DOT).described(
            "m=audio 4000 RTP/SAVP 0\r\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n",
        );
        world.phone(DOT).session = Some(keyed);
        let first = call(&mut world, BOB, "100");
        let dots = call(&mut world, DOT, "200");
        let second = world.phone(BOB).newest_call();
        let [(home, None)] = places(&world)[..] else { panic!("{:?}", world.secured) };
        if hangs_up {
            world.phone(ANN).reinvite_status = 491;
            let replaces = world.phone(BOB).replaces(&second).replace(';', "%3B").replace('=', "%3D");
            let fields = format!("Refer-To: <sip:300@pbx.example?Replaces={replaces}>\r\n");
            world.act(BOB, |phone, now| phone.within(now, &first, "REFER", &fields));
            world.run(std::time::Duration::from_millis(100));
            world.phone(ANN).reinvite_status = 200;
            hang_up(&mut world, BOB, &second);
            world.run(s(6));
        } else {
            refer(&mut world, BOB, &first, &second);
        }
        assert_eq!(told(&mut world, BOB).last().unwrap(), "SIP/2.0 200 OK");
        let mut later = places(&world)[1..].to_vec();
        later.sort_by_key(|(_, to)| to.is_none());
        let [(from, Some(to)), (secured, None)] = later[..] else { panic!("{:?}", world.secured) };
        assert_eq!((from, to), (home, secured), "from the one relay to the other");
        assert_ne!(home.0, to.0);
        hang_up(&mut world, DOT, &dots);
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_lamp_shows_whom_one_speaks_with_by_now() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(1) });
    for whose in ["100", "300"] {
        world.act(DOT, |dot, now| drop(dot.subscribe(now, "dialog", whose, 3600, "")));
    }
    call(&mut world, ANN, "200");
    let first = world.phone(BOB).newest_call();
    let second = call(&mut world, BOB, "300");
    let newest = |world: &mut World, whose: &str| {
        let notices = world.phone(DOT).notifies.clone();
        let of = format!("entity=\"sip:{whose}@");
        notices.into_iter().rfind(|notice| notice.contains(&of)).unwrap()
    };
    assert!(newest(&mut world, "100").contains("<identity>sip:200@pbx.example</identity>"));
    assert!(newest(&mut world, "300").contains(">sip:200@pbx.example</identity>"));
    refer(&mut world, BOB, &first, &second);
    for (whose, other, name) in [("100", "300", "cid"), ("300", "100", "ann")] {
        let notice = newest(&mut world, whose);
        assert!(
            notice.contains(&format!("<identity display=\"{name}\">sip:{other}@pbx.example<")),
            "{notice}"
        );
        assert!(notice.contains("<state>confirmed</state>") && !notice.contains("sip:200@"), "{notice}");
    }
    let cids = world.phone(CID).newest_call();
    hang_up(&mut world, CID, &cids);
    assert!(newest(&mut world, "300").contains("<state>terminated</state>"));
    assert_at_rest(&mut world);
}

#[test]
fn it_is_one_whoever_has_called_whom() {
    // Bob has called Ann, and Dot has called Bob: her side is the caller's.
    let mut world = office(CLEAR, 1, Script::Ring);
    let first = call(&mut world, BOB, "100");
    let dots = call(&mut world, DOT, "200");
    let second = world.phone(BOB).newest_call();
    refer(&mut world, BOB, &first, &second);
    assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes, world.phone(DOT).byes), (0, 2, 0));
    let anns = world.phone(ANN).newest_call();
    assert_joined(&mut world, (ANN, &anns), (DOT, &dots));
    hang_up(&mut world, DOT, &dots);
    assert_eq!(world.phone(ANN).byes, 1);
    assert_at_rest(&mut world);
}

#[test]
fn who_has_been_brought_together_may_be_brought_on() {
    let (mut world, first, second) = two_calls(CLEAR, 1);
    refer(&mut world, BOB, &first, &second);
    // Cid, whose dialog is in another call by now, hands Ann on to Dot.
    let cids = world.phone(CID).newest_call();
    let third = call(&mut world, CID, "400");
    refer(&mut world, CID, &cids, &third);
    assert_eq!(told(&mut world, CID), ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert_eq!((world.phone(CID).byes, world.phone(DOT).byes), (2, 0));
    let (anns, dots) =
        (world.phone(ANN).finals.keys().next().unwrap().clone(), world.phone(DOT).newest_call());
    assert_joined(&mut world, (ANN, &anns), (DOT, &dots));
    // Dot brings Ann to Bob once more: the dialog that came over leaves for a third call.
    let fourth = call(&mut world, DOT, "200");
    refer(&mut world, DOT, &fourth, &dots);
    assert_eq!(world.phone(DOT).byes, 2);
    let bobs = world.phone(BOB).newest_call();
    assert_joined(&mut world, (ANN, &anns), (BOB, &bobs));
    hang_up(&mut world, ANN, &anns);
    assert_eq!(world.phone(BOB).byes, 3);
    assert_at_rest(&mut world);
}

#[test]
fn both_may_be_outside() {
    let mut world = office(CLEAR, 1, Script::Ring);
    let theirs = call(&mut world, CARRIER, "+12025550101");
    let first = world.phone(BOB).newest_call();
    let second = call(&mut world, BOB, "+12025550177");
    refer(&mut world, BOB, &first, &second);
    assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert_eq!((world.phone(BOB).byes, world.phone(CARRIER).byes), (2, 0));
    assert!(world.phone(CARRIER).reinvites.iter().all(|asked| !asked.contains("Referred-By")), "not trusted");
    let asked = world.phone(CARRIER).reinvites.clone();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| asked.contains("m=audio")), "carriers refuse one without a description");
    let called = world.phone(CARRIER).newest_call();
    assert_joined(&mut world, (CARRIER, &theirs), (CARRIER, &called));
    assert_points(&world, CARRIER, CARRIER);
    hang_up(&mut world, CARRIER, &theirs);
    assert_eq!(world.phone(CARRIER).byes, 1, "the other of their two calls");
    assert_at_rest(&mut world);
}

#[test]
fn one_that_is_declined_leaves_both_calls_as_they_were() {
    for (who, status, last) in [
        (CID, 488, "SIP/2.0 488 Not Acceptable Here"),
        (ANN, 488, "SIP/2.0 488 Not Acceptable Here"),
        (ANN, 603, "SIP/2.0 603 Decline"),
    ] {
        let (mut world, first, second) = two_calls(CLEAR, 1);
        world.phone(who).reinvite_status = status;
        refer(&mut world, BOB, &first, &second);
        assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", last]);
        for address in [ANN, BOB, CID] {
            assert_eq!(world.phone(address).byes, 0, "{address}");
        }
        assert_eq!(world.phone(CID).answered_offers, u32::from(who == ANN), "Cid goes back to Bob's session");
        let (anns, cids) =
            (world.phone(ANN).finals.keys().next().unwrap().clone(), world.phone(CID).newest_call());
        assert_joined(&mut world, (ANN, &anns), (BOB, &first));
        assert_joined(&mut world, (CID, &cids), (BOB, &second));
        hang_up(&mut world, BOB, &first);
        hang_up(&mut world, CID, &cids);
        assert_eq!((world.phone(ANN).byes, world.phone(BOB).byes), (1, 1));
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_trunk_that_was_offered_another_session_in_vain_is_offered_the_one_it_had() {
    let mut world = office(CLEAR, 1, Script::Ring);
    let theirs = call(&mut world, ANN, "200");
    let first = world.phone(BOB).newest_call();
    let second = call(&mut world, BOB, "+12025550177");
    let ports = |text: &str| text.lines().find(|line| line.starts_with("m=audio")).unwrap().to_owned();
    let before = ports(&world.phone(CARRIER).invites[0]);
    world.phone(ANN).reinvite_status = 488;
    refer(&mut world, BOB, &first, &second);
    assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", "SIP/2.0 488 Not Acceptable Here"]);
    let asked: Vec<String> = world.phone(CARRIER).reinvites.iter().map(|asked| ports(asked)).collect();
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0], before, "Ann's relay");
    assert_eq!(asked[1], before, "Bob's");
    let called = world.phone(CARRIER).newest_call();
    assert_joined(&mut world, (ANN, &theirs), (BOB, &first));
    assert_joined(&mut world, (CARRIER, &called), (BOB, &second));
    hang_up(&mut world, ANN, &theirs);
    assert_points(&world, CARRIER, BOB);
    hang_up(&mut world, CARRIER, &called);
    assert_eq!(world.phone(BOB).byes, 2);
    assert_at_rest(&mut world);
}

#[test]
fn one_who_changes_their_session_at_that_moment_is_asked_again() {
    for who in [ANN, CID] {
        let (mut world, first, second) = two_calls(CLEAR, 1);
        world.phone(who).reinvite_status = 491;
        let replaces = world.phone(BOB).replaces(&second).replace(';', "%3B").replace('=', "%3D");
        let fields = format!("Refer-To: <sip:300@pbx.example?Replaces={replaces}>\r\n");
        world.act(BOB, |phone, now| phone.within(now, &first, "REFER", &fields));
        world.run(std::time::Duration::from_millis(100));
        world.phone(who).reinvite_status = 200;
        world.run(s(6));
        assert_eq!(told(&mut world, BOB).last().unwrap(), "SIP/2.0 200 OK");
        assert_eq!(world.phone(who).reinvites.len(), 2);
        let cids = world.phone(CID).newest_call();
        hang_up(&mut world, CID, &cids);
        assert_eq!(world.phone(ANN).byes, 1);
        assert_at_rest(&mut world);
    }
}

#[test]
fn one_who_still_hears_it_ring_transfers_to_a_call_of_its_own() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(4) });
    call(&mut world, ANN, "200");
    let first = world.phone(BOB).newest_call();
    let mut second = String::new();
    world.act(BOB, |bob, now| second = bob.call(now, "300", s(600)));
    world.run(s(2));
    refer(&mut world, BOB, &first, &second);
    assert_eq!(world.phone(BOB).finals[&second], [487]);
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\"";
    assert_eq!(world.phone(CID).cancels[0][0], elsewhere, "no missed call: it rings again at once");
    world.run(s(5));
    assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    let (anns, cids) =
        (world.phone(ANN).finals.keys().next().unwrap().clone(), world.phone(CID).newest_call());
    assert_joined(&mut world, (ANN, &anns), (CID, &cids));
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn what_rings_rings_on_where_the_transfer_is_refused() {
    let mut world = office(CLEAR, 1, Script::Answer { after: s(9) });
    let anns = call(&mut world, ANN, "200");
    let first = world.phone(BOB).newest_call();
    let mut second = String::new();
    world.act(BOB, |bob, now| second = bob.call(now, "300", s(600)));
    world.run(s(1));
    // Dot rings already, so that this one is refused.
    world.act(BOB, |bob, now| bob.within(now, &first, "REFER", "Refer-To: <sip:400@pbx.example>\r\n"));
    world.run(std::time::Duration::from_millis(100));
    refer(&mut world, BOB, &first, &second);
    assert!(world.phone(BOB).told.contains(&("REFER".to_owned(), 491)));
    assert!(world.phone(CID).cancels.is_empty() && world.phone(BOB).finals[&second].is_empty());
    world.run(s(5));
    assert_eq!(world.phone(BOB).finals[&second], [200]);
    let cids = world.phone(CID).newest_call();
    assert_joined(&mut world, (BOB, &second), (CID, &cids));
    hang_up(&mut world, BOB, &second);
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn what_rings_gives_its_channel_of_a_full_trunk_to_the_call_in_its_place() {
    let rules = RULES.replace("[trunk.line]\n", "[trunk.line]\nchannels = 1\n");
    let mut world = office_of(&rules, CLEAR, 1, Script::Ring);
    world.phone(CARRIER).script = Script::Answer { after: s(4) };
    let anns = call(&mut world, ANN, "200");
    let first = world.phone(BOB).newest_call();
    let mut second = String::new();
    world.act(BOB, |bob, now| second = bob.call(now, "+12025550177", s(600)));
    world.run(s(2));
    refer(&mut world, BOB, &first, &second);
    world.run(s(5));
    assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert_eq!(world.phone(BOB).finals[&second], [487]);
    let called = world.phone(CARRIER).newest_call();
    assert_joined(&mut world, (ANN, &anns), (CARRIER, &called));
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn one_who_only_says_that_it_tries_is_waited_for_as_long_as_one_who_says_nothing() {
    for who in [ANN, CID] {
        let (mut world, first, second) = two_calls(CLEAR, 1);
        world.phone(who).reinvite_status = 180;
        refer(&mut world, BOB, &first, &second);
        world.run(s(25));
        assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying"]);
        world.run(s(5));
        assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", "SIP/2.0 487 Request Terminated"], "{who}");
        assert_eq!(world.phone(who).cancels.len(), 1);
        let (anns, cids) =
            (world.phone(ANN).finals.keys().next().unwrap().clone(), world.phone(CID).newest_call());
        assert_joined(&mut world, (ANN, &anns), (BOB, &first));
        assert_joined(&mut world, (CID, &cids), (BOB, &second));
        hang_up(&mut world, BOB, &first);
        hang_up(&mut world, CID, &cids);
        assert_at_rest(&mut world);
    }
}

#[test]
fn one_who_never_answers_keeps_nothing_alive_once_all_have_hung_up() {
    for who in [ANN, CID] {
        let (mut world, first, second) = two_calls(CLEAR, 1);
        world.phone(who).reinvite_status = 100;
        refer(&mut world, BOB, &first, &second);
        let anns = world.phone(ANN).finals.keys().next().unwrap().clone();
        hang_up(&mut world, ANN, &anns);
        hang_up(&mut world, BOB, &second);
        assert_eq!((world.phone(BOB).byes, world.phone(CID).byes), (1, 1), "{who}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn one_who_answers_no_longer_is_hung_up_on_and_the_other_call_goes_on() {
    // Nothing but 100; and what says that there is no such dialog, or nobody (RFC 3261 §12.2.1.2).
    for (status, told_so) in [
        (100, "SIP/2.0 408 Request Timeout"),
        (408, "SIP/2.0 408 Request Timeout"),
        (481, "SIP/2.0 481 Call/Transaction Does Not Exist"),
    ] {
        let (mut world, first, second) = two_calls(CLEAR, 1);
        world.phone(CID).reinvite_status = status;
        refer(&mut world, BOB, &first, &second);
        world.run(s(75));
        assert_eq!(told(&mut world, BOB), ["SIP/2.0 100 Trying", told_so]);
        assert_eq!([ANN, BOB, CID].map(|address| world.phone(address).byes), [0, 1, 1], "{status}");
        let anns = world.phone(ANN).finals.keys().next().unwrap().clone();
        assert_joined(&mut world, (ANN, &anns), (BOB, &first));
        hang_up(&mut world, BOB, &first);
        assert_at_rest(&mut world);
    }
}

#[test]
fn one_who_names_no_dialog_of_theirs_transfers_nobody() {
    let (mut world, first, second) = two_calls(CLEAR, 1);
    let own = world.phone(BOB).replaces(&first).replace(';', "%3B").replace('=', "%3D");
    // Dot speaks with herself in another room: a call that Bob is not in.
    let dots = call(&mut world, DOT, "100");
    let strange = world.phone(DOT).replaces(&dots).replace(';', "%3B").replace('=', "%3D");
    for (replaces, status) in [("x%3Bto-tag%3D1", 400), (own.as_str(), 400), (strange.as_str(), 403)] {
        refer_to(&mut world, BOB, &first, replaces);
        assert_eq!(world.phone(BOB).told.last().unwrap().1, status, "{replaces}");
    }
    assert_eq!(told(&mut world, BOB), [""; 0]);
    for gone in ["nobody%3Bto-tag%3Da2.1%3Bfrom-tag%3D1", "nobody%3Bto-tag%3Dx%3Bfrom-tag%3D1"] {
        refer_to(&mut world, BOB, &first, gone);
        assert_eq!(told(&mut world, BOB).last().unwrap(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    }
    for (by, call) in [(BOB, &first), (BOB, &second), (DOT, &dots)] {
        hang_up(&mut world, by, call);
    }
    assert_at_rest(&mut world);
}

#[test]
fn whoever_hangs_up_in_between_leaves_nobody_behind() {
    // While Ann is asked, one after the other hangs up; whoever is left alone is hung up on.
    for (who, reason) in [(ANN, "the one to be transferred"), (CID, "the other"), (BOB, "who transfers")] {
        let (mut world, first, second) = two_calls(CLEAR, 1);
        world.phone(ANN).reinvite_status = 491;
        let replaces = world.phone(BOB).replaces(&second).replace(';', "%3B").replace('=', "%3D");
        let fields = format!("Refer-To: <sip:300@pbx.example?Replaces={replaces}>\r\n");
        world.act(BOB, |phone, now| phone.within(now, &first, "REFER", &fields));
        world.run(std::time::Duration::from_millis(100));
        world.phone(ANN).reinvite_status = 200;
        let anns = world.phone(ANN).finals.keys().next().unwrap().clone();
        let cids = world.phone(CID).newest_call();
        match who {
            ANN => hang_up(&mut world, ANN, &anns),
            CID => hang_up(&mut world, CID, &cids),
            _ => {
                world.act(BOB, |phone, now| phone.within(now, &first, "BYE", ""));
                world.act(BOB, |phone, now| phone.within(now, &second, "BYE", ""));
            }
        }
        world.run(s(6));
        let byes = |world: &mut World| [ANN, BOB, CID].map(|address| world.phone(address).byes);
        match who {
            ANN => {
                assert_eq!(byes(&mut world), [0, 1, 0], "{reason}");
                assert_joined(&mut world, (BOB, &second), (CID, &cids));
                hang_up(&mut world, BOB, &second);
                assert_eq!(world.phone(CID).byes, 1);
            }
            CID => {
                assert_eq!(byes(&mut world), [0, 1, 0], "{reason}");
                assert_joined(&mut world, (BOB, &first), (ANN, &anns));
                hang_up(&mut world, BOB, &first);
            }
            _ => {
                assert_eq!(byes(&mut world), [0, 0, 0], "{reason}");
                assert_joined(&mut world, (ANN, &anns), (CID, &cids));
                hang_up(&mut world, ANN, &anns);
            }
        }
        assert_at_rest(&mut world);
    }
}

#[test]
fn attended_transfers_survive_a_network_that_loses_and_repeats() {
    let weather = Weather { loss: 12, duplication: 10, ..CLEAR };
    let mut done = 0;
    for seed in 0..40 {
        let (mut world, first, second) = two_calls(weather, seed);
        world.run(s(20));
        if finals(&mut world, ANN) != [200] || finals(&mut world, BOB) != [200] {
            continue; // the calls themselves did not come about
        }
        refer(&mut world, BOB, &first, &second);
        world.run(s(100));
        done += u32::from(told(&mut world, BOB).iter().any(|line| line == "SIP/2.0 200 OK"));
        let anns = world.phone(ANN).finals.keys().next().unwrap().clone();
        let cids = world.phone(CID).newest_call();
        for (by, call) in [(ANN, &anns), (CID, &cids), (BOB, &first), (BOB, &second)] {
            hang_up(&mut world, by, call);
        }
        world.run(s(100));
        assert_at_rest(&mut world);
    }
    assert!(done >= 20, "{done} of 40 came about");
}
