//! Whoever comes by themselves to take a party's place (RFC 3891): a colleague who picks up what rings, a phone that takes over what its
//! user has on another one.
//!
//! Both the caller and the newcomer have offered, and neither can answer the other. So the newcomer gets an answer to its own offer in which
//! nothing is sent, and once it has acknowledged that, a re-INVITE: with the caller's offer where the call rings, and its 200 is the answer,
//! like that of any phone that rang; without one where the call is up, and from there on all is as in an attended transfer. A newcomer that
//! has not offered gets the offer with our 200, what the other party has said of itself, and its ACK is the answer.
//!
//! Invariants: a newcomer that does not get in is hung up on, after its ACK (RFC 3261 §15); what rings goes on ringing until it is in.

use super::attended::Asking;
use super::branch::{Branch, Callee, Progress, State as BranchState};
use super::capabilities::{ALLOW, OF_DIALOGS};
use super::device::Reach;
use super::dialogs::Direction;
use super::errand::Errand;
use super::headers::{self, AGENT};
use super::join::Joining;
use super::office::Office;
use super::peer::Peer;
use super::seats::is_of;
use super::session_timer;
use super::sips;
use super::tag::{is_named, names_dialog};
use super::transfer::{Stage, Transfer};
use super::unacked::{Unacked, Wait};
use super::{Call, State, terms};
use crate::clock::Now;
use crate::dialog::{Dialog, DialogId};
use crate::relay::Side;
use crate::rules::LegOutcome;
use crate::rules::explain::Step;
use crate::sdp;
use crate::sip::{Flow, Message, Method, Name, Writer, status};
use crate::transaction::ServerId;
use std::sync::Arc;
use std::time::Instant;

/// Newcomers of one call; one more gets 403.
const PICKUPS_MAX: usize = 16;

/// An INVITE that is to take somebody's place.
#[derive(Debug)]
pub struct Newcomer {
    pub server: ServerId,
    pub flow: Flow,
    pub invite: Message,
    pub device: Arc<str>,
    pub user: Arc<str>,
}

/// Whose place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Of the phone that this branch rings.
    Ringing(usize),
    /// Of whoever is on this side.
    Talking(Side),
}

/// Of a branch that has come by itself: its dialog with us until it is in its place, and our 200 that it has still to acknowledge.
#[derive(Debug)]
pub struct Arrived {
    pub dialog: Dialog,
    pub unacked: Option<Unacked>,
    /// It has described nothing: our 200 offers, and its ACK answers (RFC 3261 §13.2.1).
    answers: bool,
}

impl Call {
    /// Which place a Replaces names (RFC 3891 §3).
    ///
    /// # Errors
    /// The status that refuses it.
    pub fn replaceable(&mut self, (side, branch): (Side, usize), dialog: &DialogId) -> Result<Place, u16> {
        if let Some(side) = self.seat_of(side, branch, |held| names_dialog(&held.id, dialog)) {
            return match &self.state {
                State::Answered(bridge) if !bridge.is_unsettled() && self.leaver.is_none() => {
                    Ok(Place::Talking(side))
                }
                State::Answered(_) => Err(491),
                State::Ringing(_) | State::Served(_) | State::Over(_) => Err(603),
            };
        }
        if side == Side::A {
            // What rings for its caller has begun with them: only what we have begun may be taken. What is over is declined.
            let named = is_named(&self.caller.tag, &dialog.local_tag)
                && self.caller.invite.call_id() == dialog.call_id;
            return Err(if named && matches!(self.state, State::Over(_)) { 603 } else { 481 });
        }
        let named = self.branches.get(branch).filter(|branch| {
            branch.is_ours()
                && branch.request.call_id() == dialog.call_id
                && branch
                    .request
                    .from()
                    .and_then(|from| from.tag())
                    .is_some_and(|ours| is_named(ours, &dialog.local_tag))
        });
        let theirs = |it: &Branch| match &it.state {
            BranchState::Answered { dialog: held, .. } => held.id.remote_tag == dialog.remote_tag,
            _ => it.early_tag.as_deref() == Some(dialog.remote_tag.as_str()),
        };
        match named.filter(|it| theirs(it)) {
            None => Err(481),
            Some(it) if !it.is_calling() => Err(603),
            Some(_) => self.picked_where(branch),
        }
    }

    /// The place of a branch that rings.
    ///
    /// # Errors
    /// 481: it rings no more.
    pub fn picked_where(&self, branch: usize) -> Result<Place, u16> {
        match self.branches.get(branch) {
            Some(it) if self.is_awaited(it) => Ok(Place::Ringing(branch)),
            _ => Err(481),
        }
    }

