//! A caller in a conference: asked for the PIN where there is one, let in, heard by the others, gone again. The rooms themselves are in
//! [`super::rooms`], their sound in the voice plane.
//!
//! Invariants: whoever is in a room has been answered; whoever leaves, however the call ends, is out of the room before its voice is closed;
//! a conference with a PIN is heard by nobody who has not given it.

use super::Call;
use super::hold_music::holds;
use super::office::{Effect, Named, Office};
use super::rooms::Entrant;
use super::served::{Refusal, Service};
use super::state::State;
use crate::clock::Now;
use crate::relay::Side;
use crate::rules::ConferenceRoom;
use crate::service::announce::Announcement;
use crate::service::conference::{self, TOLD_MAX, TRIES_MAX, Who};
use crate::sip::Name;
use crate::voice::{Command, Repeat, Spot};
use std::sync::Arc;

/// What a play is told by when it is over: the last words to the caller, after which it is hung up on. All other ends are nobody's business.
const LAST_WORDS: u32 = 1;

/// A caller who wants to be in a conference, or is.
#[derive(Debug)]
pub(super) struct Attendance {
    pub conference: Named,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It can't hear us yet.
    Outside,
    /// It is asked for the PIN; so many times it was not right.
    Asked {
        wrong: u8,
    },
    /// What it has entered is being looked at.
    Looked {
        wrong: u8,
    },
    Inside(Spot),
    /// It hears why it may not come in, and then is hung up on.
    TurnedAway,
}

impl Attendance {
    fn new(conference: Named) -> Attendance {
        Attendance { conference, stage: Stage::Outside }
    }
}

/// Somebody has come into a conference, or left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attended {
    /// The call's id.
    pub call: String,
    pub conference: Named,
    pub came: bool,
    /// How many are there now.
    pub people: usize,
}

impl Call {
    /// Answers the caller, who is to be in that conference. One that is full says so before the final response.
    pub(super) fn confer(&mut self, office: &mut Office, now: Now, name: &str) {
        let Some(room) = self.domain.conference(name) else {
            return self.refuse(office, now, 480, "failed", Vec::new());
        };
        let conference = (self.domain.name().clone(), Arc::from(name));
        if office.rooms.count(&conference) >= room.people_max() {
            let full = Announcement::prompt(&self.domain, "conference-full");
            let fields = vec![(Name::Reason, "Q.850;cause=17".to_owned())];
            let refusal = Refusal { status: 486, outcome: "busy", fields };
            return self.refuse_speaking(office, now, full, refusal);
        }
        self.caller.focus = true;
        self.serve(office, now, Service::Conference(Attendance::new(conference)));
    }

    /// The caller can be heard and spoken to: it comes in, or is asked whether it may.
    pub(super) fn attend(&mut self, office: &mut Office, now: Now) {
        match self.room() {
            Some((room, Stage::Outside)) if room.is_locked() => self.ask_for_pin(office, now, 0),
            Some((_, Stage::Outside)) => self.come_in(office, now, None),
            // It has changed its codec: what it was told is told again, and in the room it stays.
            Some((_, Stage::Asked { wrong })) => self.ask_for_pin(office, now, wrong),
            Some((_, Stage::TurnedAway)) => self.tell(office, LAST_WORDS, &["conference-goodbye"]),
            Some((_, Stage::Looked { .. } | Stage::Inside(_))) | None => {}
        }
    }

    fn attendance(&mut self) -> Option<&mut Attendance> {
        let State::Served(served) = &mut self.state else { return None };
        match &mut served.service {
            Service::Conference(attendance) => Some(attendance),
            Service::Announcement(_) => None,
        }
    }

    /// The conference that the caller is at, and how far it is there.
    fn room(&mut self) -> Option<(ConferenceRoom, Stage)> {
        let attendance = self.attendance()?;
        let (stage, name) = (attendance.stage, attendance.conference.1.clone());
        Some((self.domain.conference(&name)?.clone(), stage))
    }

