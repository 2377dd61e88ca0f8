//! `kill -9` of the real daemon under load, fifty times: no edit that was acknowledged is lost, no registration that was
//! acknowledged longer ago than the stated bound, and the daemon starts again each time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that can't go on has failed

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::UdpSocket;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};
use support::daemon::{Daemon, Home};
use support::{PATIENCE, address, clock};

const KILLS: u64 = 50;
/// What `interface.md` of a running system promises: registrations are durable within this.
const LOSS_BOUND: Duration = Duration::from_millis(250);
const DEVICES: usize = 40;
/// Of so many edits one changes the rules, the others live status.
const RULES_EVERY: u64 = 10;
/// Acknowledgements that wait for the test to note them.
const ACKS_MAX: usize = 1024;
const DOMAIN: &str = "crash.example";

/// What the daemon has said yes to.
enum Ack {
    /// This device is bound at the contact of this number.
    Registered { device: usize, contact: u64 },
    /// This edit holds.
    Edited { edit: u64 },
}

/// What has to be there after a kill.
#[derive(Default)]
struct Promised {
    /// For each device the contacts that were acknowledged, oldest first.
    registered: Vec<Vec<(u64, Instant)>>,
    edits: u64,
}

/// The rules as edit `number` leaves them.
fn rules(number: u64) -> String {
    let mut text = format!(
        "schema = 1\n[domain]\nname = \"{DOMAIN}\"\ntimezone = \"Etc/UTC\"\ncountry = \"US\"\n\
         [defaults.voicemail]\nenabled = false\n[number.\"+12025550100\"]\nlabel = \"edit {number}\"\nto = \"user:d0\"\n"
    );
    for n in 0..DEVICES {
        let _ = write!(
            text,
            "[user.d{n}]\next = \"1{n:02}\"\n[device.d{n}]\nuser = \"d{n}\"\n\
             auth = {{ user = \"d{n}\", secret = \"plain:pw\" }}\naccept_from = [\"{}\"]\n",
            address()
        );
    }
    text
}

/// Where edit `number` makes its user's calls go.
fn forward(number: u64) -> String {
    format!("tel:+1202556{:04}", number % 10_000)
}

fn user_of(number: u64) -> usize {
    (number % 7) as usize
}

/// Does edit `number`; false where the daemon was killed before it answered.
fn edit(daemon: &Daemon, number: u64) -> bool {
    let (method, path, body) = if number.is_multiple_of(RULES_EVERY) {
        ("POST", format!("/v1/domains/{DOMAIN}/rules/apply"), json!({ "domain.toml": rules(number) }))
    } else {
        let path = format!("/v1/domains/{DOMAIN}/users/d{}/status", user_of(number));
        ("PATCH", path, json!({ "forward": forward(number) }))
    };
    match daemon.request(method, &path, Some(&body)) {
        Ok((200, _)) => true,
        Ok((status, problem)) => panic!("edit {number} was refused with {status}: {problem}"),
        Err(_) => false,
    }
}

/// The rules' edit, and each user's forward, after the first `edits` of them.
fn after(edits: u64) -> (u64, BTreeMap<usize, String>) {
    let statuses = (1..=edits).filter(|edit| !edit.is_multiple_of(RULES_EVERY));
    (edits / RULES_EVERY * RULES_EVERY, statuses.map(|edit| (user_of(edit), forward(edit))).collect())
}

/// The same, as the daemon has it.
fn stored(daemon: &Daemon) -> (u64, BTreeMap<usize, String>) {
    let export = daemon.read(&format!("/v1/domains/{DOMAIN}/rules/export"));
    let text = export["domain.toml"].as_str().expect("the text of the file");
    let label = text.split("label = \"edit ").nth(1).and_then(|rest| rest.split('"').next());
    let mut forwards = BTreeMap::new();
    for n in 0..DEVICES {
        let user = daemon.read(&format!("/v1/domains/{DOMAIN}/users/d{n}"));
        if let Some(forward) = user["status"]["forward"].as_str() {
            forwards.insert(n, forward.to_owned());
        }
    }
    (label.and_then(|number| number.parse().ok()).expect("the label that an edit wrote"), forwards)
}

