//! `replay`: recorded calls decided again, by the rules that are live and by others, with what was live then as far as the record
//! tells.
//!
//! What a record tells: who called, what was dialled and when; how each leg ended; which users were busy or had switched do not
//! disturb on, which rule was picked and which time frame was switched by hand, where that decided something. What it can't tell:
//! live state that decided nothing then and would now (a phone that nobody rang is taken to be registered and to answer), and how
//! people would have acted. So both sides are decided by the same rules of evidence, and held against each other, never against
//! the record's own tags.

use super::domain::Domain;
use super::explain::Explanation;
use super::model::{Given, Name};
use super::route::{Query, route};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A recorded call.
#[derive(Clone, Debug)]
pub struct Past<'r> {
    pub id: &'r str,
    pub at: Timestamp,
    pub query: Query,
    pub explanation: &'r Explanation,
    /// Each leg, `device:101a` or `tel:+12025550181`, and how it ended, in the words of the record.
    pub legs: Vec<(&'r str, &'r str)>,
}

/// A call that would go elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Elsewhere {
    pub id: String,
    pub start: String,
    pub from: String,
    pub to: String,
    /// Tags that both begin with.
    pub common: usize,
    /// From the first difference on, by the rules that are live.
    pub before: Vec<String>,
    /// From the first difference on, by the other rules.
    pub after: Vec<String>,
}

/// Decides the call by both rule sets; `None` where it goes the same way.
#[must_use]
pub fn replay(before: &Arc<Domain>, after: &Arc<Domain>, past: &Past<'_>) -> Option<Elsewhere> {
    let (old, new) = (decide(before, past), decide(after, past));
    if telling(&old).eq(telling(&new)) {
        return None;
    }
    let common = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = |tags: &[String]| tags.get(common..).unwrap_or_default().to_vec();
    Some(Elsewhere {
        id: past.id.to_owned(),
        start: past.at.to_string(),
        from: past.query.from.clone().unwrap_or_else(|| "unknown".to_owned()),
        to: past.query.to.clone(),
        common,
        before: rest(&old),
        after: rest(&new),
    })
}

/// The name of a rule is nothing that a caller meets.
fn telling(tags: &[String]) -> impl Iterator<Item = &String> {
    tags.iter().filter(|tag| !tag.starts_with("rule:"))
}

fn decide(domain: &Arc<Domain>, past: &Past<'_>) -> Vec<String> {
    let given = given(domain, past);
    let mut query = past.query.clone();
    if query.from_device.as_deref().is_some_and(|device| domain.device(device).is_none()) {
        query.from_device = None;
    }
    match route(domain, &query, &given, None, past.at) {
        Ok(explanation) => explanation.tags,
        // What was called is no more.
        Err(error) => vec![format!("nothing: {error}")],
    }
}

/// What was live then, as far as the record tells and the domain has the names.
fn given(domain: &Domain, past: &Past<'_>) -> Given {
    let mut given = Given::default();
    for (to, end) in &past.legs {
        let name = Name::from(to.strip_prefix("device:").unwrap_or(to));
        let list = match *end {
            "no_answer" => &mut given.no_answer,
            "busy" => &mut given.busy,
            "declined" => &mut given.declined,
            "offline" | "no response" => &mut given.offline,
            _ => continue,
        };
        let known = name.starts_with("tel:") || domain.device(&name).is_some();
        if known && !list.contains(&name) {
            list.push(name);
        }
    }
    let mut rule: Option<(Name, &str)> = None;
    let mut rung = false;
    for step in &past.explanation.steps {
        if let Some((user, name)) = step.tag.strip_prefix("rule:").and_then(|rule| rule.split_once('/')) {
            rule = Some((user.into(), name));
            rung = false;
        }
        rung |= step.tag.starts_with("ring:");
        for why in std::iter::once(&step.why).chain(step.passed_over.iter().map(|over| &over.why)) {
            given.time_frame.extend(
                by_hand(why)
                    .filter(|(frame, _)| domain.trees().frames.iter().any(|known| known.name == *frame)),
            );
        }
        let Some((user, name)) = rule.as_ref().filter(|(user, _)| domain.user(user).is_some()) else {
            continue;
        };
        match step.tag.as_str() {
            tag if tag.starts_with("rule:") && step.why == "picked by hand" => {
                let tree = domain.user_tree(user);
                if tree.is_some_and(|tree| tree.rules.iter().any(|r| r.name.as_deref() == Some(*name))) {
                    given.rule.insert(user.clone(), (*name).into());
                }
            }
            "dnd" if step.why == "set by the user" => given.dnd.push(user.clone()),
            "busy" if !rung => {
                given.active_calls.insert(user.clone(), u32::MAX);
            }
            "on_active" => {
                given.active_calls.entry(user.clone()).or_insert(1);
            }
            "offline" if !rung => {
                let phones = domain.user(user).map(|user| user.devices.clone()).unwrap_or_default();
                given.offline.extend(phones);
            }
            _ => {}
        }
    }
    given
}

