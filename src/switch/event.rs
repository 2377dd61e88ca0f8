//! What the event stream shows (`GET /v1/events`).

use super::StatusKey;
use crate::call::alert::Alert;
use crate::call::charged::BudgetStop;
use crate::call::record::CallRecord;
use crate::relay::Audio;
use crate::rules::Status;
use serde::Serialize;
use std::sync::Arc;

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", content = "data")]
pub enum Event {
    #[serde(rename = "call.started")]
    CallStarted { id: String, domain: String, from: String, to: String },
    #[serde(rename = "call.ringing")]
    CallRinging { id: String, leg: String },
    #[serde(rename = "call.answered")]
    CallAnswered { id: String, answered_by: Option<String> },
    /// Who is heard in a call has changed: one party or both have fallen silent, or are heard again.
    #[serde(rename = "call.audio")]
    CallAudio { id: String, audio: Audio },
    /// Somebody has come into a conference; so many are there now.
    #[serde(rename = "conference.joined")]
    ConferenceJoined { domain: String, conference: String, call: String, people: usize },
    #[serde(rename = "conference.left")]
    ConferenceLeft { domain: String, conference: String, call: String, people: usize },
    /// An emergency call goes out: staff may want to know at once.
    #[serde(rename = "emergency")]
    Emergency(Alert),
    /// A budget has kept a call from beginning, or has ended one.
    #[serde(rename = "budget.stopped")]
    BudgetStopped(BudgetStop),
    #[serde(rename = "call.ended")]
    CallEnded(Arc<CallRecord>),
    #[serde(rename = "registration.added")]
    RegistrationAdded { domain: String, device: String, contact: String },
    #[serde(rename = "registration.removed")]
    RegistrationRemoved { domain: String, device: String, contact: String, why: String },
    /// A source that nobody vouches for has tried too often, and is not listened to for so long.
    #[serde(rename = "stranger.shut_out")]
    StrangerShutOut { source: String, for_s: u64 },
    /// More comes than can be done: what would begin something new is refused.
    #[serde(rename = "overload.began")]
    OverloadBegan {},
    /// Everything is done again; so many were refused meanwhile.
    #[serde(rename = "overload.ended")]
    OverloadEnded { for_ms: u64, calls: u64, registrations: u64, others: u64 },
    /// A phone is to be woken for a call (RFC 8599): what its push service is to be told.
    #[serde(rename = "push.wanted")]
    PushWanted {
        domain: String,
        device: String,
        provider: String,
        prid: String,
        param: Option<String>,
        call: String,
    },
    /// We are registered at it, or it answers again.
    #[serde(rename = "trunk.up")]
    TrunkUp { domain: String, trunk: String },
    /// We are not, or no more, or it does not answer.
    #[serde(rename = "trunk.down")]
    TrunkDown { domain: String, trunk: String, why: String },
    #[serde(rename = "rules.applied")]
    RulesApplied { domain: String, generation: u64 },
    #[serde(rename = "status.changed")]
    StatusChanged {
        #[serde(flatten)]
        key: StatusKey,
        /// `null`: back to the rules; also when it ended by itself.
        status: Option<Status>,
    },
    #[serde(rename = "alarm")]
    Alarm { what: String },
}
