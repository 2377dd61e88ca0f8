//! REGISTER (RFC 3261 §10.3): who may bind what, and the answer.

use super::identity::{Sender, Unknown};
use super::response;
use super::{Switch, notify};
use crate::clock::Now;
use crate::registrar::Binding;
use crate::registrar::binding::DeviceKey;
use crate::sip::{Flow, Message, Name, Writer};
use crate::transaction::ServerId;
use bytes::Bytes;
use jiff::tz::Offset;
use std::fmt::Display;

impl Switch {
    pub(super) fn register(&mut self, now: Now, server: ServerId, flow: Flow, request: &Message) {
        let (code, bytes, added) = match self.registering_device(now, &flow, request) {
            Ok(key) => self.bind(now, &key, flow, request),
            Err(Unknown::Answer(code, bytes)) => (code, bytes, Vec::new()),
            Err(Unknown::Silence) => return self.office.transactions.forget(server),
        };
        self.office.respond(now, server, code, bytes);
        self.greet(now, &added);
    }

    /// The device that a REGISTER binds: the one of its credentials, or one that needs none from this address.
    fn registering_device(&mut self, now: Now, flow: &Flow, request: &Message) -> Result<DeviceKey, Unknown> {
        let key = match self.identify_registering(now, flow, request)? {
            Sender::Device { domain, key } => {
                let to = request.to().map(|to| to.uri.user_unescaped()).unwrap_or_default();
                let may = domain
                    .device(&key.device)
                    .is_some_and(|device| device.addresses_of_record.iter().any(|address| **address == *to));
                if may { Some(key) } else { None }
            }
            Sender::Trunk { .. } => None,
        };
        key.ok_or_else(|| Unknown::Answer(403, response::plain(request, 403)))
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
            return Err(Unknown::Answer(404, response::plain(request, 404)));
        };
        match self.verify(now, &domain, request) {
            Verdict::Verified(key) => Ok(Sender::Device { domain, key }),
            Verdict::Malformed => {
                Err(Unknown::Answer(400, response::with_reason(request, 400, "Bad Credentials")))
            }
            verdict => Err(self.challenge(now, &domain, request, verdict)),
        }
    }

    /// The answer, and the contacts that are to be told what waits for them.
    fn bind(
        &mut self,
        now: Now,
        key: &DeviceKey,
        flow: Flow,
        request: &Message,
    ) -> (u16, Bytes, Vec<Binding>) {
        let expiry = self.config.expiry;
        let mut changes = Vec::new();
        let outcome = self.office.location.register(now, key, flow, request, expiry, &mut changes);
        let added = if self.config.unsolicited_mwi { notify::added(&changes) } else { Vec::new() };
        self.changed(changes);
        match outcome {
            Ok(()) => {
                let tag = response::tag(&mut self.office);
                let mut w = Writer::reply(request, 200, "OK", Some(&tag));
                for binding in self.office.location.of(key) {
                    let left = binding.expires.duration_since(now.wall).as_secs().max(0);
                    w.header(Name::Contact, format_args!("<{}>;expires={left}", binding.uri));
                }
                w.header(Name::Date, date(now)); // RFC 3261 §10.3 step 8
                (200, w.finish(), added)
            }
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

/// RFC 3261 §20.17: always GMT.
fn date(now: Now) -> impl Display {
    Offset::UTC.to_datetime(now.wall).strftime("%a, %d %b %Y %H:%M:%S GMT")
}
