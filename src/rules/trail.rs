//! What happened on a walk, kept as values: indexes, shared names, time-frame overrides. Texts are made of it when somebody asks
//! ([`super::explain`]), so that a call pays for its explanation only when one is read.
//!
//! Invariants: a step refers to the domain that the walk decides by; pushing a step of a plain call allocates nothing.

use super::diagnostic::Span;
use super::model::{Destination, Feature, Name, Refuse};
use super::outgoing::{Denied, Way};
use super::plan::{LegEnd, LegOutcome, RingPlan};
use super::tree::{ForwardKey, Refused, RingOutcome};
use smallvec::SmallVec;

/// What has rules: by its index in the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    User(u32),
    Number(u32),
    Hunt(u32),
}

/// On whose behalf a call comes to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Forwarded by this user.
    User(u32),
    /// Sent on by this hunt, whose members did not take it.
    Hunt(u32),
    /// `follow` of this list: its member was the last one left.
    Follow(Object),
}

/// Overrides of the clock that a choice of rules met: the frame (or one that it excepts) and whether it was forced on.
pub(super) type Forced = Vec<(Name, bool)>;

/// One thing that was decided.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Number(u32),
    /// Called from outside, and not ours.
    Foreign {
        number: Name,
        dialled: Name,
    },
    Dialled {
        number: Name,
        dialled: Name,
    },
    /// By its index.
    Extension(u32),
    Code {
        feature: Feature,
        span: Span,
    },
    DialRule {
        rule: u32,
        number: Name,
        becomes: Name,
    },
    Class {
        class: u32,
        number: Name,
    },
    /// A dial rule names the class.
    ClassOfRule {
        class: Name,
        rule: u32,
    },
    Denied(Denied),
    User {
        user: u32,
        by: Option<By>,
    },
    Hunt {
        hunt: u32,
        by: Option<By>,
    },
    Allowed {
        user: u32,
        entry: u32,
    },
    Blocked {
        user: u32,
        entry: u32,
    },
    Refused {
        user: u32,
        refused: Refused,
    },
    /// An announcement or a tone instead of a mere status.
    RefusedWith(Refuse),
    Rule {
        of: Object,
        rule: u32,
        picked: bool,
        forced: Forced,
    },
    Branch {
        user: u32,
        branch: Branch,
    },
    Screen {
        user: u32,
        rule: u32,
    },
    /// `given`: the caller was refused.
    ScreenRefused,
    /// The legs of this ring stage.
    Ring(u32),
    /// No leg of this stage can ring.
    NothingRings {
        stage: u32,
        outcome: RingOutcome,
    },
    Ended {
        stage: u32,
        outcome: RingOutcome,
        ends: Box<[LegEnd]>,
    },
    Answered {
        stage: u32,
        leg: usize,
    },
    Forward {
        user: u32,
        /// `None`: set by the user, outside the rules.
        rule: Option<u32>,
        key: ForwardKey,
        to: Destination,
    },
    OnFailure {
        hunt: u32,
        outcome: RingOutcome,
    },
    /// A phone or an outside number that somebody forwards to, or that a number leads to.
    Rings {
        to: Destination,
        span: Option<Span>,
    },
    Service {
        what: Service,
        span: Option<Span>,
        because: Takes,
    },
    EmergencyNumber {
        number: Name,
        span: Option<Span>,
        after: Option<Name>,
    },
    Emergency {
        located: bool,
    },
    Location(Name),
    Callback(Name),
    /// Leaves by a route; the legs of this stage, if any trunk is up.
    Leaves {
        number: Name,
        way: Box<Way>,
        stage: Option<u32>,
    },
    AllTrunksDown,
    Loop,
    Hops {
        budget: u32,
    },
    Reject {
        status: u16,
        span: Option<Span>,
        because: Because,
    },
}

/// The branch taken once a rule was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    DndSet,
    DndOfRule,
    Offline,
    OnActive { calls: u32 },
    Busy { calls: u32 },
}

/// What answers a call itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Mailbox { of: Name, greeting: Greeting },
    Other(Destination),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Busy,
    Unavailable,
}

/// Why a service takes the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// The rules lead there.
    Rules,
    /// Nothing else is set, and the user's own mailbox is on.
    OwnMailbox,
    /// A call that goes round or too far ends there.
    FirstCalled,
}

