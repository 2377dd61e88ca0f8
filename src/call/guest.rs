//! A dialog that leaves one call for another (RFC 5589 §7): what goes with it, and what becomes of the call that it has left. Its tags
//! still name the old call; whoever holds all calls knows where it is now.
//!
//! Invariant: a lent dialog is in one call at a time; the call that has lent it waits, and gets it back or ends.

use super::branch::{Branch, Callee, State as BranchState};
use super::device::Reach;
use super::dialogs::Direction;
use super::errand::Note;
use super::lines::Channel;
use super::log::{Ending, text};
use super::office::{CallKey, Named, Office};
use super::peer::Peer;
use super::record::TransferRecord;
use super::{COMPLETED_ELSEWHERE, Call, State};
use crate::clock::Now;
use crate::dialog::{Dialog, DialogId};
use crate::relay::{RelayId, Side};
use crate::rules::LegOutcome;
use crate::rules::explain::Step;
use crate::sip::{Flow, Message};

/// Where a dialog came from.
#[derive(Clone, Debug)]
pub struct Home {
    pub call: CallKey,
    pub side: Side,
    /// The id of that call.
    pub id: String,
}

/// The dialog of this side is in another call.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    pub side: Side,
    /// The place at the relay of that call that its party is to have. `None`: that call is without media.
    pub place: Option<(RelayId, Side)>,
}

/// A dialog on its way, with all that belongs to it.
#[derive(Debug)]
pub struct Guest {
    pub home: Home,
    pub callee: Callee,
    pub withheld: bool,
    pub direction: Direction,
    pub dialog: Box<Dialog>,
    pub flow: Flow,
    pub behind_nat: bool,
    pub peer: Peer,
    /// The INVITE that began it: of the party, or ours.
    pub request: Message,
    pub channel: Option<Channel>,
    /// See [`Branch::emergency`].
    pub emergency: bool,
    /// It was offered another session than it had at home.
    pub unsettled: bool,
    /// It comes out of a call that goes by TLS or not at all.
    pub promised: bool,
}

/// Whether a party may be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Its call is busy with something that is soon over.
    NotYet,
    /// The dialog is not there, or no longer.
    Unknown,
    /// It is the other one's who asks.
    Of(Side),
}

impl Branch {
    /// What goes with its dialog when that leaves for another call.
    pub(super) fn as_guest(
        &mut self,
        office: &mut Office,
        home: Home,
        dialog: Box<Dialog>,
        unsettled: bool,
    ) -> Guest {
        Guest {
            home,
            callee: self.callee.clone(),
            withheld: self.withheld,
            direction: self.direction,
            dialog,
            flow: self.flow,
            behind_nat: self.behind_nat,
            peer: std::mem::replace(&mut self.peer, Peer::new(office)),
            request: self.request.clone(),
            channel: self.channel.take(),
            emergency: self.emergency,
            unsettled,
            promised: false,
        }
    }
}

impl Call {
    /// Whether whoever has this dialog with us may hand the party at the other end of it on: that is on the side told.
    pub fn opposite(&mut self, (side, branch): (Side, usize), dialog: &DialogId) -> Fetched {
        let Some(side) = self.seat_of(side, branch, |held| held.id == *dialog) else {
            return Fetched::Unknown;
        };
        match &self.state {
            State::Answered(bridge) if bridge.is_unsettled() || self.leaver.is_some() => Fetched::NotYet,
            State::Answered(_) => Fetched::Of(side.other()),
            State::Ringing(_) | State::Served(_) | State::Over(_) => Fetched::Unknown,
        }
    }

    /// Whether it rings, and that is its caller's dialog.
    #[must_use]
    pub fn rings_for(&self, dialog: &DialogId) -> bool {
        let from = self.caller.invite.from();
        matches!(self.state, State::Ringing(_))
            && dialog.call_id == self.caller.invite.call_id()
            && dialog.local_tag == self.caller.tag
            && dialog.remote_tag == from.and_then(|from| from.tag()).unwrap_or_default()
    }

