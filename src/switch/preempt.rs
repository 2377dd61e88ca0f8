//! Pre-emption: an emergency call that finds a trunk of its route full takes the channel of the youngest other call there.
//!
//! What it is not: no limit keeps an emergency call from going out (`call::trunk`). But the carrier has limits of its own, so the call
//! that makes room is told that it is over before the emergency call is on its way.

use super::Switch;
use crate::call::office::{CallKey, Named};
use crate::clock::Now;

impl Switch {
    /// Ends what the youngest other call has on a trunk. What it says goes out before what waits to be sent: the emergency call among
    /// it. Legs that have been left make room by themselves.
    pub(super) fn make_way(&mut self, now: Now, on: &Named) {
        let (domain, trunk) = on;
        let limit = self.rules.domain(domain).and_then(|domain| domain.trunk(trunk)?.channels);
        let left: usize = self.calls.iter().map(|(_, call)| call.leaves(on)).sum();
        let stays = self.office.lines.channels_in_use(on).saturating_sub(left);
        if limit.is_some_and(|limit| stays <= limit as usize) {
            return;
        }
        let Some(key) = self.youngest_on(on) else { return };
        let waiting = std::mem::take(&mut self.office.events);
        self.with_call(key, |call, office| call.preempt(office, now, on));
        self.office.events.extend(waiting);
    }

    /// The call that has been on a trunk for the shortest time and is no emergency.
    fn youngest_on(&self, trunk: &Named) -> Option<CallKey> {
        let on_it = self.calls.iter().filter(|(_, call)| call.could_leave(trunk) && !call.is_emergency());
        on_it.map(|(key, _)| key).max()
    }
}
