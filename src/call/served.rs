//! A call that we speak in ourselves: an announcement that was called, a conference, or what a refused caller hears before the final
//! response.
//!
//! Invariants: whoever is refused is never answered; whoever has called an announcement is hung up on when it is over.

use super::branch::Branch;
use super::caller::plain_response;
use super::capabilities::{self, ALLOW};
use super::conference::Attendance;
use super::headers;
use super::lasting::Refresh;
use super::log::Ending;
use super::media::Anchor;
use super::office::{Effect, Office};
use super::unacked::{Unacked, Wait};
use super::voiced::{Spoken, spoken};
use super::{Call, State};
use crate::clock::Now;
use crate::relay::Side;
use crate::sdp::spoken as session;
use crate::service::announce::Announcement;
use crate::sip::{Flow, Message, Method, Name, Writer, status};
use crate::transaction::ServerId;
use crate::voice::codec::Codec;
use crate::voice::digit::Digit;
use crate::voice::{Command, Spot};
use bytes::Bytes;
use std::time::Instant;

/// What a call is told of as, when it is over for a service of ours.
pub(super) const SYSTEM: &str = "system";

#[derive(Debug)]
pub(super) struct Served {
    stage: Stage,
    pub(super) service: Service,
    /// When it is over at the latest.
    until: Option<Instant>,
    pub(super) refresh: Option<Refresh>,
}

/// What the caller gets of us.
#[derive(Debug)]
pub(super) enum Service {
    Announcement(Announcement),
    Conference(Attendance),
}

#[derive(Debug)]
enum Stage {
    /// The caller hears early media; this is the final response.
    Refusing(Refusal),
    /// The caller was answered. `unacked`: the 200, until its ACK comes; with the answer, if that 200 `offered`.
    Answered { unacked: Option<Unacked>, offered: bool },
}

/// A final response that waits until something was said.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub outcome: &'static str,
    pub fields: Vec<(Name, String)>,
}

impl Served {
    /// The caller has no final response yet.
    pub fn is_refusing(&self) -> bool {
        matches!(self.stage, Stage::Refusing(_))
    }

    /// The caller's 200 that is still to be acknowledged.
    pub fn farewell(self) -> Option<Unacked> {
        match self.stage {
            Stage::Refusing(_) => None,
            Stage::Answered { unacked, .. } => unacked,
        }
    }

    fn is_conference(&self) -> bool {
        matches!(self.service, Service::Conference(_))
    }

    /// The caller has acknowledged our 200.
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.stage, Stage::Answered { unacked: None, .. })
    }

    pub fn deadline(&self) -> Option<Instant> {
        let unacked = match &self.stage {
            Stage::Answered { unacked: Some(unacked), .. } => Some(unacked.deadline()),
            Stage::Answered { unacked: None, .. } | Stage::Refusing(_) => None,
        };
        unacked.into_iter().chain(self.until).min()
    }
}

impl Call {
    /// Whether the caller has no final response yet.
    pub(super) fn is_unanswered(&self) -> bool {
        match &self.state {
            State::Ringing(_) => true,
            State::Served(served) => served.is_refusing(),
            State::Answered(_) | State::Over(_) => false,
        }
    }

    /// Refuses the caller, who hears first what the rules say. Where nothing can be said, at once.
    pub(super) fn refuse_speaking(
        &mut self,
        office: &mut Office,
        now: Now,
        announcement: Announcement,
        refusal: Refusal,
    ) {
        let Refusal { status, outcome, fields } = refusal;
        // A transfer that is refused is told to whoever transfers, not to the one who waits.
        let Some((spoken, description)) = self.early_session(office).filter(|_| self.is_new()) else {
            return self.refuse(office, now, status, outcome, fields);
        };
        if let Some(description) = description {
            self.caller.early_media(office, now, description);
        }
        self.speak(office, &spoken);
        let stage = Stage::Refusing(Refusal { status, outcome, fields });
        self.enter(office, now, Service::Announcement(announcement), stage);
    }

