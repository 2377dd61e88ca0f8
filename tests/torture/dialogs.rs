//! Dialogs across the switch, message by message (RFC 3261 §12 to §15): a caller at port 5060 and a phone at port 5070, both written
//! by hand, so that each can do what no sound phone would.

use super::switch::Desk;
use ringtree::sip::{Message, Method, Name, Writer};
use std::time::Duration;

pub const CALLER: u16 = 5060;
pub const PHONE: u16 = 5070;
pub const SDP: &str = "application/sdp";

/// A description from that port of the party's address.
pub fn sdp(port: u16, direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na={direction}\r\n"
    )
}

/// A call between the two.
pub struct Talk {
    pub desk: Desk,
    /// The INVITE that the phone got.
    pub leg: Message,
    /// The 200 that the caller got.
    pub answer: Message,
    /// Of the requests so far, for their branches.
    pub sent: u32,
}

/// Which party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Caller,
    Phone,
}
use Who::{Caller, Phone};

/// The only message of that kind to that port.
#[track_caller]
pub fn the(sent: &[(u16, Message)], port: u16, method: Method, status: u16) -> Message {
    let is_it = |(to, message): &&(u16, Message)| {
        *to == port && message.method() == method && message.status() == status
    };
    let found: Vec<_> = sent.iter().filter(is_it).collect();
    let titles: Vec<_> = sent.iter().map(|(to, message)| (to, message.method(), message.status())).collect();
    assert_eq!(found.len(), 1, "{method:?} {status} to {port}: {titles:?}");
    found[0].1.clone()
}

pub fn register(desk: &mut Desk) {
    register_at(desk, PHONE);
}

pub fn register_at(desk: &mut Desk, port: u16) {
    let mut w = Writer::request("REGISTER", "sip:example.com");
    w.header(Name::Via, format_args!("SIP/2.0/UDP 192.0.2.200:{port};branch=z9hG4bKr{port}"));
    w.header(Name::From, "<sip:user@example.com>;tag=r").header(Name::To, "<sip:user@example.com>");
    w.header(Name::CallId, format_args!("r{port}")).header(Name::CSeq, "1 REGISTER");
    w.header(Name::Contact, format_args!("<sip:user@192.0.2.200:{port}>"));
    the(&desk.take_from(port, &w.finish()), port, Method::Register, 200);
}

/// The caller's INVITE.
pub fn invite(offer: Option<&str>) -> bytes::Bytes {
    let mut w = Writer::request("INVITE", "sip:user@example.com");
    w.header(Name::Via, "SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bKi").header(Name::MaxForwards, 70);
    w.header(Name::From, "<sip:caller@example.com>;tag=a").header(Name::To, "<sip:user@example.com>");
    w.header(Name::CallId, "call").header(Name::CSeq, "1 INVITE");
    w.header(Name::Contact, "<sip:caller@192.0.2.200:5060>");
    match offer {
        Some(offer) => w.body(SDP, offer.as_bytes()),
        None => w.finish(),
    }
}

/// What the phone answers to a request that it got.
pub fn reply(request: &Message, status: u16, body: Option<(&str, &[u8])>) -> bytes::Bytes {
    reply_of(PHONE, request, status, body)
}

pub fn reply_of(port: u16, request: &Message, status: u16, body: Option<(&str, &[u8])>) -> bytes::Bytes {
    let mut w = Writer::reply(request, status, "", Some("phone"));
    w.header(Name::Contact, format_args!("<sip:user@192.0.2.200:{port}>"));
    match body {
        Some((content_type, body)) => w.body(content_type, body),
        None => w.finish(),
    }
}

impl Talk {
    /// Rings.
    pub fn ringing(offer: Option<&str>) -> Talk {
        let mut desk = Desk::new();
        register(&mut desk);
        let sent = desk.take_from(CALLER, &invite(offer));
        let leg = the(&sent, PHONE, Method::Invite, 0);
        let sent = desk.take_from(PHONE, &reply(&leg, 180, None));
        let answer = the(&sent, CALLER, Method::Invite, 180);
        Talk { desk, leg, answer, sent: 0 }
    }

