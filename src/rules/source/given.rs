//! Live state set by hand: `given` of a golden test, and what stands in its place on the command line and in a request.

use super::super::diagnostic::{Files, Span};
use super::super::model::{At, Destination, Given, Name, Spent};
use super::names::Kind;
use super::reader::{Item, Reader, Table, span};
use super::value::e164;
use std::collections::BTreeMap;
use toml::de::DeTable;

/// Reads `given` from a text of its own, outside any rules: names are not looked up, as the domain is asked about them
/// before anything is decided.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub(in crate::rules) fn given(text: &str) -> Result<Given, String> {
    let files = Files([("given".into(), text.into())].into());
    let (document, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        return Err(error.message().to_owned());
    }
    let mut r = Reader::new(&files, vec![text]);
    r.quiet = true;
    r.any_name = true;
    let table = Table::new(span(0, 0..text.len()), "given", document.get_ref());
    let given = given_of(&mut r, table);
    match r.diagnostics.first() {
        Some(finding) => Err(match &finding.help {
            Some(help) => format!("{}; {help}", finding.message),
            None => finding.message.clone(),
        }),
        None => Ok(given),
    }
}

pub(super) fn given_of<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Given {
    let given = Given {
        offline: names(r, &mut t, "offline", Kind::Device),
        busy: legs(r, &mut t, "busy"),
        no_answer: legs(r, &mut t, "no_answer"),
        declined: legs(r, &mut t, "declined"),
        unconfirmed: legs(r, &mut t, "unconfirmed"),
        active_calls: map(r, &mut t, "active_calls", Kind::User, |r, item| item.count(r, 0..=1_000_000)),
        spent: map(r, &mut t, "spent", Kind::User, spent),
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
        verified: t.choice(r, "verified", &[("passed", "passed"), ("failed", "failed")]).map(Name::from),
    };
    t.finish(r);
    given
}

/// `{ international = { calls_at_once = 1, time_per_day = "55m" } }`: what is not named is unused.
fn spent<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<BTreeMap<Name, Spent>> {
    let classes = item.table(r, "spent")?;
    let mut all = BTreeMap::new();
    for (class, place, value) in classes.entries() {
        let name = r.reference(Kind::Class, class, place);
        let Some(mut t) = value.table(r, "spent") else { continue };
        let spent = Spent {
            calls_at_once: t.count(r, "calls_at_once", 0..=1_000_000).unwrap_or(0),
            calls_per_hour: t.count(r, "calls_per_hour", 0..=1_000_000).unwrap_or(0),
            time_per_day: t.duration(r, "time_per_day").unwrap_or_default(),
        };
        t.finish(r);
        all.extend(name.map(|name| (name, spent)));
    }
    Some(all)
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
