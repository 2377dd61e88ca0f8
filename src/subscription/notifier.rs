//! All subscriptions: who is told of what (RFC 6665 §4.2). They don't outlive the daemon: a refresh of one that is unknown gets 481, and
//! the phone subscribes anew (RFC 6665 §4.1.2.2).
//!
//! Invariants: a subscription stands in the lists of its topic and of its device as long as it is in the table; one that waits for the clock
//! is in the queue; a NOTIFY that waits for its answer is known by its transaction.

use super::dialog_info::Reported;
use super::machine::{Next, Reason, State, Subscription, Then};
use super::package::Package;
use super::reg_info::Rolls;
use super::summary::{self, Counts};
use super::{CLIENTS_FROM, SubscriptionKey, Topic, tag};
use crate::call::headers;
use crate::call::office::{Named, Office};
use crate::call::sips;
use crate::clock::Now;
use crate::deadlines::{Armed, Deadlines};
use crate::dialog::{Dialog, DialogId};
use crate::registrar::Binding;
use crate::registrar::binding::{BindingKey, DeviceKey};
use crate::registrar::location::Removal;
use crate::sip::{Flow, Message, Name, Writer};
use crate::transaction::{ClientId, Failure, ServerId};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Subscriptions of one device; one more is answered with 503. A console of lamps has a hundred keys.
pub const OF_DEVICE_MAX: usize = 256;
/// All subscriptions; one more is answered with 503.
pub const SUBSCRIPTIONS_MAX: usize = 200_000;
/// Mailboxes whose messages are known; what is said of one more is not kept.
pub const MAILBOXES_MAX: usize = 1_000_000;

/// Contacts that are no more, of which it is remembered why; of an older one it is said that it was given up.
const DEPARTED_MAX: usize = 256;

/// Beside [`CLIENTS_FROM`]: a NOTIFY in a subscription rather than a notice.
const SUBSCRIBED: u64 = 1 << 62;

/// A SUBSCRIBE that is let in.
pub struct Asked<'a> {
    pub server: ServerId,
    pub flow: Flow,
    pub request: &'a Message,
    pub device: DeviceKey,
    pub topic: Topic,
    /// See [`Subscription::entity`].
    pub entity: String,
    /// The value that Event fields get.
    pub event: String,
    /// Seconds, within the limits; 0 asks once.
    pub lasts_s: u32,
}

/// Why a SUBSCRIBE is not carried out, as the status to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// 503: a table is full.
    Full,
    /// 400: no dialog can be made of it.
    Malformed,
    /// 481: there is no such subscription.
    Unknown,
    /// 500: it is older than one that was seen.
    OutOfOrder,
}

/// A subscription whose NOTIFY has been answered, or never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub key: SubscriptionKey,
    /// `Err`: no final response came.
    pub status: Result<u16, Failure>,
}

#[derive(Default)]
pub struct Notifier {
    table: FxHashMap<SubscriptionKey, Entry>,
    by_topic: FxHashMap<Topic, Vec<SubscriptionKey>>,
    by_device: FxHashMap<DeviceKey, Vec<SubscriptionKey>>,
    awaited: FxHashMap<ClientId, SubscriptionKey>,
    deadlines: Deadlines<SubscriptionKey>,
    /// Mailboxes with anything in them.
    messages: FxHashMap<Named, Counts>,
    /// Of the users whose registrations are watched: their phones, as the rules and seats have it.
    phones: FxHashMap<Named, Vec<DeviceKey>>,
    departed: VecDeque<(BindingKey, Removal)>,
    keys: u64,
    clients: u64,
}

struct Entry {
    subscription: Subscription,
    armed: Armed,
}

impl Notifier {
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// What waits in a mailbox.
    #[must_use]
    pub fn messages(&self, mailbox: &Named) -> Counts {
        self.messages.get(mailbox).copied().unwrap_or_default()
    }

    /// What waits there now; whoever has subscribed is told.
    pub fn set_messages(&mut self, office: &mut Office, now: Now, mailbox: &Named, counts: Counts) {
        if counts == Counts::default() {
            self.messages.remove(mailbox);
        } else if self.messages.len() < MAILBOXES_MAX || self.messages.contains_key(mailbox) {
            self.messages.insert(mailbox.clone(), counts);
        }
        self.changed(office, now, &Topic { package: Package::MessageSummary, of: mailbox.clone() });
    }

