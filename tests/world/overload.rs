//! More comes than can be done: what is refused, in which order, and how (RFC 3261 §21.5.4). Time passes by what is done.

use crate::registrar::{Field, Sent, tcp, udp};
use crate::{A_LINE, DOMAIN, net::configured, s};
use bytes::Bytes;
use ringtree::sip::{Flow, Message, Method, Name};
use ringtree::switch::Input;
use ringtree::switch::backlog::{Backlog, CALL_WAITS, Class, Next, OTHER_WAITS};
use ringtree::switch::overload::REFUSALS_S;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ANN: &str = "127.0.1.1:5060";
const BOB: &str = "127.0.1.2:5060";
const STRANGER: &str = "198.51.100.9:5060";
/// What doing anything new takes here.
const COST: Duration = Duration::from_millis(1);

/// A crowd before the switch, handled as the signalling thread does it.
struct Rush {
    field: Field,
    backlog: Backlog<(Flow, Bytes)>,
    /// By Call-ID: the final responses to it, and how long after the crowd came.
    finals: BTreeMap<String, Vec<(Message, Duration)>>,
    began: std::time::Instant,
}

impl Rush {
    fn new(field: Field) -> Rush {
        let began = field.now.mono;
        Rush { field, backlog: Backlog::default(), finals: BTreeMap::new(), began }
    }

    fn comes(&mut self, from: &str, text: &str) {
        let (flow, bytes) = (udp(from), Bytes::copy_from_slice(text.as_bytes()));
        assert!(self.field.switch.admits(self.field.now, &flow, &bytes));
        match self.field.switch.class(self.field.now, &flow, &bytes) {
            Class::Begun => {
                let message = Message::parse(bytes).unwrap();
                let sent = self.field.input(Input::Packet { flow, message });
                self.heard(sent);
            }
            Class::Spent => {}
            class => self.backlog.put(self.field.now.mono, class, (flow, bytes)).unwrap(),
        }
    }

    /// Until nothing waits.
    fn work(&mut self) {
        while let Some(next) = self.backlog.next(self.field.now.mono) {
            let sent = match next {
                Next::Do(_, (flow, bytes)) => {
                    let message = Message::parse(bytes).unwrap();
                    let sent = self.field.input(Input::Packet { flow, message });
                    self.field.pass(COST);
                    sent
                }
                Next::Refuse(class, (flow, bytes)) => self.field.refuse(class, flow, bytes),
            };
            self.heard(sent);
        }
    }

    fn heard(&mut self, sent: Vec<Sent>) {
        let after = self.field.now.mono.saturating_duration_since(self.began);
        for Sent { message, .. } in sent {
            if !message.is_request() && message.status() >= 200 {
                self.finals.entry(message.call_id().to_owned()).or_default().push((message, after));
            }
        }
    }

    fn only(&self, call_id: &str) -> &(Message, Duration) {
        let [only] = &self.finals[call_id][..] else { panic!("{call_id}: {:?}", self.finals[call_id]) };
        only
    }

    /// Those of whose Call-IDs begin so: (done, refused).
    fn came_of(&self, prefix: &str) -> (usize, usize) {
        let of = self.finals.iter().filter(|(call_id, _)| call_id.starts_with(prefix));
        let (refused, done): (Vec<_>, Vec<_>) = of.partition(|(_, finals)| finals[0].0.status() == 503);
        (done.len(), refused.len())
    }
}

fn request(method: &str, from: &str, uri: &str, call_id: &str, to: &str, cseq: u32) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{call_id}{cseq}{method};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:ann1@{DOMAIN}>;tag=f{call_id}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:ann1@{ANN}>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// To nobody: done as soon as it is decided.
fn call(n: u32) -> String {
    let uri = format!("sip:999@{DOMAIN}");
    request("INVITE", ANN, &uri, &format!("call{n}"), &format!("<{uri}>"), 1)
}

fn register(n: u32) -> String {
    let to = format!("<sip:bob1@{DOMAIN}>");
    request("REGISTER", BOB, &format!("sip:{DOMAIN}"), &format!("register{n}"), &to, n + 1)
        .replace("From: <sip:ann1", "From: <sip:bob1")
        .replace("Contact: <sip:ann1@127.0.1.1", "Contact: <sip:bob1@127.0.1.2")
}

