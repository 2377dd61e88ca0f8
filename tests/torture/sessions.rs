//! Session timers (RFC 4028) and changes of a session that meet (RFC 3261 §14), message by message.

use super::dialogs::{CALLER, PHONE, SDP, Talk, Who, invite, register, sdp, text, the};
use super::switch::Desk;
use ringtree::sip::{Message, Method, Name, Writer};
use std::time::Duration;

type Sent = Vec<(u16, Message)>;

/// The caller's INVITE with these fields more, each with its line end.
fn asking(fields: &str) -> bytes::Bytes {
    let plain = String::from_utf8(invite(Some(&offer())).to_vec()).unwrap();
    plain.replacen("Contact:", &format!("{fields}Contact:"), 1).into()
}

fn offer() -> String {
    sdp(4000, "sendrecv")
}

/// What the phone answers, with these fields more.
fn answer(request: &Message, status: u16, fields: &[(Name, &str)], body: Option<&str>) -> bytes::Bytes {
    let mut w = Writer::reply(request, status, "", Some("phone"));
    w.header(Name::Contact, format_args!("<sip:user@192.0.2.200:{PHONE}>"));
    for (name, value) in fields {
        w.header(*name, value);
    }
    match body {
        Some(body) => w.body(SDP, body.as_bytes()),
        None => w.finish(),
    }
}

/// A call whose INVITE and whose 200 say this beside the usual, answered and acknowledged.
fn up(asks: &str, answers: &[(Name, &str)]) -> Talk {
    let mut desk = Desk::new();
    register(&mut desk);
    let sent = desk.take_from(CALLER, &asking(asks));
    let leg = the(&sent, PHONE, Method::Invite, 0);
    let sent = desk.take_from(PHONE, &answer(&leg, 200, answers, Some(&sdp(5000, "sendrecv"))));
    let answer = the(&sent, CALLER, Method::Invite, 200);
    let mut talk = Talk { desk, leg, answer, sent: 0 };
    assert!(talk.request(Who::Caller, "ACK", 1, &[], None).is_empty());
    talk
}

fn seconds(talk: &mut Talk, seconds: u64) -> Sent {
    talk.desk.pass(Duration::from_secs(seconds))
}

fn expires(message: &Message) -> &str {
    message.value(Name::SessionExpires).unwrap_or_default()
}

const ALLOW: (Name, &str) = (Name::Allow, "INVITE, ACK, BYE, UPDATE");

/// RFC 4028 §7.1, §7.2, §9, §10: whoever knows nothing of it is refreshed by us, by UPDATE where it is taken, else with the description as
/// it was (RFC 3264 §8: of the same version).
#[test]
fn each_side_has_a_session_of_its_own_and_we_refresh_both() {
    let mut talk = up("", &[ALLOW]);
    assert_eq!(expires(&talk.leg), "1800;refresher=uac");
    assert!(talk.leg.elements(Name::Supported).any(|tag| tag == "timer"));
    assert_eq!(expires(&talk.answer), "1800;refresher=uas");
    let mut refreshed = [0, 0];
    for _ in 0..7_000 {
        // Steps too short for a retransmission.
        for (port, message) in talk.desk.pass(Duration::from_millis(400)) {
            assert_eq!(expires(&message), "1800;refresher=uac", "{message:?}");
            let (who, body) = match (port, message.method()) {
                (CALLER, Method::Invite) => {
                    assert_eq!(message.body(), talk.answer.body(), "RFC 3264 §8: of the same version");
                    (Who::Caller, Some(offer()))
                }
                (PHONE, Method::Update) => {
                    assert!(message.body().is_empty());
                    (Who::Phone, None)
                }
                _ => panic!("{message:?}"),
            };
            refreshed[usize::from(port == PHONE)] += 1;
            let sent = talk.answers(who, &message, 200, body.as_deref().map(|body| (SDP, body.as_bytes())));
            assert_eq!(sent.len(), usize::from(port == CALLER), "an ACK, and nothing to the other side");
        }
    }
    assert_eq!(refreshed, [3, 3], "every 900 s in 2800");
}

/// RFC 4028 §10.
#[test]
fn a_refresh_that_nobody_answers_ends_the_call_on_both_sides() {
    for (status, wait) in [(None, 35), (Some(408), 0), (Some(481), 0)] {
        let mut talk = up("", &[]);
        let sent = talk.desk.pass(Duration::from_millis(900_100));
        let refresh = the(&sent, CALLER, Method::Invite, 0);
        let sent = match status {
            Some(status) => talk.answers(Who::Caller, &refresh, status, None),
            None => seconds(&mut talk, wait),
        };
        for party in [CALLER, PHONE] {
            let bye = sent.iter().find(|(port, message)| *port == party && message.method() == Method::Bye);
            let reason = bye.and_then(|(_, bye)| bye.value(Name::Reason)).unwrap_or_default();
            assert_eq!(reason, "SIP;cause=408;text=\"Session timer expired\"", "{status:?} {party}");
        }
    }
}

