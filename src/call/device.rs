//! Legs to phones of ours: which contacts of a device are rung, and by which flow of a phone that has several (RFC 5626 §7).
//!
//! Invariant: of the flows of one phone no more than one is rung at a time; another is tried only where nothing came by the one before.

use super::Call;
use super::branch::Callee;
use super::fork::Invitation;
use super::office::Office;
use super::trunk::SILENCE;
use crate::clock::Now;
use crate::registrar::binding::{Binding, BindingKey, DeviceKey};
use crate::rules::{LegOutcome, Live, PlannedLeg};
use std::sync::Arc;

/// A call for one phone of a device and no other (RFC 5627).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    pub device: Arc<str>,
    /// Its `+sip.instance`.
    pub instance: Arc<str>,
}

/// How a branch reaches its phone, or a trunk that registers here; of any other trunk it says nothing.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    pub contact: Option<BindingKey>,
    /// The proxies on the way, in order (RFC 3327).
    pub path: Vec<Arc<str>>,
    /// Other flows of the same phone, the next one first.
    pub others: Vec<Binding>,
}

impl Reach {
    /// Of a contact that has no other flow.
    #[must_use]
    pub fn of(contact: &Binding) -> Reach {
        Reach { contact: Some(contact.key.clone()), path: contact.path().to_vec(), others: Vec::new() }
    }
}

impl Call {
    /// Rings every contact of the device that the call is for; one that sleeps is woken, and the leg waits for it.
    pub(super) fn invite_device(
        &mut self,
        office: &mut Office,
        now: Now,
        leg: usize,
        planned: &PlannedLeg,
        device: &Arc<str>,
    ) -> Result<(), LegOutcome> {
        let wanted: Vec<Binding> = self.contacts(office, device);
        if wanted.is_empty() {
            let is_there = self.wants_tls() && !office.bindings(self.domain.name(), device).is_empty();
            return Err(match is_there {
                true => self.leg_unsecured(now, format!("device:{device}")),
                false => LegOutcome::Offline,
            });
        }
        let woken = self.wake(office, now, leg, device, &wanted);
        let mut invited = if woken { Ok(()) } else { Err(LegOutcome::Offline) };
        let awake = wanted.into_iter().filter(|binding| !binding.is_asleep()).collect();
        for flows in by_phone(awake) {
            invited = self.ring_phone(office, now, (leg, planned), device, flows).or(invited);
        }
        invited
    }

    /// The contacts of a device that the call is for and may ring, best first.
    pub(super) fn contacts(&self, office: &Office, device: &Arc<str>) -> Vec<Binding> {
        let key = DeviceKey { domain: self.domain.name().clone(), device: device.clone() };
        let is_meant = |binding: &&Binding| match &self.only {
            Some(only) if only.device == *device => binding.instance() == Some(&*only.instance),
            Some(_) | None => true,
        };
        let tls = self.wants_tls();
        let may_ring = |binding: &&Binding| is_meant(binding) && (!tls || binding.flow.transport.is_secure());
        office.location.of(&key).iter().filter(may_ring).cloned().collect()
    }

    /// Rings a phone by the first of its flows that can be used.
    pub(super) fn ring_phone(
        &mut self,
        office: &mut Office,
        now: Now,
        (leg, planned): (usize, &PlannedLeg),
        device: &Arc<str>,
        flows: Vec<Binding>,
    ) -> Result<(), LegOutcome> {
        let mut flows = flows.into_iter();
        let Some(binding) = flows.next() else { return Err(LegOutcome::Failed) };
        let others: Vec<Binding> = flows.collect();
        let domain = self.domain.clone();
        let live = office.live(&domain, now, None);
        // Whoever sits at a hot-desk phone is called there, and is who answers.
        let seated = live.seated(device).and_then(|user| domain.user(user)).map(|user| user.name.clone());
        let user = seated.or_else(|| domain.device(device)?.user.clone());
        let patience = (!others.is_empty()).then(|| now.mono + SILENCE);
        let path = binding.path().to_vec();
        let invitation = Invitation {
            leg,
            planned,
            callee: Callee::Device { device: device.clone(), user },
            target: binding.target(),
            flow: binding.flow,
            onward: None,
            channel: None,
            patience,
            reach: Reach { contact: Some(binding.key.clone()), path, others },
        };
        self.ring_at(office, now, &invitation)
    }

