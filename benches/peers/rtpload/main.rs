//! RTP load for the peer bench: sets calls up through a SIP server that anchors their media, playing both phones, then
//! sends G.711-sized packets both ways at a steady rate and counts what arrives, and how late.
//!
//! One thread that never sleeps while it measures, on a CPU of its own: a receiver that slept would have the relay pay for
//! waking it, and a timer would blur the latency. The server's CPU is read by `run`, at the lines `start` and `stop`.
//!
//! `rtpload SERVER LOCAL_IP CALLS PPS SECONDS`, where SERVER may be `loop:ADDRESS:BASE`: a relay without signalling, whose ports
//! BASE + 2n and BASE + 2n + 1 belong to call n; the last line of its output is a JSON object.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a load generator that can't go on has measured nothing
#![allow(clippy::disallowed_methods)] // it measures time: the clock is its subject

mod phones;

use phones::Phones;
use ringtree::net::poll::{Events, Interest, Poll};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// 20 ms of G.711 behind an RTP header.
const PACKET_BYTES: usize = 172;
const HEADER_BYTES: usize = 12;
/// Before measuring: latches lock, caches warm.
const WARM_UP: Duration = Duration::from_secs(1);
/// After the last packet: what is still under way arrives.
const DRAIN: Duration = Duration::from_millis(500);

/// One direction of one call's audio: what this phone sends to the relay, and what it hears from it.
struct Leg {
    socket: UdpSocket,
    relay: SocketAddr,
    sequence: u16,
    heard: u64,
}

#[derive(Default)]
struct Counted {
    sent: u64,
    received: u64,
    /// Nanoseconds of each packet that was sent and heard while measuring.
    latencies: Vec<u32>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [server, local, calls, pps, seconds] = args.as_slice() else {
        // `cargo bench` runs every bench without arguments; this one has nothing to do then.
        println!("usage: rtpload SERVER LOCAL_IP CALLS PPS SECONDS (see benches/peers/README.md)");
        return;
    };
    let (server, has_signalling) = match server.strip_prefix("loop:") {
        Some(base) => (base, false),
        None => (server.as_str(), true),
    };
    let server: SocketAddr = server.parse().expect("SERVER is ADDRESS:PORT");
    let local: IpAddr = local.parse().expect("LOCAL_IP is an address");
    let calls: usize = calls.parse().expect("CALLS is a number");
    let pps: f64 = pps.parse().expect("PPS is a number");
    let span = Duration::from_secs_f64(seconds.parse().expect("SECONDS is a number"));

    let mut phones = has_signalling.then(|| Phones::new(server, local));
    let mut legs = set_up(phones.as_mut(), server, local, calls);
    let mut counted = load(&mut legs, 2.0 * calls as f64 * pps, span);
    let silent = legs.iter().filter(|leg| leg.heard == 0).count();
    if let Some(mut phones) = phones {
        phones.hang_up();
    }
    counted.latencies.sort_unstable();
    println!("{}", report(&counted, silent));
}

/// The legs of all calls: 2n is the caller's of call n, 2n + 1 the callee's.
fn set_up(mut phones: Option<&mut Phones>, server: SocketAddr, local: IpAddr, calls: usize) -> Vec<Leg> {
    let mut legs = Vec::with_capacity(2 * calls);
    for call in 1..=calls {
        let sockets = [(); 2].map(|()| {
            let socket = UdpSocket::bind(SocketAddr::new(local, 0)).expect("a port");
            socket.set_nonblocking(true).expect("set");
            socket
        });
        let own = [&sockets[0], &sockets[1]].map(|socket| socket.local_addr().expect("bound"));
        let relays = match &mut phones {
            Some(phones) => phones.call(&format!("u{call}"), own),
            None => [2 * call - 2, 2 * call - 1]
                .map(|n| SocketAddr::new(server.ip(), server.port() + u16::try_from(n).expect("a port"))),
        };
        assert!(!relays.iter().any(|relay| own.contains(relay)), "the server does not relay media");
        for (socket, relay) in sockets.into_iter().zip(relays) {
            legs.push(Leg { socket, relay, sequence: 0, heard: 0 });
        }
    }
    legs
}

