//! Unconditional loops of forwards and numbers: a call that can never arrive is refused before anybody dials into it.

use super::diagnostic::{Diagnostic, Severity, Span};
use super::model::{Destination, Model, Name, NumberTo, When};
use std::collections::BTreeSet;

/// Where a call is sent on from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'m> {
    User(&'m Name),
    Number(&'m Name),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Place::User(name) | Place::Number(name)) = self;
        f.write_str(name)
    }
}

/// Users and numbers whose calls are always sent on and come back, whatever the time and whoever calls. One finding a loop.
pub(super) fn unconditional(model: &Model) -> Vec<Diagnostic> {
    let mut seen: BTreeSet<Place<'_>> = BTreeSet::new();
    let mut found = Vec::new();
    for start in model.users.keys().map(Place::User).chain(model.numbers.keys().map(Place::Number)) {
        let mut way: Vec<(Place<'_>, Span)> = Vec::new();
        let mut at = start;
        while seen.insert(at) {
            let next = match at {
                Place::User(user) => always_to(model, user),
                Place::Number(number) => leads_to(model, number),
            };
            let Some((next, span)) = next else { break };
            way.push((at, span));
            at = next;
        }
        // Back at a place of this very way: a loop. At one of an earlier way: that way has told of it already.
        if let Some(first) = way.iter().position(|(place, _)| *place == at) {
            found.push(finding(way.get(first..).unwrap_or_default(), at));
        }
    }
    found
}

/// Where every call to this user goes: each of its rules in force forwards always, and to the same place.
fn always_to<'m>(model: &'m Model, user: &Name) -> Option<(Place<'m>, Span)> {
    let user = model.users.get(user)?;
    let mut target: Option<(Place<'_>, Span)> = None;
    for rule in user.rules.iter().filter(|rule| rule.enabled) {
        let forward = rule.forward.always.as_ref().filter(|f| !f.direct_only)?;
        let to = place(model, &forward.to)?;
        if target.is_some_and(|(earlier, _)| earlier != to) {
            return None;
        }
        target = Some((to, forward.span));
        if rule.when == When::Always {
            break;
        }
    }
    target
}

/// Where every call to this number goes; or back to itself by any of its rules, which no time makes right.
fn leads_to<'m>(model: &'m Model, number: &'m Name) -> Option<(Place<'m>, Span)> {
    let all: Vec<(Place<'_>, Span)> = match &model.numbers.get(number)?.to {
        NumberTo::Spare => return None,
        NumberTo::To(to) => vec![(place(model, &to.value)?, to.span)],
        NumberTo::Rules(rules) => {
            let places: Vec<_> =
                rules.iter().map(|rule| Some((place(model, &rule.to.value)?, rule.to.span))).collect();
            let itself = places.iter().flatten().find(|(to, _)| *to == Place::Number(number));
            match itself {
                Some(itself) => vec![*itself],
                None => places.into_iter().collect::<Option<_>>()?,
            }
        }
    };
    let first = all.first()?;
    all.iter().all(|(to, _)| *to == first.0).then_some(*first)
}

/// A user, or a number of ours.
fn place<'m>(model: &'m Model, to: &'m Destination) -> Option<Place<'m>> {
    match to {
        Destination::User(user) => Some(Place::User(user)),
        Destination::Tel(number) if model.numbers.contains_key(number) => Some(Place::Number(number)),
        _ => None,
    }
}

fn finding(way: &[(Place<'_>, Span)], back_at: Place<'_>) -> Diagnostic {
    let mut names: Vec<String> = way.iter().map(|(place, _)| place.to_string()).collect();
    names.push(back_at.to_string());
    Diagnostic {
        severity: Severity::Error,
        code: "forwarding-loop",
        span: way.last().map(|(_, span)| *span).unwrap_or_default(),
        message: format!("every call goes round for ever: {}", names.join(" -> ")),
        help: Some("let one of them ring, or forward to a mailbox".to_owned()),
        related: way.first().map(|(place, span)| (*span, format!("`{place}` sends every call on here"))),
    }
}
