//! The table of client transactions.

use super::client::Client;
use super::client_invite::ClientInvite;
use super::{ClientId, Event, Failure, Tally, hop_by_hop, key, next_hop};
use crate::deadlines::{Armed, Deadlines};
use crate::sip::{Flow, Message, Name, Transport};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Whose transaction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The transaction user's.
    User(ClientId),
    /// The CANCEL of that INVITE: this layer's own.
    Cancel(ClientId),
}

/// What a client machine acts through.
pub(super) struct Port<'a> {
    owner: Owner,
    flow: Flow,
    out: &'a mut Vec<Event>,
    tally: &'a mut Tally,
    /// A CANCEL that is to have a transaction of its own.
    cancel: Option<Bytes>,
    /// The flow of the response that is being received.
    source: Flow,
}

impl Port<'_> {
    pub(super) fn reliable(&self) -> bool {
        self.flow.transport.is_reliable()
    }

    pub(super) fn send(&mut self, bytes: Bytes) {
        self.out.push(Event::Send { flow: self.flow, bytes });
    }

    pub(super) fn retransmit(&mut self, bytes: Bytes) {
        self.tally.retransmissions += 1;
        self.send(bytes);
    }

    pub(super) fn cancel(&mut self, bytes: Bytes) {
        self.cancel = Some(bytes);
    }

    pub(super) fn pass(&mut self, message: Message) {
        if let Owner::User(id) = self.owner {
            self.out.push(Event::Response { id, flow: self.source, message });
        }
    }

    pub(super) fn fail(&mut self, why: Failure) {
        if let Owner::User(id) = self.owner {
            self.out.push(Event::Failed { id, why });
        }
    }
}

#[derive(Debug)]
pub(super) enum Machine {
    Invite(ClientInvite),
    Other(Client),
}

impl Machine {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Machine::Invite(machine) => machine.deadline(),
            Machine::Other(machine) => machine.deadline(),
        }
    }

    /// The request, where nothing has come back, whether or not somebody has given up meanwhile.
    fn unheard(&self) -> Option<&Bytes> {
        match self {
            Machine::Invite(ClientInvite::Calling { request, .. })
            | Machine::Other(Client::Trying { request, .. }) => Some(request),
            Machine::Invite(_) | Machine::Other(_) => None,
        }
    }

    fn is_given_up(&self) -> bool {
        matches!(self, Machine::Invite(ClientInvite::Calling { cancel: Some(_), .. }))
    }

    fn is_terminated(&self) -> bool {
        matches!(self, Machine::Invite(ClientInvite::Terminated) | Machine::Other(Client::Terminated))
    }
}

struct Entry {
    key: Arc<[u8]>,
    flow: Flow,
    /// What it goes on with where no connection can be had (RFC 3261 §18.1.1): it was too large for this.
    datagram: Option<(Flow, Bytes)>,
    /// The connection that ended, where it goes on by another: what else is told of that one is no news.
    left: Option<Flow>,
    /// Its place in the list of its peer.
    place: usize,
    machine: Machine,
    armed: Armed,
}

impl Entry {
    /// Whether it was sent on the flow that failed: one without a connection stands for any to that peer.
    fn is_hit(&self, failed: &Flow) -> bool {
        // By the name of a server both go by the same connection id; they differ in where they lead.
        let is_same = |left: &Flow| (left.remote, left.connection) == (failed.remote, failed.connection);
        let known = failed.connection.is_some() && self.left.as_ref().is_some_and(is_same);
        let any = self.flow.connection.is_none() || failed.connection.is_none();
        self.flow.local == failed.local && !known && (any || self.flow.connection == failed.connection)
    }
}

/// The far end that a flow leads to, whatever the connection.
type Peer = (Transport, SocketAddr);

pub(super) struct Clients {
    entries: FxHashMap<Owner, Entry>,
    /// The keys are ours (random branches), so nobody can make them collide.
    by_key: FxHashMap<Arc<[u8]>, Owner>,
    by_peer: FxHashMap<Peer, Vec<Owner>>,
    deadlines: Deadlines<Owner>,
    key: Vec<u8>,
}

