//! All registrations of ours: those that the rules want are begun, kept up and taken back; what they say goes out as REGISTERs, and what
//! becomes of them as news.
//!
//! Invariant: a trunk that should be registered and is not is said so in `Office::lines`, so that calls take another where there is one.

use super::registration::{Account, Means, Next, Registration, Standing};
use super::{CLIENTS_FROM, PINGS_FROM};
use crate::call::capabilities::ALLOW;
use crate::call::headers::{self, AGENT};
use crate::call::office::{Named, Office};
use crate::clock::Now;
use crate::deadlines::{Armed, Deadlines};
use crate::rules::domain::TrunkView;
use crate::rules::model::TrunkTransport;
use crate::rules::{Domain, Ruleset};
use crate::sip::{Flow, Message, Name, Writer};
use crate::transaction::{ClientId, Failure};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The transactions of one registration are numbered by so many bits of their names; the rest is its key.
const SERIAL_BITS: u32 = 24;

/// What became of a trunk's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Up {
        trunk: Named,
    },
    /// It failed, or has lapsed; `refused`: it is not tried again.
    Down {
        trunk: Named,
        why: String,
        refused: bool,
    },
}

/// The name of a registration within the core. Never reused.
type Key = u64;

#[derive(Debug)]
struct Entry {
    trunk: Named,
    /// The Request-URI of its REGISTERs, and the address of record that they bind (RFC 3261 §10.2).
    uri: String,
    address_of_record: String,
    /// As the rules say; the places that it leads to have theirs.
    transport: TrunkTransport,
    generation: u64,
    call_id: String,
    tag: String,
    registration: Registration,
    /// The REGISTER that is under way, and the number of the next.
    client: Option<ClientId>,
    serial: u32,
    /// Where the last one went.
    flow: Option<Flow>,
    /// What was last told.
    told: Option<News>,
    armed: Armed,
}

#[derive(Debug, Default)]
pub struct Registrations {
    entries: BTreeMap<Key, Entry>,
    by_trunk: FxHashMap<Named, Key>,
    deadlines: Deadlines<Key>,
    last: Key,
    news: Vec<News>,
}

impl Registrations {
    /// The rules have changed: begins what is new, takes back what is gone, does both where an account has changed; and tries again what
    /// was refused.
    pub fn publish(&mut self, office: &mut Office, now: Now, rules: &Ruleset) {
        let mut wanted: FxHashMap<Named, Entry> = FxHashMap::default();
        for domain in rules.domains() {
            let entries = domain.trunks().filter_map(|trunk| entry(domain, trunk));
            wanted.extend(entries.map(|entry| (entry.trunk.clone(), entry)));
        }
        let gone: Vec<Key> = self
            .by_trunk
            .iter()
            .filter(|(trunk, key)| {
                let of = |key| self.entries.get(key);
                !wanted.get(*trunk).zip(of(*key)).is_some_and(|(new, old)| new.is_the_same_as(old))
            })
            .map(|(_, key)| *key)
            .collect();
        for key in gone {
            self.leave(office, now, key);
        }
        let mut wanted: Vec<Entry> = wanted.into_values().collect();
        wanted.sort_by(|a, b| a.trunk.cmp(&b.trunk)); // so that a run repeats to the byte
        for new in wanted {
            match self.by_trunk.get(&new.trunk).copied() {
                Some(key) => self.keep(office, now, key, new.generation),
                None => self.add(office, now, new),
            }
        }
    }

    /// The addresses of a trunk are known, or have changed.
    pub fn resolved(&mut self, office: &mut Office, now: Now, trunk: &Named) {
        let Some(key) = self.by_trunk.get(trunk).copied() else { return };
        let Some(entry) = self.entries.get(&key) else { return };
        let places = office.lines.places(trunk);
        let moved = entry.flow.is_some_and(|flow| !places.iter().any(|place| place.is_at(&flow)));
        let stands_still = entry.armed.is_none(); // waiting for an address, or without one when its time came
        if (stands_still || moved) && !entry.registration.is_refused() {
            self.step(office, now, key, |registration, means| registration.begin(means));
        }
    }

    /// A final response to one of our REGISTERs.
    pub fn response(&mut self, office: &mut Office, now: Now, id: ClientId, response: &Message) {
        if response.status() >= 200
            && let Some(key) = self.awaited(id)
        {
            self.step(office, now, key, |registration, means| registration.response(now, response, means));
        }
    }

    pub fn failed(&mut self, office: &mut Office, now: Now, id: ClientId, why: Failure) {
        let why = match why {
            Failure::Timeout => "no response",
            Failure::Transport => "it can't be reached",
        };
        if let Some(key) = self.awaited(id) {
            self.step(office, now, key, |registration, means| registration.failed(now, why, means));
        }
    }

