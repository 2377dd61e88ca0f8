//! What a decision is made from: the call as it came, and live state.

use super::model::{Budget, Destination, Spent};
use super::tree::Tree;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One call as it came. Everything about it that doesn't change while it is decided.
#[derive(Clone, Debug)]
pub struct CallFacts {
    /// The call clock: every hop of one call is judged at this moment.
    pub at: jiff::Timestamp,
    pub caller: Caller,
    pub dialled: Dialled,
    /// RFC 7090: a call back from the emergency centre passes lists, DND, screening and forwards.
    pub psap_callback: bool,
    /// What the verification of the caller's identity said (RFC 8224).
    pub verified: Verified,
    /// Hops that the call took before it came here: entries of History-Info or Diversion.
    pub earlier_hops: u32,
}

/// Whether the caller's identity was signed, and rightly so (STIR/SHAKEN).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verified {
    /// Nothing was signed, or nobody looked.
    #[default]
    NotChecked,
    Passed,
    Failed,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    pub origin: Origin,
    /// The number as it was received: `2025550150`, `anonymous`.
    pub raw: Arc<str>,
    pub name: Option<Arc<str>>,
    /// Identity was withheld (RFC 3323; From host `anonymous.invalid`). No number at all, or none that can be
    /// normalised, is `unknown`, which the rules see by themselves.
    pub anonymous: bool,
}

/// Where the call came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A device of this domain, by name: the caller is its user.
    Device(Arc<str>),
    Trunk(Arc<str>),
    /// For `route` and golden tests: an inside caller named by extension alone.
    Extension(Arc<str>),
    /// For `route` and golden tests: an outside caller by no trunk in particular.
    Outside,
    /// For golden tests: as if it came through this (`queue:support`), so not direct.
    Via(Destination),
}

/// What was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// The user part as it was dialled: extension, number or feature code.
    Text(Arc<str>),
    /// `urn:service:sos` (RFC 5031).
    Sos,
    /// For `route --to user:osei`.
    Destination(Destination),
}

/// Live state, looked at when a decision needs it. Devices, users and trunks go by name within the domain.
pub trait Live {
    /// Neither a binding nor a push token.
    fn offline(&self, device: &str) -> bool;
    /// Calls that the user is part of, over all their devices; the call being decided doesn't count.
    fn active_calls(&self, user: &str) -> u32;
    fn status(&self, user: &str) -> Option<&UserStatus>;
    /// The user's tree with that status folded in, of the rules that the call is decided by, where somebody keeps one.
    fn folded(&self, user: &str) -> Option<&Tree> {
        let _ = user;
        None
    }
    /// `Some(true)`: forced on; `Some(false)`: forced off; `None`: by the clock.
    fn frame_override(&self, frame: &str) -> Option<bool>;
    fn trunk_down(&self, trunk: &str) -> bool;
    /// The trunk carries as many calls as its `channels` allow. An emergency call does not ask.
    fn trunk_full(&self, trunk: &str) -> bool {
        let _ = trunk;
        false
    }
    /// What the user has used of their budget of this class.
    fn spent(&self, user: &str, class: &str) -> Spent {
        let _ = (user, class);
        Spent::default()
    }
    /// The budget that is in force by now, where that is another thing than what the rules of this decision say; `None`: theirs counts.
    fn budget(&self, user: &str, class: &str) -> Option<Option<Budget>> {
        let _ = (user, class);
        None
    }
    /// The user who has logged in to this hot-desk phone.
    fn seated(&self, device: &str) -> Option<&str> {
        let _ = device;
        None
    }
}

/// What a user has set, outside the rules: `PATCH .../users/{name}/status`. `None` returns to the rules.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct UserStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnd: Option<bool>,
    /// A destination as text: acts as `forward.always` over the chosen rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// Picks a rule of the user by name, a disabled one too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Queues that the user, an agent there, has logged in to or out of, by name; of any other queue the rules tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<Arc<str>, bool>,
    /// When it ends by itself. Whoever hands the status to a decision leaves out what has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<jiff::Timestamp>,
}

/// A time frame that somebody has taken out of the clock's hands: `PATCH .../time-frames/{name}/status`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FrameStatus {
    /// Forced on, or forced off.
    pub on: bool,
    /// When the clock rules again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<jiff::Timestamp>,
}

/// Who has logged in to a hot-desk phone: `PATCH .../devices/{name}/status`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SeatStatus {
    pub user: Arc<str>,
    pub since: jiff::Timestamp,
    /// When they are logged out: as asked for, or the user's nightly `log_out_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<jiff::Timestamp>,
}

/// What has a live status, across generations of the rules. As JSON `{"domain": ..., "user": ...}`, or `time_frame`, or `device`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StatusKey {
    pub domain: Arc<str>,
    #[serde(flatten)]
    pub object: StatusObject,
}

/// What has a live status, by name within its domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusObject {
    User(Arc<str>),
    TimeFrame(Arc<str>),
    Device(Arc<str>),
}

impl StatusObject {
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            StatusObject::User(name) | StatusObject::TimeFrame(name) | StatusObject::Device(name) => name,
        }
    }

    /// A status of this kind of object, as [`Status`] is written: nothing in it says which kind it is.
    ///
    /// # Errors
    /// It is none.
    pub fn read_status(&self, value: serde_json::Value) -> Result<Status, serde_json::Error> {
        Ok(match self {
            StatusObject::User(_) => Status::User(serde_json::from_value(value)?),
            StatusObject::TimeFrame(_) => Status::TimeFrame(serde_json::from_value(value)?),
            StatusObject::Device(_) => Status::Device(serde_json::from_value(value)?),
        })
    }
}

/// What is set live of one object, beside the rules.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Status {
    User(UserStatus),
    TimeFrame(FrameStatus),
    Device(SeatStatus),
}

impl Status {
    /// When it ends by itself.
    #[must_use]
    pub fn until(&self) -> Option<jiff::Timestamp> {
        match self {
            Status::User(status) => status.until,
            Status::TimeFrame(status) => status.until,
            Status::Device(status) => status.until,
        }
    }
}
