//! A new INVITE: who calls, whose rules decide, may it come in.

use super::identity::{Sender, Unknown};
use super::{Switch, response};
use crate::call::headers;
use crate::call::office::CallKey;
use crate::call::record::Party;
use crate::call::{Arrival, Call};
use crate::clock::Now;
use crate::rules::{CallFacts, Caller, Dialled, Domain, Origin, Walk};
use crate::sip::{Flow, Message, Name, NameAddr, Scheme, Uri};
use crate::transaction::ServerId;

/// Retry-After of a refusal for lack of room, in seconds.
const RETRY_AFTER_S: u32 = 10;
/// Names longer than this are cut: they go into records and other people's displays.
const TEXT_CHARS_MAX: usize = 128;

impl Switch {
    pub(super) fn invite(&mut self, now: Now, server: ServerId, flow: Flow, message: Message) {
        if let Some((code, bytes)) = self.unwelcome(&message) {
            return self.office.respond(now, server, code, bytes);
        }
        let sender = match self.identify(now, &flow, &message) {
            Ok(sender) => sender,
            Err(Unknown::Answer(code, bytes)) => return self.office.respond(now, server, code, bytes),
            Err(Unknown::Silence) => return self.office.transactions.forget(server),
        };
        let (domain, origin, maker, shown) = match sender {
            Sender::Device { domain, key } => {
                let user = domain.device(&key.device).and_then(|device| device.user.clone());
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
        let facts = facts(now, &message, &domain, origin);
        let from = Party {
            raw: facts.caller.raw.to_string(),
            e164: None,
            name: facts.caller.name.as_deref().map(str::to_owned),
            origin: shown,
            privacy: facts.caller.anonymous,
        };
        let to = match &facts.dialled {
            Dialled::Text(text) => text.to_string(),
            Dialled::Sos => "urn:service:sos".to_owned(),
            Dialled::Destination(_) => String::new(),
        };
        let full = self.calls.len() >= self.config.calls_max || self.drain.is_on();
        if full && !self.is_emergency(now, &domain, &facts) {
            return self.office.respond(now, server, 503, response::unavailable(&message, RETRY_AFTER_S));
        }
        let walk = Walk::new(domain.clone(), facts);
        self.counters.calls_total += 1;
        let key = CallKey(self.counters.calls_total);
        let arrival = Arrival { key, server, flow, invite: message, domain, walk, maker, from, to };
        let call = Call::begin(&mut self.office, now, arrival);
        self.calls.insert(key, call);
    }

    /// Whether the rules take this for an emergency call: never limited, never shed.
    fn is_emergency(&self, now: Now, domain: &std::sync::Arc<Domain>, facts: &CallFacts) -> bool {
        let mut walk = Walk::new(domain.clone(), facts.clone());
        walk.start(&self.office.live(domain, now, None));
        walk.is_emergency()
    }

    /// Refusals that ask for nobody's name: extensions that we lack, a request that came twice by different ways.
    fn unwelcome(&self, message: &Message) -> Option<(u16, bytes::Bytes)> {
        if let Some(bytes) = response::unsupported(message) {
            return Some((420, bytes));
        }
        if message.elements(Name::Contact).next().is_none() {
            // RFC 3261 §8.1.1.8: without one no request could be sent in the dialog.
            return Some((400, response::with_reason(message, 400, "Missing Contact")));
        }
        if !message.body().is_empty() && headers::description(message).is_none() {
            return Some((415, response::unsupported_media(message)));
        }
        let merged =
            self.calls.by_call_id(message.call_id()).is_some_and(|call| is_merged(call.invite(), message));
        merged.then(|| (482, response::plain(message, 482)))
    }
}

/// The call as the rules see it.
fn facts(now: Now, message: &Message, domain: &Domain, origin: Origin) -> CallFacts {
    let trusted = match &origin {
        Origin::Trunk(trunk) => domain.trunk(trunk).is_some_and(|trunk| trunk.trust),
        _ => false,
    };
    // RFC 3325 §9.1: an asserted identity counts from those that we trust.
    let asserted = message.elements(Name::PAssertedIdentity).find_map(NameAddr::parse).filter(|_| trusted);
    let from = message.from();
    let identity = asserted.or(from);
    let raw = identity.map(|identity| identity.uri.user_unescaped().into_owned()).unwrap_or_default();
    let name =
        identity.map(|identity| identity.display_unescaped().into_owned()).filter(|name| !name.is_empty());
    CallFacts {
        at: now.wall,
        caller: Caller {
            origin,
            raw: cut(&raw).into(),
            name: name.map(|name| cut(&name).into()),
            anonymous: is_withheld(message, from.as_ref()),
        },
        dialled: dialled(message.request_uri()),
        psap_callback: message
            .value(Name::Priority)
            .is_some_and(|p| p.trim().eq_ignore_ascii_case("psap-callback")),
        earlier_hops: u32::try_from(message.elements(Name::Diversion).count()).unwrap_or(u32::MAX),
    }
}

/// Identity withheld on purpose (RFC 3323, RFC 3261 §8.1.1.3, RFC 5079): not the same as no number.
fn is_withheld(message: &Message, from: Option<&NameAddr<'_>>) -> bool {
    let privacy = message
        .values(Name::Privacy)
        .flat_map(|value| value.split(';'))
        .any(|value| ["id", "user", "header"].iter().any(|word| value.trim().eq_ignore_ascii_case(word)));
    let anonymous = from.is_some_and(|from| {
        from.uri.host.eq_ignore_ascii_case("anonymous.invalid")
            || from.uri.user.eq_ignore_ascii_case("anonymous")
            || from.display.eq_ignore_ascii_case("anonymous")
    });
    privacy || anonymous
}

fn dialled(request_uri: &str) -> Dialled {
    let Some(uri) = Uri::parse(request_uri) else { return Dialled::Text("".into()) };
    // RFC 5031: urn:service:sos and its sub-services.
    let service = uri.text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("urn:service:sos"));
    if uri.scheme == Scheme::Urn && service {
        return Dialled::Sos;
    }
    Dialled::Text(cut(&uri.user_unescaped()).into())
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// RFC 3261 §8.2.2.2: the same From tag, Call-ID and CSeq, in another transaction.
fn is_merged(invite: &Message, message: &Message) -> bool {
    message.call_id() == invite.call_id()
        && message.from().and_then(|from| from.tag()) == invite.from().and_then(|from| from.tag())
        && message.cseq() == invite.cseq()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "é".repeat(500);
        assert_eq!(cut(&long).chars().count(), TEXT_CHARS_MAX);
        assert_eq!(cut("Rita"), "Rita");
    }

    #[test]
    fn a_service_urn_is_an_emergency_call() {
        assert_eq!(dialled("urn:service:sos"), Dialled::Sos);
        assert_eq!(dialled("URN:SERVICE:SOS.fire"), Dialled::Sos);
        assert_eq!(dialled("sip:101@pbx.example"), Dialled::Text("101".into()));
    }
}
