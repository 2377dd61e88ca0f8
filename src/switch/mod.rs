//! The pure core: transactions, dialogs, registrar, rules and calls composed into one machine. Input in, all of its effects out,
//! in order. No IO, no clock, no randomness of its own: the daemon, the simulator and the fuzzer drive the same code.
//!
//! ```text
//! packet -> check -> transactions -> request --+-- REGISTER -> digest -> location
//!                         |                    +-- INVITE   -> identity -> Walk -> Call
//!                         |                    +-- SUBSCRIBE -> identity -> Notifier
//!                         +-- response ------------ the Call that its transaction is named after
//! ```

pub mod action;
mod admission;
mod budgets;
pub mod calls;
mod certified;
pub mod config;
mod date;
pub mod drain;
mod errand;
pub mod event;
mod facts;
mod gruu;
pub mod identity;
pub mod input;
mod invite;
mod message;
mod notify;
mod pickup;
mod preempt;
mod proven;
mod refer;
mod register;
mod registered;
mod response;
pub mod strangers;
mod subscribe;

pub use action::Action;
pub use config::Config;
pub use event::Event;
pub use input::{Input, StatusKey};

use crate::call::Call;
use crate::call::office::{CallKey, Effect, Named, Office};
use crate::call::record::CallRecord;
use crate::call::statuses::DomainStatuses;
use crate::call::wake::Push;
use crate::clock::Now;
use crate::ids::Ids;
use crate::pager::{self, Pager};
use crate::registrar::binding::DeviceKey;
use crate::registrar::digest::Digest;
use crate::registrar::gruu::Gruus;
use crate::registrar::{Binding, Change};
use crate::relay::{Command, Report, Side};
use crate::rules::{Ruleset, Status, StatusObject};
use crate::sip::{Flow, Message, Method, Transport};
use crate::subscription::notice::{Finished, Notices};
use crate::subscription::summary::Counts;
use crate::subscription::{self, Notifier};
use crate::transaction::{self, ServerId, Transactions};
use crate::trunk::{self, Health, News, Registrations, Standing};
use calls::Calls;
use certified::Certified;
use date::Date;
use drain::Drain;
use proven::Proven;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use strangers::Strangers;

/// Pairs that the media plane is asked to open at a time.
const GROW_PAIRS: usize = 256;

pub struct Switch {
    config: Config,
    office: Office,
    /// Where our listeners are bound.
    bound: Vec<(Transport, SocketAddr)>,
    digest: Digest,
    gruus: Gruus,
    date: Date,
    rules: Arc<Ruleset>,
    calls: Calls,
    certified: Certified,
    notifier: Notifier,
    notices: Notices,
    /// Notices that are over, to be told to whoever waits.
    finished: Vec<Finished>,
    registrations: Registrations,
    pager: Pager,
    strangers: Strangers,
    proven: Proven,
    /// Registrations that have changed, for those who watch them.
    moved: Vec<Change>,
    /// Events of our own, to be passed on.
    told: Vec<Event>,
    health: Health,
    drain: Drain,
    growth: Growth,
    counters: Counters,
}

/// Whether more relay ports are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    Possible,
    /// Asked for; the report is awaited.
    Asked,
    Exhausted,
}

