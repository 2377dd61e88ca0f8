//! Calls that we speak in ourselves: announcements, what refused callers hear, and legs that are asked before they get the call.

use super::net::World;
use super::phone::{Describes, Script};
use super::{ANN, BOB, assert_at_rest, finals, hang_up, office, ruleset, s};
use ringtree::relay::{self, RelayId, Side};
use ringtree::sdp::Protection;
use ringtree::switch::Input;
use ringtree::voice::codec::Codec;
use ringtree::voice::digit::Digit;
use ringtree::voice::packet::Format;
use ringtree::voice::tone::Kind;
use ringtree::voice::{Command, Report, Sound, Spot, Subject};

const ONE: &str = "127.0.1.8:5060";

/// Ann calls, Bob is called, and a trunk leads outside.
fn world(bob: &str, more: &str, script: Script) -> World {
    let users = format!(
        "[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n\
         [user.bob]\next = \"200\"\nvoicemail = {{ enabled = false }}\n{bob}\n\
         [announce.closed]\nfile = \"closed.wav\"\n\
         [trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n\
         [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\"]\n{more}\n"
    );
    let phones = [(ANN, "ann1", Script::Ring), (BOB, "bob1", Script::Ring), (ONE, "one", script)];
    office(ruleset(&users, &[("ann1", "ann"), ("bob1", "bob")]), &phones, &[("one", ONE)])
}

fn rule(keys: &str) -> String {
    format!("[[user.bob.rule]]\nname = \"all\"\nwhen = \"always\"\n{keys}\n")
}

fn dial(world: &mut World, talk_s: u64) -> String {
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(talk_s)));
    world.run(s(2));
    call
}

/// What is being played, and where.
fn played(world: &World) -> Option<(Spot, Vec<Sound>)> {
    world.voiced.iter().rev().find_map(|command| match command {
        Command::Play { at, sounds, .. } => Some((*at, sounds.to_vec())),
        _ => None,
    })
}

fn ends(world: &mut World, at: Spot) {
    world.input(Input::Voice(Report::Played { at, number: 0 }));
    world.run(s(2));
}

fn presses(world: &mut World, at: Spot, key: char) {
    let digit = Digit::of_char(key).unwrap();
    world.input(Input::Voice(Report::Digit { at, digit }));
    world.run(s(2));
}

fn names(sounds: &[Sound], file: &str) -> bool {
    sounds.iter().any(|sound| match sound {
        Sound::File { file: of, .. } => &**of == file,
        Sound::Prompt { name, .. } => *name == file,
        Sound::Tone { .. } | Sound::Pause(_) => false,
    })
}

#[test]
fn an_announcement_answers_is_said_once_and_hangs_up() {
    let mut world = world(&rule("forward.always = \"announce:closed\""), "", Script::Dead);
    dial(&mut world, 600);
    assert_eq!(finals(&mut world, ANN), [200]);
    let (at, sounds) = played(&world).unwrap();
    assert!(names(&sounds, "closed.wav") && at.side == Side::A, "{sounds:?}");
    ends(&mut world, at);
    assert_eq!(world.phone(ANN).ends.len(), 1, "we hang up");
    assert_eq!((world.records[0].outcome.as_str(), world.records[0].status), ("system", 200));
    assert!(world.voiced.contains(&Command::Close { at }));
    assert_at_rest(&mut world);
}

