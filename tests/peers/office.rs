//! An office where phones need no password: each is known by the address of the test, and a trunk by one of its own. So a test says
//! whom it calls and what rings, and nothing about digests (those are in `calls`).

use crate::support::daemon::{Daemon, Home};
use crate::support::sipp::{Scenario, Sipp};
use crate::support::{PATIENCE, address, port, trunk_address, until};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

pub const DOMAIN: &str = "peers.example";

/// A running daemon with its rules, and where its trunks are.
pub struct Office {
    pub daemon: Daemon,
    /// `carrier` and `spare`.
    pub trunks: [SocketAddr; 2],
    home: Home,
}

/// The rules of an office: the users, one device each or as listed, and what else is said.
#[derive(Default)]
pub struct Rules {
    users: String,
    devices: String,
    /// Keys of the trunk `carrier`.
    carrier: String,
    more: String,
    /// Who is asked for the names of trunks.
    nameserver: Option<SocketAddr>,
}

impl Rules {
    /// A user with these devices and lines of TOML: keys, or `[[user.NAME.rule]]` tables.
    pub fn user(mut self, name: &str, ext: &str, devices: &[&str], keys: &str) -> Rules {
        let _ =
            writeln!(self.users, "[user.{name}]\next = \"{ext}\"\nname = {{ first = \"{name}\" }}\n{keys}");
        for (index, device) in devices.iter().enumerate() {
            let primary = if index == 0 && devices.len() > 1 { "primary = true" } else { "" };
            let _ = writeln!(
                self.devices,
                "[device.{device}]\nuser = \"{name}\"\naccept_from = [\"{}\"]\n{primary}",
                address()
            );
        }
        self
    }

    /// A user whose only rule says this.
    pub fn rule(self, name: &str, ext: &str, devices: &[&str], keys: &str) -> Rules {
        let rule = format!("[[user.{name}.rule]]\nname = \"Default\"\nwhen = \"always\"\n{keys}");
        self.user(name, ext, devices, &rule)
    }

    pub fn carrier(mut self, keys: &str) -> Rules {
        self.carrier = keys.to_owned();
        self
    }

    pub fn nameserver(mut self, address: SocketAddr) -> Rules {
        self.nameserver = Some(address);
        self
    }

    /// Calls to +44 go by the trunk `located`, which has these keys.
    pub fn located(self, keys: &str) -> Rules {
        self.more(&format!(
            "[trunk.located]\n{keys}\n[class.far]\nmatch = [\"+44.\"]\n[[route]]\nclasses = [\"far\"]\nvia = [\"located\"]\n"
        ))
    }

    pub fn more(mut self, text: &str) -> Rules {
        self.more += text;
        self
    }

    pub fn text(&self, trunks: [SocketAddr; 2]) -> String {
        let Rules { users, devices, carrier, more, nameserver: _ } = self;
        let [one, two] = trunks;
        format!(
            "schema = 1\n[domain]\nname = \"{DOMAIN}\"\ntimezone = \"Etc/UTC\"\ncountry = \"US\"\narea_code = \"202\"\n\
             caller_id = {{ name = \"Peers\", number = \"+12025550100\" }}\ncall_paths = 1000\n\
             [defaults.voicemail]\nenabled = false\n\
             [trunk.carrier]\nproxy = \"{one}\"\naccept_from = [\"{}\"]\n{carrier}\n\
             [trunk.spare]\nproxy = \"{two}\"\naccept_from = [\"{}\"]\n\
             [class.emergency]\nmatch = [\"911\"]\n[class.national]\nmatch = [\"+1.\"]\n\
             [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"carrier\", \"spare\"]\n{users}\n{devices}\n{more}\n",
            one.ip(),
            two.ip(),
        )
    }

    pub fn open(self) -> Office {
        self.open_with_media(64)
    }

    /// With more keys of `[sip]`.
    pub fn open_with_sip(self, keys: &str) -> Office {
        self.open_as(64, keys)
    }

    pub fn open_with_media(self, pairs: u16) -> Office {
        self.open_as(pairs, "")
    }

    fn open_as(self, pairs: u16, sip: &str) -> Office {
        let trunks = [0, 1].map(|n| SocketAddr::new(trunk_address(n).into(), port()));
        let nameserver = self.nameserver;
        let home = Home::with_media(DOMAIN, &[("domain.toml", &self.text(trunks))], pairs).sip(sip);
        if let Some(address) = nameserver {
            home.configure("[sip]\n", &format!("[sip]\nnameservers = [\"{address}\"]\n"));
        }
        let daemon = home.start();
        Office { daemon, trunks, home }
    }
}

impl Office {
    /// The daemon is killed, and another one takes its place.
    pub fn restarted(self) -> Office {
        self.daemon.kill();
        Office { daemon: self.home.start(), ..self }
    }

    /// Starts `scenario` as this device, and registers it.
    pub fn phone(&self, device: &str, scenario: Scenario<'_>) -> Sipp {
        let phone = scenario.start().listening();
        self.register(device, phone.local);
        phone
    }

