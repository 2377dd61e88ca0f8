//! A notice: phones are told something that they did not ask for, and somebody waits for what they say. NOTIFY outside any subscription (no
//! RFC has it so: RFC 6665 §3.2 wants a subscription first; phones of all makes take it for check-sync, and many for message-summary), or
//! inside one where there is one.
//!
//! Invariant: every notice is finished exactly once, with one entry a contact in the order in which they were told; its transactions see to
//! that (timer F: at most 32 s, and twice that where a subscription is just being told something).

use super::CLIENTS_FROM;
use super::SubscriptionKey;
use super::notifier::Answered;
use super::summary::{self, Counts};
use crate::call::headers;
use crate::call::office::Office;
use crate::call::out_of_dialog::OutOfDialog;
use crate::clock::Now;
use crate::registrar::Binding;
use crate::sip::Name;
use crate::transaction::{ClientId, Failure};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;

/// The name of a notice, given by whoever waits for it. As many are open as they hold (`admin::notices::NOTICES_MAX`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoticeId(pub u64);

/// What phones are to be told, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub id: NoticeId,
    pub domain: Arc<str>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Load your configuration again.
    CheckSync { to: Whom, reboot: bool },
    /// What waits in this mailbox: to every phone of the user whose it is, and to whoever has subscribed to it.
    Messages { mailbox: Arc<str> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    Device(Arc<str>),
    /// Every phone of theirs, those that they sit at among them.
    User(Arc<str>),
}

/// What a NOTIFY outside any subscription says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    CheckSync { reboot: bool },
    Messages(Counts),
}

/// Where a notice goes.
#[derive(Clone, Debug)]
pub enum Contact {
    /// A contact that has subscribed to nothing of the kind; `user` is whom it is registered for.
    Bound { binding: Box<Binding>, user: Arc<str> },
    /// A subscription, which its notifier tells.
    Subscribed { key: SubscriptionKey, device: Arc<str>, contact: Arc<str> },
}

/// A contact that was told, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    pub device: Arc<str>,
    pub contact: Arc<str>,
    pub result: Outcome,
    /// The final response; 408 where none came in time.
    pub status: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// 2xx: the phone has taken it. What it then does is its own affair.
    Accepted,
    /// Any other final response: 481 and 489 from phones that want to have subscribed.
    Refused,
    NoAnswer,
    /// The transport said so: its connection is gone.
    Unreachable,
}

/// A notice that nothing is awaited of any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub id: NoticeId,
    pub told: Vec<Told>,
}

/// One contact of a notice that is under way.
type Place = (NoticeId, usize);

/// All notices that are under way.
#[derive(Debug, Default)]
pub struct Notices {
    open: FxHashMap<NoticeId, Open>,
    /// By the transaction of each NOTIFY outside a subscription.
    sent: FxHashMap<ClientId, Place>,
    /// By the subscription that is told.
    subscribed: FxHashMap<SubscriptionKey, Vec<Place>>,
    clients: u64,
}

#[derive(Debug)]
struct Open {
    contacts: Vec<(Arc<str>, Arc<str>)>,
    ends: Vec<Option<End>>,
}

type End = (Outcome, Option<u16>);

