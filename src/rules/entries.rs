//! What a domain keeps of its users, devices, numbers and the rest, as it lies in the store: values, and nothing that decides.

use super::diagnostic::Span;
use super::model::{
    AcceptFrom, At, Auth, Budget, CallerId, Destination, EmergencyKeys, Name, Permission, Push, Registration,
    RingTone, TrunkTransport,
};
use super::tree::{RingTemplate, Tree};
use crate::number::Locale;
use crate::registrar::binding::DeviceKey;
use crate::registrar::digest::Ha1;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where an extension leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Extension {
    User(u32),
    System(Destination, Span),
}

/// A user, and what decides for them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct UserRecord {
    pub entry: UserEntry,
    pub tree: Tree,
}

/// A number, and what decides for it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NumberRecord {
    pub name: Name,
    pub entry: NumberEntry,
    pub tree: Tree,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct UserEntry {
    pub view: UserView,
    pub span: Span,
    pub site: Option<Name>,
    pub area_code: Option<Name>,
    pub roles: Vec<Name>,
    pub ring_for: Duration,
    /// Active calls from which on the user is busy; `None`: never by count.
    pub busy_from: Option<u32>,
    pub internal: CallerId,
    pub external: CallerId,
    /// Calls show what the phone sends.
    pub ignore_caller_id: bool,
    pub vanity: Option<Span>,
    pub restrict: BTreeMap<Name, Permission>,
    pub budget: BTreeMap<Name, Budget>,
    pub emergency: EmergencyKeys,
    pub mailbox: bool,
    /// The device that `self` means.
    pub primary: Option<Name>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DeviceEntry {
    /// Its HA1 is not stored; it is worked out, or looked up, when the device is first asked for.
    pub view: DeviceView,
    pub auth: Option<Auth>,
    pub span: Span,
    pub site: Option<Name>,
    pub hotdesk: bool,
    pub alert_internal: Option<Name>,
    pub alert_external: Option<Name>,
    pub tone: RingTone,
    pub restrict: BTreeMap<Name, Permission>,
    pub location: Option<Name>,
    pub accept_from: Vec<AcceptFrom>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NumberEntry {
    pub span: Span,
    pub caller_id_prefix: Option<Name>,
    pub alert: Option<Name>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct HuntEntry {
    pub name: Name,
    pub span: Span,
    pub template: RingTemplate,
    pub caller_id_prefix: Option<Name>,
    pub on_failure: Option<At<Destination>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SiteEntry {
    pub country: Option<Name>,
    pub area_code: Option<Name>,
    pub emergency: EmergencyKeys,
    pub caller_id: CallerId,
    pub restrict: BTreeMap<Name, Permission>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TrunkEntry {
    pub view: TrunkView,
    pub span: Span,
    pub locale: Locale,
    pub accept_from: Vec<AcceptFrom>,
    pub registration: Option<Registration>,
    /// Of calls that come in with credentials.
    pub auth: Option<Auth>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ClassEntry {
    pub name: Name,
    pub span: Span,
}

/// What the signalling plane needs to know of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceView {
    pub key: DeviceKey,
    pub auth_user: Option<Arc<str>>,
    #[serde(skip)]
    pub ha1: Option<Ha1>,
    pub user: Option<Arc<str>>,
    /// Whether others may log in to it.
    pub hotdesk: bool,
    /// How it is woken before it is rung, where it is an app that sleeps (RFC 8599).
    pub push: Option<Push>,
    pub record: super::model::DeviceRecord,
    /// Whether its media is secured; `None`: as the daemon has it for all.
    pub srtp: Option<super::model::Srtp>,
    /// What a To of its REGISTER may name: the extensions of its user, the device's name, its `auth.user`.
    pub addresses_of_record: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrunkView {
    pub name: Arc<str>,
    /// `host[:port]`.
    pub proxy: Option<String>,
    /// It registers at us: see `DeviceKey::of_trunk`.
    pub registers_here: bool,
    pub transport: TrunkTransport,
    pub diversion: super::model::Diversion,
    pub trust: bool,
    pub strips_identity: bool,
    pub remote_party_id: bool,
    /// Callers by it are told that their call is forwarded (181).
    pub says_forwarded: bool,
    pub screens_caller_id: bool,
    pub channels: Option<u32>,
    /// How often each place that it leads to is asked how it is.
    pub ping: Option<Duration>,
    pub called: super::model::Called,
    /// Whether its media is secured; `None`: as the daemon has it for all.
    pub srtp: Option<super::model::Srtp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserView {
    pub name: Arc<str>,
    pub display: Arc<str>,
    pub extensions: Vec<Arc<str>>,
    pub devices: Vec<Arc<str>>,
    /// For `until` as `HH:MM`.
    pub zone: Arc<str>,
    /// What those hear whom they hold.
    pub moh: Option<Arc<str>>,
    /// Whether their calls are recorded.
    pub record: super::model::Record,
}
