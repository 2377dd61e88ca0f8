//! One domain, compiled: what the daemon holds of it and decides by. Immutable; a call keeps the one that it began with.

use super::diagnostic::{Files, Place, Places, Span};
use super::model::{
    At, CallerId, Codes, Destination, Dial, EmergencyKeys, Name, Permission, Policy, Route, TrunkTransport,
};
use super::patterns::PatternMap;
use super::tree::{RingTemplate, Tree, Trees};
use crate::number::{Locale, Pattern};
use crate::registrar::binding::DeviceKey;
use crate::registrar::digest::Ha1;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The secrets of one domain, resolved at the edge: HA1 by device name, for the realm that is the domain's name.
#[derive(Clone, Default)]
pub struct Secrets(pub BTreeMap<Arc<str>, Ha1>);

/// One domain, compiled.
#[derive(Debug)]
pub struct Domain {
    pub(super) name: Name,
    pub(super) generation: u64,
    pub(super) files: Arc<Files>,
    pub(super) places: Places,
    pub(super) locale: Locale,
    /// By the index of [`Trees::zones`].
    pub(super) zones: Vec<jiff::tz::TimeZone>,
    /// The domain's own.
    pub(super) zone: jiff::tz::TimeZone,
    pub(super) outside_line: Option<Name>,
    pub(super) caller_id: CallerId,
    pub(super) ring_for: Duration,
    pub(super) hops_max: u32,
    pub(super) policy: Policy,
    pub(super) trees: Trees,
    /// In the order of names, as the trees are.
    pub(super) users: Vec<UserEntry>,
    pub(super) user_index: FxHashMap<Name, u32>,
    pub(super) devices: FxHashMap<Name, DeviceEntry>,
    pub(super) auth_users: FxHashMap<Name, Name>,
    /// Devices that one can log in to.
    pub(super) hotdesks: Vec<Name>,
    /// Devices with `accept_from`, by each From user that may stand for them.
    pub(super) accepting: FxHashMap<Name, Vec<Name>>,
    /// Every source that the domain claims, each range once, with the first that claims it (`trunk.carrier`).
    pub(super) claims: Vec<(String, super::model::AcceptFrom)>,
    pub(super) extensions: FxHashMap<Name, Extension>,
    /// By the index of [`Trees::numbers`].
    pub(super) numbers: Vec<NumberEntry>,
    pub(super) number_index: FxHashMap<Name, u32>,
    /// In the order of names.
    pub(super) hunts: Vec<HuntEntry>,
    pub(super) hunt_index: FxHashMap<Name, u32>,
    pub(super) codes: Codes,
    pub(super) sites: BTreeMap<Name, SiteEntry>,
    pub(super) trunks: BTreeMap<Name, TrunkEntry>,
    pub(super) classes: Vec<ClassEntry>,
    pub(super) class_patterns: PatternMap,
    pub(super) dial: Vec<Dial>,
    pub(super) routes: Vec<Route>,
    pub(super) emergency: EmergencyKeys,
    pub(super) emergency_numbers: Vec<(Pattern, Option<Span>)>,
    pub(super) callbacks: BTreeMap<Name, CallerId>,
}

/// Where an extension leads.
#[derive(Clone, Debug)]
pub(super) enum Extension {
    User(u32),
    System(Destination, Span),
}

#[derive(Debug)]
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
    pub emergency: EmergencyKeys,
    pub mailbox: bool,
    /// The device that `self` means.
    pub primary: Option<Name>,
}

#[derive(Debug)]
pub(super) struct DeviceEntry {
    pub view: DeviceView,
    pub span: Span,
    pub site: Option<Name>,
    pub hotdesk: bool,
    pub alert_internal: Option<Name>,
    pub alert_external: Option<Name>,
    pub restrict: BTreeMap<Name, Permission>,
    pub location: Option<Name>,
    pub accept_from: Vec<super::model::AcceptFrom>,
}

#[derive(Debug)]
pub(super) struct NumberEntry {
    pub span: Span,
    pub caller_id_prefix: Option<Name>,
    pub alert: Option<Name>,
}

#[derive(Debug)]
pub(super) struct HuntEntry {
    pub name: Name,
    pub span: Span,
    pub template: RingTemplate,
    pub caller_id_prefix: Option<Name>,
    pub on_failure: Option<At<Destination>>,
}

#[derive(Debug)]
pub(super) struct SiteEntry {
    pub country: Option<Name>,
    pub area_code: Option<Name>,
    pub emergency: EmergencyKeys,
    pub caller_id: CallerId,
    pub restrict: BTreeMap<Name, Permission>,
}

#[derive(Debug)]
pub(super) struct TrunkEntry {
    pub view: TrunkView,
    pub span: Span,
    pub locale: Locale,
    pub accept_from: Vec<super::model::AcceptFrom>,
}

#[derive(Debug)]
pub(super) struct ClassEntry {
    pub name: Name,
    pub span: Span,
}

