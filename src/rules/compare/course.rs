//! How a call goes, as far as the people at its ends can tell: who rings, which service answers, how it is refused, by which
//! trunk it leaves. Read from the tags of a dry walk; names of rules and other internals are no part of it.

use crate::rules::explain::Explanation;
use crate::rules::model::Model;
use std::fmt::Write as _;

/// The last stage of a walk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Course {
    Ring {
        screened: bool,
        legs: Vec<Leg>,
    },
    /// Leaves by these trunks, in order.
    Outside {
        trunks: Vec<String>,
        shown: Vec<String>,
    },
    /// A mailbox, an announcement, a queue ...: its tag.
    Service(String),
    Refused {
        status: u16,
        why: Option<String>,
    },
    /// It was never asked: the stage before did not come to it.
    Nothing,
}

/// One leg, by its tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leg {
    /// `101a`, `tel:+12025550181`.
    pub to: String,
    pub start_s: u32,
    pub for_s: u32,
    /// `confirm:1`, `caller_id:+12025550150`, `diversion:no-answer`.
    pub with: Vec<String>,
}

/// Tags that end a ring stage, or a user's part in the call.
const ENDS: [&str; 7] = ["no_answer", "busy", "declined", "offline", "failed", "dnd", "on_active"];

const SERVICES: [&str; 7] =
    ["voicemail:", "announce:", "queue:", "attendant:", "conference:", "directory:", "code:"];

/// Why a call is refused, as its tag.
const REASONS: [&str; 8] =
    ["block:", "anonymous", "unknown", "unverified", "white_list:refused", "denied:", "loop", "hops"];

impl Course {
    /// The last stage of what was explained.
    #[must_use]
    pub fn of(explanation: &Explanation) -> Course {
        let tags: Vec<&str> = explanation.tags.iter().map(String::as_str).collect();
        let last = tags.iter().rposition(|tag| ENDS.contains(tag)).map_or(0, |at| at + 1);
        let stage = tags.get(last..).unwrap_or_default();
        let service = || stage.iter().rev().find(|tag| SERVICES.iter().any(|s| tag.starts_with(s)));
        match explanation.outcome.kind.as_str() {
            "ring" => Course::Ring { screened: stage.contains(&"screen"), legs: legs(stage) },
            // A leg that somebody forwards to has its times; a call that is dialled has not.
            "outside" if stage.iter().any(|tag| tag.starts_with("ring:")) => {
                Course::Ring { screened: false, legs: legs(stage) }
            }
            "outside" => outside(stage),
            "answered_by_system" => {
                Course::Service(service().map_or_else(String::new, |tag| (*tag).to_owned()))
            }
            "reject" => Course::Refused {
                status: explanation.outcome.status.unwrap_or_default(),
                why: tags
                    .iter()
                    .rev()
                    .find(|tag| REASONS.iter().any(|reason| tag.starts_with(reason)))
                    .map(|tag| (*tag).to_owned()),
            },
            _ => Course::Nothing,
        }
    }

    /// Replaces the caller's own number by words: it is another's in every call.
    pub(super) fn generalise(&mut self, from: &str) {
        let tags = match self {
            Course::Ring { legs, .. } => legs.iter_mut().flat_map(|leg| &mut leg.with).collect::<Vec<_>>(),
            Course::Outside { shown, .. } => shown.iter_mut().collect(),
            Course::Service(_) | Course::Refused { .. } | Course::Nothing => Vec::new(),
        };
        for tag in tags.into_iter().filter(|tag| tag.strip_prefix("caller_id:") == Some(from)) {
            "caller_id:the caller's number".clone_into(tag);
        }
    }

    /// Whether something rings that may not answer.
    #[must_use]
    pub fn rings(&self) -> bool {
        matches!(self, Course::Ring { .. })
    }
}

fn legs(stage: &[&str]) -> Vec<Leg> {
    let mut legs: Vec<Leg> = Vec::new();
    for tag in stage {
        if let Some(leg) = tag.strip_prefix("ring:") {
            let (to, times) = leg.rsplit_once('@').unwrap_or((leg, "0+0"));
            let (start, length) = times.split_once('+').unwrap_or((times, "0"));
            let seconds = |text: &str| text.parse().unwrap_or(0);
            legs.push(Leg {
                to: to.to_owned(),
                start_s: seconds(start),
                for_s: seconds(length),
                with: Vec::new(),
            });
        } else if let Some(leg) = legs.last_mut()
            && ["confirm:", "caller_id", "diversion:", "route:"].iter().any(|of| tag.starts_with(of))
        {
            leg.with.push((*tag).to_owned());
        }
    }
    legs
}

