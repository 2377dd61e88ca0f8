//! The caller's side: the INVITE that began the call, the one early dialog that it sees, and its final response.

use super::headers::{self, AGENT, ALLOW};
use super::office::{CallKey, Office};
use super::peer::Peer;
use super::unacked::Unacked;
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::sip::{Flow, Message, Name, Writer, status};
use crate::transaction::ServerId;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// What the caller has heard so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    Nothing,
    Ringing,
    /// 183 with SDP: media of the one leg that is left.
    EarlyMedia,
}

/// RFC 3261 §13.3.1.1: a proxy on the way would take a longer silence for the end of it.
const SAID_AGAIN_EVERY: Duration = Duration::from_secs(60);

/// The newest provisional response beyond 100.
#[derive(Debug)]
struct Said {
    status: u16,
    bytes: Bytes,
    again: Instant,
}

#[derive(Debug)]
pub struct Caller {
    pub server: ServerId,
    pub flow: Flow,
    pub behind_nat: bool,
    pub invite: Message,
    /// The To tag of all our responses: one early dialog, whatever the legs do.
    pub tag: String,
    pub heard: Heard,
    said: Option<Said>,
    pub dialog: Option<Box<Dialog>>,
    pub(super) peer: Peer,
}

impl Caller {
    pub fn new(office: &mut Office, key: CallKey, server: ServerId, flow: Flow, invite: Message) -> Caller {
        let tag = super::tag(office, crate::relay::Side::A, key, 0);
        let behind_nat = headers::is_behind_nat(&invite, &flow);
        let peer = Peer::new(&mut office.ids);
        Caller {
            server,
            flow,
            behind_nat,
            invite,
            tag,
            heard: Heard::Nothing,
            said: None,
            dialog: None,
            peer,
        }
    }

    /// 180, once, as soon as any leg rings.
    pub fn ringing(&mut self, office: &mut Office, now: Now) {
        if self.heard == Heard::Nothing {
            self.heard = Heard::Ringing;
            let bytes = self.dialog_response(office, 180).finish();
            self.say(office, now, 180, bytes);
        }
    }

    /// 183 with the media of the one leg that is left (RFC 3960).
    pub fn early_media(&mut self, office: &mut Office, now: Now, description: &[u8]) {
        if self.heard < Heard::EarlyMedia {
            self.heard = Heard::EarlyMedia;
            let bytes = self.dialog_response(office, 183).body("application/sdp", description);
            self.say(office, now, 183, bytes);
        }
    }

    fn say(&mut self, office: &mut Office, now: Now, status: u16, bytes: Bytes) {
        office.respond(now, self.server, status, bytes.clone());
        self.said = Some(Said { status, bytes, again: now.mono + SAID_AGAIN_EVERY });
    }

    /// When [`Caller::remind`] is to be called; of no use once the call is answered or over.
    #[must_use]
    pub fn reminder(&self) -> Option<Instant> {
        self.said.as_ref().map(|said| said.again)
    }

    /// Says again that it rings, where it is time to.
    pub fn remind(&mut self, office: &mut Office, now: Now) {
        if let Some(said) = self.said.as_mut().filter(|said| said.again <= now.mono) {
            office.respond(now, self.server, said.status, said.bytes.clone());
            said.again = now.mono + SAID_AGAIN_EVERY;
        }
    }

    /// 200; to be repeated until its ACK comes (RFC 3261 §13.3.1.4).
    pub fn answer(&mut self, office: &mut Office, now: Now, description: Option<&[u8]>) -> Unacked {
        let response = self.dialog_response(office, 200);
        let bytes = match description {
            Some(description) => response.body("application/sdp", description),
            None => response.finish(),
        };
        self.dialog = Dialog::uas(&self.invite, &self.tag).map(Box::new);
        office.pending.remove(&self.server);
        office.respond(now, self.server, 200, bytes.clone());
        Unacked::new(now, self.server, bytes)
    }

    /// The final response of a call that nobody answered, with its cause (RFC 6432) or another field.
    pub fn reject(&self, office: &mut Office, now: Now, status: u16, fields: &[(Name, String)]) {
        let mut w = Writer::reply(&self.invite, status, status::reason_phrase(status), Some(&self.tag));
        w.header(Name::Server, AGENT);
        for (name, value) in fields {
            w.header(*name, value);
        }
        office.pending.remove(&self.server);
        office.respond(now, self.server, status, w.finish());
    }

    fn dialog_response(&self, office: &Office, code: u16) -> Writer {
        let mut w = Writer::reply(&self.invite, code, status::reason_phrase(code), Some(&self.tag));
        w.copy(&self.invite, Name::RecordRoute); // RFC 3261 §12.1.1
        w.header(Name::Contact, office.contact(&self.flow));
        w.header(Name::Allow, ALLOW);
        w.header(Name::Server, AGENT);
        w
    }
}

/// A response that carries no dialog of ours.
#[must_use]
pub fn plain_response(request: &Message, code: u16, tag: Option<&str>) -> Bytes {
    let mut w = Writer::reply(request, code, status::reason_phrase(code), tag);
    w.header(Name::Server, AGENT);
    w.finish()
}