    /// Whether the call rings there, and would be answered by it.
    fn is_awaited(&self, branch: &Branch) -> bool {
        branch.is_calling()
            && branch.stage == self.stage
            && matches!(&self.state, State::Ringing(ring) if ring.is_ringing(branch.leg))
    }

    /// Lets a newcomer in.
    ///
    /// # Errors
    /// The status that refuses it; nothing has happened then.
    pub fn pick_up(
        &mut self,
        office: &mut Office,
        now: Now,
        place: Place,
        newcomer: &Newcomer,
    ) -> Result<(), u16> {
        let Newcomer { server, flow, invite, device, user } = newcomer;
        if self.log.pickups.len() >= PICKUPS_MAX {
            return Err(403);
        }
        if (self.wants_tls() || sips::is_for_sips(invite)) && !flow.transport.is_secure() {
            return Err(480); // RFC 5630: nobody takes a part of it who is not secured
        }
        let side = match place {
            Place::Ringing(_) => Side::B,
            Place::Talking(side) => side,
        };
        let index = self.branches.len();
        let tag = super::tag(office, Side::B, self.key, index);
        let dialog = Dialog::uas(invite, &tag).ok_or(400_u16)?;
        let offer = headers::description(invite);
        let answers = offer.is_none();
        let mut peer = Peer::new(office);
        peer.reached(flow, invite.elements(Name::Via).nth(1).is_some());
        peer.learn(invite);
        peer.sips = sips::is_to_answer(invite);
        let callee = Callee::Device { device: device.clone(), user: Some(user.clone()) };
        peer.origin.keying.terms = terms::of(office, &self.domain, &callee, flow);
        if let Some(offer) = &offer {
            peer.hear(offer).map_err(|_| 488_u16)?;
        }
        let said = match (offer, place) {
            (Some(offer), _) => sdp::inactive(&offer),
            (None, Place::Ringing(_)) => self.offer.clone().ok_or(488_u16)?,
            (None, Place::Talking(_)) => {
                sdp::both_ways(self.peer(side.other()).heard.as_ref().ok_or(488_u16)?)
            }
        };
        let anchor = self.anchor.as_ref().ok_or(488_u16)?;
        let described = anchor.rewrite(office, side, &mut peer.origin, &said).map_err(|_| 488_u16)?;
        let bytes = {
            let mut w = Writer::reply(invite, 200, status::reason_phrase(200), Some(&tag));
            w.copy(invite, Name::RecordRoute); // RFC 3261 §12.1.1
            w.header(Name::Contact, office.contact(flow, peer.sips));
            w.header(Name::Allow, ALLOW);
            w.header(Name::Supported, format_args!("{OF_DIALOGS}, {}", session_timer::TAG));
            peer.session.accept(now, invite, &mut w);
            w.header(Name::Server, AGENT);
            w.body("application/sdp", &described)
        };
        office.respond(now, *server, 200, bytes.clone());
        let unacked = Some(Unacked::new(now, *server, bytes));
        let by = callee.label();
        let (stage, leg) = match place {
            Place::Ringing(branch) => (self.stage, self.branches[branch].leg),
            Place::Talking(_) => (0, 0),
        };
        let state = match place {
            Place::Ringing(_) => BranchState::Calling(Progress::Ringing),
            Place::Talking(_) => BranchState::Answered { dialog: Box::new(dialog.clone()), ack: None },
        };
        let entry = self.log.leg(now, by.clone());
        self.branches.push(Branch {
            client: self.key.client(0), // until it is asked
            stage,
            leg,
            callee,
            withheld: false,
            direction: Direction::Initiator,
            flow: *flow,
            behind_nat: headers::is_behind_nat(invite, flow),
            peer,
            request: invite.clone(),
            sent: now.mono,
            patience: None,
            answered: crate::sip::challenge::Answered::default(),
            channel: None,
            emergency: false,
            reach: Reach::default(),
            aside: None,
            early_tag: None,
            early: Vec::new(),
            arrived: Some(Box::new(Arrived { dialog, unacked, answers })),
            state,
            entry,
            dismissed: Vec::new(),
        });
        let why = match place {
            Place::Ringing(branch) => {
                format!("{by} picks up what rings at {}", self.branches[branch].callee.label())
            }
            Place::Talking(side) => format!("{by} takes the place of {}", self.label_at(side)),
        };
        self.log.pickups.push(Step { tag: format!("pickup:{device}"), why, ..Step::default() });
        if let (Place::Talking(side), State::Answered(bridge)) = (place, &mut self.state) {
            let stage = Stage::Asking(Asking::new(self.key.client(0), index, None));
            bridge.transfer = Some(Box::new(Transfer::take_over(side, by, stage)));
        }
        Ok(())
    }

