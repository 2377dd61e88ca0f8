//! Trees as bytes for the store: a format version, a CRC-32 and postcard. Damaged bytes are an error, never a panic: what was
//! decoded is checked against the invariants of [`super::tree`] before anybody decides by it.

use super::tree::{Leaf, Node, NodeId, Test, Tree, Trees};

/// Raised with every change of the types in [`super::tree`]; trees of another version are compiled again from their source.
pub const FORMAT_VERSION: u16 = 2;

/// Version and CRC-32, both little endian.
const HEADER_BYTES: usize = 6;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("the trees are cut short")]
    Truncated,
    #[error("the trees have format {found}, this version reads {FORMAT_VERSION}")]
    Version { found: u16 },
    #[error("the checksum of the trees is {found:08x}, of their bytes {computed:08x}")]
    Checksum { found: u32, computed: u32 },
    #[error("the trees can't be read: {0}")]
    Malformed(String),
    #[error("a node or table of {0} points outside of its tree")]
    Invariant(String),
}

impl Trees {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Serialising to memory fails for nothing that these types hold; empty trees say so if it ever did.
        let body = postcard::to_stdvec(self).unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// # Errors
    /// Another format, a wrong checksum, bytes that are no trees, or trees that break their invariants.
    pub fn decode(bytes: &[u8]) -> Result<Trees, TreeError> {
        let (version, rest) = bytes.split_first_chunk::<2>().ok_or(TreeError::Truncated)?;
        let found = u16::from_le_bytes(*version);
        if found != FORMAT_VERSION {
            return Err(TreeError::Version { found });
        }
        let (checksum, body) = rest.split_first_chunk::<4>().ok_or(TreeError::Truncated)?;
        let (found, computed) = (u32::from_le_bytes(*checksum), crc32fast::hash(body));
        if found != computed {
            return Err(TreeError::Checksum { found, computed });
        }
        let trees: Trees = postcard::from_bytes(body).map_err(|e| TreeError::Malformed(e.to_string()))?;
        trees.check()?;
        Ok(trees)
    }

    /// # Errors
    /// The first tree that breaks an invariant, by name.
    pub fn check(&self) -> Result<(), TreeError> {
        let broken = |name: &str| TreeError::Invariant(name.to_owned());
        let timed =
            self.timed.iter().all(|t| inside(t.frame, self.frames.len()) && inside(t.zone, self.zones.len()));
        if !timed {
            return Err(broken("the time frames"));
        }
        for named in self.users.iter().chain(&self.numbers) {
            if !named.tree.holds(self.timed.len(), self.lists.len()) {
                return Err(broken(&named.name));
            }
        }
        Ok(())
    }
}

fn inside(index: u32, length: usize) -> bool {
    (index as usize) < length
}

impl Tree {
    fn holds(&self, timed: usize, lists: usize) -> bool {
        let rule = |index: u32| inside(index, self.rules.len());
        let nodes = self.nodes.len();
        let later = |from: usize, to: NodeId| (to as usize) > from && inside(to, nodes);
        let test = |t: &Test| match *t {
            Test::Frame { timed: frame, rule: asking } => inside(frame, timed) && rule(asking),
            _ => true,
        };
        let leaf = |l: &Leaf| match *l {
            Leaf::Ring { rule: r, .. } => self.rules.get(r as usize).is_some_and(|r| r.ring.is_some()),
            Leaf::Goto { rule: r } => self.rules.get(r as usize).is_some_and(|r| r.to.is_some()),
            Leaf::Forward { rule: r, by } => {
                self.rules.get(r as usize).is_some_and(|r| r.forwards.iter().any(|(k, _)| *k == by))
            }
            Leaf::StatusForward { rule: r } | Leaf::Mailbox { rule: r, .. } | Leaf::Final { rule: r, .. } => {
                rule(r)
            }
            Leaf::Refuse(_) | Leaf::Spare => true,
        };
        let node = |(at, node): (usize, &Node)| match node {
            Node::Ask { test: t, yes, no } => later(at, *yes) && later(at, *no) && test(t),
            Node::Picked { no } => later(at, *no) && self.rules.iter().all(|r| later(at, r.entry)),
            Node::Leaf(l) => leaf(l),
        };
        let entries = |e: &super::tree::Entries| {
            let own = e.own.value_max().is_none_or(|v| inside(v, e.written.len()));
            own && e.lists.iter().all(|(list, entry)| inside(*list, lists) && inside(*entry, e.written.len()))
        };
        !self.nodes.is_empty()
            && self.nodes.iter().enumerate().all(node)
            && self.rules.iter().all(|r| {
                let after = r.after.iter().all(|n| inside(*n, nodes));
                inside(r.entry, nodes) && after && r.when.iter().all(|c| inside(c.timed, timed))
            })
            && entries(&self.allow)
            && entries(&self.block)
    }
}
