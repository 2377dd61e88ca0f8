//! The recordings of one voice thread, of calls and of conferences: sound goes to the recorder, twenty milliseconds at a time.
//!
//! Invariant: a recorder that is held up, by a disk that hangs, makes nobody wait: sound that finds no room is silence in the end, first and
//! last words of recordings wait here, and what can't wait is refused.

use super::recorder::Record;
use crate::relay::{RelayId, Side};
use crate::voice::Subject;
use crate::voice::codec::RATE;
use crate::voice::line::Missed;
use crate::voice::packet::Format;
use crate::voice::recording::Recording;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

/// Recordings of one thread; one more is refused.
const RECORDINGS_MAX: usize = 20_000;
/// Recordings that are to begin and wait for the recorder; one more is refused.
const BEGINNINGS_MAX: usize = 64;

/// Why a call is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("too many calls are recorded already: {RECORDINGS_MAX}")]
    TooMany,
    #[error("the disk is too slow: {BEGINNINGS_MAX} recordings wait for it already")]
    DiskTooSlow,
    #[error("the disk was too slow until its end")]
    NeverBegun,
}

pub(super) struct Recordings {
    records: SyncSender<Record>,
    running: FxHashMap<Subject, Running>,
    /// First and last words that found no room, in their order: of the first [`BEGINNINGS_MAX`], and one last word for each recording that
    /// was begun.
    waiting: VecDeque<Record>,
    /// Frames that found no room, since this was last said; and those before this tick.
    lost: u64,
    lost_before: u64,
    /// To be counted: frames that found no room, recordings that have begun, and what of parties was missed in those that are over.
    tally: Told,
}

/// What is counted of recordings, since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub begun: u64,
    pub gaps: u64,
    pub missed: Missed,
}

/// What is being recorded.
struct Running {
    /// So far.
    frames: u64,
    /// Of a call. What is said in a conference comes mixed: [`Recordings::frame`].
    parties: Option<Recording>,
}

impl Recordings {
    pub(super) fn new(records: SyncSender<Record>) -> Recordings {
        Recordings {
            records,
            running: FxHashMap::default(),
            waiting: VecDeque::new(),
            lost: 0,
            lost_before: 0,
            tally: Told::default(),
        }
    }

    /// Nothing is recorded, and nothing waits for the recorder.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Of these parties or, without any, of what comes mixed: [`Recordings::frame`].
    ///
    /// # Errors
    /// It is not recorded.
    pub(super) fn begin(
        &mut self,
        of: Subject,
        parties: Option<Recording>,
        file: Arc<str>,
    ) -> Result<(), Refused> {
        if self.running.len() >= RECORDINGS_MAX {
            return Err(Refused::TooMany);
        }
        self.pass_on();
        let beginnings = self.waiting.iter().filter(|record| matches!(record, Record::Begin { .. })).count();
        if beginnings >= BEGINNINGS_MAX {
            return Err(Refused::DiskTooSlow);
        }
        let (channels, rate) = parties.as_ref().map_or((1, RATE), |parties| (2, parties.rate()));
        self.running.insert(of, Running { frames: 0, parties });
        self.tally.begun += 1;
        self.waiting.push_back(Record::Begin { of, channels, file, rate });
        self.pass_on();
        Ok(())
    }

    /// Recordings in progress.
    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    pub(super) fn told(&mut self) -> Told {
        let mut told = std::mem::take(&mut self.tally);
        let parties = self.running.values_mut().filter_map(|running| running.parties.as_mut());
        parties.for_each(|parties| told.missed += parties.missed());
        told
    }

    /// The parties of a call that is recorded speak so from now on.
    pub(super) fn listen_for(&mut self, relay: RelayId, formats: [Vec<Format>; 2]) {
        let running = self.running.get_mut(&Subject::Relay(relay));
        if let Some(parties) = running.and_then(|running| running.parties.as_mut()) {
            parties.listen_for(formats);
        }
    }

    /// A packet of the party on that side.
    pub(super) fn heard(&mut self, relay: RelayId, side: Side, packet: &[u8]) {
        let running = self.running.get_mut(&Subject::Relay(relay));
        if let Some(parties) = running.and_then(|running| running.parties.as_mut()) {
            parties.heard(side, packet);
        }
    }

    /// The next twenty milliseconds of what has no parties of its own.
    pub(super) fn frame(&mut self, of: Subject, samples: Vec<i16>) {
        if let Some(running) = self.running.get_mut(&of) {
            let frame = Record::Frame { of, number: running.frames, samples };
            running.frames += 1;
            // Never before the first word.
            let has_room = self.waiting.is_empty() && self.records.try_send(frame).is_ok();
            self.lost += u64::from(!has_room);
        }
    }

