//! Sides of a relay that a party has left, and parties that have moved: whose voice goes where.

use super::net::{World, configured};
use super::phone::{Phone, Script};
use super::registrar::{Field, Sent, udp};
use super::{A_LINE, ANN, BOB, CID, DOMAIN, assert_at_rest, hang_up, office, ruleset, s, three};
use ringtree::relay::{Command, Side, Source};
use ringtree::sip::{Message, Method, Name, Writer};
use std::net::IpAddr;

const TRUNK: &str = "127.0.1.8:5060";
const USERS: &str = "[user.ann]\next = \"100\"\n[user.bob]\next = \"200\"\n[user.cid]\next = \"300\"\n";

/// Whom the parties of the one open relay hear, A's side first.
fn feeds(world: &World) -> [Source; 2] {
    let open: Vec<_> = world.relays.iter().collect();
    let [relay] = open[..] else { panic!("one relay is open, not {}", open.len()) };
    world.feeds.get(relay).copied().unwrap_or_default().map(Option::unwrap_or_default)
}

#[test]
fn who_transfers_and_hangs_up_at_once_is_sent_no_more_of_the_call() {
    for (holder, left) in [(ANN, [Source::Nobody, Source::Party]), (BOB, [Source::Party, Source::Nobody])] {
        let mut world = three(USERS);
        world.phone(CID).script = Script::Answer { after: s(5) };
        let mut call = String::new();
        world.act(ANN, |ann, now| call = ann.call(now, "200", s(6000)));
        world.run(s(3));
        let own = if holder == ANN { call } else { world.phone(BOB).newest_call() };
        world.act(holder, |phone, now| {
            phone.within(now, &own, "REFER", "Refer-To: <sip:300@pbx.example>\r\n")
        });
        world.run(s(1));
        assert_eq!(feeds(&world), [Source::Party; 2], "who is still there hears the other one");
        hang_up(&mut world, holder, &own);
        assert_eq!(feeds(&world), left);
        world.run(s(10));
        assert_eq!(feeds(&world), [Source::Party; 2], "Cid is in the place");
        let cids = world.phone(CID).newest_call();
        hang_up(&mut world, CID, &cids);
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_trunk_that_has_spoken_early_and_is_left_is_not_sent_what_the_caller_says() {
    let rule = "[[user.bob.rule]]\nname = \"all\"\nwhen = \"always\"\nring.targets = [\"tel:+12025550199\"]\n\
        ring.timeout = \"5s\"\nforward.no_answer = \"user:cid\"\n";
    let users = format!("{}{USERS}{rule}", A_LINE.replace("carrier.example", "127.0.1.8"));
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("cid1", "cid")];
    let answers = Script::Answer { after: s(5) };
    let phones = [
        (ANN, "ann1", Script::Ring),
        (BOB, "bob1", Script::Ring),
        (CID, "cid1", answers),
        (TRUNK, "line", Script::EarlyMedia),
    ];
    let mut world = office(ruleset(&users, &devices), &phones, &[("line", TRUNK)]);
    world.act(CID, Phone::register);
    world.run(s(1));
    let mut call = String::new();
    world.act(ANN, |ann, now| call = ann.call(now, "200", s(6000)));
    world.run(s(3));
    assert_eq!(world.phone(ANN).provisionals, [183]);
    assert_eq!(feeds(&world), [Source::Party; 2], "early media both ways");
    world.run(s(4));
    assert_eq!(feeds(&world), [Source::Party, Source::Nobody], "the next stage rings");
    world.run(s(6));
    assert_eq!(feeds(&world), [Source::Party; 2], "Cid has answered");
    hang_up(&mut world, ANN, &call);
    assert_at_rest(&mut world);
}

const SESSION: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn of_ann(method: &str, cseq: u32, from: &str, to: (&str, &str), body: &str) -> String {
    let (uri, tag) = to;
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKa{cseq}{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:ann1@{DOMAIN}>;tag=f\r\nTo: <{uri}>{tag}\r\nCall-ID: of-ann\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:ann1@{ANN}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Where the relay expects the media of side A from, as it was told last.
fn expected(field: &Field) -> Option<IpAddr> {
    field.media.iter().rev().find_map(|command| match command {
        Command::Point { side: Side::A, expected, .. } => *expected,
        _ => None,
    })
}

#[test]
fn a_phone_whose_public_address_changes_in_a_call_is_heard_from_the_new_one() {
    let mut field = Field::with("", configured(|_| ()));
    for (address, device) in [(ANN, "ann1"), (BOB, "bob1")] {
        let contact = format!("<sip:{device}@{address}>");
        assert_eq!(field.register(udp(address), device, &contact, "").status(), 200);
    }
    let sent = field.give(udp(ANN), &of_ann("INVITE", 1, ANN, ("sip:200@pbx.example", ""), SESSION));
    let rung = |it: &&Sent| it.message.is_request() && it.message.method() == Method::Invite;
    let rung = sent.iter().find(rung).unwrap();
    let mut w = Writer::reply(&rung.message, 200, "OK", Some("theirs"));
    w.header(Name::Contact, format_args!("<sip:bob1@{BOB}>"));
    let bytes = w.body("application/sdp", SESSION.as_bytes());
    let sent = field.give(rung.to, std::str::from_utf8(&bytes).unwrap());
    let accepted = |it: &&Sent| !it.message.is_request() && it.message.status() == 200;
    let accepted: &Message = &sent.iter().find(accepted).unwrap().message;
    let tag = format!(";tag={}", accepted.to().unwrap().tag().unwrap());
    let to = ("sip:200@pbx.example", tag.as_str());
    field.give(udp(ANN), &of_ann("ACK", 1, ANN, to, ""));
    assert_eq!(expected(&field), "127.0.1.1".parse().ok());
    // The same private address in her description, as before.
    let moved = "127.0.1.77:5060";
    field.give(udp(moved), &of_ann("INVITE", 2, moved, to, &SESSION.replace("1 1 IN", "1 2 IN")));
    assert_eq!(expected(&field), "127.0.1.77".parse().ok());
}