/// Sends `rate` packets a second in all, evenly spread over the legs, for the warm-up and then `span`.
fn load(legs: &mut [Leg], rate: f64, span: Duration) -> Counted {
    let poll = Poll::new().expect("epoll");
    for (token, leg) in (0..).zip(legs.iter()) {
        poll.add(&leg.socket, token, Interest::IN).expect("added");
    }
    let mut events = Events::default();
    let mut counted = Counted::default();
    let mut next: VecDeque<usize> = (0..legs.len()).collect();
    let (mut sent, mut measured) = (0.0, false);
    let start = Instant::now();
    loop {
        let now = start.elapsed();
        if !measured && now >= WARM_UP {
            measured = true;
            println!("start");
        }
        if now >= WARM_UP + span {
            break;
        }
        if sent < now.as_secs_f64() * rate {
            sent += 1.0;
            next.rotate_left(1);
            send(&mut legs[next[0]], start, measured, &mut counted);
        }
        receive(&poll, &mut events, legs, start, &mut counted);
    }
    println!("stop");
    let stop = start.elapsed();
    while start.elapsed() < stop + DRAIN {
        receive(&poll, &mut events, legs, start, &mut counted);
    }
    counted
}

/// The payload carries whether the packet counts, and when it was sent.
fn send(leg: &mut Leg, start: Instant, measured: bool, counted: &mut Counted) {
    let mut packet = [0xd5; PACKET_BYTES];
    leg.sequence = leg.sequence.wrapping_add(1);
    packet[..2].copy_from_slice(&[0x80, 8]);
    packet[2..4].copy_from_slice(&leg.sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(leg.sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&u32::from(leg.relay.port()).to_be_bytes());
    packet[HEADER_BYTES] = u8::from(measured);
    let now = start.elapsed().as_nanos() as u64;
    packet[HEADER_BYTES + 1..HEADER_BYTES + 9].copy_from_slice(&now.to_be_bytes());
    leg.socket.send_to(&packet, leg.relay).expect("loopback takes it");
    counted.sent += u64::from(measured);
}

fn receive(poll: &Poll, events: &mut Events, legs: &mut [Leg], start: Instant, counted: &mut Counted) {
    poll.wait(events, Some(Duration::ZERO)).expect("epoll");
    for (token, _) in events.iter() {
        let leg = &mut legs[token as usize];
        let mut packet = [0; 2 * PACKET_BYTES];
        match leg.socket.recv(&mut packet) {
            Ok(PACKET_BYTES) => {
                leg.heard += 1;
                if packet[HEADER_BYTES] == 1 {
                    let at = packet[HEADER_BYTES + 1..HEADER_BYTES + 9].try_into().expect("eight bytes");
                    let nanos = (start.elapsed().as_nanos() as u64).saturating_sub(u64::from_be_bytes(at));
                    counted.received += 1;
                    counted.latencies.push(u32::try_from(nanos).unwrap_or(u32::MAX));
                }
            }
            Ok(_) => {} // a stray datagram
            Err(why) if why.kind() == ErrorKind::WouldBlock => {}
            Err(why) => panic!("receiving: {why}"),
        }
    }
}

fn report(counted: &Counted, silent: usize) -> String {
    let at = |part: f64| {
        let last = counted.latencies.len().saturating_sub(1);
        counted.latencies.get((last as f64 * part) as usize).map_or(0.0, |nanos| f64::from(*nanos) / 1000.0)
    };
    serde_json::json!({
        "sent": counted.sent, "received": counted.received, "silent_legs": silent,
        "latency_p50_us": at(0.5), "latency_p99_us": at(0.99), "latency_p999_us": at(0.999),
    })
    .to_string()
}
