//! Unconditional forwarding loops: a call that can never arrive is refused before anybody dials into it.

use super::diagnostic::{Diagnostic, Severity, Span};
use super::model::{Destination, Model, Name, When};
use std::collections::BTreeSet;

/// Users whose calls are always forwarded on and come back, whatever the time and whoever calls. One finding a loop.
pub(super) fn unconditional(model: &Model) -> Vec<Diagnostic> {
    let mut seen: BTreeSet<&Name> = BTreeSet::new();
    let mut found = Vec::new();
    for start in model.users.keys() {
        let mut way: Vec<(&Name, Span)> = Vec::new();
        let mut at = start;
        while seen.insert(at) {
            let Some((next, span)) = always_to(model, at) else { break };
            way.push((at, span));
            at = next;
        }
        // Back at a user of this very way: a loop. At one of an earlier way: that way has told of it already.
        if let Some(first) = way.iter().position(|(user, _)| *user == at) {
            found.push(finding(way.get(first..).unwrap_or_default(), at));
        }
    }
    found
}

/// Where every call to this user goes: each of its rules in force forwards always, and to the same user.
fn always_to<'m>(model: &'m Model, user: &Name) -> Option<(&'m Name, Span)> {
    let user = model.users.get(user)?;
    let mut target: Option<(&Name, Span)> = None;
    for rule in user.rules.iter().filter(|rule| rule.enabled) {
        let forward = rule.forward.always.as_ref().filter(|f| !f.direct_only)?;
        let Destination::User(to) = &forward.to else { return None };
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

fn finding(way: &[(&Name, Span)], back_at: &Name) -> Diagnostic {
    let mut names: Vec<&str> = way.iter().map(|(user, _)| &***user).collect();
    names.push(back_at);
    Diagnostic {
        severity: Severity::Error,
        code: "forwarding-loop",
        span: way.last().map(|(_, span)| *span).unwrap_or_default(),
        message: format!("every call goes round for ever: {}", names.join(" -> ")),
        help: Some("let one of them ring, or forward to a mailbox".to_owned()),
        related: way.first().map(|(user, span)| (*span, format!("`{user}` forwards every call on here"))),
    }
}