#[test]
fn an_announcement_goes_on_in_the_codec_that_the_caller_changes_to() {
    let mut world = world(&rule("forward.always = \"announce:closed\""), "", Script::Dead);
    let call = dial(&mut world, 600);
    let (at, _) = played(&world).unwrap();
    let other = world.phone(ANN).described("m=audio 4000 RTP/AVP 8\r\n");
    world.act(ANN, |ann, now| ann.reoffer(now, &call, &other));
    world.run(s(2));
    assert!(world.phone(ANN).reoffered[0].contains("RTP/AVP 8"));
    let [.., Command::Open { at: opened, format, .. }, Command::Play { at: plays, .. }] = &world.voiced[..]
    else {
        panic!("{:?}", world.voiced)
    };
    assert_eq!((format.payload_type, *opened, *plays), (8, at, at));
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

#[test]
fn whoever_hangs_up_on_an_announcement_ends_it() {
    let mut world = world(&rule("forward.always = \"announce:closed\""), "", Script::Dead);
    let call = dial(&mut world, 600);
    hang_up(&mut world, ANN, &call);
    world.run(s(2));
    assert_eq!(world.records[0].outcome, "system");
    assert_at_rest(&mut world);
}

#[test]
fn an_announcement_to_whoever_made_no_offer_begins_with_their_answer() {
    let mut world = world(&rule("forward.always = \"announce:closed\""), "", Script::Dead);
    world.phone(ANN).describes = Describes::Ack;
    dial(&mut world, 600);
    assert_eq!(finals(&mut world, ANN), [200]);
    let (at, sounds) = played(&world).unwrap();
    assert!(names(&sounds, "closed.wav"));
    ends(&mut world, at);
    assert_at_rest(&mut world);
}

#[test]
fn an_announcement_that_nobody_reports_the_end_of_ends_by_itself() {
    let mut world = world(&rule("forward.always = \"announce:closed\""), "", Script::Dead);
    dial(&mut world, 6000);
    world.run(s(601));
    assert_eq!(world.records[0].outcome, "system");
    assert_at_rest(&mut world);
}

#[test]
fn a_blocked_caller_hears_early_media_and_then_the_status_and_is_never_answered() {
    for (treatment, heard) in [("announce:closed", None), ("tone:reorder", Some(Kind::Reorder))] {
        let policy = format!("[policy]\nreject_blocked = \"{treatment}\"");
        let mut world = world("block = [\"100\"]", &policy, Script::Dead);
        dial(&mut world, 2);
        assert_eq!(world.phone(ANN).provisionals, [183], "{treatment}");
        assert!(finals(&mut world, ANN).is_empty());
        let (at, sounds) = played(&world).unwrap();
        match heard {
            Some(kind) => assert_eq!(sounds, [Sound::Tone { kind, country: "US".into() }]),
            None => assert!(names(&sounds, "closed.wav")),
        }
        if heard.is_some() {
            world.run(s(6)); // a tone has no end of its own
        } else {
            ends(&mut world, at);
        }
        assert_eq!(finals(&mut world, ANN), [603], "{treatment}");
        assert_eq!(world.records[0].status, 603);
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_blocked_caller_who_gives_up_meanwhile_hears_487() {
    let policy = "[policy]\nreject_blocked = \"announce:closed\"";
    let mut world = world("block = [\"100\"]", policy, Script::Dead);
    let call = dial(&mut world, 2);
    world.act(ANN, |ann, now| ann.cancel(now, &call, "200"));
    world.run(s(5));
    assert_eq!(finals(&mut world, ANN), [487]);
    assert_at_rest(&mut world);
}

const ASKED: &str =
    "ring.targets = [\"self\", { to = \"tel:+12025550199\", confirm = \"1\" }]\nring_for = \"30s\"";

#[test]
fn an_outside_leg_is_asked_apart_and_takes_the_call_with_the_key() {
    let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
    let call = dial(&mut world, 600);
    assert_eq!(world.phone(ANN).provisionals, [180], "the caller hears ringback");
    assert!(finals(&mut world, ANN).is_empty());
    let (at, sounds) = played(&world).unwrap();
    assert!(names(&sounds, "confirm"), "{sounds:?}");
    assert_eq!(world.relays.len(), 1, "the leg's own relay, and none for the call yet");
    presses(&mut world, at, '2');
    assert!(finals(&mut world, ANN).is_empty(), "the wrong key");
    presses(&mut world, at, '1');
    assert_eq!(finals(&mut world, ANN), [200]);
    let told = &world.phone(BOB).cancels;
    assert!(told.concat().iter().any(|reason| reason.contains("elsewhere")), "losers are told: {told:?}");
    assert!(world.voiced.contains(&Command::Close { at }));
    assert_eq!(world.relays.len(), 1, "the call's, in the place of the leg's");
    let points = world.points[world.relays.first().unwrap()];
    assert!(points.iter().all(Option::is_some), "{points:?}");
    hang_up(&mut world, ANN, &call);
    world.run(s(2));
    assert_eq!(world.phone(ONE).byes, 1);
    assert_eq!(world.records[0].answered_by.as_ref().unwrap().device.as_deref(), Some("tel:+12025550199"));
    assert_at_rest(&mut world);
}

/// Has its media secured, by keys in its descriptions.
fn has_keys(world: &mut World, address: &str) {
    let keyed = world.phone(address).described(
        "m=audio 4000 RTP/SAVP 0\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n",
    );
    world.phone(address).session = Some(keyed);
}

/// Where whoever was asked at that spot went on with their keys, and that place was secured after.
fn goes_on(world: &World, at: Spot) -> Option<(RelayId, Side)> {
    let place = world.secured.iter().position(
        |command| matches!(command, relay::Command::HandOver { id, side, .. } if (*id, *side) == (at.relay, at.side)),
    )?;
    let relay::Command::HandOver { to, .. } = world.secured[place] else { return None };
    let secures = |command: &relay::Command| matches!(command, relay::Command::Secure { id, side, by: Protection::Sdes(..) } if (*id, *side) == to);
    world.secured[place..].iter().any(secures).then_some(to)
}

#[test]
fn a_leg_that_was_asked_goes_on_in_the_call_with_its_keys() {
    for early in [false, true] {
        let keys = match early {
            false => ASKED.to_owned(),
            true => "ring_for = \"30s\"\nring.timeout = \"5s\"\nring.targets = [\"tel:+12025550198\"]\n\
                     forward.no_answer = { to = \"tel:+12025550199\", confirm = \"1\" }"
                .to_owned(),
        };
        let script = if early { Script::EarlyAnswer { after: s(8) } } else { Script::Answer { after: s(1) } };
        let mut world = world(&rule(&keys), "", script);
        has_keys(&mut world, ONE);
        let call = dial(&mut world, 600);
        if early {
            world.run(s(14));
        }
        let (at, _) = played(&world).unwrap();
        presses(&mut world, at, '1');
        assert_eq!(finals(&mut world, ANN), [200]);
        let relay = *world.relays.first().unwrap();
        assert_eq!(goes_on(&world, at), Some((relay, Side::B)), "early media: {early}");
        hang_up(&mut world, ANN, &call);
        assert_at_rest(&mut world);
    }
}

#[test]
fn any_key_will_do_where_the_rules_say_so() {
    let keys = ASKED.replace("\"1\"", "\"any\"");
    let mut world = world(&rule(&keys), "", Script::Answer { after: s(1) });
    dial(&mut world, 600);
    assert!(names(&played(&world).unwrap().1, "confirm-any"));
    let (at, _) = played(&world).unwrap();
    presses(&mut world, at, '#');
    assert_eq!(finals(&mut world, ANN), [200]);
}

#[test]
fn whoever_is_asked_and_presses_nothing_is_hung_up_on_when_the_time_is_up() {
    let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
    dial(&mut world, 600);
    world.run(s(31));
    assert_eq!(finals(&mut world, ANN), [480], "nobody took it");
    assert_eq!(world.phone(ONE).byes, 1);
    let legs = &world.records[0].legs;
    assert!(
        legs.iter().any(|leg| leg.to == "tel:+12025550199" && leg.reason.as_deref() == Some("no_answer")),
        "{legs:?}"
    );
    assert_at_rest(&mut world);
}

#[test]
fn whoever_is_asked_is_told_when_somebody_else_answers() {
    let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
    world.phone(BOB).script = Script::Answer { after: s(8) };
    dial(&mut world, 3);
    world.run(s(20));
    assert_eq!(finals(&mut world, ANN), [200]);
    let bye = world.phone(ONE).ends.concat();
    assert!(bye.contains("Call completed elsewhere"), "{bye}");
    assert_eq!(world.records[0].answered_by.as_ref().unwrap().device.as_deref(), Some("bob1"));
    assert_at_rest(&mut world);
}

#[test]
fn whoever_is_asked_and_hangs_up_leaves_the_others_ringing() {
    let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
    dial(&mut world, 600);
    let call = world.phone(ONE).newest_call();
    hang_up(&mut world, ONE, &call);
    world.run(s(5));
    assert!(finals(&mut world, ANN).is_empty() && world.phone(BOB).cancels.is_empty());
    assert!(world.relays.is_empty(), "its relay is closed");
    world.run(s(30));
    assert_eq!(finals(&mut world, ANN), [480]);
    assert_at_rest(&mut world);
}

#[test]
fn a_caller_who_gives_up_takes_the_question_back() {
    let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
    let call = dial(&mut world, 600);
    world.act(ANN, |ann, now| ann.cancel(now, &call, "200"));
    world.run(s(5));
    assert_eq!((finals(&mut world, ANN), world.phone(ONE).byes), (vec![487], 1));
    assert_at_rest(&mut world);
}

#[test]
fn early_media_before_a_leg_that_is_asked_gives_way_to_its_relay() {
    let keys = "ring_for = \"30s\"\nring.timeout = \"5s\"\nring.targets = [\"tel:+12025550198\"]\n\
                forward.no_answer = { to = \"tel:+12025550199\", confirm = \"1\" }";
    let mut world = world(&rule(keys), "", Script::EarlyAnswer { after: s(8) });
    let call = dial(&mut world, 600);
    assert_eq!(world.phone(ANN).provisionals, [183]);
    world.run(s(14));
    let (at, _) = played(&world).unwrap();
    presses(&mut world, at, '1');
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.relays.len(), 1, "{:?}", world.relays);
    let points = world.points[world.relays.first().unwrap()];
    assert!(points.iter().all(Option::is_some), "{points:?}");
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

/// Port pairs that calls hold.
fn ports_held(world: &World) -> u64 {
    world.ports_opened() - world.switch.counters().ports_free
}

#[test]
fn a_leg_that_is_to_be_asked_and_loses_gives_its_port_back_at_once() {
    for (script, why) in [
        (Script::Ring, "Bob is faster"),
        (Script::Refuse { status: 486, after: s(1) }, "busy"),
        (Script::Answer { after: s(1) }, "nobody has pressed the key"),
        (Script::Dead, "nobody is there"),
    ] {
        let mut world = world(&rule(ASKED), "", script);
        world.phone(BOB).script = Script::Answer { after: s(8) };
        let call = dial(&mut world, 600);
        world.run(s(8));
        assert_eq!(finals(&mut world, ANN), [200]);
        assert_eq!(ports_held(&world), 2, "{why}: those of the call and no more");
        hang_up(&mut world, ANN, &call);
        assert_at_rest(&mut world);
    }
}

const NAMED: &str = "c=IN IP4 host.example\r\n";

#[test]
fn an_offer_that_can_not_be_relayed_is_refused_at_once_and_takes_no_port() {
    let audio = "m=audio 4000 RTP/AVP 0\r\n";
    let described = |origin: &str, media: &str| {
        format!("v=0\r\no={origin}\r\ns=-\r\nc=IN IP4 127.0.1.1\r\nt=0 0\r\n{media}")
    };
    for (what, session) in [
        ("its origin has no address", described("- 1 1", audio)),
        (
            "its video has a name",
            described("- 1 1 IN IP4 127.0.1.1", &format!("{audio}m=video 4002 RTP/AVP 96\r\n{NAMED}")),
        ),
    ] {
        let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
        world.phone(ANN).session = Some(session);
        dial(&mut world, 600);
        assert_eq!(finals(&mut world, ANN), [488], "{what}");
        assert!(world.phone(ONE).invites.is_empty() && world.phone(BOB).invites.is_empty());
        assert_at_rest(&mut world);
    }
}

#[test]
fn whoever_answers_with_what_can_not_be_relayed_is_not_asked_but_hung_up_on() {
    let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
    world.phone(ONE).session = Some(
        world.phone(ONE).described("m=audio 4000 RTP/AVP 0\r\n").replace("c=IN IP4 127.0.1.8\r\n", NAMED),
    );
    let call = dial(&mut world, 600);
    assert_eq!(world.phone(ONE).byes, 1);
    assert!(played(&world).is_none() && finals(&mut world, ANN).is_empty(), "Bob rings on");
    world.act(ANN, |ann, now| ann.cancel(now, &call, "200"));
    world.run(s(2));
    let legs = &world.records[0].legs;
    assert!(
        legs.iter().any(|leg| leg.to == "tel:+12025550199" && leg.reason.as_deref() == Some("failed")),
        "{legs:?}"
    );
    assert_at_rest(&mut world);
}

const CALM: &str = "[moh.calm]\nfiles = [\"calm.wav\"]\n[moh.gone]\nfiles = []";

fn is_ringback(sounds: &[Sound]) -> bool {
    sounds == [Sound::Tone { kind: Kind::Ringback, country: "US".into() }]
}

#[test]
fn a_caller_hears_the_music_of_the_rules_while_it_rings_and_then_whoever_answers() {
    let mut world = world(&rule("ring.hear = \"moh:calm\""), CALM, Script::Dead);
    world.phone(BOB).script = Script::Answer { after: s(5) };
    let call = dial(&mut world, 600);
    assert_eq!(world.phone(ANN).provisionals, [183]);
    let (at, sounds) = played(&world).unwrap();
    assert!(names(&sounds, "calm.wav") && at.side == Side::A, "{sounds:?}");
    assert!(!world.voiced.contains(&Command::Close { at }));
    world.run(s(8));
    assert_eq!(finals(&mut world, ANN), [200]);
    assert!(world.voiced.contains(&Command::Close { at }), "the music is over");
    assert_eq!(world.relays.len(), 1);
    let points = world.points[world.relays.first().unwrap()];
    assert!(points.iter().all(Option::is_some), "{points:?}");
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

#[test]
fn music_is_played_once_however_many_phones_ring_and_however_often_they_say_so() {
    let keys = "ring.hear = \"moh:calm\"\nring.targets = [\"self\", \"tel:+12025550199\"]";
    let mut world = world(&rule(keys), CALM, Script::EarlyMedia);
    dial(&mut world, 600);
    world.run(s(5));
    assert_eq!(world.phone(ANN).provisionals, [183], "what a network says meanwhile is not passed on");
    let plays = world.voiced.iter().filter(|command| matches!(command, Command::Play { .. })).count();
    assert_eq!(plays, 1);
}

#[test]
fn a_caller_who_makes_no_offer_and_music_without_a_file_make_it_an_ordinary_ring() {
    for (music, describes) in [("calm", Describes::Ack), ("gone", Describes::Invite)] {
        let mut world = world(&rule(&format!("ring.hear = \"moh:{music}\"")), CALM, Script::Dead);
        world.phone(ANN).describes = describes;
        dial(&mut world, 600);
        assert_eq!(world.phone(ANN).provisionals, [180], "{music}");
        assert!(played(&world).is_none());
    }
}

#[test]
fn music_that_can_not_be_read_gives_way_to_ringback() {
    let mut world = world(&rule("ring.hear = \"moh:calm\""), CALM, Script::Dead);
    dial(&mut world, 600);
    let (at, _) = played(&world).unwrap();
    ends(&mut world, at);
    assert!(is_ringback(&played(&world).unwrap().1), "{:?}", played(&world));
    assert!(finals(&mut world, ANN).is_empty(), "it rings on");
}

#[test]
fn after_music_the_next_stage_rings_with_ringback_of_ours() {
    let keys = "ring.hear = \"moh:calm\"\nring.timeout = \"5s\"\nforward.no_answer = \"user:ann\"";
    let mut world = world(&rule(keys), CALM, Script::Dead);
    dial(&mut world, 600);
    assert!(names(&played(&world).unwrap().1, "calm.wav"));
    world.run(s(6));
    assert!(is_ringback(&played(&world).unwrap().1), "{:?}", played(&world));
    assert_eq!(world.phone(ANN).provisionals, [183], "an early session is one session");
}

#[test]
fn a_caller_who_made_no_offer_gets_the_session_of_the_leg_that_was_asked() {
    let mut world = world(&rule(ASKED), "", Script::Answer { after: s(1) });
    world.phone(ANN).describes = Describes::Ack;
    let call = dial(&mut world, 600);
    let (at, sounds) = played(&world).unwrap();
    assert!(names(&sounds, "confirm"), "{sounds:?}");
    assert!(world.phone(ONE).invites[0].contains("m=audio"), "it is made an offer of ours");
    presses(&mut world, at, '1');
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!(world.phone(ANN).described, (1, 0), "with the offer of that leg");
    assert_eq!(world.relays.len(), 1);
    let points = world.points[world.relays.first().unwrap()];
    assert!(points.iter().all(Option::is_some), "{points:?}");
    hang_up(&mut world, ANN, &call);
    assert_eq!(world.phone(ONE).byes, 1);
    assert_at_rest(&mut world);
}

#[test]
fn whoever_a_call_is_transferred_to_is_asked_first_and_then_speaks_with_the_other_party() {
    let users = "[user.kim]\next = \"300\"\nvoicemail = { enabled = false }\n";
    let kim = ASKED.replace("\"self\", ", "");
    let kim = format!("{users}[[user.kim.rule]]\nname = \"all\"\nwhen = \"always\"\n{kim}\n");
    for presses_it in [true, false] {
        let mut world = world("", &kim, Script::Answer { after: s(1) });
        world.phone(BOB).script = Script::Answer { after: s(1) };
        let call = dial(&mut world, 600);
        let refer = format!("Refer-To: <sip:300@{}>\r\n", super::DOMAIN);
        let bobs = world.phone(BOB).newest_call();
        world.act(BOB, |bob, now| bob.within(now, &bobs, "REFER", &refer));
        world.run(s(3));
        let (at, sounds) = played(&world).unwrap();
        assert!(names(&sounds, "confirm"), "{sounds:?}");
        assert_eq!(world.relays.len(), 2, "the call goes on meanwhile");
        if presses_it {
            presses(&mut world, at, '1');
            world.run(s(5));
            assert_eq!(world.relays.len(), 1);
            assert_eq!(world.phone(BOB).byes, 1, "who transferred is out");
            let transfers = [(ANN, call.clone()), (ONE, world.phone(ONE).newest_call())];
            let [(ann, hers), (one, its)] = &transfers;
            super::assert_joined(&mut world, (ann, hers), (one, its));
            hang_up(&mut world, ANN, &call);
            assert_eq!(world.phone(ONE).byes, 1);
        } else {
            world.run(s(40));
            assert_eq!(world.phone(ONE).byes, 1, "the time is up");
            super::assert_joined(&mut world, (ANN, &call), (BOB, &bobs));
            hang_up(&mut world, ANN, &call);
        }
        let transfer = &world.records[0].transfers[0];
        assert_eq!(transfer.status == 200, presses_it, "{transfer:?}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_recording_is_told_when_a_party_speaks_otherwise() {
    let user = |name: &str, ext: &str| {
        format!("[user.{name}]\next = \"{ext}\"\nrecord = \"always\"\nvoicemail = {{ enabled = false }}\n")
    };
    let rules = ruleset(&(user("ann", "100") + &user("bob", "200")), &[("ann1", "ann"), ("bob1", "bob")]);
    let phones = [(ANN, "ann1", Script::Ring), (BOB, "bob1", Script::Answer { after: s(1) })];
    let mut world = office(rules, &phones, &[]);
    let call = dial(&mut world, 600);
    let spoken = |world: &World| {
        let of = |command: &Command| match command {
            Command::Record { formats, .. } | Command::Speaks { formats, .. } => Some(formats.clone()),
            _ => None,
        };
        world.voiced.iter().filter_map(of).collect::<Vec<_>>()
    };
    let types = |formats: &[Format]| -> Vec<(Codec, u8)> {
        formats.iter().map(|format| (format.codec, format.payload_type)).collect()
    };
    let pcmu = (Codec::Pcmu, 0);
    let first = spoken(&world);
    assert_eq!(first.iter().flatten().map(|of| types(of)).collect::<Vec<_>>(), [vec![pcmu], vec![pcmu]]);
    // Both agree on Opus, too; then on the same once more.
    let both = "m=audio 4000 RTP/AVP 111 0\r\na=rtpmap:111 opus/48000/2\r\n";
    let session = world.phone(BOB).described(both);
    world.phone(BOB).session = Some(session);
    for _ in 0..2 {
        let session = world.phone(ANN).described(both);
        world.act(ANN, |ann, now| ann.reoffer(now, &call, &session));
        world.run(s(2));
    }
    let later = spoken(&world);
    assert_eq!(later.len(), 2, "told once");
    let opus = (Codec::Opus, 111);
    assert_eq!(later[1].iter().map(|of| types(of)).collect::<Vec<_>>(), [vec![opus, pcmu], vec![opus, pcmu]]);
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

#[test]
fn a_recording_that_can_not_be_written_is_said_in_the_record() {
    let user = |name: &str, ext: &str| {
        format!("[user.{name}]\next = \"{ext}\"\nrecord = \"always\"\nvoicemail = {{ enabled = false }}\n")
    };
    let rules = ruleset(&(user("ann", "100") + &user("bob", "200")), &[("ann1", "ann"), ("bob1", "bob")]);
    let phones = [(ANN, "ann1", Script::Ring), (BOB, "bob1", Script::Answer { after: s(1) })];
    let mut world = office(rules, &phones, &[]);
    dial(&mut world, 30);
    let record = |command: &Command| match command {
        Command::Record { relay, .. } => Some(*relay),
        _ => None,
    };
    let relay = world.voiced.iter().find_map(record).expect("the call is recorded");
    let result = Err("the disk is full".to_owned());
    world.input(Input::Voice(Report::Recorded { of: Subject::Relay(relay), result }));
    world.run(s(60));
    assert!(world.records[0].recording.is_some());
    assert_eq!(world.records[0].recording_failed.as_deref(), Some("the disk is full"));
    assert_eq!(world.switch.counters().recordings_failed_total, 1);
    assert_at_rest(&mut world);
}

#[test]
fn a_recording_of_a_codec_that_is_not_ours_says_so_in_the_record() {
    let user = |name: &str, ext: &str| {
        format!("[user.{name}]\next = \"{ext}\"\nrecord = \"always\"\nvoicemail = {{ enabled = false }}\n")
    };
    let users = user("ann", "100") + &user("bob", "200");
    let says =
        "nothing is heard in it: the parties speak iLBC, and PCMU, PCMA, G722 and opus can be recorded";
    for (types, maps, failed) in [
        ("97 101", "a=rtpmap:97 iLBC/8000\r\na=rtpmap:101 telephone-event/8000\r\n", Some(says)),
        ("97 8", "a=rtpmap:97 iLBC/8000\r\n", None),
    ] {
        let rules = ruleset(&users, &[("ann1", "ann"), ("bob1", "bob")]);
        let phones = [(ANN, "ann1", Script::Ring), (BOB, "bob1", Script::Answer { after: s(1) })];
        let mut world = office(rules, &phones, &[]);
        for at in [ANN, BOB] {
            let session = format!(
                "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP {types}\r\n{maps}"
            );
            world.act(at, |phone, _| phone.session = Some(session));
        }
        dial(&mut world, 30);
        world.run(s(60));
        assert!(world.records[0].recording.is_some());
        assert_eq!(world.records[0].recording_failed.as_deref(), failed);
        assert_at_rest(&mut world);
    }
}
