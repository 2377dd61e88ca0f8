//! What a party says: the packets of its side as even sound, and the keys that it presses, as events or in the sound.
//!
//! Invariant: only the payload types of the party's session, and those that mean the same in every session, are decoded; what the parties have
//! agreed on beside them passes by as silence.

use super::codec::Codec;
use super::digit::Digit;
use super::event;
use super::in_band::InBand;
use super::line::{Line, Missed};
use super::packet::Format;
use rtp_rs::RtpReader;

#[derive(Debug, Default)]
pub struct Ear {
    /// How the party speaks, as far as its session says: it may change between these at any packet.
    formats: Vec<Format>,
    hearing: event::Hearing,
    /// Where the party has no events.
    in_band: Option<Box<InBand>>,
    /// The source that is heard (RFC 3550 §3), and its sound.
    source: Option<u32>,
    line: Option<Line>,
    /// Of lines that are over.
    missed: Missed,
}

impl Ear {
    /// A party of this session; one without telephone events is listened to for keys in its sound.
    #[must_use]
    pub fn new(format: Format) -> Ear {
        let in_band = format.event.is_none().then(Box::default);
        Ear { formats: vec![format], in_band, ..Ear::default() }
    }

    /// An ear for the sound alone. Without formats: of payload types that mean the same in every session.
    #[must_use]
    pub fn without_keys(formats: Vec<Format>) -> Ear {
        let mut ear = Ear::default();
        ear.listen_for(formats);
        ear
    }

    /// The sound alone is listened for, in these formats from now on.
    pub fn listen_for(&mut self, mut formats: Vec<Format>) {
        formats.iter_mut().for_each(|format| format.event = None);
        self.formats = formats;
    }

    /// A packet of the party. `Some`: a key that it tells of.
    pub fn packet(&mut self, packet: &[u8]) -> Option<Digit> {
        let packet = RtpReader::new(packet).ok()?;
        let (source, timestamp) = (packet.ssrc(), packet.timestamp());
        if self.source.replace(source) != Some(source) {
            self.hearing.restart();
            self.hang_up();
        }
        let payload_type = packet.payload_type();
        if self.formats.iter().any(|format| format.event == Some(payload_type)) {
            return self.hearing.packet(timestamp, packet.payload());
        }
        let codec = self.codec(payload_type)?;
        if self.line.as_ref().is_none_or(|line| line.codec() != codec) {
            self.hang_up();
            self.line = Some(Line::new(codec));
        }
        if let Some(line) = &mut self.line {
            line.packet(packet.sequence_number().into(), timestamp, packet.payload());
        }
        None
    }

    fn hang_up(&mut self) {
        if let Some(mut line) = self.line.take() {
            self.missed += line.missed();
        }
    }

    /// Since this was last asked.
    pub fn missed(&mut self) -> Missed {
        let mut missed = std::mem::take(&mut self.missed);
        if let Some(line) = &mut self.line {
            missed += line.missed();
        }
        missed
    }

    fn codec(&self, payload_type: u8) -> Option<Codec> {
        let own = self.formats.iter().find(|format| format.payload_type == payload_type);
        own.map(|format| format.codec).or_else(|| Codec::of_payload_type(payload_type))
    }

