//! What runs have found, made as small as it can be: a switch, a few messages by hand, and what it sends.

use super::offices::TRUNKS;
use super::wire::Heard;
use crate::net::{configured, switch_address};
use crate::{A_LINE, DOMAIN, TWO_DEVICES, TWO_USERS, ruleset};
use bytes::Bytes;
use ringtree::call::lines::Server;
use ringtree::clock::Now;
use ringtree::relay::{Command, PortPair, Report};
use ringtree::sip::{Flow, Message, Transport};
use ringtree::switch::{Action, Event, Input, Switch};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ANN: &str = "127.0.1.1:5060";
const BOB: &str = "127.0.1.2:5060";

struct Bench {
    switch: Switch,
    began: Instant,
    now: Duration,
    /// What was sent, to whom.
    sent: Vec<(SocketAddr, String)>,
    /// What records say: outcome and status.
    records: Vec<(String, u16)>,
}

impl Bench {
    fn new() -> Bench {
        let mut bench = Bench {
            switch: Switch::new(configured(|_| ()), [7; 32]),
            began: ringtree::net::clock::now().mono, // only differences count
            now: Duration::ZERO,
            sent: Vec::new(),
            records: Vec::new(),
        };
        let users = format!("{TWO_USERS}{A_LINE}");
        bench.input(Input::Rules(Arc::new(ruleset(&users, TWO_DEVICES))));
        let server = |(rank, address): (u32, &&str)| Server {
            rank,
            transport: Transport::Udp,
            weight: 0,
            addresses: vec![address.parse().unwrap()],
            name: None,
        };
        let servers = (0..).zip(TRUNKS[0].1).map(server).collect();
        bench.input(Input::TrunkResolved { domain: DOMAIN.into(), trunk: "line".into(), servers });
        for (address, device) in [(ANN, "ann1"), (BOB, "bob1")] {
            let contact = format!("Contact: <sip:{device}@{address}>\r\nExpires: 3600\r\n");
            bench.request(
                address,
                "REGISTER",
                &format!("sip:{DOMAIN}"),
                device,
                ("r", "", "r"),
                &contact,
                "",
            );
        }
        bench
    }

    fn input(&mut self, input: Input) {
        let elapsed = jiff::SignedDuration::try_from(self.now).unwrap();
        let wall = "2026-11-24T15:00:00Z".parse::<jiff::Timestamp>().unwrap() + elapsed;
        let now = Now { mono: self.began + self.now, wall };
        let mut actions = Vec::new();
        self.switch.handle(now, input, &mut actions);
        for action in actions {
            match action {
                Action::Send { flow, bytes } => {
                    self.sent.push((flow.remote, String::from_utf8(bytes.to_vec()).unwrap()));
                }
                Action::Media(Command::Grow { pairs }) => {
                    let pair = |n: u16| PortPair {
                        rtp: SocketAddr::from(([127, 0, 0, 1], 20_000 + 2 * n)),
                        rtcp: SocketAddr::from(([127, 0, 0, 1], 20_001 + 2 * n)),
                    };
                    let pairs = (0..u16::try_from(pairs).unwrap()).map(pair).collect();
                    self.input(Input::Media(Report::Opened { pairs, exhausted: false }));
                }
                Action::Event(Event::CallEnded(record)) => {
                    self.records.push((record.outcome.clone(), record.status));
                }
                Action::Media(Command::Close { id }) => {
                    self.input(Input::Media(Report::Closed { id, media: ringtree::relay::Media::default() }));
                }
                _ => {}
            }
        }
    }

    fn comes(&mut self, from: &str, text: String) {
        let message = Message::parse(Bytes::from(text)).unwrap();
        let (remote, local) = (from.parse().unwrap(), switch_address());
        self.input(Input::Packet {
            flow: Flow { transport: Transport::Udp, local, remote, connection: None },
            message,
        });
    }

