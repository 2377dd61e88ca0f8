//! What the daemon says itself, as it is heard: announcements, tones, the question before a call, with the keys of real phones.

use crate::support::baresip::Baresip;
use crate::support::daemon::{Daemon, Home};
use crate::support::phone::{Heard, Line, Phone, hear_each_other};
use crate::support::sipp::Over;
use crate::support::sipp_phone::SippPhone;
use crate::support::tone::{self, RATE};
use crate::support::until;

const LOW: u32 = 600;
const HIGH: u32 = 1000;
/// Of what the daemon plays from files.
const PLAYED: u32 = 1700;

/// Alice and Bob, and Kim with these keys; `closed.wav` lies beside the rules.
fn home(kim: &str, more: &str) -> Home {
    let rules = format!(
        "schema = 1\n[domain]\nname = \"peers.example\"\ntimezone = \"Etc/UTC\"\ncountry = \"US\"\n\
         [defaults.voicemail]\nenabled = false\n\
         [user.alice]\next = \"101\"\n[device.alice]\nuser = \"alice\"\nauth = {{ user = \"alice\", secret = \"plain:pw-alice\" }}\n\
         [user.bob]\next = \"102\"\n[device.bob]\nuser = \"bob\"\nauth = {{ user = \"bob\", secret = \"plain:pw-bob\" }}\n\
         [user.kim]\next = \"103\"\n{kim}\n[announce.closed]\nfile = \"closed.wav\"\n{more}\n"
    );
    let home = Home::new("peers.example", &[("domain.toml", &rules)]);
    std::fs::write(home.path().join("rules/closed.wav"), tone::wav(PLAYED, 3)).expect("written");
    home
}

fn rule(user: &str, keys: &str) -> String {
    format!("[[user.{user}.rule]]\nname = \"all\"\nwhen = \"always\"\n{keys}\n")
}

