//! All live calls, and when each wants to see the clock again.

use crate::call::Call;
use crate::call::office::CallKey;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

#[derive(Default)]
pub struct Calls {
    by_key: FxHashMap<CallKey, Entry>,
    /// By the Call-ID of the caller's side; of two calls with one Call-ID the later.
    by_call_id: FxHashMap<Box<str>, CallKey>,
    /// Deadlines, the old ones of a call too: an entry that comes up early is looked at and forgotten.
    timers: BinaryHeap<Reverse<(Instant, CallKey)>>,
}

struct Entry {
    call: Box<Call>,
    /// The earliest deadline of this call that stands in `timers`.
    scheduled: Option<Instant>,
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
        self.by_key.insert(key, Entry { call: Box::new(call), scheduled: None });
        self.settle(key);
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
            return;
        }
        if let Some(deadline) = entry.call.deadline()
            && entry.scheduled.is_none_or(|scheduled| deadline < scheduled)
        {
            entry.scheduled = Some(deadline);
            self.timers.push(Reverse((deadline, key)));
        }
    }

    /// The next call whose deadline has come.
    pub fn due(&mut self, now: Instant) -> Option<CallKey> {
        while let Some(Reverse((at, key))) = self.timers.peek().copied() {
            if at > now {
                return None;
            }
            self.timers.pop();
            let Some(entry) = self.by_key.get_mut(&key) else { continue };
            if entry.scheduled != Some(at) {
                continue;
            }
            entry.scheduled = None;
            if entry.call.deadline().is_some_and(|deadline| deadline <= now) {
                return Some(key);
            }
            self.settle(key);
        }
        None
    }

    /// When `due` may next find something. May be early, never late.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }
}
