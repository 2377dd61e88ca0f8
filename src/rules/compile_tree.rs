//! The tree of one user or number. The order of its questions is the order of decisions of the documentation, and stands here
//! alone:
//!
//! call back from an emergency centre -> block list, anonymous, unknown, unverified (the allow list wins) -> white list -> one answering
//! rule by time frame -> `forward.always` -> DND -> offline -> `on_active`, busy -> screening -> ring; and after the ringing,
//! by outcome: the matching `forward.*` -> its kin -> `otherwise` -> mailbox -> final response.

use super::compile::{Shared, to_u32};
use super::model::{
    Destination, Forward, ListEntry, Name, Number, NumberTo, Ring, Rule, Strategy, Target, TargetTo, User,
    When, WhiteListed,
};
use super::tree::{
    Builder, Entries, ForwardKey, Leaf, NodeId, Refused, RingOutcome, RingTemplate, TargetPlace,
    TemplateTarget, Test, Tree, TreeCondition, TreeForward, TreeRule, WhiteList,
};
use rustc_hash::FxHashMap;

/// The tree of a user.
pub(super) fn user_tree(shared: &Shared<'_>, name: &Name, user: &User) -> Tree {
    let mut builder = Builder::default();
    let mut rules = Vec::with_capacity(user.rules.len());
    for (index, rule) in user.rules.iter().enumerate() {
        let when = conditions(shared, &rule.when, &user.zone);
        rules.push(tree_rule(&mut builder, shared, name, user, rule, to_u32(index), when));
    }
    let choice = choose(&mut builder, user, &rules);
    let allow = entries(shared, &user.allow);
    let block = entries(shared, &user.block);
    let root = screening(&mut builder, shared, user, choice);
    let nodes = builder.finish(root, &mut rules);
    Tree { nodes, rules, allow, block, white_list: white_list(user) }
}

/// Lists and identity, before any rule is looked at.
fn screening(b: &mut Builder, shared: &Shared<'_>, user: &User, choice: NodeId) -> NodeId {
    let mut at = choice;
    if !user.white_list.is_empty() {
        let refused = b.leaf(Leaf::Refuse(Refused::WhiteList));
        at = b.ask(Test::WhiteListed, choice, refused);
    }
    let passed = at;
    if user.block_unverified.is_some() {
        let refused = b.leaf(Leaf::Refuse(Refused::Unverified));
        at = b.ask(Test::Unverified, refused, at);
    }
    if user.block_unknown.is_some() {
        let refused = b.leaf(Leaf::Refuse(Refused::Unknown));
        at = b.ask(Test::Unknown, refused, at);
    }
    if user.block_anonymous.is_some() {
        let refused = b.leaf(Leaf::Refuse(Refused::Anonymous));
        at = b.ask(Test::Anonymous, refused, at);
    }
    let refused = b.leaf(Leaf::Refuse(Refused::Blocked));
    if !user.block.is_empty() && shared.model.policy.allow_beats_block {
        at = b.ask(Test::Blocked, refused, at);
    }
    if !user.allow.is_empty() {
        at = b.ask(Test::Allowed, passed, at);
    }
    if !user.block.is_empty() && !shared.model.policy.allow_beats_block {
        at = b.ask(Test::Blocked, refused, at);
    }
    b.ask(Test::PsapCallback, choice, at)
}

/// One rule: picked by hand, else the first enabled one whose time frame holds. A rule asks only what those before it left
/// open; one that can't hold any more is not asked about at all.
fn choose(b: &mut Builder, user: &User, rules: &[TreeRule]) -> NodeId {
    // The loader lets no user through without an enabled `always` rule at the end.
    let last = rules.len().saturating_sub(1);
    let mut open: Vec<(usize, Vec<TreeCondition>)> = Vec::new();
    let mut known: FxHashMap<u32, bool> = FxHashMap::default();
    let mut chosen = last;
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
        let always = matches!(user.rules.get(index).map(|r| &r.when), Some(When::Always));
        let holds = |c: &TreeCondition| known.get(&c.timed).map(|inside| *inside != c.negated);
        // `X` and `not X` together.
        let both = |c: &TreeCondition| {
            rule.when.iter().any(|other| other.timed == c.timed && other.negated != c.negated)
        };
        if always || rule.when.iter().any(|c| holds(c) == Some(true) || both(c)) {
            chosen = index;
            break;
        }
        let left: Vec<TreeCondition> = rule.when.iter().filter(|c| holds(c).is_none()).copied().collect();
        known.extend(left.iter().map(|c| (c.timed, c.negated)));
        open.push((index, left));
    }
    let mut at = rules.get(chosen).map_or_else(|| b.leaf(Leaf::Spare), |rule| rule.entry);
    for (index, when) in open.into_iter().rev() {
        let Some(rule) = rules.get(index) else { continue };
        at = any_of(b, &when, to_u32(index), rule.entry, at);
    }
    b.picked(at)
}

