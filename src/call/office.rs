//! What all calls share: the transaction layer, the location service, free relay ports, live state, our addresses. And where their
//! effects go, in order.

use super::alert::Alert;
use super::budgets::Budgets;
use super::charged::BudgetStop;
use super::conference::Attended;
use super::dialogs::Dialogs;
use super::errand::Errand;
use super::folds::Folds;
use super::guesses::Guesses;
use super::lines::{Lines, Target};
use super::record::CallRecord;
use super::rooms::Rooms;
use super::session_timer::Limits;
use super::statuses::{DomainStatuses, Statuses};
use super::trunk::contacts;
use super::wake::Push;
use crate::clock::Now;
use crate::ids::Ids;
use crate::registrar::binding::{BindingKey, DeviceKey};
use crate::registrar::location::Removal;
use crate::registrar::{Binding, Change, Location};
use crate::relay::pool::Pool;
use crate::relay::{Audio, Command};
use crate::rules::model::{Budget, Spent};
use crate::rules::tree::Tree;
use crate::rules::{Domain, Live, UserStatus};
use crate::sdp::keying::Srtp;
use crate::sdp::{Fingerprint, Keying};
use crate::service::say::{Language, language};
use crate::sip::{ConnectionId, Flow, Message, Transport};
use crate::transaction::large::Beside;
use crate::transaction::{self, ClientId, ServerId, Transactions};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroize as _;

/// How long after an emergency call a call to the number that it showed passes lists, DND, screening and forwards. RFC 7090 gives no
/// time; a call-taker who was cut off calls back within minutes.
pub const CALLBACK_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Call-back numbers that are awaited at once; one more takes the place of the one that was to end first.
pub const CALLBACKS_MAX: usize = 1024;

/// Calls that wait for one device to register; the oldest is forgotten for one more, and its leg ends when its wait does.
pub const AWAITING_MAX: usize = 64;

/// The name of a live call within the core: part of its tags and of its transactions' names. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub u64);

/// Client transactions of one call are numbered within it; the rest of the name is the call's.
const CLIENTS_BITS: u32 = 20;

impl CallKey {
    /// The name of this call's client transaction number `n`.
    #[must_use]
    pub fn client(self, n: u32) -> ClientId {
        ClientId(self.0 << CLIENTS_BITS | u64::from(n) & ((1 << CLIENTS_BITS) - 1))
    }

    /// The call that a client transaction belongs to.
    #[must_use]
    pub fn of_client(id: ClientId) -> CallKey {
        CallKey(id.0 >> CLIENTS_BITS)
    }
}

/// A user or trunk of a domain, by name.
pub type Named = (Arc<str>, Arc<str>);

/// One of our listeners: where it is bound, and what Via and Contact say of it.
#[derive(Clone, Debug)]
pub struct Listener {
    pub transport: Transport,
    pub bound: SocketAddr,
    /// `host:port`; behind NAT not what is bound.
    pub advertise: String,
}

/// What calls want done beside their transactions.
#[derive(Debug)]
pub enum Effect {
    /// Outside any transaction: an ACK to a 2xx.
    Send {
        flow: Flow,
        bytes: Bytes,
    },
    Media(Command),
    Voice(crate::voice::Command),
    /// A registration changed.
    Binding(Change),
    Started {
        id: String,
        domain: String,
        from: String,
        to: String,
    },
    Ringing {
        id: String,
        leg: String,
    },
    Answered {
        id: String,
        answered_by: Option<String>,
    },
    Ended(Arc<CallRecord>),
    /// Who is heard in a call has changed.
    Audio {
        id: String,
        audio: Audio,
    },
    /// Somebody has come into a conference, or left it.
    Attended(Attended),
    /// A phone is to be woken.
    Push(Push),
    /// An emergency call goes out.
    Emergency(Alert),
    /// A budget is used up.
    Stopped(BudgetStop),
}

