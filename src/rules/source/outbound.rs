//! Trunks, dial rules and routes.

use super::super::diagnostic::Diagnostic;
use super::super::model::{
    At, Called, Dial, Diversion, Name, PassedIdentity, Registration, Route, Trunk, TrunkTransport,
};
use super::devices::{auth, log_in, srtp};
use super::domain::required;
use super::lists::class_pattern;
use super::names::{Kind, Objects};
use super::reader::{Item, Reader, Table};
use super::value::locale_or;
use std::collections::BTreeMap;
use std::time::Duration;

const CHANNELS_MAX: u32 = 1_000_000;
const STRIP_MAX: u32 = 32;
const EXPIRES: Duration = Duration::from_secs(600);
const EXPIRES_MIN: Duration = Duration::from_secs(60);
const PING_MIN: Duration = Duration::from_secs(5);
const PING_MAX: Duration = Duration::from_secs(3600);
const CODECS_MAX: usize = 16;

pub(super) fn trunks<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, Trunk> {
    let mut trunks = BTreeMap::new();
    for (name, object) in objects.of(Kind::Trunk) {
        let mut t = Table::new(object.span, "trunk", object.table);
        let locale = t.locale(r);
        let locale = locale_or(locale, &r.locale);
        let registering = t.item(r, "register").and_then(|item| registering(r, item));
        let registers_here = matches!(registering, Some(Registering::Here));
        let trunk = Trunk {
            span: object.span,
            proxy: t.item(r, "proxy").and_then(|item| proxy(r, item)),
            transport: t
                .choice(
                    r,
                    "transport",
                    &[
                        ("udp", TrunkTransport::Udp),
                        ("tcp", TrunkTransport::Tcp),
                        ("tls", TrunkTransport::Tls),
                        ("any", TrunkTransport::Any),
                    ],
                )
                // What registers here comes by what it likes, unless it is said.
                .unwrap_or(if registers_here { TrunkTransport::Any } else { TrunkTransport::Udp }),
            register: registering.and_then(Registering::there),
            registers_here,
            auth: t.item(r, "auth").and_then(|item| auth(r, item)),
            accept_from: accept_from(r, &mut t),
            channels: t.count(r, "channels", 1..=CHANNELS_MAX),
            ping: t.item(r, "ping").and_then(|item| ping(r, item)),
            called: called(r, &mut t),
            country: locale.country,
            area_code: locale.area_code,
            screens_caller_id: t.boolean(r, "screens_caller_id").unwrap_or(false),
            diversion: t
                .choice(
                    r,
                    "diversion",
                    &[
                        ("none", Diversion::None),
                        ("diversion", Diversion::Diversion),
                        ("history-info", Diversion::HistoryInfo),
                        ("both", Diversion::Both),
                    ],
                )
                .unwrap_or(Diversion::None),
            trust: t.boolean(r, "trust").unwrap_or(false),
            remote_party_id: t.boolean(r, "remote_party_id").unwrap_or(false),
            says_forwarded: t.boolean(r, "says_forwarded").unwrap_or(true),
            identity: t
                .choice(r, "identity", &[("pass", PassedIdentity::Pass), ("strip", PassedIdentity::Strip)])
                .unwrap_or(PassedIdentity::Pass),
            srtp: srtp(r, &mut t),
            codecs: codecs(r, &mut t),
        };
        t.finish(r);
        registers_soundly(r, name, &trunk);
        if trunk.proxy.is_none() && trunk.accept_from.is_empty() && trunk.auth.is_none() {
            r.report(
                Diagnostic::warning(
                    "useless-trunk",
                    object.span,
                    format!("nothing comes or goes by the trunk `{name}`"),
                )
                .help("give it `proxy` for calls out, `accept_from` or `auth` for calls in"),
            );
        }
        trunks.insert(name.into(), trunk);
    }
    trunks
}

/// `host`, `host:port`, `[v6]:port`.
fn proxy<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<At<String>> {
    let text = item.text(r)?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let inside = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']'));
    let host_is_good = match inside {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')),
    };
    if host_is_good && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Some(At { value: text.into(), span: item.span });
    }
    let help = "write a host and, if it isn't 5060, a port: `sip.carrier.example`, `127.0.0.2:5070`";
    r.error("bad-address", item.span, format!("`{text}` is no host"), help);
    None
}

/// Where an INVITE says what number was called.
fn called<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Called {
    let words = [("uri", Called::Uri), ("to", Called::To), ("p-called-party-id", Called::PCalledPartyId)];
    t.choice(r, "called", &words).unwrap_or_default()
}

/// How often a place is asked.
fn ping<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Duration> {
    let every = item.duration(r)?;
    if (PING_MIN..=PING_MAX).contains(&every) {
        return Some(every);
    }
    let message = format!("`ping` is between {}s and {}s", PING_MIN.as_secs(), PING_MAX.as_secs());
    r.report(Diagnostic::error("out-of-range", item.span, message).help("half a minute is usual: `\"30s\"`"));
    None
}

/// Who registers at whom.
enum Registering {
    Here,
    There(Registration),
}

impl Registering {
    fn there(self) -> Option<Registration> {
        match self {
            Registering::Here => None,
            Registering::There(registration) => Some(registration),
        }
    }
}

/// `"in"`, or how we register there.
fn registering<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Registering> {
    if item.is_text() {
        return item.choice(r, &[("in", ())]).map(|()| Registering::Here);
    }
    registration(r, item).map(Registering::There)
}

