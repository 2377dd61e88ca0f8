//! NOTIFY of ours: whom a notice is for, and what is made of the answers.

use super::Switch;
use crate::clock::Now;
use crate::registrar::Binding;
use crate::subscription::notice::{Notice, Whom};
use crate::transaction::{ClientId, Failure};
use std::sync::Arc;

impl Switch {
    /// Tells every contact of a phone, or of all phones of a person. One that nobody knows any more has none.
    pub(super) fn notify(&mut self, now: Now, notice: &Notice) {
        let contacts = self.contacts(now, notice);
        let finished = self.notices.send(&mut self.office, now, notice, &contacts);
        self.finished.extend(finished);
    }

    /// The contacts, each with whom its phone registers for.
    fn contacts(&self, now: Now, notice: &Notice) -> Vec<(Binding, Arc<str>)> {
        let Some(domain) = self.rules.domain(&notice.domain) else { return Vec::new() };
        let live = self.office.live(domain, now, None);
        let devices: Vec<&Arc<str>> = match &notice.to {
            Whom::Device(device) => vec![device],
            Whom::User(user) => domain.phones_of(user, &live).collect(),
        };
        let views = devices.into_iter().filter_map(|device| domain.device(device));
        let of_device = |view: &crate::rules::domain::DeviceView| {
            let user = view.addresses_of_record.first().unwrap_or(&view.key.device).clone();
            let bindings = self.office.location.of(&view.key).to_vec();
            bindings.into_iter().map(move |binding| (binding, user.clone()))
        };
        views.flat_map(of_device).collect()
    }

    pub(super) fn notified(&mut self, id: ClientId, status: u16) {
        self.finished.extend(self.notices.response(id, status));
    }

    pub(super) fn notify_failed(&mut self, id: ClientId, why: Failure) {
        self.finished.extend(self.notices.failed(id, why));
    }
}