impl Switch {
    /// `seed` feeds branches, tags, Call-IDs and nonce keys.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Switch {
        let ids = Ids::new(seed, config.node);
        let digest = Digest::new(ids.key("nonce"), config.digest.clone());
        let strangers = config.strangers;
        let gruus = Gruus::new(&ids);
        let mut office = Office::new(ids, config.listeners.clone(), Transactions::default());
        let bound = config.listeners.iter().map(|listener| (listener.transport, listener.bound)).collect();
        office.media_advertise = config.media_advertise;
        office.session = config.session;
        Switch {
            config,
            office,
            bound,
            digest,
            gruus,
            date: Date::default(),
            rules: Arc::default(),
            calls: Calls::default(),
            certified: Certified::default(),
            notifier: Notifier::default(),
            notices: Notices::default(),
            finished: Vec::new(),
            registrations: Registrations::default(),
            pager: Pager::default(),
            strangers: Strangers::new(strangers),
            proven: Proven::default(),
            moved: Vec::new(),
            told: Vec::new(),
            health: Health::default(),
            drain: Drain::Off,
            growth: Growth::Possible,
            counters: Counters::default(),
        }
    }

    /// Takes one input; its effects are appended to `out` in order. `Input::Timeout` is due at [`Switch::deadline`].
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Packet { flow, message } => self.packet(now, flow, message),
            Input::PeerKnown { flow, names } => self.certified.learn(&self.rules, &flow, names),
            Input::FlowFailed { flow } => {
                self.certified.forget(&flow);
                self.proven.forget(&flow);
                self.office.transactions.transport_failed(now.mono, flow, &mut self.office.events);
                self.flow_ended(now, &flow);
            }
            Input::Rules(rules) => self.publish(now, rules, out),
            Input::Status { key, status } => self.set_status(now, key, status, out),
            Input::Restore(binding) => self.office.location.restore(now, binding),
            Input::Spent(usage) => self.office.budgets.restore(usage),
            Input::TrunkResolved { domain, trunk, servers } => {
                let key = (domain, trunk);
                self.office.lines.resolved(&key, servers);
                self.strangers.rules_changed();
                self.registrations.resolved(&mut self.office, now, &key);
                self.health.resolved(&mut self.office, now, &key);
            }
            Input::Media(report) => self.media(report),
            Input::Messages { domain, mailbox, counts } => self.set_messages(now, domain, mailbox, counts),
            Input::Notice(notice) => self.notify(now, &notice),
            Input::Hangup { call } => self.hang_up(now, &call),
            Input::Drain => {
                self.drain = Drain::until(now.mono + self.config.drain_after);
                self.registrations.leave_all(&mut self.office, now);
            }
            Input::Timeout => self.timeout(now, out),
        }
        self.pump(now, out);
        self.grow(out);
        self.drain_on(now, out);
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.office.transactions.deadline(),
            self.office.location.deadline(),
            self.office.statuses.deadline(),
            self.calls.deadline(),
            self.notifier.deadline(),
            self.registrations.deadline(),
            self.strangers.deadline(),
            self.health.deadline(),
            self.office.budgets.deadline(),
            self.drain.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Works through what the transaction layer hands up, until nothing is left; then passes effects on.
    fn pump(&mut self, now: Now, out: &mut Vec<Action>) {
        loop {
            self.run_errands(now);
            self.tell_watchers(now);
            self.tell_of_registrations(now);
            self.office.budgets.settle(now);
            self.flush(out);
            let mut events = std::mem::take(&mut self.office.events);
            if events.is_empty() && self.moved.is_empty() {
                self.office.events = events;
                return;
            }
            for event in events.drain(..) {
                match event {
                    transaction::Event::Send { flow, bytes } => out.push(Action::Send { flow, bytes }),
                    other => self.event(now, other),
                }
                self.flush(out);
            }
        }
    }

    fn event(&mut self, now: Now, event: transaction::Event) {
        use transaction::Event;
        match event {
            Event::Send { .. } | Event::Unacknowledged { .. } => {}
            Event::Request { id, flow, message } => self.request(now, id, flow, message),
            Event::Ack { message, .. } => {
                if let Some((key, side)) = self.in_dialog(&message) {
                    self.with_call(key, |call, office| call.acked(office, now, side, &message));
                }
            }
            Event::Cancel { invite, message } => {
                if let Some(key) = self.office.pending.get(&invite).copied() {
                    self.with_call(key, |call, office| call.cancelled(office, now, invite, &message));
                }
            }
            Event::Response { id, flow, message } => {
                self.counters.responses_total += 1;
                if subscription::owns(id) {
                    return self.notified(now, id, message.status());
                }
                if trunk::asks_health(id) {
                    return self.health.answered(&mut self.office, now, id, Some(message.status()));
                }
                if pager::owns(id) {
                    return self.pager.answered(&mut self.office, now, id, message.status());
                }
                if trunk::owns(id) {
                    return self.registrations.response(&mut self.office, now, id, &message);
                }
                let key = CallKey::of_client(id);
                self.with_call(key, |call, office| call.response(office, now, id, flow, &message));
            }
            Event::Failed { id, why } => {
                if subscription::owns(id) {
                    return self.notify_failed(id, why);
                }
                if trunk::asks_health(id) {
                    return self.health.answered(&mut self.office, now, id, None);
                }
                if pager::owns(id) {
                    return self.pager.answered(&mut self.office, now, id, 408);
                }
                if trunk::owns(id) {
                    return self.registrations.failed(&mut self.office, now, id, why);
                }
                let key = CallKey::of_client(id);
                self.with_call(key, |call, office| call.failed(office, now, id, why));
            }
        }
    }

    /// Gives an event to its call, if it is still there.
    fn with_call(&mut self, key: CallKey, act: impl FnOnce(&mut Call, &mut Office)) -> bool {
        let Some(call) = self.calls.get_mut(key) else { return false };
        act(call, &mut self.office);
        call.show(&mut self.office);
        self.calls.settle(key);
        true
    }

    fn packet(&mut self, now: Now, flow: Flow, mut message: Message) {
        message.mark();
        if let Err(refusal) = message.check() {
            self.counters.bad_requests_total += 1;
            if message.is_request() && message.method() != Method::Ack {
                let flow = transaction::return_path::open(flow, &mut message);
                let bytes = response::with_reason(&message, refusal.status, refusal.reason);
                self.office.effect(Effect::Send { flow, bytes });
            }
            return; // a response that is wrong is dropped (RFC 3261 §18.1.2)
        }
        if message.is_request() {
            self.counters.requests_total += 1;
        }
        self.office.transactions.receive(now.mono, flow, message, &mut self.office.events);
    }

    /// A new request (RFC 3261 §8.2, §12.2.2).
    fn request(&mut self, now: Now, server: ServerId, flow: Flow, message: Message) {
        if let Some(bytes) = response::unsupported(&message) {
            return self.office.respond(now, server, 420, bytes);
        }
        if message.to().is_some_and(|to| to.tag().is_some()) {
            return self.request_in_dialog(now, server, flow, &message);
        }
        let (code, bytes) = match message.method() {
            Method::Invite if message.max_forwards() == Some(0) => (483, response::plain(&message, 483)), // RFC 7332
            Method::Invite => return self.invite(now, server, flow, message),
            Method::Register => return self.register(now, server, flow, &message),
            Method::Subscribe => return self.subscribe(now, server, flow, &message),
            Method::Options => (200, response::options(&message)),
            Method::Bye | Method::Cancel | Method::Update | Method::Info | Method::Prack | Method::Notify => {
                (481, response::plain(&message, 481)) // RFC 3261 §12.2.2
            }
            Method::Refer => (403, response::plain(&message, 403)), // transfers are made within their call
            Method::Message => return self.message(now, server, flow, &message),
            Method::Publish => (405, response::not_allowed(&message, 405)),
            Method::Ack => return,
            Method::Other => (501, response::not_allowed(&message, 501)), // RFC 3261 §21.5.2
        };
        self.office.respond(now, server, code, bytes);
    }

    fn request_in_dialog(&mut self, now: Now, server: ServerId, flow: Flow, message: &Message) {
        if message.method() == Method::Subscribe {
            let tag = message.to().and_then(|to| to.tag()).unwrap_or_default();
            return match subscription::of_tag(tag) {
                Some(key) => self.resubscribe(now, key, server, flow, message),
                None => self.office.respond(now, server, 481, response::plain(message, 481)),
            };
        }
        if message.method() == Method::Refer {
            return self.refer(now, server, flow, message);
        }
        let found = self.in_dialog(message).is_some_and(|(key, side)| {
            self.with_call(key, |call, office| call.request(office, now, server, flow, side, message))
        });
        if !found {
            self.office.respond(now, server, 481, response::plain(message, 481));
        }
    }

    /// Which call an in-dialog request is for, by our tag in its To.
    fn in_dialog(&self, message: &Message) -> Option<(CallKey, (Side, usize))> {
        let (key, side, branch) = self.calls.place(message.to()?.tag()?)?;
        Some((key, (side, branch)))
    }

    fn timeout(&mut self, now: Now, out: &mut Vec<Action>) {
        self.office.transactions.timeout(now.mono, &mut self.office.events);
        let mut changes = Vec::new();
        self.office.location.timeout(now, &mut changes);
        self.changed(changes);
        let mut ended = Vec::new();
        self.office.statuses.timeout(now, &mut ended);
        ended.iter().for_each(|key| self.fold(key));
        let over = |key| Action::Event(Event::StatusChanged { key, status: None });
        out.extend(ended.into_iter().map(over));
        self.notifier.timeout(&mut self.office, now);
        self.registrations.timeout(&mut self.office, now);
        self.strangers.timeout(now.mono);
        self.health.timeout(&mut self.office, now);
        while let Some(key) = self.calls.due(now.mono) {
            self.with_call(key, |call, office| call.timeout(office, now));
        }
        self.end_overspent(now);
    }

    fn publish(&mut self, now: Now, rules: Arc<Ruleset>, out: &mut Vec<Action>) {
        for domain in rules.domains() {
            let (name, generation) = (domain.name(), domain.generation());
            if self.rules.domain(name).is_none_or(|old| old.generation() != generation) {
                let applied = Event::RulesApplied { domain: name.to_string(), generation };
                out.push(Action::Event(applied));
                let set = self.office.statuses.domain(name);
                self.office.folds.refold(domain, set.into_iter().flat_map(DomainStatuses::users));
            }
        }
        self.strangers.rules_changed();
        self.certified.rules_changed(&rules);
        self.office.budgets.rules_changed(now, &rules);
        self.rules = rules; // calls keep the generation that they began with
        if !self.drain.is_on() {
            self.registrations.publish(&mut self.office, now, &self.rules);
            self.health.publish(&mut self.office, now, &self.rules);
        }
        let rules = &self.rules;
        self.office
            .lines
            .keep(|(domain, trunk)| rules.domain(domain).is_some_and(|d| d.trunk(trunk).is_some()));
        self.review_subscriptions(now, None);
    }

    fn set_status(&mut self, now: Now, key: StatusKey, status: Option<Status>, out: &mut Vec<Action>) {
        self.office.statuses.set(now, key.clone(), status.clone());
        self.fold(&key);
        if let StatusObject::Device(device) = &key.object {
            let device = DeviceKey { domain: key.domain.clone(), device: device.clone() };
            self.review_subscriptions(now, Some(&device));
        }
        out.push(Action::Event(Event::StatusChanged { key, status }));
    }

    /// The tree of a user whose status has changed is folded again, and no other.
    fn fold(&mut self, key: &StatusKey) {
        if let (StatusObject::User(user), Some(domain)) = (&key.object, self.rules.domain(&key.domain)) {
            let status = match self.office.statuses.of(key) {
                Some(Status::User(status)) => Some(status),
                _ => None,
            };
            self.office.folds.fold(domain, user, status.as_ref());
        }
    }

    fn media(&mut self, report: Report) {
        match report {
            Report::Opened { pairs, exhausted } => {
                self.office.ports.add(pairs);
                self.growth = if exhausted { Growth::Exhausted } else { Growth::Possible };
            }
            Report::Closed { id, media } => {
                self.with_call(CallKey(id.0), |call, office| call.relay_closed(office, media));
            }
        }
    }

    /// Asks for more relay ports before they run out.
    fn grow(&mut self, out: &mut Vec<Action>) {
        if self.growth == Growth::Possible && self.office.ports.len() < self.config.ports_low {
            self.growth = Growth::Asked;
            out.push(Action::Media(Command::Grow { pairs: GROW_PAIRS.max(self.config.ports_low) }));
        }
    }

    fn hang_up(&mut self, now: Now, id: &str) {
        let key = self.calls.iter().find(|(_, call)| call.id() == id || call.invite().call_id() == id);
        if let Some(key) = key.map(|(key, _)| key) {
            self.with_call(key, |call, office| call.hang_up(office, now));
        }
    }

    fn drain_on(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.drain.is_due(now.mono) {
            let keys: Vec<CallKey> = self.calls.iter().map(|(key, _)| key).collect();
            for key in keys {
                self.with_call(key, |call, office| call.hang_up(office, now));
            }
            self.pump(now, out);
        }
        if self.drain.is_done(now.mono, self.calls.is_empty() && self.registrations.is_empty()) {
            out.push(Action::Drained);
        }
    }

    /// A connection is gone, and with it what was registered by it alone.
    fn flow_ended(&mut self, now: Now, flow: &Flow) {
        let mut changes = Vec::new();
        self.office.location.flow_ended(now, flow, &mut changes);
        self.changed(changes);
    }

    /// Passes changes of registrations on.
    fn changed(&mut self, changes: Vec<Change>) {
        self.office.effects.extend(changes.into_iter().map(Effect::Binding));
    }

    fn flush(&mut self, out: &mut Vec<Action>) {
        let nothing = self.finished.is_empty() && self.told.is_empty() && self.office.effects.is_empty();
        if nothing && !self.registrations.has_news() && !self.health.has_news() {
            return;
        }
        out.extend(self.finished.drain(..).map(Action::Noticed));
        out.extend(self.told.drain(..).map(Action::Event));
        out.extend(self.office.budgets.take_notes().into_iter().map(Action::Spent));
        for effect in self.office.effects.drain(..) {
            match effect {
                Effect::Send { flow, bytes } => out.push(Action::Send { flow, bytes }),
                Effect::Media(command) => out.push(Action::Media(command)),
                Effect::Binding(change) => {
                    out.extend(registration_event(&change).map(Action::Event));
                    let is_told =
                        !matches!(change, Change::Refreshed(_)) && self.notifier.watches_registrations();
                    if is_told {
                        self.moved.push(change.clone());
                    }
                    out.push(Action::Binding(change));
                }
                Effect::Started { id, domain, from, to } => {
                    out.push(Action::Event(Event::CallStarted { id, domain, from, to }));
                }
                Effect::Ringing { id, leg } => out.push(Action::Event(Event::CallRinging { id, leg })),
                Effect::Answered { id, answered_by } => {
                    out.push(Action::Event(Event::CallAnswered { id, answered_by }));
                }
                Effect::Emergency(alert) => out.push(Action::Event(Event::Emergency(alert))),
                Effect::Stopped(stop) => {
                    self.counters.count_stop(&stop);
                    out.push(Action::Event(Event::BudgetStopped(stop)));
                }
                Effect::Ended(record) => out.push(Action::Event(Event::CallEnded(record))),
                Effect::Push(push) => out.push(Action::Event(push_event(push))),
            }
        }
        let news = self.registrations.take_news().into_iter().chain(self.health.take_news());
        out.extend(news.flat_map(trunk_events).map(Action::Event));
    }

    /// How our registration at a trunk stands; `None` where the rules want none.
    #[must_use]
    pub fn trunk_registration(&self, trunk: &Named) -> Option<Standing> {
        self.registrations.standing(trunk)
    }

    /// The calls that are up, oldest first, as the admin shows them (`GET /v1/calls`).
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        let mut calls: Vec<CallRecord> =
            self.calls.iter().filter(|(_, call)| !call.is_over()).map(|(_, call)| call.record()).collect();
        calls.sort_by(|a, b| a.id.cmp(&b.id));
        calls
    }

    /// Every registration in force (`GET /v1/registrations`).
    pub fn registrations(&self) -> impl Iterator<Item = &Binding> {
        self.office.location.iter()
    }

    /// What waits in a mailbox.
    #[must_use]
    pub fn messages(&self, mailbox: &Named) -> Counts {
        self.notifier.messages(mailbox)
    }

    /// The bindings of one device.
    #[must_use]
    pub fn bindings(&self, device: &DeviceKey) -> &[Binding] {
        self.office.location.of(device)
    }

    /// Gauges and counters for `GET /v1/status` and `/metrics`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let (clients, servers) = self.office.transactions.len();
        let tally = self.office.transactions.tally();
        Counters {
            calls_active: self.calls.iter().filter(|(_, call)| !call.is_over()).count() as u64,
            registrations: self.office.location.len() as u64,
            subscriptions: self.notifier.len() as u64,
            strangers_shut_out: self.strangers.shut_out() as u64,
            transactions: (clients + servers) as u64,
            ports_free: self.office.ports.len() as u64,
            retransmissions_total: tally.retransmissions,
            stray_responses_total: tally.stray_responses,
            shed_total: tally.refused,
            ..self.counters
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn ruleset(&self) -> &Arc<Ruleset> {
        &self.rules
    }

    /// A live status, as it was set.
    #[must_use]
    pub fn status(&self, key: &StatusKey) -> Option<Status> {
        self.office.statuses.of(key)
    }

    /// What all calls share: for a decision about a call that never was, with live state as it is (`POST /v1/route`).
    #[must_use]
    pub fn office(&self) -> &Office {
        &self.office
    }
}

