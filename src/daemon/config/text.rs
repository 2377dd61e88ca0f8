//! The text of `ringtree.toml` -> [`Config`], with the place of the first mistake.

mod tls;

use super::voice::RawVoice;
use super::{Config, ConfigError, Expires, Listen, Role};
use crate::call::session_timer::Limits;
use crate::daemon::keys::{KEYS, NOT_YET, suggest};
use crate::daemon::mail::Mail;
use crate::net::media::DSCP_MAX;
use crate::sdp::keying::Srtp;
use crate::sip::{Transport, auth::Algorithm};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use tls::RawTls;
use toml::Spanned;

/// A source is shut out for no longer at first; a longer wish is cut to it.
const SHUT_OUT_MAX: Duration = Duration::from_secs(7 * 86_400);

impl Config {
    /// # Errors
    /// The first mistake of the text.
    pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
        let at = Source { file, text };
        let mut warnings = Vec::new();
        known_keys(at, &mut warnings)?;
        let raw: Raw =
            toml::from_str(text).map_err(|e| at.fault(e.span().unwrap_or(0..0), e.message().to_owned()))?;
        let mut config = Config::embedded();
        config.warnings = warnings;
        raw.sip.into_config(at, &mut config)?;
        raw.media.into_config(at, &mut config)?;
        raw.voice.into_config(at, &mut config)?;
        raw.admin.into_config(at, &mut config)?;
        raw.mail.into_config(at, &mut config)?;
        if let Some(path) = raw.store.path {
            config.store = path.into();
        }
        if let Some(load) = raw.rules.load {
            config.load = load.into_iter().map(PathBuf::from).collect();
        }
        config.base = raw.rules.base.map(PathBuf::from);
        if let Some(calls) = raw.limits.calls {
            config.calls_max = calls;
        }
        config.connections_max = raw.limits.connections.unwrap_or(config.connections_max);
        config.of_source_max = raw.limits.connections_of_source.unwrap_or(config.of_source_max);
        config.strangers.messages_s = raw.limits.stranger_messages.unwrap_or(config.strangers.messages_s);
        config.strangers.tries = raw.limits.stranger_tries.unwrap_or(config.strangers.tries);
        if let Some(shut_out) = raw.limits.shut_out {
            config.strangers.shut_out = at.duration(&shut_out)?.min(SHUT_OUT_MAX);
        }
        if let Some(drain) = raw.limits.drain {
            config.drain_after = at.duration(&drain)?;
        }
        if let Some(level) = raw.log.level {
            level.get_ref().parse::<tracing_subscriber::EnvFilter>().map_err(|e| {
                at.fault(level.span(), format!("not a log level: {e}; write `info` or `debug`"))
            })?;
            config.log = level.into_inner();
        }
        Ok(config)
    }
}

/// The text that spans are places of.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    pub(super) fn fault(self, span: Range<usize>, message: String) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        ConfigError::At { file: self.file.to_owned(), line, column, message }
    }

    fn duration(self, text: &Spanned<String>) -> Result<Duration, ConfigError> {
        let wrong = || self.fault(text.span(), "not a duration: write `90s`, `10m` or `1h30m`".into());
        let signed: jiff::SignedDuration = text.get_ref().parse().map_err(|_| wrong())?;
        Duration::try_from(signed).map_err(|_| wrong())
    }

    fn seconds(self, text: &Spanned<String>) -> Result<u32, ConfigError> {
        let seconds = self.duration(text)?.as_secs();
        match u32::try_from(seconds) {
            Ok(s) if (1..=604_800).contains(&s) => Ok(s),
            _ => Err(self.fault(text.span(), "a registration lasts between `1s` and `168h`".into())),
        }
    }
}

impl Source<'_> {
    fn interval(self, text: &Spanned<String>) -> Result<u32, ConfigError> {
        let seconds = self.duration(text)?.as_secs();
        match u32::try_from(seconds) {
            Ok(s) if (2..=86_400).contains(&s) => Ok(s),
            _ => {
                Err(self
                    .fault(text.span(), "a session is refreshed every `2s` to `24h`; usual is `30m`".into()))
            }
        }
    }
}

