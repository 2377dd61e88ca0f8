//! How long things ring: lists that ring too long, steps that are cut, outside legs that ring too short or that a mobile's own
//! voicemail takes, and plans with too many legs.
//!
//! Times are worked out as the planner does, with everybody registered and free.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{At, Destination, Name, Ring, Strategy, Target, TargetTo, User};
use super::survey::{Survey, forwards};
use std::collections::BTreeSet;
use std::time::Duration;

/// Callers have given up by then.
const RING_MAX: Duration = Duration::from_secs(120);
/// A mobile network may take ten seconds to find the phone before it rings at all.
const OUTSIDE_MIN: Duration = Duration::from_secs(30);
/// What picking up, hearing the question and pressing the key take.
const CONFIRM_MIN: Duration = Duration::from_secs(10);
/// More places than this at once for one call are seldom meant, and each costs an INVITE.
const FAN_OUT_MAX: usize = 20;

/// When one target rings: how long after the start of the plan, and for how long.
struct Turn<'m> {
    target: &'m Target,
    start: Duration,
    rings: Duration,
    /// What its own keys ask for, where they do.
    wanted: Option<Duration>,
}

/// `ring-too-long`, `cut-short`, `confirm-too-short`, `outside-too-short`, `unconfirmed-outside`, `fan-out` over the rules of
/// one user.
pub(super) fn user(survey: &Survey<'_>, name: &Name, user: &User, found: &mut Vec<Diagnostic>) {
    let mut too_long = BTreeSet::new();
    let mut short: Option<Diagnostic> = None;
    for rule in user.rules.iter().filter(|rule| rule.enabled) {
        let always = rule.forward.always.as_ref();
        if always.is_none_or(|always| always.direct_only) {
            let ring = &rule.ring;
            list(survey, ring, Some(name), found, &mut short);
            let total = total(ring);
            // A time that the domain gives is told of once, there.
            if total > RING_MAX && total != survey.model.domain.ring_for && too_long.insert(total) {
                found.push(ring_too_long(ring.span, total));
            }
        }
        for (_, forward) in forwards(&rule.forward) {
            if let Destination::Tel(number) = &forward.to
                && !survey.is_ours(number)
            {
                let confirmed = forward.confirm.as_ref().map(|confirm| confirm.span);
                outside_time(number, forward.span, confirmed, rule.ring.ring_for, found, &mut short);
            }
        }
    }
    // One a user: the times of their rules mostly come from one place.
    found.extend(short);
}

/// The domain's own `ring_for`.
pub(super) fn domain(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let domain = &survey.model.domain;
    if domain.ring_for > RING_MAX {
        found.push(ring_too_long(domain.span, domain.ring_for));
    }
}

/// One ring list: a rule's with its owner, or a hunt's.
pub(super) fn list<'m>(
    survey: &Survey<'m>,
    ring: &'m Ring,
    owner: Option<&Name>,
    found: &mut Vec<Diagnostic>,
    short: &mut Option<Diagnostic>,
) {
    let total = total(ring);
    for turn in turns(ring) {
        if turn.start >= total {
            continue;
        }
        if let Some(wanted) = turn.wanted.filter(|wanted| *wanted > turn.rings) {
            let (rings, wanted, total) = (turn.rings.as_secs(), wanted.as_secs(), total.as_secs());
            let message = format!("rings for {rings}s of its {wanted}s: the list ends after {total}s");
            let finding = Diagnostic::warning("cut-short", turn.target.span, message);
            found.push(finding.help("raise `ring.timeout`, or shorten the steps before it"));
        }
        for (number, span) in outside(survey, turn.target) {
            let confirm = turn.target.confirm.as_ref();
            outside_time(number, span, confirm.map(|confirm| confirm.span), turn.rings, found, short);
            if confirm.is_none() {
                let message = format!("the voicemail of {number} may take the call from everybody else");
                found.push(
                    Diagnostic::warning("unconfirmed-outside", span, message).help(
                        "write `{ to = \"tel:...\", confirm = \"1\" }`: only a person can press the key",
                    ),
                );
            }
        }
    }
    fan_out(survey, ring, owner, found);
}

/// The outside numbers of a target that are not this domain's.
fn outside<'m>(survey: &Survey<'m>, target: &'m Target) -> Vec<(&'m Name, Span)> {
    let number = |to: &'m At<TargetTo>| match &to.value {
        TargetTo::Destination(Destination::Tel(number)) if !survey.is_ours(number) => Some((number, to.span)),
        _ => None,
    };
    target.to.iter().filter_map(number).collect()
}