    /// Plays these prompts to the caller.
    fn tell(&mut self, office: &mut Office, number: u32, names: &[&'static str]) {
        let sounds = conference::prompts(self.domain.name(), names);
        if let Some(anchor) = &self.anchor {
            let at = Spot { relay: anchor.id(), side: Side::A };
            office.effect(Effect::Voice(Command::Play { at, number, sounds, repeat: Repeat::Times(1) }));
        }
    }

    /// What is guessed, and where its caller calls from.
    fn guesser(&mut self) -> Option<(Named, String)> {
        let conference = self.attendance()?.conference.clone();
        Some((conference, self.log.from.origin.clone()))
    }

    fn ask_for_pin(&mut self, office: &mut Office, now: Now, wrong: u8) {
        let Some((conference, source)) = self.guesser() else { return };
        let shut_out = office.guesses.shut_out(now.mono, &conference, &source);
        if let Some(lasts) = shut_out {
            let minutes = lasts.as_secs().div_ceil(60);
            let why =
                format!("too many wrong PINs came from {source}: none is taken from there for {minutes} min");
            self.log.why = Some(("pin_shut_out", why));
        }
        let Some(attendance) = self.attendance() else { return };
        if wrong == 0 && shut_out.is_some() {
            attendance.stage = Stage::TurnedAway;
            return self.tell(office, LAST_WORDS, &["conference-goodbye"]);
        }
        if wrong >= TRIES_MAX || shut_out.is_some() {
            attendance.stage = Stage::TurnedAway;
            return self.tell(office, LAST_WORDS, &["conference-wrong", "conference-goodbye"]);
        }
        attendance.stage = Stage::Asked { wrong };
        let question: &[_] =
            if wrong == 0 { &["conference-pin"] } else { &["conference-wrong", "conference-pin"] };
        self.tell(office, 0, question);
        if let Some(anchor) = &self.anchor {
            let at = Spot { relay: anchor.id(), side: Side::A };
            office.effect(Effect::Voice(Command::Collect { at, rules: conference::pin_rules() }));
        }
    }

    /// The caller has entered this.
    pub(super) fn entered(&mut self, office: &mut Office, now: Now, at: Spot, digits: &str) {
        let Some((room, Stage::Asked { wrong })) = self.room() else { return };
        if digits.is_empty() && room.pin.is_none() {
            return self.come_in(office, now, None); // no moderator, and nobody else is asked for anything
        }
        if digits.is_empty() {
            return self.ask_for_pin(office, now, wrong + 1);
        }
        if let Some((conference, source)) = self.guesser() {
            if office.guesses.shut_out(now.mono, &conference, &source).is_some() {
                return self.ask_for_pin(office, now, wrong + 1); // others have used up its tries meanwhile
            }
            office.guesses.tried(now.mono, &conference, &source);
        }
        if let Some(attendance) = self.attendance() {
            attendance.stage = Stage::Looked { wrong };
        }
        let pins = conference::pins(&room);
        office.effect(Effect::Voice(Command::Check { at, said: digits.to_owned(), pins }));
    }

    /// What was entered is that PIN, or none of them.
    pub(super) fn looked_at(&mut self, office: &mut Office, now: Now, pin: Option<usize>) {
        match (self.room(), pin) {
            (Some((_, Stage::Looked { .. })), Some(pin)) => {
                if let Some((conference, source)) = self.guesser() {
                    office.guesses.right(now.mono, &conference, &source);
                }
                self.come_in(office, now, Some(pin));
            }
            (Some((_, Stage::Looked { wrong })), None) => self.ask_for_pin(office, now, wrong + 1),
            _ => {}
        }
    }

    fn come_in(&mut self, office: &mut Office, now: Now, pin: Option<usize>) {
        let holds = self.caller.peer.heard.as_ref().is_some_and(|said| holds(said));
        let (Some((room, _)), Some(anchor)) = (self.room(), &self.anchor) else { return };
        let at = Spot { relay: anchor.id(), side: Side::A };
        let Some(attendance) = self.attendance() else { return };
        let name = attendance.conference.clone();
        let entrant = Entrant { at, holds, begins: conference::moderates(&room, pin) };
        let Some(commands) = office.rooms.enter(&name, room.people_max(), entrant) else {
            attendance.stage = Stage::TurnedAway; // somebody was quicker
            return self.tell(office, LAST_WORDS, &["conference-full", "conference-goodbye"]);
        };
        attendance.stage = Stage::Inside(at);
        if room.record {
            self.record_conference(office, now, &name);
        }
        commands.into_iter().for_each(|command| office.effect(Effect::Voice(command)));
        if !office.rooms.has_begun(&name) {
            self.tell(office, 0, &["conference-wait"]);
        } else if room.announce {
            let greeting = conference::greeting(office.language, office.rooms.count(&name) - 1);
            self.tell(office, 0, &greeting);
        }
        self.tell_attended(office, &room, name, at, true);
    }

    fn record_conference(&mut self, office: &mut Office, now: Now, name: &Named) {
        let (domain, id) = (self.domain.name(), &self.log.id);
        let file = || format!("{domain}/{}/{id}.wav", now.wall.strftime("%Y-%m-%d")).into();
        let Some((recording, begins)) = office.rooms.record(name, file) else { return };
        self.log.recording = Some(recording.file.to_string());
        self.log.recording_failed = recording.failed.as_deref().map(str::to_owned);
        begins.into_iter().for_each(|command| office.effect(Effect::Voice(command)));
    }

    /// The caller has changed its session: one that holds is not heard until it is back, so that nobody has to listen to its music.
    pub(super) fn mind_hold(&mut self, office: &mut Office) {
        let holds = self.caller.peer.heard.as_ref().is_some_and(|said| holds(said));
        let Some(&mut Attendance { stage: Stage::Inside(at), ref conference }) = self.attendance() else {
            return;
        };
        let command = office.rooms.hold(conference, at, holds);
        command.into_iter().for_each(|command| office.effect(Effect::Voice(command)));
    }

    /// Something was played to the caller to its end.
    pub(super) fn conference_said(&mut self, office: &mut Office, now: Now, number: u32) {
        let leaves = self.attendance().is_some_and(|attendance| attendance.stage == Stage::TurnedAway);
        if leaves && number == LAST_WORDS {
            self.end_served(office, now, &[]);
        }
    }

    /// The call is over, or about to be.
    pub(super) fn leave_conference(&mut self, office: &mut Office) {
        let Some((room, Stage::Inside(at))) = self.room() else { return };
        let Some(attendance) = self.attendance() else { return };
        attendance.stage = Stage::TurnedAway;
        let name = attendance.conference.clone();
        let ends = office.rooms.leave(&name, at);
        office.effect(Effect::Voice(Command::Leave { at }));
        ends.into_iter().for_each(|command| office.effect(Effect::Voice(command)));
        self.tell_attended(office, &room, name, at, false);
    }

    /// To the event stream, and to the others where the rules want it.
    fn tell_attended(&self, office: &mut Office, room: &ConferenceRoom, name: Named, at: Spot, came: bool) {
        let people = office.rooms.count(&name);
        if room.announce && office.rooms.has_begun(&name) {
            let news = conference::news(&self.who(), came);
            let sounds = conference::prompts(self.domain.name(), &news);
            let others: Vec<Spot> = office.rooms.others(&name, at).take(TOLD_MAX + 1).collect();
            for at in others.into_iter().filter(|_| people <= TOLD_MAX) {
                let (sounds, repeat) = (sounds.clone(), Repeat::Times(1));
                office.effect(Effect::Voice(Command::Play { at, number: 0, sounds, repeat }));
            }
        }
        let call = self.log.id.clone();
        office.effect(Effect::Attended(Attended { call, conference: name, came, people }));
    }

    /// Who the caller is, as others may know it.
    fn who(&self) -> Who {
        if self.log.from.privacy {
            return Who::Nobody;
        }
        let user = self.maker.as_ref().and_then(|(_, user)| self.domain.user(user));
        match user.and_then(|user| user.extensions.first()) {
            Some(extension) => Who::Extension(extension.to_string()),
            None => Who::Number(self.walk.caller_e164().unwrap_or(&self.log.from.raw).to_owned()),
        }
    }
}
