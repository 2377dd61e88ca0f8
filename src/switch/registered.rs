//! The answer to a REGISTER that was taken: the contacts in force, and what its extensions ask for (RFC 3261 §10.3 step 8,
//! RFC 3327 §5.3, RFC 5626 §6, RFC 5627 §5.3, RFC 8599 §5.6).

use super::{Event, Switch, response};
use crate::call::capabilities;
use crate::call::headers::escape_user;
use crate::clock::Now;
use crate::registrar::binding::DeviceKey;
use crate::registrar::extensions::supports;
use crate::registrar::gruu::{self, Held};
use crate::registrar::{Change, Location};
use crate::rules::Domain;
use crate::sip::{Flow, Message, Name, Writer};
use bytes::Bytes;
use std::fmt::Write as _;
use std::sync::Arc;

/// How often a phone is to let us see that its connection stands (RFC 5626 §5.4), in seconds: well before we probe it ourselves.
/// Of datagrams nothing is said: how long a NAT keeps their way open is the phone's to find out.
const FLOW_TIMER_S: u32 = 50;

/// A trunk that registers here is up with its first contact, and down with its last.
pub(super) fn trunk_event(change: &Change, key: &DeviceKey, location: &Location) -> Option<Event> {
    let (domain, trunk) = (key.domain.to_string(), key.trunk()?.to_owned());
    match change {
        Change::Added(added) => {
            let is_first = location.of(key).iter().all(|other| other.registered >= added.registered);
            is_first.then_some(Event::TrunkUp { domain, trunk })
        }
        Change::Refreshed(_) => None,
        Change::Removed { why, .. } => {
            let why = format!("it is no longer registered here ({})", why.word());
            location.of(key).is_empty().then_some(Event::TrunkDown { domain, trunk, why })
        }
    }
}

impl Switch {
    /// 200, with what is in force now.
    pub(super) fn registered(
        &mut self,
        now: Now,
        domain: &Arc<Domain>,
        key: &DeviceKey,
        flow: &Flow,
        request: &Message,
    ) -> Bytes {
        let tag = response::tag(&mut self.office);
        let mut w = Writer::reply(request, 200, "OK", Some(&tag));
        let gruu = supports(request, "gruu");
        let outbound = supports(request, "outbound");
        let address = request.to().map(|to| to.uri.user_unescaped().into_owned()).unwrap_or_default();
        let slot = self.office.location.slot(key);
        let mut kept_flow = false;
        for binding in self.office.location.of(key) {
            let left = binding.expires.duration_since(now.wall).as_secs().max(0);
            if binding.extensions.is_none() || !(gruu || outbound) {
                w.header(Name::Contact, format_args!("<{}>;expires={left}", binding.uri));
                continue;
            }
            let mut contact = format!("<{}>;expires={left}", binding.uri);
            // Writing to a String can't fail.
            if let Some(instance) = binding.instance() {
                let _ = write!(contact, ";+sip.instance=\"{instance}\"");
            }
            if let Some(reg_id) = binding.reg_id() {
                let _ = write!(contact, ";reg-id={reg_id}");
                kept_flow |= *binding.call_id == *request.call_id();
            }
            let epoch = binding.extensions.as_ref().and_then(|extensions| extensions.epoch);
            if let (true, Some(epoch), Some(slot)) = (gruu, epoch, slot) {
                if let Some(public) = binding.instance().and_then(gruu::public) {
                    let user = escape_user(&address);
                    let _ = write!(contact, ";pub-gruu=\"sip:{user}@{};gr={public}\"", domain.name());
                }
                let user = self.gruus.temporary(&mut self.office.ids, Held { slot, epoch });
                let _ = write!(contact, ";temp-gruu=\"sip:{user}@{};gr\"", domain.name());
            }
            w.header(Name::Contact, contact);
        }
        // RFC 3327 §5.3: the way is told to who understands it.
        if request.value(Name::Path).is_some() && supports(request, "path") {
            w.copy(request, Name::Path);
        }
        if outbound && kept_flow {
            w.header(Name::Require, "outbound"); // RFC 5626 §6
            if flow.transport.is_reliable() && request.value(Name::Path).is_none() {
                w.field("Flow-Timer", FLOW_TIMER_S);
            }
        }
        capabilities::write_supported(&mut w);
        if let Some(provider) = self.push_service(domain, key, request) {
            w.field("Feature-Caps", format_args!("*;+sip.pns=\"{provider}\"")); // RFC 8599 §5.6.1
        }
        w.header(Name::Date, self.date.text(now)); // RFC 3261 §10.3 step 8
        w.finish()
    }

    /// The push service that wakes this phone, where it has asked for one by `pn-provider`.
    fn push_service(&self, domain: &Domain, key: &DeviceKey, request: &Message) -> Option<Arc<str>> {
        let provider = domain.device(&key.device)?.push.as_ref().map(|push| push.provider.clone())?;
        let asks = request.addresses(Name::Contact).any(|contact| contact.uri.param("pn-provider").is_some());
        asks.then_some(provider)
    }

    /// RFC 8599 §5.3.1: a phone that wants to be woken by another service than its rules name is told so.
    pub(super) fn lacks_push(&self, domain: &Domain, key: &DeviceKey, request: &Message) -> bool {
        let device = domain.device(&key.device);
        let Some(push) = device.as_ref().and_then(|device| device.push.as_ref()) else { return false };
        request.addresses(Name::Contact).any(|contact| {
            let provider = contact.uri.param("pn-provider").filter(|provider| !provider.is_empty());
            provider.is_some_and(|provider| !provider.eq_ignore_ascii_case(&push.provider))
        })
    }
}
