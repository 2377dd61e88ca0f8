//! [`Model`] -> [`Domain`]. Per user and number a tree is built by [`super::compile_tree`]; here everything around them is put
//! in place.

pub use super::domain::{DeviceView, Domain, Secrets, TrunkView, UserView};
pub use super::ruleset::{BySource, Overlap, Ruleset};

use super::calendar::Frame;
use super::compile_tree::{busy_from, number_tree, template, user_tree};
use super::credentials;
use super::diagnostic::{Diagnostic, Lines};
use super::domain::{
    ClassEntry, Common, DeviceEntry, Extension, HuntEntry, NumberEntry, NumberRecord, SiteEntry, TrunkEntry,
    UserEntry, UserRecord,
};
use super::encoding::Parts;
use super::loops;
use super::model::{AcceptFrom, At, Device, Model, Name, User};
use super::patterns::PatternMap;
use super::tree::{NamedFrame, NamedTree, NumberList, TimedFrame, Trees};
use crate::number::{Locale, Pattern, emergency_numbers};
use crate::registrar::binding::DeviceKey;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

impl Domain {
    /// # Errors
    /// What can only be seen while compiling (an unconditional forwarding loop).
    pub fn compile(model: &Model, secrets: Secrets, generation: u64) -> Result<Domain, Vec<Diagnostic>> {
        let found = loops::unconditional(model);
        if !found.is_empty() {
            return Err(found);
        }
        let devices_of = devices_by_user(model);
        let none = Vec::new();
        let mut shared = Shared::of(model);
        let mut users = Vec::new();
        for (name, user) in &model.users {
            let tree = user_tree(&mut shared, name, user);
            let entry = user_entry(model, name, user, devices_of.get(name).unwrap_or(&none));
            users.push((&**name, UserRecord { entry, tree }));
        }
        let mut numbers = Vec::new();
        for (name, number) in &model.numbers {
            let tree = number_tree(&mut shared, &model.domain.zone, number);
            numbers.push((&**name, NumberRecord { name: name.clone(), entry: number_entry(number), tree }));
        }
        let devices: Vec<_> =
            model.devices.iter().map(|(name, d)| (&**name, device_entry(model, name, d))).collect();
        let parts = Parts {
            common: common(model, &devices, shared.trees(Vec::new(), Vec::new())),
            users,
            numbers,
            extensions: extensions(model).into_iter().collect(),
            auth_users: auth_users(model).into_iter().collect(),
            files: model.files.0.iter().map(|(name, text)| (&**name, Lines::of(text))).collect(),
            devices,
        };
        Domain::of_parts(&parts, secrets, generation).map_err(|what| vec![not_held(model, what)])
    }
}

fn not_held(model: &Model, what: &str) -> Diagnostic {
    Diagnostic::error("not-held", model.domain.span, format!("this domain can't be compiled: {what}"))
        .help("nothing is wrong with these rules: a smaller domain may pass; please report it")
}

fn common(model: &Model, devices: &[(&str, DeviceEntry)], trees: Trees) -> Common {
    let (classes, class_patterns) = classes(model);
    let outside = model.devices.iter().filter_map(|(name, device)| {
        let auth = device.auth.as_ref().filter(|auth| credentials::lies_outside(auth))?;
        Some((name.clone(), auth.clone()))
    });
    Common {
        name: model.domain.name.clone(),
        locale: Locale { country: model.domain.country.clone(), area_code: model.domain.area_code.clone() },
        zone_name: model.domain.zone.clone(),
        outside_line: model.domain.outside_line.clone(),
        caller_id: model.domain.caller_id.clone().unwrap_or_default(),
        ring_for: model.domain.ring_for,
        hops_max: model.domain.max_hops,
        policy: model.policy.clone(),
        hotdesks: model.devices.iter().filter(|(_, d)| d.hotdesk).map(|(name, _)| name.clone()).collect(),
        accepting: accepting(devices),
        outside_secrets: outside.collect(),
        claims: claims(model),
        hunts: model.services.hunts.iter().map(|(name, hunt)| hunt_entry(name, hunt)).collect(),
        hunt_index: model.services.hunts.keys().cloned().zip(0..).collect(),
        codes: model.services.codes.clone(),
        sites: model.sites.iter().map(|(name, site)| (name.clone(), site_entry(site))).collect(),
        trunks: trunks(model),
        classes,
        class_patterns,
        dial: model.dial.clone(),
        routes: model.routes.clone(),
        emergency: model.emergency.clone(),
        emergency_numbers: emergency(model),
        callbacks: model.callbacks.iter().map(|(name, c)| (name.clone(), c.value.clone())).collect(),
        trees,
    }
}

/// What the trees of a domain share, gathered while they are built.
pub(super) struct Shared<'m> {
    pub model: &'m Model,
    zones: Vec<Name>,
    frames: Vec<NamedFrame>,
    frame_index: FxHashMap<Name, u32>,
    timed: Vec<TimedFrame>,
    lists: Vec<NumberList>,
    list_index: FxHashMap<Name, u32>,
}

