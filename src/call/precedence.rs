//! Who goes before whom: emergency calls before all others (RFC 4411), which give way where a trunk is full.
//!
//! What it is not: it chooses nobody; the switch does, which sees all calls.

use super::branch::{Branch, State as BranchState};
use super::lines::Channel;
use super::office::{Named, Office};
use super::transfer::Transfer;
use super::{Call, State};
use crate::clock::Now;

/// RFC 4411 §5: the call gives way to another of higher priority.
const PREEMPTED: [&str; 1] = ["preemption;cause=1;text=\"UA Preemption\""];

impl Call {
    /// The rules have taken it for an emergency call or for the call back after one, or somebody who came by such a call is in it.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        let own = self.transfer().and_then(Transfer::before);
        let by_rules =
            own.into_iter().chain([&self.walk]).any(|it| it.is_emergency() || it.is_psap_callback());
        let is_in = |branch: &Branch| branch.is_calling() || branch.is_answered();
        by_rules || self.branches.iter().any(|branch| branch.emergency && is_in(branch))
    }

    /// Whether the call has anything on this trunk, either way.
    #[must_use]
    pub fn holds(&self, trunk: &Named) -> bool {
        self.branches.iter().any(|branch| is_on(branch.channel.as_ref(), trunk)) || self.came_by(trunk)
    }

    /// Whether anything could be ended to make room there: legs that have been left are on their way out.
    #[must_use]
    pub fn could_leave(&self, trunk: &Named) -> bool {
        self.came_by(trunk) || self.stays_on(trunk).next().is_some()
    }

    /// Legs that have been left, and that the trunk has not let go of yet.
    #[must_use]
    pub fn leaves(&self, trunk: &Named) -> usize {
        let left = self.branches.iter().filter(|branch| matches!(branch.state, BranchState::Leaving));
        left.filter(|branch| is_on(branch.channel.as_ref(), trunk)).count()
    }

    fn came_by(&self, trunk: &Named) -> bool {
        is_on(self.channel.as_ref(), trunk)
    }

    fn stays_on(&self, trunk: &Named) -> impl Iterator<Item = usize> {
        let stays = |branch: &Branch| !matches!(branch.state, BranchState::Leaving);
        let branches = self.branches.iter().enumerate().filter(move |(_, branch)| stays(branch));
        branches.filter(|(_, branch)| is_on(branch.channel.as_ref(), trunk)).map(|(index, _)| index)
    }

    /// An emergency call takes what this one has of the trunk. Where that is a leg which rings, and not all that the call has, that leg
    /// is given up; else the call ends.
    pub fn preempt(&mut self, office: &mut Office, now: Now, trunk: &Named) {
        let on: Vec<usize> = self.stays_on(trunk).collect();
        let rings = |index: &usize| self.branches[*index].is_calling();
        let elsewhere = self.branches.iter().enumerate().any(|(at, it)| it.is_calling() && !on.contains(&at));
        let has_more = elsewhere || matches!(self.state, State::Answered(_));
        if self.came_by(trunk) || !has_more || !on.iter().all(rings) {
            return self.hang_up_for(office, now, &PREEMPTED);
        }
        for index in on {
            let branch = &mut self.branches[index];
            if branch.is_calling() {
                self.log.leg_ended(now, branch.entry, None, "preempted");
                branch.leave(office, now, &PREEMPTED);
                self.branch_ended(office, now, index);
            }
        }
    }
}

fn is_on(channel: Option<&Channel>, trunk: &Named) -> bool {
    channel.is_some_and(|channel| channel.is_held() && channel.trunk() == trunk)
}
