//! [`Model`] -> [`Domain`]. Per user and number a tree is built by [`super::compile_tree`]; here everything around them is put
//! in place.

pub use super::domain::{ConferenceRoom, DeviceView, Domain, MusicFiles, Secrets, TrunkView, UserView};
pub use super::ruleset::{BySource, Overlap, Ruleset};

use super::calendar::Frame;
use super::compile_tree::{busy_from, number_tree, template, user_tree};
use super::credentials;
use super::diagnostic::{Diagnostic, Lines, Span};
use super::domain::{
    ClassEntry, Common, DeviceEntry, Extension, HuntEntry, NumberEntry, NumberRecord, SiteEntry, TrunkEntry,
    UserEntry, UserRecord,
};
use super::encoding::{Parts, Patches, proved, proved_one};
use super::loops;
use super::model::{AcceptFrom, At, Device, Model, Name, Number, NumberTo, User, When};
use super::patterns::PatternMap;
use super::tree::{NamedFrame, NamedTree, NumberList, TimedFrame, Tree, Trees};
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
        let parts = parts(model).and_then(|parts| Domain::of_parts(&parts, secrets, generation));
        parts.map_err(|what| vec![not_held(model, what)])
    }
}

/// Everything of a domain, each object encoded and proved where it is made.
fn parts(model: &Model) -> Result<Parts<'_>, &'static str> {
    let devices_of = devices_by_user(model);
    let shared = Shared::of(model);
    let user = |(name, user): &(&Name, &User)| {
        let tree = user_tree(&shared, name, user);
        let devices = devices_of.get(*name).map(Vec::as_slice).unwrap_or_default();
        UserRecord { entry: user_entry(model, name, user, devices), tree }
    };
    let number = |(name, number): &(&Name, &Number)| {
        let tree = number_tree(&shared, &model.domain.zone, number);
        NumberRecord { name: (*name).clone(), entry: number_entry(number), tree }
    };
    let device = |(name, device): &(&Name, &Device)| device_entry(model, name, device);
    let whole = |tree: &Tree| tree.holds(shared.timed.len(), shared.lists.len());
    Ok(Parts {
        users: proved(named(&model.users), user, |user| whole(&user.tree))?,
        numbers: proved(named(&model.numbers), number, |number| whole(&number.tree))?,
        devices: proved(named(&model.devices), device, |_| true)?,
        extensions: proved(extensions(model).into_iter(), Extension::clone, |_| true)?,
        auth_users: proved(auth_users(model).into_iter(), Name::clone, |_| true)?,
        files: proved(named(&model.files.0), |(_, text)| Lines::of(text), |_| true)?,
        common: common(model, shared.trees(Vec::new(), Vec::new())),
    })
}

/// Objects of a domain that were read again, compiled again, where what all objects share has stayed as it is.
pub(super) struct Changed<'c> {
    pub users: &'c BTreeMap<Name, User>,
    pub devices: &'c BTreeMap<Name, Device>,
    pub numbers: &'c BTreeMap<Name, Number>,
    /// The file that they stand in.
    pub file: (&'c Name, &'c str),
}

impl Changed<'_> {
    /// `before` with these in their places. `model` holds them already. `None`: the whole has to be compiled.
    pub(super) fn compile(
        &self,
        model: &Model,
        devices_of: &FxHashMap<Name, Vec<Name>>,
        before: &Domain,
        generation: u64,
    ) -> Option<Domain> {
        let trees = &before.trees;
        let shared = Shared::again(model, trees);
        let whole = |tree: &Tree| tree.holds(trees.timed.len(), trees.lists.len()).then_some(());
        let mut patches = Patches::default();
        for (name, user) in self.users {
            let devices = devices_of.get(name).map(Vec::as_slice).unwrap_or_default();
            let tree = user_tree(&shared, name, user);
            whole(&tree)?;
            let record = UserRecord { entry: user_entry(model, name, user, devices), tree };
            patches.users.push((before.users.index(name)?, proved_one(&record)?));
        }
        for (name, number) in self.numbers {
            let tree = number_tree(&shared, &model.domain.zone, number);
            whole(&tree)?;
            let record = NumberRecord { name: name.clone(), entry: number_entry(number), tree };
            patches.numbers.push((before.numbers.index(name)?, proved_one(&record)?));
        }
        for (name, device) in self.devices {
            let entry = device_entry(model, name, device);
            patches.devices.push((before.devices.index(name)?, proved_one(&entry)?));
        }
        let (file, text) = self.file;
        patches.files.push((before.files.index(file)?, proved_one(&Lines::of(text))?));
        before.patched(patches, generation)
    }
}

/// Objects with what they are called in their table.
fn named<T>(objects: &BTreeMap<Name, T>) -> impl Iterator<Item = (&str, (&Name, &T))> {
    objects.iter().map(|(name, object)| (&**name, (name, object)))
}

