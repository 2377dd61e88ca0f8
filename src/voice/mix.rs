//! A conference of sound: each hears all others and not themselves.

use super::codec::FRAME;

/// What each of the speakers is to hear, in their order: the sum of all others, cut at full scale.
#[must_use]
pub fn others(speakers: &[[i16; FRAME]]) -> Vec<[i16; FRAME]> {
    let mut sum = [0_i32; FRAME];
    for frame in speakers {
        sum.iter_mut().zip(frame).for_each(|(all, one)| *all += i32::from(*one));
    }
    let without = |frame: &[i16; FRAME]| {
        let mut heard = [0; FRAME];
        for ((to, all), own) in heard.iter_mut().zip(&sum).zip(frame) {
            *to = cut(all - i32::from(*own));
        }
        heard
    };
    speakers.iter().map(without).collect()
}

/// All of them together, cut at full scale.
#[must_use]
pub fn all(speakers: &[[i16; FRAME]]) -> [i16; FRAME] {
    let mut sum = [0; FRAME];
    speakers.iter().for_each(|frame| add(&mut sum, frame));
    sum
}

/// Adds one sound to another, cut at full scale.
pub fn add(to: &mut [i16], from: &[i16]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = to.saturating_add(*from));
}

fn cut(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::measure::{share, sine};

    #[test]
    fn each_of_three_hears_the_other_two_and_not_themselves() {
        let tones = [600.0, 1000.0, 1700.0];
        let sounds = tones.map(|hz| sine(hz, -14.0, 50 * FRAME));
        let mut heard: [Vec<i16>; 3] = Default::default();
        for at in (0..50 * FRAME).step_by(FRAME) {
            let frames: Vec<[i16; FRAME]> =
                sounds.iter().map(|sound| sound[at..at + FRAME].try_into().unwrap()).collect();
            for (to, frame) in heard.iter_mut().zip(others(&frames)) {
                to.extend(frame);
            }
        }
        for (who, sound) in heard.iter().enumerate() {
            for (other, hz) in tones.into_iter().enumerate() {
                let part = share(sound, hz);
                let wanted = if who == other { part < 0.001 } else { (part - 0.5).abs() < 0.01 };
                assert!(wanted, "{who} hears {part} of {hz} Hz");
            }
        }
    }

    #[test]
    fn loud_voices_are_cut_and_do_not_turn_over() {
        let loud = [[30_000; FRAME], [30_000; FRAME], [30_000; FRAME]];
        assert!(others(&loud).iter().flatten().all(|sample| *sample == i16::MAX));
        assert!(others(&[[5; FRAME]]).iter().flatten().all(|sample| *sample == 0), "alone it is silent");
        let mut sum = [i16::MIN, 100];
        add(&mut sum, &[-1, 1]);
        assert_eq!(sum, [i16::MIN, 101]);
    }
}
