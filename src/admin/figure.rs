//! A decision tree to look at: each node in words with its place, as data, as text, as a Graphviz graph and as a picture.

mod layers;
mod svg;

use crate::rules::Domain;
use crate::rules::tree::{ForwardKey, Leaf, Node, Refused, RingOutcome, Test, Tree, TreeRule, Trees};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The tree of one extension or number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub of: String,
    pub generation: u64,
    /// No call is asked more than so many questions.
    #[serde(default)]
    pub questions_max: usize,
    /// Rules that the clock never chooses: those before them hold whenever they would.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never_by_clock: Vec<String>,
    /// The user has set something, and it is folded in.
    #[serde(default)]
    pub folded: bool,
    /// The first is the root; edges point to later ones.
    pub nodes: Vec<Shown>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub id: u32,
    /// A question, or what happens.
    pub says: String,
    /// `users/101-osei.toml:14:1`; empty for what no file says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no: Option<u32>,
    /// Where the call goes on when a ringing ended unanswered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<(String, u32)>,
}

impl Figure {
    /// `None` where the domain has no tree for this extension or number.
    #[must_use]
    pub fn of(domain: &Domain, ext: &str) -> Option<Figure> {
        Some(Figure::drawn(domain, ext, domain.tree(ext)?, false))
    }

    /// The tree of an extension with what its user has set folded in.
    #[must_use]
    pub fn folded(domain: &Domain, ext: &str, tree: &Tree) -> Figure {
        Figure::drawn(domain, ext, tree, true)
    }

    fn drawn(domain: &Domain, ext: &str, tree: &Tree, folded: bool) -> Figure {
        let drawing = Drawing { domain, trees: domain.trees(), tree };
        // What is folded in says by itself which rule holds.
        let never = if folded { Vec::new() } else { tree.never_by_clock() };
        let name = |rule: u32| tree.rules.get(rule as usize)?.name.as_deref().map(str::to_owned);
        Figure {
            of: ext.to_owned(),
            generation: domain.generation(),
            questions_max: tree.depth(),
            never_by_clock: never.into_iter().filter_map(name).collect(),
            folded,
            nodes: (0..).zip(&tree.nodes).map(|(id, node)| drawing.node(id, node)).collect(),
        }
    }

    /// For the terminal: a question's yes stands below it, indented; its no goes on where it stands. A node that is reached a
    /// second time is named by its number.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}, generation {}, ", self.of, self.generation);
        let _ = writeln!(out, "at most {} questions", self.questions_max);
        if self.folded {
            out.push_str("what the user has set is folded in\n");
        }
        for rule in &self.never_by_clock {
            let _ = writeln!(out, "never by the clock: {rule} (an earlier rule holds whenever it would)");
        }
        let mut shown = vec![false; self.nodes.len()];
        self.text_from(0, 0, &mut shown, &mut out);
        out
    }

    fn text_from(&self, from: u32, depth: usize, shown: &mut [bool], out: &mut String) {
        let indent = "    ".repeat(depth);
        let mut next = Some(from);
        while let Some(id) = next {
            let Some(node) = self.nodes.get(id as usize) else { return };
            match shown.get_mut(id as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    let _ = writeln!(out, "{indent}-> {id}");
                    return;
                }
            }
            let place = if node.at.is_empty() { String::new() } else { format!("  ({})", node.at) };
            let _ = writeln!(out, "{indent}{id}: {}{place}", node.says);
            if let Some(yes) = node.yes {
                let _ = writeln!(out, "{indent}  yes:");
                self.text_from(yes, depth + 1, shown, out);
            }
            for (outcome, after) in &node.after {
                let _ = writeln!(out, "{indent}  {outcome}:");
                self.text_from(*after, depth + 1, shown, out);
            }
            next = node.no;
        }
    }

    /// For Graphviz: `ringtree tree 101 --format dot | dot -Tsvg`.
    #[must_use]
    pub fn dot(&self) -> String {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut out =
            format!("digraph \"{}\" {{\n  node [shape=box, fontname=\"sans-serif\"];\n", quoted(&self.of));
        for node in &self.nodes {
            let place = if node.at.is_empty() { String::new() } else { format!("\\n{}", quoted(&node.at)) };
            let _ = writeln!(out, "  n{} [label=\"{}{place}\"];", node.id, quoted(&node.says));
            let edges = node.yes.map(|to| ("yes", to)).into_iter().chain(node.no.map(|to| ("no", to)));
            for (label, to) in edges.chain(node.after.iter().map(|(outcome, to)| (outcome.as_str(), *to))) {
                let _ = writeln!(out, "  n{} -> n{to} [label=\"{}\"];", node.id, quoted(label));
            }
        }
        out.push_str("}\n");
        out
    }
}

struct Drawing<'a> {
    domain: &'a Domain,
    trees: &'a Trees,
    tree: &'a Tree,
}

