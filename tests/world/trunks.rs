//! Trunks that we register at, and that ask who calls.

use super::guard::Guard;
use super::net::{CLEAR, Weather, World};
use super::phone::{Phone, Script};
use super::{
    ANN, BOB, DOMAIN, assert_at_rest, assert_joined, assert_points, finals, hang_up, office, ruleset, s,
};
use ringtree::call::lines::Standing as Place;
use ringtree::switch::{Event, Input};
use ringtree::trunk::Standing;
use std::sync::Arc;

const ONE: &str = "127.0.1.8:5060";
const TWO: &str = "127.0.1.9:5060";

fn rules(register: &str) -> ringtree::rules::Ruleset {
    let users = format!(
        "[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n\
         [trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n{register}\n\
         [trunk.two]\nproxy = \"127.0.1.9\"\naccept_from = [\"127.0.1.9\"]\n\
         [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\", \"two\"]\n\
         [number.\"+12025550100\"]\nto = \"user:ann\"\n"
    );
    ruleset(&users, &[("ann1", "ann")])
}

const REGISTER: &str = "register = { user = \"office\", secret = \"plain:secret\" }";

/// Ann's phone, and two trunks that answer; the first wants to know who we are.
fn world(register: &str, weather: Weather, seed: u64) -> World {
    let mut world = World::new(rules(register), weather, seed);
    let answer = Script::Answer { after: s(1) };
    for (address, user, script) in [(ANN, "ann1", Script::Ring), (ONE, "one", answer), (TWO, "two", answer)] {
        world.add(Phone::new(address, user, script));
    }
    world.phone(ONE).guard = Some(Guard::new("secret"));
    for (trunk, address) in [("one", ONE), ("two", TWO)] {
        world.leads(trunk, &[address]);
    }
    world.act(ANN, Phone::register);
    world
}

fn standing(world: &World) -> Option<Standing> {
    world.switch.trunk_registration(&(DOMAIN.into(), "one".into()))
}

fn is_registered(world: &World) -> bool {
    matches!(standing(world), Some(Standing::Registered { .. }))
}

fn guard(world: &mut World) -> &mut Guard {
    world.phone(ONE).guard.as_mut().unwrap()
}

fn dial_out(world: &mut World) {
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550199", s(2))));
    world.run(s(60));
}

#[test]
fn we_stay_registered_for_as_long_as_we_run_and_take_it_back_when_we_stop() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(3600));
    assert!(is_registered(&world));
    let before = guard(&mut world).registered.clone();
    assert!((6..=9).contains(&before.len()), "each ten minutes are refreshed before their end: {before:?}");
    assert!(before.iter().all(|(call_id, _, expires)| (call_id, *expires) == (&before[0].0, 600)));
    assert!(before.windows(2).all(|pair| pair[0].1 < pair[1].1), "{before:?}");
    assert_eq!(
        guard(&mut world).asked as usize,
        before.len() + 1,
        "after the first challenge none was needed"
    );
    world.input(Input::Drain);
    world.run(s(5));
    let last = guard(&mut world).registered.pop().unwrap();
    assert_eq!((last.0, last.2), (before[0].0.clone(), 0));
}

#[test]
fn a_trunk_that_goes_from_the_rules_is_told_so() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(10));
    world.input(Input::Rules(Arc::new(rules(""))));
    world.run(s(10));
    assert_eq!(guard(&mut world).registered.pop().unwrap().2, 0);
    assert_eq!(standing(&world), None);
}

#[test]
fn a_trunk_that_is_gone_altogether_is_told_so_too() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(10));
    let rest = "[user.ann]\next = \"100\"\nvoicemail = { enabled = false }\n";
    world.input(Input::Rules(Arc::new(ruleset(rest, &[("ann1", "ann")]))));
    world.run(s(10));
    assert_eq!(guard(&mut world).registered.pop().unwrap().2, 0);
    assert!(world.switch.office().lines.leads_nowhere(&(DOMAIN.into(), "one".into())));
}

#[test]
fn bad_weather_delays_a_registration_and_never_doubles_it() {
    for seed in 1..20 {
        let weather = Weather { loss: 40, duplication: 20, delay_ms_max: 300 };
        let mut world = world(REGISTER, weather, seed);
        world.run_until("registered", s(3600), is_registered);
        world.run(s(3600));
        let registered = guard(&mut world).registered.clone();
        assert!(
            registered.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].1 < pair[1].1),
            "{registered:?}"
        );
        world.weather(CLEAR, seed);
        world.run(s(1800));
        assert!(is_registered(&world), "seed {seed}: {:?}", standing(&world));
    }
}

