//! All bindings: the location service (RFC 3261 §10.3).

use super::binding::{Binding, BindingKey, DeviceKey};
use crate::clock::Now;
use crate::sip::{Flow, Message, Refusal};
use std::time::Instant;

/// The most contacts of one device; one more evicts the stalest.
pub const CONTACTS_MAX: usize = 10;

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
}

/// Limits that a REGISTER is held to.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// Seconds; a shorter wish than `min` is answered 423 with Min-Expires, a longer one than `max` is cut.
    pub min_s: u32,
    pub max_s: u32,
    pub default_s: u32,
}

#[derive(Default)]
pub struct Location {}

impl Location {
    /// Carries out a REGISTER of an authenticated device: all of its contacts or none (RFC 3261 §10.3 steps 6 to 8).
    /// On success the bindings now in force are those of [`Location::of`]; an answer lists each as a Contact with `expires`.
    ///
    /// # Errors
    /// The status to answer with: 400, 423 (with Min-Expires), 500 (CSeq out of order).
    pub fn register(
        &mut self,
        now: Now,
        device: &DeviceKey,
        flow: Flow,
        message: &Message,
        expiry: Expiry,
        changes: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        let _ = (now, device, flow, message, expiry, changes);
        todo!()
    }

    /// Puts back what the store kept; what has expired meanwhile is left out.
    pub fn restore(&mut self, now: Now, binding: Binding) {
        let _ = (now, binding);
        todo!()
    }

    /// The bindings of a device in force, best `q` first, then newest.
    #[must_use]
    pub fn of(&self, device: &DeviceKey) -> &[Binding] {
        let _ = device;
        todo!()
    }

    /// Which device a request on this flow comes from: a flow that a registration came by (the exact remote address and
    /// transport; for TCP the connection).
    #[must_use]
    pub fn by_flow(&self, flow: &Flow) -> Option<&DeviceKey> {
        let _ = flow;
        todo!()
    }

    /// Every binding, for the admin.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        std::iter::empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Removes what has expired.
    pub fn timeout(&mut self, now: Now, changes: &mut Vec<Change>) {
        let _ = (now, changes);
        todo!()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }
}
