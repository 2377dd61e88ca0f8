//! The transaction layer (RFC 3261 §17 with RFC 6026): all live transactions, and the four machines.
//!
//! The transaction user (`switch`) gives requests and responses as bytes; this layer sends them, retransmits them,
//! absorbs retransmissions, and hands up what is new. It never builds a message but for ACK to a non-2xx final
//! response, CANCEL, 100, the 200 and 481 to a CANCEL and the 503 of a full table; a time-out is handed up as
//! [`Event::Failed`], without a message.
//!
//! | file             | what it is                                             |
//! |------------------|--------------------------------------------------------|
//! | `client_invite`  | the machine of RFC 3261 §17.1.1                        |
//! | `client`         | the machine of RFC 3261 §17.1.2                        |
//! | `server_invite`  | the machine of RFC 3261 §17.2.1                        |
//! | `server`         | the machine of RFC 3261 §17.2.2                        |
//! | `timers`         | the timers A to M in one table                         |
//! | `clients`, `servers`, `key` | the tables, and what messages are matched by |
//! | `census`         | how many are in which state                            |
//! | `return_path`    | the flow of responses                                  |
//! | `next_hop`       | where a request goes on when its connection has ended  |
//! | `hop_by_hop`     | ACK to a non-2xx, and CANCEL                           |
//! | `large`          | what is too large for a datagram (RFC 3261 §18.1.1)    |
//!
//! Invariants: a machine in Terminated is in no table; after [`Transactions::timeout`] no deadline is in the past;
//! a message costs a hash look-up, and a timer O(log n). Merged requests (RFC 3261 §8.2.2.2) are the transaction user's.
//! A server transaction without a final response lives until the transaction user gives one.

pub mod census;
mod client;
mod client_invite;
mod clients;
mod hop_by_hop;
mod key;
pub mod large;
mod next_hop;
pub mod return_path;
mod server;
mod server_invite;
mod servers;
mod status;
pub mod timers;

#[cfg(test)]
mod tests;

use crate::sip::{Flow, Message, Method, Name, Writer};
use bytes::Bytes;
use clients::{Clients, Owner};
use large::{Beside, Large};
use rustc_hash::FxHasher;
use servers::Servers;
use status::Class;
use std::hash::Hasher;
use std::ops::Range;
use std::time::Instant;

/// Live client transactions; one more fails at once with [`Failure::Transport`].
pub const CLIENTS_MAX: usize = 200_000;
/// Live server transactions; a new request beyond them is answered with a 503 that keeps nothing.
pub const SERVERS_MAX: usize = 200_000;
/// From here on only INVITEs and requests inside a dialog begin a server transaction; everything else is answered as beyond
/// [`SERVERS_MAX`], so that a storm of registrations doesn't cost a call.
pub const SERVERS_SHED: usize = SERVERS_MAX / 8 * 7;
/// Beyond [`SERVERS_MAX`] there is room for so many requests of emergency calls; one more is answered as any other request.
pub const SERVERS_URGENT: usize = 2_000;
/// What the Retry-After of that 503 says.
pub const RETRY_AFTER_S: u32 = 5;
/// How our tag begins in each such 503: its ACK is known by that.
pub const REFUSED_TAG: &[u8] = b"503.";

/// The name that the transaction user gives to a client transaction: unique while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// The name of a server transaction, given by this layer: unique while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u64);

/// What the layer hands up, in order.
#[derive(Debug)]
pub enum Event {
    /// Bytes to send.
    Send { flow: Flow, bytes: Bytes },
    /// A new request, and the flow that it came by. An INVITE is to be answered at once, by [`Transactions::trying`] at the least.
    Request { id: ServerId, flow: Flow, message: Message },
    /// An ACK that belongs to a 2xx: to no transaction here, matched by dialog above.
    Ack { flow: Flow, message: Message },
    /// A CANCEL: answered with 200 already where it matches `invite` (then 487 is the transaction user's to send),
    /// with 481 where it matches nothing (then no event; neither where the INVITE has its final response).
    Cancel { invite: ServerId, message: Message },
    /// A provisional or final response; every 2xx to an INVITE, retransmissions too (RFC 6026 §7.2).
    Response { id: ClientId, flow: Flow, message: Message },
    /// The client transaction ended without a final response.
    Failed { id: ClientId, why: Failure },
    /// No ACK came for a non-2xx final response (timer H); for the log and the counters only.
    Unacknowledged { id: ServerId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Timer B or F.
    Timeout,
    /// The transport said that it can't deliver, or there are too many transactions.
    Transport,
}

/// What the layer counts, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages sent again, and retransmissions absorbed.
    pub retransmissions: u64,
    /// Responses that match no transaction.
    pub stray_responses: u64,
    /// Requests answered with 503, and requests of ours that failed, because a table was full.
    pub refused: u64,
}

