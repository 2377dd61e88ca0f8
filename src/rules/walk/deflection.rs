//! A phone that sends its call elsewhere (a 3xx, RFC 3261 §8.1.3.4): a forward that its user has set there rather than in the rules. It is
//! read as they would have dialled it, and carried out as a forward of theirs: by their rights, with its hop, and never in a loop.
//!
//! It counts where the call is at that user's own rules. In somebody else's list, or in a hunt, their forwards are left out, and so is this
//! one.

use super::outbound::rewritten;
use super::{Departure, Left, Move, Next, Place, Purpose, State, Turn, Walk};
use crate::number::normalise;
use crate::rules::domain::{Domain, Extension, UserEntry};
use crate::rules::facts::Live;
use crate::rules::model::{Destination, Name};
use crate::rules::outgoing::Sender;
use crate::rules::plan::LegEnd;
use crate::rules::trail::Step;
use crate::rules::tree::{ForwardKey, RingOutcome};

impl Walk {
    /// A phone of this user sends the call on to what they have dialled there; the legs of the ring stage have ended so far. `None`:
    /// the forward is not theirs to make here, or names nothing that a forward may; nothing has changed then.
    pub fn deflected(&mut self, live: &dyn Live, user: &str, dialled: &str, ends: &[LegEnd]) -> Option<Next> {
        self.turn(live).deflected(user, dialled, ends)
    }
}

impl Turn<'_> {
    fn deflected(&mut self, user: &str, dialled: &str, ends: &[LegEnd]) -> Option<Next> {
        let State::Ringing { stage, purpose: Purpose::Rule { user: index, .. } } = self.journey.state else {
            return None;
        };
        let entry = self.domain.entry_at(index).filter(|entry| *entry.view.name == *user)?;
        if self.call.psap_callback {
            return None; // it passes every forward
        }
        let to = destination(self.domain, entry, &Name::from(dialled))?;
        let outcome = RingOutcome::Declined;
        self.journey.state = State::Over;
        self.tell(Step::Ended { stage, outcome, ends: ends.into() });
        let departure = Departure {
            user: index,
            rule: None,
            key: ForwardKey::Declined,
            left: Left::Outcome(outcome),
            to,
            span: None,
            confirm: None,
            caller_id: None,
        };
        Some(self.run(Move::To(Place::Forward(departure))))
    }
}

/// Where that leads: not to a feature code nor to an emergency centre, and not back to the user.
fn destination(domain: &Domain, owner: &UserEntry, dialled: &Name) -> Option<Destination> {
    if domain.codes.of(dialled).is_some() || domain.emergency_number(dialled).is_some() {
        return None;
    }
    if let Some(extension) = domain.extensions.index(dialled) {
        return extension_of(domain, owner, extension);
    }
    let (number, rule) = rewritten(domain, dialled);
    let number = rule.map_or(number, |(_, becomes)| becomes);
    if domain.emergency_number(&number).is_some() {
        return None;
    }
    if let Some(extension) = domain.extensions.index(&number) {
        return extension_of(domain, owner, extension);
    }
    let locale = domain.locale_of(Sender { user: Some(owner), device: None });
    normalise(&number, &locale).map(|number| Destination::Tel(number.into()))
}

fn extension_of(domain: &Domain, owner: &UserEntry, extension: u32) -> Option<Destination> {
    match domain.extensions.at(extension)? {
        Extension::User(user) => {
            let name = &domain.entry_at(*user)?.view.name;
            (*name != owner.view.name).then(|| Destination::User(name.clone()))
        }
        Extension::System(to, _) => Some(to.clone()),
    }
}
