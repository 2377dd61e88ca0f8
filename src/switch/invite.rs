//! A new INVITE: who calls, whose rules decide, may it come in.

use super::facts::{self, Reading};
use super::identity::Sender;
use super::pickup::{self, Wish};
use super::{Switch, response};
use crate::call::geolocation::{self, Given};
use crate::call::headers;
use crate::call::office::CallKey;
use crate::call::record::Party;
use crate::call::session_timer;
use crate::call::sips;
use crate::call::{Arrival, Call};
use crate::clock::Now;
use crate::rules::{CallFacts, Dialled, Domain, Live, Origin, Walk};
use crate::sip::{Flow, Message, Name, NameAddr, Scheme};
use crate::transaction::ServerId;

/// Retry-After of a refusal for lack of room, in seconds.
const RETRY_AFTER_S: u32 = 10;

impl Switch {
    pub(super) fn invite(&mut self, now: Now, server: ServerId, flow: Flow, message: Message) {
        if let Some(bytes) = self.unwelcome(&message) {
            return self.office.respond_once(server, bytes);
        }
        let sender = match self.identify(now, &flow, &message) {
            Ok(sender) => sender,
            Err(unknown) => return self.turn_away(server, unknown),
        };
        match pickup::wish(&message) {
            Wish::None => {}
            Wish::Bad => return self.refuse_replaces(now, server, &message),
            Wish::Dialog { dialog, early_only } => {
                return self.replace(now, server, flow, message, sender, dialog, early_only);
            }
        }
        let (domain, origin, maker, shown) = match sender {
            Sender::Device { domain, key } => {
                let user = self.user_of(now, &domain, &key.device);
                let shown = format!("device:{}", key.device);
                (domain, Origin::Device(key.device.clone()), user, shown)
            }
            Sender::Trunk { domain, trunk } => {
                let shown = format!("trunk:{trunk}");
                (domain, Origin::Trunk(trunk), None, shown)
            }
        };
        if headers::is_loop(&self.office.listeners, &message, headers::loop_token(&message, &shown)) {
            return self.office.respond(now, server, 482, response::plain(&message, 482));
        }
        let trunk = match &origin {
            Origin::Trunk(trunk) => Some(trunk.clone()),
            _ => None,
        };
        let Reading { facts, history, looped } = facts::read(&self.office, now, &message, &domain, origin);
        if looped {
            return self.office.respond(now, server, 482, response::plain(&message, 482));
        }
        let to = match &facts.dialled {
            Dialled::Text(text) => text.to_string(),
            Dialled::Sos => "urn:service:sos".to_owned(),
            Dialled::Destination(_) => String::new(),
        };
        let mut facts = facts;
        let only = match self.called_phone(now, &domain, &message, &mut facts) {
            Ok(only) => only,
            Err(code) => return self.office.respond(now, server, code, response::plain(&message, code)),
        };
        let from = Party {
            raw: facts.caller.raw.to_string(),
            e164: None,
            name: facts.caller.name.as_deref().map(str::to_owned),
            origin: shown,
            privacy: facts.caller.anonymous,
        };
        if let Some((code, bytes)) = self.no_entry(now, &domain, &facts, trunk.as_deref(), (&flow, &message))
        {
            return self.office.respond(now, server, code, bytes);
        }
        self.office.trying(now, server, &message);
        let walk = Walk::new(domain.clone(), facts);
        self.counters.calls_total += 1;
        let key = CallKey(self.counters.calls_total);
        let arrival = Arrival {
            key,
            server,
            flow,
            invite: message,
            domain,
            walk,
            maker,
            trunk,
            history,
            from,
            to,
            only,
        };
        let mut call = Call::begin(&mut self.office, now, arrival);
        call.show(&mut self.office);
        self.calls.insert(key, call);
    }

    /// Whose phone it is now: whoever sits at it, else its owner.
    pub(super) fn user_of(&self, now: Now, domain: &Domain, device: &str) -> Option<std::sync::Arc<str>> {
        let live = self.office.live(domain, now, None);
        let seated = live.seated(device).and_then(|user| domain.user(user)).map(|user| user.name.clone());
        seated.or_else(|| domain.device(device)?.user.clone())
    }

