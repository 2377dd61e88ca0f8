//! The bounds of connections, with real sockets and a clock of the test's own.

use super::*;
use crate::clock::Now;
use crate::net::poll::Events;
use crate::net::tls::{Files, Pair};
use std::io::{Read, Write};
use std::path::Path;

const TIGHT: Limits = Limits {
    connections_max: 4,
    of_source_max: 2,
    handshakes_max: 1,
    handshakes_of_source_max: 1,
    handshakes_at_once_of_source: 1_000,
    handshakes_s_of_source: 100,
    unsent_bytes_max: 1024,
    connect_within: Duration::from_secs(4),
    handshake_within: Duration::from_secs(10),
    message_within: Duration::from_secs(30),
    silence_max: Duration::from_secs(3600),
    leave_within: Duration::from_secs(2),
};

struct World {
    poll: Poll,
    transport: Transport,
    listener: TcpListener,
    local: SocketAddr,
    connections: Connections,
    traffic: Traffic,
    now: Instant,
}

fn world() -> World {
    world_of(Transport::Tcp, TIGHT)
}

#[allow(clippy::disallowed_methods)] // some instant to count from
fn world_of(transport: Transport, limits: Limits) -> World {
    let poll = Poll::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    poll.add(&listener, 0, Interest::IN).unwrap();
    let local = listener.local_addr().unwrap();
    let file = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name);
    let own = Some(Pair { certificate: file("office.pem"), key: file("office.key") });
    let tls = Tls::load(&Files { own, ca: Some(file("authority.pem")), ..Files::default() }).unwrap();
    let connections = Connections::new(limits, 1 << 56, Arc::new(tls));
    World { poll, transport, listener, local, connections, traffic: Traffic::default(), now: Instant::now() }
}

impl World {
    fn connect(&mut self) -> TcpStream {
        self.connect_from("127.0.0.1")
    }

    fn connect_from(&mut self, source: &str) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::from(SocketAddr::new(source.parse().unwrap(), 0))).unwrap();
        socket.connect(&SockAddr::from(self.local)).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        self.turn();
        stream
    }

    /// One wait, and what follows from it.
    fn turn(&mut self) {
        let mut events = Events::default();
        let mut buffer = vec![0; 65_536];
        self.poll.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
        for (token, interest) in events.iter() {
            let (poll, traffic) = (&self.poll, &self.traffic);
            if token == 0 {
                let from = (self.transport, &self.listener);
                self.connections.accept(self.now, poll, from, self.local, traffic).unwrap();
                continue;
            }
            let id = ConnectionId(token & 0xff_ffff);
            let now = Now { mono: self.now, wall: jiff::Timestamp::UNIX_EPOCH };
            if self.connections.ready(self.now, poll, id, interest, &mut buffer, traffic) {
                while self.connections.message(now, poll, id, traffic).is_some() {}
            }
        }
    }

    fn after(&mut self, seconds: u64) -> usize {
        self.connections.sweep(self.now + Duration::from_secs(seconds), &self.traffic);
        self.connections.live.len()
    }
}