pub struct Office {
    pub ids: Ids,
    pub transactions: Transactions,
    pub location: Location,
    pub ports: Pool,
    pub listeners: Vec<Listener>,
    pub statuses: Statuses,
    /// The trees of users who have set something.
    pub folds: Folds,
    /// Trunks: where they lead, how they fare.
    pub lines: Lines,
    /// What users have spent.
    pub budgets: Budgets,
    /// Conferences that somebody is in.
    pub rooms: Rooms,
    /// Wrong PINs of conferences.
    pub guesses: Guesses,
    /// Call-back numbers of recent emergency calls, by domain, and until when.
    callbacks: FxHashMap<Named, Instant>,
    /// Calls that each user is part of: made by them, or answered by them.
    pub active: FxHashMap<Named, u32>,
    /// What of the calls of each user others can watch.
    pub dialogs: Dialogs,
    /// Calls that wait for a device to register.
    awaiting: FxHashMap<DeviceKey, Vec<CallKey>>,
    /// INVITE server transactions that wait for their final response, for CANCEL.
    pub pending: FxHashMap<ServerId, CallKey>,
    /// What the transaction layer handed up and nobody has looked at yet.
    pub events: Vec<transaction::Event>,
    pub effects: Vec<Effect>,
    /// Answers that came when their calls were over: numbers the BYEs that they got.
    pub dismissed: u32,
    /// What calls want of each other.
    pub errands: Vec<Errand>,
    /// What session timers ask for (RFC 4028).
    pub session: Limits,
    /// What our SDP says instead of the address that relay ports are bound to (behind NAT).
    pub media_advertise: Option<IpAddr>,
    /// What our SDP says to whoever is reached by IPv6, where the relay ports take both families; to others it says the other one.
    pub media_advertise_ipv6: Option<Ipv6Addr>,
    /// How numbers are put together in what we say.
    pub language: &'static Language,
    /// Of the certificate that we show in DTLS handshakes of media.
    pub fingerprint: Option<Arc<Fingerprint>>,
    /// Whether media is secured with whom the rules don't say it of.
    pub srtp: Srtp,
}

impl Office {
    /// Whether the host of a URI is one that our listeners go by.
    #[must_use]
    pub fn is_at(&self, host: &str) -> bool {
        let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
        let own = |listener: &Listener| listener.advertise.rsplit_once(':').map(|(own, _)| bare(own));
        self.listeners.iter().any(|listener| own(listener) == Some(bare(host)))
    }

    #[must_use]
    pub fn new(ids: Ids, listeners: Vec<Listener>, mut transactions: Transactions) -> Office {
        transactions.take_large(beside(&listeners));
        Office {
            ids,
            transactions,
            location: Location::default(),
            ports: Pool::default(),
            listeners,
            statuses: Statuses::default(),
            folds: Folds::default(),
            lines: Lines::default(),
            budgets: Budgets::default(),
            rooms: Rooms::default(),
            guesses: Guesses::default(),
            callbacks: FxHashMap::default(),
            active: FxHashMap::default(),
            dialogs: Dialogs::default(),
            awaiting: FxHashMap::default(),
            pending: FxHashMap::default(),
            events: Vec::new(),
            effects: Vec::new(),
            dismissed: 0,
            errands: Vec::new(),
            session: Limits::default(),
            media_advertise: None,
            media_advertise_ipv6: None,
            language: &language::ENGLISH,
            fingerprint: None,
            srtp: Srtp::default(),
        }
    }

