//! The caller's side: the INVITE that began the call, the one early dialog that it sees, and its final response.

use super::capabilities::{ALLOW, OF_DIALOGS};
use super::headers::{self, AGENT};
use super::office::{CallKey, Office};
use super::peer::Peer;
use super::reliable::{self, Manner, Reliable};
use super::session_timer;
use super::sips;
use super::unacked::{Unacked, Wait};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::sip::{Flow, Half, Message, Name, SessionId, Writer, status};
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
    /// What is said again; `None`: one that was sent reliably, said again without a description.
    bytes: Option<Bytes>,
    again: Instant,
}

/// A description that a provisional response has given to the caller: the answer to their offer, or our offer.
#[derive(Clone, Debug)]
pub struct Given {
    pub description: Bytes,
    /// The caller is known to have it, and the 2xx has none (RFC 3262 §5, RFC 6337 §3.1).
    reliably: bool,
}

/// What has come of answering the caller.
#[derive(Debug)]
pub enum Answer {
    Sent(Unacked),
    /// RFC 3262 §3: a 1xx with a description is not acknowledged yet.
    Held(Option<Bytes>),
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
    reliable: Reliable,
    /// A response that is to be sent reliably once the one before is acknowledged.
    queued: Option<(u16, Option<Bytes>)>,
    given: Option<Given>,
    /// Early from the first provisional response with a tag on.
    pub dialog: Option<Box<Dialog>>,
    pub(super) peer: Peer,
    /// It speaks with a conference.
    pub(super) focus: bool,
    /// Who is at the other end (RFC 7989), as far as it is known.
    pub far: Half,
}

impl Caller {
    pub fn new(office: &mut Office, key: CallKey, server: ServerId, flow: Flow, invite: Message) -> Caller {
        let tag = super::tag(office, crate::relay::Side::A, key, 0);
        let behind_nat = headers::is_behind_nat(&invite, &flow);
        let reliable = Reliable::of(&invite);
        let mut peer = Peer::new(office);
        peer.reached(&flow, invite.elements(Name::Via).nth(1).is_some());
        peer.learn(&invite);
        peer.sips = sips::is_to_answer(&invite);
        Caller {
            server,
            flow,
            behind_nat,
            invite,
            tag,
            heard: Heard::Nothing,
            said: None,
            reliable,
            queued: None,
            given: None,
            dialog: None,
            peer,
            focus: false,
            far: Half::new(office.ids.word(), office.ids.word()),
        }
    }

    /// 180, once, as soon as any leg rings.
    pub fn ringing(&mut self, office: &mut Office, now: Now) {
        if self.heard == Heard::Nothing {
            self.heard = Heard::Ringing;
            self.say(office, now, 180, None);
        }
    }

    /// 181: the call goes on to somebody else, and what it hears next is theirs. Where it hears media there is nothing to tell.
    pub fn forwarded(&mut self, office: &mut Office, now: Now) {
        if self.heard < Heard::EarlyMedia {
            self.heard = Heard::Nothing;
            self.say(office, now, 181, None);
        }
    }

    /// 183 with the media of the one leg that is left (RFC 3960), or with what it offers (RFC 3262 §5).
    pub fn early_media(&mut self, office: &mut Office, now: Now, description: Bytes) {
        if self.heard < Heard::EarlyMedia {
            self.heard = Heard::EarlyMedia;
            self.say(office, now, 183, Some(description));
        }
    }

    fn say(&mut self, office: &mut Office, now: Now, status: u16, description: Option<Bytes>) {
        let described = description.is_some();
        let owes_offer = self.given.is_none() && headers::description(&self.invite).is_none();
        let rseq = match self.reliable.manner(office, described, owes_offer) {
            Manner::Unsaid => return,
            Manner::Later => return self.queued = Some((status, description)),
            Manner::Plain => None,
            Manner::Reliable(rseq) => Some(rseq),
        };
        let mut w = self.dialog_response(office, status);
        if let Some(rseq) = rseq {
            w.header(Name::Require, reliable::TAG).header(Name::RSeq, rseq);
        }
        let bytes = w.described(description.as_deref());
        office.respond(now, self.server, status, bytes.clone());
        if let Some(description) = description {
            self.given = Some(Given { description, reliably: rseq.is_some() });
        }
        let again = now.mono + SAID_AGAIN_EVERY;
        if rseq.is_some() {
            self.reliable.sent(now, status, described, bytes);
            self.said = Some(Said { status, bytes: None, again });
        } else {
            self.said = Some(Said { status, bytes: Some(bytes), again });
        }
    }

    /// Takes a PRACK (RFC 3262 §3): whether what it acknowledges has a description. `None`: it acknowledges nothing.
    pub fn acknowledged(&mut self, prack: &Message) -> Option<bool> {
        self.reliable.acknowledged(&self.invite, prack)
    }

    /// Says what had to wait for a PRACK.
    pub fn go_on(&mut self, office: &mut Office, now: Now) {
        if let Some((status, description)) = self.queued.take() {
            self.say(office, now, status, description);
        }
    }

    /// Whether provisional responses may be sent reliably.
    #[must_use]
    pub fn takes_reliable(&self) -> bool {
        self.reliable.is_possible()
    }

    /// What a provisional response has given, or is to give.
    #[must_use]
    pub fn given(&self) -> Option<&Bytes> {
        let queued = self.queued.as_ref().and_then(|(_, description)| description.as_ref());
        queued.or(self.given.as_ref().map(|given| &given.description))
    }