    pub fn timeout(&mut self, office: &mut Office, now: Now) {
        while let Some((at, key)) = self.deadlines.pop(now.mono) {
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.armed == Some(at)) else {
                continue;
            };
            entry.armed = None;
            self.step(office, now, key, |registration, means| registration.timeout(now, means));
        }
    }

    /// Takes all of them back: we stop.
    pub fn leave_all(&mut self, office: &mut Office, now: Now) {
        for key in self.entries.keys().copied().collect::<Vec<_>>() {
            self.leave(office, now, key);
        }
    }

    /// Whether nothing is registered, or being taken back, any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// How the registration at a trunk stands; `None` where it has none.
    #[must_use]
    pub fn standing(&self, trunk: &Named) -> Option<Standing> {
        Some(self.entries.get(self.by_trunk.get(trunk)?)?.registration.standing())
    }

    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What is to be told since the last time, in order.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn add(&mut self, office: &mut Office, now: Now, mut new: Entry) {
        self.last += 1;
        new.call_id = office.ids.call_id();
        new.tag = format!("{:016x}", office.ids.word());
        office.lines.set_registered(&new.trunk, false);
        self.by_trunk.insert(new.trunk.clone(), self.last);
        self.entries.insert(self.last, new);
        self.step(office, now, self.last, |registration, means| registration.begin(means));
    }

    /// An account that has not changed. One that was refused is tried again: whoever edits rules may have seen to it.
    fn keep(&mut self, office: &mut Office, now: Now, key: Key, generation: u64) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let is_new = std::mem::replace(&mut entry.generation, generation) != generation;
        if is_new && entry.registration.is_refused() {
            self.step(office, now, key, |registration, means| registration.begin(means));
        }
    }

    fn leave(&mut self, office: &mut Office, now: Now, key: Key) {
        if let Some(entry) = self.entries.get(&key) {
            office.lines.set_registered(&entry.trunk, true); // none is wanted
            self.by_trunk.remove(&entry.trunk);
        }
        self.step(office, now, key, |registration, means| registration.leave(now, means));
    }

    /// The registration whose REGISTER this is, if it is the one under way.
    fn awaited(&mut self, id: ClientId) -> Option<Key> {
        let key = (id.0 - CLIENTS_FROM) >> SERIAL_BITS;
        self.entries.get_mut(&key)?.client.take_if(|client| *client == id).map(|_| key)
    }

    /// Moves one on, and sees to what follows: its next REGISTER, its deadline, its news, its end.
    fn step(
        &mut self,
        office: &mut Office,
        now: Now,
        key: Key,
        act: impl FnOnce(&mut Registration, Means<'_>) -> Option<Next>,
    ) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        // Without an address nothing can be sent: it waits until there is one, or has nothing to take back.
        if let Some(flow) = entry.flow_now(office) {
            let contact = entry.contact(office, &flow);
            let means = Means { uri: &entry.uri, contact: &contact, word: office.ids.word() };
            if let Some(next) = act(&mut entry.registration, means) {
                entry.send(office, now, key, flow, &contact, &next);
            }
        } else if !self.by_trunk.contains_key(&entry.trunk) {
            self.entries.remove(&key);
            return;
        }
        if self.by_trunk.get(&entry.trunk) == Some(&key) {
            entry.tell(office, now, &mut self.news);
        }
        if entry.registration.has_left() {
            self.entries.remove(&key);
            return;
        }
        self.deadlines.arm(key, &mut entry.armed, entry.registration.deadline());
    }
}

impl Entry {
    /// The same account at the same place.
    fn is_the_same_as(&self, other: &Entry) -> bool {
        self.uri == other.uri
            && self.transport == other.transport
            && self.registration.account() == other.registration.account()
    }

    /// Where the next REGISTER goes: after a failure another place has its turn. A trunk that has gone from the rules leads nowhere, and is
    /// left where it was registered at.
    fn flow_now(&self, office: &Office) -> Option<Flow> {
        let places = office.lines.places(&self.trunk);
        let flows: Vec<Flow> = places.iter().filter_map(|place| office.flow_to(place)).collect();
        let turn = (self.registration.failures() as usize).checked_rem(flows.len());
        turn.and_then(|turn| flows.get(turn).copied()).or(self.flow)
    }

    /// RFC 6140 §5.2: with `bnc` it has no user part, and stands for all of our numbers.
    fn contact(&self, office: &Office, flow: &Flow) -> String {
        if self.registration.account().bulk {
            return format!("sip:{}{};bnc", office.sent_by(flow), flow.transport.uri_parameter());
        }
        let parameter = flow.transport.uri_parameter();
        let user = headers::escape_user(&self.registration.account().user);
        format!("sip:{user}@{}{parameter}", office.sent_by(flow))
    }

