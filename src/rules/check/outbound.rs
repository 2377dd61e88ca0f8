//! The way out: classes, routes, dial rules, emergency numbers, and forwards that their owner may not dial.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{Destination, Dial, Forwards, Model, Name, Permission, TargetTo, User};
use crate::number::{Pattern, emergency_numbers};
use std::collections::BTreeSet;

const EMERGENCY: &str = "emergency";

/// Ties between classes, and classes that no route carries.
pub(super) fn classes(model: &Model, found: &mut Vec<Diagnostic>) {
    let all: Vec<(&Name, &Pattern, Span)> = model
        .classes
        .iter()
        .flat_map(|(name, class)| class.value.iter().map(move |pattern| (name, &pattern.value, pattern.span)))
        .collect();
    for (at, (name, pattern, span)) in all.iter().enumerate() {
        let tie = all.get(..at).unwrap_or_default().iter().find(|(other, theirs, _)| {
            other != name && theirs.literal_prefix() == pattern.literal_prefix() && theirs.overlaps(pattern)
        });
        if let Some((other, theirs, first)) = tie {
            let (theirs, ours) = (theirs.as_str(), pattern.as_str());
            let message = format!("`{ours}` of `{name}` and `{theirs}` of `{other}` take the same numbers");
            let finding = Diagnostic::error("class-tie", *span, message).related(*first, "the other one");
            found.push(
                finding
                    .help("the longest literal beginning decides between classes: make one of them longer"),
            );
        }
    }
    for (name, class) in &model.classes {
        let routed = model.routes.iter().any(|route| route.classes.contains(name));
        if !routed && name.as_ref() != EMERGENCY {
            let message = format!("no route carries the class `{name}`: such calls end with 404");
            found.push(
                Diagnostic::warning("class-without-route", class.span, message)
                    .help("add it to a `[[route]]`, if it may be called"),
            );
        }
    }
}

/// The emergency numbers of the domain's country and its sites', and the operator's own.
fn emergency_dialled(model: &Model) -> BTreeSet<&str> {
    let countries = model
        .sites
        .values()
        .filter_map(|site| site.country.as_deref())
        .chain([model.domain.country.as_ref()]);
    let own = model.classes.get(EMERGENCY).into_iter().flat_map(|class| &class.value);
    let own = own.filter(|pattern| pattern.value.is_literal()).map(|pattern| pattern.value.as_str());
    countries.flat_map(|country| emergency_numbers(country).iter().copied()).chain(own).collect()
}

/// Emergency calls have a way out, and nothing stands before it.
pub(super) fn emergency(model: &Model, found: &mut Vec<Diagnostic>) {
    let routed = model
        .routes
        .iter()
        .any(|route| route.site.is_none() && route.classes.iter().any(|c| c.as_ref() == EMERGENCY));
    if !routed {
        let span = model.classes.get(EMERGENCY).map_or(model.domain.span, |class| class.span);
        let message = "emergency calls have no route that every site may use";
        let help = "add `[[route]]` with `classes = [\"emergency\"]` and the trunks that carry them";
        // The numbers are built in; only who names them himself has plainly meant them to leave the house.
        let finding = match model.classes.contains_key(EMERGENCY) {
            true => Diagnostic::error("no-emergency-route", span, message),
            false => Diagnostic::warning("no-emergency-route", span, message),
        };
        found.push(finding.help(help));
    }
    let numbers = emergency_dialled(model);
    let users =
        model.users.values().flat_map(|user| user.extensions.iter().map(|extension| (extension, user.span)));
    let services = model.system_extensions.iter().map(|(extension, to)| (extension, to.span));
    for (extension, span) in users.chain(services) {
        if numbers.contains(extension.as_ref()) {
            let message =
                format!("the extension `{extension}` is an emergency number: it can never be reached");
            found.push(
                Diagnostic::error("extension-emergency", span, message).help("choose another extension"),
            );
        }
    }
}

