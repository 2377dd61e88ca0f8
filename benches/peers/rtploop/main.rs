//! The plainest relay there is, as the yardstick of the bench: one wait, then one receive and one send a packet, to whoever last
//! sent to the other port of the pair. It knows no calls, looks at no header and lets anybody take a stream over.
//!
//! `rtploop HOST:BASE PAIRS`, until it is killed: pair n is the ports BASE + 2n and BASE + 2n + 1. It writes `ready` when it listens.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a bench that can't start has nothing to measure

mod plain;

use std::net::{SocketAddr, UdpSocket};

fn main() {
    // `cargo bench` runs it without an address: nothing to do.
    let args: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let [base, pairs] = args.as_slice() else { return };
    let base: SocketAddr = base.parse().expect("HOST:BASE");
    let pairs: u16 = pairs.parse().expect("PAIRS is a number");
    let socket = |n| UdpSocket::bind(SocketAddr::new(base.ip(), base.port() + n)).unwrap();
    let sockets: Vec<UdpSocket> = (0..2 * pairs).map(socket).collect();
    println!("ready");
    plain::relay(&sockets)
}
