//! What answers calls itself, and what it is told: hunts, queues, attendants, conferences, directories, mailboxes, prompts,
//! music, feature codes. Values alone; the services that act by them come later, the decisions that lead to them do not.

use super::{At, Destination, MissedCalls, Name, Ring};
use crate::rules::diagnostic::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// Every service of a domain by its name.
#[derive(Clone, Debug, Default)]
pub struct Services {
    pub hunts: BTreeMap<Name, Hunt>,
    pub queues: BTreeMap<Name, Queue>,
    pub attendants: BTreeMap<Name, Attendant>,
    pub conferences: BTreeMap<Name, Conference>,
    pub directories: BTreeMap<Name, Directory>,
    /// Mailboxes of no user; a user's stands with the user.
    pub mailboxes: BTreeMap<Name, Mailbox>,
    pub announcements: BTreeMap<Name, Announcement>,
    pub music: BTreeMap<Name, Music>,
    pub codes: Codes,
}

/// `[hunt.X]`: a ring list of no user.
#[derive(Clone, Debug)]
pub struct Hunt {
    pub span: Span,
    pub extension: Option<Name>,
    /// Targets never say `self`. `missed_calls` stands inside.
    pub ring: Ring,
    pub caller_id_prefix: Option<Name>,
    /// Where a call goes that nobody took; without it, the final response of the outcome.
    pub on_failure: Option<At<Destination>>,
    pub screen_pop: Option<ScreenPop>,
}

impl Hunt {
    #[must_use]
    pub fn missed_calls(&self) -> MissedCalls {
        self.ring.missed_calls
    }
}

/// `[queue.X]`.
#[derive(Clone, Debug)]
pub struct Queue {
    pub span: Span,
    pub extension: Option<Name>,
    pub strategy: QueueStrategy,
    /// Users who may log in to it, in order.
    pub agents: Vec<At<Name>>,
    pub ring_each: Duration,
    pub wrap_up: Duration,
    pub wait: Wait,
    /// Where a call goes that waited too long, or that found the queue full or without agents.
    pub overflow: Option<At<Destination>>,
    pub record: bool,
    pub screen_pop: Option<ScreenPop>,
    pub caller_id_prefix: Option<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueStrategy {
    RingAll,
    LongestIdle,
    RoundRobin,
    FewestCalls,
    Sequential,
    Random,
}

/// What a caller in a queue hears, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub moh: Option<Name>,
    pub announce: Option<Name>,
    pub every: Option<Duration>,
    pub max: Duration,
    /// `None`: as many as come.
    pub max_callers: Option<u32>,
}

/// `[attendant.X]`.
#[derive(Clone, Debug)]
pub struct Attendant {
    pub span: Span,
    pub extension: Option<Name>,
    /// A file, relative to the rules' base directory.
    pub greeting: Option<At<Name>>,
    /// By the key pressed: `0` to `9`, `*`, `#`.
    pub keys: BTreeMap<char, At<Destination>>,
    pub dial_extensions: bool,
    pub no_input: Option<At<Destination>>,
    pub invalid: Option<At<Destination>>,
    pub timeout: Duration,
    pub tries: u32,
}

/// `[conference.X]`.
#[derive(Clone, Debug)]
pub struct Conference {
    pub span: Span,
    pub extension: Option<Name>,
    pub pin: Option<Pin>,
    pub moderator_pin: Option<Pin>,
    pub max: Option<u32>,
    pub record: bool,
    pub announce: bool,
}

/// `[directory.X]`: dial by name.
#[derive(Clone, Debug)]
pub struct Directory {
    pub span: Span,
    pub extension: Option<Name>,
    pub match_by: MatchBy,
    /// Whom it lists; empty: every user who lets themselves be listed.
    pub from: Vec<At<DirectoryScope>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchBy {
    LastName,
    FirstName,
    Both,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryScope {
    Site(Name),
    Role(Name),
    User(Name),
}

/// `[mailbox.X]`.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub span: Span,
    pub voicemail: Voicemail,
}

/// A mailbox: the user's own keys over the defaults of users over `[defaults.voicemail]` over these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voicemail {
    pub enabled: bool,
    pub pin: Option<Pin>,
    /// Messages.
    pub limit: u32,
    pub limit_bytes: Option<u64>,
    pub when_full: WhenFull,
    pub greeting: Greeting,
    pub say_caller: bool,
    pub say_time: bool,
    pub newest_first: bool,
    /// Where 0 goes; the domain's where the mailbox says nothing.
    pub operator: Option<Destination>,
    /// Who is told of a message; a user's own addresses where the mailbox says nothing.
    pub email: Vec<Name>,
    pub email_short: Vec<Name>,
    pub email_style: EmailStyle,
    pub after_email: AfterEmail,
    pub transcribe: bool,
    /// A language by its tag (RFC 5646).
    pub translate: Option<Name>,
    pub recorded_name: bool,
}

