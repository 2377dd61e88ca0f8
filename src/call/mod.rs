//! Calls: the back-to-back user agent (RFC 7092: a signalling and media-plane B2BUA). One [`Call`] is one INVITE of a caller, its walk
//! through the rules, the branches that ring for it, and the bridge of the two dialogs once somebody has answered.
//!
//! What it is not: it knows no sockets and no clock; it decides nothing about where a call goes (that is `rules`).
//!
//! Invariants: the caller's INVITE gets exactly one final response; at most one branch wins; every 2xx of a branch is ACKed, and
//! BYEd unless it won; the relay is closed exactly once.

pub mod alert;
mod aside;
mod attended;
mod audio;
pub mod branch;
pub mod bridge;
pub mod budgets;
pub mod caller;
pub mod capabilities;
pub mod census;
mod challenged;
pub mod charged;
pub mod conference;
mod confirm;
mod deflection;
mod destination;
pub mod device;
pub mod dialogs;
pub mod early;
mod early_update;
mod ending;
pub mod errand;
pub mod folds;
pub mod fork;
pub mod geolocation;
pub mod guesses;
pub mod guest;
pub mod headers;
pub mod history;
mod hold_music;
mod join;
mod lasting;
mod leaver;
pub mod lines;
pub mod log;
pub mod media;
pub mod notice;
mod numbering;
pub mod office;
pub mod out_of_dialog;
mod parting;
mod pass;
mod peer;
pub mod pickup;
mod precedence;
pub mod record;
mod recorded;
pub mod referral;
mod refresh;
pub mod reliable;
mod responses;
pub mod ring;
mod ringback;
pub mod rooms;
pub mod seats;
mod served;
pub mod session_timer;
pub mod sips;
mod state;
pub mod statuses;
pub mod stray;
mod tag;
mod terms;
pub mod transfer;
pub mod trunk;
pub mod unacked;
mod vacancy;
pub mod verdict;
mod voiced;
pub mod wake;
mod winner;

use crate::clock::Now;
use crate::relay::Side;
use crate::rules::{Domain, Next, Walk};
use crate::sdp;
use crate::service::announce::Announcement;
use crate::sip::{Flow, Message, Name};
use crate::transaction::{ClientId, ServerId};
use branch::Branch;
use caller::Caller;
use challenged::Sent;
use device::Only;
use early_update::EarlyUpdate;
use history::History;
use leaver::Leaver;
use lines::Channel;
use log::Log;
use media::{Anchor, Superseded};
use office::{CallKey, Effect, Named, Office};
use record::{CallRecord, Party};
use ring::{Order, Ring, Stop};
use served::{Refusal, Service};
use state::State;
use std::sync::Arc;
use tag::tag;
pub use tag::{Place, names_dialog, of_tag};
use transfer::Transfer;
use wake::Sleeper;

/// The caller gave up, or somebody else answered: words of RFC 3326 and RFC 9366.
const COMPLETED_ELSEWHERE: [&str; 2] = ["SIP;cause=200;text=\"Call completed elsewhere\"", "Q.850;cause=26"];
const DECLINED_ELSEWHERE: [&str; 1] = ["SIP;cause=603;text=\"Declined\""];

/// What the rules say of the code that picks up what rings.
const PICKUP: &str = "code:pickup";
/// And of announcements, before the name.
const ANNOUNCE: &str = "announce:";
/// And of conferences.
const CONFERENCE: &str = "conference:";

/// An INVITE that is let in: who calls, and whose rules decide.
pub struct Arrival {
    pub key: CallKey,
    pub server: ServerId,
    pub flow: Flow,
    pub invite: Message,
    pub domain: Arc<Domain>,
    pub walk: Walk,
    /// The user whose phone it came from.
    pub maker: Option<Arc<str>>,
    /// The trunk that it came in by.
    pub trunk: Option<Arc<str>>,
    /// Where it was before.
    pub history: History,
    pub from: Party,
    pub to: String,
    /// The one phone that it is for, where a GRUU was called.
    pub only: Option<Only>,
}