fn not_held(model: &Model, what: &str) -> Diagnostic {
    Diagnostic::error("not-held", model.domain.span, format!("this domain can't be compiled: {what}"))
        .help("nothing is wrong with these rules: a smaller domain may pass; please report it")
}

fn common(model: &Model, trees: Trees) -> Common {
    let (classes, class_patterns) = classes(model);
    let services = &model.services;
    let outside = model.devices.iter().filter_map(|(name, device)| {
        let mut auth = device.auth.clone().filter(credentials::lies_outside)?;
        auth.secret.span = Span::default();
        Some((name.clone(), auth))
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
        accepting: accepting(model),
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
        locations: model.locations.iter().map(|(name, l)| (name.clone(), civic(l))).collect(),
        told_of_emergencies: told_of_emergencies(model),
        mailed_of_emergencies: mailed_of_emergencies(model),
        announcements: services
            .announcements
            .iter()
            .map(|(name, a)| (name.clone(), a.file.value.clone()))
            .collect(),
        music: services.music.iter().map(|(name, music)| (name.clone(), music_files(music))).collect(),
        conferences: services.conferences.iter().map(|(name, c)| (name.clone(), room(c))).collect(),
        audio: super::audio::files(model),
        trees,
    }
}

fn music_files(music: &super::model::Music) -> MusicFiles {
    let files = music.files.iter().map(|file| file.value.clone()).collect();
    MusicFiles { files, shuffled: music.shuffled }
}

fn room(conference: &super::model::Conference) -> ConferenceRoom {
    let super::model::Conference { pin, moderator_pin, max, record, announce, .. } = conference;
    let (pin, moderator_pin) = (pin.clone(), moderator_pin.clone());
    ConferenceRoom { pin, moderator_pin, max: *max, record: *record, announce: *announce }
}

/// What the trees of a domain share, gathered before they are built: they are built beside one another.
pub(super) struct Shared<'m> {
    pub model: &'m Model,
    zones: Vec<Name>,
    frames: Vec<NamedFrame>,
    timed: Vec<TimedFrame>,
    /// By zone, with the place of that, and frame.
    timed_index: FxHashMap<&'m Name, (u32, FxHashMap<&'m Name, u32>)>,
    lists: Vec<NumberList>,
    list_index: FxHashMap<&'m Name, u32>,
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
        let mut shared = Shared {
            model,
            zones: Vec::new(),
            frames: model.time_frames.iter().map(named).collect(),
            timed: Vec::new(),
            timed_index: FxHashMap::default(),
            lists: model.lists.iter().map(list).collect(),
            list_index: model.lists.keys().zip(0..).collect(),
        };
        shared.gather_timed();
        shared
    }

    /// Every frame with each zone in which rules read it, in the order in which rules first do.
    fn gather_timed(&mut self) {
        let model = self.model;
        let frames: FxHashMap<&Name, u32> = model.time_frames.keys().zip(0..).collect();
        let of_users = model.users.values().flat_map(|user| user.rules.iter().map(|r| (&r.when, &user.zone)));
        let of_numbers = model.numbers.values().flat_map(|number| match &number.to {
            NumberTo::Rules(rules) => rules.as_slice(),
            NumberTo::Spare | NumberTo::To(_) => &[],
        });
        let of_numbers = of_numbers.map(|rule| (&rule.when, &model.domain.zone));
        for (when, zone) in of_users.chain(of_numbers) {
            let When::AnyOf(conditions) = when else { continue };
            for frame in conditions.iter().filter_map(|c| frames.get_key_value(&c.frame)) {
                self.add_timed(frame, zone);
            }
        }
    }

    fn add_timed(&mut self, (name, frame): (&&'m Name, &u32), zone: &'m Name) {
        let (zone, of_zone) = self.timed_index.entry(zone).or_insert_with(|| {
            self.zones.push(zone.clone());
            (to_u32(self.zones.len() - 1), FxHashMap::default())
        });
        if !of_zone.contains_key(*name) {
            of_zone.insert(name, to_u32(self.timed.len()));
            self.timed.push(TimedFrame { frame: *frame, zone: *zone });
        }
    }

    /// What the trees of a domain that was compiled share: for building some of them again.
    fn again(model: &'m Model, trees: &'m Trees) -> Shared<'m> {
        let mut shared = Shared {
            model,
            zones: Vec::new(),
            frames: Vec::new(),
            timed: Vec::new(),
            timed_index: FxHashMap::default(),
            lists: Vec::new(),
            list_index: trees.lists.iter().map(|list| &list.name).zip(0..).collect(),
        };
        for (timed, index) in trees.timed.iter().zip(0..) {
            let zone = trees.zones.get(timed.zone as usize);
            if let Some((zone, frame)) = zone.zip(trees.frames.get(timed.frame as usize)) {
                let (_, of_zone) = shared.timed_index.entry(zone).or_default();
                of_zone.insert(&frame.name, index);
            }
        }
        shared
    }

    pub(super) fn trees(self, users: Vec<NamedTree>, numbers: Vec<NamedTree>) -> Trees {
        let Shared { zones, frames, timed, lists, .. } = self;
        Trees { zones, frames, timed, lists, users, numbers }
    }

    /// The frame as read in this zone. The loader has resolved the name.
    pub(super) fn timed(&self, frame: &Name, zone: &Name) -> Option<u32> {
        self.timed_index.get(zone)?.1.get(frame).copied()
    }

    pub(super) fn list(&self, name: &Name) -> Option<u32> {
        self.list_index.get(name).copied()
    }
}