#[test]
fn a_call_out_answers_the_challenge_of_its_trunk() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(5));
    dial_out(&mut world);
    assert_eq!(finals(&mut world, ANN), [200]);
    let invites = world.phone(ONE).invites.clone();
    assert_eq!(invites.len(), 1, "the one that was let in");
    assert!(invites[0].contains("CSeq: 2 INVITE"), "{}", invites[0]);
    assert!(world.phone(TWO).invites.is_empty());
    assert_eq!(world.records[0].legs.len(), 1, "to the caller and in the record it is one leg");
    world.input(Input::Drain);
    assert_at_rest(&mut world);
}

/// RFC 3261 §22.2, §13.2.2.4.
#[test]
fn a_trunk_that_asks_within_a_call_too_is_answered_there() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(5));
    guard(&mut world).strict = true;
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "+12025550199", s(1000)));
    world.run(s(10));
    world.act(ANN, |ann, now| ann.within(now, &call, "INFO", ""));
    world.run(s(10));
    assert_eq!(world.phone(ANN).told, [("INFO".to_owned(), 200)]);
    world.run(s(920)); // our refresh is let in too
    assert_eq!(world.phone(ONE).reinvites.len(), 1);
    assert_eq!(world.switch.counters().calls_active, 1);
    world.run(s(120));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.phone(ONE).byes, 1, "the one that was let in");
    world.input(Input::Drain);
    assert_at_rest(&mut world);
}

#[test]
fn a_trunk_that_asks_who_acknowledges_its_ringing_is_told() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(5));
    guard(&mut world).strict = true;
    world.phone(ONE).reliable = true;
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550199", s(5))));
    world.run(s(20));
    assert_eq!(world.phone(ONE).pracks, ["700 2 INVITE"], "the one that was let in");
    assert_eq!((finals(&mut world, ANN), world.phone(ONE).byes), (vec![200], 1), "the call goes on");
    world.input(Input::Drain);
    assert_at_rest(&mut world);
}

#[test]
fn a_trunk_that_asks_who_brings_its_party_into_another_call_is_told() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.phone(ANN).script = Script::Answer { after: s(1) };
    world.run(s(5));
    let (mut theirs, mut second) = (String::new(), String::new());
    world.act(TWO, |two, now| theirs = two.call(now, "+12025550100", s(600)));
    world.run(s(5));
    let first = world.phone(ANN).newest_call();
    world.act(ANN, |ann, now| second = ann.call(now, "+12025550199", s(600)));
    world.run(s(5));
    let replaces = world.phone(ANN).replaces(&second).replace(';', "%3B").replace('=', "%3D");
    let fields = format!("Refer-To: <sip:x@pbx.example?Replaces={replaces}>\r\n");
    world.act(ANN, |ann, now| ann.within(now, &first, "REFER", &fields));
    world.run(s(5));
    assert_eq!((world.phone(ANN).byes, world.phone(ONE).byes, world.phone(TWO).byes), (2, 0, 0));
    assert_eq!(world.phone(ONE).reinvites.len(), 1, "the one that was let in");
    let called = world.phone(ONE).newest_call();
    assert_joined(&mut world, (TWO, &theirs), (ONE, &called));
    assert_points(&world, ONE, TWO);
    hang_up(&mut world, TWO, &theirs);
    assert_eq!(world.phone(ONE).byes, 1);
    world.input(Input::Drain);
    assert_at_rest(&mut world);
}

#[test]
fn while_we_are_not_registered_calls_take_another_trunk() {
    let mut world = world(REGISTER, CLEAR, 1);
    guard(&mut world).locked = true;
    world.run(s(5));
    assert!(matches!(standing(&world), Some(Standing::Refused { .. })), "{:?}", standing(&world));
    world.run(s(3600));
    assert_eq!(guard(&mut world).asked, 1, "who was refused doesn't ask again");
    dial_out(&mut world);
    assert_eq!((world.phone(ONE).invites.len(), world.phone(TWO).invites.len()), (0, 1));
    assert_eq!(guard(&mut world).asked, 1);
}

