//! Dialogs before the answer (RFC 3262), message by message: a caller and a phone written by hand.

use super::dialogs::{CALLER, PHONE, SDP, Talk, Who, register, register_at, reply_of, sdp, text, the};
use super::switch::Desk;
use ringtree::sip::{Message, Method, Name, Writer};
use std::time::Duration;

type Sent = Vec<(u16, Message)>;

/// The caller's INVITE with a field more.
fn invite(field: (Name, &str), offer: Option<&str>) -> bytes::Bytes {
    let plain = super::dialogs::invite(offer);
    let plain = String::from_utf8(plain.to_vec()).unwrap();
    plain.replacen("Contact:", &format!("{}: {}\r\nContact:", field.0.word(), field.1), 1).into()
}

/// A phone that rings for a caller who says this of reliable responses. What came of its 180 is given too.
fn ringing(field: (Name, &str), offer: Option<&str>) -> (Talk, Sent) {
    let mut desk = Desk::new();
    register(&mut desk);
    let sent = desk.take_from(CALLER, &invite(field, offer));
    let leg = the(&sent, PHONE, Method::Invite, 0);
    let sent = desk.take_from(PHONE, &provisional(&leg, 180, "phone", None, None));
    let answer =
        sent.iter().find(|(port, _)| *port == CALLER).map_or_else(|| leg.clone(), |(_, m)| m.clone());
    (Talk { desk, leg, answer, sent: 0 }, sent)
}

/// A provisional response of the phone with that tag.
fn provisional(
    invite: &Message,
    status: u16,
    tag: &str,
    rseq: Option<u32>,
    body: Option<&str>,
) -> bytes::Bytes {
    let mut w = Writer::reply(invite, status, "", Some(tag));
    w.header(Name::Contact, format_args!("<sip:user@192.0.2.200:{PHONE}>"));
    if let Some(rseq) = rseq {
        w.header(Name::Require, "100rel").header(Name::RSeq, rseq);
    }
    match body {
        Some(body) => w.body(SDP, body.as_bytes()),
        None => w.finish(),
    }
}

fn offer() -> String {
    sdp(4000, "sendrecv")
}

fn rack(prack: &Message) -> (&str, u32) {
    (prack.value(Name::RAck).unwrap(), prack.cseq().unwrap().number)
}

/// The caller's PRACK of a response that it got.
fn prack(talk: &mut Talk, cseq: u32, response: &Message, body: Option<&str>) -> Sent {
    let rack = format!("{} 1 INVITE", response.number(Name::RSeq).unwrap());
    talk.request(Who::Caller, "PRACK", cseq, &[(Name::RAck, &rack)], body.map(|body| (SDP, body.as_bytes())))
}

/// RFC 3262 §4.
#[test]
fn a_reliable_response_is_acknowledged_once_and_in_order() {
    let mut talk = Talk::ringing(Some(&offer()));
    assert!(talk.leg.value(Name::Supported).unwrap().contains("100rel"));
    let leg = talk.leg.clone();
    let mut says = |rseq| talk.desk.take_from(PHONE, &provisional(&leg, 183, "phone", Some(rseq), None));
    let first = the(&says(7), PHONE, Method::Prack, 0);
    assert_eq!(rack(&first), ("7 1 INVITE", 2));
    assert_eq!(first.to().unwrap().tag(), Some("phone"));
    assert!(says(7).is_empty(), "a repetition gets no second PRACK");
    assert!(says(9).is_empty(), "8 is missing");
    assert_eq!(rack(&the(&says(8), PHONE, Method::Prack, 0)), ("8 1 INVITE", 3));
    assert_eq!(rack(&the(&says(9), PHONE, Method::Prack, 0)), ("9 1 INVITE", 4));
    let sent = talk.desk.take_from(PHONE, &super::dialogs::reply(&leg, 200, Some((SDP, offer().as_bytes()))));
    assert_eq!(the(&sent, PHONE, Method::Ack, 0).cseq().unwrap().number, 1, "§13.2.2.4: of its INVITE");
    talk.answer = the(&sent, CALLER, Method::Invite, 200);
    talk.request(Who::Caller, "ACK", 1, &[], None);
    let bye = the(&talk.request(Who::Caller, "BYE", 2, &[], None), PHONE, Method::Bye, 0);
    assert_eq!(bye.cseq().unwrap().number, 5, "the dialog has counted on");
}

