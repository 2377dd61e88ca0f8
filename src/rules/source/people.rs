//! `[user.X]`: who has an extension, and what holds for all of their rules.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{
    At, BusyWhen, CallerId, DomainTable, Hotdesk, Listing, Name, PersonName, Record, Role, Rule, ScreenPop,
    Site, User, Voicemail,
};
use super::answering;
use super::budgets::budgets;
use super::domain::{required, restrict};
use super::emergency::emergency_keys;
use super::lists::{entries, white_list};
use super::mailbox::{Inherited, emails};
use super::names::{Kind, Object, Objects};
use super::reader::{Item, Reader, Table};
use super::roles::roles_of;
use super::services::screen_pop;
use crate::number::{Pattern, is_e164};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A call that rings longer has been given up by its caller.
pub(super) const RING_FOR_MAX: Duration = Duration::from_secs(600);
const CALL_PATHS_MAX: u32 = 1000;
/// Fewer are not worth a thread.
const USERS_A_SHARE_MIN: usize = 64;

/// What users are read in the light of.
pub(super) struct Surroundings<'a, 't> {
    pub(super) objects: &'a Objects<'t>,
    pub(super) domain: &'a DomainTable,
    pub(super) sites: &'a BTreeMap<Name, Site>,
    pub(super) roles: &'a BTreeMap<Name, Role>,
    pub(super) lists: &'a BTreeMap<Name, At<Vec<At<Pattern>>>>,
    pub(super) mailboxes: Inherited,
    pub(super) forward_excludes_follow: bool,
}

pub(super) fn users<'t>(r: &mut Reader<'t>, around: &Surroundings<'_, 't>) -> BTreeMap<Name, User> {
    let objects: Vec<(&'t str, Object<'t>)> = around.objects.of(Kind::User).collect();
    let users = r.each(&objects, USERS_A_SHARE_MIN, |r, (name, object)| {
        let user = user(r, around, name, *object);
        (Name::from(*name), user)
    });
    users.into_iter().collect()
}

/// `[defaults.user]` by itself, so that its mistakes show without any user.
pub(super) fn defaults<'t>(r: &mut Reader<'t>, around: &Surroundings<'_, 't>) {
    if let Some(object) = around.objects.default_user {
        for own in ["ext", "exts", "name", "email", "rule", "hotdesk", "sms_number"] {
            if let Some((key, _)) = object.table.get_key_value(own) {
                let place = super::reader::span(object.span.file, key.span());
                r.error("own-key", place, format!("`{own}` is each user's own"), "write it in `[user.NAME]`");
            }
        }
        let mut t = Table::new(object.span, "user", object.table);
        for own in ["ext", "exts", "name", "email", "rule", "hotdesk", "sms_number"] {
            t.own(r, own);
        }
        let vanity = common(r, around, &mut t, None).vanity;
        entries(r, &mut t, "allow");
        entries(r, &mut t, "block");
        white_list(r, &mut t, around.lists);
        let restrict = restrict(r, &mut t, None);
        budgets(r, &mut t, None, (&restrict, vanity));
        emergency_keys(r, &mut t);
        t.finish(r);
    }
}

/// Keys that may stand in `[defaults.user]` too.
struct Common {
    site: Option<Name>,
    zone: Name,
    area_code: Option<Name>,
    ring_for: Duration,
    call_paths: u32,
    call_waiting: bool,
    busy_when: BusyWhen,
    caller_id: (CallerId, CallerId),
    block_anonymous: Option<Span>,
    block_unknown: Option<Span>,
    block_unverified: Option<Span>,
    ignore_caller_id: Option<Span>,
    white_list_covers_all: bool,
    vanity: Option<Span>,
    roles: Vec<Name>,
    department: Option<Name>,
    tags: Vec<Name>,
    directory: Listing,
    moh: Option<Name>,
    record: Record,
    screen_pop: Option<Box<ScreenPop>>,
    voicemail: Arc<Voicemail>,
}

