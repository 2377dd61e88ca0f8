//! The order of decisions for a call to one user, read from the page without any tree.

use crate::number::Pattern;
use crate::rules::model::{
    At, BusyWhen, Destination, Forward, ListEntry, Model, Name, Rule, Strategy, TargetTo, User, When,
};
use crate::rules::tree::{Facts, ForwardKey, Leaf, NamedFrame, Refused, RingOutcome, TimedFrame, WhiteList};
use std::sync::Arc;

/// Every answer that a tree can ask for.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    pub psap_callback: bool,
    pub keys: Vec<Arc<str>>,
    pub anonymous: bool,
    pub unknown: bool,
    pub unverified: bool,
    pub passes: bool,
    /// Frames that hold, by their index in [`FRAMES`].
    pub frames: [bool; 3],
    pub picked: Option<u32>,
    pub status_forward: bool,
    pub status_dnd: Option<bool>,
    pub own_offline: bool,
    pub active_calls: u32,
    pub direct: bool,
    pub from_trunk: bool,
    /// A member of a list that is followed: lists and identity are not asked.
    pub followed: bool,
}

pub(super) const FRAMES: [&str; 3] = ["day", "lunch", "night"];

/// What the page decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub leaf: Leaf,
    pub rule: u32,
    pub branch: Option<Branch>,
}

/// The branch that led out of the rule: its tag, and the outcome that it counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    pub tag: &'static str,
    pub outcome: Option<RingOutcome>,
}

/// Answers by the frames' names: what the compiler numbered is looked up.
pub(super) struct Asked<'a>(pub &'a Answers, pub &'a [TimedFrame], pub &'a [NamedFrame]);

impl Facts for Asked<'_> {
    fn psap_callback(&self) -> bool {
        self.0.psap_callback
    }
    fn keys(&self) -> &[Arc<str>] {
        &self.0.keys
    }
    fn anonymous(&self) -> bool {
        self.0.anonymous
    }
    fn unknown(&self) -> bool {
        self.0.unknown
    }
    fn unverified(&self) -> bool {
        self.0.unverified
    }
    fn passes(&self, _: &WhiteList) -> bool {
        self.0.passes
    }
    fn frame(&self, timed: u32) -> bool {
        let name = &self.2[self.1[timed as usize].frame as usize].name;
        self.0.frames[FRAMES.iter().position(|frame| *frame == &**name).unwrap()]
    }
    fn picked(&self) -> Option<u32> {
        self.0.picked
    }
    fn status_forward(&self) -> bool {
        self.0.status_forward
    }
    fn status_dnd(&self) -> Option<bool> {
        self.0.status_dnd
    }
    fn own_offline(&self) -> bool {
        self.0.own_offline
    }
    fn active_calls(&self) -> u32 {
        self.0.active_calls
    }
    fn direct(&self) -> bool {
        self.0.direct
    }
    fn by_trunk(&self) -> bool {
        self.0.from_trunk
    }
}

/// The rule in force: picked by hand, else the first enabled one whose frame holds.
pub(super) fn active(user: &User, answers: &Answers) -> u32 {
    let picked = answers.picked.filter(|index| (*index as usize) < user.rules.len());
    let by_clock =
        || user.rules.iter().position(|rule| rule.enabled && holds(&rule.when, answers)).unwrap() as u32;
    picked.unwrap_or_else(by_clock)
}

pub(super) fn busy(user: &User, answers: &Answers) -> bool {
    match (user.call_waiting, user.busy_when) {
        (false, _) | (true, BusyWhen::AnyCall) => answers.active_calls >= 1,
        (true, BusyWhen::AllPaths) => answers.active_calls >= user.call_paths,
        (true, BusyWhen::DeviceSaysBusy) => false,
    }
}

/// The entry of the allow or block list that is told of: the longest one of the list that decides.
pub(super) fn list_tag(model: &Model, user: &User, answers: &Answers) -> Option<String> {
    let allowed = || longest(model, &user.allow, &answers.keys).map(|entry| format!("allow:{entry}"));
    let blocked = || longest(model, &user.block, &answers.keys).map(|entry| format!("block:{entry}"));
    match (answers.psap_callback, model.policy.allow_beats_block) {
        (true, _) => None,
        (false, true) => allowed().or_else(blocked),
        (false, false) => blocked().or_else(allowed),
    }
}

fn longest(model: &Model, list: &[At<ListEntry>], keys: &[Arc<str>]) -> Option<String> {
    let length = |pattern: &Pattern| {
        let fits = keys.iter().any(|key| pattern.matches(key));
        fits.then(|| pattern.literal_prefix().len())
    };
    let found = list.iter().enumerate().filter_map(|(index, entry)| {
        let (length, written) = match &entry.value {
            ListEntry::Pattern(pattern, written) => (length(pattern)?, written.to_string()),
            ListEntry::List(name) => {
                let all = model.lists[name].value.iter().filter_map(|at| length(&at.value));
                (all.max()?, format!("list:{name}"))
            }
        };
        Some((length, std::cmp::Reverse(index), written))
    });
    found.max().map(|(_, _, written)| written)
}

