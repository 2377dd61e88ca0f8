//! One ear and one mouth, at one side of one relay: a party that is heard and spoken to. A tick is twenty milliseconds.
//!
//! Invariants: each tick makes one packet, so a party that is spoken to is never left without a stream; the timestamps follow the
//! ticks, whatever is played.

use super::codec::FRAME;
use super::collect::{Collect, Collecting, Why};
use super::digit::Digit;
use super::ear::Ear;
use super::event::Saying;
use super::line::Missed;
use super::mouth::{Mouth, Piece, Repeat};
use super::packet::{Format, Seed, Stream};
use super::{Report, Spot};
use std::collections::VecDeque;
use std::time::Instant;

/// How long a key of ours is held, and the pause after it, in ticks.
const KEY_TICKS: u32 = 5;
const KEY_PAUSE_TICKS: u8 = 3;
/// Keys that a party may press in a second; more are not heard. Nobody presses twenty.
const PRESSED_MAX: u8 = 20;
const TICKS_A_SECOND: u8 = 50;
/// Keys that wait to be said; more are dropped.
const KEYS_MAX: usize = 64;

#[derive(Debug)]
pub struct Endpoint {
    at: Spot,
    ear: Ear,
    mouth: Mouth,
    stream: Stream,
    collecting: Option<Collecting>,
    keys: VecDeque<Digit>,
    saying: Option<Saying>,
    /// Ticks until the next key may be said.
    pause: u8,
    /// Keys that the party has said in packets in this second, and its ticks so far.
    pressed: u8,
    ticks: u8,
    /// What the party has said in this tick.
    heard: [i16; FRAME],
    /// What others say, to be heard with what is played.
    beside: Option<[i16; FRAME]>,
}

impl Endpoint {
    #[must_use]
    pub fn new(at: Spot, format: Format, seed: Seed) -> Endpoint {
        Endpoint {
            at,
            ear: Ear::new(format),
            mouth: Mouth::default(),
            stream: Stream::new(format, seed),
            collecting: None,
            keys: VecDeque::new(),
            saying: None,
            pause: 0,
            pressed: 0,
            ticks: 0,
            heard: [0; FRAME],
            beside: None,
        }
    }

    /// See [`Mouth::play`].
    pub fn play(&mut self, number: u32, pieces: Vec<Piece>, repeat: Repeat) {
        self.mouth.play(number, pieces, repeat);
    }

    /// See [`Mouth::supply`].
    pub fn supply(&mut self, index: usize, piece: Piece) {
        self.mouth.supply(index, piece);
    }

    pub fn stop(&mut self) {
        self.mouth.stop();
    }

    /// Gathers a number, in the place of one that is being gathered; the time runs from the end of what is played.
    pub fn collect(&mut self, now: Instant, rules: Collect) {
        let mut collecting = Collecting::new(rules);
        if !self.mouth.is_playing() {
            collecting.prompted(now);
        }
        self.collecting = Some(collecting);
    }

    /// Says a key to the party, as events (RFC 4733); a party without them gets none.
    pub fn say(&mut self, digit: Digit) {
        if self.stream.format().event.is_some() && self.keys.len() < KEYS_MAX {
            self.keys.push_back(digit);
        }
    }

    /// See [`Ear::missed`].
    pub fn missed(&mut self) -> Missed {
        self.ear.missed()
    }

    /// A packet of the party.
    pub fn heard(&mut self, now: Instant, packet: &[u8], reports: &mut Vec<Report>) {
        let digit = self.ear.packet(packet).filter(|_| self.pressed < PRESSED_MAX);
        if let Some(digit) = digit {
            self.pressed += 1;
            self.dialled(now, digit, reports);
        }
    }

    /// A key, by whichever way it came. It ends what is played where a number is gathered.
    pub fn dialled(&mut self, now: Instant, digit: Digit, reports: &mut Vec<Report>) {
        let at = self.at;
        reports.push(Report::Digit { at, digit });
        let Some(collecting) = &mut self.collecting else { return };
        self.mouth.stop();
        if let Some(why) = collecting.digit(now, digit) {
            self.collected(why, reports);
        }
    }

