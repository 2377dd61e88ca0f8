//! The small values of the language: durations, destinations, numbers, zones, words, paths, addresses.

use super::super::calendar::{Zone, parse_clock};
use super::super::destination::{Parts, parts};
use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{AcceptFrom, At, CallerId, Destination, Name};
use super::names::Kind;
use super::reader::{Item, Reader, Table};
use super::suggest::nearest;
use crate::number::{Country, Locale, country, is_e164, normalise};
use jiff::civil::Time;
use std::net::IpAddr;
use std::time::Duration;

/// No call and no registration lasts longer.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longer words are for no display.
const WORDS_CHARS_MAX: usize = 128;
const PATH_BYTES_MAX: usize = 255;

/// `1h30m`, `25s`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    let mut units = "hms".chars();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?.chars().next()?;
        // Each unit once, the greater first.
        units.by_ref().find(|known| *known == unit)?;
        let factor = match unit {
            'h' => 3600,
            'm' => 60,
            _ => 1,
        };
        seconds = seconds.checked_add(count.checked_mul(factor)?)?;
        rest = rest.get(digits + unit.len_utf8()..)?;
    }
    let duration = Duration::from_secs(seconds);
    (!text.is_empty() && duration <= DURATION_MAX).then_some(duration)
}

impl<'t> Item<'t> {
    pub(super) fn duration(&self, r: &mut Reader<'t>) -> Option<Duration> {
        if matches!(self.value, toml::de::DeValue::Integer(_)) {
            let key = self.key;
            let help = format!("write it with its unit: `{key} = \"{}s\"`", r.source(self.span));
            r.error(
                "bad-duration",
                self.span,
                format!("`{key}` is a duration, and a number has no unit"),
                help,
            );
            return None;
        }
        let text = self.text(r)?;
        let parsed = parse_duration(text);
        if parsed.is_none() {
            let message = format!("`{text}` is no duration");
            r.error(
                "bad-duration",
                self.span,
                message,
                "write hours, minutes and seconds: `25s`, `10m`, `1h30m`; at most 168h",
            );
        }
        parsed
    }

    /// A number in E.164.
    pub(super) fn e164(&self, r: &mut Reader<'t>) -> Option<Name> {
        let text = self.text(r)?;
        e164(r, text, self.span)
    }

    /// A destination as text.
    pub(super) fn destination(&self, r: &mut Reader<'t>, owner: Option<&str>) -> Option<At<Destination>> {
        let text = self.text(r)?;
        let value = destination(r, text, self.span, owner)?;
        Some(At { value, span: self.span })
    }

    /// Text that people read on a display or in a message: it must not break the header that carries it.
    pub(super) fn words(&self, r: &mut Reader<'t>) -> Option<Name> {
        let text = self.text(r)?;
        if text.chars().count() <= WORDS_CHARS_MAX && !text.chars().any(char::is_control) {
            return Some(text.into());
        }
        let message = format!("`{}` must be one line of at most {WORDS_CHARS_MAX} characters", self.key);
        r.error("bad-text", self.span, message, "take line ends and tabs out, or shorten it");
        None
    }

    /// A file below the rules' base directory.
    pub(super) fn path(&self, r: &mut Reader<'t>) -> Option<At<Name>> {
        let text = self.text(r)?;
        let good = !text.is_empty() && text.len() <= PATH_BYTES_MAX && !text.chars().any(char::is_control);
        if good && !text.starts_with('/') && !text.split('/').any(|part| part == "..") {
            return Some(At { value: text.into(), span: self.span });
        }
        let help = "name it relative to the rules' directory: `closed.wav`, `audio/closed.wav`";
        r.error(
            "bad-path",
            self.span,
            format!("`{}` must be a file below the rules' directory", self.key),
            help,
        );
        None
    }

    pub(super) fn zone(&self, r: &mut Reader<'t>) -> Option<Zone> {
        let text = self.text(r)?;
        let zone = Zone::named(text);
        if zone.is_none() {
            let known: Vec<String> =
                jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
            let help = match nearest(text, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write the name of an IANA zone: `America/New_York`".into(),
            };
            r.error("unknown-zone", self.span, format!("there is no time zone `{text}`"), help);
        }
        zone
    }

    /// A time of day.
    pub(super) fn clock(&self, r: &mut Reader<'t>) -> Option<Time> {
        let text = self.text(r)?;
        let minutes = parse_clock(text).ok();
        let parts = minutes.and_then(|m| Some((i8::try_from(m / 60).ok()?, i8::try_from(m % 60).ok()?)));
        let time = parts.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
        if time.is_none() {
            let help = "write hours and minutes: `04:00`";
            r.error("bad-hours", self.span, format!("`{text}` is no time of day"), help);
        }
        time
    }

