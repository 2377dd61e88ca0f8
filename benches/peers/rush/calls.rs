//! Calls at a rate, and what becomes of them.

use crate::{field, socket, status, towards};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const T1: Duration = Duration::from_millis(500);
/// After the last call was begun, those that may still get through are waited for.
const LEFT: Duration = Duration::from_secs(5);
const RETRANSMISSIONS: u32 = 3;
/// Calls begun, and messages read, between two looks at what else there is to do.
const BATCH: u64 = 16;
const READ_MAX: usize = 128;
/// What the socket that is handed over cuts what is sent into (`UDP_SEGMENT`): an INVITE is filled up to it, so that a batch of them is one
/// system call and one way through the stack. Else who offers would be slower than who answers.
const SEGMENT: usize = 768;
const SEGMENTS_MAX: usize = 32;
/// A 100 takes a few milliseconds.
const UNHEARD: Duration = Duration::from_millis(200);
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.77.0.2\r\ns=-\r\nc=IN IP4 127.77.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Offered,
    Held,
    Help,
    Probe,
}

struct Call {
    kind: Kind,
    /// The request that waits for its final response, and since when.
    waits: Option<(String, Instant)>,
    sent: u32,
    cseq: u32,
    /// To and Request-URI of the dialog.
    dialog: Option<(String, String)>,
}

#[derive(Default)]
struct Counts {
    begun: u64,
    done: u64,
    refused: u64,
    otherwise: u64,
    resent: u64,
    unsent: u64,
    setup_ms: Vec<f64>,
    asked: u64,
    answered: u64,
    asked_ms: Vec<f64>,
    help: u64,
    helped: u64,
    help_ms: Vec<f64>,
    help_refused: u64,
    probes_refused: u64,
    last_refused: Option<Instant>,
    held_lost: u64,
    held_ended: u64,
}

struct Rush {
    server: SocketAddr,
    caller: UdpSocket,
    callee: UdpSocket,
    /// INVITEs of [`SEGMENT`] octets that go out at once, where the socket cuts them.
    bulk: Option<Vec<u8>>,
    me: String,
    there: String,
    calls: HashMap<u64, Call>,
    /// When a request is sent again: of which call, by which number, after how many times.
    timers: BinaryHeap<Reverse<(Instant, u64, u32, u32)>>,
    next: u64,
    counts: Counts,
    buffer: Vec<u8>,
}

pub fn run(server: SocketAddr, ip: &str, rate: f64, secs: f64, held: u64) {
    let given = listenfd::ListenFd::from_env().take_udp_socket(0).ok().flatten();
    let bulk = given.is_some().then(Vec::new);
    let caller = given.map_or_else(|| socket(ip, server), |caller| towards(caller, server));
    let callee = socket(ip, server);
    let (me, there) = (caller.local_addr().unwrap().to_string(), callee.local_addr().unwrap().to_string());
    let mut rush = Rush {
        server,
        caller,
        callee,
        bulk,
        me,
        there,
        calls: HashMap::new(),
        timers: BinaryHeap::new(),
        next: 1,
        counts: Counts::default(),
        buffer: vec![0; 65_536],
    };
    rush.register();
    for _ in 0..held {
        rush.begin(Kind::Held);
        rush.until(Duration::from_millis(5));
    }
    rush.until(Duration::from_millis(500));
    assert_eq!(rush.standing().len() as u64, held, "they stand before it begins");
    let start = Instant::now();
    let (mut begun, mut next_ask, mut next_help) = (0u64, 0.0, 0.0);
    let mut asked = 0usize;
    let keys = rush.standing();
    let mut passed = 0.0;
    while passed < secs {
        let due = (rate * passed) as u64;
        let batch = (due - begun).min(BATCH);
        (0..batch).for_each(|_| rush.begin(Kind::Offered));
        rush.flush();
        begun += batch;
        if passed >= next_ask && !keys.is_empty() {
            next_ask += 1.0 / keys.len() as f64;
            rush.ask(keys[asked % keys.len()]);
            asked += 1;
        }
        if passed >= next_help {
            next_help += 0.2;
            rush.begin(Kind::Help);
        }
        rush.step();
        passed = start.elapsed().as_secs_f64();
    }
    let offered_for = start.elapsed();
    let done_in_time = rush.counts.done;
    let ended = Instant::now();
    let normal_after = rush.normal(ended);
    for key in keys {
        rush.hang_up(key);
    }
    rush.until(LEFT);
    let lost = rush.calls.values().filter(|call| call.kind == Kind::Held).count();
    rush.counts.held_lost += lost as u64;
    rush.report(rate, offered_for, begun, done_in_time, normal_after);
}

