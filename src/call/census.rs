//! A call as the census finds it: where it is in its life, and what it holds.

use super::Call;
use super::branch::{Progress, State as BranchState};
use super::office::CallKey;
use super::state::State;
use super::transfer::Stage;
use crate::relay::RelayId;
use serde::Serialize;
use smallvec::SmallVec;
use std::time::Instant;

/// Where a call is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody has answered yet.
    Ringing,
    /// The answer waits for a PRACK.
    Unsaid,
    /// The caller's 200 waits for its ACK.
    Unacknowledged,
    Answered,
    /// An answered call in which a request of one side is on its way to the other.
    Passing,
    /// We change or refresh a session ourselves.
    Changing,
    TransferDeciding,
    TransferRinging,
    TransferFetching,
    TransferAsking,
    TransferJoining,
    /// A party of it is in another call.
    Lent,
    /// We refuse, and say why first.
    Refusing,
    /// We speak with the caller ourselves.
    Served,
    /// Over; the caller's 200 still waits for its ACK.
    Farewell,
    /// Over; responses or reports are awaited.
    Over,
}

impl Phase {
    pub const ALL: [Phase; 16] = [
        Phase::Ringing,
        Phase::Unsaid,
        Phase::Unacknowledged,
        Phase::Answered,
        Phase::Passing,
        Phase::Changing,
        Phase::TransferDeciding,
        Phase::TransferRinging,
        Phase::TransferFetching,
        Phase::TransferAsking,
        Phase::TransferJoining,
        Phase::Lent,
        Phase::Refusing,
        Phase::Served,
        Phase::Farewell,
        Phase::Over,
    ];

    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Farewell | Phase::Over)
    }
}

/// Its branches by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Branches {
    /// Invited, and nothing heard.
    pub calling: usize,
    pub trying: usize,
    pub ringing: usize,
    pub leaving: usize,
    pub asked: usize,
    pub answered: usize,
    pub ended: usize,
}

impl Branches {
    #[must_use]
    pub fn named(&self) -> [(&'static str, usize); 7] {
        [
            ("branch calling", self.calling),
            ("branch trying", self.trying),
            ("branch ringing", self.ringing),
            ("branch leaving", self.leaving),
            ("branch asked", self.asked),
            ("branch answered", self.answered),
            ("branch ended", self.ended),
        ]
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct CallCensus<'a> {
    pub key: CallKey,
    pub id: &'a str,
    /// Of the caller's side.
    pub call_id: &'a str,
    /// Of the rules that it was begun with.
    pub generation: u64,
    pub phase: Phase,
    pub branches: Branches,
    /// Relays that the media plane is to have open for it.
    pub relays: SmallVec<[RelayId; 2]>,
    /// Port pairs that it holds, open or not.
    pub pairs: usize,
    /// Relays whose last report is awaited.
    pub closing: usize,
    /// Responses to its own BYEs, NOTIFYs and PRACKs that are awaited.
    pub awaited: usize,
    /// Requests on their way from one side to the other.
    pub passes: usize,
    /// The most answers that one of its branches has had too late.
    pub dismissed: usize,
    /// Phones that are being woken.
    pub sleepers: usize,
    pub deadline: Option<Instant>,
}

impl Call {
    /// What is up with it.
    #[must_use]
    pub fn census(&self) -> CallCensus<'_> {
        let mut branches = Branches::default();
        let mut relays = SmallVec::new();
        let (mut pairs, mut closing) =
            (2 * usize::from(self.anchor.is_some()) + self.superseded.len(), self.superseded.len());
        let phase = self.phase();
        if let Some(anchor) = self.anchor.as_ref().filter(|anchor| anchor.is_open()) {
            if phase.is_over() {
                closing += 1;
            } else {
                relays.push(anchor.id());
            }
        }
        for branch in &self.branches {
            let count = match &branch.state {
                BranchState::Calling(Progress::Nothing) => &mut branches.calling,
                BranchState::Calling(Progress::Trying) => &mut branches.trying,
                BranchState::Calling(Progress::Ringing) => &mut branches.ringing,
                BranchState::Leaving => &mut branches.leaving,
                BranchState::Asked(_) => &mut branches.asked,
                BranchState::Answered { .. } => &mut branches.answered,
                BranchState::Ended(_) => &mut branches.ended,
            };
            *count += 1;
            if let Some(aside) = &branch.aside {
                let (open, closes, holds) = aside.census();
                relays.extend(open);
                closing += usize::from(closes);
                pairs += usize::from(holds);
            }
        }
        CallCensus {
            key: self.key,
            id: &self.log.id,
            call_id: self.caller.invite.call_id(),
            generation: self.domain.generation(),
            phase,
            branches,
            relays,
            pairs,
            closing,
            awaited: self.byes as usize,
            passes: match &self.state {
                State::Answered(bridge) => bridge.passes.len(),
                State::Ringing(_) | State::Served(_) | State::Over(_) => 0,
            },
            dismissed: self.branches.iter().map(|branch| branch.dismissed.len()).max().unwrap_or(0),
            sleepers: self.sleepers.len(),
            deadline: self.deadline(),
        }
    }

    fn phase(&self) -> Phase {
        let bridge = match &self.state {
            State::Ringing(_) => return Phase::Ringing,
            State::Served(served) if served.is_refusing() => return Phase::Refusing,
            State::Served(_) => return Phase::Served,
            State::Over(Some(_)) => return Phase::Farewell,
            State::Over(None) => return Phase::Over,
            State::Answered(bridge) => bridge,
        };
        match bridge.transfer.as_ref().map(|transfer| &transfer.stage) {
            Some(Stage::Deciding) => Phase::TransferDeciding,
            Some(Stage::Ringing(_)) => Phase::TransferRinging,
            Some(Stage::Fetching { .. }) => Phase::TransferFetching,
            Some(Stage::Asking(_)) => Phase::TransferAsking,
            Some(Stage::Joining(_)) => Phase::TransferJoining,
            None if bridge.lent.is_some() => Phase::Lent,
            None if bridge.unsaid.is_some() => Phase::Unsaid,
            None if !bridge.passes.is_empty() => Phase::Passing,
            None if bridge.own.is_some() => Phase::Changing,
            None if !bridge.unacked.is_empty() => Phase::Unacknowledged,
            None => Phase::Answered,
        }
    }
}