fn common<'t>(
    r: &mut Reader<'t>,
    around: &Surroundings<'_, 't>,
    t: &mut Table<'t>,
    owner: Option<&'t str>,
) -> Common {
    let site = t.reference(r, "site", Kind::Site).map(|site| site.value);
    let at_site = site.as_ref().and_then(|site| around.sites.get(site));
    let zone = t.item(r, "timezone").and_then(|item| item.zone(r)).map(|zone| zone.name().clone());
    let role = t.reference(r, "role", Kind::Role);
    Common {
        zone: zone.or_else(|| at_site?.zone.clone()).unwrap_or_else(|| around.domain.zone.clone()),
        area_code: t.item(r, "area_code").and_then(|item| item.area_code(r)),
        ring_for: ring_for(r, t, "ring_for").unwrap_or(around.domain.ring_for),
        call_paths: t.count(r, "call_paths", 1..=CALL_PATHS_MAX).unwrap_or(around.domain.call_paths),
        call_waiting: t.boolean(r, "call_waiting").unwrap_or(true),
        busy_when: t
            .choice(
                r,
                "busy_when",
                &[
                    ("all-paths", BusyWhen::AllPaths),
                    ("any-call", BusyWhen::AnyCall),
                    ("device-says-busy", BusyWhen::DeviceSaysBusy),
                ],
            )
            .unwrap_or(BusyWhen::AllPaths),
        caller_id: caller_ids(r, t),
        block_anonymous: t.flag(r, "block_anonymous"),
        block_unknown: t.flag(r, "block_unknown"),
        block_unverified: t.flag(r, "block_unverified"),
        ignore_caller_id: t.flag(r, "ignore_caller_id"),
        white_list_covers_all: t
            .choice(r, "white_list_covers", &[("all", true), ("internal", false)])
            .unwrap_or(true),
        vanity: t.flag(r, "vanity"),
        roles: role.map(|role| roles_of(around.roles, role.value)).unwrap_or_default(),
        department: t.words(r, "department"),
        tags: t.item(r, "tags").map(|item| tags(r, item)).unwrap_or_default(),
        directory: listing(r, t),
        moh: t.reference(r, "moh", Kind::Moh).map(|moh| moh.value),
        record: t.choice(r, "record", &RECORDS).unwrap_or(Record::Never),
        screen_pop: screen_pop(r, t).map(Box::new),
        voicemail: {
            let own = t.own(r, "voicemail");
            around.mailboxes.of_user(r, own.filter(|_| owner.is_some()), owner.unwrap_or_default())
        },
        site,
    }
}

const RECORDS: [(&str, Record); 4] = [
    ("always", Record::Always),
    ("never", Record::Never),
    ("inbound", Record::Inbound),
    ("outbound", Record::Outbound),
];

fn tags<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Vec<Name> {
    item.list(r).into_iter().filter_map(|item| item.words(r)).collect()
}

/// `directory = { announce, list }`: both, unless it says otherwise.
fn listing<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Listing {
    let mut listing = Listing { announce: true, list: true };
    let Some(mut t) = t.table(r, "directory", "directory of a user") else { return listing };
    listing.announce = t.boolean(r, "announce").unwrap_or(true);
    listing.list = t.boolean(r, "list").unwrap_or(true);
    t.finish(r);
    listing
}

/// A time to ring: at least a second.
pub(super) fn ring_for<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str) -> Option<Duration> {
    let item = t.item(r, key)?;
    let duration = item.duration(r)?;
    if (Duration::from_secs(1)..=RING_FOR_MAX).contains(&duration) {
        return Some(duration);
    }
    let message = format!("`{key}` must be from 1s to {}m", RING_FOR_MAX.as_secs() / 60);
    r.report(Diagnostic::error("out-of-range", item.span, message));
    None
}

/// `caller_id = { internal, external }`, key by key through the layers.
fn caller_ids<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> (CallerId, CallerId) {
    let (mut internal, mut external) = (CallerId::default(), CallerId::default());
    for item in t.layers(r, "caller_id") {
        let Some(mut layer) = item.table(r, "caller_id of a user") else { continue };
        if let Some(mut inner) = layer.table(r, "internal", "caller_id") {
            internal.name = internal.name.or_else(|| inner.words(r, "name"));
            // Towards colleagues it is an extension as often as a number.
            internal.number = internal.number.or_else(|| inner.words(r, "number"));
            inner.words(r, "name");
            inner.words(r, "number");
            inner.finish(r);
        }
        if let Some(outer) = layer.caller_id(r, "external") {
            external =
                CallerId { name: external.name.or(outer.name), number: external.number.or(outer.number) };
        }
        layer.finish(r);
    }
    (internal, external)
}

