//! `[domain]`, `[policy]`, sites, and what their people may call.

use super::super::diagnostic::Span;
use super::super::model::{
    At, Decline, DomainTable, Name, Permission, Policy, Refuse, Site, UnknownSource, WhenFull,
};
use super::budgets::budgets;
use super::emergency::emergency_keys;
use super::mailbox::when_full;
use super::names::{Kind, Objects};
use super::reader::{Item, Reader, Table};
use crate::number::Locale;
use std::collections::BTreeMap;
use std::time::Duration;

const RING_FOR: Duration = Duration::from_secs(25);
const CALL_PATHS: u32 = 2;
const CALL_PATHS_MAX: u32 = 1000;
const MAX_HOPS: u32 = 8;
/// A budget that nobody needs: each hop is a decision.
const MAX_HOPS_MAX: u32 = 50;

/// `[domain]`; without one that can be used, nothing else can be read in its light.
pub(super) fn domain<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> Option<DomainTable> {
    let Some(object) = objects.single.get("domain") else {
        r.error(
            "missing-table",
            Span::default(),
            "there is no `[domain]`",
            "write one in domain.toml: name, timezone and country",
        );
        return None;
    };
    let mut t = Table::new(object.span, "domain", object.table);
    let name = required(r, &mut t, "name").and_then(|item| domain_name(r, item));
    let zone = required(r, &mut t, "timezone").and_then(|item| item.zone(r));
    required(r, &mut t, "country");
    let (country, area_code) = t.locale(r);
    if let Some(country) = country {
        r.locale = Locale { country: country.code.into(), area_code: area_code.clone() };
    }
    let outside_line = t.item(r, "outside_line").and_then(|item| outside_line(r, item));
    let table = DomainTable {
        span: object.span,
        name: name.unwrap_or_default(),
        zone: zone.as_ref().map(|zone| zone.name().clone()).unwrap_or_default(),
        country: r.locale.country.clone(),
        area_code,
        outside_line,
        caller_id: t.caller_id(r, "caller_id"),
        ring_for: t.duration(r, "ring_for").unwrap_or(RING_FOR),
        call_paths: t.count(r, "call_paths", 1..=CALL_PATHS_MAX).unwrap_or(CALL_PATHS),
        max_hops: t.count(r, "max_hops", 1..=MAX_HOPS_MAX).unwrap_or(MAX_HOPS),
        operator: t.destination(r, "operator"),
    };
    t.finish(r);
    Some(table)
}

/// The value of a key that must be there.
pub(super) fn required<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str) -> Option<Item<'t>> {
    let item = t.item(r, key);
    if item.is_none() {
        let message = format!("`{}` lacks `{key}`", t.what);
        r.error("missing-key", t.span, message, format!("add `{key} = ...`"));
    }
    item
}

fn domain_name<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if (1..=253).contains(&text.len()) && text.chars().all(good) {
        return Some(text.to_ascii_lowercase().into());
    }
    r.error(
        "bad-name",
        item.span,
        format!("`{text}` is no host name"),
        "write what phones register at: `pbx.example.com`",
    );
    None
}

fn outside_line<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    if (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.into());
    }
    r.error(
        "bad-outside-line",
        item.span,
        format!("`{text}` can't be dialled for an outside line"),
        "write a digit: `\"9\"`",
    );
    None
}

/// `[policy]`, or its defaults.
pub(super) fn policy<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> Policy {
    let object = objects.single.get("policy");
    let at = |status| At { value: Refuse::Status(status), span: Span::default() };
    let mut policy = Policy {
        reject_blocked: at(607),
        reject_anonymous: at(433),
        reject_unknown: at(403),
        device_decline: Decline::Stop,
        allow_beats_block: true,
        forward_excludes_follow: false,
        unknown_source: UnknownSource::Challenge,
        voicemail_full: WhenFull::Rotate,
    };
    let Some(object) = object else { return policy };
    let mut t = Table::new(object.span, "policy", object.table);
    for (key, slot) in [
        ("reject_blocked", &mut policy.reject_blocked),
        ("reject_anonymous", &mut policy.reject_anonymous),
        ("reject_unknown", &mut policy.reject_unknown),
    ] {
        if let Some(refuse) = t.item(r, key).and_then(|item| refuse(r, item)) {
            *slot = refuse;
        }
    }
    let declines = [("stop", Decline::Stop), ("continue", Decline::Continue)];
    policy.device_decline = t.choice(r, "device_decline", &declines).unwrap_or(policy.device_decline);
    policy.allow_beats_block = t.boolean(r, "allow_beats_block").unwrap_or(true);
    policy.forward_excludes_follow = t.boolean(r, "forward_excludes_follow").unwrap_or(false);
    let sources = [("challenge", UnknownSource::Challenge), ("silent", UnknownSource::Silent)];
    policy.unknown_source = t.choice(r, "unknown_source", &sources).unwrap_or(policy.unknown_source);
    t.choice(r, "forward_charges", &[("forwarder", ())]);
    policy.voicemail_full = when_full(r, &mut t).unwrap_or(policy.voicemail_full);
    t.finish(r);
    policy
}

