//! Calls that arrive nowhere: users without a phone, rules after which nobody takes the call, phones that nobody has, call
//! paths that are never counted.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{BusyWhen, Destination, Name, Rule, Strategy, TargetTo, User};
use super::survey::{Survey, forwards};

/// `no-device`, else `dead-end`; `idle-call-paths`.
pub(super) fn user(survey: &Survey<'_>, name: &Name, user: &User, found: &mut Vec<Diagnostic>) {
    match no_phone(survey, name, user) {
        Some(finding) => found.push(finding),
        None => found.extend(dead_end(name, user)),
    }
    found.extend(idle_call_paths(survey, name, user));
}

/// `no-phone`: nothing that the rules of this user ring exists, and no hot desk will bring it.
fn no_phone(survey: &Survey<'_>, name: &Name, user: &User) -> Option<Diagnostic> {
    if !survey.devices(name).is_empty() || user.hotdesk.is_some() {
        return None;
    }
    let rule = user.rules.iter().find(|rule| rule.enabled && rings_own_phones_alone(rule))?;
    // Somebody has thought of it.
    if forwards(&rule.forward).any(|(key, _)| matches!(key, "offline" | "no_answer" | "otherwise")) {
        return None;
    }
    let (message, help) = match user.mailbox {
        true => (
            format!("`{name}` has no phone: every call goes to the mailbox at once"),
            format!(
                "add a `[device.X]` with `user = \"{name}\"`, or say so: `forward.always = \"voicemail:{name}\"`"
            ),
        ),
        false => (
            format!("`{name}` has neither phone nor mailbox: every call ends with 480"),
            format!("add a `[device.X]` with `user = \"{name}\"`, or a `forward.always`"),
        ),
    };
    Some(Diagnostic::warning("no-phone", rule.span, message).help(help))
}

/// Whether a call that comes to this rule rings phones of its user, and nothing else.
fn rings_own_phones_alone(rule: &Rule) -> bool {
    let leaves = rule.forward.always.as_ref().is_some_and(|always| !always.direct_only);
    let own = |to: &TargetTo| matches!(to, TargetTo::SelfPrimary | TargetTo::SelfAll);
    !leaves
        && rule.dnd.is_none()
        && rule.ring.targets.iter().flat_map(|target| &target.to).all(|to| own(&to.value))
}

/// `dead-end`: the first rule of a user without a mailbox whose unanswered calls go nowhere.
fn dead_end(name: &Name, user: &User) -> Option<Diagnostic> {
    if user.mailbox {
        return None;
    }
    let rule = user.rules.iter().filter(|rule| rule.enabled).find(|rule| {
        let forward = &rule.forward;
        let leaves = forward.always.as_ref().is_some_and(|always| !always.direct_only);
        let next = match rule.dnd {
            Some(_) => forward.dnd.as_ref().or(forward.busy.as_ref()),
            None => forward.no_answer.as_ref(),
        };
        !leaves && next.is_none() && forward.otherwise.is_none()
    })?;
    let (what, key) = match rule.dnd {
        Some(_) => ("calls that `dnd` keeps away", "dnd"),
        None => ("calls that nobody answers", "no_answer"),
    };
    let message = format!("{what} end with 480: `{name}` has no mailbox, and `{}` no forward", rule.name);
    Some(
        Diagnostic::warning("dead-end", rule.span, message)
            .help(format!("add `forward.{key}` or `forward.otherwise`, or turn the mailbox on")),
    )
}

/// `idle-call-paths`: a number of call paths that nothing counts to.
fn idle_call_paths(survey: &Survey<'_>, name: &Name, user: &User) -> Option<Diagnostic> {
    if user.call_paths == survey.model.domain.call_paths {
        return None;
    }
    let reason = match (user.call_waiting, user.busy_when) {
        (false, _) => "`call_waiting = false`: they are busy from the first call on",
        (true, BusyWhen::AnyCall) => "`busy_when = \"any-call\"`: they are busy from the first call on",
        (true, BusyWhen::DeviceSaysBusy) => "`busy_when = \"device-says-busy\"`: calls are not counted",
        (true, BusyWhen::AllPaths) => return None,
    };
    let message = format!("`call_paths = {}` of `{name}` does nothing beside {reason}", user.call_paths);
    Some(Diagnostic::warning("idle-call-paths", user.span, message).help("take one of the two out"))
}