/// Every table and key of the text is one that there is.
fn known_keys(at: Source<'_>, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    let parsed = toml::de::DeTable::parse(at.text)
        .map_err(|e| at.fault(e.span().unwrap_or(0..0), e.message().to_owned()))?;
    let tables = || KEYS.iter().map(|k| k.table);
    for (table, value) in parsed.get_ref() {
        let name = table.get_ref().as_ref();
        if NOT_YET.contains(&name) {
            warnings.push(format!("{}: [{name}] is not carried out yet", at.file));
            continue;
        }
        if !tables().any(|t| t == name) {
            // A key of ours outside its table is the likeliest slip.
            let home =
                KEYS.iter().find(|k| k.name == name).map(|k| format!("`{name}` belongs in [{}]", k.table));
            let near = suggest(name, tables().chain(NOT_YET.iter().copied()))
                .map(|t| format!("did you mean [{t}]?"));
            return Err(at.unknown(table.span(), format!("unknown table or key `{name}`"), home.or(near)));
        }
        let Some(keys) = value.get_ref().as_table() else {
            return Err(at.fault(value.span(), format!("`{name}` is a table: write [{name}]")));
        };
        for key in keys.keys() {
            let written = key.get_ref().as_ref();
            let known = || KEYS.iter().filter(|k| k.table == name).map(|k| k.name);
            if !known().any(|k| k == written) {
                let near = suggest(written, known()).map(|k| format!("did you mean `{k}`?"));
                return Err(at.unknown(key.span(), format!("unknown key `{written}` in [{name}]"), near));
            }
        }
    }
    Ok(())
}

