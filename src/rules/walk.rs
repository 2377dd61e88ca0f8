//! One call's walk through the rules: decide, ring, decide again by the outcome, hop by hop, to the final response. The same
//! code runs live calls, `route`, golden tests and replays.

use super::compile::Domain;
use super::explain::Explanation;
use super::facts::{CallFacts, Live};
use super::plan::{LegEnd, RingPlan};
use std::sync::Arc;

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
pub struct Walk {}

impl Walk {
    #[must_use]
    pub fn new(domain: Arc<Domain>, facts: CallFacts) -> Walk {
        let _ = (domain, facts);
        todo!()
    }

    /// The first decision.
    pub fn start(&mut self, live: &dyn Live) -> Next {
        let _ = live;
        todo!()
    }

    /// The ring stage ended unanswered, with these ends (one for each leg of the plan that started).
    pub fn ended(&mut self, live: &dyn Live, ends: &[LegEnd]) -> Next {
        let _ = (live, ends);
        todo!()
    }

    /// The leg at this index of the plan was answered: adds `answered:DEVICE`.
    pub fn answered(&mut self, leg: usize) {
        let _ = leg;
        todo!()
    }

    /// The caller hung up before an answer.
    pub fn caller_gone(&mut self) {
        todo!()
    }

    /// Forwards taken so far, for the record: (user, reason, where to).
    #[must_use]
    pub fn forwards(&self) -> Vec<(Arc<str>, &'static str, String)> {
        todo!()
    }

    /// Whether this is an emergency call: never limited, never shed.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        todo!()
    }

    /// The number of ours that was called first, if one was (the record's `did`), and the user whose rules took the call.
    #[must_use]
    pub fn did(&self) -> Option<&str> {
        todo!()
    }

    /// The caller's number in E.164, where it has one.
    #[must_use]
    pub fn caller_e164(&self) -> Option<&str> {
        todo!()
    }

    /// Everything decided so far, rendered: tags, steps with file and line and what was passed over, legs, outcome.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        todo!()
    }
}
