//! The way of a dialled number: classes that tie or that nothing carries, routes and dial rules behind others that take all.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{Dial, Name, Permission, Route, User};
use super::emergency::dialled;
use super::survey::{EMERGENCY, Survey};
use crate::number::Pattern;

/// `class-tie`, `class-without-route`.
pub(super) fn classes(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let model = survey.model;
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
        // Denied to everybody, such calls end with 403, and on purpose.
        let denied = |user: &User| user.restrict.get(name) == Some(&Permission::Deny);
        let settled = routed || (!model.users.is_empty() && model.users.values().all(denied));
        if !settled && name.as_ref() != EMERGENCY {
            let message = format!("no route carries the class `{name}`: such calls end with 404");
            found.push(
                Diagnostic::warning("class-without-route", class.span, message).help(format!(
                    "add it to a `[[route]]`, or deny it to everybody: `[defaults.user]` `restrict = {{ {name} = \"deny\" }}`"
                )),
            );
        }
    }
}

/// `hidden-route`: all that a route carries, or some of it, leaves by an earlier one. `via-twice`: a trunk tried twice.
pub(super) fn routes(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let routes = &survey.model.routes;
    for (at, route) in routes.iter().enumerate() {
        let earlier = routes.get(..at).unwrap_or_default();
        let hidden_by = |class: &Name| {
            let takes = |other: &&Route| {
                other.classes.contains(class) && (other.site.is_none() || other.site == route.site)
            };
            earlier.iter().find(takes)
        };
        let hidden: Vec<(&Name, &Route)> =
            route.classes.iter().filter_map(|class| Some((class, hidden_by(class)?))).collect();
        if let Some((_, first)) = hidden.first() {
            let names: Vec<String> = hidden.iter().map(|(class, _)| format!("`{class}`")).collect();
            let message = match hidden.len() == route.classes.len() {
                true => format!("this route is never taken: {} leaves by one before it", names.join(", ")),
                false => {
                    format!("{} never leaves by this route: one before it takes such calls", names.join(", "))
                }
            };
            found.push(
                Diagnostic::warning("hidden-route", route.span, message)
                    .related(first.span, "comes first")
                    .help("the first route of a class is the only one: put more trunks into its `via`, or give it a `site`"),
            );
        }
        let twice = (1..route.via.len()).find_map(|at| {
            let (before, rest) = route.via.split_at_checked(at)?;
            rest.first().filter(|trunk| before.contains(trunk))
        });
        if let Some(trunk) = twice {
            let message = format!("this route tries the trunk `{trunk}` twice");
            found.push(Diagnostic::warning("via-twice", route.span, message).help("name each trunk once"));
        }
    }
}

/// `dial-emergency`, `dial-covers-extension`, `hidden-dial`.
pub(super) fn dial(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let model = survey.model;
    let numbers = dialled(model);
    for (at, rule) in model.dial.iter().enumerate() {
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
        let earlier = model.dial.get(..at).unwrap_or_default();
        if let Some(first) = earlier.iter().find(|first| takes_all(&first.dialled, &rule.dialled)) {
            let message = format!(
                "this rule never sees a number: `{}`, before it, takes them all",
                first.dialled.as_str()
            );
            found.push(
                Diagnostic::warning("hidden-dial", rule.span, message)
                    .related(first.span, "comes first")
                    .help("put the narrower rule first"),
            );
        }
    }
}

/// Whether the first pattern takes every number of the second, as far as their texts show it.
fn takes_all(first: &Pattern, second: &Pattern) -> bool {
    if first.as_str() == second.as_str() || (second.is_literal() && first.matches(second.as_str())) {
        return true;
    }
    // `9.` before `91NXX.`: a literal beginning and anything.
    let open = first.as_str().strip_suffix('.').filter(|prefix| *prefix == first.literal_prefix());
    open.is_some_and(|prefix| {
        second.literal_prefix().starts_with(prefix) && second.as_str().len() > prefix.len()
    })
}

