//! The daemon: start-up as a checklist, then signals, then the drain.
//!
//! What can be wrong is found before anything runs: the configuration is read whole, the socket is free, the store is locked, the rules
//! compile, every port is bound. Only then do threads start, with rules, statuses and registrations as their first inputs. So the
//! daemon never starts half: it runs, or it says one line and exits with 2.

pub mod address;
pub mod config;
pub mod directory;
pub mod dumps;
pub mod keys;
pub mod log;
pub mod mail;
pub mod metrics;
pub mod notify;
pub mod outlet;
pub mod refreshes;
pub mod rulesets;
pub mod secrets;
pub mod signals;
pub mod socket;
pub mod trunks;

use crate::admin::about::About;
use crate::admin::edit::{Pipeline, Publish};
use crate::admin::events::Announcer;
use crate::admin::generation::Generations;
use crate::admin::notices::Notices;
use crate::admin::peer::Roles;
use crate::admin::status::Statuses;
use crate::admin::{self, Admin};
use crate::net::clock;
use crate::net::listen::{self, BindError};
use crate::net::media::{FastPath, Identity, NoIdentity, Ports, PortsError, Range};
use crate::net::signalling::connections::Limits;
use crate::net::signalling::{Handle, Media, Plane};
use crate::net::tls::{Tls, TlsError};
use crate::rules::Ruleset;
use crate::sdp::Fingerprint;
use crate::sip::Transport;
use crate::store::trial::Trials;
use crate::store::{SledStore, Store, StoreError};
use crate::switch::config::Listener;
use crate::switch::{self, Input};
use config::{Config, MediaConfig};
use directory::DirectoryError;
use mail::Mailer;
use outlet::Outlet;
use socket::AdminSocket;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Port pairs that are open from the start: calls that need no system call to be set up.
const PAIRS_AT_FIRST: usize = 256;
/// Free pairs below which more are opened, a step ahead of the calls.
const PAIRS_LOW: usize = 128;
/// File descriptors beside media: sockets, connections, the store.
const DESCRIPTORS_WANTED: u64 = 65_536;