    /// The newcomer has acknowledged our 200. `false`: this is somebody else's ACK.
    pub(super) fn newcomer_acked(
        &mut self,
        office: &mut Office,
        now: Now,
        (side, index): (Side, usize),
        message: &Message,
    ) -> bool {
        let Some(branch) = self.branches.get_mut(index).filter(|_| side == Side::B) else { return false };
        let Some(arrived) = branch.arrived.as_mut().filter(|arrived| is_of(&arrived.dialog, message)) else {
            return false;
        };
        if arrived.unacked.take().is_none() {
            return false;
        }
        let answers = arrived.answers;
        match branch.state {
            BranchState::Calling(_) if answers => self.newcomer_answered(office, now, index, message),
            BranchState::Answered { .. } if answers => self.newcomer_brought(office, now, index, message),
            BranchState::Calling(_) => self.ask_newcomer(office, now, index),
            BranchState::Answered { .. } => self.ask_for_session(office, now),
            BranchState::Asked(_) => {} // whoever comes by themselves is asked nothing
            BranchState::Leaving | BranchState::Ended(_) => self.turn_away(office, now, index),
        }
        true
    }

    /// The caller's offer is answered in that ACK: whoever picks up has won, as a phone has that answers it in a 200.
    fn newcomer_answered(&mut self, office: &mut Office, now: Now, index: usize, ack: &Message) {
        let answer = headers::description(ack);
        let rings = self.branches.get(index).is_some_and(|it| self.is_awaited(it));
        let heard = |branch: &mut Branch| answer.as_ref().is_some_and(|it| branch.peer.hear(it).is_ok());
        let rings = rings && self.branches.get_mut(index).is_some_and(heard);
        let described = answer.as_ref().filter(|_| rings).map(|it| self.answer_for_caller(office, Some(it)));
        let (Some(answer), Some(Ok(described))) = (answer, described) else {
            let Some(branch) = self.branches.get_mut(index) else { return };
            branch.state = BranchState::Ended(LegOutcome::Failed);
            self.log.leg_ended(now, branch.entry, None, "failed");
            self.turn_away(office, now, index);
            return self.branch_ended(office, now, index);
        };
        let _ = self.point_branch(office, index, Side::B, &answer); // it was heard before
        let Some(branch) = self.branches.get_mut(index) else { return };
        let Some(dialog) = branch.arrived.as_ref().map(|arrived| arrived.dialog.clone()) else { return };
        self.bridge(office, now, index, (dialog, None, None), described);
    }

    /// What the other party has said of itself is answered in that ACK: the other party is asked for the rest.
    fn newcomer_brought(&mut self, office: &mut Office, now: Now, index: usize, ack: &Message) {
        let Some(answer) = headers::description(ack) else {
            self.abandon(office, now);
            return self.transfer_failed(office, now, 488);
        };
        if self.branches.get_mut(index).is_none_or(|branch| branch.peer.hear(&answer).is_err()) {
            self.abandon(office, now);
            return self.transfer_failed(office, now, 488);
        }
        self.join(office, now, Joining { acked: true, ..Joining::of(index, answer, 0) });
    }

    /// The caller's offer, or a wish for one, as any phone that rings gets it.
    fn ask_newcomer(&mut self, office: &mut Office, now: Now, index: usize) {
        let described = match self.offer.clone() {
            Some(offer) => self.describe_to(office, index, Side::B, &offer).ok(),
            None => None,
        };
        let client = self.next_client();
        let name = headers::branch(office);
        let Some(branch) = self.branches.get_mut(index) else { return };
        let Some(arrived) = &mut branch.arrived else { return };
        let flow = headers::flow_towards(&arrived.dialog, branch.flow, branch.behind_nat);
        let mut w = arrived.dialog.request(Method::Invite, None, headers::hop(office, &flow, &name));
        branch.peer.write_session(office, &flow, &mut w);
        w.header(Name::UserAgent, AGENT);
        branch.client = client;
        let bytes = w.described(described.as_deref());
        office.request(now, client, flow, bytes);
    }