/// `spare-device`: a phone of nobody that nobody may log in to.
pub(super) fn devices(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    for (name, device) in &survey.model.devices {
        if device.user.is_none() && !device.hotdesk {
            let message =
                format!("`{name}` is nobody's: it can dial emergency numbers and feature codes alone");
            found.push(
                Diagnostic::warning("spare-device", device.span, message)
                    .help("give it a `user`, or `hotdesk = true`, so that people can log in to it"),
            );
        }
    }
}

/// `dead-key`: keys of a rule that another key of it keeps from ever taking effect. One finding a rule.
pub(super) fn dead_keys(name: &Name, user: &User, rule: &Rule, found: &mut Vec<Diagnostic>) {
    let always = rule.forward.always.as_ref().filter(|always| !always.direct_only);
    // A ring table of the file, not the one that stands in for it.
    let ring = (rule.ring.span != rule.span).then_some(rule.ring.span);
    let dead: Option<(Span, String, &str)> = if always.is_some() {
        let others = forwards(&rule.forward).find(|(key, _)| *key != "always");
        let forward = others.map(|(key, forward)| (forward.span, format!("forward.{key}")));
        let flag = |span: Option<Span>, key: &str| Some((span?, key.to_owned()));
        let dead = forward.or_else(|| flag(rule.dnd, "dnd")).or_else(|| flag(rule.screen, "screen"));
        dead.map(|(span, key)| (span, key, "`forward.always` takes every call first"))
    } else if rule.dnd.is_some() && user.allow.is_empty() && (ring.is_some() || rule.screen.is_some()) {
        let span = ring.or(rule.screen).unwrap_or(rule.span);
        let key = if ring.is_some() { "ring" } else { "screen" };
        Some((span, key.into(), "`dnd` lets nobody through: the allow list is empty"))
    } else if let Some(offline) = rule.forward.offline.as_ref().filter(|_| !rings_own(name, rule)) {
        Some((
            offline.span,
            "forward.offline".into(),
            "the list rings no phone of this user, so none can be offline",
        ))
    } else if rule.ring.each.is_some() && matches!(rule.ring.strategy, Strategy::Own | Strategy::Simultaneous)
    {
        Some((rule.ring.span, "ring.each".into(), "everything rings at once"))
    } else {
        None
    };
    if let Some((span, key, reason)) = dead {
        let message = format!("`{key}` of `{}` never takes effect: {reason}", rule.name);
        found.push(Diagnostic::warning("dead-key", span, message).help("take one of the two out"));
    }
}