#[test]
fn a_trunk_that_does_not_know_our_password_gives_way_to_the_next() {
    let mut world = world(REGISTER, CLEAR, 1);
    world.run(s(5));
    guard(&mut world).password = "another";
    guard(&mut world).restart();
    dial_out(&mut world);
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!((world.phone(ONE).invites.len(), world.phone(TWO).invites.len()), (0, 1));
    let reasons: Vec<u16> = world.records[0].legs.iter().filter_map(|leg| leg.status).collect();
    assert_eq!(reasons[0], 407, "{reasons:?}");
    world.run(s(1000));
    assert!(matches!(standing(&world), Some(Standing::Refused { .. })), "so does the next refresh");
}

/// Ann's phone, and one trunk with several servers, by the rank of their scripts.
fn servers(scripts: &[Script]) -> World {
    servers_with("", scripts)
}

fn servers_with(keys: &str, scripts: &[Script]) -> World {
    let mut world = World::new(rules(keys), CLEAR, 1);
    world.add(Phone::new(ANN, "ann1", Script::Ring));
    for (address, script) in SERVERS.iter().zip(scripts) {
        world.add(Phone::new(address, "server", *script));
    }
    world.add(Phone::new(TWO, "two", Script::Answer { after: s(1) }));
    world.leads("one", &SERVERS[..scripts.len()]);
    world.leads("two", &[TWO]);
    world.act(ANN, Phone::register);
    world
}

const SERVERS: [&str; 3] = ["127.0.1.81:5060", "127.0.1.82:5070", "127.0.1.83:5060"];

fn invited(world: &mut World) -> Vec<usize> {
    let all: Vec<&str> = SERVERS.into_iter().chain([TWO]).collect();
    let invited = |address: &&str| {
        let phone = world.phones.get(&address.parse().unwrap());
        usize::from(phone.is_some_and(|phone| !phone.invites.is_empty()))
    };
    all.iter().map(invited).collect()
}

#[test]
fn each_server_of_a_trunk_is_tried_before_the_next_trunk() {
    let answer = Script::Answer { after: s(1) };
    for (scripts, expected) in [
        ([answer, answer, answer], [1, 0, 0, 0]),
        ([Script::Fails(503), answer, answer], [1, 1, 0, 0]),
        ([Script::Dead, Script::Fails(503), answer], [1, 1, 1, 0]),
        ([Script::Fails(503), Script::Fails(503), Script::Fails(503)], [1, 1, 1, 1]),
    ] {
        let mut world = servers(&scripts);
        dial_out(&mut world);
        assert_eq!(
            (finals(&mut world, ANN), invited(&mut world)),
            (vec![200], expected.to_vec()),
            "{scripts:?}"
        );
        assert_at_rest(&mut world);
    }
}

#[test]
fn what_every_server_of_a_trunk_would_say_is_not_asked_of_each() {
    let mut world = servers(&[Script::Fails(500), Script::Ring, Script::Ring]);
    dial_out(&mut world);
    assert_eq!((finals(&mut world, ANN), invited(&mut world)), (vec![200], vec![1, 0, 0, 1]));
}

#[test]
fn once_a_server_has_rung_no_other_is_tried() {
    let late = Script::Refuse { status: 503, after: s(2) };
    let mut world = servers(&[late, Script::Ring, Script::Ring]);
    dial_out(&mut world);
    assert_eq!(invited(&mut world), [1, 0, 0, 0]);
    assert!(finals(&mut world, ANN)[0] >= 400);
}

/// One call out, answered or not, without waiting longer than it takes.
fn dial_quickly(world: &mut World) {
    world.act(ANN, |ann, now| drop(ann.call(now, "+12025550199", s(2))));
    world.run(s(8));
}

/// Final responses, the best first: calls of one phone have no order in their names.
fn statuses(world: &mut World, address: &str) -> Vec<u16> {
    let mut statuses = finals(world, address);
    statuses.sort_unstable();
    statuses
}

fn counts(world: &mut World) -> Vec<usize> {
    SERVERS.iter().map(|server| world.phone(server).invites.len()).collect()
}

#[test]
fn a_server_that_says_503_is_left_alone_for_a_while() {
    let answer = Script::Answer { after: s(1) };
    let mut world = servers(&[Script::Fails(503), answer, answer]);
    dial_quickly(&mut world);
    dial_quickly(&mut world);
    assert_eq!(counts(&mut world), [1, 2, 0]);
    world.run(s(30));
    dial_quickly(&mut world);
    assert_eq!(counts(&mut world), [2, 3, 0], "after half a minute it is asked again");
}

