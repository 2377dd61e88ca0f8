//! Who calls, resolved once: inside or outside, by which names the lists know them, what they show inside.

use super::domain::{Domain, Extension};
use super::facts::{CallFacts, Caller, Live, Origin, Verified};
use super::model::{CallerId, Name};
use crate::number::{Locale, is_e164, normalise};

/// The caller of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Party {
    /// From a phone of this domain, or named by its extension.
    pub inside: bool,
    /// By its index, as the device.
    pub user: Option<u32>,
    pub device: Option<u32>,
    /// E.164 of an outside caller; of an inside one, of what the phone sends.
    pub number: Option<Name>,
    /// A service of ours, by its extension.
    pub extension: Option<Name>,
    pub anonymous: bool,
    pub unknown: bool,
    /// The verification of their identity failed (RFC 8224).
    pub unverified: bool,
}

/// To E.164. What is E.164 already is shared, not copied.
pub(super) fn to_e164(raw: &Name, locale: &Locale) -> Option<Name> {
    if is_e164(raw) { Some(raw.clone()) } else { normalise(raw, locale).map(Name::from) }
}

impl Party {
    pub fn of(domain: &Domain, facts: &CallFacts, live: &dyn Live) -> Party {
        let caller = &facts.caller;
        let mut party = Party {
            anonymous: caller.anonymous,
            unverified: facts.verified == Verified::Failed,
            ..Party::default()
        };
        match &caller.origin {
            Origin::Device(device) => party.known_by_device(domain, device, &caller.raw, live),
            Origin::Extension(extension) => party.known_by_extension(domain, extension),
            Origin::Via(_) if domain.extensions.contains(&caller.raw) => {
                party.known_by_extension(domain, &caller.raw);
            }
            Origin::Trunk(_) | Origin::Outside | Origin::Via(_) => {
                party.known_by_number(&caller.raw, domain.locale_of_origin(&caller.origin));
            }
        }
        party
    }

    /// What allow, block and white lists know the caller by.
    pub fn keys<'a>(&'a self, domain: &'a Domain) -> &'a [Name] {
        let user = self.user.and_then(|user| domain.entry_at(user));
        match (user, &self.extension, &self.number) {
            (Some(user), _, _) => &user.view.extensions,
            (None, Some(extension), _) => std::slice::from_ref(extension),
            (None, None, Some(number)) if !self.inside => std::slice::from_ref(number),
            (None, None, _) => &[],
        }
    }

    fn known_by_device(&mut self, domain: &Domain, device: &Name, raw: &Name, live: &dyn Live) {
        self.inside = true;
        self.device = domain.devices.index(device);
        let phone = self.device.and_then(|device| domain.device_at(device));
        let owner = phone.and_then(|phone| phone.view.user.as_deref());
        self.user = live.seated(device).or(owner).and_then(|user| domain.users.index(user));
        // What the phone sends counts only where its user says so: elsewhere the number is not even read.
        if self.user.and_then(|user| domain.entry_at(user)).is_some_and(|u| u.ignore_caller_id) {
            self.number = to_e164(raw, &domain.locale);
        }
    }

    fn known_by_extension(&mut self, domain: &Domain, extension: &Name) {
        self.inside = true;
        match domain.extensions.get(extension) {
            Some(Extension::User(index)) => self.user = Some(*index),
            Some(Extension::System(..)) | None => self.extension = Some(extension.clone()),
        }
    }

    fn known_by_number(&mut self, raw: &Name, locale: &Locale) {
        self.number = to_e164(raw, locale);
        self.unknown = self.number.is_none() && !self.anonymous;
    }

    /// What is shown of them inside, before prefixes: of a user the internal name and extension, or what the phone sends where it is
    /// left alone.
    pub fn shown_inside(&self, domain: &Domain, caller: &Caller) -> CallerId {
        let Some(user) = self.user.and_then(|user| domain.entry_at(user)) else {
            let number = if self.inside { &self.extension } else { &self.number };
            return CallerId { name: caller.name.clone(), number: number.clone() };
        };
        match (user.ignore_caller_id, caller.raw.is_empty()) {
            (true, false) => CallerId { name: caller.name.clone(), number: Some(caller.raw.clone()) },
            _ => user.shown_inside(),
        }
    }
}

impl Domain {
    /// By which numbers of a caller from there are normalised.
    pub(super) fn locale_of_origin(&self, origin: &Origin) -> &Locale {
        match origin {
            Origin::Trunk(trunk) => self.trunks.get(trunk).map_or(&self.locale, |trunk| &trunk.locale),
            Origin::Device(_) | Origin::Extension(_) | Origin::Outside | Origin::Via(_) => &self.locale,
        }
    }
}
