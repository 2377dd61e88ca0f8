//! The rule language as typed values (every name resolved, every number normalised, every duration parsed), each with the
//! place that it came from. What `source` and `check` make and `compile` reads.

mod budget;
mod device;
mod outbound;
mod people;
mod role;
mod service;

pub use budget::{Allotted, Budget, Limit, Spent, in_words};
pub use device::{Auth, Device, DeviceKind, DeviceRecord, Push, RingTone, SecretRef, Srtp};
pub use outbound::{
    AcceptFrom, Called, Dial, Diversion, PassedIdentity, Registration, Route, Trunk, TrunkTransport,
};
pub use people::{
    BusyWhen, CallerIdChoice, Confirm, Forward, Forwards, Hotdesk, ListEntry, Listing, MissedCalls,
    PersonName, Record, Ring, Rule, Strategy, Target, TargetTo, User, WhiteListed,
};
pub use role::{Right, Rights, Role, may};
pub use service::{
    AfterEmail, Announcement, Attendant, Codes, Conference, Directory, DirectoryScope, EmailStyle, Feature,
    Greeting, Hunt, Mailbox, MatchBy, Music, Pin, PopAt, Queue, QueueStrategy, ScreenPop, Services,
    Voicemail, Wait, WhenFull,
};

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
    /// With those that are built in, where no table takes their place.
    pub roles: BTreeMap<Name, Role>,
    pub calendars: BTreeMap<Name, Calendar>,
    pub time_frames: BTreeMap<Name, At<Frame>>,
    pub lists: BTreeMap<Name, At<Vec<At<Pattern>>>>,
    pub trunks: BTreeMap<Name, Trunk>,
    pub classes: BTreeMap<Name, At<Vec<At<Pattern>>>>,
    pub dial: Vec<Dial>,
    pub routes: Vec<Route>,
    pub emergency: EmergencyKeys,
    /// Who is told of an emergency call.
    pub notify: Vec<At<Notice>>,
    pub callbacks: BTreeMap<Name, At<CallerId>>,
    pub locations: BTreeMap<Name, Location>,
    /// Keyed by E.164.
    pub numbers: BTreeMap<Name, Number>,
    pub users: BTreeMap<Name, User>,
    pub devices: BTreeMap<Name, Device>,
    pub services: Services,
    /// Extensions of the services: hunts, queues, attendants, conferences, directories.
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
    /// Where 0 in a mailbox goes.
    pub operator: Option<At<Destination>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub reject_blocked: At<Refuse>,
    pub reject_anonymous: At<Refuse>,
    pub reject_unknown: At<Refuse>,
    pub device_decline: Decline,
    pub allow_beats_block: bool,
    pub forward_excludes_follow: bool,
    pub unknown_source: UnknownSource,
    /// Of mailboxes that say nothing else.
    pub voicemail_full: WhenFull,
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
    pub budget: BTreeMap<Name, Allotted>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyKeys {
    pub callback: Option<At<Name>>,
    pub location: Option<At<Name>>,
}

/// Somebody who is told of an emergency call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Mail(Name),
    Call(Destination),
}

/// A civic address (RFC 5139).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub span: Span,
    /// Names of elements and what they hold, in the order of the schema of RFC 5139 §4.
    pub elements: Vec<(&'static str, Name)>,
}

/// A calendar; its days stand among the time frames, as `calendar:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub span: Span,
    /// The path of its iCalendar file and the SHA-256 of what that held, in hexadecimal.
    pub ics: Option<(Name, Name)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    Deny,
    Allow,
    Inherit,
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
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    pub span: Span,
    pub label: Option<Name>,
    pub caller_id_prefix: Option<Name>,
    pub alert: Option<Name>,
    pub to: NumberTo,
}

#[derive(Clone, Debug, PartialEq)]
pub enum NumberTo {
    /// Held in the spare pool: answers 404.
    Spare,
    To(At<Destination>),
    Rules(Vec<NumberRule>),
}

#[derive(Clone, Debug, PartialEq)]
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
    /// What users have used of their budgets, by class.
    pub spent: BTreeMap<Name, BTreeMap<Name, Spent>>,
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
