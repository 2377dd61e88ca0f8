//! One voice thread: every twenty milliseconds it takes what was heard, lets every endpoint listen and speak, and gives the relay thread the
//! packets with one wake.
//!
//! Deadlines are absolute: a tick that comes late moves none of those after it, so nothing drifts.

use super::loader::{Check, Errand, Load, Loaded, Loader, Ticket};
use super::pending::{Pending, Step};
use super::recorder::Record;
use super::recordings::{Recordings, Refused, Told};
use super::rooms::Rooms;
use super::{Reporter, Work};
use crate::net::clock;
use crate::net::media::{SAID_MAX, VoicePort};
use crate::net::tally::Voice as Tally;
use crate::relay::{Heard, Said};
use crate::voice::codec::PACKET_MS;
use crate::voice::endpoint::Endpoint;
use crate::voice::line::Missed;
use crate::voice::recording::Recording;
use crate::voice::{Command, Repeat, Report, Sound, Spot, Subject};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(PACKET_MS as u64);
/// A thread that is behind by more lets those ticks go: what would be said late is said in vain.
const BEHIND_MAX: Duration = Duration::from_millis(200);
/// Ticks after which what ears and recordings have missed is gathered: a second.
const GATHERED_EVERY: u32 = 50;
/// Parties of one thread; more are refused, and said.
const SPOTS_MAX: usize = SAID_MAX;

/// Reports that wait for signalling; beyond them keys and missing sounds are not told any more. Of the others there is one for each order.
const UNREPORTED_MAX: usize = 4096;

/// Where a voice thread puts what it wants done.
pub(super) struct Outlets {
    /// Its own queue, for answers.
    pub own: SyncSender<Work>,
    pub loads: Loader,
    pub records: SyncSender<Record>,
    pub report: Reporter,
    /// Conference rooms, and the way to those of other threads.
    pub rooms: Rooms,
    pub tally: Arc<Tally>,
}

pub(super) struct Voices {
    work: Receiver<Work>,
    port: VoicePort,
    outlets: Outlets,
    spots: FxHashMap<Spot, Endpoint>,
    /// What waits for its files.
    plays: FxHashMap<Spot, Pending>,
    played: u64,
    recordings: Recordings,
    /// Reports that found no room.
    unreported: VecDeque<Report>,
    reports: Vec<Report>,
    /// Ticks since figures were last gathered.
    ungathered: u32,
}

impl Voices {
    pub(super) fn new(work: Receiver<Work>, port: VoicePort, outlets: Outlets) -> Voices {
        let recordings = Recordings::new(outlets.records.clone());
        Voices {
            work,
            port,
            outlets,
            spots: FxHashMap::default(),
            plays: FxHashMap::default(),
            played: 0,
            recordings,
            unreported: VecDeque::new(),
            reports: Vec::new(),
            ungathered: 0,
        }
    }

