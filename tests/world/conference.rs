//! Conference rooms: who is let in, who hears whom, and that whoever leaves is gone.

use super::net::{CLEAR, World};
use super::phone::{Describes, Phone, Script};
use super::{ANN, BOB, CID, DOMAIN, assert_at_rest, finals, hang_up, ruleset, s};
use ringtree::switch::{Event, Input};
use ringtree::voice::collect::Why;
use ringtree::voice::room::RoomId;
use ringtree::voice::{Command, Report, Sound, Spot, Subject};
use std::collections::BTreeMap;

const PHONES: [(&str, &str); 3] = [(ANN, "ann1"), (BOB, "bob1"), (CID, "cid1")];

/// Three people, and a room with these keys.
fn world(keys: &str) -> World {
    let users = format!(
        "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n[user.cid]\next = \"300\"\n\
         [conference.daily]\next = \"820\"\n{keys}\n[conference.other]\next = \"821\"\n"
    );
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid")];
    let mut world = World::new(ruleset(&users, &devices), CLEAR, 1);
    for (address, user) in PHONES {
        world.add(Phone::new(address, user, Script::Ring));
    }
    world
}

fn dial(world: &mut World, who: &str, extension: &str) -> String {
    let mut call = String::new();
    world.act(who, |phone, now| call = phone.call(now, extension, s(90_000)));
    world.run(s(2));
    call
}

/// Who is in which room, as the voice plane was told last.
fn rooms(world: &World) -> BTreeMap<RoomId, Vec<Spot>> {
    let mut rooms: BTreeMap<RoomId, Vec<Spot>> = BTreeMap::new();
    for command in &world.voiced {
        match command {
            Command::Join { at, room } => rooms.entry(*room).or_default().push(*at),
            Command::Leave { at } | Command::Close { at } => {
                rooms.values_mut().for_each(|people| people.retain(|other| other != at));
            }
            _ => {}
        }
    }
    rooms.retain(|_, people| !people.is_empty());
    rooms
}

fn people(world: &World) -> Vec<usize> {
    rooms(world).values().map(Vec::len).collect()
}

/// What the event stream has told of it: who came (true) or left, and how many were there then.
fn told(world: &World) -> Vec<(bool, usize)> {
    let of = |event: &Event| match event {
        Event::ConferenceJoined { domain, conference, people, .. } => {
            assert_eq!((domain.as_str(), conference.as_str()), (DOMAIN, "daily"));
            Some((true, *people))
        }
        Event::ConferenceLeft { people, .. } => Some((false, *people)),
        _ => None,
    };
    world.events.iter().filter_map(of).collect()
}

#[test]
fn three_who_dial_a_room_are_in_it_together_until_each_hangs_up() {
    let mut world = world("");
    let calls = PHONES.map(|(who, _)| (who, dial(&mut world, who, "820")));
    assert_eq!(people(&world), [3]);
    for (who, call) in calls {
        assert_eq!(finals(&mut world, who), [200]);
        hang_up(&mut world, who, &call);
    }
    assert_eq!(told(&world), [(true, 1), (true, 2), (true, 3), (false, 2), (false, 1), (false, 0)]);
    assert!(rooms(&world).is_empty());
    for record in &world.records {
        assert_eq!((record.outcome.as_str(), record.status), ("system", 200));
        assert!(record.tags.contains(&"conference:daily".to_owned()), "{:?}", record.tags);
        assert!(record.answer.is_some());
    }
    assert_at_rest(&mut world);
}

#[test]
fn two_rooms_are_apart_and_one_that_opens_again_is_another() {
    let mut world = world("");
    let first = dial(&mut world, ANN, "820");
    dial(&mut world, BOB, "821");
    assert_eq!(people(&world), [1, 1]);
    let before: Vec<RoomId> = rooms(&world).into_keys().collect();
    hang_up(&mut world, ANN, &first);
    dial(&mut world, CID, "820");
    let now: Vec<RoomId> = rooms(&world).into_keys().collect();
    assert!(now.len() == 2 && now != before, "{before:?} {now:?}");
}

#[test]
fn a_full_room_says_so_and_answers_nobody_more_until_somebody_leaves() {
    let mut world = world("max = 2");
    let first = dial(&mut world, ANN, "820");
    dial(&mut world, BOB, "820");
    let refused = dial(&mut world, CID, "820");
    assert_eq!(world.phone(CID).provisionals, [183], "it hears why");
    let said = world.voiced.iter().rev().find_map(|command| match command {
        Command::Play { at, sounds, .. } => Some((*at, sounds.clone())),
        _ => None,
    });
    let (at, sounds) = said.unwrap();
    assert!(sounds.iter().any(|sound| matches!(sound, Sound::Prompt { name: "conference-full", .. })));
    world.input(Input::Voice(Report::Played { at, number: 0 }));
    world.run(s(2));
    assert_eq!(world.phone(CID).finals[&refused], [486]);
    assert_eq!(people(&world), [2]);
    hang_up(&mut world, ANN, &first);
    let let_in = dial(&mut world, CID, "820");
    assert_eq!(world.phone(CID).finals[&let_in], [200]);
    assert_eq!(people(&world), [2]);
}