    /// A new subscription: 200 and the state at once (RFC 6665 §4.2.1.2).
    ///
    /// # Errors
    /// Nothing has been answered yet.
    pub fn subscribe(&mut self, office: &mut Office, now: Now, asked: Asked<'_>) -> Result<(), Refused> {
        let key = SubscriptionKey(self.keys + 1);
        let tag = tag(office, key);
        let dialog = Dialog::uas(asked.request, &tag).ok_or(Refused::Malformed)?;
        // Who asks once, outside of any dialog, may have a subscription beside it (RFC 6665 §4.4.3).
        if asked.lasts_s > 0 {
            self.replace(&asked.device, &asked.topic, &dialog);
        }
        let of_device = self.by_device.get(&asked.device).map_or(0, Vec::len);
        if of_device >= OF_DEVICE_MAX || self.table.len() >= SUBSCRIPTIONS_MAX {
            return Err(Refused::Full);
        }
        self.keys = key.0;
        accept(office, now, asked.server, &asked.flow, asked.request, Some(&tag), asked.lasts_s);
        self.by_topic.entry(asked.topic.clone()).or_default().push(key);
        self.by_device.entry(asked.device.clone()).or_default().push(key);
        let subscription = Subscription {
            device: asked.device,
            topic: asked.topic,
            entity: asked.entity,
            event: asked.event,
            dialog,
            flow: asked.flow,
            behind_nat: headers::is_behind_nat(asked.request, &asked.flow),
            expires: now.mono + Duration::from_secs(asked.lasts_s.into()),
            reported: Reported::default(),
            rolls: Rolls::default(),
            told: None,
            state: State::Rests,
        };
        self.table.insert(key, Entry { subscription, armed: None });
        match asked.lasts_s {
            0 => self.end(office, now, key, Reason::Timeout), // RFC 6665 §4.4.3: asks once
            _ => self.tell(office, now, key),
        }
        Ok(())
    }

    /// A phone that has lost its dialogs (a restart) subscribes again from the same contact: what it had before would only fill its room.
    fn replace(&mut self, device: &DeviceKey, topic: &Topic, dialog: &Dialog) {
        let keys = self.by_device.get(device).cloned().unwrap_or_default();
        for key in keys {
            let same = self.table.get(&key).is_some_and(|entry| {
                let held = &entry.subscription;
                held.topic == *topic && held.dialog.remote_target() == dialog.remote_target()
            });
            if same {
                self.forget(key);
            }
        }
    }

    /// The device that holds the subscription of this dialog and what it is to, for whoever judges a request in it.
    #[must_use]
    pub fn subscriber(&self, key: SubscriptionKey, request: &Message) -> Option<(&DeviceKey, &Topic)> {
        let held = &self.table.get(&key)?.subscription;
        let same = DialogId::of_request(request).is_some_and(|id| id == held.dialog.id);
        (same && !held.is_over()).then_some((&held.device, &held.topic))
    }

    /// A SUBSCRIBE in a dialog: it goes on, or ends (RFC 6665 §4.2.1.4). `event` is its Event field.
    ///
    /// # Errors
    /// Nothing has been answered yet.
    pub fn resubscribe(
        &mut self,
        office: &mut Office,
        now: Now,
        key: SubscriptionKey,
        (server, flow, request): (ServerId, Flow, &Message),
        (event, lasts_s): (&str, u32),
    ) -> Result<(), Refused> {
        let entry = self.table.get_mut(&key).ok_or(Refused::Unknown)?;
        let held = &mut entry.subscription;
        if held.event != event {
            return Err(Refused::Unknown); // another usage of the dialog, which there is not (RFC 6665 §4.5.2)
        }
        held.dialog.receive(request).map_err(|_| Refused::OutOfOrder)?;
        held.refresh(now, flow, request, lasts_s);
        accept(office, now, server, &flow, request, None, lasts_s);
        match lasts_s {
            0 => self.end(office, now, key, Reason::Timeout),
            _ => self.tell_if(office, now, key, |held| held.asked(now)),
        }
        Ok(())
    }

    /// Users whose registrations somebody watches.
    #[must_use]
    pub fn watched_users(&self) -> Vec<Named> {
        self.phones.keys().cloned().collect()
    }

    /// Whether anybody watches any registration.
    #[must_use]
    pub fn watches_registrations(&self) -> bool {
        !self.phones.is_empty()
    }

    /// The phones of a user whose registrations are watched, or are about to be.
    pub fn set_phones(&mut self, user: &Named, phones: Vec<DeviceKey>) {
        self.phones.insert(user.clone(), phones);
    }

    /// A contact is no more, and why.
    pub fn contact_left(&mut self, key: BindingKey, why: Removal) {
        if self.departed.len() == DEPARTED_MAX {
            self.departed.pop_front();
        }
        self.departed.push_back((key, why));
    }

