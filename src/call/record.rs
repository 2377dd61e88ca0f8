//! The call record: one JSON object a call, in the store and on the event stream.

use crate::relay::Media;
use crate::rules::explain::Explanation;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Sorts by time and can carry a node: 16 hex digits of milliseconds and a counter, `-`, the node.
    pub id: String,
    /// The Call-ID of the caller's side.
    pub call_id: String,
    /// The Session-ID (RFC 7989) of whoever speaks, as the side of the called sees it; once somebody has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    pub generation: u64,
    pub domain: String,
    pub from: Party,
    /// What was dialled.
    pub to: String,
    /// The number of ours that was called, if one was.
    pub did: Option<String>,
    pub start: String,
    pub answer: Option<String>,
    pub end: Option<String>,
    /// `answered`, `busy`, `no_answer`, `declined`, `offline`, `caller_gone`, `failed`, `rejected`, `system`.
    pub outcome: String,
    /// The final status that the caller got.
    pub status: u16,
    pub answered_by: Option<AnsweredBy>,
    pub tags: Vec<String>,
    pub legs: Vec<LegRecord>,
    pub media: Option<Media>,
    /// Of a call that was recorded: the file, under where recordings lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// Why that file isn't there, breaks off, or has nothing in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_failed: Option<String>,
    pub forwards: Vec<ForwardRecord>,
    /// In order; also those that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<TransferRecord>,
    /// Why it ended, where nobody hung up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_because: Option<String>,
    pub emergency: bool,
    pub screen_pop: Option<String>,
    pub explanation: Explanation,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Party {
    pub raw: String,
    pub e164: Option<String>,
    pub name: Option<String>,
    /// `device:101a`, `trunk:carrier`.
    pub origin: String,
    pub privacy: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnsweredBy {
    pub user: Option<String>,
    pub device: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegRecord {
    pub to: String,
    pub start: String,
    pub end: Option<String>,
    pub status: Option<u16>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ForwardRecord {
    pub user: String,
    pub reason: String,
    pub to: String,
}

/// Somebody transferred the other party.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TransferRecord {
    /// When it was asked for.
    pub at: String,
    /// Who transferred: `device:101a`.
    pub by: String,
    /// What they wanted the other party connected with, as it was dialled.
    pub to: String,
    /// 200, or why it failed.
    pub status: u16,
    /// Who took it: `device:102a`, `tel:+12025550100`.
    pub answered_by: Option<String>,
    /// Of an attended transfer: the id of the other call that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
}
