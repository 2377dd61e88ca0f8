//! Music on hold: who hears it, and until when.

use super::net::World;
use super::{ANN, BOB, CID, assert_at_rest, assert_points, hang_up, s, three};
use ringtree::relay::Source;
use ringtree::voice::{Command, Sound};

/// Whoever holds a call of Ann's is heard with her music, and of Bob's with his.
fn office() -> World {
    let users = "[moh.calm]\nfiles = [\"calm.wav\"]\n\
        [user.ann]\next = \"100\"\nmoh = \"calm\"\nvoicemail = { enabled = false }\n\
        [user.bob]\next = \"200\"\nmoh = \"calm\"\nvoicemail = { enabled = false }\n\
        [user.cid]\next = \"300\"\nvoicemail = { enabled = false }\n";
    three(users)
}

/// Ann speaks with Bob. The call at her phone, and at his.
fn talk(world: &mut World) -> (String, String) {
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(6000)));
    world.run(s(3));
    (call, world.phone(BOB).newest_call())
}

fn hold(world: &mut World, by: &str, call: &str) {
    let held = world.phone(by).described("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n");
    world.act(by, |phone, now| phone.reoffer(now, call, &held));
    world.run(s(1));
}

/// Relays that play music to somebody.
fn playing(world: &World) -> usize {
    let voiced = |feeds: &&[Option<Source>; 2]| feeds.contains(&Some(Source::Voice));
    let open = world.relays.iter().filter_map(|relay| world.feeds.get(relay));
    open.filter(voiced).count()
}

fn refer(world: &mut World, by: &str, call: &str, to: &str) {
    let fields = format!("Refer-To: <sip:{to}>\r\n");
    world.act(by, |phone, now| phone.within(now, call, "REFER", &fields));
    world.run(s(5));
}

#[test]
fn who_is_held_hears_the_music_of_the_holder_until_the_call_goes_on() {
    let mut world = office();
    let (call, _) = talk(&mut world);
    hold(&mut world, ANN, &call);
    assert_eq!(playing(&world), 1);
    let calm = |command: &Command| match command {
        Command::Play { sounds, .. } => {
            sounds.iter().any(|it| matches!(it, Sound::File { file, .. } if &**file == "calm.wav"))
        }
        _ => false,
    };
    assert!(world.voiced.iter().any(calm));
    let back = world.phone(ANN).described("m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n");
    world.act(ANN, |ann, now| ann.reoffer(now, &call, &back));
    world.run(s(1));
    assert_eq!(playing(&world), 0);
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

#[test]
fn who_was_held_and_is_transferred_hears_whoever_has_answered_and_no_music() {
    for (holder, other) in [(ANN, BOB), (BOB, ANN)] {
        let mut world = office();
        let (anns, bobs) = talk(&mut world);
        let (held, stays) = if holder == ANN { (&anns, &bobs) } else { (&bobs, &anns) };
        hold(&mut world, holder, held);
        assert_eq!(playing(&world), 1, "{holder} holds");
        refer(&mut world, holder, held, "300@pbx.example");
        assert_points(&world, other, CID);
        assert_eq!(playing(&world), 0, "{holder} has transferred");
        hang_up(&mut world, other, stays);
        assert_at_rest(&mut world);
    }
}

#[test]
fn who_was_held_hears_no_music_after_an_attended_transfer() {
    let mut world = office();
    let (anns, bobs) = talk(&mut world);
    hold(&mut world, ANN, &anns);
    let mut second = String::new();
    world.act(ANN, |ann, now| second = ann.call(now, "300", s(6000)));
    world.run(s(3));
    let replaces = world.phone(ANN).replaces(&second).replace(';', "%3B").replace('=', "%3D");
    refer(&mut world, ANN, &anns, &format!("300@pbx.example?Replaces={replaces}"));
    assert_points(&world, BOB, CID);
    assert_eq!(playing(&world), 0);
    hang_up(&mut world, BOB, &bobs);
    assert_at_rest(&mut world);
}

#[test]
fn who_is_held_by_a_phone_that_is_to_be_sent_nothing_hears_music_all_the_same() {
    let of_old =
        "v=0\r\no=- 1 2 IN IP4 127.0.1.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    for of_old in [Some(of_old), None] {
        let mut world = office();
        let (call, _) = talk(&mut world);
        let inactive = world.phone(ANN).described("m=audio 4000 RTP/AVP 0\r\na=inactive\r\n");
        let held = of_old.map_or(inactive, str::to_owned);
        world.act(ANN, |ann, now| ann.reoffer(now, &call, &held));
        world.run(s(1));
        let told = world.phone(BOB).reinvites.last().unwrap().clone();
        assert!(told.contains("a=sendonly") && !told.contains("0.0.0.0"), "{told}");
        let answer = world.phone(ANN).reoffered.last().unwrap().clone();
        assert_eq!(answer.contains("a=inactive"), of_old.is_none(), "RFC 3264 6.1: {answer}");
        assert_eq!(playing(&world), 1, "{held}");
        let back = world.phone(ANN).described("m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n");
        world.act(ANN, |ann, now| ann.reoffer(now, &call, &back));
        world.run(s(1));
        assert_eq!(playing(&world), 0);
        hang_up(&mut world, ANN, &call);
        assert_at_rest(&mut world);
    }
}

#[test]
fn who_is_held_without_music_is_told_what_the_holder_says() {
    let mut world = office();
    let mut call = String::new();
    world.act(CID, |cid, now| call = cid.call(now, "200", s(6000)));
    world.run(s(3));
    let held = world.phone(CID).described("m=audio 4000 RTP/AVP 0\r\na=inactive\r\n");
    world.act(CID, |cid, now| cid.reoffer(now, &call, &held));
    world.run(s(1));
    assert!(world.phone(BOB).reinvites.last().unwrap().contains("a=inactive"));
    assert_eq!(playing(&world), 0);
}

#[test]
fn who_is_held_and_changes_the_codec_hears_the_music_in_that() {
    let mut world = office();
    let (call, bobs) = talk(&mut world);
    let held = world.phone(ANN).described("m=audio 4000 RTP/AVP 0 8\r\na=sendonly\r\n");
    world.phone(ANN).session = Some(held.clone());
    world.act(ANN, |ann, now| ann.reoffer(now, &call, &held));
    world.run(s(1));
    let other = world.phone(BOB).described("m=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n");
    world.act(BOB, |bob, now| bob.reoffer(now, &bobs, &other));
    world.run(s(1));
    let opened = |command: &Command| match command {
        Command::Open { format, .. } => Some(format.payload_type),
        _ => None,
    };
    let formats: Vec<u8> = world.voiced.iter().filter_map(opened).collect();
    assert_eq!(formats, [0, 8]);
    assert!(matches!(world.voiced.last(), Some(Command::Play { .. })), "{:?}", world.voiced);
    assert_eq!(playing(&world), 1);
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}
