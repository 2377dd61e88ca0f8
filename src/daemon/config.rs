//! `ringtree.toml`: read whole, checked whole, before anything is started. Every mistake is one line with file, line and column,
//! and what to write instead. The keys, their units and defaults stand in [`super::keys`].

mod text;
mod voice;

use super::mail::Mail;
use crate::call::session_timer::Limits;
use crate::net::media::DSCP_EF;
use crate::net::tls::{Files, Pair};
use crate::registrar::location::Expiry;
use crate::sdp::keying::Srtp;
use crate::sip::{Transport, auth::Algorithm};
use crate::switch::strangers;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use voice::VoiceConfig;

/// The largest configuration file that is read; it is a page, not a database.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// The file that is looked for where none is named.
pub const FILE_NAME: &str = "ringtree.toml";

/// What the daemon is told at start.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file; `None`: the embedded default.
    pub file: Option<PathBuf>,
    pub listen: Vec<Listen>,
    /// `host` or `host:port`.
    pub advertise: Option<String>,
    /// Certificates, and whom we believe.
    pub tls: Files,
    pub default_domain: Option<String>,
    pub digest: Vec<Algorithm>,
    pub expiry: Expires,
    /// Asked for trunk proxies; empty: the system's.
    pub nameservers: Vec<SocketAddr>,
    /// Phones that register are told of their messages, subscribed or not.
    pub unsolicited_mwi: bool,
    /// Session timers.
    pub session: Limits,
    pub media: MediaConfig,
    pub voice: VoiceConfig,
    pub store: PathBuf,
    pub admin: AdminConfig,
    pub load: Vec<PathBuf>,
    pub base: Option<PathBuf>,
    pub calls_max: usize,
    pub connections_max: usize,
    /// Connections from one address.
    pub of_source_max: usize,
    pub strangers: strangers::Limits,
    pub drain_after: Duration,
    pub log: String,
    /// Who takes our mail.
    pub mail: Option<Mail>,
    /// What was read but is not carried out yet, as lines for the log.
    pub warnings: Vec<String>,
}

/// One listener as configured; port 0 is any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    pub transport: Transport,
    pub address: SocketAddr,
}

/// Bounds of a registration, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expires {
    pub min_s: u32,
    pub max_s: u32,
    pub default_s: u32,
    pub spread_percent: u8,
}

impl From<Expires> for Expiry {
    fn from(e: Expires) -> Expiry {
        let Expires { min_s, max_s, default_s, spread_percent } = e;
        Expiry { min_s, max_s, default_s, spread_percent }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    pub listen: IpAddr,
    pub advertise: Option<IpAddr>,
    /// What parties of IPv6 are told, where `listen` takes both families.
    pub advertise_ipv6: Option<Ipv6Addr>,
    /// The code point that packets are marked with (RFC 2474).
    pub dscp: u8,
    /// Both inside; 0 and 0: any free port.
    pub ports: (u16, u16),
    pub threads: usize,
    /// Whether media is secured with devices and trunks whose rules don't say it.
    pub srtp: Srtp,
    /// Interfaces where established streams are passed on in the kernel.
    pub fast_path: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    pub socket: PathBuf,
    pub group: Option<String>,
    pub roles: BTreeMap<String, Role>,
}

/// What a peer of the admin socket may do; each may what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Set live status, hang calls up.
    Operator,
    /// Change the rules.
    Admin,
}

/// A mistake in the configuration: `ringtree.toml:3:1: ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{file}:{line}:{column}: {message}")]
    At { file: String, line: usize, column: usize, message: String },
    #[error("the configuration {file} can't be read: {why}")]
    Read { file: String, why: String },
}

impl Config {
    /// The file that is named; else `ringtree.toml` here, if there is one; else the embedded default.
    ///
    /// # Errors
    /// The first mistake of the file.
    pub fn find(named: Option<&Path>) -> Result<Config, ConfigError> {
        match named {
            Some(file) => Config::read(file),
            None if Path::new(FILE_NAME).exists() => Config::read(Path::new(FILE_NAME)),
            None => Ok(Config::embedded()),
        }
    }

