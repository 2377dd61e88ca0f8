//! One domain, compiled: what the daemon holds of it and decides by. Immutable; a call keeps the one that it began with.
//!
//! A domain always comes out of bytes ([`super::encoding`]), those of the store or those that compiling has just made: so what is
//! decided by is what was stored. What is common to the domain is decoded at once; each user, device and number when it is first
//! asked for. The source text is not in it.

pub(super) use super::entries::{
    ClassEntry, DeviceEntry, Extension, HuntEntry, NumberEntry, NumberRecord, SiteEntry, TrunkEntry,
    UserEntry, UserRecord,
};
pub use super::entries::{DeviceView, TrunkView, UserView};

use super::credentials;
use super::diagnostic::{Lines, Place, Span};
use super::model::{
    AcceptFrom, At, Auth, CallerId, Codes, Destination, Dial, EmergencyKeys, Name, Pin, Policy, Registration,
    Route,
};
use super::patterns::PatternMap;
use super::table::{Buffer, Table};
use super::tree::{TargetPlace, Tree, Trees};
use crate::number::{Locale, Pattern};
use crate::registrar::digest::Ha1;
use crate::sip::challenge::{Login, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// The secrets of one domain that lie outside of its rules, resolved at the edge.
#[derive(Clone, Default, PartialEq)]
pub struct Secrets {
    /// HA1 by device, for the realm that is the domain's name.
    pub devices: BTreeMap<Name, Ha1>,
    /// Of `trunk.register`: the password, since the realm is the trunk's to name.
    pub registrations: BTreeMap<Name, Secret>,
    /// Of `trunk.auth`: HA1 by trunk, as of devices.
    pub trunks: BTreeMap<Name, Ha1>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.devices.len() + self.registrations.len() + self.trunks.len())
    }
}

/// One domain, compiled.
#[derive(Debug)]
pub struct Domain {
    pub(super) generation: u64,
    pub(super) common: Arc<Common>,
    /// By the index of [`Trees::zones`].
    pub(super) zones: Vec<jiff::tz::TimeZone>,
    /// The domain's own.
    pub(super) zone: jiff::tz::TimeZone,
    /// Those that are not in the rules themselves.
    pub(super) secrets: Secrets,
    /// In the order of names, as all tables are.
    pub(super) users: Table<UserRecord>,
    pub(super) devices: Table<DeviceEntry>,
    /// By E.164.
    pub(super) numbers: Table<NumberRecord>,
    pub(super) extensions: Table<Extension>,
    /// Devices by their `auth.user`, where it is not the device's name.
    pub(super) auth_users: Table<Name>,
    /// The files of the source, by the index that spans have.
    pub(super) files: Table<Lines>,
    /// What all of the above was read from, but for what has been patched since.
    pub(super) encoded: Buffer,
}

/// What all users of a domain share, and all that there is little of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Common {
    pub(super) name: Name,
    pub(super) locale: Locale,
    pub(super) zone_name: Name,
    pub(super) outside_line: Option<Name>,
    pub(super) caller_id: CallerId,
    pub(super) ring_for: Duration,
    pub(super) hops_max: u32,
    pub(super) policy: Policy,
    /// Zones, frames and lists. Its trees of users and numbers are none: those stand in tables.
    pub(super) trees: Trees,
    /// Devices that one can log in to.
    pub(super) hotdesks: Vec<Name>,
    /// Devices with `accept_from`, by each From user that may stand for them.
    pub(super) accepting: BTreeMap<Name, Vec<Name>>,
    /// Devices whose secret lies outside of the rules: what the edge has to resolve. Without its place, which moves at every other edit.
    pub(super) outside_secrets: Vec<(Name, Auth)>,
    /// Every source that the domain claims, each range once, with the first that claims it (`trunk.carrier`).
    pub(super) claims: Vec<(String, AcceptFrom)>,
    /// In the order of names.
    pub(super) hunts: Vec<HuntEntry>,
    pub(super) hunt_index: BTreeMap<Name, u32>,
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
    /// Civic addresses: elements of RFC 5139 §4 in the order of its schema, and what they hold.
    pub(super) locations: BTreeMap<Name, Vec<(Name, Name)>>,
    pub(super) told_of_emergencies: Vec<Destination>,
    pub(super) mailed_of_emergencies: Vec<Name>,
    /// The files of announcements, by their names.
    pub(super) announcements: BTreeMap<Name, Name>,
    pub(super) music: BTreeMap<Name, MusicFiles>,
    pub(super) conferences: BTreeMap<Name, ConferenceRoom>,
    /// Every file of sound that the rules name, in the order of these places.
    pub(super) audio: Vec<At<Name>>,
}