/// `confirm-too-short`, else `outside-too-short`.
fn outside_time(
    number: &str,
    span: Span,
    confirm: Option<Span>,
    rings: Duration,
    found: &mut Vec<Diagnostic>,
    short: &mut Option<Diagnostic>,
) {
    let (rings_s, min_s) = (rings.as_secs(), OUTSIDE_MIN.as_secs());
    if let Some(confirm) = confirm.filter(|_| rings < CONFIRM_MIN) {
        let message =
            format!("{number} rings for {rings_s}s: too short to hear the question and press the key");
        found.push(
            Diagnostic::warning("confirm-too-short", confirm, message).help(format!(
                "let it ring for {min_s}s or more: an outside phone needs some to ring at all"
            )),
        );
    } else if rings < OUTSIDE_MIN && short.is_none() {
        let message = format!("{number} rings for {rings_s}s: a mobile may not even have begun to ring");
        *short = Some(Diagnostic::warning("outside-too-short", span, message).help(format!(
            "let outside phones ring for {min_s}s or more: `ring_for`, `for`, `ring.timeout`"
        )));
    }
}

/// `ring-too-long` of a list of no user.
pub(super) fn too_long(survey: &Survey<'_>, ring: &Ring) -> Option<Diagnostic> {
    let total = total(ring);
    (total > RING_MAX && total != survey.model.domain.ring_for).then(|| ring_too_long(ring.span, total))
}

fn ring_too_long(span: Span, total: Duration) -> Diagnostic {
    let message = format!("rings for {}s; callers give up before {}s", total.as_secs(), RING_MAX.as_secs());
    Diagnostic::warning("ring-too-long", span, message)
        .help("shorten `ring_for` or `ring.timeout`, so that the call still goes somewhere")
}

fn fan_out(survey: &Survey<'_>, ring: &Ring, owner: Option<&Name>, found: &mut Vec<Diagnostic>) {
    let own = |user: Option<&Name>| user.map_or(1, |user| survey.devices(user).len());
    let legs = ring.targets.iter().flat_map(|target| &target.to).map(|to| match &to.value {
        TargetTo::SelfAll => own(owner),
        TargetTo::Destination(Destination::User(user) | Destination::Handset(user)) => own(Some(user)),
        TargetTo::SelfPrimary | TargetTo::Destination(_) => 1,
    });
    let legs = legs.fold(0_usize, usize::saturating_add);
    if legs > FAN_OUT_MAX {
        let message = format!("one call rings {legs} phones here; more than {FAN_OUT_MAX} are seldom meant");
        found.push(
            Diagnostic::warning("fan-out", ring.span, message)
                .help("make it a `[queue.X]`, or a sequence of fewer: each phone costs an INVITE a call"),
        );
    }
}

fn is_sequence(ring: &Ring) -> bool {
    matches!(ring.strategy, Strategy::Sequential | Strategy::SequentialMemory | Strategy::Random)
}

/// How long the list rings at most.
fn total(ring: &Ring) -> Duration {
    let steps = || {
        ring.targets.iter().map(|target| step(ring, target)).fold(Duration::ZERO, Duration::saturating_add)
    };
    match ring.timeout {
        Some(timeout) => timeout,
        None if is_sequence(ring) => steps().saturating_add(ring.initial.unwrap_or_default()),
        None => ring.ring_for,
    }
}

fn step(ring: &Ring, target: &Target) -> Duration {
    target.for_.or(ring.each).unwrap_or(ring.ring_for)
}