    fn collected(&mut self, why: Why, reports: &mut Vec<Report>) {
        if let Some(collecting) = self.collecting.take() {
            reports.push(Report::Collected { at: self.at, digits: collecting.digits(), why });
        }
    }

    /// First half of a tick: what the party says now.
    pub fn listen(&mut self, now: Instant, reports: &mut Vec<Report>) -> &[i16; FRAME] {
        self.ticks += 1;
        if self.ticks >= TICKS_A_SECOND {
            (self.ticks, self.pressed) = (0, 0);
        }
        let mut keys: [Option<Digit>; 2] = [None; 2]; // a frame has at most two blocks
        let mut at = 0;
        self.ear.take(&mut self.heard, |digit| {
            if let Some(key) = keys.get_mut(at) {
                *key = Some(digit);
            }
            at += 1;
        });
        keys.into_iter().flatten().for_each(|digit| self.dialled(now, digit, reports));
        if let Some(why) = self.collecting.as_ref().and_then(|collecting| collecting.due(now)) {
            self.collected(why, reports);
        }
        &self.heard
    }

    /// What others say in this tick: the party hears it with what is played.
    pub fn beside(&mut self, frame: [i16; FRAME]) {
        self.beside = Some(frame);
    }

    /// Second half of a tick: the packet for the party.
    pub fn speak(&mut self, now: Instant, reports: &mut Vec<Report>) -> Vec<u8> {
        let mut frame = [0; FRAME];
        if let Some(number) = self.mouth.fill(&mut frame) {
            reports.push(Report::Played { at: self.at, number });
        }
        if let Some(collecting) = self.collecting.as_mut().filter(|_| !self.mouth.is_playing()) {
            collecting.prompted(now);
        }
        if let Some(beside) = self.beside.take() {
            super::mix::add(&mut frame, &beside);
        }
        let packet = self.key().unwrap_or_else(|| self.stream.sound(&frame));
        self.stream.advance();
        packet
    }