fn outside(stage: &[&str]) -> Course {
    let trunks = stage.iter().filter_map(|tag| tag.strip_prefix("route:")).map(str::to_owned).collect();
    let shown = ["location:", "callback:", "caller_id"];
    let shown = stage.iter().filter(|tag| shown.iter().any(|of| tag.starts_with(of)));
    Course::Outside { trunks, shown: shown.map(|tag| (*tag).to_owned()).collect() }
}

/// Two courses in words, with as much in them as tells them apart.
#[must_use]
pub fn sentence(models: (&Model, &Model), before: &Course, after: &Course) -> String {
    let words = |before: &Course, after: &Course, long: bool| {
        (before.words(models.0, long), after.words(models.1, long))
    };
    let (mut old, mut new) = words(before, after, false);
    if old == new {
        let (mut before, mut after) = (before.clone(), after.clone());
        leave_out_common(&mut before, &mut after);
        (old, new) = words(&before, &after, true);
    }
    let now = match new.verb.strip_prefix("are ") {
        Some(rest) => format!("are now {rest} {}", new.what),
        None => format!("now {} {}", new.verb, new.what),
    };
    let gerund = if old.verb == new.verb { String::new() } else { format!("{} ", old.gerund) };
    format!("{now} instead of {gerund}{}", old.what)
}

/// What both say of the same leg tells nothing.
fn leave_out_common(before: &mut Course, after: &mut Course) {
    let (Course::Ring { legs: old, .. }, Course::Ring { legs: new, .. }) = (before, after) else { return };
    for (old, new) in old.iter_mut().zip(new) {
        let common: Vec<String> = old.with.iter().filter(|tag| new.with.contains(tag)).cloned().collect();
        old.with.retain(|tag| !common.contains(tag));
        new.with.retain(|tag| !common.contains(tag));
        if old.for_s == new.for_s {
            (old.for_s, new.for_s) = (0, 0);
        }
    }
}

#[derive(PartialEq)]
struct Words {
    verb: &'static str,
    gerund: &'static str,
    what: String,
}

impl Course {
    fn words(&self, model: &Model, long: bool) -> Words {
        let words = |verb, gerund, what| Words { verb, gerund, what };
        match self {
            Course::Ring { screened, legs } => {
                let mut what = ring(model, legs, long);
                if *screened {
                    what.push_str(" after screening");
                }
                words("ring", "ringing", what)
            }
            Course::Outside { trunks, shown } => {
                let mut what = if trunks.is_empty() { "no trunk".to_owned() } else { trunks.join(", then ") };
                if long && !shown.is_empty() {
                    let _ = write!(
                        what,
                        " with {}",
                        shown.iter().map(|tag| detail(tag)).collect::<Vec<_>>().join(", ")
                    );
                }
                words("leave by", "leaving by", what)
            }
            Course::Service(tag) => words("go to", "going to", service(tag, long)),
            Course::Refused { status, why } => {
                let why = why.as_deref().map(|why| format!(" ({})", reason(why))).unwrap_or_default();
                words("are refused with", "being refused with", format!("{status}{why}"))
            }
            Course::Nothing => words("go", "going", "nowhere".to_owned()),
        }
    }
}

/// `Sam Ito (103a)`; `101a, +12025550181 after 20 s`.
fn ring(model: &Model, legs: &[Leg], long: bool) -> String {
    let user = |leg: &Leg| model.devices.get(leg.to.as_str())?.user.clone();
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<(Option<crate::rules::model::Name>, u32)> = None;
    for leg in legs {
        let whose = user(leg);
        let name = leg.to.strip_prefix("tel:").unwrap_or(&leg.to);
        let together = whose.is_some() && before.as_ref().is_some_and(|b| *b == (whose.clone(), leg.start_s));
        if together && !long {
            // Into the brackets of the one before: `Sam Ito (103a, 103b) after 30 s`.
            if let Some(last) = words.last_mut()
                && let Some(bracket) = last.rfind(')')
            {
                last.insert_str(bracket, &format!(", {name}"));
            }
            continue;
        }
        let display = whose.as_ref().and_then(|user| model.users.get(user)).map(|user| &user.display);
        let mut text = display.map_or_else(|| name.to_owned(), |display| format!("{display} ({name})"));
        if leg.start_s > 0 {
            let _ = write!(text, " after {} s", leg.start_s);
        }
        if long && leg.for_s > 0 {
            let _ = write!(text, " for {} s", leg.for_s);
        }
        if long {
            leg.with.iter().for_each(|tag| {
                let _ = write!(text, ", {}", detail(tag));
            });
        }
        words.push(text);
        before = Some((whose, leg.start_s));
    }
    if words.is_empty() { "nobody".to_owned() } else { words.join(if long { "; " } else { ", " }) }
}