/// All live transactions.
pub struct Transactions {
    clients: Clients,
    servers: Servers,
    large: Large,
    tally: Tally,
    /// [`SERVERS_MAX`] and [`SERVERS_SHED`], but in a test.
    servers_max: usize,
    servers_shed: usize,
    /// For building keys; its content means nothing between calls.
    key: Vec<u8>,
}

impl Default for Transactions {
    fn default() -> Transactions {
        Transactions::new()
    }
}

impl Transactions {
    #[must_use]
    pub fn new() -> Transactions {
        Transactions {
            clients: Clients::new(),
            servers: Servers::new(),
            large: Large::default(),
            tally: Tally::default(),
            servers_max: SERVERS_MAX,
            servers_shed: SERVERS_SHED,
            key: Vec::new(),
        }
    }

    /// A smaller table.
    #[cfg(test)]
    pub(crate) fn limit(&mut self, shed: usize, max: usize) {
        (self.servers_shed, self.servers_max) = (shed, max);
    }

    /// Whether nothing new begins but what is urgent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.servers.len() >= self.servers_max
    }

    /// Whether these bytes, which nobody has parsed, are a response to a request of ours: who sends it was sent the branch.
    pub fn awaits(&mut self, bytes: &[u8]) -> bool {
        bytes.starts_with(b"SIP/2.0 ") && self.clients.await_response(bytes)
    }

    /// Takes one message from the wire (already through [`Message::check`]).
    pub fn receive(&mut self, now: Instant, flow: Flow, message: Message, out: &mut Vec<Event>) {
        self.take(now, flow, message, 0, out);
    }

    /// The same of an INVITE, or of a request in a dialog, for which there is room beyond the limit.
    pub fn receive_urgent(&mut self, now: Instant, flow: Flow, message: Message, out: &mut Vec<Event>) {
        self.take(now, flow, message, SERVERS_URGENT, out);
    }

    fn take(&mut self, now: Instant, flow: Flow, mut message: Message, beyond: usize, out: &mut Vec<Event>) {
        if !message.is_request() {
            return self.clients.receive(now, flow, message, &mut self.tally, out);
        }
        let method = message.method();
        // RFC 3261 §17.2.3: an ACK belongs to the INVITE.
        let word = if method == Method::Ack { Method::Invite.word() } else { message.method_text() };
        // Read once: it is the costliest part of matching.
        let via = message.top_via();
        key::server(&mut self.key, &message, via.as_ref(), word);
        let back = return_path::back(flow, via.as_ref());
        message.set_source(flow.remote);
        match (self.servers.find(&self.key), method) {
            (Some(id), Method::Ack) => self.servers.ack(now, id, flow, message, &mut self.tally, out),
            (Some(id), _) => self.servers.retransmitted(id, &mut self.tally, out),
            (None, Method::Ack) => out.push(Event::Ack { flow, message }),
            (None, Method::Cancel) => self.receive_cancel(now, back, message, out),
            (None, _) => self.receive_new(flow, back, message, beyond, out),
        }
    }

    /// A request that no transaction knows, and where its responses go. `self.key` is its key.
    fn receive_new(&mut self, flow: Flow, back: Flow, message: Message, beyond: usize, out: &mut Vec<Event>) {
        if self.is_full_for(&message, beyond) {
            self.tally.refused += 1;
            out.push(Event::Send {
                flow: back,
                bytes: self.refusal(&message, RETRY_AFTER_S..RETRY_AFTER_S + 1),
            });
            return;
        }
        let id = if message.method() == Method::Invite {
            self.servers.start_invite(&self.key, back)
        } else {
            self.servers.start(&self.key, back)
        };
        out.push(Event::Request { id, flow, message });
    }

    /// The 503 to a request that begins nothing, and its way back; `again_s` is what its Retry-After may say, ever the same to the same request.
    ///
    /// # Errors
    /// It is no new request: it is given back to be received.
    pub fn refuse(
        &mut self,
        flow: Flow,
        mut request: Message,
        again_s: Range<u32>,
    ) -> Result<(Flow, Bytes), Box<Message>> {
        let via = request.top_via();
        key::server(&mut self.key, &request, via.as_ref(), request.method_text());
        let back = return_path::back(flow, via.as_ref());
        if !request.is_request() || self.servers.find(&self.key).is_some() {
            return Err(Box::new(request));
        }
        request.set_source(flow.remote);
        Ok((back, self.refusal(&request, again_s)))
    }

    /// `self.key` is its key.
    fn refusal(&self, request: &Message, again_s: Range<u32>) -> Bytes {
        let hash = hashed(&self.key);
        let tag = format!("503.{hash:016x}");
        let spread = u64::from(again_s.end.saturating_sub(again_s.start)).max(1);
        // Below `spread`, which is one.
        let later = u32::try_from((hash >> 32) % spread).unwrap_or(0);
        let mut response = Writer::reply(request, 503, "Service Unavailable", Some(&tag));
        response.header(Name::RetryAfter, again_s.start + later);
        response.finish()
    }

    fn is_full_for(&self, request: &Message, beyond: usize) -> bool {
        let len = self.servers.len();
        if len < self.servers_shed {
            return false;
        }
        let in_dialog = request.to().is_some_and(|to| to.tag().is_some());
        len >= self.servers_max + beyond || !(in_dialog || request.method() == Method::Invite)
    }

    /// RFC 3261 §9.2. `self.key` is the CANCEL's own key. Its own transaction answers its retransmissions; where there is no
    /// room for one, each is answered anew.
    ///
    /// A CANCEL of another method than INVITE is one that §9.1 forbids to send; it finds nothing here.
    fn receive_cancel(&mut self, now: Instant, back: Flow, message: Message, out: &mut Vec<Event>) {
        let own_key = std::mem::take(&mut self.key);
        key::server(&mut self.key, &message, message.top_via().as_ref(), Method::Invite.word());
        let cancelled = self.servers.cancelled(&self.key);
        let tag = match cancelled.as_ref().and_then(|invite| invite.last_response) {
            // RFC 3261 §9.2: the same To tag as in the response to the INVITE, where one has gone out.
            Some(response) => to_tag(response.clone()),
            None => None,
        };
        let tag = tag.unwrap_or_else(|| stateless_tag(&self.key));
        let invite = cancelled.as_ref().map(|invite| (invite.id, invite.proceeding));
        let (status, reason) = match invite {
            Some(_) => (200, "OK"),
            None => (481, "Call/Transaction Does Not Exist"),
        };
        let response = Writer::reply(&message, status, reason, Some(&tag)).finish();
        if self.servers.len() < self.servers_max {
            let id = self.servers.start(&own_key, back);
            self.servers.respond(now, id, Class::of(status), response, &mut self.tally, out);
        } else {
            out.push(Event::Send { flow: back, bytes: response });
        }
        if let Some((invite, true)) = invite {
            out.push(Event::Cancel { invite, message });
        }
    }

    /// By which ways requests may go that are too large for a datagram; none until this is called.
    pub fn take_large(&mut self, ways: Vec<Beside>) {
        self.large.set(ways);
    }

    /// Sends a request in a new client transaction. `bytes` is the whole message, our Via on top, as the first field, with a
    /// fresh branch.
    pub fn request(&mut self, now: Instant, id: ClientId, flow: Flow, bytes: Bytes, out: &mut Vec<Event>) {
        if self.clients.len() >= CLIENTS_MAX {
            self.tally.refused += 1;
            out.push(Event::Failed { id, why: Failure::Transport });
            return;
        }
        let started = match self.large.by_stream(now, flow, &bytes) {
            Some(stream) => {
                let datagram = Some((flow, bytes));
                self.clients.start(now, Owner::User(id), stream, datagram, &mut self.tally, out)
            }
            None => self.clients.start(now, Owner::User(id), (flow, bytes), None, &mut self.tally, out),
        };
        debug_assert!(started, "a request of ours needs a new id, and a Via on top with a fresh branch");
        if !started {
            out.push(Event::Failed { id, why: Failure::Transport });
        }
    }

    /// Sends a response in a server transaction. A 2xx to an INVITE leads to Accepted (RFC 6026): retransmitting it is
    /// the transaction user's duty, by calling this again. Nothing happens when the transaction is gone.
    pub fn respond(&mut self, now: Instant, id: ServerId, status: u16, bytes: Bytes, out: &mut Vec<Event>) {
        self.servers.respond(now, id, Class::of(status), bytes, &mut self.tally, out);
    }

    /// Sends a response once, and keeps nothing of the transaction (RFC 3261 §8.2.7): a retransmission is a new request. A challenge to
    /// whoever may be nobody is never repeated, so that a forged source gets no more than what was sent in its name (§26.3.2.4).
    pub fn respond_once(&mut self, id: ServerId, bytes: Bytes, out: &mut Vec<Event>) {
        if let Some(flow) = self.servers.flow(id) {
            out.push(Event::Send { flow, bytes });
            self.servers.remove(id);
        }
    }

    /// 100 (RFC 3261 §17.2.1): the answer to this INVITE will take longer than its sender waits before sending it again.
    pub fn trying(&mut self, now: Instant, id: ServerId, invite: &Message, out: &mut Vec<Event>) {
        self.respond(now, id, 100, trying(invite), out);
    }

    /// The transaction user will never answer: what is left of the request is its silence (a stranger's, by policy).
    pub fn forget(&mut self, id: ServerId) {
        self.servers.remove(id);
    }

    /// Cancels an INVITE client transaction (RFC 3261 §9.1): at once if a provisional response came, else when one comes;
    /// nothing if it has ended. `reasons` are the values of Reason fields to carry (RFC 3326). Events of the CANCEL's own
    /// transaction are not handed up. When no final response comes within 64*T1, `Failed` is handed up (§9.1).
    pub fn cancel(&mut self, now: Instant, id: ClientId, reasons: &[&str], out: &mut Vec<Event>) {
        self.clients.cancel(now, id, reasons, &mut self.tally, out);
    }

    /// The transport could not deliver on this flow. Requests that were sent on it and not heard of go on by a new connection to their
    /// next hop, once; all others fail. Responses are the transaction user's to give up, which hears of the flow as well.
    pub fn transport_failed(&mut self, now: Instant, flow: Flow, out: &mut Vec<Event>) {
        if self.clients.transport_failed(now, flow, &mut self.tally, out) {
            self.large.refused(now, flow.remote);
        }
    }

    /// Fires every timer that is due.
    pub fn timeout(&mut self, now: Instant, out: &mut Vec<Event>) {
        self.clients.timeout(now, &mut self.tally, out);
        self.servers.timeout(now, &mut self.tally, out);
    }

    /// When `timeout` is to be called next. May be early, never late.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.clients.deadline(), self.servers.deadline()].into_iter().flatten().min()
    }

    /// Live transactions: (client, server).
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

/// RFC 3261 §8.2.6.1: a 100 repeats the Timestamp, and has no tag.
fn trying(invite: &Message) -> Bytes {
    let mut response = Writer::reply(invite, 100, "Trying", None);
    if let Some(timestamp) = invite.other("Timestamp") {
        response.field("Timestamp", timestamp);
    }
    response.finish()
}

fn to_tag(response: Bytes) -> Option<String> {
    let response = Message::parse(response).ok()?;
    response.to()?.tag().map(str::to_owned)
}

/// RFC 3261 §8.2.7: the tag of a response that leaves no state is the same each time the request comes.
fn stateless_tag(key: &[u8]) -> String {
    format!("{:016x}", hashed(key))
}

fn hashed(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}
