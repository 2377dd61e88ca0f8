//! After ringing, and forwards: where a call goes that nobody answered, down to the final response.

use super::{Departure, Left, Move, Next, Place, Purpose, Walk, cause};
use crate::rules::domain::UserEntry;
use crate::rules::facts::Live;
use crate::rules::model::Destination;
use crate::rules::planner::ForwardKeys;
use crate::rules::trail::Standing;
use crate::rules::tree::{ForwardKey, RingOutcome};

impl Left {
    /// The greeting: `busy` after busy, DND, on_active and declined.
    fn greeting(self) -> &'static str {
        match self {
            Left::OnActive | Left::Outcome(RingOutcome::Busy | RingOutcome::Dnd | RingOutcome::Declined) => {
                "busy"
            }
            Left::Always
            | Left::Outcome(RingOutcome::NoAnswer | RingOutcome::Offline | RingOutcome::Failed) => {
                "unavailable"
            }
        }
    }

    /// RFC 5806 §5.
    fn reason(self) -> &'static str {
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

impl Walk {
    pub(super) fn after_ringing(&mut self, live: &dyn Live, purpose: Purpose, outcome: RingOutcome) -> Move {
        let domain = self.domain.clone();
        match purpose {
            Purpose::Rule { user, rule } => match domain.user_entry(&user) {
                Some(entry) => self.after_rule(live, entry, rule, outcome),
                None => self.broken(),
            },
            Purpose::Forward { user } => match domain.user_entry(&user) {
                Some(entry) => Move::Stop(self.mailbox_or_final(entry, Left::Outcome(outcome), outcome)),
                None => self.broken(),
            },
            Purpose::Place => Move::Stop(self.final_response(outcome)),
            Purpose::Outgoing => Move::Stop(self.outgoing_failed(outcome)),
        }
    }

    /// The user's tree is entered again where the rule has this outcome.
    pub(super) fn after_rule(
        &mut self,
        live: &dyn Live,
        user: &UserEntry,
        rule: u32,
        outcome: RingOutcome,
    ) -> Move {
        let domain = self.domain.clone();
        let Some(tree) = domain.user_tree(&user.view.name) else { return self.broken() };
        let node = tree.rules.get(rule as usize).and_then(|r| r.after.get(outcome as usize)).copied();
        let Some(node) = node else { return self.broken() };
        self.decide_user(live, user, tree, None, node, Some(Left::Outcome(outcome)))
    }

    /// A forward of a user.
    pub(super) fn enter_forward(&mut self, live: &dyn Live, departure: &Departure) -> Move {
        let Departure { user, key, left, to, span, .. } = departure;
        let why = match (key, span) {
            (ForwardKey::Always, None) => "set by the user".to_owned(),
            _ => format!("forward.{} of {user}", key.name()),
        };
        self.trail.push(format!("forward:{}", key.name()), *span, why);
        self.forwards.push((user.clone(), key.name(), to.to_string()));
        match to {
            Destination::User(name) => Move::To(Place::User { name: name.clone(), by: Some(user.clone()) }),
            Destination::Tel(number) if self.domain.number_index.contains_key(number) => {
                Move::To(Place::Number(number.clone()))
            }
            Destination::Tel(_) | Destination::Handset(_) | Destination::Device(_) => {
                self.forward_rings(live, departure)
            }
            Destination::Voicemail(name) => {
                let what = format!("voicemail:{name}/{}", left.greeting());
                Move::Stop(self.service(what, *span, "a mailbox takes the call"))
            }
            other => self.settle(other, *span),
        }
    }

    /// It rings as long as the forwarder's own phones would; what follows is their mailbox.
    fn forward_rings(&mut self, live: &dyn Live, departure: &Departure) -> Move {
        let domain = self.domain.clone();
        let Some(user) = domain.user_entry(&departure.user) else { return self.broken() };
        self.trail.push(departure.to.to_string(), departure.span, "rings");
        let outside = matches!(departure.to, Destination::Tel(_));
        if outside && let Some(over) = self.hop() {
            return over;
        }
        let keys = ForwardKeys {
            confirm: departure.confirm,
            caller_id: departure.caller_id.as_ref(),
            reason: departure.left.reason(),
        };
        let draft = self.planner(live).of_place(Some(user), &departure.to, user.ring_for, keys);
        let denied = draft.skipped.iter().any(|skip| skip.tag.is_some());
        let standing = if outside { Standing::Outside } else { Standing::Ringing };
        match self.ring(draft, Purpose::Forward { user: departure.user.clone() }, standing) {
            Ok(next) => Move::Stop(next),
            // A forward that its owner may not dial counts for nothing: the mailbox speaks of why the call came here.
            Err(outcome) if denied => Move::Stop(self.mailbox_or_final(user, departure.left, outcome)),
            Err(outcome) => Move::Stop(self.mailbox_or_final(user, Left::Outcome(outcome), outcome)),
        }
    }

    /// A destination that nobody forwards to: dialled, or a number's.
    pub(super) fn enter_destination(&mut self, live: &dyn Live, to: Destination) -> Move {
        match &to {
            Destination::User(name) => Move::To(Place::User { name: name.clone(), by: None }),
            Destination::Tel(number) if self.domain.number_index.contains_key(number) => {
                Move::To(Place::Number(number.clone()))
            }
            Destination::Voicemail(name) => Move::Stop(self.service(
                format!("voicemail:{name}/unavailable"),
                None,
                "a mailbox takes the call",
            )),
            Destination::Handset(_) | Destination::Device(_) | Destination::Tel(_) => {
                self.trail.push(to.to_string(), None, "rings");
                let keys = ForwardKeys { confirm: None, caller_id: None, reason: "unconditional" };
                let draft = self.planner(live).of_place(None, &to, self.domain.ring_for, keys);
                let outside = matches!(to, Destination::Tel(_));
                let standing = if outside { Standing::Outside } else { Standing::Ringing };
                match self.ring(draft, Purpose::Place, standing) {
                    Ok(next) => Move::Stop(next),
                    Err(outcome) => Move::Stop(self.final_response(outcome)),
                }
            }
            other => self.settle(other, None),
        }
    }

    /// Where a walk ends: a service, or a refusal.
    fn settle(&mut self, to: &Destination, span: Option<crate::rules::Span>) -> Move {
        Move::Stop(match to {
            Destination::Reject(code) => {
                self.reject(*code, Some(cause::CALL_REJECTED), span, "the rules say so")
            }
            other => self.service(other.to_string(), span, "takes the call"),
        })
    }

    /// The user's own mailbox, else the final response.
    pub(super) fn mailbox_or_final(&mut self, user: &UserEntry, left: Left, outcome: RingOutcome) -> Next {
        if !user.mailbox {
            return self.final_response(outcome);
        }
        let what = format!("voicemail:{}/{}", user.view.name, left.greeting());
        self.service(what, Some(user.span), "nothing else is set, and the mailbox is on")
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
        self.reject(status, cause, None, "nothing is left to try")
    }

    /// A call of a phone of ours to the outside: there it is the network that failed, not a person of ours.
    fn outgoing_failed(&mut self, outcome: RingOutcome) -> Next {
        match outcome {
            RingOutcome::Offline | RingOutcome::Failed => {
                self.reject(500, Some(cause::NETWORK_OUT_OF_ORDER), None, "no trunk took the call")
            }
            RingOutcome::Busy | RingOutcome::Dnd | RingOutcome::Declined | RingOutcome::NoAnswer => {
                self.final_response(outcome)
            }
        }
    }
}
