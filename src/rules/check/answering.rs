//! The order of rules: exactly one `always`, last; nothing behind a rule that takes everything before it.

use super::super::diagnostic::Diagnostic;
use super::super::model::{Model, NumberRule, Rule, When};
use super::week::Weeks;
use std::collections::HashMap;

/// The rules of one user.
pub(super) fn rules(
    model: &Model,
    weeks: &mut Weeks,
    user: &str,
    rules: &[Rule],
    found: &mut Vec<Diagnostic>,
) {
    let mut names = HashMap::new();
    for rule in rules {
        if let Some(first) = names.insert(&rule.name, rule.span) {
            let message = format!("`{user}` has two rules named `{}`", rule.name);
            let finding =
                Diagnostic::error("rule-name-twice", rule.span, message).related(first, "the first one");
            found.push(finding.help("explanations and `user set rule=` go by the name: choose another"));
        }
    }
    let enabled: Vec<&Rule> = rules.iter().filter(|rule| rule.enabled).collect();
    if !enabled.iter().any(|rule| rule.when == When::Always) {
        if let Some(last) = rules.last() {
            let message = format!("the rules of `{user}` leave times open: none of them is always active");
            let help = "end with a rule that has `when = \"always\"` and is enabled";
            found.push(Diagnostic::error("no-always", last.span, message).help(help));
        }
        return;
    }
    for (at, rule) in enabled.iter().enumerate() {
        let earlier = enabled.get(..at).unwrap_or_default();
        if let Some(hiding) = earlier.iter().find(|earlier| hides(&earlier.when, &rule.when)) {
            found.push(unreachable(
                &rule.name,
                rule.span,
                &hiding.name,
                hiding.span,
                hiding.when == When::Always,
            ));
        } else if let Some(covering) =
            earlier.iter().find(|earlier| weeks.covers(model, &earlier.when, &rule.when))
        {
            let message = format!(
                "whenever `{}` could be active, `{}` is, which comes first: only an override can free it",
                rule.name, covering.name
            );
            let finding = Diagnostic::warning("covered-rule", rule.span, message);
            found.push(finding.related(covering.span, "comes first").help("put the narrower rule first"));
        }
    }
}

/// The rules of one number; that they end with `always` was seen when they were read.
pub(super) fn number_rules(rules: &[NumberRule], found: &mut Vec<Diagnostic>) {
    for (at, rule) in rules.iter().enumerate() {
        let earlier = rules.get(..at).unwrap_or_default();
        let hiding =
            earlier.iter().find(|earlier| earlier.when != When::Always && hides(&earlier.when, &rule.when));
        if let Some(hiding) = hiding {
            let named = |rule: &NumberRule| rule.name.as_ref().map_or("a rule", |name| name).to_owned();
            found.push(unreachable(&named(rule), rule.span, &named(hiding), hiding.span, false));
        }
    }
}

fn unreachable(
    hidden: &str,
    span: super::super::Span,
    hiding: &str,
    first: super::super::Span,
    always: bool,
) -> Diagnostic {
    let reason = if always { "is always active" } else { "has the same time frame" };
    let message = format!("`{hidden}` is never reached: `{hiding}`, before it, {reason}");
    let help =
        if always { "put `when = \"always\"` last, once" } else { "take one of them out, or reorder them" };
    Diagnostic::error("unreachable-rule", span, message).related(first, "this one hides it").help(help)
}

/// Whether each condition of the later rule is one of the earlier's.
fn hides(earlier: &When, later: &When) -> bool {
    match (earlier, later) {
        (When::Always, _) => true,
        (When::AnyOf(_), When::Always) => false,
        (When::AnyOf(earlier), When::AnyOf(later)) => later.iter().all(|condition| {
            earlier.iter().any(|other| other.frame == condition.frame && other.negated == condition.negated)
        }),
    }
}
