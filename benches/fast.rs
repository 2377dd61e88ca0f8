//! What a relayed packet costs altogether: phones on one machine (a network namespace), relays on another, a virtual link between them.
//! Our relay threads with and without the fast path beside the plainest loop there is, in the same process and alternating.
//!
//!     cargo bench --features fast-path --bench fast [-- CALLS ROUNDS]        as root
//!
//! A window of packets is sent, each by another party, and awaited before the next. The figure is the CPU time of all threads of this
//! process, phones and relays alike: whatever the kernel does with a packet on a virtual link it does within a send, so nothing is done
//! elsewhere (but what ksoftirqd takes over under load, which is counted too). What phones that send to each other directly need is taken off: the rest is the relay's, with
//! both ways over the link. Where `sysctl kernel.bpf_stats_enabled=1` is set, the cost of the program alone is told as well.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench's way to fail

#[path = "peers/rtploop/plain.rs"]
mod plain;

use ringtree::net::clock;
use ringtree::net::media::{DSCP_EF, FastPath, Plane, Ports, Range, Reporter};
use ringtree::relay::{Command, RelayId, Report, Side};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

const WINDOWS: [usize; 3] = [1, 8, 64];
const PACKETS_A_ROUND: usize = 20_000;
/// G.711, 20 ms.
const PACKET_BYTES: usize = 172;
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 79, 0, 1));
const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 79, 0, 2));
const INTERFACE: &str = "to_phones";

/// Something that relays.
struct Subject {
    name: &'static str,
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
    let lan = Lan::new();
    let fast = lan.on(lan.relay(), || {
        Arc::new(FastPath::start(&[INTERFACE.to_owned()], OURS, DSCP_EF).expect("root, and Linux 6.6"))
    });
    let subject = |name, relay: &dyn Fn(&[[UdpSocket; 2]]) -> Vec<[SocketAddr; 2]>| {
        let phones = lan.phones(calls);
        let ports = relay(&phones);
        Subject { name, ports, phones, ns_per_packet: vec![Vec::new(); WINDOWS.len()] }
    };
    let planes = std::cell::RefCell::new(Vec::new());
    let relayed = |phones: &[[UdpSocket; 2]], fast: Option<&Arc<FastPath>>| {
        let (plane, ports) = lan.start(phones, fast);
        planes.borrow_mut().push(plane);
        ports
    };
    let mut subjects = [
        subject("direct", &|phones| {
            phones.iter().map(|[a, b]| [b.local_addr().unwrap(), a.local_addr().unwrap()]).collect()
        }),
        subject("plain epoll loop", &|phones| lan.plain(phones.len())),
        subject("ringtree", &|phones| relayed(phones, None)),
        subject("its fast path", &|phones| relayed(phones, Some(&fast))),
    ];
    subjects.iter_mut().for_each(Subject::begin);
    while fast.streams() < 2 * calls as u64 {
        subjects[3].round(64);
        clock::rest(Duration::from_millis(20));
    }
    let passed = || (fast.packets(), program_stats());
    let before = passed();
    for _ in 0..rounds {
        for (n, window) in WINDOWS.into_iter().enumerate() {
            for subject in &mut subjects {
                let ns = subject.round(window);
                subject.ns_per_packet[n].push(ns);
            }
        }
    }
    println!(
        "{calls} calls, {rounds} rounds of {PACKETS_A_ROUND} packets; CPU time of all threads per packet, in ns"
    );
    println!("{:<18} {:>8} {:>8} {:>8} {:>12}", "", "window", "least", "median", "less direct");
    for (n, window) in WINDOWS.into_iter().enumerate() {
        let direct = median(&mut subjects[0].ns_per_packet[n]);
        for subject in &mut subjects {
            let middle = median(&mut subject.ns_per_packet[n]);
            let least = subject.ns_per_packet[n][0];
            println!("{:<18} {window:>8} {least:>8.0} {middle:>8.0} {:>12.0}", subject.name, middle - direct);
        }
    }
    drop(planes);
    let after = passed();
    let sent = (rounds * WINDOWS.len() * PACKETS_A_ROUND) as u64;
    println!("{} packets went by the fast path, of {sent}", after.0 - before.0);
    if let ((runs, ns), (more_runs, more_ns)) = (before.1, after.1)
        && more_runs > runs
    {
        println!("the program: {:.0} ns a run", (more_ns - ns) as f64 / (more_runs - runs) as f64);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Subject {
    /// Both sides of every call are heard once, or the plain loop wouldn't know where to send.
    fn begin(&mut self) {
        for (ports, [a, b]) in self.ports.iter().zip(&self.phones) {
            a.send_to(&packet(0), ports[0]).unwrap();
            b.send_to(&packet(0), ports[1]).unwrap();
            a.recv_from(&mut [0; PACKET_BYTES]).expect("the other side's packet");
        }
        self.round(1);
    }

    /// Sends packets window by window; the CPU time per packet.
    fn round(&mut self, window: usize) -> f64 {
        let before = run_time_ns();
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
        (run_time_ns() - before) as f64 / PACKETS_A_ROUND as f64
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

/// Nanoseconds that the threads of this process have run, and those of the kernel that do what interrupts leave over.
fn run_time_ns() -> u64 {
    let of = |task: &std::path::Path| -> u64 {
        let schedstat = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
    };
    let ours: u64 = std::fs::read_dir("/proc/self/task").unwrap().map(|task| of(&task.unwrap().path())).sum();
    ours + softirq_threads().iter().map(|task| of(task)).sum::<u64>()
}

fn softirq_threads() -> &'static [std::path::PathBuf] {
    static THREADS: std::sync::OnceLock<Vec<std::path::PathBuf>> = std::sync::OnceLock::new();
    THREADS.get_or_init(|| {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let is_one = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("ksoftirqd/"))
        };
        processes.filter(is_one).collect()
    })
}

/// Runs and nanoseconds of the programs that this process holds.
fn program_stats() -> (u64, u64) {
    let mut stats = (0, 0);
    for file in std::fs::read_dir("/proc/self/fdinfo").unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        let field = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
        };
        if text.contains("prog_type:") {
            stats = (stats.0 + field("run_cnt:"), stats.1 + field("run_time_ns:"));
        }
    }
    stats
}

