//! The fast path: streams that the relay has established (`relay::established`) are passed on in the kernel, by a program at the ingress
//! of the interfaces where media comes in. Such a packet wakes no thread and crosses no socket.
//!
//! ```text
//! relay thread, once a second --established--> STREAMS --+        COUNTS --what has passed--> relay thread
//!                                                        v          ^
//! interface ---------------- packet ----------> relay.bpf.c --------+----> redirected to the other party's interface
//!                                                        |
//!                                                        +--> whatever is no packet of such a stream: the socket, as ever
//! ```
//!
//! What it is not: no packet's fate is decided here. A source is in STREAMS only while the latch holds it, and the source of a packet has to
//! be exactly that; everything else (first packets, RTCP, STUN, strangers, another SSRC, a jump of the sequence) goes up.
//!
//! Invariants: a stream is out of STREAMS, and what it has carried is counted, before a command to its relay is carried out
//! (`carriage`); nobody else writes there.

mod bytes;
pub(super) mod carriage;
#[cfg(feature = "fast-path")]
mod kernel;
#[cfg(not(feature = "fast-path"))]
#[path = "absent.rs"]
mod kernel;
mod routes;

use crate::relay::established::{Established, Flow};
use bytes::{Counts, Rewrite};
use kernel::Kernel;
use routes::{Route, Routes};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Streams that the kernel passes on at once, two a call; more stay with the relay threads.
pub const STREAMS_MAX: usize = 32_768;

/// Why all packets go through user space.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    #[error("this build has none (cargo build --features fast-path)")]
    NotBuilt,
    #[error("it needs one address in [media] listen, and {0} is all of them")]
    AllAddresses(IpAddr),
    #[error("there is no interface {0}")]
    NoInterface(String),
    #[error("the interface {0} is not one of Ethernet")]
    NotEthernet(String),
    #[error("the kernel doesn't {what}: {why}")]
    Kernel { what: &'static str, why: String },
    #[error("the kernel tells no routes: {0}")]
    Routes(io::Error),
    #[error("its object is broken")]
    Broken,
}

/// The program and what it is told. One for all relay threads, who come here once a second and at the ends of streams, never for a packet
/// that the kernel passes on.
pub struct FastPath {
    traffic_class: u8,
    desk: Mutex<Desk>,
    /// How often routes have changed.
    changes: AtomicU64,
    streams: AtomicU64,
    packets: AtomicU64,
}

struct Desk {
    kernel: Kernel,
    routes: Routes,
    /// Slots that were never given out begin here.
    next: u32,
    vacant: Vec<u32>,
}

/// A stream that the kernel passes on.
#[derive(Debug)]
struct Entry {
    flow: Flow,
    /// The address that it comes to, and the one that it leaves from.
    ours: (SocketAddr, SocketAddr),
    slot: u32,
    route: Route,
    /// Of [`FastPath::changes`], when its route was looked at.
    looked: u64,
    /// What the relay knows of: packets and octets, and the highest sequence number.
    told: (u64, u64),
    sequence: u16,
}

impl FastPath {
    /// Loads the program and attaches it to these interfaces. `local` is where media comes to, and what is sent carries this code point.
    ///
    /// # Errors
    /// Why it can't be: then everything is as without it.
    pub fn start(interfaces: &[String], local: IpAddr, dscp: u8) -> Result<FastPath, Unavailable> {
        if local.is_unspecified() {
            return Err(Unavailable::AllAddresses(local));
        }
        let routes = Routes::open().map_err(Unavailable::Routes)?;
        for interface in interfaces {
            match routes.kind(interface).map_err(Unavailable::Routes)? {
                // The program knows headers of Ethernet alone; those of loopback are the same.
                Some(routes::ETHERNET | routes::LOOPBACK) => {}
                Some(_) => return Err(Unavailable::NotEthernet(interface.clone())),
                None => return Err(Unavailable::NoInterface(interface.clone())),
            }
        }
        let desk = Desk { kernel: Kernel::load(interfaces)?, routes, next: 0, vacant: Vec::new() };
        Ok(FastPath {
            traffic_class: dscp << 2,
            desk: Mutex::new(desk),
            changes: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            packets: AtomicU64::new(0),
        })
    }

