//! Who is on which side of an answered call: the dialog there and the flow that reaches it. Side A is the caller's until a transfer puts
//! a branch in its place; side B is always a branch's.

use super::branch::{Branch, State as BranchState};
use super::headers;
use super::{Call, State};
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::sip::{Flow, Message};

impl Call {
    /// The dialog of that side, and the flow that a request in it takes.
    pub(super) fn dialog(&mut self, side: Side) -> Option<(&mut Dialog, Flow)> {
        let (dialog, observed, behind_nat) = if self.caller_sits(side) {
            (self.caller.dialog.as_deref_mut()?, self.caller.flow, self.caller.behind_nat)
        } else {
            let branch = self.branch_at(side)?;
            let (flow, behind_nat) = (branch.flow, branch.behind_nat);
            let BranchState::Answered { dialog, .. } = &mut branch.state else { return None };
            (&mut **dialog, flow, behind_nat)
        };
        let flow = headers::flow_towards(dialog, observed, behind_nat);
        Some((dialog, flow))
    }

    /// The side that the request comes from, where it belongs to the dialog that the call has there: Call-ID and both tags (RFC 3261
    /// §12.2.2). A branch is on side A where it has taken the caller's place.
    pub(super) fn seat(&mut self, side: Side, branch: usize, message: &Message) -> Option<Side> {
        self.seat_of(side, branch, |dialog| is_of(dialog, message))
    }

    /// The same of whatever names a dialog.
    pub(super) fn seat_of(
        &mut self,
        side: Side,
        branch: usize,
        names: impl FnOnce(&Dialog) -> bool,
    ) -> Option<Side> {
        let side = match (&self.state, side) {
            (State::Answered(bridge), Side::A) if bridge.near.is_none() => Side::A,
            (State::Answered(bridge), Side::B) if bridge.winner == branch => Side::B,
            (State::Answered(bridge), Side::B) if bridge.near == Some(branch) => Side::A,
            (State::Over(Some(_)), Side::A) => Side::A,
            _ => return None,
        };
        if matches!(&self.state, State::Answered(bridge) if bridge.absent == Some(side)) {
            return None;
        }
        let (dialog, _) = self.dialog(side)?;
        names(dialog).then_some(side)
    }

    pub(super) fn is_early(&self, message: &Message) -> bool {
        let invite = &self.caller.invite;
        message.call_id() == invite.call_id()
            && message.to().and_then(|to| to.tag()) == Some(self.caller.tag.as_str())
            && message.from().and_then(|from| from.tag()) == invite.from().and_then(|from| from.tag())
    }

    /// A connection may have been opened anew, a NAT binding may have moved: the newest flow is the one that works.
    pub(super) fn seen_on(&mut self, side: Side, flow: Flow) {
        if self.caller_sits(side) {
            self.caller.flow = flow;
        } else if let Some(branch) = self.branch_at(side) {
            branch.flow = flow;
        }
    }

    /// Whether the caller itself is on that side: nobody has taken its place.
    pub(super) fn caller_sits(&self, side: Side) -> bool {
        side == Side::A && !matches!(&self.state, State::Answered(bridge) if bridge.near.is_some())
    }

    /// The branch on that side: it is there as long as the call is answered.
    pub(super) fn branch_at(&mut self, side: Side) -> Option<&mut Branch> {
        let State::Answered(bridge) = &self.state else { return None };
        let index = match side {
            Side::A => bridge.near?,
            Side::B => bridge.winner,
        };
        self.branches.get_mut(index)
    }
}

/// Whether a request that came in belongs to the dialog: Call-ID and both tags (RFC 3261 §12.2.2).
pub(super) fn is_of(dialog: &Dialog, message: &Message) -> bool {
    message.call_id() == dialog.id.call_id
        && message.to().and_then(|to| to.tag()) == Some(dialog.id.local_tag.as_str())
        && message.from().and_then(|from| from.tag()).unwrap_or("") == dialog.id.remote_tag
}
