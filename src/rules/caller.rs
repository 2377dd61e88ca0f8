//! Who calls, resolved once: inside or outside, by which names the lists know them, what they show inside.

use super::domain::{Domain, Extension};
use super::facts::{CallFacts, Live, Origin, Verified};
use super::model::{CallerId, Name};
use crate::number::{Locale, is_e164, normalise};

/// The caller of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Party {
    /// From a phone of this domain, or named by its extension.
    pub inside: bool,
    /// By its index.
    pub user: Option<u32>,
    pub device: Option<Name>,
    pub trunk: Option<Name>,
    /// E.164 of an outside caller; of an inside one, of what the phone sends.
    pub number: Option<Name>,
    /// A service of ours, by its extension.
    pub extension: Option<Name>,
    /// As received.
    pub name: Option<Name>,
    /// What is shown of them inside, before prefixes.
    pub shown: CallerId,
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
            name: caller.name.clone(),
            anonymous: caller.anonymous,
            unverified: facts.verified == Verified::Failed,
            ..Party::default()
        };
        match &caller.origin {
            Origin::Device(device) => party.known_by_device(domain, device, &caller.raw, live),
            Origin::Extension(extension) => party.known_by_extension(domain, extension),
            Origin::Trunk(trunk) => {
                party.trunk = Some(trunk.clone());
                let locale = domain.trunks.get(trunk).map_or(&domain.locale, |t| &t.locale);
                party.known_by_number(&caller.raw, locale);
            }
            Origin::Outside => party.known_by_number(&caller.raw, &domain.locale),
            Origin::Via(_) => match domain.extensions.contains(&caller.raw) {
                true => party.known_by_extension(domain, &caller.raw),
                false => party.known_by_number(&caller.raw, &domain.locale),
            },
        }
        party.shown = party.shows_inside(domain, &caller.raw);
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
        self.device = Some(device.clone());
        let owner = domain.device_entry(device).and_then(|d| d.view.user.as_deref());
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

    /// Inside, a user shows the internal name and extension, or what the phone sends where it is left alone.
    fn shows_inside(&self, domain: &Domain, raw: &Name) -> CallerId {
        let Some(user) = self.user.and_then(|user| domain.entry_at(user)) else {
            let number = if self.inside { &self.extension } else { &self.number };
            return CallerId { name: self.name.clone(), number: number.clone() };
        };
        match (user.ignore_caller_id, raw.is_empty()) {
            (true, false) => CallerId { name: self.name.clone(), number: Some(raw.clone()) },
            _ => user.shown_inside(),
        }
    }
}
