//! Partial evaluation: a user's tree with what they have set live folded in. Questions whose answer is known are gone, and with
//! them every node that no call can come by any more. Whoever keeps a folded tree folds again when the status changes; trees of
//! other users have nothing to do with it.
//!
//! Invariant: a folded tree decides as the whole tree does with that status among the facts. Rules keep their indexes.

use super::domain::Domain;
use super::facts::UserStatus;
use super::tree::{Leaf, Node, NodeId, Test, Tree};

/// What is known of a call before it comes: the live status of the user it comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    pub dnd: Option<bool>,
    /// All calls are forwarded.
    pub forward: bool,
    /// The rule picked by hand, by its index.
    pub picked: Option<u32>,
}

impl Fold {
    /// What this status says to the tree of its user, by the rules of this domain.
    #[must_use]
    pub fn of(domain: &Domain, tree: &Tree, status: &UserStatus) -> Fold {
        let named = |name: &str| tree.rules.iter().position(|rule| rule.name.as_deref() == Some(name));
        let picked = status.rule.as_deref().and_then(named);
        Fold {
            dnd: status.dnd,
            forward: domain.forward_of(status).is_some(),
            picked: picked.and_then(|index| u32::try_from(index).ok()),
        }
    }

    /// The answer, where it is known; else the question that is left.
    fn answer(self, test: Test) -> Result<bool, Test> {
        match (test, self.dnd) {
            (Test::StatusForward, _) => Ok(self.forward),
            (Test::Dnd { .. }, Some(false)) | (Test::Dnd { by_rule: false }, None) => Ok(false),
            // An allowed caller passes it still.
            (Test::Dnd { .. }, Some(true)) => Err(Test::Dnd { by_rule: true }),
            (test, _) => Err(test),
        }
    }
}

impl Tree {
    /// This tree for a user whose status is known.
    #[must_use]
    pub fn folded(&self, fold: Fold) -> Tree {
        let (nodes, becomes) = self.rewritten(fold);
        let root = becomes.first().copied().unwrap_or(0);
        self.trimmed(&nodes, root, &becomes)
    }

    /// Each node with what is known taken out, and which node has taken its place.
    fn rewritten(&self, fold: Fold) -> (Vec<Node>, Vec<NodeId>) {
        let mut nodes = self.nodes.clone();
        let mut becomes: Vec<NodeId> = (0..).take(nodes.len()).collect();
        // Edges point forwards: from the end, every target is settled before it is looked at.
        for at in (0..nodes.len()).rev() {
            let now = |id: NodeId| becomes.get(id as usize).copied().unwrap_or(id);
            let place = match nodes[at] {
                Node::Leaf(_) => continue,
                Node::Picked { no } => {
                    let picked = fold.picked.and_then(|rule| self.rules.get(rule as usize));
                    now(picked.map_or(no, |rule| rule.entry))
                }
                Node::Ask { test, yes, no } => match fold.answer(test) {
                    Ok(true) => now(yes),
                    Ok(false) => now(no),
                    // Whoever is allowed is remembered for later, whatever follows at once.
                    Err(test) if now(yes) == now(no) && test != Test::Allowed => now(yes),
                    Err(test) => {
                        nodes[at] = Node::Ask { test, yes: now(yes), no: now(no) };
                        continue;
                    }
                },
            };
            becomes[at] = place;
        }
        (nodes, becomes)
    }

    /// What can be reached from this root, and from where the ringing of a reached rule ends.
    fn trimmed(&self, nodes: &[Node], root: NodeId, becomes: &[NodeId]) -> Tree {
        let mut reached = vec![false; nodes.len()];
        let mut rules = vec![false; self.rules.len()];
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            let (Some(node), Some(seen)) = (nodes.get(at as usize), reached.get_mut(at as usize)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            match *node {
                Node::Ask { yes, no, .. } => open.extend([yes, no]),
                Node::Picked { no } => open.push(no),
                Node::Leaf(Leaf::Ring { rule, .. }) => {
                    let Some(ringing) = self.rules.get(rule as usize) else { continue };
                    rules[rule as usize] = true;
                    open.extend(ringing.after.iter().filter_map(|node| becomes.get(*node as usize)));
                }
                Node::Leaf(_) => {}
            }
        }
        // The root stands first, whatever its place was; where others lead to it, they lead to its copy behind them.
        let to_root = |at: usize| match nodes.get(at) {
            Some(Node::Ask { yes, no, .. }) => *yes == root || *no == root,
            Some(Node::Picked { no }) => *no == root,
            Some(Node::Leaf(_)) | None => false,
        };
        let shared = reached.iter().enumerate().any(|(at, kept)| *kept && to_root(at));
        if let Some(kept) = reached.get_mut(root as usize) {
            *kept = shared;
        }
        let kept: Vec<usize> = std::iter::once(root as usize)
            .chain(reached.iter().enumerate().filter_map(|(at, kept)| kept.then_some(at)))
            .collect();
        let mut place = vec![0; nodes.len()];
        for (new, old) in (0..).zip(&kept) {
            place[*old] = new;
        }
        let moved = |id: NodeId| place.get(id as usize).copied().unwrap_or(0);
        let node = |old: &usize| match nodes[*old] {
            Node::Ask { test, yes, no } => Node::Ask { test, yes: moved(yes), no: moved(no) },
            Node::Picked { no } => Node::Picked { no: moved(no) },
            leaf => leaf,
        };
        let mut tree = Tree { nodes: kept.iter().map(node).collect(), ..self.clone() };
        for (rule, rings) in tree.rules.iter_mut().zip(rules) {
            rule.entry = 0;
            let after = std::mem::take(&mut rule.after);
            if rings {
                let now = |node: &NodeId| moved(becomes.get(*node as usize).copied().unwrap_or(*node));
                rule.after = after.iter().map(now).collect();
            }
        }
        tree
    }

    /// The most questions that any call is asked, from the root or from the end of a ringing: the bound of every decision.
    #[must_use]
    pub fn depth(&self) -> usize {
        let mut depth: Vec<usize> = vec![0; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let below = |id: NodeId| depth.get(id as usize).copied().unwrap_or(0);
            let deepest = match *node {
                Node::Ask { yes, no, .. } => below(yes).max(below(no)) + 1,
                Node::Picked { no } => {
                    self.rules.iter().map(|rule| below(rule.entry)).fold(below(no), usize::max) + 1
                }
                Node::Leaf(_) => 0,
            };
            depth[at] = deepest;
        }
        depth.into_iter().max().unwrap_or(0)
    }

    /// Rules that the clock never chooses: an earlier one holds whenever they would. They can be picked by hand.
    #[must_use]
    pub fn never_by_clock(&self) -> Vec<u32> {
        let by_clock = self.folded(Fold::default());
        let of = |node: &Node| match node {
            Node::Leaf(
                Leaf::Ring { rule, .. } | Leaf::Forward { rule, .. } | Leaf::StatusForward { rule },
            ) => Some(*rule),
            Node::Leaf(Leaf::Mailbox { rule, .. } | Leaf::Final { rule, .. } | Leaf::Goto { rule }) => {
                Some(*rule)
            }
            Node::Leaf(Leaf::Refuse(_) | Leaf::Spare) | Node::Ask { .. } | Node::Picked { .. } => None,
        };
        let chosen: Vec<u32> = by_clock.nodes.iter().filter_map(of).collect();
        (0..)
            .zip(&self.rules)
            .filter(|(_, rule)| rule.enabled)
            .map(|(index, _)| index)
            .filter(|i| !chosen.contains(i))
            .collect()
    }
}
