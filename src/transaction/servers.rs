//! The table of server transactions.

use super::server::Server;
use super::server_invite::ServerInvite;
use super::status::Class;
use super::{Event, ServerId, Tally};
use crate::deadlines::{Armed, Deadlines};
use crate::sip::{Flow, Message};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// What a server machine acts through.
pub(super) struct Port<'a> {
    id: ServerId,
    flow: Flow,
    out: &'a mut Vec<Event>,
    tally: &'a mut Tally,
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

    /// A retransmission came and went no further.
    pub(super) fn absorbed(&mut self) {
        self.tally.retransmissions += 1;
    }

    pub(super) fn pass_ack(&mut self, source: Flow, message: Message) {
        self.out.push(Event::Ack { flow: source, message });
    }

    pub(super) fn unacknowledged(&mut self) {
        self.out.push(Event::Unacknowledged { id: self.id });
    }
}

#[derive(Debug)]
pub(super) enum Machine {
    Invite(ServerInvite),
    Other(Server),
}

impl Machine {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Machine::Invite(machine) => machine.deadline(),
            Machine::Other(machine) => machine.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        matches!(self, Machine::Invite(ServerInvite::Terminated) | Machine::Other(Server::Terminated))
    }
}

/// What a CANCEL needs to know of the INVITE that it names.
pub(super) struct Cancelled<'a> {
    pub id: ServerId,
    /// Whether it still waits for its final response.
    pub proceeding: bool,
    pub last_response: Option<&'a Bytes>,
}

struct Entry {
    key: Arc<[u8]>,
    /// Where responses go.
    flow: Flow,
    machine: Machine,
    armed: Armed,
}

pub(super) struct Servers {
    entries: FxHashMap<ServerId, Entry>,
    /// The keys are chosen by strangers: hashed with a key, so that they can't be made to collide.
    by_key: HashMap<Arc<[u8]>, ServerId>,
    deadlines: Deadlines<ServerId>,
    last_id: u64,
}

impl Servers {
    pub(super) fn new() -> Servers {
        Servers {
            entries: FxHashMap::default(),
            by_key: HashMap::new(),
            deadlines: Deadlines::new(),
            last_id: 0,
        }
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<ServerId> {
        self.by_key.get(key).copied()
    }

    /// Begins an INVITE transaction.
    pub(super) fn start_invite(&mut self, key: &[u8], flow: Flow) -> ServerId {
        self.last_id += 1;
        let id = ServerId(self.last_id);
        self.insert(id, key, flow, Machine::Invite(ServerInvite::start()));
        id
    }

    /// Begins a transaction of any other method.
    pub(super) fn start(&mut self, key: &[u8], flow: Flow) -> ServerId {
        self.last_id += 1;
        let id = ServerId(self.last_id);
        self.insert(id, key, flow, Machine::Other(Server::Trying));
        id
    }

    fn insert(&mut self, id: ServerId, key: &[u8], flow: Flow, machine: Machine) {
        let key: Arc<[u8]> = Arc::from(key);
        self.by_key.insert(key.clone(), id);
        self.entries.insert(id, Entry { key, flow, machine, armed: None });
    }

    pub(super) fn retransmitted(&mut self, id: ServerId, tally: &mut Tally, out: &mut Vec<Event>) {
        self.step(id, tally, out, |machine, port| match machine {
            Machine::Invite(machine) => Machine::Invite(machine.retransmitted(port)),
            Machine::Other(machine) => Machine::Other(machine.retransmitted(port)),
        });
    }

    pub(super) fn ack(
        &mut self,
        now: Instant,
        id: ServerId,
        source: Flow,
        ack: Message,
        tally: &mut Tally,
        out: &mut Vec<Event>,
    ) {
        self.step(id, tally, out, |machine, port| match machine {
            Machine::Invite(machine) => Machine::Invite(machine.ack(now, source, ack, port)),
            Machine::Other(machine) => Machine::Other(machine),
        });
    }

    pub(super) fn respond(
        &mut self,
        now: Instant,
        id: ServerId,
        class: Class,
        response: Bytes,
        tally: &mut Tally,
        out: &mut Vec<Event>,
    ) {
        self.step(id, tally, out, |machine, port| match machine {
            Machine::Invite(machine) => Machine::Invite(machine.respond(now, class, response, port)),
            Machine::Other(machine) => Machine::Other(machine.respond(now, class, response, port)),
        });
    }

    /// The INVITE that a CANCEL with this key names.
    pub(super) fn cancelled(&self, invite_key: &[u8]) -> Option<Cancelled<'_>> {
        let id = self.find(invite_key)?;
        match &self.entries.get(&id)?.machine {
            Machine::Invite(machine) => Some(Cancelled {
                id,
                proceeding: machine.is_proceeding(),
                last_response: machine.last_response(),
            }),
            Machine::Other(_) => None,
        }
    }

    pub(super) fn timeout(&mut self, now: Instant, tally: &mut Tally, out: &mut Vec<Event>) {
        while let Some((at, id)) = self.deadlines.pop(now) {
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.armed == Some(at)) else {
                continue;
            };
            entry.armed = None;
            self.step(id, tally, out, |machine, port| match machine {
                Machine::Invite(machine) => Machine::Invite(machine.timeout(now, port)),
                Machine::Other(machine) => Machine::Other(machine.timeout(now)),
            });
        }
    }

    /// Moves one machine on, and sees to what follows: its next deadline, its end.
    fn step(
        &mut self,
        id: ServerId,
        tally: &mut Tally,
        out: &mut Vec<Event>,
        act: impl FnOnce(Machine, &mut Port<'_>) -> Machine,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let machine = std::mem::replace(&mut entry.machine, Machine::Other(Server::Terminated));
        entry.machine = act(machine, &mut Port { id, flow: entry.flow, out, tally });
        if entry.machine.is_terminated() {
            self.remove(id);
        } else {
            self.deadlines.arm(id, &mut entry.armed, entry.machine.deadline());
        }
    }

    /// Where responses of it go.
    pub(super) fn flow(&self, id: ServerId) -> Option<Flow> {
        self.entries.get(&id).map(|entry| entry.flow)
    }

    pub(super) fn remove(&mut self, id: ServerId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.by_key.remove(&entry.key);
        let entries = &self.entries;
        self.deadlines
            .sweep(entries.len(), |at, id| entries.get(&id).is_some_and(|entry| entry.armed == Some(at)));
    }

    pub(super) fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.entries.values().map(|entry| &entry.machine)
    }

    /// Keys, and entries in the queue of deadlines.
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.by_key.len(), self.deadlines.len())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
