//! The edge with a machine that echoes: what a peer notices of the sockets, whatever the switch does.

mod secure;
mod web;

use super::*;
use crate::net::listen;
use crate::net::media::{DSCP_EF, Range};
use crate::net::signalling::connections::Limits;
use crate::sip::{ConnectionId, Flow, ServerName, Transport};
use crate::subscription::notice::Finished;
use crate::switch::Action;
use crate::switch::backlog::Class;
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);
const PING: &str = "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nContent-Length: 5\r\n\r\nhello";
/// Long enough that a thousand of them fill any socket buffer.
const FLOOD_BYTES: usize = 60_000;

/// Sends every message back where it came from; tells the test about inputs; sends again at its deadline.
struct Echo {
    inputs: SyncSender<String>,
    deadline: Option<(Instant, Flow)>,
}

impl Machine for Echo {
    fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Action>) {
        let told = match input {
            Input::Packet { flow, message } => {
                let bytes = message.bytes().clone();
                match &bytes[..7] {
                    b"MESSAGE" | b"NOTIFY " => {
                        // To somebody we have no connection to: the body is the address, and perhaps the number of a name.
                        let body = String::from_utf8(message.body().to_vec()).unwrap();
                        let mut words = body.split(' ');
                        let remote = words.next().unwrap().parse().unwrap();
                        let name = words.next().map(|number| ServerName(number.parse().unwrap()));
                        let connection = name.map(ConnectionId::to_server);
                        let transport = if bytes[0] == b'M' { Transport::Tcp } else { Transport::Tls };
                        let flow = Flow { transport, remote, connection, ..flow };
                        out.push(Action::Send { flow, bytes: Bytes::from_static(PING.as_bytes()) });
                    }
                    b"PUBLISH" => {
                        let bytes = Bytes::from(vec![b'x'; FLOOD_BYTES]);
                        out.extend((0..1000).map(|_| Action::Send { flow, bytes: bytes.clone() }));
                    }
                    b"REFER s" => self.deadline = Some((now.mono + Duration::from_millis(20), flow)),
                    _ => out.push(Action::Send { flow, bytes }),
                }
                format!("packet by {}", flow.transport.via_word())
            }
            Input::PeerKnown { names, .. } => format!("known as {}", names.join(", ")),
            Input::FlowFailed { flow } => format!("failed {:?} {}", flow.connection, flow.remote),
            Input::Timeout => {
                let (_, flow) = self.deadline.take().expect("a timeout that was asked for");
                out.push(Action::Send { flow, bytes: Bytes::from_static(b"late") });
                "timeout".into()
            }
            Input::Media(report) => format!("{report:?}")[..6].into(),
            other => format!("{other:?}"),
        };
        self.inputs.send(told).unwrap();
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|(deadline, _)| deadline)
    }

    fn class(&mut self, _: Now, _: &Flow, bytes: &[u8]) -> Class {
        if bytes.starts_with(b"BYE") { Class::Begun } else { Class::Call }
    }

    fn refuse(&mut self, _: Now, _: Class, flow: Flow, bytes: Bytes, out: &mut Vec<Action>) {
        out.push(Action::Send { flow, bytes });
    }
}

struct Quiet;

impl Sinks for Quiet {
    fn binding(&mut self, _: Change) {}
    fn spent(&mut self, _: crate::call::budgets::Usage) {}
    fn event(&mut self, _: Event) {}
    fn noticed(&mut self, _: Finished) {}
    fn drained(&mut self) {}
}

struct World {
    handle: Handle<Echo>,
    udp: SocketAddr,
    tcp: SocketAddr,
    tls: SocketAddr,
    ws: SocketAddr,
    wss: SocketAddr,
    inputs: Receiver<String>,
}

