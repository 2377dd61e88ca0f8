//! The contacts of one device, and the flow that each of them came by.

use super::binding::{Binding, DeviceKey};
use crate::deadlines::Armed;
use crate::sip::{ConnectionId, Flow, Transport};
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a flow is recognised by: the exact remote address and transport; on a connection, the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Datagrams(SocketAddr),
    Connection(ConnectionId),
    /// A reliable transport without a connection, as after a restart.
    Unconnected(SocketAddr),
}

impl Source {
    pub(super) fn of(flow: &Flow) -> Source {
        match (flow.transport, flow.connection) {
            (Transport::Udp, _) => Source::Datagrams(flow.remote),
            (_, Some(connection)) => Source::Connection(connection),
            (_, None) => Source::Unconnected(flow.remote),
        }
    }
}

#[derive(Debug)]
pub(super) struct Device {
    pub key: DeviceKey,
    /// When its entry in the queue of expiries comes up.
    pub armed: Armed,
    /// Best `q` first, then newest.
    bindings: Vec<Binding>,
    /// Of each binding, by the same index. Beside the binding and not in it: a binding is what callers and the store see.
    sources: SmallVec<[Source; 1]>,
}

impl Default for Device {
    fn default() -> Device {
        let none: Arc<str> = Arc::default();
        Device::new(DeviceKey { domain: none.clone(), device: none })
    }
}

impl Device {
    pub(super) fn new(key: DeviceKey) -> Device {
        Device { key, armed: None, bindings: Vec::new(), sources: SmallVec::new() }
    }

    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// To move the times of all of them alike: they stand in order of `q` and age.
    pub(super) fn bindings_mut(&mut self) -> &mut [Binding] {
        &mut self.bindings
    }

    /// What the binding there came by.
    pub(super) fn source(&self, at: usize) -> Option<Source> {
        self.sources.get(at).copied()
    }

    pub(super) fn find(&self, contact: &str) -> Option<usize> {
        self.bindings.iter().position(|binding| *binding.key.contact == *contact)
    }

    /// Takes one out.
    pub(super) fn take(&mut self, at: usize) -> Option<(Binding, Source)> {
        let source = *self.sources.get(at)?;
        if at >= self.bindings.len() {
            return None;
        }
        self.sources.remove(at);
        Some((self.bindings.remove(at), source))
    }

    /// Puts one in where its `q` and age say.
    pub(super) fn put(&mut self, binding: Binding, source: Source) {
        let rank = |binding: &Binding| (Reverse(binding.q), Reverse(binding.registered));
        let own = rank(&binding);
        let at = self.bindings.partition_point(|other| rank(other) < own);
        // Most devices have one contact; a Vec's own growth would hold room for four.
        self.bindings.reserve_exact(1);
        self.bindings.insert(at, binding);
        self.sources.insert(at, source);
    }
}