    /// The caller wants it no more, and whoever it rings for is called again by somebody else's leave: to the user that is one call.
    pub fn give_up(&mut self, office: &mut Office, now: Now) {
        let State::Ringing(_) = self.state else { return };
        self.walk.leave();
        self.caller.reject(office, now, 487, &[]);
        self.forgive_all(office, now);
        self.leave_all(office, now, &COMPLETED_ELSEWHERE, "transferred");
        self.over(office, now, Ending { outcome: "caller_gone", status: 487 });
    }

    /// Whose phone is on that side; `None`: nobody's.
    #[must_use]
    pub fn user_on(&self, side: Side) -> Option<&Named> {
        match side {
            Side::A => self.maker.as_ref(),
            Side::B => self.taker.as_ref(),
        }
    }

    /// Which branch is on that side; `None`: the caller.
    #[must_use]
    pub fn branch_of(&self, side: Side) -> Option<usize> {
        match (&self.state, side) {
            (State::Answered(bridge), Side::A) => bridge.near,
            (State::Answered(bridge), Side::B) => Some(bridge.winner),
            (State::Ringing(_) | State::Served(_) | State::Over(_), _) => None,
        }
    }

    /// The place at its relay that whoever comes by its transfer is to have.
    #[must_use]
    pub fn vacated(&self) -> Option<(RelayId, Side)> {
        let side = self.transferred()?.other();
        self.anchor.as_ref().map(|anchor| (anchor.id(), side))
    }

    /// Gives the dialog of that side away, to a call that has this place for its party.
    pub fn lend(
        &mut self,
        office: &mut Office,
        now: Now,
        side: Side,
        place: Option<(RelayId, Side)>,
    ) -> Option<Guest> {
        self.dialog(side)?;
        let home = Home { call: self.key, side, id: self.log.id.clone() };
        self.answer_passes(office, now, 487);
        let emergency = self.is_emergency();
        let promised = self.wants_tls();
        let guest = if self.caller_sits(side) {
            let dialog = self.caller.dialog.take()?;
            let callee = self.caller_as_callee();
            let request = self.caller.invite.clone();
            let (flow, behind_nat) = (self.caller.flow, self.caller.behind_nat);
            let peer = std::mem::replace(&mut self.caller.peer, Peer::new(office));
            let channel = self.channel.take();
            let (withheld, direction) = (self.log.from.privacy, Direction::Initiator);
            let unsettled = false;
            Guest {
                home,
                callee,
                withheld,
                direction,
                dialog,
                flow,
                behind_nat,
                peer,
                request,
                channel,
                emergency,
                unsettled,
                promised,
            }
        } else {
            let branch = self.branch_at(side)?;
            let state = std::mem::replace(&mut branch.state, BranchState::Ended(LegOutcome::Answered));
            let BranchState::Answered { dialog, ack } = state else { return None };
            if let Some(ack) = ack {
                // Should its 2xx come once more.
                branch.dismissed.push((dialog.id.remote_tag.clone(), branch.flow, ack));
            }
            Guest { emergency, promised, ..branch.as_guest(office, home, dialog, false) }
        };
        if let State::Answered(bridge) = &mut self.state {
            bridge.lent = Some(Lent { side, place });
        }
        Some(guest)
    }

    /// Takes back what it has lent. `Some`: it has ended meanwhile.
    pub fn take_back(&mut self, office: &mut Office, now: Now, guest: Box<Guest>) -> Option<Box<Guest>> {
        let side = guest.home.side;
        match &mut self.state {
            State::Answered(bridge) if bridge.lends(side) => bridge.lent = None,
            _ => return Some(guest),
        }
        let Guest { dialog, flow, peer, channel, unsettled, .. } = *guest;
        if self.caller_sits(side) {
            self.caller.dialog = Some(dialog);
            self.caller.peer = peer;
            self.channel = channel;
        } else if let Some(branch) = self.branch_at(side) {
            let ack = branch.dismissed.pop().map(|(_, _, ack)| ack);
            branch.state = BranchState::Answered { dialog, ack };
            branch.peer = peer;
            branch.channel = channel;
        }
        self.seen_on(side, flow);
        if unsettled {
            self.settle(office, now, side);
        }
        None
    }

