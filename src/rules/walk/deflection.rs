//! A phone that sends its call elsewhere (a 3xx, RFC 3261 §8.1.3.4): a forward that its user has set there rather than in the rules. It is
//! read as they would have dialled it on that phone, and carried out as a forward of theirs: by their rights and the phone's, the stricter
//! of them, with its hop, and never in a loop.
//!
//! It counts where the call is at that user's own rules. In somebody else's list, or in a hunt, their forwards are left out, and so is this
//! one.

use super::outbound::rewritten;
use super::{Departure, Left, Move, Next, Place, Purpose, State, Turn, Walk};
use crate::number::normalise;
use crate::rules::domain::{Domain, Extension, UserEntry};
use crate::rules::facts::Live;
use crate::rules::model::{Destination, Name};
use crate::rules::outgoing::{EMERGENCY, INTERNAL, Sender};
use crate::rules::plan::LegEnd;
use crate::rules::trail::Step;
use crate::rules::tree::{ForwardKey, RingOutcome};

impl Walk {
    /// This phone of this user sends the call on to what they have dialled there; the legs of the ring stage have ended so far. `None`:
    /// the forward is not theirs to make here, or names nothing that a forward may; nothing has changed then.
    pub fn deflected(
        &mut self,
        live: &dyn Live,
        (user, phone): (&str, &str),
        dialled: &str,
        ends: &[LegEnd],
    ) -> Option<Next> {
        self.turn(live).deflected((user, phone), dialled, ends)
    }
}

impl Turn<'_> {
    fn deflected(&mut self, (user, phone): (&str, &str), dialled: &str, ends: &[LegEnd]) -> Option<Next> {
        let State::Ringing { stage, purpose: Purpose::Rule { user: index, .. } } = self.journey.state else {
            return None;
        };
        let domain = self.domain;
        let entry = domain.entry_at(index).filter(|entry| *entry.view.name == *user)?;
        if self.call.psap_callback {
            return None; // it passes every forward
        }
        let phone = domain.devices.index(phone)?;
        let sender = Sender { user: Some(entry), device: domain.device_at(phone) };
        let Aim { to, inside, class } = aim(domain, sender, entry, &Name::from(dialled))?;
        let outcome = RingOutcome::Declined;
        let left = Left::Outcome(outcome);
        self.journey.state = State::Over;
        self.tell(Step::Ended { stage, outcome, ends: ends.into() });
        if let Some(denied) = domain.denied(sender, INTERNAL, false).filter(|_| inside) {
            self.tell(Step::Denied(denied));
            return Some(self.mailbox_or_final(entry, left, RingOutcome::Failed));
        }
        let told = class.clone().map(|(class, rule)| Step::ClassOfRule { class, rule });
        self.journey.trail.steps.extend(told);
        let departure = Departure {
            user: index,
            rule: None,
            key: ForwardKey::Declined,
            left,
            to,
            span: None,
            confirm: None,
            caller_id: None,
            phone: Some(phone),
            class: class.map(|(class, _)| class),
        };
        Some(self.run(Move::To(Place::Forward(departure))))
    }
}

/// Where a phone sends its call.
struct Aim {
    to: Destination,
    /// An extension, or a number of ours.
    inside: bool,
    /// Of a number outside, where a dial rule says it, and which.
    class: Option<(Name, u32)>,
}

/// Where that leads: not to a feature code nor to an emergency centre, and not back to the user.
fn aim(domain: &Domain, sender: Sender<'_>, owner: &UserEntry, dialled: &Name) -> Option<Aim> {
    if domain.codes.of(dialled).is_some() || domain.emergency_number(dialled).is_some() {
        return None;
    }
    if let Some(extension) = domain.extensions.index(dialled) {
        return extension_of(domain, owner, extension);
    }
    let (number, rule) = rewritten(domain, dialled);
    let (rule, number) = rule.map_or((None, number), |(rule, becomes)| (Some(rule), becomes));
    if domain.emergency_number(&number).is_some() {
        return None;
    }
    if let Some(extension) = domain.extensions.index(&number) {
        return extension_of(domain, owner, extension);
    }
    let number: Name = normalise(&number, &domain.locale_of(sender))?.into();
    let inside = domain.numbers.contains(&number);
    let class = rule.and_then(|rule| Some((domain.dial.get(rule as usize)?.class.clone()?, rule)));
    let class = class.filter(|_| !inside);
    if class.as_ref().is_some_and(|(class, _)| **class == *EMERGENCY) {
        return None;
    }
    Some(Aim { to: Destination::Tel(number), inside, class })
}

fn extension_of(domain: &Domain, owner: &UserEntry, extension: u32) -> Option<Aim> {
    let to = match domain.extensions.at(extension)? {
        Extension::User(user) => {
            let name = &domain.entry_at(*user)?.view.name;
            (*name != owner.view.name).then(|| Destination::User(name.clone()))?
        }
        Extension::System(to, _) => to.clone(),
    };
    Some(Aim { to, inside: true, class: None })
}