fn line(user: &'static str, daemon: &Daemon, hz: u32) -> Line<'static> {
    Line { user, daemon: daemon.udp, over: Over::Udp, hz }
}

/// The part of what was heard, of so many milliseconds, in which this tone is purest.
fn purest(samples: &[i16], hz: u32, ms: u32) -> tone::Measured {
    let part = (RATE / 1000 * ms) as usize;
    let starts = (0..samples.len().saturating_sub(part)).step_by(80);
    let parts = starts.map(|at| tone::measure(&samples[at..at + part], hz));
    parts.max_by(|a, b| a.share.total_cmp(&b.share)).expect("as much was heard")
}

#[test]
fn a_called_announcement_is_heard_at_its_frequency_and_level_and_ends_the_call() {
    let home = home(&rule("kim", "forward.always = \"announce:closed\""), "");
    let daemon = home.start();
    let mut alice = Baresip::by_hand(line("alice", &daemon, LOW));
    alice.call("103");
    alice.hears(Heard::Answered);
    alice.hears(Heard::Ended);
    let heard = purest(&alice.samples(), PLAYED, 1000);
    assert!(heard.share > 0.99 && (heard.level - 0.354).abs() < 0.01, "{heard:?}");
    let record = daemon.only_record();
    assert_eq!((&record["outcome"], &record["status"]), (&"system".into(), &200.into()), "{record:#}");
}

#[test]
fn a_blocked_caller_hears_the_tone_of_the_country_before_603() {
    let home = home("block = [\"101\"]", "[policy]\nreject_blocked = \"tone:busy\"\n");
    let daemon = home.start();
    let mut alice = Baresip::by_hand(line("alice", &daemon, LOW));
    alice.call("103");
    alice.hears(Heard::Declined);
    let samples = alice.samples();
    // TIA-464: 480 and 620 Hz together, half a second at a time.
    let (low, high) = (purest(&samples, 480, 400), purest(&samples, 620, 400));
    assert!(low.share > 0.45 && high.share > 0.45, "{low:?} {high:?}");
    assert!((low.level - 0.16).abs() < 0.02, "{low:?}");
    assert_eq!(daemon.only_record()["status"], 603);
}

#[test]
fn a_broken_file_costs_the_prompt_and_not_the_call() {
    let home = home(&rule("kim", "forward.always = \"announce:closed\""), "");
    std::fs::write(home.path().join("rules/closed.wav"), "no sound").expect("written");
    let daemon = home.start();
    let mut alice = Baresip::by_hand(line("alice", &daemon, LOW));
    alice.call("103");
    alice.hears(Heard::Answered);
    alice.hears(Heard::Ended);
    assert_eq!(daemon.only_record()["outcome"], "system");
}

/// Bob answers, hears the question, and presses 1; then both talk.
fn takes_the_call<P: Phone>(bob: impl FnOnce(Line<'static>) -> P, sound: impl Fn(&P) -> Option<Vec<i16>>) {
    let keys = "ring_for = \"25s\"\nring.targets = [{ to = \"device:bob\", confirm = \"1\", confirm_on_net = true }]";
    let home = home(&rule("kim", keys), "");
    let daemon = home.start();
    let mut alice = Baresip::by_hand(line("alice", &daemon, LOW));
    let mut bob = bob(line("bob", &daemon, HIGH));
    alice.call("103");
    alice.hears(Heard::Ringback);
    bob.hears(Heard::Rings);
    bob.answer();
    bob.hears(Heard::Answered);
    // The prompt is speech: whatever it is, it is loud and no tone of ours.
    until("the question to be heard", || {
        let heard = tone::measure(&sound(&bob)?, LOW);
        (heard.level > 0.02).then_some(())
    });
    bob.dtmf('1');
    alice.hears(Heard::Answered);
    hear_each_other((&alice, LOW), (&bob, HIGH));
    alice.hang_up();
    bob.hears(Heard::Ended);
    let record = daemon.only_record();
    assert_eq!(record["answered_by"]["device"], "bob", "{record:#}");
}

#[test]
fn a_leg_takes_the_call_with_a_key_as_an_event() {
    takes_the_call(Baresip::by_hand, Baresip::recorded);
}

#[test]
fn a_leg_takes_the_call_with_a_key_in_an_info() {
    takes_the_call(Baresip::by_hand_with_info, Baresip::recorded);
}

#[test]
fn a_leg_without_telephone_event_takes_the_call_with_a_key_that_sounds() {
    takes_the_call(SippPhone::with_tones, |bob| Some(bob.sound()));
}

#[test]
fn whoever_is_held_hears_the_music_of_the_holders_user_and_then_the_holder_again() {
    let home = home("", "[moh.calm]\nfiles = [\"closed.wav\"]\n[defaults.user]\nmoh = \"calm\"\n");
    let daemon = home.start();
    // baresip has no sound after hold (docs/clients.md).
    let mut alice = SippPhone::register(line("alice", &daemon, LOW));
    let mut bob = SippPhone::register(line("bob", &daemon, HIGH));
    alice.call("102");
    bob.hears(Heard::Rings);
    bob.answer();
    alice.hears(Heard::Answered);
    hear_each_other((&alice, LOW), (&bob, HIGH));
    let music = bob.listens_for(PLAYED);
    alice.hold();
    until("the music to be heard", music);
    alice.resume();
    hear_each_other((&alice, LOW), (&bob, HIGH));
    alice.hang_up();
    bob.hears(Heard::Ended);
}

#[test]
fn a_recording_has_the_caller_on_the_left_and_the_callee_on_the_right() {
    let home = home("", "[defaults.user]\nrecord = \"inbound\"\n");
    let daemon = home.start();
    let mut alice = Baresip::by_hand(line("alice", &daemon, LOW));
    let mut bob = Baresip::by_hand(line("bob", &daemon, HIGH));
    alice.call("102");
    bob.hears(Heard::Rings);
    bob.answer();
    alice.hears(Heard::Answered);
    hear_each_other((&alice, LOW), (&bob, HIGH));
    alice.hang_up();
    bob.hears(Heard::Ended);
    let record = daemon.only_record();
    let file = record["recording"].as_str().expect("it names its file");
    let file = home.path().join("recordings").join(file);
    let samples = until("the recording to be closed", || {
        let samples = tone::samples(&std::fs::read(&file).ok()?);
        (samples.len() > 2 * RATE as usize).then_some(samples)
    });
    for (channel, hz) in [(0, LOW), (1, HIGH)] {
        let samples: Vec<i16> = samples.iter().skip(channel).step_by(2).copied().collect();
        let heard = purest(&samples, hz, 1000);
        assert!(heard.share > 0.99 && (heard.level - 0.354).abs() < 0.01, "{hz}: {heard:?}");
    }
}
