//! All bindings: the location service (RFC 3261 §10.3).
//!
//! Made for a hundred thousand phones: a device has a slot, and the index of flows and the queue of expiries name slots; texts
//! that repeat (domains, devices, user agents) are kept once. A refresh touches the device's own bindings alone; its
//! expiry moves without touching the queue.
//!
//! Invariants: a device in the table has one to [`CONTACTS_MAX`] bindings, sorted; every binding is counted in the index
//! under the flow that it came by; no binding outlives [`Location::timeout`] after its expiry.

use super::binding::{Binding, BindingKey, DeviceKey};
use super::contact::{Wish, Wishes, bad};
use super::devices::{Device, Source};
use super::extensions::{Asked, Extensions};
use super::flows::Flows;
use super::texts::Texts;
use crate::clock::Now;
use crate::deadlines::Deadlines;
use crate::sip::{Flow, Message, Name, Refusal, Transport};
use jiff::SignedDuration;
use rustc_hash::FxHashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most contacts of one device; one more evicts the stalest. A REGISTER that names more is refused with 400.
pub const CONTACTS_MAX: usize = 10;

/// The longest Call-ID that is kept; a REGISTER with a longer one is refused with 400.
pub const CALL_ID_BYTES_MAX: usize = 512;

/// What changed, for the store and the events.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Added(Binding),
    Refreshed(Binding),
    Removed { key: BindingKey, why: Removal },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    Unregistered,
    Expired,
    Evicted,
    /// Its connection has ended, and outbound knows no other way to it (RFC 5626 §6).
    FlowEnded,
    /// 430: the proxy in front of it has lost its flow (RFC 5626 §11.5).
    FlowFailed,
}

impl Removal {
    /// As events say it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Removal::Unregistered => "unregistered",
            Removal::Expired => "expired",
            Removal::Evicted => "evicted",
            Removal::FlowEnded => "flow_ended",
            Removal::FlowFailed => "flow_failed",
        }
    }
}

/// Limits that a REGISTER is held to.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// Seconds; a shorter wish than `min` is answered 423 with Min-Expires, a longer one than `max` is cut.
    pub min_s: u32,
    pub max_s: u32,
    pub default_s: u32,
    /// Up to so many hundredths less are granted than were wished for, to each contact a share of its own: phones that registered
    /// together don't come back together. To one contact it is the same each time, so that a refresh moves nothing but the end.
    pub spread_percent: u8,
}

/// What one REGISTER is held to.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub expiry: Expiry,
    /// The domain that it is for.
    pub domain: &'a str,
    /// Where our listeners are bound: what goes to a contact by another transport than it came by leaves from another of them.
    pub bound: &'a [(Transport, SocketAddr)],
    /// A random number of its own.
    pub lot: u64,
}

impl Terms<'_> {
    /// The seconds that a wish for the contact of this key gets; 0 stays 0.
    #[must_use]
    pub fn grant(&self, wished_s: u32, key: &str) -> u32 {
        let wished_s = wished_s.min(self.expiry.max_s);
        let share = u64::from(wished_s) * u64::from(self.expiry.spread_percent.min(100)) / 100;
        // Never below the least that we take ourselves.
        let room = share.min(wished_s.saturating_sub(self.expiry.min_s).into());
        let less = u64::from(crc32fast::hash(key.as_bytes())) % (room + 1);
        wished_s.saturating_sub(u32::try_from(less).unwrap_or(0))
    }
}

#[derive(Default)]
pub struct Location {
    /// By slot; one without bindings is free.
    devices: Vec<Device>,
    free: Vec<u32>,
    /// The keys come from the rules, not from the wire.
    slots: FxHashMap<DeviceKey, u32>,
    flows: Flows,
    deadlines: Deadlines<u32>,
    texts: Texts,
    len: usize,
}

/// What all contacts of one REGISTER have in common.
struct Request<'a> {
    now: Now,
    observed: Flow,
    message: &'a Message,
    asked: &'a Asked<'a>,
    lot: u64,
    bound: &'a [(Transport, SocketAddr)],
    call_id: &'a str,
    cseq: u32,
    user_agent: Option<Arc<str>>,
}

