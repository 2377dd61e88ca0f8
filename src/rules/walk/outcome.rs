//! After ringing, and forwards: where a call goes that nobody answered, down to the final response.

use super::{Departure, Left, Move, Next, Place, Purpose, Turn, cause};
use crate::rules::domain::UserEntry;
use crate::rules::model::Destination;
use crate::rules::outgoing::Sender;
use crate::rules::plan::Diverter;
use crate::rules::planner::ForwardKeys;
use crate::rules::trail::{Because, By, Greeting, Service, SkipWhy, Standing, Step, Takes};
use crate::rules::tree::RingOutcome;

impl Left {
    /// `busy` after busy, DND, on_active and declined.
    fn greeting(self) -> Greeting {
        match self {
            Left::OnActive | Left::Outcome(RingOutcome::Busy | RingOutcome::Dnd | RingOutcome::Declined) => {
                Greeting::Busy
            }
            Left::Always
            | Left::Outcome(RingOutcome::NoAnswer | RingOutcome::Offline | RingOutcome::Failed) => {
                Greeting::Unavailable
            }
        }
    }

    /// RFC 5806 §5.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Left::Always => "unconditional",
            Left::OnActive | Left::Outcome(RingOutcome::Busy) => "user-busy",
            Left::Outcome(RingOutcome::Dnd) => "do-not-disturb",
            Left::Outcome(RingOutcome::NoAnswer) => "no-answer",
            Left::Outcome(RingOutcome::Offline) => "unavailable",
            Left::Outcome(RingOutcome::Declined) => "deflection",
            Left::Outcome(RingOutcome::Failed) => "unknown",
        }
    }
}

