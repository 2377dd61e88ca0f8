//! MESSAGE outside any dialog (RFC 3428): from a phone of somebody's to somebody of the same domain. Lists count as for calls: whoever is
//! blocked, or withholds their name from who wants none such, does not get through. What is about ringing does not: do-not-disturb,
//! forwards, answering rules, and calls that are up.

use super::identity::Sender;
use super::{Switch, facts, response};
use crate::call::device::by_phone;
use crate::call::headers;
use crate::call::sips;
use crate::clock::Now;
use crate::pager::{self, Page};
use crate::registrar::Binding;
use crate::rules::{Domain, Origin, Walk};
use crate::sip::{Flow, Message, Uri};
use crate::transaction::ServerId;
use std::sync::Arc;

/// RFC 3428 §8: what is larger may not be sent where it could be fragmented, and nobody knows the way to the phone.
const BODY_BYTES_MAX: usize = 1300;
/// Retry-After of a refusal for lack of room, in seconds.
const RETRY_AFTER_S: u32 = 10;

/// Why a MESSAGE is not passed on.
struct Refusal {
    code: u16,
    /// Where it was to go by TLS and can't.
    warning: Option<&'static str>,
}

impl From<u16> for Refusal {
    fn from(code: u16) -> Refusal {
        Refusal { code, warning: None }
    }
}

impl Switch {
    pub(super) fn message(&mut self, now: Now, server: ServerId, flow: Flow, request: &Message) {
        let sender = match self.identify(now, &flow, request) {
            Ok(sender) => sender,
            Err(unknown) => return self.turn_away(server, unknown),
        };
        if let Err(Refusal { code, warning }) = self.pass_on(now, (server, &flow), request, &sender) {
            let bytes = match (code, warning) {
                (503, _) => response::unavailable(request, RETRY_AFTER_S),
                (_, Some(warning)) => response::sips(request, warning),
                (code, None) => pager::answer(request, code),
            };
            self.office.respond(now, server, code, bytes);
        }
    }

    /// # Errors
    /// The status that refuses it.
    fn pass_on(
        &mut self,
        now: Now,
        (server, flow): (ServerId, &Flow),
        request: &Message,
        sender: &Sender,
    ) -> Result<(), Refusal> {
        let Sender::Device { domain, key } = sender else { return Err(403.into()) };
        let user = self.user_of(now, domain, &key.device).ok_or(403_u16)?;
        if request.max_forwards() == Some(0) {
            return Err(483.into());
        }
        if sips::is_broken(request, flow) {
            return Err(Refusal { code: 480, warning: Some(sips::REQUIRED) });
        }
        let loop_token = headers::loop_token(request, &format!("device:{}", key.device));
        if headers::is_loop(&self.office.listeners, request, loop_token) {
            return Err(482.into());
        }
        if request.body().len() > BODY_BYTES_MAX {
            return Err(413.into());
        }
        let called = Uri::parse(request.request_uri()).map(|uri| uri.user_unescaped().into_owned());
        let called = called.unwrap_or_default();
        let addressee = domain.user_of_extension(&called).or_else(|| domain.user(&called)).ok_or(404_u16)?;
        let addressee = addressee.name.clone();
        if let Some(code) = self.refused(now, request, domain, &key.device) {
            return Err(code.into());
        }
        let tls = sips::is_for_sips(request);
        let phones = self.phones(now, domain, &addressee, tls);
        if phones.is_empty() {
            let is_there = tls && !self.phones(now, domain, &addressee, false).is_empty();
            return Err(Refusal { code: 480, warning: is_there.then_some(sips::NOT_ALLOWED) });
        }
        if self.pager.is_full() {
            return Err(503.into());
        }
        let from = shown(domain, &user);
        self.pager.send(&mut self.office, now, &Page { server, request, from: &from, loop_token }, &phones);
        Ok(())
    }

    /// The status by which the addressee's lists refuse a call of this sender's.
    fn refused(&self, now: Now, request: &Message, domain: &Arc<Domain>, device: &Arc<str>) -> Option<u16> {
        let facts = facts::read(&self.office, now, request, domain, Origin::Device(device.clone())).facts;
        let mut walk = Walk::new(domain.clone(), facts);
        walk.start(&self.office.live(domain, now, None));
        walk.refusal()
    }

    /// A contact of each phone of this user's that is registered and awake; with `tls` only what is reached so.
    fn phones(&self, now: Now, domain: &Arc<Domain>, user: &str, tls: bool) -> Vec<Binding> {
        let live = self.office.live(domain, now, None);
        let devices = domain.phones_of(user, &live);
        let bindings = devices.flat_map(|device| self.office.bindings(domain.name(), device));
        let is_meant =
            |binding: &&Binding| !binding.is_asleep() && (!tls || binding.flow.transport.is_secure());
        let awake = bindings.filter(is_meant).cloned().collect();
        by_phone(awake).into_iter().filter_map(|flows| flows.into_iter().next()).collect()
    }
}

/// Whom a message is shown to be from: as their calls are inside.
fn shown(domain: &Domain, user: &str) -> String {
    let view = domain.user(user);
    let extension = view.and_then(|view| view.extensions.first()).map_or(user, |extension| &**extension);
    let address = format!("<sip:{}@{}>", headers::escape_user(extension), domain.name());
    match view.map(|view| &*view.display).filter(|name| !name.is_empty()) {
        Some(name) => format!("{} {address}", headers::quote(name)),
        None => address,
    }
}
