//! Parties that go on at another relay, with their keys (`Command::HandOver`): what of them is on its way, and where it waits for the relay that
//! it is for, which may be open already or not yet, and told of their protection or not yet.
//!
//! Bounds: [`HANDED_MAX`] wait on one thread; one more takes the place of the one that has waited longest, whose party is silent then.

use super::super::handshake::Given;
use super::super::ports::Pair;
use super::Relays;
use crate::relay::guard::Guard;
use crate::relay::{RelayId, Side};
use std::sync::Arc;
use std::time::Instant;

const HANDED_MAX: usize = 256;

/// A party on its way.
pub(in super::super) struct Handed {
    pub(super) to: (RelayId, Side),
    guard: Box<Guard>,
    /// The ports that it comes from.
    pair: Arc<Pair>,
}

impl Relays {
    /// See `Command::HandOver`.
    pub(super) fn hand_over(&mut self, now: Instant, (id, side): (RelayId, Side), to: (RelayId, Side)) {
        let Some(live) = super::live(&self.index, &mut self.relays, id) else { return };
        let (Some(pair), Some(guard)) = (live.pair(side).map(Arc::clone), live.relay.hand_over(side)) else {
            return;
        };
        let handed = Handed { to, guard, pair };
        let threads = self.ways.len();
        if to.0.thread(threads) == id.thread(threads) {
            return self.handed(now, handed);
        }
        if let Some(way) = self.ways.get(to.0.thread(threads))
            && !way.try_give(Given::Handed(handed))
        {
            tracing::error!(relay = to.0.0, "a thread has no room for the keys of a party: it has no media");
        }
    }

    /// A party has come, or what it was waiting for has.
    pub(super) fn handed(&mut self, now: Instant, Handed { to: (id, side), guard, pair }: Handed) {
        let guard = match super::live(&self.index, &mut self.relays, id) {
            Some(live) => {
                let stays = live.pair(side).is_some_and(|own| Arc::ptr_eq(own, &pair));
                match live.relay.inherit(now, side, guard, stays) {
                    Ok(()) => return,
                    Err(guard) => guard,
                }
            }
            None => guard,
        };
        if self.waiting.len() == HANDED_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Handed { to: (id, side), guard, pair });
    }

    /// That side has been told how it is secured: the party that waits for it may come in.
    pub(super) fn take_handed(&mut self, now: Instant, id: RelayId, side: Side) {
        if let Some(at) = self.waiting.iter().position(|handed| handed.to == (id, side))
            && let Some(handed) = self.waiting.remove(at)
        {
            self.handed(now, handed);
        }
    }
}