    pub(super) fn country(&self, r: &mut Reader<'t>) -> Option<&'static Country> {
        let text = self.text(r)?;
        let row = country(text);
        if row.is_none() {
            let capital = text.to_ascii_uppercase();
            let help = match country(&capital) {
                Some(row) => format!("write it in capital letters: `{}`", row.code),
                None => {
                    "write a code of ISO 3166-1 that docs/rules/countries.md lists: `US`, `GB`, `DE`".into()
                }
            };
            r.error("unknown-country", self.span, format!("how to dial in `{text}` is not known"), help);
        }
        row
    }

    pub(super) fn area_code(&self, r: &mut Reader<'t>) -> Option<Name> {
        let text = self.text(r)?;
        if (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(text.into());
        }
        r.error(
            "bad-area-code",
            self.span,
            format!("`{text}` is no area code"),
            "write 1 to 6 digits in quotes: `\"202\"`",
        );
        None
    }

    /// `127.0.0.2`, `203.0.113.16/28`, `[2001:db8::]/64`, each with an optional port.
    pub(super) fn accept_from(&self, r: &mut Reader<'t>) -> Option<AcceptFrom> {
        let text = self.text(r)?;
        let parsed = parse_accept_from(text, self.span);
        if parsed.is_none() {
            let help = "write an address, a range, and a port if it matters: `203.0.113.16/28`, `127.0.0.2:5070`, `[2001:db8::]/64`";
            r.error("bad-address", self.span, format!("`{text}` is no address"), help);
        }
        parsed
    }
}

fn parse_accept_from(text: &str, span: Span) -> Option<AcceptFrom> {
    let (host, port) = match text.rsplit_once(':') {
        // A bare IPv6 address has colons of its own; with a port it stands in brackets.
        Some((host, port)) if !host.contains(':') || host.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let (address, prefix) = match host.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (host, None),
    };
    let bare = address.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(address);
    let address: IpAddr = bare.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(longest);
    (prefix <= longest).then_some(AcceptFrom { address, prefix, port, span })
}

/// A number in E.164, or an error that says how to write it.
pub(super) fn e164(r: &mut Reader<'_>, text: &str, place: Span) -> Option<Name> {
    if is_e164(text) {
        return Some(text.into());
    }
    let help = match normalise(text, &r.locale) {
        Some(meant) => format!("write it in E.164: `{meant}`"),
        None => "write it in E.164, `+` and the calling code first: `+12025550100`".into(),
    };
    r.error("not-e164", place, format!("`{text}` is no number in E.164"), help);
    None
}

/// `kind:name`, resolved. `owner` is the user in whose table it stands: they may say `self` and `self:all`.
pub(super) fn destination(
    r: &mut Reader<'_>,
    text: &str,
    place: Span,
    owner: Option<&str>,
) -> Option<Destination> {
    match (text, owner) {
        ("self", Some(owner)) => return primary(r, owner, place).map(Destination::Device),
        ("self:all", Some(owner)) => return Some(Destination::Handset(owner.into())),
        _ => {}
    }
    let (word, of, name) = match parts(text) {
        Ok(Parts::Named { word, of, name }) => (word, of, name),
        Ok(Parts::Reject(status)) => return Some(Destination::Reject(status)),
        Err(why) => {
            let (message, help) = why.says(text);
            r.error("bad-destination", place, message, help);
            return None;
        }
    };
    r.pending(&["destination.", word], text, place);
    let name = match word {
        "device" => r.reference(Kind::Device, name, place),
        "queue" => r.reference(Kind::Queue, name, place),
        "attendant" => r.reference(Kind::Attendant, name, place),
        "conference" => r.reference(Kind::Conference, name, place),
        "hunt" => r.reference(Kind::Hunt, name, place),
        "directory" => r.reference(Kind::Directory, name, place),
        "announce" => r.reference(Kind::Announce, name, place),
        "voicemail" => mailbox(r, name, place),
        "tel" => e164(r, name, place),
        // `user` and `handset`.
        _ => r.reference(Kind::User, name, place),
    };
    name.map(of)
}

/// A mailbox of its own or a user's, unless that is off.
pub(super) fn mailbox(r: &mut Reader<'_>, name: &str, place: Span) -> Option<Name> {
    if let Some(name) = r.names.find(Kind::Mailbox, name).cloned() {
        r.referred.refer(Kind::Mailbox, &name);
        return Some(name);
    }
    if let Some(off) = r.names.mailboxes_off.get(name).copied() {
        r.report(
            Diagnostic::error("mailbox-off", place, format!("the mailbox of `{name}` is off"))
                .related(off, "turned off here")
                .help("turn it on, or name another destination"),
        );
        return None;
    }
    r.reference(Kind::User, name, place)
}

/// The device that `self` means.
pub(super) fn primary(r: &mut Reader<'_>, user: &str, place: Span) -> Option<Name> {
    let names = r.names.clone();
    let devices = names.devices.get(user).map(Vec::as_slice).unwrap_or_default();
    let mut primaries = devices.iter().filter(|(_, primary)| *primary);
    match (primaries.next(), devices) {
        (Some((device, _)), _) => Some(device.clone()),
        (None, [(device, _)]) => Some(device.clone()),
        (None, []) => {
            r.error(
                "no-device",
                place,
                format!("`{user}` has no device that `self` could mean"),
                "add a `[device.NAME]` with this user",
            );
            None
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_ref()).collect();
            let message = format!("`self` of `{user}` could be any of {}", names.join(", "));
            r.error("no-primary", place, message, "set `primary = true` on one of them, or write `self:all`");
            None
        }
    }
}