fn retry_after(refusal: &Message) -> u32 {
    refusal.other("Retry-After").or_else(|| refusal.value(Name::RetryAfter)).unwrap().parse().unwrap()
}

/// Ann has a call with Bob; her To in it.
fn talking() -> (Field, String) {
    let mut field = Field::with(A_LINE, configured(|_| ()));
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    let uri = format!("sip:200@{DOMAIN}");
    let sent = field.give(udp(ANN), &request("INVITE", ANN, &uri, "talk", &format!("<{uri}>"), 1));
    let invite = sent.into_iter().find(|sent| sent.message.is_request()).expect("Bob is rung");
    let sent = field.reply(&invite, 200);
    let answer = sent.iter().find(|sent| !sent.message.is_request()).expect("Ann hears it");
    assert_eq!((answer.message.status(), answer.message.call_id()), (200, "talk"));
    let to = answer.message.value(Name::To).unwrap().to_owned();
    field.give(udp(ANN), &request("ACK", ANN, &uri, "talk", &to, 1));
    (field, to)
}

#[test]
fn registrations_are_refused_before_calls_and_what_was_begun_and_calls_for_help_never() {
    let (field, to) = talking();
    let mut rush = Rush::new(field);
    for n in 0..300 {
        rush.comes(BOB, &register(n));
        rush.comes(ANN, &call(n));
    }
    let help = request("INVITE", ANN, "sip:911@pbx.example", "help", "<sip:911@pbx.example>", 1);
    rush.comes(ANN, &help);
    rush.comes(ANN, &request("BYE", ANN, "sip:200@pbx.example", "talk", &to, 2));
    // Both at once, though six hundred came before.
    assert_eq!((rush.only("talk").0.status(), rush.only("talk").1), (200, Duration::ZERO));
    let helped = rush.field.media.iter().any(|_| true) || rush.finals.contains_key("help");
    assert!(helped, "the call for help was decided");
    rush.work();
    assert!(rush.finals.get("help").is_none_or(|finals| finals[0].0.status() != 503));
    let ((registered, not_registered), (called, not_called)) =
        (rush.came_of("register"), rush.came_of("call"));
    assert_eq!((registered + not_registered, called + not_called), (300, 300), "each has its answer");
    assert!((90..=101).contains(&called), "{called}: as many as there was time for");
    assert!(registered < 10 && registered > 2, "{registered}: calls go first, and leave a share");
    for (call_id, finals) in &rush.finals {
        let (answer, after) = &finals[0];
        if answer.status() != 503 {
            continue;
        }
        let (waits, again) = match call_id.starts_with("call") {
            true => (CALL_WAITS, 1..5),
            false => (OTHER_WAITS, 5..30),
        };
        assert!(*after > waits && *after <= waits + 2 * COST, "{call_id} {after:?}");
        assert!(again.contains(&retry_after(answer)), "{answer:?}");
        assert!(answer.to().unwrap().tag().is_some(), "RFC 3261 §8.2.6.2");
    }
    let refusals = rush.finals.values().map(|finals| &finals[0].0).filter(|answer| answer.status() == 503);
    let lots: BTreeSet<u32> = refusals.map(retry_after).collect();
    assert!(lots.len() > 15, "they don't come back all at once: {lots:?}");
}

#[test]
fn an_overload_is_told_when_it_begins_and_when_it_is_over_and_then_all_is_as_before() {
    let (field, _) = talking();
    let mut rush = Rush::new(field);
    (0..300).for_each(|n| rush.comes(ANN, &call(n)));
    assert_eq!(rush.field.switch.counters().overload, 0);
    rush.work();
    let (done, refused) = rush.came_of("call");
    assert_eq!(rush.field.switch.counters().overload, 1);
    assert_eq!(rush.field.events_named("overload.began").len(), 1);
    assert_eq!(rush.field.events_named("overload.ended").len(), 0);
    rush.field.pass(s(2));
    let ended = rush.field.events_named("overload.ended");
    assert_eq!((ended.len(), &ended[0]["calls"]), (1, &refused.into()), "{done} were done");
    let counters = rush.field.switch.counters();
    assert_eq!((counters.overload, counters.overloads_total), (0, 1));
    assert_eq!(counters.overload_calls_total, refused as u64);
    assert_eq!(rush.field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "").status(), 200);
    rush.comes(ANN, &call(1_000));
    rush.work();
    assert_eq!(rush.only("call1000").0.status(), 404);
}

