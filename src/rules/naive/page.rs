//! A whole call, read from the page: who calls, what is dialled, whom it reaches, who rings when, where it goes then. It yields
//! the tags alone, and shares with the walk nothing but the model, patterns, time frames and number normalising.

use crate::number::{Locale, normalise};
use crate::rules::model::{CallerId, Destination, Given, Model, Name, NumberTo, User};
use crate::rules::route::Query;
use crate::rules::tree::RingOutcome;
use std::collections::BTreeSet;

/// Who calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    pub inside: bool,
    pub user: Option<Name>,
    pub device: Option<Name>,
    pub keys: Vec<Name>,
    pub shown: CallerId,
    pub anonymous: bool,
    pub unknown: bool,
}

/// Where the call goes next.
#[derive(Clone, Debug)]
pub(super) enum Next {
    End,
    User {
        name: Name,
        by: Option<Name>,
        from: Entry,
    },
    /// `by`: the user who forwards it there.
    To {
        to: Destination,
        greeting: &'static str,
        from_hunt: bool,
        by: Option<Name>,
    },
}

/// How a user is come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Called,
    /// The last one left of a list; how their phones ended, if they rang.
    Followed(Option<RingOutcome>),
}

pub(super) struct Page<'m> {
    pub model: &'m Model,
    pub given: &'m Given,
    pub at: jiff::Timestamp,
    pub caller: Caller,
    pub tags: Vec<String>,
    pub through: Option<Destination>,
    pub prefixes: String,
    /// Why whoever diverted the call last did so.
    pub diverted: Option<&'static str>,
    places: u32,
    seen: BTreeSet<String>,
    pub first: Option<Name>,
}

/// The tags of a call.
pub(super) fn tags(model: &Model, query: &Query, given: &Given, at: jiff::Timestamp) -> Vec<String> {
    let mut page = Page {
        model,
        given,
        at,
        caller: Caller::default(),
        tags: Vec::new(),
        through: query.via.as_deref().and_then(crate::rules::destination::parse_destination),
        prefixes: String::new(),
        diverted: None,
        places: 0,
        seen: BTreeSet::new(),
        first: None,
    };
    page.caller = page.caller_of(query);
    let mut next = match crate::rules::destination::parse_destination(&query.to) {
        None if query.to == "urn:service:sos" => page.sos(),
        Some(to) => Next::To { to, greeting: "unavailable", from_hunt: false, by: None },
        None if page.caller.inside => page.dial(&query.to),
        None => page.outside_caller_dials(&query.to),
    };
    loop {
        next = match next {
            Next::End => return page.tags,
            Next::User { name, by, from } => page.user(&name, by.as_ref(), &from),
            Next::To { to, greeting, from_hunt, by } => page.destination(&to, greeting, from_hunt, by),
        };
    }
}

