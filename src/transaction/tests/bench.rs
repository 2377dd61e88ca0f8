//! The test bench: a layer, a clock that only the test moves, and messages by a word.

use crate::sip::{ConnectionId, Flow, Message, Method, Name, Transport, Writer};
use crate::transaction::{ClientId, Event, ServerId, Transactions};
use bytes::Bytes;
use std::time::{Duration, Instant};

pub(super) fn flow(transport: Transport) -> Flow {
    Flow {
        transport,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "198.51.100.9:5060".parse().unwrap(),
        connection: None,
    }
}

/// A request as a peer or our own transaction user writes it.
pub(super) fn request(method: &str, branch: &str) -> Bytes {
    let cseq = if matches!(method, "ACK" | "CANCEL") { 7 } else { 7 + u32::from(method != "INVITE") };
    let mut writer = Writer::request(method, "sip:bob@example.com");
    writer
        .header(Name::Via, format_args!("SIP/2.0/UDP 198.51.100.9;rport;branch={branch}"))
        .header(Name::Route, "<sip:proxy.example.com;lr>")
        .header(Name::MaxForwards, 70)
        .header(Name::From, "<sip:alice@example.com>;tag=a")
        .header(Name::To, "<sip:bob@example.com>")
        .header(Name::CallId, "call@example.com")
        .header(Name::CSeq, format_args!("{cseq} {method}"));
    writer.finish()
}

pub(super) fn parse(bytes: Bytes) -> Message {
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.check(), Ok(()));
    message
}

pub(super) struct Bench {
    pub layer: Transactions,
    pub start: Instant,
    pub now: Instant,
    pub flow: Flow,
    /// What was handed up or sent and not looked at yet.
    out: Vec<Event>,
    next_client: u64,
}

impl Bench {
    #[allow(clippy::disallowed_methods)] // an origin for virtual time; it never moves by itself
    pub(super) fn new(transport: Transport) -> Bench {
        let now = Instant::now();
        let layer = Transactions::new();
        Bench { layer, start: now, now, flow: flow(transport), out: Vec::new(), next_client: 0 }
    }

    pub(super) fn udp() -> Bench {
        Bench::new(Transport::Udp)
    }

    pub(super) fn tcp() -> Bench {
        Bench::new(Transport::Tcp)
    }

    /// Our transaction user sends a request.
    pub(super) fn send(&mut self, method: &str, branch: &str) -> ClientId {
        self.next_client += 1;
        let id = ClientId(self.next_client);
        self.layer.request(self.now, id, self.flow, request(method, branch), &mut self.out);
        id
    }

    /// Our transaction user sends a request in a dialog, to the Contact of its peer.
    pub(super) fn send_within(&mut self, method: &str, branch: &str, contact: &str) {
        self.next_client += 1;
        let id = ClientId(self.next_client);
        let text = String::from_utf8(request(method, branch).to_vec()).unwrap();
        let within = text
            .replace("sip:bob@example.com SIP/2.0", &format!("{contact} SIP/2.0"))
            .replace("Route: <sip:proxy.example.com;lr>\r\n", "")
            .replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b");
        self.layer.request(self.now, id, self.flow, within.into(), &mut self.out);
    }

