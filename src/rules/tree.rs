//! The compiled decision tree of one user or one number, and its evaluation.
//!
//! A tree is a flat array of nodes. Invariants, held by the builder and checked again after decoding: every edge points to a
//! *later* node, so a decision ends after at most as many steps as there are nodes, without recursion; every index is inside
//! its table. A decision allocates nothing and yields a path of nodes; texts are rendered from the path later, by the walk.
//!
//! It knows nothing of ringing: a leaf names the rule whose ring plan is to be built, or where the call goes instead. When the
//! ringing has ended, the walk enters the same tree again at the node that the rule has for that outcome.

use super::calendar::Frame;
use super::diagnostic::Span;
use super::model::{CallerIdChoice, Confirm, Destination, MissedCalls, Name, Strategy};
use super::patterns::{Match, PatternMap};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// An index into [`Tree::nodes`].
pub type NodeId = u32;

/// The nodes visited, in order: the node's index times two, plus one where its answer was yes. Trees of the usual size fit
/// without an allocation.
pub type Path = SmallVec<[u32; 32]>;

/// All trees of one domain, with what they share. This is what the store keeps beside the source text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    /// IANA names.
    pub zones: Vec<Name>,
    pub frames: Vec<NamedFrame>,
    /// A frame as read in a zone; conditions are indexes into this.
    pub timed: Vec<TimedFrame>,
    pub lists: Vec<NumberList>,
    /// In the order of names.
    pub users: Vec<NamedTree>,
    /// In the order of numbers.
    pub numbers: Vec<NamedTree>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedFrame {
    pub name: Name,
    pub frame: Frame,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimedFrame {
    pub frame: u32,
    pub zone: u32,
}

/// A `[list.X]`: the patterns' values are unused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberList {
    pub name: Name,
    pub numbers: PatternMap,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedTree {
    pub name: Name,
    pub tree: Tree,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The first is the root.
    pub nodes: Vec<Node>,
    pub rules: Vec<TreeRule>,
    pub allow: Entries,
    pub block: Entries,
    pub white_list: WhiteList,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    Ask {
        test: Test,
        yes: NodeId,
        no: NodeId,
    },
    /// Goes on at the rule that the user picked by hand, else at `no`.
    Picked {
        no: NodeId,
    },
    Leaf(Leaf),
}

/// A question that is answered yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// RFC 7090.
    PsapCallback,
    Allowed,
    Blocked,
    Anonymous,
    Unknown,
    /// Passes the white list.
    WhiteListed,
    /// Inside the time frame; `rule` is the one that asks.
    Frame {
        timed: u32,
        rule: u32,
    },
    /// The user has set a forward outside the rules.
    StatusForward,
    /// Status beats the rule; an allowed caller passes.
    Dnd {
        by_rule: bool,
    },
    /// All phones of the user are offline.
    OwnOffline,
    /// At least so many calls are up: `on_active`, or busy.
    OnActive,
    Busy {
        calls: u32,
    },
    /// Did not come through a queue or hunt.
    Direct,
    /// From a trunk, and not allowed.
    Screened,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leaf {
    Refuse(Refused),
    Ring {
        rule: u32,
        screen: bool,
    },
    Forward {
        rule: u32,
        by: ForwardKey,
    },
    /// The forward that the user set outside the rules.
    StatusForward {
        rule: u32,
    },
    /// The user's own mailbox, or the final response where there is none.
    Mailbox {
        rule: u32,
        outcome: RingOutcome,
    },
    Final {
        rule: u32,
        outcome: RingOutcome,
    },
    /// A number's destination: that of the rule.
    Goto {
        rule: u32,
    },
    /// A number in the spare pool.
    Spare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    Blocked,
    Anonymous,
    Unknown,
    WhiteList,
}

/// Why a call left a user without an answer, as the rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RingOutcome {
    Dnd,
    Busy,
    NoAnswer,
    Declined,
    Offline,
    Failed,
}

impl RingOutcome {
    pub const ALL: [RingOutcome; 6] = [
        RingOutcome::Dnd,
        RingOutcome::Busy,
        RingOutcome::NoAnswer,
        RingOutcome::Declined,
        RingOutcome::Offline,
        RingOutcome::Failed,
    ];

    /// Its tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            RingOutcome::Dnd => "dnd",
            RingOutcome::Busy => "busy",
            RingOutcome::NoAnswer => "no_answer",
            RingOutcome::Declined => "declined",
            RingOutcome::Offline => "offline",
            RingOutcome::Failed => "failed",
        }
    }
}

/// A key of `forward`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForwardKey {
    Always,
    Dnd,
    OnActive,
    Busy,
    NoAnswer,
    Declined,
    Offline,
    Otherwise,
}