/// The files of one `[moh.X]`, relative to where the rules lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MusicFiles {
    pub files: Vec<Name>,
    /// They begin at another one each time.
    pub shuffled: bool,
}

/// One `[conference.X]`, as calls need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConferenceRoom {
    pub pin: Option<Pin>,
    pub moderator_pin: Option<Pin>,
    /// People at a time; `None`: as many as a room takes.
    pub max: Option<u32>,
    pub record: bool,
    /// Who comes and who goes is said.
    pub announce: bool,
}

impl ConferenceRoom {
    /// Whether somebody has to give a PIN.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.pin.is_some() || self.moderator_pin.is_some()
    }

    /// People at a time, as far as the rules limit it.
    #[must_use]
    pub fn people_max(&self) -> usize {
        self.max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX)
    }
}

impl Deref for Domain {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
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

    /// The country of the domain, by its code of ISO 3166.
    #[must_use]
    pub fn country(&self) -> &Arc<str> {
        &self.locale.country
    }

    /// The file of an announcement.
    #[must_use]
    pub fn announcement(&self, name: &str) -> Option<Arc<str>> {
        self.announcements.get(name).cloned()
    }

    #[must_use]
    pub fn music(&self, name: &str) -> Option<&MusicFiles> {
        self.music.get(name)
    }

    /// Every file of sound that the rules name, with each place, in the order of these.
    #[must_use]
    pub fn audio(&self) -> &[At<Name>] {
        &self.audio
    }

    #[must_use]
    pub fn conference(&self, name: &str) -> Option<&ConferenceRoom> {
        self.conferences.get(name)
    }

    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The device whose `auth.user` this is.
    #[must_use]
    pub fn device_by_auth(&self, auth_user: &str) -> Option<&DeviceView> {
        let name = self.auth_users.get(auth_user).map_or(auth_user, |device| device);
        self.device(name).filter(|device| device.auth_user.as_deref() == Some(auth_user))
    }

    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceView> {
        self.device_entry(name).map(|device| &device.view)
    }

    pub(super) fn device_entry(&self, name: &str) -> Option<&DeviceEntry> {
        self.device_at(self.devices.index(name)?)
    }

    pub(super) fn device_at(&self, index: u32) -> Option<&DeviceEntry> {
        self.devices.at_with(index, |device| {
            let own = || credentials::own(device.auth.as_ref()?, &self.name);
            device.view.ha1 = self.secrets.devices.get(&device.view.key.device).cloned().or_else(own);
        })
    }

    /// Gives it the secrets that lie outside of the rules. Before anybody has asked for a device.
    pub fn unlock(&mut self, secrets: Secrets) {
        if self.secrets != secrets {
            self.devices = self.devices.undecoded();
        }
        self.secrets = secrets;
    }

    /// Where the rules say what the secret of a device is.
    #[must_use]
    pub fn secret_place(&self, device: &str) -> Option<Place> {
        let entry = self.devices.read(self.devices.index(device)?)?;
        Some(self.place(entry.auth?.secret.span))
    }

    /// What was compiled for one generation stands as another: its source turned out to be unchanged.
    pub fn renumber(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Whether one can log in to this device.
    #[must_use]
    pub fn is_hotdesk(&self, device: &str) -> bool {
        self.hotdesks.iter().any(|hotdesk| &**hotdesk == device)
    }

    /// The name of the domain's own zone.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The names of a user's rules, in order.
    #[must_use]
    pub fn user_rules(&self, user: &str) -> Option<impl Iterator<Item = &Name> + use<'_>> {
        Some(self.user_tree(user)?.rules.iter().filter_map(|rule| rule.name.as_ref()))
    }

    /// The devices whose secret lies outside of the rules, with what says where.
    #[must_use]
    pub fn outside_secrets(&self) -> &[(Name, Auth)] {
        &self.common.outside_secrets
    }

    #[must_use]
    pub fn trunk(&self, name: &str) -> Option<&TrunkView> {
        self.trunks.get(name).map(|trunk| &trunk.view)
    }

    /// How we register at this trunk.
    #[must_use]
    pub fn registration(&self, trunk: &str) -> Option<&Registration> {
        self.trunks.get(trunk)?.registration.as_ref()
    }

    /// Where a trunk stands in the rules.
    #[must_use]
    pub fn trunk_place(&self, trunk: &str) -> Option<Place> {
        Some(self.place(self.trunks.get(trunk)?.span))
    }

