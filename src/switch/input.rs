//! What drives the switch.

use crate::call::budgets::Usage;
use crate::call::lines::Server;
use crate::registrar::Binding;
use crate::relay::Report;
pub use crate::rules::StatusKey;
use crate::rules::{Ruleset, Status};
use crate::sip::{Flow, Message};
use crate::subscription::notice::Notice;
use crate::subscription::summary::Counts;
use crate::voice;
use std::sync::Arc;

#[derive(Debug)]
pub enum Input {
    /// One parsed message and the flow that it came by.
    Packet {
        flow: Flow,
        message: Message,
    },
    /// The peer of a connection has shown by a certificate that it may be called by these names, in small letters.
    PeerKnown {
        flow: Flow,
        names: Vec<Arc<str>>,
    },
    /// A message could not be delivered on this flow, or its connection closed.
    FlowFailed {
        flow: Flow,
    },
    /// A new generation is live. Durable already.
    Rules(Arc<Ruleset>),
    /// A live status changed (`None`: back to the rules). Durable already.
    Status {
        key: StatusKey,
        status: Option<Status>,
    },
    /// A registration from before the restart.
    Restore(Binding),
    /// What a user had spent before the restart.
    Spent(Usage),
    /// The newest call record of before the restart, by its id: those to come sort after it, whatever the clock says.
    LastRecord(String),
    /// Where a trunk's proxy leads, resolved at the edge by RFC 3263 (again whenever it changes).
    TrunkResolved {
        domain: Arc<str>,
        trunk: Arc<str>,
        servers: Vec<Server>,
    },
    Media(Report),
    Voice(voice::Report),
    /// The admin ends a call, by its id or its Call-ID. Answered by the record, if there was such a call.
    Hangup {
        call: String,
    },
    /// What waits in a mailbox, as whoever keeps the messages says. Kept in memory alone.
    Messages {
        domain: Arc<str>,
        mailbox: Arc<str>,
        counts: Counts,
    },
    /// Phones are to be told something; `Action::Noticed` says what came of it.
    Notice(Notice),
    /// No new calls; `Action::Drained` when the last one has ended or after `Config::drain_after`.
    Drain,
    /// The deadline has come.
    Timeout,
}
