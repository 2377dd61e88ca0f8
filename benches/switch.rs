//! What the pure core costs without any IO: OPTIONS, a REGISTER refresh, and a whole call of eight messages (INVITE, 180, 200, ACK, BYE,
//! 200) between two of a thousand phones. Beside the peer bench it tells how much of a call is ours and how much the kernel's.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // a bench that can't be set up has nothing to say

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use ringtree::clock::Now;
use ringtree::registrar::location::Expiry;
use ringtree::relay::{Command, Media, PortPair, Report};
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::{Domain, Ruleset};
use ringtree::sip::{Flow, Message, Name, Transport};
use ringtree::switch::config::{Config, Listener};
use ringtree::switch::{Action, Input, Switch};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const USERS: usize = 1000;
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.77.0.2\r\ns=-\r\nc=IN IP4 127.77.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8 0 101\r\n\
a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

struct Rig {
    switch: Switch,
    now: Now,
    out: Vec<Action>,
    count: u64,
}

fn ours() -> SocketAddr {
    SocketAddr::from(([127, 77, 0, 1], 5160))
}

fn theirs(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 77, 0, 2], port))
}

impl Rig {
    fn new() -> Rig {
        let mut text = String::from(
            "schema = 1\n[domain]\nname = \"bench.example\"\ntimezone = \"UTC\"\ncountry = \"US\"\n\
             [user.caller]\next = \"caller\"\n[device.caller]\nuser = \"caller\"\naccept_from = [\"127.77.0.2\"]\n",
        );
        for n in 1..=USERS {
            text += &format!(
                "[user.u{n}]\next = \"u{n}\"\n[device.u{n}]\nuser = \"u{n}\"\naccept_from = [\"127.77.0.2\"]\n"
            );
        }
        let files = Files([(Arc::from("domain.toml"), Arc::from(text.as_str()))].into());
        let model = ringtree::rules::source::load(&files).model.unwrap();
        let domain = Domain::compile(&model, Secrets::default(), 1).unwrap();
        let listener = Listener { transport: Transport::Udp, bound: ours(), advertise: ours().to_string() };
        let config = Config {
            listeners: vec![listener],
            default_domain: None,
            digest: vec![ringtree::sip::auth::Algorithm::Md5],
            expiry: Expiry { min_s: 60, max_s: 7200, default_s: 3600, spread_percent: 0 },
            calls_max: 1_000_000,
            node: 0,
            ports_low: 64,
            media_advertise: None,
            media_advertise_ipv6: None,
            fingerprint: None,
            srtp: ringtree::sdp::keying::Srtp::Optional,
            unsolicited_mwi: false,
            strangers: ringtree::switch::strangers::Limits::default(),
            session: ringtree::call::session_timer::Limits::default(),
            drain_after: Duration::from_secs(60),
        };
        let switch = Switch::new(config, [1; 32]);
        let mut rig = Rig { switch, now: ringtree::net::clock::now(), out: Vec::new(), count: 0 };
        rig.input(Input::Rules(Arc::new(Ruleset::new([Arc::new(domain)]))));
        let pair = |n: u16| PortPair { rtp: theirs(20_000 + 2 * n), rtcp: theirs(20_001 + 2 * n) };
        rig.input(Input::Media(Report::Opened { pairs: (0..4096).map(pair).collect(), exhausted: true }));
        for n in 1..=USERS {
            rig.register(n);
        }
        rig
    }

    fn input(&mut self, input: Input) {
        self.out.clear();
        let mut out = std::mem::take(&mut self.out);
        self.switch.handle(self.now, input, &mut out);
        self.out = out;
    }

    /// Time goes on by a millisecond an operation, so that transactions end as they do under load.
    fn tick(&mut self) {
        self.now.mono += Duration::from_millis(1);
        self.now.wall += jiff::SignedDuration::from_millis(1);
        if self.switch.deadline().is_some_and(|at| at <= self.now.mono) {
            self.input(Input::Timeout);
        }
        self.count += 1;
    }

    fn packet(&mut self, port: u16, text: String) {
        let flow = Flow { transport: Transport::Udp, local: ours(), remote: theirs(port), connection: None };
        let message = Message::parse(Bytes::from(text)).unwrap();
        self.input(Input::Packet { flow, message });
    }

