//! NOTIFY of ours: whom a notice is for, what waits in mailboxes, and what is made of the answers.

use super::Switch;
use crate::clock::Now;
use crate::registrar::{Binding, Change};
use crate::rules::Domain;
use crate::subscription::notice::{Contact, Notice, What, Whom, Word};
use crate::subscription::summary::Counts;
use crate::subscription::{Package, Topic};
use crate::transaction::{ClientId, Failure};
use std::sync::Arc;

impl Switch {
    /// Tells every contact of a phone, or of all phones of a person. Those that nobody knows any more have none.
    pub(super) fn notify(&mut self, now: Now, notice: &Notice) {
        let (word, contacts) = match &notice.what {
            What::CheckSync { to, reboot } => {
                (Word::CheckSync { reboot: *reboot }, self.bound(now, &notice.domain, to))
            }
            What::Messages { mailbox } => {
                let of = (notice.domain.clone(), mailbox.clone());
                let word = Word::Messages(self.notifier.messages(&of));
                (word, self.told_of(now, &Topic { package: Package::MessageSummary, of }))
            }
        };
        let finished = self.notices.send(&mut self.office, now, notice, word, &contacts);
        self.finished.extend(finished);
        for contact in &contacts {
            if let Contact::Subscribed { key, .. } = contact {
                self.notifier.tell_again(&mut self.office, now, *key);
            }
        }
    }

    /// The contacts of these phones, each with whom its phone registers for.
    fn bound(&self, now: Now, domain: &str, to: &Whom) -> Vec<Contact> {
        let Some(domain) = self.rules.domain(domain) else { return Vec::new() };
        let live = self.office.live(domain, now, None);
        let devices: Vec<&Arc<str>> = match to {
            Whom::Device(device) => vec![device],
            Whom::User(user) => domain.phones_of(user, &live).collect(),
        };
        let of_device = |device: &Arc<str>| {
            let bindings = self.office.bindings(domain.name(), device).iter().cloned();
            let user = registered_as(domain, device);
            let bound = move |binding| Contact::Bound { binding: Box::new(binding), user: user.clone() };
            bindings.map(bound).collect::<Vec<_>>()
        };
        devices.into_iter().flat_map(of_device).collect()
    }

    /// Everybody who is told of a mailbox: whoever has subscribed, and the other contacts of its owner's phones.
    fn told_of(&self, now: Now, topic: &Topic) -> Vec<Contact> {
        let subscribed = self.notifier.of(topic);
        let holders: Vec<_> = subscribed.iter().filter_map(|key| self.notifier.holder(*key)).collect();
        let mut bound = self.bound(now, &topic.of.0, &Whom::User(topic.of.1.clone()));
        bound.retain(|contact| match contact {
            Contact::Bound { binding, .. } => !holders.iter().any(|(device, flow, _)| {
                **device == binding.key.device && flow.remote == binding.flow.remote
            }),
            Contact::Subscribed { .. } => true,
        });
        let holding = subscribed.iter().zip(&holders).map(|(key, (device, _, contact))| {
            Contact::Subscribed { key: *key, device: device.device.clone(), contact: Arc::from(*contact) }
        });
        holding.chain(bound).collect()
    }

    /// Calls have changed: whoever watches the users concerned is told.
    pub(super) fn tell_watchers(&mut self, now: Now) {
        for of in self.office.dialogs.take_changed() {
            let topic = Topic { package: Package::Dialog, of };
            self.notifier.changed(&mut self.office, now, &topic);
        }
    }

    /// Registrations have changed: whoever watches theirs is told. A refresh alone is no change.
    pub(super) fn tell_of_registrations(&mut self, now: Now) {
        for change in std::mem::take(&mut self.moved) {
            let device = match change {
                Change::Added(binding) | Change::Refreshed(binding) => binding.key.device,
                Change::Removed { key, why } => {
                    let device = key.device.clone();
                    self.notifier.contact_left(key, why);
                    device
                }
            };
            let Some(domain) = self.rules.domain(&device.domain) else { continue };
            let Some(user) = self.user_of(now, domain, &device.device) else { continue };
            let of = (domain.name().clone(), user);
            self.count_phones(now, &of);
            self.notifier.changed(&mut self.office, now, &Topic { package: Package::Reg, of });
        }
    }

    /// Which phones a user's registrations are those of, for whoever watches them.
    pub(super) fn count_phones(&mut self, now: Now, of: &(Arc<str>, Arc<str>)) {
        let Some(domain) = self.rules.domain(&of.0) else { return };
        let live = self.office.live(domain, now, None);
        let key = |device: &Arc<str>| domain.device(device).map(|view| view.key.clone());
        let phones = domain.phones_of(&of.1, &live).filter_map(key).collect();
        self.notifier.set_phones(of, phones);
    }

    /// What waits in a mailbox now, as whoever keeps it says.
    pub(super) fn set_messages(&mut self, now: Now, domain: Arc<str>, mailbox: Arc<str>, counts: Counts) {
        self.notifier.set_messages(&mut self.office, now, &(domain, mailbox), counts);
    }

    /// A contact that has just registered is told what waits, where the configuration has it so (`[sip] unsolicited_mwi`): for phones that
    /// don't subscribe.
    pub(super) fn greet(&mut self, now: Now, added: &[Binding]) {
        for binding in added {
            let key = &binding.key.device;
            let Some(domain) = self.rules.domain(&key.domain) else { continue };
            let Some(user) = self.user_of(now, domain, &key.device) else { continue };
            if !domain.has_mailbox(&user) {
                continue;
            }
            let counts = self.notifier.messages(&(domain.name().clone(), user));
            let (name, account) = (domain.name().clone(), registered_as(domain, &key.device));
            let word = Word::Messages(counts);
            // Nobody waits for its answer: a phone that wants to have subscribed says 481, and has lost nothing.
            let _ = self.notices.tell(&mut self.office, now, &name, &account, binding, word);
        }
    }

    pub(super) fn notified(&mut self, now: Now, id: ClientId, status: u16) {
        match self.notifier.response(&mut self.office, now, id, status) {
            Some(answered) => self.notices.answered(&answered, &mut self.finished),
            None => self.finished.extend(self.notices.response(id, status)),
        }
    }

    pub(super) fn notify_failed(&mut self, id: ClientId, why: Failure) {
        match self.notifier.failed(id, why) {
            Some(answered) => self.notices.answered(&answered, &mut self.finished),
            None => self.finished.extend(self.notices.failed(id, why)),
        }
    }
}

/// Contacts that were not there before.
pub(super) fn added(changes: &[Change]) -> Vec<Binding> {
    let of = |change: &Change| match change {
        Change::Added(binding) => Some(binding.clone()),
        Change::Refreshed(_) | Change::Removed { .. } => None,
    };
    changes.iter().filter_map(of).collect()
}

/// Whom a phone registers for, as far as we know: its first address of record.
fn registered_as(domain: &Domain, device: &Arc<str>) -> Arc<str> {
    let first = domain.device(device).and_then(|view| view.addresses_of_record.first());
    first.unwrap_or(device).clone()
}