    /// The sound of the next frame, silence where there is none; and the keys in it.
    pub fn take(&mut self, frame: &mut [i16], told: impl FnMut(Digit)) {
        match &mut self.line {
            Some(line) => line.take(frame, self.in_band.as_deref_mut(), told),
            None => frame.fill(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::codec::FRAME;
    use crate::voice::event::Saying;
    use crate::voice::measure::{share, sine};
    use crate::voice::packet::{Format, Seed, Stream};

    fn format(event: Option<u8>) -> Format {
        Format { event, ..Format::plain(Codec::Pcma) }
    }

    fn stream(ssrc: u32, event: Option<u8>) -> Stream {
        Stream::new(format(event), Seed { ssrc, sequence: 1, timestamp: 1000 })
    }

    fn heard(ear: &mut Ear, packets: impl Iterator<Item = Vec<u8>>) -> (Vec<i16>, String) {
        let (mut sound, mut keys) = (Vec::new(), String::new());
        for packet in packets {
            keys.extend(ear.packet(&packet).map(Digit::char));
            let mut frame = [0; FRAME];
            ear.take(&mut frame, |digit| keys.push(digit.char()));
            sound.extend(frame);
        }
        (sound, keys)
    }

    #[test]
    fn keys_are_heard_as_events_and_the_sound_around_them_as_sound() {
        let tone = sine(700.0, -10.0, 50 * FRAME);
        let mut stream = stream(1, Some(101));
        let mut packets: Vec<Vec<u8>> = Vec::new();
        for (tick, samples) in tone.chunks(FRAME).enumerate() {
            packets.push(stream.sound(samples));
            if tick == 20 {
                let mut saying = Saying::new(Digit::of_char('9').unwrap(), stream.timestamp(), 480);
                while let Some(said) = saying.tick(160) {
                    packets.extend(stream.event(&said));
                }
            }
            stream.advance();
        }
        let (sound, keys) = heard(&mut Ear::new(format(Some(101))), packets.into_iter());
        assert_eq!(keys, "9");
        assert!(share(&sound[sound.len() - 6400..], 700.0) > 0.99);
    }

    #[test]
    fn keys_in_the_sound_are_heard_where_the_party_has_no_events_and_nowhere_else() {
        let mut key = sine(852.0, -9.0, 10 * FRAME);
        super::super::mix::add(&mut key, &sine(1477.0, -9.0, 10 * FRAME));
        key.extend([0; 10 * FRAME]);
        for (mut ear, wanted) in [
            (Ear::new(format(None)), "9"),
            (Ear::new(format(Some(101))), ""),
            (Ear::without_keys(Vec::new()), ""),
        ] {
            let mut stream = stream(1, None);
            let packets = key.chunks(FRAME).map(|samples| {
                let packet = stream.sound(samples);
                stream.advance();
                packet
            });
            assert_eq!(heard(&mut ear, packets).1, wanted);
        }
    }

    #[test]
    fn a_party_of_any_codec_is_heard_under_the_payload_type_of_its_session() {
        let tone = sine(700.0, -10.0, 50 * FRAME);
        for codec in Codec::ALL {
            let format = Format { codec, payload_type: 117, event: Some(101) };
            let mut stream =
                Stream::new(format, Seed { ssrc: 1, sequence: 65_530, timestamp: u32::MAX - 5000 });
            let packets: Vec<Vec<u8>> = tone
                .chunks(FRAME)
                .map(|samples| {
                    let packet = stream.sound(samples);
                    stream.advance();
                    packet
                })
                .collect();
            let (sound, _) = heard(&mut Ear::new(format), packets.iter().cloned());
            let part = share(&sound[sound.len() - 6400..], 700.0);
            assert!(part > 0.98, "{codec:?}: {part}");
            let (sound, _) = heard(&mut Ear::without_keys(Vec::new()), packets.into_iter());
            assert!(sound.iter().all(|sample| *sample == 0), "117 means nothing by itself");
        }
    }

    #[test]
    fn another_source_begins_anew_and_garbage_is_nothing() {
        let mut ear = Ear::new(format(Some(101)));
        for ssrc in [1, 2] {
            let mut stream = stream(ssrc, Some(101));
            let saying = &mut Saying::new(Digit::of_char('1').unwrap(), 5, 160);
            let said = stream.event(&saying.tick(160).unwrap()).unwrap();
            assert_eq!(ear.packet(&said).map(Digit::char), Some('1'), "source {ssrc}");
        }
        for packet in [&[][..], &[0x80], &[0x80; 12], &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], &[0xff; 40]] {
            assert_eq!(ear.packet(packet), None);
        }
    }
}
