//! One call's walk through the rules: decide, ring, decide again by the outcome, hop by hop, to the final response. The same
//! code runs live calls, `route`, golden tests and replays.
//!
//! Invariants: a walk ends. Each hop is counted against the domain's budget, which is capped by [`HOPS_MAX`]; ring stages end;
//! nothing here recurses. What a live call would need and is not built yet ends it with 480 and says so.

mod inbound;
mod outbound;
mod outcome;
mod stage;
#[cfg(test)]
mod tests;

use super::caller::Party;
use super::domain::Domain;
use super::explain::{Explanation, render};
use super::facts::{CallFacts, Dialled, Live};
use super::model::{CallerIdChoice, Confirm, Destination, Name};
use super::outgoing::Sender;
use super::plan::{LegEnd, RingPlan};
use super::planner::Planner;
use super::trail::{Standing, Trail, Why};
use super::tree::{ForwardKey, RingOutcome};
use std::sync::Arc;
use std::time::Duration;

/// The most hops of any call, whatever `max_hops` says.
pub const HOPS_MAX: u32 = 64;

/// How long an outgoing call may ring: a network that rings longer is given up (RFC 3261 §16.6, timer C).
pub const OUTGOING_RING: Duration = Duration::from_secs(180);

/// Q.850 causes, for Reason (RFC 6432).
mod cause {
    pub const UNALLOCATED: u8 = 1;
    pub const USER_BUSY: u8 = 17;
    pub const NO_ANSWER: u8 = 19;
    pub const SUBSCRIBER_ABSENT: u8 = 20;
    pub const CALL_REJECTED: u8 = 21;
    pub const EXCHANGE_ROUTING_ERROR: u8 = 25;
    pub const NETWORK_OUT_OF_ORDER: u8 = 38;
    pub const TEMPORARY_FAILURE: u8 = 41;
    pub const NOT_IMPLEMENTED: u8 = 79;
}

/// What the call is to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Ring; come back with [`Walk::ended`] or [`Walk::answered`].
    Ring(RingPlan),
    /// The final response, with a Q.850 cause for its Reason field where there is one (RFC 6432).
    Reject { status: u16, cause: Option<u8> },
    /// A service of ours takes the call (mailbox, queue, announcement ...); `what` is its tag. None is built yet: 480.
    Service { what: Arc<str> },
}

/// Where one call is in its domain's rules. Owned by the call; keeps the generation that it began with.
#[derive(Debug)]
pub struct Walk {
    domain: Arc<Domain>,
    call: CallFacts,
    mode: Mode,
    party: Party,
    trail: Trail,
    stage: Stage,
    /// Places entered that count against the hop budget, the first included.
    places: u32,
    /// (object, rule) pairs that decided already.
    seen: Vec<(Destination, u32)>,
    first_user: Option<Name>,
    user: Option<Name>,
    did: Option<Name>,
    prefix: String,
    alert: Option<Name>,
    forwards: Vec<(Name, &'static str, String)>,
    emergency: bool,
}

/// Live, or a call that never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Live,
    Dry { screen_refused: bool },
}

/// What the walk waits for.
#[derive(Debug)]
enum Stage {
    New,
    Ringing { plan: RingPlan, skipped: Vec<super::plan::LegOutcome>, purpose: Purpose },
    Over,
}

/// Whose ring stage it is: what follows when it ends.
#[derive(Clone, Debug, PartialEq)]
enum Purpose {
    /// A rule of this user.
    Rule { user: Name, rule: u32 },
    /// A forward of this user's: their mailbox, never a second forward.
    Forward { user: Name },
    /// A number that leads straight to a phone or an outside number.
    Place,
    /// A phone of ours calls outside.
    Outgoing,
}

/// Where the call goes next, or what it does.
enum Move {
    To(Place),
    Stop(Next),
}