    /// Answered, and acknowledged on both sides.
    pub fn up() -> Talk {
        let mut talk = Talk::ringing(Some(&sdp(4000, "sendrecv")));
        let sent =
            talk.desk.take_from(PHONE, &reply(&talk.leg, 200, Some((SDP, sdp(5000, "sendrecv").as_bytes()))));
        the(&sent, PHONE, Method::Ack, 0);
        talk.answer = the(&sent, CALLER, Method::Invite, 200);
        assert!(talk.request(Caller, "ACK", 1, &[], None).is_empty());
        talk
    }

    /// A party's request in its dialog. `fields` take the place of those of their name.
    pub fn request(
        &mut self,
        who: Who,
        method: &str,
        cseq: u32,
        fields: &[(Name, &str)],
        body: Option<(&str, &[u8])>,
    ) -> Vec<(u16, Message)> {
        self.sent += 1;
        let (port, made) = match who {
            Caller => (CALLER, &self.answer),
            Phone => (PHONE, &self.leg),
        };
        let value = |name| made.value(name).unwrap_or_default().to_owned();
        // A party's own end is the From of its requests: of the response it got, or the To of the request.
        let (from, to) = match who {
            Caller => (value(Name::From), value(Name::To)),
            Phone => (format!("{};tag=phone", value(Name::To)), value(Name::From)),
        };
        let target = made.addresses(Name::Contact).next().unwrap().uri.text.to_owned();
        let via = format!("SIP/2.0/UDP 192.0.2.200:{port};branch=z9hG4bK{who:?}{}", self.sent);
        let mut w = Writer::request(method, &target);
        let usual = [
            (Name::Via, via),
            (Name::MaxForwards, "70".to_owned()),
            (Name::From, from),
            (Name::To, to),
            (Name::CallId, value(Name::CallId)),
            (Name::CSeq, format!("{cseq} {method}")),
            (Name::Contact, format!("<sip:{who:?}@192.0.2.200:{port}>")),
        ];
        for (name, value) in usual {
            let given = fields.iter().find(|(given, _)| *given == name);
            w.header(name, given.map_or(value.as_str(), |(_, value)| value));
        }
        let more =
            [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq, Name::Contact, Name::MaxForwards];
        for (name, value) in fields.iter().filter(|(name, _)| !more.contains(name)) {
            w.header(*name, value);
        }
        let bytes = match body {
            Some((content_type, body)) => w.body(content_type, body),
            None => w.finish(),
        };
        self.desk.take_from(port, &bytes)
    }

