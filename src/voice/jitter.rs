//! The jitter buffer of an ear: packets come unevenly, out of order, or not at all; sound is taken evenly. Samples lie where their timestamp
//! puts them; what is missing is silence.
//!
//! Invariants: it never holds more than [`DEPTH_MAX`]; what is late is dropped, and time never runs backwards.

use super::codec::{FRAME, RATE};
use std::collections::VecDeque;

/// How much is gathered before the first sample is given out: 60 ms.
const DEPTH: usize = 3 * FRAME;
/// The most that waits; with one packet more the oldest goes: 240 ms.
pub const DEPTH_MAX: usize = 12 * FRAME;
/// A packet further from what is expected begins anew: a second.
const JUMP: usize = RATE as usize;
/// A buffer that was deeper than it needs to be for so many looks is made shallower by a frame: 10 s. So a sender whose clock is fast by a
/// little doesn't make its listeners lag.
const LOOKS: u32 = 500;
/// Looks after which what has come is given out even if no more does: a short sound.
const PATIENCE: u32 = 5;

#[derive(Debug, Default)]
pub struct Jitter {
    samples: VecDeque<i16>,
    /// The timestamp of the first of them, or of the one to come next.
    next: Option<u32>,
    /// `Some`: nothing is given out until enough is there; how often that was looked at with something there.
    gathering: Option<u32>,
    /// The least that lay ready at each look, over the last of them, and how many those are.
    least: usize,
    looks: u32,
}

impl Jitter {
    /// What a packet brought.
    pub fn put(&mut self, timestamp: u32, samples: &[i16]) {
        let next = match self.next {
            Some(next) if !(self.samples.is_empty() && self.gathering.is_some()) => next,
            _ => self.restart(timestamp),
        };
        let ahead = timestamp.wrapping_sub(next).cast_signed();
        let far = ahead.unsigned_abs() as usize;
        let (at, samples) = if far > JUMP {
            self.restart(timestamp);
            (0, samples)
        } else if ahead < 0 {
            (0, samples.get(far..).unwrap_or_default())
        } else {
            (far, samples)
        };
        if samples.is_empty() {
            return; // too late
        }
        let end = at + samples.len();
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        self.samples.range_mut(at..end).zip(samples).for_each(|(to, from)| *to = *from);
        if self.samples.len() > DEPTH_MAX {
            self.skip(self.samples.len() - DEPTH);
        }
    }

    /// Fills a frame: with silence where there is nothing. `false`: with nothing but silence.
    pub fn take(&mut self, frame: &mut [i16]) -> bool {
        frame.fill(0);
        if let Some(looks) = &mut self.gathering {
            *looks += u32::from(!self.samples.is_empty());
            if self.samples.len() < DEPTH && *looks <= PATIENCE {
                return false;
            }
            self.gathering = None;
        }
        let ready = self.samples.len().min(frame.len());
        self.settle();
        for (to, from) in frame.iter_mut().zip(self.samples.drain(..ready)) {
            *to = from;
        }
        self.next = self.next.map(|next| next.wrapping_add(ready as u32));
        if ready < frame.len() {
            self.gathering = Some(0);
        }
        ready > 0
    }

    fn restart(&mut self, timestamp: u32) -> u32 {
        self.samples.clear();
        self.next = Some(timestamp);
        self.gathering = Some(0);
        (self.least, self.looks) = (usize::MAX, 0);
        timestamp
    }

    /// Takes off a frame where more lay ready all the time than is needed.
    fn settle(&mut self) {
        self.least = self.least.min(self.samples.len());
        self.looks += 1;
        if self.looks == LOOKS {
            if self.least > DEPTH + FRAME && self.least != usize::MAX {
                self.skip(FRAME);
            }
            (self.least, self.looks) = (usize::MAX, 0);
        }
    }