    /// Streams that the kernel passes on now.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }

    /// Packets that it has passed on, as far as relays have counted them.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    fn passed(&self, packets: u64) {
        self.packets.fetch_add(packets, Ordering::Relaxed);
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether routes have changed: those of streams are looked up again then.
    pub(super) fn look(&self) {
        if self.desk().routes.have_changed() {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the kernel pass on a stream that comes to `ours.0`, from `ours.1`. `None`: it stays with the relay, for it has no way, or
    /// there is no room.
    fn establish(&self, ours: (SocketAddr, SocketAddr), established: &Established) -> Option<Entry> {
        let Established { flow, progress } = established;
        // Between the families a header would have to be made, not changed.
        if flow.from.is_ipv4() != flow.to.is_ipv4() {
            return None;
        }
        let looked = self.changes.load(Ordering::Relaxed);
        let mut desk = self.desk();
        let route = desk.routes.way(ours.1, flow.to, self.traffic_class).ok().flatten()?;
        let slot = desk.slot()?;
        let entry =
            Entry { flow: *flow, ours, slot, route, looked, told: (0, 0), sequence: progress.sequence };
        let counts = Counts {
            ssrc: flow.ssrc,
            timestamp: progress.timestamp,
            jitter: (progress.jitter * 16.0) as u32,
            rate_hz: progress.rate_hz,
            sequence: progress.sequence,
            payload_type: progress.payload_type,
            ..Counts::default()
        };
        let put =
            desk.kernel.begin(slot, &counts.write()).and_then(|()| desk.put(&entry, self.traffic_class));
        if let Err(error) = put {
            tracing::warn!(%error, "the kernel takes no stream to pass on");
            desk.vacant.push(slot);
            return None;
        }
        self.streams.fetch_add(1, Ordering::Relaxed);
        Some(entry)
    }

    /// What has passed of that stream.
    fn counts(&self, entry: &Entry) -> Option<Counts> {
        self.desk().counts(entry.slot)
    }

    /// Looks the stream's route up again if any has changed. Whether it has one that the kernel has been told.
    fn reroute(&self, entry: &mut Entry) -> bool {
        let looked = self.changes.load(Ordering::Relaxed);
        if looked == entry.looked {
            return true;
        }
        let mut desk = self.desk();
        let route = desk.routes.way(entry.ours.1, entry.flow.to, self.traffic_class).ok().flatten();
        let Some(route) = route else { return false };
        entry.looked = looked;
        if route == entry.route {
            return true;
        }
        entry.route = route;
        desk.put(entry, self.traffic_class).is_ok()
    }

    /// Takes the stream out: from here on its packets go up. What has passed of it until then.
    fn withdraw(&self, entry: &Entry) -> Option<Counts> {
        let mut desk = self.desk();
        if let Err(error) = desk.kernel.remove(&entry.key()) {
            tracing::error!(%error, "a stream can't be taken from the kernel");
        }
        let counts = desk.counts(entry.slot);
        desk.vacant.push(entry.slot);
        self.streams.fetch_sub(1, Ordering::Relaxed);
        counts
    }
}

impl Desk {
    fn slot(&mut self) -> Option<u32> {
        self.vacant.pop().or_else(|| {
            let slot = self.next;
            ((slot as usize) < STREAMS_MAX).then(|| {
                self.next += 1;
                slot
            })
        })
    }

    fn counts(&self, slot: u32) -> Option<Counts> {
        self.kernel.count(slot).ok().map(|octets| Counts::read(&octets))
    }

    fn put(&mut self, entry: &Entry, traffic_class: u8) -> Result<(), String> {
        let rewrite = Rewrite {
            before: (entry.flow.from, entry.ours.0),
            after: (entry.ours.1, entry.flow.to),
            route: entry.route,
            traffic_class,
        };
        self.kernel.insert(&entry.key(), &rewrite.stream(entry.slot))
    }
}

impl Entry {
    fn key(&self) -> [u8; bytes::KEY_BYTES] {
        bytes::key(self.ours.0, self.flow.from)
    }
}
