//! `[[user.X.rule]]`: when a rule is active, whom it rings, and where calls go that nobody answers.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{
    At, CallerIdChoice, Confirm, Destination, Forward, Forwards, MissedCalls, Name, Ring, Rule, Strategy,
    Target, TargetTo, When,
};
use super::domain::required;
use super::pending;
use super::people::{RING_FOR_MAX, ring_for};
use super::reader::{Item, Reader, Table};
use super::time::when;
use super::value::{caller_id, destination, primary};
use std::time::Duration;

const CONFIRMS: [(&str, Confirm); 2] = [("1", Confirm::One), ("any", Confirm::Any)];

impl Rule {
    /// What a user without rules has: always, every device.
    pub(super) fn implied(span: Span, ring_for: Duration) -> Rule {
        Rule {
            span,
            name: "Default".into(),
            when: When::Always,
            enabled: true,
            implied: true,
            dnd: None,
            screen: None,
            ring: Ring::default_of(span, ring_for),
            forward: Forwards::default(),
            not_carried_out: Vec::new(),
        }
    }
}

impl Ring {
    fn default_of(span: Span, ring_for: Duration) -> Ring {
        Ring {
            span,
            strategy: Strategy::Simultaneous,
            targets: vec![Target::plain(TargetTo::SelfAll, span)],
            initial: None,
            each: None,
            timeout: None,
            ring_for,
            missed_calls: MissedCalls::IfUnanswered,
            hear: None,
        }
    }
}

impl Target {
    fn plain(to: TargetTo, span: Span) -> Target {
        Target {
            span,
            to: vec![At { value: to, span }],
            delay: Duration::ZERO,
            for_: None,
            confirm: None,
            confirm_on_net: false,
            caller_id: None,
            caller_id_prefix: None,
            follow: None,
        }
    }
}

/// The rules of one user, in order. `user_ring_for` is what a rule without its own takes.
pub(super) fn rules<'t>(
    r: &mut Reader<'t>,
    t: &mut Table<'t>,
    owner: &'t str,
    user_ring_for: Duration,
    forward_excludes_follow: bool,
) -> Vec<Rule> {
    let Some(item) = t.own(r, "rule") else { return Vec::new() };
    let tables: Vec<Table<'t>> = item.list(r).into_iter().filter_map(|item| item.table(r, "rule")).collect();
    let mut rules = Vec::new();
    for table in tables {
        rules.extend(rule(r, table, owner, user_ring_for, forward_excludes_follow));
    }
    rules
}

fn rule<'t>(
    r: &mut Reader<'t>,
    mut t: Table<'t>,
    owner: &'t str,
    user_ring_for: Duration,
    forward_excludes_follow: bool,
) -> Option<Rule> {
    let span = t.span;
    let name = required(r, &mut t, "name").and_then(|item| item.text(r)).map(Name::from);
    let when = when(r, &mut t);
    let enabled = t.boolean(r, "enabled").unwrap_or(true);
    let dnd = t.flag(r, "dnd");
    let screen = t.flag(r, "screen");
    let time = ring_for(r, &mut t, "ring_for").unwrap_or(user_ring_for);
    let ring_item = t.own(r, "ring");
    let ring_table = ring_item.and_then(|item| item.table(r, "ring"));
    let has_targets = matches!(ring_item.map(|item| item.value), Some(toml::de::DeValue::Table(ring)) if ring.contains_key("targets"));
    let ring = match ring_table {
        Some(table) => {
            let (ring, table) = ring(r, table, Some(owner), time);
            table.finish(r);
            ring
        }
        None => Ring::default_of(span, time),
    };
    let forward = forwards(r, &mut t, owner);
    t.finish(r);
    if let Some(always) = forward.always.as_ref().filter(|_| has_targets) {
        let message = "`forward.always` and `ring.targets` in one rule: the targets never ring";
        let finding = match forward_excludes_follow {
            true => Diagnostic::error("forward-and-ring", always.span, message),
            false => Diagnostic::warning("forward-and-ring", always.span, message),
        };
        r.report(finding.related(ring.span, "the targets").help("take one of them out"));
    }
    let not_carried_out = not_carried_out(screen, &ring);
    Some(Rule {
        span,
        name: name?,
        when: when?,
        enabled,
        implied: false,
        dnd,
        screen,
        ring,
        forward,
        not_carried_out,
    })
}

