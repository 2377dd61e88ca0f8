//! The real daemon before a crowd: connections that say nothing, handshakes that do not end, senders of single octets; and a call that is placed all the
//! same. How long such connections are kept is tested at the edge (`net::signalling::connections`), what is refused in which order in `tests/world`, and what
//! it costs is measured by `benches/peers/overload`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's way to fail

#[path = "../support/mod.rs"]
mod support;

use ringtree::sip::{Message, Name};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;
use support::daemon::Home;

/// What the daemon takes is 20,000; both sides of each connection are on this machine, in two processes.
const IDLE_MAX: u64 = 10_000;
/// Descriptors that this process needs for everything else.
const OWN: u64 = 1_000;
/// The daemon's share of one source is 5,000.
const OF_SOURCE: u64 = 2_000;
const UNFINISHED: u64 = 100;
const SOON: Duration = Duration::from_secs(30);

const RULES: &str = "schema = 1
[domain]
name = \"crowd.example\"
timezone = \"Europe/London\"
country = \"GB\"
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[device.ann1]
user = \"ann\"
accept_from = [\"127.0.0.0/8\"]
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
[device.bob1]
user = \"bob\"
accept_from = [\"127.0.0.0/8\"]
";
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n";

/// From that address of this machine, of which each is a source of its own.
fn connect(to: SocketAddr, n: u64) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    let [a, b] = u16::try_from(n / OF_SOURCE).unwrap().to_be_bytes();
    socket.bind(&SocketAddr::from(([127, 80, a, b], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn phone(daemon: SocketAddr) -> UdpSocket {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.connect(daemon).unwrap();
    phone.set_read_timeout(Some(SOON)).unwrap();
    phone
}

fn request(method: &str, by: &str, me: SocketAddr, user: &str, to: &str, cseq: u32, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let uri = if method == "REGISTER" { "sip:crowd.example".into() } else { format!("sip:200@{me}") };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{by} {me};branch=z9hG4bK{cseq}{method}{me};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@crowd.example>;tag={user}\r\nTo: {to}\r\nCall-ID: {user}-{me}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:{user}@{me}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The next message that is wanted; others (100, 180, what comes again) are passed over.
fn hear(phone: &UdpSocket, wanted: impl Fn(&Message) -> bool) -> Message {
    let mut buffer = vec![0; 65_536];
    loop {
        let octets = phone.recv(&mut buffer).expect("it is heard");
        let message = Message::parse(bytes::Bytes::copy_from_slice(&buffer[..octets])).unwrap();
        if wanted(&message) {
            return message;
        }
    }
}

fn is_request(method: &'static str) -> impl Fn(&Message) -> bool {
    move |message| message.is_request() && message.method_text() == method
}

fn is_answer(cseq: u32) -> impl Fn(&Message) -> bool {
    move |message| !message.is_request() && message.status() >= 200 && message.cseq().unwrap().number == cseq
}

fn answer(phone: &UdpSocket, request: &Message, body: Option<&str>) {
    let mut w = ringtree::sip::Writer::reply(request, 200, "", Some("bob"));
    w.header(Name::Contact, format_args!("<sip:bob1@{}>", phone.local_addr().unwrap()));
    phone.send(&w.described(body.map(str::as_bytes))).unwrap();
}

/// Ann calls Bob, they talk, she hangs up.
fn a_call_goes_through(daemon: SocketAddr) {
    let (ann, bob) = (phone(daemon), phone(daemon));
    let (hers, his) = (ann.local_addr().unwrap(), bob.local_addr().unwrap());
    let to_bob = "<sip:bob1@crowd.example>";
    bob.send(request("REGISTER", "UDP", his, "bob1", to_bob, 1, "").as_bytes()).unwrap();
    assert_eq!(hear(&bob, is_answer(1)).status(), 200);
    ann.send(request("INVITE", "UDP", hers, "ann1", "<sip:200@crowd.example>", 1, SDP).as_bytes()).unwrap();
    answer(&bob, &hear(&bob, is_request("INVITE")), Some(SDP));
    let answered = hear(&ann, is_answer(1));
    assert_eq!(answered.status(), 200);
    let to = answered.value(Name::To).unwrap();
    ann.send(request("ACK", "UDP", hers, "ann1", to, 1, "").as_bytes()).unwrap();
    hear(&bob, is_request("ACK"));
    ann.send(request("BYE", "UDP", hers, "ann1", to, 2, "").as_bytes()).unwrap();
    answer(&bob, &hear(&bob, is_request("BYE")), None);
    assert_eq!(hear(&ann, is_answer(2)).status(), 200);
}

/// Whoever is there is answered by that connection.
fn is_answered(stream: &mut TcpStream) {
    let me = stream.local_addr().unwrap();
    let options = request("OPTIONS", "TCP", me, "ann1", "<sip:200@crowd.example>", 7, "");
    stream.write_all(options.as_bytes()).unwrap();
    let (mut heard, mut part) = (Vec::new(), [0; 4_096]);
    while !heard.ends_with(b"\r\n\r\n") {
        let octets = stream.read(&mut part).expect("an answer");
        assert!(octets > 0, "it is not closed");
        heard.extend_from_slice(&part[..octets]);
    }
    assert!(heard.starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&heard));
}

#[test]
fn ten_thousand_idle_connections_and_handshakes_that_do_not_end_keep_nobody_from_calling() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let idle = limit.maximum.map_or(IDLE_MAX, |all| IDLE_MAX.min(all.saturating_sub(OWN)));
    assert!(idle > OWN, "the system gives too few descriptors to try it");
    let home = Home::new("crowd.example", &[("domain.toml", RULES)]).secure();
    let daemon = home.start();
    a_call_goes_through(daemon.udp);

    // Who has said nothing at all is closed soon; these have said something once.
    let mut connections: Vec<TcpStream> = (0..idle).map(|n| connect(daemon.tcp, n)).collect();
    connections.iter_mut().for_each(is_answered);
    // The first octets of a ClientHello, and no more; the first line of a request, octet by octet.
    let mut unfinished: Vec<TcpStream> =
        (0..UNFINISHED).map(|n| connect(daemon.tls.unwrap(), 100_000 + n * OF_SOURCE)).collect();
    unfinished.iter_mut().for_each(|stream| stream.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap());
    let mut slow: Vec<TcpStream> =
        (0..UNFINISHED).map(|n| connect(daemon.tcp, 400_000 + n * OF_SOURCE)).collect();
    for octet in b"OPTIONS sip:200@crowd.example SIP/2.0\r\nVia: SIP/2.0/TCP " {
        slow.iter_mut().for_each(|stream| stream.write_all(&[*octet]).unwrap());
    }

    a_call_goes_through(daemon.udp);
    is_answered(&mut connect(daemon.tcp, 700_000));
    let last = connections.len() - 1;
    for n in [0, last / 2, last] {
        is_answered(&mut connections[n]);
    }
    assert!(daemon.is_running());
}