impl Default for Voicemail {
    fn default() -> Voicemail {
        Voicemail {
            enabled: true,
            pin: None,
            limit: 50,
            limit_bytes: None,
            when_full: WhenFull::Rotate,
            greeting: Greeting::default(),
            say_caller: false,
            say_time: false,
            newest_first: false,
            operator: None,
            email: Vec::new(),
            email_short: Vec::new(),
            email_style: EmailStyle::Attachment,
            after_email: AfterEmail::Keep,
            transcribe: false,
            translate: None,
            recorded_name: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenFull {
    /// The oldest message goes.
    Rotate,
    /// No message is taken.
    Refuse,
}

/// Names of greetings; without one, the built-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    pub unavailable: Option<Name>,
    pub busy: Option<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmailStyle {
    None,
    Link,
    LinkBrief,
    Attachment,
    AttachmentBrief,
}

/// What becomes of a message that was sent by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterEmail {
    Keep,
    Save,
    Trash,
    Delete,
}

/// A page that is opened beside a call: an event carries the finished address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreenPop {
    pub at: PopAt,
    /// With `{{callerid_number}}` and the like in it.
    pub url: Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PopAt {
    Ringing,
    Answered,
}

/// `[announce.X]`.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub span: Span,
    /// Relative to the rules' base directory.
    pub file: At<Name>,
}

/// `[moh.X]`.
#[derive(Clone, Debug)]
pub struct Music {
    pub span: Span,
    pub files: Vec<At<Name>>,
    pub shuffled: bool,
}

/// A PIN as the source names it. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pin {
    /// A PHC string.
    Hash(Name),
    Plain(Name),
    /// `plain:***` of an export: keep the one that is there.
    Masked,
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Pin::Hash(_) => "hash:***",
            Pin::Plain(_) | Pin::Masked => "plain:***",
        })
    }
}

/// `[codes]`: only those named exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codes {
    /// By what is dialled: `*78`.
    pub by_code: BTreeMap<Name, At<Feature>>,
}

impl Codes {
    /// The feature that is dialled, and what was dialled behind its code: `*72` and `+12025550173`. The whole text decides
    /// before a beginning of it, and the longest beginning before a shorter one.
    #[must_use]
    pub fn of<'d>(&self, dialled: &'d str) -> Option<(&At<Feature>, &'d str)> {
        if let Some(feature) = self.by_code.get(dialled) {
            return Some((feature, ""));
        }
        // What begins `dialled` stands before it in order, the longest last; and what is no code has no code's first key.
        let first = |text: &str| text.bytes().next();
        let before = self.by_code.range::<str, _>((Unbounded, Excluded(dialled))).rev();
        let (code, feature) = before
            .take_while(|(code, _)| first(code) == first(dialled))
            .find(|(code, feature)| feature.value.takes_more() && dialled.starts_with(code.as_ref()))?;
        Some((feature, dialled.get(code.len()..).unwrap_or_default()))
    }
}

/// What a feature code does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Feature {
    DndOn,
    DndOff,
    ForwardOn,
    ForwardOff,
    HotdeskLogin,
    HotdeskLogout,
    HotdeskToggle,
    QueueLogin,
    QueueLogout,
    Voicemail,
    Pickup,
    Park,
    Echo,
    /// Steps the override of a time frame: auto, on, off.
    TimeFrame(Name),
}

impl Feature {
    /// The key in `[codes]`, and with its default code: every feature but the overrides of time frames.
    pub const KEYED: [(&'static str, &'static str, Feature); 13] = [
        ("dnd_on", "*78", Feature::DndOn),
        ("dnd_off", "*79", Feature::DndOff),
        ("forward_on", "*72", Feature::ForwardOn),
        ("forward_off", "*73", Feature::ForwardOff),
        ("hotdesk_login", "*11", Feature::HotdeskLogin),
        ("hotdesk_logout", "*12", Feature::HotdeskLogout),
        ("hotdesk_toggle", "*13", Feature::HotdeskToggle),
        ("queue_login", "*20", Feature::QueueLogin),
        ("queue_logout", "*21", Feature::QueueLogout),
        ("voicemail", "*97", Feature::Voicemail),
        ("pickup", "*8", Feature::Pickup),
        ("park", "*68", Feature::Park),
        ("echo", "*43", Feature::Echo),
    ];

    /// Whether a number or extension may be dialled right behind the code.
    #[must_use]
    pub fn takes_more(&self) -> bool {
        matches!(self, Feature::ForwardOn | Feature::Pickup)
    }
}

/// As the tag `code:NAME` says it: `dnd_on`, `time_frame/storm`.
impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Feature::TimeFrame(name) = self {
            return write!(f, "time_frame/{name}");
        }
        let keyed = Feature::KEYED.iter().find(|(_, _, feature)| feature == self);
        f.write_str(keyed.map_or("", |(key, _, _)| key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(pairs: &[(&str, Feature)]) -> Codes {
        let at = |feature: &Feature| At { value: feature.clone(), span: Span::default() };
        Codes { by_code: pairs.iter().map(|(code, feature)| ((*code).into(), at(feature))).collect() }
    }

    #[test]
    fn the_whole_of_a_code_decides_before_a_beginning_of_it() {
        let codes = codes(&[("*7", Feature::Pickup), ("*72", Feature::ForwardOn), ("*721", Feature::Echo)]);
        let of = |dialled| codes.of(dialled).map(|(feature, rest)| (feature.value.to_string(), rest));
        assert_eq!(of("*721"), Some(("echo".into(), "")));
        assert_eq!(of("*722025550173"), Some(("forward_on".into(), "2025550173")));
        assert_eq!(of("*7100"), Some(("pickup".into(), "100")));
        assert_eq!(of("*7"), Some(("pickup".into(), "")));
        assert_eq!(of("*97"), None);
        assert_eq!(of("721"), None);
    }

    #[test]
    fn a_code_that_takes_nothing_more_is_dialled_alone() {
        assert!(codes(&[("*78", Feature::DndOn)]).of("*781").is_none());
    }

    #[test]
    fn every_feature_has_its_word() {
        for (key, code, feature) in Feature::KEYED {
            assert_eq!(feature.to_string(), key);
            assert!(code.starts_with('*'));
        }
        assert_eq!(Feature::TimeFrame("storm".into()).to_string(), "time_frame/storm");
    }

    #[test]
    fn a_pin_is_never_shown() {
        let shown = format!("{:?} {:?}", Pin::Hash("$argon2id$x".into()), Pin::Plain("1234".into()));
        assert!(!shown.contains("argon2") && !shown.contains("1234"), "{shown}");
    }
}