/// What the signalling plane needs to know of a device.
#[derive(Clone, Debug)]
pub struct DeviceView {
    pub key: DeviceKey,
    pub auth_user: Option<Arc<str>>,
    pub ha1: Option<Ha1>,
    pub user: Option<Arc<str>>,
    /// Whether others may log in to it.
    pub hotdesk: bool,
    /// What a To of its REGISTER may name: the extensions of its user, the device's name, its `auth.user`.
    pub addresses_of_record: Vec<Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct TrunkView {
    pub name: Arc<str>,
    /// `host[:port]`.
    pub proxy: Option<String>,
    pub transport: TrunkTransport,
    pub diversion: super::model::Diversion,
    pub trust: bool,
    pub strips_identity: bool,
    pub remote_party_id: bool,
    pub screens_caller_id: bool,
    pub channels: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct UserView {
    pub name: Arc<str>,
    pub display: Arc<str>,
    pub extensions: Vec<Arc<str>>,
    pub devices: Vec<Arc<str>>,
    /// For `until` as `HH:MM`.
    pub zone: Arc<str>,
}

impl Domain {
    /// What strangers get.
    #[must_use]
    pub fn unknown_source(&self) -> super::model::UnknownSource {
        self.policy.unknown_source
    }

    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The device whose `auth.user` this is.
    #[must_use]
    pub fn device_by_auth(&self, auth_user: &str) -> Option<&DeviceView> {
        self.device(self.auth_users.get(auth_user)?)
    }

    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceView> {
        self.devices.get(name).map(|device| &device.view)
    }

    #[must_use]
    pub fn trunk(&self, name: &str) -> Option<&TrunkView> {
        self.trunks.get(name).map(|trunk| &trunk.view)
    }

    /// A number as this trunk sends it, in E.164 by the trunk's country and area code.
    #[must_use]
    pub fn normalised(&self, trunk: &str, raw: &str) -> Option<String> {
        let locale = self.trunks.get(trunk).map_or(&self.locale, |trunk| &trunk.locale);
        crate::number::normalise(raw, locale)
    }

    pub fn trunks(&self) -> impl Iterator<Item = &TrunkView> {
        self.trunks.values().map(|trunk| &trunk.view)
    }

    /// The user of this name, with its extensions and devices.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&UserView> {
        self.user_entry(name).map(|user| &user.view)
    }

    pub fn users(&self) -> impl Iterator<Item = &UserView> {
        self.users.iter().map(|user| &user.view)
    }

    /// Every compiled tree of the domain.
    #[must_use]
    pub fn trees(&self) -> &Trees {
        &self.trees
    }

    /// The trees as bytes, for the store.
    #[must_use]
    pub fn encode_trees(&self) -> Vec<u8> {
        self.trees.encode()
    }

    /// # Errors
    /// Bytes that are no trees of this version.
    pub fn decode_trees(bytes: &[u8]) -> Result<Trees, super::encoding::TreeError> {
        Trees::decode(bytes)
    }

    /// The source that this was compiled from.
    #[must_use]
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Where a span of its files begins.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        self.places.place(span)
    }

    /// The tree that an extension or number leads to.
    #[must_use]
    pub fn tree(&self, extension_or_number: &str) -> Option<&Tree> {
        match self.extensions.get(extension_or_number) {
            Some(Extension::User(index)) => self.trees.users.get(*index as usize).map(|named| &named.tree),
            Some(Extension::System(..)) => None,
            None => self.number_tree(extension_or_number).map(|(_, tree)| tree),
        }
    }

    pub(super) fn user_entry(&self, name: &str) -> Option<&UserEntry> {
        self.users.get(*self.user_index.get(name)? as usize)
    }

    pub(super) fn user_tree(&self, name: &str) -> Option<&Tree> {
        self.trees.users.get(*self.user_index.get(name)? as usize).map(|named| &named.tree)
    }

    /// The tree of the user at this index.
    pub(super) fn tree_of(&self, user: u32) -> Option<&Tree> {
        self.trees.users.get(user as usize).map(|named| &named.tree)
    }

    pub(super) fn number_tree(&self, number: &str) -> Option<(&NumberEntry, &Tree)> {
        self.number_at(*self.number_index.get(number)?)
    }

    pub(super) fn number_at(&self, number: u32) -> Option<(&NumberEntry, &Tree)> {
        let index = number as usize;
        Some((self.numbers.get(index)?, &self.trees.numbers.get(index)?.tree))
    }

    /// The number at this index, in E.164.
    pub(super) fn number_name(&self, number: u32) -> Option<&Name> {
        self.trees.numbers.get(number as usize).map(|named| &named.name)
    }

    /// Where an extension is defined.
    pub(super) fn extension_span(&self, extension: &str) -> Option<Span> {
        match self.extensions.get(extension)? {
            Extension::User(user) => self.users.get(*user as usize).map(|user| user.span),
            Extension::System(_, span) => Some(*span),
        }
    }

    pub(super) fn site(&self, name: Option<&Name>) -> Option<&SiteEntry> {
        self.sites.get(name?)
    }

    /// `frame` of a [`super::tree::TimedFrame`] with its zone: what a condition is about.
    pub(super) fn timed(&self, timed: u32) -> Option<(&super::tree::NamedFrame, &jiff::tz::TimeZone)> {
        let timed = self.trees.timed.get(timed as usize)?;
        Some((self.trees.frames.get(timed.frame as usize)?, self.zones.get(timed.zone as usize)?))
    }
}