/// A tag of a leg in words.
fn detail(tag: &str) -> String {
    for (prefix, words) in [
        ("caller_id_name:", "showing the name "),
        ("caller_id:", "showing "),
        ("confirm:any", "to be confirmed"),
        ("confirm:", "to be confirmed by "),
        ("location:", "location "),
        ("callback:", "call back "),
        ("diversion:", "diverted for "),
        ("route:", "by "),
    ] {
        if let Some(rest) = tag.strip_prefix(prefix) {
            return format!("{words}{rest}");
        }
    }
    tag.to_owned()
}

fn service(tag: &str, long: bool) -> String {
    let Some((kind, rest)) = tag.split_once(':') else { return tag.to_owned() };
    match (kind, rest.split_once('/')) {
        ("voicemail", Some((of, greeting))) if long => format!("the voicemail of {of} ({greeting})"),
        ("voicemail", Some((of, _))) => format!("the voicemail of {of}"),
        ("voicemail", None) => format!("the voicemail of {rest}"),
        ("announce", _) => format!("the announcement {rest}"),
        ("code", _) => format!("the feature {rest}"),
        _ => format!("the {kind} {rest}"),
    }
}

fn reason(tag: &str) -> String {
    match tag.split_once(':') {
        Some(("block", entry)) => format!("{entry} is blocked"),
        Some(("white_list", _)) => "not on the white list".to_owned(),
        Some(("denied", what)) => match what.split_once(':') {
            Some((kind, name)) => format!("{kind} {name} is denied"),
            None => format!("{what}, denied"),
        },
        _ => match tag {
            "anonymous" => "identity withheld".to_owned(),
            "unknown" => "number unknown".to_owned(),
            "unverified" => "not verified".to_owned(),
            "loop" => "a loop".to_owned(),
            "hops" => "too many hops".to_owned(),
            other => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::explain::Outcome;

    fn course(kind: &str, status: Option<u16>, tags: &[&str]) -> Course {
        Course::of(&Explanation {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            outcome: Outcome { kind: kind.to_owned(), status },
            ..Explanation::default()
        })
    }

    fn said(before: &Course, after: &Course) -> String {
        let model = crate::rules::reach::tests::model();
        sentence((&model, &model), before, after)
    }

    #[test]
    fn the_last_stage_alone_counts() {
        let tags =
            ["user:ann", "rule:ann/Open", "ring:a1@0+25", "no_answer", "forward:no_answer", "ring:b1@0+25"];
        let Course::Ring { legs, .. } = course("ring", None, &tags) else { panic!() };
        assert_eq!(legs.len(), 1);
        assert_eq!((legs[0].to.as_str(), legs[0].for_s), ("b1", 25));
    }

    #[test]
    fn phones_of_one_user_that_ring_later_stand_in_one_bracket() {
        let text = r#"schema = 1
            domain = { name = "ring.test", timezone = "America/New_York", country = "US" }
            user.bea = { ext = "102", name = { first = "B", last = "Two" }, rule = [{ name = "Default", when = "always" }] }
            device.b1 = { user = "bea" }
            device.b2 = { user = "bea" }
        "#;
        let files = crate::rules::diagnostic::Files([("a.toml".into(), text.into())].into());
        let loaded = crate::rules::source::load(&files);
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let Course::Ring { legs, .. } = course("ring", None, &["ring:b1@30+20", "ring:b2@30+20"]) else {
            panic!()
        };
        assert_eq!(ring(&model, &legs, false), "B Two (b1, b2) after 30 s");
    }

    #[test]
    fn sentences_say_what_tells_the_courses_apart() {
        let mailbox = course("answered_by_system", None, &["voicemail:ann/unavailable"]);
        let busy = course("answered_by_system", None, &["voicemail:ann/busy"]);
        let bea = course("ring", None, &["ring:b1@0+25"]);
        let longer = course("ring", None, &["ring:b1@0+40", "confirm:1"]);
        let blocked = course("reject", Some(607), &["block:list:spam", "reject:607"]);
        assert_eq!(said(&mailbox, &bea), "now ring B Two (b1) instead of going to the voicemail of ann");
        assert_eq!(
            said(&mailbox, &busy),
            "now go to the voicemail of ann (busy) instead of the voicemail of ann (unavailable)"
        );
        assert_eq!(
            said(&bea, &longer),
            "now ring B Two (b1) for 40 s, to be confirmed by 1 instead of B Two (b1) for 25 s"
        );
        assert_eq!(
            said(&bea, &blocked),
            "are now refused with 607 (list:spam is blocked) instead of ringing B Two (b1)"
        );
    }

    #[test]
    fn a_way_out_is_told_by_its_trunks() {
        let x = course("outside", None, &["class:national", "route:x"]);
        let y = course("outside", None, &["class:national", "route:y", "route:x"]);
        assert_eq!(said(&x, &y), "now leave by y, then x instead of x");
    }
}