#[derive(Debug)]
pub struct Call {
    key: CallKey,
    domain: Arc<Domain>,
    caller: Caller,
    /// What the caller's INVITE offered; `None`: the offer is to come from the callee (RFC 3264 §5, late offer).
    offer: Option<bytes::Bytes>,
    walk: Walk,
    state: State,
    branches: Vec<Branch>,
    /// The one phone that it is for, where a GRUU was called.
    only: Option<Only>,
    /// Phones that are being woken.
    sleepers: Vec<Sleeper>,
    /// Ring stages so far: branches of an earlier one can't win any more.
    stage: u32,
    /// Forwards that its caller was told of.
    forwards: usize,
    anchor: Option<Anchor>,
    /// Relays beside it so far: numbers their names. And those of its own that another one has taken the place of.
    relays: u32,
    superseded: Vec<Superseded>,
    /// See [`headers::loop_token`].
    loop_token: u32,
    /// Client transactions so far: numbers their names.
    clients: u32,
    /// BYEs, NOTIFYs and PRACKs that wait for their response.
    byes: u32,
    maker: Option<Named>,
    taker: Option<Named>,
    /// Whether the caller came in by a trunk.
    by_trunk: bool,
    /// What the call holds of the trunk that it came in by.
    channel: Option<Channel>,
    /// What its INVITE says of its past. A phone's word for it goes no further: it could name anybody.
    history: History,
    /// An UPDATE before the answer, on its way.
    early_update: Option<Box<EarlyUpdate>>,
    /// Requests to a trunk that may be answered with a challenge.
    sent: Vec<Sent>,
    /// Who has transferred the call, and is to be hung up on once they know.
    leaver: Option<Leaver>,
    /// Branches whose party was promised TLS, see [`Call::promise`].
    promised: Vec<usize>,
    /// What of it others can watch, as it was last shown.
    shown: dialogs::Standing,
    log: Log,
}

impl Call {
    /// Takes an INVITE: decides, and rings or refuses. The call may be over on return; it is to be kept until
    /// [`Call::is_finished`].
    pub fn begin(office: &mut Office, now: Now, arrival: Arrival) -> Call {
        let Arrival { key, server, flow, invite, domain, walk, maker, trunk, history, from, to, only } =
            arrival;
        let id = office.ids.call_record_id(now);
        office.effect(Effect::Started {
            id: id.clone(),
            domain: domain.name().to_string(),
            from: from.raw.clone(),
            to: to.clone(),
        });
        let offer = headers::description(&invite);
        let loop_token = headers::loop_token(&invite, &from.origin);
        let maker = maker.map(|user| (domain.name().clone(), user));
        let history = if trunk.is_some() { history } else { History::default() };
        let channel = trunk.map(|trunk| office.lines.channel(&(domain.name().clone(), trunk)));
        let caller = Caller::new(office, key, server, flow, invite);
        office.pending.insert(server, key);
        if let Some(maker) = &maker {
            office.seize(maker);
        }
        let mut call = Call {
            key,
            domain,
            caller,
            offer,
            walk,
            state: State::Over(None),
            branches: Vec::new(),
            only,
            sleepers: Vec::new(),
            stage: 0,
            forwards: 0,
            anchor: None,
            relays: 0,
            superseded: Vec::new(),
            loop_token,
            clients: 0,
            byes: 0,
            maker,
            taker: None,
            by_trunk: channel.is_some(),
            channel,
            history,
            early_update: None,
            sent: Vec::new(),
            leaver: None,
            promised: Vec::new(),
            shown: dialogs::Standing::new(),
            log: Log {
                id,
                from,
                to,
                began: now,
                answer: None,
                end: None,
                ending: None,
                answered_by: None,
                legs: Vec::new(),
                transfers: Vec::new(),
                pickups: Vec::new(),
                media: None,
                recording: None,
                recording_failed: None,
                session_id: None,
                why: None,
            },
        };
        if let Some(Err(broken)) = call.offer.as_deref().map(sdp::audio) {
            // RFC 3261 §21.4.26, §20.43: 304 is "media type not available", 305 "incompatible network address format".
            call.refuse(office, now, 488, "failed", vec![(Name::Warning, terms::warning(broken))]);
            return call;
        }
        let next = call.walk.start(&office.live(&call.domain, now, call.maker.as_ref()));
        if let Err(broken) = call.hear_caller(office) {
            call.refuse(office, now, 488, "failed", vec![(Name::Warning, terms::warning(broken))]);
            return call;
        }
        call.proceed(office, now, next);
        call
    }

