//! The jitter buffer of an ear: sound comes unevenly, out of order, or not at all; it is taken evenly. Samples lie where their timestamp
//! puts them; what is missing is silence.
//!
//! A sender's clock is never quite ours: where more and more waits, or less and less, a few milliseconds are taken off or put in, faded over at
//! the place where the sound is most like itself, so that it is not heard.
//!
//! Invariants: it never holds more than [`DEPTH_MAX`]; what is late is dropped, and time never runs backwards.

use std::collections::VecDeque;

/// How much is gathered before the first sample is given out, in frames: 60 ms.
const DEPTH: usize = 3;
/// The most that waits, in frames; with one packet more the oldest goes: 240 ms.
pub const DEPTH_MAX: usize = 12;
/// Looks after which the depth is set right by some ten milliseconds at most: 5 s. So clocks may differ by 2000 parts in a million.
const LOOKS: u32 = 250;
/// Looks after which what has come is given out even if no more does: a short sound.
const PATIENCE: u32 = 5;
/// Looks a second.
const FRAMES_A_SECOND: u32 = 50;

#[derive(Debug)]
pub struct Jitter {
    /// Samples and timestamp units a second.
    rate: u32,
    clock: u32,
    samples: VecDeque<i16>,
    /// The timestamp of the first of them, or of the one to come next.
    next: Option<u32>,
    /// `Some`: nothing is given out until enough is there; how often that was looked at with something there.
    gathering: Option<u32>,
    /// The least that lay ready at each look, over the last of them, and how many those are.
    least: usize,
    looks: u32,
    /// Packets that came too late.
    late: u64,
}

impl Jitter {
    /// For sound of so many samples a second, with so many timestamp units a second.
    #[must_use]
    pub fn new(rate: u32, clock: u32) -> Jitter {
        let (samples, next, gathering) = (VecDeque::new(), None, None);
        Jitter { rate, clock, samples, next, gathering, least: usize::MAX, looks: 0, late: 0 }
    }

    /// Samples of twenty milliseconds.
    fn frame(&self) -> usize {
        (self.rate / FRAMES_A_SECOND) as usize
    }

