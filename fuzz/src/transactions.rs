//! Transactions: requests and responses come and go, timers fire, transports fail, in any order and at any time. No deadline lies in the
//! past; a transaction of theirs is answered one way for good; one of ours ends once; a timer that fires says little; and when all is
//! answered and every timer has run, nothing is left.

use super::bytes::Draw;
use bytes::Bytes;
use ringtree::net::clock;
use ringtree::sip::{ConnectionId, Flow, Message, Method, Name, Transport, Writer};
use ringtree::transaction::large::Beside;
use ringtree::transaction::{ClientId, Event, ServerId, Transactions};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const STEPS_MAX: usize = 96;
const METHODS: [&str; 6] = ["INVITE", "OPTIONS", "ACK", "CANCEL", "BYE", "REGISTER"];
const STATUSES: [u16; 10] = [100, 180, 183, 200, 202, 302, 401, 486, 503, 699];
/// What one call of the layer may hand up, for each transaction that there was, and one more.
const EVENTS_MAX: usize = 4;
/// Longer than any transaction lives that is answered and cancelled.
const REST: Duration = Duration::from_secs(300);

pub fn transactions(data: &[u8]) {
    let mut draw = Draw(data);
    let mut bench = Bench::new(draw.byte());
    for _ in 0..STEPS_MAX {
        if draw.is_done() {
            break;
        }
        bench.step(&mut draw);
    }
    bench.end();
}

/// What is known of a transaction of ours.
#[derive(Default)]
struct Ours {
    invite: bool,
    branch: String,
    /// The class of its final response; 0: it has failed.
    ended: Option<u16>,
}

/// What is known of one of theirs: the final responses that have gone out.
#[derive(Default)]
struct Theirs {
    finals: Vec<(u16, Bytes)>,
}

struct Bench {
    layer: Transactions,
    now: Instant,
    out: Vec<Event>,
    ours: BTreeMap<u64, Ours>,
    theirs: BTreeMap<ServerId, (Message, Theirs)>,
    /// Of a response of ours: its number, by which it is known on the wire.
    said: BTreeMap<u64, (ServerId, u16)>,
    transport: Transport,
    begun: usize,
}

impl Bench {
    fn new(setting: u8) -> Bench {
        let mut layer = Transactions::new();
        if setting & 2 != 0 {
            let [udp, tcp] =
                ["192.0.2.1:5060", "192.0.2.1:5062"].map(|text| text.parse().expect("an address"));
            layer.take_large(vec![Beside { udp, tcp, sent_by: "192.0.2.1:5062".into() }]);
        }
        let transport = if setting & 1 == 0 { Transport::Udp } else { Transport::Tcp };
        Bench {
            layer,
            now: clock::now().mono,
            out: Vec::new(),
            ours: BTreeMap::new(),
            theirs: BTreeMap::new(),
            said: BTreeMap::new(),
            transport,
            begun: 0,
        }
    }

    fn flow(&self, peer: u8) -> Flow {
        let remote = if peer & 1 == 0 { "198.51.100.9:5060" } else { "203.0.113.9:5070" };
        let reliable = self.transport.is_reliable() || peer & 4 != 0;
        Flow {
            transport: if reliable { Transport::Tcp } else { Transport::Udp },
            local: "192.0.2.1:5060".parse().expect("an address"),
            remote: remote.parse().expect("an address"),
            connection: (reliable && peer & 2 != 0).then_some(ConnectionId(1)),
        }
    }

