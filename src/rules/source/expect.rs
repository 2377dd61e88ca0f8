//! `[[expect]]`: golden tests, and the live state that they are given.

use super::super::diagnostic::Span;
use super::super::model::{At, Destination, Expect, Given, Name};
use super::domain::required;
use super::names::{Kind, Objects};
use super::reader::{Item, Reader, Table};
use super::value::{destination, e164};
use jiff::Timestamp;
use jiff::civil::DateTime;
use std::collections::BTreeMap;
use toml::de::DeValue;

pub(super) fn expects<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> Vec<Expect> {
    let mut expects = Vec::new();
    // A golden test of what is not carried out yet is no second reason to say so.
    r.quiet = true;
    for item in &objects.expects {
        let table = item.table(r, "expect");
        expects.extend(table.and_then(|table| expect(r, table)));
    }
    r.quiet = false;
    expects
}

fn expect<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Option<Expect> {
    let span = t.span;
    let name = required(r, &mut t, "name").and_then(|item| item.text(r)).map(Name::from);
    let at = t.own(r, "at").and_then(|item| moment(r, item));
    let given = t.table(r, "given", "given").map(|table| given_of(r, table)).unwrap_or_default();
    let call = required(r, &mut t, "call").and_then(|item| item.table(r, "call"));
    let mut expected = |r: &mut Reader<'t>, key| -> Vec<At<Name>> {
        t.texts(r, key).into_iter().map(|(text, span)| At { value: text.into(), span }).collect()
    };
    let (then, then_not) = (expected(r, "then"), expected(r, "then_not"));
    t.finish(r);
    if then.is_empty() && then_not.is_empty() {
        r.error("empty", span, "this test expects nothing", "list tags in `then` or `then_not`");
    }
    let mut call = call?;
    let to = required(r, &mut call, "to").and_then(|item| item.text(r)).map(Name::from);
    let from = call.name(r, "from");
    let from_name = call.name(r, "from_name");
    let from_device = call.reference(r, "from_device", Kind::Device).map(|device| device.value);
    let via_item = call.own(r, "via");
    let via = via_item.and_then(|item| item.text(r)).map(Name::from);
    if let (Some(item), Some(via)) = (via_item, &via) {
        destination(r, via, item.span, None);
    }
    call.finish(r);
    Some(Expect { span, name: name?, at, given, from, from_name, from_device, to: to?, via, then, then_not })
}

/// RFC 3339 with an offset, or civil time in the domain's zone.
fn moment<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<At<String>> {
    let text = match item.value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        _ => String::new(),
    };
    if text.parse::<Timestamp>().is_ok() || text.parse::<DateTime>().is_ok() {
        return Some(At { value: text, span: item.span });
    }
    let help = "write `\"2026-12-25T10:00\"` (in the domain's zone) or `\"2026-12-25T10:00-05:00\"`";
    r.error("bad-date", item.span, "`at` is no moment", help);
    None
}

fn given_of<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Given {
    let given = Given {
        offline: names(r, &mut t, "offline", Kind::Device),
        busy: legs(r, &mut t, "busy"),
        no_answer: legs(r, &mut t, "no_answer"),
        declined: legs(r, &mut t, "declined"),
        unconfirmed: legs(r, &mut t, "unconfirmed"),
        active_calls: map(r, &mut t, "active_calls", Kind::User, |r, item| item.count(r, 0..=1_000_000)),
        dnd: names(r, &mut t, "dnd", Kind::User),
        forward: map(r, &mut t, "forward", Kind::User, |r, item| {
            item.destination(r, None).map(|to: At<Destination>| to.value)
        }),
        rule: map(r, &mut t, "rule", Kind::User, |r, item| item.text(r).map(Name::from)),
        time_frame: map(r, &mut t, "time_frame", Kind::TimeFrame, |r, item| {
            item.choice(r, &[("on", true), ("off", false)])
        }),
        hotdesk: map(r, &mut t, "hotdesk", Kind::Device, |r, item| {
            let text = item.text(r)?;
            r.reference(Kind::User, text, item.span)
        }),
        agents: map(r, &mut t, "agents", Kind::Queue, |r, item| {
            let names = item.list(r).into_iter().filter_map(|item| {
                let text = item.text(r)?;
                r.reference(Kind::User, text.strip_prefix("user:").unwrap_or(text), item.span)
            });
            Some(names.collect())
        }),
        screen_refused: t.choice(r, "screen", &[("refused", true), ("accepted", false)]).unwrap_or(false),
        trunk_down: names(r, &mut t, "trunk_down", Kind::Trunk),
        psap_callback: t.boolean(r, "psap_callback").unwrap_or(false),
        verified: t.name(r, "verified"),
    };
    t.finish(r);
    given
}

fn names<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str, kind: Kind) -> Vec<Name> {
    t.texts(r, key).into_iter().filter_map(|(text, place)| r.reference(kind, text, place)).collect()
}

/// Devices, or outside legs as `tel:+E164`.
fn legs<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str) -> Vec<Name> {
    let texts = t.texts(r, key);
    let mut leg = |(text, place): (&'t str, Span)| match text.strip_prefix("tel:") {
        Some(number) => e164(r, number, place).map(|_| Name::from(text)),
        None => r.reference(Kind::Device, text, place),
    };
    texts.into_iter().filter_map(&mut leg).collect()
}

/// A table by the names of objects.
fn map<'t, T>(
    r: &mut Reader<'t>,
    t: &mut Table<'t>,
    key: &'static str,
    kind: Kind,
    mut value: impl FnMut(&mut Reader<'t>, Item<'t>) -> Option<T>,
) -> BTreeMap<Name, T> {
    let Some(table) = t.own(r, key).and_then(|item| item.table(r, key)) else { return BTreeMap::new() };
    let mut map = BTreeMap::new();
    for (name, place, item) in table.entries() {
        let name = r.reference(kind, name, place);
        let value = value(r, item);
        map.extend(name.zip(value));
    }
    map
}
