//! The transaction layer (RFC 3261 §17 with RFC 6026): all live transactions, and the four machines.
//!
//! The transaction user (`switch`) gives requests and responses as bytes; this layer sends them, retransmits them,
//! absorbs retransmissions, and hands up what is new. It never builds a message but for ACK to a non-2xx final
//! response, CANCEL, 100 and the 408 of a time-out (which is handed up as [`Event::Failed`], without a message).

use crate::sip::{Flow, Message};
use bytes::Bytes;
use std::time::Instant;

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
    /// A new request. For INVITE a 100 has been sent already (`send_trying`), or goes out after 200 ms.
    Request { id: ServerId, flow: Flow, message: Message },
    /// An ACK that belongs to a 2xx: to no transaction here, matched by dialog above.
    Ack { flow: Flow, message: Message },
    /// A CANCEL: answered with 200 already where it matches `invite` (then 487 is the transaction user's to send),
    /// with 481 where it matches nothing (then no event).
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
    /// The transport said that it can't deliver.
    Transport,
}

/// All live transactions.
pub struct Transactions {}

impl Transactions {
    /// Takes one message from the wire (already through [`Message::check`]).
    pub fn receive(&mut self, now: Instant, flow: Flow, message: Message, out: &mut Vec<Event>) {
        let _ = (now, flow, message, out);
        todo!()
    }

    /// Sends a request in a new client transaction. `bytes` is the whole message, our Via on top with a fresh branch.
    pub fn request(&mut self, now: Instant, id: ClientId, flow: Flow, bytes: Bytes, out: &mut Vec<Event>) {
        let _ = (now, id, flow, bytes, out);
        todo!()
    }

    /// Sends a response in a server transaction. A 2xx to an INVITE leads to Accepted (RFC 6026): retransmitting it is
    /// the transaction user's duty. Nothing happens when the transaction is gone.
    pub fn respond(&mut self, now: Instant, id: ServerId, status: u16, bytes: Bytes, out: &mut Vec<Event>) {
        let _ = (now, id, status, bytes, out);
        todo!()
    }

    /// Cancels an INVITE client transaction (RFC 3261 §9.1): at once if a provisional response came, else when one comes;
    /// nothing if it has ended. `reasons` are the values of Reason fields to carry (RFC 3326). Events of the CANCEL's own
    /// transaction are not handed up. When no final response comes within 64*T1, `Failed` is handed up (§9.1).
    pub fn cancel(&mut self, now: Instant, id: ClientId, reasons: &[&str], out: &mut Vec<Event>) {
        let _ = (now, id, reasons, out);
        todo!()
    }

    /// The transport could not deliver on this flow.
    pub fn transport_failed(&mut self, now: Instant, flow: Flow, out: &mut Vec<Event>) {
        let _ = (now, flow, out);
        todo!()
    }

    /// Fires every timer that is due.
    pub fn timeout(&mut self, now: Instant, out: &mut Vec<Event>) {
        let _ = (now, out);
        todo!()
    }

    /// When `timeout` is to be called next. May be early, never late.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Live transactions: (client, server).
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        todo!()
    }
}