impl Request<'_> {
    /// What is kept of a contact beyond RFC 3261; `held` is what it had before, by the same Call-ID.
    fn extensions(
        &self,
        wish: &Wish<'_>,
        contact: &Arc<str>,
        held: Option<&Extensions>,
    ) -> Option<Arc<Extensions>> {
        let gruu = wish.instance.is_some() && self.asked.wants_gruu();
        if self.asked.path.is_empty() && wish.reg_id.is_none() && !gruu {
            return None;
        }
        // Unlike any other of the device: that of another Call-ID was drawn by itself.
        let fresh = || self.lot ^ u64::from(crc32fast::hash(contact.as_bytes()));
        let epoch = gruu.then(|| held.and_then(|held| held.epoch).unwrap_or_else(fresh));
        Some(Arc::new(Extensions {
            path: self.asked.path.iter().map(|proxy| Arc::from(*proxy)).collect(),
            instance: wish.instance.map(|instance| Texts::shared(instance, contact)),
            reg_id: wish.reg_id,
            epoch,
        }))
    }

    fn flow(&self, wish: &Wish<'_>) -> Flow {
        wish.flow(self.observed, self.asked, self.message, self.bound)
    }

    /// RFC 3261 §10.3 step 7: within one Call-ID only a higher CSeq may change a binding.
    fn follows(&self, binding: &Binding) -> Result<(), Refusal> {
        if *binding.call_id == *self.call_id && self.cseq <= binding.cseq {
            return Err(Refusal { status: 500, reason: "CSeq Out Of Order" });
        }
        Ok(())
    }
}