fn turns(ring: &Ring) -> Vec<Turn<'_>> {
    let total = total(ring);
    let mut at = ring.initial.unwrap_or_default();
    let mut turns = Vec::with_capacity(ring.targets.len());
    for target in &ring.targets {
        let step = step(ring, target);
        let (start, wanted) = match ring.strategy {
            Strategy::Own => (Duration::ZERO, None),
            Strategy::Simultaneous => (at.saturating_add(target.delay), target.for_),
            // The order is drawn for each call: no step knows its place.
            Strategy::Random => (Duration::ZERO, target.for_.or(ring.each)),
            Strategy::Sequential => (at, target.for_.or(ring.each)),
            // Legs ring on to the end of the list; only how long they ring at least is written.
            Strategy::SequentialMemory => (at, None),
        };
        let rest = total.saturating_sub(start);
        let rings = match ring.strategy {
            Strategy::Own | Strategy::SequentialMemory => rest,
            Strategy::Simultaneous => target.for_.map_or(rest, |own| own.min(rest)),
            Strategy::Sequential | Strategy::Random => step.min(rest),
        };
        turns.push(Turn { target, start, rings, wanted });
        if is_sequence(ring) {
            at = at.saturating_add(step);
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    const ANN: &str = "[user.ann]\next = \"101\"\n[device.101a]\nuser = \"ann\"\nauth = { user = \"101a\", secret = \"env:A\" }\n\
                       [user.bob]\next = \"102\"\n[device.102a]\nuser = \"bob\"\nauth = { user = \"102a\", secret = \"env:B\" }\n\
                       [[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\n";

    fn rule(text: &str) -> String {
        format!("{ANN}{text}")
    }

    #[test]
    fn a_list_that_outlasts_every_caller_is_told_of() {
        fires(
            "ring-too-long",
            &rule("ring = «{ timeout = \"121s\", targets = [\"self:all\"] }\n"),
            "callers give up before 120s",
        );
        silent("ring-too-long", &rule("ring.timeout = \"120s\"\nring.targets = [\"self:all\"]\n"));
        let sum = "ring.strategy = «\"sequential\"\nring.each = \"70s\"\nring.targets = [\"self:all\", \"user:bob\"]\n";
        fires("ring-too-long", &rule(sum), "rings for 140s");
    }

    #[test]
    fn a_step_that_the_timeout_cuts_is_told_of() {
        let steps = |timeout: &str, mark: &str| {
            rule(&format!(
                "ring.strategy = \"sequential\"\nring.each = \"20s\"\nring.timeout = \"{timeout}\"\n\
                 ring.targets = [\"self:all\", {mark}\"user:bob\"]\n"
            ))
        };
        fires("cut-short", &steps("35s", "«"), "rings for 15s of its 20s: the list ends after 35s");
        silent("cut-short", &steps("40s", ""));
        silent("cut-short", &steps("35s", "").replace("sequential", "sequential-memory"));
    }

    #[test]
    fn a_key_that_nobody_has_time_to_press_is_told_of() {
        let target = |delay: &str, mark: &str| {
            rule(&format!(
                "ring_for = \"45s\"\nring.targets = [\"self:all\", {{ to = \"tel:+12125550173\", delay = \"{delay}\", confirm = {mark}\"1\" }}]\n"
            ))
        };
        fires("confirm-too-short", &target("36s", "«"), "rings for 9s");
        silent("outside-too-short", &target("36s", ""));
        silent("confirm-too-short", &target("15s", ""));
    }

    #[test]
    fn an_outside_phone_that_hardly_rings_is_told_of() {
        let leg = "{ to = «\"tel:+12125550173\", delay = \"5s\", confirm = \"1\" }";
        fires(
            "outside-too-short",
            &rule(&format!("ring_for = \"34s\"\nring.targets = [\"self:all\", {leg}]\n")),
            "rings for 29s",
        );
        silent(
            "outside-too-short",
            &rule(&format!("ring_for = \"35s\"\nring.targets = [\"self:all\", {leg}]\n")).replace('«', ""),
        );
        fires("outside-too-short", &rule("forward.busy = «\"tel:+12125550173\"\n"), "rings for 25s");
        silent("outside-too-short", &rule("ring_for = \"30s\"\nforward.busy = \"tel:+12125550173\"\n"));
        silent("outside-too-short", &rule("forward.busy = \"tel:+12025550100\"\n"));
    }

    #[test]
    fn an_outside_leg_that_a_voicemail_may_take_is_told_of() {
        let list = |leg: &str| rule(&format!("ring_for = \"45s\"\nring.targets = [\"self:all\", {leg}]\n"));
        fires("unconfirmed-outside", &list("«\"tel:+12125550173\""), "the voicemail of +12125550173");
        silent("unconfirmed-outside", &list("{ to = \"tel:+12125550173\", confirm = \"any\" }"));
        silent("unconfirmed-outside", &list("\"tel:+12025550100\""));
        silent("unconfirmed-outside", &rule("ring_for = \"45s\"\nforward.busy = \"tel:+12125550173\"\n"));
    }

    #[test]
    fn a_call_that_rings_half_the_house_is_told_of() {
        let devices = |count: usize| -> String {
            (0..count)
                .map(|n| {
                    format!(
                        "[device.x{n}]\nuser = \"bob\"\nauth = {{ user = \"x{n}\", secret = \"env:X\" }}\n"
                    )
                })
                .collect()
        };
        let text = |count, mark: &str| {
            format!("{ANN}ring = {mark}{{ targets = [\"self:all\", \"user:bob\"] }}\n{}", devices(count))
        };
        fires("fan-out", &text(19, "«"), "rings 21 phones");
        silent("fan-out", &text(18, ""));
    }

    #[test]
    fn the_time_of_the_domain_is_told_of_once() {
        use super::super::trial::{codes, with_domain};
        let long = with_domain("ring_for = \"150s\"\n", ANN);
        assert_eq!(codes(&long).iter().filter(|code| **code == "ring-too-long").count(), 1);
    }
}