/// What a dial rule makes of a number.
fn rewritten(rule: &Dial, number: &str) -> Option<String> {
    match &rule.rewrite_as {
        Some(to) => Some(to.as_ref().into()),
        None => Some(format!("{}{}", rule.prefix, number.get(rule.strip..)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    const TRUNK: &str = "[trunk.t]\nproxy = \"t.example\"\n[trunk.u]\nproxy = \"u.example\"\n[site.x]\n[class.a]\nmatch = [\"+1.\"]\n[class.b]\nmatch = [\"+44.\"]\n\
                         [[route]]\nclasses = [\"emergency\", \"a\"]\nvia = [\"t\", \"u\"]\n";

    #[test]
    fn classes_that_tie_are_refused() {
        fires("class-tie", "[class.z]\nmatch = [«\"+1X.\"]\n", "take the same numbers");
        silent("class-tie", "[class.z]\nmatch = [\"+12X.\"]\n");
    }

    #[test]
    fn a_class_that_no_route_carries_is_told_of() {
        fires("class-without-route", "«[class.a]\nmatch = [\"+44.\"]\n", "such calls end with 404");
        let denied = "[defaults.user]\nrestrict = { a = \"deny\" }\n[class.a]\nmatch = [\"+44.\"]\n";
        silent("class-without-route", denied);
        silent("class-without-route", &TRUNK.replace("\"a\"", "\"a\", \"b\""));
    }

    #[test]
    fn a_route_behind_another_is_told_of() {
        fires(
            "hidden-route",
            &format!("{TRUNK}«[[route]]\nclasses = [\"a\"]\nvia = [\"u\"]\n"),
            "this route is never taken",
        );
        fires(
            "hidden-route",
            &format!("{TRUNK}«[[route]]\nsite = \"x\"\nclasses = [\"b\", \"a\"]\nvia = [\"u\"]\n"),
            "`a` never leaves",
        );
        silent("hidden-route", &format!("{TRUNK}[[route]]\nclasses = [\"b\"]\nvia = [\"u\"]\n"));
        let first = "[[route]]\nsite = \"x\"\nclasses = [\"a\"]\nvia = [\"u\"]\n[[route]]";
        silent("hidden-route", &TRUNK.replacen("[[route]]", first, 1));
    }

    #[test]
    fn a_trunk_tried_twice_is_told_of() {
        fires(
            "via-twice",
            &TRUNK.replace("[[route]]", "«[[route]]").replace("\"t\", \"u\"", "\"t\", \"u\", \"t\""),
            "`t` twice",
        );
        silent("via-twice", TRUNK);
    }

    #[test]
    fn a_dial_rule_that_touches_an_emergency_number_is_refused() {
        fires("dial-emergency", "«[[dial]]\ndialled = \"9X.\"\nstrip = 1\n", "the emergency number 911");
        silent("dial-emergency", "[[dial]]\ndialled = \"9NXXNXXXXXX\"\nstrip = 1\n");
        silent("dial-emergency", "[[dial]]\ndialled = \"911\"\nas = \"933\"\n");
    }

    #[test]
    fn a_dial_rule_over_an_extension_is_told_of() {
        fires(
            "dial-covers-extension",
            "«[[dial]]\ndialled = \"1XX\"\nprefix = \"202555\"\n",
            "never sees `100`",
        );
        silent("dial-covers-extension", "[[dial]]\ndialled = \"2XX\"\nprefix = \"202555\"\n");
    }

    #[test]
    fn a_dial_rule_behind_another_is_told_of() {
        let dial = |first: &str, second: &str| {
            format!(
                "[[dial]]\ndialled = \"{first}\"\nstrip = 1\n«[[dial]]\ndialled = \"{second}\"\nstrip = 2\n"
            )
        };
        fires("hidden-dial", &dial("8.", "801N."), "takes them all");
        fires("hidden-dial", &dial("8XX", "8XX"), "takes them all");
        silent("hidden-dial", &dial("801N.", "8.").replace('«', ""));
        silent("hidden-dial", &dial("8.", "7.").replace('«', ""));
    }
}
