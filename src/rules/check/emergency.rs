//! Emergency calls: they leave, nothing stands before their numbers, and they say where the caller is and how to call back.

use super::super::diagnostic::Diagnostic;
use super::super::model::{Device, EmergencyKeys, Model, NumberTo};
use super::survey::{EMERGENCY, Survey};
use crate::number::emergency_numbers;
use std::collections::BTreeSet;

/// Names in a message; the rest is counted.
const NAMES_SHOWN: usize = 5;

/// The emergency numbers of the domain's country and its sites', and the operator's own.
pub(super) fn dialled(model: &Model) -> BTreeSet<&str> {
    let countries = model
        .sites
        .values()
        .filter_map(|site| site.country.as_deref())
        .chain([model.domain.country.as_ref()]);
    let own = model.classes.get(EMERGENCY).into_iter().flat_map(|class| &class.value);
    let own = own.filter(|pattern| pattern.value.is_literal()).map(|pattern| pattern.value.as_str());
    countries.flat_map(|country| emergency_numbers(country).iter().copied()).chain(own).collect()
}

/// `no-emergency-route`, else `no-emergency-address`; `emergency-wide`; `callback-number`.
pub(super) fn calls(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let model = survey.model;
    let routed = model
        .routes
        .iter()
        .any(|route| route.site.is_none() && route.classes.iter().any(|c| c.as_ref() == EMERGENCY));
    if routed {
        let location = |keys: &EmergencyKeys| keys.location.is_some();
        let callback = |keys: &EmergencyKeys| keys.callback.is_some();
        found.extend(no_address(survey, "location", "where the caller is", location));
        found.extend(no_address(survey, "callback", "a number to call back", callback));
    } else {
        found.push(no_route(model));
    }
    for pattern in model.classes.get(EMERGENCY).into_iter().flat_map(|class| &class.value) {
        if !pattern.value.is_literal() {
            let text = pattern.value.as_str();
            let message = format!(
                "every number that `{text}` matches becomes an emergency call, which nobody can be denied"
            );
            found.push(
                Diagnostic::warning("emergency-wide", pattern.span, message)
                    .help("write each emergency number in full: `\"911\"`"),
            );
        }
    }
    callback_numbers(survey, found);
}

fn no_route(model: &Model) -> Diagnostic {
    let span = model.classes.get(EMERGENCY).map_or(model.domain.span, |class| class.span);
    let message = "emergency calls have no route that every site may use";
    // The numbers are built in; only who names them himself has plainly meant them to leave the house.
    let finding = match model.classes.contains_key(EMERGENCY) {
        true => Diagnostic::error("no-emergency-route", span, message),
        false => Diagnostic::warning("no-emergency-route", span, message),
    };
    finding.help("add `[[route]]` with `classes = [\"emergency\"]` and the trunks that carry them")
}

/// `no-emergency-address`: phones whose emergency calls go without their location, or without a number to call back. One
/// finding for all of them.
fn no_address(
    survey: &Survey<'_>,
    key: &str,
    what: &str,
    has: impl Fn(&EmergencyKeys) -> bool,
) -> Option<Diagnostic> {
    let model = survey.model;
    if has(&model.emergency) {
        return None;
    }
    let at_site = |name: Option<&super::super::model::Name>| {
        name.and_then(|name| model.sites.get(name)).is_some_and(|site| has(&site.emergency))
    };
    let known = |device: &Device| {
        let user = device.user.as_ref().and_then(|user| model.users.get(user));
        (key == "location" && device.location.is_some())
            || user.is_some_and(|user| has(&user.emergency))
            || at_site(device.site.as_ref())
            || at_site(user.and_then(|user| user.site.as_ref()))
    };
    let without: Vec<&str> =
        model.devices.iter().filter(|(_, device)| !known(device)).map(|(name, _)| name.as_ref()).collect();
    if without.is_empty() {
        return None;
    }
    let shown: Vec<String> = without.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = match without.len().checked_sub(NAMES_SHOWN) {
        Some(rest @ 1..) => format!(" and {rest} more"),
        _ => String::new(),
    };
    let message = format!("emergency calls of {}{more} do not say {what}", shown.join(", "));
    let help = format!("add `{key} = \"...\"` to `[emergency]`, or to `emergency` of the site or the user");
    Some(Diagnostic::warning("no-emergency-address", model.domain.span, message).help(help))
}

