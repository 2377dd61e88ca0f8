//! What the daemon says itself, as it is heard: announcements, tones, the question before a call, with the keys of real phones.

use crate::support::baresip::{Baresip, Codec};
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
fn an_announcement_is_heard_by_phones_that_speak_g722_or_opus_alone() {
    for codec in [Codec::G722, Codec::Opus] {
        let home = home(&rule("kim", "forward.always = \"announce:closed\""), "");
        let daemon = home.start();
        let mut alice = Baresip::speaking(line("alice", &daemon, LOW), codec);
        alice.call("103");
        alice.hears(Heard::Answered);
        alice.hears(Heard::Ended);
        let heard = purest(&alice.samples(), PLAYED, 1000);
        assert!(heard.share > 0.98 && (heard.level - 0.354).abs() < 0.02, "{codec:?}: {heard:?}");
    }
}

#[test]
fn phones_of_g722_and_opus_hear_each_other_in_a_conference() {
    let home = home("", "[conference.daily]\next = \"820\"\n");
    let daemon = home.start();
    let [mut alice, mut bob] = [("alice", LOW, Codec::G722), ("bob", HIGH, Codec::Opus)]
        .map(|(user, hz, codec)| Baresip::speaking(line(user, &daemon, hz), codec));
    for phone in [&mut alice, &mut bob] {
        phone.call("820");
        phone.hears(Heard::Answered);
    }
    hear_each_other((&alice, LOW), (&bob, HIGH));
    alice.hang_up();
    bob.hang_up();
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
fn a_caller_hears_the_music_of_the_rules_while_it_rings_and_then_whoever_answers() {
    let keys = "ring.hear = \"moh:calm\"\nring.targets = [\"device:bob\"]";
    let home = home(&rule("kim", keys), "[moh.calm]\nfiles = [\"closed.wav\"]\n");
    let daemon = home.start();
    let mut alice = Baresip::by_hand(line("alice", &daemon, LOW));
    let mut bob = Baresip::by_hand(line("bob", &daemon, HIGH));
    alice.call("103");
    bob.hears(Heard::Rings);
    until("a second of the music", || {
        let heard = tone::measure(&alice.recorded()?, PLAYED);
        (heard.share > 0.99 && (heard.level - 0.354).abs() < 0.01).then_some(())
    });
    bob.answer();
    alice.hears(Heard::Answered);
    hear_each_other((&alice, LOW), (&bob, HIGH));
    alice.hang_up();
    bob.hears(Heard::Ended);
}

const THIRD: u32 = 1300;

/// Until the last second that a phone has heard is these two tones and nothing else, each as loud as it was played.
fn hears_both(phone: &SippPhone, (one, other): (u32, u32), never: u32) {
    let before = phone.sound().len();
    until(&format!("{one} and {other} Hz"), || {
        let samples = phone.sound();
        let [first, second, own] = [one, other, never].map(|hz| tone::measure(&samples, hz));
        let level = (first.level - 0.5).abs() < 0.02; // of two tones of 0.354
        let fresh = samples.len() > before + RATE as usize;
        let even = [&first, &second].iter().all(|heard| (heard.share - 0.5).abs() < 0.03);
        (fresh && level && even && own.share < 0.001).then_some(())
    });
}

/// Three phones in one room, by so many voice threads: each hears the other two and not itself; when one holds, and when one leaves, the others
/// hear each other alone.
fn conference_of_three(threads: u32) {
    let home = home(
        "",
        "[user.cid]\next = \"104\"\n[device.cid]\nuser = \"cid\"\nauth = { user = \"cid\", secret = \"plain:pw-cid\" }\n\
                          [conference.daily]\next = \"820\"\n",
    );
    home.configure("[media]\n", &format!("[media]\nthreads = {threads}\n"));
    let daemon = home.start();
    let mut phones = [("alice", LOW), ("bob", HIGH), ("cid", THIRD)]
        .map(|(user, hz)| SippPhone::register(line(user, &daemon, hz)));
    for phone in &mut phones {
        phone.call("820");
        phone.hears(Heard::Answered);
    }
    let [alice, bob, cid] = &mut phones;
    hears_both(alice, (HIGH, THIRD), LOW);
    hears_both(bob, (LOW, THIRD), HIGH);
    hears_both(cid, (LOW, HIGH), THIRD);
    cid.hold();
    hear_each_other((alice, LOW), (bob, HIGH));
    cid.resume();
    hears_both(alice, (HIGH, THIRD), LOW);
    cid.hang_up();
    hear_each_other((alice, LOW), (bob, HIGH));
    alice.hang_up();
    bob.hang_up();
    let records = until("three records", || {
        let records = daemon.list("/v1/records");
        (records.len() == 3).then_some(records)
    });
    for record in records {
        assert!(
            record["tags"].as_array().is_some_and(|tags| tags.contains(&"conference:daily".into())),
            "{record:#}"
        );
    }
}

#[test]
fn three_in_a_conference_hear_each_other_and_not_themselves() {
    conference_of_three(1);
}

#[test]
fn three_in_a_conference_of_several_threads_hear_each_other_and_not_themselves() {
    conference_of_three(3);
}

#[test]
fn a_conference_lets_in_who_dials_its_pin_and_records_all_in_one_channel() {
    // The PIN of the examples: 1234.
    let pin = "hash:$argon2id$v=19$m=19456,t=2,p=1$VQA1BVvBkRbEILuS+waAqQ$KUp8Ye1KKihAdUSs6QrtsZBuag/8BsbkxdNeyzS35Fs";
    let rules = format!("[conference.daily]\next = \"820\"\npin = \"{pin}\"\nrecord = \"always\"\n");
    let home = home("", &rules);
    let daemon = home.start();
    let mut phones =
        [("alice", LOW), ("bob", HIGH)].map(|(user, hz)| SippPhone::register(line(user, &daemon, hz)));
    for phone in &mut phones {
        phone.call("820");
        phone.hears(Heard::Answered);
        until("the question to be heard", || (tone::measure(&phone.sound(), LOW).level > 0.02).then_some(()));
        "1234#".chars().for_each(|key| phone.dtmf(key));
    }
    let [alice, bob] = &mut phones;
    hear_each_other((alice, LOW), (bob, HIGH));
    alice.hang_up();
    bob.hang_up();
    let record = until("a record", || daemon.list("/v1/records").into_iter().next());
    let file = home.path().join("recordings").join(record["recording"].as_str().expect("it names its file"));
    let both = until("the recording to have both", || {
        // A conference is written at 16 kHz.
        let samples: Vec<i16> = tone::samples(&std::fs::read(&file).ok()?).into_iter().step_by(2).collect();
        let parts = samples.windows(RATE as usize / 2).step_by(400);
        let mut measured = parts.map(|part| [LOW, HIGH].map(|hz| tone::measure(part, hz)));
        measured.find(|heard| heard.iter().all(|heard| (heard.share - 0.5).abs() < 0.05))
    });
    assert!((both[0].level - 0.5).abs() < 0.02, "{both:?}");
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