fn any_of(b: &mut Builder, when: &[TreeCondition], rule: u32, entry: NodeId, otherwise: NodeId) -> NodeId {
    let mut at = otherwise;
    for condition in when.iter().rev() {
        let test = Test::Frame { timed: condition.timed, rule };
        at = if condition.negated { b.ask(test, at, entry) } else { b.ask(test, entry, at) };
    }
    at
}

fn conditions(shared: &Shared<'_>, when: &When, zone: &Name) -> Vec<TreeCondition> {
    let When::AnyOf(conditions) = when else { return Vec::new() };
    let timed = |c: &super::model::Condition| {
        Some(TreeCondition { timed: shared.timed(&c.frame, zone)?, negated: c.negated })
    };
    conditions.iter().filter_map(timed).collect()
}

fn tree_rule(
    b: &mut Builder,
    shared: &Shared<'_>,
    name: &Name,
    user: &User,
    rule: &Rule,
    index: u32,
    when: Vec<TreeCondition>,
) -> TreeRule {
    let forwards = forwards(rule);
    let after: Vec<NodeId> =
        RingOutcome::ALL.iter().map(|outcome| after(b, user, &forwards, index, *outcome)).collect();
    let entry = rule_entry(b, shared, name, user, rule, index, &forwards, &after);
    TreeRule {
        name: Some(rule.name.clone()),
        span: (!rule.implied).then_some(rule.span),
        enabled: rule.enabled,
        when,
        entry,
        after,
        dnd: rule.dnd.is_some(),
        ring: Some(template(&rule.ring)),
        forwards,
        to: None,
    }
}

/// From the choice of the rule to its ring leaf or the way out.
#[allow(clippy::too_many_arguments)] // the parts of one rule, all of them
fn rule_entry(
    b: &mut Builder,
    shared: &Shared<'_>,
    name: &Name,
    user: &User,
    rule: &Rule,
    index: u32,
    forwards: &[(ForwardKey, TreeForward)],
    after: &[NodeId],
) -> NodeId {
    let ring = b.leaf(Leaf::Ring { rule: index, screen: false });
    let mut at = ring;
    if rule.screen.is_some() {
        let screened = b.leaf(Leaf::Ring { rule: index, screen: true });
        at = b.ask(Test::Screened, screened, ring);
    }
    let afterwards = |outcome: RingOutcome| after.get(outcome as usize).copied().unwrap_or(ring);
    if let Some(calls) = busy_from(user) {
        at = b.ask(Test::Busy { calls }, afterwards(RingOutcome::Busy), at);
    }
    if has(forwards, ForwardKey::OnActive) {
        let leave = forward(b, forwards, index, ForwardKey::OnActive, at);
        at = b.ask(Test::OnActive, leave, at);
    }
    let (own, others) = targets(shared, name, &rule.ring);
    if own {
        let without_phones = if others { at } else { afterwards(RingOutcome::Offline) };
        let leave = forward(b, forwards, index, ForwardKey::Offline, without_phones);
        if leave != at {
            at = b.ask(Test::OwnOffline, leave, at);
        }
    }
    at = b.ask(Test::Dnd { by_rule: rule.dnd.is_some() }, afterwards(RingOutcome::Dnd), at);
    at = forward(b, forwards, index, ForwardKey::Always, at);
    let status = b.leaf(Leaf::StatusForward { rule: index });
    at = b.ask(Test::StatusForward, status, at);
    b.ask(Test::PsapCallback, ring, at)
}

