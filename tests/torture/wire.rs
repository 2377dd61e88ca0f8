//! Every torture message to the running daemon, over UDP and over TCP: the status that comes back, and whether a connection goes on.
//!
//! Nothing is slept on: after each message a sound OPTIONS is sent by the same way, and by the time that it is answered everything
//! before it has been. The daemon answers one message after the other, so what hasn't come by then doesn't come.

use super::messages::{CASES, Case, Sender, Stream, rules};
use super::support::daemon::{Daemon, Home};
use super::support::{PATIENCE, trunk_address, until};
use bytes::Bytes;
use ringtree::sip::stream::{Frame, Framer};
use ringtree::sip::{Message, Method};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};

/// Most datagrams fit; all of these do.
const DATAGRAM_BYTES_MAX: usize = 65_535;

fn source(case: &Case) -> IpAddr {
    match case.sender {
        Sender::Friend => trunk_address(0).into(),
        Sender::Stranger => trunk_address(1).into(),
    }
}

/// A sound OPTIONS, to know by its answer that all before it was seen to.
fn probe(n: usize, transport: &str) -> String {
    format!(
        "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/{transport} probe.example.com;rport;branch=z9hG4bKprobe{n}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:probe@example.com>;tag=p{n}\r\nTo: <sip:example.com>\r\nCall-ID: probe{n}\r\n\
         CSeq: {n} OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

fn is_probe(message: &Message, n: usize) -> bool {
    message.call_id() == format!("probe{n}")
}

/// The table in rounds, a daemon each: within one, no two messages are alike to a transaction (the RFCs' branches repeat), and phones
/// register after the calls, so that nobody's call rings.
fn rounds() -> Vec<Vec<&'static Case>> {
    let mut rounds: Vec<(BTreeSet<String>, Vec<&Case>)> = Vec::new();
    for case in CASES {
        let message = case.message();
        let via = message.top_via().map(|via| format!("{} {:?}", via.host, via.branch()));
        let marks = [message.call_id().to_owned(), format!("{via:?} {}", message.method_text())];
        let free = rounds.iter_mut().find(|(taken, _)| marks.iter().all(|mark| !taken.contains(mark)));
        let (taken, cases) = match free {
            Some(round) => round,
            None => {
                rounds.push(Default::default());
                rounds.last_mut().unwrap()
            }
        };
        taken.extend(marks);
        cases.push(case);
    }
    let mut rounds: Vec<Vec<&Case>> = rounds.into_iter().map(|(_, cases)| cases).collect();
    for round in &mut rounds {
        round.sort_by_key(|case| case.message().method() == Method::Register);
    }
    rounds
}

fn home() -> Home {
    Home::new("example.com", &[("domain.toml", &rules(&trunk_address(0).to_string()))])
}

/// Sends from the port that the message's Via names, where the response will come (RFC 3261 §18.2.2).
fn by_udp(daemon: &Daemon, n: usize, case: &Case) -> Option<String> {
    let bytes = case.wire();
    let port = case.message().top_via().and_then(|via| via.port).unwrap_or(5060);
    // A process that another test begins at this moment holds the last case's socket until it has become what it is to be.
    let socket = until("the port to be free", || UdpSocket::bind(SocketAddr::new(source(case), port)).ok());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&bytes, daemon.udp).unwrap();
    socket.send_to(probe(n, "UDP").as_bytes(), daemon.udp).unwrap();
    let (mut came, mut buffer) = (Vec::new(), vec![0; DATAGRAM_BYTES_MAX]);
    loop {
        let (octets, from) =
            socket.recv_from(&mut buffer).unwrap_or_else(|_| panic!("{}: nothing", case.name));
        assert_eq!(from, daemon.udp, "from the address that was asked (RFC 3581 §4)");
        let message = Message::parse(Bytes::copy_from_slice(&buffer[..octets])).unwrap();
        if is_probe(&message, n) {
            assert_eq!(message.status(), 200, "{}", case.name);
            break;
        }
        // An earlier message's response may be on its way again.
        if message.call_id() == case.message().call_id() {
            came.push(message);
        }
    }
    case.differs(&came, case.udp)
}

/// Everything that comes by the connection until the probe is answered (true) or the daemon closes it (false).
fn until_probed(stream: &mut TcpStream, n: usize, came: &mut Vec<Message>) -> bool {
    let (mut framer, mut buffer) = (Framer::default(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(octets) => framer.push(&buffer[..octets]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("{n}: {error}"),
        }
        while let Ok(Some(Frame::Message(bytes))) = framer.next() {
            let message = Message::parse(bytes).unwrap();
            if is_probe(&message, n) {
                assert_eq!(message.status(), 200);
                return true;
            }
            came.push(message);
        }
    }
}

fn by_tcp(daemon: &Daemon, n: usize, case: &Case) -> Option<String> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source(case), 0).into()).unwrap();
    socket.connect(&daemon.tcp.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let bytes = case.wire();
    let mut came = Vec::new();
    // In pieces: framing is the same whatever the segments.
    for piece in bytes.chunks(700) {
        if stream.write_all(piece).is_err() {
            break; // closed already
        }
    }
    match case.stream {
        Stream::GoesOn => {
            stream.write_all(probe(n, "TCP").as_bytes()).unwrap();
            assert!(until_probed(&mut stream, n, &mut came), "{}: closed", case.name);
        }
        Stream::Closes => assert!(!until_probed(&mut stream, n, &mut came), "{}: goes on", case.name),
        Stream::Waits => {
            // What is missing of the body, or the end of the header section; then it is answered, and so is what follows.
            let missing = ringtree::sip::Message::parse(bytes.clone()).unwrap();
            let missing = missing.number(ringtree::sip::Name::ContentLength).unwrap_or(0) as usize;
            let rest = vec![b' '; missing.saturating_sub(body_so_far(&bytes))];
            stream.write_all(if missing == 0 { b"\r\n" } else { &rest }).unwrap();
            stream.write_all(probe(n, "TCP").as_bytes()).unwrap();
            assert!(until_probed(&mut stream, n, &mut came), "{}: closed", case.name);
            assert!(came.iter().any(|message| message.status() >= 200), "{}: never answered", case.name);
            came.clear();
        }
    }
    case.differs(&came, case.tcp)
}

/// The bytes of the body that have come.
fn body_so_far(bytes: &[u8]) -> usize {
    memchr::memmem::find(bytes, b"\r\n\r\n").map_or(0, |end| bytes.len() - end - 4)
}

#[test]
fn every_message_over_udp_is_answered_as_the_table_says() {
    let (mut n, mut wrong) = (0, Vec::new());
    for round in rounds() {
        let home = home();
        let daemon = home.start();
        for case in round {
            n += 1;
            wrong.extend(by_udp(&daemon, n, case));
        }
        assert!(daemon.is_running());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_message_over_tcp_is_answered_as_the_table_says() {
    let (mut n, mut wrong) = (0, Vec::new());
    for round in rounds() {
        let home = home();
        let daemon = home.start();
        for case in round {
            n += 1;
            wrong.extend(by_tcp(&daemon, n, case));
        }
        assert!(daemon.is_running());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