/// Whether the targets contain phones of the user whose rule it is.
fn rings_own(name: &Name, rule: &Rule) -> bool {
    let own = |to: &TargetTo| match to {
        TargetTo::SelfPrimary | TargetTo::SelfAll => true,
        TargetTo::Destination(Destination::Handset(user)) => user == name,
        // Whose it is does not matter here: a device named by itself may be their own.
        TargetTo::Destination(Destination::Device(_)) => true,
        TargetTo::Destination(_) => false,
    };
    rule.ring.initial.is_some()
        || rule.ring.targets.iter().flat_map(|target| &target.to).any(|to| own(&to.value))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    const PHONE: &str = "[device.101a]\nuser = \"ann\"\nauth = { user = \"101a\", secret = \"env:A\" }\n";
    const RULE: &str = "[[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\n";

    #[test]
    fn a_user_without_a_phone_is_told_of() {
        fires("no-phone", "«[user.ann]\next = \"101\"\n", "every call goes to the mailbox at once");
        let off = "[user.ann]\next = \"101\"\nvoicemail.enabled = false\n";
        fires("no-phone", &format!("«{off}"), "neither phone nor mailbox");
        silent("dead-end", off);
        silent("no-phone", &format!("[user.ann]\next = \"101\"\n{PHONE}"));
        silent("no-phone", &format!("[user.ann]\next = \"101\"\n{RULE}forward.always = \"voicemail:ann\"\n"));
        silent("no-phone", "[user.ann]\next = \"101\"\nhotdesk = { id = \"101\" }\n");
        silent("no-phone", &format!("[user.ann]\next = \"101\"\n{RULE}forward.offline = \"user:desk\"\n"));
    }

    #[test]
    fn a_call_that_nobody_takes_in_the_end_is_told_of() {
        let ann = format!("[user.ann]\next = \"101\"\nvoicemail.enabled = false\n{PHONE}");
        fires("dead-end", &format!("{ann}«{RULE}"), "calls that nobody answers end with 480");
        fires(
            "dead-end",
            &format!("{ann}«{RULE}dnd = true\nforward.no_answer = \"user:desk\"\n"),
            "`forward.dnd`",
        );
        silent("dead-end", &format!("{ann}{RULE}forward.no_answer = \"user:desk\"\n"));
        silent("dead-end", &format!("{ann}{RULE}forward.otherwise = \"user:desk\"\n"));
        silent("dead-end", &format!("[user.ann]\next = \"101\"\n{PHONE}{RULE}"));
    }

    #[test]
    fn call_paths_that_nothing_counts_to_are_told_of() {
        let ann = |keys: &str| format!("[user.ann]\next = \"101\"\n{keys}{PHONE}");
        fires(
            "idle-call-paths",
            &format!("«{}", ann("call_paths = 5\ncall_waiting = false\n")),
            "`call_paths = 5`",
        );
        silent("idle-call-paths", &ann("call_paths = 5\n"));
        silent("idle-call-paths", &ann("call_waiting = false\n"));
        fires(
            "idle-call-paths",
            &format!("«{}", ann("call_paths = 5\nbusy_when = \"device-says-busy\"\n")),
            "not counted",
        );
    }

    #[test]
    fn a_phone_of_nobody_is_told_of() {
        let spare = "[device.x]\nauth = { user = \"x\", secret = \"env:X\" }\n";
        fires("spare-device", &format!("«{spare}"), "emergency numbers and feature codes alone");
        silent("spare-device", &format!("{spare}hotdesk = true\n"));
    }

    #[test]
    fn a_key_that_another_keeps_from_working_is_told_of() {
        let ann = |keys: &str| format!("[user.ann]\next = \"101\"\n{PHONE}{RULE}{keys}");
        fires(
            "dead-key",
            &ann("forward.always = \"user:desk\"\nforward.busy = «\"voicemail:ann\"\n"),
            "`forward.busy` of `Default`",
        );
        silent(
            "dead-key",
            &ann(
                "forward.always = { to = \"user:desk\", direct_only = true }\nforward.busy = \"voicemail:ann\"\n",
            ),
        );
        fires("dead-key", &ann("dnd = true\nring.strategy = «\"own\"\n"), "the allow list is empty");
        let allowed = ann("dnd = true\nring.strategy = \"own\"\n")
            .replace("[device", "allow = [\"+12125550173\"]\n[device");
        silent("dead-key", &allowed);
        fires(
            "dead-key",
            &ann("ring.targets = [\"user:desk\"]\nforward.offline = «\"user:desk\"\n"),
            "rings no phone of this user",
        );
        silent("dead-key", &ann("ring.targets = [\"self\"]\nforward.offline = \"user:desk\"\n"));
        fires(
            "dead-key",
            &ann("ring.strategy = «\"simultaneous\"\nring.each = \"10s\"\n"),
            "everything rings at once",
        );
        silent("dead-key", &ann("ring.strategy = \"random\"\nring.each = \"10s\"\n"));
    }
}
