//! Rules and live statuses as they change: who has to hear of it, and what is folded anew.

use super::{Action, Event, StatusKey, Switch};
use crate::call::lines::Server;
use crate::call::office::Named;
use crate::call::statuses::DomainStatuses;
use crate::clock::Now;
use crate::registrar::binding::DeviceKey;
use crate::rules::{Ruleset, Status, StatusObject};
use std::sync::Arc;

impl Switch {
    pub(super) fn publish(&mut self, now: Now, rules: Arc<Ruleset>, out: &mut Vec<Action>) {
        for domain in rules.domains() {
            let (name, generation) = (domain.name(), domain.generation());
            if self.rules.domain(name).is_none_or(|old| old.generation() != generation) {
                let applied = Event::RulesApplied { domain: name.to_string(), generation };
                out.push(Action::Event(applied));
                let set = self.office.statuses.domain(name);
                self.office.folds.refold(domain, set.into_iter().flat_map(DomainStatuses::users));
            }
        }
        self.strangers.rules_changed();
        self.certified.rules_changed(&rules);
        self.office.budgets.rules_changed(now, &rules);
        self.forget_places(&rules);
        self.rules = rules; // calls keep the generation that they began with
        if !self.drain.is_on() {
            self.registrations.publish(&mut self.office, now, &self.rules);
            self.health.publish(&mut self.office, now, &self.rules);
        }
        let rules = &self.rules;
        self.office
            .lines
            .keep(|(domain, trunk)| rules.domain(domain).is_some_and(|d| d.trunk(trunk).is_some()));
        self.review_subscriptions(now, None);
    }

    /// A trunk that is to be reached otherwise from now on leads nowhere until the edge has found where: whoever writes `transport = "tls"`
    /// is not to be called in clear once more, nor to be sent credentials so.
    fn forget_places(&mut self, rules: &Ruleset) {
        for domain in rules.domains() {
            let old = self.rules.domain(domain.name());
            for trunk in domain.trunks() {
                let stays = old
                    .and_then(|old| old.trunk(&trunk.name))
                    .is_some_and(|old| (&old.proxy, old.transport) == (&trunk.proxy, trunk.transport));
                let key = (domain.name().clone(), trunk.name.clone());
                if !stays && !self.office.lines.leads_nowhere(&key) {
                    self.office.lines.resolved(&key, Vec::new());
                }
            }
        }
    }

    /// The proxy of a trunk leads there, as the edge has found. What isn't reached as the rules say by now answers a question of rules
    /// that were before.
    pub(super) fn trunk_resolved(&mut self, now: Now, trunk: &Named, mut servers: Vec<Server>) {
        let view = self.rules.domain(&trunk.0).and_then(|domain| domain.trunk(&trunk.1));
        if let Some(only) = view.and_then(|view| view.transport.only()) {
            servers.retain(|server| server.transport == only);
        }
        self.office.lines.resolved(trunk, servers);
        self.strangers.rules_changed();
        self.registrations.resolved(&mut self.office, now, trunk);
        self.health.resolved(&mut self.office, now, trunk);
    }

    pub(super) fn set_status(
        &mut self,
        now: Now,
        key: StatusKey,
        status: Option<Status>,
        out: &mut Vec<Action>,
    ) {
        self.office.statuses.set(now, key.clone(), status.clone());
        self.fold(&key);
        if let StatusObject::Device(device) = &key.object {
            let device = DeviceKey { domain: key.domain.clone(), device: device.clone() };
            self.review_subscriptions(now, Some(&device));
        }
        out.push(Action::Event(Event::StatusChanged { key, status }));
    }

    /// The tree of a user whose status has changed is folded again, and no other.
    pub(super) fn fold(&mut self, key: &StatusKey) {
        if let (StatusObject::User(user), Some(domain)) = (&key.object, self.rules.domain(&key.domain)) {
            let status = match self.office.statuses.of(key) {
                Some(Status::User(status)) => Some(status),
                _ => None,
            };
            self.office.folds.fold(domain, user, status.as_ref());
        }
    }
}
