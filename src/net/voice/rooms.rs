//! Conference rooms between voice threads. A room is mixed by one of them, by its number; a party whose relay belongs to another thread is
//! heard there and spoken to there, and its frames go to the room's thread and back, all of one tick in one message.
//!
//! Why frames and not relays move: the thread of a relay follows from its name, and a call may have one long before it is put into a room.
//! It costs such a party forty milliseconds each way; where there is one voice thread, nobody.

use super::Work;
use crate::voice::room::{Frame, Lane, Room, RoomId, Whence};
use crate::voice::{Spot, Subject};
use rustc_hash::FxHashMap;
use std::sync::mpsc::SyncSender;

/// Rooms that one thread mixes; who enters one more hears nobody.
const ROOMS_MAX: usize = 4096;

/// Frames of one tick for another thread.
#[derive(Default)]
pub(super) struct Frames {
    from: usize,
    /// What parties of the sender say in rooms of the receiver.
    said: Vec<(RoomId, Spot, Frame)>,
    /// What parties of the receiver hear.
    heard: Vec<(Spot, Frame)>,
}

/// A party of ours in a room.
struct Seat {
    room: RoomId,
    heard: Lane,
    /// What it hears in this tick, where the room is ours.
    now: Option<Frame>,
}

pub(super) struct Rooms {
    /// Our own number among the threads.
    own: usize,
    threads: Vec<SyncSender<Work>>,
    rooms: FxHashMap<RoomId, Room>,
    seats: FxHashMap<Spot, Seat>,
    /// By thread.
    outgoing: Vec<Frames>,
}

impl Rooms {
    pub fn new(own: usize, threads: Vec<SyncSender<Work>>) -> Rooms {
        let outgoing = threads.iter().map(|_| Frames::default()).collect();
        Rooms { own, threads, rooms: FxHashMap::default(), seats: FxHashMap::default(), outgoing }
    }

    fn home(&self, room: RoomId) -> usize {
        Subject::Room(room).thread(self.threads.len())
    }