    /// Whom it has lent is gone for good: in another call, or hung up. Nobody is left to talk with.
    pub fn bereft(&mut self, office: &mut Office, now: Now, side: Side, note: Option<Note>) {
        if let Some(Note { by, to, call }) = note {
            let why = format!("{by} transfers the other party to {to}: they go on in call {call}");
            let step = Step { tag: format!("transfer:{to}"), why, ..Step::default() };
            let answered_by = Some(to.clone());
            let at = text(self.log.moment(now));
            let record = TransferRecord { at, by, to, status: 200, answered_by, call: Some(call) };
            self.log.transfers.push((record, vec![step]));
        }
        if !matches!(&self.state, State::Answered(bridge) if bridge.lends(side)) {
            return;
        }
        self.drop_transfer(office, now);
        self.answer_passes(office, now, 487);
        self.part(office, now, side.other(), &[]);
        self.over(office, now, Ending { outcome: "answered", status: 200 });
    }

    /// The relay is about to be closed: whom the call has lent goes on elsewhere, with their keys.
    pub(super) fn hand_over_lent(&self, office: &mut Office) {
        if let (State::Answered(bridge), Some(anchor)) = (&self.state, &self.anchor)
            && let Some(Lent { side, place: Some(place) }) = bridge.lent
        {
            anchor.hand_over(office, side, place);
        }
    }

    /// A party of another call comes in: an answered branch of no ring stage. Its index.
    pub(super) fn seat_guest(&mut self, now: Now, guest: Guest) -> (usize, Home) {
        let Guest {
            home,
            callee,
            withheld,
            direction,
            dialog,
            flow,
            behind_nat,
            peer,
            request,
            channel,
            emergency,
            promised,
            unsettled: _,
        } = guest;
        let entry = self.log.leg(now, callee.label());
        self.log.leg_answered(entry);
        self.branches.push(Branch {
            client: self.key.client(0), // until it is asked for its session
            stage: 0,
            leg: 0,
            callee,
            withheld,
            direction,
            flow,
            behind_nat,
            peer,
            request,
            sent: now.mono,
            patience: None,
            answered: crate::sip::challenge::Answered::default(),
            reach: Reach::default(),
            aside: None,
            channel,
            emergency,
            early_tag: None,
            early: Vec::new(),
            arrived: None,
            state: BranchState::Answered { dialog, ack: None },
            entry,
            dismissed: Vec::new(),
        });
        let index = self.branches.len() - 1;
        if promised {
            self.promise(index);
        }
        (index, home)
    }

    /// A dialog that nobody wants any more: BYE.
    pub fn see_off(&mut self, office: &mut Office, now: Now, mut guest: Guest) {
        let flow = super::headers::flow_towards(&guest.dialog, guest.flow, guest.behind_nat);
        self.bye_in(office, now, &mut guest.dialog, flow);
    }

    /// The caller, as whoever speaks with them would have called them.
    pub(super) fn caller_as_callee(&self) -> Callee {
        match self.log.from.origin.strip_prefix("trunk:") {
            Some(trunk) => {
                let number = self.walk.caller_e164().unwrap_or(&self.log.from.raw);
                Callee::Trunk { trunk: trunk.into(), number: number.into(), next: Vec::new() }
            }
            None => {
                let device = self.log.from.origin.strip_prefix("device:").unwrap_or_default();
                let user = self.maker.as_ref().map(|(_, user)| user.clone());
                Callee::Device { device: device.into(), user }
            }
        }
    }

    /// Who is on that side, as records have it.
    pub(super) fn label_at(&mut self, side: Side) -> String {
        if self.caller_sits(side) {
            return self.caller_as_callee().label();
        }
        self.branch_at(side).map(|branch| branch.callee.label()).unwrap_or_default()
    }
}