    fn request(
        &self,
        method: &str,
        uri: &str,
        (from, to): (&str, &str),
        cseq: u32,
        extra: &str,
        body: &str,
    ) -> String {
        let n = self.count;
        format!(
            "{method} sip:{uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.77.0.2:5080;branch=z9hG4bK{n}{method}\r\nMax-Forwards: 70\r\n\
             From: \"Bench\" <sip:{from}@127.77.0.1>;tag=t{n}\r\nTo: {to}\r\nCall-ID: c{n}@127.77.0.2\r\nCSeq: {cseq} {method}\r\n\
             {extra}User-Agent: bench\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn options(&mut self) {
        self.tick();
        let request =
            self.request("OPTIONS", "127.77.0.1:5160", ("probe", "<sip:127.77.0.1:5160>"), 1, "", "");
        self.packet(5080, request);
    }

    fn register(&mut self, n: usize) {
        self.tick();
        let user = format!("u{n}");
        let extra = format!("Contact: <sip:{user}@127.77.0.2:5070>\r\nExpires: 3600\r\n");
        let to = format!("<sip:{user}@127.77.0.1>");
        let request = self.request("REGISTER", "127.77.0.1:5160", (&user, &to), 1, &extra, "");
        self.packet(5080, request);
    }

    /// What we sent whose first line begins so.
    fn sent(&self, start: &str) -> Option<Message> {
        let bytes = |action: &Action| match action {
            Action::Send { bytes, .. } if bytes.starts_with(start.as_bytes()) => Some(bytes.clone()),
            _ => None,
        };
        self.out.iter().find_map(bytes).and_then(|bytes| Message::parse(bytes).ok())
    }

    fn respond(&mut self, request: &Message, status: &str, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in request.values(Name::Via) {
            text += &format!("Via: {via}\r\n");
        }
        text += &format!(
            "From: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:127.77.0.2:5070>\r\n",
            request.value(Name::From).unwrap(),
            request.value(Name::To).unwrap().split(";tag=").next().unwrap(),
            request.call_id(),
            request.value(Name::CSeq).unwrap()
        );
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.packet(5070, text);
    }

    fn call(&mut self) {
        self.tick();
        let user = format!("u{}", self.count as usize % USERS + 1);
        let to = format!("<sip:{user}@127.77.0.1>");
        let extra = "Contact: <sip:caller@127.77.0.2:5080>\r\nContent-Type: application/sdp\r\n";
        let uri = format!("{user}@127.77.0.1:5160");
        let request = self.request("INVITE", &uri, ("caller", &to), 1, extra, SDP);
        self.packet(5080, request);
        let invite = self.sent("INVITE").expect("the callee is invited");
        self.respond(&invite, "180 Ringing", "");
        self.respond(&invite, "200 OK", SDP);
        let answer = self.sent("SIP/2.0 200").expect("the caller hears the answer");
        let to = answer.value(Name::To).unwrap().to_owned();
        let ack = self.request("ACK", "127.77.0.1:5160", ("caller", &to), 1, "", "");
        self.packet(5080, ack);
        let bye = self.request("BYE", "127.77.0.1:5160", ("caller", &to), 2, "", "");
        self.packet(5080, bye);
        let bye = self.sent("BYE").expect("the callee hears of the end");
        let closed = self.out.iter().find_map(|action| match action {
            Action::Media(Command::Close { id }) => Some(*id),
            _ => None,
        });
        self.respond(&bye, "200 OK", "");
        let id = closed.expect("the relay is closed");
        self.input(Input::Media(Report::Closed { id, media: Media::default() }));
    }
}

fn switch(c: &mut Criterion) {
    let mut rig = Rig::new();
    c.bench_function("switch/options", |b| b.iter(|| rig.options()));
    c.bench_function("switch/register", |b| {
        b.iter(|| {
            let n = rig.count as usize % USERS + 1;
            rig.register(n);
        });
    });
    c.bench_function("switch/call", |b| b.iter(|| rig.call()));
}

criterion_group!(benches, switch);
criterion_main!(benches);
