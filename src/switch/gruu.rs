//! A call to one phone of somebody, by a GRUU (RFC 5627 §6): which phone that is.
//!
//! Only phones of ours may call one: to the outside there are numbers and nothing else. Such a call rings that phone and no other, and asks
//! none of its user's rules where to go instead: it is for the phone, not for the user.

use super::Switch;
use crate::call::device::Only;
use crate::clock::Now;
use crate::registrar::Binding;
use crate::registrar::gruu;
use crate::rules::model::Destination;
use crate::rules::{CallFacts, Dialled, Domain, Origin};
use crate::sip::{Message, Uri};
use std::sync::Arc;

impl Switch {
    /// The phone that the Request-URI means, if it means one; then the call is to its device.
    ///
    /// # Errors
    /// The status to answer with: 404 for a temporary GRUU that is none of ours or has ended, 480 for a phone that isn't registered.
    pub(super) fn called_phone(
        &self,
        now: Now,
        domain: &Domain,
        message: &Message,
        facts: &mut CallFacts,
    ) -> Result<Option<Only>, u16> {
        let Some(uri) = Uri::parse(message.request_uri()) else { return Ok(None) };
        let Some(gr) = uri.param("gr").filter(|_| matches!(facts.caller.origin, Origin::Device(_))) else {
            return Ok(None);
        };
        let user = uri.user_unescaped();
        let binding = match gr {
            "" => self.of_temporary(domain, &user).ok_or(404u16)?,
            instance => self.of_public(now, domain, &user, instance)?,
        };
        let device = binding.key.device.device.clone();
        let instance = binding.instance().map(Arc::from).ok_or(404u16)?;
        facts.dialled = Dialled::Destination(Destination::Device(device.clone()));
        Ok(Some(Only { device, instance }))
    }

    fn of_temporary(&self, domain: &Domain, user: &str) -> Option<&Binding> {
        let held = self.gruus.open(user)?;
        let binding = self.office.location.by_epoch(held.slot, held.epoch)?;
        let device = &binding.key.device;
        // A trunk is called by numbers, its route, its channels and the caller's rights.
        (device.domain == *domain.name() && device.trunk().is_none()).then_some(binding)
    }

    /// Of the phones that may register for this address.
    fn of_public(&self, now: Now, domain: &Domain, user: &str, instance: &str) -> Result<&Binding, u16> {
        let live = self.office.live(domain, now, None);
        let owner = domain.user_of_extension(user);
        let theirs = owner.into_iter().flat_map(|owner| domain.phones_of(&owner.name, &live));
        let named = domain.device(user).map(|view| &view.key.device);
        let by_auth = domain.device_by_auth(user).map(|view| &view.key.device);
        let mut phones = theirs.chain(named).chain(by_auth).peekable();
        if phones.peek().is_none() {
            return Err(404);
        }
        let is_it = |binding: &&Binding| binding.instance().and_then(gruu::public) == Some(instance);
        let mut contacts = phones.flat_map(|device| self.office.bindings(domain.name(), device));
        contacts.find(is_it).ok_or(480) // RFC 5627 §6.1
    }
}