#[test]
fn a_refusal_keeps_nothing_and_its_ack_costs_nothing() {
    let mut rush = Rush::new(Field::new());
    let (flow, text) = (udp(ANN), call(1));
    let sent = rush.field.refuse(Class::Call, flow, Bytes::from(text.clone()));
    let [refusal] = &sent[..] else { panic!("one answer") };
    assert_eq!((refusal.message.status(), refusal.to.remote), (503, flow.remote));
    assert!(refusal.message.top_via().unwrap().param("rport").is_some());
    assert_eq!(rush.field.switch.counters().transactions, 0);
    let again = rush.field.refuse(Class::Call, flow, Bytes::from(text));
    assert_eq!(again[0].message.bytes(), refusal.message.bytes(), "ever the same (RFC 3261 §8.2.7)");
    let to = refusal.message.value(Name::To).unwrap();
    let ack = request("ACK", ANN, &format!("sip:999@{DOMAIN}"), "call1", to, 1);
    let (switch, now) = (&mut rush.field.switch, rush.field.now);
    assert_eq!(switch.class(now, &flow, ack.as_bytes()), Class::Spent);
}

#[test]
fn what_came_by_a_connection_is_always_answered_and_datagrams_as_far_as_that_can_be_said() {
    let mut field = Field::new();
    let mut said = |flow: Flow| {
        let refused = (0..5_000).map(|n| field.refuse(Class::Registration, flow, Bytes::from(register(n))));
        refused.filter(|sent| !sent.is_empty()).count()
    };
    assert_eq!(said(udp(BOB)), REFUSALS_S as usize / 10, "it comes again (RFC 3261 §17.1.2.2)");
    assert_eq!(said(tcp(1)), 5_000, "it does not");
}

#[test]
fn an_invite_that_is_in_progress_is_not_refused_when_it_comes_again() {
    let mut field = Field::new();
    field.register(udp(BOB), "bob1", "<sip:bob1@127.0.1.2>", "");
    let uri = format!("sip:200@{DOMAIN}");
    let invite = request("INVITE", ANN, &uri, "ring", &format!("<{uri}>"), 1);
    let sent = field.give(udp(ANN), &invite);
    assert!(sent.iter().any(|sent| sent.message.is_request() && sent.message.method() == Method::Invite));
    let again = field.refuse(Class::Call, udp(ANN), Bytes::from(invite));
    assert!(again.iter().all(|sent| sent.message.status() < 200), "it rings");
}

#[test]
fn who_is_known_goes_before_who_is_not() {
    let (mut field, to) = talking();
    let now = field.now;
    let uri = format!("sip:200@{DOMAIN}");
    let mut class = |method, from: &str, to: &str| {
        let text = request(method, from, &uri, "x", to, 1);
        field.switch.class(now, &udp(from), text.as_bytes())
    };
    let new = format!("<{uri}>");
    assert_eq!(class("INVITE", ANN, &new), Class::Call);
    assert_eq!(class("INVITE", STRANGER, &new), Class::Other);
    assert_eq!(class("REGISTER", BOB, &new), Class::Registration);
    for method in ["OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH", "BYE"] {
        assert_eq!(class(method, ANN, &new), Class::Other, "{method}");
    }
    for method in ["INVITE", "BYE", "INFO", "UPDATE", "REFER", "PRACK", "ACK"] {
        assert_eq!(class(method, ANN, &to), Class::Begun, "{method} in a dialog");
    }
    let made_up = format!("{new};tag=a1.1234");
    assert_eq!(class("BYE", ANN, &made_up), Class::Other, "a tag that nobody was told");
    assert_eq!(class("CANCEL", ANN, &new), Class::Begun);
}