enum Place {
    User {
        name: Name,
        by: Option<Name>,
    },
    Number(Name),
    /// Without anybody forwarding: dialled, or a number's destination.
    Destination(Destination),
    Forward(Box<Departure>),
}

/// A call that leaves a user by a forward.
struct Departure {
    user: Name,
    key: ForwardKey,
    left: Left,
    to: Destination,
    span: Option<super::diagnostic::Span>,
    confirm: Option<Confirm>,
    caller_id: Option<CallerIdChoice>,
}

/// Why a call leaves a user: it decides the greeting and the reason in Diversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Always,
    OnActive,
    Outcome(RingOutcome),
}

impl Walk {
    /// For a live call.
    #[must_use]
    pub fn new(domain: Arc<Domain>, facts: CallFacts) -> Walk {
        Walk::with_mode(domain, facts, Mode::Live)
    }

    /// For a call that never was: what is not carried out yet is followed all the same, and `random` rings in file order.
    #[must_use]
    pub fn dry(domain: Arc<Domain>, facts: CallFacts, screen_refused: bool) -> Walk {
        Walk::with_mode(domain, facts, Mode::Dry { screen_refused })
    }

    fn with_mode(domain: Arc<Domain>, call: CallFacts, mode: Mode) -> Walk {
        Walk {
            domain,
            call,
            mode,
            party: Party::default(),
            trail: Trail::default(),
            stage: Stage::New,
            places: 0,
            seen: Vec::new(),
            first_user: None,
            user: None,
            did: None,
            prefix: String::new(),
            alert: None,
            forwards: Vec::new(),
            emergency: false,
        }
    }

    /// The first decision.
    pub fn start(&mut self, live: &dyn Live) -> Next {
        self.party = Party::of(&self.domain, &self.call, live);
        let first = match self.call.dialled.clone() {
            Dialled::Sos => self.sos(live),
            Dialled::Text(text) if self.party.inside => self.dial(live, &text),
            Dialled::Text(text) => self.dialled_from_outside(&text),
            Dialled::Destination(Destination::Tel(number)) if self.party.inside => self.dial(live, &number),
            Dialled::Destination(Destination::Tel(number)) => self.dialled_from_outside(&number),
            Dialled::Destination(to) => Move::To(Place::Destination(to)),
        };
        self.run(live, first)
    }

    /// The ring stage ended unanswered, with these ends (one for each leg of the plan that started).
    pub fn ended(&mut self, live: &dyn Live, ends: &[LegEnd]) -> Next {
        let Stage::Ringing { plan, skipped, purpose } = std::mem::replace(&mut self.stage, Stage::Over)
        else {
            return self.reject(480, None, None, "nothing was ringing");
        };
        let outcome = stage::outcome(&plan, &skipped, ends);
        self.trail.push(outcome.tag(), None, stage::why(&plan, ends));
        let next = self.after_ringing(live, purpose, outcome);
        self.run(live, next)
    }

    /// Goes from place to place until there is something to do. Every turn but the first costs a hop or ends the walk.
    fn run(&mut self, live: &dyn Live, first: Move) -> Next {
        let mut next = first;
        loop {
            match next {
                Move::Stop(stop) => return stop,
                Move::To(place) => next = self.enter(live, place),
            }
        }
    }

    fn enter(&mut self, live: &dyn Live, place: Place) -> Move {
        match place {
            Place::User { name, by } => self.enter_user(live, &name, by.as_ref()),
            Place::Number(number) => self.enter_number(live, &number),
            Place::Destination(to) => self.enter_destination(live, to),
            Place::Forward(departure) => self.enter_forward(live, &departure),
        }
    }

    /// The leg at this index of the plan was answered: adds `answered:DEVICE`.
    pub fn answered(&mut self, leg: usize) {
        if let Stage::Ringing { plan, .. } = &self.stage
            && let Some(leg) = plan.legs.get(leg)
        {
            self.trail.push(format!("answered:{}", stage::tag_name(&leg.to)), None, "took the call");
        }
        self.stage = Stage::Over;
    }

