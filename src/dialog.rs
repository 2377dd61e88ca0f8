//! Dialogs (RFC 3261 §12): ids, route set, CSeq, remote target. One side of one; a back-to-back user agent holds two a call.
//!
//! What it is not: it keeps no INVITE state (offers, ACKs, retransmissions of 2xx) and no usage; the call does.

use crate::sip::{Half, Message, Method, Name, NameAddr, SessionId, Writer};
use std::fmt::Write;

/// What our Via says: sent-by and branch of one request.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// `UDP` or `TCP`.
    pub transport: &'a str,
    /// `host:port` of our listener.
    pub sent_by: &'a str,
    pub branch: &'a str,
}

/// What tells one dialog from another: from our side of it (RFC 3261 §12).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    pub call_id: String,
    pub local_tag: String,
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog that a request from the peer names (RFC 3261 §12.2.2). `None` where a tag is missing: it is in no dialog.
    #[must_use]
    pub fn of_request(request: &Message) -> Option<DialogId> {
        let (from, to) = (request.from()?, request.to()?);
        DialogId::new(request, to.tag()?, from.tag()?)
    }

    /// The dialog that a response to a request of ours names. `None` where a tag is missing.
    #[must_use]
    pub fn of_response(response: &Message) -> Option<DialogId> {
        let (from, to) = (response.from()?, response.to()?);
        DialogId::new(response, from.tag()?, to.tag()?)
    }

    fn new(message: &Message, local_tag: &str, remote_tag: &str) -> Option<DialogId> {
        if local_tag.is_empty() || message.call_id().is_empty() {
            return None;
        }
        Some(DialogId {
            call_id: message.call_id().to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: remote_tag.to_owned(),
        })
    }
}

#[derive(Clone, Debug)]
pub struct Dialog {
    pub id: DialogId,
    /// The From of our requests, whole: name-addr and tag.
    local: String,
    /// The To of our requests, whole.
    remote: String,
    /// Where requests are meant for: the peer's Contact.
    remote_target: String,
    /// In the order in which our requests visit them: name-addrs, as written.
    route_set: Vec<String>,
    /// What our requests in it say of the session that it is part of (RFC 7989).
    session_id: Option<SessionId>,
    local_cseq: u32,
    /// Of the last request that the peer sent; `None` until it sends one.
    remote_cseq: Option<u32>,
}

/// Why an in-dialog request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfOrder {
    /// RFC 3261 §12.2.2: a lower CSeq than one seen: 500.
    OldCSeq,
}

impl Dialog {
    /// The dialog that our 1xx or 2xx with `local_tag` makes (RFC 3261 §12.1.1). `None` where the request has no usable
    /// Contact.
    #[must_use]
    pub fn uas(request: &Message, local_tag: &str) -> Option<Dialog> {
        // RFC 3261 §12.1.1: whoever speaks RFC 2543 has no tag; it counts as an empty one.
        let remote_tag = request.from()?.tag().unwrap_or("");
        let to = request.value(Name::To)?;
        // A To tag is there only in a request within a dialog; it is ours.
        let local = match request.to()?.tag() {
            Some(_) => to.to_owned(),
            None => format!("{to};tag={local_tag}"),
        };
        Some(Dialog {
            id: DialogId::new(request, local_tag, remote_tag)?,
            local,
            remote: request.value(Name::From)?.to_owned(),
            remote_target: target(request)?.to_owned(),
            route_set: request.elements(Name::RecordRoute).map(str::to_owned).collect(),
            session_id: None,
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
        })
    }

    /// The dialog that a response to our request makes (RFC 3261 §12.1.2): early for 1xx with a To tag, confirmed for 2xx.
    /// The 2xx makes it anew: its target and route set stand, whatever the 1xx said (§13.2.2.4). `None` where a 1xx has no To tag, or a 2xx no
    /// usable Contact.
    #[must_use]
    pub fn uac(request: &Message, response: &Message) -> Option<Dialog> {
        let remote_target = match (target(response), response.status()) {
            (Some(target), 101..=299) => target,
            // Many send no Contact with 180; until the 2xx names the target, there is only where the INVITE went.
            (None, 101..=199) => request.request_uri(),
            _ => return None,
        };
        let remote_tag = match (response.to()?.tag(), response.status()) {
            (Some(tag), _) => tag,
            // RFC 3261 §12.1.2: whoever speaks RFC 2543 has none; it counts as an empty one.
            (None, 200..) => "",
            (None, _) => return None,
        };
        let mut route_set: Vec<String> = response.elements(Name::RecordRoute).map(str::to_owned).collect();
        // RFC 3261 §12.1.2: a client meets the proxies in the reverse order.
        route_set.reverse();
        Some(Dialog {
            // What we sent is believed, not what came back of it.
            id: DialogId::new(request, request.from()?.tag()?, remote_tag)?,
            local: request.value(Name::From)?.to_owned(),
            remote: response.value(Name::To)?.to_owned(),
            remote_target: remote_target.to_owned(),
            route_set,
            session_id: half_of(request)
                .map(|local| SessionId { local, remote: half_of(response).unwrap_or(Half::NIL) }),
            local_cseq: request.cseq()?.number,
            remote_cseq: None,
        })
    }