impl<'t> Table<'t> {
    pub(super) fn duration(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<Duration> {
        self.item(r, key)?.duration(r)
    }

    pub(super) fn reference(
        &mut self,
        r: &mut Reader<'t>,
        key: &'static str,
        kind: Kind,
    ) -> Option<At<Name>> {
        let item = self.item(r, key)?;
        let text = item.text(r)?;
        Some(At { value: r.reference(kind, text, item.span)?, span: item.span })
    }

    pub(super) fn words(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<Name> {
        self.item(r, key)?.words(r)
    }

    pub(super) fn destination(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<At<Destination>> {
        self.item(r, key)?.destination(r, None)
    }

    /// `{ name, number }`.
    pub(super) fn caller_id(&mut self, r: &mut Reader<'t>, key: &'static str) -> Option<CallerId> {
        let table = self.table(r, key, "caller_id")?;
        Some(caller_id(r, table))
    }

    pub(super) fn locale(&mut self, r: &mut Reader<'t>) -> (Option<&'static Country>, Option<Name>) {
        let country = self.item(r, "country").and_then(|item| item.country(r));
        (country, self.item(r, "area_code").and_then(|item| item.area_code(r)))
    }
}

pub(super) fn caller_id<'t>(r: &mut Reader<'t>, mut table: Table<'t>) -> CallerId {
    let name = table.words(r, "name");
    let number = table.item(r, "number").and_then(|item| item.e164(r));
    table.finish(r);
    CallerId { name, number }
}

/// The locale of a table that may leave either part to the domain.
pub(super) fn locale_or(own: (Option<&'static Country>, Option<Name>), domain: &Locale) -> Locale {
    match own {
        // Another country's numbers have nothing to do with the domain's area code.
        (Some(row), area_code) if row.code != domain.country.as_ref() => {
            Locale { country: row.code.into(), area_code }
        }
        (_, area_code) => Locale {
            country: domain.country.clone(),
            area_code: area_code.or_else(|| domain.area_code.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_hours_minutes_and_seconds() {
        for (text, seconds) in [("25s", 25), ("10m", 600), ("1h30m", 5400), ("0s", 0), ("1h1s", 3601)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "25", "s", "1s1m", "1m1m", "1d", "-1s", "1.5m", "169h", "99999999999999999999h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_have_ranges_and_ports() {
        let parse = |text| {
            parse_accept_from(text, Span::default()).map(|a| (a.address.to_string(), a.prefix, a.port))
        };
        assert_eq!(parse("127.0.0.2"), Some(("127.0.0.2".into(), 32, None)));
        assert_eq!(parse("127.0.0.2:5070"), Some(("127.0.0.2".into(), 32, Some(5070))));
        assert_eq!(parse("203.0.113.16/28"), Some(("203.0.113.16".into(), 28, None)));
        assert_eq!(parse("[2001:db8::]/64"), Some(("2001:db8::".into(), 64, None)));
        assert_eq!(parse("2001:db8::1"), Some(("2001:db8::1".into(), 128, None)));
        assert_eq!(parse("[2001:db8::1]:5060"), Some(("2001:db8::1".into(), 128, Some(5060))));
        for text in ["", "10.0.0.0/33", "host", "10.0.0.1:x", "1.2.3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
