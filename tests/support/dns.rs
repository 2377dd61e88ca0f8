//! A name server of a few lines: answers from a table, over UDP, on a port of its own. It writes its messages without code of ours or
//! of the resolver's (RFC 1035 §4.1), so that the resolver is read by somebody else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TTL_S: u32 = 300;
const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;

type Table = BTreeMap<(String, u16), Vec<Vec<u8>>>;

/// A running name server. Ended when dropped.
pub struct NameServer {
    pub address: SocketAddr,
    records: Table,
    asked: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl NameServer {
    pub fn new() -> NameServer {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        NameServer { address, records: Table::new(), asked: Arc::default(), ended: Arc::default() }
    }

    pub fn a(self, name: &str, address: Ipv4Addr) -> NameServer {
        self.record(name, A, address.octets().to_vec())
    }

    pub fn srv(self, name: &str, priority: u16, weight: u16, port: u16, target: &str) -> NameServer {
        let mut data = Vec::new();
        [priority, weight, port].iter().for_each(|n| data.extend_from_slice(&n.to_be_bytes()));
        data.extend(labels(target));
        self.record(name, SRV, data)
    }

    pub fn naptr(self, name: &str, order: u16, service: &str, replacement: &str) -> NameServer {
        let mut data = Vec::new();
        [order, 1].iter().for_each(|n: &u16| data.extend_from_slice(&n.to_be_bytes()));
        for text in ["s", service, ""] {
            data.push(u8::try_from(text.len()).expect("a short text"));
            data.extend_from_slice(text.as_bytes());
        }
        data.extend(labels(replacement));
        self.record(name, NAPTR, data)
    }

    fn record(mut self, name: &str, kind: u16, data: Vec<u8>) -> NameServer {
        self.records.entry((name.to_owned(), kind)).or_default().push(data);
        self
    }

    /// Answers from now on.
    pub fn start(mut self) -> NameServer {
        let socket = UdpSocket::bind(self.address).expect("bound");
        self.address = socket.local_addr().expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
        let (records, asked, ended) = (self.records.clone(), self.asked.clone(), self.ended.clone());
        std::thread::spawn(move || {
            let mut question = [0; 1500];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                let Some((answer, name)) = answer(&question[..length], &records) else { continue };
                asked.lock().expect("no panic").push(name);
                let _ = socket.send_to(&answer, from);
            }
        });
        self
    }

    /// What was asked for so far: kind and name.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("a short label"));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn answer(question: &[u8], records: &Table) -> Option<(Vec<u8>, String)> {
    let mut at = 12;
    let mut name = Vec::new();
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push(String::from_utf8(question.get(at..at + length)?.to_vec()).ok()?.to_ascii_lowercase());
        at += length;
    }
    let name = name.join(".");
    let kind = u16::from_be_bytes(question.get(at..at + 2)?.try_into().ok()?);
    let asked = question.get(12..at + 4)?;
    let found = records.get(&(name.clone(), kind)).cloned().unwrap_or_default();
    let is_known = records.keys().any(|(known, _)| *known == name);
    let rcode: u8 = if is_known { 0 } else { 3 }; // NXDOMAIN
    let mut out = question.get(..2)?.to_vec();
    out.extend_from_slice(&[0x84, rcode, 0, 1]); // an answer with authority, to one question
    out.extend_from_slice(&u16::try_from(found.len()).ok()?.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(asked);
    for data in found {
        out.extend_from_slice(&[0xc0, 12]); // the name of the question
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&TTL_S.to_be_bytes());
        out.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some((out, format!("{kind} {name}")))
}