    /// How much waits, in samples.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.samples.len()
    }

    /// Packets that came too late since this was last asked.
    pub fn late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// What a packet brought.
    pub fn put(&mut self, timestamp: u32, samples: &[i16]) {
        let next = match self.next {
            Some(next) if !(self.samples.is_empty() && self.gathering.is_some()) => next,
            _ => self.restart(timestamp),
        };
        let units = timestamp.wrapping_sub(next).cast_signed();
        let ahead = i64::from(units) * i64::from(self.rate) / i64::from(self.clock.max(1));
        let far = usize::try_from(ahead.unsigned_abs()).unwrap_or(usize::MAX);
        let (at, samples) = if far > self.rate as usize {
            self.restart(timestamp); // a second: it begins anew
            (0, samples)
        } else if ahead < 0 {
            (0, samples.get(far..).unwrap_or_default())
        } else {
            (far, samples)
        };
        if samples.is_empty() {
            self.late += 1;
            return;
        }
        let end = at + samples.len();
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        self.samples.range_mut(at..end).zip(samples).for_each(|(to, from)| *to = *from);
        if self.samples.len() > DEPTH_MAX * self.frame() {
            let over = self.samples.len() - DEPTH * self.frame();
            self.samples.drain(..over);
            self.passed(over);
        }
    }

    /// Fills a frame: with silence where there is nothing. `false`: with nothing but silence.
    pub fn take(&mut self, frame: &mut [i16]) -> bool {
        frame.fill(0);
        if let Some(looks) = self.gathering {
            let looks = looks + u32::from(!self.samples.is_empty());
            self.gathering = Some(looks);
            if self.samples.len() < DEPTH * self.frame() && looks <= PATIENCE {
                return false;
            }
            self.gathering = None;
        }
        self.settle();
        let ready = self.samples.len().min(frame.len());
        for (to, from) in frame.iter_mut().zip(self.samples.drain(..ready)) {
            *to = from;
        }
        self.passed(ready);
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

    fn units(&self, samples: usize) -> u32 {
        (samples as u64 * u64::from(self.clock) / u64::from(self.rate.max(1))) as u32
    }

    fn passed(&mut self, samples: usize) {
        let units = self.units(samples);
        self.next = self.next.map(|next| next.wrapping_add(units));
    }

    /// Sets the depth right where all the time more lay ready than is needed, or less than is safe.
    fn settle(&mut self) {
        self.least = self.least.min(self.samples.len());
        self.looks += 1;
        if self.looks < LOOKS {
            return;
        }
        let frame = self.frame();
        if self.least > (DEPTH + 1) * frame {
            self.shorten();
        } else if self.least < 2 * frame {
            // One packet less, as when the clocks have drifted past each other by a tick, has to leave one.
            self.lengthen();
        }
        (self.least, self.looks) = (usize::MAX, 0);
    }

    /// Leaves out what lies between two places that are alike.
    fn shorten(&mut self) {
        let Some((lag, fade)) = self.alike() else { return };
        let sound = self.samples.make_contiguous();
        for n in 0..fade {
            sound[lag + n] = faded(sound[n], sound[lag + n], n, fade);
        }
        self.samples.drain(..lag);
        self.passed(lag);
    }

    /// Says what lies between two places that are alike twice.
    fn lengthen(&mut self) {
        let Some((lag, fade)) = self.alike() else { return };
        let sound = self.samples.make_contiguous();
        // Up to the second place and into the first one again.
        let over: Vec<i16> = (0..fade).map(|n| faded(sound[lag + n], sound[n], n, fade)).collect();
        let again: Vec<i16> = sound[..lag].iter().copied().chain(over).collect();
        self.samples.drain(..fade);
        again.into_iter().rev().for_each(|sample| self.samples.push_front(sample));
        let units = self.units(lag);
        self.next = self.next.map(|next| next.wrapping_sub(units));
    }

    /// How far on the sound is most like what comes now (five to fifteen milliseconds), and for how long that is looked at.
    fn alike(&mut self) -> Option<(usize, usize)> {
        let frame = self.frame();
        let fade = frame / 4;
        let lags = frame / 4..=frame * 3 / 4;
        let sound = self.samples.make_contiguous();
        if sound.len() < lags.end() + fade {
            return None;
        }
        let now = &sound[..fade];
        let likeness = |lag: usize| {
            let then = &sound[lag..lag + fade];
            let product: i64 = now.iter().zip(then).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            let power: i64 = then.iter().map(|b| i64::from(*b).pow(2)).sum();
            product as f64 / (power.max(1) as f64).sqrt()
        };
        // Two by two: a timestamp unit of G.722 is two samples.
        let best = lags.step_by(2).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)))?;
        Some((best, fade))
    }
}