/// The page, read line by line.
pub(super) fn decide(model: &Model, name: &Name, answers: &Answers) -> Verdict {
    let user = &model.users[name];
    let named = |list: &[At<ListEntry>]| {
        !answers.followed && list.iter().any(|entry| is_named(model, &entry.value, &answers.keys))
    };
    let (allowed, blocked) = (named(&user.allow), named(&user.block));
    let index = active(user, answers);
    let told = |leaf: Leaf, branch: Option<Branch>| Verdict { leaf, rule: index, branch };
    let refuse = |refused: Refused| told(Leaf::Refuse(refused), None);
    if !answers.psap_callback && !answers.followed {
        if blocked && !(allowed && model.policy.allow_beats_block) {
            return refuse(Refused::Blocked);
        }
        if !allowed && user.block_anonymous.is_some() && answers.anonymous {
            return refuse(Refused::Anonymous);
        }
        if !allowed && user.block_unknown.is_some() && answers.unknown {
            return refuse(Refused::Unknown);
        }
        if !allowed && user.block_unverified.is_some() && answers.unverified {
            return refuse(Refused::Unverified);
        }
        if !user.white_list.is_empty() && !answers.passes {
            return refuse(Refused::WhiteList);
        }
    }
    let rule = &user.rules[index as usize];
    let leaves = |key: ForwardKey| {
        forward(rule, key)
            .filter(|f| !f.direct_only || answers.direct)
            .map(|_| Leaf::Forward { rule: index, by: key })
    };
    if answers.psap_callback {
        return told(Leaf::Ring { rule: index, screen: false }, None);
    }
    if answers.status_forward {
        return told(Leaf::StatusForward { rule: index }, None);
    }
    if let Some(leaf) = leaves(ForwardKey::Always) {
        return told(leaf, None);
    }
    let out = |outcome: RingOutcome| {
        let branch = Branch { tag: outcome.tag(), outcome: Some(outcome) };
        told(after(user, rule, index, outcome, answers), Some(branch))
    };
    if !allowed && answers.status_dnd.unwrap_or(rule.dnd.is_some()) {
        return out(RingOutcome::Dnd);
    }
    let (own, others) = whose(model, name, rule);
    if own && answers.own_offline {
        if let Some(leaf) = leaves(ForwardKey::Offline) {
            let branch = Branch { tag: "offline", outcome: Some(RingOutcome::Offline) };
            return told(leaf, Some(branch));
        }
        if !others {
            return out(RingOutcome::Offline);
        }
    }
    if answers.active_calls >= 1
        && let Some(leaf) = leaves(ForwardKey::OnActive)
    {
        return told(leaf, Some(Branch { tag: "on_active", outcome: None }));
    }
    if busy(user, answers) {
        return out(RingOutcome::Busy);
    }
    let screen = rule.screen.is_some() && answers.from_trunk && !allowed;
    told(Leaf::Ring { rule: index, screen }, None)
}

fn is_named(model: &Model, entry: &ListEntry, keys: &[Arc<str>]) -> bool {
    let any = |pattern: &Pattern| keys.iter().any(|key| pattern.matches(key));
    match entry {
        ListEntry::Pattern(pattern, _) => any(pattern),
        ListEntry::List(name) => model.lists[name].value.iter().any(|at| any(&at.value)),
    }
}

fn holds(when: &When, answers: &Answers) -> bool {
    match when {
        When::Always => true,
        When::AnyOf(conditions) => conditions.iter().any(|condition| {
            answers.frames[FRAMES.iter().position(|f| *f == &*condition.frame).unwrap()] != condition.negated
        }),
    }
}

pub(super) fn forward(rule: &Rule, key: ForwardKey) -> Option<&Forward> {
    let all = &rule.forward;
    match key {
        ForwardKey::Always => all.always.as_ref(),
        ForwardKey::Dnd => all.dnd.as_ref(),
        ForwardKey::OnActive => all.on_active.as_ref(),
        ForwardKey::Busy => all.busy.as_ref(),
        ForwardKey::NoAnswer => all.no_answer.as_ref(),
        ForwardKey::Declined => all.declined.as_ref(),
        ForwardKey::Offline => all.offline.as_ref(),
        ForwardKey::Otherwise => all.otherwise.as_ref(),
    }
}

/// Whether a list has phones of the user's own, and others.
fn whose(model: &Model, name: &Name, rule: &Rule) -> (bool, bool) {
    if rule.ring.strategy == Strategy::Own {
        return (true, false);
    }
    let own = |to: &At<TargetTo>| match &to.value {
        TargetTo::SelfPrimary | TargetTo::SelfAll => true,
        TargetTo::Destination(Destination::Device(device)) => {
            model.devices[device].user.as_ref() == Some(name)
        }
        TargetTo::Destination(Destination::Handset(user)) => user == name,
        TargetTo::Destination(_) => false,
    };
    let places = || rule.ring.targets.iter().flat_map(|target| &target.to);
    (places().any(own) || rule.ring.initial.is_some(), places().any(|to| !own(to)))
}

pub(super) fn after(user: &User, rule: &Rule, index: u32, outcome: RingOutcome, answers: &Answers) -> Leaf {
    let keys: &[ForwardKey] = match outcome {
        RingOutcome::Dnd => &[ForwardKey::Dnd, ForwardKey::Busy, ForwardKey::Otherwise],
        RingOutcome::Busy => &[ForwardKey::Busy, ForwardKey::Otherwise],
        RingOutcome::NoAnswer | RingOutcome::Failed => &[ForwardKey::NoAnswer, ForwardKey::Otherwise],
        RingOutcome::Declined => &[ForwardKey::Declined, ForwardKey::Otherwise],
        RingOutcome::Offline => &[ForwardKey::Offline, ForwardKey::NoAnswer, ForwardKey::Otherwise],
    };
    let usable = |key: &&ForwardKey| forward(rule, **key).is_some_and(|f| !f.direct_only || answers.direct);
    match (keys.iter().find(usable), user.mailbox) {
        (Some(key), _) => Leaf::Forward { rule: index, by: *key },
        (None, true) => Leaf::Mailbox { rule: index, outcome },
        (None, false) => Leaf::Final { rule: index, outcome },
    }
}