/// RFC 3262 §4: the numbers are of each dialog, and a 100 is never reliable.
#[test]
fn each_early_dialog_of_a_fork_has_its_own_numbers() {
    let mut talk = Talk::ringing(Some(&offer()));
    let leg = talk.leg.clone();
    for (tag, rseq) in [("one", 5), ("two", 5), ("one", 6), ("two", 6)] {
        let sent = talk.desk.take_from(PHONE, &provisional(&leg, 180, tag, Some(rseq), None));
        let prack = the(&sent, PHONE, Method::Prack, 0);
        assert_eq!(prack.to().unwrap().tag(), Some(tag));
        assert_eq!(rack(&prack), (format!("{rseq} 1 INVITE").as_str(), rseq - 3));
    }
    assert!(talk.desk.take_from(PHONE, &provisional(&leg, 100, "x", Some(1), None)).is_empty());
}

/// RFC 3262 §3: T1, doubled each time; a PRACK of something else is 481.
#[test]
fn a_caller_who_requires_it_hears_each_response_until_its_prack() {
    let (mut talk, sent) = ringing((Name::Require, "100rel"), Some(&offer()));
    let said = the(&sent, CALLER, Method::Invite, 180);
    let rseq = said.number(Name::RSeq).unwrap();
    assert!((1..1 << 31).contains(&rseq) && said.value(Name::Require) == Some("100rel"), "{said:?}");
    let again = |sent: Sent| sent.iter().filter(|(_, message)| message.status() == 180).count();
    assert_eq!(again(talk.desk.pass(Duration::from_millis(3_600))), 3, "after 0.5, 1.5 and 3.5 s");
    for wrong in [format!("{} 1 INVITE", rseq - 1), format!("{rseq} 2 INVITE"), format!("{rseq} 1 UPDATE")] {
        let sent = talk.request(Who::Caller, "PRACK", 2, &[(Name::RAck, &wrong)], None);
        the(&sent, CALLER, Method::Prack, 481);
    }
    the(&prack(&mut talk, 3, &said, None), CALLER, Method::Prack, 200);
    assert_eq!(again(talk.desk.pass(Duration::from_secs(40))), 0);
    the(&prack(&mut talk, 4, &said, None), CALLER, Method::Prack, 481);
    let sent = talk.desk.pass(Duration::from_millis(16_800));
    let reminded = the(&sent, CALLER, Method::Invite, 180);
    assert_eq!(reminded.number(Name::RSeq), Some(rseq + 1), "RFC 3261 §13.3.1.1, with the next number");
    let sent =
        talk.desk.take_from(PHONE, &super::dialogs::reply(&talk.leg, 200, Some((SDP, offer().as_bytes()))));
    talk.answer = the(&sent, CALLER, Method::Invite, 200);
    the(&prack(&mut talk, 5, &reminded, None), CALLER, Method::Prack, 200);
}

#[test]
fn a_caller_who_is_merely_able_hears_of_ringing_as_ever() {
    let (_, sent) = ringing((Name::Supported, "timer, 100rel"), Some(&offer()));
    let said = the(&sent, CALLER, Method::Invite, 180);
    assert_eq!((said.value(Name::Require), said.value(Name::RSeq)), (None, None));
}

/// RFC 3262 §3.
#[test]
fn a_caller_who_never_acknowledges_gets_504_and_the_phone_a_cancel() {
    let (mut talk, _) = ringing((Name::Require, "100rel"), Some(&offer()));
    let sent = talk.desk.pass(Duration::from_millis(32_100));
    the(&sent, PHONE, Method::Cancel, 0);
    assert!(sent.iter().any(|(port, message)| *port == CALLER && message.status() == 504));
}

