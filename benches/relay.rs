//! CPU time per relayed packet: our relay thread beside the plainest loop there is (one wait, then one receive and one send
//! a packet, to whoever last sent), in the same process and alternating, so that a busy machine troubles both alike.
//!
//!     cargo bench --bench relay [-- CALLS ROUNDS]
//!
//! A window of packets is sent, each by another party, and awaited before the next: a window of 1 is the dearest case (one
//! wake-up a packet), 64 a loaded relay. The figure is the run time of the relay's thread (`/proc/.../schedstat`); what is
//! delivered on loopback is paid by the sender, so half of a packet's way through the kernel is in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench's way to fail

#[path = "peers/rtploop/plain.rs"]
mod plain;

use ringtree::net::media::{DSCP_EF, Plane, Ports, Range, Reporter};
use ringtree::relay::{Command, RelayId, Report, Side};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

const WINDOWS: [usize; 3] = [1, 8, 64];
const PACKETS_A_ROUND: usize = 20_000;
/// G.711, 20 ms.
const PACKET_BYTES: usize = 172;
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Something that relays, and the thread it does so on.
struct Subject {
    name: &'static str,
    thread: String,
    /// For each call: where its A side and its B side send.
    ports: Vec<[SocketAddr; 2]>,
    phones: Vec<[UdpSocket; 2]>,
    ns_per_packet: Vec<Vec<f64>>,
}

fn main() {
    // cargo bench passes `--bench`.
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let calls = numbers.first().copied().unwrap_or(200);
    let rounds = numbers.get(1).copied().unwrap_or(15);
    let phones = phones(calls);
    let (_plane, our_ports) = ours(&phones);
    let mut subjects = [
        Subject::new("plain epoll loop", "plain", plain(calls), phones_of(&phones)),
        Subject::new("ringtree", "media-0", our_ports, phones_of(&phones)),
    ];
    for _ in 0..rounds {
        for (n, window) in WINDOWS.into_iter().enumerate() {
            for subject in &mut subjects {
                let ns = subject.round(window);
                subject.ns_per_packet[n].push(ns);
            }
        }
    }
    println!(
        "{calls} calls, {rounds} rounds of {PACKETS_A_ROUND} packets; CPU time of the relay's thread per packet, in ns"
    );
    println!("{:<18} {:>8} {:>8} {:>8} {:>8}", "", "window", "least", "median", "ratio");
    for (n, window) in WINDOWS.into_iter().enumerate() {
        let yardstick = median(&mut subjects[0].ns_per_packet[n]);
        for subject in &mut subjects {
            let middle = median(&mut subject.ns_per_packet[n]);
            let least = subject.ns_per_packet[n][0];
            println!(
                "{:<18} {window:>8} {least:>8.0} {middle:>8.0} {:>8.2}",
                subject.name,
                middle / yardstick
            );
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Subject {
    fn new(
        name: &'static str,
        thread: &str,
        ports: Vec<[SocketAddr; 2]>,
        phones: Vec<[UdpSocket; 2]>,
    ) -> Subject {
        let mut subject = Subject {
            name,
            thread: thread.into(),
            ports,
            phones,
            ns_per_packet: vec![Vec::new(); WINDOWS.len()],
        };
        // Both sides of every call are heard once, or the plain loop wouldn't know where to send.
        for (ports, [a, b]) in subject.ports.iter().zip(&subject.phones) {
            a.send_to(&packet(0), ports[0]).unwrap();
            b.send_to(&packet(0), ports[1]).unwrap();
            a.recv_from(&mut [0; PACKET_BYTES]).expect("the other side's packet");
        }
        subject.round(1);
        subject
    }

    /// Sends packets window by window; the CPU time of the relay's thread per packet.
    fn round(&mut self, window: usize) -> f64 {
        let before = run_time_ns(&self.thread);
        for first in (0..PACKETS_A_ROUND).step_by(window) {
            // 0 is the packet of the beginning.
            let sequences = first..first + window;
            let leg = |n: usize| (n / 2 % self.phones.len(), n % 2, packet(n as u16 % 30_000 + 1));
            for (call, side, packet) in sequences.clone().map(leg) {
                self.phones[call][side].send_to(&packet, self.ports[call][side]).unwrap();
            }
            for (call, side, packet) in sequences.map(leg) {
                let mut heard = [0; PACKET_BYTES];
                while heard != packet {
                    self.phones[call][1 - side].recv_from(&mut heard).expect("the packet at the other side");
                }
            }
        }
        (run_time_ns(&self.thread) - before) as f64 / PACKETS_A_ROUND as f64
    }
}

fn packet(sequence: u16) -> [u8; PACKET_BYTES] {
    let mut packet = [0xd5; PACKET_BYTES];
    packet[..2].copy_from_slice(&[0x80, 8]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
    packet
}

fn phones(calls: usize) -> Vec<[UdpSocket; 2]> {
    let phone = |_| {
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    };
    (0..calls).map(|_| [0, 1].map(phone)).collect()
}

fn phones_of(phones: &[[UdpSocket; 2]]) -> Vec<[UdpSocket; 2]> {
    phones.iter().map(|[a, b]| [a.try_clone().unwrap(), b.try_clone().unwrap()]).collect()
}

/// Nanoseconds that the thread of this name has run.
fn run_time_ns(thread: &str) -> u64 {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        if std::fs::read_to_string(path.join("comm")).unwrap_or_default().trim() == thread {
            let schedstat = std::fs::read_to_string(path.join("schedstat")).unwrap();
            return schedstat.split(' ').next().unwrap().parse().unwrap();
        }
    }
    panic!("no thread {thread}");
}

/// The plainest loop: socket 2n and 2n + 1 belong together. It runs until the process ends.
fn plain(calls: usize) -> Vec<[SocketAddr; 2]> {
    let sockets: Vec<UdpSocket> = (0..2 * calls).map(|_| UdpSocket::bind((LOOPBACK, 0)).unwrap()).collect();
    let addresses: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    std::thread::Builder::new().name("plain".into()).spawn(move || plain::relay(&sockets)).unwrap();
    addresses.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

fn ours(phones: &[[UdpSocket; 2]]) -> (Plane, Vec<[SocketAddr; 2]>) {
    let (sender, reports) = std::sync::mpsc::sync_channel(16);
    let reporter: Reporter = Arc::new(move |report| {
        let _ = sender.send(report);
        None
    });
    let ports = Ports::open(LOOPBACK, Range::Any, DSCP_EF, 2 * phones.len()).unwrap();
    let plane = Plane::start(ports, 1, None, None, &reporter).unwrap();
    let Ok(Report::Opened { pairs, .. }) = reports.recv() else { panic!("no ports") };
    let mut addresses = Vec::new();
    for ((id, phones), pairs) in (0..).map(RelayId).zip(phones).zip(pairs.chunks_exact(2)) {
        plane.command(Command::Open { id, a: pairs[0], b: Some(pairs[1]) }).unwrap();
        for (side, phone) in [Side::A, Side::B].into_iter().zip(phones) {
            let rtp = Some(phone.local_addr().unwrap());
            plane.command(Command::Point { id, side, rtp, rtcp: None, expected: None }).unwrap();
        }
        addresses.push([pairs[0].rtp, pairs[1].rtp]);
    }
    plane.command(Command::Grow { pairs: 0 }).unwrap();
    reports.recv().unwrap();
    (plane, addresses)
}