impl ForwardKey {
    /// As written in the rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ForwardKey::Always => "always",
            ForwardKey::Dnd => "dnd",
            ForwardKey::OnActive => "on_active",
            ForwardKey::Busy => "busy",
            ForwardKey::NoAnswer => "no_answer",
            ForwardKey::Declined => "declined",
            ForwardKey::Offline => "offline",
            ForwardKey::Otherwise => "otherwise",
        }
    }
}

/// One rule of a user, or of a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TreeRule {
    pub name: Option<Name>,
    /// None for the implied rule of a user without rules.
    pub span: Option<Span>,
    pub enabled: bool,
    /// How it reads: `always`, or the names of its time frames.
    pub when: Vec<TreeCondition>,
    /// Where the tree goes on once this rule is chosen.
    pub entry: NodeId,
    /// Where it goes on when the ringing ended so, by the index of [`RingOutcome`]. Empty for a number's rule.
    pub after: Vec<NodeId>,
    pub dnd: bool,
    pub ring: Option<RingTemplate>,
    pub forwards: Vec<(ForwardKey, TreeForward)>,
    /// A number's rule.
    pub to: Option<(Destination, Span)>,
    /// Keys that are read and not carried out yet.
    pub not_carried_out: Vec<(Name, Span)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeCondition {
    pub timed: u32,
    pub negated: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TreeForward {
    pub to: Destination,
    pub span: Span,
    pub confirm: Option<Confirm>,
    pub caller_id: Option<CallerIdChoice>,
    pub direct_only: bool,
}

/// A rule's ring keys; a plan is made from it and live state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RingTemplate {
    pub span: Span,
    pub strategy: Strategy,
    pub targets: Vec<TemplateTarget>,
    pub initial: Option<Duration>,
    pub each: Option<Duration>,
    pub timeout: Option<Duration>,
    pub ring_for: Duration,
    pub missed_calls: MissedCalls,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateTarget {
    pub span: Span,
    pub to: Vec<TargetPlace>,
    pub delay: Duration,
    pub ring_for: Option<Duration>,
    pub confirm: Option<Confirm>,
    pub confirm_on_net: bool,
    pub caller_id: Option<CallerIdChoice>,
    pub caller_id_prefix: Option<Name>,
    pub follow: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetPlace {
    /// The primary device, where the rules settle which one it is.
    Own,
    OwnAll,
    Place(Destination),
}

/// An allow or block list: own patterns, and the domain's lists by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entries {
    /// As written, for tags: `+12025550199`, `list:spam`.
    pub written: Vec<(Name, Span)>,
    pub own: PatternMap,
    /// (index into [`Trees::lists`], index into `written`).
    pub lists: Vec<(u32, u32)>,
}

impl Entries {
    /// The entry that matches any of the caller's numbers with the longest literal part; of equals the first one written.
    #[must_use]
    pub fn find(&self, lists: &[NumberList], keys: &[Arc<str>]) -> Option<u32> {
        let mut best: Option<Match> = None;
        let mut offer = |found: Match| {
            let better =
                |b: Match| found.literal > b.literal || (found.literal == b.literal && found.value < b.value);
            if best.is_none_or(better) {
                best = Some(found);
            }
        };
        for key in keys {
            if let Some(found) = self.own.find(key) {
                offer(found);
            }
            for (list, entry) in &self.lists {
                if let Some(found) = lists.get(*list as usize).and_then(|l| l.numbers.find(key)) {
                    offer(Match { value: *entry, ..found });
                }
            }
        }
        best.map(|m| m.value)
    }
}

/// Who may reach this user. All tables are in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WhiteList {
    pub users: Vec<Name>,
    pub roles: Vec<Name>,
    pub hunts: Vec<Name>,
    pub queues: Vec<Name>,
    pub patterns: PatternMap,
    /// Outside callers too.
    pub covers_all: bool,
    pub span: Option<Span>,
}

impl WhiteList {
    /// Empty: anybody may call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.span.is_none()
    }
}

/// What a tree asks of a call. Each is asked at most once on a path, and only when the path comes by it.
pub trait Facts {
    fn psap_callback(&self) -> bool;
    /// What the caller goes by: E.164, or the extensions of an inside caller.
    fn keys(&self) -> &[Arc<str>];
    fn anonymous(&self) -> bool;
    fn unknown(&self) -> bool;
    fn passes(&self, white_list: &WhiteList) -> bool;
    /// Whether the frame of [`Trees::timed`] holds, overrides included.
    fn frame(&self, timed: u32) -> bool;
    /// The rule picked by hand, by its index.
    fn picked(&self) -> Option<u32>;
    fn status_forward(&self) -> bool;
    fn status_dnd(&self) -> Option<bool>;
    fn own_offline(&self) -> bool;
    fn active_calls(&self) -> u32;
    fn direct(&self) -> bool;
    fn from_trunk(&self) -> bool;
}

