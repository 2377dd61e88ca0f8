//! `budget` of users, sites and defaults: what calls of a class may cost at the most.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{Allotted, Budget, Name, Permission};
use super::names::Kind;
use super::reader::{Item, Reader, Table};
use std::collections::BTreeMap;
use std::time::Duration;

/// More at once are no limit that somebody meant.
const CALLS_AT_ONCE_MAX: u32 = 10_000;
/// Each is remembered for an hour.
const CALLS_PER_HOUR_MAX: u32 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) type Budgets = BTreeMap<Name, Allotted>;

/// `budget = { international = { time_per_day = "2h" } }` through the layers: defaults, then the site, then the table's own word; class
/// by class, and each as a whole. `restrict` and `vanity` are what the same table has of them: where they shut a class, its budget is
/// never used.
pub(super) fn budgets<'t>(
    r: &mut Reader<'t>,
    t: &mut Table<'t>,
    site: Option<&Budgets>,
    (restrict, vanity): (&BTreeMap<Name, Permission>, Option<Span>),
) -> Budgets {
    let mut merged = Budgets::new();
    let own = t.own(r, "budget");
    for item in t.inherited("budget").rev() {
        merged.extend(budgets_of(r, item));
    }
    merged.extend(site.cloned().unwrap_or_default());
    let own = own.map(|item| budgets_of(r, item)).unwrap_or_default();
    // Said of the table that has it, and not again of everybody who inherits it.
    for (class, allotted) in &own {
        if let Allotted::Budget(budget) = allotted
            && let Some((why, help)) = unreachable(class, budget, restrict.get(class), vanity)
        {
            let message = format!("this budget of `{class}` can never be reached: {why}");
            r.report(Diagnostic::warning("budget-unreachable", budget.span, message).help(help));
        }
    }
    merged.extend(own);
    merged
}

/// Why no call ever comes to the end of a budget, and what to do.
fn unreachable(
    class: &str,
    budget: &Budget,
    permission: Option<&Permission>,
    vanity: Option<Span>,
) -> Option<(String, &'static str)> {
    let most = DAY.saturating_mul(budget.calls_at_once.unwrap_or(CALLS_AT_ONCE_MAX));
    match permission {
        _ if vanity.is_some() => Some(("a vanity user calls nobody outside".to_owned(), "take it out")),
        Some(Permission::Deny) => {
            Some((format!("the class `{class}` is denied here"), "take the budget out, or the denial"))
        }
        _ if budget.time_per_day.is_some_and(|time| time > most) => {
            let why = "so few calls at once don't talk for so long in a day".to_owned();
            Some((why, "lower `time_per_day`, or take it out"))
        }
        Some(Permission::Allow | Permission::Inherit) | None => None,
    }
}

fn budgets_of<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Budgets {
    let mut budgets = Budgets::new();
    let Some(table) = item.table(r, "budget") else { return budgets };
    for (class, place, value) in table.entries() {
        let allotted = allotted(r, class, value);
        if let Some(help) = uncounted(class) {
            let message = format!("calls of the class `{class}` are not counted");
            r.error("budget-uncounted", place, message, help);
            continue;
        }
        budgets.extend(r.reference(Kind::Class, class, place).zip(allotted));
    }
    budgets
}

/// Classes that no budget is ever asked about.
fn uncounted(class: &str) -> Option<&'static str> {
    match class {
        "emergency" => Some("leave it out: an emergency call is never stopped, and counts against no budget"),
        "internal" => Some("leave it out: a call inside the domain costs nothing"),
        _ => None,
    }
}

/// A table of limits, `"unlimited"`, or `"inherit"`, which is as if the class were not named (`None`).
fn allotted<'t>(r: &mut Reader<'t>, class: &str, item: Item<'t>) -> Option<Allotted> {
    if item.is_text() {
        let unlimited = item.choice(r, &[("unlimited", true), ("inherit", false)])?;
        return unlimited.then_some(Allotted::Unlimited);
    }
    let mut t = item.table(r, "budget")?;
    let span = t.span;
    let budget = Budget {
        span,
        calls_at_once: calls(r, &mut t, "calls_at_once", CALLS_AT_ONCE_MAX),
        calls_per_hour: calls(r, &mut t, "calls_per_hour", CALLS_PER_HOUR_MAX),
        time_per_day: time(r, &mut t),
    };
    t.finish(r);
    if budget.calls_at_once.is_none() && budget.calls_per_hour.is_none() && budget.time_per_day.is_none() {
        if table_is_empty(&item) {
            let help = "set `calls_at_once`, `calls_per_hour` or `time_per_day`, or write `\"unlimited\"`";
            r.error("bad-budget", span, format!("this budget of `{class}` limits nothing"), help);
        }
        return None; // else what is wrong with it has been said
    }
    Some(Allotted::Budget(budget))
}

fn table_is_empty(item: &Item<'_>) -> bool {
    matches!(item.value, toml::de::DeValue::Table(table) if table.is_empty())
}

/// Zero is a denial in other words, and `restrict` says it in its own.
const FORBID: &str = "to forbid such calls, write `restrict = { CLASS = \"deny\" }`";

fn calls<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str, most: u32) -> Option<u32> {
    let item = t.item(r, key)?;
    let count = item.count(r, 0..=most)?;
    if count == 0 {
        r.error("bad-budget", item.span, format!("`{key}` of 0 lets no call through"), FORBID);
        return None;
    }
    Some(count)
}

fn time<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<Duration> {
    let item = t.item(r, "time_per_day")?;
    let time = item.duration(r)?;
    if time.is_zero() {
        r.error("bad-budget", item.span, "`time_per_day` of 0 lets no call through", FORBID);
        return None;
    }
    Some(time)
}