    /// Keys of ours for one more dialog.
    pub fn keying(&mut self) -> Keying {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&self.ids.word().to_be_bytes());
        }
        let keying = Keying::new(secret, self.fingerprint.clone());
        secret.zeroize();
        keying
    }

    /// What Via and Contact say on this flow: `host:port`.
    #[must_use]
    pub fn sent_by(&self, flow: &Flow) -> &str {
        let same = |l: &&Listener| l.transport == flow.transport && l.bound == flow.local;
        let listener = self.listeners.iter().find(same).or_else(|| self.listener(flow.transport));
        listener.map_or("127.0.0.1", |l| l.advertise.as_str())
    }

    /// Our first listener of that transport.
    #[must_use]
    pub fn listener(&self, transport: Transport) -> Option<&Listener> {
        self.listeners.iter().find(|l| l.transport == transport)
    }

    /// How a place is reached: from our first listener of its transport and its family of addresses. A connection is opened, or one that
    /// stands is used.
    #[must_use]
    pub fn flow_to(&self, target: &Target) -> Option<Flow> {
        let Target { transport, remote, name } = *target;
        let reaches = |l: &&Listener| l.transport == transport && l.bound.is_ipv4() == remote.is_ipv4();
        let local = self.listeners.iter().find(reaches)?.bound;
        Some(Flow { transport, local, remote, connection: name.map(ConnectionId::to_server) })
    }

    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// A challenge is sent once and forgotten: it is to whoever may be nobody.
    pub fn respond(&mut self, now: Now, id: ServerId, status: u16, bytes: Bytes) {
        self.transactions.respond(now.mono, id, status, bytes, &mut self.events);
    }

    /// Answers without a memory of it.
    pub fn respond_once(&mut self, id: ServerId, bytes: Bytes) {
        self.transactions.respond_once(id, bytes, &mut self.events);
    }

    /// 100: somebody is at it.
    pub fn trying(&mut self, now: Now, id: ServerId, invite: &Message) {
        self.transactions.trying(now.mono, id, invite, &mut self.events);
    }

    pub fn request(&mut self, now: Now, id: ClientId, flow: Flow, bytes: Bytes) {
        self.transactions.request(now.mono, id, flow, bytes, &mut self.events);
    }

    pub fn cancel(&mut self, now: Now, id: ClientId, reasons: &[&str]) {
        self.transactions.cancel(now.mono, id, reasons, &mut self.events);
    }

    /// The user is part of one call more.
    pub fn seize(&mut self, user: &Named) {
        *self.active.entry(user.clone()).or_default() += 1;
    }

    /// The user is part of one call less.
    pub fn release(&mut self, user: &Named) {
        if let Some(count) = self.active.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.active.remove(user);
            }
        }
    }

    /// An emergency call has shown this number: a call to it may be the emergency centre's.
    pub fn await_callback(&mut self, now: Now, domain: &Arc<str>, number: &Arc<str>) {
        let key = (domain.clone(), number.clone());
        if self.callbacks.len() >= CALLBACKS_MAX && !self.callbacks.contains_key(&key) {
            let first = self.callbacks.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
            first.map(|first| self.callbacks.remove(&first));
        }
        self.callbacks.insert(key, now.mono + CALLBACK_WITHIN);
    }

    #[must_use]
    pub fn awaits_callback(&self, now: Now, domain: &Arc<str>, number: &str) -> bool {
        !self.callbacks.is_empty()
            && self.callbacks.get(&(domain.clone(), Arc::from(number))).is_some_and(|until| now.mono < *until)
    }

    /// The call wants to know when the device registers next.
    pub fn await_registration(&mut self, device: DeviceKey, call: CallKey) {
        let calls = self.awaiting.entry(device).or_default();
        if calls.len() == AWAITING_MAX {
            calls.remove(0);
        }
        if !calls.contains(&call) {
            calls.push(call);
        }
    }

    /// The calls that wait for this device, which has registered; those that are over by now are among them.
    pub fn registered(&mut self, device: &DeviceKey) -> Vec<CallKey> {
        if self.awaiting.is_empty() { Vec::new() } else { self.awaiting.remove(device).unwrap_or_default() }
    }

    /// Devices that calls wait for, and call-back numbers.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        (self.awaiting.len(), self.callbacks.len())
    }

    /// The way of a contact is broken: it is taken back.
    pub fn flow_failed(&mut self, now: Now, contact: &BindingKey) {
        let mut changes = Vec::new();
        self.location.remove(now, contact, Removal::FlowFailed, &mut changes);
        self.effects.extend(changes.into_iter().map(Effect::Binding));
    }

    #[must_use]
    pub fn bindings(&self, domain: &Arc<str>, device: &Arc<str>) -> &[Binding] {
        self.location.of(&DeviceKey { domain: domain.clone(), device: device.clone() })
    }

    /// Live state of a domain, as a decision about a call sees it; a call made by `own` doesn't count against its own maker.
    #[must_use]
    pub fn live<'a>(&'a self, domain: &'a Domain, now: Now, own: Option<&'a Named>) -> OfficeLive<'a> {
        OfficeLive { office: self, statuses: self.statuses.domain(domain.name()), domain, now, own }
    }
}

