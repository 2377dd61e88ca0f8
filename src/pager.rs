//! Pager-mode messages (RFC 3428): each is told to every phone of whom it is for, and whoever sent it hears of the first one that takes it.
//!
//! What it is not: it keeps no message. Where nobody is registered the sender is told so at once (RFC 3428 §7 leaves a store to others).
//!
//! Invariant: whoever sent a message gets exactly one final response.

use crate::call::headers::{self, AGENT};
use crate::call::office::Office;
use crate::call::out_of_dialog::OutOfDialog;
use crate::clock::Now;
use crate::registrar::Binding;
use crate::sip::{Message, Name, Writer, status};
use crate::transaction::{ClientId, ServerId};
use bytes::Bytes;
use rustc_hash::FxHashMap;

/// The names of our client transactions begin here and end where those of trunks begin; those of calls (their key, shifted) and of alerts
/// never come so far.
const CLIENTS_FROM: u64 = 1 << 61 | 1 << 60;
const CLIENTS_END: u64 = 1 << 62;
/// Messages that are on their way at once; one more gets 503.
pub const MESSAGES_MAX: usize = 4096;

/// Whether a client transaction is one of this room's.
#[must_use]
pub fn owns(id: ClientId) -> bool {
    (CLIENTS_FROM..CLIENTS_END).contains(&id.0)
}

/// A message, and whom it is shown to be from.
pub struct Page<'a> {
    pub server: ServerId,
    pub request: &'a Message,
    /// The From without its tag.
    pub from: &'a str,
    /// See [`headers::loop_token`].
    pub loop_token: u32,
}

/// Messages on their way.
#[derive(Debug, Default)]
pub struct Pager {
    open: FxHashMap<ServerId, Open>,
    /// By the transaction of each copy.
    sent: FxHashMap<ClientId, ServerId>,
    clients: u64,
}

#[derive(Debug)]
struct Open {
    request: Message,
    /// Copies that are not answered yet.
    awaited: usize,
    /// Why those that are were not taken: the first one's word.
    refused: Option<u16>,
}

impl Pager {
    /// Messages on their way, and copies of them.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        (self.open.len(), self.sent.len())
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open.len() >= MESSAGES_MAX
    }

    /// Sends a copy to each of these contacts: one a phone. There is at least one.
    pub fn send(&mut self, office: &mut Office, now: Now, page: &Page<'_>, contacts: &[Binding]) {
        let open = Open { request: page.request.clone(), awaited: contacts.len(), refused: None };
        self.open.insert(page.server, open);
        for contact in contacts {
            self.clients += 1;
            let client = ClientId(CLIENTS_FROM | self.clients);
            self.sent.insert(client, page.server);
            let bytes = copy(office, page, contact);
            office.request(now, client, contact.flow, bytes);
        }
    }

    /// A phone's word; 408 where there was none.
    pub fn answered(&mut self, office: &mut Office, now: Now, client: ClientId, code: u16) {
        if code < 200 {
            return;
        }
        let Some(server) = self.sent.remove(&client) else { return };
        let Some(open) = self.open.get_mut(&server) else { return };
        open.awaited = open.awaited.saturating_sub(1);
        let code = match code {
            200..=299 => code,
            // What is between us and the phone is no word of its user's.
            401 | 407 | 408 | 430 | 481 => 480,
            code => code,
        };
        if code >= 300 {
            open.refused.get_or_insert(code);
            if open.awaited > 0 {
                return;
            }
        }
        let code = if code < 300 { code } else { open.refused.unwrap_or(code) };
        if let Some(open) = self.open.remove(&server) {
            office.respond(now, server, code, answer(&open.request, code));
        }
    }
}

/// The response to whoever has sent a message.
#[must_use]
pub fn answer(request: &Message, code: u16) -> Bytes {
    let mut w = Writer::reply(request, code, status::reason_phrase(code), Some("ringtree"));
    w.header(Name::Server, AGENT);
    w.finish()
}

/// The MESSAGE for one phone: without a Contact (RFC 3428 §4).
fn copy(office: &mut Office, page: &Page<'_>, contact: &Binding) -> Bytes {
    let Page { request, from, loop_token, .. } = page;
    let branch = headers::first_branch(office, *loop_token);
    let (target, path) = (contact.target(), contact.path());
    let hops = request.max_forwards().unwrap_or(headers::MAX_FORWARDS).saturating_sub(1);
    let head = OutOfDialog { method: "MESSAGE", target, path, from, to: target, hops };
    let mut w = head.begin(office, &contact.flow, &branch);
    for name in [Name::Date, Name::Expires, Name::Priority, Name::Subject] {
        w.copy(request, name);
    }
    w.header(Name::UserAgent, AGENT);
    let body = request.body();
    match request.content_type() {
        Some(content_type) if !body.is_empty() => w.body(content_type, &body),
        _ => w.finish(),
    }
}