/// RFC 4028 §10: a third of the interval, or 32 s, before its end.
#[test]
fn whoever_is_to_refresh_and_does_not_is_hung_up_on() {
    let asks = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    let mut talk = up(asks, &[(Name::SessionExpires, "90;refresher=uas"), (Name::Require, "timer")]);
    assert_eq!(
        (expires(&talk.answer), talk.answer.value(Name::Require)),
        ("90;refresher=uac", Some("timer"))
    );
    for cseq in 2..5 {
        assert!(seconds(&mut talk, 40).is_empty());
        for who in [Who::Caller, Who::Phone] {
            let timer = [(Name::Supported, "timer"), (Name::SessionExpires, "90;refresher=uac")];
            let sent = talk.request(who, "UPDATE", cseq, &timer, None);
            let port = if who == Who::Caller { CALLER } else { PHONE };
            let refreshed = the(&sent, port, Method::Update, 200);
            assert_eq!(expires(&refreshed), "90;refresher=uac");
            assert_eq!(sent.len(), 1, "it goes no further");
        }
    }
    assert!(seconds(&mut talk, 59).is_empty());
    let sent = seconds(&mut talk, 2);
    assert!(sent.iter().any(|(port, message)| *port == CALLER && message.method() == Method::Bye));
    assert!(sent.iter().any(|(port, message)| *port == PHONE && message.method() == Method::Bye));
}

/// RFC 4028 §6, §9.
#[test]
fn a_session_that_is_too_brief_is_422_with_what_we_put_up_with() {
    let mut desk = Desk::new();
    register(&mut desk);
    let brief = "Supported: timer\r\nSession-Expires: 30\r\n";
    let refused = the(&desk.take_from(CALLER, &asking(brief)), CALLER, Method::Invite, 422);
    assert_eq!(refused.value(Name::MinSe), Some("90"));
    let mut talk = up("", &[]);
    let timer = [(Name::Supported, "timer"), (Name::SessionExpires, "30")];
    let refused = the(&talk.request(Who::Caller, "UPDATE", 2, &timer, None), CALLER, Method::Update, 422);
    assert_eq!(refused.value(Name::MinSe), Some("90"));
}

/// RFC 4028 §7.3.
#[test]
fn a_422_of_a_leg_is_answered_with_the_longer_session_once() {
    let mut talk = Talk::ringing(Some(&offer()));
    let sent = talk.desk.take_from(PHONE, &answer(&talk.leg, 422, &[(Name::MinSe, "3600")], None));
    the(&sent, PHONE, Method::Ack, 0);
    let again = the(&sent, PHONE, Method::Invite, 0);
    assert_eq!((expires(&again), again.value(Name::MinSe)), ("3600;refresher=uac", Some("3600")));
    assert_eq!((again.call_id(), again.cseq().unwrap().number), (talk.leg.call_id(), 2));
    assert_eq!(again.body(), talk.leg.body());
    let sent = talk.desk.take_from(PHONE, &answer(&again, 422, &[(Name::MinSe, "7200")], None));
    assert!(
        sent.iter().all(|(_, message)| message.method() != Method::Invite || message.status() >= 400),
        "{sent:?}"
    );
    assert!(sent.iter().any(|(port, message)| *port == CALLER && message.status() >= 400));
}

/// RFC 4028 §7.4: a re-INVITE that only refreshes says what was said before (RFC 3264 §8), and concerns nobody else.
#[test]
fn a_refresh_by_reinvite_goes_no_further_and_a_change_does() {
    let mut talk = up("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", &[]);
    let timer = [(Name::Supported, "timer"), (Name::SessionExpires, "600;refresher=uac")];
    let sent = talk.request(Who::Caller, "INVITE", 2, &timer, Some((SDP, offer().as_bytes())));
    assert_eq!(sent.len(), 1, "{sent:?}");
    let refreshed = the(&sent, CALLER, Method::Invite, 200);
    assert_eq!((refreshed.body(), expires(&refreshed)), (talk.answer.body(), "600;refresher=uac"));
    talk.request(Who::Caller, "ACK", 2, &[], None);
    let held = sdp(4000, "sendonly");
    let sent = talk.request(Who::Caller, "INVITE", 3, &timer, Some((SDP, held.as_bytes())));
    let passed = the(&sent, PHONE, Method::Invite, 0);
    assert!(text(&passed).contains("a=sendonly") && expires(&passed) == "1800;refresher=uac");
    let sent = talk.answers(Who::Phone, &passed, 200, Some((SDP, sdp(5000, "recvonly").as_bytes())));
    assert_eq!(expires(&the(&sent, CALLER, Method::Invite, 200)), "600;refresher=uac");
}