    /// Answers the caller, who gets this of us.
    pub(super) fn serve(&mut self, office: &mut Office, now: Now, service: Service) {
        if !self.is_new() {
            return self.refuse(office, now, 480, "failed", Vec::new());
        }
        let Some(offer) = self.offer.clone() else {
            return self.serve_late(office, now, service);
        };
        if !self.open_media(office) {
            let retry = vec![(Name::RetryAfter, "5".to_owned())];
            return self.refuse(office, now, 503, "failed", retry);
        }
        let Some((spoken, description)) = self.early_session(office) else {
            // RFC 3261 §20.43: 305 is "incompatible media format".
            let warning = format!("305 ringtree \"{}\"", describe(&offer));
            return self.refuse(office, now, 488, "failed", vec![(Name::Warning, warning)]);
        };
        self.speak(office, &spoken);
        let description = description.or_else(|| self.caller.given().cloned());
        self.answer_served(office, now, description, service);
    }

    /// The caller made no offer: ours goes with the 200, and the voice begins with the answer in the ACK.
    fn serve_late(&mut self, office: &mut Office, now: Now, service: Service) {
        if self.anchor.is_none() {
            self.anchor = Anchor::reserve(office, self.key);
        }
        let described = self.describe(office, Side::A, &session::offer());
        let Ok(description) = described else {
            let retry = vec![(Name::RetryAfter, "5".to_owned())];
            return self.refuse(office, now, 503, "failed", retry);
        };
        self.answer_served(office, now, Some(description), service);
    }

    fn answer_served(&mut self, office: &mut Office, now: Now, description: Option<Bytes>, service: Service) {
        let unacked = self.caller.accept(office, now, description);
        self.log.answer = Some(self.log.moment(now));
        office.effect(Effect::Answered { id: self.log.id.clone(), answered_by: None });
        let offered = self.offer.is_none();
        self.enter(office, now, service, Stage::Answered { unacked: Some(unacked), offered });
    }

    /// Nobody has been answered, and nobody is transferred.
    fn is_new(&self) -> bool {
        !matches!(self.state, State::Answered(_))
    }

    /// How the caller can be spoken to, and the description that it has to be given for that; none where it has one already.
    pub(super) fn early_session(&mut self, office: &mut Office) -> Option<(Spoken, Option<Bytes>)> {
        let offer = self.offer.clone()?;
        if let Some(given) = self.caller.given() {
            return spoken(&offer, Some(given)).map(|spoken| (spoken, None));
        }
        let spoken = spoken(&offer, None)?;
        if !self.open_media(office) {
            return None;
        }
        let answer = session::answer(&offer, &spoken.mapped, spoken.events.as_ref()).ok()?;
        let description = self.describe(office, Side::A, &answer).ok()?;
        Some((spoken, Some(description)))
    }

    pub(super) fn speak(&mut self, office: &mut Office, spoken: &Spoken) {
        if let Some(anchor) = &mut self.anchor {
            anchor.speak(office, Side::A, spoken.format);
        }
    }

    /// The caller has changed its session: in another format what it hears begins anew.
    fn speak_on(&mut self, office: &mut Office, now: Now, spoken: &Spoken) {
        let before = self.anchor.as_ref().and_then(|anchor| anchor.voiced_in(Side::A));
        if before.is_some_and(|before| before != spoken.format) {
            self.speak(office, spoken);
            self.begin_service(office, now);
        }
    }

    fn enter(&mut self, office: &mut Office, now: Now, service: Service, stage: Stage) {
        let until = match &service {
            Service::Announcement(announcement) => Some(now.mono + announcement.lasts_max),
            Service::Conference(_) => None,
        };
        self.state = State::Served(Box::new(Served { stage, service, until, refresh: None }));
        self.begin_service(office, now);
    }