/// Dial rules before emergency numbers and extensions.
pub(super) fn dial(model: &Model, found: &mut Vec<Diagnostic>) {
    let numbers = emergency_dialled(model);
    for rule in &model.dial {
        let leads_there = |number: &str| {
            rule.class.as_deref() == Some(EMERGENCY)
                || rewritten(rule, number).is_some_and(|to| numbers.contains(to.as_str()))
        };
        if let Some(number) =
            numbers.iter().find(|number| rule.dialled.matches(number) && !leads_there(number))
        {
            let message = format!("this rule would turn the emergency number {number} into another");
            let help = format!("narrow `dialled`, so that {number} does not match it");
            found.push(Diagnostic::error("dial-emergency", rule.span, message).help(help));
        }
        let extensions =
            model.users.values().flat_map(|user| &user.extensions).chain(model.system_extensions.keys());
        if let Some(extension) = extensions.into_iter().find(|extension| rule.dialled.matches(extension)) {
            let message = format!("this rule never sees `{extension}`: extensions are looked at first");
            found.push(
                Diagnostic::warning("dial-covers-extension", rule.span, message)
                    .help("narrow `dialled`, or renumber"),
            );
        }
    }
}

/// What a dial rule makes of a number.
fn rewritten(rule: &Dial, number: &str) -> Option<String> {
    match &rule.rewrite_as {
        Some(to) => Some(to.as_ref().into()),
        None => Some(format!("{}{}", rule.prefix, number.get(rule.strip..)?)),
    }
}

/// Fixed outside numbers that the user may not call, or that have no way out.
pub(super) fn forwards(model: &Model, found: &mut Vec<Diagnostic>) {
    for (name, user) in &model.users {
        for rule in &user.rules {
            for (to, span) in each(&rule.forward) {
                if let Destination::Tel(number) = to {
                    outside(model, name, user, number, span, true, found);
                }
            }
            for to in rule.ring.targets.iter().flat_map(|target| &target.to) {
                if let TargetTo::Destination(Destination::Tel(number)) = &to.value {
                    outside(model, name, user, number, to.span, false, found);
                }
            }
        }
    }
}

fn outside(
    model: &Model,
    name: &str,
    user: &User,
    number: &str,
    span: Span,
    forward: bool,
    found: &mut Vec<Diagnostic>,
) {
    let denied = |reason: String, related: Option<Span>| {
        let message = format!("`{name}` may not call {number}: {reason}");
        let finding = match forward {
            true => Diagnostic::error("forward-denied", span, message),
            false => Diagnostic::warning("target-denied", span, message),
        };
        let finding = finding.help("forwards and outside legs need the rights of the user whose rule it is");
        match related {
            Some(place) => finding.related(place, "said here"),
            None => finding,
        }
    };
    if let Some(vanity) = user.vanity {
        found.push(denied("a vanity user calls nobody outside".into(), Some(vanity)));
        return;
    }
    let class = model
        .classes
        .iter()
        .flat_map(|(class, patterns)| patterns.value.iter().map(move |pattern| (class, &pattern.value)))
        .filter(|(_, pattern)| pattern.matches(number))
        .max_by_key(|(_, pattern)| pattern.literal_prefix().len())
        .map(|(class, _)| class);
    let routed = class.is_some_and(|class| model.routes.iter().any(|route| route.classes.contains(class)));
    match class {
        Some(class) if user.restrict.get(class) == Some(&Permission::Deny) => {
            found.push(denied(format!("the class `{class}` is denied to them"), None));
        }
        // A number of ours needs no way out.
        _ if routed || model.numbers.contains_key(number) => {}
        _ => {
            let message = match class {
                Some(class) => format!("{number} is of the class `{class}`, which no route carries"),
                None => format!("{number} is of no class, so no route carries it"),
            };
            found.push(Diagnostic::warning("no-route", span, message).help("add its class to a `[[route]]`"));
        }
    }
}

fn each(forwards: &Forwards) -> impl Iterator<Item = (&Destination, Span)> {
    let Forwards { always, dnd, on_active, busy, no_answer, declined, offline, otherwise } = forwards;
    [always, dnd, on_active, busy, no_answer, declined, offline, otherwise]
        .into_iter()
        .flatten()
        .map(|forward| (&forward.to, forward.span))
}