#[test]
fn whoever_makes_no_offer_comes_in_with_the_answer_in_the_ack() {
    let mut world = world("");
    dial(&mut world, ANN, "820");
    world.phone(BOB).describes = Describes::Ack;
    dial(&mut world, BOB, "820");
    assert_eq!(finals(&mut world, BOB), [200]);
    assert_eq!(people(&world), [2]);
}

#[test]
fn the_music_that_was_heard_while_others_rang_does_not_go_on_in_the_room() {
    let users = "[moh.calm]\nfiles = [\"calm.wav\"]\n[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n\
        [[user.bob.rule]]\nname = \"all\"\nwhen = \"always\"\nring.hear = \"moh:calm\"\nring.timeout = \"5s\"\n\
        forward.no_answer = \"conference:daily\"\n[conference.daily]\next = \"820\"\n";
    let mut world = World::new(ruleset(users, &[("ann1", "ann"), ("bob1", "bob")]), CLEAR, 1);
    for (address, device) in [(ANN, "ann1"), (BOB, "bob1")] {
        world.add(Phone::new(address, device, Script::Ring));
        world.act(address, Phone::register);
    }
    world.run(s(1));
    dial(&mut world, ANN, "200");
    world.run(s(10));
    assert_eq!(people(&world), [1]);
    let last = |wanted: fn(&Command) -> bool| world.voiced.iter().rposition(wanted);
    let music = last(|command| matches!(command, Command::Play { .. }));
    let stopped = last(|command| matches!(command, Command::Stop { .. }));
    assert!(music.is_some() && music < stopped, "{music:?} {stopped:?}");
}

#[test]
fn whoever_made_no_offer_may_hold_and_come_back_as_any_other() {
    let mut world = world("");
    dial(&mut world, ANN, "820");
    world.phone(BOB).describes = Describes::Ack;
    let call = dial(&mut world, BOB, "820");
    for (direction, there) in [("sendonly", 1), ("sendrecv", 2)] {
        let session = world.phone(BOB).described(&format!("m=audio 4000 RTP/AVP 0\r\na={direction}\r\n"));
        world.act(BOB, |bob, now| bob.reoffer(now, &call, &session));
        world.run(s(2));
        assert_eq!(people(&world), [there], "{direction}");
    }
    assert_eq!(world.phone(BOB).byes, 0);
    hang_up(&mut world, BOB, &call);
    assert_eq!(people(&world), [1]);
}

#[test]
fn whoever_asks_for_our_offer_is_spoken_with_where_the_answer_says() {
    let mut world = world("");
    dial(&mut world, ANN, "820");
    let call = dial(&mut world, BOB, "820");
    for (direction, port, there) in [("sendonly", 4100, 1), ("sendrecv", 4200, 2)] {
        let session = world.phone(BOB).described(&format!("m=audio {port} RTP/AVP 0\r\na={direction}\r\n"));
        world.phone(BOB).session = Some(session);
        world.act(BOB, |bob, now| bob.reoffer(now, &call, ""));
        world.run(s(2));
        assert_eq!(people(&world), [there], "{direction}");
        let pointed = world.points.values().flatten().flatten().any(|to| to.port() == port);
        assert!(pointed, "{:?}", world.points);
    }
    // Without an answer things stay as they are.
    world.phone(BOB).session = Some(String::new());
    world.act(BOB, |bob, now| bob.reoffer(now, &call, ""));
    world.run(s(2));
    assert_eq!(people(&world), [2]);
    hang_up(&mut world, BOB, &call);
    assert_eq!(people(&world), [1]);
}

#[test]
fn a_phone_that_is_gone_leaves_the_room_when_its_session_is_refreshed() {
    let mut world = world("");
    dial(&mut world, ANN, "820");
    dial(&mut world, BOB, "820");
    world.run(s(1000));
    assert_eq!(people(&world), [2], "phones that refresh stay");
    let refresh = world.phone(ANN).reinvites.first().expect("within half of the half hour");
    assert!(refresh.contains(";isfocus") && refresh.contains("m=audio"), "{refresh}");
    world.phone(ANN).reinvite_status = 481;
    world.run(s(1000));
    assert_eq!(people(&world), [1]);
    let record = world.records.first().unwrap();
    assert!(record.ended_because.as_ref().unwrap().contains("refresh"), "{record:?}");
    assert_eq!(world.phone(ANN).byes, 1);
}