    /// What the rules say next.
    fn proceed(&mut self, office: &mut Office, now: Now, next: Next) {
        let mut next = next;
        loop {
            let stopped = self.tell_of_stops(office);
            match next {
                Next::Reject { status, cause } => {
                    let rang = self.stage > 0;
                    let outcome = verdict::outcome_word(status, cause, rang);
                    let reason = cause.map(|cause| match &stopped {
                        Some(words) if status == 403 && !self.by_trunk => charged::reason(cause, words),
                        Some(_) | None => format!("Q.850;cause={cause}"),
                    });
                    let fields = reason.map(|reason| (Name::Reason, reason)).into_iter().collect();
                    let treatment = self.walk.treatment();
                    match treatment.and_then(|treatment| Announcement::treatment(&self.domain, treatment)) {
                        Some(said) => {
                            let refusal = Refusal { status, outcome, fields };
                            return self.refuse_speaking(office, now, said, refusal);
                        }
                        None => return self.refuse(office, now, status, outcome, fields),
                    }
                }
                Next::Service { what } if &*what == PICKUP && !matches!(self.state, State::Answered(_)) => {
                    return self.look_for_ringing(office);
                }
                Next::Service { what } => {
                    if let Some(name) = what.strip_prefix(ANNOUNCE) {
                        let announcement = Announcement::named(&self.domain, name);
                        return self.serve(office, now, Service::Announcement(announcement));
                    }
                    return match what.strip_prefix(CONFERENCE) {
                        Some(name) => self.confer(office, now, name),
                        None => self.refuse(office, now, 480, "failed", Vec::new()),
                    };
                }
                Next::Ring => {
                    let Some(plan) = self.walk.plan().cloned() else {
                        return self.refuse(office, now, 480, "failed", Vec::new());
                    };
                    if self.offer.is_some() && !self.open_media(office) {
                        let retry = vec![(Name::RetryAfter, "5".to_owned())];
                        return self.refuse(office, now, 503, "failed", retry);
                    }
                    if self.walk.is_emergency() {
                        let mut shown = plan.legs.iter().filter_map(|leg| leg.caller_id.number.as_ref());
                        let callback = shown.next();
                        for number in callback.into_iter().chain(shown) {
                            office.await_callback(now, self.domain.name(), number);
                        }
                        self.alert_staff(office, now, callback.map(|number| &**number));
                    }
                    self.tell_of_forward(office, now);
                    self.stage += 1;
                    let mut ring = Ring::new(plan, now.mono);
                    let mut orders = Vec::new();
                    ring.poll(now.mono, &mut orders);
                    self.state.begin(Box::new(ring));
                    match self.carry_out(office, now, orders) {
                        Some(after) => next = after,
                        None => return,
                    }
                }
            }
        }
    }

    /// 181 for each forward that the call has taken (RFC 3261 §21.1.3): to phones, and to trunks that put up with it.
    fn tell_of_forward(&mut self, office: &mut Office, now: Now) {
        let forwards = self.walk.forwards().len();
        if self.transfer().is_some() || std::mem::replace(&mut self.forwards, forwards) >= forwards {
            return;
        }
        let trunk = self.log.from.origin.strip_prefix("trunk:").and_then(|trunk| self.domain.trunk(trunk));
        if trunk.is_none_or(|trunk| trunk.says_forwarded) {
            self.caller.forwarded(office, now);
        }
    }

