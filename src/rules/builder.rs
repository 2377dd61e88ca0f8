//! Builds trees from their leaves up.

use super::tree::{Leaf, Node, NodeId, Test, TreeRule};
use rustc_hash::FxHashMap;

/// Builds a tree from its leaves up; turned round at the end, so that every edge points forwards.
#[derive(Debug)]
pub struct Builder {
    nodes: Vec<Node>,
    /// Where each node stands: two equal ones are one, so rules with the same ending share it.
    places: FxHashMap<Node, NodeId>,
}

/// What the tree of a user with five rules needs.
const NODES_MOSTLY: usize = 48;

impl Default for Builder {
    fn default() -> Builder {
        let places = FxHashMap::with_capacity_and_hasher(NODES_MOSTLY, Default::default());
        Builder { nodes: Vec::with_capacity(NODES_MOSTLY), places }
    }
}

impl Builder {
    fn push(&mut self, node: Node) -> NodeId {
        let nodes = &mut self.nodes;
        *self.places.entry(node).or_insert_with(|| {
            nodes.push(node);
            id(nodes.len() - 1)
        })
    }

    pub fn leaf(&mut self, leaf: Leaf) -> NodeId {
        self.push(Node::Leaf(leaf))
    }

    pub fn ask(&mut self, test: Test, yes: NodeId, no: NodeId) -> NodeId {
        // A question whose answer changes nothing is not asked; only who is allowed is remembered for later.
        if yes == no && test != Test::Allowed {
            return yes;
        }
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
