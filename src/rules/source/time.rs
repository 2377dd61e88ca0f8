//! Calendars, time frames, and the `when` of rules.

use super::super::calendar::{
    DayRange, Days, Excepted, Frame, Ics, IcsError, Part, Recurring, RruleError, Spent, Yearly, Zone,
    compile_rrule, parse_hours, parse_weekly, parse_yearly,
};
use super::super::diagnostic::{Diagnostic, Files, Span};
use super::super::model::{At, Calendar, Condition, Name, When};
use super::domain::required;
use super::names::{Kind, Object, Objects};
use super::reader::{Item, Reader, Table, span};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::de::DeValue;

/// Frames may except frames that except frames, so deep.
const EXCEPT_DEPTH_MAX: usize = 4;

/// Calendars under `calendar:NAME`, and time frames under their own.
pub(super) fn time_frames<'t>(
    r: &mut Reader<'t>,
    objects: &Objects<'t>,
) -> (BTreeMap<Name, Calendar>, BTreeMap<Name, At<Frame>>) {
    let mut calendars = BTreeMap::new();
    let mut raw: BTreeMap<Name, Raw> = BTreeMap::new();
    for (name, object) in objects.of(Kind::Calendar) {
        let (parts, ics) = calendar(r, name, object);
        calendars.insert(name.into(), Calendar { span: object.span, ics });
        let frame = Raw { span: object.span, zone: None, forced: None, parts, except: Vec::new() };
        raw.insert(format!("calendar:{name}").into(), frame);
    }
    for (name, object) in objects.of(Kind::TimeFrame) {
        if name == "always" {
            r.error(
                "bad-name",
                object.span,
                "`always` is no name for a time frame",
                "`when = \"always\"` needs no frame",
            );
        }
        let frame = frame(r, object, &raw);
        raw.insert(name.into(), frame);
    }
    let mut frames = BTreeMap::new();
    for (name, one) in &raw {
        let mut path = vec![name.clone()];
        let value = assemble(r, &raw, one, &mut path);
        frames.insert(name.clone(), At { value, span: one.span });
    }
    (calendars, frames)
}

/// A frame whose exceptions are still names.
struct Raw {
    span: Span,
    zone: Option<Zone>,
    forced: Option<bool>,
    parts: Vec<Part>,
    except: Vec<Condition>,
}

/// The frame with its exceptions inside. `path` is how it was reached, to see loops.
fn assemble(r: &mut Reader<'_>, all: &BTreeMap<Name, Raw>, raw: &Raw, path: &mut Vec<Name>) -> Frame {
    let mut except = Vec::new();
    for condition in &raw.except {
        let Some(named) = all.get(&condition.frame) else { continue };
        if path.contains(&condition.frame) {
            let way: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
            let message =
                format!("this exception leads back to itself: {} -> {}", way.join(" -> "), condition.frame);
            r.report(Diagnostic::error("except-loop", condition.span, message).help("take it out"));
            continue;
        }
        if path.len() > EXCEPT_DEPTH_MAX {
            let message = format!("exceptions of exceptions go at most {EXCEPT_DEPTH_MAX} deep");
            r.report(Diagnostic::error("except-too-deep", condition.span, message));
            continue;
        }
        path.push(condition.frame.clone());
        let frame = assemble(r, all, named, path);
        path.pop();
        except.push(Excepted { name: condition.frame.clone(), negated: condition.negated, frame });
    }
    Frame { zone: raw.zone.clone(), forced: raw.forced, parts: raw.parts.clone(), except }
}

/// The days of a calendar, and the path and hash of its file.
fn calendar<'t>(r: &mut Reader<'t>, name: &str, object: Object<'t>) -> (Vec<Part>, Option<(Name, Name)>) {
    let calendar = name;
    let mut t = Table::new(object.span, "calendar", object.table);
    let mut days = Days { calendar: Some(name.into()), ..Days::default() };
    for mut entry in t.tables(r, "dates", "date") {
        let on = required(r, &mut entry, "on").and_then(|item| day_range(r, item));
        let name = entry.name(r, "name");
        entry.finish(r);
        days.ranges.extend(on.map(|(first, last)| DayRange { first, last, name }));
    }
    for mut entry in t.tables(r, "yearly", "yearly day") {
        let on = required(r, &mut entry, "on").and_then(|item| parsed(r, item, "bad-date", parse_yearly));
        let name = entry.name(r, "name");
        entry.finish(r);
        days.yearly.extend(on.map(|on| Yearly { on, name }));
    }
    let file = t.item(r, "ics");
    let ics = file.and_then(|item| ics(r, item, calendar));
    t.finish(r);
    if file.is_none() && days.ranges.is_empty() && days.yearly.is_empty() {
        r.report(Diagnostic::warning("empty", object.span, "this calendar has no day"));
    }
    let path = file.and_then(|item| item.value.as_str());
    let hashed = path.zip(ics.as_ref()).map(|(path, ics)| (path.into(), ics.sha256.clone()));
    // A calendar that is a file alone has no days of its own to speak of.
    let own =
        (ics.is_none() || !days.ranges.is_empty() || !days.yearly.is_empty()).then_some(Part::Days(days));
    (own.into_iter().chain(ics.map(Part::Ics)).collect(), hashed)
}