/// RFC 3262 §5, RFC 3261 §13.2.1: the offer comes in the first reliable response, the answer in its PRACK, and no description in the 200.
#[test]
fn a_late_offer_comes_in_a_reliable_response_and_its_answer_in_the_prack() {
    let (mut talk, sent) = ringing((Name::Supported, "100rel"), None);
    the(&sent, CALLER, Method::Invite, 180);
    assert!(talk.leg.value(Name::Supported).unwrap().contains("100rel"));
    let leg = talk.leg.clone();
    let late = sdp(5000, "sendrecv");
    let sent = talk.desk.take_from(PHONE, &provisional(&leg, 183, "phone", Some(1), Some(&late)));
    assert!(sent.iter().all(|(port, _)| *port != PHONE), "its PRACK waits for the answer");
    let offered = the(&sent, CALLER, Method::Invite, 183);
    assert!(
        text(&offered).contains("c=IN IP4 192.0.2.100") && offered.value(Name::Require) == Some("100rel")
    );
    talk.answer = offered.clone();
    // The phone answers before that: the 200 waits for the PRACK (§3).
    let sent = talk.desk.take_from(PHONE, &super::dialogs::reply(&leg, 200, None));
    assert!(sent.iter().all(|(port, _)| *port != CALLER), "{sent:?}");
    let sent = prack(&mut talk, 2, &offered, Some(&offer()));
    the(&sent, CALLER, Method::Prack, 200);
    let passed = the(&sent, PHONE, Method::Prack, 0);
    assert_eq!(rack(&passed).0, "1 1 INVITE");
    assert!(text(&passed).contains("c=IN IP4 192.0.2.100"), "{}", text(&passed));
    assert!(the(&sent, CALLER, Method::Invite, 200).body().is_empty());
}

/// A late offer that is agreed by the PRACK of its 183; a minute later the caller hears of it again, reliably, and holds in that PRACK.
fn held_by_prack(takes_update: bool) -> (Talk, Vec<(u16, Message)>) {
    let (mut talk, _) = ringing((Name::Require, "100rel"), None);
    let late = provisional(&talk.leg, 183, "phone", Some(1), Some(&sdp(5000, "sendrecv")));
    let late = String::from_utf8(late.to_vec()).unwrap();
    let allow = if takes_update { "Allow: INVITE, UPDATE\r\nRSeq" } else { "RSeq" };
    let sent = talk.desk.take_from(PHONE, late.replacen("RSeq", allow, 1).as_bytes());
    talk.answer = the(&sent, CALLER, Method::Invite, 183);
    let offered = talk.answer.clone();
    prack(&mut talk, 2, &offered, Some(&offer()));
    let sent = talk.desk.pass(Duration::from_secs(60));
    let again = the(&sent, CALLER, Method::Invite, 183);
    let sent = prack(&mut talk, 3, &again, Some(&sdp(4000, "sendonly")));
    (talk, sent)
}

/// RFC 3262 §5: another offer in a PRACK is answered in its 200: by the phone, where it takes UPDATE, else with the session as it is.
#[test]
fn an_offer_in_a_prack_goes_to_the_phone_and_its_answer_comes_with_the_200() {
    for (takes_update, phone_says) in [(true, 200), (true, 488), (false, 0)] {
        let (mut talk, sent) = held_by_prack(takes_update);
        let sent = if takes_update {
            let update = the(&sent, PHONE, Method::Update, 0);
            assert!(text(&update).contains("a=sendonly") && text(&update).contains("c=IN IP4 192.0.2.100"));
            assert!(sent.iter().all(|(port, _)| *port != CALLER), "its answer is awaited");
            let answer = sdp(5000, "recvonly");
            let body = (phone_says == 200).then_some((SDP, answer.as_bytes()));
            talk.answers(Who::Phone, &update, phone_says, body)
        } else {
            sent
        };
        let answered = the(&sent, CALLER, Method::Prack, 200);
        let expected = if phone_says == 200 { "a=recvonly" } else { "a=sendrecv" };
        assert!(text(&answered).contains(expected), "{phone_says}: {}", text(&answered));
        assert_eq!(answered.value(Name::Contact), None, "a PRACK makes no target anew");
    }
}

/// The same, where the phone can't be reached: the PRACK is answered with the session as it is.
#[test]
fn an_offer_in_a_prack_is_answered_though_the_phone_is_out_of_reach() {
    let (mut talk, sent) = held_by_prack(true);
    the(&sent, PHONE, Method::Update, 0);
    let sent = talk.desk.lose(PHONE);
    let answered = the(&sent, CALLER, Method::Prack, 200);
    assert!(text(&answered).contains("a=sendrecv"), "{}", text(&answered));
}

