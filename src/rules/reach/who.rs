//! `who-reaches`: by which ways a call comes to an extension, backwards from it.
//!
//! A ring target that is a user rings that user's phones and comes no further by their rules: behind such a reference the way
//! ends, and only what *goes* to an object leads on through it.

use super::{Graph, How, Kind, Object, Reference, resolve};
use crate::rules::model::Model;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The most ways of one answer; [`Reach::more`] says that there are others.
pub const WAYS_MAX: usize = 2_000;

/// What reaches an extension, a number, or anything else that a call can come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// As it was asked.
    pub of: String,
    /// `user:osei`.
    pub object: String,
    /// What it is called: `Ama Osei`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to dial for it.
    pub extensions: Vec<String>,
    /// Each before those that lead to it.
    pub ways: Vec<Way>,
    /// There are more ways than are listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// One reference on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// 0: straight to what was asked about; 1: to what stands before that in the list; and so on.
    pub depth: usize,
    pub from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub to: String,
    /// Rings its phones alone, or goes there to be decided.
    pub how: String,
    /// ``rule `Lunch`, ring.targets``.
    pub by: String,
    /// The time frames of the condition; none: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// `users/100-reception.toml:19:17`.
    pub at: String,
    /// What leads to `from` stands further up already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// `None` where the domain has no such thing.
#[must_use]
pub fn who_reaches(model: &Model, graph: &Graph, text: &str) -> Option<Reach> {
    let object = resolve(model, text)?;
    let mut reach = Reach {
        of: text.to_owned(),
        object: object.to_string(),
        label: label(model, &object),
        extensions: extensions(model, &object),
        ..Reach::default()
    };
    let mut seen: BTreeSet<Object> = ends(model, &object).into_iter().collect();
    // Depth first, but each object's own list in order of place.
    let mut todo: Vec<(usize, &Reference)> = Vec::new();
    let first = ends(model, &object);
    push(&mut todo, 0, &first, graph, |reference| !first.contains(&reference.from));
    while let Some((depth, reference)) = todo.pop() {
        if reach.ways.len() >= WAYS_MAX {
            reach.more = true;
            break;
        }
        let again = !seen.insert(reference.from.clone());
        reach.ways.push(Way {
            depth,
            from: reference.from.to_string(),
            label: label(model, &reference.from),
            to: reference.to.to_string(),
            how: if reference.how == How::Rings { "rings" } else { "goes" }.to_owned(),
            by: reference.by.clone(),
            when: reference.when.clone(),
            at: model.files.place(reference.span).to_string(),
            again,
        });
        if !again {
            let from = [reference.from.clone()];
            push(&mut todo, depth + 1, &from, graph, |reference| reference.how == How::Goes);
        }
    }
    // Of a source that nothing leads to there is nothing further up.
    for way in &mut reach.ways {
        way.again &=
            Object::parse(&way.from).is_some_and(|from| graph.incoming(&from).any(|r| r.how == How::Goes));
    }
    Some(reach)
}

/// What leads to one of these, last in order of place first.
fn push<'g>(
    todo: &mut Vec<(usize, &'g Reference)>,
    depth: usize,
    to: &[Object],
    graph: &'g Graph,
    counts: impl Fn(&Reference) -> bool,
) {
    let mut found: Vec<&Reference> = to
        .iter()
        .flat_map(|object| graph.incoming(object))
        .filter(|reference| matches!(reference.how, How::Rings | How::Goes) && counts(reference))
        .collect();
    found.sort_by(|a, b| (b.span, &b.by).cmp(&(a.span, &a.by)));
    todo.extend(found.into_iter().map(|reference| (depth, reference)));
}

/// A user is reached at their phones and in their mailbox, too.
fn ends(model: &Model, object: &Object) -> Vec<Object> {
    let mut ends = vec![object.clone()];
    if object.kind == Kind::User {
        ends.extend(object.mailbox());
        let theirs = model.devices.iter().filter(|(_, device)| device.user.as_ref() == Some(&object.name));
        ends.extend(theirs.map(|(name, _)| Object::new(Kind::Device, name)));
    }
    ends
}