    /// BYE for a newcomer that does not get in, or not before its ACK.
    pub(super) fn turn_away(&mut self, office: &mut Office, now: Now, index: usize) {
        let Some(branch) = self.branches.get_mut(index) else { return };
        let Some(arrived) = branch.arrived.as_ref() else { return };
        if arrived.unacked.is_some() {
            branch.state = BranchState::Leaving;
            return;
        }
        let Some(mut arrived) = branch.arrived.take() else { return };
        let flow = headers::flow_towards(&arrived.dialog, branch.flow, branch.behind_nat);
        if !matches!(branch.state, BranchState::Ended(_)) {
            branch.state = BranchState::Ended(LegOutcome::Cancelled);
        }
        self.bye_in(office, now, &mut arrived.dialog, flow);
    }

    /// A request of a newcomer that isn't in its place yet. `false`: it is somebody else's.
    pub(super) fn request_of_newcomer(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        (side, index): (Side, usize),
        message: &Message,
    ) -> bool {
        let Some(branch) = self.branches.get_mut(index).filter(|_| side == Side::B) else { return false };
        let BranchState::Calling(_) = branch.state else { return false };
        if !branch.arrived.as_ref().is_some_and(|arrived| is_of(&arrived.dialog, message)) {
            return false;
        }
        let code = match message.method() {
            Method::Bye => 200,
            Method::Invite | Method::Update => 491, // once it is in its place
            _ => 500,
        };
        if code == 200 {
            branch.arrived = None;
            branch.state = BranchState::Ended(LegOutcome::Cancelled);
            self.log.leg_ended(now, branch.entry, None, "cancelled");
        }
        office.respond(now, server, code, super::caller::plain_response(message, code, None));
        if code == 200 {
            self.branch_ended(office, now, index);
        }
        true
    }

    /// Repeats our 200 to newcomers; one that never acknowledges it is hung up on (RFC 3261 §13.3.1.4).
    pub(super) fn newcomers_timeout(&mut self, office: &mut Office, now: Now) {
        for index in 0..self.branches.len() {
            let Some(arrived) = self.branches.get_mut(index).and_then(|branch| branch.arrived.as_mut())
            else {
                continue;
            };
            let wait = arrived.unacked.as_mut().map(|unacked| unacked.timeout(office, now));
            if wait != Some(Wait::GivenUp) {
                continue;
            }
            arrived.unacked = None;
            let awaited = self.branches.get(index).is_some_and(Branch::is_calling);
            let asked = self.transfer().and_then(Transfer::newcomer) == Some(index);
            if asked {
                self.abandon(office, now);
                self.transfer_failed(office, now, 408);
            } else {
                self.turn_away(office, now, index);
            }
            if awaited {
                self.branch_ended(office, now, index);
            }
        }
    }

    pub(super) fn newcomers_deadline(&self) -> Option<Instant> {
        let unacked = |branch: &Branch| Some(branch.arrived.as_ref()?.unacked.as_ref()?.deadline());
        self.branches.iter().filter_map(unacked).min()
    }

    /// What was dialled is a code to pick something up: the switch looks for it.
    pub(super) fn look_for_ringing(&mut self, office: &mut Office) {
        office.errands.push(Errand::PickUp { by: self.key });
    }

    /// Its caller, who is to take somebody's place in another call.
    #[must_use]
    pub fn as_newcomer(&self) -> Option<Newcomer> {
        let device = self.log.from.origin.strip_prefix("device:")?;
        let (_, user) = self.maker.as_ref()?;
        Some(Newcomer {
            server: self.caller.server,
            flow: self.caller.flow,
            invite: self.caller.invite.clone(),
            device: device.into(),
            user: user.clone(),
        })
    }

    /// Its caller is in the call with this id now, or nothing was found: this one is over.
    pub fn picked(&mut self, office: &mut Office, now: Now, found: Result<&str, u16>) {
        let call = match found {
            Ok(call) => call,
            Err(code) => return self.refuse(office, now, code, "rejected", Vec::new()),
        };
        let step = Step { tag: "pickup".to_owned(), why: format!("picks up call {call}"), ..Step::default() };
        self.log.pickups.push(step);
        office.pending.remove(&self.caller.server);
        self.over(office, now, super::log::Ending { outcome: "answered", status: 200 });
    }

    /// What was dialled.
    #[must_use]
    pub fn dialled(&self) -> &str {
        &self.log.to
    }

    #[must_use]
    pub fn domain(&self) -> &Arc<crate::rules::Domain> {
        &self.domain
    }
}

impl Branch {
    /// It has come by itself and has still to acknowledge that it was taken.
    #[must_use]
    pub fn owes_ack(&self) -> bool {
        self.arrived.as_ref().is_some_and(|arrived| arrived.unacked.is_some())
    }
}