    fn step(&mut self, draw: &mut Draw<'_>) {
        let op = draw.byte();
        let flow = self.flow(op >> 5);
        match op & 15 {
            0..=1 => self.send(flow, draw),
            2..=4 => self.answered(flow, draw),
            5..=7 => self.receive(flow, draw),
            8..=9 => {
                let known: Vec<ServerId> = self.theirs.keys().copied().collect();
                if !known.is_empty() {
                    self.respond(draw.of(&known), draw.of(&STATUSES));
                }
            }
            10 => {
                let id = ClientId(u64::from(draw.byte() % 16));
                self.layer.cancel(self.now, id, &["SIP;cause=200"], &mut self.out);
            }
            11 => self.layer.transport_failed(self.now, flow, &mut self.out),
            12 => {
                let length = draw.pair();
                if let Ok(message) = Message::parse(Bytes::copy_from_slice(draw.take(usize::from(length))))
                    && message.check().is_ok()
                {
                    self.begun += 1;
                    self.layer.receive(self.now, flow, message, &mut self.out);
                }
            }
            13 => {
                let known: Vec<ServerId> = self.theirs.keys().copied().collect();
                if !known.is_empty() {
                    let id = draw.of(&known);
                    if draw.flag() {
                        self.layer.forget(id);
                    } else {
                        let response = Writer::reply(&self.theirs[&id].0, 401, "", Some("once")).finish();
                        self.layer.respond_once(id, response, &mut self.out);
                    }
                }
            }
            14 => self.pass(Duration::from_millis(u64::from(draw.pair()))),
            _ => {
                if let Some(at) = self.layer.deadline() {
                    self.pass(at.saturating_duration_since(self.now));
                }
            }
        }
        self.seen();
        self.sound();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.layer.timeout(self.now, &mut self.out);
        assert!(self.layer.deadline().is_none_or(|at| at > self.now), "a deadline lies in the past");
    }

    fn sound(&self) {
        let (clients, servers) = self.layer.len();
        assert!(
            clients <= 2 * self.ours.len() && servers <= self.begun,
            "{clients} and {servers} are too many"
        );
    }

    fn request(method: &str, branch: &str, flow: Flow, padding: usize) -> Bytes {
        let cseq = if matches!(method, "ACK" | "CANCEL" | "INVITE") { 7 } else { 8 };
        let mut writer = Writer::request(method, "sip:bob@198.51.100.9");
        let via = flow.transport.via_word();
        writer
            .header(Name::Via, format_args!("SIP/2.0/{via} 198.51.100.9;rport;branch={branch}"))
            .header(Name::MaxForwards, 70)
            .header(Name::From, "<sip:alice@example.com>;tag=a")
            .header(Name::To, "<sip:bob@example.com>")
            .header(Name::CallId, "call@example.com")
            .header(Name::CSeq, format_args!("{cseq} {method}"));
        if padding > 0 {
            writer.field("Subject", "x".repeat(padding));
        }
        writer.finish()
    }

    fn send(&mut self, flow: Flow, draw: &mut Draw<'_>) {
        let number = self.ours.len() as u64;
        let (kind, padding) = (draw.byte(), if draw.byte() & 3 == 3 { 1_400 } else { 0 });
        let method = ["INVITE", "OPTIONS"][usize::from(kind & 1)];
        let branch = format!("z9hG4bKours{number}");
        let bytes = Bench::request(method, &branch, flow, padding);
        self.ours.insert(number, Ours { invite: method == "INVITE", branch, ended: None });
        self.layer.request(self.now, ClientId(number), flow, bytes, &mut self.out);
    }

    fn answered(&mut self, flow: Flow, draw: &mut Draw<'_>) {
        let (number, status, odd) = (u64::from(draw.byte() % 16), draw.of(&STATUSES), draw.byte());
        let Some(ours) = self.ours.get(&number) else { return };
        let method = match odd & 7 {
            0 => "CANCEL",
            _ if ours.invite => "INVITE",
            _ => "OPTIONS",
        };
        let request = Bench::request(method, &ours.branch, flow, 0);
        let Ok(request) = Message::parse(request) else { return };
        let response = Writer::reply(&request, status, "", (odd & 8 == 0).then_some("tag")).finish();
        let awaited = self.layer.awaits(&response);
        let message = Message::parse(response).expect("our own response");
        let before = self.out.len();
        self.layer.receive(self.now, flow, message, &mut self.out);
        assert!(awaited || self.out.len() == before, "nobody waits for it");
    }

    fn receive(&mut self, flow: Flow, draw: &mut Draw<'_>) {
        let (method, branch) = (draw.of(&METHODS), draw.byte() % 8);
        let bytes = Bench::request(method, &format!("z9hG4bKtheirs{branch}"), flow, 0);
        let message = Message::parse(bytes).expect("sound");
        self.begun += 1;
        if draw.flag() {
            self.layer.receive_urgent(self.now, flow, message, &mut self.out);
        } else {
            self.layer.receive(self.now, flow, message, &mut self.out);
        }
    }