/// What was decided. How, the path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub leaf: Leaf,
    /// The entry of the allow list that let the caller through.
    pub allowed: Option<u32>,
    /// The entry of the block list that stopped it.
    pub blocked: Option<u32>,
}

impl Tree {
    /// Decides from `start`: 0 for a call that comes in, else a node of [`TreeRule::after`] or an `entry`.
    ///
    /// `None` only for a tree that breaks its invariants, which [`Trees::check`] keeps out.
    pub fn decide<F: Facts>(
        &self,
        lists: &[NumberList],
        start: NodeId,
        facts: &F,
        path: &mut Path,
    ) -> Option<Decision> {
        let mut at = start;
        let (mut allowed, mut blocked) = (None, None);
        // Edges point forwards, so this many steps are enough.
        for _ in 0..self.nodes.len() {
            let (test, yes, no) = match *self.nodes.get(at as usize)? {
                Node::Leaf(leaf) => {
                    path.push(at << 1);
                    return Some(Decision { leaf, allowed, blocked });
                }
                Node::Picked { no } => {
                    let picked = facts.picked().and_then(|rule| self.rules.get(rule as usize));
                    path.push(at << 1 | u32::from(picked.is_some()));
                    at = picked.map_or(no, |rule| rule.entry);
                    continue;
                }
                Node::Ask { test, yes, no } => (test, yes, no),
            };
            let answer = match test {
                Test::PsapCallback => facts.psap_callback(),
                Test::Allowed => {
                    allowed = self.allow.find(lists, facts.keys());
                    allowed.is_some()
                }
                Test::Blocked => {
                    blocked = self.block.find(lists, facts.keys());
                    blocked.is_some()
                }
                Test::Anonymous => facts.anonymous(),
                Test::Unknown => facts.unknown(),
                Test::WhiteListed => facts.passes(&self.white_list),
                Test::Frame { timed, .. } => facts.frame(timed),
                Test::StatusForward => facts.status_forward(),
                Test::Dnd { by_rule } => allowed.is_none() && facts.status_dnd().unwrap_or(by_rule),
                Test::OwnOffline => facts.own_offline(),
                Test::OnActive => facts.active_calls() >= 1,
                Test::Busy { calls } => facts.active_calls() >= calls,
                Test::Direct => facts.direct(),
                Test::Screened => allowed.is_none() && facts.from_trunk(),
            };
            path.push(at << 1 | u32::from(answer));
            at = if answer { yes } else { no };
        }
        None
    }

    /// Decides from the root.
    pub fn decide_call<F: Facts>(
        &self,
        lists: &[NumberList],
        facts: &F,
        path: &mut Path,
    ) -> Option<Decision> {
        self.decide(lists, 0, facts, path)
    }
}

/// Builds a tree from its leaves up; turned round at the end, so that every edge points forwards.
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
}

impl Builder {
    fn push(&mut self, node: Node) -> NodeId {
        // Two equal nodes are one: rules with the same ending share it.
        if let Some(same) = self.nodes.iter().position(|n| *n == node) {
            return id(same);
        }
        self.nodes.push(node);
        id(self.nodes.len() - 1)
    }

    pub fn leaf(&mut self, leaf: Leaf) -> NodeId {
        self.push(Node::Leaf(leaf))
    }

    pub fn ask(&mut self, test: Test, yes: NodeId, no: NodeId) -> NodeId {
        self.push(Node::Ask { test, yes, no })
    }

    pub fn picked(&mut self, no: NodeId) -> NodeId {
        self.push(Node::Picked { no })
    }

    /// The nodes in their final order, the root first. Turns the rules' entries too.
    pub fn finish(mut self, root: NodeId, rules: &mut [TreeRule]) -> Vec<Node> {
        // A root that is shared with something else would not stand last: nothing refers to the root, so move it there.
        if root as usize + 1 != self.nodes.len() {
            let node = self.nodes[root as usize];
            self.nodes.push(node);
        }
        let last = id(self.nodes.len() - 1);
        for rule in rules {
            rule.entry = last - rule.entry;
            for node in &mut rule.after {
                *node = last - *node;
            }
        }
        let turned = |node: Node| match node {
            Node::Ask { test, yes, no } => Node::Ask { test, yes: last - yes, no: last - no },
            Node::Picked { no } => Node::Picked { no: last - no },
            Node::Leaf(_) => node,
        };
        self.nodes.into_iter().rev().map(turned).collect()
    }
}

/// Rules per user are capped by the loader far below what would not fit.
fn id(index: usize) -> NodeId {
    u32::try_from(index).unwrap_or(u32::MAX)
}