/// What a call that comes to this rule would need and can't have yet.
fn not_carried_out(screen: Option<Span>, ring: &Ring) -> Vec<(&'static str, Span)> {
    let mut missing = Vec::new();
    let mut add = |entry: &str, word: &'static str, span: Option<Span>| {
        missing.extend(span.filter(|_| pending::words(entry).is_some()).map(|span| (word, span)));
    };
    add("rule.screen", "screen", screen);
    add("ring.hear", "ring.hear", ring.hear.as_ref().map(|hear| hear.span));
    for target in &ring.targets {
        add("target.follow", "follow", target.follow);
    }
    missing
}

/// The keys of `ring`. A hunt has them too, without an owner; its other keys are left to the caller.
pub(super) fn ring<'t>(
    r: &mut Reader<'t>,
    mut t: Table<'t>,
    owner: Option<&'t str>,
    time: Duration,
) -> (Ring, Table<'t>) {
    let strategies = [
        ("own", Strategy::Own),
        ("simultaneous", Strategy::Simultaneous),
        ("sequential", Strategy::Sequential),
        ("sequential-memory", Strategy::SequentialMemory),
        ("random", Strategy::Random),
    ];
    let strategy_span = t.own(r, "strategy").map(|item| item.span);
    let strategy = t.choice(r, "strategy", &strategies).unwrap_or(Strategy::Simultaneous);
    let mut ring = Ring {
        strategy,
        initial: ring_for(r, &mut t, "initial"),
        each: ring_for(r, &mut t, "each"),
        timeout: ring_for(r, &mut t, "timeout"),
        missed_calls: t
            .choice(
                r,
                "missed_calls",
                &[
                    ("never", MissedCalls::Never),
                    ("if-unanswered", MissedCalls::IfUnanswered),
                    ("always", MissedCalls::Always),
                ],
            )
            .unwrap_or(MissedCalls::IfUnanswered),
        hear: hear(r, &mut t),
        ..Ring::default_of(strategy_span.unwrap_or(t.span), time)
    };
    if let Some(item) = t.own(r, "targets") {
        ring.targets = item.list(r).into_iter().filter_map(|item| target(r, item, owner)).collect();
        if matches!(item.value, toml::de::DeValue::Array(array) if array.is_empty()) {
            let help = "name whom to ring, or leave `targets` out to ring `self:all`";
            r.error("empty", item.span, "a ring list without targets rings nobody", help);
        }
    } else if owner.is_none() {
        required(r, &mut t, "targets");
    }
    if strategy == Strategy::Own {
        own_rings_self(r, &mut ring, owner);
    }
    if ring.initial.is_some() {
        // `initial` rings `self` first: it must be clear which device that is.
        clear_self(r, owner, ring.span);
    }
    check_times(r, &ring);
    (ring, t)
}

fn own_rings_self(r: &mut Reader<'_>, ring: &mut Ring, owner: Option<&str>) {
    let others = ring
        .targets
        .iter()
        .flat_map(|target| &target.to)
        .find(|to| matches!(to.value, TargetTo::Destination(_)))
        .map(|to| to.span);
    if let Some(span) = others {
        let help = "choose `simultaneous` or `sequential` to ring others too";
        r.report(
            Diagnostic::warning("own-targets", span, "`own` rings `self` alone: this never rings").help(help),
        );
    }
    clear_self(r, owner, ring.span);
    let named =
        ring.targets.iter().find(|target| target.to.iter().any(|to| to.value == TargetTo::SelfPrimary));
    ring.targets = vec![named.cloned().unwrap_or_else(|| Target::plain(TargetTo::SelfPrimary, ring.span))];
}