    /// What holds without any file.
    #[must_use]
    pub fn embedded() -> Config {
        let expiry = Expires { min_s: 60, max_s: 3600, default_s: 3600, spread_percent: 10 };
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(loopback, 5060);
        Config {
            file: None,
            listen: vec![
                Listen { transport: Transport::Udp, address },
                Listen { transport: Transport::Tcp, address },
            ],
            advertise: None,
            tls: Files::default(),
            default_domain: None,
            digest: vec![Algorithm::Md5, Algorithm::Sha256],
            expiry,
            nameservers: Vec::new(),
            unsolicited_mwi: false,
            session: Limits::default(),
            media: MediaConfig {
                listen: loopback,
                advertise: None,
                advertise_ipv6: None,
                dscp: DSCP_EF,
                ports: (20000, 40000),
                threads: 1,
                srtp: Srtp::Optional,
                fast_path: Vec::new(),
            },
            voice: VoiceConfig::default(),
            store: "ringtree-data/store".into(),
            admin: AdminConfig {
                socket: "ringtree-data/admin.sock".into(),
                group: None,
                roles: BTreeMap::new(),
            },
            load: vec!["routing-rules/harbour-dental".into()],
            base: None,
            calls_max: 10_000,
            connections_max: 20_000,
            of_source_max: 5_000,
            strangers: strangers::Limits::default(),
            drain_after: Duration::from_secs(120),
            log: "info".into(),
            mail: None,
            warnings: Vec::new(),
        }
    }

    /// # Errors
    /// The file can't be read, or its first mistake.
    pub fn read(file: &Path) -> Result<Config, ConfigError> {
        let name = file.display().to_string();
        let unreadable = |why: String| ConfigError::Read { file: name.clone(), why };
        let size = std::fs::metadata(file).map_err(|e| unreadable(e.to_string()))?.len();
        if size > CONFIG_BYTES_MAX {
            return Err(unreadable(format!("it has {size} bytes, more than {CONFIG_BYTES_MAX}")));
        }
        let text = std::fs::read_to_string(file).map_err(|e| unreadable(e.to_string()))?;
        let mut config = Config::parse(&name, &text)?;
        let here = file.parent().unwrap_or(Path::new(""));
        for path in [&mut config.store, &mut config.admin.socket]
            .into_iter()
            .chain(config.voice.paths())
            .chain(config.load.iter_mut())
            .chain(config.base.iter_mut())
            .chain(files_of(&mut config.tls))
        {
            *path = here.join(&*path);
        }
        config.file = Some(file.to_owned());
        Ok(config)
    }

    /// The keys in which a daemon that runs by `running` would have to be restarted to run by this one.
    #[must_use]
    pub fn needs_restart(&self, running: &Config) -> Vec<&'static str> {
        let (new, old) = (self, running);
        let keys = [
            ("[sip] listen", new.listen != old.listen),
            ("[sip] advertise", new.advertise != old.advertise),
            ("[sip] default_domain", new.default_domain != old.default_domain),
            ("[sip] digest", new.digest != old.digest),
            ("[sip] expires_*", new.expiry != old.expiry),
            ("[sip] session_expires, min_se", new.session != old.session),
            ("[sip] nameservers", new.nameservers != old.nameservers),
            ("[sip] unsolicited_mwi", new.unsolicited_mwi != old.unsolicited_mwi),
            ("[media]", new.media != old.media),
            ("[voice]", new.voice != old.voice),
            ("[store] path", new.store != old.store),
            ("[admin]", new.admin != old.admin),
            ("[rules] base", new.base != old.base),
            ("[mail]", new.mail != old.mail),
            ("[limits]", limits(new) != limits(old)),
        ];
        keys.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}

/// What of the limits can't change while the daemon runs.
fn limits(config: &Config) -> (usize, usize, usize, strangers::Limits, Duration) {
    let Config { calls_max, connections_max, of_source_max, strangers, drain_after, .. } = config;
    (*calls_max, *connections_max, *of_source_max, *strangers, *drain_after)
}

fn files_of(tls: &mut Files) -> impl Iterator<Item = &mut PathBuf> {
    let pairs = tls.own.iter_mut().chain(tls.by_name.values_mut());
    let files = pairs.flat_map(|Pair { certificate, key }| [certificate, key]);
    files.chain(tls.client_ca.iter_mut()).chain(tls.ca.iter_mut())
}