/// RFC 3261 §14.2, RFC 3311 §5.2.
#[test]
fn who_changes_the_session_twice_at_once_is_told_to_try_again() {
    let mut talk = up("", &[]);
    let held = sdp(4000, "sendonly");
    the(&talk.request(Who::Caller, "INVITE", 2, &[], Some((SDP, held.as_bytes()))), PHONE, Method::Invite, 0);
    for (cseq, method) in [(3, Method::Invite), (4, Method::Update)] {
        let sent = talk.request(Who::Caller, method.word(), cseq, &[], Some((SDP, held.as_bytes())));
        let refused = the(&sent, CALLER, method, 500);
        assert!(refused.number(Name::RetryAfter).is_some_and(|seconds| seconds <= 10), "{refused:?}");
    }
    let sent = talk.request(Who::Phone, "UPDATE", 1, &[], Some((SDP, held.as_bytes())));
    the(&sent, PHONE, Method::Update, 491);
    the(&talk.request(Who::Phone, "UPDATE", 2, &[], None), PHONE, Method::Update, 200);
}

/// RFC 3261 §14.1: our refresh meets a change of theirs.
#[test]
fn a_refresh_that_meets_a_change_is_tried_again() {
    let mut talk = up("", &[ALLOW]);
    let refresh = the(&talk.desk.pass(Duration::from_millis(900_100)), CALLER, Method::Invite, 0);
    let sent = talk.request(Who::Caller, "INVITE", 2, &[], Some((SDP, sdp(4000, "sendonly").as_bytes())));
    the(&sent, CALLER, Method::Invite, 491);
    the(&talk.answers(Who::Caller, &refresh, 491, None), CALLER, Method::Ack, 0);
    let mut again = 0;
    for _ in 0..50 {
        let sent = talk.desk.pass(Duration::from_millis(100));
        for (port, message) in sent.into_iter().filter(|(_, message)| message.status() == 0) {
            let who = if port == CALLER { Who::Caller } else { Who::Phone };
            again += u32::from(port == CALLER && message.method() == Method::Invite);
            if message.method() != Method::Ack {
                talk.answers(who, &message, 200, Some((SDP, offer().as_bytes())));
            }
        }
    }
    assert_eq!(again, 1);
}

/// RFC 3262 §5: where the answer came reliably before the 200, the 200 has none, and the caller gets it all the same.
#[test]
fn an_answer_that_came_reliably_reaches_the_caller_with_the_200() {
    let mut talk = Talk::ringing(Some(&offer()));
    let leg = talk.leg.clone();
    let early =
        answer(&leg, 183, &[(Name::Require, "100rel"), (Name::RSeq, "1")], Some(&sdp(5000, "sendrecv")));
    the(&talk.desk.take_from(PHONE, &early), PHONE, Method::Prack, 0);
    let sent = talk.desk.take_from(PHONE, &answer(&leg, 200, &[], None));
    assert!(text(&the(&sent, CALLER, Method::Invite, 200)).contains("c=IN IP4 192.0.2.100"));
}

/// RFC 3311 §5: with both sides agreed by reliable responses, either changes the early session.
#[test]
fn an_update_changes_the_early_session_once_both_have_agreed() {
    let mut desk = Desk::new();
    register(&mut desk);
    let plain = String::from_utf8(invite(None).to_vec()).unwrap();
    let able = "Supported: 100rel\r\nAllow: INVITE, ACK, UPDATE\r\nContact:";
    let sent = desk.take_from(CALLER, plain.replacen("Contact:", able, 1).as_bytes());
    let leg = the(&sent, PHONE, Method::Invite, 0);
    let reliable = [(Name::Require, "100rel"), (Name::RSeq, "1"), ALLOW];
    let sent = desk.take_from(PHONE, &answer(&leg, 183, &reliable, Some(&sdp(5000, "sendrecv"))));
    let offered = the(&sent, CALLER, Method::Invite, 183);
    let mut talk = Talk { desk, leg, answer: offered.clone(), sent: 0 };
    let hold = sdp(4000, "sendonly");
    // The offer has no answer yet (RFC 3311 §5.2).
    let sent = talk.request(Who::Caller, "UPDATE", 2, &[], Some((SDP, hold.as_bytes())));
    the(&sent, CALLER, Method::Update, 491);
    let sent = talk.request(Who::Phone, "UPDATE", 1, &[], Some((SDP, sdp(5000, "inactive").as_bytes())));
    the(&sent, PHONE, Method::Update, 500);
    let rack = format!("{} 1 INVITE", offered.number(Name::RSeq).unwrap());
    let sent = talk.request(Who::Caller, "PRACK", 3, &[(Name::RAck, &rack)], Some((SDP, offer().as_bytes())));
    the(&sent, PHONE, Method::Prack, 0);
    for (who, from, to, cseq) in [(Who::Caller, CALLER, PHONE, 4), (Who::Phone, PHONE, CALLER, 2)] {
        let other = if who == Who::Caller { Who::Phone } else { Who::Caller };
        let sent = talk.request(who, "UPDATE", cseq, &[], Some((SDP, hold.as_bytes())));
        let passed = the(&sent, to, Method::Update, 0);
        assert!(text(&passed).contains("a=sendonly") && text(&passed).contains("c=IN IP4 192.0.2.100"));
        // One more meanwhile.
        let sent = talk.request(who, "UPDATE", cseq + 1, &[], Some((SDP, hold.as_bytes())));
        assert!(the(&sent, from, Method::Update, 500).number(Name::RetryAfter).is_some());
        let sent = talk.answers(other, &passed, 200, Some((SDP, sdp(5000, "recvonly").as_bytes())));
        assert!(text(&the(&sent, from, Method::Update, 200)).contains("a=recvonly"));
    }
    let sent = talk.request(Who::Caller, "UPDATE", 8, &[], None);
    the(&sent, CALLER, Method::Update, 200);
}