impl Notices {
    /// Notices that are open, and NOTIFYs of theirs that are not answered.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        (self.open.len(), self.sent.len())
    }

    /// Tells these contacts, each by its own flow; those that have subscribed are the notifier's to tell. `None`: answers are awaited;
    /// else there was nobody to tell.
    pub fn send(
        &mut self,
        office: &mut Office,
        now: Now,
        notice: &Notice,
        word: Word,
        contacts: &[Contact],
    ) -> Option<Finished> {
        if contacts.is_empty() {
            return Some(Finished { id: notice.id, told: Vec::new() });
        }
        let named = contacts.iter().map(Contact::names).collect();
        self.open.insert(notice.id, Open { contacts: named, ends: vec![None; contacts.len()] });
        for (index, contact) in contacts.iter().enumerate() {
            match contact {
                Contact::Bound { binding, user } => {
                    let client = self.tell(office, now, &notice.domain, user, binding, word);
                    self.sent.insert(client, (notice.id, index));
                }
                Contact::Subscribed { key, .. } => {
                    self.subscribed.entry(*key).or_default().push((notice.id, index));
                }
            }
        }
        None
    }

    /// Tells one contact something; nobody waits for its answer but whoever keeps the transaction's name.
    pub fn tell(
        &mut self,
        office: &mut Office,
        now: Now,
        domain: &str,
        user: &str,
        binding: &Binding,
        word: Word,
    ) -> ClientId {
        self.clients += 1;
        let client = ClientId(CLIENTS_FROM | self.clients);
        let bytes = request(office, domain, user, binding, word);
        office.request(now, client, binding.flow, bytes);
        client
    }

    /// A response to a NOTIFY of ours. `Some`: it was the last one that its notice waited for.
    pub fn response(&mut self, client: ClientId, status: u16) -> Option<Finished> {
        if status < 200 {
            return None;
        }
        let place = self.sent.remove(&client)?;
        self.ended(place, of_status(status))
    }

    /// A NOTIFY of ours got no final response.
    pub fn failed(&mut self, client: ClientId, why: Failure) -> Option<Finished> {
        let place = self.sent.remove(&client)?;
        self.ended(place, of_failure(why))
    }

    /// A subscription has been told, or never will be. `over`: the notices that waited for nothing else.
    pub fn answered(&mut self, answered: &Answered, over: &mut Vec<Finished>) {
        let end = answered.status.map_or_else(of_failure, of_status);
        for place in self.subscribed.remove(&answered.key).unwrap_or_default() {
            over.extend(self.ended(place, end));
        }
    }

    fn ended(&mut self, (id, index): Place, ended: End) -> Option<Finished> {
        let open = self.open.get_mut(&id)?;
        if let Some(end) = open.ends.get_mut(index) {
            *end = Some(ended);
        }
        let ends: Vec<_> = open.ends.iter().copied().collect::<Option<_>>()?;
        let open = self.open.remove(&id)?;
        let told = open.contacts.into_iter().zip(ends).map(|((device, contact), (result, status))| Told {
            device,
            contact,
            result,
            status,
        });
        Some(Finished { id, told: told.collect() })
    }
}

impl Contact {
    /// Its device and its URI.
    fn names(&self) -> (Arc<str>, Arc<str>) {
        match self {
            Contact::Bound { binding, .. } => (binding.key.device.device.clone(), binding.uri.clone()),
            Contact::Subscribed { device, contact, .. } => (device.clone(), contact.clone()),
        }
    }
}

fn of_status(status: u16) -> End {
    let outcome = match status {
        200..300 => Outcome::Accepted,
        408 => Outcome::NoAnswer,
        _ => Outcome::Refused,
    };
    (outcome, Some(status))
}

fn of_failure(why: Failure) -> End {
    match why {
        Failure::Timeout => (Outcome::NoAnswer, Some(408)), // RFC 3261 §8.1.3.1
        Failure::Transport => (Outcome::Unreachable, None),
    }
}

/// The NOTIFY. `user` is whom the phone registered for: many look at the To to find their account.
fn request(office: &mut Office, domain: &str, user: &str, binding: &Binding, word: Word) -> Bytes {
    let branch = headers::branch(office);
    let flow = &binding.flow;
    let account = format!("sip:{}@{domain}", headers::escape_user(user));
    let (target, path) = (binding.target(), binding.path());
    let from = format!("<{account}>");
    let hops = headers::MAX_FORWARDS;
    let head = OutOfDialog { method: "NOTIFY", target, path, from: &from, to: &account, hops };
    let mut w = head.begin(office, flow, &branch);
    w.header(Name::Contact, office.contact(flow, headers::asks_for_sips(target, path)));
    // RFC 6665 §8.2.1 has no NOTIFY without it, and there is no subscription that could go on.
    w.field("Subscription-State", "terminated;reason=noresource");
    w.header(Name::UserAgent, headers::AGENT);
    match word {
        Word::CheckSync { reboot } => {
            w.field("Event", format_args!("check-sync;reboot={reboot}"));
            w.finish()
        }
        Word::Messages(counts) => {
            let package = super::Package::MessageSummary;
            w.field("Event", package.name());
            w.body(package.content_type(), summary::body(counts, &account).as_bytes())
        }
    }
}
