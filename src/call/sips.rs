//! What a `sips` URI asks for: TLS on every hop (RFC 3261 §26.2.2, RFC 5630). A call that was made to one rings what is reached by TLS or by
//! a secure WebSocket, and nothing else; whoever can't be reached so is not.
//!
//! What it is not: it secures no media, and it doesn't know what lies behind the next hop. A phone that has registered by TLS counts as
//! secured whatever scheme its Contact has: phones write `sip` there with `transport=tls`, and every hop to it is one that TLS secures.
//!
//! Invariant: nothing goes down. A dialog stays on the transport that it began on (`transaction::next_hop`), and nobody takes a place in
//! such a call who isn't secured themselves, nor is put through to a sips URI by a transfer. An emergency call alone is placed by what there is.

use super::Call;
use super::branch::State as BranchState;
use super::office::Office;
use super::record::LegRecord;
use super::transfer::Transfer;
use crate::clock::Now;
use crate::relay::Side;
use crate::rules::LegOutcome;
use crate::sip::{Flow, Message, Name, NameAddr, Scheme, Uri};

/// Warning (RFC 5630 §6.1) of a refusal: whoever sent the request has not come by TLS.
pub const REQUIRED: &str = "381 ringtree \"SIPS Required\"";
/// The same: nobody whom it is for is reached by TLS.
pub const NOT_ALLOWED: &str = "380 ringtree \"SIPS Not Allowed\"";
/// In records, of a leg that was not rung.
const UNSECURED: &str = "not reached by TLS";

/// Whether it is a `sips` URI.
#[must_use]
pub fn is_sips(uri: &str) -> bool {
    Uri::parse(uri).is_some_and(|uri| uri.scheme == Scheme::Sips)
}

/// Whether a request is for one.
#[must_use]
pub fn is_for_sips(request: &Message) -> bool {
    is_sips(request.request_uri())
}

/// Whether a request is for one and has not come by TLS: somebody on its way has broken the promise.
#[must_use]
pub fn is_broken(request: &Message, flow: &Flow) -> bool {
    !flow.transport.is_secure() && is_for_sips(request)
}

/// Whether our Contact towards whoever has sent this is to be one (RFC 3261 §12.1.1).
#[must_use]
pub fn is_to_answer(request: &Message) -> bool {
    let first = |name| {
        let address = request.elements(name).next().and_then(NameAddr::parse);
        address.map(|address| address.uri.scheme)
    };
    is_for_sips(request) || first(Name::RecordRoute).or_else(|| first(Name::Contact)) == Some(Scheme::Sips)
}

impl Call {
    /// Whether it goes by TLS or not at all: its caller has called so, whoever transfers does, or somebody who is in it came here by such
    /// a call.
    #[must_use]
    pub fn wants_tls(&self) -> bool {
        let dialled = self.transfer().and_then(Transfer::invite);
        let is_promised = || {
            let mut promised = self.promised.iter().filter_map(|index| self.branches.get(*index));
            promised.any(|branch| matches!(branch.state, BranchState::Answered { .. }))
        };
        let is_asked = is_for_sips(&self.caller.invite) || dialled.is_some_and(is_for_sips) || is_promised();
        is_asked && !self.walk.is_emergency()
    }

    /// Whoever is to take the place in a call that goes by TLS is not put through to anybody else without it, as long as they are in it.
    pub(super) fn promise(&mut self, index: usize) {
        if !self.promised.contains(&index) {
            self.promised.push(index);
        }
    }

    /// Whether whoever is on that side is reached by TLS.
    #[must_use]
    pub fn is_secured(&mut self, side: Side) -> bool {
        self.dialog(side).is_some_and(|(_, flow)| flow.transport.is_secure())
    }

    /// A leg that leads to somebody, but not by TLS: it stands in the record, and is as one to nobody.
    pub(super) fn leg_unsecured(&mut self, now: Now, to: String) -> LegOutcome {
        let entry = self.log.leg(now, to);
        self.log.leg_ended(now, entry, None, UNSECURED);
        LegOutcome::Offline
    }

    /// The status of a refusal, and what it says more, where all who would have got the call are not reached by TLS: nothing is wrong with us.
    /// Whoever was rung speaks for themselves.
    pub(super) fn refusal(&self, status: u16, fields: &mut Vec<(Name, String)>) -> u16 {
        let legs = &self.log.legs;
        let is_unsecured = |leg: &LegRecord| leg.reason.as_deref() == Some(UNSECURED);
        if !self.wants_tls() || legs.is_empty() || !legs.iter().all(is_unsecured) {
            return status;
        }
        fields.push((Name::Warning, NOT_ALLOWED.to_owned()));
        if (500..600).contains(&status) { 480 } else { status }
    }
}

impl Office {
    /// Our Contact on this flow (RFC 3261 §8.1.1.8): a `sips` URI where one is asked for and the flow is secure.
    #[must_use]
    pub fn contact(&self, flow: &Flow, sips: bool) -> String {
        let (sent_by, transport) = (self.sent_by(flow), flow.transport);
        match (sips && transport.is_secure(), transport.is_web()) {
            (true, true) => format!("<sips:{sent_by};transport=ws>"),
            (true, false) => format!("<sips:{sent_by}>"),
            (false, _) => format!("<sip:{sent_by}{}>", transport.uri_parameter()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(uri: &str, fields: &str) -> Message {
        Message::parse(format!("INVITE {uri} SIP/2.0\r\n{fields}Content-Length: 0\r\n\r\n").into()).unwrap()
    }

    #[test]
    fn a_sips_uri_is_answered_by_a_sips_contact() {
        for (uri, fields, sips) in [
            ("sips:bob@pbx.example", "Contact: <sip:ann@192.0.2.1>\r\n", true),
            ("sip:bob@pbx.example", "Contact: <sip:ann@192.0.2.1>\r\n", false),
            ("sip:bob@pbx.example", "Contact: <SIPS:ann@192.0.2.1>\r\n", true),
            ("sip:bob@pbx.example", "Record-Route: <sips:p.example;lr>\r\nContact: <sip:a@b>\r\n", true),
            ("sip:bob@pbx.example", "Record-Route: <sip:p.example;lr>\r\nContact: <sips:a@b>\r\n", false),
            ("urn:service:sos", "", false),
        ] {
            assert_eq!(is_to_answer(&invite(uri, fields)), sips, "{uri} {fields}");
        }
    }
}