impl Page<'_> {
    pub(super) fn say(&mut self, tag: impl Into<String>) {
        self.tags.push(tag.into());
    }

    pub(super) fn reject(&mut self, status: u16) -> Next {
        self.say(format!("reject:{status}"));
        Next::End
    }

    pub(super) fn locale(&self) -> Locale {
        let domain = &self.model.domain;
        Locale { country: domain.country.clone(), area_code: domain.area_code.clone() }
    }

    fn caller_of(&self, query: &Query) -> Caller {
        let from = query.from.as_deref().unwrap_or_default();
        let named = |user: Option<Name>, device: Option<Name>| {
            let keys = user.as_ref().map(|u| self.model.users[u].extensions.clone()).unwrap_or_default();
            let shown = user.as_ref().map(|u| shown_inside(&self.model.users[u])).unwrap_or_default();
            Caller { inside: true, user, device, keys, shown, ..Caller::default() }
        };
        if let Some(device) = query.from_device.as_deref().map(Name::from) {
            let owner = self.model.devices[&device].user.clone();
            return named(self.given.hotdesk.get(&device).cloned().or(owner), Some(device));
        }
        let by_extension = self.model.users.iter().find(|(_, u)| u.extensions.iter().any(|e| &**e == from));
        if let Some((user, _)) = by_extension {
            return named(Some(user.clone()), None);
        }
        let anonymous = from == "anonymous";
        let number = normalise(from, &self.locale()).map(Name::from);
        Caller {
            keys: number.iter().cloned().collect(),
            shown: CallerId { name: query.from_name.as_deref().map(Name::from), number: number.clone() },
            unknown: number.is_none() && !anonymous,
            anonymous,
            ..Caller::default()
        }
    }

    fn outside_caller_dials(&mut self, dialled: &str) -> Next {
        match normalise(dialled, &self.locale()).map(Name::from) {
            Some(number) if self.model.numbers.contains_key(&number) => self.to_tel(number),
            Some(number) => {
                self.say(format!("number:{number}"));
                self.reject(404)
            }
            None => self.reject(404),
        }
    }

    pub(super) fn to_tel(&self, number: Name) -> Next {
        Next::To { to: Destination::Tel(number), greeting: "unavailable", from_hunt: false, by: None }
    }

    /// Counts a place; `Some` where the budget is spent.
    pub(super) fn hop(&mut self) -> Option<Next> {
        self.places += 1;
        if self.places - 1 <= self.model.domain.max_hops {
            return None;
        }
        self.say("hops");
        Some(self.last_resort())
    }

    pub(super) fn again(&mut self, pair: String) -> Option<Next> {
        if self.seen.insert(pair) {
            return None;
        }
        self.say("loop");
        Some(self.last_resort())
    }

    pub(super) fn last_resort(&mut self) -> Next {
        match self.first.clone() {
            Some(first) if self.model.users[&first].mailbox => {
                self.say(format!("voicemail:{first}/unavailable"));
                Next::End
            }
            _ => self.reject(480),
        }
    }

    /// Whoever forwards to a number of ours forwards to where it leads.
    pub(super) fn number(&mut self, number: &Name, by: Option<Name>) -> Next {
        let entry = &self.model.numbers[number];
        self.say(format!("number:{number}"));
        if let Some(over) = self.hop() {
            return over;
        }
        self.prefixes.push_str(entry.caller_id_prefix.as_deref().unwrap_or_default());
        let (index, to) = match &entry.to {
            NumberTo::Spare => return self.reject(404),
            NumberTo::To(to) => (0, to),
            NumberTo::Rules(rules) => {
                let zone = &self.model.domain.zone;
                let index = rules.iter().position(|rule| self.when(&rule.when, zone)).unwrap();
                let name = rules[index].name.as_deref().map(str::to_owned);
                self.say(format!("rule:{number}/{}", name.unwrap_or_else(|| (index + 1).to_string())));
                (index, &rules[index].to)
            }
        };
        if let Some(over) = self.again(format!("{number}/{index}")) {
            return over;
        }
        if matches!(&to.value, Destination::Tel(to) if !self.model.numbers.contains_key(to)) {
            self.diverted = Some("unconditional");
        }
        Next::To { to: to.value.clone(), greeting: "unavailable", from_hunt: false, by }
    }

    pub(super) fn destination(
        &mut self,
        to: &Destination,
        greeting: &'static str,
        from_hunt: bool,
        by: Option<Name>,
    ) -> Next {
        match to {
            Destination::User(name) => Next::User { name: name.clone(), by, from: Entry::Called },
            Destination::Tel(number) if self.model.numbers.contains_key(number) => self.number(number, by),
            Destination::Hunt(name) => self.hunt(name),
            Destination::Tel(_) | Destination::Handset(_) | Destination::Device(_) => {
                self.say(to.to_string());
                if matches!(to, Destination::Tel(_))
                    && from_hunt
                    && let Some(over) = self.hop()
                {
                    return over;
                }
                match self.rings_place(None, to, None, self.model.domain.ring_for.as_secs()) {
                    None => Next::End,
                    Some((outcome, _)) => self.final_response(outcome),
                }
            }
            Destination::Reject(status) => self.reject(*status),
            Destination::Voicemail(name) => {
                self.say(format!("voicemail:{name}/{greeting}"));
                Next::End
            }
            service => {
                self.say(service.to_string());
                Next::End
            }
        }
    }

    pub(super) fn hunt(&mut self, name: &Name) -> Next {
        let hunt = &self.model.services.hunts[name];
        self.say(format!("hunt:{name}"));
        if let Some(over) = self.hop().or_else(|| self.again(format!("hunt:{name}"))) {
            return over;
        }
        self.through = Some(Destination::Hunt(name.clone()));
        self.prefixes.push_str(hunt.caller_id_prefix.as_deref().unwrap_or_default());
        match self.ring(None, &hunt.ring) {
            Rung::Answered => Next::End,
            Rung::Follow(next) => next,
            Rung::Ended(outcome) => match &hunt.on_failure {
                None => self.final_response(outcome),
                Some(on_failure) => {
                    self.say(format!("forward:{}", outcome.tag()));
                    let greeting = greeting(Some(outcome));
                    Next::To { to: on_failure.value.clone(), greeting, from_hunt: true, by: None }
                }
            },
        }
    }
}

/// How a list rang.
pub(super) enum Rung {
    Answered,
    Ended(RingOutcome),
    Follow(Next),
}

pub(super) fn greeting(left: Option<RingOutcome>) -> &'static str {
    match left {
        Some(RingOutcome::Busy | RingOutcome::Dnd | RingOutcome::Declined) => "busy",
        _ => "unavailable",
    }
}

pub(super) fn shown_inside(user: &User) -> CallerId {
    let display = || Some(user.display.clone()).filter(|name| !name.is_empty());
    CallerId {
        name: user.caller_id_internal.name.clone().or_else(display),
        number: user.caller_id_internal.number.clone().or_else(|| user.extensions.first().cloned()),
    }
}
