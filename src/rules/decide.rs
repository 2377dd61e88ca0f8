//! Deciding by a tree: one question a node, to the leaf. Allocates nothing and yields a path of nodes; texts are rendered from
//! the path later, by the walk.

use super::patterns::Match;
use super::tree::{Entries, Leaf, Node, NodeId, NumberList, Test, Tree, WhiteList};
use smallvec::SmallVec;
use std::sync::Arc;

/// The nodes visited, in order: the node's index times two, plus one where its answer was yes. Trees of the usual size fit
/// without an allocation.
pub type Path = SmallVec<[u32; 32]>;

impl Entries {
    /// The entry that matches any of the caller's numbers with the longest literal part; of equals the first one written.
    #[must_use]
    #[inline]
    pub fn find(&self, lists: &[NumberList], keys: &[Arc<str>]) -> Option<u32> {
        let mut best: Option<Match> = None;
        let mut offer = |found: Match| {
            let better =
                |b: Match| found.literal > b.literal || (found.literal == b.literal && found.value < b.value);
            if best.is_none_or(better) {
                best = Some(found);
            }
        };
        for key in keys {
            if let Some(found) = self.own.find(key) {
                offer(found);
            }
            for (list, entry) in &self.lists {
                if let Some(found) = lists.get(*list as usize).and_then(|l| l.numbers.find(key)) {
                    offer(Match { value: *entry, ..found });
                }
            }
        }
        best.map(|m| m.value)
    }
}

/// What a tree asks of a call. Each is asked at most once on a path, and only when the path comes by it.
pub trait Facts {
    fn psap_callback(&self) -> bool;
    /// What the caller goes by: E.164, or the extensions of an inside caller.
    fn keys(&self) -> &[Arc<str>];
    fn anonymous(&self) -> bool;
    fn unknown(&self) -> bool;
    fn unverified(&self) -> bool;
    fn passes(&self, white_list: &WhiteList) -> bool;
    /// Whether the frame of [`Trees::timed`] holds, overrides included.
    fn frame(&self, timed: u32) -> bool;
    /// The rule picked by hand, by its index.
    fn picked(&self) -> Option<u32>;
    fn status_forward(&self) -> bool;
    fn status_dnd(&self) -> Option<bool>;
    fn own_offline(&self) -> bool;
    fn active_calls(&self) -> u32;
    fn direct(&self) -> bool;
    fn by_trunk(&self) -> bool;
}

/// What was decided. How, the path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub leaf: Leaf,
    /// The entry of the allow list that let the caller through.
    pub allowed: Option<u32>,
    /// The entry of the block list that stopped it.
    pub blocked: Option<u32>,
}

impl Tree {
    /// Decides from `start`: 0 for a call that comes in, else a node of [`TreeRule::after`] or an `entry`.
    ///
    /// `None` only for a tree that breaks its invariants, which [`Trees::check`] keeps out.
    pub fn decide<F: Facts>(
        &self,
        lists: &[NumberList],
        start: NodeId,
        facts: &F,
        path: &mut Path,
    ) -> Option<Decision> {
        let mut at = start;
        let (mut allowed, mut blocked) = (None, None);
        // Edges point forwards, so this many steps are enough.
        for _ in 0..self.nodes.len() {
            let (test, yes, no) = match *self.nodes.get(at as usize)? {
                Node::Leaf(leaf) => {
                    path.push(at << 1);
                    return Some(Decision { leaf, allowed, blocked });
                }
                Node::Picked { no } => {
                    let picked = facts.picked().and_then(|rule| self.rules.get(rule as usize));
                    path.push(at << 1 | u32::from(picked.is_some()));
                    at = picked.map_or(no, |rule| rule.entry);
                    continue;
                }
                Node::Ask { test, yes, no } => (test, yes, no),
            };
            let answer = match test {
                Test::PsapCallback => facts.psap_callback(),
                Test::Allowed => {
                    allowed = self.allow.find(lists, facts.keys());
                    allowed.is_some()
                }
                Test::Blocked => {
                    blocked = self.block.find(lists, facts.keys());
                    blocked.is_some()
                }
                Test::Anonymous => facts.anonymous(),
                Test::Unknown => facts.unknown(),
                Test::Unverified => facts.unverified(),
                Test::WhiteListed => facts.passes(&self.white_list),
                Test::Frame { timed, .. } => facts.frame(timed),
                Test::StatusForward => facts.status_forward(),
                Test::Dnd { by_rule } => allowed.is_none() && facts.status_dnd().unwrap_or(by_rule),
                Test::OwnOffline => facts.own_offline(),
                Test::OnActive => facts.active_calls() >= 1,
                Test::Busy { calls } => facts.active_calls() >= calls,
                Test::Direct => facts.direct(),
                Test::Screened => allowed.is_none() && facts.by_trunk(),
            };
            path.push(at << 1 | u32::from(answer));
            at = if answer { yes } else { no };
        }
        None
    }

    /// Decides from the root.
    pub fn decide_call<F: Facts>(
        &self,
        lists: &[NumberList],
        facts: &F,
        path: &mut Path,
    ) -> Option<Decision> {
        self.decide(lists, 0, facts, path)
    }
}
