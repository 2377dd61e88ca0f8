//! All live calls, and when each wants to see the clock again.

use crate::call::office::CallKey;
use crate::call::{Call, Place, of_tag};
use crate::deadlines::{Armed, Deadlines};
use rustc_hash::FxHashMap;
use std::time::Instant;

#[derive(Default)]
pub struct Calls {
    by_key: FxHashMap<CallKey, Entry>,
    /// By the Call-ID of the caller's side; of two calls with one Call-ID the later.
    by_call_id: FxHashMap<Box<str>, CallKey>,
    /// Dialogs that are in another call than the one that our tag in them names: by what it names, where they are. At most one for each
    /// attended transfer of a call that is up.
    moved: FxHashMap<Place, Place>,
    deadlines: Deadlines<CallKey>,
}

struct Entry {
    call: Box<Call>,
    armed: Armed,
}

impl Calls {
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub fn insert(&mut self, key: CallKey, call: Call) {
        self.by_call_id.insert(call.invite().call_id().into(), key);
        self.by_key.insert(key, Entry { call: Box::new(call), armed: None });
        self.settle(key);
    }

    /// Where the dialog is that has this tag of ours.
    #[must_use]
    pub fn place(&self, tag: &str) -> Option<Place> {
        let named = of_tag(tag)?;
        Some(if self.moved.is_empty() { named } else { self.moved.get(&named).copied().unwrap_or(named) })
    }

    /// The dialog with this tag of ours is in that place now.
    pub fn moved(&mut self, tag: &str, to: Place) {
        let Some(named) = of_tag(tag) else { return };
        if named == to {
            self.moved.remove(&named);
        } else {
            self.moved.insert(named, to);
        }
    }

    pub fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.by_key.get_mut(&key).map(|entry| &mut *entry.call)
    }

    #[must_use]
    pub fn by_call_id(&self, call_id: &str) -> Option<&Call> {
        self.by_key.get(self.by_call_id.get(call_id)?).map(|entry| &*entry.call)
    }

    pub fn iter(&self) -> impl Iterator<Item = (CallKey, &Call)> {
        self.by_key.iter().map(|(key, entry)| (*key, &*entry.call))
    }

    /// After anything happened to a call: forgets a finished one, notes the deadline of any other.
    pub fn settle(&mut self, key: CallKey) {
        let Some(entry) = self.by_key.get_mut(&key) else { return };
        if entry.call.is_finished() {
            let call_id = entry.call.invite().call_id();
            if self.by_call_id.get(call_id) == Some(&key) {
                self.by_call_id.remove(call_id);
            }
            self.by_key.remove(&key);
            if !self.moved.is_empty() {
                self.moved.retain(|_, at| at.0 != key);
            }
            let calls = &self.by_key;
            self.deadlines
                .sweep(calls.len(), |at, key| calls.get(&key).is_some_and(|entry| entry.armed == Some(at)));
            return;
        }
        self.deadlines.arm(key, &mut entry.armed, entry.call.deadline());
    }

    /// The next call whose deadline has come.
    pub fn due(&mut self, now: Instant) -> Option<CallKey> {
        while let Some((at, key)) = self.deadlines.pop(now) {
            let Some(entry) = self.by_key.get_mut(&key).filter(|entry| entry.armed == Some(at)) else {
                continue;
            };
            entry.armed = None;
            if entry.call.deadline().is_some_and(|deadline| deadline <= now) {
                return Some(key);
            }
            self.settle(key);
        }
        None
    }

    /// Call-IDs, dialogs that have moved, and entries in the queue of deadlines.
    #[must_use]
    pub fn kept(&self) -> (usize, usize, usize) {
        (self.by_call_id.len(), self.moved.len(), self.deadlines.len())
    }

    /// When `due` may next find something. May be early, never late.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }
}