    /// What the caller came for, as soon as it can hear us.
    fn begin_service(&mut self, office: &mut Office, now: Now) {
        let (State::Served(served), Some(anchor)) = (&self.state, &self.anchor) else { return };
        if !anchor.is_voiced(Side::A) {
            return; // whoever made no offer is heard of in the ACK
        }
        let at = Spot { relay: anchor.id(), side: Side::A };
        let Service::Announcement(Announcement { sounds, repeat, .. }) = &served.service else {
            office.effect(Effect::Voice(Command::Stop { at })); // what it has heard while others rang
            return self.attend(office, now);
        };
        let (sounds, repeat) = (sounds.clone(), *repeat);
        office.effect(Effect::Voice(Command::Play { at, number: 0, sounds, repeat }));
    }

    /// Something was played to its end.
    pub(super) fn played(&mut self, office: &mut Office, now: Now, at: Spot, number: u32) {
        if at.side == Side::A && self.anchor.as_ref().is_some_and(|anchor| anchor.id() == at.relay) {
            match &self.state {
                State::Served(served) if served.is_conference() => self.conference_said(office, now, number),
                State::Served(_) => self.said(office, now),
                _ => self.sound_again(office),
            }
        }
    }

    /// All is said: the final response, or BYE.
    fn said(&mut self, office: &mut Office, now: Now) {
        let State::Served(served) = &mut self.state else { return };
        match &mut served.stage {
            Stage::Refusing(refusal) => {
                let Refusal { status, outcome, fields } = refusal;
                let (status, outcome, fields) = (*status, *outcome, std::mem::take(fields));
                self.refuse(office, now, status, outcome, fields);
            }
            Stage::Answered { .. } => self.end_served(office, now, &[]),
        }
    }

    /// Hangs up on a caller that we have answered. One that has not acknowledged its 200 gets the BYE once it has (RFC 3261 §15).
    pub(super) fn end_served(&mut self, office: &mut Office, now: Now, reasons: &[&str]) {
        let State::Served(served) = &self.state else { return };
        if served.is_acknowledged() {
            self.bye(office, now, Side::A, reasons);
        }
        self.over(office, now, Ending { outcome: SYSTEM, status: 200 });
    }

    pub(super) fn served_timeout(&mut self, office: &mut Office, now: Now) {
        self.caller.remind(office, now);
        let State::Served(served) = &mut self.state else { return };
        if let Stage::Answered { unacked: waits @ Some(_), .. } = &mut served.stage
            && waits.as_mut().is_some_and(|unacked| unacked.timeout(office, now) == Wait::GivenUp)
        {
            *waits = None; // RFC 3261 §13.3.1.4: BYE all the same
            return self.end_served(office, now, &[]);
        }
        if served.until.is_some_and(|until| until <= now.mono) {
            return self.said(office, now);
        }
        self.lasting_timeout(office, now);
    }

    /// The ACK to our 200.
    pub(super) fn served_acked(&mut self, office: &mut Office, now: Now, message: &Message) {
        let State::Served(served) = &mut self.state else { return };
        let Stage::Answered { unacked, offered } = &mut served.stage else { return };
        if unacked.take().is_none() || !*offered {
            return;
        }
        let sound = |answer: &Bytes| self.caller.peer.origin.keying.check(answer).is_ok();
        let answer = headers::description(message).filter(sound);
        let spoken = answer.as_deref().and_then(|answer| spoken(answer, None));
        let begun = self.anchor.as_ref().is_some_and(|anchor| anchor.is_voiced(Side::A));
        match (answer, spoken) {
            (Some(answer), Some(spoken)) => {
                self.point(office, Side::A, &answer);
                if begun {
                    self.speak_on(office, now, &spoken);
                    return self.mind_hold(office);
                }
                self.speak(office, &spoken);
                self.begin_service(office, now);
            }
            _ if begun => {} // the session stays as it was
            _ => self.end_served(office, now, &[]),
        }
    }

