//! A notice: NOTIFY outside any subscription, to every contact of a phone or of a person's phones. No RFC has it so (RFC 6665 §3.2 wants a
//! subscription first); phones of all makes take it for check-sync, and many for message-summary.
//!
//! Invariant: every notice is finished exactly once, with one entry a contact in the order in which they were told; its transactions see to
//! that (timer F, at most 32 s).

use super::CLIENTS_FROM;
use crate::call::headers;
use crate::call::office::Office;
use crate::clock::Now;
use crate::registrar::Binding;
use crate::sip::{Name, Writer};
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
    pub to: Whom,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    Device(Arc<str>),
    /// Every phone of theirs, those that they sit at among them.
    User(Arc<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Load your configuration again.
    CheckSync { reboot: bool },
}

impl What {
    /// The value of the Event field.
    fn event(self) -> &'static str {
        match self {
            What::CheckSync { reboot: true } => "check-sync;reboot=true",
            What::CheckSync { reboot: false } => "check-sync;reboot=false",
        }
    }
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

/// All notices that are under way.
#[derive(Debug, Default)]
pub struct Notices {
    open: FxHashMap<NoticeId, Open>,
    /// By the transaction of each NOTIFY: its notice, and which of its contacts.
    sent: FxHashMap<ClientId, (NoticeId, usize)>,
    clients: u64,
}

#[derive(Debug)]
struct Open {
    contacts: Vec<(Arc<str>, Arc<str>)>,
    ends: Vec<Option<(Outcome, Option<u16>)>>,
}

impl Notices {
    /// Tells these contacts, each by its own flow. `None`: their answers are awaited; else there was nobody to tell.
    pub fn send(
        &mut self,
        office: &mut Office,
        now: Now,
        notice: &Notice,
        contacts: &[(Binding, Arc<str>)],
    ) -> Option<Finished> {
        if contacts.is_empty() {
            return Some(Finished { id: notice.id, told: Vec::new() });
        }
        let told = contacts.iter().map(|(b, _)| (b.key.device.device.clone(), b.uri.clone())).collect();
        self.open.insert(notice.id, Open { contacts: told, ends: vec![None; contacts.len()] });
        for (index, (binding, user)) in contacts.iter().enumerate() {
            self.clients += 1;
            let client = ClientId(CLIENTS_FROM | self.clients);
            self.sent.insert(client, (notice.id, index));
            let bytes = request(office, &notice.domain, user, binding, notice.what);
            office.request(now, client, binding.flow, bytes);
        }
        None
    }

    /// A response to a NOTIFY of ours. `Some`: it was the last one that its notice waited for.
    pub fn response(&mut self, client: ClientId, status: u16) -> Option<Finished> {
        let outcome = match status {
            ..200 => return None,
            200..300 => Outcome::Accepted,
            408 => Outcome::NoAnswer,
            _ => Outcome::Refused,
        };
        self.ended(client, outcome, Some(status))
    }

    /// A NOTIFY of ours got no final response.
    pub fn failed(&mut self, client: ClientId, why: Failure) -> Option<Finished> {
        match why {
            Failure::Timeout => self.ended(client, Outcome::NoAnswer, Some(408)), // RFC 3261 §8.1.3.1
            Failure::Transport => self.ended(client, Outcome::Unreachable, None),
        }
    }

    fn ended(&mut self, client: ClientId, outcome: Outcome, status: Option<u16>) -> Option<Finished> {
        let (id, index) = self.sent.remove(&client)?;
        let open = self.open.get_mut(&id)?;
        if let Some(end) = open.ends.get_mut(index) {
            *end = Some((outcome, status));
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

/// The NOTIFY. `user` is whom the phone registered for: many look at the To to find their account.
fn request(office: &mut Office, domain: &str, user: &str, binding: &Binding, what: What) -> Bytes {
    let branch = headers::branch(office);
    let (tag, call_id) = (office.ids.word(), office.ids.call_id());
    let flow = &binding.flow;
    let account = format!("<sip:{}@{domain}>", headers::escape_user(user));
    let mut w = Writer::request("NOTIFY", &binding.uri);
    let via = flow.transport.via_word();
    w.header(Name::Via, format_args!("SIP/2.0/{via} {};rport;branch={branch}", office.sent_by(flow)));
    w.header(Name::MaxForwards, headers::MAX_FORWARDS);
    w.header(Name::From, format_args!("{account};tag={tag:016x}"));
    w.header(Name::To, account);
    w.header(Name::CallId, call_id);
    w.header(Name::CSeq, "1 NOTIFY");
    w.header(Name::Contact, office.contact(flow));
    w.field("Event", what.event());
    // RFC 6665 §8.2.1 has no NOTIFY without it, and there is no subscription that could go on.
    w.field("Subscription-State", "terminated;reason=noresource");
    w.header(Name::UserAgent, headers::AGENT);
    w.finish()
}
