//! The load of `benches/peers/overload`: calls offered at a rate that asks nobody whether it is kept up with, and those that get through counted.
//!
//! `rush calls SERVER IP RATE SECS HELD`: HELD calls are set up and stand; then RATE calls a second are begun for SECS, each of them INVITE,
//! 200, ACK, BYE, 200, both parties here. An INVITE or BYE that hears nothing is sent again after 500 ms, 1 s, 2 s (RFC 3261 §17.1). Meanwhile each call that
//! stands has a re-INVITE a second; 911 is called five times a second; afterwards, a REGISTER and a call each 50 ms until a second has passed
//! in which none was refused.
//!
//! `rush storm SERVER PHONES SOURCES [RATE]`: that many phones u1.. register with their passwords pw1.. from that many addresses, all at once, and go on
//! until each has its 200: what is refused comes again after its Retry-After, what hears nothing after 500 ms, 1 s, 2 s, 4 s.
//!
//! Prints one line of JSON.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench that can't go on has nothing to measure, and is its own clock"
)]

mod calls;
mod storm;

use std::net::{SocketAddr, UdpSocket};

/// The value of a field, as it stands there.
fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_default()
}

fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

fn socket(ip: &str, server: SocketAddr) -> UdpSocket {
    towards(UdpSocket::bind(format!("{ip}:0")).unwrap(), server)
}

fn towards(socket: UdpSocket, server: SocketAddr) -> UdpSocket {
    socket.connect(server).unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    socket
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["calls", server, ip, rate, secs, held] => {
            let [rate, secs] = [rate, secs].map(|number| number.parse::<f64>().unwrap());
            calls::run(server.parse().unwrap(), ip, rate, secs, held.parse().unwrap());
        }
        ["storm", server, phones, sources] => {
            storm::run(server.parse().unwrap(), phones.parse().unwrap(), sources.parse().unwrap());
        }
        _ => {} // `cargo bench` runs it without: nothing to do
    }
}
