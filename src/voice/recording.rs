//! A call that is recorded: both parties, side by side, as a frame of two channels a tick. The file is written elsewhere.

use super::codec::FRAME;
use super::ear::Ear;
use crate::relay::Side;

/// The caller's side is the left channel.
#[derive(Debug)]
pub struct Recording {
    a: Ear,
    b: Ear,
    frames: u64,
}

impl Default for Recording {
    fn default() -> Recording {
        Recording { a: Ear::without_keys(), b: Ear::without_keys(), frames: 0 }
    }
}

impl Recording {
    /// A packet of the party on that side.
    pub fn heard(&mut self, side: Side, packet: &[u8]) {
        let ear = match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        };
        ear.packet(packet);
    }

    /// The next twenty milliseconds, left and right by turns.
    pub fn tick(&mut self) -> Vec<i16> {
        let (mut left, mut right) = ([0; FRAME], [0; FRAME]);
        self.a.take(&mut left, |_| {});
        self.b.take(&mut right, |_| {});
        self.frames += 1;
        left.into_iter().zip(right).flat_map(|(left, right)| [left, right]).collect()
    }

    /// How many frames there were.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::codec::Codec;
    use crate::voice::measure::{share, sine};
    use crate::voice::packet::{Format, Seed, Stream};

    #[test]
    fn each_party_is_in_its_own_channel() {
        let mut recording = Recording::default();
        let seed = |ssrc| Seed { ssrc, sequence: 0, timestamp: 0 };
        let mut a = Stream::new(Format::plain(Codec::Pcmu), seed(1));
        let mut b = Stream::new(Format::plain(Codec::Pcma), seed(2));
        let (low, high) = (sine(400.0, -10.0, 100 * FRAME), sine(1200.0, -10.0, 100 * FRAME));
        let mut both = Vec::new();
        for (low, high) in low.chunks(FRAME).zip(high.chunks(FRAME)) {
            recording.heard(Side::A, &a.sound(low));
            recording.heard(Side::B, &b.sound(high));
            both.extend(recording.tick());
            a.advance();
            b.advance();
        }
        let channel = |of: usize| both.iter().skip(of).step_by(2).copied().collect::<Vec<i16>>();
        assert!(share(&channel(0)[800..], 400.0) > 0.99);
        assert!(share(&channel(1)[800..], 1200.0) > 0.99);
        assert_eq!(recording.frames(), 100);
    }
}