/// From one sound to another: sample `n` of so many.
fn faded(from: i16, to: i16, n: usize, of: usize) -> i16 {
    let (done, of) = (n as i32 + 1, of as i32 + 1);
    ((i32::from(from) * (of - done) + i32::from(to) * done) / of) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{largest_step, level_dbm0, share_at, sine_at};
    use proptest::prelude::*;

    const RATE: u32 = 8000;
    const FRAME: usize = 160;
    /// A rate of fewer samples, for what lasts an hour.
    const SLOW: u32 = 2000;
    const SLOW_FRAME: usize = 40;

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
        let tone = sine_at(800.0, -10.0, 200 * FRAME, RATE);
        let packets: Vec<&[i16]> = tone.chunks(FRAME).collect();
        let mut jitter = Jitter::new(RATE, RATE);
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
        assert!(begun <= DEPTH * FRAME + 1, "it begins after {begun} samples");
        assert_eq!(out[begun - 1..], tone[..out.len() + 1 - begun]);
    }

    #[test]
    fn what_is_lost_is_silence_of_its_length() {
        let tone = sine_at(800.0, -10.0, 50 * FRAME, RATE);
        let mut jitter = Jitter::new(RATE, RATE);
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
            assert!(lost || share_at(heard, 800.0, 8000.0) > 0.99);
        }
    }

    /// A tone for an hour from a sender whose clock is off by so many parts in a million, with packets up to 15 ms late: how deep the buffer
    /// was at most, and the largest step between two samples.
    fn an_hour(ppm: f64) -> (usize, i32) {
        let packet = sine_at(200.0, -10.0, SLOW_FRAME, SLOW); // four whole cycles: they follow each other evenly
        let mut jitter = Jitter::new(SLOW, SLOW);
        let (mut sent, mut state, mut deepest, mut last, mut largest) = (0_usize, 1_u32, 0, 0_i32, 0);
        let mut frame = [0; SLOW_FRAME];
        for tick in 0..180_000 {
            let now = f64::from(tick) * 20.0;
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let late = f64::from(state >> 16) / 65_536.0 * 15.0;
            while sent as f64 * 20.0 * (1.0 - ppm / 1e6) + late <= now {
                jitter.put(START.wrapping_add((sent * SLOW_FRAME) as u32), &packet);
                sent += 1;
            }
            deepest = deepest.max(jitter.ready());
            let sounds = jitter.take(&mut frame);
            assert!(sounds || tick < 10, "silence at tick {tick}, {ppm} ppm");
            for sample in frame {
                largest = largest.max((i32::from(sample) - last).abs());
                last = i32::from(sample);
            }
        }
        assert_eq!(jitter.late(), 0);
        (deepest, largest)
    }

    #[test]
    fn an_hour_of_a_fast_clock_neither_lags_nor_clicks() {
        let (deepest, largest) = an_hour(100.0);
        assert!(deepest <= 6 * SLOW_FRAME, "{deepest} samples wait");
        assert!(largest <= largest_step(&sine_at(200.0, -10.0, 200, SLOW)) + 1, "a step of {largest}");
    }

    #[test]
    fn an_hour_of_a_slow_clock_neither_starves_nor_clicks() {
        let (deepest, largest) = an_hour(-100.0);
        assert!(deepest <= 6 * SLOW_FRAME, "{deepest} samples wait");
        assert!(largest <= largest_step(&sine_at(200.0, -10.0, 200, SLOW)) + 1, "a step of {largest}");
    }

    #[test]
    fn whatever_is_put_in_or_left_out_keeps_its_level() {
        for ppm in [-2000.0, 2000.0_f64] {
            let tone = sine_at(437.0, -10.0, 1600 * FRAME, RATE);
            let mut jitter = Jitter::new(RATE, RATE);
            let (mut out, mut sent) = (Vec::new(), 0);
            for tick in 0..1500 {
                while (sent as f64) * (1.0 - ppm / 1e6) <= f64::from(tick) {
                    jitter.put(timestamp(sent), &tone[sent * FRAME..][..FRAME]);
                    sent += 1;
                }
                out.extend(taken(&mut jitter));
            }
            for part in out[5 * FRAME..].chunks_exact(FRAME) {
                let level = level_dbm0(part);
                assert!((level + 10.0).abs() < 1.0, "{ppm} ppm: {level} dBm0");
            }
        }
    }

    #[test]
    fn after_a_pause_or_a_jump_it_goes_on_without_delay() {
        let mut jitter = Jitter::new(RATE, RATE);
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
            let mut jitter = Jitter::new(RATE, RATE);
            for (timestamp, length, takes) in packets {
                jitter.put(if near { timestamp % 20_000 } else { timestamp }, &vec![7; length]);
                prop_assert!(jitter.samples.len() <= DEPTH_MAX * FRAME);
                if takes {
                    taken(&mut jitter);
                }
            }
        }
    }
}