    /// Whether the phone is rung by another of its flows, as this one has led nowhere: 430, 408, silence or a dead connection. Any
    /// other word is the phone's own (RFC 5626 §7).
    pub(super) fn tries_next_flow(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        lost: bool,
    ) -> bool {
        let branch = &mut self.branches[index];
        let (leg, stage) = (branch.leg, branch.stage);
        let Callee::Device { device, .. } = branch.callee.clone() else { return false };
        let Some(ring) = self.state.ring() else { return false };
        if !lost || stage != self.stage || !ring.is_ringing(leg) || branch.reach.others.is_empty() {
            return false;
        }
        let others = std::mem::take(&mut branch.reach.others);
        let planned = ring.plan().legs[leg].clone();
        // Only what is still registered: the flow may have ended meanwhile.
        let held = self.contacts(office, &device);
        let others = others.into_iter().filter(|other| held.iter().any(|b| b.key == other.key)).collect();
        self.ring_phone(office, now, (leg, &planned), &device, others).is_ok()
    }

    /// A flow that wakes while its phone is rung by another one waits behind that. `false`: no other flow of it is rung.
    pub(super) fn stands_behind(
        &mut self,
        now: Now,
        (stage, leg): (u32, usize),
        held: &[Binding],
        flow: &Binding,
    ) -> bool {
        let is_other = |key: &BindingKey| {
            *key != flow.key && held.iter().any(|held| held.key == *key && is_one_phone(held, flow))
        };
        let rung = self.branches.iter_mut().find(|branch| {
            let of_leg = branch.stage == stage && branch.leg == leg && branch.is_calling();
            of_leg && branch.reach.contact.as_ref().is_some_and(is_other)
        });
        let Some(branch) = rung else { return false };
        if !branch.reach.others.iter().any(|other| other.key == flow.key) {
            branch.reach.others.push(flow.clone());
            branch.patience.get_or_insert(now.mono + SILENCE);
        }
        true
    }

    /// 430: the proxy in front of the phone has lost the flow, so the registration that came by it is worth nothing (RFC 5626 §11.5).
    pub(super) fn flow_failed(&mut self, office: &mut Office, now: Now, index: usize) {
        if let Some(contact) = self.branches[index].reach.contact.clone() {
            office.flow_failed(now, &contact);
        }
    }
}

/// Contacts by phone: the flows of one instance together, the newest first (RFC 5626 §7); any other contact is a phone by itself.
pub fn by_phone(bindings: Vec<Binding>) -> Vec<Vec<Binding>> {
    let mut phones: Vec<Vec<Binding>> = Vec::with_capacity(bindings.len());
    for binding in bindings {
        let same =
            |phone: &&mut Vec<Binding>| phone.first().is_some_and(|first| is_one_phone(first, &binding));
        match phones.iter_mut().find(same) {
            Some(phone) => phone.push(binding),
            None => phones.push(vec![binding]),
        }
    }
    phones
}

/// Whether these are flows of one phone.
pub(super) fn is_one_phone(one: &Binding, other: &Binding) -> bool {
    one.reg_id().is_some() && other.reg_id().is_some() && one.instance() == other.instance()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::extensions::Extensions;

    fn flow(instance: &str, reg_id: u32) -> Binding {
        let extensions =
            Extensions { instance: Some(instance.into()), reg_id: Some(reg_id), ..Extensions::default() };
        Binding {
            extensions: Some(Arc::new(extensions)),
            ..Binding::sample("sip:a@b", &format!("{instance}{reg_id}"))
        }
    }

    #[test]
    fn the_flows_of_a_phone_stand_together_and_other_contacts_alone() {
        let plain = Binding::sample("sip:c@d", "sip:c@d");
        let phones = by_phone(vec![flow("<1>", 1), plain.clone(), flow("<2>", 1), flow("<1>", 2), plain]);
        let sizes: Vec<usize> = phones.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1]);
        assert_eq!(phones[0][1].reg_id(), Some(2));
    }
}
