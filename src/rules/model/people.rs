//! Users, and the answering rules of each.

use super::{
    At, Budget, CallerId, Destination, EmergencyKeys, Name, Permission, Pin, ScreenPop, Voicemail, When,
};
use crate::number::Pattern;
use crate::rules::diagnostic::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub span: Span,
    /// `ext` first, then `exts`.
    pub extensions: Vec<Name>,
    /// `Ama Osei`.
    pub display: Name,
    pub name: PersonName,
    pub email: Vec<Name>,
    pub department: Option<Name>,
    pub tags: Vec<Name>,
    pub directory: Listing,
    pub site: Option<Name>,
    /// `role`, and every role that it inherits.
    pub roles: Vec<Name>,
    /// The user's own, else the site's, else the domain's.
    pub zone: Name,
    pub area_code: Option<Name>,
    pub ring_for: Duration,
    pub call_paths: u32,
    pub call_waiting: bool,
    pub busy_when: BusyWhen,
    pub allow: Vec<At<ListEntry>>,
    pub block: Vec<At<ListEntry>>,
    pub block_anonymous: Option<Span>,
    pub block_unknown: Option<Span>,
    /// Callers whose verification failed (RFC 8224).
    pub block_unverified: Option<Span>,
    pub white_list: Vec<At<WhiteListed>>,
    pub white_list_covers_all: bool,
    pub caller_id_internal: CallerId,
    pub caller_id_external: CallerId,
    /// Calls show what the device sends.
    pub ignore_caller_id: Option<Span>,
    pub vanity: Option<Span>,
    pub restrict: BTreeMap<Name, Permission>,
    /// By class; those that are not named have no limit.
    pub budget: BTreeMap<Name, Budget>,
    pub emergency: EmergencyKeys,
    /// The mailbox exists and is enabled.
    pub mailbox: bool,
    /// Shared by all users who add nothing to the defaults.
    pub voicemail: Arc<Voicemail>,
    pub hotdesk: Option<Box<Hotdesk>>,
    pub moh: Option<Name>,
    pub record: Record,
    pub sms_number: Option<Name>,
    pub screen_pop: Option<Box<ScreenPop>>,
    /// Never empty: a user without rules has one implied `Default` (always, `self:all`).
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonName {
    pub first: Option<Name>,
    pub last: Option<Name>,
}

/// How a directory may show a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The recorded name may be played.
    pub announce: bool,
    pub list: bool,
}

/// How a user takes a phone that isn't theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hotdesk {
    /// What they key in, before the PIN.
    pub id: Name,
    pub pin: Option<Pin>,
    /// Whether a log-in leaves them logged in at other phones.
    pub keep_elsewhere: bool,
    /// When they are logged out every day, by the clock of their zone.
    pub log_out_at: Option<jiff::civil::Time>,
}

/// Whether calls of a user are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    Always,
    Never,
    Inbound,
    Outbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BusyWhen {
    AllPaths,
    AnyCall,
    DeviceSaysBusy,
}

/// An entry of an allow or block list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListEntry {
    /// A number, pattern or extension, and the entry as written (tags repeat it).
    Pattern(Pattern, Name),
    List(Name),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhiteListed {
    User(Name),
    Hunt(Name),
    Queue(Name),
    Role(Name),
    /// An extension or a number pattern.
    Pattern(Pattern),
}

/// An answering rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub span: Span,
    pub name: Name,
    pub when: When,
    pub enabled: bool,
    /// Not from the file: the implied rule of a user without rules.
    pub implied: bool,
    pub dnd: Option<Span>,
    pub screen: Option<Span>,
    pub ring: Ring,
    pub forward: Forwards,
    /// Keys of this rule that are read but not carried out yet, by name.
    pub not_carried_out: Vec<(&'static str, Span)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    pub span: Span,
    pub strategy: Strategy,
    pub targets: Vec<Target>,
    pub initial: Option<Duration>,
    pub each: Option<Duration>,
    pub timeout: Option<Duration>,
    /// `ring_for` of the rule, else of the user, defaults and domain.
    pub ring_for: Duration,
    pub missed_calls: MissedCalls,
    pub hear: Option<At<Name>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    Own,
    Simultaneous,
    Sequential,
    SequentialMemory,
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MissedCalls {
    Never,
    IfUnanswered,
    Always,
}

/// One ring target: one or several places that ring together.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub span: Span,
    pub to: Vec<At<TargetTo>>,
    pub delay: Duration,
    pub for_: Option<Duration>,
    pub confirm: Option<At<Confirm>>,
    pub confirm_on_net: bool,
    pub caller_id: Option<CallerIdChoice>,
    pub caller_id_prefix: Option<Name>,
    pub follow: Option<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetTo {
    /// The primary device.
    SelfPrimary,
    SelfAll,
    Destination(Destination),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirm {
    One,
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallerIdChoice {
    Original,
    Forwarder,
    Fixed(CallerId),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forwards {
    pub always: Option<Forward>,
    pub dnd: Option<Forward>,
    pub on_active: Option<Forward>,
    pub busy: Option<Forward>,
    pub no_answer: Option<Forward>,
    pub declined: Option<Forward>,
    pub offline: Option<Forward>,
    pub otherwise: Option<Forward>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    pub span: Span,
    pub to: Destination,
    pub confirm: Option<At<Confirm>>,
    pub caller_id: Option<CallerIdChoice>,
    pub direct_only: bool,
}
