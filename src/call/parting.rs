//! The end of an answered call: BYE on each side, as far as it may be sent already (RFC 3261 §15).

use super::bridge::Held;
use super::headers::{self, AGENT};
use super::office::Office;
use super::unacked::Wait;
use super::{Call, State};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::sip::{Flow, Method, Name};
use bytes::Bytes;

impl Call {
    pub(super) fn bridge_timeout(&mut self, office: &mut Office, now: Now) {
        let State::Answered(bridge) = &mut self.state else { return };
        let given_up =
            bridge.unacked.iter_mut().any(|(_, unacked)| unacked.timeout(office, now) == Wait::GivenUp);
        if given_up {
            self.answer_passes(office, now, 500);
            self.hang_up(office, now); // RFC 3261 §13.3.1.4
        }
    }

    /// Ends the dialog on that side. A caller that has not acknowledged its 200 yet must not get a BYE before it has (RFC 3261 §15); a
    /// 2xx whose ACK was to wait for the caller's gets it now.
    pub(super) fn part(&mut self, office: &mut Office, now: Now, side: Side, reasons: &[&str]) {
        let State::Answered(bridge) = &self.state else { return };
        if bridge.absent == Some(side) {
            return;
        }
        if side == Side::A && bridge.unsaid.is_some() {
            return; // its INVITE gets its final response when the call is over
        }
        if side == Side::A && bridge.unacked.iter().any(|(of, _)| *of == Side::A) {
            return; // see `State::Over`
        }
        self.release_held(office, side);
        self.bye(office, now, side, reasons);
    }

    /// A 2xx of that side whose ACK was to wait for the other one's gets it now.
    pub(super) fn release_held(&mut self, office: &mut Office, side: Side) {
        let State::Answered(bridge) = &mut self.state else { return };
        if let Some(Held { to, cseq, client }) = bridge.held.take_if(|held| held.to == side) {
            self.acknowledge_passed(office, to, cseq, None, client);
        }
    }

    /// After the end: the caller's 200 until it is acknowledged or given up.
    pub(super) fn farewell_timeout(&mut self, office: &mut Office, now: Now) {
        let State::Over(Some(unacked)) = &mut self.state else { return };
        if unacked.timeout(office, now) == Wait::GivenUp {
            self.state = State::Over(None);
            self.bye(office, now, Side::A, &[]);
        }
    }

    /// BYE on that side (RFC 3261 §15.1.1).
    pub(super) fn bye(&mut self, office: &mut Office, now: Now, side: Side, reasons: &[&str]) {
        let client = self.next_client();
        let Some((dialog, flow)) = self.dialog(side) else { return };
        let bytes = bye(office, dialog, &flow, reasons);
        self.byes += 1;
        self.send(office, now, side, client, flow, bytes);
    }

    /// BYE in a dialog that is in no seat any more, or in none yet.
    pub(super) fn bye_in(&mut self, office: &mut Office, now: Now, dialog: &mut Dialog, flow: Flow) {
        let client = self.next_client();
        let bytes = bye(office, dialog, &flow, &[]);
        self.byes += 1;
        office.request(now, client, flow, bytes);
    }
}

fn bye(office: &mut Office, dialog: &mut Dialog, flow: &Flow, reasons: &[&str]) -> Bytes {
    let branch = headers::branch(office);
    let mut w = dialog.request(Method::Bye, None, headers::hop(office, flow, &branch));
    for reason in reasons {
        w.header(Name::Reason, reason);
    }
    w.header(Name::UserAgent, AGENT);
    w.finish()
}
