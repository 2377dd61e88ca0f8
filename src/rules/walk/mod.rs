//! One call's walk through the rules: decide, ring, decide again by the outcome, hop by hop, to the final response. The same
//! code runs live calls, `route`, golden tests and replays.
//!
//! Invariants: a walk ends. Each hop is counted against the domain's budget, which is capped by [`HOPS_MAX`]; ring stages end;
//! nothing here recurses. A plain call (a user's own phones, rules by time frame, lists) is decided without an allocation. What
//! a live call would need and is not built yet ends it with 480 and says so.

mod deflection;
mod hunt;
mod inbound;
mod outbound;
mod outcome;
mod stage;
#[cfg(test)]
mod tests;

use super::caller::Party;
use super::domain::Domain;
use super::explain::{Explanation, render};
use super::facts::{CallFacts, Dialled, Live, Origin};
use super::model::{CallerIdChoice, Confirm, Destination, Limit, Name, Refuse};
use super::outgoing::{Denied, Sender};
use super::plan::{Charge, Diverter, LegEnd, RingPlan};
use super::planner::Planner;
use super::trail::{Because, By, Greeting, Object, Service, Standing, Step, Takes, Trail, Unbuilt};
use super::tree::{ForwardKey, RingOutcome};
use super::user_facts::Clock;
use crate::rules::Span;
use smallvec::SmallVec;
use std::cell::OnceCell;
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

/// A leg that did not begin, because a budget is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub charge: Box<Charge>,
    pub limit: Limit,
}

/// What the call is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ring by the plan of [`Walk::plan`]; come back with [`Walk::ended`] or [`Walk::answered`].
    Ring,
    /// The final response, with a Q.850 cause for its Reason field where there is one (RFC 6432).
    Reject { status: u16, cause: Option<u8> },
    /// A service of ours takes the call (mailbox, queue, announcement ...); `what` is its tag. Picking up (`code:pickup`), announcements
    /// (`announce:NAME`) and conference rooms (`conference:NAME`) are built; for all else 480.
    Service { what: Arc<str> },
}

/// Where one call is in its domain's rules. Owned by the call; keeps the generation that it began with.
#[derive(Debug)]
pub struct Walk {
    domain: Arc<Domain>,
    call: CallFacts,
    journey: Journey,
}

/// How far a walk has come: all of it that changes.
#[derive(Debug, Default)]
struct Journey {
    party: Party,
    trail: Trail,
    state: State,
    /// `given`: who is screened is refused.
    screen_refused: bool,
    /// Places entered that count against the hop budget, the first included.
    places: u32,
    /// (object, rule) pairs that decided already.
    seen: SmallVec<[(Object, u32); 4]>,
    first_user: Option<u32>,
    user: Option<u32>,
    did: Option<u32>,
    /// The queue or hunt that the call came through.
    through: Option<Destination>,
    prefixes: SmallVec<[Name; 2]>,
    /// Whoever diverted the call, the first one first. As many as it took hops at most.
    diverters: Vec<Diverter>,
    alert: Option<Name>,
    emergency: bool,
    /// Budgets that have let a leg not begin, and whom nobody has told of yet.
    stops: Vec<Stop>,
}

/// A walk at work: from one event of its call to what the call does next. What it decides by stands still meanwhile.
struct Turn<'a> {
    domain: &'a Domain,
    call: &'a CallFacts,
    live: &'a dyn Live,
    clock: Clock,
    journey: &'a mut Journey,
}

/// What the walk waits for.
#[derive(Debug, Default)]
enum State {
    #[default]
    New,
    /// The stage of the trail that rings.
    Ringing {
        stage: u32,
        purpose: Purpose,
    },
    Over,
}

/// Whose ring stage it is: what follows when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A rule of this user.
    Rule {
        user: u32,
        rule: u32,
    },
    Hunt(u32),
    /// A forward of this user's: their mailbox, never a second forward.
    Forward {
        user: u32,
    },
    /// A number or a hunt that leads straight to a phone or an outside number.
    Place,
    /// A phone of ours calls outside.
    Outgoing,
}

/// Where the call goes next, or what it does.
enum Move<'a> {
    To(Place<'a>),
    Stop(Next),
}