/// See `busy` in the rulings: call waiting off makes a second call busy, whatever else is set.
pub(super) fn busy_from(user: &User) -> Option<u32> {
    use super::model::BusyWhen;
    match (user.call_waiting, user.busy_when) {
        (false, _) | (true, BusyWhen::AnyCall) => Some(1),
        (true, BusyWhen::AllPaths) => Some(user.call_paths.max(1)),
        (true, BusyWhen::DeviceSaysBusy) => None,
    }
}

/// Whether the list has phones of the user's own, and others.
fn targets(shared: &Shared<'_>, name: &Name, ring: &Ring) -> (bool, bool) {
    if ring.strategy == Strategy::Own {
        return (true, false);
    }
    let own = |to: &TargetTo| match to {
        TargetTo::SelfPrimary | TargetTo::SelfAll => true,
        TargetTo::Destination(Destination::Device(device)) => {
            shared.model.devices.get(device).and_then(|d| d.user.as_ref()) == Some(name)
        }
        TargetTo::Destination(Destination::Handset(user)) => user == name,
        TargetTo::Destination(_) => false,
    };
    let places = || ring.targets.iter().flat_map(|target| &target.to).map(|to| own(&to.value));
    // `initial` rings `self` whether it is listed or not.
    (ring.initial.is_some() || places().any(|own| own), places().any(|own| !own))
}

/// What follows on an outcome: its own forward, its kin's, `otherwise`, the mailbox, the final response.
fn after(
    b: &mut Builder,
    user: &User,
    forwards: &[(ForwardKey, TreeForward)],
    rule: u32,
    outcome: RingOutcome,
) -> NodeId {
    let mut at = if user.mailbox {
        b.leaf(Leaf::Mailbox { rule, outcome })
    } else {
        b.leaf(Leaf::Final { rule, outcome })
    };
    let keys: &[ForwardKey] = match outcome {
        RingOutcome::Dnd => &[ForwardKey::Dnd, ForwardKey::Busy],
        RingOutcome::Busy => &[ForwardKey::Busy],
        RingOutcome::NoAnswer | RingOutcome::Failed => &[ForwardKey::NoAnswer],
        RingOutcome::Declined => &[ForwardKey::Declined],
        RingOutcome::Offline => &[ForwardKey::Offline, ForwardKey::NoAnswer],
    };
    for key in [ForwardKey::Otherwise].iter().chain(keys.iter().rev()) {
        at = forward(b, forwards, rule, *key, at);
    }
    at
}

fn has(forwards: &[(ForwardKey, TreeForward)], key: ForwardKey) -> bool {
    forwards.iter().any(|(k, _)| *k == key)
}

/// Leaves by this forward where it is set; one for direct calls only is as if absent for all others.
fn forward(
    b: &mut Builder,
    forwards: &[(ForwardKey, TreeForward)],
    rule: u32,
    by: ForwardKey,
    otherwise: NodeId,
) -> NodeId {
    let Some((_, forward)) = forwards.iter().find(|(key, _)| *key == by) else { return otherwise };
    let leave = b.leaf(Leaf::Forward { rule, by });
    if forward.direct_only { b.ask(Test::Direct, leave, otherwise) } else { leave }
}

fn forwards(rule: &Rule) -> Vec<(ForwardKey, TreeForward)> {
    let all = &rule.forward;
    let keyed = [
        (ForwardKey::Always, &all.always),
        (ForwardKey::Dnd, &all.dnd),
        (ForwardKey::OnActive, &all.on_active),
        (ForwardKey::Busy, &all.busy),
        (ForwardKey::NoAnswer, &all.no_answer),
        (ForwardKey::Declined, &all.declined),
        (ForwardKey::Offline, &all.offline),
        (ForwardKey::Otherwise, &all.otherwise),
    ];
    let compiled = |f: &Forward| TreeForward {
        to: f.to.clone(),
        span: f.span,
        confirm: f.confirm.as_ref().map(|c| c.value),
        caller_id: f.caller_id.clone(),
        direct_only: f.direct_only,
    };
    keyed.into_iter().filter_map(|(key, f)| Some((key, compiled(f.as_ref()?)))).collect()
}