const ANN: &str = "ab30317f1a784dc48ff824d0d3715d86";
const BOB: &str = "47755a9de7794ba387653f2099600ef2";
const NIL: &str = "00000000000000000000000000000000";

/// RFC 7989 §6, §7: what either end says of itself goes to the other one.
#[test]
fn a_session_id_has_a_half_of_each_end_in_both_dialogs() {
    let mut desk = Desk::new();
    register(&mut desk);
    let sent = desk.take_from(CALLER, &asking(&format!("Session-ID: {ANN};remote={NIL}\r\n")));
    let leg = the(&sent, PHONE, Method::Invite, 0);
    let says = |message: &Message| message.value(Name::SessionId).unwrap().to_owned();
    assert_eq!(says(&leg), format!("{ANN};remote={NIL}"));
    let theirs = format!("{BOB};remote={ANN}");
    let id = [(Name::SessionId, theirs.as_str())];
    let sent = desk.take_from(PHONE, &answer(&leg, 180, &id, None));
    assert_eq!(says(&the(&sent, CALLER, Method::Invite, 180)), theirs);
    let sent = desk.take_from(PHONE, &answer(&leg, 200, &id, Some(&sdp(5000, "sendrecv"))));
    let ours = format!("{ANN};remote={BOB}");
    assert_eq!(says(&the(&sent, PHONE, Method::Ack, 0)), ours);
    let answered = the(&sent, CALLER, Method::Invite, 200);
    assert_eq!(says(&answered), theirs);
    let mut talk = Talk { desk, leg, answer: answered, sent: 0 };
    talk.request(Who::Caller, "ACK", 1, &[], None);
    let held = sdp(4000, "sendonly");
    let own = [(Name::SessionId, ours.as_str())];
    let sent = talk.request(Who::Caller, "INVITE", 2, &own, Some((SDP, held.as_bytes())));
    let passed = the(&sent, PHONE, Method::Invite, 0);
    assert_eq!(says(&passed), ours);
    let sent = talk.answers(Who::Phone, &passed, 200, Some((SDP, sdp(5000, "recvonly").as_bytes())));
    assert_eq!(says(&the(&sent, CALLER, Method::Invite, 200)), theirs);
    talk.request(Who::Caller, "ACK", 2, &[], None);
    let sent = talk.request(Who::Caller, "BYE", 3, &own, None);
    assert_eq!(says(&the(&sent, CALLER, Method::Bye, 200)), theirs);
    assert_eq!(says(&the(&sent, PHONE, Method::Bye, 0)), ours);
}

/// RFC 7989 §7: for who says nothing of it we stand in, always with the same half; a CANCEL and a refusal name it too.
#[test]
fn who_knows_nothing_of_session_ids_has_a_half_all_the_same() {
    let mut talk = Talk::ringing(Some(&offer()));
    let says = |message: &Message| message.value(Name::SessionId).unwrap().to_owned();
    let half = says(&talk.leg).split(';').next().unwrap().to_owned();
    assert!(half.len() == 32 && half != NIL, "{half}");
    assert!(says(&talk.answer).ends_with(&format!(";remote={half}")));
    let far = says(&talk.answer).split(';').next().unwrap().to_owned();
    let sent = talk.request(Who::Caller, "BYE", 2, &[], None);
    assert_eq!(says(&the(&sent, PHONE, Method::Cancel, 0)), says(&talk.leg));
    assert_eq!(says(&the(&sent, CALLER, Method::Invite, 487)), format!("{far};remote={half}"));
}