impl Clients {
    pub(super) fn new() -> Clients {
        Clients {
            entries: FxHashMap::default(),
            by_key: FxHashMap::default(),
            by_peer: FxHashMap::default(),
            deadlines: Deadlines::new(),
            key: Vec::new(),
        }
    }

    /// Begins a transaction. `false` where the request can't have one: its branch can't be read or is taken, or the id is.
    pub(super) fn start(
        &mut self,
        now: Instant,
        owner: Owner,
        (flow, bytes): (Flow, Bytes),
        datagram: Option<(Flow, Bytes)>,
        tally: &mut Tally,
        out: &mut Vec<Event>,
    ) -> bool {
        if !key::our_request(&mut self.key, &bytes)
            || self.by_key.contains_key(self.key.as_slice())
            || self.entries.contains_key(&owner)
        {
            return false;
        }
        let key: Arc<[u8]> = Arc::from(self.key.as_slice());
        let invite = bytes.starts_with(b"INVITE ");
        let mut port = Port { owner, flow, out, tally, cancel: None, source: flow };
        let machine = match invite {
            true => Machine::Invite(ClientInvite::start(now, bytes, &mut port)),
            false => Machine::Other(Client::start(now, bytes, &mut port)),
        };
        let peers = self.by_peer.entry((flow.transport, flow.remote)).or_default();
        let place = peers.len();
        peers.push(owner);
        let mut entry = Entry { key: key.clone(), flow, datagram, left: None, place, machine, armed: None };
        self.deadlines.arm(owner, &mut entry.armed, entry.machine.deadline());
        self.by_key.insert(key, owner);
        self.entries.insert(owner, entry);
        true
    }

    /// Whether a request of ours waits for this, or did so lately; it is not parsed.
    pub(super) fn await_response(&mut self, response: &[u8]) -> bool {
        key::unread_response(&mut self.key, response) && self.by_key.contains_key(self.key.as_slice())
    }

    pub(super) fn receive(
        &mut self,
        now: Instant,
        flow: Flow,
        response: Message,
        tally: &mut Tally,
        out: &mut Vec<Event>,
    ) {
        // RFC 3261 §8.1.3.3: our requests have one Via, so a response with more is somebody else's.
        let ours = response.elements(Name::Via).nth(1).is_none() && key::response(&mut self.key, &response);
        let owner = ours.then(|| self.by_key.get(self.key.as_slice()));
        match owner.flatten().copied() {
            Some(owner) => self.step(now, owner, flow, tally, out, |machine, port| match machine {
                Machine::Invite(machine) => Machine::Invite(machine.receive(now, response, port)),
                Machine::Other(machine) => Machine::Other(machine.receive(now, response, port)),
            }),
            // RFC 6026 §8.6: a response without a transaction is dropped, 2xx or not.
            None => tally.stray_responses += 1,
        }
    }

    pub(super) fn cancel(
        &mut self,
        now: Instant,
        id: ClientId,
        reasons: &[&str],
        tally: &mut Tally,
        out: &mut Vec<Event>,
    ) {
        let owner = Owner::User(id);
        let Some(flow) = self.entries.get(&owner).map(|entry| entry.flow) else { return };
        self.step(now, owner, flow, tally, out, |machine, port| match machine {
            Machine::Invite(machine) => {
                let write = |invite| hop_by_hop::cancel(invite, reasons);
                Machine::Invite(machine.cancel(now, write, port))
            }
            // RFC 3261 §9.1: nothing but an INVITE is cancelled.
            Machine::Other(machine) => Machine::Other(machine),
        });
    }