/// `callback-number`: the emergency centre calls back, and nobody is there.
fn callback_numbers(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    for (name, callback) in &survey.model.callbacks {
        let Some(number) = &callback.value.number else { continue };
        let reason = match survey.model.numbers.get(number).map(|number| &number.to) {
            None => "is no number of this domain",
            Some(NumberTo::Spare) => "is spare, and answers 404",
            Some(NumberTo::To(_) | NumberTo::Rules(_)) => continue,
        };
        let message = format!("the emergency centre would call back {number} of `{name}`, which {reason}");
        found.push(
            Diagnostic::warning("callback-number", callback.span, message)
                .help(format!("write `[number.\"{number}\"]` with `to`, or another number")),
        );
    }
}

/// `extension-emergency`: an extension that is taken for an emergency call, with or without a digit for an outside line.
pub(super) fn extensions(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let model = survey.model;
    let numbers = dialled(model);
    let lines: Vec<&str> = model.domain.outside_line.as_deref().into_iter().chain(["", "9", "0"]).collect();
    let users =
        model.users.values().flat_map(|user| user.extensions.iter().map(|extension| (extension, user.span)));
    let services = model.system_extensions.iter().map(|(extension, to)| (extension, to.span));
    for (extension, span) in users.chain(services) {
        if let Some(number) = taken_for(extension, &lines, &numbers) {
            let message = match number == extension.as_ref() {
                true => {
                    format!("the extension `{extension}` is an emergency number: it can never be reached")
                }
                false => format!(
                    "the extension `{extension}` is taken for {number} behind an outside line: it can never be reached"
                ),
            };
            found.push(
                Diagnostic::error("extension-emergency", span, message).help("choose another extension"),
            );
        }
    }
}

/// The emergency number that a dialled text is taken for.
pub(super) fn taken_for<'n>(dialled: &str, lines: &[&str], numbers: &BTreeSet<&'n str>) -> Option<&'n str> {
    lines.iter().find_map(|line| numbers.get(dialled.strip_prefix(line)?).copied())
}

#[cfg(test)]
mod tests {
    use super::super::trial::{beside, files, fires, fires_in, silent, silent_in, with_domain};

    #[test]
    fn emergency_calls_without_a_way_out_are_told_of() {
        let mut files = beside(&[]);
        files.0.remove("outbound.toml");
        fires_in("no-emergency-route", &files, "domain.toml:3:1", "add `[[route]]`");
        silent("no-emergency-route", "");
        let only_there = "[site.x]\n[trunk.t]\nproxy = \"t.example\"\n«[class.emergency]\nmatch = [\"911\"]\n\
                          [[route]]\nsite = \"x\"\nclasses = [\"emergency\"]\nvia = [\"t\"]\n";
        fires("no-emergency-route", only_there, "no route that every site may use");
    }

    #[test]
    fn an_emergency_call_that_does_not_say_where_is_told_of() {
        let bare = "[domain]\nname = \"pbx.example\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n\
                    caller_id = { number = \"+12025550100\" }\n[callback.desk]\nnumber = \"+12025550100\"\n[emergency]\ncallback = \"desk\"\n";
        fires("no-emergency-address", &format!("«{bare}"), "of `100a` do not say where the caller is");
        let site = "[location.here]\ncountry = \"US\"\n[site.x]\nemergency = { location = \"here\" }\n[defaults.user]\nsite = \"x\"\n";
        silent("no-emergency-address", &format!("{bare}{site}"));
        silent("no-emergency-address", "");
    }

    #[test]
    fn an_emergency_class_that_takes_many_numbers_is_told_of() {
        fires(
            "emergency-wide",
            "[class.emergency]\nmatch = [\"911\", «\"91.\"]\n",
            "each emergency number in full",
        );
        silent("emergency-wide", "[class.emergency]\nmatch = [\"911\", \"112\"]\n");
    }

    #[test]
    fn a_call_back_that_reaches_nobody_is_told_of() {
        fires("callback-number", "«[callback.x]\nnumber = \"+12025550199\"\n", "no number of this domain");
        fires(
            "callback-number",
            "[number.\"+12025550199\"]\n«[callback.x]\nnumber = \"+12025550199\"\n",
            "is spare",
        );
        silent(
            "callback-number",
            "[number.\"+12025550199\"]\nto = \"user:desk\"\n[callback.x]\nnumber = \"+12025550199\"\n",
        );
    }

    #[test]
    fn an_extension_that_is_an_emergency_number_is_refused() {
        fires("extension-emergency", "«[user.ann]\next = \"911\"\n", "never be reached");
        fires("extension-emergency", "«[user.ann]\next = \"9911\"\n", "taken for 911 behind an outside line");
        let eight = with_domain("outside_line = \"8\"\n", "[user.ann]\next = \"8911\"\n");
        fires_in("extension-emergency", &eight, "x.toml:1:1", "taken for 911");
        silent_in("extension-emergency", &files("[user.ann]\next = \"8911\"\n"));
    }
}