impl Rush {
    /// Every user answers here.
    fn register(&mut self) {
        self.caller.set_nonblocking(false).unwrap();
        self.caller.set_read_timeout(Some(T1)).unwrap();
        for n in 1..=1_000 {
            let text = self.registration(n, &self.there);
            loop {
                self.caller.send(text.as_bytes()).unwrap();
                match self.caller.recv(&mut self.buffer) {
                    Ok(octets) if self.buffer[..octets].starts_with(b"SIP/2.0 200") => break,
                    _ => {}
                }
            }
        }
        self.caller.set_nonblocking(true).unwrap();
    }

    fn registration(&self, n: u64, contact: &str) -> String {
        let (me, key) = (&self.me, self.next + n);
        format!(
            "REGISTER sip:bench.example SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKr{key};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:u{n}@bench.example>;tag=r\r\nTo: <sip:u{n}@bench.example>\r\nCall-ID: r{n}@{me}\r\nCSeq: {key} REGISTER\r\n\
             Contact: <sip:u{n}@{contact}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// So long that it can be sent with others.
    fn filled(&self, mut text: String) -> String {
        const FIELD: &str = "Subject: \r\n";
        if self.bulk.is_some() {
            let more = SEGMENT.checked_sub(text.len() + FIELD.len()).unwrap();
            let at = text.find("Max-Forwards").unwrap();
            text.insert_str(at, &format!("Subject: {}\r\n", "x".repeat(more)));
        }
        text
    }

    /// Sends it, if need be with others.
    fn post(&mut self, text: &str) {
        match &mut self.bulk {
            Some(bulk) if text.len() == SEGMENT => bulk.extend_from_slice(text.as_bytes()),
            _ => {
                assert!(self.bulk.is_none() || text.len() <= SEGMENT, "it would be cut");
                self.counts.unsent += u64::from(self.caller.send(text.as_bytes()).is_err());
            }
        }
        if self.bulk.as_ref().is_some_and(|bulk| bulk.len() >= SEGMENT * SEGMENTS_MAX) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Some(bulk) = self.bulk.as_mut().filter(|bulk| !bulk.is_empty()) {
            let sent = self.caller.send(bulk).is_ok();
            self.counts.unsent += if sent { 0 } else { (bulk.len() / SEGMENT) as u64 };
            bulk.clear();
        }
    }

    fn request(&self, method: &str, key: u64, cseq: u32, uri: &str, to: &str, body: &str) -> String {
        let me = &self.me;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{key}.{cseq}.{method};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:caller@bench.example>;tag=c{key}\r\nTo: {to}\r\nCall-ID: {key}@{me}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:caller@{me}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn begin(&mut self, kind: Kind) {
        let key = self.next;
        self.next += 1;
        let user = if kind == Kind::Help { "911".to_owned() } else { format!("u{}", key % 1_000 + 1) };
        let uri = format!("sip:{user}@{}", self.server);
        let text = self.request("INVITE", key, 1, &uri, &format!("<sip:{user}@bench.example>"), SDP);
        match kind {
            Kind::Offered => self.counts.begun += 1,
            Kind::Help => self.counts.help += 1,
            Kind::Held | Kind::Probe => {}
        }
        let text = if kind == Kind::Offered { self.filled(text) } else { text };
        let call = Call { kind, waits: None, sent: 0, cseq: 1, dialog: None };
        self.calls.insert(key, call);
        self.send(key, text);
    }

    /// Sends a request, and again while nothing is heard.
    fn send(&mut self, key: u64, text: String) {
        self.post(&text);
        let now = Instant::now();
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.sent = 0;
        self.timers.push(Reverse((now + T1, key, call.cseq, 0)));
        call.waits = Some((text, now));
    }

    fn again(&mut self) {
        let now = Instant::now();
        let mut later = Vec::new();
        while self.timers.peek().is_some_and(|timer| timer.0.0 <= now) {
            let Some(Reverse((_, key, cseq, sent))) = self.timers.pop() else { break };
            let Some(call) = self.calls.get_mut(&key) else { continue };
            if call.cseq != cseq || call.sent == u32::MAX || sent >= RETRANSMISSIONS {
                continue; // provisionally answered, or given up
            }
            let Some((text, since)) = call.waits.take() else { continue };
            self.post(&text);
            if let Some(call) = self.calls.get_mut(&key) {
                call.waits = Some((text, since));
            }
            self.counts.resent += 1;
            later.push(Reverse((now + T1 * (2 << sent), key, cseq, sent + 1)));
        }
        self.flush();
        self.timers.extend(later);
    }

    fn standing(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, c)| c.kind == Kind::Held && c.dialog.is_some())
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        keys
    }

    /// A re-INVITE in a call that stands.
    fn ask(&mut self, key: u64) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if call.waits.is_some() {
            return; // the last one is not answered yet: counted as asked once
        }
        call.cseq += 1;
        let (cseq, (to, uri)) = (call.cseq, call.dialog.clone().unwrap());
        self.counts.asked += 1;
        let text = self.request("INVITE", key, cseq, &uri, &to, SDP);
        self.send(key, text);
    }

