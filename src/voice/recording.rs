//! A call that is recorded: both parties, side by side, as a frame of two channels a tick. The file is written elsewhere.

use super::codec::{FRAME, RATE};
use super::ear::Ear;
use super::half::Halver;
use super::line::Missed;
use super::packet::Format;
use crate::relay::Side;

/// The caller's side is the left channel.
#[derive(Debug)]
pub struct Recording {
    a: Ear,
    b: Ear,
    /// Where nobody speaks wideband: the file has half our rate, and half the size.
    halvers: Option<Box<[Halver; 2]>>,
    frames: u64,
}

impl Recording {
    /// Of parties that speak so, as far as it is known.
    #[must_use]
    pub fn new([a, b]: [Vec<Format>; 2]) -> Recording {
        // Each speaks in the first of them, as long as it has no reason not to.
        let wide = [a.first(), b.first()].into_iter().flatten().any(|format| format.codec.rate() == RATE);
        let halvers = (!wide).then(Box::default);
        Recording { a: Ear::without_keys(a), b: Ear::without_keys(b), halvers, frames: 0 }
    }

    /// The parties speak so from now on. The rate of the file stays what it is.
    pub fn listen_for(&mut self, [a, b]: [Vec<Format>; 2]) {
        self.a.listen_for(a);
        self.b.listen_for(b);
    }

    /// Samples a second of each channel.
    #[must_use]
    pub fn rate(&self) -> u32 {
        if self.halvers.is_some() { RATE / 2 } else { RATE }
    }

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
        let both = |left: &[i16], right: &[i16]| {
            left.iter().zip(right).flat_map(|(left, right)| [*left, *right]).collect()
        };
        let Some(halvers) = &mut self.halvers else { return both(&left, &right) };
        let [of_left, of_right] = &mut **halvers;
        let (mut half_left, mut half_right) = (Vec::new(), Vec::new());
        of_left.halve(&left, &mut half_left);
        of_right.halve(&right, &mut half_right);
        both(&half_left, &half_right)
    }

    /// Of both parties: see [`Ear::missed`].
    pub fn missed(&mut self) -> Missed {
        let mut missed = self.a.missed();
        missed += self.b.missed();
        missed
    }

    /// How many frames there were: the number of the next one.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::codec::Codec;
    use crate::voice::measure::{share_at, sine};
    use crate::voice::packet::{Seed, Stream};

    #[test]
    fn each_party_is_in_its_own_channel_at_the_best_rate_that_either_has() {
        for (codecs, rate) in [
            ([Codec::Pcmu, Codec::Pcma], 8000),
            ([Codec::Opus, Codec::Pcmu], 16_000),
            ([Codec::G722; 2], 16_000),
        ] {
            let formats = codecs.map(Format::plain);
            let mut recording = Recording::new(formats.map(|format| vec![format]));
            assert_eq!(recording.rate(), rate);
            let seed = |ssrc| Seed { ssrc, sequence: 0, timestamp: 0 };
            let (mut a, mut b) = (Stream::new(formats[0], seed(1)), Stream::new(formats[1], seed(2)));
            let (low, high) = (sine(400.0, -10.0, 100 * FRAME), sine(1200.0, -10.0, 100 * FRAME));
            let mut both = Vec::new();
            for (low, high) in low.chunks(FRAME).zip(high.chunks(FRAME)) {
                recording.heard(Side::A, &a.sound(low));
                recording.heard(Side::B, &b.sound(high));
                both.extend(recording.tick());
                a.advance();
                b.advance();
            }
            assert_eq!(both.len(), 2 * 2 * rate as usize);
            let channel = |of: usize| both.iter().skip(of).step_by(2).copied().collect::<Vec<i16>>();
            let later = rate as usize / 5;
            assert!(share_at(&channel(0)[later..], 400.0, f64::from(rate)) > 0.99, "{codecs:?}");
            assert!(share_at(&channel(1)[later..], 1200.0, f64::from(rate)) > 0.99, "{codecs:?}");
            assert_eq!(recording.frames(), 100);
        }
    }

    #[test]
    fn a_party_that_changes_how_it_speaks_is_heard_on() {
        let opus = |payload_type| Format { payload_type, ..Format::plain(Codec::Opus) };
        let mut recording = Recording::new([vec![Format::plain(Codec::Pcmu)], vec![]]);
        let tone = sine(400.0, -10.0, 50 * FRAME);
        let channel = |recording: &mut Recording, format, ssrc| {
            let mut stream = Stream::new(format, Seed { ssrc, sequence: 0, timestamp: 0 });
            let mut left = Vec::new();
            for samples in tone.chunks(FRAME) {
                recording.heard(Side::A, &stream.sound(samples));
                left.extend(recording.tick().into_iter().step_by(2));
                stream.advance();
            }
            share_at(&left[4000..], 400.0, f64::from(recording.rate()))
        };
        assert!(channel(&mut recording, Format::plain(Codec::Pcmu), 1) > 0.99);
        // A transfer to a phone of another codec; and any of those that were agreed on may come.
        recording
            .listen_for([vec![opus(111), Format { payload_type: 98, ..Format::plain(Codec::G722) }], vec![]]);
        assert!(channel(&mut recording, opus(111), 2) > 0.95);
        assert!(channel(&mut recording, Format { payload_type: 98, ..Format::plain(Codec::G722) }, 2) > 0.95);
        recording.listen_for([vec![opus(96)], vec![]]);
        assert!(channel(&mut recording, opus(96), 3) > 0.95);
        assert_eq!(recording.rate(), 8000, "the file is what it was");
    }
}