/// Why the daemon does not start: one line, and exit 2.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("a daemon answers on {socket} already: stop it, or give this one another `[admin] socket`")]
    SocketInUse { socket: String },
    #[error("the admin socket {socket} can't be bound: {why}")]
    Socket { socket: String, why: String },
    #[error("{0}")]
    Roles(String),
    #[error("{directory} does not exist: make it, or set {key} to another place")]
    MissingDirectory { directory: String, key: &'static str },
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("[mail] smtp: {0}")]
    Mail(String),
    #[error("[rules] load: {0}")]
    Directory(#[from] DirectoryError),
    #[error("the rules of {what} can't be used: {why}")]
    Rules { what: String, why: String, rendered: String },
    #[error("[sip] listen: {0}")]
    Bind(#[from] BindError),
    #[error("[sip] tls: {0}")]
    Tls(#[from] TlsError),
    #[error("{listen} means every address: set {key} to the one that phones reach us by")]
    Unreachable { listen: IpAddr, key: &'static str },
    #[error("[media]: {0}")]
    Ports(#[from] PortsError),
    #[error("{0}")]
    Identity(#[from] NoIdentity),
    #[error("the system gives no threads: {0}")]
    Threads(std::io::Error),
    #[error("the daemon broke off: {0}")]
    Broken(String),
}

impl StartError {
    /// What stands before the line: diagnostics with their source lines.
    #[must_use]
    pub fn rendered(&self) -> &str {
        match self {
            StartError::Rules { rendered, .. } => rendered,
            _ => "",
        }
    }

    /// A fault of ours rather than of what we were given.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, StartError::Broken(_))
    }
}

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// It could not start, and has left nothing behind but what it found.
pub fn run(config: Config) -> Result<(), StartError> {
    let level = log::start(&config);
    dumps::forbid();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    allow_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(StartError::Threads)?;
    let running = Running::start(config, level)?;
    let result = runtime.block_on(running.until_stopped());
    // A blocking task that hangs in a resolver must not keep the process.
    runtime.shutdown_background();
    result
}

/// Everything that is up.
struct Running {
    config: Config,
    level: log::Level,
    admin: Arc<Admin>,
    roles: Arc<Roles>,
    socket: AdminSocket,
    drained: Arc<Notify>,
    bound: Vec<(Transport, SocketAddr)>,
}

impl Running {
    /// The checklist. Each step either holds or ends the start; the first threads start in the last but one.
    fn start(config: Config, level: log::Level) -> Result<Running, StartError> {
        let roles = Arc::new(Roles::new(&config.admin).map_err(StartError::Roles)?);
        socket::is_free(&config.admin)?;
        make_directories(&config)?;
        let (store, report) = SledStore::open(&config.store)?;
        report.log();
        let store: Arc<dyn Store> = Arc::new(store);

        // The plane does not run yet; whatever is published before it does is in the first inputs.
        let plane: Arc<OnceLock<Handle>> = Arc::default();
        let publish: Publish = {
            let plane = plane.clone();
            Arc::new(move |input| {
                if let Some(plane) = plane.get() {
                    plane.input(input);
                }
            })
        };
        let on_disk = rulesets::read(&config.load);
        let bases = rulesets::bases(&config, on_disk.as_deref().unwrap_or_default());
        let of_files = on_disk.as_ref().ok().and_then(|d| d.first()?.domain.clone());
        let generations = Arc::new(Generations::default());
        let (trials, trouble) = Trials::open(&config.store);
        if let Some(trouble) = trouble {
            tracing::error!("{trouble}");
        }
        let listening = config.listen.iter().map(|listen| listen.transport).collect();
        let pipeline = Pipeline::new(store.clone(), generations.clone(), bases.clone(), publish, trials)
            .listening(listening, config.mail.is_some());
        rulesets::start(&*store, &pipeline, &generations, on_disk)?;
        warn_of_default(&config, &generations);
        pipeline.forget_void_trials();
        let statuses = Statuses::restore(&*store, clock::now().wall)?;
        let first = first_inputs(&*store, &generations, &statuses)?;

        let wanted: Vec<(Transport, SocketAddr)> =
            config.listen.iter().map(|l| (l.transport, l.address)).collect();
        let tls = Arc::new(Tls::load(&config.tls)?);
        let bound = listen::bind(&wanted)?.with(tls, limits(&config));
        let addresses: Vec<(Transport, SocketAddr)> = bound.addresses().collect();
        let listeners: Vec<Listener> =
            bound.addresses().map(|(t, bound)| listener(&config, t, bound)).collect::<Result<_, _>>()?;
        let ports =
            Ports::open(config.media.listen, range(&config.media), config.media.dscp, PAIRS_AT_FIRST)?;
        let socket = socket::take(&config.admin, &roles)?;

        let about = About {
            started: clock::now().wall,
            listening: listeners.iter().map(shown).collect(),
            media: format!("{} ports {}", config.media.listen, shown_range(&config.media)),
            store: config.store.display().to_string(),
        };
        let events = Arc::new(Announcer::default());
        let drained = Arc::new(Notify::new());
        let notices = Arc::new(Notices::default());
        let mailer = mailer(&config, &events)?;
        let outlet = Outlet::new(store.clone(), events.clone(), notices.clone(), drained.clone(), mailer);
        let default_domain = config.default_domain.clone().or_else(|| {
            // The embedded default is the domain of the example that it loads.
            of_files
                .filter(|d| config.file.is_none() && generations.domain(d).is_some())
                .map(|d| d.to_string())
        });
        let media_address = match config.media.advertise {
            Some(address) => address,
            None => reachable(config.media.listen, "[media] advertise")?,
        };
        let identity = Identity::make()?;
        let fingerprint = Arc::new(identity.fingerprint());
        let switch = switch_config(&config, listeners, default_domain, media_address, fingerprint);
        let media = Media {
            ports,
            threads: config.media.threads,
            identity: Some(identity),
            fast: fast_path(&config.media),
            voice: config.voice.files(bases),
        };
        let handle =
            Plane::start(switch, seed()?, first, bound, media, outlet).map_err(StartError::Threads)?;
        let _ = plane.set(handle.clone());
        let admin = Arc::new(Admin {
            store,
            generations,
            pipeline,
            statuses,
            plane: handle,
            events,
            notices,
            about,
            draining: AtomicBool::new(false),
            blaming: Arc::new(Semaphore::new(1)),
        });
        Ok(Running { config, level, admin, roles, socket, drained, bound: addresses })
    }

    /// Serves until a signal; then drains.
    async fn until_stopped(mut self) -> Result<(), StartError> {
        let broken = |e: std::io::Error| StartError::Broken(e.to_string());
        let listener =
            self.socket.listener.take().ok_or_else(|| StartError::Broken("no admin socket".into()))?;
        listener.set_nonblocking(true).map_err(broken)?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(broken)?;
        let mut signals = signals::Signals::new().map_err(broken)?;
        tokio::spawn(trunks::keep_located(self.admin.clone(), self.locating()));
        tokio::spawn(admin::trials::keep(self.admin.clone()));
        let served = tokio::spawn(admin::serve(listener, self.admin.clone(), self.roles.clone()));
        self.greet();
        notify::ready();
        // Nobody waits for it: a sound that can't be played keeps nothing from starting.
        let (admin, voice) = (self.admin.clone(), self.config.voice.clone());
        tokio::task::spawn_blocking(move || rulesets::audition(&admin.pipeline, &admin.generations, &voice));
        let signalled = async {
            signals.until_stop(&self.config, &self.level, &self.admin).await;
            signals.drain(&self.admin, &self.drained, self.config.drain_after).await;
        };
        let ended_by_itself = tokio::select! {
            () = signalled => false,
            () = notify::watch(self.admin.plane.clone()) => true,
        };
        served.abort();
        let (plane, store) = (self.admin.plane.clone(), self.admin.store.clone());
        let flushed = tokio::task::spawn_blocking(move || {
            plane.stop();
            store.flush()
        });
        let flushed = flushed.await.map_err(|e| StartError::Broken(e.to_string()))?;
        flushed?;
        if ended_by_itself {
            return Err(StartError::Broken("the signalling plane has ended".into()));
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// By whom proxies of trunks are looked up, and what they may be reached by.
    fn locating(&self) -> trunks::Locating {
        let (nameservers, ours) = (self.config.nameservers.clone(), self.bound.clone());
        trunks::Locating { nameservers, ours }
    }

    /// What was bound, and what to try next.
    fn greet(&self) {
        let About { listening, media, store, .. } = &self.admin.about;
        let mut lines: Vec<String> = listening.iter().map(|l| format!("SIP    {l}")).collect();
        lines.push(format!("media  {media}"));
        lines.push(format!("store  {store}"));
        lines.push(format!("admin  {}", self.socket.shown()));
        for live in self.admin.generations.all() {
            lines.push(format!("rules  {}, generation {}", live.stored.domain, live.stored.generation));
        }
        lines.push("try    ringtree user list; ringtree registrations; ringtree events; ringtree route --to EXT --from EXT".into());
        // Nobody has to read it.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), (lines.join("\n") + "\n").as_bytes());
    }
}

/// Rules, statuses and registrations as they were: known before the first packet is read.
fn first_inputs(
    store: &dyn Store,
    generations: &Generations,
    statuses: &Statuses,
) -> Result<Vec<Input>, StartError> {
    let domains = generations.all().into_iter().map(|l| l.domain.clone());
    let mut first = vec![Input::Rules(Arc::new(Ruleset::new(domains)))];
    first.extend(statuses.all().into_iter().map(|(key, status)| Input::Status { key, status: Some(status) }));
    first.extend(store.usages()?.into_iter().map(Input::Spent));
    first.extend(store.records(1)?.into_iter().map(|newest| Input::LastRecord(newest.id)));
    first.extend(store.bindings()?.into_iter().map(refreshes::restored).map(Input::Restore));
    Ok(first)
}

/// A default domain that is not there catches nothing: phones that name an address get 403, and nobody would know why.
fn warn_of_default(config: &Config, generations: &Generations) {
    let Some(name) = &config.default_domain else { return };
    if generations.domain(name).is_some() {
        return;
    }
    let loaded: Vec<String> = generations.all().iter().map(|live| live.stored.domain.to_string()).collect();
    let loaded = if loaded.is_empty() { "none yet".to_owned() } else { loaded.join(", ") };
    tracing::warn!("[sip] default_domain names {name}, which is not loaded (loaded: {loaded})");
}

/// What branches, tags, Call-IDs and nonces are drawn from.
fn seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|e| StartError::Broken(format!("the system gives no random numbers: {e}")))?;
    Ok(seed)
}

fn switch_config(
    config: &Config,
    listeners: Vec<Listener>,
    default_domain: Option<String>,
    media: IpAddr,
    fingerprint: Arc<Fingerprint>,
) -> switch::Config {
    switch::Config {
        listeners,
        default_domain,
        digest: config.digest.clone(),
        expiry: config.expiry.into(),
        calls_max: config.calls_max,
        node: 0,
        ports_low: PAIRS_LOW,
        media_advertise: Some(media).filter(|m| *m != config.media.listen),
        media_advertise_ipv6: config.media.advertise_ipv6,
        fingerprint: Some(fingerprint),
        srtp: config.media.srtp,
        unsolicited_mwi: config.unsolicited_mwi,
        strangers: config.strangers,
        session: config.session,
        drain_after: config.drain_after,
    }
}

/// A phone that refreshes its registration in time is not silent for too long, whatever the configuration has it wait.
fn limits(config: &Config) -> Limits {
    let defaults = Limits::default();
    let refreshed = Duration::from_secs(u64::from(config.expiry.max_s)) * 2;
    Limits {
        connections_max: config.connections_max,
        of_source_max: config.of_source_max,
        silence_max: defaults.silence_max.max(refreshed),
        ..defaults
    }
}

/// What Via and Contact say of a listener.
fn listener(config: &Config, transport: Transport, bound: SocketAddr) -> Result<Listener, StartError> {
    let advertise = match &config.advertise {
        None => SocketAddr::new(reachable(bound.ip(), "[sip] advertise")?, bound.port()).to_string(),
        Some(host) => address::advertised(host, transport, bound.port()),
    };
    Ok(Listener { transport, bound, advertise })
}

fn reachable(listen: IpAddr, key: &'static str) -> Result<IpAddr, StartError> {
    let found = address::reachable(listen).ok_or(StartError::Unreachable { listen, key })?;
    if found != listen {
        tracing::warn!("{listen} means every address; phones are told {found} ({key} says another one)");
    }
    Ok(found)
}

/// What `[mail]` says, carried out.
fn mailer(config: &Config, events: &Arc<Announcer>) -> Result<Option<Mailer>, StartError> {
    let Some(mail) = &config.mail else { return Ok(None) };
    let mail = mail::Mail { ca: config.tls.ca.clone(), ..mail.clone() };
    Mailer::start(&mail, mail::Pace::default(), events.clone()).map(Some).map_err(StartError::Mail)
}

fn shown(listener: &Listener) -> String {
    let address = format!("{}://{}", listener.transport.scheme(), listener.bound);
    if listener.advertise == listener.bound.to_string() {
        address
    } else {
        format!("{address}, as {}", listener.advertise)
    }
}

/// What passes established streams on in the kernel, where that is wanted and can be: calls go on without it.
fn fast_path(media: &MediaConfig) -> Option<Arc<FastPath>> {
    if media.fast_path.is_empty() {
        return None;
    }
    let interfaces = media.fast_path.join(", ");
    match FastPath::start(&media.fast_path, media.listen, media.dscp) {
        Ok(fast) => {
            tracing::info!(%interfaces, "media that comes in there goes by the fast path once it is established");
            Some(Arc::new(fast))
        }
        Err(why) => {
            tracing::warn!(%interfaces, "no fast path, all media goes through the relay's sockets: {why}");
            None
        }
    }
}

fn range(media: &MediaConfig) -> Range {
    match media.ports {
        (0, _) => Range::Any,
        (low, high) => Range::Within(low..=high),
    }
}

fn shown_range(media: &MediaConfig) -> String {
    match media.ports {
        (0, _) => "as the system gives them".into(),
        (low, high) => format!("{low}-{high}"),
    }
}

/// The parents of store and socket: one level, so that a slip in a path is an error and not a tree of directories.
fn make_directories(config: &Config) -> Result<(), StartError> {
    for (path, key) in [(&config.store, "[store] path"), (&config.admin.socket, "[admin] socket")] {
        let Some(parent) = path.parent().filter(|p| *p != Path::new("")) else { continue };
        if parent.is_dir() {
            continue;
        }
        std::fs::create_dir(parent)
            .map_err(|_| StartError::MissingDirectory { directory: parent.display().to_string(), key })?;
    }
    Ok(())
}

/// A call takes four descriptors, and the usual soft limit is 1024.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS_WANTED, |max| max.min(DESCRIPTORS_WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
}