    /// A request of a caller that we have answered.
    pub(super) fn request_of_served(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        flow: &Flow,
        message: &Message,
    ) {
        let refuse = |office: &mut Office, code| {
            office.respond(now, server, code, plain_response(message, code, None))
        };
        match message.method() {
            Method::Bye => {
                refuse(office, 200);
                self.over(office, now, Ending { outcome: SYSTEM, status: 200 });
            }
            Method::Options => office.respond(now, server, 200, capabilities::answer(message, None)),
            Method::Info => {
                refuse(office, 200);
                self.dialled_by_info(office, message);
            }
            Method::Invite | Method::Update => self.serve_offer(office, now, server, flow, message),
            _ => {
                let mut w = Writer::reply(message, 405, status::reason_phrase(405), None);
                w.header(Name::Allow, ALLOW);
                office.respond(now, server, 405, w.finish());
            }
        }
    }

    /// The caller changes its session, on hold or back: the same voice, where it now wants it (RFC 3264 §8).
    fn serve_offer(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        flow: &Flow,
        message: &Message,
    ) {
        let offer = headers::description(message);
        let described = offer.as_ref().map(|offer| {
            let spoken = spoken(offer, None)?;
            let answer = session::answer(offer, &spoken.mapped, spoken.events.as_ref()).ok()?;
            self.caller.peer.hear_offer(offer).ok()?;
            self.point(office, Side::A, offer);
            let described = self.describe(office, Side::A, &answer).ok()?;
            Some((described, spoken))
        });
        let body = match (described, message.method()) {
            (Some(None), _) => {
                let bytes = plain_response(message, 488, None);
                return office.respond(now, server, 488, bytes);
            }
            (Some(Some((described, spoken))), _) => {
                self.speak_on(office, now, &spoken);
                Some(described)
            }
            (None, Method::Invite) => self.caller.peer.origin.agreed(), // RFC 3264 §5: an INVITE without one asks for ours
            (None, _) => None,
        };
        if offer.is_some() {
            self.mind_hold(office);
        }
        self.caller.peer.learn(message);
        let mut w = Writer::reply(message, 200, status::reason_phrase(200), None);
        w.header(Name::SessionId, self.caller.session_id());
        self.caller.peer.session.accept(now, message, &mut w);
        w.header(Name::Contact, self.caller.contact(office, flow));
        headers::abilities(&mut w);
        let bytes = match &body {
            Some(body) => w.body("application/sdp", body),
            None => w.finish(),
        };
        office.respond(now, server, 200, bytes.clone());
        if let (Method::Invite, State::Served(served)) = (message.method(), &mut self.state)
            && let Stage::Answered { unacked, offered } = &mut served.stage
        {
            (*unacked, *offered) = (Some(Unacked::new(now, server, bytes)), offer.is_none());
        }
    }

    /// A key that the caller says it has pressed.
    fn dialled_by_info(&mut self, office: &mut Office, message: &Message) {
        let digit = Digit::of_info(message.content_type().unwrap_or_default(), &message.body());
        if let (Some(digit), Some(anchor)) = (digit, self.anchor.as_ref().filter(|it| it.is_voiced(Side::A)))
        {
            let at = Spot { relay: anchor.id(), side: Side::A };
            office.effect(Effect::Voice(Command::Dialled { at, digit }));
        }
    }

    /// Whether anything of its media is still to be reported.
    pub(super) fn awaits_relays(&self) -> bool {
        self.anchor.is_some() || !self.superseded.is_empty() || self.branches.iter().any(Branch::awaits_relay)
    }
}

/// What a Warning says of an offer that we can't speak in.
fn describe(offer: &[u8]) -> String {
    let names: Vec<String> =
        session::formats(offer).unwrap_or_default().into_iter().map(|format| format.name).collect();
    {
        let ours = Codec::ALL.map(Codec::name).join(", ");
        format!("none of {} can be spoken here, but {ours} can", names.join(", ").replace(['"', '\\'], ""))
    }
}