fn user<'t>(r: &mut Reader<'t>, around: &Surroundings<'_, 't>, name: &'t str, object: Object<'t>) -> User {
    let defaults = around.objects.default_user.map(|object| (object.span.file, object.table));
    let mut t = Table::new(object.span, "user", object.table).or_else(defaults);
    let mut extensions: Vec<Name> =
        required(r, &mut t, "ext").and_then(|item| item.text(r)).map(Name::from).into_iter().collect();
    extensions.extend(t.texts(r, "exts").into_iter().map(|(text, _)| Name::from(text)));
    let (display, person) = person(r, &mut t);
    let display = display.unwrap_or_else(|| name.into());
    let email = emails(r, &mut t, "email").unwrap_or_default();
    let sms_number = t.item(r, "sms_number").and_then(|item| item.e164(r));
    let hotdesk = hotdesk(r, &mut t, extensions.first()).map(Box::new);
    let common = common(r, around, &mut t, Some(name));
    let at_site = common.site.as_ref().and_then(|site| around.sites.get(site));
    let rules = answering::rules(r, &mut t, name, common.ring_for, around.forward_excludes_follow);
    let (internal, external) = common.caller_id;
    let outward = [at_site.and_then(|site| site.caller_id.clone()), around.domain.caller_id.clone()];
    let restrict = restrict(r, &mut t, at_site.map(|site| &site.restrict));
    let budget = budgets(r, &mut t, at_site.map(|site| &site.budget), (&restrict, common.vanity));
    let user = User {
        span: object.span,
        caller_id_internal: CallerId {
            name: internal.name.or_else(|| Some(display.clone())),
            number: internal.number.or_else(|| extensions.first().cloned()),
        },
        caller_id_external: outward.into_iter().flatten().fold(external, |own, wider| CallerId {
            name: own.name.or(wider.name),
            number: own.number.or(wider.number),
        }),
        extensions,
        display,
        name: person,
        email,
        sms_number,
        hotdesk,
        department: common.department,
        tags: common.tags,
        directory: common.directory,
        moh: common.moh,
        record: common.record,
        screen_pop: common.screen_pop,
        voicemail: common.voicemail,
        ignore_caller_id: common.ignore_caller_id,
        block_unverified: common.block_unverified,
        zone: common.zone,
        area_code: common.area_code,
        ring_for: common.ring_for,
        call_paths: common.call_paths,
        call_waiting: common.call_waiting,
        busy_when: common.busy_when,
        allow: entries(r, &mut t, "allow"),
        block: entries(r, &mut t, "block"),
        block_anonymous: common.block_anonymous,
        block_unknown: common.block_unknown,
        white_list: white_list(r, &mut t, around.lists),
        white_list_covers_all: common.white_list_covers_all,
        vanity: common.vanity,
        restrict,
        budget: budget
            .into_iter()
            .filter_map(|(class, allotted)| Some((class, allotted.budget()?)))
            .collect(),
        emergency: emergency_keys(r, &mut t),
        mailbox: !r.names.mailboxes_off.contains_key(name),
        rules: if rules.is_empty() { vec![Rule::implied(object.span, common.ring_for)] } else { rules },
        site: common.site,
        roles: common.roles,
    };
    t.finish(r);
    user
}

/// `name = { first, last }`, or one text: what displays show, and its parts where they are given apart.
fn person<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> (Option<Name>, PersonName) {
    let Some(item) = t.item(r, "name") else { return Default::default() };
    if item.is_text() {
        return (item.words(r), PersonName::default());
    }
    let Some(mut name) = item.table(r, "name") else { return Default::default() };
    let person = PersonName { first: name.words(r, "first"), last: name.words(r, "last") };
    name.finish(r);
    let display =
        [&person.first, &person.last].into_iter().flatten().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
    ((!display.is_empty()).then(|| display.into()), person)
}

/// `hotdesk = { id, pin, keep_elsewhere, log_out_at }`; without an `id`, the extension.
fn hotdesk<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, extension: Option<&Name>) -> Option<Hotdesk> {
    let mut t = t.table(r, "hotdesk", "hotdesk")?;
    let id = t.item(r, "id").and_then(|item| {
        let text = item.text(r)?;
        if (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Name::from(text));
        }
        r.error("bad-number", item.span, format!("`{text}` can't be keyed in"), "write 1 to 16 digits");
        None
    });
    let hotdesk = Hotdesk {
        id: id.or_else(|| extension.cloned()).unwrap_or_default(),
        pin: t.item(r, "pin").and_then(|item| item.pin(r)),
        keep_elsewhere: t.boolean(r, "keep_elsewhere").unwrap_or(false),
        log_out_at: t.item(r, "log_out_at").and_then(|item| item.clock(r)),
    };
    t.finish(r);
    Some(hotdesk)
}

/// Every extension of the domain before anything refers to one: its shape, and whose it is.
pub(super) fn extensions<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) {
    const KINDS: [Kind; 6] =
        [Kind::User, Kind::Hunt, Kind::Queue, Kind::Attendant, Kind::Conference, Kind::Directory];
    for kind in KINDS {
        for (name, object) in objects.of(kind) {
            for key in ["ext", "exts"] {
                let Some(value) = object.table.get(key) else { continue };
                for item in Item::new(object.span.file, "ext", value).one_or_several() {
                    // What is no text is reported where the table is read.
                    if let Some(text) = item.value.as_str() {
                        extension(r, text, item.span, &format!("{}.{name}", kind.word()));
                    }
                }
            }
        }
    }
}

fn extension(r: &mut Reader<'_>, text: &str, span: Span, owner: &str) {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '*' | '#' | '-');
    if !(1..=32).contains(&text.len()) || !text.chars().all(good) || is_e164(text) {
        let help = "an extension is 1 to 32 of A-Z, a-z, 0-9, `.`, `_`, `*`, `#` and `-`";
        r.error("bad-extension", span, format!("`{text}` can't be an extension"), help);
        return;
    }
    if let Some((first, place)) = r.names.extensions.get(text) {
        let message = format!("the extension `{text}` is taken by `{first}`, at {}", r.files.place(*place));
        let finding = Diagnostic::error("extension-twice", span, message).related(*place, "first given here");
        r.report(finding.help("extensions of users, groups and services are one namespace: choose another"));
        return;
    }
    r.learn().extensions.insert(text.into(), (owner.into(), span));
}