    /// Something has changed: everybody who has subscribed to it is told, each no more often than [`super::EVERY`].
    pub fn changed(&mut self, office: &mut Office, now: Now, topic: &Topic) {
        for key in self.of(topic) {
            self.tell_if(office, now, key, |held| held.changed(now));
        }
    }

    /// The subscriptions to this.
    #[must_use]
    pub fn of(&self, topic: &Topic) -> Vec<SubscriptionKey> {
        self.by_topic.get(topic).cloned().unwrap_or_default()
    }

    /// Who holds a subscription, by which flow, and under which contact.
    #[must_use]
    pub fn holder(&self, key: SubscriptionKey) -> Option<(&DeviceKey, &Flow, &str)> {
        let held = &self.table.get(&key)?.subscription;
        Some((&held.device, &held.flow, held.dialog.remote_target()))
    }

    /// Tells one at once.
    pub fn tell_again(&mut self, office: &mut Office, now: Now, key: SubscriptionKey) {
        self.tell_if(office, now, key, |held| held.asked(now));
    }

    /// What `judge` says is over, of all subscriptions or those of one device, by device and topic: for [`Notifier::end_each`].
    pub fn review(
        &self,
        of: Option<&DeviceKey>,
        judge: impl Fn(&DeviceKey, &Topic) -> Option<Reason>,
    ) -> Vec<(SubscriptionKey, Reason)> {
        let mut keys: Vec<SubscriptionKey> = match of {
            Some(device) => self.by_device.get(device).cloned().unwrap_or_default(),
            None => self.table.keys().copied().collect(),
        };
        keys.sort_unstable();
        let verdict = |key: SubscriptionKey| {
            let held = &self.table.get(&key)?.subscription;
            Some((key, judge(&held.device, &held.topic)?))
        };
        keys.into_iter().filter_map(verdict).collect()
    }

    /// Ends these, and says so to whoever holds them.
    pub fn end_each(&mut self, office: &mut Office, now: Now, ending: Vec<(SubscriptionKey, Reason)>) {
        for (key, reason) in ending {
            self.end(office, now, key, reason);
        }
    }

    /// A final response to a NOTIFY. `None`: it is none of ours.
    pub fn response(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        status: u16,
    ) -> Option<Answered> {
        if status < 200 {
            return None;
        }
        let key = self.awaited.remove(&client)?;
        match status {
            // A phone that wants a password, or can't just now, is still there.
            200..300 | 401 | 407 | 500..600 => self.go_on(office, now, key),
            // RFC 6665 §4.2.2, RFC 5057 §5: it knows nothing of this subscription, or wants to know nothing.
            _ => self.forget(key),
        }
        Some(Answered { key, status: Ok(status) })
    }

    /// No final response came to a NOTIFY: the subscriber is gone (RFC 6665 §4.2.2). `None`: it is none of ours.
    pub fn failed(&mut self, client: ClientId, why: Failure) -> Option<Answered> {
        let key = self.awaited.remove(&client)?;
        self.forget(key);
        Some(Answered { key, status: Err(why) })
    }

    pub fn timeout(&mut self, office: &mut Office, now: Now) {
        while let Some((at, key)) = self.deadlines.pop(now.mono) {
            let Some(entry) = self.table.get_mut(&key).filter(|entry| entry.armed == Some(at)) else {
                continue;
            };
            entry.armed = None;
            let next = entry.subscription.timeout(now);
            self.carry_out(office, now, key, next);
        }
    }

    fn go_on(&mut self, office: &mut Office, now: Now, key: SubscriptionKey) {
        let Some(entry) = self.table.get_mut(&key) else { return };
        let held = &mut entry.subscription;
        let next = match held.answered(now) {
            Next::Nothing => held.timeout(now), // it may have run out meanwhile
            next => next,
        };
        self.carry_out(office, now, key, next);
    }

    fn carry_out(&mut self, office: &mut Office, now: Now, key: SubscriptionKey, next: Next) {
        match next {
            Next::Nothing => self.arm(key),
            Next::Tell => self.tell(office, now, key),
            Next::End(reason) => self.say_last(office, now, key, reason),
            Next::Forget => self.forget(key),
        }
    }

    fn tell_if(
        &mut self,
        office: &mut Office,
        now: Now,
        key: SubscriptionKey,
        due: impl FnOnce(&mut Subscription) -> bool,
    ) {
        let Some(entry) = self.table.get_mut(&key) else { return };
        match due(&mut entry.subscription) {
            true => self.tell(office, now, key),
            false => self.arm(key),
        }
    }