impl<'m> Shared<'m> {
    pub(super) fn of(model: &'m Model) -> Shared<'m> {
        let named = |(name, at): (&Name, &At<Frame>)| NamedFrame {
            name: name.clone(),
            frame: at.value.clone(),
            span: at.span,
        };
        let list = |(name, at): (&Name, &At<Vec<At<Pattern>>>)| {
            let mut numbers = PatternMap::default();
            at.value.iter().for_each(|pattern| numbers.insert(&pattern.value, 0));
            NumberList { name: name.clone(), numbers }
        };
        Shared {
            model,
            zones: Vec::new(),
            frames: model.time_frames.iter().map(named).collect(),
            frame_index: index(model.time_frames.keys()),
            timed: Vec::new(),
            lists: model.lists.iter().map(list).collect(),
            list_index: index(model.lists.keys()),
        }
    }

    pub(super) fn trees(self, users: Vec<NamedTree>, numbers: Vec<NamedTree>) -> Trees {
        let Shared { zones, frames, timed, lists, .. } = self;
        Trees { zones, frames, timed, lists, users, numbers }
    }

    /// The frame as read in this zone. The loader has resolved the name.
    pub(super) fn timed(&mut self, frame: &Name, zone: &Name) -> Option<u32> {
        let frame = *self.frame_index.get(frame)?;
        let zone = match self.zones.iter().position(|z| z == zone) {
            Some(index) => to_u32(index),
            None => {
                self.zones.push(zone.clone());
                to_u32(self.zones.len() - 1)
            }
        };
        let timed = TimedFrame { frame, zone };
        let index = self.timed.iter().position(|t| *t == timed).unwrap_or_else(|| {
            self.timed.push(timed);
            self.timed.len() - 1
        });
        Some(to_u32(index))
    }

    pub(super) fn list(&self, name: &Name) -> Option<u32> {
        self.list_index.get(name).copied()
    }
}

/// Tables are capped by the loader far below what would not fit.
pub(super) fn to_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn index<'a>(names: impl Iterator<Item = &'a Name>) -> FxHashMap<Name, u32> {
    names.enumerate().map(|(index, name)| (name.clone(), to_u32(index))).collect()
}

/// Devices of each user, in the order of names.
fn devices_by_user(model: &Model) -> FxHashMap<Name, Vec<Name>> {
    let mut devices: FxHashMap<Name, Vec<Name>> = FxHashMap::default();
    for (name, device) in &model.devices {
        if let Some(user) = &device.user {
            devices.entry(user.clone()).or_default().push(name.clone());
        }
    }
    devices
}

fn user_entry(model: &Model, name: &Name, user: &User, devices: &[Name]) -> UserEntry {
    let primary = devices.iter().find(|d| model.devices.get(*d).is_some_and(|d| d.primary));
    let only = if devices.len() == 1 { devices.first() } else { None };
    UserEntry {
        view: UserView {
            name: name.clone(),
            display: user.display.clone(),
            extensions: user.extensions.clone(),
            devices: devices.to_vec(),
            zone: user.zone.clone(),
        },
        span: user.span,
        site: user.site.clone(),
        area_code: user.area_code.clone(),
        roles: user.roles.clone(),
        ring_for: user.ring_for,
        busy_from: busy_from(user),
        internal: user.caller_id_internal.clone(),
        external: user.caller_id_external.clone(),
        ignore_caller_id: user.ignore_caller_id.is_some(),
        vanity: user.vanity,
        restrict: user.restrict.clone(),
        emergency: user.emergency.clone(),
        mailbox: user.mailbox,
        primary: primary.or(only).cloned(),
    }
}

fn device_entry(model: &Model, name: &Name, device: &Device) -> DeviceEntry {
    let owner = device.user.as_ref().and_then(|user| model.users.get(user));
    let auth_user = device.auth.as_ref().map(|auth| auth.user.clone());
    let mut addresses: BTreeSet<Name> =
        owner.map(|user| user.extensions.iter().cloned().collect()).unwrap_or_default();
    addresses.insert(name.clone());
    addresses.extend(auth_user.clone());
    DeviceEntry {
        view: DeviceView {
            key: DeviceKey { domain: model.domain.name.clone(), device: name.clone() },
            auth_user,
            ha1: None,
            user: device.user.clone(),
            hotdesk: device.hotdesk,
            addresses_of_record: addresses.into_iter().collect(),
        },
        auth: device.auth.clone(),
        span: device.span,
        site: device.site.clone(),
        hotdesk: device.hotdesk,
        alert_internal: device.alert_internal.clone(),
        alert_external: device.alert_external.clone(),
        restrict: device.restrict.clone(),
        location: device.location.as_ref().map(|l| l.value.clone()),
        accept_from: device.accept_from.clone(),
    }
}