/// `self` must mean one device; a user without any may get one by hot desking.
fn clear_self(r: &mut Reader<'_>, owner: Option<&str>, span: Span) {
    let Some(owner) = owner else { return };
    if r.names.devices.get(owner).is_some_and(|devices| !devices.is_empty()) {
        primary(r, owner, span);
    }
}

fn hear<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<At<Name>> {
    let item = t.own(r, "hear")?;
    let text = item.text(r)?;
    let Some(name) = text.strip_prefix("moh:") else {
        r.error("unknown-value", item.span, format!("`hear` can't be `{text}`"), "write `moh:NAME`");
        return None;
    };
    r.reference(super::names::Kind::Moh, name, item.span)?;
    Some(At { value: text.into(), span: item.span })
}

/// Delays that can't be, or that come too late.
fn check_times(r: &mut Reader<'_>, ring: &Ring) {
    let sequence =
        matches!(ring.strategy, Strategy::Sequential | Strategy::SequentialMemory | Strategy::Random);
    let total = ring.timeout.unwrap_or(ring.ring_for);
    let mut start = ring.initial.unwrap_or_default();
    for target in ring.targets.iter().filter(|_| sequence && ring.timeout.is_some()) {
        if start >= total {
            let message = format!("never rings: the steps before it take all of the {}s", total.as_secs());
            let finding = Diagnostic::warning("never-rings", target.span, message);
            r.report(finding.help("shorten `each` or `for`, or raise `ring.timeout`"));
        }
        start += target.for_.or(ring.each).unwrap_or(ring.ring_for);
    }
    for target in ring.targets.iter().filter(|target| !target.delay.is_zero()) {
        if sequence {
            let help = "targets of a sequence follow one another: use `for` or `each`, or `strategy = \"simultaneous\"`";
            r.error("delay-in-sequence", target.span, "a target of a sequence has no `delay`", help);
        } else if ring.strategy == Strategy::Simultaneous
            && target.delay + ring.initial.unwrap_or_default() >= total
        {
            let message = format!("never rings: ringing ends after {}s", total.as_secs());
            r.report(
                Diagnostic::warning("never-rings", target.span, message)
                    .help("shorten the delay, or ring longer"),
            );
        }
    }
}

/// A target: a destination, or a table with `to` and options.
fn target<'t>(r: &mut Reader<'t>, item: Item<'t>, owner: Option<&'t str>) -> Option<Target> {
    if !item.is_table() {
        return Some(Target::plain(target_to(r, item, owner)?, item.span));
    }
    let mut t = item.table(r, "target")?;
    let to: Vec<At<TargetTo>> = required(r, &mut t, "to")
        .iter()
        .flat_map(Item::one_or_several)
        .filter_map(|item| Some(At { value: target_to(r, item, owner)?, span: item.span }))
        .collect();
    let delay = t.own(r, "delay").and_then(|item| item.duration(r)).unwrap_or_default().min(RING_FOR_MAX);
    let confirm_span = t.own(r, "confirm").map(|item| item.span);
    let target = Target {
        span: item.span,
        delay,
        for_: ring_for(r, &mut t, "for"),
        confirm: t.choice(r, "confirm", &CONFIRMS).zip(confirm_span).map(|(value, span)| At { value, span }),
        confirm_on_net: t.boolean(r, "confirm_on_net").unwrap_or(false),
        caller_id: caller_id_choice(r, &mut t),
        caller_id_prefix: t.words(r, "caller_id_prefix"),
        follow: t.flag(r, "follow"),
        to,
    };
    t.finish(r);
    let inside = |to: &At<TargetTo>| !matches!(to.value, TargetTo::Destination(Destination::Tel(_)));
    if let Some(confirm) = target.confirm.as_ref().filter(|_| !target.confirm_on_net)
        && target.to.iter().all(inside)
    {
        let help = "phones of ours are not asked; `confirm_on_net = true` asks them too";
        r.report(Diagnostic::warning("confirm-inside", confirm.span, "`confirm` is ignored here").help(help));
    }
    (!target.to.is_empty()).then_some(target)
}

