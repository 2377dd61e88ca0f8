//! The rule language as typed values (every name resolved, every number normalised, every duration parsed), each with the
//! place that it came from. What `source` and `check` make and `compile` reads.

use super::calendar::Frame;
use super::diagnostic::{Files, Span};
use crate::number::Pattern;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub type Name = Arc<str>;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At<T> {
    pub value: T,
    pub span: Span,
}

/// One domain, whole and consistent: every reference in it resolves.
#[derive(Clone, Debug)]
pub struct Model {
    pub files: Arc<Files>,
    pub domain: DomainTable,
    pub policy: Policy,
    pub sites: BTreeMap<Name, Site>,
    pub calendars: BTreeMap<Name, Span>,
    pub time_frames: BTreeMap<Name, At<Frame>>,
    pub lists: BTreeMap<Name, At<Vec<At<Pattern>>>>,
    pub trunks: BTreeMap<Name, Trunk>,
    pub classes: BTreeMap<Name, At<Vec<At<Pattern>>>>,
    pub dial: Vec<Dial>,
    pub routes: Vec<Route>,
    pub emergency: EmergencyKeys,
    pub callbacks: BTreeMap<Name, At<CallerId>>,
    pub locations: BTreeMap<Name, Span>,
    /// Keyed by E.164.
    pub numbers: BTreeMap<Name, Number>,
    pub users: BTreeMap<Name, User>,
    pub devices: BTreeMap<Name, Device>,
    /// Extensions of everything else: hunts, queues, attendants, conferences, directories.
    pub system_extensions: BTreeMap<Name, At<Destination>>,
    pub expects: Vec<Expect>,
}

