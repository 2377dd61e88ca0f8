//! What we are towards trunks beside calls: registrations of ours (RFC 3261 §10.2), so that calls come in by them; and whether they are there.
//!
//! | file            | what it is                                                                    |
//! |-----------------|-------------------------------------------------------------------------------|
//! | `registration`  | the machine: one registration, its credentials, its time, its back-off        |
//! | `registrations` | all of them: as the rules want them, and their requests and news              |
//! | `health`        | whether each place that a trunk leads to answers (OPTIONS)                    |
//!
//! What it is not: it knows no sockets and no clock, and no calls; legs that go out by trunks are `call::trunk`.

pub mod health;
pub mod registration;
pub mod registrations;

pub use health::Health;
pub use registration::Standing;
pub use registrations::{News, Registrations};

use crate::transaction::ClientId;

/// The names of our client transactions begin here and end where those of subscriptions begin; those of calls (their key, shifted)
/// never come so far.
const CLIENTS_FROM: u64 = 1 << 62;
const CLIENTS_END: u64 = 1 << 63;
/// Of these, from here on, those that ask how a place is.
const PINGS_FROM: u64 = CLIENTS_FROM | 1 << 61;

/// Whether a client transaction asks how a place is.
#[must_use]
pub fn asks_health(id: ClientId) -> bool {
    (PINGS_FROM..CLIENTS_END).contains(&id.0)
}

/// Whether a client transaction is one of this room's.
#[must_use]
pub fn owns(id: ClientId) -> bool {
    (CLIENTS_FROM..CLIENTS_END).contains(&id.0)
}
