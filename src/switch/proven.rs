//! Flows that have shown by credentials whom they are from without having registered: shutting their address out doesn't reach them.
//!
//! It is what a registered flow has, for those who call and don't register, and for as long as they use it. One wrong credential ends it.
//!
//! Invariants: the table has an end, and only who has credentials gets into it; each call costs the same, however many flows there are.

use crate::sip::{ConnectionId, Flow, Transport};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Flows that are remembered; at the limit the half that was used least recently is forgotten.
pub const PROVEN_MAX: usize = 16_384;
/// How long after its last message.
const LASTS: Duration = Duration::from_secs(3_600);

/// What a flow is recognised by.
type Peer = (Transport, SocketAddr, Option<ConnectionId>);

fn peer(flow: &Flow) -> Peer {
    (flow.transport, flow.remote, flow.connection)
}

/// By when each was used last.
#[derive(Debug, Default)]
pub struct Proven {
    young: HashMap<Peer, Instant>,
    old: HashMap<Peer, Instant>,
}

impl Proven {
    /// Flows that are remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub fn learn(&mut self, now: Instant, flow: &Flow) {
        let peer = peer(flow);
        self.old.remove(&peer);
        if self.young.len() >= PROVEN_MAX / 2 && !self.young.contains_key(&peer) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(peer, now);
    }

    /// Its connection has ended, or its credentials were wrong.
    pub fn forget(&mut self, flow: &Flow) {
        let peer = peer(flow);
        self.young.remove(&peer);
        self.old.remove(&peer);
    }

    /// Whether it counts still. Asking is for a message that has come, and so a use.
    pub fn is_used(&mut self, now: Instant, flow: &Flow) -> bool {
        if self.young.is_empty() && self.old.is_empty() {
            return false;
        }
        let peer = peer(flow);
        let used = self.young.get(&peer).or_else(|| self.old.get(&peer));
        let Some(used) = used else { return false };
        let lasts = now.saturating_duration_since(*used) <= LASTS;
        if lasts {
            self.learn(now, flow);
        } else {
            self.forget(flow);
        }
        lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow { transport: Transport::Udp, local, remote: ([198, 51, 100, 9], port).into(), connection: None }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_flow_is_proven_while_it_is_used() {
        let (mut proven, now) = (Proven::default(), crate::net::clock::now().mono);
        proven.learn(now, &flow(1));
        assert!(proven.is_used(now + s(3_600), &flow(1)) && proven.is_used(now + s(7_200), &flow(1)));
        assert!(!proven.is_used(now + s(7_200), &flow(2)), "another port is another flow");
        assert!(!proven.is_used(now + s(10_801), &flow(1)));
        proven.learn(now, &flow(3));
        proven.forget(&flow(3));
        assert!(!proven.is_used(now, &flow(3)));
    }

    #[test]
    fn the_table_has_an_end_and_keeps_who_is_in_use() {
        let (mut proven, now) = (Proven::default(), crate::net::clock::now().mono);
        for port in 1..=40_000 {
            proven.learn(now, &flow(port));
            assert!(proven.is_used(now, &flow(1)));
            assert!(proven.young.len() + proven.old.len() <= PROVEN_MAX);
        }
        assert!(!proven.is_used(now, &flow(2)));
    }
}
