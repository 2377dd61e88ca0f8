//! What differs between the two dialogs of a call: the numbers of codecs, and how keys are told. Messages are written by hand here.

use crate::net::configured;
use crate::registrar::{Field, Sent, udp};
use crate::{A_LINE, DOMAIN};
use ringtree::call::lines::Server;
use ringtree::relay::{Command, Side};
use ringtree::sip::{Flow, Message, Method, Name, Transport};
use ringtree::switch::Input;

const ANN: &str = "127.0.1.1:5060";
const BOB: &str = "127.0.1.2:5060";

fn field() -> Field {
    let mut field = Field::with(A_LINE, configured(|_| ()));
    let addresses = vec!["203.0.113.5:5060".parse().unwrap()];
    let server = Server { rank: 0, transport: Transport::Udp, weight: 0, addresses, name: None };
    field.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: "line".into(), servers: vec![server] });
    assert_eq!(field.register(udp(BOB), "bob1", &format!("<sip:bob1@{BOB}>"), "").status(), 200);
    assert_eq!(field.register(udp(ANN), "ann1", &format!("<sip:ann1@{ANN}>"), "").status(), 200);
    field
}

/// G.711, and events under that number.
fn events(number: Option<u8>) -> String {
    let (listed, map) = match number {
        Some(n) => (format!(" {n}"), format!("a=rtpmap:{n} telephone-event/8000\r\n")),
        None => (String::new(), String::new()),
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0{listed}\r\n{map}"
    )
}

