//! A conference room as sound: each member hears all others and not themselves. A tick takes a frame of everybody and gives everybody one.
//!
//! Members whose ears are on another voice thread are heard by frames that come from there, a little later and less evenly: two of them wait
//! before the first is taken.
//!
//! Invariants: a room has [`MEMBERS_MAX`] members at the most; who has said nothing for a second, not even silence, is no member any more.

use super::Spot;
use super::codec::FRAME;
use super::mix;
use std::collections::VecDeque;

/// The name of a room, to both planes. Never reused while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub u64);

/// Members of one room; whoever comes beyond is not heard.
pub const MEMBERS_MAX: usize = 256;
/// Frames from another thread that wait before the first is taken: its ticks are not ours.
const AHEAD: usize = 2;
/// And at the most; the oldest goes for one more.
const WAITING_MAX: usize = 5;
/// Ticks without a frame, after which a member is gone.
const GONE_TICKS: u32 = 50;

pub type Frame = [i16; FRAME];

/// Frames of one member on their way from one thread to another.
#[derive(Debug, Default)]
pub struct Lane {
    frames: VecDeque<Frame>,
    steady: bool,
}

impl Lane {
    pub fn put(&mut self, frame: Frame) {
        if self.frames.len() == WAITING_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
        self.steady |= self.frames.len() >= AHEAD;
    }

    /// The next one. `None`: silence, and they gather anew.
    pub fn take(&mut self) -> Option<Frame> {
        let frame = if self.steady { self.frames.pop_front() } else { None };
        self.steady = frame.is_some();
        frame
    }
}

/// Where a member's ear and mouth are: on the room's own thread, or on that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    Here,
    Thread(usize),
}

#[derive(Debug)]
struct Member {
    at: Spot,
    whence: Whence,
    lane: Lane,
    /// Ticks since its last frame.
    missed: u32,
}

impl Member {
    fn take(&mut self) -> Frame {
        let frame = match self.whence {
            Whence::Here => self.lane.frames.pop_front(),
            Whence::Thread(_) => self.lane.take(),
        };
        self.missed = if frame.is_some() { 0 } else { self.missed + 1 };
        frame.unwrap_or([0; FRAME])
    }
}

#[derive(Debug, Default)]
pub struct Room {
    members: Vec<Member>,
    /// What all say together is wanted.
    recorded: bool,
    /// Ticks without anybody.
    vacant: u32,
}

impl Room {
    /// A member says this; whoever was none is one from now on.
    pub fn say(&mut self, at: Spot, whence: Whence, frame: Frame) {
        if let Some(member) = self.members.iter_mut().find(|member| member.at == at) {
            return member.lane.put(frame);
        }
        if self.members.len() < MEMBERS_MAX {
            let mut member = Member { at, whence, lane: Lane::default(), missed: 0 };
            member.lane.put(frame);
            self.members.push(member);
        }
    }

    pub fn leave(&mut self, at: Spot) {
        self.members.retain(|member| member.at != at);
    }

    /// From now on [`Room::mix`] tells what all say together.
    pub fn record(&mut self) {
        self.recorded = true;
    }

    /// It is over with that.
    pub fn end_recording(&mut self) {
        self.recorded = false;
    }

    /// Nobody is there, and nobody has come in the last second: those of other threads take a moment. One that is recorded waits for whoever is
    /// to come back.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.members.is_empty() && self.vacant >= GONE_TICKS && !self.recorded
    }

    /// A tick: what each member hears now, and what all of them say, where that is wanted.
    pub fn mix(&mut self, mut hears: impl FnMut(Spot, Whence, Frame)) -> Option<Frame> {
        let said: Vec<Frame> = self.members.iter_mut().map(Member::take).collect();
        for (member, frame) in self.members.iter().zip(mix::others(&said)) {
            hears(member.at, member.whence, frame);
        }
        self.members.retain(|member| member.missed < GONE_TICKS);
        self.vacant = if self.members.is_empty() { self.vacant.saturating_add(1) } else { 0 };
        self.recorded.then(|| mix::all(&said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{RelayId, Side};

    fn at(n: u64) -> Spot {
        Spot { relay: RelayId(n), side: Side::A }
    }

    fn heard(room: &mut Room) -> Vec<(u64, i16)> {
        let mut all = Vec::new();
        room.mix(|at, _, frame| all.push((at.relay.0, frame[0])));
        all
    }

    #[test]
    fn each_hears_the_others_and_whoever_leaves_is_heard_no_more() {
        let mut room = Room::default();
        let say = |room: &mut Room, n: u64, value| room.say(at(n), Whence::Here, [value; FRAME]);
        [(1, 10), (2, 200), (3, 3000)].into_iter().for_each(|(n, value)| say(&mut room, n, value));
        assert_eq!(heard(&mut room), [(1, 3200), (2, 3010), (3, 210)]);
        room.leave(at(2));
        [(1, 10), (3, 3000)].into_iter().for_each(|(n, value)| say(&mut room, n, value));
        assert_eq!(heard(&mut room), [(1, 3000), (3, 10)]);
        room.leave(at(1));
        room.leave(at(3));
        assert!(room.members.is_empty() && !room.is_over(), "somebody may be on their way");
        (0..GONE_TICKS).for_each(|_| drop(heard(&mut room)));
        assert!(room.is_over());
    }

    #[test]
    fn frames_of_another_thread_that_come_unevenly_are_heard_evenly() {
        let mut room = Room::default();
        let far = |room: &mut Room, value| room.say(at(2), Whence::Thread(1), [value; FRAME]);
        let mut heard_by_first = Vec::new();
        for tick in 0..40_i16 {
            room.say(at(1), Whence::Here, [0; FRAME]);
            // Every fourth comes a tick late, together with the one after it.
            match tick % 4 {
                2 => {}
                3 => [tick - 1, tick].into_iter().for_each(|value| far(&mut room, value)),
                _ => far(&mut room, tick),
            }
            heard_by_first.push(heard(&mut room)[0].1);
        }
        let sounding: Vec<i16> = heard_by_first.into_iter().skip_while(|value| *value == 0).collect();
        assert!(sounding.windows(2).all(|two| two[1] == two[0] + 1), "{sounding:?}");
    }

    #[test]
    fn a_thread_that_says_too_much_is_cut_and_one_that_says_nothing_any_more_is_forgotten() {
        let mut room = Room::default();
        (0..100).for_each(|value| room.say(at(2), Whence::Thread(1), [value; FRAME]));
        assert_eq!(room.members[0].lane.frames.len(), WAITING_MAX);
        for _ in 0..WAITING_MAX + GONE_TICKS as usize {
            assert!(!room.members.is_empty());
            heard(&mut room);
        }
        assert!(room.members.is_empty());
    }

    #[test]
    fn what_all_say_together_is_told_where_it_is_recorded() {
        let mut room = Room::default();
        let said = |room: &mut Room| {
            (1..=3).for_each(|n| room.say(at(n), Whence::Here, [100; FRAME]));
            room.mix(|_, _, _| {}).map(|frame| frame[7])
        };
        assert_eq!(said(&mut room), None);
        room.record();
        assert_eq!(said(&mut room), Some(300));
    }

    #[test]
    fn a_room_that_is_full_hears_nobody_more() {
        let mut room = Room::default();
        (0..=MEMBERS_MAX as u64).for_each(|n| room.say(at(n), Whence::Here, [1; FRAME]));
        let all = heard(&mut room);
        assert_eq!(all.len(), MEMBERS_MAX);
        assert!(all.iter().all(|(_, value)| usize::from(value.unsigned_abs()) == MEMBERS_MAX - 1));
    }
}
