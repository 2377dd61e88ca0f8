//! What the tests store: rules, statuses, registrations and records that can be told apart by a number.

use ringtree::call::record::CallRecord;
use ringtree::registrar::binding::DeviceKey;
use ringtree::registrar::{Binding, BindingKey};
use ringtree::rules::diagnostic::Files;
use ringtree::rules::{Explanation, Status, StatusObject, UserStatus};
use ringtree::sip::{Flow, Transport};
use ringtree::store::{OpenEvent, OpenReport, SledStore, StoredRules};
use ringtree::switch::StatusKey;
use std::path::{Path, PathBuf};

pub fn open(path: &Path) -> (SledStore, OpenReport) {
    SledStore::open(path).unwrap()
}

/// The database inside of a store.
pub fn database(path: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("sled."))
        .collect();
    found.sort();
    found.pop().unwrap()
}

pub fn moved_aside(report: &OpenReport) -> bool {
    report.events.iter().any(|event| matches!(event, OpenEvent::MovedAside { .. }))
}

pub fn rules(domain: &str, number: u64) -> StoredRules {
    let text = format!("[domain]\nname = \"{domain}\"\n# version {number}\n");
    StoredRules {
        domain: domain.into(),
        generation: 0,
        files: Files([("domain.toml".into(), text.as_str().into())].into()).into(),
        changed: None,
        tree: format!("tree of {number}").into_bytes().into(),
        origin: "uid:1000".to_owned(),
        applied: "2026-11-24T10:00:00.000Z".to_owned(),
        what: format!("version {number}"),
    }
}

pub fn user(number: u64) -> StatusKey {
    StatusKey { domain: "harbour".into(), object: StatusObject::User(format!("u{number}").as_str().into()) }
}

pub fn status(number: u64) -> Status {
    Status::User(UserStatus {
        dnd: Some(number.is_multiple_of(2)),
        forward: Some(format!("tel:+1{number}")),
        ..UserStatus::default()
    })
}

pub fn binding(number: u64) -> Binding {
    let remote = "192.0.2.7:5060".parse().unwrap();
    let device = DeviceKey { domain: "harbour".into(), device: format!("d{number}").as_str().into() };
    Binding {
        key: BindingKey { device, contact: format!("sip:d{number}@192.0.2.7").as_str().into() },
        uri: format!("sip:d{number}@192.0.2.7").as_str().into(),
        flow: Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote,
            connection: None,
        },
        call_id: "reg@phone".into(),
        cseq: 1,
        q: 1000,
        expires: "2030-01-01T00:00:00Z".parse().unwrap(),
        registered: "2026-01-01T00:00:00Z".parse().unwrap(),
        user_agent: None,
        extensions: None,
    }
}

pub fn record(number: u64) -> CallRecord {
    CallRecord {
        id: format!("{number:016x}-0"),
        call_id: format!("call-{number}@phone"),
        session_id: None,
        generation: 1,
        domain: "harbour".to_owned(),
        from: Default::default(),
        to: "101".to_owned(),
        did: None,
        start: "2026-11-24T10:00:00.000Z".to_owned(),
        answer: None,
        end: None,
        outcome: "answered".to_owned(),
        status: 200,
        answered_by: None,
        tags: vec!["user:osei".to_owned()],
        legs: vec![],
        recording: None,
        recording_failed: None,
        media: None,
        forwards: vec![],
        transfers: Vec::new(),
        ended_because: None,
        emergency: false,
        screen_pop: None,
        explanation: Explanation::default(),
    }
}

/// The numbers of the registrations, sorted.
pub fn numbers(bindings: &[Binding]) -> Vec<u64> {
    let mut numbers: Vec<u64> = bindings.iter().map(|b| b.key.device.device[1..].parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// The same numbers on every run, without a clock: xorshift64*.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }
}