impl World {
    fn new() -> World {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        let bound = listen::bind(&transports.map(|transport| (transport, any))).unwrap();
        let bound = bound.with(secure::certificates("office"), Limits::default());
        let addresses: Vec<SocketAddr> = bound.addresses().map(|(_, address)| address).collect();
        let ports = Ports::open(IpAddr::from([127, 0, 0, 1]), Range::Any, DSCP_EF, 1).unwrap();
        let (sender, inputs) = sync_channel(4096);
        let echo = move || Echo { inputs: sender, deadline: None };
        let handle = start(
            echo,
            Vec::new(),
            bound,
            Media { ports, threads: 1, identity: None, fast: None, voice: nowhere() },
            Quiet,
        )
        .unwrap();
        let [udp, tcp, tls, ws, wss] = addresses[..] else { panic!("{addresses:?}") };
        let world = World { handle, udp, tcp, tls, ws, wss, inputs };
        assert_eq!(world.input(), "Opened", "the first media ports");
        world
    }

    fn input(&self) -> String {
        self.inputs.recv_timeout(SOON).expect("an input")
    }

    fn phone(&self) -> UdpSocket {
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.connect(self.udp).unwrap();
        phone.set_read_timeout(Some(SOON)).unwrap();
        phone
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

fn hear(phone: &UdpSocket) -> String {
    let mut buffer = [0; 2048];
    let octets = phone.recv(&mut buffer).expect("a datagram");
    String::from_utf8(buffer[..octets].to_vec()).unwrap()
}

fn read(stream: &mut TcpStream, octets: usize) -> String {
    let mut buffer = vec![0; octets];
    stream.read_exact(&mut buffer).expect("an answer");
    String::from_utf8(buffer).unwrap()
}

#[test]
fn a_datagram_is_answered_from_the_listener() {
    let world = World::new();
    let phone = world.phone();
    phone.send(PING.as_bytes()).unwrap();
    assert_eq!(hear(&phone), PING);
}

#[test]
fn what_is_not_sip_is_counted_and_reaches_nobody() {
    let world = World::new();
    let phone = world.phone();
    for garbage in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b""] {
        phone.send(garbage).unwrap();
    }
    phone.send(b"\r\n\r\n").unwrap();
    phone.send(PING.as_bytes()).unwrap();
    assert_eq!(hear(&phone), PING);
    assert_eq!(world.input(), "packet by UDP");
    assert!(world.inputs.try_recv().is_err(), "only the one message");
    // The last figure is written after the datagram is away.
    world.handle.stop();
    let udp = &world.handle.traffic().udp;
    assert_eq!((udp.received.value(), udp.sent.value()), (6, 1));
    assert_eq!(udp.not_sip.value() + udp.keep_alives.value(), 5);
}

#[test]
fn a_message_in_single_octets_and_two_in_one_segment_are_the_same_to_the_switch() {
    let world = World::new();
    let mut stream = world.connect();
    for octet in PING.as_bytes() {
        stream.write_all(&[*octet]).unwrap();
    }
    assert_eq!(read(&mut stream, PING.len()), PING);
    stream.write_all(PING.repeat(2).as_bytes()).unwrap();
    assert_eq!(read(&mut stream, 2 * PING.len()), PING.repeat(2));
}

#[test]
fn a_double_crlf_is_answered_by_one() {
    let world = World::new();
    let mut stream = world.connect();
    stream.write_all(b"\r\n\r\n").unwrap();
    assert_eq!(read(&mut stream, 2), "\r\n");
    stream.write_all(PING.as_bytes()).unwrap();
    assert_eq!(read(&mut stream, PING.len()), PING);
}

#[test]
fn garbage_on_a_stream_closes_it_and_the_flow_fails() {
    let world = World::new();
    let mut stream = world.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    // A reset is as good: not all was read when it was closed.
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    assert!(world.input().starts_with("failed Some(ConnectionId(1))"));
}

#[test]
fn a_closed_connection_is_a_failed_flow() {
    let world = World::new();
    let stream = world.connect();
    let here = stream.local_addr().unwrap();
    drop(stream);
    assert_eq!(world.input(), format!("failed {:?} {here}", Some(ConnectionId(1))));
}

#[test]
fn a_connection_is_opened_on_demand_and_used_again() {
    let world = World::new();
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let phone = world.phone();
    let to = peer.local_addr().unwrap().to_string();
    let message = format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: {}\r\n\r\n{to}", to.len());
    phone.send(message.as_bytes()).unwrap();
    let (mut accepted, _) = peer.accept().unwrap();
    accepted.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(read(&mut accepted, PING.len()), PING);
    phone.send(message.as_bytes()).unwrap();
    assert_eq!(read(&mut accepted, PING.len()), PING, "by the same connection");
    assert_eq!(world.handle.traffic().connections_opened.value(), 1);
}

#[test]
fn a_refused_connection_fails_the_flow_as_it_was_named() {
    let world = World::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let message = format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: {}\r\n\r\n{nobody}", nobody.len());
    world.phone().send(message.as_bytes()).unwrap();
    assert_eq!(world.input(), "packet by UDP");
    assert_eq!(world.input(), format!("failed None {nobody}"));
}

#[test]
fn a_peer_that_does_not_read_is_closed_and_nobody_else_waits() {
    let world = World::new();
    let mut slow = world.connect();
    slow.write_all(b"PUBLISH sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(world.input(), "packet by TCP");
    let phone = world.phone();
    phone.send(PING.as_bytes()).unwrap();
    assert_eq!(hear(&phone), PING);
    assert_eq!(world.handle.traffic().slow_readers.value(), 1);
}

#[test]
fn the_deadline_comes_by_itself() {
    let world = World::new();
    let phone = world.phone();
    phone.send(b"REFER sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(hear(&phone), "late");
}

#[test]
fn questions_are_answered_and_after_the_end_there_is_none() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(world.handle.query(|echo, _| echo.deadline.is_none())), Some(true));
    world.handle.stop();
    assert_eq!(runtime.block_on(world.handle.query(|_, _| ())), None);
}

#[test]
fn inputs_of_other_threads_arrive_in_order() {
    let world = World::new();
    for _ in 0..3 {
        world.handle.input(Input::Drain);
    }
    world.handle.input(Input::Hangup { call: "x".into() });
    let inputs: Vec<String> = (0..4).map(|_| world.input()).collect();
    assert_eq!(inputs, ["Drain", "Drain", "Drain", "Hangup { call: \"x\" }"]);
}

#[test]
fn in_a_crowd_what_was_begun_goes_before_what_is_new_and_nothing_is_lost() {
    let world = World::new();
    let phone = world.phone();
    // The thread is busy with something else while the crowd comes.
    let ((begins, begun), (lets_go, gate)) = (sync_channel(1), sync_channel::<()>(1));
    world.handle.put(Work::Query(Box::new(move |_, _| {
        begins.send(()).unwrap();
        gate.recv().unwrap();
    })));
    begun.recv().unwrap();
    for _ in 0..100 {
        phone.send(PING.as_bytes()).unwrap();
    }
    let bye = PING.replace("OPTIONS", "BYE");
    phone.send(bye.as_bytes()).unwrap();
    lets_go.send(()).unwrap();
    assert_eq!(hear(&phone), bye);
    for _ in 0..100 {
        assert_eq!(hear(&phone), PING);
    }
}

#[test]
fn a_phone_that_asks_by_stun_is_told_by_which_address_it_is_seen() {
    let world = World::new();
    let phone = world.phone();
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend_from_slice(b"transaction.");
    phone.send(&request).unwrap();
    let mut answer = [0; 64];
    let octets = phone.recv(&mut answer).unwrap();
    assert_eq!((octets, &answer[..2], &answer[8..20]), (32, &[1, 1][..], &b"transaction."[..]));
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, phone.local_addr().unwrap().port());
    phone.send(PING.as_bytes()).unwrap();
    assert_eq!(hear(&phone), PING);
}

#[test]
fn too_much_on_a_stream_reaches_the_switch_to_be_answered_and_then_ends_it() {
    let world = World::new();
    let mut stream = world.connect();
    let head = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 70000\r\n\r\n";
    stream.write_all(format!("{head}{}", "x".repeat(70_000)).as_bytes()).unwrap();
    assert_eq!(read(&mut stream, head.len()), head);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed, without a reset that would swallow the answer");
    assert_eq!(world.input(), "packet by TCP");
    assert!(world.input().starts_with("failed Some"));
}

/// Nobody speaks here.
fn nowhere() -> crate::net::voice::Files {
    let base: crate::net::voice::Base = std::sync::Arc::new(|_| None);
    let nowhere = std::path::PathBuf::from("/nonexistent");
    crate::net::voice::Files { prompts: nowhere.clone(), language: "en".into(), recordings: nowhere, base }
}
