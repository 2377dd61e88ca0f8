//! Phones that sleep (RFC 8599): somebody is asked to wake them, and their leg waits until they register anew.
//!
//! What it is not: it wakes nobody itself. The event `push.wanted` says what a push service has to be told, and whoever listens to the
//! events tells it.
//!
//! Invariant: a leg that waits ends by itself: rung, given up with its stage, or offline when its time is over.

use super::Call;
use super::branch::{Branch, Progress};
use super::office::{Effect, Office};
use super::verdict;
use crate::clock::Now;
use crate::registrar::Binding;
use crate::registrar::binding::DeviceKey;
use crate::rules::LegOutcome;
use std::sync::Arc;
use std::time::Instant;

/// A device that is being woken.
#[derive(Debug)]
pub struct Sleeper {
    device: Arc<str>,
    stage: u32,
    leg: usize,
    /// When it is given up.
    until: Instant,
    /// Its leg waits for it: nothing sent to it would arrive. Of a phone by UDP nobody knows; that is rung meanwhile.
    holds: bool,
}

/// What a push service is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    pub device: DeviceKey,
    pub provider: String,
    pub prid: String,
    pub param: Option<String>,
    /// The call that it is for.
    pub call: String,
}

impl Sleeper {
    pub(super) fn is_of(&self, stage: u32, leg: usize) -> bool {
        self.stage == stage && self.leg == leg
    }
}

impl Call {
    /// Has the sleeping ones of these contacts woken, where the rules say how long to wait. `true`: the leg waits for them.
    pub(super) fn wake(
        &mut self,
        office: &mut Office,
        now: Now,
        leg: usize,
        device: &Arc<str>,
        contacts: &[Binding],
    ) -> bool {
        let may_sleep = |binding: &&Binding| {
            binding.push().is_some() && (binding.is_asleep() || !binding.flow.transport.is_reliable())
        };
        let Some(push) = self.domain.device(device).and_then(|device| device.push.as_ref()) else {
            return false;
        };
        let mut holds = false;
        let mut any = false;
        for binding in contacts.iter().filter(may_sleep) {
            let Some(target) = binding.push().filter(|to| to.provider.eq_ignore_ascii_case(&push.provider))
            else {
                continue;
            };
            any = true;
            holds |= binding.is_asleep();
            office.effect(Effect::Push(Push {
                device: binding.key.device.clone(),
                provider: target.provider.to_owned(),
                prid: target.prid.to_owned(),
                param: target.param.map(str::to_owned),
                call: self.log.id.clone(),
            }));
        }
        if any {
            let until = now.mono + push.wait;
            self.sleepers.push(Sleeper { device: device.clone(), stage: self.stage, leg, until, holds });
            let key = DeviceKey { domain: self.domain.name().clone(), device: device.clone() };
            office.await_registration(key, self.key);
        }
        holds
    }

    /// A device has registered: what of its contacts isn't rung yet, is.
    pub fn woken(&mut self, office: &mut Office, now: Now, device: &Arc<str>) {
        let stage = self.stage;
        let of = |sleeper: &&Sleeper| sleeper.device == *device && sleeper.stage == stage;
        let Some(leg) = self.sleepers.iter().find(of).map(|sleeper| sleeper.leg) else { return };
        let Some(ring) = self.state.ring().filter(|ring| ring.is_ringing(leg)) else { return };
        let planned = ring.plan().legs[leg].clone();
        let held = self.contacts(office, device);
        for binding in held.iter().cloned() {
            let rung = |branch: &Branch| {
                branch.stage == stage
                    && branch.leg == leg
                    && branch.flow == binding.flow
                    && branch.is_calling()
            };
            if binding.is_asleep() || self.branches.iter().any(rung) {
                continue;
            }
            if self.stands_behind(now, (stage, leg), &held, &binding) {
                self.awake(stage, leg);
                continue;
            }
            // Where it was before it slept it isn't any more.
            let silent = |branch: &&mut Branch| {
                branch.reach.contact.as_ref() == Some(&binding.key) && branch.progress() == Progress::Nothing
            };
            for branch in self.branches.iter_mut().filter(|branch| branch.stage == stage).filter(silent) {
                if branch.is_calling() {
                    self.log.leg_ended(now, branch.entry, None, "woken elsewhere");
                    branch.leave(office, now, &[]);
                }
            }
            let rung = self.ring_phone(office, now, (leg, &planned), device, vec![binding]);
            if rung.is_ok() {
                self.awake(stage, leg);
            }
        }
    }

    /// The leg waits for nobody any more.
    fn awake(&mut self, stage: u32, leg: usize) {
        self.sleepers.iter_mut().filter(|it| it.is_of(stage, leg)).for_each(|it| it.holds = false);
    }

    /// Whether a leg still waits for a device to wake.
    pub(super) fn waits_for_sleeper(&self, stage: u32, leg: usize) -> bool {
        self.sleepers.iter().any(|sleeper| sleeper.holds && sleeper.stage == stage && sleeper.leg == leg)
    }

    /// Gives up those whose time is over, and of whose leg nothing else is left.
    pub(super) fn give_up_sleepers(&mut self, office: &mut Office, now: Now) {
        let stage = self.stage;
        while let Some(at) = self.sleepers.iter().position(|sleeper| sleeper.until <= now.mono) {
            let sleeper = self.sleepers.swap_remove(at);
            if sleeper.stage != stage || !sleeper.holds {
                continue;
            }
            let of_leg = |branch: &&Branch| branch.stage == stage && branch.leg == sleeper.leg;
            if self.branches.iter().filter(of_leg).any(Branch::is_calling) {
                continue;
            }
            let entry = self.log.leg(now, format!("device:{}", sleeper.device));
            self.log.leg_ended(now, entry, None, "not woken");
            let mut outcomes: Vec<LegOutcome> =
                self.branches.iter().filter(of_leg).map(Branch::outcome_so_far).collect();
            outcomes.push(LegOutcome::Offline);
            let Some(ring) = self.state.ring_mut().filter(|ring| ring.is_ringing(sleeper.leg)) else {
                continue;
            };
            let mut orders = Vec::new();
            ring.ended(now.mono, sleeper.leg, verdict::together(&outcomes), &mut orders);
            self.ring_on(office, now, orders);
        }
    }

    pub(super) fn sleepers_deadline(&self) -> Option<Instant> {
        self.sleepers.iter().map(|sleeper| sleeper.until).min()
    }
}