fn frame<'t>(r: &mut Reader<'t>, object: Object<'t>, calendars: &BTreeMap<Name, Raw>) -> Raw {
    let mut t = Table::new(object.span, "time_frame", object.table);
    let mut parts = Vec::new();
    if let Some(weekly) = t.item(r, "weekly") {
        for item in weekly.one_or_several() {
            parts.extend(parsed(r, item, "bad-hours", parse_weekly).map(Part::Weekly));
        }
    }
    if let Some(item) = t.item(r, "calendar") {
        for item in item.one_or_several() {
            let name = item.text(r).and_then(|text| r.reference(Kind::Calendar, text, item.span));
            let named = name.and_then(|name| calendars.get(format!("calendar:{name}").as_str()));
            parts.extend(named.into_iter().flat_map(|raw| raw.parts.clone()));
        }
    }
    if let Some(item) = t.item(r, "dates") {
        let ranges = item.one_or_several().into_iter().filter_map(|item| {
            let (first, last) = day_range(r, item)?;
            Some(DayRange { first, last, name: None })
        });
        let days = Days { calendar: None, ranges: ranges.collect(), yearly: Vec::new() };
        parts.push(Part::Days(days));
    }
    parts.extend(recurrence(r, &mut t));
    let except = t.item(r, "except").map(|item| conditions(r, item)).unwrap_or_default();
    let zone = t.item(r, "timezone").and_then(|item| item.zone(r));
    let overrides = [("auto", None), ("on", Some(true)), ("off", Some(false))];
    let chosen = t.choice(r, "override", &overrides);
    t.finish(r);
    // What could not be read has been told of.
    let named = ["weekly", "calendar", "dates", "rrule"].iter().any(|key| object.table.contains_key(*key));
    if !named && chosen.is_none() {
        let help = "give it `weekly`, `calendar`, `dates` or `rrule`, or `override = \"off\"` for one that is only switched by hand";
        r.error("empty", object.span, "this time frame has no times", help);
    }
    Raw { span: object.span, zone, forced: chosen.flatten(), parts, except }
}

/// `rrule` with its `hours` and `from`.
fn recurrence<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<Part> {
    let rrule = t.item(r, "rrule");
    let hours_item = t.item(r, "hours");
    let from_item = t.item(r, "from");
    if let (None, Some(stray)) = (rrule, hours_item.or(from_item)) {
        r.error(
            "missing-key",
            stray.span,
            format!("`{}` belongs to an `rrule`", stray.key),
            "add `rrule = \"FREQ=...\"`",
        );
    }
    let mut hours = Vec::new();
    let mut written = Vec::new();
    for item in hours_item.iter().flat_map(Item::one_or_several) {
        hours.extend(parsed(r, item, "bad-hours", parse_hours));
        written.extend(item.value.as_str());
    }
    let from = match from_item {
        Some(item) => {
            let (first, last) = day_range(r, item)?;
            if first != last {
                r.error("bad-date", item.span, "`from` is one day", format!("write `from = {first}`"));
            }
            Some(first)
        }
        None => None,
    };
    let item = rrule?;
    let days = match compile_rrule(item.text(r)?, from, &mut r.looks) {
        Ok(days) => days,
        Err(RruleError::Wrong(what)) => {
            r.report(finding("bad-rrule", item.span, &what));
            return None;
        }
        Err(RruleError::Spent) => {
            r.report(finding("too-many-days", item.span, &Spent.says()));
            return None;
        }
    };
    let text = match written.is_empty() {
        true => item.value.as_str().unwrap_or_default().to_owned(),
        false => format!("{} {}", item.value.as_str().unwrap_or_default(), written.join(", ")),
    };
    Some(Part::Recurring(Recurring { days: Arc::new(days), hours, text: text.into() }))
}

