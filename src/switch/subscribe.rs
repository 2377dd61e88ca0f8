//! SUBSCRIBE (RFC 6665 §4.2.1): who asks, for what, for how long, and may they.

use super::identity::Sender;
use super::{Switch, response};
use crate::call::{headers, sips};
use crate::clock::Now;
use crate::registrar::binding::DeviceKey;
use crate::rules::Domain;
use crate::sip::{Flow, Message, Name, Uri, Writer, status};
use crate::subscription::notifier::{Asked, Refused};
use crate::subscription::package::{
    ALLOW_EVENTS, EXPIRES_DEFAULT_S, EXPIRES_MAX_S, EXPIRES_MIN_S, Event, Package,
};
use crate::subscription::{Reason, SubscriptionKey, Topic};
use crate::transaction::ServerId;
use bytes::Bytes;
use std::sync::Arc;

/// Retry-After of a refusal for lack of room, in seconds.
const RETRY_AFTER_S: u32 = 60;

/// A refusal: status and response.
type No = (u16, Bytes);

impl Switch {
    /// A SUBSCRIBE outside any dialog.
    pub(super) fn subscribe(&mut self, now: Now, server: ServerId, flow: Flow, request: &Message) {
        let refused = match self.identify(now, &flow, request) {
            Err(unknown) => return self.turn_away(server, unknown),
            Ok(sender) => self.asked(now, server, flow, request, sender),
        };
        let refused = refused.and_then(|asked| {
            self.notifier.subscribe(&mut self.office, now, asked).map_err(|why| refusal(request, why))
        });
        if let Err((code, bytes)) = refused {
            self.office.respond(now, server, code, bytes);
        }
    }

    /// A SUBSCRIBE in the dialog of a subscription; any other request is none that it knows.
    pub(super) fn resubscribe(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        server: ServerId,
        flow: Flow,
        request: &Message,
    ) {
        let held = self.notifier.subscriber(key, request);
        let Some((device, topic)) = held.map(|(device, topic)| (device.clone(), topic.clone())) else {
            // Also after a restart: the phone subscribes anew (RFC 6665 §4.1.2.2).
            return self.office.respond_once(server, response::plain(request, 481));
        };
        let refused = match self.identify(now, &flow, request) {
            Err(unknown) => return self.turn_away(server, unknown),
            Ok(_) if sips::is_broken(request, &flow) => Err((480, response::sips(request, sips::REQUIRED))),
            Ok(sender) if !is_device(&sender, &device) => Err((403, response::plain(request, 403))),
            Ok(_) => match self.judge(now, &device, &topic) {
                Some(reason) => {
                    self.notifier.end_each(&mut self.office, now, vec![(key, reason)]);
                    Err((403, response::plain(request, 403)))
                }
                None => event(request).and_then(|event| Ok((event.to_string(), lasts(request)?))),
            },
        };
        let refused = refused.and_then(|(event, lasts_s)| {
            let office = &mut self.office;
            let asked = (server, flow, request);
            self.notifier
                .resubscribe(office, now, key, asked, (&event, lasts_s))
                .map_err(|why| refusal(request, why))
        });
        if let Err((code, bytes)) = refused {
            self.office.respond(now, server, code, bytes);
        }
    }