    /// The caller hung up before an answer.
    pub fn caller_gone(&mut self) {
        self.stage = Stage::Over;
    }

    /// Forwards taken so far, for the record: (user, reason, where to).
    #[must_use]
    pub fn forwards(&self) -> Vec<(Arc<str>, &'static str, String)> {
        self.forwards.clone()
    }

    /// Whether this is an emergency call: never limited, never shed.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        self.emergency
    }

    /// The number of ours that was called first, if one was (the record's `did`).
    #[must_use]
    pub fn did(&self) -> Option<&str> {
        self.did.as_deref()
    }

    /// The user whose rules took the call, the last of them.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The caller's number in E.164, where it has one.
    #[must_use]
    pub fn caller_e164(&self) -> Option<&str> {
        self.party.number.as_deref()
    }

    /// Everything decided so far, rendered: tags, steps with file and line and what was passed over, legs, outcome.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        render(&self.domain, self.call.at, &self.trail)
    }

    fn planner<'a>(&'a self, live: &'a dyn Live) -> Planner<'a> {
        Planner {
            domain: &self.domain,
            live,
            call: &self.call,
            party: &self.party,
            prefix: &self.prefix,
            alert: self.alert.as_ref(),
            in_file_order: self.mode != Mode::Live,
        }
    }

    fn sender(&self) -> Sender<'_> {
        Sender::of(&self.domain, &self.party)
    }

    fn reject(
        &mut self,
        status: u16,
        cause: Option<u8>,
        span: Option<super::diagnostic::Span>,
        why: impl Into<Why>,
    ) -> Next {
        self.trail.push(format!("reject:{status}"), span, why);
        self.trail.standing = Standing::Rejected(status);
        self.stage = Stage::Over;
        Next::Reject { status, cause }
    }

    /// A service takes the call; none is built yet, which ends a live call.
    fn service(&mut self, what: String, span: Option<super::diagnostic::Span>, why: impl Into<Why>) -> Next {
        let kind = what.split(':').next().unwrap_or_default().to_owned();
        self.trail.push(what.clone(), span, why);
        self.stage = Stage::Over;
        match self.mode {
            Mode::Live => {
                self.reject(
                    480,
                    Some(cause::NOT_IMPLEMENTED),
                    span,
                    format!("{kind} is not carried out yet"),
                );
            }
            Mode::Dry { .. } => self.trail.standing = Standing::Service,
        }
        Next::Service { what: what.into() }
    }

    /// A live call needs what is not built yet.
    fn not_carried_out(&mut self, what: &str, span: Option<super::diagnostic::Span>) -> Move {
        let why = format!("{what} is not carried out yet");
        Move::Stop(self.reject(480, Some(cause::NOT_IMPLEMENTED), span, why))
    }

    /// Counts a place; over the budget the call goes where nothing can go wrong any more.
    fn hop(&mut self) -> Option<Move> {
        self.places += 1;
        let hops = self.places - 1 + self.call.earlier_hops;
        let budget = self.domain.hops_max.min(HOPS_MAX);
        if hops <= budget {
            return None;
        }
        self.trail.push("hops", None, format!("more than {budget} hops (max_hops)"));
        Some(self.last_resort(cause::EXCHANGE_ROUTING_ERROR))
    }

    /// The mailbox of the first user called, else 480.
    fn last_resort(&mut self, cause: u8) -> Move {
        let domain = self.domain.clone();
        let first = self.first_user.as_ref().and_then(|name| domain.user_entry(name));
        Move::Stop(match first {
            Some(user) if user.mailbox => {
                let what = format!("voicemail:{}/unavailable", user.view.name);
                self.service(what, Some(user.span), "the mailbox of the first user called")
            }
            _ => self.reject(480, Some(cause), None, "there is no mailbox to end in"),
        })
    }
}