fn target_to<'t>(r: &mut Reader<'t>, item: Item<'t>, owner: Option<&'t str>) -> Option<TargetTo> {
    let text = item.text(r)?;
    match (text, owner) {
        ("self", Some(_)) => {
            clear_self(r, owner, item.span);
            return Some(TargetTo::SelfPrimary);
        }
        ("self:all", Some(_)) => return Some(TargetTo::SelfAll),
        ("self" | "self:all", None) => {
            r.error(
                "bad-destination",
                item.span,
                "only a user's own rules have a `self`",
                "name the user: `user:NAME`",
            );
            return None;
        }
        _ => {}
    }
    let to = destination(r, text, item.span, None)?;
    match &to {
        Destination::User(name) if owner == Some(name.as_ref()) => {
            let help = "write `self` (the primary device) or `self:all`: a user can't be a target of their own rules";
            r.error("self-as-user", item.span, format!("`{text}` is the user whose rule this is"), help);
            None
        }
        Destination::User(_) | Destination::Handset(_) | Destination::Device(_) | Destination::Tel(_) => {
            Some(TargetTo::Destination(to))
        }
        Destination::Voicemail(_)
        | Destination::Queue(_)
        | Destination::Attendant(_)
        | Destination::Conference(_)
        | Destination::Hunt(_)
        | Destination::Directory(_)
        | Destination::Announce(_)
        | Destination::Reject(_) => {
            let help = "ring `self`, `self:all`, `user:`, `handset:`, `device:` or `tel:`; send calls elsewhere by `forward`";
            r.error("not-ringable", item.span, format!("`{text}` can't be rung"), help);
            None
        }
    }
}

/// `"original"`, `"forwarder"` or `{ name, number }`.
fn caller_id_choice<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<CallerIdChoice> {
    let item = t.own(r, "caller_id")?;
    if item.is_table() {
        let table = item.table(r, "caller_id")?;
        return Some(CallerIdChoice::Fixed(caller_id(r, table)));
    }
    match item.choice(r, &[("original", true), ("forwarder", false)])? {
        true => Some(CallerIdChoice::Original),
        false => Some(CallerIdChoice::Forwarder),
    }
}

fn forwards<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, owner: &'t str) -> Forwards {
    let mut forwards = Forwards::default();
    let Some(mut table) = t.own(r, "forward").and_then(|item| item.table(r, "forward")) else {
        return forwards;
    };
    for (key, slot) in [
        ("always", &mut forwards.always),
        ("dnd", &mut forwards.dnd),
        ("on_active", &mut forwards.on_active),
        ("busy", &mut forwards.busy),
        ("no_answer", &mut forwards.no_answer),
        ("declined", &mut forwards.declined),
        ("offline", &mut forwards.offline),
        ("otherwise", &mut forwards.otherwise),
    ] {
        *slot = table.own(r, key).and_then(|item| forward(r, item, owner));
    }
    table.finish(r);
    forwards
}

fn forward<'t>(r: &mut Reader<'t>, item: Item<'t>, owner: &'t str) -> Option<Forward> {
    if !item.is_table() {
        let to = item.destination(r, Some(owner))?;
        return Some(Forward {
            span: item.span,
            to: to.value,
            confirm: None,
            caller_id: None,
            direct_only: false,
        });
    }
    let mut t = item.table(r, "forward")?;
    let to = required(r, &mut t, "to").and_then(|item| item.destination(r, Some(owner)));
    let confirm_span = t.own(r, "confirm").map(|item| item.span);
    let confirm = t.choice(r, "confirm", &CONFIRMS).zip(confirm_span).map(|(value, span)| At { value, span });
    let caller_id = caller_id_choice(r, &mut t);
    let direct_only = t.boolean(r, "direct_only").unwrap_or(false);
    t.finish(r);
    Some(Forward { span: item.span, to: to?.value, confirm, caller_id, direct_only })
}