/// What people call it: a user's name, a number's label.
pub(super) fn label(model: &Model, object: &Object) -> Option<String> {
    match object.kind {
        Kind::User => model.users.get(&object.name).map(|user| user.display.to_string()),
        Kind::Number => model.numbers.get(&object.name)?.label.as_deref().map(str::to_owned),
        Kind::Device => model.devices.get(&object.name)?.user.as_deref().map(|user| format!("of {user}")),
        _ => None,
    }
}

fn extensions(model: &Model, object: &Object) -> Vec<String> {
    if let Some(user) = model.users.get(&object.name).filter(|_| object.kind == Kind::User) {
        return user.extensions.iter().map(ToString::to_string).collect();
    }
    let services = model.system_extensions.iter();
    let of = services.filter(|(_, to)| Object::of_destination(&to.value).as_ref() == Some(object));
    of.map(|(extension, _)| extension.to_string()).collect()
}

impl Reach {
    /// For the terminal: a line a reference, what leads to it indented below.
    #[must_use]
    pub fn text(&self) -> String {
        let named = |object: &str, label: &Option<String>| match label {
            Some(label) => format!("{object} ({label})"),
            None => object.to_owned(),
        };
        let mut text = named(&self.object, &self.label) + "\n";
        if self.of != self.object {
            text.insert_str(0, &format!("{} is ", self.of));
        }
        if !self.extensions.is_empty() {
            let _ = writeln!(text, "dialled inside as {}", self.extensions.join(", "));
        }
        if self.ways.is_empty() {
            text.push_str("nothing else leads there\n");
        }
        for way in &self.ways {
            let indent = "    ".repeat(way.depth);
            let when = way.when.as_deref().map(|when| format!(", when {when}")).unwrap_or_default();
            let again = if way.again { " ... as above" } else { "" };
            let _ = writeln!(
                text,
                "{indent}<- {}: {}{when}  [{}]{again}",
                named(&way.from, &way.label),
                way.by,
                way.at
            );
        }
        if self.more {
            let _ = writeln!(text, "and more: {WAYS_MAX} ways are shown");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::reach::tests::model;

    #[test]
    fn what_rings_a_phone_is_found_backwards_with_conditions_and_places() {
        let model = model();
        let reach = who_reaches(&model, &Graph::of(&model), "102").unwrap();
        let text = reach.text();
        let expected = "102 is user:bea (B Two)\n\
            dialled inside as 102\n\
            <- user:ann (A One): rule `Lunch`, ring.targets, when lunch  [rules.toml:22:17]\n    \
            <- number:+12025550101 (Ann direct): to  [rules.toml:7:25]\n    \
            <- user:cat (C Three): rule `Default`, forward.always  [rules.toml:37:18]\n        \
            <- number:+12025550103: rule `1`, to, when lunch  [rules.toml:10:6]\n        \
            <- number:+12025550103: rule `2`, to  [rules.toml:13:6]\n\
            <- user:dan (D Four): rule `Default`, ring.targets  [rules.toml:45:24]\n";
        assert_eq!(text, expected, "{text}");
    }

    #[test]
    fn a_user_who_is_only_rung_does_not_lead_on() {
        let model = model();
        let reach = who_reaches(&model, &Graph::of(&model), "101").unwrap();
        // Bea's phone is in Ann's list, but a call to Bea never comes to Ann; Cat forwards to Ann.
        let from: Vec<&str> = reach.ways.iter().filter(|w| w.depth == 0).map(|w| w.from.as_str()).collect();
        assert_eq!(from, ["number:+12025550101", "user:cat"]);
    }

    #[test]
    fn an_object_is_not_said_to_be_itself() {
        let model = model();
        let text = who_reaches(&model, &Graph::of(&model), "user:bea").unwrap().text();
        assert!(text.starts_with("user:bea (B Two)\n"), "{text}");
    }

    #[test]
    fn what_nobody_has_is_not_found() {
        let model = model();
        assert!(who_reaches(&model, &Graph::of(&model), "999").is_none());
        assert!(who_reaches(&model, &Graph::of(&model), "user:zoe").is_none());
    }
}