/// Tables are capped by the loader far below what would not fit.
pub(super) fn to_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
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
            moh: user.moh.clone(),
            record: user.record,
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
        budget: user.budget.clone(),
        emergency: user.emergency.clone(),
        mailbox: user.mailbox,
        primary: primary.or(only).cloned(),
    }
}

fn device_entry(model: &Model, name: &Name, device: &Device) -> DeviceEntry {
    DeviceEntry {
        view: DeviceView {
            key: DeviceKey { domain: model.domain.name.clone(), device: name.clone() },
            auth_user: device.auth.as_ref().map(|auth| auth.user.clone()),
            ha1: None,
            user: device.user.clone(),
            hotdesk: device.hotdesk,
            push: device.push.clone(),
            record: device.record,
            srtp: device.srtp,
            addresses_of_record: addresses_of_record(model, name, device).into_iter().collect(),
        },
        auth: device.auth.clone(),
        span: device.span,
        site: device.site.clone(),
        hotdesk: device.hotdesk,
        alert_internal: device.alert_internal.clone(),
        alert_external: device.alert_external.clone(),
        tone: device.model.as_deref().map(super::model::RingTone::of_model).unwrap_or_default(),
        restrict: device.restrict.clone(),
        location: device.location.as_ref().map(|l| l.value.clone()),
        accept_from: device.accept_from.clone(),
    }
}

fn number_entry(number: &Number) -> NumberEntry {
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

/// The elements of a civic address, as they go out.
fn civic(location: &super::model::Location) -> Vec<(Name, Name)> {
    location.elements.iter().map(|(element, text)| (Name::from(*element), text.clone())).collect()
}

fn told_of_emergencies(model: &Model) -> Vec<super::model::Destination> {
    let called = |notice: &At<super::model::Notice>| match &notice.value {
        super::model::Notice::Call(to) => Some(to.clone()),
        super::model::Notice::Mail(_) => None,
    };
    model.notify.iter().filter_map(called).collect()
}

fn mailed_of_emergencies(model: &Model) -> Vec<Name> {
    let address = |notice: &At<super::model::Notice>| match &notice.value {
        super::model::Notice::Mail(address) => Some(address.clone()),
        super::model::Notice::Call(_) => None,
    };
    model.notify.iter().filter_map(address).collect()
}

fn trunks(model: &Model) -> BTreeMap<Name, TrunkEntry> {
    let entry = |(name, trunk): (&Name, &super::model::Trunk)| {
        let view = TrunkView {
            name: name.clone(),
            proxy: trunk.proxy.as_ref().map(|proxy| proxy.value.clone()),
            registers_here: trunk.registers_here,
            transport: trunk.transport,
            diversion: trunk.diversion,
            trust: trunk.trust,
            strips_identity: trunk.identity == super::model::PassedIdentity::Strip,
            remote_party_id: trunk.remote_party_id,
            says_forwarded: trunk.says_forwarded,
            screens_caller_id: trunk.screens_caller_id,
            channels: trunk.channels,
            ping: trunk.ping,
            called: trunk.called,
            srtp: trunk.srtp,
        };
        let locale = Locale { country: trunk.country.clone(), area_code: trunk.area_code.clone() };
        (
            name.clone(),
            TrunkEntry {
                view,
                span: trunk.span,
                locale,
                accept_from: trunk.accept_from.clone(),
                registration: trunk.register.clone(),
                auth: trunk.auth.clone(),
            },
        )
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

fn accepting(model: &Model) -> BTreeMap<Name, Vec<Name>> {
    let mut accepting: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    for (name, device) in model.devices.iter().filter(|(_, d)| !d.accept_from.is_empty()) {
        for address in addresses_of_record(model, name, device) {
            accepting.entry(address).or_default().push(name.clone());
        }
    }
    accepting
}

/// The extensions of its user, its own name and its log-in, each once.
fn addresses_of_record(model: &Model, name: &Name, device: &Device) -> BTreeSet<Name> {
    let owner = device.user.as_ref().and_then(|user| model.users.get(user));
    let extensions = owner.into_iter().flat_map(|user| &user.extensions);
    let log_in = device.auth.as_ref().map(|auth| &auth.user);
    extensions.chain([name]).chain(log_in).cloned().collect()
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