    /// Why a call is not let in that the rules might take: there is no room, it was to come by TLS and didn't, or it says where it comes from
    /// in words that can't be read.
    /// An emergency call always is; a call back of an emergency centre is as urgent as the call before it.
    fn no_entry(
        &mut self,
        now: Now,
        domain: &std::sync::Arc<Domain>,
        facts: &CallFacts,
        trunk: Option<&str>,
        (flow, message): (&Flow, &Message),
    ) -> Option<(u16, bytes::Bytes)> {
        let full = self.calls.len() >= self.config.calls_max || self.drain.is_on();
        let beyond_channels = trunk.is_some_and(|trunk| self.office.lines.is_full(domain, trunk));
        let is_lost = matches!(geolocation::given(&mut self.office, message), Given::Malformed);
        let is_broken = sips::is_broken(message, flow);
        if !(full || beyond_channels || is_lost || is_broken) || self.is_emergency(now, domain, facts) {
            return None;
        }
        if full || (beyond_channels && !facts.psap_callback) {
            return Some((503, response::unavailable(message, RETRY_AFTER_S)));
        }
        if is_broken {
            return Some((480, response::sips(message, sips::REQUIRED)));
        }
        is_lost.then(|| (424, response::bad_location(message)))
    }

    /// Whether the rules take this for an emergency call: never limited, never shed.
    fn is_emergency(&self, now: Now, domain: &std::sync::Arc<Domain>, facts: &CallFacts) -> bool {
        let mut walk = Walk::new(domain.clone(), facts.clone());
        walk.start(&self.office.live(domain, now, None));
        walk.is_emergency()
    }

    /// Refusals that ask for nobody's name: bodies that we don't read or may not send, a request that came twice by different ways.
    fn unwelcome(&self, message: &Message) -> Option<bytes::Bytes> {
        let contact = message.elements(Name::Contact).next();
        let uri = contact.and_then(NameAddr::parse).map(|contact| contact.uri.scheme);
        if !matches!(uri, Some(Scheme::Sip | Scheme::Sips)) {
            // RFC 3261 §8.1.1.8: without one no request could be sent in the dialog.
            let reason = if contact.is_some() { "Bad Contact" } else { "Missing Contact" };
            return Some(response::with_reason(message, 400, reason));
        }
        if !message.body().is_empty() && headers::description(message).is_none() {
            return Some(response::unsupported_media(message));
        }
        if asks_for_unknown_privacy(message) {
            return Some(response::with_reason(message, 500, "Privacy Unavailable"));
        }
        if !response::takes_sdp(message) {
            return Some(response::not_acceptable(message));
        }
        if let Some(min_s) = session_timer::too_brief(self.office.session, message) {
            return Some(response::interval_too_small(message, min_s));
        }
        let merged =
            self.calls.by_call_id(message.call_id()).is_some_and(|call| is_merged(call.invite(), message));
        merged.then(|| response::plain(message, 482))
    }
}

/// RFC 3323 §5: who says that privacy is critical is refused rather than called without. Ours is of `header`, `session` and `user` (nothing
/// of a caller crosses, media is relayed), of `id` (RFC 3325) and `history` (RFC 7044).
fn asks_for_unknown_privacy(message: &Message) -> bool {
    const OURS: [&str; 7] = ["header", "session", "user", "id", "history", "none", "critical"];
    let values = || message.values(Name::Privacy).flat_map(|value| value.split(';')).map(str::trim);
    let is_ours = |value: &str| OURS.iter().any(|ours| value.eq_ignore_ascii_case(ours));
    values().any(|value| value.eq_ignore_ascii_case("critical")) && !values().all(is_ours)
}

/// RFC 3261 §8.2.2.2: the same From tag, Call-ID and CSeq, in another transaction.
fn is_merged(invite: &Message, message: &Message) -> bool {
    message.call_id() == invite.call_id()
        && message.from().and_then(|from| from.tag()) == invite.from().and_then(|from| from.tag())
        && message.cseq() == invite.cseq()
}
