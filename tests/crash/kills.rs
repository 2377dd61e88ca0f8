//! `kill -9` of the real daemon under load: no edit that was acknowledged is lost, no registration that was stored by then, and the daemon
//! starts again each time. `RINGTREE_KILLS` says how often.
//!
//! A registration is stored for certain once an edit is acknowledged that was begun after it. Beside that it is within [`LOSS_BOUND`], or
//! after a write that was under way and took longer: how long writes take here is seen by the edits, which wait for them.

use crate::office::{DEVICES, DOMAIN, after, bound, edit, phones, register, rules, stored};
use crate::support::daemon::{Daemon, Home};
use crate::support::{PATIENCE, clock};
use std::net::UdpSocket;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

const KILLS: u64 = 50;
/// What is promised: registrations are durable within this, where the disk lets us.
const LOSS_BOUND: Duration = Duration::from_millis(250);
/// Acknowledgements that wait for the test to note them.
const ACKS_MAX: usize = 1024;

/// What the daemon has said yes to, and what it was asked.
enum Ack {
    /// This device is bound at the contact of this number.
    Registered { device: usize, contact: u64, at: Instant },
    /// An edit goes out.
    Begun { at: Instant },
    /// This edit holds.
    Edited { edit: u64, at: Instant },
}

/// What has to be there after a kill.
#[derive(Default)]
struct Promised {
    /// For each device the contacts that were acknowledged, oldest first.
    registered: Vec<Vec<(u64, Instant)>>,
    edits: u64,
}

/// What was seen of a round.
struct Round {
    killed: Instant,
    /// The longest that an edit has waited for the disk, one that was never acknowledged among them.
    slowest: Duration,
    /// When the last edit was begun that was acknowledged.
    settled: Option<Instant>,
}

impl Round {
    /// What was acknowledged before this was to be stored by the kill, by one reason or the other.
    fn safe(&self) -> Option<Instant> {
        let in_time = self.killed.checked_sub(LOSS_BOUND + self.slowest);
        in_time.max(self.settled)
    }
}

/// Registers the devices in turn until the daemon is gone.
fn keep_registering(daemon: &Daemon, socket: &UdpSocket, mut contact: u64, acks: &SyncSender<Ack>) {
    let mut current = bound(daemon);
    for device in (0..DEVICES).cycle() {
        contact += 1;
        if !register(daemon, socket, device, contact, current.get(&device).copied()) {
            return;
        }
        current.insert(device, contact);
        acks.send(Ack::Registered { device, contact, at: clock() }).expect("noted");
    }
}

fn keep_editing(daemon: &Daemon, mut number: u64, acks: &SyncSender<Ack>) {
    loop {
        acks.send(Ack::Begun { at: clock() }).expect("noted");
        if !edit(daemon, number) {
            return;
        }
        acks.send(Ack::Edited { edit: number, at: clock() }).expect("noted");
        number += 1;
    }
}

/// Load until so many registrations and edits were acknowledged; then the kill, in the midst of more.
fn load_and_kill(daemon: &Daemon, phones: &UdpSocket, round: u64, promised: &mut Promised) -> Round {
    let (sender, acks) = sync_channel(ACKS_MAX);
    let contact = round * 1_000_000;
    let (edits, registrations) = (1 + round * 7 % 40, 50 + round * 211 % 1500);
    let next_edit = promised.edits + 1;
    std::thread::scope(|scope| {
        let registering = sender.clone();
        scope.spawn(move || keep_registering(daemon, phones, contact, &registering));
        scope.spawn(move || keep_editing(daemon, next_edit, &sender));
        let (mut edited, mut registered, mut killed) = (0, 0, None);
        let (mut begun, mut slowest, mut settled) = (None, Duration::ZERO, None);
        while let Ok(ack) = acks.recv_timeout(PATIENCE) {
            match ack {
                Ack::Registered { device, contact, at } => {
                    promised.registered[device].push((contact, at));
                    registered += 1;
                }
                Ack::Begun { at } => begun = Some(at),
                Ack::Edited { edit, at } => {
                    promised.edits = edit;
                    edited += 1;
                    settled = begun.take();
                    slowest = slowest.max(settled.map_or(Duration::ZERO, |begun| at - begun));
                }
            }
            if edited >= edits && registered >= registrations && killed.is_none() {
                killed = Some(clock());
                daemon.kill();
            }
        }
        let killed = killed.expect("the load went on until the kill");
        let unanswered = begun.map_or(Duration::ZERO, |begun| killed.saturating_duration_since(begun));
        Round { killed, slowest: slowest.max(unanswered), settled }
    })
}

#[test]
fn kills_lose_no_acknowledged_edit_and_no_registration_that_was_to_be_stored() {
    let kills = std::env::var("RINGTREE_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let home = Home::new(DOMAIN, &[("domain.toml", &rules(0))]);
    let mut promised = Promised { registered: vec![Vec::new(); DEVICES], edits: 0 };
    let phones = phones();
    let (mut recent, mut in_time, mut slowest_start) = (0, 0, Duration::ZERO);
    for number in 1..=kills {
        let daemon = home.start();
        let round = load_and_kill(&daemon, &phones, number, &mut promised);

        let started = clock();
        let again = home.start();
        slowest_start = slowest_start.max(clock() - started);
        let found = stored(&again);
        let holds = [promised.edits, promised.edits + 1].into_iter().find(|edits| after(*edits) == found);
        promised.edits = holds.unwrap_or_else(|| {
            panic!("round {number}: {} edits were acknowledged, found {found:?}", promised.edits)
        });
        let bindings = bound(&again);
        let safe = round.safe();
        in_time += u64::from(safe > round.settled);
        for (device, acknowledged) in promised.registered.iter_mut().enumerate() {
            let last = acknowledged.iter().rposition(|(_, at)| Some(*at) < safe);
            let Some((contact, at)) = last.map(|last| acknowledged[last]) else { continue };
            recent += u64::from(contact / 1_000_000 == number);
            let found = bindings.get(&device);
            assert!(
                found.is_some_and(|found| *found >= contact),
                "round {number}: d{device} had contact {contact} for {:?} at the kill, found {found:?}; the slowest edit took {:?}, the last one \
                 was begun {:?} before the kill",
                round.killed - at,
                round.slowest,
                round.settled.map(|settled| round.killed - settled)
            );
            // What is newer than what is safe may be lost for good; what is older was looked at.
            acknowledged.drain(..last.unwrap_or(0));
        }
        again.kill();
    }
    println!(
        "{kills} kills, {} edits; the slowest start {slowest_start:?}; {in_time} judged by the time alone",
        promised.edits
    );
    assert!(recent > 0, "no round lasted long enough to test a registration of its own");
}