impl<'a> Turn<'a> {
    pub(super) fn after_ringing(&mut self, purpose: Purpose, outcome: RingOutcome) -> Move<'a> {
        match purpose {
            Purpose::Rule { user, rule } => self.after_rule(user, rule, outcome),
            Purpose::Hunt(hunt) => self.hunt_failed(hunt, outcome),
            Purpose::Forward { user } => {
                let domain = self.domain;
                match domain.entry_at(user) {
                    Some(user) => Move::Stop(self.mailbox_or_final(user, Left::Outcome(outcome), outcome)),
                    None => self.broken(),
                }
            }
            Purpose::Place => Move::Stop(self.final_response(outcome)),
            Purpose::Outgoing => Move::Stop(self.outgoing_failed(outcome)),
        }
    }

    /// The user's tree is entered again where the rule has this outcome.
    pub(super) fn after_rule(&mut self, user: u32, rule: u32, outcome: RingOutcome) -> Move<'a> {
        let domain = self.domain;
        let (Some(entry), Some(tree)) = (domain.entry_at(user), domain.tree_of(user)) else {
            return self.broken();
        };
        let node = tree.rules.get(rule as usize).and_then(|r| r.after.get(outcome as usize)).copied();
        let Some(node) = node else { return self.broken() };
        self.decide_user(user, entry, tree, None, node, Some(Left::Outcome(outcome)))
    }

    /// A forward of a user.
    pub(super) fn enter_forward(&mut self, departure: &Departure) -> Move<'a> {
        let Departure { user, rule, key, left, to, span, .. } = departure;
        self.tell(Step::Forward { user: *user, rule: *rule, key: *key, to: to.clone() });
        let diverter = self.domain.entry_at(*user).and_then(|user| self.domain.diverter(user));
        self.journey.diverters.extend(diverter.map(|who| Diverter { who, reason: left.reason() }));
        let by = Some(By::User(*user));
        match to {
            Destination::Tel(number) if !self.domain.numbers.contains(number) => {
                self.forward_rings(departure)
            }
            Destination::Handset(_) | Destination::Device(_) => self.forward_rings(departure),
            other => self.go(other, by, *left, *span),
        }
    }

    /// It rings as long as the forwarder's own phones would; what follows is their mailbox.
    fn forward_rings(&mut self, departure: &Departure) -> Move<'a> {
        let domain = self.domain;
        let Some(user) = domain.entry_at(departure.user) else { return self.broken() };
        self.tell(Step::Rings { to: departure.to.clone(), span: departure.span });
        let outside = matches!(departure.to, Destination::Tel(_));
        if outside && let Some(over) = self.hop() {
            return over;
        }
        let device = departure.phone.and_then(|phone| domain.device_at(phone));
        let sender = Sender { user: Some(user), device };
        let Departure { confirm, caller_id, class, .. } = departure;
        let keys = ForwardKeys { confirm: *confirm, caller_id: caller_id.as_ref(), class: class.as_ref() };
        let ringing = self.planner().of_place(sender, &departure.to, user.ring_for, keys);
        let denied = ringing.skipped.iter().any(|skip| matches!(skip.why, SkipWhy::Denied(_)));
        let standing = if outside { Standing::Outside } else { Standing::Ringing };
        Move::Stop(match self.ring(ringing, Purpose::Forward { user: departure.user }, standing) {
            Ok(stop) => stop,
            // A forward that its owner may not dial counts for nothing: the mailbox speaks of why the call came here.
            Err(outcome) if denied => self.mailbox_or_final(user, departure.left, outcome),
            Err(outcome) => self.mailbox_or_final(user, Left::Outcome(outcome), outcome),
        })
    }

    /// A destination that no user names in a forward: dialled, a number's, or a hunt's after an outcome.
    pub(super) fn enter_destination(&mut self, to: &'a Destination, by: Option<By>, left: Left) -> Move<'a> {
        let outside = matches!(to, Destination::Tel(n) if !self.domain.numbers.contains(n));
        if !outside && !matches!(to, Destination::Handset(_) | Destination::Device(_)) {
            return self.go(to, by, left, None);
        }
        self.tell(Step::Rings { to: to.clone(), span: None });
        let sent_on = matches!(by, Some(By::Hunt(_)));
        if outside
            && sent_on
            && let Some(over) = self.hop()
        {
            return over;
        }
        let keys = ForwardKeys { confirm: None, caller_id: None, class: None };
        let nobody = Sender { user: None, device: None };
        let ringing = self.planner().of_place(nobody, to, self.domain.ring_for, keys);
        let standing = if outside { Standing::Outside } else { Standing::Ringing };
        Move::Stop(match self.ring(ringing, Purpose::Place, standing) {
            Ok(stop) => stop,
            Err(outcome) => self.final_response(outcome),
        })
    }

    /// What has rules of its own is entered; anything else ends the walk: a service, or a refusal.
    fn go(
        &mut self,
        to: &Destination,
        by: Option<By>,
        left: Left,
        span: Option<crate::rules::Span>,
    ) -> Move<'a> {
        let domain = &self.domain;
        let place = match to {
            Destination::User(name) => domain.users.index(name).map(|user| Place::User { user, by }),
            Destination::Hunt(name) => {
                domain.hunt_index.get(name).map(|hunt| Place::Hunt { hunt: *hunt, by })
            }
            Destination::Tel(number) => {
                // A number stands for whom it leads to: a hunt is not who forwards, it only sends on.
                let by = by.filter(|by| matches!(by, By::User(_)));
                domain.numbers.index(number).map(|number| Place::Number { number, by })
            }
            Destination::Reject(status) => {
                let because = Because::RulesSay;
                return Move::Stop(self.reject(*status, Some(cause::CALL_REJECTED), span, because));
            }
            Destination::Voicemail(of) => {
                let what = Service::Mailbox { of: of.clone(), greeting: left.greeting() };
                return Move::Stop(self.service(what, span, Takes::Rules));
            }
            Destination::Queue(_)
            | Destination::Attendant(_)
            | Destination::Conference(_)
            | Destination::Directory(_)
            | Destination::Announce(_) => {
                return Move::Stop(self.service(Service::Other(to.clone()), span, Takes::Rules));
            }
            Destination::Handset(_) | Destination::Device(_) => None,
        };
        place.map_or_else(|| self.broken(), Move::To)
    }

    /// The user's own mailbox, else the final response.
    pub(super) fn mailbox_or_final(&mut self, user: &UserEntry, left: Left, outcome: RingOutcome) -> Next {
        if !user.mailbox {
            return self.final_response(outcome);
        }
        let what = Service::Mailbox { of: user.view.name.clone(), greeting: left.greeting() };
        self.service(what, Some(user.span), Takes::OwnMailbox)
    }

    /// See the table of final responses in the documentation.
    pub(super) fn final_response(&mut self, outcome: RingOutcome) -> Next {
        let (status, cause) = match outcome {
            RingOutcome::Busy => (486, Some(cause::USER_BUSY)),
            RingOutcome::Dnd => (480, None),
            RingOutcome::Declined => (603, Some(cause::CALL_REJECTED)),
            RingOutcome::NoAnswer => (480, Some(cause::NO_ANSWER)),
            RingOutcome::Offline => (480, Some(cause::SUBSCRIBER_ABSENT)),
            RingOutcome::Failed => (480, Some(cause::TEMPORARY_FAILURE)),
        };
        self.reject(status, cause, None, Because::NothingLeft)
    }

    /// A call of a phone of ours to the outside: there it is the network that failed, not a person of ours.
    fn outgoing_failed(&mut self, outcome: RingOutcome) -> Next {
        match outcome {
            RingOutcome::Offline | RingOutcome::Failed => {
                self.reject(500, Some(cause::NETWORK_OUT_OF_ORDER), None, Because::TrunksFailed)
            }
            RingOutcome::Busy | RingOutcome::Dnd | RingOutcome::Declined | RingOutcome::NoAnswer => {
                self.final_response(outcome)
            }
        }
    }
}
