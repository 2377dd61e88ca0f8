//! REGISTER (RFC 3261 §10.3): who may bind what, and the answer.

use super::identity::{Sender, Unknown};
use super::response;
use super::{Switch, notify};
use crate::clock::Now;
use crate::registrar::Binding;
use crate::registrar::binding::DeviceKey;
use crate::registrar::location::Terms;
use crate::rules::Domain;
use crate::sip::{Flow, Message, Name, Writer};
use crate::transaction::ServerId;
use bytes::Bytes;
use std::sync::Arc;

/// A trunk that registers here does so as its `auth.user`, or by its name.
fn registering_trunk(domain: &Domain, trunk: &str, request: &Message) -> Option<DeviceKey> {
    let to = request.to().map(|to| to.uri.user_unescaped()).unwrap_or_default();
    let is_account = domain.trunk_auth(trunk).is_some_and(|auth| *auth.user == *to);
    let may = domain.trunk(trunk)?.registers_here && (is_account || to == trunk);
    may.then(|| DeviceKey::of_trunk(domain.name(), trunk))
}

impl Switch {
    pub(super) fn register(&mut self, now: Now, server: ServerId, flow: Flow, request: &Message) {
        let (domain, key) = match self.registering_device(now, &flow, request) {
            Ok(known) => known,
            Err(unknown) => return self.turn_away(server, unknown),
        };
        let (code, bytes, added) = self.bind(now, &domain, &key, flow, request);
        self.office.respond(now, server, code, bytes);
        self.greet(now, &added);
        if code == 200 {
            self.wake_calls(now, &key);
        }
    }

    /// A device has registered: calls that had it woken ring it now (RFC 8599).
    fn wake_calls(&mut self, now: Now, key: &DeviceKey) {
        for call in self.office.registered(key) {
            self.with_call(call, |call, office| call.woken(office, now, &key.device));
        }
    }

    /// The device that a REGISTER binds: the one of its credentials, or one that needs none from this address.
    fn registering_device(
        &mut self,
        now: Now,
        flow: &Flow,
        request: &Message,
    ) -> Result<(Arc<Domain>, DeviceKey), Unknown> {
        let known = match self.identify_registering(now, flow, request)? {
            Sender::Device { domain, key } => {
                let to = request.to().map(|to| to.uri.user_unescaped()).unwrap_or_default();
                let may = domain
                    .device(&key.device)
                    .is_some_and(|device| device.addresses_of_record.iter().any(|address| **address == *to));
                if may { Some((domain, key)) } else { None }
            }
            Sender::Trunk { domain, trunk } => {
                registering_trunk(&domain, &trunk, request).map(|key| (domain, key))
            }
        };
        let (domain, key) = known.ok_or_else(|| Unknown::Answer(response::plain(request, 403)))?;
        let trunk = key.trunk().and_then(|trunk| domain.trunk(trunk));
        match trunk.and_then(|trunk| trunk.transport.only()).filter(|only| *only != flow.transport) {
            Some(only) => {
                let reason = format!("This Trunk Registers by {}", only.via_word());
                Err(Unknown::Answer(response::with_reason(request, 403, &reason)))
            }
            None => Ok((domain, key)),
        }
    }

    /// A registered flow is no credential for a REGISTER: whoever has taken over an address could take over the phone.
    fn identify_registering(&mut self, now: Now, flow: &Flow, request: &Message) -> Result<Sender, Unknown> {
        use crate::registrar::digest::Verdict;
        use crate::rules::compile::BySource;
        let to_user = request.to().map(|to| to.uri.user_unescaped().into_owned()).unwrap_or_default();
        if let Some(BySource::Device(key)) = self.rules.by_source(flow.remote, &to_user)
            && let Some(domain) = self.rules.domain(&key.domain)
        {
            return Ok(Sender::Device { domain: domain.clone(), key });
        }
        let Some(domain) = self.domain_of(request) else {
            return Err(Unknown::Answer(response::plain(request, 404)));
        };
        match self.verify(now, flow, &domain, request) {
            Verdict::Verified(account) => Ok(Sender::of(domain, account)),
            Verdict::Malformed => {
                Err(Unknown::Answer(response::with_reason(request, 400, "Bad Credentials")))
            }
            verdict => Err(self.challenge(now, flow, &domain, request, verdict)),
        }
    }

    /// The answer, and the contacts that are to be told what waits for them.
    fn bind(
        &mut self,
        now: Now,
        domain: &Arc<Domain>,
        key: &DeviceKey,
        flow: Flow,
        request: &Message,
    ) -> (u16, Bytes, Vec<Binding>) {
        if self.lacks_push(domain, key, request) {
            return (555, response::plain(request, 555), Vec::new());
        }
        let expiry = self.config.expiry;
        let lot = self.office.ids.word();
        let terms = Terms { expiry, domain: domain.name(), bound: &self.bound, lot };
        let mut changes = Vec::new();
        let outcome = self.office.location.register(now, key, flow, request, &terms, &mut changes);
        let added = if self.config.unsolicited_mwi { notify::added(&changes) } else { Vec::new() };
        self.changed(changes);
        match outcome {
            Ok(()) => (200, self.registered(now, domain, key, &flow, request), added),
            Err(refusal) => {
                let mut w = Writer::reply(request, refusal.status, refusal.reason, Some("ringtree"));
                if refusal.status == 423 {
                    w.header(Name::MinExpires, expiry.min_s); // RFC 3261 §10.3 step 7
                }
                (refusal.status, w.finish(), Vec::new())
            }
        }
    }
}