fn number_entry(number: &super::model::Number) -> NumberEntry {
    NumberEntry {
        span: number.span,
        caller_id_prefix: number.caller_id_prefix.clone(),
        alert: number.alert.clone(),
    }
}

fn hunt_entry(name: &Name, hunt: &super::model::Hunt) -> HuntEntry {
    HuntEntry {
        name: name.clone(),
        span: hunt.span,
        template: template(&hunt.ring),
        caller_id_prefix: hunt.caller_id_prefix.clone(),
        on_failure: hunt.on_failure.clone(),
    }
}

fn site_entry(site: &super::model::Site) -> SiteEntry {
    SiteEntry {
        country: site.country.clone(),
        area_code: site.area_code.clone(),
        emergency: site.emergency.clone(),
        caller_id: site.caller_id.clone().unwrap_or_default(),
        restrict: site.restrict.clone(),
    }
}

fn trunks(model: &Model) -> BTreeMap<Name, TrunkEntry> {
    let entry = |(name, trunk): (&Name, &super::model::Trunk)| {
        let view = TrunkView {
            name: name.clone(),
            proxy: trunk.proxy.as_ref().map(|proxy| proxy.value.clone()),
            transport: trunk.transport,
            diversion: trunk.diversion,
            trust: trunk.trust,
            strips_identity: trunk.identity == super::model::PassedIdentity::Strip,
            remote_party_id: trunk.remote_party_id,
            screens_caller_id: trunk.screens_caller_id,
            channels: trunk.channels,
        };
        let locale = Locale { country: trunk.country.clone(), area_code: trunk.area_code.clone() };
        (name.clone(), TrunkEntry { view, span: trunk.span, locale, accept_from: trunk.accept_from.clone() })
    };
    model.trunks.iter().map(entry).collect()
}

fn extensions(model: &Model) -> BTreeMap<&str, Extension> {
    let mut extensions = BTreeMap::new();
    for (extension, to) in &model.system_extensions {
        extensions.insert(&**extension, Extension::System(to.value.clone(), to.span));
    }
    for (index, user) in model.users.values().enumerate() {
        extensions.extend(user.extensions.iter().map(|e| (&**e, Extension::User(to_u32(index)))));
    }
    extensions
}

/// Where the two differ: mostly a device has its own name there.
fn auth_users(model: &Model) -> BTreeMap<&str, Name> {
    let differs =
        |(name, device): (&Name, &'_ Device)| device.auth.as_ref().is_some_and(|auth| auth.user != *name);
    let differing = model.devices.iter().filter(|entry| differs(*entry));
    differing.filter_map(|(name, d)| Some((&*d.auth.as_ref()?.user, name.clone()))).collect()
}

fn accepting(devices: &[(&str, DeviceEntry)]) -> BTreeMap<Name, Vec<Name>> {
    let mut accepting: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    for (name, device) in devices.iter().filter(|(_, d)| !d.accept_from.is_empty()) {
        for address in &device.view.addresses_of_record {
            accepting.entry(address.clone()).or_default().push((*name).into());
        }
    }
    accepting
}

fn claims(model: &Model) -> Vec<(String, AcceptFrom)> {
    let trunks = model
        .trunks
        .iter()
        .flat_map(|(name, t)| t.accept_from.iter().map(move |a| (format!("trunk.{name}"), *a)));
    let devices = model
        .devices
        .iter()
        .flat_map(|(name, d)| d.accept_from.iter().map(move |a| (format!("device.{name}"), *a)));
    let mut seen = BTreeSet::new();
    trunks.chain(devices).filter(|(_, a)| seen.insert((a.address, a.prefix, a.port))).collect()
}

fn classes(model: &Model) -> (Vec<ClassEntry>, PatternMap) {
    let mut patterns = PatternMap::default();
    let mut classes = Vec::new();
    for (index, (name, class)) in model.classes.iter().enumerate() {
        class.value.iter().for_each(|pattern| patterns.insert(&pattern.value, to_u32(index)));
        classes.push(ClassEntry { name: name.clone(), span: class.span });
    }
    (classes, patterns)
}

/// The numbers of the domain's and every site's country, and `class.emergency` (with its place).
fn emergency(model: &Model) -> Vec<(Pattern, Option<super::diagnostic::Span>)> {
    let sites = model.sites.values().filter_map(|site| site.country.as_ref());
    let countries: BTreeSet<&Name> = sites.chain([&model.domain.country]).collect();
    let class = model.classes.get("emergency").map(|class| class.value.as_slice()).unwrap_or_default();
    let own = class.iter().map(|pattern| (pattern.value.clone(), Some(pattern.span)));
    let built_in =
        countries.iter().flat_map(|country| emergency_numbers(country)).map(|n| (Pattern::exact(n), None));
    own.chain(built_in).collect()
}
