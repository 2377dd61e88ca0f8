//! An emergency call is told to staff at once: as an event, and as a MESSAGE (RFC 3428) to the phones that `[emergency] notify` names. The
//! event names whom mail goes to; sending it is the edge's.
//!
//! Nothing is awaited: whether a phone shows it is its own affair, and no answer to it may hold the call up.

use super::Call;
use super::headers::{self, AGENT};
use super::office::{Effect, Office};
use super::out_of_dialog::OutOfDialog;
use crate::clock::Now;
use crate::registrar::Binding;
use crate::rules::model::Destination;
use crate::sip::Name;
use crate::transaction::ClientId;
use bytes::Bytes;
use serde::Serialize;

/// Names of these transactions: above those of all calls (their key, shifted), below those of other rooms. Nobody waits for them.
const CLIENTS_FROM: u64 = 1 << 61;
/// Phones that are told of one call; more than that is a public address system.
const PHONES_MAX: usize = 64;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Of the call, as in its record.
    pub id: String,
    pub domain: String,
    /// As the caller's phone says it.
    pub from: String,
    /// `device:NAME`, or the trunk.
    pub origin: String,
    pub dialled: String,
    /// The number that the emergency centre can call back.
    pub callback: Option<String>,
    /// The name of the location, and its address in one line.
    pub location: Option<String>,
    pub address: Option<String>,
    /// Mail addresses of staff who are told.
    #[serde(skip)]
    pub mail: Vec<std::sync::Arc<str>>,
}

impl Call {
    /// The rules have taken it for an emergency call, which goes out now.
    pub(super) fn alert_staff(&self, office: &mut Office, now: Now, callback: Option<&str>) {
        let location = self.walk.location();
        let elements = location.and_then(|name| self.domain.civic_address(name)).unwrap_or_default();
        let alert = Alert {
            id: self.log.id.clone(),
            domain: self.domain.name().to_string(),
            from: self.log.from.raw.clone(),
            origin: self.log.from.origin.clone(),
            dialled: self.log.to.clone(),
            callback: callback.map(str::to_owned),
            location: location.map(str::to_owned),
            address: location.map(|_| in_one_line(elements)),
            mail: self.domain.mailed_of_emergencies().to_vec(),
        };
        let text = alert.text();
        for binding in self.phones_to_tell(office, now) {
            let bytes = message(office, &binding, self.domain.name(), &text);
            let id = ClientId(CLIENTS_FROM | office.ids.word() >> 4);
            office.request(now, id, binding.flow, bytes);
        }
        office.effect(Effect::Emergency(alert));
    }

    fn phones_to_tell(&self, office: &Office, now: Now) -> Vec<Binding> {
        let live = office.live(&self.domain, now, None);
        let mut devices: Vec<std::sync::Arc<str>> = Vec::new();
        for to in self.domain.told_of_emergencies() {
            match to {
                Destination::User(user) | Destination::Handset(user) => {
                    devices.extend(self.domain.phones_of(user, &live).cloned());
                }
                Destination::Device(device) => devices.push(device.clone()),
                _ => {} // a call to it would be a service that is not built; `check` says so
            }
        }
        devices.sort();
        devices.dedup();
        let bindings = devices.iter().flat_map(|device| office.bindings(self.domain.name(), device));
        bindings.take(PHONES_MAX).cloned().collect()
    }
}

impl Alert {
    /// In one line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("EMERGENCY: {} was called by {} ({})", self.dialled, self.from, self.origin);
        for (word, value) in [("at", &self.address), ("call back", &self.callback)] {
            if let Some(value) = value {
                text += &format!(", {word} {value}");
            }
        }
        text
    }
}

/// What the elements hold, from the house to the country: as the schema has it, turned round.
fn in_one_line(elements: &[(std::sync::Arc<str>, std::sync::Arc<str>)]) -> String {
    let texts: Vec<&str> = elements.iter().rev().map(|(_, text)| &**text).collect();
    texts.join(", ")
}

/// RFC 3428 §4.
fn message(office: &mut Office, binding: &Binding, domain: &str, text: &str) -> Bytes {
    let branch = headers::branch(office);
    let (target, path) = (binding.target(), binding.path());
    let from = format!("\"Emergency\" <sip:{domain}>");
    let head =
        OutOfDialog { method: "MESSAGE", target, path, from: &from, to: target, hops: headers::MAX_FORWARDS };
    let mut w = head.begin(office, &binding.flow, &branch);
    w.header(Name::Priority, "emergency");
    w.header(Name::UserAgent, AGENT);
    w.body("text/plain;charset=UTF-8", text.as_bytes())
}
