//! What happened on a walk, kept as values: names, places and time-frame readings. Texts are made of it when somebody asks.

use super::diagnostic::Span;
use super::model::Name;
use super::tree::TreeCondition;
use smallvec::SmallVec;
use std::borrow::Cow;

/// One thing that was decided.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub tag: String,
    pub span: Option<Span>,
    pub why: Why,
    pub passed_over: Vec<(String, Why)>,
}

#[derive(Clone, Debug)]
pub(super) enum Why {
    Said(Cow<'static, str>),
    /// By these time frames, as they stood.
    Frames(SmallVec<[FrameSeen; 2]>),
}

/// A condition, and the overrides of the clock that were met on the way (of the frame itself or one that it excepts).
#[derive(Clone, Debug)]
pub(super) struct FrameSeen {
    pub condition: TreeCondition,
    pub forced: Vec<(Name, bool)>,
}

/// A leg as the explanation lists it.
#[derive(Clone, Debug)]
pub(super) struct LegSeen {
    pub to: String,
    pub start_s: u64,
    pub for_s: u64,
    pub confirm: Option<&'static str>,
    pub name: Option<Name>,
    pub number: Option<Name>,
}

/// How the walk stands now.
#[derive(Clone, Debug, Default)]
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
    pub entries: Vec<Entry>,
    pub legs: Vec<LegSeen>,
    pub standing: Standing,
}

impl From<&'static str> for Why {
    fn from(text: &'static str) -> Why {
        Why::Said(Cow::Borrowed(text))
    }
}

impl From<String> for Why {
    fn from(text: String) -> Why {
        Why::Said(Cow::Owned(text))
    }
}

impl Trail {
    pub fn push(&mut self, tag: impl Into<String>, span: Option<Span>, why: impl Into<Why>) {
        self.push_over(tag, span, why, Vec::new());
    }

    pub fn push_over(
        &mut self,
        tag: impl Into<String>,
        span: Option<Span>,
        why: impl Into<Why>,
        passed_over: Vec<(String, Why)>,
    ) {
        self.entries.push(Entry { tag: tag.into(), span, why: why.into(), passed_over });
    }
}