/// A trunk that registers here does so with credentials, and is reached where it has registered from.
fn registers_soundly(r: &mut Reader<'_>, name: &str, trunk: &Trunk) {
    if !trunk.registers_here {
        return;
    }
    if trunk.auth.is_none() {
        let message = format!("the trunk `{name}` can't register: it has no `auth`");
        r.error(
            "trunk-register",
            trunk.span,
            message,
            "give it `auth = { user = \"...\", secret = \"file:secrets/...\" }`",
        );
    }
    if let Some(proxy) = &trunk.proxy {
        let message =
            format!("the trunk `{name}` registers here, and has a `proxy`: where do calls to it go?");
        let help = "take `proxy` out: calls go where it has registered from; or take `register = \"in\"` out";
        r.error("trunk-register", proxy.span, message, help);
    }
    if trunk.ping.is_some() {
        let message = format!("the trunk `{name}` registers here, and is asked by no `ping`");
        let help = "take `ping` out: whether it is there is seen by its registration; let the PBX register for a short time";
        r.report(Diagnostic::warning("trunk-ping", trunk.span, message).help(help));
    }
}

/// `{ user, secret, expires, gin }`.
fn registration<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Registration> {
    let mut t = item.table(r, "register")?;
    let user = log_in(r, &mut t);
    let secret = required(r, &mut t, "secret").and_then(|item| item.secret(r));
    let expires_item = t.item(r, "expires");
    let expires = expires_item.and_then(|item| item.duration(r)).unwrap_or(EXPIRES);
    if let Some(item) = expires_item.filter(|_| expires < EXPIRES_MIN) {
        let message = format!("`expires` must be at least {}s", EXPIRES_MIN.as_secs());
        r.report(Diagnostic::error("out-of-range", item.span, message));
    }
    let gin = t.boolean(r, "gin").unwrap_or(false);
    t.finish(r);
    Some(Registration { span: item.span, user: user?, secret: secret?, expires, gin })
}

/// Encoding names of SDP (RFC 8866 §6.6), in capital letters; they mean the same in small ones (RFC 4855 §3).
fn codecs<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Vec<Name> {
    let mut codecs: Vec<Name> = Vec::new();
    for (text, span) in t.texts(r, "codecs") {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if text.is_empty() || text.len() > 32 || !text.chars().all(good) || codecs.len() >= CODECS_MAX {
            let help = "name up to 16 as SDP does: `PCMA`, `PCMU`, `G722`, `opus`";
            r.error("unknown-value", span, format!("`{text}` can't be a codec here"), help);
            continue;
        }
        codecs.push(text.to_ascii_uppercase().into());
    }
    codecs
}

pub(super) fn accept_from<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Vec<super::super::model::AcceptFrom> {
    let Some(item) = t.item(r, "accept_from") else { return Vec::new() };
    item.one_or_several().into_iter().filter_map(|item| item.accept_from(r)).collect()
}

pub(super) fn dial<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> Vec<Dial> {
    let mut rules = Vec::new();
    for item in objects.ordered.get("dial").into_iter().flatten() {
        let Some(mut t) = item.table(r, "dial") else { continue };
        let dialled = required(r, &mut t, "dialled").and_then(|item| class_pattern(r, item));
        let strip = t.count(r, "strip", 0..=STRIP_MAX).unwrap_or(0) as usize;
        let prefix = t.item(r, "prefix").and_then(|item| dialable(r, item));
        let rewrite_as = t.item(r, "as").and_then(|item| dialable(r, item));
        let class = t.reference(r, "class", Kind::Class).map(|class| class.value);
        if rewrite_as.is_some() && (strip > 0 || prefix.is_some()) {
            let help = "`as` gives the whole number; leave `strip` and `prefix` out";
            r.error("dial-as", t.span, "`as` and `strip` or `prefix` exclude each other", help);
        }
        let span = t.span;
        t.finish(r);
        if let Some(dialled) = dialled {
            rules.push(Dial { span, dialled, strip, prefix: prefix.unwrap_or_default(), rewrite_as, class });
        }
    }
    rules
}

fn dialable<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    let body = text.strip_prefix('+').unwrap_or(text);
    if text.len() <= 32 && body.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#')) {
        return Some(text.into());
    }
    r.error(
        "bad-number",
        item.span,
        format!("`{text}` can't be dialled"),
        "write digits, `*`, `#` and a leading `+`",
    );
    None
}

pub(super) fn routes<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> Vec<Route> {
    let mut routes = Vec::new();
    for item in objects.ordered.get("route").into_iter().flatten() {
        let Some(mut t) = item.table(r, "route") else { continue };
        let name = t.name(r, "name");
        let mut named = |r: &mut Reader<'t>, key, kind| -> Vec<Name> {
            let Some(item) = required(r, &mut t, key) else { return Vec::new() };
            item.one_or_several()
                .into_iter()
                .filter_map(|item| item.text(r).and_then(|text| r.reference(kind, text, item.span)))
                .collect()
        };
        let classes = named(r, "classes", Kind::Class);
        let via = named(r, "via", Kind::Trunk);
        let site = t.reference(r, "site", Kind::Site).map(|site| site.value);
        let caller_id = t.caller_id(r, "caller_id");
        let span = t.span;
        t.finish(r);
        routes.push(Route { span, name, classes, site, via, caller_id });
    }
    routes
}