    fn hang_up(&mut self, key: u64) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some((to, uri)) = call.dialog.clone() else { return };
        call.cseq += 1;
        let cseq = call.cseq;
        let text = self.request("BYE", key, cseq, &uri, &to, "");
        self.send(key, text);
    }

    fn until(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step();
        }
    }

    /// A probe that hears nothing at all was dropped: as good as refused.
    fn unheard(&mut self) {
        let waits = |call: &Call| call.waits.as_ref().is_some_and(|(_, since)| since.elapsed() > UNHEARD);
        let is_one = |call: &Call| {
            call.kind == Kind::Probe && call.dialog.is_none() && call.sent != u32::MAX && waits(call)
        };
        let unheard = self.calls.values_mut().filter(|call| is_one(call));
        for call in unheard {
            call.sent = u32::MAX; // said once
            self.counts.probes_refused += 1;
            self.counts.last_refused = Some(Instant::now());
        }
    }

    /// Seconds after the end of the rush until the last refusal, as seen by probes; a second without one is enough.
    fn normal(&mut self, ended: Instant) -> f64 {
        self.counts.last_refused = None;
        self.counts.probes_refused = 0;
        let mut quiet = ended;
        while quiet.elapsed() < Duration::from_secs(1) && ended.elapsed() < Duration::from_secs(60) {
            self.begin(Kind::Probe);
            self.until(Duration::from_millis(50));
            self.unheard();
            quiet = self.counts.last_refused.unwrap_or(ended).max(ended);
        }
        self.counts.last_refused.map_or(0.0, |last| last.saturating_duration_since(ended).as_secs_f64())
    }

    fn step(&mut self) {
        // The callees first: what they are slow at would be taken for the server's.
        for _ in 0..READ_MAX {
            match self.callee.recv(&mut self.buffer) {
                Ok(octets) => self.called(octets),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        for _ in 0..READ_MAX {
            match self.caller.recv(&mut self.buffer) {
                Ok(octets) => self.heard(octets),
                // Only where nothing waits here is a request unanswered.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.again(),
                Err(_) => {}
            }
        }
    }

    /// Something for the callers.
    fn heard(&mut self, octets: usize) {
        let Ok(message) = std::str::from_utf8(&self.buffer[..octets]) else { return };
        let message = message.to_owned();
        let Some(status) = status(&message) else { return self.reply(&message, true) };
        let key = field(&message, "Call-ID").split('@').next().and_then(|key| key.parse().ok());
        let Some(key) = key else { return };
        let mut words = field(&message, "CSeq").split(' ');
        let cseq: u32 = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let is_invite = words.next() == Some("INVITE");
        let to = field(&message, "To").to_owned();
        let now = Instant::now();
        if status < 200 {
            if let Some(call) = self.calls.get_mut(&key).filter(|call| call.cseq == cseq) {
                call.sent = u32::MAX;
            }
            return;
        }
        let contact = field(&message, "Contact")
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap_or_default()
            .to_owned();
        if is_invite {
            let uri = if contact.is_empty() { format!("sip:x@{}", self.server) } else { contact.clone() };
            let mut ack = self.request("ACK", key, cseq, &uri, &to, "");
            if status >= 300 {
                ack = ack.replace(".ACK;rport", ".INVITE;rport"); // RFC 3261 §17.1.1.3
            }
            let _ = self.caller.send(ack.as_bytes());
        }
        let Some(call) = self.calls.get_mut(&key).filter(|call| call.cseq == cseq) else { return };
        let Some((_, since)) = call.waits.take() else { return };
        let took = now.saturating_duration_since(since).as_secs_f64() * 1e3;
        match (call.kind, is_invite, status) {
            (Kind::Held, true, 200) if call.dialog.is_some() => {
                self.counts.answered += 1;
                self.counts.asked_ms.push(took);
            }
            (Kind::Held, true, 200) => call.dialog = Some((to, contact)),
            (Kind::Held, true, _) => self.counts.otherwise += 1,
            (Kind::Held, false, 200) => {
                self.counts.held_ended += 1;
                self.calls.remove(&key);
            }
            (Kind::Held, false, _) => {}
            (Kind::Help, ..) => {
                self.counts.helped += u64::from(status != 503);
                self.counts.help_refused += u64::from(status == 503);
                self.counts.help_ms.push(took);
                self.calls.remove(&key);
            }
            (kind, true, 200) => {
                call.dialog = Some((to, contact));
                if kind == Kind::Offered {
                    self.counts.setup_ms.push(took);
                }
                self.hang_up(key);
            }
            (kind, true, _) => {
                match (kind, status) {
                    (Kind::Probe, _) => {
                        self.counts.probes_refused += 1;
                        self.counts.last_refused = Some(now);
                    }
                    (_, 503) => self.counts.refused += 1,
                    _ => self.counts.otherwise += 1,
                }
                self.calls.remove(&key);
            }
            (kind, false, _) => {
                self.counts.done += u64::from(kind == Kind::Offered && status == 200);
                self.calls.remove(&key);
            }
        }
    }

    /// Something for the callees: answered at once.
    fn called(&mut self, octets: usize) {
        let Ok(message) = std::str::from_utf8(&self.buffer[..octets]) else { return };
        let message = message.to_owned();
        self.reply(&message, false);
    }

    fn reply(&mut self, request: &str, to_caller: bool) {
        if request.starts_with("ACK") || status(request).is_some() {
            return;
        }
        let copied = |name: &'static str| {
            let is = move |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "));
            request.split("\r\n").filter(is).map(|line| format!("{line}\r\n")).collect::<String>()
        };
        let to = field(request, "To");
        let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
        let invite = request.starts_with("INVITE");
        let (kind, body) = if invite { ("Content-Type: application/sdp\r\n", SDP) } else { ("", "") };
        let (socket, contact) =
            if to_caller { (&self.caller, &self.me) } else { (&self.callee, &self.there) };
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}{}To: {to}{tag}\r\n{}{}Contact: <sip:u@{contact}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            copied("Via"),
            copied("From"),
            copied("Call-ID"),
            copied("CSeq"),
            body.len()
        );
        let _ = socket.send(answer.as_bytes());
    }

    fn report(&mut self, rate: f64, offered_for: Duration, begun: u64, done_in_time: u64, normal_after: f64) {
        let secs = offered_for.as_secs_f64();
        let quantile = |values: &mut Vec<f64>, q: f64| {
            values.sort_by(f64::total_cmp);
            values
                .get(((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1)))
                .map_or(0.0, |ms| (ms * 10.0).round() / 10.0)
        };
        let counts = &mut self.counts;
        println!(
            "{{\"rate\": {rate}, \"offered_a_second\": {:.0}, \"goodput_a_second\": {:.0}, \"done\": {}, \"refused\": {}, \"otherwise\": {}, \"resent\": {}, \"unsent\": {}, \"in_segments\": {}, \
             \"setup_p50_ms\": {}, \"setup_p99_ms\": {}, \"asked_in_calls\": {}, \"answered_in_calls\": {}, \"in_calls_p99_ms\": {}, \"held_lost\": {}, \"held_ended\": {}, \
             \"help\": {}, \"helped\": {}, \"help_refused\": {}, \"help_p99_ms\": {}, \"normal_after_s\": {normal_after:.2}, \"probes_refused\": {}}}",
            begun as f64 / secs,
            done_in_time as f64 / secs,
            counts.done,
            counts.refused,
            counts.otherwise,
            counts.resent,
            counts.unsent,
            self.bulk.is_some(),
            quantile(&mut counts.setup_ms, 0.5),
            quantile(&mut counts.setup_ms, 0.99),
            counts.asked,
            counts.answered,
            quantile(&mut counts.asked_ms, 0.99),
            counts.held_lost,
            counts.held_ended,
            counts.help,
            counts.helped,
            counts.help_refused,
            quantile(&mut counts.help_ms, 0.99),
            counts.probes_refused,
        );
    }
}
