//! The voice plane beside the relay: what a party hears of it, and what is written.

use super::{SOON, World, hear, phone, world};
use ringtree::net::voice::{Files, Plane, Reporter};
use ringtree::relay::{Command, RelayId, Side, Source};
use ringtree::voice::codec::Codec;
use ringtree::voice::packet::{Format, Seed};
use ringtree::voice::tone::Kind;
use ringtree::voice::{self, Repeat, Report, Sound, Spot};
use std::net::UdpSocket;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// A voice plane beside the relays of that world, with its files in that directory.
fn voice(world: &mut World, dir: &Path) -> (Plane, Receiver<Report>) {
    let (sender, reports) = sync_channel(1024);
    let reporter: Reporter = Arc::new(move |report| {
        let _ = sender.try_send(report); // more than a test looks at
        None
    });
    let files = Files {
        prompts: dir.join("prompts"),
        language: "en".into(),
        recordings: dir.join("recordings"),
        base: Arc::new(|_| None),
    };
    (Plane::start(world.plane.voice_ports(), &files, &reporter).unwrap(), reports)
}

/// A party that is alone with the voice plane, and hears nothing yet but silence.
fn alone(world: &World, voice: &mut Plane, id: u64, a: &UdpSocket) -> Spot {
    let (id, side) = (RelayId(id), Side::A);
    world.tell(Command::Open { id, a: world.pairs[0], b: None });
    world.tell(Command::Point { id, side, rtp: a.local_addr().ok(), rtcp: None, expected: None });
    world.tell(Command::Feed { id, side, from: Source::Voice });
    world.tell(Command::Tap { id, side, on: true });
    world.settle();
    let (format, seed) = (Format::plain(Codec::Pcmu), Seed { ssrc: 1, sequence: 1, timestamp: 1 });
    let at = Spot { relay: id, side };
    voice.command(voice::Command::Open { at, format, seed }).unwrap();
    at
}

fn play(voice: &mut Plane, at: Spot, sounds: Vec<Sound>) {
    let play = voice::Command::Play { at, number: 1, sounds: sounds.into(), repeat: Repeat::UntilStopped };
    voice.command(play).unwrap();
}

/// Whether a packet of PCMU holds more than silence.
fn sounds(packet: &[u8]) -> bool {
    packet[12..].iter().any(|octet| ![0xff, 0x7f].contains(octet))
}

fn hear_sound(a: &UdpSocket) {
    assert!((0..500).any(|_| sounds(&hear(a).0)), "ten seconds of silence");
}

/// Who opens this file for writing waits until it is dropped: it is a pipe that nobody reads.
struct Hung(PathBuf);

impl Drop for Hung {
    fn drop(&mut self) {
        let at_once = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let _reader = std::fs::File::options().read(true).custom_flags(at_once).open(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_disk_that_hangs_takes_the_voice_from_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let recordings = dir.path().join("recordings");
    std::fs::create_dir(&recordings).unwrap();
    let hung = recordings.join("hung.wav");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &hung, mode).unwrap();
    let mut world = world(1);
    let (mut voice, reports) = voice(&mut world, dir.path());
    let (done, is_done) = sync_channel(1);
    let signalling = std::thread::spawn(move || {
        for n in 0..10_000 {
            let relay = RelayId(100 + n);
            voice
                .command(voice::Command::Record {
                    relay,
                    file: "hung.wav".into(),
                    formats: Default::default(),
                })
                .unwrap();
            voice.pass_on().unwrap();
            voice.command(voice::Command::EndRecording { of: voice::Subject::Relay(relay) }).unwrap();
        }
        done.send(()).unwrap();
        voice
    });
    is_done.recv_timeout(SOON).expect("nobody waits for the disk");
    let mut voice = signalling.join().unwrap();
    let hung = Hung(hung);
    while voice.is_behind() {
        voice.pass_on().unwrap();
    }
    let a = phone("127.0.0.1");
    let at = alone(&world, &mut voice, 1, &a);
    play(&mut voice, at, vec![Sound::Tone { kind: Kind::Busy, country: "DE".into() }]);
    hear_sound(&a);
    let refused = reports.try_iter().next().expect("a recording that isn't made is told of");
    assert!(
        matches!(&refused, Report::Recorded { result: Err(why), .. } if why.contains("too")),
        "{refused:?}"
    );
    // The disk answers at last: whoever waits goes on, and what comes after is a file as any other.
    drop(hung);
    drop(voice);
}