/// Two machines, and what runs on them.
struct Lan {
    relay: String,
    phones: String,
}

impl Lan {
    fn new() -> Lan {
        let machine = |name: &str| format!("ringtree-bench-{}-{name}", std::process::id());
        let lan = Lan { relay: machine("relay"), phones: machine("phones") };
        for machine in [&lan.relay, &lan.phones] {
            ip(&format!("netns add {machine}"));
            ip(&format!("-n {machine} link set lo up"));
        }
        let (relay, phones) = (&lan.relay, &lan.phones);
        ip(&format!("-n {relay} link add {INTERFACE} type veth peer name eth0 netns {phones}"));
        for (machine, interface, address) in [(relay, INTERFACE, OURS), (phones, "eth0", THEIRS)] {
            ip(&format!("-n {machine} address add {address}/24 dev {interface}"));
            ip(&format!("-n {machine} link set {interface} up"));
        }
        lan
    }

    fn relay(&self) -> &str {
        &self.relay
    }

    /// On that machine.
    fn on<T: Send>(&self, machine: &str, act: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(format!("/run/netns/{machine}")).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                act()
            });
            thread.join().unwrap()
        })
    }

    fn phones(&self, calls: usize) -> Vec<[UdpSocket; 2]> {
        let phone = |_| {
            let socket = UdpSocket::bind((THEIRS, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        };
        self.on(&self.phones, || (0..calls).map(|_| [0, 1].map(phone)).collect())
    }

    /// The plainest loop: socket 2n and 2n + 1 belong together. It runs until the process ends.
    fn plain(&self, calls: usize) -> Vec<[SocketAddr; 2]> {
        let sockets: Vec<UdpSocket> =
            self.on(&self.relay, || (0..2 * calls).map(|_| UdpSocket::bind((OURS, 0)).unwrap()).collect());
        let addresses: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        std::thread::spawn(move || plain::relay(&sockets));
        addresses.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
    }

    fn start(
        &self,
        phones: &[[UdpSocket; 2]],
        fast: Option<&Arc<FastPath>>,
    ) -> (Plane, Vec<[SocketAddr; 2]>) {
        let (sender, reports) = std::sync::mpsc::sync_channel(16);
        let reporter: Reporter = Arc::new(move |report| {
            let _ = sender.send(report);
            None
        });
        let plane = self.on(&self.relay, || {
            let ports = Ports::open(OURS, Range::Any, DSCP_EF, 2 * phones.len()).unwrap();
            Plane::start(ports, 1, None, fast, &reporter).unwrap()
        });
        let Ok(Report::Opened { pairs, .. }) = reports.recv() else { panic!("no ports") };
        let mut addresses = Vec::new();
        for ((id, phones), pairs) in (0..).map(RelayId).zip(phones).zip(pairs.chunks_exact(2)) {
            plane.command(Command::Open { id, a: pairs[0], b: Some(pairs[1]) }).unwrap();
            for (side, phone) in [Side::A, Side::B].into_iter().zip(phones) {
                let rtp = Some(phone.local_addr().unwrap());
                plane.command(Command::Point { id, side, rtp, rtcp: None }).unwrap();
            }
            addresses.push([pairs[0].rtp, pairs[1].rtp]);
        }
        plane.command(Command::Grow { pairs: 0 }).unwrap();
        reports.recv().unwrap();
        (plane, addresses)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for machine in [&self.relay, &self.phones] {
            let _ = std::process::Command::new("ip").args(["netns", "delete", machine]).status();
        }
    }
}

fn ip(arguments: &str) {
    let done = std::process::Command::new("ip").args(arguments.split(' ')).output().expect("iproute2");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}