    pub(super) fn run(mut self) {
        let mut due = clock::mono();
        loop {
            let work = if self.is_idle() {
                let work = self.work.recv().map_err(|_| RecvTimeoutError::Disconnected);
                due = clock::mono();
                work
            } else {
                self.work.recv_timeout(due.saturating_duration_since(clock::mono()))
            };
            match work {
                Ok(Work::Loaded(Loaded { ticket, .. })) if ticket == Loaded::END.ticket => return self.end(),
                Ok(work) => self.take(work),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
            let now = clock::mono();
            if due <= now && !self.is_idle() {
                self.tick(now);
                due += TICK;
                if now.saturating_duration_since(due) > BEHIND_MAX {
                    due = now;
                }
            }
            self.offer_reports();
            self.count();
        }
    }

    /// What is now. The rest is gathered once a second, and before this thread sleeps.
    fn count(&mut self) {
        let tally = &self.outlets.tally;
        tally.parties.set(self.spots.len());
        tally.members.set(self.outlets.rooms.members());
        tally.recordings.set(self.recordings.count());
        if self.ungathered < GATHERED_EVERY && !self.is_idle() {
            return;
        }
        self.ungathered = 0;
        let Told { begun, gaps, mut missed } = self.recordings.told();
        self.spots.values_mut().for_each(|endpoint| missed += endpoint.missed());
        tally.recorded.add_all(begun);
        tally.gaps.add_all(gaps);
        tally.late.add_all(missed.late);
        tally.concealed.add_all(missed.concealed);
        tally.unheard.set(usize::try_from(self.port.unheard()).unwrap_or(usize::MAX));
    }

    fn is_idle(&self) -> bool {
        self.spots.is_empty()
            && self.recordings.is_idle()
            && self.unreported.is_empty()
            && self.outlets.rooms.is_empty()
    }

    fn end(self) {
        self.recordings.finish();
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Command(command) => self.command(clock::mono(), command),
            Work::Loaded(loaded) => self.loaded(loaded),
            Work::Checked { at, pin } => self.reports.push(Report::Checked { at, pin }),
            Work::Frames(frames) => self.outlets.rooms.take(frames),
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Open { at, format, seed } => {
                if self.spots.len() < SPOTS_MAX {
                    self.spots.insert(at, Endpoint::new(at, format, seed));
                } else {
                    tracing::error!("{SPOTS_MAX} parties are spoken to already: one more hears nothing");
                }
            }
            Command::Play { at, number, sounds, repeat } => self.play(at, number, &sounds, repeat),
            Command::Stop { at } => {
                self.plays.remove(&at);
                self.with(at, Endpoint::stop);
            }
            Command::Collect { at, rules } => self.with(at, |endpoint| endpoint.collect(now, rules)),
            Command::Dialled { at, digit } => {
                let mut reports = std::mem::take(&mut self.reports);
                self.with(at, |endpoint| endpoint.dialled(now, digit, &mut reports));
                self.reports = reports;
            }
            Command::Check { at, said, pins } => {
                let check = Check { at, said, pins, to: self.outlets.own.clone() };
                if self.outlets.loads.give(Errand::Check(check)).is_err() {
                    self.reports.push(Report::Checked { at, pin: None });
                }
            }
            Command::Say { at, digit } => self.with(at, |endpoint| endpoint.say(digit)),
            Command::Join { at, room } => {
                if self.spots.contains_key(&at) {
                    self.outlets.rooms.join(at, room);
                }
            }
            Command::Leave { at } => self.outlets.rooms.leave(at),
            Command::Close { at } => {
                self.outlets.rooms.leave(at);
                self.plays.remove(&at);
                if let Some(mut endpoint) = self.spots.remove(&at) {
                    let Missed { late, concealed } = endpoint.missed();
                    self.outlets.tally.late.add_all(late);
                    self.outlets.tally.concealed.add_all(concealed);
                }
            }
            Command::Record { relay, file, formats } => {
                let parties = Some(Recording::new(formats));
                let begun = self.recordings.begin(Subject::Relay(relay), parties, file);
                self.recorded(Subject::Relay(relay), begun);
            }
            Command::Speaks { relay, formats } => self.recordings.listen_for(relay, formats),
            Command::RecordRoom { room, file } => {
                self.outlets.rooms.record(room);
                let begun = self.recordings.begin(Subject::Room(room), None, file);
                self.recorded(Subject::Room(room), begun);
            }
            Command::EndRecording { of } => {
                if let Subject::Room(room) = of {
                    self.outlets.rooms.end_recording(room);
                }
                let ended = self.recordings.end(of);
                self.recorded(of, ended);
            }
        }
    }

    fn with(&mut self, at: Spot, act: impl FnOnce(&mut Endpoint)) {
        if let Some(endpoint) = self.spots.get_mut(&at) {
            act(endpoint);
        }
    }

    fn play(&mut self, at: Spot, number: u32, sounds: &Arc<[Sound]>, repeat: Repeat) {
        if !self.spots.contains_key(&at) {
            return;
        }
        self.played += 1;
        let play = self.played;
        let mut pending = Pending::new(play, number, sounds, repeat);
        let (wanted, is_music) = (pending.wanted(), pending.is_music());
        let begun = pending.begin();
        self.plays.insert(at, pending);
        self.step(at, begun);
        for (index, sound) in wanted {
            let ticket = Ticket { play, index };
            let load = Load { sound, is_music, ticket, to: self.outlets.own.clone() };
            if self.outlets.loads.give(Errand::Load(load)).is_err() {
                self.loaded(Loaded { ticket, clip: Err("too many files wait to be read".to_owned()) });
            }
        }
    }

