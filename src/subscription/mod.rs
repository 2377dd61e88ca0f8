//! What phones are told without a call: events that they subscribe to (RFC 6665), and notices that they did not ask for.
//!
//! | file       | what it is                                                                               |
//! |------------|------------------------------------------------------------------------------------------|
//! | `package`  | the event packages, and what each wants                                                  |
//! | `machine`  | one subscription: its dialog, its time, what is under way in it                          |
//! | `notifier` | all subscriptions, by what they are about and whose they are                             |
//! | `summary`  | message-summary (RFC 3842): what waits in a mailbox                                      |
//! | `dialog_info` | dialog (RFC 4235): what a user's calls are                                            |
//! | `reg_info` | reg (RFC 3680): where a user is registered                                          |
//! | `notice`   | NOTIFY outside any subscription: check-sync, message-summary; and who waits for answers  |
//!
//! What it is not: it knows no sockets and no clock, and decides nothing about who may ask.

pub mod dialog_info;
mod machine;
pub mod notice;
pub mod notifier;
pub mod package;
pub mod reg_info;
pub mod summary;

pub use machine::Reason;
pub use notifier::Notifier;
pub use package::Package;

use crate::call::office::{Named, Office};
use crate::transaction::ClientId;
use std::time::Duration;

/// A subscriber is told no more often than this; what changes meanwhile is told together. Whoever asks is told at once.
pub const EVERY: Duration = Duration::from_secs(1);

/// The names of our client transactions begin here; those of calls (their key, shifted) never come so far.
const CLIENTS_FROM: u64 = 1 << 63;

/// Whether a client transaction is one of this room's rather than a call's.
#[must_use]
pub fn owns(id: ClientId) -> bool {
    id.0 >= CLIENTS_FROM
}

/// What a subscription is about: a package, and whose state. Of message-summary: the mailbox of that domain and
/// name; of dialog and reg: the user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    pub package: Package,
    pub of: Named,
}

/// The name of a subscription within the core: part of its tag. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionKey(u64);

/// Our tag in the dialog of a subscription: it names it, so that a refresh finds it. Those of calls begin with another letter.
fn tag(office: &mut Office, key: SubscriptionKey) -> String {
    format!("s{:x}.{:016x}", key.0, office.ids.word())
}

/// The subscription that a tag of ours names. The whole dialog is still to be compared: anybody can write a tag.
#[must_use]
pub fn of_tag(tag: &str) -> Option<SubscriptionKey> {
    let (key, _) = tag.strip_prefix('s')?.split_once('.')?;
    u64::from_str_radix(key, 16).ok().map(SubscriptionKey)
}
