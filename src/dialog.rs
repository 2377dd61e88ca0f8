//! Dialogs (RFC 3261 §12): ids, route set, CSeq, remote target. One side of one; a back-to-back user agent holds two a call.
//!
//! What it is not: it keeps no INVITE state (offers, ACKs, retransmissions of 2xx) and no usage; the call does.

use crate::sip::{Message, Method, Name, NameAddr, Writer};
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
        if local_tag.is_empty() || remote_tag.is_empty() || message.call_id().is_empty() {
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
    /// From tag or Contact.
    #[must_use]
    pub fn uas(request: &Message, local_tag: &str) -> Option<Dialog> {
        let remote_tag = request.from()?.tag()?;
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
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
        })
    }

    /// The dialog that a response to our request makes (RFC 3261 §12.1.2): early for 1xx with a To tag, confirmed for 2xx.
    /// The 2xx makes it anew: its target and route set stand, whatever the 1xx said (§13.2.2.4). `None` where it has no To tag, or a 2xx no usable Contact.
    #[must_use]
    pub fn uac(request: &Message, response: &Message) -> Option<Dialog> {
        let remote_target = match (target(response), response.status()) {
            (Some(target), 101..=299) => target,
            // Many send no Contact with 180; until the 2xx names the target, there is only where the INVITE went.
            (None, 101..=199) => request.request_uri(),
            _ => return None,
        };
        let mut route_set: Vec<String> = response.elements(Name::RecordRoute).map(str::to_owned).collect();
        // RFC 3261 §12.1.2: a client meets the proxies in the reverse order.
        route_set.reverse();
        Some(Dialog {
            id: DialogId::of_response(response)?,
            local: response.value(Name::From)?.to_owned(),
            remote: response.value(Name::To)?.to_owned(),
            remote_target: remote_target.to_owned(),
            route_set,
            local_cseq: request.cseq()?.number,
            remote_cseq: None,
        })
    }

    /// Begins an in-dialog request (RFC 3261 §12.2.1.1): request line, Via, Max-Forwards, Route, From, To, Call-ID, CSeq.
    /// ACK takes the CSeq number of its INVITE (`cseq`), every other method the next one.
    #[must_use]
    pub fn request(&mut self, method: Method, cseq: Option<u32>, hop: Hop<'_>) -> Writer {
        let cseq = cseq.unwrap_or_else(|| {
            // RFC 3261 §8.1.1.5: below 2^31; no dialog lives to see it.
            self.local_cseq = self.local_cseq.saturating_add(1);
            self.local_cseq
        });
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
        request
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

/// The URI of the one Contact (RFC 3261 §8.1.1.8).
fn target(message: &Message) -> Option<&str> {
    let contact = message.elements(Name::Contact).next()?;
    Some(NameAddr::parse(contact)?.uri.text)
}
