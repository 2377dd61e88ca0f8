//! How the benches of relays measure: a window of packets is sent, each by another party, and awaited before the next. A window of 1
//! is the dearest case (one wake-up a packet), 64 a loaded relay. Subjects alternate, so that a busy machine troubles all alike.

use super::plain;
use ringtree::net::media::{DSCP_EF, FastPath, Plane, Ports, Range, Reporter};
use ringtree::relay::{Command, RelayId, Report, Side};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

pub const WINDOWS: [usize; 3] = [1, 8, 64];
pub const PACKETS_A_ROUND: usize = 20_000;
/// G.711, 20 ms.
const PACKET_BYTES: usize = 172;

/// For each call, what belongs to its A side and to its B side.
pub type OfCalls<T> = Vec<[T; 2]>;

/// Something that relays.
pub struct Subject {
    name: &'static str,
    /// Where each phone sends.
    ports: OfCalls<SocketAddr>,
    phones: OfCalls<UdpSocket>,
    /// What it has cost so far, in nanoseconds of CPU time.
    cost: Box<dyn Fn() -> u64>,
    ns_per_packet: [Vec<f64>; WINDOWS.len()],
}

impl Subject {
    pub fn new(
        name: &'static str,
        ports: OfCalls<SocketAddr>,
        phones: OfCalls<UdpSocket>,
        cost: impl Fn() -> u64 + 'static,
    ) -> Subject {
        let cost = Box::new(cost);
        let mut subject = Subject { name, ports, phones, cost, ns_per_packet: Default::default() };
        // Both sides of every call are heard once, or the plain loop wouldn't know where to send.
        for (ports, [a, b]) in subject.ports.iter().zip(&subject.phones) {
            a.send_to(&packet(0), ports[0]).unwrap();
            b.send_to(&packet(0), ports[1]).unwrap();
            a.recv_from(&mut [0; PACKET_BYTES]).expect("the other side's packet");
        }
        subject.round(1);
        subject
    }

    /// Sends packets window by window; the nanoseconds per packet.
    pub fn round(&mut self, window: usize) -> f64 {
        let before = (self.cost)();
        for first in (0..PACKETS_A_ROUND).step_by(window) {
            let sequences = first..first + window;
            // 0 is the packet of the beginning.
            let leg = |n: usize| {
                let sequence = n / 2 / self.phones.len() % 30_000 + 1;
                (n / 2 % self.phones.len(), n % 2, packet(sequence as u16))
            };
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
        ((self.cost)() - before) as f64 / PACKETS_A_ROUND as f64
    }
}

/// Measures that often, and prints what each costs. The last column is made of its median and that of the first subject.
pub fn measure(subjects: &mut [Subject], rounds: usize, last: &str, column: impl Fn(f64, f64) -> String) {
    for _ in 0..rounds {
        for (n, window) in WINDOWS.into_iter().enumerate() {
            for subject in &mut *subjects {
                let ns = subject.round(window);
                subject.ns_per_packet[n].push(ns);
            }
        }
    }
    println!("{:<18} {:>8} {:>8} {:>8} {last:>12}", "", "window", "least", "median");
    for (n, window) in WINDOWS.into_iter().enumerate() {
        let yardstick = median(&mut subjects[0].ns_per_packet[n]);
        for subject in &mut *subjects {
            let middle = median(&mut subject.ns_per_packet[n]);
            let least = subject.ns_per_packet[n][0];
            let last = column(middle, yardstick);
            println!("{:<18} {window:>8} {least:>8.0} {middle:>8.0} {last:>12}", subject.name);
        }
    }
}

/// CALLS and ROUNDS of the command line. (cargo bench passes `--bench`.)
pub fn arguments() -> (usize, usize) {
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    (numbers.first().copied().unwrap_or(200), numbers.get(1).copied().unwrap_or(15))
}

/// The time that a task has run, by its folder in /proc. 0 where it has ended.
pub fn run_time_ns(task: &std::path::Path) -> u64 {
    let schedstat = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

pub fn phones(at: IpAddr, calls: usize) -> OfCalls<UdpSocket> {
    let phone = |_| {
        let socket = UdpSocket::bind((at, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    };
    (0..calls).map(|_| [0, 1].map(phone)).collect()
}

/// The plainest loop: socket 2n and 2n + 1 belong together. It runs until the process ends, on a thread named `plain`.
pub fn plain_loop(at: IpAddr, calls: usize) -> OfCalls<SocketAddr> {
    let sockets: Vec<UdpSocket> = (0..2 * calls).map(|_| UdpSocket::bind((at, 0)).unwrap()).collect();
    let addresses: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    std::thread::Builder::new().name("plain".into()).spawn(move || plain::relay(&sockets)).unwrap();
    addresses.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// Our relay between these phones, on a thread named `media-0`.
pub fn ours(
    at: IpAddr,
    phones: &[[UdpSocket; 2]],
    fast: Option<&Arc<FastPath>>,
) -> (Plane, OfCalls<SocketAddr>) {
    let (sender, reports) = std::sync::mpsc::sync_channel(16);
    let reporter: Reporter = Arc::new(move |report| {
        let _ = sender.send(report);
        None
    });
    let ports = Ports::open(at, Range::Any, DSCP_EF, 2 * phones.len()).unwrap();
    let plane = Plane::start(ports, 1, None, fast, &reporter).unwrap();
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

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn packet(sequence: u16) -> [u8; PACKET_BYTES] {
    let mut packet = [0xd5; PACKET_BYTES];
    packet[..2].copy_from_slice(&[0x80, 8]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
    packet
}