    fn end(&mut self, office: &mut Office, now: Now, key: SubscriptionKey, reason: Reason) {
        let Some(entry) = self.table.get_mut(&key) else { return };
        if entry.subscription.end(reason) {
            self.say_last(office, now, key, reason);
        }
    }

    fn tell(&mut self, office: &mut Office, now: Now, key: SubscriptionKey) {
        self.notify(office, now, key, None);
    }

    fn say_last(&mut self, office: &mut Office, now: Now, key: SubscriptionKey, reason: Reason) {
        self.notify(office, now, key, Some(reason));
    }

    fn notify(&mut self, office: &mut Office, now: Now, key: SubscriptionKey, ends: Option<Reason>) {
        let Some(entry) = self.table.get_mut(&key) else { return };
        let held = &mut entry.subscription;
        let document = match ends {
            None | Some(Reason::Timeout) => match held.topic.package {
                Package::Reg => Some(rolls(office, now, &self.phones, &self.departed, held)),
                Package::MessageSummary | Package::Dialog => Some(document(office, &self.messages, held)),
            },
            // It may not be known, or there is nothing to be known.
            Some(Reason::Rejected | Reason::NoResource) => None,
        };
        let (flow, bytes) = held.notify(office, now, document.as_deref().map(str::as_bytes), ends);
        held.told = Some(now.mono);
        held.state = if ends.is_some() { State::Ends } else { State::Tells(Then::Rest) };
        self.clients += 1;
        let client = ClientId(CLIENTS_FROM | SUBSCRIBED | self.clients);
        self.awaited.insert(client, key);
        office.request(now, client, flow, bytes);
    }

    fn arm(&mut self, key: SubscriptionKey) {
        if let Some(entry) = self.table.get_mut(&key) {
            let deadline = entry.subscription.deadline();
            self.deadlines.arm(key, &mut entry.armed, deadline);
        }
    }

    fn forget(&mut self, key: SubscriptionKey) {
        let Some(Entry { subscription, .. }) = self.table.remove(&key) else { return };
        leave(&mut self.by_topic, &subscription.topic, key);
        if subscription.topic.package == Package::Reg && !self.by_topic.contains_key(&subscription.topic) {
            self.phones.remove(&subscription.topic.of);
        }
        leave(&mut self.by_device, &subscription.device, key);
        let table = &self.table;
        self.deadlines
            .sweep(table.len(), |at, key| table.get(&key).is_some_and(|entry| entry.armed == Some(at)));
    }
}

/// How things are, as the package says it.
fn document(office: &Office, messages: &FxHashMap<Named, Counts>, held: &mut Subscription) -> String {
    match held.topic.package {
        Package::MessageSummary => {
            summary::body(messages.get(&held.topic.of).copied().unwrap_or_default(), &held.entity)
        }
        Package::Dialog | Package::Reg => {
            held.reported.document(&held.entity, office.dialogs.of(&held.topic.of))
        }
    }
}

/// Where the user is registered.
fn rolls(
    office: &Office,
    now: Now,
    phones: &FxHashMap<Named, Vec<DeviceKey>>,
    departed: &VecDeque<(BindingKey, Removal)>,
    held: &mut Subscription,
) -> String {
    let theirs = phones.get(&held.topic.of).map_or(&[][..], Vec::as_slice);
    let bindings: Vec<&Binding> = theirs.iter().flat_map(|device| office.location.of(device)).collect();
    let why = |key: &BindingKey| departed.iter().rev().find(|(of, _)| of == key).map(|(_, why)| *why);
    held.rolls.document(&held.entity, now.wall, &bindings, why)
}

fn leave<K: std::hash::Hash + Eq>(
    lists: &mut FxHashMap<K, Vec<SubscriptionKey>>,
    of: &K,
    key: SubscriptionKey,
) {
    if let Some(list) = lists.get_mut(of) {
        list.retain(|other| *other != key);
        if list.is_empty() {
            lists.remove(of);
        }
    }
}

/// 200 to a SUBSCRIBE, with the time that it has got (RFC 6665 §4.2.1.1).
fn accept(
    office: &mut Office,
    now: Now,
    server: ServerId,
    flow: &Flow,
    request: &Message,
    tag: Option<&str>,
    lasts_s: u32,
) {
    let mut w = Writer::reply(request, 200, "OK", tag);
    w.copy(request, Name::RecordRoute); // RFC 3261 §12.1.1
    w.header(Name::Contact, office.contact(flow, sips::is_to_answer(request)));
    w.header(Name::Expires, lasts_s);
    w.header(Name::Server, headers::AGENT);
    office.respond(now, server, 200, w.finish());
}
