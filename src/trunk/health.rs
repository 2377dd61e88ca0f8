//! Whether each place that a trunk leads to is there: OPTIONS at an interval (RFC 3261 §11), where the trunk's `ping` asks for it.
//!
//! Any final response but 408 and 503 is a sign of life: a carrier that refuses OPTIONS is there to refuse it. A place that gives
//! none is passed over by calls (`Lines::set_silent`) until it does.
//!
//! Invariant: of each place at most one question is under way.

use super::{CLIENTS_END, News, PINGS_FROM};
use crate::call::capabilities::ALLOW;
use crate::call::headers::{self, AGENT};
use crate::call::lines::Target;
use crate::call::office::{Named, Office};
use crate::call::out_of_dialog::OutOfDialog;
use crate::clock::Now;
use crate::deadlines::{Armed, Deadlines};
use crate::rules::Ruleset;
use crate::sip::{Flow, Name};
use crate::transaction::ClientId;
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The questions of one place are numbered by so many bits of their names; the rest is its key.
const SERIAL_BITS: u32 = 20;

/// The name of a place within the core. Never reused.
type Key = u64;

/// What the rules want of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    /// The Request-URI of its OPTIONS.
    uri: String,
    every: Duration,
}

#[derive(Debug)]
struct Place {
    trunk: Named,
    target: Target,
    state: State,
    serial: u32,
    is_silent: bool,
    armed: Armed,
}

#[derive(Debug)]
enum State {
    Resting { until: Instant },
    Asked { client: ClientId },
}

#[derive(Debug, Default)]
pub struct Health {
    wanted: BTreeMap<Named, Wanted>,
    places: FxHashMap<Key, Place>,
    deadlines: Deadlines<Key>,
    last: Key,
    news: Vec<News>,
}

impl Health {
    /// The rules have changed: trunks are asked from now on, or no more.
    pub fn publish(&mut self, office: &mut Office, now: Now, rules: &Ruleset) {
        let mut wanted = BTreeMap::new();
        for domain in rules.domains() {
            for trunk in domain.trunks() {
                if let (Some(every), Some(proxy)) = (trunk.ping, &trunk.proxy) {
                    let of = Wanted { uri: format!("sip:{proxy}"), every };
                    wanted.insert((domain.name().clone(), trunk.name.clone()), of);
                }
            }
        }
        self.wanted = wanted;
        let mut trunks: Vec<Named> = self.places.values().map(|place| place.trunk.clone()).collect();
        trunks.extend(self.wanted.keys().cloned());
        trunks.sort();
        trunks.dedup();
        for trunk in &trunks {
            self.resolved(office, now, trunk);
        }
    }

    /// The places of a trunk are known, or others than before.
    pub fn resolved(&mut self, office: &mut Office, now: Now, trunk: &Named) {
        let targets = match self.wanted.get(trunk) {
            Some(_) => office.lines.places(trunk),
            None => Vec::new(),
        };
        self.places.retain(|_, place| {
            let stays = place.trunk != *trunk || targets.contains(&place.target);
            if !stays {
                office.lines.set_silent(trunk, place.target, false);
            }
            stays
        });
        for target in targets {
            if !self.places.values().any(|place| place.trunk == *trunk && place.target == target) {
                self.last += 1;
                // The first question at once: what is down at a start is to be known before the first call.
                let state = State::Resting { until: now.mono };
                let trunk = trunk.clone();
                let place = Place { trunk, target, state, serial: 0, is_silent: false, armed: None };
                self.places.insert(self.last, place);
                self.arm(self.last);
            }
        }
    }