/// The newest prompts that somebody was told, and where.
fn heard(world: &World) -> (Spot, u32, String) {
    let of = |command: &Command| match command {
        Command::Play { at, number, sounds, .. } => {
            let name = |sound: &Sound| match sound {
                Sound::Prompt { name, .. } => Some(*name),
                _ => None,
            };
            Some((*at, *number, sounds.iter().filter_map(name).collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    };
    world.voiced.iter().rev().find_map(of).expect("something was said")
}

/// The caller enters these digits, of which the voice plane says that they are that PIN.
fn enters(world: &mut World, digits: &str, pin: Option<usize>) {
    let (at, ..) = heard(world);
    let collected = Report::Collected { at, digits: digits.to_owned(), why: Why::EndKey };
    world.input(Input::Voice(collected));
    if let Some(Command::Check { at, said, .. }) = world.voiced.last().cloned() {
        assert_eq!(said, digits);
        world.input(Input::Voice(Report::Checked { at, pin }));
    }
    world.run(s(2));
}

const LOCKED: &str = "pin = \"plain:1234\"\nmoderator_pin = \"plain:9876\"";

#[test]
fn nobody_hears_a_locked_conference_without_its_pin() {
    let mut world = world("pin = \"plain:1234\"");
    dial(&mut world, ANN, "820");
    assert_eq!(heard(&world).2, "conference-pin");
    assert!(rooms(&world).is_empty());
    enters(&mut world, "1111", None);
    assert_eq!(heard(&world).2, "conference-wrong conference-pin");
    enters(&mut world, "", None);
    assert_eq!(heard(&world).2, "conference-wrong conference-pin");
    assert!(rooms(&world).is_empty());
    enters(&mut world, "1234", Some(0));
    assert_eq!(people(&world), [1]);
}

#[test]
fn who_has_no_pin_after_three_tries_is_hung_up_on() {
    let mut world = world("pin = \"plain:1234\"");
    dial(&mut world, ANN, "820");
    (0..3).for_each(|_| enters(&mut world, "0000", None));
    let (at, number, said) = heard(&world);
    assert_eq!(said, "conference-wrong conference-goodbye");
    assert_eq!(world.phone(ANN).byes, 0, "it hears that to its end");
    world.input(Input::Voice(Report::Played { at, number }));
    world.run(s(2));
    assert_eq!((world.phone(ANN).byes, rooms(&world).len()), (1, 0));
    assert!(told(&world).is_empty(), "it was never there");
    assert_at_rest(&mut world);
}

#[test]
fn a_pin_is_not_found_out_by_calling_again_and_again() {
    let mut world = world("pin = \"plain:1234\"");
    let leaves = |world: &mut World| {
        let (at, number, said) = heard(world);
        world.input(Input::Voice(Report::Played { at, number }));
        world.run(s(2));
        said
    };
    for _ in 0..4 {
        dial(&mut world, ANN, "820");
        (0..3).for_each(|_| enters(&mut world, "0000", None));
        assert_eq!(leaves(&mut world), "conference-wrong conference-goodbye");
    }
    dial(&mut world, ANN, "820");
    assert_eq!(leaves(&mut world), "conference-goodbye", "Ann is not even asked");
    let said = &world.records.last().unwrap().explanation.steps;
    let why = "too many wrong PINs came from device:ann1: none is taken from there for 5 min";
    assert!(
        said.iter().any(|step| (step.tag.as_str(), step.why.as_str()) == ("pin_shut_out", why)),
        "{said:?}"
    );
    dial(&mut world, BOB, "820");
    enters(&mut world, "1234", Some(0));
    assert_eq!(people(&world), [1], "others come in as ever");
    world.run(s(300));
    dial(&mut world, ANN, "820");
    assert_eq!(heard(&world).2, "conference-pin", "in time Ann is asked again");
    enters(&mut world, "1234", Some(0));
    assert_eq!(people(&world), [2]);
}

#[test]
fn a_conference_with_a_moderator_begins_when_the_moderator_comes() {
    let mut world = world(LOCKED);
    for (who, pin, others) in [(ANN, "1234", 0), (BOB, "9876", 2), (CID, "1234", 3)] {
        dial(&mut world, who, "820");
        enters(&mut world, pin, Some(usize::from(pin == "9876")));
        assert_eq!(people(&world).iter().sum::<usize>(), others, "{who}");
    }
    assert_eq!(told(&world), [(true, 1), (true, 2), (true, 3)]);
}

#[test]
fn without_a_pin_of_its_own_a_moderated_conference_lets_everybody_wait() {
    let mut world = world("moderator_pin = \"plain:9876\"");
    dial(&mut world, ANN, "820");
    enters(&mut world, "", None);
    assert_eq!(heard(&world).2, "conference-wait");
    assert!(rooms(&world).is_empty());
    dial(&mut world, BOB, "820");
    enters(&mut world, "9876", Some(0));
    assert_eq!(people(&world), [2]);
}

#[test]
fn who_comes_and_goes_is_said_to_the_others_where_the_rules_want_it() {
    let mut world = world("announce = true");
    dial(&mut world, ANN, "820");
    let (ann, _, said) = heard(&world);
    assert_eq!(said, "conference-alone");
    let bob = dial(&mut world, BOB, "820");
    let (at, _, said) = heard(&world);
    assert_eq!((at, said.as_str()), (ann, "conference-extension 2 0 0 conference-came"));
    dial(&mut world, CID, "820");
    let to_cid = "conference-there-are 2 conference-others";
    let played = |text: &str| {
        let has = |command: &Command| {
            matches!(command, Command::Play { sounds, .. }
            if sounds.len() == text.split(' ').count() + 1 && sounds.iter().skip(1).zip(text.split(' ')).all(|(sound, word)| matches!(sound, Sound::Prompt { name, .. } if *name == word)))
        };
        world.voiced.iter().filter(|command| has(command)).count()
    };
    assert_eq!(played(to_cid), 1);
    assert_eq!(played("conference-extension 3 0 0 conference-came"), 2, "both others hear it");
    hang_up(&mut world, BOB, &bob);
    assert_eq!(heard(&world).2, "conference-extension 2 0 0 conference-left");
}

#[test]
fn a_conference_is_recorded_once_and_the_record_of_each_names_the_file() {
    let mut world = world("record = \"always\"");
    let calls = [ANN, BOB].map(|who| (who, dial(&mut world, who, "820")));
    for (who, call) in calls {
        hang_up(&mut world, who, &call);
    }
    let recorded = |command: &Command| match command {
        Command::RecordRoom { file, .. } => Some(file.to_string()),
        _ => None,
    };
    let files: Vec<String> = world.voiced.iter().filter_map(recorded).collect();
    assert_eq!(files.len(), 1);
    let of_room = |command: &Command| matches!(command, Command::EndRecording { of: Subject::Room(_) });
    let ends: Vec<_> = world.voiced.iter().enumerate().filter(|(_, command)| of_room(command)).collect();
    let left = world.voiced.iter().rposition(|command| matches!(command, Command::Leave { .. }));
    assert!(matches!(&ends[..], [(at, _)] if Some(*at) > left), "with the last one: {ends:?}");
    assert!(world.records.iter().all(|record| record.recording.as_ref() == files.first()));
}

#[test]
fn a_conference_whose_recording_fails_says_so_in_the_record_of_each_also_of_who_comes_later() {
    let mut world = world("record = \"always\"");
    let mut calls = vec![(ANN, dial(&mut world, ANN, "820")), (BOB, dial(&mut world, BOB, "820"))];
    let room = world.voiced.iter().find_map(|command| match command {
        Command::RecordRoom { room, .. } => Some(*room),
        _ => None,
    });
    let result = Err("the disk is full".to_owned());
    world.input(Input::Voice(Report::Recorded { of: Subject::Room(room.unwrap()), result }));
    calls.push((CID, dial(&mut world, CID, "820")));
    for (who, call) in &calls {
        hang_up(&mut world, who, call);
    }
    let failed: Vec<_> = world.records.iter().map(|record| record.recording_failed.as_deref()).collect();
    assert_eq!(failed, [Some("the disk is full"); 3]);
    assert_eq!(world.switch.counters().recordings_failed_total, 1);
    assert_at_rest(&mut world);
}

#[test]
fn whoever_holds_is_not_heard_until_they_are_back() {
    let mut world = world("");
    let call = dial(&mut world, ANN, "820");
    dial(&mut world, BOB, "820");
    for (direction, heard) in [("sendonly", 1), ("sendrecv", 2), ("inactive", 1), ("sendrecv", 2)] {
        let media = format!("m=audio 4000 RTP/AVP 0\r\na={direction}\r\n");
        let session = world.phone(ANN).described(&media);
        world.act(ANN, |ann, now| ann.reoffer(now, &call, &session));
        world.run(s(2));
        assert_eq!(people(&world), [heard], "{direction}");
        let answer = world.phone(ANN).reoffered.last().unwrap();
        assert!(answer.contains(";isfocus") && answer.contains("Session-Expires"), "{answer}");
    }
    assert_eq!(told(&world), [(true, 1), (true, 2)], "holding is not leaving");
}

#[test]
fn a_room_that_is_closed_by_the_operator_hangs_up_on_who_is_in_it() {
    let mut world = world("");
    dial(&mut world, ANN, "820");
    let id = world.switch.calls().first().unwrap().id.clone();
    world.input(Input::Hangup { call: id });
    world.run(s(2));
    assert!(rooms(&world).is_empty());
    assert_eq!(world.phone(ANN).byes, 1);
    assert_at_rest(&mut world);
}