    /// The packet of a key that is being said.
    fn key(&mut self) -> Option<Vec<u8>> {
        let units = self.stream.format().units();
        if self.saying.is_none() {
            self.pause = self.pause.saturating_sub(1);
            if self.pause > 0 {
                return None;
            }
            let digit = self.keys.pop_front()?;
            self.saying = Some(Saying::new(digit, self.stream.timestamp(), (KEY_TICKS * units) as u16));
        }
        let said = self.saying.as_mut().and_then(|saying| saying.tick(units as u16));
        if said.is_none() {
            self.saying = None;
            self.pause = KEY_PAUSE_TICKS;
        }
        self.stream.event(&said?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{RelayId, Side};
    use crate::rtp::Header;
    use crate::voice::clip::Clip;
    use crate::voice::codec::Codec;
    use crate::voice::measure::{share, sine};
    use std::time::Duration;

    const AT: Spot = Spot { relay: RelayId(1), side: Side::A };
    const TICK: Duration = Duration::from_millis(20);

    fn endpoint(event: Option<u8>) -> Endpoint {
        let format = Format { event, ..Format::plain(Codec::Pcmu) };
        Endpoint::new(AT, format, Seed { ssrc: 1, sequence: 1, timestamp: 1 })
    }

    /// Two of them that hear each other, for so many ticks.
    fn talk(one: &mut Endpoint, two: &mut Endpoint, start: Instant, ticks: u32) -> (Vec<i16>, Vec<Report>) {
        let (mut sound, mut reports, mut beside) = (Vec::new(), Vec::new(), Vec::new());
        for tick in 0..ticks {
            let now = start + TICK * tick;
            let packet = one.speak(now, &mut beside);
            two.heard(now, &packet, &mut reports);
            sound.extend(two.listen(now, &mut reports));
            two.speak(now, &mut reports);
        }
        (sound, reports)
    }

    fn start() -> Instant {
        crate::net::clock::now().mono
    }

    #[test]
    fn what_one_plays_the_other_hears_and_keys_come_between() {
        let (mut one, mut two) = (endpoint(Some(101)), endpoint(Some(101)));
        one.play(1, vec![Piece::Clip(Clip::new(sine(900.0, -10.0, 16_000)))], Repeat::UntilStopped);
        "42#".chars().for_each(|key| one.say(Digit::of_char(key).unwrap()));
        let (sound, reports) = talk(&mut one, &mut two, start(), 150);
        let keys: Vec<char> = reports
            .iter()
            .map(|report| match report {
                Report::Digit { at: AT, digit } => digit.char(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(keys, ['4', '2', '#']);
        assert!(share(&sound[sound.len() - 16_000..], 900.0) > 0.99);
    }

    #[test]
    fn a_number_is_gathered_while_a_prompt_plays_and_the_first_key_ends_the_prompt() {
        let rules = Collect { most: 9, first: TICK * 50, between: TICK * 10, end: None };
        let (mut one, mut two) = (endpoint(Some(101)), endpoint(Some(101)));
        two.play(5, vec![Piece::Clip(Clip::new(vec![1000; 32_000]))], Repeat::Times(1));
        two.collect(start(), rules);
        one.say(Digit::of_char('7').unwrap());
        let (_, reports) = talk(&mut one, &mut two, start(), 60);
        assert!(matches!(
            reports.as_slice(),
            [Report::Digit { .. }, Report::Collected { digits, why: Why::TimeUp, .. }] if digits == "7"
        ));
        // Nobody presses anything: the time runs from the end of the prompt.
        let begun = start();
        two.play(6, vec![Piece::Clip(Clip::new(vec![1000; 3200]))], Repeat::Times(1));
        two.collect(begun, rules);
        let (_, reports) = talk(&mut one, &mut two, begun, 59);
        assert!(matches!(reports.as_slice(), [Report::Played { number: 6, .. }]), "{reports:?}");
        let (_, reports) = talk(&mut one, &mut two, begun + TICK * 59, 10);
        assert!(matches!(reports.as_slice(), [Report::Collected { why: Why::TimeUp, .. }]), "{reports:?}");
    }

    #[test]
    fn whoever_presses_more_keys_than_a_hand_can_is_not_heard_for_the_rest_of_the_second() {
        let mut one = endpoint(Some(101));
        let mut reports = Vec::new();
        let mut flood = |one: &mut Endpoint, first: u32| {
            let key = |n: u32| {
                let mut packet = vec![0x80, 101, 0, 1];
                packet.extend((first + n).to_be_bytes());
                packet.extend([0, 0, 0, 9, 5, 10, 0, 160]);
                packet
            };
            (0..1000).for_each(|n| one.heard(start(), &key(n), &mut reports));
            std::mem::take(&mut reports).len()
        };
        assert_eq!(flood(&mut one, 1), 20);
        assert_eq!(flood(&mut one, 2000), 0);
        for _ in 0..50 {
            one.listen(start(), &mut Vec::new());
        }
        assert_eq!(flood(&mut one, 4000), 20);
    }

    #[test]
    fn an_hour_of_ticks_is_an_hour_of_timestamps() {
        let mut one = endpoint(None);
        one.play(1, vec![Piece::Pause(Duration::from_secs(1))], Repeat::UntilStopped);
        let mut reports = Vec::new();
        let first = Header::parse(&one.speak(start(), &mut reports)).unwrap();
        for _ in 1..180_000 {
            one.speak(start(), &mut reports);
        }
        let last = Header::parse(&one.speak(start(), &mut reports)).unwrap();
        assert_eq!(last.timestamp.wrapping_sub(first.timestamp), 3600 * 8000);
        assert_eq!(last.sequence.wrapping_sub(first.sequence), (180_000 % 65_536) as u16);
        assert!(reports.is_empty());
    }

    #[test]
    fn others_are_heard_with_what_is_played() {
        let (mut one, mut two) = (endpoint(None), endpoint(None));
        one.play(1, vec![Piece::Clip(Clip::new(sine(500.0, -14.0, 16_000)))], Repeat::UntilStopped);
        let beside = sine(1500.0, -14.0, 16_000);
        let (mut sound, mut reports) = (Vec::new(), Vec::new());
        for frame in beside.chunks(FRAME) {
            one.beside(frame.try_into().unwrap());
            let packet = one.speak(start(), &mut reports);
            two.heard(start(), &packet, &mut reports);
            sound.extend(two.listen(start(), &mut reports));
        }
        for hz in [500.0, 1500.0] {
            assert!((share(&sound[1600..], hz) - 0.5).abs() < 0.05, "{hz}");
        }
    }
}
