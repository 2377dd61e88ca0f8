//! Who is on which side of an answered call: the dialog there and the flow that reaches it. Side A is the caller's until a transfer puts
//! a branch in its place; side B is always a branch's.

use super::branch::{Branch, Callee, State as BranchState};
use super::headers;
use super::{Call, State};
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::sip::{Flow, Message, Transport};
use crate::transaction::ClientId;

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
            (State::Served(_) | State::Over(Some(_)), Side::A) => Side::A,
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

    /// A connection may have been opened anew, a NAT binding may have moved: the newest flow is the one that works. Who is reached by
    /// datagrams and had something to say that is too large for one (RFC 3261 §18.1.1) has not moved; whoever has says so in their
    /// Contact.
    pub(super) fn seen_on(&mut self, side: Side, flow: Flow) {
        let by_stream = |(dialog, _): (&mut Dialog, Flow)| headers::asks_for_a_stream(dialog.next_hop());
        let stays = flow.transport.is_reliable() && !self.dialog(side).is_none_or(by_stream);
        let seat = match self.caller_sits(side) {
            true => Some(&mut self.caller.flow),
            false => self.branch_at(side).map(|branch| &mut branch.flow),
        };
        if let Some(seat) = seat
            && !(stays && seat.transport == Transport::Udp)
        {
            *seat = flow;
        }
    }

    /// A response may come by another connection than its request was meant for, which had ended: what follows it, the ACK before all,
    /// goes where it came from.
    pub(super) fn answered_on(&mut self, client: ClientId, flow: Flow, message: &Message) {
        if !flow.transport.is_reliable() {
            return;
        }
        let is_elsewhere = |meant: &Flow| {
            meant.transport == flow.transport
                && meant.connection != flow.connection
                && (meant.is_bound() || meant.remote != flow.remote)
        };
        if let Some(branch) = self.branches.iter_mut().find(|branch| branch.client == client)
            && is_elsewhere(&branch.flow)
        {
            branch.flow = flow;
        }
        let tag = message.from().and_then(|from| from.tag());
        for side in [Side::A, Side::B] {
            let of = |(dialog, meant): (&mut Dialog, Flow)| {
                message.call_id() == dialog.id.call_id
                    && tag == Some(dialog.id.local_tag.as_str())
                    && is_elsewhere(&meant)
            };
            if self.dialog(side).is_some_and(of) {
                self.seen_on(side, flow);
            }
        }
    }

    /// Whether the caller itself is on that side: nobody has taken its place.
    pub(super) fn caller_sits(&self, side: Side) -> bool {
        side == Side::A && !matches!(&self.state, State::Answered(bridge) if bridge.near.is_some())
    }

    /// The branch on that side: it is there as long as the call is answered.
    pub(super) fn branch_at(&mut self, side: Side) -> Option<&mut Branch> {
        let index = self.index_at(side)?;
        self.branches.get_mut(index)
    }

    /// Whether whoever is on that side is behind a trunk.
    pub(super) fn is_outside(&self, side: Side) -> bool {
        match self.index_at(side).and_then(|index| self.branches.get(index)) {
            Some(branch) => matches!(branch.callee, Callee::Trunk { .. }),
            None => self.by_trunk,
        }
    }

    /// Which branch that is.
    pub(super) fn index_at(&self, side: Side) -> Option<usize> {
        let State::Answered(bridge) = &self.state else { return None };
        match side {
            Side::A => bridge.near,
            Side::B => Some(bridge.winner),
        }
    }
}

impl Call {
    /// Whether we have given that tag to somebody in this call.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        let in_branch = |branch: &Branch| match &branch.state {
            BranchState::Answered { dialog, .. } => dialog.id.local_tag == tag,
            _ => branch.request.from().and_then(|from| from.tag()) == Some(tag),
        };
        self.caller.tag == tag || self.branches.iter().any(in_branch)
    }
}

/// Whether a request that came in belongs to the dialog: Call-ID and both tags (RFC 3261 §12.2.2).
#[must_use]
pub fn is_of(dialog: &Dialog, message: &Message) -> bool {
    message.call_id() == dialog.id.call_id
        && message.to().and_then(|to| to.tag()) == Some(dialog.id.local_tag.as_str())
        && message.from().and_then(|from| from.tag()).unwrap_or("") == dialog.id.remote_tag
}