    /// A scenario of this daemon.
    pub fn scenario<'a>(&self, name: &'static str) -> Scenario<'a> {
        Scenario::new(name, self.daemon.udp)
    }

    /// A scenario that is the trunk `carrier` (0) or `spare` (1) where calls go out to.
    pub fn trunk<'a>(&self, n: usize, name: &'static str) -> Scenario<'a> {
        self.scenario(name).at(self.trunks[n])
    }

    /// A device calls.
    pub fn dial<'a>(&self, device: &str, callee: &'a str) -> Scenario<'a> {
        self.scenario("dial").from(format!("<sip:{device}@{DOMAIN}>")).key("callee", callee)
    }

    /// A device calls, and is answered with this.
    pub fn refused<'a>(&self, device: &str, callee: &'a str, status: u16) -> Scenario<'a> {
        let from = format!("<sip:{device}@{DOMAIN}>");
        self.scenario("dial_refused").status(status).from(from).key("callee", callee)
    }

    /// Somebody calls in by the trunk `carrier`, from another port than where it takes calls.
    pub fn outside<'a>(&self, scenario: &'static str, from: &str, callee: &'a str) -> Scenario<'a> {
        let local = SocketAddr::new(self.trunks[0].ip(), port());
        self.scenario(scenario).at(local).from(from).key("callee", callee)
    }

    /// REGISTER, again until it is answered: no process for what needs none.
    pub fn register(&self, device: &str, contact: SocketAddr) {
        let socket = UdpSocket::bind((address(), 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
        let (me, port) = (socket.local_addr().expect("bound"), contact.port());
        let request = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{device}{port}\r\nMax-Forwards: 70\r\n\
             From: <sip:{device}@{DOMAIN}>;tag={port}\r\nTo: <sip:{device}@{DOMAIN}>\r\nCall-ID: {device}{port}@{me}\r\n\
             CSeq: 1 REGISTER\r\nContact: <sip:{device}@{contact}>;expires=600\r\nContent-Length: 0\r\n\r\n"
        );
        let mut answer = [0; 2048];
        let answer = until(&format!("{device} to be registered"), || {
            socket.send_to(request.as_bytes(), self.daemon.udp).expect("sent");
            let length = socket.recv(&mut answer).ok()?;
            Some(String::from_utf8_lossy(&answer[..length]).into_owned())
        });
        assert!(answer.starts_with("SIP/2.0 200"), "{device}: {answer}");
    }

    /// PATCHes a status and gives it as it is now.
    pub fn set(&self, object: &str, body: Value) -> Value {
        let path = format!("/v1/domains/{DOMAIN}/{object}/status");
        let (status, value) = self.daemon.request("PATCH", &path, Some(&body)).expect("an answer");
        assert_eq!(status, 200, "PATCH {path} {body}: {value}");
        value
    }

    /// The record of the call to `to`, once it is there; there must be no other.
    pub fn record_to(&self, to: &str) -> Value {
        let mut records = self.records(to, 1);
        records.remove(0)
    }

    /// The records of the calls to `to`, oldest first, once there are `count`.
    pub fn records(&self, to: &str, count: usize) -> Vec<Value> {
        let mut records = until(&format!("{count} records of calls to {to}"), || {
            let all = self.daemon.list("/v1/records?limit=1000");
            let found: Vec<Value> = all.into_iter().filter(|record| record["to"] == to).collect();
            (found.len() >= count).then_some(found)
        });
        assert_eq!(records.len(), count, "{records:#?}");
        records.reverse();
        records
    }

    /// Waits until so many calls are answered and up.
    pub fn talking(&self, calls: usize) {
        until(&format!("{calls} calls to be up"), || {
            let up = self.daemon.list("/v1/calls");
            (up.iter().filter(|call| !call["answer"].is_null()).count() == calls).then_some(())
        });
    }
}

/// Seconds from the start of the first leg to that of each, by their order.
pub fn starts(record: &Value) -> Vec<(String, f64)> {
    let legs = record["legs"].as_array().expect("legs");
    let at = |leg: &Value| -> jiff::Timestamp {
        leg["start"].as_str().expect("a time").parse().expect("RFC 3339")
    };
    let first = legs.first().map(&at);
    legs.iter()
        .map(|leg| {
            let to = leg["to"].as_str().expect("a text").to_owned();
            (to, first.map_or(0.0, |first| at(leg).duration_since(first).as_secs_f64()))
        })
        .collect()
}

/// Each leg started when the plan says, or up to this much later: a loaded machine is slow, never early.
const LATE_S: f64 = 3.0;

pub fn assert_starts(record: &Value, wanted: &[(&str, f64)]) {
    let found = starts(record);
    let names = |legs: &[(String, f64)]| legs.iter().map(|(to, _)| to.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found), wanted.iter().map(|(to, _)| format!("device:{to}")).collect::<Vec<_>>());
    for ((to, at), (_, planned)) in found.iter().zip(wanted) {
        let margin = 0.02; // records have milliseconds, and timers look every ten
        assert!(*at >= planned - margin && *at <= planned + LATE_S, "{to} at {at}, not {planned}: {found:?}");
    }
}

/// For what takes longer than [`PATIENCE`]: up to a minute more.
pub const A_MINUTE_MORE: Duration = Duration::from_secs(60 + PATIENCE.as_secs());