#[test]
fn a_server_says_itself_how_long_it_wants_to_be_left_alone() {
    let answer = Script::Answer { after: s(1) };
    let mut world = servers(&[answer, answer, answer]);
    let mut guard = Guard::new("secret");
    guard.unwell = Some(300);
    world.phone(SERVERS[0]).guard = Some(guard);
    dial_quickly(&mut world);
    world.run(s(200));
    dial_quickly(&mut world);
    assert_eq!(world.phone(SERVERS[0]).guard.as_ref().unwrap().asked, 1);
    world.run(s(100));
    dial_quickly(&mut world);
    assert_eq!(world.phone(SERVERS[0]).guard.as_ref().unwrap().asked, 2);
    assert_eq!(finals(&mut world, ANN), [200, 200, 200]);
}

#[test]
fn what_is_left_alone_is_tried_where_there_is_nothing_else() {
    let mut world = servers(&[Script::Fails(503), Script::Fails(503), Script::Fails(503)]);
    world.phone(TWO).script = Script::Fails(503);
    dial_quickly(&mut world);
    world.phone(SERVERS[0]).script = Script::Answer { after: s(1) };
    dial_quickly(&mut world);
    let statuses = statuses(&mut world, ANN);
    assert!(statuses[0] == 200 && statuses[1] >= 400, "{statuses:?}");
    assert_eq!(counts(&mut world), [2, 1, 1]);
}

/// `trunk.up` and `trunk.down` as they came.
fn ups_and_downs(world: &mut World) -> Vec<String> {
    let word = |event: Event| match event {
        Event::TrunkUp { trunk, .. } => format!("up {trunk}"),
        Event::TrunkDown { trunk, why, .. } => format!("down {trunk}: {why}"),
        other => format!("{other:?}"),
    };
    world.events.drain(..).map(word).collect()
}

#[test]
fn a_server_that_does_not_answer_options_is_passed_over_until_it_does() {
    let answer = Script::Answer { after: s(1) };
    let mut world = servers_with("ping = \"30s\"", &[answer, answer]);
    let one = world.phones.remove(&SERVERS[0].parse().unwrap()).unwrap();
    world.run(s(40)); // the first question goes out at once, and is given up after 32 s
    dial_quickly(&mut world);
    assert_eq!((world.records[0].legs.len(), world.phone(SERVERS[1]).invites.len()), (1, 1));
    assert!(ups_and_downs(&mut world).is_empty(), "the trunk is there as long as one server is");
    world.add(one);
    world.run(s(40));
    dial_quickly(&mut world);
    assert_eq!(world.phone(SERVERS[0]).invites.len(), 1);
}

#[test]
fn a_trunk_is_down_once_none_of_its_servers_answers_and_is_tried_all_the_same_where_there_is_no_other() {
    let mut world = servers_with("ping = \"30s\"", &[Script::Answer { after: s(1) }]);
    let one = world.phones.remove(&SERVERS[0].parse().unwrap()).unwrap();
    let two = world.phones.remove(&TWO.parse().unwrap()).unwrap();
    world.run(s(200));
    assert_eq!(ups_and_downs(&mut world), ["down one: 127.0.1.81:5060 does not answer OPTIONS"]);
    let lines = &world.switch.office().lines;
    let trunk = (DOMAIN.into(), "one".into());
    let place = lines.places(&trunk)[0];
    assert_eq!(lines.standing(world.now().mono, &trunk, &place), Place::Silent);
    world.add(one);
    world.leads("two", &[]);
    dial_quickly(&mut world);
    assert_eq!(finals(&mut world, ANN), [200]);
    world.run(s(60));
    assert_eq!(ups_and_downs(&mut world), ["up one"]);
    world.add(two);
}

#[test]
fn a_trunk_without_ping_is_asked_nothing() {
    let mut world = servers(&[Script::Ring]);
    world.run(s(3600));
    assert_eq!(world.phone(SERVERS[0]).options, 0);
    let mut world = servers_with("ping = \"60s\"", &[Script::Ring]);
    world.run(s(3600));
    let asked = world.phone(SERVERS[0]).options;
    assert!((59..=68).contains(&asked), "{asked}");
}