    /// What a party answers to a request that it got.
    pub fn answers(
        &mut self,
        who: Who,
        request: &Message,
        status: u16,
        body: Option<(&str, &[u8])>,
    ) -> Vec<(u16, Message)> {
        let port = if who == Caller { CALLER } else { PHONE };
        self.desk.take_from(port, &reply_of(port, request, status, body))
    }
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

/// RFC 3261 §14, RFC 3264 §8.4: with each side's description pointed at our relay, and the dialog's own CSeq.
#[test]
fn hold_and_resume_cross_with_both_descriptions_pointed_at_the_relay() {
    let mut talk = Talk::up();
    for (cseq, offered, answered) in [(2, "sendonly", "recvonly"), (3, "sendrecv", "sendrecv")] {
        let sent = talk.request(Caller, "INVITE", cseq, &[], Some((SDP, sdp(4000, offered).as_bytes())));
        the(&sent, CALLER, Method::Invite, 100);
        let passed = the(&sent, PHONE, Method::Invite, 0);
        assert_eq!(passed.cseq().unwrap().number, cseq);
        assert!(
            text(&passed).contains(&format!("a={offered}")) && text(&passed).contains("c=IN IP4 192.0.2.100")
        );
        let sent = talk.answers(Phone, &passed, 200, Some((SDP, sdp(5000, answered).as_bytes())));
        let ack = the(&sent, PHONE, Method::Ack, 0);
        assert_eq!(ack.cseq().unwrap().number, cseq, "§13.2.2.4: the number of its INVITE");
        let answer = the(&sent, CALLER, Method::Invite, 200);
        assert!(
            text(&answer).contains(&format!("a={answered}"))
                && text(&answer).contains("c=IN IP4 192.0.2.100")
        );
        assert!(talk.request(Caller, "ACK", cseq, &[], None).is_empty());
    }
}

/// RFC 3261 §14.2.
#[test]
fn of_two_that_change_the_session_at_once_the_second_gets_491() {
    let mut talk = Talk::up();
    let offer = sdp(4000, "sendonly");
    let sent = talk.request(Caller, "INVITE", 2, &[], Some((SDP, offer.as_bytes())));
    let passed = the(&sent, PHONE, Method::Invite, 0);
    for (n, method) in ["INVITE", "UPDATE"].into_iter().enumerate() {
        let sent = talk.request(Phone, method, 1 + n as u32, &[], Some((SDP, offer.as_bytes())));
        assert_eq!(sent.iter().map(|(_, message)| message.status()).collect::<Vec<_>>(), [491], "{method}");
    }
    let sent = talk.answers(Phone, &passed, 200, Some((SDP, sdp(5000, "recvonly").as_bytes())));
    the(&sent, CALLER, Method::Invite, 200);
}

/// RFC 3261 §14.1: as if it had never been sent.
#[test]
fn a_refused_change_leaves_the_call_as_it_was() {
    let mut talk = Talk::up();
    let sent = talk.request(Caller, "INVITE", 2, &[], Some((SDP, sdp(4000, "sendonly").as_bytes())));
    let passed = the(&sent, PHONE, Method::Invite, 0);
    let sent = talk.answers(Phone, &passed, 488, None);
    the(&sent, CALLER, Method::Invite, 488);
    the(&sent, PHONE, Method::Ack, 0);
    let sent = talk.request(Caller, "INFO", 3, &[], None);
    the(&sent, PHONE, Method::Info, 0);
}

/// RFC 3261 §9.2 for a re-INVITE.
#[test]
fn a_change_that_is_given_up_is_cancelled_on_the_other_side() {
    let mut talk = Talk::up();
    let sent = talk.request(Caller, "INVITE", 2, &[], Some((SDP, sdp(4000, "sendonly").as_bytes())));
    let passed = the(&sent, PHONE, Method::Invite, 0);
    talk.answers(Phone, &passed, 180, None);
    talk.sent -= 1; // a CANCEL has the branch of what it cancels
    let sent = talk.request(Caller, "CANCEL", 2, &[], None);
    the(&sent, CALLER, Method::Cancel, 200);
    the(&sent, PHONE, Method::Cancel, 0);
    let sent = talk.answers(Phone, &passed, 487, None);
    the(&sent, CALLER, Method::Invite, 487);
}

/// RFC 3311.
#[test]
fn an_update_crosses_with_its_description_pointed_at_the_relay() {
    let mut talk = Talk::up();
    let sent = talk.request(Phone, "UPDATE", 1, &[], Some((SDP, sdp(5000, "sendonly").as_bytes())));
    let passed = the(&sent, CALLER, Method::Update, 0);
    assert!(text(&passed).contains("c=IN IP4 192.0.2.100"));
    let sent = talk.answers(Caller, &passed, 200, Some((SDP, sdp(4000, "recvonly").as_bytes())));
    assert!(text(&the(&sent, PHONE, Method::Update, 200)).contains("a=recvonly"));
}

/// RFC 6086 §5: whatever it is made of.
#[test]
fn the_body_of_an_info_crosses_byte_for_byte() {
    let mut talk = Talk::up();
    let body: Vec<u8> = (0..=255).collect();
    for (who, port, cseq) in [(Caller, PHONE, 2), (Phone, CALLER, 1)] {
        let sent = talk.request(who, "INFO", cseq, &[], Some(("application/x-any", &body)));
        let passed = the(&sent, port, Method::Info, 0);
        assert_eq!((passed.content_type(), &passed.body()[..]), (Some("application/x-any"), &body[..]));
    }
    let parts = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\n\r\n\xff\r\n--b--\r\n";
    let sent = talk.request(Caller, "INFO", 3, &[], Some(("multipart/mixed;boundary=b", parts)));
    assert_eq!(&the(&sent, PHONE, Method::Info, 0).body()[..], parts);
}

/// RFC 3261 §12.2.2.
#[test]
fn an_older_cseq_is_500_and_a_gap_is_none() {
    let mut talk = Talk::up();
    the(&talk.request(Caller, "INFO", 9, &[], None), PHONE, Method::Info, 0);
    the(&talk.request(Caller, "INFO", 8, &[], None), CALLER, Method::Info, 500);
    the(&talk.request(Caller, "OPTIONS", 10, &[], None), CALLER, Method::Options, 200);
}

/// RFC 3261 §11.2: what is answered in a dialog is what is answered outside of one, and nothing of it crosses.
#[test]
fn options_in_a_dialog_are_answered_with_what_we_take() {
    let says = |message: &Message| {
        for (name, word) in
            [(Name::Allow, "UPDATE"), (Name::Accept, "application/sdp"), (Name::Supported, "replaces")]
        {
            let value = message.value(name).unwrap_or_default();
            assert!(value.contains(word), "{word} in {value:?}");
        }
        assert!(message.body().is_empty());
    };
    let mut early = Talk::ringing(Some(&sdp(4000, "sendrecv")));
    says(&the(&early.request(Caller, "OPTIONS", 2, &[], None), CALLER, Method::Options, 200));
    let mut talk = Talk::up();
    for (who, port) in [(Caller, CALLER), (Phone, PHONE)] {
        let sent = talk.request(who, "OPTIONS", 2, &[], None);
        assert_eq!(sent.len(), 1, "it goes no further");
        says(&the(&sent, port, Method::Options, 200));
    }
}

/// RFC 3261 §12.2.2: the Call-ID and both tags, or none.
#[test]
fn a_request_that_belongs_to_no_dialog_is_481() {
    let mut talk = Talk::up();
    for field in [
        (Name::To, "<sip:user@example.com>;tag=other"),
        (Name::From, "<sip:caller@example.com>;tag=b"),
        (Name::CallId, "other"),
    ] {
        for method in ["BYE", "INVITE", "INFO"] {
            let sent = talk.request(Caller, method, 2, &[field], None);
            assert_eq!(
                sent.iter().map(|(_, message)| message.status()).collect::<Vec<_>>(),
                [481],
                "{field:?}"
            );
        }
    }
    the(&talk.request(Caller, "BYE", 2, &[], None), CALLER, Method::Bye, 200);
}

#[test]
fn what_we_do_not_take_in_a_dialog_is_405_and_what_must_be_understood_420() {
    let mut talk = Talk::up();
    let refused = the(&talk.request(Caller, "PUBLISH", 2, &[], None), CALLER, Method::Publish, 405);
    assert!(refused.value(Name::Allow).is_some());
    let refused =
        the(&talk.request(Caller, "INFO", 3, &[(Name::Require, "x")], None), CALLER, Method::Info, 420);
    assert_eq!(refused.value(Name::Unsupported), Some("x"));
}

/// RFC 3261 §12.2.2: the Contact of a re-INVITE is the target of what follows.
#[test]
fn a_new_contact_is_where_later_requests_go() {
    let mut talk = Talk::up();
    let moved = [(Name::Contact, "<sip:elsewhere@192.0.2.200:5080>")];
    let sent = talk.request(Phone, "INVITE", 1, &moved, Some((SDP, sdp(5000, "sendrecv").as_bytes())));
    let passed = the(&sent, CALLER, Method::Invite, 0);
    let sent = talk.answers(Caller, &passed, 200, Some((SDP, sdp(4000, "sendrecv").as_bytes())));
    the(&sent, CALLER, Method::Ack, 0);
    the(&sent, PHONE, Method::Invite, 200);
    talk.request(Phone, "ACK", 1, &[], None);
    let sent = talk.request(Caller, "BYE", 2, &[], None);
    let bye = the(&sent, 5080, Method::Bye, 0);
    assert_eq!(bye.request_uri(), "sip:elsewhere@192.0.2.200:5080");
}

/// RFC 3261 §15.1.2, RFC 3326.
#[test]
fn a_bye_ends_both_dialogs_and_takes_its_reasons_along() {
    for (who, here, there) in [(Caller, CALLER, PHONE), (Phone, PHONE, CALLER)] {
        let mut talk = Talk::up();
        let sent = talk.request(who, "BYE", 2, &[(Name::Reason, "Q.850;cause=16")], None);
        the(&sent, here, Method::Bye, 200);
        let bye = the(&sent, there, Method::Bye, 0);
        assert_eq!(bye.value(Name::Reason), Some("Q.850;cause=16"));
        assert_eq!(talk.request(who, "BYE", 3, &[], None)[0].1.status(), 481);
    }
}

/// RFC 3261 §12.2.1.2: who has no such dialog, or says nothing, is gone.
#[test]
fn a_dialog_that_is_gone_on_one_side_ends_on_both() {
    let mut talk = Talk::up();
    let sent = talk.request(Caller, "INFO", 2, &[], None);
    let passed = the(&sent, PHONE, Method::Info, 0);
    let sent = talk.answers(Phone, &passed, 481, None);
    the(&sent, CALLER, Method::Info, 481);
    the(&sent, CALLER, Method::Bye, 0);
    let mut talk = Talk::up();
    talk.request(Caller, "INFO", 2, &[], None);
    let sent = talk.desk.pass(Duration::from_secs(33));
    assert!(sent.iter().all(|(_, message)| message.status() != 408), "RFC 4320 §4.2");
    assert!(sent.iter().any(|(port, message)| *port == CALLER && message.method() == Method::Bye));
}

/// RFC 3261 §13.3.1.4: T1, doubling up to T2, and after 64*T1 the call is ended.
#[test]
fn an_answer_is_repeated_until_its_ack_and_without_one_the_call_ends() {
    let mut talk = Talk::ringing(Some(&sdp(4000, "sendrecv")));
    let sent =
        talk.desk.take_from(PHONE, &reply(&talk.leg, 200, Some((SDP, sdp(5000, "sendrecv").as_bytes()))));
    talk.answer = the(&sent, CALLER, Method::Invite, 200);
    let answers =
        |sent: Vec<(u16, Message)>| sent.iter().filter(|(_, message)| message.status() == 200).count();
    assert_eq!(answers(talk.desk.pass(Duration::from_millis(7_600))), 4);
    let sent = talk.desk.pass(Duration::from_secs(30));
    for party in [CALLER, PHONE] {
        assert!(sent.iter().any(|(port, message)| *port == party && message.method() == Method::Bye));
    }
    // With the ACK there is no more of it.
    let mut talk = Talk::up();
    assert_eq!(answers(talk.desk.pass(Duration::from_secs(40))), 0);
}

/// RFC 3261 §13.2.2.4: the ACK is repeated for a repeated 2xx.
#[test]
fn a_repeated_answer_of_the_phone_gets_its_ack_again() {
    let mut talk = Talk::up();
    let sent =
        talk.desk.take_from(PHONE, &reply(&talk.leg, 200, Some((SDP, sdp(5000, "sendrecv").as_bytes()))));
    the(&sent, PHONE, Method::Ack, 0);
    assert_eq!(sent.len(), 1, "{sent:?}");
}

/// RFC 3261 §13.2.1, RFC 3264 §5: no offer in the INVITE, the offer in the 200, the answer in the ACK.
#[test]
fn a_late_offer_crosses_and_its_answer_comes_with_the_ack() {
    let mut talk = Talk::ringing(None);
    assert!(talk.leg.body().is_empty());
    let sent =
        talk.desk.take_from(PHONE, &reply(&talk.leg, 200, Some((SDP, sdp(5000, "sendrecv").as_bytes()))));
    talk.answer = the(&sent, CALLER, Method::Invite, 200);
    assert!(text(&talk.answer).contains("c=IN IP4 192.0.2.100"));
    assert!(sent.iter().all(|(_, message)| message.method() != Method::Ack), "the ACK waits for the answer");
    let sent = talk.request(Caller, "ACK", 1, &[], Some((SDP, sdp(4000, "sendrecv").as_bytes())));
    let ack = the(&sent, PHONE, Method::Ack, 0);
    assert!(text(&ack).contains("c=IN IP4 192.0.2.100") && text(&ack).contains("a=sendrecv"));
}

/// RFC 3261 §15: the caller may, the called may not.
#[test]
fn a_bye_of_the_caller_ends_what_still_rings() {
    let mut talk = Talk::ringing(Some(&sdp(4000, "sendrecv")));
    let sent = talk.request(Caller, "BYE", 2, &[], None);
    the(&sent, CALLER, Method::Bye, 200);
    the(&sent, CALLER, Method::Invite, 487);
    the(&sent, PHONE, Method::Cancel, 0);
    let mut talk = Talk::ringing(Some(&sdp(4000, "sendrecv")));
    the(&talk.request(Phone, "BYE", 1, &[], None), PHONE, Method::Bye, 481);
}

/// RFC 3261 §12.1.1, §12.1.2: who speaks RFC 2543 has no tags, and can be called and hung up on all the same.
#[test]
fn a_party_without_a_tag_has_a_dialog() {
    let mut desk = Desk::new();
    register(&mut desk);
    let text = String::from_utf8(invite(Some(&sdp(4000, "sendrecv"))).to_vec()).unwrap();
    let sent = desk.take_from(CALLER, text.replace(";tag=a", "").as_bytes());
    let leg = the(&sent, PHONE, Method::Invite, 0);
    let answer = reply(&leg, 200, Some((SDP, sdp(5000, "sendrecv").as_bytes())));
    let answer = String::from_utf8(answer.to_vec()).unwrap().replace(";tag=phone", "");
    let sent = desk.take_from(PHONE, answer.as_bytes());
    the(&sent, PHONE, Method::Ack, 0);
    let answer = the(&sent, CALLER, Method::Invite, 200);
    let mut talk = Talk { desk, leg, answer, sent: 0 };
    talk.request(Caller, "ACK", 1, &[], None);
    let sent = talk.request(Caller, "BYE", 2, &[], None);
    the(&sent, CALLER, Method::Bye, 200);
    assert_eq!(the(&sent, PHONE, Method::Bye, 0).to().unwrap().tag(), None);
}

/// RFC 3311 §5.2: while the offer of the INVITE is open.
#[test]
fn an_update_before_the_answer_is_500_with_retry_after() {
    let mut talk = Talk::ringing(Some(&sdp(4000, "sendrecv")));
    let sent = talk.request(Caller, "UPDATE", 2, &[], Some((SDP, sdp(4000, "sendonly").as_bytes())));
    let refused = the(&sent, CALLER, Method::Update, 500);
    assert!(refused.number(Name::RetryAfter).is_some_and(|seconds| seconds <= 10));
}

/// RFC 3261 §13.3.1.1.
#[test]
fn who_waits_long_is_told_every_minute_that_it_rings() {
    let mut talk = Talk::ringing(Some(&sdp(4000, "sendrecv")));
    let ringing = |sent: Vec<(u16, Message)>| {
        let to_caller = sent.into_iter().filter(|(port, _)| *port == CALLER);
        to_caller.map(|(_, message)| message.status()).collect::<Vec<_>>()
    };
    assert_eq!(ringing(talk.desk.pass(Duration::from_secs(59))), [0; 0]);
    assert_eq!(ringing(talk.desk.pass(Duration::from_secs(2))), [180]);
    assert_eq!(ringing(talk.desk.pass(Duration::from_secs(120))), [180, 180]);
    let sent = talk.desk.take_from(PHONE, &reply(&talk.leg, 486, None));
    the(&sent, CALLER, Method::Invite, 486);
    assert_eq!(
        ringing(talk.desk.pass(Duration::from_secs(120))).iter().filter(|status| **status == 180).count(),
        0
    );
}