pub(super) fn template(ring: &Ring) -> RingTemplate {
    RingTemplate {
        span: ring.span,
        strategy: ring.strategy,
        targets: ring.targets.iter().map(template_target).collect(),
        initial: ring.initial,
        each: ring.each,
        timeout: ring.timeout,
        ring_for: ring.ring_for,
        missed_calls: ring.missed_calls,
        hear: ring.hear.as_ref().map(|hear| hear.value.clone()),
    }
}

fn template_target(target: &Target) -> TemplateTarget {
    let place = |to: &TargetTo| match to {
        TargetTo::SelfPrimary => TargetPlace::Own,
        TargetTo::SelfAll => TargetPlace::OwnAll,
        TargetTo::Destination(destination) => TargetPlace::Place(destination.clone()),
    };
    TemplateTarget {
        span: target.span,
        to: target.to.iter().map(|to| place(&to.value)).collect(),
        delay: target.delay,
        ring_for: target.for_,
        confirm: target.confirm.as_ref().map(|c| c.value),
        confirm_on_net: target.confirm_on_net,
        caller_id: target.caller_id.clone(),
        caller_id_prefix: target.caller_id_prefix.clone(),
        follow: target.follow.is_some(),
    }
}

fn entries(shared: &Shared<'_>, list: &[super::model::At<ListEntry>]) -> Entries {
    let mut entries = Entries::default();
    for entry in list {
        let index = to_u32(entries.written.len());
        match &entry.value {
            ListEntry::Pattern(pattern, written) => {
                entries.own.insert(pattern, index);
                entries.written.push((written.clone(), entry.span));
            }
            ListEntry::List(name) => {
                let Some(list) = shared.list(name) else { continue };
                entries.lists.push((list, index));
                entries.written.push((format!("list:{name}").into(), entry.span));
            }
        }
    }
    entries
}

fn white_list(user: &User) -> WhiteList {
    let mut list = WhiteList {
        covers_all: user.white_list_covers_all,
        span: user.white_list.first().map(|entry| entry.span),
        ..WhiteList::default()
    };
    for entry in &user.white_list {
        match &entry.value {
            WhiteListed::User(name) => list.users.push(name.clone()),
            WhiteListed::Role(name) => list.roles.push(name.clone()),
            WhiteListed::Hunt(name) => list.hunts.push(name.clone()),
            WhiteListed::Queue(name) => list.queues.push(name.clone()),
            WhiteListed::Pattern(pattern) => list.patterns.insert(pattern, 0),
        }
    }
    list
}

/// The tree of a number of ours.
pub(super) fn number_tree(shared: &Shared<'_>, zone: &Name, number: &Number) -> Tree {
    let mut b = Builder::default();
    let mut rules = Vec::new();
    let spare = b.leaf(Leaf::Spare);
    let root = match &number.to {
        NumberTo::Spare => spare,
        NumberTo::To(to) => {
            let entry = b.leaf(Leaf::Goto { rule: 0 });
            rules.push(number_rule(None, to, Vec::new(), entry));
            entry
        }
        NumberTo::Rules(list) => {
            for (index, rule) in list.iter().enumerate() {
                let entry = b.leaf(Leaf::Goto { rule: to_u32(index) });
                let when = conditions(shared, &rule.when, zone);
                let name = rule.name.clone().unwrap_or_else(|| (index + 1).to_string().into());
                rules.push(TreeRule {
                    span: Some(rule.span),
                    ..number_rule(Some(name), &rule.to, when, entry)
                });
            }
            let mut at = spare;
            for (index, rule) in list.iter().enumerate().rev() {
                let Some(compiled) = rules.get(index) else { continue };
                if rule.when == When::Always {
                    at = compiled.entry;
                }
                at = any_of(&mut b, &compiled.when, to_u32(index), compiled.entry, at);
            }
            at
        }
    };
    let nodes = b.finish(root, &mut rules);
    Tree { nodes, rules, ..Tree::default() }
}

fn number_rule(
    name: Option<Name>,
    to: &super::model::At<Destination>,
    when: Vec<TreeCondition>,
    entry: NodeId,
) -> TreeRule {
    TreeRule {
        name,
        span: None,
        enabled: true,
        when,
        entry,
        after: Vec::new(),
        dnd: false,
        ring: None,
        forwards: Vec::new(),
        to: Some((to.value.clone(), to.span)),
    }
}