#[test]
fn a_call_in_beyond_the_channels_is_refused_and_a_call_back_of_an_emergency_centre_is_not() {
    let mut world = world("channels = 1\ntrust = true", CLEAR, 1);
    world.phone(ANN).script = Script::Answer { after: s(1) };
    world.run(s(1));
    for extra in ["", "", "Priority: psap-callback\r\n"] {
        world.phone(ONE).extra = extra.to_owned();
        world.act(ONE, |one, now| drop(one.call(now, "+12025550100", s(20))));
        world.run(s(3));
    }
    assert_eq!(statuses(&mut world, ONE), [200, 200, 503]);
    world.run(s(30));
    world.phone(ONE).extra = String::new();
    world.act(ONE, |one, now| drop(one.call(now, "+12025550100", s(2))));
    world.run(s(10));
    assert_eq!(statuses(&mut world, ONE), [200, 200, 200, 503], "the channel is free again");
    assert_at_rest(&mut world);
}

const LOCATED: &str = "
[emergency]
location = \"office\"
callback = \"desk\"
notify = [\"user:bob\", \"mailto:boss@x.example\"]
[callback.desk]
number = \"+12025550100\"
[location.office]
country = \"US\"
state = \"DC\"
street = \"Harbor St\"
house = \"200\"
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
";

/// Ann and Bob, and the trunk `one` with these keys; Ann's emergency calls have an address.
fn emergency(keys: &str, more: &str) -> World {
    let users = format!(
        "[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n{more}\n\
         [trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n{keys}\n\
         [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\"]\n"
    );
    let phones = [
        (ANN, "ann1", Script::Ring),
        (BOB, "bob1", Script::Ring),
        (ONE, "one", Script::Answer { after: s(1) }),
    ];
    office(ruleset(&users, &[("ann1", "ann"), ("bob1", "bob")]), &phones, &[("one", ONE)])
}

#[test]
fn an_emergency_call_takes_the_channel_of_the_youngest_other_call() {
    let mut world = emergency("channels = 2", LOCATED);
    for (phone, at) in [(ANN, 100), (BOB, 100)] {
        world.act(phone, |phone, now| drop(phone.call(now, "+12025550199", s(at))));
        world.run(s(3));
    }
    world.act(ANN, |ann, now| drop(ann.call(now, "911", s(20))));
    world.run(s(3));
    let (ann, bob) = (world.phone(ANN).byes, world.phone(BOB).byes);
    assert_eq!((ann, bob), (0, 1), "the youngest is hung up, on both its sides");
    assert_eq!(world.phone(ONE).byes, 1);
    let reason = "Reason: preemption;cause=1;text=\"UA Preemption\"";
    assert!(world.phone(ONE).ends[0].contains(reason) && world.phone(BOB).ends[0].contains(reason));
    let heard = world.phone(ONE).heard.clone();
    let bye = heard.iter().position(|method| method == "BYE").unwrap();
    assert_eq!(
        heard[bye + 1..].iter().find(|method| *method != "ACK").unwrap(),
        "INVITE",
        "there is room before it comes"
    );
    assert_eq!(finals(&mut world, ANN), [200, 200]);
    // Another emergency call does not end the one before it, and goes out all the same.
    world.act(BOB, |bob, now| drop(bob.call(now, "911", s(20))));
    world.run(s(3));
    world.act(BOB, |bob, now| drop(bob.call(now, "911", s(20))));
    world.run(s(3));
    assert_eq!(finals(&mut world, BOB), [200, 200, 200]);
    assert_eq!(world.phone(ANN).byes, 1, "the last ordinary call, and no emergency call");
    world.run(s(100));
    assert_at_rest(&mut world);
}

#[test]
fn an_emergency_call_takes_a_channel_of_the_next_trunk_too() {
    let users = "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n[trunk.one]\nproxy = \"127.0.1.8\"\n\
                 [trunk.two]\nproxy = \"127.0.1.9\"\nchannels = 1\n\
                 [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
                 [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\", \"two\"]\n";
    let mut world = World::new(ruleset(users, &[("ann1", "ann"), ("bob1", "bob")]), CLEAR, 1);
    let (fails, answers) = (Script::Fails(503), Script::Answer { after: s(1) });
    for (address, user, script) in
        [(ANN, "ann1", Script::Ring), (BOB, "bob1", Script::Ring), (ONE, "one", fails), (TWO, "two", answers)]
    {
        world.add(Phone::new(address, user, script));
    }
    for (trunk, address) in [("one", ONE), ("two", TWO)] {
        world.leads(trunk, &[address]);
    }
    for address in [ANN, BOB] {
        world.act(address, Phone::register);
    }
    world.run(s(1));
    world.act(BOB, |bob, now| drop(bob.call(now, "+12025550199", s(100))));
    world.run(s(3));
    assert_eq!(finals(&mut world, BOB), [200], "by the second trunk");
    world.act(ANN, |ann, now| drop(ann.call(now, "911", s(20))));
    world.run(s(3));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!((world.phone(BOB).byes, world.phone(TWO).byes), (1, 1), "the call there has made way");
    let heard: Vec<String> = world.phone(TWO).heard.iter().filter(|m| *m != "ACK").cloned().collect();
    assert_eq!(heard, ["INVITE", "BYE", "INVITE"], "there is room before it comes");
    world.run(s(100));
    assert_at_rest(&mut world);
}

#[test]
fn an_emergency_call_says_where_it_comes_from_and_staff_are_told_at_once() {
    for dialled in ["911", "urn:service:sos", "urn:service:sos.fire"] {
        let mut world = emergency("", LOCATED);
        world.act(ANN, |ann, now| drop(ann.call(now, dialled, s(5))));
        world.run(s(3));
        assert_eq!(finals(&mut world, ANN), [200], "{dialled}");
        let invite = world.phone(ONE).invites[0].clone();
        assert!(invite.starts_with("INVITE sip:911@127.0.1.8 SIP/2.0"), "{invite}");
        let id = invite.split("Geolocation: <cid:").nth(1).unwrap().split('>').next().unwrap().to_owned();
        assert!(
            invite.contains("Geolocation-Routing: yes")
                && invite.contains("Content-Type: multipart/mixed;boundary=")
        );
        let (_, parts) = invite.split_once("\r\n\r\n").unwrap();
        assert!(
            parts.contains("Content-Type: application/sdp\r\n\r\nv=0") && parts.contains("m=audio 20"),
            "{parts}"
        );
        assert!(
            parts.contains(&format!("Content-Type: application/pidf+xml\r\nContent-ID: <{id}>")),
            "{parts}"
        );
        assert!(
            parts.contains(
                "<ca:country>US</ca:country><ca:A1>DC</ca:A1><ca:RD>Harbor St</ca:RD><ca:HNO>200</ca:HNO>"
            ),
            "{parts}"
        );
        let told = world.phone(BOB).messages[0].clone();
        assert!(told.contains("was called by ann1") && told.contains("200, Harbor St, DC, US"), "{told}");
        assert!(told.contains("call back +12025550100"), "{told}");
        let [Event::Emergency(alert)] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!((alert.location.as_deref(), &*alert.id), (Some("office"), &*world.switch.calls()[0].id));
        assert_eq!(alert.mail.join(" "), "boss@x.example", "mail is the edge's to send");
        world.run(s(20));
        assert_at_rest(&mut world);
    }
}

const OWN: &str = "Geolocation: <https://lis.example/ann>\r\n";

#[test]
fn what_a_phone_says_of_its_place_counts_where_the_rules_know_nothing() {
    let bob = "[user.bob]\next = \"200\"\nvoicemail = { enabled = false }\n";
    for (rules, passes) in [(LOCATED, false), (bob, true)] {
        let mut world = emergency("", rules);
        world.phone(ANN).extra = OWN.to_owned();
        world.act(ANN, |ann, now| drop(ann.call(now, "911", s(5))));
        world.run(s(3));
        assert_eq!(world.phone(ONE).invites[0].contains(OWN.trim()), passes);
        world.act(ANN, |ann, now| drop(ann.call(now, "+12025550199", s(5))));
        world.run(s(3));
        assert!(!world.phone(ONE).invites[1].contains("Geolocation"), "it is for emergencies alone");
    }
}

#[test]
fn a_place_that_can_not_be_read_refuses_any_call_but_an_emergency() {
    let mut world = emergency("", LOCATED);
    world.phone(ANN).extra = "Geolocation: <cid:nowhere@phone>\r\n".to_owned();
    for to in ["200", "911"] {
        world.act(ANN, |ann, now| drop(ann.call(now, to, s(5))));
        world.run(s(3));
    }
    assert_eq!(statuses(&mut world, ANN), [200, 424]);
}
