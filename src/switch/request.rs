//! Requests that belong to no transaction yet: each goes to whoever answers it, by its method and the dialog that it names.

use super::{Switch, response};
use crate::call::office::CallKey;
use crate::clock::Now;
use crate::relay::Side;
use crate::sip::{Flow, Message, Method};
use crate::subscription;
use crate::transaction::ServerId;

impl Switch {
    /// A new request (RFC 3261 §8.2, §12.2.2). What is refused before anybody has asked who sent it is refused without state (§8.2.7):
    /// strangers can take no room that way.
    pub(super) fn request(&mut self, now: Now, server: ServerId, flow: Flow, message: Message) {
        if let Some(bytes) = response::unsupported(&message) {
            return self.office.respond_once(server, bytes);
        }
        if message.to().is_some_and(|to| to.tag().is_some()) {
            return self.request_in_dialog(now, server, flow, &message);
        }
        let bytes = match message.method() {
            Method::Invite if message.max_forwards() == Some(0) => response::plain(&message, 483), // RFC 7332
            Method::Invite => return self.invite(now, server, flow, message),
            Method::Register => return self.register(now, server, flow, &message),
            Method::Subscribe => return self.subscribe(now, server, flow, &message),
            Method::Options => response::options(&message),
            Method::Bye | Method::Cancel | Method::Update | Method::Info | Method::Prack | Method::Notify => {
                response::plain(&message, 481) // RFC 3261 §12.2.2
            }
            Method::Refer => return self.refer_apart(now, server, flow, &message),
            Method::Message => return self.message(now, server, flow, &message),
            Method::Publish => response::not_allowed(&message, 405),
            Method::Ack => return,
            Method::Other => response::not_allowed(&message, 501), // RFC 3261 §21.5.2
        };
        self.office.respond_once(server, bytes);
    }

    pub(super) fn request_in_dialog(&mut self, now: Now, server: ServerId, flow: Flow, message: &Message) {
        if message.method() == Method::Subscribe {
            let tag = message.to().and_then(|to| to.tag()).unwrap_or_default();
            return match subscription::of_tag(tag) {
                Some(key) => self.resubscribe(now, key, server, flow, message),
                None => self.office.respond_once(server, response::plain(message, 481)),
            };
        }
        if message.method() == Method::Refer {
            return self.refer(now, server, flow, message);
        }
        let found = self.in_dialog(message).is_some_and(|(key, side)| {
            self.with_call(key, |call, office| call.request(office, now, server, flow, side, message))
        });
        if !found {
            self.office.respond_once(server, response::plain(message, 481));
        }
    }

    /// Which call an in-dialog request is for, by our tag in its To.
    pub(super) fn in_dialog(&self, message: &Message) -> Option<(CallKey, (Side, usize))> {
        let (key, side, branch) = self.calls.place(message.to()?.tag()?)?;
        Some((key, (side, branch)))
    }
}
