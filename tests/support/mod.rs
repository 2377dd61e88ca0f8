//! The real daemon and real phones as processes, for the tests that go over real sockets.
//!
//! Nothing here knows the inside of ringtree: it starts the binary, speaks SIP through sipp and baresip, and reads what an
//! operator reads (its output, the admin socket, the command line). Each test process has a loopback address of its own
//! (127.x.y.z of its process id), so that no two of them can meet on a port.

#![allow(dead_code)] // each test binary compiles all of it and uses its part

pub mod baresip;
pub mod browser;
pub mod daemon;
pub mod dns;
pub mod linphone;
pub mod phone;
pub mod pjsua;
pub mod sipp;
pub mod sipp_phone;
pub mod sound;
pub mod tone;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before the test fails, far beyond what it takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// This process's own loopback address, outside 127.0.0.0/16: process ids of Linux fit in 22 bits.
pub fn address() -> Ipv4Addr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (a & 0x3f), b, c)
}

/// Loopback addresses beside it, for what is known by its address: trunk `n`, 0 or 1.
pub fn trunk_address(n: u8) -> Ipv4Addr {
    let [_, a, b, c] = address().octets();
    Ipv4Addr::new(127, 128 | (n << 6) | (a & 0x3f), b, c)
}

/// A port of [`address`] that nobody else takes: counted, never released.
pub fn port() -> u16 {
    ports(1)
}

/// The first of `count` such ports in a row, on an even one.
pub fn ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    NEXT.fetch_add(count.next_multiple_of(2), Ordering::Relaxed)
}

/// Waits until `look` finds something. For what tells nobody when it happens: files of other programs, `/proc`.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// The same, for what takes longer.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = clock() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock() < deadline, "waited {patience:?} in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The wall the real peers live by.
#[allow(clippy::disallowed_methods)] // real processes run in real time: there is no virtual clock to hand them
pub fn clock() -> Instant {
    Instant::now()
}

/// The wall clock, for what changes at a minute of the day.
#[allow(clippy::disallowed_methods)] // as above
pub fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
