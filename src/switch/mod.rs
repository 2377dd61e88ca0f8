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
pub mod backlog;
mod budgets;
pub mod calls;
pub mod census;
mod certified;
mod clock;
pub mod config;
mod date;
pub mod drain;
mod effects;
mod errand;
pub mod event;
mod facts;
mod gruu;
pub mod identity;
pub mod input;
mod invite;
mod message;
mod notify;
pub mod overload;
mod pickup;
mod ports;
mod preempt;
mod proven;
mod publish;
mod refer;
mod register;
mod registered;
mod request;
mod response;
pub mod strangers;
mod subscribe;
mod urgent;
mod view;
mod voice;

pub use action::Action;
pub use census::Census;
pub use config::Config;
pub use event::Event;
pub use input::{Input, StatusKey};
pub use view::Counters;

use crate::call::Call;
use crate::call::office::{CallKey, Effect, Office};
use crate::call::stray;
use crate::clock::{Now, Steps};
use crate::ids::Ids;
use crate::pager::{self, Pager};
use crate::registrar::Change;
use crate::registrar::digest::Digest;
use crate::registrar::gruu::Gruus;
use crate::rules::Ruleset;
use crate::sip::{Flow, Message, Method, Transport};
use crate::subscription::notice::{Finished, Notices};
use crate::subscription::{self, Notifier};
use crate::transaction::{self, Transactions};
use crate::trunk::{self, Health, Registrations};
use calls::Calls;
use certified::Certified;
use date::Date;
use drain::Drain;
use overload::Overload;
use ports::Growth;
use proven::Proven;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use strangers::Strangers;

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
    overload: Overload,
    /// Registrations that have changed, for those who watch them.
    moved: Vec<Change>,
    /// Events of our own, to be passed on.
    told: Vec<Event>,
    health: Health,
    drain: Drain,
    steps: Steps,
    growth: Growth,
    counters: Counters,
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
        office.media_advertise_ipv6 = config.media_advertise_ipv6;
        office.fingerprint.clone_from(&config.fingerprint);
        office.srtp = config.srtp;
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
            overload: Overload::default(),
            moved: Vec::new(),
            told: Vec::new(),
            health: Health::default(),
            drain: Drain::Off,
            steps: Steps::default(),
            growth: Growth::Possible,
            counters: Counters::default(),
        }
    }

    /// Takes one input; its effects are appended to `out` in order. `Input::Timeout` is due at [`Switch::deadline`].
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Action>) {
        if let Some(step) = self.steps.since_last(now) {
            self.clock_was_set(now, step);
        }
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
            Input::Restore(binding) => self.restore(now, binding),
            Input::Spent(usage) => self.office.budgets.restore(now, usage),
            Input::LastRecord(id) => self.office.ids.go_on_after(&id),
            Input::TrunkResolved { domain, trunk, servers } => {
                self.trunk_resolved(now, &(domain, trunk), servers);
            }
            Input::Media(report) => self.media(now, report),
            Input::Voice(report) => self.voice(now, report),
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
        self.grow(now, out);
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
            self.overload.deadline(),
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
                let found =
                    self.with_call(key, |call, office| call.response(office, now, id, flow, &message));
                let answers = (200..300).contains(&message.status())
                    && message.cseq().is_some_and(|cseq| cseq.method == Method::Invite);
                if !found && answers {
                    stray::dismiss(&mut self.office, now, flow, &message);
                }
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
        call.mind_vacancies(&mut self.office);
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
        self.take_in(now, flow, message);
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
        self.calm(now);
        self.health.timeout(&mut self.office, now);
        while let Some(key) = self.calls.due(now.mono) {
            self.with_call(key, |call, office| call.timeout(office, now));
        }
        self.end_overspent(now);
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
}
