//! `[device.X]`: what registers, and whose it is.

use super::super::diagnostic::Diagnostic;
use super::super::model::{Auth, Device, DeviceKind, DeviceRecord, Name, Push, Srtp};
use super::domain::{required, restrict};
use super::names::{Kind, Objects};
use super::outbound::accept_from;
use super::reader::{Item, Reader, Table};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Whose devices are whose, before any rule says `self`.
pub(super) fn owners<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) {
    for (name, object) in objects.of(Kind::Device) {
        let Some(user) = object.table.get("user").and_then(|value| value.get_ref().as_str()) else {
            continue;
        };
        let primary =
            object.table.get("primary").and_then(|value| value.get_ref().as_bool()).unwrap_or(false);
        if let Some(owner) = r.names.find(Kind::User, user).cloned() {
            r.learn().devices.entry(owner).or_default().push((name.into(), primary));
        }
    }
}

pub(super) fn devices<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, Device> {
    let mut devices: BTreeMap<Name, Device> = BTreeMap::new();
    let mut primaries: HashMap<Name, (Name, super::super::Span)> = HashMap::new();
    let mut auth_users: HashMap<Name, super::super::Span> = HashMap::new();
    for (name, object) in objects.of(Kind::Device) {
        let device = device(r, Table::new(object.span, "device", object.table));
        if let Some(auth) = &device.auth {
            if let Some(first) = auth_users.insert(auth.user.clone(), object.span) {
                let message =
                    format!("the log-in `{}` is used twice; first at {}", auth.user, r.files.place(first));
                let finding = Diagnostic::error("auth-user-twice", object.span, message);
                r.report(
                    finding.related(first, "first used here").help("each device has its own `auth.user`"),
                );
            }
        } else if device.accept_from.is_empty() {
            let message = format!("the device `{name}` can't log in");
            let help = "give it `auth = { user, secret }`, or `accept_from` where it has a fixed address";
            r.report(Diagnostic::warning("no-auth", object.span, message).help(help));
        }
        if let Some(user) = device.user.as_ref().filter(|_| device.primary)
            && let Some((other, first)) = primaries.insert(user.clone(), (name.into(), object.span))
        {
            let message = format!("`{user}` has two primary devices: `{other}` and `{name}`");
            let finding = Diagnostic::error("two-primaries", object.span, message);
            r.report(finding.related(first, "the other one").help("leave `primary` on one of them"));
        }
        devices.insert(name.into(), device);
    }
    devices
}

fn device<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Device {
    let device = Device {
        span: t.span,
        user: t.reference(r, "user", Kind::User).map(|user| user.value),
        primary: t.boolean(r, "primary").unwrap_or(false),
        auth: t.item(r, "auth").and_then(|item| auth(r, item)),
        accept_from: accept_from(r, &mut t),
        site: t.reference(r, "site", Kind::Site).map(|site| site.value),
        hotdesk: t.boolean(r, "hotdesk").unwrap_or(false),
        kind: t.choice(r, "kind", &KINDS).unwrap_or(DeviceKind::Phone),
        push: push(r, &mut t),
        record: t.choice(r, "record", &RECORDS).unwrap_or(DeviceRecord::Inherit),
        srtp: srtp(r, &mut t),
        model: t.words(r, "model"),
        mac: t.item(r, "mac").and_then(|item| mac(r, item)),
        alert_internal: None,
        alert_external: None,
        restrict: restrict(r, &mut t, None),
        location: t.reference(r, "location", Kind::Location),
    };
    let (alert_internal, alert_external) = alerts(r, &mut t);
    t.finish(r);
    Device { alert_internal, alert_external, ..device }
}

/// How long a leg waits for an app to wake up, where nothing else is said.
const PUSH_WAIT: Duration = Duration::from_secs(6);

const KINDS: [(&str, DeviceKind); 3] =
    [("phone", DeviceKind::Phone), ("mobile-app", DeviceKind::MobileApp), ("gateway", DeviceKind::Gateway)];

const RECORDS: [(&str, DeviceRecord); 3] =
    [("always", DeviceRecord::Always), ("never", DeviceRecord::Never), ("inherit", DeviceRecord::Inherit)];

fn push<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<Push> {
    let mut t = t.table(r, "push", "push")?;
    let provider = required(r, &mut t, "provider").and_then(|item| item.words(r));
    let wait = t.duration(r, "wait").unwrap_or(PUSH_WAIT);
    t.finish(r);
    Some(Push { provider: provider?, wait })
}

/// Of a device or a trunk.
pub(super) fn srtp<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<Srtp> {
    let words = [("off", Srtp::Off), ("optional", Srtp::Optional), ("required", Srtp::Required)];
    t.choice(r, "srtp", &words)
}

/// `{ user, secret }` of a device or a trunk.
pub(super) fn auth<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Auth> {
    let mut t = item.table(r, "auth")?;
    let user = log_in(r, &mut t);
    let secret = required(r, &mut t, "secret").and_then(|item| item.secret(r));
    t.finish(r);
    Some(Auth { user: user?, secret: secret? })
}

/// The `user` of credentials.
pub(super) fn log_in<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<Name> {
    let item = required(r, t, "user")?;
    let text = item.text(r)?;
    let bad = |c: char| c.is_control() || matches!(c, '"' | ':' | '@' | ' ' | '\\');
    if text.is_empty() || text.contains(bad) || text.len() > 64 {
        let help = "write 1 to 64 characters without spaces, `:`, `@` and quotation marks";
        r.error("bad-name", item.span, format!("`{text}` can't be a log-in"), help);
        return None;
    }
    Some(text.into())
}

fn alerts<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> (Option<Name>, Option<Name>) {
    let Some(mut alert) = t.table(r, "alert", "alert") else { return (None, None) };
    let mut of = |key| alert.item(r, key).and_then(|item| alert_uri(r, item));
    let found = (of("internal"), of("external"));
    alert.finish(r);
    found
}

/// What Alert-Info carries (RFC 7462): a URI, and nothing that could end the header.
pub(super) fn alert_uri<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    let clean = text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"'));
    if clean && text.contains(':') && text.len() <= 255 {
        return Some(text.into());
    }
    r.error(
        "bad-uri",
        item.span,
        format!("`{text}` is no URI"),
        "write one of RFC 7462: `urn:alert:source:internal`",
    );
    None
}

/// Twelve small hexadecimal digits, whatever stood between them.
fn mac<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    let parts: Vec<&str> = text.split([':', '-']).collect();
    if parts.len() != 6
        || !parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        r.error("bad-mac", item.span, format!("`{text}` is no MAC address"), "write `00:15:65:00:01:00`");
        return None;
    }
    Some(parts.concat().to_ascii_lowercase().into())
}
