//! Who calls, resolved once: inside or outside, by which names the lists know them.

use super::domain::{Domain, Extension};
use super::facts::{CallFacts, Live, Origin};
use super::model::{Destination, Name};
use crate::number::{Locale, normalise};

/// The caller of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Party {
    /// From a phone of this domain, or named by its extension.
    pub inside: bool,
    pub user: Option<Name>,
    pub device: Option<Name>,
    pub trunk: Option<Name>,
    /// E.164, of an outside caller.
    pub number: Option<Name>,
    pub name: Option<Name>,
    /// What allow, block and white lists know the caller by.
    pub keys: Vec<Name>,
    pub anonymous: bool,
    pub unknown: bool,
    /// The queue or hunt that the call came through.
    pub via: Option<Destination>,
}

impl Party {
    pub fn of(domain: &Domain, facts: &CallFacts, live: &dyn Live) -> Party {
        let caller = &facts.caller;
        let mut party = Party { name: caller.name.clone(), anonymous: caller.anonymous, ..Party::default() };
        match &caller.origin {
            Origin::Device(device) => party.known_by_device(domain, device, live),
            Origin::Extension(extension) => party.known_by_extension(domain, extension),
            Origin::Trunk(trunk) => {
                party.trunk = Some(trunk.clone());
                let locale = domain.trunks.get(trunk).map_or(&domain.locale, |t| &t.locale);
                party.known_by_number(&caller.raw, locale);
            }
            Origin::Outside => party.known_by_number(&caller.raw, &domain.locale),
            Origin::Via(via) => {
                party.via = Some(via.clone());
                match domain.extensions.contains_key(&caller.raw) {
                    true => party.known_by_extension(domain, &caller.raw),
                    false => party.known_by_number(&caller.raw, &domain.locale),
                }
            }
        }
        party
    }

    /// Came through a queue or a hunt, not straight (the guides' "direct calls only").
    pub fn direct(&self) -> bool {
        !matches!(self.via, Some(Destination::Queue(_) | Destination::Hunt(_)))
    }

    fn known_by_device(&mut self, domain: &Domain, device: &Name, live: &dyn Live) {
        self.inside = true;
        self.device = Some(device.clone());
        let owner = domain.devices.get(device).and_then(|d| d.view.user.clone());
        let user = live.seated(device).map(Name::from).or(owner);
        if let Some(user) = user {
            self.is_user(domain, &user);
        }
    }

    fn known_by_extension(&mut self, domain: &Domain, extension: &Name) {
        self.inside = true;
        match domain.extensions.get(extension) {
            Some(Extension::User(index)) => {
                if let Some(user) = domain.users.get(*index as usize) {
                    let name = user.view.name.clone();
                    self.is_user(domain, &name);
                }
            }
            Some(Extension::System(..)) | None => self.keys = vec![extension.clone()],
        }
    }

    fn is_user(&mut self, domain: &Domain, user: &Name) {
        let Some(entry) = domain.user_entry(user) else { return };
        self.keys = entry.view.extensions.clone();
        self.user = Some(user.clone());
    }

    fn known_by_number(&mut self, raw: &str, locale: &Locale) {
        self.number = normalise(raw, locale).map(Name::from);
        self.keys = self.number.iter().cloned().collect();
        self.unknown = self.number.is_none() && !self.anonymous;
    }
}
