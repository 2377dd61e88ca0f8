//! What a leg shows of the caller: inside the internal name and extension, outside a number that can be called back.

use super::domain::UserEntry;
use super::model::{CallerId, CallerIdChoice, Name};
use super::outgoing::Sender;
use super::planner::Planner;

/// An identity before prefixes.
pub(super) struct Shown {
    id: CallerId,
    withheld: bool,
}

impl UserEntry {
    /// The internal name and number; without them, the display name and the first extension.
    pub(super) fn shown_inside(&self) -> CallerId {
        let display = || Some(self.view.display.clone()).filter(|name| !name.is_empty());
        CallerId {
            name: self.internal.name.clone().or_else(display),
            number: self.internal.number.clone().or_else(|| self.view.extensions.first().cloned()),
        }
    }
}

impl Planner<'_> {
    /// What a leg inside shows, and whether the identity is withheld. Prefixes make a new text, which all plain legs share.
    pub(super) fn shows_inside(
        &self,
        owner: Sender<'_>,
        choice: Option<&CallerIdChoice>,
        prefix: Option<&Name>,
    ) -> (CallerId, bool) {
        let prefixed = || self.shown_inside(owner, choice).prefixed(self.prefixes, prefix);
        match (self.prefixes, choice, prefix) {
            ([_, ..], None, None) => self.prefixed.get_or_init(prefixed).clone(),
            _ => prefixed(),
        }
    }

    fn shown_inside(&self, owner: Sender<'_>, choice: Option<&CallerIdChoice>) -> Shown {
        match choice {
            Some(CallerIdChoice::Fixed(id)) => Shown { id: id.clone(), withheld: false },
            Some(CallerIdChoice::Forwarder) => {
                let id = match owner.user {
                    Some(user) => user.shown_inside(),
                    None => self.domain.external_id(owner, None),
                };
                Shown { id, withheld: false }
            }
            Some(CallerIdChoice::Original) | None => {
                let id = self.party.shown_inside(self.domain, &self.call.caller);
                Shown { id, withheld: self.party.anonymous }
            }
        }
    }

    pub(super) fn shown_outside(
        &self,
        owner: Sender<'_>,
        choice: &CallerIdChoice,
        route: Option<&CallerId>,
    ) -> Shown {
        match choice {
            CallerIdChoice::Fixed(id) => Shown { id: id.clone(), withheld: false },
            CallerIdChoice::Forwarder => Shown { id: self.domain.external_id(owner, route), withheld: false },
            CallerIdChoice::Original => Shown { id: self.original(None), withheld: self.party.anonymous },
        }
    }

    /// The caller's own identity on the way out: an extension means nothing there, so an inside caller shows the external number;
    /// a phone that is left alone shows what it sends, as long as that number is ours.
    pub(super) fn original(&self, route: Option<&CallerId>) -> CallerId {
        if !self.party.inside {
            return CallerId { name: self.call.caller.name.clone(), number: self.party.number.clone() };
        }
        let caller = Sender::of(self.domain, self.party);
        let sent = self.party.number.as_ref().filter(|number| self.domain.numbers.contains(number));
        match (caller.user.is_some_and(|user| user.ignore_caller_id), sent) {
            (true, Some(number)) => {
                CallerId { name: self.call.caller.name.clone(), number: Some(number.clone()) }
            }
            _ => self.domain.external_id(caller, route),
        }
    }
}

impl Shown {
    /// With the prefixes before the name; before the number, in the name field, of a caller without a name. A number is never
    /// changed: calling back must stay possible. A withheld identity stays withheld.
    pub(super) fn prefixed(self, prefixes: &[Name], last: Option<&Name>) -> (CallerId, bool) {
        let Shown { id, withheld } = self;
        if prefixes.is_empty() && last.is_none() {
            return (if withheld { CallerId::default() } else { id }, withheld);
        }
        let id = if withheld { CallerId { name: Some("Anonymous".into()), number: None } } else { id };
        let shown = id.name.as_deref().or(id.number.as_deref()).unwrap_or_default();
        let parts = || prefixes.iter().chain(last).map(|prefix| &**prefix).chain([shown]);
        let mut name = String::with_capacity(parts().map(str::len).sum());
        name.extend(parts());
        (CallerId { name: Some(name.trim_end().into()), number: id.number }, withheld)
    }
}