enum Place<'a> {
    User {
        user: u32,
        by: Option<By>,
    },
    Number {
        number: u32,
        /// The user who forwards to it, and so to where it leads.
        by: Option<By>,
    },
    Hunt {
        hunt: u32,
        by: Option<By>,
    },
    /// Dialled, a number's destination, or where a hunt goes on after this outcome.
    Destination {
        to: &'a Destination,
        by: Option<By>,
        left: Left,
    },
    Forward(Departure),
    /// `follow`: the last one left of a list, and how their own phones ended, if they rang.
    Follow {
        user: u32,
        list: Object,
        outcome: Option<RingOutcome>,
    },
}

/// A call that leaves a user by a forward.
struct Departure {
    user: u32,
    /// `None`: by what the user set outside the rules.
    rule: Option<u32>,
    key: ForwardKey,
    left: Left,
    to: Destination,
    span: Option<Span>,
    confirm: Option<Confirm>,
    caller_id: Option<CallerIdChoice>,
    /// The phone that it was set on: what that may not dial, it may not forward to.
    phone: Option<u32>,
    /// What a dial rule says of the class of the number.
    class: Option<Name>,
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
        Walk::with_mode(domain, facts, true, false)
    }

    /// For a call that never was: what is not carried out yet is followed all the same, and `random` rings in file order.
    #[must_use]
    pub fn dry(domain: Arc<Domain>, facts: CallFacts, screen_refused: bool) -> Walk {
        Walk::with_mode(domain, facts, false, screen_refused)
    }

    fn with_mode(domain: Arc<Domain>, call: CallFacts, live: bool, screen_refused: bool) -> Walk {
        let through = match &call.caller.origin {
            Origin::Via(via) => Some(via.clone()),
            Origin::Device(_) | Origin::Trunk(_) | Origin::Extension(_) | Origin::Outside => None,
        };
        let mut walk = Walk { domain, call, journey: Journey::default() };
        walk.journey.trail.live = live;
        walk.journey.screen_refused = screen_refused;
        walk.journey.through = through;
        walk
    }

    fn turn<'a>(&'a mut self, live: &'a dyn Live) -> Turn<'a> {
        let Walk { domain, call, journey } = self;
        Turn { domain, call, live, clock: Clock::at(call.at), journey }
    }

    /// The first decision.
    pub fn start(&mut self, live: &dyn Live) -> Next {
        self.turn(live).start()
    }

    /// The ring stage ended unanswered, with these ends (one for each leg of the plan that started).
    pub fn ended(&mut self, live: &dyn Live, ends: &[LegEnd]) -> Next {
        self.turn(live).ended(ends)
    }

    /// The plan that [`Next::Ring`] speaks of: the last one made.
    #[must_use]
    pub fn plan(&self) -> Option<&RingPlan> {
        self.journey.trail.stages.last().map(|ringing| &ringing.plan)
    }

    /// The leg at this index of the plan was answered: adds `answered:DEVICE`.
    pub fn answered(&mut self, leg: usize) {
        if let State::Ringing { stage, .. } = self.journey.state {
            self.journey.trail.push(Step::Answered { stage, leg });
        }
        self.journey.state = State::Over;
    }

    /// No leg was answered: the caller hung up before, or somebody else has taken the call.
    pub fn leave(&mut self) {
        self.journey.state = State::Over;
    }

    /// What budgets have stopped since this was last asked.
    pub fn take_stops(&mut self) -> Vec<Stop> {
        std::mem::take(&mut self.journey.stops)
    }

    /// Forwards taken so far, for the record: (user, reason, where to).
    #[must_use]
    pub fn forwards(&self) -> Vec<(Arc<str>, &'static str, String)> {
        let forward = |step: &Step| match step {
            Step::Forward { user, key, to, .. } => {
                let user = self.domain.entry_at(*user)?;
                Some((user.view.name.clone(), key.name(), to.to_string()))
            }
            _ => None,
        };
        self.journey.trail.steps.iter().filter_map(forward).collect()
    }

    /// Whether this is an emergency call: never limited, never shed.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        self.journey.emergency
    }

    /// Whether it was taken for the call back after an emergency call (RFC 7090).
    #[must_use]
    pub fn is_psap_callback(&self) -> bool {
        self.call.psap_callback
    }

    /// The location that goes with an emergency call, by its name.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.journey.trail.steps.iter().find_map(|step| match step {
            Step::Location(name) => Some(&**name),
            _ => None,
        })
    }

    /// The number of ours that was called first, if one was (the record's `did`).
    #[must_use]
    pub fn did(&self) -> Option<&str> {
        self.domain.number_name(self.journey.did?).map(|name| &**name)
    }

    /// The status by which the first user called refuses the caller for who they are: by their lists, or for want of a name.
    #[must_use]
    pub fn refusal(&self) -> Option<u16> {
        let by_first = |step: &Step| matches!(step, Step::Refused { user, .. } if Some(*user) == self.journey.first_user);
        match self.journey.trail.standing {
            Standing::Rejected(status) if self.journey.trail.steps.iter().any(by_first) => Some(status),
            _ => None,
        }
    }

    /// What the caller who is refused hears before the final response, where the rules say more than a status.
    #[must_use]
    pub fn treatment(&self) -> Option<&Refuse> {
        let Standing::Rejected(_) = self.journey.trail.standing else { return None };
        self.journey.trail.steps.iter().rev().find_map(|step| match step {
            Step::RefusedWith(refuse) => Some(refuse),
            _ => None,
        })
    }

    /// The user whose rules took the call, the last of them.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.domain.entry_at(self.journey.user?).map(|user| &*user.view.name)
    }

    /// The caller's number in E.164, where it has one.
    #[must_use]
    pub fn caller_e164(&self) -> Option<&str> {
        self.journey.party.number.as_deref().filter(|_| !self.journey.party.inside)
    }

    /// Everything decided so far, rendered: tags, steps with file and line and what was passed over, legs, outcome.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        render(&self.domain, self.call.at, &self.journey.trail)
    }
}

