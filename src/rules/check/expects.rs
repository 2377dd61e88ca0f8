//! Golden tests that would pass today and fail tomorrow.

use super::super::destination::parse_destination;
use super::super::diagnostic::Diagnostic;
use super::super::model::{Destination, Expect, Name, NumberTo, When};
use super::survey::{Survey, destinations_of, forwards};
use crate::number::{Locale, normalise};
use std::collections::BTreeSet;

/// `expect-without-at`: the call meets time frames, and the test does not say when it comes.
pub(super) fn expects(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    for expect in survey.model.expects.iter().filter(|expect| expect.at.is_none()) {
        if let Some(frame) = frame_met(survey, expect) {
            let message =
                format!("`{}` goes by the clock of whoever checks: its call meets `{frame}`", expect.name);
            found.push(
                Diagnostic::warning("expect-without-at", expect.span, message)
                    .help("say when the call comes: `at = \"2026-12-25T10:00\"`"),
            );
        }
    }
}

/// A time frame that decides over this call: of the number or user called, or of one that they forward to.
fn frame_met(survey: &Survey<'_>, expect: &Expect) -> Option<Name> {
    let model = survey.model;
    let settled = |frame: &Name| expect.given.time_frame.contains_key(frame);
    let mut frames = None;
    let mut meets = |when: &When| {
        if let When::AnyOf(conditions) = when {
            frames =
                frames.take().or_else(|| conditions.iter().map(|c| &c.frame).find(|f| !settled(f)).cloned());
        }
    };
    let mut to_visit: Vec<Destination> = called(survey, &expect.to);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(to) = to_visit.pop() {
        if !seen.insert(to.to_string()) {
            continue;
        }
        match &to {
            Destination::User(name) if !expect.given.rule.contains_key(name) => {
                for rule in
                    model.users.get(name).into_iter().flat_map(|user| &user.rules).filter(|rule| rule.enabled)
                {
                    meets(&rule.when);
                    to_visit.extend(forwards(&rule.forward).map(|(_, forward)| forward.to.clone()));
                }
            }
            Destination::Tel(number) => {
                let Some(number) = model.numbers.get(number) else { continue };
                if let NumberTo::Rules(rules) = &number.to {
                    rules.iter().for_each(|rule| meets(&rule.when));
                }
                to_visit.extend(destinations_of(&number.to).into_iter().map(|to| to.value.clone()));
            }
            _ => {}
        }
    }
    frames
}

/// Where `to` of a golden test leads.
fn called(survey: &Survey<'_>, to: &str) -> Vec<Destination> {
    let model = survey.model;
    if let Some((name, _)) =
        model.users.iter().find(|(_, user)| user.extensions.iter().any(|e| e.as_ref() == to))
    {
        return vec![Destination::User(name.clone())];
    }
    let locale = Locale { country: model.domain.country.clone(), area_code: model.domain.area_code.clone() };
    let number = normalise(to, &locale).filter(|number| model.numbers.contains_key(number.as_str()));
    let number = number.map(|number| Destination::Tel(number.into()));
    number.or_else(|| parse_destination(to)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    const RULES: &str = "[time_frame.open]\nweekly = [\"mon-fri 09:00-17:00\"]\n[number.\"+12025550101\"]\nto = \"user:ann\"\n\
                         [device.101a]\nuser = \"ann\"\nauth = { user = \"101a\", secret = \"env:A\" }\n[user.ann]\next = \"101\"\n\
                         [[user.ann.rule]]\nname = \"Open\"\nwhen = \"open\"\n[[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\ndnd = true\n";

    fn expect(keys: &str) -> String {
        format!("{RULES}«[[expect]]\nname = \"x\"\n{keys}then = [\"user:*\"]\n")
    }

    #[test]
    fn a_test_that_goes_by_the_clock_is_told_of() {
        fires(
            "expect-without-at",
            &expect("call = { from = \"+12125550173\", to = \"+12025550101\" }\n"),
            "its call meets `open`",
        );
        fires(
            "expect-without-at",
            &expect("call = { from = \"100\", to = \"101\" }\n"),
            "at = \"2026-12-25T10:00\"",
        );
        for keys in [
            "at = \"2026-11-23T10:00\"\ncall = { from = \"100\", to = \"101\" }\n",
            "given = { time_frame = { open = \"on\" } }\ncall = { from = \"100\", to = \"101\" }\n",
            "given = { rule = { ann = \"Open\" } }\ncall = { from = \"100\", to = \"101\" }\n",
            "call = { from = \"101\", to = \"100\" }\n",
            "call = { from_device = \"101a\", to = \"911\" }\n",
        ] {
            silent("expect-without-at", &expect(keys).replace('«', ""));
        }
    }
}