    /// The status of a final response to one of our questions; `None`: none came.
    pub fn answered(&mut self, office: &mut Office, now: Now, id: ClientId, status: Option<u16>) {
        if status.is_some_and(|status| status < 200) {
            return;
        }
        let key = (id.0 - PINGS_FROM) >> SERIAL_BITS;
        let Some(place) = self.places.get_mut(&key) else { return };
        if !matches!(place.state, State::Asked { client } if client == id) {
            return;
        }
        let trunk = place.trunk.clone();
        let Some(every) = self.wanted.get(&trunk).map(|wanted| wanted.every) else { return };
        place.state = State::Resting { until: now.mono + spread(every, office.ids.word()) };
        let is_silent = status.is_none_or(|status| matches!(status, 408 | 503));
        let changed = std::mem::replace(&mut place.is_silent, is_silent) != is_silent;
        let target = place.target;
        self.arm(key);
        if changed {
            self.tell(office, trunk, target, is_silent, status);
        }
    }

    pub fn timeout(&mut self, office: &mut Office, now: Now) {
        while let Some((at, key)) = self.deadlines.pop(now.mono) {
            let Some(place) = self.places.get_mut(&key).filter(|place| place.armed == Some(at)) else {
                continue;
            };
            place.armed = None;
            match place.state {
                State::Resting { until } if until <= now.mono => self.ask(office, now, key),
                State::Resting { .. } | State::Asked { .. } => self.arm(key),
            }
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What is to be told since the last time, in order.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn ask(&mut self, office: &mut Office, now: Now, key: Key) {
        let Some(place) = self.places.get_mut(&key) else { return };
        let Some(wanted) = self.wanted.get(&place.trunk) else { return };
        let Some(flow) = office.flow_to(&place.target) else {
            place.state = State::Resting { until: now.mono + wanted.every };
            return self.arm(key);
        };
        place.serial = (place.serial + 1) & ((1 << SERIAL_BITS) - 1);
        let client =
            ClientId((PINGS_FROM | key << SERIAL_BITS | u64::from(place.serial)) & (CLIENTS_END - 1));
        place.state = State::Asked { client };
        let bytes = options(office, &flow, &wanted.uri, &place.trunk.0);
        office.request(now, client, flow, bytes);
    }

    /// A trunk is down once none of its places answers, and up once one does again.
    fn tell(
        &mut self,
        office: &mut Office,
        trunk: Named,
        target: Target,
        is_silent: bool,
        status: Option<u16>,
    ) {
        office.lines.set_silent(&trunk, target, is_silent);
        let others = self.places.values().filter(|place| place.trunk == trunk && place.target != target);
        let others_answer = others.into_iter().any(|place| !place.is_silent);
        if others_answer {
            return;
        }
        if is_silent {
            let remote = target.remote;
            let why = match status {
                Some(status) => format!("{remote} says {status} to OPTIONS"),
                None => format!("{remote} does not answer OPTIONS"),
            };
            self.news.push(News::Down { trunk, why, refused: false });
        } else if !office.lines.is_unregistered(&trunk) {
            self.news.push(News::Up { trunk });
        }
    }

    fn arm(&mut self, key: Key) {
        let Some(place) = self.places.get_mut(&key) else { return };
        let deadline = match place.state {
            State::Resting { until } => Some(until),
            State::Asked { .. } => None, // its transaction ends by itself
        };
        self.deadlines.arm(key, &mut place.armed, deadline);
    }
}

/// Up to a tenth sooner, so that what began together doesn't come back together.
fn spread(every: Duration, word: u64) -> Duration {
    let tenth = u64::try_from((every / 10).as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    every.saturating_sub(Duration::from_millis(word % tenth))
}

/// RFC 3261 §11.1: what an INVITE would be, without a call.
fn options(office: &mut Office, flow: &Flow, uri: &str, domain: &str) -> Bytes {
    let branch = headers::branch(office);
    let from = format!("<sip:{domain}>");
    let hops = headers::MAX_FORWARDS;
    let head = OutOfDialog { method: "OPTIONS", target: uri, path: &[], from: &from, to: uri, hops };
    let mut w = head.begin(office, flow, &branch);
    w.header(Name::Contact, office.contact(flow, false));
    w.header(Name::Accept, "application/sdp");
    w.header(Name::Allow, ALLOW);
    w.header(Name::UserAgent, AGENT);
    w.finish()
}