impl<'a> Turn<'a> {
    fn start(&mut self) -> Next {
        self.journey.party = Party::of(self.domain, self.call, self.live);
        let call = self.call;
        let first = match &call.dialled {
            Dialled::Sos => self.sos(),
            Dialled::Text(text) | Dialled::Destination(Destination::Tel(text))
                if self.journey.party.inside =>
            {
                self.dial(text)
            }
            Dialled::Text(text) | Dialled::Destination(Destination::Tel(text)) => {
                self.dialled_from_outside(text)
            }
            Dialled::Destination(to) => Move::To(Place::Destination { to, by: None, left: Left::Always }),
        };
        self.run(first)
    }

    fn ended(&mut self, ends: &[LegEnd]) -> Next {
        let next = match std::mem::replace(&mut self.journey.state, State::Over) {
            State::Ringing { stage, purpose } => self.ring_ended(stage, purpose, ends),
            State::New | State::Over => Move::Stop(self.reject(480, None, None, Because::NothingRang)),
        };
        self.run(next)
    }

    fn ring_ended(&mut self, stage: u32, purpose: Purpose, ends: &[LegEnd]) -> Move<'a> {
        let Some(ringing) = self.journey.trail.ringing(stage) else { return self.broken() };
        let outcome = ringing.outcome(ends);
        self.tell(Step::Ended { stage, outcome, ends: ends.into() });
        let list = match purpose {
            Purpose::Rule { user, .. } => Some(Object::User(user)),
            Purpose::Hunt(hunt) => Some(Object::Hunt(hunt)),
            Purpose::Forward { .. } | Purpose::Place | Purpose::Outgoing => None,
        };
        match list.and_then(|list| self.last_left(list, ends)) {
            Some((user, list, outcome)) => Move::To(Place::Follow { user, list, outcome }),
            None => self.after_ringing(purpose, outcome),
        }
    }

    /// Goes from place to place until there is something to do. Every place but the first costs a hop or ends the walk.
    fn run(&mut self, first: Move<'a>) -> Next {
        let mut next = first;
        loop {
            match next {
                Move::Stop(next) => return next,
                Move::To(place) => next = self.enter(place),
            }
        }
    }

    fn enter(&mut self, place: Place<'a>) -> Move<'a> {
        match place {
            Place::User { user, by } => self.enter_user(user, by),
            Place::Number { number, by } => self.enter_number(number, by),
            Place::Hunt { hunt, by } => self.enter_hunt(hunt, by),
            Place::Destination { to, by, left } => self.enter_destination(to, by, left),
            Place::Forward(departure) => self.enter_forward(&departure),
            Place::Follow { user, list, outcome } => self.enter_followed(user, list, outcome),
        }
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            domain: self.domain,
            live: self.live,
            clock: &self.clock,
            call: self.call,
            party: &self.journey.party,
            through: self.journey.through.as_ref(),
            prefixes: &self.journey.prefixes,
            diverters: &self.journey.diverters,
            alert: self.journey.alert.as_ref(),
            in_file_order: !self.journey.trail.live,
            prefixed: OnceCell::new(),
        }
    }

    fn sender(&self) -> Sender<'a> {
        Sender::of(self.domain, &self.journey.party)
    }

    fn reject(&mut self, status: u16, cause: Option<u8>, span: Option<Span>, because: Because) -> Next {
        self.tell(Step::Reject { status, span, because });
        self.journey.trail.standing = Standing::Rejected(status);
        self.journey.state = State::Over;
        Next::Reject { status, cause }
    }

    /// A service takes the call; one that is not built yet ends a live call.
    fn service(&mut self, what: Service, span: Option<Span>, because: Takes) -> Next {
        let (tag, unbuilt) = (what.to_string(), what.unbuilt());
        let built = matches!(what, Service::Other(Destination::Announce(_) | Destination::Conference(_)));
        self.tell(Step::Service { what, span, because });
        if built {
            return self.taken_by(tag);
        }
        self.serve(tag, unbuilt, span)
    }

    fn serve(&mut self, tag: String, unbuilt: Unbuilt, span: Option<Span>) -> Next {
        self.journey.state = State::Over;
        if self.journey.trail.live {
            self.not_built(unbuilt, span);
        } else {
            self.journey.trail.standing = Standing::Service;
        }
        Next::Service { what: tag.into() }
    }

    /// A service that is built takes the call.
    fn taken_by(&mut self, tag: String) -> Next {
        self.journey.state = State::Over;
        self.journey.trail.standing = Standing::Service;
        Next::Service { what: tag.into() }
    }

    /// A live call needs what is not built yet.
    fn not_built(&mut self, what: Unbuilt, span: Option<Span>) -> Next {
        self.reject(480, Some(cause::NOT_IMPLEMENTED), span, Because::NotBuilt(what))
    }

    fn tell(&mut self, step: Step) {
        if let Step::Denied(Denied::Budget { charge, limit }) = &step {
            self.journey.stops.push(Stop { charge: charge.clone(), limit: *limit });
        }
        self.journey.trail.push(step);
    }

    /// Counts a place; over the budget the call goes where nothing can go wrong any more.
    fn hop(&mut self) -> Option<Move<'a>> {
        self.journey.places += 1;
        let hops = (self.journey.places - 1).saturating_add(self.call.earlier_hops);
        let budget = self.domain.hops_max.min(HOPS_MAX);
        if hops <= budget {
            return None;
        }
        self.tell(Step::Hops { budget });
        Some(self.last_resort())
    }

    /// A pair that decided before: the call goes round.
    fn repeated(&mut self, object: Object, rule: u32) -> Option<Move<'a>> {
        if self.journey.seen.contains(&(object, rule)) {
            self.tell(Step::Loop);
            return Some(self.last_resort());
        }
        self.journey.seen.push((object, rule));
        None
    }

    /// The mailbox of the first user called, else 480.
    fn last_resort(&mut self) -> Move<'a> {
        let first = self.journey.first_user.and_then(|user| self.domain.entry_at(user));
        let mailbox = first.filter(|user| user.mailbox).map(|user| (user.view.name.clone(), user.span));
        Move::Stop(match mailbox {
            Some((of, span)) => {
                let what = Service::Mailbox { of, greeting: Greeting::Unavailable };
                self.service(what, Some(span), Takes::FirstCalled)
            }
            None => self.reject(480, Some(cause::EXCHANGE_ROUTING_ERROR), None, Because::NoMailbox),
        })
    }

    /// A reference that the loader resolved does not resolve: a fault of ours, which must not take the call down with it.
    fn broken(&mut self) -> Move<'a> {
        Move::Stop(self.reject(480, Some(cause::TEMPORARY_FAILURE), None, Because::Broken))
    }
}
