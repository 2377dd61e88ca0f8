//! Budgets that differ: what users may spend on a class. No call that is tried has used anything up, so they show in no decision.

use super::{Difference, Side};
use crate::rules::model::{Budget, Model, Name, in_words};
use std::collections::{BTreeMap, BTreeSet};

/// Users that a sentence names; further ones are counted.
const NAMED_MAX: usize = 5;

/// Tells what may be spent otherwise, equal differences of several users as one.
pub(super) fn compare(before: &Side<'_>, after: &Side<'_>, into: &mut Vec<Difference>) {
    let mut groups: BTreeMap<(Name, String, String), Vec<&Name>> = BTreeMap::new();
    for (name, user) in &after.model.users {
        let Some(earlier) = before.model.users.get(name) else { continue };
        if earlier.budget.is_empty() && user.budget.is_empty() {
            continue;
        }
        let classes: BTreeSet<&Name> = earlier.budget.keys().chain(user.budget.keys()).collect();
        for class in classes {
            let (was, is) = (words(earlier.budget.get(class)), words(user.budget.get(class)));
            if was != is {
                groups.entry((class.clone(), was, is)).or_default().push(name);
            }
        }
    }
    for ((class, was, is), users) in groups {
        let whose = whose(after.model, &users);
        let text = format!("{whose} may spend {is} on calls of class {class}, {was} until now");
        into.push(Difference { text, kind: "object".to_owned(), ..Difference::default() });
    }
}

/// `2 calls at once, 1h30m a day`.
fn words(budget: Option<&Budget>) -> String {
    let Some(budget) = budget else { return "without a limit".to_owned() };
    let parts = [
        budget.calls_at_once.map(|calls| format!("{calls} calls at once")),
        budget.calls_per_hour.map(|calls| format!("{calls} calls an hour")),
        budget.time_per_day.map(|time| format!("{} a day", in_words(time))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn whose(model: &Model, users: &[&Name]) -> String {
    if users.len() > 1 && users.len() == model.users.len() {
        return "all users".to_owned();
    }
    let named: Vec<&str> = users.iter().take(NAMED_MAX).map(|name| &***name).collect();
    let more = users.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}
