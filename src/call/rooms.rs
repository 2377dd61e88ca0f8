//! Conference rooms that somebody is in: who, and where each of them is heard. What they hear is the voice plane's matter.
//!
//! Invariants: a room is here as long as somebody is in it; its name to the voice plane is never used again; whoever holds is not heard, and
//! nobody is before the conference has begun.

use super::office::Named;
use crate::relay::RelayId;
use crate::voice::room::{MEMBERS_MAX, RoomId};
use crate::voice::{Command, Spot, Subject};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// People in one conference, whatever the rules say: as many as one room mixes.
pub const PEOPLE_MAX: usize = MEMBERS_MAX;

#[derive(Debug, Default)]
pub struct Rooms {
    open: FxHashMap<Named, Room>,
    opened: u64,
}

#[derive(Debug)]
struct Room {
    id: RoomId,
    /// In the order in which they came.
    people: Vec<Person>,
    /// They hear each other: nobody who could begin it has to come first, or somebody has.
    begun: bool,
    recording: Option<Recording>,
}

/// The file that what is said goes to, and why it doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub file: Arc<str>,
    pub failed: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Person {
    at: Spot,
    holds: bool,
}

/// Somebody who comes in.
#[derive(Clone, Copy, Debug)]
pub struct Entrant {
    pub at: Spot,
    pub holds: bool,
    /// The conference begins with them, unless it has begun.
    pub begins: bool,
}

impl Rooms {
    /// Somebody comes in: what the voice plane is to do. `None`: as many are there as may be.
    pub fn enter(&mut self, name: &Named, most: usize, entrant: Entrant) -> Option<Vec<Command>> {
        if self.count(name) >= most.min(PEOPLE_MAX) {
            return None;
        }
        let opened = &mut self.opened;
        let room = self.open.entry(name.clone()).or_insert_with(|| {
            *opened += 1;
            Room { id: RoomId(*opened), people: Vec::new(), begun: false, recording: None }
        });
        let Entrant { at, holds, begins } = entrant;
        room.people.push(Person { at, holds });
        let begins = begins && !room.begun;
        room.begun |= begins;
        let join = |person: &Person| Command::Join { at: person.at, room: room.id };
        let hears = |person: &&Person| room.begun && !person.holds && (begins || person.at == at);
        Some(room.people.iter().filter(hears).map(join).collect())
    }

    /// Somebody holds, or is back.
    pub fn hold(&mut self, name: &Named, at: Spot, holds: bool) -> Option<Command> {
        let room = self.open.get_mut(name)?;
        let person = room.people.iter_mut().find(|person| person.at == at)?;
        let changed = std::mem::replace(&mut person.holds, holds) != holds;
        let command = if holds { Command::Leave { at } } else { Command::Join { at, room: room.id } };
        (changed && room.begun).then_some(command)
    }

    /// Somebody is gone: the room closes behind the last one, and its recording is over.
    pub fn leave(&mut self, name: &Named, at: Spot) -> Option<Command> {
        let room = self.open.get_mut(name)?;
        room.people.retain(|person| person.at != at);
        if !room.people.is_empty() {
            return None;
        }
        let Room { id, recording, .. } = self.open.remove(name)?;
        recording.map(|_| Command::EndRecording { of: Subject::Room(id) })
    }

    /// Rooms that somebody is in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[must_use]
    pub fn count(&self, name: &Named) -> usize {
        self.open.get(name).map_or(0, |room| room.people.len())
    }

    #[must_use]
    pub fn has_begun(&self, name: &Named) -> bool {
        self.open.get(name).is_some_and(|room| room.begun)
    }