    /// Both have described their sessions, and each is known to have the other's (RFC 3311 §5.1).
    #[must_use]
    pub fn has_agreed(&self) -> bool {
        self.given.as_ref().is_some_and(|given| given.reliably) && !self.reliable.holds_the_answer()
    }

    /// An offer of ours is not answered.
    #[must_use]
    pub fn owes_answer(&self) -> bool {
        self.reliable.holds_the_answer() && headers::description(&self.invite).is_none()
    }

    /// An UPDATE has changed the session before the answer: this is what the caller was told last.
    pub fn agree(&mut self, description: Bytes) {
        self.given = Some(Given { description, reliably: true });
    }

    /// When [`Caller::remind`] or [`Caller::await_prack`] has something to do while it rings.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.said.as_ref().map(|said| said.again).into_iter().chain(self.reliable.deadline()).min()
    }

    /// The same while the 2xx waits for a PRACK.
    #[must_use]
    pub fn prack_deadline(&self) -> Option<Instant> {
        self.reliable.deadline()
    }

    /// Repeats a response that is not acknowledged.
    pub fn await_prack(&mut self, office: &mut Office, now: Now) -> Wait {
        self.reliable.timeout(office, now, self.server)
    }

    /// Says again that it rings, where it is time to.
    pub fn remind(&mut self, office: &mut Office, now: Now) {
        let Some(said) = self.said.as_mut().filter(|said| said.again <= now.mono) else { return };
        said.again = now.mono + SAID_AGAIN_EVERY;
        match (said.status, said.bytes.clone()) {
            (status, Some(bytes)) => office.respond(now, self.server, status, bytes),
            (_, None) if self.queued.is_some() => {} // it is repeated anyway
            (status, None) => self.say(office, now, status, None),
        }
    }

    /// 200; to be repeated until its ACK comes (RFC 3261 §13.3.1.4).
    pub fn answer(&mut self, office: &mut Office, now: Now, description: Option<Bytes>) -> Answer {
        if self.reliable.holds_the_answer() {
            return Answer::Held(description);
        }
        Answer::Sent(self.accept(office, now, description))
    }

    /// The 200, whatever is not acknowledged.
    pub fn accept(&mut self, office: &mut Office, now: Now, description: Option<Bytes>) -> Unacked {
        let description = match &self.given {
            Some(given) if given.reliably => None,
            // RFC 3261 §13.2.1: the first description counts, and the 2xx repeats it.
            Some(given) => Some(given.description.clone()),
            None => description,
        };
        let mut response = self.dialog_response(office, 200);
        self.peer.session.accept(now, &self.invite, &mut response);
        let bytes = response.described(description.as_deref());
        self.final_response(office, now, 200, bytes.clone());
        Unacked::new(now, self.server, bytes)
    }

    /// The final response of a call that nobody answered, with its cause (RFC 6432) or another field.
    pub fn reject(&mut self, office: &mut Office, now: Now, status: u16, fields: &[(Name, String)]) {
        let mut w = Writer::reply(&self.invite, status, status::reason_phrase(status), Some(&self.tag));
        w.header(Name::SessionId, self.session_id());
        w.header(Name::Server, AGENT);
        for (name, value) in fields {
            w.header(*name, value);
        }
        self.final_response(office, now, status, w.finish());
    }

    pub(super) fn session_id(&self) -> SessionId {
        SessionId { local: self.far, remote: self.peer.half }
    }

    fn final_response(&mut self, office: &mut Office, now: Now, status: u16, bytes: Bytes) {
        self.reliable.rest();
        self.queued = None;
        office.pending.remove(&self.server);
        office.respond(now, self.server, status, bytes);
    }

    /// Our Contact on this flow, as the caller sees it: with `isfocus` where we are a conference (RFC 4579 §5.2).
    pub(super) fn contact(&self, office: &Office, flow: &Flow) -> String {
        let focus = if self.focus { ";isfocus" } else { "" };
        format!("{}{focus}", office.contact(flow, self.peer.sips))
    }

    fn dialog_response(&mut self, office: &Office, code: u16) -> Writer {
        let id = self.session_id();
        if self.dialog.is_none() {
            self.dialog = Dialog::uas(&self.invite, &self.tag).map(Box::new);
        }
        if let Some(dialog) = &mut self.dialog {
            dialog.name_session(id);
        }
        let mut w = Writer::reply(&self.invite, code, status::reason_phrase(code), Some(&self.tag));
        w.copy(&self.invite, Name::RecordRoute); // RFC 3261 §12.1.1
        w.header(Name::SessionId, id);
        w.header(Name::Contact, self.contact(office, &self.flow));
        w.header(Name::Allow, ALLOW);
        let (reliable, timer) = (reliable::TAG, session_timer::TAG);
        w.header(Name::Supported, format_args!("{reliable}, {OF_DIALOGS}, {timer}"));
        w.header(Name::Server, AGENT);
        w
    }
}

/// A response that carries no dialog of ours.
#[must_use]
pub fn plain_response(request: &Message, code: u16, tag: Option<&str>) -> Bytes {
    let mut w = Writer::reply(request, code, status::reason_phrase(code), tag);
    headers::turn_session_id(&mut w, request);
    w.header(Name::Server, AGENT);
    w.finish()
}