    /// Nobody is in a room here.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.seats.is_empty()
    }

    /// Parties of this thread in rooms, wherever these are.
    pub fn members(&self) -> usize {
        self.seats.len()
    }

    pub fn join(&mut self, at: Spot, room: RoomId) {
        self.leave(at);
        self.seats.insert(at, Seat { room, heard: Lane::default(), now: None });
    }

    /// What is said in a room of ours is written from now on; see [`Rooms::mix`].
    pub fn record(&mut self, room: RoomId) {
        if self.rooms.len() < ROOMS_MAX || self.rooms.contains_key(&room) {
            self.rooms.entry(room).or_default().record();
        }
    }

    /// See [`Rooms::record`]: no longer.
    pub fn end_recording(&mut self, room: RoomId) {
        if let Some(room) = self.rooms.get_mut(&room) {
            room.end_recording();
        }
    }

    /// On another thread it is noticed that nothing comes any more.
    pub fn leave(&mut self, at: Spot) {
        if let Some(seat) = self.seats.remove(&at)
            && let Some(room) = self.rooms.get_mut(&seat.room)
        {
            room.leave(at);
        }
    }

    /// What a party of ours says in this tick.
    pub fn say(&mut self, at: Spot, frame: &Frame) {
        let Some(room) = self.seats.get(&at).map(|seat| seat.room) else { return };
        let home = self.home(room);
        if home == self.own {
            self.said(room, at, Whence::Here, *frame);
        } else if let Some(frames) = self.outgoing.get_mut(home) {
            frames.said.push((room, at, *frame));
        }
    }

    fn said(&mut self, room: RoomId, at: Spot, whence: Whence, frame: Frame) {
        if self.rooms.len() < ROOMS_MAX || self.rooms.contains_key(&room) {
            self.rooms.entry(room).or_default().say(at, whence, frame);
        }
    }

    /// What has come from another thread.
    pub fn take(&mut self, frames: Frames) {
        for (room, at, frame) in frames.said {
            self.said(room, at, Whence::Thread(frames.from), frame);
        }
        for (at, frame) in frames.heard {
            if let Some(seat) = self.seats.get_mut(&at) {
                seat.heard.put(frame);
            }
        }
    }

    /// All have spoken: the rooms of this thread are mixed, and what others are to have goes out. A thread that is behind misses it. What is to
    /// be written of rooms comes out.
    pub fn mix(&mut self, mut records: impl FnMut(RoomId, Frame)) {
        for (id, room) in &mut self.rooms {
            let all = room.mix(|at, whence, frame| match whence {
                Whence::Here => {
                    if let Some(seat) = self.seats.get_mut(&at) {
                        seat.now = Some(frame);
                    }
                }
                Whence::Thread(thread) => {
                    if let Some(frames) = self.outgoing.get_mut(thread) {
                        frames.heard.push((at, frame));
                    }
                }
            });
            all.into_iter().for_each(|frame| records(*id, frame));
        }
        self.rooms.retain(|_, room| !room.is_over());
        for (thread, frames) in self.threads.iter().zip(&mut self.outgoing) {
            if !frames.said.is_empty() || !frames.heard.is_empty() {
                let frames = Frames { from: self.own, ..std::mem::take(frames) };
                let _ = thread.try_send(Work::Frames(frames));
            }
        }
    }

    /// What a party of ours hears in this tick. `None`: it is in no room, or nothing has come.
    pub fn hears(&mut self, at: Spot) -> Option<Frame> {
        let seat = self.seats.get_mut(&at)?;
        seat.now.take().or_else(|| seat.heard.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{RelayId, Side};
    use crate::voice::codec::FRAME;
    use std::sync::mpsc::{Receiver, sync_channel};

    fn at(n: u64) -> Spot {
        Spot { relay: RelayId(n), side: Side::A }
    }

    /// As many threads, that know each other.
    fn threads(count: usize) -> Vec<(Rooms, Receiver<Work>)> {
        let (senders, queues): (Vec<_>, Vec<_>) = (0..count).map(|_| sync_channel(8)).unzip();
        let rooms = (0..count).map(|own| Rooms::new(own, senders.clone()));
        rooms.zip(queues).collect()
    }

    fn tick((rooms, queue): &mut (Rooms, Receiver<Work>), said: &[(u64, i16)]) -> Vec<i16> {
        while let Ok(Work::Frames(frames)) = queue.try_recv() {
            rooms.take(frames);
        }
        said.iter().for_each(|(n, value)| rooms.say(at(*n), &[*value; FRAME]));
        rooms.mix(|_, _| {});
        said.iter().map(|(n, _)| rooms.hears(at(*n)).map_or(0, |frame| frame[0])).collect()
    }

    #[test]
    fn parties_of_two_threads_hear_each_other_in_one_room() {
        let mut threads = threads(2);
        let room = RoomId(7); // of the second thread
        threads[0].0.join(at(2), room);
        threads[1].0.join(at(1), room);
        threads[1].0.join(at(3), room);
        let mut heard = Vec::new();
        for _ in 0..10 {
            let far = tick(&mut threads[0], &[(2, 200)]);
            heard = [far, tick(&mut threads[1], &[(1, 10), (3, 3000)])].concat();
        }
        assert_eq!(heard, [3010, 3200, 210]);
        threads[0].0.leave(at(2));
        assert!(threads[0].0.is_empty());
        for _ in 0..10 {
            heard = tick(&mut threads[1], &[(1, 10), (3, 3000)]);
        }
        assert_eq!(heard, [3000, 10], "whoever has left is silent");
    }

    #[test]
    fn a_room_is_recorded_until_that_is_over_though_nobody_is_there_for_a_while() {
        let mut rooms = threads(1).pop().unwrap().0;
        let written = |rooms: &mut Rooms, says: Option<i16>, ticks: u32| {
            let mut frames = Vec::new();
            for _ in 0..ticks {
                says.into_iter().for_each(|value| rooms.say(at(1), &[value; FRAME]));
                rooms.mix(|room, frame| frames.push((room, frame[0])));
            }
            frames.dedup();
            frames
        };
        rooms.record(RoomId(1));
        assert_eq!(written(&mut rooms, None, 200), [(RoomId(1), 0)], "the moderator is still to come");
        for value in [300, 40] {
            rooms.join(at(1), RoomId(1));
            assert_eq!(written(&mut rooms, Some(value), 9), [(RoomId(1), value)]);
            rooms.leave(at(1));
            assert_eq!(written(&mut rooms, None, 200), [(RoomId(1), 0)], "all hold");
        }
        rooms.end_recording(RoomId(1));
        assert_eq!(written(&mut rooms, None, 60), []);
        assert!(rooms.is_empty());
    }

    #[test]
    fn whoever_is_alone_or_in_no_room_hears_nobody() {
        let mut threads = threads(1);
        threads[0].0.join(at(1), RoomId(1));
        assert_eq!(tick(&mut threads[0], &[(1, 10), (2, 20)]), [0, 0]);
        threads[0].0.join(at(1), RoomId(2));
        threads[0].0.join(at(2), RoomId(1));
        assert_eq!(tick(&mut threads[0], &[(1, 10), (2, 20)]), [0, 0], "another room");
        threads[0].0.leave(at(1));
        threads[0].0.leave(at(2));
        (0..60).for_each(|_| drop(tick(&mut threads[0], &[])));
        assert!(threads[0].0.is_empty());
    }
}
