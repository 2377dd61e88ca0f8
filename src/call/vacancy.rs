//! Sides of a call's relay where nobody is any more, until somebody comes: what the other party says goes nowhere there. And parties
//! that have moved on to another address.

use super::office::Office;
use super::{Call, State};
use crate::relay::Side;
use crate::sip::{Flow, Message, Name};

impl Call {
    /// Looks after each event who is gone. What a phone that has hung up, or a trunk that has refused, is sent on would be heard by
    /// whoever uses its port next.
    pub fn mind_vacancies(&mut self, office: &mut Office) {
        if let State::Over(_) = self.state {
            return; // its relay is closed, or about to be
        }
        let vacant = [Side::A, Side::B].map(|side| self.is_vacant(side));
        let Some(anchor) = &mut self.anchor else { return };
        for (side, vacant) in [Side::A, Side::B].into_iter().zip(vacant) {
            anchor.vacate(office, side, vacant);
        }
    }

    fn is_vacant(&self, side: Side) -> bool {
        match (&self.state, side) {
            (State::Answered(bridge), _) => bridge.absent == Some(side),
            // Early media came from there.
            (State::Ringing(_) | State::Served(_), Side::B) => {
                let led = self.anchor.as_ref().and_then(|anchor| anchor.leads_to());
                led.and_then(|index| self.branches.get(index)).is_some_and(|branch| !branch.is_calling())
            }
            (State::Ringing(_) | State::Served(_) | State::Over(_), _) => false,
        }
    }

    /// A request in the dialog of that side came from there. A phone behind a NAT whose address has changed says so by no more than that:
    /// its media is expected from the new one.
    pub(super) fn moved_on(&mut self, office: &mut Office, side: Side, flow: &Flow, message: &Message) {
        if message.elements(Name::Via).nth(1).is_some() {
            return;
        }
        let peer = self.peer(side);
        let before = peer.expected;
        peer.reached(flow, false);
        let (expected, protection) = (peer.expected, peer.origin.keying.protection());
        if let (true, Some(heard), Some(anchor)) = (expected != before, peer.heard.clone(), &mut self.anchor)
        {
            anchor.point(office, side, &heard, protection, expected);
        }
    }
}