impl Drawing<'_> {
    fn node(&self, id: u32, node: &Node) -> Shown {
        match *node {
            Node::Ask { test, yes, no } => {
                let (says, at) = self.question(test);
                Shown { id, says, at, yes: Some(yes), no: Some(no), after: Vec::new() }
            }
            Node::Picked { no } => {
                let says = "has the user picked a rule by hand? Then that one".to_owned();
                Shown { id, says, no: Some(no), ..Shown::default() }
            }
            Node::Leaf(leaf) => self.leaf(id, leaf),
        }
    }

    fn question(&self, test: Test) -> (String, String) {
        let says = match test {
            Test::PsapCallback => "a call back from the emergency centre?".to_owned(),
            Test::Allowed => "on the allow list?".to_owned(),
            Test::Blocked => "on the block list?".to_owned(),
            Test::Anonymous => "identity withheld?".to_owned(),
            Test::Unknown => "number unknown?".to_owned(),
            Test::Unverified => "verification of the caller failed?".to_owned(),
            Test::WhiteListed => "passes the white list?".to_owned(),
            Test::Frame { timed, rule } => return (self.frame(timed, rule), self.place(rule)),
            Test::StatusForward => "has the user set a forward?".to_owned(),
            Test::Dnd { by_rule: true } => "do not disturb, by the rule or by status?".to_owned(),
            Test::Dnd { by_rule: false } => "do not disturb, by status?".to_owned(),
            Test::OwnOffline => "all phones offline?".to_owned(),
            Test::OnActive => "in a call (on_active)?".to_owned(),
            Test::Busy { calls } => format!("busy: {calls} calls or more?"),
            Test::Direct => "a direct call, not through a queue or hunt?".to_owned(),
            Test::Screened => "from outside, to be screened?".to_owned(),
        };
        (says, String::new())
    }

    fn frame(&self, timed: u32, rule: u32) -> String {
        let timed = self.trees.timed.get(timed as usize);
        let frame = timed.and_then(|t| self.trees.frames.get(t.frame as usize)).map_or("?", |f| &f.name);
        let zone = timed.and_then(|t| self.trees.zones.get(t.zone as usize)).map_or("?", |z| z);
        format!("inside {frame} ({zone})? For {}", self.name(rule))
    }

    fn leaf(&self, id: u32, leaf: Leaf) -> Shown {
        let (says, at) = match leaf {
            Leaf::Refuse(refused) => (refusal(refused).to_owned(), String::new()),
            Leaf::Ring { rule, screen } => {
                let asked = if screen { ", after screening" } else { "" };
                let says = format!("ring by {}{asked}", self.name(rule));
                let after = self.rule(rule).map(after).unwrap_or_default();
                return Shown { id, says, at: self.place(rule), after, ..Shown::default() };
            }
            Leaf::Forward { rule, by } => self.forward(rule, by),
            Leaf::StatusForward { rule } => {
                (format!("forward as the user has set, over {}", self.name(rule)), String::new())
            }
            Leaf::Mailbox { outcome, .. } => {
                (format!("mailbox, after {}", outcome.tag().replace('_', " ")), String::new())
            }
            Leaf::Final { outcome, .. } => {
                (format!("final response, after {}", outcome.tag()), String::new())
            }
            Leaf::Goto { rule } => match self.rule(rule).and_then(|r| r.to.as_ref()) {
                Some((to, span)) => (format!("to {to}"), self.domain.place(*span).to_string()),
                None => ("nowhere".to_owned(), String::new()),
            },
            Leaf::Spare => ("a spare number: 404".to_owned(), String::new()),
        };
        Shown { id, says, at, ..Shown::default() }
    }

    fn forward(&self, rule: u32, by: ForwardKey) -> (String, String) {
        let found = self.rule(rule).and_then(|r| r.forwards.iter().find(|(key, _)| *key == by));
        match found {
            Some((_, forward)) => (
                format!("forward.{} to {}", by.name(), forward.to),
                self.domain.place(forward.span).to_string(),
            ),
            None => (format!("forward.{}", by.name()), String::new()),
        }
    }

    fn rule(&self, rule: u32) -> Option<&TreeRule> {
        self.tree.rules.get(rule as usize)
    }

    fn name(&self, rule: u32) -> String {
        match self.rule(rule).and_then(|r| r.name.as_deref()) {
            Some(name) => format!("rule `{name}`"),
            None => format!("rule {}", rule + 1),
        }
    }

    fn place(&self, rule: u32) -> String {
        let span = self.rule(rule).and_then(|r| r.span);
        span.map(|s| self.domain.place(s).to_string()).unwrap_or_default()
    }
}

/// The outcomes of a ringing that go on, by name.
fn after(rule: &TreeRule) -> Vec<(String, u32)> {
    RingOutcome::ALL
        .iter()
        .zip(&rule.after)
        .map(|(outcome, node)| (outcome.tag().to_owned(), *node))
        .collect()
}

fn refusal(refused: Refused) -> &'static str {
    match refused {
        Refused::Blocked => "refuse: blocked",
        Refused::Anonymous => "refuse: anonymous",
        Refused::Unknown => "refuse: unknown",
        Refused::Unverified => "refuse: unverified",
        Refused::WhiteList => "refuse: not on the white list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        let leaf = |id, says: &str| Shown { id, says: says.into(), ..Shown::default() };
        Figure {
            of: "101".into(),
            generation: 3,
            questions_max: 1,
            never_by_clock: vec!["Night".into()],
            folded: false,
            nodes: vec![
                Shown { yes: Some(1), no: Some(2), ..leaf(0, "on the \"block\" list?") },
                leaf(1, "refuse: blocked"),
                Shown {
                    at: "u.toml:1:1".into(),
                    after: vec![("busy".into(), 3), ("offline".into(), 3)],
                    ..leaf(2, "ring")
                },
                leaf(3, "final response"),
            ],
        }
    }

    #[test]
    fn text_shows_each_node_once() {
        assert_eq!(
            figure().text(),
            "101, generation 3, at most 1 questions\nnever by the clock: Night (an earlier rule holds whenever it would)\n0: on the \"block\" list?\n  yes:\n    1: refuse: blocked\n2: ring  (u.toml:1:1)\n  busy:\n    \
             3: final response\n  offline:\n    -> 3\n"
        );
    }

    #[test]
    fn dot_quotes_its_labels() {
        let dot = figure().dot();
        assert!(dot.contains(r#"n0 [label="on the \"block\" list?"];"#), "{dot}");
        assert!(dot.contains(r#"n0 -> n1 [label="yes"];"#) && dot.contains(r#"n2 -> n3 [label="offline"];"#));
    }
}