/// The newest contact's number, device by device.
fn bound(daemon: &Daemon) -> BTreeMap<usize, u64> {
    let number = |value: &Value, start: &str| -> Option<u64> {
        value.as_str()?.split(start).nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let mut newest = BTreeMap::new();
    for binding in daemon.list("/v1/registrations") {
        let device = number(&binding["device"], "d").expect("a device of ours") as usize;
        let contact = number(&binding["contact"], "sip:c").expect("a contact of ours");
        let entry = newest.entry(device).or_insert(contact);
        *entry = contact.max(*entry);
    }
    newest
}

/// One REGISTER that binds `contact` in place of `before`. False where the daemon was killed before it answered.
fn register(daemon: &Daemon, socket: &UdpSocket, device: usize, contact: u64, before: Option<u64>) -> bool {
    let me = socket.local_addr().expect("bound");
    let ip = me.ip();
    let old = before.map(|old| format!("Contact: <sip:c{old}@{me}>;expires=0\r\n")).unwrap_or_default();
    let request = format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{contact}\r\nMax-Forwards: 70\r\n\
         From: <sip:d{device}@{DOMAIN}>;tag={contact}\r\nTo: <sip:d{device}@{DOMAIN}>\r\nCall-ID: {contact}@{ip}\r\n\
         CSeq: 1 REGISTER\r\nContact: <sip:c{contact}@{me}>;expires=3600\r\n{old}Content-Length: 0\r\n\r\n"
    );
    let wanted = format!("Call-ID: {contact}@{ip}\r\n");
    for _ in 0..8 {
        if socket.send_to(request.as_bytes(), daemon.udp).is_err() {
            return false;
        }
        let mut answer = [0; 4096];
        while let Ok(length) = socket.recv(&mut answer) {
            let text = String::from_utf8_lossy(&answer[..length]);
            if text.contains(&wanted) && !text.starts_with("SIP/2.0 1") {
                assert!(text.starts_with("SIP/2.0 200"), "REGISTER was refused: {text}");
                return true;
            }
        }
        if !daemon.is_running() {
            return false;
        }
    }
    panic!("REGISTER was not answered");
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
        acks.send(Ack::Registered { device, contact }).expect("noted");
    }
}

fn keep_editing(daemon: &Daemon, mut number: u64, acks: &SyncSender<Ack>) {
    while edit(daemon, number) {
        acks.send(Ack::Edited { edit: number }).expect("noted");
        number += 1;
    }
}

/// Load until so many registrations and edits were acknowledged; then the kill, in the midst of more.
fn load_and_kill(daemon: &Daemon, phones: &UdpSocket, round: u64, promised: &mut Promised) -> Instant {
    let (sender, acks) = sync_channel(ACKS_MAX);
    let contact = round * 1_000_000;
    let (edits, registrations) = (1 + round * 7 % 40, 50 + round * 211 % 1500);
    let next_edit = promised.edits + 1;
    std::thread::scope(|scope| {
        let registering = sender.clone();
        scope.spawn(move || keep_registering(daemon, phones, contact, &registering));
        scope.spawn(move || keep_editing(daemon, next_edit, &sender));
        let (mut edited, mut registered, mut killed) = (0, 0, None);
        while let Ok(ack) = acks.recv_timeout(PATIENCE) {
            match ack {
                Ack::Registered { device, contact } => {
                    promised.registered[device].push((contact, clock()));
                    registered += 1;
                }
                Ack::Edited { edit } => {
                    promised.edits = edit;
                    edited += 1;
                }
            }
            if edited >= edits && registered >= registrations && killed.is_none() {
                killed = Some(clock());
                daemon.kill();
            }
        }
        killed.expect("the load went on until the kill")
    })
}

#[test]
fn fifty_kills_lose_no_acknowledged_edit_and_no_registration_beyond_the_bound() {
    let home = Home::new(DOMAIN, &[("domain.toml", &rules(0))]);
    let mut promised = Promised { registered: vec![Vec::new(); DEVICES], edits: 0 };
    let phones = UdpSocket::bind((address(), 0)).expect("a port");
    phones.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let mut recent = 0;
    for round in 1..=KILLS {
        let daemon = home.start();
        let killed = load_and_kill(&daemon, &phones, round, &mut promised);

        let again = home.start();
        let found = stored(&again);
        let holds = [promised.edits, promised.edits + 1].into_iter().find(|edits| after(*edits) == found);
        promised.edits = holds.unwrap_or_else(|| {
            panic!("round {round}: {} edits were acknowledged, found {found:?}", promised.edits)
        });
        let bindings = bound(&again);
        for (device, acknowledged) in promised.registered.iter().enumerate() {
            let safe = acknowledged.iter().rev().find(|(_, at)| *at + LOSS_BOUND < killed);
            let Some((contact, at)) = safe else { continue };
            recent += u64::from(contact / 1_000_000 == round);
            let found = bindings.get(&device);
            assert!(
                found.is_some_and(|found| found >= contact),
                "round {round}: d{device} had contact {contact} for {:?} at the kill, found {found:?}",
                killed - *at
            );
        }
        again.kill();
    }
    assert!(recent > 0, "no round lasted long enough to test the bound");
}
