//! How the media of a party is to be secured: by the rules of its device or trunk, else as the daemon has it for all, and the way that its signalling takes.
//!
//! | its signalling | `off` | `optional` | `required` |
//! |---|---|---|---|
//! | WebSocket | in the clear | DTLS with ICE | DTLS with ICE |
//! | TLS | in the clear | keys in an offer that can be answered in the clear (RFC 8643) | keys (RTP/SAVP) |
//! | UDP, TCP | in the clear | in the clear | DTLS: whoever reads along would read keys, too (RFC 4568 §8) |
//!
//! That is what it is offered. What it offers itself is taken as long as it may be: keys by UDP, too, where SRTP is optional, since
//! refusing them would protect nobody.

use super::Call;
use super::branch::Callee;
use super::office::Office;
use crate::rules::Domain;
use crate::rules::model::Srtp as Rule;
use crate::sdp::SdpError;
use crate::sdp::keying::{Srtp, Terms, Way};
use crate::sip::{Flow, Message, Name, Writer, status};
use bytes::Bytes;

impl Call {
    /// Whom help is called by is not asked for anything: an emergency call in the clear is better than none.
    fn caller_terms(&self, office: &Office) -> Terms {
        let terms = of(office, &self.domain, &self.caller_as_callee(), &self.caller.flow);
        match terms.srtp {
            Srtp::Required if self.walk.is_emergency() || self.walk.is_psap_callback() => {
                Terms { srtp: Srtp::Optional, ..terms }
            }
            Srtp::Off | Srtp::Optional | Srtp::Required => terms,
        }
    }

    /// The caller's offer, once it is known where the call goes.
    ///
    /// # Errors
    /// It isn't secured as it has to be.
    pub(super) fn hear_caller(&mut self, office: &Office) -> Result<(), SdpError> {
        self.caller.peer.origin.keying.terms = self.caller_terms(office);
        match self.offer.clone() {
            Some(offer) => self.caller.peer.hear(&offer),
            None => Ok(()),
        }
    }
}

/// Those of a party.
pub(super) fn of(office: &Office, domain: &Domain, party: &Callee, flow: &Flow) -> Terms {
    let rule = match party {
        Callee::Device { device, .. } => domain.device(device).map(|device| device.srtp),
        Callee::Trunk { trunk, .. } => domain.trunk(trunk).map(|trunk| trunk.srtp),
    };
    let srtp = match rule.flatten() {
        None => office.srtp,
        Some(Rule::Off) => Srtp::Off,
        Some(Rule::Optional) => Srtp::Optional,
        Some(Rule::Required) => Srtp::Required,
    };
    let way = match flow.transport {
        transport if transport.is_web() => Way::WebSocket,
        transport if transport.is_secure() => Way::Tls,
        _ => Way::Clear,
    };
    Terms { srtp, way }
}

/// What a refusal says of a description (RFC 3261 §20.43).
pub(super) fn warning(broken: SdpError) -> String {
    format!("399 ringtree \"{broken}\"")
}

/// 488 to a request in a dialog whose description can't be taken.
pub(super) fn refusal(request: &Message, broken: SdpError) -> Bytes {
    let mut w = Writer::reply(request, 488, status::reason_phrase(488), None);
    w.header(Name::Warning, warning(broken));
    w.finish()
}
