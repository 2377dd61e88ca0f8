//! Sessions that are changed in a call that is up: what holds when a change is refused, or can't be carried out.

use super::net::World;
use super::{ANN, BOB, CID, assert_at_rest, assert_joined, assert_points, hang_up, s, three};

const AUDIO: &str = "m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";
const HELD: &str = "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";
/// Longer than sessions may go without a refresh.
const REFRESHED: u64 = 1000;

/// Everybody answers after a second; Ann speaks with Bob. The call at her phone, and at his.
fn talk(describe: impl FnOnce(&mut World)) -> (World, String, String) {
    let users = "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n[user.cid]\next = \"300\"\n";
    let mut world = three(users);
    describe(&mut world);
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(6000)));
    world.run(s(3));
    let bobs = world.phone(BOB).newest_call();
    (world, call, bobs)
}

fn reoffer(world: &mut World, by: &str, call: &str, media: &str) {
    let description = world.phone(by).described(media);
    world.act(by, |phone, now| phone.reoffer(now, call, &description));
    world.run(s(2));
}

fn transfer(world: &mut World, by: &str, call: &str, to: &str) {
    let fields = format!("Refer-To: <sip:{to}@pbx.example>\r\n");
    world.act(by, |phone, now| phone.within(now, call, "REFER", &fields));
    world.run(s(5));
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

/// The media lines of a message, in order, without what stands below each.
fn media(message: &str) -> Vec<&str> {
    message.lines().filter(|line| line.starts_with("m=")).collect()
}

#[test]
fn a_hold_that_was_refused_does_not_come_back_with_a_refresh() {
    let (mut world, anns, _) = talk(|_| ());
    world.phone(BOB).reinvite_status = 488;
    reoffer(&mut world, ANN, &anns, HELD);
    assert_eq!(status(&world.phone(ANN).reoffered[0]), "488");
    assert!(world.phone(BOB).reinvites[0].contains("a=sendonly"));
    world.phone(BOB).reinvite_status = 200;
    world.run(s(REFRESHED));
    let refresh = &world.phone(BOB).reinvites[1];
    assert!(refresh.contains("a=sendrecv") && !refresh.contains("a=sendonly"), "{refresh}");
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn who_refuses_a_hold_and_refreshes_the_session_is_told_of_no_hold() {
    let (mut world, anns, bobs) = talk(|_| ());
    world.phone(BOB).reinvite_status = 488;
    reoffer(&mut world, ANN, &anns, HELD);
    let said = world.phone(BOB).described(AUDIO).replace("o=- 1 2", "o=- 1 1"); // as he has said it before
    world.act(BOB, |bob, now| bob.reinvite(now, &bobs, "Session-Expires: 1800\r\n", &said));
    world.run(s(2));
    let answer = world.phone(BOB).reoffered.last().cloned().unwrap();
    assert!(status(&answer) == "200" && answer.contains("a=sendrecv"), "{answer}");
    assert_eq!(world.phone(ANN).reinvites.len(), 0, "it goes no further");
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn who_refuses_to_be_transferred_keeps_the_codec_of_the_call() {
    let (mut world, anns, bobs) = talk(|_| ());
    world.phone(BOB).reinvite_status = 488;
    world.phone(CID).session = Some(world.phone(CID).described("m=audio 4000 RTP/AVP 8\r\n"));
    transfer(&mut world, ANN, &anns, "300");
    assert!(world.phone(BOB).reinvites[0].contains("RTP/AVP 8"), "he is asked to talk by what Cid has");
    world.phone(BOB).reinvite_status = 200;
    world.run(s(REFRESHED));
    let refresh = world.phone(BOB).reinvites.last().unwrap();
    assert!(refresh.contains("RTP/AVP 0\r\n"), "{refresh}");
    assert_joined(&mut world, (ANN, &anns), (BOB, &bobs));
    hang_up(&mut world, ANN, &anns);
    assert_at_rest(&mut world);
}

#[test]
fn an_answer_that_can_not_be_relayed_refuses_the_change_and_the_call_is_as_it_was() {
    let refused = "m=audio 0 RTP/AVP 0\r\n";
    let elsewhere = "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 host.example\r\n";
    for answer in [refused, elsewhere] {
        let (mut world, anns, bobs) = talk(|_| ());
        world.phone(BOB).session = Some(world.phone(BOB).described(answer));
        reoffer(&mut world, ANN, &anns, HELD);
        let told: Vec<_> = world.phone(ANN).reoffered.iter().map(|it| status(it).to_owned()).collect();
        assert_eq!(told, ["488"], "{answer}");
        let asked = &world.phone(BOB).reinvites;
        assert!(asked.len() == 2 && asked[1].contains("a=sendrecv"), "he is offered what holds: {asked:?}");
        assert_points(&world, ANN, BOB);
        assert_joined(&mut world, (ANN, &anns), (BOB, &bobs));
        hang_up(&mut world, ANN, &anns);
        assert_at_rest(&mut world);
    }
}

/// RFC 3264 §8: an offer never has fewer media lines than the one before.
#[test]
fn who_has_two_streams_is_offered_two_by_whoever_comes_with_one() {
    let video = "m=video 4002 RTP/AVP 96\r\n";
    let refused = "m=video 0 RTP/AVP 96\r\n";
    for audio_first in [true, false] {
        let both = |video: &str| match audio_first {
            true => format!("{AUDIO}{video}"),
            false => format!("{video}{AUDIO}"),
        };
        let (mut world, anns, bobs) = talk(|world| {
            world.phone(ANN).session = Some(world.phone(ANN).described(&both(video)));
            world.phone(BOB).session = Some(world.phone(BOB).described(&both(refused)));
        });
        transfer(&mut world, ANN, &anns, "300");
        let offered = media(&world.phone(BOB).reinvites[0]).join("\n");
        let (first, second) = offered.split_once('\n').unwrap();
        let (audio, video) = if audio_first { (first, second) } else { (second, first) };
        assert!(audio.starts_with("m=audio 2") && video == refused.trim_end(), "{offered}");
        let answer = media(&world.phone(CID).last_answer).join("\n");
        assert!(answer.starts_with("m=audio 2") && !answer.contains('\n'), "as many as Cid offers: {answer}");
        assert_points(&world, BOB, CID);
        hang_up(&mut world, BOB, &bobs);
        assert_at_rest(&mut world);
    }
}