/// `"607"`, `"announce:closed"`, `"tone:reorder"`.
fn refuse<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<At<Refuse>> {
    const STATUSES: [u16; 7] = [403, 404, 433, 480, 486, 603, 607];
    let text = item.text(r)?;
    let value = match text.split_once(':') {
        Some(("announce", name)) => Refuse::Announce(r.reference(Kind::Announce, name, item.span)?),
        Some(("tone", name)) if crate::voice::tone::Kind::named(name).is_some() => Refuse::Tone(name.into()),
        _ => match text.parse::<u16>() {
            Ok(status) if STATUSES.contains(&status) => Refuse::Status(status),
            _ => {
                let message = format!("`{text}` can't be what a refused caller gets");
                let help = "it can be 403, 404, 433, 480, 486, 603, 607, `announce:NAME` or a tone: `tone:ringback`, `tone:busy`, `tone:reorder`, `tone:sit`, `tone:beep`";
                r.error("unknown-value", item.span, message, help);
                return None;
            }
        },
    };
    Some(At { value, span: item.span })
}

pub(super) fn sites<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, Site> {
    let mut sites = BTreeMap::new();
    for (name, object) in objects.of(Kind::Site) {
        let mut t = Table::new(object.span, "site", object.table);
        let zone = t.item(r, "timezone").and_then(|item| item.zone(r));
        let (country, area_code) = t.locale(r);
        let site = Site {
            span: object.span,
            zone: zone.map(|zone| zone.name().clone()),
            country: country.map(|country| country.code.into()),
            area_code,
            emergency: emergency_keys(r, &mut t),
            caller_id: t.caller_id(r, "caller_id"),
            budget: BTreeMap::new(),
            restrict: restrict(r, &mut t, None),
        };
        let budget = budgets(r, &mut t, None, (&site.restrict, None));
        let site = Site { budget, ..site };
        t.finish(r);
        sites.insert(name.into(), site);
    }
    sites
}

/// `restrict = { premium = "deny" }` through the layers: defaults, then the site, then the table's own word.
pub(super) fn restrict<'t>(
    r: &mut Reader<'t>,
    t: &mut Table<'t>,
    site: Option<&BTreeMap<Name, Permission>>,
) -> BTreeMap<Name, Permission> {
    let mut merged = BTreeMap::new();
    let own = t.own(r, "restrict");
    for item in t.inherited("restrict").rev() {
        overlay(&mut merged, restrict_of(r, item));
    }
    overlay(&mut merged, site.cloned().unwrap_or_default());
    if let Some(item) = own {
        overlay(&mut merged, restrict_of(r, item));
    }
    merged
}

/// "inherit" leaves what a lower layer said.
fn overlay(merged: &mut BTreeMap<Name, Permission>, upper: BTreeMap<Name, Permission>) {
    for (class, permission) in upper {
        if permission != Permission::Inherit || !merged.contains_key(&class) {
            merged.insert(class, permission);
        }
    }
}

fn restrict_of<'t>(r: &mut Reader<'t>, item: Item<'t>) -> BTreeMap<Name, Permission> {
    let words = [("deny", Permission::Deny), ("allow", Permission::Allow), ("inherit", Permission::Inherit)];
    let mut permissions = BTreeMap::new();
    let Some(table) = item.table(r, "restrict") else { return permissions };
    for (class, place, value) in table.entries() {
        let permission = value.choice(r, &words);
        if class == "emergency" {
            let help = "leave it out: emergency calls are always allowed";
            r.error("emergency-restricted", place, "emergency calls can't be restricted", help);
            continue;
        }
        let name = match class {
            "internal" => Some(Name::from(class)),
            _ => r.reference(Kind::Class, class, place),
        };
        permissions.extend(name.zip(permission));
    }
    permissions
}