/// What a live call would need and can't have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbuilt {
    Voicemail,
    Queue,
    Attendant,
    Directory,
    FeatureCode,
    Screening,
    /// Built, or no service: it can't be asked for.
    None,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Because {
    Refused,
    AfterAnnouncement,
    AfterTone,
    NotOurs,
    /// The text is no number at all.
    NoNumber(Name),
    Spare,
    RulesSay,
    NoMailbox,
    NoClass,
    NoRoute(Name),
    NoTrunk,
    TrunksFailed,
    NothingLeft,
    NothingRang,
    NotBuilt(Unbuilt),
    Broken,
}

/// What does not ring.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Skipped {
    pub what: Destination,
    /// The target of the list that it is of.
    pub target: Option<u16>,
    /// What it counts as; `None`: nothing, it was only left out.
    pub outcome: Option<LegOutcome>,
    pub why: SkipWhy,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum SkipWhy {
    NotRegistered,
    NoPlace,
    WhiteList,
    Dnd,
    Busy {
        calls: u32,
    },
    NoClass,
    Denied(Denied),
    TrunksDown,
    NoRoute(Name),
    Late {
        start_s: u64,
        total_s: u64,
    },
    /// `follow`, and all calls are forwarded: where they go is asked when nobody else is left.
    GoesElsewhere,
}

/// A target with `follow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Follow {
    pub user: u32,
    /// Its index in the list.
    pub target: u16,
    /// Whether it stands last in a sequence: nobody is left when its turn comes.
    pub at_end: bool,
}

/// A ring stage: the plan, and what stays out of it.
#[derive(Clone, Debug)]
pub(super) struct Ringing {
    pub plan: RingPlan,
    /// The target of each leg, by its index in the list.
    pub targets: SmallVec<[u16; 4]>,
    pub skipped: Vec<Skipped>,
    pub follows: Vec<Follow>,
}

/// How the walk stands now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Standing {
    #[default]
    Undecided,
    Ringing,
    Outside,
    Service,
    Rejected(u16),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    /// A plain call has five.
    pub steps: SmallVec<[Step; 6]>,
    pub stages: SmallVec<[Ringing; 1]>,
    pub standing: Standing,
    /// A live call: what is not built yet was not carried out.
    pub live: bool,
}

impl Trail {
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Keeps a stage; its index.
    pub fn stage(&mut self, ringing: Ringing) -> u32 {
        self.stages.push(ringing);
        u32::try_from(self.stages.len() - 1).unwrap_or(u32::MAX)
    }

    pub fn ringing(&self, stage: u32) -> Option<&Ringing> {
        self.stages.get(stage as usize)
    }
}

impl Greeting {
    pub fn word(self) -> &'static str {
        match self {
            Greeting::Busy => "busy",
            Greeting::Unavailable => "unavailable",
        }
    }
}

impl Service {
    /// Which service it is, for a call that can't have it yet.
    pub fn unbuilt(&self) -> Unbuilt {
        match self {
            Service::Mailbox { .. } | Service::Other(Destination::Voicemail(_)) => Unbuilt::Voicemail,
            Service::Other(Destination::Queue(_)) => Unbuilt::Queue,
            Service::Other(Destination::Attendant(_)) => Unbuilt::Attendant,
            Service::Other(Destination::Directory(_)) => Unbuilt::Directory,
            Service::Other(
                Destination::Announce(_)
                | Destination::Conference(_)
                | Destination::User(_)
                | Destination::Handset(_)
                | Destination::Device(_)
                | Destination::Hunt(_)
                | Destination::Tel(_)
                | Destination::Reject(_),
            ) => Unbuilt::None,
        }
    }
}

/// Its tag.
impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Service::Mailbox { of, greeting } => write!(f, "voicemail:{of}/{}", greeting.word()),
            Service::Other(to) => write!(f, "{to}"),
        }
    }
}

impl Unbuilt {
    pub fn words(self) -> &'static str {
        match self {
            Unbuilt::Voicemail => "voicemail",
            Unbuilt::Queue => "queue",
            Unbuilt::Attendant => "attendant",
            Unbuilt::Directory => "directory",
            Unbuilt::FeatureCode => "feature code",
            Unbuilt::Screening => "screening",
            Unbuilt::None => "this",
        }
    }
}