    /// What answers this trunk when it asks who we are. `None`: it has no `register`, or its secret could not be resolved.
    #[must_use]
    pub fn login(&self, trunk: &str) -> Option<Login> {
        let registration = self.registration(trunk)?;
        let resolved = || self.secrets.registrations.get(trunk).cloned();
        let secret = credentials::own_secret(&registration.secret.value).or_else(resolved)?;
        Some(Login { user: registration.user.clone(), secret })
    }

    /// What calls that come in by this trunk may prove themselves with.
    #[must_use]
    pub fn trunk_auth(&self, trunk: &str) -> Option<&Auth> {
        self.trunks.get(trunk)?.auth.as_ref()
    }

    /// The civic address of this name: elements of RFC 5139 §4 and what they hold, in the order of its schema.
    #[must_use]
    pub fn civic_address(&self, location: &str) -> Option<&[(Name, Name)]> {
        self.locations.get(location).map(Vec::as_slice)
    }

    /// Who is told of an emergency call.
    #[must_use]
    pub fn told_of_emergencies(&self) -> &[Destination] {
        &self.common.told_of_emergencies
    }

    /// Mail addresses of those who are told of an emergency call.
    #[must_use]
    pub fn mailed_of_emergencies(&self) -> &[Name] {
        &self.common.mailed_of_emergencies
    }

    /// The trunk whose `auth.user` this is, with its HA1.
    #[must_use]
    pub fn trunk_by_auth(&self, auth_user: &str) -> Option<(&Name, Ha1)> {
        let (name, auth) = self.trunks.iter().find_map(|(name, trunk)| {
            Some((name, trunk.auth.as_ref().filter(|auth| &*auth.user == auth_user)?))
        })?;
        let own = || credentials::own(auth, &self.name);
        Some((name, self.secrets.trunks.get(name).cloned().or_else(own)?))
    }

    /// A number as this trunk sends it, in E.164 by the trunk's country and area code.
    #[must_use]
    pub fn normalised(&self, trunk: &str, raw: &str) -> Option<String> {
        let locale = self.trunks.get(trunk).map_or(&self.locale, |trunk| &trunk.locale);
        crate::number::normalise(raw, locale)
    }

    /// Whether this number, in E.164, is one of the domain's.
    #[must_use]
    pub fn has_number(&self, number: &str) -> bool {
        self.numbers.contains(number)
    }

    pub fn trunks(&self) -> impl Iterator<Item = &TrunkView> {
        self.trunks.values().map(|trunk| &trunk.view)
    }

