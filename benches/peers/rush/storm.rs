//! All phones register at once.

use crate::{field, socket, status};
use ringtree::sip::auth::{self, Algorithm, Credentials};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Datagrams sent between two looks at what has come.
const BATCH: usize = 256;
const GIVE_UP: Duration = Duration::from_secs(300);

struct Phone {
    /// How often its request was sent, what its challenge was.
    tries: u32,
    nonce: Option<String>,
    cseq: u32,
    done: bool,
}

pub fn run(server: SocketAddr, phones: usize, sources: usize) {
    let sockets: Vec<UdpSocket> =
        (0..sources).map(|n| socket(&format!("127.78.{}.{}", n / 250, n % 250 + 1), server)).collect();
    let mut table: Vec<Phone> =
        (0..phones).map(|_| Phone { tries: 0, nonce: None, cseq: 0, done: false }).collect();
    let start = Instant::now();
    let mut due: BinaryHeap<Reverse<(Instant, usize, u32)>> =
        (0..phones).map(|n| Reverse((start, n, 0))).collect();
    let (mut done, mut refused, mut resent, mut otherwise) = (0, 0u64, 0u64, 0u64);
    let (mut took, mut buffer) = (Vec::with_capacity(phones), vec![0; 8_192]);
    while done < phones && start.elapsed() < GIVE_UP {
        let now = Instant::now();
        for _ in 0..BATCH {
            if due.peek().is_none_or(|next| next.0.0 > now) {
                break;
            }
            let Some(Reverse((_, n, cseq))) = due.pop() else { break };
            let phone = &mut table[n];
            if phone.done || phone.cseq != cseq {
                continue; // it was answered meanwhile
            }
            resent += u64::from(phone.tries > 0);
            let _ = sockets[n % sources].send(register(n, phone, &sockets[n % sources]).as_bytes());
            let wait = Duration::from_millis(500 << phone.tries.min(3));
            phone.tries += 1;
            due.push(Reverse((now + wait, n, cseq)));
        }
        for socket in &sockets {
            loop {
                let octets = match socket.recv(&mut buffer) {
                    Ok(octets) => octets,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => continue,
                };
                let Ok(message) = std::str::from_utf8(&buffer[..octets]) else { continue };
                let mut id = field(message, "Call-ID").split('.');
                let Some(n) = id.next().and_then(|n| n.parse::<usize>().ok()) else { continue };
                let cseq = field(message, "CSeq").split(' ').next().and_then(|n| n.parse().ok());
                let phone = &mut table[n];
                if phone.done || cseq != Some(phone.cseq) {
                    continue;
                }
                let again = match status(message) {
                    Some(200) => {
                        phone.done = true;
                        done += 1;
                        took.push(start.elapsed().as_secs_f64());
                        continue;
                    }
                    Some(401) => {
                        let challenge = field(message, "WWW-Authenticate");
                        phone.nonce = challenge
                            .split("nonce=\"")
                            .nth(1)
                            .and_then(|rest| rest.split('"').next())
                            .map(str::to_owned);
                        Duration::ZERO
                    }
                    Some(503) => {
                        refused += 1;
                        Duration::from_secs(field(message, "Retry-After").parse().unwrap_or(5))
                    }
                    _ => {
                        otherwise += 1;
                        Duration::from_secs(1)
                    }
                };
                phone.cseq += 1;
                phone.tries = 0;
                due.push(Reverse((Instant::now() + again, n, phone.cseq)));
            }
        }
    }
    took.sort_by(f64::total_cmp);
    let at =
        |part: f64| took.get((took.len() as f64 * part) as usize).or(took.last()).copied().unwrap_or(0.0);
    println!(
        "{{\"phones\": {phones}, \"registered\": {done}, \"half_s\": {:.1}, \"p99_s\": {:.1}, \"all_s\": {:.1}, \"refused\": {refused}, \"resent\": {resent}, \"otherwise\": {otherwise}}}",
        at(0.5),
        at(0.99),
        at(1.0),
    );
}

fn register(n: usize, phone: &Phone, socket: &UdpSocket) -> String {
    let (user, me, cseq) = (n + 1, socket.local_addr().unwrap(), phone.cseq);
    let credentials = phone.nonce.as_ref().map(|nonce| {
        let field = |response: &str| {
            format!(
                "Digest username=\"u{user}\", realm=\"bench.example\", nonce=\"{nonce}\", uri=\"sip:bench.example\", response=\"{response}\", algorithm=MD5"
            )
        };
        let ha1 = auth::ha1(Algorithm::Md5, &format!("u{user}"), "bench.example", &format!("pw{user}"));
        let unsigned = field("");
        let response = auth::response(Algorithm::Md5, &ha1, "REGISTER", &Credentials::parse(&unsigned).unwrap());
        format!("Authorization: {}\r\n", field(&response))
    });
    format!(
        "REGISTER sip:bench.example SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{n}.{cseq};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:u{user}@bench.example>;tag=r{n}\r\nTo: <sip:u{user}@bench.example>\r\nCall-ID: {n}.storm\r\nCSeq: {cseq} REGISTER\r\n\
         Contact: <sip:u{user}@{me}>\r\nExpires: 3600\r\n{}Content-Length: 0\r\n\r\n",
        credentials.unwrap_or_default()
    )
}
