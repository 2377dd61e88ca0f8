//! What a registration leads to: ways through proxies (RFC 3327), flows (RFC 5626), URIs of one phone (RFC 5627), and phones that
//! are woken (RFC 8599). Messages are written by hand here: what the scripted phones say is the usual.

use crate::net::{configured, switch_address};
use crate::{DOMAIN, ruleset, s};
use bytes::Bytes;
use ringtree::clock::Now;
use ringtree::relay::{Command, Media, PortPair, Report};
use ringtree::sip::{ConnectionId, Flow, Message, Method, Name, NameAddr, Transport};
use ringtree::switch::backlog::Class;
use ringtree::switch::config::{Config, Listener};
use ringtree::switch::{Action, Event, Input, Switch};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const USERS: &str = "
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
[device.app]
user = \"bob\"
accept_from = [\"127.0.1.0/24\"]
kind = \"mobile-app\"
push = { provider = \"fcm\", wait = \"6s\" }
";
const ANN: &str = "127.0.1.1:5060";
const EDGE: &str = "127.0.1.9:5060";
const UUID: &str = ";+sip.instance=\"<urn:uuid:1>\"";

pub struct Sent {
    pub to: Flow,
    pub message: Message,
}

/// A switch, a clock, and everybody else played by the test.
pub struct Field {
    pub switch: Switch,
    pub now: Now,
    pub events: Vec<Event>,
    /// What relays were told.
    pub media: Vec<Command>,
    count: u32,
}

pub fn udp(remote: &str) -> Flow {
    let remote: SocketAddr = remote.parse().unwrap();
    Flow { transport: Transport::Udp, local: switch_address(), remote, connection: None }
}

pub fn tcp(connection: u64) -> Flow {
    let connection = Some(ConnectionId(connection));
    Flow { transport: Transport::Tcp, connection, ..udp("127.0.1.2:40000") }
}

impl Field {
    pub fn new() -> Field {
        Field::with("", configured(|_| ()))
    }

    /// With these rules beside the usual ones.
    pub fn with(rules: &str, config: Config) -> Field {
        let mut wall = ringtree::net::clock::now();
        wall.wall = "2026-11-24T15:00:00Z".parse().unwrap();
        let mut field = Field {
            switch: Switch::new(config, [7; 32]),
            now: wall,
            events: Vec::new(),
            media: Vec::new(),
            count: 0,
        };
        field.publish(rules);
        field
    }

    /// Other rules beside the usual ones.
    pub fn publish(&mut self, rules: &str) {
        let rules = ruleset(&format!("{USERS}{rules}"), &[("ann1", "ann"), ("bob1", "bob")]);
        self.input(Input::Rules(Arc::new(rules)));
    }

    pub fn input(&mut self, input: Input) -> Vec<Sent> {
        let mut actions = Vec::new();
        self.switch.handle(self.now, input, &mut actions);
        self.carry_out(actions)
    }

    /// There was no time for this message.
    pub fn refuse(&mut self, class: Class, flow: Flow, bytes: Bytes) -> Vec<Sent> {
        let mut actions = Vec::new();
        self.switch.refuse(self.now, class, flow, bytes, &mut actions);
        self.carry_out(actions)
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> Vec<Sent> {
        let mut sent = Vec::new();
        for action in actions {
            match action {
                Action::Send { flow, bytes } => {
                    sent.push(Sent { to: flow, message: Message::parse(bytes).unwrap() });
                }
                Action::Event(event) => self.events.push(event),
                Action::Media(Command::Grow { pairs }) => {
                    let pair = |n: u16| PortPair {
                        rtp: SocketAddr::from(([127, 0, 0, 1], 20_000 + 2 * n)),
                        rtcp: SocketAddr::from(([127, 0, 0, 1], 20_001 + 2 * n)),
                    };
                    let pairs = (0..u16::try_from(pairs).unwrap()).map(pair).collect();
                    sent.extend(self.input(Input::Media(Report::Opened { pairs, exhausted: true })));
                }
                Action::Media(Command::Close { id } | Command::Succeed { id, .. }) => {
                    let closed = Report::Closed { id, media: Media::default() };
                    sent.extend(self.input(Input::Media(closed)));
                }
                Action::Media(command) => self.media.push(command),
                _ => {}
            }
        }
        sent
    }

    pub fn give(&mut self, flow: Flow, text: &str) -> Vec<Sent> {
        if !self.switch.admits(self.now, &flow, text.as_bytes()) {
            return Vec::new();
        }
        let message = Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        self.input(Input::Packet { flow, message })
    }

    /// What is sent while time passes.
    pub fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now.mono + time;
        let mut sent = Vec::new();
        while let Some(at) = self.switch.deadline().filter(|at| *at <= end) {
            self.at(at.max(self.now.mono));
            sent.extend(self.input(Input::Timeout));
        }
        self.at(end);
        sent
    }

    fn at(&mut self, at: std::time::Instant) {
        let passed = at.saturating_duration_since(self.now.mono);
        self.now.mono = at;
        self.now.wall += jiff::SignedDuration::try_from(passed).unwrap();
    }

    /// A REGISTER of a device, as its flow sends it; the answer.
    pub fn register(&mut self, flow: Flow, device: &str, contact: &str, fields: &str) -> Message {
        self.register_in(flow, device, contact, fields).0
    }

    /// And what else is sent then.
    pub fn register_in(
        &mut self,
        flow: Flow,
        device: &str,
        contact: &str,
        fields: &str,
    ) -> (Message, Vec<Sent>) {
        self.count += 1;
        let (n, via, remote) = (self.count, flow.transport.via_word(), flow.remote);
        let text = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{via} {remote};branch=z9hG4bKr{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{device}@{DOMAIN}>;tag=f\r\nTo: <sip:{device}@{DOMAIN}>\r\nCall-ID: reg-{remote}-{device}\r\n\
             CSeq: {n} REGISTER\r\nContact: {contact}\r\n{fields}Content-Length: 0\r\n\r\n"
        );
        let mut sent = self.give(flow, &text);
        let answer = sent.remove(0).message;
        (answer, sent)
    }

    /// Ann calls; what is sent then but for the 100.
    pub fn invite(&mut self, uri: &str) -> Vec<Sent> {
        self.count += 1;
        let n = self.count;
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ANN};branch=z9hG4bKi{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:ann1@{DOMAIN}>;tag=f{n}\r\nTo: <{uri}>\r\nCall-ID: call-{n}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:ann1@{ANN}>\r\nContent-Length: 0\r\n\r\n"
        );
        let mut sent = self.give(udp(ANN), &text);
        sent.retain(|sent| sent.message.is_request() || sent.message.status() != 100);
        sent
    }

    /// The phone answers a request with this.
    pub fn reply(&mut self, request: &Sent, status: u16) -> Vec<Sent> {
        let mut w = ringtree::sip::Writer::reply(&request.message, status, "", Some("phone"));
        w.header(Name::Contact, "<sip:there@127.0.1.77>");
        let text = String::from_utf8(w.finish().to_vec()).unwrap();
        self.give(request.to, &text)
    }

    pub fn events_named(&self, name: &str) -> Vec<serde_json::Value> {
        let events = self.events.iter().map(|event| serde_json::to_value(event).unwrap());
        events.filter(|event| event["event"] == name).map(|event| event["data"].clone()).collect()
    }
}

fn invites(sent: &[Sent]) -> Vec<&Sent> {
    let is_new = |sent: &&Sent| sent.message.is_request() && sent.message.method() == Method::Invite;
    sent.iter().filter(is_new).collect()
}

fn statuses(sent: &[Sent]) -> Vec<u16> {
    sent.iter().filter(|sent| !sent.message.is_request()).map(|sent| sent.message.status()).collect()
}

fn values(message: &Message, name: Name) -> Vec<&str> {
    message.elements(name).collect()
}

/// A GRUU of the Contact in the answer that has this instance.
fn gruu(answer: &Message, instance: &str, which: &str) -> String {
    let of = |contact: &NameAddr<'_>| contact.param("+sip.instance") == Some(instance);
    let contact = answer.addresses(Name::Contact).find(of).expect("the contact is shown");
    contact.param(which).expect("it has the URI").to_owned()
}

#[test]
fn a_phone_behind_an_edge_proxy_is_called_by_the_way_that_it_registered() {
    let mut field = Field::new();
    let path = format!("Path: <sip:{EDGE};lr>, <sip:inner.example;lr>\r\n");
    let contact = "<sip:bob1@10.0.0.7>";
    let answer = field.register(udp(EDGE), "bob1", contact, &path);
    assert_eq!(
        (answer.status(), values(&answer, Name::Path).len()),
        (200, 0),
        "who doesn't know it isn't told"
    );
    let answer = field.register(udp(EDGE), "bob1", contact, &format!("Supported: path\r\n{path}"));
    let way = [format!("<sip:{EDGE};lr>"), "<sip:inner.example;lr>".to_owned()];
    assert_eq!(values(&answer, Name::Path), way);
    assert!(values(&answer, Name::Supported).contains(&"path"));
    let sent = field.invite("sip:200@pbx.example");
    let invite = invites(&sent)[0];
    assert_eq!(
        (invite.message.request_uri(), invite.to.remote),
        ("sip:bob1@10.0.0.7", EDGE.parse().unwrap())
    );
    assert_eq!(values(&invite.message, Name::Route), way);
    assert_eq!(field.register(udp(EDGE), "bob1", contact, "Path: <sip:no.loose.router>\r\n").status(), 400);
    assert_eq!(field.register(udp(EDGE), "bob1", contact, "Require: path\r\n").status(), 200);
}

#[test]
fn what_registered_by_tls_through_an_edge_by_udp_is_called_from_our_socket_for_datagrams() {
    let tls = SocketAddr::from(([127, 0, 0, 1], 5061));
    let config = configured(|config| {
        let advertise = tls.to_string();
        config.listeners.insert(0, Listener { transport: Transport::Tls, bound: tls, advertise });
    });
    let mut field = Field::with("", config);
    let by_tls = Flow { transport: Transport::Tls, local: tls, ..tcp(1) };
    let path = format!("Path: <sip:{EDGE};lr>\r\n");
    assert_eq!(field.register(by_tls, "bob1", "<sip:bob1@10.0.0.7>", &path).status(), 200);
    let sent = field.invite("sip:200@pbx.example");
    assert_eq!(invites(&sent)[0].to, udp(EDGE));
}

#[test]
fn a_notice_takes_the_same_way() {
    use ringtree::subscription::notice::{Notice, NoticeId, What, Whom};
    let mut field = Field::new();
    field.register(udp(EDGE), "bob1", "<sip:bob1@10.0.0.7>", &format!("Path: <sip:{EDGE};lr>\r\n"));
    let what = What::CheckSync { to: Whom::Device("bob1".into()), reboot: false };
    let sent = field.input(Input::Notice(Notice { id: NoticeId(1), domain: DOMAIN.into(), what }));
    assert_eq!(sent[0].message.method(), Method::Notify);
    assert_eq!(values(&sent[0].message, Name::Route), [format!("<sip:{EDGE};lr>")]);
}

fn two_flows(field: &mut Field) {
    for (connection, reg_id) in [(1, 1), (2, 2)] {
        let contact = format!("<sip:bob1@10.0.0.7>{UUID};reg-id={reg_id}");
        let fields = "Supported: path, outbound\r\n";
        let answer = field.register(tcp(connection), "bob1", &contact, fields);
        assert_eq!((answer.status(), values(&answer, Name::Require)), (200, vec!["outbound"]));
        assert!(answer.other("Flow-Timer").is_some());
        field.pass(s(1));
    }
}

#[test]
fn of_the_flows_of_a_phone_the_newest_is_rung_and_the_next_where_that_has_failed() {
    let mut field = Field::new();
    two_flows(&mut field);
    let sent = field.invite("sip:200@pbx.example");
    let rung = invites(&sent);
    assert_eq!((rung.len(), rung[0].to), (1, tcp(2)), "one flow at a time");
    let again = field.reply(rung[0], 430);
    let rung = invites(&again);
    assert_eq!((rung.len(), rung[0].to), (1, tcp(1)));
    assert_eq!(field.events_named("registration.removed")[0]["why"], "flow_failed");
    let done = field.reply(rung[0], 486);
    assert_eq!(statuses(&done), [486], "what the phone says is its word: {}", done.len());
}

#[test]
fn a_flow_that_says_nothing_gives_way_to_the_next_after_four_seconds() {
    let mut field = Field::new();
    two_flows(&mut field);
    assert_eq!(invites(&field.invite("sip:200@pbx.example")).len(), 1);
    assert_eq!(invites(&field.pass(s(3))).len(), 0);
    let sent = field.pass(s(2));
    assert_eq!(invites(&sent).iter().map(|sent| sent.to).collect::<Vec<_>>(), [tcp(1)]);
    let busy = field.reply(invites(&sent)[0], 603);
    assert!(statuses(&busy).contains(&603));
}

#[test]
fn a_connection_that_ends_ends_the_registration_by_it_and_the_calls_on_it_move() {
    let mut field = Field::new();
    two_flows(&mut field);
    assert_eq!(invites(&field.invite("sip:200@pbx.example"))[0].to, tcp(2));
    let sent = field.input(Input::FlowFailed { flow: tcp(2) });
    assert_eq!(invites(&sent).iter().map(|sent| sent.to).collect::<Vec<_>>(), [tcp(1)]);
    assert_eq!(field.events_named("registration.removed")[0]["why"], "flow_ended");
    assert_eq!(field.switch.counters().registrations, 1);
}

#[test]
fn a_phone_whose_connection_has_ended_is_called_and_hung_up_on_by_another() {
    let mut field = Field::new();
    let contact = "<sip:bob1@127.0.1.2:5070;transport=tcp>";
    assert_eq!(field.register(tcp(7), "bob1", contact, "").status(), 200);
    field.input(Input::FlowFailed { flow: tcp(7) });
    let sent = field.invite("sip:200@pbx.example");
    assert_eq!(invites(&sent)[0].to, tcp(7), "the edge finds out that it has ended");
    let sent = field.input(Input::FlowFailed { flow: tcp(7) });
    let rung = invites(&sent);
    let anew = Flow { connection: None, ..Flow { remote: "127.0.1.2:5070".parse().unwrap(), ..tcp(7) } };
    assert_eq!(rung.iter().map(|sent| sent.to).collect::<Vec<_>>(), [anew]);
    let stands = Flow { connection: Some(ConnectionId(8)), ..anew };
    let answered = field.reply(&Sent { to: stands, message: rung[0].message.clone() }, 200);
    let ack = answered.iter().find(|sent| sent.message.is_request()).expect("Bob gets the ACK");
    assert_eq!((ack.message.method(), ack.to), (Method::Ack, stands));
    let ok = answered.iter().find(|sent| !sent.message.is_request()).expect("Ann hears of it");
    assert_eq!(ok.message.status(), 200);
    let bye = in_dialog("BYE", ok, Name::From, Name::To);
    field.input(Input::FlowFailed { flow: stands });
    let sent = field.give(udp(ANN), &bye);
    assert_eq!(byes(&sent), [stands]);
    let sent = field.input(Input::FlowFailed { flow: stands });
    let there = Flow { remote: "127.0.1.77:5060".parse().unwrap(), ..anew };
    assert_eq!(byes(&sent), [there], "where the Contact of its answer leads");
}

#[test]
fn who_calls_by_datagrams_and_has_said_something_by_tcp_is_still_reached_by_datagrams() {
    let mut field = Field::new();
    field.register(udp("127.0.1.2:5060"), "bob1", "<sip:bob1@127.0.1.2:5060>", "");
    let sent = field.invite("sip:200@pbx.example");
    let rung = invites(&sent)[0];
    let answered = field.reply(rung, 200);
    let ok = answered.iter().find(|sent| !sent.message.is_request()).expect("Ann hears of it");
    // RFC 3261 §15: whoever is called hangs up only once their answer is acknowledged.
    field.give(udp(ANN), &in_dialog("ACK", ok, Name::From, Name::To).replace("CSeq: 2", "CSeq: 1"));
    let once = Flow { remote: "127.0.1.1:41000".parse().unwrap(), ..tcp(9) };
    let sent = field.give(once, &in_dialog("OPTIONS", ok, Name::From, Name::To));
    assert_eq!((statuses(&sent), sent[0].to), (vec![200], once));
    let tagged = ringtree::sip::Writer::reply(&rung.message, 200, "", Some("phone")).finish();
    let to_bob = Sent { to: rung.to, message: Message::parse(tagged).unwrap() };
    let sent = field.give(udp("127.0.1.2:5060"), &in_dialog("BYE", &to_bob, Name::To, Name::From));
    assert_eq!(byes(&sent), [udp(ANN)]);
}

/// A request of the dialog that a response has made, of the side that this field of it names.
fn in_dialog(method: &str, made: &Sent, from: Name, to: Name) -> String {
    let field = |name| made.message.value(name).unwrap();
    let (from, to, call_id) = (field(from), field(to), made.message.call_id());
    format!(
        "{method} sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP {ANN};rport;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
         From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: 2 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The ways that BYEs took.
fn byes(sent: &[Sent]) -> Vec<Flow> {
    let is_bye = |sent: &&Sent| sent.message.is_request() && sent.message.method() == Method::Bye;
    sent.iter().filter(is_bye).map(|sent| sent.to).collect()
}

#[test]
fn a_proxy_in_between_that_keeps_no_flows_is_439() {
    let mut field = Field::new();
    let contact = format!("<sip:bob1@10.0.0.7>{UUID};reg-id=1");
    let two = "Via: SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKp\r\nSupported: path, outbound\r\n";
    assert_eq!(field.register(tcp(1), "bob1", &contact, two).status(), 439);
    let keeps = format!("{two}Path: <sip:{EDGE};lr;ob>\r\n");
    let answer = field.register(tcp(1), "bob1", &contact, &keeps);
    assert_eq!((answer.status(), values(&answer, Name::Require)), (200, vec!["outbound"]));
    assert_eq!(answer.other("Flow-Timer"), None, "the proxy's to say");
}

#[test]
fn a_gruu_rings_the_one_phone_that_it_was_given_to() {
    let mut field = Field::new();
    let register = |field: &mut Field, port: u16, uuid: u32, device: &str| {
        let contact = format!("<sip:bob@127.0.1.2:{port}>;+sip.instance=\"<urn:uuid:{uuid}>\"");
        let flow = udp(&format!("127.0.1.2:{port}"));
        field.register(flow, device, &contact, "Supported: gruu\r\n")
    };
    register(&mut field, 5061, 1, "bob1");
    let answer = register(&mut field, 5062, 2, "bob1");
    register(&mut field, 5063, 3, "app");
    let public = gruu(&answer, "<urn:uuid:2>", "pub-gruu");
    assert_eq!(public, "sip:bob1@pbx.example;gr=urn:uuid:2");
    let temporary = gruu(&answer, "<urn:uuid:2>", "temp-gruu");
    assert!(temporary.ends_with("@pbx.example;gr") && !temporary.contains("bob"), "{temporary}");
    for uri in [&*public, &temporary, "sip:200@pbx.example;gr=urn:uuid:2"] {
        let sent = field.invite(uri);
        let ports: Vec<u16> = invites(&sent).iter().map(|sent| sent.to.remote.port()).collect();
        assert_eq!(ports, [5062], "{uri}");
    }
    assert_eq!(invites(&field.invite("sip:200@pbx.example")).len(), 3, "the extension rings all of them");
}

/// Ann's next request in the call that this answer has made.
fn within(field: &mut Field, answer: &Message, method: &str, cseq: u32, fields: &str) -> Vec<Sent> {
    let [from, to, call_id] =
        [Name::From, Name::To, Name::CallId].map(|name| answer.value(name).unwrap().to_owned());
    let uri = answer.addresses(Name::Contact).next().unwrap().uri.text.to_owned();
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ANN};branch=z9hG4bKw{cseq}{method}\r\nMax-Forwards: 70\r\n\
         From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:ann1@{ANN}>\r\n\
         {fields}Content-Length: 0\r\n\r\n"
    );
    field.give(udp(ANN), &text)
}

/// Ann calls somebody, who answers; the answer that she got.
fn talking(field: &mut Field, uri: &str) -> Message {
    let sent = field.invite(uri);
    let sent = field.reply(invites(&sent)[0], 200);
    let is_answer = |sent: &Sent| !sent.message.is_request() && sent.message.status() == 200;
    let answer = sent.into_iter().find(is_answer).expect("Ann hears of it").message;
    within(field, &answer, "ACK", 1, "");
    answer
}

#[test]
fn a_transfer_to_a_gruu_rings_that_one_phone_and_the_call_goes_back_to_its_own() {
    let mut field = Field::new();
    let register = |field: &mut Field, port: u16, uuid: u32| {
        let contact = format!("<sip:bob@127.0.1.2:{port}>;+sip.instance=\"<urn:uuid:{uuid}>\"");
        field.register(udp(&format!("127.0.1.2:{port}")), "bob1", &contact, "Supported: gruu\r\n")
    };
    let answer = register(&mut field, 5061, 1);
    let first = gruu(&answer, "<urn:uuid:1>", "temp-gruu");
    let answer = register(&mut field, 5062, 2);
    let (public, temporary) =
        (gruu(&answer, "<urn:uuid:2>", "pub-gruu"), gruu(&answer, "<urn:uuid:2>", "temp-gruu"));
    let call = talking(&mut field, &first);
    let mut cseq = 1;
    for (to, ports) in
        [(&*temporary, &[5062][..]), (&public, &[5062]), ("sip:200@pbx.example", &[5061, 5062])]
    {
        cseq += 1;
        let sent = within(&mut field, &call, "REFER", cseq, &format!("Refer-To: <{to}>\r\n"));
        assert_eq!(statuses(&sent), [202], "{to}");
        let mut rung: Vec<u16> = invites(&sent).iter().map(|sent| sent.to.remote.port()).collect();
        rung.sort_unstable();
        assert_eq!(rung, ports, "{to}");
        for leg in invites(&sent) {
            field.reply(leg, 486);
        }
    }
    let sent = within(&mut field, &call, "REFER", cseq + 1, "Refer-To: <sip:0@pbx.example;gr>\r\n");
    assert_eq!(statuses(&sent), [404], "nobody's");
}

#[test]
fn a_gruu_ends_with_its_registration() {
    let mut field = Field::new();
    let contact = "<sip:bob@127.0.1.2:5061>;+sip.instance=\"<urn:uuid:1>\"";
    let flow = udp("127.0.1.2:5061");
    let answer = field.register(flow, "bob1", contact, "Supported: gruu\r\n");
    let (public, first) =
        (gruu(&answer, "<urn:uuid:1>", "pub-gruu"), gruu(&answer, "<urn:uuid:1>", "temp-gruu"));
    let answer = field.register(flow, "bob1", contact, "Supported: gruu\r\n");
    let second = gruu(&answer, "<urn:uuid:1>", "temp-gruu");
    assert_ne!(first, second, "each answer has a new one");
    assert_eq!(invites(&field.invite(&first)).len(), 1, "and those before stay good");
    // The phone has started anew: it registers by another Call-ID.
    let answer = field.register(udp("127.0.1.2:5062"), "bob1", contact, "Supported: gruu\r\n");
    assert_eq!(statuses(&field.invite(&second)), [404]);
    let third = gruu(&answer, "<urn:uuid:1>", "temp-gruu");
    assert_eq!(invites(&field.invite(&third)).len(), 1);
    field.register(udp("127.0.1.2:5062"), "bob1", &format!("{contact};expires=0"), "");
    assert_eq!(statuses(&field.invite(&third)), [404]);
    assert_eq!(statuses(&field.invite(&public)), [480], "the phone may come back");
    assert_eq!(statuses(&field.invite("sip:999@pbx.example;gr=urn:uuid:1")), [404]);
}

const APP: &str = "<sip:app@10.0.0.7;pn-provider=fcm;pn-prid=abc;pn-param=project>";

#[test]
fn a_call_waits_for_a_sleeping_phone_and_rings_it_when_it_has_registered() {
    let mut field = Field::new();
    let answer = field.register(tcp(1), "app", APP, "");
    assert_eq!(answer.other("Feature-Caps"), Some("*;+sip.pns=\"fcm\""));
    field.register(udp("127.0.1.3:5060"), "bob1", "<sip:bob1@127.0.1.3>", "");
    field.input(Input::FlowFailed { flow: tcp(1) });
    assert_eq!(field.switch.counters().registrations, 2, "a phone that sleeps stays registered");
    let sent = field.invite("sip:200@pbx.example");
    let to: Vec<_> = invites(&sent).iter().map(|sent| sent.to.remote.to_string()).collect();
    assert_eq!(to, ["127.0.1.3:5060"], "the other phone rings meanwhile");
    let wanted = field.events_named("push.wanted");
    assert_eq!(wanted.len(), 1);
    let push = &wanted[0];
    let said = [&push["device"], &push["provider"], &push["prid"], &push["param"]];
    assert_eq!(said, ["app", "fcm", "abc", "project"]);
    field.pass(s(2));
    let (answer, sent) = field.register_in(tcp(2), "app", APP, "");
    assert_eq!(answer.status(), 200);
    let rung = invites(&sent);
    assert_eq!((rung.len(), rung[0].to), (1, tcp(2)));
    field.pass(s(10));
    let busy = field.reply(rung[0], 180);
    assert!(busy.iter().all(|sent| !sent.message.is_request()));
}

#[test]
fn a_phone_that_does_not_wake_is_offline_after_its_wait() {
    let mut field = Field::new();
    field.register(tcp(1), "app", APP, "");
    field.input(Input::FlowFailed { flow: tcp(1) });
    assert_eq!(statuses(&field.invite("sip:200@pbx.example")), [0u16; 0]);
    assert_eq!(statuses(&field.pass(s(5))), [0u16; 0]);
    assert_eq!(statuses(&field.pass(s(2))).first(), Some(&480));
}

#[test]
fn a_transfer_waits_for_a_phone_that_does_not_wake_no_longer_than_a_call() {
    let mut field = Field::new();
    let desk = udp("127.0.1.3:5060");
    field.register(desk, "bob1", "<sip:bob1@127.0.1.3>", "");
    let call = talking(&mut field, "sip:200@pbx.example");
    field.register(desk, "bob1", "<sip:bob1@127.0.1.3>;expires=0", "");
    field.register(tcp(1), "app", APP, "");
    field.input(Input::FlowFailed { flow: tcp(1) });
    let sent = within(&mut field, &call, "REFER", 2, "Refer-To: <sip:200@pbx.example>\r\n");
    assert_eq!((statuses(&sent), field.events_named("push.wanted").len()), (vec![202], 1));
    let told = |sent: &[Sent], what: &str| sent.iter().any(|sent| body(sent).starts_with(what));
    assert!(told(&sent, "SIP/2.0 100"));
    assert!(!told(&field.pass(s(5)), "SIP/2.0 480"));
    assert!(told(&field.pass(s(2)), "SIP/2.0 480"));
}

#[test]
fn a_flow_that_wakes_while_its_phone_rings_by_another_one_is_rung_only_where_that_one_is_silent() {
    for rings in [true, false] {
        let mut field = Field::new();
        let contact = |reg_id: u32| format!("{APP}{UUID};reg-id={reg_id}");
        let outbound = "Supported: path, outbound\r\n";
        for reg_id in [1, 2] {
            field.register(tcp(u64::from(reg_id)), "app", &contact(reg_id), outbound);
            field.pass(s(1));
        }
        field.input(Input::FlowFailed { flow: tcp(1) });
        let sent = field.invite("sip:200@pbx.example");
        assert_eq!(invites(&sent).iter().map(|sent| sent.to).collect::<Vec<_>>(), [tcp(2)]);
        assert_eq!(field.events_named("push.wanted").len(), 1);
        if rings {
            field.reply(invites(&sent)[0], 180);
        }
        let (_, sent) = field.register_in(tcp(3), "app", &contact(1), outbound);
        assert_eq!(invites(&sent).len(), 0, "one flow at a time");
        let later: Vec<Flow> = invites(&field.pass(s(5))).iter().map(|sent| sent.to).collect();
        assert_eq!(later, if rings { vec![] } else { vec![tcp(3)] });
    }
}

#[test]
fn a_phone_by_datagrams_is_rung_and_woken_at_once_and_its_word_counts() {
    let mut field = Field::new();
    let contact = |port: u16| format!("{}{UUID}", APP.replace("10.0.0.7", &format!("127.0.1.4:{port}")));
    field.register(udp("127.0.1.4:5060"), "app", &contact(5060), "");
    let sent = field.invite("sip:200@pbx.example");
    assert_eq!((invites(&sent).len(), field.events_named("push.wanted").len()), (1, 1));
    let (_, again) = field.register_in(udp("127.0.1.4:6060"), "app", &contact(6060), "");
    let moved: Vec<u16> = invites(&again).iter().map(|sent| sent.to.remote.port()).collect();
    assert_eq!(moved, [6060], "it woke up behind another port");
    assert_eq!(statuses(&field.reply(invites(&again)[0], 486)), [486]);
}

#[test]
fn a_phone_that_wants_another_push_service_is_told_so() {
    let mut field = Field::new();
    let other = APP.replace("fcm", "apns");
    assert_eq!(field.register(tcp(1), "app", &other, "").status(), 555);
    assert_eq!(field.register(tcp(1), "bob1", &other, "").status(), 200, "of whom no service is said");
}

#[test]
fn a_granted_registration_is_a_little_shorter_where_that_is_configured_and_the_same_each_time() {
    let spread = configured(|config| config.expiry.spread_percent = 10);
    let mut field = Field::new();
    let rules = field.switch.ruleset().clone();
    field.switch = Switch::new(spread, [7; 32]);
    field.input(Input::Rules(rules));
    let mut granted = std::collections::BTreeSet::new();
    for port in 5001..5051 {
        let (from, wish) =
            (udp(&format!("127.0.1.2:{port}")), format!("<sip:bob1@127.0.1.2:{port}>;expires="));
        let mut register = |wish: &str| {
            let answer = field.register(from, "bob1", wish, "");
            let contact = answer.addresses(Name::Contact).next().unwrap();
            contact.param("expires").unwrap().parse::<u32>().unwrap()
        };
        let first = register(&format!("{wish}3600"));
        assert_eq!(register(&format!("{wish}3600")), first);
        granted.insert(first);
        field.register(from, "bob1", &format!("{wish}0"), "");
    }
    assert!(granted.len() > 20 && granted.iter().all(|s| (3240..=3600).contains(s)), "{granted:?}");
}

/// A SUBSCRIBE to where a user is registered.
fn watch(field: &mut Field, from: &str, device: &str, user: &str) -> Vec<Sent> {
    let text = format!(
        "SUBSCRIBE sip:{user}@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKs{device}\r\nMax-Forwards: 70\r\n\
         From: <sip:{device}@{DOMAIN}>;tag=w\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: watch-{device}\r\nCSeq: 1 SUBSCRIBE\r\n\
         Contact: <sip:{device}@{from}>\r\nEvent: reg\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
    );
    field.give(udp(from), &text)
}

fn body(sent: &Sent) -> String {
    String::from_utf8(sent.message.body().to_vec()).unwrap()
}

#[test]
fn a_phone_that_watches_is_told_where_its_user_is_registered_and_that_it_no_longer_is() {
    let mut field = Field::new();
    let bob = "127.0.1.2:5060";
    field.register(udp(bob), "bob1", "<sip:bob1@127.0.1.2>", "");
    let sent = watch(&mut field, bob, "bob1", "200");
    assert_eq!(statuses(&sent), [200]);
    let first = sent.iter().find(|sent| sent.message.is_request()).unwrap();
    let says = body(first);
    assert!(
        says.contains("version=\"0\"") && says.contains("state=\"active\" event=\"registered\""),
        "{says}"
    );
    assert!(
        says.contains("aor=\"sip:200@pbx.example\"") && says.contains("<uri>sip:bob1@127.0.1.2</uri>"),
        "{says}"
    );
    field.reply(first, 200);
    field.pass(s(2));
    // A refresh is no news; another phone of theirs is.
    let (_, sent) = field.register_in(udp(bob), "bob1", "<sip:bob1@127.0.1.2>", "");
    assert_eq!((sent.len(), field.pass(s(2)).len()), (0, 0));
    let (_, sent) = field.register_in(udp("127.0.1.5:5060"), "app", "<sip:app@127.0.1.5>", "");
    let second = &sent[0];
    let says = body(second);
    assert!(says.contains("version=\"1\"") && says.matches("<contact ").count() == 2, "{says}");
    field.reply(second, 200);
    field.pass(s(2));
    let (_, sent) = field.register_in(udp("127.0.1.5:5060"), "app", "<sip:app@127.0.1.5>;expires=0", "");
    let says = body(&sent[0]);
    assert!(
        says.contains("state=\"terminated\" event=\"unregistered\"><uri>sip:app@127.0.1.5</uri>"),
        "{says}"
    );
}

#[test]
fn where_somebody_is_registered_is_nobody_elses_affair() {
    let mut field = Field::new();
    assert_eq!(statuses(&watch(&mut field, ANN, "ann1", "200")), [403]);
    assert_eq!(statuses(&watch(&mut field, "198.51.100.9:5060", "bob1", "200")), [401]);
}