    /// True where a request that would rather have gone as a datagram found nobody.
    pub(super) fn transport_failed(
        &mut self,
        now: Instant,
        flow: Flow,
        tally: &mut Tally,
        out: &mut Vec<Event>,
    ) -> bool {
        let Some(owners) = self.by_peer.get(&(flow.transport, flow.remote)) else { return false };
        let mut refused = false;
        for owner in owners.clone() {
            let Some(entry) = self.entries.get_mut(&owner).filter(|entry| entry.is_hit(&flow)) else {
                continue;
            };
            let unheard = entry.machine.unheard().cloned();
            let datagram = entry.datagram.take().filter(|_| unheard.is_some());
            refused |= datagram.is_some();
            let anew = || unheard.and_then(|bytes| Some((next_hop::anew(&entry.flow, &bytes)?, bytes)));
            let left = Some(entry.flow);
            if let Some(way) = datagram.or_else(anew).filter(|_| !entry.machine.is_given_up()) {
                self.remove(owner);
                self.start(now, owner, way, None, tally, out);
                self.entries.entry(owner).and_modify(|entry| entry.left = left);
                continue;
            }
            self.step(now, owner, flow, tally, out, |machine, port| match machine {
                Machine::Invite(machine) => Machine::Invite(machine.transport_failed(port)),
                Machine::Other(machine) => Machine::Other(machine.transport_failed(port)),
            });
        }
        refused
    }

    pub(super) fn timeout(&mut self, now: Instant, tally: &mut Tally, out: &mut Vec<Event>) {
        while let Some((at, owner)) = self.deadlines.pop(now) {
            let Some(entry) = self.entries.get_mut(&owner).filter(|entry| entry.armed == Some(at)) else {
                continue;
            };
            entry.armed = None;
            let flow = entry.flow;
            self.step(now, owner, flow, tally, out, |machine, port| match machine {
                Machine::Invite(machine) => Machine::Invite(machine.timeout(now, port)),
                Machine::Other(machine) => Machine::Other(machine.timeout(now, port)),
            });
        }
    }

    /// Moves one machine on, and sees to what follows: its next deadline, its CANCEL, its end.
    fn step(
        &mut self,
        now: Instant,
        owner: Owner,
        source: Flow,
        tally: &mut Tally,
        out: &mut Vec<Event>,
        act: impl FnOnce(Machine, &mut Port<'_>) -> Machine,
    ) {
        let Some(entry) = self.entries.get_mut(&owner) else { return };
        let flow = entry.flow;
        let mut port = Port { owner, flow, out, tally, cancel: None, source };
        let machine = std::mem::replace(&mut entry.machine, Machine::Other(Client::Terminated));
        entry.machine = act(machine, &mut port);
        let cancel = port.cancel.take();
        if entry.machine.is_terminated() {
            self.remove(owner);
        } else {
            self.deadlines.arm(owner, &mut entry.armed, entry.machine.deadline());
        }
        if let (Some(bytes), Owner::User(id)) = (cancel, owner) {
            self.start(now, Owner::Cancel(id), (flow, bytes), None, tally, out);
        }
    }

    fn remove(&mut self, owner: Owner) {
        let Some(entry) = self.entries.remove(&owner) else { return };
        self.by_key.remove(&entry.key);
        let peer = (entry.flow.transport, entry.flow.remote);
        if let Some(owners) = self.by_peer.get_mut(&peer) {
            owners.swap_remove(entry.place);
            let moved = owners.get(entry.place).and_then(|moved| self.entries.get_mut(moved));
            if let Some(moved) = moved {
                moved.place = entry.place;
            }
            if owners.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        let entries = &self.entries;
        self.deadlines.sweep(entries.len(), |at, owner| {
            entries.get(&owner).is_some_and(|entry| entry.armed == Some(at))
        });
    }

    /// Each with whose it is.
    pub(super) fn machines(&self) -> impl Iterator<Item = (Owner, &Machine)> {
        self.entries.iter().map(|(owner, entry)| (*owner, &entry.machine))
    }

    /// Keys, requests by peer, and entries in the queue of deadlines.
    pub(super) fn kept(&self) -> (usize, usize, usize) {
        let by_peer = self.by_peer.values().map(Vec::len).sum();
        (self.by_key.len(), by_peer, self.deadlines.len())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