    fn loaded(&mut self, loaded: Loaded) {
        // What was stopped or replaced meanwhile waits for nothing.
        let found = self.plays.iter_mut().find(|(_, pending)| pending.play == loaded.ticket.play);
        let Some((at, pending)) = found.map(|(at, pending)| (*at, pending)) else { return };
        let step = pending.arrived(&loaded);
        if let Err(why) = loaded.clip
            && let Some(sound) = pending.sound(loaded.ticket.index).cloned()
        {
            self.missing(at, &sound, why);
        }
        self.step(at, step);
    }

    fn step(&mut self, at: Spot, step: Option<Step>) {
        let Some(pending) = self.plays.get(&at) else { return };
        let (number, repeat) = (pending.number, pending.repeat);
        if !pending.is_awaiting() {
            self.plays.remove(&at);
        }
        self.with(at, |endpoint| match step {
            Some(Step::Begin(pieces)) => endpoint.play(number, pieces, repeat),
            Some(Step::Supply(index, piece)) => endpoint.supply(index, piece),
            None => {}
        });
    }

    /// The prompt is lost, and the call goes on.
    fn missing(&mut self, at: Spot, sound: &Sound, why: String) {
        tracing::warn!(%why, "a sound can't be played");
        self.reports.push(Report::Missing { at, sound: sound.clone(), why });
    }

    fn tick(&mut self, now: Instant) {
        let mut reports = std::mem::take(&mut self.reports);
        while let Some(Heard { id, side, packet, .. }) = self.port.heard() {
            if let Some(endpoint) = self.spots.get_mut(&Spot { relay: id, side }) {
                endpoint.heard(now, &packet, &mut reports);
            }
            self.recordings.heard(id, side, &packet);
        }
        let spoken = !self.spots.is_empty();
        let rooms = &mut self.outlets.rooms;
        for (at, endpoint) in &mut self.spots {
            rooms.say(*at, endpoint.listen(now, &mut reports));
        }
        let mut of_rooms = Vec::new();
        rooms.mix(|room, frame| of_rooms.push((Subject::Room(room), frame)));
        for (at @ Spot { relay, side }, endpoint) in &mut self.spots {
            if let Some(frame) = rooms.hears(*at) {
                endpoint.beside(frame);
            }
            let packet = endpoint.speak(now, &mut reports);
            // A packet that finds no room is one that is lost on the way.
            let _ = self.port.say(Said { id: *relay, side: *side, packet: packet.as_slice().into() });
        }
        if spoken {
            self.port.wake();
        }
        self.reports = reports;
        for (of, frame) in of_rooms {
            self.recordings.frame(of, frame.to_vec());
        }
        self.recordings.tick();
        self.ungathered += 1;
    }

    /// A recording that isn't made is told of; one that is, by the recorder.
    fn recorded(&mut self, of: Subject, result: Result<(), Refused>) {
        let Err(refused) = result else { return };
        tracing::error!(?of, why = %refused, "what is said is not recorded");
        self.reports.push(Report::Recorded { of, result: Err(refused.to_string()) });
    }

    fn offer_reports(&mut self) {
        for report in self.reports.drain(..) {
            match report {
                Report::Played { .. } => self.outlets.tally.played.add(),
                Report::Digit { .. } => self.outlets.tally.keys.add(),
                Report::Missing { .. } => self.outlets.tally.missing.add(),
                Report::Collected { .. } | Report::Checked { .. } | Report::Recorded { .. } => {}
            }
            let may_be_lost = matches!(report, Report::Digit { .. } | Report::Missing { .. });
            if !may_be_lost || self.unreported.len() < UNREPORTED_MAX {
                self.unreported.push_back(report);
            }
        }
        while let Some(report) = self.unreported.pop_front() {
            if let Some(report) = (self.outlets.report)(report) {
                self.unreported.push_front(report);
                return;
            }
        }
    }
}
