//! The order of rules: exactly one `always`, last; nothing behind a rule that takes everything before it.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{Name, NumberRule, Rule, User, When};
use super::time::{Ahead, Line};

/// The enabled rules of a list that an earlier one hides, by their places; `None` where the list leaves times open, which is all that is
/// said of it then.
pub(super) type Hidden = Option<Vec<usize>>;

/// `rule-name-twice`, `no-always`, `unreachable-rule` over the rules of one user.
pub(super) fn rules(user: &str, rules: &[Rule], found: &mut Vec<Diagnostic>) -> Hidden {
    for (at, rule) in rules.iter().enumerate() {
        let earlier = rules.get(..at).unwrap_or_default();
        if let Some(first) = earlier.iter().rfind(|first| first.name == rule.name).map(|first| first.span) {
            let message = format!("`{user}` has two rules named `{}`", rule.name);
            let finding =
                Diagnostic::error("rule-name-twice", rule.span, message).related(first, "the first one");
            found.push(finding.help("explanations and `user set rule=` go by the name: choose another"));
        }
    }
    let lines = lines(rules);
    if !lines.iter().any(|line| *line.when == When::Always) {
        if let Some(last) = rules.last() {
            let message = format!("the rules of `{user}` leave times open: none of them is always active");
            let help = "end with a rule that has `when = \"always\"` and is enabled";
            found.push(Diagnostic::error("no-always", last.span, message).help(help));
        }
        return None;
    }
    Some(order(&lines, found))
}

/// What the years ahead show of the rules of one user.
pub(super) fn ahead(ahead: &mut Ahead<'_>, user: &User, hidden: &Hidden, found: &mut Vec<Diagnostic>) {
    if let Some(hidden) = hidden {
        ahead.rules(&user.zone, &lines(&user.rules), hidden, found);
    }
}

fn lines(rules: &[Rule]) -> Vec<Line<'_>> {
    let enabled = rules.iter().filter(|rule| rule.enabled);
    enabled.map(|rule| Line { name: (&*rule.name).into(), when: &rule.when, span: rule.span }).collect()
}

/// The same of one number; that its rules end with `always` was seen when they were read.
pub(super) fn number_rules(
    ahead: Option<&mut Ahead<'_>>,
    zone: &Name,
    rules: &[NumberRule],
    found: &mut Vec<Diagnostic>,
) {
    let name = |rule: &NumberRule, count: usize| match &rule.name {
        Some(name) => name.to_string(),
        None => format!("rule {count}"),
    };
    let lines = rules.iter().zip(1..).map(|(rule, count)| Line {
        name: name(rule, count).into(),
        when: &rule.when,
        span: rule.span,
    });
    let lines: Vec<Line<'_>> = lines.collect();
    let hidden = order(&lines, found);
    if let Some(ahead) = ahead {
        ahead.rules(zone, &lines, &hidden, found);
    }
}

/// `unreachable-rule`: the places of those that are.
fn order(lines: &[Line<'_>], found: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut hidden = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let earlier = lines.get(..at).unwrap_or_default();
        if let Some(hiding) = earlier.iter().find(|earlier| hides(earlier.when, line.when)) {
            hidden.push(at);
            found.push(unreachable(&line.name, line.span, hiding));
        }
    }
    hidden
}

fn unreachable(hidden: &str, span: Span, hiding: &Line<'_>) -> Diagnostic {
    let always = *hiding.when == When::Always;
    let reason = if always { "is always active" } else { "has the same time frame" };
    let message = format!("`{hidden}` is never reached: `{}`, before it, {reason}", hiding.name);
    let help =
        if always { "put `when = \"always\"` last, once" } else { "take one of them out, or reorder them" };
    Diagnostic::error("unreachable-rule", span, message).related(hiding.span, "this one hides it").help(help)
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

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    const FRAMES: &str = "[time_frame.x]\nweekly = [\"mon 09:00-10:00\"]\n[time_frame.y]\nweekly = [\"tue\"]\n\
                          [device.101a]\nuser = \"ann\"\nauth = { user = \"101a\", secret = \"env:A\" }\n[user.ann]\next = \"101\"\n";

    fn rule(name: &str, when: &str) -> String {
        format!("[[user.ann.rule]]\nname = \"{name}\"\nwhen = {when}\n")
    }

    #[test]
    fn a_rule_behind_the_same_frame_or_behind_always_is_refused() {
        let twice = format!(
            "{FRAMES}{}«{}{}",
            rule("A", "[\"x\", \"y\"]"),
            rule("B", "\"x\""),
            rule("C", "\"always\"")
        );
        fires("unreachable-rule", &twice, "`A`, before it, has the same time frame");
        silent(
            "covered-rule",
            &format!(
                "{FRAMES}{}{}{}",
                rule("A", "\"x\""),
                rule("B", "[\"x\", \"y\"]"),
                rule("C", "\"always\"")
            ),
        );
        let behind = format!("{FRAMES}{}«{}", rule("A", "\"always\""), rule("B", "\"x\""));
        fires("unreachable-rule", &behind, "`A`, before it, is always active");
        let disabled = format!(
            "{FRAMES}{}{}",
            rule("B", "\"always\"").replace("\nwhen", "\nenabled = false\nwhen"),
            rule("A", "\"always\"")
        );
        silent("unreachable-rule", &disabled);
    }

    #[test]
    fn rules_that_leave_times_open_are_refused() {
        fires("no-always", &format!("{FRAMES}«{}", rule("A", "\"x\"")), "leave times open");
        silent("no-always", &format!("{FRAMES}{}{}", rule("A", "\"x\""), rule("B", "\"always\"")));
    }

    #[test]
    fn two_rules_of_one_name_are_refused() {
        fires(
            "rule-name-twice",
            &format!("{FRAMES}{}«{}", rule("A", "\"x\""), rule("A", "\"always\"")),
            "two rules named `A`",
        );
        silent("rule-name-twice", &format!("{FRAMES}{}{}", rule("A", "\"x\""), rule("B", "\"always\"")));
    }
}