    /// Everybody there but that one.
    pub fn others(&self, name: &Named, at: Spot) -> impl Iterator<Item = Spot> + use<'_> {
        let people = self.open.get(name).map_or(&[][..], |room| &room.people);
        people.iter().map(|person| person.at).filter(move |other| *other != at)
    }

    /// How the conference is recorded. `Some` with a command: it begins now, under this name.
    pub fn record(
        &mut self,
        name: &Named,
        file: impl FnOnce() -> Arc<str>,
    ) -> Option<(Recording, Option<Command>)> {
        let room = self.open.get_mut(name)?;
        if let Some(recording) = &room.recording {
            return Some((recording.clone(), None));
        }
        let file = file();
        let recording = Recording { file: file.clone(), failed: None };
        room.recording = Some(recording.clone());
        Some((recording, Some(Command::RecordRoom { room: room.id, file })))
    }

    /// The recording of that room was not made, or breaks off: the relays of those who are there.
    pub fn recording_failed(&mut self, id: RoomId, why: &str) -> Vec<RelayId> {
        let Some(room) = self.open.values_mut().find(|room| room.id == id) else { return Vec::new() };
        if let Some(recording) = &mut room.recording {
            recording.failed = Some(why.into());
        }
        room.people.iter().map(|person| person.at.relay).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Side;

    fn at(n: u64) -> Spot {
        Spot { relay: RelayId(n), side: Side::A }
    }

    fn comes(n: u64, begins: bool) -> Entrant {
        Entrant { at: at(n), holds: false, begins }
    }

    /// Who hears the room from now on.
    fn joined(commands: Option<Vec<Command>>) -> Option<Vec<(u64, u64)>> {
        let of = |command: &Command| match command {
            Command::Join { at, room } => (at.relay.0, room.0),
            other => panic!("{other:?}"),
        };
        commands.map(|commands| commands.iter().map(of).collect())
    }

    #[test]
    fn a_room_takes_as_many_as_it_may_and_is_another_one_once_all_have_left() {
        let name: Named = ("a.example".into(), "daily".into());
        let mut rooms = Rooms::default();
        assert_eq!(joined(rooms.enter(&name, 2, comes(1, true))), Some(vec![(1, 1)]));
        assert_eq!(joined(rooms.enter(&name, 2, comes(2, true))), Some(vec![(2, 1)]));
        assert_eq!(rooms.enter(&name, 2, comes(3, true)), None);
        assert_eq!(rooms.leave(&name, at(1)), None);
        assert_eq!(joined(rooms.enter(&name, 2, comes(3, true))), Some(vec![(3, 1)]));
        assert_eq!(rooms.others(&name, at(3)).collect::<Vec<_>>(), [at(2)]);
        let other: Named = ("b.example".into(), "daily".into());
        assert_eq!(joined(rooms.enter(&other, 2, comes(4, true))), Some(vec![(4, 2)]), "another domain's");
        [2, 3].into_iter().for_each(|n| assert_eq!(rooms.leave(&name, at(n)), None, "it is not recorded"));
        assert_eq!(joined(rooms.enter(&name, 2, comes(5, true))), Some(vec![(5, 3)]));
        let more = (0..300).filter(|n| rooms.enter(&other, usize::MAX, comes(*n, true)).is_some()).count();
        assert_eq!(more, PEOPLE_MAX - 1);
    }

    #[test]
    fn nobody_hears_anybody_before_it_begins_and_whoever_holds_is_left_out() {
        let name: Named = ("a.example".into(), "daily".into());
        let mut rooms = Rooms::default();
        assert_eq!(joined(rooms.enter(&name, 9, comes(1, false))), Some(vec![]));
        assert_eq!(joined(rooms.enter(&name, 9, Entrant { holds: true, ..comes(2, false) })), Some(vec![]));
        assert_eq!(rooms.hold(&name, at(1), true), None);
        assert_eq!(rooms.hold(&name, at(1), false), None);
        assert_eq!(joined(rooms.enter(&name, 9, comes(3, true))), Some(vec![(1, 1), (3, 1)]));
        assert_eq!(joined(rooms.enter(&name, 9, comes(4, false))), Some(vec![(4, 1)]));
        assert_eq!(rooms.hold(&name, at(2), false), Some(Command::Join { at: at(2), room: RoomId(1) }));
        assert_eq!(rooms.hold(&name, at(2), false), None, "it is back already");
        assert_eq!(rooms.hold(&name, at(2), true), Some(Command::Leave { at: at(2) }));
    }

    #[test]
    fn a_conference_has_one_recording() {
        let name: Named = ("a.example".into(), "daily".into());
        let mut rooms = Rooms::default();
        assert_eq!(rooms.record(&name, || "x".into()), None, "nobody is there");
        rooms.enter(&name, 9, comes(1, true));
        let begins = Command::RecordRoom { room: RoomId(1), file: "one.wav".into() };
        let one = Recording { file: "one.wav".into(), failed: None };
        assert_eq!(rooms.record(&name, || "one.wav".into()), Some((one.clone(), Some(begins))));
        assert_eq!(rooms.record(&name, || "two.wav".into()), Some((one, None)));
        rooms.enter(&name, 9, comes(2, true));
        rooms.hold(&name, at(2), true);
        assert_eq!(rooms.leave(&name, at(1)), None, "whoever holds is still there");
        let ends = Command::EndRecording { of: Subject::Room(RoomId(1)) };
        assert_eq!(rooms.leave(&name, at(2)), Some(ends));
    }
}