/// The same, given up meanwhile, and ended meanwhile.
#[test]
fn a_call_that_ends_while_its_200_waits_for_a_prack_is_487_to_the_caller() {
    for ends in ["CANCEL", "BYE", "the phone"] {
        let (mut talk, _) = ringing((Name::Supported, "100rel"), None);
        let leg = talk.leg.clone();
        let late = sdp(5000, "sendrecv");
        let sent = talk.desk.take_from(PHONE, &provisional(&leg, 183, "phone", Some(1), Some(&late)));
        talk.answer = the(&sent, CALLER, Method::Invite, 183);
        talk.desk.take_from(PHONE, &super::dialogs::reply(&leg, 200, None));
        let sent = match ends {
            "CANCEL" => {
                let via = [
                    (Name::Via, "SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bKi"),
                    (Name::To, "<sip:user@example.com>"),
                ];
                talk.request(Who::Caller, "CANCEL", 1, &via, None)
            }
            "BYE" => talk.request(Who::Caller, "BYE", 2, &[], None),
            _ => talk.request(Who::Phone, "BYE", 1, &[], None),
        };
        the(&sent, CALLER, Method::Invite, 487);
        if ends != "the phone" {
            the(&sent, PHONE, Method::Bye, 0);
        }
    }
}

/// RFC 3261 §13.2.1 with RFC 3262 §5: who requires reliable responses and makes no offer hears nothing before there is one.
#[test]
fn who_requires_it_without_an_offer_is_told_nothing_but_an_offer() {
    let (_, sent) = ringing((Name::Require, "100rel"), None);
    assert!(sent.is_empty(), "{sent:?}");
}

/// RFC 3262 §5: what was answered reliably need not be said again, and it holds for the caller whether they heard it early or not.
#[test]
fn the_answer_that_a_phone_gives_in_a_reliable_response_alone_comes_to_the_caller_with_the_200() {
    let mut talk = Talk::ringing(Some(&offer()));
    let leg = talk.leg.clone();
    let answer = sdp(5000, "sendrecv");
    let sent = talk.desk.take_from(PHONE, &provisional(&leg, 183, "phone", Some(1), Some(&answer)));
    the(&sent, PHONE, Method::Prack, 0);
    let sent = talk.desk.take_from(PHONE, &super::dialogs::reply(&leg, 200, None));
    the(&sent, PHONE, Method::Ack, 0);
    let answered = text(&the(&sent, CALLER, Method::Invite, 200));
    assert!(answered.contains("c=IN IP4 192.0.2.100") && answered.contains("m=audio"), "{answered}");
}

/// RFC 3261 §13.2.2.4: an offer in a 200 is answered in its ACK. The caller has answered another phone's, in a PRACK, and its ACK is empty.
#[test]
fn a_phone_that_offers_in_its_200_gets_the_answer_that_the_caller_gave_to_another_ones_offer() {
    const OTHER: u16 = 5071;
    let mut desk = Desk::new();
    register(&mut desk);
    register_at(&mut desk, OTHER);
    let sent = desk.take_from(CALLER, &invite((Name::Supported, "100rel"), None));
    let legs = [PHONE, OTHER].map(|port| (port, the(&sent, port, Method::Invite, 0)));
    let is_able = |(_, leg): &&(u16, Message)| leg.elements(Name::Supported).any(|tag| tag == "100rel");
    let (able, early) = legs.iter().find(is_able).cloned().expect("one may offer early");
    let (port, late) = legs.iter().find(|leg| !is_able(leg)).cloned().expect("and no other");
    let offered = sdp(5000, "sendrecv");
    let sent = desk.take_from(able, &provisional(&early, 183, "early", Some(1), Some(&offered)));
    let offered = the(&sent, CALLER, Method::Invite, 183);
    desk.take_from(able, &reply_of(able, &early, 486, None));
    let sent =
        desk.take_from(port, &reply_of(port, &late, 200, Some((SDP, sdp(6000, "sendrecv").as_bytes()))));
    assert!(sent.iter().all(|(_, message)| message.method() != Method::Ack), "{sent:?}");
    let mut talk = Talk { desk, leg: late, answer: offered.clone(), sent: 0 };
    let sent = prack(&mut talk, 2, &offered, Some(&offer()));
    assert!(the(&sent, CALLER, Method::Invite, 200).body().is_empty());
    let sent = talk.request(Who::Caller, "ACK", 1, &[], None);
    let answer = text(&the(&sent, port, Method::Ack, 0));
    assert!(answer.contains("c=IN IP4 192.0.2.100") && answer.contains("m=audio"), "{answer}");
}
