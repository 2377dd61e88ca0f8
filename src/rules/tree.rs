//! The compiled decision tree of one user or one number, as values. [`super::decide`] evaluates it.
//!
//! A tree is a flat array of nodes. Invariants, held by the builder and checked again after decoding: every edge points to a
//! *later* node, so a decision ends after at most as many steps as there are nodes, without recursion; every index is inside
//! its table.
//!
//! It knows nothing of ringing: a leaf names the rule whose ring plan is to be built, or where the call goes instead. When the
//! ringing has ended, the walk enters the same tree again at the node that the rule has for that outcome.

use super::calendar::Frame;
use super::diagnostic::Span;
use super::model::{CallerIdChoice, Confirm, Destination, MissedCalls, Name, Strategy};
use super::patterns::PatternMap;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use super::builder::Builder;
pub use super::decide::{Decision, Facts, Path};

/// An index into [`Tree::nodes`].
pub type NodeId = u32;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Test {
    /// RFC 7090.
    PsapCallback,
    Allowed,
    Blocked,
    Anonymous,
    Unknown,
    /// Verification of the caller failed (RFC 8224).
    Unverified,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refused {
    Blocked,
    Anonymous,
    Unknown,
    Unverified,
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
    /// Music instead of ringback.
    pub hear: Option<Name>,
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
