//! Pre-emption: an emergency call that finds its trunk full takes the channel of the youngest other call.
//!
//! What it is not: no limit keeps an emergency call from going out (`call::trunk`). But the carrier has limits of its own, and the
//! call that makes room has to be gone before the emergency call comes: so this happens before that is begun.

use super::Switch;
use crate::call::office::{CallKey, Named};
use crate::clock::Now;
use crate::rules::{CallFacts, Domain, LegTarget, Walk};
use std::sync::Arc;

impl Switch {
    /// Makes way for an emergency call, where the rules take this for one and its trunk is full. Costs nothing while no trunk is.
    pub(super) fn make_way(&mut self, now: Now, domain: &Arc<Domain>, facts: &CallFacts) {
        if !domain.trunks().any(|trunk| self.office.lines.is_full(domain, &trunk.name)) {
            return;
        }
        let mut walk = Walk::new(domain.clone(), facts.clone());
        walk.start(&self.office.live(domain, now, None));
        if !walk.is_emergency() {
            return;
        }
        let outside = walk.plan().into_iter().flat_map(|plan| &plan.legs).find_map(|leg| match &leg.to {
            LegTarget::Outside { trunks, .. } => Some(trunks),
            LegTarget::Device(_) => None,
        });
        let ordered = outside.map(|trunks| self.office.lines.registered_first(domain, trunks));
        let Some(first) = ordered.and_then(|trunks| trunks.first().cloned()) else { return };
        if self.office.lines.is_full(domain, &first) {
            let trunk = (domain.name().clone(), first);
            if let Some(key) = self.youngest_on(&trunk) {
                self.with_call(key, |call, office| call.preempt(office, now));
            }
        }
    }

    /// The call that has been on a trunk for the shortest time and is no emergency.
    fn youngest_on(&self, trunk: &Named) -> Option<CallKey> {
        let on_it = self.calls.iter().filter(|(_, call)| call.holds(trunk) && !call.is_emergency());
        on_it.map(|(key, _)| key).max()
    }
}