#[derive(Clone, Debug)]
pub struct DomainTable {
    pub span: Span,
    pub name: Name,
    pub zone: Name,
    pub country: Name,
    pub area_code: Option<Name>,
    pub outside_line: Option<Name>,
    pub caller_id: Option<CallerId>,
    pub ring_for: Duration,
    pub call_paths: u32,
    pub max_hops: u32,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub reject_blocked: At<Refuse>,
    pub reject_anonymous: At<Refuse>,
    pub reject_unknown: At<Refuse>,
    pub device_decline: Decline,
    pub allow_beats_block: bool,
    pub forward_excludes_follow: bool,
    pub unknown_source: UnknownSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownSource {
    Challenge,
    Silent,
}

/// What a refused caller gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refuse {
    Status(u16),
    Announce(Name),
    Tone(Name),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decline {
    /// A 603 of one device ends the ringing of all (RFC 3261 §16.7).
    Stop,
    /// It ends that device's leg alone.
    Continue,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerId {
    pub name: Option<Name>,
    pub number: Option<Name>,
}

#[derive(Clone, Debug)]
pub struct Site {
    pub span: Span,
    pub zone: Option<Name>,
    pub country: Option<Name>,
    pub area_code: Option<Name>,
    pub emergency: EmergencyKeys,
    pub caller_id: Option<CallerId>,
    pub restrict: BTreeMap<Name, Permission>,
}

#[derive(Clone, Debug, Default)]
pub struct EmergencyKeys {
    pub callback: Option<At<Name>>,
    pub location: Option<At<Name>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    Deny,
    Allow,
    Inherit,
}

#[derive(Clone, Debug)]
pub struct Trunk {
    pub span: Span,
    /// `host[:port]` of the SIP peer.
    pub proxy: Option<At<String>>,
    pub transport: TrunkTransport,
    /// Whether `register` is set (carried out later).
    pub registers: Option<Span>,
    pub accept_from: Vec<AcceptFrom>,
    pub channels: Option<u32>,
    pub country: Name,
    pub area_code: Option<Name>,
    pub screens_caller_id: bool,
    pub diversion: Diversion,
    pub trust: bool,
    pub remote_party_id: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrunkTransport {
    Udp,
    Tcp,
    Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Diversion {
    None,
    Diversion,
    HistoryInfo,
    Both,
}

/// An address or a range, with an optional port: `203.0.113.16/28`, `127.0.0.2:5070`, `[2001:db8::]/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptFrom {
    pub address: std::net::IpAddr,
    pub prefix: u8,
    pub port: Option<u16>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Dial {
    pub span: Span,
    pub dialled: Pattern,
    pub strip: usize,
    pub prefix: Name,
    pub rewrite_as: Option<Name>,
    pub class: Option<Name>,
}

#[derive(Clone, Debug)]
pub struct Route {
    pub span: Span,
    pub name: Option<Name>,
    pub classes: Vec<Name>,
    pub site: Option<Name>,
    pub via: Vec<Name>,
    pub caller_id: Option<CallerId>,
}

/// `kind:name`, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Destination {
    /// Their rules.
    User(Name),
    /// Their devices, not their rules.
    Handset(Name),
    Device(Name),
    Voicemail(Name),
    Queue(Name),
    Attendant(Name),
    Conference(Name),
    Hunt(Name),
    Directory(Name),
    Announce(Name),
    /// E.164 with `+`, or what did not normalise.
    Tel(Name),
    Reject(u16),
}

/// A number of ours (DID).
#[derive(Clone, Debug)]
pub struct Number {
    pub span: Span,
    pub label: Option<Name>,
    pub caller_id_prefix: Option<Name>,
    pub alert: Option<Name>,
    pub to: NumberTo,
}

#[derive(Clone, Debug)]
pub enum NumberTo {
    /// Held in the spare pool: answers 404.
    Spare,
    To(At<Destination>),
    Rules(Vec<NumberRule>),
}

#[derive(Clone, Debug)]
pub struct NumberRule {
    pub span: Span,
    pub name: Option<Name>,
    pub when: When,
    pub to: At<Destination>,
}

/// When a rule is active: always, or when any of these holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    Always,
    AnyOf(Vec<Condition>),
}

/// `X`, `not X`, `calendar:X`: calendars stand among the time frames under the name `calendar:X`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub frame: Name,
    pub negated: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct User {
    pub span: Span,
    /// `ext` first, then `exts`.
    pub extensions: Vec<Name>,
    /// `Ama Osei`.
    pub display: Name,
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
    pub white_list: Vec<At<WhiteListed>>,
    pub white_list_covers_all: bool,
    pub caller_id_internal: CallerId,
    pub caller_id_external: CallerId,
    pub vanity: Option<Span>,
    pub restrict: BTreeMap<Name, Permission>,
    pub emergency: EmergencyKeys,
    pub hotdesk: Option<Hotdesk>,
    /// The mailbox exists and is enabled.
    pub mailbox: bool,
    /// Never empty: a user without rules has one implied `Default` (always, `self:all`).
    pub rules: Vec<Rule>,
}

/// How a user takes a phone that isn't theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hotdesk {
    /// What they key in, before the PIN.
    pub id: Name,
    /// Whether a log-in leaves them logged in at other phones.
    pub keep_elsewhere: bool,
    /// When they are logged out every day, by the clock of their zone.
    pub log_out_at: Option<jiff::civil::Time>,
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
#[derive(Clone, Debug)]
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

#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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

#[derive(Clone, Debug, Default)]
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

#[derive(Clone, Debug)]
pub struct Forward {
    pub span: Span,
    pub to: Destination,
    pub confirm: Option<At<Confirm>>,
    pub caller_id: Option<CallerIdChoice>,
    pub direct_only: bool,
}

#[derive(Clone, Debug)]
pub struct Device {
    pub span: Span,
    /// `None`: a spare device.
    pub user: Option<Name>,
    pub primary: bool,
    pub auth: Option<Auth>,
    pub accept_from: Vec<AcceptFrom>,
    pub site: Option<Name>,
    pub hotdesk: bool,
    pub mobile_app: bool,
    pub alert_internal: Option<Name>,
    pub alert_external: Option<Name>,
    pub restrict: BTreeMap<Name, Permission>,
    pub location: Option<At<Name>>,
}

#[derive(Clone, Debug)]
pub struct Auth {
    pub user: Name,
    pub secret: At<SecretRef>,
}

/// A secret as the source names it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// Relative to the rules' base directory.
    File(String),
    Env(String),
    Ha1Md5(String),
    Ha1Sha256(String),
    Plain(String),
    /// `plain:***` of an export: keep the one that is there.
    Masked,
}

impl std::fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SecretRef::File(_) => "file:***",
            SecretRef::Env(_) => "env:***",
            SecretRef::Ha1Md5(_) | SecretRef::Ha1Sha256(_) => "ha1:***",
            SecretRef::Plain(_) | SecretRef::Masked => "plain:***",
        })
    }
}

/// A golden test.
#[derive(Clone, Debug)]
pub struct Expect {
    pub span: Span,
    pub name: Name,
    pub at: Option<At<String>>,
    pub given: Given,
    pub from: Option<Name>,
    pub from_name: Option<Name>,
    pub from_device: Option<Name>,
    pub to: Name,
    pub via: Option<Name>,
    pub then: Vec<At<Name>>,
    pub then_not: Vec<At<Name>>,
}

/// What is otherwise live, set for a golden test or by `--given`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    pub offline: Vec<Name>,
    pub busy: Vec<Name>,
    pub no_answer: Vec<Name>,
    pub declined: Vec<Name>,
    pub active_calls: BTreeMap<Name, u32>,
    pub dnd: Vec<Name>,
    pub forward: BTreeMap<Name, Destination>,
    pub rule: BTreeMap<Name, Name>,
    pub time_frame: BTreeMap<Name, bool>,
    pub hotdesk: BTreeMap<Name, Name>,
    pub agents: BTreeMap<Name, Vec<Name>>,
    pub screen_refused: bool,
    pub unconfirmed: Vec<Name>,
    pub trunk_down: Vec<Name>,
    pub psap_callback: bool,
    pub verified: Option<Name>,
}
