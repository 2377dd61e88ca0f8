//! What differs between the two dialogs of a call though their session is one: the numbers of its codecs, and the way that keys are told.
//!
//! Invariant: an INFO with a key is either passed on or told in the stream, never both.

use super::Call;
use super::caller::plain_response;
use super::office::Office;
use crate::clock::Now;
use crate::relay::Side;
use crate::relay::rewriting::Key;
use crate::sdp::payload::{self, Renumbering};
use crate::sdp::spoken::EVENTS;
use crate::sip::{Message, Method};
use crate::transaction::ServerId;
use crate::voice::digit::Digit;

/// How long a key of an INFO is held: as long as it takes for whoever hears it to be sure (Q.24 wants 40 ms).
const HELD_MS: u32 = 100;

impl Call {
    /// Offer and answer are through with the party of each of these sides: from now on it speaks by what it was given last.
    pub(super) fn settle_numbers(&mut self, office: &mut Office, sides: &[Side]) {
        for side in sides {
            let peer = self.peer(*side);
            peer.given = peer.origin.standing().cloned();
        }
        for side in [Side::A, Side::B] {
            let given = self.peer(side.other()).given.clone();
            let own = self.peer(side).heard.clone();
            let between = given.zip(own).map(|(given, own)| Renumbering::between(&given, &own));
            // What can't be read was refused before.
            if let (Some(Ok(by)), Some(anchor)) = (between, &mut self.anchor) {
                anchor.renumber(office, side, by);
            }
        }
        self.record_on(office);
    }

    /// An INFO of a party that has agreed on no events tells of a key: the other party, which has, gets it as one (RFC 4733). `false`: it is
    /// to be passed on.
    pub(super) fn tells_key(
        &mut self,
        office: &mut Office,
        now: Now,
        from: Side,
        server: ServerId,
        message: &Message,
    ) -> bool {
        if message.method() != Method::Info {
            return false;
        }
        let digit = Digit::of_info(message.content_type().unwrap_or_default(), &message.body());
        let (speaker, hearer) = (self.peer(from).heard.clone(), self.peer(from.other()).heard.clone());
        let (Some(digit), Some(speaker), Some(hearer)) = (digit, speaker, hearer) else { return false };
        let events = |description: &[u8]| payload::beside_sound(description, EVENTS).ok().flatten();
        let (None, Some(beside)) = (events(&speaker), events(&hearer)) else { return false };
        let lasts = u16::try_from(beside.clock / 1000 * HELD_MS).unwrap_or(u16::MAX);
        let key = Key { event: digit.event(), payload_type: beside.payload_type, lasts };
        let told = self.anchor.as_ref().is_some_and(|anchor| anchor.press(office, from.other(), key));
        if told {
            office.respond(now, server, 200, plain_response(message, 200, None));
        }
        told
    }
}
