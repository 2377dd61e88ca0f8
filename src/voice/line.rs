//! The sound of one source: its packets put in order, decoded, made even and brought to our rate.
//!
//! A codec that remembers what came before has to be given packets in their order: those that come too early wait until the ones before
//! them have come, or until there is nothing else left to play; then what is missing is concealed.
//!
//! Invariants: at most [`WAITING_MAX`] packets wait; a packet is decoded once or not at all.

use super::codec::{Codec, Decoder, FRAME, RATE};
use super::digit::Digit;
use super::half::Doubler;
use super::in_band::InBand;
use super::jitter::Jitter;
use std::collections::VecDeque;

/// Packets that wait for one before them; with one more it is waited no longer.
const WAITING_MAX: usize = 12;
/// A sequence number further from what is expected begins anew (RFC 3550 appendix A.1).
const SEQUENCE_JUMP: i16 = 1000;
/// Samples that are concealed in a row: 60 ms. What is longer fades into silence.
const CONCEALED_MAX: usize = 3 * FRAME;

#[derive(Debug)]
pub struct Line {
    codec: Codec,
    decoder: Decoder,
    jitter: Jitter,
    /// Where the codec has half our rate.
    doubler: Option<Box<Doubler>>,
    /// In the order of their sequence numbers.
    waiting: VecDeque<Waiting>,
    /// Sequence number and timestamp of the packet that comes next.
    expected: Option<(u16, u32)>,
    decoded: Vec<i16>,
    /// Since it was last asked.
    missed: Missed,
}

/// What of a party was not heard as it was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Packets that came too late.
    pub late: u64,
    /// Times that the decoder made up what was lost.
    pub concealed: u64,
}

impl std::ops::AddAssign for Missed {
    fn add_assign(&mut self, more: Missed) {
        self.late += more.late;
        self.concealed += more.concealed;
    }
}

#[derive(Debug)]
struct Waiting {
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

/// How far one sequence number is after another, around their wrap.
fn after(one: u16, other: u16) -> i16 {
    one.wrapping_sub(other).cast_signed()
}

impl Line {
    #[must_use]
    pub fn new(codec: Codec) -> Line {
        Line {
            codec,
            decoder: Decoder::new(codec),
            jitter: Jitter::new(codec.rate(), codec.clock()),
            doubler: (codec.rate() < RATE).then(Box::default),
            waiting: VecDeque::new(),
            expected: None,
            decoded: Vec::new(),
            missed: Missed::default(),
        }
    }

    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// A packet of it.
    pub fn packet(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) {
        if let Decoder::G711(_) = self.decoder {
            return self.decode(timestamp, payload); // each octet is by itself
        }
        let ahead = self.expected.map_or(0, |(expected, _)| after(sequence, expected));
        if ahead.unsigned_abs() > SEQUENCE_JUMP.unsigned_abs() {
            self.waiting.clear();
            self.expected = None;
        } else if ahead < 0 || self.waiting.iter().any(|waiting| waiting.sequence == sequence) {
            self.missed.late += u64::from(ahead < 0); // it was given up
            return;
        }
        let at = self.waiting.partition_point(|waiting| after(waiting.sequence, sequence) < 0);
        self.waiting.insert(at, Waiting { sequence, timestamp, payload: payload.to_vec() });
        self.decode_in_order();
        if self.waiting.len() > WAITING_MAX {
            self.give_up();
        }
    }

    fn decode_in_order(&mut self) {
        while let Some(next) = self.waiting.front()
            && self.expected.is_none_or(|(expected, _)| expected == next.sequence)
            && let Some(Waiting { sequence, timestamp, payload }) = self.waiting.pop_front()
        {
            let samples = self.decode_counted(timestamp, &payload);
            let units = samples as u64 * u64::from(self.codec.clock()) / u64::from(self.codec.rate());
            self.expected = Some((sequence.wrapping_add(1), timestamp.wrapping_add(units as u32)));
        }
    }

    fn decode(&mut self, timestamp: u32, payload: &[u8]) {
        self.decode_counted(timestamp, payload);
    }

    fn decode_counted(&mut self, timestamp: u32, payload: &[u8]) -> usize {
        self.decoded.clear();
        self.decoder.decode(payload, &mut self.decoded);
        self.jitter.put(timestamp, &self.decoded);
        self.decoded.len()
    }

