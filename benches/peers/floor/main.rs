//! The floor of the bench: answers every request with 200 by its own bytes, and does nothing else. What a SIP server costs above this is its
//! own; what is below it, the kernel's.
//!
//! `floor HOST:PORT`, until it is killed.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::net::UdpSocket;

fn main() {
    // `cargo bench` runs it without an address: nothing to do.
    let Some(address) = std::env::args().nth(1).filter(|word| !word.starts_with('-')) else { return };
    let socket = UdpSocket::bind(address).unwrap();
    let mut request = [0; 65_536];
    let mut response = Vec::with_capacity(65_536);
    loop {
        let Ok((octets, from)) = socket.recv_from(&mut request) else { continue };
        // Via, From, To, Call-ID and CSeq come back as they are, and a peer passes over the rest.
        let Some(line) = request[..octets].iter().position(|byte| *byte == b'\r') else { continue };
        response.clear();
        response.extend_from_slice(b"SIP/2.0 200 OK");
        response.extend_from_slice(&request[line..octets]);
        let _ = socket.send_to(&response, from);
    }
}
