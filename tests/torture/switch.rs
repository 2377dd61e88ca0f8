//! Every torture message through the switch, without a socket: as a datagram and as a stream, against one table with the daemon.

use super::messages::{CASES, Case, Sender, Stream, rules};
use bytes::Bytes;
use ringtree::clock::Now;
use ringtree::registrar::location::Expiry;
use ringtree::relay::{PortPair, Report};
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::{Domain, Ruleset, source};
use ringtree::sip::auth::Algorithm;
use ringtree::sip::{Flow, Message, Transport};
use ringtree::switch::config::{Config, Listener};
use ringtree::switch::{Action, Input, Switch};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const FRIEND: &str = "192.0.2.200";
const STRANGER: &str = "192.0.2.201";
const LOCAL: &str = "192.0.2.100:5060";

fn switch(now: Now) -> Switch {
    let listener =
        |transport| Listener { transport, bound: LOCAL.parse().unwrap(), advertise: LOCAL.to_owned() };
    let config = Config {
        listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
        default_domain: None,
        digest: vec![Algorithm::Md5],
        expiry: Expiry { min_s: 60, max_s: 7200, default_s: 3600, spread_percent: 0 },
        calls_max: 100,
        node: 0,
        ports_low: 0,
        media_advertise: None,
        media_advertise_ipv6: None,
        fingerprint: None,
        srtp: ringtree::sdp::keying::Srtp::Optional,
        unsolicited_mwi: false,
        strangers: ringtree::switch::strangers::Limits::default(),
        session: ringtree::call::session_timer::Limits::default(),
        drain_after: Duration::from_secs(1),
    };
    let mut switch = Switch::new(config, [4; 32]);
    let files = Files([(Arc::from("domain.toml"), Arc::from(rules(FRIEND).as_str()))].into());
    let model = source::load(&files).model.expect("the rules are sound");
    let domain = Domain::compile(&model, Secrets::default(), 1).expect("the rules compile");
    let rules = Ruleset::new([Arc::new(domain)]);
    switch.handle(now, Input::Rules(Arc::new(rules)), &mut Vec::new());
    let pair = |port: u16| PortPair {
        rtp: SocketAddr::new([192, 0, 2, 100].into(), port),
        rtcp: SocketAddr::new([192, 0, 2, 100].into(), port + 1),
    };
    let opened = Report::Opened { pairs: (0..16).map(|n| pair(20_000 + 2 * n)).collect(), exhausted: true };
    switch.handle(now, Input::Media(opened), &mut Vec::new());
    switch
}

/// A fresh switch and somebody who sends to it, on a clock that the test moves.
pub struct Desk {
    pub switch: Switch,
    now: Now,
    flow: Flow,
}

impl Desk {
    /// A friend's, over UDP.
    pub fn new() -> Desk {
        Desk::of(Sender::Friend, Transport::Udp)
    }

    fn of(sender: Sender, transport: Transport) -> Desk {
        let remote = match sender {
            Sender::Friend => FRIEND,
            Sender::Stranger => STRANGER,
        };
        let remote = SocketAddr::new(remote.parse().unwrap(), 5060);
        let flow = Flow { transport, local: LOCAL.parse().unwrap(), remote, connection: None };
        let now = ringtree::net::clock::now();
        Desk { switch: switch(now), now, flow }
    }

    /// What is sent when these bytes come.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.take_from(5060, bytes).into_iter().map(|(_, message)| message).collect()
    }

    /// What is sent when these bytes come from that port, and to which.
    pub fn take_from(&mut self, port: u16, bytes: &[u8]) -> Vec<(u16, Message)> {
        self.flow.remote.set_port(port);
        let message = Message::parse(Bytes::copy_from_slice(bytes)).expect("SIP");
        self.input(Input::Packet { flow: self.flow, message })
    }

    /// What is sent when nothing can be sent to that port.
    pub fn lose(&mut self, port: u16) -> Vec<(u16, Message)> {
        let remote = SocketAddr::new(self.flow.remote.ip(), port);
        let flow = Flow { remote, ..self.flow };
        self.input(Input::FlowFailed { flow })
    }

    /// What is sent while time passes.
    pub fn pass(&mut self, time: Duration) -> Vec<(u16, Message)> {
        let end = self.now.mono + time;
        let mut sent = Vec::new();
        while let Some(at) = self.switch.deadline().filter(|at| *at <= end) {
            self.now.mono = self.now.mono.max(at);
            sent.extend(self.input(Input::Timeout));
        }
        self.now.mono = end;
        sent
    }

    fn input(&mut self, input: Input) -> Vec<(u16, Message)> {
        let mut actions = Vec::new();
        self.switch.handle(self.now, input, &mut actions);
        let sent = actions.into_iter().filter_map(|action| match action {
            Action::Send { flow: to, bytes } => {
                // To nobody but who asked, whatever the Via says (RFC 3261 §18.2.2; a broadcast address in RFC 4475 §3.3.10).
                assert_eq!(to.remote.ip(), self.flow.remote.ip());
                Some((to.remote.port(), Message::parse(bytes).expect("what we write can be read")))
            }
            _ => None,
        });
        sent.collect()
    }
}

fn answers(case: &Case, transport: Transport, messages: Vec<Message>) -> Vec<Message> {
    let mut desk = Desk::of(case.sender, transport);
    messages.into_iter().flat_map(|message| desk.take(message.bytes())).collect()
}

#[test]
fn every_datagram_is_answered_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in CASES {
        let sent = answers(case, Transport::Udp, vec![case.message()]);
        wrong.extend(case.differs(&sent, case.udp));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_stream_is_cut_and_answered_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in CASES {
        let (messages, error) = case.framed();
        assert_eq!(error.is_some(), case.stream == Stream::Closes, "{}: {error:?}", case.name);
        assert_eq!(messages.is_empty(), case.stream == Stream::Waits, "{}", case.name);
        wrong.extend(case.differs(&answers(case, Transport::Tcp, messages), case.tcp));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_response_says_what_it_answers() {
    for case in CASES.iter().filter(|case| case.name != "insuf" && case.name != "multi01") {
        let request = case.message();
        for response in answers(case, Transport::Udp, vec![case.message()]) {
            assert_eq!(response.call_id(), request.call_id(), "{}", case.name);
            let cseq = |message: &Message| message.value(ringtree::sip::Name::CSeq).map(str::to_owned);
            assert_eq!(cseq(&response), cseq(&request), "{}", case.name);
            let vias = |message: &Message| message.elements(ringtree::sip::Name::Via).count();
            assert_eq!(vias(&response), vias(&request), "{}", case.name);
        }
    }
}