    /// The early dialog as a 2xx confirms it: target and route set anew (RFC 3261 §13.2.2.4), the numbers as they have come to be.
    /// `None` as for [`Dialog::uac`].
    #[must_use]
    pub fn confirmed(&self, request: &Message, response: &Message) -> Option<Dialog> {
        let dialog = Dialog::uac(request, response)?;
        Some(Dialog { local_cseq: self.local_cseq, remote_cseq: self.remote_cseq, ..dialog })
    }

    /// The CSeq number of one more request of ours.
    pub fn count(&mut self) -> u32 {
        // RFC 3261 §8.1.1.5: below 2^31; no dialog lives to see it.
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// Begins an in-dialog request (RFC 3261 §12.2.1.1): request line, Via, Max-Forwards, Route, From, To, Call-ID, CSeq.
    /// ACK takes the CSeq number of its INVITE (`cseq`), every other method the next one.
    #[must_use]
    pub fn request(&mut self, method: Method, cseq: Option<u32>, hop: Hop<'_>) -> Writer {
        let cseq = cseq.unwrap_or_else(|| self.count());
        let word = method.word();
        let strict = self.strict_route();
        let mut request = Writer::request(word, strict.unwrap_or(&self.remote_target));
        request.header(
            Name::Via,
            format_args!("SIP/2.0/{} {};rport;branch={}", hop.transport, hop.sent_by, hop.branch),
        );
        request.header(Name::MaxForwards, 70);
        for route in self.route_set.iter().skip(usize::from(strict.is_some())) {
            request.header(Name::Route, route);
        }
        if strict.is_some() {
            // RFC 3261 §12.2.1.1: the strict router takes the Request-URI; the target waits at the end.
            request.header(Name::Route, format_args!("<{}>", self.remote_target));
        }
        request
            .header(Name::From, &self.local)
            .header(Name::To, &self.remote)
            .header(Name::CallId, &self.id.call_id)
            .header(Name::CSeq, format_args!("{cseq} {word}"));
        if let Some(id) = self.session_id {
            request.header(Name::SessionId, id);
        }
        request
    }

    /// Names the session that it is part of.
    pub fn name_session(&mut self, id: SessionId) {
        self.session_id = Some(id);
    }

    /// The URI of the topmost route where that is a strict router's (no `lr`).
    fn strict_route(&self) -> Option<&str> {
        let route = NameAddr::parse(self.route_set.first()?)?;
        route.uri.param("lr").is_none().then_some(route.uri.text)
    }

    /// Where the next request goes: the topmost route's URI, else the remote target.
    #[must_use]
    pub fn next_hop(&self) -> &str {
        match self.route_set.first().and_then(|route| NameAddr::parse(route)) {
            Some(route) => route.uri.text,
            None => &self.remote_target,
        }
    }

    /// Takes an in-dialog request: CSeq order, target refresh by re-INVITE and UPDATE (RFC 3261 §12.2.2).
    ///
    /// # Errors
    /// The request is to be answered with 500.
    pub fn receive(&mut self, request: &Message) -> Result<(), OutOfOrder> {
        let method = request.method();
        if method != Method::Ack {
            // An ACK has the number of its INVITE, which other requests may have overtaken.
            let number = request.cseq().map_or(0, |cseq| cseq.number);
            if self.remote_cseq.is_some_and(|last| number < last) {
                return Err(OutOfOrder::OldCSeq);
            }
            self.remote_cseq = Some(number);
        }
        if matches!(method, Method::Invite | Method::Update) {
            self.refresh(request);
        }
        Ok(())
    }

    /// Takes a 2xx to a target refresh request of ours.
    pub fn refresh(&mut self, response: &Message) {
        if let Some(target) = target(response)
            && target != self.remote_target
        {
            self.remote_target.clear();
            // Writing to a String doesn't fail.
            let _ = self.remote_target.write_str(target);
        }
    }

    /// The CSeq number of the last request that we sent.
    #[must_use]
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The CSeq number of the last request that the peer sent.
    #[must_use]
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// Our From or To value, with the tag.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The peer's From or To value, with the tag.
    #[must_use]
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The peer's Contact URI.
    #[must_use]
    pub fn remote_target(&self) -> &str {
        &self.remote_target
    }
}

/// Who has written it (RFC 7989).
fn half_of(message: &Message) -> Option<Half> {
    message.value(Name::SessionId).and_then(Half::of_sender)
}

/// The URI of the one Contact (RFC 3261 §8.1.1.8), without the headers that no Request-URI may have (§19.1.1).
fn target(message: &Message) -> Option<&str> {
    let uri = NameAddr::parse(message.elements(Name::Contact).next()?)?.uri;
    Some(uri.without_headers())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const HOP: Hop<'_> = Hop { transport: "UDP", sent_by: "192.0.2.1:5060", branch: "z9hG4bKx" };

    fn parse(bytes: Bytes) -> Message {
        let message = Message::parse(bytes).unwrap();
        assert_eq!(message.check(), Ok(()));
        message
    }

    fn request(method: &str, cseq: u32, to: &str, more: &[(Name, &str)]) -> Message {
        let mut writer = Writer::request(method, "sip:bob@example.com");
        writer
            .header(Name::Via, "SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKa")
            .header(Name::From, "\"Alice\" <sip:alice@example.com>;tag=a")
            .header(Name::To, to)
            .header(Name::CallId, "call")
            .header(Name::CSeq, format_args!("{cseq} {method}"));
        for (name, value) in more {
            writer.header(*name, value);
        }
        parse(writer.finish())
    }

    fn response(status: u16, more: &[(Name, &str)]) -> Message {
        let mut writer = Writer::reply(&invite(&[]), status, "", Some("b"));
        for (name, value) in more {
            writer.header(*name, value);
        }
        parse(writer.finish())
    }

    const CONTACT: (Name, &str) = (Name::Contact, "<sip:there@198.51.100.9:5070;transport=udp>;expires=5");
    const ROUTES: (Name, &str) = (Name::RecordRoute, "<sip:p1;lr>, <sip:p2;lr>");

    fn invite(more: &[(Name, &str)]) -> Message {
        request("INVITE", 314, "<sip:bob@example.com>", more)
    }

    fn written(dialog: &mut Dialog, method: Method, cseq: Option<u32>) -> Message {
        parse(dialog.request(method, cseq, HOP).finish())
    }

    #[test]
    fn the_called_side_answers_with_the_parties_turned_round() {
        let mut dialog = Dialog::uas(&invite(&[CONTACT, ROUTES]), "ours").unwrap();
        assert_eq!(
            dialog.id,
            DialogId { call_id: "call".into(), local_tag: "ours".into(), remote_tag: "a".into() }
        );
        let bye = written(&mut dialog, Method::Bye, None);
        assert_eq!(bye.request_uri(), "sip:there@198.51.100.9:5070;transport=udp");
        assert_eq!(bye.elements(Name::Route).collect::<Vec<_>>(), ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(bye.value(Name::From), Some("<sip:bob@example.com>;tag=ours"));
        assert_eq!(bye.value(Name::To), Some("\"Alice\" <sip:alice@example.com>;tag=a"));
        assert_eq!(bye.value(Name::Via), Some("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKx"));
        assert_eq!((bye.value(Name::CSeq), bye.max_forwards()), (Some("1 BYE"), Some(70)));
        assert_eq!(dialog.next_hop(), "sip:p1;lr");
    }

    #[test]
    fn the_calling_side_meets_the_proxies_in_reverse() {
        let mut dialog = Dialog::uac(&invite(&[]), &response(200, &[CONTACT, ROUTES])).unwrap();
        assert_eq!((dialog.id.local_tag.as_str(), dialog.id.remote_tag.as_str()), ("a", "b"));
        let bye = written(&mut dialog, Method::Bye, None);
        assert_eq!(bye.elements(Name::Route).collect::<Vec<_>>(), ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(bye.value(Name::CSeq), Some("315 BYE"));
        assert_eq!(bye.value(Name::To), Some("<sip:bob@example.com>;tag=b"));
    }

    #[test]
    fn an_ack_has_the_number_of_its_invite_and_uses_none_up() {
        let mut dialog = Dialog::uac(&invite(&[]), &response(200, &[CONTACT])).unwrap();
        assert_eq!(written(&mut dialog, Method::Ack, Some(314)).value(Name::CSeq), Some("314 ACK"));
        assert_eq!(dialog.local_cseq(), 314);
        assert_eq!(written(&mut dialog, Method::Invite, None).value(Name::CSeq), Some("315 INVITE"));
        assert_eq!(dialog.local_cseq(), 315);
    }

    #[test]
    fn a_strict_router_gets_the_request_uri_and_the_target_waits_last() {
        let routes = (Name::RecordRoute, "<sip:old>, <sip:p2;lr>");
        let mut dialog = Dialog::uas(&invite(&[CONTACT, routes]), "ours").unwrap();
        let bye = written(&mut dialog, Method::Bye, None);
        assert_eq!(bye.request_uri(), "sip:old");
        let target = "<sip:there@198.51.100.9:5070;transport=udp>";
        assert_eq!(bye.elements(Name::Route).collect::<Vec<_>>(), ["<sip:p2;lr>", target]);
        assert_eq!(dialog.next_hop(), "sip:old");
    }

    #[test]
    fn an_early_dialog_needs_a_tag_and_a_confirmed_one_a_contact() {
        assert!(Dialog::uac(&invite(&[]), &response(100, &[CONTACT])).is_none());
        assert!(Dialog::uac(&invite(&[]), &response(200, &[])).is_none());
        assert!(Dialog::uac(&invite(&[]), &response(486, &[CONTACT])).is_none());
        let untagged = Writer::reply(&invite(&[]), 180, "", None).finish();
        assert!(Dialog::uac(&invite(&[]), &parse(untagged)).is_none());
        let mut untagged = Writer::reply(&invite(&[]), 200, "", None);
        untagged.header(CONTACT.0, CONTACT.1);
        let old = Dialog::uac(&invite(&[]), &parse(untagged.finish())).unwrap();
        assert_eq!(old.id.remote_tag, "", "who speaks RFC 2543");
        let early = Dialog::uac(&invite(&[]), &response(180, &[])).unwrap();
        assert_eq!(early.next_hop(), "sip:bob@example.com");
        assert!(Dialog::uas(&invite(&[]), "ours").is_none(), "an INVITE without a Contact");
    }

    #[test]
    fn a_lower_cseq_is_refused_and_an_equal_or_higher_one_taken() {
        let mut dialog = Dialog::uas(&invite(&[CONTACT]), "ours").unwrap();
        let to = "<sip:bob@example.com>;tag=ours";
        assert_eq!(dialog.receive(&request("ACK", 314, to, &[])), Ok(()));
        assert_eq!(dialog.receive(&request("INFO", 320, to, &[])), Ok(()));
        assert_eq!(dialog.receive(&request("BYE", 319, to, &[])), Err(OutOfOrder::OldCSeq));
        assert_eq!(dialog.remote_cseq(), Some(320));
        // The ACK to a re-INVITE that an INFO overtook.
        assert_eq!(dialog.receive(&request("ACK", 315, to, &[])), Ok(()));
        assert_eq!(dialog.receive(&request("BYE", 321, to, &[])), Ok(()));
    }

    #[test]
    fn a_target_moves_with_re_invite_update_and_our_2xx_alone() {
        let mut dialog = Dialog::uas(&invite(&[CONTACT]), "ours").unwrap();
        let to = "<sip:bob@example.com>;tag=ours";
        dialog.receive(&request("INVITE", 315, to, &[(Name::Contact, "<sip:moved@a>")])).unwrap();
        assert_eq!(dialog.remote_target(), "sip:moved@a");
        dialog.receive(&request("INFO", 316, to, &[(Name::Contact, "<sip:wrong@a>")])).unwrap();
        dialog.receive(&request("UPDATE", 317, to, &[])).unwrap();
        assert_eq!(dialog.remote_target(), "sip:moved@a");
        dialog.refresh(&response(200, &[(Name::Contact, "<sip:again@a>")]));
        assert_eq!(dialog.remote_target(), "sip:again@a");
    }

    #[test]
    fn a_contact_s_headers_do_not_get_into_a_request_line() {
        let contact = (Name::Contact, "<sip:there@a;transport=udp?Subject=x>");
        let mut dialog = Dialog::uas(&invite(&[contact]), "ours").unwrap();
        assert_eq!(written(&mut dialog, Method::Bye, None).request_uri(), "sip:there@a;transport=udp");
    }

    #[test]
    fn both_sides_of_a_dialog_name_it_by_their_own_view() {
        let theirs = request("BYE", 1, "<sip:bob@example.com>;tag=b", &[]);
        let id = DialogId::of_request(&theirs).unwrap();
        assert_eq!((id.local_tag.as_str(), id.remote_tag.as_str()), ("b", "a"));
        let id = DialogId::of_response(&response(200, &[])).unwrap();
        assert_eq!((id.local_tag.as_str(), id.remote_tag.as_str()), ("a", "b"));
        assert_eq!(DialogId::of_request(&invite(&[])), None);
    }
}