    /// A request of the device; `names`: its branch and tag, the To tag, and the Call-ID.
    #[allow(clippy::too_many_arguments)] // the parts of a request
    fn request(
        &mut self,
        from: &str,
        method: &str,
        uri: &str,
        device: &str,
        names: (&str, &str, &str),
        fields: &str,
        body: &str,
    ) {
        let (branch, to_tag, call_id) = names;
        let to = if method == "REGISTER" { device } else { "x" };
        let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}{device}\r\nMax-Forwards: 70\r\n\
             From: <sip:{device}@{DOMAIN}>;tag=t{device}\r\nTo: <sip:{to}@{DOMAIN}>{to_tag}\r\nCall-ID: {call_id}{device}\r\n\
             CSeq: {} {method}\r\n{fields}{kind}Content-Length: {}\r\n\r\n{body}",
            if matches!(method, "INVITE" | "ACK" | "CANCEL" | "REGISTER") { 1 } else { 2 },
            body.len()
        );
        self.comes(from, text);
    }

    fn invites(&mut self, uri: &str, body: &str) {
        self.request(
            ANN,
            "INVITE",
            uri,
            "ann1",
            ("i", "", "c"),
            &format!("Contact: <sip:ann1@{ANN}>\r\n"),
            body,
        );
    }

    /// The newest request of that method to that address.
    fn asked(&self, to: &str, method: &str) -> String {
        let to: SocketAddr = to.parse().unwrap();
        let is = |(address, text): &&(SocketAddr, String)| {
            *address == to && text.starts_with(&format!("{method} "))
        };
        self.sent.iter().rev().find(is).unwrap_or_else(|| panic!("no {method} to {to}")).1.clone()
    }

    /// How often that was sent there with this To tag.
    fn count(&self, to: &str, method: &str, tag: &str) -> usize {
        let to: SocketAddr = to.parse().unwrap();
        let is = |(address, text): &&(SocketAddr, String)| {
            *address == to
                && Heard::read(text).is_some_and(|heard| heard.method == method && heard.to_tag() == tag)
        };
        self.sent.iter().filter(is).count()
    }

    /// The answer to a request of the switch.
    fn replies(&mut self, from: &str, request: &str, status: u16, tag: &str, body: &str) {
        let heard = Heard::read(request).unwrap();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status} Said\r\n{}\r\nFrom: {}\r\nTo: {};tag={tag}\r\nCall-ID: {}\r\nCSeq: {} {}\r\nContact: <sip:x@{from}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            heard.vias[0],
            heard.from,
            heard.to,
            heard.call_id,
            heard.cseq,
            heard.about,
            body.len()
        );
        self.comes(from, text);
    }

    /// A request of whoever answered with that tag.
    fn hangs_up(&mut self, from: &str, invite: &str, tag: &str) {
        let heard = Heard::read(invite).unwrap();
        let text = format!(
            "BYE sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\nFrom: {};tag={tag}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: 9 BYE\r\nContent-Length: 0\r\n\r\n",
            switch_address(),
            heard.to,
            heard.from,
            heard.call_id
        );
        self.comes(from, text);
    }

    /// Our tag in Ann's dialog.
    fn tag_for_ann(&self) -> String {
        let mut answers = self.sent.iter().rev().filter_map(|(_, text)| Heard::read(text));
        answers.find(|heard| heard.status == 200 && heard.about == "INVITE").unwrap().to_tag().to_owned()
    }
}

fn session(ip: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
}

#[test]
fn a_phone_that_hangs_up_before_its_late_offer_is_answered_gets_its_ack_all_the_same() {
    let mut bench = Bench::new();
    bench.invites(&format!("sip:200@{DOMAIN}"), "");
    let invite = bench.asked(BOB, "INVITE");
    bench.replies(BOB, &invite, 200, "bob", &session("127.0.1.2"));
    assert_eq!(bench.count(BOB, "ACK", "bob"), 0, "the answer is to come from Ann");
    bench.hangs_up(BOB, &invite, "bob");
    assert_eq!(bench.count(BOB, "ACK", "bob"), 1);
}

