//! Builds trees from their leaves up.

use super::tree::{Leaf, Node, NodeId, Test, TreeRule};

/// Builds a tree from its leaves up; turned round at the end, so that every edge points forwards.
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
}

impl Builder {
    fn push(&mut self, node: Node) -> NodeId {
        // Two equal nodes are one: rules with the same ending share it.
        if let Some(same) = self.nodes.iter().position(|n| *n == node) {
            return id(same);
        }
        self.nodes.push(node);
        id(self.nodes.len() - 1)
    }

    pub fn leaf(&mut self, leaf: Leaf) -> NodeId {
        self.push(Node::Leaf(leaf))
    }

    pub fn ask(&mut self, test: Test, yes: NodeId, no: NodeId) -> NodeId {
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