    fn skip(&mut self, count: usize) {
        let count = count.min(self.samples.len());
        self.samples.drain(..count);
        self.next = self.next.map(|next| next.wrapping_add(count as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{share, sine};
    use proptest::prelude::*;

    const START: u32 = u32::MAX - 1000; // it wraps on the way

    fn timestamp(packet: usize) -> u32 {
        START.wrapping_add((packet * FRAME) as u32)
    }

    fn taken(jitter: &mut Jitter) -> Vec<i16> {
        let mut frame = [0; FRAME];
        jitter.take(&mut frame);
        frame.to_vec()
    }

    #[test]
    fn a_tone_whose_packets_come_unevenly_comes_out_whole() {
        let tone = sine(800.0, -10.0, 200 * FRAME);
        let packets: Vec<&[i16]> = tone.chunks(FRAME).collect();
        let mut jitter = Jitter::default();
        let mut out = Vec::new();
        for tick in 0..packets.len() {
            // Three at once every 60 ms, and the last two of them in the wrong order.
            if tick % 3 == 0 {
                for packet in [tick, tick + 2, tick + 1].into_iter().filter(|p| *p < packets.len()) {
                    jitter.put(timestamp(packet), packets[packet]);
                }
            }
            out.extend(taken(&mut jitter));
        }
        let begun = out.iter().position(|sample| *sample != 0).unwrap();
        assert!(begun <= DEPTH + 1, "it begins after {begun} samples");
        assert_eq!(out[begun - 1..], tone[..out.len() + 1 - begun]);
    }

    #[test]
    fn what_is_lost_is_silence_of_its_length() {
        let tone = sine(800.0, -10.0, 50 * FRAME);
        let mut jitter = Jitter::default();
        let mut out = Vec::new();
        for (packet, samples) in tone.chunks(FRAME).enumerate() {
            if packet % 10 != 5 {
                jitter.put(timestamp(packet), samples);
            }
            out.extend(taken(&mut jitter));
        }
        let delay = 2 * FRAME;
        for packet in 0..40 {
            let heard = &out[delay + packet * FRAME..][..FRAME];
            let lost = packet % 10 == 5;
            assert_eq!(heard.iter().all(|s| *s == 0), lost, "packet {packet}");
            assert!(lost || share(heard, 800.0) > 0.99);
        }
    }

    #[test]
    fn an_hour_with_a_fast_clock_neither_lags_nor_grows() {
        let mut jitter = Jitter::default();
        let (mut packet, mut silent) = (0, 0);
        for tick in 0..180_000_u64 {
            jitter.put(timestamp(packet), &[1; FRAME]);
            packet += 1;
            if tick % 10_000 == 0 {
                jitter.put(timestamp(packet), &[1; FRAME]); // 100 ppm: one packet more in 200 s
                packet += 1;
            }
            let frame = taken(&mut jitter);
            silent += usize::from(tick > 3 && frame.contains(&0));
            assert!(jitter.samples.len() <= 6 * FRAME, "tick {tick}: {} samples wait", jitter.samples.len());
        }
        assert_eq!(silent, 0);
    }

    #[test]
    fn after_a_pause_or_a_jump_it_goes_on_without_delay() {
        let mut jitter = Jitter::default();
        for packet in 0..10 {
            jitter.put(timestamp(packet), &[1; FRAME]);
            taken(&mut jitter);
        }
        (0..50).for_each(|_| drop(taken(&mut jitter)));
        for (tick, packet) in (60..64).enumerate() {
            jitter.put(timestamp(packet), &[2; FRAME]);
            let heard = taken(&mut jitter);
            assert_eq!(heard[0] == 2, tick >= 2, "tick {tick}");
        }
        jitter.put(timestamp(5), &[3; FRAME]); // late: nothing
        jitter.put(12_345_678, &[4; FRAME]);
        let later: Vec<i16> = (0..6).map(|_| taken(&mut jitter)[0]).collect();
        assert_eq!(later, [0, 0, 0, 0, 0, 4], "a single packet is given out in the end");
    }

    proptest! {
        #[test]
        fn whatever_comes_it_stays_small(
            packets in proptest::collection::vec((any::<u32>(), 0_usize..400, any::<bool>()), 0..200),
            near in any::<bool>(),
        ) {
            let mut jitter = Jitter::default();
            for (timestamp, length, takes) in packets {
                jitter.put(if near { timestamp % 20_000 } else { timestamp }, &vec![7; length]);
                prop_assert!(jitter.samples.len() <= DEPTH_MAX);
                if takes {
                    taken(&mut jitter);
                }
            }
        }
    }
}
