//! Who is heard while a call goes on: silence and one-way audio, noticed by looking at what was counted, once a second. No packet costs
//! anything for it.
//!
//! What it is not: it doesn't know whether a party is meant to speak (hold, RFC 3264 §8.4); signalling does.

use super::{Audio, ONE_WAY_AFTER, SILENT_AFTER};
use std::time::Instant;

/// Both parties of a relay.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    a: Ear,
    b: Ear,
    /// What was reported last; nothing is as good as both ways. `None`: it was silence, and is to be said anew.
    reported: Option<Audio>,
}

/// One party.
#[derive(Clone, Copy, Debug)]
struct Ear {
    /// Packets at the last look.
    packets: u64,
    /// Since when there have been no more of them.
    since: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not since it was pointed (again).
    Awaited,
    Heard,
    Silent,
}

impl Watch {
    #[must_use]
    pub fn new(now: Instant) -> Watch {
        let ear = Ear { packets: 0, since: now, state: State::Awaited };
        Watch { a: ear, b: ear, reported: Some(Audio::BothWays) }
    }

    /// A party was pointed (again): both have their time from here on, and silence that goes on is reported again.
    pub fn restart(&mut self, now: Instant) {
        for ear in [&mut self.a, &mut self.b] {
            (ear.since, ear.state) = (now, State::Awaited);
        }
        self.remind(now);
    }

    /// A party was pointed where it was: nothing is new, but silence that goes on is reported again. Whoever was silent has its time again:
    /// it may not have been meant to speak before.
    pub fn remind(&mut self, now: Instant) {
        for ear in [&mut self.a, &mut self.b].into_iter().filter(|ear| ear.state == State::Silent) {
            (ear.since, ear.state) = (now, State::Awaited);
        }
        self.reported = self.reported.filter(|audio| *audio == Audio::BothWays);
    }

    /// So many packets were taken from each party so far. What is heard now, where that is something new.
    pub fn look(&mut self, now: Instant, a: u64, b: u64) -> Option<Audio> {
        self.a.look(now, a);
        self.b.look(now, b);
        let awaited = self.a.state == State::Awaited || self.b.state == State::Awaited;
        let audio = Audio::missing(self.a.state == State::Silent, self.b.state == State::Silent);
        // What follows a report of silence waits until both are judged.
        if awaited && audio == Audio::BothWays {
            return None;
        }
        (self.reported.replace(audio) != Some(audio)).then_some(audio)
    }
}

impl Ear {
    fn look(&mut self, now: Instant, packets: u64) {
        if packets != self.packets {
            *self = Ear { packets, since: now, state: State::Heard };
            return;
        }
        let patience = match self.state {
            State::Awaited => ONE_WAY_AFTER,
            State::Heard => SILENT_AFTER,
            State::Silent => return,
        };
        if now.saturating_duration_since(self.since) >= patience {
            self.state = State::Silent;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to count from
mod tests {
    use super::*;
    use std::time::Duration;

    /// A look each second, at packets that grow while a party is heard: when what was reported.
    fn reports(
        watch: &mut Watch,
        start: Instant,
        seconds: std::ops::Range<u64>,
        heard: impl Fn(u64) -> (bool, bool),
    ) -> Vec<(u64, Audio)> {
        let (mut a, mut b) = (watch.a.packets, watch.b.packets);
        let look = |second| {
            let (a_speaks, b_speaks) = heard(second);
            a += u64::from(a_speaks) * 50;
            b += u64::from(b_speaks) * 50;
            watch.look(start + Duration::from_secs(second), a, b).map(|audio| (second, audio))
        };
        seconds.filter_map(look).collect()
    }

    #[test]
    fn a_call_that_is_heard_both_ways_is_not_reported() {
        let start = Instant::now();
        assert_eq!(reports(&mut Watch::new(start), start, 1..1000, |_| (true, true)), []);
    }

    #[test]
    fn a_party_that_is_never_heard_is_reported_once_and_when_it_is_heard_again() {
        let start = Instant::now();
        let found = reports(&mut Watch::new(start), start, 1..100, |second| (true, second > 20));
        assert_eq!(found, [(3, Audio::CalleeSilent), (21, Audio::BothWays)]);
    }

    #[test]
    fn a_party_that_falls_silent_has_longer_than_one_that_never_spoke() {
        let start = Instant::now();
        let found = reports(&mut Watch::new(start), start, 1..100, |second| (second <= 30, second <= 50));
        assert_eq!(found, [(40, Audio::CallerSilent), (60, Audio::Silent)]);
    }

    #[test]
    fn a_pause_in_speech_is_no_silence() {
        let start = Instant::now();
        let found = reports(&mut Watch::new(start), start, 1..1000, |second| (second % 8 == 0, true));
        // Only the first three seconds are short: a party that sends nothing at the very start is one that isn't heard.
        assert_eq!(found, [(3, Audio::CallerSilent), (8, Audio::BothWays)]);
    }

    #[test]
    fn a_refresh_makes_nobody_silent_who_pauses_and_silence_is_reported_again() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        assert_eq!(reports(&mut watch, start, 1..10, |_| (true, true)), []);
        watch.remind(start + Duration::from_secs(10));
        assert_eq!(reports(&mut watch, start, 10..15, |_| (true, false)), [], "a pause");
        assert_eq!(reports(&mut watch, start, 15..30, |_| (true, false)), [(19, Audio::CalleeSilent)]);
        watch.remind(start + Duration::from_secs(30));
        assert_eq!(reports(&mut watch, start, 30..40, |_| (true, false)), [(33, Audio::CalleeSilent)]);
    }

    #[test]
    fn who_was_not_to_speak_before_an_answer_or_on_hold_has_its_time_after_it() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        // Early media: most callers send nothing before the answer.
        assert_eq!(reports(&mut watch, start, 1..6, |_| (false, true)), [(3, Audio::CallerSilent)]);
        watch.remind(start + Duration::from_millis(5_500));
        assert_eq!(reports(&mut watch, start, 6..60, |second| (second > 6, true)), [(7, Audio::BothWays)]);
    }

    #[test]
    fn silence_that_outlasts_a_re_offer_is_reported_again() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        assert_eq!(reports(&mut watch, start, 1..10, |_| (true, false)), [(3, Audio::CalleeSilent)]);
        watch.restart(start + Duration::from_secs(10));
        assert_eq!(reports(&mut watch, start, 11..20, |_| (true, false)), [(13, Audio::CalleeSilent)]);
        watch.restart(start + Duration::from_secs(20));
        assert_eq!(reports(&mut watch, start, 21..30, |_| (true, true)), [(21, Audio::BothWays)]);
    }
}