/// A refresh is no event.
fn registration_event(change: &Change) -> Option<Event> {
    match change {
        Change::Added(binding) => Some(Event::RegistrationAdded {
            domain: binding.key.device.domain.to_string(),
            device: binding.key.device.device.to_string(),
            contact: binding.uri.to_string(),
        }),
        Change::Refreshed(_) => None,
        Change::Removed { key, why } => Some(Event::RegistrationRemoved {
            domain: key.device.domain.to_string(),
            device: key.device.device.to_string(),
            contact: key.contact.to_string(),
            why: why.word().to_owned(),
        }),
    }
}

fn push_event(push: Push) -> Event {
    let Push { device, provider, prid, param, call } = push;
    let (domain, device) = (device.domain.to_string(), device.device.to_string());
    Event::PushWanted { domain, device, provider, prid, param, call }
}

/// A trunk that has refused us needs somebody to see to it: an alarm as well.
fn trunk_events(news: News) -> Vec<Event> {
    match news {
        News::Up { trunk: (domain, trunk) } => {
            vec![Event::TrunkUp { domain: domain.to_string(), trunk: trunk.to_string() }]
        }
        News::Down { trunk: (domain, trunk), why, refused } => {
            let down =
                Event::TrunkDown { domain: domain.to_string(), trunk: trunk.to_string(), why: why.clone() };
            let what = format!(
                "{domain}: trunk {trunk} refuses our registration ({why}); it is tried again when the rules are next applied"
            );
            if refused { vec![down, Event::Alarm { what }] } else { vec![down] }
        }
    }
}

/// What the switch counts. Names are those of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    pub calls_active: u64,
    pub calls_total: u64,
    pub registrations: u64,
    pub subscriptions: u64,
    pub requests_total: u64,
    pub responses_total: u64,
    /// Messages refused by their form: requests answered with 400 and the like, responses dropped.
    pub bad_requests_total: u64,
    pub challenges_total: u64,
    /// Sources that are shut out now, and how often any was.
    pub strangers_shut_out: u64,
    pub shut_outs_total: u64,
    /// Messages of strangers that were not looked at: shut out, or more than they may send.
    pub stranger_drops_total: u64,
    pub auth_failures_total: u64,
    /// Live transactions, client and server.
    pub transactions: u64,
    /// Port pairs that are open and unused.
    pub ports_free: u64,
    /// Messages sent again, and retransmissions absorbed.
    pub retransmissions_total: u64,
    /// Responses that match no transaction.
    pub stray_responses_total: u64,
    /// Requests refused or not sent because a table of transactions was full.
    pub shed_total: u64,
    /// Legs that did not begin because a budget was used up, and calls that were ended for it.
    pub budget_refusals_total: u64,
    pub budget_ends_total: u64,
}
