//! A leg that answers with 3xx (RFC 3261 §8.1.3.4, §21.3). A phone of ours says by it where its user wants the call to go, since they have
//! set a forward there: the rules carry it out as one of that user's. What a Contact names is never sent to as it stands: anybody who
//! registers could have the office call any address in the world by it.
//!
//! A trunk may send a call on to another of its own servers, and to nobody else.

use super::branch::{Branch, Callee};
use super::headers;
use super::office::Office;
use super::{Call, verdict};
use crate::clock::Now;
use crate::registrar::contact::preference;
use crate::rules::model::Decline;
use crate::rules::{LegEnd, LegOutcome};
use crate::sip::{Message, Name, NameAddr, Scheme, Uri};
use std::net::IpAddr;

/// RFC 3326: the call rings elsewhere, by a word of another phone of the same user's.
const DEFLECTED: [&str; 1] = ["SIP;cause=302;text=\"Moved Temporarily\""];

impl Call {
    /// Whether the phone of that branch has sent the call elsewhere: then it has gone there. As a decline does, that ends the leg of that phone
    /// alone by policy `continue`, as long as others ring.
    pub(super) fn deflects(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        message: &Message,
    ) -> bool {
        // Who picks up is rung by nobody: what they say to our re-INVITE is that they don't get in.
        let rings = |it: &&Branch| it.is_calling() && it.stage == self.stage && it.arrived.is_none();
        let Some(branch) = self.branches.get(index).filter(rings) else { return false };
        let (Callee::Device { user: Some(user), device }, Some(ring)) = (&branch.callee, self.state.ring())
        else {
            return false;
        };
        let (user, device, leg) = (user.clone(), device.clone(), branch.leg);
        let others = ring.alive() > 1 && ring.plan().decline == Decline::Continue;
        if others || !ring.is_ringing(leg) {
            return false;
        }
        let ours = |host: &str| {
            host.eq_ignore_ascii_case(self.domain.name())
                || office.is_at(host)
                || host.trim_matches(['[', ']']).parse() == Ok::<IpAddr, _>(branch.flow.remote.ip())
        };
        let Some(dialled) = dialled(message, ours) else { return false };
        let mut ends = ring.ends();
        ends.push(LegEnd { leg, outcome: LegOutcome::Declined });
        let own = self.asks().cloned();
        let live = office.live(&self.domain, now, own.as_ref());
        let Some(next) = self.walk.deflected(&live, (&user, &device), &dialled, &ends) else { return false };
        let branch = &mut self.branches[index];
        branch.end(office, LegOutcome::Declined);
        self.log.leg_ended(now, branch.entry, Some(message.status()), "deflected");
        self.leave_all(office, now, &DEFLECTED, "cancelled");
        self.proceed(office, now, next);
        true
    }

    /// What is tried next after a 3xx of a trunk: the server that it names, where that is another one of the same trunk and not tried yet.
    pub(super) fn redirected(&mut self, index: usize, message: &Message) -> verdict::Onward {
        let Some(Callee::Trunk { trunk, next, .. }) = self.branches.get_mut(index).map(|it| &mut it.callee)
        else {
            return verdict::Onward::Nothing;
        };
        for contact in by_preference(message) {
            let named = headers::address_of(contact.uri.text);
            let place = next.iter().position(|way| way.trunk == *trunk && Some(way.target.remote) == named);
            if let Some(place) = place {
                let way = next.remove(place);
                next.insert(0, way);
                return verdict::Onward::Place;
            }
        }
        verdict::Onward::Nothing
    }
}

/// The Contacts, the one that is preferred most first (RFC 3261 §8.1.3.4); equals in their order.
fn by_preference(message: &Message) -> Vec<NameAddr<'_>> {
    let mut contacts: Vec<NameAddr<'_>> = message.addresses(Name::Contact).collect();
    contacts.sort_by_key(|contact| std::cmp::Reverse(preference(contact)));
    contacts
}

/// Whom the response sends the call to: what its user has dialled. Only 300, 301 and 302 name a place for the call, the Contact that is preferred most
/// counts, and one at a host that is not ours is nobody's.
fn dialled(message: &Message, ours: impl Fn(&str) -> bool) -> Option<String> {
    if !matches!(message.status(), 300..=302) {
        return None;
    }
    let contact = by_preference(message).into_iter().next()?;
    let uri: Uri<'_> = contact.uri;
    let here = match uri.scheme {
        Scheme::Sip | Scheme::Sips => ours(uri.host),
        Scheme::Tel => true,
        Scheme::Urn | Scheme::Other => false,
    };
    Some(uri.user_unescaped().into_owned()).filter(|user| here && !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, contact: &str) -> Option<String> {
        let text = format!("SIP/2.0 {status} Moved\r\nContact: {contact}\r\nContent-Length: 0\r\n\r\n");
        dialled(&Message::parse(text.into()).unwrap(), |host| host == "pbx.example")
    }

    #[test]
    fn what_the_user_has_dialled_is_read_and_no_stranger_is_called() {
        assert_eq!(read(302, "<sip:300@pbx.example;transport=tcp>").as_deref(), Some("300"));
        assert_eq!(read(301, "sip:%2B12025550100@pbx.example").as_deref(), Some("+12025550100"));
        assert_eq!(read(302, "<tel:+12025550100>").as_deref(), Some("+12025550100"));
        assert_eq!(read(302, "<sip:300@pbx.example>, <sip:400@pbx.example>").as_deref(), Some("300"));
        assert_eq!(
            read(302, "<sip:300@pbx.example>;q=0.5, <sip:400@pbx.example>;q=0.7, <sip:500@pbx.example>;q=0")
                .as_deref(),
            Some("400")
        );
        assert_eq!(read(302, "<sip:300@pbx.example>;q=0.5, <sip:400@pbx.example>").as_deref(), Some("400"));
        assert_eq!(read(302, "<sip:300@pbx.example>;q=0.2, <sip:400@elsewhere.example>"), None);
        for (status, contact) in [
            (305, "<sip:300@pbx.example>"),
            (380, "<sip:300@pbx.example>"),
            (302, "<sip:300@elsewhere.example>"),
            (302, "<sip:pbx.example>"),
            (302, "<http://pbx.example/300>"),
            (302, "<urn:service:sos>"),
            (302, "nonsense"),
        ] {
            assert_eq!(read(status, contact), None, "{status} {contact}");
        }
    }
}