impl Location {
    /// Carries out a REGISTER of an authenticated device: all of its contacts or none (RFC 3261 §10.3 steps 6 to 8).
    /// On success the bindings now in force are those of [`Location::of`]; an answer lists each as a Contact with `expires`.
    ///
    /// # Errors
    /// The status to answer with: 400, 403, 423 (with Min-Expires: [`Expiry::min_s`]), 439, 500 (CSeq out of order).
    pub fn register(
        &mut self,
        now: Now,
        device: &DeviceKey,
        flow: Flow,
        message: &Message,
        terms: &Terms<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        let asked = Asked::read(message)?;
        let wishes = Wishes::read(message, &asked, terms)?;
        if wishes.ask_for_sips() && !flow.transport.is_secure() {
            return Err(bad("SIPS Contact Needs TLS")); // RFC 5630: what it promises would be broken at the first hop
        }
        let call_id = message.call_id();
        if call_id.len() > CALL_ID_BYTES_MAX {
            return Err(bad("Call-ID Too Long"));
        }
        let cseq = message.cseq().ok_or(bad("Bad CSeq"))?.number;
        let mut request = Request {
            now,
            observed: flow,
            message,
            asked: &asked,
            lot: terms.lot,
            bound: terms.bound,
            call_id,
            cseq,
            user_agent: None,
        };
        // All of the refusals come before the first change.
        let mut named = self.of(device).iter().filter(|binding| wishes.name(&binding.key.contact));
        named.try_for_each(|binding| request.follows(binding))?;
        match wishes {
            Wishes::Fetch => {}
            Wishes::RemoveAll => {
                if let Some(slot) = self.slots.get(device).copied() {
                    self.remove_where(slot, Removal::Unregistered, changes, |_| true);
                }
            }
            Wishes::Contacts(wishes) => {
                request.user_agent = message.value(Name::UserAgent).map(|text| self.texts.user_agent(text));
                for wish in &wishes {
                    self.carry_out(device, wish, &request, changes);
                }
            }
        }
        if let Some(slot) = self.slots.get(device).copied() {
            self.arm(now, slot);
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        device: &DeviceKey,
        wish: &Wish<'_>,
        request: &Request<'_>,
        changes: &mut Vec<Change>,
    ) {
        let slot = self.slots.get(device).copied();
        let held = slot.and_then(|slot| self.device(slot)).and_then(|device| device.find(&wish.key));
        match (slot, held, wish.expires_s) {
            (_, None, 0) => {}
            (Some(slot), Some(_), 0) => {
                self.remove_where(slot, Removal::Unregistered, changes, |b| *b.key.contact == *wish.key);
            }
            (Some(slot), Some(at), _) => self.refresh(slot, at, wish, request, changes),
            (slot, _, _) => {
                let slot = slot.unwrap_or_else(|| self.open(device));
                self.make_room(slot, changes);
                self.add(slot, wish, request, changes);
            }
        }
    }

    fn refresh(
        &mut self,
        slot: u32,
        at: usize,
        wish: &Wish<'_>,
        request: &Request<'_>,
        changes: &mut Vec<Change>,
    ) {
        let Some((mut binding, old)) = self.device_mut(slot).and_then(|device| device.take(at)) else {
            return;
        };
        if *binding.uri != *wish.target {
            binding.uri = Texts::shared(wish.target, &binding.key.contact);
        }
        let mut held = binding.extensions.take();
        if *binding.call_id != *request.call_id {
            binding.call_id = Arc::from(request.call_id);
            held = None;
        }
        let extensions = request.extensions(wish, &binding.key.contact, held.as_deref());
        binding.extensions = if extensions == held { held } else { extensions };
        binding.flow = request.flow(wish);
        binding.cseq = request.cseq;
        binding.q = wish.q;
        binding.expires = expires(request.now, wish.expires_s);
        binding.registered = request.now.wall;
        binding.user_agent = request.user_agent.clone();
        changes.push(Change::Refreshed(binding.clone()));
        let source = Source::of(&request.observed);
        if source != old {
            self.flows.release(old, slot);
            self.flows.hold(source, slot);
        }
        if let Some(device) = self.device_mut(slot) {
            device.put(binding, source);
        }
    }

    fn add(&mut self, slot: u32, wish: &Wish<'_>, request: &Request<'_>, changes: &mut Vec<Change>) {
        let Some(device) = self.devices.get_mut(slot as usize) else { return };
        let contact: Arc<str> = Arc::from(&*wish.key);
        let binding = Binding {
            uri: Texts::shared(wish.target, &contact),
            extensions: request.extensions(wish, &contact, None),
            key: BindingKey { device: device.key.clone(), contact },
            flow: request.flow(wish),
            call_id: Arc::from(request.call_id),
            cseq: request.cseq,
            q: wish.q,
            expires: expires(request.now, wish.expires_s),
            registered: request.now.wall,
            user_agent: request.user_agent.clone(),
        };
        changes.push(Change::Added(binding.clone()));
        let source = Source::of(&request.observed);
        device.put(binding, source);
        self.flows.hold(source, slot);
        self.len += 1;
    }

    /// Evicts the stalest contact of a device that has as many as it may: a phone that comes back is never locked out by
    /// what it left behind.
    fn make_room(&mut self, slot: u32, changes: &mut Vec<Change>) {
        let Some(device) = self.device(slot).filter(|device| device.bindings().len() >= CONTACTS_MAX) else {
            return;
        };
        let stalest = device.bindings().iter().min_by_key(|binding| (binding.registered, binding.expires));
        if let Some(contact) = stalest.map(|binding| binding.key.contact.clone()) {
            self.remove_where(slot, Removal::Evicted, changes, |binding| binding.key.contact == contact);
        }
    }

    /// Puts back what the store kept; what has expired meanwhile is left out, and so is what is beyond [`CONTACTS_MAX`].
    ///
    /// Connections don't outlive a restart: a binding that had one is called by a new connection to its
    /// contact until it registers again, where it is there (see `transaction::next_hop`).
    pub fn restore(&mut self, now: Now, mut binding: Binding) {
        if binding.expires <= now.wall {
            return;
        }
        let slot = match self.slots.get(&binding.key.device) {
            Some(slot) => *slot,
            None => {
                let domain = self.texts.domain(&binding.key.device.domain);
                self.open(&DeviceKey { domain, device: binding.key.device.device.clone() })
            }
        };
        let Some(device) = self.devices.get_mut(slot as usize) else { return };
        if device.bindings().len() >= CONTACTS_MAX || device.find(&binding.key.contact).is_some() {
            return;
        }
        binding.key.device = device.key.clone();
        binding.uri = Texts::shared(&binding.uri, &binding.key.contact);
        binding.user_agent = binding.user_agent.map(|text| self.texts.user_agent(&text));
        binding.flow.connection = None;
        let source = Source::of(&binding.flow);
        device.put(binding, source);
        self.flows.hold(source, slot);
        self.len += 1;
        self.arm(now, slot);
    }

    /// A connection has ended. What outbound keeps by it alone is gone with it (RFC 5626 §6); a phone that can be woken
    /// stays, asleep; any other contact is called by a new connection to it, where it is not behind NAT
    /// (see `transaction::next_hop`).
    pub fn flow_ended(&mut self, now: Now, flow: &Flow, changes: &mut Vec<Change>) {
        let ended = Source::of(flow);
        if flow.connection.is_none() {
            return;
        }
        for slot in self.flows.of(ended) {
            let came_by = |device: &Device, at: usize| device.source(at) == Some(ended);
            while let Some(at) = self.device(slot).and_then(|device| {
                let sleeps = |b: &Binding| b.push().is_some() && b.flow.connection == flow.connection;
                device.bindings().iter().enumerate().position(|(at, b)| came_by(device, at) && sleeps(b))
            }) {
                self.fall_asleep(slot, at, changes);
            }
            // What came through a proxy goes on by another connection of the proxy's; a browser can't be called back at all.
            let goes = |binding: &Binding| {
                let alone = binding.reg_id().is_some() || binding.flow.transport.is_web();
                alone && binding.path().is_empty() && binding.flow.connection == flow.connection
            };
            self.remove_where(slot, Removal::FlowEnded, changes, goes);
            self.arm(now, slot);
        }
    }

    fn fall_asleep(&mut self, slot: u32, at: usize, changes: &mut Vec<Change>) {
        let Some((mut binding, old)) = self.device_mut(slot).and_then(|device| device.take(at)) else {
            return;
        };
        binding.flow.connection = None;
        let source = Source::of(&binding.flow);
        self.flows.release(old, slot);
        self.flows.hold(source, slot);
        changes.push(Change::Refreshed(binding.clone()));
        if let Some(device) = self.device_mut(slot) {
            device.put(binding, source);
        }
    }

    /// Takes one contact back, for a reason of ours.
    pub fn remove(&mut self, now: Now, key: &BindingKey, why: Removal, changes: &mut Vec<Change>) {
        if let Some(slot) = self.slots.get(&key.device).copied() {
            self.remove_where(slot, why, changes, |binding| binding.key.contact == key.contact);
            self.arm(now, slot);
        }
    }

    /// The place of a device in the table, as long as it has a contact.
    #[must_use]
    pub fn slot(&self, device: &DeviceKey) -> Option<u32> {
        self.slots.get(device).copied()
    }

    /// The contact in this place whose temporary GRUUs are bound to `epoch`.
    #[must_use]
    pub fn by_epoch(&self, slot: u32, epoch: u64) -> Option<&Binding> {
        let of = |binding: &&Binding| {
            binding.extensions.as_ref().is_some_and(|extensions| extensions.epoch == Some(epoch))
        };
        self.device(slot)?.bindings().iter().find(of)
    }

    /// Whether any registration came by this flow, whosever it is.
    #[must_use]
    pub fn knows(&self, flow: &Flow) -> bool {
        self.flows.is_held(Source::of(flow))
    }

    /// The bindings of a device in force, best `q` first, then newest.
    #[must_use]
    pub fn of(&self, device: &DeviceKey) -> &[Binding] {
        let device = self.slots.get(device).and_then(|slot| self.device(*slot));
        device.map_or(&[], Device::bindings)
    }

    /// Which device a request on this flow comes from: a flow that a registration came by (the exact remote address and
    /// transport; for TCP the connection). `None` where several devices registered by it (a phone with several
    /// accounts, a proxy in front of many): then only credentials tell.
    #[must_use]
    pub fn by_flow(&self, flow: &Flow) -> Option<&DeviceKey> {
        let slot = self.flows.sole_holder(Source::of(flow))?;
        self.device(slot).map(|device| &device.key)
    }

    /// Every binding, for the admin.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.devices.iter().flat_map(|device| device.bindings())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Removes what has expired.
    pub fn timeout(&mut self, now: Now, changes: &mut Vec<Change>) {
        while let Some((at, slot)) = self.deadlines.pop(now.mono) {
            let Some(device) = self.device_mut(slot).filter(|device| device.armed == Some(at)) else {
                continue;
            };
            device.armed = None;
            self.remove_where(slot, Removal::Expired, changes, |binding| binding.expires <= now.wall);
            self.arm(now, slot);
        }
    }

    /// The wall clock was set: each registration lasts as long as was granted, by the clock that never jumps.
    pub fn clock_was_set(&mut self, step: SignedDuration, changes: &mut Vec<Change>) {
        for device in &mut self.devices {
            for binding in device.bindings_mut() {
                binding.expires = binding.expires.saturating_add(step).unwrap_or(binding.expires);
                binding.registered = binding.registered.saturating_add(step).unwrap_or(binding.registered);
                changes.push(Change::Refreshed(binding.clone()));
            }
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn device(&self, slot: u32) -> Option<&Device> {
        self.devices.get(slot as usize)
    }

    fn device_mut(&mut self, slot: u32) -> Option<&mut Device> {
        self.devices.get_mut(slot as usize)
    }

    /// A slot for a device that has none.
    fn open(&mut self, key: &DeviceKey) -> u32 {
        let device = Device::new(key.clone());
        let free = self.free.pop();
        let slot = match free.and_then(|slot| Some((slot, self.devices.get_mut(slot as usize)?))) {
            Some((slot, place)) => {
                *place = device;
                slot
            }
            None => {
                self.devices.push(device);
                // There are fewer devices than 2^32: each is named in the rules.
                u32::try_from(self.devices.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.slots.insert(key.clone(), slot);
        slot
    }

    /// Removes bindings, and frees the slot with the last one.
    fn remove_where(
        &mut self,
        slot: u32,
        why: Removal,
        changes: &mut Vec<Change>,
        goes: impl Fn(&Binding) -> bool,
    ) {
        let Some(device) = self.devices.get_mut(slot as usize) else { return };
        while let Some(at) = device.bindings().iter().position(&goes) {
            let Some((binding, source)) = device.take(at) else { break };
            self.flows.release(source, slot);
            self.len -= 1;
            changes.push(Change::Removed { key: binding.key, why });
        }
        if device.bindings().is_empty() && self.slots.get(&device.key) == Some(&slot) {
            self.slots.remove(&device.key);
            *device = Device::default();
            self.free.push(slot);
            let devices = &self.devices;
            let counts =
                |at, slot: u32| devices.get(slot as usize).is_some_and(|device| device.armed == Some(at));
            self.deadlines.sweep(self.slots.len(), counts);
        }
    }

    /// Sees to it that the device comes up when the first of its bindings expires.
    fn arm(&mut self, now: Now, slot: u32) {
        let Some(device) = self.devices.get_mut(slot as usize) else { return };
        let first = device.bindings().iter().map(|binding| binding.expires).min();
        let deadline = first.map(|expires| {
            let left = Duration::try_from(expires.duration_since(now.wall)).unwrap_or_default();
            now.mono + left
        });
        self.deadlines.arm(slot, &mut device.armed, deadline);
    }
}

fn expires(now: Now, seconds: u32) -> jiff::Timestamp {
    let span = jiff::SignedDuration::from_secs(i64::from(seconds));
    now.wall.saturating_add(span).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests;
