//! Trunks as they are now: where each leads, how many calls it carries of how many, and how it has fared since the start.

use super::Admin;
use super::problem::Problem;
use crate::call::lines::{self, Target};
use crate::call::office::{Named, Office};
use crate::call::trunk::contacts;
use crate::clock::Now;
use crate::rules::domain::TrunkView;
use crate::rules::model::TrunkTransport;
use crate::switch::Switch;
use crate::trunk::Standing;
use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// One trunk as the socket shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trunk {
    pub domain: String,
    pub name: String,
    /// `host[:port]`; without one, calls come in by it and none goes out.
    pub proxy: Option<String>,
    /// `udp`, `tcp`, `tls`, `any`.
    pub transport: String,
    /// What the proxy resolves to, by rank.
    pub addresses: Vec<String>,
    /// Each place of these, as calls see it.
    pub targets: Vec<Place>,
    /// Calls that it carries now, both ways.
    pub channels_in_use: usize,
    /// How many it may carry; null: as many as come.
    pub channels: Option<u32>,
    /// Calls since the start, both ways: each attempt that went out to it, and each call that came in.
    pub calls: u64,
    /// Of these, attempts that it did not take: no response, or a 408 or 5xx before anything rang.
    pub failures: u64,
    /// `up`, `full`, `no_listener` (`[sip] listen` has none of its transport, so nothing can be sent to it), `down` (its proxy has no address, or none of its places answers OPTIONS), `quarantined` (each place has just said 503, or
    /// nothing), `unregistered` (calls take another trunk where there is one), `inbound` (it has no
    /// proxy).
    pub state: String,
    /// Of our registration there; null where the rules want none.
    pub registration: Option<Registration>,
}

/// One place that a trunk leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub address: String,
    /// `udp`, `tcp`, `tls`.
    pub transport: String,
    /// `up`, `quarantined` (it said 503, or nothing), `silent` (it doesn't answer OPTIONS): the last two are tried where there is nothing else.
    pub state: String,
    /// Of `quarantined`: until when.
    pub until: Option<Timestamp>,
}

/// Our registration at a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// `waiting` (for an address or a secret), `registering`, `registered`, `failed` (it is tried again), `refused` (it is not, before
    /// the rules are applied anew), `leaving`.
    pub state: String,
    /// What the last failure was.
    pub why: Option<String>,
    /// Of `registered`: when what was granted ends; of `failed`: when it is tried again.
    pub until: Option<Timestamp>,
}

/// `GET /v1/trunks`: those of every domain, by domain and name.
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Result<Json<Vec<Trunk>>, Problem> {
    let domains = admin.generations.all();
    let question = move |switch: &mut Switch, now: Now| {
        let of = |domain: &Arc<str>, trunk: &TrunkView| shown(switch, now, domain, trunk);
        let trunks = domains
            .iter()
            .flat_map(|live| live.domain.trunks().map(move |trunk| (&live.stored.domain, trunk)));
        trunks.map(|(domain, trunk)| of(domain, trunk)).collect::<Vec<_>>()
    };
    admin.plane.query(question).await.map(Json).ok_or_else(Problem::no_answer)
}

fn shown(switch: &Switch, now: Now, domain: &Arc<str>, trunk: &TrunkView) -> Trunk {
    let office = switch.office();
    let key = (domain.clone(), trunk.name.clone());
    let targets = places(office, now, &key);
    let contacts = match trunk.registers_here {
        true => contacts(&office.location, domain, trunk).collect(),
        false => Vec::new(),
    };
    let registered = contacts.iter().map(|contact| contact.flow.remote.to_string());
    let addresses: Vec<String> =
        targets.iter().map(|place| place.address.clone()).chain(registered).collect();
    let all = |state: &str| targets.iter().all(|place| place.state == state);
    let some_up = targets.iter().any(|place| place.state == "up");
    let (channels_in_use, tally) = (office.lines.channels_in_use(&key), office.lines.tally_of(&key));
    let lacks_listener = trunk.transport.only().is_some_and(|wanted| office.listener(wanted).is_none());
    let state = match (&trunk.proxy, trunk.channels) {
        (None, _) if trunk.registers_here && contacts.is_empty() => "down",
        (None, Some(most)) if trunk.registers_here && channels_in_use >= most as usize => "full",
        (None, _) if trunk.registers_here => "up",
        (None, _) => "inbound",
        (Some(_), _) if lacks_listener => "no_listener",
        (Some(_), _) if all("silent") => "down", // or there is none
        (Some(_), _) if !some_up => "quarantined",
        (Some(_), _) if office.lines.is_unregistered(&key) => "unregistered",
        (Some(_), Some(most)) if channels_in_use >= most as usize => "full",
        (Some(_), _) => "up",
    };
    let transport = match trunk.transport {
        TrunkTransport::Udp => "udp",
        TrunkTransport::Tcp => "tcp",
        TrunkTransport::Tls => "tls",
        TrunkTransport::Any => "any",
    };
    Trunk {
        domain: domain.to_string(),
        name: trunk.name.to_string(),
        proxy: trunk.proxy.clone(),
        transport: transport.to_owned(),
        addresses,
        targets,
        channels_in_use,
        channels: trunk.channels,
        calls: tally.calls,
        failures: tally.failures,
        state: state.to_owned(),
        registration: switch.trunk_registration(&key).map(|standing| registration(now, standing)),
    }
}

fn places(office: &Office, now: Now, trunk: &Named) -> Vec<Place> {
    let place = |target: &Target| {
        let (state, until) = match office.lines.standing(now.mono, trunk, target) {
            lines::Standing::Open => ("up", None),
            lines::Standing::Quarantined { until } => ("quarantined", civil(now, until)),
            lines::Standing::Silent => ("silent", None),
        };
        let (address, transport) = (target.remote.to_string(), target.transport.scheme().to_owned());
        Place { address, transport, state: state.to_owned(), until }
    };
    office.lines.places(trunk).iter().map(place).collect()
}

/// A moment ahead by the wall clock.
fn civil(now: Now, at: Instant) -> Option<Timestamp> {
    let ahead = SignedDuration::try_from(at.saturating_duration_since(now.mono)).unwrap_or_default();
    now.wall.checked_add(ahead).ok()
}

fn registration(now: Now, standing: Standing) -> Registration {
    let at = |at: Instant| civil(now, at);
    let (state, why, until) = match standing {
        Standing::Waiting => ("waiting", None, None),
        Standing::Registering => ("registering", None, None),
        Standing::Registered { until } => ("registered", None, at(until)),
        Standing::Failed { why, again } => ("failed", Some(why), at(again)),
        Standing::Refused { why } => ("refused", Some(why), None),
        Standing::Leaving => ("leaving", None, None),
    };
    Registration { state: state.to_owned(), why, until }
}