#[test]
fn a_connection_too_many_is_closed_at_once() {
    let mut world = world();
    let _kept = ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"].map(|source| world.connect_from(source));
    let mut fifth = world.connect_from("127.0.0.3");
    assert_eq!(fifth.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(world.traffic.connections_refused.value(), 1);
    assert_eq!(world.connections.live.len(), 4);
}

#[test]
fn who_connects_and_says_nothing_is_closed() {
    let mut world = world();
    let _silent = world.connect();
    assert_eq!(world.after(29), 1);
    assert_eq!(world.after(30), 0);
    assert!(world.connections.ended().is_some());
}

#[test]
fn a_message_that_does_not_end_is_not_awaited_for_ever() {
    let mut world = world();
    let mut stream = world.connect();
    stream.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\nOPTIONS").unwrap();
    world.turn();
    assert_eq!(world.after(29), 1);
    assert_eq!(world.after(30), 0);
}

#[test]
fn a_phone_that_has_spoken_may_be_silent_for_long() {
    let mut world = world();
    let mut stream = world.connect();
    stream.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n").unwrap();
    world.turn();
    assert_eq!(world.after(3599), 1);
    assert_eq!(world.after(3600), 0);
    assert_eq!(world.traffic.idle_closed.value(), 1);
}

#[test]
fn what_we_opened_and_could_not_send_fails_by_both_names() {
    let mut world = world();
    let flow = Flow { transport: Transport::Tcp, local: world.local, remote: world.local, connection: None };
    let bytes = Bytes::from_static(b"x");
    world.connections.send(world.now, &world.poll, flow, bytes, &world.traffic);
    // It stands in the queue of a listener that hasn't accepted; nobody waited for the socket yet.
    assert_eq!(world.after(10), 0);
    let failed: Vec<_> = std::iter::from_fn(|| world.connections.ended()).collect();
    assert_eq!(failed.first(), Some(&flow));
    assert_eq!(failed.get(1).map(|flow| flow.connection), Some(Some(ConnectionId(1))));
}

#[test]
fn a_source_has_its_share_and_no_more() {
    let mut world = world();
    let [first, _second] = [world.connect(), world.connect()];
    assert_eq!(world.connect().read(&mut [0; 1]).unwrap(), 0);
    let _other = world.connect_from("127.0.0.2");
    assert_eq!(world.connections.live.len(), 3);
    drop(first);
    world.turn();
    let _again = world.connect();
    assert_eq!(world.connections.live.len(), 3);
    assert_eq!(world.traffic.connections_refused.value(), 1);
}

#[test]
fn who_takes_no_connection_is_left_in_time_for_a_datagram() {
    let mut world = world_of(Transport::Tcp, Limits::default());
    let flow = Flow { transport: Transport::Tcp, local: world.local, remote: world.local, connection: None };
    // Nobody looks at the socket, so it never stands.
    world.connections.send(world.now, &world.poll, flow, Bytes::from_static(b"x"), &world.traffic);
    assert_eq!(world.after(1), 1);
    assert_eq!(world.after(2), 0);
    assert_eq!(world.connections.ended(), Some(flow));
}

#[test]
fn one_source_does_not_keep_others_from_their_handshakes() {
    let limits = Limits { handshakes_max: 3, ..TIGHT };
    for transport in [Transport::Tls, Transport::Ws] {
        let mut world = world_of(transport, limits);
        let _silent = world.connect();
        assert_eq!(world.connect().read(&mut [0; 1]).unwrap(), 0, "its share is taken");
        let _other = world.connect_from("127.0.0.2");
        assert_eq!(world.connections.live.len(), 2);
        assert_eq!(world.traffic.connections_refused.value(), 1);
        assert_eq!(world.after(10), 0);
        let _again = world.connect();
        assert_eq!(world.connections.live.len(), 1, "a handshake that is over is given back");
    }
}

#[test]
fn handshakes_that_do_not_end_are_few_and_closed_soon() {
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut world = world_of(transport, TIGHT);
        let _silent = world.connect();
        assert_eq!(world.connect().read(&mut [0; 1]).unwrap(), 0, "one is enough for this world");
        assert_eq!(world.after(9), 1);
        assert_eq!(world.after(10), 0);
        assert_eq!(world.traffic.handshakes_failed.value(), 1);
        let _next = world.connect();
        assert_eq!(world.connections.live.len(), 1, "there is room again");
    }
}

#[test]
fn who_begins_handshakes_too_often_is_closed_at_once_and_others_are_not() {
    let often = Limits { handshakes_at_once_of_source: 3, handshakes_s_of_source: 1, ..TIGHT };
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut world = world_of(transport, often);
        for _ in 0..3 {
            let mut stream = world.connect();
            stream.write_all(b"no handshake\r\n\r\n").unwrap();
            world.turn();
            drop(stream);
            world.turn();
            world.now += Duration::from_millis(1);
            world.after(2);
        }
        assert_eq!(world.connect().read(&mut [0; 1]).unwrap(), 0, "{transport:?}");
        assert_eq!(world.traffic.handshakes_limited.value(), 1);
        let _other = world.connect_from("127.0.0.2");
        assert_eq!(world.connections.live.len(), 1, "{transport:?}");
    }
    let mut world = world_of(Transport::Tcp, often);
    for _ in 0..9 {
        let stream = world.connect();
        assert_eq!(world.connections.live.len(), 1, "what begins with no handshake costs none");
        drop(stream);
        world.turn();
    }
}

#[test]
fn what_is_wrong_is_said_before_the_connection_is_closed() {
    let mut world = world_of(Transport::Tls, TIGHT);
    let mut plain = world.connect();
    plain.write_all(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n").unwrap();
    world.turn();
    let mut said = Vec::new();
    plain.read_to_end(&mut said).unwrap();
    assert_eq!(said.first(), Some(&0x15), "an alert of TLS");
    assert!(world.connections.ended().is_some());
    assert_eq!((world.after(1), world.after(2)), (1, 0), "one who does not hang up is not waited for");
    assert!(world.connections.ended().is_none(), "told once");
}

#[test]
fn nobody_connects_to_a_browser() {
    let mut world = world_of(Transport::Ws, TIGHT);
    let flow = Flow { transport: Transport::Ws, local: world.local, remote: world.local, connection: None };
    world.connections.send(world.now, &world.poll, flow, Bytes::from_static(b"x"), &world.traffic);
    assert_eq!(world.connections.ended(), Some(flow));
    assert!(world.connections.is_empty());
}

/// Ten thousand phones that have registered and wait for calls. Not the sessions of TLS, which are rustls's.
#[test]
fn a_connection_that_idles_keeps_nothing_but_itself() {
    let mut world = world();
    let mut stream = world.connect();
    stream.write_all(&b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n".repeat(100)).unwrap();
    world.turn();
    let connection = world.connections.live.values().next().unwrap();
    assert_eq!(connection.unsent.bytes(), 0);
    assert!(std::mem::size_of::<Connection>() <= 400, "{}", std::mem::size_of::<Connection>());
}