    /// The user of this name, with its extensions and devices.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&UserView> {
        self.user_entry(name).map(|user| &user.view)
    }

    /// What a user may spend on calls of a class; `None`: it has no limit.
    #[must_use]
    pub fn budget(&self, user: &str, class: &str) -> Option<&super::model::Budget> {
        self.user_entry(user)?.budget.get(class)
    }

    /// All of them, decoded and kept: for those who show a domain, not for calls.
    pub fn users(&self) -> impl Iterator<Item = &UserView> {
        (0..self.user_count()).filter_map(|index| Some(&self.user_at(u32::try_from(index).ok()?)?.entry.view))
    }

    #[must_use]
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// The user that has an extension.
    #[must_use]
    pub fn user_of_extension(&self, extension: &str) -> Option<&UserView> {
        match self.extensions.get(extension)? {
            Extension::User(index) => Some(&self.user_at(*index)?.entry.view),
            Extension::System(..) => None,
        }
    }

    /// What stands behind the feature code that was dialled: `101` of `*8101`; `None` where no code was.
    #[must_use]
    pub fn behind_code<'d>(&self, dialled: &'d str) -> Option<&'d str> {
        self.codes.of(dialled).map(|(_, behind)| behind)
    }

    /// Whether two users may pick each other's calls up without naming them: they are of one site, or in one hunt, or one user.
    #[must_use]
    pub fn in_one_group(&self, one: &str, other: &str) -> bool {
        let site = |user| self.user_entry(user).and_then(|user| user.site.as_ref());
        one == other
            || site(one).is_some_and(|site_of_one| site(other) == Some(site_of_one))
            || self.hunts.iter().any(|hunt| self.is_member(hunt, one) && self.is_member(hunt, other))
    }

    fn is_member(&self, hunt: &HuntEntry, user: &str) -> bool {
        let mut places = hunt.template.targets.iter().flat_map(|target| &target.to);
        places.any(|place| match place {
            TargetPlace::Place(Destination::User(named) | Destination::Handset(named)) => &**named == user,
            TargetPlace::Place(Destination::Device(device)) => {
                self.device(device).is_some_and(|device| device.user.as_deref() == Some(user))
            }
            TargetPlace::Own | TargetPlace::OwnAll | TargetPlace::Place(_) => false,
        })
    }

    /// The mailbox that an extension or a user's name leads to, by its name: a user's is named as they are.
    #[must_use]
    pub fn mailbox(&self, extension_or_user: &str) -> Option<&Name> {
        match self.extensions.get(extension_or_user) {
            Some(Extension::User(index)) => Some(&self.user_at(*index)?.entry.view.name),
            Some(Extension::System(Destination::Voicemail(mailbox), _)) => Some(mailbox),
            Some(Extension::System(..)) => None,
            None => self.user(extension_or_user).map(|user| &user.name),
        }
    }

    /// Whether this user's mailbox is enabled.
    #[must_use]
    pub fn has_mailbox(&self, user: &str) -> bool {
        self.user_entry(user).is_some_and(|user| user.mailbox)
    }

    /// Zones, time frames and lists.
    #[must_use]
    pub fn trees(&self) -> &Trees {
        &self.trees
    }

    /// Where a span of its files begins.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let file = self.files.name(span.file).unwrap_or_default();
        match self.files.at(span.file) {
            Some(lines) => lines.place(file, span),
            None => Lines::default().place(file, span),
        }
    }

    /// The tree that an extension or number leads to.
    #[must_use]
    pub fn tree(&self, extension_or_number: &str) -> Option<&Tree> {
        match self.extensions.get(extension_or_number) {
            Some(Extension::User(index)) => self.user_at(*index).map(|user| &user.tree),
            Some(Extension::System(..)) => None,
            None => self.number_tree(extension_or_number).map(|(_, tree)| tree),
        }
    }

    pub(super) fn user_at(&self, index: u32) -> Option<&UserRecord> {
        self.users.at_with(index, |user| self.prove(&mut user.tree))
    }

    pub(super) fn entry_at(&self, index: u32) -> Option<&UserEntry> {
        self.user_at(index).map(|user| &user.entry)
    }

    pub(super) fn user_entry(&self, name: &str) -> Option<&UserEntry> {
        self.user_at(self.users.index(name)?).map(|user| &user.entry)
    }

    pub(super) fn user_tree(&self, name: &str) -> Option<&Tree> {
        self.user_at(self.users.index(name)?).map(|user| &user.tree)
    }

    /// The tree of the user at this index.
    pub(super) fn tree_of(&self, user: u32) -> Option<&Tree> {
        self.user_at(user).map(|user| &user.tree)
    }

    /// The tree of this user with a live status folded in.
    #[must_use]
    pub fn folded(&self, user: &str, status: &super::facts::UserStatus) -> Option<Tree> {
        let tree = self.user_tree(user)?;
        Some(tree.folded(super::fold::Fold::of(self, tree, status)))
    }

    pub(super) fn number_tree(&self, number: &str) -> Option<(&NumberEntry, &Tree)> {
        self.number_at(self.numbers.index(number)?)
    }

    pub(super) fn number_at(&self, number: u32) -> Option<(&NumberEntry, &Tree)> {
        let number = self.number_record(number)?;
        Some((&number.entry, &number.tree))
    }

    fn number_record(&self, number: u32) -> Option<&NumberRecord> {
        self.numbers.at_with(number, |number| self.prove(&mut number.tree))
    }

    /// A tree that points outside of itself, which only forged bytes hold, decides nothing.
    fn prove(&self, tree: &mut Tree) {
        if !tree.holds(self.trees.timed.len(), self.trees.lists.len()) {
            *tree = Tree::default();
        }
    }

    /// The number at this index, in E.164.
    pub(super) fn number_name(&self, number: u32) -> Option<&Name> {
        self.number_record(number).map(|number| &number.name)
    }

    /// Where an extension is defined.
    pub(super) fn extension_span(&self, extension: &str) -> Option<Span> {
        match self.extensions.get(extension)? {
            Extension::User(user) => self.entry_at(*user).map(|user| user.span),
            Extension::System(_, span) => Some(*span),
        }
    }

    pub(super) fn site(&self, name: Option<&Name>) -> Option<&SiteEntry> {
        self.sites.get(name?)
    }

    /// `frame` of a [`super::tree::TimedFrame`] with its zone, by its index and itself: what a condition is about.
    pub(super) fn timed(&self, timed: u32) -> Option<(&super::tree::NamedFrame, (u32, &jiff::tz::TimeZone))> {
        let timed = self.trees.timed.get(timed as usize)?;
        let zone = self.zones.get(timed.zone as usize)?;
        Some((self.trees.frames.get(timed.frame as usize)?, (timed.zone, zone)))
    }
}
