//! Legs for what can ring, with what each shows of the caller.

use super::{Draft, Planner, Ready, ReadyList, Slot, place_of};
use crate::rules::domain::UserEntry;
use crate::rules::model::{CallerIdChoice, Name};
use crate::rules::outgoing::{Denied, Sender};
use crate::rules::plan::{Diverter, LegOutcome, LegTarget, PlannedLeg};
use crate::rules::trail::SkipWhy;
use std::time::Duration;

impl Planner<'_> {
    /// Legs for what can ring; what rings at that time already keeps its one leg.
    pub(super) fn add(
        &self,
        owner: Option<&UserEntry>,
        ready: ReadyList,
        slot: &Slot<'_>,
        draft: &mut Draft<'_>,
    ) {
        let sender = Sender { user: owner, device: None };
        for mut ready in ready {
            let rings = |leg: &PlannedLeg| leg.to == ready.to && leg.start + leg.ring_for > slot.start;
            if draft.ringing.plan.legs.iter().any(rings) {
                continue;
            }
            // What rings beside it counts, too: a list is no way around a budget.
            let beside =
                ready.charge.take().map(|c| c.beside(&draft.ringing.plan.legs, slot.start, slot.ring_for));
            match beside.map(Denied::unless_within).transpose() {
                Ok(charge) => ready.charge = charge,
                Err(denied) => {
                    draft.skip(place_of(&ready.to), LegOutcome::Failed, SkipWhy::Denied(denied));
                    continue;
                }
            }
            let choice = slot.target.and_then(|t| t.caller_id.as_ref());
            let prefix = slot.target.and_then(|t| t.caller_id_prefix.as_ref()).filter(|p| !p.is_empty());
            let mut leg = self.leg(sender, ready, choice, prefix);
            let outside = matches!(leg.to, LegTarget::Outside { .. });
            if outside && let Some(who) = owner.and_then(|owner| self.domain.diverter(owner)) {
                leg.diversions.push(Diverter { who, reason: "follow-me" });
            }
            leg.confirm = slot.target.and_then(|t| t.confirm.filter(|_| outside || t.confirm_on_net));
            (leg.step, leg.start, leg.ring_for) = (slot.step, slot.start, slot.ring_for);
            draft.ringing.plan.legs.push(leg);
            draft.ringing.targets.push(slot.index);
        }
    }

    /// A leg with what it shows; times are the caller's to set.
    pub(super) fn leg(
        &self,
        sender: Sender<'_>,
        ready: Ready,
        choice: Option<&CallerIdChoice>,
        prefix: Option<&Name>,
    ) -> PlannedLeg {
        let ((caller_id, anonymous), alert, diverters) = match &ready.to {
            LegTarget::Device(device) => {
                (self.shows_inside(sender, choice, prefix), self.alert_of(device), &[][..])
            }
            LegTarget::Outside { trunks, .. } => {
                let first = trunks.first().and_then(|trunk| self.domain.trunk(trunk));
                let screens = first.is_some_and(|trunk| trunk.screens_caller_id);
                let fallback = if screens { CallerIdChoice::Forwarder } else { CallerIdChoice::Original };
                let route = self.domain.route_id(ready.route);
                let shown = self.shown_outside(sender, choice.unwrap_or(&fallback), route);
                (shown.prefixed(self.prefixes, prefix), None, self.diverters)
            }
        };
        let tone = match &ready.to {
            LegTarget::Device(device) => self.domain.device_entry(device).map(|device| device.tone),
            LegTarget::Outside { .. } => None,
        };
        let tone = tone.unwrap_or_default();
        PlannedLeg {
            to: ready.to,
            step: 0,
            start: Duration::ZERO,
            ring_for: Duration::ZERO,
            confirm: None,
            caller_id,
            anonymous,
            alert,
            tone,
            inside: self.party.inside,
            diversions: diverters.to_vec(),
            charge: ready.charge,
        }
    }

    fn alert_of(&self, device: &Name) -> Option<Name> {
        if let Some(alert) = self.alert {
            return Some(alert.clone());
        }
        let device = self.domain.device_entry(device)?;
        if self.party.inside { device.alert_internal.clone() } else { device.alert_external.clone() }
    }
}
