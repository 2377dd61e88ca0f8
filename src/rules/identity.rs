//! What a leg shows of the caller: inside the internal name and extension, outside a number that can be called back.

use super::model::{CallerId, CallerIdChoice, Name};
use super::outgoing::Sender;
use super::planner::Planner;

/// An identity before prefixes.
pub(super) struct Shown {
    id: CallerId,
    withheld: bool,
}

impl Planner<'_> {
    pub(super) fn shown_inside(&self, owner: Sender<'_>, choice: Option<&CallerIdChoice>) -> Shown {
        match choice {
            Some(CallerIdChoice::Fixed(id)) => Shown { id: id.clone(), withheld: false },
            Some(CallerIdChoice::Forwarder) => Shown { id: internal(owner), withheld: false },
            Some(CallerIdChoice::Original) | None => self.original(false),
        }
    }

    pub(super) fn shown_outside(
        &self,
        owner: Sender<'_>,
        choice: &CallerIdChoice,
        route: &CallerId,
    ) -> Shown {
        match choice {
            CallerIdChoice::Fixed(id) => Shown { id: id.clone(), withheld: false },
            CallerIdChoice::Forwarder => Shown { id: self.domain.external_id(owner, route), withheld: false },
            CallerIdChoice::Original => self.original(true),
        }
    }

    /// The caller's own identity: an extension means nothing outside, so there an inside caller shows the external number.
    fn original(&self, outside: bool) -> Shown {
        let caller = Sender::of(self.domain, self.party);
        let id = match (self.party.inside, outside) {
            (true, true) => self.domain.external_id(caller, &CallerId::default()),
            (true, false) if caller.user.is_some() => internal(caller),
            (true, false) => {
                CallerId { name: self.party.name.clone(), number: self.party.keys.first().cloned() }
            }
            (false, _) => CallerId { name: self.party.name.clone(), number: self.party.number.clone() },
        };
        Shown { id, withheld: self.party.anonymous }
    }
}

fn internal(sender: Sender<'_>) -> CallerId {
    let Some(user) = sender.user else { return CallerId::default() };
    CallerId {
        name: user
            .internal
            .name
            .clone()
            .or_else(|| Some(user.view.display.clone()).filter(|name| !name.is_empty())),
        number: user.internal.number.clone().or_else(|| user.view.extensions.first().cloned()),
    }
}

impl Shown {
    /// With the prefixes before the name; before the number, in the name field, of a caller without a name. A number is never
    /// changed: calling back must stay possible. A withheld identity stays withheld.
    pub(super) fn prefixed(self, prefix: &str) -> (CallerId, bool) {
        let id =
            if self.withheld { CallerId { name: Some("Anonymous".into()), number: None } } else { self.id };
        if prefix.is_empty() {
            let name = id.name.filter(|_| !self.withheld);
            return (CallerId { name, number: id.number }, self.withheld);
        }
        let shown = id.name.as_deref().or(id.number.as_deref()).unwrap_or_default();
        let name = Name::from(format!("{prefix}{shown}").trim_end());
        (CallerId { name: Some(name), number: id.number }, self.withheld)
    }
}