    /// Carries out what the ring stage orders. `Some`: the stage is over, and this is what the rules say next.
    fn carry_out(&mut self, office: &mut Office, now: Now, mut orders: Vec<Order>) -> Option<Next> {
        let mut done = 0;
        while let Some(order) = orders.get(done).copied() {
            done += 1;
            match order {
                Order::Start(leg) => {
                    if let Err(outcome) = self.start_leg(office, now, leg)
                        && let Some(ring) = self.state.ring_mut()
                    {
                        ring.ended(now.mono, leg, outcome, &mut orders);
                    }
                }
                Order::Stop(leg, why) => self.stop_leg(office, now, leg, why),
                Order::Over => {
                    let ends = self.state.ring()?.ends();
                    let own = self.asks().cloned();
                    return Some(self.walk.ended(&office.live(&self.domain, now, own.as_ref()), &ends));
                }
            }
        }
        None
    }

    /// Lets the ring stage look at the clock, or takes the orders that an event led to.
    fn ring_on(&mut self, office: &mut Office, now: Now, orders: Vec<Order>) {
        if let Some(next) = self.carry_out(office, now, orders) {
            self.proceed(office, now, next);
        }
    }

    fn stop_leg(&mut self, office: &mut Office, now: Now, leg: usize, why: Stop) {
        let stage = self.stage;
        self.sleepers.retain(|sleeper| !sleeper.is_of(stage, leg));
        let reasons: &[&str] = match why {
            Stop::TimeUp if self.hides_missed_calls() => &COMPLETED_ELSEWHERE,
            Stop::TimeUp => &[],
            Stop::DeclinedElsewhere => &DECLINED_ELSEWHERE,
        };
        let mut outcomes = Vec::new();
        for branch in self.branches.iter_mut().filter(|branch| branch.stage == stage && branch.leg == leg) {
            let outcome = branch.outcome_so_far();
            outcomes.push(outcome);
            if branch.is_calling() {
                self.log.leg_ended(now, branch.entry, None, verdict::word(outcome));
                branch.leave(office, now, reasons);
            }
        }
        if let (Stop::TimeUp, Some(ring)) = (why, self.state.ring_mut()) {
            ring.amend(leg, verdict::together(&outcomes));
        }
    }

    /// `missed_calls = "never"`: phones are told "completed elsewhere" even when nobody answered.
    fn hides_missed_calls(&self) -> bool {
        use crate::rules::model::MissedCalls;
        self.state.ring().is_some_and(|ring| ring.plan().missed_calls == MissedCalls::Never)
    }

    fn open_media(&mut self, office: &mut Office) -> bool {
        if self.anchor.is_none() {
            self.anchor = Anchor::reserve(office, self.key);
            if let (Some(anchor), Some(offer)) = (&mut self.anchor, &self.offer) {
                let peer = &self.caller.peer;
                anchor.point(office, Side::A, offer, peer.origin.keying.protection(), peer.expected);
            }
        }
        self.anchor.is_some()
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    #[must_use]
    pub fn record(&self) -> CallRecord {
        let own = self.transfer().and_then(Transfer::before).unwrap_or(&self.walk);
        self.log.record(self.caller.invite.call_id(), self.domain.name(), own)
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.log.id
    }

    /// The INVITE that began it.
    #[must_use]
    pub fn invite(&self) -> &Message {
        &self.caller.invite
    }

    fn next_client(&mut self) -> ClientId {
        self.clients += 1;
        self.key.client(self.clients)
    }

    /// Whose call is being decided: it doesn't count against them.
    fn asks(&self) -> Option<&Named> {
        match self.transfer().map(|transfer| transfer.from) {
            Some(Side::B) => self.taker.as_ref(),
            Some(Side::A) | None => self.maker.as_ref(),
        }
    }
}
