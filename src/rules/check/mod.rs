//! Findings that need the whole domain: what each rule says is right by itself, and together they do what nobody meant.
//!
//! One file a subject, each lint a small function over the model whose doc line names its code; `docs/diagnostics` has a page a
//! code. Runs on a model that was read without an error, so every reference holds. Pure: what is said of the years ahead
//! needs the moment from which to look.
//!
//! Quiet on purpose: a finding names something that an operator would change once they saw it, says it once, where it stands,
//! and stays silent where another finding has said it already.

mod answering;
mod classes;
mod duplicates;
mod emergency;
#[cfg(test)]
mod examples;
mod expects;
mod identity;
mod lists;
#[cfg(test)]
mod pages;
mod reach;
mod rights;
mod ringing;
mod services;
mod sources;
mod survey;
mod time;
#[cfg(test)]
pub(super) mod trial;

use super::diagnostic::Diagnostic;
use super::loops;
use super::model::{Model, Name, NumberTo, User};
use super::shares::in_shares;
use answering::Hidden;
use jiff::Timestamp;
pub(super) use survey::Gathered;
use survey::Survey;
use time::Ahead;

/// Fewer are not worth a thread.
const USERS_A_SHARE_MIN: usize = 64;

/// Adds what is wrong with a model that was read without an error; of the years ahead only what can be said from `now`.
pub(super) fn check(model: &Model, now: Option<Timestamp>, found: &mut Vec<Diagnostic>) {
    let survey = Survey::of(model);
    let hidden = users(&survey, found);
    let mut ahead = now.map(|now| Ahead::of(model, now));
    if let Some(ahead) = &mut ahead {
        for (user, hidden) in model.users.values().zip(&hidden) {
            answering::ahead(ahead, user, hidden, found);
        }
    }
    for number in model.numbers.values() {
        if let NumberTo::Rules(rules) = &number.to {
            answering::number_rules(ahead.as_mut(), &model.domain.zone, rules, found);
        }
    }
    if let Some(ahead) = ahead {
        ahead.frames(found);
    }
    found.extend(loops::all(model));
    ringing::domain(&survey, found);
    services::services(&survey, found);
    reach::devices(&survey, found);
    duplicates::objects(&survey, found);
    duplicates::identifiers(&survey, found);
    classes::classes(&survey, found);
    classes::routes(&survey, found);
    classes::dial(&survey, found);
    emergency::calls(&survey, found);
    emergency::extensions(&survey, found);
    rights::numbers(&survey, found);
    identity::domain(&survey, found);
    sources::ranges(&survey, found);
    expects::expects(&survey, found);
}

/// What can be said of each user by themselves, by several threads where there are many; with the rules of each that others hide.
fn users(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) -> Vec<Hidden> {
    let entries = lists::Entries::of(survey, found);
    let users: Vec<(&Name, &User)> = survey.model.users.iter().collect();
    let shares = in_shares(&users, USERS_A_SHARE_MIN, |users| {
        let (mut found, mut common) = (Vec::new(), lists::Common::of(&entries));
        let hidden = |(name, user): &(&Name, &User)| lints(survey, &mut common, name, user, &mut found);
        let hidden: Vec<Hidden> = users.iter().map(hidden).collect();
        (hidden, found)
    });
    let mut all = Vec::with_capacity(users.len());
    for (hidden, theirs) in shares {
        all.extend(hidden);
        found.extend(theirs);
    }
    all
}

/// What is said of some users again, after they or others have changed; of the years ahead nothing.
pub(super) fn users_again(model: &Model, gathered: &Gathered, names: &[Name], found: &mut Vec<Diagnostic>) {
    let survey = Survey::with(model, gathered);
    let users: Vec<(&Name, &User)> =
        names.iter().filter_map(|name| model.users.get_key_value(name)).collect();
    let named: Vec<&User> = users.iter().map(|(_, user)| *user).collect();
    let entries = lists::Entries::named_by(&survey, &named);
    let mut common = lists::Common::of(&entries);
    for (name, user) in users {
        lints(&survey, &mut common, name, user, found);
    }
}

fn lints(
    survey: &Survey<'_>,
    common: &mut lists::Common<'_, '_>,
    name: &Name,
    user: &User,
    found: &mut Vec<Diagnostic>,
) -> Hidden {
    let hidden = answering::rules(name, &user.rules, found);
    for rule in user.rules.iter().filter(|rule| rule.enabled) {
        reach::dead_keys(name, user, rule, found);
    }
    reach::user(survey, name, user, found);
    ringing::user(survey, name, user, found);
    lists::user(survey, common, name, user, found);
    rights::user(survey, name, user, found);
    identity::user(survey, name, user, found);
    hidden
}
