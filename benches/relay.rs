//! CPU time per relayed packet: our relay thread beside the plainest loop there is (one wait, then one receive and one send
//! a packet, to whoever last sent), in the same process and alternating.
//!
//!     cargo bench --bench relay [-- CALLS ROUNDS]
//!
//! The figure is the run time of the relay's thread (`/proc/.../schedstat`); what is delivered on loopback is paid by the sender, so
//! half of a packet's way through the kernel is in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench's way to fail

#[path = "peers/rtploop/plain.rs"]
mod plain;
#[path = "relay/windows.rs"]
mod windows;

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use windows::{OfCalls, PACKETS_A_ROUND, Subject, run_time_ns};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn main() {
    let (calls, rounds) = windows::arguments();
    let phones = windows::phones(LOOPBACK, calls);
    let (_plane, our_ports) = windows::ours(LOOPBACK, &phones, None);
    let plain_ports = windows::plain_loop(LOOPBACK, calls);
    // Looked for once packets have gone by it: before, it may not have its name yet.
    let of = |thread: &'static str| {
        let found = OnceCell::new();
        move || run_time_ns(found.get_or_init(|| task(thread)))
    };
    let mut subjects = [
        Subject::new("plain epoll loop", plain_ports, again(&phones), of("plain")),
        Subject::new("ringtree", our_ports, again(&phones), of("media-0")),
    ];
    println!(
        "{calls} calls, {rounds} rounds of {PACKETS_A_ROUND} packets; CPU time of the relay's thread per packet, in ns"
    );
    windows::measure(&mut subjects, rounds, "ratio", |median, plain| format!("{:.2}", median / plain));
}

/// The same phones, for another subject.
fn again(phones: &[[UdpSocket; 2]]) -> OfCalls<UdpSocket> {
    phones.iter().map(|[a, b]| [a.try_clone().unwrap(), b.try_clone().unwrap()]).collect()
}

/// The thread of this name.
fn task(thread: &str) -> PathBuf {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let named =
        |task: &PathBuf| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == thread);
    tasks.into_iter().find(named).unwrap_or_else(|| panic!("no thread {thread}"))
}