/// The days of the iCalendar file beside the rules that this names.
fn ics<'t>(r: &mut Reader<'t>, item: Item<'t>, calendar: &str) -> Option<Ics> {
    let path = item.text(r)?;
    let Some(text) = r.files.0.get(path) else {
        let message = format!("there is no file `{path}` beside the rules");
        let help = "paths are relative to the rules' directory, and end in `.ics`";
        r.error("missing-file", item.span, message, help);
        return None;
    };
    match Ics::read(calendar, text, &mut r.looks) {
        Ok((ics, warnings)) => {
            for warning in warnings {
                r.report(Diagnostic::warning("ics-left-out", item.span, warning));
            }
            if ics.is_empty() {
                let message = format!("`{path}` has no day that counts");
                r.report(Diagnostic::warning("empty", item.span, message));
            }
            Some(ics)
        }
        Err(IcsError::Wrong(what)) => {
            let (message, help) = what.split_once(": ").unwrap_or((&what, "look at the file"));
            r.error("bad-ics", item.span, format!("`{path}`: {message}"), help);
            None
        }
        Err(IcsError::Spent { event }) => {
            let found = finding(
                "too-many-days",
                event_span(r.files, path, event).unwrap_or(item.span),
                &Spent.says(),
            );
            r.report(found.related(item.span, "read for this calendar"));
            None
        }
    }
}

/// The line that an event of a file begins with.
fn event_span(files: &Files, path: &str, event: usize) -> Option<Span> {
    let file = files.0.keys().position(|name| **name == *path)?;
    let text = files.0.get(path)?;
    let (start, line) = text.match_indices("BEGIN:VEVENT").nth(event)?;
    Some(span(u32::try_from(file).ok()?, start..start + line.len()))
}

/// The text of an item, parsed; what is wrong with it as an error at its place.
fn parsed<'t, T>(
    r: &mut Reader<'t>,
    item: Item<'t>,
    code: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let text = item.text(r)?;
    match parse(text) {
        Ok(value) => Some(value),
        Err(what) => {
            r.report(finding(code, item.span, &what));
            None
        }
    }
}

/// An error of what is wrong, and behind the first colon what to write instead.
fn finding(code: &'static str, span: Span, what: &str) -> Diagnostic {
    let (message, help) = what.split_once(": ").unwrap_or((what, ""));
    let mut finding = Diagnostic::error(code, span, message);
    finding.help = (!help.is_empty()).then(|| help.to_owned());
    finding
}

/// A date, or `"2026-08-01..2026-08-15"`.
fn day_range<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<(Date, Date)> {
    let found = match item.value {
        DeValue::Datetime(datetime) => match (datetime.date, datetime.time) {
            (Some(date), None) => civil(date).map(|date| (date, date)),
            _ => None,
        },
        DeValue::String(text) => {
            let (first, last) = text.split_once("..").unwrap_or((text, text));
            first.trim().parse::<Date>().ok().zip(last.trim().parse::<Date>().ok())
        }
        _ => None,
    };
    match found {
        Some((first, last)) if first <= last => return found,
        Some((first, last)) => {
            r.error(
                "bad-date",
                item.span,
                "these dates run backwards",
                format!("write `\"{last}..{first}\"`"),
            );
        }
        None => {
            let help = "write a date without quotes (`2026-12-25`), or a range: `\"2026-08-01..2026-08-15\"`";
            r.error("bad-date", item.span, format!("`{}` must be a date", item.key), help);
        }
    }
    None
}

fn civil(date: toml::value::Date) -> Option<Date> {
    Date::new(i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?)
        .ok()
}

/// `"open"`, `"not open"`, `"calendar:us-holidays"`, or a list of such.
fn conditions<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Vec<Condition> {
    item.one_or_several().into_iter().filter_map(|item| condition(r, item)).collect()
}

fn condition<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Condition> {
    let text = item.text(r)?;
    let (negated, name) = match text.strip_prefix("not ") {
        Some(name) => (true, name.trim()),
        None => (false, text),
    };
    let frame = match name.strip_prefix("calendar:") {
        Some(calendar) => format!("calendar:{}", r.reference(Kind::Calendar, calendar, item.span)?).into(),
        None if name == "always" => {
            let help = "write `when = \"always\"` and nothing beside it";
            r.error("always-not-alone", item.span, "`always` stands alone", help);
            return None;
        }
        None => r.reference(Kind::TimeFrame, name, item.span)?,
    };
    Some(Condition { frame, negated, span: item.span })
}

/// The `when` of a rule.
pub(super) fn when<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<When> {
    let item = required(r, t, "when")?;
    if matches!(item.value, DeValue::String(text) if text == "always") {
        return Some(When::Always);
    }
    let conditions = conditions(r, item);
    if conditions.is_empty() {
        if matches!(item.value, DeValue::Array(array) if array.is_empty()) {
            r.error(
                "empty",
                item.span,
                "`when` names no time frame",
                "write `when = \"always\"`, or a time frame",
            );
        }
        return None;
    }
    Some(When::AnyOf(conditions))
}