/// A request of Ann's in her call to that URI; `tag` is ours.
fn of_ann(method: &str, cseq: u32, uri: &str, tag: &str, content: &str, body: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ANN};branch=z9hG4bKa{cseq}{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:ann1@{DOMAIN}>;tag=f\r\nTo: <{uri}>{tag}\r\nCall-ID: of-ann\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:ann1@{ANN}>\r\nAllow: INVITE, ACK, BYE, CANCEL, INFO\r\nContent-Type: {content}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn calls(field: &mut Field, uri: &str, offer: &str) -> Vec<Sent> {
    field.give(udp(ANN), &of_ann("INVITE", 1, uri, "", "application/sdp", offer))
}

fn says(field: &mut Field, request: &Sent, status: u16, description: &str) -> Vec<Sent> {
    let mut w = ringtree::sip::Writer::reply(&request.message, status, "", Some("theirs"));
    w.header(Name::Contact, format_args!("<sip:there@{}>", request.to.remote));
    let bytes = w.body("application/sdp", description.as_bytes());
    field.give(request.to, std::str::from_utf8(&bytes).unwrap())
}

fn request(sent: &[Sent], method: Method) -> &Sent {
    let wanted = |sent: &&Sent| sent.message.is_request() && sent.message.method() == method;
    sent.iter().find(wanted).unwrap_or_else(|| panic!("no {method:?}"))
}

fn response(sent: &[Sent], status: u16) -> &Message {
    let wanted = |sent: &&Sent| !sent.message.is_request() && sent.message.status() == status;
    &sent.iter().find(wanted).unwrap_or_else(|| panic!("no {status}")).message
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

fn tag_of(message: &Message) -> String {
    format!(";tag={}", message.to().unwrap().tag().unwrap())
}

/// What relays were told last of the numbers that side is sent, as text.
fn renumbered(field: &Field, of: Side) -> Option<String> {
    field.media.iter().rev().find_map(|command| match command {
        Command::Renumber { side, by, .. } if *side == of => {
            Some(by.as_ref().map(|by| format!("{by:?}")).unwrap_or_default())
        }
        _ => None,
    })
}

#[test]
fn a_caller_who_was_told_of_another_session_in_early_media_speaks_by_its_numbers() {
    for (accepts, after) in [(false, "{101: 96}"), (true, "")] {
        let mut field = field();
        let uri = "sip:+12025550150@pbx.example";
        let sent = calls(&mut field, uri, &events(Some(101)));
        let line = sent.into_iter().find(|sent| sent.message.is_request()).unwrap();
        let sent = says(&mut field, &line, 183, &events(Some(101)));
        assert!(body(response(&sent, 183)).contains("a=rtpmap:101 telephone-event"));
        let sent = says(&mut field, &line, 200, &events(Some(96)));
        let accepted = response(&sent, 200);
        assert!(body(accepted).contains("a=rtpmap:101 "), "what early media was, once more");
        assert_eq!(renumbered(&field, Side::B).as_deref(), Some("{101: 96}"));
        assert_eq!(renumbered(&field, Side::A), None, "the trunk was told the caller's own numbers");
        // With the ACK the caller is told of the session that there is.
        let sent = field.give(udp(ANN), &of_ann("ACK", 1, uri, &tag_of(accepted), "application/sdp", ""));
        let told = request(&sent, Method::Invite);
        assert!(body(&told.message).contains("a=rtpmap:96 "));
        says(&mut field, told, if accepts { 200 } else { 488 }, &events(Some(96)));
        assert_eq!(renumbered(&field, Side::B).as_deref(), Some(after), "it takes it: {accepts}");
    }
}

#[test]
fn parties_that_were_told_of_one_another_need_no_other_numbers() {
    let mut field = field();
    let sent = calls(&mut field, "sip:200@pbx.example", &events(Some(101)));
    // RFC 3264 §6.1 lets an answer number as it likes: each sends by the numbers of the other.
    says(&mut field, request(&sent, Method::Invite), 200, &events(Some(96)));
    assert_eq!((renumbered(&field, Side::A), renumbered(&field, Side::B)), (None, None));
}

fn key(content: &str) -> (&'static str, &'static str) {
    match content {
        "relay" => ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        _ => ("application/dtmf", "5"),
    }
}

/// Bob's phone, which is called by Ann, presses a key and says so in an INFO.
fn pressed(caller: Option<u8>, callee: Option<u8>, content: &str) -> (Field, Vec<Sent>) {
    let mut field = field();
    let sent = calls(&mut field, "sip:200@pbx.example", &events(caller));
    let rung = request(&sent, Method::Invite);
    let (flow, invite): (Flow, Message) = (rung.to, rung.message.clone());
    let sent = says(&mut field, rung, 200, &events(callee));
    let tag = tag_of(response(&sent, 200));
    field.give(udp(ANN), &of_ann("ACK", 1, "sip:200@pbx.example", &tag, "application/sdp", ""));
    let (kind, text) = key(content);
    let contact = invite.value(Name::Contact).unwrap().trim_matches(['<', '>']);
    let info = format!(
        "INFO {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {BOB};branch=z9hG4bKinfo\r\nMax-Forwards: 70\r\n\
         From: {};tag=theirs\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 7 INFO\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n{text}",
        invite.value(Name::To).unwrap(),
        invite.value(Name::From).unwrap(),
        invite.call_id(),
        text.len()
    );
    let sent = field.give(flow, &info);
    (field, sent)
}

#[test]
fn a_key_of_an_info_is_an_event_to_whoever_has_agreed_on_events_where_its_sender_has_not() {
    for content in ["relay", "short"] {
        let (field, sent) = pressed(Some(101), None, content);
        let told = field.media.iter().find_map(|command| match command {
            Command::Press { side, key, .. } => Some((*side, key.event, key.payload_type, key.lasts)),
            _ => None,
        });
        assert_eq!(told, Some((Side::A, 5, 101, 800)), "{content}");
        assert_eq!(response(&sent, 200).cseq().map(|cseq| cseq.method), Some(Method::Info));
        assert!(!sent.iter().any(|sent| sent.message.is_request()), "once, not twice");
    }
}

#[test]
fn a_key_of_an_info_is_passed_on_where_both_have_events_or_neither_has() {
    for events in [Some(101), None] {
        let (field, sent) = pressed(events, events, "relay");
        assert_eq!(body(&request(&sent, Method::Info).message), key("relay").1);
        assert!(!field.media.iter().any(|command| matches!(command, Command::Press { .. })));
    }
}