#[test]
fn whoever_answers_behind_a_proxy_when_the_call_is_over_is_acknowledged_and_hung_up_on() {
    let mut bench = Bench::new();
    bench.invites(&format!("sip:200@{DOMAIN}"), &session("127.0.1.1"));
    let invite = bench.asked(BOB, "INVITE");
    bench.replies(BOB, &invite, 200, "one", &session("127.0.1.2"));
    let tag = bench.tag_for_ann();
    let ours = format!("sip:{}", switch_address());
    bench.request(ANN, "ACK", &ours, "ann1", ("a", &tag, "c"), "", "");
    bench.request(ANN, "BYE", &ours, "ann1", ("b", &tag, "c"), "", "");
    let bye = bench.asked(BOB, "BYE");
    let heard = Heard::read(&bye).unwrap();
    let answered = format!(
        "SIP/2.0 200 OK\r\n{}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} BYE\r\nContent-Length: 0\r\n\r\n",
        heard.vias[0], heard.from, heard.to, heard.call_id, heard.cseq
    );
    bench.comes(BOB, answered);
    assert!(bench.switch.census().calls.is_empty(), "the call is over and forgotten");
    bench.replies(BOB, &invite, 200, "two", &session("127.0.1.2"));
    assert_eq!((bench.count(BOB, "ACK", "two"), bench.count(BOB, "BYE", "two")), (1, 1));
}

#[test]
fn a_trunk_that_has_answered_tries_nobodys_patience_any_more() {
    let mut bench = Bench::new();
    let trunk = TRUNKS[0].1[0];
    bench.invites(&format!("sip:+12025550150@{DOMAIN}"), &session("127.0.1.1"));
    let invite = bench.asked(trunk, "INVITE");
    bench.replies(trunk, &invite, 200, "one", &session("10.2.0.1"));
    let tag = bench.tag_for_ann();
    let ours = format!("sip:{}", switch_address());
    bench.request(ANN, "ACK", &ours, "ann1", ("a", &tag, "c"), "", "");
    bench.now = Duration::from_secs(10);
    let fields = format!("Contact: <sip:ann1@{ANN}>\r\nRefer-To: <sip:200@{DOMAIN}>\r\n");
    bench.request(ANN, "REFER", &ours, "ann1", ("f", &tag, "c"), &fields, "");
    bench.asked(BOB, "INVITE");
    let deadline = bench.switch.census().calls[0].deadline.unwrap();
    assert!(deadline > bench.began + bench.now, "a deadline lies in the past");
}

#[test]
fn the_record_of_a_call_whose_answer_could_not_be_told_says_what_the_caller_got() {
    // The caller never acknowledges what it was told reliably: its 200 waits, and then whoever answered hangs up, or its time is over.
    for (waits, status) in [(false, 487), (true, 504)] {
        let mut bench = Bench::new();
        let trunk = TRUNKS[0].1[0];
        let fields = format!("Contact: <sip:ann1@{ANN}>\r\nSupported: 100rel\r\n");
        let uri = format!("sip:+12025550150@{DOMAIN}");
        bench.request(ANN, "INVITE", &uri, "ann1", ("i", "", "c"), &fields, &session("127.0.1.1"));
        let invite = bench.asked(trunk, "INVITE");
        bench.replies(trunk, &invite, 183, "one", &session("10.2.0.1"));
        bench.replies(trunk, &invite, 200, "one", &session("10.2.0.1"));
        let told = |bench: &Bench| {
            let finals = bench.sent.iter().filter_map(|(_, text)| Heard::read(text));
            finals
                .filter(|heard| heard.call_id == "cann1" && heard.status >= 200)
                .map(|heard| heard.status)
                .collect::<Vec<_>>()
        };
        assert!(told(&bench).is_empty(), "the 200 waits for a PRACK");
        if waits {
            for second in 1..40 {
                bench.now = Duration::from_secs(second);
                bench.input(Input::Timeout);
            }
        } else {
            bench.hangs_up(trunk, &invite, "one");
        }
        assert_eq!(told(&bench)[0], status);
        assert_eq!(bench.records, [("failed".to_owned(), status)]);
    }
}