    /// Our transaction user sends a request that is too large for a datagram.
    pub(super) fn send_large(&mut self, method: &str, branch: &str) -> ClientId {
        self.next_client += 1;
        let id = ClientId(self.next_client);
        let text = String::from_utf8(request(method, branch).to_vec()).unwrap();
        let large = text.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(1_300)));
        self.layer.request(self.now, id, self.flow, large.into(), &mut self.out);
        id
    }

    /// What was sent since the last look: by what, and what its Via says.
    pub(super) fn ways(&mut self) -> Vec<String> {
        let sent = self.out.drain(..).filter_map(|event| match event {
            Event::Send { flow, bytes } => {
                let message = parse(bytes);
                let via = message.top_via().unwrap();
                let (title, by) = (title(&message), flow.transport.via_word());
                Some(format!("{title} by {by}, {} {}", via.transport, via.host))
            }
            _ => None,
        });
        sent.collect()
    }

    /// By which connections something was sent since the last look.
    pub(super) fn flows(&mut self) -> Vec<Option<ConnectionId>> {
        let sent = self.out.drain(..).filter_map(|event| match event {
            Event::Send { flow, .. } => Some(flow.connection),
            _ => None,
        });
        sent.collect()
    }

    /// The peer answers the request that we sent with this method and branch.
    pub(super) fn answered(&mut self, status: u16, method: &str, branch: &str) {
        let request = parse(request(method, branch));
        let response = Writer::reply(&request, status, "", (status > 100).then_some("b")).finish();
        self.layer.receive(self.now, self.flow, parse(response), &mut self.out);
    }

    /// The peer sends a request.
    pub(super) fn receive(&mut self, method: &str, branch: &str) {
        self.layer.receive(self.now, self.flow, parse(request(method, branch)), &mut self.out);
    }

    /// The peer sends a request that begins a transaction; its id, and what else happened.
    pub(super) fn receive_new(&mut self, method: &str, branch: &str) -> (ServerId, Vec<String>) {
        self.receive(method, branch);
        let id = self.out.iter().find_map(|event| match event {
            Event::Request { id, .. } => Some(*id),
            _ => None,
        });
        (id.expect("a new transaction"), self.seen())
    }

    /// Our transaction user answers.
    pub(super) fn respond(&mut self, id: ServerId, status: u16, method: &str, branch: &str) {
        let request = parse(request(method, branch));
        let response = Writer::reply(&request, status, "", Some("ours")).finish();
        self.layer.respond(self.now, id, status, response, &mut self.out);
    }

    pub(super) fn cancel(&mut self, id: ClientId, reasons: &[&str]) {
        self.layer.cancel(self.now, id, reasons, &mut self.out);
    }

    pub(super) fn transport_failed(&mut self) {
        self.layer.transport_failed(self.now, self.flow, &mut self.out);
    }

    /// Lets time pass to `at_ms` after the start, timer by timer; what happened and when.
    pub(super) fn until(&mut self, at_ms: u64) -> Vec<String> {
        let end = self.start + Duration::from_millis(at_ms);
        let mut seen = Vec::new();
        while let Some(deadline) = self.layer.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.layer.timeout(self.now, &mut self.out);
            assert!(self.layer.deadline().is_none_or(|next| next > self.now), "a deadline stays in the past");
            let at = (self.now - self.start).as_millis();
            seen.extend(self.seen().into_iter().map(|what| format!("{at} {what}")));
        }
        self.now = end;
        seen
    }

    /// Everything since the last look, each as a few words.
    pub(super) fn seen(&mut self) -> Vec<String> {
        self.out.drain(..).map(|event| words(&event)).collect()
    }

    /// The messages sent since the last look.
    pub(super) fn sent(&mut self) -> Vec<Message> {
        let sent = self.out.drain(..).filter_map(|event| match event {
            Event::Send { bytes, .. } => Some(parse(bytes)),
            _ => None,
        });
        sent.collect()
    }
}

fn title(message: &Message) -> String {
    match message.is_request() {
        true => message.method_text().to_owned(),
        false => format!("{} {}", message.status(), message.method().word()),
    }
}

fn words(event: &Event) -> String {
    match event {
        Event::Send { bytes, .. } => format!("send {}", title(&parse(bytes.clone()))),
        Event::Request { message, .. } => format!("request {}", title(message)),
        Event::Ack { message, .. } => {
            assert_eq!(message.method(), Method::Ack);
            "ack".to_owned()
        }
        Event::Cancel { .. } => "cancel".to_owned(),
        Event::Response { id, message, .. } => format!("response {} to {}", title(message), id.0),
        Event::Failed { id, why } => format!("failed {}: {why:?}", id.0),
        Event::Unacknowledged { .. } => "unacknowledged".to_owned(),
    }
}