/// `storm: switched on by hand`, as explanations say it.
fn by_hand(why: &str) -> impl Iterator<Item = (Name, bool)> + '_ {
    why.split("; ").filter_map(|part| {
        let (frame, how) = part.rsplit_once(": switched ")?;
        let on = match how.strip_suffix(" by hand")? {
            "on" => true,
            "off" => false,
            _ => return None,
        };
        Some((frame.strip_prefix("not ").unwrap_or(frame).into(), on))
    })
}

/// For the terminal: a call a paragraph.
#[must_use]
pub fn text(calls: &[Elsewhere]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for call in calls {
        let _ = writeln!(text, "{} {}: {} called {}", call.start, call.id, call.from, call.to);
        let _ = writeln!(text, "    was: {}", call.before.join(", "));
        let _ = writeln!(text, "    now: {}", call.after.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile::Secrets;
    use crate::rules::diagnostic::Files;
    use crate::rules::explain::Step;

    fn domain(ann: &str) -> Arc<Domain> {
        let text = format!(
            "schema = 1\ndomain = {{ name = \"replay.test\", timezone = \"UTC\", country = \"US\" }}\n\
             time_frame.storm = {{ override = \"off\" }}\n\
             number.\"+12025550101\" = {{ to = \"user:ann\" }}\n\
             user.sam = {{ ext = \"103\", name = {{ first = \"S\", last = \"I\" }} }}\n\
             device.101a = {{ user = \"ann\", auth = {{ user = \"101a\", secret = \"plain:x\" }} }}\n\
             device.103a = {{ user = \"sam\", auth = {{ user = \"103a\", secret = \"plain:x\" }} }}\n\
             [user.ann]\next = \"101\"\nname = {{ first = \"A\", last = \"L\" }}\n{ann}"
        );
        let loaded = crate::rules::source::load(&Files([("a.toml".into(), text.into())].into()));
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap())
    }

    const MAILBOX: &str = "[[user.ann.rule]]\nname = \"All\"\nwhen = \"always\"\n";
    const SAM: &str =
        "[[user.ann.rule]]\nname = \"Any\"\nwhen = \"always\"\nforward.no_answer = \"user:sam\"\n";

    fn played(explanation: &Explanation, legs: Vec<(&str, &str)>) -> Option<Elsewhere> {
        let query = Query {
            to: "+12025550101".into(),
            from: Some("+12025550150".into()),
            at: Some("2026-11-24T10:00:00Z".into()),
            ..Query::default()
        };
        let at = "2026-11-24T10:00:00Z".parse().unwrap();
        replay(&domain(MAILBOX), &domain(SAM), &Past { id: "1", at, query, explanation, legs })
    }

    fn step(tag: &str, why: &str) -> Step {
        Step { tag: tag.into(), why: why.into(), ..Step::default() }
    }

    #[test]
    fn a_call_that_was_answered_goes_the_same_way() {
        assert_eq!(played(&Explanation::default(), vec![("device:101a", "answered")]), None);
    }

    #[test]
    fn a_call_that_nobody_answered_goes_where_the_other_rules_say() {
        let elsewhere = played(&Explanation::default(), vec![("device:101a", "no_answer")]).unwrap();
        assert_eq!(
            elsewhere.before,
            [
                "rule:ann/All",
                "ring:101a@0+25",
                "caller_id:+12025550150",
                "no_answer",
                "voicemail:ann/unavailable"
            ]
        );
        assert!(elsewhere.after.iter().any(|tag| tag.starts_with("ring:103a@0")), "{elsewhere:?}");
        assert!(text(&[elsewhere]).contains("was: rule:ann/All"));
    }

    #[test]
    fn what_the_record_tells_of_then_is_given_again() {
        let steps = vec![
            step("rule:ann/All", "storm: switched on by hand; always"),
            step("busy", "2 calls are up, busy from 2"),
        ];
        let explanation = Explanation { steps, ..Explanation::default() };
        let domain = domain(MAILBOX);
        let at = "2026-11-24T10:00:00Z".parse().unwrap();
        let legs = vec![("device:gone", "busy"), ("tel:+12025550199", "declined")];
        let given =
            given(&domain, &Past { id: "1", at, query: Query::default(), explanation: &explanation, legs });
        assert_eq!(given.time_frame.get("storm"), Some(&true));
        assert_eq!(given.active_calls.get("ann"), Some(&u32::MAX));
        assert_eq!(given.declined, ["tel:+12025550199".into()]);
        assert!(given.busy.is_empty(), "a device that is no more is not given");
    }
}