    fn send(&mut self, office: &mut Office, now: Now, key: Key, flow: Flow, contact: &str, next: &Next) {
        let bytes = self.register(office, &flow, contact, next);
        self.serial = (self.serial + 1) & ((1 << SERIAL_BITS) - 1);
        let id = ClientId((CLIENTS_FROM | key << SERIAL_BITS | u64::from(self.serial)) & (PINGS_FROM - 1));
        (self.client, self.flow) = (Some(id), Some(flow));
        office.request(now, id, flow, bytes);
    }

    /// RFC 3261 §10.2: From and To are the address of record; one Call-ID for life, and CSeq rises by one.
    fn register(&self, office: &mut Office, flow: &Flow, contact: &str, next: &Next) -> Bytes {
        let branch = headers::branch(office);
        let (via, sent_by) = (flow.transport.via_word(), office.sent_by(flow));
        let mut w = Writer::request("REGISTER", &self.uri);
        w.header(Name::Via, format_args!("SIP/2.0/{via} {sent_by};rport;branch={branch}"));
        w.header(Name::MaxForwards, headers::MAX_FORWARDS);
        w.header(Name::From, format_args!("<{}>;tag={}", self.address_of_record, self.tag));
        w.header(Name::To, format_args!("<{}>", self.address_of_record));
        w.header(Name::CallId, &self.call_id);
        w.header(Name::CSeq, format_args!("{} REGISTER", next.cseq));
        w.header(Name::Contact, format_args!("<{contact}>;expires={}", next.expires_s));
        w.header(Name::Expires, next.expires_s);
        if self.registration.account().bulk {
            // RFC 6140 §5.1: whoever doesn't know it must not take it for the registration of one contact.
            w.header(Name::Require, "gin");
            w.header(Name::ProxyRequire, "gin");
            w.header(Name::Supported, "gin, path");
        }
        w.header(Name::Allow, ALLOW);
        w.header(Name::UserAgent, AGENT);
        if let Some((field, credentials)) = &next.credentials {
            w.header(*field, credentials);
        }
        w.finish()
    }

    /// What has changed is news; a trunk that was never up is news at its first failure.
    fn tell(&mut self, office: &mut Office, now: Now, news: &mut Vec<News>) {
        let trunk = self.trunk.clone();
        let is_up = self.registration.is_registered(now.mono);
        office.lines.set_registered(&trunk, is_up);
        let standing = match (is_up, self.registration.standing()) {
            (true, _) => News::Up { trunk },
            (false, Standing::Failed { why, .. }) => News::Down { trunk, why, refused: false },
            (false, Standing::Refused { why }) => News::Down { trunk, why, refused: true },
            (false, _) if matches!(self.told, Some(News::Up { .. })) => {
                News::Down { trunk, why: "its time has run out".to_owned(), refused: false }
            }
            (false, _) => return,
        };
        if !self.told.as_ref().is_some_and(|told| told.is_like(&standing)) {
            self.told = Some(standing.clone());
            news.push(standing);
        }
    }
}

impl News {
    /// A trunk that is down and is tried in vain again is no news, whatever it says this time; that it is given up is.
    fn is_like(&self, other: &News) -> bool {
        match (self, other) {
            (News::Up { .. }, News::Up { .. }) => true,
            (News::Down { refused: a, .. }, News::Down { refused: b, .. }) => a == b,
            (News::Up { .. }, News::Down { .. }) | (News::Down { .. }, News::Up { .. }) => false,
        }
    }
}

/// What the rules want of a trunk; `None` where it is not registered at.
fn entry(domain: &Arc<Domain>, trunk: &TrunkView) -> Option<Entry> {
    let registration = domain.registration(&trunk.name)?;
    let proxy = trunk.proxy.as_deref()?;
    let host = match proxy.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') || host.ends_with(']') => host,
        _ => proxy,
    };
    let account = Account {
        user: registration.user.clone(),
        login: domain.login(&trunk.name),
        expires: registration.expires,
        bulk: registration.gin,
    };
    Some(Entry {
        trunk: (domain.name().clone(), trunk.name.clone()),
        uri: format!("sip:{proxy}"),
        address_of_record: format!("sip:{}@{host}", headers::escape_user(&registration.user)),
        transport: trunk.transport,
        generation: domain.generation(),
        call_id: String::new(),
        tag: String::new(),
        registration: Registration::new(account),
        client: None,
        serial: 0,
        flow: None,
        told: None,
        armed: None,
    })
}
