//! What phones are told without a call: events (RFC 6665) and the notices that came before them.
//!
//! | file     | what it is                                                                            |
//! |----------|---------------------------------------------------------------------------------------|
//! | `notice` | NOTIFY outside any subscription: check-sync, and who waits for what phones answer to it |
//!
//! What it is not: it knows no sockets and no clock, and decides nothing about who may ask.

pub mod notice;

use crate::transaction::ClientId;

/// The names of our client transactions begin here; those of calls (their key, shifted) never come so far.
const CLIENTS_FROM: u64 = 1 << 63;

/// Whether a client transaction is one of this room's rather than a call's.
#[must_use]
pub fn owns(id: ClientId) -> bool {
    id.0 >= CLIENTS_FROM
}