    fn respond(&mut self, id: ServerId, status: u16) {
        let number = self.said.len() as u64;
        let Some((request, _)) = self.theirs.get(&id) else { return };
        let mut writer = Writer::reply(request, status, "", Some("tag"));
        writer.field("X-Number", number);
        self.said.insert(number, (id, status));
        self.layer.respond(self.now, id, status, writer.finish(), &mut self.out);
    }

    /// What has been handed up is held against what was before.
    fn seen(&mut self) {
        let most = EVENTS_MAX * (self.ours.len() + self.begun + 1);
        assert!(self.out.len() <= most, "{} events at once", self.out.len());
        for event in std::mem::take(&mut self.out) {
            match event {
                Event::Send { bytes, .. } => self.sent(bytes),
                Event::Request { id, message, .. } => {
                    assert!(message.method() != Method::Ack);
                    if message.method() == Method::Invite {
                        self.layer.trying(self.now, id, &message, &mut self.out);
                        self.out.clear();
                    }
                    let known = self.theirs.insert(id, (message, Theirs::default()));
                    assert!(known.is_none(), "a name is given once");
                }
                Event::Cancel { invite, .. } => {
                    let (_, theirs) = self.theirs.get(&invite).expect("it names an INVITE that came");
                    assert!(theirs.finals.is_empty(), "it was answered before");
                }
                Event::Response { id, message, .. } => self.heard(id, message.status()),
                Event::Failed { id, .. } => {
                    let ours = self.ours.get_mut(&id.0).expect("ours");
                    assert_eq!(ours.ended, None, "it had ended");
                    ours.ended = Some(0);
                }
                Event::Ack { message, .. } => assert_eq!(message.method(), Method::Ack),
                Event::Unacknowledged { .. } => {}
            }
        }
    }

    fn heard(&mut self, id: ClientId, status: u16) {
        let ours = self.ours.get_mut(&id.0).expect("ours");
        let class = status / 100;
        // Forks answer with a 2xx each, to an INVITE (RFC 6026 §7.2); nothing else comes twice.
        let again = ours.invite && ours.ended == Some(2) && class == 2;
        assert!(ours.ended.is_none() || again, "{status} after {:?}", ours.ended);
        if class > 1 {
            ours.ended = Some(class);
        }
    }

    fn sent(&mut self, bytes: Bytes) {
        let message = Message::parse(bytes.clone()).expect("what is sent can be read");
        let Some(number) = message.other("X-Number").and_then(|number| number.parse::<u64>().ok()) else {
            return;
        };
        let Some((id, status)) = self.said.get(&number).copied().filter(|_| !message.is_request()) else {
            return;
        };
        let Some((request, theirs)) = self.theirs.get_mut(&id) else { return };
        if status < 200 {
            assert!(theirs.finals.is_empty(), "a provisional response after the final one");
            return;
        }
        let lasting = request.method() == Method::Invite && status < 300;
        for (before, said) in &theirs.finals {
            assert!((lasting && *before < 300) || *said == bytes, "{status} after {before}");
        }
        theirs.finals.push((status, bytes));
    }

    /// The transaction user does its duty, and time passes.
    fn end(mut self) {
        let known: Vec<ServerId> = self.theirs.keys().copied().collect();
        for id in known {
            self.respond(id, 500);
            self.seen();
        }
        for number in 0..self.ours.len() as u64 {
            self.layer.cancel(self.now, ClientId(number), &[], &mut self.out);
            self.seen();
        }
        let rest = self.now + REST;
        while let Some(at) = self.layer.deadline().filter(|at| *at < rest) {
            self.pass(at.saturating_duration_since(self.now));
            self.seen();
        }
        self.pass(rest.saturating_duration_since(self.now));
        self.seen();
        assert_eq!(self.layer.len(), (0, 0), "something is left");
        assert_eq!(self.layer.deadline(), None);
        let lasting: Vec<&u64> =
            self.ours.iter().filter(|(_, ours)| ours.ended.is_none()).map(|(number, _)| number).collect();
        assert!(lasting.is_empty(), "nobody heard how {lasting:?} ended");
    }
}