    /// What is asked for, if whoever asks may have it.
    fn asked<'a>(
        &mut self,
        now: Now,
        server: ServerId,
        flow: Flow,
        request: &'a Message,
        sender: Sender,
    ) -> Result<Asked<'a>, No> {
        let Sender::Device { domain, key: device } = sender else {
            return Err((403, response::plain(request, 403))); // whoever is outside may watch nobody
        };
        if sips::is_broken(request, &flow) {
            return Err((480, response::sips(request, sips::REQUIRED)));
        }
        let event = event(request)?;
        let package = Package::parse(event.name).ok_or_else(|| (489, bad_event(request)))?;
        if !package.is_acceptable(request) {
            return Err((406, response::plain(request, 406)));
        }
        let lasts_s = lasts(request)?;
        let user = Uri::parse(request.request_uri()).map(|uri| uri.user_unescaped().into_owned());
        let watcher = self.user_of(now, &domain, &device.device);
        let of = user.as_deref().and_then(|user| match is_own(&domain, &device, user) {
            true => watcher.clone(),
            false => topic(&domain, package, user),
        });
        let Some(of) = of else { return Err((404, response::plain(request, 404))) };
        if !may_watch(&domain, watcher.as_deref(), package, &of) {
            return Err((403, response::plain(request, 403)));
        }
        let entity = format!("sip:{}@{}", headers::escape_user(&user.unwrap_or_default()), domain.name());
        let topic = Topic { package, of: (domain.name().clone(), of) };
        if package == Package::Reg {
            self.count_phones(now, &topic.of);
        }
        let event = event.to_string();
        Ok(Asked { server, flow, request, device, topic, entity, event, lasts_s })
    }

    /// The rules have changed, or who sits at this phone: who may no longer watch, and what is gone, is told so.
    pub(super) fn review_subscriptions(&mut self, now: Now, of: Option<&DeviceKey>) {
        for user in self.notifier.watched_users() {
            self.count_phones(now, &user);
        }
        if !self.notifier.is_empty() {
            let ending = self.notifier.review(of, |device, topic| self.judge(now, device, topic));
            self.notifier.end_each(&mut self.office, now, ending);
        }
    }

    /// Why a subscription may be no longer, if it may not.
    fn judge(&self, now: Now, device: &DeviceKey, topic: &Topic) -> Option<Reason> {
        let (name, of) = &topic.of;
        let Some(domain) = self.rules.domain(name) else { return Some(Reason::NoResource) };
        if domain.device(&device.device).is_none() {
            return Some(Reason::Rejected);
        }
        if domain.user(of).is_none() && self::topic(domain, topic.package, of).is_none() {
            return Some(Reason::NoResource);
        }
        let watcher = self.user_of(now, domain, &device.device);
        let may = may_watch(domain, watcher.as_deref(), topic.package, of);
        (!may).then_some(Reason::Rejected)
    }
}

/// Whether an address is the phone's own: it means whoever's phone it is now.
fn is_own(domain: &Domain, device: &DeviceKey, user: &str) -> bool {
    let view = domain.device(&device.device);
    view.is_some_and(|view| view.addresses_of_record.iter().any(|address| &**address == user))
}

/// Whose state any other address means.
fn topic(domain: &Domain, package: Package, user: &str) -> Option<Arc<str>> {
    match package {
        Package::MessageSummary => domain.mailbox(user).cloned(),
        Package::Dialog | Package::Reg => {
            let by_extension = domain.user_of_extension(user);
            by_extension.or_else(|| domain.user(user)).map(|user| user.name.clone())
        }
    }
}

/// A mailbox is watched by its owner's phones, one of no user by all that are somebody's: what it holds is shared, and what is told is
/// how many there are. Lamps are for everybody in the house; where somebody is registered is told to their
/// own phones alone.
fn may_watch(domain: &Domain, watcher: Option<&str>, package: Package, of: &str) -> bool {
    match (package, watcher) {
        (_, None) => false,
        (Package::Dialog, Some(_)) => true,
        (Package::Reg, Some(watcher)) => watcher == of,
        (Package::MessageSummary, Some(watcher)) => watcher == of || domain.user(of).is_none(),
    }
}

fn is_device(sender: &Sender, device: &DeviceKey) -> bool {
    matches!(sender, Sender::Device { key, .. } if key == device)
}

fn event(request: &Message) -> Result<Event<'_>, No> {
    Event::of(request).ok_or_else(|| (400, response::with_reason(request, 400, "Bad Event Header")))
}

/// Seconds that the subscription gets (RFC 6665 §4.2.1.1).
fn lasts(request: &Message) -> Result<u32, No> {
    let wished = request.number(Name::Expires).unwrap_or(EXPIRES_DEFAULT_S);
    if wished > 0 && wished < EXPIRES_MIN_S {
        let mut w = Writer::reply(request, 423, status::reason_phrase(423), Some("ringtree"));
        w.header(Name::MinExpires, EXPIRES_MIN_S);
        return Err((423, w.finish()));
    }
    Ok(wished.min(EXPIRES_MAX_S))
}

/// 489 with what we notify of (RFC 6665 §4.2.1.1).
fn bad_event(request: &Message) -> Bytes {
    let mut w = Writer::reply(request, 489, status::reason_phrase(489), Some("ringtree"));
    w.field("Allow-Events", ALLOW_EVENTS);
    w.header(Name::Server, headers::AGENT);
    w.finish()
}

fn refusal(request: &Message, why: Refused) -> No {
    match why {
        Refused::Full => (503, response::unavailable(request, RETRY_AFTER_S)),
        Refused::Malformed => (400, response::with_reason(request, 400, "Missing Contact")),
        Refused::Unknown => (481, response::plain(request, 481)),
        Refused::OutOfOrder => (500, response::plain(request, 500)), // RFC 3261 §12.2.2
    }
}