    /// The next twenty milliseconds of all calls; of everything else they are there by now.
    pub(super) fn tick(&mut self) {
        self.pass_on();
        for (of, running) in &mut self.running {
            let Some(parties) = &mut running.parties else { continue };
            let frame = Record::Frame { of: *of, number: running.frames, samples: parties.tick() };
            running.frames += 1;
            let has_room = self.waiting.is_empty() && self.records.try_send(frame).is_ok();
            self.lost += u64::from(!has_room);
        }
        self.tally.gaps += self.lost - self.lost_before;
        match (self.lost_before, self.lost) {
            (0, 0) => {}
            (0, _) => tracing::error!("the disk is too slow: recordings have gaps from now on"),
            (before, now) if before == now => {
                tracing::error!(frames = now, "the disk was too slow: recordings have gaps");
                self.lost = 0;
            }
            _ => {}
        }
        self.lost_before = self.lost;
    }

    /// # Errors
    /// It has never begun: nothing of it was written.
    pub(super) fn end(&mut self, of: Subject) -> Result<(), Refused> {
        let Some(mut running) = self.running.remove(&of) else { return Ok(()) };
        if let Some(parties) = &mut running.parties {
            self.tally.missed += parties.missed();
        }
        let of_it = |record: &Record| matches!(record, Record::Begin { of: begun, .. } if *begun == of);
        if let Some(at) = self.waiting.iter().position(of_it) {
            self.waiting.remove(at);
            return Err(Refused::NeverBegun);
        }
        self.waiting.push_back(Record::End { of, frames: running.frames });
        self.pass_on();
        Ok(())
    }

    /// The last words of all, for which the recorder is waited for: nothing comes after them.
    pub(super) fn finish(mut self) {
        let left: Vec<Subject> = self.running.keys().copied().collect();
        for of in left {
            let _ = self.end(of); // it was never begun
        }
        for record in self.waiting {
            let _ = self.records.send(record); // it fails where the recorder has ended
        }
    }

    /// Gives the recorder what waits for it, as far as there is room.
    fn pass_on(&mut self) {
        while let Some(record) = self.waiting.pop_front() {
            if let Err(TrySendError::Full(record)) = self.records.try_send(record) {
                self.waiting.push_front(record);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::room::RoomId;
    use std::sync::mpsc::{Receiver, sync_channel};

    const CALL: Subject = Subject::Relay(RelayId(1));
    const ROOM: Subject = Subject::Room(RoomId(2));

    /// What a recorder gets, told by a letter, and the number of a frame or how many there were.
    fn told(queue: &Receiver<Record>) -> Vec<(char, Subject, u64)> {
        let letter = |record: Record| match record {
            Record::Begin { of, channels, .. } => ('b', of, u64::from(channels)),
            Record::Frame { of, number, .. } => ('f', of, number),
            Record::End { of, frames } => ('e', of, frames),
        };
        std::iter::from_fn(|| queue.try_recv().ok()).map(letter).collect()
    }

    fn parties() -> Option<Recording> {
        Some(Recording::new(Default::default()))
    }

    fn file() -> Arc<str> {
        "a.wav".into()
    }

    #[test]
    fn a_recorder_that_is_held_up_keeps_nobody_waiting_and_gets_first_and_last_words_in_order() {
        let (records, queue) = sync_channel(3);
        let mut recordings = Recordings::new(records);
        assert_eq!(recordings.begin(CALL, parties(), file()), Ok(()));
        (0..5).for_each(|_| recordings.tick());
        assert_eq!(recordings.lost, 3, "two found room");
        assert_eq!(recordings.begin(ROOM, None, file()), Ok(()), "it waits");
        recordings.frame(ROOM, vec![0; 160]);
        assert_eq!(recordings.end(CALL), Ok(()));
        assert_eq!(told(&queue), [('b', CALL, 2), ('f', CALL, 0), ('f', CALL, 1)]);
        recordings.tick();
        recordings.frame(ROOM, vec![0; 160]);
        assert_eq!(told(&queue), [('b', ROOM, 1), ('e', CALL, 5), ('f', ROOM, 1)]);
        assert_eq!(recordings.end(ROOM), Ok(()));
        assert!(recordings.is_idle());
    }

    #[test]
    fn what_can_not_wait_for_the_recorder_is_refused() {
        let (records, queue) = sync_channel(0);
        let mut recordings = Recordings::new(records);
        let call = |n| Subject::Relay(RelayId(n));
        let begun: Vec<_> =
            (0..=BEGINNINGS_MAX as u64).map(|n| recordings.begin(call(n), parties(), file())).collect();
        assert!(begun[..BEGINNINGS_MAX].iter().all(Result::is_ok));
        assert_eq!(begun[BEGINNINGS_MAX], Err(Refused::DiskTooSlow));
        assert_eq!(recordings.end(call(0)), Err(Refused::NeverBegun));
        assert_eq!(recordings.begin(call(99), parties(), file()), Ok(()), "there is room again");
        assert_eq!(recordings.end(call(98)), Ok(()), "it was refused, or never asked for");
        drop(queue);
        recordings.finish();
    }
}