/// Of each UDP listener the TCP listener beside it: on the same address, best on the same port.
fn beside(listeners: &[Listener]) -> Vec<Beside> {
    let of = |udp: &Listener| {
        let near = |l: &&Listener| l.transport == Transport::Tcp && l.bound.ip() == udp.bound.ip();
        let tcp = listeners.iter().filter(near).min_by_key(|tcp| tcp.bound.port() != udp.bound.port())?;
        Some(Beside { udp: udp.bound, tcp: tcp.bound, sent_by: tcp.advertise.clone() })
    };
    listeners.iter().filter(|l| l.transport == Transport::Udp).filter_map(of).collect()
}

/// See [`Office::live`].
pub struct OfficeLive<'a> {
    office: &'a Office,
    statuses: Option<&'a DomainStatuses>,
    domain: &'a Domain,
    now: Now,
    own: Option<&'a Named>,
}

impl Live for OfficeLive<'_> {
    fn offline(&self, device: &str) -> bool {
        let key = self.domain.device(device).map(|view| &view.key);
        key.is_none_or(|key| self.office.location.of(key).is_empty())
    }

    fn active_calls(&self, user: &str) -> u32 {
        if self.office.active.is_empty() {
            return 0;
        }
        let count =
            self.office.active.get(&(self.domain.name().clone(), Arc::from(user))).copied().unwrap_or(0);
        let own = self.own.is_some_and(|(domain, own)| domain == self.domain.name() && &**own == user);
        count.saturating_sub(u32::from(own))
    }

    fn status(&self, user: &str) -> Option<&UserStatus> {
        self.statuses?.user(user, self.now)
    }

    fn folded(&self, user: &str) -> Option<&Tree> {
        // A status that has just ended counts no more, whether or not its tree is still here.
        self.status(user).and_then(|_| self.office.folds.tree(self.domain, user))
    }

    fn frame_override(&self, frame: &str) -> Option<bool> {
        self.statuses?.frame(frame, self.now)
    }

    /// Of a phone that is no hot desk any more, and by a user who is gone, no log-in counts.
    fn seated(&self, device: &str) -> Option<&str> {
        let user = self.statuses?.seat(device, self.now)?;
        let counts = self.domain.device(device).is_some_and(|device| device.hotdesk)
            && self.domain.user(user).is_some();
        counts.then_some(&**user)
    }

    fn trunk_down(&self, trunk: &str) -> bool {
        let name = self.domain.name();
        if let Some(trunk) = self.domain.trunk(trunk).filter(|trunk| trunk.registers_here) {
            return contacts(&self.office.location, name, trunk).next().is_none();
        }
        self.office.lines.leads_nowhere(&(name.clone(), Arc::from(trunk)))
    }

    fn spent(&self, user: &str, class: &str) -> Spent {
        self.office.budgets.spent(self.now, self.domain.name(), user, class)
    }

    /// A call keeps its rules and no budget: one that was raised since counts for what is asked of an older call as well.
    fn budget(&self, user: &str, class: &str) -> Option<Option<Budget>> {
        self.office.budgets.in_force(self.domain.name(), user, class)
    }

    fn trunk_full(&self, trunk: &str) -> bool {
        self.office.lines.is_full(self.domain, trunk)
    }
}
