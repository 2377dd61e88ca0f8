//! What a relayed packet costs altogether: phones on one machine (a network namespace), relays on another, a virtual link between them.
//! Our relay threads with and without the fast path beside the plainest loop there is, in the same process and alternating.
//!
//!     cargo bench --features fast-path --bench fast [-- CALLS ROUNDS]        as root
//!
//! The figure is the CPU time of all threads of this process, phones and relays alike: whatever the kernel does with a packet on a virtual
//! link it does within a send, so nothing is done elsewhere (but what ksoftirqd takes over under load, which is counted too). What phones
//! that send to each other directly need is taken off: the rest is the relay's, with both ways over the link. Where
//! `sysctl kernel.bpf_stats_enabled=1` is set, the cost of the program alone is told as well.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench's way to fail

#[path = "peers/rtploop/plain.rs"]
mod plain;
#[path = "relay/windows.rs"]
mod windows;

use ringtree::net::clock;
use ringtree::net::media::{DSCP_EF, FastPath};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use windows::{OfCalls, PACKETS_A_ROUND, Subject, WINDOWS};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 79, 0, 1));
const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 79, 0, 2));
const INTERFACE: &str = "to_phones";

fn main() {
    let (calls, rounds) = windows::arguments();
    let lan = Lan::new();
    let fast = lan.on(&lan.relay, || {
        Arc::new(FastPath::start(&[INTERFACE.to_owned()], OURS, DSCP_EF).expect("root, and Linux 6.6"))
    });
    let phones = || lan.on(&lan.phones, || windows::phones(THEIRS, calls));
    let subject = |name, phones: OfCalls<UdpSocket>, ports| Subject::new(name, ports, phones, run_time_ns);
    let mut planes = Vec::new();
    let mut relayed = |name, fast: Option<&Arc<FastPath>>| {
        let phones = phones();
        let (plane, ports) = lan.on(&lan.relay, || windows::ours(OURS, &phones, fast));
        planes.push(plane);
        subject(name, phones, ports)
    };
    let (ours, fastest) = (relayed("ringtree", None), relayed("its fast path", Some(&fast)));
    let direct = phones();
    let address = |phone: &UdpSocket| -> SocketAddr { phone.local_addr().unwrap() };
    let ends = direct.iter().map(|[a, b]| [address(b), address(a)]).collect();
    let plain = lan.on(&lan.relay, || windows::plain_loop(OURS, calls));
    let mut subjects =
        [subject("direct", direct, ends), subject("plain epoll loop", phones(), plain), ours, fastest];
    while fast.streams() < 2 * calls as u64 {
        subjects[3].round(64);
        clock::rest(Duration::from_millis(20));
    }
    let passed = || (fast.packets(), program_stats());
    let before = passed();
    println!(
        "{calls} calls, {rounds} rounds of {PACKETS_A_ROUND} packets; CPU time of all threads per packet, in ns"
    );
    windows::measure(&mut subjects, rounds, "less direct", |median, direct| {
        format!("{:.0}", median - direct)
    });
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

/// Nanoseconds that the threads of this process have run, and those of the kernel that do what interrupts leave over.
fn run_time_ns() -> u64 {
    let ours = std::fs::read_dir("/proc/self/task").unwrap();
    let ours: u64 = ours.map(|task| windows::run_time_ns(&task.unwrap().path())).sum();
    ours + softirq_threads().iter().map(|task| windows::run_time_ns(task)).sum::<u64>()
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
