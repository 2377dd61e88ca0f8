//! A domain that is edited and registered at while the daemon is killed: each edit and each registration is known by its number.

use crate::support::address;
use crate::support::daemon::Daemon;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::UdpSocket;
use std::time::Duration;

pub const DEVICES: usize = 40;
pub const DOMAIN: &str = "crash.example";
/// Of so many edits one changes the rules, the others live status.
const RULES_EVERY: u64 = 10;

/// The rules as edit `number` leaves them.
pub fn rules(number: u64) -> String {
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

/// A socket for all phones.
pub fn phones() -> UdpSocket {
    let phones = UdpSocket::bind((address(), 0)).expect("a port");
    phones.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    phones
}

/// Where edit `number` makes its user's calls go.
fn forward(number: u64) -> String {
    format!("tel:+1202556{:04}", number % 10_000)
}

fn user_of(number: u64) -> usize {
    (number % 7) as usize
}

/// What was answered to edit `number`: status and body.
///
/// # Errors
/// The daemon was killed before it answered.
pub fn ask_to_edit(daemon: &Daemon, number: u64) -> std::io::Result<(u16, Value)> {
    let (method, path, body) = if number.is_multiple_of(RULES_EVERY) {
        ("POST", format!("/v1/domains/{DOMAIN}/rules/apply"), json!({ "domain.toml": rules(number) }))
    } else {
        let path = format!("/v1/domains/{DOMAIN}/users/d{}/status", user_of(number));
        ("PATCH", path, json!({ "forward": forward(number) }))
    };
    daemon.request(method, &path, Some(&body))
}

/// Does edit `number`; false where the daemon was killed before it answered.
pub fn edit(daemon: &Daemon, number: u64) -> bool {
    match ask_to_edit(daemon, number) {
        Ok((200, _)) => true,
        Ok((status, problem)) => panic!("edit {number} was refused with {status}: {problem}"),
        Err(_) => false,
    }
}

/// The rules' edit, and each user's forward.
pub type Edited = (u64, BTreeMap<usize, String>);

/// What is in force after the first `edits` of them.
pub fn after(edits: u64) -> Edited {
    let statuses = (1..=edits).filter(|edit| !edit.is_multiple_of(RULES_EVERY));
    (edits / RULES_EVERY * RULES_EVERY, statuses.map(|edit| (user_of(edit), forward(edit))).collect())
}

/// The same, as the daemon has it.
pub fn stored(daemon: &Daemon) -> Edited {
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
pub fn bound(daemon: &Daemon) -> BTreeMap<usize, u64> {
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
pub fn register(
    daemon: &Daemon,
    socket: &UdpSocket,
    device: usize,
    contact: u64,
    before: Option<u64>,
) -> bool {
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
