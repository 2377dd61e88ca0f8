//! Pre-emption: an emergency call that finds a trunk of its route full takes the channel of the youngest other call there.
//!
//! What it is not: no limit keeps an emergency call from going out (`call::trunk`). But the carrier has limits of its own, so the call
//! that makes room is told that it is over before the emergency call is on its way.

use super::Switch;
use crate::call::office::{CallKey, Named};
use crate::clock::Now;

impl Switch {
    /// Ends the youngest other call on a trunk. What it says goes out before what waits to be sent: the emergency call among it.
    pub(super) fn make_way(&mut self, now: Now, on: &Named) {
        let Some(key) = self.youngest_on(on) else { return };
        let waiting = std::mem::take(&mut self.office.events);
        self.with_call(key, |call, office| call.preempt(office, now));
        self.office.events.extend(waiting);
    }

    /// The call that has been on a trunk for the shortest time and is no emergency.
    fn youngest_on(&self, trunk: &Named) -> Option<CallKey> {
        let on_it = self.calls.iter().filter(|(_, call)| call.holds(trunk) && !call.is_emergency());
        on_it.map(|(key, _)| key).max()
    }
}