    /// What is missing before the next packet that is there will not come any more.
    fn give_up(&mut self) {
        let (Some(next), Some((_, timestamp))) = (self.waiting.front(), self.expected) else { return };
        let units = next.timestamp.wrapping_sub(timestamp).cast_signed().max(0);
        let missing = i64::from(units) * i64::from(self.codec.rate()) / i64::from(self.codec.clock());
        let missing = usize::try_from(missing).unwrap_or(0).min(CONCEALED_MAX);
        self.expected = Some((next.sequence, next.timestamp));
        self.decoded.clear();
        self.decoder.conceal(missing, &mut self.decoded);
        if !self.decoded.is_empty() {
            self.missed.concealed += 1;
            self.jitter.put(timestamp, &self.decoded);
        }
        self.decode_in_order();
    }

    /// Since this was last asked.
    pub fn missed(&mut self) -> Missed {
        self.missed.late += self.jitter.late();
        std::mem::take(&mut self.missed)
    }

    /// The next frame, and the keys that are heard in it.
    pub fn take(&mut self, frame: &mut [i16], in_band: Option<&mut InBand>, told: impl FnMut(Digit)) {
        let wanted = (self.codec.rate() / 50) as usize;
        while !self.waiting.is_empty() && self.jitter.ready() < wanted {
            self.give_up();
        }
        let Some(doubler) = &mut self.doubler else {
            self.jitter.take(frame);
            return;
        };
        let mut half = [0; FRAME / 2];
        self.jitter.take(&mut half);
        if let Some(in_band) = in_band {
            in_band.take(&half, told);
        }
        doubler.double(&half, frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::codec::Encoder;
    use crate::voice::measure::{largest_step, level_dbm0, sine};

    /// A tone by that codec; of each hundred packets, those come as they are told to: none of `lost`, and each of `late` after the next.
    fn heard(codec: Codec, hz: f64, lost: &[usize], late: &[usize]) -> Vec<i16> {
        let (mut encoder, mut line) = (Encoder::new(codec), Line::new(codec));
        let units = codec.clock() / 50;
        let packets: Vec<Vec<u8>> = sine(hz, -10.0, 200 * FRAME)
            .chunks(FRAME)
            .map(|samples| {
                let mut payload = Vec::new();
                encoder.encode(samples, &mut payload);
                payload
            })
            .collect();
        let mut order: Vec<usize> = (0..packets.len()).filter(|n| !lost.contains(&(n % 100))).collect();
        for two in order.chunks_mut(2).filter(|two| late.contains(&(two[0] % 100))) {
            two.reverse();
        }
        let mut out = Vec::new();
        let mut coming = order.into_iter().peekable();
        for tick in 0..packets.len() {
            while let Some(n) = coming.next_if(|n| *n <= tick) {
                let timestamp = u32::MAX.wrapping_add(n as u32 * units);
                line.packet(65_400_u16.wrapping_add(n as u16), timestamp, &packets[n]);
            }
            let mut frame = [0; FRAME];
            line.take(&mut frame, None, |_| {});
            out.extend(frame);
        }
        out
    }

    #[test]
    fn packets_that_come_in_the_wrong_order_are_heard_in_the_right_one() {
        for codec in Codec::ALL {
            let (even, mixed) = (heard(codec, 500.0, &[], &[]), heard(codec, 500.0, &[], &[10, 50, 77]));
            assert!(even == mixed, "{codec:?}");
        }
    }

    #[test]
    fn a_packet_that_is_lost_is_concealed_by_opus() {
        let sound = heard(Codec::Opus, 500.0, &[50], &[]);
        let levels: Vec<f64> = sound[10 * FRAME..].chunks_exact(FRAME).map(level_dbm0).collect();
        assert!(levels.iter().all(|level| *level > -40.0), "{levels:?}"); // no silence
        let quiet = levels.iter().filter(|level| **level < -12.0).count();
        assert!(quiet <= 2 * 5, "the tone is back after 100 ms: {levels:?}"); // two are lost
        let steepest = largest_step(&sine(500.0, -10.0, 320));
        assert!(largest_step(&sound[10 * FRAME..]) < steepest * 3 / 2, "no click");
    }

    #[test]
    fn garbage_is_passed_over_and_little_of_it_is_kept() {
        for codec in Codec::ALL {
            let mut line = Line::new(codec);
            let mut state = 1_u32;
            for _ in 0..2000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let payload = state.to_be_bytes().repeat((state >> 28) as usize);
                line.packet((state >> 16) as u16 % 3000, state, &payload);
                assert!(line.waiting.len() <= WAITING_MAX);
                let mut frame = [0; FRAME];
                line.take(&mut frame, None, |_| {});
            }
        }
    }
}
