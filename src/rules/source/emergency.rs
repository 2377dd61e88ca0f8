//! Who is called back after an emergency call, where the help is sent, and who else is told.

use super::super::diagnostic::Diagnostic;
use super::super::model::{At, CallerId, EmergencyKeys, Location, Name, Notice};
use super::domain::required;
use super::mailbox::is_email;
use super::names::{Kind, Object, Objects};
use super::reader::{Reader, Table};
use super::value::{caller_id, destination};
use std::collections::BTreeMap;

/// `[emergency]`: the domain's defaults, and who is told.
pub(super) fn emergency<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> (EmergencyKeys, Vec<At<Notice>>) {
    let Some(object) = objects.single.get("emergency") else { return Default::default() };
    let mut t = Table::new(object.span, "emergency", object.table);
    let keys = EmergencyKeys {
        callback: t.reference(r, "callback", Kind::Callback),
        location: t.reference(r, "location", Kind::Location),
    };
    let mut notify = Vec::new();
    for (text, span) in t.texts(r, "notify") {
        let notice = match text.strip_prefix("mailto:") {
            Some(address) if is_email(address) => Some(Notice::Mail(address.into())),
            Some(address) => {
                let message = format!("`{address}` is no mail address");
                r.error("bad-email", span, message, "write `mailto:name@example.com`");
                None
            }
            None => destination(r, text, span, None).map(Notice::Call),
        };
        notify.extend(notice.map(|value| At { value, span }));
    }
    t.finish(r);
    (keys, notify)
}

/// `emergency = { callback, location }`, key by key through the layers of a table.
pub(super) fn emergency_keys<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> EmergencyKeys {
    let mut keys = EmergencyKeys::default();
    for item in t.layers(r, "emergency") {
        let Some(mut inner) = item.table(r, "emergency of one place") else { continue };
        let layer = EmergencyKeys {
            callback: inner.reference(r, "callback", Kind::Callback),
            location: inner.reference(r, "location", Kind::Location),
        };
        inner.finish(r);
        keys = EmergencyKeys {
            callback: keys.callback.or(layer.callback),
            location: keys.location.or(layer.location),
        };
    }
    keys
}

pub(super) fn callbacks<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, At<CallerId>> {
    let mut callbacks = BTreeMap::new();
    for (name, object) in objects.of(Kind::Callback) {
        let mut t = Table::new(object.span, "callback", object.table);
        required(r, &mut t, "number");
        let value = caller_id(r, t);
        callbacks.insert(name.into(), At { value, span: object.span });
    }
    callbacks
}

/// The elements of a civic address in the order of the schema (RFC 5139 §4), each with the plain words that may stand for it.
const ELEMENTS: [(&str, &[&str]); 31] = [
    ("country", &[]),
    ("A1", &["state"]),
    ("A2", &[]),
    ("A3", &["city"]),
    ("A4", &[]),
    ("A5", &[]),
    ("A6", &[]),
    ("PRM", &[]),
    ("PRD", &[]),
    ("RD", &["street"]),
    ("STS", &[]),
    ("POD", &[]),
    ("POM", &[]),
    ("RDSEC", &[]),
    ("RDBR", &[]),
    ("RDSUBBR", &[]),
    ("HNO", &["house"]),
    ("HNS", &["house_suffix"]),
    ("LMK", &["landmark"]),
    ("LOC", &[]),
    ("FLR", &["floor"]),
    ("NAM", &["name"]),
    ("PC", &["postal"]),
    ("BLD", &["building"]),
    ("UNIT", &["unit"]),
    ("ROOM", &["room"]),
    ("PLC", &["place"]),
    ("PCN", &[]),
    ("POBOX", &[]),
    ("ADDCODE", &[]),
    ("SEAT", &["seat"]),
];

pub(super) fn locations<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, Location> {
    let mut locations = BTreeMap::new();
    for (name, object) in objects.of(Kind::Location) {
        let location = location(r, object);
        locations.insert(name.into(), location);
    }
    locations
}

fn location<'t>(r: &mut Reader<'t>, object: Object<'t>) -> Location {
    let mut t = Table::new(object.span, "location", object.table);
    if let Some(item) = required(r, &mut t, "country")
        && let Some(text) = item.text(r)
        && !(text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()))
    {
        let help = "write its code of ISO 3166-1: `US`, `GB`, `DE`";
        r.error("unknown-country", item.span, format!("`{text}` is no country"), help);
    }
    let mut elements = Vec::new();
    for (element, words) in ELEMENTS {
        let mut first = None;
        for key in [&[element], words].concat() {
            let Some(item) = t.item(r, key) else { continue };
            if let Some(first) = first.replace(item.span) {
                let message = format!("`{key}` and `{element}` are one element of an address");
                let finding = Diagnostic::error("defined-twice", item.span, message);
                r.report(finding.related(first, "first given here").help("take one of them out"));
            }
            elements.extend(item.words(r).map(|text| (element, text)));
        }
    }
    if elements.len() < 2 {
        let help = "give what a driver needs: `A1` (state), `A3` (city), `street`, `house`, `floor`";
        let finding = Diagnostic::warning("empty", object.span, "this address names a country alone");
        r.report(finding.help(help));
    }
    t.finish(r);
    Location { span: object.span, elements }
}