impl Source<'_> {
    fn unknown(self, span: Range<usize>, what: String, instead: Option<String>) -> ConfigError {
        let instead = instead.unwrap_or_else(|| "`ringtree run --print-config` lists every key".into());
        self.fault(span, format!("{what}; {instead}"))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    sip: RawSip,
    media: RawMedia,
    voice: RawVoice,
    store: RawStore,
    admin: RawAdmin,
    rules: RawRules,
    limits: RawLimits,
    log: RawLog,
    mail: RawMail,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSip {
    listen: Option<Spanned<Vec<Spanned<String>>>>,
    advertise: Option<Spanned<String>>,
    tls: Option<RawTls>,
    default_domain: Option<String>,
    digest: Option<Spanned<Vec<Spanned<String>>>>,
    expires_min: Option<Spanned<String>>,
    expires_max: Option<Spanned<String>>,
    expires_default: Option<Spanned<String>>,
    expires_spread: Option<Spanned<u8>>,
    session_expires: Option<Spanned<String>>,
    min_se: Option<Spanned<String>>,
    nameservers: Option<Vec<Spanned<String>>>,
    unsolicited_mwi: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawMedia {
    listen: Option<Spanned<String>>,
    advertise: Option<Spanned<String>>,
    advertise_ipv6: Option<Spanned<String>>,
    dscp: Option<Spanned<u8>>,
    ports: Option<Spanned<String>>,
    threads: Option<Spanned<usize>>,
    srtp: Option<Spanned<String>>,
    fast_path: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawStore {
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawAdmin {
    socket: Option<String>,
    group: Option<String>,
    roles: BTreeMap<String, Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRules {
    load: Option<Vec<String>>,
    base: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawLimits {
    calls: Option<usize>,
    connections: Option<usize>,
    connections_of_source: Option<usize>,
    stranger_messages: Option<u32>,
    stranger_tries: Option<u32>,
    shut_out: Option<Spanned<String>>,
    drain: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawMail {
    smtp: Option<Spanned<String>>,
    from: Option<Spanned<String>>,
}

impl RawMail {
    fn into_config(self, at: Source<'_>, config: &mut Config) -> Result<(), ConfigError> {
        let RawMail { smtp, from } = self;
        let span = from.as_ref().or(smtp.as_ref()).map_or(0..0, Spanned::span);
        let Some(smtp) = smtp else {
            let lonely =
                from.map(|from| at.fault(from.span(), "`from` needs the `smtp` that it is sent by".into()));
            return lonely.map_or(Ok(()), Err);
        };
        let server = Mail { smtp: smtp.get_ref().clone(), from: None, ca: None };
        server.check().map_err(|message| at.fault(smtp.span(), message))?;
        let mail = Mail { from: from.map(Spanned::into_inner), ..server };
        mail.check().map_err(|message| at.fault(span, message))?;
        config.mail = Some(mail);
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawLog {
    level: Option<Spanned<String>>,
}

impl RawSip {
    fn into_config(self, at: Source<'_>, config: &mut Config) -> Result<(), ConfigError> {
        let listen = self.listen;
        if let Some(listen) = &listen {
            config.listen = listen.get_ref().iter().map(|l| parse_listen(at, l)).collect::<Result<_, _>>()?;
        }
        if let Some(host) = self.advertise {
            if host.get_ref().is_empty()
                || host.get_ref().contains(|c: char| c.is_whitespace() || "/<>;,".contains(c))
            {
                return Err(at.fault(host.span(), "write `HOST` or `HOST:PORT`".into()));
            }
            config.advertise = Some(host.into_inner());
        }
        if let Some(tls) = self.tls {
            config.tls = tls.into_files(at)?;
        }
        if let Some(secure) =
            config.listen.iter().find(|l| l.transport.is_secure() && config.tls.own.is_none())
        {
            let place = listen.map_or(0..0, |listen| listen.span());
            let message = format!(
                "`{}://` needs a certificate: write `tls = {{ certificate = \"FILE.pem\", key = \"FILE.pem\" }}` in [sip]",
                secure.transport.scheme()
            );
            return Err(at.fault(place, message));
        }
        config.default_domain = self.default_domain;
        config.unsolicited_mwi = self.unsolicited_mwi.unwrap_or(config.unsolicited_mwi);
        if let Some(servers) = self.nameservers {
            config.nameservers =
                servers.iter().map(|s| parse_name_server(at, s)).collect::<Result<_, _>>()?;
        }
        if let Some(digest) = self.digest {
            if digest.get_ref().is_empty() {
                return Err(at.fault(digest.span(), "at least one of `md5`, `sha-256` is needed".into()));
            }
            config.digest =
                digest.get_ref().iter().map(|d| parse_algorithm(at, d)).collect::<Result<_, _>>()?;
        }
        for (given, into) in [
            (&self.expires_min, &mut config.expiry.min_s),
            (&self.expires_max, &mut config.expiry.max_s),
            (&self.expires_default, &mut config.expiry.default_s),
        ] {
            if let Some(text) = given {
                *into = at.seconds(text)?;
            }
        }
        if let Some(spread) = self.expires_spread {
            if *spread.get_ref() > 50 {
                return Err(at.fault(spread.span(), "between 0 and 50 hundredths".into()));
            }
            config.expiry.spread_percent = spread.into_inner();
        }
        for (given, into) in [
            (&self.session_expires, &mut config.session.expires_s),
            (&self.min_se, &mut config.session.min_s),
        ] {
            if let Some(text) = given {
                *into = at.interval(text)?;
            }
        }
        if config.session.min_s > config.session.expires_s {
            let span = self.session_expires.as_ref().or(self.min_se.as_ref()).map_or(0..0, Spanned::span);
            let Limits { expires_s, min_s } = config.session;
            let message = format!("min_se ({min_s} s) <= session_expires ({expires_s} s) must hold");
            return Err(at.fault(span, message));
        }
        let Expires { min_s, max_s, default_s, .. } = config.expiry;
        if min_s > default_s || default_s > max_s {
            let span =
                [&self.expires_min, &self.expires_default, &self.expires_max].into_iter().flatten().next();
            return Err(at.fault(
                span.map_or(0..0, Spanned::span),
                format!("expires_min ({min_s} s) <= expires_default ({default_s} s) <= expires_max ({max_s} s) must hold"),
            ));
        }
        Ok(())
    }
}

impl RawMedia {
    fn into_config(self, at: Source<'_>, config: &mut Config) -> Result<(), ConfigError> {
        let address = |text: &Spanned<String>| {
            text.get_ref()
                .parse::<IpAddr>()
                .map_err(|_| at.fault(text.span(), format!("`{}` is not an IP address", text.get_ref())))
        };
        if let Some(listen) = &self.listen {
            config.media.listen = address(listen)?;
        }
        if let Some(advertise) = &self.advertise {
            config.media.advertise = Some(address(advertise)?);
        }
        if let Some(text) = &self.advertise_ipv6 {
            let IpAddr::V6(advertised) = address(text)? else {
                return Err(at.fault(text.span(), format!("`{}` is not an IPv6 address", text.get_ref())));
            };
            if config.media.listen != IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                || !config.media.advertise.is_some_and(|advertise| advertise.is_ipv4())
            {
                let message =
                    "needs `listen = \"::\"`, which takes both families, and the IPv4 address in `advertise`";
                return Err(at.fault(text.span(), message.into()));
            }
            config.media.advertise_ipv6 = Some(advertised);
        }
        if let Some(dscp) = &self.dscp {
            if *dscp.get_ref() > DSCP_MAX {
                return Err(at.fault(
                    dscp.span(),
                    format!("a code point between 0 and {DSCP_MAX}: 46 is expedited forwarding"),
                ));
            }
            config.media.dscp = *dscp.get_ref();
        }
        if let Some(ports) = &self.ports {
            config.media.ports = parse_ports(ports.get_ref()).ok_or_else(|| {
                at.fault(ports.span(), "write a range such as `20000-40000`, of ports above 1023".into())
            })?;
        }
        if let Some(threads) = &self.threads {
            if !(1..=64).contains(threads.get_ref()) {
                return Err(at.fault(threads.span(), "between 1 and 64 relay threads".into()));
            }
            config.media.threads = *threads.get_ref();
        }
        if let Some(srtp) = &self.srtp {
            config.media.srtp = match srtp.get_ref().as_str() {
                "off" => Srtp::Off,
                "optional" => Srtp::Optional,
                "required" => Srtp::Required,
                other => {
                    let message = format!("`{other}` is neither `off`, `optional` nor `required`");
                    return Err(at.fault(srtp.span(), message));
                }
            };
        }
        for interface in self.fast_path {
            if !is_interface(interface.get_ref()) {
                let message = format!("`{}` is no name of an interface, such as `eth0`", interface.get_ref());
                return Err(at.fault(interface.span(), message));
            }
            config.media.fast_path.push(interface.into_inner());
        }
        Ok(())
    }
}

impl RawAdmin {
    fn into_config(self, at: Source<'_>, config: &mut Config) -> Result<(), ConfigError> {
        if let Some(socket) = self.socket {
            config.admin.socket = socket.into();
        }
        config.admin.group = self.group;
        for (who, role) in self.roles {
            let role = match role.get_ref().as_str() {
                "viewer" => Role::Viewer,
                "operator" => Role::Operator,
                "admin" => Role::Admin,
                other => {
                    let message =
                        format!("unknown role `{other}`; there are `viewer`, `operator` and `admin`");
                    return Err(at.fault(role.span(), message));
                }
            };
            config.admin.roles.insert(who, role);
        }
        Ok(())
    }
}

fn parse_listen(at: Source<'_>, text: &Spanned<String>) -> Result<Listen, ConfigError> {
    let wrong = |why: String| at.fault(text.span(), why);
    let Some((scheme, address)) = text.get_ref().split_once("://") else {
        return Err(wrong(format!("`{0}` names no transport: write `udp://{0}`", text.get_ref())));
    };
    let transport = match scheme {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => {
            return Err(wrong(format!(
                "unknown transport `{scheme}`; there are `udp://`, `tcp://`, `tls://`, `ws://` and `wss://`"
            )));
        }
    };
    match address.parse() {
        Ok(address) => Ok(Listen { transport, address }),
        Err(_) => {
            Err(wrong(format!("`{address}` is not ADDRESS:PORT, such as `0.0.0.0:5060` or `[::]:5060`")))
        }
    }
}

/// RFC 1035 §4.2: port 53 where none is named.
fn parse_name_server(at: Source<'_>, text: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
    let written = text.get_ref();
    let bare = || written.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53));
    written.parse().or_else(|_| bare()).map_err(|_| {
        at.fault(
            text.span(),
            format!("`{written}` is not an address, such as `192.0.2.53` or `127.0.0.1:5353`"),
        )
    })
}

fn parse_algorithm(at: Source<'_>, text: &Spanned<String>) -> Result<Algorithm, ConfigError> {
    match text.get_ref().as_str() {
        "md5" => Ok(Algorithm::Md5),
        "sha-256" => Ok(Algorithm::Sha256),
        other => Err(at.fault(
            text.span(),
            format!("unknown digest algorithm `{other}`; there are `md5` and `sha-256`"),
        )),
    }
}

/// `20000-40000`, both inside; `0` is any free port.
fn parse_ports(text: &str) -> Option<(u16, u16)> {
    if text == "0" {
        return Some((0, 0));
    }
    let (low, high) = text.split_once('-')?;
    let (low, high): (u16, u16) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    // A pair is an even port and the next odd one, so the least useful range has four ports: one call.
    (low >= 1024 && high >= low.checked_add(3)?).then_some((low, high))
}

/// What Linux takes as the name of an interface.
fn is_interface(text: &str) -> bool {
    (1..16).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::keys;

    fn fault(text: &str) -> String {
        Config::parse("ringtree.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn the_printed_configuration_is_the_embedded_one() {
        let text = keys::print();
        assert_eq!(Config::parse("ringtree.toml", &text).unwrap(), Config::embedded(), "{text}");
    }

    #[test]
    fn an_unknown_key_names_its_place_and_what_was_meant() {
        assert_eq!(
            fault("[sip]\n  lisen = []\n"),
            "ringtree.toml:2:3: unknown key `lisen` in [sip]; did you mean `listen`?"
        );
        assert_eq!(fault("[sipp]\n"), "ringtree.toml:1:2: unknown table or key `sipp`; did you mean [sip]?");
        assert_eq!(
            fault("socket = 'x'\n"),
            "ringtree.toml:1:1: unknown table or key `socket`; `socket` belongs in [admin]"
        );
        assert_eq!(
            fault("[log]\ncolour = true\n"),
            "ringtree.toml:2:1: unknown key `colour` in [log]; `ringtree run --print-config` lists every key"
        );
    }

    #[test]
    fn a_wrong_value_says_what_to_write() {
        for (text, says) in [
            (
                "[sip]\nlisten = [\"127.0.0.1:5060\"]",
                "2:11: `127.0.0.1:5060` names no transport: write `udp://127.0.0.1:5060`",
            ),
            (
                "[sip]\nlisten = [\"tls://0.0.0.0:5061\"]",
                "2:10: `tls://` needs a certificate: write `tls = {",
            ),
            ("[sip]\nlisten = [\"sctp://0.0.0.0:5061\"]", "2:11: unknown transport `sctp`; there are"),
            ("[sip]\ntls = { certificate = \"a.pem\" }", "2:23: a `certificate` needs its `key`"),
            ("[sip]\ntls = { client_ca = \"a.pem\" }", "2:21: `client_ca` is for those who connect to us"),
            (
                "[sip]\ntls = { cert = \"a.pem\" }",
                "2:9: unknown field `cert`, expected one of `certificate`, `key`",
            ),
            ("[sip]\nlisten = \"udp://0.0.0.0:5061\"", "2:10: invalid type"),
            ("[sip]\nlisten = [\"udp://here:5061\"]", "`here:5061` is not ADDRESS:PORT"),
            ("[sip]\nexpires_min = \"2h\"", "2:15: expires_min (7200 s) <= expires_default"),
            ("[sip]\nexpires_spread = 51", "2:18: between 0 and 50"),
            ("[sip]\ndigest = []", "2:10: at least one of"),
            ("[sip]\nnameservers = [\"dns\"]", "2:16: `dns` is not an address"),
            ("[media]\nports = \"40000-20000\"", "2:9: write a range such as"),
            ("[media]\nfast_path = [\"eth0\", \"../eth1\"]", "2:22: `../eth1` is no name of an interface"),
            ("[media]\nthreads = 0", "2:11: between 1 and 64"),
            ("[media]\ndscp = 64", "2:8: a code point between 0 and 63"),
            ("[media]\nsrtp = \"yes\"", "2:8: `yes` is neither `off`, `optional` nor `required`"),
            ("[media]\nadvertise_ipv6 = \"192.0.2.1\"", "2:18: `192.0.2.1` is not an IPv6 address"),
            ("[media]\nadvertise_ipv6 = \"2001:db8::1\"", "2:18: needs `listen = \"::\"`"),
            ("[admin.roles]\nada = \"root\"", "2:7: unknown role `root`"),
            ("[limits]\ndrain = \"soon\"", "2:9: not a duration"),
            ("[log]\nlevel = \"ringtree=loud\"", "2:9: not a log level"),
            ("[mail]\nsmtp = \"localhost\"", "2:8: write `smtp://"),
            ("[mail]\nfrom = \"us@x.example\"", "2:8: `from` needs the `smtp`"),
            ("[sip", "ringtree.toml:1:"),
        ] {
            let said = fault(text);
            assert!(said.contains(says), "{text} gave {said}");
            assert_eq!(said.lines().count(), 1);
        }
    }

    #[test]
    fn a_promised_table_that_is_not_carried_out_yet_is_a_warning() {
        let config = Config::parse("ringtree.toml", "[records]\nkeep = \"90d\"\n").unwrap();
        assert_eq!(config.warnings, ["ringtree.toml: [records] is not carried out yet"]);
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ringtree.toml");
        std::fs::write(&file, "[store]\npath = \"data\"\n[rules]\nload = [\"rules\", \"/abs\"]\n").unwrap();
        let config = Config::read(&file).unwrap();
        assert_eq!(config.store, dir.path().join("data"));
        assert_eq!(config.load, [dir.path().join("rules"), PathBuf::from("/abs")]);
        assert_eq!(config.admin.socket, dir.path().join("ringtree-data/admin.sock"));
    }
}
